//! The configuration as data. What the collector itself makes of it is in `crates/stoke/tests/e2e/signals`.

use std::collections::BTreeSet;

use regex_automata::meta::Regex;
use serde_json::Value;

use super::*;
use crate::pack::{Form, Settings, files};

fn logs(text: &str) -> Logs {
    Logs::read(text).unwrap()
}

#[test]
fn a_receiver_is_a_kind_and_an_address() {
    assert_eq!(logs("loki=http://loki:3100/").endpoint(), "http://loki:3100/otlp");
    assert_eq!(logs("loki=https://l/otlp").endpoint(), "https://l/otlp");
    assert_eq!(logs("otlp=https://c:4318").endpoint(), "https://c:4318");
    for wrong in [
        "http://loki:3100",
        "loki=loki:3100",
        "elasticsearch=http://e:9200",
        "loki=http://",
        "otlp=http:///x",
        "otlp=http://a b",
        "loki=http://l/?a=1",
        "loki=http://${env:X}",
    ] {
        assert!(Logs::read(wrong).is_err(), "{wrong}");
    }
    assert!(
        Logs::read("loki=https://user:pw@l")
            .unwrap_err()
            .contains("--logs-secret")
    );
}

/// As the collector reads it: `$$` is a dollar.
fn unescaped(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace("$$", "$")
}

fn regex_of(operator: &Value, field: &str) -> Regex {
    let text = unescaped(&operator[field]);
    Regex::new(text.split('`').nth(1).unwrap_or(&text)).unwrap()
}

#[test]
fn stack_traces_go_on_and_messages_begin() {
    let operators = lines::operators();
    let recombine = operators
        .iter()
        .find(|operator| operator["type"] == "recombine")
        .unwrap();
    let goes_on = regex_of(recombine, "is_first_entry");
    for line in [
        "",
        "\tat a.b.C.d(C.scala:1)",
        "\t... 12 more",
        ") [duplicate 1]",
        "Caused by: java.io.IOException: disk",
        "org.apache.spark.SparkException: Job aborted",
        "java.lang.OutOfMemoryError: Java heap space",
        "Traceback (most recent call last):",
        "  File \"a.py\", line 1, in <module>",
        "ValueError: bad",
        "pyspark.errors.exceptions.captured.AnalysisException: [X] y",
        "KeyboardInterrupt",
        "During handling of the above exception, another exception occurred:",
        "== SQL (line 1, position 8) ==",
        "^^^^",
        "+- Relation [a#1]",
        ":- Filter",
    ] {
        assert!(goes_on.is_match(line), "{line}");
    }
    for line in [
        "26/11/24 14:00:00 INFO SparkContext: Running Spark version 4.1.4",
        "{\"ts\":\"2026-11-24T14:00:03.000Z\",\"level\":\"WARN\"}",
        "Pi is roughly 3.14",
        "++ id -u",
        "Exception in thread \"main\" java.lang.Error",
        "Errors: 3",
        "2026-11-24 14:00:00,000 ERROR mine: x",
    ] {
        assert!(!goes_on.is_match(line), "{line}");
    }
}

