//! Revisions of a Deployment: which ReplicaSet has its template, how it is named, what its annotations say.

use std::collections::BTreeMap;

use serde_json::Value;

use super::facts::{Deployment, Set};
use crate::controllers::facts::Meta;

/// Label that tells the ReplicaSets of a Deployment apart.
pub(super) const HASH: &str = "pod-template-hash";
/// Number of a revision.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Numbers a ReplicaSet had before.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// Pods the Deployment wanted when the ReplicaSet was last scaled.
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// Pods the Deployment might have had at most then.
pub(super) const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
/// Annotations of a Deployment that are its own and not copied.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAXIMUM,
    "deprecated.deployment.rollback.to",
];

/// Whether a ReplicaSet has the Deployment's template; its own label does not count.
pub(super) fn is_new(set: &Set, template: &Value) -> bool {
    same_template(&set.spec.template, template)
}

/// Whether two templates make the same pods.
pub(in crate::controllers) fn same_template(one: &Value, other: &Value) -> bool {
    comparable(one) == comparable(other)
}

fn comparable(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(fields) = template.as_object_mut() {
        // How a ControllerRevision says that its template replaces another whole.
        fields.shift_remove("$patch");
    }
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.shift_remove(HASH);
    }
    strip(&mut template);
    template
}

/// Removes what means nothing: null fields and empty metadata.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(strip);
            fields.retain(|_, field| !field.is_null());
            if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.retain(|_, field| field.as_object().is_none_or(|map| !map.is_empty()));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// The hash of a template, in letters that make no words. With `collisions` another one for the same template.
pub(in crate::controllers) fn hash(template: &Value, collisions: Option<i64>) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut sum: u32 = 0x811c_9dc5;
    let text = sorted(&comparable(template));
    let extra = collisions.map(i64::to_le_bytes);
    for byte in text.bytes().chain(extra.into_iter().flatten()) {
        sum = (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    sum.to_string()
        .bytes()
        .map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()]))
        .collect()
}

/// JSON with sorted keys: the same for the same template, however it was written.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let ordered: BTreeMap<&String, String> = fields.iter().map(|(name, field)| (name, sorted(field))).collect();
            format!("{ordered:?}")
        }
        Value::Array(items) => format!("{:?}", items.iter().map(sorted).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}

/// The number of a revision; 0 if there is none.
pub(super) fn revision_of(metadata: &Meta) -> i64 {
    metadata
        .annotations
        .get(REVISION)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// Annotations that make a ReplicaSet a revision again, with the memory of what it was.
pub(super) fn with_revision(metadata: &Meta, revision: i64) -> BTreeMap<String, String> {
    let mut changed = BTreeMap::from([(REVISION.to_owned(), revision.to_string())]);
    if let Some(before) = metadata.annotations.get(REVISION) {
        let history = match metadata.annotations.get(HISTORY).filter(|text| !text.is_empty()) {
            Some(history) => format!("{history},{before}"),
            None => before.clone(),
        };
        changed.insert(HISTORY.into(), history);
    }
    changed
}

/// Annotations of a Deployment that its ReplicaSet does not have yet.
pub(super) fn copied_annotations(deployment: &Deployment, set: Option<&Set>) -> BTreeMap<String, String> {
    let known = set.map(|set| &set.metadata.annotations);
    let all = deployment.metadata.annotations.iter();
    all.filter(|(name, value)| {
        !NOT_COPIED.contains(&name.as_str()) && known.and_then(|known| known.get(*name)) != Some(*value)
    })
    .map(|(name, value)| (name.clone(), value.clone()))
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_template_is_the_same_revision() {
        let template = json!({"metadata": {"creationTimestamp": null, "labels": {"a": "b"}}, "spec": {"x": 1}});
        let mut set = Set::default();
        set.spec.template = json!({"metadata": {"labels": {"a": "b", HASH: "x"}}, "spec": {"x": 1}});
        assert!(is_new(&set, &template));
        assert_eq!(hash(&template, None), hash(&set.spec.template, None));
        assert_ne!(hash(&template, None), hash(&template, Some(1)));
        assert_ne!(hash(&template, None), hash(&json!({"spec": {"x": 2}}), None));
        assert_eq!(
            hash(&json!({"a": 1, "b": 2}), None),
            hash(&json!({"b": 2, "a": 1}), None)
        );
    }

    #[test]
    fn a_revision_remembers_its_numbers() {
        let mut metadata = Meta::default();
        assert_eq!(with_revision(&metadata, 1).get(HISTORY), None);
        metadata.annotations = BTreeMap::from([(REVISION.into(), "3".into()), (HISTORY.into(), "1".into())]);
        let changed = with_revision(&metadata, 5);
        assert_eq!((changed[REVISION].as_str(), changed[HISTORY].as_str()), ("5", "1,3"));
    }
}
