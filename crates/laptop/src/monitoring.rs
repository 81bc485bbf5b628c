//! A real Prometheus and a real Alertmanager beside the embedded cluster, with the pack in them.
//!
//! In: a client of the cluster, where operator and History Server tell of themselves, how fast. Out: two processes that end with the cluster.
//! They are the ones that are installed here; nothing is downloaded.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ListParams};
use stoke_model::names;
use stoke_observe::pack::scrape::{self, Discovery, Driver};
use stoke_observe::pack::{Receivers, Settings, Tempo, alertmanager, rules, yaml};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::error::{LaptopError, Outcome};
use crate::home::create_private;

/// Names under which distributions have each program, and the package that brings it.
const PROMETHEUS: (&[&str], &str) = (&["prometheus"], "prometheus");
const ALERTMANAGER: (&[&str], &str) = (&["alertmanager", "prometheus-alertmanager"], "prometheus-alertmanager");
/// Where people expect them; any other port where that is taken.
const PORTS: (u16, u16) = (9090, 9093);
/// Where `stoke operator run` serves its metrics when it runs beside the cluster.
const BESIDE: &str = "127.0.0.1:8080";
/// How often Prometheus says an alert again: after four times that in silence it is over for Alertmanager. Prometheus' own, in seconds.
const RESEND: u64 = 60;
/// How long each may take to answer.
const START: Duration = Duration::from_secs(30);

/// File of a cluster's directory with the addresses of Prometheus and Alertmanager, a line each; there while they run.
pub const ADDRESSES_FILE: &str = "monitoring-addresses";

/// The URLs of the Prometheus and the Alertmanager of the cluster with this directory, while they run.
#[must_use]
pub fn addresses(directory: &Path) -> Option<(String, String)> {
    let written = std::fs::read_to_string(directory.join(ADDRESSES_FILE)).ok()?;
    let (prometheus, alertmanager) = written.split_once('\n')?;
    Some((format!("http://{prometheus}"), format!("http://{alertmanager}")))
}

/// The programs, found before anything is started.
#[derive(Clone, Debug)]
pub struct Programs {
    prometheus: PathBuf,
    alertmanager: PathBuf,
}

impl Programs {
    /// Looks for them in the directories of `PATH`.
    ///
    /// # Errors
    /// One that is not installed, with the command that installs it.
    pub fn find() -> Outcome<Self> {
        Ok(Self {
            prometheus: found(PROMETHEUS)?,
            alertmanager: found(ALERTMANAGER)?,
        })
    }
}

fn found((names, package): (&[&str], &str)) -> Outcome<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places =
        std::env::split_paths(&path).flat_map(|directory| names.iter().map(move |name| directory.join(name)));
    places.find(|place| place.is_file()).ok_or_else(|| {
        LaptopError::environment(
            "stoke::observe::not-installed",
            format!("{} is not installed", names.join(" or ")),
        )
        .fix(format!(
            "apt-get install {package}, or put the program of the project's releases in a directory of PATH"
        ))
    })
}

/// What they are to look at.
#[derive(Clone)]
pub struct Targets {
    /// Finds drivers.
    pub client: Client,
    /// Where the operator serves its metrics; none when it is not in this process.
    pub operator: Option<SocketAddr>,
    /// Where the History Server does.
    pub history: SocketAddr,
    /// How many times as fast as in production windows and waiting times are.
    pub times: u32,
}

/// Both, running. They end when this is dropped.
pub struct Monitoring {
    /// Where Prometheus answers.
    pub prometheus: SocketAddr,
    /// Where Alertmanager does.
    pub alertmanager: SocketAddr,
    /// Configuration, rules and data.
    pub directory: PathBuf,
    _children: [Child; 2],
    finding: JoinHandle<()>,
}

impl Drop for Monitoring {
    fn drop(&mut self) {
        self.finding.abort();
    }
}

/// The settings of the pack for a cluster on this machine: no one is called, and times are short.
#[must_use]
pub fn settings(times: u32) -> Settings {
    Settings {
        receivers: Receivers {
            on_call: String::new(),
            escalation: String::new(),
            tickets: String::new(),
            heartbeat: String::new(),
            ..Receivers::default()
        },
        // A driver that shares two cores with others does not answer within a second.
        interval: u64::from(times.saturating_mul(2)).max(15),
        tempo: Tempo::times(times),
        ..Settings::default()
    }
}

