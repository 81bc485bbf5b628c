//! What controllers do to the cluster: requests to the registry like everyone's, each controller under a name of its own.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Event, ObjectReference};
use serde_json::Value;

use crate::apimachinery::fields::{self, Manager};
use crate::apimachinery::objects::{check_kind, prune, settle_form};
use crate::apimachinery::resources::Resource;
use crate::apimachinery::status::Status;
use crate::events::{Component, EventSink, Recorder};
use crate::registry::delete::DeleteOptions;
use crate::registry::identity::Identity;
use crate::registry::patch::{Patch, PatchKind};
use crate::registry::update::OnConflict;
use crate::registry::{Registry, Request};
use crate::store::Object;

/// Field manager of the controllers.
const MANAGER: &str = "kube-controller-manager";

/// Pods made or deleted at the same time for one owner.
pub(super) const AT_ONCE: usize = 8;

impl From<Status> for String {
    fn from(refusal: Status) -> String {
        refusal.message
    }
}

impl Status {
    /// Whether the namespace is ending, so that trying again is pointless.
    pub(super) fn namespace_ends(&self) -> bool {
        self.message.contains("because it is being terminated")
    }
}

/// The client of one controller.
#[derive(Clone)]
pub(super) struct Client {
    /// The registry, whose store is read directly.
    pub registry: Arc<Registry>,
    identity: Identity,
    recorder: Recorder,
}

impl Client {
    /// A client that acts as the controller `name`, for example `replicaset-controller`.
    pub fn new(registry: &Arc<Registry>, name: &'static str) -> Client {
        Client::of(registry, Identity::controller(name), name)
    }

    /// A client that acts as the API server, for what it does by itself.
    pub fn api_server(registry: &Arc<Registry>) -> Client {
        Client::of(registry, Identity::api_server(), "kube-apiserver")
    }

    fn of(registry: &Arc<Registry>, identity: Identity, component: &'static str) -> Client {
        let sink = Sink {
            registry: registry.clone(),
            identity: identity.clone(),
        };
        Client {
            registry: registry.clone(),
            recorder: Recorder::start(sink, Component::Controller(component)),
            identity,
        }
    }

    /// Creates an object and returns it as stored.
    pub async fn create(&self, resource: &str, namespace: &str, object: &Value) -> Result<Value, Status> {
        create(&self.registry, &self.identity, resource, namespace, object.clone()).await
    }

    /// An object as it would be read from a client.
    pub fn decoded(&self, resource: &str, mut object: Value) -> Result<Value, Status> {
        let request = self.request(resource, "", "")?;
        decode(request.resource(), &mut object)?;
        Ok(object)
    }

    /// Makes pods of `owner`: one, then twice as many each time, so that an owner that cannot have any asks only once.
    pub async fn create_pods(&self, owner: &Value, namespace: &str, pods: Vec<Value>) -> Result<(), Status> {
        let mut left = pods.into_iter();
        let mut batch = 1;
        loop {
            let now: Vec<Value> = left.by_ref().take(batch).collect();
            if now.is_empty() {
                return Ok(());
            }
            let made = futures::stream::iter(now).map(|pod: Value| async move {
                let made = self.create("pods", namespace, &pod).await?;
                let name = made["metadata"]["name"].as_str().unwrap_or_default();
                self.event(owner, false, "SuccessfulCreate", format!("Created pod: {name}"));
                Ok(())
            });
            let results: Vec<Result<(), Status>> = made.buffer_unordered(AT_ONCE).collect().await;
            if let Some(refusal) = results.into_iter().find_map(Result::err) {
                if !refusal.namespace_ends() {
                    self.event(owner, true, "FailedCreate", format!("Error creating: {refusal}"));
                }
                return Err(refusal);
            }
            batch *= 2;
        }
    }

    /// Replaces an object's status.
    pub async fn update_status(&self, resource: &str, object: &Value) -> Result<Value, Status> {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let request = self
            .request(resource, text("namespace"), text("name"))?
            .subresource("status");
        let mut object = object.clone();
        decode(request.resource(), &mut object)?;
        let manager = manager(&request);
        let done = self
            .registry
            .update(&request, &object, Ok(()), &manager, &mut Vec::new())
            .await;
        Ok(done?.value())
    }

    /// Changes an object by a strategic merge patch.
    pub async fn patch(&self, resource: &str, namespace: &str, name: &str, patch: &Value) -> Result<Value, Status> {
        let request = self.request(resource, namespace, name)?;
        let patch = Patch {
            kind: PatchKind::Strategic,
            patch,
            text: &[],
            validation: "Ignore",
        };
        let manager = manager(&request);
        let done = self.registry.patch(&request, patch, &manager, &mut Vec::new()).await;
        Ok(done?.value())
    }

