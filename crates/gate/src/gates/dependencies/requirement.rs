//! One requirement of Python, as PEP 508 writes it: name, extras, versions or an address, and when it holds.

use std::str::FromStr;
use std::sync::LazyLock;

use pep440_rs::{Operator, VersionSpecifiers};
use regex::Regex;
use stoke_advisories::Ecosystem;

use super::marker::Marker;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The name in its normal form (PEP 503): lower case, with dashes.
    pub name: String,
    /// What pins it.
    pub pin: Option<Pin>,
    /// Two of its bounds that no version meets, as written.
    pub contradiction: Option<(String, String)>,
    /// When it holds, as written; empty for always.
    pub marker: String,
}

/// What pins a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// One version: `==` without a star.
    Version(String),
    /// An address.
    Url,
}

/// `name [extras] (versions) ; marker`, or `name @ address ; marker`.
static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[A-Za-z0-9._,\s-]*\])?\s*(?:@\s*(?<url>\S+)|\((?<within>[^)]*)\)|(?<versions>[^;@]*?))\s*(?:;\s*(?<marker>.+))?$").ok()
});

/// A lower bound above an upper one, or an exact version outside of a bound.
fn contradiction(specifiers: &VersionSpecifiers) -> Option<(String, String)> {
    let of = |wanted: &[Operator]| -> Vec<&pep440_rs::VersionSpecifier> {
        specifiers
            .iter()
            .filter(|one| wanted.contains(one.operator()))
            .collect()
    };
    let exact = of(&[Operator::Equal, Operator::ExactEqual]);
    if let Some(exact) = exact.first() {
        let outside = specifiers.iter().find(|one| !one.contains(exact.version()))?;
        return Some((exact.to_string(), outside.to_string()));
    }
    let lower = of(&[Operator::GreaterThan, Operator::GreaterThanEqual, Operator::TildeEqual]);
    let upper = of(&[Operator::LessThan, Operator::LessThanEqual]);
    let closed = |least: &Operator, most: &Operator| {
        !matches!(least, Operator::GreaterThan) && matches!(most, Operator::LessThanEqual)
    };
    lower.iter().find_map(|least| {
        let most = upper.iter().find(|most| {
            let meets = closed(least.operator(), most.operator());
            least.version() > most.version() || (least.version() == most.version() && !meets)
        })?;
        Some((least.to_string(), most.to_string()))
    })
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Requirement, String> {
        let found = FORM.as_ref().and_then(|form| form.captures(text));
        let found = found.ok_or("it has a name, versions, and perhaps a marker behind `;`")?;
        let group = |name: &str| found.name(name).map_or("", |group| group.as_str()).trim();
        let versions = format!("{}{}", group("within"), group("versions"));
        let specifiers = VersionSpecifiers::from_str(&versions)
            .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())?;
        let exact = |operator: &Operator| matches!(operator, Operator::Equal | Operator::ExactEqual);
        let exact = specifiers.iter().find(|specifier| exact(specifier.operator()));
        let pin = match (group("url"), exact) {
            ("", None) => None,
            ("", Some(exact)) => Some(Pin::Version(exact.version().to_string())),
            _ => Some(Pin::Url),
        };
        if !group("marker").is_empty() {
            Marker::from_str(group("marker"))?;
        }
        Ok(Requirement {
            contradiction: contradiction(&specifiers),
            name: Ecosystem::PyPI.normal(group("name")),
            pin,
            marker: group("marker").to_owned(),
        })
    }
}

impl Requirement {
    /// True when it may be wanted for one of some Pythons on Linux.
    #[must_use]
    pub fn may_hold(&self, pythons: &[&str]) -> bool {
        self.marker.is_empty()
            || self
                .marker
                .parse::<Marker>()
                .is_ok_and(|marker| marker.may_hold(pythons))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_as_people_write_them() {
        let version = |text: &str| Some(Pin::Version(text.to_owned()));
        let cases = [
            ("requests==2.32.3", "requests", version("2.32.3"), ""),
            ("requests == 2.32.3", "requests", version("2.32.3"), ""),
            ("requests (==2.32.3)", "requests", version("2.32.3"), ""),
            ("Zope.Interface_x===1.0", "zope-interface-x", version("1.0"), ""),
            ("requests[socks, security]==2.0", "requests", version("2.0"), ""),
            ("requests>=2,<3,!=2.1", "requests", None, ""),
            ("requests==2.*", "requests", None, ""),
            ("requests", "requests", None, ""),
            (
                "requests ; python_version < '3.9'",
                "requests",
                None,
                "python_version < '3.9'",
            ),
            (
                "requests==1; sys_platform == 'linux'",
                "requests",
                version("1"),
                "sys_platform == 'linux'",
            ),
            ("requests @ https://example.com/r.whl", "requests", Some(Pin::Url), ""),
            ("requests@git+https://example.com/r@v1", "requests", Some(Pin::Url), ""),
        ];
        for (text, name, pin, marker) in cases {
            let expected = Requirement {
                name: name.to_owned(),
                contradiction: None,
                pin,
                marker: marker.to_owned(),
            };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in [
            "requests=2.1",
            "requests==2.1 pandas",
            "==2",
            "-requests",
            "requests==",
            "requests >> 2",
            "a b",
        ] {
            assert!(text.parse::<Requirement>().is_err(), "{text}");
        }
    }
}
