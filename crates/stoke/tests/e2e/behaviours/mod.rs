//! What people rely on in an operator for Spark, each with real applications, kubectl and nothing else.
//!
//! On an embedded cluster, or, with no change, on any other: `STOKE_TEST_CONTEXT=my-cluster cargo test -p stoke --test e2e -- behaviour` applies
//! the definitions of the chart there, runs our operator from this machine for namespaces of its own, and deletes those in the end. The
//! definitions stay. `STOKE_TEST_IMAGE` is a Spark with Python (`apache/spark:4.1.4`).

pub mod ground;

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::common::{Context, Need, expect_parts, full, program};
use ground::{Shared, Stage};

pub type Behaviour = fn(&Stage<'_>) -> Result<(), Failed>;

pub const BEHAVIOURS: [(&str, Behaviour); 11] = [
    ("an application completes and its log has the result", completes),
    ("one that fails is tried again as often as its policy allows", retried),
    (
        "a driver that cannot start is given up in time, with the reason",
        never_starts,
    ),
    ("secrets, ConfigMaps and variables are where they should be", mounted),
    ("suspended it has no pods; resumed it completes", suspended),
    ("an edit ends the run and begins another", edited),
    ("deleted it takes everything along", deleted),
    ("a driver that is deleted is replaced by one", driver_lost),
    ("executors come with work, and the status counts them", executors),
    (
        "a schedule starts runs, keeps its history short, and can be suspended",
        scheduled,
    ),
    ("an ended application goes after its time to live", short_lived),
];

/// Those of tier `full`; on a cluster that `STOKE_TEST_CONTEXT` names all of them run.
const FULL: [&str; 6] = [
    "secrets, ConfigMaps and variables are where they should be",
    "an edit ends the run and begins another",
    "a driver that is deleted is replaced by one",
    "executors come with work, and the status counts them",
    "a schedule starts runs, keeps its history short, and can be suspended",
    "an ended application goes after its time to live",
];

pub fn trials(context: &Context) -> Vec<Trial> {
    let spark = match ground::given() {
        Some(_) => Need::Found(Ok(())),
        None => context.spark("4.1.4"),
    };
    let kubectl = program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    let needs = [full(), spark, kubectl];
    let shared = Arc::new(Shared::default());
    BEHAVIOURS
        .into_iter()
        .map(|(name, run)| {
            let shared = Arc::clone(&shared);
            let by_default = ground::given().is_some() || !FULL.contains(&name);
            let needs = &needs[usize::from(by_default)..];
            context.trial(&format!("behaviour: {name}"), needs, move |context| {
                run(&shared.get(context)?.stage()?)
            })
        })
        .collect()
}

/// Counts in executors, then waits as many seconds as the first argument says.
pub const WAIT: &str = "import sys, time\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n\
                    print('counted', spark.sparkContext.parallelize(range(100), 2).count(), sys.argv[1:], flush=True)\n\
                    time.sleep(float(sys.argv[1]))\nspark.stop()\n";

/// An application of a program in a ConfigMap, with more in its spec.
pub fn application(stage: &Stage<'_>, name: &str, code: &str, more: Value) -> Result<Value, Failed> {
    stage.apply(
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"main.py": code}}),
    )?;
    Ok(application_of(name, more))
}

/// An application of the program in the ConfigMap `code`.
pub fn application_of(name: &str, more: Value) -> Value {
    let mut app = json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": name},
        "spec": {
            "type": "Python", "mode": "cluster", "image": ground::image(), "sparkVersion": "4.1.4",
            "mainApplicationFile": "local:///opt/app/main.py", "restartPolicy": {"type": "Never"},
            "driver": {"cores": 1, "coreRequest": "200m", "memory": "512m", "serviceAccount": "spark",
                "configMaps": [{"name": "code", "path": "/opt/app"}]},
            "executor": {"instances": 1, "cores": 1, "coreRequest": "200m", "memory": "512m"},
        },
    });
    merge(&mut app["spec"], more);
    app
}

/// RFC 7386, without deletion.
pub fn merge(into: &mut Value, more: Value) {
    match more {
        Value::Object(more) if into.is_object() => {
            for (key, value) in more {
                merge(&mut into[key], value);
            }
        }
        more => *into = more,
    }
}

pub fn driver(stage: &Stage<'_>, name: &str) -> Result<Value, Failed> {
    stage.get("pod", &format!("{name}-driver"))
}

pub fn of(name: &str) -> String {
    format!("sparkoperator.k8s.io/app-name={name}")
}

fn completes(stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "pi", WAIT, json!({"arguments": ["0"]}))?)?;
    let status = stage.until_state("pi", "COMPLETED")?;
    expect_parts(&stage.kubectl(&["logs", "pi-driver"])?, &["counted 100"])?;
    if status["executionAttempts"] != 1 || status["submissionAttempts"] != 1 || status["terminationTime"].is_null() {
        return Err(format!("counted otherwise: {status}").into());
    }
    let events = stage.kubectl(&["get", "events", "--field-selector", "involvedObject.name=pi"])?;
    expect_parts(&events, &["SparkApplicationSubmitted", "SparkApplicationCompleted"])?;
    stage.until("executors are gone or have ended", |stage| {
        let pods = stage.list("pods", &format!("{},spark-role=executor", of("pi")))?;
        Ok(pods.iter().all(|pod| pod["status"]["phase"] != "Running"))
    })
}

