//! Our commands from outside a cluster: `--context`, and nothing else in common with it.

use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::Row;
use super::rig::Rig;
use crate::behaviours::ground::{Stage, image};
use crate::behaviours::{WAIT, application};
use crate::common::{VERSIONS, expect_code, expect_parts, repository, spark_home, text};

/// Each with its name.
pub const BEHAVIOURS: [Row; 6] = [
    ("stoke run follows an application to its end", run),
    ("stoke ps, logs, doctor, cost and bundle tell of one", tell),
    ("stoke ui reaches the driver through the API server", ui),
    ("stoke check --dry-run asks the API server", check),
    ("stoke submit takes the line of spark-submit", submit),
    ("stoke convert makes what runs", convert),
];

/// What [`spark_submit`] shows.
pub const SPARK_SUBMIT: &str = "spark-submit of three versions, and the operator leaves its drivers alone";

/// Spark's own client beside the operator, with each version's image.
pub fn spark_submit(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    let server = rig.kubectl(&[
        "config",
        "view",
        "--minify",
        "-o=jsonpath={.clusters[0].cluster.server}",
    ])?;
    let kubeconfig = rig.given.kubeconfig.as_deref().ok_or("no kubeconfig")?;
    for version in VERSIONS {
        rig.spark_image(version)?;
        let home = spark_home(version)?;
        let name = format!("sent-by-{}", version.replace('.', "-"));
        let conf = [
            "spark.kubernetes.context=real".to_owned(),
            format!("spark.kubernetes.namespace={}", stage.namespace()),
            format!("spark.kubernetes.container.image=docker.io/apache/spark:{version}"),
            format!("spark.kubernetes.driver.pod.name={name}"),
            "spark.kubernetes.authenticate.driver.serviceAccountName=spark".to_owned(),
            "spark.executor.instances=1".to_owned(),
            "spark.kubernetes.driver.request.cores=200m".to_owned(),
            "spark.kubernetes.executor.request.cores=200m".to_owned(),
        ];
        let mut command = Command::new(home.join("bin/spark-submit"));
        command
            .args(["--master", &format!("k8s://{server}"), "--deploy-mode", "cluster"])
            .args(["--driver-memory", "512m", "--executor-memory", "512m"])
            .args(conf.iter().flat_map(|pair| ["--conf", pair]))
            .args(["local:///opt/spark/examples/src/main/python/pi.py", "2"])
            .env("KUBECONFIG", kubeconfig)
            .env("SPARK_HOME", &home);
        let output = command.output()?;
        expect_code(&output, 0)?;
        expect_parts(&stage.kubectl(&["logs", &name])?, &["Pi is roughly 3.1"])?;
        let pod = stage.get("pod", &name)?;
        if pod["status"]["phase"] != "Succeeded" {
            return Err(format!("Spark {version}: {pod:#}").into());
        }
    }
    let told = stoke(stage, &["ps", "-n", stage.namespace()], 0)?;
    match told.contains("sent-by") {
        true => Err(format!("the operator took a driver of spark-submit: {told}").into()),
        false => Ok(()),
    }
}

/// The output of our command in the stage's namespace; it ends with this code.
fn stoke(stage: &Stage<'_>, arguments: &[&str], code: i32) -> Result<String, Failed> {
    let home = tempfile::tempdir()?;
    let output = stage.stoke(arguments).env("STOKE_HOME", home.path()).output()?;
    expect_code(&output, code)?;
    Ok(text(&output))
}

fn pi(stage: &Stage<'_>) -> Result<String, Failed> {
    let manifest = std::fs::read_to_string(repository().join("examples/pi.yaml"))?;
    let manifest = manifest
        .replace("spark-operator-spark", "spark")
        .replace("apache/spark:4.1.4", &image());
    let file = std::env::temp_dir().join(format!("{}.yaml", stage.namespace()));
    std::fs::write(&file, manifest)?;
    Ok(file.to_string_lossy().into_owned())
}

fn run(stage: &Stage<'_>) -> Result<(), Failed> {
    let file = pi(stage)?;
    let told = stoke(stage, &["run", &file, "-n", stage.namespace()], 0)?;
    expect_parts(&told, &["Pi is roughly 3.1", "COMPLETED"])?;
    let missing = stoke(
        stage,
        &[
            "run",
            &file,
            "-n",
            stage.namespace(),
            "--set",
            "metadata.name=pi-2",
            "--set",
            "spec.mainApplicationFile=local:///nowhere.py",
        ],
        2,
    )?;
    expect_parts(&missing, &["FAILED", "main-file-missing", "nowhere.py"])
}

