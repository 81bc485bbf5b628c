//! The job's own tests, in a private place: a copy of the job, a Python environment or a build of its own, the job's Spark and nothing of the user's.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stoke_gate::runs::tests::{End, Ran, Suite, Tool, suites};
use stoke_gate::{Job, Settings};
use stoke_laptop::home::Home;
use stoke_laptop::local_spark::{AtHand, at_hand, private};
use stoke_laptop::process::{self, Ended};
use stoke_runtime::version::index_version;
use stoke_runtime::{Runtime, Runtimes};
use tokio::process::Command;

use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

/// Largest job that is copied, in bytes.
const MOST: u64 = 2 << 30;
/// Directories that are not part of a job's tests.
const LEFT_OUT: [&str; 14] = [
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    ".tox",
    ".nox",
    "node_modules",
    "target",
    "__pycache__",
    ".pytest_cache",
    "spark-warehouse",
    "metastore_db",
    ".bsp",
];

/// Why a suite is not run, and what to do about it.
type Refusal = (String, String);

/// Runs all suites of a job, each with every Spark that the job names.
///
/// # Errors
/// Interrupted; everything else is what came of a suite.
pub async fn run(
    job: &Job,
    settings: &Settings,
    home: &Home,
    limit: Duration,
    terminal: &mut Terminal,
) -> Outcome<Vec<Ran>> {
    let mut named: Vec<Option<String>> = settings.spark_versions(job).into_iter().map(Some).collect();
    if named.is_empty() {
        // No one says which: the newest there is, if there is one.
        named.push(settings.runtimes.last().map(|(version, _)| version.clone()));
    }
    let mut all = Vec::new();
    for suite in suites(job) {
        for version in &named {
            let end = match one(&suite, version.as_deref(), home, limit, terminal).await? {
                Ok(end) => end,
                Err((why, fix)) => End::NotRun { why, fix },
            };
            all.push(Ran {
                suite: suite.clone(),
                spark: version.clone(),
                end,
            });
        }
    }
    Ok(all)
}

async fn one(
    suite: &Suite,
    version: Option<&str>,
    home: &Home,
    limit: Duration,
    terminal: &mut Terminal,
) -> Outcome<Result<End, Refusal>> {
    let runtimes = Runtimes::new(home.root());
    let spark = match version.map(|version| at_hand(&runtimes, version, terminal)).transpose() {
        Ok(spark) => spark,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let scratch = private(home)?;
    let copy = scratch.path().join("job");
    let from = match suite.directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => &suite.directory,
    };
    let mut bytes = 0;
    if let Err(error) = copy_tree(from, &copy, &mut bytes) {
        let why = format!("{} cannot be copied to a private place: {error}", from.display());
        return Ok(Err((why, "keep data out of the job's directory".to_owned())));
    }
    let reports = scratch.path().join("reports");
    std::fs::create_dir_all(&reports)?;
    let log = scratch.path().join("log");
    let with = version.map_or(String::new(), |version| format!(" with Spark {version}"));
    let doing = format!("{} in {}{with}", suite.tool.name(), from.display());
    let command = match suite.tool {
        Tool::Pytest => {
            let python = match environment(suite, &copy, spark.as_ref(), home, limit, terminal).await? {
                Ok(python) => python,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let mut command = Command::new(&python);
            command.args([
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-o",
                "junit_family=xunit1",
            ]);
            command.arg(format!("--junitxml={}", reports.join("pytest.xml").display()));
            command.args(suite.others.iter().map(|other| format!("--ignore={}", other.display())));
            clean(&mut command);
            command
                .env("PYSPARK_PYTHON", &python)
                .env("PYSPARK_DRIVER_PYTHON", &python);
            command
        }
        Tool::Maven => {
            let mut command = Command::new("mvn");
            command.args(["-B", "-ntp", "test"]);
            command.args(version.map(|version| format!("-Dspark.version={version}")));
            clean(&mut command);
            command
        }
        Tool::Sbt => {
            let mut command = Command::new("sbt");
            command.arg("-batch");
            command.args(version.map(|version| format!("-Dspark.version={version}")));
            command.arg("test");
            clean(&mut command);
            command
        }
    };
    let mut command = command;
    command.current_dir(&copy);
    if let Some(spark) = &spark {
        command
            .env("SPARK_HOME", &spark.runtime.spark_home)
            .env("JAVA_HOME", &spark.java)
            .env("SPARK_LOCAL_IP", "127.0.0.1");
    }
    Ok(match process::run(command, &log, limit, &doing, terminal).await? {
        Ended::Exited { code, output } => {
            let mut found = Vec::new();
            match suite.tool {
                Tool::Pytest => read_reports(&reports, &|_| true, &mut found)?,
                Tool::Maven => read_reports(&copy, &|directory| directory.ends_with("surefire-reports"), &mut found)?,
                Tool::Sbt => read_reports(&copy, &|directory| directory.ends_with("test-reports"), &mut found)?,
            }
            Ok(End::Ended {
                code,
                reports: found,
                output,
            })
        }
        Ended::TooLong { output } => {
            let last = output
                .lines()
                .rev()
                .map(str::trim)
                .find(|line| !line.is_empty())
                .unwrap_or("nothing");
            let why = format!("they did not end in {} s; printed last: {last}", limit.as_secs());
            Err((
                why,
                "give them longer with --test-timeout, or see what holds them".to_owned(),
            ))
        }
        Ended::NotThere(error) => {
            let name = suite.tool.name();
            Err((
                format!("{name} cannot be started: {error}"),
                format!("install {name}, and have it on the PATH"),
            ))
        }
    })
}

/// Nothing of the user's own Python and Spark settings.
fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let own = [
            "PYTHON",
            "PYSPARK",
            "SPARK_",
            "PYTEST",
            "VIRTUAL_ENV",
            "CONDA",
            "MAVEN_OPTS",
            "SBT_OPTS",
        ];
        if own.iter().any(|start| name.starts_with(start)) {
            command.env_remove(name);
        }
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1");
}

