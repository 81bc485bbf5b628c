//! The bill of a run.

use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

use serde::Serialize;

use super::CostError;
use super::attribute::{Use, core_time, divide};
use super::hold::{Holder, holders};
use super::money::{self, Money};
use super::prices::{Capacity, Prices, Tariff};
use crate::facts::{Cluster, Run};

/// Milliseconds in an hour.
const HOUR: i128 = 3_600_000;
/// Bytes in 1 GiB.
pub(super) const GIB: i128 = 1 << 30;

/// A span of time, milliseconds since 1970; `until` is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// From when.
    pub from: i64,
    /// Until when.
    pub until: i64,
}

impl Window {
    /// All time.
    pub const ALL: Window = Window {
        from: i64::MIN,
        until: i64::MAX,
    };
}

/// What something cost and what was reserved for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Amounts {
    /// What is paid; zero without prices.
    pub cost: Money,
    /// The same at list prices, before discounts.
    pub list_cost: Money,
    /// Thousandths of a core times milliseconds: a core-second is 1,000,000.
    pub millicore_milliseconds: i128,
    /// Bytes of memory times milliseconds: a GiB-second is 1,073,741,824,000.
    pub memory_byte_milliseconds: i128,
    /// Bytes of disk times milliseconds.
    pub storage_byte_milliseconds: i128,
    /// GPUs times milliseconds.
    pub gpu_milliseconds: i128,
}

impl Amounts {
    fn columns(self) -> [i128; 6] {
        [
            self.cost.nanos(),
            self.list_cost.nanos(),
            self.millicore_milliseconds,
            self.memory_byte_milliseconds,
            self.storage_byte_milliseconds,
            self.gpu_milliseconds,
        ]
    }

    fn of_columns([cost, list, core, memory, storage, gpu]: [i128; 6]) -> Amounts {
        Amounts {
            cost: Money::of_nanos(cost),
            list_cost: Money::of_nanos(list),
            millicore_milliseconds: core,
            memory_byte_milliseconds: memory,
            storage_byte_milliseconds: storage,
            gpu_milliseconds: gpu,
        }
    }

    /// Core-seconds, rounded half to even.
    pub fn core_seconds(&self) -> i128 {
        money::divide(self.millicore_milliseconds, 1_000_000).unwrap_or(0)
    }

    /// GiB-seconds of memory, rounded half to even.
    pub fn gib_seconds(&self) -> i128 {
        money::divide(self.memory_byte_milliseconds, GIB * 1000).unwrap_or(0)
    }
}

impl Add for Amounts {
    type Output = Amounts;

    /// The sum. A sum of parts of one bill is never more than its whole, and sums of wholes were checked; so nothing overflows, and what did
    /// would stay at the greatest number rather than wrap.
    fn add(self, other: Amounts) -> Amounts {
        let (mut sum, other) = (self.columns(), other.columns());
        for (sum, other) in sum.iter_mut().zip(other) {
            *sum = sum.saturating_add(other);
        }
        Amounts::of_columns(sum)
    }
}

impl AddAssign for Amounts {
    fn add_assign(&mut self, other: Amounts) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Amounts {
    fn sum<I: Iterator<Item = Amounts>>(amounts: I) -> Amounts {
        amounts.fold(Amounts::default(), Add::add)
    }
}

/// What is charged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// CPUs.
    Cpu,
    /// Memory.
    Memory,
    /// Disk.
    Storage,
    /// GPUs.
    Gpu,
    /// A share of a node.
    Node,
}

/// A charge: one resource of one pod over a time of one price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// `driver` or Spark's id of the executor.
    pub holder: String,
    /// The pod, where it is known.
    pub pod: Option<String>,
    /// What is charged for.
    pub resource: Resource,
    /// The node's shape.
    pub shape: Option<String>,
    /// How the node is bought.
    pub capacity: Option<Capacity>,
    /// When.
    pub period: Window,
    /// How much was held all the time, as a fraction: CPUs, GiB, GPUs, or the share of the node.
    pub held: (i128, i128),
    /// List price of one for an hour.
    pub list_price: Money,
    /// What is paid of it, for an hour.
    pub price: Money,
    /// At list price.
    pub list_cost: Money,
    /// What is paid.
    pub cost: Money,
}

