//! `stoke observe backfill`: series of runs that are over, out of their event logs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stoke_history::backfill::{Labels, Series};
use stoke_history::index::{Index, Settings};
use stoke_history::rest::Library;
use stoke_laptop::event_logs;
use stoke_model::units::people::counted;

use crate::cli::Context;
use crate::commands::history::span;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Arguments of `stoke observe backfill`.
#[derive(clap::Args)]
#[command(after_help = "\
Then: promtool tsdb create-blocks-from openmetrics FILE PROMETHEUS-DATA
Names and labels are those that Prometheus scrapes from a driver, so that short runs and long ones are asked for in one expression.")]
pub struct Arguments {
    /// Where the event logs are: a directory, `file:///directory`, `s3://…`, `gs://…` or `abfss://…` (with the variables of that cloud)
    #[arg(long, value_name = "PLACE")]
    dir: String,
    /// Only this run, by Spark's id of it; may be given again
    #[arg(long, value_name = "ID")]
    application: Vec<String>,
    /// Only runs that ended within this time, for example 1d
    #[arg(long, value_name = "DURATION", value_parser = span)]
    since: Option<Duration>,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let source = event_logs::source(&arguments.dir, &context.home).await?;
    let index = Arc::new(Index::new(source, Settings::default(), None));
    let (wanted, since) = (arguments.application.clone(), arguments.since);
    let made = tokio::task::spawn_blocking(move || collected(&index, &wanted, since))
        .await
        .map_err(|error| Failure::environment("stoke::history::ended", error))??;
    for note in &made.notes {
        context.terminal.note(note);
    }
    if let Some(missing) = arguments.application.iter().find(|id| !made.ids.contains(*id)) {
        return Err(Failure::input(
            "stoke::observe::run",
            format!("no ended run {missing} has its event log in {}", arguments.dir),
        )
        .fix("`stoke history serve` lists the runs of a place"));
    }
    let (runs, series, text) = (made.ids.len(), made.series, made.text);
    let Some(path) = &arguments.to else {
        context.terminal.out(text.trim_end());
        return Ok(0);
    };
    std::fs::write(path, text).map_err(|error| {
        Failure::environment("stoke::observe::write", format!("{}: {error}", path.display()))
            .fix("name a file you may write with --to")
    })?;
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&json!({"file": path, "runs": runs, "series": series})),
        Format::Text => context.terminal.out(format!(
            "{} of {} in {}",
            counted(series, "series"),
            counted(runs, "run"),
            path.display()
        )),
    }
    Ok(0)
}

struct Backfill {
    ids: Vec<String>,
    series: usize,
    text: String,
    notes: Vec<String>,
}

/// Reads the logs, one after the other: each is as large as it is.
fn collected(index: &Index, wanted: &[String], since: Option<Duration>) -> Outcome<Backfill> {
    let failed = |error: stoke_storage::StorageError| Failure::environment(error.code(), error);
    let scan = index.scan().map_err(failed)?;
    let mut notes = scan.unreadable;
    let (mut all, mut ids, mut count) = (Series::default(), Vec::new(), 0);
    let from = since.map(|age| index.now() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    for listed in index.listed().iter() {
        if !(wanted.is_empty() || wanted.contains(&listed.id)) {
            continue;
        }
        for attempt in listed.attempts.iter().filter(|attempt| attempt.completed) {
            if from.is_some_and(|from| attempt.end < from) {
                continue;
            }
            match index.view(attempt) {
                Ok(Some(view)) => {
                    count += all.add(&view, attempt, &Labels::of(&view, &listed.id, &listed.name));
                    ids.push(listed.id.clone());
                }
                Ok(None) => {}
                Err(why) => notes.push(why),
            }
        }
    }
    Ok(Backfill {
        ids,
        series: count,
        text: all.text(),
        notes,
    })
}
