//! A ledger in a directory or a bucket: one file for each entry, made once and never written again.

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use stoke_storage::{Place, StorageError};

use super::entry::{Broken, Entry, Event, Head, check_chain, head};
use super::history::History;

/// How many entries are read at once.
const AT_ONCE: usize = 32;
/// How often an entry is offered again when another writer was faster.
const AGAIN: usize = 20;

/// What can go wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the ledger at {place} is not whole: {broken}")]
    Broken { place: String, broken: Broken },
    #[error("others wrote to the ledger at {0} each time")]
    Busy(String),
    /// Another writer has this number.
    #[error("entry {0} is another writer's")]
    Taken(u64),
}

impl LedgerError {
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            LedgerError::Storage(error) => error.code(),
            LedgerError::Broken { .. } => "release-ledger-broken",
            LedgerError::Busy(_) | LedgerError::Taken(_) => "release-ledger-busy",
        }
    }
}

/// A ledger. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    place: Place,
    by: String,
}

impl Ledger {
    /// The ledger in a place, written to in the name of `by`, which must differ between processes.
    #[must_use]
    pub fn new(place: Place, by: String) -> Self {
        Self { place, by }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        self.place.url()
    }

    /// All entries.
    ///
    /// # Errors
    /// The store does not answer; the chain is not whole, or does not go through `known`.
    pub async fn read(&self, known: Option<&Head>) -> Result<Vec<Entry>, LedgerError> {
        let mut numbers: Vec<u64> = Vec::new();
        for entry in self.place.list("").await? {
            let number = entry.path.strip_suffix(".json").and_then(|digits| digits.parse().ok());
            numbers.extend(number.filter(|number| name(*number) == entry.path));
        }
        numbers.sort_unstable();
        // Each is a request; a ledger of years has thousands.
        let texts = futures::stream::iter(numbers).map(async |number| {
            let bytes = self.place.content(&name(number)).await?.unwrap_or_default();
            Ok::<_, StorageError>((number, bytes.to_vec()))
        });
        let texts: Vec<(u64, Vec<u8>)> = texts.buffered(AT_ONCE).try_collect().await?;
        check_chain(&texts, known).map_err(|broken| LedgerError::Broken {
            place: self.place.url().to_owned(),
            broken,
        })
    }

    /// Writes an entry after these. When another writer was faster, nothing is written.
    ///
    /// # Errors
    /// [`LedgerError::Taken`]: read and decide again. The store does not take it.
    pub async fn add(&self, entries: &mut Vec<Entry>, event: Event, now: Timestamp) -> Result<u64, LedgerError> {
        let end = head(entries);
        let entry = Entry {
            sequence: end.sequence + 1,
            previous: end.digest,
            time: entries.last().map_or(now, |last| last.time.max(now)),
            by: self.by.clone(),
            event,
        };
        let text = entry.text().into_bytes();
        // An answer that got lost: the entry that is there is this one.
        let mut is_ours = false;
        let written: Result<(), LedgerError> = self
            .place
            .update(&name(entry.sequence), |before| match before {
                Some(there) => {
                    is_ours = there.as_ref() == text.as_slice();
                    Err(LedgerError::Taken(entry.sequence))
                }
                None => Ok(text.clone()),
            })
            .await;
        match written {
            Err(LedgerError::Taken(_)) if is_ours => {}
            written => written?,
        }
        let sequence = entry.sequence;
        entries.push(entry);
        Ok(sequence)
    }

    /// Writes what `event` makes of the history as it is when it is written. It is asked again when another writer was faster; none: there is nothing to write.
    ///
    /// # Errors
    /// What `event` says; the store does not answer.
    pub async fn record<E: From<LedgerError>>(
        &self,
        known: Option<&Head>,
        mut event: impl FnMut(&History) -> Result<Option<(Event, Timestamp)>, E>,
    ) -> Result<Vec<Entry>, E> {
        for _ in 0..AGAIN {
            let mut entries = self.read(known).await?;
            let Some((event, now)) = event(&History::of(&entries))? else {
                return Ok(entries);
            };
            match self.add(&mut entries, event, now).await {
                Ok(_) => return Ok(entries),
                Err(LedgerError::Taken(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(LedgerError::Busy(self.place.url().to_owned()).into())
    }
}

fn name(sequence: u64) -> String {
    format!("{sequence:010}.json")
}
