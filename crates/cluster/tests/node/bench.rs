//! A cluster with a node whose only image is this machine's shell.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::{Value, json};
use stoke_cluster::kubelet::{Kubelet, LogOptions, LogRequest};
use stoke_cluster::node::{Capacity, Image, Images, Launcher, Node, NodeConfig, PullSecret, Refused};
use stoke_cluster::scheduler::Scheduler;
use stoke_cluster::{ApiConfig, ApiServer};

/// `shell` is there, `slow` must be fetched, anything else is nothing.
struct Shell;

impl Images for Shell {
    fn present(&self, image: &str) -> Result<Option<Image>, Refused> {
        match image {
            "shell" => Ok(Some(Image {
                id: "shell@1".into(),
                environment: vec![
                    ("PATH".into(), "/usr/bin:/bin".into()),
                    ("HOME".into(), "/home/spark".into()),
                ],
                entrypoint: vec!["/bin/sh".into(), "-c".into()],
                arguments: vec!["true".into()],
                working_directory: "/opt/work".into(),
                user: 185,
                group: 185,
                writable: vec!["/opt/work".into()],
                ..Image::default()
            })),
            "slow" | "very-slow" => Ok(None),
            other => Err(format!("no local Spark is known for image {other:?}: map it").into()),
        }
    }

    fn pull(&self, image: &str, _: &[PullSecret]) -> Result<Image, Refused> {
        std::thread::sleep(Duration::from_millis(if image == "slow" { 50 } else { 2500 }));
        self.present("shell").map(Option::unwrap)
    }
}

pub struct Bench {
    pub client: Client,
    pub directory: PathBuf,
    pub node: Arc<Node>,
    _scheduler: Scheduler,
    pub api: ApiServer,
}

impl Bench {
    pub async fn start(directory: &Path) -> Bench {
        Bench::start_named(&directory.join("cluster"), "stoke-test").await
    }

    pub async fn start_named(home: &Path, name: &str) -> Bench {
        let config = ApiConfig {
            home: home.to_owned(),
            in_memory: true,
        };
        let api = ApiServer::start(&config).await.unwrap();
        Bench::with_node(api, home.to_owned(), name).await
    }

    /// The same cluster with its node gone, as if killed, and another in its place.
    pub async fn with_new_node(self, name: &str) -> Bench {
        let Bench {
            api, directory, node, ..
        } = self;
        drop(Arc::into_inner(node).unwrap());
        Bench::with_node(api, directory, name).await
    }

    async fn with_node(api: ApiServer, home: PathBuf, name: &str) -> Bench {
        let client = api.client();
        let config = NodeConfig {
            name: name.into(),
            directory: home.clone(),
            uploads: None,
            subnet: api.subnet(),
            port: api.port(),
            capacity: Capacity {
                millicores: 4000,
                memory: 8 << 30,
                disk: 1 << 40,
                pods: 110,
            },
            images: Arc::new(Shell),
            launcher: Launcher::default(),
        };
        let node = Arc::new(Node::start(config, client.clone()).await.unwrap());
        api.set_kubelet(Arc::new(Arc::downgrade(&node)));
        Bench {
            _scheduler: Scheduler::start(&client),
            client,
            directory: home,
            node,
            api,
        }
    }

