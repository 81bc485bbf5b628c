//! Logs in a decision: before an application is said to have ended, before its driver is deleted and before it goes itself, they are copied, and
//! it waits for that, never longer than its hold. Of executors whose logs are kept too, as they end.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use stoke_model::crd::SparkApplicationStatus;

use super::super::facts::{Facts, LogCopy, Logs};
use super::Action;
use crate::logs::{PodLog, RunLogs, logs_of};

/// Executors that still run when their driver has ended are given this part of the hold to end too.
const EXECUTORS_END: i32 = 2;

/// Whether what comes next must wait for logs.
pub(super) enum Settled {
    /// It need not, or not any longer, once this is done.
    Now(Vec<Action>),
    /// For this long at most, once this is done.
    After(SignedDuration, Vec<Action>),
}

/// What is done for the logs of executors while their application goes on.
pub(super) fn of_executors(facts: &Facts) -> Vec<Action> {
    let (Some(logs), Some(status)) = (&facts.logs, &facts.app.status) else {
        return Vec::new();
    };
    if status.app_state.state.is_terminal() || facts.executors.is_empty() {
        return Vec::new();
    }
    let Some(wanted) = logs_of(facts, status, logs.which).filter(|wanted| wanted.of_all) else {
        return Vec::new();
    };
    let mut run = Run::at(logs, &wanted, false);
    let there = |file: &str| wanted.logs.iter().chain(&wanted.running).any(|log| log.file == file);
    let is_gone = |(file, copy): &(&String, &LogCopy)| !matches!(copy, LogCopy::UnderWay(_)) && !there(file);
    let gone: Vec<String> = run
        .copies
        .iter()
        .filter(is_gone)
        .map(|(file, _)| file.clone())
        .collect();
    run.copies.retain(|file, _| !gone.contains(file));
    if !gone.is_empty() {
        run.actions.push(Action::ForgetCopies(gone));
    }
    run.copy(wanted.logs.iter().filter(|log| log.role == "executor"));
    run.remove_spent();
    run.actions
}

/// Whether what comes next must wait for the logs of the run that `status` speaks of. `last`: the application itself goes next.
pub(super) fn settle(facts: &Facts, status: Option<&SparkApplicationStatus>, last: bool) -> Settled {
    let (Some(logs), Some(status)) = (&facts.logs, status) else {
        return Settled::Now(Vec::new());
    };
    let Some(wanted) = logs_of(facts, status, logs.which) else {
        return Settled::Now(Vec::new());
    };
    // What is on record is kept.
    if last && status.kept_logs.as_ref() == Some(&logs.url(&wanted.run)) {
        return Settled::Now(Vec::new());
    }
    let mut run = Run::at(logs, &wanted, last);
    let waited = run.waited.unwrap_or_default();
    run.copy(wanted.logs.iter());
    let until_end = logs.hold / EXECUTORS_END - waited;
    let await_executors = !wanted.running.is_empty() && until_end.is_positive();
    if !await_executors {
        // What they have written so far, rather than nothing.
        run.copy(wanted.running.iter());
    }
    run.remove_spent();
    let under_way = run.copies.values().any(|copy| matches!(copy, LogCopy::UnderWay(_)));
    let left = logs.hold - waited;
    if (under_way || await_executors) && left.is_positive() {
        if run.waited.is_none() {
            let run_name = wanted.run.clone();
            run.actions.push(Action::HoldForLogs { run: run_name, last });
        }
        let wait = if await_executors { left.min(until_end) } else { left };
        return Settled::After(wait.max(SignedDuration::from_millis(1)), run.actions);
    }
    if let Some(why) = run.trouble().filter(|_| !run.reported) {
        let run_name = wanted.run.clone();
        run.actions.push(Action::ReportMissingLogs { run: run_name, why });
    }
    Settled::Now(run.actions)
}

/// How far the copies of one run are, with what this decision asks for.
struct Run<'a> {
    wanted: &'a RunLogs,
    copies: BTreeMap<String, LogCopy>,
    waited: Option<SignedDuration>,
    reported: bool,
    actions: Vec<Action>,
}

impl<'a> Run<'a> {
    fn at(logs: &Logs, wanted: &'a RunLogs, last: bool) -> Self {
        let mut run = Self {
            wanted,
            copies: BTreeMap::new(),
            waited: None,
            reported: false,
            actions: Vec::new(),
        };
        if logs.run != wanted.run {
            return run;
        }
        run.copies.clone_from(&logs.copies);
        if last && !logs.last {
            // What failed before is tried once more, and waited for once more.
            run.copies
                .retain(|_, copy| matches!(copy, LogCopy::UnderWay(_) | LogCopy::Kept { .. }));
        } else {
            (run.waited, run.reported) = (logs.waited, logs.reported);
        }
        run
    }

    fn copy<'l>(&mut self, logs: impl Iterator<Item = &'l PodLog>) {
        let new: Vec<PodLog> = logs
            .filter(|log| !self.copies.contains_key(&log.file))
            .cloned()
            .collect();
        if new.is_empty() {
            return;
        }
        for log in &new {
            self.copies.insert(log.file.clone(), LogCopy::UnderWay(None));
        }
        let run = self.wanted.run.clone();
        self.actions.push(Action::CopyLogs { run, logs: new });
    }

    /// Removes pods that Spark left only for their logs.
    fn remove_spent(&mut self) {
        for pod in &self.wanted.spent {
            let of_pod = self.wanted.logs.iter().filter(|log| log.pod == *pod);
            let copies: Vec<Option<&LogCopy>> = of_pod.map(|log| self.copies.get(&log.file)).collect();
            let is_done = |copy: &Option<&LogCopy>| matches!(copy, Some(LogCopy::Kept { .. } | LogCopy::Absent));
            let is_new = |copy: &Option<&LogCopy>| matches!(copy, Some(LogCopy::Kept { removed: false }));
            if copies.iter().all(is_done) && copies.iter().any(is_new) {
                let (run, pod) = (self.wanted.run.clone(), pod.clone());
                let of_pod = self.wanted.logs.iter().filter(|log| log.pod == pod);
                let files = of_pod.map(|log| log.file.clone()).collect();
                self.actions.push(Action::RemoveSpent { run, pod, files });
            }
        }
    }

    /// Why not all is kept.
    fn trouble(&self) -> Option<String> {
        let mut why = self.copies.iter().filter_map(|(file, copy)| match copy {
            LogCopy::Failed(why) => Some(why.clone()),
            LogCopy::UnderWay(Some(why)) => Some(format!("{file}: {why}")),
            LogCopy::UnderWay(None) => Some(format!("{file}: not copied in time")),
            LogCopy::Kept { .. } | LogCopy::Absent => None,
        });
        let first = why.next()?;
        Some(match why.count() {
            0 => first,
            more => format!("{first} (and {more} more)"),
        })
    }
}
