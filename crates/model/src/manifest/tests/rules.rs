//! Checks of our kinds: each rule by an example, and that a right manifest is let pass.

use super::*;

mod fields;
mod kinds;

const GOOD: &str = "\
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata:
  name: pi
  namespace: jobs
spec:
  type: Python
  sparkVersion: 4.1.4
  image: apache/spark:4.1.4
  mainApplicationFile: local:///opt/spark/examples/src/main/python/pi.py
  sparkConf:
    spark.sql.shuffle.partitions: \"8\"
  restartPolicy: {type: Never}
  driver: {cores: 1, memory: 512m, coreLimit: 1200m}
  executor: {instances: 2, cores: 1, memory: 1g}
";

/// The good manifest with lines added to its spec.
fn with(lines: &str) -> String {
    let indented: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!("{GOOD}{indented}")
}

/// The good manifest with one line replaced.
fn instead(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old}");
    GOOD.replace(old, new)
}

/// (code, what is written at the place, message and help) of each complaint.
fn said(text: &str) -> Vec<(Severity, String, String, String)> {
    check("app.yaml", text)
        .1
        .into_iter()
        .map(|complaint| {
            let stoke_diagnostics::Excerpt { text, before, width } = &complaint.excerpt;
            let at = text.chars().skip(*before).take(*width).collect();
            let help = complaint.fix_text();
            (
                complaint.severity,
                complaint.code.to_string(),
                at,
                format!("{} | {help}", complaint.message),
            )
        })
        .collect()
}

/// Asserts that exactly one thing is said, with this code, at this text, and with these words in it.
fn assert_said(text: &str, severity: Severity, code: &str, at: &str, words: &str) {
    let said = said(text);
    let [(got_severity, got_code, got_at, got_words)] = said.as_slice() else {
        panic!("expected one complaint, {code}, got {said:#?}\n{text}");
    };
    assert_eq!(
        (*got_severity, got_code.as_str(), got_at.as_str()),
        (severity, code, at),
        "{got_words}\n{text}"
    );
    assert!(got_words.contains(words), "{got_words:?} does not contain {words:?}");
}

use Severity::{Error, Warning};

#[test]
fn a_right_manifest_is_let_pass() {
    let (documents, complaints) = check("app.yaml", GOOD);
    assert_eq!(complaints, []);
    let document = &documents[0];
    assert_eq!(
        (
            document.kind.as_str(),
            document.name.as_str(),
            document.namespace.as_deref()
        ),
        ("SparkApplication", "pi", Some("jobs"))
    );
    let app: crate::crd::SparkApplication = serde_json::from_value(document.value.clone()).unwrap();
    assert_eq!(app.spec.executor.unwrap().instances, Some(2));
}

#[test]
fn annotations_that_have_no_effect() {
    let annotated = |text: &str| instead("metadata:\n", &format!("metadata:\n  annotations: {{{text}}}\n"));
    for right in [
        "team: a",
        "stoke.dev/pending-timeout: 10m",
        "stoke.dev/keep-logs: none",
        "stoke.dev/active-deadline-seconds: '60'",
    ] {
        assert_eq!(said(&annotated(right)), [], "{right}");
    }
    for (text, code, at, words) in [
        (
            "stoke.dev/pendingtimeout: 10m",
            "unknown-annotation",
            "stoke.dev/pendingtimeout",
            "did you mean `stoke.dev/pending-timeout`?",
        ),
        (
            "stoke.dev/frobnicate: x",
            "unknown-annotation",
            "stoke.dev/frobnicate",
            "a SparkApplication has stoke.dev/on-edit, ",
        ),
        (
            "stoke.dev/idle-timeout: 10m",
            "unknown-annotation",
            "stoke.dev/idle-timeout",
            "it is read on a SparkConnect",
        ),
        (
            "stoke.dev/keep-logs: some",
            "bad-annotation",
            "some",
            "write driver, all or none",
        ),
        (
            "stoke.dev/start-timeout: soon",
            "bad-annotation",
            "soon",
            "write a duration such as 90s",
        ),
    ] {
        assert_said(&annotated(text), Error, code, at, words);
    }
}

