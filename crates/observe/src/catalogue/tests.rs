use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn catalogue() -> &'static Catalogue {
    Catalogue::builtin()
}

#[test]
fn every_line_of_the_tables_is_read() {
    for table in table::tables() {
        let read = table::read(table);
        assert!(read.len() > 5, "{}", table.lines().next().unwrap());
        for line in read {
            line.unwrap();
        }
    }
}

#[test]
fn every_recorded_metric_has_a_meaning_and_every_meaning_a_metric() {
    let (notes, records) = (spark::notes(), spark::records());
    let lacking: Vec<&str> = records
        .iter()
        .map(|record| record.name)
        .filter(|name| !notes.iter().any(|note| spark::is_of(note.pattern, name)))
        .collect();
    assert!(lacking.is_empty(), "no note is of {lacking:#?}");
    // The first note that fits counts: one that is never the first says nothing.
    let used: BTreeSet<&str> = records
        .iter()
        .filter_map(|record| notes.iter().find(|note| spark::is_of(note.pattern, record.name)))
        .map(|note| note.pattern)
        .collect();
    let unused: Vec<&str> = notes
        .iter()
        .map(|note| note.pattern)
        .filter(|pattern| !used.contains(pattern))
        .collect();
    assert!(unused.is_empty(), "no record is of {unused:#?}");
    assert!(records.len() > 250 && spark::releases().len() >= 4, "{}", records.len());
}

#[test]
fn names_stand_once_in_a_family() {
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for metric in catalogue().metrics() {
        *seen.entry((metric.family, &metric.name)).or_default() += 1;
    }
    seen.retain(|_, times| *times > 1);
    assert!(seen.is_empty(), "{seen:?}");
}

#[test]
fn a_complete_family_has_the_prefixes_of_all_its_names() {
    for metric in catalogue().metrics() {
        let Some(family) = catalogue().family_of(&metric.name) else {
            continue;
        };
        // cAdvisor and the kubelet share names; the operator has those of client libraries, too.
        let shared = ["kubelet", "operator", "kubernetes"].contains(&metric.family);
        assert!(
            family.name == metric.family || shared,
            "{} is of {}",
            metric.name,
            metric.family
        );
    }
}

#[test]
fn series_are_found_by_their_names() {
    // name, metric or none, kind
    let table = [
        ("up", Some("up"), Kind::Gauge),
        (
            "metrics_spark_driver_BlockManager_memory_maxMem_MB_Value",
            Some("metrics_<namespace>_driver_BlockManager_memory_maxMem_MB_Value"),
            Kind::Gauge,
        ),
        (
            "metrics_spark_0a1b_driver_DAGScheduler_job_allJobs_Value",
            Some("metrics_<namespace>_driver_DAGScheduler_job_allJobs_Value"),
            Kind::Counter,
        ),
        (
            "metrics_a_driver_jvm_heap_used_Value",
            Some("metrics_<namespace>_driver_jvm_heap_used_Value"),
            Kind::Gauge,
        ),
        (
            "metrics_a_driver_jvm_G1_Young_Generation_time_Value",
            Some("metrics_<namespace>_driver_jvm_<collector>_time_Value"),
            Kind::Counter,
        ),
        (
            "metrics_a_driver_spark_streaming_orders_latency_Value",
            Some("metrics_<namespace>_driver_spark_streaming_<query>_latency_Value"),
            Kind::Gauge,
        ),
        (
            "metrics_a_3_executor_shuffleRecordsRead_Count",
            Some("metrics_<namespace>_<executor>_executor_shuffleRecordsRead_Count"),
            Kind::Counter,
        ),
        (
            "workqueue_queue_duration_seconds_bucket",
            Some("workqueue_queue_duration_seconds"),
            Kind::Counter,
        ),
        ("metrics_a_driver_BlockManager_memory_maxMem_MB", None, Kind::Gauge),
        ("metrics_driver_BlockManager_memory_maxMem_MB_Value", None, Kind::Gauge),
        ("workqueue_queue_duration_seconds", None, Kind::Gauge),
        ("kube_pod_status_phases", None, Kind::Gauge),
    ];
    for (name, expected, kind) in table {
        let found = catalogue().series(name);
        assert_eq!(
            found.first().map(|series| series.metric.name.as_str()),
            expected,
            "{name}"
        );
        if let Some(series) = found.first() {
            assert_eq!(series.kind(), kind, "{name}");
        }
    }
}

#[test]
fn expressions_match_names_with_placeholders() {
    let names = |expression: &str| -> BTreeSet<&str> {
        let found = catalogue().matching(expression);
        found.into_iter().map(|series| series.metric.name.as_str()).collect()
    };
    assert!(
        names("metrics_.*_driver_BlockManager_memory_memUsed_MB_Value")
            .contains("metrics_<namespace>_driver_BlockManager_memory_memUsed_MB_Value")
    );
    assert!(
        names("metrics_my_team_driver_jvm_heap_used_Value").contains("metrics_<namespace>_driver_jvm_heap_used_Value")
    );
    assert!(names(".+_driver_BlockManager_memory_memUsed").is_empty());
    assert_eq!(names("kube_pod_status_(phase|reason)").len(), 2);
    assert!(names("kube_pod_status_(").is_empty());
}

