//! The binding subresource of pods: a pod gets its node, once.

use serde_json::{Value, json};

use super::{Registry, Request, refused_write};
use crate::apimachinery::meta::now;
use crate::apimachinery::status::Status;
use crate::store::{Write, WriteKind};

impl Registry {
    /// Puts the pod of a request on the node that a Binding names.
    ///
    /// # Errors
    /// The pod is not there, another one, ending, or on a node already.
    pub async fn bind(&self, request: &Request, binding: &Value) -> Result<(), Status> {
        let node = binding["target"]["name"].as_str().filter(|name| !name.is_empty());
        let node = node.ok_or_else(|| Status::bad_request("Binding: target.name: Required value"))?;
        let uid = binding["metadata"]["uid"].as_str().unwrap_or_default();
        let (qualified, name) = (request.qualified(), request.name());
        let pod = self
            .store
            .get(&request.key())
            .ok_or_else(|| Status::not_found("pods", name))?;
        let mut value = pod.value();
        if !uid.is_empty() && *uid != *pod.fields.uid {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                pod.fields.uid
            );
            return Err(Status::conflict(&qualified, name, why));
        }
        if pod.fields.deleting {
            let why = format!("pod {name} is being deleted, cannot be assigned to a host");
            return Err(Status::conflict(&qualified, name, why));
        }
        if let Some(there) = value["spec"]["nodeName"].as_str().filter(|name| !name.is_empty()) {
            let why = format!("pod {name} is already assigned to node {there:?}");
            return Err(Status::conflict("pods/binding", name, why));
        }
        value["spec"]["nodeName"] = node.into();
        let scheduled =
            json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now()});
        let conditions = value["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let others = conditions
            .into_iter()
            .filter(|condition| condition["type"] != "PodScheduled");
        value["status"]["conditions"] = others.chain([scheduled]).collect();
        let expected = pod.revision;
        let write = Write::new(request.key(), WriteKind::Update { expected }, &mut value);
        let written = self.store.write(write).await;
        written
            .map(drop)
            .map_err(|error| refused_write(error, &qualified, name))
    }
}
