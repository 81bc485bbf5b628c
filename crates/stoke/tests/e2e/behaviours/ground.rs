//! The cluster that behaviours are shown on: an embedded one, the one of `STOKE_TEST_CONTEXT`, or a real one with our operator installed in it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::common::{Context, eventually, expect_code, repository, text};
use crate::up::Up;

/// How long an application may take, image pulls included.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A context of the kubeconfig to use in place of an embedded cluster.
pub fn given() -> Option<String> {
    std::env::var("STOKE_TEST_CONTEXT").ok().filter(|name| !name.is_empty())
}

/// The image of applications: Spark with Python.
pub fn image() -> String {
    std::env::var("STOKE_TEST_IMAGE").unwrap_or_else(|_| "apache/spark:4.1.4".to_owned())
}

enum Cluster {
    Embedded(Up),
    /// A context, and our operator in a process of ours, which works in namespaces with our label.
    Given(Given, Child),
    /// Our operator is installed there, for namespaces with our label.
    Installed(Given),
}

/// A cluster that is there.
#[derive(Clone, Debug)]
pub struct Given {
    /// Of the kubeconfig.
    pub context: String,
    /// The user's own when none.
    pub kubeconfig: Option<PathBuf>,
}

impl Given {
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new("kubectl");
        command.args(["--context", &self.context]);
        if let Some(path) = &self.kubeconfig {
            command.env("KUBECONFIG", path);
        }
        command
    }

    /// Our own program from outside, with a home of its own.
    pub fn stoke(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoke"));
        // What comes after `--` is another program's.
        let end = arguments.iter().position(|argument| *argument == "--");
        let (own, others) = arguments.split_at(end.unwrap_or(arguments.len()));
        command
            .args(own)
            .args(["--context", &self.context])
            .args(others)
            .stdin(Stdio::null());
        if let Some(path) = &self.kubeconfig {
            command.env("KUBECONFIG", path);
        }
        command
    }
}

/// A cluster with our operator; it ends with the last behaviour.
pub struct Ground {
    cluster: Cluster,
    label: String,
    namespaces: AtomicU32,
}

/// One ground for all behaviours, started by the first.
#[derive(Default)]
pub struct Shared(OnceLock<Result<Ground, String>>);

impl Shared {
    pub fn get(&self, context: &Context) -> Result<&Ground, Failed> {
        let ground = self
            .0
            .get_or_init(|| Ground::start(context).map_err(|failed| failed.message().unwrap_or("?").to_owned()));
        ground.as_ref().map_err(|why| why.clone().into())
    }
}

impl Ground {
    fn start(context: &Context) -> Result<Ground, Failed> {
        let label = format!("test-{}", std::process::id());
        let cluster = match given() {
            None => Cluster::Embedded(Up::start(context)?),
            Some(name) => {
                let given = Given {
                    context: name.clone(),
                    kubeconfig: None,
                };
                let definitions = repository().join("deploy/chart/crds");
                let applied = given
                    .kubectl()
                    .args(["apply", "--server-side", "--force-conflicts", "-f"])
                    .arg(definitions)
                    .output()?;
                expect_code(&applied, 0)?;
                let operator = Command::new(env!("CARGO_BIN_EXE_stoke"))
                    .args(["operator", "run", "--context", &name, "--leader-election=false"])
                    .args(["--enable-metrics=false", "--health-probe-bind-address", "127.0.0.1:0"])
                    .arg("--namespace-selector")
                    .arg(format!("stoke.dev/test={label}"))
                    .stdin(Stdio::null())
                    .spawn()?;
                Cluster::Given(given, operator)
            }
        };
        Ok(Ground {
            cluster,
            label,
            namespaces: AtomicU32::new(0),
        })
    }

    /// A cluster with our operator installed in it, which works in namespaces with the label `stoke.dev/test` of this value.
    pub fn installed(given: Given, label: &str) -> Ground {
        Ground {
            cluster: Cluster::Installed(given),
            label: label.to_owned(),
            namespaces: AtomicU32::new(0),
        }
    }

