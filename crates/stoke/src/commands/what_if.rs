//! `stoke what-if`: how long a run would have taken with other executors.

use stoke_insight::whatif::{Plan, what_if};

use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::run_source::RunSource;
use crate::terminal::Format;

/// Arguments of `stoke what-if`.
#[derive(clap::Args)]
#[command(after_help = "\
The recorded tasks are scheduled again; its own error on the recorded executors comes with the answer. docs/how-to/sizing.md says how.")]
pub struct Arguments {
    #[command(flatten)]
    asked: RunSource,
    /// Executors to think of
    #[arg(long, value_name = "N")]
    executors: u32,
    /// Cores of each
    #[arg(long, value_name = "N")]
    cores: u32,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let known = arguments.asked.known(&arguments.target, context).await?;
    let plan = Plan {
        executors: arguments.executors,
        cores: arguments.cores,
    };
    let outcome = what_if(known.run()?, plan).map_err(|error| Failure::input(error.code(), error).divided())?;
    match context.terminal.format() {
        Format::Json => context.terminal.json(&outcome),
        Format::Text => outcome.lines().iter().for_each(|line| context.terminal.out(line)),
    }
    Ok(0)
}
