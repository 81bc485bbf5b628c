//! The object store as applications and people meet it: `s3a://` in real Sparks with no key in the manifest, the Secret, `stoke env`.

use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, Need, eventually, expect_code, expect_parts, full, program, repository, stoke, text};
use crate::examples::nothing_left;
use crate::up::Up;

/// Spark, its Hadoop, and the `spark-hadoop-cloud` that has the commit protocol for it: the newest published of its line.
const S3A: [(&str, &str, &str); 2] = [("4.1.4", "3.4.2", "2.13:4.1.2"), ("3.5.9", "3.3.4", "2.12:3.5.8")];

const EXCLUDED: [&str; 19] = [
    "com.google.cloud.bigdataoss:gcs-connector",
    "com.google.cloud.bigdataoss:gcs-hadoop3",
    "com.google.cloud:google-cloud-storage",
    "org.apache.hadoop:hadoop-azure",
    "org.apache.hadoop:hadoop-azure-datalake",
    "org.apache.hadoop:hadoop-cloud-storage",
    "org.apache.hadoop:hadoop-openstack",
    "org.apache.hadoop:hadoop-aliyun",
    "org.apache.hadoop:hadoop-annotations",
    "org.apache.hadoop:hadoop-client-runtime",
    "joda-time:joda-time",
    "com.fasterxml.jackson.core:jackson-databind",
    "com.fasterxml.jackson.core:jackson-annotations",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-cbor",
    "org.apache.httpcomponents:httpclient",
    "org.apache.httpcomponents:httpcore",
    "org.eclipse.jetty:jetty-util",
    "org.eclipse.jetty:jetty-util-ajax",
    "com.google.code.findbugs:jsr305",
];

pub fn trials(context: &Context) -> Vec<Trial> {
    let mut trials = vec![context.trial(
        "object store: etl-s3",
        &[full(), context.spark("4.1.4"), packages(context, "3.4.2")],
        etl,
    )];
    for (spark, hadoop, cloud) in S3A {
        trials.push(context.trial(
            &format!("object store: S3A committers on Spark {spark}"),
            &[full(), context.spark(spark), packages(context, hadoop)],
            move |context| committers(context, spark, hadoop, cloud),
        ));
    }
    trials.push(context.trial(
        "object store: secret, env and status",
        &[program(
            "kubectl",
            "see the Kubernetes documentation, `Install kubectl`",
        )],
        known,
    ));
    let kubectl = || program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    trials.push(context.trial(
        "object store: logs outlive their pods, with one trace id",
        &[context.spark("4.1.4"), kubectl()],
        kept_logs,
    ));
    trials.push(context.trial(
        "object store: down, an application ends without its logs and says so",
        &[full(), context.spark("4.1.4"), kubectl()],
        store_down,
    ));
    trials
}

const SAYS: &str = r#"
import os, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
def on_executor(rows):
    print("executor says", os.environ["TRACEPARENT"], file=sys.stderr, flush=True)
    return [sum(rows)]
print("sum", spark.sparkContext.parallelize(range(10), 1).mapPartitions(on_executor).collect())
print("driver says", os.environ["TRACEPARENT"], spark.conf.get("spark.stoke.traceId"))
spark.stop()
print("the last line")
"#;

/// Applies an application that logs on both sides; its script is a ConfigMap.
fn says(up: &Up) -> Result<(), Failed> {
    let script = up.home.path().join("says.py");
    std::fs::write(&script, SAYS)?;
    let from = format!("--from-file={}", script.display());
    expect_code(&up.kubectl(&["create", "configmap", "says", &from]).output()?, 0)?;
    let manifest = r#"{"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
        "metadata": {"name": "says", "annotations": {"stoke.dev/keep-logs": "all"}},
        "spec": {"type": "Python", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4", "timeToLiveSeconds": 5,
            "mainApplicationFile": "local:///says/says.py",
            "sparkConf": {"spark.eventLog.enabled": "true", "spark.eventLog.dir": "file:///tmp"},
            "driver": {"memory": "512m", "coreRequest": "250m", "configMaps": [{"name": "says", "path": "/says"}]},
            "executor": {"instances": 1, "memory": "512m", "coreRequest": "250m"}}}"#;
    let file = up.home.path().join("says.json");
    std::fs::write(&file, manifest)?;
    expect_code(&up.kubectl(&["apply", "-f", &file.to_string_lossy()]).output()?, 0)
}

