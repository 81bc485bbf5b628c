//! The same data made again by several jobs.

use std::collections::BTreeMap;

use super::Finding;
use super::measure::{self, OfJobs, Ran};
use super::worth;
use crate::facts::Run;
use crate::facts::run::Plan;
use stoke_diagnostics::{Diagnostic, Evidence, Gain, Rule, Severity};
use stoke_model::units::people::{bytes, counted, duration};

/// Times something is made from which it is told. Ours: twice often is a count and a write.
const TIMES: usize = 3;

const RULE: Rule = Rule {
    text: "Three or more jobs made the same data again (the same scan and the steps above it in several queries, or the same RDD in several stages), and the time after the first one is worth telling.",
    source: "https://spark.apache.org/docs/latest/rdd-programming-guide.html#rdd-persistence",
};

/// Stages that made the same thing.
struct Same<'a> {
    what: String,
    stages: Vec<Ran<'a>>,
}

impl Same<'_> {
    /// The time after the first, less what reading a cache would cost, which no log tells.
    fn cost(&self) -> u64 {
        let all: u64 = self.stages.iter().map(Ran::wall).fold(0, u64::saturating_add);
        all.saturating_sub(self.stages.iter().map(Ran::wall).max().unwrap_or(0))
    }
}

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    let mut all: Vec<Same<'_>> = scans(run).into_iter().chain(rdds(run)).collect();
    all.retain(|same| same.stages.len() >= TIMES && worth::time(run, same.cost()));
    all.sort_by_key(|same| std::cmp::Reverse(same.cost()));
    let Some(worst) = all.first() else {
        return Vec::new();
    };
    let cost = worst.cost();
    let evidence = worst.stages.iter().take(4).map(|ran| {
        Evidence::new(
            ran.place(),
            format!(
                "{} in {}, {} read",
                duration(ran.wall()),
                counted(ran.tasks.len(), "task"),
                bytes(ran.stage.totals.input.saturating_add(ran.stage.totals.shuffle_read))
            ),
        )
    });
    vec![Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "recomputed-data",
            format!("{} was made {} times.", worst.what, worst.stages.len()),
        )
        .with_evidence(evidence.collect())
        .with_rule(RULE)
        .with_fix(
            "Keep it where several jobs use it: cache() or persist() before the first of them \
            and unpersist() after the last, or write it once and read it.",
        )
        .with_gain(Gain {
            text: format!(
                "at most {}: every time but the longest; reading what is kept is not computed",
                duration(cost)
            ),
            milliseconds: Some(cost),
        }),
        weight: cost,
    }]
}

/// The same RDD computed, not kept, in stages of several jobs.
fn rdds(run: &Run) -> Vec<Same<'_>> {
    let mut by: BTreeMap<i32, Vec<Ran<'_>>> = BTreeMap::new();
    for ran in measure::ran(run).filter(|ran| ran.stage.attempt == 0) {
        if ran.stage.rdds.iter().any(|rdd| rdd.cached) {
            continue;
        }
        // The last RDD of a stage is new with every action; the ones before it are what is shared.
        let Some(last) = ran.stage.rdds.iter().map(|rdd| rdd.id).max() else {
            continue;
        };
        let shared = ran
            .stage
            .rdds
            .iter()
            .filter(|rdd| rdd.id < last)
            .map(|rdd| rdd.id)
            .max();
        if let Some(shared) = shared {
            by.entry(shared).or_default().push(ran);
        }
    }
    by.into_iter()
        .map(|(id, stages)| {
            let name = stages[0]
                .stage
                .rdds
                .iter()
                .find(|rdd| rdd.id == id)
                .map_or("", |rdd| rdd.name.as_str());
            Same {
                what: format!("RDD {id} ({name})"),
                stages,
            }
        })
        .collect()
}

/// The same scan, with the same steps above it, in several queries.
fn scans(run: &Run) -> Vec<Same<'_>> {
    let mut by: BTreeMap<String, (String, Vec<Ran<'_>>)> = BTreeMap::new();
    let of_jobs = OfJobs::of(run);
    for (id, query) in &run.queries {
        // A part of another query is told with it.
        if query.root.is_some_and(|root| root != *id) {
            continue;
        }
        let mut seen: Vec<String> = Vec::new();
        for (key, what) in pipelines(&query.plan) {
            if seen.contains(&key) {
                continue;
            }
            seen.push(key.clone());
            let reading = of_jobs
                .stages(query)
                .into_iter()
                .filter(|stage| stage.attempt == 0 && stage.parents.is_empty() && stage.totals.input > 0)
                .filter_map(|stage| Ran::of(run, stage))
                .max_by_key(Ran::wall);
            if let Some(ran) = reading {
                by.entry(key).or_insert_with(|| (what, Vec::new())).1.push(ran);
            }
        }
    }
    by.into_values().map(|(what, stages)| Same { what, stages }).collect()
}

