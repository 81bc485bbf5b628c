//! `stoke ps`: applications and what state they are in.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::json;
use stoke_model::crd::{ExecutorState, SparkApplication};

use crate::cli::{Context, Target};
use crate::failure::Outcome;
use crate::session;
use crate::terminal::{Format, duration, table};

/// Arguments of `stoke ps`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Applications of every namespace
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let session = session::open(&context.home, &arguments.target).await?;
    let api: Api<SparkApplication> = if arguments.all_namespaces {
        Api::all(session.client)
    } else {
        Api::namespaced(session.client, &session.namespace)
    };
    let applications = api.list(&ListParams::default()).await?.items;
    let now = Timestamp::now();
    match context.terminal.format() {
        Format::Json => {
            let rows: Vec<_> = applications
                .iter()
                .map(|app| json!({ "name": app.name_any(), "namespace": app.namespace(), "status": app.status }))
                .collect();
            context.terminal.json(&rows);
        }
        Format::Text if applications.is_empty() => context.terminal.note("no applications"),
        Format::Text => {
            let heading = ["NAMESPACE", "NAME", "STATE", "ATTEMPTS", "EXECUTORS", "DURATION", "AGE"];
            let mut rows = vec![heading.map(String::from).to_vec()];
            rows.extend(applications.iter().map(|application| row(application, now)));
            let waits: Vec<&str> = applications.iter().map(waits_for).collect();
            if waits.iter().any(|waits| !waits.is_empty()) {
                let column = std::iter::once("WAITS FOR").chain(waits);
                rows.iter_mut()
                    .zip(column)
                    .for_each(|(row, text)| row.push(text.to_owned()));
            }
            for line in table(&rows) {
                context.terminal.out(line);
            }
        }
    }
    Ok(0)
}

/// What stands in the way of one that has not ended.
fn waits_for(application: &SparkApplication) -> &str {
    let state = application.status.as_ref().map(|status| &status.app_state);
    state
        .filter(|state| !state.state.is_terminal())
        .map_or("", |state| state.error_message.as_str())
}

fn row(application: &SparkApplication, now: Timestamp) -> Vec<String> {
    let status = application.status.clone().unwrap_or_default();
    let state = serde_json::to_value(status.app_state.state)
        .ok()
        .and_then(|word| word.as_str().map(str::to_string))
        .unwrap_or_default();
    let running = status
        .executor_state
        .values()
        .filter(|state| **state == ExecutorState::Running)
        .count();
    let since = |from: Timestamp, to: Timestamp| {
        duration(std::time::Duration::try_from(to.duration_since(from)).unwrap_or_default())
    };
    let ran = status
        .last_submission_attempt_time
        .as_ref()
        .map(|start| since(start.0, status.termination_time.as_ref().map_or(now, |end| end.0)));
    let age = application.creation_timestamp().map(|created| since(created.0, now));
    vec![
        application.namespace().unwrap_or_default(),
        application.name_any(),
        if state.is_empty() { "NEW".into() } else { state },
        status.execution_attempts.to_string(),
        running.to_string(),
        ran.unwrap_or_else(|| "-".into()),
        age.unwrap_or_else(|| "-".into()),
    ]
}
