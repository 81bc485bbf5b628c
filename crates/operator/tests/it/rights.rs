//! The rights of `install::RULES` under real RBAC: with them everything works, each verb of them is used, and without any of them something fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{HeaderValue, Request, Response};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use object_store::memory::InMemory;
use serde_json::{Value, json};
use stoke_cluster::{ApiConfig, ApiServer};
use stoke_model::crd::{ScheduledSparkApplication, SparkApplication, SparkConnect};
use stoke_operator::admission::{Terms as CertificateTerms, WebhookConfig};
use stoke_operator::install::{Options, objects};
use stoke_operator::lease::{Election, Terms};
use stoke_operator::logs::KeepLogs;
use stoke_operator::serve::{ServeConfig, serve};
use stoke_operator::{Health, IngressSettings, OperatorConfig, Policies};
use stoke_storage::Place;
use tokio::sync::watch;

/// `group/resource verb`, as rules write it.
type Rights = BTreeSet<String>;

/// The application whose driver its node does not start.
const SILENT: &str = "silent";

/// Granted, and not used by the scenario below, with the reason.
const NOT_SEEN: [(&str, &str); 11] = [
    (
        "sparkoperator.k8s.io/sparkapplications/finalizers update",
        "checked only by OwnerReferencesPermissionEnforcement",
    ),
    (
        "sparkoperator.k8s.io/scheduledsparkapplications/finalizers update",
        "checked only by OwnerReferencesPermissionEnforcement",
    ),
    (
        "sparkoperator.k8s.io/sparkconnects/finalizers update",
        "checked only by OwnerReferencesPermissionEnforcement",
    ),
    (
        "/configmaps get",
        "read only when an upgraded operator finds an immutable ConfigMap of its predecessor",
    ),
    ("/secrets create", "only applications with Kerberos have one"),
    ("/secrets patch", "only applications with Kerberos have one"),
    (
        "/persistentvolumeclaims create",
        "only applications with a claim on demand have one",
    ),
    (
        "/persistentvolumeclaims patch",
        "only applications with a claim on demand have one",
    ),
    (
        "scheduling.volcano.sh/podgroups create,patch",
        "needs Volcano's definitions in the cluster",
    ),
    (
        "scheduling.x-k8s.io/podgroups create,patch",
        "needs the coscheduling plugin's definitions in the cluster",
    ),
    (
        "gateway.networking.k8s.io/httproutes create,patch,delete",
        "needs the Gateway API's definitions in the cluster",
    ),
];

/// What the operator asked for, and what it was refused.
#[derive(Default)]
struct Seen {
    /// Statuses whose first write was answered with a conflict, so that the object is read again.
    conflicts: Rights,
    used: Rights,
    refused: Rights,
}

struct World {
    server: ApiServer,
    _home: tempfile::TempDir,
    seen: Arc<Mutex<Seen>>,
    health: Health,
    stop: watch::Sender<bool>,
}

/// The rights that a request needs. Applying what may not be there needs the right to create it too.
fn needed(request: &Request<Body>) -> Vec<String> {
    let path = request.uri().path().trim_start_matches('/');
    let query = request.uri().query().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => return Vec::new(),
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        rest => ("", rest),
    };
    // Its own Secret is another than those of applications.
    let group = if namespace == OWN && rest.first() == Some(&"secrets") {
        "own"
    } else {
        group
    };
    let (resource, named) = match rest {
        [resource] => ((*resource).to_owned(), false),
        [resource, _] => ((*resource).to_owned(), true),
        [resource, _, sub] => (format!("{resource}/{sub}"), true),
        _ => return Vec::new(),
    };
    let apply = request
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/apply"));
    let verbs: &[&str] = match (request.method().as_str(), named) {
        ("GET", true) => &["get"],
        ("GET", false) if query.contains("watch=") => &["watch"],
        ("GET", false) => &["list"],
        ("POST", _) => &["create"],
        ("PUT", _) => &["update"],
        ("PATCH", _) if apply => &["patch", "create"],
        ("PATCH", _) => &["patch"],
        _ => &["delete"],
    };
    verbs.iter().map(|verb| format!("{group}/{resource} {verb}")).collect()
}

/// Namespace of the operator.
const OWN: &str = "spark-operator";

