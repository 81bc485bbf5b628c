//! The plan of a SQL execution as a graph: rows at the edges, time and size at the nodes, the slowest nodes marked.

use std::collections::HashMap;

use serde_json::{Value, json};
use stoke_history::model::data::Sql;
use stoke_history::model::graph::{Graph, Node};

use super::layers::layout;

/// Above this many nodes, they are drawn without what they measured: the table has it.
const DETAILED: usize = 400;
/// A line of text, in units of the picture.
const LINE: i64 = 16;
const PADDING: i64 = 10;
/// The width of a letter, on average.
const LETTER: i64 = 7;
/// Lines of what a node measured.
const LINES: usize = 3;

/// A plan, or another graph of what feeds what, laid out.
#[derive(Debug, Default)]
pub struct Plan {
    /// Name in the JSON.
    pub id: &'static str,
    /// Heading.
    pub title: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Width of the picture.
    pub width: i64,
    pub height: i64,
    /// Its boxes.
    pub nodes: Vec<Drawn>,
    /// Its arrows.
    pub edges: Vec<Arrow>,
}

/// A node.
#[derive(Debug, Default)]
pub struct Drawn {
    /// Its number.
    pub id: i64,
    /// Operator.
    pub name: String,
    /// Operator and arguments.
    pub text: String,
    /// The number of the generated code it is part of, and how long that took.
    pub codegen: Option<String>,
    /// Left edge.
    pub x: i64,
    /// Upper edge.
    pub y: i64,
    pub width: i64,
    pub height: i64,
    /// Baseline and text of what it measured.
    pub lines: Vec<(i64, String)>,
    /// How slow it is beside the others: 0, 1, or 2 for the slowest.
    pub heat: u8,
    /// Everything it measured.
    pub measured: Vec<(String, String)>,
    /// Milliseconds it took, where it tells: with more tasks than one, all of theirs.
    pub millis: Option<i64>,
    /// Whether it is on the slow path.
    pub slow: bool,
    /// Where it leads; else to its row in the table.
    pub to: Option<String>,
}

/// An edge.
#[derive(Debug, Default)]
pub struct Arrow {
    /// From what feeds.
    pub from: i64,
    /// To what is fed.
    pub to: i64,
    /// The curve, as SVG has it.
    pub curve: String,
    /// Rows that go along it.
    pub rows: Option<String>,
    /// Where that is written.
    pub at: (i64, i64),
    /// Width: 1 to 4, by how many rows.
    pub weight: u8,
    /// Whether it is on the slow path.
    pub slow: bool,
}

/// The sum in what Spark says of a metric: `1.2 s` of `total (min, med, max …)\n1.2 s (…)`.
pub fn headline(text: &str) -> &str {
    let last = text.trim().lines().last().unwrap_or_default();
    last.split(" (").next().unwrap_or(last).trim()
}

/// Milliseconds of a time as Spark writes it.
fn millis(text: &str) -> Option<f64> {
    let (number, unit) = headline(text).split_once(' ')?;
    let number: f64 = number.replace(',', "").parse().ok()?;
    Some(
        number
            * match unit {
                "ms" => 1.0,
                "s" => 1000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                _ => return None,
            },
    )
}

const ROWS: &str = "number of output rows";

/// What a node is shown with, the most telling first.
fn is_telling(name: &str) -> bool {
    const TELLING: [&str; 12] = [
        "time in aggregation build",
        "sort time",
        "scan time",
        "duration",
        "fetch wait time",
        "shuffle write time",
        "time to build",
        "spill size",
        "data size",
        "size of files read",
        "shuffle bytes written",
        "peak memory",
    ];
    TELLING.iter().any(|telling| name.starts_with(telling))
}

fn is_cluster(node: &Node) -> bool {
    node.name.trim().starts_with("WholeStageCodegen")
}

impl Plan {
    /// The plan of an execution; nothing when it has none.
    pub fn of(sql: &Sql) -> Option<Plan> {
        Plan::of_graph(sql.graph.as_ref()?, sql)
    }

