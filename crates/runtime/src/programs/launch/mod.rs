//! What runs first in a container of a program: it does what the entrypoint of the image does that the program stands for.
//!
//! In: the container's arguments, environment and the few files that matter. Out: a [`Plan`]: what is made and run before, and what this process becomes.
//! Plans are pure functions of a [`Situation`], one file for each program; only [`main`] looks at the world.
//!
//! All pods share the machine's network. Where an image listens on all addresses, its program listens at the pod's own, so that two pods may have one port;
//! and what a command asks at `localhost` is asked there.

mod airflow;
mod hive;
mod jupyter;
mod kafka;
mod mlflow;
mod nessie;
mod postgres;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::entrypoint::{CPU_LIMIT, MEMORY_LIMIT};

/// The word after `__entrypoint` that means a program.
pub(crate) const ARGUMENT: &str = "__program";
/// The script that is the entrypoint of a program's image.
pub(crate) const ENTRY: &str = "entrypoint";
/// Variable with the program's directory.
pub(crate) const DIRECTORY: &str = "STOKE_PROGRAM";

/// What is known when a plan is made.
pub(super) struct Situation<'a> {
    /// The program's directory.
    pub directory: PathBuf,
    pub environment: BTreeMap<String, String>,
    /// The pod's own address; the one of all where it is not known.
    pub address: String,
    /// Whether a path is there.
    pub exists: &'a dyn Fn(&Path) -> bool,
    /// The directory of packages of the private Python environment.
    pub packages: Option<PathBuf>,
    /// The text of a file; none when it cannot be read.
    pub read: &'a dyn Fn(&Path) -> Option<String>,
    /// The names in a directory, sorted.
    pub names: &'a dyn Fn(&Path) -> Vec<String>,
}

impl Situation<'_> {
    /// A variable; an empty one counts as not set.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The variable, or what is in the file that `NAME_FILE` names, as the official images do with secrets.
    pub fn secret(&self, name: &str) -> Option<String> {
        let own = self.variable(name).map(str::to_owned);
        own.or_else(|| {
            let file = self.variable(&format!("{name}_FILE"))?;
            (self.read)(Path::new(file)).map(|text| text.trim_end_matches('\n').to_owned())
        })
    }

    /// A program of the private Python environment.
    pub fn python(&self) -> String {
        self.directory.join("venv/bin/python").display().to_string()
    }

    /// The `java` program.
    pub fn java(&self) -> String {
        self.variable("JAVA_HOME")
            .map_or_else(|| "java".into(), |home| format!("{home}/bin/java"))
    }

    /// Where the program's jars are.
    pub fn jars(&self) -> String {
        super::jars(&self.directory).display().to_string()
    }

    /// The heap of a JVM in MiB: the given share of the memory limit in percent, else what is usual on a laptop.
    pub fn heap(&self, percent: u64, usual: u64) -> u64 {
        let limit = self.variable(MEMORY_LIMIT).and_then(|bytes| bytes.parse::<u64>().ok());
        limit.map_or(usual, |bytes| (bytes >> 20) * percent / 100)
    }

    /// A text in which the address of all is the pod's own: `0.0.0.0`, alone or before a port, and the empty host of a listener (`PLAINTEXT://:9092`).
    pub fn own_address(&self, text: &str) -> String {
        text.replace("0.0.0.0", &self.address)
            .replace("://:", &format!("://{}:", self.address))
    }

    /// A text in which this machine is the pod: `localhost` and `127.0.0.1`.
    pub fn own_host(&self, text: &str) -> String {
        text.replace("localhost", &self.address)
            .replace("127.0.0.1", &self.address)
    }
}

/// What is done before a program is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Before {
    /// Make a directory.
    Directory(PathBuf),
    /// Write a file whole.
    File(PathBuf, String),
    /// Remove a directory and what is in it, if it is there.
    Removed(PathBuf),
    /// Give a directory another name.
    Renamed(PathBuf, PathBuf),
    /// Run a program to its end; it must succeed.
    Run(Run),
}

/// A program to run to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub command: Vec<String>,
    pub set: Vec<(String, String)>,
    /// Its standard input.
    pub input: Option<String>,
}

/// What this process becomes, and what is done before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub before: Vec<Before>,
    pub command: Vec<String>,
    pub set: Vec<(String, String)>,
    /// Variables the program must not see.
    pub remove: Vec<&'static str>,
}

impl Plan {
    /// The words as they are.
    pub fn plain(words: &[String]) -> Plan {
        Plan {
            command: words.to_vec(),
            ..Plan::default()
        }
    }
}

/// Words of text constants.
pub(super) fn words(text: &[&str]) -> Vec<String> {
    text.iter().map(|word| (*word).to_owned()).collect()
}

