//! Error texts, wherever they were written: blocks of a log, failures of tasks, stages and queries, words of the operator and the kubelet.

use serde_json::Value;

use crate::facts::cluster::Role;
use crate::facts::{Facts, Log};

/// Bytes kept of a block: more than any message and its causes need.
const WIDTH: usize = 64 << 10;

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// What ended the driver: an uncaught exception.
    Final,
    /// A task, stage or query that failed; whether its failure ended the job.
    Run {
        /// False for a task that failed and was tried again, and for a failure after which the driver went on.
        ended_job: bool,
    },
    /// What the operator or the kubelet said about the end.
    Match,
    /// Any other message of the driver's log.
    Driver,
    /// A message of an executor's log.
    Executor,
}

/// A text that tells of trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Where it is to be found, as evidence names it.
    pub place: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Level of a log's message; `ERROR` for what is not a log.
    pub level: Level,
    /// The executor it is about, when it is about one.
    pub executor: Option<String>,
    /// The text, with its line ends.
    pub text: String,
    /// The line of the log it begins at; 0 for what is not a log.
    pub line: u64,
    /// The log's source; empty for what is not a log.
    pub source: String,
}

/// The level of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Up to `INFO`.
    Info,
    Warn,
    /// `ERROR`, `FATAL`.
    Error,
    /// Written past the logger: exceptions no one caught, tracebacks, messages of scripts.
    Plain,
}

impl Block {
    /// The first line that has all of `words`.
    pub fn line_with(&self, words: &[&str]) -> Option<&str> {
        let has = |line: &&str| words.iter().all(|word| line.contains(word));
        self.text.lines().find(has).map(str::trim)
    }

    /// Whether a line has all of `words`.
    pub fn has(&self, words: &[&str]) -> bool {
        self.line_with(words).is_some()
    }

    /// The place of the first line that has all of `words`.
    pub fn place_of(&self, words: &[&str]) -> String {
        let at = self
            .text
            .lines()
            .position(|line| words.iter().all(|word| line.contains(word)));
        match (self.line, at) {
            (0, _) => self.place.clone(),
            (line, at) => format!("log {}:{}", self.source, line + at.unwrap_or(0) as u64),
        }
    }

    /// Whether it is the traceback or the stack of an exception that no one caught.
    fn is_uncaught(&self) -> bool {
        // Python's daemon writes its own when the driver goes before its workers do.
        let own = self.text.contains("pyspark/daemon.py") && !self.text.contains("worker.py");
        let script = self.text.starts_with("Error: ") || self.text.contains("can't open file");
        let thrown = self.text.starts_with("Traceback (most recent call last)")
            || self.text.starts_with("Exception in thread \"main\"")
            || self.text.starts_with("  File ") && self.text.contains("SyntaxError");
        // The runner of Python scripts says only that the script ended.
        let own = own || self.text.contains("SparkUserAppException");
        self.level == Level::Plain && (script || thrown && !own)
    }
}

/// The texts of a run, what is nearest to its end first.
pub(super) fn blocks(facts: &Facts) -> Vec<Block> {
    let mut blocks = Vec::new();
    for log in &facts.logs {
        let mut of_log = of_log(log);
        if log.role == Role::Driver
            && let Some(last) = last_uncaught(&of_log, log)
        {
            of_log[last].origin = Origin::Final;
        }
        blocks.append(&mut of_log);
    }
    of_run(facts, &mut blocks);
    of_cluster(facts, &mut blocks);
    blocks.sort_by_key(|block| match block.origin {
        Origin::Final => 0,
        Origin::Run { ended_job: true } => 1,
        Origin::Match => 2,
        Origin::Run { ended_job: false } => 3,
        Origin::Driver => 4,
        Origin::Executor => 5,
    });
    blocks
}

/// The last exception that no one caught, unless jobs began after it: then someone did.
fn last_uncaught(blocks: &[Block], log: &Log) -> Option<usize> {
    let place = blocks.iter().rposition(Block::is_uncaught)?;
    let line = blocks[place].line;
    let goes_on = log
        .lines
        .iter()
        .any(|later| later.number > line && later.text.contains("DAGScheduler: Got job"));
    (!goes_on).then_some(place)
}

