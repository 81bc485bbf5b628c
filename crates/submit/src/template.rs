//! Pod templates: which container is Spark's, and the executor template's ConfigMap.

use serde_json::{Value, json};

use crate::build::Build;
use crate::conf::Conf;
use crate::error::PlanError;
use crate::object::{Draft, Object};
use crate::request::PodTemplate;
use crate::submission::Role;

const EXECUTOR_FILE: &str = "spark.kubernetes.executor.podTemplateFile";
const DIRECTORY: &str = "/opt/spark/pod-template";
const FILE: &str = "pod-spec-template.yml";
const KEY: &str = "podspec-configmap-key";
const VOLUME: &str = "pod-template-volume";

/// A role's pod before the first step: its template, or nothing. Tells in `warnings` when the named container is not there.
pub(crate) fn start(
    conf: &Conf,
    role: &'static str,
    template: Option<&PodTemplate>,
    warnings: &mut Vec<String>,
) -> Result<Draft, PlanError> {
    let Some(file) = conf.raw(&format!("spark.kubernetes.{role}.podTemplateFile")) else {
        let mut draft = Draft::default();
        draft.metadata();
        draft.spec();
        return Ok(draft);
    };
    let refuse = |reason: String| PlanError::Template { role, reason };
    let template = template.ok_or_else(|| refuse(format!("`{file}` does not exist or cannot be read")))?;
    let Value::Object(pod) = normalised(&template.pod, &mut Vec::new()) else {
        return Err(refuse(format!("`{file}` does not hold a pod (an object with `spec`)")));
    };
    if let Some(kind) = pod.get("kind").and_then(Value::as_str)
        && kind != "Pod"
    {
        return Err(refuse(format!("`{file}` holds a {kind}; it must hold a Pod")));
    }
    let mut draft = Draft {
        pod,
        container: Object::new(),
    };
    let Some(Value::Object(spec)) = draft.pod.get_mut("spec") else {
        return Err(refuse(format!("the pod in `{file}` has no `spec`")));
    };
    let mut containers = match spec.shift_remove("containers") {
        Some(Value::Array(containers)) => containers,
        None => Vec::new(),
        Some(_) => return Err(refuse(format!("`spec.containers` in `{file}` is not a list"))),
    };
    let chosen = choose(conf, role, &containers, warnings);
    if let Some(at) = chosen {
        match containers.remove(at) {
            Value::Object(container) => draft.container = container,
            _ => return Err(refuse(format!("`spec.containers[{at}]` in `{file}` is not an object"))),
        }
    }
    if !containers.is_empty() {
        spec.insert("containers".to_owned(), Value::Array(containers));
    }
    Ok(draft)
}

/// The container that will run Spark: the named one, else the first.
fn choose(conf: &Conf, role: &str, containers: &[Value], warnings: &mut Vec<String>) -> Option<usize> {
    let key = format!("spark.kubernetes.{role}.podTemplateContainerName");
    if let Some(name) = conf.get(&key) {
        let named: Vec<usize> = (0..containers.len())
            .filter(|at| containers[*at]["name"] == name.as_str())
            .collect();
        if let [at] = named[..] {
            return Some(at);
        }
        warnings.push(format!(
            "`{key}` = `{name}`: the {role}'s pod template has no such container, its first one is used"
        ));
    }
    (!containers.is_empty()).then_some(0)
}

/// Puts the executors' template into a ConfigMap and mounts it into the driver.
pub(crate) fn config_map(build: &mut Build<'_>) -> Result<(), PlanError> {
    let Some(file) = build.conf.raw(EXECUTOR_FILE) else {
        return Ok(());
    };
    let template = build.request.files.executor_template.as_ref();
    let template = template.ok_or_else(|| PlanError::Template {
        role: "executor",
        reason: format!("`{file}` does not exist or cannot be read"),
    })?;
    let name = format!("{}-driver-podspec-conf-map", build.prefix);
    build
        .draft
        .add_volume(json!({"configMap": {"items": [{"key": KEY, "path": FILE}], "name": name}, "name": VOLUME}));
    build.draft.add_mount(json!({"mountPath": DIRECTORY, "name": VOLUME}));
    build.add(Role::ExecutorTemplate, json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {KEY: template.text}, "immutable": true,
    }));
    build.add_property(EXECUTOR_FILE, format!("{DIRECTORY}/{FILE}"));
    Ok(())
}

/// A template as the typed client writes it again: no nulls, no empty lists, quantities as text.
fn normalised(value: &Value, path: &mut Vec<String>) -> Value {
    match value {
        Value::Object(object) => {
            let mut result = Object::new();
            for (key, value) in object {
                if value.is_null() || value.as_array().is_some_and(Vec::is_empty) {
                    continue;
                }
                path.push(key.clone());
                let value = normalised(value, path);
                path.pop();
                result.insert(key.clone(), value);
            }
            Value::Object(result)
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| normalised(item, path)).collect()),
        Value::Number(number) if is_quantity(path) => Value::String(number.to_string()),
        other => other.clone(),
    }
}

fn is_quantity(path: &[String]) -> bool {
    let [.., parent, key] = path else { return false };
    matches!(parent.as_str(), "requests" | "limits" | "overhead") || key == "sizeLimit" || key == "divisor"
}
