//! What every family of rules looks at: how the run ended, its error texts, its lost executors, its memory.

use serde_json::Value;

use super::blocks::{Block, Level, Origin, blocks};
use super::losses::{Loss, losses};
use crate::facts::cluster::{Cluster, Container, State};
use crate::facts::{Facts, Run};
use crate::text::{after, short};
use stoke_diagnostics::Evidence;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It ended well.
    Succeeded,
    /// It did not.
    Failed,
    /// It has not ended, or no one says that it has.
    Running,
}

/// Everything rules look at.
pub(super) struct Context<'a> {
    pub facts: &'a Facts,
    pub outcome: Outcome,
    pub blocks: Vec<Block>,
    pub losses: Vec<Loss>,
}

/// Characters of a line shown as evidence.
const SHOWN: usize = 300;

impl<'a> Context<'a> {
    pub fn new(facts: &'a Facts) -> Context<'a> {
        let blocks = blocks(facts);
        let outcome = outcome(facts, &blocks);
        Context {
            facts,
            outcome,
            losses: losses(facts, outcome),
            blocks,
        }
    }

    pub fn cluster(&self) -> Option<&'a Cluster> {
        self.facts.cluster.as_ref()
    }

    pub fn run(&self) -> Option<&'a Run> {
        self.facts.run.as_ref()
    }

    pub fn failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }

    /// What blocks the start matters while it does, or when it did to the end.
    pub fn not_done(&self) -> bool {
        self.outcome != Outcome::Succeeded
    }

    /// The Spark version, `4.1.4`; empty when no one tells.
    pub fn spark_version(&self) -> String {
        let run = self.run().map(|run| run.spark_version.clone());
        let manifest = || {
            self.cluster()?.application["spec"]["sparkVersion"]
                .as_str()
                .map(str::to_owned)
        };
        let matched = || {
            let line = self.facts.driver_log()?.find(&["Running Spark version "])?;
            after(&line.text, "Running Spark version ").map(|version| version.trim().to_owned())
        };
        run.filter(|version| !version.is_empty())
            .or_else(manifest)
            .or_else(matched)
            .unwrap_or_default()
    }

    /// A field of the manifest's `spec`, by its JSON pointer.
    pub fn spec(&self, pointer: &str) -> Option<&'a Value> {
        self.cluster()?.application["spec"]
            .pointer(pointer)
            .filter(|value| !value.is_null())
    }

    pub fn namespace(&self) -> &'a str {
        let of_application = self
            .cluster()
            .and_then(|cluster| cluster.application["metadata"]["namespace"].as_str());
        of_application
            .or_else(|| self.facts.property("spark.kubernetes.namespace"))
            .unwrap_or("default")
    }

    /// Whether it runs and has no executor, so that what the driver says of getting one keeps it from going on.
    fn starves(&self) -> bool {
        let executors = self.run().is_some_and(|run| run.workers().next().is_some());
        let pods = self
            .cluster()
            .is_some_and(|cluster| cluster.executors().any(|pod| pod.phase == "Running"));
        self.outcome == Outcome::Running && !executors && !pods
    }

    /// Whether blocks of this origin may tell of anything that matters: in a run that ended well, what a task survived, and no more.
    pub fn matters(&self, block: &Block) -> bool {
        match self.outcome {
            Outcome::Failed => true,
            Outcome::Running if block.origin == Origin::Driver => block.level != Level::Info && self.starves(),
            Outcome::Succeeded | Outcome::Running => {
                matches!(block.origin, Origin::Run { .. } | Origin::Match | Origin::Executor)
            }
        }
    }

    /// Whether a text is among what ended the run.
    pub fn is_end(&self, block: &Block) -> bool {
        let ended = self.failed()
            && matches!(
                block.origin,
                Origin::Final | Origin::Run { ended_job: true } | Origin::Match
            );
        ended || block.origin == Origin::Driver && self.starves()
    }

    /// Whether the application is of Python: the overhead's share is another one then.
    pub fn is_python(&self) -> bool {
        let kind = self.spec("/type").and_then(Value::as_str);
        let main = self
            .spec("/mainApplicationFile")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let resource = self.facts.property("spark.kubernetes.resource.type");
        kind == Some("Python") || resource == Some("python") || main.ends_with(".py")
    }
}

/// The line of a block with all of `words`, as evidence.
pub(super) fn line(block: &Block, words: &[&str]) -> Evidence {
    let seen = block
        .line_with(words)
        .or_else(|| block.text.lines().next())
        .unwrap_or_default();
    // What Python says of an error stands below the calls that led to it.
    let seen = match seen.starts_with("Traceback") {
        true => block
            .text
            .lines()
            .rfind(|line| line.starts_with(|c: char| c.is_alphabetic()))
            .unwrap_or(seen),
        false => seen,
    };
    Evidence::new(block.place_of(words), short(seen, SHOWN))
}

/// How the run ended, as whoever knows best says: the operator, then the driver's container, then Spark.
fn outcome(facts: &Facts, blocks: &[Block]) -> Outcome {
    let state = facts
        .cluster
        .as_ref()
        .and_then(|cluster| cluster.application["status"]["applicationState"]["state"].as_str());
    match state {
        Some("COMPLETED" | "SUCCEEDING") => return Outcome::Succeeded,
        Some("FAILED" | "FAILING" | "SUBMISSION_FAILED" | "PENDING_RERUN") => return Outcome::Failed,
        _ => {}
    }
    let driver = facts.cluster.as_ref().and_then(Cluster::driver);
    match driver.and_then(|pod| pod.containers.first()).and_then(exit_code) {
        Some(0) => return Outcome::Succeeded,
        Some(_) => return Outcome::Failed,
        None => {}
    }
    if driver.is_some_and(|pod| pod.phase == "Failed") {
        return Outcome::Failed;
    }
    let ends_badly = blocks.iter().any(|block| block.origin == Origin::Final);
    let Some(run) = &facts.run else {
        return if ends_badly { Outcome::Failed } else { Outcome::Running };
    };
    // Spark tells 0 of a Python script that ended with an exception: only another code says something.
    if ends_badly || run.exit_code.is_some_and(|code| code != 0) {
        return Outcome::Failed;
    }
    let last = run.jobs.values().max_by_key(|job| job.ended.unwrap_or(i64::MAX));
    let last_query = run.queries.values().max_by_key(|query| (query.started, query.ended));
    // A driver that ended in the middle of a job did not end well.
    let bad = |succeeded: Option<bool>| succeeded == Some(false) || succeeded.is_none() && run.ended.is_some();
    let last_failed = last.is_some_and(|job| bad(job.succeeded))
        || last_query.is_some_and(|query| query.error.as_ref().is_some_and(|error| !error.is_empty()));
    match (run.ended, last_failed) {
        (_, true) => Outcome::Failed,
        (Some(_), false) => Outcome::Succeeded,
        (None, false) => Outcome::Running,
    }
}

/// The code a container ended with.
pub(super) fn exit_code(container: &Container) -> Option<i32> {
    match &container.state {
        State::Terminated { exit_code, .. } => Some(*exit_code),
        _ => None,
    }
}
