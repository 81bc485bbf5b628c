//! What is said when an application has ended.

use serde_json::{Value, json};
use stoke_insight::doctor::{Evidence, Finding, examine};
use stoke_model::crd::{ApplicationStateType, SparkApplication};

use kube::ResourceExt;

use crate::follow::Seen;
use crate::gather;
use crate::home::Home;
use crate::progress::cause;
use crate::session::{Place, Session};
use crate::terminal::{Terminal, bold, dim, duration, green, red};

/// What the run means, as `stoke doctor` sees it.
#[derive(Default)]
pub struct Insight {
    findings: Vec<Finding>,
}

impl Insight {
    /// Looks at an application that has ended, and keeps what was seen when its cluster ends with it. What cannot be had is left out: the run has
    /// its result all the same.
    pub async fn of(session: &Session, application: &SparkApplication, home: &Home) -> Insight {
        let namespace = application.namespace().unwrap_or_else(|| session.namespace.clone());
        let gathered = gather::of_namespace(session, &namespace, &application.name_any(), home).await;
        let Ok(Some(gathered)) = gathered else {
            return Insight::default();
        };
        let Ok(facts) = gathered.facts().await else {
            return Insight::default();
        };
        let findings = examine(&facts);
        if matches!(session.place, Place::Private(_))
            && let Err(failure) = gather::kept::keep(gathered, home).await
        {
            tracing::warn!(
                error = failure.message,
                "what `stoke doctor` needs of this run could not be kept"
            );
        }
        Insight { findings }
    }
}

/// Findings shown at the end of a run; `stoke doctor` shows all of them, with everything there is to them.
const SHOWN: usize = 3;

/// Exit code of the process: 0 for success, the driver's own exit code after a failure where it is known, else 1.
pub fn exit_code(seen: &Seen) -> u8 {
    let Some(status) = &seen.application.status else {
        return 1;
    };
    if status.app_state.state == ApplicationStateType::Completed {
        return 0;
    }
    driver_exit_code(&status.app_state.error_message).unwrap_or(1)
}

fn driver_exit_code(message: &str) -> Option<u8> {
    let rest = message.split_once("ExitCode: ")?.1;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|code| *code != 0)
}

/// Prints the summary.
pub fn print(seen: &Seen, insight: &Insight, log_hint: Option<&str>, terminal: &mut Terminal) {
    let name = seen.application.name_any();
    let status = seen.application.status.clone().unwrap_or_default();
    let completed = status.app_state.state == ApplicationStateType::Completed;
    let word = if completed { green("COMPLETED") } else { red("FAILED") };
    let (stages, tasks, lost) = seen.progress.totals();
    let mut facts = vec![
        format!("{stages} stages"),
        format!("{tasks} tasks"),
        format!("{} executors", seen.executors.len()),
    ];
    if lost > 0 {
        facts.push(format!("{lost} tasks lost"));
    }
    if status.execution_attempts > 1 {
        facts.push(format!("{} attempts", status.execution_attempts));
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
            "  {} executor(s) ended with {reason}: {}",
            pods.len(),
            pods.join(", ")
        ));
    }
    for finding in insight.findings.iter().take(SHOWN) {
        terminal.note(format!("  {}: {}", bold(finding.id), finding.cause));
        if let Some(Evidence { place, seen }) = finding.evidence.first() {
            terminal.note(dim(format!("    {place}: {}", seen.lines().next().unwrap_or_default())));
        }
        terminal.note(format!(
            "    fix: {}",
            finding.fix.text.lines().next().unwrap_or_default()
        ));
    }
    if !insight.findings.is_empty() {
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
pub fn to_json(seen: &Seen, insight: &Insight) -> Value {
    let (stages, tasks, lost) = seen.progress.totals();
    let status = seen.application.status.clone().unwrap_or_default();
    json!({
        "name": seen.application.name_any(),
        "namespace": seen.application.namespace(),
        "state": status.app_state.state,
        "errorMessage": status.app_state.error_message,
        "cause": causes(seen),
        "exitCode": exit_code(seen),
        "seconds": seen.elapsed.as_secs_f64(),
        "attempts": status.execution_attempts,
        "sparkApplicationId": status.spark_application_id,
        "stages": stages,
        "tasks": tasks,
        "tasksLost": lost,
        "executors": seen.executors,
        "findings": insight.findings,
    })
}

#[cfg(test)]
mod tests {
    use super::driver_exit_code;

    #[test]
    fn the_drivers_exit_code_is_read_from_the_message() {
        let cases = [
            ("driver container failed with ExitCode: 11, Reason: Error", Some(11)),
            (
                "driver container failed with ExitCode: 137, Reason: OOMKilled",
                Some(137),
            ),
            ("driver pod not found", None),
            ("driver container failed with ExitCode: 0, Reason: X", None),
        ];
        for (message, code) in cases {
            assert_eq!(driver_exit_code(message), code, "{message}");
        }
    }
}
