//! Random lives of an application in a small world: a status store, one pod name, a cache that may lag, a clock that jumps, and crashes
//! between any two steps. Whatever happens, the invariants hold; and when it stops happening, the application ends.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stoke_model::annotations::QUALITY;
use stoke_model::annotations::quality::Phase;
use stoke_model::names::driver_pod;

use super::*;
use crate::quality::facts::Ended;
use crate::quality::{self, CheckPod, Refused};

#[derive(Clone, Debug)]
enum Event {
    /// One reconcile, cut off after so many outside effects (status writes and actions).
    Reconcile {
        effects: usize,
        stale: bool,
        refuse: bool,
    },
    /// The driver pod moves on.
    Progress(u8),
    /// Someone deletes the driver pod; it is gone at once, or lingers.
    PodDeleted {
        lingers: bool,
    },
    /// A pod that was being deleted is gone.
    PodGone,
    /// The pods that check data end like this.
    Checked(i32),
    /// Someone deletes them.
    ChecksDeleted,
    /// An edit; one of the driver's pod name too.
    Edit {
        renames: bool,
    },
    Suspend(bool),
    Clock(i64),
    /// Copies of logs end, well or not.
    Copied(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0usize..6, any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(effects, stale, refuse)| Event::Reconcile { effects, stale, refuse }),
        4 => (0u8..8).prop_map(Event::Progress),
        1 => any::<bool>().prop_map(|lingers| Event::PodDeleted { lingers }),
        1 => Just(Event::PodGone),
        2 => (0i32..3).prop_map(Event::Checked),
        1 => Just(Event::ChecksDeleted),
        1 => any::<bool>().prop_map(|renames| Event::Edit { renames }),
        1 => any::<bool>().prop_map(Event::Suspend),
        2 => (-100_000i64..100_000).prop_map(Event::Clock),
        2 => any::<bool>().prop_map(Event::Copied),
    ]
}

struct World {
    /// The application as the API server has it.
    facts: Facts,
    /// The driver pods as the API server has them, by name.
    pods: BTreeMap<String, DriverPod>,
    /// What the cache says about them.
    cached: BTreeMap<String, DriverPod>,
    /// The pods that check data, and what the cache says about them.
    checks: BTreeMap<String, CheckPod>,
    cached_checks: BTreeMap<String, CheckPod>,
    /// How far logs are kept; none where none are.
    logs: Option<Logs>,
    /// Since when the application waits for them, by the clock that no one sets.
    held: i64,
    /// Since when it gathers, by the same.
    gathering: Option<i64>,
    /// The clock that people set.
    now: i64,
    /// The one that only goes on.
    elapsed: i64,
    created: Vec<String>,
}

/// Nothing kept yet.
fn logs() -> Logs {
    Logs {
        hold: SignedDuration::from_secs(20),
        place: "s3://logs/default/pi".into(),
        ..Logs::default()
    }
}

impl World {
    fn new(spec: Value) -> Self {
        Self {
            facts: fresh(spec),
            pods: BTreeMap::new(),
            cached: BTreeMap::new(),
            checks: BTreeMap::new(),
            cached_checks: BTreeMap::new(),
            logs: None,
            held: 0,
            gathering: None,
            now: 0,
            elapsed: 0,
            created: Vec::new(),
        }
    }

    fn status(&self) -> stoke_model::crd::SparkApplicationStatus {
        self.facts.app.status.clone().unwrap_or_default()
    }

    fn live(&self, name: &str) -> Driver {
        match self.pods.get(name) {
            Some(pod) => Driver::Present(DriverPod {
                live: true,
                ..pod.clone()
            }),
            None => Driver::Gone,
        }
    }

    /// One reconcile as the edge does it: decide, write, act, and again with the answer; cut off after `effects` effects.
    fn reconcile(&mut self, mut effects: usize, stale: bool, refuse: bool) -> Option<Timestamp> {
        if !stale {
            self.cached.clone_from(&self.pods);
            self.cached_checks.clone_from(&self.checks);
        }
        let name = self.status().driver_info.pod_name;
        let name = name.unwrap_or_else(|| driver_pod("pi", &self.facts.app.spec));
        let mut facts = Facts {
            driver: self
                .cached
                .get(&name)
                .cloned()
                .map_or(Driver::NotCached, Driver::Present),
            submission: None,
            checks: self.cached_checks.values().cloned().collect(),
            ..self.facts.clone()
        };
        for _ in 0..12 {
            let before = self.status();
            if let Some(logs) = &mut self.logs {
                let waited = SignedDuration::from_secs(self.elapsed - self.held);
                logs.waited = logs.waited.map(|_| waited);
            }
            facts.logs.clone_from(&self.logs);
            facts.gathering = self
                .gathering
                .map(|since| SignedDuration::from_secs(self.elapsed - since));
            let decision = decide(&facts, at(self.now));
            check(&before, &decision, &facts, at(self.now));
            (facts.submission, facts.check_refused) = (None, None);
            for action in &decision.actions {
                if effects == 0 {
                    return None;
                }
                effects -= 1;
                if !self.act(&mut facts, action, &decision, refuse) {
                    return None;
                }
            }
            if !decision.actions.iter().any(Action::asks) {
                return decision.requeue_at;
            }
        }
        panic!("a reconcile that does not settle: {:?}", self.status());
    }

