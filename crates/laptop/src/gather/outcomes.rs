//! How runs ended, for objectives: out of event logs, out of the objects of a cluster, or out of both.
//!
//! An event log knows when a driver began and ended, its cost and how busy its executors were; its exit code only since Spark 4.1. The cluster knows the
//! end of every attempt that its object still tells of, and of those that never had a driver. Attempts of both are put together by Spark's id.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use stoke_eventlog::event::Pairs;
use stoke_eventlog::glance::{Glance, glance_with_properties};
use stoke_eventlog::{Log, Options, Source, StorageError};
use stoke_insight::cost::{self, Prices};
use stoke_insight::doctor::performance::busy_share;
use stoke_insight::facts::collect;
use stoke_model::names;
use stoke_observe::slo::runs::{Attempt, Outcome};

use super::{objects, text};
use crate::error::{LaptopError, Outcome as Result_};
use crate::home::Home;
use crate::session::{self, Target};

/// A log without an end that was not written for so long is that of a driver that was killed.
const SILENT: i64 = 24 * 60 * 60 * 1000;
/// What a schedule adds to its name for a run: the time it was due, in nanoseconds.
const DUE_DIGITS: usize = 19;
const LABEL: &str = "spark.kubernetes.driver.label.";

/// What is to be read of event logs.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Whether cost and efficiency are needed, for which a log is read as a whole.
    pub details: bool,
    pub prices: Option<Prices>,
    /// Whether an end without an exit code counts as a success: Spark before 4.1 writes none.
    pub ended_is_success: bool,
}

/// Attempts, and what could not be read.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub attempts: Vec<Attempt>,
    pub notes: Vec<String>,
}

/// What is known of a log by its path, while its size and its time stay the same.
type Known = BTreeMap<String, (u64, i64, Attempt)>;

/// Reads a place of event logs again and again: logs that have not changed are not read a second time.
#[derive(Debug)]
pub struct Reader {
    source: Source,
    wanted: Wanted,
    known: Known,
}

impl Reader {
    pub fn new(source: Source, wanted: Wanted) -> Reader {
        Reader {
            source,
            wanted,
            known: Known::new(),
        }
    }

    /// The attempts of all logs. This blocks.
    ///
    /// # Errors
    /// When the place cannot be listed. A log that cannot be read is a note.
    pub fn read(&mut self, now: i64) -> Result<Found, StorageError> {
        let mut found = Found::default();
        let mut known = Known::new();
        for log in self.source.logs()? {
            let stamp = (log.size(), log.modified());
            let before = self
                .known
                .remove(&log.path)
                .filter(|(size, modified, _)| (*size, *modified) == stamp);
            // What was running may have been killed since.
            let attempt = match before.filter(|(_, _, attempt)| attempt.outcome != Outcome::Running) {
                Some((_, _, attempt)) => Ok(Some(attempt)),
                None => self.attempt(&log, now),
            };
            match attempt {
                Ok(Some(attempt)) => {
                    known.insert(log.path.clone(), (stamp.0, stamp.1, attempt.clone()));
                    found.attempts.push(attempt);
                }
                Ok(None) => found
                    .notes
                    .push(format!("{}: no application has started in it", log.path)),
                Err(why) => found.notes.push(format!("{}: {why}", log.path)),
            }
        }
        self.known = known;
        Ok(found)
    }

    fn attempt(&self, log: &Log, now: i64) -> Result<Option<Attempt>, String> {
        let (seen, properties) = glance_with_properties(&self.source, log).map_err(|error| error.to_string())?;
        let Some(mut attempt) = of_log(&seen, &properties, log, now, self.wanted.ended_is_success) else {
            return Ok(None);
        };
        if self.wanted.details && attempt.outcome != Outcome::Running {
            let run = collect::run(&self.source, log, Options::default()).map_err(|error| error.to_string())?;
            attempt.efficiency = busy_share(&run);
            if let Some(prices) = &self.wanted.prices {
                let bill = cost::of(&run, None, Some(prices)).map_err(|error| error.to_string())?;
                attempt.cost = Some(bill.total.cost.nanos() as f64 / 1e9);
            }
        }
        Ok(Some(attempt))
    }
}

