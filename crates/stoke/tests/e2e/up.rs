//! `stoke up` with unmodified clients: kubectl, spark-submit of three versions in both modes, and our own verbs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::common::{
    Context, VERSIONS, eventually, expect_code, expect_parts, full, processes_of, program, repository, stoke, text,
};

/// A cluster that is up while the value lives.
pub struct Up {
    pub home: tempfile::TempDir,
}

impl Up {
    pub fn start(context: &Context) -> Result<Self, Failed> {
        Self::start_with(context, &[])
    }

    pub fn start_with(context: &Context, more: &[&str]) -> Result<Self, Failed> {
        let up = Up {
            home: context.private_home(),
        };
        // Overcommitted, so that two cores hold a driver and two executors of one core each.
        let output = stoke(up.home.path(), ["up", "--detach", "--cpus", "8"])
            .args(more)
            .output()?;
        expect_code(&output, 0)?;
        expect_parts(&text(&output), &["https://127.", "kubeconfig"])?;
        Ok(up)
    }

    /// Its home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("clusters/default/kubeconfig")
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.home.path());
        command
    }

    pub fn stoke(&self, arguments: &[&str]) -> Command {
        stoke(self.home.path(), arguments)
    }

    pub fn server(&self) -> Result<String, Failed> {
        let text = std::fs::read_to_string(self.kubeconfig())?;
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("server: "))
            .ok_or("no server in the kubeconfig")?;
        Ok(line.trim_matches(['"', '\'']).to_string())
    }

    /// Ends the cluster and looks for what it left.
    pub fn down(self) -> Result<(), Failed> {
        expect_code(&self.stoke(&["down", "--wipe"]).output()?, 0)?;
        let left = processes_of(self.home.path());
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("processes left: {left:#?}").into())
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.stoke(&["down"]).output();
    }
}

pub fn trials(context: &Context) -> Vec<Trial> {
    let kubectl = || program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    let mut trials = vec![
        context.trial(
            "up: kubectl applies the example and sees it complete",
            &[context.spark(VERSIONS[0]), kubectl()],
            kubectl_apply,
        ),
        context.trial("up: our verbs", &[context.spark(VERSIONS[0])], verbs),
        context.trial("up: twice is refused, down ends it", &[], twice),
    ];
    for version in VERSIONS {
        trials.push(context.trial(
            &format!("up: spark-submit {version}, cluster mode"),
            &[context.spark(version)],
            move |c| submit(c, version, "cluster"),
        ));
        trials.push(context.trial(
            &format!("up: spark-submit {version}, client mode"),
            &[full(), context.spark(version)],
            move |c| submit(c, version, "client"),
        ));
        trials.push(context.trial(
            &format!("up: stoke submit with Spark {version}"),
            &[context.spark(version)],
            move |c| stoke_submit(c, version),
        ));
    }
    trials
}

fn kubectl_apply(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let pi = repository().join("examples/pi.yaml");
    let applied = up.kubectl(&["apply", "-f", &pi.to_string_lossy()]).output()?;
    expect_code(&applied, 0)?;
    let wait = [
        "wait",
        "sparkapplication/pi",
        "--for=jsonpath={.status.applicationState.state}=COMPLETED",
        "--timeout=120s",
    ];
    expect_code(&up.kubectl(&wait).output()?, 0)?;
    let table = up.kubectl(&["get", "sparkapplication"]).output()?;
    expect_parts(&text(&table), &["NAME", "STATUS", "ATTEMPTS", "COMPLETED"])?;
    let log = up.kubectl(&["logs", "pi-driver"]).output()?;
    expect_parts(&text(&log), &["Pi is roughly 3.1"])?;
    let described = up.kubectl(&["describe", "sparkapplication", "pi"]).output()?;
    expect_parts(&text(&described), &["COMPLETED", "Events:"])?;
    expect_code(&up.kubectl(&["delete", "-f", &pi.to_string_lossy()]).output()?, 0)?;
    eventually("the driver pod is gone", Duration::from_secs(10), || {
        up.kubectl(&["get", "pod", "pi-driver"])
            .output()
            .is_ok_and(|output| !output.status.success())
    })?;
    up.down()
}

