//! `stoke status`: whether the embedded cluster is up and well.

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::json;
use stoke_model::units::people::{amount, counted};

use stoke_laptop::awaited::{of_pods, of_refused};
use stoke_laptop::object_store;
use stoke_laptop::session::connect;
use stoke_model::crd::SparkApplication;

use crate::cli::Context;
use crate::commands::down::process_of;
use crate::commands::up::history_of;
use crate::failure::Outcome;
use crate::terminal::{Format, green, red};

/// Runs the command. Exit code 0 when the cluster is well, 3 when it is not running or not well.
pub async fn run(context: &mut Context) -> Outcome<u8> {
    let directory = context.home.default_cluster();
    let terminal = &mut context.terminal;
    let Some(client) = connect(&directory).await else {
        let stuck = process_of(&directory);
        match terminal.format() {
            Format::Json => {
                terminal.json(&json!({ "up": false, "processId": stuck.map(|pid| pid.as_raw_nonzero().get()) }))
            }
            Format::Text => match stuck {
                Some(pid) => terminal.out(format!(
                    "{}: process {} lives but its API server does not answer; `stoke down` ends it",
                    red("not well"),
                    pid.as_raw_nonzero()
                )),
                None => terminal.out("not running; `stoke up --detach` starts it"),
            },
        }
        return Ok(3);
    };
    let all = ListParams::default();
    let nodes = Api::<Node>::all(client.clone()).list(&all).await?.items;
    let pods = Api::<Pod>::all(client.clone()).list(&all).await?.items;
    let applications = Api::<SparkApplication>::all(client.clone()).list(&all).await?.items;
    let phase = |wanted: &str| {
        pods.iter()
            .filter(|pod| pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some(wanted))
            .count()
    };
    let active = applications
        .iter()
        .filter(|app| !app.status.as_ref().is_some_and(|s| s.app_state.state.is_terminal()))
        .count();
    let sick: Vec<String> = nodes
        .iter()
        .filter(|node| !ready(node))
        .map(ResourceExt::name_any)
        .collect();
    let pending: Vec<&Pod> = pods
        .iter()
        .filter(|pod| pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Pending"))
        .collect();
    let waiting = of_pods(&client, &pending, jiff::Timestamp::now()).await;
    let refused = of_refused(&client, &pods).await;
    let objects = object_store::endpoint(&directory).await;
    let history = history_of(&directory);
    match terminal.format() {
        Format::Json => terminal.json(&json!({
            "up": true,
            "objectStore": objects,
            "history": history,
            "nodesNotReady": sick,
            "pods": { "running": phase("Running"), "pending": phase("Pending") },
            "waiting": waiting.iter().map(|(pod, waits)| (pod, waits, "itself"))
                .chain(refused.iter().map(|(pod, waits)| (pod, waits, "executors")))
                .map(|(pod, waits, what)| json!({
                    "pod": pod.name_any(), "namespace": pod.namespace(), "waitsFor": what, "reason": waits.reason, "message": waits.message,
                    "since": waits.since.map(|since| since.to_string()), "fix": waits.fix,
                })).collect::<Vec<_>>(),
            "applications": { "active": active, "all": applications.len() },
            "kubeconfig": directory.join("kubeconfig"),
        })),
        Format::Text => {
            let word = if sick.is_empty() && objects.is_some() {
                green("up and well")
            } else {
                red("up, but not well")
            };
            terminal.out(format!(
                "{word}: {} ({active} active), {} running, {} pending",
                counted(applications.len(), "application"),
                counted(phase("Running"), "pod"),
                phase("Pending")
            ));
            for (pod, waits) in &waiting {
                terminal.out(format!(
                    "pod {}/{} waits: {waits}",
                    pod.namespace().unwrap_or_default(),
                    pod.name_any()
                ));
            }
            for (pod, waits) in &refused {
                terminal.out(format!(
                    "pod {}/{} waits for executors: {waits}",
                    pod.namespace().unwrap_or_default(),
                    pod.name_any()
                ));
            }
            for node in &nodes {
                let state = if ready(node) { "ready" } else { "not ready" };
                let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
                let of = |key: &str| {
                    allocatable
                        .and_then(|all| all.get(key))
                        .map_or("?", |quantity| quantity.0.as_str())
                        .to_string()
                };
                terminal.out(format!(
                    "node {} {state}: {}, {} memory",
                    node.name_any(),
                    amount(&of("cpu"), "core"),
                    of("memory")
                ));
            }
            terminal.out(match &objects {
                Some(endpoint) => format!("object store {endpoint}"),
                None => "object store does not answer".to_string(),
            });
            terminal.out(format!("history {history}/"));
            terminal.out(format!("kubeconfig {}", directory.join("kubeconfig").display()));
        }
    }
    Ok(if sick.is_empty() && objects.is_some() { 0 } else { 3 })
}

fn ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
