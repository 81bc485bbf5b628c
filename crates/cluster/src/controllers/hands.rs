//! What controllers do to the cluster: requests through the API server like everybody's, under a name of their own.

use std::sync::Arc;

use futures::StreamExt;
use http::{Method, Request};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use serde_json::{Value, json};
use tower::ServiceBuilder;

use crate::apiserver::auth::Identity;
use crate::apiserver::resources::Resource;
use crate::apiserver::server::Server;
use crate::node::events::{Component, Recorder};

/// Field manager of the controllers.
const MANAGER: &str = "kube-controller-manager";

/// Pods made or deleted at the same time for one owner.
pub(super) const AT_ONCE: usize = 8;

/// A request the API server refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// HTTP code; 0 if the server did not answer.
    pub code: u16,
    /// Kubernetes' word.
    pub reason: String,
    /// Sentence.
    pub message: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

impl From<Refusal> for String {
    fn from(refusal: Refusal) -> String {
        refusal.message
    }
}

impl Refusal {
    /// Whether the namespace is ending, so that trying again is pointless.
    pub fn namespace_ends(&self) -> bool {
        self.message.contains("because it is being terminated")
    }
}

/// The hands of one controller.
#[derive(Clone)]
pub(super) struct Hands {
    /// The server, whose store is read directly.
    pub server: Arc<Server>,
    client: Client,
    recorder: Recorder,
}

impl Hands {
    /// Hands that act as `name`, for example `replicaset-controller`.
    pub fn new(server: &Arc<Server>, name: &'static str) -> Hands {
        let identity = Identity::controller(name);
        let service = ServiceBuilder::new()
            .map_request(move |request: Request<kube::client::Body>| {
                let mut request = request.map(axum::body::Body::new);
                request.extensions_mut().insert(identity.clone());
                request
            })
            .service(server.router());
        let client = Client::new(service, "default");
        Hands {
            server: server.clone(),
            recorder: Recorder::start(client.clone(), Component::Controller(name)),
            client,
        }
    }

    /// Creates an object and returns it as stored.
    pub async fn create(&self, plural: &str, namespace: &str, object: &Value) -> Result<Value, Refusal> {
        let path = self.path(plural, namespace, "", "")?;
        self.send(Method::POST, &path, "application/json", Some(object)).await
    }

    /// Makes pods of `owner`: one, then twice as many each time, so that an owner that cannot have any asks only once.
    pub async fn create_pods(&self, owner: &Value, namespace: &str, pods: Vec<Value>) -> Result<(), Refusal> {
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
                self.say(owner, false, "SuccessfulCreate", format!("Created pod: {name}"));
                Ok(())
            });
            let results: Vec<Result<(), Refusal>> = made.buffer_unordered(AT_ONCE).collect().await;
            if let Some(refusal) = results.into_iter().find_map(Result::err) {
                if !refusal.namespace_ends() {
                    self.say(owner, true, "FailedCreate", format!("Error creating: {refusal}"));
                }
                return Err(refusal);
            }
            batch *= 2;
        }
    }

    /// Replaces an object's status.
    pub async fn replace_status(&self, plural: &str, object: &Value) -> Result<Value, Refusal> {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let path = self.path(plural, text("namespace"), text("name"), "status")?;
        self.send(Method::PUT, &path, "application/json", Some(object)).await
    }

    /// Changes an object by a strategic merge patch.
    pub async fn patch(&self, plural: &str, namespace: &str, name: &str, patch: &Value) -> Result<Value, Refusal> {
        let path = self.path(plural, namespace, name, "")?;
        let kind = "application/strategic-merge-patch+json";
        self.send(Method::PATCH, &path, kind, Some(patch)).await
    }

    /// Deletes the object with this UID. Absence is success.
    pub async fn delete(
        &self,
        plural: &str,
        namespace: &str,
        name: &str,
        uid: &str,
        propagation: &str,
    ) -> Result<(), Refusal> {
        let path = self.path(plural, namespace, name, "")?;
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation,
            "preconditions": {"uid": uid}});
        let done = self
            .send(Method::DELETE, &path, "application/json", Some(&options))
            .await;
        match done {
            Err(refusal) if refusal.code != 404 && refusal.code != 409 => Err(refusal),
            _ => Ok(()),
        }
    }

    /// Records an event about an object.
    pub fn say(&self, about: &Value, warning: bool, reason: &str, message: impl Into<String>) {
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

    fn path(&self, plural: &str, namespace: &str, name: &str, subresource: &str) -> Result<String, Refusal> {
        let registry = self.server.registry();
        let resource = registry.by_key(plural).ok_or_else(|| Refusal {
            code: 404,
            reason: "NotFound".into(),
            message: format!("the server has no resource {plural}"),
        })?;
        Ok(path_of(&resource, namespace, name, subresource))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let unsent = |message: String| Refusal {
            code: 0,
            reason: String::new(),
            message,
        };
        let bytes = body.map(|value| value.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{path}?fieldManager={MANAGER}"))
            .header("content-type", content_type)
            .body(bytes)
            .map_err(|error| unsent(error.to_string()))?;
        self.client.request(request).await.map_err(|error| match error {
            kube::Error::Api(status) => Refusal {
                code: status.code,
                reason: status.reason.clone(),
                message: status.message.clone(),
            },
            other => unsent(other.to_string()),
        })
    }
}

fn path_of(resource: &Resource, namespace: &str, name: &str, subresource: &str) -> String {
    let mut path = if resource.group.is_empty() {
        format!("/api/{}", resource.version)
    } else {
        format!("/apis/{}/{}", resource.group, resource.version)
    };
    if resource.namespaced {
        path.push_str("/namespaces/");
        path.push_str(namespace);
    }
    for part in [resource.plural.as_str(), name, subresource] {
        if !part.is_empty() {
            path.push('/');
            path.push_str(part);
        }
    }
    path
}
