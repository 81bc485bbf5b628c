//! Pods that do not start: what each waits for, asked of its status and, where that says nothing, of its events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt};
use stoke_model::names;
use stoke_model::waiting::refused::Refusals;
use stoke_model::waiting::{self, Waiting};

/// Pods whose events are asked for in one look: what holds up many of one application is the same for all.
const ASKED: usize = 3;
/// Drivers whose logs are read in one look.
const READ: usize = 8;
/// Lines of a driver's log that are read for what it was refused: a refusal has some forty, and there is one with each try.
const LINES: i64 = 20_000;
/// An answer that takes longer is not waited for: there is another look.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pods of one application that do not run yet, and what was told of them.
#[derive(Default)]
pub struct Awaited {
    pending: BTreeMap<String, Pod>,
    told: BTreeSet<(bool, String, String)>,
}

impl Awaited {
    /// Takes a pod as it is now.
    pub fn see(&mut self, pod: &Pod) {
        let name = pod.name_any();
        match waiting::of_pod(pod, &[]) {
            Some(_) => drop(self.pending.insert(name, pod.clone())),
            None => drop(self.pending.remove(&name)),
        }
    }

    /// A pod is gone.
    pub fn gone(&mut self, pod: &Pod) {
        self.pending.remove(&pod.name_any());
    }

    /// What is waited for and was not told yet, in words.
    pub async fn look(&mut self, client: &Client) -> Vec<String> {
        let pending = self.pending.clone();
        let pods: Vec<&Pod> = pending.values().collect();
        let found = of_pods(client, &pods, Timestamp::now()).await;
        self.new_of(found)
    }

    /// Each reason once for the driver and once for the executors.
    fn new_of(&mut self, found: Vec<(&Pod, Waiting)>) -> Vec<String> {
        let mut texts = Vec::new();
        for (pod, waits) in found {
            let is_driver = pod.labels().get(names::LABEL_SPARK_ROLE).map(String::as_str) == Some(names::ROLE_DRIVER);
            let said = waits.message.replace(&pod.name_any(), "");
            if self.told.insert((is_driver, waits.reason.clone(), said)) {
                let name = pod.name_any();
                texts.push(if is_driver {
                    waits.to_string()
                } else {
                    format!("pod {name}: {waits}")
                });
            }
        }
        texts
    }
}

/// What these pods wait for, as far as it is worth telling now.
pub async fn of_pods<'a>(client: &Client, pods: &[&'a Pod], now: Timestamp) -> Vec<(&'a Pod, Waiting)> {
    let (mut found, mut asked) = (Vec::new(), 0);
    for &pod in pods {
        let Some(mut waits) = waiting::of_pod(pod, &[]) else {
            continue;
        };
        if waits.reason == waiting::ON_NODE && asked < ASKED {
            asked += 1;
            let events = tokio::time::timeout(PATIENCE, events_of(client, pod))
                .await
                .unwrap_or_default();
            waits = waiting::of_pod(pod, &events).unwrap_or(waits);
        }
        if waits.counts(now) {
            found.push((pod, waits));
        }
    }
    found
}

/// Drivers that run and may not have the executors they ask for, those with the fewest executors first: only their logs tell.
pub async fn of_refused<'a>(client: &Client, pods: &'a [Pod]) -> Vec<(&'a Pod, Waiting)> {
    let read = drivers(pods).into_iter().take(READ).map(async |pod| {
        let namespace = pod.namespace().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        let parameters = LogParams {
            container: Some(names::DRIVER_CONTAINER.to_owned()),
            tail_lines: Some(LINES),
            timestamps: true,
            ..LogParams::default()
        };
        let log = tokio::time::timeout(PATIENCE, api.logs(&pod.name_any(), &parameters)).await;
        let refusals = Refusals::of_log(&log.ok()?.ok()?, &namespace);
        Some((pod, refusals.standing()?.clone()))
    });
    futures::future::join_all(read).await.into_iter().flatten().collect()
}

/// Drivers that run, those with the fewest executors that do first.
fn drivers(pods: &[Pod]) -> Vec<&Pod> {
    let label = |pod: &Pod, name: &str| pod.labels().get(name).cloned();
    let runs = |pod: &&Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
    let of = |role: &'static str| {
        let of_role = move |pod: &&Pod| label(pod, names::LABEL_SPARK_ROLE).as_deref() == Some(role);
        pods.iter().filter(runs).filter(of_role)
    };
    let key = |pod: &Pod| (pod.namespace(), label(pod, names::LABEL_SPARK_APP_SELECTOR));
    let mut executors: BTreeMap<_, usize> = BTreeMap::new();
    for executor in of(names::ROLE_EXECUTOR) {
        *executors.entry(key(executor)).or_default() += 1;
    }
    let mut drivers: Vec<&Pod> = of(names::ROLE_DRIVER).collect();
    drivers.sort_by_key(|pod| executors.get(&key(pod)).copied().unwrap_or_default());
    drivers
}

/// Who may not read them learns less.
async fn events_of(client: &Client, pod: &Pod) -> Vec<Event> {
    let api: Api<Event> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let about = format!("involvedObject.kind=Pod,involvedObject.name={}", pod.name_any());
    let listed = api.list(&ListParams::default().fields(&about)).await;
    listed.map(|list| list.items).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, role: &str, message: &str) -> Pod {
        let condition =
            json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "n", "labels": {"spark-role": role}},
            "spec": {"containers": []}, "status": {"phase": "Pending", "conditions": [condition]},
        }))
        .unwrap()
    }

    #[test]
    fn drivers_without_executors_are_asked_first() {
        let of = |name: &str, role: &str, application: &str, phase: &str| {
            let mut pod = pod(name, role, "");
            pod.metadata
                .labels
                .get_or_insert_default()
                .insert("spark-app-selector".into(), application.into());
            pod.status.get_or_insert_default().phase = Some(phase.into());
            pod
        };
        let pods = [
            of("a-driver", "driver", "spark-a", "Running"),
            of("a-exec-1", "executor", "spark-a", "Running"),
            of("b-driver", "driver", "spark-b", "Running"),
            of("b-exec-1", "executor", "spark-b", "Pending"),
            of("c-driver", "driver", "spark-c", "Succeeded"),
        ];
        let names: Vec<String> = drivers(&pods).iter().map(|pod| pod.name_any()).collect();
        assert_eq!(names, ["b-driver", "a-driver"]);
    }

    #[test]
    fn each_reason_is_told_once_for_the_driver_and_once_for_the_executors() {
        let pods = [
            pod("d", "driver", "no room"),
            pod("e-1", "executor", "no room"),
            pod("e-2", "executor", "no room"),
            pod("e-3", "executor", "no zone"),
        ];
        let mut awaited = Awaited::default();
        let all = || {
            pods.iter()
                .map(|pod| (pod, waiting::of_pod(pod, &[]).unwrap()))
                .collect::<Vec<_>>()
        };
        let told = awaited.new_of(all());
        let starts: Vec<&str> = told.iter().filter_map(|text| text.split(';').next()).collect();
        assert_eq!(
            starts,
            [
                "Unschedulable: no room",
                "pod e-1: Unschedulable: no room",
                "pod e-3: Unschedulable: no zone"
            ]
        );
        assert!(awaited.new_of(all()).is_empty());
        awaited.see(&pods[0]);
        assert_eq!(awaited.pending.len(), 1);
        let mut runs = pods[0].clone();
        runs.status.as_mut().unwrap().phase = Some("Running".into());
        awaited.see(&runs);
        assert!(awaited.pending.is_empty());
    }
}
