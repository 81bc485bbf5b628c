//! What the tests stand on: the binary, a home shared by all tests, the Sparks in it, and programs that may or may not be there.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::limit::limited;

/// Sparks the tests run, the one most tests use first.
pub const VERSIONS: [&str; 3] = ["4.1.4", "3.5.9", "4.3.0"];

/// What was found on this machine.
#[derive(Clone)]
pub struct Context(Arc<Found>);

struct Found {
    home: PathBuf,
    sparks: BTreeMap<&'static str, Result<PathBuf, String>>,
}

impl Context {
    /// Nothing was looked for: enough to list the tests.
    pub fn empty() -> Self {
        Context(Arc::new(Found {
            home: PathBuf::new(),
            sparks: BTreeMap::new(),
        }))
    }

    /// Installs the Sparks (once; they stay in the target directory) and looks for programs.
    ///
    /// The behaviours on a real Kubernetes alone (`-- real`) need none of it.
    pub fn prepare(filter: Option<&str>) -> Self {
        if filter.is_some_and(|filter| filter.starts_with("real")) {
            return Self::empty();
        }
        let home = test_home();
        let sparks = VERSIONS.map(|version| (version, install(&home, version)));
        Context(Arc::new(Found {
            home,
            sparks: sparks.into_iter().collect(),
        }))
    }

    /// `SPARK_HOME` of a version.
    pub fn spark_home(&self, version: &str) -> Option<PathBuf> {
        self.0.sparks.get(version)?.as_ref().ok().cloned()
    }

    /// The home that holds the Sparks. Tests that start `stoke up` take [`Context::private_home`].
    pub fn home(&self) -> &Path {
        &self.0.home
    }

    /// A home of a test's own that shares the installed Sparks and fetched packages.
    pub fn private_home(&self) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(self.0.home.join("packages")).unwrap();
        std::os::unix::fs::symlink(self.0.home.join("packages"), home.path().join("packages")).unwrap();
        std::os::unix::fs::symlink(self.0.home.join("runtimes"), home.path().join("runtimes")).unwrap();
        home
    }

    /// `Ok` when this Spark is installed, else why not.
    pub fn spark(&self, version: &str) -> Result<(), String> {
        match self.0.sparks.get(version) {
            Some(found) => found
                .as_ref()
                .map(|_| ())
                .map_err(|why| format!("Spark {version}: {why}")),
            None => Ok(()),
        }
    }

    /// `Ok` when a Maven package (`group:artifact:version`) is kept from an earlier run or can be fetched.
    pub fn package(&self, coordinates: &str) -> Result<(), String> {
        let kept = match coordinates.split(':').collect::<Vec<_>>()[..] {
            [group, artifact, version] => format!("packages/cache/{group}/{artifact}/jars/{artifact}-{version}.jar"),
            _ => return Err(format!("{coordinates} is not group:artifact:version")),
        };
        if self.home().join(kept).exists() {
            Ok(())
        } else {
            reached("repo1.maven.org:443")
        }
    }

    /// A test; ignored with the reason in its name when something it needs is missing.
    pub fn trial(
        &self,
        name: &str,
        needs: &[Result<(), String>],
        test: impl FnOnce(&Context) -> Result<(), Failed> + Send + 'static,
    ) -> Trial {
        let missing = needs.iter().find_map(|need| need.as_ref().err());
        let context = self.clone();
        match missing {
            Some(why) => Trial::test(format!("{name} [skipped: {why}]"), || Ok(())).with_ignored_flag(true),
            None => Trial::test(name, move || limited(move || test(&context))),
        }
    }

    /// The `stoke` binary with the shared home.
    pub fn stoke<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        stoke(self.home(), arguments)
    }
}

/// The `stoke` binary with a home, as a stranger would call it: no settings but the home.
pub fn stoke<S: AsRef<OsStr>>(home: &Path, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoke"));
    command
        .args(arguments)
        .env("STOKE_HOME", home)
        .env_remove("KUBECONFIG")
        .env_remove("SPARK_HOME")
        .stdin(Stdio::null());
    command
}

