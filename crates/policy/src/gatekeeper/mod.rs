//! Policies as Gatekeeper takes them: a `ConstraintTemplate` brings the Rego, constraints of its kind say where it applies and with which parameters.
//!
//! Rego sees `input.review` and `input.parameters`, and `data.inventory` where other objects are known. What is not taken is refused, not
//! skipped: templates in CEL only, targets other than admission, fields of `match` that are unknown. Parameters are not checked against the schema
//! of their template.

mod constraint;
mod selection;
mod template;

pub(crate) use constraint::Constraint;
pub(crate) use template::Template;

use serde_json::{Value, json};
use stoke_model::kubernetes::is_of_cluster;

use crate::data::Document;
use crate::problem::Problem;

/// Group of templates.
const TEMPLATES: &str = "templates.gatekeeper.sh";
/// Group of constraints.
const CONSTRAINTS: &str = "constraints.gatekeeper.sh";
/// The target that admission has.
const TARGET: &str = "admission.k8s.gatekeeper.sh";

/// What an object among the policies is.
pub(crate) enum Object {
    Template,
    Constraint,
    /// Something else.
    Other,
}

pub(crate) fn object(document: &Document) -> Object {
    let version = document.value["apiVersion"].as_str().unwrap_or_default();
    match version.split_once('/') {
        Some((TEMPLATES, _)) => Object::Template,
        Some((CONSTRAINTS, _)) => Object::Constraint,
        _ => Object::Other,
    }
}

fn complain(document: &Document, path: &str, message: impl Into<String>) -> Problem {
    document.complain("gatekeeper", path, message)
}

/// The namespace an object is in: `default` when it names none, as for kubectl; `None` for objects of the cluster.
fn namespace(object: &Value) -> Option<&str> {
    let kind = object["kind"].as_str().unwrap_or_default();
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) if !namespace.is_empty() => Some(namespace),
        _ if is_of_cluster(kind) => None,
        _ => Some("default"),
    }
}

/// What Rego sees as `input.review`: the part of an admission request that is known of an object to be created.
pub(crate) fn review(object: &Value, namespace_object: Option<&Value>) -> Value {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let mut review = json!({
        "kind": {"group": group, "version": version, "kind": object["kind"]},
        "operation": "CREATE",
        "name": object["metadata"]["name"],
        "object": object,
    });
    if let Some(namespace) = namespace(object) {
        review["namespace"] = namespace.into();
    }
    if let Some(namespace) = namespace_object {
        review["_unstable"] = json!({"namespace": namespace});
    }
    review
}

#[cfg(test)]
mod tests;
