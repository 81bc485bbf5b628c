//! What is to be done in a cluster: the objects that are wanted, against those that are there. Pure; the caller asks the cluster.
//!
//! A comparison is of what the API server would keep, not of what is written: defaults make no difference.

use serde::Serialize;
use serde_json::Value;

use crate::render::{LABEL_ENVIRONMENT, LABEL_PLATFORM, Scope, WAVE};

/// Which object: enough to ask for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Id {
    pub api_version: String,
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
}

impl Id {
    #[must_use]
    pub fn of(object: &Value) -> Id {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Id {
            api_version: text("/apiVersion"),
            kind: text("/kind"),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        }
    }

    /// `Deployment metastore`.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// One difference of an object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The field, `spec.replicas`.
    pub path: String,
    /// What is there; null for nothing.
    pub from: Value,
    /// What is wanted; null for nothing.
    pub to: Value,
}

/// What is done with an object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Action {
    Create,
    Change {
        changes: Vec<Change>,
    },
    Keep,
    /// It is the platform's, and the file no longer names it.
    Remove,
    /// It keeps data, and the file no longer names it: it stays until that is asked for.
    Leave,
    /// It is there and not the platform's.
    Foreign,
}

/// An object and what is done with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    #[serde(flatten)]
    pub id: Id,
    #[serde(flatten)]
    pub action: Action,
}

/// An object that is wanted, what is there of it, and what the API server would keep.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    pub wanted: Value,
    pub there: Option<Value>,
    /// The answer of a dry run; none where nothing is there.
    pub would_be: Option<Value>,
}

/// Kinds that a platform may have, for the search of what is no longer named. Foreign kinds are asked for where the cluster serves them.
pub const KINDS: [(&str, &str); 17] = [
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("networking.k8s.io/v1", "Ingress"),
    ("policy/v1", "PodDisruptionBudget"),
    ("sparkoperator.k8s.io/v1alpha1", "SparkConnect"),
    ("route.openshift.io/v1", "Route"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("external-secrets.io/v1", "ExternalSecret"),
    ("external-secrets.io/v1", "SecretStore"),
    ("bitnami.com/v1alpha1", "SealedSecret"),
];

/// What is done, in order: what is wanted first, then what is removed.
#[must_use]
pub fn plan(scope: &Scope<'_>, compared: &[Compared], owned: &[Value]) -> Vec<Step> {
    let mut steps: Vec<Step> = compared
        .iter()
        .map(|one| Step {
            id: Id::of(&one.wanted),
            action: action(scope, one),
        })
        .collect();
    let wanted: Vec<Id> = steps.iter().map(|step| step.id.clone()).collect();
    for object in owned.iter().filter(|object| is_owned(scope, object)) {
        let id = Id::of(object);
        if wanted.contains(&id) || is_record(scope, object) {
            continue;
        }
        let action = match id.kind == "PersistentVolumeClaim" {
            // Those of StatefulSets that are wanted are not named by themselves.
            true if is_of_a_set(object, &wanted) => continue,
            true => Action::Leave,
            false => Action::Remove,
        };
        steps.push(Step { id, action });
    }
    steps
}

/// Whether a claim is one of a StatefulSet that is wanted: `data-NAME-0`.
fn is_of_a_set(claim: &Value, wanted: &[Id]) -> bool {
    let name = claim["metadata"]["name"].as_str().unwrap_or_default();
    let set = name
        .strip_prefix("data-")
        .and_then(|rest| rest.rsplit_once('-'))
        .map(|(set, _)| set);
    set.is_some_and(|set| wanted.iter().any(|id| id.kind == "StatefulSet" && id.name == set))
}

fn action(scope: &Scope<'_>, one: &Compared) -> Action {
    let Some(there) = &one.there else {
        return Action::Create;
    };
    if !is_owned(scope, there) {
        // A namespace may be there before: it is used as it is, and stays.
        return match there["kind"] == "Namespace" {
            true => Action::Keep,
            false => Action::Foreign,
        };
    }
    let mut changes = Vec::new();
    if let Some(would_be) = &one.would_be {
        differences("", &settled(there), &settled(would_be), &mut changes);
    }
    match changes.is_empty() {
        true => Action::Keep,
        false => Action::Change { changes },
    }
}

/// Whether an object is of this platform and environment.
#[must_use]
pub fn is_owned(scope: &Scope<'_>, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    labels[LABEL_PLATFORM] == scope.platform.name.as_str() && labels[LABEL_ENVIRONMENT] == scope.environment
}

/// The name of the ConfigMap that keeps what was applied last.
#[must_use]
pub fn record_name(scope: &Scope<'_>) -> String {
    format!("stoke-platform-{}", scope.platform.name)
}

/// Whether it is that ConfigMap.
#[must_use]
pub fn is_record(scope: &Scope<'_>, object: &Value) -> bool {
    object["kind"] == "ConfigMap" && object["metadata"]["name"] == record_name(scope)
}

/// An object without what the cluster writes by itself.
fn settled(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(all) = object.as_object_mut() {
        all.shift_remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in [
            "managedFields",
            "resourceVersion",
            "generation",
            "uid",
            "creationTimestamp",
            "selfLink",
        ] {
            metadata.shift_remove(key);
        }
    }
    object
}

fn differences(path: &str, from: &Value, to: &Value, into: &mut Vec<Change>) {
    match (from, to) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let path = stoke_model::manifest::join(path, key);
                differences(
                    &path,
                    one.get(key).unwrap_or(&Value::Null),
                    other.get(key).unwrap_or(&Value::Null),
                    into,
                );
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                differences(&stoke_model::manifest::join_index(path, index), one, other, into);
            }
        }
        (from, to) if from != to => into.push(Change {
            path: path.to_owned(),
            from: from.clone(),
            to: to.clone(),
        }),
        _ => {}
    }
}