/// What a look at a log tells of an attempt.
fn of_log(seen: &Glance, properties: &Pairs, log: &Log, now: i64, ended_is_success: bool) -> Option<Attempt> {
    let start = seen.start.as_ref()?;
    let labels: BTreeMap<String, String> = properties
        .0
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(LABEL)?.to_owned(), value.clone())))
        .collect();
    let outcome = match &seen.end {
        Some(end) => match end.exit_code {
            Some(0) => Outcome::Succeeded,
            Some(_) => Outcome::Failed,
            None if ended_is_success => Outcome::Succeeded,
            None => Outcome::Unknown,
        },
        None if now.saturating_sub(log.modified()) < SILENT => Outcome::Running,
        None => Outcome::Failed,
    };
    let application = labels.get(names::LABEL_APP_NAME).unwrap_or(&start.name);
    let schedule = labels.get(names::LABEL_SCHEDULED_APP_NAME).map(String::as_str);
    let ended = seen.end.as_ref().map(|end| end.time);
    let silent = (outcome == Outcome::Failed).then(|| log.modified());
    Some(Attempt {
        namespace: properties.get("spark.kubernetes.namespace").map(str::to_owned),
        id: start.id.clone().unwrap_or_else(|| log.path.clone()),
        start: start.time,
        end: ended.or(silent),
        outcome,
        ..named(application, schedule, labels.clone())
    })
}

/// An attempt of an application of this name: the run of a schedule has the time in its name.
fn named(application: &str, schedule: Option<&str>, labels: BTreeMap<String, String>) -> Attempt {
    let due = application.rsplit_once('-').and_then(|(job, digits)| {
        let due: i64 = digits.parse().ok().filter(|_| digits.len() == DUE_DIGITS)?;
        Some((job, due / 1_000_000))
    });
    let scheduled = due.is_some() || schedule.is_some();
    Attempt {
        job: schedule.or(due.map(|(job, _)| job)).unwrap_or(application).to_owned(),
        run: scheduled.then(|| application.to_owned()),
        namespace: None,
        labels,
        id: String::new(),
        due: due.map(|(_, due)| due),
        start: 0,
        end: None,
        outcome: Outcome::Unknown,
        cost: None,
        efficiency: None,
    }
}

/// What the objects of a cluster tell, of all namespaces or of one.
///
/// # Errors
/// When the cluster cannot be asked.
pub async fn of_cluster(target: &Target, home: &Home) -> Result_<Vec<Attempt>> {
    let session = session::open(home, target).await?;
    let path = match &target.namespace {
        Some(namespace) => format!("/apis/sparkoperator.k8s.io/v1beta2/namespaces/{namespace}/sparkapplications"),
        None => "/apis/sparkoperator.k8s.io/v1beta2/sparkapplications".to_owned(),
    };
    let applications = objects::list(&session, &path).await.map_err(LaptopError::from)?;
    Ok(applications.iter().filter_map(of_object).collect())
}

/// The last attempt of an application; none before its first submission.
fn of_object(object: &Value) -> Option<Attempt> {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let time = |value: &Value| {
        let moment: Timestamp = value.as_str()?.parse().ok()?;
        Some(moment.as_millisecond())
    };
    let outcome = match status["applicationState"]["state"].as_str()? {
        "COMPLETED" | "SUCCEEDING" => Outcome::Succeeded,
        "FAILED" | "FAILING" | "SUBMISSION_FAILED" => Outcome::Failed,
        "SUBMITTED" | "RUNNING" | "PENDING_RERUN" | "INVALIDATING" => Outcome::Running,
        "UNKNOWN" => Outcome::Unknown,
        _ => return None,
    };
    let labels: BTreeMap<String, String> = [&object["spec"]["driver"]["labels"], &metadata["labels"]]
        .into_iter()
        .filter_map(Value::as_object)
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    let schedule = labels.get(names::LABEL_SCHEDULED_APP_NAME).cloned();
    let begun = time(&status["lastSubmissionAttemptTime"]).or_else(|| time(&metadata["creationTimestamp"]))?;
    Some(Attempt {
        namespace: metadata["namespace"].as_str().map(str::to_owned),
        id: text(&status["sparkApplicationId"]),
        start: begun,
        end: time(&status["terminationTime"]).filter(|_| outcome != Outcome::Running),
        outcome,
        ..named(metadata["name"].as_str()?, schedule.as_deref(), labels)
    })
}

