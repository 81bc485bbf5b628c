//! The scheduler: events in order of time, tasks first come first served, and a driver that launches one task after the other.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::WhatIfError;
use super::graph::{Graph, Slots, Taken};

/// What launching a task costs. Of the time a recorded task waited in its slot, as much as `most` milliseconds were the driver's (which
/// launches one after the other), and of that the part `share` was work; the other part was waiting for the driver, which the simulation
/// makes again. What is above `most` is kept as it is: the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Launching {
    /// Of the driver's time for a task, the part in which it worked for this task. 0 to 1.
    pub share: f64,
    /// Milliseconds of the driver for a task, at the most.
    pub most: u32,
}

impl Launching {
    /// The driver takes no time of its own: each task waits as long as it did.
    pub(super) const APART: Launching = Launching { share: 0.0, most: 0 };

    /// Microseconds of the driver.
    pub(super) fn work(self, task: Taken) -> u64 {
        (f64::from(task.wait.min(self.most)) * 1000.0 * self.share) as u64
    }
}

/// What a simulation reckons with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Costs {
    /// Launching, and executors that are new to a stage.
    Real(Launching),
    /// Neither: what no configuration can beat.
    Ideal,
}

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
    /// An executor comes.
    Came(usize),
    /// A task leaves its slot on an executor; its result takes so long from here.
    SlotLeft(usize, usize, u32),
    /// A task of a step has ended.
    TaskEnded(usize),
    /// A step is done.
    Done(usize),
    /// A step may begin.
    Ready(usize),
    /// An executor goes; tasks on it are let end.
    Went(usize),
}

/// Times in the simulation are microseconds, so that the driver's work for a task is not rounded away.
const MICROS: u64 = 1000;

type Events = BinaryHeap<Reverse<(u64, Happens)>>;

/// Runs the steps on executors. The heap holds what runs, so that a task costs O(log slots).
pub(super) fn simulate(graph: &Graph, slots: &Slots, costs: Costs) -> Result<Simulated, WhatIfError> {
    let mut events = Events::new();
    for (executor, (from, until, _)) in slots.iter().enumerate() {
        events.push(Reverse((from * MICROS, Happens::Came(executor))));
        if *until != u64::MAX {
            events.push(Reverse((until.saturating_mul(MICROS), Happens::Went(executor))));
        }
    }
    let executor = |(.., slots): &(u64, u64, u32)| Executor {
        slots: *slots,
        ..Executor::default()
    };
    let mut state = State {
        graph,
        costs,
        executors: slots.iter().map(executor).collect(),
        free: BTreeSet::new(),
        queue: BTreeSet::new(),
        next: vec![0; graph.steps.len()],
        left: graph.steps.iter().map(|step| step.tasks.len()).collect(),
        waits: graph.steps.iter().map(|step| step.waits).collect(),
        running: 0,
        driver: 0,
        had: vec![BTreeMap::new(); graph.steps.len()],
    };
    for (place, step) in graph.steps.iter().enumerate() {
        if step.waits == 0 {
            events.push(Reverse((step.delay * MICROS, Happens::Ready(place))));
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
            if state.running == 0 && state.free.is_empty() && events.is_empty() && done < graph.steps.len() {
                state.executors.push(Executor {
                    slots: 1,
                    there: true,
                    ..Executor::default()
                });
                state.offer(state.executors.len() - 1);
                state.launch(now, &mut events);
            }
        }
    }
    match graph.steps.len() - done {
        0 => Ok(Simulated {
            end: end.div_ceil(MICROS),
            working: working.div_ceil(MICROS),
        }),
        left => Err(WhatIfError::Order(left)),
    }
}

/// An executor in a simulation.
#[derive(Debug, Default)]
struct Executor {
    slots: u32,
    taken: u32,
    there: bool,
}

struct State<'a> {
    graph: &'a Graph,
    costs: Costs,
    executors: Vec<Executor>,
    /// Executors with free slots, by how many: as Spark, the next task goes where most are free.
    free: BTreeSet<(u32, usize)>,
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
    /// When the driver has launched what it was asked to.
    driver: u64,
    /// Of each step, how many tasks executors got, where that matters.
    had: Vec<BTreeMap<usize, u32>>,
}

impl State<'_> {
    fn take(&mut self, now: u64, event: Happens, events: &mut Events) {
        match event {
            Happens::Came(executor) => {
                self.executors[executor].there = true;
                self.offer(executor);
            }
            Happens::Went(executor) => {
                self.withdraw(executor);
                self.executors[executor].there = false;
            }
            Happens::Ready(step) if self.left[step] == 0 => self.finish(now, step, events),
            Happens::Ready(step) => {
                self.queue.insert((self.graph.steps[step].rank, step));
            }
            Happens::SlotLeft(executor, step, after) => {
                self.withdraw(executor);
                self.executors[executor].taken -= 1;
                self.offer(executor);
                match after {
                    // Nothing comes between: what else happens now is either a slot, or waits for this.
                    0 => self.ended(now, step, events),
                    _ => events.push(Reverse((now + u64::from(after) * MICROS, Happens::TaskEnded(step)))),
                }
            }
            Happens::TaskEnded(step) => self.ended(now, step, events),
            Happens::Done(step) => {
                self.had[step] = BTreeMap::new();
                for then in &self.graph.steps[step].then {
                    self.waits[*then] -= 1;
                    if self.waits[*then] == 0 {
                        let delay = self.graph.steps[*then].delay * MICROS;
                        events.push(Reverse((now + delay, Happens::Ready(*then))));
                    }
                }
            }
        }
    }

    fn ended(&mut self, now: u64, step: usize, events: &mut Events) {
        self.running -= 1;
        self.left[step] -= 1;
        if self.left[step] == 0 {
            self.finish(now, step, events);
        }
    }

    fn finish(&self, now: u64, step: usize, events: &mut Events) {
        let tail = self.graph.steps[step].tail * MICROS;
        events.push(Reverse((now + tail, Happens::Done(step))));
    }

    fn offer(&mut self, executor: usize) {
        let offers = &self.executors[executor];
        if offers.there && offers.taken < offers.slots {
            self.free.insert((offers.slots - offers.taken, executor));
        }
    }

    fn withdraw(&mut self, executor: usize) {
        let offers = &self.executors[executor];
        self.free.remove(&(offers.slots - offers.taken, executor));
    }

    fn launch(&mut self, now: u64, events: &mut Events) {
        while let (Some(&(rank, step)), Some(&(_, executor))) = (self.queue.first(), self.free.last()) {
            let planned = &self.graph.steps[step];
            let task = planned.tasks[self.next[step]];
            self.next[step] += 1;
            if self.next[step] == planned.tasks.len() {
                self.queue.remove(&(rank, step));
            }
            self.withdraw(executor);
            let on = &mut self.executors[executor];
            on.taken += 1;
            let until = match self.costs {
                Costs::Ideal => now + u64::from(task.warm()) * MICROS,
                Costs::Real(launching) => {
                    self.driver = self.driver.max(now) + launching.work(task);
                    let network = task.wait - task.wait.min(launching.most);
                    let mut own = task.warm();
                    if planned.warmth.matters() {
                        let had = self.had[step].entry(executor).or_default();
                        own += planned.warmth.cold(*had, on.slots);
                        *had += 1;
                    }
                    self.driver + u64::from(network + own) * MICROS
                }
            };
            self.offer(executor);
            self.running += 1;
            events.push(Reverse((until, Happens::SlotLeft(executor, step, task.after))));
        }
    }
}
