//! Objectives for people on a terminal.

use jiff::Timestamp;
use stoke_model::units::people;

use super::status::{Forecast, Status, Verdict, allowed};

/// A rate with the digits that tell it from another.
#[must_use]
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = match percent.abs() {
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{percent:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text} %")
}

/// A moment to the minute, in UTC.
#[must_use]
pub fn moment(time: i64) -> String {
    let text = Timestamp::from_millisecond(time).map(|time| time.strftime("%Y-%m-%d %H:%M UTC").to_string());
    text.unwrap_or_else(|_| time.to_string())
}

/// `2 bad of 7.2 allowed in 720 runs`, or minutes.
#[must_use]
pub fn budget(status: &Status) -> String {
    let Some(budget) = status.budget else {
        return "nothing is known of it".to_owned();
    };
    match budget.remaining_between {
        Some(_) => format!(
            "{} bad of {} allowed in {}",
            status.bad,
            people::short(budget.allowed),
            people::counted(status.events, "run")
        ),
        None => format!(
            "{} of {} allowed minutes stale",
            people::short(budget.used),
            people::short(budget.allowed)
        ),
    }
}

/// The heading of [`row`].
pub const HEADING: [&str; 8] = [
    "OBJECTIVE",
    "TARGET",
    "RUNS",
    "BAD",
    "RATE (90 %)",
    "BUDGET LEFT",
    "EVIDENCE",
    "VERDICT",
];

/// A line of the table.
#[must_use]
pub fn row(status: &Status) -> Vec<String> {
    let dash = || "-".to_owned();
    let rate = match (status.bad_rate, status.bad_rate_between) {
        (Some(_), Some(between)) => format!("{} to {}", percent(between.low), percent(between.high)),
        (Some(rate), None) => percent(rate),
        _ => dash(),
    };
    let left = status.budget.map_or_else(dash, |budget| percent(budget.remaining));
    let meters: Vec<String> = status
        .evidence
        .iter()
        .map(|one| format!("{:.1}/{:.1}", one.evidence, one.threshold))
        .collect();
    let mut verdict = status.verdict.text().to_owned();
    if status.paging() {
        verdict.push_str(", PAGE");
    }
    vec![
        status.title(),
        percent(status.target),
        people::count(status.events),
        people::count(status.bad),
        rate,
        left,
        if meters.is_empty() { dash() } else { meters.join(" ") },
        verdict,
    ]
}

/// What the table has no room for.
#[must_use]
pub fn notes(status: &Status) -> Vec<String> {
    let title = status.title();
    let mut notes = Vec::new();
    if status.overdue_seconds > 0 {
        let late = u64::try_from(status.overdue_seconds)
            .unwrap_or_default()
            .saturating_mul(1000);
        notes.push(format!("{title}: a result has been due for {}", people::duration(late)));
    }
    for reading in status.evidence.iter().filter(|reading| reading.paging) {
        notes.push(format!(
            "{title}: the {} meter pages; the runs since it was zero are {:.0} times likelier under a broken job than under the objective",
            reading.meter,
            reading.evidence.exp()
        ));
    }
    match (status.verdict, status.good_events_needed) {
        (Verdict::CannotBeShown, Some(needed)) => notes.push(format!(
            "{title}: {} do not show it yet; {} without a bad one would",
            people::counted(status.events, "run"),
            people::counted(needed, "further run")
        )),
        (Verdict::NoRuns, _) if status.budget.is_none() => notes.push(format!("{title}: no runs were found")),
        _ => {}
    }
    if let (Some(bounds), Some(forecast)) = (status.quantile, status.forecast) {
        let _ = forecast;
        let end = |bound: Option<f64>| bound.map_or_else(|| "not known from so few runs".to_owned(), people::short);
        notes.push(format!(
            "{title}: the {} quantile is {}; with 90 % confidence from {} to {}",
            percent(if status.measure == "efficiency" {
                allowed(status.target)
            } else {
                status.target
            }),
            people::short(bounds.estimate),
            end(bounds.low),
            end(bounds.high)
        ));
    }
    notes.extend(status.forecast.and_then(|forecast| spent(&title, forecast)));
    if status.unknown > 0 {
        notes.push(format!(
            "{title}: of {} nothing says how they ended; they are left out",
            people::counted(status.unknown, "run")
        ));
    }
    notes
}

fn spent(title: &str, forecast: Forecast) -> Option<String> {
    let earliest = forecast.earliest?;
    let day = |days: Option<f64>| {
        days.map_or_else(
            || "never in this window".to_owned(),
            |days| people::amount(&people::short(days), "day"),
        )
    };
    Some(format!(
        "{title}: at the rate of the last {} the budget is spent in {} (earliest {}, latest {})",
        people::counted(forecast.rate_of_days, "day"),
        day(forecast.days),
        day(Some(earliest)),
        day(forecast.latest)
    ))
}