/// What a role grants, as [`needed`] says it.
fn granted_by(role: &Value, rules: &Value) -> Rights {
    let of_own = role["metadata"]["namespace"] == OWN;
    let renamed = granted(rules)
        .into_iter()
        .map(|right| match right.strip_prefix("/secrets ") {
            Some(verb) if of_own => format!("own/secrets {verb}"),
            _ => right,
        });
    renamed.collect()
}

fn granted(rules: &Value) -> Rights {
    let texts = |value: &Value| {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let mut rights = Rights::new();
    for rule in rules.as_array().unwrap() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                rights.extend(
                    texts(&rule["verbs"])
                        .iter()
                        .map(|verb| format!("{group}/{resource} {verb}")),
                );
            }
        }
    }
    rights
}

/// Installs the operator's objects, changed by `change`, and runs it under its own service account.
async fn world(change: impl Fn(&mut Value)) -> World {
    let home = tempfile::tempdir().unwrap();
    let config = ApiConfig {
        home: home.path().to_owned(),
        in_memory: true,
    };
    let server = ApiServer::start(&config).await.unwrap();
    let options = Options::default();
    for mut object in objects(&options) {
        change(&mut object);
        let (group, version) = object["apiVersion"]
            .as_str()
            .unwrap()
            .split_once('/')
            .unwrap_or(("", "v1"));
        let kind = GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap());
        let namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(server.client(), &namespace, &resource),
            None => Api::all_with(server.client(), &resource),
        };
        let apply = PatchParams::apply("test").force();
        api.patch(&object.name_any(), &apply, &Patch::Apply(&object))
            .await
            .unwrap();
    }
    // The API server reaches the webhook as it reaches a pod behind the service.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let slice: DynamicObject = serde_json::from_value(json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "hook", "namespace": OWN, "labels": {"kubernetes.io/service-name": "spark-operator-webhook-svc"}},
        "addressType": "IPv4", "endpoints": [{"addresses": ["127.0.0.1"]}], "ports": [{"name": "webhook", "port": port}]}))
    .unwrap();
    let slices = ApiResource::from_gvk(&GroupVersionKind::gvk("discovery.k8s.io", "v1", "EndpointSlice"));
    let slices: Api<DynamicObject> = Api::namespaced_with(server.client(), OWN, &slices);
    slices.create(&PostParams::default(), &slice).await.unwrap();
    let webhook = WebhookConfig {
        address: ([127, 0, 0, 1], port).into(),
        namespace: OWN.into(),
        secret: options.webhook_secret(),
        service: "spark-operator-webhook-svc".into(),
        mutating: "spark-operator-webhook".into(),
        validating: "spark-operator-webhook".into(),
        external: false,
        owner: None,
        // A rotation begins after four seconds.
        terms: CertificateTerms {
            lifetime: jiff::SignedDuration::from_secs(20),
            renew_before: jiff::SignedDuration::from_secs(16),
            settle: jiff::SignedDuration::from_secs(1),
        },
    };
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let account = format!(
        "system:serviceaccount:{}:{}-controller",
        options.namespace, options.name
    );
    let account = HeaderValue::from_str(&account).unwrap();
    let (inner, log) = (server.client(), seen.clone());
    let service = tower::service_fn(move |mut request: Request<Body>| {
        request.headers_mut().insert("impersonate-user", account.clone());
        let (inner, log) = (inner.clone(), log.clone());
        async move {
            let needed = needed(&request);
            let of_status = needed.iter().find(|right| right.ends_with("/status patch"));
            if of_status.is_some_and(|right| log.lock().unwrap().conflicts.insert(right.clone())) {
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Conflict", "code": 409, "message": "by the test"});
                let answer = Response::builder()
                    .status(409)
                    .header("content-type", "application/json");
                return Ok(answer.body(Body::from(status.to_string().into_bytes())).unwrap());
            }
            let answer = inner.send(request).await;
            let forbidden = answer.as_ref().is_ok_and(|response| response.status() == 403);
            let Ok(mut log) = log.lock() else { return answer };
            if forbidden {
                log.refused.extend(needed)
            } else {
                log.used.extend(needed)
            }
            answer
        }
    });
    let mut settings = OperatorConfig::default().settings;
    settings.driver_disruption_budget = true;
    settings.ui_ingress = Some(IngressSettings {
        url_format: "{{$appName}}.example.com".into(),
        ..Default::default()
    });
    let health = Health::default();
    let config = ServeConfig {
        operator: OperatorConfig {
            health: health.clone(),
            policies: Policies::new(Vec::new(), Some(OWN.into())).unwrap(),
            namespaces: vec!["default".to_owned()],
            settings,
            // There is no node whose logs could be read: asking is what counts.
            logs: Some(KeepLogs {
                hold: Duration::from_secs(1),
                ..KeepLogs::new(Place::over(
                    Arc::new(InMemory::new()),
                    Default::default(),
                    "memory://".into(),
                ))
            }),
            ..OperatorConfig::default()
        },
        election: Some(Election {
            name: "spark-operator-controller-lock".into(),
            namespace: options.namespace,
            identity: "me_1".into(),
            shards: 2,
            owner: None,
            terms: Terms::default(),
        }),
        webhook: Some(webhook),
        ..ServeConfig::default()
    };
    let (stop, stopped) = watch::channel(false);
    let client = Client::new(service, "default");
    tokio::spawn(async move { serve(client, config, stopped).await.unwrap() });
    World {
        server,
        _home: home,
        seen,
        health,
        stop,
    }
}

