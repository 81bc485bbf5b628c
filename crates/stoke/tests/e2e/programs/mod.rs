//! Components of a platform as pods of the embedded cluster: the programs that their images mean, really started and used.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::common::{Context, Need, eventually, expect_code, expect_parts, full, program, reached, stoke, text};
use crate::up::Up;

/// The first start of a program includes its download.
const READY: Duration = Duration::from_secs(600);
/// How long a started program may take again, on a busy machine.
const AGAIN: Duration = Duration::from_secs(180);

pub fn trials(context: &Context) -> Vec<Trial> {
    let needs = || {
        let kubectl = program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
        vec![full(), kubectl, reached("repo1.maven.org:443"), context.spark("4.1.4")]
    };
    let package = context.package("org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0");
    let with_iceberg: Vec<Need> = needs().into_iter().chain([package]).collect();
    vec![
        context.trial(
            "programs: they are listed, and a version there is not is told",
            &[],
            listed,
        ),
        context.trial(
            "programs: PySpark through Hive Metastore on PostgreSQL, killed and healed",
            &needs(),
            metastore,
        ),
        context.trial(
            "programs: a notebook cell writes an Iceberg table through Connect",
            &with_iceberg,
            notebook,
        ),
        context.trial(
            "programs: Kafka keeps a message over the death of its pod",
            &needs(),
            kafka,
        ),
        context.trial("programs: MLflow gets a run over REST and keeps it", &needs(), mlflow),
        context.trial("programs: Nessie makes an Iceberg table over REST", &needs(), nessie),
        context.trial("programs: a DAG of Airflow submits an application", &needs(), airflow),
    ]
}

fn listed(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let output = stoke(home.path(), ["runtime", "list", "--output", "json"]).output()?;
    expect_code(&output, 0)?;
    let all: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let kafka = all
        .iter()
        .find(|entry| entry["program"] == "kafka")
        .ok_or("kafka is not listed")?;
    if kafka["image"] != "apache/kafka:4.1.2" || kafka["download"].as_u64().is_none_or(|bytes| bytes < 10_000_000) {
        return Err(format!("{kafka}").into());
    }
    let unknown = stoke(home.path(), ["runtime", "install", "zookeeper"]).output()?;
    expect_code(&unknown, 2)?;
    expect_parts(
        &text(&unknown),
        &["stoke::runtime::version", "hive-metastore", "airflow"],
    )?;
    let empty = tempfile::tempdir()?;
    let missing = stoke(empty.path(), ["runtime", "remove", "kafka"]).output()?;
    expect_code(&missing, 2)?;
    expect_parts(&text(&missing), &["Apache Kafka 4.1.2 is not installed"])
}

