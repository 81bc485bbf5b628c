//! Whether two places hold the same data: what a new version of an application wrote beside what the old one wrote.
//!
//! Order of rows and columns, files, compression, encodings and partitions do not matter; values do. In three steps, in memory that does not grow with rows:
//!
//! 1. [`schema`] puts the columns of both sides beside each other. Files that cannot be read end it: what was not read is never equal.
//! 2. Each side is read once ([`scan`]). A row becomes bytes in one form ([`cells`], [`value`]) and is added to one of 65,536 buckets by its key, or without keys
//!    by its content ([`row`]). Buckets with the same number of rows and the same sum of 128-bit hashes are equal; mostly all are, and that was it.
//! 3. Rows of the other buckets are read again and put aside by their hash, on disk beyond a limit of memory ([`spill`]), and part by part put together
//!    ([`tally`]; with tolerances by [`pairing`]).
//!
//! Columns that differ from run to run are compared by how their values are spread ([`spread`]).

mod cells;
mod pairing;
mod report;
mod row;
mod scan;
mod schema;
mod spill;
mod spread;
mod tally;
mod tolerance;
mod types;
mod value;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

pub use report::{Difference, KeySummary, SideSummary, Verdict, Work};
pub use schema::SchemaDifference;
pub use spread::{Distribution, SpreadNumbers};
pub use tally::{ColumnCounts, EXAMPLES, Example, OneSided, RowCounts};
pub use tolerance::Tolerance;

use crate::data::{Dataset, OpenOptions, Storage};
use crate::error::QualityError;
use pairing::TooNear;
use row::{Buckets, Row};
use scan::{Pass, Side};
use schema::Plan;
use spill::{DEPTHS, PARTS, Record, Spill, records};
use spread::Spread;
use tally::Tally;

/// Bytes of rows that stay in memory when nothing else is asked for.
pub const MEMORY: usize = 256 << 20;
/// How far distributions may be apart when nothing else is asked for.
pub const DISTANCE: f64 = 0.1;

/// What is compared, and how.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// Columns that say which rows belong together; without any, rows are compared as a multiset.
    pub keys: Vec<String>,
    /// Columns that are left out.
    pub ignore: BTreeSet<String>,
    /// Columns of which only the distribution is compared.
    pub nondeterministic: BTreeSet<String>,
    /// Of all floating-point numbers, also in lists and structures.
    pub tolerance: Option<Tolerance>,
    /// Of columns of numbers of any type.
    pub column_tolerances: BTreeMap<String, Tolerance>,
    /// Whether types may differ as long as values are equal, as those of `int` and `bigint` can be.
    pub same_values: bool,
    /// How far distributions of nondeterministic columns may be apart, from 0 to 1.
    pub distance: f64,
    /// Version of a Delta table, or snapshot, branch or tag of an Iceberg table.
    pub left_version: Option<String>,
    pub right_version: Option<String>,
    /// Bytes of rows that stay in memory.
    #[serde(skip)]
    pub memory: usize,
    /// As many as there are processors when none.
    #[serde(skip)]
    pub threads: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            ignore: BTreeSet::new(),
            nondeterministic: BTreeSet::new(),
            tolerance: None,
            column_tolerances: BTreeMap::new(),
            same_values: false,
            distance: DISTANCE,
            left_version: None,
            right_version: None,
            memory: MEMORY,
            threads: None,
        }
    }
}

/// How far a comparison is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done, like `reading the left side`.
    pub doing: &'static str,
    /// Rows, or parts of rows.
    pub done: u64,
    /// Of how many, where that is known.
    pub of: Option<u64>,
}

/// Who watches a comparison, from any of its threads.
pub trait Watch: Sync {
    /// Whether it is to end; it does so soon.
    fn stopped(&self) -> bool {
        false
    }

    /// Called once a batch.
    fn progress(&self, _: &Step) {}
}

/// No one.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Watch for Alone {}

