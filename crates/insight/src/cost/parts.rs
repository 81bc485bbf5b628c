//! What a bill is made of: amounts, charges, and the parts they are told by.

use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

use serde::Serialize;

use super::money::{self, Money};
use super::prices::Capacity;

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
    /// Thousandths of a core times milliseconds: a core-second is 1,000,000. These four are whole numbers of any size, also in JSON: 150 executors of
    /// 28 GiB pass 64 bits of byte-milliseconds within 70 minutes.
    pub millicore_milliseconds: i128,
    /// Bytes of memory times milliseconds: a GiB-second is 1,073,741,824,000.
    pub memory_byte_milliseconds: i128,
    /// Bytes of disk times milliseconds.
    pub storage_byte_milliseconds: i128,
    /// GPUs times milliseconds.
    pub gpu_milliseconds: i128,
}

impl Amounts {
    pub(super) fn columns(self) -> [i128; 6] {
        [
            self.cost.nanos(),
            self.list_cost.nanos(),
            self.millicore_milliseconds,
            self.memory_byte_milliseconds,
            self.storage_byte_milliseconds,
            self.gpu_milliseconds,
        ]
    }

    pub(super) fn of_columns([cost, list, core, memory, storage, gpu]: [i128; 6]) -> Amounts {
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
    Cpu,
    Memory,
    /// Disk.
    Storage,
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
    pub stage: i32,
    pub attempt: i32,
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
    pub id: i64,
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
