//! Bundles: what goes in comes out, without its secrets; what is not a bundle is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::io::{Cursor, Read, Write};

use serde_json::json;
use stoke_insight::bundle::{self, BundleError, Contents};
use stoke_insight::facts::cluster::Role;
use stoke_insight::facts::log::{HEAD, TAIL};
use stoke_insight::facts::{Log, Objects};
use zip::write::SimpleFileOptions;

const EVENTS: &str = r#"{"Event":"SparkListenerLogStart","Spark Version":"4.1.4"}
{"Event":"SparkListenerApplicationStart","App Name":"etl","App ID":"spark-1","Timestamp":1000,"User":"me"}
{"Event":"SparkListenerEnvironmentUpdate","JVM Information":{},"Spark Properties":{"spark.db.password":"hunter2","spark.executor.cores":"2"},"Classpath Entries":{}}
"#;

fn contents<'a>() -> Contents<'a> {
    let lines = (1..=HEAD + TAIL + 7).map(|number| match number {
        3 => "connecting with password=hunter2".to_owned(),
        number => format!("line {number}"),
    });
    Contents {
        application: "etl".into(),
        stoke: "0.1.0".into(),
        gathered: 1_795_228_241_000,
        notes: vec!["no event log at https://me:hunter2@store/logs".into()],
        objects: Some(Objects {
            application: json!({"metadata": {"name": "etl"}, "spec": {"sparkConf": {"spark.ssl.keyPassword": "hunter2", "spark.executor.cores": "2"}}}),
            pods: vec![
                json!({"metadata": {"name": "etl-driver", "labels": {"spark-role": "driver"}},
                "spec": {"containers": [{"name": "spark-kubernetes-driver", "env": [{"name": "API_TOKEN", "value": "hunter2"}]}]}}),
            ],
            ..Objects::default()
        }),
        logs: vec![
            Log::of_lines(Role::Driver, "etl-driver", lines),
            Log::of_lines(Role::Executor("4".into()), "etl-exec-4", ["one"]),
        ],
        event_log: vec![Box::new(EVENTS.as_bytes())],
    }
}

fn written() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    bundle::write(contents(), &mut file).unwrap();
    file.into_inner()
}

#[test]
fn what_goes_in_comes_out_without_its_secrets() {
    let file = written();
    let mut archive = zip::ZipArchive::new(Cursor::new(&file)).unwrap();
    for place in 0..archive.len() {
        let mut text = String::new();
        archive.by_index(place).unwrap().read_to_string(&mut text).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
    }
    let bundle = bundle::read(Cursor::new(&file)).unwrap();
    assert_eq!(bundle.index.application, "etl");
    assert_eq!(bundle.facts.now, 1_795_228_241_000);
    let cluster = bundle.facts.cluster.as_ref().unwrap();
    assert_eq!(cluster.manifest_property("spark.executor.cores"), Some("2"));
    assert_eq!(cluster.driver().unwrap().name, "etl-driver");
    let [driver, executor] = bundle.facts.logs.as_slice() else {
        panic!("{:?}", bundle.index.logs);
    };
    let mut expected = contents().logs.remove(0);
    expected.lines[2].text = "connecting with password=REDACTED".into();
    assert_eq!(driver, &expected);
    assert_eq!(
        (executor.role.clone(), executor.lines.len()),
        (Role::Executor("4".into()), 1)
    );
    let run = bundle.facts.run.unwrap();
    assert_eq!(
        (run.id.as_str(), run.property("spark.executor.cores")),
        ("spark-1", Some("2"))
    );
    assert_eq!((run.reading.events, run.reading.bad_lines), (3, 0));
}

#[test]
fn an_unpacked_bundle_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    zip::ZipArchive::new(Cursor::new(written()))
        .unwrap()
        .extract(directory.path())
        .unwrap();
    let bundle = bundle::read_directory(directory.path()).unwrap();
    assert_eq!(bundle.facts.logs.len(), 2);
    assert!(bundle.facts.run.is_some());
    assert!(matches!(
        bundle::read_directory(&directory.path().join("logs")),
        Err(BundleError::Foreign(_))
    ));
}

fn archive(files: &[(&str, &str)]) -> Cursor<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap()
}

