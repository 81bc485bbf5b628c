//! pip, run as a program: which arguments, how far it is, what its failures mean.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde::Deserialize;

use super::{Progress, Stage};
use crate::error::InstallError;
use crate::version::index_version;

/// One package to install.
pub(crate) struct Requirement {
    /// Its name.
    pub package: String,
    /// Its version, as Spark names it.
    pub version: String,
    /// The accepted SHA-256, in hexadecimal; none to accept what the index gives.
    pub sha256: Option<Vec<String>>,
    /// When it is needed (`python_full_version < '3.11'`); empty for always.
    pub marker: String,
}

impl Requirement {
    /// A package that is always needed.
    pub fn new(package: &str, version: impl Into<String>, sha256: Option<&[&str]>) -> Requirement {
        Requirement {
            package: package.to_owned(),
            version: version.into(),
            sha256: sha256.map(|accepted| accepted.iter().map(|sha256| (*sha256).to_owned()).collect()),
            marker: String::new(),
        }
    }
}

/// An installation by pip.
pub(crate) struct Pip {
    /// The Python whose environment is filled.
    pub python: PathBuf,
    /// Where the list of requirements, the report, the log and temporary files go.
    pub directory: PathBuf,
    /// What is installed, for messages: `Spark 4.1.4`.
    pub what: String,
    /// What to install; the first is the one that matters.
    pub requirements: Vec<Requirement>,
    /// Bytes to download, where known.
    pub download: Option<u64>,
}

/// How often progress is told.
const TICK: Duration = Duration::from_millis(150);

impl Pip {
    /// Runs pip and gives the SHA-256 of the first package, as pip reports it.
    ///
    /// pip gets the lock's file as its standard input: should this process be killed, the lock stays taken until pip has ended too.
    pub(crate) fn install(
        &self,
        lock: &File,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<String>, InstallError> {
        let list = self.directory.join("requirements.txt");
        std::fs::write(&list, self.list()).map_err(InstallError::io(&list))?;
        let temporary = self.directory.join("tmp");
        std::fs::create_dir_all(&temporary).map_err(InstallError::io(&temporary))?;
        let report = self.directory.join("pip-report.json");
        let log = self.directory.join("pip.log");
        let output = File::create(&log).map_err(InstallError::io(&log))?;
        let errors = output.try_clone().map_err(InstallError::io(&log))?;
        let mut command = Command::new(&self.python);
        command.args([
            "-m",
            "pip",
            "install",
            "--no-input",
            "--disable-pip-version-check",
            "--no-warn-script-location",
            "--progress-bar",
            "off",
        ]);
        if self.pinned() {
            command.args(["--no-deps", "--require-hashes"]);
        }
        command
            .arg("--report")
            .arg(&report)
            .arg("-r")
            .arg(&list)
            .env("TMPDIR", &temporary);
        // What would put the packages elsewhere than into the environment.
        for name in [
            "PIP_TARGET",
            "PIP_PREFIX",
            "PIP_ROOT",
            "PIP_USER",
            "PIP_PYTHON",
            "PIP_DRY_RUN",
            "PYTHONPATH",
            "PYTHONHOME",
        ] {
            command.env_remove(name);
        }
        command
            .stdin(lock.try_clone().map_err(InstallError::io(&self.directory))?)
            .stdout(output)
            .stderr(errors);
        let mut child = command.spawn().map_err(InstallError::io(&self.python))?;
        progress(Progress {
            stage: Stage::Downloading,
            done: Some(0),
            total: self.download,
        });
        let status = loop {
            if let Some(status) = child.try_wait().map_err(InstallError::io(&self.python))? {
                break status;
            }
            std::thread::sleep(TICK);
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            progress(self.progress(&text, size_of_files(&temporary)));
        };
        let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).into_owned();
        if !status.success() {
            return Err(self.failure(status, &text));
        }
        // Temporary files are only a waste of space now; a failure to remove them harms nothing.
        let _ = std::fs::remove_dir_all(&temporary);
        Ok(std::fs::read(&report)
            .ok()
            .and_then(|bytes| self.reported_sha256(&bytes)))
    }

    fn pinned(&self) -> bool {
        self.requirements.iter().all(|requirement| requirement.sha256.is_some())
    }

    /// The requirements file.
    fn list(&self) -> String {
        let line = |requirement: &Requirement| {
            let mut line = format!("{}=={}", requirement.package, index_version(&requirement.version));
            if !requirement.marker.is_empty() {
                line.push_str(&format!(" ; {}", requirement.marker));
            }
            for sha256 in requirement.sha256.iter().flatten() {
                line.push_str(&format!(" --hash=sha256:{sha256}"));
            }
            line + "\n"
        };
        self.requirements.iter().map(line).collect()
    }

