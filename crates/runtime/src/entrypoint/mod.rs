//! The program that containers run as `/opt/entrypoint.sh`: the behaviour of the official Spark images' entrypoint, without its delays.
//!
//! In: the container's arguments (`driver …`, `executor`, or any program), environment and files. Out: this process becomes the
//! driver, the executor or the program. What is run is decided by pure functions ([`driver::command`], [`executor::command`]) of a
//! [`Situation`]; only [`main`] looks at the world and calls `exec`. It never starts a second process next to the workload.

pub mod class_path;
pub mod classes;
mod decommission;
pub mod driver;
pub mod executor;
pub mod options;
mod prepare;
pub mod properties;
pub mod speed;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::IntoRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;

use rustix::io::FdFlags;

use crate::image::{PACKAGES, SPARK_HOME, STOKE, USER_HOME};
use crate::launch::{Archive, FACTS, Facts, Method};
use crate::packages;

/// The hidden first argument with which the executable is an entrypoint.
pub const ARGUMENT: &str = "__entrypoint";
/// The argument that makes archives.
pub(crate) const PREPARE: &str = "__prepare";
/// Where the archives are written to.
pub(crate) const PREPARED: &str = "/opt/stoke/prepared";
/// The argument of the pre-stop hook.
const DECOMMISSION: &str = "__decommission";

/// Environment variable by which the node tells the container's CPU limit, in millicores. A JVM in a real container reads it from its
/// control group. Not handed on.
pub const CPU_LIMIT: &str = "STOKE_CPU_LIMIT_MILLIS";
/// Environment variable that makes a driver or executor record its run for an ahead-of-time cache. Not handed on.
pub(crate) const RECORD: &str = "STOKE_RECORD";

/// Environment variable by which the node tells the container's memory limit, in bytes. Not handed on.
pub const MEMORY_LIMIT: &str = "STOKE_MEMORY_LIMIT_BYTES";

/// What the entrypoint knows when it decides.
#[derive(Debug, Clone, Default)]
pub struct Situation {
    /// The facts of this Spark on this Java; none when they could not be read, then everything goes the official, slow way.
    pub facts: Option<Facts>,
    /// The archives that are there.
    pub archives: Vec<Archive>,
    pub environment: BTreeMap<String, String>,
    /// The working directory.
    pub directory: String,
    /// The names of the files in the directories that matter: Spark's and Hadoop's configuration, the working directory.
    pub listings: BTreeMap<String, Vec<String>>,
    /// The texts of the properties files named in the arguments.
    pub property_files: BTreeMap<String, String>,
    /// An Ivy directory of this driver's own, when it uses the shared packages.
    pub own_packages: Option<String>,
    /// Processors of the machine.
    pub machine_cpus: u32,
    /// Memory of the machine in bytes.
    pub machine_memory: u64,
}

impl Situation {
    /// A variable of the environment; an empty one counts as not set.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Where Spark is.
    pub fn spark_home(&self) -> &str {
        self.variable("SPARK_HOME").unwrap_or(SPARK_HOME)
    }

    /// Spark's configuration directory.
    pub fn conf_directory(&self) -> String {
        self.variable("SPARK_CONF_DIR")
            .map_or_else(|| format!("{}/conf", self.spark_home()), str::to_owned)
    }

    /// The `java` program.
    pub fn java(&self) -> String {
        self.variable("JAVA_HOME")
            .map_or_else(|| "java".to_owned(), |home| format!("{home}/bin/java"))
    }

    /// How this Java keeps what it loaded.
    pub fn method(&self) -> Method {
        self.facts
            .as_ref()
            .map_or(Method::ClassData, |facts| Method::of(facts.java_major))
    }

    /// Whether this run is recorded for an ahead-of-time cache.
    pub fn records(&self) -> bool {
        self.method() == Method::AheadOfTime && self.variable(RECORD).is_some()
    }

    /// The names in a directory; none when it does not exist.
    pub fn names_in(&self, directory: &str) -> &[String] {
        self.listings.get(directory).map_or(&[], Vec::as_slice)
    }

