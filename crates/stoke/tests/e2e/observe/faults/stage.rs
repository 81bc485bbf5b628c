//! Where faults are injected: a cluster with Prometheus and Alertmanager, its operator inside, or operator and History Server as programs of their own.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libtest_mimic::Failed;

use crate::common::{Context, eventually, expect_code};
use crate::observe::asked::Servers;
use crate::observe::{apply, faults};
use crate::up::Up;

/// How many times as fast as in production: what takes ten minutes takes ten seconds.
const TIMES: &str = "--observe=60";

/// A program that ends when this is dropped.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(command: &mut Command) -> Result<Self, Failed> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn()?))
    }

    /// Waits until it listens: what is asked before is what ran in its place.
    fn answers(&mut self, port: u16) -> Result<(), Failed> {
        let mut ended = None;
        eventually("a program that was started listens", Duration::from_secs(60), || {
            ended = self.0.try_wait().ok().flatten();
            ended.is_some() || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })?;
        match ended {
            None => Ok(()),
            Some(status) => Err(format!("a program that was started ended at once: {status}").into()),
        }
    }
}

/// A server that [`Stage::between`] stands before.
struct Between {
    _running: Running,
    port: u16,
}

#[derive(Default)]
struct Beside {
    operator: Option<Running>,
    history: Option<Running>,
    between: Option<Between>,
    /// What keeps the operator busy.
    churn: Option<Running>,
}

pub struct Stage {
    pub up: Up,
    pub servers: Servers,
    /// Ports of an operator's metrics and of a History Server that are not the cluster's.
    ports: [u16; 2],
    beside: Mutex<Beside>,
}

impl Stage {
    /// With the cluster's own operator.
    pub fn inside(context: &Context) -> Result<Self, Failed> {
        let up = Up::start_with(context, &[TIMES])?;
        let servers = Servers::of(&up)?;
        let stage = Stage {
            up,
            servers,
            ports: [0, 0],
            beside: Mutex::default(),
        };
        stage.apply(faults::manifests::SCRIPTS)?;
        stage.scrapes("stoke-operator")?;
        Ok(stage)
    }

