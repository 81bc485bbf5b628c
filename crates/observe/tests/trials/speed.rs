//! How long many rules take.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use stoke_observe::rules::{Input, Settings, check};
use stoke_testkit::{Tier, trial};

const RIGHT: &str = include_str!("../rules/right.yaml");
const RULES: usize = 10_000;
/// Most time for them, in a build without optimisation on a busy machine.
const MOST: Duration = Duration::from_secs(120);

pub fn all() -> Vec<Trial> {
    vec![trial("ten_thousand_rules_are_checked", Tier::Default, || Ok(()), many)]
}

fn many() -> Result<(), Failed> {
    let body: String = RIGHT
        .lines()
        .filter(|line| !line.starts_with('#') && *line != "groups:")
        .fold(String::new(), |mut all, line| {
            all += line;
            all.push('\n');
            all
        });
    let once = body.matches("- alert:").count() + body.matches("- record:").count();
    let mut text = String::from("groups:\n");
    for index in 0..RULES.div_ceil(once) {
        let _ = write!(text, "{}", body.replace("- name: ", &format!("- name: g{index}-")));
    }
    let (begun, bytes) = (Instant::now(), text.len());
    // Files of at most 16 MiB are read.
    let report = check(&[Input::named("many.yaml", &text)], &Settings::default());
    let time = begun.elapsed();
    let rules: usize = report.expressions.values().sum();
    println!("{rules} rules, {bytes} bytes: {time:?}");
    if rules < RULES {
        return Err(format!("{rules} rules were read: {:?}", report.diagnostics.first()).into());
    }
    if time > MOST {
        return Err(format!("{time:?}").into());
    }
    Ok(())
}
