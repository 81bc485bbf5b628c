//! The bytes of objects and parts: a content is a list of extents, an extent a range of a blob, a blob counted by its extents.
//!
//! So a copy, a part copied from another object and the completion of an upload move no bytes: they name the same blobs once more.

use rusqlite::Connection;

use super::blobs::NewBlob;
use super::error::StoreError;
use super::writer::Change;

/// New bytes.
#[derive(Debug)]
pub enum Piece {
    /// Few enough for the index itself.
    Inline(Vec<u8>),
    /// In a finished file.
    File(NewBlob, u64),
}

/// New bytes as the index takes them, without the file, which the writer guards.
#[derive(Debug)]
pub enum Entry {
    /// Bytes and the number for them.
    Inline(i64, Vec<u8>),
    /// Number and size of a file.
    File(i64, u64),
}

/// A range of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub blob: i64,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub length: u64,
}

/// A range of a blob, with its bytes if they lie in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// Which range.
    pub extent: Extent,
    /// All bytes of the blob, when it has no file.
    pub data: Option<Vec<u8>>,
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn new_content(index: &Connection) -> Result<i64, StoreError> {
    index
        .prepare_cached("INSERT INTO contents DEFAULT VALUES")?
        .execute([])?;
    Ok(index.last_insert_rowid())
}

/// Stores new bytes as a content.
pub fn store(change: &Change<'_>, entry: Entry) -> Result<i64, StoreError> {
    let index = change.index;
    let content = new_content(index)?;
    let mut insert = index.prepare_cached("INSERT INTO blobs (id, uses, data) VALUES (?1, 1, ?2)")?;
    let (blob, size) = match entry {
        Entry::Inline(_, data) if data.is_empty() => return Ok(content),
        Entry::Inline(id, data) => {
            let size = data.len() as u64;
            insert.execute((id, Some(data)))?;
            (id, size)
        }
        Entry::File(id, size) => {
            insert.execute((id, None::<Vec<u8>>))?;
            (id, size)
        }
    };
    append(
        index,
        content,
        0,
        &[Extent {
            blob,
            start: 0,
            length: size,
        }],
    )?;
    Ok(content)
}

fn append(index: &Connection, content: i64, first: usize, extents: &[Extent]) -> Result<(), StoreError> {
    let mut insert = index
        .prepare_cached("INSERT INTO extents (content, place, blob, start, length) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (place, extent) in (first..).zip(extents) {
        insert.execute((
            content,
            place as i64,
            extent.blob,
            number(extent.start),
            number(extent.length),
        ))?;
    }
    Ok(())
}

/// A new content of the same bytes as these ranges, one after the other.
pub fn share(change: &Change<'_>, extents: &[Extent]) -> Result<i64, StoreError> {
    let content = new_content(change.index)?;
    append(change.index, content, 0, extents)?;
    let mut count = change
        .index
        .prepare_cached("UPDATE blobs SET uses = uses + 1 WHERE id = ?1")?;
    for extent in extents {
        count.execute([extent.blob])?;
    }
    Ok(content)
}

/// One content of several, in this order. The several are gone.
pub fn join(change: &Change<'_>, contents: &[i64]) -> Result<i64, StoreError> {
    let joined = new_content(change.index)?;
    let mut place = 0;
    for content in contents {
        let extents = extents(change.index, *content)?;
        append(change.index, joined, place, &extents)?;
        place += extents.len();
        forget(change.index, *content)?;
    }
    Ok(joined)
}

fn forget(index: &Connection, content: i64) -> Result<(), StoreError> {
    index
        .prepare_cached("DELETE FROM extents WHERE content = ?1")?
        .execute([content])?;
    index
        .prepare_cached("DELETE FROM contents WHERE id = ?1")?
        .execute([content])?;
    Ok(())
}

/// Gives up a content. Bytes in the index go at once; files are marked and removed a while later, for readers that are in them.
pub fn release(change: &Change<'_>, content: i64) -> Result<(), StoreError> {
    let extents = extents(change.index, content)?;
    forget(change.index, content)?;
    let mut count = change
        .index
        .prepare_cached("UPDATE blobs SET uses = uses - 1 WHERE id = ?1")?;
    let mut drop = change
        .index
        .prepare_cached("DELETE FROM blobs WHERE id = ?1 AND uses <= 0 AND data IS NOT NULL")?;
    let mut mark = change
        .index
        .prepare_cached("UPDATE blobs SET dead = ?2 WHERE id = ?1 AND uses <= 0")?;
    for extent in extents {
        count.execute([extent.blob])?;
        drop.execute([extent.blob])?;
        mark.execute((extent.blob, change.now))?;
    }
    Ok(())
}

/// The ranges of a content, in order.
pub fn extents(index: &Connection, content: i64) -> Result<Vec<Extent>, StoreError> {
    let mut select =
        index.prepare_cached("SELECT blob, start, length FROM extents WHERE content = ?1 ORDER BY place")?;
    let rows = select.query_map([content], |row| {
        Ok(Extent {
            blob: row.get(0)?,
            start: row.get::<_, i64>(1)? as u64,
            length: row.get::<_, i64>(2)? as u64,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The part `range` of these extents.
pub fn cut(extents: &[Extent], range: std::ops::Range<u64>) -> Vec<Extent> {
    let mut before = 0;
    let mut cut = Vec::new();
    for extent in extents {
        let from = range.start.clamp(before, before + extent.length);
        let to = range.end.clamp(before, before + extent.length);
        if from < to {
            cut.push(Extent {
                blob: extent.blob,
                start: extent.start + (from - before),
                length: to - from,
            });
        }
        before += extent.length;
    }
    cut
}

/// Ranges of a content with the bytes that lie in the index.
pub fn load(index: &Connection, extents: Vec<Extent>) -> Result<Vec<Bytes>, StoreError> {
    let mut select = index.prepare_cached("SELECT data FROM blobs WHERE id = ?1")?;
    let mut loaded = Vec::with_capacity(extents.len());
    for extent in extents {
        let data = select.query_row([extent.blob], |row| row.get(0))?;
        loaded.push(Bytes { extent, data });
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_takes_exactly_the_bytes_of_the_range() {
        let at = |blob, start, length| Extent { blob, start, length };
        let all = [at(1, 0, 10), at(2, 5, 10), at(3, 0, 10)];
        let table = [
            (0..30, vec![at(1, 0, 10), at(2, 5, 10), at(3, 0, 10)]),
            (0..1, vec![at(1, 0, 1)]),
            (9..11, vec![at(1, 9, 1), at(2, 5, 1)]),
            (12..18, vec![at(2, 7, 6)]),
            (29..30, vec![at(3, 9, 1)]),
            (5..5, vec![]),
        ];
        for (range, expected) in table {
            assert_eq!(cut(&all, range.clone()), expected, "{range:?}");
        }
    }
}
