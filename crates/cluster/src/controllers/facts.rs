//! What controllers read of objects: only the fields that decisions need, so that reading a pod costs microseconds.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::store::Object;

/// Reads what is needed of a stored object; `None` if it does not have the shape of its kind.
pub(super) fn read<T: DeserializeOwned>(object: &Object) -> Option<T> {
    serde_json::from_slice(&object.json).ok()
}

/// A field that may be absent or null.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Metadata of any object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub generation: i64,
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    pub annotations: BTreeMap<String, String>,
    pub creation_timestamp: Option<Timestamp>,
    pub deletion_timestamp: Option<Timestamp>,
    #[serde(deserialize_with = "nullable")]
    pub owner_references: Vec<Owner>,
    #[serde(deserialize_with = "nullable")]
    pub finalizers: Vec<String>,
}

impl Meta {
    /// The owner that controls this object.
    pub fn controller(&self) -> Option<&Owner> {
        self.owner_references
            .iter()
            .find(|owner| owner.controller == Some(true))
    }

    /// Whether it is being deleted.
    pub fn deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }
}

/// One owner reference.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Owner {
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub controller: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodFacts {
    pub metadata: Meta,
    pub spec: PodSpec,
    #[serde(deserialize_with = "nullable")]
    pub status: PodStatus,
}

/// What is asked of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    pub node_name: Option<String>,
    pub hostname: Option<String>,
    pub subdomain: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub volumes: Vec<Value>,
}

/// How a pod is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodStatus {
    pub phase: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
    #[serde(deserialize_with = "nullable")]
    pub container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "nullable")]
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// How a container is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerStatus {
    pub name: String,
    pub restart_count: i64,
    #[serde(deserialize_with = "nullable")]
    pub state: ContainerState,
}

/// The state of a container, as far as it has ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerState {
    pub terminated: Option<Terminated>,
}

/// The end of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Terminated {
    pub exit_code: i64,
    pub finished_at: Option<Timestamp>,
}

/// A condition of any object.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_probe_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Condition {
    /// A condition that holds from `now` on, in whole seconds.
    pub fn new(kind: &str, status: &str, reason: &str, message: impl Into<String>, now: Timestamp) -> Condition {
        Condition {
            kind: kind.into(),
            status: status.into(),
            last_transition_time: Some(whole(now)),
            reason: reason.into(),
            message: message.into(),
            ..Condition::default()
        }
    }

    /// The condition of a kind.
    pub fn find<'a>(list: &'a [Condition], kind: &str) -> Option<&'a Condition> {
        list.iter().find(|condition| condition.kind == kind)
    }

    /// Whether the condition of a kind is `True`.
    pub fn holds(list: &[Condition], kind: &str) -> bool {
        Condition::find(list, kind).is_some_and(|condition| condition.status == "True")
    }
}

/// A time in whole seconds, as statuses carry it.
pub(super) fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

impl PodFacts {
    /// `status.phase`.
    pub fn phase(&self) -> &str {
        self.status.phase.as_deref().unwrap_or_default()
    }

    /// Whether it has ended by itself.
    pub fn ended(&self) -> bool {
        matches!(self.phase(), "Succeeded" | "Failed")
    }

    /// Whether it counts as running or about to: neither ended nor being deleted.
    pub fn active(&self) -> bool {
        !self.ended() && !self.metadata.deleting()
    }

    /// Whether its condition `Ready` is true.
    pub fn ready(&self) -> bool {
        Condition::holds(&self.status.conditions, "Ready")
    }

    /// Since when it has been ready.
    pub fn ready_since(&self) -> Option<Timestamp> {
        let ready = Condition::find(&self.status.conditions, "Ready")?;
        (ready.status == "True").then_some(ready.last_transition_time)?
    }

    /// Whether it has been ready for `seconds`.
    pub fn available(&self, seconds: i64, now: Timestamp) -> bool {
        let waited = |since: Timestamp| now.duration_since(since) >= SignedDuration::from_secs(seconds);
        self.ready() && (seconds == 0 || self.ready_since().is_some_and(waited))
    }

    /// Restarts of its containers.
    pub fn restarts(&self) -> i64 {
        self.status
            .container_statuses
            .iter()
            .map(|status| status.restart_count)
            .sum()
    }
}

/// A number or a percentage of `total`, rounded up or down.
pub(super) fn resolve(value: &Value, total: i64, round_up: bool) -> i64 {
    match value {
        Value::Number(number) => number.as_i64().unwrap_or(0),
        Value::String(text) => {
            let percent: i64 = text.strip_suffix('%').and_then(|text| text.parse().ok()).unwrap_or(0);
            let product = percent.saturating_mul(total);
            if round_up { (product + 99) / 100 } else { product / 100 }
        }
        _ => 0,
    }
}

/// An owner reference that makes `owner` the controller of what carries it.
pub(super) fn controller_reference(owner: &Value) -> Value {
    json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true})
}

/// A pod from a template, owned by `owner`; `name` ends in `-` if the server is to complete it.
pub(super) fn pod_from_template(template: &Value, owner: &Value, name: &str) -> Value {
    let mut metadata = json!({"ownerReferences": [controller_reference(owner)]});
    let named = if name.ends_with('-') { "generateName" } else { "name" };
    metadata[named] = name.into();
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_as_kubernetes_rounds_them() {
        for (value, total, up, down) in [
            (json!("25%"), 10, 3, 2),
            (json!("25%"), 4, 1, 1),
            (json!("0%"), 10, 0, 0),
            (json!("100%"), 3, 3, 3),
            (json!(2), 10, 2, 2),
            (json!("1%"), 1, 1, 0),
        ] {
            assert_eq!(
                (resolve(&value, total, true), resolve(&value, total, false)),
                (up, down),
                "{value}"
            );
        }
    }

    #[test]
    fn a_pod_is_available_after_it_was_ready_long_enough() {
        let pod: PodFacts = serde_json::from_value(json!({"metadata": {"labels": null}, "spec": {}, "status": {
            "phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}))
        .unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(pod.available(0, at("2026-01-01T00:00:00Z")));
        assert!(!pod.available(10, at("2026-01-01T00:00:09Z")));
        assert!(pod.available(10, at("2026-01-01T00:00:10Z")));
    }
}
