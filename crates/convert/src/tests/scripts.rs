//! Scripts and command lines: what is carried, what is said, where.

use stoke_submit::argv::MemoryFiles;

use super::*;

const SCRIPT: &str = r#"#!/bin/bash
# Nightly numbers.
set -euo pipefail
export NAMESPACE=jobs IMAGE="apache/spark:4.1.4"
EXTRA="--conf spark.sql.shuffle.partitions=8 --conf spark.ui.port=4041"
"$SPARK_HOME"/bin/spark-submit \
  --master "k8s://$KUBERNETES" --deploy-mode cluster \
  --name 'Nightly Numbers' `# said` \
  --conf spark.kubernetes.namespace="$NAMESPACE" \
  --conf "spark.kubernetes.container.image=${IMAGE}" \
  $EXTRA \
  s3a://code/main.py --day "$DAY" > log.txt 2>&1
aws s3 cp log.txt s3://logs/
"#;

fn convert(text: &str) -> Converted {
    script("nightly.sh", text, &MemoryFiles::default(), &Options::default())
}

#[test]
fn a_script_is_carried_or_complained_about_line_by_line() {
    let converted = convert(SCRIPT);
    let document = converted.documents[0].clone();
    assert_eq!(
        document["metadata"],
        serde_json::json!({"name": "nightly-numbers", "namespace": "jobs"})
    );
    assert_eq!(
        document["spec"],
        serde_json::json!({
            "type": "Python", "sparkVersion": "4.1.4", "mode": "cluster", "image": "apache/spark:4.1.4",
            "mainApplicationFile": "s3a://code/main.py", "arguments": ["--day", "$DAY"],
            "sparkConf": {"spark.sql.shuffle.partitions": "8", "spark.ui.port": "4041"},
            "driver": {}, "executor": {"instances": 2},
        })
    );
    let said: Vec<(&str, usize)> = converted
        .complaints
        .iter()
        .map(|complaint| (&*complaint.code, complaint.line))
        .collect();
    for expected in [
        ("without-effect", 3),
        ("without-effect", 7),
        ("carried-otherwise", 8),
        ("left-in-place", 12),
        ("without-effect", 12),
        ("not-convertible", 13),
    ] {
        assert!(
            said.contains(&expected),
            "{expected:?} in {said:?}\n{}",
            rendered(&converted)
        );
    }
    assert!(converted.is_partial());
    let text = rendered(&converted);
    assert!(
        text.contains("--env DAY=…") && text.contains("nightly.sh:12:"),
        "{text}"
    );
}

#[test]
fn given_variables_are_filled_in() {
    let options = Options {
        environment: [("DAY".to_owned(), "2026-01-01".to_owned())].into(),
        namespace: Some("other".to_owned()),
        name: Some("numbers".to_owned()),
        ..Options::default()
    };
    let text = SCRIPT
        .replace(" `# said`", "")
        .replace("aws s3 cp log.txt s3://logs/\n", "");
    let converted = script("nightly.sh", &text, &MemoryFiles::default(), &options);
    let document = clean(&converted);
    assert_eq!(document["spec"]["arguments"][1], "2026-01-01");
    assert_eq!(
        document["metadata"],
        serde_json::json!({"name": "numbers", "namespace": "other"})
    );
}

#[test]
fn what_cannot_be_carried_is_an_error_at_its_place() {
    let base = "spark-submit --master k8s://h --deploy-mode cluster --name a --conf spark.kubernetes.container.image=apache/spark:4.1.4";
    let table = [
        (
            format!("{base} --executer-memory 1g local:///a.py"),
            "UnknownOption",
            "--executor-memory",
        ),
        (
            format!("{base} main.py"),
            "not-convertible",
            "is a file of the machine that submits",
        ),
        (
            format!("{base} --jars /home/me/a.jar local:///a.py"),
            "not-convertible",
            "/home/me/a.jar",
        ),
        (
            format!("{base} --conf spark.executor.memry=1g local:///a.py"),
            "conf-unknown-key",
            "spark.executor.memory",
        ),
        (
            format!("{base} --conf spark.kubernetes.authenticate.driver.oauthToken=x local:///a.py"),
            "not-convertible",
            "is not allowed",
        ),
        (
            format!("{base} --conf spark.kubernetes.kerberos.krb5.path=/etc/krb5.conf local:///a.py"),
            "UnreadableFile",
            "krb5",
        ),
        (
            format!("if true; then {base} local:///a.py; fi"),
            "not-convertible",
            "`if`",
        ),
        (format!("{base} local:///a.py && echo done"), "not-convertible", "&&"),
        (format!("{base} local:///a.py \"$@\""), "left-in-place", "$@"),
        (
            format!("{base} local:///a.py $(date +%F)"),
            "left-in-place",
            "$(date +%F)",
        ),
        (
            "spark-submit --kill ns:pod --master k8s://h".to_owned(),
            "NotASubmission",
            "kubectl delete pod",
        ),
        (
            "spark-submit --deploy-mode cluster --name a --conf spark.kubernetes.container.image=x local:///a.py"
                .to_owned(),
            "not-convertible",
            "--spark",
        ),
        ("echo hello".to_owned(), "not-convertible", "no spark-submit"),
        (
            format!("for i in 1 2; do {base} local:///a.py; done"),
            "not-convertible",
            "`for`",
        ),
    ];
    for (line, code, words) in table {
        let converted = convert(&line);
        let text = rendered(&converted);
        assert!(
            errors(&converted).iter().any(|(found, ..)| *found == code),
            "{line}: {code} in\n{text}"
        );
        assert!(text.contains(words), "{line}: {words} in\n{text}");
    }
}

