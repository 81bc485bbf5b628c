//! `stoke delete`: removes applications with what belongs to them.

use kube::api::Api;
use stoke_laptop::apply;
use stoke_laptop::session;
use stoke_model::crd::SparkApplication;

use crate::cli::{Context, Target};
use crate::commands::logs::not_found;
use crate::failure::Outcome;

/// Arguments of `stoke delete`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The applications
    #[arg(required = true)]
    applications: Vec<String>,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let session = session::open(&context.home, &arguments.target.cluster()).await?;
    let api: Api<SparkApplication> = Api::namespaced(session.client.clone(), &session.namespace);
    let mut missing = None;
    for name in &arguments.applications {
        if apply::delete(&api, name).await? {
            context.terminal.out(format!("sparkapplication/{name} deleted"));
        } else {
            missing = Some(not_found(name, &session.namespace));
        }
    }
    missing.map_or(Ok(0), Err)
}
