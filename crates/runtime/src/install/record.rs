//! The record of an installed Spark: what it is and what every one of its files was. Written last; without it there is no runtime.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::python::Interpreter;
use crate::error::{Corruption, InstallError};
use crate::runtime::{Origin, Python, Runtime, spark_version};
use crate::version::Version;

const FILE: &str = "runtime.json";

/// What was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The Spark version.
    pub version: Version,
    /// SHA-256 of the downloaded package, in hexadecimal: the pinned one, or the one the index gave.
    pub package_sha256: Option<String>,
    /// The directory of the Python that the environment was made from.
    pub python_base: PathBuf,
    /// The directory of the packages, relative to the record's.
    packages: PathBuf,
    /// The package's own list of its files with sizes and SHA-256 (`RECORD` of the wheel format), relative to `packages`.
    files: PathBuf,
    /// SHA-256 of that list.
    files_sha256: String,
    #[serde(skip)]
    directory: PathBuf,
}

impl Record {
    /// The record in a runtime's directory; none when the installation is incomplete or not readable.
    pub fn read(directory: &Path) -> Option<Record> {
        let bytes = std::fs::read(directory.join(FILE)).ok()?;
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        Some(Record {
            directory: directory.to_owned(),
            ..record
        })
    }

    /// Describes what pip has just put into `directory/venv`.
    ///
    /// Errors: it is not a Spark of that version, or one of its files is not as the package lists it.
    pub fn make(
        directory: &Path,
        version: &Version,
        python: &Interpreter,
        package_sha256: Option<String>,
    ) -> Result<Record, InstallError> {
        let unusable = |reason: String| InstallError::Unusable {
            directory: directory.to_owned(),
            reason,
        };
        let packages = packages(&directory.join("venv"))?;
        let found = spark_version(&packages.join("pyspark")).map_err(|error| unusable(error.to_string()))?;
        if found != *version {
            return Err(unusable(format!("it is Spark {found}, not {version}")));
        }
        let files = std::fs::read_dir(&packages)
            .map_err(InstallError::io(&packages))?
            .flatten()
            .map(|entry| PathBuf::from(entry.file_name()).join("RECORD"))
            .find(|path| path.to_string_lossy().starts_with("pyspark-") && packages.join(path).is_file())
            .ok_or_else(|| unusable("the package's list of files is missing".into()))?;
        let record = Record {
            version: version.clone(),
            package_sha256,
            python_base: python.base.clone(),
            files_sha256: sha256(&packages.join(&files)).map_err(InstallError::io(packages.join(&files)))?,
            packages: packages.strip_prefix(directory).unwrap_or(&packages).to_owned(),
            files,
            directory: directory.to_owned(),
        };
        record.verify_sizes().map_err(|error| unusable(error.to_string()))?;
        Ok(record)
    }

