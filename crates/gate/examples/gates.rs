//! Runs the gates over a job as `stoke check` does, and says how long each took.
//!
//! `cargo run --release -p stoke-gate --features examples --example gates -- SPARK_HOME VERSION DIRECTORY...`: what is at hand is the Spark in SPARK_HOME, of that version.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use stoke_gate::gates::Advisories;
use stoke_gate::waivers::Waivers;
use stoke_gate::{Settings, job};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(home), Some(version)) = (words.next(), words.next()) else {
        return Err("usage: gates SPARK_HOME VERSION DIRECTORY...".into());
    };
    let paths: Vec<PathBuf> = words.map(PathBuf::from).collect();
    let mut out = std::io::stdout().lock();
    let begun = Instant::now();
    let job = job::read(&paths)?;
    writeln!(out, "{:>9.2?} {} files read", begun.elapsed(), job.files.len())?;
    let settings = Settings {
        runtimes: vec![(version, home.into())],
        advisories: Advisories::NotAsked,
        ..Settings::default()
    };
    let begun = Instant::now();
    let report = stoke_gate::check(&job, &settings, &Waivers::default());
    let all = begun.elapsed();
    for gate in &report.gates {
        writeln!(
            out,
            "{:>6} ms {}: {} of {}, {} findings",
            gate.milliseconds,
            gate.gate.name(),
            gate.verdict.name(),
            gate.what,
            gate.findings.len()
        )?;
    }
    writeln!(out, "{all:>9.2?} all gates")?;
    Ok(())
}
