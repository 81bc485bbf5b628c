//! What is read of a pod that checks data.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use stoke_model::annotations::quality::Phase;

use super::LABEL_PHASE;
use crate::application::PendingReason;
use crate::application::facts::{owners, pending_reason, phase, pod_reason};

/// The fields of such a pod that decisions depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckPod {
    /// Name of the pod.
    pub name: String,
    pub uid: String,
    /// UIDs of its owners.
    pub owners: Vec<String>,
    /// Which phase it is of, from its label.
    pub phase: Option<Phase>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// True when its deletion was asked for.
    pub deleting: bool,
    /// Containers that have ended, by name.
    pub ended: BTreeMap<String, Ended>,
    /// True when all of it has ended.
    pub done: bool,
    /// Why the pod as a whole has failed, when it has.
    pub failed: Option<String>,
    /// What stands in the way of its start.
    pub pending: Option<PendingReason>,
}

/// How a step ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Exit code.
    pub code: i32,
    /// Kubernetes' word, such as `OOMKilled`.
    pub reason: String,
    /// What the step said last.
    pub message: String,
}

impl Ended {
    /// Why a step that ended like this does not hold.
    pub(super) fn explain(&self) -> String {
        let message = self.message.trim();
        match (message.is_empty(), self.code) {
            (false, _) => message.to_owned(),
            (true, 1) => "it does not hold".to_owned(),
            (true, 2) => "the contract cannot be read".to_owned(),
            (true, 3) => "the data cannot be had".to_owned(),
            (true, code) => format!("cannot be determined: exit code {code}, {}", self.reason),
        }
    }
}

impl CheckPod {
    /// Reads a pod as the API server stores it.
    #[must_use]
    pub fn read(pod: &Pod) -> Self {
        let label = pod.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_PHASE));
        let statuses = pod
            .status
            .as_ref()
            .and_then(|status| status.container_statuses.as_ref());
        let ended = statuses.into_iter().flatten().filter_map(|container| {
            let ended = container.state.as_ref()?.terminated.as_ref()?;
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let read = Ended {
                code: ended.exit_code,
                reason: text(&ended.reason),
                message: text(&ended.message),
            };
            Some((container.name.clone(), read))
        });
        let word = phase(pod);
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            owners: owners(pod),
            phase: Phase::ALL
                .into_iter()
                .find(|phase| label.is_some_and(|label| label == phase.word())),
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            ended: ended.collect(),
            done: matches!(word, "Succeeded" | "Failed"),
            failed: (word == "Failed")
                .then(|| pod_reason(pod))
                .filter(|why| !why.is_empty()),
            pending: match word {
                "Pending" => pending_reason(pod),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_read_with_how_its_steps_ended() {
        let pod = |status: serde_json::Value| -> CheckPod {
            let pod = json!({"metadata": {"name": "p", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z",
                    "labels": {LABEL_PHASE: "after"}, "ownerReferences": [{"apiVersion": "a", "kind": "K", "name": "n", "uid": "o"}]},
                "status": status});
            CheckPod::read(&serde_json::from_value(pod).unwrap())
        };
        let container = |name: &str, state: serde_json::Value| json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let done = pod(json!({"phase": "Failed", "containerStatuses": [
            container("step-0", json!({"terminated": {"exitCode": 0, "reason": "Completed"}})),
            container("step-1", json!({"terminated": {"exitCode": 1, "reason": "Error", "message": " 1 of 2 checks fail\n"}})),
            container("step-2", json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}))]}));
        assert!(done.done && done.failed.is_none() && done.pending.is_none() && !done.deleting);
        assert_eq!(
            (done.phase, done.owners.as_slice()),
            (Some(Phase::After), &["o".to_owned()][..])
        );
        assert_eq!(done.ended["step-1"].explain(), "1 of 2 checks fail");
        assert_eq!(
            done.ended["step-2"].explain(),
            "cannot be determined: exit code 137, OOMKilled"
        );
        let late = pod(json!({"phase": "Failed", "reason": "DeadlineExceeded", "message": "too long"}));
        assert_eq!(late.failed.as_deref(), Some("DeadlineExceeded: too long"));
        let waiting = pod(json!({"phase": "Pending", "containerStatuses": [
            container("step-0", json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}))]}));
        assert_eq!(waiting.pending.unwrap().to_string(), "ImagePullBackOff: no such image");
        assert!(!pod(json!({"phase": "Running"})).done && !pod(json!({})).done);
    }
}