    /// The administrator's kubeconfig.
    #[allow(
        dead_code,
        reason = "the tests of the node need no other client; the conformance suite does"
    )]
    pub fn kubeconfig(&self) -> String {
        self.api.kubeconfig()
    }

    pub async fn stop(self) {
        self.node.stop().await;
        self.api.stop().await;
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    /// Creates a pod from its spec; the image of its containers is the shell unless they name one.
    pub async fn create(&self, name: &str, mut spec: Value) -> Pod {
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                if container.get("image").is_none() {
                    container["image"] = json!("shell");
                }
            }
        }
        spec["terminationGracePeriodSeconds"] = spec.get("terminationGracePeriodSeconds").cloned().unwrap_or(json!(5));
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec});
        self.pods()
            .create(&PostParams::default(), &serde_json::from_value(pod).unwrap())
            .await
            .unwrap()
    }

    /// A pod of one container that runs a script and never again.
    pub async fn script(&self, name: &str, script: &str) -> Pod {
        self.create(
            name,
            json!({"restartPolicy": "Never", "containers": [{"name": "main", "args": [script]}]}),
        )
        .await
    }

    /// Waits until the pod satisfies `condition`.
    pub async fn until(&self, name: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        let mut last = Value::Null;
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(pod) = self.pods().get_opt(name).await.unwrap() {
                last = serde_json::to_value(&pod).unwrap();
                if condition(&last) {
                    return last;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!(
            "{name} never became {what}: {}",
            serde_json::to_string_pretty(&last["status"]).unwrap()
        );
    }

    pub async fn until_phase(&self, name: &str, phase: &str) -> Value {
        self.until(name, phase, |pod| pod["status"]["phase"] == phase).await
    }

    /// Waits until the pod's object is gone.
    pub async fn until_gone(&self, name: &str) {
        let start = Instant::now();
        while self.pods().get_opt(name).await.unwrap().is_some() {
            assert!(start.elapsed() < Duration::from_secs(20), "{name} was never deleted");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn delete(&self, name: &str, grace: u32) {
        let parameters = DeleteParams {
            grace_period_seconds: Some(grace),
            ..DeleteParams::default()
        };
        self.pods().delete(name, &parameters).await.unwrap();
    }

    /// The log of a container, without following it.
    pub async fn log(&self, pod: &Pod, container: &str) -> String {
        self.log_with(pod, container, LogOptions::default()).await
    }

    pub async fn log_with(&self, pod: &Pod, container: &str, options: LogOptions) -> String {
        let request = LogRequest {
            namespace: "default".into(),
            pod: pod.metadata.name.clone().unwrap(),
            uid: pod.metadata.uid.clone().unwrap(),
            container: container.into(),
            options,
        };
        let parts: Vec<bytes::Bytes> = self.node.logs(request).await.unwrap().collect().await;
        String::from_utf8(parts.concat()).unwrap()
    }

    /// Events about a pod as `reason: message`, in order, once there are as many as `count`.
    pub async fn events(&self, pod: &Pod, count: usize) -> Vec<String> {
        let api: Api<Event> = Api::default_namespaced(self.client.clone());
        let start = Instant::now();
        loop {
            let mut events: Vec<Event> = api.list(&ListParams::default()).await.unwrap().items;
            events.retain(|event| event.involved_object.uid == pod.metadata.uid);
            if events.len() >= count || start.elapsed() > Duration::from_secs(5) {
                let time = |event: &Event| {
                    let name = event.metadata.name.clone().unwrap_or_default();
                    u128::from_str_radix(name.rsplit('.').next().unwrap(), 16).unwrap()
                };
                events.sort_by_key(time);
                return events
                    .iter()
                    .map(|e| format!("{}: {}", e.reason.clone().unwrap(), e.message.clone().unwrap()))
                    .collect();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Every status of a pod after its creation, until `phase`.
    pub async fn history(&self, pod: &Pod, phase: &str) -> Vec<Value> {
        let (name, created) = (
            pod.metadata.name.clone().unwrap(),
            pod.metadata.resource_version.clone().unwrap(),
        );
        let parameters = WatchParams::default().fields(&format!("metadata.name={name}"));
        let stream = self.pods().watch(&parameters, &created).await.unwrap();
        futures::pin_mut!(stream);
        let mut seen = Vec::new();
        while let Some(event) = stream.next().await {
            if let WatchEvent::Added(pod) | WatchEvent::Modified(pod) = event.unwrap() {
                let status = serde_json::to_value(pod.status).unwrap();
                let last = status["phase"] == phase;
                seen.push(status);
                if last {
                    break;
                }
            }
        }
        seen
    }
}

/// The state of a container in a pod.
pub fn state<'a>(pod: &'a Value, list: &str, name: &str) -> &'a Value {
    pod["status"][list]
        .as_array()
        .into_iter()
        .flatten()
        .find(|status| status["name"] == name)
        .unwrap_or(&Value::Null)
}
