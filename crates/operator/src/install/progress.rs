//! What has become of an installation: a decision over the Deployment, its ReplicaSets and pods, and what was said of them. Pure.

use std::fmt::Display;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// How far a Deployment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All that is asked for is there and answers.
    Available,
    /// Not yet; with what stands in the way, if something does.
    Coming {
        /// Pods of the newest state that answer.
        ready: i32,
        /// Pods that are asked for.
        of: i32,
        /// What stands in the way.
        trouble: Option<Trouble>,
    },
}

/// What stands in the way, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Stable name.
    pub code: &'static str,
    /// What happened, with the words of who said it.
    pub message: String,
    /// What to do.
    pub fix: String,
    /// True when waiting does not fix it.
    pub lasting: bool,
    /// Pod and container whose last log tells more; true for the log of the container before this one.
    pub log_of: Option<(String, String, bool)>,
}

impl Trouble {
    fn new(code: &'static str, message: impl Display, fix: impl Display, lasting: bool) -> Self {
        Self {
            code,
            message: message.to_string(),
            fix: fix.to_string(),
            lasting,
            log_of: None,
        }
    }
}

/// Restarts after which a container is no longer hoped for.
const RESTARTS: i32 = 2;

/// How far the Deployment is, and why not further. `pods` and `events` may be of the whole namespace.
#[must_use]
pub fn progress(deployment: &Deployment, sets: &[ReplicaSet], pods: &[Pod], events: &[Event]) -> Progress {
    let of = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let is_seen = status.observed_generation >= deployment.metadata.generation;
    let count = |count: Option<i32>| count.unwrap_or_default();
    let updated = count(status.updated_replicas);
    let (all, available) = (count(status.replicas), count(status.available_replicas));
    if is_seen && updated >= of && all <= updated && available >= of {
        return Progress::Available;
    }
    let newest = newest(deployment, sets);
    let mine: Vec<&Pod> = pods
        .iter()
        .filter(|pod| newest.is_some_and(|set| is_owned(&pod.metadata, &set.metadata)))
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .collect();
    let ready = mine.iter().filter(|pod| is_true(pod, "Ready")).count();
    let trouble = is_seen
        .then(|| {
            let found = mine.iter().filter_map(|pod| of_pod(pod, events));
            // What lasts explains what waits.
            let mut found: Vec<Trouble> = found.chain(refused(newest, deployment)).collect();
            found.sort_by_key(|trouble| !trouble.lasting);
            found.into_iter().next()
        })
        .flatten();
    Progress::Coming {
        ready: i32::try_from(ready).unwrap_or(i32::MAX).min(of),
        of,
        trouble,
    }
}

fn newest<'a>(deployment: &Deployment, sets: &'a [ReplicaSet]) -> Option<&'a ReplicaSet> {
    let revision = |set: &&ReplicaSet| {
        let annotations = set.metadata.annotations.as_ref();
        let revision = annotations.and_then(|all| all.get("deployment.kubernetes.io/revision"));
        revision.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default()
    };
    sets.iter()
        .filter(|set| is_owned(&set.metadata, &deployment.metadata))
        .max_by_key(revision)
}

fn is_owned(metadata: &ObjectMeta, owner: &ObjectMeta) -> bool {
    let mut owners = metadata.owner_references.iter().flatten();
    owners.any(|reference| Some(&reference.uid) == owner.uid.as_ref())
}

fn is_true(pod: &Pod, kind: &str) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == kind && one.status == "True"))
}