    /// Where a behaviour is shown: a namespace of its own, with a service account for drivers.
    pub fn stage(&self) -> Result<Stage<'_>, Failed> {
        let number = self.namespaces.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("stoke-{}-{number}", self.label);
        let stage = Stage {
            ground: self,
            namespace: namespace.clone(),
        };
        let run = |arguments: &[&str]| expect_code(&self.kubectl(arguments).output()?, 0);
        run(&["create", "namespace", &namespace])?;
        run(&[
            "label",
            "namespace",
            &namespace,
            &format!("stoke.dev/test={}", self.label),
        ])?;
        run(&["--namespace", &namespace, "create", "serviceaccount", "spark"])?;
        let account = format!("--serviceaccount={namespace}:spark");
        run(&[
            "--namespace",
            &namespace,
            "create",
            "rolebinding",
            "spark",
            "--clusterrole=edit",
            &account,
        ])?;
        Ok(stage)
    }

    fn kubectl(&self, arguments: &[&str]) -> Command {
        match &self.cluster {
            Cluster::Embedded(up) => up.kubectl(arguments),
            Cluster::Given(given, _) | Cluster::Installed(given) => {
                let mut command = given.kubectl();
                command.args(arguments);
                command
            }
        }
    }

    fn stoke(&self, arguments: &[&str]) -> Command {
        match &self.cluster {
            Cluster::Embedded(up) => up.stoke(arguments),
            Cluster::Given(given, _) | Cluster::Installed(given) => given.stoke(arguments),
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Cluster::Given(_, operator) = &mut self.cluster {
            let _ = operator.kill();
            let _ = operator.wait();
        }
    }
}

/// A namespace that goes with the behaviour.
pub struct Stage<'a> {
    ground: &'a Ground,
    namespace: String,
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        let arguments = ["delete", "namespace", &self.namespace, "--wait=false"];
        let _ = self.ground.kubectl(&arguments).output();
    }
}

impl Stage<'_> {
    fn output(&self, arguments: &[&str], input: &str) -> Result<Output, Failed> {
        let mut command = self.ground.kubectl(&["--namespace", &self.namespace]);
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // A client that does not read its input may have closed it.
        let _ = child.stdin.take().ok_or("no input")?.write_all(input.as_bytes());
        Ok(child.wait_with_output()?)
    }

    /// What kubectl prints; it must succeed.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, Failed> {
        let output = self.output(arguments, "")?;
        expect_code(&output, 0)?;
        Ok(text(&output))
    }

    pub fn apply(&self, object: &Value) -> Result<(), Failed> {
        expect_code(&self.output(&["apply", "-f", "-"], &object.to_string())?, 0)
    }

    /// An object; null when there is none.
    pub fn get(&self, kind: &str, name: &str) -> Result<Value, Failed> {
        let found = self.kubectl(&["get", kind, name, "--ignore-not-found", "-o", "json"])?;
        if found.trim().is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_str(&found)?)
    }

    /// Objects of a kind with a label.
    pub fn list(&self, kind: &str, label: &str) -> Result<Vec<Value>, Failed> {
        let found: Value = serde_json::from_str(&self.kubectl(&["get", kind, "-l", label, "-o", "json"])?)?;
        Ok(found["items"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until an application is in a state; gives its status. Fails at once when it ends in another.
    pub fn until_state(&self, name: &str, wanted: &str) -> Result<Value, Failed> {
        let mut status = Value::Null;
        let mut other = false;
        let seen = eventually(wanted, PATIENCE, || {
            status = self.get("sparkapplication", name).unwrap_or_default()["status"].take();
            let state = status["applicationState"]["state"].as_str().unwrap_or("");
            other = state != wanted && matches!(state, "COMPLETED" | "FAILED");
            state == wanted || other
        });
        if seen.is_ok() && !other {
            return Ok(status);
        }
        let told = self.output(&["describe", "sparkapplication", name], "")?;
        let log = self.output(&["logs", &format!("{name}-driver"), "--tail", "30"], "")?;
        Err(format!("{name} is not {wanted}:\n{}\n{}", text(&told), text(&log)).into())
    }

    /// Waits until something holds of the objects.
    pub fn until(&self, what: &str, check: impl Fn(&Self) -> Result<bool, Failed>) -> Result<(), Failed> {
        eventually(what, PATIENCE, || check(self).unwrap_or(false))
    }

    /// Labels this namespace.
    pub fn label_namespace(&self, label: &str) -> Result<(), Failed> {
        self.kubectl(&["label", "namespace", &self.namespace, label])?;
        Ok(())
    }

    /// Waits until the driver of an application has printed something.
    pub fn until_printed(&self, name: &str, wanted: &str) -> Result<(), Failed> {
        self.until(wanted, |stage| {
            let log = stage.output(&["logs", &format!("{name}-driver")], "")?;
            Ok(text(&log).contains(wanted))
        })
    }

    /// What `stoke doctor` answers about an application.
    pub fn doctor(&self, name: &str) -> Result<Value, Failed> {
        let output = self
            .ground
            .stoke(&["doctor", name, "-o", "json", "-n", &self.namespace])
            .output()?;
        expect_code(&output, 0)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Our own program, from outside.
    pub fn stoke(&self, arguments: &[&str]) -> Command {
        self.ground.stoke(arguments)
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `kubectl` in the namespace, as it ended.
    pub fn try_kubectl(&self, arguments: &[&str], input: &str) -> Result<Output, Failed> {
        self.output(arguments, input)
    }
}
