//! What a cluster must hold for the operator to run in it, as objects. Pure.
//!
//! In: [`Options`]. Out: objects in the order in which they are applied. The chart and the kustomization in `deploy` give the same objects;
//! tests compare them. The rules are what a test has seen the operator use under real RBAC, verb by verb, and no more.

mod policies;
mod webhook;

use serde_json::{Value, json};
use stoke_model::names;

pub use policies::{POLICY_JOB_RULES, POLICY_RULES, Policies};
pub use webhook::{CONFIGURATION_RULES, JOB_RULES, NEW_SECRET_RULES, SECRET_RULES};

/// What can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Prefix of all names.
    pub name: String,
    /// Namespace of the operator.
    pub namespace: String,
    /// Image of the operator.
    pub image: String,
    /// Operators side by side.
    pub replicas: u16,
    /// Parts into which applications are divided among them.
    pub shards: u16,
    /// Namespaces of applications; empty for all of them, which needs rights in the whole cluster.
    pub job_namespaces: Vec<String>,
    /// Label selector of namespaces of applications, instead of their names.
    pub namespace_selector: Option<String>,
    /// URL of the place where logs are kept; without one they go with their pods.
    pub keep_logs: Option<String>,
    /// Admission; none for none, which needs no right in the cluster.
    pub webhook: Option<Webhook>,
    /// Policies of the team.
    pub policies: Policies,
}

/// How admission is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Port of the operator's pod.
    pub port: u16,
    /// `Ignore`: what cannot be reviewed is stored, and the operator checks it all the same; `Fail`: it is refused.
    pub failure_policy: String,
    /// How long the API server waits for an answer, 1 to 30.
    pub timeout_seconds: u8,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            port: 9443,
            failure_policy: "Ignore".to_owned(),
            timeout_seconds: 10,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "spark-operator".to_owned(),
            namespace: "spark-operator".to_owned(),
            image: concat!("stoke:", env!("CARGO_PKG_VERSION")).to_owned(),
            replicas: 1,
            shards: 1,
            job_namespaces: vec!["default".to_owned()],
            namespace_selector: None,
            keep_logs: None,
            webhook: Some(Webhook::default()),
            policies: Policies::default(),
        }
    }
}

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const COMPONENT: &str = "app.kubernetes.io/component";

/// What the operator may do in the namespaces of applications: API group, resources, verbs.
pub const RULES: [(&str, &[&str], &[&str]); 18] = [
    (
        names::GROUP,
        &["sparkapplications"],
        &["get", "list", "watch", "create", "delete"],
    ),
    (names::GROUP, &["sparkapplications/status"], &["patch"]),
    // For clusters that check who may block the deletion of an owner (OwnerReferencesPermissionEnforcement).
    (
        names::GROUP,
        &[
            "sparkapplications/finalizers",
            "scheduledsparkapplications/finalizers",
            "sparkconnects/finalizers",
        ],
        &["update"],
    ),
    (names::GROUP, &["scheduledsparkapplications"], &["get", "list", "watch"]),
    (names::GROUP, &["scheduledsparkapplications/status"], &["patch"]),
    (names::GROUP, &["sparkconnects"], &["get", "list", "watch"]),
    (names::GROUP, &["sparkconnects/status"], &["patch"]),
    ("", &["pods"], &["get", "list", "watch", "create", "delete"]),
    // Used only where logs are kept.
    ("", &["pods/log"], &["get"]),
    ("", &["configmaps"], &["get", "create", "patch"]),
    ("", &["services"], &["create", "patch", "delete"]),
    ("", &["secrets", "persistentvolumeclaims"], &["create", "patch"]),
    ("", &["events"], &["create"]),
    ("networking.k8s.io", &["ingresses"], &["create", "patch", "delete"]),
    (
        "gateway.networking.k8s.io",
        &["httproutes"],
        &["create", "patch", "delete"],
    ),
    ("policy", &["poddisruptionbudgets"], &["create", "patch", "delete"]),
    ("scheduling.volcano.sh", &["podgroups"], &["create", "patch"]),
    ("scheduling.x-k8s.io", &["podgroups"], &["create", "patch"]),
];

/// What the operator may do in its own namespace.
pub const OWN_RULES: [(&str, &[&str], &[&str]); 1] = [(
    "coordination.k8s.io",
    &["leases"],
    &["list", "create", "update", "delete"],
)];

/// What a selector of namespaces needs.
const NAMESPACE_RULES: [(&str, &[&str], &[&str]); 1] = [("", &["namespaces"], &["list", "watch"])];

/// What drivers may do in their namespace: Spark creates, watches and deletes executors and what they mount.
const DRIVER_RULES: [(&str, &[&str], &[&str]); 1] = [(
    "",
    &["pods", "configmaps", "services", "persistentvolumeclaims"],
    &[
        "get",
        "list",
        "watch",
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
    ],
)];