/// The wave of an object: those of smaller numbers are ready first.
#[must_use]
pub fn wave(object: &Value) -> usize {
    let text = object["metadata"]["annotations"][WAVE].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether an object does its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// It may come: what is missing.
    Coming(String),
    /// It does not come by itself.
    Failed(String),
}

/// Reads it from an object as the cluster has it.
#[must_use]
pub fn readiness(object: &Value) -> Readiness {
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let seen = number("/status/observedGeneration") >= number("/metadata/generation");
    match object["kind"].as_str().unwrap_or_default() {
        "Deployment" => {
            let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
            let stuck = conditions(object)
                .find(|condition| condition["type"] == "Progressing" && condition["status"] == "False");
            let (updated, available, all) = (
                number("/status/updatedReplicas"),
                number("/status/availableReplicas"),
                number("/status/replicas"),
            );
            match stuck {
                Some(condition) if seen => Readiness::Failed(
                    condition["message"]
                        .as_str()
                        .unwrap_or("it does not progress")
                        .to_owned(),
                ),
                _ if seen && updated >= wanted && available >= wanted && all <= wanted => Readiness::Ready,
                _ => Readiness::Coming(format!("{} of {wanted} pods are ready", available.min(updated))),
            }
        }
        "StatefulSet" => {
            let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
            let (ready, updated) = (number("/status/readyReplicas"), number("/status/updatedReplicas"));
            match seen && ready >= wanted && updated >= wanted {
                true => Readiness::Ready,
                false => Readiness::Coming(format!("{} of {wanted} pods are ready", ready.min(wanted))),
            }
        }
        "SparkConnect" => match object
            .pointer("/status/state")
            .and_then(Value::as_str)
            .unwrap_or_default()
        {
            "Ready" => Readiness::Ready,
            "Failed" => Readiness::Failed("the server ended; `kubectl describe sparkconnect` says why".to_owned()),
            "" => Readiness::Coming("no operator has seen it; `stoke operator install` installs one".to_owned()),
            state => Readiness::Coming(format!("it is {state}")),
        },
        "SecretStore" | "ExternalSecret" => condition(object, "Ready", "the External Secrets Operator"),
        "SealedSecret" => condition(object, "Synced", "the controller of Sealed Secrets"),
        _ => Readiness::Ready,
    }
}

/// What a controller says of an object of its own. What it says of an older one does not count where it says which that was.
fn condition(object: &Value, kind: &str, who: &str) -> Readiness {
    let Some(found) = conditions(object).find(|condition| condition["type"] == kind) else {
        return Readiness::Coming(format!("{who} has not seen it"));
    };
    let seen = object["status"]["observedGeneration"].as_i64();
    let is_old = seen.is_some_and(|seen| seen < object["metadata"]["generation"].as_i64().unwrap_or(0));
    match (found["status"].as_str(), is_old) {
        (Some("True"), false) => Readiness::Ready,
        (_, true) => Readiness::Coming(format!("{who} has not seen its change")),
        // It may be that the store is not there yet: the operator tries again.
        _ => Readiness::Coming(found["message"].as_str().unwrap_or("it is not ready").to_owned()),
    }
}

/// What is there of a platform, to be removed: workloads first, since they would make things again, then the rest; what keeps data last.
#[must_use]
pub fn removal(owned: &[Value]) -> Vec<&Value> {
    let order = |object: &Value| match object["kind"].as_str().unwrap_or_default() {
        "SparkConnect" => 0,
        "Deployment" | "StatefulSet" => 1,
        "PersistentVolumeClaim" => 3,
        _ => 2,
    };
    let mut all: Vec<&Value> = owned.iter().collect();
    all.sort_by_key(|object| (order(object), std::cmp::Reverse(wave(object))));
    all
}

fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["conditions"].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_have_their_path() {
        let mut found = Vec::new();
        differences(
            "",
            &json!({"a": {"b": 1, "c": [1, 2]}, "d": 1}),
            &json!({"a": {"b": 2, "c": [1, 3]}, "e": 1}),
            &mut found,
        );
        let paths: Vec<&str> = found.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["a.b", "a.c[1]", "d", "e"]);
        assert_eq!((&found[2].from, &found[2].to), (&json!(1), &Value::Null));
    }

    #[test]
    fn readiness_is_of_the_newest_generation() {
        let deployment = |generation: i64, available: i64| {
            json!({"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 2},
                "status": {"observedGeneration": generation, "updatedReplicas": 2, "availableReplicas": available, "replicas": 2}})
        };
        assert_eq!(readiness(&deployment(2, 2)), Readiness::Ready);
        for coming in [deployment(1, 2), deployment(2, 1)] {
            assert!(matches!(readiness(&coming), Readiness::Coming(_)), "{coming}");
        }
        let mut stuck = deployment(2, 0);
        stuck["status"]["conditions"] =
            json!([{"type": "Progressing", "status": "False", "message": "deadline exceeded"}]);
        assert_eq!(readiness(&stuck), Readiness::Failed("deadline exceeded".into()));
        for (state, wanted) in [("Ready", true), ("Failed", false), ("", false)] {
            let connect = json!({"kind": "SparkConnect", "status": {"state": state}});
            assert_eq!(readiness(&connect) == Readiness::Ready, wanted, "{state}");
        }
        assert_eq!(readiness(&json!({"kind": "Service"})), Readiness::Ready);
    }
}
