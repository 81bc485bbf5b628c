//! Helm values become a `platform.yaml` that is right: every value of them is in it or named, and what is in it follows the values.

use serde_json::{Value, json};
use stoke_convert::{Options, Platform, platform};
use stoke_model::manifest::{join, join_index};
use stoke_platform::spec::alone;
use stoke_testkit::Tier;
use stoke_testkit::damage::Numbers;
use stoke_testkit::generated::repository;

use crate::mutations::set;

fn kit() -> String {
    std::fs::read_to_string(repository("examples/migrate/helm-platform.yaml")).unwrap()
}

fn made(text: &str) -> Platform {
    let spark = Options {
        spark_version: None,
        ..Options::default()
    };
    platform("values.yaml", text, &spark)
}

fn said(made: &Platform) -> String {
    made.complaints
        .iter()
        .map(|complaint| complaint.render() + "\n")
        .collect()
}

/// What is wrong with a file that was made.
fn wrong(file: &Value) -> Vec<String> {
    let source = stoke_diagnostics::Source::new("platform.yaml", &file.to_string());
    match stoke_platform::spec::read(&source, &alone) {
        Ok(_) => Vec::new(),
        Err(found) => found
            .iter()
            .filter(|found| found.is_error())
            .map(ToString::to_string)
            .collect(),
    }
}

fn leaves(path: &str, value: &Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| leaves(&join(path, key), value, into)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.iter().enumerate() {
                leaves(&join_index(path, index), item, into);
            }
        }
        leaf => into.push((path.to_owned(), leaf.clone())),
    }
}

fn tree(text: &str) -> Value {
    let source = stoke_diagnostics::Source::new("values.yaml", text);
    stoke_model::manifest::read(&source).0[0].to_value()
}

/// Whether something was said of a value, or of a part that has it in it.
fn is_named(made: &Platform, path: &str) -> bool {
    made.complaints.iter().any(|complaint| {
        !complaint.path.is_empty()
            && (path == complaint.path
                || path.starts_with(&format!("{}.", complaint.path))
                || path.starts_with(&format!("{}[", complaint.path)))
    })
}

fn is_carried(made: &Platform, path: &str) -> bool {
    made.origins
        .values()
        .any(|(from, _)| from == path || path.starts_with(&format!("{from}[")))
}

