use super::super::attribute::Busy;
use super::super::hold::Holder;
use super::super::prices::Capacity;
use super::*;
use crate::facts::run::{Executor, Job, Outcome, Query, Stage, Task};

const PRICES: &str = "
currency: EUR
provider: Example Cloud
region: eu-central-1
prices:
  - {cpuHour: 0.036, gibHour: 0.0036, storageGibHour: '0.0001', gpuHour: 3.6, until: 2026-02-01}
  - {cpuHour: 0.072, gibHour: 0.0072, gpuHour: 3.6, from: 2026-02-01}
  - {capacity: spot, cpuHour: 0.012, gibHour: 0.0012, gpuHour: 1}
  - {shape: big, nodeHour: 3.6, cpu: 10, memory: 100Gi}
discounts:
  - {name: agreement, percent: 12.5, capacity: spot}
";

/// 2026-02-01T00:00:00Z.
const FEBRUARY: i64 = 1_769_904_000_000;

fn prices() -> Prices {
    Prices::read("prices.yaml", PRICES).unwrap()
}

/// A run of two executors: one works for two seconds on stage 0 and is idle after, one never has a task.
fn run() -> Run {
    let started = FEBRUARY - 10_000;
    let executor = |id: &str, added: i64| Executor {
        id: id.to_owned(),
        cores: 2,
        added,
        ..Executor::default()
    };
    let task = |index, launched, duration, outcome| Task {
        index,
        launched,
        duration,
        outcome,
        ..Task::default()
    };
    let stage = Stage {
        name: "collect at job.py:1".to_owned(),
        job: Some(0),
        query: Some(4),
        tasks: vec![
            task(0, 4_000, 2_000, Outcome::Succeeded),
            task(1, 4_000, 1_000, Outcome::Failed),
        ],
        ..Stage::default()
    };
    Run {
        spark_version: "4.1.4".to_owned(),
        id: "spark-1".to_owned(),
        name: "etl".to_owned(),
        started,
        ended: Some(started + 20_000),
        spark: [
            ("spark.executor.memory", "1664m"),
            ("spark.driver.memory", "640m"),
            ("spark.kubernetes.driver.label.team", "red"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        executors: vec![executor("1", started + 2_000), executor("2", started + 10_000)],
        jobs: [(0, Job::default())].into(),
        stages: [((0, 0), stage)].into(),
        queries: [(
            4,
            Query {
                description: "the query".to_owned(),
                ..Query::default()
            },
        )]
        .into(),
        ..Run::default()
    }
}

#[test]
fn a_run_over_a_change_of_prices_is_cut_there() {
    let bill = of(&run(), None, Some(&prices())).unwrap();
    // The driver holds 1 CPU and 1 GiB: 10 s at 0.0396 an hour, 10 s at 0.0792. Executors hold 2 CPUs and 2 GiB.
    let cost = |name: &str| {
        bill.holders
            .iter()
            .find(|part| part.name == name)
            .unwrap()
            .amounts
            .cost
            .nanos()
    };
    assert_eq!(cost("driver"), 110_000 + 220_000);
    assert_eq!(cost("executor 1"), 8 * 22_000 + 10 * 44_000);
    assert_eq!(cost("executor 2"), 10 * 44_000);
    assert_eq!(bill.total.cost.nanos(), 330_000 + 616_000 + 440_000);
    assert_eq!(bill.total.core_seconds(), 20 + 2 * 18 + 2 * 10);
    assert_eq!(unbalanced(&bill), None);
    let uses: Vec<(&str, i128)> = bill
        .uses
        .iter()
        .map(|part| (part.name.as_str(), part.amounts.cost.nanos()))
        .collect();
    // Executor 1: 2 s start-up, 2 s and 1 s of tasks on one core each, 1 s of idle core; the tail is 4 s before and 10 s after the change.
    let expected = [
        ("work", 22_000),
        ("driver", 330_000),
        ("start-up", 44_000),
        ("idle", 11_000),
        ("tail", 88_000 + 440_000),
        ("unused", 440_000),
        ("failed tasks", 11_000),
    ];
    assert_eq!(uses, expected);
    assert_eq!((bill.queries[0].id, bill.queries[0].amounts.cost.nanos()), (4, 33_000));
    assert_eq!(
        (bill.stages[0].amounts.cost.nanos(), bill.stages[0].lost.nanos()),
        (33_000, 11_000)
    );
    assert_eq!(bill.labels["team"], "red");
    let text = bill.lines().join("\n");
    assert!(text.starts_with("etl cost 0.001386 EUR in 20 s."), "{text}");
}

#[test]
fn without_prices_time_is_told() {
    let bill = of(&run(), None, None).unwrap();
    assert_eq!(
        (bill.total.cost, bill.currency.clone(), bill.lines.len()),
        (Money::ZERO, None, 0)
    );
    assert_eq!(unbalanced(&bill), None);
    assert!(
        bill.lines().last().unwrap().contains("--prices FILE"),
        "{:?}",
        bill.lines()
    );
}

#[test]
fn windows_sum_to_the_whole() {
    let (run, prices) = (run(), prices());
    let whole = of(&run, None, Some(&prices)).unwrap().total;
    for cut in [
        run.started + 1,
        run.started + 3_333,
        run.started + 11_111,
        run.started + 19_999,
    ] {
        let before = of_window(
            &run,
            None,
            Some(&prices),
            Window {
                from: i64::MIN,
                until: cut,
            },
        )
        .unwrap();
        let after = of_window(
            &run,
            None,
            Some(&prices),
            Window {
                from: cut,
                until: i64::MAX,
            },
        )
        .unwrap();
        assert_eq!(before.total + after.total, whole, "{cut}");
        assert_eq!((unbalanced(&before), unbalanced(&after)), (None, None));
    }
    let days = super::super::showback::daily(&run, None, Some(&prices), Window::ALL).unwrap();
    assert_eq!(
        days.iter().map(|bill| bill.period.until).collect::<Vec<_>>(),
        [FEBRUARY, FEBRUARY + 10_000]
    );
    assert_eq!(days.iter().map(|bill| bill.total).sum::<Amounts>(), whole);
}

#[test]
fn what_has_no_price_is_an_error_with_time_and_fix() {
    let early = PRICES.replace("from: 2026-02-01", "from: 2026-03-01");
    let prices = Prices::read("prices.yaml", &early).unwrap();
    let error = of(&run(), None, Some(&prices)).unwrap_err();
    assert_eq!(error.code(), "stoke::insight::no-price");
    assert!(
        error
            .to_string()
            .contains("prices.yaml has no price for driver at 2026-02-01T00:00:00Z"),
        "{error}"
    );
}

fn holder(id: &str) -> Holder {
    Holder {
        id: id.to_owned(),
        pod: None,
        from: FEBRUARY,
        until: FEBRUARY + 3_600_000,
        millicores: 2_000,
        memory: 30 << 30,
        storage: 0,
        gpus: 0,
        shape: None,
        capacity: None,
        slots: 2,
        busy: Vec::new(),
    }
}

#[test]
fn a_pod_pays_the_greatest_of_its_shares_of_a_node() {
    let mut sums = Sums::default();
    let on = |shape: &str, capacity| Holder {
        shape: Some(shape.to_owned()),
        capacity,
        ..holder("1")
    };
    sums.holder(&on("big", Some(Capacity::Spot)), Some(&prices()), Window::ALL)
        .unwrap();
    // 30 of 100 GiB are more than 2 of 10 CPUs: 0.3 of 3.6, less an eighth.
    assert_eq!(
        (sums.total.list_cost.to_string(), sums.total.cost.to_string()),
        ("1.08".to_owned(), "0.945".to_owned())
    );
    sums.holder(&on("other", Some(Capacity::Spot)), Some(&prices()), Window::ALL)
        .unwrap();
    assert_eq!(sums.total.list_cost.to_string(), "1.14");
    let large = Holder {
        memory: 101 << 30,
        ..on("big", None)
    };
    let error = Sums::default()
        .holder(&large, Some(&prices()), Window::ALL)
        .unwrap_err();
    assert_eq!(error.code(), "stoke::insight::larger-than-node");
}

/// A small generator: Marsaglia's xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound.max(1)
    }

    fn between(&mut self, from: i64, until: i64) -> i64 {
        from + self.below(u64::try_from(until - from).unwrap_or(1)) as i64
    }
}

