//! The extracted table, parsed once, when first asked for.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::family::Family;
use super::value::{Rule, ValueType};

/// How Spark knows a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An entry of Spark's registry (`ConfigEntry`), with a type and a default.
    Entry,
    /// A key that Spark reads as a plain string, without an entry.
    Plain,
    /// A former name; see [`Entry::new_key`].
    OldName,
    /// A SQL key that Spark refuses unless the value is the former default.
    Removed,
}

/// What holds when the key is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Default {
    /// This text, in the form Spark prints it.
    Text(Cow<'static, str>),
    /// The value of another key.
    Key(&'static str),
    /// Computed when Spark starts, for example from the machine.
    Computed,
    /// Nothing: the key is optional, or its reader decides.
    Absent,
}

/// The facts about one key in a set of versions in which they are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, in Spark's spelling.
    pub key: &'static str,
    pub(super) versions: u8,
    /// How Spark knows it.
    pub kind: Kind,
    pub value_type: ValueType,
    /// What a value must fulfil besides its type.
    pub rule: Rule,
    /// What holds when it is not set.
    pub default: Default,
    /// The version that introduced it, as Spark says (`3.0.0`); empty when Spark does not say.
    pub since: &'static str,
    /// Whether Spark documents it for users.
    pub public: bool,
    /// Whether a running session can change it (`SET`, `spark.conf.set`); otherwise it is fixed when the application starts.
    pub session: bool,
    /// Where it is declared: `core`, `sql`, `static-sql`, `kubernetes`, `network`…
    pub place: &'static str,
    /// Former names that still work, with the version that replaced them (empty when Spark does not say).
    pub old_names: Vec<(&'static str, &'static str)>,
    /// For a former name: the key that took its place.
    pub new_key: Option<&'static str>,
    /// Version and message of its deprecation or removal.
    pub deprecation: Option<(&'static str, Cow<'static, str>)>,
    /// Spark's message when a value breaks [`Entry::rule`]; may be empty.
    pub rule_message: &'static str,
    /// The beginning of Spark's documentation; may be empty.
    pub doc: &'static str,
}

/// One version the table knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableVersion {
    pub minor: (u32, u32),
    pub name: &'static str,
    pub full: &'static str,
}

/// The whole table.
#[derive(Debug)]
pub(super) struct Table {
    pub versions: Vec<TableVersion>,
    /// Sorted by key; of one key, newest versions first.
    pub entries: Vec<Entry>,
    pub families: Vec<Family>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    Table::parse(
        include_str!("../../data/spark-conf.tsv"),
        include_str!("../../data/spark-conf-families.tsv"),
    )
});

/// The table; parsed at the first call.
pub(super) fn table() -> &'static Table {
    &TABLE
}

impl Table {
    /// Parses the script's output. Lines that do not have the script's form are left out; a test holds the shipped files to it.
    pub(super) fn parse(entries: &'static str, families: &'static str) -> Table {
        let mut versions = Vec::new();
        let mut parsed: Vec<Entry> = Vec::with_capacity(2400);
        for line in entries.lines() {
            if let Some(comment) = line.strip_prefix('#') {
                if let Some(list) = comment.trim_start().strip_prefix("versions: ") {
                    versions = list.split(' ').filter_map(table_version).collect();
                }
                continue;
            }
            let above = parsed.last().map_or("", |entry| entry.doc);
            parsed.extend(entry(line, above));
        }
        let families = families
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(Family::parse)
            .collect();
        Table {
            versions,
            entries: parsed,
            families,
        }
    }

    /// All lines of one key, newest versions first.
    pub(super) fn rows(&self, key: &str) -> &[Entry] {
        let start = self.entries.partition_point(|entry| entry.key < key);
        let count = self.entries[start..]
            .iter()
            .take_while(|entry| entry.key == key)
            .count();
        &self.entries[start..start + count]
    }
}

fn table_version(text: &'static str) -> Option<TableVersion> {
    let (name, full) = text.split_once('=')?;
    let (major, minor) = name.split_once('.')?;
    Some(TableVersion {
        minor: (major.parse().ok()?, minor.parse().ok()?),
        name,
        full,
    })
}

fn entry(line: &'static str, above: &'static str) -> Option<Entry> {
    let mut columns = line.split('\t');
    let mut next = || columns.next();
    let (key, versions, kind) = (next()?, u8::from_str_radix(next()?, 16).ok()?, next()?);
    let (value_type, rule, default) = (ValueType::parse(next()?)?, Rule::parse(next()?)?, next()?);
    let (since, flags, place, names, deprecation) = (next()?, next()?, next()?, next()?, next()?);
    let (rule_message, doc) = (next()?, next()?);
    let kind = match kind {
        "e" => Kind::Entry,
        "p" => Kind::Plain,
        "o" => Kind::OldName,
        "r" => Kind::Removed,
        _ => return None,
    };
    let old = kind == Kind::OldName;
    Some(Entry {
        key,
        versions,
        kind,
        value_type,
        rule,
        default: match default.split_at_checked(1)? {
            ("=", text) => Default::Text(unescape(text)),
            (">", key) => Default::Key(key),
            ("*", _) => Default::Computed,
            _ => Default::Absent,
        },
        since,
        public: flags.starts_with('p'),
        session: flags.ends_with('s'),
        place,
        old_names: if old {
            Vec::new()
        } else {
            names.split(';').filter_map(|name| name.split_once('@')).collect()
        },
        new_key: (old && !names.is_empty()).then_some(names),
        deprecation: deprecation
            .split_once('|')
            .map(|(version, message)| (version, unescape(message))),
        rule_message,
        doc: if doc == "\"" { above } else { doc },
    })
}

fn unescape(text: &'static str) -> Cow<'static, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, if c == '\\' { characters.next() } else { None }) {
            (_, Some('n')) => out.push('\n'),
            (_, Some('t')) => out.push('\t'),
            (_, Some('r')) => out.push('\r'),
            (_, Some(other)) => out.push(other),
            (c, None) => out.push(c),
        }
    }
    Cow::Owned(out)
}
