//! Many small files, read or written.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use super::Finding;
use super::measure::{OfJobs, Ran};
use super::worth;
use crate::facts::Run;
use crate::facts::run::{Query, Totals};
use stoke_diagnostics::{Diagnostic, Evidence, Gain, Rule, Severity};
use stoke_model::units::people::{bytes, count, counted, duration};

/// Fewer files are never too many. Ours.
const MANY: u64 = 1_000;
/// A file smaller than this on average is small: an eighth of what a task reads (`spark.sql.files.maxPartitionBytes`). Ours.
const SMALL: u64 = 16 << 20;
/// What opening a file costs, in bytes that could be read meanwhile: `spark.sql.files.openCostInBytes` by default.
const OPEN_COST: u64 = 4 << 20;
/// A good file.
const TARGET: u64 = 128 << 20;

const READ: Rule = Rule {
    text: ">= 1,000 files of < 16 MiB on average were read by one scan, in time that is worth telling; opening one counts as reading 4 MB (spark.sql.files.openCostInBytes).",
    source: "https://spark.apache.org/docs/latest/sql-performance-tuning.html#other-configuration-options",
};
const WRITTEN: Rule = Rule {
    text: ">= 1,000 files of < 16 MiB on average were written by one query, in time that is worth telling.",
    source: "https://spark.apache.org/docs/latest/sql-performance-tuning.html#coalescing-post-shuffle-partitions",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    read(run).into_iter().chain(written(run)).collect()
}

/// Small files of one place.
struct Place {
    scans: u64,
    files: u64,
    size: u64,
    cost: u64,
    query: i64,
}

fn read(run: &Run) -> Option<Finding> {
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    let of_jobs = OfJobs::of(run);
    for (id, query) in &run.queries {
        let scanning = LazyCell::new(|| scanning(run, &of_jobs, query));
        for node in query.plan.nodes() {
            let metric = |name| node.metric(name).map_or(0, i64::unsigned_abs);
            let (files, size) = (metric("number of files read"), metric("size of files read"));
            if files < MANY || size / files >= SMALL {
                continue;
            }
            let opening = files as f64 * OPEN_COST as f64;
            let share = opening / (opening + size as f64);
            let cost = (*scanning as f64 * share) as u64 + metric("metadata time");
            let place = places.entry(location(&node.text)).or_insert(Place {
                scans: 0,
                files,
                size,
                cost: 0,
                query: *id,
            });
            place.scans += 1;
            place.cost = place.cost.saturating_add(cost);
        }
    }
    let cost: u64 = places.values().map(|place| place.cost).fold(0, u64::saturating_add);
    if !worth::time(run, cost) {
        return None;
    }
    let mut places: Vec<(String, Place)> = places.into_iter().collect();
    places.sort_by_key(|(_, place)| std::cmp::Reverse(place.cost));
    let (worst, first) = places.first()?;
    let evidence = places.iter().take(3).map(|(location, place)| {
        Evidence::new(
            format!("query {}", place.query),
            format!(
                "{} of {} on average ({} together) read from {location}, {}",
                counted(place.files, "file"),
                bytes(place.size / place.files),
                bytes(place.size),
                counted(place.scans, "time")
            ),
        )
    });
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "small-files-read",
            format!(
                "{} small files were read from {worst}: most of that time is opening them.",
                count(first.files)
            ),
        )
        .with_evidence(evidence.collect())
        .with_rule(READ)
        .with_fix(format!(
            "Let the job that writes them make files of 128 MB, about {} of them (repartition \
            before the write, or compaction of the table).",
            count(first.size.div_ceil(TARGET))
        ))
        .with_gain(Gain {
            text: format!(
                "at most {}: the scans' share for opening files by Spark's own measure (4 MB each), \
                and listing them",
                duration(cost)
            ),
            milliseconds: Some(cost),
        }),
        weight: cost,
    })
}

/// Time of the stages of a query that read files.
fn scanning(run: &Run, of_jobs: &OfJobs<'_>, query: &Query) -> u64 {
    walls(run, of_jobs, query, |totals| totals.input).fold(0, u64::saturating_add)
}

/// How long the stages of a query took that have something of a total.
fn walls<'a>(
    run: &'a Run,
    of_jobs: &OfJobs<'a>,
    query: &Query,
    total: fn(&Totals) -> u64,
) -> impl Iterator<Item = u64> + 'a {
    let stages = of_jobs.stages(query).into_iter();
    let wanted = stages.filter(move |stage| total(&stage.totals) > 0);
    wanted.filter_map(|stage| Ran::of(run, stage)).map(|ran| ran.wall())
}