#[test]
fn what_is_no_bundle_is_refused() {
    let code = |files: &[(&str, &str)]| bundle::read(archive(files)).unwrap_err().code();
    assert_eq!(
        bundle::read(Cursor::new(b"no zip".to_vec())).unwrap_err().code(),
        "stoke::bundle::archive"
    );
    assert_eq!(code(&[("a.txt", "x")]), "stoke::bundle::foreign");
    assert_eq!(code(&[("index.json", "[1]")]), "stoke::bundle::foreign");
    assert_eq!(
        code(&[("index.json", r#"{"format": "other", "version": 1}"#)]),
        "stoke::bundle::foreign"
    );
    assert_eq!(
        code(&[("index.json", r#"{"format": "stoke-bundle", "version": 2}"#)]),
        "stoke::bundle::newer"
    );
    assert_eq!(
        code(&[(
            "index.json",
            r#"{"format": "stoke-bundle", "version": 1, "objects": true}"#
        )]),
        "stoke::bundle::damaged"
    );
    let log = r#"{"format": "stoke-bundle", "version": 1, "logs": [{"file": "../etc/passwd", "lines": [[1, 1]]}]}"#;
    assert_eq!(code(&[("index.json", log)]), "stoke::bundle::damaged");
    let large = " ".repeat((16 << 20) + 1);
    assert_eq!(code(&[("index.json", &large)]), "stoke::bundle::too-large");
    let mut cut = written();
    cut.truncate(cut.len() / 2);
    assert_eq!(
        bundle::read(Cursor::new(cut)).unwrap_err().code(),
        "stoke::bundle::archive"
    );
}

#[test]
fn a_directory_leads_to_no_file_outside_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let index = r#"{"format": "stoke-bundle", "version": 1, "logs": [{"file": "../secret", "lines": [[1, 1]]}]}"#;
    std::fs::create_dir(directory.path().join("b")).unwrap();
    std::fs::write(directory.path().join("secret"), "x").unwrap();
    std::fs::write(directory.path().join("b/index.json"), index).unwrap();
    assert_eq!(
        bundle::read_directory(&directory.path().join("b")).unwrap_err().code(),
        "stoke::bundle::damaged"
    );
}

/// Names of secrets, as configurations and environments have them.
const NAMES: [&str; 20] = [
    "spark.my.secret",
    "spark.ssl.keyPassword",
    "spark.db.token",
    "spark.hadoop.fs.s3a.access.key",
    "spark.hadoop.fs.s3a.accessKey",
    "spark.azure.account.key",
    "spark.x.api-key",
    "spark.hadoop.fs.gs.credential.x",
    "spark.my.credentials",
    "spark.kubernetes.driverEnv.MY_CREDENTIAL",
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_TOKEN",
    "DB_PASSWORD",
    "PGPASSWD",
    "APP_CREDENTIALS",
    "X_API_KEY",
    "DB_PWD",
    "PRIVATE_KEY",
    "KEY_PASSPHRASE",
    "STORAGE_CONNECTION_STRING",
];

/// Places a value of a name may stand at.
fn plant(contents: &mut Contents<'_>, name: &str, planted: &mut dyn FnMut() -> String, events: &mut String) {
    let objects = contents.objects.as_mut().unwrap();
    let conf = &mut objects.application["spec"]["sparkConf"];
    conf[name] = json!(planted());
    let pod = &mut objects.pods[0];
    let container = &mut pod["spec"]["containers"][0];
    container["env"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": name, "value": planted()}));
    let mut arguments = container["args"].as_array().cloned().unwrap_or_default();
    arguments.push(json!(format!("--{name}={}", planted())));
    arguments.push(json!(format!("-D{name}={}", planted())));
    container["args"] = json!(arguments);
    let annotation = json!({"spec": {"sparkConf": {name: planted()}}}).to_string();
    pod["metadata"]["annotations"][format!("example.com/{name}")] = json!(annotation);
    let said = planted();
    objects
        .events
        .push(json!({"reason": "Failed", "message": format!("Error: {name}={said} was refused")}));
    let lines = [
        format!("{name}={}", planted()),
        format!("26/11/22 03:10:00 INFO Main: --conf {name}={} --class A", planted()),
        format!("export {name}='{}'", planted()),
        format!("{{\"{name}\": \"{}\"}}", planted()),
        format!("{name}: {}", planted()),
    ];
    contents
        .logs
        .push(Log::of_lines(Role::Executor(name.to_owned()), name, lines));
    // One line of the log each: an environment, as Spark tells it in two forms.
    events.push_str(&json!({"Event": "SparkListenerEnvironmentUpdate", "Spark Properties": {name: planted()}, "System Properties": {"sun.java.command": format!("SparkSubmit --conf {name}={} x.py", planted())}}).to_string());
    events.push('\n');
    for _ in 0..3 {
        events.push_str(&json!({"Event": "SparkListenerJobStart", "Properties": {name: planted()}}).to_string());
        events.push('\n');
    }
    events.push_str(&json!({"Event": "Other", "Pairs": [[name, planted()]], "Hadoop": {format!("x.{name}.y"): planted()}, "List": {name: [planted(), planted()]}, "Environment": [{"name": format!("{name}_1"), "value": planted()}]}).to_string());
    events.push('\n');
    for _ in 0..30 {
        let line = format!("{name}={}", planted());
        contents.notes.push(format!("could not read {line}"));
    }
}

/// In configurations, environments, arguments, annotations, events, logs, notes and the event log: not one of a thousand is in the file.
#[test]
fn none_of_a_thousand_planted_secrets_leaves() {
    let mut count = 0;
    let mut planted = || {
        count += 1;
        format!("planted{count}x")
    };
    let mut contents = contents();
    let mut events = String::new();
    for name in NAMES {
        plant(&mut contents, name, &mut planted, &mut events);
    }
    assert!(count >= 1_000, "{count}");
    contents.event_log = vec![Box::new(Cursor::new(events.into_bytes()))];
    let mut file = Cursor::new(Vec::new());
    bundle::write(contents, &mut file).unwrap();
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let mut left = Vec::new();
    for place in 0..archive.len() {
        let mut text = String::new();
        let mut entry = archive.by_index(place).unwrap();
        entry.read_to_string(&mut text).unwrap();
        left.extend(text.match_indices("planted").map(|(at, _)| {
            text[text.floor_char_boundary(at.saturating_sub(90))..text.ceil_char_boundary((at + 20).min(text.len()))]
                .to_owned()
        }));
    }
    assert!(left.is_empty(), "{} of {count}:\n{}", left.len(), left.join("\n"));
}
