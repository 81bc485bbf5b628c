//! Every metric of what runs around Spark on Kubernetes: name, kind, unit, labels, meaning, since and until when, how it is switched on.
//!
//! In: tables in `data/`. Spark's is recorded from live applications by `scripts/record-metrics`; the operator's is made from its code; the others say
//! whether they were recorded or are from documentation. Out: a [`Catalogue`] that answers which metric a series belongs to. It asks no server.
//!
//! ```
//! use stoke_observe::catalogue::{Catalogue, Kind};
//!
//! let found = Catalogue::builtin().series("metrics_executor_failedTasks_total");
//! assert_eq!(found[0].metric.kind, Kind::Counter);
//! assert!(found[0].metric.label("executor_id").is_some());
//! assert!(Catalogue::builtin().series("metrics_executor_failedTasks").is_empty());
//! ```

mod family;
mod metric;
mod name;
mod regex;
mod spark;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::LazyLock;

use regex_automata::util::start;
use regex_automata::{Anchored, dfa};
use stoke_model::manifest::nearest;

pub use family::{FAMILIES, Family, Known};
pub use metric::{Evidence, Kind, Label, Metric, Range, Unit, Values};
pub use name::Name;
pub(crate) use regex::{Automaton, automaton, syntax};

/// All metrics, with ways to find them.
#[derive(Debug)]
pub struct Catalogue {
    metrics: Vec<Metric>,
    /// Series with a name of their own, by that name.
    plain: HashMap<String, Vec<(usize, Part)>>,
    /// Those with placeholders, by the text after the last placeholder; a name is split where such a text may begin.
    templates: Vec<(usize, Part, Name)>,
}

/// Which of a metric's series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The metric itself.
    Whole,
    /// `_bucket` of a histogram.
    Bucket,
    /// `_sum` of a histogram or summary.
    Sum,
    /// `_count` of a histogram or summary.
    Count,
}

/// A series that a metric has.
#[derive(Clone, Copy, Debug)]
pub struct Series<'c> {
    pub metric: &'c Metric,
    pub part: Part,
}

impl Series<'_> {
    /// How its values behave.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.part {
            Part::Whole => self.metric.kind,
            _ => Kind::Counter,
        }
    }

    /// The unit of its values.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self.part {
            Part::Bucket | Part::Count => Unit::Count,
            Part::Whole | Part::Sum => self.metric.unit,
        }
    }
}

