//! What Prometheus and Alertmanager answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::up::Up;

/// Both servers of a cluster.
pub struct Servers {
    prometheus: String,
    alertmanager: String,
}

impl Servers {
    /// Where those of this cluster answer.
    pub fn of(up: &Up) -> Result<Self, Failed> {
        let told = std::fs::read_to_string(up.home().join("clusters/default/monitoring-addresses"))?;
        let (prometheus, alertmanager) = told.split_once('\n').ok_or("two addresses")?;
        Ok(Self {
            prometheus: prometheus.to_owned(),
            alertmanager: alertmanager.to_owned(),
        })
    }

    /// The series an expression gives now.
    pub fn query(&self, expression: &str) -> Vec<Value> {
        let answer = get(
            &self.prometheus,
            &format!("/api/v1/query?query={}", encoded(expression)),
        )
        .unwrap_or_default();
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// How many series an expression gives now.
    pub fn count(&self, expression: &str) -> usize {
        self.query(expression).len()
    }

    /// The number an expression gives now, where it gives one series.
    pub fn number(&self, expression: &str) -> Option<f64> {
        self.query(expression).first()?["value"][1].as_str()?.parse().ok()
    }

    /// Alerts that Alertmanager knows and that are not over; none when it does not answer.
    pub fn alerts(&self) -> Option<Vec<Value>> {
        serde_json::from_str(&get(&self.alertmanager, "/api/v2/alerts")?).ok()
    }
}

pub fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The body of what answers there.
pub fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}