/// Attempts of both: the cluster knows better how one ended, the event log when.
#[must_use]
pub fn together(logs: Vec<Attempt>, cluster: Vec<Attempt>) -> Vec<Attempt> {
    let mut by_id: BTreeMap<String, Attempt> = BTreeMap::new();
    let mut alone = Vec::new();
    for attempt in cluster {
        match attempt.id.is_empty() {
            true => alone.push(attempt),
            false => drop(by_id.insert(attempt.id.clone(), attempt)),
        }
    }
    let mut all = Vec::with_capacity(logs.len() + alone.len());
    for mut log in logs {
        if let Some(object) = by_id.remove(&log.id) {
            if object.outcome != Outcome::Running || log.outcome == Outcome::Unknown {
                log.outcome = object.outcome;
            }
            log.end = log.end.or(object.end);
            log.namespace = log.namespace.or(object.namespace);
            (log.job, log.run) = (object.job, object.run);
            log.due = object.due.or(log.due);
            log.labels.extend(object.labels);
        }
        all.push(log);
    }
    all.extend(by_id.into_values());
    all.extend(alone);
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn log(name: &str, lines: &[&str]) -> (tempfile::TempDir, Reader) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(name), lines.join("\n")).unwrap();
        let reader = Reader::new(Source::directory(directory.path()), Wanted::default());
        (directory, reader)
    }

    const START: &str =
        r#"{"Event":"SparkListenerApplicationStart","App Name":"etl","App ID":"spark-1","Timestamp":1000,"User":"u"}"#;
    const ENVIRONMENT: &str = r#"{"Event":"SparkListenerEnvironmentUpdate","JVM Information":{},"Spark Properties":{"spark.kubernetes.namespace":"shop","spark.kubernetes.driver.label.team":"orders","spark.kubernetes.driver.label.sparkoperator.k8s.io/app-name":"orders-1793491200000000000"},"Hadoop Properties":{},"System Properties":{},"Classpath Entries":{}}"#;

    fn end(code: &str) -> String {
        format!(r#"{{"Event":"SparkListenerApplicationEnd","Timestamp":9000{code}}}"#)
    }

    #[test]
    fn logs_tell_the_schedule_the_labels_and_the_end() {
        let now = Timestamp::now().as_millisecond();
        for (code, outcome) in [
            (r#","ExitCode":0"#, Outcome::Succeeded),
            (r#","ExitCode":1"#, Outcome::Failed),
            ("", Outcome::Unknown),
        ] {
            let (_kept, mut reader) = log("spark-1", &[ENVIRONMENT, START, &end(code)]);
            for _ in 0..2 {
                let found = reader.read(now).unwrap();
                let [attempt] = &found.attempts[..] else {
                    panic!("{found:?}")
                };
                assert_eq!(
                    (attempt.job.as_str(), attempt.outcome, attempt.end),
                    ("orders", outcome, Some(9000))
                );
                assert_eq!(
                    (attempt.due, attempt.run.as_deref()),
                    (Some(1_793_491_200_000), Some("orders-1793491200000000000"))
                );
                assert_eq!(
                    (attempt.namespace.as_deref(), attempt.labels["team"].as_str()),
                    (Some("shop"), "orders")
                );
            }
        }
    }

    #[test]
    fn a_log_that_no_one_writes_any_more_is_of_a_killed_driver() {
        let (_kept, mut reader) = log("spark-1.inprogress", &[START]);
        let now = Timestamp::now().as_millisecond();
        assert_eq!(reader.read(now).unwrap().attempts[0].outcome, Outcome::Running);
        let killed = &reader.read(now + 2 * SILENT).unwrap().attempts[0];
        assert_eq!((killed.outcome, killed.job.as_str()), (Outcome::Failed, "etl"));
        assert!(killed.end.is_some());
    }

    fn object(name: &str, id: &str, state: &str) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "shop", "creationTimestamp": "2026-11-01T00:00:00Z", "labels": {"team": "a"}},
            "status": {"applicationState": {"state": state}, "sparkApplicationId": id, "lastSubmissionAttemptTime": "2026-11-01T00:00:10Z", "terminationTime": "2026-11-01T00:05:00Z"}
        })
    }

    #[test]
    fn objects_know_how_attempts_ended_and_which_never_began() {
        let cluster: Vec<Attempt> = [
            object("etl", "spark-1", "COMPLETED"),
            object("other", "", "SUBMISSION_FAILED"),
            object("new", "", ""),
        ]
        .iter()
        .filter_map(of_object)
        .collect();
        assert_eq!(cluster.len(), 2);
        let (_kept, mut reader) = log("spark-1", &[START, &end("")]);
        let logs = reader.read(0).unwrap().attempts;
        let all = together(logs, cluster);
        let told: Vec<_> = all
            .iter()
            .map(|one| (one.job.as_str(), one.outcome, one.start))
            .collect();
        assert_eq!(
            told,
            [
                ("etl", Outcome::Succeeded, 1000),
                ("other", Outcome::Failed, 1_793_491_210_000)
            ]
        );
        assert_eq!(all[0].namespace.as_deref(), Some("shop"));
    }
}
