//! `stoke kubeconfig`: the embedded cluster's kubeconfig.

use crate::cli::Context;
use crate::failure::{Failure, Outcome};

/// Arguments of `stoke kubeconfig`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print the file's path, for `export KUBECONFIG=$(stoke kubeconfig --path)`
    #[arg(long)]
    path: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let path = context.home.default_cluster().join("kubeconfig");
    let text = std::fs::read_to_string(&path).map_err(|_| {
        Failure::environment("stoke::cluster::not-running", "the embedded cluster is not running")
            .fix("start it with `stoke up --detach`")
    })?;
    if arguments.path {
        context.terminal.out(path.display());
    } else {
        context.terminal.out(text.trim_end());
    }
    Ok(0)
}
