//! Metrics of a History Server, in the text format of Prometheus: whether it still sees its event logs, and which it saw of late.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::index::Index;
use crate::rest::Library;

/// Seconds for which a log has a series after its last change: as long as the operator has one of its run.
const TOLD: i64 = 24 * 3600;
/// Most logs that have a series, the newest.
const MOST: usize = 5000;

/// What came of looking at the place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Looks {
    /// When it was seen last, in milliseconds since 1970.
    pub last: Option<i64>,
    /// Looks that failed.
    pub failed: u64,
    /// Logs that could not be read at the last look.
    pub unreadable: usize,
}

/// What became of traces of runs: counted by whoever sends them.
#[derive(Debug, Default)]
pub struct Traces {
    sent: AtomicU64,
    refused: AtomicU64,
    waiting: AtomicU64,
}

impl Traces {
    /// A receiver took a trace, or refused it for good.
    pub fn done(&self, taken: bool) {
        let counter = if taken { &self.sent } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs that have ended and whose traces were not sent.
    pub fn waiting(&self, runs: usize) {
        self.waiting.store(runs as u64, Ordering::Relaxed);
    }
}

/// Every metric: name, kind, meaning.
pub const ALL: [(&str, &str, &str); 8] = [
    (
        "stoke_history_applications",
        "gauge",
        "Applications whose event log is known.",
    ),
    (
        "stoke_history_scan_timestamp_seconds",
        "gauge",
        "When the place with the event logs was seen last, in seconds since 1970.",
    ),
    (
        "stoke_history_scan_failures_total",
        "counter",
        "Looks at the place with the event logs that failed.",
    ),
    (
        "stoke_history_unreadable_logs",
        "gauge",
        "Event logs that could not be read when they were looked at last.",
    ),
    (
        "stoke_history_traces_sent_total",
        "counter",
        "Traces of runs that a receiver took.",
    ),
    (
        "stoke_history_traces_refused_total",
        "counter",
        "Traces of runs that a receiver refused for good.",
    ),
    (
        "stoke_history_traces_waiting",
        "gauge",
        "Runs that have ended and whose traces are to be sent.",
    ),
    (
        "stoke_history_log_modified_timestamp_seconds",
        "gauge",
        "When the event log of an application changed last, in seconds since 1970; for a day.",
    ),
];

/// The text for a server of this index.
pub fn text(index: &Index) -> String {
    let looks = index.looks();
    let listed = index.listed();
    let now = index.now() / 1000;
    let mut logs: Vec<(i64, &str)> = listed
        .iter()
        .filter_map(|one| Some((one.attempts.first()?.last_updated / 1000, one.id.as_str())))
        .filter(|(modified, _)| now - modified < TOLD)
        .collect();
    logs.sort_unstable_by(|a, b| b.cmp(a));
    logs.truncate(MOST);
    let mut out = String::new();
    for (name, kind, help) in ALL {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        let one = |value: i64| format!("{name} {value}\n");
        let whole = |value: usize| one(i64::try_from(value).unwrap_or(i64::MAX));
        let count = |value: &AtomicU64| format!("{name} {}\n", value.load(Ordering::Relaxed));
        out += &match name {
            "stoke_history_applications" => whole(listed.len()),
            "stoke_history_scan_timestamp_seconds" => looks.last.map(|at| one(at / 1000)).unwrap_or_default(),
            "stoke_history_scan_failures_total" => one(i64::try_from(looks.failed).unwrap_or(i64::MAX)),
            "stoke_history_unreadable_logs" => whole(looks.unreadable),
            "stoke_history_traces_sent_total" => count(&index.traces().sent),
            "stoke_history_traces_refused_total" => count(&index.traces().refused),
            "stoke_history_traces_waiting" => count(&index.traces().waiting),
            _ => logs
                .iter()
                .map(|(modified, id)| format!("{name}{{application_id=\"{}\"}} {modified}\n", escaped(id)))
                .collect(),
        };
    }
    out
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use stoke_eventlog::Source;

    use super::*;
    use crate::index::Settings;

    #[test]
    fn a_look_that_fails_is_counted_and_does_not_move_the_last_one() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        std::fs::create_dir(&logs).unwrap();
        let start =
            r#"{"Event":"SparkListenerApplicationStart","App Name":"pi","App ID":"spark-1","Timestamp":1,"User":"me"}"#;
        std::fs::write(logs.join("spark-1"), format!("{start}\n")).unwrap();
        let index = Index::new(Source::directory(&logs), Settings::default(), None);
        index.scan().unwrap();
        let said = text(&index);
        assert!(said.contains("stoke_history_applications 1\n"), "{said}");
        assert!(
            said.contains("stoke_history_log_modified_timestamp_seconds{application_id=\"spark-1\"} "),
            "{said}"
        );
        assert!(said.contains("stoke_history_scan_failures_total 0\n"), "{said}");
        std::fs::rename(&logs, directory.path().join("away")).unwrap();
        assert!(index.scan().is_err());
        let after = text(&index);
        assert!(after.contains("stoke_history_scan_failures_total 1\n"), "{after}");
        let last = |text: &str| {
            text.lines()
                .find(|line| line.starts_with("stoke_history_scan_timestamp_seconds"))
                .map(str::to_owned)
        };
        assert_eq!(last(&said), last(&after));
    }
}