fn kept_logs(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    says(&up)?;
    let wait = |what: &str, seconds: &str| up.kubectl(&["wait", "sparkapplication/says", what, seconds]).output();
    let ended = wait(
        "--for=jsonpath={.status.applicationState.state}=COMPLETED",
        "--timeout=120s",
    )?;
    expect_code(&ended, 0)?;
    let output = up
        .kubectl(&["get", "sparkapplication", "says", "-o", "json"])
        .output()?;
    let application: Value = serde_json::from_slice(&output.stdout)?;
    let status = &application["status"];
    let trace = status["submissionID"].as_str().unwrap_or_default().replace('-', "");
    let place = format!("s3://spark/logs/default/says/1-{trace}");
    if status["keptLogs"] != place.as_str() {
        return Err(format!("{place} is not in {status}").into());
    }
    let selected = [
        "get",
        "pods",
        "-l",
        &format!("stoke.dev/trace-id={trace}"),
        "-o",
        "name",
    ];
    expect_parts(&text(&up.kubectl(&selected).output()?), &["pod/says-driver"])?;
    let live = text(&up.kubectl(&["logs", "says-driver"]).output()?);
    expect_code(&wait("--for=delete", "--timeout=60s")?, 0)?;
    eventually("the pods are gone", Duration::from_secs(30), || {
        up.kubectl(&["get", "pods", "-o", "name"])
            .output()
            .is_ok_and(|output| output.stdout.is_empty())
    })?;

    // Complete, and read by a command that knows no key.
    let kept = up.stoke(&["logs", "says"]).output()?;
    expect_code(&kept, 0)?;
    let driver = String::from_utf8_lossy(&kept.stdout).into_owned();
    expect_parts(&text(&kept), &["kept log says-driver.log.gz of attempt 1"])?;
    expect_parts(
        &driver,
        &["sum [45]", &format!("driver says 00-{trace}-"), &trace, "the last line"],
    )?;
    if driver.trim_end() != live.trim_end() {
        return Err(format!("kept is not what was logged:\n{driver}\n---\n{live}").into());
    }
    let executor = up.stoke(&["logs", "says", "--executor", "1"]).output()?;
    expect_code(&executor, 0)?;
    // Its last word.
    expect_parts(
        &text(&executor),
        &[&format!("executor says 00-{trace}-"), "BlockManager stopped"],
    )?;
    expect_code(&up.stoke(&["logs", "says", "--all", "--attempt", "1"]).output()?, 0)?;
    expect_code(&up.stoke(&["logs", "says", "--attempt", "2"]).output()?, 2)?;
    up.down()
}

fn store_down(context: &Context) -> Result<(), Failed> {
    let up = Up::start_with(context, &["--keep-logs", "s3://no-such-bucket/logs"])?;
    let manifest = r#"{"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "lost"},
        "spec": {"type": "Python", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4", "mainApplicationFile": "local:///lost.py",
            "driver": {"memory": "512m"}, "executor": {}}}"#;
    let file = up.home.path().join("lost.json");
    std::fs::write(&file, manifest)?;
    expect_code(&up.kubectl(&["apply", "-f", &file.to_string_lossy()]).output()?, 0)?;
    let state = "--for=jsonpath={.status.applicationState.state}=FAILED";
    let ended = up
        .kubectl(&["wait", "sparkapplication/lost", state, "--timeout=120s"])
        .output()?;
    expect_code(&ended, 0)?;
    eventually("an Event says so", Duration::from_secs(10), || {
        up.kubectl(&["get", "events"])
            .output()
            .is_ok_and(|output| text(&output).contains("SparkLogsNotKept"))
    })?;
    // The pod is still there, and asked.
    let log = up.stoke(&["logs", "lost"]).output()?;
    expect_code(&log, 0)?;
    expect_parts(&text(&log), &["lost.py"])?;
    up.down()
}

