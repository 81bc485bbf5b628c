//! One document and what would come of it, judged by policies. Pure.
//!
//! In: a set of policies, a document, what it becomes ([`crate::derived`]) and what is known [`Around`] it. Out: [`Judgement`], in the words of the rules. The
//! gate of policies and the operator's admission both ask here.

use serde_json::Value;
use stoke_diagnostics::Diagnostic;
use stoke_model::manifest::Document;
use stoke_policy::{Facts, Known, Outcome, PolicySet, Problem, Role, Subject, Violation};

use crate::derived::Derived;

/// What is known around a document. What is not known, policies do not see.
#[derive(Clone, Debug, Default)]
pub struct Around {
    pub namespace: Option<Value>,
    /// Other objects.
    pub objects: Option<Vec<Value>>,
}

/// What policies say of a document, its configuration and its pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// What rules say, each once, in the order of their files; of the document first, then of its configuration and its pods. They have
    /// no place but a path.
    pub said: Vec<Diagnostic>,
    /// Rules that could not be evaluated: whoever asks cannot tell.
    pub problems: Vec<Problem>,
}

/// Judges a document. Where nothing is derived of it, it is judged alone.
#[must_use]
pub fn judge(set: &PolicySet, document: &Document, derived: Option<&Derived>, around: Around) -> Judgement {
    let executor = derived.and_then(executor_in_its_namespace);
    let facts = Facts::new(Known {
        application: document.is_ours().then(|| document.value.clone()),
        conf: derived.map(|derived| derived.conf.clone()),
        driver: derived.map(|derived| derived.driver.clone()),
        executor: executor.clone(),
        namespace: around.namespace,
        objects: around.objects,
        ..Known::default()
    });
    let mut outcome = set.evaluate(&Subject::Object(&document.value), &facts);
    if let Some(derived) = derived {
        outcome.extend(of_application(set, document, derived, executor.as_ref(), &facts));
    }
    let mut judgement = Judgement::default();
    for violation in outcome.violations {
        let judged = judged(document, violation);
        // What is said of driver, executor and application alike is said once.
        if !judgement.said.contains(&judged) {
            judgement.said.push(judged);
        }
    }
    for problem in outcome.problems {
        if !judgement.problems.contains(&problem) {
            judgement.problems.push(problem);
        }
    }
    judgement
}

/// The executor's pod. Spark names its namespace only when it creates it, and a pod without one would be judged as one of `default`.
fn executor_in_its_namespace(derived: &Derived) -> Option<Value> {
    let mut pod = derived.executor.clone()?;
    let namespace = derived.driver["metadata"]["namespace"].clone();
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        metadata.entry("namespace").or_insert(namespace);
    }
    Some(pod)
}

fn of_application(
    set: &PolicySet,
    document: &Document,
    derived: &Derived,
    executor: Option<&Value>,
    facts: &Facts,
) -> Outcome {
    let mut outcome = set.evaluate(
        &Subject::Conf {
            application: &document.value,
            conf: &derived.conf,
        },
        facts,
    );
    let pods = [(Role::Driver, Some(&derived.driver)), (Role::Executor, executor)];
    for (role, pod) in pods {
        if let Some(pod) = pod {
            outcome.extend(set.evaluate(&Subject::Pod { role, pod }, facts));
        }
    }
    outcome
}

fn judged(document: &Document, violation: Violation) -> Diagnostic {
    let severity = violation.effect.severity();
    // A path of a derived pod is none of the manifest.
    let path = violation
        .path
        .filter(|path| document.node.lookup(path).is_some() || path.starts_with("metadata."))
        .unwrap_or_default();
    let message = match violation.subject.split(' ').next() {
        Some("driver" | "executor" | "configuration") => format!("{}: {}", violation.subject, violation.message),
        _ => violation.message,
    };
    let own = violation.details.as_ref().and_then(|details| details["fix"].as_str());
    let place = (!violation.file.is_empty()).then(|| format!("the rule is {}:{}", violation.file, violation.line));
    let fix: Vec<String> = own.map(str::to_owned).into_iter().chain(place).collect();
    let code = format!("policy/{}.{}", violation.policy, violation.rule);
    let said = Diagnostic::new(severity, code, message).with_path(path);
    match fix.is_empty() {
        true => said,
        false => said.with_fix(fix.join("; ")),
    }
}
