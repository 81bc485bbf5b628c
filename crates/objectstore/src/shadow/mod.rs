//! Shadows: identities whose writes are kept apart from what everyone else sees, so that a job runs on real inputs and changes nothing.
//!
//! In: [`Places`] that may be read and written, the objects there as they were ([`Pins`]). Out: credentials; who signs with them finds the pinned objects and, over
//! them, what it wrote or deleted itself. Nothing of the job has to change: it names the keys it always names.
//! - [`places`]: what a key is to a shadow, as a pure function
//! - [`pins`]: the objects as they were, and what is otherwise now
//! - [`log`]: every request of a shadow, where it landed, and what was refused
//! - [`requests`]: the operations of S3 as a shadow has them; those that are not there are refused
//!
//! What it writes lies in the bucket [`BUCKET`] below its name. An object that is not the pinned one any more is refused, not read.

pub mod log;
pub mod pins;
pub mod places;
pub(crate) mod requests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rusqlite::Connection;

use crate::credentials::Credentials;
use crate::store::error::StoreError;
use crate::store::list::{self, After, Page, Query, Summary};
use crate::store::{Store, buckets, objects, uploads};

pub use log::{Log, Seen};
pub use pins::{Change, Changed, Pin, Pins};
pub use places::{Places, Spot};

/// The bucket in which shadows write.
pub const BUCKET: &str = "stoke-shadow";
/// Objects removed in one transaction.
const BATCH: usize = 1000;

/// An identity whose writes are kept apart.
pub struct Shadow {
    /// First part of the keys of what it writes.
    name: String,
    credentials: Credentials,
    places: Places,
    pins: Arc<Pins>,
    /// Pinned objects that it deleted: bucket and key.
    gone: Mutex<BTreeSet<(String, String)>>,
    log: Log,
}

impl Shadow {
    /// A shadow with a key of its own, which writes its log to a file. The name is unique among all shadows of the store.
    ///
    /// # Errors
    /// No random numbers, or the file cannot be made.
    pub fn new(name: &str, places: Places, pins: Arc<Pins>, log: &Path) -> std::io::Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            credentials: Credentials::generate()?,
            places,
            pins,
            gone: Mutex::default(),
            log: Log::create(log)?,
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key it signs with.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The key in [`BUCKET`] of what it writes under a key.
    fn own_key(&self, bucket: &str, key: &str) -> String {
        format!("{}/{bucket}/{key}", self.name)
    }

    fn is_gone(&self, bucket: &str, key: &str) -> bool {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.contains(&(bucket.to_owned(), key.to_owned()))
    }

    /// Notes that a pinned object is deleted, as far as this shadow sees.
    fn bury(&self, bucket: &str, key: &str) {
        if self.pins.get(bucket, key).is_some() {
            let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
            gone.insert((bucket.to_owned(), key.to_owned()));
        }
    }

    /// The pinned object of a key, unless it was deleted.
    fn beneath(&self, bucket: &str, key: &str) -> Option<&Pin> {
        self.pins.get(bucket, key).filter(|_| !self.is_gone(bucket, key))
    }

    /// A page of the keys that this shadow sees: what it wrote, and of the pinned objects those it neither replaced nor deleted.
    fn list(&self, index: &Connection, bucket: &str, query: &Query) -> Result<Page, StoreError> {
        let own = buckets::find(index, BUCKET)?.id;
        let root = self.own_key(bucket, "");
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner).clone();
        list::walk(query, |from| {
            let written = list::first(index, own, &[root.as_bytes(), from].concat(), &root)?;
            let written = written.map(|found| Summary {
                key: found.key[root.len()..].to_owned(),
                ..found
            });
            let pinned = self.pins.from(bucket, from);
            let mut pinned = pinned.filter(|(key, _)| !gone.contains(&(bucket.to_owned(), (*key).to_owned())));
            let pinned = pinned.next().map(|(key, pin)| Summary {
                key: key.to_owned(),
                size: pin.size,
                modified: pin.modified,
                etag: pin.etag.clone(),
            });
            Ok(match (written, pinned) {
                // What it wrote itself counts where both are.
                (Some(written), Some(pinned)) if pinned.key < written.key => Some(pinned),
                (Some(written), _) => Some(written),
                (None, pinned) => pinned,
            })
        })
    }

    /// What it wrote and deleted at each of the places it may write to.
    ///
    /// # Errors
    /// The index cannot be read.
    pub async fn written(&self, store: &Store) -> Result<BTreeMap<Spot, Written>, StoreError> {
        let root = format!("{}/", self.name);
        let objects = all(store, BUCKET, &root).await?;
        let mut found: BTreeMap<Spot, Written> = BTreeMap::new();
        for spot in &self.places.writes {
            found.insert(spot.clone(), Written::default());
        }
        for object in objects {
            let below = object.key.strip_prefix(&root).unwrap_or(&object.key);
            let Some((bucket, key)) = below.split_once('/') else {
                continue;
            };
            let spot = self.places.writes.iter().find(|spot| spot.holds(bucket, key));
            if let Some(written) = spot.and_then(|spot| found.get_mut(spot)) {
                written.objects += 1;
                written.bytes += object.size;
            }
        }
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        for (bucket, key) in gone.iter() {
            let spot = self.places.writes.iter().find(|spot| spot.holds(bucket, key));
            if let Some(written) = spot.and_then(|spot| found.get_mut(spot)) {
                written.deleted += 1;
            }
        }
        Ok(found)
    }
}

