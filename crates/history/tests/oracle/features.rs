//! What the logs must show, so that a comparison of them says something.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use memchr::memmem;
use stoke_eventlog::Source;

/// Each feature, and what its lines have in them.
const FEATURES: [(&str, &str); 30] = [
    ("barrier stages", "\"Barrier\":true"),
    ("fetch failures", "\"Reason\":\"FetchFailed\""),
    ("a stage tried again", "\"Stage Attempt ID\":1,"),
    (
        "an executor avoided by a stage",
        "SparkListenerExecutorExcludedForStage\"",
    ),
    ("an executor avoided", "SparkListenerExecutorExcluded\""),
    ("an executor no longer avoided", "SparkListenerExecutorUnexcluded\""),
    ("executors lost", "\"Reason\":\"ExecutorLostFailure\""),
    ("executors removed", "\"Event\":\"SparkListenerExecutorRemoved\""),
    ("executors removed because they were idle", "idle"),
    (
        "resource profiles",
        "\"Event\":\"SparkListenerResourceProfileAdded\",\"Resource Profile Id\":1",
    ),
    ("GPUs", "\"Resource Name\":\"gpu\""),
    ("peaks of executors", "\"Event\":\"SparkListenerStageExecutorMetrics\""),
    ("structured streaming", "StreamingQueryListener$QueryProgressEvent"),
    (
        "streaming queries that fail",
        "StreamingQueryListener$QueryTerminatedEvent",
    ),
    ("DStreams", "\"App Name\":\"dstreams\""),
    ("cached blocks", "\"Block ID\":\"rdd_"),
    ("RDDs no longer cached", "\"Event\":\"SparkListenerUnpersistRDD\""),
    ("two attempts", "\"App Attempt ID\":\"2\""),
    ("second copies of tasks", "\"Speculative\":true"),
    ("killed tasks", "\"Reason\":\"TaskKilled\""),
    ("failed tasks", "\"Reason\":\"ExceptionFailure\""),
    ("failed jobs", "\"Result\":\"JobFailed\""),
    ("plans that change", "SparkListenerSQLAdaptiveExecutionUpdate"),
    ("metrics of the driver", "SparkListenerDriverAccumUpdates"),
    ("accumulators of the user's", "\"Internal\":false"),
    ("names beyond ASCII", "größe 東京 🚀"),
    ("names of columns beyond ASCII", "näme"),
    (
        "local properties beyond ASCII",
        "Beschreibung: ohne adaptive Ausführung",
    ),
    ("pools", "schnell"),
    ("job groups", "gruppe-1"),
];

/// What none of the logs shows.
pub fn missing(logs: &Path) -> Result<Vec<String>, String> {
    let source = Source::directory(logs);
    let mut missing: BTreeSet<&str> = FEATURES.iter().map(|(name, _)| *name).collect();
    let mut kinds = BTreeSet::from(["zstd", "lz4", "snappy", "lzf", "rolling in two files"]);
    for log in source.logs().map_err(|error| error.to_string())? {
        if log.rolling && log.parts.len() > 1 {
            kinds.remove("rolling in two files");
        }
        for part in &log.parts {
            if let Some((_, kind)) = part.entry.path.rsplit_once('.') {
                kinds.remove(kind);
            }
            let mut text = Vec::new();
            let read = source.text(part, 0).map(|mut reader| reader.read_to_end(&mut text));
            read.map_err(|error| error.to_string())?
                .map_err(|error| error.to_string())?;
            for (name, sign) in FEATURES {
                if missing.contains(name) && memmem::find(&text, sign.as_bytes()).is_some() {
                    missing.remove(name);
                }
            }
        }
    }
    Ok(missing.into_iter().chain(kinds).map(str::to_owned).collect())
}
