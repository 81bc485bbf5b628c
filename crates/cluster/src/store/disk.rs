//! The database file: one thread, one transaction for all writes that wait, readers told after the commit.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use super::{Batch, Key, Object, Shared, Write, WriteError, fields_of};

/// How the file's layout came about: each step brings a file from the version of its index to the next, in one transaction with the
/// version's mark. A step that was released is never changed; a new layout is a new step.
const STEPS: &[&str] = &["CREATE TABLE IF NOT EXISTS objects (
         resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
         revision INTEGER NOT NULL, json BLOB NOT NULL,
         PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
     CREATE TABLE IF NOT EXISTS revision (id INTEGER PRIMARY KEY CHECK (id = 1), last INTEGER NOT NULL);
     INSERT OR IGNORE INTO revision VALUES (1, 1);"];
/// Version of the file's layout. A newer file is refused, an older one migrated.
const SCHEMA_VERSION: i64 = STEPS.len() as i64;
/// Writes put in one transaction at most.
const BATCH: usize = 512;

/// Why the database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// SQLite's own complaint: not a database, locked, no space, no permission.
    #[error(
        "cannot open the cluster's database {path}: {cause}. Nothing was changed. If the file is damaged, put a snapshot back (stoke snapshot restore), or move the cluster's directory away to start again"
    )]
    Open {
        /// The file.
        path: String,
        /// SQLite's message.
        cause: String,
    },
    /// Written by a newer program.
    #[error(
        "the cluster's database {path} has layout {found}, this program knows up to {known}: use the newer stoke that wrote it"
    )]
    Newer {
        /// The file.
        path: String,
        /// Layout of the file.
        found: i64,
        /// Newest layout this program knows.
        known: i64,
    },
    /// No thread could be started.
    #[error("cannot start the database thread: {0}")]
    Thread(String),
}

pub(super) type Reply = oneshot::Sender<Result<Arc<Object>, WriteError>>;

enum Command {
    Write(Box<Write>, Reply),
    Close(oneshot::Sender<()>),
}

/// Where writes are sent.
pub(super) struct Handle(Mutex<Sender<Command>>);

impl Handle {
    pub(super) fn send(&self, write: Write, reply: Reply) -> Result<(), WriteError> {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sender
            .send(Command::Write(Box::new(write), reply))
            .map_err(|_| WriteError::Stopped)
    }

    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let sent = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(Command::Close(done));
        if sent.is_ok() {
            // An error means the thread has ended already, which is what was asked.
            let _ = closed.await;
        }
    }
}

