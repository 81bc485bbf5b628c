//! Multipart uploads: begun, parts put one by one, completed to an object or aborted. All of it survives a restart.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension};

use super::buckets;
use super::condition::Condition;
use super::contents::{self, Entry, Extent};
use super::error::StoreError;
use super::objects::{self, NewObject};
use super::record::{Checksums, Object, UploadRecord};
use super::writer::Change;

/// An upload that is neither completed nor aborted.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its name.
    pub id: String,
    /// Key of the object to be.
    pub key: String,
    /// When it was begun, milliseconds since 1970.
    pub created: i64,
    /// What it was begun with.
    pub record: UploadRecord,
}

#[derive(Clone, Debug)]
pub struct Part {
    /// Its number, 1 to 10,000.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// When it was put, milliseconds since 1970.
    pub modified: i64,
    /// ETag without quotes: the MD5 of its bytes.
    pub etag: String,
    /// Number of its content.
    pub content: i64,
    pub checksums: Checksums,
}

/// Begins an upload.
pub fn begin(change: &Change<'_>, bucket: &str, key: &str, id: &str, record: &UploadRecord) -> Result<(), StoreError> {
    let bucket = buckets::find(change.index, bucket)?.id;
    let mut insert = change
        .index
        .prepare_cached("INSERT INTO uploads (id, bucket, key, created, record) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    insert.execute((id, bucket, key.as_bytes(), change.now, serde_json::to_string(record)?))?;
    Ok(())
}

/// The upload of this name for this key.
pub fn find(index: &Connection, bucket: &str, key: &str, id: &str) -> Result<Upload, StoreError> {
    let bucket = buckets::find(index, bucket)?.id;
    let mut select =
        index.prepare_cached("SELECT created, record FROM uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3")?;
    let row: Option<(i64, String)> = select
        .query_row((id, bucket, key.as_bytes()), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (created, record) = row.ok_or(StoreError::NoSuchUpload)?;
    Ok(Upload {
        id: id.to_string(),
        key: key.to_string(),
        created,
        record: serde_json::from_str(&record)?,
    })
}

/// All uploads of a bucket whose key begins with `prefix`, by key, then by age.
pub fn all(index: &Connection, bucket: &str, prefix: &str) -> Result<Vec<Upload>, StoreError> {
    let bucket = buckets::find(index, bucket)?.id;
    let mut select = index.prepare_cached(
        "SELECT id, key, created, record FROM uploads WHERE bucket = ?1 AND key >= ?2 ORDER BY key, created, id",
    )?;
    let mut rows = select.query((bucket, prefix.as_bytes()))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let key = String::from_utf8_lossy(&row.get::<_, Vec<u8>>(1)?).into_owned();
        if !key.starts_with(prefix) {
            break;
        }
        found.push(Upload {
            id: row.get(0)?,
            key,
            created: row.get(2)?,
            record: serde_json::from_str(&row.get::<_, String>(3)?)?,
        });
    }
    Ok(found)
}

/// Parts of an upload, by number.
pub fn parts(index: &Connection, id: &str) -> Result<Vec<Part>, StoreError> {
    let mut select = index.prepare_cached(
        "SELECT number, size, modified, etag, content, checksums FROM parts WHERE upload = ?1 ORDER BY number",
    )?;
    let mut rows = select.query([id])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Part {
            number: row.get(0)?,
            size: row.get::<_, i64>(1)? as u64,
            modified: row.get(2)?,
            etag: row.get(3)?,
            content: row.get(4)?,
            checksums: serde_json::from_str(&row.get::<_, String>(5)?)?,
        });
    }
    Ok(found)
}

/// Which upload a part is for.
#[derive(Clone, Debug)]
pub struct PartKey {
    /// Name of the bucket.
    pub bucket: String,
    /// Key of the object to be.
    pub key: String,
    /// Name of the upload.
    pub upload: String,
    /// Number of the part.
    pub number: u32,
}

/// A part to be stored.
#[derive(Debug)]
pub struct NewPart {
    /// Bytes.
    pub size: u64,
    /// ETag without quotes.
    pub etag: String,
    pub checksums: Checksums,
}

