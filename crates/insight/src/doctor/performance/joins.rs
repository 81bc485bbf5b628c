//! Joins that were done in a costly way.

use super::Finding;
use super::measure::Ran;
use super::{conf, size, worth};
use crate::facts::Run;
use crate::facts::run::{Plan, Query, Stage};
use stoke_diagnostics::{Diagnostic, Evidence, Fix, Gain, Rule, Severity};
use stoke_model::memory::ByteUnit;
use stoke_model::units::people::{bytes, count, counted, duration, memory, up_to_multiple};

/// The largest side that is sensible to broadcast without knowing more. Ours: six times Spark's default of 10 MB; it is held in memory by
/// the driver and each executor.
const BROADCASTABLE: u64 = 64 << 20;
/// The other side is at least this many times larger. Ours: below it a shuffle of both costs about the same.
const LARGER: u64 = 10;
/// A side that is worth not shuffling. Ours.
const WORTH_BYTES: u64 = 256 << 20;
/// A broadcast table this large is more than a table to look things up in. Ours.
const LARGE_BROADCAST: u64 = 256 << 20;
/// Pairs of rows from which a join without keys is worth a word. Ours.
const MANY_PAIRS: u64 = 100_000_000;
/// `spark.sql.autoBroadcastJoinThreshold` by default.
const DEFAULT_THRESHOLD: u64 = 10 << 20;

const SMALL_SIDE: Rule = Rule {
    text: "Both sides of a join were shuffled and sorted although one side was <= 64 MiB and the other >= 256 MiB and >= 10 times as large, and the stages of that shuffle took time that is worth telling.",
    source: "https://spark.apache.org/docs/latest/sql-performance-tuning.html#automatically-broadcasting-joins",
};
const LARGE: Rule = Rule {
    text: "A table of >= 256 MiB was collected by the driver and sent to every executor, in time that is worth telling.",
    source: "https://spark.apache.org/docs/latest/sql-performance-tuning.html#automatically-broadcasting-joins",
};
const PAIRS: Rule = Rule {
    text: "A join without equal keys compared >= 100,000,000 pairs of rows in a query whose time is worth telling.",
    source: "https://spark.apache.org/docs/latest/sql-performance-tuning.html#join-strategy-hints",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(worst(run, small_side));
    findings.extend(worst(run, large_broadcast));
    findings.extend(worst(run, pairs));
    findings
}

/// The finding that costs most among those a rule makes of all queries' nodes; those of further queries become evidence.
fn worst(run: &Run, of: impl Fn(&Run, i64, &Query, &Plan) -> Option<Finding>) -> Option<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for (id, query) in &run.queries {
        all.extend(
            query
                .plan
                .nodes()
                .into_iter()
                .filter_map(|node| of(run, *id, query, node)),
        );
    }
    all.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    let more: Vec<Evidence> = all
        .iter()
        .skip(1)
        .take(2)
        .filter_map(|finding| finding.diagnostic.evidence.first().cloned())
        .collect();
    let mut first = all.into_iter().next()?;
    first.diagnostic.evidence.extend(more);
    Some(first)
}

fn metric(node: &Plan, name: &str) -> u64 {
    node.metric(name).map_or(0, i64::unsigned_abs)
}

/// The shuffle a side of a join comes from, with the sort between: no other operator that changes the data may be there.
struct Side<'a> {
    exchange: &'a Plan,
    sort_time: u64,
}

fn side(of: &Plan) -> Option<Side<'_>> {
    let (mut node, mut sort_time) = (of, 0);
    loop {
        match node.name.as_str() {
            "Exchange" => {
                return Some(Side {
                    exchange: node,
                    sort_time,
                });
            }
            "Sort" => sort_time = sort_time.saturating_add(metric(node, "sort time")),
            name if name.starts_with("WholeStageCodegen") => {}
            "InputAdapter" | "AQEShuffleRead" | "CustomShuffleReader" | "ShuffleQueryStage" | "Project" | "Filter" => {}
            _ => return None,
        }
        node = node.children.first()?;
    }
}

