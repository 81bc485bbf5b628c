//! Hive Metastore 3.1.3 itself, from Maven Central, in the pod: stopped, and hung.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libtest_mimic::Failed;
use serde_json::json;
use stoke_observe::runbook::{Ending, Kind};
use stoke_testkit::maven;

use super::drill::{Drill, Given, no_one};
use super::of_stage;
use super::served::{Call, HANG};
use super::services::serves;
use super::stage::Stage;

/// Where it listens in each drill, at every address of the machine: drills that run at the same time must not answer for each other.
const STOPPED: u16 = 19083;
const HUNG: u16 = 19084;
/// Where its jars and its configuration are in a pod.
pub const HOME: &str = "/opt/metastore";
/// It looks into the JDK's own packages, and has a database of its own in the pod.
const RUN: &str = "exec 2>&1; java -Xmx400m --add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.net=ALL-UNNAMED \
    --add-opens=java.base/java.util=ALL-UNNAMED --add-opens=java.base/java.util.concurrent=ALL-UNNAMED \
    -cp '/opt/metastore/conf:/opt/metastore/jars/*' org.apache.hadoop.hive.metastore.HiveMetaStore -p PORT & echo $! > /tmp/pid; wait $!";
const SITE: &str = "<configuration>
<property><name>metastore.expression.proxy</name><value>org.apache.hadoop.hive.metastore.DefaultPartitionExpressionProxy</value></property>
<property><name>metastore.task.threads.always</name><value>org.apache.hadoop.hive.metastore.events.EventCleanerTask</value></property>
<property><name>datanucleus.schema.autoCreateAll</name><value>true</value></property>
<property><name>metastore.schema.verification</name><value>false</value></property>
<property><name>javax.jdo.option.ConnectionURL</name><value>jdbc:derby:;databaseName=/tmp/metastore-db;create=true</value></property>
<property><name>metastore.warehouse.dir</name><value>/tmp/warehouse</value></property>
</configuration>
";

/// Where it is kept for all tests.
pub fn directory() -> PathBuf {
    stoke_testkit::spark::home().join("hive-metastore-3.1.3")
}

/// It is there, brought from Maven Central by sum, or why it cannot be had.
fn installed() -> Result<(), String> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    DONE.get_or_init(|| {
        stoke_testkit::program("java", "apt-get install openjdk-17-jre-headless")?;
        bring(&directory())
    })
    .clone()
}

fn bring(directory: &Path) -> Result<(), String> {
    let says = |error: std::io::Error| error.to_string();
    let jars = directory.join("jars");
    std::fs::create_dir_all(directory.join("conf")).map_err(says)?;
    for line in include_str!("metastore.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (sum, path) = line.split_once(' ').ok_or("metastore.txt: a line is SUM PATH")?;
        maven::bring(&jars, path, sum)?;
    }
    std::fs::write(directory.join("conf/metastore-site.xml"), SITE).map_err(says)
}

async fn real(stage: &Stage, replicas: u32, port: u16) -> Result<Given, Failed> {
    let run = RUN.replace("PORT", &port.to_string());
    // Of two at once one would have no port.
    let more = json!({"strategy": {"type": "Recreate"}});
    let probe = json!({"tcpSocket": {"port": port}, "periodSeconds": 1});
    stage
        .service(Kind::Deployment, "hive", replicas, &run, probe, more)
        .await?;
    stage.schedule("nightly", "0 3 * * *", "exit 0").await?;
    Ok(vec![
        ("workload", "deployment/hive".to_owned()),
        ("port", port.to_string()),
    ])
}

pub fn drills() -> Vec<Drill> {
    vec![
        Drill {
            runbook: "metastore-outage",
            branch: "Hive Metastore 3.1.3 stopped",
            quick: false,
            needs: Some(installed),
            inject: of_stage!(stage, real(stage, 0, STOPPED).await),
            symptom: of_stage!(stage, Ok(!serves(stage, "hive", STOPPED, Call::Thrift).await?)),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "metastore-outage",
            branch: "Hive Metastore 3.1.3 hangs",
            quick: false,
            needs: Some(installed),
            inject: of_stage!(stage, {
                let given = real(stage, 1, HUNG).await?;
                stage
                    .until("it answers", async || serves(stage, "hive", HUNG, Call::Thrift).await)
                    .await?;
                for pod in stage.pods_of("hive").await? {
                    stage.exec(&pod, &HANG).await?;
                }
                Ok(given)
            }),
            symptom: of_stage!(stage, Ok(!serves(stage, "hive", HUNG, Call::Thrift).await?)),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
    ]
}
