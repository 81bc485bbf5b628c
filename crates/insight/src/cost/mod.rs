//! What a run cost, and for what.
//!
//! In: a [`Run`](crate::facts::Run), its [`Cluster`](crate::facts::Cluster) where there is one, and [`Prices`]. Out: a [`Bill`], whose parts
//! sum to its whole at every level.
//!
//! Driver and executors cost what they reserve, from start to end ([`hold`]). What an executor cost is divided by the time its cores gave
//! to each task; time in which cores waited is a line of its own ([`attribute`]). Without prices the same is told in core-seconds and
//! GiB-seconds.

pub mod attribute;
mod bill;
mod charge;
pub mod focus;
pub mod hold;
mod money;
mod parquet;
mod parts;
mod prices;
mod read;
mod server;
pub mod showback;
mod text;

pub use bill::{of, of_window};
pub use money::{Money, NoMoney};
pub use parts::{Amounts, Bill, Line, Part, QueryPart, Resource, StagePart, Window};
pub use prices::{Capacity, Discount, Prices, Rate, Tariff};
pub use server::{Estimate, of_server};

/// Why a bill cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// No price is valid for a pod at some time.
    #[error(
        "{table} has no price for {holder}{what} at {time}; add an entry to `prices` that covers it \
         (`from` and `until` are the dates it is valid for)"
    )]
    NoPrice {
        /// The price table.
        table: String,
        /// `driver` or `executor 7`.
        holder: String,
        /// Its node shape and capacity, as far as they are known; or the resource that has no price.
        what: String,
        /// When, RFC 3339.
        time: String,
    },
    /// A pod asks for more than the node has that the table prices.
    #[error(
        "{holder} reserves {reserved}, more than a node of shape `{shape}` has according to {table}; \
         correct `cpu`, `memory` or `gpus` of that shape"
    )]
    LargerThanNode {
        /// The price table.
        table: String,
        /// `driver` or `executor 7`.
        holder: String,
        /// What it reserves.
        reserved: String,
        /// The node's shape.
        shape: String,
    },
    /// A setting of the run from which a reservation follows cannot be read.
    #[error("{0}; the run's own settings must be readable to know what it reserved")]
    Setting(String),
    /// The numbers are beyond 128 bits.
    #[error("the cost of {holder} is beyond what can be counted; look for a price or a time that is wrong")]
    TooLarge {
        /// Whose.
        holder: String,
    },
}

impl CostError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            CostError::NoPrice { .. } => "stoke::insight::no-price",
            CostError::LargerThanNode { .. } => "stoke::insight::larger-than-node",
            CostError::Setting(_) => "stoke::insight::bad-setting",
            CostError::TooLarge { .. } => "stoke::insight::too-large",
        }
    }
}
