//! Our plan against what real `spark-submit` created: every recorded case of `tests/golden`, field by field.
//!
//! `scripts/record-spark-submit` makes the recordings. Identifiers and dates in them are fixed ones, which the test's [`Identity`] repeats;
//! every case is a JSON patch of the case `baseline` of its Spark version.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stoke_submit::argv::{self, MemoryFiles};
use stoke_submit::{ExecutorRequest, Identity, Resource, SparkVersion, Submission, SubmitRequest, executor_pod, plan};

const UID: &str = "0123456789abcdef";
const UUID: &str = "00000000-0000-4000-8000-000000000000";

/// Cases in which we differ on purpose; `DIFFERENCES.md` has the reasons. `order`: only the order of a list differs.
const DELIBERATE: &[(&str, Deliberate)] = &[
    ("exec-pod-prefix-bad", Deliberate::RefusedEarlier),
    ("exec-pod-prefix-long", Deliberate::RefusedEarlier),
    ("no-image", Deliberate::RefusedEarlier),
    ("volcano", Deliberate::OfferedToo),
    ("volcano-file", Deliberate::OfferedToo),
    ("volcano-json", Deliberate::OfferedToo),
    ("secrets-many", Deliberate::OtherOrder),
    ("volume-many", Deliberate::OtherOrder),
    ("executor-startup-conf", Deliberate::OtherOrder),
    ("excluded-service", Deliberate::NoExecutor),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deliberate {
    /// Spark lets it pass here and fails later.
    RefusedEarlier,
    /// Spark's package of that version lacks the class.
    OfferedToo,
    /// A list is in another order.
    OtherOrder,
    /// Spark makes the executor's driver address up from the submitting host's name.
    NoExecutor,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The input files, at `/inputs`, which is the working directory too; `SPARK_USER` is `root`, as the recorder sets it.
fn inputs() -> MemoryFiles {
    fn add(directory: &Path, at: &str, files: &mut MemoryFiles) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{at}/{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                add(&entry.path(), &name, files);
            } else {
                files.files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut files = MemoryFiles {
        working_dir: "/inputs".to_owned(),
        user: "root".to_owned(),
        now: jiff::Timestamp::UNIX_EPOCH,
        ..MemoryFiles::default()
    };
    add(&golden().join("inputs"), "/inputs", &mut files);
    files.variable("SPARK_USER", "root")
}

fn identity() -> Identity {
    Identity {
        application_id: format!("spark-{}", "a".repeat(32)),
        resource_uid: UID.to_owned(),
        config_map_uid: UID.to_owned(),
        service_uid: UID.to_owned(),
        local_dir_uuid: UUID.to_owned(),
        upload_seed: "golden".to_owned(),
    }
}

fn request(case: &Value, version: &SparkVersion, files: &MemoryFiles) -> Result<SubmitRequest, (String, String)> {
    let args: Vec<String> = case["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arg| arg.as_str().unwrap().to_owned())
        .collect();
    let mut files = files.clone();
    for (name, value) in case["env"].as_object().unwrap() {
        files = files.variable(name, value.as_str().unwrap());
    }
    argv::request_from_arguments(&args, &files, version, identity())
        .map_err(|error| (error.code().to_owned(), error.to_string()))
}

/// Our submission in the shape of a recording.
fn result(request: &SubmitRequest) -> Result<Value, (String, String)> {
    let submission = plan(request).map_err(|error| (error.code().to_owned(), error.to_string()))?;
    let of =
        |resources: &[Resource]| -> Vec<Value> { resources.iter().map(|resource| resource.object.clone()).collect() };
    let mut objects = of(&submission.pre_resources);
    objects.push(submission.driver_pod.clone());
    objects.extend(of(&submission.pre_resources));
    objects.extend(of(&submission.resources));
    for object in &mut objects {
        if let Some(text) = object.get("data").and_then(|data| data.get("spark.properties")) {
            let mut lines: Vec<&str> = text.as_str().unwrap().lines().collect();
            lines.remove(1);
            let lines = json!(lines);
            object["data"]["spark.properties"] = lines;
        }
    }
    let mut result = json!({"objects": objects});
    match executor(request, &submission) {
        Ok(executor) => result["executor"] = executor,
        Err(error) => result["executor_error"] = json!(error),
    }
    Ok(result)
}

fn executor(request: &SubmitRequest, submission: &Submission) -> Result<Value, String> {
    let executor = ExecutorRequest {
        executor_id: "1".to_owned(),
        driver_pod: Some((submission.driver_pod_name.clone(), UUID.to_owned())),
        driver_bind_address: Some("10.1.2.3".to_owned()),
        user: request.user.clone(),
        prefix_uid: UID.to_owned(),
        config_map_uid: UID.to_owned(),
        local_dir_uuid: UUID.to_owned(),
        template: request.files.executor_template.clone(),
        spark_conf_dir: request.files.spark_conf_dir.clone(),
        environment: request.files.environment.clone(),
        auth_secret: None,
    };
    let made =
        executor_pod(&request.spark_version, &submission.properties, &executor).map_err(|error| error.to_string())?;
    let mut objects = vec![made.pod];
    objects.extend(made.claims);
    Ok(Value::Array(objects))
}

/// Replaces the random part of upload directories, which recordings have replaced too.
fn fixed_uploads(value: &Value) -> Value {
    const MARK: &str = "spark-upload-";
    let text = value.to_string();
    let mut parts = text.split(MARK);
    let mut fixed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        fixed.push_str(MARK);
        fixed.push_str(UUID);
        fixed.push_str(&part[UUID.len()..]);
    }
    serde_json::from_str(&fixed).unwrap()
}

/// The places where two values differ.
fn differences(expected: &Value, found: &Value, path: &str, into: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let keys: std::collections::BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
            for key in keys {
                let path = format!("{path}/{key}");
                match (expected.get(key), found.get(key)) {
                    (Some(expected), Some(found)) => differences(expected, found, &path, into),
                    (Some(expected), None) => into.push(format!("{path}: missing {expected}")),
                    (None, found) => into.push(format!("{path}: extra {}", found.unwrap())),
                }
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (at, (expected, found)) in expected.iter().zip(found).enumerate() {
                differences(expected, found, &format!("{path}/{at}"), into);
            }
        }
        _ if expected != found => into.push(format!("{path}:\n    spark {expected}\n    stoke {found}")),
        _ => {}
    }
}

/// Brings lists of volumes, mounts and numbered Java options into one order.
fn sort_lists(value: &mut Value) {
    match value {
        Value::Object(object) => object.iter_mut().for_each(|(key, value)| {
            sort_lists(value);
            let Value::Array(items) = value else { return };
            match key.as_str() {
                "volumes" | "volumeMounts" => items.sort_by_key(|item| item["name"].to_string()),
                "env" => {
                    for item in items
                        .iter_mut()
                        .filter(|item| item["name"].as_str().unwrap().starts_with("SPARK_JAVA_OPT_"))
                    {
                        item["name"] = json!("SPARK_JAVA_OPT");
                    }
                    items.sort_by_key(Value::to_string);
                }
                _ => {}
            }
        }),
        Value::Array(items) => items.iter_mut().for_each(sort_lists),
        _ => {}
    }
}

#[test]
fn every_recorded_submission_is_repeated() {
    let cases = read(&golden().join("cases.json"));
    let files = inputs();
    let only = std::env::var("GOLDEN_ONLY").ok();
    let mut report = Vec::new();
    let mut compared = 0;
    for entry in fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        let Some(version) = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .and_then(|stem| stem.parse::<SparkVersion>().ok())
        else {
            continue;
        };
        let recorded = read(&path);
        for (name, case) in cases.as_object().unwrap() {
            if only
                .as_ref()
                .is_some_and(|only| !only.split(',').any(|wanted| wanted == name))
            {
                continue;
            }
            let Some(entry) = recorded.get(name) else { continue };
            compared += 1;
            let deliberate = DELIBERATE.iter().find(|(case, _)| case == name).map(|(_, kind)| *kind);
            let found = request(case, &version, &files).and_then(|request| result(&request));
            let mut lines = Vec::new();
            match (entry.get("error"), found) {
                (Some(_), Err(_)) => {}
                (Some(_), Ok(_)) if deliberate == Some(Deliberate::OfferedToo) => {}
                (None, Err(_)) if deliberate == Some(Deliberate::RefusedEarlier) => {}
                (Some(error), Ok(_)) => lines.push(format!("spark refuses: {error}")),
                (None, Err((code, message))) => lines.push(format!("refused here ({code}): {message}")),
                (None, Ok(found)) => {
                    let mut expected = recorded["baseline"].clone();
                    if let Some(patch) = entry.get("patch") {
                        json_patch::patch(
                            &mut expected,
                            &serde_json::from_value::<json_patch::Patch>(patch.clone()).unwrap(),
                        )
                        .unwrap();
                    }
                    let mut found = fixed_uploads(&found);
                    if expected.get("executor_error").is_some() && found.get("executor_error").is_some() {
                        expected["executor_error"] = found["executor_error"].clone();
                    }
                    found["objects"].as_array_mut().unwrap().iter_mut().for_each(|object| {
                        object["metadata"].as_object_mut().unwrap().remove("ownerReferences");
                    });
                    if deliberate == Some(Deliberate::OtherOrder) {
                        sort_lists(&mut expected);
                        sort_lists(&mut found);
                    }
                    if deliberate == Some(Deliberate::NoExecutor) {
                        for result in [&mut expected, &mut found] {
                            result.as_object_mut().unwrap().retain(|key, _| key == "objects");
                        }
                    }
                    differences(&expected, &found, "", &mut lines);
                }
            }
            if !lines.is_empty() {
                report.push(format!("{version} {name}\n  {}", lines.join("\n  ")));
            }
        }
    }
    assert!(compared > 0, "no recordings");
    assert!(
        report.is_empty(),
        "{} of {compared} cases differ:\n{}",
        report.len(),
        report.join("\n")
    );
}
