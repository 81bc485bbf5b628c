//! The scheduler: events in order of time, tasks first come first served.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::WhatIfError;
use super::graph::{Graph, Slots};

/// How a simulation ended, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Simulated {
    /// When the last step was done.
    pub end: u64,
    /// How long at least one task ran.
    pub working: u64,
}

/// Something that happens. At the same time, slots come before tasks end, and steps begin last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    /// An executor comes with slots.
    Came(u32),
    /// A task leaves its slot; its result takes so long from here.
    SlotLeft(usize, u32),
    /// A task of a step has ended.
    TaskEnded(usize),
    /// A step is done.
    Done(usize),
    /// A step may begin.
    Ready(usize),
    /// An executor goes with its slots; tasks on it are let end.
    Went(u32),
}

/// Runs the steps on slots. The heap holds what runs, so that a task costs O(log slots).
pub(super) fn simulate(graph: &Graph, slots: &Slots) -> Result<Simulated, WhatIfError> {
    let mut events: BinaryHeap<Reverse<(u64, Happens)>> = BinaryHeap::new();
    for (from, until, count) in slots {
        events.push(Reverse((*from, Happens::Came(*count))));
        if *until != u64::MAX {
            events.push(Reverse((*until, Happens::Went(*count))));
        }
    }
    let mut state = State {
        graph,
        free: 0,
        queue: BTreeSet::new(),
        next: vec![0; graph.steps.len()],
        left: graph.steps.iter().map(|step| step.tasks.len()).collect(),
        waits: graph.steps.iter().map(|step| step.waits).collect(),
        running: 0,
    };
    for (place, step) in graph.steps.iter().enumerate() {
        if step.waits == 0 {
            events.push(Reverse((step.delay, Happens::Ready(place))));
        }
    }
    let (mut end, mut working, mut since, mut done) = (0, 0, 0, 0);
    while let Some(Reverse((now, event))) = events.pop() {
        if state.running > 0 {
            working += now - since;
        }
        since = now;
        if let Happens::Done(_) = event {
            (end, done) = (end.max(now), done + 1);
        }
        state.take(now, event, &mut events);
        // Whatever else happens now is seen before slots are given away.
        if events.peek().is_none_or(|Reverse((time, _))| *time > now) {
            state.launch(now, &mut events);
            // The log tells that all executors went before its last tasks ended elsewhere: one slot lets them end.
            if state.running == 0 && state.free <= 0 && events.is_empty() && done < graph.steps.len() {
                state.free = 1;
                state.launch(now, &mut events);
            }
        }
    }
    match graph.steps.len() - done {
        0 => Ok(Simulated { end, working }),
        left => Err(WhatIfError::Order(left)),
    }
}

struct State<'a> {
    graph: &'a Graph,
    /// Slots without a task; below zero while tasks of executors that went are let end.
    free: i64,
    /// Steps with tasks to launch, in the scheduler's order.
    queue: BTreeSet<((i32, i32, i32), usize)>,
    /// The next task of each step.
    next: Vec<usize>,
    /// Tasks of each step that have not ended.
    left: Vec<usize>,
    /// Steps each one waits for.
    waits: Vec<usize>,
    /// Tasks that run.
    running: usize,
}

impl State<'_> {
    fn take(&mut self, now: u64, event: Happens, events: &mut BinaryHeap<Reverse<(u64, Happens)>>) {
        match event {
            Happens::Came(slots) => self.free += i64::from(slots),
            Happens::Went(slots) => self.free -= i64::from(slots),
            Happens::Ready(step) if self.left[step] == 0 => {
                events.push(Reverse((now + self.graph.steps[step].tail, Happens::Done(step))));
            }
            Happens::Ready(step) => {
                self.queue.insert((self.graph.steps[step].rank, step));
            }
            Happens::SlotLeft(step, after) => {
                self.free += 1;
                events.push(Reverse((now + u64::from(after), Happens::TaskEnded(step))));
            }
            Happens::TaskEnded(step) => {
                self.running -= 1;
                self.left[step] -= 1;
                if self.left[step] == 0 {
                    events.push(Reverse((now + self.graph.steps[step].tail, Happens::Done(step))));
                }
            }
            Happens::Done(step) => {
                for then in &self.graph.steps[step].then {
                    self.waits[*then] -= 1;
                    if self.waits[*then] == 0 {
                        events.push(Reverse((now + self.graph.steps[*then].delay, Happens::Ready(*then))));
                    }
                }
            }
        }
    }

    fn launch(&mut self, now: u64, events: &mut BinaryHeap<Reverse<(u64, Happens)>>) {
        while self.free > 0 {
            let Some(&(rank, step)) = self.queue.first() else {
                return;
            };
            let tasks = &self.graph.steps[step].tasks;
            let task = tasks[self.next[step]];
            self.next[step] += 1;
            if self.next[step] == tasks.len() {
                self.queue.remove(&(rank, step));
            }
            self.free -= 1;
            self.running += 1;
            events.push(Reverse((
                now + u64::from(task.slot),
                Happens::SlotLeft(step, task.after),
            )));
        }
    }
}