    /// Writes the record; from then on the runtime counts as installed.
    pub fn write(&self) -> Result<(), InstallError> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(std::io::Error::other)
            .map_err(InstallError::io(&self.directory))?;
        crate::launch::write(&self.directory, FILE, &bytes, 0o644).map_err(InstallError::io(self.directory.join(FILE)))
    }

    /// The runtime it describes.
    pub fn runtime(&self) -> Runtime {
        let packages = self.directory.join(&self.packages);
        Runtime {
            version: self.version.clone(),
            spark_home: packages.join("pyspark"),
            python: Some(Python {
                environment: self.directory.join("venv"),
                base: self.python_base.clone(),
                packages,
            }),
            origin: Origin::Installed,
        }
    }

    /// Compares the size of every file with what was installed: a few milliseconds.
    pub fn verify_sizes(&self) -> Result<(), Corruption> {
        self.check_base()?;
        self.verify(|path, listed| match std::fs::metadata(path) {
            Ok(metadata) if metadata.len() == listed.size => None,
            Ok(metadata) => Some(format!("has {} bytes instead of {}", metadata.len(), listed.size)),
            Err(error) => Some(unreadable(&error)),
        })
    }

    /// Compares the SHA-256 of every file with what was installed: reads all of it.
    pub fn verify_digests(&self) -> Result<(), Corruption> {
        self.verify_sizes()?;
        let list = self.list_file();
        match sha256(&list) {
            Ok(digest) if digest == self.files_sha256 => {}
            Ok(_) => return Err(self.corruption(list, "was changed".into())),
            Err(error) => return Err(self.corruption(list, unreadable(&error))),
        }
        self.verify(|path, listed| match digest(path) {
            Ok(digest) if URL_SAFE_NO_PAD.encode(digest) == listed.sha256 => None,
            Ok(_) => Some("was changed".into()),
            Err(error) => Some(unreadable(&error)),
        })
    }

    /// The Python below the environment may have been upgraded away.
    fn check_base(&self) -> Result<(), Corruption> {
        let python = self.directory.join("venv/bin/python");
        match std::fs::metadata(&python) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.corruption(python, "leads nowhere: the Python it was made from is gone".into())),
        }
    }

    fn verify(&self, fault: impl Fn(&Path, &Listed<'_>) -> Option<String>) -> Result<(), Corruption> {
        let list = self.list_file();
        let text = std::fs::read_to_string(&list).map_err(|error| self.corruption(list.clone(), unreadable(&error)))?;
        let packages = self.directory.join(&self.packages);
        let mut count = 0;
        for listed in text.lines().filter_map(Listed::parse) {
            let path = packages.join(&listed.path);
            if let Some(problem) = fault(&path, &listed) {
                return Err(self.corruption(path, problem));
            }
            count += 1;
        }
        if count == 0 {
            Err(self.corruption(list, "lists no files".into()))
        } else {
            Ok(())
        }
    }

    fn list_file(&self) -> PathBuf {
        self.directory.join(&self.packages).join(&self.files)
    }

    fn corruption(&self, file: PathBuf, problem: String) -> Corruption {
        Corruption {
            what: format!("Spark {}", self.version),
            name: self.version.to_string(),
            file,
            problem,
        }
    }
}

pub(crate) fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "is missing".into(),
        _ => format!("cannot be read: {error}"),
    }
}

/// A line of a wheel's `RECORD`: `path,sha256=…,size`. Lines without a digest (compiled files, the list itself) say nothing to check.
#[derive(Debug, PartialEq, Eq)]
struct Listed<'a> {
    path: String,
    sha256: &'a str,
    size: u64,
}

