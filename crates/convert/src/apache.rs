//! `SparkApplication` of `spark.apache.org` (v1, v1beta1, v1alpha1), field by field. Source: the published documentation of its custom resources.

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};
use stoke_diagnostics::has_errors;
use stoke_model::annotations::PENDING_TIMEOUT;
use stoke_model::crd::schema_of;
use stoke_model::manifest::{Content, Document, Entry, Node, join, join_index};
use stoke_model::schema;

use crate::configuration::{self, Setting, Settings};
use crate::metadata;
use crate::report::Report;
use crate::target::Target;

/// What the other operator takes for a limit that is not given.
const ATTEMPTS: i64 = 3;
const BACK_OFF_MILLIS: i64 = 30_000;

static SCHEMA: LazyLock<Value> = LazyLock::new(make_schema);

/// The names and types of its fields.
fn make_schema() -> Value {
    let text = json!({"type": "string"});
    let number = json!({"type": "integer"});
    let texts = json!({"type": "object", "additionalProperties": text});
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let fields = |names: &[&str], of: &Value| -> Map<String, Value> {
        names.iter().map(|name| ((*name).to_owned(), of.clone())).collect()
    };
    let object = |properties: Map<String, Value>| json!({"type": "object", "properties": properties});
    let mut restart = fields(
        &[
            "maxRestartAttempts",
            "restartBackoffMillis",
            "restartCounterResetMillis",
            "maxRestartOnFailure",
            "restartBackoffMillisForFailure",
            "maxRestartOnSchedulingFailure",
            "restartBackoffMillisForSchedulingFailure",
        ],
        &number,
    );
    let policies = ["Never", "Always", "OnFailure", "OnInfrastructureFailure"];
    restart.insert("restartPolicy".to_owned(), json!({"type": "string", "enum": policies}));
    let timeouts = fields(
        &[
            "driverStartTimeoutMillis",
            "driverReadyTimeoutMillis",
            "executorStartTimeoutMillis",
            "forceTerminationGracePeriodMillis",
            "terminationRequeuePeriodMillis",
        ],
        &number,
    );
    let tolerations = json!({"type": "object", "properties": {
        "restartConfig": object(restart),
        "applicationTimeoutConfig": object(timeouts),
        "instanceConfig": object(fields(&["initExecutors", "minExecutors", "maxExecutors"], &number)),
        "resourceRetainPolicy": {"type": "string", "enum": ["Always", "OnFailure", "Never"]},
        "resourceRetainDurationMillis": number,
        "ttlAfterStopMillis": number,
    }});
    let role = json!({"type": "object", "properties": {"podTemplateSpec": pod_template_schema()}});
    let lists = json!({"type": "array", "items": open});
    let mut spec = fields(
        &["mainClass", "jars", "pyFiles", "sparkRFiles", "files", "proxyUser"],
        &text,
    );
    spec.extend([
        ("suspend".to_owned(), json!({"type": "boolean"})),
        ("sparkConf".to_owned(), texts.clone()),
        (
            "runtimeVersions".to_owned(),
            object(fields(&["sparkVersion", "scalaVersion", "jdkVersion"], &text)),
        ),
        (
            "deploymentMode".to_owned(),
            json!({"type": "string", "enum": ["ClusterMode", "ClientMode"]}),
        ),
        ("driverArgs".to_owned(), json!({"type": "array", "items": text})),
        ("applicationTolerations".to_owned(), tolerations),
        ("driverSpec".to_owned(), role.clone()),
        ("executorSpec".to_owned(), role),
        ("driverServiceIngressList".to_owned(), lists.clone()),
        ("driverHttpRouteList".to_owned(), lists.clone()),
        ("driverGrpcRouteList".to_owned(), lists),
        (
            "configMapSpecs".to_owned(),
            json!({"type": "array", "items": {
                "type": "object", "required": ["name"],
                "properties": {"name": text, "labels": texts, "annotations": texts, "data": texts},
            }}),
        ),
    ]);
    json!({"type": "object", "required": ["metadata", "spec"], "properties": {
        "apiVersion": text, "kind": text, "metadata": schema_of::<ObjectMeta>(), "spec": object(spec), "status": open,
    }})
}

