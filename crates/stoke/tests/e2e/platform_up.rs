//! `stoke platform up`: a small platform in seconds; and the whole example with every real program, used together.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{
    Context, VERSIONS, eventually, expect_code, expect_parts, full, processes_of, program, reached, repository, stoke,
    text,
};

pub fn trials(context: &Context) -> Vec<Trial> {
    let kubectl = || program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    let curl = || program("curl", "apt-get install curl");
    vec![
        context.trial(
            "platform up: a small platform answers, is taken up again, and goes with its Secrets",
            &[kubectl(), curl()],
            small,
        ),
        context.trial("platform up: it stays until it is interrupted", &[curl()], stays),
        context.trial(
            "platform up: what cannot come is told with its reason",
            &[kubectl()],
            told,
        ),
        context.trial(
            "platform up: the whole example, its components used together",
            &[
                full(),
                kubectl(),
                curl(),
                reached("repo1.maven.org:443"),
                context.spark(VERSIONS[0]),
                context.spark(VERSIONS[1]),
            ],
            lakehouse,
        ),
    ]
}

const SMALL: &str = "name: small
namespace: small
components:
  files: {kind: object-store, bucket: small, endpoint: 'http://127.0.0.1:26900', credentials: {secret: store-keys}}
  history: {kind: history-server, store: files, resources: {cpu: 100m, memory: 256Mi}}
";

/// A home and a file, and what was left of them at the end.
pub struct World {
    pub home: tempfile::TempDir,
    pub work: tempfile::TempDir,
}

impl World {
    pub fn new(context: &Context, file: &str) -> Result<Self, Failed> {
        let world = World {
            home: context.private_home(),
            work: tempfile::tempdir()?,
        };
        std::fs::write(world.work.path().join("platform.yaml"), file)?;
        Ok(world)
    }

    pub fn stoke(&self, arguments: &[&str]) -> Command {
        let mut command = stoke(self.home.path(), arguments);
        command.current_dir(self.work.path());
        command
    }

    pub fn run(&self, arguments: &[&str], code: i32) -> Result<String, Failed> {
        let output = self.stoke(arguments).output()?;
        expect_code(&output, code)?;
        Ok(text(&output))
    }

    pub fn json(&self, arguments: &[&str]) -> Result<Value, Failed> {
        let output = self
            .stoke(arguments)
            .args(["-o", "json"])
            .stderr(Stdio::inherit())
            .output()?;
        expect_code(&output, 0)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(arguments)
            .env("KUBECONFIG", self.home.path().join("clusters/default/kubeconfig"))
            .env("HOME", self.home.path());
        command
    }

    pub fn asked(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments).output();
        output.map(|output| text(&output)).unwrap_or_default()
    }

    pub fn nothing_left(&self) -> Result<(), Failed> {
        let left = processes_of(self.home.path());
        match left.is_empty() {
            true => Ok(()),
            false => Err(format!("processes left: {left:#?}").into()),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.stoke(&["down"]).output();
    }
}

pub fn url<'a>(brought: &'a Value, component: &str) -> Result<&'a str, Failed> {
    let all = brought["components"].as_array().ok_or_else(|| format!("{brought}"))?;
    let found = all.iter().find(|one| one["name"] == component);
    let url = found.and_then(|one| one["url"].as_str());
    url.ok_or_else(|| format!("{component} has no URL in {brought}").into())
}

