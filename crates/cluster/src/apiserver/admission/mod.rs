//! Admission that users define: webhooks and validating policies.
//!
//! In: a write that the API server's own rules allow ([`Attempt`]). Out: the object as webhooks changed it, warnings, or a refusal.
//! Which configurations there are is read from the store once per change ([`configured`]); whether a rule covers a write is pure
//! ([`rules`]); a webhook is called over TLS only ([`webhook`]), a policy is evaluated in CEL within a budget ([`policy`]).
//! It never calls a webhook about the configurations themselves, nor about reviews, so that a wrong one can always be removed.

mod call;
pub mod check;
mod configured;
mod policy;
mod rules;
mod webhook;

pub use configured::Configured;

use serde_json::{Value, json};

use super::auth::{Attributes, Identity};
use super::cel;
use super::resources::{Resource, Treatment};
use super::server::Server;
use super::status::ApiError;
use crate::store::Key;

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
    pub server: &'a Server,
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
}

impl Attempt<'_> {
    /// Whether webhooks and policies have a say at all.
    fn is_exempt(&self) -> bool {
        self.resource.group == "admissionregistration.k8s.io" || self.resource.treatment == Treatment::Review
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
            .server
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
        self.server.allows(
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

/// Whether anything of this kind is configured: most clusters have nothing, and then a write costs nothing more.
pub fn is_configured(server: &Server) -> bool {
    server.admission.any(&server.store)
}

/// Lets mutating webhooks change an object; `settle` brings what they made into the form that is stored.
pub async fn mutate(
    attempt: &Attempt<'_>,
    object: &mut Value,
    settle: impl Fn(&mut Value),
    warnings: &mut Vec<String>,
) -> Result<(), ApiError> {
    if attempt.is_exempt() {
        return Ok(());
    }
    webhook::mutate(attempt, object, settle, warnings).await
}

/// Asks validating policies and validating webhooks.
pub async fn validate(
    attempt: &Attempt<'_>,
    object: Option<&Value>,
    warnings: &mut Vec<String>,
) -> Result<(), ApiError> {
    if attempt.is_exempt() {
        return Ok(());
    }
    policy::validate(attempt, object, warnings)?;
    webhook::validate(attempt, object, warnings).await
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
