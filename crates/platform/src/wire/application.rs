//! A manifest that names components in its annotations, wired: `platform.stoke.dev/catalog: lakehouse`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::manifest::{Document, nearest};

use super::{Wants, contradicted, wire};
use crate::render::{LABEL_USES, SPARK_ACCOUNT, Scope};
use crate::spec::Spark;

/// What the names of annotations that want something begin with.
pub const PREFIX: &str = "platform.stoke.dev/";
const KEYS: [&str; 5] = ["catalog", "shuffle", "store", "history", "kafka"];

/// Wires an application, a schedule or a Connect server.
///
/// # Errors
/// Everything that does not go together, at its place in the manifest.
pub fn wired(scope: &Scope<'_>, document: &Document) -> Result<Value, Vec<Diagnostic>> {
    let mut complaints = Vec::new();
    let mut complain = |code: &'static str, path: &str, message: String, fix: String| {
        complaints.push(document.complain(Severity::Error, code, path, message).with_fix(fix));
    };
    let below = match document.kind.as_str() {
        "ScheduledSparkApplication" => "spec.template",
        _ => "spec",
    };
    let mut object = document.value.clone();
    let annotations = object["metadata"]["annotations"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let wants = wants(scope, &annotations, &mut complain);
    let version_path = format!("{below}.sparkVersion");
    let pointer = format!("/{}", below.replace('.', "/"));
    let version = object
        .pointer(&format!("{pointer}/sparkVersion"))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let Some(spark) = scope.platform.sparks.values().find(|spark| spark.version == version) else {
        let all: Vec<&str> = scope
            .platform
            .sparks
            .values()
            .map(|spark| spark.version.as_str())
            .collect();
        let fix = match all.is_empty() {
            true => "add one to `sparks` of the platform".to_owned(),
            false => format!(
                "write one of {}, or add this one to `sparks` of the platform",
                all.join(", ")
            ),
        };
        complain(
            "platform-reference",
            &version_path,
            format!("the platform has no Spark `{version}`"),
            fix,
        );
        return Err(complaints);
    };
    let wants = Wants {
        catalog: wants.catalog.or_else(|| spark.catalog.clone()),
        serves: document.kind == "SparkConnect",
        ..wants
    };
    let given = match wire(scope, spark, &wants) {
        Ok(given) => given,
        Err(clashes) => {
            for clash in clashes {
                let path = format!("metadata.annotations[\"{PREFIX}{}\"]", clash.key);
                let path = if annotations.contains_key(&format!("{PREFIX}{}", clash.key)) {
                    path
                } else {
                    version_path.clone()
                };
                complain(clash.code, &path, clash.message, clash.fix);
            }
            return Err(complaints);
        }
    };
    let by_hand: BTreeMap<String, String> = object
        .pointer(&format!("{pointer}/sparkConf"))
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    for (key, written, ours) in contradicted(&by_hand, &given) {
        let path = format!("{below}.sparkConf[\"{key}\"]");
        let fix = "remove it: the annotation sets it; or remove the annotation".to_owned();
        complain(
            "platform-wiring",
            &path,
            format!("`{key}` is `{written}` here, and `{ours}` by what is named"),
            fix,
        );
    }
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let Some(spec) = object.pointer_mut(&pointer) else {
        return Ok(object);
    };
    conf(spec, spark, &given.conf);
    added(spec, "jars", &given.jars);
    packages(spec, &given.packages);
    let first = if document.kind == "SparkConnect" {
        "server"
    } else {
        "driver"
    };
    for side in [first, "executor"] {
        let side_spec = &mut spec[side];
        add_env(side_spec, &given.env);
        for secret in &given.secrets {
            let there = side_spec["secrets"].as_array().cloned().unwrap_or_default();
            if !there.contains(secret) {
                side_spec["secrets"] = there.into_iter().chain([secret.clone()]).collect();
            }
        }
        for (key, value) in &given.labels {
            side_spec["labels"][key] = json!(value);
        }
        for used in &given.uses {
            side_spec["labels"][format!("{LABEL_USES}{used}")] = json!("true");
        }
        if side == first && side_spec["serviceAccount"].is_null() {
            side_spec["serviceAccount"] = json!(SPARK_ACCOUNT);
        }
    }
    if object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = json!(scope.namespace());
    }
    Ok(object)
}