/// Opens the file, brings its layout up to date and reads all objects and the last revision.
pub(super) fn open(path: &Path) -> Result<(Connection, Vec<Object>, u64), DiskError> {
    let complain = |cause: rusqlite::Error| DiskError::Open {
        path: path.display().to_string(),
        cause: cause.to_string(),
    };
    match std::fs::metadata(path) {
        // SQLite takes an empty file for a new database. Ours is never empty (see `create`): what was in this one is lost, and that is said.
        Ok(file) if file.len() == 0 => {
            return Err(DiskError::Open {
                path: path.display().to_string(),
                cause: "the file is empty: something has cut it".to_owned(),
            });
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(path)?,
        Err(error) => {
            return Err(DiskError::Open {
                path: path.display().to_string(),
                cause: error.to_string(),
            });
        }
    }
    let connection = Connection::open(path).map_err(complain)?;
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(complain)?;
    if found > SCHEMA_VERSION {
        return Err(DiskError::Newer {
            path: path.display().to_string(),
            found,
            known: SCHEMA_VERSION,
        });
    }
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        .map_err(complain)?;
    migrate(&connection, found).map_err(complain)?;
    let last: i64 = connection
        .query_row("SELECT last FROM revision", [], |row| row.get(0))
        .map_err(complain)?;
    let mut objects = Vec::new();
    {
        let mut all = connection
            .prepare("SELECT resource, namespace, name, revision, json FROM objects ORDER BY resource")
            .map_err(complain)?;
        let mut rows = all.query([]).map_err(complain)?;
        let mut resource: Arc<str> = Arc::from("");
        while let Some(row) = rows.next().map_err(complain)? {
            let name: String = row.get(0).map_err(complain)?;
            if *resource != *name {
                resource = name.into();
            }
            let namespace: String = row.get(1).map_err(complain)?;
            let name: String = row.get(2).map_err(complain)?;
            let revision: i64 = row.get(3).map_err(complain)?;
            let json: Vec<u8> = row.get(4).map_err(complain)?;
            let value = serde_json::from_slice(&json).map_err(|cause| DiskError::Open {
                path: path.display().to_string(),
                cause: format!("object {resource} {namespace}/{name} is not JSON: {cause}"),
            })?;
            objects.push(Object {
                key: Key {
                    resource: resource.clone(),
                    namespace: namespace.into(),
                    name: name.into(),
                },
                revision: revision.unsigned_abs(),
                fields: fields_of(&value),
                json: json.into(),
            });
        }
    }
    Ok((connection, objects, last.unsigned_abs()))
}

/// Brings a file from a layout to the newest.
fn migrate(connection: &Connection, from: i64) -> rusqlite::Result<()> {
    for (version, step) in (1..).zip(STEPS).skip(usize::try_from(from).unwrap_or_default()) {
        let step = format!("BEGIN IMMEDIATE; {step} PRAGMA user_version = {version}; COMMIT;");
        connection.execute_batch(&step)?;
    }
    Ok(())
}

/// Makes an empty database: under another name first, so that a file of the right name is always a whole one, whenever the program ends.
fn create(path: &Path) -> Result<(), DiskError> {
    let complain = |cause: String| DiskError::Open {
        path: path.display().to_string(),
        cause,
    };
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (fresh, log) = (beside(".new"), beside("-wal"));
    if log.exists() {
        // SQLite would read it into the new file.
        let cause = format!(
            "the file is gone, but not its log {}, which holds the last writes",
            log.display()
        );
        return Err(complain(cause));
    }
    let made = || -> rusqlite::Result<()> {
        let connection = Connection::open(&fresh)?;
        connection.execute_batch("PRAGMA synchronous = FULL;")?;
        migrate(&connection, 0)?;
        connection.close().map_err(|(_, cause)| cause)
    };
    let moved = || -> std::io::Result<()> {
        std::fs::rename(&fresh, path)?;
        match path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            Some(directory) => std::fs::File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    };
    // What a program left that ended here.
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(complain(error.to_string())),
        _ => {}
    }
    made().map_err(|cause| complain(cause.to_string()))?;
    moved().map_err(|cause| complain(cause.to_string()))
}

/// Looks whether a file is a whole database that this program can open; changes nothing.
pub fn check(path: &Path) -> Result<(), DiskError> {
    let complain = |cause: String| DiskError::Open {
        path: path.display().to_string(),
        cause,
    };
    let look = || -> rusqlite::Result<(i64, String)> {
        let connection = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let layout = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok((layout, verdict))
    };
    match look().map_err(|cause| complain(cause.to_string()))? {
        (found, _) if found > SCHEMA_VERSION => Err(DiskError::Newer {
            path: path.display().to_string(),
            found,
            known: SCHEMA_VERSION,
        }),
        (_, verdict) if verdict != "ok" => Err(complain(verdict)),
        _ => Ok(()),
    }
}

/// Starts the writing thread.
pub(super) fn spawn(connection: Connection, shared: Arc<Shared>) -> Result<Handle, DiskError> {
    let (sender, receiver) = channel();
    std::thread::Builder::new()
        .name("stoke-store".into())
        .spawn(move || run(connection, &receiver, &shared))
        .map_err(|cause| DiskError::Thread(cause.to_string()))?;
    Ok(Handle(Mutex::new(sender)))
}