fn random_holder(random: &mut Random, id: &str, driver: bool) -> Holder {
    let from = FEBRUARY + random.between(-100_000, 100_000);
    let until = from + random.between(0, 200_000);
    let tasks = if driver { 0 } else { random.below(5) };
    let busy = (0..tasks).map(|_| {
        let stage = random.below(3) as u32;
        let what = [
            Use::Work(stage),
            Use::Failed(stage),
            Use::Killed(stage),
            Use::Speculation(stage),
            Use::Unfinished(stage),
        ];
        let begin = from + random.between(-10_000, 200_000);
        Busy {
            what: what[random.below(5) as usize],
            from: begin,
            until: begin + random.between(0, 50_000),
            cores: 1 + random.below(3) as u32,
        }
    });
    let busy = busy.collect();
    Holder {
        id: id.to_owned(),
        from,
        until,
        millicores: random.between(0, 64_000),
        memory: random.between(0, 1 << 40),
        storage: random.between(0, 1 << 30) * i64::from(from < FEBRUARY),
        gpus: random.between(0, 3),
        capacity: [None, Some(Capacity::Spot), Some(Capacity::OnDemand)][random.below(3) as usize],
        slots: if driver { 0 } else { 1 + random.below(8) as u32 },
        busy,
        ..holder("")
    }
}