/// A statement `replace_pattern(target, "pattern", "replacement")` done here.
fn replaced(statement: &str, text: &str) -> String {
    let (_, rest) = statement.split_once(", ").unwrap();
    let parts: (String, String) = serde_json::from_str(&format!("[{}]", rest.strip_suffix(')').unwrap())).unwrap();
    let regex = Regex::new(&parts.0.replace("$$", "$")).unwrap();
    let mut cache = regex.create_captures();
    let (mut out, mut at) = (String::new(), 0);
    while at <= text.len() {
        regex.search_captures(&regex_automata::Input::new(text).range(at..), &mut cache);
        let Some(found) = cache.get_match() else { break };
        out.push_str(&text[at..found.start()]);
        let mut by = parts.1.replace("$$", "$");
        for number in 1..cache.group_len() {
            let group = cache.get_group(number).map_or("", |span| &text[span]);
            by = by.replace(&format!("${{{number}}}"), group);
        }
        out.push_str(&by);
        at = found.end().max(found.start() + 1);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

#[test]
fn secrets_are_taken_out() {
    let mask = |text: &str| {
        lines::masked()
            .iter()
            .fold(text.to_owned(), |text, statement| replaced(statement, &text))
    };
    for (text, masked) in [
        ("boom password=hunter2, next", "boom password=REDACTED, next"),
        (
            "spark.hadoop.fs.s3a.secret.key: abc",
            "spark.hadoop.fs.s3a.secret.key: REDACTED",
        ),
        (
            "{\"apiKey\": \"a b\", \"x\": 1}",
            "{\"apiKey\": \"REDACTED\", \"x\": 1}",
        ),
        ("key AKIAABCDEFGHIJKLMNOP", "key REDACTED"),
        ("https://u:pw@host/x", "https://REDACTED@host/x"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: REDACTED"),
        (
            "s3://b/k?X-Amz-Signature=00ff&a=1",
            "s3://b/k?X-Amz-Signature=REDACTED&a=1",
        ),
        (
            "26/11/24 14:00:00 INFO A: nothing here",
            "26/11/24 14:00:00 INFO A: nothing here",
        ),
    ] {
        assert_eq!(mask(text), masked);
    }
}

#[test]
fn frames_of_structured_logs_are_written_as_java_writes_them() {
    let frames = r#"[{"class":"a.B","file":"B.scala","line":"7","method":"c"},{"class":"a.B","file":"B.scala","line":"1","method":"\u003cinit\u003e"}]"#;
    let made = lines::parsed()
        .iter()
        .filter(|statement| statement.starts_with("replace_pattern"))
        .fold(frames.to_owned(), |text, statement| replaced(statement, &text));
    assert_eq!(made, "\n\tat a.B.c(B.scala:7)\n\tat a.B.<init>(B.scala:1)");
}

/// Loki makes a stream of each value of these attributes; the rest is structured metadata. One pod has one value of each that differs from pod to pod.
#[test]
fn streams_are_few() {
    let text = |kind: &str| collector::configuration(&logs(kind)).to_string();
    let (loki, otlp) = (text("loki=http://l:3100"), text("otlp=http://c:4318"));
    assert!(loki.contains("delete_key(resource.attributes, \\\"k8s.pod.name\\\")"));
    assert!(
        !otlp.contains("delete_key(resource.attributes"),
        "another receiver gets the attributes as they are named everywhere"
    );
    let configuration = collector::configuration(&logs("loki=http://l:3100"));
    let tags = configuration["processors"]["k8s_attributes"]["extract"]["labels"]
        .as_array()
        .unwrap();
    let tags: BTreeSet<&str> = tags.iter().filter_map(|label| label["tag_name"].as_str()).collect();
    // Of Loki's default labels (its `otlp_config.go`), those that pods of Spark would give values without end.
    for many in ["service.instance.id", "k8s.job.name", "k8s.replicaset.name"] {
        assert!(!tags.contains(many), "{many}");
    }
}

#[test]
fn logs_are_shipped_only_when_a_receiver_is_named() {
    let paths = |settings: &Settings| -> Vec<String> {
        let made = files(settings, Form::Plain);
        made.into_iter()
            .map(|file| file.path)
            .filter(|path| !path.starts_with("dashboards"))
            .collect()
    };
    let plain = paths(&Settings::default());
    assert!(
        !plain
            .iter()
            .any(|path| path.contains("collector") || path.contains("logs")),
        "{plain:?}"
    );
    let settings = Settings {
        logs: Some(Logs {
            secret: Some("loki".to_owned()),
            ..logs("loki=http://l:3100")
        }),
        ..Settings::default()
    };
    let with = paths(&settings);
    assert!(
        with.contains(&"collector.yaml".to_owned()) && with.contains(&"logs.yaml".to_owned()),
        "{with:?}"
    );
    let objects = objects(&settings, settings.logs.as_ref().unwrap());
    let kinds: Vec<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "ServiceAccount",
            "ClusterRole",
            "ClusterRoleBinding",
            "ConfigMap",
            "DaemonSet"
        ]
    );
    let daemon = &objects[4]["spec"]["template"]["spec"];
    assert_eq!(
        daemon["containers"][0]["env"][1]["valueFrom"]["secretKeyRef"]["name"],
        "loki"
    );
    let configuration = objects[3]["data"]["collector.yaml"].as_str().unwrap();
    assert!(
        configuration.contains("${env:LOGS_AUTHORIZATION}"),
        "no secret is in the ConfigMap"
    );
}
