use super::*;
use crate::facts::run::{Executor, Job, Outcome, Stage, Task};

/// A run with one job of one stage: tasks by (slot, from, duration), and how much it read.
fn run(tasks: &[(u64, u32)], read: u64, end: i64) -> Run {
    let tasks: Vec<Task> = tasks
        .iter()
        .enumerate()
        .map(|(index, (launched, duration))| Task {
            index: index as u32,
            launched: *launched,
            duration: *duration,
            outcome: Outcome::Succeeded,
            input: read / tasks.len() as u64,
            ..Task::default()
        })
        .collect();
    let stage = Stage {
        name: "collect at job.py:7".to_owned(),
        task_count: tasks.len() as u32,
        tasks,
        ..Stage::default()
    };
    Run {
        started: 0,
        ended: Some(end),
        executors: vec![Executor {
            id: "1".to_owned(),
            cores: 2,
            ..Executor::default()
        }],
        jobs: [(
            0,
            Job {
                started: 1_000,
                ended: Some(end - 1_000),
                ..Job::default()
            },
        )]
        .into(),
        stages: [((0, 0), stage)].into(),
        ..Run::default()
    }
}

/// Four tasks of a second each on two slots.
fn base() -> Run {
    run(
        &[(1_000, 1_000), (1_000, 1_000), (2_000, 1_000), (2_000, 1_000)],
        100,
        4_000,
    )
}

#[test]
fn each_change_is_named() {
    let failing = {
        let mut run = run(
            &[
                (1_000, 1_000),
                (1_000, 1_000),
                (2_000, 1_000),
                (2_000, 1_000),
                (3_000, 2_000),
                (5_000, 1_000),
            ],
            100,
            7_000,
        );
        let tasks = &mut run.stages.get_mut(&(0, 0)).unwrap().tasks;
        tasks.iter_mut().for_each(|task| task.input = 20);
        tasks[4].outcome = Outcome::Failed;
        (tasks[5].index, tasks[5].attempt) = (4, 1);
        run.stages.get_mut(&(0, 0)).unwrap().task_count = 4;
        run
    };
    let moved = |shift: u64, end: i64| {
        run(
            &[
                (1_000 + shift, 1_000),
                (1_000 + shift, 1_000),
                (2_000 + shift, 1_000),
                (2_000 + shift, 1_000),
            ],
            100,
            end,
        )
    };
    let many: Vec<(u64, u32)> = (0..40u64).map(|place| (1_000 + place / 2 * 200, 200)).collect();
    let table = [
        (
            "twice the data",
            run(
                &[(1_000, 2_000), (1_000, 2_000), (3_000, 2_000), (3_000, 2_000)],
                200,
                6_000,
            ),
            Kind::Data,
            2_000,
        ),
        (
            "slower",
            run(
                &[(1_000, 2_000), (1_000, 2_000), (3_000, 2_000), (3_000, 2_000)],
                100,
                6_000,
            ),
            Kind::Work,
            2_000,
        ),
        (
            "fewer tasks than slots",
            run(
                &[(1_000, 1_000), (2_000, 1_000), (3_000, 1_000), (4_000, 1_000)],
                100,
                6_000,
            ),
            Kind::Skew,
            2_000,
        ),
        (
            "one slot",
            {
                let times = [(1_000, 1_000), (2_000, 1_000), (3_000, 1_000), (4_000, 1_000)];
                let mut run = run(&times, 100, 6_000);
                run.executors[0].cores = 1;
                run
            },
            Kind::Parallelism,
            2_000,
        ),
        (
            "skew",
            run(&[(1_000, 400), (1_000, 2_800), (1_400, 400), (1_800, 400)], 100, 4_800),
            Kind::Skew,
            800,
        ),
        ("retry", failing, Kind::Retries, 3_000),
        ("partitions", run(&many, 100, 6_000), Kind::Partitions, 2_000),
        ("waiting", moved(500, 4_500), Kind::Waiting, 500),
        (
            "driver",
            {
                let mut run = base();
                run.ended = Some(5_000);
                run
            },
            Kind::Driver,
            1_000,
        ),
    ];
    for (name, other, kind, milliseconds) in table {
        let comparison = compare(&base(), &other);
        let sum: i64 = comparison.explanations.iter().map(|part| part.milliseconds).sum();
        assert_eq!(sum, comparison.difference, "{name}");
        let first = &comparison.explanations[0];
        assert_eq!(
            (first.kind, first.milliseconds),
            (kind, milliseconds),
            "{name}: {:#?}",
            comparison.explanations
        );
        let back = compare(&other, &base());
        assert_eq!(
            back.explanations.iter().map(|part| part.milliseconds).sum::<i64>(),
            -comparison.difference,
            "{name}"
        );
        assert_eq!(back.explanations[0].kind, kind, "{name}");
        assert!(!comparison.lines().is_empty());
    }
}

#[test]
fn a_run_is_as_itself() {
    let comparison = compare(&base(), &base());
    assert_eq!((comparison.difference, comparison.explanations.len()), (0, 0));
    assert!(comparison.is_same_time());
    let nothing = compare(&Run::default(), &Run::default());
    assert!(nothing.lines()[0].starts_with("Both took about the same time"));
}

#[test]
fn stages_are_matched_though_ids_shift_and_lines_move() {
    let mut other = base();
    let mut stage = other.stages.remove(&(0, 0)).unwrap();
    stage.name = "collect at job.py:9".to_owned();
    other.stages.insert((5, 0), stage);
    let comparison = compare(&base(), &other);
    assert_eq!(comparison.stages.len(), 1);
    assert_eq!(comparison.stages[0].ids, (Some(0), Some(5)));
}
