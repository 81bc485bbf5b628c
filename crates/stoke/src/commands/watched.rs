//! What pages watch beside a cluster: objectives by the event logs, alerts of an Alertmanager, records of runbooks and incidents of this machine.
//! Each is read again and again, and put where the pages look.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use stoke_eventlog::Source;
use stoke_laptop::gather::outcomes::{Reader, Wanted};
use stoke_laptop::home::Home;
use stoke_laptop::incident;
use stoke_laptop::runbook::journal;
use stoke_laptop::session::{Place, Session};
use stoke_observe::incident::alerts::{Alert, of_alertmanager};
use stoke_observe::incident::{Incident, review};
use stoke_observe::pack::firing;
use stoke_observe::slo::objective::{Kind, Objective};
use stoke_web::observed::{Board, Objectives, Reading, Story};

use super::incident::EMBEDDED;
use super::slo::judge;
use crate::failure::{Failure, Outcome};

/// How often each is read.
const ALERTS: Duration = Duration::from_secs(5);
const OBJECTIVES: Duration = Duration::from_secs(30);
const FILES: Duration = Duration::from_secs(3);
/// How often a cluster is asked about the time of incidents that are open.
const CLUSTER: Duration = Duration::from_secs(15);
/// How long an Alertmanager may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer of an Alertmanager that is read.
const MOST_BYTES: usize = 64 << 20;

/// What is to be watched.
#[derive(Default)]
pub struct Watching {
    pub board: Arc<Board>,
    objectives: Option<(Vec<Objective>, Reader)>,
    alertmanager: Option<String>,
    files: Option<Home>,
    session: Option<Session>,
}

impl Watching {
    /// Judges objectives by these event logs.
    pub fn objectives(&mut self, objectives: Vec<Objective>, logs: Source, wanted: Wanted) {
        let place = logs.place();
        self.objectives = Some((objectives, Reader::new(logs, wanted)));
        self.board.change(|now| now.objectives = Some(Reading::of(place)));
    }

    /// Asks the Alertmanager at this address.
    ///
    /// # Errors
    /// It is not an address that can be asked.
    pub fn alertmanager(&mut self, url: &str) -> Outcome<()> {
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::input("stoke::console::alertmanager", format!("--alertmanager {url}: {why}"))
                .fix("give the address of an Alertmanager, such as http://localhost:9093")
        };
        let parsed: http::Uri = url.parse().map_err(|error| wrong(&error))?;
        let is_web = matches!(parsed.scheme_str(), Some("http" | "https")) && parsed.query().is_none();
        if !is_web {
            return Err(wrong(&"that is not http://HOST:PORT"));
        }
        let base = url.trim_end_matches('/').to_owned();
        self.board.change(|now| now.alerts = Some(Reading::of(&base)));
        self.alertmanager = Some(base);
        Ok(())
    }

    /// Reads records of runbooks and incidents of this machine, and asks this cluster about the time of those that are open.
    pub fn files(&mut self, home: &Home, session: Option<Session>) {
        let place = home.root().display().to_string();
        self.board.change(|now| {
            now.records = Some(Reading::of(&place));
            now.incidents = Some(Reading::of(place));
        });
        self.files = Some(home.clone());
        self.session = session;
    }

    /// Reads until it is dropped. Ends when there is nothing to read.
    pub async fn run(self) {
        let Watching {
            board,
            objectives,
            alertmanager,
            files,
            session,
        } = self;
        let raw = tokio::sync::Mutex::new(Vec::new());
        let judging = async {
            if let Some((objectives, reader)) = objectives {
                keep_judging(&board, Arc::new(objectives), reader).await;
            }
        };
        let asking = async {
            if let Some(base) = alertmanager {
                keep_asking(&board, &base, &raw).await;
            }
        };
        let reading = async {
            if let Some(home) = files {
                keep_reading(&board, &home, session.as_ref(), &raw).await;
            }
        };
        futures::join!(judging, asking, reading);
    }
}

/// Reads, and does not end.
pub async fn watched(watching: Watching) {
    watching.run().await;
    std::future::pending().await
}

async fn keep_judging(board: &Board, objectives: Arc<Vec<Objective>>, mut reader: Reader) {
    loop {
        let all = Arc::clone(&objectives);
        let judged = tokio::task::spawn_blocking(move || {
            let now = Timestamp::now();
            let read = reader.read(now.as_millisecond()).map(|found| Objectives {
                statuses: judge(&all, &found.attempts, now.as_millisecond()),
                services: all.iter().filter(|one| matches!(one.kind, Kind::Service(_))).count(),
                notes: found.notes,
            });
            (read.map_err(|error| error.to_string()), now, reader)
        });
        match judged.await {
            Ok((read, at, back)) => {
                reader = back;
                board.change(|now| {
                    if let Some(reading) = &mut now.objectives {
                        reading.tell(read, at);
                    }
                });
            }
            Err(error) => {
                // The reader is gone with it.
                tracing::error!(%error, "objectives could not be judged");
                board.change(|now| {
                    if let Some(reading) = &mut now.objectives {
                        reading.tell(Err(format!("the reading ended: {error}")), Timestamp::now());
                    }
                });
                return;
            }
        }
        tokio::time::sleep(OBJECTIVES).await;
    }
}

