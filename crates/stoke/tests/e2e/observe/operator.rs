//! An operator beside the embedded cluster that is killed, paused over the time of a run, and kept from its lease.

use std::process::{Child, Stdio};
use std::time::Duration;

use libtest_mimic::Failed;

use super::{Servers, apply, faults};
use crate::common::{Context, eventually, expect_code};
use crate::up::Up;

/// Where `stoke up --observe --no-operator` expects the operator.
const ADDRESS: &str = "127.0.0.1:8080";

struct Operator(Child);

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An operator that keeps logs in this directory of the home.
fn operator(up: &Up) -> Result<Operator, Failed> {
    let kept = up.home().join("kept");
    std::fs::create_dir_all(&kept)?;
    let child = up
        .stoke(&["operator", "run", "--metrics-bind-address", ADDRESS])
        .args(["--health-probe-bind-address", "127.0.0.1:0", "--keep-logs"])
        .arg(format!("file://{}", kept.display()))
        .arg("--kubeconfig")
        .arg(up.kubeconfig())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Operator(child))
}

fn fires(servers: &Servers, alert: &str, within: u64) -> Result<(), Failed> {
    eventually(&format!("{alert} fires"), Duration::from_secs(within), || {
        !servers.active(alert).is_empty()
    })
}

fn clears(servers: &Servers, alert: &str, within: u64) -> Result<(), Failed> {
    eventually(&format!("{alert} is over"), Duration::from_secs(within), || {
        servers.active(alert).is_empty()
    })
}

pub fn stops(context: &Context) -> Result<(), Failed> {
    let up = Up::start_with(context, &["--observe=60", "--no-operator"])?;
    let servers = Servers::of(&up)?;
    fires(&servers, "StokeOperatorDown", 60)?;
    let first = operator(&up)?;
    clears(&servers, "StokeOperatorDown", 60)?;
    // A run that is due each minute, while no one is there to begin it.
    apply(&up, &faults::schedule("each-minute", "quick.py", "* * * * *"))?;
    let due = "stoke_schedule_next_run_timestamp_seconds{app=\"each-minute\"}";
    eventually("the schedule is known", Duration::from_secs(30), || {
        servers.count(due) == 1
    })?;
    drop(first);
    fires(&servers, "StokeOperatorDown", 30)?;
    std::thread::sleep(Duration::from_secs(150));
    let second = operator(&up)?;
    fires(&servers, "StokeScheduleMissed", 60)?;
    clears(&servers, "StokeOperatorDown", 30)?;
    expect_code(
        &up.kubectl(&["delete", "scheduledsparkapplication/each-minute", "--wait=false"])
            .output()?,
        0,
    )?;
    clears(&servers, "StokeScheduleMissed", 120)?;
    // Logs have a place that takes nothing: a file stands where the directory was.
    let kept = up.home().join("kept");
    std::fs::remove_dir_all(&kept)?;
    std::fs::write(&kept, "")?;
    apply(&up, faults::SCRIPTS)?;
    apply(&up, &faults::application("unkept", "exit.py", ""))?;
    fires(&servers, "StokeLogsNotKept", 300)?;
    std::fs::remove_file(&kept)?;
    std::fs::create_dir(&kept)?;
    clears(&servers, "StokeLogsNotKept", 150)?;
    expect_code(
        &up.kubectl(&["delete", "sparkapplication/unkept", "--wait=false"])
            .output()?,
        0,
    )?;
    // Someone else has the lease, and lets no one have it.
    drop(second);
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    apply(
        &up,
        &format!(
            "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {{name: spark-operator-controller-lock, namespace: default}}\nspec: {{holderIdentity: someone-else, leaseDurationSeconds: 3600, renewTime: \"{now:.6}\", acquireTime: \"{now:.6}\", leaseTransitions: 1}}\n"
        ),
    )?;
    let third = operator(&up)?;
    fires(&servers, "StokeOperatorWithoutLease", 60)?;
    expect_code(
        &up.kubectl(&["delete", "lease", "spark-operator-controller-lock"])
            .output()?,
        0,
    )?;
    clears(&servers, "StokeOperatorWithoutLease", 60)?;
    drop(third);
    up.down()
}