/// A comparison that cannot be made as asked.
fn refused(cause: impl Into<String>, fix: &str) -> QualityError {
    QualityError::Comparison {
        cause: cause.into(),
        fix: fix.to_owned(),
    }
}

/// Compares two places.
///
/// # Errors
/// When a place or one of its files cannot be read to the end, the options name columns that are not there, rows cannot be put together within the limit of
/// memory, or it was stopped. An error says nothing about whether they are equal.
pub fn compare(
    left: &Storage,
    right: &Storage,
    options: &Options,
    watch: &dyn Watch,
) -> Result<Difference, QualityError> {
    if !(0.0..=1.0).contains(&options.distance) {
        return Err(refused(
            format!("{} is not a distance", options.distance),
            "give a number from 0 to 1",
        ));
    }
    let open = |storage: &Storage, version: &Option<String>| {
        let version = version.clone();
        Dataset::open(
            storage,
            &OpenOptions {
                version,
                ..OpenOptions::default()
            },
        )
    };
    let (left, right) = (open(left, &options.left_version)?, open(right, &options.right_version)?);
    let plan = Plan::new(&left, &right, options)?;
    let threads = options
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let work = Comparison {
        plan: &plan,
        left: &left,
        right: &right,
        threads: threads.max(1),
        memory: options.memory,
        watch,
    };
    let (on_left, spread_left) = work.count(Side::Left)?;
    let (on_right, spread_right) = work.count(Side::Right)?;
    let (unlike, looked_at) = on_left.unlike(&on_right);
    let mut tally = Tally::new(&plan);
    let mut spilled = 0;
    if looked_at > 0 {
        let (ours, theirs) = (
            work.put_aside(Side::Left, &unlike)?,
            work.put_aside(Side::Right, &unlike)?,
        );
        spilled = ours.iter().chain(&theirs).map(Spill::written).sum();
        tally = work.settle_all(&ours, &theirs)?;
    }
    tally.rows.left = on_left.rows();
    tally.rows.right = on_right.rows();
    tally.rows.equal += on_left.rows() - on_left.rows_of(&unlike);
    let nondeterministic = plan.columns[plan.rows..].iter();
    let spreads = spread_left.iter().zip(&spread_right);
    let distributions = nondeterministic
        .zip(spreads)
        .map(|(column, (one, other))| spread::compare(column, one, other, options.distance));
    let distributions: Vec<Distribution> = distributions.collect();
    let summary = |dataset: &Dataset, buckets: &Buckets| SideSummary::new(dataset, buckets.rows(), buckets.digest());
    let mut notes = plan.notes.clone();
    for (side, repeated) in [("left", tally.repeated_left), ("right", tally.repeated_right)] {
        if repeated > 0 {
            notes.push(format!(
                "{side}: {repeated} keys belong to several rows; these are put together in the order of their values"
            ));
        }
    }
    let rows = tally.rows;
    let different = !plan.differences.is_empty()
        || rows.lost + rows.added + rows.changed > 0
        || distributions.iter().any(|distribution| !distribution.apart.is_empty());
    Ok(Difference {
        verdict: if different { Verdict::Different } else { Verdict::Equal },
        left: summary(&left, &on_left),
        right: summary(&right, &on_right),
        schema: plan.differences.clone(),
        rows,
        keys: (!options.keys.is_empty()).then(|| KeySummary {
            columns: options.keys.clone(),
            repeated_left: tally.repeated_left,
            repeated_right: tally.repeated_right,
        }),
        columns: tally.columns(&plan),
        distributions,
        notes,
        examples: tally.examples(),
        compared: plan.columns[..plan.rows]
            .iter()
            .map(|column| column.name.clone())
            .collect(),
        options: options.clone(),
        work: Work {
            rows_looked_at: looked_at,
            bytes_on_disk: spilled,
        },
    })
}

