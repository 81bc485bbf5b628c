//! `stoke operator`: the operator on any cluster.
//!
//! - [`run`]: works, in a pod or from a laptop
//! - [`adopt`]: takes over what another operator left running
//! - [`webhook`]: its flags for admission
//! - [`policies`]: its flags for policies
//! - [`install`]: prints, applies or deletes what it needs in a cluster

mod adopt;
mod install;
pub mod policies;
mod run;
mod webhook;

use crate::cli::Context;
use crate::failure::Outcome;

/// What to do with the operator.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Run the operator, in a pod or from here, against any cluster
    Run(Box<run::Arguments>),
    /// Take over applications that another operator of the same API left running, without restarting them
    Adopt(adopt::Arguments),
    /// Print the objects that `install` applies
    Manifests(Box<install::Arguments>),
    /// Install the operator and its CRDs in a cluster, and wait until it works
    Install(Box<install::Install>),
    /// Remove the operator from a cluster; applications and CRDs stay unless told otherwise
    Uninstall(Box<install::Uninstall>),
}

/// Runs the command.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    match command {
        Command::Run(arguments) => run::run(*arguments, context).await,
        Command::Adopt(arguments) => adopt::run(&arguments, context).await,
        Command::Manifests(arguments) => install::manifests(&arguments, context),
        Command::Install(arguments) => install::install(&arguments, context).await,
        Command::Uninstall(arguments) => install::uninstall(&arguments, context).await,
    }
}
