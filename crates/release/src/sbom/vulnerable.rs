//! What is known against the packages, by a database of advisories.

use serde::Serialize;
use stoke_advisories::{Database, Ecosystem, Level};

use super::inventory::Inventory;
use super::package::{Kind, Package};

/// A package with a known vulnerability.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Vulnerable {
    pub package: String,
    pub version: String,
    pub places: Vec<String>,
    /// All its names, `CVE` first.
    pub ids: Vec<String>,
    pub summary: String,
    /// `critical`, `high`, `medium`, `low`, `unknown`, with the score where there is one.
    pub severity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// High, critical, or no one says how bad: what the gate for dependencies refuses as well.
    pub stops: bool,
}

/// What was looked up, and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scan {
    pub looked_up: usize,
    pub vulnerable: Vec<Vulnerable>,
    /// Packages whose version cannot be compared, or whose group is not known, each with the reason.
    pub undecided: Vec<String>,
    /// How many packages are of kinds for which the database has no advisories.
    pub not_covered: usize,
}

fn named(package: &Package) -> Option<(Ecosystem, String)> {
    match package.kind {
        Kind::Pypi => Some((Ecosystem::PyPI, Ecosystem::PyPI.normal(&package.name))),
        Kind::Maven => Some((Ecosystem::Maven, format!("{}:{}", package.group, package.name))),
        Kind::Deb | Kind::Apk | Kind::Rpm => None,
    }
}

/// Looks all packages up.
///
/// # Errors
/// A database that cannot be read.
pub fn scan(inventory: &Inventory, database: &Database) -> Result<Scan, stoke_advisories::DatabaseError> {
    let mut scan = Scan::default();
    for package in &inventory.packages {
        let Some((ecosystem, name)) = named(package).filter(|(ecosystem, _)| database.covers(*ecosystem)) else {
            scan.not_covered += 1;
            continue;
        };
        let mut undecided = |why: &str| scan.undecided.push(format!("{}: {why}", package.reference()));
        if package.kind == Kind::Maven && package.group.is_empty() {
            undecided("its group is not known");
            continue;
        }
        if package.version.is_empty() {
            undecided("its version is not known");
            continue;
        }
        scan.looked_up += 1;
        match database.look_up(ecosystem, &name, &package.version)? {
            Err(why) => undecided(&why),
            Ok(answer) => {
                for (id, why) in &answer.undecided {
                    undecided(&format!("{id}: {why}"));
                }
                scan.vulnerable.extend(answer.known.into_iter().map(|known| Vulnerable {
                    package: name.clone(),
                    version: package.version.clone(),
                    places: package.places.iter().cloned().collect(),
                    ids: known.ids,
                    summary: known.summary,
                    severity: known.severity.to_string(),
                    fixed: known.fixed,
                    stops: !matches!(known.severity.level, Level::Low | Level::Medium),
                }));
            }
        }
    }
    Ok(scan)
}
