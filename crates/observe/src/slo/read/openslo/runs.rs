//! Metrics of runs: `type: stoke`.

use stoke_model::cron::Schedule;
use stoke_model::manifest::{Fields, Node, join};
use stoke_model::units::duration::parse_go;

use super::super::pairs;
use crate::slo::objective::{Measure, Selector};

#[derive(Clone)]
pub(super) struct BatchSpec {
    pub(super) measure: &'static str,
    pub(super) within: Option<i64>,
    pub(super) runs: Selector,
    pub(super) by_job: bool,
    pub(super) schedule: Option<Schedule>,
}

impl BatchSpec {
    pub(super) fn takes_value(&self) -> bool {
        !matches!(self.measure, "success" | "deadline")
    }

    pub(super) fn measure(
        &self,
        node: &Node,
        path: &str,
        operator: Option<&str>,
        value: Option<f64>,
        fields: &mut Fields<'_>,
    ) -> Option<Measure> {
        match self.measure {
            "success" => return Some(Measure::Success),
            "deadline" => return Some(Measure::Deadline { within: self.within? }),
            _ => {}
        }
        let (operator, value) = (operator?, value?);
        let wanted = if self.measure == "efficiency" { ">=" } else { "<=" };
        if operator != wanted {
            let place = node.get("op").map_or(node.place, |node| node.place);
            let word = if wanted == ">=" { "gte" } else { "lte" };
            let message = format!("{} is good on the other side", self.measure);
            fields.complain(
                "unknown-value",
                place,
                &join(path, "op"),
                message,
                &format!("write `op: {word}`"),
            );
            return None;
        }
        let most = if self.measure == "efficiency" { 1.0 } else { 1e12 };
        if !(value > 0.0 && value <= most) {
            let place = node.get("value").map_or(node.place, |node| node.place);
            let fix = match self.measure {
                "efficiency" => "write a share, 0.7",
                "cost" => "write an amount in the currency of the price table",
                _ => "write seconds",
            };
            fields.complain(
                "unknown-value",
                place,
                &join(path, "value"),
                format!("{value} is not a limit"),
                fix,
            );
            return None;
        }
        let milliseconds = (value * 1000.0) as i64;
        Some(match self.measure {
            "freshness" => Measure::Freshness { at_most: milliseconds },
            "duration" => Measure::Duration { at_most: milliseconds },
            "cost" => Measure::Cost { at_most: value },
            _ => Measure::Efficiency { at_least: value },
        })
    }
}

const MEASURES: [&str; 6] = ["success", "deadline", "freshness", "duration", "cost", "efficiency"];

/// The `spec` of a metric of runs.
pub(super) fn batch(node: &Node, path: &str, threshold: bool, fields: &mut Fields<'_>) -> Option<BatchSpec> {
    let keys = [
        "measure",
        "job",
        "namespace",
        "labels",
        "by",
        "schedule",
        "timeZone",
        "within",
    ];
    if !fields.keys(node, path, &keys) {
        return None;
    }
    if node.get("measure").is_none() {
        fields.missing(node, "measure", path);
    }
    let measure = fields.word(node, "measure", path, &MEASURES.map(|name| (name, name)));
    let runs = Selector {
        job: fields.text(node, "job", path).map(str::to_owned),
        namespace: fields.text(node, "namespace", path).map(str::to_owned),
        labels: pairs(fields, node, "labels", path),
    };
    let by_job = fields.word(node, "by", path, &[("job", true)]).unwrap_or_default();
    if runs == Selector::default() && !by_job {
        let message = "these are the runs of all jobs together, whose record says nothing of one of them".to_owned();
        fields.complain(
            "slo-no-selector",
            node.place,
            path,
            message,
            "name a `job`, a `namespace` or `labels`, or write `by: job`",
        );
    }
    let zone = fields.text(node, "timeZone", path).unwrap_or("UTC");
    let schedule = fields
        .text(node, "schedule", path)
        .and_then(|written| match Schedule::parse(written, zone) {
            Ok(schedule) => Some(schedule),
            Err(error) => {
                let place = node.get("schedule").map_or(node.place, |node| node.place);
                fields.complain(
                    "bad-schedule",
                    place,
                    &join(path, "schedule"),
                    error.to_string(),
                    "write five fields, like `0 * * * *`",
                );
                None
            }
        });
    let within = fields.text(node, "within", path).and_then(|written| {
        let read = parse_go(written)
            .ok()
            .map(|span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
        if read.is_none_or(|millis| millis <= 0) {
            let place = node.get("within").map_or(node.place, |node| node.place);
            let message = format!("`{written}` is not a length of time");
            fields.complain(
                "unknown-value",
                place,
                &join(path, "within"),
                message,
                "write it like 2h or 90m",
            );
        }
        read
    });
    let measure = measure?;
    let should_be_threshold = !matches!(measure, "success" | "deadline");
    if should_be_threshold != threshold {
        let (form, rest) = match should_be_threshold {
            true => ("thresholdMetric", ", with `op` and `value` in the objective"),
            false => ("ratioMetric.raw", ""),
        };
        let message = format!("{measure} is not measured by this kind of metric");
        fields.complain(
            "slo-one-indicator",
            node.place,
            path,
            message,
            &format!("write it as `{form}`{rest}"),
        );
        return None;
    }
    if measure == "deadline" {
        for key in ["schedule", "within"] {
            if node.get(key).is_none() {
                fields.missing(node, key, path);
            }
        }
        within?;
        schedule.as_ref()?;
    }
    Some(BatchSpec {
        measure,
        within,
        runs,
        by_job,
        schedule,
    })
}