#[test]
fn every_option_and_key_is_in_the_manifest_or_complained_about() {
    for option in stoke_submit::argv::options::OPTIONS {
        if !option.takes_value()
            || matches!(
                option.name,
                "--conf" | "--kill" | "--status" | "--remote" | "--deploy-mode" | "--extra-properties-file"
            )
        {
            continue;
        }
        let value = match option.name {
            name if name.contains("memory") => "3g",
            "--properties-file" => "/p.conf",
            _ => "7",
        };
        let files = MemoryFiles::default()
            .file("/p.conf", "spark.scheduler.mode=FAIR\n")
            .file("/7", "keytab");
        let line = format!(
            "spark-submit --deploy-mode cluster --conf spark.kubernetes.container.image=apache/spark:4.3.0 {} {value} local:///a.py",
            option.name
        );
        let converted = script("s.sh", &line, &files, &Options::default());
        let manifest = converted.documents.first().map(Value::to_string).unwrap_or_default();
        let carried = match option.name {
            "--properties-file" => manifest.contains("FAIR"),
            "--name" => manifest.contains("spark-application") || manifest.contains("\"name\""),
            name if name.contains("memory") => manifest.contains("3g"),
            _ => manifest.contains("\"7\"") || manifest.contains(":7") || manifest.contains("[\"7\"]"),
        };
        let text = rendered(&converted);
        let said = text.contains(option.name) || option.key.is_some_and(|key| text.contains(key));
        assert!(carried || said, "{}: {manifest}\n{text}", option.name);
    }
}

#[test]
fn client_mode_and_other_masters_are_said() {
    let line = "spark-submit --master yarn --queue q --conf spark.kubernetes.container.image=apache/spark:4.1.4 --conf spark.driver.host=me --class a.Main s3a://b/a.jar";
    let converted = convert(line);
    let document = clean(&converted);
    assert_eq!(document["metadata"]["name"], "main");
    let text = rendered(&converted);
    for words in ["`yarn`", "deploy mode client", "spark.driver.host", "--queue"] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
}

#[test]
fn files_of_configuration_directories_are_named() {
    let files = MemoryFiles::default()
        .file("/c/spark-defaults.conf", "spark.scheduler.mode FAIR\n")
        .file("/c/log4j2.properties", "x")
        .file("/c/log4j2.properties.template", "x")
        .file("/h/core-site.xml", "<configuration/>");
    let line = "export HADOOP_CONF_DIR=/h\nSPARK_CONF_DIR=/c PYSPARK_PYTHON=/p spark-submit --deploy-mode cluster --name a --conf spark.kubernetes.container.image=apache/spark:4.1.4 local:///a.py";
    let converted = script("s.sh", line, &files, &Options::default());
    let conf = &converted.documents[0]["spec"]["sparkConf"];
    assert_eq!(
        (&conf["spark.scheduler.mode"], &conf["spark.pyspark.python"]),
        (&"FAIR".into(), &"/p".into())
    );
    let text = rendered(&converted);
    for words in [
        "log4j2.properties\n",
        "core-site.xml",
        "spec.hadoopConfigMap",
        "spec.sparkConfigMap",
        "spark.scheduler.mode",
    ] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
}

#[test]
fn words_from_a_shell_are_taken_as_they_are() {
    let words = [
        "--deploy-mode",
        "cluster",
        "--name",
        "a",
        "--conf",
        "spark.kubernetes.container.image=apache/spark:4.1.4",
        "local:///a.py",
        "$x 'y'",
    ];
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    let document = clean(&command_line(&words, &MemoryFiles::default(), &Options::default()));
    assert_eq!(document["spec"]["arguments"][0], "$x 'y'");
}

proptest::proptest! {
    #[test]
    fn no_script_panics(text in "(spark-submit|--conf|[a-c$`'\"\\\\(){}<>|&;#= \n-]){0,40}") {
        let _ = convert(&text);
    }
}