/// Why rows of a part are not put together.
enum Trouble {
    Disk(std::io::Error),
    Near,
    /// How many rows have the same key.
    Many(u64),
    Stopped,
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<TooNear> for Trouble {
    fn from(_: TooNear) -> Self {
        Self::Near
    }
}

/// A comparison that is under way.
struct Comparison<'a> {
    plan: &'a Plan,
    left: &'a Dataset,
    right: &'a Dataset,
    threads: usize,
    memory: usize,
    watch: &'a dyn Watch,
}

impl Comparison<'_> {
    fn pass(&self, side: Side, columns: usize, doing: &'static str) -> Pass<'_> {
        Pass {
            plan: self.plan,
            side,
            dataset: match side {
                Side::Left => self.left,
                Side::Right => self.right,
            },
            columns,
            threads: self.threads,
            watch: self.watch,
            doing,
        }
    }

    /// Reads a side: its rows in buckets, and how nondeterministic columns lie.
    fn count(&self, side: Side) -> Result<(Buckets, Vec<Spread>), QualityError> {
        let doing = match side {
            Side::Left => "reading the left side",
            Side::Right => "reading the right side",
        };
        let (plan, keyed) = (self.plan, self.plan.keys > 0);
        let others = plan.columns.len() - plan.rows;
        let new = || {
            (
                Buckets::new(),
                (0..others).map(|_| Spread::new()).collect::<Vec<Spread>>(),
            )
        };
        let make = || (new(), Row::default(), Vec::<u8>::new());
        let states =
            self.pass(side, plan.columns.len(), doing)
                .run(make, |((buckets, spreads), row, bytes), batch| {
                    let (compared, others) = batch.cells.split_at(plan.rows);
                    for at in 0..batch.rows {
                        row.write(compared, plan.keys, at);
                        let group = row.group(keyed);
                        let whole = row.whole(group, keyed);
                        buckets.add(group, whole);
                    }
                    for (spread, cells) in spreads.iter_mut().zip(others) {
                        for at in 0..batch.rows {
                            spread.take(cells, at, batch.place, bytes);
                        }
                    }
                    Ok(())
                })?;
        let mut all = new();
        for ((buckets, spreads), ..) in states {
            all.0.merge(&buckets);
            for (spread, more) in all.1.iter_mut().zip(spreads) {
                spread.merge(more);
            }
        }
        Ok(all)
    }

    /// Reads a side again and puts the rows of some buckets aside.
    fn put_aside(&self, side: Side, unlike: &[bool]) -> Result<Vec<Spill>, QualityError> {
        let doing = match side {
            Side::Left => "looking at rows of the left side",
            Side::Right => "looking at rows of the right side",
        };
        let (plan, keyed) = (self.plan, self.plan.keys > 0);
        let make = || (Spill::new(self.memory / 4 / self.threads, 0), Row::default());
        let states = self.pass(side, plan.rows, doing).run(make, |(spill, row), batch| {
            for at in 0..batch.rows {
                row.write(batch.cells, plan.keys, at);
                let group = row.group(keyed);
                if unlike[Buckets::bucket(group)] {
                    spill
                        .push(group, row)
                        .map_err(|error| format!("rows cannot be put aside: {error}"))?;
                }
            }
            Ok(())
        })?;
        Ok(states.into_iter().map(|(spill, _)| spill).collect())
    }

    /// Puts all rows together that were put aside.
    fn settle_all(&self, left: &[Spill], right: &[Spill]) -> Result<Tally, QualityError> {
        let next = AtomicUsize::new(0);
        let all = Mutex::new((Tally::new(self.plan), None));
        let work = || {
            let mut tally = Tally::new(self.plan);
            let mut trouble = None;
            while trouble.is_none() {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= PARTS {
                    break;
                }
                self.watch.progress(&Step {
                    doing: "putting rows together",
                    done: part as u64,
                    of: Some(PARTS as u64),
                });
                trouble = self.settle(left, right, part, 0, &mut tally).err();
            }
            if trouble.is_some() {
                next.store(PARTS, Ordering::Relaxed);
            }
            let mut all = all.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            all.0.merge(tally);
            all.1 = all.1.take().or(trouble);
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(work);
            }
        });
        let (tally, trouble) = all.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let keyed = self.plan.keys > 0;
        match trouble {
            None => Ok(tally),
            Some(Trouble::Stopped) => Err(QualityError::Interrupted),
            Some(Trouble::Disk(error)) => Err(refused(
                format!("rows cannot be put aside: {error}"),
                "set TMPDIR to a directory with more space",
            )),
            Some(Trouble::Near) => Err(refused(
                "many rows are the same but for numbers that are within the tolerance of each other, so which belong together cannot be said",
                "name the columns that say which rows belong together with --key, or give a smaller --tolerance",
            )),
            Some(Trouble::Many(rows)) if keyed => Err(refused(
                format!("{rows} rows have the same key, more than fit into memory"),
                "name more columns with --key, or allow more with --memory",
            )),
            Some(Trouble::Many(rows)) => Err(refused(
                format!("{rows} rows are the same but for numbers with a tolerance, more than fit into memory"),
                "name the columns that say which rows belong together with --key, or allow more with --memory",
            )),
        }
    }

    /// Puts the rows of a part together; what does not fit into memory is divided first.
    fn settle(
        &self,
        left: &[Spill],
        right: &[Spill],
        part: usize,
        depth: u32,
        tally: &mut Tally,
    ) -> Result<(), Trouble> {
        if self.watch.stopped() {
            return Err(Trouble::Stopped);
        }
        let size: usize = left.iter().chain(right).map(|spill| spill.size(part)).sum();
        let limit = (self.memory / 4 / self.threads).max(1 << 16);
        if size <= limit {
            let (ours, theirs) = (Spill::load(left, part)?, Spill::load(right, part)?);
            return Ok(tally.part(self.plan, &ours, &theirs)?);
        }
        let exact = self.plan.keys == 0 && !self.plan.is_tolerant();
        let divided = if depth + 1 < DEPTHS {
            let ours = Spill::divide(left, part, limit / 4, depth + 1)?;
            let theirs = Spill::divide(right, part, limit / 4, depth + 1)?;
            let both = |part: usize| ours.size(part) + theirs.size(part);
            // One part with all of it: its rows are found by the same.
            (0..PARTS).all(|part| both(part) < size).then_some((ours, theirs))
        } else {
            None
        };
        match divided {
            Some((ours, theirs)) => (0..PARTS).try_for_each(|part| {
                self.settle(
                    std::slice::from_ref(&ours),
                    std::slice::from_ref(&theirs),
                    part,
                    depth + 1,
                    tally,
                )
            }),
            None if exact => self.collapse(left, right, part, tally),
            None => {
                let mut rows = 0;
                for spill in left.iter().chain(right) {
                    spill.each(part, |stretch| {
                        rows += records(stretch).count() as u64;
                        Ok(())
                    })?;
                }
                Err(Trouble::Many(rows))
            }
        }
    }

    /// Counts rows that are the same, when they do not fit into memory one by one.
    fn collapse(&self, left: &[Spill], right: &[Spill], part: usize, tally: &mut Tally) -> Result<(), Trouble> {
        let mut counts: HashMap<u128, (u64, u64, Vec<u8>)> = HashMap::new();
        let mut add = |spills: &[Spill], one: u64, other: u64| {
            spills.iter().try_for_each(|spill| {
                spill.each(part, |stretch| {
                    for record in records(stretch) {
                        let (ours, theirs, _) = counts
                            .entry(record.group)
                            .or_insert_with(|| (0, 0, record.bytes.to_vec()));
                        *ours += one;
                        *theirs += other;
                    }
                    Ok(())
                })
            })
        };
        add(left, 1, 0)?;
        add(right, 0, 1)?;
        for (group, (ours, theirs, bytes)) in &counts {
            tally.same(self.plan, &Record::exact(*group, bytes), *ours, *theirs);
        }
        Ok(())
    }
}
