//! The catalogue as one Spark version sees it.

use super::family::Family;
use super::table::{Entry, Kind, Table, TableVersion, table};

/// The catalogue of one Spark version. Cheap to copy; the table behind it is parsed at first use.
///
/// ```
/// let catalogue = stoke_model::conf::Catalogue::for_version("4.1.4");
/// let memory = catalogue.get("spark.executor.memory").unwrap();
/// assert_eq!(memory.value_type.to_string(), "bytes, in MiB when no unit is given");
/// assert_eq!(memory.since, "0.7.0");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Catalogue {
    index: usize,
    requested: Option<(u32, u32, Option<u32>)>,
}

/// What the catalogue can say about a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Known {
    /// The version knows the key.
    Entry(&'static Entry),
    /// The key belongs to a family the version knows.
    Family(&'static Family),
    /// The key came later; the facts are those of the first version that has it.
    Newer(&'static Entry),
    /// An earlier version knew the key; the facts are those of the last version that had it.
    Gone(&'static Entry),
    /// No version knows it.
    Unknown,
}

impl Catalogue {
    /// The catalogue for a Spark version: `4.1.4`, `4.1`, `4.1.0-preview2`. A version that is not known gets the nearest one below it (or the
    /// oldest): see [`Catalogue::minor`] and [`Catalogue::exact`]. Text without numbers gets the newest.
    pub fn for_version(version: &str) -> Catalogue {
        let versions = &table().versions;
        let requested = numbers(version);
        let index = match requested {
            None => versions.len().saturating_sub(1),
            Some((major, minor, _)) => versions
                .iter()
                .rposition(|known| known.minor <= (major, minor))
                .unwrap_or_default(),
        };
        Catalogue { index, requested }
    }

    /// The catalogue of the newest version.
    pub fn newest() -> Catalogue {
        Catalogue {
            index: table().versions.len().saturating_sub(1),
            requested: None,
        }
    }

    /// The minor versions the table knows, oldest first: `3.5`, `4.0`…
    pub fn known_versions() -> impl Iterator<Item = &'static str> {
        table().versions.iter().map(|version| version.name)
    }

    /// The minor version whose table is used.
    pub fn minor(&self) -> &'static str {
        self.version().map_or("", |version| version.name)
    }

    /// The release the facts were extracted from.
    pub fn extracted_from(&self) -> &'static str {
        self.version().map_or("", |version| version.full)
    }

    /// Whether the minor version asked for is the one whose table is used.
    pub fn exact(&self) -> bool {
        match (self.requested, self.version()) {
            (Some((major, minor, _)), Some(version)) => version.minor == (major, minor),
            _ => false,
        }
    }

    /// The facts about a key, if this version knows it by this very spelling. Former names count; keys of families do not (see [`Catalogue::find`]).
    pub fn get(&self, key: &str) -> Option<&'static Entry> {
        match self.find(key) {
            Known::Entry(entry) => Some(entry),
            _ => None,
        }
    }

    /// Everything the catalogue can say about a key.
    pub fn find(&self, key: &str) -> Known {
        let rows = table().rows(key);
        if let Some(entry) = rows.iter().find(|entry| entry.versions & self.bit() != 0) {
            return Known::Entry(entry);
        }
        // Spark's modules outside the installation (Connect in 3.5) and versions between two tables: believe "since".
        let oldest_later = rows.iter().rev().find(|entry| entry.versions > self.bit());
        if let Some(entry) = oldest_later.filter(|entry| self.includes(entry.since)) {
            return Known::Entry(entry);
        }
        if let Some(family) = self.family(key) {
            return Known::Family(family);
        }
        let earlier = rows.iter().find(|entry| entry.versions & (self.bit() - 1) != 0);
        match (earlier, oldest_later) {
            (Some(entry), _) => Known::Gone(entry),
            (None, Some(entry)) => Known::Newer(entry),
            (None, None) => Known::Unknown,
        }
    }

    /// The family a key belongs to; the longest pattern wins.
    pub fn family(&self, key: &str) -> Option<&'static Family> {
        let families = table().families.iter();
        families
            .filter(|family| family.versions & self.bit() != 0 && family.matches(key))
            .max_by_key(|family| family.prefix().len())
    }

    /// Every key this version knows, sorted. Former and removed names are included; see [`Entry::kind`].
    pub fn entries(&self) -> impl Iterator<Item = &'static Entry> + use<> {
        let bit = self.bit();
        table().entries.iter().filter(move |entry| entry.versions & bit != 0)
    }

    /// Every family this version knows.
    pub fn families(&self) -> impl Iterator<Item = &'static Family> + use<> {
        let bit = self.bit();
        table().families.iter().filter(move |family| family.versions & bit != 0)
    }

    pub(super) fn bit(&self) -> u8 {
        1 << self.index
    }

    /// The first known minor version, after the given set, that lacks the key: where it went away.
    pub(super) fn gone_since(entry: &Entry) -> &'static str {
        let last = 7 - entry.versions.leading_zeros() as usize;
        table().versions.get(last + 1).map_or("", |version| version.name)
    }

    /// The first minor version of an entry's set.
    pub(super) fn first_version(entry: &Entry) -> &'static str {
        table()
            .versions
            .get(entry.versions.trailing_zeros() as usize)
            .map_or("", |version| version.name)
    }

    /// Whether a version that Spark names in "since" is not after the one asked for. Unreadable text is not.
    pub(super) fn includes(&self, since: &str) -> bool {
        let Some((major, minor, _)) = numbers(since) else {
            return false;
        };
        let asked = match (self.requested, self.version()) {
            (Some((major, minor, _)), _) => (major, minor),
            (None, Some(version)) => version.minor,
            (None, None) => return false,
        };
        (major, minor) <= asked
    }

    /// Whether "since" names a later patch release of the very minor version asked for.
    pub(super) fn later_patch(&self, since: &str) -> bool {
        match (numbers(since), self.requested) {
            (Some((major, minor, Some(patch))), Some((want_major, want_minor, Some(want)))) => {
                (major, minor) == (want_major, want_minor) && patch > want
            }
            _ => false,
        }
    }

    /// The version in the words of a message: what was asked for, or the table's minor.
    pub(super) fn name(&self) -> String {
        match self.requested {
            Some((major, minor, Some(patch))) => format!("{major}.{minor}.{patch}"),
            Some((major, minor, None)) => format!("{major}.{minor}"),
            None => self.minor().to_owned(),
        }
    }

    fn version(&self) -> Option<&'static TableVersion> {
        table().versions.get(self.index)
    }

    pub(super) fn table() -> &'static Table {
        table()
    }
}

/// Whether a row is a key to recommend: not a former or removed name, not deprecated.
pub(super) fn recommendable(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Entry | Kind::Plain) && entry.deprecation.is_none()
}

/// Major, minor and, when given, patch of a version; anything after them is ignored.
fn numbers(version: &str) -> Option<(u32, u32, Option<u32>)> {
    let mut parts = version.trim().trim_start_matches('v').split(['.', '-', '_', '+']);
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    Some((major, minor, parts.next().and_then(|patch| patch.parse().ok())))
}
