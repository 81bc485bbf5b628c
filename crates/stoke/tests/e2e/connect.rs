//! A Spark Connect server on the embedded cluster and the real PySpark Connect client, of two versions.
//!
//! The client is the `pyspark` of the installed Spark; what `pyspark[connect]` adds to it (gRPC, Arrow, pandas) is installed once beside the Sparks.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::common::{Context, Need, eventually, expect_code, expect_parts, full, reached, text};
use crate::up::Up;

/// Versions of server and client, the server's port, and what a server needs that does not have Connect built in.
///
/// Before Spark 4 a Connect server listens on all addresses of the machine, and pods of the embedded cluster share them: tests that run at the
/// same time need ports of their own.
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
pub const PROGRAM: &str = r#"
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("client", type(spark).__module__)
print("version", spark.version)
rows = spark.range(0, 1000, 1, 2).selectExpr("id % 10 AS k", "id AS v").groupBy("k").sum("v").orderBy("k").collect()
print("rows", len(rows), rows[9][1])
spark.stop()
"#;

/// Opens two sessions, uses both for what needs no executor, says so in a file, and keeps them until another file is there.
const TWO_SESSIONS: &str = r#"
import os, sys, time
from pyspark.sql import SparkSession
remote = os.environ["SPARK_REMOTE"]
sessions = [SparkSession.builder.remote(remote).create() for _ in range(2)]
for session in sessions:
    session.sql("set spark.app.name")
open(sys.argv[1] + "/open", "w").close()
while not os.path.exists(sys.argv[1] + "/close"):
    time.sleep(0.1)
for session in sessions:
    session.stop()
"#;

/// Between two looks with `kubectl`.
const POLL: Duration = Duration::from_millis(500);

/// The version with two servers at a time.
const BOTH: &str = "4.1.4";

pub fn trials(context: &Context) -> Vec<Trial> {
    let client = || {
        if client_is_there(context) {
            Need::Found(Ok(()))
        } else {
            reached("pypi.org:443")
        }
    };
    let mut trials: Vec<Trial> = VERSIONS
        .into_iter()
        .map(|(version, port, package)| {
            let needs = [
                full(),
                context.spark(version),
                package.map_or(Need::Found(Ok(())), |package| context.package(package)),
                client(),
            ];
            context.trial(
                &format!("connect: a server and the PySpark client of {version}"),
                &needs,
                move |context| serve(context, version, port, package),
            )
        })
        .collect();
    trials.push(context.trial(
        &format!("connect: two servers of {BOTH} at one port, counted, stopped unused and woken"),
        &[full(), context.spark(BOTH), client()],
        use_and_leave,
    ));
    trials
}

/// The value of a field of a SparkConnect, as `kubectl`'s JSONPath gives it.
fn field(up: &Up, name: &str, path: &str) -> String {
    let path = format!("jsonpath={{{path}}}");
    let output = up.kubectl(&["get", "sparkconnect", name, "-o", &path]).output();
    output.map_or_else(|error| error.to_string(), |output| text(&output))
}

/// What the condition `ServerInUse` says.
fn in_use(up: &Up, name: &str) -> String {
    field(up, name, ".status.conditions[?(@.type==\"ServerInUse\")].message")
}

/// Waits until the condition `ServerInUse` says this.
fn until_in_use(up: &Up, name: &str, says: &str) -> Result<(), Failed> {
    let waited = eventually(&format!("{name}: {says}"), Duration::from_secs(60), || {
        std::thread::sleep(POLL);
        in_use(up, name).contains(says)
    });
    waited.map_err(|failed| format!("{failed:?}; it says: {}", in_use(up, name)).into())
}

