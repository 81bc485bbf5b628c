//! A running operator, an API server in memory, and a node that only reports phases.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde_json::{Value, json};
use stoke_operator::connect::{Counts, Outcome, Place, Usage, Visitor, Visits};
use stoke_operator::{Clock, Operator, OperatorConfig};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::api::FakeApi;
use super::planner::TwoObjects;

/// Connect servers that answer and that no one uses.
struct Unused;

impl Visitor for Unused {
    fn greet<'a>(&'a self, _: &'a Client, _: &'a Place) -> BoxFuture<'a, Outcome> {
        let says = "Spark 4.1.4 answers".to_owned();
        Box::pin(async { Outcome::Answered { says } })
    }

    fn count<'a>(&'a self, _: &'a Client, _: &'a Place) -> BoxFuture<'a, Usage> {
        Box::pin(async { Usage::Known(Counts::default()) })
    }
}

pub struct Running {
    task: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

/// A clock that goes with tokio's, so that a paused one skips what no one works in. Every life begins at half past a minute.
pub fn clock() -> Clock {
    let begun = tokio::time::Instant::now();
    Clock::new(move || {
        let passed = SignedDuration::try_from(begun.elapsed()).unwrap();
        Timestamp::from_second(1_767_225_630).unwrap() + passed
    })
}

impl Running {
    pub fn start(api: &FakeApi) -> Self {
        Self::start_at(api, Clock::default())
    }

    pub fn start_at(api: &FakeApi, clock: Clock) -> Self {
        let (stop, stopped) = watch::channel(false);
        let config = OperatorConfig {
            clock,
            visits: Visits::new(Unused),
            ..OperatorConfig::default()
        };
        let operator = Operator::with_planner(api.client(), config, Arc::new(TwoObjects));
        Self {
            task: tokio::spawn(operator.run(stopped)),
            _stop: stop,
        }
    }

    /// Ends the operator at whatever it is doing.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub fn application(spec: Value) -> Value {
    json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
        "metadata": {"name": "pi", "generation": 1},
        "spec": spec,
    })
}

/// Waits until `holds`, looking whenever something changes.
pub async fn until(api: &FakeApi, what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        loop {
            let changed = api.changed.notified();
            if holds() {
                return;
            }
            let _ = tokio::time::timeout(Duration::from_millis(20), changed).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(120), waiting).await.is_err() {
        panic!(
            "waited in vain for: {what}\nrequests: {:#?}\napplication: {:#?}",
            api.log(),
            api.get("sparkapplications", "pi")
        );
    }
}

pub fn state(api: &FakeApi) -> String {
    let app = api.get("sparkapplications", "pi").unwrap_or_default();
    app["status"]["applicationState"]["state"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

pub async fn until_state(api: &FakeApi, wanted: &str) {
    until(api, wanted, || state(api) == wanted).await;
}

pub fn phase(api: &FakeApi, pod: &str, phase: &str, exit: Option<i32>) {
    let state = match exit {
        Some(code) => {
            json!({"terminated": {"exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" }}})
        }
        None => json!({"running": {}}),
    };
    api.change(
        "pods",
        pod,
        json!({"status": {"phase": phase, "containerStatuses": [
            {"name": "spark-kubernetes-driver", "ready": exit.is_none(), "restartCount": 0, "image": "", "imageID": "", "state": state}]}}),
    );
}
