//! Buckets.

use rusqlite::{Connection, OptionalExtension};

use super::error::StoreError;
use super::writer::Change;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its number in the index.
    pub id: i64,
    pub name: String,
    /// When it was made, milliseconds since 1970.
    pub created: i64,
    /// The location constraint it was made with; empty for the default region.
    pub region: String,
    pub tags: Vec<(String, String)>,
}

const COLUMNS: &str = "id, name, created, region, tags";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Bucket, Option<String>)> {
    let bucket = Bucket {
        id: row.get(0)?,
        name: row.get(1)?,
        created: row.get(2)?,
        region: row.get(3)?,
        tags: Vec::new(),
    };
    Ok((bucket, row.get(4)?))
}

fn with_tags((bucket, tags): (Bucket, Option<String>)) -> Result<Bucket, StoreError> {
    let tags = tags.map_or(Ok(Vec::new()), |tags| serde_json::from_str(&tags))?;
    Ok(Bucket { tags, ..bucket })
}

/// The bucket of this name.
pub fn find(index: &Connection, name: &str) -> Result<Bucket, StoreError> {
    let mut select = index.prepare_cached(&format!("SELECT {COLUMNS} FROM buckets WHERE name = ?1"))?;
    let found = select.query_row([name], read).optional()?;
    with_tags(found.ok_or(StoreError::NoSuchBucket)?)
}

/// All buckets, by name.
pub fn all(index: &Connection) -> Result<Vec<Bucket>, StoreError> {
    let mut select = index.prepare_cached(&format!("SELECT {COLUMNS} FROM buckets ORDER BY name"))?;
    let rows: Vec<_> = select.query_map([], read)?.collect::<Result<_, _>>()?;
    rows.into_iter().map(with_tags).collect()
}

/// Makes a bucket.
pub fn create(change: &Change<'_>, name: &str, region: &str) -> Result<(), StoreError> {
    let mut insert = change
        .index
        .prepare_cached("INSERT OR IGNORE INTO buckets (name, created, region) VALUES (?1, ?2, ?3)")?;
    match insert.execute((name, change.now, region))? {
        0 => Err(StoreError::BucketExists),
        _ => Ok(()),
    }
}

/// Removes an empty bucket. Uploads not completed go with it.
pub fn delete(change: &Change<'_>, name: &str) -> Result<(), StoreError> {
    let bucket = find(change.index, name)?.id;
    let mut any = change
        .index
        .prepare_cached("SELECT 1 FROM objects WHERE bucket = ?1 LIMIT 1")?;
    if any.exists([bucket])? {
        return Err(StoreError::BucketNotEmpty);
    }
    let mut uploads = change
        .index
        .prepare_cached("SELECT id FROM uploads WHERE bucket = ?1")?;
    let uploads: Vec<String> = uploads
        .query_map([bucket], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for upload in uploads {
        super::uploads::discard(change, &upload)?;
    }
    change
        .index
        .prepare_cached("DELETE FROM buckets WHERE id = ?1")?
        .execute([bucket])?;
    Ok(())
}

/// Replaces a bucket's tags.
pub fn set_tags(change: &Change<'_>, name: &str, tags: &[(String, String)]) -> Result<(), StoreError> {
    let bucket = find(change.index, name)?.id;
    let tags = (!tags.is_empty()).then(|| serde_json::to_string(tags)).transpose()?;
    let mut update = change
        .index
        .prepare_cached("UPDATE buckets SET tags = ?2 WHERE id = ?1")?;
    update.execute((bucket, tags))?;
    Ok(())
}
