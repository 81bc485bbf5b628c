//! Who gets which alerts, when; and that one cause gives one of them.

use serde_json::{Value, json};

use super::alert::Severity;
use super::{Settings, alerts};

/// A cause that explains other alerts: while it fires, those are silent.
#[derive(Clone, Copy, Debug)]
pub struct Explains {
    /// Alerts that are the cause.
    pub causes: &'static [&'static str],
    /// Matchers of what it explains.
    pub explained: &'static [&'static str],
    /// Labels that both must have the same.
    pub equal: &'static [&'static str],
}

/// All of them.
pub const EXPLAINS: &[Explains] = &[
    // A job's own: what says more comes first.
    Explains {
        causes: &[
            "StokeJobFailingAgainAndAgain",
            "StokeJobOutOfMemory",
            "StokeContractBroken",
        ],
        explained: &["alertname=\"StokeJobFailed\""],
        equal: &["namespace", "app"],
    },
    Explains {
        causes: &["StokeJobFailingAgainAndAgain"],
        explained: &["alertname=~\"StokeJobOutOfMemory|StokeJobOverdue\""],
        equal: &["namespace", "app"],
    },
    Explains {
        causes: &["StokeExecutorsOutOfMemory", "StokeExecutorsDisrupted"],
        explained: &["alertname=\"StokeExecutorsChurning\""],
        equal: &["namespace", "app"],
    },
    Explains {
        causes: &["StokeExecutorsWaiting"],
        explained: &["alertname=~\"StokeJobLate|StokeJobStuck\""],
        equal: &["namespace", "app"],
    },
    Explains {
        causes: &["StokeScheduleInvalid", "StokeJobLate", "StokeJobWaiting"],
        explained: &["alertname=~\"StokeJobOverdue|StokeScheduleSkips\""],
        equal: &["namespace", "app"],
    },
    // Of the platform: one cause, many jobs.
    Explains {
        causes: &["StokeObjectStoreRefuses"],
        explained: &["alertname=\"StokeJobFailed\"", "class=~\"s3-.*|service-unreachable\""],
        equal: &["class"],
    },
    Explains {
        causes: &["StokeMetastoreUnreachable"],
        explained: &["alertname=\"StokeJobFailed\"", "class=\"metastore-unreachable\""],
        equal: &[],
    },
    Explains {
        causes: &["StokeQuotaFull"],
        explained: &["alertname=\"StokeJobFailed\"", "class=\"quota-exceeded\""],
        equal: &["namespace"],
    },
    Explains {
        causes: &["StokeOperatorDown", "StokeOperatorWithoutLease"],
        explained: &[
            "alertname=~\"StokeOperatorBehind|StokeApiServerErrors|StokeScheduleMissed|StokeJobOverdue|StokeWebhookSlow\"",
        ],
        equal: &[],
    },
    Explains {
        causes: &["StokeHistoryDown", "StokeHistoryBehind"],
        explained: &["alertname=~\"StokeEventLogMissing\""],
        equal: &[],
    },
    Explains {
        causes: &["StokeHistoryDown"],
        explained: &["alertname=~\"StokeHistoryBehind\""],
        equal: &[],
    },
    Explains {
        causes: &["StokeApiServerErrors"],
        explained: &["alertname=\"StokeOperatorBehind\""],
        equal: &[],
    },
];

/// Names of the receivers.
pub const ON_CALL: &str = "on-call";
/// See [`ON_CALL`].
pub const ESCALATION: &str = "escalation";
/// See [`ON_CALL`].
pub const TICKETS: &str = "tickets";
/// See [`ON_CALL`].
pub const HEARTBEAT: &str = "heartbeat";
/// Name of the time in which tickets wait.
const QUIET: &str = "quiet-hours";

/// The receiver of a team.
#[must_use]
pub fn receiver_of(team: &str, severity: Severity) -> String {
    format!("team-{team}-{}", severity.label())
}

/// One without an address shows its alerts in Alertmanager alone.
fn receiver(name: &str, url: &str) -> Value {
    if url.is_empty() {
        return json!({ "name": name });
    }
    json!({"name": name, "webhook_configs": [{"url": url, "send_resolved": true}]})
}

/// Receivers of an alert with this severity and team, in order.
#[must_use]
pub fn receivers_of(settings: &Settings, severity: Severity, team: &str) -> Vec<String> {
    let general = match severity {
        Severity::Page => ON_CALL,
        Severity::Ticket => TICKETS,
        Severity::Escalation => ESCALATION,
        Severity::Heartbeat => return vec![HEARTBEAT.to_owned()],
    };
    let of_team = settings.receivers.teams.contains_key(team) && matches!(severity, Severity::Page | Severity::Ticket);
    match (of_team, severity) {
        // A page wakes who is on call as well; a ticket goes to who can do it.
        (true, Severity::Page) => vec![receiver_of(team, severity), general.to_owned()],
        (true, _) => vec![receiver_of(team, severity)],
        (false, _) => vec![general.to_owned()],
    }
}

