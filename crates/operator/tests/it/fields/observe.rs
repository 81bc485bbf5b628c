//! All that an application comes to, as one value that can be compared.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};
use stoke_model::crd::{ApplicationStateType as State, SparkApplication, SparkApplicationStatus, SparkConnect};
use stoke_model::{defaults, names};
use stoke_operator::application::{Driver, DriverPod, Facts, Progress, decide};
use stoke_submit::application::{IngressSettings, Settings, plan_application, request_from_application};
use stoke_submit::connect::plan_connect;
use stoke_submit::{ExecutorRequest, Role, executor_pod};

/// A kind whose fields are flipped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Application,
    Connect,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Application => "SparkApplication",
            Self::Connect => "SparkConnect",
        }
    }

    /// What this spec comes to, or why it is refused.
    pub fn observe(self, spec: &Value) -> Result<Value, String> {
        match self {
            Self::Application => observe_application(spec, &settings()),
            Self::Connect => observe_connect(spec),
        }
    }
}

/// The operator's settings, with an ingress, so that its fields have a place.
pub fn settings() -> Settings {
    Settings {
        submission_id: Some("the-submission".to_owned()),
        ui_ingress: Some(IngressSettings {
            url_format: "{{$appName}}.example.com".to_owned(),
            ..IngressSettings::default()
        }),
        ..Settings::new("k8s://https://kubernetes.default.svc", now())
    }
}

fn now() -> Timestamp {
    "2026-11-21T00:00:00Z".parse().unwrap()
}

/// The application `pi` in the namespace `jobs`.
fn application(spec: &Value) -> Result<SparkApplication, String> {
    let mut app: SparkApplication = serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
        "metadata": {"name": "pi", "namespace": "jobs", "uid": "7f1e"}, "spec": spec,
    }))
    .map_err(|error| error.to_string())?;
    app.spec = defaults::application(app.spec);
    Ok(app)
}

pub fn observe_application(spec: &Value, settings: &Settings) -> Result<Value, String> {
    let app = application(spec)?;
    let plan = plan_application(&app, 1, settings).map_err(|error| error.to_string())?;
    let request = request_from_application(&app, 1, settings).map_err(|error| error.to_string())?;
    let executor = ExecutorRequest {
        executor_id: "1".to_owned(),
        template: request.files.executor_template,
        local_dir_uuid: request.identity.local_dir_uuid,
        ..ExecutorRequest::default()
    };
    let executor = executor_pod(&request.spark_version, &plan.submission.properties, &executor)
        .map_err(|error| error.to_string())?;
    // Spark's own ConfigMaps hold the properties and templates that are looked at by themselves.
    let of_spark = plan
        .submission
        .resources
        .iter()
        .filter(|object| object["kind"] != "ConfigMap");
    let objects: BTreeMap<String, Value> = of_spark
        .chain(&plan.before)
        .chain(&plan.beside)
        .map(|resource| {
            let object = &resource.object;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"])),
                object.clone(),
            )
        })
        .collect();
    Ok(json!({
        "driver pod": named(&plan.submission.driver_pod),
        "executor pod": named(&executor.pod),
        "object": objects,
        "spark.properties": plan.submission.properties,
        "decision": decisions(&app),
    }))
}

/// The server `lab` in the namespace `jobs`.
fn observe_connect(spec: &Value) -> Result<Value, String> {
    let connect: SparkConnect = serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect",
        "metadata": {"name": "lab", "namespace": "jobs", "uid": "7f1e"}, "spec": spec,
    }))
    .map_err(|error| error.to_string())?;
    let plan = plan_connect(&connect, 1, &settings()).map_err(|error| error.to_string())?;
    // What Spark makes executors of, beside its properties.
    let template = plan
        .submission
        .resource(Role::ExecutorTemplate)
        .and_then(|object| object["data"]["podspec-configmap-key"].as_str())
        .map(|text| serde_json::from_str::<Value>(text).unwrap())
        .unwrap_or_default();
    Ok(json!({
        "server pod": named(&plan.pod),
        "executor template": named(&template),
        "object": {"Service lab-server": plan.service},
        "spark.properties": plan.submission.properties,
    }))
}

/// Lists whose elements have names, by name, so that a place can be read.
pub fn named(value: &Value) -> Value {
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| item["name"].is_string()) => {
            let mut all = Map::new();
            for item in items {
                all.insert(item["name"].as_str().unwrap().to_owned(), named(item));
            }
            Value::Object(all)
        }
        Value::Array(items) => Value::Array(items.iter().map(named).collect()),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), named(field)))
            .collect(),
        other => other.clone(),
    }
}

