//! Spark's own names of errors, `[CLASS.SUB_CLASS] message SQLSTATE: 00000`, and what each means here.
//!
//! `conditions.tsv` has a row for every error condition of Spark 3.5 to 4.3 (recorded from its jars in `tests/fixtures/conditions.txt`; a test fails
//! when one has no row); `decisions.tsv` says what a decision is: the finding, whether the patch is the one the message offers, and the fix. What a
//! newer Spark adds is decided by its SQLSTATE.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use super::blocks::Block;
use super::class::{Class, END, THROWN, class, patch, words};
use super::context::Context;
use super::memory_settings::conf_patch;
use super::texts::Match;
use super::{code, sql};
use crate::text::{after, between, short};
use stoke_diagnostics::Fix;

const ERRORS: &str = "https://spark.apache.org/docs/latest/sql-error-conditions.html";
const STREAMING: &str = "https://spark.apache.org/docs/latest/structured-streaming-programming-guide.html#recovering-from-failures-with-checkpointing";

pub(super) static FILE_UNREADABLE: Class = class(
    "file-unreadable",
    466,
    "a file that is there must be whole and of the format it is read as (FAILED_READ_FILE)",
    ERRORS,
    &[END, THROWN],
);
static FILE_SCHEMA: Class = class(
    "file-schema-mismatch",
    468,
    "columns of files must have the types they are read as; Parquet is not cast while it is read",
    ERRORS,
    &[END, THROWN, &["file-unreadable"]],
);
static STATE_INCOMPATIBLE: Class = class(
    "stream-state-incompatible",
    492,
    "the state of a streaming query keeps its schema and some settings for the life of its checkpoint",
    "https://spark.apache.org/docs/latest/structured-streaming-programming-guide.html#recovery-semantics-after-changes-in-a-streaming-query",
    &[END, THROWN],
);
static CHECKPOINT_DAMAGED: Class = class(
    "stream-checkpoint-damaged",
    491,
    "a streaming query goes on from its checkpoint: offsets, commits and state must be whole and of one query",
    STREAMING,
    &[END, THROWN, &["path-not-found"]],
);
static CONCURRENT: Class = class(
    "stream-concurrent",
    493,
    "a checkpoint belongs to one query that runs once at a time",
    STREAMING,
    &[END, THROWN, &["stream-checkpoint-damaged"]],
);
static STREAM_FAILED: Class = class(
    "stream-failed",
    190,
    "a streaming query ends with the first exception of a batch (STREAM_FAILED); the cause is below it",
    STREAMING,
    &[END, &["python-exception", "jvm-exception"]],
);
static WRITE_FAILED: Class = class(
    "write-failed",
    195,
    "a task or the driver could not write output, or could not move it to its place",
    ERRORS,
    &[END, &["python-exception", "jvm-exception"]],
);
pub(super) static EXTERNAL: Class = class(
    "external-system-error",
    232,
    "a database, catalog or other system that Spark asked refused or failed",
    ERRORS,
    &[END, &["python-exception", "jvm-exception"]],
);
static CONNECT: Class = class(
    "connect-failed",
    192,
    "a Spark Connect client works in a session of a server, and sends plans the server must know",
    "https://spark.apache.org/docs/latest/spark-connect-overview.html",
    &[END, &["python-exception", "jvm-exception"]],
);
static CANCELLED: Class = class(
    "job-cancelled",
    180,
    "jobs and operations end when someone cancels them",
    "https://spark.apache.org/docs/latest/job-scheduling.html",
    &[END, &["python-exception", "jvm-exception"]],
);
static INTERNAL: Class = class(
    "spark-internal-error",
    185,
    "Spark checks its own states; an INTERNAL_ERROR is a fault of Spark or of what was plugged into it",
    "https://issues.apache.org/jira/projects/SPARK",
    &[END, &["python-exception", "jvm-exception"]],
);
static PLUGIN: Class = class(
    "plugin-invalid",
    605,
    "catalogs, data sources, functions and plugins are classes with an interface and a constructor Spark can call",
    ERRORS,
    &[END, THROWN, &["class-not-found"]],
);

/// From this rank on, what is below a condition of this family (a file that is not there) follows from it.
pub(super) const EARLY: u32 = 466;

