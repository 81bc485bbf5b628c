//! `stoke compare`: what changed between two runs, and which change explains the time.

use stoke_insight::compare::compare;

use crate::cli::{Context, Target};
use crate::failure::Outcome;
use crate::run_source::RunSource;
use crate::terminal::Format;

/// Arguments of `stoke compare`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The first run: an application's name, Spark's id of it, or the path of an event log (with a `/`)
    first: String,
    /// The second run
    second: String,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let first = RunSource::word(&arguments.first)
        .known(&arguments.target, context)
        .await?;
    let second = RunSource::word(&arguments.second)
        .known(&arguments.target, context)
        .await?;
    let comparison = compare(first.run()?, second.run()?);
    match context.terminal.format() {
        Format::Json => context.terminal.json(&serde_json::json!(comparison)),
        Format::Text => comparison.lines().iter().for_each(|line| context.terminal.out(line)),
    }
    Ok(0)
}
