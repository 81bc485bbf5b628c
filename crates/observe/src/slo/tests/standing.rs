//! How objectives stand, from attempts to gauges and gates.

use proptest::prelude::*;
use stoke_diagnostics::Severity;

use crate::slo::gate;
use crate::slo::gauges;
use crate::slo::objective::{Kind, Objective};
use crate::slo::read;
use crate::slo::record::Why;
use crate::slo::report::{self, Month};
use crate::slo::runs::{Attempt, Outcome, matches, runs_of};
use crate::slo::status::{Judge, Status, Verdict};
use crate::slo::text;

const HOUR: i64 = 3_600_000;
/// 2026-11-01T00:00:00Z.
const START: i64 = 1_793_491_200_000;

/// An objective of one metric source of runs.
pub(super) fn objective(metric: &str, limit: &str) -> Objective {
    let (form, raw) = if limit.is_empty() {
        ("ratioMetric", "raw: {metricSource: {type: stoke, spec: SPEC}}")
    } else {
        ("thresholdMetric", "metricSource: {type: stoke, spec: SPEC}")
    };
    let raw = raw.replace("SPEC", metric);
    let text = format!(
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: orders}}\nspec:\n  service: shop\n  indicator: {{metadata: {{name: i}}, spec: {{{form}: {{{raw}}}}}}}\n  budgetingMethod: Occurrences\n  timeWindow: [{{duration: 30d, isRolling: true}}]\n  objectives: [{{target: 0.99{limit}}}]\n"
    );
    let reading = read::read(&[("a.yaml".to_owned(), text.clone())]);
    assert!(reading.complaints.is_empty(), "{text}\n{:#?}", reading.complaints);
    reading.objectives.into_iter().next().unwrap()
}

pub(super) fn attempt(start: i64, minutes: i64, outcome: Outcome) -> Attempt {
    Attempt {
        job: "orders".to_owned(),
        run: None,
        namespace: Some("shop".to_owned()),
        labels: Default::default(),
        id: String::new(),
        due: None,
        start,
        end: (outcome != Outcome::Running).then_some(start + minutes * 60_000),
        outcome,
        cost: None,
        efficiency: None,
    }
}

/// An attempt each hour; those of these numbers fail.
fn hourly(count: i64, failed: &[i64]) -> Vec<Attempt> {
    let outcome = |hour| {
        if failed.contains(&hour) {
            Outcome::Failed
        } else {
            Outcome::Succeeded
        }
    };
    (0..count)
        .map(|hour| attempt(START + hour * HOUR, 20, outcome(hour)))
        .collect()
}

fn judged(objective: &Objective, attempts: &[Attempt], now: i64) -> Vec<Status> {
    let Kind::Batch(batch) = &objective.kind else {
        panic!("a service")
    };
    Judge::default().statuses(objective, batch, attempts, now)
}

fn one(objective: &Objective, attempts: &[Attempt], now: i64) -> Status {
    judged(objective, attempts, now).remove(0)
}

const SUCCESS: &str = "{measure: success, job: orders, schedule: '0 * * * *'}";

#[test]
fn a_job_within_its_objective_is_not_shown_to_be_by_few_runs() {
    let objective = objective(SUCCESS, "");
    let none = one(&objective, &[], START);
    assert_eq!((none.verdict, none.budget), (Verdict::NoRuns, None));
    let few = one(&objective, &hourly(24, &[]), START + 24 * HOUR);
    assert_eq!((few.events, few.bad, few.verdict), (24, 0, Verdict::CannotBeShown));
    assert!(few.good_events_needed.unwrap() > 100 && !few.paging());
    assert!(
        text::notes(&few)
            .iter()
            .any(|note| note.contains("further runs without a bad one would")),
        "{:?}",
        text::notes(&few)
    );
    let many = one(&objective, &hourly(700, &[100]), START + 700 * HOUR);
    assert_eq!((many.verdict, many.bad, many.paging()), (Verdict::Kept, 1, false));
    assert_eq!(many.runs_a_day, 24.0);
}