/// Whatever the prices, lives, tasks and windows, every level sums to the whole, and windows sum to the run.
/// `STOKE_COST_CASES` says how many cases; 100,000 unless it does (8 s of CPU unoptimised). A million are run where the code changes.
#[test]
fn parts_sum_to_the_whole_whatever_happened() {
    let cases: u64 = std::env::var("STOKE_COST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(100_000);
    let prices = prices();
    let mut run = run();
    let stage = |place: i64| Stage {
        job: (place < 2).then_some(place as i32 % 2),
        query: (place == 1).then_some(7),
        ..Stage::default()
    };
    run.stages = (0..3).map(|place| ((place as i32, 0), stage(place))).collect();
    let mut random = Random(0x5EED_5EED_5EED_5EED);
    for case in 0..cases {
        let seed = random.0;
        let priced = (case % 8 != 0).then_some(&prices);
        let holders = [
            random_holder(&mut random, "driver", true),
            random_holder(&mut random, "1", false),
        ];
        let cut = FEBRUARY + random.between(-100_000, 300_000);
        let bill_of = |window: Window| {
            let mut sums = Sums::default();
            for holder in &holders {
                sums.holder(holder, priced, window).unwrap();
            }
            sums.bill(&run, None, priced, Vec::new())
        };
        let window = Window {
            from: i64::MIN,
            until: cut,
        };
        let bill = bill_of(window);
        assert_eq!(unbalanced(&bill), None, "case {case}, seed {seed:#x}");
        let expected: i128 = holders
            .iter()
            .map(|holder| i128::from(holder.millicores) * i128::from((holder.until.min(cut) - holder.from).max(0)))
            .sum();
        assert_eq!(
            bill.total.millicore_milliseconds, expected,
            "case {case}, seed {seed:#x}"
        );
        // The two other bills of the case take twice the time again: every sixteenth has them.
        if case % 16 == 1 {
            let rest = bill_of(Window {
                from: cut,
                until: i64::MAX,
            });
            assert_eq!(
                bill.total + rest.total,
                bill_of(Window::ALL).total,
                "case {case}, seed {seed:#x}"
            );
        }
    }
}
