//! Table formats: writers that got in each other's way, tables that are not what they are read as.

use super::class::{Class, END, THROWN, class, words};
use super::texts::{Match, TextRule, ends};
use crate::text::{after, between, short};
use stoke_diagnostics::Fix;

static WRITE_CONFLICT: Class = class(
    "table-write-conflict",
    620,
    "a commit succeeds when no other writer changed what it read or rewrites since it began; the others must begin again",
    "https://docs.delta.io/latest/concurrency-control.html",
    &[END, THROWN, &["write-failed", "path-already-exists"]],
);
static NOT_THE_TABLE: Class = class(
    "table-format-wrong",
    482,
    "a directory is a table of a format when the format's metadata are in it (_delta_log, metadata)",
    "https://docs.delta.io/latest/delta-batch.html",
    &[END, THROWN, &["path-not-found", "sql-analysis-error"]],
);
static EXTENSION: Class = class(
    "table-extension-missing",
    615,
    "a table format's own statements need its session extension and its catalog, which are set before the session is made",
    "https://docs.delta.io/latest/delta-apidoc.html",
    &[END, THROWN, &["sql-analysis-error"]],
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 3] = [&WRITE_CONFLICT, &NOT_THE_TABLE, &EXTENSION];

/// Its rules over texts.
pub(super) const RULES: &[TextRule] = &[
    ends(
        &EXTENSION,
        &[
            &["DELTA_CONFIGURE_SPARK_SESSION_WITH_EXTENSION_AND_CATALOG"],
            &["requires the SparkSession to be configured with the DeltaSparkSessionExtension"],
            &["This Delta operation requires the SparkSession to be configured"],
        ],
        |_| {
            Some((
                "A statement of Delta Lake needs its session extension and catalog, which are not set".into(),
                super::class::patch(
                    "set both in spec.sparkConf (the session cannot change them)",
                    super::memory_settings::conf_patch([
                        ("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension".into()),
                        (
                            "spark.sql.catalog.spark_catalog",
                            "org.apache.spark.sql.delta.catalog.DeltaCatalog".into(),
                        ),
                    ]),
                ),
            ))
        },
    ),
    ends(
        &WRITE_CONFLICT,
        &[
            &["ConcurrentAppendException"],
            &["ConcurrentDeleteReadException"],
            &["ConcurrentDeleteDeleteException"],
            &["ConcurrentTransactionException"],
            &["ConcurrentWriteException"],
            &["MetadataChangedException"],
            &["ProtocolChangedException"],
            &["DELTA_CONCURRENT_"],
            &["DELTA_METADATA_CHANGED"],
            &["org.apache.iceberg.exceptions.CommitFailedException"],
            &["Found conflicting files that can contain"],
            &["Found conflicting deleted files"],
            &["Missing required files to delete"],
            &["HoodieWriteConflictException"],
        ],
        |matched| Some(conflict(matched)),
    ),
    ends(
        &NOT_THE_TABLE,
        &[
            &["is not a Delta table"],
            &["DELTA_TABLE_NOT_FOUND"],
            &["DELTA_MISSING_DELTA_TABLE"],
            &[
                "You are trying to read from",
                "using Delta",
                "but there is no transaction log",
            ],
        ],
        |matched| {
            Some((
                format!(
                    "What is read as a Delta table is none: {}",
                    short(message(matched.line), 200)
                ),
                words(
                    "correct the path (the table's root, not a partition below it), read it in the format it has, or convert it once: CONVERT TO DELTA parquet.`path`",
                ),
            ))
        },
    ),
];

fn conflict(matched: &Match<'_>) -> (String, Fix) {
    let text = &matched.block.text;
    let format = match text {
        text if text.contains("iceberg") => "Iceberg",
        text if text.contains("Hoodie") => "Hudi",
        _ => "Delta",
    };
    let by = between(text, "Conflicting commit: ", "\n").and_then(|commit| between(commit, "\"operation\":\"", "\""));
    let by = by.map(|operation| format!(", by {operation}")).unwrap_or_default();
    (
        format!(
            "Another writer changed the {format} table at the same time{by}: {}",
            short(message(matched.line), 200)
        ),
        words(match format {
            "Iceberg" => {
                "start the statement again, after the other writer; let one application write a table at a time (concurrencyPolicy: Forbid), give each writer partitions of its own, and for appends raise commit.retry.num-retries of the table"
            }
            "Hudi" => {
                "start the statement again, after the other writer; let one application write a table at a time (concurrencyPolicy: Forbid), or configure a lock provider"
            }
            _ => {
                "start the statement again, after the other writer; let one application write a table at a time (concurrencyPolicy: Forbid), or give each writer partitions of its own and name them in its condition"
            }
        }),
    )
}

/// What an exception says, without its class.
fn message(line: &str) -> &str {
    after(line, "Exception: ").unwrap_or(line)
}
