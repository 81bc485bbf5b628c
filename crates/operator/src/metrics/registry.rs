//! Series of numbers by label values, and their text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::MetricsConfig;
use super::catalogue::{self, Kind, Metric, OF_APPLICATIONS};

/// Bounds in seconds for work that takes milliseconds.
const SHORT: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0, 60.0];
/// Bounds in seconds for what takes as long as an application.
const LONG: [f64; 10] = [0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];
/// Bounds for counts of requests.
const REQUESTS: [f64; 7] = [5.0, 10.0, 15.0, 20.0, 40.0, 80.0, 160.0];

enum Series {
    Number(f64),
    Spread { sum: f64, count: u64, buckets: Vec<u64> },
}

struct Family {
    metric: Metric,
    name: String,
    labels: Vec<String>,
    bounds: Vec<f64>,
    series: BTreeMap<Vec<String>, Series>,
}

/// All metrics of the catalogue.
pub(super) struct Registry {
    families: Vec<Family>,
}

impl Registry {
    pub(super) fn new(config: &MetricsConfig) -> Self {
        let families = catalogue::ALL.iter().map(|metric| family(*metric, config)).collect();
        Self { families }
    }

    fn series(&mut self, metric: &Metric, values: &[&str]) -> Option<(&mut Series, &[f64])> {
        let family = self
            .families
            .iter_mut()
            .find(|family| family.metric.name == metric.name)?;
        let key = values.iter().map(|value| (*value).to_owned()).collect();
        let buckets = family.bounds.len();
        let series = family.series.entry(key).or_insert_with(|| match family.metric.kind {
            Kind::Counter | Kind::Gauge => Series::Number(0.0),
            Kind::Summary | Kind::Histogram => Series::Spread {
                sum: 0.0,
                count: 0,
                buckets: vec![0; buckets],
            },
        });
        Some((series, &family.bounds))
    }

    /// Adds to a counter or gauge.
    pub(super) fn add(&mut self, metric: &Metric, values: &[&str], number: f64) {
        if let Some((Series::Number(value), _)) = self.series(metric, values) {
            *value += number;
        }
    }

    /// Sets a gauge.
    pub(super) fn set(&mut self, metric: &Metric, values: &[&str], number: f64) {
        if let Some((Series::Number(value), _)) = self.series(metric, values) {
            *value = number;
        }
    }

    /// The different values of a metric's first label.
    pub(super) fn first_labels(&self, metric: &Metric) -> BTreeSet<String> {
        let families = self.families.iter().filter(|family| family.metric.name == metric.name);
        families
            .flat_map(|family| family.series.keys())
            .filter_map(|values| values.first())
            .cloned()
            .collect()
    }

    /// Adds one observation to a summary or histogram.
    pub(super) fn observe(&mut self, metric: &Metric, values: &[&str], number: f64) {
        if let Some((Series::Spread { sum, count, buckets }, bounds)) = self.series(metric, values) {
            *sum += number;
            *count += 1;
            for (bucket, _) in buckets.iter_mut().zip(bounds).filter(|(_, bound)| number <= **bound) {
                *bucket += 1;
            }
        }
    }

