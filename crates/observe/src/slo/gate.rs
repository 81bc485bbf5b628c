//! The error-budget policy: whether a release may go on.

use stoke_diagnostics::{Diagnostic, Evidence, Severity};
use stoke_model::units::people;

use super::math::interval::Interval;
use super::objective::Policy;
use super::status::{CONFIDENCE, Status, Verdict, allowed};
use super::text;

/// The share of the budget below which a gate warns.
const LOW: f64 = 0.25;

/// What speaks against a release: errors stop it, warnings do not. An objective whose policy is to report only warns.
#[must_use]
pub fn reasons(statuses: &[Status], may_have_no_runs: bool) -> Vec<Diagnostic> {
    let mut reasons: Vec<Diagnostic> = statuses
        .iter()
        .filter_map(|status| reason(status, may_have_no_runs))
        .collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.severity));
    reasons
}

fn reason(status: &Status, may_have_no_runs: bool) -> Option<Diagnostic> {
    let title = status.title();
    let stops = match status.policy {
        Policy::Freeze => Severity::Error,
        Policy::Report => Severity::Warning,
    };
    let new = |code: &'static str, severity: Severity, message: String, fix: &str| {
        Diagnostic::new(severity, code, message)
            .with_evidence(evidence(status))
            .with_fix(fix)
    };
    if status.overdue_seconds > 0 {
        let late = people::duration(
            u64::try_from(status.overdue_seconds)
                .unwrap_or_default()
                .saturating_mul(1000),
        );
        let message = format!("{title}: a result has been due for {late}");
        return Some(new(
            "slo-overdue",
            stops,
            message,
            "let the job succeed first; `stoke doctor` says why its last run failed",
        ));
    }
    if let Some(reading) = status.evidence.iter().find(|reading| reading.paging) {
        let message = format!(
            "{title}: the record so far is not that of a job within its objective (evidence {:.1}, page at {:.1})",
            reading.evidence, reading.threshold
        );
        return Some(new(
            "slo-paging",
            stops,
            message,
            "repair the job first; a release that is the repair goes on with `--repair`",
        ));
    }
    let budget = status.budget;
    let shown = status.verdict == Verdict::Broken;
    if shown {
        let message = format!("{title}: the error budget is spent, {}", text::budget(status));
        return Some(new(
            "slo-budget-spent",
            stops,
            message,
            "release only what makes the job more reliable (`--repair`) until the window has a budget again",
        ));
    }
    if status.verdict == Verdict::NoRuns && budget.is_none() {
        let severity = if may_have_no_runs { Severity::Advice } else { stops };
        let message = format!("{title}: no run of it was found, so nothing is known of its budget");
        let fix = "name the place of its runs with --history, --runs or --context; check the selector; a new job goes on with `--allow-no-runs`";
        return Some(
            new("slo-no-runs", severity, message, fix).unknown_if(!may_have_no_runs && stops == Severity::Error),
        );
    }
    let low = budget.is_some_and(|budget| budget.remaining < LOW);
    low.then(|| {
        let message = format!("{title}: little of the error budget is left, {}", text::budget(status));
        new(
            "slo-budget-low",
            Severity::Warning,
            message,
            "release in small steps, and look at the first runs after it",
        )
    })
}

trait UnknownIf {
    fn unknown_if(self, condition: bool) -> Self;
}

impl UnknownIf for Diagnostic {
    fn unknown_if(self, condition: bool) -> Self {
        if condition { self.unknown() } else { self }
    }
}

fn evidence(status: &Status) -> Vec<Evidence> {
    let mut seen = Vec::new();
    if let (Some(rate), Some(Interval { low, high })) = (status.bad_rate, status.bad_rate_between) {
        let text = format!(
            "{} of {} bad, {}; between {} and {} at {} confidence; allowed {}",
            status.bad,
            people::counted(status.events, "event"),
            people::percent(rate),
            text::percent(low),
            text::percent(high),
            people::percent(CONFIDENCE),
            text::percent(allowed(status.target))
        );
        seen.push(Evidence::new(format!("objective {}", status.objective), text));
    }
    for tail in status
        .windows
        .iter()
        .filter(|tail| tail.alarm.is_some_and(|alarm| tail.bad >= alarm))
    {
        let text = format!(
            "{} of {} bad; as many or more have probability {:.1e} under the objective",
            tail.bad, tail.events, tail.probability
        );
        seen.push(Evidence::new(
            format!("the last {}", people::counted(tail.days, "day")),
            text,
        ));
    }
    seen
}
