//! What is charged for a pod: its resources at the prices of a time.

use super::CostError;
use super::hold::Holder;
use super::money::{self, Money};
use super::parts::{Amounts, GIB, Line, Resource, Window};
use super::prices::{Prices, Tariff};

/// Milliseconds in an hour.
const HOUR: i128 = 3_600_000;

/// The life of a holder, cut where prices change.
pub(super) fn spans(holder: &Holder, prices: Option<&Prices>) -> Vec<(i64, i64)> {
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

/// What a holder reserved in so many milliseconds.
pub(super) fn reserved(holder: &Holder, milliseconds: i64) -> Amounts {
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
pub(super) struct Charge {
    resource: Resource,
    held: (i128, i128),
    list_price: Money,
    price: Money,
}

impl Charge {
    /// The cost of a window of a span that began at `from`.
    pub(super) fn line(self, holder: &Holder, from: i64, period: Window) -> Result<Line, CostError> {
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
pub(super) fn charges(holder: &Holder, prices: Option<&Prices>, time: i64) -> Result<Vec<Charge>, CostError> {
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

pub(super) fn too_large(holder: &Holder) -> CostError {
    CostError::TooLarge {
        holder: title(&holder.id),
    }
}

/// A holder as people call it: `driver`, `executor 7`.
pub(super) fn title(id: &str) -> String {
    match id {
        crate::facts::run::DRIVER => id.to_owned(),
        _ => format!("executor {id}"),
    }
}
