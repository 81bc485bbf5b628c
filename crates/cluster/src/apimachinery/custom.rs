//! One version of a custom resource, as its definition describes it.

use serde_json::Value;

use super::schema::Schema;

/// A printer column of a custom resource.
#[derive(Clone, Debug)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// What it shows.
    pub description: String,
    /// 0 is always shown, more only with `-o wide`.
    pub priority: i64,
    /// Path of the field, such as `.status.state`.
    pub path: String,
}

/// One version of a custom resource.
#[derive(Debug)]
pub struct CustomVersion {
    pub list_kind: String,
    /// Structural schema of the whole object.
    pub schema: Schema,
    /// The schema as published, for OpenAPI.
    pub published: Value,
    /// Version objects are stored in.
    pub storage_version: String,
    /// Whether there is no other version, so that stored objects need no conversion.
    pub only_version: bool,
    /// Columns for kubectl.
    pub columns: Vec<Column>,
    /// Fields that field selectors may name.
    pub selectable: Vec<String>,
    /// Where the scale subresource finds its numbers.
    pub scale: Option<Scale>,
    /// The definition is being deleted: no new objects.
    pub terminating: bool,
    /// Revision of the definition when this schema became its. Objects written later have its defaults already.
    pub revision: u64,
}

/// Where a custom resource keeps what its scale shows, as JSON pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Replicas wanted.
    pub replicas: String,
    /// Replicas there are.
    pub current: String,
    /// Selector of the pods, as text.
    pub selector: Option<String>,
}

impl CustomVersion {
    /// Whether stored objects must be changed before they are shown: another version, or defaults that came after them.
    pub fn converts(&self, stored: u64) -> bool {
        !self.only_version || (self.schema.has_defaults && stored <= self.revision)
    }
}

/// Kubernetes' order of versions: v2 > v1 > v1beta2 > v1beta1 > v1alpha1 > anything else.
pub fn version_rank(version: &str) -> (u8, u64, u64) {
    let Some(rest) = version.strip_prefix('v') else {
        return (0, 0, 0);
    };
    let digits = rest.len()
        - rest
            .trim_start_matches(|character: char| character.is_ascii_digit())
            .len();
    let (major, rest) = rest.split_at(digits);
    let Ok(major) = major.parse() else { return (0, 0, 0) };
    for (stability, word) in [(3, ""), (2, "beta"), (1, "alpha")] {
        match rest.strip_prefix(word) {
            Some("") if word.is_empty() => return (stability, major, 0),
            Some(minor) if !word.is_empty() => return (stability, major, minor.parse().unwrap_or(0)),
            _ => {}
        }
    }
    (0, 0, 0)
}
