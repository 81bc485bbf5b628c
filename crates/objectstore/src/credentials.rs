//! The one pair of keys of an installation: made once, kept in a file only its owner can read.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Letters of an access key's random part: as AWS has them.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// An access key and its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// New ones from the system's random numbers: 80 bits of key, 200 of secret.
    pub fn generate() -> io::Result<Self> {
        use ring::rand::SecureRandom;
        let mut bytes = [0; 56];
        ring::rand::SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| io::Error::other("the system gives no random numbers"))?;
        let letters = |bytes: &[u8]| -> String {
            bytes
                .iter()
                .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
                .collect()
        };
        Ok(Credentials {
            access_key_id: format!("STOKE{}", letters(&bytes[..16])),
            // Letters and digits only: no client or shell has to quote them.
            secret_access_key: letters(&bytes[16..]),
        })
    }

    /// Those in the file; made and written with mode 0600 when there is none. A file that others can read is made private again.
    pub fn load_or_generate(path: &Path) -> io::Result<Self> {
        match Self::load(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let parent = path.parent().unwrap_or(Path::new("."));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        let made = Self::generate()?;
        let partial = parent.join(format!(".credentials-{}", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(&serde_json::to_vec_pretty(&made)?)?;
        file.sync_all()?;
        // A link, unlike a rename, never replaces what another process made meanwhile.
        let linked = std::fs::hard_link(&partial, path);
        std::fs::remove_file(&partial)?;
        match linked {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Self::load(path),
        }
    }

    /// Those in the file.
    pub fn load(path: &Path) -> io::Result<Self> {
        let text = std::fs::read(path)?;
        if std::fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        }
        serde_json::from_slice(&text).map_err(|error| {
            let message = format!(
                "{}: {error}; remove the file to have new credentials made",
                path.display()
            );
            io::Error::new(ErrorKind::InvalidData, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_made_once_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store").join("credentials");
        let made = Credentials::load_or_generate(&path).unwrap();
        assert_eq!(Credentials::load_or_generate(&path).unwrap(), made);
        assert_ne!(Credentials::generate().unwrap(), made);
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        Credentials::load_or_generate(&path).unwrap();
        assert_eq!(mode(), 0o600);
        assert!(!format!("{made:?}").contains(&made.secret_access_key));
        std::fs::write(&path, "{").unwrap();
        assert!(
            Credentials::load_or_generate(&path)
                .unwrap_err()
                .to_string()
                .contains("remove the file")
        );
    }
}
