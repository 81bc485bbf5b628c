//! Faults: what is broken, which alerts that fires, how it is repaired.

use std::process::Command;

use libtest_mimic::Failed;

use super::apply;
use crate::common::expect_code;
use crate::up::Up;

/// A fault.
pub struct Fault {
    /// As alerts name it.
    pub name: &'static str,
    /// Faults of a group are there at the same time.
    pub group: u8,
    pub alerts: &'static [&'static str],
    pub inject: fn(&Up) -> Result<(), Failed>,
    pub repair: fn(&Up) -> Result<(), Failed>,
}

/// The group whose faults are runs.
pub const WITH_SPARK: u8 = 2;

/// Alerts of an operator that stops, which [`super::operator`] fires.
pub const OF_A_STOPPED_OPERATOR: &[(&str, &str)] = &[
    ("operator-killed", "StokeOperatorDown"),
    ("lease-held-by-another", "StokeOperatorWithoutLease"),
    ("operator-paused-over-due-time", "StokeScheduleMissed"),
    ("log-store-unwritable", "StokeLogsNotKept"),
];

/// Alerts that no fault fires here yet, and why.
pub const WITHOUT_A_FAULT: &[(&str, &str)] = &[
    ("StokeGarbageCollection", "a heap that is full enough but not too full"),
    ("StokeObjectStoreSlow", "needs a slow store"),
    ("StokeOperatorBehind", "needs a slow API server"),
    ("StokeApiServerErrors", "needs an API server that fails"),
    ("StokeWebhookSlow", "needs a webhook"),
    ("StokeCertificateEnds", "needs a webhook"),
    ("StokeWatchdog", "fires always: that is looked at"),
    ("StokeHistoryDown", "the History Server of `stoke up` ends with it"),
];

/// Scripts of the applications.
pub const SCRIPTS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: scripts}
data:
  exit.py: |
    import sys
    raise ValueError("planted")
  away.py: |
    import urllib.request
    urllib.request.urlopen("http://127.0.0.1:9/bucket/key")
  quick.py: |
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    print(spark.sparkContext.parallelize(range(8), 4).map(lambda x: x * x).sum())
    spark.stop()
  long.py: |
    import time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    begun = time.time()
    while time.time() - begun < 300:
        spark.sparkContext.parallelize(range(8), 4).map(lambda x: x * x).sum()
        time.sleep(0.5)
  eat.py: |
    kept = []
    while True:
        kept.append(bytearray(20_000_000))
  sleep.py: |
    import time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    spark.sparkContext.parallelize(range(4), 2).map(lambda x: x).sum()
    spark.sparkContext.parallelize([1], 1).map(lambda x: time.sleep(900)).collect()
  kill.py: |
    import os, signal, time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    def kill(x):
        for process in os.listdir("/proc"):
            if process.isdigit():
                try:
                    if "java" in open(f"/proc/{process}/cmdline").read().split("\0")[0]:
                        os.kill(int(process), signal.SIGKILL)
                except OSError:
                    pass
        time.sleep(60)
    spark.sparkContext.parallelize(range(4), 4).foreach(kill)
  hungry.py: |
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    def eat(x):
        kept = []
        while True:
            kept.append(bytearray(20_000_000))
    spark.sparkContext.parallelize(range(1), 1).foreach(eat)
  stumble.py: |
    import time
    from pyspark import TaskContext
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    def stumble(x):
        if TaskContext.get().attemptNumber() == 0:
            raise ValueError("planted")
    begun = time.time()
    while time.time() - begun < 300:
        spark.sparkContext.parallelize(range(4), 4).foreach(stumble)
  crowd.py: |
    import time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    begun = time.time()
    while time.time() - begun < 300:
        spark.sparkContext.parallelize(range(400), 400).count()
  metastore.py: |
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.enableHiveSupport().getOrCreate()
    spark.sql("SELECT * FROM planted").show()
"#;

/// An application of a script, with more of a spec.
pub fn application(name: &str, script: &str, more: &str) -> String {
    format!(
        "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {{name: {name}, labels: {{team: data}}}}\nspec:\n{}",
        spec(script, more)
    )
}

fn spec(script: &str, more: &str) -> String {
    let (executor, conf) = match more.strip_prefix("executor ") {
        Some(executor) => (executor, ""),
        None => ("", more),
    };
    format!(
        "  type: Python\n  mode: cluster\n  image: apache/spark:4.1.4\n  sparkVersion: 4.1.4\n  mainApplicationFile: local:///scripts/{script}\n  restartPolicy: {{type: Never}}\n  sparkConf: {{spark.executor.maxNumFailures: \"1000\", spark.task.maxFailures: \"100\", {conf}}}\n  driver: {{cores: 1, coreRequest: 100m, memory: 512m, serviceAccount: spark-operator-spark, configMaps: [{{name: scripts, path: /scripts}}]}}\n  executor: {{instances: 1, cores: 1, coreRequest: 100m, memory: 512m{executor}}}\n"
    )
}