#[test]
fn wrong_names_have_a_suggestion() {
    let table = [
        (
            "metrics_executor_failedTasks",
            Some("metrics_executor_failedTasks_total"),
        ),
        (
            "metrics_executor_completedTask_total",
            Some("metrics_executor_completedTasks_total"),
        ),
        (
            "kube_pod_container_status_restarts",
            Some("kube_pod_container_status_restarts_total"),
        ),
        ("kube_node_status_capacity_pods", Some("kube_node_status_capacity")),
        ("container_memory_rss_bytes", Some("container_memory_rss")),
        (
            "container_cpu_total_usage_seconds",
            Some("container_cpu_usage_seconds_total"),
        ),
        (
            "metrics_spark_driver_BlockManager_memory_memUsed_MB",
            Some("metrics_spark_driver_BlockManager_memory_memUsed_MB_Value"),
        ),
        (
            "metrics_spark_driver_LiveListenerBus_numEventPosted_Count",
            Some("metrics_spark_driver_LiveListenerBus_numEventsPosted_Count"),
        ),
        ("spark_app_count", Some("spark_application_count")),
        ("my_own_metric", None),
    ];
    for (name, expected) in table {
        assert_eq!(catalogue().suggestion(name).as_deref(), expected, "{name}");
    }
}

#[test]
fn releases_decide() {
    let found = catalogue().named("metrics_executor_ConcurrentGCTime_seconds_total");
    let since = found[0].since.as_deref().expect("not in 3.5");
    assert_eq!(since, "4.0");
    assert!(!found[0].is_in("3.5") && !found[0].is_in("3.5.9") && found[0].is_in("4.1.4"));
}

/// The catalogue for people: a table for each family, one line for the series that a metric of Spark's library has.
fn page() -> String {
    use std::fmt::Write;

    let mut text = String::from(
        "# Metrics\n\nEvery metric that [`stoke metrics`](../how-to/check-metrics.md) knows. `<namespace>` stands for `spark.metrics.namespace`, or the application's id where it is not set; `<executor>` for an \
         executor's number. The kind says how values behave: Spark's page gives no types, and much of what it calls a gauge only grows. Where each is known from: *recorded* from a program that ran, from \
         this project's *code*, or *documented* by its program.\n\nThis page is written by a test: `scripts/generate`.\n",
    );
    let cell = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
    for family in FAMILIES {
        let of_family: Vec<&Metric> = catalogue()
            .metrics()
            .iter()
            .filter(|metric| metric.family == family.name)
            .collect();
        let Some(first) = of_family.first() else { continue };
        let whole = match family.known {
            Known::All => "All of them.",
            Known::Some => "Those that are used with Spark.",
        };
        let _ = write!(
            text,
            "\n## {}\n\nOf {}. Read at {}. {whole} Known by: {}.\n\n| metric | kind | unit | labels | since | needs | meaning |\n|---|---|---|---|---|---|---|\n",
            family.name,
            family.program,
            family.place,
            first.evidence.name()
        );
        let mut done = BTreeSet::new();
        for metric in of_family {
            // Of the series of a metric of the library, the first; the others are named by their endings.
            let key = metric.library_name.clone().unwrap_or_else(|| metric.name.clone());
            if !done.insert(key.clone()) {
                continue;
            }
            let endings: Vec<&str> = match &metric.library_name {
                None => Vec::new(),
                Some(library) => catalogue()
                    .metrics()
                    .iter()
                    .filter(|other| {
                        other.library_name.as_ref() == Some(library)
                            && other.family == metric.family
                            && other.name != metric.name
                    })
                    .filter_map(|other| other.name.rsplit_once('_').map(|(_, ending)| ending))
                    .collect(),
            };
            let name = match endings.is_empty() {
                true => format!("`{}`", metric.name),
                false => format!("`{}` and `_{}`", metric.name, endings.join("`, `_")),
            };
            let labels: Vec<String> = metric
                .labels
                .iter()
                .map(|label| match &label.values {
                    Values::Only(values) => format!("{} ({})", label.name, values.join(", ")),
                    _ => label.name.clone(),
                })
                .collect();
            let _ = writeln!(
                text,
                "| {name} | {} | {} | {} | {} | {} | {} |",
                metric.kind.name(),
                metric.unit,
                cell(&labels.join(", ")).replace('*', "\\*"),
                metric.since.as_deref().unwrap_or_default(),
                cell(&metric.switched_on).replace('*', "\\*"),
                cell(&metric.help)
            );
        }
    }
    text
}

#[test]
fn the_generated_page_is_the_catalogue() {
    assert_eq!(
        stoke_testkit::generated::file("docs/reference/metrics.md", &page()),
        Ok(())
    );
}
