//! Alerts of an incident's time: as Alertmanager has them, and when they began and ended as Prometheus saw it.
//!
//! Alertmanager forgets an alert once it is over; Prometheus keeps, as the series `ALERTS`, every evaluation in which one fired.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use stoke_model::units::people;

use super::timeline::{Item, Source};

/// What the labels of an alert are.
type Labels = BTreeMap<String, String>;

/// An alert that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub labels: Labels,
    /// What it says of itself; empty where only Prometheus knows of it.
    pub summary: String,
    pub began: Timestamp,
    /// None while it fires.
    pub ended: Option<Timestamp>,
}

/// The expression whose series over time are [`of_prometheus`]'s.
pub const FIRING: &str = r#"ALERTS{alertstate="firing"}"#;

/// Labels that Prometheus adds to `ALERTS`, and not to what it sends.
const STATE: &str = "alertstate";
const NAME: &str = "__name__";

/// States of an alert that fires: silenced and inhibited ones do.
const FIRES: [&str; 3] = ["active", "suppressed", "unprocessed"];

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn labels(value: &Value) -> Labels {
    let pairs = value.as_object().into_iter().flatten();
    pairs
        .filter(|(name, _)| *name != STATE && *name != NAME)
        .map(|(name, value)| (name.clone(), text(value).to_owned()))
        .collect()
}

/// Alerts as Alertmanager's `/api/v2/alerts` gives them, or as it sends them to a webhook.
///
/// # Errors
/// The number of one that is not an alert, counted from 1.
pub fn of_alertmanager(alerts: &[Value]) -> Result<Vec<Alert>, usize> {
    let read = |alert: &Value| {
        let time = |field: &str| text(&alert[field]).parse::<Timestamp>().ok();
        let summary = [&alert["annotations"]["summary"], &alert["annotations"]["description"]];
        let state = match &alert["status"] {
            Value::String(state) => state.as_str(),
            status => text(&status["state"]),
        };
        // `firing` and `resolved` are a webhook's.
        let fires = FIRES.contains(&state) || state == "firing";
        Some(Alert {
            labels: Some(labels(&alert["labels"])).filter(|labels| labels.contains_key("alertname"))?,
            summary: summary
                .into_iter()
                .map(text)
                .find(|text| !text.is_empty())
                .unwrap_or_default()
                .to_owned(),
            began: time("startsAt")?,
            ended: time("endsAt").filter(|_| !fires),
        })
    };
    let all = alerts.iter().enumerate();
    all.map(|(at, alert)| read(alert).ok_or(at + 1)).collect()
}

/// When alerts fired: a range of [`FIRING`] as `/api/v1/query_range` gives it (`data.result`), with a value each `step`.
///
/// What fires at `until` fires on. A pause of more than a step is an end; times are right to a step.
#[must_use]
pub fn of_prometheus(series: &[Value], step: SignedDuration, until: Timestamp) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let later = |time: Timestamp| time.saturating_add(step).unwrap_or(time);
    for one in series {
        let mut open: Option<(Timestamp, Timestamp)> = None;
        let mut push = |began: Timestamp, last: Timestamp| {
            let ended = later(last);
            alerts.push(Alert {
                labels: labels(&one["metric"]),
                summary: String::new(),
                began,
                ended: (ended <= until).then_some(ended),
            });
        };
        for value in one["values"].as_array().into_iter().flatten() {
            let time = value[0].as_f64().map(SignedDuration::try_from_secs_f64);
            let Some(time) = time
                .and_then(Result::ok)
                .and_then(|since| Timestamp::from_duration(since).ok())
            else {
                continue;
            };
            open = match open {
                Some((began, last)) if time <= later(later(last)).saturating_sub(step / 2).unwrap_or(time) => {
                    Some((began, time))
                }
                Some((began, last)) => {
                    push(began, last);
                    Some((time, time))
                }
                None => Some((time, time)),
            };
        }
        if let Some((began, last)) = open {
            push(began, last);
        }
    }
    alerts
}

/// Both together: what fires is Alertmanager's to say, with its words; what it forgot is Prometheus'. Where both have one it began when the first of them saw it:
/// Prometheus writes `ALERTS` some evaluations late after a start, Alertmanager may have been started later.
///
/// Alertmanager may have labels that Prometheus adds on the way (`external_labels`): one is the same alert when all labels of `ALERTS` are its own.
#[must_use]
pub fn together(alertmanager: Vec<Alert>, prometheus: Vec<Alert>) -> Vec<Alert> {
    let is_same = |known: &Alert, seen: &Alert| {
        let is_of_its_time = seen.ended.is_none_or(|ended| known.began <= ended);
        is_of_its_time
            && seen
                .labels
                .iter()
                .all(|(name, value)| known.labels.get(name) == Some(value))
    };
    let mut all = alertmanager;
    for seen in prometheus {
        match all.iter_mut().find(|known| is_same(known, &seen)) {
            Some(known) => known.began = known.began.min(seen.began),
            None => all.push(seen),
        }
    }
    all
}