    /// Reads off pip's log where it is; while it downloads, the temporary files tell how far.
    fn progress(&self, log: &str, temporary: u64) -> Progress {
        let stage = |line: &str| {
            let line = line.trim_start();
            if line.starts_with("Installing collected packages") {
                Some(Stage::Installing)
            } else if [
                "Installing build dependencies",
                "Preparing metadata",
                "Getting requirements to build",
                "Building wheel",
            ]
            .iter()
            .any(|start| line.starts_with(start))
            {
                Some(Stage::Building)
            } else {
                None
            }
        };
        match log.lines().rev().find_map(stage) {
            Some(stage) => Progress {
                stage,
                done: None,
                total: None,
            },
            None => {
                let total = self.download.or_else(|| log.lines().rev().find_map(announced_size));
                Progress {
                    stage: Stage::Downloading,
                    done: Some(total.map_or(temporary, |total| temporary.min(total))),
                    total,
                }
            }
        }
    }

    /// What a failure means.
    fn failure(&self, status: ExitStatus, log: &str) -> InstallError {
        let first = self.requirements.first();
        let (package, version) =
            first.map_or_else(Default::default, |first| (first.package.clone(), first.version.clone()));
        let line = |words: &str| {
            log.lines()
                .find(|line| line.contains(words))
                .map(|line| line.trim().to_owned())
        };
        if log.contains("No space left on device") || log.contains("Disk quota exceeded") {
            return InstallError::DiskFull {
                directory: self.directory.clone(),
                detail: "no space left".into(),
            };
        }
        if log.contains("DO NOT MATCH THE HASHES") {
            let detail: Vec<&str> = log
                .lines()
                .skip_while(|line| !line.contains("DO NOT MATCH THE HASHES"))
                .skip(1)
                .collect();
            return InstallError::Checksum {
                package,
                version,
                detail: detail.join("\n"),
            };
        }
        let unreachable = [
            "Failed to establish a new connection",
            "Temporary failure in name resolution",
            "Name or service not known",
            "Max retries exceeded",
            "ProxyError",
            "ReadTimeoutError",
            "ConnectTimeoutError",
            "SSLError",
            "Connection broken",
            "Network is unreachable",
        ];
        if let Some(cause) = unreachable.iter().find_map(|words| line(words)) {
            return InstallError::NoNetwork {
                what: self.what.clone(),
                cause: the_cause(&cause),
            };
        }
        if let Some(list) = log
            .lines()
            .find(|line| line.contains("Could not find a version"))
            .and_then(|line| line.split_once("(from versions: "))
        {
            let have: Vec<&str> = list
                .1
                .trim_end_matches(')')
                .split(", ")
                .filter(|version| *version != "none")
                .collect();
            // pip says this of an index that it could not ask and did not ask again.
            if have.is_empty() {
                return InstallError::NoNetwork {
                    what: self.what.clone(),
                    cause: "it lists no version at all".into(),
                };
            }
            return InstallError::NoSuchVersion {
                package,
                near: nearest(&version, &have),
                version,
            };
        }
        let tail: Vec<&str> = log
            .lines()
            .rev()
            .filter(|line| !line.trim().is_empty())
            .take(15)
            .collect();
        let output = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        InstallError::Pip {
            package,
            version,
            status: status.to_string(),
            output,
        }
    }

    fn reported_sha256(&self, report: &[u8]) -> Option<String> {
        let report: Report = serde_json::from_slice(report).ok()?;
        let first = &self.requirements.first()?.package;
        let item = report.install.into_iter().find(|item| item.metadata.name == *first)?;
        item.download_info.archive_info?.hashes?.sha256
    }
}

/// pip's installation report, version 1, as far as it is used.
#[derive(Deserialize)]
struct Report {
    install: Vec<ReportItem>,
}

