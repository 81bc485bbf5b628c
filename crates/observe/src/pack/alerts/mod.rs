//! The alerts: symptoms that people feel, each with its tests.
//!
//! - `jobs`: what a team's runs do
//! - `executors`: what a run's executors do
//! - `schedules`: what should have run
//! - `stores`: object store, metastore, quota
//! - `operator`, `servers`: the platform itself

mod executors;
mod jobs;
mod operator;
mod schedules;
mod servers;
mod stores;

use super::alert::{Alert, Recording};

/// All alerts, by group.
pub const GROUPS: &[(&str, &[Alert])] = &[
    ("stoke-jobs", jobs::ALERTS),
    ("stoke-executors", executors::ALERTS),
    ("stoke-schedules", schedules::ALERTS),
    ("stoke-stores", stores::ALERTS),
    ("stoke-operator", operator::ALERTS),
    ("stoke-servers", servers::ALERTS),
];

/// All recording rules.
pub const RECORDINGS: &[Recording] = &[
    Recording {
        name: "stoke:executors_lost:last30m",
        expr: "sum by (namespace, app, team, reason) (stoke_executors_lost_total - (stoke_executors_lost_total offset <30m> or stoke_executors_lost_total * 0))",
        help: "Executors lost in the last half hour, by reason. The first loss counts, which `increase` would not see.",
    },
    Recording {
        name: "stoke:gc_share:rate10m",
        expr: "sum by (namespace, app, team) (rate(metrics_executor_totalGCTime_seconds_total{executor_id!=\"driver\"}[<10m>])) / sum by (namespace, app, team) (rate(metrics_executor_totalDuration_seconds_total{executor_id!=\"driver\"}[<10m>]))",
        help: "Share of the time of tasks that executors spend collecting garbage.",
    },
    Recording {
        name: "stoke:task_failure_share:rate10m",
        expr: "sum by (namespace, app, team) (rate(metrics_executor_failedTasks_total[<10m>])) / sum by (namespace, app, team) (rate(metrics_executor_totalTasks_total[<10m>]))",
        help: "Share of tasks that fail.",
    },
];

/// All alerts.
pub fn all() -> impl Iterator<Item = &'static Alert> {
    GROUPS.iter().flat_map(|(_, alerts)| alerts.iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Tempo;
    use crate::pack::alert::Owner;

    #[test]
    fn the_generated_page_lists_every_alert() {
        let mut page = String::from(
            "# Alerts\n\nWhat `stoke observe manifests` installs ([how](../how-to/monitoring.md)). Made by `scripts/generate`.\n\nEach alert has unit tests for promtool, in which it fires and in which it does not; 19 of 20 changes of a rule (a name, label, threshold, window, operator) make one of them fail.\n",
        );
        for (group, alerts) in GROUPS {
            page += &format!("\n## {group}\n");
            for alert in *alerts {
                let owner = match alert.owner {
                    Owner::Job => "the job's team",
                    Owner::Platform => "platform",
                };
                let hold = match alert.hold {
                    0 => "at once".to_owned(),
                    hold => format!("after {}", Tempo::default().duration(hold)),
                };
                page += &format!(
                    "\n### {}\n\n{}.\n\n{}\n\n| severity | owner | fires | runbook |\n|---|---|---|---|\n| {} | {owner} | {hold} | `{}` |\n\n```text\n{}\n```\n",
                    alert.name,
                    alert.summary.replace("{{ $labels.", "<").replace(" }}", ">"),
                    alert.description,
                    alert.severity.label(),
                    alert.runbook,
                    Tempo::default().text(alert.expr),
                );
            }
        }
        page += "\n## Recorded\n\n| series | what it is | expression |\n|---|---|---|\n";
        for one in RECORDINGS {
            let expr = Tempo::default().text(one.expr).replace('|', "\\|");
            page += &format!("| `{}` | {} | `{expr}` |\n", one.name, one.help);
        }
        assert_eq!(
            stoke_testkit::generated::file("docs/reference/alerts.md", &page),
            Ok(())
        );
    }
}
