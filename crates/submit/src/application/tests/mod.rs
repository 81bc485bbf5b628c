//! Every field on its own, the rules that join fields, and what is refused.

mod fields;
mod rules;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use stoke_model::crd::SparkApplication;
use stoke_model::{defaults, names};

use super::*;
use crate::executor::{ExecutorRequest, executor_pod};

/// An application called `pi` in namespace `jobs` with this spec, defaults applied.
fn application(spec: &Value) -> SparkApplication {
    let manifest = json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {"name": "pi", "namespace": "jobs", "uid": "7f1e"},
        "spec": spec,
    });
    let mut app: SparkApplication = serde_json::from_value(manifest).unwrap();
    app.spec = defaults::application(app.spec);
    app
}

/// The least that runs.
fn base() -> Value {
    json!({"type": "Python", "image": "apache/spark:4.1.4", "mainApplicationFile": "local:///pi.py"})
}

/// [`base`] with values set at dotted paths.
fn with(values: &[(&str, Value)]) -> Value {
    let mut spec = base();
    for (path, value) in values {
        set_path(&mut spec, path, value.clone());
    }
    spec
}

fn set_path(spec: &mut Value, path: &str, value: Value) {
    let mut target = spec;
    for part in path.split('.') {
        if !target.is_object() {
            *target = json!({});
        }
        target = target.as_object_mut().unwrap().entry(part).or_insert(Value::Null);
    }
    *target = value;
}

fn settings() -> Settings {
    Settings {
        submission_id: Some("the-submission".to_owned()),
        ui_ingress: Some(IngressSettings {
            url_format: "{{$appName}}.example.com".to_owned(),
            ..IngressSettings::default()
        }),
        ..Settings::new(
            "k8s://https://kubernetes.default.svc:443",
            "2026-11-21T00:00:00Z".parse().unwrap(),
        )
    }
}

fn planned(spec: &Value) -> Result<ApplicationPlan, ApplicationError> {
    plan_application(&application(spec), 1, &settings())
}

/// The pod of the first executor.
fn executor(plan: &ApplicationPlan, spec: &Value) -> Value {
    let request = request_from_application(&application(spec), 1, &settings()).unwrap();
    let executor = ExecutorRequest {
        executor_id: "1".to_owned(),
        template: request.files.executor_template,
        local_dir_uuid: request.identity.local_dir_uuid,
        ..ExecutorRequest::default()
    };
    executor_pod(&request.spark_version, &plan.submission.properties, &executor)
        .unwrap()
        .pod
}

/// Everything a run consists of, in places a table can name.
fn observed(spec: &Value) -> Value {
    let plan = planned(spec).unwrap_or_else(|error| panic!("{spec}: {error}"));
    let driver = plan.submission.driver_pod.clone();
    let executor = executor(&plan, spec);
    let (driver_container, executor_container) = (
        container(&driver, names::DRIVER_CONTAINER),
        container(&executor, names::EXECUTOR_CONTAINER),
    );
    let service = plan.submission.resource(Role::DriverService).cloned();
    let ui = plan.beside.iter().find(|resource| resource.role == Role::UiService);
    let ui = ui.map(|resource| resource.object.clone());
    let args: Vec<&str> = driver_container["args"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    json!({
        "driverArgs": args.join(" "),
        "env": env(&driver_container),
        "driverEnv": env(&driver_container),
        "executorEnv": env(&executor_container),
        "properties": plan.submission.properties,
        "service": service,
        "ui": ui,
        "beside": by_kind(&plan.beside),
        "before": by_kind(&plan.before),
        "driverVolumes": by_name(&driver["spec"]["volumes"]),
        "executorVolumes": by_name(&executor["spec"]["volumes"]),
        "driverMounts": by_name(&driver_container["volumeMounts"]),
        "executorMounts": by_name(&executor_container["volumeMounts"]),
        "driverPorts": by_name(&driver_container["ports"]),
        "executorPorts": by_name(&executor_container["ports"]),
        "driver": driver,
        "executor": executor,
        "driverContainer": driver_container,
        "executorContainer": executor_container,
    })
}

fn container(pod: &Value, name: &str) -> Value {
    let containers = pod["spec"]["containers"].as_array().unwrap();
    containers
        .iter()
        .find(|container| container["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {pod}"))
        .clone()
}

/// Items of a list by their name.
fn by_name(list: &Value) -> BTreeMap<String, Value> {
    let items = list.as_array().into_iter().flatten();
    items
        .map(|item| (item["name"].as_str().unwrap().to_owned(), item.clone()))
        .collect()
}

/// Environment by name; of those with the same name the last one counts, as in a container.
fn env(container: &Value) -> Value {
    let variables = container["env"].as_array().into_iter().flatten();
    let map: Map<String, Value> = variables
        .map(|variable| {
            let value = if variable["value"].is_null() {
                &variable["valueFrom"]
            } else {
                &variable["value"]
            };
            (variable["name"].as_str().unwrap().to_owned(), value.clone())
        })
        .collect();
    Value::Object(map)
}

/// The last object of each kind.
fn by_kind(objects: &[Resource]) -> BTreeMap<String, Value> {
    objects
        .iter()
        .map(|resource| (resource["kind"].as_str().unwrap().to_owned(), resource.object.clone()))
        .collect()
}
