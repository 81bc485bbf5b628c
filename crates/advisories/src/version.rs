//! The ecosystems that are looked up, their names of packages and the order of their versions.

use std::cmp::Ordering;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::maven;

/// An ecosystem, as OSV names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ecosystem {
    /// The Python package index.
    PyPI,
    /// Maven Central and repositories like it.
    Maven,
}

impl Ecosystem {
    /// All that are kept.
    pub const ALL: [Ecosystem; 2] = [Ecosystem::PyPI, Ecosystem::Maven];

    /// Its name in the OSV schema.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Ecosystem::PyPI => "PyPI",
            Ecosystem::Maven => "Maven",
        }
    }

    /// The ecosystem of a name; `Maven:https://…` is a repository of it.
    #[must_use]
    pub fn named(name: &str) -> Option<Ecosystem> {
        let base = name.split(':').next().unwrap_or(name);
        Ecosystem::ALL.into_iter().find(|known| known.name() == base)
    }

    /// A package's name in its normal form: PEP 503 for Python (`Zope.Interface` is `zope-interface`), `group:artifact` as it is for Maven.
    #[must_use]
    pub fn normal(self, name: &str) -> String {
        match self {
            Ecosystem::PyPI => {
                let parts = name.trim().split(['-', '_', '.']).filter(|part| !part.is_empty());
                parts.collect::<Vec<_>>().join("-").to_lowercase()
            }
            Ecosystem::Maven => name.trim().to_owned(),
        }
    }

    /// Reads a version.
    ///
    /// # Errors
    /// A text that is not a version under PEP 440; Maven takes every text.
    pub fn version(self, text: &str) -> Result<Version, String> {
        match self {
            Ecosystem::PyPI => pep440_rs::Version::from_str(text.trim())
                .map(|version| Version(Order::Python(version)))
                .map_err(|_| format!("`{text}` is not a version as PEP 440 has them")),
            Ecosystem::Maven => Ok(Version(Order::Maven(maven::Version::new(text.trim())))),
        }
    }
}

/// A version of one of the ecosystems.
#[derive(Clone, Debug)]
pub struct Version(Order);

#[derive(Clone, Debug)]
enum Order {
    Python(pep440_rs::Version),
    Maven(maven::Version),
}

impl Version {
    /// Which of two is later. Versions of different ecosystems have no order; they are never compared, and would be equal.
    #[must_use]
    pub fn compare(&self, other: &Version) -> Ordering {
        match (&self.0, &other.0) {
            (Order::Python(one), Order::Python(other)) => one.cmp(other),
            (Order::Maven(one), Order::Maven(other)) => one.cmp(other),
            _ => Ordering::Equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        for (name, expected) in [
            ("Zope.Interface", "zope-interface"),
            ("a__b--c", "a-b-c"),
            ("requests", "requests"),
        ] {
            assert_eq!(Ecosystem::PyPI.normal(name), expected);
        }
        assert_eq!(
            Ecosystem::named("Maven:https://repo.example.com"),
            Some(Ecosystem::Maven)
        );
        assert_eq!(Ecosystem::named("npm"), None);
    }

    #[test]
    fn what_is_no_version_of_python_is_refused() {
        for text in ["", "1.0-SNAPSHOT", "latest", "2004d.x", "1.0+"] {
            assert!(Ecosystem::PyPI.version(text).is_err(), "{text}");
        }
        assert!(Ecosystem::Maven.version("").is_ok());
    }
}