/// A Python environment with pytest, what the job's lists name, and the job's own Spark as `pyspark`; kept in the home for the next time.
async fn environment(
    suite: &Suite,
    copy: &Path,
    spark: Option<&AtHand>,
    home: &Home,
    limit: Duration,
    terminal: &mut Terminal,
) -> Outcome<Result<PathBuf, Refusal>> {
    let base = match spark.and_then(|spark| spark.runtime.python.as_ref()) {
        Some(python) => python.environment.join("bin/python3"),
        None => match stoke_runtime::install::python::find((3, 8), version_of(spark)) {
            Ok(python) => python.executable,
            Err(error) => {
                return Ok(Err((
                    error.to_string(),
                    "install Python 3 with its venv module".to_owned(),
                )));
            }
        },
    };
    let mut lists = Vec::new();
    for list in &suite.requirements {
        let path = copy.join(list);
        lists.push((path.clone(), std::fs::read(path)?));
    }
    let root = home.root().join("tests");
    std::fs::create_dir_all(&root)?;
    let name = name_of(
        &base,
        spark.map(|spark| &spark.runtime),
        lists.iter().map(|(_, text)| text.as_slice()),
    );
    let directory = root.join(&name);
    let done = directory.join("complete");
    let python = directory.join("bin/python");
    let lock = File::create(root.join(format!(".{name}.lock")))?;
    if lock.try_lock().is_err() {
        terminal.status("another stoke makes the environment of these tests; waiting for it");
        tokio::task::block_in_place(|| lock.lock())?;
    }
    if done.exists() {
        return Ok(Ok(python));
    }
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    let log = root.join(format!(".{name}.log"));
    let mut make = Command::new(&base);
    make.args(["-m", "venv"]).arg(&directory);
    clean(&mut make);
    let doing = "making a Python environment for the tests, once";
    match process::run(make, &log, limit, doing, terminal).await? {
        Ended::Exited { code: Some(0), .. } => {}
        ended => {
            return Ok(Err(refusal(
                "no Python environment could be made",
                ended,
                "see to it that python3 has its venv module",
            )));
        }
    }
    if let Some(spark) = spark {
        lend(&directory, &spark.runtime)?;
    }
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
        "pytest",
    ]);
    for (list, _) in &lists {
        install.arg("-r").arg(list);
    }
    install.current_dir(copy);
    clean(&mut install);
    for name in [
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_ROOT",
        "PIP_USER",
        "PIP_PYTHON",
        "PIP_DRY_RUN",
        "PIP_REQUIRE_VIRTUALENV",
    ] {
        install.env_remove(name);
    }
    let doing = "installing what the tests need, once";
    match process::run(install, &log, limit, doing, terminal).await? {
        Ended::Exited { code: Some(0), .. } => {}
        ended => {
            let fix = "fix the lists of packages, or see to it that the package index can be reached";
            return Ok(Err(refusal("what the tests need could not be installed", ended, fix)));
        }
    }
    std::fs::write(&done, "")?;
    let _ = std::fs::remove_file(log);
    Ok(Ok(python))
}

fn version_of(spark: Option<&AtHand>) -> &str {
    spark.map_or("of any version", |spark| spark.named.as_str())
}

fn refusal(what: &str, ended: Ended, fix: &str) -> Refusal {
    let detail = match ended {
        Ended::Exited { output, .. } | Ended::TooLong { output } => {
            let errors: Vec<&str> = output.lines().filter(|line| line.starts_with("ERROR")).collect();
            let last = output
                .lines()
                .rev()
                .find(|line| !line.trim().is_empty())
                .unwrap_or("nothing was printed");
            errors.first().copied().unwrap_or(last).to_owned()
        }
        Ended::NotThere(error) => error.to_string(),
    };
    (format!("{what}: {detail}"), fix.to_owned())
}

