//! Every metric of the catalogue moves when what it tells about happens, and the documentation's table is the catalogue.

use std::time::Duration;

use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use kube::client::Body;
use kube::core::DynamicObject;
use serde_json::json;
use stoke_model::crd::{
    ApplicationStateType as State, ExecutorState, SparkApplication, SparkApplicationStatus, Transition,
};

use super::catalogue::{ALL, OF_APPLICATIONS};
use super::{Metrics, MetricsConfig, counted};
use crate::controller::Key;
use crate::controller::cache::Cache;
use crate::controller::queue::Worked;
use crate::gate::Gate;
use crate::policies::Ruling;

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn at(seconds: i64) -> Timestamp {
    START + SignedDuration::from_secs(seconds)
}

fn key(name: &str) -> Key {
    Key::new("default", name)
}

struct Life {
    app: SparkApplication,
    status: SparkApplicationStatus,
}

impl Life {
    fn begin(name: &str) -> Self {
        let mut app = SparkApplication::new(name, Default::default());
        app.metadata.creation_timestamp = Some(Time(START));
        app.metadata.labels = Some([("team".to_owned(), "etl".to_owned())].into());
        Self {
            app,
            status: SparkApplicationStatus::default(),
        }
    }

    fn enter(
        &mut self,
        metrics: &Metrics,
        state: State,
        seconds: i64,
        change: impl FnOnce(&mut SparkApplicationStatus),
    ) {
        let old = self.status.clone();
        self.status.app_state.state = state;
        self.status.transitions.push(Transition {
            state,
            time: Time(at(seconds)),
            reason: String::new(),
        });
        change(&mut self.status);
        let key = key(self.app.metadata.name.as_deref().unwrap());
        metrics.changed(&key, &self.app, &old, &self.status, at(seconds));
    }
}

fn submitted(status: &mut SparkApplicationStatus) {
    status.execution_attempts += 1;
    status.last_submission_attempt_time = Some(Time(at(2)));
}

fn ended(status: &mut SparkApplicationStatus) {
    status.termination_time = Some(Time(at(32)));
}

/// A schedule that missed runs, one that cannot be read, and applications that wait, run, completed and failed.
fn jobs() -> Vec<DynamicObject> {
    let schedule = |name: &str, status: serde_json::Value| {
        json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication",
            "metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": "1", "labels": {"team": "etl"}},
            "spec": {"schedule": "@hourly", "template": {}}, "status": status})
    };
    let app = |name: &str, state: &str, conditions: serde_json::Value| {
        json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
            "metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": "1", "creationTimestamp": "2020-01-01T00:00:00Z", "labels": {"team": "etl"}},
            "spec": {"driver": {}, "executor": {}, "sparkConf": {"spark.eventLog.enabled": "true"}},
            "status": {"applicationState": {"state": state, "errorMessage": if state == "FAILED" { "driver container failed with ExitCode: 137, Reason: OOMKilled" } else { "" }},
                "lastSubmissionAttemptTime": Timestamp::now() - SignedDuration::from_secs(60), "terminationTime": (state.ends_with('D')).then(Timestamp::now),
                "sparkApplicationId": format!("spark-{name}"), "conditions": conditions}})
    };
    let broken = json!([{"type": "QualityAfter", "status": "False", "reason": "Failed"}]);
    let objects = [
        schedule(
            "nightly",
            json!({"missedRuns": 2, "skippedRuns": 3, "scheduleState": "Scheduled", "lastRun": "2030-01-01T00:00:00Z", "nextRun": "2030-01-01T01:00:00Z"}),
        ),
        schedule("wrong", json!({"scheduleState": "FailedValidation"})),
        app("waits", "SUBMITTED", json!([])),
        app("slow", "RUNNING", json!([])),
        app("done", "COMPLETED", broken),
        app("failed", "FAILED", json!([])),
    ];
    objects
        .into_iter()
        .map(|object| serde_json::from_value(object).unwrap())
        .collect()
}

