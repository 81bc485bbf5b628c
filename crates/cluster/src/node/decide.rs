//! What to do about a pod next: a pure function of what is observed.

use jiff::{SignedDuration, Timestamp};

use super::facts::{Busy, ContainerFacts, Ended, PodFacts, Role, State};

/// The delay before the second restart; every further one doubles it.
const FIRST_DELAY: SignedDuration = SignedDuration::from_secs(10);
/// The longest delay between restarts.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_secs(300);
/// A container that ran this long starts afresh with its delays.
const FORGET_AFTER: SignedDuration = SignedDuration::from_secs(600);

/// What to do now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Containers to start, by index.
    pub start: Vec<usize>,
    /// Containers to stop, by index.
    pub stop: Vec<usize>,
    /// The pod is past its `activeDeadlineSeconds`.
    pub deadline_exceeded: bool,
    /// Nothing runs and nothing will.
    pub over: bool,
    /// When to decide again at the latest.
    pub wake_at: Option<Timestamp>,
}

/// Decides about a pod.
pub(crate) fn decide(facts: &PodFacts, now: Timestamp) -> Decision {
    let mut decision = Decision::default();
    if facts.terminating || facts.failure.is_some() || finished(facts) {
        wind_down(facts, &mut decision);
        return decision;
    }
    if let Some(deadline) = facts.deadline {
        if deadline <= now {
            decision.deadline_exceeded = true;
            return decision;
        }
        wake(&mut decision, deadline);
    }
    if !facts.volumes_ready {
        return decision;
    }
    let initialized = facts.initialized();
    for (index, container) in facts.containers.iter().enumerate() {
        if container.role == Role::Init && initialized {
            continue;
        }
        let done = container.role == Role::Init && container.ended().is_some_and(|ended| ended.exit_code == 0);
        if !done {
            start_if_due(facts, index, container, now, &mut decision);
        }
        let passes = match container.role {
            Role::Init => done,
            Role::Sidecar => initialized || container.started && matches!(container.state, State::Running(_)),
            Role::Main => true,
        };
        if !passes {
            break;
        }
    }
    decision
}

/// Starts a container that should run and does not, unless its delay is not over.
fn start_if_due(facts: &PodFacts, index: usize, container: &ContainerFacts, now: Timestamp, decision: &mut Decision) {
    let wanted = match &container.state {
        State::Waiting(_) => true,
        State::Running(_) => false,
        State::Ended(ended) => facts.restarts(container, ended),
    };
    if !wanted || container.busy.is_some() {
        return;
    }
    match container.retry_at {
        Some(time) if time > now => wake(decision, time),
        _ => decision.start.push(index),
    }
}

/// Stops what runs: first the work, then the sidecars, the last started first.
fn wind_down(facts: &PodFacts, decision: &mut Decision) {
    let alive = |container: &ContainerFacts| container.alive();
    let stoppable = |container: &ContainerFacts| {
        matches!(container.state, State::Running(_)) && container.busy != Some(Busy::Stopping)
    };
    if facts
        .containers
        .iter()
        .any(|container| container.role != Role::Sidecar && alive(container))
    {
        let running = facts.containers.iter().enumerate();
        decision.stop = running
            .filter(|(_, c)| c.role != Role::Sidecar && stoppable(c))
            .map(|(index, _)| index)
            .collect();
        return;
    }
    match facts.containers.iter().rposition(alive) {
        Some(index) if stoppable(&facts.containers[index]) => decision.stop.push(index),
        Some(_) => {}
        None => decision.over = true,
    }
}

/// Whether the pod has reached its end by itself: all work is over for good, or an init container failed for good.
fn finished(facts: &PodFacts) -> bool {
    let for_good =
        |container: &ContainerFacts| container.ended().is_some_and(|ended| !facts.restarts(container, ended));
    let failed_init = facts
        .containers
        .iter()
        .any(|c| c.role == Role::Init && for_good(c) && c.ended().is_some_and(|ended| ended.exit_code != 0));
    let mut work = facts
        .containers
        .iter()
        .filter(|container| container.role == Role::Main)
        .peekable();
    failed_init || work.peek().is_some() && work.all(for_good)
}

/// The phase of a pod: the kubelet's rules.
pub(crate) fn phase(facts: &PodFacts) -> &'static str {
    if facts.failure.is_some() {
        return if facts.containers.iter().any(ContainerFacts::alive) {
            running_phase(facts)
        } else {
            "Failed"
        };
    }
    let ended_badly = |c: &ContainerFacts| c.ended().is_some_and(|ended| ended.exit_code != 0);
    let over = finished(facts) || facts.terminating;
    let alive = facts.containers.iter().any(ContainerFacts::alive);
    if over && !alive {
        let work = facts.containers.iter().filter(|c| c.role != Role::Sidecar);
        let mut work = work.filter(|c| c.role == Role::Main || ended_badly(c));
        // Work that never began, or ended badly, is not success.
        return if work.all(|c| c.ended().is_some_and(|ended| ended.exit_code == 0)) {
            "Succeeded"
        } else {
            "Failed"
        };
    }
    running_phase(facts)
}

