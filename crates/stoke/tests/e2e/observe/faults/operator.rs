//! An operator that stops, is kept from its lease, or cannot keep logs.

use std::time::Duration;

use libtest_mimic::Failed;
use serde_json::Value;

use super::manifests::App;
use super::stage::Stage;
use super::{Fault, Group, alert};
use crate::common::{Context, eventually};

pub const GROUP: Group = Group {
    name: "an operator that stops",
    stage: begun,
    rounds: &[KILLED, PAUSED, WITHOUT_LEASE, STORE_BROKEN, STORE_SLOW],
};

/// No other operator is there to take the lease from.
const ALONE: &str = "--leader-election=false";

fn begun(context: &Context) -> Result<Stage, Failed> {
    let stage = Stage::apart(context)?;
    again(&stage)?;
    stage.scrapes("stoke-operator")?;
    // The cluster was there before its operator: the alert of that time is no fault's.
    eventually("what fires of the time before is over", Duration::from_secs(60), || {
        let is_down = |alert: &Value| alert["labels"]["alertname"] == "StokeOperatorDown";
        stage.servers.alerts().is_some_and(|all| !all.iter().any(is_down))
    })?;
    Ok(stage)
}

fn again(stage: &Stage) -> Result<(), Failed> {
    stage.operate(&[ALONE], &[])
}

const KILLED: &[Fault] = &[Fault::new(
    "operator-killed",
    &[alert("StokeOperatorDown", "")],
    |stage| {
        stage.stop_operator();
        Ok(())
    },
    again,
)];

const PAUSED: &[Fault] = &[Fault::new(
    "operator-paused-over-due-time",
    &[alert("StokeScheduleMissed", "app=often")],
    |stage| {
        stage.apply(&App::new("often", "exit.py").schedule("@every 10s"))?;
        let due = "stoke_schedule_next_run_timestamp_seconds{app=\"often\"}";
        stage.until(due, 60)?;
        stage.stop_operator();
        let due = stage.servers.number(due).ok_or("the schedule is not known")?;
        let now = || jiff::Timestamp::now().as_duration().as_secs_f64();
        // The run that is due, and two after it.
        eventually("three runs are missed", Duration::from_secs(90), || now() > due + 25.0)?;
        again(stage)
    },
    |stage| stage.delete(&["scheduledsparkapplication/often"]),
)
.beside(&["StokeOperatorDown", "StokeJobFailingAgainAndAgain"])];

const WITHOUT_LEASE: &[Fault] = &[Fault::new(
    "lease-held-by-another",
    &[alert("StokeOperatorWithoutLease", "")],
    |stage| {
        let now = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
        stage.apply(&format!(
            "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {{name: spark-operator-controller-lock, namespace: default}}\n\
             spec: {{holderIdentity: someone-else, leaseDurationSeconds: 3600, renewTime: \"{now:.6}\", acquireTime: \"{now:.6}\", leaseTransitions: 1}}\n"
        ))?;
        stage.operate(&[], &[])
    },
    |stage| stage.delete(&["lease/spark-operator-controller-lock"]),
)
.beside(&["StokeOperatorDown"])];

const STORE_BROKEN: &[Fault] = &[Fault::new(
    "log-store-unwritable",
    &[alert("StokeLogsNotKept", "role=driver")],
    |stage| {
        // A file stands where the directory should be.
        let kept = stage.up.home().join("kept");
        std::fs::create_dir(&kept)?;
        stage.operate(&[ALONE, "--keep-logs", &format!("file://{}", kept.display())], &[])?;
        stage.scrapes("stoke-operator")?;
        std::fs::remove_dir_all(&kept)?;
        std::fs::write(&kept, "")?;
        stage.apply(&App::new("unkept", "exit.py").manifest())
    },
    |stage| {
        let kept = stage.up.home().join("kept");
        std::fs::remove_file(&kept)?;
        std::fs::create_dir(&kept)?;
        stage.delete(&["sparkapplication/unkept"])
    },
)
.beside(&["StokeOperatorDown"])];

const STORE_SLOW: &[Fault] = &[Fault::new(
    "store-slow",
    &[alert("StokeObjectStoreSlow", "")],
    |stage| {
        let mut variables = stage.variables()?;
        let endpoint = variables.iter_mut().find(|(name, _)| name.starts_with("AWS_ENDPOINT"));
        let (_, endpoint) = endpoint.ok_or("no endpoint of the store")?;
        let port = stage.between(endpoint)?;
        *endpoint = format!("http://127.0.0.1:{port}");
        stage.operate(&[ALONE, "--keep-logs", "s3://spark/slow"], &variables)?;
        stage.scrapes("stoke-operator")?;
        // The histogram is there before what is slow: a rate is of what came after.
        stage.apply(&App::new("first", "exit.py").manifest())?;
        stage.until("stoke_keep_log_seconds_count > 0", 120)?;
        stage.hinder("{\"seconds\": 2}")?;
        for name in ["second", "third"] {
            stage.apply(&App::new("first", "exit.py").manifest().replace("first", name))?;
        }
        Ok(())
    },
    |stage| {
        stage.hinder("{}")?;
        stage.delete(&[
            "sparkapplication/first",
            "sparkapplication/second",
            "sparkapplication/third",
        ])
    },
)
.beside(&["StokeOperatorDown"])];
