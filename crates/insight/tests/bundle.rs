//! Bundles: what goes in comes out, without its secrets; what is no bundle is refused.
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