impl<'a> Listed<'a> {
    fn parse(line: &'a str) -> Option<Listed<'a>> {
        let mut fields = line.trim_end().rsplitn(3, ',');
        let size = fields.next()?.parse().ok()?;
        let sha256 = fields.next()?.strip_prefix("sha256=")?;
        let path = fields.next()?;
        // A path with a comma or a quote is quoted, quotes doubled (RFC 4180).
        let path = match path.strip_prefix('"').and_then(|path| path.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => path.to_owned(),
        };
        Some(Listed { path, sha256, size })
    }
}

/// The directory of the packages of a Python environment.
pub(crate) fn packages(environment: &Path) -> Result<PathBuf, InstallError> {
    let library = environment.join("lib");
    let mut versions = std::fs::read_dir(&library)
        .map_err(InstallError::io(&library))?
        .flatten();
    let packages = versions.find_map(|entry| Some(entry.path().join("site-packages")).filter(|path| path.is_dir()));
    packages.ok_or_else(|| InstallError::Unusable {
        directory: environment.to_owned(),
        reason: "it has no site-packages".into(),
    })
}

pub(crate) fn sha256(path: &Path) -> std::io::Result<String> {
    Ok(digest(path)?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn digest(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finalize().into()),
            read => digest.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hand-made environment with a "Spark" of two files.
    fn installed(root: &Path) -> Record {
        let directory = root.join("4.1.4");
        let packages = directory.join("venv/lib/python3.11/site-packages");
        std::fs::create_dir_all(packages.join("pyspark/jars")).unwrap();
        std::fs::create_dir_all(packages.join("pyspark-4.1.4.dist-info")).unwrap();
        std::fs::create_dir_all(directory.join("venv/bin")).unwrap();
        std::fs::write(directory.join("venv/bin/python"), "").unwrap();
        let mut list = String::from("pyspark-4.1.4.dist-info/RECORD,,\npyspark/__pycache__/a.pyc,,\n");
        for (name, content) in [
            ("pyspark/jars/spark-core_2.13-4.1.4.jar", "core"),
            ("pyspark/a,b.py", "x = 1"),
        ] {
            std::fs::write(packages.join(name), content).unwrap();
            let digest = URL_SAFE_NO_PAD.encode(digest(&packages.join(name)).unwrap());
            let quoted = if name.contains(',') {
                format!("\"{name}\"")
            } else {
                name.to_owned()
            };
            list.push_str(&format!("{quoted},sha256={digest},{}\r\n", content.len()));
        }
        std::fs::write(packages.join("pyspark-4.1.4.dist-info/RECORD"), list).unwrap();
        let python = Interpreter {
            executable: "/usr/bin/python3".into(),
            version: (3, 11),
            base: "/usr".into(),
            missing: vec![],
        };
        let record = Record::make(&directory, &"4.1.4".parse().unwrap(), &python, Some("ab".into())).unwrap();
        record.write().unwrap();
        record
    }

    #[test]
    fn what_was_written_is_read_again_and_sound() {
        let root = tempfile::tempdir().unwrap();
        let record = installed(root.path());
        let read = Record::read(&root.path().join("4.1.4")).unwrap();
        assert_eq!(read, record);
        assert_eq!(read.verify_digests(), Ok(()));
        assert!(read.runtime().spark_home.ends_with("site-packages/pyspark"));
    }

    #[test]
    fn an_interrupted_installation_is_none() {
        let root = tempfile::tempdir().unwrap();
        installed(root.path());
        let marker = root.path().join("4.1.4").join(FILE);
        std::fs::write(&marker, "{\"version\":").unwrap();
        assert_eq!(Record::read(&root.path().join("4.1.4")), None);
        std::fs::remove_file(&marker).unwrap();
        assert_eq!(Record::read(&root.path().join("4.1.4")), None);
    }

    #[test]
    fn damage_is_found_and_named() {
        let damage = |file: &str, content: Option<&str>| {
            let root = tempfile::tempdir().unwrap();
            let record = installed(root.path());
            let path = root.path().join("4.1.4/venv").join(file);
            match content {
                Some(content) => std::fs::write(&path, content).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let message = |result: Result<(), Corruption>| result.err().map(|error| error.to_string());
            (message(record.verify_sizes()), message(record.verify_digests()))
        };
        let jar = "lib/python3.11/site-packages/pyspark/jars/spark-core_2.13-4.1.4.jar";
        let (sizes, digests) = damage(jar, Some("cor"));
        assert!(
            sizes
                .as_ref()
                .unwrap()
                .contains("has 3 bytes instead of 4; `stoke runtime install 4.1.4 --force`"),
            "{sizes:?}"
        );
        assert_eq!(sizes, digests);
        let (sizes, digests) = damage(jar, Some("CORE"));
        assert_eq!(sizes, None);
        assert!(digests.unwrap().contains("spark-core_2.13-4.1.4.jar was changed"));
        let (sizes, _) = damage("lib/python3.11/site-packages/pyspark/a,b.py", None);
        assert!(sizes.unwrap().contains("a,b.py is missing"));
        let (sizes, _) = damage("bin/python", None);
        assert!(sizes.unwrap().contains("the Python it was made from is gone"));
        let (sizes, _) = damage("lib/python3.11/site-packages/pyspark-4.1.4.dist-info/RECORD", Some(""));
        assert!(sizes.unwrap().contains("lists no files"));
    }

    #[test]
    fn another_version_than_asked_for_is_refused() {
        let root = tempfile::tempdir().unwrap();
        installed(root.path());
        let python = Interpreter {
            executable: "/usr/bin/python3".into(),
            version: (3, 11),
            base: "/usr".into(),
            missing: vec![],
        };
        let error = Record::make(&root.path().join("4.1.4"), &"4.1.3".parse().unwrap(), &python, None).unwrap_err();
        assert!(error.to_string().contains("it is Spark 4.1.4, not 4.1.3"), "{error}");
    }
}