/// `Ok` when an address (`name:port`) takes connections.
pub fn reached(address: &str) -> Result<(), String> {
    let mut addresses = address
        .to_socket_addrs()
        .map_err(|error| format!("{address}: {error}"))?;
    let within = Duration::from_secs(5);
    if addresses.any(|address| TcpStream::connect_timeout(&address, within).is_ok()) {
        Ok(())
    } else {
        Err(format!("{address} is out of reach"))
    }
}

/// `Ok` when a program is on the PATH.
pub fn program(name: &str, how: &str) -> Result<(), String> {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|directory| directory.join(name).is_file());
    if found {
        Ok(())
    } else {
        Err(format!("{name} is not installed ({how})"))
    }
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

pub fn target_directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_path_buf()
}

/// The home that holds the Sparks, kept from run to run.
fn test_home() -> PathBuf {
    target_directory().join("stoke-test-home")
}

/// `SPARK_HOME` of a version, installed when it is not there: for tests that run where nothing else needs one.
pub fn spark_home(version: &str) -> Result<PathBuf, String> {
    install(&test_home(), version)
}

fn install(home: &Path, version: &str) -> Result<PathBuf, String> {
    let output = stoke(home, ["runtime", "install", version, "--output", "json"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| e.to_string())?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match answer["sparkHome"].as_str() {
        Some(path) if output.status.success() => Ok(PathBuf::from(path)),
        _ => Err(answer["error"]["message"]
            .as_str()
            .unwrap_or("could not be installed")
            .replace('\n', " ")),
    }
}

/// Output of a finished process as text: both streams.
pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The end of a long text: what a reader of a failed test needs, after a whole driver's log.
fn end(text: &str) -> String {
    const LINES: usize = 60;
    let lines: Vec<&str> = text.lines().collect();
    let left_out = lines.len().saturating_sub(LINES);
    let mark = if left_out > 0 {
        format!("({left_out} lines before)\n")
    } else {
        String::new()
    };
    mark + &lines[left_out..].join("\n")
}

/// Fails with the end of the output unless the process ended with this code.
pub fn expect_code(output: &Output, code: i32) -> Result<(), Failed> {
    if output.status.code() == Some(code) {
        return Ok(());
    }
    Err(format!(
        "ended with {} instead of {code}:\n{}",
        output.status,
        end(&text(output))
    )
    .into())
}

/// Fails with the end of the text unless it contains all parts.
pub fn expect_parts(text: &str, parts: &[&str]) -> Result<(), Failed> {
    match parts.iter().find(|part| !text.contains(**part)) {
        None => Ok(()),
        Some(part) => Err(format!("`{part}` is not in:\n{}", end(text)).into()),
    }
}

/// Tries until it holds or the time is over.
pub fn eventually(what: &str, within: Duration, mut check: impl FnMut() -> bool) -> Result<(), Failed> {
    let deadline = Instant::now() + within;
    while !check() {
        if Instant::now() > deadline {
            return Err(format!("not within {within:?}: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Processes whose environment or command line names this home: what a test must not leave behind.
pub fn processes_of(home: &Path) -> Vec<String> {
    let needle = home.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes
        .filter(|process| {
            process
                .file_name()
                .is_some_and(|name| name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()))
        })
        .filter(|process| process.file_name().unwrap().to_string_lossy() != std::process::id().to_string())
        .filter_map(|process| {
            let command = String::from_utf8_lossy(&std::fs::read(process.join("cmdline")).ok()?).replace('\0', " ");
            let environment = std::fs::read(process.join("environ")).unwrap_or_default();
            let mounts = std::fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
            let own_mounts =
                std::fs::read_link(process.join("ns/mnt")).ok() != std::fs::read_link("/proc/self/ns/mnt").ok();
            let ours = command.contains(&needle)
                || String::from_utf8_lossy(&environment).contains(&needle)
                || own_mounts && mounts.contains(&needle);
            (ours && !command.is_empty()).then_some(format!("{}: {command}", process.display()))
        })
        .collect()
}
