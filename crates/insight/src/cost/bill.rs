//! The bill of a run.

use std::collections::BTreeMap;

use super::CostError;
use super::attribute::{Use, core_time, divide};
use super::charge::{charges, reserved, spans, title, too_large};
use super::hold::{Holder, holders};
use super::money::Money;
use super::parts::{Amounts, Bill, Line, Part, QueryPart, Resource, StagePart, Window};
use super::prices::Prices;
use crate::facts::{Cluster, Run};

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
