//! The operator itself.

use crate::pack::alert::{Alert, Case, Owner, Severity};

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "StokeOperatorDown",
        severity: Severity::Page,
        owner: Owner::Platform,
        expr: r#"absent(up{job="stoke-operator"} == 1)"#,
        hold: 300,
        summary: "No operator answers",
        description: "Nothing is submitted, retried or scheduled. Runs that run go on. All alerts about jobs are blind until it is back.",
        runbook: "incident",
        fault: Some("operator-killed"),
        cases: &[
            Case {
                note: "one of two is enough; none for five minutes pages",
                series: &[
                    (r#"up{job="stoke-operator",instance="a"}"#, "1x9 0x20"),
                    (r#"up{job="stoke-operator",instance="b"}"#, "0x20"),
                ],
                checks: &[("9m", &[]), ("12m", &[]), ("14m", &[]), ("15m", &[""])],
            },
            Case {
                note: "a restart",
                series: &[(r#"up{job="stoke-operator",instance="a"}"#, "1x5 0x3 1x10")],
                checks: &[("8m", &[]), ("15m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeOperatorBehind",
        severity: Severity::Ticket,
        owner: Owner::Platform,
        expr: "histogram_quantile(0.9, sum by (le, name) (rate(workqueue_queue_duration_seconds_bucket[<5m>]))) > <#10>",
        hold: 300,
        summary: "The operator is behind: {{ $labels.name }} objects wait more than ten seconds for their turn",
        description: "Submissions and ends are seen late. Too few workers, a slow API server, or requests held back by `--kube-api-qps`.",
        runbook: "capacity",
        fault: Some("api-server-slow"),
        cases: &[
            Case {
                note: "a fifth wait up to a minute",
                series: &[
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",le="10"}"#,
                        "0+8x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",le="60"}"#,
                        "0+10x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",le="+Inf"}"#,
                        "0+10x30",
                    ),
                ],
                checks: &[
                    ("3m", &[]),
                    ("5m", &[]),
                    ("6m", &["name=SparkApplication"]),
                    ("30m", &["name=SparkApplication"]),
                ],
            },
            Case {
                note: "exactly a tenth",
                series: &[
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",le="10"}"#,
                        "0+9x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",le="60"}"#,
                        "0+10x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",le="+Inf"}"#,
                        "0+10x30",
                    ),
                ],
                checks: &[("20m", &[])],
            },
            Case {
                note: "of two operators one is fast and has more to do",
                series: &[
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",instance="a",le="10"}"#,
                        "0+100x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",instance="a",le="60"}"#,
                        "0+100x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",instance="a",le="+Inf"}"#,
                        "0+100x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",instance="b",le="10"}"#,
                        "0x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",instance="b",le="60"}"#,
                        "0+20x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",instance="b",le="+Inf"}"#,
                        "0+20x30",
                    ),
                ],
                checks: &[("20m", &["name=SparkApplication"])],
            },
            Case {
                note: "above ten seconds by little",
                series: &[
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",le="10"}"#,
                        "0+88x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",le="60"}"#,
                        "0+100x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",le="+Inf"}"#,
                        "0+100x30",
                    ),
                ],
                checks: &[("20m", &["name=SparkApplication"])],
            },
            Case {
                note: "seven minutes, seen until the window is over",
                series: &[
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",le="10"}"#,
                        "0+10x9 100x7 100+10x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",le="60"}"#,
                        "0+10x9 100+10x7 170+10x30",
                    ),
                    (
                        r#"workqueue_queue_duration_seconds_bucket{name="SparkApplication",le="+Inf"}"#,
                        "0+10x9 100+10x7 170+10x30",
                    ),
                ],
                checks: &[
                    ("9m", &[]),
                    ("18m", &["name=SparkApplication"]),
                    ("20m", &["name=SparkApplication"]),
                    ("23m", &[]),
                ],
            },
        ],
    },
    Alert {
        name: "StokeOperatorWithoutLease",
        severity: Severity::Page,
        owner: Owner::Platform,
        expr: "sum(stoke_leases_held) < max(stoke_leases)",
        hold: 120,
        summary: "Operators run and some applications belong to none of them",
        description: "No operator holds a lease, so its applications are not worked on. The API server refuses the lease, or the operators may not write it.",
        runbook: "incident",
        fault: Some("lease-held-by-another"),
        cases: &[
            Case {
                note: "one of two shards",
                series: &[
                    (r#"stoke_leases{instance="a"}"#, "2x20"),
                    (r#"stoke_leases{instance="b"}"#, "2x20"),
                    (r#"stoke_leases_held{instance="a"}"#, "1x20"),
                    (r#"stoke_leases_held{instance="b"}"#, "1x5 0x20"),
                ],
                checks: &[("5m", &[]), ("7m", &[]), ("8m", &[""])],
            },
            Case {
                note: "one waits, one works; and a change of hands",
                series: &[
                    (r#"stoke_leases{instance="a"}"#, "1x20"),
                    (r#"stoke_leases{instance="b"}"#, "1x20"),
                    (r#"stoke_leases_held{instance="a"}"#, "1x5 0x14"),
                    (r#"stoke_leases_held{instance="b"}"#, "0x6 1x14"),
                ],
                checks: &[("4m", &[]), ("6m", &[]), ("12m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeApiServerErrors",
        severity: Severity::Ticket,
        owner: Owner::Platform,
        expr: r#"sum(rate(rest_client_requests_total{code=~"5..|429|<error>"}[<5m>])) / sum(rate(rest_client_requests_total[<5m>])) > 0.1"#,
        hold: 300,
        summary: "More than a tenth of the operator's requests to the API server fail",
        description: "5xx, 429 or no answer: the API server is overloaded or away. The operator tries again; what it does comes late.",
        runbook: "capacity",
        fault: Some("api-server-fails"),
        cases: &[
            Case {
                note: "each kind of error",
                series: &[
                    (r#"rest_client_requests_total{code="200",method="GET"}"#, "0+60x20"),
                    (r#"rest_client_requests_total{code="503",method="GET"}"#, "0+3x20"),
                    (r#"rest_client_requests_total{code="429",method="GET"}"#, "0+3x20"),
                    (r#"rest_client_requests_total{code="<error>",method="GET"}"#, "0+3x20"),
                ],
                checks: &[("3m", &[]), ("5m", &[]), ("6m", &[""])],
            },
            Case {
                note: "exactly a tenth, and refusals that are answers",
                series: &[
                    (r#"rest_client_requests_total{code="200",method="GET"}"#, "0+70x20"),
                    (r#"rest_client_requests_total{code="409",method="PUT"}"#, "0+20x20"),
                    (r#"rest_client_requests_total{code="500",method="GET"}"#, "0+10x20"),
                ],
                checks: &[("15m", &[])],
            },
            Case {
                note: "little is asked any more, and that fails",
                series: &[
                    (
                        r#"rest_client_requests_total{code="200",method="GET"}"#,
                        "0+600x20 12000+60x20",
                    ),
                    (r#"rest_client_requests_total{code="503",method="GET"}"#, "0x20 0+15x20"),
                ],
                checks: &[("20m", &[]), ("31m", &[""])],
            },
            Case {
                note: "seven minutes, seen until the window is over",
                series: &[
                    (r#"rest_client_requests_total{code="200",method="GET"}"#, "0+60x40"),
                    (
                        r#"rest_client_requests_total{code="503",method="GET"}"#,
                        "0x9 0+30x7 210x30",
                    ),
                ],
                checks: &[("9m", &[]), ("18m", &[""]), ("20m", &[""]), ("23m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeWebhookSlow",
        severity: Severity::Ticket,
        owner: Owner::Platform,
        expr: "histogram_quantile(0.99, sum by (le) (rate(stoke_admission_review_seconds_bucket[<10m>]))) > <#1>",
        hold: 0,
        summary: "One in a hundred reviews by the webhook takes more than a second",
        description: "Everybody who applies an application waits for it, and after its timeout nothing can be applied at all.",
        runbook: "rotate-certificates",
        fault: Some("api-server-slow"),
        cases: &[
            Case {
                note: "a fiftieth",
                series: &[
                    (r#"stoke_admission_review_seconds_bucket{le="1"}"#, "0+98x10 980x20"),
                    (r#"stoke_admission_review_seconds_bucket{le="10"}"#, "0+100x10 1000x20"),
                    (
                        r#"stoke_admission_review_seconds_bucket{le="+Inf"}"#,
                        "0+100x10 1000x20",
                    ),
                ],
                checks: &[("5m", &[""]), ("17m", &[""]), ("21m", &[])],
            },
            Case {
                note: "exactly a hundredth",
                series: &[
                    (r#"stoke_admission_review_seconds_bucket{le="0.25"}"#, "0+97x10"),
                    (r#"stoke_admission_review_seconds_bucket{le="1"}"#, "0+99x10"),
                    (r#"stoke_admission_review_seconds_bucket{le="10"}"#, "0+100x10"),
                    (r#"stoke_admission_review_seconds_bucket{le="+Inf"}"#, "0+100x10"),
                ],
                checks: &[("5m", &[])],
            },
            Case {
                note: "of two operators one is fast and has more to do",
                series: &[
                    (
                        r#"stoke_admission_review_seconds_bucket{instance="a",le="1"}"#,
                        "0+100x30",
                    ),
                    (
                        r#"stoke_admission_review_seconds_bucket{instance="a",le="10"}"#,
                        "0+100x30",
                    ),
                    (
                        r#"stoke_admission_review_seconds_bucket{instance="a",le="+Inf"}"#,
                        "0+100x30",
                    ),
                    (r#"stoke_admission_review_seconds_bucket{instance="b",le="1"}"#, "0x30"),
                    (
                        r#"stoke_admission_review_seconds_bucket{instance="b",le="10"}"#,
                        "0+20x30",
                    ),
                    (
                        r#"stoke_admission_review_seconds_bucket{instance="b",le="+Inf"}"#,
                        "0+20x30",
                    ),
                ],
                checks: &[("20m", &[""])],
            },
            Case {
                note: "by little",
                series: &[
                    (r#"stoke_admission_review_seconds_bucket{le="1"}"#, "0+989x10"),
                    (r#"stoke_admission_review_seconds_bucket{le="10"}"#, "0+1000x10"),
                    (r#"stoke_admission_review_seconds_bucket{le="+Inf"}"#, "0+1000x10"),
                ],
                checks: &[("5m", &[""])],
            },
        ],
    },
    Alert {
        name: "StokeCertificateEnds",
        severity: Severity::Ticket,
        owner: Owner::Platform,
        expr: "stoke_webhook_certificate_end_timestamp_seconds - time() < <#604800>",
        hold: 0,
        summary: "The webhook's certificate ends within a week",
        description: "It should have been renewed long ago. When it has ended, the API server refuses every application.",
        runbook: "rotate-certificates",
        fault: Some("certificate-of-an-hour"),
        cases: &[
            Case {
                note: "seven days and ten minutes at the beginning",
                series: &[(
                    r#"stoke_webhook_certificate_end_timestamp_seconds{instance="a"}"#,
                    "605400x20",
                )],
                checks: &[("5m", &[]), ("10m", &[]), ("11m", &["instance=a"])],
            },
            Case {
                note: "a month",
                series: &[(
                    r#"stoke_webhook_certificate_end_timestamp_seconds{instance="a"}"#,
                    "2592000x20",
                )],
                checks: &[("20m", &[])],
            },
        ],
    },
    Alert {
        name: "StokePoliciesBroken",
        severity: Severity::Page,
        owner: Owner::Platform,
        expr: "max(stoke_policy_broken) == 1",
        hold: 0,
        summary: "The newest policies cannot be used",
        description: "Older ones are in force, or nothing is admitted. The operator's log and the Event on the ConfigMap name the rule and the line.",
        runbook: "incident",
        fault: Some("policy-that-does-not-parse"),
        cases: &[
            Case {
                note: "one operator says so",
                series: &[
                    (r#"stoke_policy_broken{instance="a"}"#, "0 1 1 0"),
                    (r#"stoke_policy_broken{instance="b"}"#, "0x5"),
                ],
                checks: &[("0m", &[]), ("2m", &[""]), ("3m", &[])],
            },
            Case {
                note: "both operators say so",
                series: &[
                    (r#"stoke_policy_broken{instance="a"}"#, "1x5"),
                    (r#"stoke_policy_broken{instance="b"}"#, "1x5"),
                ],
                checks: &[("2m", &[""])],
            },
            Case {
                note: "in force",
                series: &[(r#"stoke_policy_broken{instance="a"}"#, "0x5")],
                checks: &[("5m", &[])],
            },
        ],
    },
];