/// What the event log has of failures.
fn of_run(facts: &Facts, blocks: &mut Vec<Block>) {
    let Some(run) = &facts.run else { return };
    let block = |place: String, ended_job, executor, text: String| Block {
        place,
        origin: Origin::Run { ended_job },
        level: Level::Error,
        executor,
        text,
        line: 0,
        source: String::new(),
    };
    // What came before further work was caught, or tried again.
    let goes_on = |ended: Option<i64>| ended.is_some_and(|ended| run.jobs.values().any(|job| job.started > ended));
    for ((id, attempt), stage) in &run.stages {
        let stage_place = format!("stage {id} (attempt {attempt})");
        let ended_job = stage
            .failure
            .as_ref()
            .is_some_and(|failure| failure.contains("Job aborted"))
            && !goes_on(stage.completed);
        if let Some(failure) = &stage.failure {
            blocks.push(block(stage_place.clone(), ended_job, None, failure.clone()));
        }
        for failure in &stage.failures {
            let mut text = failure.message.clone();
            if !failure.stack.contains(failure.message.as_str()) {
                text.push('\n');
                text.push_str(&failure.stack);
            } else {
                text.clone_from(&failure.stack);
            }
            let place = format!("task {} of {stage_place}", failure.first.0);
            let executor = Some(failure.executor.clone()).filter(|id| !id.is_empty());
            blocks.push(block(place, ended_job, executor, text));
        }
    }
    for (id, query) in &run.queries {
        if let Some(error) = query.error.as_ref().filter(|error| !error.is_empty()) {
            let ended_job = !goes_on(query.ended);
            blocks.push(block(format!("SQL execution {id}"), ended_job, None, error.clone()));
        }
    }
}

/// What the operator and the kubelet say of the end.
fn of_cluster(facts: &Facts, blocks: &mut Vec<Block>) {
    let Some(cluster) = &facts.cluster else { return };
    let block = |place: String, executor, text: &str| Block {
        place,
        origin: Origin::Match,
        level: Level::Error,
        executor,
        text: text.to_owned(),
        line: 0,
        source: String::new(),
    };
    let matched = &cluster.application["status"]["applicationState"]["errorMessage"];
    if let Some(text) = matched.as_str().filter(|text| !text.is_empty()) {
        blocks.push(block("status.applicationState.errorMessage".into(), None, text));
    }
    for pod in &cluster.pods {
        let executor = match &pod.role {
            Role::Driver => None,
            Role::Executor(id) => Some(id.clone()),
        };
        for container in &pod.containers {
            if let crate::facts::cluster::State::Terminated { message, exit_code, .. } = &container.state
                && *exit_code != 0
                && !message.is_empty()
            {
                blocks.push(block(format!("pod {}", pod.name), executor.clone(), message));
            }
        }
    }
}

/// The messages of a log that are at least warnings, and what was written past the logger.
fn of_log(log: &Log) -> Vec<Block> {
    let (origin, executor) = match &log.role {
        Role::Driver => (Origin::Driver, None),
        Role::Executor(id) => (Origin::Executor, Some(id.clone())),
    };
    let mut blocks: Vec<Block> = Vec::new();
    let mut tells_error = false;
    for line in &log.lines {
        let structured = structured(&line.text);
        let text = structured.as_deref().unwrap_or(&line.text);
        let level = level(text);
        let starts = match (level, blocks.last()) {
            (Some(_), _) | (None, None) => true,
            (None, Some(block)) => breaks(block, text, tells_error),
        };
        if !starts {
            if let Some(block) = blocks.last_mut().filter(|block| block.text.len() < WIDTH) {
                block.text.push('\n');
                block.text.push_str(text);
            }
            continue;
        }
        tells_error = text.contains("Exception") || text.contains("Error") || text.contains("Traceback");
        if blocks.last().is_some_and(|block| block.level == Level::Info) {
            blocks.pop();
        }
        blocks.push(Block {
            place: format!("log {}:{}", log.source, line.number),
            origin: origin.clone(),
            level: level.unwrap_or(Level::Plain),
            executor: executor.clone(),
            text: text.to_owned(),
            line: line.number,
            source: log.source.clone(),
        });
    }
    blocks.retain(|block| block.level != Level::Info);
    blocks
}

/// Whether a line without a level begins something new after `block`.
fn breaks(block: &Block, text: &str, tells_error: bool) -> bool {
    const CHAINED: [&str; 2] = [
        "The above exception was the direct cause",
        "During handling of the above exception",
    ];
    if text.starts_with("Exception in thread ") || text.starts_with("Error: ") || text.contains(": can't open file") {
        return true;
    }
    if text.starts_with("Traceback (most recent call last)") {
        let before = block.text.trim_end().lines().next_back().unwrap_or_default();
        return !CHAINED.iter().any(|chain| before.contains(chain));
    }
    // What follows a message that tells of no error, and is not set in, is someone else's.
    block.level <= Level::Warn && !tells_error && !text.is_empty() && !text.starts_with([' ', '\t'])
}

