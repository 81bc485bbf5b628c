//! The commands of Spark's page "Running Spark on Kubernetes", with unmodified `spark-submit` and `kubectl`.

use std::process::Output;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::common::{Context, VERSIONS, eventually, expect_code, expect_parts, full, program, text};
use crate::up::{Up, spark_submit};

const JAR: &str = "local:///opt/spark/examples/jars/spark-examples.jar";
const PI: &str = "org.apache.spark.examples.SparkPi";
/// What the page leaves to the defaults, in sizes for this machine.
const SMALL: [&str; 5] = [
    "spark.executor.instances=1",
    "spark.driver.memory=512m",
    "spark.executor.memory=512m",
    "spark.kubernetes.driver.request.cores=250m",
    "spark.kubernetes.executor.request.cores=500m",
];

pub fn trials(context: &Context) -> Vec<Trial> {
    let kubectl = program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    let needs = [full(), context.spark(VERSIONS[0]), kubectl];
    vec![
        context.trial(
            "spark's page: an account, a run in cluster mode, its log and its status",
            &needs,
            run,
        ),
        context.trial("spark's page: an application is killed by its name", &needs, kill),
        context.trial(
            "spark's page: secrets, volumes, claims made on demand and pod templates",
            &needs,
            mounts,
        ),
    ]
}

/// `spark-submit` in cluster mode with these properties, then the class, the jar and arguments.
fn submit(context: &Context, up: &Up, conf: &[&str], arguments: &[&str]) -> Result<Output, Failed> {
    let spark = context.spark_home(VERSIONS[0]).ok_or("no Spark")?;
    let image = format!("spark.kubernetes.container.image=spark:{}", VERSIONS[0]);
    let mut command = spark_submit(up, &spark)?;
    command.args(["--deploy-mode", "cluster", "--name", "spark-pi", "--class", PI]);
    for pair in [image.as_str()].iter().chain(&SMALL).chain(conf) {
        command.args(["--conf", pair]);
    }
    Ok(command.arg(JAR).args(arguments).output()?)
}

fn kubectl(up: &Up, arguments: &[&str]) -> Result<String, Failed> {
    let output = up.kubectl(arguments).output()?;
    expect_code(&output, 0)?;
    Ok(text(&output))
}

/// The one driver pod.
fn driver(up: &Up) -> Result<String, Failed> {
    let name = "jsonpath={.items[0].metadata.name}";
    kubectl(up, &["get", "pods", "-l", "spark-role=driver", "-o", name])
}

fn run(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    expect_parts(&kubectl(&up, &["cluster-info"])?, &["Kubernetes control plane"])?;
    expect_parts(&kubectl(&up, &["auth", "can-i", "create", "pods"])?, &["yes"])?;
    kubectl(&up, &["create", "serviceaccount", "spark"])?;
    let role = ["create", "clusterrolebinding", "spark-role", "--clusterrole=edit"];
    kubectl(
        &up,
        &[&role[..], &["--serviceaccount=default:spark", "--namespace=default"]].concat(),
    )?;
    let account = "spark.kubernetes.authenticate.driver.serviceAccountName=spark";
    expect_code(&submit(context, &up, &[account], &["4"])?, 0)?;
    let pod = driver(&up)?;
    expect_parts(&kubectl(&up, &["logs", &pod])?, &["Pi is roughly 3.1"])?;
    expect_parts(
        &kubectl(&up, &["describe", "pod", &pod])?,
        &["Service Account:  spark", "Succeeded", "spark-app-name=spark-pi"],
    )?;
    let spark = context.spark_home(VERSIONS[0]).ok_or("no Spark")?;
    let status = spark_submit(&up, &spark)?
        .args(["--status", "default:spark-pi*"])
        .output()?;
    expect_code(&status, 0)?;
    expect_parts(&text(&status), &[&pod, "Succeeded"])?;
    up.down()
}

fn kill(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let account = "spark.kubernetes.authenticate.driver.serviceAccountName=spark-operator-spark";
    let wait = "spark.kubernetes.submission.waitAppCompletion=false";
    expect_code(&submit(context, &up, &[account, wait], &["1000000"])?, 0)?;
    eventually("the driver runs", Duration::from_secs(120), || {
        let phase = [
            "get",
            "pods",
            "-l",
            "spark-role=driver",
            "-o",
            "jsonpath={.items[*].status.phase}",
        ];
        kubectl(&up, &phase).is_ok_and(|phases| phases == "Running")
    })?;
    let spark = context.spark_home(VERSIONS[0]).ok_or("no Spark")?;
    let killed = spark_submit(&up, &spark)?
        .args(["--kill", "default:spark-pi*"])
        .output()?;
    expect_code(&killed, 0)?;
    eventually("its pods are gone", Duration::from_secs(120), || {
        kubectl(&up, &["get", "pods", "-o", "name"]).is_ok_and(|names| names.is_empty())
    })?;
    up.down()
}

fn mounts(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    kubectl(
        &up,
        &[
            "create",
            "secret",
            "generic",
            "spark-secret",
            "--from-literal=key=value",
        ],
    )?;
    let directory = tempfile::tempdir()?;
    let template = directory.path().join("template.yaml");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {labels: {team: a}}\nspec:\n  containers:\n  - name: any\n    env: [{name: OF_TEMPLATE, value: 'yes'}]\n";
    std::fs::write(&template, pod)?;
    let template = format!("spark.kubernetes.driver.podTemplateFile={}", template.display());
    let claim = "spark.kubernetes.executor.volumes.persistentVolumeClaim.data";
    let claims = [
        format!("{claim}.options.claimName=OnDemand"),
        format!("{claim}.options.storageClass=local"),
        format!("{claim}.options.sizeLimit=1Gi"),
        format!("{claim}.mount.path=/data"),
        format!("{claim}.mount.readOnly=false"),
    ];
    let mut conf = vec![
        "spark.kubernetes.authenticate.driver.serviceAccountName=spark-operator-spark",
        "spark.kubernetes.driver.secrets.spark-secret=/etc/secrets",
        "spark.kubernetes.executor.secrets.spark-secret=/etc/secrets",
        "spark.kubernetes.driver.secretKeyRef.OF_SECRET=spark-secret:key",
        "spark.kubernetes.driver.volumes.emptyDir.scratch.mount.path=/scratch",
        "spark.kubernetes.driver.volumes.emptyDir.scratch.options.sizeLimit=100Mi",
        &template,
    ];
    conf.extend(claims.iter().map(String::as_str));
    expect_code(&submit(context, &up, &conf, &["4"])?, 0)?;
    let pod = kubectl(&up, &["get", "pod", &driver(&up)?, "-o", "yaml"])?;
    expect_parts(
        &pod,
        &[
            "mountPath: /etc/secrets",
            "secretName: spark-secret",
            "name: OF_SECRET",
            "mountPath: /scratch",
            "sizeLimit: 100Mi",
            "name: OF_TEMPLATE",
            "team: a",
            "phase: Succeeded",
        ],
    )?;
    // The claims belong to the driver, and go with it.
    kubectl(&up, &["delete", "pod", "-l", "spark-role=driver"])?;
    eventually("the claims are gone", Duration::from_secs(60), || {
        kubectl(&up, &["get", "persistentvolumeclaims", "-o", "name"]).is_ok_and(|names| names.is_empty())
    })?;
    up.down()
}
