//! The published defaults as a JSON patch: the values of `stoke_model::defaults` where the object says nothing.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use stoke_model::defaults;

use crate::names;

/// The patch (RFC 6902, `add` only) that writes the defaults of an object's kind; none for kinds without, or for a spec that cannot be read.
#[must_use]
pub fn patch(kind: &str, spec: &Value) -> Vec<Value> {
    match kind {
        "SparkApplication" => additions(spec, defaults::application),
        "ScheduledSparkApplication" => additions(spec, defaults::scheduled),
        _ => Vec::new(),
    }
}

/// Digest of an application's spec with its defaults: the same whether they were written into it, by a webhook that was there, or not. Equal digests ask
/// for the same pods. See [`names::spec_digest`].
#[must_use]
pub fn application_digest(spec: &Value) -> String {
    let mut whole = spec.clone();
    for addition in additions(spec, defaults::application) {
        let place = addition["path"].as_str().and_then(|path| path.strip_prefix("/spec"));
        let Some((parent, key)) = place.and_then(|path| path.rsplit_once('/')) else {
            continue;
        };
        if let Some(fields) = whole.pointer_mut(parent).and_then(Value::as_object_mut) {
            // Keys of defaults need no escapes.
            fields.insert(key.to_owned(), addition["value"].clone());
        }
    }
    names::spec_digest(&whole)
}

fn additions<T: Serialize + DeserializeOwned + Clone>(spec: &Value, fill: impl Fn(T) -> T) -> Vec<Value> {
    let Ok(read) = serde_json::from_value::<T>(spec.clone()) else {
        return Vec::new();
    };
    let (Ok(before), Ok(after)) = (serde_json::to_value(&read), serde_json::to_value(fill(read.clone()))) else {
        return Vec::new();
    };
    let mut patch = Vec::new();
    add_missing(spec, &before, &after, "/spec", &mut patch);
    patch
}

/// Adds what `after` has and `before` has not. Nothing that is written in the object is touched, also what we do not know.
fn add_missing(object: &Value, before: &Value, after: &Value, path: &str, patch: &mut Vec<Value>) {
    for (key, value) in after.as_object().into_iter().flatten() {
        let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
        let is_written = object.get(key).is_some_and(|value| !value.is_null());
        match before.get(key) {
            Some(known) if is_written => add_missing(&object[key.as_str()], known, value, &path, patch),
            None if !is_written => patch.push(json!({"op": "add", "path": path, "value": value})),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_added() {
        let spec = json!({"mode": "cluster", "unknown": 1, "sparkConf": {"spark.executor.cores": "2"}, "driver": {"cores": 2, "x": null}, "executor": null,
            "restartPolicy": {"type": "Always"}});
        let add = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
        let mut patch = patch("SparkApplication", &spec);
        patch.sort_by_key(|operation| operation["path"].to_string());
        assert_eq!(
            patch,
            [
                add("/spec/driver/memory", json!("1g")),
                add("/spec/executor", json!({"memory": "1g", "instances": 1})),
                add("/spec/restartPolicy/onFailureRetryInterval", json!(5)),
                add("/spec/restartPolicy/onSubmissionFailureRetryInterval", json!(5)),
                add("/spec/type", json!("Scala")),
            ]
        );
    }

    #[test]
    fn defaults_that_are_written_change_no_digest() {
        let said = json!({"type": "Python", "driver": {"cores": 2}, "unknown": 1});
        let mut written = said.clone();
        let patch: Vec<_> = patch("SparkApplication", &said);
        for operation in &patch {
            let path = operation["path"].as_str().unwrap().strip_prefix("/spec").unwrap();
            let (parent, key) = path.rsplit_once('/').unwrap();
            written.pointer_mut(parent).unwrap()[key] = operation["value"].clone();
        }
        assert_ne!(names::spec_digest(&said), names::spec_digest(&written));
        assert_eq!(application_digest(&said), application_digest(&written));
        for (field, value) in [
            ("unknown", json!(2)),
            ("type", json!("R")),
            ("executor", json!({"instances": 2})),
        ] {
            let mut edited = said.clone();
            edited[field] = value;
            assert_ne!(application_digest(&said), application_digest(&edited), "{field}");
        }
        assert_eq!(application_digest(&Value::Null).len(), 16);
    }

    #[test]
    fn schedules_get_their_own_and_their_templates() {
        let patch = patch(
            "ScheduledSparkApplication",
            &json!({"schedule": "@daily", "template": {"type": "Python"}}),
        );
        let paths: Vec<&str> = patch
            .iter()
            .map(|operation| operation["path"].as_str().unwrap())
            .collect();
        for path in [
            "/spec/timeZone",
            "/spec/concurrencyPolicy",
            "/spec/template/mode",
            "/spec/template/driver",
        ] {
            assert!(paths.contains(&path), "{path}: {paths:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_to_the_check() {
        assert_eq!(
            patch("SparkApplication", &json!({"driver": {"cores": "two"}})),
            Vec::<Value>::new()
        );
        assert_eq!(patch("SparkConnect", &json!({})), Vec::<Value>::new());
    }
}