/// The objects, without the CRDs.
#[must_use]
pub fn objects(options: &Options) -> Vec<Value> {
    let name = |suffix: &str| format!("{}-{suffix}", options.name);
    let (controller, leases, spark) = (name("controller"), name("controller-leases"), name("spark"));
    let own = Some(options.namespace.as_str());
    let account =
        |kind_of: &str, namespace: &str| json!({"kind": "ServiceAccount", "name": kind_of, "namespace": namespace});
    let me = account(&controller, &options.namespace);
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options.namespace}}),
        object(
            options,
            "v1",
            "ServiceAccount",
            &controller,
            own,
            json!({"automountServiceAccountToken": true}),
        ),
    ];
    let mut allow = |name: &str, namespace: Option<&str>, rules: Value, subject: &Value| {
        let (role, binding) = match namespace {
            Some(_) => ("Role", "RoleBinding"),
            None => ("ClusterRole", "ClusterRoleBinding"),
        };
        objects.push(object(options, RBAC, role, name, namespace, json!({ "rules": rules })));
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name});
        let body = json!({"roleRef": role, "subjects": [subject]});
        objects.push(object(options, RBAC, binding, name, namespace, body));
    };
    allow(&leases, own, rules(&OWN_RULES), &me);
    if options.policies.config_maps {
        allow(&name("controller-policies"), own, rules(&POLICY_RULES), &me);
    }
    let mut job_rules = rules(&RULES);
    if options.policies.any() {
        extend(&mut job_rules, rules(&POLICY_JOB_RULES));
    }
    if options.webhook.is_some() {
        let name = options.webhook_name();
        let mut secrets = webhook::named(rules(&SECRET_RULES), &[options.webhook_secret()]);
        extend(&mut secrets, rules(&NEW_SECRET_RULES));
        allow(&name, own, secrets, &me);
        let configurations = webhook::named(rules(&CONFIGURATION_RULES), std::slice::from_ref(&name));
        allow(&name, None, configurations, &me);
        extend(&mut job_rules, rules(&JOB_RULES));
    }
    let selected = options.namespace_selector.is_some();
    if selected || options.job_namespaces.is_empty() {
        if selected {
            extend(&mut job_rules, rules(&NAMESPACE_RULES));
        }
        allow(&controller, None, job_rules, &me);
    } else {
        for namespace in &options.job_namespaces {
            allow(&controller, Some(namespace), job_rules.clone(), &me);
            allow(
                &spark,
                Some(namespace),
                rules(&DRIVER_RULES),
                &account(&spark, namespace),
            );
        }
    }
    if !selected {
        for namespace in &options.job_namespaces {
            let body = json!({"automountServiceAccountToken": true});
            objects.push(object(options, "v1", "ServiceAccount", &spark, Some(namespace), body));
        }
    }
    objects.push(object(
        options,
        "apps/v1",
        "Deployment",
        &controller,
        own,
        deployment(options, &controller),
    ));
    if let Some(webhook) = &options.webhook {
        objects.extend(webhook::objects(options, webhook));
    }
    let is_of_webhook = |object: &Value| {
        let name = object["metadata"]["name"].as_str();
        name.is_some_and(|name| name.starts_with(&options.webhook_name()))
    };
    let marked = objects.into_iter().map(|object| {
        if is_of_webhook(&object) {
            of_webhook(object)
        } else {
            object
        }
    });
    marked.collect()
}

fn extend(rules: &mut Value, more: Value) {
    if let (Some(rules), Value::Array(more)) = (rules.as_array_mut(), more) {
        rules.extend(more);
    }
}

/// What belongs to the webhook can be told, and applied, by its component.
fn of_webhook(mut object: Value) -> Value {
    object["metadata"]["labels"][COMPONENT] = json!("webhook");
    object
}

/// Rules as RBAC writes them.
#[must_use]
pub fn rules(rules: &[(&str, &[&str], &[&str])]) -> Value {
    let rule = |(group, resources, verbs): &(&str, &[&str], &[&str])| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    rules.iter().map(rule).collect()
}

/// All rules by whom they are for, as the chart reads them.
#[must_use]
pub fn all_rules() -> Value {
    json!({
        "controller": rules(&RULES), "leases": rules(&OWN_RULES), "namespaces": rules(&NAMESPACE_RULES), "driver": rules(&DRIVER_RULES),
        "admission": rules(&JOB_RULES), "secret": rules(&SECRET_RULES), "newSecret": rules(&NEW_SECRET_RULES),
        "configurations": rules(&CONFIGURATION_RULES), "policies": rules(&POLICY_RULES), "judging": rules(&POLICY_JOB_RULES),
    })
}

fn object(options: &Options, api: &str, kind: &str, name: &str, namespace: Option<&str>, body: Value) -> Value {
    let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels(options)}});
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    if let (Some(object), Value::Object(body)) = (object.as_object_mut(), body) {
        object.extend(body);
    }
    object
}

/// By these the published operator's tools find it.
fn labels(options: &Options) -> Value {
    let mut labels = selector(options);
    labels["app.kubernetes.io/version"] = json!(env!("CARGO_PKG_VERSION"));
    labels
}