/// A function that makes the plan of a program.
type Planner = fn(&Situation<'_>, &[String]) -> Result<Plan, String>;

const PLANNERS: [(&str, Planner); 7] = [
    ("postgresql", postgres::plan),
    ("hive-metastore", hive::plan),
    ("jupyterlab", jupyter::plan),
    ("mlflow", mlflow::plan),
    ("nessie", nessie::plan),
    ("kafka", kafka::plan),
    ("airflow", airflow::plan),
];

/// Runs as a program's entrypoint: the first word names the program, the others are the container's. Returns only when nothing could be started.
pub(crate) fn main(words: &[String]) -> ExitCode {
    match planned(words).and_then(|plan| perform(&plan)) {
        Ok(never) => match never {},
        Err((code, message)) => {
            // A closed log is no reason for another end.
            let _ = writeln!(std::io::stderr(), "entrypoint: {message}");
            ExitCode::from(code)
        }
    }
}

/// An exit code and why.
type Refusal = (u8, String);

fn planned(words: &[String]) -> Result<Plan, Refusal> {
    let (name, rest) = words
        .split_first()
        .ok_or((64, "which program is not said".to_owned()))?;
    let found = PLANNERS.iter().find(|(known, _)| known == name);
    let (_, planner) = found.ok_or_else(|| (64, format!("there is no program {name}")))?;
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let directory = environment.get(DIRECTORY).map(PathBuf::from).unwrap_or_default();
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let situation = Situation {
        packages: crate::install::record::packages(&directory.join("venv")).ok(),
        address: own_address(&environment, &hosts),
        directory,
        environment,
        exists: &|path| path.exists(),
        read: &|path| std::fs::read_to_string(path).ok(),
        names: &|path| {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            let mut names: Vec<String> = entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        },
    };
    planner(&situation, rest).map_err(|why| (1, why))
}

/// The address under which `/etc/hosts` has this pod.
fn own_address(environment: &BTreeMap<String, String>, hosts: &str) -> String {
    let name = environment.get("HOSTNAME").map_or("", String::as_str);
    let line = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut found = line.filter_map(|line| {
        let mut fields = line.split_whitespace();
        let address = fields.next()?;
        fields.any(|field| field == name).then_some(address)
    });
    found.next().unwrap_or("0.0.0.0").to_owned()
}

fn perform(plan: &Plan) -> Result<std::convert::Infallible, Refusal> {
    for step in &plan.before {
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |error: std::io::Error| (1, format!("{path}: {error}"))
        };
        match step {
            Before::Directory(path) => std::fs::create_dir_all(path).map_err(failed(path))?,
            Before::File(path, text) => {
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent).map_err(failed(parent))?;
                }
                std::fs::write(path, text).map_err(failed(path))?;
            }
            Before::Removed(path) => match std::fs::remove_dir_all(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(path)(error)),
                _ => {}
            },
            Before::Renamed(from, to) => std::fs::rename(from, to).map_err(failed(to))?,
            Before::Run(run) => to_its_end(run, plan)?,
        }
    }
    let Some((program, arguments)) = plan.command.split_first() else {
        return Err((64, "there is nothing to run".into()));
    };
    let error = prepared(program, arguments, plan).exec();
    let code = if error.kind() == std::io::ErrorKind::NotFound {
        127
    } else {
        126
    };
    Err((code, format!("{program} cannot be started: {error}")))
}

fn prepared(program: &str, arguments: &[String], plan: &Plan) -> Command {
    let mut command = Command::new(OsString::from(program));
    command
        .args(arguments)
        .envs(plan.set.iter().map(|(name, value)| (name, value)));
    for name in plan.remove.iter().chain(&[CPU_LIMIT, MEMORY_LIMIT]) {
        command.env_remove(name);
    }
    command
}

fn to_its_end(run: &Run, plan: &Plan) -> Result<(), Refusal> {
    let Some((program, arguments)) = run.command.split_first() else {
        return Ok(());
    };
    let told = |error: std::io::Error| (1, format!("{program}: {error}"));
    let mut child = prepared(program, arguments, plan)
        .envs(run.set.iter().map(|(name, value)| (name, value)))
        .stdin(if run.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .spawn()
        .map_err(told)?;
    if let (Some(text), Some(mut input)) = (&run.input, child.stdin.take()) {
        input.write_all(text.as_bytes()).map_err(told)?;
    }
    let status = child.wait().map_err(told)?;
    match status.success() {
        true => Ok(()),
        false => Err((1, format!("{program} ended with {status}"))),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A situation with this environment, in which these paths exist.
    pub(in crate::programs) fn planned(
        planner: Planner,
        environment: &[(&str, &str)],
        there: &[&str],
        arguments: &[&str],
    ) -> Result<Plan, String> {
        let exists = |path: &Path| there.iter().any(|known| Path::new(known) == path);
        let names = |path: &Path| {
            let below = there.iter().filter(|known| Path::new(known).parent() == Some(path));
            below
                .filter_map(|known| Some(Path::new(known).file_name()?.to_string_lossy().into_owned()))
                .collect()
        };
        let situation = Situation {
            directory: "/p".into(),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            address: "127.7.1.9".into(),
            exists: &exists,
            packages: Some("/p/venv/lib/python3.11/site-packages".into()),
            read: &|path| match path.to_str() {
                Some("/secrets/password") => Some("hidden\n".to_owned()),
                Some("/etc/hosts") => Some("127.7.192.5\texperiments.data.svc experiments # Service\n".to_owned()),
                _ => None,
            },
            names: &names,
        };
        planner(&situation, &words(arguments))
    }

    #[test]
    fn the_pods_address_is_read_of_its_hosts_file() {
        let hosts =
            "# made\n127.0.0.1\tlocalhost\n127.7.1.9\tkafka-0.kafka.data.svc kafka-0 # own\n127.7.192.1\tkafka\n";
        let environment = |name: &str| BTreeMap::from([("HOSTNAME".to_owned(), name.to_owned())]);
        assert_eq!(own_address(&environment("kafka-0"), hosts), "127.7.1.9");
        assert_eq!(own_address(&environment("other"), hosts), "0.0.0.0");
        assert_eq!(own_address(&BTreeMap::new(), hosts), "0.0.0.0");
    }

    #[test]
    fn every_program_of_the_catalogue_has_a_plan() {
        let planned: Vec<&str> = PLANNERS.iter().map(|(name, _)| *name).collect();
        let mut there: Vec<&str> = crate::programs::PROGRAMS.iter().map(|program| program.name).collect();
        there.dedup();
        assert_eq!(planned, there);
    }
}
