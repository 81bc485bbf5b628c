//! Price tables.
//!
//! A table is YAML or JSON; `docs/reference/cost.md` shows one. There is none built in: prices are the reader's own.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Money;

/// Milliseconds since 1970; a bound that is open is none.
pub(super) type Time = Option<i64>;

/// How a node is bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// At the price for anybody at any time.
    OnDemand,
    /// At a lower price, and taken away at short notice.
    Spot,
}

impl Capacity {
    /// As the table writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Capacity::OnDemand => "on-demand",
            Capacity::Spot => "spot",
        }
    }
}

/// A price table.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    /// The file it was read from.
    pub name: String,
    /// ISO 4217.
    pub currency: String,
    /// Who is paid, for the showback (`AWS`, `Our data centre`).
    pub provider: String,
    /// The region, for the showback.
    pub region: Option<String>,
    /// The account that is billed, for the showback.
    pub account: String,
    /// Numbers of the invoices of months whose billing is closed, by month (`2026-10`), for the showback.
    pub invoices: BTreeMap<String, String>,
    /// Prices.
    pub rates: Vec<Rate>,
    /// Discounts; the first that applies is taken.
    pub discounts: Vec<Discount>,
}

/// A price and when it is valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// The node shape it is for (`node.kubernetes.io/instance-type`); none: any.
    pub shape: Option<String>,
    /// The capacity it is for; none: any.
    pub capacity: Option<Capacity>,
    /// From when, inclusive.
    pub from: Time,
    /// Until when, exclusive.
    pub until: Time,
    /// How much.
    pub tariff: Tariff,
    /// Line of the table.
    pub line: usize,
}

/// How a price is made. Prices are for an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tariff {
    /// By what a pod reserves.
    Reserved {
        /// Of one CPU.
        cpu: Money,
        /// Of 1 GiB of memory.
        memory: Money,
        /// Of 1 GiB of disk.
        storage: Option<Money>,
        /// Of one GPU.
        gpu: Option<Money>,
    },
    /// By the node: a pod pays for the greatest of its shares of the node's CPUs, memory and GPUs.
    Node {
        /// Of the node.
        hour: Money,
        /// Its CPUs, in thousandths.
        millicores: i64,
        /// Its memory in bytes.
        memory: i64,
        gpus: i64,
    },
}

/// A discount on list prices.
#[derive(Debug, Clone, PartialEq)]
pub struct Discount {
    /// What it is called.
    pub name: String,
    /// Percent of the list price that is not paid.
    pub percent: Money,
    /// As of a rate.
    pub shape: Option<String>,
    /// As of a rate.
    pub capacity: Option<Capacity>,
    /// From when, inclusive.
    pub from: Time,
    /// Until when, exclusive.
    pub until: Time,
}

impl Prices {
    /// The rate for a node at a time: one for its shape before one for any shape, one for its capacity before one for any.
    pub(crate) fn rate(&self, shape: Option<&str>, capacity: Option<Capacity>, time: i64) -> Option<&Rate> {
        self.rates
            .iter()
            .filter(|rate| {
                fits(rate.shape.as_deref(), shape)
                    && fits(rate.capacity, capacity)
                    && valid(rate.from, rate.until, time)
            })
            .max_by_key(|rate| (rate.shape.is_some(), rate.capacity.is_some()))
    }

    /// The discount for a node at a time.
    pub(crate) fn discount(&self, shape: Option<&str>, capacity: Option<Capacity>, time: i64) -> Option<&Discount> {
        self.discounts.iter().find(|discount| {
            fits(discount.shape.as_deref(), shape)
                && fits(discount.capacity, capacity)
                && valid(discount.from, discount.until, time)
        })
    }

    /// Times at which a price or a discount begins or ends, in order.
    pub(crate) fn changes(&self) -> Vec<i64> {
        let rates = self.rates.iter().flat_map(|rate| [rate.from, rate.until]);
        let discounts = self
            .discounts
            .iter()
            .flat_map(|discount| [discount.from, discount.until]);
        let mut changes: Vec<i64> = rates.chain(discounts).flatten().collect();
        changes.sort_unstable();
        changes.dedup();
        changes
    }
}

fn fits<T: PartialEq>(wanted: Option<T>, given: Option<T>) -> bool {
    wanted.is_none() || wanted == given
}

fn valid(from: Time, until: Time, time: i64) -> bool {
    from.is_none_or(|from| from <= time) && until.is_none_or(|until| time < until)
}

#[cfg(test)]
mod tests {
    use super::super::read::time;
    use super::*;

    #[test]
    fn the_closest_price_is_taken() {
        let text = "
currency: EUR
prices:
- {cpuHour: 1, gibHour: 0}
- {cpuHour: 2, gibHour: 0, capacity: spot}
- {cpuHour: 3, gibHour: 0, shape: a}
- {cpuHour: 4, gibHour: 0, shape: a, capacity: spot, from: 2026-01-01, until: 2026-01-02T12:00:00Z}
";
        let prices = Prices::read("p.yaml", text).unwrap();
        let day = time("2026-01-01").unwrap();
        let table = [
            (None, None, day, 4),
            (Some("b"), Some(Capacity::OnDemand), day, 4),
            (None, Some(Capacity::Spot), day, 5),
            (Some("a"), None, day, 6),
            (Some("a"), Some(Capacity::Spot), day, 7),
            (Some("a"), Some(Capacity::Spot), day + 36 * 3_600_000, 6),
        ];
        for (shape, capacity, time, line) in table {
            assert_eq!(
                prices.rate(shape, capacity, time).unwrap().line,
                line,
                "{shape:?} {capacity:?} {time}"
            );
        }
        assert_eq!(prices.changes(), [day, day + 36 * 3_600_000]);
    }
}
