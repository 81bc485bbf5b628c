//! What a scrape costs: series and bytes, counted in what a driver answered.
//!
//! In: the text of `/metrics/prometheus/` or `/metrics/executors/prometheus/`. Out: how many series it has, how many of them the pack keeps, and what each
//! executor adds.

use std::collections::BTreeMap;

use regex_automata::meta::Regex;

use super::scrape::DROPPED;

/// Series, and bytes of their lines with the line feeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    pub series: usize,
    pub bytes: usize,
}

impl Amount {
    fn add(&mut self, line: &str) {
        self.series += 1;
        self.bytes += line.len() + 1;
    }
}

/// What one answer has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrape {
    pub all: Amount,
    /// What is left of it by the pack's rules for series. What is dropped is sent all the same.
    pub kept: Amount,
    /// Kept series by the label `executor_id`; the driver is one of them.
    pub executors: BTreeMap<String, Amount>,
    /// Lines that are not a series: `name{labels} value`, or `name value`.
    pub unread: usize,
}

impl Scrape {
    /// What an executor adds: the most that one of them has. The driver is not counted.
    #[must_use]
    pub fn executor(&self) -> Option<Amount> {
        let executors = self.executors.iter().filter(|(id, _)| *id != "driver");
        executors
            .map(|(_, amount)| *amount)
            .max_by_key(|amount| (amount.series, amount.bytes))
    }
}

/// Counts the series of an answer.
#[must_use]
pub fn count(text: &str) -> Scrape {
    let dropped = Regex::new(&format!("^(?:{DROPPED})$")).ok();
    let mut scrape = Scrape::default();
    for line in text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
    {
        let Some((name, labels)) = named(line) else {
            scrape.unread += 1;
            continue;
        };
        scrape.all.add(line);
        if dropped.as_ref().is_some_and(|dropped| dropped.is_match(name)) {
            continue;
        }
        scrape.kept.add(line);
        let id = labels
            .split_once("executor_id=\"")
            .and_then(|(_, rest)| rest.split('"').next());
        if let Some(id) = id {
            scrape.executors.entry(id.to_owned()).or_default().add(line);
        }
    }
    scrape
}

/// Name and labels of a line that is a series with a value.
fn named(line: &str) -> Option<(&str, &str)> {
    let (name, labels, value) = match line.split_once('{') {
        Some((name, rest)) => {
            let (labels, value) = rest.rsplit_once('}')?;
            (name, labels, value)
        }
        None => {
            let (name, value) = line.split_once(' ')?;
            (name, "", value)
        }
    };
    let first = value.split_whitespace().next()?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
    (is_name && first.parse::<f64>().is_ok()).then_some((name, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of live drivers with all sources on, `scripts/record-metrics`' application.
    const RECORDED: [(&str, &str, &str); 3] = [
        (
            "3.5.9",
            include_str!("../../tests/scrapes/3.5.9-driver.txt"),
            include_str!("../../tests/scrapes/3.5.9-executors.txt"),
        ),
        (
            "4.1.4",
            include_str!("../../tests/scrapes/4.1.4-driver.txt"),
            include_str!("../../tests/scrapes/4.1.4-executors.txt"),
        ),
        (
            "4.3.0",
            include_str!("../../tests/scrapes/4.3.0-driver.txt"),
            include_str!("../../tests/scrapes/4.3.0-executors.txt"),
        ),
    ];

    #[test]
    fn the_page_says_what_was_recorded_generated() {
        let mut table = String::from(
            "\n| Spark | of a driver: answered | kept | of its endpoint for executors, the driver itself | each executor more |\n|---|---|---|---|---|\n",
        );
        for (release, driver, executors) in RECORDED {
            let (driver, executors) = (count(driver), count(executors));
            assert_eq!((driver.unread, executors.unread), (0, 0));
            let each = executors.executor().unwrap();
            let shared = executors.executors["driver"].series + executors.kept.series
                - executors.executors.values().map(|one| one.series).sum::<usize>();
            let show = |amount: Amount| format!("{} series, {} bytes", amount.series, amount.bytes);
            table += &format!(
                "| {release} | {} | {} series | {shared} series | {} |\n",
                show(driver.all),
                driver.kept.series,
                show(each)
            );
        }
        table.push('\n');
        stoke_testkit::generated::part(
            "docs/how-to/monitoring.md",
            "<!-- series: generated -->",
            "<!-- end -->",
            &table,
        )
        .unwrap();
    }

    #[test]
    fn executors_are_counted_apart_and_what_is_no_series_is_told() {
        let text = "# HELP a b\nmetrics_executor_x{application_id=\"a\", executor_id=\"driver\"} 1\nmetrics_executor_x{executor_id=\"1\"} 2.5E3\nmetrics_ns_driver_A_Max{type=\"x\"} 1\nspark_info{version=\"4\"} 1.0\nplain 3 1795322024\n<html>\nbad{a=\"b\"} word\n";
        let scrape = count(text);
        assert_eq!((scrape.all.series, scrape.kept.series, scrape.unread), (5, 4, 2));
        assert_eq!(scrape.executors.keys().collect::<Vec<_>>(), ["1", "driver"]);
        let line = "metrics_executor_x{executor_id=\"1\"} 2.5E3\n";
        assert_eq!(
            scrape.executor(),
            Some(Amount {
                series: 1,
                bytes: line.len()
            })
        );
    }
}
