//! Tier `real`: what we promise, installed on a real Kubernetes with a kubelet (`STOKE_TESTS=real`, as root; elsewhere each is shown as skipped).
//!
//! - [`rig`]: the cluster of `scripts/real-kubernetes` with our image in it
//! - [`behaviours`](crate::behaviours): the same as on the embedded cluster, with the operator installed
//! - [`more`]: what needs a kubelet or an installed operator to be shown
//! - [`install`]: three ways in and out again
//! - [`cli`]: our commands from outside
//! - [`faults`]: what breaks in production
//!
//! Each writes a line to `target/real-report.tsv`: outcome, seconds, name.

mod cli;
mod faults;
mod install;
mod more;
pub mod rig;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::behaviours::ground::{Ground, Stage};
use crate::behaviours::{BEHAVIOURS, Behaviour};
use stoke_testkit::{Tier, target_directory};

use crate::common::{Context, Need, eventually, expect_code, repository};
use rig::{IMAGE, Rig};

/// Name and namespace of the operator that behaviours use.
pub const OPERATOR: &str = "stoke-test";
/// Label of the namespaces it works in.
pub const LABEL: &str = "real";

pub fn trials(context: &Context) -> Vec<Trial> {
    let needs = [Need::Tier(Tier::Real), Need::Found(rig::needs())];
    let mut trials = vec![
        context.trial("documents: production.md names what tier real runs", &[], |_| {
            documented()
        }),
    ];
    for (name, run) in install::WAYS {
        trials.push(reported(context, &needs, format!("real install: {name}"), move || {
            run(&Rig::get()?)
        }));
    }
    let behaviours = BEHAVIOURS.into_iter().chain(more::BEHAVIOURS);
    for (name, run) in behaviours.chain(cli::BEHAVIOURS) {
        let name = format!("real behaviour: {name}");
        trials.push(reported(context, &needs, name, move || run(&stage()?)));
    }
    let name = format!("real behaviour: {}", cli::SPARK_SUBMIT);
    trials.push(reported(context, &needs, name, move || {
        cli::spark_submit(&Rig::get()?, &stage()?)
    }));
    for (name, run) in faults::FAULTS {
        let run: fn(&Rig, &Stage<'_>) -> Result<(), Failed> = run;
        let name = format!("real fault: {name}");
        trials.push(reported(context, &needs, name, move || run(&Rig::get()?, &stage()?)));
    }
    trials
}

fn reported(
    context: &Context,
    needs: &[Need],
    name: String,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let line = name.clone();
    context.trial(&name, needs, move |_| {
        let begun = Instant::now();
        let ended = run();
        report(if ended.is_ok() { "ok" } else { "failed" }, begun.elapsed(), &line)?;
        ended
    })
}

/// A line of the report.
fn report(what: &str, took: Duration, name: &str) -> Result<(), Failed> {
    let path = target_directory().join("real-report.tsv");
    let mut file = std::fs::File::options().create(true).append(true).open(path)?;
    writeln!(file, "{what}\t{:.1}\t{name}", took.as_secs_f32())?;
    Ok(())
}

/// A namespace on the rig, served by the operator that is installed there, by the first who asks.
fn stage() -> Result<Stage<'static>, Failed> {
    static GROUND: OnceLock<Result<Ground, String>> = OnceLock::new();
    let ground = GROUND.get_or_init(|| {
        let made = Rig::get().and_then(|rig| {
            install_operator(&rig, &[])?;
            Ok(Ground::installed(rig.given, LABEL))
        });
        made.map_err(|failed| failed.message().unwrap_or("?").to_owned())
    });
    match ground {
        Ok(ground) => ground.stage(),
        Err(why) => Err(why.clone().into()),
    }
}

/// The operator as `stoke operator install` installs it, for all namespaces with our label.
fn install_operator(rig: &Rig, more: &[&str]) -> Result<(), Failed> {
    let selector = format!("--job-namespace-selector=stoke.dev/test={LABEL}");
    let arguments = [
        "operator",
        "install",
        "--name",
        OPERATOR,
        "--namespace",
        OPERATOR,
        "--image",
        IMAGE,
        &selector,
    ];
    expect_code(&rig.given.stoke(&[&arguments, more].concat()).output()?, 0)?;
    // An image of the same name is another program now.
    rig.kubectl(&["rollout", "restart", "deployment", "-n", OPERATOR])?;
    rig.kubectl(&["rollout", "status", "deployment", "-n", OPERATOR, "--timeout=120s"])?;
    eventually("one operator", Duration::from_secs(60), || {
        operator_pods(rig).is_ok_and(|pods| pods.len() == 1)
    })
}

/// Names of the operator's pods.
pub fn operator_pods(rig: &Rig) -> Result<Vec<String>, Failed> {
    let names = rig.kubectl(&["get", "pods", "-n", OPERATOR, "-o", "name"])?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// The type of a behaviour, for the tables of the modules here.
pub type Row = (&'static str, Behaviour);

/// The page for production names exactly what is run.
fn documented() -> Result<(), Failed> {
    let page = std::fs::read_to_string(repository().join("docs/explanation/production.md"))?;
    let told: BTreeSet<&str> = page
        .lines()
        .take_while(|line| *line != "## What was not run")
        .filter_map(|line| line.strip_prefix("- "))
        .collect();
    let ways = install::WAYS.iter().map(|(name, _)| *name);
    let behaviours = BEHAVIOURS.iter().chain(&more::BEHAVIOURS).chain(&cli::BEHAVIOURS);
    let faults = faults::FAULTS.iter().map(|(name, _)| *name);
    let run: BTreeSet<&str> = ways
        .chain(behaviours.map(|(name, _)| *name))
        .chain([cli::SPARK_SUBMIT])
        .chain(faults)
        .collect();
    match run.symmetric_difference(&told).next() {
        None => Ok(()),
        Some(name) => Err(format!("`{name}` is in one of docs/explanation/production.md and the tests").into()),
    }
}