async fn exercised() -> Metrics {
    let metrics = Metrics::new(MetricsConfig {
        labels: vec!["team".into(), "cost-centre".into()],
        ..MetricsConfig::default()
    });
    let answering = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, tower::BoxError>(Response::new(Body::from(b"{}".to_vec())))
    });
    let client = counted(&Client::new(answering, "default"), &metrics, None);
    let of_app = counted(&client, &metrics, Some(&key("good")));
    for _ in 0..7 {
        of_app
            .send(Request::get("/api").body(Body::empty()).unwrap())
            .await
            .unwrap();
    }

    let mut good = Life::begin("good");
    good.enter(&metrics, State::Submitted, 2, submitted);
    good.enter(&metrics, State::Running, 5, |status| {
        status.executor_state.insert("e1".into(), ExecutorState::Running);
        status.executor_state.insert("e2".into(), ExecutorState::Running);
    });
    good.enter(&metrics, State::Failing, 9, |status| {
        status.executor_state.insert("e1".into(), ExecutorState::Completed);
        status.executor_state.insert("e2".into(), ExecutorState::Failed);
    });
    good.enter(&metrics, State::PendingRerun, 10, |_| ());
    good.enter(&metrics, State::Submitted, 11, submitted);
    good.enter(&metrics, State::Running, 12, |_| ());
    good.enter(&metrics, State::Succeeding, 32, |status| {
        let told = json!({"type": "QualityAfter", "status": "True", "reason": "Warned", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        status.conditions.push(serde_json::from_value(told).unwrap());
        ended(status);
    });
    good.enter(&metrics, State::Completed, 32, |_| ());
    let mut bad = Life::begin("bad");
    bad.enter(&metrics, State::SubmissionFailed, 1, submitted);
    bad.enter(&metrics, State::Failed, 3, ended);
    metrics.scheduled(at(0), at(3));

    metrics.queued("SparkApplication", 2);
    metrics.taken("SparkApplication", 1, Duration::from_millis(20));
    metrics
        .timed("SparkApplication", key("bad"), async { Worked::Failed })
        .await;
    let live = Cache::default();
    let running: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
        "metadata": {"name": "live", "namespace": "default", "resourceVersion": "1", "creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": {"driver": {}, "executor": {}},
        "status": {"applicationState": {"state": "RUNNING"}, "executorState": {"a": "RUNNING", "b": "PENDING"}},
    }))
    .unwrap();
    live.app_seen("", &running, true);
    for object in jobs() {
        match object.types.as_ref().unwrap().kind.as_str() {
            "SparkApplication" => drop(live.app_seen("", &object, true)),
            _ => drop(live.schedule_seen(&object, true)),
        }
    }
    let stuck: k8s_openapi::api::core::v1::Pod = serde_json::from_value(json!({
        "metadata": {"name": "slow-exec-1", "namespace": "default", "uid": "x", "resourceVersion": "1",
            "labels": {"spark-role": "executor", "sparkoperator.k8s.io/app-name": "slow", "team": "etl"}},
        "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}]},
    }))
    .unwrap();
    live.pod_seen("", &stuck, true);
    let mut lost = stuck.clone();
    lost.status.as_mut().unwrap().phase = Some("Failed".into());
    lost.status.as_mut().unwrap().reason = Some("Evicted".into());
    metrics.executor_told(&lost, true);
    metrics.server(&key("lab"), "Ready", Some((2, 1)));
    metrics.server(&key("quiet"), "Ready", None);
    metrics.server(&key("unused"), "Ready", Some((0, 0)));
    metrics.server(&key("unused"), "Idle", None);
    metrics.server(&key("gone"), "Ready", Some((9, 9)));
    metrics.forget_server(&key("gone"));
    // Two logs are asked for, one is kept.
    metrics.log_queued();
    metrics.log_queued();
    metrics.log_done();
    metrics.log_kept("driver", "kept", 1200, Duration::from_millis(1500));
    metrics.defaulted("SparkApplication", true);
    metrics.reviewed("SparkApplication", &["conf-refused"], false, Duration::from_millis(2));
    metrics.serves_until(Timestamp::from_second(1_800_000_000).unwrap());
    metrics.certificate_step("create");
    metrics.policies_loaded(Some(3));
    metrics.policies_loaded(None);
    let denied = stoke_diagnostics::Diagnostic::new(stoke_diagnostics::Severity::Error, "policy/team.deny", "no owner");
    let ruling = Ruling {
        denied: vec![denied],
        ..Ruling::default()
    };
    metrics.judged("admission", &ruling, Duration::from_millis(4));
    metrics.attach(&live, &Gate::open());
    metrics
}

