//! The graph Spark draws of a physical plan (`SparkPlanGraph`): nodes numbered as they are met, what code generation put together as
//! clusters, and exchanges that are used twice drawn once.

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

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its number.
    pub id: i64,
    /// Operator.
    pub name: String,
    /// Operator and arguments.
    pub text: String,
    /// What it measures.
    pub metrics: Vec<PlanMetric>,
    /// The number of the generated code it is part of.
    pub codegen: Option<i64>,
}

struct Builder<'a> {
    next: i64,
    /// Nodes outside clusters, and clusters with their nodes.
    top: Vec<(Node, Vec<Node>)>,
    edges: Vec<(i64, i64)>,
    exchanges: Vec<(&'a PlanInfo, i64)>,
}

/// Plans deeper than this are cut: no plan of Spark's is, and a damaged line must not exhaust the stack.
const DEEPEST: usize = 2000;
const CODEGEN: &str = "WholeStageCodegen";

impl Graph {
    /// The graph of a plan.
    pub fn of(plan: &PlanInfo) -> Graph {
        let mut builder = Builder {
            next: 0,
            top: Vec::new(),
            edges: Vec::new(),
            exchanges: Vec::new(),
        };
        builder.add(plan, None, None, 0);
        let mut nodes = Vec::new();
        for (mut node, mut inner) in builder.top {
            let number = codegen_number(&node.name);
            if node.name.trim().starts_with(CODEGEN) {
                inner.iter_mut().for_each(|node| node.codegen = number);
            }
            nodes.append(&mut inner);
            node.codegen = None;
            nodes.push(node);
        }
        Graph {
            nodes,
            edges: builder.edges,
        }
    }

    /// Every metric the plan's nodes have.
    pub fn metrics(&self) -> impl Iterator<Item = &PlanMetric> {
        self.nodes.iter().flat_map(|node| &node.metrics)
    }
}

/// Whether Spark takes two plans for the same (`SparkPlanInfo.equals`): what they measure does not count.
fn same(one: &PlanInfo, other: &PlanInfo) -> bool {
    one.name == other.name
        && one.text == other.text
        && one.children.len() == other.children.len()
        && one
            .children
            .iter()
            .zip(&other.children)
            .all(|(one, other)| same(one, other))
}

/// `3` of `WholeStageCodegen (3)`.
fn codegen_number(name: &str) -> Option<i64> {
    name.trim()
        .strip_prefix("WholeStageCodegen (")?
        .strip_suffix(')')?
        .parse()
        .ok()
}

impl<'a> Builder<'a> {
    fn number(&mut self) -> i64 {
        let number = self.next;
        self.next += 1;
        number
    }

    fn reused(&self, plan: &PlanInfo) -> Option<i64> {
        self.exchanges
            .iter()
            .rev()
            .find(|(known, _)| same(known, plan))
            .map(|(_, node)| *node)
    }

    /// `parent` is the node that uses this one, `cluster` the place of the cluster it belongs to.
    fn add(&mut self, plan: &'a PlanInfo, parent: Option<i64>, cluster: Option<usize>, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        let child = plan.children.first();
        match (plan.name.as_str(), child) {
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
                for child in &plan.children {
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

    fn node(&mut self, plan: &PlanInfo) -> Node {
        Node {
            id: self.number(),
            name: plan.name.clone(),
            text: plan.text.clone(),
            metrics: plan.metrics.clone(),
            codegen: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, text: &str, accumulator: i64, children: Vec<PlanInfo>) -> PlanInfo {
        PlanInfo {
            name: name.to_owned(),
            text: text.to_owned(),
            children,
            metrics: vec![PlanMetric {
                name: "rows".to_owned(),
                accumulator,
                kind: "sum".to_owned(),
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
            let graph = Graph::of(&plan);
            assert_eq!((graph.nodes.len(), graph.edges), (2, vec![(1, 0), (1, 0)]), "{stage}");
        }
        let other = node(
            "ShuffleQueryStage",
            "again",
            3,
            vec![node("Exchange", "Exchange b", 2, Vec::new())],
        );
        let graph = Graph::of(&node("Union", "Union", 1, vec![exchange(2), other]));
        assert_eq!(graph.edges, [(1, 0), (2, 0)]);
    }

    #[test]
    fn a_subquery_feeds_a_node_once() {
        let subquery = |accumulator| node("Subquery", "Subquery a", accumulator, Vec::new());
        let again = node("ReusedSubquery", "again", 3, vec![subquery(4)]);
        let graph = Graph::of(&node("Filter", "Filter", 1, vec![subquery(2), again]));
        assert_eq!((graph.nodes.len(), graph.edges), (2, vec![(1, 0)]));
    }
}
