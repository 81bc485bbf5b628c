//! Small helpers on JSON objects: the pod under construction.

use serde_json::{Map, Value, json};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// A pod under construction: the pod without its Spark container, and that container. Steps add to both; `finish` puts them together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) pod: Object,
    pub(crate) container: Object,
}

impl Draft {
    pub(crate) fn metadata(&mut self) -> &mut Object {
        object(&mut self.pod, "metadata")
    }

    pub(crate) fn spec(&mut self) -> &mut Object {
        object(&mut self.pod, "spec")
    }

    pub(crate) fn add_volume(&mut self, volume: Value) {
        array(self.spec(), "volumes").push(volume);
    }

    pub(crate) fn add_mount(&mut self, mount: Value) {
        array(&mut self.container, "volumeMounts").push(mount);
    }

    pub(crate) fn add_env(&mut self, name: &str, value: &str) {
        array(&mut self.container, "env").push(json!({"name": name, "value": value}));
    }

    pub(crate) fn add_env_from_field(&mut self, name: &str, field: &str) {
        array(&mut self.container, "env")
            .push(json!({"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": field}}}));
    }

    /// The whole pod: the Spark container comes last.
    pub(crate) fn finish(mut self) -> Value {
        let container = Value::Object(std::mem::take(&mut self.container));
        array(self.spec(), "containers").push(container);
        let mut pod = Map::new();
        pod.insert("apiVersion".to_owned(), json!("v1"));
        pod.insert("kind".to_owned(), json!("Pod"));
        self.pod.retain(|key, _| key != "apiVersion" && key != "kind");
        pod.extend(self.pod);
        Value::Object(pod)
    }
}

/// The object at `key`, made when it is not there.
pub(crate) fn object<'a>(parent: &'a mut Object, key: &str) -> &'a mut Object {
    let slot = parent.entry(key).or_insert_with(|| json!({}));
    if !slot.is_object() {
        *slot = json!({});
    }
    match slot {
        Value::Object(object) => object,
        _ => unreachable!("made an object above"),
    }
}

/// The array at `key`, made when it is not there.
pub(crate) fn array<'a>(parent: &'a mut Object, key: &str) -> &'a mut Vec<Value> {
    let slot = parent.entry(key).or_insert_with(|| json!([]));
    if !slot.is_array() {
        *slot = json!([]);
    }
    match slot {
        Value::Array(array) => array,
        _ => unreachable!("made an array above"),
    }
}

/// Sets `entries` in the object at `key`; nothing happens when there are none.
pub(crate) fn merge_into(parent: &mut Object, key: &str, entries: Vec<(String, String)>) {
    if entries.is_empty() {
        return;
    }
    let target = object(parent, key);
    for (name, value) in entries {
        target.insert(name, Value::String(value));
    }
}