    /// A graph of its, with what the execution measured; nothing when there is nothing in it.
    pub fn of_graph(graph: &Graph, sql: &Sql) -> Option<Plan> {
        if graph.nodes.is_empty() {
            return None;
        }
        let measured = |node: &Node| -> Vec<(String, String)> {
            let known = node.metrics.iter().filter_map(|metric| {
                let value = sql.metric_values.get(&metric.accumulator)?;
                Some((metric.name.trim().to_owned(), value.trim().to_owned()))
            });
            known.collect()
        };
        let clusters: HashMap<i64, String> = graph
            .nodes
            .iter()
            .filter(|node| is_cluster(node))
            .filter_map(|node| {
                let number = node.name.split(['(', ')']).nth(1)?.trim().parse().ok()?;
                let took = measured(node).into_iter().find(|(name, _)| name == "duration");
                Some((
                    number,
                    took.map(|(_, value)| headline(&value).to_owned()).unwrap_or_default(),
                ))
            })
            .collect();
        let shown: Vec<&Node> = graph.nodes.iter().filter(|node| !is_cluster(node)).collect();
        let detailed = shown.len() <= DETAILED;
        let mut nodes: Vec<Drawn> = shown
            .iter()
            .map(|node| drawn(node, measured(node), &clusters, detailed))
            .collect();
        heat(&mut nodes, &shown);
        let places: HashMap<i64, usize> = shown.iter().enumerate().map(|(place, node)| (node.id, place)).collect();
        let known = graph
            .edges
            .iter()
            .filter_map(|(from, to)| Some((*places.get(from)?, *places.get(to)?)));
        let edges: Vec<(usize, usize)> = known.collect();
        Some(Plan::slow_and_laid_out(nodes, &edges))
    }

    /// The same as [`Plan::laid_out`], with the slow path marked.
    pub fn slow_and_laid_out(mut nodes: Vec<Drawn>, edges: &[(usize, usize)]) -> Plan {
        slow_path(&mut nodes, edges);
        Plan::laid_out(nodes, edges)
    }

    /// Boxes of known sizes and arrows between them, from what feeds to what is fed.
    pub fn laid_out(mut nodes: Vec<Drawn>, edges: &[(usize, usize)]) -> Plan {
        let sizes: Vec<(i64, i64)> = nodes.iter().map(|node| (node.width, node.height)).collect();
        let laid = layout(&sizes, edges);
        for (node, (x, y)) in nodes.iter_mut().zip(&laid.places) {
            (node.x, node.y) = (*x, *y);
            for (at, _) in &mut node.lines {
                *at += y;
            }
        }
        let arrows = edges
            .iter()
            .zip(&laid.paths)
            .filter(|(_, points)| points.len() > 1)
            .map(|((from, to), points)| {
                let rows = nodes[*from]
                    .measured
                    .iter()
                    .find(|(name, _)| name == ROWS)
                    .map(|(_, value)| headline(value).to_owned());
                Arrow {
                    from: nodes[*from].id,
                    to: nodes[*to].id,
                    curve: curve(points),
                    weight: rows.as_deref().map_or(1, weight),
                    at: (points[0].0 + 6, points[0].1 + 14),
                    rows,
                    slow: nodes[*from].slow && nodes[*to].slow,
                }
            });
        let edges = arrows.collect();
        Plan {
            id: "graph",
            width: laid.width,
            height: laid.height,
            nodes,
            edges,
            ..Plan::default()
        }
    }

    /// The nodes of the slow path, from what feeds on, and how long they took.
    pub fn slow_path(&self) -> (Vec<&Drawn>, i64) {
        let mut path: Vec<&Drawn> = self.nodes.iter().filter(|node| node.slow).collect();
        path.sort_by_key(|node| node.y);
        let took = path.iter().filter_map(|node| node.millis).sum();
        (path, took)
    }

    /// Whether boxes say more than what they are; of more boxes than that the table does.
    pub fn is_detailed(&self) -> bool {
        self.nodes.len() <= DETAILED
    }

