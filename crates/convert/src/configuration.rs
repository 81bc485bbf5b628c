//! Spark's configuration keys to the fields of an application.
//!
//! A key becomes a field where the field is the usual way to say it, or the only one; every other key stays in `sparkConf`. Keys that were
//! for the submitting program alone are named, and so are those that an application may not set.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stoke_diagnostics::Place;
use stoke_model::manifest::refused_spark_conf;
use stoke_submit::argv::contents::local_path;

use crate::report::Report;
use crate::target::Target;

/// A key's value and where it was written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setting {
    pub(crate) value: String,
    pub(crate) place: Place,
    /// The path in the source: `spec.sparkConf["spark.ui.port"]`, `--conf spark.ui.port`.
    pub(crate) path: String,
}

/// Settings by key.
pub(crate) type Settings = BTreeMap<String, Setting>;

/// Keys whose value is a list of URIs or coordinates, and the fields for them.
const LISTS: [(&str, &str); 8] = [
    ("spark.jars", "deps.jars"),
    ("spark.files", "deps.files"),
    ("spark.submit.pyFiles", "deps.pyFiles"),
    ("spark.jars.packages", "deps.packages"),
    ("spark.jars.excludes", "deps.excludePackages"),
    ("spark.jars.repositories", "deps.repositories"),
    ("spark.archives", "deps.archives"),
    ("spark.kubernetes.container.image.pullSecrets", "imagePullSecrets"),
];

/// Keys and the text fields for them.
const TEXTS: [(&str, &str); 18] = [
    ("spark.kubernetes.container.image", "image"),
    ("spark.kubernetes.container.image.pullPolicy", "imagePullPolicy"),
    ("spark.kubernetes.driver.container.image", "driver.image"),
    ("spark.kubernetes.executor.container.image", "executor.image"),
    (
        "spark.kubernetes.authenticate.driver.serviceAccountName",
        "driver.serviceAccount",
    ),
    (
        "spark.kubernetes.authenticate.executor.serviceAccountName",
        "executor.serviceAccount",
    ),
    ("spark.kubernetes.driver.pod.name", "driver.podName"),
    ("spark.kubernetes.driver.master", "driver.kubernetesMaster"),
    ("spark.driver.memory", "driver.memory"),
    ("spark.driver.memoryOverhead", "driver.memoryOverhead"),
    ("spark.kubernetes.driver.request.cores", "driver.coreRequest"),
    ("spark.kubernetes.driver.limit.cores", "driver.coreLimit"),
    ("spark.driver.extraJavaOptions", "driver.javaOptions"),
    ("spark.executor.memory", "executor.memory"),
    ("spark.executor.memoryOverhead", "executor.memoryOverhead"),
    ("spark.kubernetes.executor.request.cores", "executor.coreRequest"),
    ("spark.kubernetes.executor.limit.cores", "executor.coreLimit"),
    ("spark.executor.extraJavaOptions", "executor.javaOptions"),
];

/// Keys and the whole-number fields for them.
const NUMBERS: [(&str, &str); 3] = [
    ("spark.driver.cores", "driver.cores"),
    ("spark.executor.cores", "executor.cores"),
    ("spark.executor.instances", "executor.instances"),
];

/// Beginnings of keys and the fields that are maps for them.
const MAPS: [(&str, &str); 4] = [
    ("spark.kubernetes.driver.label.", "driver.labels"),
    ("spark.kubernetes.executor.label.", "executor.labels"),
    ("spark.kubernetes.driver.annotation.", "driver.annotations"),
    ("spark.kubernetes.executor.annotation.", "executor.annotations"),
];

/// Keys that were for the program that submits, and why they mean nothing to an application.
const OF_THE_SUBMITTER: [(&str, &str); 9] = [
    ("spark.master", "the operator submits to its own cluster"),
    (
        "spark.submit.deployMode",
        "the operator always runs the driver in the cluster",
    ),
    ("spark.kubernetes.context", "the operator submits to its own cluster"),
    (
        "spark.kubernetes.submission.waitAppCompletion",
        "nothing waits; `kubectl wait` and the status show the end",
    ),
    (
        "spark.kubernetes.report.interval",
        "nothing waits; the status is kept by the operator",
    ),
    (
        "spark.kubernetes.submission.connectionTimeout",
        "the operator has connections of its own",
    ),
    (
        "spark.kubernetes.submission.requestTimeout",
        "the operator has connections of its own",
    ),
    (
        "spark.kubernetes.trust.certificates",
        "the operator has connections of its own",
    ),
    ("spark.master.url.prefix", "the operator submits to its own cluster"),
];

/// Executors that Spark starts when it is told no number.
const SPARKS_INSTANCES: i32 = 2;