#[test]
fn a_kit_with_all_around_it() {
    let made = made(&kit());
    let file = made.file.clone().unwrap();
    assert!(!made.is_partial(), "{}", said(&made));
    assert_eq!(wrong(&file), [] as [String; 0], "{file:#}");
    for (pointer, wanted) in [
        (
            "/sparks/current",
            json!({"image": "registry.example.com/spark-custom:4.1.4", "version": "4.1.4", "catalog": "metastore"}),
        ),
        ("/components/files/credentials", json!({"secret": "store-keys"})),
        ("/components/files/bucket", json!("warehouse")),
        ("/components/files-2/bucket", json!("spark-logs")),
        ("/components/metastore/path", json!("hive")),
        (
            "/components/metastore/database",
            json!({"component": "database", "name": "metastore_db"}),
        ),
        ("/components/database/storage", json!({"size": "20Gi", "class": "fast"})),
        (
            "/components/history",
            json!({"kind": "history-server", "path": "events", "store": "files-2", "resources": {"cpu": "250m", "memory": "512Mi"}, "host": "history.example.com"}),
        ),
        (
            "/components/connect/executors",
            json!({"cores": 2, "memory": "8g", "min": 1, "max": 10}),
        ),
        ("/components/connect/server", json!({"cores": 2, "memory": "3712m"})),
        (
            "/components/connect/sparkConf/spark.executor.memoryOverhead",
            json!("2048m"),
        ),
        ("/components/notebooks/tracking", json!("experiments")),
        (
            "/components/notebooks/token",
            json!({"secret": "notebooks-token", "key": "token"}),
        ),
        ("/components/stream/replicas", json!(3)),
        (
            "/nodes/spark",
            json!({"labels": {"pool": "spark"}, "taints": ["pool=spark"]}),
        ),
        (
            "/secrets",
            json!({"stores": {"cluster": {"existing": {"name": "team-vault", "kind": "ClusterSecretStore"}}}, "from": "cluster", "refresh": "30m"}),
        ),
        ("/ingress", json!({"class": "nginx", "tlsSecret": "spark-tls"})),
        ("/environments/dev/security", json!("baseline")),
        ("/environments/dev/secrets/from", json!("made")),
        (
            "/environments/dev/components/connect/server",
            json!({"cores": 1, "memory": "1664m"}),
        ),
        (
            "/environments/prod/components/connect/executors",
            json!({"memory": "16g", "min": 2, "max": 50}),
        ),
    ] {
        assert_eq!(file.pointer(pointer), Some(&wanted), "{pointer} {file:#}");
    }
    assert!(file["components"].get("schedules").is_none());
    let all = format!("{file}{}", said(&made));
    for secret in ["minioadmin", "hive-password", "open-sesame"] {
        assert!(!all.contains(secret), "{all}");
    }
    for (path, line, code) in [
        ("connect.replicas", 4, "carried-otherwise"),
        ("environments.prod.replicas", 72, "carried-otherwise"),
        ("core.hiveMetastore.enabled", 51, "without-effect"),
        (
            "connect.dynamicAllocation.executorAllocationRatio",
            11,
            "without-effect",
        ),
        ("environments.prod.pdb.minAvailable", 75, "without-effect"),
        ("monitoring.openTelemetry.enabled", 57, "without-effect"),
        ("global.s3.secretKey", 27, "carried-otherwise"),
        ("kafka.replicas", 49, "carried-otherwise"),
        ("airflow", 50, "without-effect"),
    ] {
        let found: Vec<(usize, &str)> = made
            .complaints
            .iter()
            .filter(|one| one.path == path)
            .map(|one| (one.line, one.code.as_ref()))
            .collect();
        assert!(found.contains(&(line, code)), "{path} {found:?}\n{}", said(&made));
    }
}

#[test]
fn every_value_is_in_the_file_or_named() {
    let text = kit();
    let made = made(&text);
    let mut all = Vec::new();
    leaves("", &tree(&text), &mut all);
    let switches = |path: &str| path.ends_with("enabled") || SAME.contains(&path);
    let silent: Vec<&String> = all
        .iter()
        .map(|(path, _)| path)
        .filter(|path| !is_carried(&made, path) && !is_named(&made, path) && !switches(path))
        .collect();
    assert!(silent.is_empty(), "passed over: {silent:?}");
    assert!(all.len() > 90, "{}", all.len());
}

/// Values that say what holds anyway.
const SAME: [&str; 10] = [
    "airflow.executor",
    "connect.service.type",
    "connect.service.port",
    "connect.image.tag",
    "connect.resources.requests.memory",
    "historyServer.resources.requests.memory",
    "hiveMetastore.image.repository",
    "jupyter.image.tag",
    "environments.dev.replicas",
    "environments.dev.resources.requests.memory",
];

