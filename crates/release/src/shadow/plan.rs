//! An application as it runs in the shadow: its code stays, what would lead its outputs elsewhere is refused.

use serde_json::{Value, json};
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_storage::keys;

/// Prefixes of keys of Spark whose rest is the name of a variable.
const VARIABLES: [&str; 4] = [
    "spark.kubernetes.driverEnv.",
    "spark.executorEnv.",
    "spark.kubernetes.driver.secretKeyRef.",
    "spark.kubernetes.executor.secretKeyRef.",
];

/// The application of a release as it runs in the shadow, and what was changed of its configuration.
///
/// # Errors
/// What of it could not be kept apart: another store, a directory of this machine.
pub fn shadowed(mut application: Value) -> Result<(Value, Vec<String>), Vec<Diagnostic>> {
    let mut reasons = Vec::new();
    another_store(&application["spec"], &mut reasons);
    directories(&application["spec"], &mut reasons);
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let mut notes = Vec::new();
    if let Some(conf) = application["spec"]["sparkConf"].as_object_mut() {
        let before = conf.len();
        conf.retain(|key, _| !key.starts_with("spark.eventLog."));
        if conf.len() < before {
            notes.push("its event log goes to this machine instead of where spark.eventLog.dir leads".to_owned());
        }
    }
    let policy = application["spec"]["restartPolicy"]["type"].as_str().unwrap_or("Never");
    if policy != "Never" {
        notes.push(format!("it runs once: restartPolicy is Never instead of {policy}"));
        application["spec"]["restartPolicy"] = json!({"type": "Never"});
    }
    Ok((application, notes))
}

fn refusal(code: &'static str, path: String, message: String, fix: &str) -> Diagnostic {
    Diagnostic::new(Severity::Error, code, message)
        .with_path(path)
        .with_fix(fix)
}

/// A store of its own: its keys do not lead to the one in which outputs are kept apart.
fn another_store(spec: &Value, reasons: &mut Vec<Diagnostic>) {
    let mut found: Vec<String> = Vec::new();
    let of_bucket = |key: &str| {
        let rest = key.strip_prefix("fs.s3a.bucket.");
        let rest = rest.and_then(|rest| rest.split_once('.')).map(|(_, rest)| rest);
        rest.is_some_and(|rest| keys::means_a_store(&format!("{}fs.s3a.{rest}", keys::SPARK)))
    };
    for (map, prefix) in [("sparkConf", ""), ("hadoopConf", keys::SPARK)] {
        for key in spec[map].as_object().into_iter().flat_map(|map| map.keys()) {
            let full = format!("{prefix}{key}");
            let variable = VARIABLES.iter().find_map(|prefix| full.strip_prefix(prefix));
            let hadoop = full.strip_prefix(keys::SPARK).unwrap_or_default();
            if keys::means_a_store(&full) || of_bucket(hadoop) || variable.is_some_and(keys::variable_means_a_store) {
                found.push(format!("spec.{map}[\"{key}\"]"));
            }
        }
    }
    for side in ["driver", "executor"] {
        let pod = &spec[side];
        let listed = pod["env"].as_array().into_iter().flatten();
        let listed = listed.filter_map(|variable| variable["name"].as_str());
        let mapped = ["envVars", "envSecretKeyRefs"]
            .into_iter()
            .flat_map(|map| pod[map].as_object());
        let names = listed.chain(mapped.flat_map(|map| map.keys().map(String::as_str)));
        let meaning = names.filter(|name| keys::variable_means_a_store(name));
        found.extend(meaning.map(|name| format!("spec.{side}: the variable {name}")));
        // Keys may come with all of a Secret; which ones is not known before it runs.
        let whole = pod["envFrom"].as_array().is_some_and(|sources| !sources.is_empty());
        found.extend(whole.then(|| format!("spec.{side}.envFrom")));
    }
    reasons.extend(found.into_iter().map(|place| {
        let message = format!("{place} may lead to another store, where outputs are not kept apart");
        refusal(
            "release-shadow-store",
            place,
            message,
            "leave endpoint and keys of S3 to the cluster: the operator gives them, in production as here",
        )
    }));
}

/// Directories of the machine: what is written there is there for everyone.
fn directories(spec: &Value, reasons: &mut Vec<Diagnostic>) {
    const FIX: &str = "mount it with readOnly: true, or write to a place of the object store; what is written below a directory of the machine is not redirected";
    for (at, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let Some(path) = volume["hostPath"]["path"].as_str() else {
            continue;
        };
        let name = volume["name"].as_str().unwrap_or_default();
        let mut mounts = ["driver", "executor"]
            .into_iter()
            .flat_map(|side| spec[side]["volumeMounts"].as_array().into_iter().flatten());
        let writable = |mount: &&Value| mount["name"] == name && mount["readOnly"] != true;
        if mounts.any(|mount| writable(&mount)) {
            let message = format!("volume `{name}` is the directory {path} of the machine, and can be written");
            reasons.push(refusal(
                "release-shadow-directory",
                format!("spec.volumes[{at}]"),
                message,
                FIX,
            ));
        }
    }
    let conf = spec["sparkConf"].as_object();
    for (key, path) in conf.into_iter().flatten() {
        let Some(volume) = key
            .strip_suffix(".options.path")
            .filter(|key| key.contains(".volumes.hostPath."))
        else {
            continue;
        };
        let read_only = format!("{volume}.mount.readOnly");
        if spec["sparkConf"][read_only.as_str()] != "true" {
            let path = path.as_str().unwrap_or_default();
            let message = format!("`{key}` mounts the directory {path} of the machine, and it can be written");
            reasons.push(refusal(
                "release-shadow-directory",
                format!("spec.sparkConf[\"{key}\"]"),
                message,
                &format!("set {read_only} to \"true\", or write to a place of the object store"),
            ));
        }
    }
    for side in ["driver", "executor"] {
        if mentions(&spec[side]["template"], "hostPath") || mentions(&spec[side]["sidecars"], "hostPath") {
            let message = format!("the template of the {side} has a volume that is a directory of the machine");
            reasons.push(refusal(
                "release-shadow-directory",
                format!("spec.{side}.template"),
                message,
                FIX,
            ));
        }
    }
}

/// Whether a key stands anywhere below.
fn mentions(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(map) => map.contains_key(key) || map.values().any(|value| mentions(value, key)),
        Value::Array(list) => list.iter().any(|value| mentions(value, key)),
        _ => false,
    }
}