/// A part of a bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// What it is.
    pub name: String,
    /// How much.
    #[serde(flatten)]
    pub amounts: Amounts,
}

/// What a stage attempt cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StagePart {
    /// The stage.
    pub stage: i32,
    /// Its attempt.
    pub attempt: i32,
    /// Its name.
    pub name: String,
    /// Of the amounts, what went to attempts that did not succeed.
    pub lost: Money,
    /// How much.
    #[serde(flatten)]
    pub amounts: Amounts,
}

/// What a SQL query, or a job, cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryPart {
    /// Its id.
    pub id: i64,
    /// Its description.
    pub description: String,
    /// How much.
    #[serde(flatten)]
    pub amounts: Amounts,
}

/// What a run cost. Each of `holders` and `uses`, `stages` and `outside_stages`, `jobs` and `outside_jobs`, `queries` and `outside_queries` sums to
/// `total`, to the last digit.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    /// Spark's application id.
    pub application: String,
    /// Its name.
    pub name: String,
    /// The namespace it ran in.
    pub namespace: Option<String>,
    /// Labels: of the application, and those given to its driver.
    pub labels: BTreeMap<String, String>,
    /// The currency; none when there were no prices.
    pub currency: Option<String>,
    /// From the first to the last moment that is charged.
    pub period: Window,
    /// The whole.
    pub total: Amounts,
    /// Every charge; empty without prices.
    pub lines: Vec<Line>,
    /// By driver and executor.
    pub holders: Vec<Part>,
    /// By use.
    pub uses: Vec<Part>,
    /// By stage attempt.
    pub stages: Vec<StagePart>,
    /// What was for no stage: driver, start-up, idle, tail, unused.
    pub outside_stages: Amounts,
    /// By job.
    pub jobs: Vec<QueryPart>,
    /// What was for no job.
    pub outside_jobs: Amounts,
    /// By SQL query.
    pub queries: Vec<QueryPart>,
    /// What was for no query.
    pub outside_queries: Amounts,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// The bill of a run.
///
/// # Errors
/// See [`CostError`].
pub fn of(run: &Run, cluster: Option<&Cluster>, prices: Option<&Prices>) -> Result<Bill, CostError> {
    of_window(run, cluster, prices, Window::ALL)
}

/// The bill of the part of a run that is within a window. Bills of windows that follow one another sum to the bill of the whole: a charge is
/// counted from the beginning of its price to the end of the window, less the same up to its beginning.
///
/// # Errors
/// See [`CostError`].
pub fn of_window(
    run: &Run,
    cluster: Option<&Cluster>,
    prices: Option<&Prices>,
    window: Window,
) -> Result<Bill, CostError> {
    let (holders, notes) = holders(run, cluster)?;
    let mut sums = Sums::default();
    for holder in &holders {
        sums.holder(holder, prices, window)?;
    }
    Ok(sums.bill(run, cluster, prices, notes))
}

#[derive(Default)]
struct Sums {
    total: Amounts,
    lines: Vec<Line>,
    holders: Vec<Part>,
    uses: BTreeMap<Use, Amounts>,
    from: Option<i64>,
    until: Option<i64>,
    unpriced_storage: bool,
}

impl Sums {
    fn holder(&mut self, holder: &Holder, prices: Option<&Prices>, window: Window) -> Result<(), CostError> {
        let mut whole = Amounts::default();
        for (from, until) in spans(holder, prices) {
            let (begin, end) = (from.max(window.from), until.min(window.until));
            if begin >= end {
                continue;
            }
            let mut amounts = reserved(holder, end - begin);
            for charge in charges(holder, prices, from)? {
                let line = charge.line(
                    holder,
                    from,
                    Window {
                        from: begin,
                        until: end,
                    },
                )?;
                let sums = (
                    amounts.cost.checked_add(line.cost),
                    amounts.list_cost.checked_add(line.list_cost),
                );
                let (Some(cost), Some(list)) = sums else {
                    return Err(too_large(holder));
                };
                (amounts.cost, amounts.list_cost) = (cost, list);
                self.lines.push(line);
            }
            self.unpriced_storage |= holder.storage > 0
                && prices.is_some()
                && !self.lines.iter().any(|line| line.resource == Resource::Storage);
            let uses = match holder.slots {
                0 => vec![(Use::Driver, 1)],
                slots => core_time((holder.from, holder.until), slots, &holder.busy, (begin, end)),
            };
            let parts = divide(amounts.columns(), &uses).ok_or_else(|| too_large(holder))?;
            for (what, part) in parts {
                *self.uses.entry(what).or_default() += Amounts::of_columns(part);
            }
            whole += amounts;
            self.from = Some(self.from.map_or(begin, |from| from.min(begin)));
            self.until = Some(self.until.map_or(end, |until| until.max(end)));
        }
        self.total.cost = self
            .total
            .cost
            .checked_add(whole.cost)
            .ok_or_else(|| too_large(holder))?;
        self.total.list_cost = self
            .total
            .list_cost
            .checked_add(whole.list_cost)
            .ok_or_else(|| too_large(holder))?;
        let money = (self.total.cost, self.total.list_cost);
        self.total += whole;
        (self.total.cost, self.total.list_cost) = money;
        self.holders.push(Part {
            name: title(&holder.id),
            amounts: whole,
        });
        Ok(())
    }

