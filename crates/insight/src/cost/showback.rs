//! Bills of many runs put together by a label and by time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::bill::of_window;
use super::parts::{Amounts, Bill, Window};
use super::prices::Prices;
use super::{CostError, hold};
use crate::facts::{Cluster, Run};

/// The days (of UTC) that a window touches, each cut to the window.
pub fn days(window: Window) -> Vec<Window> {
    let mut days = Vec::new();
    let mut from = window.from;
    while from < window.until {
        let until = next_midnight(from).unwrap_or(window.until).min(window.until);
        days.push(Window { from, until });
        from = until;
    }
    days
}

fn next_midnight(time: i64) -> Option<i64> {
    let day = Timestamp::from_millisecond(time).ok()?.to_zoned(TimeZone::UTC).date();
    let next = day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(next.timestamp().as_millisecond())
}

/// The bills of a run for each day of a window in which it held something. Together they are the bill of the window.
///
/// # Errors
/// See [`CostError`].
pub fn daily(
    run: &Run,
    cluster: Option<&Cluster>,
    prices: Option<&Prices>,
    window: Window,
) -> Result<Vec<Bill>, CostError> {
    let (holders, _) = hold::holders(run, cluster)?;
    let from = holders.iter().map(|holder| holder.from).min().unwrap_or(run.started);
    let until = holders.iter().map(|holder| holder.until).max().unwrap_or(run.started);
    let life = Window {
        from: from.max(window.from),
        until: until.min(window.until),
    };
    days(life)
        .into_iter()
        .map(|day| of_window(run, cluster, prices, day))
        .collect()
}

/// The value of a label on a bill: of the label itself, else of one with a prefix (`example.com/team` for `team`).
pub fn label<'a>(bill: &'a Bill, key: &str) -> Option<&'a str> {
    let prefixed = || {
        bill.labels
            .iter()
            .find(|(name, _)| name.rsplit_once('/').is_some_and(|(_, last)| last == key))
    };
    bill.labels
        .get_key_value(key)
        .or_else(prefixed)
        .map(|(_, value)| value.as_str())
}

/// Costs by a label.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub label: String,
    /// The currency; none when there were no prices.
    pub currency: Option<String>,
    /// One for each value of the label and each day, by value, then day.
    pub groups: Vec<Group>,
    /// The whole: the sum of the groups.
    pub total: Amounts,
}

/// What the runs with one value of a label cost on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// The value; none for runs without the label.
    pub value: Option<String>,
    /// The day, `2026-01-31`, in UTC.
    pub day: String,
    /// Runs that held something on it.
    pub runs: usize,
    /// How much.
    #[serde(flatten)]
    pub amounts: Amounts,
}

/// Puts daily bills together by a label. Bills of several currencies give one report each.
pub fn by_label(bills: &[Bill], key: &str) -> Vec<Report> {
    type Groups<'a> = BTreeMap<(Option<&'a str>, String), (BTreeSet<&'a str>, Amounts)>;
    let mut reports: BTreeMap<Option<&str>, Groups<'_>> = BTreeMap::new();
    for bill in bills {
        let groups = reports.entry(bill.currency.as_deref()).or_default();
        let (runs, amounts) = groups.entry((label(bill, key), day(bill.period.from))).or_default();
        runs.insert(&bill.application);
        *amounts += bill.total;
    }
    let report = |(currency, groups): (Option<&str>, Groups<'_>)| Report {
        label: key.to_owned(),
        currency: currency.map(str::to_owned),
        total: groups.values().map(|(_, amounts)| *amounts).sum(),
        groups: groups
            .into_iter()
            .map(|((value, day), (runs, amounts))| Group {
                value: value.map(str::to_owned),
                day,
                runs: runs.len(),
                amounts,
            })
            .collect(),
    };
    reports.into_iter().map(report).collect()
}

fn day(time: i64) -> String {
    Timestamp::from_millisecond(time).map_or_else(|_| String::new(), |time| time.strftime("%Y-%m-%d").to_string())
}

