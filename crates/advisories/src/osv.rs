//! One advisory in the OSV schema, and what of it a lookup needs.

use serde::{Deserialize, Serialize};

use crate::severity::{Level, Severity};
use crate::version::Ecosystem;

/// What is kept of an advisory, for one package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advisory {
    /// Its id: `GHSA-…`, `PYSEC-…`, `CVE-…`.
    pub id: String,
    /// Other names of the same vulnerability.
    pub aliases: Vec<String>,
    /// What it is, in a line.
    pub summary: String,
    /// How bad it is.
    pub severity: Severity,
    /// Ranges of versions it concerns.
    pub ranges: Vec<Vec<Event>>,
    /// Versions it concerns, one by one.
    pub versions: Vec<String>,
}

/// An event of a range, with its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// From here on; `0` is before every version.
    Introduced(String),
    /// No longer from here on.
    Fixed(String),
    /// No longer behind this one.
    LastAffected(String),
    /// Nothing is said from here on.
    Limit(String),
}

/// The document, as far as it is read. Unknown keys are of later versions of the schema, or of a database's own.
#[derive(Deserialize)]
struct Document {
    id: String,
    modified: String,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    severity: Option<Vec<Vector>>,
    #[serde(default)]
    affected: Option<Vec<Affected>>,
    #[serde(default)]
    database_specific: Option<Specific>,
}

#[derive(Deserialize)]
struct Vector {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

#[derive(Deserialize)]
struct Affected {
    #[serde(default)]
    package: Option<Package>,
    #[serde(default)]
    severity: Option<Vec<Vector>>,
    #[serde(default)]
    ranges: Option<Vec<Range>>,
    #[serde(default)]
    versions: Option<Vec<String>>,
    #[serde(default)]
    database_specific: Option<Specific>,
}

#[derive(Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    events: Vec<Written>,
    #[serde(default)]
    database_specific: Option<Specific>,
}

/// An event as it is written: an object with one of these keys.
#[derive(Deserialize)]
struct Written {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

/// What databases add of their own, of any form.
#[derive(Deserialize)]
#[serde(transparent)]
struct Specific(serde_json::Value);

impl Specific {
    fn text(specific: Option<&Specific>, key: &str) -> Option<String> {
        specific?.0.get(key)?.as_str().map(str::to_owned)
    }
}

/// An advisory that was read: each package it concerns, in the ecosystems that are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    pub id: String,
    /// When it was changed last (RFC 3339).
    pub modified: jiff::Timestamp,
    /// True when it was taken back; then it concerns nothing.
    pub withdrawn: bool,
    /// Ecosystem and name in its normal form, and what is said of it.
    pub packages: Vec<(Ecosystem, String, Advisory)>,
}