    fn see(arguments: &[String]) -> Situation {
        let launch = Path::new(STOKE).join("launch");
        let facts = std::fs::read(launch.join(FACTS))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut situation = Situation {
            facts,
            archives: Vec::new(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            directory: std::env::current_dir()
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
            listings: BTreeMap::new(),
            property_files: BTreeMap::new(),
            own_packages: None,
            machine_cpus: std::thread::available_parallelism()
                .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
            machine_memory: rustix::system::sysinfo().totalram,
        };
        let method = situation.method();
        situation.archives = Archive::ALL
            .into_iter()
            .filter(|archive| launch.join(archive.file(method)).exists())
            .collect();
        let directories = [Some(situation.conf_directory()), Some(situation.directory.clone())]
            .into_iter()
            .chain(["HADOOP_CONF_DIR", "YARN_CONF_DIR"].map(|name| situation.variable(name).map(str::to_owned)));
        for directory in directories.flatten() {
            let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten();
            let names = entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            situation.listings.insert(directory, names);
        }
        for pair in arguments.windows(2).filter(|pair| pair[0] == driver::PROPERTIES_FILE) {
            if let Ok(bytes) = std::fs::read(&pair[1]) {
                situation
                    .property_files
                    .insert(pair[1].clone(), String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        situation
    }
}

/// What this process is to become.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Launch {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Variables to set.
    pub set: Vec<(String, String)>,
    /// Variables to remove.
    pub remove: Vec<String>,
}

/// Decides what the container's arguments mean.
pub fn launch(situation: &Situation, arguments: &[String]) -> Launch {
    let mut launch = match arguments.split_first() {
        Some((role, rest)) if role == "driver" => driver::command(situation, rest),
        Some((role, _)) if role == "executor" => executor::command(situation),
        _ => Launch {
            command: arguments.to_vec(),
            ..Launch::default()
        },
    };
    launch.remove.extend([CPU_LIMIT, MEMORY_LIMIT].map(str::to_owned));
    if situation.variable(RECORD).is_some() {
        launch.remove.push(RECORD.to_owned());
    }
    launch
}

/// Runs as the entrypoint with the arguments after [`ARGUMENT`]. Returns only when nothing could be started, or after
/// one of the internal duties.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    // What is ours is text; another program's arguments are handed on as the bytes they are.
    let words: Vec<String> = arguments
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    match words.first().map(String::as_str) {
        Some(PREPARE) => return prepare::run(&Situation::see(&words), &words[1..]),
        Some(DECOMMISSION) => return decommission::run(),
        Some(crate::programs::launch::ARGUMENT) => return crate::programs::launch::main(&words[1..]),
        _ => {}
    }
    let mut situation = Situation::see(&words);
    situation.own_packages = own_packages(&situation, &words);
    let launch = launch(&situation, &words);
    if let Err(error) = speed::note_options(&situation, &launch.command) {
        complain(&format!("this run's options cannot be kept in {PREPARED}: {error}"));
        return ExitCode::FAILURE;
    }
    let command = if launch.command == words {
        arguments
    } else {
        launch.command.iter().map(OsString::from).collect()
    };
    let Some((program, rest)) = command.split_first() else {
        complain("nothing to run: give `driver …`, `executor`, or a program");
        return ExitCode::from(64);
    };
    let mut command = std::process::Command::new(program);
    command.args(rest).envs(launch.set);
    for name in launch.remove {
        command.env_remove(name);
    }
    let error = command.exec();
    complain(&format!("{} cannot be started: {error}", program.display()));
    // The codes a shell gives: 127 when the program is not there, 126 when it cannot be run.
    ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound {
        127
    } else {
        126
    })
}

/// Gives a driver that uses the shared packages a directory of its own, and locks it for as long as this process lives, whatever program
/// it becomes. Where that cannot be had, packages are fetched again, for this container alone.
fn own_packages(situation: &Situation, words: &[String]) -> Option<String> {
    let (_, arguments) = words.split_first().filter(|(role, _)| *role == "driver")?;
    let filled = driver::uses_packages(situation, arguments)?;
    let own = packages::begin(Path::new(PACKAGES), filled)
        .and_then(|own| Ok(rustix::io::fcntl_setfd(&own.lock, FdFlags::empty()).map(|()| own)?));
    match own {
        Ok(own) => {
            let _ = own.lock.into_raw_fd();
            Some(own.directory.display().to_string())
        }
        Err(error) => {
            complain(&format!(
                "packages of earlier runs cannot be used ({PACKAGES}): {error}"
            ));
            Some(format!("{USER_HOME}/.ivy2"))
        }
    }
}

/// Writes to the container's log; a closed log is no reason to fail.
fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "entrypoint: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_programs_pass_through_unchanged() {
        let arguments = ["/bin/sh", "-c", "echo hi"].map(str::to_owned);
        let launch = launch(&Situation::default(), &arguments);
        assert_eq!(launch.command, arguments);
        assert_eq!(launch.set, []);
        assert_eq!(launch.remove, [CPU_LIMIT, MEMORY_LIMIT]);
    }
}