    fn bill(self, run: &Run, cluster: Option<&Cluster>, prices: Option<&Prices>, mut notes: Vec<String>) -> Bill {
        let mut uses: BTreeMap<u8, Part> = BTreeMap::new();
        let mut outside = Amounts::default();
        let mut stages: BTreeMap<usize, (Amounts, Money)> = BTreeMap::new();
        for (what, amounts) in &self.uses {
            let use_ = uses.entry(order(*what)).or_insert_with(|| Part {
                name: what.name().to_owned(),
                amounts: Amounts::default(),
            });
            use_.amounts += *amounts;
            let Some(stage) = what.stage() else {
                outside += *amounts;
                continue;
            };
            let (sum, lost) = stages.entry(stage).or_default();
            *sum += *amounts;
            if !matches!(what, Use::Work(_)) {
                *lost = lost.checked_add(amounts.cost).unwrap_or(*lost);
            }
        }
        let mut jobs: BTreeMap<i64, Amounts> = BTreeMap::new();
        let mut queries: BTreeMap<i64, Amounts> = BTreeMap::new();
        let (mut outside_jobs, mut outside_queries) = (outside, outside);
        let mut parts = Vec::with_capacity(stages.len());
        for (place, ((id, attempt), stage)) in run.stages.iter().enumerate() {
            let Some((amounts, lost)) = stages.remove(&place) else {
                continue;
            };
            match stage.job {
                Some(job) => *jobs.entry(i64::from(job)).or_default() += amounts,
                None => outside_jobs += amounts,
            }
            match stage.query {
                Some(query) => *queries.entry(query).or_default() += amounts,
                None => outside_queries += amounts,
            }
            parts.push(StagePart {
                stage: *id,
                attempt: *attempt,
                name: stage.name.clone(),
                lost,
                amounts,
            });
        }
        if self.unpriced_storage {
            notes.push("disk was reserved, and the table has no `storageGibHour` for it: it is not charged".to_owned());
        }
        let query = |(id, amounts): (i64, Amounts)| {
            let description = run.queries.get(&id).map(|query| query.description.clone());
            QueryPart {
                id,
                description: description.unwrap_or_default(),
                amounts,
            }
        };
        let job = |(id, amounts): (i64, Amounts)| {
            let known = i32::try_from(id).ok().and_then(|id| run.jobs.get(&id));
            QueryPart {
                id,
                description: known.map(|job| job.description.clone()).unwrap_or_default(),
                amounts,
            }
        };
        Bill {
            application: run.id.clone(),
            name: run.name.clone(),
            namespace: namespace(run, cluster),
            labels: labels(run, cluster),
            currency: prices.map(|prices| prices.currency.clone()),
            period: Window {
                from: self.from.unwrap_or(run.started),
                until: self.until.unwrap_or(run.started),
            },
            total: self.total,
            lines: self.lines,
            holders: self.holders,
            uses: uses.into_values().collect(),
            stages: parts,
            outside_stages: outside,
            jobs: jobs.into_iter().map(job).collect(),
            outside_jobs,
            queries: queries.into_iter().map(query).collect(),
            outside_queries,
            notes,
        }
    }
}

