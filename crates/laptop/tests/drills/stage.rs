//! A cluster with a node and an operator, for one run of one drill.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use kube::Client;
use kube::api::{Api, AttachParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use stoke_cluster::node::{Capacity, Image, Images, Launcher, Node, NodeConfig, PullSecret, Refused};
use stoke_cluster::scheduler::Scheduler;
use stoke_cluster::{ApiConfig, ApiServer};
use stoke_laptop::home::Home;
use stoke_laptop::runbook::Secrets;
use stoke_laptop::session::{Place, Session};
use stoke_observe::runbook::Kind;
use stoke_operator::OperatorConfig;
use stoke_operator::admission::{Terms, WebhookConfig};
use stoke_operator::connect::{Counts, Outcome, Place as Server, Usage, Visitor, Visits};
use stoke_operator::serve::{ServeConfig, serve};
use stoke_sandbox::Mount;
use stoke_storage::Access;
use tokio::sync::watch;

use super::{metastore, served};

/// The node that runs pods.
pub const NODE: &str = "drill-node";
/// The Secret with the webhook's certificates.
pub const CERTIFICATES: &str = "webhook-certificates";
/// Runs the last argument: what a driver is given, or what a pod says.
const RUN: &str = "for last in \"$@\"; do :; done; case \"$last\" in *spark-internal*) last=$CONNECT_SERVER;; '') last='exec sleep 100000';; esac; eval \"$last\"";

/// `shell:…` is there, anything else is nothing.
struct Shell;

impl Images for Shell {
    fn present(&self, image: &str) -> Result<Option<Image>, Refused> {
        match image.starts_with("shell:") {
            true => Ok(Some(Image {
                id: image.to_owned(),
                environment: vec![
                    ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
                    ("CONNECT_SERVER".into(), served::script("connect")),
                ],
                entrypoint: vec!["/bin/sh".into(), "-c".into(), RUN.into(), "run".into()],
                arguments: vec!["sleep 100000".into()],
                working_directory: "/tmp".into(),
                user: 185,
                group: 185,
                mounts: mounts(),
                ..Image::default()
            })),
            false => Err(format!("no image {image}").into()),
        }
    }

    fn pull(&self, image: &str, _: &[PullSecret]) -> Result<Image, Refused> {
        self.present(image)?.ok_or_else(|| format!("no image {image}").into())
    }
}

/// This program, event logs of real runs, and a real metastore where it was brought.
fn mounts() -> Vec<Mount> {
    let logs = stoke_testkit::generated::repository("crates/insight/tests/pairs");
    let program = std::env::current_exe().unwrap_or_default();
    let mut all = vec![
        Mount::bind(program, served::PROGRAM, true),
        Mount::bind(logs, served::LOGS, true),
    ];
    if metastore::directory().is_dir() {
        all.push(Mount::bind(metastore::directory(), metastore::HOME, true));
    }
    all
}

/// Connect servers that no one uses, greeted in fact.
struct Unused;

impl Visitor for Unused {
    fn greet<'a>(&'a self, _: &'a Client, _: &'a Server) -> BoxFuture<'a, Outcome> {
        let says = "Spark 4.1.4 answers".to_owned();
        Box::pin(async { Outcome::Answered { says } })
    }

    fn count<'a>(&'a self, _: &'a Client, _: &'a Server) -> BoxFuture<'a, Usage> {
        Box::pin(async { Usage::Known(Counts::default()) })
    }
}

pub struct Stage {
    pub session: Session,
    pub home: Home,
    /// How the object store is reached: a person may repair it.
    pub access: Mutex<Access>,
    pub secrets: Secrets,
    /// What a fault wants to remember.
    pub notes: Mutex<BTreeMap<String, String>>,
    /// What a person has to end with the stage.
    pub kept: Mutex<Vec<Box<dyn std::any::Any + Send>>>,
    node: Option<Arc<Node>>,
    scheduler: Option<Scheduler>,
    api: Option<ApiServer>,
    stop: watch::Sender<bool>,
    directory: tempfile::TempDir,
}

