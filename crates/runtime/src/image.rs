//! What a container of an image contains: mounts, environment, entrypoint, user. Modelled on the official Spark images.

use std::path::{Path, PathBuf};

use crate::entrypoint::{PREPARED, RECORD};
use crate::java::Java;
use crate::launch::{Archive, Launch};
use crate::mapping::Rule;
use crate::runtime::Runtime;
use crate::version::Version;

/// Directory in every container where packages of `spark.jars.packages` are kept, when the runtimes have one
/// ([`crate::Runtimes::with_packages`]). A driver with this as its `spark.jars.ivy` gets a directory of its own below it
/// ([`crate::packages`]).
pub const PACKAGES: &str = "/var/lib/stoke/packages";
/// Directory in every container where drivers may write event logs, when the runtimes have one ([`crate::Runtimes::with_event_logs`]).
pub const EVENT_LOGS: &str = "/var/lib/stoke/event-logs";
/// Directory in every container where what is found of data is kept, when the runtimes have one ([`crate::Runtimes::with_quality`]).
pub const QUALITY: &str = "/var/lib/stoke/quality";
/// Where Spark is in every container.
pub const SPARK_HOME: &str = "/opt/spark";
/// The working directory of every container.
pub const WORK_DIRECTORY: &str = "/opt/spark/work-dir";
/// The user and group id of the official images' user `spark`.
pub const SPARK_USER: u32 = 185;
/// Where Stoke's own files are in a container.
pub(crate) const STOKE: &str = "/opt/stoke";
/// The program `stoke` in every container.
pub const PROGRAM: &str = "/opt/stoke/bin/stoke";
pub(crate) const USER_HOME: &str = "/home/spark";

/// A container image that can be run on this machine.
#[derive(Debug, Clone)]
pub struct Image {
    /// The name it was asked for by.
    pub name: String,
    /// What identifies its content, for a container status's `imageID`.
    pub id: String,
    /// The Spark inside.
    pub runtime: Runtime,
    /// The Java inside.
    pub java: Java,
    /// Host files and directories it shows. A later mount may lie below an earlier one.
    pub mounts: Vec<Mount>,
    /// Directories every container gets empty and writable.
    pub scratch: Vec<PathBuf>,
    pub environment: Vec<(String, String)>,
    pub entrypoint: Vec<String>,
    pub working_directory: PathBuf,
    /// Its user id, and group id.
    pub user: u32,
    launch_directory: PathBuf,
    missing: Vec<Archive>,
    recording: Option<Recording>,
}

/// A host file or directory shown in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Absolute path on the host, links resolved.
    pub host: PathBuf,
    /// Absolute path in the container.
    pub target: PathBuf,
    /// Whether containers may not write to it.
    pub read_only: bool,
}

impl Mount {
    fn read_only(host: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Mount {
        Mount {
            host: host.into(),
            target: target.into(),
            read_only: true,
        }
    }
}

impl Image {
    pub(crate) fn new(name: &str, runtime: Runtime, java: Java, launch: &Launch, rule: Option<&Rule>) -> Image {
        let mut mounts = spark_mounts(&runtime);
        mounts.extend(crate::examples::mounts(&runtime.spark_home, &launch.examples));
        mounts.extend(python_mounts(&runtime));
        if !java.home.starts_with("/usr") {
            mounts.push(Mount::read_only(&java.home, &java.home));
        }
        mounts.push(Mount::read_only(&launch.directory, format!("{STOKE}/launch")));
        mounts.push(Mount::read_only(&launch.program, PROGRAM));
        for script in ["entrypoint.sh", "decom.sh"] {
            mounts.push(Mount::read_only(
                launch.directory.join(script),
                format!("/opt/{script}"),
            ));
        }
        let mut environment = environment(&runtime, &java);
        if let Some(rule) = rule {
            let own = |mount: &crate::mapping::RuleMount| Mount {
                host: mount.host.clone(),
                target: mount.path.clone(),
                read_only: !mount.writable,
            };
            mounts.extend(rule.mounts.iter().map(own));
            environment.extend(rule.env.clone());
        }
        Image {
            name: name.to_owned(),
            id: format!("stoke-runtime://spark-{}@{}", runtime.version, launch.key),
            missing: match launch.needs_recording() {
                true => Vec::new(),
                false => launch.missing_archives(),
            },
            recording: None,
            launch_directory: launch.directory.clone(),
            runtime,
            java,
            mounts,
            scratch: vec![WORK_DIRECTORY.into(), USER_HOME.into()],
            environment,
            entrypoint: vec!["/opt/entrypoint.sh".into()],
            working_directory: WORK_DIRECTORY.into(),
            user: SPARK_USER,
        }
    }
}

impl Image {
    /// Has its drivers and executors record their runs. A recording that is there already is not made again.
    pub(crate) fn record(&mut self, launch: &Launch) {
        if !launch.needs_recording() {
            return;
        }
        self.mounts.push(Mount {
            host: launch.directory.clone(),
            target: PREPARED.into(),
            read_only: false,
        });
        self.environment.push((RECORD.into(), "yes".into()));
        self.recording = Some(Recording {
            version: self.runtime.version.clone(),
            launch: launch.clone(),
        });
    }

