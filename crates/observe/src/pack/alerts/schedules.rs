//! What should have run.

use crate::pack::alert::{Alert, Case, Owner, Severity};

const LABELS: &str = "namespace=jobs,app=nightly,team=data";

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "StokeJobOverdue",
        severity: Severity::Page,
        owner: Owner::Job,
        expr: "time() - stoke_job_last_success_timestamp_seconds > 2 * stoke_schedule_interval_seconds + <#600>",
        hold: 0,
        summary: "{{ $labels.namespace }}/{{ $labels.app }} has not completed for two of its intervals",
        description: "What reads its output reads old data. Either its runs fail, or they run too long, or none begins.",
        runbook: "stuck-run",
        fault: Some("schedule-fails-after-success"),
        cases: &[
            Case {
                note: "every hour, last completed at the beginning",
                series: &[
                    (
                        r#"stoke_job_last_success_timestamp_seconds{namespace="jobs",app="nightly",team="data"}"#,
                        "0x140",
                    ),
                    (
                        r#"stoke_schedule_interval_seconds{namespace="jobs",app="nightly",team="data"}"#,
                        "3600x140",
                    ),
                ],
                checks: &[("70m", &[]), ("126m", &[]), ("130m", &[]), ("131m", &[LABELS])],
            },
            Case {
                note: "completes every hour",
                series: &[
                    (
                        r#"stoke_job_last_success_timestamp_seconds{namespace="jobs",app="nightly",team="data"}"#,
                        "0x60 3600x60 7200x20",
                    ),
                    (
                        r#"stoke_schedule_interval_seconds{namespace="jobs",app="nightly",team="data"}"#,
                        "3600x140",
                    ),
                ],
                checks: &[("60m", &[]), ("140m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeScheduleMissed",
        severity: Severity::Ticket,
        owner: Owner::Platform,
        expr: "sum by (namespace, app) (stoke_schedule_missed_runs_total - (stoke_schedule_missed_runs_total offset <1h> or stoke_schedule_missed_runs_total * 0)) > 0",
        hold: 0,
        summary: "Runs of the schedule {{ $labels.namespace }}/{{ $labels.app }} were missed",
        description: "Their time went by and they did not begin: the operator was down or behind, or `stoke.dev/starting-deadline` is short. What was missed is not made up for.",
        runbook: "schedule-missed",
        fault: Some("operator-paused-over-due-time"),
        cases: &[
            Case {
                note: "missed once, an hour is told",
                series: &[(
                    r#"stoke_schedule_missed_runs_total{namespace="jobs",app="nightly",team="data"}"#,
                    "2x9 3x90",
                )],
                checks: &[
                    ("9m", &["namespace=jobs,app=nightly"]),
                    ("62m", &["namespace=jobs,app=nightly"]),
                    ("68m", &["namespace=jobs,app=nightly"]),
                    ("72m", &[]),
                    ("95m", &[]),
                ],
            },
            Case {
                note: "missed since before anyone looked, and then once more",
                series: &[
                    (
                        r#"stoke_schedule_missed_runs_total{namespace="jobs",app="nightly",team="data"}"#,
                        "_x4 2x60 2x30 3x40",
                    ),
                    (
                        r#"stoke_schedule_missed_runs_total{namespace="jobs",app="well",team="data"}"#,
                        "0x140",
                    ),
                ],
                checks: &[
                    ("5m", &["namespace=jobs,app=nightly"]),
                    ("70m", &[]),
                    ("95m", &[]),
                    ("96m", &["namespace=jobs,app=nightly"]),
                ],
            },
            Case {
                note: "nothing missed for long",
                series: &[(
                    r#"stoke_schedule_missed_runs_total{namespace="jobs",app="nightly",team="data"}"#,
                    "7x120",
                )],
                checks: &[("61m", &[]), ("120m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeScheduleSkips",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: "sum by (namespace, app, team) (stoke_schedule_skipped_runs_total - (stoke_schedule_skipped_runs_total offset <1h> or stoke_schedule_skipped_runs_total * 0)) > 1",
        hold: 0,
        summary: "Runs of {{ $labels.namespace }}/{{ $labels.app }} are left out because the one before still runs",
        description: "With concurrencyPolicy Forbid a run is skipped while another has not ended: the job takes longer than its interval, or hangs.",
        runbook: "schedule-missed",
        fault: Some("run-longer-than-interval"),
        cases: &[
            Case {
                note: "two within the hour",
                series: &[(
                    r#"stoke_schedule_skipped_runs_total{namespace="jobs",app="nightly",team="data"}"#,
                    "0x9 1x49 2x90",
                )],
                checks: &[("55m", &[]), ("60m", &[LABELS]), ("69m", &[LABELS]), ("72m", &[])],
            },
            Case {
                note: "told by two operators, from the start",
                series: &[
                    (
                        r#"stoke_schedule_skipped_runs_total{namespace="jobs",app="nightly",team="data",instance="a"}"#,
                        "_x2 1x20",
                    ),
                    (
                        r#"stoke_schedule_skipped_runs_total{namespace="jobs",app="nightly",team="data",instance="b"}"#,
                        "_x2 1x20",
                    ),
                ],
                checks: &[("3m", &[LABELS])],
            },
            Case {
                note: "one each hour",
                series: &[(
                    r#"stoke_schedule_skipped_runs_total{namespace="jobs",app="nightly",team="data"}"#,
                    "0x9 1x64 2x64 3x30",
                )],
                checks: &[("60m", &[]), ("80m", &[]), ("145m", &[])],
            },
        ],
    },
    Alert {
        name: "StokeScheduleInvalid",
        severity: Severity::Ticket,
        owner: Owner::Job,
        expr: "stoke_schedule_invalid == 1",
        hold: 0,
        summary: "The schedule {{ $labels.namespace }}/{{ $labels.app }} cannot be read and begins nothing",
        description: "Its status says why (`kubectl describe`): a cron expression, a time zone or an annotation is wrong.",
        runbook: "schedule-missed",
        fault: Some("schedule-with-wrong-cron"),
        cases: &[
            Case {
                note: "wrong, then right",
                series: &[(
                    r#"stoke_schedule_invalid{namespace="jobs",app="nightly",team="data"}"#,
                    "0 1 1 0",
                )],
                checks: &[("0m", &[]), ("2m", &[LABELS]), ("3m", &[])],
            },
            Case {
                note: "right",
                series: &[(
                    r#"stoke_schedule_invalid{namespace="jobs",app="nightly",team="data"}"#,
                    "0x5",
                )],
                checks: &[("5m", &[])],
            },
        ],
    },
];
