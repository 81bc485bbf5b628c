//! What unmodified clients may rely on, one case a behaviour, each proved by a real client against the real server (and, where pods
//! run, the real scheduler and node). `docs/reference/conformance.md` is the table of these cases: it lists what is here and nothing else.
//!
//! `scripts/generate` writes the table again; without it a drift is a failure.
//! A case whose client is not on this machine is reported as ignored, with the reason, never as passed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test, though without the harness"
)]

mod access;
mod administration;
mod admission;
#[allow(dead_code, reason = "shared with the tests of the node, which use more of it")]
#[path = "../node/bench.rs"]
mod bench;
mod case;
mod clients;
mod crds;
mod exec;
mod jobs;
mod kubectl;
mod machinery;
mod operators;
mod pods;
mod policies;
mod programs;
mod scheduling;
mod services;
mod stateful;
mod table;
mod wire;
mod workloads;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use case::{Case, Ground};

/// Every area, in the order of the table.
fn cases() -> Vec<Case> {
    [
        kubectl::cases(),
        machinery::cases(),
        crds::cases(),
        admission::cases(),
        wire::cases(),
        access::cases(),
        clients::cases(),
        workloads::cases(),
        jobs::cases(),
        pods::cases(),
        exec::cases(),
        services::cases(),
        stateful::cases(),
        policies::cases(),
        scheduling::cases(),
        administration::cases(),
        operators::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn main() -> ExitCode {
    stoke_sandbox::main_if_sandboxed();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let cases = cases();
    let ground = (!arguments.list).then(|| Arc::new(Ground::start()));
    let table = table::render(&cases);
    let mut trials = vec![Trial::test(
        "the generated table is the list of these cases",
        move || table::compare(&table),
    )];
    for case in cases {
        let name = format!("{}: {} ({})", case.area, case.behaviour, case.client.name());
        let run = case.run;
        trials.push(match (case.client.missing(), ground.clone()) {
            (Some(why), _) => stoke_testkit::skipped(&name, &why),
            (None, Some(ground)) => Trial::test(name, move || Ok(stoke_testkit::limited(move || run(&ground))?)),
            (None, None) => Trial::test(name, || Ok(())),
        });
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(ground) = ground.and_then(Arc::into_inner) {
        ground.stop();
    }
    conclusion.exit_code()
}