/// Bytes of a part: new ones, or ranges of another object's that it shares.
#[derive(Debug)]
pub enum PartBytes {
    /// New bytes.
    New(Entry),
    /// Ranges of the source, which must still have this content.
    Shared {
        /// Bucket and key of the source.
        source: (String, String),
        /// Its content when the ranges were read.
        expected: i64,
        /// The ranges.
        extents: Vec<Extent>,
    },
}

/// Stores a part in place of one of the same number. False when the source of shared bytes has changed since; the caller looks again.
pub fn put_part(change: &Change<'_>, at: &PartKey, new: &NewPart, bytes: PartBytes) -> Result<bool, StoreError> {
    find(change.index, &at.bucket, &at.key, &at.upload)?;
    let mut select = change
        .index
        .prepare_cached("SELECT content FROM parts WHERE upload = ?1 AND number = ?2")?;
    let existing: Option<i64> = select.query_row((&at.upload, at.number), |row| row.get(0)).optional()?;
    let content = match bytes {
        PartBytes::New(entry) => contents::store(change, entry)?,
        PartBytes::Shared {
            source,
            expected,
            extents,
        } => {
            if objects::get(change.index, &source.0, &source.1)?.content != expected {
                return Ok(false);
            }
            contents::share(change, &extents)?
        }
    };
    if let Some(existing) = existing {
        contents::release(change, existing)?;
    }
    let mut insert = change.index.prepare_cached(
        "INSERT OR REPLACE INTO parts (upload, number, size, modified, etag, content, checksums) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    insert.execute((
        &at.upload,
        at.number,
        new.size as i64,
        change.now,
        &new.etag,
        content,
        serde_json::to_string(&new.checksums)?,
    ))?;
    Ok(true)
}

/// Makes the object of an upload. `assemble` decides from the upload and its parts which of them make the object, and what it is.
pub fn complete(
    change: &Change<'_>,
    (bucket, key, id): (&str, &str, &str),
    condition: &Condition,
    assemble: impl FnOnce(&Upload, &[Part]) -> Result<(NewObject, Vec<i64>), StoreError>,
) -> Result<Object, StoreError> {
    let bucket_id = buckets::find(change.index, bucket)?.id;
    let existing = objects::find(change.index, bucket_id, key)?;
    let upload = match find(change.index, bucket, key, id) {
        // The answer to an earlier completion may have been lost on its way.
        Err(StoreError::NoSuchUpload) => {
            let same = existing.filter(|object| object.record.upload.as_deref() == Some(id));
            return same.ok_or(StoreError::NoSuchUpload);
        }
        found => found?,
    };
    condition.check(existing.as_ref())?;
    let parts = parts(change.index, id)?;
    let (new, chosen) = assemble(&upload, &parts)?;
    let kept: HashSet<i64> = chosen.iter().copied().collect();
    for part in parts.iter().filter(|part| !kept.contains(&part.content)) {
        contents::release(change, part.content)?;
    }
    let content = contents::join(change, &chosen)?;
    objects::replace(change, bucket_id, key, &new, content, existing.as_ref())?;
    remove(change, id)?;
    Ok(Object {
        size: new.size,
        modified: change.now,
        etag: new.etag,
        content,
        record: new.record,
    })
}

fn remove(change: &Change<'_>, id: &str) -> Result<(), StoreError> {
    change
        .index
        .prepare_cached("DELETE FROM parts WHERE upload = ?1")?
        .execute([id])?;
    change
        .index
        .prepare_cached("DELETE FROM uploads WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Gives up an upload and its parts.
pub fn discard(change: &Change<'_>, id: &str) -> Result<(), StoreError> {
    for part in parts(change.index, id)? {
        contents::release(change, part.content)?;
    }
    remove(change, id)
}

/// Gives up uploads begun before `oldest`, milliseconds since 1970. Returns how many.
pub fn expire(change: &Change<'_>, oldest: i64) -> Result<usize, StoreError> {
    let mut select = change
        .index
        .prepare_cached("SELECT id FROM uploads WHERE created < ?1")?;
    let old: Vec<String> = select
        .query_map([oldest], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for id in &old {
        discard(change, id)?;
    }
    Ok(old.len())
}
