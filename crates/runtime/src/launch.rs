//! How a Spark is started on a Java of this machine: learned from that Spark's own launcher once, kept beside the archives that
//! make it fast, read by the entrypoint inside the container.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::ImageError;
use crate::image::SPARK_HOME;
use crate::java::Java;
use crate::runtime::Runtime;

/// Facts about one Spark on one Java, as the entrypoint needs them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The Spark version.
    pub version: String,
    /// The feature release of Java.
    pub java_major: u32,
    /// Names of Java's modules; empty when it does not tell.
    pub java_modules: Vec<String>,
    /// The jars of `/opt/spark/jars` in the order of the class path: that of Spark's launcher where it gives one, then by name.
    pub class_path: Vec<String>,
    /// The JVM options that Spark's launcher puts after the user's own: module flags and the like. None when it could not be asked.
    pub driver_options: Option<Vec<String>>,
    /// Names at the root of any jar, directories included. A configuration directory that has none of them means the same behind the
    /// jars on the class path as before them.
    pub root_names: Vec<String>,
}

/// How a Java keeps what it loaded for the next process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A class-data archive, made of a list of classes.
    ClassData,
    /// An ahead-of-time cache, made of the recording of a run: classes already linked, and which methods are worth compiling (JEP 483, 514, 515).
    AheadOfTime,
}

impl Method {
    /// The one for a Java of this feature release. Ahead-of-time caches know methods since 25.
    pub fn of(java_major: u32) -> Method {
        if java_major >= Java::AHEAD_OF_TIME {
            Method::AheadOfTime
        } else {
            Method::ClassData
        }
    }
}

/// What makes a kind of process start fast: a class-data archive or an ahead-of-time cache, by the [`Method`] of its Java.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archive {
    Driver,
    Executor,
}

impl Archive {
    /// Both.
    pub const ALL: [Archive; 2] = [Archive::Driver, Archive::Executor];

    pub fn name(self) -> &'static str {
        match self {
            Archive::Driver => "driver",
            Archive::Executor => "executor",
        }
    }

    /// The file name of the archive.
    pub fn file(self, method: Method) -> String {
        match method {
            Method::ClassData => format!("{}.jsa", self.name()),
            Method::AheadOfTime => format!("{}.aot", self.name()),
        }
    }

    /// The file with what a run did, of which an ahead-of-time cache is made.
    pub fn recording(self) -> String {
        format!("{}.recording", self.name())
    }

    /// The file with the JVM options of the recorded run, a JSON list. The cache is made with the same.
    pub fn recorded_options(self) -> String {
        format!("{}.options.json", self.name())
    }

    /// The file that says why there is no archive, so that making it is not tried again and again.
    pub fn failure(self) -> String {
        format!("{}.failed", self.name())
    }
}

/// The program whose run is recorded, as a container names it.
pub const REHEARSAL: &str = "/opt/stoke/launch/rehearsal.py";
/// The facts' file name.
pub(crate) const FACTS: &str = "launch.json";
/// Changes whenever what is written to a launch directory changes its meaning.
const FORMAT: &str = "1";

/// The launch directory of one Spark on one Java: facts, scripts, archives.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The directory on the host.
    pub directory: PathBuf,
    /// What identifies this very Spark and Java.
    pub key: String,
    /// The program that is the containers' entrypoint.
    pub program: PathBuf,
    /// The examples jar for a Spark that has none.
    pub examples: PathBuf,
    method: Method,
    archives_possible: bool,
}

