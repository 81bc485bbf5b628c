//! The graph Spark draws of a physical plan (`SparkPlanGraph`): nodes numbered as they are met, what code generation put together as
//! clusters, and exchanges that are used twice drawn once.

use std::collections::VecDeque;
use std::ops::Range;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use stoke_eventlog::event::{PlanInfo, PlanMetric};

/// A plan's graph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// Nodes, those of a cluster before the cluster itself.
    pub nodes: Vec<Node>,
    /// From an input to what uses it.
    pub edges: Vec<(i64, i64)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its number.
    pub id: i64,
    /// Operator.
    pub name: CompactString,
    /// Operator and arguments.
    pub text: String,
    /// What it measures.
    pub metrics: Vec<PlanMetric>,
    /// The number of the generated code it is part of.
    pub codegen: Option<i64>,
}

/// A plan's operator. Operators are in one list, those that feed the same one side by side.
struct Operator {
    name: CompactString,
    text: String,
    metrics: Vec<PlanMetric>,
    children: Range<usize>,
}

/// A node that will be drawn for the operator at `place`.
struct Drawn {
    id: i64,
    place: usize,
    codegen: Option<i64>,
}

struct Builder<'a> {
    operators: &'a [Operator],
    next: i64,
    /// Nodes outside clusters, and clusters with their nodes.
    top: Vec<(Drawn, Vec<Drawn>)>,
    edges: Vec<(i64, i64)>,
    /// Operators that may be used again, by place, and their nodes.
    exchanges: Vec<(usize, i64)>,
}

/// Plans deeper than this are cut: no plan of Spark's is, and a damaged line must not exhaust the stack.
const DEEPEST: usize = 2000;
const CODEGEN: &str = "WholeStageCodegen";

impl Graph {
    /// The graph of a plan.
    pub fn of(plan: PlanInfo) -> Graph {
        let mut operators = in_one_list(plan);
        let mut builder = Builder {
            operators: &operators,
            next: 0,
            top: Vec::new(),
            edges: Vec::new(),
            exchanges: Vec::new(),
        };
        builder.add(0, None, None, 0);
        let Builder { top, edges, .. } = builder;
        let mut drawn = Vec::new();
        for (node, mut inner) in top {
            let name = operators[node.place].name.trim();
            if name.starts_with(CODEGEN) {
                let number = codegen_number(name);
                inner.iter_mut().for_each(|node| node.codegen = number);
            }
            drawn.append(&mut inner);
            drawn.push(node);
        }
        // An operator has one node at most: its texts are moved, not copied.
        let node = |drawn: Drawn| {
            let operator = &mut operators[drawn.place];
            Node {
                id: drawn.id,
                name: std::mem::take(&mut operator.name),
                text: std::mem::take(&mut operator.text),
                metrics: std::mem::take(&mut operator.metrics),
                codegen: drawn.codegen,
            }
        };
        Graph {
            nodes: drawn.into_iter().map(node).collect(),
            edges,
        }
    }

    /// Every metric the plan's nodes have.
    pub fn metrics(&self) -> impl Iterator<Item = &PlanMetric> {
        self.nodes.iter().flat_map(|node| &node.metrics)
    }
}

/// The operators of a plan, level after level.
fn in_one_list(plan: PlanInfo) -> Vec<Operator> {
    let mut operators = Vec::new();
    let mut waiting = VecDeque::from([plan]);
    while let Some(plan) = waiting.pop_front() {
        let begin = operators.len() + 1 + waiting.len();
        operators.push(Operator {
            name: plan.name,
            text: plan.text,
            metrics: plan.metrics,
            children: begin..begin + plan.children.len(),
        });
        waiting.extend(plan.children);
    }
    operators
}

/// `3` of `WholeStageCodegen (3)`.
fn codegen_number(name: &str) -> Option<i64> {
    name.trim()
        .strip_prefix("WholeStageCodegen (")?
        .strip_suffix(')')?
        .parse()
        .ok()
}