/// Where a scan reads: what its text says behind `Location:`, or the whole text.
fn location(text: &str) -> String {
    let place = text.split_once("Location: ").map_or(text, |(_, rest)| rest);
    let inside = place.split_once('[').map_or(place, |(_, rest)| rest);
    let end = inside.find([',', ']']).unwrap_or(inside.len());
    inside[..end].to_owned()
}

fn written(run: &Run) -> Option<Finding> {
    let mut worst: Option<(u64, u64, u64, i64)> = None;
    let of_jobs = OfJobs::of(run);
    for (id, query) in &run.queries {
        for node in query.plan.nodes() {
            let metric = |name| node.metric(name).map_or(0, i64::unsigned_abs);
            let (files, size) = (metric("number of written files"), metric("written output"));
            if files < MANY || size / files >= SMALL || worst.is_some_and(|(most, ..)| files <= most) {
                continue;
            }
            let wall = walls(run, &of_jobs, query, |totals| totals.output)
                .fold(metric("job commit time"), u64::saturating_add);
            if worth::time(run, wall) {
                worst = Some((files, size, wall, *id));
            }
        }
    }
    let (files, size, wall, query) = worst?;
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "small-files-written",
            format!(
                "Query {query} wrote {} files of {} on average; whoever reads them pays for each.",
                count(files),
                bytes(size / files)
            ),
        )
        .with_evidence(vec![Evidence::new(
            format!("query {query}"),
            format!(
                "{} files, {} together, written in {}",
                count(files),
                bytes(size),
                duration(wall)
            ),
        )])
        .with_rule(WRITTEN)
        .with_fix(format!(
            "Bring the rows of each output partition together before the write (repartition by \
            the columns of partitionBy, or a REBALANCE hint, which makes files of about \
            spark.sql.adaptive.advisoryPartitionSizeInBytes), or partition by fewer values; \
            files of 128 MB that hold all of it: {}.",
            count(size.div_ceil(TARGET))
        )),
        weight: wall / 2,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;
    use crate::facts::run::Plan;

    fn with(name: &str, metrics: &[(&str, i64)], length: u32) -> Run {
        let mut run = fixture::run(1, 4, 200_000);
        let stage = fixture::stage(&mut run, 1, &fixture::even(8, 4, length));
        stage
            .tasks
            .iter_mut()
            .for_each(|task| (task.input, task.output) = (1 << 20, 1 << 20));
        let stage = fixture::total(&mut run, 1);
        stage.totals.output = 1;
        let plan = Plan {
            name: name.to_owned(),
            text: "FileScan parquet [k] Location: InMemoryFileIndex(1 paths)[s3a://lake/t, s3a://lake/u]".to_owned(),
            metrics: metrics
                .iter()
                .map(|(name, value)| ((*name).to_owned(), "sum".to_owned(), Some(*value)))
                .collect(),
            ..Plan::default()
        };
        run.queries.insert(
            7,
            Query {
                plan,
                jobs: vec![1],
                ..Query::default()
            },
        );
        run
    }

    #[test]
    fn many_small_files_are_told() {
        for (files, size, length, told) in [
            (5_000, 5_000i64 << 20, 20_000, true),
            (500, 500 << 20, 20_000, false),
            (5_000, 500_000 << 20, 20_000, false),
            (5_000, 5_000 << 20, 1_000, false),
        ] {
            let run = with(
                "Scan parquet ",
                &[("number of files read", files), ("size of files read", size)],
                length,
            );
            let findings = rule(&run);
            assert_eq!(findings.len(), usize::from(told), "{files} {size} {length}");
            if told {
                assert!(
                    findings[0].diagnostic.evidence[0].seen.contains("s3a://lake/t, "),
                    "{:?}",
                    findings[0].diagnostic.evidence
                );
                // 4 of 5 parts of 40 s are opening.
                assert_eq!(
                    findings[0].diagnostic.gain.as_ref().and_then(|gain| gain.milliseconds),
                    Some(32_000)
                );
            }
            let run = with(
                "Execute InsertIntoHadoopFsRelationCommand",
                &[("number of written files", files), ("written output", size)],
                length,
            );
            assert_eq!(rule(&run).len(), usize::from(told), "{files} {size} {length}");
        }
    }
}