/// The level of a line, when it begins a message of Spark's loggers: `26/11/22 03:31:13 ERROR Executor: …`, or with any other date before.
fn level(text: &str) -> Option<Level> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '[')
        && !text.starts_with("ERROR ")
        && !text.starts_with("WARN ")
    {
        return None;
    }
    text.split_ascii_whitespace()
        .take(4)
        .find_map(|word| match word.trim_matches(['[', ']']) {
            "TRACE" | "DEBUG" | "INFO" => Some(Level::Info),
            "WARN" => Some(Level::Warn),
            "ERROR" | "FATAL" => Some(Level::Error),
            _ => None,
        })
}

/// A message of the structured log (`spark.log.structuredLogging.enabled`, JSON lines) as the plain log would have it.
fn structured(line: &str) -> Option<String> {
    if !line.starts_with("{\"ts\"") {
        return None;
    }
    let value: Value = serde_json::from_str(line).ok()?;
    let mut text = format!(
        "{} {}: {}",
        value["level"].as_str()?,
        value["logger"].as_str().unwrap_or_default(),
        value["msg"].as_str().unwrap_or_default()
    );
    let exception = &value["exception"];
    if let Some(class) = exception["class"].as_str() {
        text.push_str(&format!("\n{class}: {}", exception["msg"].as_str().unwrap_or_default()));
        for frame in exception["stacktrace"].as_array().into_iter().flatten() {
            let part = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
            text.push_str(&format!(
                "\n\tat {}.{}({}:{})",
                part("class"),
                part("method"),
                part("file"),
                part("line")
            ));
        }
    }
    Some(format!("0 {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Block> {
        let facts = Facts {
            logs: vec![Log::of_lines(Role::Driver, "etl-driver", text.lines())],
            ..Facts::default()
        };
        blocks(&facts)
    }

    #[test]
    fn a_traceback_after_an_info_message_is_a_block_of_its_own() {
        let found = read(
            "26/11/22 03:31:14 INFO SharedState: Warehouse path is 'file:/tmp'.\nTraceback (most recent call last):\n  File \"job.py\", line 3, in <module>\nKeyError: 'x'\n26/11/22 03:31:16 INFO SparkContext: Invoking stop() from shutdown hook",
        );
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, &found[0].origin), (2, &Origin::Final));
        assert!(found[0].text.ends_with("KeyError: 'x'"));
        assert_eq!(found[0].place_of(&["KeyError"]), "log etl-driver:4");
    }

    #[test]
    fn an_exception_that_was_survived_is_not_the_last_word() {
        let found = read(
            "Traceback (most recent call last):\n  File \"job.py\", line 3, in <module>\nKeyError: 'x'\n26/11/22 03:31:16 INFO DAGScheduler: Got job 3 (count at job.py:9) with 2 output partitions",
        );
        assert_eq!(found[0].origin, Origin::Driver);
    }

    #[test]
    fn chained_tracebacks_are_one() {
        let found = read(
            "Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 1\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \"a.py\", line 2\nValueError: 2",
        );
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn structured_logs_are_read_as_the_others() {
        let found = read(
            r#"{"ts":"2026-11-22T03:35:14.394Z","level":"ERROR","msg":"Exception in task 0","context":{"task_id":"0"},"exception":{"class":"java.lang.OutOfMemoryError","msg":"Java heap space","stacktrace":[{"class":"a.B","method":"c","file":"B.java","line":"12"}]},"logger":"Executor"}"#,
        );
        assert_eq!(found[0].level, Level::Error);
        assert!(found[0].has(&["java.lang.OutOfMemoryError: Java heap space"]));
        assert!(found[0].has(&["at a.B.c(B.java:12)"]));
    }

    #[test]
    fn words_of_the_daemon_are_no_end() {
        let found = read(
            "26/11/22 03:31:14 INFO SharedState: x\nTraceback (most recent call last):\n  File \"/opt/spark/python/lib/pyspark.zip/pyspark/daemon.py\", line 233, in manager\nBrokenPipeError: [Errno 32] Broken pipe",
        );
        assert_eq!(found[0].origin, Origin::Driver);
    }
}
