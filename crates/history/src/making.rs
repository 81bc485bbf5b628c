//! How answers are made: a few at a time, and none of them waits in a thread for the log of another, for a long one, or for a client.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::io;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::index::{Index, lock};
use crate::json::Json;
use crate::later::{Later, Steps};
use crate::listing::Attempt;
use crate::model::View;
use crate::rest::{self, Answer, Failure, Library, Query, Write};
use crate::spool::{Aside, Full, Spool, Whole};
use crate::zipped::Zipping;

/// Bytes of compressed answers that wait for slow clients.
const PUT_ASIDE: u64 = 2 << 30;
/// Downloads of logs at a time: each of them compresses.
const DOWNLOADS: usize = 32;
/// Bytes of an answer after which it is a long one: those are made beside the others, which do not wait for them.
const LONG: usize = 256 << 10;
/// Questions with long answers that are remembered.
const REMEMBERED: usize = 4096;

/// What answers are made with.
#[derive(Debug)]
pub(crate) struct Making {
    index: Arc<Index>,
    spool: Arc<Spool>,
    /// Replays take all cores: one at a time.
    replays: Semaphore,
    /// Answers about an application that are made at a time.
    answers: Arc<Semaphore>,
    /// Answers that need no application, likewise.
    lists: Arc<Semaphore>,
    /// Long ones, likewise.
    long: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
    /// Pieces of answers that are read at a time.
    steps: Arc<Semaphore>,
    shared: Shared,
    known_long: KnownLong,
}

/// What is asked, below `/api/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) path: String,
    pub(crate) query: String,
}

/// An answer that is ready to be sent.
pub(crate) enum Made {
    Json(Whole),
    Logs { name: String, attempts: Vec<Attempt> },
}