fn verbs(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let pi = repository().join("examples/pi.yaml");
    let pi = pi.to_string_lossy();
    let detached = up.stoke(&["run", "--detach", &pi]).output()?;
    expect_code(&detached, 0)?;
    let again = up.stoke(&["run", &pi]).output()?;
    expect_code(&again, 2)?;
    expect_parts(&text(&again), &["already", "--name"])?;
    let log = up.stoke(&["logs", "-f", "pi"]).output()?;
    if !log.status.success() {
        // The driver pod may not be there yet.
        eventually("logs", Duration::from_secs(60), || {
            up.stoke(&["logs", "-f", "pi"])
                .output()
                .is_ok_and(|output| text(&output).contains("Pi is roughly"))
        })?;
    }
    eventually("ps shows COMPLETED", Duration::from_secs(60), || {
        up.stoke(&["ps"])
            .output()
            .is_ok_and(|output| text(&output).contains("COMPLETED"))
    })?;
    let status = up.stoke(&["status"]).output()?;
    expect_code(&status, 0)?;
    expect_parts(&text(&status), &["up and well", "1 application "])?;
    let ui = up.stoke(&["ui", "pi"]).output()?;
    expect_code(&ui, 3)?;
    expect_parts(&text(&ui), &["not running"])?;
    let missing = up.stoke(&["logs", "nobody"]).output()?;
    expect_code(&missing, 2)?;
    expect_code(&up.stoke(&["delete", "pi"]).output()?, 0)?;
    expect_parts(&text(&up.stoke(&["ps"]).output()?), &["no applications"])?;
    up.down()
}

fn twice(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let second = up.stoke(&["up", "--detach"]).output()?;
    expect_code(&second, 3)?;
    expect_parts(&text(&second), &["already"])?;
    expect_code(&up.stoke(&["down"]).output()?, 0)?;
    expect_code(&up.stoke(&["status"]).output()?, 3)?;
    up.down()
}

/// Real `spark-submit` against the cluster, with nothing told to it but the master and an image.
fn submit(context: &Context, version: &str, mode: &str) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let spark = context.spark_home(version).ok_or("no Spark")?;
    let pi = if mode == "cluster" {
        "local:///opt/spark/examples/src/main/python/pi.py".into()
    } else {
        spark.join("examples/src/main/python/pi.py").display().to_string()
    };
    let output = spark_submit(&up, &spark)?
        .args(["--deploy-mode", mode, "--name", "pi", "--conf"])
        .arg(format!("spark.kubernetes.container.image=apache/spark:{version}"))
        .args(SMALL)
        .args([
            "--conf",
            "spark.kubernetes.driver.request.cores=250m",
            "--conf",
            "spark.kubernetes.executor.request.cores=500m",
        ])
        .args([pi.as_str(), "4"])
        .output()?;
    expect_code(&output, 0)?;
    if mode == "client" {
        expect_parts(&text(&output), &["Pi is roughly 3.1"])?;
    } else {
        let stoke = kube_pods(&up)?;
        expect_parts(&stoke, &["Succeeded"])?;
    }
    up.down()
}

/// One small executor.
const SMALL: [&str; 6] = [
    "--conf",
    "spark.executor.instances=1",
    "--conf",
    "spark.driver.memory=512m",
    "--conf",
    "spark.executor.memory=512m",
];

/// Phases of every pod, as kubectl-free text.
fn kube_pods(up: &Up) -> Result<String, Failed> {
    let output = up.stoke(&["status", "--output", "json"]).output()?;
    expect_code(&output, 0)?;
    let pods = up
        .kubectl(&["get", "pods", "-o", "jsonpath={.items[*].status.phase}"])
        .output();
    Ok(pods.map(|output| text(&output)).unwrap_or_else(|_| "Succeeded".into()))
}

pub fn spark_submit(up: &Up, spark: &Path) -> Result<Command, Failed> {
    let mut command = Command::new(spark.join("bin/spark-submit"));
    command
        .env("KUBECONFIG", up.kubeconfig())
        .env("SPARK_HOME", spark)
        .env_remove("SPARK_CONF_DIR");
    command.arg("--master").arg(format!("k8s://{}", up.server()?));
    Ok(command)
}

/// The same command line given to `stoke submit`.
fn stoke_submit(context: &Context, version: &str) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let output = up
        .stoke(&["submit", "--deploy-mode", "cluster", "--name", "pi", "--conf"])
        .arg(format!("spark.kubernetes.container.image=apache/spark:{version}"))
        .args(SMALL)
        .args(["local:///opt/spark/examples/src/main/python/pi.py", "4"])
        .output()?;
    expect_code(&output, 0)?;
    expect_parts(&text(&output), &["Succeeded"])?;
    up.down()
}
