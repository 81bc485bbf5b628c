//! What `explain` prints about a key.

use std::fmt;

use super::catalogue::{Catalogue, Known};
use super::suggest;
use super::table::{Default, Entry, Kind};
use super::value::ValueType;

/// The facts about a key, across versions.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The key asked for.
    pub key: String,
    /// What the catalogue's version says.
    pub known: Known,
    /// The facts of every version that has the key, oldest first.
    pub versions: Vec<InVersion>,
    /// Keys that are spelt alike, when this one is unknown.
    pub near_misses: Vec<String>,
    version: String,
}

/// The facts in one minor version.
#[derive(Debug, Clone, PartialEq)]
pub struct InVersion {
    /// The minor version, such as `4.1`.
    pub minor: &'static str,
    /// Its facts.
    pub entry: &'static Entry,
}

impl Catalogue {
    /// Everything there is to say about a key. Its `Display` is the text for a terminal.
    pub fn explain(&self, key: &str) -> Explanation {
        let key = key.trim();
        let table = Catalogue::table();
        let rows = table.rows(key);
        let versions = table.versions.iter().enumerate().filter_map(|(index, version)| {
            let entry = rows.iter().find(|entry| entry.versions & (1 << index) != 0)?;
            Some(InVersion {
                minor: version.name,
                entry,
            })
        });
        let known = self.find(key);
        let near_misses = if known == Known::Unknown {
            suggest::near_misses(self, key)
        } else {
            Vec::new()
        };
        Explanation {
            key: key.to_owned(),
            known,
            versions: versions.collect(),
            near_misses,
            version: self.name(),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.key)?;
        match self.known {
            Known::Entry(entry) => self.facts(f, entry),
            Known::Newer(entry) => {
                writeln!(f, "  not in Spark {}: it came with {}", self.version, since(entry))?;
                self.facts(f, entry)
            }
            Known::Gone(entry) => {
                writeln!(
                    f,
                    "  not in Spark {}: it went away with {}",
                    self.version,
                    Catalogue::gone_since(entry)
                )?;
                self.facts(f, entry)
            }
            Known::Family(family) => {
                writeln!(f, "  {}", family.doc)?;
                writeln!(f, "  family      {}", family.pattern)?;
                writeln!(f, "  type        {}", family.value_type)?;
                writeln!(f, "  read by     {}", family.place)
            }
            Known::Unknown => {
                writeln!(f, "  Spark {} does not know this key", self.version)?;
                match self.near_misses.is_empty() {
                    true => Ok(()),
                    false => writeln!(f, "  did you mean {}?", self.near_misses.join(", ")),
                }
            }
        }
    }
}

impl Explanation {
    fn facts(&self, f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
        if !entry.doc.is_empty() {
            writeln!(f, "  {}", entry.doc)?;
        }
        if let Some(new) = entry.new_key {
            writeln!(f, "  now         {new}")?;
        }
        if let Some((version, message)) = &entry.deprecation {
            let word = if entry.kind == Kind::Removed {
                "removed"
            } else {
                "deprecated"
            };
            let text = format!("  {word:<11} {version} {message}");
            writeln!(f, "{}", text.trim_end())?;
        }
        if matches!(entry.kind, Kind::Entry | Kind::Plain) {
            writeln!(f, "  type        {}", entry.value_type)?;
            let rule = entry.rule.to_string();
            if !rule.is_empty() {
                writeln!(f, "  value       {rule}")?;
            }
            self.defaults(f)?;
        }
        if !entry.since.is_empty() {
            writeln!(f, "  since       {}", entry.since)?;
        }
        for (name, version) in &entry.old_names {
            let until = if version.is_empty() {
                String::new()
            } else {
                format!(" (until {version})")
            };
            writeln!(f, "  old name    {name}{until}")?;
        }
        let public = if entry.public { "" } else { ", internal" };
        let change = if entry.session {
            "can change in a running session"
        } else {
            "fixed when the application starts"
        };
        writeln!(f, "  declared in {}{public}; {change}", entry.place)
    }

    /// One line when all versions agree, else one for each run of versions.
    fn defaults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<(&'static str, &'static str, &Default)> = Vec::new();
        for here in &self.versions {
            match runs.last_mut() {
                Some((_, last, default)) if *default == &here.entry.default => *last = here.minor,
                _ => runs.push((here.minor, here.minor, &here.entry.default)),
            }
        }
        let single = runs.len() == 1;
        let value_type = self
            .versions
            .last()
            .map_or(ValueType::TEXT, |newest| newest.entry.value_type);
        for (first, last, default) in runs {
            let text = match default {
                Default::Text(text) if text.is_empty() => "(empty)".to_owned(),
                Default::Text(text) => match value_type.readable(text) {
                    Some(readable) => format!("{text} ({readable})"),
                    None => text.to_string(),
                },
                Default::Key(key) => format!("the value of {key}"),
                Default::Computed => "computed at start".to_owned(),
                Default::Absent => "none".to_owned(),
            };
            match (single, first == last) {
                (true, _) => writeln!(f, "  default     {text}")?,
                (false, true) => writeln!(f, "  default     {text} ({first})")?,
                (false, false) => writeln!(f, "  default     {text} ({first} to {last})")?,
            }
        }
        Ok(())
    }
}

fn since(entry: &Entry) -> &'static str {
    if entry.since.is_empty() {
        Catalogue::first_version(entry)
    } else {
        entry.since
    }
}
