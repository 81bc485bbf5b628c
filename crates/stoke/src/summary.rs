//! What is said when an application has ended.

use kube::ResourceExt;
use serde_json::{Value, json};
use stoke_diagnostics::{Diagnostic, Evidence};
use stoke_laptop::follow::Seen;
use stoke_laptop::progress::cause;
use stoke_model::crd::ApplicationStateType;
use stoke_model::units::people::{counted, elapsed as duration};

use crate::terminal::{Terminal, bold, dim, green, red};

/// Findings shown at the end of a run; `stoke doctor` shows all of them, with everything there is to them.
const SHOWN: usize = 3;

/// Prints the summary.
pub fn print(seen: &Seen, findings: &[Diagnostic], log_hint: Option<&str>, terminal: &mut Terminal) {
    let name = seen.application.name_any();
    let status = seen.application.status.clone().unwrap_or_default();
    let completed = status.app_state.state == ApplicationStateType::Completed;
    let word = if completed { green("COMPLETED") } else { red("FAILED") };
    let (stages, tasks, lost) = seen.progress.totals();
    let mut facts = vec![
        counted(stages, "stage"),
        counted(tasks, "task"),
        counted(seen.executors.len(), "executor"),
    ];
    if lost > 0 {
        facts.push(format!("{} lost", counted(lost, "task")));
    }
    if status.execution_attempts > 1 {
        facts.push(counted(status.execution_attempts, "attempt"));
    }
    terminal.note(format!(
        "{} {word} in {}  {}",
        bold(&name),
        duration(seen.elapsed),
        dim(facts.join(", "))
    ));
    if !completed {
        if !status.app_state.error_message.is_empty() {
            terminal.note(format!("  {}", status.app_state.error_message));
        }
        for line in causes(seen) {
            terminal.note(format!("  {line}"));
        }
    }
    for (reason, pods) in bad_executors(seen) {
        terminal.note(format!(
            "  {} ended with {reason}: {}",
            counted(pods.len(), "executor"),
            pods.join(", ")
        ));
    }
    for finding in findings.iter().take(SHOWN) {
        terminal.note(format!("  {}: {}", bold(&finding.code), finding.message));
        if let Some(Evidence { place, seen }) = finding.evidence.first() {
            terminal.note(dim(format!("    {place}: {}", seen.lines().next().unwrap_or_default())));
        }
        terminal.note(format!(
            "    fix: {}",
            finding.fix_text().lines().next().unwrap_or_default()
        ));
    }
    if !findings.is_empty() {
        terminal.note(dim(format!("  all of it: stoke doctor {name}")));
    }
    if let Some(hint) = log_hint {
        terminal.note(dim(format!("  {hint}")));
    }
}

fn causes(seen: &Seen) -> Vec<String> {
    cause(seen.tail.iter().map(String::as_str)).unwrap_or_default()
}

fn bad_executors(seen: &Seen) -> Vec<(String, Vec<String>)> {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for (pod, reason) in &seen.executors {
        // Executors that Spark ended itself (143) are not news.
        let Some(reason) = reason.as_ref().filter(|reason| !reason.contains("(143)")) else {
            continue;
        };
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, pods)) => pods.push(pod.clone()),
            None => reasons.push((reason.clone(), vec![pod.clone()])),
        }
    }
    reasons
}

/// The summary for programs.
pub fn to_json(seen: &Seen, findings: &[Diagnostic]) -> Value {
    let (stages, tasks, lost) = seen.progress.totals();
    let status = seen.application.status.clone().unwrap_or_default();
    json!({
        "name": seen.application.name_any(),
        "namespace": seen.application.namespace(),
        "state": status.app_state.state,
        "errorMessage": status.app_state.error_message,
        "cause": causes(seen),
        "exitCode": seen.exit_code(),
        "seconds": seen.elapsed.as_secs_f64(),
        "attempts": status.execution_attempts,
        "sparkApplicationId": status.spark_application_id,
        "stages": stages,
        "tasks": tasks,
        "tasksLost": lost,
        "executors": seen.executors,
        "findings": findings,
    })
}