impl Catalogue {
    /// The catalogue that this program brings.
    #[must_use]
    pub fn builtin() -> &'static Catalogue {
        static BUILTIN: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::of(table::builtin()));
        &BUILTIN
    }

    /// A catalogue of these metrics.
    #[must_use]
    pub fn of(metrics: Vec<Metric>) -> Catalogue {
        let mut plain: HashMap<String, Vec<(usize, Part)>> = HashMap::new();
        let mut templates = Vec::new();
        for (index, metric) in metrics.iter().enumerate() {
            for (part, ending) in parts(metric.kind) {
                let name = Name::new(&format!("{}{ending}", metric.name));
                match name.literal() {
                    Some(text) => plain.entry(text.to_owned()).or_default().push((index, *part)),
                    None => templates.push((index, *part, name)),
                }
            }
        }
        Catalogue {
            metrics,
            plain,
            templates,
        }
    }

    /// All metrics, by family and name.
    #[must_use]
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// The metrics whose series have this name; several programs may have a metric of one name.
    #[must_use]
    pub fn series(&self, name: &str) -> Vec<Series<'_>> {
        if let Some(found) = self.plain.get(name) {
            return found.iter().map(|(index, part)| self.at(*index, *part)).collect();
        }
        if !name.starts_with("metrics_") {
            return Vec::new();
        }
        let fits = self.templates.iter().filter(|(.., template)| template.fits(name));
        let mut found: Vec<(usize, Series<'_>)> = fits
            .map(|(index, part, template)| (template.specific(), self.at(*index, *part)))
            .collect();
        // `jvm_heap_used` is not the memory pool `heap`: the name with fewer placeholders counts.
        let best = found.iter().map(|(specific, _)| *specific).max();
        found.retain(|(specific, _)| Some(*specific) == best);
        found.into_iter().map(|(_, series)| series).collect()
    }

    /// The metric that a person names: by a series, or by its name in the catalogue with its placeholders.
    #[must_use]
    pub fn named(&self, name: &str) -> Vec<&Metric> {
        let exact: Vec<&Metric> = self
            .metrics
            .iter()
            .filter(|metric| metric.name == name || metric.library_name.as_deref() == Some(name))
            .collect();
        if !exact.is_empty() {
            return exact;
        }
        self.series(name).into_iter().map(|series| series.metric).collect()
    }

    /// The series that may have a name which a regular expression (anchored, as Prometheus' are) matches; none when it is not one.
    #[must_use]
    pub fn matching(&self, expression: &str) -> Vec<Series<'_>> {
        let Some(automaton) = automaton(expression) else {
            return Vec::new();
        };
        let plain = self
            .plain
            .iter()
            .filter(|(name, _)| name::literal_matches(&automaton, name));
        let mut found: Vec<(usize, Part)> = plain.flat_map(|(_, all)| all.iter().copied()).collect();
        let templates = self
            .templates
            .iter()
            .filter(|(.., template)| template.may_match(&automaton));
        found.extend(templates.map(|(index, part, _)| (*index, *part)));
        found.sort_by_key(|(index, part)| (*index, *part as u8));
        found.into_iter().map(|(index, part)| self.at(index, part)).collect()
    }

    fn at(&self, index: usize, part: Part) -> Series<'_> {
        Series {
            metric: &self.metrics[index],
            part,
        }
    }

    /// The family that a name belongs to by its first letters, whether or not it has such a metric.
    #[must_use]
    pub fn family_of(&self, name: &str) -> Option<&'static Family> {
        let by_prefix = FAMILIES
            .iter()
            .flat_map(|family| family.prefixes.iter().map(move |prefix| (family, *prefix)));
        by_prefix
            .filter(|(_, prefix)| name.starts_with(prefix))
            .max_by_key(|(_, prefix)| prefix.len())
            .map(|(family, _)| family)
    }

    /// The name of a series that a wrong name was probably meant to be.
    #[must_use]
    pub fn suggestion(&self, name: &str) -> Option<String> {
        if let Some(better) = renamed(name)
            && !self.series(better).is_empty()
        {
            return Some(better.to_owned());
        }
        // An ending too many or too few is the most common mistake.
        const ENDINGS: [&str; 10] = [
            "_bucket",
            "_total",
            "_bytes",
            "_seconds",
            "_seconds_total",
            "_bytes_total",
            "_Value",
            "_Count",
            "_sum",
            "_count",
        ];
        for ending in ENDINGS {
            let longer = format!("{name}{ending}");
            if !self.series(&longer).is_empty() {
                return Some(longer);
            }
        }
        for ending in ENDINGS {
            if let Some(shorter) = name.strip_suffix(ending)
                && !self.series(shorter).is_empty()
            {
                return Some(shorter.to_owned());
            }
        }
        if let Some(near) = spark::nearest_name(self, name) {
            return Some(near);
        }
        let own = words(name);
        if let Some(turned) = self.plain.keys().filter(|known| words(known) == own).min() {
            return Some(turned.clone());
        }
        let near = nearest(name, self.plain.keys().map(String::as_str))?;
        // A third of a long name may differ and still be near by letters; a metric of another thing is no help.
        let distance = strsim::damerau_levenshtein(near, name);
        (distance <= 3 || distance * 6 <= name.len()).then(|| near.to_owned())
    }
}

/// The words of a name, sorted: `container_cpu_total_usage` and `container_cpu_usage_total` have the same.
fn words(name: &str) -> Vec<&str> {
    let mut words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    words
}