fn running_phase(facts: &PodFacts) -> &'static str {
    let begun = |c: &ContainerFacts| matches!(c.state, State::Running(_)) || c.ended().is_some() || c.last.is_some();
    let mut work = facts.containers.iter().filter(|container| container.role == Role::Main);
    if facts.initialized() && work.all(begun) {
        "Running"
    } else {
        "Pending"
    }
}

/// Notes that a container ended: what it is now, and when it may start again.
pub(crate) fn note_end(facts: &mut PodFacts, pod: &str, index: usize, ended: Ended) {
    let policy = facts.clone();
    let Some(container) = facts.containers.get_mut(index) else {
        return;
    };
    container.busy = None;
    container.ready = false;
    container.started = false;
    let ran = ended.started_at.map(|start| ended.finished_at.duration_since(start));
    if ran.is_some_and(|ran| ran > FORGET_AFTER) {
        container.failures = 0;
    }
    let again = policy.restarts(container, &ended);
    let delay = delay(container.failures);
    container.failures += 1;
    if again && !delay.is_zero() {
        container.retry_at = ended.finished_at.checked_add(delay).ok();
        container.last = Some(ended);
        let message = format!(
            "back-off {} restarting failed container={} pod={pod}",
            in_go(delay),
            container.name
        );
        container.state = State::Waiting(Some(("CrashLoopBackOff".to_owned(), message)));
    } else {
        container.retry_at = None;
        container.state = State::Ended(ended);
    }
}

/// The delay after this many ends: none after the first, then 10 s doubling to 5 min.
pub(crate) fn delay(failures: u32) -> SignedDuration {
    match failures {
        0 => SignedDuration::ZERO,
        n => (FIRST_DELAY * 2_i32.saturating_pow((n - 1).min(8))).min(LONGEST_DELAY),
    }
}

/// A duration as Go prints it: `10s`, `2m40s`, `5m0s`.
fn in_go(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m{}s", seconds / 60, seconds % 60)
    }
}

fn wake(decision: &mut Decision, at: Timestamp) {
    decision.wake_at = Some(decision.wake_at.map_or(at, |earlier| earlier.min(at)));
}

#[cfg(test)]
mod tests {
    use super::super::facts::RestartPolicy;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ended(code: i32) -> Ended {
        Ended {
            exit_code: code,
            reason: String::new(),
            message: None,
            started_at: Some(at(90)),
            finished_at: at(100),
            container_id: String::new(),
        }
    }

    /// Containers from a line such as `i:done s:run m:wait`: role, then state.
    fn pod(text: &str, policy: RestartPolicy) -> PodFacts {
        let containers = text
            .split_whitespace()
            .map(|word| {
                let (role, state) = word.split_once(':').unwrap();
                let role = match role {
                    "i" => Role::Init,
                    "s" => Role::Sidecar,
                    _ => Role::Main,
                };
                let mut container = ContainerFacts::new(word, role);
                match state {
                    "wait" => {}
                    "later" => container.retry_at = Some(at(200)),
                    "starting" => container.busy = Some(Busy::Starting),
                    "up" => container.state = State::Running(at(90)),
                    "run" => (container.state, container.started) = (State::Running(at(90)), true),
                    "stopping" => (container.state, container.busy) = (State::Running(at(90)), Some(Busy::Stopping)),
                    "done" => container.state = State::Ended(ended(0)),
                    "fail" => container.state = State::Ended(ended(1)),
                    other => panic!("{other}"),
                }
                container
            })
            .collect();
        PodFacts {
            containers,
            restart_policy: policy,
            volumes_ready: true,
            terminating: false,
            deadline: None,
            failure: None,
        }
    }

    use RestartPolicy::{Always, Never, OnFailure};