    /// Does what is listed; false when the application itself is gone.
    fn act(&mut self, facts: &mut Facts, action: &Action, decision: &Decision, refuse: bool) -> bool {
        match action {
            Action::Write => {
                self.facts.app.status = Some(decision.status.clone());
                facts.app.status = Some(decision.status.clone());
            }
            Action::Publish | Action::RemoveCompanions => {}
            Action::Gather => self.gathering = Some(self.elapsed),
            Action::EndGathering => self.gathering = None,
            Action::CopyLogs { .. }
            | Action::HoldForLogs { .. }
            | Action::RemoveSpent { .. }
            | Action::ReportMissingLogs { .. }
            | Action::ForgetCopies(_)
            | Action::ForgetLogs => self.keep_logs(action),
            // A driver that is there already is not judged again.
            Action::Judge if refuse && !self.is_begun() => facts.submission = Some(refused()),
            Action::Judge => facts.unjudged = false,
            Action::Submit => {
                facts.submission = Some(self.submit(facts, refuse));
                facts.unjudged = self.facts.unjudged;
            }
            Action::ConfirmDriver(name) => facts.driver = self.live(name),
            Action::DeleteDriver(name) => {
                if let Some(pod) = self.pods.get_mut(name) {
                    pod.deleting = true;
                }
                facts.driver = self.live(name);
            }
            Action::Check(phase) if refuse => {
                let message = format!("{phase:?} is forbidden");
                facts.check_refused = Some(Refused {
                    message,
                    permanent: false,
                });
            }
            Action::Check(phase) => {
                let name = quality::pod_name(&facts.app, self.status().submission_id.as_deref(), *phase);
                let made = CheckPod {
                    name: name.clone(),
                    phase: Some(*phase),
                    created: Some(at(self.now)),
                    ..CheckPod::default()
                };
                facts.checks.push(self.checks.entry(name).or_insert(made).clone());
            }
            Action::DeleteCheck(name) => {
                self.checks.remove(name);
                facts.checks.retain(|check| check.name != *name);
            }
            Action::DeleteApplication => return false,
        }
        true
    }

    /// True when the driver of the submission on record exists.
    fn is_begun(&self) -> bool {
        let status = self.status();
        let pod = status
            .driver_info
            .pod_name
            .as_ref()
            .and_then(|name| self.pods.get(name));
        pod.is_some_and(|pod| pod.submission_id == status.submission_id)
    }

    /// A keeper of logs without a clock of its own: copies end when [`Event::Copied`] says so.
    fn keep_logs(&mut self, action: &Action) {
        let logs = self.logs.as_mut().expect("only where logs are kept");
        let at_run = |logs: &mut Logs, run: &str| {
            if logs.run != run {
                let (which, hold, place) = (logs.which, logs.hold, std::mem::take(&mut logs.place));
                let run = run.to_owned();
                *logs = Logs {
                    which,
                    hold,
                    place,
                    run,
                    ..Logs::default()
                };
            }
        };
        match action {
            Action::CopyLogs { run, logs: wanted } => {
                at_run(logs, run);
                for log in wanted {
                    let known = logs.copies.insert(log.file.clone(), LogCopy::UnderWay(None));
                    assert!(
                        !matches!(known, Some(LogCopy::UnderWay(_) | LogCopy::Kept { .. })),
                        "{log:?} is copied twice"
                    );
                }
            }
            Action::HoldForLogs { run, last } => {
                at_run(logs, run);
                (logs.waited, logs.reported, logs.last) = (Some(SignedDuration::ZERO), false, *last);
                self.held = self.elapsed;
            }
            Action::ReportMissingLogs { .. } => {
                assert!(!logs.reported, "reported once");
                logs.reported = true;
            }
            Action::ForgetCopies(files) => logs.copies.retain(|file, _| !files.contains(file)),
            Action::ForgetLogs => *logs = self::logs(),
            _ => {}
        }
    }