/// A pod template, in which no field of a container is required: Spark fills them in.
fn pod_template_schema() -> Value {
    let mut schema = schema_of::<PodTemplateSpec>();
    let spec = &mut schema["properties"]["spec"];
    spec["required"] = json!([]);
    spec["properties"]["containers"]["items"]["required"] = json!([]);
    schema
}

/// Converts one application; none when it is not a valid one.
pub(crate) fn convert(document: &Document, report: &mut Report) -> Vec<Target> {
    let complaints = schema::lint(&document.source, &document.node, &SCHEMA);
    let unusable = complaints
        .iter()
        .any(|complaint| complaint.code != "unknown-field" && complaint.is_error());
    let unreadable = unusable && has_errors(&complaints);
    report.extend(complaints);
    if unreadable {
        return Vec::new();
    }
    let mut target = Target {
        place: document.node.place_of("spec"),
        ..Target::default()
    };
    metadata::carry(document, &mut target, report);
    let mut settings = Settings::new();
    for entry in document.node.get("spec").map(Node::entries).unwrap_or_default() {
        if !Report::is_empty(&entry.value) {
            field(entry, &mut settings, &mut target, report);
        }
    }
    main_resource(document, &mut target, report);
    if !settings.contains_key("spark.kubernetes.container.image") && target.get("image").is_none() {
        image(&settings, &mut target, report);
    }
    configuration::apply(settings, &mut target, report);
    vec![target]
}

/// One field of the spec; the schema has refused those that do not exist.
fn field(entry: &Entry, settings: &mut Settings, target: &mut Target, report: &mut Report) {
    let path = join("spec", &entry.key);
    let place = entry.key_place;
    let value = &entry.value;
    match entry.key.as_str() {
        "mainClass" | "proxyUser" | "suspend" => target.set(&entry.key, value.to_value()),
        "driverArgs" => target.set("arguments", value.to_value()),
        "sparkConf" => {
            for pair in value.entries() {
                let setting = Setting {
                    value: text_of(&pair.value),
                    place: pair.key_place,
                    path: join(&path, &pair.key),
                };
                settings.insert(pair.key.clone(), setting);
            }
        }
        "runtimeVersions" => versions(value, target, report),
        "deploymentMode" if value.as_str() == Some("ClientMode") => report.lost(
            place,
            &path,
            "the driver of a SparkApplication always runs in a pod of its own",
            "leave deploymentMode out",
        ),
        "applicationTolerations" => {
            for inner in value.entries() {
                toleration(inner, &join(&path, &inner.key), target, report);
            }
        }
        "driverSpec" | "executorSpec" => {
            let role = entry.key.trim_end_matches("Spec");
            if let Some(template) = value.get("podTemplateSpec") {
                target.set(&format!("{role}.template"), configuration::template(&template.to_value()));
            }
        }
        "configMapSpecs" => config_maps(value, &path, target, report),
        "driverServiceIngressList" | "driverHttpRouteList" | "driverGrpcRouteList" => report.lost(
            place,
            &path,
            "services and ways into the cluster are described differently",
            "for the UI nothing is needed: the operator makes its service, and an ingress or route with --ingress-url-format; \
             for other ports of the driver write spec.driverIngressOptions",
        ),
        // Taken together in `main_resource`; the mode is the only one there is.
        _ => {}
    }
}

