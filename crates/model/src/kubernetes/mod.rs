//! Kubernetes' own kinds, by version: which there are, and which fields they have.
//!
//! In: a [`Document`] of a manifest and the [`Release`] it is for. Out: complaints in the words of our own kinds: unknown and misspelt fields, wrong
//! types, missing and forbidden values, and API versions or fields that this release does not have, with what stands in their place.
//! [`selection`] tells which nodes a pod may be on. The facts are in `api.txt`, from the OpenAPI that Kubernetes publishes for each release (`scripts/record-kubernetes-api`).

mod cluster;
pub mod fields;
mod others;
mod release;
pub mod selection;
mod table;

pub use others::{Retired, retired};
pub use release::{BadRelease, Release};
pub use table::{Resource, Standing, groups, is_of_cluster, part, resource, schema, standing};

use crate::manifest::{Document, Step, nearest, parse_path};
use crate::schema;
use stoke_diagnostics::{Diagnostic, Fix, Severity};

/// What is wrong with an object of one of Kubernetes' own kinds, or of a kind of others that is known to have been retired. Of any other kind nothing is
/// said: `None`, since nothing is known of its fields.
#[must_use]
pub fn check(document: &Document, release: Release) -> Option<Vec<Diagnostic>> {
    let (api_version, kind) = (document.api_version.as_str(), document.kind.as_str());
    let complain = |severity, code, field: &str, message: String, help: String| {
        document.complain(severity, code, field, message).with_fix(help)
    };
    match table::standing(api_version, kind, release) {
        Standing::Served { alpha } => {
            let mut found = fields(document, release);
            found.extend(cluster::in_namespace(document));
            if alpha {
                let message =
                    format!("`{api_version}` is an alpha API: a cluster serves it only where it is turned on");
                let help = "turn it on with --runtime-config of the API server, or do without it".to_owned();
                found.push(complain(
                    Severity::Warning,
                    "kubernetes-alpha-api",
                    "apiVersion",
                    message,
                    help,
                ));
            }
            Some(found)
        }
        Standing::Removed { last, instead } => {
            let message =
                format!("Kubernetes {release} has no `{kind}` in `{api_version}`: {last} was the last that had it");
            let help = match instead {
                Some(instead) => format!("write `{instead}`; look for fields that changed with it"),
                None => format!("remove it; no API version of Kubernetes {release} has this kind"),
            };
            Some(vec![complain(
                Severity::Error,
                "kubernetes-removed-api",
                "apiVersion",
                message,
                help,
            )])
        }
        Standing::Newer { first, instead } => {
            let message = format!("Kubernetes {release} has no `{kind}` in `{api_version}`: it came with {first}");
            let help = match instead {
                Some(instead) => format!("write `{instead}`, or use Kubernetes {first} or later"),
                None => format!("use Kubernetes {first} or later"),
            };
            Some(vec![complain(
                Severity::Error,
                "kubernetes-newer-api",
                "apiVersion",
                message,
                help,
            )])
        }
        Standing::NoSuchKind { elsewhere, kinds } => {
            let message = format!("Kubernetes has no `{kind}` in `{api_version}`");
            let (field, help) = match elsewhere {
                Some(elsewhere) => ("apiVersion", format!("write `{elsewhere}`")),
                None => match nearest(kind, kinds.iter().copied()) {
                    Some(near) => ("kind", format!("did you mean `{near}`?")),
                    None if kinds.is_empty() => ("apiVersion", format!("there is no API version `{api_version}`")),
                    None => ("kind", format!("it has {}", kinds.join(", "))),
                },
            };
            Some(vec![complain(
                Severity::Error,
                "kubernetes-no-such-kind",
                field,
                message,
                help,
            )])
        }
        Standing::Foreign => {
            let retired = others::retired(api_version, kind)?;
            let message = format!("`{kind}` of `{api_version}` is no longer served: {}", retired.since);
            let help = format!("write `{}`; look for fields that changed with it", retired.instead);
            Some(vec![complain(
                Severity::Error,
                "retired-api",
                "apiVersion",
                message,
                help,
            )])
        }
    }
}

/// Fields against the schema of the release; a field of another release says so.
fn fields(document: &Document, release: Release) -> Vec<Diagnostic> {
    let Some(of_release) = table::schema(&document.api_version, &document.kind, release) else {
        return Vec::new();
    };
    let mut found = schema::lint(&document.source, &document.node, &of_release);
    for complaint in found.iter_mut().filter(|complaint| complaint.code == "unknown-field") {
        let steps = parse_path(&complaint.path);
        let Some(Step::Key(name)) = steps.last() else { continue };
        match table::field_standing(&document.api_version, &document.kind, &steps, release) {
            Some(Standing::Newer { first, .. }) => {
                *complaint = complaint.clone().with_code("kubernetes-newer-field");
                complaint.message = format!("Kubernetes {release} does not know `{name}`: it came with {first}");
                complaint.fix = Some(Fix::from(format!(
                    "use Kubernetes {first} or later, or remove it; the API server would drop it"
                )));
            }
            Some(Standing::Removed { last, .. }) => {
                *complaint = complaint.clone().with_code("kubernetes-removed-field");
                complaint.message =
                    format!("Kubernetes {release} does not know `{name}` any more: {last} was the last");
                complaint.fix = Some("remove it; the API server would drop it".into());
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