#[test]
fn headers() {
    assert_said(
        &instead("v1beta2", "v1beta1"),
        Error,
        "wrong-api-version",
        "sparkoperator.k8s.io/v1beta1",
        "write `sparkoperator.k8s.io/v1beta2`",
    );
    assert_said(
        &instead("sparkoperator.k8s.io/v1beta2", "spark.apache.org/v1"),
        Error,
        "wrong-api-version",
        "spark.apache.org/v1",
        "Apache operator",
    );
    assert_said(
        &instead("kind: SparkApplication", "kind: SparkApp"),
        Error,
        "wrong-kind",
        "SparkApp",
        "it has SparkApplication",
    );
    assert_said(
        &instead("kind: SparkApplication", "kind: SparkAplication"),
        Error,
        "wrong-kind",
        "SparkAplication",
        "did you mean `SparkApplication`?",
    );
    assert_said(
        &instead("kind: SparkApplication\n", ""),
        Error,
        "missing-field",
        "apiVersion",
        "add for example `kind: SparkApplication`",
    );
    assert_said("[1, 2]", Error, "not-an-object", "[1, 2]", "a list, not an object");
    assert_eq!(
        said("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: UPPER}\ndata: {a: 1}\n"),
        []
    );
}

#[test]
fn names() {
    assert_said(
        &instead("name: pi", "name: Pi_Job"),
        Error,
        "bad-name",
        "Pi_Job",
        "for example `pi-job`",
    );
    assert_said(
        &instead("name: pi", "name: 3pi"),
        Error,
        "bad-name",
        "3pi",
        "`3` is not allowed at position 1",
    );
    assert_said(
        &instead("name: pi", &format!("name: {}", "p".repeat(64))),
        Error,
        "bad-name",
        &"p".repeat(64),
        "has 64 characters; at most 63",
    );
    assert_said(
        &instead("  name: pi\n", ""),
        Error,
        "missing-name",
        "metadata",
        "add `metadata.name`",
    );
}

#[test]
fn what_is_run() {
    let file = "mainApplicationFile: local:///opt/spark/examples/src/main/python/pi.py";
    assert_said(
        &instead(&format!("  {file}\n"), ""),
        Error,
        "missing-main-file",
        "type",
        "needs `mainApplicationFile`",
    );
    assert_said(
        &instead("type: Python", "type: Scala"),
        Error,
        "wrong-language",
        "local:///opt/spark/examples/src/main/python/pi.py",
        "set `type: Python`",
    );
    let scala = instead("type: Python", "type: Scala");
    assert_said(
        &scala.replace(file, "mainApplicationFile: local:///app.jar"),
        Error,
        "missing-main-class",
        "local:///app.jar",
        "add `mainClass`",
    );
    assert_said(
        &scala.replace(file, "mainApplicationFile: s3a://b/app.jar"),
        Warning,
        "missing-main-class",
        "s3a://b/app.jar",
        "must name it",
    );
    assert_eq!(said(&scala.replace(file, "mainApplicationFile: target/app.jar")), []);
    assert_eq!(said(&scala.replace(file, "mainClass: org.example.Main")), []);
    assert_said(
        &scala.replace(&format!("  {file}\n"), ""),
        Error,
        "missing-main-class",
        "spec",
        "needs `mainClass`",
    );
    assert_said(
        &instead(file, "mainApplicationFile: local:///app.jar"),
        Error,
        "wrong-language",
        "local:///app.jar",
        "a jar is not a Python",
    );
    assert_said(
        &with("mainClass: org.example.Main"),
        Warning,
        "no-effect",
        "mainClass",
        "has no effect",
    );
    assert_said(&with("mode: client"), Error, "client-mode", "client", "write `cluster`");
    assert_said(
        &instead("  image: apache/spark:4.1.4\n", ""),
        Error,
        "missing-image",
        "spec",
        "add for example `image: apache/spark:4.1.4`",
    );
}

