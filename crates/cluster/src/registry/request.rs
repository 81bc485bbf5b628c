//! What is asked of the registry, and what it came to.

use std::sync::Arc;

use serde_json::Value;

use super::identity::Identity;
use crate::apimachinery::request::Target;
use crate::apimachinery::resources::Resource;
use crate::store::{Key, Object};

/// Who asks for something, and about which object.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks.
    pub identity: Identity,
    /// What it is about.
    pub target: Target,
    /// Nothing is stored.
    pub dry_run: bool,
}

impl Request {
    /// A request about one object, or about a collection if the name is empty.
    pub fn new(identity: Identity, resource: Arc<Resource>, namespace: &str, name: &str) -> Request {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Request {
            identity,
            target: Target {
                namespace: some(namespace).filter(|_| resource.namespaced),
                resource,
                name: some(name),
                subresource: None,
            },
            dry_run: false,
        }
    }

    /// The same about a subresource.
    pub fn subresource(mut self, name: &str) -> Request {
        self.target.subresource = Some(name.to_owned());
        self
    }

    /// The resource asked for.
    pub fn resource(&self) -> &Resource {
        &self.target.resource
    }

    /// Namespace, empty for cluster-wide resources.
    pub fn namespace(&self) -> &str {
        self.target.namespace.as_deref().unwrap_or_default()
    }

    /// Name, empty for collections.
    pub fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    /// Key of the object.
    pub fn key(&self) -> Key {
        Key::new(&self.resource().key, self.namespace(), self.name())
    }

    /// Plural and group, as messages name the resource.
    pub fn qualified(&self) -> String {
        self.resource().qualified()
    }
}

/// What a write came to.
pub enum Outcome {
    /// The object as stored, in its storage version.
    Stored(Arc<Object>),
    /// What would be stored, in the version of the request.
    DryRun(Box<Value>),
}

impl Outcome {
    /// The object, parsed.
    pub fn value(self) -> Value {
        match self {
            Outcome::Stored(object) => object.value(),
            Outcome::DryRun(value) => *value,
        }
    }
}
