//! All packages, each once, with where it lies.

use std::collections::BTreeMap;

use serde::Serialize;

use super::package::{Kind, Package};

/// The operating system, as `/etc/os-release` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Os {
    pub id: String,
    pub version: String,
    pub name: String,
}

impl Os {
    /// Reads `os-release`; none without an `ID`.
    pub(super) fn read(text: &str) -> Option<Os> {
        let value = |key: &str| {
            let mut lines = text.lines();
            let line = lines.find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
            Some(line.trim().trim_matches(['"', '\'']).to_owned())
        };
        Some(Os {
            id: value("ID").filter(|id| !id.is_empty())?,
            version: value("VERSION_ID").unwrap_or_default(),
            name: value("PRETTY_NAME").unwrap_or_default(),
        })
    }
}

/// A file that lists packages and could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unread {
    pub place: String,
    pub why: String,
    /// It grew beyond the limits, and was not looked into further.
    #[serde(skip)]
    pub too_large: bool,
}

impl Unread {
    pub(super) fn new(place: &str, why: impl Into<String>) -> Unread {
        Unread {
            place: place.to_owned(),
            why: why.into(),
            too_large: false,
        }
    }
}

/// What one file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Content {
    pub os: Option<Os>,
    pub packages: Vec<Package>,
    pub unread: Vec<Unread>,
}

/// What is in an image or a directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<Os>,
    /// In the order of kinds and names.
    pub packages: Vec<Package>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
}

/// Puts what files say together: the same package of several files is one with several places.
pub(super) fn together(files: BTreeMap<String, Content>) -> Inventory {
    let os = ["etc/os-release", "usr/lib/os-release"];
    let os = os.iter().find_map(|path| files.get(*path)?.os.clone());
    let mut packages: BTreeMap<(Kind, String), Package> = BTreeMap::new();
    let mut unread = Vec::new();
    for content in files.into_values() {
        unread.extend(content.unread);
        for mut package in content.packages {
            if matches!(package.kind, Kind::Deb | Kind::Apk | Kind::Rpm)
                && let Some(os) = &os
            {
                package.group.clone_from(&os.id);
                if !os.version.is_empty() {
                    let distro = format!("{}-{}", os.id, os.version);
                    package.qualifiers.push(("distro".to_owned(), distro));
                }
            }
            let key = (package.kind, package.reference());
            match packages.get_mut(&key) {
                None => drop(packages.insert(key, package)),
                Some(there) => {
                    there.places.append(&mut package.places);
                    if there.licence.is_none() {
                        there.licence = package.licence;
                    }
                }
            }
        }
    }
    unread.sort();
    Inventory {
        os,
        packages: packages.into_values().collect(),
        unread,
    }
}