/// `jars`, `pyFiles` and `sparkRFiles`: the first of them that is given is the application.
fn main_resource(document: &Document, target: &mut Target, report: &mut Report) {
    let spec = |field: &str| document.node.lookup(&format!("spec.{field}")).and_then(Node::as_str);
    let kinds = [
        ("jars", "Scala", "deps.jars"),
        ("pyFiles", "Python", "deps.pyFiles"),
        ("sparkRFiles", "R", "deps.files"),
    ];
    let mut main = None;
    for (field, language, others) in kinds {
        let Some(text) = spec(field).filter(|text| !text.is_empty()) else {
            continue;
        };
        let path = format!("spec.{field}");
        let place = document.node.place_of(&path);
        let mut files = text.split(',').map(str::trim).filter(|file| !file.is_empty());
        if main.is_some() {
            report.idle(
                place,
                &path,
                format!("`{field}` has no effect beside the field above it that names the application"),
                "",
            );
            continue;
        }
        main = files.next().map(|file| (file.to_owned(), language));
        let rest: Vec<&str> = files.collect();
        if !rest.is_empty() {
            report.changed(
                place,
                &path,
                format!("the first file is the application, the others are {others}"),
                "",
            );
            target.set(others, rest);
        }
    }
    if let Some(files) = spec("files").filter(|files| !files.is_empty()) {
        let path = "spec.files";
        let files: Vec<&str> = files
            .split(',')
            .map(str::trim)
            .filter(|file| !file.is_empty())
            .collect();
        for file in &files {
            configuration::reachable(file, document.node.place_of(path), path, report);
        }
        target.set("deps.files", files);
    }
    match main {
        Some((file, language)) => {
            target.set("type", language);
            if file != "spark-internal" {
                target.set("mainApplicationFile", file);
            }
        }
        // A class that the image has on its class path.
        None => target.set("type", "Scala"),
    }
}

fn versions(value: &Node, target: &mut Target, report: &mut Report) {
    for entry in value.entries() {
        let Some(text) = entry.value.as_str() else { continue };
        match entry.key.as_str() {
            "sparkVersion" => target.set("sparkVersion", text),
            other => report.idle(
                entry.key_place,
                &format!("spec.runtimeVersions.{other}"),
                format!("`{other}: {text}` has no field: the image decides"),
                "choose an image that has it",
            ),
        }
    }
}

/// Without an image Spark has none either, unless each role has its own.
fn image(settings: &Settings, target: &mut Target, report: &mut Report) {
    let of_role = |role: &str| settings.contains_key(&format!("spark.kubernetes.{role}.container.image"));
    let version = target.get("sparkVersion").and_then(Value::as_str).map(str::to_owned);
    if let (false, Some(version)) = (of_role("driver") && of_role("executor"), version) {
        let image = format!("apache/spark:{version}");
        report.changed(
            target.place,
            r#"spec.sparkConf["spark.kubernetes.container.image"]"#,
            format!("no image is named; the application gets `{image}`"),
            "",
        );
        target.set("image", image);
    }
}

fn toleration(entry: &Entry, path: &str, target: &mut Target, report: &mut Report) {
    let place = entry.key_place;
    match entry.key.as_str() {
        "restartConfig" => restart(&entry.value, path, target, report),
        "applicationTimeoutConfig" => {
            for timeout in entry.value.entries() {
                timeout_field(timeout, &join(path, &timeout.key), target, report);
            }
        }
        "instanceConfig" if entry.value.entries().iter().any(|entry| whole(&entry.value) != Some(0)) => report.lost(
            place,
            path,
            "nothing ends an application that gets fewer executors than it wants",
            "let a batch scheduler start all or none (spec.batchScheduler), or set spark.scheduler.minRegisteredResourcesRatio",
        ),
        "resourceRetainPolicy" => report.idle(
            place,
            path,
            "the driver pod of an ended application always stays for its log, executors never",
            "set ttlAfterStopMillis (spec.timeToLiveSeconds) for when all of it goes",
        ),
        "resourceRetainDurationMillis" if whole(&entry.value).is_some_and(|millis| millis >= 0) => report.lost(
            place,
            path,
            "nothing deletes the pods of an application and keeps the application",
            "set ttlAfterStopMillis (spec.timeToLiveSeconds), after which all of it goes",
        ),
        "ttlAfterStopMillis" => {
            if let Some(millis) = whole(&entry.value).filter(|millis| *millis >= 0) {
                target.set("timeToLiveSeconds", seconds(millis));
            }
        }
        _ => {}
    }
}