#[test]
fn an_outage_pages_at_the_fourth_failure_and_an_acknowledgement_begins_anew() {
    let mut objective = objective(SUCCESS, "");
    for (failures, pages) in [(1, false), (3, false), (4, true), (6, true)] {
        let failed: Vec<i64> = (100..100 + failures).collect();
        let end = 100 + failures;
        let status = one(&objective, &hourly(end, &failed), START + end * HOUR);
        assert_eq!(status.paging(), pages, "{failures}: {:?}", status.evidence);
    }
    let failed: Vec<i64> = (100..106).collect();
    let attempts = hourly(108, &failed);
    let paged = one(&objective, &attempts, START + 108 * HOUR);
    assert_eq!(
        (paged.pages.len(), paged.pages[0].from),
        (1, START + 103 * HOUR + 20 * 60_000)
    );
    objective.acknowledged = Some(START + 105 * HOUR + 30 * 60_000);
    let quiet = one(&objective, &attempts, START + 108 * HOUR);
    assert!(!quiet.paging() && quiet.bad == 6, "the budget remembers: {quiet:?}");
}

#[test]
fn retries_are_attempts_of_one_run_and_missed_runs_are_bad() {
    let objective = objective(SUCCESS, "");
    let mut attempts = hourly(10, &[3]);
    // Five minutes after the failure of the run of three o'clock.
    attempts.push(attempt(START + 3 * HOUR + 25 * 60_000, 10, Outcome::Succeeded));
    let status = one(&objective, &attempts, START + 10 * HOUR);
    assert_eq!((status.events, status.bad), (10, 0));
    // Without the runs of 5 and 6 o'clock.
    let mut missed = hourly(10, &[]);
    missed.retain(|attempt| !(5..7).contains(&((attempt.start - START) / HOUR)));
    let status = one(&objective, &missed, START + 10 * HOUR);
    assert_eq!((status.events, status.why.get(&Why::Missed)), (10, Some(&2)));
    // Named runs belong together however late the retry is.
    let named = |name: &str, start: i64, outcome| Attempt {
        run: Some(name.to_owned()),
        ..attempt(start, 5, outcome)
    };
    let three = [
        named("a", START, Outcome::Failed),
        named("b", START + HOUR, Outcome::Failed),
        named("a", START + 9 * HOUR, Outcome::Succeeded),
    ];
    let runs = runs_of(&three.iter().collect::<Vec<_>>());
    let ends: Vec<_> = runs.iter().map(|run| (run.outcome, run.attempts)).collect();
    assert_eq!(ends, [(Outcome::Succeeded, 2), (Outcome::Failed, 1)]);
}

#[test]
fn a_daily_result_pages_when_it_is_due_and_not_before() {
    let daily = objective(
        "{measure: deadline, job: orders, schedule: '0 6 * * *', within: 2h}",
        "",
    );
    let day = 24 * HOUR;
    let mut attempts: Vec<Attempt> = (0..5)
        .map(|n| attempt(START + n * day + 6 * HOUR, 60, Outcome::Succeeded))
        .collect();
    attempts.push(attempt(START + 5 * day + 6 * HOUR, 30, Outcome::Failed));
    let due = START + 5 * day + 8 * HOUR;
    let before = one(&daily, &attempts, due);
    assert_eq!((before.events, before.overdue_seconds, before.paging()), (5, 0, false));
    let after = one(&daily, &attempts, due + 60_000);
    assert_eq!((after.bad, after.overdue_seconds, after.paging()), (1, 60, true));
    // A success ends the page, and the deadline stays missed.
    attempts.push(attempt(due + HOUR, 30, Outcome::Succeeded));
    let late = one(&daily, &attempts, due + 2 * HOUR);
    assert_eq!((late.why.get(&Why::Late), late.overdue_seconds), (Some(&1), 0));
    // A day on which nothing began at all.
    let missed = one(&daily, &attempts, due + 25 * HOUR);
    assert_eq!((missed.why.get(&Why::Missed), missed.paging()), (Some(&1), true));
}

#[test]
fn freshness_is_the_age_of_the_last_success() {
    let fresh = objective("{measure: freshness, job: orders}", ", op: lte, value: 7200");
    let attempts = hourly(24, &[20, 21, 22, 23]);
    // The last success ended at 19:20.
    let status = one(&fresh, &attempts, START + 21 * HOUR + 20 * 60_000);
    assert_eq!((status.overdue_seconds, status.verdict), (0, Verdict::Kept));
    let status = one(&fresh, &attempts, START + 22 * HOUR + 20 * 60_000);
    assert_eq!(
        (status.overdue_seconds, status.paging(), status.verdict),
        (3600, true, Verdict::Broken)
    );
    assert_eq!(status.budget.unwrap().used, 60.0);
    // Never a success: the clock runs from the first attempt.
    let never = one(&fresh, &hourly(3, &[0, 1, 2]), START + 3 * HOUR);
    assert_eq!(never.overdue_seconds, 3600);
}