#[test]
fn pods() {
    let driver = |fields: &str| instead("{cores: 1, memory: 512m, coreLimit: 1200m}", fields);
    assert_said(&driver("{memory: 1.5g}"), Error, "bad-memory", "1.5g", "write `1536m`");
    assert_said(
        &driver("{memory: 2Gi}"),
        Error,
        "bad-memory",
        "2Gi",
        "what Kubernetes writes Gi, Mi and Ki | write `2g`",
    );
    assert_said(
        &driver("{memory: 256m}"),
        Error,
        "too-little-memory",
        "256m",
        "at least 450m",
    );
    assert_said(
        &driver("{memoryOverhead: lots}"),
        Error,
        "bad-memory",
        "lots",
        "for example `512m`",
    );
    assert_said(&driver("{memoryLimit: 2GB5}"), Error, "bad-memory", "2GB5", "");
    assert_eq!(said(&driver("{memoryLimit: 2Gi}")), []);
    assert_said(
        &driver("{coreRequest: half}"),
        Error,
        "bad-quantity",
        "half",
        "no digits",
    );
    assert_said(
        &driver("{coreLimit: \"0\"}"),
        Error,
        "out-of-range",
        "\"0\"",
        "cannot be asked for",
    );
    assert_said(
        &driver("{coreRequest: \"2\", coreLimit: \"1\"}"),
        Error,
        "request-above-limit",
        "\"2\"",
        "raise coreLimit",
    );
    assert_said(
        &driver("{cores: 2, coreLimit: 500m}"),
        Error,
        "request-above-limit",
        "500m",
        "set coreRequest",
    );
    assert_eq!(said(&driver("{cores: 2, coreRequest: 100m, coreLimit: 500m}")), []);
    assert_said(
        &driver("{podName: My_Pod}"),
        Error,
        "bad-name",
        "My_Pod",
        "`M` is not allowed",
    );
    assert_said(
        &driver("{gpu: {name: nvidia.com/gpu, quantity: 0}}"),
        Error,
        "out-of-range",
        "0",
        "GPUs",
    );
    let volume = "volumes: [{name: data, emptyDir: {}}]";
    let mount = |name: &str| driver(&format!("{{volumeMounts: [{{name: {name}, mountPath: /data}}]}}"));
    assert_said(
        &format!("{}  {volume}\n", mount("dta")),
        Error,
        "unknown-volume",
        "dta",
        "did you mean `data`?",
    );
    assert_eq!(said(&format!("{}  {volume}\n", mount("data"))), []);
    assert_said(
        &mount("data"),
        Error,
        "unknown-volume",
        "data",
        "add a volume named `data`",
    );
    let old =
        instead("sparkVersion: 4.1.4", "sparkVersion: 2.4.8").replace("spark.sql.shuffle.partitions: \"8\"", "{}");
    assert_said(
        &old.replace("{cores: 1, memory: 512m, coreLimit: 1200m}", "{template: {}}"),
        Error,
        "template-version",
        "template",
        "3.0.0",
    );
    assert_said(
        &with("memoryOverheadFactor: ten"),
        Error,
        "bad-value",
        "ten",
        "share of the heap",
    );
}

#[test]
fn fields_that_contradict_each_other() {
    let both = instead("{instances: 2,", "{nodeSelector: {b: c}, instances: 2,") + "  nodeSelector: {a: b}\n";
    assert_said(&both, Error, "node-selector-twice", "nodeSelector", "keep one");
    let port = "{servicePort: 80, servicePortName: a}";
    assert_said(
        &with(&format!("driverIngressOptions: [{port}, {port}]")),
        Error,
        "duplicate-port",
        "80",
        "given twice",
    );
    let allocation = |fields: &str| instead("instances: 2, ", "") + &format!("  dynamicAllocation: {{{fields}}}\n");
    assert_said(
        &allocation("enabled: true, minExecutors: 5, maxExecutors: 2"),
        Error,
        "min-above-max",
        "5",
        "cannot both hold",
    );
    assert_said(
        &allocation("enabled: true, initialExecutors: 5, maxExecutors: 2"),
        Warning,
        "initial-above-max",
        "5",
        "lower it",
    );
    assert_said(
        &allocation("enabled: true, minExecutors: -1"),
        Error,
        "out-of-range",
        "-1",
        "negative",
    );
    assert_said(
        &allocation("minExecutors: 1"),
        Warning,
        "no-effect",
        "dynamicAllocation",
        "add `enabled: true`",
    );
    assert_said(
        &with("dynamicAllocation: {enabled: true}"),
        Warning,
        "instances-with-dynamic-allocation",
        "instances",
        "initialExecutors",
    );
}

