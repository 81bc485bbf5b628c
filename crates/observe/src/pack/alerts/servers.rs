//! History Server, Connect servers, and monitoring itself.

use crate::pack::alert::{Alert, Case, Owner, Severity};

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "StokeHistoryDown",
        severity: Severity::Ticket,
        owner: Owner::Platform,
        expr: r#"absent(up{job="stoke-history"} == 1)"#,
        hold: 300,
        summary: "The History Server does not answer",
        description: "Runs are not affected; who wants to know what a run did, cannot.",
        runbook: "history-server",
        fault: Some("history-server-killed"),
        cases: &[
            Case {
                note: "five minutes",
                series: &[(r#"up{job="stoke-history",instance="a"}"#, "1x9 0x20")],
                checks: &[("9m", &[]), ("12m", &[]), ("14m", &[]), ("15m", &[""])],
            },
            Case {
                note: "a restart",
                series: &[(r#"up{job="stoke-history",instance="a"}"#, "1x5 0x3 1x10")],
                checks: &[("8m", &[]), ("15m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeHistoryBehind",
        severity: Severity::Ticket,
        owner: Owner::Platform,
        expr: "time() - stoke_history_scan_timestamp_seconds > <#600>",
        hold: 0,
        summary: "The History Server has not seen its event logs for ten minutes",
        description: "It answers, but cannot list the place with the event logs: new runs do not appear.",
        runbook: "history-server",
        fault: Some("event-log-directory-unreadable"),
        cases: &[
            Case {
                note: "the last look was at the beginning",
                series: &[(
                    r#"stoke_history_scan_timestamp_seconds{job="stoke-history",instance="a"}"#,
                    "0x20",
                )],
                checks: &[("6m", &[]), ("10m", &[]), ("11m", &["job=stoke-history,instance=a"])],
            },
            Case {
                note: "it looks",
                series: &[(
                    r#"stoke_history_scan_timestamp_seconds{job="stoke-history",instance="a"}"#,
                    "0+60x20",
                )],
                checks: &[("20m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeConnectDown",
        severity: Severity::Page,
        owner: Owner::Platform,
        expr: "stoke_connect_server_ready == 0",
        hold: 300,
        summary: "The Connect server {{ $labels.namespace }}/{{ $labels.name }} does not answer",
        description: "Notebooks and services that use it stand still. A server that was stopped for lack of use is not meant: it starts by itself.",
        runbook: "connect-trouble",
        fault: Some("connect-server-cannot-start"),
        cases: &[
            Case {
                note: "five minutes",
                series: &[(
                    r#"stoke_connect_server_ready{namespace="lab",name="shared"}"#,
                    "1x5 0x20",
                )],
                checks: &[
                    ("5m", &[]),
                    ("9m", &[]),
                    ("10m", &[]),
                    ("11m", &["namespace=lab,name=shared"]),
                ],
            },
            Case {
                note: "it starts",
                series: &[(
                    r#"stoke_connect_server_ready{namespace="lab",name="shared"}"#,
                    "0x3 1x20",
                )],
                checks: &[("3m", &[]), ("10m", &[])],
            },
        ],
    },
    Alert {
        name: "StokePageUnanswered",
        severity: Severity::Escalation,
        owner: Owner::Platform,
        expr: r#"label_replace(ALERTS{severity="page",alertstate="firing"}, "page", "$1", "alertname", "(.*)") == 1"#,
        hold: 1800,
        summary: "{{ $labels.page }} has paged for half an hour",
        description: "Whoever is on call did not end it: the next one is called.",
        runbook: "incident",
        fault: Some("connect-server-cannot-start"),
        cases: &[
            Case {
                note: "half an hour",
                series: &[
                    ("up{job=\"stoke-operator\"}", "1x60"),
                    (
                        r#"ALERTS{alertname="StokeConnectDown",alertstate="firing",severity="page",namespace="lab",name="shared"}"#,
                        "1x60",
                    ),
                    (
                        r#"ALERTS{alertname="StokeJobFailed",alertstate="firing",severity="ticket",app="etl"}"#,
                        "1x60",
                    ),
                    (
                        r#"ALERTS{alertname="StokeOperatorDown",alertstate="pending",severity="page"}"#,
                        "1x60",
                    ),
                ],
                checks: &[
                    ("16m", &[]),
                    ("29m", &[]),
                    (
                        "30m",
                        &["alertstate=firing,namespace=lab,name=shared,page=StokeConnectDown"],
                    ),
                ],
            },
            Case {
                note: "it was ended",
                series: &[
                    ("up{job=\"stoke-operator\"}", "1x60"),
                    (
                        r#"ALERTS{alertname="StokeConnectDown",alertstate="firing",severity="page",namespace="lab",name="shared"}"#,
                        "1x25 stale",
                    ),
                ],
                checks: &[("20m", &[]), ("40m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeWatchdog",
        severity: Severity::Heartbeat,
        owner: Owner::Platform,
        expr: "vector(1) == 1",
        hold: 0,
        summary: "Monitoring works",
        description: "Fires always. Send it to something that alarms when it stops: then Prometheus, Alertmanager or the way between them is broken.",
        runbook: "incident",
        fault: Some("prometheus-paused"),
        cases: &[Case {
            note: "always",
            series: &[],
            checks: &[("1m", &[""]), ("5m", &[""])],
        }],
    },
];
