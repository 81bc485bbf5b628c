//! Random lives of an application in a small world: a status store, one pod name, a cache that may lag, a clock that jumps, and crashes
//! between any two steps. Whatever happens, the invariants hold; and when it stops happening, the application ends.

use proptest::prelude::*;

use super::*;

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
    Edit,
    Suspend(bool),
    Clock(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0usize..6, any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(effects, stale, refuse)| Event::Reconcile { effects, stale, refuse }),
        4 => (0u8..6).prop_map(Event::Progress),
        1 => any::<bool>().prop_map(|lingers| Event::PodDeleted { lingers }),
        1 => Just(Event::PodGone),
        1 => Just(Event::Edit),
        1 => any::<bool>().prop_map(Event::Suspend),
        2 => (-100_000i64..100_000).prop_map(Event::Clock),
    ]
}

struct World {
    /// The application as the API server has it.
    facts: Facts,
    /// The driver pod as the API server has it.
    pod: Option<DriverPod>,
    /// What the cache says about it.
    cached: Driver,
    now: i64,
    created: Vec<String>,
}

impl World {
    fn new(spec: Value) -> Self {
        Self {
            facts: fresh(spec),
            pod: None,
            cached: Driver::NotCached,
            now: 0,
            created: Vec::new(),
        }
    }

    fn status(&self) -> stoke_model::crd::SparkApplicationStatus {
        self.facts.app.status.clone().unwrap_or_default()
    }

    fn live(&self) -> Driver {
        match &self.pod {
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
            self.cached = match &self.pod {
                Some(pod) => Driver::Present(pod.clone()),
                None => Driver::NotCached,
            };
        }
        let mut facts = Facts {
            driver: self.cached.clone(),
            submission: None,
            ..self.facts.clone()
        };
        for _ in 0..8 {
            let before = self.status();
            let decision = decide(&facts, at(self.now));
            check(&before, &decision, &facts);
            if decision.status != before {
                if effects == 0 {
                    return None;
                }
                effects -= 1;
                self.facts.app.status = Some(decision.status.clone());
            }
            facts.app.status = Some(decision.status.clone());
            facts.submission = None;
            let Some(action) = decision.actions.first() else {
                return decision.requeue_at;
            };
            if effects == 0 {
                return None;
            }
            effects -= 1;
            match action {
                Action::Submit => facts.submission = Some(self.submit(&mut facts, refuse)),
                Action::ConfirmDriver(_) => facts.driver = self.live(),
                Action::DeleteDriver(_) => {
                    if let Some(pod) = &mut self.pod {
                        pod.deleting = true;
                    }
                    facts.driver = self.live();
                }
                Action::DeleteApplication => return None,
            }
        }
        panic!("a reconcile that does not settle: {:?}", self.status());
    }

    fn submit(&mut self, facts: &mut Facts, refuse: bool) -> Outcome {
        let id = self.status().submission_id.expect("an intent before the submission");
        if refuse {
            // What was created is removed before the refusal is reported.
            if self
                .pod
                .as_ref()
                .is_some_and(|pod| pod.submission_id.as_deref() == Some(&id))
            {
                self.pod = None;
            }
            return refused();
        }
        match &self.pod {
            Some(pod) if pod.submission_id.as_deref() != Some(&id) => {
                facts.driver = self.live();
                return Outcome::Blocked {
                    message: "in the way".into(),
                };
            }
            Some(_) => {}
            None => {
                self.created.push(id.clone());
                self.pod = Some(DriverPod {
                    name: "pi-driver".into(),
                    submission_id: Some(id),
                    progress: Progress::Pending(None),
                    ..DriverPod::default()
                });
            }
        }
        facts.driver = self.live();
        accepted()
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Reconcile { effects, stale, refuse } => {
                self.reconcile(*effects, *stale, *refuse);
            }
            Event::Progress(kind) => {
                if let Some(pod) = &mut self.pod
                    && !pod.progress.is_finished()
                {
                    pod.progress = match kind {
                        0 | 1 => Progress::Running,
                        2 => succeeded(),
                        3 => failed(),
                        4 => Progress::Unknown,
                        _ => Progress::Pending(Some(PendingReason {
                            reason: "Unschedulable".into(),
                            message: String::new(),
                        })),
                    };
                }
            }
            Event::PodDeleted { lingers: true } => {
                if let Some(pod) = &mut self.pod {
                    pod.deleting = true;
                }
            }
            Event::PodDeleted { lingers: false } => self.pod = None,
            Event::PodGone => {
                if self.pod.as_ref().is_some_and(|pod| pod.deleting) {
                    self.pod = None;
                }
            }
            Event::Edit => edit(&mut self.facts),
            Event::Suspend(value) => suspend(&mut self.facts, *value),
            Event::Clock(by) => self.now += by,
        }
    }
}

/// What holds after every decision.
fn check(before: &stoke_model::crd::SparkApplicationStatus, decision: &Decision, facts: &Facts) {
    let (was, is) = (before.app_state.state, decision.status.app_state.state);
    let path = path(facts, decision);
    if !is.is_terminal() {
        assert!(decision.requeue_at.is_some(), "{was:?} -> {is:?}: nobody looks again");
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
    assert!(decision.actions.len() <= 1);
}

fn specs() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(never()),
        Just(on_failure(2, 10)),
        Just(on_failure(0, 0)),
        Just(always())
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_in_any_life_and_every_life_can_end(spec in specs(), events in prop::collection::vec(event(), 1..60)) {
        let mut world = World::new(spec);
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
            world.now = world.now.max(due.as_second() - at(0).as_second() + 1);
            world.happen(&Event::Progress(2));
        }
        let status = world.status();
        prop_assert!(status.app_state.state.is_terminal(), "stuck: {status:?}");
        if let Some(pod) = &world.pod {
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
