//! Every runbook, against its fault: injected into an embedded cluster, the runbook run, the symptom gone, the time told. Run again it does no harm;
//! killed between any two steps it goes on. The cluster, its node, the operator and the object store are ours and whole; the image of every pod is a
//! shell that does what its last argument says, so no JVM is needed.
//!
//! The sandbox starts this very executable again, so it has its own `main`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test, though without the harness"
)]

mod applications;
mod cluster;
mod connect;
mod drill;
mod metastore;
mod platform;
mod rotation;
mod served;
mod services;
mod stage;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use stoke_testkit::{Tier, trial};

use drill::Drill;

/// Longest that one trial may take.
const DEADLINE: Duration = Duration::from_secs(600);

fn drills() -> Vec<Drill> {
    [
        applications::drills(),
        cluster::drills(),
        connect::drills(),
        metastore::drills(),
        platform::drills(),
        rotation::drills(),
        services::drills(),
    ]
    .concat()
}

/// Steps that were executed, and how many drills are still to end.
struct Count {
    seen: Mutex<Seen>,
    ended: Condvar,
}

#[derive(Default)]
struct Seen {
    steps: BTreeSet<(String, String)>,
    lines: Vec<String>,
    left: usize,
}

fn main() -> ExitCode {
    stoke_sandbox::main_if_sandboxed();
    served::main_if_server();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = Arguments::from_args();
    // Most of them wait: for a fault to show, or for the others.
    arguments.test_threads = arguments.test_threads.or(Some(5));
    let is_filtered = arguments.filter.is_some() || arguments.list || !arguments.skip.is_empty();
    let directory = tempfile::tempdir().unwrap();
    let sandbox = stoke_sandbox::Launcher::default().check(directory.path().join("log"));
    let sandbox = sandbox.map_err(|error| error.to_string());
    let all = drills();
    let count = Arc::new(Count {
        seen: Mutex::new(Seen {
            left: all.iter().filter(|drill| runs(drill)).count(),
            ..Seen::default()
        }),
        ended: Condvar::new(),
    });
    let mut trials = Vec::new();
    for drill in &all {
        let (drill, count, need) = (drill.clone(), Arc::clone(&count), sandbox.clone());
        let needs = drill.needs;
        let name = format!("runbook: {}", drill.name());
        trials.push(trial(
            &name,
            if drill.needs.is_some() {
                Tier::Full
            } else {
                Tier::Default
            },
            move || need.and_then(|()| needs.map_or(Ok(()), |needs| needs())),
            move || {
                let result = stage::block_on(DEADLINE, drill.whole());
                let mut seen = count.seen.lock().unwrap();
                seen.left -= 1;
                count.ended.notify_all();
                let whole = result?;
                seen.lines.push(format!(
                    "{} | {} | {} | {} | {} | {}",
                    drill.runbook,
                    drill.branch,
                    whole.took.as_millis(),
                    whole.steps.len(),
                    whole.actions,
                    jiff::Timestamp::now().strftime("%Y-%m-%d")
                ));
                for step in whole.steps {
                    seen.steps.insert((drill.runbook.to_owned(), step));
                }
                Ok(())
            },
        ));
    }
    if !is_filtered && sandbox.is_ok() {
        let count = Arc::clone(&count);
        trials.push(Trial::test("every step of every runbook was executed", move || {
            every_step(&count)
        }));
    }
    for drill in all {
        let need = sandbox.clone();
        if drill.needs.is_some() {
            // What is cut off is the same whatever serves: it is done with the quick one.
            continue;
        }
        let tier = if drill.quick { Tier::Default } else { Tier::Full };
        let name = format!("killed anywhere: {}", drill.name());
        trials.push(trial(
            &name,
            tier,
            move || need,
            move || stage::block_on(DEADLINE * 4, drill.killed()),
        ));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Whether a drill runs now, so that its end is waited for.
fn runs(drill: &Drill) -> bool {
    drill.needs.is_none() || Tier::Full.need().is_ok() && drill.needs.is_some_and(|needs| needs().is_ok())
}

/// Steps that no drill executed. A step that a drill only skipped counts as not executed.
fn every_step(count: &Count) -> Result<(), Failed> {
    let seen = count.seen.lock().unwrap();
    let (seen, _) = count
        .ended
        .wait_timeout_while(seen, DEADLINE, |seen| seen.left > 0)
        .unwrap();
    let books = stoke_observe::runbook::all();
    let all = books.iter().flat_map(|book| {
        book.steps
            .iter()
            .map(|step| (book.name.to_owned(), step.name.to_owned()))
    });
    let all: Vec<(String, String)> = all.collect();
    let left: Vec<String> = all
        .iter()
        .filter(|step| !seen.steps.contains(step))
        .map(|(book, step)| format!("{book}: {step}"))
        .collect();
    println!(
        "{} runbooks, {} steps, {} executed",
        books.len(),
        all.len(),
        all.len() - left.len()
    );
    if std::env::var_os("STOKE_WRITE_RECORDS").is_some() {
        let mut lines = seen.lines.clone();
        lines.sort();
        let text = format!(
            "# runbook | fault | milliseconds until the symptom was gone | steps | kinds of actions | day; made by `laptop/drills`\n{}\n",
            lines.join("\n")
        );
        std::fs::write(
            stoke_testkit::generated::repository("crates/observe/src/runbook/drilled.txt"),
            text,
        )?;
    }
    match left.is_empty() {
        true => Ok(()),
        false => Err(format!("{} steps were executed by no drill: {left:?}", left.len()).into()),
    }
}
