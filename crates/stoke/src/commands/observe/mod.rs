//! `stoke observe`: what monitors Spark on Kubernetes.
//!
//! - [`manifests`]: rules with their tests, scraping, Alertmanager, dashboards
//! - [`backfill`]: series of runs that are over
//! - [`series`]: what a scrape costs

mod backfill;
mod manifests;
mod series;

use crate::cli::Context;
use crate::failure::Outcome;

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Print or write what monitors Spark: scraping, rules with their tests, an Alertmanager configuration, dashboards, log shipping
    Manifests(Box<manifests::Arguments>),
    /// List the alerts, or show one: its expression, whom it concerns, what to do, what makes it fire
    Alerts(manifests::Alerts),
    /// Write the series of runs that are over, out of their event logs, for `promtool tsdb create-blocks-from openmetrics`
    Backfill(backfill::Arguments),
    /// Count series and bytes of scrapes: all, what the pack keeps, what each executor adds
    Series(series::Arguments),
}

/// Runs the command.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    match command {
        Command::Manifests(arguments) => manifests::run(&arguments, context),
        Command::Alerts(arguments) => manifests::alerts(&arguments, context),
        Command::Series(arguments) => series::run(&arguments, context),
        Command::Backfill(arguments) => backfill::run(arguments, context).await,
    }
}