#[test]
fn retries() {
    let policy = |fields: &str| instead("{type: Never}", fields);
    assert_said(
        &policy("{type: Never, onFailureRetries: 3}"),
        Warning,
        "no-effect",
        "onFailureRetries",
        "never run again",
    );
    assert_said(
        &policy("{onFailureRetryInterval: 3}"),
        Warning,
        "no-effect",
        "onFailureRetryInterval",
        "never run again",
    );
    assert_said(
        &policy("{type: Always, onFailureRetries: 3}"),
        Warning,
        "no-effect",
        "onFailureRetries",
        "without end",
    );
    assert_said(
        &policy("{type: OnFailure}"),
        Warning,
        "no-retries",
        "OnFailure",
        "onFailureRetries: 3",
    );
    assert_eq!(
        said(&policy(
            "{type: OnFailure, onFailureRetries: 3, onFailureRetryInterval: 5}"
        )),
        []
    );
    assert_said(
        &with("failureRetries: 3"),
        Warning,
        "no-effect",
        "failureRetries",
        "restartPolicy",
    );
    assert_said(
        &with("pythonVersion: \"3\""),
        Warning,
        "no-effect",
        "pythonVersion",
        "3.1",
    );
}

#[test]
fn options_of_a_scheduler_that_is_not_named_have_no_effect() {
    let options = "batchSchedulerOptions: {queue: a}";
    assert_said(
        &with(options),
        Warning,
        "no-effect",
        "batchSchedulerOptions",
        "without `batchScheduler`",
    );
    assert_eq!(said(&with(&format!("batchScheduler: volcano\n{options}"))), []);
}

#[test]
fn what_spark_reserves_may_be_less_than_usual() {
    let little = instead("memory: 512m", "memory: 300m");
    assert_said(&little, Error, "too-little-memory", "300m", "at least 450m");
    let key = "spark.sql.shuffle.partitions: \"8\"";
    for set in [
        "spark.testing.reservedMemory: \"0\"",
        "spark.testing.memory: \"300000000\"",
    ] {
        assert_eq!(said(&little.replace(key, set)), [], "{set}");
    }
}

#[test]
fn a_fix_is_said_once() {
    for written in ["1.5g", "2.5t", "4Gi"] {
        let found = said(&instead("memory: 512m", &format!("memory: {written}")));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].3.matches("write `").count() == 1, "{found:?}");
    }
}

/// A word with few keys of Spark's is one that applications use for keys of their own, too.
#[test]
fn keys_of_ones_own_are_warnings_and_slips_are_errors() {
    for (key, severity) in [
        ("spark.checkpoint.directory", Warning),
        ("spark.app.retries", Warning),
        ("spark.job.owner", Warning),
        ("spark.task.retries.most", Warning),
        ("spark.executor.frobnicate.level", Error),
        ("spark.sql.frobnicate.level", Error),
        ("spark.checkpoint.compres", Error),
    ] {
        let found = said(&GOOD.replace("spark.sql.shuffle.partitions", key));
        let conf: Vec<_> = found
            .iter()
            .filter(|one| one.1 == "conf-unknown-key")
            .map(|one| one.0)
            .collect();
        assert_eq!(conf, [severity], "{key}: {found:?}");
    }
}

#[test]
fn a_configuration_has_a_most() {
    let keys: String = (0..20_000)
        .map(|number| format!("    spark.frob{number}.x: \"1\"\n"))
        .collect();
    let text = GOOD.replace("    spark.sql.shuffle.partitions: \"8\"\n", &keys);
    let (_, complaints) = check("app.yaml", &text);
    assert!(complaints.iter().any(|one| one.code == "too-large"));
    assert!(complaints.len() < 11_000, "{}", complaints.len());
}