/// A value that is in the file, changed, changes it or is refused; one that is a switch or the like too.
#[test]
fn what_is_carried_follows_the_values() {
    let text = kit();
    let whole = tree(&text);
    let before = made(&text);
    let mut all = Vec::new();
    leaves("", &whole, &mut all);
    let (mut changed, mut refused) = (0, 0);
    for (path, value) in &all {
        if !is_carried(&before, path) && !path.ends_with("enabled") && !SAME.contains(&path.as_str()) {
            continue;
        }
        let other = match value {
            Value::Bool(flag) => json!(!flag),
            Value::Number(number) => json!(number.as_u64().unwrap_or(1) + 2),
            Value::String(text) => match text.as_str() {
                "ClusterIP" => json!("NodePort"),
                _ if text.starts_with("s3a://") => json!(format!("{text}x")),
                "ClusterSecretStore" => json!("SecretStore"),
                _ => match text.strip_suffix("Gi") {
                    Some(size) => json!(format!("{}Gi", size.parse::<u32>().unwrap() + 3)),
                    None if text.ends_with('m') => json!(format!("1{text}")),
                    None => json!(format!("{text}9")),
                },
            },
            other => other.clone(),
        };
        let after = made(&set(&whole, path, other).to_string());
        let is_refused = after.is_partial() || after.file.as_ref().is_none_or(|file| !wrong(file).is_empty());
        let said_otherwise = after.complaints.len() != before.complaints.len();
        let is_changed = after.file != before.file;
        // Of a switch of something that does nothing, or that is named as a whole, nothing follows.
        let idle = is_named(&before, path)
            || ["core.", "monitoring.open", "monitoring.grafana"]
                .iter()
                .any(|of| path.starts_with(of));
        assert!(
            is_changed || is_refused || said_otherwise || idle,
            "{path}: {value} is without effect\n{}",
            said(&after)
        );
        changed += usize::from(is_changed);
        refused += usize::from(is_refused);
    }
    println!("{changed} values change the file, {refused} are refused when changed");
    assert!(changed > 60, "{changed}");
}

#[test]
fn what_fails_together_is_refused() {
    let hive = kit().replace("tag: 3.1.3", "tag: 4.0.1");
    let refused = made(&hive);
    assert!(
        refused.is_partial() && said(&refused).contains("HIVE-26537"),
        "{}",
        said(&refused)
    );
    // A shuffle of Celeborn has no client for Spark 4: the check of the file says so.
    let celeborn = kit() + "celeborn: {enabled: true, masters: 3, workers: 3}\n";
    let found = wrong(&made(&celeborn).file.unwrap());
    assert!(
        found.iter().any(|found| found.contains("Celeborn 0.5.4 has no client")),
        "{found:?}"
    );
    // Nothing to make one of.
    assert!(made("connect: {enabled: false}\n").file.is_none());
    let unknown = made("connect: {image: {repository: apache/spark, tag: 4.1.4}, replica: 2}\n");
    assert!(
        said(&unknown).contains("did you mean `connect.replicas`?"),
        "{}",
        said(&unknown)
    );
}

/// Parts of the kit by chance: the file is right, or what is wrong is told; nothing is passed over.
#[test]
fn parts_of_a_kit() {
    let whole = tree(&kit());
    let rounds = if Tier::Full.need().is_ok() { 600 } else { 60 };
    let mut right = 0;
    for seed in 0..rounds {
        let mut numbers = Numbers(seed * 7919 + 1);
        let mut part = whole.clone();
        thin(&mut part, &mut numbers, 0);
        let made = made(&part.to_string());
        let mut all = Vec::new();
        leaves("", &part, &mut all);
        for (path, _) in &all {
            let is_same =
                path.ends_with("enabled") || SAME.contains(&path.as_str()) || path.ends_with("requests.memory");
            assert!(
                is_same || is_carried(&made, path) || is_named(&made, path),
                "seed {seed}: {path} is passed over\n{part}\n{}",
                said(&made)
            );
        }
        if let (Some(file), false) = (&made.file, made.is_partial()) {
            let found = wrong(file);
            // A host without an ingress: the file says what it lacks.
            assert!(found.is_empty(), "seed {seed}: {found:#?}\n{file:#}\n{part}");
            right += 1;
        }
    }
    println!("{right} of {rounds} are right as they are");
    assert!(right * 10 >= rounds, "{right}");
}

fn thin(value: &mut Value, numbers: &mut Numbers, depth: usize) {
    if let Value::Object(map) = value {
        let keys: Vec<String> = map.keys().cloned().collect();
        for key in keys {
            let often = if depth == 0 { 4 } else { 9 };
            if key != "connect" && key != "image" && numbers.below(often) == 0 {
                map.shift_remove(&key);
            }
        }
        map.values_mut().for_each(|value| thin(value, numbers, depth + 1));
    }
}
