//! One stored object: its JSON as sent to clients, and the few facts read without parsing it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;

/// A resource: plural name and group, as `pods` or `deployments.apps`. Versions share one key.
pub type ResourceKey = Arc<str>;

/// Names an object for ever: resource, namespace (empty for cluster-wide ones) and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Resource key.
    pub resource: ResourceKey,
    /// Namespace, or the empty string.
    pub namespace: Arc<str>,
    /// Object name.
    pub name: Arc<str>,
}

impl Key {
    /// A key from its parts.
    pub fn new(resource: &ResourceKey, namespace: &str, name: &str) -> Key {
        Key {
            resource: resource.clone(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// Facts of an object that selectors and controllers read without parsing it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.labels`.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// UIDs in `metadata.ownerReferences`.
    pub owners: Box<[Box<str>]>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
}

impl Fields {
    /// Value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(name, _)| &**name == key)
            .map(|(_, value)| &**value)
    }
}

/// Reads the facts kept beside an object.
pub fn fields_of(value: &Value) -> Fields {
    let metadata = &value["metadata"];
    let labels = metadata["labels"].as_object().into_iter().flatten();
    let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
    Fields {
        uid: metadata["uid"].as_str().unwrap_or_default().into(),
        labels: labels
            .map(|(key, value)| (key.as_str().into(), value.as_str().unwrap_or_default().into()))
            .collect(),
        owners: owners
            .filter_map(|owner| owner["uid"].as_str().map(Into::into))
            .collect(),
        deleting: !metadata["deletionTimestamp"].is_null(),
    }
}

/// A committed object.
#[derive(Debug)]
pub struct Object {
    /// Its name in the store.
    pub key: Key,
    /// Revision of the change that made it so; its `metadata.resourceVersion`.
    pub revision: u64,
    /// Facts read without parsing.
    pub fields: Fields,
    /// The whole object as JSON, in its storage version.
    pub json: Bytes,
}

impl Object {
    /// Parses the object. Stored JSON was written by us, so a failure means a corrupt file and gives `Null`.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap_or(Value::Null)
    }
}

/// What a write does and what it requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteKind {
    /// The object must not exist.
    Create,
    /// The object must be at this revision.
    Update {
        /// Revision the change was computed from.
        expected: u64,
    },
    /// The object must be at this revision; it is removed.
    Delete {
        /// Revision the deletion was decided on.
        expected: u64,
    },
}

/// One change, serialised but for its revision.
#[derive(Debug)]
pub struct Write {
    /// Which object.
    pub key: Key,
    /// What is done, on what condition.
    pub kind: WriteKind,
    fields: Fields,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// Stands for the revision in `metadata.resourceVersion` until the writer knows it. Random per process, so no content can contain it.
pub fn revision_mark() -> &'static str {
    static PLACEHOLDER: OnceLock<String> = OnceLock::new();
    PLACEHOLDER.get_or_init(|| {
        let mut random = [0_u8; 16];
        // Without entropy the fixed text remains, which only costs the guarantee against a hostile copy of it.
        let _ = SystemRandom::new().fill(&mut random);
        random
            .iter()
            .fold(String::from("revision-"), |text, byte| format!("{text}{byte:02x}"))
    })
}

impl Write {
    /// Prepares a write of `value`, whose `metadata.resourceVersion` is overwritten.
    pub fn new(key: Key, kind: WriteKind, value: &mut Value) -> Write {
        value["metadata"]["resourceVersion"] = Value::from(revision_mark());
        let fields = fields_of(value);
        let mut before = serde_json::to_vec(value).unwrap_or_default();
        let mark = revision_mark().as_bytes();
        let place = memchr::memmem::find(&before, mark).unwrap_or(before.len());
        let after = before.split_off((place + mark.len()).min(before.len()));
        before.truncate(place);
        Write {
            key,
            kind,
            fields,
            before,
            after,
        }
    }

    pub(super) fn into_object(self, revision: u64) -> Object {
        let mut json = self.before;
        json.extend_from_slice(revision.to_string().as_bytes());
        json.extend_from_slice(&self.after);
        json.shrink_to_fit();
        Object {
            key: self.key,
            revision,
            fields: self.fields,
            json: json.into(),
        }
    }
}

/// Why a write was not done. Nothing of it is visible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A create of something that exists.
    #[error("the object already exists")]
    Exists,
    /// An update or deletion of something that does not exist.
    #[error("the object does not exist")]
    NotFound,
    /// The object has changed since it was read.
    #[error("the object has been modified")]
    Conflict,
    /// The disk refused; the change is undone.
    #[error("the cluster's database could not be written: {0}")]
    Disk(String),
    /// The store is closed.
    #[error("the cluster is stopping")]
    Stopped,
}
