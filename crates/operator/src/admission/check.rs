//! One object to a verdict: the rules of manifests, what a submission of it would be refused for, and the sizes of its pods. Pure.
//!
//! An edit is refused only for what it brings: what was wrong before is a warning, so that an old object can still be labelled, suspended or
//! fixed step by step.

use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity, has_errors};
use stoke_gate::derived;
use stoke_gate::sizing::Allowed;
use stoke_model::manifest;
use stoke_model::{annotations, names};
use stoke_submit::application::Settings;

/// An object that is about to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its kind, one of ours.
    pub kind: &'a str,
    pub namespace: &'a str,
    /// As it would be stored.
    pub object: &'a Value,
    /// As it is stored now, when it is.
    pub old: Option<&'a Value>,
}

/// What is said about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Why it is refused; empty when it is not.
    pub errors: Vec<Diagnostic>,
    /// What its author should know.
    pub warnings: Vec<Diagnostic>,
}

impl Verdict {
    /// The whole refusal, one line per error.
    #[must_use]
    pub fn refusal(&self) -> String {
        match self.errors.as_slice() {
            [one] => one.line(),
            errors => errors.iter().fold(format!("{} errors", errors.len()), |text, one| {
                format!("{text}\n- {}", one.line())
            }),
        }
    }
}

/// Whether an edit changes what runs, or what is asked for by annotation. What does not is let pass: finalizers, labels, a status.
#[must_use]
pub fn changes_what_runs(object: &Value, old: &Value) -> bool {
    let asked = |object: &Value| -> Vec<(String, Value)> {
        let all = object["metadata"]["annotations"].as_object().into_iter().flatten();
        let ours = all.filter(|(name, _)| name.starts_with(annotations::PREFIX));
        let mut ours: Vec<_> = ours.map(|(name, text)| (name.clone(), text.clone())).collect();
        ours.sort_by(|(one, _), (other, _)| one.cmp(other));
        ours
    };
    crate::names::spec_digest(&object["spec"]) != crate::names::spec_digest(&old["spec"]) || asked(object) != asked(old)
}

/// The verdict, by the operator's settings and by what the namespace allows.
#[must_use]
pub fn check(subject: &Subject<'_>, settings: &Settings, allowed: &Allowed) -> Verdict {
    let mut verdict = Verdict::default();
    for found in findings(subject.kind, subject.namespace, subject.object, settings, allowed) {
        match found.severity {
            Severity::Error => verdict.errors.push(found),
            _ => verdict.warnings.push(found),
        }
    }
    if let (Some(old), false) = (subject.old, verdict.errors.is_empty()) {
        let before = findings(subject.kind, subject.namespace, old, settings, allowed);
        let (known, new): (Vec<Diagnostic>, Vec<Diagnostic>) =
            verdict.errors.into_iter().partition(|found| before.contains(found));
        verdict.errors = new;
        verdict.warnings.splice(0..0, known);
    }
    verdict
}

fn findings(kind: &str, namespace: &str, object: &Value, settings: &Settings, allowed: &Allowed) -> Vec<Diagnostic> {
    let (documents, mut complaints) = manifest::check(kind, &written(object, namespace).to_string());
    // The operator has one for them.
    complaints.retain(|complaint| complaint.code != "missing-image" || settings.default_image.is_none());
    // The author never saw the text that was read here; a path is all the place there is.
    let mut found: Vec<Diagnostic> = complaints.into_iter().map(Diagnostic::without_place).collect();
    let is_wrong = has_errors(&found);
    if let (Some(document), false) = (documents.first(), is_wrong) {
        let remarks = derived::remarks(document, namespace, settings, allowed);
        found.extend(remarks);
    }
    found
}

/// The object as its author wrote it, with the namespace it goes to and the name it will have.
pub(crate) fn written(object: &Value, namespace: &str) -> Value {
    let mut object = object.clone();
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    object
}

/// True for the kinds that are checked here.
#[must_use]
pub fn is_ours(group: &str, kind: &str) -> bool {
    group == names::GROUP && stoke_model::crd::KINDS.contains(&kind)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
