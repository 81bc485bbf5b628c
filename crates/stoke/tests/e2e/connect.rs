//! A Spark Connect server on the embedded cluster and the real PySpark Connect client, of two versions.
//!
//! The client is the `pyspark` of the installed Spark; what `pyspark[connect]` adds to it (gRPC, Arrow, pandas) is installed once beside the Sparks.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::common::{Context, eventually, expect_code, expect_parts, reached, text};
use crate::up::Up;

/// Versions of server and client, the server's port, and what a server needs that does not have Connect built in.
///
/// A Connect server listens on all addresses of the machine, and pods of the embedded cluster share them: tests that run at the same time
/// need ports of their own.
const VERSIONS: [(&str, u16, Option<&str>); 2] = [
    ("4.1.4", 15041, None),
    ("3.5.9", 15035, Some("org.apache.spark:spark-connect_2.12:3.5.7")),
];

/// What `pyspark[connect]` of both versions asks for.
const CLIENT: [&str; 7] = [
    "grpcio>=1.76,<2",
    "grpcio-status>=1.76,<2",
    "googleapis-common-protos>=1.71,<2",
    "pandas>=2.2,<3",
    "pyarrow>=15,<19",
    "zstandard>=0.25",
    "numpy<2",
];

/// Counts, aggregates over two partitions, and says which Spark answered.
const PROGRAM: &str = r#"
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("client", type(spark).__module__)
print("version", spark.version)
rows = spark.range(0, 1000, 1, 2).selectExpr("id % 10 AS k", "id AS v").groupBy("k").sum("v").orderBy("k").collect()
print("rows", len(rows), rows[9][1])
spark.stop()
"#;

pub fn trials(context: &Context) -> Vec<Trial> {
    VERSIONS
        .into_iter()
        .map(|(version, port, package)| {
            let needs = [
                context.spark(version),
                package.map_or(Ok(()), |package| context.package(package)),
                if client_is_there(context) {
                    Ok(())
                } else {
                    reached("pypi.org:443")
                },
            ];
            context.trial(
                &format!("connect: a server and the PySpark client of {version}"),
                &needs,
                move |context| serve(context, version, port, package),
            )
        })
        .collect()
}

fn client_is_there(context: &Context) -> bool {
    let done = context.home().join("connect-client/installed");
    std::fs::read_to_string(done).is_ok_and(|made_of| made_of == CLIENT.join("\n"))
}

/// Python with the client's libraries, made once.
fn python(context: &Context) -> Result<PathBuf, Failed> {
    let home = context.home().join("connect-client");
    let (python, done) = (home.join("bin/python3"), home.join("installed"));
    // Two tests at a time: one makes it, the other waits for it.
    let lock = std::fs::File::create(context.home().join("connect-client.lock"))?;
    lock.lock()?;
    if client_is_there(context) {
        return Ok(python);
    }
    let made = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&home)
        .output()?;
    expect_code(&made, 0)?;
    let installed = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet"])
        .args(CLIENT)
        .output()?;
    expect_code(&installed, 0)?;
    std::fs::write(done, CLIENT.join("\n"))?;
    Ok(python)
}

fn serve(context: &Context, version: &str, port: u16, package: Option<&str>) -> Result<(), Failed> {
    let python = python(context)?;
    let up = Up::start(context)?;
    let manifest = up.home.path().join("connect.yaml");
    let packages = package.map_or_else(String::new, |package| format!("    spark.jars.packages: {package}\n"));
    std::fs::write(
        &manifest,
        format!(
            "apiVersion: sparkoperator.k8s.io/v1alpha1\nkind: SparkConnect\nmetadata:\n  name: lab\nspec:\n  sparkVersion: {version}\n  \
             image: apache/spark:{version}\n  server:\n    cores: 1\n    memory: 1g\n  executor:\n    cores: 1\n    memory: 1g\n  \
             dynamicAllocation:\n    enabled: true\n    minExecutors: 0\n    maxExecutors: 1\n  sparkConf:\n    \
             spark.dynamicAllocation.executorIdleTimeout: 3s\n    spark.dynamicAllocation.shuffleTracking.timeout: 3s\n    spark.connect.grpc.binding.port: \"{port}\"\n{packages}"
        ),
    )?;
    expect_code(&up.kubectl(&["apply", "-f", &manifest.to_string_lossy()]).output()?, 0)?;
    let mut program = up.stoke(&[
        "connect",
        "lab",
        "--port",
        "0",
        "--",
        &python.to_string_lossy(),
        "-c",
        PROGRAM,
    ]);
    let site = context
        .spark_home(version)
        .and_then(|home| home.parent().map(Path::to_path_buf));
    program.env("PYTHONPATH", site.ok_or("no site-packages")?);
    let answered = within(program, Duration::from_secs(240))?;
    if answered.status.code() != Some(0) {
        let log = up.kubectl(&["logs", "lab-server", "--tail", "40"]).output()?;
        let state = up.kubectl(&["get", "sparkconnect,pods", "-o", "yaml"]).output()?;
        return Err(format!("{}\n{}\n{}", text(&answered), text(&log), text(&state)).into());
    }
    let version_line = format!("version {version}");
    expect_parts(
        &text(&answered),
        &["client pyspark.sql.connect", &version_line, "rows 10 50400"],
    )?;
    let table = up.kubectl(&["get", "sparkconnect", "lab"]).output()?;
    expect_parts(
        &text(&table),
        &["Ready", &format!("sc://lab-server.default.svc:{port}")],
    )?;
    let events = up.kubectl(&["get", "events"]).output()?;
    expect_parts(&text(&events), &[&format!("Spark {version} answers")])?;
    eventually("no executors are left without work", Duration::from_secs(60), || {
        up.kubectl(&[
            "get",
            "pods",
            "-l",
            "spark-role=executor",
            "--field-selector",
            "status.phase=Running",
            "-o",
            "name",
        ])
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout.is_empty())
    })?;
    expect_code(&up.kubectl(&["delete", "sparkconnect", "lab"]).output()?, 0)?;
    eventually("server and service are gone", Duration::from_secs(60), || {
        up.kubectl(&[
            "get",
            "pods,services",
            "-l",
            "sparkoperator.k8s.io/connect-name=lab",
            "-o",
            "name",
        ])
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout.is_empty())
    })?;
    up.down()
}

/// The output of a program that is given so long.
fn within(mut program: Command, limit: Duration) -> Result<Output, Failed> {
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let deadline = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(child.wait_with_output()?)
}