    /// Changes an object until no one interferes; `subresource` is empty or `status`. `change` says whether there is anything to change.
    /// One that is gone, or another one by now, is left alone.
    pub async fn change(
        &self,
        object: &Object,
        subresource: &str,
        change: impl Fn(&mut Value) -> bool,
    ) -> Result<(), Status> {
        let (key, uid) = (&object.key, &*object.fields.uid);
        let current = self
            .registry
            .store
            .get(key)
            .filter(|current| *current.fields.uid == *uid);
        if !current.is_some_and(|current| change(&mut current.value())) {
            return Ok(());
        }
        let mut request = self.request(&key.resource, &key.namespace, &key.name)?;
        if !subresource.is_empty() {
            request = request.subresource(subresource);
        }
        let edit = |old: &Value, _: &Value| {
            if old["metadata"]["uid"] != *uid {
                return Err(Status::not_found(&key.resource, &key.name));
            }
            let mut new = old.clone();
            change(&mut new);
            Ok(new)
        };
        let manager = manager(&request);
        let done = self
            .registry
            .change(&request, Some(&manager), OnConflict::Retry, edit, &mut Vec::new())
            .await;
        unless_gone(done.map(drop))
    }

    /// Lets a namespace that is ending go.
    pub async fn finalize(&self, namespace: &Object) -> Result<(), Status> {
        let request = self
            .request("namespaces", "", &namespace.key.name)?
            .subresource("finalize");
        let done = self.registry.finalize(&request, &Value::Null, &mut Vec::new()).await;
        unless_gone(done.map(drop))
    }

    /// Deletes the object with this UID. Absence is success.
    pub async fn delete(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        uid: &str,
        propagation: &str,
    ) -> Result<(), Status> {
        let request = self.request(resource, namespace, name)?;
        let options = DeleteOptions {
            uid: Some(uid.to_owned()),
            propagation: Some(propagation.to_owned()),
            ..DeleteOptions::default()
        };
        unless_gone(
            self.registry
                .delete(&request, &options, &mut Vec::new())
                .await
                .map(drop),
        )
    }

    /// Deletes an object that was found. Absence is success.
    pub async fn delete_object(&self, object: &Object, propagation: &str) -> Result<(), Status> {
        let key = &object.key;
        self.delete(
            &key.resource,
            &key.namespace,
            &key.name,
            &object.fields.uid,
            propagation,
        )
        .await
    }

    /// Records an event about an object.
    pub fn event(&self, about: &Value, warning: bool, reason: &str, message: impl Into<String>) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let metadata = &about["metadata"];
        let reference = ObjectReference {
            api_version: text(&about["apiVersion"]),
            kind: text(&about["kind"]),
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]),
            uid: text(&metadata["uid"]),
            resource_version: text(&metadata["resourceVersion"]),
            field_path: None,
        };
        self.recorder.record(reference, warning, reason, message.into());
    }

    fn request(&self, resource: &str, namespace: &str, name: &str) -> Result<Request, Status> {
        request(&self.registry, &self.identity, resource, namespace, name)
    }
}

fn unless_gone(done: Result<(), Status>) -> Result<(), Status> {
    match done {
        Err(refusal) if !matches!(refusal.code, 404 | 409) => Err(refusal),
        _ => Ok(()),
    }
}

/// A request about an object of a resource by its key, in its preferred version.
fn request(
    registry: &Registry,
    identity: &Identity,
    resource: &str,
    namespace: &str,
    name: &str,
) -> Result<Request, Status> {
    let found = registry.resources().by_key(resource);
    let found = found.ok_or_else(|| Status::new(404, "NotFound", format!("the server has no resource {resource}")))?;
    Ok(Request::new(identity.clone(), found, namespace, name))
}

fn manager(request: &Request) -> Manager {
    Manager {
        name: MANAGER.to_owned(),
        operation: "Update",
        api_version: request.resource().api_version(),
        subresource: request.target.subresource.clone().unwrap_or_default(),
    }
}

/// Reads an object as if a client had sent it.
fn decode(resource: &Resource, object: &mut Value) -> Result<(), Status> {
    check_kind(resource, object)?;
    prune(resource, object)?;
    settle_form(resource, object)
}

async fn create(
    registry: &Registry,
    identity: &Identity,
    resource: &str,
    namespace: &str,
    mut object: Value,
) -> Result<Value, Status> {
    let request = request(registry, identity, resource, namespace, "")?;
    decode(request.resource(), &mut object)?;
    let manager = manager(&request);
    let managed = |resource: &Resource, new: &mut Value| fields::record_update(resource, None, new, &manager);
    let created = registry.create(&request, object, managed, &mut Vec::new()).await?;
    Ok(created.value())
}

/// Where a controller's events go.
struct Sink {
    registry: Arc<Registry>,
    identity: Identity,
}

impl EventSink for Sink {
    async fn create(&self, namespace: &str, event: &Event) -> Result<(), String> {
        let event = serde_json::to_value(event).map_err(|error| error.to_string())?;
        let created = create(&self.registry, &self.identity, "events", namespace, event).await;
        created.map(drop).map_err(|refusal| refusal.message)
    }

    async fn patch(&self, namespace: &str, name: &str, patch: &Value) -> Result<(), String> {
        let request = request(&self.registry, &self.identity, "events", namespace, name)?;
        let patch = Patch {
            kind: PatchKind::Merge,
            patch,
            text: &[],
            validation: "Ignore",
        };
        let manager = manager(&request);
        let patched = self.registry.patch(&request, patch, &manager, &mut Vec::new()).await;
        patched.map(drop).map_err(|refusal| refusal.message)
    }
}
