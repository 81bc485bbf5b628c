//! Events as the kubelet, the scheduler and the controllers record them: written in the background, repetitions counted instead of
//! repeated.

use std::collections::HashMap;
use std::future::Future;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::clock::seconds;

/// Where events are written.
pub(crate) trait EventSink: Send + Sync + 'static {
    /// Writes a new one.
    fn create(&self, namespace: &str, event: &Event) -> impl Future<Output = Result<(), String>> + Send;

    /// Changes one by a merge patch.
    fn patch(&self, namespace: &str, name: &str, patch: &Value) -> impl Future<Output = Result<(), String>> + Send;
}

impl EventSink for Client {
    async fn create(&self, namespace: &str, event: &Event) -> Result<(), String> {
        let api: Api<Event> = Api::namespaced(self.clone(), namespace);
        let created = api.create(&PostParams::default(), event).await;
        created.map(drop).map_err(|error| error.to_string())
    }

    async fn patch(&self, namespace: &str, name: &str, patch: &Value) -> Result<(), String> {
        let api: Api<Event> = Api::namespaced(self.clone(), namespace);
        let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map(drop).map_err(|error| error.to_string())
    }
}

/// Who records.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    queue: mpsc::UnboundedSender<Record>,
}

#[derive(Debug)]
struct Record {
    about: ObjectReference,
    warning: bool,
    reason: String,
    message: String,
    time: Timestamp,
}

/// Which component speaks, for the fields that differ between the kubelet's and the scheduler's events.
#[derive(Debug, Clone)]
pub(crate) enum Component {
    /// The kubelet of this node.
    Kubelet(String),
    /// The scheduler; its events have an `eventTime` and an action.
    Scheduler,
    /// A controller, by its name.
    Controller(&'static str),
}

impl Recorder {
    /// Starts a recorder; it ends when the last clone is dropped and all is written.
    pub(crate) fn start(sink: impl EventSink, component: Component) -> Recorder {
        let (queue, mut records) = mpsc::unbounded_channel::<Record>();
        tokio::spawn(async move {
            let mut known: HashMap<(String, String, String, String), (String, i32)> = HashMap::new();
            while let Some(record) = records.recv().await {
                // A memory of what was said recently, not of everything.
                if known.len() > 4096 {
                    known.clear();
                }
                write(&sink, &component, &mut known, record).await;
            }
        });
        Recorder { queue }
    }

    /// Records about a pod.
    pub(crate) fn pod(&self, pod: &Pod, warning: bool, reason: &str, message: impl Into<String>) {
        self.record(reference(pod, None), warning, reason, message.into());
    }

    /// Records about one container of a pod.
    pub(crate) fn container(
        &self,
        pod: &Pod,
        container: &str,
        warning: bool,
        reason: &str,
        message: impl Into<String>,
    ) {
        let init = pod
            .spec
            .iter()
            .flat_map(|spec| spec.init_containers.iter().flatten())
            .any(|c| c.name == container);
        let list = if init { "initContainers" } else { "containers" };
        let path = format!("spec.{list}{{{container}}}");
        self.record(reference(pod, Some(path)), warning, reason, message.into());
    }

    /// Warns about a Service.
    pub(crate) fn service(&self, service: &Service, reason: &str, message: &str) {
        let about = ObjectReference {
            api_version: Some("v1".to_owned()),
            field_path: None,
            kind: Some("Service".to_owned()),
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            resource_version: service.metadata.resource_version.clone(),
            uid: service.metadata.uid.clone(),
        };
        self.record(about, true, reason, message.to_owned());
    }

    /// Records about any object.
    pub(crate) fn record(&self, about: ObjectReference, warning: bool, reason: &str, message: String) {
        let record = Record {
            about,
            warning,
            reason: reason.to_owned(),
            message,
            time: crate::clock::now(),
        };
        let _ = self.queue.send(record);
    }
}

fn reference(pod: &Pod, field_path: Option<String>) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        field_path,
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        namespace: pod.metadata.namespace.clone(),
        resource_version: pod.metadata.resource_version.clone(),
        uid: pod.metadata.uid.clone(),
    }
}

async fn write(
    sink: &impl EventSink,
    component: &Component,
    known: &mut HashMap<(String, String, String, String), (String, i32)>,
    record: Record,
) {
    let namespace = record.about.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let key = (
        record.about.uid.clone().unwrap_or_default(),
        record.about.field_path.clone().unwrap_or_default(),
        record.reason.clone(),
        record.message.clone(),
    );
    if let Some((name, count)) = known.get_mut(&key) {
        *count += 1;
        let patch = json!({"count": *count, "lastTimestamp": seconds(record.time)});
        match sink.patch(&namespace, name, &patch).await {
            Ok(_) => return,
            Err(error) => tracing::debug!(%error, "an event could not be updated; it is written again"),
        }
    }
    let name = format!(
        "{}.{:x}",
        record.about.name.clone().unwrap_or_default(),
        record.time.as_nanosecond()
    );
    let event = event(component, &name, &namespace, record);
    match sink.create(&namespace, &event).await {
        Ok(_) => {
            known.insert(key, (name, 1));
        }
        Err(error) => tracing::debug!(%error, "an event could not be written"),
    }
}

fn event(component: &Component, name: &str, namespace: &str, record: Record) -> Event {
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    };
    let base = Event {
        involved_object: record.about,
        message: Some(record.message),
        metadata,
        reason: Some(record.reason),
        type_: Some(if record.warning { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    };
    match component {
        Component::Kubelet(node) => Event {
            count: Some(1),
            first_timestamp: Some(seconds(record.time)),
            last_timestamp: Some(seconds(record.time)),
            reporting_component: Some("kubelet".to_owned()),
            reporting_instance: Some(node.clone()),
            source: Some(EventSource {
                component: Some("kubelet".to_owned()),
                host: Some(node.clone()),
            }),
            ..base
        },
        Component::Controller(name) => Event {
            count: Some(1),
            first_timestamp: Some(seconds(record.time)),
            last_timestamp: Some(seconds(record.time)),
            reporting_component: Some((*name).to_owned()),
            reporting_instance: Some(String::new()),
            source: Some(EventSource {
                component: Some((*name).to_owned()),
                host: None,
            }),
            ..base
        },
        Component::Scheduler => Event {
            action: Some(
                if base.reason.as_deref() == Some("Scheduled") {
                    "Binding"
                } else {
                    "Scheduling"
                }
                .to_owned(),
            ),
            count: Some(1),
            event_time: Some(MicroTime(record.time)),
            first_timestamp: Some(seconds(record.time)),
            last_timestamp: Some(seconds(record.time)),
            reporting_component: Some("default-scheduler".to_owned()),
            reporting_instance: Some("default-scheduler-stoke".to_owned()),
            source: Some(EventSource {
                component: Some("default-scheduler".to_owned()),
                host: None,
            }),
            ..base
        },
    }
}