fn retried(stage: &Stage<'_>) -> Result<(), Failed> {
    let policy = json!({"type": "OnFailure", "onFailureRetries": 2, "onFailureRetryInterval": 1});
    let more = json!({"restartPolicy": policy, "executor": {"instances": 1}});
    stage.apply(&application(stage, "fails", "raise SystemExit(3)", more)?)?;
    let status = stage.until_state("fails", "FAILED")?;
    if status["executionAttempts"] != 3 {
        return Err(format!("not three attempts: {status}").into());
    }
    let drivers = stage.list("pods", &format!("{},spark-role=driver", of("fails")))?;
    if drivers.len() != 1 {
        return Err(format!("{} drivers", drivers.len()).into());
    }
    expect_parts(&status["applicationState"]["errorMessage"].to_string(), &["3"])
}

fn never_starts(stage: &Stage<'_>) -> Result<(), Failed> {
    let missing = json!({"driver": {"configMaps": [{"name": "is-not-there", "path": "/opt/app"}]}});
    let cases = [
        (
            "pulls",
            json!({"image": "registry.invalid/is-not-there:1"}),
            "ImagePull",
        ),
        ("mounts", missing, "is-not-there"),
    ];
    for (name, more, _) in &cases {
        let mut app = application(stage, name, WAIT, more.clone())?;
        app["metadata"]["annotations"] = json!({"stoke.dev/start-timeout": "5s"});
        stage.apply(&app)?;
    }
    for (name, _, why) in cases {
        let status = stage.until_state(name, "FAILED")?;
        expect_parts(&status["applicationState"]["errorMessage"].to_string(), &[why])?;
    }
    Ok(())
}

fn mounted(stage: &Stage<'_>) -> Result<(), Failed> {
    let code = "import os\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n\
                def look(_):\n    return open('/etc/keys/password').read(), os.environ['TOKEN'], os.environ['COLOUR']\n\
                print('driver', *look(0))\nprint('executor', *spark.sparkContext.parallelize([0], 1).map(look).first())\nspark.stop()\n";
    stage.apply(
        &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"},
        "stringData": {"password": "swordfish", "token": "t0ken"}}),
    )?;
    stage.apply(
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "colours"}, "data": {"best": "green"}}),
    )?;
    let role = json!({
        "secrets": [{"name": "keys", "path": "/etc/keys", "secretType": "Generic"}],
        "env": [
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
            {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "colours", "key": "best"}}},
        ],
    });
    stage.apply(&application(
        stage,
        "reads",
        code,
        json!({"driver": role, "executor": role}),
    )?)?;
    stage.until_state("reads", "COMPLETED")?;
    let log = stage.kubectl(&["logs", "reads-driver"])?;
    expect_parts(
        &log,
        &["driver swordfish t0ken green", "executor swordfish t0ken green"],
    )
}

fn suspended(stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "rests", WAIT, json!({"arguments": ["600"]}))?)?;
    stage.until_state("rests", "RUNNING")?;
    let patch = |spec: Value| {
        let spec = json!({"spec": spec}).to_string();
        stage.kubectl(&["patch", "sparkapplication", "rests", "--type=merge", "-p", &spec])
    };
    patch(json!({"suspend": true}))?;
    stage.until_state("rests", "SUSPENDED")?;
    stage.until("no pods", |stage| Ok(stage.list("pods", &of("rests"))?.is_empty()))?;
    patch(json!({"suspend": false, "arguments": ["0"]}))?;
    stage.until_state("rests", "COMPLETED").map(drop)
}

fn edited(stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(
        stage,
        "edited",
        WAIT,
        json!({"arguments": ["600", "first"]}),
    )?)?;
    stage.until_state("edited", "RUNNING")?;
    let before = driver(stage, "edited")?["metadata"]["uid"].clone();
    stage.apply(&application(
        stage,
        "edited",
        WAIT,
        json!({"arguments": ["0", "second"]}),
    )?)?;
    stage.until_state("edited", "COMPLETED")?;
    if driver(stage, "edited")?["metadata"]["uid"] == before {
        return Err("the same driver".into());
    }
    expect_parts(&stage.kubectl(&["logs", "edited-driver"])?, &["'second'"])
}