/// The classes of this family.
pub(super) static CLASSES: [&Class; 12] = [
    &FILE_UNREADABLE,
    &FILE_SCHEMA,
    &STATE_INCOMPATIBLE,
    &CHECKPOINT_DAMAGED,
    &CONCURRENT,
    &STREAM_FAILED,
    &WRITE_FAILED,
    &EXTERNAL,
    &CONNECT,
    &CANCELLED,
    &INTERNAL,
    &PLUGIN,
];

/// What is decided for a condition.
#[derive(Debug)]
struct Decision {
    /// The finding; none where only what is below it tells.
    finding: Option<&'static str>,
    /// Whether what the message offers to set is the patch.
    offered: bool,
    /// Whether the cause is below it, where there is one.
    wraps: bool,
    says: &'static str,
    fix: &'static str,
}

struct Table {
    conditions: HashMap<&'static str, &'static str>,
    decisions: HashMap<&'static str, Decision>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table {
    conditions: rows(include_str!("conditions.tsv"))
        .filter_map(|row| Some((*row.first()?, *row.get(1)?)))
        .collect(),
    decisions: rows(include_str!("decisions.tsv")).filter_map(decision).collect(),
});

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
}

fn decision(row: Vec<&'static str>) -> Option<(&'static str, Decision)> {
    let [key, finding, patch, wraps, says, fix] = row.try_into().ok()?;
    let decision = Decision {
        finding: (finding != "-").then_some(finding),
        offered: patch == "offered",
        wraps: wraps == "wraps",
        says,
        fix,
    };
    Some((key, decision))
}

/// The decision for a condition: its own, else that of its class.
fn decide(name: &str) -> Option<&'static Decision> {
    let class = name.split('.').next().unwrap_or(name);
    let key = TABLE.conditions.get(name).or_else(|| TABLE.conditions.get(class))?;
    TABLE.decisions.get(key)
}

/// The decision for a condition that a newer Spark has, by its SQLSTATE.
fn decide_by_state(state: &str) -> Option<&'static Decision> {
    let key = match state.get(..2)? {
        "42" | "07" | "21" => "definition",
        "0A" => "unsupported",
        "22" => "value",
        "23" => "constraint",
        "38" | "39" => "below",
        "53" | "82" => "memory",
        "54" => "limit",
        "58" => "write",
        "HV" => "jdbc",
        "HY" => "connect",
        "XX" => "internal",
        _ => return None,
    };
    TABLE.decisions.get(key)
}

static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\[([A-Z][A-Z0-9]*(?:[_.][A-Z0-9_]+)*)\] ").ok());
static OFFERED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"[sS]et[^."]{0,60}["'`](spark\.[A-Za-z0-9_.]+)["'`] (?:to|as) ["'`]?([A-Za-z0-9_]+)["'`]?"#).ok()
});

/// A condition that a text names.
struct Condition<'a> {
    name: &'a str,
    decision: &'static Decision,
    /// Its message, over as many lines as it has.
    message: String,
    line: &'a str,
}

fn conditions(block: &Block) -> Vec<Condition<'_>> {
    let Some(named) = NAMED.as_ref() else { return Vec::new() };
    let mut found = Vec::new();
    let lines: Vec<&str> = block.text.lines().collect();
    for (place, line) in lines.iter().enumerate() {
        // A message may hold another: of a stream, of a function.
        for name in named.captures_iter(line).filter_map(|seen| seen.get(1)) {
            let message = message(&line[name.end() + 1..], &lines[place + 1..]);
            let state = after(&message, "SQLSTATE: ").or_else(|| after(line, "SQLSTATE: "));
            let Some(decision) = decide(name.as_str()).or_else(|| decide_by_state(state?)) else {
                continue;
            };
            found.push(Condition {
                name: name.as_str(),
                decision,
                message,
                line: line.trim(),
            });
        }
    }
    found
}

/// Characters of a message that are looked at.
const MESSAGE: usize = 2_000;