fn wants(
    scope: &Scope<'_>,
    annotations: &Map<String, Value>,
    complain: &mut dyn FnMut(&'static str, &str, String, String),
) -> Wants {
    let mut wants = Wants::default();
    for (annotation, value) in annotations {
        let Some(key) = annotation.strip_prefix(PREFIX) else {
            continue;
        };
        let path = format!("metadata.annotations[\"{annotation}\"]");
        let name = value.as_str().unwrap_or_default().to_owned();
        let slot = match key {
            "catalog" => &mut wants.catalog,
            "shuffle" => &mut wants.shuffle,
            "store" => &mut wants.store,
            "history" => &mut wants.history,
            "kafka" => &mut wants.kafka,
            _ => {
                let fix = match nearest(key, KEYS) {
                    Some(near) => format!("did you mean `{PREFIX}{near}`?"),
                    None => format!("{PREFIX} is followed by one of {}", KEYS.join(", ")),
                };
                complain(
                    "platform-reference",
                    &path,
                    format!("there is nothing to want by `{annotation}`"),
                    fix,
                );
                continue;
            }
        };
        *slot = Some(name);
    }
    let found: Vec<(&'static str, String)> = wants
        .all()
        .filter(|(_, name, gives)| {
            !scope
                .component(name)
                .is_some_and(|other| other.about().gives.contains(gives))
        })
        .map(|(key, name, _)| (key, name.to_owned()))
        .collect();
    for (key, name) in found {
        let wants = wants.all().find(|(other, ..)| *other == key).map(|(_, _, gives)| gives);
        let fitting = scope
            .platform
            .components
            .iter()
            .filter(|(_, other)| wants.is_some_and(|wants| other.about().gives.contains(&wants)));
        let names: Vec<&str> = fitting.map(|(name, _)| name.as_str()).collect();
        let fix = match nearest(&name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "add such a component to the platform".to_owned(),
            None => format!("there are {}", names.join(", ")),
        };
        let path = format!("metadata.annotations[\"{PREFIX}{key}\"]");
        let what = wants.map_or("that", super::super::component::Gives::text);
        complain(
            "platform-reference",
            &path,
            format!("the platform has no component `{name}` that gives {what}"),
            fix,
        );
    }
    wants
}

/// What the manifest says stays; the Spark's own defaults come last.
fn conf(spec: &mut Value, spark: &Spark, given: &BTreeMap<String, String>) {
    if given.is_empty() && spark.conf.is_empty() {
        return;
    }
    if !spec["sparkConf"].is_object() {
        spec["sparkConf"] = json!({});
    }
    for (key, value) in given.iter().chain(&spark.conf) {
        if spec["sparkConf"][key].is_null() {
            spec["sparkConf"][key] = json!(value);
        }
    }
}

/// Packages that are not there, in any version: one that is written by hand was meant.
fn packages(spec: &mut Value, given: &[String]) {
    if given.is_empty() {
        return;
    }
    let mut all: Vec<String> = spec["deps"]["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|package| package.as_str().map(str::to_owned))
        .collect();
    for package in given {
        let without_version = package.rsplit_once(':').map_or(package.as_str(), |(name, _)| name);
        if !all.iter().any(|there| there.starts_with(without_version)) {
            all.push(package.clone());
        }
    }
    spec["deps"]["packages"] = json!(all);
}

/// Entries of a list of dependencies that are not there.
fn added(spec: &mut Value, key: &str, given: &[String]) {
    for entry in given {
        let there = spec["deps"][key].as_array().cloned().unwrap_or_default();
        if !there.iter().any(|known| known == entry.as_str()) {
            spec["deps"][key] = there.into_iter().chain([json!(entry)]).collect();
        }
    }
}

fn add_env(side: &mut Value, env: &[Value]) {
    let mut all = side["env"].as_array().cloned().unwrap_or_default();
    for variable in env {
        if !all.iter().any(|there| there["name"] == variable["name"]) {
            all.push(variable.clone());
        }
    }
    if !all.is_empty() {
        side["env"] = json!(all);
    }
}
