//! Which Spark's rules apply.

use std::fmt;
use std::str::FromStr;

/// A Spark version, `4.1.4`. Ordered; pre-release suffixes (`4.3.0-SNAPSHOT`, `4.2.0-preview1`) are kept for display and ignored for order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SparkVersion {
    major: u32,
    minor: u32,
    patch: u32,
    text: String,
}

/// Text that is not a Spark version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a Spark version; write it as major.minor.patch, like 4.1.4")]
pub struct InvalidVersion(pub String);

impl SparkVersion {
    /// The version `major.minor.patch`.
    #[must_use]
    pub fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
            text: format!("{major}.{minor}.{patch}"),
        }
    }

    /// The release line: `(4, 1)` for 4.1.4.
    #[must_use]
    pub fn line(&self) -> (u32, u32) {
        (self.major, self.minor)
    }

    /// True when this version belongs to the release line `major.minor` or a later one.
    #[must_use]
    pub fn since(&self, major: u32, minor: u32) -> bool {
        self.line() >= (major, minor)
    }

    /// As written: the value of the label `spark-version` on every pod.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for SparkVersion {
    type Err = InvalidVersion;

    /// `3.5.9`, `4.3`, `4.2.0-preview1`; a missing patch is 0.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidVersion(text.to_owned());
        let numbers = text.split(['-', '_', '+']).next().unwrap_or_default();
        let mut parts = numbers
            .split('.')
            .map(|part| part.parse::<u32>().map_err(|_| invalid()));
        let major = parts.next().ok_or_else(invalid)??;
        let minor = parts.next().ok_or_else(invalid)??;
        let patch = parts.next().unwrap_or(Ok(0))?;
        if parts.next().is_some() {
            return Err(invalid());
        }
        Ok(Self {
            major,
            minor,
            patch,
            text: text.to_owned(),
        })
    }
}

impl PartialOrd for SparkVersion {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SparkVersion {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.major, self.minor, self.patch, &self.text).cmp(&(other.major, other.minor, other.patch, &other.text))
    }
}

impl fmt::Display for SparkVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
