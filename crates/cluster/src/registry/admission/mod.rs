//! Admission: what is added to a write, or refused of it, because of other objects, webhooks and policies.
//!
//! In: a write that is about to be done ([`Attempt`]). Out: the object as [`PLUGINS`] made it, warnings, what is held of quotas until the
//! write is done ([`Reservation`]), or a refusal. Every plugin is an [`Admission`], Kubernetes' own and those that ask users' webhooks
//! and policies alike, and every write passes all of them, whoever writes.
//!
//! Which configurations there are is read from the store once per change ([`configured`]); whether a rule covers a write is pure
//! ([`rules`]); a webhook is called by a [`WebhookCaller`] ([`webhook`]), a policy is evaluated in CEL within a budget ([`policy`]).
//! It never calls a webhook about the configurations themselves, nor about reviews, so that a wrong one can always be removed.

mod configured;
mod limit_ranges;
mod namespace;
mod pod_security;
mod policy;
mod priority;
mod quota;
mod rules;
mod runtime_class;
mod service_account;
mod storage;
mod tolerations;
mod webhook;

pub use configured::{Configured, WebhookCaller};

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::Registry;
use super::identity::{Attributes, Identity};
use super::ledger::Reservation;
use crate::apimachinery::cel;
use crate::apimachinery::resources::{Resource, Treatment};
use crate::apimachinery::status::Status;
use crate::store::Key;

/// One thing that may change or refuse a write.
trait Admission: Sync {
    /// Whether it has a say in such a write.
    fn handles(&self, attempt: &Attempt<'_>) -> bool;

    /// Changes the object, or refuses it. The object is null in a deletion.
    fn admit<'a>(
        &'a self,
        _attempt: &'a Attempt<'_>,
        _object: &'a mut Value,
        _warnings: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<(), Status>> {
        ready(Ok(()))
    }

    /// Refuses the object as it would be stored, after its kind had its say.
    fn validate<'a>(
        &'a self,
        _attempt: &'a Attempt<'_>,
        _object: Option<&'a Value>,
        _warnings: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<Option<Reservation>, Status>> {
        ready(Ok(None))
    }
}

/// Every plugin, in Kubernetes' order.
const PLUGINS: [&dyn Admission; 12] = [
    &namespace::NamespaceLifecycle,
    &limit_ranges::LimitRanger,
    &service_account::ServiceAccount,
    &pod_security::PodSecurity,
    &priority::Priority,
    &tolerations::DefaultTolerationSeconds,
    &storage::ClaimDefaults,
    &runtime_class::RuntimeClass,
    &webhook::Mutating,
    &policy::Policies,
    &webhook::Validating,
    &quota::ResourceQuota,
];

/// The answer of a plugin that need not wait.
fn ready<'a, T: Send + 'a>(answer: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(answer))
}

/// Lets every plugin change the object.
///
/// # Errors
/// The first refusal.
pub async fn admit(attempt: &Attempt<'_>, object: &mut Value, warnings: &mut Vec<String>) -> Result<(), Status> {
    for plugin in PLUGINS.iter().filter(|plugin| plugin.handles(attempt)) {
        plugin.admit(attempt, object, warnings).await?;
    }
    Ok(())
}

/// Asks every plugin about the object as it would be stored; gives what is held of quotas until it is.
///
/// # Errors
/// The first refusal.
pub async fn validate(
    attempt: &Attempt<'_>,
    object: Option<&Value>,
    warnings: &mut Vec<String>,
) -> Result<Option<Reservation>, Status> {
    let mut held = None;
    for plugin in PLUGINS.iter().filter(|plugin| plugin.handles(attempt)) {
        held = plugin.validate(attempt, object, warnings).await?.or(held);
    }
    Ok(held)
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed object.
    Update,
    /// A removed object.
    Delete,
}

impl Operation {
    /// As rules and reviews name it.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
        }
    }
}

/// A write that is about to be done.
pub struct Attempt<'a> {
    /// The server.
    pub registry: &'a Registry,
    /// Who writes.
    pub identity: &'a Identity,
    /// What is done.
    pub operation: Operation,
    /// Resource written.
    pub resource: &'a Resource,
    /// Subresource written, or empty.
    pub subresource: &'a str,
    /// Namespace, or empty.
    pub namespace: &'a str,
    /// Name; empty if it is not known yet.
    pub name: &'a str,
    /// The object before.
    pub old: Option<&'a Value>,
    /// Nothing will be stored.
    pub dry_run: bool,
    /// Whether webhooks and policies of users are asked: most clusters have none, and then a write costs nothing more.
    pub users: bool,
    /// Brings what webhooks made into the form that is stored.
    pub settle: &'a (dyn Fn(&mut Value) + Sync),
}

