//! Releases of Kubernetes.

use std::fmt;
use std::str::FromStr;

/// A minor version of Kubernetes 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release(pub(super) u8);

/// What is not a release that is known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRelease {
    /// Not of the form `1.34`.
    #[error("`{0}` is not a version of Kubernetes; write it like 1.34")]
    Form(String),
    /// Before the first or after the last that is known.
    #[error("Kubernetes {0} is not known here; known are {first} to {last}", first = Release::FIRST, last = Release::NEWEST)]
    Unknown(String),
}

impl Release {
    /// The oldest that is known.
    pub const FIRST: Release = Release(15);
    /// The newest that is known.
    pub const NEWEST: Release = Release(37);
    /// What is meant where none is named: the one this Stoke's embedded cluster serves.
    pub const DEFAULT: Release = Release(34);

    /// The number after `1.`.
    #[must_use]
    pub fn minor(self) -> u8 {
        self.0
    }
}

impl Default for Release {
    fn default() -> Self {
        Release::DEFAULT
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

impl FromStr for Release {
    type Err = BadRelease;

    /// `1.34`, `v1.34`, `1.34.2`, or as a cloud writes it: `v1.34.2-eks-1234`, `1.34+`.
    fn from_str(text: &str) -> Result<Self, BadRelease> {
        let form = || BadRelease::Form(text.to_owned());
        let rest = text
            .trim()
            .trim_start_matches('v')
            .strip_prefix("1.")
            .ok_or_else(form)?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        if number.is_empty() || !(after.is_empty() || after.starts_with(['.', '+', '-'])) {
            return Err(form());
        }
        let known = number.parse().ok().map(Release);
        known
            .filter(|release| (Release::FIRST..=Release::NEWEST).contains(release))
            .ok_or_else(|| BadRelease::Unknown(text.trim().to_owned()))
    }
}
