//! Fourteen lives of pods beside what a real kubelet and scheduler published for them (`scripts/record-lives`): statuses in their order, and Events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use kube::api::{WatchEvent, WatchParams};
use serde_json::{Value, json};

use crate::bench::Bench;

const LIVES: &str = include_str!("lives.json");
const RECORDED: &str = include_str!("lives.recorded.json");

/// What differs, and why. A life that no longer differs so fails the test.
const DIFFERENCES: [(&str, &str); 4] = [
    (
        "crash-loop",
        "a container that is restarted for the first time shows ContainerCreating for a moment",
    ),
    (
        "deadline",
        "the reason DeadlineExceeded is set before the containers have ended",
    ),
    (
        "image-missing",
        "nothing is made for a pod before its image is there, so PodReadyToStartContainers is False",
    ),
    (
        "two-containers-one-fails",
        "containers are started one after the other, with a status between",
    ),
];

type Shape = (String, Vec<String>, Vec<String>);

pub async fn pods_live_as_on_a_recorded_kubelet(bench: &Bench) {
    let lives: BTreeMap<String, Value> = serde_json::from_str(LIVES).unwrap();
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let all = lives.iter().map(|(name, life)| live(bench, name, life));
    let ours: Vec<(Vec<Shape>, BTreeSet<String>)> = futures::future::join_all(all).await;
    let mut told = String::new();
    for ((name, _), (statuses, events)) in lives.iter().zip(ours) {
        let theirs = &recorded["lives"][name];
        let their_statuses: Vec<Shape> = serde_json::from_value(theirs["statuses"].clone()).unwrap();
        let their_events: BTreeSet<String> = serde_json::from_value(theirs["events"].clone()).unwrap();
        let (statuses, their_statuses) = (settled(statuses), settled(their_statuses));
        let mut differs = String::new();
        if statuses != their_statuses {
            let lines = |mark: &str, some: &[Shape], other: &[Shape]| -> String {
                let only = some.iter().filter(|shape| !other.contains(shape));
                only.map(|shape| format!("\n  {mark} {shape:?}")).collect()
            };
            let theirs_alone = lines("kubelet alone", &their_statuses, &statuses);
            let ours_alone = lines("ours alone", &statuses, &their_statuses);
            differs += &format!("statuses{theirs_alone}{ours_alone}\n");
        }
        if events != their_events {
            differs += &format!("events\n  kubelet {their_events:?}\n  ours {events:?}\n");
        }
        match DIFFERENCES.iter().find(|(listed, _)| listed == name) {
            None if !differs.is_empty() => told += &format!("{name}: {differs}"),
            Some((_, why)) if differs.is_empty() => told += &format!("{name} is listed ({why}) and does not differ\n"),
            _ => {}
        }
    }
    assert!(told.is_empty(), "{told}");
}

/// Without what a kubelet may leave out or not, by its timing: something has ended in a pod that has not.
fn settled(mut statuses: Vec<Shape>) -> Vec<Shape> {
    let passing = |(phase, conditions, containers): &Shape| {
        let ended = |container: &String| container.contains(": terminated") && !container.starts_with("first");
        let over = |condition: &String| condition.ends_with("/PodCompleted") || condition.ends_with("/PodFailed");
        let on = phase.starts_with("Running") || phase.starts_with("Pending");
        on && (containers.iter().any(ended) || conditions.iter().any(over))
    };
    statuses.retain(|shape| !passing(shape));
    statuses.dedup();
    statuses
}

/// One life: what was published, and the kinds of Events.
async fn live(bench: &Bench, name: &str, life: &Value) -> (Vec<Shape>, BTreeSet<String>) {
    let mut spec = life["spec"].clone();
    let never = json!("Never");
    spec["restartPolicy"] = spec.get("restartPolicy").unwrap_or(&never).clone();
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            if let Some(script) = container
                .as_object_mut()
                .and_then(|container| container.remove("script"))
            {
                container["args"] = json!([script]);
            }
        }
        if spec[list].is_null() {
            spec.as_object_mut().map(|spec| spec.remove(list));
        }
    }
    let pod = bench.create(name, spec).await;
    let version = pod.metadata.resource_version.clone().unwrap();
    let parameters = WatchParams::default().fields(&format!("metadata.name={name}"));
    let stream = bench.pods().watch(&parameters, &version).await.unwrap();
    futures::pin_mut!(stream);
    let mut shapes = vec![shape(&serde_json::to_value(&pod.status).unwrap())];
    let until = life["until"].as_str().unwrap_or("\0");
    let most = Duration::from_secs(life["for"].as_u64().unwrap_or(120));
    let told = async {
        while let Some(event) = stream.next().await {
            let (WatchEvent::Added(pod) | WatchEvent::Modified(pod)) = event.unwrap() else {
                continue;
            };
            let now = shape(&serde_json::to_value(&pod.status).unwrap());
            let over = now.0.starts_with("Succeeded") || now.0.starts_with("Failed");
            let over = over || now.2.iter().any(|container| container.contains(until));
            if shapes.last() != Some(&now) {
                shapes.push(now);
            }
            if over {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(most, told).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let events = bench.events(&pod, 1).await;
    let events = events
        .iter()
        .filter_map(|line| Some(line.split_once(':')?.0.to_owned()))
        .collect();
    if !life["until"].is_null() || !life["for"].is_null() {
        bench.delete(name, 0).await;
    }
    (shapes, events)
}

/// Phase with its reason, conditions, and what each container is at: as `scripts/record-lives` writes it.
fn shape(status: &Value) -> Shape {
    let list = |key: &str| status[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let with_reason = |first: String, reason: &Value| match reason.as_str() {
        Some(reason) if !reason.is_empty() => format!("{first}/{reason}"),
        _ => first,
    };
    let mut conditions: Vec<String> = list("conditions")
        .iter()
        .map(|condition| {
            let first = format!("{}={}", text(&condition["type"]), text(&condition["status"]));
            with_reason(first, &condition["reason"])
        })
        .collect();
    conditions.sort();
    let containers = list("initContainerStatuses")
        .into_iter()
        .chain(list("containerStatuses"));
    let containers = containers.map(|container| {
        let state = &container["state"];
        let at = if state["waiting"].is_object() {
            format!("waiting {}", text(&state["waiting"]["reason"]))
        } else if state["running"].is_object() {
            "running".to_owned()
        } else if state["terminated"].is_object() {
            let ended = &state["terminated"];
            format!("terminated {} {}", text(&ended["reason"]), ended["exitCode"])
        } else {
            String::new()
        };
        let ready = if container["ready"] == true { " ready" } else { "" };
        let again = container["restartCount"].as_u64().filter(|count| *count > 0);
        let again = again.map(|count| format!(" x{count}")).unwrap_or_default();
        format!("{}: {at}{ready}{again}", text(&container["name"]))
    });
    let phase = with_reason(text(&status["phase"]), &status["reason"]);
    (phase, conditions, containers.collect())
}
