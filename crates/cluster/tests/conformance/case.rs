//! A case, the client that proves it, and the cluster it runs on.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::bench::Bench;
use crate::{clients, operators, programs};

/// One behaviour of the embedded Kubernetes, and its proof.
pub struct Case {
    /// The part of the table it stands in: `Watch`, `Jobs`.
    pub area: &'static str,
    /// What is promised, as a statement a user can rely on.
    pub behaviour: &'static str,
    /// Who proves it.
    pub client: Client,
    /// The proof. Works in a namespace of its own ([`Ground::namespace`]), because cases run side by side.
    pub run: fn(&Ground) -> Result<(), String>,
}

/// A real client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `kubectl` of the PATH, default flags.
    Kubectl,
    /// The `kube` crate.
    Kube,
    /// Python's `kubernetes`, in a virtual environment below the target directory.
    Python,
    /// A program with Go's `client-go`, built below the target directory.
    Go,
    /// `helm` 3.
    Helm,
    /// `kubectl`, with definitions that are fetched as published.
    Modules,
}

impl Client {
    /// As the table names it.
    pub fn name(self) -> &'static str {
        match self {
            Client::Kubectl => "kubectl",
            Client::Kube => "kube-rs",
            Client::Python => "Python kubernetes",
            Client::Go => "client-go",
            Client::Helm => "helm 3",
            Client::Modules => "kubectl, with the published files",
        }
    }

    /// Why it cannot be used here; `None` when it can.
    pub fn missing(self) -> Option<String> {
        match self {
            Client::Kubectl => {
                static MISSING: OnceLock<Option<String>> = OnceLock::new();
                let look = || {
                    let found = Command::new("kubectl").args(["version", "--client"]).output();
                    found.err().map(|error| format!("kubectl: {error}"))
                };
                MISSING.get_or_init(look).clone()
            }
            Client::Kube => None,
            Client::Python => programs::python().as_ref().err().cloned(),
            Client::Go => programs::missing_go(),
            Client::Helm => clients::helm().as_ref().err().cloned(),
            Client::Modules => Client::Kubectl.missing().or_else(operators::missing),
        }
    }
}

/// A running cluster that all cases share, with a shell as its only image (`image: shell`, `args: [script]`).
pub struct Ground {
    /// The cluster.
    pub bench: Bench,
    /// For clients that are asynchronous.
    pub runtime: Runtime,
    directory: tempfile::TempDir,
    namespaces: AtomicU32,
}

impl Ground {
    /// Starts the cluster.
    pub fn start() -> Ground {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let bench = runtime.block_on(Bench::start(directory.path()));
        std::fs::write(directory.path().join("kubeconfig"), bench.kubeconfig()).unwrap();
        Ground {
            bench,
            runtime,
            directory,
            namespaces: AtomicU32::new(0),
        }
    }

    /// Ends the cluster.
    pub fn stop(self) {
        self.runtime.block_on(self.bench.stop());
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// A directory for files of a case.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A new namespace.
    pub fn namespace(&self) -> String {
        let name = format!("case-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        let namespaces: Api<Namespace> = Api::all(self.bench.client.clone());
        let object = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        let created = self
            .runtime
            .block_on(namespaces.create(&PostParams::default(), &object));
        created.unwrap();
        name
    }

    /// Runs `kubectl` in a namespace with an input.
    pub fn kubectl(&self, namespace: &str, arguments: &[&str], input: &str) -> Answer {
        let mut child = Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .arg("--cache-dir")
            .arg(self.directory.path().join("kubectl-cache"))
            .args(["--namespace", namespace])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A client that does not read its input may have closed it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Answer {
            command: format!("kubectl {}", arguments.join(" ")),
            success: output.status.success(),
            text: String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        }
    }
}

impl Ground {
    /// Runs a Python program; its arguments are the kubeconfig, then these. Gives what it printed.
    pub fn python(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let python = programs::python().as_ref().map_err(Clone::clone)?;
        let mut command = Command::new(python);
        command.args(["-c", program]).arg(self.kubeconfig()).args(arguments);
        programs::output(command)
    }

    /// Runs a Go program of one file; its arguments are the kubeconfig, then these. Gives what it printed.
    pub fn go(&self, name: &str, program: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(programs::go(name, program)?);
        command.arg(self.kubeconfig()).args(arguments);
        programs::output(command)
    }
}

/// The arguments of a command line in which nothing is quoted.
pub fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// What a command printed, and whether it succeeded.
pub struct Answer {
    command: String,
    /// Its exit status was zero.
    pub success: bool,
    /// Standard output, then standard error.
    pub text: String,
}

impl Answer {
    /// The text of a command that succeeded.
    pub fn ok(self) -> Result<String, String> {
        if self.success {
            Ok(self.text)
        } else {
            Err(format!("`{}` failed: {}", self.command, self.text))
        }
    }

    /// The text of a command that failed.
    pub fn refused(self) -> Result<String, String> {
        if self.success {
            Err(format!("`{}` succeeded: {}", self.command, self.text))
        } else {
            Ok(self.text)
        }
    }

    /// Succeeded, and printed `part`.
    pub fn has(self, part: &str) -> Result<(), String> {
        let command = self.command.clone();
        contains(&command, &self.ok()?, part)
    }

    /// Failed, and printed `part`.
    pub fn refused_with(self, part: &str) -> Result<(), String> {
        let command = self.command.clone();
        contains(&command, &self.refused()?, part)
    }
}

fn contains(command: &str, text: &str, part: &str) -> Result<(), String> {
    if text.contains(part) {
        Ok(())
    } else {
        Err(format!("`{command}` does not print {part:?}: {text}"))
    }
}
