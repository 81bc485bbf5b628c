//! Where the time of an executor's cores went.

use std::collections::BTreeMap;

use super::money::share;

/// What core-time was for. The number is the stage attempt's place in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// The driver, whole.
    Driver,
    /// An executor before its first task.
    StartUp,
    /// Task attempts that succeeded.
    Work(u32),
    /// Task attempts that failed.
    Failed(u32),
    /// Task attempts that were killed, but for those that lost to a copy of themselves.
    Killed(u32),
    /// Task attempts that lost to a copy of themselves, where one of both was speculative.
    Speculation(u32),
    /// Task attempts of which the log tells no end.
    Unfinished(u32),
    /// Cores without a task between an executor's first and last.
    Idle,
    /// An executor after its last task.
    Tail,
    /// An executor that never had a task.
    Unused,
}

impl Use {
    /// The stage attempt it is for.
    pub fn stage(self) -> Option<usize> {
        match self {
            Use::Work(stage)
            | Use::Failed(stage)
            | Use::Killed(stage)
            | Use::Speculation(stage)
            | Use::Unfinished(stage) => Some(stage as usize),
            Use::Driver | Use::StartUp | Use::Idle | Use::Tail | Use::Unused => None,
        }
    }

    /// What it is called in a bill.
    pub fn name(self) -> &'static str {
        match self {
            Use::Driver => "driver",
            Use::StartUp => "start-up",
            Use::Work(_) => "work",
            Use::Failed(_) => "failed tasks",
            Use::Killed(_) => "killed tasks",
            Use::Speculation(_) => "speculation",
            Use::Unfinished(_) => "unfinished tasks",
            Use::Idle => "idle",
            Use::Tail => "tail",
            Use::Unused => "unused",
        }
    }
}

/// A task attempt on an executor. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    pub what: Use,
    /// From when.
    pub from: i64,
    /// Until when.
    pub until: i64,
    /// On how many cores.
    pub cores: u32,
}

/// Core-milliseconds of an executor within a window, by what they were for, in the order of [`Use`].
///
/// `life` is from when to when it was there, `slots` the cores it offered. Tasks are cut to its life. Where tasks took more cores than there
/// were (the log's clocks are of two machines), nothing was idle. The numbers are weights: times of a broken log that do not fit stay at the
/// greatest number.
pub fn core_time(life: (i64, i64), slots: u32, busy: &[Busy], window: (i64, i64)) -> Vec<(Use, u64)> {
    let cut = |from: i64, until: i64| {
        let from = from.max(life.0).max(window.0);
        let until = until.min(life.1).min(window.1);
        u64::try_from(until.saturating_sub(from)).unwrap_or(0)
    };
    let slots = u64::from(slots);
    let inside = |task: &&Busy| task.from < life.1 && task.until > life.0;
    let first = busy.iter().filter(inside).map(|task| task.from).min();
    let last = busy.iter().filter(inside).map(|task| task.until).max();
    let (Some(first), Some(last)) = (first, last) else {
        return vec![(Use::Unused, slots.saturating_mul(cut(life.0, life.1)))];
    };
    let mut uses = BTreeMap::new();
    let mut taken: u64 = 0;
    for task in busy {
        let time = u64::from(task.cores).saturating_mul(cut(task.from, task.until));
        taken = taken.saturating_add(time);
        let sum: &mut u64 = uses.entry(task.what).or_default();
        *sum = sum.saturating_add(time);
    }
    uses.insert(Use::StartUp, slots.saturating_mul(cut(life.0, first)));
    uses.insert(Use::Tail, slots.saturating_mul(cut(last, life.1)));
    uses.insert(Use::Idle, slots.saturating_mul(cut(first, last)).saturating_sub(taken));
    uses.into_iter().filter(|(_, time)| *time > 0).collect()
}

/// Divides amounts (money, core-time, memory-time, …) among uses. Each column sums to its whole. None beyond 128 bits.
pub(crate) fn divide<const N: usize>(whole: [i128; N], uses: &[(Use, u64)]) -> Option<Vec<(Use, [i128; N])>> {
    let weights: Vec<u64> = uses.iter().map(|(_, weight)| *weight).collect();
    let mut parts: Vec<(Use, [i128; N])> = uses.iter().map(|(what, _)| (*what, [0; N])).collect();
    for (column, amount) in whole.into_iter().enumerate() {
        if amount == 0 {
            continue;
        }
        for (part, value) in parts.iter_mut().zip(share(amount, &weights)?) {
            part.1[column] = value;
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(what: Use, from: i64, until: i64) -> Busy {
        Busy {
            what,
            from,
            until,
            cores: 1,
        }
    }

    #[test]
    fn core_time_is_where_it_went() {
        use Use::*;
        let whole = (i64::MIN, i64::MAX);
        type Row = (&'static str, u32, Vec<Busy>, (i64, i64), Vec<(Use, u64)>);
        let table: Vec<Row> = vec![
            ("no task", 2, vec![], whole, vec![(Unused, 200)]),
            (
                "one task",
                2,
                vec![task(Work(0), 110, 150)],
                whole,
                vec![(StartUp, 20), (Work(0), 40), (Idle, 40), (Tail, 100)],
            ),
            (
                "full",
                1,
                vec![task(Work(0), 100, 160), task(Failed(1), 160, 200)],
                whole,
                vec![(Work(0), 60), (Failed(1), 40)],
            ),
            (
                "window",
                1,
                vec![task(Work(0), 110, 160)],
                (150, 170),
                vec![(Work(0), 10), (Tail, 10)],
            ),
            (
                "before and after its life",
                1,
                vec![task(Work(0), 50, 120), task(Killed(3), 190, 900)],
                whole,
                vec![(Work(0), 20), (Killed(3), 10), (Idle, 70)],
            ),
            (
                "more tasks than cores",
                1,
                vec![task(Work(0), 100, 200), task(Work(1), 100, 200)],
                whole,
                vec![(Work(0), 100), (Work(1), 100)],
            ),
            (
                "another's task",
                1,
                vec![task(Work(0), 300, 400)],
                whole,
                vec![(Unused, 100)],
            ),
        ];
        for (name, slots, busy, window, expected) in table {
            assert_eq!(core_time((100, 200), slots, &busy, window), expected, "{name}");
        }
    }

    #[test]
    fn columns_sum() {
        let parts = divide([10, -7, 0], &[(Use::Driver, 1), (Use::Idle, 1), (Use::Tail, 1)]).unwrap();
        assert_eq!(
            parts,
            [
                (Use::Driver, [4, -2, 0]),
                (Use::Idle, [3, -2, 0]),
                (Use::Tail, [3, -3, 0])
            ]
        );
    }
}