/// Asks with curl, which every machine with kubectl's tests has.
pub fn curl(arguments: &[&str]) -> Result<String, Failed> {
    let output = Command::new("curl")
        .args(["-sS", "--fail-with-body", "-m", "60"])
        .args(arguments)
        .output()?;
    expect_code(&output, 0)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn small(context: &Context) -> Result<(), Failed> {
    let world = World::new(context, SMALL)?;
    let first = world.json(&["platform", "up", "--detach"])?;
    assert_eq!(
        first["secretsMade"],
        serde_json::json!([{"secret": "store-keys", "keys": ["accessKey", "secretKey"]}]),
        "{first}"
    );
    let address = url(&first, "history")?;
    assert_eq!(curl(&[&format!("{address}api/v1/applications")])?.trim(), "[ ]");
    // The keys are those of the store, and nowhere in what was said.
    let secret = world.asked(&[
        "get",
        "secret",
        "store-keys",
        "-n",
        "small",
        "-o",
        "jsonpath={.data.secretKey}",
    ]);
    assert!(!secret.is_empty() && !first.to_string().contains(&secret), "{first}");

    let again = world.json(&["platform", "up"])?;
    assert_eq!(
        (&again["created"], &again["changed"]),
        (&0.into(), &0.into()),
        "{again}"
    );
    assert_eq!(again["secretsMade"], serde_json::json!([]));
    assert_eq!(url(&again, "history")?, address);
    expect_parts(
        &world.run(&["platform", "status"], 0)?,
        &["all ready, as the file says"],
    )?;
    expect_parts(
        &world.run(&["platform", "diff"], 0)?,
        &["the cluster is as the file says"],
    )?;

    // Started again, the cluster has the platform with it.
    world.run(&["down"], 0)?;
    let once_more = world.json(&["platform", "up", "--detach"])?;
    assert_eq!(once_more["created"], 0, "{once_more}");
    curl(&[url(&once_more, "history")?])?;

    world.run(&["platform", "down"], 0)?;
    expect_parts(&world.asked(&["get", "namespace", "small"]), &["NotFound"])?;
    world.run(&["down"], 0)?;
    world.nothing_left()
}

fn stays(context: &Context) -> Result<(), Failed> {
    let world = World::new(context, SMALL)?;
    let mut child = world
        .stoke(&["platform", "up"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut said = Vec::new();
    for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
        let line = line?;
        let is_last = line.starts_with("end it");
        said.push(line);
        if is_last {
            break;
        }
    }
    let said = said.join("\n");
    expect_parts(&said, &["Deployment history ready", "1 component answer", "Ctrl-C"])?;
    let address = said.split_whitespace().find(|word| word.starts_with("http://"));
    curl(&[address.ok_or("no address")?])?;
    let pid = Pid::from_raw(i32::try_from(child.id())?).ok_or("no process")?;
    kill_process(pid, Signal::INT)?;
    assert_eq!(child.wait()?.code(), Some(0));
    world.nothing_left()
}

fn told(context: &Context) -> Result<(), Failed> {
    let elsewhere = SMALL.replace("http://127.0.0.1:26900", "https://minio.example.com");
    let world = World::new(context, &elsewhere)?;
    let said = world.run(&["platform", "up", "--detach"], 2)?;
    expect_parts(
        &said,
        &[
            "stoke::platform::secret",
            "key accessKey of Secret store-keys, which files names",
            "kubectl create secret",
        ],
    )?;
    let file = |text: &str| std::fs::write(world.work.path().join("platform.yaml"), text);
    file(&format!("{SMALL}  shuffle: {{kind: celeborn}}\n"))?;
    let said = world.run(&["platform", "up"], 2)?;
    expect_parts(&said, &["stoke::platform::embedded", "shuffle (", "without: [NAME]"])?;
    file(&SMALL.replace("memory: 256Mi", "memory: 900Gi"))?;
    let said = world.run(&["platform", "up"], 3)?;
    expect_parts(&said, &["stoke::platform::room", "900"])?;
    // An image that is nowhere: before anything is started.
    file(&SMALL.replace("store: files,", "store: files, image: 'registry.invalid/stoke:1',"))?;
    let said = world.run(&["platform", "up"], 3)?;
    expect_parts(&said, &["component history", "registry.invalid/stoke:1"])?;
    // Keys that someone else wrote, and that open nothing. The cluster is up and has the namespace since the first try, so that the Secret it asked for can be made there.
    file(SMALL)?;
    let keys = [
        "--from-literal=accessKey=of-others",
        "--from-literal=secretKey=of-others",
    ];
    let made = world
        .kubectl(&["create", "secret", "generic", "store-keys", "-n", "small"])
        .args(keys)
        .output()?;
    expect_code(&made, 0)?;
    let said = world.run(&["platform", "up", "--timeout", "12s"], 3)?;
    expect_parts(
        &said,
        &[
            "stoke::platform::not-ready",
            "Deployment history is not ready after 12 s",
            "event of pod history-",
            "log of pod history-",
            "kubectl logs -n small history-",
        ],
    )?;
    world.run(&["down"], 0)?;
    world.nothing_left()
}

/// A DAG run, with its Spark and the packages that it fetches at first, on a machine that does everything at once.
const RUN: Duration = Duration::from_secs(900);

impl World {
    /// Gives a pod's program something to read.
    fn tell(&self, arguments: &[&str], input: &str) -> Result<String, Failed> {
        let mut child = self
            .kubectl(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().ok_or("no input")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        expect_code(&output, 0)?;
        Ok(text(&output))
    }

    /// A value of a Secret of the platform.
    fn secret(&self, name: &str, key: &str) -> Result<String, Failed> {
        let template = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
        let output = self
            .kubectl(&["get", "secret", name, "-n", "lakehouse", "-o", &template])
            .output()?;
        expect_code(&output, 0)?;
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn lakehouse(context: &Context) -> Result<(), Failed> {
    let example = repository().join("examples/platform/lakehouse.yaml");
    let world = World::new(context, &std::fs::read_to_string(example)?)?;
    let brought = world.json(&["platform", "up", "--detach", "--timeout", "30m"])?;
    for (component, parts) in [
        ("history", "<html"),
        ("lake", "<html"),
        ("experiments", "<html"),
        ("notebooks", ""),
        ("schedules", "<html"),
    ] {
        let page = curl(&["-L", url(&brought, component)?])?;
        expect_parts(&page.to_lowercase(), &[parts])?;
    }
    for component in ["database", "metastore", "stream", "lab", "lab-legacy"] {
        url(&brought, component)?;
    }
    // No value of a Secret is said.
    for (name, key) in [
        ("database-login", "password"),
        ("notebooks-token", "token"),
        ("store-keys", "secretKey"),
    ] {
        assert!(!brought.to_string().contains(&world.secret(name, key)?), "{name}");
    }
    notebook(&world, &brought)?;
    schedule(&world)?;
    metastore(&world)?;
    let again = world.json(&["platform", "up"])?;
    assert_eq!(
        (&again["created"], &again["changed"]),
        (&0.into(), &0.into()),
        "{again}"
    );
    removed(&world)?;
    world.run(&["down", "--wipe"], 0)?;
    world.nothing_left()
}

/// What is others' keeps the namespace; without it nothing stays.
fn removed(world: &World) -> Result<(), Failed> {
    let down = ["platform", "down", "-e", "local", "--storage", "delete"];
    expect_parts(
        &world.run(&down, 0)?,
        &["namespace lakehouse stays: in it are ConfigMap orders"],
    )?;
    let delete = ["delete", "configmap", "orders", "-n", "lakehouse"];
    expect_code(&world.kubectl(&delete).output()?, 0)?;
    world.run(&down, 0)?;
    expect_parts(&world.asked(&["get", "namespace", "lakehouse"]), &["NotFound"])
}

/// A cell writes an Iceberg table through Connect, brings a topic into another, and reports a run.
fn notebook(world: &World, brought: &Value) -> Result<(), Failed> {
    let broker = url(brought, "stream")?;
    // At the address of this machine, with the image's own client.
    let produce = format!("kafka-console-producer.sh --bootstrap-server {broker} --topic orders");
    let exec = ["exec", "-i", "-n", "lakehouse", "stream-0", "--", "sh", "-c", &produce];
    world.tell(&exec, "tea for two\n")?;
    let python = world
        .home
        .path()
        .join("runtimes/programs/jupyterlab-4.6.6/venv/bin/python");
    let lab = url(brought, "notebooks")?.trim_end_matches("/lab").to_owned();
    let mut client = Command::new("timeout")
        .arg("900")
        .arg(python)
        .args(["-c", include_str!("programs/cell.py"), &lab])
        .arg(world.secret("notebooks-token", "token")?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = client.stdin.take().ok_or("no input")?;
    input.write_all(include_str!("platform_up/cells.py").as_bytes())?;
    drop(input);
    let said = client.wait_with_output()?;
    expect_code(&said, 0)?;
    expect_parts(&text(&said), &["orders 5", "said ['tea for two']", "run first"])
}

/// A DAG submits an application, wired to the catalog, that reads the table.
fn schedule(world: &World) -> Result<(), Failed> {
    let app = world.work.path().join("orders.yaml");
    std::fs::write(&app, include_str!("platform_up/orders.yaml"))?;
    let wired = world
        .stoke(&["platform", "wire", "orders.yaml", "-e", "local"])
        .output()?;
    expect_code(&wired, 0)?;
    let program = "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\nprint('read', spark.table('lake.shop.orders').count(), 'orders')\n";
    std::fs::write(world.work.path().join("orders.py"), program)?;
    let file = format!("--from-file={}", world.work.path().join("orders.py").display());
    let made = world
        .kubectl(&["create", "configmap", "orders", "-n", "lakehouse", &file])
        .output()?;
    expect_code(&made, 0)?;
    // As a synchronisation with a repository would: into both programs that read DAGs.
    for container in ["scheduler", "dag-processor"] {
        for (name, content) in [
            ("orders.yaml", String::from_utf8_lossy(&wired.stdout).into_owned()),
            ("orders.py", include_str!("platform_up/dag.py").to_owned()),
        ] {
            let write = format!("mkdir -p /opt/airflow/dags/team && cat > /opt/airflow/dags/team/{name}");
            let into = [
                "exec",
                "-i",
                "-n",
                "lakehouse",
                "deploy/schedules",
                "-c",
                container,
                "--",
                "sh",
                "-c",
                &write,
            ];
            world.tell(&into, &content)?;
        }
    }
    let airflow = |words: &[&str]| {
        let exec = [
            "exec",
            "-n",
            "lakehouse",
            "deploy/schedules",
            "-c",
            "scheduler",
            "--",
            "airflow",
        ];
        world.kubectl(&[&exec[..], words].concat()).output()
    };
    expect_code(&airflow(&["dags", "reserialize"])?, 0)?;
    expect_code(&airflow(&["dags", "trigger", "orders"])?, 0)?;
    let state = || {
        // Warnings stand before the answer.
        let said = airflow(&["dags", "list-runs", "orders", "--output", "json"]).map(|output| output.stdout);
        let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
        let answer = said.find("[{").map(|at| &said[at..]).unwrap_or_default();
        let runs: Value = serde_json::from_str(answer.trim()).unwrap_or_default();
        runs[0]["state"].as_str().unwrap_or_default().to_owned()
    };
    eventually("the DAG has run", RUN, || {
        std::thread::sleep(Duration::from_secs(5));
        ["success", "failed"].contains(&state().as_str())
    })?;
    let log = "cat $(find /opt/airflow/logs -name 'attempt*.log')";
    let log = world.asked(&[
        "exec",
        "-n",
        "lakehouse",
        "deploy/schedules",
        "-c",
        "scheduler",
        "--",
        "sh",
        "-c",
        log,
    ]);
    expect_parts(&log, &["read 5 orders"])
}

/// A table of the older Spark is one that Hive's metastore lists, out of its database.
fn metastore(world: &World) -> Result<(), Failed> {
    let sql = |statement: &str| {
        let asked = [
            "sql",
            "--server",
            "lab-legacy",
            "-n",
            "lakehouse",
            "--allow-writes",
            "--timeout",
            "300",
            statement,
        ];
        world.run(&asked, 0)
    };
    sql("CREATE TABLE teas (name STRING) USING parquet")?;
    sql("INSERT INTO teas VALUES ('green'), ('black')")?;
    expect_parts(&sql("SELECT count(*) AS teas FROM teas")?, &["2"])?;
    let ask = "PGPASSWORD=\"$POSTGRES_PASSWORD\" psql -h \"$POD_IP\" -U \"$POSTGRES_USER\" -d metastore -tAc 'SELECT \"TBL_NAME\" FROM \"TBLS\"'";
    let listed = world.asked(&["exec", "-n", "lakehouse", "database-0", "--", "sh", "-c", ask]);
    expect_parts(&listed, &["teas"])
}