/// Pods that cannot even be created: quotas, Pod Security, admission, a missing service account.
fn refused(set: Option<&ReplicaSet>, deployment: &Deployment) -> Option<Trouble> {
    let of_set = set
        .and_then(|set| set.status.as_ref()?.conditions.as_ref())
        .into_iter()
        .flatten();
    let of_set = of_set.map(|one| (&one.type_, &one.status, &one.message));
    let of_deployment = deployment.status.as_ref().and_then(|status| status.conditions.as_ref());
    let of_deployment = of_deployment
        .into_iter()
        .flatten()
        .map(|one| (&one.type_, &one.status, &one.message));
    let mut all = of_set.chain(of_deployment);
    let (_, _, message) = all.find(|(kind, status, _)| *kind == "ReplicaFailure" && *status == "True")?;
    let message = message.clone().unwrap_or_default();
    let (code, fix) = if message.contains("violates PodSecurity") {
        (
            "stoke::install::pod-security",
            "let the namespace take such pods (label pod-security.kubernetes.io/enforce), or change controller.podSecurityContext and controller.securityContext",
        )
    } else if message.contains("exceeded quota") {
        (
            "stoke::install::quota",
            "raise the quota of the namespace, or ask for less: controller.resources, controller.replicas",
        )
    } else if message.contains("error looking up service account") {
        (
            "stoke::install::service-account",
            "make the service account, or let the installation make it: controller.serviceAccount.create",
        )
    } else {
        (
            "stoke::install::refused",
            "change what the API server refuses; `stoke operator manifests` prints the Deployment",
        )
    };
    Some(Trouble::new(
        code,
        format!("the API server refuses the operator's pods: {message}"),
        fix,
        true,
    ))
}