/// Reads one advisory.
///
/// # Errors
/// What is not an advisory of the schema, in words.
pub fn read(json: &[u8]) -> Result<Read, String> {
    let document: Document =
        serde_json::from_slice(json).map_err(|error| format!("this is not an advisory of the OSV schema: {error}"))?;
    let modified = document
        .modified
        .parse()
        .map_err(|_| format!("`modified` of {} is not a time: `{}`", document.id, document.modified))?;
    let withdrawn = document.withdrawn.is_some();
    let word = Specific::text(document.database_specific.as_ref(), "severity");
    let mut aliases = document.aliases.unwrap_or_default();
    aliases.retain(|alias| *alias != document.id);
    aliases.sort();
    aliases.dedup();
    let about = document.summary.or(document.details).unwrap_or_default();
    let summary = shortened(about.lines().find(|line| !line.trim().is_empty()).unwrap_or_default());
    let mut packages: Vec<(Ecosystem, String, Advisory)> = Vec::new();
    for affected in document.affected.into_iter().flatten().filter(|_| !withdrawn) {
        let Some(package) = &affected.package else { continue };
        let Some(ecosystem) = Ecosystem::named(&package.ecosystem) else {
            continue;
        };
        let name = ecosystem.normal(&package.name);
        let vectors = affected.severity.as_ref().filter(|own| !own.is_empty());
        let vectors = vectors.or(document.severity.as_ref());
        let vectors: Vec<(String, String)> = vectors
            .into_iter()
            .flatten()
            .map(|vector| (vector.kind.clone(), vector.score.clone()))
            .collect();
        let mut severity = Severity::of(&vectors, word.as_deref());
        // Packages made to do harm have no vector, and nothing about them is mild.
        if document.id.starts_with("MAL-") {
            severity = Severity {
                level: Level::Critical,
                score: None,
            };
        }
        let upper = Specific::text(affected.database_specific.as_ref(), "last_known_affected_version_range");
        let ranges = affected
            .ranges
            .into_iter()
            .flatten()
            // Commits of a repository say nothing of a version; such an advisory lists versions besides.
            .filter(|range| range.kind != "GIT")
            .map(|range| events(range, upper.as_deref()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|cause| format!("{}: {cause}", document.id))?;
        let mut advisory = Advisory {
            id: document.id.clone(),
            aliases: aliases.clone(),
            summary: summary.clone(),
            severity,
            ranges,
            versions: affected.versions.unwrap_or_default(),
        };
        match packages
            .iter_mut()
            .find(|known| known.0 == ecosystem && known.1 == name)
        {
            Some((_, _, known)) => {
                known.ranges.append(&mut advisory.ranges);
                known.versions.append(&mut advisory.versions);
                known.severity = known.severity.worse(advisory.severity);
            }
            None => packages.push((ecosystem, name, advisory)),
        }
    }
    Ok(Read {
        id: document.id,
        modified,
        withdrawn,
        packages,
    })
}

/// The events of a range; `upper` is where GitHub's database says an open range ends.
fn events(range: Range, upper: Option<&str>) -> Result<Vec<Event>, String> {
    let own = Specific::text(range.database_specific.as_ref(), "last_known_affected_version_range");
    let mut events = Vec::new();
    for written in range.events {
        let before = events.len();
        events.extend(written.introduced.map(Event::Introduced));
        events.extend(written.fixed.map(Event::Fixed));
        events.extend(written.last_affected.map(Event::LastAffected));
        events.extend(written.limit.map(Event::Limit));
        if events.len() == before {
            return Err(
                "an event of a range has none of `introduced`, `fixed`, `last_affected` and `limit`".to_owned(),
            );
        }
    }
    let open = events.iter().all(|event| matches!(event, Event::Introduced(_)));
    if let Some(upper) = own.as_deref().or(upper).filter(|_| open) {
        match upper.trim().strip_prefix("<=") {
            Some(last) => events.push(Event::LastAffected(last.trim().to_owned())),
            None => events.extend(
                upper
                    .trim()
                    .strip_prefix('<')
                    .map(|end| Event::Limit(end.trim().to_owned())),
            ),
        }
    }
    Ok(events)
}

/// A line that fits into a finding.
fn shortened(line: &str) -> String {
    const MOST: usize = 160;
    let line = line.trim().trim_start_matches('#').trim();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advisory_is_read_for_each_package_it_concerns() {
        let json = br##"{"schema_version": "1.7.0", "id": "GHSA-1", "modified": "2025-01-02T03:04:05Z", "aliases": ["CVE-1", "GHSA-1"], "details": "\n# It breaks\nmore",
            "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
            "affected": [
              {"package": {"ecosystem": "PyPI", "name": "Some_Lib"}, "ranges": [{"type": "GIT", "repo": "r", "events": [{"introduced": "0"}]}, {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}]},
              {"package": {"ecosystem": "PyPI", "name": "some-lib"}, "versions": ["3.1"]},
              {"package": {"ecosystem": "npm", "name": "some-lib"}},
              {"package": {"ecosystem": "Maven", "name": "a:b"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}], "database_specific": {"last_known_affected_version_range": "<= 29.0"}}
            ], "new_key": {"a": 1}}"##;
        let read = read(json).unwrap();
        assert_eq!(read.packages.len(), 2);
        let (ecosystem, name, advisory) = &read.packages[0];
        assert_eq!((*ecosystem, name.as_str()), (Ecosystem::PyPI, "some-lib"));
        assert_eq!(advisory.aliases, ["CVE-1"]);
        assert_eq!(advisory.summary, "It breaks");
        assert_eq!(advisory.severity.to_string(), "critical (9.8)");
        assert_eq!(
            advisory.ranges,
            [vec![Event::Introduced("0".into()), Event::Fixed("2".into())]]
        );
        assert_eq!(advisory.versions, ["3.1"]);
        assert_eq!(
            read.packages[1].2.ranges,
            [vec![Event::Introduced("0".into()), Event::LastAffected("29.0".into())]]
        );
    }

    #[test]
    fn what_is_no_advisory_is_refused() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"id": "A"}"#,
            r#"{"id": "A", "modified": "yesterday"}"#,
            r#"{"id": "A", "modified": "2025-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "ranges": [{"type": "ECOSYSTEM", "events": [{}]}]}]}"#,
        ] {
            assert!(read(json.as_bytes()).is_err(), "{json}");
        }
        let withdrawn = br#"{"id": "A", "modified": "2025-01-01T00:00:00Z", "withdrawn": "2025-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}}]}"#;
        let read = read(withdrawn).unwrap();
        assert!(read.withdrawn && read.packages.is_empty());
    }
}
