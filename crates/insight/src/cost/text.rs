//! A bill as text.

use std::fmt::Write as _;

use super::money::{self, Money};
use super::parts::{Amounts, Bill, GIB, QueryPart, StagePart};

/// Rows shown of stages and of queries.
const SHOWN: usize = 10;

impl Bill {
    /// The bill as text: aligned columns, no colours. Sums shown are sums of what is shown: where digits are cut, the parts are rounded
    /// together.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let paper = Paper::new(self);
        let name = if self.name.is_empty() {
            &self.application
        } else {
            &self.name
        };
        let seconds = (self.period.until - self.period.from) / 1000;
        lines.push(match &self.currency {
            Some(currency) => format!(
                "{name} cost {} {currency} in {seconds} s.",
                paper.money(self.total.cost)
            ),
            None => format!(
                "{name} held {} core-seconds and {} GiB-seconds in {seconds} s.",
                self.total.core_seconds(),
                self.total.gib_seconds()
            ),
        });
        if self.currency.is_some() && self.total.cost != self.total.list_cost {
            lines.push(format!(
                "At list prices it would have been {}.",
                paper.money(self.total.list_cost)
            ));
        }
        paper.table(
            &mut lines,
            "BY USE",
            self.uses.iter().map(|part| (part.name.clone(), part.amounts)),
            None,
        );
        paper.table(
            &mut lines,
            "BY POD",
            self.holders.iter().map(|part| (part.name.clone(), part.amounts)),
            None,
        );
        let query = |part: &QueryPart| (format!("query {}  {}", part.id, short(&part.description)), part.amounts);
        if !self.queries.is_empty() {
            paper.table(
                &mut lines,
                "BY SQL QUERY",
                self.queries.iter().map(query),
                Some(("no query", self.outside_queries)),
            );
        }
        let stage = |part: &StagePart| {
            let attempt = if part.attempt > 0 {
                format!(".{}", part.attempt)
            } else {
                String::new()
            };
            (
                format!("stage {}{attempt}  {}", part.stage, short(&part.name)),
                part.amounts,
            )
        };
        paper.table(
            &mut lines,
            "BY STAGE",
            self.stages.iter().map(stage),
            Some(("no stage", self.outside_stages)),
        );
        lines.extend(self.notes.iter().map(|note| format!("Note: {note}.")));
        if self.currency.is_none() {
            lines.push(
                "Note: there is no price table; `--prices FILE` turns this into money (docs/reference/cost.md shows one)."
                    .to_owned(),
            );
        }
        lines
    }
}

fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(48) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// How a bill is written down.
struct Paper {
    priced: bool,
    digits: usize,
    total: Amounts,
}

impl Paper {
    fn new(bill: &Bill) -> Paper {
        // Four digits that count, at least two after the point.
        let mut digits = 2;
        let mut nanos = bill.total.cost.nanos();
        while digits < 9 && nanos > 0 && nanos < 10_000_000_000 {
            nanos *= 10;
            digits += 1;
        }
        Paper {
            priced: bill.currency.is_some(),
            digits,
            total: bill.total,
        }
    }

    fn money(&self, money: Money) -> String {
        money.rounded(self.digits)
    }

    fn table(
        &self,
        lines: &mut Vec<String>,
        title: &str,
        parts: impl Iterator<Item = (String, Amounts)>,
        rest: Option<(&str, Amounts)>,
    ) {
        let mut rows: Vec<(String, Amounts)> = parts.collect();
        if rows.len() > SHOWN {
            rows.sort_by_key(|(_, amounts)| std::cmp::Reverse((amounts.cost, amounts.millicore_milliseconds)));
            let others = rows.split_off(SHOWN);
            rows.push((
                format!("{} others", others.len()),
                others.into_iter().map(|(_, amounts)| amounts).sum(),
            ));
        }
        rows.extend(rest.map(|(name, amounts)| (name.to_owned(), amounts)));
        let column = |of: fn(&Amounts) -> i128, unit: i128| {
            let parts: Vec<i128> = rows.iter().map(|(_, amounts)| of(amounts)).collect();
            rounded(of(&self.total), &parts, unit)
        };
        let cores = column(|amounts| amounts.millicore_milliseconds, 1_000_000);
        let memory = column(|amounts| amounts.memory_byte_milliseconds, GIB * 1000);
        let unit = 10i128.pow(9 - self.digits as u32);
        let money = column(|amounts| amounts.cost.nanos(), unit);
        // Thousandths of the whole.
        let thousand = |amounts: &Amounts| amounts.cost.nanos().saturating_mul(1000);
        let parts: Vec<i128> = rows.iter().map(|(_, amounts)| thousand(amounts)).collect();
        let shares = rounded(thousand(&self.total), &parts, self.total.cost.nanos().max(1));
        let width = rows
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0)
            .max(title.len())
            .max(24);
        lines.push(String::new());
        let mut head = format!("{title:width$}  {:>14}  {:>14}", "CORE-SECONDS", "GiB-SECONDS");
        if self.priced {
            let _ = write!(head, "  {:>14}  {:>6}", "COST", "SHARE");
        }
        lines.push(head);
        for (row, (name, _)) in rows.iter().enumerate() {
            let mut line = format!("{name:width$}  {:>14}  {:>14}", cores[row], memory[row]);
            if self.priced {
                let share = shares[row];
                let cost = Money::of_nanos(money[row] * unit).rounded(self.digits);
                let _ = write!(line, "  {cost:>14}  {:>4}.{}%", share / 10, share % 10);
            }
            lines.push(line);
        }
    }
}

/// Parts in a coarser unit, rounded so that they sum to the whole in that unit.
fn rounded(whole: i128, parts: &[i128], unit: i128) -> Vec<i128> {
    let target = money::divide(whole, unit).unwrap_or(0);
    let mut floors: Vec<i128> = parts.iter().map(|part| part.div_euclid(unit)).collect();
    let mut losses: Vec<(i128, usize)> = parts.iter().map(|part| part.rem_euclid(unit)).zip(0..).collect();
    losses.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let left = usize::try_from(target - floors.iter().sum::<i128>()).unwrap_or(0);
    for (_, place) in losses.into_iter().take(left) {
        floors[place] += 1;
    }
    floors
}
