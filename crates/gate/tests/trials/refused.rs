//! What the gate of configuration says that Spark refuses to start with, real Sparks refuse; what it lets pass, they start with.
//!
//! What real Sparks do is recorded in `refused/`; by default the records are replayed. `STOKE_TESTS=full` starts the Sparks and fails where a record has drifted;
//! `STOKE_WRITE_RECORDS=1` beside it writes the records.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use stoke_diagnostics::Severity;
use stoke_gate::waivers::Waivers;
use stoke_gate::{Gate, Job, Settings, check, job};
use stoke_testkit::{Tier, trial};

const VERSIONS: [&str; 2] = ["3.5.9", "4.1.4"];
const DYNAMIC: &str = "spark.dynamicAllocation.enabled=true";
/// Configurations; each is judged by the gate and given to Spark.
const CASES: [&[&str]; 55] = [
    &["spark.executor.heartbeatInterval=200s"],
    &["spark.network.timeout=5s"],
    &["spark.network.timeout=300s", "spark.executor.heartbeatInterval=60s"],
    // Without a unit: milliseconds, and seconds.
    &["spark.executor.heartbeatInterval=20000"],
    &["spark.network.timeout=20000", "spark.executor.heartbeatInterval=10s"],
    &["spark.executor.cores=1", "spark.task.cpus=2"],
    &["spark.memory.offHeap.enabled=true"],
    &["spark.memory.offHeap.enabled=true", "spark.memory.offHeap.size=64m"],
    &["spark.memory.fraction=1.5"],
    &["spark.memory.fraction=0"],
    &["spark.memory.fraction=0.7"],
    &[
        DYNAMIC,
        "spark.dynamicAllocation.minExecutors=3",
        "spark.dynamicAllocation.maxExecutors=1",
    ],
    &[DYNAMIC, "spark.dynamicAllocation.shuffleTracking.enabled=false"],
    &[
        DYNAMIC,
        "spark.dynamicAllocation.shuffleTracking.enabled=false",
        "spark.decommission.enabled=true",
        "spark.storage.decommission.enabled=true",
        "spark.storage.decommission.shuffleBlocks.enabled=true",
    ],
    // A warning: it is only less than asked for.
    &[
        DYNAMIC,
        "spark.dynamicAllocation.initialExecutors=3",
        "spark.dynamicAllocation.maxExecutors=1",
    ],
    &[DYNAMIC],
    &["spark.network.timeout=20s"],
    &["spark.network.timeout=60s"],
    &["spark.network.timeoutInterval=200s"],
    &["spark.storage.blockManagerHeartbeatTimeoutMs=20000"],
    &["spark.storage.blockManagerHeartbeatTimeoutMs=70s"],
    &["spark.task.cpus=0"],
    &["spark.executor.memory=449m"],
    &["spark.executor.memory=450m"],
    &["spark.executor.memory=500"],
    &["spark.authenticate=false", "spark.network.crypto.enabled=true"],
    &[
        "spark.authenticate=true",
        "spark.authenticate.secret=x",
        "spark.network.crypto.enabled=true",
    ],
    &["spark.executor.extraJavaOptions=-Xmx2g"],
    &["spark.executor.extraJavaOptions=-Dspark.foo=1"],
    &["spark.executor.extraJavaOptions=-Xms1g"],
    &["spark.kryoserializer.buffer.max=2g"],
    &["spark.kryoserializer.buffer.max=2047m"],
    &["spark.kryoserializer.buffer=2048m"],
    &["spark.kryoserializer.buffer=128m"],
    &[DYNAMIC, "spark.dynamicAllocation.maxExecutors=0"],
    &[DYNAMIC, "spark.dynamicAllocation.minExecutors=-1"],
    &[DYNAMIC, "spark.dynamicAllocation.schedulerBacklogTimeout=0s"],
    &[DYNAMIC, "spark.dynamicAllocation.executorAllocationRatio=0"],
    &[DYNAMIC, "spark.dynamicAllocation.executorAllocationRatio=1.5"],
    &[DYNAMIC, "spark.dynamicAllocation.executorIdleTimeout=0s"],
    &[
        "spark.executor.resource.gpu.amount=1",
        "spark.task.resource.gpu.amount=2",
    ],
    &[
        "spark.executor.resource.gpu.amount=1",
        "spark.task.resource.gpu.amount=0.7",
    ],
    &[
        "spark.executor.resource.gpu.amount=1",
        "spark.task.resource.gpu.amount=0.5",
    ],
    &[
        "spark.executor.resource.gpu.amount=1",
        "spark.task.resource.gpu.amount=1",
    ],
    &["spark.speculation=true", "spark.speculation.interval=0"],
    &["spark.rpc.askTimeout=0"],
    &["spark.driver.port=500"],
    &["spark.blockManager.port=80"],
    &["spark.port.maxRetries=-1"],
    &["spark.serializer=Kryo"],
    &["spark.serializer=org.apache.spark.serializer.KryoSerialiser"],
    &["spark.serializer=org.apache.spark.serializer.KryoSerializer"],
    &["spark.shuffle.manager=hash"],
    &["spark.shuffle.manager=tungsten-sort"],
    &["spark.cleaner.periodicGC.interval=0"],
];

