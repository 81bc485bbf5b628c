//! What the tests stand on: the binary, a home shared by all tests, the Sparks in it, and programs that may or may not be there.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use stoke_runtime::Runtimes;
use stoke_testkit::Tier;

/// Sparks the tests run: the one of the default tier, and those of tier `full`.
pub const VERSIONS: [&str; 3] = ["4.1.4", "3.5.9", "4.3.0"];

/// What the tests share.
#[derive(Clone)]
pub struct Context(Arc<Found>);

struct Found {
    home: PathBuf,
    /// Each is installed when the first test that needs it is selected.
    sparks: [OnceLock<Result<PathBuf, String>>; VERSIONS.len()],
}

/// What a test needs to run; what is missing is the reason it is ignored.
#[derive(Clone)]
pub enum Need {
    /// A Spark, installed into the shared home. One of another version than the first needs [`Tier::Full`].
    Spark(&'static str),
    /// A tier that is asked for.
    Tier(Tier),
    /// An address (`name:port`) that takes connections.
    Address(String),
    /// A Maven package (`group:artifact:version`), kept from an earlier run or to be fetched.
    Package(String),
    /// Programs that are built from sources, once.
    Built(fn(&Context) -> Result<(), String>),
    /// Something that was looked for.
    Found(Result<(), String>),
}

impl Need {
    fn tier(&self) -> Tier {
        match self {
            Need::Spark(version) if *version != VERSIONS[0] => Tier::Full,
            Need::Tier(tier) => *tier,
            _ => Tier::Default,
        }
    }

    fn check(self, context: &Context) -> Result<(), String> {
        match self {
            Need::Spark(version) => context.installed(version).map(|_| ()),
            Need::Tier(_) => Ok(()),
            Need::Address(address) => stoke_testkit::reached(&address),
            Need::Package(coordinates) => context.kept(&coordinates),
            Need::Built(build) => build(context),
            Need::Found(found) => found,
        }
    }
}

/// What takes minutes, or is held by records in the default tier.
pub fn full() -> Need {
    Need::Tier(Tier::Full)
}

/// A program on the PATH, and how to install it.
pub fn program(name: &str, how: &str) -> Need {
    Need::Found(stoke_testkit::program(name, how))
}

/// An address (`name:port`) that takes connections.
pub fn reached(address: &str) -> Need {
    Need::Address(address.to_owned())
}

impl Context {
    /// The shared home, in the target directory.
    pub fn new() -> Self {
        Context(Arc::new(Found {
            home: test_home(),
            sparks: Default::default(),
        }))
    }

    /// `SPARK_HOME` of a version.
    pub fn spark_home(&self, version: &str) -> Option<PathBuf> {
        self.installed(version).ok()
    }

    /// `SPARK_HOME` of a version, installed at the first call.
    fn installed(&self, version: &str) -> Result<PathBuf, String> {
        let at = VERSIONS.iter().position(|known| *known == version);
        let at = at.ok_or_else(|| format!("Spark {version} is none of the tests'"))?;
        let found = self.0.sparks[at].get_or_init(|| install(&self.0.home, version));
        found.clone().map_err(|why| format!("Spark {version}: {why}"))
    }

    /// The home that holds the Sparks. Tests that start `stoke up` take [`Context::private_home`].
    pub fn home(&self) -> &Path {
        &self.0.home
    }

    /// A home of a test's own that shares the installed Sparks and fetched packages.
    pub fn private_home(&self) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for shared in ["packages", "runtimes"] {
            std::fs::create_dir_all(self.0.home.join(shared)).unwrap();
            std::os::unix::fs::symlink(self.0.home.join(shared), home.path().join(shared)).unwrap();
        }
        home
    }

    /// A Spark that a test needs.
    pub fn spark(&self, version: &'static str) -> Need {
        Need::Spark(version)
    }

    /// A Maven package (`group:artifact:version`) that a test needs.
    pub fn package(&self, coordinates: &str) -> Need {
        Need::Package(coordinates.to_owned())
    }

