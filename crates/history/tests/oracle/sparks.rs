//! Sparks, and the logs they make.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stoke_testkit::target_directory;

/// The versions compared.
pub const VERSIONS: [&str; 3] = ["3.5.9", "4.1.4", "4.3.0"];
const WORKLOADS: &str = include_str!("workloads.py");
/// A group takes less than a minute on an idle machine.
const LONGEST: Duration = Duration::from_secs(1200);

/// The group of applications that is recorded: SQL, RDDs, failures, caching, streaming, in local mode.
pub const ENOUGH: &str = "local";

/// A Spark.
#[derive(Debug, Clone)]
pub struct Spark {
    pub version: &'static str,
    pub home: PathBuf,
    python: PathBuf,
}

impl Spark {
    /// The Spark of a version: one that was named, one that is installed, or one installed now.
    pub fn find(version: &'static str) -> Result<Spark, String> {
        let own = std::env::var("STOKE_HISTORY_SPARKS").unwrap_or_default();
        let own = own
            .split(':')
            .filter(|home| !home.is_empty())
            .filter_map(|home| Path::new(home).canonicalize().ok())
            .collect();
        let runtime = stoke_testkit::spark::spark_among(own, version)?;
        let python = runtime.python.ok_or("its Python environment is not known")?;
        Ok(Spark {
            version,
            home: runtime.spark_home,
            python: python.environment.join("bin/python3"),
        })
    }

    /// A program of Spark, in an environment of its own.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("SPARK_HOME", &self.home)
            .env("PYSPARK_PYTHON", &self.python)
            .env("SPARK_LOCAL_IP", "127.0.0.1")
            .stdin(Stdio::null());
        command
    }

    /// The directories of its logs, one for each group of [`WORKLOADS`]; what is missing is made.
    pub fn logs(&self) -> Result<Vec<PathBuf>, String> {
        match std::env::var("STOKE_HISTORY_LOGS") {
            Ok(made) => Ok(vec![Path::new(&made).join(self.version)]),
            Err(_) => self.made(|_| true),
        }
    }

    /// The directory of the logs of one group.
    pub fn logs_of(&self, group: &str) -> Result<Vec<PathBuf>, String> {
        self.made(|one| one == group)
    }

    fn made(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, String> {
        let mut hasher = DefaultHasher::new();
        WORKLOADS.hash(&mut hasher);
        let kept = target_directory().join("stoke-test-home/history").join(format!(
            "{}-{:016x}",
            self.version,
            hasher.finish()
        ));
        let failed = |error: std::io::Error| format!("{}: {error}", kept.display());
        std::fs::create_dir_all(&kept).map_err(failed)?;
        let script = kept.join("workloads.py");
        std::fs::write(&script, WORKLOADS).map_err(failed)?;
        let groups = self.run(&script, "list", &kept)?;
        let mut made = Vec::new();
        for group in groups.lines().filter(|group| wanted(group)) {
            // A group is there once it is whole.
            let done = kept.join(group);
            if !done.exists() {
                let making = tempfile::tempdir_in(&kept).map_err(failed)?;
                self.run(&script, group, making.path())?;
                std::fs::rename(making.keep(), &done).map_err(failed)?;
            }
            made.push(done);
        }
        Ok(made)
    }

    /// Runs a group; what it prints is told when it fails.
    fn run(&self, script: &Path, group: &str, logs: &Path) -> Result<String, String> {
        let failed = |error: std::io::Error| format!("{group} on Spark {}: {error}", self.version);
        let work = tempfile::tempdir().map_err(failed)?;
        let (out, err) = (work.path().join("out"), work.path().join("err"));
        let mut process = self
            .command(&self.python)
            .args([script.as_os_str(), group.as_ref(), logs.as_os_str()])
            .current_dir(work.path())
            .stdout(std::fs::File::create(&out).map_err(failed)?)
            .stderr(std::fs::File::create(&err).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let begin = Instant::now();
        let success = loop {
            if let Some(status) = process.try_wait().map_err(failed)? {
                break status.success();
            }
            if begin.elapsed() > LONGEST {
                let _ = process.kill();
                let _ = process.wait();
                break false;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let read = |file: &Path| String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
        if success {
            return Ok(read(&out));
        }
        let text = read(&err) + &read(&out);
        let lines: Vec<&str> = text.lines().rev().take(30).collect();
        Err(format!(
            "{group} on Spark {} failed or took longer than {LONGEST:?}: {}",
            self.version,
            lines.into_iter().rev().collect::<Vec<_>>().join("\n")
        ))
    }
}