#[tokio::test]
async fn every_metric_moves_when_what_it_tells_about_happens() {
    let metrics = exercised().await;
    let busy = metrics.timed("SparkApplication", key("slow"), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        metrics
            .text()
            .lines()
            .for_each(|line| LINES.with(|lines| lines.borrow_mut().push(line.to_owned())));
        Worked::Done(None)
    });
    busy.await;
    let lines = LINES.with(std::cell::RefCell::take);
    let value = |prefix: &str| -> Vec<f64> {
        let of = lines.iter().filter(|line| {
            line.strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        of.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect()
    };
    for metric in ALL {
        let sample = match metric.kind {
            super::catalogue::Kind::Counter | super::catalogue::Kind::Gauge => metric.name.to_owned(),
            _ => format!("{}_sum", metric.name),
        };
        assert!(
            value(&sample).iter().any(|value| *value > 0.0),
            "{sample} never moves:\n{}",
            lines.join("\n")
        );
    }
    // What is not known is not a number.
    for name in ["quiet", "unused", "gone"] {
        let absent = format!("name=\"{name}\"");
        assert!(
            !lines
                .iter()
                .any(|line| line.contains("connect_sessions") && line.contains(&absent)),
            "{name}"
        );
    }
    let labels = r#"{team="etl",cost_centre="Unknown"}"#;
    for (line, expected) in [
        ("spark_application_count", "2"),
        ("spark_application_submit_count", "3"),
        ("spark_application_failed_submission_count", "1"),
        ("spark_application_success_count", "1"),
        ("spark_application_failure_count", "1"),
        ("spark_application_success_execution_time_seconds_sum", "30"),
        ("spark_application_start_latency_seconds_sum", "5"),
        ("spark_executor_success_count", "1"),
        ("spark_executor_failure_count", "1"),
    ] {
        let line = format!("{line}{labels} {expected}");
        assert!(lines.contains(&line), "{line} is not in\n{}", lines.join("\n"));
    }
    for line in [
        r#"stoke_applications{state="RUNNING"} 2"#,
        r#"stoke_job_failed{namespace="default",app="failed",team="etl",class="driver-oom-killed"} 1"#,
        r#"stoke_job_failed{namespace="default",app="done",team="etl",class="none"} 0"#,
        r#"stoke_job_executors_waiting{namespace="default",app="slow",team="etl",reason="Unschedulable"} 1"#,
        r#"stoke_job_contract_broken{namespace="default",app="done",team="etl"} 1"#,
        r#"stoke_executors_lost_total{namespace="default",app="slow",team="etl",reason="Evicted"} 1"#,
        r#"stoke_schedule_missed_runs_total{namespace="default",app="nightly",team="etl"} 2"#,
        r#"stoke_schedule_interval_seconds{namespace="default",app="nightly",team="etl"} 3600"#,
        r#"stoke_schedule_invalid{namespace="default",app="wrong",team="etl"} 1"#,
        r#"stoke_connect_server_ready{namespace="default",name="lab"} 1"#,
        r#"stoke_application_transitions_total{from="NEW",to="SUBMITTED"} 1"#,
        r#"stoke_application_retries_total{cause="DriverFailed"} 1"#,
        "stoke_application_api_requests_sum 7",
        r#"rest_client_requests_total{code="200",method="GET"} 7"#,
        "stoke_schedule_lateness_seconds_sum 3",
        r#"stoke_connect_servers{state="Ready"} 2"#,
        r#"stoke_connect_servers{state="Failed"} 0"#,
        r#"stoke_connect_sessions{namespace="default",name="lab"} 2"#,
        r#"stoke_connect_operations{namespace="default",name="lab"} 1"#,
        "stoke_connect_idle_stops_total 1",
        r#"stoke_kept_logs_total{role="driver",result="kept"} 1"#,
        r#"stoke_kept_log_bytes_total{role="driver"} 1200"#,
        "stoke_keep_log_seconds_sum 1.5",
        "stoke_kept_logs_waiting 1",
        r#"workqueue_depth{name="SparkApplication"} 1"#,
        r#"stoke_admission_reviews_total{kind="SparkApplication",result="refused"} 1"#,
        r#"stoke_admission_refusals_total{code="conf-refused"} 1"#,
        "stoke_webhook_certificate_end_timestamp_seconds 1800000000",
        r#"stoke_policy_evaluations_total{at="admission",result="denied"} 1"#,
        r#"stoke_policy_denials_total{at="admission",rule="policy/team.deny"} 1"#,
        "stoke_policy_rules 3",
        "stoke_policy_broken 1",
    ] {
        assert!(
            lines.iter().any(|known| known == line),
            "{line} is not in\n{}",
            lines.join("\n")
        );
    }
}

thread_local! {
    static LINES: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[test]
fn the_generated_table_is_the_catalogue() {
    let mut table = String::from("| metric | kind | labels | what it measures |\n|---|---|---|---|\n");
    for metric in ALL {
        let labels = match metric.labels {
            [OF_APPLICATIONS] => "those of `--metrics-labels`".to_owned(),
            labels => labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        table += &format!(
            "| `{}` | {} | {labels} | {} |\n",
            metric.name,
            metric.kind.name(),
            metric.help
        );
    }
    let (begin, end) = (
        "<!-- metrics: made from crates/operator/src/metrics/catalogue.rs -->\n",
        "<!-- end of metrics -->",
    );
    assert_eq!(
        stoke_testkit::generated::part("docs/how-to/operator.md", begin, end, &table),
        Ok(())
    );
}

/// The room `observe` knows the operator's metrics by a table, since it stands below the operator.
#[test]
fn the_generated_metrics_are_known_to_observe() {
    let mut table = String::from(
        "# The operator's metrics. Made from its code by scripts/generate; do not edit.\n# name | kind | unit | labels | releases | switched on | meaning\n@family operator\n@evidence code\n",
    );
    for metric in ALL {
        let name = metric.name.trim_end_matches("_total");
        let unit = match name {
            _ if name.contains("_timestamp_seconds") || name.ends_with("start_time_seconds") => "timestamp",
            _ if name.contains("seconds") => "seconds",
            _ if name.ends_with("bytes") => "bytes",
            _ if name.ends_with("_broken") => "bool",
            _ => "count",
        };
        let labels: Vec<&str> = metric
            .labels
            .iter()
            .map(|label| if *label == OF_APPLICATIONS { "*" } else { label })
            .collect();
        table += &format!(
            "{} | {} | {unit} | {} | | | {}\n",
            metric.name,
            metric.kind.name(),
            labels.join(" "),
            metric.help
        );
    }
    assert_eq!(
        stoke_testkit::generated::file("crates/observe/data/operator.txt", &table),
        Ok(())
    );
}