/// Projections of scans of files, by their text without the numbers Spark gives columns: what would be worth keeping.
fn pipelines(plan: &Plan) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let nodes = plan.nodes();
    for node in nodes {
        if !node.name.starts_with("Project") {
            continue;
        }
        if let Some(scan) = scan_below(node) {
            let what = format!(
                "What is computed of {}",
                scan.text.split(" Batched").next().unwrap_or(&scan.text).trim_end()
            );
            found.push((
                format!("{} | {}", plain(&node.text), plain(location(&scan.text))),
                plain(&what),
            ));
        }
    }
    found
}

/// The scan of files under a node, with nothing between that changes how many rows are kept but filters.
fn scan_below(node: &Plan) -> Option<&Plan> {
    let mut node = node.children.first()?;
    loop {
        let name = node.name.as_str();
        if name.starts_with("Scan ") {
            // What is kept in memory is not a scan to save.
            return node.metric("number of files read").map(|_| node);
        }
        if !matches!(name, "Filter" | "ColumnarToRow" | "InputAdapter" | "Project")
            && !name.starts_with("WholeStageCodegen")
        {
            return None;
        }
        node = node.children.first()?;
    }
}

fn location(text: &str) -> &str {
    text.split_once("Location: ").map_or(text, |(_, rest)| {
        rest.split(", PartitionFilters").next().unwrap_or(rest)
    })
}

/// A text without `#12` and `#12L`, the numbers of columns, which differ in each query.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '#' {
            out.push(character);
            continue;
        }
        while characters.next_if(char::is_ascii_digit).is_some() {}
        characters.next_if_eq(&'L');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;
    use crate::facts::run::{Query, Rdd};

    #[test]
    fn numbers_of_columns_do_not_tell_texts_apart() {
        assert_eq!(plain("Project [k#12L, v#3 AS x#99]"), "Project [k, v AS x]");
    }

    #[test]
    fn the_same_rdd_is_told_unless_it_is_kept() {
        for (jobs, cached, told) in [(4, false, true), (2, false, false), (4, true, false)] {
            let mut run = fixture::run(1, 4, 200_000);
            for job in 0..jobs {
                let rdd = |id| Rdd {
                    id,
                    cached: cached && id == 5,
                    name: "MapPartitionsRDD".to_owned(),
                    ..Rdd::default()
                };
                fixture::stage(&mut run, job, &fixture::even(4, 4, 10_000)).rdds = vec![rdd(0), rdd(5), rdd(10 + job)];
            }
            assert_eq!(rule(&run).len(), usize::from(told), "{jobs} {cached}");
        }
    }

    #[test]
    fn the_same_projection_of_the_same_files_is_told() {
        let plan = |column: i64, location: &str| {
            let scan = Plan {
                name: "Scan parquet ".to_owned(),
                text: format!(
                    "FileScan parquet [s#{column}] Batched: true, Location: InMemoryFileIndex(1 paths)[{location}], PartitionFilters: []"
                ),
                metrics: vec![("number of files read".to_owned(), "sum".to_owned(), Some(3))],
                children: vec![],
            };
            Plan {
                name: "Project".to_owned(),
                text: format!("Project [sha2(s#{column}, 256) AS h#{}]", column + 1),
                children: vec![scan],
                ..Plan::default()
            }
        };
        for (places, told) in [(["a", "a", "a"], true), (["a", "a", "b"], false)] {
            let mut run = fixture::run(1, 4, 200_000);
            for (job, place) in places.iter().enumerate() {
                fixture::stage(&mut run, job as i32, &fixture::even(4, 4, 10_000))
                    .totals
                    .input = 1 << 30;
                let query = Query {
                    plan: plan(job as i64 * 10, place),
                    jobs: vec![job as i32],
                    ..Query::default()
                };
                run.queries.insert(job as i64, query);
            }
            assert_eq!(rule(&run).len(), usize::from(told), "{places:?}");
        }
    }
}