/// Which sides a join may broadcast (`JoinSelection`: the side whose rows need not be kept).
fn may_broadcast(text: &str) -> (bool, bool) {
    let kind = |kind: &str| text.contains(&format!(", {kind}"));
    match () {
        () if kind("FullOuter") => (false, false),
        () if kind("LeftOuter") || kind("LeftSemi") || kind("LeftAnti") || kind("ExistenceJoin") => (false, true),
        () if kind("RightOuter") => (true, false),
        () => (true, true),
    }
}

fn small_side(run: &Run, id: i64, query: &Query, node: &Plan) -> Option<Finding> {
    if !node.name.starts_with("SortMergeJoin") && !node.name.starts_with("ShuffledHashJoin") {
        return None;
    }
    let [left, right] = node.children.as_slice() else {
        return None;
    };
    let (left, right) = (side(left)?, side(right)?);
    let (left_size, right_size) = (metric(left.exchange, "data size"), metric(right.exchange, "data size"));
    let (left_may, right_may) = may_broadcast(&node.text);
    let (small, large_size, large) = match right_size <= left_size {
        true if right_may => (right_size, left_size, left),
        false if left_may => (left_size, right_size, right),
        _ => return None,
    };
    if small > BROADCASTABLE || large_size < small.saturating_mul(LARGER).max(WORTH_BYTES) {
        return None;
    }
    let written = metric(large.exchange, "shuffle bytes written");
    let shuffling = shuffle_time(run, query, written);
    if !worth::time(run, shuffling) {
        return None;
    }
    let threshold = size(
        run,
        "spark.sql.autoBroadcastJoinThreshold",
        ByteUnit::Byte,
        DEFAULT_THRESHOLD,
    );
    let wanted = up_to_multiple(small.saturating_mul(3) / 2, 1 << 20).max(DEFAULT_THRESHOLD);
    let measured = large
        .sort_time
        .saturating_add(metric(large.exchange, "shuffle write time") / 1_000_000);
    let hint = "The broadcast hint in the code does the same for this join alone.";
    let fix = match threshold {
        Some(threshold) if threshold >= small => Fix {
            text: format!("Broadcast the small side. Spark did not know its size in advance: {hint}"),
            patch: match super::adaptive(run) {
                true => None,
                false => Some(conf(&[("spark.sql.adaptive.enabled", "true".to_owned())])),
            },
        },
        _ => Fix {
            text: format!(
                "Broadcast the small side: raise the threshold above its {}. {hint}",
                bytes(small)
            ),
            patch: Some(conf(&[("spark.sql.autoBroadcastJoinThreshold", memory(wanted))])),
        },
    };
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "join-small-side-shuffled",
            format!(
                "A join in query {id} shuffled and sorted {} to meet a side of only {}.",
                bytes(large_size),
                bytes(small)
            ),
        )
        .with_evidence(vec![
            Evidence::new(format!("query {id}"), node.text.clone()),
            Evidence::new(
                format!("query {id}"),
                format!(
                    "sides of {} and {}; the large one's shuffle wrote {}, its sort and write took {} of \
                    task time",
                    bytes(small),
                    bytes(large_size),
                    bytes(written),
                    duration(measured)
                ),
            ),
            Evidence::new(
                "spark.sql.autoBroadcastJoinThreshold",
                run.property("spark.sql.autoBroadcastJoinThreshold")
                    .unwrap_or("10m (default)"),
            ),
        ])
        .with_rule(SMALL_SIDE)
        .with_fix(fix)
        .with_gain(Gain {
            text: format!(
                "at most {}: the stages that wrote and read that shuffle, of which the reading of \
                the input and the join itself stay",
                duration(shuffling)
            ),
            milliseconds: Some(shuffling),
        }),
        weight: shuffling,
    })
}

/// Time of the stage that wrote a shuffle of so many bytes, and of the one that read it.
fn shuffle_time(run: &Run, query: &Query, written: u64) -> u64 {
    let near = |bytes: u64| written > 0 && bytes.abs_diff(written) <= written / 10;
    let first = |of: fn(&Stage) -> u64| {
        stages(run, query)
            .filter(|stage| near(of(stage)))
            .find_map(|stage| Ran::of(run, stage))
    };
    let writer = first(|stage| stage.totals.shuffle_write);
    let reader = first(|stage| stage.totals.shuffle_read);
    [writer, reader]
        .iter()
        .flatten()
        .map(|ran| ran.wall())
        .fold(0, u64::saturating_add)
}