impl Attempt<'_> {
    /// Whether webhooks and policies have a say.
    fn asks_users(&self) -> bool {
        let exempt =
            self.resource.group == "admissionregistration.k8s.io" || self.resource.treatment == Treatment::Review;
        self.users && !exempt
    }

    /// Whether it is a new object of a built-in resource.
    fn creates(&self, resource: &str) -> bool {
        self.operation == Operation::Create && &*self.resource.key == resource
    }

    /// Labels of the namespace that selectors look at: the object's own for a namespace; `None` for what has no namespace.
    fn namespace_object(&self, object: Option<&Value>) -> Option<Value> {
        if &*self.resource.key == "namespaces" {
            return object.or(self.old).cloned();
        }
        if self.namespace.is_empty() {
            return None;
        }
        let found = self
            .registry
            .store
            .get(&Key::new(&"namespaces".into(), "", self.namespace));
        Some(found.map_or_else(|| json!({"metadata": {"name": self.namespace}}), |found| found.value()))
    }

    /// What reviews and expressions know of the request, as the rule that covers it sees it.
    fn request(&self, version: &str, uid: &str) -> Value {
        let resource = self.resource;
        let kind = |version: &str| match self.subresource {
            "scale" => json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}),
            _ => json!({"group": resource.group, "version": version, "kind": resource.kind}),
        };
        let named = |version: &str| json!({"group": resource.group, "version": version, "resource": resource.plural});
        let options = match self.operation {
            Operation::Create => "CreateOptions",
            Operation::Update => "UpdateOptions",
            Operation::Delete => "DeleteOptions",
        };
        let mut options = json!({"kind": options, "apiVersion": "meta.k8s.io/v1"});
        if self.dry_run {
            options["dryRun"] = json!(["All"]);
        }
        let mut request = json!({
            "uid": uid, "kind": kind(version), "resource": named(version), "requestKind": kind(&resource.version),
            "requestResource": named(&resource.version), "name": self.name, "operation": self.operation.name(),
            "userInfo": self.identity.json(), "dryRun": self.dry_run, "options": options,
        });
        if !self.namespace.is_empty() {
            request["namespace"] = self.namespace.into();
        }
        if !self.subresource.is_empty() {
            request["subResource"] = self.subresource.into();
            request["requestSubResource"] = self.subresource.into();
        }
        request
    }

    /// Answers the `authorizer` of expressions.
    fn allows(&self, question: &cel::Question) -> bool {
        let identity = match &question.account {
            Some((namespace, name)) => Identity::certificate(
                &format!("system:serviceaccount:{namespace}:{name}"),
                vec![
                    "system:serviceaccounts".into(),
                    format!("system:serviceaccounts:{namespace}"),
                ],
            ),
            None => self.identity.clone(),
        };
        if question.path.is_some() {
            return identity.groups.iter().any(|group| group == "system:masters");
        }
        self.registry.allows(
            &identity,
            &Attributes {
                verb: &question.verb,
                group: question.group.as_deref().unwrap_or_default(),
                resource: &question.resource,
                subresource: &question.subresource,
                namespace: &question.namespace,
                name: &question.name,
            },
        )
    }
}

/// What an expression about a request can name.
struct Facts<'f> {
    attempt: &'f Attempt<'f>,
    object: Option<&'f Value>,
    old: Option<&'f Value>,
    request: &'f Value,
    params: Option<&'f Value>,
    namespace: Option<&'f Value>,
    policy: bool,
    variables: &'f [(String, cel::Program)],
    known: std::cell::RefCell<Vec<(String, Result<cel::Value<'f>, cel::EvalError>)>>,
}

impl<'f> cel::Variables<'f> for Facts<'f> {
    fn get(&self, name: &str) -> Option<cel::Value<'f>> {
        let of = |json: Option<&'f Value>| json.map_or(cel::Value::Null, |json| cel::Value::of(json, None));
        Some(match name {
            "object" => of(self.object),
            "oldObject" => of(self.old),
            "request" => of(Some(self.request)),
            "params" if self.policy => of(self.params),
            "namespaceObject" if self.policy => of(self.namespace),
            "variables" if self.policy => cel::Value::PolicyVariables,
            "authorizer" => cel::Value::Question(std::sync::Arc::default()),
            "authorizer.requestResource" => cel::Value::Question(std::sync::Arc::new(cel::Question {
                group: Some(self.attempt.resource.group.clone()),
                resource: self.attempt.resource.plural.clone(),
                subresource: self.attempt.subresource.to_owned(),
                namespace: self.attempt.namespace.to_owned(),
                name: self.attempt.name.to_owned(),
                ..cel::Question::default()
            })),
            _ => return None,
        })
    }

    fn policy_variable(&self, name: &str, budget: &cel::Budget) -> Option<Result<cel::Value<'f>, cel::EvalError>> {
        if let Some((_, value)) = self.known.borrow().iter().find(|(known, _)| known == name) {
            return Some(value.clone());
        }
        // A variable sees those before it only, so this ends.
        let place = self.variables.iter().position(|(known, _)| known == name)?;
        let value = self.variables[place].1.eval(self, budget);
        self.known.borrow_mut().push((name.to_owned(), value.clone()));
        Some(value)
    }

    fn allows(&self, question: &cel::Question) -> Option<bool> {
        Some(self.attempt.allows(question))
    }
}

#[cfg(test)]
mod tests;
