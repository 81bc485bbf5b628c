//! Shuffle data that could not be fetched, by cause.

use super::class::{Class, END, Found, THROWN, class, patch, words};
use super::context::Context;
use super::memory_settings::conf_patch;
use super::texts::{TextRule, ends};
use crate::doctor::Evidence;
use crate::facts::run::FailureKind;
use crate::text::{count, short};

const CONFIGURATION: &str = "https://spark.apache.org/docs/latest/configuration.html#shuffle-behavior";

static EXECUTOR_GONE: Class = class(
    "fetch-failed-executor-lost",
    350,
    "shuffle data lies with the executor that wrote it: when that goes, its tasks are run again",
    "https://spark.apache.org/docs/latest/job-scheduling.html#graceful-decommission-of-executors",
    &[END, THROWN, &["fetch-failed"]],
);
static TIMEOUT: Class = class(
    "fetch-failed-timeout",
    540,
    "a fetch waits spark.network.timeout (120 s) and is tried spark.shuffle.io.maxRetries (3) times, spark.shuffle.io.retryWait (5 s) apart",
    CONFIGURATION,
    &[END, THROWN, &["fetch-failed"]],
);
static CORRUPT: Class = class(
    "fetch-failed-corrupt",
    550,
    "blocks that cannot be decompressed, or whose checksum does not fit, were damaged on disk or on the way",
    "spark.shuffle.checksum.enabled",
    &[END, THROWN, &["fetch-failed"]],
);
static DISK: Class = class(
    "fetch-failed-disk",
    545,
    "the executor that has shuffle files could not read them",
    CONFIGURATION,
    &[END, THROWN, &["fetch-failed"]],
);
static OTHER: Class = class(
    "fetch-failed",
    250,
    "a stage is run again when its input cannot be fetched, at most spark.stage.maxConsecutiveAttempts (4) times in a row",
    "spark.stage.maxConsecutiveAttempts",
    &[END, THROWN],
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 5] = [&EXECUTOR_GONE, &TIMEOUT, &CORRUPT, &DISK, &OTHER];

/// Its rules over texts; the event log tells more, see [`look`].
pub(super) const RULES: &[TextRule] = &[ends(
    &OTHER,
    &[
        &["FetchFailedException"],
        &["MetadataFetchFailedException"],
        &["FetchFailed("],
    ],
    |told| {
        Some((
            format!("Shuffle data could not be fetched: {}", short(told.line, 160)),
            words("find out why the executor that had it went or did not answer: its log and its pod's events"),
        ))
    },
)];

/// Fetch failures of the event log. What was fetched at the second try cost a stage's time: a warning.
pub(super) fn look(context: &Context<'_>, out: &mut Vec<Found>) {
    let Some(run) = context.run() else { return };
    for ((id, attempt), stage) in &run.stages {
        for failure in &stage.failures {
            let FailureKind::Fetch { executor, host, .. } = &failure.kind else {
                continue;
            };
            let from = match (executor, host) {
                (Some(executor), Some(host)) => format!("executor {executor} on {host}"),
                (Some(executor), None) => format!("executor {executor}"),
                _ => "an executor that is gone".to_owned(),
            };
            let text = format!("{}\n{}", failure.message, failure.stack);
            let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
            let gone = executor.as_ref().is_none_or(|id| {
                let removed = run
                    .executors
                    .iter()
                    .any(|known| &known.id == id && known.removed.is_some());
                removed || context.losses.iter().any(|loss| &loss.executor == id)
            });
            let evidence = Evidence::new(
                format!("task {} of stage {id} (attempt {attempt})", failure.first.0),
                short(failure.message.lines().next().unwrap_or_default(), 300),
            );
            let times = count(usize::try_from(failure.count).unwrap_or(usize::MAX), "time");
            let (class, cause, fix) = if has(&[
                "corrupt",
                "Corrupt",
                "checksum",
                "Stream is corrupted",
                "FAILED_TO_UNCOMPRESS",
            ]) {
                (
                    &CORRUPT,
                    format!("Shuffle data from {from} was damaged ({times})"),
                    words(
                        "the message says whether disk or network did it where spark.shuffle.checksum.enabled is true (the default): look at the disk of the node it came from",
                    ),
                )
            } else if has(&["No space left", "Input/output error", "I/O error"]) {
                (
                    &DISK,
                    format!("{from} could not read its shuffle files ({times})"),
                    words("look at the disk of its node"),
                )
            } else if gone {
                (
                    &EXECUTOR_GONE,
                    format!(
                        "Shuffle data was lost with {from} ({times}): stage {id} waited for it to be computed again"
                    ),
                    patch(
                        "let executors hand over their shuffle data when they are asked to go",
                        conf_patch([
                            ("spark.decommission.enabled", "true".into()),
                            ("spark.storage.decommission.enabled", "true".into()),
                            ("spark.storage.decommission.shuffleBlocks.enabled", "true".into()),
                        ]),
                    ),
                )
            } else if has(&[
                "timed out",
                "Timeout",
                "timeout",
                "Connection reset",
                "Connection refused",
                "Failed to connect",
                "ClosedChannel",
            ]) {
                (
                    &TIMEOUT,
                    format!(
                        "{from} did not answer in time when its shuffle data was to be fetched ({times}): overloaded, or in garbage collection"
                    ),
                    patch(
                        "try longer; an executor that does not answer for minutes is better helped with more memory or fewer cores",
                        conf_patch([
                            ("spark.shuffle.io.maxRetries", "10".into()),
                            ("spark.shuffle.io.retryWait", "15s".into()),
                        ]),
                    ),
                )
            } else {
                (
                    &OTHER,
                    format!("Shuffle data could not be fetched from {from} ({times})"),
                    words("see that executor's log and its pod's events"),
                )
            };
            let ended = context.failed() && stage.failure.as_ref().is_some_and(|failure| failure.contains("abort"));
            out.push(Found::new(class, ended, cause, evidence, fix));
        }
    }
}