/// Stages of a query.
fn stages<'a>(run: &'a Run, query: &'a Query) -> impl Iterator<Item = &'a Stage> {
    let of_query = |stage: &&Stage| stage.job.is_some_and(|job| query.jobs.contains(&job));
    run.stages.values().filter(of_query)
}

fn large_broadcast(run: &Run, id: i64, _: &Query, node: &Plan) -> Option<Finding> {
    if node.name != "BroadcastExchange" {
        return None;
    }
    let table = metric(node, "data size");
    let [collect, build, send] =
        ["time to collect", "time to build", "time to broadcast"].map(|name| metric(node, name));
    let time = collect.saturating_add(build).saturating_add(send);
    if table < LARGE_BROADCAST || !worth::time(run, time) {
        return None;
    }
    let threshold = size(
        run,
        "spark.sql.autoBroadcastJoinThreshold",
        ByteUnit::Byte,
        DEFAULT_THRESHOLD,
    );
    let raised = threshold.is_some_and(|threshold| threshold > DEFAULT_THRESHOLD);
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "broadcast-of-large-table",
            format!(
                "Query {id} broadcast a table of {} ({}): the driver and each executor hold all \
                of it.",
                bytes(table),
                counted(metric(node, "number of output rows"), "row")
            ),
        )
        .with_evidence(vec![Evidence::new(
            format!("query {id}"),
            format!(
                "collecting took {}, building {}, sending {}",
                duration(collect),
                duration(build),
                duration(send)
            ),
        )])
        .with_rule(LARGE)
        .with_fix(match raised {
            true => Fix {
                text: "Lower the threshold, so that this join shuffles instead.".to_owned(),
                patch: Some(conf(&[("spark.sql.autoBroadcastJoinThreshold", "10m".to_owned())])),
            },
            false => Fix {
                text: "Take the broadcast hint away from this table, or select fewer rows and columns of \
                it before the join."
                    .to_owned(),
                patch: None,
            },
        })
        .with_gain(Gain {
            text: format!(
                "at most {}: the broadcast's time; a shuffle of both sides takes its place",
                duration(time)
            ),
            milliseconds: Some(time),
        }),
        weight: time,
    })
}

fn pairs(run: &Run, id: i64, query: &Query, node: &Plan) -> Option<Finding> {
    if node.name != "CartesianProduct" && node.name != "BroadcastNestedLoopJoin" {
        return None;
    }
    let [left, right] = node.children.as_slice() else {
        return None;
    };
    let (left, right) = (rows(left)?, rows(right)?);
    let longest = stages(run, query)
        .filter_map(|stage| Ran::of(run, stage))
        .max_by_key(Ran::wall)?;
    let wall = longest.wall();
    // A Cartesian product has a task for each pair of partitions, and each reads its two again: rows are counted as often.
    let again = match node.name.as_str() {
        "CartesianProduct" => u64::from(longest.stage.task_count.max(1)),
        _ => 1,
    };
    let pairs = left.saturating_mul(right) / again;
    if pairs < MANY_PAIRS || !worth::time(run, wall) {
        return None;
    }
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "join-without-keys",
            format!(
                "A join in query {id} has no equal keys and compared {} pairs of rows.",
                count(pairs)
            ),
        )
        .with_evidence(vec![
            Evidence::new(format!("query {id}"), node.text.clone()),
            Evidence::new(
                format!("query {id}"),
                format!(
                    "{} came out; its longest stage took {}",
                    counted(metric(node, "number of output rows"), "row"),
                    duration(wall)
                ),
            ),
        ])
        .with_rule(PAIRS)
        .with_fix(
            "Give the join an equality: the missing key; for ranges a bucket of both sides \
            (floor of the value over the range's width) joined equally first, and the exact \
            condition after it.",
        )
        .with_gain(Gain {
            text: format!("at most {}: the join's stage", duration(wall)),
            milliseconds: Some(wall),
        }),
        weight: wall,
    })
}