fn use_and_leave(context: &Context) -> Result<(), Failed> {
    let python = python(context)?;
    let up = Up::start(context)?;
    let manifest = up.home.path().join("connect.yaml");
    let one = |name: &str| {
        format!(
            "apiVersion: sparkoperator.k8s.io/v1alpha1\nkind: SparkConnect\nmetadata:\n  name: {name}\n  annotations:\n    \
             stoke.dev/idle-timeout: 1m\nspec:\n  sparkVersion: {BOTH}\n  image: apache/spark:{BOTH}\n  server:\n    cores: 1\n    \
             memory: 1g\n  executor:\n    cores: 1\n    memory: 1g\n  dynamicAllocation:\n    enabled: true\n    maxExecutors: 1\n"
        )
    };
    std::fs::write(&manifest, format!("{}---\n{}", one("lab"), one("den")))?;
    expect_code(&up.kubectl(&["apply", "-f", &manifest.to_string_lossy()]).output()?, 0)?;
    let site = context
        .spark_home(BOTH)
        .and_then(|home| home.parent().map(Path::to_path_buf))
        .ok_or("no site-packages")?;
    let client = |name: &str, program: &str, argument: &str| {
        let python = python.to_string_lossy();
        let mut client = up.stoke(&["connect", name, "--port", "0", "--", &python, "-c", program, argument]);
        client.env("PYTHONPATH", &site);
        client
    };

    // Both sessions of the one are counted, while the other answers at the same port.
    let signs = tempfile::tempdir()?;
    let mut holding = client("lab", TWO_SESSIONS, &signs.path().to_string_lossy())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let counted = eventually("two sessions are open", Duration::from_secs(180), || {
        signs.path().join("open").exists() || holding.try_wait().is_ok_and(|ended| ended.is_some())
    })
    .and_then(|()| until_in_use(&up, "lab", "2 sessions are open, no operation runs"));
    let other = within(
        client(
            "den",
            "from pyspark.sql import SparkSession; print(SparkSession.builder.getOrCreate().version)",
            "",
        ),
        Duration::from_secs(120),
    );
    std::fs::write(signs.path().join("close"), "")?;
    let held = holding.wait_with_output()?;
    if let Err(failed) = counted {
        return Err(format!("{failed:?}: {}", text(&held)).into());
    }
    expect_code(&held, 0)?;
    expect_parts(&text(&other?), &[BOTH])?;
    for name in ["lab", "den"] {
        let url = format!("sc://{name}-server.default.svc:15002");
        if (
            field(&up, name, ".status.state"),
            field(&up, name, ".status.server.url"),
        ) != ("Ready".into(), url)
        {
            return Err(format!("{name} is not ready: {}", field(&up, name, ".status")).into());
        }
    }

    // No one uses it: it is stopped, and says so.
    let timeout = |timeout: &str| {
        let annotation = format!("stoke.dev/idle-timeout={timeout}");
        let output = up
            .kubectl(&["annotate", "sparkconnect", "lab", "--overwrite", &annotation])
            .output()?;
        expect_code(&output, 0)
    };
    timeout("5s")?;
    eventually("the server is stopped", Duration::from_secs(60), || {
        std::thread::sleep(POLL);
        let pod = up.kubectl(&["get", "pod", "lab-server"]).output();
        field(&up, "lab", ".status.conditions[0].reason") == "Idle" && pod.is_ok_and(|pod| !pod.status.success())
    })?;
    expect_parts(
        &field(&up, "lab", ".status"),
        &["NotReady", "nothing was computed for 5s", "stoke connect lab"],
    )?;
    let events = up.kubectl(&["get", "events"]).output()?;
    expect_parts(&text(&events), &["SparkConnectStopped"])?;

    // Someone wants it: it computes again.
    timeout("10m")?;
    let answered = within(client("lab", PROGRAM, ""), Duration::from_secs(180))?;
    expect_code(&answered, 0)?;
    expect_parts(&text(&answered), &["rows 10 50400"])?;
    up.down()
}

fn client_is_there(context: &Context) -> bool {
    client_is_in(context.home())
}

fn client_is_in(home: &Path) -> bool {
    is_made_of(&home.join("connect-client"), &CLIENT)
}

/// Whether a Python with these packages, and no others, is there.
fn is_made_of(home: &Path, packages: &[&str]) -> bool {
    std::fs::read_to_string(home.join("installed")).is_ok_and(|made_of| made_of == packages.join("\n"))
}

/// Python with the client's libraries, made once.
fn python(context: &Context) -> Result<PathBuf, Failed> {
    client_python(context.home())
}

/// Python with the client's libraries below this home.
pub fn client_python(shared: &Path) -> Result<PathBuf, Failed> {
    python_with(shared, "connect-client", &CLIENT)
}

/// Python with these packages, made once, below this home.
pub fn python_with(shared: &Path, name: &str, packages: &[&str]) -> Result<PathBuf, Failed> {
    std::fs::create_dir_all(shared)?;
    let home = shared.join(name);
    let (python, done) = (home.join("bin/python3"), home.join("installed"));
    // Two tests at a time: one makes it, the other waits for it.
    let lock = std::fs::File::create(shared.join(format!("{name}.lock")))?;
    lock.lock()?;
    if is_made_of(&home, packages) {
        return Ok(python);
    }
    let made = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&home)
        .output()?;
    expect_code(&made, 0)?;
    let installed = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet"])
        .args(packages)
        .output()?;
    expect_code(&installed, 0)?;
    std::fs::write(done, packages.join("\n"))?;
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
    // Spark 4 lets the client end its session; before it, the client's is still there. Ours never counts.
    let open = if version.starts_with('3') {
        "1 session is open"
    } else {
        "no session is open"
    };
    until_in_use(
        &up,
        "lab",
        &format!("{open}, no operation runs; the last of all was at"),
    )?;
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
