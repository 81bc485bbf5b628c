//! Writes a status as a merge patch of what changed, accepted only by the version of the object it was decided on.

use kube::api::{Api, Patch, PatchParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::names::COMPONENT;

/// What turns `old` into `new` as an RFC 7386 merge patch; none when they are equal.
pub(crate) fn difference(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        (Value::Object(was), Value::Object(is)) => {
            let mut patch = Map::new();
            for (key, value) in is {
                match was.get(key) {
                    Some(known) => {
                        if let Some(change) = difference(known, value) {
                            patch.insert(key.clone(), change);
                        }
                    }
                    None => {
                        patch.insert(key.clone(), value.clone());
                    }
                }
            }
            for key in was.keys().filter(|key| !is.contains_key(*key)) {
                patch.insert(key.clone(), Value::Null);
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        _ => (old != new).then(|| new.clone()),
    }
}

/// Writes `new` over `old`; returns the object as stored. With nothing to change nothing is sent.
pub(crate) async fn write<K, S>(
    api: &Api<K>,
    name: &str,
    resource_version: &str,
    old: &S,
    new: &S,
) -> Result<Option<K>, kube::Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
    S: Serialize,
{
    let old = serde_json::to_value(old).map_err(kube::Error::SerdeError)?;
    let new = serde_json::to_value(new).map_err(kube::Error::SerdeError)?;
    let Some(change) = difference(&old, &new) else {
        return Ok(None);
    };
    let patch = json!({"metadata": {"resourceVersion": resource_version}, "status": change});
    api.patch_status(name, &parameters(), &Patch::Merge(patch))
        .await
        .map(Some)
}

fn parameters() -> PatchParams {
    PatchParams {
        field_manager: Some(COMPONENT.to_owned()),
        ..PatchParams::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_minimal_and_remove_what_is_gone() {
        let old = json!({"a": 1, "b": {"c": [1], "d": 2}, "e": "x"});
        let new = json!({"a": 1, "b": {"c": [1, 2]}, "f": {"g": null}});
        let patch = difference(&old, &new).unwrap();
        assert_eq!(
            patch,
            json!({"b": {"c": [1, 2], "d": null}, "f": {"g": null}, "e": null})
        );
        assert_eq!(difference(&new, &new), None);
        assert_eq!(difference(&Value::Null, &json!({"a": 1})), Some(json!({"a": 1})));
    }
}
