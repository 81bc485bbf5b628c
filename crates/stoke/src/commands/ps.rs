//! `stoke ps`: applications and what state they are in.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use stoke_laptop::awaited::of_refused;
use stoke_laptop::session;
use stoke_model::crd::{ApplicationStateType, ExecutorState, SparkApplication};
use stoke_model::names;
use stoke_model::units::people::elapsed as duration;
use stoke_model::waiting::Waiting;

use crate::cli::{Context, Target};
use crate::failure::Outcome;
use crate::terminal::{Format, table};

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
    let session = session::open(&context.home, &arguments.target.cluster()).await?;
    let api: Api<SparkApplication> = if arguments.all_namespaces {
        Api::all(session.client.clone())
    } else {
        Api::namespaced(session.client.clone(), &session.namespace)
    };
    let applications = api.list(&ListParams::default()).await?.items;
    let refused = refused(&session.client, &applications).await;
    let refused_of = |app: &SparkApplication| refused.get(&(app.namespace().unwrap_or_default(), app.name_any()));
    let now = Timestamp::now();
    match context.terminal.format() {
        Format::Json => {
            let rows: Vec<_> = applications
                .iter()
                .map(|app| {
                    let mut row = json!({ "name": app.name_any(), "namespace": app.namespace(), "status": app.status });
                    if let Some(waits) = refused_of(app) {
                        row["waitsForExecutors"] = json!({
                            "reason": waits.reason, "message": waits.message, "since": waits.since.map(|since| since.to_string()), "fix": waits.fix,
                        });
                    }
                    row
                })
                .collect();
            context.terminal.json(&rows);
        }
        Format::Text if applications.is_empty() => context.terminal.note("no applications"),
        Format::Text => {
            let heading = ["NAMESPACE", "NAME", "STATE", "ATTEMPTS", "EXECUTORS", "DURATION", "AGE"];
            let mut rows = vec![heading.map(String::from).to_vec()];
            rows.extend(applications.iter().map(|application| row(application, now)));
            let told = |app: &SparkApplication| match (waits_for(app), refused_of(app)) {
                ("", Some(waits)) => format!("executors: {waits}"),
                (text, _) => text.to_owned(),
            };
            let waits: Vec<String> = applications.iter().map(told).collect();
            if waits.iter().any(|waits| !waits.is_empty()) {
                let column = std::iter::once("WAITS FOR".to_owned()).chain(waits);
                rows.iter_mut().zip(column).for_each(|(row, text)| row.push(text));
            }
            for line in table(&rows) {
                context.terminal.out(line);
            }
        }
    }
    Ok(0)
}

/// Which running applications may not have the executors they ask for, by namespace and name. Only those without any are asked.
async fn refused(client: &Client, applications: &[SparkApplication]) -> BTreeMap<(String, String), Waiting> {
    let alone = applications.iter().filter(|app| is_alone(app));
    let mut alone: Vec<String> = alone.filter_map(ResourceExt::namespace).collect();
    alone.sort_unstable();
    alone.dedup();
    let drivers = ListParams::default().labels(&format!("{}={}", names::LABEL_SPARK_ROLE, names::ROLE_DRIVER));
    let mut found = BTreeMap::new();
    for namespace in alone {
        // Who may not see pods or logs learns less.
        let Ok(pods) = Api::<Pod>::namespaced(client.clone(), &namespace).list(&drivers).await else {
            continue;
        };
        for (pod, waits) in of_refused(client, &pods.items).await {
            if let Some(name) = pod.labels().get(names::LABEL_APP_NAME) {
                found.insert((namespace.clone(), name.clone()), waits);
            }
        }
    }
    found
}

/// Whether it runs and has no executor that does.
fn is_alone(application: &SparkApplication) -> bool {
    application.status.as_ref().is_some_and(|status| {
        let runs = |state: &ExecutorState| *state == ExecutorState::Running;
        status.app_state.state == ApplicationStateType::Running && !status.executor_state.values().any(runs)
    })
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
