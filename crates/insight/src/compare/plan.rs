//! How the plans of queries differ.

use serde::Serialize;

use crate::facts::Run;
use crate::facts::run::{Plan, Query};

/// A query of both runs, and how its plan differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryChange {
    pub description: String,
    /// Its id in each run.
    pub ids: (i64, i64),
    /// Operators that only one of the plans has: joins, exchanges, aggregates, sorts, scans and the like.
    pub operators: Option<(Vec<String>, Vec<String>)>,
    /// Partitions of its exchanges, in order, where they differ.
    pub partitions: Option<(Vec<u64>, Vec<u64>)>,
    /// Filters pushed into its scans, where they differ.
    pub pushed_filters: Option<(Vec<String>, Vec<String>)>,
}

impl QueryChange {
    /// Whether anything differs.
    pub fn is_change(&self) -> bool {
        self.operators.is_some() || self.partitions.is_some() || self.pushed_filters.is_some()
    }
}

/// Nodes that only wrap: they come and go with adaptive execution and code generation and do no work of their own.
const WRAPPERS: [&str; 12] = [
    "AdaptiveSparkPlan",
    "WholeStageCodegen",
    "InputAdapter",
    "ShuffleQueryStage",
    "BroadcastQueryStage",
    "TableCacheQueryStage",
    "ResultQueryStage",
    "AQEShuffleRead",
    "ColumnarToRow",
    "ReusedExchange",
    "ReusedSubquery",
    "Project",
];

/// Matches queries by description, those of one description in order.
pub(super) fn changes(a: &Run, b: &Run) -> Vec<QueryChange> {
    let mut others: Vec<Option<(i64, &Query)>> = b.queries.iter().map(|(id, query)| Some((*id, query))).collect();
    let mut changes = Vec::new();
    for (id, query) in &a.queries {
        let same =
            |other: &Option<(i64, &Query)>| other.is_some_and(|(_, other)| other.description == query.description);
        let Some((other, its)) = others.iter_mut().find(|other| same(other)).and_then(Option::take) else {
            continue;
        };
        changes.push(QueryChange {
            description: query.description.clone(),
            ids: (*id, other),
            operators: differing(&operators(&query.plan), &operators(&its.plan)),
            partitions: unequal(partitions(&query.plan), partitions(&its.plan)),
            pushed_filters: unequal(filters(&query.plan), filters(&its.plan)),
        });
    }
    changes
}

fn operators(plan: &Plan) -> Vec<String> {
    let nodes = plan.nodes();
    let names = nodes
        .iter()
        .map(|node| node.name.trim())
        .filter(|name| !name.is_empty() && !WRAPPERS.iter().any(|wrapper| name.starts_with(wrapper)));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// What each of two sorted lists has that the other has not.
fn differing(a: &[String], b: &[String]) -> Option<(Vec<String>, Vec<String>)> {
    let without = |these: &[String], those: &[String]| {
        let mut those = those.to_vec();
        let mut left = Vec::new();
        for this in these {
            match those.iter().position(|that| that == this) {
                Some(place) => {
                    those.swap_remove(place);
                }
                None => left.push(this.clone()),
            }
        }
        left
    };
    let only = (without(a, b), without(b, a));
    (!only.0.is_empty() || !only.1.is_empty()).then_some(only)
}

fn unequal<T: PartialEq>(a: Vec<T>, b: Vec<T>) -> Option<(Vec<T>, Vec<T>)> {
    (a != b).then_some((a, b))
}

/// Partitions of exchanges: the last number of `hashpartitioning(k#1, v#2, 200)`, `rangepartitioning(…, 200)`, `RoundRobinPartitioning(8)`.
fn partitions(plan: &Plan) -> Vec<u64> {
    let nodes = plan.nodes();
    let exchanges = nodes.iter().filter(|node| node.name.trim() == "Exchange");
    exchanges.filter_map(|node| partitions_of(&node.text)).collect()
}

fn partitions_of(text: &str) -> Option<u64> {
    let start = text.find("partitioning(").or_else(|| text.find("Partitioning("))?;
    let mut depth = 0;
    for (at, letter) in text[start..].char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 1 => {
                let inside = &text[start..start + at];
                return inside.rsplit([',', '(']).next()?.trim().parse().ok();
            }
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn filters(plan: &Plan) -> Vec<String> {
    let nodes = plan.nodes();
    let texts = nodes.iter().filter_map(|node| {
        let (_, rest) = node.text.split_once("PushedFilters: [")?;
        rest.split_once(']').map(|(inside, _)| inside.to_owned())
    });
    texts.filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, text: &str, children: Vec<Plan>) -> Plan {
        Plan {
            name: name.to_owned(),
            text: text.to_owned(),
            metrics: Vec::new(),
            children,
        }
    }

    #[test]
    fn partitions_are_read_from_exchanges() {
        let table = [
            (
                "Exchange hashpartitioning(k#1L, cast(v#2 as int), 200), ENSURE_REQUIREMENTS, [plan_id=8]",
                Some(200),
            ),
            (
                "Exchange rangepartitioning(k#1 ASC NULLS FIRST, 8), ENSURE_REQUIREMENTS",
                Some(8),
            ),
            ("Exchange RoundRobinPartitioning(16), REPARTITION_BY_NUM", Some(16)),
            ("Exchange SinglePartition", None),
        ];
        for (text, partitions) in table {
            assert_eq!(partitions_of(text), partitions, "{text}");
        }
    }

    #[test]
    fn wrappers_are_no_change() {
        let run = |plan| Run {
            queries: [(
                0,
                Query {
                    plan,
                    ..Query::default()
                },
            )]
            .into(),
            ..Run::default()
        };
        let scan = |text: &str| node("Scan parquet ", text, vec![]);
        let plain = run(node("BroadcastHashJoin", "", vec![scan("x"), scan("y")]));
        let wrapped = run(node(
            "AdaptiveSparkPlan",
            "",
            vec![node(
                "BroadcastHashJoin",
                "",
                vec![scan("x"), node("InputAdapter", "", vec![scan("y")])],
            )],
        ));
        assert!(changes(&plain, &wrapped).iter().all(|change| !change.is_change()));
        let sorted = run(node(
            "SortMergeJoin",
            "",
            vec![scan("x PushedFilters: [IsNotNull(k)], Read"), scan("y")],
        ));
        let change = changes(&plain, &sorted).remove(0);
        assert_eq!(
            change.operators,
            Some((vec!["BroadcastHashJoin".to_owned()], vec!["SortMergeJoin".to_owned()]))
        );
        assert_eq!(change.pushed_filters, Some((vec![], vec!["IsNotNull(k)".to_owned()])));
    }
}
