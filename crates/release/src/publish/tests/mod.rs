//! Publishing against tables and versions in a store in memory: what is refused, what is written, and commands that are cut off or overtaken.

mod interrupted;
mod refused;
mod tables;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use jiff::Timestamp;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::{Value, json};
use stoke_storage::Place;

use super::act::Command;
use super::iceberg::{Table, TableOperations};
use super::pointer::{Pointer, Versions};
use super::*;
use crate::ledger::data::Data;
use crate::ledger::keep::LedgerError;
use crate::ledger::{Event, History, Ledger};

/// Seconds that have passed.
static NOW: fn() -> Timestamp = || Timestamp::from_second(1_789_950_000).unwrap();

fn release(number: u64) -> Digest {
    Digest::of(&number.to_le_bytes())
}

/// A store with a ledger, a table and versions; the release 1 is in `prod`.
#[derive(Clone)]
struct World {
    store: Arc<dyn ObjectStore>,
    seconds: Arc<AtomicI64>,
}

impl World {
    async fn new(store: Arc<dyn ObjectStore>) -> Self {
        let world = Self {
            store,
            seconds: Arc::default(),
        };
        world.deploy(1).await;
        world
    }

    async fn in_memory() -> Self {
        Self::new(Arc::new(InMemory::new())).await
    }

    fn now(&self) -> Timestamp {
        let later = jiff::SignedDuration::from_secs(self.seconds.load(Ordering::Relaxed));
        NOW() + later
    }

    fn later(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    fn place(&self, below: &str) -> Place {
        Place::over(self.store.clone(), Path::from(below), format!("s3://lake/{below}"))
    }

    fn ledger(&self, by: &str) -> Ledger {
        Ledger::new(self.place("ledger"), by.to_owned())
    }

    async fn record(&self, event: Event) {
        let ledger = self.ledger("world");
        let written = ledger.record::<LedgerError>(None, |_| Ok(Some((event.clone(), self.now()))));
        written.await.unwrap();
    }

    async fn deploy(&self, number: u64) {
        let (release, environment) = (release(number), "prod".to_owned());
        self.record(Event::Created {
            release: release.clone(),
            name: "etl".into(),
        })
        .await;
        let until = self.now();
        let intended = Event::Intended {
            release: release.clone(),
            environment: environment.clone(),
            step: Step::Promote,
            replaces: None,
            until,
        };
        self.record(intended).await;
        let intent = self.entries().await.len() as u64;
        let deployed = Event::Deployed {
            release,
            environment,
            intent,
        };
        self.record(deployed).await;
    }

    async fn entries(&self) -> Vec<crate::ledger::Entry> {
        self.ledger("reader").read(None).await.unwrap()
    }

    async fn events(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.entries().await.iter().filter(|entry| wanted(&entry.event)).count()
    }

    async fn data(&self, name: &str) -> Data {
        History::of(&self.entries().await)
            .data("prod", name)
            .cloned()
            .unwrap_or_default()
    }

    // Tables.

    fn table(&self) -> Table<'static> {
        Table::new(
            TableOperations::Path(self.place("orders")),
            "lake.orders".into(),
            "stoke".into(),
            &NOW,
        )
    }

    async fn put_table(&self, number: u64, metadata: &Value) {
        let place = self.place("orders");
        let name = format!("metadata/v{number}.metadata.json");
        place.write(&name, metadata.to_string().into_bytes()).await.unwrap();
        let hint = number.to_string().into_bytes();
        place.write("metadata/version-hint.text", hint).await.unwrap();
    }

    /// Number and content of the newest metadata.
    async fn metadata(&self) -> (u64, Value) {
        let mut number = 0;
        let mut last = Value::Null;
        while let Some(bytes) = self
            .place("orders")
            .content(&format!("metadata/v{}.metadata.json", number + 1))
            .await
            .unwrap()
        {
            number += 1;
            last = serde_json::from_slice(&bytes).unwrap();
        }
        (number, last)
    }

    // Versions.