/// Names of programs' earlier releases.
fn renamed(name: &str) -> Option<&'static str> {
    const NAMES: &[(&str, &str)] = &[
        ("spark_app_count", "spark_application_count"),
        ("spark_app_submit_count", "spark_application_submit_count"),
        (
            "spark_app_failed_submission_count",
            "spark_application_failed_submission_count",
        ),
        ("spark_app_running_count", "spark_application_running_count"),
        ("spark_app_success_count", "spark_application_success_count"),
        ("spark_app_failure_count", "spark_application_failure_count"),
        ("spark_app_executor_running_count", "spark_executor_running_count"),
        ("spark_app_executor_success_count", "spark_executor_success_count"),
        ("spark_app_executor_failure_count", "spark_executor_failure_count"),
        ("container_cpu_cores_used", "container_cpu_usage_seconds_total"),
        (
            "kube_pod_container_resource_requests_cpu_cores",
            "kube_pod_container_resource_requests",
        ),
        (
            "kube_pod_container_resource_requests_memory_bytes",
            "kube_pod_container_resource_requests",
        ),
        (
            "kube_pod_container_resource_limits_cpu_cores",
            "kube_pod_container_resource_limits",
        ),
        (
            "kube_pod_container_resource_limits_memory_bytes",
            "kube_pod_container_resource_limits",
        ),
        ("kube_node_status_capacity_cpu_cores", "kube_node_status_capacity"),
        ("kube_node_status_capacity_memory_bytes", "kube_node_status_capacity"),
        ("kube_node_status_capacity_pods", "kube_node_status_capacity"),
        ("kube_node_status_allocatable_cpu_cores", "kube_node_status_allocatable"),
        (
            "kube_node_status_allocatable_memory_bytes",
            "kube_node_status_allocatable",
        ),
        ("kube_node_status_allocatable_pods", "kube_node_status_allocatable"),
        (
            "kube_hpa_status_current_replicas",
            "kube_horizontalpodautoscaler_status_current_replicas",
        ),
        (
            "kube_hpa_status_desired_replicas",
            "kube_horizontalpodautoscaler_status_desired_replicas",
        ),
        (
            "kube_hpa_spec_max_replicas",
            "kube_horizontalpodautoscaler_spec_max_replicas",
        ),
        (
            "kube_hpa_spec_min_replicas",
            "kube_horizontalpodautoscaler_spec_min_replicas",
        ),
        ("node_cpu", "node_cpu_seconds_total"),
        ("node_memory_MemAvailable", "node_memory_MemAvailable_bytes"),
        ("node_memory_MemTotal", "node_memory_MemTotal_bytes"),
        ("node_memory_MemFree", "node_memory_MemFree_bytes"),
        ("node_filesystem_avail", "node_filesystem_avail_bytes"),
        ("node_filesystem_free", "node_filesystem_free_bytes"),
        ("node_filesystem_size", "node_filesystem_size_bytes"),
        ("node_disk_io_time_ms", "node_disk_io_time_seconds_total"),
        ("node_boot_time", "node_boot_time_seconds"),
        ("node_network_receive_bytes", "node_network_receive_bytes_total"),
        ("node_network_transmit_bytes", "node_network_transmit_bytes_total"),
    ];
    NAMES.iter().find(|(old, _)| *old == name).map(|(_, new)| *new)
}

/// What a kind adds to the name, for each of its series.
fn parts(kind: Kind) -> &'static [(Part, &'static str)] {
    match kind {
        Kind::Counter | Kind::Gauge => &[(Part::Whole, "")],
        Kind::Summary => &[(Part::Whole, ""), (Part::Sum, "_sum"), (Part::Count, "_count")],
        Kind::Histogram => &[(Part::Bucket, "_bucket"), (Part::Sum, "_sum"), (Part::Count, "_count")],
    }
}

/// Where an automaton begins.
pub(crate) fn start_of(automaton: &Automaton) -> Option<regex_automata::util::primitives::StateID> {
    use dfa::Automaton as _;
    automaton
        .start_state(&start::Config::new().anchored(Anchored::Yes))
        .ok()
}

/// Whether an automaton matches a text as a whole.
pub(crate) fn matches(automaton: &Automaton, text: &str) -> bool {
    name::literal_matches(automaton, text)
}

/// Of a name that has the form of those of a Spark driver or executor: whether what Spark calls its source is known.
pub(crate) fn source_of(name: &str) -> Option<bool> {
    let (_, rest) = spark::split(name)?;
    Some(spark::sources().any(|source| rest.strip_prefix(source).is_some_and(|rest| rest.starts_with('_'))))
}

/// A name of a Spark driver or executor: what depends on the application, and the rest.
pub(crate) fn split_name(name: &str) -> Option<(&str, &str)> {
    spark::split(name)
}

/// The releases of Spark that are known, oldest first.
#[must_use]
pub fn spark_releases() -> Vec<&'static str> {
    spark::releases()
}
