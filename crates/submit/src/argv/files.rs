//! What a submission reads from outside, as a trait, so that all decisions can be tried without a disk.

use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;

/// The world outside, as far as a submission looks at it. Paths are as the user wrote them: relative ones are relative to [`Files::working_dir`].
pub trait Files {
    /// Content of a regular file.
    ///
    /// # Errors
    /// As the operating system says.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;

    /// Names (without directory) of what is in a directory, sorted; `true` for directories.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self, directory: &str) -> io::Result<Vec<(String, bool)>>;

    /// An environment variable; none when it is unset or empty.
    fn env(&self, name: &str) -> Option<String>;

    /// Absolute current directory.
    fn working_dir(&self) -> String;

    /// Name of the operating system's user.
    fn user_name(&self) -> String;

    /// The time of submission.
    fn now(&self) -> Timestamp;
}

/// Files and environment in memory: for tests, and for command lines that come without a disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    /// Contents by absolute path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// The current directory; `/` when empty.
    pub working_dir: String,
    /// The user; `spark` when empty.
    pub user: String,
    /// The time of submission.
    pub now: Timestamp,
}

impl MemoryFiles {
    /// With this text file added.
    #[must_use]
    pub fn file(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.to_owned(), text.as_ref().to_vec());
        self
    }

    /// With this environment variable set.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.working_dir().trim_end_matches('/'))
        }
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.files
            .get(&self.absolute(path))
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, bool)>> {
        let prefix = format!("{}/", self.absolute(directory).trim_end_matches('/'));
        let mut entries = BTreeMap::new();
        for path in self.files.keys().filter_map(|path| path.strip_prefix(&prefix)) {
            match path.split_once('/') {
                Some((directory, _)) => entries.insert(directory.to_owned(), true),
                None => entries.insert(path.to_owned(), false),
            };
        }
        if entries.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(entries.into_iter().collect())
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn working_dir(&self) -> String {
        if self.working_dir.is_empty() {
            "/".to_owned()
        } else {
            self.working_dir.clone()
        }
    }

    fn user_name(&self) -> String {
        if self.user.is_empty() {
            "spark".to_owned()
        } else {
            self.user.clone()
        }
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}
