//! Ephemeral volumes: a claim for each, named `<pod>-<volume>`, made from the template in the pod and owned by it, so that it goes with it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::client::Client;
use super::work::{Controller, Settled};
use crate::registry::Registry;
use crate::store::{Event, EventKind, Interest, Key, ResourceKey, Store};

const PODS: &str = "pods";
const CLAIMS: &str = "persistentvolumeclaims";

/// The controller of ephemeral volumes.
pub(super) struct Ephemeral {
    client: Client,
}

impl Ephemeral {
    /// A controller of this server's pods.
    pub fn new(registry: &Arc<Registry>) -> Ephemeral {
        Ephemeral {
            client: Client::new(registry, "ephemeral-volume-controller"),
        }
    }
}

/// The claim of a pod's volume, if it is an ephemeral one.
pub(super) fn claim_name(pod: &Value, volume: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let template = volume["ephemeral"]["volumeClaimTemplate"].is_object();
    template.then(|| format!("{}-{}", text(&pod["metadata"]["name"]), text(&volume["name"])))
}

/// The claims a pod needs.
fn claims(pod: &Value) -> Vec<Value> {
    let metadata = &pod["metadata"];
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if ended || !metadata["deletionTimestamp"].is_null() {
        return Vec::new();
    }
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let made = volumes.filter_map(|volume| {
        let name = claim_name(pod, volume)?;
        let template = &volume["ephemeral"]["volumeClaimTemplate"];
        Some(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": metadata["namespace"], "labels": template["metadata"]["labels"],
                "annotations": template["metadata"]["annotations"],
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"],
                    "controller": true, "blockOwnerDeletion": true}]},
            "spec": template["spec"]}))
    });
    made.collect()
}

impl Controller for Ephemeral {
    const NAME: &'static str = "ephemeral-volume";

    fn resource(&self) -> ResourceKey {
        PODS.into()
    }

    fn sources(&self) -> Interest {
        Interest::of(&[CLAIMS])
    }

    fn concerns(&self, _store: &Store, event: &Event) -> Vec<Key> {
        let object = &event.object;
        if event.kind != EventKind::Deleted || &*object.key.resource != CLAIMS {
            return Vec::new();
        }
        let value = object.value();
        let owners = value["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        let pods = owners.filter(|owner| owner["kind"] == "Pod" && owner["controller"] == true);
        pods.filter_map(|owner| Some(Key::new(&PODS.into(), &object.key.namespace, owner["name"].as_str()?)))
            .collect()
    }

    async fn settle(self: Arc<Self>, key: Key) -> Settled {
        let store = &self.client.registry.store;
        let Some(object) = store.get(&key) else { return Ok(None) };
        // Nearly every pod has none: that is seen without reading it.
        let sign = b"\"volumeClaimTemplate\"";
        if !object.json.windows(sign.len()).any(|part| part == sign) {
            return Ok(None);
        }
        let pod = object.value();
        for claim in claims(&pod) {
            let name = claim["metadata"]["name"].as_str().unwrap_or_default();
            // One of someone else's is not taken; the scheduler says so.
            if store.get(&Key::new(&CLAIMS.into(), &key.namespace, name)).is_some() {
                continue;
            }
            match self.client.create(CLAIMS, &key.namespace, &claim).await {
                Ok(_) => {}
                Err(refusal) if refusal.code == 409 => {}
                Err(refusal) => {
                    let message = format!("ephemeral volume controller failed to create PVC {name}: {refusal}");
                    self.client.event(&pod, true, "FailedBinding", message);
                    return Err(refusal.to_string());
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_named_after_pod_and_volume_and_owned_by_the_pod() {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"]}});
        let mut pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"volumes": [
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}, {"name": "x", "emptyDir": {}}]}});
        let made = claims(&pod);
        assert_eq!(made.len(), 1);
        assert_eq!(made[0]["metadata"]["name"], "p-scratch");
        assert_eq!(made[0]["metadata"]["ownerReferences"][0]["uid"], "u");
        assert_eq!(made[0]["spec"], template["spec"]);
        pod["status"]["phase"] = "Failed".into();
        assert!(claims(&pod).is_empty(), "a pod that ended gets nothing more");
    }
}