pub fn schedule(name: &str, script: &str, cron: &str) -> String {
    let template = spec(script, "").replace("\n  ", "\n    ");
    format!(
        "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: ScheduledSparkApplication\nmetadata: {{name: {name}, labels: {{team: data}}}}\nspec:\n  schedule: \"{cron}\"\n  concurrencyPolicy: Forbid\n  failedRunHistoryLimit: 1\n  template:\n    {}",
        template.trim_start()
    )
}

/// Begins a run of a schedule now.
fn trigger(up: &Up, name: &str, mark: &str) -> Result<(), Failed> {
    let annotation = format!("stoke.dev/trigger={mark}");
    let object = format!("scheduledsparkapplication/{name}");
    expect_code(
        &up.kubectl(&["annotate", "--overwrite", &object, &annotation])
            .output()?,
        0,
    )
}

fn wait_failed(up: &Up, name: &str, failures: usize) -> Result<(), Failed> {
    let servers = super::Servers::of(up)?;
    let query = format!("stoke_job_failures_in_a_row{{app=\"{name}\"}} >= {failures}");
    crate::common::eventually(&query, std::time::Duration::from_secs(120), || {
        servers.count(&query) > 0
    })
}

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "schedule-with-wrong-cron",
        group: 1,
        alerts: &["StokeScheduleInvalid"],
        inject: |up| apply(up, &schedule("wrong", "quick.py", "every now and then")),
        repair: |up| Fault::deletes(up, &["scheduledsparkapplication/wrong"]),
    },
    Fault {
        name: "quota-of-nothing",
        group: 1,
        alerts: &["StokeQuotaFull"],
        inject: |up| {
            apply(
                up,
                "apiVersion: v1\nkind: Namespace\nmetadata: {name: full}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: spark-operator-spark, namespace: full}\n---\napiVersion: v1\nkind: ResourceQuota\nmetadata: {name: none, namespace: full}\nspec: {hard: {pods: \"0\"}}\n",
            )?;
            let application = application("refused", "quick.py", "");
            apply(
                up,
                &application.replace("name: refused,", "name: refused, namespace: full,"),
            )
        },
        repair: |up| {
            let arguments = ["delete", "sparkapplication/refused", "-n", "full", "--wait=false"];
            expect_code(&up.kubectl(&arguments).output()?, 0)
        },
    },
    Fault {
        name: "data-break-contract",
        group: 1,
        alerts: &["StokeContractBroken"],
        inject: |up| {
            apply(
                up,
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: contracts}\ndata:\n  rates.yaml: |\n    name: rates\n    rows: {min: 3}\n  rates.csv: |\n    currency,rate\n    EUR,1.0\n",
            )?;
            let application = application("judged", "quick.py", "")
                .replace("path: /scripts}]", "path: /scripts}, {name: contracts, path: /data}]");
            let annotated = application.replace(
                "labels: {team: data}}",
                "labels: {team: data}, annotations: {stoke.dev/quality: '{\"before\": [{\"contract\": \"contracts/rates.yaml\", \"data\": \"/data/rates.csv\"}]}'}}",
            );
            apply(up, &annotated)
        },
        repair: |up| Fault::deletes(up, &["sparkapplication/judged"]),
    },
    Fault {
        name: "connect-server-cannot-start",
        group: 1,
        alerts: &["StokeConnectDown", "StokePageUnanswered"],
        inject: |up| {
            apply(
                up,
                "apiVersion: sparkoperator.k8s.io/v1alpha1\nkind: SparkConnect\nmetadata: {name: lab}\nspec:\n  sparkVersion: 4.1.4\n  image: apache/spark:4.1.4\n  server: {cores: 1, memory: 512m, template: {spec: {nodeSelector: {nobody: has-this}}}}\n  executor: {instances: 1, cores: 1, memory: 512m}\n",
            )
        },
        repair: |up| Fault::deletes(up, &["sparkconnect/lab"]),
    },
    Fault {
        name: "driver-unschedulable",
        group: 1,
        alerts: &["StokeJobWaiting"],
        inject: |up| {
            apply(
                up,
                &application("waits", "quick.py", "").replace(
                    "cores: 1, coreRequest: 100m, memory: 512m, serviceAccount",
                    "cores: 1, coreRequest: \"900\", memory: 512m, serviceAccount",
                ),
            )
        },
        repair: |up| Fault::deletes(up, &["sparkapplication/waits"]),
    },
    Fault {
        name: "policy-that-does-not-parse",
        group: 1,
        alerts: &["StokePoliciesBroken"],
        inject: |up| {
            apply(
                up,
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: broken, labels: {stoke.dev/policy: \"true\"}}\ndata:\n  broken.rego: |\n    package broken\n    deny[message {\n",
            )
        },
        repair: |up| Fault::deletes(up, &["configmap/broken"]),
    },
    Fault {
        name: "event-log-directory-unreadable",
        group: 1,
        alerts: &["StokeHistoryBehind"],
        inject: |up| {
            Ok(std::fs::rename(
                up.home().join("event-logs"),
                up.home().join("event-logs-away"),
            )?)
        },
        repair: |up| {
            Ok(std::fs::rename(
                up.home().join("event-logs-away"),
                up.home().join("event-logs"),
            )?)
        },
    },
    Fault {
        name: "driver-exits-1",
        group: WITH_SPARK,
        alerts: &["StokeJobFailed"],
        inject: |up| apply(up, &application("fails", "exit.py", "")),
        repair: |up| Fault::deletes(up, &["sparkapplication/fails"]),
    },
    Fault {
        name: "driver-exits-1-three-times",
        group: WITH_SPARK,
        alerts: &["StokeJobFailingAgainAndAgain"],
        inject: |up| {
            apply(up, &schedule("again", "exit.py", "0 0 1 1 *"))?;
            for run in 1..=3 {
                trigger(up, "again", &run.to_string())?;
                wait_failed(up, "again", run)?;
            }
            Ok(())
        },
        repair: |up| Fault::deletes(up, &["scheduledsparkapplication/again"]),
    },
    Fault {
        name: "run-longer-than-interval",
        group: WITH_SPARK,
        alerts: &["StokeScheduleSkips"],
        inject: |up| {
            apply(up, &schedule("slow", "long.py", "0 0 1 1 *"))?;
            for mark in ["a", "b", "c"] {
                trigger(up, "slow", mark)?;
                std::thread::sleep(std::time::Duration::from_secs(3));
            }
            Ok(())
        },
        repair: |up| Fault::deletes(up, &["scheduledsparkapplication/slow"]),
    },
    Fault {
        name: "event-log-removed",
        group: WITH_SPARK,
        alerts: &["StokeEventLogMissing"],
        inject: |up| {
            apply(up, &application("unwritten", "quick.py", ""))?;
            let done = [
                "wait",
                "sparkapplication/unwritten",
                "--for=jsonpath={.status.applicationState.state}=COMPLETED",
                "--timeout=180s",
            ];
            expect_code(&up.kubectl(&done).output()?, 0)?;
            moved(up, "event-logs", "event-logs-taken")
        },
        repair: |up| moved(up, "event-logs-taken", "event-logs"),
    },
    Fault {
        name: "driver-oom",
        group: 3,
        alerts: &["StokeJobOutOfMemory"],
        inject: |up| apply(up, &application("eats", "eat.py", "")),
        repair: |up| Fault::deletes(up, &["sparkapplication/eats"]),
    },
    Fault {
        name: "metastore-address-unserved",
        group: 3,
        alerts: &["StokeMetastoreUnreachable"],
        inject: |up| {
            apply(
                up,
                &application(
                    "tables",
                    "metastore.py",
                    "spark.hadoop.hive.metastore.uris: \"thrift://127.0.0.1:1\", spark.sql.catalogImplementation: hive",
                ),
            )
        },
        repair: |up| Fault::deletes(up, &["sparkapplication/tables"]),
    },
    Fault {
        name: "store-address-unserved",
        group: 3,
        alerts: &["StokeObjectStoreRefuses"],
        inject: |up| {
            apply(up, &application("away-one", "away.py", ""))?;
            apply(up, &application("away-two", "away.py", ""))
        },
        repair: |up| Fault::deletes(up, &["sparkapplication/away-one", "sparkapplication/away-two"]),
    },
    Fault {
        name: "executors-unschedulable",
        group: 3,
        alerts: &["StokeExecutorsWaiting"],
        inject: |up| {
            let waits = application("lonely", "long.py", "");
            apply(
                up,
                &waits.replace(
                    "cores: 1, coreRequest: 100m, memory: 512m}",
                    "cores: 1, coreRequest: \"900\", memory: 512m}",
                ),
            )
        },
        repair: |up| Fault::deletes(up, &["sparkapplication/lonely"]),
    },
    Fault {
        name: "executors-killed",
        group: 3,
        alerts: &["StokeExecutorsChurning"],
        inject: |up| {
            apply(
                up,
                &application("churns", "kill.py", "").replace("executor: {instances: 1", "executor: {instances: 3"),
            )
        },
        repair: |up| Fault::deletes(up, &["sparkapplication/churns"]),
    },
    Fault {
        name: "executor-oom",
        group: 4,
        alerts: &["StokeExecutorsOutOfMemory"],
        inject: |up| apply(up, &application("hungry", "hungry.py", "")),
        repair: |up| Fault::deletes(up, &["sparkapplication/hungry"]),
    },
    Fault {
        name: "task-sleeps",
        group: 4,
        alerts: &["StokeJobStuck"],
        inject: |up| apply(up, &application("sleeps", "sleep.py", "")),
        repair: |up| Fault::deletes(up, &["sparkapplication/sleeps"]),
    },
    Fault {
        name: "tasks-fail-first",
        group: 4,
        alerts: &["StokeTasksFail"],
        inject: |up| apply(up, &application("stumbles", "stumble.py", "")),
        repair: |up| Fault::deletes(up, &["sparkapplication/stumbles"]),
    },
    Fault {
        name: "listener-queue-of-one",
        group: 4,
        alerts: &["StokeListenerEventsDropped"],
        inject: |up| {
            apply(
                up,
                &application(
                    "crowded",
                    "crowd.py",
                    "spark.scheduler.listenerbus.eventqueue.capacity: \"1\"",
                ),
            )
        },
        repair: |up| Fault::deletes(up, &["sparkapplication/crowded"]),
    },
    Fault {
        name: "none-needed",
        group: 5,
        alerts: &[],
        inject: |up| {
            let servers = super::Servers::of(up)?;
            assert!(
                !servers.active("StokeWatchdog").is_empty(),
                "the heartbeat is always there"
            );
            Ok(())
        },
        repair: |_| Ok(()),
    },
    Fault {
        name: "schedule-fails-after-success",
        group: 5,
        alerts: &["StokeJobOverdue"],
        inject: |up| {
            apply(up, &schedule("minutely", "quick.py", "* * * * *"))?;
            let servers = super::Servers::of(up)?;
            let known = "stoke_job_usual_seconds{app=\"minutely\"}";
            crate::common::eventually(known, std::time::Duration::from_secs(180), || servers.count(known) > 0)?;
            apply(up, &schedule("minutely", "exit.py", "* * * * *"))
        },
        repair: |up| Fault::deletes(up, &["scheduledsparkapplication/minutely"]),
    },
    Fault {
        name: "run-takes-longer-than-before",
        group: 5,
        alerts: &["StokeJobLate"],
        inject: |up| {
            apply(up, &schedule("late", "quick.py", "0 0 1 1 *"))?;
            trigger(up, "late", "short")?;
            let servers = super::Servers::of(up)?;
            let known = "stoke_job_usual_seconds{app=\"late\"}";
            crate::common::eventually(known, std::time::Duration::from_secs(180), || servers.count(known) > 0)?;
            apply(up, &schedule("late", "long.py", "0 0 1 1 *"))?;
            trigger(up, "late", "long")
        },
        repair: |up| Fault::deletes(up, &["scheduledsparkapplication/late"]),
    },
    Fault {
        name: "executors-evicted",
        group: 6,
        alerts: &["StokeExecutorsDisrupted"],
        inject: |up| {
            let three =
                application("evicted", "long.py", "").replace("executor: {instances: 1", "executor: {instances: 3");
            apply(up, &three)?;
            let running = "count(metrics_executor_maxTasks{app=\"evicted\",executor_id!=\"driver\"}) >= 3";
            let servers = super::Servers::of(up)?;
            crate::common::eventually(running, std::time::Duration::from_secs(180), || {
                servers.count(running) > 0
            })?;
            let node = up
                .kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"])
                .output()?;
            let node = String::from_utf8(node.stdout)?;
            let drain = [
                "drain",
                &node,
                "--pod-selector=spark-role=executor",
                "--force",
                "--delete-emptydir-data",
                "--timeout=90s",
            ];
            expect_code(&up.kubectl(&drain).output()?, 0)?;
            expect_code(&up.kubectl(&["uncordon", &node]).output()?, 0)
        },
        repair: |up| Fault::deletes(up, &["sparkapplication/evicted"]),
    },
];

/// Moves the event log of the application `unwritten`.
fn moved(up: &Up, from: &str, to: &str) -> Result<(), Failed> {
    let id = up
        .kubectl(&[
            "get",
            "sparkapplication",
            "unwritten",
            "-o",
            "jsonpath={.status.sparkApplicationId}",
        ])
        .output()?;
    let id = String::from_utf8(id.stdout)?;
    let (from, to) = (up.home().join(from), up.home().join(to));
    std::fs::create_dir_all(&to)?;
    let name = std::fs::read_dir(&from)?
        .flatten()
        .map(|entry| entry.file_name())
        .find(|name| name.to_string_lossy().contains(&id));
    let name = name.ok_or_else(|| format!("no event log of {id}"))?;
    let moved = Command::new("mv").arg(from.join(&name)).arg(to.join(&name)).status()?;
    assert!(moved.success());
    Ok(())
}
