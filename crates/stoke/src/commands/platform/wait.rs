//! Waiting until objects do their work; where they do not, why: what their pods wait for, events, and the end of a log.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams, LogParams};
use serde_json::Value;
use stoke_diagnostics::Evidence;
use stoke_insight::bundle::redact;
use stoke_model::units::people::elapsed;
use stoke_model::waiting;
use stoke_platform::plan::{Id, Readiness, readiness};
use tokio::time::Instant;

use super::cluster::Cluster;
use crate::cli::Context;
use crate::failure::{Failure, Outcome};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// Looks between two at pods.
const EVERY: u32 = 4;
/// How long an image may fail to be pulled before the wait ends.
const NO_IMAGE: Duration = Duration::from_secs(45);
/// A container that restarted this often is not waited for.
const MOST_RESTARTS: i32 = 5;
/// Lines of a log that are shown, of those that are read: where a program was, each line of a stack, says less than why.
const LINES: usize = 8;
const READ: i64 = 80;
/// Events that are shown.
const EVENTS: usize = 3;

/// Waits until all of these objects are ready, and calls `told` with each that is.
pub async fn all(
    cluster: &mut Cluster,
    objects: &[&Value],
    timeout: Duration,
    context: &mut Context,
    mut told: impl FnMut(&Value, Duration, &mut Context),
) -> Outcome<()> {
    let begun = Instant::now();
    let mut pending: Vec<&Value> = objects.to_vec();
    let mut looks = 0;
    let mut no_image = None;
    loop {
        let (mut still, mut says) = (Vec::new(), Vec::new());
        for object in pending {
            let there = cluster.get(object).await?;
            let why = match there.as_ref().map(readiness) {
                Some(Readiness::Ready) => {
                    told(object, begun.elapsed(), context);
                    continue;
                }
                Some(Readiness::Coming(why)) => why,
                Some(Readiness::Failed(why)) => {
                    let message = format!("{} failed: {why}", Id::of(object).text());
                    return Err(failure("stoke::platform::failed", message, cluster, object).await);
                }
                None => "it is gone".to_owned(),
            };
            says.push(format!("{}: {why}", Id::of(object).name));
            still.push((object, why));
        }
        if still.is_empty() {
            context.terminal.end_status();
            return Ok(());
        }
        let wait = elapsed(begun.elapsed());
        context
            .terminal
            .status(format!("{wait}  waiting for {}", says.join(", ")));
        if looks % EVERY == 0 {
            let mut without = None;
            for (object, _) in &still {
                match hopeless(&pods(cluster, object).await) {
                    Some(Hopeless::Now(why)) => {
                        let message = format!("{} does not come: {why}", Id::of(object).text());
                        return Err(failure("stoke::platform::failed", message, cluster, object).await);
                    }
                    Some(Hopeless::Soon(why)) => without = Some((*object, why)),
                    None => {}
                }
            }
            no_image = without.map(|found| (no_image.take().map_or_else(Instant::now, |(since, _)| since), found));
            if let Some((since, (object, why))) = &no_image
                && since.elapsed() > NO_IMAGE
            {
                let message = format!("{} does not come: {why}", Id::of(object).text());
                return Err(failure("stoke::platform::failed", message, cluster, object).await);
            }
        }
        if begun.elapsed() > timeout {
            let (object, why) = still[0].clone();
            let message = format!(
                "{} is not ready after {}: {why}",
                Id::of(object).text(),
                elapsed(timeout)
            );
            return Err(failure("stoke::platform::not-ready", message, cluster, object).await);
        }
        looks += 1;
        pending = still.into_iter().map(|(object, _)| object).collect();
        tokio::time::sleep(PAUSE).await;
    }
}

/// Pods that will not come by waiting.
enum Hopeless {
    Now(String),
    /// Unless it changes soon.
    Soon(String),
}

fn hopeless(pods: &[Pod]) -> Option<Hopeless> {
    for pod in pods {
        for container in statuses(pod) {
            let waits = container.state.as_ref().and_then(|state| state.waiting.as_ref());
            let reason = waits.and_then(|waits| waits.reason.as_deref()).unwrap_or_default();
            let message = waits.and_then(|waits| waits.message.as_deref()).unwrap_or_default();
            let said = format!(
                "container {} of pod {}: {reason}: {message}",
                container.name,
                pod.name_any()
            );
            match reason {
                "InvalidImageName" | "ErrImageNeverPull" => return Some(Hopeless::Now(said)),
                "ErrImagePull" | "ImagePullBackOff" | "CreateContainerConfigError" => {
                    return Some(Hopeless::Soon(said));
                }
                _ if container.restart_count >= MOST_RESTARTS && !container.ready => {
                    let how = format!(
                        "container {} of pod {} ended {} times",
                        container.name,
                        pod.name_any(),
                        container.restart_count
                    );
                    return Some(Hopeless::Now(how));
                }
                _ => {}
            }
        }
    }
    None
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let own = status.and_then(|status| status.container_statuses.as_ref());
    init.into_iter().chain(own).flatten()
}