/// The name of an environment: the same for the same Python, Spark and lists.
fn name_of<'a>(base: &Path, spark: Option<&Runtime>, lists: impl Iterator<Item = &'a [u8]>) -> String {
    // FNV-1a: names must differ, not withstand anybody.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    };
    add(base.as_os_str().as_encoded_bytes());
    if let Some(spark) = spark {
        add(spark.spark_home.as_os_str().as_encoded_bytes());
    }
    lists.for_each(&mut add);
    format!("{hash:016x}")
}

/// Makes a Spark a package of an environment, without copying it: on its path, and known to pip, so that lists that name `pyspark` are content with it.
fn lend(environment: &Path, spark: &Runtime) -> Outcome<()> {
    let packages = std::fs::read_dir(environment.join("lib"))?
        .filter_map(|entry| Some(entry.ok()?.path().join("site-packages")))
        .find(|path| path.is_dir())
        .ok_or_else(|| {
            Failure::environment(
                "stoke::check::environment",
                "a Python environment without site-packages",
            )
        })?;
    let mut paths = Vec::new();
    match &spark.python {
        Some(python) => paths.push(python.packages.clone()),
        None => {
            paths.push(spark.spark_home.join("python"));
            let library = std::fs::read_dir(spark.spark_home.join("python/lib"))?;
            paths.extend(library.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with("py4j"))
            }));
        }
    }
    let lines: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
    std::fs::write(packages.join("stoke-spark.pth"), lines)?;
    // py4j's version is in the name of the copy that every Spark has.
    let py4j = std::fs::read_dir(spark.spark_home.join("python/lib"))
        .into_iter()
        .flatten();
    let py4j = py4j.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let py4j = py4j
        .filter_map(|name| Some(name.strip_prefix("py4j-")?.split("-src").next()?.to_owned()))
        .next();
    let known = [
        ("pyspark", Some(index_version(&spark.version.to_string()))),
        ("py4j", py4j),
    ];
    for (name, version) in known.into_iter().filter_map(|(name, version)| Some((name, version?))) {
        let directory = packages.join(format!("{name}-{version}.dist-info"));
        std::fs::create_dir_all(&directory)?;
        std::fs::write(
            directory.join("METADATA"),
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
        )?;
        std::fs::write(directory.join("INSTALLER"), "stoke\n")?;
        std::fs::write(directory.join("RECORD"), "")?;
    }
    Ok(())
}

/// The JUnit reports below a directory, in the order of their names; of directories that are reports'.
fn read_reports(directory: &Path, are_reports: &dyn Fn(&Path) -> bool, found: &mut Vec<String>) -> Outcome<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && !path.is_symlink() {
            read_reports(&path, are_reports, found)?;
        } else if path.extension() == Some(OsStr::new("xml")) && are_reports(directory) {
            found.push(String::from_utf8_lossy(&std::fs::read(&path)?).into_owned());
        }
    }
    Ok(())
}

/// Copies a directory; links point where they pointed.
fn copy_tree(from: &Path, to: &Path, bytes: &mut u64) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        let target = to.join(&name);
        if kind.is_symlink() {
            let link = std::fs::read_link(entry.path())?;
            let link = if link.is_absolute() {
                link
            } else {
                std::path::absolute(from)?.join(link)
            };
            std::os::unix::fs::symlink(link, target)?;
        } else if kind.is_dir() {
            if !LEFT_OUT.iter().any(|out| name == *out) {
                copy_tree(&entry.path(), &target, bytes)?;
            }
        } else if kind.is_file() {
            *bytes += entry.metadata()?.len();
            if *bytes > MOST {
                return Err(std::io::Error::other(format!("it is larger than {} GiB", MOST >> 30)));
            }
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod cases {
    use super::*;

    #[test]
    fn a_copy_has_the_job_and_nothing_of_its_tools() {
        let directory = tempfile::tempdir().unwrap();
        let from = directory.path().join("job");
        for name in [
            "a.py",
            "tests/test_a.py",
            ".git/config",
            "venv/x.py",
            ".hidden/y",
            "target/z",
        ] {
            let path = from.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink("a.py", from.join("link.py")).unwrap();
        let to = directory.path().join("copy");
        let mut bytes = 0;
        copy_tree(&from, &to, &mut bytes).unwrap();
        for (name, there) in [
            ("a.py", true),
            ("tests/test_a.py", true),
            (".hidden/y", true),
            ("link.py", true),
            (".git", false),
            ("venv", false),
            ("target", false),
        ] {
            assert_eq!(to.join(name).exists(), there, "{name}");
        }
        assert_eq!(bytes, 3);
    }

    #[test]
    fn environments_are_shared_by_what_they_are_made_of() {
        let name = |lists: &[&str]| {
            name_of(
                Path::new("/usr/bin/python3"),
                None,
                lists.iter().map(|list| list.as_bytes()),
            )
        };
        assert_eq!(name(&["a"]), name(&["a"]));
        assert_ne!(name(&["a", "b"]), name(&["ab"]));
        assert_ne!(name(&["a"]), name(&[]));
    }
}