fn of_pod(pod: &Pod, events: &[Event]) -> Option<Trouble> {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let status = pod.status.as_ref()?;
    if is_true(pod, "Ready") {
        return None;
    }
    let unscheduled = status.conditions.iter().flatten().find(|one| {
        one.type_ == "PodScheduled" && one.status == "False" && one.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unscheduled {
        let said = condition.message.clone().unwrap_or_default();
        let message = format!("no node takes the pod {name}: {said}");
        let fix = "make room, or change controller.resources, nodeSelector, tolerations or affinity";
        return Some(Trouble::new("stoke::install::unschedulable", message, fix, false));
    }
    let containers = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .flatten();
    containers
        .filter(|container| !container.ready)
        .find_map(|container| of_container(&name, container, events))
        .or_else(|| being_prepared(&name, events))
}

fn of_container(pod: &str, container: &ContainerStatus, events: &[Event]) -> Option<Trouble> {
    let state = container.state.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let reason = waiting
        .and_then(|waiting| waiting.reason.as_deref())
        .unwrap_or_default();
    let said = waiting
        .and_then(|waiting| waiting.message.as_deref())
        .unwrap_or_default();
    let ended =
        |state: Option<&k8s_openapi::api::core::v1::ContainerState>| state.and_then(|state| state.terminated.clone());
    let last = ended(state).or_else(|| ended(container.last_state.as_ref()));
    match reason {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" | "ImageInspectError" => {
            // The back-off says only that it waits; what went wrong is in the event.
            let told = last_event(pod, events, "Failed").filter(|told| told.contains("ull image"));
            let said = if reason == "ImagePullBackOff" {
                told.unwrap_or(said)
            } else {
                said
            };
            let message = format!("the image {} cannot be pulled ({reason}): {said}", container.image);
            let fix = "name an image that the nodes can pull: --image, or image.registry, image.repository, image.tag and image.pullSecrets";
            Some(Trouble::new(
                "stoke::install::image",
                message,
                fix,
                reason != "ErrImagePull",
            ))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            let message = format!(
                "the container {} of {pod} cannot be started ({reason}): {said}",
                container.name
            );
            let fix =
                "fix what it names: a Secret or ConfigMap of controller.env, envFrom or volumes, or a security context";
            Some(Trouble::new("stoke::install::container", message, fix, false))
        }
        _ => match last {
            Some(last) => {
                let why = match last.reason.as_deref() {
                    Some("OOMKilled") => "it took more memory than controller.resources.limits.memory".to_owned(),
                    _ => format!("exit code {}", last.exit_code),
                };
                let said = last.message.unwrap_or_default();
                let said = said.trim();
                let said = if said.is_empty() {
                    String::new()
                } else {
                    format!(": {said}")
                };
                let message = format!(
                    "the container {} of {pod} restarts again and again ({why}){said}",
                    container.name
                );
                let fix = match last.reason.as_deref() {
                    Some("OOMKilled") => "raise controller.resources.limits.memory",
                    _ => "its log says why; `stoke operator run --help` explains its arguments",
                };
                let lasting = container.restart_count >= RESTARTS;
                let now = state.is_some_and(|state| state.terminated.is_some());
                Some(Trouble {
                    log_of: Some((pod.to_owned(), container.name.clone(), !now)),
                    ..Trouble::new("stoke::install::crash", message, fix, lasting)
                })
            }
            None if state.is_some_and(|state| state.running.is_some()) => {
                let said = last_event(pod, events, "Unhealthy").unwrap_or("its probes have not succeeded yet");
                let message = format!(
                    "the container {} of {pod} runs and is not ready: {said}",
                    container.name
                );
                let fix = "its log says what it waits for: rights, the API server, or definitions that are not there";
                Some(Trouble {
                    log_of: Some((pod.to_owned(), container.name.clone(), false)),
                    ..Trouble::new("stoke::install::not-ready", message, fix, false)
                })
            }
            None => None,
        },
    }
}

/// Volumes, network and sandbox: told in events only.
fn being_prepared(pod: &str, events: &[Event]) -> Option<Trouble> {
    let reasons = ["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"];
    let (reason, said) = reasons
        .into_iter()
        .find_map(|reason| Some((reason, last_event(pod, events, reason)?)))?;
    let message = format!("the node cannot prepare {pod} ({reason}): {said}");
    let fix = "fix what it names: controller.volumes, or the node's network";
    Some(Trouble::new("stoke::install::node", message, fix, false))
}

/// What an event of this reason last said of the pod.
fn last_event<'a>(pod: &str, events: &'a [Event], reason: &str) -> Option<&'a str> {
    let about =
        |event: &&Event| event.involved_object.name.as_deref() == Some(pod) && event.reason.as_deref() == Some(reason);
    let when = |event: &&Event| event.last_timestamp.as_ref().map(|time| time.0);
    events.iter().filter(about).max_by_key(when)?.message.as_deref()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn deployment(status: Value) -> Deployment {
        of(
            json!({"metadata": {"name": "d", "uid": "d", "generation": 2}, "spec": {"replicas": 2, "selector": {}, "template": {}}, "status": status}),
        )
    }

    fn set(name: &str, revision: &str, status: Value) -> ReplicaSet {
        of(
            json!({"metadata": {"name": name, "uid": name, "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "d"}]},
            "spec": {"selector": {}}, "status": status}),
        )
    }

    fn pod(name: &str, owner: &str, status: Value) -> Pod {
        of(
            json!({"metadata": {"name": name, "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner}]},
            "status": status}),
        )
    }

    fn container(state: Value, more: Value) -> Value {
        let mut container =
            json!({"name": "c", "image": "stoke:1", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        container
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"containerStatuses": [container]})
    }

    fn event(pod: &str, reason: &str, message: &str) -> Event {
        of(
            json!({"metadata": {}, "involvedObject": {"kind": "Pod", "name": pod}, "reason": reason, "message": message,
            "lastTimestamp": "2026-01-01T00:00:00Z"}),
        )
    }

    #[test]
    fn a_deployment_is_available_when_all_of_its_newest_state_answer() {
        let cases = [
            (
                json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
                true,
            ),
            (
                json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
                false,
            ),
            (
                json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3}),
                false,
            ),
            (
                json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}),
                false,
            ),
            (json!({}), false),
        ];
        for (status, available) in cases {
            let found = progress(&deployment(status.clone()), &[], &[], &[]);
            assert_eq!(found == Progress::Available, available, "{status}");
        }
        let none: Deployment = of(
            json!({"metadata": {"generation": 1}, "spec": {"replicas": 0, "selector": {}, "template": {}}, "status": {"observedGeneration": 1}}),
        );
        assert_eq!(progress(&none, &[], &[], &[]), Progress::Available);
    }

    /// Name, status of the ReplicaSet, status of the pod, events; code, words of the message, and whether it lasts.
    type Case = (
        &'static str,
        Value,
        Value,
        Vec<Event>,
        Option<(&'static str, &'static str, bool)>,
    );

    #[test]
    fn what_stands_in_the_way_has_a_code_a_reason_and_a_fix() {
        let waits = |reason: &str, message: &str| {
            container(json!({"waiting": {"reason": reason, "message": message}}), json!({}))
        };
        let crashed = |restarts: i32, reason: &str| {
            let last = json!({"terminated": {"exitCode": 2, "reason": reason, "message": "error: no cluster"}});
            container(
                json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}),
                json!({"restartCount": restarts, "lastState": last}),
            )
        };
        let unschedulable = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]});
        let failure = |message: &str| json!({"replicas": 0, "conditions": [{"type": "ReplicaFailure", "status": "True", "message": message}]});
        let nothing = json!({"replicas": 0});
        let running = container(json!({"running": {}}), json!({}));
        let cases: Vec<Case> = vec![
            (
                "pull fails",
                nothing.clone(),
                waits("ErrImagePull", "not found"),
                vec![],
                Some(("stoke::install::image", "not found", false)),
            ),
            (
                "back-off",
                nothing.clone(),
                waits("ImagePullBackOff", "Back-off"),
                vec![event("p", "Failed", "Failed to pull image \"x\": denied")],
                Some(("stoke::install::image", "denied", true)),
            ),
            (
                "bad name",
                nothing.clone(),
                waits("InvalidImageName", "couldn't parse"),
                vec![],
                Some(("stoke::install::image", "parse", true)),
            ),
            (
                "first crash",
                nothing.clone(),
                crashed(1, "Error"),
                vec![],
                Some(("stoke::install::crash", "exit code 2): error: no cluster", false)),
            ),
            (
                "crashes",
                nothing.clone(),
                crashed(2, "Error"),
                vec![],
                Some(("stoke::install::crash", "exit code 2", true)),
            ),
            (
                "memory",
                nothing.clone(),
                crashed(3, "OOMKilled"),
                vec![],
                Some(("stoke::install::crash", "memory", true)),
            ),
            (
                "no secret",
                nothing.clone(),
                waits("CreateContainerConfigError", "secret \"s\" not found"),
                vec![],
                Some(("stoke::install::container", "secret", false)),
            ),
            (
                "no node",
                nothing.clone(),
                unschedulable,
                vec![],
                Some(("stoke::install::unschedulable", "0/1 nodes", false)),
            ),
            (
                "probe",
                nothing.clone(),
                running.clone(),
                vec![
                    event("p", "Unhealthy", "Readiness probe failed: 503"),
                    event("q", "Unhealthy", "other"),
                ],
                Some(("stoke::install::not-ready", "503", false)),
            ),
            (
                "just begun",
                nothing.clone(),
                running,
                vec![],
                Some(("stoke::install::not-ready", "not succeeded yet", false)),
            ),
            (
                "volume",
                nothing.clone(),
                waits("ContainerCreating", ""),
                vec![event("p", "FailedMount", "secret \"v\" not found")],
                Some(("stoke::install::node", "\"v\"", false)),
            ),
            ("coming", nothing.clone(), waits("ContainerCreating", ""), vec![], None),
            (
                "quota",
                failure("pods \"p\" is forbidden: exceeded quota: q"),
                json!({}),
                vec![],
                Some(("stoke::install::quota", "quota: q", true)),
            ),
            (
                "security",
                failure("violates PodSecurity \"restricted:latest\""),
                json!({}),
                vec![],
                Some(("stoke::install::pod-security", "restricted", true)),
            ),
            (
                "account",
                failure("error looking up service account n/a"),
                json!({}),
                vec![],
                Some(("stoke::install::service-account", "n/a", true)),
            ),
            (
                "webhook",
                failure("admission webhook \"x\" denied the request"),
                json!({}),
                vec![],
                Some(("stoke::install::refused", "denied", true)),
            ),
        ];
        for (name, of_set, of_pod, events, expected) in cases {
            let sets = [set("old", "9", json!({"replicas": 0})), set("new", "10", of_set)];
            // A pod of the state before it says nothing of this one.
            let pods = [
                pod("o", "old", waits("InvalidImageName", "old")),
                pod("p", "new", of_pod),
            ];
            let found = progress(&deployment(json!({"observedGeneration": 2})), &sets, &pods, &events);
            let Progress::Coming {
                trouble,
                of: 2,
                ready: 0,
            } = found
            else {
                panic!("{name}: {found:?}")
            };
            let told = trouble.as_ref().map(|trouble| (trouble.code, trouble.lasting));
            assert_eq!(
                told,
                expected.map(|(code, _, lasting)| (code, lasting)),
                "{name}: {trouble:?}"
            );
            if let (Some(trouble), Some((_, words, _))) = (trouble, expected) {
                assert!(
                    trouble.message.contains(words) && !trouble.fix.is_empty(),
                    "{name}: {trouble:?}"
                );
                assert_eq!(
                    trouble.log_of.is_some(),
                    ["crash", "not-ready"].iter().any(|code| trouble.code.ends_with(code)),
                    "{name}"
                );
            }
        }
    }
}