fn deleted(stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "gone", WAIT, json!({"arguments": ["600"]}))?)?;
    stage.until_state("gone", "RUNNING")?;
    if stage.get("service", "gone-ui-svc")?.is_null() {
        return Err("no service for the UI".into());
    }
    stage.kubectl(&["delete", "sparkapplication", "gone", "--wait=false"])?;
    stage.until("nothing is left", |stage| {
        let found = stage.kubectl(&["get", "sparkapplications,pods,services", "-o", "name"])?;
        let maps = stage.kubectl(&["get", "configmaps", "-o", "name"])?;
        let maps = maps
            .lines()
            .filter(|map| !map.ends_with("/code") && !map.ends_with("/kube-root-ca.crt"));
        Ok(found.lines().all(|line| line.starts_with("No resources")) && maps.count() == 0)
    })
}

fn driver_lost(stage: &Stage<'_>) -> Result<(), Failed> {
    let policy = json!({"type": "OnFailure", "onFailureRetries": 3, "onFailureRetryInterval": 1});
    let more = json!({"arguments": ["20"], "restartPolicy": policy});
    stage.apply(&application(stage, "lost", WAIT, more)?)?;
    stage.until_state("lost", "RUNNING")?;
    let before = driver(stage, "lost")?["metadata"]["uid"].clone();
    stage.kubectl(&["delete", "pod", "lost-driver", "--wait=false"])?;
    stage.until("another driver", |stage| {
        let uid = driver(stage, "lost")?["metadata"]["uid"].clone();
        Ok(!uid.is_null() && uid != before)
    })?;
    let status = stage.until_state("lost", "COMPLETED")?;
    if status["executionAttempts"] != 2 {
        return Err(format!("not two attempts: {status}").into());
    }
    Ok(())
}

fn executors(stage: &Stage<'_>) -> Result<(), Failed> {
    let code = "import time\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n\
                print(spark.sparkContext.parallelize(range(6), 6).map(lambda i: time.sleep(5) or i).sum())\ntime.sleep(1)\nspark.stop()\n";
    let more = json!({
        "dynamicAllocation": {"enabled": true, "initialExecutors": 0, "minExecutors": 0, "maxExecutors": 2},
        "sparkConf": {"spark.dynamicAllocation.schedulerBacklogTimeout": "1s", "spark.dynamicAllocation.sustainedSchedulerBacklogTimeout": "1s"},
    });
    stage.apply(&application(stage, "grows", code, more)?)?;
    stage.until("two running executors", |stage| {
        let status = stage.get("sparkapplication", "grows")?["status"].take();
        let states = status["executorState"].as_object().cloned().unwrap_or_default();
        Ok(states.values().filter(|state| *state == "RUNNING").count() == 2)
    })?;
    stage.until_state("grows", "COMPLETED")?;
    expect_parts(&stage.kubectl(&["logs", "grows-driver"])?, &["15"])
}

fn scheduled(stage: &Stage<'_>) -> Result<(), Failed> {
    let template = application(stage, "unused", WAIT, json!({"arguments": ["0"]}))?["spec"].take();
    let schedule = |suspend: bool| {
        json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication", "metadata": {"name": "often"},
            "spec": {"schedule": "@every 2s", "concurrencyPolicy": "Forbid", "successfulRunHistoryLimit": 1, "suspend": suspend, "template": template}})
    };
    stage.apply(&schedule(false))?;
    let runs = |stage: &Stage<'_>| -> Result<Vec<String>, Failed> {
        let found = stage.kubectl(&["get", "sparkapplications", "-o", "name"])?;
        let names = found
            .lines()
            .filter_map(|line| line.rsplit_once('/').map(|(_, name)| name.to_owned()));
        Ok(names.filter(|name| name.starts_with("often-")).collect())
    };
    let done = |stage: &Stage<'_>| -> Result<Vec<String>, Failed> {
        let mut status = stage.get("scheduledsparkapplication", "often")?["status"].take();
        Ok(serde_json::from_value(status["pastSuccessfulRunNames"].take()).unwrap_or_default())
    };
    stage.until("a run completed", |stage| Ok(!done(stage)?.is_empty()))?;
    let first = done(stage)?;
    stage.until("another completed and the first is gone", |stage| {
        let (now, all) = (done(stage)?, runs(stage)?);
        Ok(now != first && now.len() == 1 && !all.contains(&first[0]))
    })?;
    stage.apply(&schedule(true))?;
    stage.until("what ran has ended", |stage| Ok(runs(stage)? == done(stage)?))?;
    let before = runs(stage)?;
    std::thread::sleep(Duration::from_secs(5));
    let after = runs(stage)?;
    if before != after {
        return Err(format!("a suspended schedule went on: {before:?}, {after:?}").into());
    }
    Ok(())
}

fn short_lived(stage: &Stage<'_>) -> Result<(), Failed> {
    let more = json!({"arguments": ["0"], "timeToLiveSeconds": 2});
    stage.apply(&application(stage, "brief", WAIT, more)?)?;
    stage.until("it ran", |stage| Ok(!driver(stage, "brief")?.is_null()))?;
    stage.until("application and driver are gone", |stage| {
        Ok(stage.get("sparkapplication", "brief")?.is_null() && driver(stage, "brief")?.is_null())
    })
}
