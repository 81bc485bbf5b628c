//! The object store as applications and people meet it: `s3a://` in real Sparks with no key in the manifest, the Secret, `stoke env`.

use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, eventually, expect_code, expect_parts, program, repository, stoke, text};
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
        &[context.spark("4.1.4"), packages(context, "3.4.2")],
        etl,
    )];
    for (spark, hadoop, cloud) in S3A {
        trials.push(context.trial(
            &format!("object store: S3A committers on Spark {spark}"),
            &[context.spark(spark), packages(context, hadoop)],
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
    trials
}

/// hadoop-aws is kept from an earlier run, or can be fetched.
fn packages(context: &Context, hadoop: &str) -> Result<(), String> {
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
    expect_parts(&endpoint, &["http://127.", ".0.1:90"])?;
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
    // Nobody is answered without a signature, and the keys are the owner's alone.
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