/// The order of uses in a bill.
fn order(what: Use) -> u8 {
    match what {
        Use::Work(_) => 0,
        Use::Driver => 1,
        Use::StartUp => 2,
        Use::Idle => 3,
        Use::Tail => 4,
        Use::Unused => 5,
        Use::Failed(_) => 6,
        Use::Killed(_) => 7,
        Use::Speculation(_) => 8,
        Use::Unfinished(_) => 9,
    }
}

/// The life of a holder, cut where prices change.
fn spans(holder: &Holder, prices: Option<&Prices>) -> Vec<(i64, i64)> {
    let mut cuts = vec![holder.from];
    if let Some(prices) = prices {
        cuts.extend(
            prices
                .changes()
                .into_iter()
                .filter(|time| holder.from < *time && *time < holder.until),
        );
    }
    cuts.push(holder.until);
    cuts.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

fn reserved(holder: &Holder, milliseconds: i64) -> Amounts {
    let time = |amount: i64| i128::from(amount) * i128::from(milliseconds);
    Amounts {
        cost: Money::ZERO,
        list_cost: Money::ZERO,
        millicore_milliseconds: time(holder.millicores),
        memory_byte_milliseconds: time(holder.memory),
        storage_byte_milliseconds: time(holder.storage),
        gpu_milliseconds: time(holder.gpus),
    }
}

/// A resource at a price.
struct Charge {
    resource: Resource,
    held: (i128, i128),
    list_price: Money,
    price: Money,
}

impl Charge {
    /// The cost of a window of a span that began at `from`.
    fn line(self, holder: &Holder, from: i64, period: Window) -> Result<Line, CostError> {
        let cost = |price: Money| {
            let until = |time: i64| {
                let product = price
                    .nanos()
                    .checked_mul(self.held.0)?
                    .checked_mul(i128::from(time - from))?;
                money::divide(product, self.held.1.checked_mul(HOUR)?)
            };
            until(period.until)?
                .checked_sub(until(period.from)?)
                .map(Money::of_nanos)
        };
        let (Some(list_cost), Some(paid)) = (cost(self.list_price), cost(self.price)) else {
            return Err(too_large(holder));
        };
        Ok(Line {
            holder: holder.id.clone(),
            pod: holder.pod.clone(),
            resource: self.resource,
            shape: holder.shape.clone(),
            capacity: holder.capacity,
            period,
            held: self.held,
            list_price: self.list_price,
            price: self.price,
            list_cost,
            cost: paid,
        })
    }
}

/// What is charged for a holder by the prices of a time.
fn charges(holder: &Holder, prices: Option<&Prices>, time: i64) -> Result<Vec<Charge>, CostError> {
    let Some(prices) = prices else { return Ok(Vec::new()) };
    let no_price = |what: String| CostError::NoPrice {
        table: prices.name.clone(),
        holder: title(&holder.id),
        what,
        time: jiff::Timestamp::from_millisecond(time).map_or_else(|_| time.to_string(), |time| time.to_string()),
    };
    let shape = holder.shape.as_deref();
    let Some(rate) = prices.rate(shape, holder.capacity, time) else {
        let shape = shape.map(|shape| format!(" on a node of shape `{shape}`"));
        let capacity = holder.capacity.map(|capacity| format!(" ({})", capacity.as_str()));
        return Err(no_price(shape.unwrap_or_default() + &capacity.unwrap_or_default()));
    };
    let percent = prices
        .discount(shape, holder.capacity, time)
        .map_or(Money::ZERO, |discount| discount.percent);
    let charge = |resource, held: (i128, i128), list_price: Money| {
        let hundred = 100_000_000_000;
        let paid = list_price
            .nanos()
            .checked_mul(hundred - percent.nanos())
            .and_then(|paid| money::divide(paid, hundred));
        paid.map(|paid| Charge {
            resource,
            held: reduced(held),
            list_price,
            price: Money::of_nanos(paid),
        })
    };
    let mut charges = Vec::new();
    match rate.tariff {
        Tariff::Reserved {
            cpu,
            memory,
            storage,
            gpu,
        } => {
            charges.push(charge(Resource::Cpu, (holder.millicores.into(), 1000), cpu));
            charges.push(charge(Resource::Memory, (holder.memory.into(), GIB), memory));
            if let (Some(storage), 1..) = (storage, holder.storage) {
                charges.push(charge(Resource::Storage, (holder.storage.into(), GIB), storage));
            }
            match gpu {
                Some(gpu) if holder.gpus > 0 => charges.push(charge(Resource::Gpu, (holder.gpus.into(), 1), gpu)),
                None if holder.gpus > 0 => {
                    return Err(no_price(": it holds GPUs and there is no `gpuHour`".to_owned()));
                }
                _ => {}
            }
        }
        Tariff::Node {
            hour,
            millicores,
            memory,
            gpus,
        } => {
            let share = [
                (holder.millicores, millicores),
                (holder.memory, memory),
                (holder.gpus, gpus),
            ]
            .map(|(held, of)| (i128::from(held), i128::from(of)))
            .into_iter()
            .filter(|(held, _)| *held > 0)
            .max_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1)))
            .unwrap_or((0, 1));
            if share.0 > share.1 {
                return Err(CostError::LargerThanNode {
                    table: prices.name.clone(),
                    holder: title(&holder.id),
                    reserved: format!(
                        "{}m CPU, {} MiB, {} GPUs",
                        holder.millicores,
                        holder.memory >> 20,
                        holder.gpus
                    ),
                    shape: rate.shape.clone().unwrap_or_else(|| "any".to_owned()),
                });
            }
            charges.push(charge(Resource::Node, share, hour));
        }
    }
    charges
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| too_large(holder))
}