impl Launch {
    /// Opens the directory for a runtime and a Java below `runtimes`, making it when it is not there.
    ///
    /// Errors: the jars or the directory cannot be read or written.
    pub fn open(runtimes: &Path, runtime: &Runtime, java: &Java, program: Option<&Path>) -> Result<Launch, ImageError> {
        let failed = |path: &Path| {
            let directory = path.to_owned();
            move |source: std::io::Error| ImageError::Launch { directory, source }
        };
        let jars = Jar::all(&runtime.spark_home.join("jars")).map_err(|error| ImageError::NotASpark {
            home: runtime.spark_home.clone(),
            reason: error.to_string(),
        })?;
        let key = key(runtime, java, &jars);
        let directory = runtimes.join("launch").join(format!("{}-{key}", runtime.version));
        let program = match program {
            Some(program) => program.to_owned(),
            None => std::env::current_exe().map_err(failed(&directory))?,
        };
        let facts = directory.join(FACTS);
        let read = std::fs::read(&facts)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Facts>(&bytes).ok());
        let archives_possible = match read {
            Some(facts) => facts.archives_possible(),
            None => {
                std::fs::create_dir_all(&directory).map_err(failed(&directory))?;
                for (name, content) in [("entrypoint.sh", ENTRYPOINT), ("decom.sh", DECOMMISSION)] {
                    write(&directory, name, content.as_bytes(), 0o755).map_err(failed(&directory))?;
                }
                let learned = learn(runtime, java, &jars);
                let bytes = serde_json::to_vec_pretty(&learned)
                    .map_err(std::io::Error::other)
                    .map_err(failed(&directory))?;
                write(&directory, FACTS, &bytes, 0o644).map_err(failed(&directory))?;
                learned.archives_possible()
            }
        };
        Ok(Launch {
            examples: crate::examples::place(&directory).map_err(failed(&directory))?,
            directory,
            key,
            program,
            method: Method::of(java.major),
            archives_possible,
        })
    }

    /// The archives that could be there and are not.
    pub fn missing_archives(&self) -> Vec<Archive> {
        let there = |archive: &Archive| {
            self.directory.join(archive.file(self.method)).exists() || self.directory.join(archive.failure()).exists()
        };
        let all = if self.archives_possible { &Archive::ALL[..] } else { &[] };
        all.iter().copied().filter(|archive| !there(archive)).collect()
    }

    /// Whether everything that makes containers start fast is there.
    pub fn is_ready(&self) -> bool {
        Archive::ALL
            .iter()
            .all(|archive| self.directory.join(archive.file(self.method)).exists())
    }

    /// Whether a run is to be recorded before the missing archives can be made: they are ahead-of-time caches, and there is no recording.
    pub fn needs_recording(&self) -> bool {
        let recorded = |archive: Archive| {
            [archive.recording(), archive.recorded_options()].map(|name| self.directory.join(name).exists())
        };
        self.method == Method::AheadOfTime
            && self
                .missing_archives()
                .into_iter()
                .any(|archive| recorded(archive) != [true, true])
    }

    /// Lays the program that is recorded where containers find it ([`REHEARSAL`]), and removes recordings that were not finished.
    pub fn begin_recording(&self) -> std::io::Result<()> {
        for archive in Archive::ALL {
            for name in [archive.recording(), archive.recorded_options()] {
                match std::fs::remove_file(self.directory.join(name)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        write(&self.directory, "rehearsal.py", include_bytes!("rehearsal.py"), 0o644)
    }

    /// Notes that archives cannot be made and why, so that it is not tried at every start.
    pub fn note_failure(&self, reason: &str) -> std::io::Result<()> {
        self.missing_archives()
            .into_iter()
            .try_for_each(|archive| write(&self.directory, &archive.failure(), reason.as_bytes(), 0o644))
    }
}

impl Facts {
    /// Whether this Java can make archives of application classes in the way we use (static, with lambda forms), since Java 17; and
    /// whether the launcher is understood, without which drivers do not take the fast way anyway.
    fn archives_possible(&self) -> bool {
        self.java_major >= 17 && self.driver_options.is_some()
    }
}

/// The entrypoint of every container. Two lines: everything is in the program.
const ENTRYPOINT: &str = "#!/bin/sh\nexec /opt/stoke/bin/stoke __entrypoint \"$@\"\n";
/// What Spark's executors have as their pre-stop hook when decommissioning is on.
const DECOMMISSION: &str = "#!/bin/sh\nexec /opt/stoke/bin/stoke __entrypoint __decommission \"$@\"\n";

/// Writes a file whole or not at all, whoever else writes it at the same time: in another process, or for another pod in this one.
pub(crate) fn write(directory: &Path, name: &str, content: &[u8], mode: u32) -> std::io::Result<()> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let count = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let temporary = directory.join(format!(".{name}.{}.{count}", std::process::id()));
    let written = (|| {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(content)?;
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        std::fs::rename(&temporary, directory.join(name))
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// A jar of Spark's.
struct Jar {
    name: String,
    path: PathBuf,
    size: u64,
    modified: i64,
}

impl Jar {
    fn all(directory: &Path) -> std::io::Result<Vec<Jar>> {
        let mut jars = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".jar") {
                let metadata = std::fs::metadata(entry.path())?;
                jars.push(Jar {
                    name,
                    path: entry.path(),
                    size: metadata.len(),
                    modified: metadata.mtime(),
                });
            }
        }
        // Spark's launcher puts slf4j-api first, and leaves the others to the order of the directory.
        jars.sort_by(|a, b| {
            (!a.name.starts_with("slf4j-api-"), &a.name).cmp(&(!b.name.starts_with("slf4j-api-"), &b.name))
        });
        Ok(jars)
    }
}

/// Identifies a Spark and a Java: archives are only good for the very same jars and the very same build.
fn key(runtime: &Runtime, java: &Java, jars: &[Jar]) -> String {
    let mut digest = Sha256::new();
    digest.update(format!(
        "{FORMAT}\n{}\n{}\n{}\n",
        runtime.version,
        java.build,
        java.home.display()
    ));
    for jar in jars {
        digest.update(format!("{} {} {}\n", jar.name, jar.size, jar.modified));
    }
    digest
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn learn(runtime: &Runtime, java: &Java, jars: &[Jar]) -> Facts {
    let mut root_names: Vec<String> = jars
        .iter()
        .flat_map(|jar| crate::jar::root_names(&jar.path).unwrap_or_default())
        .collect();
    root_names.sort();
    root_names.dedup();
    Facts {
        version: runtime.version.to_string(),
        java_major: java.major,
        java_modules: java.modules.clone(),
        class_path: jars
            .iter()
            .map(|jar| format!("{SPARK_HOME}/jars/{}", jar.name))
            .collect(),
        driver_options: ask_launcher(runtime, java),
        root_names,
    }
}

/// Asks Spark's launcher for a command line and keeps what it adds by itself.
fn ask_launcher(runtime: &Runtime, java: &Java) -> Option<Vec<String>> {
    let output = Command::new(java.home.join("bin/java"))
        .args(["-Xmx128m", "-Xshare:auto", "-cp"])
        .arg(runtime.spark_home.join("jars/*"))
        .args(["org.apache.spark.launcher.Main", "org.apache.spark.deploy.SparkSubmit"])
        .args([
            "--deploy-mode",
            "client",
            "--conf",
            &format!("spark.driver.memory={MARKER}"),
            "none.jar",
        ])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("JAVA_HOME", &java.home)
        .env("SPARK_HOME", &runtime.spark_home)
        .env("SPARK_CONF_DIR", "/nonexistent")
        .env(
            "SPARK_SCALA_VERSION",
            if runtime.version.line().0 >= 4 { "2.13" } else { "2.12" },
        )
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| own_options(&String::from_utf8_lossy(&output.stdout)))
        .flatten()
}

/// A heap size no one would choose, to find it again.
const MARKER: &str = "123457k";

/// The options between `-Xmx` and the main class in what the launcher printed: NUL-separated, the heap followed by the user's options (none here).
fn own_options(printed: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = printed.split('\0').map(|word| word.trim_start_matches('\n')).collect();
    let heap = words
        .iter()
        .position(|word| word.strip_prefix("-Xmx") == Some(MARKER))?;
    let class = words
        .iter()
        .position(|word| *word == "org.apache.spark.deploy.SparkSubmit")?;
    Some(
        words
            .get(heap + 1..class)?
            .iter()
            .map(|word| (*word).to_owned())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_launchers_own_options_are_found() {
        let printed = "\0\n/usr/bin/java\0-cp\0/x/conf:/x/jars/*\0-Xmx123457k\0-XX:+A\0-Db=c d\0org.apache.spark.deploy.SparkSubmit\0none.jar\0";
        assert_eq!(
            own_options(printed),
            Some(vec!["-XX:+A".to_owned(), "-Db=c d".to_owned()])
        );
        assert_eq!(own_options("\0\nusage: nothing\0"), None);
    }

    #[test]
    fn many_may_write_one_file_at_once() {
        let root = tempfile::tempdir().unwrap();
        let writers: Vec<_> = (0..16)
            .map(|_| {
                let directory = root.path().to_owned();
                std::thread::spawn(move || (0..20).try_for_each(|_| write(&directory, "a", b"whole", 0o644)))
            })
            .collect();
        for writer in writers {
            writer.join().unwrap().unwrap();
        }
        let left: Vec<_> = std::fs::read_dir(root.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(left, ["a"]);
    }

    #[test]
    fn slf4j_leads_and_the_rest_is_sorted() {
        let root = tempfile::tempdir().unwrap();
        for name in ["b.jar", "a.jar", "slf4j-api-2.0.jar", "readme.txt"] {
            std::fs::write(root.path().join(name), name).unwrap();
        }
        let names: Vec<String> = Jar::all(root.path()).unwrap().into_iter().map(|jar| jar.name).collect();
        assert_eq!(names, ["slf4j-api-2.0.jar", "a.jar", "b.jar"]);
    }
}