    fn versions(&self, wanted: Option<&str>) -> Versions<'static> {
        Versions::new(
            self.place("report"),
            "s3a://lake/report",
            wanted.map(str::to_owned),
            &NOW,
        )
    }

    async fn write(&self, path: &str, content: &str) {
        self.place("report")
            .write(path, content.as_bytes().to_vec())
            .await
            .unwrap();
    }

    async fn write_version(&self, name: &str) {
        self.write(&format!("{name}/part-0.csv"), &format!("id\n{name}\n"))
            .await;
        self.write(&format!("{name}/_SUCCESS"), "").await;
    }

    async fn pointer(&self) -> Option<Pointer> {
        self.versions(None).pointer().await.unwrap()
    }
}

/// Commands of one name.
fn key(data: &str) -> Key {
    Key {
        environment: "prod".into(),
        data: data.into(),
    }
}

async fn published(
    world: &World,
    by: &str,
    data: &str,
    wanted: Option<&str>,
    destination: &mut impl Destination,
    judge: &mut impl Auditor,
) -> Result<Ended, Stopped> {
    let ledger = world.ledger(by);
    let clock = || world.now();
    let command = Command {
        ledger: &ledger,
        known: None,
        clock: &clock,
        key: key(data),
    };
    publish(&command, wanted, destination, judge).await
}

async fn back(
    world: &World,
    data: &str,
    target: &Target,
    destination: &mut impl Destination,
) -> Result<Ended, Stopped> {
    let ledger = world.ledger("back");
    let clock = || world.now();
    let command = Command {
        ledger: &ledger,
        known: None,
        clock: &clock,
        key: key(data),
    };
    roll_back(&command, target, destination).await
}

/// An auditor that says what it is given, and counts.
struct Judge {
    verdict: Result<Verdict, ()>,
    asked: AtomicUsize,
}

impl Judge {
    fn passes() -> Self {
        Self::says(Ok(Verdict::Pass))
    }

    fn says(verdict: Result<Verdict, ()>) -> Self {
        Self {
            verdict,
            asked: AtomicUsize::new(0),
        }
    }
}

impl Auditor for Judge {
    fn contract(&self) -> Digest {
        Digest::of(b"contract")
    }

    async fn audit(&mut self, version: &str) -> Result<Audit, Diagnostic> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        match self.verdict {
            Ok(verdict) => Ok(Audit {
                verdict,
                evidence: Digest::of(version.as_bytes()),
                summary: "1 of 2 checks".into(),
            }),
            Err(()) => Err(unknown(
                "release-data-unread",
                "no file can be read".into(),
                "write Parquet",
            )),
        }
    }
}

fn codes(stopped: &Stopped) -> Vec<&str> {
    match stopped {
        Stopped::Refused(reasons) => reasons.iter().map(|reason| reason.code.as_ref()).collect(),
        Stopped::NotDone(why) => vec![why.code.as_ref()],
        Stopped::Ledger(error) => vec![error.code()],
    }
}

/// Metadata of a table: snapshots with their parents, and references.
fn table(snapshots: &[(i64, Option<i64>)], refs: &[(&str, i64)]) -> Value {
    let all: Vec<Value> = snapshots
        .iter()
        .map(|(id, parent)| {
            let mut one = json!({"snapshot-id": id, "timestamp-ms": 1, "summary": {"operation": "append"}, "manifest-list": format!("s3a://lake/orders/metadata/snap-{id}.avro")});
            if let Some(parent) = parent {
                one["parent-snapshot-id"] = json!(parent);
            }
            one
        })
        .collect();
    let named = |(name, id): &(&str, i64)| ((*name).to_owned(), json!({"snapshot-id": id, "type": "branch"}));
    let refs: serde_json::Map<String, Value> = refs.iter().map(named).collect();
    let current = refs.get("main").map_or(json!(-1), |main| main["snapshot-id"].clone());
    json!({
        "format-version": 2, "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1", "location": "s3a://lake/orders",
        "last-updated-ms": 5, "properties": {"write.wap.enabled": "true"}, "current-snapshot-id": current,
        "snapshots": all, "refs": refs, "snapshot-log": [], "metadata-log": [],
    })
}
