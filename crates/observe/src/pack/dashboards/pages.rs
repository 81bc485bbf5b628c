//! The pages.

use super::{Dashboard, Panel, Shape};

const fn stat(title: &'static str, unit: &'static str, queries: &'static [(&'static str, &'static str)]) -> Panel {
    Panel {
        title,
        shape: Shape::Stat,
        unit,
        queries,
    }
}

const fn lines(title: &'static str, unit: &'static str, queries: &'static [(&'static str, &'static str)]) -> Panel {
    Panel {
        title,
        shape: Shape::Lines,
        unit,
        queries,
    }
}

const fn rows(title: &'static str, unit: &'static str, queries: &'static [(&'static str, &'static str)]) -> Panel {
    Panel {
        title,
        shape: Shape::Table,
        unit,
        queries,
    }
}

pub(super) const ALL: &[Dashboard] = &[
    Dashboard {
        name: "data-engineer",
        title: "Spark: my jobs",
        about: "For data engineers: did my job complete, how long does it take, where does its time go, does its memory suffice?",
        panels: &[
            stat(
                "Failures since the last success",
                "none",
                &[(
                    "max(stoke_job_failures_in_a_row{namespace=~\"$namespace\",app=~\"$app\"})",
                    "",
                )],
            ),
            stat(
                "Last success",
                "dateTimeFromNow",
                &[(
                    "max(stoke_job_last_success_timestamp_seconds{namespace=~\"$namespace\",app=~\"$app\"}) * 1000",
                    "",
                )],
            ),
            stat(
                "Longest of the last 20 runs",
                "s",
                &[(
                    "max(stoke_job_usual_seconds{namespace=~\"$namespace\",app=~\"$app\"})",
                    "",
                )],
            ),
            stat(
                "Running for",
                "s",
                &[(
                    "max(stoke_job_running_seconds{namespace=~\"$namespace\",app=~\"$app\"})",
                    "",
                )],
            ),
            rows(
                "Jobs by the end of their newest run",
                "none",
                &[("stoke_job_failed{namespace=~\"$namespace\",app=~\"$app\"}", "")],
            ),
            lines(
                "Tasks that run",
                "none",
                &[(
                    "sum by (namespace, app) (metrics_executor_activeTasks{namespace=~\"$namespace\",app=~\"$app\"})",
                    "{{app}}",
                )],
            ),
            lines(
                "Tasks that ended, a second",
                "ops",
                &[(
                    "sum by (namespace, app) (rate(metrics_executor_completedTasks_total{namespace=~\"$namespace\",app=~\"$app\"}[5m]))",
                    "{{app}}",
                )],
            ),
            lines(
                "Share of time in garbage collection",
                "percentunit",
                &[(
                    "sum by (namespace, app) (metrics_executor_totalGCTime_seconds_total{namespace=~\"$namespace\",app=~\"$app\"}) / sum by (namespace, app) (metrics_executor_totalDuration_seconds_total{namespace=~\"$namespace\",app=~\"$app\"} > 0)",
                    "{{app}}",
                )],
            ),
            lines(
                "Heap of executors",
                "bytes",
                &[(
                    "max by (namespace, app, executor_id) (metrics_executor_JVMHeapMemory_bytes{namespace=~\"$namespace\",app=~\"$app\"})",
                    "{{app}} {{executor_id}}",
                )],
            ),
            lines(
                "Read, and shuffled",
                "bytes",
                &[
                    (
                        "sum by (namespace, app) (metrics_executor_totalInputBytes_bytes_total{namespace=~\"$namespace\",app=~\"$app\"})",
                        "{{app}} read",
                    ),
                    (
                        "sum by (namespace, app) (metrics_executor_totalShuffleWrite_bytes_total{namespace=~\"$namespace\",app=~\"$app\"})",
                        "{{app}} shuffled",
                    ),
                ],
            ),
            lines(
                "Heap of the driver",
                "percentunit",
                &[(
                    "max by (namespace, app) (metrics_spark_driver_jvm_heap_usage_Value{namespace=~\"$namespace\",app=~\"$app\"})",
                    "{{app}}",
                )],
            ),
        ],
    },
    Dashboard {
        name: "dataops",
        title: "Spark: runs of all jobs",
        about: "For DataOps: what failed, what is late, what was missed, and do data keep their contracts?",
        panels: &[
            stat(
                "Jobs whose newest run failed",
                "none",
                &[(
                    "count(stoke_job_failed{namespace=~\"$namespace\",app=~\"$app\"} == 1) or vector(0)",
                    "",
                )],
            ),
            stat(
                "Runs that wait for their driver",
                "none",
                &[(
                    "count(stoke_job_waiting_seconds{namespace=~\"$namespace\",app=~\"$app\"}) or vector(0)",
                    "",
                )],
            ),
            stat(
                "Runs that run",
                "none",
                &[(
                    "count(stoke_job_running_seconds{namespace=~\"$namespace\",app=~\"$app\"}) or vector(0)",
                    "",
                )],
            ),
            stat(
                "Broken contracts",
                "none",
                &[(
                    "sum(stoke_job_contract_broken{namespace=~\"$namespace\",app=~\"$app\"}) or vector(0)",
                    "",
                )],
            ),
            lines(
                "Ends of runs, an hour",
                "none",
                &[
                    ("sum(increase(spark_application_success_count[1h]))", "completed"),
                    (
                        "sum(increase(stoke_application_transitions_total{to=\"FAILED\"}[1h]))",
                        "failed",
                    ),
                ],
            ),
            lines(
                "Failures by class",
                "none",
                &[(
                    "count by (class) (stoke_job_failed{namespace=~\"$namespace\",app=~\"$app\"} == 1)",
                    "{{class}}",
                )],
            ),
            rows(
                "Schedules: next run",
                "dateTimeAsIso",
                &[(
                    "stoke_schedule_next_run_timestamp_seconds{namespace=~\"$namespace\",app=~\"$app\"} * 1000",
                    "",
                )],
            ),
            lines(
                "Missed and skipped runs",
                "none",
                &[
                    (
                        "sum by (namespace, app) (stoke_schedule_missed_runs_total{namespace=~\"$namespace\",app=~\"$app\"})",
                        "{{app}} missed",
                    ),
                    (
                        "sum by (namespace, app) (stoke_schedule_skipped_runs_total{namespace=~\"$namespace\",app=~\"$app\"})",
                        "{{app}} skipped",
                    ),
                ],
            ),
            lines(
                "Time since the last success",
                "s",
                &[(
                    "time() - stoke_job_last_success_timestamp_seconds{namespace=~\"$namespace\",app=~\"$app\"}",
                    "{{app}}",
                )],
            ),
            rows("Alerts that fire", "none", &[("ALERTS{alertstate=\"firing\"}", "")]),
        ],
    },
    Dashboard {
        name: "sre",
        title: "Spark: operator and servers",
        about: "For SREs: does the platform itself work, how far is it behind, and what does it ask of the API server?",
        panels: &[
            stat(
                "Operators that answer",
                "none",
                &[("sum(up{job=\"stoke-operator\"})", "")],
            ),
            stat(
                "Leases held, of",
                "none",
                &[("sum(stoke_leases_held)", "held"), ("max(stoke_leases)", "of")],
            ),
            stat(
                "History Servers that answer",
                "none",
                &[("sum(up{job=\"stoke-history\"})", "")],
            ),
            stat("Event logs known", "none", &[("max(stoke_history_applications)", "")]),
            lines(
                "Wait for a turn, 9 of 10",
                "s",
                &[(
                    "histogram_quantile(0.9, sum by (le, name) (rate(workqueue_queue_duration_seconds_bucket[5m])))",
                    "{{name}}",
                )],
            ),
            lines(
                "Work on one object, 9 of 10",
                "s",
                &[(
                    "histogram_quantile(0.9, sum by (le, name) (rate(workqueue_work_duration_seconds_bucket[5m])))",
                    "{{name}}",
                )],
            ),
            lines(
                "Requests to the API server, a second",
                "reqps",
                &[("sum by (code) (rate(rest_client_requests_total[5m]))", "{{code}}")],
            ),
            lines(
                "Failed pieces of work, a second",
                "ops",
                &[(
                    "sum by (controller) (rate(controller_runtime_reconcile_errors_total[5m]))",
                    "{{controller}}",
                )],
            ),
            lines(
                "Memory of the operator",
                "bytes",
                &[("process_resident_memory_bytes{job=\"stoke-operator\"}", "{{instance}}")],
            ),
            lines(
                "CPU of the operator",
                "none",
                &[(
                    "rate(process_cpu_seconds_total{job=\"stoke-operator\"}[5m])",
                    "{{instance}}",
                )],
            ),
            lines(
                "Age of the last look at event logs",
                "s",
                &[("time() - stoke_history_scan_timestamp_seconds", "{{instance}}")],
            ),
            lines(
                "Drivers scraped",
                "none",
                &[
                    ("count(up{job=\"spark-driver\"} == 1) or vector(0)", "answer"),
                    ("count(up{job=\"spark-driver\"} == 0) or vector(0)", "do not"),
                ],
            ),
        ],
    },
    Dashboard {
        name: "platform",
        title: "Spark: applications on the cluster",
        about: "For platform engineers: who runs how much, what waits and why, what the cluster takes away.",
        panels: &[
            stat(
                "Applications that run",
                "none",
                &[("sum(spark_application_running_count)", "")],
            ),
            stat(
                "Executors that run",
                "none",
                &[("sum(spark_executor_running_count)", "")],
            ),
            stat(
                "Oldest submission without a driver",
                "s",
                &[("max(stoke_applications_oldest_age_seconds{state=\"SUBMITTED\"})", "")],
            ),
            stat(
                "Cores of executors",
                "none",
                &[("sum(metrics_executor_totalCores)", "")],
            ),
            lines("Applications by state", "none", &[("stoke_applications", "{{state}}")]),
            lines(
                "Executors lost, by reason",
                "none",
                &[(
                    "sum by (reason) (stoke_executors_lost_total) or vector(0)",
                    "{{reason}}",
                )],
            ),
            lines(
                "From creation to the first running driver, 9 of 10",
                "s",
                &[(
                    "histogram_quantile(0.9, sum by (le) (spark_application_start_latency_seconds_histogram_bucket))",
                    "",
                )],
            ),
            lines(
                "Executors that do not start, by reason",
                "none",
                &[(
                    "sum by (reason) (stoke_job_executors_waiting) or vector(0)",
                    "{{reason}}",
                )],
            ),
            lines(
                "Memory of executors, used and there",
                "bytes",
                &[
                    (
                        "sum by (namespace) (metrics_executor_JVMHeapMemory_bytes)",
                        "{{namespace}} heap",
                    ),
                    (
                        "sum by (namespace) (metrics_executor_maxMemory_bytes)",
                        "{{namespace}} for storage",
                    ),
                ],
            ),
            lines(
                "Retries, by cause",
                "none",
                &[(
                    "sum by (cause) (stoke_application_retries_total) or vector(0)",
                    "{{cause}}",
                )],
            ),
            rows("Jobs that wait", "s", &[("stoke_job_waiting_seconds or vector(0)", "")]),
        ],
    },
    Dashboard {
        name: "product",
        title: "Spark: is the platform worth its money",
        about: "For product owners: how many runs succeed, how fast people get going, how much is used of what is there.",
        panels: &[
            stat(
                "Runs that completed, of all",
                "percentunit",
                &[(
                    "sum(spark_application_success_count) / (sum(spark_application_success_count) + (sum(spark_application_failure_count) or vector(0)))",
                    "",
                )],
            ),
            stat("Applications so far", "none", &[("sum(spark_application_count)", "")]),
            stat("Teams", "none", &[("count(count by (team) (stoke_job_failed))", "")]),
            stat(
                "Jobs",
                "none",
                &[("count(count by (namespace, app) (stoke_job_failed))", "")],
            ),
            lines(
                "From creation to running, in the mean",
                "s",
                &[(
                    "sum(spark_application_start_latency_seconds_sum) / sum(spark_application_start_latency_seconds_count)",
                    "",
                )],
            ),
            lines(
                "A run takes, in the mean",
                "s",
                &[(
                    "sum(spark_application_success_execution_time_seconds_sum) / sum(spark_application_success_execution_time_seconds_count)",
                    "",
                )],
            ),
            lines(
                "Slots of executors in use",
                "percentunit",
                &[(
                    "sum(metrics_executor_activeTasks) / sum(metrics_executor_maxTasks > 0)",
                    "",
                )],
            ),
            lines(
                "Jobs by team",
                "none",
                &[("count by (team) (stoke_job_failed)", "{{team}}")],
            ),
        ],
    },
];