/// The permit an answer is made with, for as long as it is kept.
enum Turn {
    Any(#[allow(dead_code)] OwnedSemaphorePermit),
    Long(#[allow(dead_code)] OwnedSemaphorePermit),
}

/// An answer that is longer than [`LONG`], where no long one may be made now.
#[derive(Debug, thiserror::Error)]
#[error("the answer is a long one")]
struct TooLong;

/// Long answers about applications that have ended, for as long as someone reads them: who asks the same gets the same.
#[derive(Debug, Default)]
struct Shared(Mutex<HashMap<Question, Known>>);

/// An answer, and what it was made of.
type Known = (Weak<Aside>, Weak<View>);

impl Shared {
    fn get(&self, asked: &Question, view: &Arc<View>) -> Option<Arc<Aside>> {
        let answers = lock(&self.0);
        let (aside, of) = answers.get(asked)?;
        of.upgrade().filter(|of| Arc::ptr_eq(of, view))?;
        aside.upgrade()
    }

    fn keep(&self, asked: &Question, view: &Arc<View>, aside: &Arc<Aside>) {
        let mut answers = lock(&self.0);
        answers.retain(|_, (aside, _)| aside.strong_count() > 0);
        answers.insert(asked.clone(), (Arc::downgrade(aside), Arc::downgrade(view)));
    }
}

/// Questions that have turned out to have long answers: they wait for a turn of a long one at once.
#[derive(Debug, Default)]
struct KnownLong(Mutex<HashSet<Question>>);

impl KnownLong {
    fn has(&self, asked: &Question) -> bool {
        lock(&self.0).contains(asked)
    }

    fn remember(&self, asked: &Question) {
        let mut known = lock(&self.0);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(asked.clone());
    }
}

impl Making {
    pub(crate) fn new(index: Arc<Index>) -> Making {
        let at_once = index.answers_at_once();
        let permits = |count| Arc::new(Semaphore::new(count));
        Making {
            spool: Arc::new(Spool::new(index.temporary(), PUT_ASIDE)),
            replays: Semaphore::new(1),
            answers: permits(at_once),
            lists: permits(at_once),
            long: permits(at_once),
            downloads: permits(DOWNLOADS),
            steps: permits(2 * at_once),
            shared: Shared::default(),
            known_long: KnownLong::default(),
            index,
        }
    }

    /// Makes an answer. What reads files and takes cores is done outside the threads that serve.
    pub(crate) async fn made(&self, asked: Question) -> Result<Made, Failure> {
        let attempt = rest::attempt_of(&*self.index, &asked.path);
        let (class, view) = match &attempt {
            Some(attempt) => (&self.answers, self.replayed(attempt).await?),
            None => (&self.lists, None),
        };
        // What an application that still runs shows changes with time.
        let ended = attempt.is_some_and(|attempt| attempt.completed);
        let view = view.filter(|_| ended);
        let known = || Some(Made::Json(Whole::Aside(self.shared.get(&asked, view.as_ref()?)?)));
        let first = match known() {
            Some(made) => return Ok(made),
            None if self.known_long.has(&asked) => None,
            None => {
                let turn = Turn::Any(permit(class).await?);
                self.made_once(&asked, turn).await?
            }
        };
        let made = match first {
            Some(made) => made,
            None => {
                self.known_long.remember(&asked);
                let turn = Turn::Long(permit(&self.long).await?);
                match known() {
                    Some(made) => return Ok(made),
                    None => self.made_once(&asked, turn).await?.ok_or_else(|| broken(&TooLong))?,
                }
            }
        };
        if let (Made::Json(Whole::Aside(aside)), Some(view)) = (&made, &view) {
            self.shared.keep(&asked, view, aside);
        }
        Ok(made)
    }

    /// The application of an attempt. Nothing when its log cannot be read: why is told by who answers.
    async fn replayed(&self, attempt: &Attempt) -> Result<Option<Arc<View>>, Failure> {
        if let Some(view) = self.index.at_hand(attempt) {
            return Ok(Some(view));
        }
        let _alone = self.replays.acquire().await.map_err(ended)?;
        let (index, attempt) = (self.index.clone(), attempt.clone());
        let replayed = tokio::task::spawn_blocking(move || index.view(&attempt));
        Ok(replayed.await.map_err(|error| broken(&error))?.ok().flatten())
    }

    /// Makes an answer; nothing when it is a long one and must wait for its turn.
    async fn made_once(&self, asked: &Question, turn: Turn) -> Result<Option<Made>, Failure> {
        let (index, spool, turns) = (self.index.clone(), self.spool.clone(), self.long.clone());
        let asking = Arc::new(());
        let (still_asked, asked) = (Arc::downgrade(&asking), asked.clone());
        let made = tokio::task::spawn_blocking(move || {
            match rest::answer(&*index, &asked.path, &Query::parse(&asked.query))? {
                Answer::Json(write) => Ok(taken(&spool, write, &still_asked, &turns, turn)?.map(Made::Json)),
                Answer::Logs { name, attempts } => Ok(Some(Made::Logs { name, attempts })),
            }
        });
        let made = made.await.map_err(|error| broken(&error))?;
        drop(asking);
        made
    }

    /// The body of an answer that was put aside.
    pub(crate) fn body(&self, aside: Arc<Aside>) -> Later<impl Steps + use<>> {
        Later::new(Reading { aside, next: 0 }, self.steps.clone())
    }

    /// The logs of attempts, zipped.
    pub(crate) async fn logs(&self, attempts: &[Attempt]) -> Result<Later<impl Steps + use<>>, Failure> {
        let permit = permit(&self.downloads).await?;
        let zipping = Zipping::new(self.index.clone(), attempts).holding(permit);
        Ok(Later::new(zipping, self.steps.clone()))
    }
}

async fn permit(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Failure> {
    of.clone().acquire_owned().await.map_err(ended)
}

fn ended(_: AcquireError) -> Failure {
    Failure::Unavailable("the server ends".to_owned())
}

fn broken(error: &dyn Display) -> Failure {
    Failure::Broken(error.to_string())
}

/// Writes an answer and puts it aside. Stops when no one asks for it any more, and with nothing when it turns out to be a long one and all
/// turns of long ones are taken.
fn taken(
    spool: &Spool,
    write: Write,
    asked: &Weak<()>,
    turns: &Arc<Semaphore>,
    mut turn: Turn,
) -> Result<Option<Whole>, Failure> {
    let mut taking = spool.take();
    let mut length = 0;
    let mut sink = |piece: Vec<u8>| {
        length += piece.len();
        if length > LONG && matches!(turn, Turn::Any(_)) {
            let long = turns.clone().try_acquire_owned();
            // Its other permit is free from now on.
            turn = Turn::Long(long.map_err(|_| io::Error::other(TooLong))?);
        }
        match asked.strong_count() {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            _ => taking.piece(piece),
        }
    };
    let mut json = Json::new(&mut sink);
    write(&mut json);
    let error = match json.finish() {
        Ok(()) => return Ok(Some(taking.whole())),
        Err(error) => error,
    };
    match error.get_ref() {
        Some(inner) if inner.is::<TooLong>() => Ok(None),
        Some(inner) if inner.is::<Full>() => Err(Failure::Unavailable(error.to_string())),
        _ => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                tracing::warn!(%error, "an answer could not be finished");
            }
            Err(broken(&error))
        }
    }
}

/// Reads an answer that was put aside.
struct Reading {
    aside: Arc<Aside>,
    next: usize,
}

impl Steps for Reading {
    fn step(&mut self) -> io::Result<Option<Bytes>> {
        self.next += 1;
        self.aside.piece(self.next - 1)
    }
}