/// A message that begins in one line and may go on below.
fn message(first: &str, below: &[&str]) -> String {
    let mut text = first.trim().to_owned();
    for line in below {
        let line = line.trim_end();
        let ends = line.is_empty()
            || line.starts_with(['\t', ' ', '^', '\''])
            || line.starts_with("==")
            || line.starts_with("Caused by: ")
            || line.starts_with("JVM stacktrace")
            || line.starts_with("Traceback")
            || line.starts_with("org.apache.spark.");
        if ends || text.contains("SQLSTATE: ") || text.len() > MESSAGE {
            break;
        }
        text.push(' ');
        text.push_str(line);
    }
    text
}

/// What a block's conditions say.
pub(super) struct Meaning<'a> {
    pub class: &'static Class,
    pub cause: String,
    pub fix: Fix,
    /// The line that says it.
    pub line: &'a str,
}

/// What a block's conditions mean: the deepest of those that say something of their own, else the deepest that wraps something.
pub(super) fn look<'a>(context: &Context<'a>, block: &'a Block) -> Option<Meaning<'a>> {
    let found = conditions(block);
    let says = |condition: &&Condition<'_>| condition.decision.finding.is_some();
    let condition = found.iter().filter(says).rfind(|condition| !condition.decision.wraps);
    let condition = condition.or_else(|| found.iter().rfind(says))?;
    // A function of the user's that failed in a batch or a write is reported at the user's own line.
    if condition.decision.wraps && found.iter().any(|below| below.decision.finding.is_none()) {
        return None;
    }
    let class = super::classes().find(|class| Some(class.id) == condition.decision.finding)?;
    let whole = Match {
        context,
        block,
        line: condition.line,
    };
    Some(Meaning {
        class,
        cause: cause(condition, &whole),
        fix: fix(condition, &whole),
        line: condition.line,
    })
}

fn cause(condition: &Condition<'_>, whole: &Match<'_>) -> String {
    let message = condition.message.split(" SQLSTATE: ").next().unwrap_or_default();
    let message = [" If necessary set", " Use `try_", " Use the SQL function `"]
        .iter()
        .fold(message, |said, end| said.split(end).next().unwrap_or(said))
        .trim_end_matches(';');
    let mut said = format!("{}[{}] {message}", before(condition), condition.name);
    if condition.decision.wraps
        && let Some(below) = below(&whole.block.text)
        && !message.contains(below)
    {
        said = format!("{}: {}", short(&said, 220), short(below, 220));
    }
    let position = sql::position(whole);
    let thrown = code::python(&whole.block.text).or_else(|| code::jvm(&whole.block.text));
    let line = thrown.map(|thrown| thrown.at()).unwrap_or_default();
    format!("{}: {}{position}{line}", condition.decision.says, short(&said, 440))
}

/// What a message that wraps another says before it: `Failed to read log file file:/ck/offsets/0. `
fn before(condition: &Condition<'_>) -> String {
    let rest = condition
        .line
        .split_once("terminated with exception: ")
        .map_or("", |(_, rest)| rest);
    match rest.find(&format!("[{}]", condition.name)) {
        Some(at) if !rest[..at].contains('[') => short(&rest[..at], 200) + if at > 0 { " " } else { "" },
        _ => String::new(),
    }
}

/// The last exception a text names as a cause, without its frames.
fn below(text: &str) -> Option<&str> {
    let last = text
        .lines()
        .rfind(|line| line.trim_start().starts_with("Caused by: "))?;
    Some(last.trim().trim_start_matches("Caused by: "))
}

fn fix(condition: &Condition<'_>, whole: &Match<'_>) -> Fix {
    if let Some(suggestion) = between(&whole.block.text, "Did you mean one of the following? [", "]")
        && !suggestion.is_empty()
    {
        return words(format!("Spark knows these names instead: {}", short(suggestion, 200)));
    }
    let text = condition.decision.fix;
    match condition
        .decision
        .offered
        .then(|| offered(&condition.message))
        .flatten()
    {
        Some((key, value)) => patch(
            format!("{text}: the message offers {key}={value}"),
            conf_patch([(key.as_str(), value)]),
        ),
        None => words(text),
    }
}

/// The key and the value a message offers to set. Of two values the one that keeps to the newer rules.
fn offered(message: &str) -> Option<(String, String)> {
    let seen = OFFERED.as_ref()?.captures(message)?;
    let value = match message.contains("to \"CORRECTED\"") {
        true => "CORRECTED",
        false => &seen[2],
    };
    Some((seen[1].to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests;