/// Puts every setting into the target, or says why not.
pub(crate) fn apply(mut settings: Settings, target: &mut Target, report: &mut Report) {
    namespace_and_name(&mut settings, target, report);
    for (key, why) in OF_THE_SUBMITTER {
        if let Some(setting) = settings.remove(key) {
            report.idle(setting.place, &setting.path, format!("{key} is left out: {why}"), "");
        }
    }
    settings.retain(|key, setting| {
        let of_submitter = key.starts_with("spark.kubernetes.authenticate.submission.");
        if of_submitter {
            let message = format!("{key} is left out: the operator has credentials of its own");
            report.idle(setting.place, &setting.path, message, "");
        }
        !of_submitter
    });
    for (key, field) in LISTS {
        if let Some(setting) = settings.remove(key) {
            let items: Vec<&str> = setting
                .value
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .collect();
            if matches!(
                key,
                "spark.jars" | "spark.files" | "spark.submit.pyFiles" | "spark.archives"
            ) {
                for item in &items {
                    reachable(item, setting.place, &setting.path, report);
                }
            }
            target.set(field, items);
        }
    }
    for (key, field) in TEXTS {
        if let Some(setting) = settings.remove(key).filter(|setting| !setting.value.is_empty()) {
            target
                .places
                .insert(field.rsplit('.').next().unwrap_or(field).to_owned(), setting.clone());
            target.set(field, setting.value);
        }
    }
    for (key, field) in NUMBERS {
        let number = settings
            .get(key)
            .and_then(|setting| setting.value.trim().parse::<i32>().ok());
        if let Some(number) = number {
            settings.remove(key);
            target.set(field, number);
        }
    }
    for (prefix, field) in MAPS {
        take_prefix(&mut settings, prefix, |key, value| target.set_key(field, key, value));
    }
    node_selector(&mut settings, target);
    if let Some(main) = target
        .get("mainApplicationFile")
        .and_then(Value::as_str)
        .map(str::to_owned)
    {
        reachable(&main, target.place, "spec.mainApplicationFile", report);
    }
    instances(&settings, target, report);
    rest(settings, target, report);
}

fn namespace_and_name(settings: &mut Settings, target: &mut Target, report: &mut Report) {
    if let Some(setting) = settings.remove("spark.kubernetes.namespace") {
        match &target.namespace {
            Some(namespace) if *namespace != setting.value => report.idle(
                setting.place,
                &setting.path,
                format!(
                    "spark.kubernetes.namespace is `{}`, and an application runs in the namespace it is in, `{namespace}`",
                    setting.value
                ),
                "give the other one with --namespace",
            ),
            _ => target.namespace = Some(setting.value),
        }
    }
    if let Some(setting) = settings.remove("spark.app.name") {
        if target.name.is_empty() {
            target.settle_name(&setting.value, setting.place, &setting.path, report);
        } else if target.name != setting.value {
            report.changed(
                setting.place,
                &setting.path,
                format!("spark.app.name is always the application's own name, `{}`", target.name),
                "rename the application with --name",
            );
        }
    }
}

/// A selector for both roles, unless one role has its own: the two fields exclude each other.
fn node_selector(settings: &mut Settings, target: &mut Target) {
    const ROLES: [(&str, &str); 2] = [
        ("spark.kubernetes.driver.node.selector.", "driver.nodeSelector"),
        ("spark.kubernetes.executor.node.selector.", "executor.nodeSelector"),
    ];
    const BOTH: &str = "spark.kubernetes.node.selector.";
    let of_roles = settings
        .keys()
        .any(|key| ROLES.iter().any(|(prefix, _)| key.starts_with(prefix)));
    let of_both = settings.keys().any(|key| key.starts_with(BOTH));
    if of_both && !of_roles {
        take_prefix(settings, BOTH, |key, value| target.set_key("nodeSelector", key, value));
    } else if of_roles && !of_both {
        for (prefix, field) in ROLES {
            take_prefix(settings, prefix, |key, value| target.set_key(field, key, value));
        }
    }
}

fn take_prefix(settings: &mut Settings, prefix: &str, mut take: impl FnMut(&str, &str)) {
    settings.retain(|key, setting| match key.strip_prefix(prefix) {
        Some(rest) if !rest.is_empty() => {
            take(rest, &setting.value);
            false
        }
        _ => true,
    });
}

/// Spark starts two executors when no one says how many, the published operator one.
fn instances(settings: &Settings, target: &mut Target, report: &mut Report) {
    let dynamic = settings
        .get("spark.dynamicAllocation.enabled")
        .is_some_and(|setting| setting.value.trim().eq_ignore_ascii_case("true"));
    if dynamic || target.get("executor.instances").is_some() || settings.contains_key("spark.executor.instances") {
        return;
    }
    target.set("executor.instances", SPARKS_INSTANCES);
    report.changed(
        target.place,
        "spec.executor.instances",
        format!("nothing says how many executors: Spark starts {SPARKS_INSTANCES}, and so does the application"),
        "",
    );
}

/// What remains: `sparkConf`, but for what an application may not set.
fn rest(settings: Settings, target: &mut Target, report: &mut Report) {
    for (key, setting) in settings {
        match refused_spark_conf(&key, &setting.value, target.namespace.as_deref()) {
            Some(why) => report.lost(
                setting.place,
                &setting.path,
                why,
                "convert it by hand, as the message says",
            ),
            None => {
                target.set_key("sparkConf", &key, &setting.value);
                target.places.insert(key, setting);
            }
        }
    }
}

/// Says so when a file is one that only the submitting machine has.
pub(crate) fn reachable(uri: &str, place: Place, path: &str, report: &mut Report) {
    let bare = uri.split('#').next().unwrap_or(uri);
    if bare == "spark-internal" || local_path(bare).is_none() || bare.starts_with("${") {
        return;
    }
    report.lost(
        place,
        path,
        format!("`{uri}` is a file of the machine that submits, and the operator does not have it"),
        "copy it to your object store and name its URI, or build it into the image and write local:///path; `stoke run` uploads it as it is",
    );
}

/// A pod template as the schemaless field of a role.
pub(crate) fn template(pod: &Value) -> Value {
    let mut template = pod.clone();
    if let Some(template) = template.as_object_mut() {
        template.shift_remove("apiVersion");
        template.shift_remove("kind");
        template.shift_remove("status");
    }
    if template.is_object() { template } else { json!({}) }
}