/// Rows that come out of a node: its own count, else that of what feeds it.
fn rows(node: &Plan) -> Option<u64> {
    node.metric("number of output rows")
        .or_else(|| node.metric("records read"))
        .map(i64::unsigned_abs)
        .or_else(|| node.children.first().and_then(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;

    fn node(name: &str, text: &str, metrics: &[(&str, i64)], children: Vec<Plan>) -> Plan {
        Plan {
            name: name.to_owned(),
            text: text.to_owned(),
            metrics: metrics
                .iter()
                .map(|(name, value)| ((*name).to_owned(), "sum".to_owned(), Some(*value)))
                .collect(),
            children,
        }
    }

    /// A run with one query whose shuffle of 4 GiB took two stages of 40 s.
    fn run(plan: Plan) -> Run {
        let mut run = fixture::run(1, 4, 200_000);
        fixture::stage(&mut run, 1, &fixture::even(8, 4, 20_000));
        fixture::stage(&mut run, 2, &fixture::even(8, 4, 20_000));
        run.stages.get_mut(&(1, 0)).expect("added").totals.shuffle_write = 4 << 30;
        run.stages.get_mut(&(2, 0)).expect("added").totals.shuffle_read = 4 << 30;
        run.queries.insert(
            5,
            Query {
                plan,
                jobs: vec![1, 2],
                ..Query::default()
            },
        );
        run
    }

    fn join(kind: &str, left: i64, right: i64) -> Plan {
        let side = |size| {
            let exchange = node(
                "Exchange",
                "",
                &[("data size", size), ("shuffle bytes written", size)],
                vec![],
            );
            node(
                "Sort",
                "",
                &[("sort time", 100)],
                vec![node("AQEShuffleRead", "", &[], vec![exchange])],
            )
        };
        node(
            "SortMergeJoin",
            &format!("SortMergeJoin [k#1], [k#2], {kind}"),
            &[],
            vec![side(left), side(right)],
        )
    }

    #[test]
    fn a_small_side_is_told_where_it_may_be_broadcast() {
        let (large, small) = (4i64 << 30, 5i64 << 20);
        for (kind, left, right, told) in [
            ("Inner", large, small, true),
            ("Inner", small, large, true),
            ("LeftOuter", large, small, true),
            ("LeftOuter", small, large, false),
            ("RightOuter", small, large, true),
            ("FullOuter", large, small, false),
            ("Inner", large, large / 2, false),
        ] {
            let run = run(join(kind, left, right));
            assert_eq!(rule(&run).len(), usize::from(told), "{kind} {left} {right}");
        }
    }

    #[test]
    fn the_threshold_of_the_patch_takes_the_side_that_was_measured() {
        let mut run = run(join("Inner", 4 << 30, 30 << 20));
        let finding = rule(&run).remove(0);
        assert_eq!(
            finding.diagnostic.patch().expect("a patch")["spec"]["sparkConf"]["spark.sql.autoBroadcastJoinThreshold"],
            "45m"
        );
        assert_eq!(
            finding.diagnostic.gain.as_ref().and_then(|gain| gain.milliseconds),
            Some(80_000)
        );
        run.spark
            .insert("spark.sql.autoBroadcastJoinThreshold".to_owned(), "100m".to_owned());
        assert_eq!(rule(&run)[0].diagnostic.patch(), None);
    }

    #[test]
    fn broadcasts_and_joins_without_keys_have_floors() {
        for (table, time, told) in [
            (1i64 << 30, 15_000, true),
            (1 << 20, 15_000, false),
            (1 << 30, 2_000, false),
        ] {
            let run = run(node(
                "BroadcastExchange",
                "",
                &[("data size", table), ("time to build", time)],
                vec![],
            ));
            assert_eq!(rule(&run).len(), usize::from(told), "{table} {time}");
        }
        for (left, right, told) in [(100_000, 100_000, true), (10_000, 70_000, false)] {
            let rows = |count| node("Range", "", &[("number of output rows", count)], vec![]);
            let run = run(node("CartesianProduct", "", &[], vec![rows(left), rows(right)]));
            assert_eq!(rule(&run).len(), usize::from(told), "{left} {right}");
        }
    }
}
