//! What is found in event logs: findings about how a run went, and the size it should have had.
//!
//! `cargo run -p stoke-insight --features examples --example insight -- FOLDER [NAME…]` reads the logs of a folder, all or those named. With
//! `PLANS='4x2 8x2'` in the environment the named ones are scheduled again on so many executors of so many cores.

use std::io::Write;

use stoke_eventlog::{Options, Source};
use stoke_insight::facts::{Facts, Run, collect};
use stoke_insight::{doctor, size, whatif};

/// What each of some plans (`4x2 8x2`: executors and cores) is predicted to take.
fn what_if(run: &Run, plans: &str, out: &mut impl Write) -> Result<(), Box<dyn std::error::Error>> {
    for plan in plans.split_whitespace() {
        let (executors, cores) = plan.split_once('x').ok_or("a plan is written as 4x2")?;
        let plan = whatif::Plan {
            executors: executors.parse()?,
            cores: cores.parse()?,
        };
        let start = std::time::Instant::now();
        let outcome = whatif::what_if(run, plan)?;
        let took = start.elapsed();
        writeln!(out, "{}", serde_json::to_string(&outcome)?)?;
        writeln!(out, "{}\n(computed in {took:?})", outcome.lines().join("\n"))?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("the folder of the logs is missing")?;
    let names: Vec<String> = arguments.collect();
    let source = Source::directory(&folder);
    let mut out = std::io::stdout().lock();
    for log in source.logs()? {
        if !names.is_empty() && !names.iter().any(|name| log.path.contains(name)) {
            continue;
        }
        let run = collect::run(&source, &log, Options::default())?;
        writeln!(
            out,
            "== {} {} ({} ms, Spark {})",
            log.path,
            run.name,
            run.duration(),
            run.spark_version
        )?;
        if !names.is_empty() {
            match size::for_run(&run, &size::Options::default()) {
                Ok(sizing) => writeln!(out, "{}", sizing.lines().join("\n"))?,
                Err(error) => writeln!(out, "{error}")?,
            }
            if let Ok(plans) = std::env::var("PLANS") {
                let first = run.jobs.values().map(|job| job.started).min().unwrap_or(run.started);
                writeln!(out, "first job after {} ms", first - run.started)?;
                what_if(&run, &plans, &mut out)?;
            }
        }
        let facts = Facts {
            run: Some(run),
            ..Facts::default()
        };
        for finding in doctor::performance::findings(&facts) {
            writeln!(out, "{finding}")?;
        }
    }
    Ok(())
}