    /// The graph as JSON: nodes and edges.
    pub fn value(&self) -> Value {
        let node = |node: &Drawn| {
            let metrics: serde_json::Map<String, Value> = node
                .measured
                .iter()
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect();
            json!({"id": node.id, "name": node.name, "description": node.text, "codegen": node.codegen, "heat": node.heat, "milliseconds": node.millis, "slowPath": node.slow, "metrics": metrics})
        };
        let edge = |edge: &Arrow| json!({"from": edge.from, "to": edge.to, "rows": edge.rows});
        json!({
            "nodes": self.nodes.iter().map(node).collect::<Vec<_>>(),
            "edges": self.edges.iter().map(edge).collect::<Vec<_>>(),
        })
    }
}

fn drawn(node: &Node, measured: Vec<(String, String)>, clusters: &HashMap<i64, String>, detailed: bool) -> Drawn {
    let name: String = node.name.trim().to_owned();
    let codegen = node
        .codegen
        .map(|number| match clusters.get(&number).filter(|took| !took.is_empty()) {
            Some(took) => format!("{number} · {took}"),
            None => number.to_string(),
        });
    let mut telling: Vec<String> = Vec::new();
    if detailed {
        let wanted = measured
            .iter()
            .filter(|(name, value)| is_telling(name) && !is_zero(value));
        telling.extend(
            wanted
                .take(LINES)
                .map(|(name, value)| format!("{name}: {}", headline(value))),
        );
    }
    Drawn {
        codegen,
        measured,
        ..Drawn::boxed(node.id, &name, node.text.clone(), telling)
    }
}

impl Drawn {
    /// A box with a name and a few lines.
    pub fn boxed(id: i64, name: &str, text: String, lines: Vec<String>) -> Drawn {
        let letters = lines
            .iter()
            .map(String::as_str)
            .chain([name])
            .map(|line| line.chars().count())
            .max();
        let letters = i64::try_from(letters.unwrap_or(8).clamp(8, 44)).unwrap_or(44);
        let lines = lines.into_iter().zip(2i64..);
        let lines: Vec<(i64, String)> = lines
            .map(|(line, place)| (PADDING - 4 + place * LINE, shorten(line)))
            .collect();
        Drawn {
            id,
            name: shorten(name.to_owned()),
            text,
            width: 2 * PADDING + letters * LETTER,
            height: PADDING + 4 + LINE * (1 + i64::try_from(lines.len()).unwrap_or(0)),
            lines,
            ..Drawn::default()
        }
    }
}

/// As much of a text as stands in a box.
fn shorten(text: String) -> String {
    match text.chars().count() > 44 {
        true => text.chars().take(43).chain(['…']).collect(),
        false => text,
    }
}

fn is_zero(value: &str) -> bool {
    headline(value)
        .split(' ')
        .next()
        .is_some_and(|number| number.parse() == Ok(0.0))
}

/// Of what takes less than that nothing is slow.
const WORTH: i64 = 50;

/// Says how long nodes took, and marks those that took the longest: the slowest, and those of at least two fifths of its time.
fn heat(nodes: &mut [Drawn], shown: &[&Node]) {
    for (drawn, node) in nodes.iter_mut().zip(shown) {
        let timed = node.metrics.iter().filter(|metric| metric.kind.ends_with("iming"));
        let names: Vec<&str> = timed.map(|metric| metric.name.trim()).collect();
        let measured = drawn.measured.iter().filter(|(name, _)| names.contains(&name.as_str()));
        let times = measured.filter_map(|(_, value)| millis(value));
        drawn.millis = times.map(|took| took.round() as i64).max();
    }
    let most = nodes.iter().filter_map(|node| node.millis).max().unwrap_or(0);
    if most < WORTH {
        return;
    }
    for node in nodes {
        let took = node.millis.unwrap_or(0);
        node.heat = u8::from(took * 5 >= most * 2) + u8::from(took >= most);
    }
}

