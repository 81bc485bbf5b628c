//! The objects of places as they were at a moment, and what is otherwise at another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::all;
use super::places::{Places, url};
use crate::store::Store;
use crate::store::error::StoreError;

/// An object as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// In bytes.
    pub size: u64,
    pub etag: String,
    /// Last written, milliseconds since 1970.
    pub modified: i64,
}

/// Objects as they were, by bucket, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pins(BTreeMap<String, Vec<(String, Pin)>>);

/// What is otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// `s3://bucket/key`.
    pub object: String,
    pub what: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It has another content.
    Replaced,
    Deleted,
    /// It was not there.
    Added,
}

impl Pins {
    /// Objects, in any order.
    #[must_use]
    pub fn new(objects: impl IntoIterator<Item = (String, String, Pin)>) -> Self {
        let mut all: BTreeMap<String, BTreeMap<String, Pin>> = BTreeMap::new();
        for (bucket, key, pin) in objects {
            all.entry(bucket).or_default().insert(key, pin);
        }
        Self(
            all.into_iter()
                .map(|(bucket, keys)| (bucket, keys.into_iter().collect()))
                .collect(),
        )
    }

    /// The objects of all places, as they are now.
    ///
    /// # Errors
    /// The index cannot be read.
    pub async fn take(store: &Store, places: &Places) -> Result<Self, StoreError> {
        let mut found = Vec::new();
        for spot in places.all() {
            for object in all(store, &spot.bucket, &spot.path).await? {
                if spot.holds(&spot.bucket, &object.key) {
                    let pin = Pin {
                        size: object.size,
                        etag: object.etag,
                        modified: object.modified,
                    };
                    found.push((spot.bucket.clone(), object.key, pin));
                }
            }
        }
        Ok(Self::new(found))
    }

    #[must_use]
    pub fn get(&self, bucket: &str, key: &str) -> Option<&Pin> {
        let keys = self.0.get(bucket)?;
        let at = keys.binary_search_by(|(known, _)| known.as_str().cmp(key)).ok()?;
        Some(&keys[at].1)
    }

    /// The objects of a bucket from a key on.
    pub(super) fn from(&self, bucket: &str, from: &[u8]) -> impl Iterator<Item = (&str, &Pin)> {
        let keys = self.0.get(bucket).map_or(&[][..], Vec::as_slice);
        let start = keys.partition_point(|(key, _)| key.as_bytes() < from);
        keys[start..].iter().map(|(key, pin)| (key.as_str(), pin))
    }

    /// All of them: bucket, key, what it was.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Pin)> {
        self.0
            .iter()
            .flat_map(|(bucket, keys)| keys.iter().map(move |(key, pin)| (bucket.as_str(), key.as_str(), pin)))
    }

    /// What is otherwise in `now`, in the order of keys.
    #[must_use]
    pub fn changes(&self, now: &Pins) -> Vec<Changed> {
        let mut found = Vec::new();
        for (bucket, key, pin) in self.iter() {
            let what = match now.get(bucket, key) {
                None => Change::Deleted,
                Some(other) if (other.size, &other.etag) != (pin.size, &pin.etag) => Change::Replaced,
                Some(_) => continue,
            };
            found.push(Changed {
                object: url(bucket, key),
                what,
            });
        }
        let added = now.iter().filter(|(bucket, key, _)| self.get(bucket, key).is_none());
        found.extend(added.map(|(bucket, key, _)| Changed {
            object: url(bucket, key),
            what: Change::Added,
        }));
        found.sort_by(|one, other| (&one.object, one.what).cmp(&(&other.object, other.what)));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins(all: &[(&str, u64, &str)]) -> Pins {
        Pins::new(all.iter().map(|(key, size, etag)| {
            let pin = Pin {
                size: *size,
                etag: (*etag).to_owned(),
                modified: 0,
            };
            ("lake".to_owned(), (*key).to_owned(), pin)
        }))
    }

    #[test]
    fn what_is_otherwise_is_named() {
        let before = pins(&[("b", 1, "e"), ("a", 2, "f"), ("c", 3, "g")]);
        assert_eq!(before.changes(&before), []);
        let after = pins(&[("a", 2, "x"), ("c", 4, "g"), ("d", 1, "e")]);
        let found: Vec<(String, Change)> = before
            .changes(&after)
            .into_iter()
            .map(|changed| (changed.object, changed.what))
            .collect();
        assert_eq!(
            found,
            [
                ("s3://lake/a".to_owned(), Change::Replaced),
                ("s3://lake/b".to_owned(), Change::Deleted),
                ("s3://lake/c".to_owned(), Change::Replaced),
                ("s3://lake/d".to_owned(), Change::Added),
            ]
        );
        let text = serde_json::to_string(&before).unwrap();
        assert_eq!(serde_json::from_str::<Pins>(&text).unwrap(), before);
        let keys: Vec<&str> = before.from("lake", b"b").map(|(key, _)| key).collect();
        assert_eq!(keys, ["b", "c"]);
        assert_eq!(before.from("other", b"").count(), 0);
    }
}
