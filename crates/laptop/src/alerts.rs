//! Alerts of a time, asked from a running Alertmanager and a running Prometheus.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use stoke_observe::incident::alerts::{Alert, FIRING, of_alertmanager, of_prometheus, together};

use crate::error::{LaptopError, Outcome};

/// The largest answer that is read.
const MOST_BYTES: usize = 64 << 20;
/// The most values of one series that Prometheus gives are 11,000.
const MOST_STEPS: i64 = 10_000;

/// Who is asked: their addresses, such as `http://localhost:9093`, with the path they are served under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Monitors {
    /// Has what fires, with its words.
    pub alertmanager: Option<String>,
    /// Knows when alerts began and ended, also those that are over.
    pub prometheus: Option<String>,
}

impl Monitors {
    /// Alerts that fired between two times.
    ///
    /// # Errors
    /// One of them does not answer, or with something else than alerts.
    pub async fn alerts(&self, from: Timestamp, until: Timestamp) -> Outcome<Vec<Alert>> {
        let mut alerts = Vec::new();
        if let Some(base) = &self.alertmanager {
            let url = format!("{}/api/v2/alerts", base.trim_end_matches('/'));
            let answer = json(&url).await?;
            let list = answer.as_array().map(Vec::as_slice);
            let read = list.ok_or(0).and_then(of_alertmanager);
            alerts = read.map_err(|_| failed(&url, "the answer is not a list of alerts"))?;
        }
        if let Some(base) = &self.prometheus {
            let step = step(from, until);
            let url = format!(
                "{}/api/v1/query_range?query={}&start={}&end={}&step={}",
                base.trim_end_matches('/'),
                encoded(FIRING),
                from.as_second(),
                until.as_second(),
                step.as_secs()
            );
            let answer = json(&url).await?;
            let series = answer["data"]["result"].as_array().map(Vec::as_slice);
            let series = series.ok_or_else(|| failed(&url, "the answer is not Prometheus'"))?;
            alerts = together(alerts, of_prometheus(series, step, until));
        }
        Ok(alerts)
    }
}

/// The time between two values: a second, or more where the time is long.
fn step(from: Timestamp, until: Timestamp) -> SignedDuration {
    let seconds = until.duration_since(from).as_secs().max(0);
    SignedDuration::from_secs((seconds / MOST_STEPS + 1).max(1))
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    })
}

fn failed(url: &str, cause: &str) -> LaptopError {
    LaptopError::environment("stoke::incident::monitor", format!("{url}: {cause}"))
        .fix("name the address of an Alertmanager or a Prometheus that runs, such as http://localhost:9093")
}

async fn json(url: &str) -> Outcome<Value> {
    let bytes = stoke_storage::fetch(url, MOST_BYTES).await;
    let bytes = bytes.map_err(|cause| failed(url, &cause))?;
    serde_json::from_slice(&bytes).map_err(|error| failed(url, &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_time_has_steps_that_prometheus_takes() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (seconds, expected) in [(0, 1), (7200, 1), (86_400, 9), (30 * 86_400, 260)] {
            let step = step(at(0), at(seconds));
            assert_eq!(step.as_secs(), expected, "{seconds}");
            assert!(seconds / step.as_secs() <= 11_000);
        }
        assert_eq!(step(at(10), at(0)).as_secs(), 1);
    }

    #[tokio::test]
    async fn who_does_not_answer_is_named() {
        let monitors = Monitors {
            alertmanager: Some("http://127.0.0.1:9/under/".to_owned()),
            prometheus: None,
        };
        let error = monitors
            .alerts(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH)
            .await
            .unwrap_err();
        assert_eq!(error.diagnostic.code, "stoke::incident::monitor");
        assert!(
            error
                .diagnostic
                .message
                .contains("http://127.0.0.1:9/under/api/v2/alerts: "),
            "{error:?}"
        );
    }
}