    /// Replaces all series of a gauge.
    pub(super) fn replace(&mut self, metric: &Metric, series: impl IntoIterator<Item = (Vec<String>, f64)>) {
        if let Some(family) = self
            .families
            .iter_mut()
            .find(|family| family.metric.name == metric.name)
        {
            family.series = series
                .into_iter()
                .map(|(key, value)| (key, Series::Number(value)))
                .collect();
        }
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for family in &self.families {
            let name = &family.name;
            let _ = writeln!(out, "# HELP {name} {}", family.metric.help);
            let _ = writeln!(out, "# TYPE {name} {}", family.metric.kind.name());
            for (values, series) in &family.series {
                let labels = || {
                    family
                        .labels
                        .iter()
                        .map(String::as_str)
                        .zip(values.iter().map(String::as_str))
                };
                match series {
                    Series::Number(value) => line(&mut out, name, labels(), *value),
                    Series::Spread { sum, count, buckets } => {
                        if family.metric.kind == Kind::Histogram {
                            let bounds = family.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
                            for (bound, bucket) in bounds.zip(buckets.iter().chain([count])) {
                                let bucketed = labels().chain([("le", bound.as_str())]);
                                line(&mut out, &format!("{name}_bucket"), bucketed, whole(*bucket));
                            }
                        }
                        line(&mut out, &format!("{name}_sum"), labels(), *sum);
                        line(&mut out, &format!("{name}_count"), labels(), whole(*count));
                    }
                }
            }
        }
        out
    }
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(super) fn whole(count: u64) -> f64 {
    count as f64
}

fn line<'a>(out: &mut String, name: &str, labels: impl Iterator<Item = (&'a str, &'a str)>, value: f64) {
    let labels: Vec<String> = labels
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    let _ = match labels.is_empty() {
        true => writeln!(out, "{name} {value}"),
        false => writeln!(out, "{name}{{{}}} {value}", labels.join(",")),
    };
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn family(metric: Metric, config: &MetricsConfig) -> Family {
    let of_applications = metric.labels == [OF_APPLICATIONS];
    let (name, labels) = match of_applications {
        true => (
            format!("{}{}", config.prefix, metric.name),
            config.labels.iter().map(|label| valid(label)).collect(),
        ),
        false => (
            metric.name.to_owned(),
            metric.labels.iter().map(|label| (*label).to_owned()).collect(),
        ),
    };
    let name = valid(&name);
    let bounds = match metric.name {
        _ if metric.kind != Kind::Histogram => Vec::new(),
        name if name == catalogue::SUBMIT_LATENCY_HISTOGRAM.name => config.submit_latency_buckets.clone(),
        name if name == catalogue::START_LATENCY_HISTOGRAM.name => config.start_latency_buckets.clone(),
        name if name == catalogue::API_REQUESTS.name => REQUESTS.to_vec(),
        name if name == catalogue::REVIEW_TIME.name => SHORT.to_vec(),
        name if name == catalogue::POLICY_TIME.name => SHORT.to_vec(),
        name if name.starts_with("stoke_") => LONG.to_vec(),
        _ => SHORT.to_vec(),
    };
    Family {
        metric,
        name,
        labels,
        bounds,
        series: BTreeMap::new(),
    }
}

/// A name as Prometheus takes it.
fn valid(name: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let name: String = name.chars().map(letter).collect();
    match name.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_prometheus() {
        let config = MetricsConfig {
            prefix: "my-".into(),
            labels: vec!["app.kubernetes.io/name".into()],
            submit_latency_buckets: vec![1.0, 2.5],
            ..MetricsConfig::default()
        };
        let mut registry = Registry::new(&config);
        registry.add(&catalogue::COUNT, &["a\"b\\\n"], 2.0);
        registry.observe(&catalogue::SUBMIT_LATENCY_HISTOGRAM, &["x"], 2.0);
        registry.observe(&catalogue::SUBMIT_LATENCY_HISTOGRAM, &["x"], 7.5);
        registry.observe(&catalogue::SUCCESS_TIME, &["x"], 3.0);
        registry.replace(&catalogue::APPLICATIONS, [(vec!["RUNNING".into()], 3.0)]);
        let text = registry.text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                r#"my_spark_application_count{app_kubernetes_io_name="a\"b\\\n"} 2"#,
                r#"my_spark_application_success_execution_time_seconds_sum{app_kubernetes_io_name="x"} 3"#,
                r#"my_spark_application_success_execution_time_seconds_count{app_kubernetes_io_name="x"} 1"#,
                r#"my_spark_application_submit_latency_seconds_histogram_bucket{app_kubernetes_io_name="x",le="1"} 0"#,
                r#"my_spark_application_submit_latency_seconds_histogram_bucket{app_kubernetes_io_name="x",le="2.5"} 1"#,
                r#"my_spark_application_submit_latency_seconds_histogram_bucket{app_kubernetes_io_name="x",le="+Inf"} 2"#,
                r#"my_spark_application_submit_latency_seconds_histogram_sum{app_kubernetes_io_name="x"} 9.5"#,
                r#"my_spark_application_submit_latency_seconds_histogram_count{app_kubernetes_io_name="x"} 2"#,
                r#"stoke_applications{state="RUNNING"} 3"#,
            ]
        );
    }
}