    fn submit(&mut self, facts: &mut Facts, refuse: bool) -> Outcome {
        let status = self.status();
        let id = status.submission_id.expect("an intent before the submission");
        let name = status.driver_info.pod_name.expect("a name before the submission");
        let found = self
            .pods
            .get(&name)
            .map(|pod| pod.submission_id.as_deref() == Some(&id));
        if refuse {
            // What was created is removed before the refusal is reported.
            if found == Some(true) {
                self.pods.remove(&name);
            }
            return refused();
        }
        facts.driver = match found {
            Some(false) => {
                facts.driver = self.live(&name);
                return Outcome::Blocked {
                    message: "in the way".into(),
                };
            }
            Some(true) => self.live(&name),
            None => {
                self.created.push(id.clone());
                let pod = DriverPod {
                    name: name.clone(),
                    submission_id: Some(id),
                    progress: Progress::Pending(None),
                    ..DriverPod::default()
                };
                self.pods.insert(name.clone(), pod);
                self.live(&name)
            }
        };
        accepted()
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Reconcile { effects, stale, refuse } => {
                self.reconcile(*effects, *stale, *refuse);
            }
            Event::Progress(kind) => {
                for pod in self.pods.values_mut().filter(|pod| !pod.progress.is_finished()) {
                    pod.progress = match kind {
                        0 | 1 => Progress::Running,
                        2 => succeeded(),
                        3 => failed(),
                        4 => Progress::Unknown,
                        _ => Progress::Pending(Some(PendingReason {
                            reason: "Unschedulable".into(),
                            message: String::new(),
                            on_node: *kind % 2 == 0,
                        })),
                    };
                }
            }
            Event::PodDeleted { lingers: true } => self.pods.values_mut().for_each(|pod| pod.deleting = true),
            Event::PodDeleted { lingers: false } => self.pods.clear(),
            Event::Checked(code) => {
                for check in self.checks.values_mut().filter(|check| !check.done) {
                    check.done = true;
                    let ended = Ended {
                        code: *code,
                        ..Ended::default()
                    };
                    check.ended.insert(quality::pod::container(0), ended);
                }
            }
            Event::ChecksDeleted => self.checks.clear(),
            Event::Copied(well) => {
                let Some(logs) = &mut self.logs else { return };
                for (file, copy) in &mut logs.copies {
                    if matches!(copy, LogCopy::UnderWay(_)) {
                        *copy = match well {
                            true => LogCopy::Kept { removed: false },
                            false => LogCopy::Failed(format!("{file}: denied")),
                        };
                        logs.any_kept |= well;
                    }
                }
            }
            Event::PodGone => self.pods.retain(|_, pod| !pod.deleting),
            Event::Edit { renames } => {
                if *renames {
                    let generation = self.facts.app.metadata.generation.unwrap_or(0);
                    let driver = self.facts.app.spec.driver.get_or_insert_default();
                    driver.pod_name = Some(format!("pi-{generation}"));
                }
                edit(&mut self.facts);
            }
            Event::Suspend(value) => suspend(&mut self.facts, *value),
            Event::Clock(by) => {
                self.now += by;
                self.elapsed += (*by).max(0);
            }
        }
        let live = self.pods.values().filter(|pod| !pod.progress.is_finished());
        assert!(live.count() <= 1, "two live drivers: {:?}", self.pods);
    }
}

