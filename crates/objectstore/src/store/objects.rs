//! Objects: put, found, copied, deleted, each in one transaction of the index.

use rusqlite::{Connection, OptionalExtension};

use super::buckets;
use super::condition::Condition;
use super::contents::{self, Entry};
use super::error::StoreError;
use super::record::{Headers, Object, Record};
use super::writer::Change;

/// An object to be stored.
#[derive(Debug)]
pub struct NewObject {
    /// Bytes.
    pub size: u64,
    /// ETag without quotes.
    pub etag: String,
    /// The rest.
    pub record: Record,
}

/// The object of this key.
pub fn find(index: &Connection, bucket: i64, key: &str) -> Result<Option<Object>, StoreError> {
    let mut select = index
        .prepare_cached("SELECT size, modified, etag, content, record FROM objects WHERE bucket = ?1 AND key = ?2")?;
    let row = select
        .query_row((bucket, key.as_bytes()), |row| {
            let object = Object {
                size: row.get::<_, i64>(0)? as u64,
                modified: row.get(1)?,
                etag: row.get(2)?,
                content: row.get(3)?,
                record: Record::default(),
            };
            Ok((object, row.get::<_, String>(4)?))
        })
        .optional()?;
    let Some((object, record)) = row else { return Ok(None) };
    let record = serde_json::from_str(&record)?;
    Ok(Some(Object { record, ..object }))
}

/// The object of this key in the bucket of this name.
pub fn get(index: &Connection, bucket: &str, key: &str) -> Result<Object, StoreError> {
    let bucket = buckets::find(index, bucket)?;
    find(index, bucket.id, key)?.ok_or(StoreError::NoSuchKey)
}

/// Stores an object under a key whose content is there already, in place of what is there; what was there is released.
pub(super) fn replace(
    change: &Change<'_>,
    bucket: i64,
    key: &str,
    new: &NewObject,
    content: i64,
    existing: Option<&Object>,
) -> Result<(), StoreError> {
    if let Some(existing) = existing {
        contents::release(change, existing.content)?;
    }
    let mut insert = change.index.prepare_cached(
        "INSERT OR REPLACE INTO objects (bucket, key, size, modified, etag, content, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    insert.execute((
        bucket,
        key.as_bytes(),
        new.size as i64,
        change.now,
        &new.etag,
        content,
        serde_json::to_string(&new.record)?,
    ))?;
    Ok(())
}

/// Stores an object.
pub fn put(
    change: &Change<'_>,
    bucket: &str,
    key: &str,
    new: &NewObject,
    entry: Entry,
    condition: &Condition,
) -> Result<(), StoreError> {
    let bucket = buckets::find(change.index, bucket)?.id;
    let existing = find(change.index, bucket, key)?;
    condition.check(existing.as_ref())?;
    let content = contents::store(change, entry)?;
    replace(change, bucket, key, new, content, existing.as_ref())
}

/// What a copy is made of.
#[derive(Debug)]
pub struct Copy {
    /// Bucket and key of the source.
    pub source: (String, String),
    /// The content the source had when the client's conditions were checked; the copy is refused when it is another by now.
    pub expected: i64,
    /// Bucket and key of the copy.
    pub target: (String, String),
    /// New headers in place of the source's.
    pub headers: Option<Headers>,
    /// New tags in place of the source's.
    pub tags: Option<Vec<(String, String)>>,
    /// Checksums to add.
    pub checksums: super::record::Checksums,
    /// Condition on what is at the target.
    pub condition: Condition,
}

/// Copies an object: its bytes are shared, not copied. `None` when the source has changed since; the caller looks again.
pub fn copy(change: &Change<'_>, copy: Copy) -> Result<Option<Object>, StoreError> {
    let source = get(change.index, &copy.source.0, &copy.source.1)?;
    if source.content != copy.expected {
        return Ok(None);
    }
    if copy.source == copy.target && copy.headers.is_none() && copy.tags.is_none() {
        return Err(StoreError::CopyOntoItself);
    }
    let bucket = buckets::find(change.index, &copy.target.0)?.id;
    let existing = find(change.index, bucket, &copy.target.1)?;
    copy.condition.check(existing.as_ref())?;
    let extents = contents::extents(change.index, source.content)?;
    let content = contents::share(change, &extents)?;
    let mut record = source.record;
    record.upload = None;
    record.headers = copy.headers.unwrap_or(record.headers);
    record.tags = copy.tags.unwrap_or(record.tags);
    record.checksums.extend(copy.checksums);
    let new = NewObject {
        size: source.size,
        etag: source.etag,
        record,
    };
    replace(change, bucket, &copy.target.1, &new, content, existing.as_ref())?;
    Ok(Some(Object {
        size: new.size,
        modified: change.now,
        etag: new.etag,
        content,
        record: new.record,
    }))
}

/// Removes an object. A key that is not there is no error, unless the condition asks for it.
pub fn delete(
    change: &Change<'_>,
    bucket: &str,
    key: &str,
    condition: impl FnOnce(&Object) -> bool,
    must_exist: bool,
) -> Result<(), StoreError> {
    let bucket = buckets::find(change.index, bucket)?.id;
    let Some(existing) = find(change.index, bucket, key)? else {
        return if must_exist { Err(StoreError::NoSuchKey) } else { Ok(()) };
    };
    if !condition(&existing) {
        return Err(StoreError::PreconditionFailed);
    }
    contents::release(change, existing.content)?;
    let mut delete = change
        .index
        .prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND key = ?2")?;
    delete.execute((bucket, key.as_bytes()))?;
    Ok(())
}

/// Replaces an object's tags; nothing else of it changes.
pub fn set_tags(change: &Change<'_>, bucket: &str, key: &str, tags: Vec<(String, String)>) -> Result<(), StoreError> {
    let bucket = buckets::find(change.index, bucket)?.id;
    let mut object = find(change.index, bucket, key)?.ok_or(StoreError::NoSuchKey)?;
    object.record.tags = tags;
    let mut update = change
        .index
        .prepare_cached("UPDATE objects SET record = ?3 WHERE bucket = ?1 AND key = ?2")?;
    update.execute((bucket, key.as_bytes(), serde_json::to_string(&object.record)?))?;
    Ok(())
}