fn run(mut connection: Connection, commands: &Receiver<Command>, shared: &Shared) {
    while let Ok(first) = commands.recv() {
        let mut closing = Vec::new();
        let mut batch = Batch::new(shared);
        let mut replies = Vec::new();
        let waiting = std::iter::once(first).chain(std::iter::from_fn(|| commands.try_recv().ok()));
        for command in waiting.take(BATCH) {
            match command {
                Command::Write(write, reply) => replies.push((reply, batch.apply(*write))),
                Command::Close(done) => closing.push(done),
            }
        }
        match commit(&mut connection, &batch) {
            Ok(()) => shared.publish(batch),
            Err(cause) => {
                let failed = WriteError::Disk(cause.to_string());
                for (_, answer) in replies.iter_mut().filter(|(_, answer)| answer.is_ok()) {
                    *answer = Err(failed.clone());
                }
            }
        }
        for (reply, answer) in replies {
            // A client that went away does not need its answer.
            let _ = reply.send(answer);
        }
        if !closing.is_empty() {
            drop(connection);
            for done in closing {
                let _ = done.send(());
            }
            return;
        }
    }
}

fn commit(connection: &mut Connection, batch: &Batch<'_>) -> rusqlite::Result<()> {
    if batch.events.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    {
        let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, ?5)")?;
        let mut remove =
            transaction.prepare_cached("DELETE FROM objects WHERE resource = ?1 AND namespace = ?2 AND name = ?3")?;
        for (key, object) in &batch.overlay {
            match object {
                Some(object) => put.execute(params![
                    &*key.resource,
                    &*key.namespace,
                    &*key.name,
                    object.revision.cast_signed(),
                    &object.json[..]
                ])?,
                None => remove.execute(params![&*key.resource, &*key.namespace, &*key.name])?,
            };
        }
        let mut last = transaction.prepare_cached("UPDATE revision SET last = ?1")?;
        last.execute(params![batch.revision.cast_signed()])?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::store::{State, WriteKind};

    #[tokio::test]
    async fn a_full_disk_refuses_writes_keeps_reading_and_recovers() {
        let directory = tempfile::tempdir().unwrap();
        let (connection, ..) = open(&directory.path().join("cluster.db")).unwrap();
        // The file may not grow beyond this: what SQLite says then is what it says of a full disk.
        connection.execute_batch("PRAGMA max_page_count = 30").unwrap();
        let state = State {
            revision: 1,
            ..State::default()
        };
        let shared = Arc::new(Shared::new(state));
        let handle = spawn(connection, shared.clone()).unwrap();
        let write = async |name: String, kind: WriteKind| {
            let mut value = json!({"metadata": {"name": name}, "data": "x".repeat(10_000)});
            let write = Write::new(Key::new(&"pods".into(), "default", &name), kind, &mut value);
            let (reply, answer) = oneshot::channel();
            handle.send(write, reply).unwrap();
            answer.await.unwrap()
        };
        let mut stored = Vec::new();
        let refused = loop {
            match write(format!("p{}", stored.len()), WriteKind::Create).await {
                Ok(object) => stored.push(object),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(&refused, WriteError::Disk(cause) if cause.contains("full")),
            "{refused}"
        );
        let count = || {
            shared
                .read()
                .tables
                .values()
                .map(|table| table.count(None))
                .sum::<usize>()
        };
        assert_eq!(count(), stored.len(), "what was refused is not seen");
        // Space comes back with what is deleted.
        for object in stored.iter().take(2) {
            let expected = object.revision;
            write(object.key.name.to_string(), WriteKind::Delete { expected })
                .await
                .unwrap();
        }
        write("after".into(), WriteKind::Create).await.unwrap();
        let seen = count();
        handle.close().await;
        let (_, objects, _) = open(&directory.path().join("cluster.db")).unwrap();
        assert_eq!(objects.len(), seen);
    }
}
