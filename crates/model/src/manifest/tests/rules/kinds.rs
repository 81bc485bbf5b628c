//! Spark configuration, schedules, Spark Connect, and whole files.

use super::*;

#[test]
fn configuration() {
    let conf = |line: &str| instead("spark.sql.shuffle.partitions: \"8\"", line);
    assert_said(
        &conf("spark.kubernetes.container.image: x"),
        Error,
        "conf-refused",
        "spark.kubernetes.container.image",
        "sparkConf key \"spark.kubernetes.container.image\" is not allowed: set `image`",
    );
    assert_said(
        &conf("spark.kubernetes.namespace: other"),
        Error,
        "conf-refused",
        "spark.kubernetes.namespace",
        "`jobs`, not `other`",
    );
    assert_eq!(said(&conf("spark.kubernetes.namespace: jobs")), []);
    assert_said(
        &conf("spark.executor.memry: 1g"),
        Error,
        "conf-unknown-key",
        "spark.executor.memry",
        "write spark.executor.memory",
    );
    assert_said(
        &conf("spark.network.timeout: 10 minutes"),
        Error,
        "conf-wrong-type",
        "10 minutes",
        "write 10min",
    );
    assert_said(
        &conf("spark.executor.memory: 2g"),
        Warning,
        "conf-overridden",
        "spark.executor.memory",
        "`executor.memory: 1g` wins",
    );
    assert_eq!(said(&conf("spark.executor.memory: 1g")), []);
}

#[test]
fn schedules_and_connect_servers() {
    let scheduled = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: ScheduledSparkApplication\nmetadata: {name: nightly}\nspec:\n  schedule: '@daily'\n  template:\n";
    let spec: String = GOOD
        .split("spec:\n")
        .nth(1)
        .unwrap()
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect();
    assert_eq!(said(&format!("{scheduled}{spec}")), []);
    assert_said(
        &format!("{scheduled}{}", spec.replace("memory: 512m", "memory: 1.5g")),
        Error,
        "bad-memory",
        "1.5g",
        "write `1536m`",
    );
    let connect = "apiVersion: sparkoperator.k8s.io/v1alpha1\nkind: SparkConnect\nmetadata: {name: NAME}\nspec: {sparkVersion: 4.1.4, server: {}, executor: {instances: 1}}\n";
    assert_eq!(said(&connect.replace("NAME", "shell")), []);
    assert_said(
        &connect.replace("NAME", &"s".repeat(57)),
        Error,
        "bad-name",
        &"s".repeat(57),
        "at most 56",
    );
    assert_said(
        &connect
            .replace("NAME", "shell")
            .replace("server: {}", "server: {core: 1}"),
        Error,
        "unknown-field",
        "core",
        "`cores`",
    );
}

#[test]
fn many_mistakes_read_well() {
    let text = "\
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata:
  name: Spark_Pi
spec:
  type: python
  sparkVersion: 4.1
  image: apache/spark:4.1.4
  mainApplicationFile: local:///opt/spark/examples/src/main/python/pi.py
  sparkConf:
    spark.eventLog.enabled: true
    spark.excutor.memory: 2g
  driver:
    core: 1
    memory: 2Gi
  executor:
    instances: two
";
    let rendered: Vec<String> = check("pi.yaml", text).1.iter().map(Diagnostic::render).collect();
    insta::assert_snapshot!(rendered.join("\n\n"));
}

#[test]
fn a_file_of_another_shape_does_not_scroll_away() {
    let fields: String = (0..1000).map(|index| format!("  zzz{index}: 1\n")).collect();
    assert!(check("m", &format!("{GOOD}{fields}")).1.len() <= 110);
}

#[test]
fn what_other_tools_write_is_let_pass() {
    assert_eq!(
        said(&instead("metadata:\n", "metadata:\n  creationTimestamp: null\n")),
        []
    );
    let fetched = instead(
        "metadata:\n",
        "metadata:\n  uid: x\n  generation: 2\n  managedFields: [{manager: kubectl, fieldsV1: {f:spec: {}}}]\n",
    );
    let status = "status:\n  applicationState: {state: COMPLETED}\n  driverInfo: {podName: pi-driver}\n  terminationTime: null\n";
    assert_eq!(said(&format!("{fetched}{status}")), []);
    let json = check("app.yaml", GOOD).0[0].value.to_string();
    assert_eq!(said(&json), []);
}

#[test]
fn the_examples_are_let_pass() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut seen = 0;
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let complaints: Vec<String> = check(&path.to_string_lossy(), &text)
                .1
                .iter()
                .map(Diagnostic::render)
                .collect();
            assert!(complaints.is_empty(), "{}", complaints.join("\n"));
            seen += 1;
        }
    }
    assert!(seen > 0);
}
