//! What a team's runs do.

use crate::pack::alert::{Alert, Case, Owner, Severity};

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "StokeJobFailed",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: "stoke_job_failed == 1",
        hold: 0,
        summary: "{{ $labels.namespace }}/{{ $labels.app }} failed: {{ $labels.class }}",
        description: "The newest run failed for good; it was not tried again, or every try failed. `stoke doctor` names the root cause. The alert ends with the next run that completes, or with the application.",
        runbook: "driver-crash-loop",
        fault: Some("driver-exits-1"),
        cases: &[
            Case {
                note: "the newest run failed, then one completed",
                series: &[
                    (
                        r#"stoke_job_failed{namespace="jobs",app="etl",team="data",class="python-exception"}"#,
                        "0 1 1 _",
                    ),
                    (
                        r#"stoke_job_failed{namespace="jobs",app="etl",team="data",class="none"}"#,
                        "_ _ _ 0x5",
                    ),
                ],
                checks: &[
                    ("0m", &[]),
                    ("1m", &["namespace=jobs,app=etl,team=data,class=python-exception"]),
                    ("2m", &["namespace=jobs,app=etl,team=data,class=python-exception"]),
                ],
            },
            Case {
                note: "all completed",
                series: &[(
                    r#"stoke_job_failed{namespace="jobs",app="etl",team="data",class="none"}"#,
                    "0x10",
                )],
                checks: &[("5m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeJobFailingAgainAndAgain",
        severity: Severity::Page,
        owner: Owner::Job,
        expr: "stoke_job_failures_in_a_row >= 3",
        hold: 0,
        summary: "{{ $labels.namespace }}/{{ $labels.app }} failed three times in a row or more",
        description: "Three runs and none completed: waiting for the next one will not help, and what depends on its output is old by now.",
        runbook: "driver-crash-loop",
        fault: Some("driver-exits-1-three-times"),
        cases: &[
            Case {
                note: "the third failure pages",
                series: &[(
                    r#"stoke_job_failures_in_a_row{namespace="jobs",app="etl",team="data"}"#,
                    "1 2 3 4 0",
                )],
                checks: &[
                    ("1m", &[]),
                    ("2m", &["namespace=jobs,app=etl,team=data"]),
                    ("3m", &["namespace=jobs,app=etl,team=data"]),
                    ("4m", &[]),
                ],
            },
            Case {
                note: "two failures are a ticket",
                series: &[(
                    r#"stoke_job_failures_in_a_row{namespace="jobs",app="etl",team="data"}"#,
                    "2x10",
                )],
                checks: &[("10m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeJobOutOfMemory",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: r#"stoke_job_failed{class=~"driver-oom-killed|driver-heap-oom|executor-heap-oom|python-memory"} == 1"#,
        hold: 0,
        summary: "{{ $labels.namespace }}/{{ $labels.app }} ran out of memory: {{ $labels.class }}",
        description: "The container, the heap or Python needed more than it had. `stoke size` says how much the run needs; raising the other one does not help.",
        runbook: "out-of-memory",
        fault: Some("driver-oom"),
        cases: &[
            Case {
                note: "each kind of memory",
                series: &[
                    (
                        r#"stoke_job_failed{namespace="jobs",app="a",team="data",class="driver-oom-killed"}"#,
                        "1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="jobs",app="b",team="data",class="driver-heap-oom"}"#,
                        "1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="jobs",app="c",team="data",class="python-memory"}"#,
                        "1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="jobs",app="d",team="data",class="executor-heap-oom"}"#,
                        "1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="jobs",app="e",team="data",class="python-memory"}"#,
                        "0x5",
                    ),
                ],
                checks: &[(
                    "1m",
                    &[
                        "namespace=jobs,app=a,team=data,class=driver-oom-killed",
                        "namespace=jobs,app=b,team=data,class=driver-heap-oom",
                        "namespace=jobs,app=c,team=data,class=python-memory",
                        "namespace=jobs,app=d,team=data,class=executor-heap-oom",
                    ],
                )],
            },
            Case {
                note: "another failure, and memory that sufficed",
                series: &[
                    (
                        r#"stoke_job_failed{namespace="jobs",app="etl",team="data",class="python-exception"}"#,
                        "1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="jobs",app="b",team="data",class="driver-oom-killed"}"#,
                        "0x5",
                    ),
                ],
                checks: &[("1m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeJobLate",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: "stoke_job_running_seconds > 2 * stoke_job_usual_seconds and stoke_job_running_seconds > <#600>",
        hold: 0,
        summary: "{{ $labels.namespace }}/{{ $labels.app }} runs twice as long as its longest run so far",
        description: "The present run takes more than twice the longest of the last 20 that completed, and more than ten minutes. `stoke compare` tells what changed.",
        runbook: "stuck-run",
        fault: Some("run-takes-longer-than-before"),
        cases: &[
            Case {
                note: "usually 10 minutes: late after 20",
                series: &[
                    (
                        r#"stoke_job_running_seconds{namespace="jobs",app="etl",team="data"}"#,
                        "0+60x30",
                    ),
                    (
                        r#"stoke_job_usual_seconds{namespace="jobs",app="etl",team="data"}"#,
                        "600x30",
                    ),
                ],
                checks: &[
                    ("11m", &[]),
                    ("20m", &[]),
                    ("21m", &["namespace=jobs,app=etl,team=data"]),
                ],
            },
            Case {
                note: "usually 4 minutes: late after 10, for less is not worth a ticket",
                series: &[
                    (
                        r#"stoke_job_running_seconds{namespace="jobs",app="etl",team="data"}"#,
                        "0+60x30",
                    ),
                    (
                        r#"stoke_job_usual_seconds{namespace="jobs",app="etl",team="data"}"#,
                        "240x30",
                    ),
                ],
                checks: &[
                    ("9m", &[]),
                    ("10m", &[]),
                    ("11m", &["namespace=jobs,app=etl,team=data"]),
                ],
            },
            Case {
                note: "the usual of another job, or none at all, says nothing",
                series: &[
                    (
                        r#"stoke_job_running_seconds{namespace="jobs",app="etl",team="data"}"#,
                        "0+60x30",
                    ),
                    (
                        r#"stoke_job_usual_seconds{namespace="jobs",app="other",team="data"}"#,
                        "60x30",
                    ),
                ],
                checks: &[("25m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeJobStuck",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: "sum by (namespace, app, team) (metrics_executor_activeTasks) > 0 and sum by (namespace, app, team) (increase(metrics_executor_completedTasks_total[<30m>])) == 0",
        hold: 300,
        summary: "{{ $labels.namespace }}/{{ $labels.app }} has tasks that run and none that ends",
        description: "For half an hour no task of the run has ended although some run. A stack of an executor (`stoke ui`, page Executors) shows where they hang.",
        runbook: "stuck-run",
        fault: Some("task-sleeps"),
        cases: &[
            Case {
                note: "one task, never done",
                series: &[
                    (
                        r#"metrics_executor_activeTasks{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "1x60",
                    ),
                    (
                        r#"metrics_executor_activeTasks{namespace="jobs",app="etl",team="data",executor_id="2"}"#,
                        "0x60",
                    ),
                    (
                        r#"metrics_executor_completedTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "5x10 6x50",
                    ),
                    (
                        r#"metrics_executor_completedTasks_total{namespace="jobs",app="etl",team="data",executor_id="2"}"#,
                        "9x60",
                    ),
                ],
                checks: &[
                    ("20m", &[]),
                    ("39m", &[]),
                    ("45m", &[]),
                    ("46m", &["namespace=jobs,app=etl,team=data"]),
                    ("60m", &["namespace=jobs,app=etl,team=data"]),
                ],
            },
            Case {
                note: "tasks of twenty minutes",
                series: &[
                    (
                        r#"metrics_executor_activeTasks{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "1x60",
                    ),
                    (
                        r#"metrics_executor_completedTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0x19 1x19 2x19 3x5",
                    ),
                ],
                checks: &[("30m", &[]), ("40m", &[]), ("50m", &[]), ("60m", &[])],
            },
            Case {
                note: "idle: nothing runs",
                series: &[
                    (
                        r#"metrics_executor_activeTasks{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0x60",
                    ),
                    (
                        r#"metrics_executor_completedTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "5x60",
                    ),
                ],
                checks: &[("60m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeJobWaiting",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: "stoke_job_waiting_seconds > <#900>",
        hold: 0,
        summary: "{{ $labels.namespace }}/{{ $labels.app }} has waited for its driver for more than a quarter of an hour: {{ $labels.reason }}",
        description: "The run was submitted and its driver does not run. `stoke doctor` tells what the pod waits for and who can change it.",
        runbook: "pending-pods",
        fault: Some("driver-unschedulable"),
        cases: &[
            Case {
                note: "fifteen minutes",
                series: &[(
                    r#"stoke_job_waiting_seconds{namespace="jobs",app="etl",team="data",reason="Unschedulable"}"#,
                    "0+60x20",
                )],
                checks: &[
                    ("8m", &[]),
                    ("15m", &[]),
                    ("16m", &["namespace=jobs,app=etl,team=data,reason=Unschedulable"]),
                ],
            },
            Case {
                note: "it began",
                series: &[(
                    r#"stoke_job_waiting_seconds{namespace="jobs",app="etl",team="data",reason="Starting"}"#,
                    "0+60x14 stale",
                )],
                checks: &[("14m", &[]), ("16m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeContractBroken",
        severity: Severity::Page,
        owner: Owner::Job,
        expr: "stoke_job_contract_broken == 1",
        hold: 0,
        summary: "Data of {{ $labels.namespace }}/{{ $labels.app }} break their contract",
        description: "What the newest run read or wrote is not what its contract says; who reads it downstream gets wrong data. The condition QualityBefore or QualityAfter of the application names the rules.",
        runbook: "data-corruption",
        fault: Some("data-break-contract"),
        cases: &[
            Case {
                note: "broken, then kept again",
                series: &[(
                    r#"stoke_job_contract_broken{namespace="jobs",app="etl",team="data"}"#,
                    "0 1 1 0",
                )],
                checks: &[("0m", &[]), ("2m", &["namespace=jobs,app=etl,team=data"]), ("3m", &[])],
            },
            Case {
                note: "kept",
                series: &[(
                    r#"stoke_job_contract_broken{namespace="jobs",app="etl",team="data"}"#,
                    "0x5",
                )],
                checks: &[("5m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeEventLogMissing",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: r#"time() - stoke_run_ended_timestamp_seconds > <#600> unless on (application_id) stoke_history_log_modified_timestamp_seconds and on () stoke_history_scan_timestamp_seconds"#,
        hold: 0,
        summary: "{{ $labels.namespace }}/{{ $labels.app }} left no event log of run {{ $labels.application_id }}",
        description: "The run ended ten minutes ago and the History Server does not find its event log: the directory differs, the driver may not write there, or it was killed before it did. Without the log there is no history, no cost and no doctor for this run.",
        runbook: "object-store",
        fault: Some("event-log-removed"),
        cases: &[
            Case {
                note: "ended at the beginning and never found",
                series: &[
                    (
                        r#"stoke_run_ended_timestamp_seconds{namespace="jobs",app="etl",team="data",application_id="spark-1"}"#,
                        "0x20",
                    ),
                    (
                        r#"stoke_run_ended_timestamp_seconds{namespace="jobs",app="etl",team="data",application_id="spark-2"}"#,
                        "0x20",
                    ),
                    (
                        r#"stoke_history_log_modified_timestamp_seconds{application_id="spark-2"}"#,
                        "0x20",
                    ),
                    ("stoke_history_scan_timestamp_seconds{}", "0+60x20"),
                ],
                checks: &[
                    ("6m", &[]),
                    ("10m", &[]),
                    ("11m", &["namespace=jobs,app=etl,team=data,application_id=spark-1"]),
                ],
            },
            Case {
                note: "it ended a moment ago",
                series: &[
                    (
                        r#"stoke_run_ended_timestamp_seconds{namespace="jobs",app="etl",team="data",application_id="spark-1"}"#,
                        "_x5 300x20",
                    ),
                    ("stoke_history_scan_timestamp_seconds{}", "0+60x20"),
                ],
                checks: &[("6m", &[]), ("14m", &[])],
            },
            Case {
                note: "without a History Server nothing is known",
                series: &[(
                    r#"stoke_run_ended_timestamp_seconds{namespace="jobs",app="etl",team="data",application_id="spark-1"}"#,
                    "0x20",
                )],
                checks: &[("15m", &[])],
            },
        ],
    },
];
