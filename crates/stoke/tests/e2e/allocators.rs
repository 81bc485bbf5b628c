//! Spark's other ways to make executors: a StatefulSet, or (since 4.2) a Deployment, instead of single pods. Real Spark, our controllers.

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::common::{Context, VERSIONS, eventually, expect_code, expect_parts, full, program, text};
use crate::up::{Up, spark_submit};

pub fn trials(context: &Context) -> Vec<Trial> {
    let of = |allocator: &'static str, resource: &'static str, version: &'static str| {
        let needs = [
            full(),
            context.spark(version),
            program("kubectl", "see `Install kubectl`"),
        ];
        let name = format!("up: Spark {version} with the pod allocator `{allocator}`");
        context.trial(&name, &needs, move |context| run(context, version, allocator, resource))
    };
    vec![
        of("statefulset", "statefulsets", VERSIONS[0]),
        of("deployment", "deployments", VERSIONS[2]),
    ]
}

fn run(context: &Context, version: &str, allocator: &str, resource: &str) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let spark = context.spark_home(version).ok_or("no Spark")?;
    let mut command = spark_submit(&up, &spark)?;
    command.args(["--deploy-mode", "cluster", "--name", "pi", "--driver-memory", "512m"]);
    for setting in [
        format!("spark.kubernetes.allocation.pods.allocator={allocator}").as_str(),
        &format!("spark.kubernetes.container.image=apache/spark:{version}"),
        "spark.kubernetes.driver.pod.name=pi-driver",
        "spark.kubernetes.driver.request.cores=250m",
        "spark.kubernetes.executor.request.cores=250m",
        "spark.executor.instances=2",
        "spark.executor.memory=512m",
        // The program begins when both are there.
        "spark.scheduler.minRegisteredResourcesRatio=1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime=90s",
    ] {
        command.args(["--conf", setting]);
    }
    command.args(["local:///opt/spark/examples/src/main/python/pi.py", "40"]);
    let mut ready = up.kubectl(&["get", resource, "-o", "jsonpath={.items[*].status.readyReplicas}"]);
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    // What made the executors is looked at while they run.
    let (end, mut seen) = (Instant::now() + Duration::from_secs(150), false);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        seen |= ready.output().is_ok_and(|output| text(&output).trim() == "2");
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            return Err("the application did not end within 150 s".into());
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let log = up.kubectl(&["logs", "pi-driver"]).output()?;
    expect_code(&log, 0)?;
    expect_parts(&text(&log), &["Pi is roughly 3.1"])?;
    if !status.success() || !seen {
        return Err(format!(
            "ended with {status}; two ready pods of {resource} seen: {seen}; {}",
            text(&log)
        )
        .into());
    }
    // The driver takes what it made with it.
    eventually("executors and their owner are gone", Duration::from_secs(30), || {
        let kinds = format!("{resource},pods");
        let left = up
            .kubectl(&["get", &kinds, "-l", "spark-role=executor", "-o", "name"])
            .output();
        let owners = up.kubectl(&["get", resource, "-o", "name"]).output();
        let empty = |output: std::io::Result<std::process::Output>| {
            output.is_ok_and(|output| output.status.success() && output.stdout.is_empty())
        };
        empty(left) && empty(owners)
    })?;
    up.down()
}