#[test]
fn limits_on_time_cost_and_efficiency_leave_failures_out() {
    let mut attempts = hourly(200, &[7]);
    for (number, attempt) in attempts.iter_mut().enumerate() {
        attempt.cost = Some(if number == 50 { 9.0 } else { 2.0 });
        attempt.efficiency = (number != 60).then_some(if number < 100 { 0.5 } else { 0.9 });
    }
    attempts[9].end = Some(attempts[9].start + 3 * HOUR);
    let now = START + 200 * HOUR;
    let took = one(
        &objective("{measure: duration, job: orders}", ", op: lte, value: 1800"),
        &attempts,
        now,
    );
    assert_eq!((took.events, took.bad), (199, 1));
    let bounds = took.quantile.unwrap();
    assert_eq!((bounds.estimate, bounds.low, bounds.high), (1200.0, Some(1200.0), None));
    let cost = one(
        &objective("{measure: cost, job: orders}", ", op: lte, value: 5"),
        &attempts,
        now,
    );
    assert_eq!((cost.events, cost.bad, cost.why.get(&Why::Over)), (199, 1, Some(&1)));
    let busy = one(
        &objective("{measure: efficiency, job: orders}", ", op: gte, value: 0.7"),
        &attempts,
        now,
    );
    assert_eq!((busy.events, busy.unknown, busy.verdict), (198, 1, Verdict::Broken));
}

#[test]
fn each_job_has_its_own_record_and_all_have_windows() {
    let fleet = objective("{measure: success, by: job}", "");
    let mut attempts = Vec::new();
    for job in 0..20 {
        let failed: &[i64] = if job == 3 { &[44, 45, 46, 47] } else { &[] };
        attempts.extend(hourly(48, failed).into_iter().map(|attempt| Attempt {
            job: format!("job-{job}"),
            ..attempt
        }));
    }
    let statuses = judged(&fleet, &attempts, START + 48 * HOUR);
    assert_eq!(statuses.len(), 21);
    let paging: Vec<&str> = statuses
        .iter()
        .filter(|status| status.paging())
        .filter_map(|status| status.job.as_deref())
        .collect();
    assert_eq!(paging, ["shop/job-3"]);
    let all = statuses.last().unwrap();
    assert_eq!(
        (all.job.as_deref(), all.events, all.bad, all.evidence.len()),
        (None, 960, 4, 0)
    );
    assert_eq!(all.windows[0].events, 480);
}

#[test]
fn a_gate_stops_for_what_is_shown_and_for_what_cannot_be_known() {
    let objective = objective(SUCCESS, "");
    let code = |attempts: &[Attempt], now: i64, new: bool| {
        let reasons = gate::reasons(&judged(&objective, attempts, now), new);
        reasons.first().map(|reason| (reason.code.to_string(), reason.severity))
    };
    let now = START + 700 * HOUR;
    assert_eq!(code(&hourly(700, &[100, 300]), now, false), None);
    let paging: Vec<i64> = (695..700).collect();
    assert_eq!(
        code(&hourly(700, &paging), now, false),
        Some(("slo-paging".to_owned(), Severity::Error))
    );
    // Spread out, so that no meter pages at the end.
    let spent: Vec<i64> = (0..16).map(|n| n * 43).collect();
    assert_eq!(
        code(&hourly(700, &spent), now, false),
        Some(("slo-budget-spent".to_owned(), Severity::Error))
    );
    // Eight of seven: over the point budget and not proved.
    let over: Vec<i64> = (0..8).map(|n| n * 80).collect();
    assert_eq!(
        code(&hourly(700, &over), now, false),
        Some(("slo-budget-low".to_owned(), Severity::Warning))
    );
    assert_eq!(code(&[], now, false), Some(("slo-no-runs".to_owned(), Severity::Error)));
    assert_eq!(code(&[], now, true), Some(("slo-no-runs".to_owned(), Severity::Advice)));
}