async fn keep_asking(board: &Board, base: &str, raw: &tokio::sync::Mutex<Vec<Alert>>) {
    let url = format!("{base}/api/v2/alerts");
    loop {
        let answer = tokio::time::timeout(PATIENCE, stoke_storage::fetch(&url, MOST_BYTES)).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
        let read = answer.and_then(|bytes| {
            let answer: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
            let alerts = answer.as_array().map_or(&[][..], Vec::as_slice);
            let of_incidents = of_alertmanager(alerts).map_err(|number| format!("alert {number} is not an alert"))?;
            Ok((firing::read(&answer)?, of_incidents))
        });
        let at = Timestamp::now();
        let read = match read {
            Ok((alerts, of_incidents)) => {
                *raw.lock().await = of_incidents;
                Ok(alerts)
            }
            Err(why) => Err(format!("{url}: {why}")),
        };
        board.change(|now| {
            if let Some(reading) = &mut now.alerts {
                reading.tell(read, at);
            }
        });
        tokio::time::sleep(ALERTS).await;
    }
}

/// Names, sizes and times of the files that are read: what has not changed is not read again.
type Stamp = BTreeMap<std::path::PathBuf, (u64, Option<SystemTime>)>;

fn stamp(home: &Home) -> Stamp {
    let of = |directory: &Path| {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((entry.path(), (metadata.len(), metadata.modified().ok())))
            })
            .collect::<Stamp>()
    };
    let mut all = of(&journal::directory(home));
    all.extend(of(&incident::directory(home)));
    all
}

async fn keep_reading(board: &Board, home: &Home, session: Option<&Session>, raw: &tokio::sync::Mutex<Vec<Alert>>) {
    let mut before: Option<Stamp> = None;
    let mut asked = Instant::now();
    loop {
        let now = stamp(home);
        let changed = before.as_ref() != Some(&now);
        let is_open = board.seen().open().next().is_some();
        if changed || is_open && asked.elapsed() >= CLUSTER {
            asked = Instant::now();
            let at = Timestamp::now();
            let says = |error: stoke_laptop::LaptopError| error.diagnostic.message.clone();
            let records = journal::all(home).map_err(says);
            let alerts = raw.lock().await.clone();
            let incidents = stories(home, session, &alerts).await.map_err(says);
            board.change(|now| {
                if let Some(reading) = &mut now.records {
                    reading.tell(records, at);
                }
                if let Some(reading) = &mut now.incidents {
                    reading.tell(incidents, at);
                }
            });
            before = Some(now);
        }
        tokio::time::sleep(FILES).await;
    }
}

/// All incidents with what is known of their time. A cluster is asked about those that are open and of it; of others stands what was collected.
async fn stories(home: &Home, session: Option<&Session>, alerts: &[Alert]) -> stoke_laptop::Outcome<Vec<Story>> {
    let mut all = Vec::new();
    for incident in incident::all(home)? {
        let is_open = incident.closing().is_none();
        let asks = session.filter(|session| is_open && is_of(&incident, session));
        let alerts = if is_open { alerts.to_vec() } else { Vec::new() };
        let (items, notes) = incident::items(asks, home, &incident, alerts).await?;
        let records = incident::records(home, &incident)?;
        let review = review::draft(&incident, &items, &records);
        all.push(Story {
            incident,
            items,
            notes,
            review,
        });
    }
    Ok(all)
}

/// Whether an incident is of this cluster.
fn is_of(incident: &Incident, session: &Session) -> bool {
    let Some(opening) = incident.opening() else {
        return false;
    };
    match &session.place {
        Place::Context(name) => opening.cluster == name,
        // A runbook that opens an incident does not know the cluster's name.
        Place::Up | Place::Private(_) => opening.cluster == EMBEDDED || opening.cluster.contains(' '),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_asked_is_an_alertmanager() {
        for wrong in ["localhost:9093", "ftp://a", "", "http://a b", "http://a/?x=1"] {
            let failure = Watching::default().alertmanager(wrong).unwrap_err();
            assert_eq!(failure.diagnostic.code, "stoke::console::alertmanager", "{wrong}");
        }
        let mut watching = Watching::default();
        watching.alertmanager("http://127.0.0.1:9093/prefix/").unwrap();
        let seen = watching.board.seen();
        assert_eq!(
            seen.alerts.as_ref().map(|one| one.place.as_str()),
            Some("http://127.0.0.1:9093/prefix")
        );
    }

    #[tokio::test]
    async fn records_and_incidents_that_cannot_be_read_are_said() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::find(Some(directory.path().to_owned())).unwrap();
        std::fs::create_dir_all(directory.path().join("runbooks")).unwrap();
        std::fs::write(directory.path().join("runbooks/a.jsonl"), "nonsense\n").unwrap();
        let mut watching = Watching::default();
        watching.files(&home, None);
        let board = watching.board.clone();
        let _ = tokio::time::timeout(Duration::from_secs(1), watching.run()).await;
        let seen = board.seen();
        let trouble = seen.records.as_ref().and_then(|one| one.trouble.clone()).unwrap();
        assert!(trouble.contains("a.jsonl") && trouble.contains("line 1"), "{trouble}");
        assert_eq!(seen.incidents.as_ref().and_then(Reading::value).map(Vec::len), Some(0));
    }
}