/// What holds after every decision.
fn check(before: &stoke_model::crd::SparkApplicationStatus, decision: &Decision, facts: &Facts, now: Timestamp) {
    let (was, is) = (before.app_state.state, decision.status.app_state.state);
    let path = path(facts, decision);
    if !is.is_terminal() {
        let due = decision.requeue_at.expect("someone looks again");
        let most = now + SignedDuration::from_mins(5);
        assert!(due <= most, "{was:?} -> {is:?}: no one looks again for long");
    } else {
        assert!(decision.status.termination_time.is_some());
    }
    if was.is_terminal() && is != was {
        let never_ran = before.execution_attempts == 0;
        assert!(
            never_ran && facts.app.metadata.generation != before.observed_generation,
            "{was:?} was left for {is:?}"
        );
    }
    let invalidated = path.contains(&State::Invalidating) || was == State::Invalidating;
    assert!(
        invalidated || decision.status.execution_attempts >= before.execution_attempts,
        "runs are counted up: {was:?} -> {is:?}"
    );
    let rerun = path.contains(&State::PendingRerun);
    assert!(
        rerun || decision.status.submission_attempts >= before.submission_attempts,
        "submissions are counted up"
    );
    assert!(decision.status.transitions.len() <= KEPT_TRANSITIONS);
    if decision.actions.contains(&Action::Submit) {
        assert!(decision.status.submission_id.is_some() && decision.status.driver_info.pod_name.is_some());
    }
    assert!(asked(decision).len() <= 1);
    let has = |action: &Action| decision.actions.contains(action);
    assert_eq!(has(&Action::Write), decision.status != *before);
    assert_eq!(has(&Action::Publish), !decision.events.is_empty());
    // Nothing ends, and no driver with a log goes, before its log is kept, given up or waited for long enough.
    let ends = is.is_terminal() && !was.is_terminal();
    if (ends
        || asked(decision)
            .iter()
            .any(|action| matches!(action, Action::DeleteDriver(_))))
        && let (Some(logs), Driver::Present(pod)) = (&facts.logs, &facts.driver)
        && pod.submission_id.is_some()
        && pod.submission_id == decision.status.submission_id
        && !matches!(pod.progress, Progress::Pending(_))
        && before.submission_id == pod.submission_id
    {
        let copy = logs.copies.get(&format!("{}.log.gz", pod.name));
        let is_settled = matches!(copy, Some(LogCopy::Kept { .. } | LogCopy::Failed(_)));
        let is_over = logs.waited.is_some_and(|waited| waited >= logs.hold);
        assert!(is_settled || is_over, "{was:?} -> {is:?} with {logs:?}");
    }
    // Nothing passes whose data were not found to be right.
    for (phase, passes) in [
        (Phase::Before, decision.actions.contains(&Action::Submit)),
        (Phase::After, is == State::Completed && was != is),
    ] {
        if passes && facts.app.metadata.annotations.is_some() {
            let name = quality::pod_name(&facts.app, decision.status.submission_id.as_deref(), phase);
            let check = facts.checks.iter().find(|check| check.name == name);
            assert!(
                check.is_some_and(|check| check.ended.values().all(|ended| ended.code == 0) && check.done),
                "{phase:?}"
            );
        }
    }
}

fn specs() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(never()),
        Just(on_failure(2, 10)),
        Just(on_failure(0, 0)),
        Just(always())
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = || prop::option::of((1i64..100_000).prop_map(SignedDuration::from_secs));
    (limit(), limit(), limit()).prop_map(|(pending, start, active)| Limits {
        pending,
        start,
        active,
        ..Limits::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_in_any_life_and_every_life_can_end(
        spec in specs(),
        limits in limits(),
        checked in any::<bool>(),
        keeps_logs in any::<bool>(),
        judged in any::<bool>(),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(spec);
        world.facts.limits = limits;
        world.facts.unjudged = judged;
        world.logs = keeps_logs.then(logs);
        if checked {
            annotate(&mut world.facts, QUALITY, "{before: [{contract: c/k, data: /d}], after: [{contract: c/k, data: /e}]}");
        }
        for event in &events {
            world.happen(event);
        }
        // Nothing disturbs any more: the policy allows an end, the node deletes and finishes what it should.
        world.facts.app.spec.restart_policy = None;
        if world.facts.app.spec.suspend == Some(true) {
            suspend(&mut world.facts, false);
        }
        for _ in 0..40 {
            world.happen(&Event::PodGone);
            let requeue = world.reconcile(usize::MAX, false, false);
            if world.status().app_state.state.is_terminal() {
                break;
            }
            let due = requeue.expect("a time to look again");
            let wait = (due.as_second() - at(0).as_second() + 1 - world.now).max(0);
            world.happen(&Event::Clock(wait));
            world.happen(&Event::Progress(2));
            world.happen(&Event::Checked(0));
        }
        let status = world.status();
        // News of a pod that no one had seen yet.
        world.reconcile(usize::MAX, false, false);
        let waited_for = world.checks.values().any(|check| !check.done);
        prop_assert!(!waited_for, "a check was left behind: {:?}", world.checks);
        prop_assert!(status.app_state.state.is_terminal(), "stuck: {status:?}");
        for pod in world.pods.values() {
            prop_assert!(pod.progress.is_finished() || pod.deleting, "a live driver was left behind: {pod:?} {status:?}");
        }
    }

    #[test]
    fn without_outside_deletions_no_submission_is_created_twice(
        spec in specs(),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(spec);
        for event in events.iter().filter(|event| !matches!(event, Event::PodDeleted { .. })) {
            if !matches!(event, Event::Reconcile { refuse: true, .. }) {
                world.happen(event);
            }
        }
        let mut created = world.created.clone();
        created.sort();
        created.dedup();
        prop_assert_eq!(created.len(), world.created.len());
    }
}