#[derive(Deserialize)]
struct ReportItem {
    download_info: DownloadInfo,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct DownloadInfo {
    archive_info: Option<ArchiveInfo>,
}

#[derive(Deserialize)]
struct ArchiveInfo {
    hashes: Option<Hashes>,
}

#[derive(Deserialize)]
struct Hashes {
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// The reason inside one of pip's long connection messages.
fn the_cause(line: &str) -> String {
    let inner = line.rsplit_once(">: ").map_or(line, |(_, inner)| inner);
    inner.split("')").next().unwrap_or(inner).trim().to_owned()
}

/// The size in a line like `Downloading pyspark-4.1.4.tar.gz (455.6 MB)`, in bytes.
fn announced_size(line: &str) -> Option<u64> {
    let size = line
        .trim_start()
        .strip_prefix("Downloading ")?
        .rsplit_once('(')?
        .1
        .strip_suffix(" MB)")?;
    let (whole, tenths) = size.split_once('.').unwrap_or((size, "0"));
    Some((whole.parse::<u64>().ok()? * 10 + tenths.parse::<u64>().ok()?) * 100_000)
}

/// Those of `have` that resemble `wanted` most: the same release line first, then the newest of the others.
fn nearest(wanted: &str, have: &[&str]) -> Vec<String> {
    let line = |version: &str| version.split('.').take(2).collect::<Vec<_>>().join(".");
    let released = have
        .iter()
        .rev()
        .filter(|version| version.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    let (mut near, others): (Vec<&str>, Vec<&str>) =
        released.copied().partition(|version| line(version) == line(wanted));
    near.extend(others);
    near.truncate(5);
    near.into_iter().map(str::to_owned).collect()
}

/// The bytes of all files below a directory that is being written to.
fn size_of_files(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size_of_files(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
        _ => 0,
    };
    entries.map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn pip() -> Pip {
        let requirement = |package, version: &str, sha256| Requirement::new(package, version, Some(&[sha256]));
        Pip {
            python: "/nonexistent/python".into(),
            directory: "/srv/runtimes/4.1.9".into(),
            what: "Spark 4.1.9".into(),
            requirements: vec![
                requirement("pyspark", "4.1.9", "aa"),
                requirement("py4j", "0.10.9.9", "bb"),
            ],
            download: None,
        }
    }

    #[test]
    fn requirements_are_pinned() {
        assert_eq!(
            pip().list(),
            "pyspark==4.1.9 --hash=sha256:aa\npy4j==0.10.9.9 --hash=sha256:bb\n"
        );
        let marked = Requirement {
            marker: "python_full_version < '3.11'".into(),
            ..Requirement::new("tomli", "2.0", Some(&["cc", "dd"]))
        };
        let requirements = vec![marked];
        assert_eq!(
            Pip { requirements, ..pip() }.list(),
            "tomli==2.0 ; python_full_version < '3.11' --hash=sha256:cc --hash=sha256:dd\n"
        );
        let requirements = vec![Requirement::new("pyspark", "4.2.0-preview2", None)];
        let unpinned = Pip { requirements, ..pip() };
        assert!(!unpinned.pinned());
        assert_eq!(unpinned.list(), "pyspark==4.2.0.dev2\n");
    }

    #[test]
    fn progress_is_read_off_the_log() {
        let at = |log: &str| {
            let progress = pip().progress(log, 1000);
            (progress.stage, progress.done, progress.total)
        };
        assert_eq!(
            at("Collecting pyspark==4.1.9\n"),
            (Stage::Downloading, Some(1000), None)
        );
        let downloading = "Collecting pyspark==4.1.9\n  Downloading pyspark-4.1.9.tar.gz (455.6 MB)\n";
        assert_eq!(at(downloading), (Stage::Downloading, Some(1000), Some(455_600_000)));
        let building = format!("{downloading}  Preparing metadata (pyproject.toml): started\n");
        assert_eq!(at(&building), (Stage::Building, None, None));
        assert_eq!(
            at(&format!("{building}Installing collected packages: py4j, pyspark\n")),
            (Stage::Installing, None, None)
        );
    }

    #[test]
    fn failures_are_understood() {
        let cases = [
            (
                "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
                "stoke::runtime::disk-full",
                "/srv/runtimes",
            ),
            (
                "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n  Expected sha256 aa\n  Got bb\n",
                "stoke::runtime::checksum",
                "Expected sha256 aa",
            ),
            (
                "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<x at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused')': /simple/pyspark/\nERROR: Could not find a version that satisfies the requirement pyspark==4.1.9 (from versions: none)\n",
                "stoke::runtime::no-network",
                "reached: Failed to establish a new connection: [Errno 111] Connection refused.",
            ),
            (
                "ERROR: Could not find a version that satisfies the requirement pyspark==4.1.9 (from versions: 3.5.9, 4.1.3, 4.1.4, 4.2.0.dev1, 4.3.0)\n",
                "stoke::runtime::no-such-version",
                "the package index has no pyspark 4.1.9; it has 4.1.4, 4.1.3, 4.3.0, 3.5.9.",
            ),
            ("something else\n", "stoke::runtime::pip", "something else"),
        ];
        for (log, code, text) in cases {
            let error = pip().failure(ExitStatus::from_raw(256), log);
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn the_checksum_is_taken_from_the_report() {
        let report = br#"{"version":"1","install":[{"download_info":{"url":"x","archive_info":{"hash":"sha256=cc","hashes":{"sha256":"cc"}}},"metadata":{"name":"pyspark"}}]}"#;
        assert_eq!(pip().reported_sha256(report), Some("cc".into()));
        assert_eq!(pip().reported_sha256(b"{}"), None);
    }
}