/// Starts a Spark with each configuration in a cluster of its own kind, which is not a `local[n]`: there dynamic allocation is not looked at.
const SCRIPT: &str = r#"
import json, sys
from pyspark import SparkConf, SparkContext
for case in json.loads(sys.argv[1]):
    conf = SparkConf(False).setMaster("local-cluster[1,1,1024]").setAppName("refused").set("spark.ui.enabled", "false")
    for pair in case:
        conf.set(*pair.split("=", 1))
    try:
        SparkContext(conf=conf).stop()
        print("started")
    except Exception:
        print("refused")
    SparkContext._active_spark_context = None
"#;

pub fn all() -> Vec<Trial> {
    let mut trials: Vec<Trial> = Vec::new();
    for version in VERSIONS {
        let name = format!("as recorded, Spark {version} refuses what the gate says it refuses");
        trials.push(trial(
            &name,
            Tier::Default,
            || Ok(()),
            move || agrees(&recorded(version)?),
        ));
        let name = format!("Spark {version} refuses what is recorded");
        let needs = move || python(version).map(|_| ());
        trials.push(trial(&name, Tier::Full, needs, move || as_recorded(version)));
    }
    trials
}

fn python(version: &str) -> Result<PathBuf, String> {
    let runtime = stoke_testkit::spark::spark(version)?;
    let python = runtime.python.ok_or("its Python environment is not known")?;
    Ok(python.environment.join("bin/python3"))
}

fn record(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/trials/refused/{version}.txt"))
}

/// What a Spark did with each case: `started` or `refused`, and the case.
fn recorded(version: &str) -> Result<Vec<String>, Failed> {
    let text = std::fs::read_to_string(record(version))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn as_recorded(version: &str) -> Result<(), Failed> {
    let live = asked(&python(version)?)?;
    if std::env::var_os("STOKE_WRITE_RECORDS").is_some() {
        std::fs::write(record(version), live.join("\n") + "\n")?;
    }
    if live == recorded(version)? {
        return Ok(());
    }
    let renew = "STOKE_TESTS=full STOKE_WRITE_RECORDS=1 cargo test -p stoke-gate --test refused";
    Err(format!(
        "{} is not what Spark does; {renew} writes it",
        record(version).display()
    )
    .into())
}

/// Whether the gate finds an error in a configuration.
fn is_refused(case: &[&str]) -> bool {
    let text: String = case
        .iter()
        .map(|pair| format!("{}\n", pair.replacen('=', " ", 1)))
        .collect();
    let job = Job {
        files: vec![job::of_bytes("spark-defaults.conf", text.as_bytes())],
        ..Job::default()
    };
    let settings = Settings {
        gates: vec![Gate::Conf],
        ..Settings::default()
    };
    let report = check(&job, &settings, &Waivers::default());
    report
        .findings()
        .any(|(_, finding)| finding.severity == Severity::Error)
}

/// Asks a real Spark.
fn asked(python: &Path) -> Result<Vec<String>, Failed> {
    let cases = serde_json::to_string(CASES.as_slice())?;
    let output = Command::new(python)
        .args(["-c", SCRIPT, &cases])
        .env_remove("SPARK_HOME")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if said.lines().count() != CASES.len() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(Failed::from(format!("{said}\n{error}")));
    }
    let lines = CASES.iter().zip(said.lines());
    Ok(lines.map(|(case, said)| format!("{said} {}", case.join(" "))).collect())
}

fn agrees(recorded: &[String]) -> Result<(), Failed> {
    let judged = CASES.iter().map(|case| {
        let said = if is_refused(case) { "refused" } else { "started" };
        format!("{said} {}", case.join(" "))
    });
    let judged: Vec<String> = judged.collect();
    if judged.len() != recorded.len() {
        return Err(format!("{} cases, {} recorded", judged.len(), recorded.len()).into());
    }
    let differing: Vec<String> = judged
        .iter()
        .zip(recorded)
        .filter(|(judged, recorded)| judged != recorded)
        .map(|(judged, recorded)| format!("the gate says {judged}; Spark: {recorded}"))
        .collect();
    if differing.is_empty() {
        Ok(())
    } else {
        Err(Failed::from(differing.join("\n")))
    }
}