/// Marks the way from an input to the result on which nodes took the longest together.
fn slow_path(nodes: &mut [Drawn], edges: &[(usize, usize)]) {
    let mut fed_by: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut waits = vec![0usize; nodes.len()];
    let mut feeds: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (from, to) in edges {
        fed_by[*to].push(*from);
        feeds[*from].push(*to);
        waits[*to] += 1;
    }
    let mut ready: Vec<usize> = (0..nodes.len()).filter(|node| waits[*node] == 0).collect();
    let mut longest: Vec<(i64, Option<usize>)> = vec![(0, None); nodes.len()];
    let mut last = None;
    while let Some(node) = ready.pop() {
        let before = fed_by[node].iter().map(|from| (longest[*from].0, Some(*from)));
        let (sum, from) = before.max_by_key(|(sum, _)| *sum).unwrap_or((0, None));
        longest[node] = (sum + nodes[node].millis.unwrap_or(0), from);
        if last.is_none_or(|last: usize| longest[last].0 < longest[node].0) {
            last = Some(node);
        }
        for to in &feeds[node] {
            waits[*to] -= 1;
            if waits[*to] == 0 {
                ready.push(*to);
            }
        }
    }
    let mut next = last.filter(|last| longest[*last].0 >= WORTH);
    while let Some(node) = next {
        nodes[node].slow = true;
        next = longest[node].1;
    }
}

/// How thick an arrow is: one step for each thousand times the rows.
fn weight(rows: &str) -> u8 {
    match rows.chars().filter(char::is_ascii_digit).count() {
        ..=3 => 1,
        4..=6 => 2,
        7..=9 => 3,
        _ => 4,
    }
}

/// A smooth way through points that lie below each other.
fn curve(points: &[(i64, i64)]) -> String {
    let mut out = format!("M{} {}", points[0].0, points[0].1);
    for pair in points.windows(2) {
        let ((x1, y1), (x2, y2)) = (pair[0], pair[1]);
        match x1 == x2 {
            true => out.push_str(&format!("V{y2}")),
            false => out.push_str(&format!("C{x1} {m} {x2} {m} {x2} {y2}", m = (y1 + y2) / 2)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headlines() {
        for (text, head, time) in [
            ("1,234", "1,234", None),
            (
                "total (min, med, max (stageId: taskId))\n1.2 s (0 ms, 3 ms, 9 ms (stage 1.0: task 3))",
                "1.2 s",
                Some(1200.0),
            ),
            ("\n12 ms", "12 ms", Some(12.0)),
            ("1.5 m", "1.5 m", Some(90_000.0)),
            ("3.0 MiB", "3.0 MiB", None),
            ("", "", None),
        ] {
            assert_eq!((headline(text), millis(text)), (head, time));
        }
        assert!(is_zero("total\n0 ms (x)") && is_zero("0.0 B") && !is_zero("10 ms") && !is_zero(""));
    }

    #[test]
    fn the_slow_path_is_the_way_that_took_the_longest() {
        let mut nodes: Vec<Drawn> = [10, 500, 40, 300, 300]
            .into_iter()
            .map(|millis| Drawn {
                millis: Some(millis),
                ..Drawn::default()
            })
            .collect();
        // 1 feeds 0 and 3 feeds 2, which feeds 0; 4 feeds 3.
        slow_path(&mut nodes, &[(1, 0), (2, 0), (3, 2), (4, 3)]);
        let slow: Vec<bool> = nodes.iter().map(|node| node.slow).collect();
        assert_eq!(slow, [true, false, true, true, true]);
        // A circle has no end, and what took no time no slow path.
        let mut nodes = vec![Drawn::default(), Drawn::default()];
        slow_path(&mut nodes, &[(0, 1), (1, 0)]);
        assert!(nodes.iter().all(|node| !node.slow));
    }

    #[test]
    fn curves_pass_through_their_points() {
        assert_eq!(curve(&[(5, 0), (5, 10)]), "M5 0V10");
        assert_eq!(curve(&[(5, 0), (9, 10)]), "M5 0C5 5 9 5 9 10");
    }
}
