//! Pairs of real runs in which one thing was changed: the first explanation is that thing. The logs were recorded by `pairs/make.py` with
//! Spark 4.1.4 on one machine.
#![allow(clippy::unwrap_used, clippy::panic)]

use stoke_eventlog::{Options, Source};
use stoke_insight::compare::{Kind, compare};
use stoke_insight::cost::{self, Prices};
use stoke_insight::facts::Run;
use stoke_insight::facts::collect;

fn run(name: &str) -> Run {
    let source = Source::directory(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pairs"));
    let logs = source.logs().unwrap();
    let file = format!("{name}.zstd");
    let log = logs
        .iter()
        .find(|log| log.path.ends_with(&file))
        .unwrap_or_else(|| panic!("no {file}"));
    collect::run(&source, log, Options::default()).unwrap()
}

#[test]
fn the_first_explanation_is_the_change() {
    let table = [
        ("base", "data", Kind::Data),
        ("base", "slow", Kind::Work),
        ("base", "skew", Kind::Skew),
        ("base", "cores", Kind::Parallelism),
        ("base", "fail", Kind::Retries),
        ("noaqe", "partitions", Kind::Partitions),
        ("base", "nobroadcast", Kind::Plan),
        ("again", "driver", Kind::Driver),
    ];
    let mut wrong = Vec::new();
    for (a, b, kind) in table {
        let (before, after) = (run(a), run(b));
        let comparison = compare(&before, &after);
        let sum: i64 = comparison.explanations.iter().map(|part| part.milliseconds).sum();
        assert_eq!(sum, comparison.difference, "{a} {b}");
        assert_eq!(comparison.difference, after.duration() - before.duration());
        if comparison.explanations[0].kind != kind {
            wrong.push(format!(
                "{a} -> {b}: expected {kind:?}\n{}",
                comparison.lines().join("\n")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn bills_of_real_runs_sum() {
    let text = "currency: EUR\nprices: [{cpuHour: 0.0425, gibHour: 0.0046}]\n";
    let prices = Prices::read("prices.yaml", text).unwrap();
    for name in ["base", "fail", "skew"] {
        let run = run(name);
        let bill = cost::of(&run, None, Some(&prices)).unwrap();
        let whole = bill.total;
        let sums = [
            bill.holders.iter().map(|part| part.amounts).sum::<cost::Amounts>(),
            bill.uses.iter().map(|part| part.amounts).sum(),
            bill.stages.iter().map(|part| part.amounts).sum::<cost::Amounts>() + bill.outside_stages,
            bill.queries.iter().map(|part| part.amounts).sum::<cost::Amounts>() + bill.outside_queries,
            bill.jobs.iter().map(|part| part.amounts).sum::<cost::Amounts>() + bill.outside_jobs,
        ];
        assert!(sums.iter().all(|sum| *sum == whole), "{name}");
        assert!(whole.cost > cost::Money::ZERO);
        let failed = bill.uses.iter().any(|part| part.name == "failed tasks");
        assert_eq!(failed, name == "fail", "{name}");
    }
}