impl Monitoring {
    /// Writes the pack into `directory` and starts both programs.
    ///
    /// # Errors
    /// A program that does not start, with the end of what it said.
    pub async fn start(programs: &Programs, directory: &Path, targets: &Targets) -> Outcome<Self> {
        create_private(directory)?;
        let settings = settings(targets.times);
        let (prometheus, alertmanager) = (free(PORTS.0)?, free(PORTS.1)?);
        let discovery = Discovery::Beside {
            targets: DRIVERS.to_owned(),
            operator: targets.operator.map_or_else(|| BESIDE.to_owned(), |at| at.to_string()),
            history: targets.history.to_string(),
        };
        let whole = scrape::prometheus(&settings, &discovery, "rules.yaml", &alertmanager.to_string());
        for (name, value) in [
            ("rules.yaml", rules::groups(&settings)),
            ("alertmanager.yaml", alertmanager::configuration(&settings)),
            ("prometheus.yaml", whole),
        ] {
            std::fs::write(directory.join(name), yaml(&value))?;
        }
        let finding = tokio::spawn(find_drivers(targets.client.clone(), directory.join(DRIVERS)));
        let mut first = Command::new(&programs.alertmanager);
        first
            .arg("--config.file=alertmanager.yaml")
            .arg("--storage.path=alertmanager")
            .arg(format!("--web.listen-address={alertmanager}"))
            .arg("--cluster.listen-address=");
        let mut second = Command::new(&programs.prometheus);
        second
            .arg("--config.file=prometheus.yaml")
            .arg("--storage.tsdb.path=prometheus")
            .arg("--storage.tsdb.retention.time=7d")
            .arg(format!(
                "--rules.alert.resend-delay={}",
                settings.tempo.duration(RESEND)
            ))
            .arg(format!("--web.listen-address={prometheus}"));
        let children = [
            begun(&mut first, directory, "alertmanager.log", alertmanager).await?,
            begun(&mut second, directory, "prometheus.log", prometheus).await?,
        ];
        Ok(Self {
            prometheus,
            alertmanager,
            directory: directory.to_path_buf(),
            _children: children,
            finding,
        })
    }
}

/// File with the drivers that can be scraped.
const DRIVERS: &str = "drivers.json";
/// How often drivers are looked for: as often as the fastest scrape.
const OFTEN: Duration = Duration::from_secs(1);

/// Writes the drivers there are, again and again.
async fn find_drivers(client: Client, path: PathBuf) {
    let pods: Api<Pod> = Api::all(client);
    let drivers = ListParams::default().labels(&format!("{}={}", names::LABEL_SPARK_ROLE, names::ROLE_DRIVER));
    let mut written = None;
    loop {
        if let Ok(list) = pods.list(&drivers).await {
            let found: Vec<Driver> = list.items.iter().filter_map(driver).collect();
            if written.as_ref() != Some(&found) {
                let text = scrape::targets(&found).to_string();
                let partial = path.with_extension("partial");
                let replaced = std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, &path));
                match replaced {
                    Ok(()) => written = Some(found),
                    Err(error) => tracing::warn!(%error, "drivers to scrape"),
                }
            }
        }
        tokio::time::sleep(OFTEN).await;
    }
}

/// A driver that runs, with the port of its UI.
fn driver(pod: &Pod) -> Option<Driver> {
    let status = pod.status.as_ref()?;
    if status.phase.as_deref() != Some("Running") {
        return None;
    }
    let ports = pod
        .spec
        .as_ref()?
        .containers
        .iter()
        .flat_map(|container| container.ports.iter().flatten());
    let port = ports
        .filter(|port| port.name.as_deref() == Some(scrape::DRIVER_PORT))
        .map(|port| port.container_port)
        .next()?;
    Some(Driver {
        address: format!("{}:{port}", status.pod_ip.as_deref()?),
        namespace: pod.metadata.namespace.clone()?,
        pod: pod.metadata.name.clone()?,
        labels: pod.metadata.labels.clone().unwrap_or_default(),
    })
}

/// A port of this machine: this one, else any that is free.
fn free(port: u16) -> Outcome<SocketAddr> {
    let local = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = local(port).or_else(|_| local(0))?;
    Ok(listener.local_addr()?)
}

/// Starts a program and waits until it listens.
async fn begun(command: &mut Command, directory: &Path, log: &str, address: SocketAddr) -> Outcome<Child> {
    let log = directory.join(log);
    let file = std::fs::File::create(&log)?;
    command
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        if let Some(status) = child.try_wait()? {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let last = said.lines().last().unwrap_or_default();
            let message = format!("{:?} ended at once ({status}): {last}", command.as_std().get_program());
            return Err(
                LaptopError::environment("stoke::observe::start", message).fix(format!("see {}", log.display()))
            );
        }
        if begun.elapsed() > START {
            let message = format!("nothing answers at {address} after {} s", START.as_secs());
            return Err(
                LaptopError::environment("stoke::observe::start", message).fix(format!("see {}", log.display()))
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(child)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_driver_that_runs_is_scraped_at_the_port_of_its_ui_with_the_labels_of_its_job() {
        let pod = |phase: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "etl-1-driver", "namespace": "jobs", "labels": {
                    "sparkoperator.k8s.io/app-name": "etl-1", "sparkoperator.k8s.io/scheduled-app-name": "etl", "team": "data", "spark-app-selector": "spark-1"}},
                "spec": {"containers": [{"name": "c", "ports": [{"name": "driver-rpc-port", "containerPort": 7078}, {"name": "spark-ui", "containerPort": 4040}]}]},
                "status": {"phase": phase, "podIP": "127.1.2.3"},
            }))
            .unwrap()
        };
        assert_eq!(driver(&pod("Pending")), None);
        let found = driver(&pod("Running")).unwrap();
        let labels = json!({"namespace": "jobs", "pod": "etl-1-driver", "instance": "etl-1-driver", "app": "etl", "team": "data", "application_id": "spark-1"});
        assert_eq!(
            scrape::targets(&[found]),
            json!([{"targets": ["127.1.2.3:4040"], "labels": labels}])
        );
    }
}
