//! `stoke doctor` on real applications: what is wrong with each is found first; where nothing is wrong nothing is found.

mod faults;
mod healthy;

use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::behaviours::ground::{Shared, Stage, given};
use crate::behaviours::{application, merge};
use crate::common::{Context, Need, full, program};
use faults::Fault;

/// How long a fault may take to show on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn trials(context: &Context) -> Vec<Trial> {
    let spark = match given() {
        Some(_) => Need::Found(Ok(())),
        None => context.spark("4.1.4"),
    };
    let needs = [
        full(),
        spark,
        program("kubectl", "see the Kubernetes documentation, `Install kubectl`"),
    ];
    let shared = Arc::new(Shared::default());
    let mut trials: Vec<Trial> = faults::all()
        .into_iter()
        .map(|fault| {
            let shared = Arc::clone(&shared);
            let name = format!("doctor: {} is found to be {}", fault.name, fault.expected);
            let package = fault.package.map(|package| context.package(package));
            let needs: Vec<_> = needs.iter().cloned().chain(package).collect();
            context.trial(&name, &needs, move |context| {
                found(&shared.get(context)?.stage()?, &fault)
            })
        })
        .collect();
    trials.extend(healthy::trials(context, &needs, &shared));
    trials
}

fn found(stage: &Stage<'_>, fault: &Fault) -> Result<(), Failed> {
    (fault.before)(stage)?;
    let mut app = application(stage, fault.name, &fault.code, fault.more.clone())?;
    if fault.name == "deadline" {
        merge(
            &mut app["metadata"],
            serde_json::json!({"annotations": {"stoke.dev/active-deadline-seconds": "20"}}),
        );
    }
    stage.apply(&app)?;
    (fault.then)(stage, fault.name)?;
    if fault.ends {
        stage.until_state(fault.name, "FAILED")?;
        return judge(&stage.doctor(fault.name)?, fault.expected);
    }
    let begun = Instant::now();
    loop {
        let seen = judge(&stage.doctor(fault.name)?, fault.expected);
        if seen.is_ok() || begun.elapsed() > PATIENCE {
            return seen;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Whether the first finding is the one expected, with all it must have.
fn judge(answer: &Value, expected: &str) -> Result<(), Failed> {
    let all = answer["findings"].as_array().ok_or("no findings")?;
    let first = all
        .first()
        .ok_or_else(|| format!("nothing was found, {expected} was expected:\n{answer:#}"))?;
    let evidence = first["evidence"].as_array().map_or(0, Vec::len);
    if first["code"] != expected || evidence == 0 || first["fix"]["text"].as_str().is_none_or(str::is_empty) {
        return Err(format!("{expected} with evidence and a fix was expected first:\n{answer:#}").into());
    }
    Ok(())
}