impl World {
    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.server.client(), "default")
    }

    /// Creates an object; only where a right is missing may that be refused.
    async fn create<K>(&self, object: &K)
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>
            + Clone
            + serde::Serialize
            + serde::de::DeserializeOwned
            + std::fmt::Debug,
        K::DynamicType: Default,
    {
        if let Err(error) = self.api::<K>().create(&PostParams::default(), object).await {
            assert!(!self.seen.lock().unwrap().refused.is_empty(), "{error}");
        }
    }

    /// A ConfigMap with policies in the operator's namespace.
    async fn policy(&self, name: &str, rego: &str) {
        let map: ConfigMap = serde_json::from_value(
            json!({"metadata": {"name": name, "labels": {"stoke.dev/policy": "true"}},
            "data": {"policy.rego": rego}}),
        )
        .unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(self.server.client(), OWN);
        maps.create(&PostParams::default(), &map).await.unwrap();
    }

    /// Policies that can be used, and then one that cannot; an application that fails once, runs again, completes and is deleted by its time to live; a schedule with runs; and a Connect server.
    async fn begin(&self) {
        self.policy("good", "package good\nwarn contains \"x\" if input.kind == \"Job\"\n")
            .await;
        for _ in 0..200 {
            if self.health.ready().is_ok() || !self.seen.lock().unwrap().refused.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.policy("bad", "package bad\ndeny contains {\n").await;
        let spec = json!({"type": "Python", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4", "driver": {}, "executor": {},
            "mainApplicationFile": "local:///a.py", "timeToLiveSeconds": 1,
            "restartPolicy": {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 1}});
        let app: SparkApplication = serde_json::from_value(json!({
            "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "pi"}, "spec": spec}))
        .unwrap();
        self.create(&app).await;
        let mut silent = app.clone();
        silent.metadata.name = Some(SILENT.into());
        self.create(&silent).await;
        let schedule: ScheduledSparkApplication = serde_json::from_value(json!({
            "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication", "metadata": {"name": "report"},
            "spec": {"schedule": "@every 1s", "template": spec}}))
        .unwrap();
        self.create(&schedule).await;
        let connect: SparkConnect = serde_json::from_value(json!({
            "apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "lab"},
            "spec": {"sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "server": {}, "executor": {}}}))
        .unwrap();
        self.create(&connect).await;
    }

    /// Plays the node: every driver that waits fails the first time, or vanishes, and succeeds the second.
    async fn play(&self, failed: &mut BTreeMap<String, bool>) {
        let now = DeleteParams {
            grace_period_seconds: Some(0),
            ..DeleteParams::default()
        };
        let pods: Api<Pod> = self.api();
        for pod in pods.list(&ListParams::default()).await.unwrap() {
            let name = pod.name_any();
            if pod.metadata.deletion_timestamp.is_some() {
                let _ = pods.delete(&name, &now).await;
                continue;
            }
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref())
                .unwrap_or("Pending");
            if phase != "Pending" {
                continue;
            }
            if name.starts_with(SILENT) {
                // On its node, which says nothing of it: only Events can tell why.
                let status = json!({"status": {"phase": "Pending",
                    "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
                if failed.insert(name.clone(), true).is_none() {
                    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
                        "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"}});
                    let post = PostParams::default();
                    // Refused where it has a node already.
                    let _: Result<Value, _> = pods.create_subresource("binding", &name, &post, &binding).await;
                    let _ = pods
                        .patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
                        .await;
                }
                continue;
            }
            let again = std::mem::replace(failed.entry(name.clone()).or_insert(false), true);
            if name == "pi-driver" && !again {
                // Gone without an end: the operator looks for itself before it believes that.
                let _ = pods.delete(&name, &now).await;
                continue;
            }
            let (phase, code) = if again { ("Succeeded", 0) } else { ("Failed", 1) };
            let status = json!({"status": {"phase": phase, "containerStatuses": [{
                "name": "spark-kubernetes-driver", "ready": false, "restartCount": 0, "image": "", "imageID": "",
                "state": {"terminated": {"exitCode": code, "reason": "Error"}}}]}});
            let _ = pods
                .patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
                .await;
        }
    }

    /// Plays until `enough` says so; fails after a while.
    async fn until(&self, what: &str, enough: impl Fn(&Seen) -> bool) {
        let (begun, mut failed) = (Instant::now(), BTreeMap::new());
        while !enough(&self.seen.lock().unwrap()) {
            if begun.elapsed() > Duration::from_secs(40) {
                let seen = self.seen.lock().unwrap();
                let unused: Vec<String> = expected().difference(&seen.used).cloned().collect();
                panic!(
                    "waited in vain for {what}; refused: {:?}, unused: {unused:?}",
                    seen.refused
                );
            }
            self.play(&mut failed).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Roles of the operator, not those of drivers.
fn is_of_operator(object: &Value) -> bool {
    let is_role = object["kind"] == "Role" || object["kind"] == "ClusterRole";
    is_role && !object["metadata"]["name"].as_str().unwrap().ends_with("-spark")
}

/// All that is granted and to be seen used.
fn expected() -> Rights {
    let roles = objects(&Options::default());
    let mut all: Rights = roles
        .iter()
        .filter(|role| is_of_operator(role))
        .flat_map(|role| granted_by(role, &role["rules"]))
        .collect();
    for (right, _) in NOT_SEEN {
        let (resource, verbs) = right.split_once(' ').unwrap();
        for verb in verbs.split(',') {
            assert!(
                all.remove(&format!("{resource} {verb}")),
                "{right} is not granted: strike it off"
            );
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_right_is_used_and_no_other_is_needed() {
    let world = world(|_| ()).await;
    world.begin().await;
    let expected = expected();
    world
        .until("all rights to be used", |seen| {
            expected
                .iter()
                .all(|right| right.ends_with("leases delete") || seen.used.contains(right))
        })
        .await;
    world.stop.send(true).unwrap();
    world
        .until("the leases to be handed back", |seen| expected.is_subset(&seen.used))
        .await;
    let seen = world.seen.lock().unwrap();
    assert_eq!(seen.refused, Rights::new());
    let more: Vec<&String> = seen.used.difference(&expected).collect();
    assert!(more.is_empty(), "used without being in the rules: {more:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_one_rule_something_is_refused() {
    let unseen: BTreeSet<&str> = NOT_SEEN
        .iter()
        .map(|(right, _)| right.split_once(' ').unwrap().0)
        .collect();
    for role in objects(&Options::default())
        .iter()
        .filter(|object| is_of_operator(object))
    {
        for (number, rule) in role["rules"].as_array().unwrap().iter().enumerate() {
            let lost = granted_by(role, &json!([rule]));
            if lost
                .iter()
                .all(|right| unseen.contains(right.split_once(' ').unwrap().0))
            {
                continue;
            }
            let world = world(|object| {
                if object["kind"] == role["kind"] && object["metadata"]["name"] == role["metadata"]["name"] {
                    object["rules"].as_array_mut().unwrap().remove(number);
                }
            })
            .await;
            world.begin().await;
            world
                .until(&format!("a refusal without {rule}"), |seen| {
                    !seen.refused.is_disjoint(&lost)
                })
                .await;
            world.stop.send(true).unwrap();
        }
    }
}
