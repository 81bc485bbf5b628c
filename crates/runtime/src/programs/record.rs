//! The record of an installed program: which lock it is of, and what every file was. Written last; without it there is no program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::catalogue::Program;
use crate::error::{Corruption, InstallError};
use crate::install::record::{sha256, unreadable};

const FILE: &str = "program.json";

/// What was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    name: String,
    /// `Apache Kafka 4.1.2`.
    title: String,
    /// SHA-256 of the lock's text.
    lock: String,
    /// The directory of the Python that the environment was made from; none without one.
    pub python_base: Option<PathBuf>,
    /// Every file but what Python compiled, by its path below the directory: size and SHA-256.
    files: BTreeMap<PathBuf, (u64, String)>,
    #[serde(skip)]
    pub directory: PathBuf,
}

impl Record {
    /// The record in a program's directory; none when it is not installed, not whole, or of another lock than the catalogue's.
    pub fn read(directory: &Path, program: &Program) -> Option<Record> {
        let bytes = std::fs::read(directory.join(FILE)).ok()?;
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        (record.lock == digest(program)).then(|| Record {
            // Containers see it under the same path, so that links are resolved here.
            directory: directory.canonicalize().unwrap_or_else(|_| directory.to_owned()),
            ..record
        })
    }

    /// Describes what was put into a directory, and writes it down; from then on the program counts as installed.
    pub fn make(directory: &Path, program: &Program, python_base: Option<PathBuf>) -> Result<(), InstallError> {
        let mut files = BTreeMap::new();
        collect(directory, directory, &mut files)?;
        let record = Record {
            name: program.name.to_owned(),
            title: program.full_name(),
            lock: digest(program),
            python_base,
            files,
            directory: directory.to_owned(),
        };
        let bytes = serde_json::to_vec(&record)
            .map_err(std::io::Error::other)
            .map_err(InstallError::io(directory))?;
        crate::launch::write(directory, FILE, &bytes, 0o644).map_err(InstallError::io(directory.join(FILE)))
    }

    /// Compares the size of every file with what was installed.
    pub fn verify_sizes(&self) -> Result<(), Corruption> {
        let python = self.directory.join("venv/bin/python");
        if self.python_base.is_some() && !python.exists() {
            return Err(self.corruption(python, "leads nowhere: the Python it was made from is gone".into()));
        }
        self.verify(|path, (size, _)| match std::fs::metadata(path) {
            Ok(metadata) if metadata.len() == *size => None,
            Ok(metadata) => Some(format!("has {} bytes instead of {size}", metadata.len())),
            Err(error) => Some(unreadable(&error)),
        })
    }

    /// Compares the SHA-256 of every file with what was installed: reads all of it.
    pub fn verify_digests(&self) -> Result<(), Corruption> {
        self.verify_sizes()?;
        self.verify(|path, (_, expected)| match sha256(path) {
            Ok(found) if found == *expected => None,
            Ok(_) => Some("was changed".into()),
            Err(error) => Some(unreadable(&error)),
        })
    }

    fn verify(&self, fault: impl Fn(&Path, &(u64, String)) -> Option<String>) -> Result<(), Corruption> {
        for (path, listed) in &self.files {
            let path = self.directory.join(path);
            if let Some(problem) = fault(&path, listed) {
                return Err(self.corruption(path, problem));
            }
        }
        Ok(())
    }

    fn corruption(&self, file: PathBuf, problem: String) -> Corruption {
        Corruption {
            what: self.title.clone(),
            name: self.name.clone(),
            file,
            problem,
        }
    }
}

fn digest(program: &Program) -> String {
    let digest = Sha256::digest(program.lock_text());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file below a directory. Links are left out: they lead to files that are listed, or to the machine's Python.
fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<PathBuf, (u64, String)>) -> Result<(), InstallError> {
    for entry in std::fs::read_dir(directory).map_err(InstallError::io(directory))? {
        let entry = entry.map_err(InstallError::io(directory))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(InstallError::io(&path))?;
        if kind.is_dir() && entry.file_name() != "__pycache__" {
            collect(root, &path, files)?;
        } else if kind.is_file() {
            let size = entry.metadata().map_err(InstallError::io(&path))?.len();
            let digest = sha256(&path).map_err(InstallError::io(&path))?;
            files.insert(path.strip_prefix(root).unwrap_or(&path).to_owned(), (size, digest));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::Programs;

    #[test]
    fn damage_is_found_and_named() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(directory.join("jars/__pycache__")).unwrap();
        for name in ["jars/a.jar", "jars/b.jar", "jars/__pycache__/c.pyc"] {
            std::fs::write(directory.join(name), "content").unwrap();
        }
        let kafka = Programs::named("kafka").unwrap();
        assert_eq!(Record::read(&directory, kafka), None);
        Record::make(&directory, kafka, None).unwrap();
        let record = Record::read(&directory, kafka).unwrap();
        // Of another program, or of another lock, it is none.
        assert_eq!(Record::read(&directory, Programs::named("nessie").unwrap()), None);
        assert_eq!((record.files.len(), record.verify_digests()), (2, Ok(())));

        let file = directory.join("jars/a.jar");
        std::fs::write(&file, "CONTENT").unwrap();
        assert_eq!(record.verify_sizes(), Ok(()));
        assert_eq!(record.verify_digests().unwrap_err().problem, "was changed");
        std::fs::write(&file, "short").unwrap();
        assert_eq!(record.verify_sizes().unwrap_err().problem, "has 5 bytes instead of 7");
        std::fs::remove_file(&file).unwrap();
        let error = record.verify_sizes().unwrap_err();
        assert_eq!((error.file, error.problem.as_str()), (file, "is missing"));
        let text = record.verify_sizes().unwrap_err().to_string();
        assert!(text.contains("`stoke runtime install kafka --force`"), "{text}");
    }
}
