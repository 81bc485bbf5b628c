//! Each run of a place that ends, sent to a receiver.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stoke_history::index::Index;
use stoke_history::rest::Library;
use stoke_insight::trace;

use super::record::{Due, Fate, Record};
use super::{Receiver, Untaken};
use crate::gather;

/// The first pause after a receiver did not take a trace, or a log could not be read; each is twice the one before.
const PAUSE: Duration = Duration::from_secs(1);
/// It grows no further: a receiver that is back is found within this.
const LONGEST: Duration = Duration::from_secs(300);

/// Sends the trace of each run whose event log an index knows, once it has ended. It reads what others look at: someone must scan the index.
pub struct Follower {
    index: Arc<Index>,
    receiver: Receiver,
    /// File of the record; none forgets with the process.
    record: Option<PathBuf>,
    /// How often the index is asked.
    every: Duration,
}

/// Whether a round came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// All that was due is done with.
    Done,
    /// The receiver, or a log, is to be asked again.
    Again,
}

impl Follower {
    /// `record` is the file that remembers what was taken.
    #[must_use]
    pub fn new(index: Arc<Index>, receiver: Receiver, record: Option<PathBuf>, every: Duration) -> Self {
        Self {
            index,
            receiver,
            record,
            every,
        }
    }

    /// Name of the record of a receiver, below the directory of a place: another receiver begins with another one.
    #[must_use]
    pub fn file(directory: &Path, receiver: &Receiver) -> PathBuf {
        let name: String = receiver
            .url()
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
            .collect();
        directory.join("traces").join(name)
    }