fn selector(options: &Options) -> Value {
    json!({
        "app.kubernetes.io/name": "spark-operator",
        "app.kubernetes.io/instance": options.name,
        COMPONENT: "controller",
    })
}

fn deployment(options: &Options, account: &str) -> Value {
    let mut arguments = vec!["operator".to_owned(), "run".to_owned()];
    match &options.namespace_selector {
        Some(selector) => arguments.push(format!("--namespace-selector={selector}")),
        None if options.job_namespaces.is_empty() => {}
        None => arguments.push(format!("--namespaces={}", options.job_namespaces.join(","))),
    }
    if options.shards > 1 {
        arguments.push(format!("--shards={}", options.shards));
    }
    if let Some(url) = &options.keep_logs {
        arguments.push(format!("--keep-logs={url}"));
    }
    arguments.push(format!("--quality-image={}", options.image));
    arguments.extend(options.policies.arguments(&options.namespace));
    let mut ports = vec![
        json!({"name": "metrics", "containerPort": 8080}),
        json!({"name": "health", "containerPort": 8081}),
    ];
    if let Some(webhook) = &options.webhook {
        arguments.extend(options.webhook_arguments(webhook));
        ports.push(json!({"name": "webhook", "containerPort": webhook.port}));
    }
    arguments.extend(["--log-format=json", "--log-level=info"].map(str::to_owned));
    let probe =
        |path: &str, seconds: u32| json!({"httpGet": {"path": path, "port": "health"}, "periodSeconds": seconds});
    json!({"spec": {
        "replicas": options.replicas,
        "selector": {"matchLabels": selector(options)},
        "template": {
            "metadata": {
                "labels": labels(options),
                "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics"},
            },
            "spec": {
                "serviceAccountName": account,
                "terminationGracePeriodSeconds": 15,
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                // The operator itself writes nothing; libraries may want a place for temporary files, and the root is read-only.
                "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
                "containers": [{
                    "name": "spark-operator-controller",
                    "image": options.image,
                    "imagePullPolicy": "IfNotPresent",
                    "args": arguments,
                    "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                    "ports": ports,
                    "livenessProbe": probe("/healthz", 10),
                    "readinessProbe": probe("/readyz", 5),
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "privileged": false,
                        "readOnlyRootFilesystem": true, "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
                    },
                }],
            },
        },
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(options: &Options) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let line = |object: &Value| {
            format!(
                "{} {} {}",
                text(&object["kind"]),
                text(&object["metadata"]["namespace"]),
                text(&object["metadata"]["name"])
            )
        };
        objects(options).iter().map(line).collect()
    }

    #[test]
    fn names_of_namespaces_need_no_right_in_the_cluster() {
        let options = Options {
            job_namespaces: vec!["a".into(), "b".into()],
            webhook: None,
            ..Options::default()
        };
        let kinds = kinds(&options);
        assert!(
            kinds
                .iter()
                .all(|kind| !kind.contains("Cluster") && !kind.contains("webhook")),
            "{kinds:?}"
        );
        for needed in [
            "Role a spark-operator-controller",
            "RoleBinding b spark-operator-spark",
            "ServiceAccount b spark-operator-spark",
        ] {
            assert!(kinds.iter().any(|kind| kind == needed), "{needed}: {kinds:?}");
        }
        let deployment = objects(&options).pop().unwrap();
        let arguments = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
        assert_eq!(arguments[2], "--namespaces=a,b");
    }

    #[test]
    fn all_namespaces_and_selected_ones_need_a_cluster_role() {
        let all = Options {
            job_namespaces: Vec::new(),
            ..Options::default()
        };
        assert!(kinds(&all).contains(&"ClusterRole  spark-operator-controller".to_owned()));
        let selected = Options {
            namespace_selector: Some("spark=yes".into()),
            ..Options::default()
        };
        let role = objects(&selected)
            .into_iter()
            .find(|object| object["kind"] == "ClusterRole" && object["metadata"]["name"] == "spark-operator-controller")
            .unwrap();
        let rules = role["rules"].as_array().unwrap();
        assert_eq!(rules.last().unwrap()["resources"], json!(["namespaces"]));
        assert_eq!(rules.len(), RULES.len() + POLICY_JOB_RULES.len() + JOB_RULES.len() + 1);
    }

    #[test]
    fn the_webhook_needs_two_named_objects_of_the_cluster_and_no_more() {
        let of_cluster: Vec<Value> = objects(&Options::default())
            .into_iter()
            .filter(|object| object["kind"] == "ClusterRole")
            .collect();
        assert_eq!(of_cluster.len(), 1);
        for rule in of_cluster[0]["rules"].as_array().unwrap() {
            assert_eq!(rule["resourceNames"], json!(["spark-operator-webhook"]));
        }
        let published = [
            "MutatingWebhookConfiguration  spark-operator-webhook",
            "ValidatingWebhookConfiguration  spark-operator-webhook",
            "Service spark-operator spark-operator-webhook-svc",
        ];
        let kinds = kinds(&Options::default());
        assert!(
            published.iter().all(|name| kinds.contains(&(*name).to_owned())),
            "{kinds:?}"
        );
    }
}