/// hadoop-aws is kept from an earlier run, or can be fetched.
fn packages(context: &Context, hadoop: &str) -> Need {
    context.package(&format!("org.apache.hadoop:hadoop-aws:{hadoop}"))
}

fn etl(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let file = repository().join("examples/etl-s3.yaml");
    let output = stoke(home.path(), ["run"]).arg(&file).output()?;
    expect_code(&output, 0)?;
    expect_parts(
        &text(&output),
        &["ETL on s3a checked: 10 countries, 100000 orders", "COMPLETED"],
    )?;
    nothing_left(home.path())?;
    // The data outlive the run.
    let blobs = walk(&home.path().join("object-store"));
    if blobs == 0 {
        Err("the object store is empty after the run".into())
    } else {
        Ok(())
    }
}

fn walk(directory: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => walk(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn committers(context: &Context, spark: &str, hadoop: &str, cloud: &str) -> Result<(), Failed> {
    let home = context.private_home();
    let template = include_str!("s3a.yaml");
    let manifest = template
        .replace("@SPARK@", spark)
        .replace("@HADOOP@", hadoop)
        .replace("@CLOUD@", cloud)
        .replace("@EXCLUDED@", &EXCLUDED.join(", "));
    let file = home.path().join("s3a.yaml");
    std::fs::write(&file, manifest)?;
    let output = stoke(home.path(), ["run"]).arg(&file).output()?;
    expect_code(&output, 0)?;
    expect_parts(
        &text(&output),
        &[&format!("S3A checked: Spark {spark}, Hadoop {hadoop}"), "COMPLETED"],
    )?;
    nothing_left(home.path())
}

fn known(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let output = up.stoke(&["env", "--output", "json"]).output()?;
    expect_code(&output, 0)?;
    let env: Value = serde_json::from_slice(&output.stdout)?;
    let endpoint = env["AWS_ENDPOINT_URL"].as_str().ok_or("no endpoint")?.to_string();
    expect_parts(&endpoint, &["http://127.", ".0.1:269"])?;
    let lines = text(&up.stoke(&["env"]).output()?);
    expect_parts(
        &lines,
        &[&format!("export AWS_ENDPOINT_URL={endpoint}"), "export KUBECONFIG=/"],
    )?;

    // The Secret is where applications run, also in a namespace that comes later.
    expect_code(&up.kubectl(&["create", "namespace", "later"]).output()?, 0)?;
    for namespace in ["default", "later"] {
        let mut secret = Value::Null;
        eventually("the Secret is there", Duration::from_secs(10), || {
            let output = up
                .kubectl(&["get", "secret", "stoke-object-store", "-n", namespace, "-o", "json"])
                .output();
            secret = output
                .ok()
                .and_then(|output| serde_json::from_slice(&output.stdout).ok())
                .unwrap_or_default();
            secret["data"].is_object()
        })?;
        let plain = "go-template={{range $k, $v := .data}}{{$k}}={{$v | base64decode}}\n{{end}}";
        let output = up
            .kubectl(&["get", "secret", "stoke-object-store", "-n", namespace, "-o", plain])
            .output()?;
        let told = text(&output);
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ENDPOINT_URL",
            "AWS_REGION",
        ] {
            let value = env[name].as_str().unwrap_or_default();
            expect_parts(&told, &[&format!("{name}={value}\n")])?;
        }
    }

    let status = up.stoke(&["status", "--output", "json"]).output()?;
    expect_code(&status, 0)?;
    let status: Value = serde_json::from_slice(&status.stdout)?;
    if status["objectStore"] != endpoint.as_str() {
        return Err(format!("status tells {}", status["objectStore"]).into());
    }
    // No one is answered without a signature, and the keys are the owner's alone.
    let curl = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", &endpoint])
        .output();
    if let Ok(curl) = curl {
        expect_parts(&text(&curl), &["403"])?;
    }
    let credentials = up.home.path().join("object-store/credentials");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(credentials)?.permissions());
    if mode & 0o077 != 0 {
        return Err(format!("the credentials have mode {mode:o}").into());
    }
    up.down()
}