    /// Goes on until it is dropped.
    pub async fn run(self) {
        let mut record = loop {
            match Record::open(self.record.as_deref(), &self.index.listed(), self.index.now()) {
                Ok(record) => break record,
                Err(error) => {
                    tracing::error!(%error, record = ?self.record, "traces are not sent: what was sent cannot be known");
                    tokio::time::sleep(LONGEST).await;
                }
            }
        };
        let mut pause = PAUSE;
        loop {
            let wait = match self.round(&mut record).await {
                Round::Done => {
                    pause = PAUSE;
                    self.every
                }
                Round::Again => {
                    let wait = pause;
                    pause = (pause * 2).min(LONGEST);
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends what is due, one run after the other.
    pub async fn round(&self, record: &mut Record) -> Round {
        let changed = |attempt: &_| self.index.log(attempt).map(|log| log.modified());
        let due = record.known().due(&self.index.listed(), self.index.now(), changed);
        self.index.traces().waiting(due.len());
        let mut round = Round::Done;
        for (done, one) in due.iter().enumerate() {
            match self.one(one).await {
                Ok(fate) => {
                    self.index.traces().done(fate != Fate::Refused);
                    self.index.traces().waiting(due.len() - done - 1);
                    if let Err(error) = record.note(one, fate) {
                        tracing::warn!(%error, run = one.key, "its trace is sent again after a restart");
                    }
                }
                // The next run has its own log, and may be read.
                Err(Wait::Log(why)) => {
                    tracing::warn!(why, run = one.key, "its trace is sent once its event log can be read");
                    round = Round::Again;
                }
                Err(Wait::Receiver(why)) => {
                    tracing::warn!(
                        why,
                        receiver = self.receiver.url(),
                        runs = due.len() - done,
                        "traces wait for their receiver"
                    );
                    return Round::Again;
                }
            }
        }
        round
    }

    async fn one(&self, due: &Due) -> Result<Fate, Wait> {
        let Some(log) = self.index.log(&due.attempt) else {
            return Err(Wait::Log("it is not there any more".to_owned()));
        };
        let run = gather::read(self.index.source().clone(), log).await;
        let run = run.map_err(|error| Wait::Log(error.to_string()))?;
        let trace = trace::of(&run, None);
        drop(run);
        match self.receiver.send(&trace, |_, _| {}).await {
            Ok(taken) => {
                let (said, rejected) = (taken.said.join("; "), taken.rejected);
                match rejected {
                    0 => tracing::info!(
                        run = due.key,
                        trace_id = trace.id,
                        spans = taken.spans,
                        said,
                        "its trace is sent"
                    ),
                    _ => tracing::warn!(
                        run = due.key,
                        trace_id = trace.id,
                        spans = taken.spans,
                        rejected,
                        said,
                        "its trace has gaps"
                    ),
                }
                Ok(due.fate)
            }
            Err(Untaken::Refused(why)) => {
                tracing::warn!(run = due.key, trace_id = trace.id, why, "its trace is refused for good");
                Ok(Fate::Refused)
            }
            Err(Untaken::Later(why)) => Err(Wait::Receiver(why)),
        }
    }
}

/// Why a run is to be tried again.
enum Wait {
    Log(String),
    Receiver(String),
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Mutex;

    use serde_json::Value;
    use stoke_eventlog::Source;
    use stoke_history::index::Settings;

    use super::*;

    /// Answers with these statuses, one after the other, then 200; keeps what it took.
    fn receiver(statuses: &'static [&'static str]) -> (String, Arc<Mutex<Vec<Value>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = taken.clone();
        std::thread::spawn(move || {
            let mut statuses = statuses.iter();
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(&stream);
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                        break;
                    }
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                let _ = reader.read_exact(&mut body);
                let status = statuses.next().unwrap_or(&"200 OK");
                if *status == "200 OK" {
                    kept.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                }
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
                let _ = (&stream).write_all(answer.as_bytes());
            }
        });
        (address, taken)
    }

    /// A place with the log of a run that failed.
    fn place() -> (tempfile::TempDir, Arc<Index>) {
        let directory = tempfile::tempdir().unwrap();
        let log = concat!(env!("CARGO_MANIFEST_DIR"), "/../insight/tests/pairs/fail.zstd");
        std::fs::copy(log, directory.path().join("local-1795322024804.zstd")).unwrap();
        let index = Arc::new(Index::new(
            Source::directory(directory.path()),
            Settings::default(),
            None,
        ));
        index.scan().unwrap();
        (directory, index)
    }

    fn spans(taken: &Mutex<Vec<Value>>) -> usize {
        let taken = taken.lock().unwrap();
        let of = |body: &Value| {
            body["resourceSpans"][0]["scopeSpans"][0]["spans"]
                .as_array()
                .map_or(0, Vec::len)
        };
        taken.iter().map(of).sum()
    }

    #[tokio::test]
    async fn a_run_is_sent_once_however_often_the_follower_starts() {
        let (_directory, index) = place();
        let (address, taken) = receiver(&["503 Service Unavailable"]);
        let receiver = Receiver::new(&address, "").unwrap();
        let kept = tempfile::tempdir().unwrap();
        let file = Follower::file(kept.path(), &receiver);
        let follower = Follower::new(index.clone(), receiver, Some(file.clone()), PAUSE);
        let mut record = Record::open(Some(&file), &[], 0).unwrap();
        assert_eq!(follower.round(&mut record).await, Round::Done);
        assert_eq!(spans(&taken), 26, "the spans of docs/reference/trace.md");
        assert_eq!(follower.round(&mut record).await, Round::Done);
        let mut after = Record::open(Some(&file), &index.listed(), 0).unwrap();
        assert_eq!(follower.round(&mut after).await, Round::Done);
        assert_eq!(spans(&taken), 26);
        let said = stoke_history::metrics::text(&index);
        assert!(said.contains("stoke_history_traces_sent_total 1\n"), "{said}");
        assert!(said.contains("stoke_history_traces_waiting 0\n"), "{said}");
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_not_sent_again() {
        let (_directory, index) = place();
        let (address, taken) = receiver(&["400 Bad Request"]);
        let follower = Follower::new(index.clone(), Receiver::new(&address, "").unwrap(), None, PAUSE);
        let mut record = Record::open(None, &[], 0).unwrap();
        assert_eq!(follower.round(&mut record).await, Round::Done);
        assert_eq!(follower.round(&mut record).await, Round::Done);
        assert_eq!(spans(&taken), 0);
        assert!(stoke_history::metrics::text(&index).contains("stoke_history_traces_refused_total 1\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_is_down_is_asked_again_and_loses_nothing() {
        let (_directory, index) = place();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let down = Receiver::new(&format!("http://{closed}"), "").unwrap();
        let mut record = Record::open(None, &[], 0).unwrap();
        let follower = Follower::new(index.clone(), down, None, PAUSE);
        assert_eq!(follower.round(&mut record).await, Round::Again);
        assert!(stoke_history::metrics::text(&index).contains("stoke_history_traces_waiting 1\n"));
        // Pauses are over at once until here; an answer takes real time.
        tokio::time::resume();
        let (address, taken) = receiver(&[]);
        let follower = Follower::new(index, Receiver::new(&address, "").unwrap(), None, PAUSE);
        assert_eq!(follower.round(&mut record).await, Round::Done);
        assert_eq!(spans(&taken), 26);
    }

    #[tokio::test]
    async fn a_run_from_before_is_left_alone() {
        let (_directory, index) = place();
        let (address, taken) = receiver(&[]);
        let follower = Follower::new(index.clone(), Receiver::new(&address, "").unwrap(), None, PAUSE);
        let end = index.listed()[0].attempts[0].end;
        let mut record = Record::open(None, &[], end + 1).unwrap();
        assert_eq!(follower.round(&mut record).await, Round::Done);
        assert_eq!(spans(&taken), 0);
    }
}
