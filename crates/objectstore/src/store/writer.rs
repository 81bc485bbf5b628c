//! The one thread that writes the index: all changes that wait go into one transaction, one sync for all of them.
//!
//! A change that is refused leaves nothing of itself; its neighbours in the transaction stand. A transaction that cannot be committed fails
//! every change in it. Whoever asked is told after the commit, never before.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::blobs::NewBlob;
use super::error::StoreError;

/// Changes in one transaction at most.
const BATCH: usize = 256;

/// A change being made: the index inside its transaction.
pub struct Change<'c> {
    /// The connection, inside a savepoint.
    pub index: &'c Connection,
    /// Time of the change, milliseconds since 1970.
    pub now: i64,
}

/// A change that waits, with its type forgotten.
trait Job: Send {
    /// Makes the change; false when it refused.
    fn run(&mut self, change: &mut Change<'_>) -> bool;
    /// Tells whoever asked.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Typed<F, T> {
    work: Option<F>,
    /// A file the change refers to: kept when the change stands, removed when not.
    blob: Option<NewBlob>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Typed<F, T>
where
    F: FnOnce(&mut Change<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, change: &mut Change<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        let result = work(change);
        let good = result.is_ok();
        self.result = Some(result);
        good
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (self.result, committed) {
            (Some(Err(refused)), _) => Err(refused),
            (_, Err(failed)) => Err(failed),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Internal("the change was not made".into())),
        };
        if let (Ok(_), Some(blob)) = (&result, self.blob) {
            blob.keep();
        }
        // No one listens when the client has gone; the change stands all the same.
        let _ = self.reply.send(result);
    }
}

/// Where changes are sent.
pub struct Writer(
    Mutex<Option<Sender<Box<dyn Job>>>>,
    Mutex<Option<std::thread::JoinHandle<()>>>,
);

impl Writer {
    /// Starts the thread.
    pub fn start(connection: Connection) -> std::io::Result<Writer> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("object-store".into())
            .spawn(move || serve(&connection, &receiver))?;
        Ok(Writer(Mutex::new(Some(sender)), Mutex::new(Some(thread))))
    }

    /// Makes a change, together with a new file it refers to. The change is made to the end even when the caller is dropped.
    pub async fn change<T, F>(&self, blob: Option<NewBlob>, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Change<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Typed {
            work: Some(work),
            blob,
            result: None,
            reply,
        });
        let stopped = || StoreError::Internal("the object store is stopping".into());
        {
            let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let sender = sender.as_ref().ok_or_else(stopped)?;
            sender.send(job).map_err(|_| stopped())?;
        }
        answer.await.map_err(|_| stopped())?
    }

    /// Ends the thread once everything sent is written.
    pub fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.1.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

fn serve(connection: &Connection, receiver: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = receiver.recv() {
        let mut jobs = vec![first];
        while jobs.len() < BATCH
            && let Ok(next) = receiver.try_recv()
        {
            jobs.push(next);
        }
        let outcome = transact(connection, &mut jobs);
        if outcome.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        for job in jobs {
            job.finish(outcome.clone());
        }
    }
}

fn transact(connection: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    let run = |statement: &str| connection.prepare_cached(statement)?.execute([]).map(|_| ());
    run("BEGIN IMMEDIATE")?;
    let mut change = Change {
        index: connection,
        now: super::now(),
    };
    for job in jobs {
        run("SAVEPOINT change")?;
        if !job.run(&mut change) {
            if connection.is_autocommit() {
                // A full disk makes SQLite take the whole transaction back.
                return Err(StoreError::Full);
            }
            run("ROLLBACK TO change")?;
        }
        run("RELEASE change")?;
    }
    run("COMMIT")?;
    Ok(())
}