/// The pods of an object: those of its selector, or of the labels that its server has.
async fn pods(cluster: &Cluster, object: &Value) -> Vec<Pod> {
    let labels = match object["kind"] == "SparkConnect" {
        true => object.pointer("/spec/server/labels"),
        false => object.pointer("/spec/selector/matchLabels"),
    };
    let Some(labels) = labels.and_then(Value::as_object) else {
        return Vec::new();
    };
    let selector: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let api: Api<Pod> = Api::namespaced(cluster.client().clone(), namespace(object));
    let parameters = ListParams::default().labels(&selector.join(","));
    api.list(&parameters).await.map(|list| list.items).unwrap_or_default()
}

fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

/// A failure with what shows it, and what to do.
async fn failure(code: &'static str, message: String, cluster: &Cluster, object: &Value) -> Failure {
    let pods = pods(cluster, object).await;
    let mut evidence = Vec::new();
    let mut fix = None;
    let unready = |pod: &&Pod| !statuses(pod).all(|container| container.ready) || statuses(pod).next().is_none();
    for pod in pods.iter().filter(unready).take(2) {
        let events = events(cluster, object, pod).await;
        if let Some(waits) = waiting::of_pod(pod, &events) {
            fix.get_or_insert_with(|| waits.fix.clone());
            evidence.push(Evidence::new(format!("pod {}", pod.name_any()), waits.to_string()));
        }
        let warnings = events
            .iter()
            .rev()
            .filter(|event| event.type_.as_deref() == Some("Warning"));
        for event in warnings.take(EVENTS) {
            let reason = event.reason.as_deref().unwrap_or_default();
            let said = event.message.as_deref().unwrap_or_default();
            evidence.push(Evidence::new(
                format!("event of pod {}", pod.name_any()),
                format!("{reason}: {}", redact::text(said)),
            ));
        }
        if let Some(container) = culprit(pod) {
            let place = format!("log of pod {}, container {}", pod.name_any(), container.name);
            for line in tail(cluster, object, pod, container).await {
                evidence.push(Evidence::new(place.clone(), line));
            }
            let command = format!(
                "`kubectl logs -n {} {} -c {}` shows the whole log",
                namespace(object),
                pod.name_any(),
                container.name
            );
            fix.get_or_insert(command);
        }
    }
    let fix = fix.unwrap_or_else(|| "`kubectl describe` of it and of its pods says more".to_owned());
    let mut failure = Failure::environment(code, message).fix(format!(
        "{fix}; --timeout gives it longer, and what is there is taken up when the command is given again"
    ));
    failure.diagnostic.evidence = evidence;
    failure
}

/// The container whose log says most: the first that is not ready and has run.
fn culprit(pod: &Pod) -> Option<&ContainerStatus> {
    let has_run = |container: &&ContainerStatus| {
        let runs = container
            .state
            .as_ref()
            .is_some_and(|state| state.running.is_some() || state.terminated.is_some());
        let done = container
            .state
            .as_ref()
            .and_then(|state| state.terminated.as_ref())
            .is_some_and(|ended| ended.exit_code == 0);
        !container.ready && !done && (runs || container.restart_count > 0)
    };
    statuses(pod).find(has_run)
}

async fn events(cluster: &Cluster, object: &Value, pod: &Pod) -> Vec<Event> {
    let api: Api<Event> = Api::namespaced(cluster.client().clone(), namespace(object));
    let parameters = ListParams::default().fields(&format!("involvedObject.name={}", pod.name_any()));
    api.list(&parameters).await.map(|list| list.items).unwrap_or_default()
}

/// The end of a container's log; of the one before, where it waits to start again.
async fn tail(cluster: &Cluster, object: &Value, pod: &Pod, container: &ContainerStatus) -> Vec<String> {
    let api: Api<Pod> = Api::namespaced(cluster.client().clone(), namespace(object));
    let previous = container.state.as_ref().is_some_and(|state| state.waiting.is_some());
    let parameters = LogParams {
        container: Some(container.name.clone()),
        tail_lines: Some(READ),
        previous,
        ..LogParams::default()
    };
    let log = api.logs(&pod.name_any(), &parameters).await.unwrap_or_default();
    let says = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("at ");
    let lines: Vec<&str> = log.lines().filter(says).collect();
    let last = lines.len().saturating_sub(LINES);
    lines[last..]
        .iter()
        .map(|line| redact::text(line).into_owned())
        .collect()
}