fn reduced((above, below): (i128, i128)) -> (i128, i128) {
    let (mut a, mut b) = (above, below);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    match a {
        0 => (above, below),
        divisor => (above / divisor, below / divisor),
    }
}

fn too_large(holder: &Holder) -> CostError {
    CostError::TooLarge {
        holder: title(&holder.id),
    }
}

fn title(id: &str) -> String {
    match id {
        crate::facts::run::DRIVER => id.to_owned(),
        _ => format!("executor {id}"),
    }
}

fn namespace(run: &Run, cluster: Option<&Cluster>) -> Option<String> {
    let told = cluster.and_then(|cluster| cluster.application["metadata"]["namespace"].as_str());
    told.or(run.property("spark.kubernetes.namespace")).map(str::to_owned)
}

/// Labels of a run: of its application, and those its configuration gives the driver.
fn labels(run: &Run, cluster: Option<&Cluster>) -> BTreeMap<String, String> {
    const PREFIX: &str = "spark.kubernetes.driver.label.";
    let mut labels = BTreeMap::new();
    let configured = run
        .spark
        .range(PREFIX.to_owned()..)
        .take_while(|(key, _)| key.starts_with(PREFIX));
    labels.extend(configured.map(|(key, value)| (key[PREFIX.len()..].to_owned(), value.clone())));
    let application = cluster.map(|cluster| &cluster.application);
    for given in [
        application.map(|it| &it["spec"]["driver"]["labels"]),
        application.map(|it| &it["metadata"]["labels"]),
    ] {
        let given = given.and_then(serde_json::Value::as_object).into_iter().flatten();
        labels.extend(given.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))));
    }
    labels
}

/// Checks that every level of a bill sums to its whole, for tests: the name of the first that does not.
#[cfg(test)]
pub(crate) fn unbalanced(bill: &Bill) -> Option<&'static str> {
    let lines: (i128, i128) = bill.lines.iter().fold((0, 0), |sum, line| {
        (sum.0 + line.cost.nanos(), sum.1 + line.list_cost.nanos())
    });
    let levels = [
        ("holders", bill.holders.iter().map(|part| part.amounts).sum::<Amounts>()),
        ("uses", bill.uses.iter().map(|part| part.amounts).sum()),
        (
            "stages",
            bill.stages.iter().map(|part| part.amounts).sum::<Amounts>() + bill.outside_stages,
        ),
        (
            "jobs",
            bill.jobs.iter().map(|part| part.amounts).sum::<Amounts>() + bill.outside_jobs,
        ),
        (
            "queries",
            bill.queries.iter().map(|part| part.amounts).sum::<Amounts>() + bill.outside_queries,
        ),
    ];
    let wrong = levels
        .into_iter()
        .find(|(_, sum)| *sum != bill.total)
        .map(|(name, _)| name);
    let money = (bill.total.cost.nanos(), bill.total.list_cost.nanos());
    wrong.or((bill.currency.is_some() && lines != money).then_some("lines"))
}

#[cfg(test)]
#[path = "bill_tests.rs"]
mod tests;
