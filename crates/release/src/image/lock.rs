//! `stoke-image.lock`: what names and ranges meant when the image was built first, so that it is built of the same again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::BuildError;
use crate::oci::Digest;

/// The name of the file.
pub const FILE: &str = "stoke-image.lock";

const VERSION: u32 = 1;

/// What was resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    pub version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<Python>,
}

/// What a base's name meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// As it stands in the specification.
    pub name: String,
    pub digest: Digest,
    /// The version of its Python, when it was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
}

/// What requirements meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Python {
    /// Of the file of requirements, the interpreter and the machine they were resolved for.
    pub key: Digest,
    /// Sorted by name.
    pub wheels: Vec<Wheel>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// The name of its file, which says project, version and what it runs on.
    pub file: String,
    pub digest: Digest,
}

impl Wheel {
    /// Project and version of the file's name (PyPA, "Binary distribution format").
    #[must_use]
    pub fn project(&self) -> Option<(&str, &str)> {
        let mut parts = self.file.strip_suffix(".whl")?.split('-');
        Some((parts.next()?, parts.next()?))
    }

    /// Whether it runs on every machine.
    #[must_use]
    pub fn is_neutral(&self) -> bool {
        self.file.ends_with("-any.whl")
    }
}

impl Lock {
    /// The lock of a directory; empty when there is none.
    ///
    /// # Errors
    /// A file that is not one, or that a newer Stoke wrote.
    pub fn read(directory: &Path) -> Result<Self, BuildError> {
        let path = directory.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(super::sources::unreadable(&path, &error)),
        };
        let fix = "delete it, and the next build writes another";
        let lock: Self = serde_json::from_slice(&text)
            .map_err(|error| BuildError::input("stoke::build::lock", format!("{}: {error}", path.display()), fix))?;
        if lock.version != VERSION {
            let message = format!(
                "{} has version {}, and this Stoke knows {VERSION}",
                path.display(),
                lock.version
            );
            return Err(BuildError::input("stoke::build::lock", message, fix));
        }
        Ok(lock)
    }

    /// Writes it when it is another than the one that is there.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn write(&mut self, directory: &Path) -> Result<(), BuildError> {
        let before = Self::read(directory)?;
        self.version = VERSION;
        if *self == before {
            return Ok(());
        }
        let path: PathBuf = directory.join(FILE);
        let failed = |error: std::io::Error| {
            BuildError::environment(
                "stoke::build::lock",
                format!("{}: {error}", path.display()),
                "make the directory writable, or build with --locked after the lock was made",
            )
        };
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        let file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
        std::fs::write(file.path(), text).map_err(failed)?;
        use std::os::unix::fs::PermissionsExt;
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o644))
            .map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}
