//! What a run's executors do.

use crate::pack::alert::{Alert, Case, Owner, Severity};

const LABELS: &str = "namespace=jobs,app=etl,team=data";

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "StokeExecutorsWaiting",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: "stoke_job_executors_waiting > 0",
        hold: 600,
        summary: "Executors of {{ $labels.namespace }}/{{ $labels.app }} do not start: {{ $labels.reason }}",
        description: "The driver runs and works with fewer executors than it asked for, or with none. `stoke doctor` says what they wait for.",
        runbook: "pending-pods",
        fault: Some("executors-unschedulable"),
        cases: &[
            Case {
                note: "ten minutes",
                series: &[(
                    r#"stoke_job_executors_waiting{namespace="jobs",app="etl",team="data",reason="Unschedulable"}"#,
                    "0 1x20",
                )],
                checks: &[
                    ("0m", &[]),
                    ("6m", &[]),
                    ("10m", &[]),
                    ("11m", &["namespace=jobs,app=etl,team=data,reason=Unschedulable"]),
                ],
            },
            Case {
                note: "they started, and others wait later",
                series: &[(
                    r#"stoke_job_executors_waiting{namespace="jobs",app="etl",team="data",reason="Unschedulable"}"#,
                    "1x8 0 1x8",
                )],
                checks: &[("9m", &[]), ("14m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeExecutorsChurning",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: "sum by (namespace, app, team) (stoke:executors_lost:last30m) >= 5",
        hold: 0,
        summary: "{{ $labels.namespace }}/{{ $labels.app }} lost five executors or more in half an hour",
        description: "Each lost executor takes its shuffle data and running tasks with it. `stoke_executors_lost_total` tells the reasons; `stoke doctor` the cause.",
        runbook: "executor-failures",
        fault: Some("executors-killed"),
        cases: &[
            Case {
                note: "five of any reason within half an hour",
                series: &[
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="Killed"}"#,
                        "_x4 1x4 2x4 3x50",
                    ),
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="Error"}"#,
                        "_x14 1x4 2x50",
                    ),
                ],
                checks: &[("18m", &[]), ("19m", &[LABELS]), ("33m", &[LABELS]), ("36m", &[])],
            },
            Case {
                note: "told by two operators",
                series: &[
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="Killed",instance="a"}"#,
                        "3x20",
                    ),
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="Killed",instance="b"}"#,
                        "2x20",
                    ),
                ],
                checks: &[("1m", &[LABELS])],
            },
            Case {
                note: "five in two hours, and four at once",
                series: &[
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="Killed"}"#,
                        "1x20 2x20 3x20 4x20 5x30",
                    ),
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="two",team="data",reason="Killed"}"#,
                        "4x110",
                    ),
                ],
                checks: &[("10m", &[]), ("50m", &[]), ("81m", &[]), ("85m", &[]), ("100m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeExecutorsOutOfMemory",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: r#"sum by (namespace, app, team) (stoke:executors_lost:last30m{reason=~"OOMKilled|HeapOutOfMemory"}) > 0"#,
        hold: 0,
        summary: "Executors of {{ $labels.namespace }}/{{ $labels.app }} run out of memory",
        description: "An executor was killed for its container's memory, or its heap was full. Spark starts another one, which needs as much. `stoke size` says how much.",
        runbook: "out-of-memory",
        fault: Some("executor-oom"),
        cases: &[
            Case {
                note: "the first one already",
                series: &[(
                    r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="OOMKilled"}"#,
                    "_x4 1x60",
                )],
                checks: &[("3m", &[]), ("5m", &[LABELS]), ("33m", &[LABELS]), ("36m", &[])],
            },
            Case {
                note: "heap and container are one",
                series: &[
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="HeapOutOfMemory"}"#,
                        "1x60",
                    ),
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="OOMKilled"}"#,
                        "1x60",
                    ),
                ],
                checks: &[("1m", &[LABELS])],
            },
            Case {
                note: "the heap alone",
                series: &[(
                    r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="HeapOutOfMemory"}"#,
                    "1x60",
                )],
                checks: &[("1m", &[LABELS])],
            },
            Case {
                note: "other losses",
                series: &[(
                    r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="Preempted"}"#,
                    "0 9x10",
                )],
                checks: &[("5m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeExecutorsDisrupted",
        severity: Severity::Ticket,
        owner: Owner::Platform,
        expr: r#"sum by (namespace, app) (stoke:executors_lost:last30m{reason=~"Evicted|Drained|Preempted|NodeLost"}) >= 3"#,
        hold: 0,
        summary: "The cluster took three executors or more from {{ $labels.namespace }}/{{ $labels.app }} in half an hour",
        description: "Evictions, preemption, drained or lost nodes: nothing in the application causes this. On spot nodes decommissioning saves what they hold (`spark.decommission.enabled`).",
        runbook: "executor-failures",
        fault: Some("executors-evicted"),
        cases: &[
            Case {
                note: "each kind, three in all",
                series: &[
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="Evicted"}"#,
                        "1x60",
                    ),
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="other",reason="Drained"}"#,
                        "_ 1x60",
                    ),
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="NodeLost"}"#,
                        "_ _ 1x60",
                    ),
                ],
                checks: &[
                    ("1m", &[]),
                    ("2m", &["namespace=jobs,app=etl"]),
                    ("29m", &["namespace=jobs,app=etl"]),
                    ("33m", &[]),
                ],
            },
            Case {
                note: "preempted alone",
                series: &[(
                    r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="Preempted"}"#,
                    "3x10",
                )],
                checks: &[("2m", &["namespace=jobs,app=etl"])],
            },
            Case {
                note: "killed for their memory, and two of two jobs",
                series: &[
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="etl",team="data",reason="OOMKilled"}"#,
                        "8x60",
                    ),
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="one",team="data",reason="Drained"}"#,
                        "2x60",
                    ),
                    (
                        r#"stoke_executors_lost_total{namespace="jobs",app="two",team="data",reason="Drained"}"#,
                        "2x60",
                    ),
                    (
                        r#"stoke_executors_lost_total{namespace="more",app="one",team="data",reason="Drained"}"#,
                        "2x60",
                    ),
                ],
                checks: &[("2m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeGarbageCollection",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: "stoke:gc_share:rate10m > 0.2",
        hold: 300,
        summary: "Executors of {{ $labels.namespace }}/{{ $labels.app }} spend a fifth of their time collecting garbage",
        description: "The heap is too small for what tasks hold. More memory, or more partitions, end it; `stoke size` says which.",
        runbook: "performance",
        fault: Some("full-collection-with-each-row"),
        cases: &[
            Case {
                note: "15 of 60 seconds",
                series: &[
                    (
                        r#"metrics_executor_totalGCTime_seconds_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+15x40",
                    ),
                    (
                        r#"metrics_executor_totalDuration_seconds_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+60x40",
                    ),
                    (
                        r#"metrics_executor_totalGCTime_seconds_total{namespace="jobs",app="etl",team="data",executor_id="driver"}"#,
                        "0+1x40",
                    ),
                    (
                        r#"metrics_executor_totalDuration_seconds_total{namespace="jobs",app="etl",team="data",executor_id="driver"}"#,
                        "0+600x40",
                    ),
                ],
                checks: &[("4m", &[]), ("5m", &[]), ("6m", &[LABELS]), ("40m", &[LABELS])],
            },
            Case {
                note: "exactly a fifth, and much by the driver alone",
                series: &[
                    (
                        r#"metrics_executor_totalGCTime_seconds_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+12x40",
                    ),
                    (
                        r#"metrics_executor_totalDuration_seconds_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+60x40",
                    ),
                    (
                        r#"metrics_executor_totalGCTime_seconds_total{namespace="jobs",app="two",team="data",executor_id="driver"}"#,
                        "0+50x40",
                    ),
                    (
                        r#"metrics_executor_totalDuration_seconds_total{namespace="jobs",app="two",team="data",executor_id="driver"}"#,
                        "0+60x40",
                    ),
                ],
                checks: &[("20m", &[]), ("40m", &[])],
            },
            Case {
                note: "two executors, each with a quarter; and two with a sixth",
                series: &[
                    (
                        r#"metrics_executor_totalGCTime_seconds_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+15x40",
                    ),
                    (
                        r#"metrics_executor_totalGCTime_seconds_total{namespace="jobs",app="etl",team="data",executor_id="2"}"#,
                        "0+15x40",
                    ),
                    (
                        r#"metrics_executor_totalDuration_seconds_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+60x40",
                    ),
                    (
                        r#"metrics_executor_totalDuration_seconds_total{namespace="jobs",app="etl",team="data",executor_id="2"}"#,
                        "0+60x40",
                    ),
                    (
                        r#"metrics_executor_totalGCTime_seconds_total{namespace="jobs",app="two",team="data",executor_id="1"}"#,
                        "0+10x40",
                    ),
                    (
                        r#"metrics_executor_totalGCTime_seconds_total{namespace="jobs",app="two",team="data",executor_id="2"}"#,
                        "0+10x40",
                    ),
                    (
                        r#"metrics_executor_totalGCTime_seconds_total{namespace="jobs",app="two",team="data",executor_id="driver"}"#,
                        "0+50x40",
                    ),
                    (
                        r#"metrics_executor_totalDuration_seconds_total{namespace="jobs",app="two",team="data",executor_id="1"}"#,
                        "0+60x40",
                    ),
                    (
                        r#"metrics_executor_totalDuration_seconds_total{namespace="jobs",app="two",team="data",executor_id="2"}"#,
                        "0+60x40",
                    ),
                ],
                checks: &[("20m", &[LABELS]), ("40m", &[LABELS])],
            },
            Case {
                note: "little runs any more, and that collects garbage",
                series: &[
                    (
                        r#"metrics_executor_totalGCTime_seconds_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0x20 0+15x20",
                    ),
                    (
                        r#"metrics_executor_totalDuration_seconds_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+600x20 12000+60x20",
                    ),
                ],
                checks: &[("20m", &[]), ("39m", &[LABELS]), ("36m", &[LABELS])],
            },
            Case {
                note: "a burst of eight minutes in the middle, seen for as long as the window lasts",
                series: &[
                    (
                        r#"metrics_executor_totalGCTime_seconds_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0x20 0+30x8 240x40",
                    ),
                    (
                        r#"metrics_executor_totalDuration_seconds_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+60x70",
                    ),
                ],
                checks: &[("20m", &[]), ("33m", &[LABELS]), ("40m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeTasksFail",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: "stoke:task_failure_share:rate10m > 0.1",
        hold: 300,
        summary: "More than a tenth of the tasks of {{ $labels.namespace }}/{{ $labels.app }} fail",
        description: "Spark tries them again, so the run may still complete, for more money and later. `stoke doctor` groups the exceptions.",
        runbook: "task-failures",
        fault: Some("tasks-fail-first"),
        cases: &[
            Case {
                note: "two of ten",
                series: &[
                    (
                        r#"metrics_executor_failedTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+2x40",
                    ),
                    (
                        r#"metrics_executor_totalTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+5x40",
                    ),
                    (
                        r#"metrics_executor_totalTasks_total{namespace="jobs",app="etl",team="data",executor_id="2"}"#,
                        "0+5x40",
                    ),
                ],
                checks: &[("4m", &[]), ("5m", &[]), ("6m", &[LABELS]), ("40m", &[LABELS])],
            },
            Case {
                note: "one of ten",
                series: &[
                    (
                        r#"metrics_executor_failedTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+1x40",
                    ),
                    (
                        r#"metrics_executor_totalTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+10x40",
                    ),
                ],
                checks: &[("20m", &[]), ("40m", &[])],
            },
            Case {
                note: "two executors that fail together, and two that fail too little",
                series: &[
                    (
                        r#"metrics_executor_failedTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+1x40",
                    ),
                    (
                        r#"metrics_executor_failedTasks_total{namespace="jobs",app="etl",team="data",executor_id="2"}"#,
                        "0+1x40",
                    ),
                    (
                        r#"metrics_executor_totalTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+6x40",
                    ),
                    (
                        r#"metrics_executor_totalTasks_total{namespace="jobs",app="etl",team="data",executor_id="2"}"#,
                        "0+6x40",
                    ),
                    (
                        r#"metrics_executor_failedTasks_total{namespace="jobs",app="two",team="data",executor_id="1"}"#,
                        "0+1x40",
                    ),
                    (
                        r#"metrics_executor_totalTasks_total{namespace="jobs",app="two",team="data",executor_id="1"}"#,
                        "0+6x40",
                    ),
                    (
                        r#"metrics_executor_totalTasks_total{namespace="jobs",app="two",team="data",executor_id="2"}"#,
                        "0+6x40",
                    ),
                ],
                checks: &[("20m", &[LABELS]), ("40m", &[LABELS])],
            },
            Case {
                note: "little runs any more, and that fails",
                series: &[
                    (
                        r#"metrics_executor_failedTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0x20 0+2x20",
                    ),
                    (
                        r#"metrics_executor_totalTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+100x20 2000+10x20",
                    ),
                ],
                checks: &[("20m", &[]), ("39m", &[LABELS]), ("36m", &[LABELS])],
            },
            Case {
                note: "a burst of eight minutes in the middle, seen for as long as the window lasts",
                series: &[
                    (
                        r#"metrics_executor_failedTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0x20 0+2x8 16x40",
                    ),
                    (
                        r#"metrics_executor_totalTasks_total{namespace="jobs",app="etl",team="data",executor_id="1"}"#,
                        "0+10x70",
                    ),
                ],
                checks: &[("20m", &[]), ("33m", &[LABELS]), ("40m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeListenerEventsDropped",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: "sum by (namespace, app, team) (increase(metrics_spark_driver_LiveListenerBus_queue_appStatus_numDroppedEvents_Count[<15m>])) > 0 or sum by (namespace, app, team) (increase(metrics_spark_driver_LiveListenerBus_queue_eventLog_numDroppedEvents_Count[<15m>])) > 0",
        hold: 0,
        summary: "The driver of {{ $labels.namespace }}/{{ $labels.app }} drops events",
        description: "Listeners cannot keep up, so pages, event log and metrics of this run are wrong from here on: jobs seem to hang, executors seem to leak. A larger `spark.scheduler.listenerbus.eventqueue.capacity`, or more driver cores, ends it.",
        runbook: "performance",
        fault: Some("listener-queue-of-one"),
        cases: &[
            Case {
                note: "the pages' queue",
                series: &[(
                    r#"metrics_spark_driver_LiveListenerBus_queue_appStatus_numDroppedEvents_Count{namespace="jobs",app="etl",team="data",type="counters"}"#,
                    "0x5 3x40",
                )],
                checks: &[("4m", &[]), ("6m", &[LABELS]), ("20m", &[LABELS]), ("22m", &[])],
            },
            Case {
                note: "the event log's queue",
                series: &[(
                    r#"metrics_spark_driver_LiveListenerBus_queue_eventLog_numDroppedEvents_Count{namespace="jobs",app="etl",team="data",type="counters"}"#,
                    "0x5 3x40",
                )],
                checks: &[("4m", &[]), ("6m", &[LABELS]), ("20m", &[LABELS]), ("22m", &[])],
            },
            Case {
                note: "nothing dropped for long",
                series: &[(
                    r#"metrics_spark_driver_LiveListenerBus_queue_eventLog_numDroppedEvents_Count{namespace="jobs",app="etl",team="data",type="counters"}"#,
                    "9x40",
                )],
                checks: &[("5m", &[]), ("40m", &[])],
            },
            Case {
                note: "both are one alert, and nothing dropped is none",
                series: &[
                    (
                        r#"metrics_spark_driver_LiveListenerBus_queue_appStatus_numDroppedEvents_Count{namespace="jobs",app="etl",team="data",type="counters"}"#,
                        "0+1x10",
                    ),
                    (
                        r#"metrics_spark_driver_LiveListenerBus_queue_eventLog_numDroppedEvents_Count{namespace="jobs",app="etl",team="data",type="counters"}"#,
                        "0+1x10",
                    ),
                    (
                        r#"metrics_spark_driver_LiveListenerBus_queue_appStatus_numDroppedEvents_Count{namespace="jobs",app="well",team="data",type="counters"}"#,
                        "7x10",
                    ),
                ],
                checks: &[("5m", &[LABELS])],
            },
        ],
    },
];
