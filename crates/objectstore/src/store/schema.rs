//! The index: its tables, how a connection to it is set up.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::error::StoreError;

/// Version of the layout. A newer one is refused.
const VERSION: i64 = 1;

/// - `objects`: one row per key, in the order of the key's bytes, which is the order of listings
/// - `contents`, `extents`: the bytes of an object or part are a list of ranges of blobs
/// - `blobs`: counted by the extents that name them; small ones lie in `data`, larger ones in a file of that number; `dead` since when
///   nothing names them, in milliseconds
/// - `uploads`, `parts`: multipart uploads that are neither completed nor aborted
const TABLES: &str = "
    CREATE TABLE buckets (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, region TEXT NOT NULL, tags TEXT);
    CREATE TABLE objects (
        bucket INTEGER NOT NULL, key BLOB NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL, etag TEXT NOT NULL,
        content INTEGER NOT NULL, record TEXT NOT NULL, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
    CREATE TABLE contents (id INTEGER PRIMARY KEY AUTOINCREMENT);
    CREATE TABLE extents (
        content INTEGER NOT NULL, place INTEGER NOT NULL, blob INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL,
        PRIMARY KEY (content, place)) WITHOUT ROWID;
    CREATE TABLE blobs (id INTEGER PRIMARY KEY, uses INTEGER NOT NULL, dead INTEGER, data BLOB);
    CREATE INDEX dead_blobs ON blobs (dead) WHERE dead IS NOT NULL;
    CREATE TABLE uploads (
        id TEXT PRIMARY KEY, bucket INTEGER NOT NULL, key BLOB NOT NULL, created INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX uploads_by_key ON uploads (bucket, key, id);
    CREATE TABLE parts (
        upload TEXT NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL, etag TEXT NOT NULL,
        content INTEGER NOT NULL, checksums TEXT NOT NULL, PRIMARY KEY (upload, number)) WITHOUT ROWID;
    CREATE TABLE openings (epoch INTEGER PRIMARY KEY AUTOINCREMENT);
";

/// Opens a connection. Readers and the writer are set up alike. With `sync` a commit is on the disk when it returns.
pub fn connect(path: &Path, sync: bool) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(20))?;
    connection.set_prepared_statement_cache_capacity(64);
    let synchronous = if sync { "FULL" } else { "OFF" };
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY;"
    ))?;
    Ok(connection)
}

/// Makes the tables if they are missing, and notes this opening. Returns its number.
pub fn open(connection: &mut Connection) -> Result<i64, StoreError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        VERSION => {}
        newer => {
            return Err(StoreError::Internal(format!(
                "the index has layout {newer}, this program knows up to {VERSION}: use the newer stoke that wrote it"
            )));
        }
    }
    transaction.execute("INSERT INTO openings DEFAULT VALUES", [])?;
    let epoch = transaction.last_insert_rowid();
    transaction.execute("DELETE FROM openings WHERE epoch < ?1", [epoch])?;
    transaction.commit()?;
    Ok(epoch)
}