/// Runs to the end, at most so long.
pub fn block_on<T>(limit: Duration, future: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let result = runtime.block_on(async {
        let done = tokio::time::timeout(limit, future).await;
        done.unwrap_or_else(|_| Err(format!("not within {} s", limit.as_secs()).into()))
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

impl Stage {
    pub async fn start() -> Result<Stage, Failed> {
        let directory = tempfile::tempdir()?;
        let config = ApiConfig {
            home: directory.path().join("cluster"),
            in_memory: true,
        };
        let api = ApiServer::start(&config).await.map_err(|error| error.to_string())?;
        let client = api.client();
        let node = NodeConfig {
            name: NODE.into(),
            directory: config.home.clone(),
            uploads: None,
            subnet: api.subnet(),
            port: api.port(),
            capacity: Capacity {
                millicores: 16_000,
                memory: 32 << 30,
                disk: 1 << 40,
                pods: 110,
            },
            images: Arc::new(Shell),
            launcher: Launcher::default(),
        };
        let node = Arc::new(Node::start(node, client.clone()).await?);
        api.set_kubelet(Arc::new(Arc::downgrade(&node)));
        let scheduler = Scheduler::start(&client);
        let (stop, stopped) = watch::channel(false);
        let operator = ServeConfig {
            operator: OperatorConfig {
                visits: Visits::new(Unused),
                ..OperatorConfig::default()
            },
            webhook: Some(WebhookConfig {
                address: "127.0.0.1:0".parse()?,
                namespace: "default".into(),
                secret: CERTIFICATES.into(),
                service: "webhook".into(),
                mutating: "drill-webhook".into(),
                validating: "drill-webhook".into(),
                external: false,
                owner: None,
                terms: Terms {
                    settle: jiff::SignedDuration::from_secs(4),
                    ..Terms::default()
                },
            }),
            ..ServeConfig::default()
        };
        tokio::spawn(serve(client.clone(), operator, stopped));
        let kubeconfig = Kubeconfig::from_yaml(&api.kubeconfig())?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let home = Home::find(Some(directory.path().join("home"))).map_err(|error| error.to_string())?;
        home.create().map_err(|error| error.to_string())?;
        let stage = Stage {
            session: Session {
                client: Client::try_from(config)?,
                namespace: "default".into(),
                place: Place::Context("drill".into()),
            },
            home,
            access: Mutex::new(Access::default()),
            secrets: Secrets(BTreeMap::from([("key".to_owned(), "swordfish".to_owned())])),
            notes: Mutex::default(),
            kept: Mutex::default(),
            node: Some(node),
            scheduler: Some(scheduler),
            api: Some(api),
            stop,
            directory,
        };
        let account = json!({"metadata": {"name": "spark"}});
        let accounts = "/api/v1/namespaces/default/serviceaccounts";
        stage.post(accounts, &account).await?;
        Ok(stage)
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub async fn end(mut self) {
        let _ = self.stop.send(true);
        self.kept.lock().unwrap().clear();
        self.scheduler.take();
        if let Some(node) = self.node.take().and_then(Arc::into_inner) {
            node.stop().await;
        }
        if let Some(api) = self.api.take() {
            api.stop().await;
        }
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: &Value) -> Result<Value, Failed> {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(body)?;
        Ok(self
            .session
            .client
            .request(request)
            .await
            .map_err(|error| format!("{method} {path}: {error}"))?)
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        self.send("POST", path, "application/json", body).await
    }

    fn collection(kind: Kind) -> String {
        let (group, version, plural) = kind.api();
        let base = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        match kind.is_namespaced() {
            true => format!("{base}/namespaces/default/{plural}"),
            false => format!("{base}/{plural}"),
        }
    }

    pub async fn create(&self, kind: Kind, mut object: Value) -> Result<Value, Failed> {
        let (group, version, _) = kind.api();
        let api = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        object["apiVersion"] = api.into();
        object["kind"] = format!("{kind:?}").into();
        self.post(&Self::collection(kind), &object).await
    }

    /// An object; null when it is not there.
    pub async fn get(&self, kind: Kind, name: &str) -> Result<Value, Failed> {
        let path = format!("{}/{name}", Self::collection(kind));
        let request = http::Request::get(path).body(Vec::new())?;
        match self.session.client.request(request).await {
            Ok(object) => Ok(object),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Value::Null),
            Err(error) => Err(error.into()),
        }
    }

    pub async fn list(&self, kind: Kind) -> Result<Vec<Value>, Failed> {
        let mut list = self
            .send("GET", &Self::collection(kind), "application/json", &Value::Null)
            .await?;
        Ok(serde_json::from_value(list["items"].take())?)
    }

    pub async fn patch(&self, kind: Kind, name: &str, patch: Value) -> Result<Value, Failed> {
        let path = format!("{}/{name}", Self::collection(kind));
        self.send("PATCH", &path, "application/merge-patch+json", &patch).await
    }

    pub async fn patch_status(&self, kind: Kind, name: &str, status: Value) -> Result<Value, Failed> {
        let path = format!("{}/{name}/status", Self::collection(kind));
        self.send(
            "PATCH",
            &path,
            "application/merge-patch+json",
            &json!({"status": status}),
        )
        .await
    }

    pub async fn delete(&self, kind: Kind, name: &str) -> Result<(), Failed> {
        let path = format!("{}/{name}", Self::collection(kind));
        let options = json!({"gracePeriodSeconds": 0});
        self.send("DELETE", &path, "application/json", &options).await.map(drop)
    }

    /// Runs a program in a pod.
    pub async fn exec(&self, pod: &str, command: &[&str]) -> Result<(), Failed> {
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(self.session.client.clone(), "default");
        let terms = AttachParams::default().stderr(false);
        let mut attached = pods.exec(pod, command.iter().copied(), &terms).await?;
        let status = attached.take_status();
        attached.join().await?;
        if let Some(status) = status {
            status.await;
        }
        Ok(())
    }

    pub fn note(&self, name: &str, value: impl Into<String>) {
        self.notes.lock().unwrap().insert(name.to_owned(), value.into());
    }

    pub fn noted(&self, name: &str) -> String {
        self.notes.lock().unwrap().get(name).cloned().unwrap_or_default()
    }

    /// Keeps something until the stage ends.
    pub fn keep(&self, thing: impl std::any::Any + Send) {
        self.kept.lock().unwrap().push(Box::new(thing));
    }

    /// An application whose driver runs a script.
    pub async fn application(&self, name: &str, script: &str, more: Value) -> Result<Value, Failed> {
        let mut spec = json!({
            "type": "Python", "mode": "cluster", "image": "shell:1", "sparkVersion": "4.1.4",
            "mainApplicationFile": "local:///opt/app/main.py", "arguments": [script], "restartPolicy": {"type": "Never"},
            "driver": {"cores": 1, "memory": "512m", "serviceAccount": "spark"},
            "executor": {"instances": 1, "cores": 1, "memory": "512m"},
        });
        merge(&mut spec, more);
        self.create(
            Kind::SparkApplication,
            json!({"metadata": {"name": name}, "spec": spec}),
        )
        .await
    }

    pub async fn state(&self, application: &str) -> Result<String, Failed> {
        let object = self.get(Kind::SparkApplication, application).await?;
        Ok(object["status"]["applicationState"]["state"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    pub async fn until_state(&self, application: &str, wanted: &str) -> Result<Value, Failed> {
        self.until(wanted, async || Ok(self.state(application).await? == wanted))
            .await?;
        self.get(Kind::SparkApplication, application).await
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, holds: impl AsyncFn() -> Result<bool, Failed>) -> Result<(), Failed> {
        let begun = Instant::now();
        while !holds().await? {
            if begun.elapsed() > Duration::from_secs(90) {
                let applications = self.list(Kind::SparkApplication).await?;
                let status: Vec<&Value> = applications.iter().map(|one| &one["status"]).collect();
                let connects = self.list(Kind::SparkConnect).await?;
                return Err(format!("never {what}: {} {}", json!(status), json!(connects)).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// A pod, as Spark or someone else would make it.
    pub async fn pod(&self, name: &str, script: &str, labels: Value, more: Value) -> Result<Value, Failed> {
        let mut spec = json!({
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "shell:1", "args": [script], "resources": {"requests": {"cpu": "1", "memory": "64Mi"}}}],
        });
        merge(&mut spec, more);
        self.create(
            Kind::Pod,
            json!({"metadata": {"name": name, "labels": labels}, "spec": spec}),
        )
        .await
    }

    /// An executor of an application that runs, as its driver would ask for it.
    pub async fn executor(&self, application: &str, number: u32, script: &str) -> Result<String, Failed> {
        let app = self.get(Kind::SparkApplication, application).await?;
        let driver = self.get(Kind::Pod, &format!("{application}-driver")).await?;
        let name = format!("{application}-0123456789abcdef-exec-{number}");
        let labels = json!({
            "spark-role": "executor", "spark-exec-id": number.to_string(), "sparkoperator.k8s.io/app-name": application,
            "sparkoperator.k8s.io/launched-by-spark-operator": "true",
            "sparkoperator.k8s.io/submission-id": app["status"]["submissionID"],
            "spark-app-selector": app["status"]["sparkApplicationId"],
        });
        let owner = json!([{"apiVersion": "v1", "kind": "Pod", "name": driver["metadata"]["name"], "uid": driver["metadata"]["uid"], "controller": true}]);
        let pod = json!({
            "metadata": {"name": name, "labels": labels, "ownerReferences": owner},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [{"name": "spark-kubernetes-executor",
                "image": "shell:1", "args": [script], "resources": {"requests": {"cpu": "1", "memory": "64Mi"}}}]},
        });
        self.create(Kind::Pod, pod).await?;
        Ok(name)
    }

    pub async fn phase(&self, pod: &str) -> Result<String, Failed> {
        let pod = self.get(Kind::Pod, pod).await?;
        Ok(pod["status"]["phase"].as_str().unwrap_or_default().to_owned())
    }

    pub async fn until_phase(&self, pod: &str, wanted: &str) -> Result<(), Failed> {
        self.until(
            &format!("{pod} {wanted}"),
            async || Ok(self.phase(pod).await? == wanted),
        )
        .await
    }

    /// A second node, which takes pods and runs none of them.
    pub async fn spare_node(&self) -> Result<(), Failed> {
        self.create(Kind::Node, json!({"metadata": {"name": "spare"}})).await?;
        let status = json!({
            "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"}, "capacity": {"cpu": "8", "memory": "16Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": jiff::Timestamp::now().to_string(), "lastTransitionTime": jiff::Timestamp::now().to_string()}],
        });
        self.patch_status(Kind::Node, "spare", status).await.map(drop)
    }

    /// A Deployment or StatefulSet whose pods run a script and are ready while `/tmp/broken` is not there.
    pub async fn workload(&self, kind: Kind, name: &str, replicas: u32, script: &str) -> Result<(), Failed> {
        let probe = json!({"exec": {"command": ["sh", "-c", "test ! -e /tmp/broken"]}, "periodSeconds": 1, "failureThreshold": 1});
        self.service(kind, name, replicas, script, probe, json!({})).await
    }

    /// The same with a readiness probe of its own, and more of its spec.
    pub async fn service(
        &self,
        kind: Kind,
        name: &str,
        replicas: u32,
        script: &str,
        probe: Value,
        more: Value,
    ) -> Result<(), Failed> {
        let container = json!({
            "name": "main", "image": "shell:1", "args": [script], "readinessProbe": probe,
            "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        });
        let mut spec = json!({
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}},
        });
        if kind == Kind::StatefulSet {
            spec["serviceName"] = name.into();
        }
        merge(&mut spec, more);
        self.create(kind, json!({"metadata": {"name": name}, "spec": spec}))
            .await?;
        self.until_ready(kind, name, replicas).await
    }

    pub async fn until_ready(&self, kind: Kind, name: &str, replicas: u32) -> Result<(), Failed> {
        self.until(&format!("{name} has {replicas} ready"), async || {
            let object = self.get(kind, name).await?;
            Ok(object["status"]["readyReplicas"].as_u64().unwrap_or(0) == u64::from(replicas))
        })
        .await
    }

    /// The pods of a workload that have not ended.
    pub async fn pods_of(&self, name: &str) -> Result<Vec<String>, Failed> {
        let pods = self.list(Kind::Pod).await?;
        let own = pods
            .iter()
            .filter(|pod| pod["metadata"]["labels"]["app"] == name && pod["metadata"]["deletionTimestamp"].is_null());
        Ok(own
            .map(|pod| pod["metadata"]["name"].as_str().unwrap_or_default().to_owned())
            .collect())
    }

    /// A schedule whose runs do what a script says.
    pub async fn schedule(&self, name: &str, cron: &str, script: &str) -> Result<(), Failed> {
        let template = json!({
            "type": "Python", "mode": "cluster", "image": "shell:1", "sparkVersion": "4.1.4",
            "mainApplicationFile": "local:///opt/app/main.py", "arguments": [script], "restartPolicy": {"type": "Never"},
            "driver": {"cores": 1, "memory": "512m", "serviceAccount": "spark"},
            "executor": {"instances": 1, "cores": 1, "memory": "512m"},
        });
        let spec = json!({"schedule": cron, "timeZone": "UTC", "template": template});
        self.create(
            Kind::ScheduledSparkApplication,
            json!({"metadata": {"name": name}, "spec": spec}),
        )
        .await
        .map(drop)
    }

    /// Begins a run of a schedule now; gives its application.
    pub async fn trigger(&self, schedule: &str) -> Result<String, Failed> {
        let wish = json!({"metadata": {"annotations": {"stoke.dev/trigger": "drill"}}});
        self.patch(Kind::ScheduledSparkApplication, schedule, wish).await?;
        self.until("a run is begun", async || {
            let object = self.get(Kind::ScheduledSparkApplication, schedule).await?;
            Ok(object["status"]["lastTrigger"] == "drill" && object["status"]["lastRunName"].is_string())
        })
        .await?;
        let object = self.get(Kind::ScheduledSparkApplication, schedule).await?;
        Ok(object["status"]["lastRunName"].as_str().unwrap_or_default().to_owned())
    }
}

/// RFC 7386, without deletion.
pub fn merge(into: &mut Value, more: Value) {
    match more {
        Value::Object(more) if into.is_object() => {
            for (key, value) in more {
                merge(&mut into[key], value);
            }
        }
        more => *into = more,
    }
}