fn tell(stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "seen", WAIT, json!({"arguments": ["0"]}))?)?;
    stage.until_state("seen", "COMPLETED")?;
    let n = stage.namespace();
    expect_parts(&stoke(stage, &["ps", "-n", n], 0)?, &["seen", "COMPLETED"])?;
    expect_parts(&stoke(stage, &["logs", "seen", "-n", n], 0)?, &["counted 100"])?;
    stoke(stage, &["doctor", "seen", "-n", n], 0)?;
    let bundle = std::env::temp_dir().join(format!("{n}.zip"));
    stoke(
        stage,
        &["bundle", "seen", "-n", n, "--to", &bundle.to_string_lossy()],
        0,
    )?;
    let from_bundle = stoke(stage, &["doctor", "--bundle", &bundle.to_string_lossy()], 0);
    std::fs::remove_file(&bundle)?;
    from_bundle.map(drop)
}

fn ui(stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "open", WAIT, json!({"arguments": ["90"]}))?)?;
    stage.until_printed("open", "counted 100")?;
    let mut forward = stage
        .stoke(&["ui", "open", "-n", stage.namespace(), "--port", "0"])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(forward.stdout.take().ok_or("no output")?));
    let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
        line.split_whitespace()
            .find(|word| word.starts_with("http://"))
            .map(str::to_owned)
    });
    let answered = address.map(|address| {
        let url = format!("{}/api/v1/applications", address.trim_end_matches('/'));
        Command::new("curl").args(["-sf", "--max-time", "20", &url]).output()
    });
    forward.kill()?;
    forward.wait()?;
    let answered = answered.ok_or("no address was printed")??;
    expect_parts(&text(&answered), &["\"attempts\""])
}

fn check(stage: &Stage<'_>) -> Result<(), Failed> {
    let mut app = application(stage, "asked", WAIT, json!({}))?;
    app["metadata"]["namespace"] = json!(stage.namespace());
    let file = tempfile::Builder::new().suffix(".json").tempfile()?;
    std::fs::write(file.path(), app.to_string())?;
    let path = file.path().to_string_lossy().into_owned();
    stoke(stage, &["check", &path, "--dry-run"], 0)?;
    app["metadata"]["namespace"] = json!("no-such-namespace");
    std::fs::write(file.path(), app.to_string())?;
    expect_parts(
        &stoke(stage, &["check", &path, "--dry-run"], 1)?,
        &["no-such-namespace"],
    )
}

fn submit(stage: &Stage<'_>) -> Result<(), Failed> {
    let image = format!("spark.kubernetes.container.image={}", image());
    let n = format!("spark.kubernetes.namespace={}", stage.namespace());
    let line = [
        "submit",
        "--deploy-mode",
        "cluster",
        "--name",
        "sent",
        "--conf",
        &image,
        "--conf",
        &n,
        "--conf",
        "spark.kubernetes.authenticate.driver.serviceAccountName=spark",
        "--conf",
        "spark.executor.instances=1",
        "--conf",
        "spark.kubernetes.driver.request.cores=200m",
        "--conf",
        "spark.kubernetes.executor.request.cores=200m",
        "--conf",
        "spark.driver.memory=512m",
        "--conf",
        "spark.executor.memory=512m",
    ];
    let file = "local:///opt/spark/examples/src/main/python/pi.py";
    let home = tempfile::tempdir()?;
    let mut command = stage.stoke(&line);
    let output = command.env("STOKE_HOME", home.path()).args([file, "2"]).output()?;
    expect_code(&output, 0)?;
    stage.until("a driver that succeeded", |stage| {
        let drivers = stage.list("pods", "spark-role=driver")?;
        Ok(drivers.iter().any(|pod| pod["status"]["phase"] == "Succeeded"))
    })
}

fn convert(stage: &Stage<'_>) -> Result<(), Failed> {
    let script = tempfile::Builder::new().suffix(".sh").tempfile()?;
    let line = format!(
        "spark-submit --master k8s://https://example.com --deploy-mode cluster --name converted \\\n  --conf spark.kubernetes.container.image={} \\\n  \
         --conf spark.kubernetes.authenticate.driver.serviceAccountName=spark --conf spark.kubernetes.driver.request.cores=200m \\\n  \
         --conf spark.kubernetes.executor.request.cores=200m --driver-memory 512m --executor-memory 512m --num-executors 1 \\\n  \
         local:///opt/spark/examples/src/main/python/pi.py 2\n",
        image()
    );
    std::fs::write(script.path(), line)?;
    let home = tempfile::tempdir()?;
    let made = Command::new(env!("CARGO_BIN_EXE_stoke"))
        .args(["convert", &script.path().to_string_lossy()])
        .env("STOKE_HOME", home.path())
        .output()?;
    expect_code(&made, 0)?;
    let applied = stage.try_kubectl(&["apply", "-f", "-"], &String::from_utf8_lossy(&made.stdout))?;
    expect_code(&applied, 0)?;
    let status: Value = stage.until_state("converted", "COMPLETED")?;
    if status["executionAttempts"] != 1 {
        return Err(format!("counted otherwise: {status}").into());
    }
    Ok(())
}
