//! What ended runs, by their drivers' logs alone.
//!
//! `cargo run -p stoke-insight --features examples --example failures -- FILE…` reads each file as the log of a driver; a file `NAME.exec-1.log` beside `NAME.log` is
//! that of its executor 1.

use std::io::Write;
use std::path::Path;

use stoke_insight::doctor::failures;
use stoke_insight::facts::cluster::Role;
use stoke_insight::facts::{Facts, Log};

fn log(role: Role, source: &str, path: &Path) -> std::io::Result<Log> {
    let bytes = std::fs::read(path)?;
    Ok(Log::of_lines(role, source, String::from_utf8_lossy(&bytes).lines()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    for file in std::env::args().skip(1) {
        let mut logs = vec![log(Role::Driver, "driver", Path::new(&file))?];
        let stem = file.trim_end_matches(".log");
        for id in 0..8 {
            let path = format!("{stem}.exec-{id}.log");
            if Path::new(&path).exists() {
                logs.push(log(
                    Role::Executor(id.to_string()),
                    &format!("exec-{id}"),
                    Path::new(&path),
                )?);
            }
        }
        let facts = Facts {
            logs,
            ..Facts::default()
        };
        writeln!(out, "== {file}")?;
        for finding in failures::findings(&facts) {
            writeln!(out, "{finding}")?;
        }
    }
    Ok(())
}
