//! Object store, metastore, quota: one cause, many runs.

use crate::pack::alert::{Alert, Case, Owner, Severity};

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "StokeObjectStoreRefuses",
        severity: Severity::Page,
        owner: Owner::Platform,
        expr: r#"count by (class) (stoke_job_failed{class=~"s3-access-denied|s3-bucket-missing|s3-slow-down|service-unreachable"} == 1) >= 2"#,
        hold: 0,
        summary: "Two jobs or more failed at a store: {{ $labels.class }}",
        description: "The same refusal for several jobs is the store's, its credentials' or the network's, not theirs.",
        runbook: "object-store",
        fault: Some("store-address-unserved"),
        cases: &[
            Case {
                note: "two jobs, each kind",
                series: &[
                    (
                        r#"stoke_job_failed{namespace="a",app="etl",team="data",class="s3-access-denied"}"#,
                        "1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="b",app="etl",team="ml",class="s3-access-denied"}"#,
                        "_ 1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="a",app="three",team="data",class="s3-slow-down"}"#,
                        "_ _ 1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="a",app="four",team="data",class="s3-slow-down"}"#,
                        "_ _ 1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="a",app="five",team="data",class="service-unreachable"}"#,
                        "_ _ 1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="a",app="six",team="data",class="service-unreachable"}"#,
                        "_ _ 1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="a",app="seven",team="data",class="s3-bucket-missing"}"#,
                        "_ _ 1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="a",app="eight",team="data",class="s3-bucket-missing"}"#,
                        "_ _ 1x5",
                    ),
                ],
                checks: &[
                    ("0m", &[]),
                    ("1m", &["class=s3-access-denied"]),
                    (
                        "2m",
                        &[
                            "class=s3-access-denied",
                            "class=s3-slow-down",
                            "class=service-unreachable",
                            "class=s3-bucket-missing",
                        ],
                    ),
                ],
            },
            Case {
                note: "one job each, jobs that completed, and another cause",
                series: &[
                    (
                        r#"stoke_job_failed{namespace="a",app="etl",team="data",class="s3-access-denied"}"#,
                        "1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="a",app="two",team="data",class="s3-slow-down"}"#,
                        "1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="a",app="old",team="data",class="s3-slow-down"}"#,
                        "0x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="a",app="three",team="data",class="python-exception"}"#,
                        "1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="a",app="four",team="data",class="python-exception"}"#,
                        "1x5",
                    ),
                ],
                checks: &[("3m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeMetastoreUnreachable",
        severity: Severity::Page,
        owner: Owner::Platform,
        expr: r#"max(stoke_job_failed{class="metastore-unreachable"}) == 1"#,
        hold: 0,
        summary: "Jobs fail because they do not reach the metastore",
        description: "No job that reads a table by name will run until it answers.",
        runbook: "metastore-outage",
        fault: Some("metastore-address-unserved"),
        cases: &[
            Case {
                note: "two jobs",
                series: &[
                    (
                        r#"stoke_job_failed{namespace="jobs",app="etl",team="data",class="metastore-unreachable"}"#,
                        "1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="jobs",app="two",team="data",class="metastore-unreachable"}"#,
                        "1x5",
                    ),
                ],
                checks: &[("2m", &[""])],
            },
            Case {
                note: "the first failure already",
                series: &[(
                    r#"stoke_job_failed{namespace="jobs",app="etl",team="data",class="metastore-unreachable"}"#,
                    "0 1 1 0",
                )],
                checks: &[("0m", &[]), ("1m", &[""]), ("3m", &[])],
            },
            Case {
                note: "another failure",
                series: &[(
                    r#"stoke_job_failed{namespace="jobs",app="etl",team="data",class="path-not-found"}"#,
                    "1x5",
                )],
                checks: &[("2m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeQuotaFull",
        severity: Severity::Ticket,
        owner: Owner::Platform,
        expr: r#"count by (namespace) (stoke_job_failed{class="quota-exceeded"} == 1) >= 1"#,
        hold: 0,
        summary: "The quota of namespace {{ $labels.namespace }} is full: runs are refused",
        description: "Kubernetes refused a pod because the namespace's ResourceQuota is used up. `kubectl describe quota` shows by what.",
        runbook: "quota",
        fault: Some("quota-of-nothing"),
        cases: &[
            Case {
                note: "two jobs are one alert",
                series: &[
                    (
                        r#"stoke_job_failed{namespace="jobs",app="etl",team="data",class="quota-exceeded"}"#,
                        "0 1x5",
                    ),
                    (
                        r#"stoke_job_failed{namespace="jobs",app="two",team="ml",class="quota-exceeded"}"#,
                        "0 1x5",
                    ),
                ],
                checks: &[("0m", &[]), ("2m", &["namespace=jobs"])],
            },
            Case {
                note: "one job",
                series: &[(
                    r#"stoke_job_failed{namespace="jobs",app="etl",team="data",class="quota-exceeded"}"#,
                    "1x5",
                )],
                checks: &[("2m", &["namespace=jobs"])],
            },
            Case {
                note: "another failure",
                series: &[(
                    r#"stoke_job_failed{namespace="jobs",app="etl",team="data",class="driver-oom-killed"}"#,
                    "1x5",
                )],
                checks: &[("2m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeLogsNotKept",
        severity: Severity::Ticket,
        owner: Owner::Platform,
        expr: r#"sum by (role) (stoke_kept_logs_total{result="failed"} - (stoke_kept_logs_total{result="failed"} offset <1h> or stoke_kept_logs_total{result="failed"} * 0)) > 0"#,
        hold: 0,
        summary: "Logs of pods ({{ $labels.role }}) could not be kept",
        description: "The store of `--keep-logs` refused them or did not answer; after their pods are gone they are lost. The operator's log names the store's answer.",
        runbook: "object-store",
        fault: Some("log-store-unwritable"),
        cases: &[
            Case {
                note: "one that failed, for an hour",
                series: &[
                    (r#"stoke_kept_logs_total{role="driver",result="failed"}"#, "_x4 1x90"),
                    (r#"stoke_kept_logs_total{role="driver",result="kept"}"#, "5x90"),
                ],
                checks: &[
                    ("3m", &[]),
                    ("6m", &["role=driver"]),
                    ("62m", &["role=driver"]),
                    ("66m", &[]),
                ],
            },
            Case {
                note: "kept and absent",
                series: &[
                    (r#"stoke_kept_logs_total{role="driver",result="kept"}"#, "0+3x90"),
                    (r#"stoke_kept_logs_total{role="driver",result="absent"}"#, "0+1x90"),
                ],
                checks: &[("10m", &[]), ("80m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeObjectStoreSlow",
        severity: Severity::Ticket,
        owner: Owner::Platform,
        expr: "histogram_quantile(0.9, sum by (le) (rate(stoke_keep_log_seconds_bucket[<15m>]))) > <#60>",
        hold: 0,
        summary: "The store of logs takes more than a minute for one in ten",
        description: "Event logs and tables lie in the same store mostly: runs get slower with it.",
        runbook: "object-store",
        fault: Some("store-slow"),
        cases: &[
            Case {
                note: "a fifth take five minutes",
                series: &[
                    (r#"stoke_keep_log_seconds_bucket{le="60"}"#, "0+8x10 80x40"),
                    (r#"stoke_keep_log_seconds_bucket{le="300"}"#, "0+10x10 100x40"),
                    (r#"stoke_keep_log_seconds_bucket{le="+Inf"}"#, "0+10x10 100x40"),
                ],
                checks: &[("5m", &[""]), ("22m", &[""]), ("27m", &[])],
            },
            Case {
                note: "exactly a tenth, and two tenths that take less",
                series: &[
                    (r#"stoke_keep_log_seconds_bucket{le="15"}"#, "0+8x20"),
                    (r#"stoke_keep_log_seconds_bucket{le="60"}"#, "0+9x20"),
                    (r#"stoke_keep_log_seconds_bucket{le="300"}"#, "0+10x20"),
                    (r#"stoke_keep_log_seconds_bucket{le="+Inf"}"#, "0+10x20"),
                ],
                checks: &[("10m", &[])],
            },
            Case {
                note: "of two operators one is fast and has more to do",
                series: &[
                    (r#"stoke_keep_log_seconds_bucket{instance="a",le="60"}"#, "0+100x30"),
                    (r#"stoke_keep_log_seconds_bucket{instance="a",le="300"}"#, "0+100x30"),
                    (r#"stoke_keep_log_seconds_bucket{instance="a",le="+Inf"}"#, "0+100x30"),
                    (r#"stoke_keep_log_seconds_bucket{instance="b",le="60"}"#, "0x30"),
                    (r#"stoke_keep_log_seconds_bucket{instance="b",le="300"}"#, "0+20x30"),
                    (r#"stoke_keep_log_seconds_bucket{instance="b",le="+Inf"}"#, "0+20x30"),
                ],
                checks: &[("20m", &[""])],
            },
            Case {
                note: "above a minute by little",
                series: &[
                    (r#"stoke_keep_log_seconds_bucket{le="60"}"#, "0+88x20"),
                    (r#"stoke_keep_log_seconds_bucket{le="300"}"#, "0+100x20"),
                    (r#"stoke_keep_log_seconds_bucket{le="+Inf"}"#, "0+100x20"),
                ],
                checks: &[("10m", &[""])],
            },
        ],
    },
];
