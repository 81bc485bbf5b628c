//! The server, and one request that it handles.

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::response::Response;
use http::HeaderValue;

use super::openapi::Documents;
use super::webhooks;
use crate::apimachinery::request::{Form, Query};
use crate::apimachinery::resources::Resource;
use crate::kubelet::Kubelet;
use crate::registry::{Registry, Request};
use crate::store::Key;

/// The API server: HTTP before the registry. Shared by every connection and by the in-process client.
pub struct Server {
    /// The state it serves.
    pub registry: Arc<Registry>,
    /// OpenAPI documents made so far.
    pub documents: Documents,
    kubelet: OnceLock<Arc<dyn Kubelet>>,
}

impl Server {
    /// A server of this state.
    pub fn new(registry: Arc<Registry>) -> Arc<Server> {
        registry.admission.set_caller(Arc::new(webhooks::Https));
        Arc::new(Server {
            registry,
            documents: Documents::default(),
            kubelet: OnceLock::new(),
        })
    }

    /// Gives the server its node; pod logs come from there.
    pub fn set_kubelet(&self, kubelet: Arc<dyn Kubelet>) {
        // The first node stays: a cluster has one.
        let _ = self.kubelet.set(kubelet);
    }

    /// The node, once it is there.
    pub fn kubelet(&self) -> Option<&Arc<dyn Kubelet>> {
        self.kubelet.get()
    }
}

/// One request being handled.
pub struct Call {
    pub server: Arc<Server>,
    /// Who asks for what.
    pub request: Request,
    /// Query parameters.
    pub query: Query,
    /// Form of the answer.
    pub form: Form,
    /// `Content-Type` of the body, without parameters.
    pub content_type: String,
    /// `User-Agent`, the default field manager.
    pub user_agent: String,
    pub body: Bytes,
    /// Warnings to send with the answer.
    pub warnings: Vec<String>,
}

impl Call {
    /// The state.
    pub fn registry(&self) -> &Registry {
        &self.server.registry
    }

    /// The resource asked for.
    pub fn resource(&self) -> &Resource {
        self.request.resource()
    }

    /// Namespace of the path, empty for cluster-wide resources.
    pub fn namespace(&self) -> &str {
        self.request.namespace()
    }

    /// Name of the path, empty for collections.
    pub fn name(&self) -> &str {
        self.request.name()
    }

    /// Key of the object of the path.
    pub fn key(&self) -> Key {
        self.request.key()
    }

    /// Plural and group, as messages name the resource.
    pub fn qualified(&self) -> String {
        self.request.qualified()
    }
}

/// Adds the warnings of a call to its answer.
pub fn with_warnings(mut response: Response, warnings: &[String]) -> Response {
    for warning in warnings {
        let text = format!("299 - {:?}", warning.replace(['\n', '\r'], " "));
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append("warning", value);
        }
    }
    response
}

/// An answer with the call's warnings.
pub fn respond(call: &Call, code: u16, response: Response) -> Response {
    let mut response = with_warnings(response, &call.warnings);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::OK);
    response
}