/// What the operator decides about the application at the turns of its life.
fn decisions(app: &SparkApplication) -> Value {
    let at = |state: State, tries: i32| SparkApplicationStatus {
        submission_id: Some("the-submission".to_owned()),
        last_submission_attempt_time: Some(Time(now() - SignedDuration::from_secs(60))),
        termination_time: Some(Time(now())),
        app_state: stoke_model::crd::ApplicationState {
            state,
            ..Default::default()
        },
        execution_attempts: tries,
        submission_attempts: tries,
        spec_digest: Some("same".to_owned()),
        driver_info: stoke_model::crd::DriverInfo {
            pod_name: Some("pi-driver".to_owned()),
            ..Default::default()
        },
        ..SparkApplicationStatus::default()
    };
    // Refused, and nothing new begun since.
    let refused = |tries: i32| SparkApplicationStatus {
        submission_id: None,
        driver_info: Default::default(),
        transitions: vec![stoke_model::crd::Transition {
            state: State::SubmissionFailed,
            time: Time(now()),
            reason: String::new(),
        }],
        ..at(State::SubmissionFailed, tries)
    };
    let running = Driver::Present(DriverPod {
        name: "pi-driver".to_owned(),
        submission_id: Some("the-submission".to_owned()),
        progress: Progress::Running,
        ..DriverPod::default()
    });
    let turns = [
        ("when created", None, Driver::Gone),
        ("while running", Some(at(State::Running, 1)), running),
        ("after a success", Some(at(State::Succeeding, 1)), Driver::Gone),
        ("after the first failure", Some(at(State::Failing, 1)), Driver::Gone),
        ("after the fourth failure", Some(at(State::Failing, 4)), Driver::Gone),
        ("after the first refusal", Some(refused(1)), Driver::Gone),
        ("after the fourth refusal", Some(refused(4)), Driver::Gone),
        ("when completed", Some(at(State::Completed, 1)), Driver::Gone),
    ];
    let decided = turns.into_iter().map(|(turn, status, driver)| {
        let mut app = app.clone();
        app.status = status;
        let facts = Facts {
            app,
            spec_digest: "same".to_owned(),
            driver,
            ..Facts::default()
        };
        let decision = decide(&facts, now());
        let wait = decision.requeue_at.map(|at| at.duration_since(now()).as_secs());
        let said = json!({
            "state": decision.status.app_state.state,
            "does": decision.actions.iter().map(|action| format!("{action:?}")).collect::<Vec<_>>(),
            "looks again after seconds": wait,
        });
        (turn.to_owned(), said)
    });
    Value::Object(decided.collect())
}

/// Places in which two observations differ, with what stands there in the second, the most telling first.
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut places = Vec::new();
    let parts = [
        "driver pod",
        "server pod",
        "executor pod",
        "executor template",
        "object",
        "spark.properties",
        "decision",
    ];
    for part in parts {
        compare(&before[part], &after[part], &mut vec![part.to_owned()], &mut places);
    }
    places
}

fn compare(before: &Value, after: &Value, path: &mut Vec<String>, places: &mut Vec<String>) {
    if before == after {
        return;
    }
    let keys: Vec<String> = match (before, after) {
        (Value::Object(was), Value::Object(is)) => {
            let gone = was.keys().filter(|key| !is.contains_key(*key));
            is.keys().chain(gone).cloned().collect()
        }
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
            (0..is.len()).map(|i| i.to_string()).collect()
        }
        _ => {
            places.push(said(path, after));
            return;
        }
    };
    for key in keys {
        let of = |value: &Value| match value {
            Value::Array(items) => items[key.parse::<usize>().unwrap()].clone(),
            other => other[&key].clone(),
        };
        let (was, is) = (of(before), of(after));
        path.push(key);
        compare(&was, &is, path, places);
        path.pop();
    }
}

/// `driver pod: spec.containers.spark-kubernetes-driver.image: "two"`.
fn said(path: &[String], value: &Value) -> String {
    let (place, rest) = match path[0].as_str() {
        "object" => (path[1].clone(), &path[2..]),
        other => (other.to_owned(), &path[1..]),
    };
    let shown = match value {
        Value::Null => "gone".to_owned(),
        other => other.to_string(),
    };
    let names_are_long = [names::DRIVER_CONTAINER, names::EXECUTOR_CONTAINER];
    let rest: Vec<&str> = rest
        .iter()
        .map(|part| {
            if names_are_long.contains(&part.as_str()) {
                "(Spark's)"
            } else {
                part
            }
        })
        .collect();
    match rest.is_empty() {
        true => format!("{place}: {shown}"),
        false => format!("{place}: {} = {shown}", rest.join(".")),
    }
}