impl Builder<'_> {
    /// Whether Spark takes two plans for the same (`SparkPlanInfo.equals`): what they measure does not count.
    fn same(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.operators[one], &self.operators[other]);
        one.name == other.name
            && one.text == other.text
            && one.children.len() == other.children.len()
            && one
                .children
                .clone()
                .zip(other.children.clone())
                .all(|(one, other)| self.same(one, other))
    }

    fn reused(&self, plan: usize) -> Option<i64> {
        self.exchanges
            .iter()
            .rev()
            .find(|(known, _)| self.same(*known, plan))
            .map(|(_, node)| *node)
    }

    /// `parent` is the node that uses this one, `cluster` the place of the cluster it belongs to.
    fn add(&mut self, plan: usize, parent: Option<i64>, cluster: Option<usize>, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        let operators = self.operators;
        let operator = &operators[plan];
        let child = operator.children.clone().next();
        match (operator.name.as_str(), child) {
            (name, Some(child)) if name.starts_with(CODEGEN) => {
                let node = self.node(plan);
                self.top.push((node, Vec::new()));
                let place = self.top.len() - 1;
                self.add(child, parent, Some(place), depth + 1);
            }
            ("InputAdapter", Some(child)) => self.add(child, parent, None, depth + 1),
            ("ResultQueryStage" | "TableCacheQueryStage", Some(child)) => self.add(child, parent, None, depth + 1),
            ("BroadcastQueryStage" | "ShuffleQueryStage", Some(child)) => match (self.reused(child), parent) {
                (Some(node), Some(parent)) => self.edges.push((node, parent)),
                _ => self.add(child, parent, None, depth + 1),
            },
            ("Subquery", _) if cluster.is_some() => self.add(plan, parent, None, depth + 1),
            ("Subquery", _) if self.reused(plan).is_some() => {
                let edge = self.reused(plan).zip(parent);
                if let Some(edge) = edge.filter(|edge| !self.edges.contains(edge)) {
                    self.edges.push(edge);
                }
            }
            ("ReusedSubquery", Some(child)) => self.add(child, parent, cluster, depth + 1),
            ("ReusedExchange", Some(child)) if self.reused(child).is_some() => self.edge(self.reused(child), parent),
            (name, _) => {
                let node = self.node(plan);
                let id = node.id;
                match cluster {
                    Some(place) => self.top[place].1.push(node),
                    None => self.top.push((node, Vec::new())),
                }
                if name.contains("Exchange") || name == "Subquery" {
                    self.exchanges.push((plan, id));
                }
                self.edge(Some(id), parent);
                for child in operator.children.clone() {
                    self.add(child, Some(id), cluster, depth + 1);
                }
            }
        }
    }

    fn edge(&mut self, from: Option<i64>, to: Option<i64>) {
        if let (Some(from), Some(to)) = (from, to) {
            self.edges.push((from, to));
        }
    }

    fn node(&mut self, place: usize) -> Drawn {
        let id = self.next;
        self.next += 1;
        Drawn {
            id,
            place,
            codegen: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, text: &str, accumulator: i64, children: Vec<PlanInfo>) -> PlanInfo {
        PlanInfo {
            name: name.into(),
            text: text.to_owned(),
            children,
            metrics: vec![PlanMetric {
                name: "rows".into(),
                accumulator,
                kind: "sum".into(),
            }],
        }
    }

    #[test]
    fn what_is_the_same_but_for_its_metrics_is_drawn_once() {
        let exchange = |accumulator| node("Exchange", "Exchange a", accumulator, Vec::new());
        for stage in ["ShuffleQueryStage", "BroadcastQueryStage", "ReusedExchange"] {
            let plan = node(
                "Union",
                "Union",
                1,
                vec![exchange(2), node(stage, "again", 3, vec![exchange(4)])],
            );
            let graph = Graph::of(plan);
            assert_eq!((graph.nodes.len(), graph.edges), (2, vec![(1, 0), (1, 0)]), "{stage}");
        }
        let other = node(
            "ShuffleQueryStage",
            "again",
            3,
            vec![node("Exchange", "Exchange b", 2, Vec::new())],
        );
        let graph = Graph::of(node("Union", "Union", 1, vec![exchange(2), other]));
        assert_eq!(graph.edges, [(1, 0), (2, 0)]);
    }

    #[test]
    fn a_subquery_feeds_a_node_once() {
        let subquery = |accumulator| node("Subquery", "Subquery a", accumulator, Vec::new());
        let again = node("ReusedSubquery", "again", 3, vec![subquery(4)]);
        let graph = Graph::of(node("Filter", "Filter", 1, vec![subquery(2), again]));
        assert_eq!((graph.nodes.len(), graph.edges), (2, vec![(1, 0)]));
    }
}