    #[test]
    fn what_starts_next() {
        let table: [(&str, RestartPolicy, &[usize], &str); 19] = [
            ("m:wait", Never, &[0], "Pending"),
            ("m:starting", Never, &[], "Pending"),
            ("m:run", Never, &[], "Running"),
            ("m:wait m:wait", Never, &[0, 1], "Pending"),
            ("i:wait i:wait m:wait", Never, &[0], "Pending"),
            ("i:run i:wait m:wait", Never, &[], "Pending"),
            ("i:done i:wait m:wait", Never, &[1], "Pending"),
            ("i:done i:done m:wait", Never, &[2], "Pending"),
            ("i:fail i:wait m:wait", OnFailure, &[0], "Pending"),
            ("s:wait m:wait", Never, &[0], "Pending"),
            ("s:up m:wait", Never, &[], "Pending"),
            ("s:run m:wait", Never, &[1], "Pending"),
            ("s:run i:wait m:wait", Never, &[1], "Pending"),
            ("s:fail m:run", Never, &[0], "Running"),
            ("m:fail", Always, &[0], "Running"),
            ("m:done", Always, &[0], "Running"),
            ("m:fail", OnFailure, &[0], "Running"),
            ("m:later", Always, &[], "Pending"),
            ("m:done m:run", Never, &[], "Running"),
        ];
        for (text, policy, start, expected) in table {
            let facts = pod(text, policy);
            let decision = decide(&facts, at(100));
            assert_eq!(decision.start, start, "{text} {policy:?}");
            assert!(decision.stop.is_empty() && !decision.over, "{text}");
            assert_eq!(phase(&facts), expected, "{text}");
        }
        assert_eq!(decide(&pod("m:later", Always), at(100)).wake_at, Some(at(200)));
        let mut unready = pod("m:wait", Never);
        unready.volumes_ready = false;
        assert_eq!(decide(&unready, at(100)), Decision::default());
    }

    #[test]
    fn how_a_pod_ends() {
        type Row = (&'static str, RestartPolicy, bool, &'static [usize], bool, &'static str);
        let table: [Row; 14] = [
            ("m:done", Never, false, &[], true, "Succeeded"),
            ("m:fail", Never, false, &[], true, "Failed"),
            ("m:done", OnFailure, false, &[], true, "Succeeded"),
            ("m:done m:fail", Never, false, &[], true, "Failed"),
            ("i:fail m:wait", Never, false, &[], true, "Failed"),
            ("s:run m:done", Never, false, &[0], false, "Running"),
            ("s:run s:run m:done", Never, false, &[1], false, "Running"),
            ("s:run s:stopping m:done", Never, false, &[], false, "Running"),
            ("s:run s:fail m:done", Never, false, &[0], false, "Running"),
            ("s:fail m:done", Never, false, &[], true, "Succeeded"),
            ("m:run s:run", Always, true, &[0], false, "Running"),
            ("m:starting", Never, true, &[], false, "Pending"),
            ("m:fail", Always, true, &[], true, "Failed"),
            ("m:wait", Always, true, &[], true, "Failed"),
        ];
        for (text, policy, terminating, stop, over, expected) in table {
            let mut facts = pod(text, policy);
            facts.terminating = terminating;
            let decision = decide(&facts, at(100));
            assert_eq!((decision.stop.as_slice(), decision.over), (stop, over), "{text}");
            assert!(decision.start.is_empty(), "{text}");
            assert_eq!(phase(&facts), expected, "{text}");
        }
    }

    #[test]
    fn a_deadline_ends_the_pod() {
        let mut facts = pod("m:run", Always);
        facts.deadline = Some(at(150));
        assert_eq!(decide(&facts, at(100)).wake_at, Some(at(150)));
        assert!(decide(&facts, at(150)).deadline_exceeded);
        facts.failure = Some(("DeadlineExceeded".into(), String::new()));
        assert_eq!(decide(&facts, at(150)).stop, [0]);
        facts.containers[0].state = State::Ended(ended(143));
        assert!(decide(&facts, at(151)).over);
        assert_eq!(phase(&facts), "Failed");
    }

    #[test]
    fn restarts_are_delayed_as_the_kubelet_does() {
        assert_eq!(
            [0, 1, 2, 3, 5, 6, 60].map(|n| delay(n).as_secs()),
            [0, 10, 20, 40, 160, 300, 300]
        );
        let mut facts = pod("m:run", Always);
        note_end(&mut facts, "p_default(u)", 0, ended(1));
        assert_eq!(decide(&facts, at(100)).start, [0], "the first restart is immediate");
        facts.containers[0].state = State::Running(at(100));
        note_end(&mut facts, "p_default(u)", 0, ended(1));
        let expected = "back-off 10s restarting failed container=m:run pod=p_default(u)";
        assert_eq!(
            facts.containers[0].state,
            State::Waiting(Some(("CrashLoopBackOff".into(), expected.into())))
        );
        assert_eq!(decide(&facts, at(101)).wake_at, Some(at(110)));
        assert_eq!(phase(&facts), "Running");
        assert_eq!(decide(&facts, at(110)).start, [0]);
        facts.containers[0].failures = 9;
        note_end(
            &mut facts,
            "p",
            0,
            Ended {
                started_at: Some(at(0)),
                finished_at: at(700),
                ..ended(1)
            },
        );
        assert_eq!(facts.containers[0].failures, 1, "a long run forgets");
        assert_eq!(in_go(SignedDuration::from_secs(300)), "5m0s");
    }
}
