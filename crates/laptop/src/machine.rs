//! The world outside for a submission: files, environment, user, clock of this process.

use std::io;

use jiff::Timestamp;
use stoke_submit::argv::Files;

/// This machine as `spark-submit` would see it.
pub struct Machine;

impl Files for Machine {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, bool)>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            // A link to a directory is a directory.
            let is_directory = entry.path().is_dir();
            entries.push((entry.file_name().to_string_lossy().into_owned(), is_directory));
        }
        entries.sort();
        Ok(entries)
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn working_dir(&self) -> String {
        std::env::current_dir()
            .map(|directory| directory.to_string_lossy().into_owned())
            .unwrap_or_else(|_| "/".into())
    }

    fn user_name(&self) -> String {
        let by_id = || {
            let id = rustix::process::getuid().as_raw().to_string();
            let users = std::fs::read_to_string("/etc/passwd").ok()?;
            let mut entries = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
            entries
                .find(|entry| entry.get(2) == Some(&id.as_str()))
                .map(|entry| entry[0].to_string())
        };
        by_id().or_else(|| self.env("USER")).unwrap_or_else(|| "spark".into())
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