/// Routes, receivers, quiet hours and inhibition for Alertmanager 0.25 and newer.
#[must_use]
pub fn configuration(settings: &Settings) -> Value {
    let matcher = |severity: Severity| format!("severity=\"{}\"", severity.label());
    let time = |seconds: u64| settings.tempo.duration(seconds);
    let mut routes = vec![
        json!({"receiver": HEARTBEAT, "matchers": [matcher(Severity::Heartbeat)], "group_wait": "0s", "group_interval": time(60), "repeat_interval": time(300)}),
        json!({"receiver": ESCALATION, "matchers": [matcher(Severity::Escalation)], "group_wait": "0s", "repeat_interval": time(3600)}),
    ];
    let mut receivers = Vec::new();
    for (team, url) in &settings.receivers.teams {
        for severity in [Severity::Page, Severity::Ticket] {
            let name = receiver_of(team, severity);
            let matchers = [matcher(severity), format!("team=\"{team}\"")];
            let mut route = json!({"receiver": name, "matchers": matchers, "continue": severity == Severity::Page});
            if severity == Severity::Ticket {
                route["mute_time_intervals"] = json!([QUIET]);
            }
            routes.push(route);
            receivers.push(receiver(&name, url));
        }
    }
    routes.extend([
        json!({"receiver": ON_CALL, "matchers": [matcher(Severity::Page)], "group_wait": time(30), "repeat_interval": time(3600)}),
        json!({"receiver": TICKETS, "matchers": [matcher(Severity::Ticket)], "mute_time_intervals": [QUIET], "repeat_interval": time(86_400)}),
    ]);
    let to = &settings.receivers;
    receivers.extend([
        receiver(ON_CALL, &to.on_call),
        receiver(ESCALATION, &to.escalation),
        receiver(TICKETS, &to.tickets),
        receiver(HEARTBEAT, &to.heartbeat),
    ]);
    let inhibit: Vec<Value> = EXPLAINS
        .iter()
        .map(|one| {
            let causes = format!("alertname=~\"{}\"", one.causes.join("|"));
            json!({"source_matchers": [causes], "target_matchers": one.explained, "equal": one.equal})
        })
        .collect();
    let quiet = &settings.quiet;
    let night = [("00:00", quiet.until.as_str()), (quiet.from.as_str(), "24:00")];
    let times: Vec<Value> = night
        .iter()
        .filter(|(from, until)| from != until)
        .map(|(from, until)| json!({"start_time": from, "end_time": until}))
        .collect();
    json!({
        "global": {"resolve_timeout": time(300)},
        "route": {
            "receiver": TICKETS,
            "group_by": ["alertname", "namespace", "app", "class", "team"],
            "group_wait": time(30), "group_interval": time(300), "repeat_interval": time(14_400),
            "routes": routes,
        },
        "inhibit_rules": inhibit,
        "receivers": receivers,
        "time_intervals": [{"name": QUIET, "time_intervals": [
            {"times": times, "location": quiet.zone},
            {"weekdays": ["saturday", "sunday"], "location": quiet.zone},
        ]}],
    })
}

/// Alerts for which no cause is named and that no other explains: each is a page or ticket of its own.
#[must_use]
pub fn unrelated() -> Vec<&'static str> {
    let named = |name: &str| {
        EXPLAINS
            .iter()
            .any(|one| one.causes.contains(&name) || one.explained.iter().any(|matcher| matcher.contains(name)))
    };
    alerts::all()
        .filter(|alert| !named(alert.name))
        .map(|alert| alert.name)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::pack::alert::Owner;

    #[test]
    fn causes_and_what_they_explain_are_alerts() {
        let names: BTreeSet<&str> = alerts::all().map(|alert| alert.name).collect();
        for one in EXPLAINS {
            for cause in one.causes {
                assert!(names.contains(cause), "{cause}");
            }
            let alertname = one
                .explained
                .iter()
                .find_map(|matcher| matcher.strip_prefix("alertname="))
                .unwrap();
            for name in alertname.trim_start_matches('~').trim_matches('"').split('|') {
                assert!(names.contains(name), "{name}");
            }
        }
    }

    #[test]
    fn what_a_cause_explains_has_the_labels_that_must_be_equal() {
        for one in EXPLAINS {
            let explained = |name: &str| {
                one.explained
                    .iter()
                    .any(|matcher| matcher.starts_with("alertname") && matcher.contains(name))
            };
            for alert in alerts::all().filter(|alert| one.causes.contains(&alert.name) || explained(alert.name)) {
                let fires = alert
                    .cases
                    .iter()
                    .flat_map(|case| case.checks)
                    .flat_map(|(_, fires)| *fires);
                for labels in fires {
                    for label in one.equal {
                        assert!(
                            labels.contains(&format!("{label}=")),
                            "{}: {label} in {labels}",
                            alert.name
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn platform_and_jobs_have_alerts() {
        let of = |owner: Owner| alerts::all().filter(move |alert| alert.owner == owner).count();
        assert!(of(Owner::Platform) > 10 && of(Owner::Job) > 10);
    }
}