impl Up {
    fn apply(&self, manifest: &str) -> Result<(), Failed> {
        let mut child = self
            .kubectl(&["apply", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        child.stdin.take().ok_or("no input")?.write_all(manifest.as_bytes())?;
        match child.wait()?.success() {
            true => Ok(()),
            false => Err("kubectl apply failed".into()),
        }
    }

    fn asked(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments).output();
        output.map(|output| text(&output)).unwrap_or_default()
    }

    /// Waits until one pod of a workload (`deployment/metastore`) is ready.
    fn ready(&self, workload: &str, within: Duration) -> Result<(), Failed> {
        let ask = ["get", workload, "-o", "jsonpath={.status.readyReplicas}"];
        eventually(&format!("{workload} ready"), within, || {
            std::thread::sleep(Duration::from_millis(500));
            self.asked(&ask) == "1"
        })
        .map_err(|error| {
            let seen = self.asked(&["get", "pods,events"]);
            let log = self.asked(&["logs", workload, "--all-containers", "--tail=30"]);
            format!("{error:?}\n{seen}\n{log}").into()
        })
    }

    /// Kills a pod without a word, and waits for the one that takes its place.
    fn heals(&self, selector: &str, workload: &str) -> Result<(), Failed> {
        let named = ["get", "pod", "-l", selector, "-o", "jsonpath={.items[0].metadata.uid}"];
        let before = self.asked(&named);
        let killed = self
            .kubectl(&["delete", "pod", "-l", selector, "--grace-period=0", "--force"])
            .output()?;
        expect_code(&killed, 0)?;
        eventually("another pod", AGAIN, || {
            let now = self.asked(&named);
            now.len() == before.len() && now != before
        })?;
        self.ready(workload, AGAIN)
    }

    fn address(&self, pod: &str) -> String {
        self.asked(&["get", "pod", pod, "-o", "jsonpath={.status.podIP}"])
    }

    /// Runs the job of `job.yaml` and gives what it says.
    fn job(&self, action: &str) -> Result<String, Failed> {
        self.apply(&include_str!("job.yaml").replace("ACTION", action))?;
        let ask = ["get", "pod", action, "-o", "jsonpath={.status.phase}"];
        eventually("the job is over", AGAIN, || {
            std::thread::sleep(Duration::from_millis(500));
            ["Succeeded", "Failed"].contains(&self.asked(&ask).as_str())
        })?;
        Ok(self.asked(&["logs", action]))
    }
}

fn metastore(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    up.apply(include_str!("metastore.yaml"))?;
    up.ready("statefulset/database", READY)?;
    up.ready("deployment/metastore", READY)?;
    let said = ["databases ['default', 'sales'] rows 7"];
    expect_parts(&up.job("write")?, &said)?;
    up.heals("app=database", "statefulset/database")?;
    up.heals("app=metastore", "deployment/metastore")?;
    expect_parts(&up.job("read")?, &said)?;
    up.down()
}

/// The cell of a person.
const CELL: &str = r#"
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.shop")
spark.sql("CREATE TABLE lake.shop.orders (id BIGINT) USING iceberg")
spark.range(5).writeTo("lake.shop.orders").append()
print("rows", spark.table("lake.shop.orders").count(), [row.operation for row in spark.table("lake.shop.orders.snapshots").collect()])
"#;

fn notebook(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    // A metastore has its port on all addresses, and another test's may run beside this one.
    let port = "- { name: METASTORE_PORT, value: \"9183\" }\n            - { name: IS_RESUME";
    let metastore = include_str!("metastore.yaml").replace("9083", "9183");
    up.apply(&metastore.replace("- { name: IS_RESUME", port))?;
    up.ready("deployment/metastore", READY)?;
    up.apply(&include_str!("notebook.yaml").replace("9083", "9183"))?;
    up.ready("statefulset/notebook", READY)?;
    let ask = ["get", "sparkconnect", "lab", "-o", "jsonpath={.status}"];
    eventually("Connect is ready", READY, || up.asked(&ask).contains("\"Ready\""))?;
    // Its own Python has a client of web sockets.
    let python = up.home().join("runtimes/programs/jupyterlab-4.6.6/venv/bin/python");
    let url = format!("http://{}:8888", up.address("notebook-0"));
    let mut client = std::process::Command::new("timeout")
        .arg("300")
        .arg(python)
        .args(["-c", include_str!("cell.py"), &url, "of-a-test"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    client.stdin.take().ok_or("no input")?.write_all(CELL.as_bytes())?;
    let said = client.wait_with_output()?;
    expect_code(&said, 0)?;
    expect_parts(&text(&said), &["rows 5 ['append']"])?;
    up.down()
}

fn kafka(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    up.apply(include_str!("kafka.yaml"))?;
    up.ready("statefulset/kafka", READY)?;
    let says = "echo 'tea for two' | kafka-console-producer.sh --bootstrap-server localhost:9092 --topic orders";
    expect_code(&up.kubectl(&["exec", "kafka-0", "--", "sh", "-c", says]).output()?, 0)?;
    up.heals("app=kafka", "statefulset/kafka")?;
    let heard = "kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic orders --from-beginning --max-messages 1 --timeout-ms 60000";
    let heard = up.kubectl(&["exec", "kafka-0", "--", "sh", "-c", heard]).output()?;
    expect_parts(&text(&heard), &["tea for two"])?;
    up.down()
}

/// Asks a server of a pod with curl, which every machine with kubectl's tests has.
fn curl(url: &str, body: Option<Value>) -> Result<Value, Failed> {
    let mut command = std::process::Command::new("curl");
    command.args(["-sS", "--fail-with-body", "-m", "60", url]);
    if let Some(body) = body {
        command.args(["-H", "Content-Type: application/json", "-d", &body.to_string()]);
    }
    let output = command.output()?;
    expect_code(&output, 0)?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn mlflow(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    up.apply(include_str!("mlflow.yaml"))?;
    up.ready("statefulset/mlflow", READY)?;
    let url = |call: &str| format!("http://{}:5000/api/2.0/mlflow/{call}", up.address("mlflow-0"));
    let experiment = curl(&url("experiments/create"), Some(json!({"name": "tea"})))?;
    let run = json!({"experiment_id": experiment["experiment_id"], "run_name": "first"});
    curl(&url("runs/create"), Some(run))?;
    up.heals("app=mlflow", "statefulset/mlflow")?;
    let search = json!({"experiment_ids": [experiment["experiment_id"]]});
    let found = curl(&url("runs/search"), Some(search))?;
    expect_parts(&found.to_string(), &["\"run_name\":\"first\""])?;
    up.down()
}

fn nessie(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    up.apply(include_str!("nessie.yaml"))?;
    up.ready("deployment/nessie", READY)?;
    let pod = up.asked(&[
        "get",
        "pod",
        "-l",
        "app=nessie",
        "-o",
        "jsonpath={.items[0].metadata.name}",
    ]);
    let url = |call: &str| format!("http://{}:19120/iceberg/v1/{call}", up.address(&pod));
    curl(
        &url("main/namespaces"),
        Some(json!({"namespace": ["shop"], "properties": {}})),
    )?;
    let fields = json!([{"id": 1, "name": "id", "required": false, "type": "long"}]);
    let table = json!({
        "name": "orders", "stage-create": false, "properties": {}, "partition-spec": {"spec-id": 0, "fields": []},
        "write-order": {"order-id": 0, "fields": []},
        "schema": {"type": "struct", "schema-id": 0, "identifier-field-ids": [], "fields": fields},
    });
    let made = curl(&url("main/namespaces/shop/tables"), Some(table))?;
    expect_parts(&made.to_string(), &["s3://spark/nessie/", "\"format-version\":2"])?;
    up.down()
}

fn airflow(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    up.apply(include_str!("airflow.yaml"))?;
    up.ready("statefulset/airflow", READY)?;
    let runs = [
        "exec",
        "airflow-0",
        "--",
        "airflow",
        "dags",
        "list-runs",
        "spark_pi",
        "--output",
        "json",
    ];
    let state = || {
        // Warnings stand before the answer.
        let said = up
            .kubectl(&runs)
            .output()
            .map(|output| output.stdout)
            .unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let answer = said.find("[{").map(|at| &said[at..]).unwrap_or_default();
        let runs: Value = serde_json::from_str(answer.trim()).unwrap_or_default();
        runs[0]["state"].as_str().unwrap_or_default().to_owned()
    };
    eventually("the DAG has run", READY, || {
        std::thread::sleep(Duration::from_secs(2));
        ["success", "failed"].contains(&state().as_str())
    })?;
    let log = up.asked(&[
        "exec",
        "airflow-0",
        "--",
        "sh",
        "-c",
        "cat $(find /opt/airflow/logs -name 'attempt*.log')",
    ]);
    expect_parts(&log, &["Pi is roughly 3.1"])?;
    up.down()
}