impl Report {
    /// The report as text: one line for each value, summed over days, and the whole. Full digits, so that lines sum to the last one.
    pub fn lines(&self) -> Vec<String> {
        let mut values: BTreeMap<Option<&str>, Amounts> = BTreeMap::new();
        for group in &self.groups {
            *values.entry(group.value.as_deref()).or_default() += group.amounts;
        }
        let mut rows: Vec<(String, Amounts)> = values
            .into_iter()
            .map(|(value, amounts)| (value.unwrap_or("(no label)").to_owned(), amounts))
            .collect();
        rows.push(("total".to_owned(), self.total));
        let width = rows
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0)
            .max(self.label.len());
        let unit = self.currency.as_deref().unwrap_or("");
        let title = self.label.to_uppercase();
        let mut lines = vec![format!(
            "{title:width$}  {:>14}  {:>14}  {:>20}",
            "CORE-SECONDS",
            "GiB-SECONDS",
            format!("COST {unit}").trim()
        )];
        for (name, amounts) in rows {
            let cost = if self.currency.is_some() {
                amounts.cost.rounded(9)
            } else {
                "-".to_owned()
            };
            lines.push(format!(
                "{name:width$}  {:>14}  {:>14}  {cost:>20}",
                amounts.core_seconds(),
                amounts.gib_seconds()
            ));
        }
        lines
    }

    /// The report as CSV (RFC 4180), a row for each value and day.
    pub fn csv(&self) -> String {
        let mut text = String::from(
            "label,value,day,runs,currency,cost,list_cost,millicore_milliseconds,memory_byte_milliseconds,storage_byte_milliseconds,gpu_milliseconds\r\n",
        );
        for group in &self.groups {
            let amounts = group.amounts;
            let fields = [
                self.label.clone(),
                group.value.clone().unwrap_or_default(),
                group.day.clone(),
                group.runs.to_string(),
                self.currency.clone().unwrap_or_default(),
                amounts.cost.to_string(),
                amounts.list_cost.to_string(),
                amounts.millicore_milliseconds.to_string(),
                amounts.memory_byte_milliseconds.to_string(),
                amounts.storage_byte_milliseconds.to_string(),
                amounts.gpu_milliseconds.to_string(),
            ];
            text.push_str(&fields.map(|value| csv_field(&value)).join(","));
            text.push_str("\r\n");
        }
        text
    }
}

/// A field of CSV: in quotes where it has a comma, a quote or a line end.
pub fn csv_field(value: &str) -> String {
    match value.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Money;

    /// 2026-02-01T00:00:00Z.
    const FEBRUARY: i64 = 1_769_904_000_000;
    const DAY: i64 = 86_400_000;

    #[test]
    fn days_are_cut_at_midnight() {
        let window = |from, until| Window { from, until };
        let table = [
            ((FEBRUARY, FEBRUARY), vec![]),
            ((FEBRUARY, FEBRUARY + DAY), vec![(FEBRUARY, FEBRUARY + DAY)]),
            (
                (FEBRUARY - 1, FEBRUARY + DAY + 1),
                vec![
                    (FEBRUARY - 1, FEBRUARY),
                    (FEBRUARY, FEBRUARY + DAY),
                    (FEBRUARY + DAY, FEBRUARY + DAY + 1),
                ],
            ),
        ];
        for ((from, until), expected) in table {
            let expected: Vec<Window> = expected.into_iter().map(|(from, until)| window(from, until)).collect();
            assert_eq!(days(window(from, until)), expected);
        }
    }

    #[test]
    fn groups_sum_to_the_whole() {
        let run = |team: Option<&str>| Run {
            id: format!("spark-{team:?}"),
            started: FEBRUARY - 1_234,
            ended: Some(FEBRUARY + 98_765),
            spark: team
                .map(|team| {
                    (
                        "spark.kubernetes.driver.label.example.com/team".to_owned(),
                        team.to_owned(),
                    )
                })
                .into_iter()
                .collect(),
            ..Run::default()
        };
        let prices = Prices::read("p", "currency: EUR\nprices: [{cpuHour: 0.0425, gibHour: 0.0046}]\n").unwrap();
        let runs = [run(Some("red")), run(Some("blue, \"x\"")), run(None)];
        let bills: Vec<Bill> = runs
            .iter()
            .flat_map(|run| daily(run, None, Some(&prices), Window::ALL).unwrap())
            .collect();
        let reports = by_label(&bills, "team");
        assert_eq!(reports.len(), 1);
        let report = &reports[0];
        let whole: Amounts = runs
            .iter()
            .map(|run| crate::cost::of(run, None, Some(&prices)).unwrap().total)
            .sum();
        assert_eq!((report.total, report.groups.len()), (whole, 6));
        assert!(whole.cost > Money::ZERO);
        let keys: Vec<(Option<&str>, &str)> = report
            .groups
            .iter()
            .map(|group| (group.value.as_deref(), group.day.as_str()))
            .collect();
        assert_eq!(
            keys[..3],
            [
                (None, "2026-01-31"),
                (None, "2026-02-01"),
                (Some("blue, \"x\""), "2026-01-31")
            ]
        );
        assert!(
            report.csv().contains("team,\"blue, \"\"x\"\"\",2026-01-31,1,EUR,"),
            "{}",
            report.csv()
        );
        assert_eq!(report.lines().len(), 5);
    }
}
