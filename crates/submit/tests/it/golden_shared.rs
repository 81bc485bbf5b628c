//! A second set of recordings, kept beside the repository. Skipped, and says so, where it is not there.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stoke_submit::argv::{self, MemoryFiles};
use stoke_submit::{Identity, SparkVersion, plan};

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The objects of a recording by kind and name.
fn recorded(case: &Path) -> Vec<Value> {
    let mut objects: Vec<Value> = fs::read_dir(case)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json") && !path.ends_with("input.json"))
        .map(|path| read(&path))
        .collect();
    objects.sort_by_key(key);
    objects
}

fn key(object: &Value) -> String {
    format!("{} {}", object["kind"], object["metadata"]["name"])
}

/// The 16 digits before `-driver` in a name.
fn uid(name: &str) -> String {
    name.split("-driver")
        .next()
        .and_then(|start| start.rsplit('-').next())
        .unwrap_or_default()
        .to_owned()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Option<&'a Value> {
    objects.iter().find(|object| object["kind"] == kind)
}

fn identity(objects: &[Value]) -> (Identity, i64) {
    let pod = of_kind(objects, "Pod").unwrap();
    let service = of_kind(objects, "Service").unwrap()["metadata"]["name"]
        .as_str()
        .unwrap();
    let env = pod["spec"]["containers"].as_array().unwrap().last().unwrap()["env"]
        .as_array()
        .unwrap();
    let local = env
        .iter()
        .find(|variable| variable["name"] == "SPARK_LOCAL_DIRS")
        .unwrap()["value"]
        .as_str()
        .unwrap();
    let map = objects
        .iter()
        .find(|object| object["data"].get("spark.properties").is_some())
        .unwrap();
    let map_name = map["metadata"]["name"].as_str().unwrap();
    let properties = map["data"]["spark.properties"].as_str().unwrap();
    let time = properties
        .lines()
        .find_map(|line| line.strip_prefix("spark.app.submitTime="))
        .unwrap();
    let identity = Identity {
        application_id: pod["metadata"]["labels"]["spark-app-selector"]
            .as_str()
            .unwrap()
            .to_owned(),
        resource_uid: uid(pod["metadata"]["name"].as_str().unwrap()),
        config_map_uid: map_name
            .trim_start_matches("spark-drv-")
            .trim_end_matches("-conf-map")
            .to_owned(),
        service_uid: uid(service),
        local_dir_uuid: local.trim_start_matches("/var/data/spark-").to_owned(),
        upload_seed: String::new(),
    };
    (identity, time.parse().unwrap())
}

/// `spark.properties` as lines, without the date.
fn lines(mut object: Value) -> Value {
    if let Some(text) = object["data"].get("spark.properties").and_then(Value::as_str) {
        let lines: Vec<String> = text
            .lines()
            .enumerate()
            .filter(|(at, _)| *at != 1)
            .map(|(_, line)| line.to_owned())
            .collect();
        object["data"]["spark.properties"] = json!(lines);
    }
    object
}

fn compare(version: &SparkVersion, case: &Path, root: &Path) -> Result<(), String> {
    let input = read(&case.join("input.json"));
    let args: Vec<String> = input["argv"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arg| arg.as_str().unwrap().to_owned())
        .collect();
    let objects = recorded(case);
    if objects.is_empty() {
        // spark-submit failed there for want of a network or a cloud jar.
        return Ok(());
    }
    let (identity, time) = identity(&objects);
    let mut files = MemoryFiles {
        working_dir: "/recorded".to_owned(),
        user: "root".to_owned(),
        now: jiff::Timestamp::from_millisecond(time).unwrap(),
        ..MemoryFiles::default()
    };
    for name in ["driver-template.yaml", "executor-template.yaml"] {
        files = files.file(&format!("/recorded/inputs/{name}"), fs::read(root.join(name)).unwrap());
    }
    for (name, value) in input["env"].as_object().unwrap() {
        files = files.variable(name, value.as_str().unwrap());
    }
    let request = argv::request_from_arguments(&args, &files, version, identity).map_err(|error| error.to_string())?;
    let submission = plan(&request).map_err(|error| error.to_string())?;
    let owner = of_kind(&objects, "Service").unwrap()["metadata"]["ownerReferences"][0]["uid"]
        .as_str()
        .unwrap();
    let mut found = vec![submission.driver_pod.clone()];
    found.extend(submission.owned(owner));
    found.sort_by_key(key);
    let names = |objects: &[Value]| objects.iter().map(key).collect::<Vec<_>>();
    if names(&objects) != names(&found) {
        return Err(format!("objects {:?} instead of {:?}", names(&found), names(&objects)));
    }
    for (spark, ours) in objects.into_iter().zip(found) {
        let (spark, ours) = (lines(spark), lines(ours));
        if spark != ours {
            return Err(format!("\n spark {spark}\n stoke {ours}"));
        }
    }
    Ok(())
}

#[test]
fn the_second_set_of_recordings_is_repeated() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden-submit");
    if !root.is_dir() {
        println!("SKIPPED: no recordings at {}", root.display());
        return;
    }
    let mut report = Vec::new();
    for version in fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()) {
        let Some(parsed) = version
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.parse::<SparkVersion>().ok())
        else {
            continue;
        };
        for case in fs::read_dir(&version).unwrap().map(|entry| entry.unwrap().path()) {
            if let Err(difference) = compare(&parsed, &case, &root) {
                report.push(format!("{}: {difference}", case.display()));
            }
        }
    }
    assert!(report.is_empty(), "{}", report.join("\n"));
}
