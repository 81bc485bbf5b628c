//! Levels and versions of the standard.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How much a pod is kept from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing is forbidden.
    Privileged,
    /// Known privilege escalations are forbidden.
    Baseline,
    /// Current practice of hardening is required.
    Restricted,
}

/// A version of the standard: the minor version of the Kubernetes release it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u32);

/// A level or a version that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VersionError {
    /// Not a level.
    #[error("must be one of privileged, baseline, restricted")]
    Level,
    /// Not a version.
    #[error("must be \"latest\" or \"v1.x\"")]
    Version,
}

impl Version {
    /// The newest there is, `latest` in a label.
    pub const LATEST: Self = Self(u32::MAX);

    /// The version of Kubernetes 1.`minor`.
    pub const fn minor(minor: u32) -> Self {
        Self(minor)
    }

    /// The older of the two: a release of Kubernetes takes a newer version than its own for its own.
    #[must_use]
    pub fn at_most(self, newest: Self) -> Self {
        self.min(newest)
    }

    /// True from 1.`minor` on.
    pub(super) fn since(self, minor: u32) -> bool {
        self.0 >= minor
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::LATEST {
            return f.write_str("latest");
        }
        write!(f, "v1.{}", self.0)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    /// `latest` or `v1.<minor>`, the minor without leading zeros.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        if text == "latest" {
            return Ok(Self::LATEST);
        }
        let minor = text.strip_prefix("v1.").ok_or(VersionError::Version)?;
        let digits = !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || (minor.len() > 1 && minor.starts_with('0')) {
            return Err(VersionError::Version);
        }
        // More digits than a number holds are still newer than every release.
        Ok(Self(minor.parse().unwrap_or(u32::MAX - 1)))
    }
}

impl Level {
    /// As labels write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        [Self::Privileged, Self::Baseline, Self::Restricted]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or(VersionError::Level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_as_in_labels() {
        for good in ["latest", "v1.0", "v1.9", "v1.34", "v1.99999999999999999999"] {
            assert!(good.parse::<Version>().is_ok(), "{good}");
        }
        for bad in [
            "", "v1.", "v1", "1.30", "v2.0", "v1.030", "v1.+5", "v1.x", "Latest", "v1.1 ",
        ] {
            assert_eq!(bad.parse::<Version>(), Err(VersionError::Version), "{bad}");
        }
        assert_eq!("v1.30".parse::<Version>().unwrap().to_string(), "v1.30");
        assert_eq!(Version::LATEST.to_string(), "latest");
        assert!(Version::LATEST > Version::minor(99));
        assert_eq!(Version::LATEST.at_most(Version::minor(34)), Version::minor(34));
    }

    #[test]
    fn levels_are_written_as_in_labels() {
        assert_eq!("baseline".parse(), Ok(Level::Baseline));
        assert_eq!("Baseline".parse::<Level>(), Err(VersionError::Level));
        assert_eq!(Level::Restricted.to_string(), "restricted");
    }
}