/// What a shadow did at a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Written {
    /// Objects that it wrote and that are there.
    pub objects: u64,
    pub bytes: u64,
    /// Objects of others that it deleted or replaced after a deletion.
    pub deleted: u64,
}

/// The shadows of a running store. Cheap to clone.
#[derive(Clone, Default)]
pub struct Shadows(Arc<RwLock<BTreeMap<String, Arc<Shadow>>>>);

impl Shadows {
    /// Lets a shadow in.
    pub fn add(&self, shadow: Arc<Shadow>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(shadow.credentials.access_key_id.clone(), shadow);
    }

    /// Lets none in any longer.
    pub fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Lets it in no longer.
    pub fn remove(&self, shadow: &Shadow) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(&shadow.credentials.access_key_id);
    }

    /// The shadow that signs with this key.
    #[must_use]
    pub fn by_key(&self, access_key: &str) -> Option<Arc<Shadow>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(access_key).cloned()
    }

    /// The shadow that signed a request.
    pub(crate) fn of<T>(&self, request: &s3s::S3Request<T>) -> Option<Arc<Shadow>> {
        self.by_key(&request.credentials.as_ref()?.access_key)
    }
}

/// All objects of a bucket whose key begins so.
async fn all(store: &Store, bucket: &str, prefix: &str) -> Result<Vec<Summary>, StoreError> {
    let mut found = Vec::new();
    let mut after = After::Nothing;
    loop {
        let (name, query) = (
            bucket.to_owned(),
            Query {
                prefix: prefix.to_owned(),
                after,
                limit: BATCH,
                ..Query::default()
            },
        );
        let page = store
            .read(move |index| list::list(index, buckets::find(index, &name)?.id, &query))
            .await;
        let page = match page {
            Err(StoreError::NoSuchBucket) => return Ok(found),
            page => page?,
        };
        found.extend(page.objects);
        match page.next {
            Some(next) => after = next,
            None => return Ok(found),
        }
    }
}

/// Makes the bucket of shadows, unless it is there.
///
/// # Errors
/// The index cannot be written.
pub async fn prepare(store: &Store) -> Result<(), StoreError> {
    match store.change(|change| buckets::create(change, BUCKET, "")).await {
        Err(StoreError::BucketExists) => Ok(()),
        made => made,
    }
}

/// Removes all that shadows whose names begin so wrote. Says how many objects that were.
///
/// # Errors
/// The index cannot be read or written.
pub async fn clean(store: &Store, name: &str) -> Result<u64, StoreError> {
    let prefix = name.to_owned();
    let found = all(store, BUCKET, &prefix).await?;
    for some in found.chunks(BATCH) {
        let keys: Vec<String> = some.iter().map(|object| object.key.clone()).collect();
        store
            .change(move |change| {
                keys.iter()
                    .try_for_each(|key| objects::delete(change, BUCKET, key, |_| true, false))
            })
            .await?;
    }
    let discarded = store
        .change(move |change| {
            for upload in uploads::all(change.index, BUCKET, &prefix)? {
                uploads::discard(change, &upload.id)?;
            }
            Ok(())
        })
        .await;
    match discarded {
        Ok(()) | Err(StoreError::NoSuchBucket) => Ok(found.len() as u64),
        Err(error) => Err(error),
    }
}