#[test]
fn a_month_counts_its_own_runs_and_pages() {
    let objective = objective(SUCCESS, "");
    let Kind::Batch(batch) = &objective.kind else { panic!() };
    // From 1 November on; the outage is on the third.
    let failed: Vec<i64> = (48..54).collect();
    let attempts = hourly(800, &failed);
    let now = START + 800 * HOUR;
    let month = Month::parse("2026-11").unwrap();
    let entries = report::entries(&mut Judge::default(), &objective, batch, &attempts, &month, now);
    let entry = &entries[0];
    assert_eq!(
        (entry.status.events, entry.status.bad, entry.pages_begun, entry.over),
        (720, 6, 1, true)
    );
    // From the end of the run of three o'clock until half a failure's weight of good runs after the last bad one.
    assert!(
        (3 * 60..24 * 60).contains(&entry.minutes_paged),
        "{}",
        entry.minutes_paged
    );
    let next = report::entries(
        &mut Judge::default(),
        &objective,
        batch,
        &attempts,
        &Month::parse("2026-12").unwrap(),
        now,
    );
    assert_eq!(
        (next[0].status.events, next[0].pages_begun, next[0].over),
        (80, 0, false)
    );
    assert!(
        report::entries(
            &mut Judge::default(),
            &objective,
            batch,
            &attempts,
            &Month::parse("2027-01").unwrap(),
            now
        )
        .is_empty()
    );
    for wrong in ["", "2026", "2026-13", "26-01", "2026-1", "x-y"] {
        assert_eq!(Month::parse(wrong), None, "{wrong}");
    }
    let before = Month::before("2026-01-15T00:00:00Z".parse().unwrap());
    assert_eq!(before.name(), "2025-12");
}

#[test]
fn every_gauge_that_is_listed_is_written() {
    let success = objective(SUCCESS, "");
    let failed: Vec<i64> = (0..30).map(|n| n * 20).collect();
    let status = one(&success, &hourly(700, &failed), START + 700 * HOUR);
    let text = gauges::text(&[status], START);
    for gauge in &gauges::ALL {
        assert!(text.contains(&format!("\n{}", gauge.name)), "{}\n{text}", gauge.name);
        for label in gauge.labels {
            assert!(text.contains(&format!("{label}=\"")), "{label}");
        }
    }
    let names: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| gauges::ALL.iter().any(|gauge| gauge.name == *name))
    );
    assert!(
        text.contains(r#"stoke_slo_evidence{job="*",measure="success",meter="fast",service="shop",slo="orders"} "#),
        "{text}"
    );
}

#[test]
fn patterns_of_names() {
    for (pattern, name, fits) in [
        ("orders", "orders", true),
        ("orders", "orders-1", false),
        ("orders-*", "orders-1", true),
        ("*-etl", "a-etl", true),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "acb", false),
        ("a*a", "a", false),
        ("*", "", true),
    ] {
        assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn hostile_attempts_do_not_panic(
        times in proptest::collection::vec((any::<i64>(), any::<i64>(), 0u8..4, any::<f64>()), 0..30),
        now in any::<i64>(),
        measure in 0usize..6,
    ) {
        let objective = [
            objective(SUCCESS, ""),
            objective("{measure: deadline, job: orders, schedule: '0 6 * * *', within: 2h}", ""),
            objective("{measure: freshness, job: orders}", ", op: lte, value: 7200"),
            objective("{measure: duration, job: orders}", ", op: lte, value: 1800"),
            objective("{measure: cost, job: orders}", ", op: lte, value: 5"),
            objective("{measure: efficiency, job: orders}", ", op: gte, value: 0.7"),
        ].into_iter().nth(measure).unwrap();
        let outcomes = [Outcome::Succeeded, Outcome::Failed, Outcome::Running, Outcome::Unknown];
        let attempts: Vec<Attempt> = times.iter().map(|(start, end, outcome, number)| Attempt {
            start: *start,
            end: Some(*end),
            outcome: outcomes[usize::from(*outcome)],
            cost: Some(*number),
            efficiency: Some(*number),
            due: (*outcome == 1).then_some(*end),
            ..attempt(0, 0, Outcome::Failed)
        }).collect();
        for at in [now, START, i64::MAX, i64::MIN] {
            let statuses = judged(&objective, &attempts, at);
            let _ = gauges::text(&statuses, at);
            let _ = gate::reasons(&statuses, false);
            for status in &statuses {
                let _ = (text::row(status), text::notes(status));
            }
        }
    }
}