/// What happened by them.
pub(super) fn items(alerts: &[Alert], items: &mut Vec<Item>) {
    for alert in alerts {
        let label = |name: &str| alert.labels.get(name).map(String::as_str).unwrap_or_default();
        let what = match alert.summary.as_str() {
            "" => {
                let rest = alert
                    .labels
                    .iter()
                    .filter(|(name, _)| *name != "alertname" && *name != "severity");
                rest.map(|(name, value)| format!("{name} {value}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            }
            summary => summary.to_owned(),
        };
        let item = |time, text, is_bad| Item {
            time,
            source: Source::Alert,
            about: label("alertname").to_owned(),
            text,
            is_bad,
        };
        // What fires as long as all is well is no symptom.
        if label("severity") == "heartbeat" {
            continue;
        }
        items.push(item(
            alert.began,
            format!("fires ({}): {what}", label("severity")),
            true,
        ));
        if let Some(ended) = alert.ended {
            let after = people::elapsed(ended.duration_since(alert.began).unsigned_abs());
            items.push(item(ended, format!("is over after {after}"), false));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn alert(labels: &[(&str, &str)], summary: &str, began: i64, ended: Option<i64>) -> Alert {
        Alert {
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            summary: summary.to_owned(),
            began: at(began),
            ended: ended.map(at),
        }
    }

    const FAILED: &[(&str, &str)] = &[("alertname", "Failed"), ("app", "etl")];
    const STEP: SignedDuration = SignedDuration::from_secs(10);

    #[test]
    fn an_alert_ends_when_it_is_resolved_and_not_when_it_is_silent() {
        let given = |state: serde_json::Value| {
            json!([{"labels": {"alertname": "Failed", "app": "etl"}, "annotations": {"description": "etl failed"},
                "startsAt": "2026-01-01T00:00:05Z", "endsAt": "2026-01-01T00:04:00Z", "status": state}])
        };
        let read = |state| of_alertmanager(given(state).as_array().unwrap()).unwrap();
        let on = vec![alert(FAILED, "etl failed", 5, None)];
        for state in [
            json!({"state": "active"}),
            json!({"state": "suppressed"}),
            json!({"state": "unprocessed"}),
            json!("firing"),
        ] {
            assert_eq!(read(state), on);
        }
        assert_eq!(read(json!("resolved")), [alert(FAILED, "etl failed", 5, Some(240))]);
        assert_eq!(of_alertmanager(&[json!({"labels": {"alertname": "A"}})]), Err(1));
        assert_eq!(of_alertmanager(&[json!("up"), json!(3)]), Err(1));
    }

    #[test]
    fn what_prometheus_saw_is_told_from_pause_to_pause() {
        let second = |second: i64| at(second).as_second();
        let values = |seconds: &[i64]| json!(seconds.iter().map(|at| json!([second(*at), "1"])).collect::<Vec<_>>());
        let series = |seconds: &[i64]| json!({"metric": {"__name__": "ALERTS", "alertstate": "firing", "alertname": "Failed", "app": "etl"}, "values": values(seconds)});
        let seen = |seconds: &[i64]| of_prometheus(&[series(seconds)], STEP, at(100));
        assert_eq!(seen(&[]), []);
        assert_eq!(seen(&[10]), [alert(FAILED, "", 10, Some(20))]);
        assert_eq!(seen(&[10, 20, 30]), [alert(FAILED, "", 10, Some(40))]);
        assert_eq!(
            seen(&[10, 20, 50, 60]),
            [alert(FAILED, "", 10, Some(30)), alert(FAILED, "", 50, Some(70))]
        );
        assert_eq!(seen(&[80, 90, 100]), [alert(FAILED, "", 80, None)], "it fires on");
    }

    #[test]
    fn the_same_alert_of_both_is_one_and_what_is_over_is_another() {
        let external = &[("alertname", "Failed"), ("app", "etl"), ("cluster", "one")];
        let known = vec![alert(external, "etl failed", 12, None)];
        let seen = vec![
            alert(FAILED, "", -300, Some(-200)),
            alert(FAILED, "", 10, Some(60)),
            alert(&[("alertname", "Failed"), ("app", "other")], "", 10, None),
        ];
        assert_eq!(
            together(known, seen),
            [
                alert(external, "etl failed", 10, None),
                alert(FAILED, "", -300, Some(-200)),
                alert(&[("alertname", "Failed"), ("app", "other")], "", 10, None),
            ]
        );
    }

    #[test]
    fn an_end_says_after_how_long_and_the_heartbeat_is_left_out() {
        let mut listed = Vec::new();
        let heartbeat = alert(
            &[("alertname", "StokeWatchdog"), ("severity", "heartbeat")],
            "",
            0,
            None,
        );
        items(&[alert(FAILED, "", 10, Some(100)), heartbeat], &mut listed);
        let listed: Vec<&str> = listed.iter().map(|item| item.text.as_str()).collect();
        assert_eq!(listed, ["fires (): app etl", "is over after 1 min 30 s"]);
    }
}
