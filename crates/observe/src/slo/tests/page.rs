//! `docs/explanation/batch-objectives.md`: its tables are computed and simulated here.

use std::fmt::Write;

use super::simulation::{Dice, GRID, Pattern, TARGETS, burn_pages, design, evidence_pages};
use crate::slo::evidence::{Design, WITHIN, crossing, delay};
use crate::slo::gauges;

const PAGE: &str = "docs/explanation/batch-objectives.md";

/// A share in percent with two digits that count.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p >= 99.95 => "100 %".to_owned(),
        p if p >= 10.0 => format!("{p:.0} %"),
        p if p >= 1.0 => format!("{p:.1} %"),
        p if p >= 0.1 => format!("{p:.2} %"),
        p if p >= 0.001 => format!("{p:.4} %"),
        _ => "below 0.001 %".to_owned(),
    }
}

/// Months in which the burn-rate rules page.
fn burn_share(allowed: f64, runs_a_day: u32, pattern: Pattern, months: u32, dice: &mut Dice) -> f64 {
    let runs = (runs_a_day * 30) as usize;
    let paged = (0..months).filter(|_| burn_pages(allowed, runs_a_day, &pattern.month(runs, dice)).is_some());
    paged.count() as f64 / f64::from(months)
}

/// Months in which the meters page.
fn evidence_months(design: &Design, pattern: Pattern, months: u32, dice: &mut Dice) -> usize {
    let runs = design.runs_a_month() as usize;
    (0..months)
        .filter(|_| evidence_pages(design, &pattern.month(runs, dice)).is_some())
        .count()
}

/// Mean and 90th percentile of the run at which burn-rate rules page.
fn burn_delay(allowed: f64, runs_a_day: u32, rate: f64, dice: &mut Dice) -> (f64, usize) {
    let mut delays: Vec<usize> = (0..4000)
        .filter_map(|_| burn_pages(allowed, runs_a_day, &Pattern::Steady(rate).month(200, dice)))
        .map(|at| at + 1)
        .collect();
    delays.sort_unstable();
    let mean = delays.iter().sum::<usize>() as f64 / delays.len() as f64;
    (mean, delays[delays.len() * 9 / 10])
}

fn hourly() -> String {
    let design = design(0.99, 24);
    let fast = &design.meters[0];
    let mut dice = Dice(2026);
    let mut text = "\n| | evidence | burn rates |\n|---|---|---|\n".to_owned();
    let of = |rate: f64| delay(fast, rate).unwrap();
    let _ = writeln!(
        text,
        "| every run fails: paged at failure | {} | 1 |",
        fast.bad_in_a_row()
    );
    for rate in [0.5, 0.2] {
        let (mean, p90) = burn_delay(0.01, 24, rate, &mut dice);
        let ours = of(rate);
        let _ = writeln!(
            text,
            "| true rate {}: runs until the page, mean (90th percentile) | {:.1} ({}) | {mean:.1} ({p90}) |",
            percent(rate),
            ours.mean,
            ours.p90
        );
    }
    for (name, rate) in [("0.4 %, well within", 0.004), ("1 %, the objective itself", 0.01)] {
        let ours: f64 = design.meters.iter().map(|meter| crossing(meter, rate, 720)).sum();
        let theirs = burn_share(0.01, 24, Pattern::Steady(rate), 4000, &mut dice);
        let _ = writeln!(
            text,
            "| true rate {name}: months with a false page | at most {} | {} |",
            percent(ours),
            percent(theirs)
        );
    }
    text
}

fn grid() -> String {
    let mut dice = Dice(42);
    let mut text = "\n| objective | runs a day | page at failure in a row | evidence, 0.4 of the allowed rate | evidence, at the objective | burn rates, 0.4 | burn rates, at it |\n|---|---|---|---|---|---|---|\n".to_owned();
    for target in TARGETS {
        for runs_a_day in GRID {
            let design = design(target, runs_a_day);
            let allowed = design.allowed_rate;
            let ours = |share: f64| -> f64 {
                design
                    .meters
                    .iter()
                    .map(|meter| crossing(meter, share * allowed, design.runs_a_month()))
                    .sum()
            };
            let row = design.meters.iter().map(|meter| meter.bad_in_a_row()).min().unwrap();
            let months = (300_000 / (runs_a_day * 30)).clamp(50, 1000);
            let mut theirs =
                |share: f64| match burn_share(allowed, runs_a_day, Pattern::Steady(share * allowed), months, &mut dice)
                {
                    0.0 => format!("none of {months}"),
                    paged => percent(paged),
                };
            let (within, at) = (theirs(WITHIN), theirs(1.0));
            let _ = writeln!(
                text,
                "| {} % | {runs_a_day} | {row} | {} | {} | {within} | {at} |",
                target * 100.0,
                percent(ours(WITHIN)),
                percent(ours(1.0))
            );
        }
    }
    text
}

fn patterns() -> String {
    let design = design(0.99, 24);
    let mut dice = Dice(5);
    let mut text =
        "\n| month of an hourly job | evidence pages, of 4,000 months | burn rates page |\n|---|---|---|\n".to_owned();
    for (name, pattern) in [
        ("steady 0.4 %", Pattern::Steady(0.004)),
        ("0.4 %, always three failures in a row", Pattern::Bursts(0.004)),
        (
            "0.4 %, after a failure the next run fails with 30 %",
            Pattern::Correlated(0.004),
        ),
        ("rising from 0.4 % to 5 %", Pattern::Rise(0.004, 0.05)),
        ("rising from 0.4 % to 20 %", Pattern::Rise(0.004, 0.2)),
        ("steady 5 %", Pattern::Steady(0.05)),
        ("steady 20 %", Pattern::Steady(0.2)),
    ] {
        let ours = evidence_months(&design, pattern, 4000, &mut dice);
        let theirs = burn_share(0.01, 24, pattern, 4000, &mut dice) * 4000.0;
        let _ = writeln!(text, "| {name} | {ours} | {theirs:.0} |");
    }
    text
}

#[test]
fn the_generated_list_of_gauges_is_that_of_the_code() {
    let mut text = "\n| gauge | more labels | |\n|---|---|---|\n".to_owned();
    for gauge in &gauges::ALL {
        let labels: Vec<String> = gauge.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(text, "| `{}` | {} | {} |", gauge.name, labels.join(", "), gauge.help);
    }
    let page = "docs/reference/objectives.md";
    let made = stoke_testkit::generated::part(page, "<!-- gauges -->\n", "<!-- end gauges -->", &(text + "\n"));
    assert_eq!(made, Ok(()));
}

#[test]
fn the_generated_tables_are_what_the_simulation_says() {
    for (name, made) in [("hourly", hourly()), ("grid", grid()), ("patterns", patterns())] {
        let (begin, end) = (format!("<!-- table {name} -->\n"), format!("<!-- end {name} -->"));
        assert_eq!(
            stoke_testkit::generated::part(PAGE, &begin, &end, &(made + "\n")),
            Ok(())
        );
    }
}