    /// Where Ivy keeps a package.
    fn place_of(&self, coordinates: &str) -> Result<PathBuf, String> {
        match coordinates.split(':').collect::<Vec<_>>()[..] {
            [group, artifact, version] => Ok(self.home().join(format!(
                "packages/cache/{group}/{artifact}/jars/{artifact}-{version}.jar"
            ))),
            _ => Err(format!("{coordinates} is not group:artifact:version")),
        }
    }

    /// Holds up others that fetch packages, where this one is not there yet: of several that fetch the same at the same time Ivy lets all but one fail.
    pub fn alone_to_fetch(&self, coordinates: &str) -> Option<MutexGuard<'static, ()>> {
        static FETCH: Mutex<()> = Mutex::new(());
        let is_there = self.place_of(coordinates).is_ok_and(|file| file.exists());
        (!is_there).then(|| FETCH.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn kept(&self, coordinates: &str) -> Result<(), String> {
        match self.place_of(coordinates)?.exists() {
            true => Ok(()),
            false => stoke_testkit::reached("repo1.maven.org:443"),
        }
    }

    /// A test; ignored with the reason in its name when something it needs is missing.
    pub fn trial(
        &self,
        name: &str,
        needs: &[Need],
        test: impl FnOnce(&Context) -> Result<(), Failed> + Send + 'static,
    ) -> Trial {
        let needs = needs.to_vec();
        let tier = needs.iter().map(Need::tier).find(|tier| *tier != Tier::Default);
        let (context, checked) = (self.clone(), self.clone());
        let needs = move || needs.into_iter().try_for_each(|need| need.check(&checked));
        stoke_testkit::trial(name, tier.unwrap_or(Tier::Default), needs, move || test(&context))
    }

    /// The `stoke` binary with the shared home.
    pub fn stoke<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        stoke(self.home(), arguments)
    }
}

/// `spark-submit` of a Spark on this machine, with what it needs of the shared home.
pub fn spark_submit(context: &Context, version: &str) -> Result<Command, Failed> {
    let home = context.spark_home(version).ok_or("no Spark")?;
    let version = version.parse().map_err(|error| format!("{error}"))?;
    let runtimes = Runtimes::new(context.home());
    let java = runtimes.java(&version, None).map_err(|error| error.to_string())?;
    let runtime = runtimes.find(&version).map_err(|error| error.to_string())?;
    let python = runtime.and_then(|runtime| runtime.python.map(|python| python.environment.join("bin/python3")));
    let mut command = Command::new(home.join("bin/spark-submit"));
    command
        .args(["--master", "local[2]", "--driver-memory", "1g", "--conf"])
        .arg(format!("spark.jars.ivy={}", context.home().join("packages").display()))
        .env("SPARK_HOME", &home)
        .env("JAVA_HOME", &java.home)
        .env("PYSPARK_PYTHON", python.unwrap_or_else(|| "python3".into()))
        .env_remove("SPARK_CONF_DIR");
    Ok(command)
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

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The home that holds the Sparks, kept from run to run.
fn test_home() -> PathBuf {
    stoke_testkit::spark::home()
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

/// A process that listens, ended with the test.
pub struct Server(Child);

impl Server {
    pub fn start(command: &mut Command, port: u16) -> Result<Self, Failed> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        eventually("a server listens", Duration::from_secs(60), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok() || matches!(child.try_wait(), Ok(Some(_)))
        })?;
        match child.try_wait()? {
            Some(status) => Err(format!("{command:?} ended: {status}").into()),
            None => Ok(Server(child)),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nothing listens at.
pub fn free_port() -> Result<u16, Failed> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
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

/// Runs a command, and once it has said a line does this to it: its exit code (-1 when it was killed) and all that it said.
pub fn once_said(
    command: &mut Command,
    sign: &str,
    act: &dyn Fn(u32) -> Result<(), Failed>,
) -> Result<(i32, String), Failed> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (mut seen, mut done) = (String::new(), false);
    if let Some(lines) = child.stderr.take() {
        for line in BufReader::new(lines).lines() {
            let line = line?;
            if !done && line.contains(sign) {
                done = true;
                act(child.id())?;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
    }
    let output = child.wait_with_output()?;
    seen.push_str(&String::from_utf8_lossy(&output.stdout));
    if !done {
        return Err(format!("`{sign}` was never said: {seen}").into());
    }
    Ok((output.status.code().unwrap_or(-1), seen))
}
