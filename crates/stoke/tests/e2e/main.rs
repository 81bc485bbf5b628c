//! End to end: the `stoke` binary with real Spark, real kubectl, real spark-submit.
//!
//! What cannot be had (a registry out of reach, a program not installed) makes a test ignored, with the reason in its name; never passed.

// A test may end in a panic; helpers outside of test functions too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout
)]

mod ab;
mod admission;
mod adopt;
mod allocators;
mod behaviours;
mod caches;
mod check;
mod check_runs;
mod cloud_stores;
mod clouds;
mod common;
mod connect;
mod doctor;
mod documents;
mod durability;
mod endurance;
mod examples;
mod faults;
mod images;
mod insight;
mod live_pages;
mod manifests;
mod metrics;
mod musl;
mod object_store;
mod observe;
mod packages;
mod packaging;
mod pages;
mod paths;
mod pipelines;
mod platform;
mod platform_chart;
mod platform_life;
mod platform_up;
mod pod_images;
mod policies;
mod programs;
mod provider;
mod publish;
mod publish_catalog;
mod published;
mod quality;
mod real;
mod recorder;
mod releases;
mod runbooks;
mod secrets;
mod shadow;
mod spark_page;
mod spark_submit;
mod sql;
mod up;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Half of the time is spent waiting for pods, so one more than two cores.
    arguments.test_threads = arguments.test_threads.or(Some(3));
    if arguments
        .filter
        .as_deref()
        .is_some_and(|filter| filter.starts_with("real"))
    {
        // One node, and faults that are everybody's.
        arguments.test_threads = Some(1);
    }
    let context = common::Context::new();
    let trials = [
        manifests::trials(&context),
        metrics::trials(&context),
        examples::trials(&context),
        up::trials(&context),
        spark_page::trials(&context),
        spark_submit::trials(&context),
        faults::trials(&context),
        images::trials(&context),
        pipelines::trials(&context),
        pod_images::trials(&context),
        doctor::trials(&context),
        insight::trials(&context),
        check::trials(&context),
        paths::trials(&context),
        check_runs::trials(&context),
        clouds::trials(&context),
        cloud_stores::trials(&context),
        documents::trials(&context),
        durability::trials(&context),
        object_store::trials(&context),
        observe::trials(&context),
        packages::trials(&context),
        packaging::trials(&context),
        live_pages::trials(&context),
        musl::trials(&context),
        pages::trials(&context),
        platform::trials(&context),
        platform_chart::trials(&context),
        platform_up::trials(&context),
        platform_life::trials(&context),
        policies::trials(&context),
        programs::trials(&context),
        provider::trials(&context),
        publish::trials(&context),
        publish_catalog::trials(&context),
        published::trials(&context),
        quality::trials(&context),
        releases::trials(&context),
        shadow::trials(&context),
        ab::trials(&context),
        runbooks::trials(&context),
        secrets::trials(&context),
        endurance::trials(&context),
        adopt::trials(&context),
        allocators::trials(&context),
        connect::trials(&context),
        sql::trials(&context),
        behaviours::trials(&context),
        caches::trials(&context),
        admission::trials(&context),
        real::trials(&context),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