    /// With an operator and a History Server of their own, so that they can be killed, paused and led elsewhere.
    pub fn apart(context: &Context) -> Result<Self, Failed> {
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| Ok(socket.local_addr()?.port()));
        let up = Up::start_with(context, &[TIMES, "--no-operator"])?;
        let servers = Servers::of(&up)?;
        let stage = Stage {
            up,
            servers,
            ports: [free()?, free()?],
            beside: Mutex::default(),
        };
        let cluster = stage.up.home().join("clusters/default");
        let own = std::fs::read_to_string(cluster.join("history"))?;
        let file = cluster.join("monitoring/prometheus.yaml");
        let [operator, history] = stage.ports.map(|port| format!("127.0.0.1:{port}"));
        let configured = std::fs::read_to_string(&file)?
            .replace("127.0.0.1:8080", &operator)
            .replace(own.trim().trim_start_matches("http://"), &history);
        for address in [&operator, &history] {
            assert!(configured.contains(address), "{address} is not in {configured}");
        }
        std::fs::write(&file, configured)?;
        stage.signal_prometheus("-HUP")?;
        stage.apply(faults::manifests::SCRIPTS)?;
        stage.serve_history()?;
        stage.scrapes("stoke-history")?;
        Ok(stage)
    }

    fn beside(&self) -> MutexGuard<'_, Beside> {
        self.beside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until Prometheus has scraped a job.
    pub fn scrapes(&self, job: &str) -> Result<(), Failed> {
        self.until(&format!("up{{job=\"{job}\"}} == 1"), 60)
    }

    /// Waits until an expression gives a series.
    pub fn until(&self, expression: &str, seconds: u64) -> Result<(), Failed> {
        eventually(expression, Duration::from_secs(seconds), || {
            self.servers.count(expression) > 0
        })
    }

    pub fn apply(&self, manifests: &str) -> Result<(), Failed> {
        apply(&self.up, manifests)
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Result<(), Failed> {
        expect_code(&self.up.kubectl(arguments).output()?, 0)
    }

    /// What kubectl prints.
    pub fn asked(&self, arguments: &[&str]) -> Result<String, Failed> {
        let output = self.up.kubectl(arguments).output()?;
        expect_code(&output, 0)?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Deletes objects, those of another namespace as `namespace:kind/name`.
    pub fn delete(&self, objects: &[&str]) -> Result<(), Failed> {
        for object in objects {
            let (namespace, object) = object.split_once(':').unwrap_or(("default", object));
            self.kubectl(&["delete", object, "-n", namespace, "--ignore-not-found", "--wait=false"])?;
        }
        Ok(())
    }

    /// Waits until an application is in a state.
    pub fn reaches(&self, name: &str, state: &str) -> Result<(), Failed> {
        let until = format!("--for=jsonpath={{.status.applicationState.state}}={state}");
        self.kubectl(&["wait", &format!("sparkapplication/{name}"), &until, "--timeout=180s"])
    }

    /// Starts an operator beside the cluster, in place of the one there was.
    pub fn operate(&self, options: &[&str], variables: &[(String, String)]) -> Result<(), Failed> {
        self.operate_at(&self.up.kubeconfig(), options, variables)
    }

    /// The same, that reaches its API server through [`Stage::between`].
    pub fn operate_through(&self, options: &[&str]) -> Result<(), Failed> {
        let port = self.between(&self.up.server()?)?;
        let whole = std::fs::read_to_string(self.up.kubeconfig())?;
        let through = whole.replace(&self.up.server()?, &format!("http://127.0.0.1:{port}"));
        let path = self.up.home().join("through");
        std::fs::write(&path, through)?;
        self.operate_at(&path, options, &[])
    }

    fn operate_at(&self, kubeconfig: &Path, options: &[&str], variables: &[(String, String)]) -> Result<(), Failed> {
        self.stop_operator();
        let address = format!("127.0.0.1:{}", self.ports[0]);
        let mut command = self.up.stoke(&["operator", "run", "--metrics-bind-address", &address]);
        command
            .args(["--health-probe-bind-address", "127.0.0.1:0"])
            .args(options)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .envs(variables.iter().cloned());
        let mut operator = Running::start(&mut command)?;
        operator.answers(self.ports[0])?;
        self.beside().operator = Some(operator);
        Ok(())
    }

    /// Kills the operator.
    pub fn stop_operator(&self) {
        self.beside().operator = None;
    }

    /// Starts the History Server that Prometheus asks.
    pub fn serve_history(&self) -> Result<(), Failed> {
        let listen = format!("127.0.0.1:{}", self.ports[1]);
        let mut command = self.up.stoke(&["history", "serve", "--no-cache", "--listen", &listen]);
        command.arg("--dir").arg(self.up.home().join("event-logs"));
        self.beside().history = Some(Running::start(&mut command)?);
        Ok(())
    }

    /// Kills it.
    pub fn stop_history(&self) {
        self.beside().history = None;
    }

    /// Stands before a server; the port. [`Stage::hinder`] sets what it does.
    pub fn between(&self, server: &str) -> Result<u16, Failed> {
        if let Some(between) = &self.beside().between {
            return Ok(between.port);
        }
        self.hinder("{}")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/observe/between.py");
        let mut child = Command::new("python3")
            .arg(script)
            .arg(server)
            .arg(self.control())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let port = line.trim().parse()?;
        self.beside().between = Some(Between {
            _running: Running(child),
            port,
        });
        Ok(port)
    }

    fn control(&self) -> PathBuf {
        self.up.home().join("between.json")
    }

    /// What is done to each request from now on.
    pub fn hinder(&self, how: &str) -> Result<(), Failed> {
        let partial = self.up.home().join("between.partial");
        std::fs::write(&partial, how)?;
        Ok(std::fs::rename(partial, self.control())?)
    }

    /// Changes every application each second, so that the operator has something to do, until [`Stage::rest`].
    pub fn churn(&self, script: &str) -> Result<(), Failed> {
        let mut command = Command::new("bash");
        command
            .args(["-c", script])
            .env("KUBECONFIG", self.up.kubeconfig())
            .env("HOME", self.up.home());
        self.beside().churn = Some(Running::start(&mut command)?);
        Ok(())
    }

    pub fn rest(&self) {
        self.beside().churn = None;
    }

    /// Sends a signal to Prometheus.
    pub fn signal_prometheus(&self, signal: &str) -> Result<(), Failed> {
        let directory = self.up.home().join("clusters/default/monitoring").canonicalize()?;
        let is_ours = |process: &PathBuf| {
            let command = std::fs::read(process.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains("--config.file=prometheus.yaml")
                && std::fs::read_link(process.join("cwd")).is_ok_and(|at| at == directory)
        };
        let processes = std::fs::read_dir("/proc")?.flatten().map(|entry| entry.path());
        let found = processes.into_iter().find(is_ours).ok_or("no Prometheus")?;
        let id = found.file_name().ok_or("no id")?.to_string_lossy().into_owned();
        assert!(Command::new("kill").args([signal, &id]).status()?.success());
        Ok(())
    }

    /// The variables with which a program reaches the cluster's object store.
    pub fn variables(&self) -> Result<Vec<(String, String)>, Failed> {
        let output = self.up.stoke(&["env", "--output", "json"]).output()?;
        expect_code(&output, 0)?;
        let all: std::collections::BTreeMap<String, String> = serde_json::from_slice(&output.stdout)?;
        Ok(all.into_iter().filter(|(name, _)| name.starts_with("AWS_")).collect())
    }

    /// Ends everything and looks for what is left.
    pub fn down(self) -> Result<(), Failed> {
        *self.beside() = Beside::default();
        self.up.down()
    }
}