fn timeout_field(entry: &Entry, path: &str, target: &mut Target, report: &mut Report) {
    let millis = whole(&entry.value).unwrap_or_default();
    match entry.key.as_str() {
        "driverStartTimeoutMillis" => target.annotate(PENDING_TIMEOUT, format!("{}s", seconds(millis))),
        "driverReadyTimeoutMillis" => report.lost(
            entry.key_place,
            path,
            "nothing ends a driver that runs and is not ready",
            "bound the whole run with the annotation stoke.dev/active-deadline-seconds",
        ),
        "executorStartTimeoutMillis" => report.lost(
            entry.key_place,
            path,
            "nothing ends an application that waits for executors",
            "set spark.kubernetes.allocation.executor.timeout, or bound the run with stoke.dev/active-deadline-seconds",
        ),
        other => report.idle(
            entry.key_place,
            path,
            format!("`{other}` configures deletion by the other operator; a pod's own grace period applies here"),
            "",
        ),
    }
}

fn restart(value: &Node, path: &str, target: &mut Target, report: &mut Report) {
    let number = |field: &str| value.get(field).and_then(whole);
    let place = |field: &str| value.place_of(field);
    let attempts = number("maxRestartAttempts").unwrap_or(ATTEMPTS);
    let retries = number("maxRestartOnFailure").map_or(attempts, |failures| failures.min(attempts));
    let submission_retries = number("maxRestartOnSchedulingFailure").unwrap_or(retries).min(attempts);
    let back_off = number("restartBackoffMillis").unwrap_or(BACK_OFF_MILLIS);
    let on_failure = number("restartBackoffMillisForFailure").unwrap_or(back_off);
    let on_submission = number("restartBackoffMillisForSchedulingFailure").unwrap_or(on_failure);
    let policy = value.get("restartPolicy").and_then(Node::as_str).unwrap_or("Never");
    match policy {
        "Never" => target.set("restartPolicy.type", "Never"),
        "OnInfrastructureFailure" => report.lost(
            place("restartPolicy"),
            &join(path, "restartPolicy"),
            "infrastructure failures are not distinguished from others",
            "write restartPolicy OnFailure, or Never with onSubmissionFailureRetries",
        ),
        _ => {
            target.set("restartPolicy.type", policy);
            if policy == "OnFailure" {
                target.set("restartPolicy.onFailureRetries", retries);
                target.set("restartPolicy.onSubmissionFailureRetries", submission_retries);
            } else {
                report.changed(
                    place("restartPolicy"),
                    &join(path, "restartPolicy"),
                    format!("`Always` has no limit here, where the source stops after {attempts} restarts"),
                    "bound it with the annotation stoke.dev/active-deadline-seconds, or write OnFailure",
                );
            }
            target.set("restartPolicy.onFailureRetryInterval", seconds(on_failure).max(1));
            target.set(
                "restartPolicy.onSubmissionFailureRetryInterval",
                seconds(on_submission).max(1),
            );
        }
    }
    if number("restartCounterResetMillis").is_some_and(|millis| millis >= 0) {
        report.lost(
            place("restartCounterResetMillis"),
            &join(path, "restartCounterResetMillis"),
            "a long run does not give the retries back; only the wait before the next one begins again after ten minutes",
            "raise onFailureRetries",
        );
    }
}

/// The other operator makes them; here they are objects beside the application.
fn config_maps(value: &Node, path: &str, target: &mut Target, report: &mut Report) {
    for (index, item) in value.items().iter().enumerate() {
        let Some(name) = item.get("name").and_then(Node::as_str) else {
            continue;
        };
        let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        if let Some(namespace) = &target.namespace {
            map["metadata"]["namespace"] = json!(namespace);
        }
        for field in ["labels", "annotations"] {
            if let Some(value) = item.get(field) {
                map["metadata"][field] = value.to_value();
            }
        }
        if let Some(data) = item.get("data") {
            map["data"] = data.to_value();
        }
        report.changed(
            item.place,
            &join_index(path, index),
            format!(
                "ConfigMap `{name}` is an object of its own, applied before the application and not deleted with it"
            ),
            "",
        );
        target.beside.push(map);
    }
}

fn whole(node: &Node) -> Option<i64> {
    match &node.content {
        Content::Number(number) => number.as_i64(),
        _ => None,
    }
}

/// Whole seconds, rounded up.
fn seconds(millis: i64) -> i64 {
    millis.max(0).saturating_add(999) / 1000
}

fn text_of(node: &Node) -> String {
    match &node.content {
        Content::String(text) => text.clone(),
        _ => node.to_value().to_string(),
    }
}
