//! Shuffle data that could not be fetched, by cause.

use super::class::{Class, END, Found, THROWN, class, patch, words};
use super::context::Context;
use super::memory_settings::conf_patch;
use super::texts::{TextRule, ends};
use crate::facts::run::FailureKind;
use crate::text::short;
use stoke_diagnostics::{Evidence, Fix};
use stoke_model::units::people::counted;

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
    "the executor that has shuffle files could not read them, or they were deleted",
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
    |matched| {
        Some((
            format!("Shuffle data could not be fetched: {}", short(matched.line, 160)),
            words("find out why the executor that had it went or did not answer: its log and its pod's events"),
        ))
    },
)];

/// Words of blocks that cannot be decompressed or whose checksum does not fit.
const DAMAGED: &[&str] = &["corrupt", "Corrupt", "checksum", "FAILED_TO_UNCOMPRESS"];
/// Words of files that are not there.
const MISSING: &[&str] = &[
    "NoSuchFileException",
    "FileNotFoundException",
    "No such file",
    "Failed to open file",
];
/// Words of files that cannot be read.
const UNREADABLE: &[&str] = &[
    "NoSuchFileException",
    "FileNotFoundException",
    "No such file",
    "Failed to open file",
    "No space left",
    "Input/output error",
    "I/O error",
    "FileSegmentManagedBuffer",
];
/// Words of a driver that knows that the executor is gone.
const DEAD: &[&str] = &["ExecutorDeadException", "maintains the block data to fetch is dead"];
/// Words of connections that are not answered, or are ended.
const UNANSWERED: &[&str] = &[
    "timed out",
    "Timeout",
    "timeout",
    "Connection reset",
    "Connection refused",
    "Failed to connect",
    "Connection from",
    "ClosedChannel",
];

/// Why shuffle data could not be fetched.
enum Cause {
    Damaged,
    Unreadable,
    Gone,
    Unanswered,
    Unknown,
}

impl Cause {
    /// The finding of a cause: its class, what is said, what fixes it.
    fn explain(&self, from: &str, times: &str, stage: i32, text: &str) -> (&'static Class, String, Fix) {
        let missing = MISSING.iter().any(|word| text.contains(word));
        // What Spark found when it computed the checksum again where the data lies (`shuffle.checksum.Cause`).
        let (place, look) = match () {
            () if text.contains("DISK_ISSUE") => (", on disk by its checksum", "look at the disk of that node"),
            () if text.contains("NETWORK_ISSUE") => {
                (", on the way by its checksum", "look at the network between the nodes")
            }
            () => (
                "",
                "the message says whether disk or network did it where spark.shuffle.checksum.enabled is true (the default): look at the disk of the node it came from",
            ),
        };
        match self {
            Cause::Damaged => (
                &CORRUPT,
                format!("Shuffle data from {from} was damaged{place} ({times})"),
                words(look),
            ),
            Cause::Unreadable if missing => (
                &DISK,
                format!("Shuffle files of {from} are not there any more ({times})"),
                words(
                    "find out who deletes in spark.local.dir of that node: a cleaner of /tmp, a job that empties the volume, another pod on the same hostPath",
                ),
            ),
            Cause::Unreadable => (
                &DISK,
                format!("{from} could not read its shuffle files ({times})"),
                words("look at the disk of its node"),
            ),
            Cause::Gone => (
                &EXECUTOR_GONE,
                format!(
                    "Shuffle data was lost with {from} ({times}): stage {stage} waited for it to be computed again"
                ),
                patch(
                    "let executors hand over their shuffle data when they are asked to go",
                    conf_patch([
                        ("spark.decommission.enabled", "true".into()),
                        ("spark.storage.decommission.enabled", "true".into()),
                        ("spark.storage.decommission.shuffleBlocks.enabled", "true".into()),
                    ]),
                ),
            ),
            Cause::Unanswered => (
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
            ),
            Cause::Unknown => (
                &OTHER,
                format!("Shuffle data could not be fetched from {from} ({times})"),
                words("see that executor's log and its pod's events"),
            ),
        }
    }
}

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
            let times = counted(failure.count, "time");
            let cause = match () {
                () if has(DAMAGED) => Cause::Damaged,
                () if has(UNREADABLE) => Cause::Unreadable,
                () if gone || has(DEAD) => Cause::Gone,
                () if has(UNANSWERED) => Cause::Unanswered,
                () => Cause::Unknown,
            };
            let (class, cause, fix) = cause.explain(&from, &times, *id, &text);
            let ended = context.failed() && stage.failure.as_ref().is_some_and(|failure| failure.contains("abort"));
            out.push(Found::new(class, ended, cause, evidence, fix));
        }
    }
}
