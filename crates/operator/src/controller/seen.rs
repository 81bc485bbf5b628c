//! Objects as watches and answers bring them, without what no one here reads.
//!
//! In: JSON of the API server. Out: [`Seen`] custom resources and [`SeenPod`]s. What the operator follows is told to it a dozen times in a
//! run's life, and most of each telling (managed fields, volumes, environments) is skipped here instead of being built and dropped.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Resource;
use kube::core::{ApiResource, DynamicObject, DynamicResourceScope, NamespaceResourceScope, TypeMeta};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

/// A custom resource without its managed fields.
#[derive(Clone, Debug)]
pub(crate) struct Seen(DynamicObject);

/// A pod with the fields that decisions read: metadata but for managed fields, its node, its scheduler, the names of its containers, its status.
#[derive(Clone, Debug)]
pub(crate) struct SeenPod {
    pod: Pod,
    /// Why its spec and status, which are not here then, cannot be read.
    unreadable: Option<String>,
}

/// Metadata without managed fields.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    generate_name: Option<String>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    uid: Option<String>,
}

impl From<Metadata> for ObjectMeta {
    fn from(read: Metadata) -> Self {
        Self {
            annotations: read.annotations,
            creation_timestamp: read.creation_timestamp,
            deletion_grace_period_seconds: read.deletion_grace_period_seconds,
            deletion_timestamp: read.deletion_timestamp,
            finalizers: read.finalizers,
            generate_name: read.generate_name,
            generation: read.generation,
            labels: read.labels,
            name: read.name,
            namespace: read.namespace,
            owner_references: read.owner_references,
            resource_version: read.resource_version,
            uid: read.uid,
            ..Self::default()
        }
    }
}

impl Deref for Seen {
    type Target = DynamicObject;

    fn deref(&self) -> &DynamicObject {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Seen;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a Kubernetes object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Seen, A::Error> {
                let (mut types, mut metadata, mut data) = (TypeMeta::default(), Metadata::default(), Map::new());
                while let Some(name) = fields.next_key::<String>()? {
                    match name.as_str() {
                        "apiVersion" => types.api_version = fields.next_value()?,
                        "kind" => types.kind = fields.next_value()?,
                        "metadata" => metadata = fields.next_value()?,
                        _ => drop(data.insert(name, fields.next_value()?)),
                    }
                }
                Ok(Seen(DynamicObject {
                    types: Some(types),
                    metadata: metadata.into(),
                    data: Value::Object(data),
                }))
            }
        }
        reader.deserialize_map(Fields)
    }
}

impl Resource for Seen {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        DynamicObject::kind(of)
    }

    fn group(of: &ApiResource) -> Cow<'_, str> {
        DynamicObject::group(of)
    }

    fn version(of: &ApiResource) -> Cow<'_, str> {
        DynamicObject::version(of)
    }

    fn plural(of: &ApiResource) -> Cow<'_, str> {
        DynamicObject::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.0.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.0.metadata
    }
}

impl SeenPod {
    /// The pod, unless it cannot be read.
    pub(crate) fn well_formed(self) -> Option<Pod> {
        let Some(error) = &self.unreadable else {
            return Some(self.pod);
        };
        tracing::warn!(pod = ?self.pod.metadata.name, %error, "a pod cannot be read; it is passed over");
        None
    }
}

impl<'de> Deserialize<'de> for SeenPod {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Parts {
            #[serde(default)]
            metadata: Metadata,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Spec {
            node_name: Option<String>,
            scheduler_name: Option<String>,
            containers: Vec<Named>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Named {
            name: String,
        }
        let Parts { metadata, spec, status } = Parts::deserialize(reader)?;
        let container = |named: Named| Container {
            name: named.name,
            ..Container::default()
        };
        // One pod's trouble must not become that of its watch.
        let spec = Option::<Spec>::deserialize(spec);
        let read = spec.and_then(|spec| Ok((spec, Option::<PodStatus>::deserialize(status)?)));
        let ((spec, status), unreadable) = match read {
            Ok((spec, status)) => ((spec.unwrap_or_default(), status), None),
            Err(error) => (Default::default(), Some(error.to_string())),
        };
        let pod = Pod {
            metadata: metadata.into(),
            spec: Some(PodSpec {
                node_name: spec.node_name,
                scheduler_name: spec.scheduler_name,
                containers: spec.containers.into_iter().map(container).collect(),
                ..PodSpec::default()
            }),
            status,
        };
        Ok(Self { pod, unreadable })
    }
}

impl Resource for SeenPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        Pod::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Pod::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Pod::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Pod::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.pod.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.pod.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::application::{DriverPod, ExecutorPod};

