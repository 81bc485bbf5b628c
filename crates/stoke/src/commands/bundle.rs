//! `stoke bundle`: everything the doctor needs in one file without secrets, for another machine.

use std::path::PathBuf;

use serde_json::json;
use stoke_laptop::gather::bundle;
use stoke_model::units::people::counted;

use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::run_source::RunSource;
use crate::terminal::Format;

/// Arguments of `stoke bundle`.
#[derive(clap::Args)]
#[command(after_help = "\
Secrets are redacted; docs/reference/doctor.md says which are recognised. `stoke doctor --bundle FILE` reads it.")]
pub struct Arguments {
    /// The application: its name, or Spark's id of it
    application: String,
    /// Where to write it [default: APPLICATION.zip]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Replace the file when there is one
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let to = arguments
        .to
        .unwrap_or_else(|| format!("{}.zip", arguments.application).into());
    if to.exists() && !arguments.replace {
        return Err(
            Failure::input("stoke::bundle::exists", format!("{} is there already", to.display()))
                .fix("name another file with --to, or add --replace"),
        );
    }
    let asked = RunSource::word(&arguments.application);
    let gathered = asked.gather(&arguments.target, context).await?;
    for note in &gathered.notes {
        context.terminal.note(format!("note: {note}"));
    }
    let path = to.clone();
    let writing = tokio::task::spawn_blocking(move || bundle::write(&gathered, &path)).await;
    let index = writing.map_err(|error| Failure::environment("stoke::bundle::ended", error))??;
    match context.terminal.format() {
        Format::Json => context.terminal.json(&json!({ "file": to, "index": index })),
        Format::Text => context.terminal.out(format!(
            "{}: {}{}{}",
            to.display(),
            if index.objects { "objects, " } else { "" },
            counted(index.logs.len(), "log"),
            if index.event_log { ", the event log" } else { "" }
        )),
    }
    Ok(0)
}