    /// What is to be recorded, if anything.
    pub(crate) fn recording(self) -> Option<Recording> {
        self.recording
    }

    /// Whether a file that an application names below [`SPARK_HOME`] is in this image; what is there beside it when it is not. None for files
    /// elsewhere, which volumes bring.
    pub fn lacks(&self, file: &Path) -> Option<Vec<String>> {
        if !file.starts_with(SPARK_HOME) || self.scratch.iter().any(|directory| file.starts_with(directory)) {
            return None;
        }
        let covering = |path: &Path| {
            let mounts = self.mounts.iter().filter(|mount| path.starts_with(&mount.target));
            let mount = mounts.max_by_key(|mount| mount.target.components().count())?;
            Some(mount.host.join(path.strip_prefix(&mount.target).ok()?))
        };
        let exact = self
            .mounts
            .iter()
            .any(|mount| mount.target == file && mount.host.exists());
        if exact || covering(file).is_some_and(|host| host.exists()) {
            return None;
        }
        let directory = file.parent()?;
        let entries = covering(directory).and_then(|host| std::fs::read_dir(host).ok());
        let listed = entries.into_iter().flatten().flatten();
        let listed = listed.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mounted = self
            .mounts
            .iter()
            .filter(|mount| mount.target.parent() == Some(directory));
        let mounted = mounted.filter_map(|mount| Some(mount.target.file_name()?.to_string_lossy().into_owned()));
        let beside: std::collections::BTreeSet<String> = listed.chain(mounted).collect();
        Some(beside.into_iter().collect())
    }
}

/// The environment of the official images, with this machine's Java and Python.
fn environment(runtime: &Runtime, java: &Java) -> Vec<(String, String)> {
    let python = runtime
        .python
        .as_ref()
        .map(|_| format!("{STOKE}/python/bin:"))
        .unwrap_or_default();
    let path = format!(
        "{python}{}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        java.home.display()
    );
    [
        ("PATH", path),
        ("SPARK_HOME", SPARK_HOME.into()),
        ("JAVA_HOME", java.home.display().to_string()),
        ("HOME", USER_HOME.into()),
        ("LANG", "C.UTF-8".into()),
        ("LC_ALL", "C.UTF-8".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Entries of a `SPARK_HOME` that belong into an image. Others are other programs' or a running Spark's own (logs, work).
/// `examples` has a rule of its own.
const SPARK_ENTRIES: [&str; 13] = [
    "bin",
    "sbin",
    "jars",
    "data",
    "licenses",
    "conf",
    "R",
    "kubernetes",
    "yarn",
    "LICENSE",
    "NOTICE",
    "RELEASE",
    "README.md",
];

/// `/opt/spark`, entry by entry: the directory itself belongs to the container, so that it can have `conf`, `work-dir` and
/// `pod-template` of its own.
fn spark_mounts(runtime: &Runtime) -> Vec<Mount> {
    let home = &runtime.spark_home;
    let entry = |name: &&str| {
        let host = home.join(name).canonicalize().ok()?;
        Some(Mount::read_only(host, Path::new(SPARK_HOME).join(name)))
    };
    SPARK_ENTRIES.iter().filter_map(entry).collect()
}

/// Spark's Python code and the Python to run it.
///
/// Spark puts `python/lib/pyspark.zip` and `python/lib/py4j-<version>-src.zip` on the path of every Python it starts. From such a
/// zip Python compiles every module again in every process, about 0.6 s each. Where the same code is installed as a package,
/// compiled, a directory with it takes the place of the zip, under the zip's name: for Python either is an entry of its path.
fn python_mounts(runtime: &Runtime) -> Vec<Mount> {
    let library = runtime.spark_home.join("python");
    let target = Path::new(SPARK_HOME).join("python");
    let Some(python) = &runtime.python else {
        return library
            .canonicalize()
            .map(|host| Mount::read_only(host, target))
            .into_iter()
            .collect();
    };
    let mut mounts = vec![Mount::read_only(&python.environment, format!("{STOKE}/python"))];
    if !python.base.starts_with("/usr") {
        mounts.push(Mount::read_only(&python.base, &python.base));
    }
    if let Ok(shell) = library.join("pyspark").canonicalize() {
        mounts.push(Mount::read_only(shell, target.join("pyspark")));
    }
    let archives = std::fs::read_dir(library.join("lib")).into_iter().flatten().flatten();
    mounts.extend(archives.map(|archive| {
        let name = archive.file_name().to_string_lossy().into_owned();
        let target = target.join("lib").join(&name);
        match installed_package(&python.packages, &name) {
            Some(package) => Mount::read_only(python.packages.join(package), target.join(package)),
            None => Mount::read_only(archive.path(), target),
        }
    }));
    mounts
}

/// The installed package with the same code as one of the archives in `python/lib`.
fn installed_package(packages: &Path, archive: &str) -> Option<&'static str> {
    let package = match archive.strip_suffix(".zip")? {
        "pyspark" => "pyspark",
        name => {
            let version = name.strip_prefix("py4j-")?.strip_suffix("-src")?;
            packages
                .join(format!("py4j-{version}.dist-info"))
                .is_dir()
                .then_some("py4j")?
        }
    };
    packages.join(package).join("__pycache__").is_dir().then_some(package)
}

/// A container to run once, so that later containers of an image start fast: it writes the class-data archives.
///
/// It has the image's mounts and environment, plus [`Preparation::mount`]. It needs no network, about 1 GB of memory for up to
/// half a minute, and may be killed at any moment: an archive appears whole or not at all.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// The complete command.
    pub command: Vec<String>,
    /// The directory the container writes to, besides the image's mounts.
    pub mount: Mount,
}

impl Preparation {
    pub(crate) fn of(image: &Image) -> Option<Preparation> {
        if image.missing.is_empty() {
            return None;
        }
        let mut command = image.entrypoint.clone();
        command.push(crate::entrypoint::PREPARE.into());
        command.extend(image.missing.iter().map(|archive| archive.name().to_owned()));
        let mount = Mount {
            host: image.launch_directory.clone(),
            target: PREPARED.into(),
            read_only: false,
        };
        Some(Preparation { command, mount })
    }
}

/// A run to record once, so that ahead-of-time caches can be made of it: one driver and one executor of this image, in a cluster whose
/// runtimes record ([`crate::Runtimes::recording`]).
///
/// The run is an application of Stoke's own, [`crate::REHEARSAL`], because what containers of all applications start with must not come from
/// one of them. Its arguments are [`Recording::arguments`].
#[derive(Debug, Clone)]
pub struct Recording {
    /// The Spark that is recorded.
    pub version: Version,
    launch: Launch,
}

impl Recording {
    /// The directory of the recordings, for a lock.
    pub fn directory(&self) -> &Path {
        &self.launch.directory
    }

    /// The arguments of the program that is recorded: a directory that driver and executor share.
    pub fn arguments(&self) -> Vec<String> {
        vec![format!("{PREPARED}/rehearsal")]
    }

    /// Begins: what an earlier, interrupted recording left is removed.
    pub fn begin(&self) -> std::io::Result<()> {
        self.launch.begin_recording()
    }

    /// Ends when both pods have ended: whether both have been recorded.
    pub fn is_complete(&self) -> bool {
        !self.launch.needs_recording()
    }

    /// Notes that this Spark cannot be recorded and why, so that it is not tried at every start.
    pub fn give_up(&self, reason: &str) -> std::io::Result<()> {
        self.launch.note_failure(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Origin;

    #[test]
    fn what_an_image_lacks_is_told_with_what_is_beside_it() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("src/main")).unwrap();
        for file in ["src/main/pi.py", "src/main/sort.py", "ours.jar"] {
            std::fs::write(root.path().join(file), "").unwrap();
        }
        let image = Image {
            name: "spark:4.1.4".into(),
            id: String::new(),
            runtime: Runtime {
                version: "4.1.4".parse().unwrap(),
                spark_home: root.path().into(),
                python: None,
                origin: Origin::Installed,
            },
            java: Java {
                home: "/java".into(),
                version: "17".into(),
                major: 17,
                build: String::new(),
                modules: Vec::new(),
            },
            mounts: vec![
                Mount::read_only(root.path().join("src"), "/opt/spark/examples/src"),
                Mount::read_only(
                    root.path().join("ours.jar"),
                    "/opt/spark/examples/jars/spark-examples.jar",
                ),
            ],
            scratch: vec![WORK_DIRECTORY.into()],
            environment: Vec::new(),
            entrypoint: Vec::new(),
            working_directory: WORK_DIRECTORY.into(),
            user: SPARK_USER,
            launch_directory: root.path().into(),
            missing: Vec::new(),
            recording: None,
        };
        let cases: [(&str, Option<&[&str]>); 7] = [
            ("/opt/spark/examples/src/main/pi.py", None),
            ("/opt/spark/examples/src/main/pie.py", Some(&["pi.py", "sort.py"])),
            ("/opt/spark/examples/jars/spark-examples.jar", None),
            (
                "/opt/spark/examples/jars/spark-examples_2.12-3.1.1.jar",
                Some(&["spark-examples.jar"]),
            ),
            ("/opt/spark/nowhere/a.jar", Some(&[])),
            ("/opt/spark/work-dir/a.jar", None),
            ("/app/a.jar", None),
        ];
        for (file, expected) in cases {
            let lacks = image.lacks(Path::new(file));
            let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
            assert_eq!(lacks, expected, "{file}");
        }
    }
}