    fn metadata() -> Value {
        json!({"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 2,
            "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-01T00:00:01Z",
            "labels": {"spark-role": "driver", "spark-exec-id": "3", "sparkoperator.k8s.io/submission-id": "s"}, "annotations": {"b": "c"},
            "finalizers": ["f"], "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "ou", "controller": true}],
            "managedFields": [{"manager": "m", "fieldsV1": {"f:metadata": {}}}]})
    }

    #[test]
    fn a_custom_resource_is_whole_but_for_its_managed_fields() {
        let object = json!({"apiVersion": "a/v1", "kind": "K", "metadata": metadata(), "spec": {"x": [1, null]}, "status": {"y": 1}, "more": 1});
        let mut whole: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        whole.metadata.managed_fields = None;
        let seen: Seen = serde_json::from_str(&object.to_string()).unwrap();
        assert_eq!(*seen, whole);
        let bare: Seen = serde_json::from_str(r#"{"metadata": {"creationTimestamp": null, "labels": null}}"#).unwrap();
        assert_eq!(bare.metadata, ObjectMeta::default());
    }

    #[test]
    fn what_is_decided_on_of_a_pod_is_there() {
        let pod = json!({"metadata": metadata(),
            "spec": {"nodeName": "x", "volumes": [{"name": "v"}], "containers": [{"name": "spark-kubernetes-driver", "image": "i"}, {"name": "own"}]},
            "status": {"phase": "Running", "reason": "r", "message": "m",
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
                "initContainerStatuses": [{"name": "init", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}],
                "containerStatuses": [{"name": "own", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}}]}});
        let whole: Pod = serde_json::from_value(pod.clone()).unwrap();
        let seen: SeenPod = serde_json::from_str(&pod.to_string()).unwrap();
        let seen = seen.well_formed().unwrap();
        assert_eq!(DriverPod::read(&seen), DriverPod::read(&whole));
        assert!(!DriverPod::read(&seen).containers.is_empty() && !DriverPod::read(&seen).held_by.is_empty());
        assert_eq!(ExecutorPod::read(&seen), ExecutorPod::read(&whole));
        let mut waiting = pod.clone();
        waiting["metadata"]["deletionTimestamp"] = Value::Null;
        waiting["spec"] = json!({"schedulerName": "mine", "containers": []});
        waiting["status"] = json!({"phase": "Pending"});
        let whole: Pod = serde_json::from_value(waiting.clone()).unwrap();
        let seen: SeenPod = serde_json::from_str(&waiting.to_string()).unwrap();
        let seen = DriverPod::read(&seen.well_formed().unwrap());
        assert_eq!(seen, DriverPod::read(&whole));
        assert!(seen.waits.is_some_and(|waits| waits.message.contains("mine")));
        let young: SeenPod = serde_json::from_str(r#"{"metadata": {"name": "a"}}"#).unwrap();
        assert!(young.well_formed().unwrap().status.is_none());
    }

    #[test]
    fn a_pod_that_cannot_be_read_is_passed_over() {
        for (field, value) in [
            ("status", json!({"phase": 7})),
            ("spec", json!(7)),
            ("spec", json!({"containers": [1]})),
        ] {
            let mut pod = json!({"metadata": {"name": "a"}});
            pod[field] = value;
            let seen: SeenPod = serde_json::from_value(pod).unwrap();
            assert_eq!(seen.meta().name.as_deref(), Some("a"));
            assert!(seen.well_formed().is_none());
        }
    }
}
