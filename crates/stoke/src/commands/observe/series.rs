//! `stoke observe series`: series and bytes of scrapes.

use std::io::Read;
use std::path::PathBuf;

use serde_json::json;
use stoke_observe::pack::series::{Amount, count};

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, table};

/// Arguments of `stoke observe series`.
#[derive(clap::Args)]
#[command(after_help = "\
For example: curl -s http://DRIVER:4040/metrics/executors/prometheus/ | stoke observe series -")]
pub struct Arguments {
    /// What a driver answered at /metrics/prometheus/ or /metrics/executors/prometheus/: files, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

fn text(path: &PathBuf) -> std::io::Result<String> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
}

/// Runs the command.
pub fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let mut rows = vec![
        [
            "SCRAPE",
            "SERIES",
            "BYTES",
            "KEPT",
            "EXECUTORS",
            "SERIES OF EACH",
            "BYTES OF EACH",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let mut scrapes = Vec::new();
    for path in &arguments.files {
        let name = path.display().to_string();
        let text = text(path).map_err(|error| {
            Failure::input("stoke::observe::scrape", format!("{name}: {error}"))
                .fix("name a file with what a driver answered, or - for standard input")
        })?;
        let scrape = count(&text);
        if scrape.all.series == 0 || scrape.unread > 0 {
            let message = format!(
                "{name}: {} series, and {} lines that are not a series",
                scrape.all.series, scrape.unread
            );
            return Err(Failure::input("stoke::observe::scrape", message)
                .fix("save the answer of /metrics/prometheus/ or /metrics/executors/prometheus/ itself"));
        }
        let executors = scrape.executors.keys().filter(|id| *id != "driver").count();
        let each = scrape.executor();
        let shown = |part: fn(Amount) -> usize| each.map_or_else(String::new, |amount| part(amount).to_string());
        rows.push(vec![
            name.clone(),
            scrape.all.series.to_string(),
            scrape.all.bytes.to_string(),
            scrape.kept.series.to_string(),
            executors.to_string(),
            shown(|amount| amount.series),
            shown(|amount| amount.bytes),
        ]);
        let amount = |amount: Amount| json!({"series": amount.series, "bytes": amount.bytes});
        scrapes.push(json!({"scrape": name, "all": amount(scrape.all), "kept": amount(scrape.kept), "executors": executors, "executor": each.map(amount)}));
    }
    match context.terminal.format() {
        Format::Json => context.terminal.json(&json!({ "scrapes": scrapes })),
        Format::Text => {
            for line in table(&rows) {
                context.terminal.out(line);
            }
        }
    }
    Ok(0)
}
