//! `stoke size`: executors, cores, memory and partitions, from the size of the data or from an earlier run.

use stoke_insight::size::{DataSize, NodeShape, Options, SizeError, for_data, for_run};

use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::run_source::RunSource;
use crate::terminal::Format;

/// Arguments of `stoke size`.
#[derive(clap::Args)]
#[command(after_help = "\
docs/how-to/sizing.md says how each number is computed.")]
pub struct Arguments {
    /// The application whose last run is measured: its name, or Spark's id of it
    #[arg(value_name = "APPLICATION", group = "what")]
    application: Option<String>,
    /// An event log instead: a file, a rolling directory, or its URL
    #[arg(long, value_name = "PATH", group = "what")]
    event_log: Option<String>,
    /// Without a run: how much data it reads, for example 1TB or 500GiB
    #[arg(long, value_name = "SIZE", group = "what")]
    data_size: Option<String>,
    /// The cluster's nodes: 16x64Gi (cores and memory; @eks, @gke, @aks), m6i.4xlarge, n2-standard-16, Standard_D16s_v5
    #[arg(long, value_name = "SHAPE")]
    node_shape: Option<String>,
    /// Cores of an executor, 1 to 5
    #[arg(long, value_name = "N")]
    cores: Option<u32>,
    /// The program runs outside of the JVM (Python, R)
    #[arg(long)]
    python: bool,
    /// Minutes the run may take
    #[arg(long, value_name = "MINUTES", default_value_t = Options::default().within)]
    within: u32,
    /// Bytes of input a core works off in a second, for example 20MiB
    #[arg(long, value_name = "SIZE")]
    rate: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let mut options = Options {
        node: arguments
            .node_shape
            .as_deref()
            .map(NodeShape::parse)
            .transpose()
            .map_err(failed)?,
        cores: arguments.cores,
        python: arguments.python,
        within: arguments.within,
        ..Options::default()
    };
    if let Some(rate) = &arguments.rate {
        options.rate = rate.parse::<DataSize>().map_err(failed)?.bytes();
    }
    let sizing = match &arguments.data_size {
        Some(size) => for_data(size.parse().map_err(failed)?, &options),
        None => {
            if arguments.application.is_none() && arguments.event_log.is_none() {
                return Err(
                    Failure::input("stoke::size::nothing", "neither a run nor a size of data is named")
                        .fix("stoke size APPLICATION, or stoke size --data-size 1TB"),
                );
            }
            let asked = RunSource {
                application: arguments.application,
                event_log: arguments.event_log,
                bundle: None,
            };
            let known = asked.known(&arguments.target, context).await?;
            let run = known.run()?;
            options.spark_version.clone_from(&run.spark_version);
            for_run(run, &options)
        }
    };
    let sizing = sizing.map_err(failed)?;
    match context.terminal.format() {
        Format::Json => context.terminal.json(&sizing),
        Format::Text => sizing.lines().iter().for_each(|line| context.terminal.out(line)),
    }
    Ok(0)
}

fn failed(error: SizeError) -> Failure {
    Failure::input(error.code(), error).divided()
}
