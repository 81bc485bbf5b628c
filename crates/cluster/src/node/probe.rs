//! Startup, liveness and readiness probes of one running container.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};

use super::inside::Inside;

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Until it succeeds, the others wait.
    Startup,
    /// When it fails, the container is restarted.
    Liveness,
    /// While it fails, the container is not ready.
    Readiness,
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The container has started.
    Started,
    /// The container is ready, or not.
    Ready(bool),
    /// One try failed, with this output.
    Unhealthy(Kind, String),
    /// The container must be restarted.
    Failed(Kind),
}

impl Kind {
    /// As in events.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Startup => "Startup",
            Kind::Liveness => "Liveness",
            Kind::Readiness => "Readiness",
        }
    }
}

/// Probes until the container is found to need a restart, or the task is dropped. `report` gets every finding.
pub(crate) async fn watch(inside: Inside, container: Container, report: impl Fn(Finding) + Clone) {
    if let Some(probe) = &container.startup_probe {
        if !follow(&inside, probe, Kind::Startup, &report).await {
            return;
        }
        report(Finding::Started);
    }
    let live = async {
        if let Some(probe) = &container.liveness_probe {
            follow(&inside, probe, Kind::Liveness, &report).await;
        }
    };
    let ready = async {
        if let Some(probe) = &container.readiness_probe {
            follow(&inside, probe, Kind::Readiness, &report).await;
        }
    };
    tokio::join!(live, ready);
}

/// Runs one probe; a startup probe ends with true on success, the others go on; false when the container has failed.
async fn follow(inside: &Inside, probe: &Probe, kind: Kind, report: &impl Fn(Finding)) -> bool {
    let seconds = |value: Option<i32>, usual: u64| {
        u64::try_from(value.unwrap_or(0))
            .ok()
            .filter(|v| *v > 0)
            .unwrap_or(usual)
    };
    let period = Duration::from_secs(seconds(probe.period_seconds, 10));
    let limit = Duration::from_secs(seconds(probe.timeout_seconds, 1));
    let mut judge = Judge::new(seconds(probe.success_threshold, 1), seconds(probe.failure_threshold, 3));
    tokio::time::sleep(Duration::from_secs(
        u64::try_from(probe.initial_delay_seconds.unwrap_or(0)).unwrap_or(0),
    ))
    .await;
    loop {
        let result = once(inside, probe, limit).await;
        if let Err(output) = &result {
            report(Finding::Unhealthy(kind, output.clone()));
        }
        match (kind, judge.take(result.is_ok())) {
            (Kind::Startup, Some(true)) => return true,
            (Kind::Readiness, Some(ready)) => report(Finding::Ready(ready)),
            (Kind::Startup | Kind::Liveness, Some(false)) => {
                report(Finding::Failed(kind));
                return false;
            }
            _ => {}
        }
        tokio::time::sleep(period).await;
    }
}

async fn once(inside: &Inside, probe: &Probe, limit: Duration) -> Result<String, String> {
    if let Some(action) = &probe.exec {
        inside.exec(action, limit).await
    } else if let Some(action) = &probe.http_get {
        inside.http_get(action, limit).await
    } else if let Some(action) = &probe.tcp_socket {
        inside.tcp(action.host.as_deref(), &action.port, limit).await
    } else if let Some(action) = &probe.grpc {
        inside.grpc(action, limit).await
    } else {
        Err("the probe has no handler: exec, httpGet, tcpSocket or grpc".to_owned())
    }
}

/// Counts successes and failures in a row against their thresholds.
struct Judge {
    success_threshold: u64,
    failure_threshold: u64,
    row: (bool, u64),
}

impl Judge {
    fn new(success_threshold: u64, failure_threshold: u64) -> Judge {
        Judge {
            success_threshold,
            failure_threshold,
            row: (false, 0),
        }
    }

    /// The verdict when this result completes a row, else none.
    fn take(&mut self, success: bool) -> Option<bool> {
        self.row = if self.row.0 == success {
            (success, self.row.1 + 1)
        } else {
            (success, 1)
        };
        let threshold = if success {
            self.success_threshold
        } else {
            self.failure_threshold
        };
        (self.row.1 >= threshold).then_some(success)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_need_a_row() {
        let mut judge = Judge::new(2, 3);
        let results = [true, true, false, false, true, false, false, false];
        let verdicts = results.map(|result| judge.take(result));
        assert_eq!(verdicts, [None, Some(true), None, None, None, None, None, Some(false)]);
    }
}
