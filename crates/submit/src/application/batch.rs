//! Batch schedulers: the whole of an application is admitted at once, or waits.
//!
//! Volcano gets a `PodGroup` that the application owns; YuniKorn gets its task groups as annotations. Any other name is a scheduler that needs
//! nothing but its name on the pods.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stoke_model::crd::SparkApplication;
use stoke_model::names;
use stoke_model::quantity::Quantity;

use super::conf::{Conf, set};
use super::error::ApplicationError;
use super::settings::Settings;
use crate::executor::{ExecutorRequest, executor_pod};
use crate::{Submission, SubmitRequest};

const VOLCANO: &str = "volcano";
const YUNIKORN: &str = "yunikorn";
const GROUP_NAME: &str = "scheduling.k8s.io/group-name";
const TASK_GROUP_NAME: &str = "yunikorn.apache.org/task-group-name";
const TASK_GROUPS: &str = "yunikorn.apache.org/task-groups";

/// Name of the batch scheduler of an application.
fn scheduler<'a>(app: &'a SparkApplication, settings: &'a Settings) -> Option<&'a str> {
    let named = app.spec.batch_scheduler.as_deref().filter(|name| !name.is_empty());
    named.or(settings.default_batch_scheduler.as_deref())
}

fn pod_group_name(app: &SparkApplication) -> String {
    format!("spark-{}-pg", super::name(app))
}

/// The scheduler's name on all pods, and what ties pods to their group.
pub(super) fn add_configuration(
    app: &SparkApplication,
    settings: &Settings,
    conf: &mut Conf,
) -> Result<(), ApplicationError> {
    let Some(scheduler) = scheduler(app, settings) else {
        if app.spec.batch_scheduler_options.is_some() {
            return Err(ApplicationError::field(
                "spec.batchSchedulerOptions",
                "has no effect without spec.batchScheduler; name the scheduler (volcano, yunikorn)".to_owned(),
            ));
        }
        return Ok(());
    };
    for role in ["driver", "executor"] {
        set(conf, &format!("spark.kubernetes.{role}.scheduler.name"), scheduler);
        match scheduler {
            VOLCANO => set(
                conf,
                &format!("spark.kubernetes.{role}.annotation.{GROUP_NAME}"),
                pod_group_name(app),
            ),
            YUNIKORN => {
                set(
                    conf,
                    &format!("spark.kubernetes.{role}.annotation.{TASK_GROUP_NAME}"),
                    format!("spark-{role}"),
                );
                if let Some(queue) = queue(app) {
                    set(conf, &format!("spark.kubernetes.{role}.label.queue"), queue);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn queue(app: &SparkApplication) -> Option<&str> {
    let options = app.spec.batch_scheduler_options.as_ref()?;
    options.queue.as_deref().filter(|queue| !queue.is_empty())
}

/// The group the pods belong to: Volcano's object, or YuniKorn's annotation, which is put on the driver pod.
///
/// # Errors
/// What Spark would refuse about executors; quantities that do not parse.
pub fn pod_group(
    app: &SparkApplication,
    request: &SubmitRequest,
    submission: &mut Submission,
    settings: &Settings,
) -> Result<Option<Value>, ApplicationError> {
    match scheduler(app, settings) {
        Some(VOLCANO) => volcano_group(app, request, submission).map(Some),
        Some(YUNIKORN) => {
            let groups = task_groups(request, submission)?;
            submission.driver_pod["metadata"]["annotations"][TASK_GROUPS] = json!(groups.to_string());
            Ok(None)
        }
        _ => Ok(None),
    }
}

fn volcano_group(
    app: &SparkApplication,
    request: &SubmitRequest,
    submission: &Submission,
) -> Result<Value, ApplicationError> {
    let options = app.spec.batch_scheduler_options.clone().unwrap_or_default();
    let resources: BTreeMap<String, String> = match options.resources {
        Some(resources) if !resources.is_empty() => resources
            .into_iter()
            .map(|(name, quantity)| (name, quantity.0))
            .collect(),
        _ => total_requests(request, submission)?,
    };
    let mut spec = json!({"minMember": 1, "minResources": resources});
    if let Some(queue) = options.queue.filter(|queue| !queue.is_empty()) {
        spec["queue"] = json!(queue);
    }
    if let Some(class) = options.priority_class_name.filter(|class| !class.is_empty()) {
        spec["priorityClassName"] = json!(class);
    }
    Ok(json!({
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "PodGroup",
        "metadata": {
            "name": pod_group_name(app),
            "namespace": super::namespace(app),
            "labels": {names::LABEL_APP_NAME: super::name(app), names::LABEL_CREATED_BY: "true"},
            "ownerReferences": [super::owner_reference(app)],
        },
        "spec": spec,
    }))
}

fn task_groups(request: &SubmitRequest, submission: &Submission) -> Result<Value, ApplicationError> {
    let executor = executor(request, submission)?;
    let group = |name: &str, members: i64, pod: &Value| {
        let mut group = json!({"name": name, "minMember": members, "minResource": requests(pod)});
        for field in ["nodeSelector", "tolerations", "affinity"] {
            if !pod["spec"][field].is_null() {
                group[field] = pod["spec"][field].clone();
            }
        }
        if let Some(labels) = pod["metadata"]["labels"].as_object() {
            group["labels"] = json!(labels);
        }
        group
    };
    let executors = initial_executors(submission);
    let mut groups = vec![group("spark-driver", 1, &submission.driver_pod)];
    if executors > 0 {
        groups.push(group("spark-executor", executors, &executor));
    }
    Ok(Value::Array(groups))
}

/// The pod Spark will create for the first executor.
fn executor(request: &SubmitRequest, submission: &Submission) -> Result<Value, ApplicationError> {
    let executor = ExecutorRequest {
        executor_id: "1".to_owned(),
        user: request.user.clone(),
        prefix_uid: request.identity.resource_uid.clone(),
        config_map_uid: request.identity.config_map_uid.clone(),
        local_dir_uuid: request.identity.local_dir_uuid.clone(),
        template: request.files.executor_template.clone(),
        ..ExecutorRequest::default()
    };
    Ok(executor_pod(&request.spark_version, &submission.properties, &executor)?.pod)
}

/// Executors at the start: those of dynamic allocation, or all.
fn initial_executors(submission: &Submission) -> i64 {
    let number = |key: &str| {
        submission
            .properties
            .get(key)
            .and_then(|value| value.trim().parse::<i64>().ok())
    };
    let dynamic = submission
        .properties
        .get("spark.dynamicAllocation.enabled")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if dynamic {
        let keys = [
            "spark.dynamicAllocation.initialExecutors",
            "spark.dynamicAllocation.minExecutors",
            "spark.executor.instances",
        ];
        return keys.iter().filter_map(|key| number(key)).max().unwrap_or(0);
    }
    number("spark.executor.instances").unwrap_or(2)
}

/// Requests of all containers of a pod.
fn requests(pod: &Value) -> BTreeMap<String, String> {
    sum([(1, pod)])
}

fn total_requests(
    request: &SubmitRequest,
    submission: &Submission,
) -> Result<BTreeMap<String, String>, ApplicationError> {
    let executor = executor(request, submission)?;
    Ok(sum([
        (1, &submission.driver_pod),
        (initial_executors(submission), &executor),
    ]))
}

/// CPU and memory requested by so many of each pod.
fn sum<'a>(pods: impl IntoIterator<Item = (i64, &'a Value)>) -> BTreeMap<String, String> {
    let (mut millicores, mut bytes) = (0_i64, 0_u64);
    for (count, pod) in pods {
        let count = count.max(0);
        for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
            let quantity = |name: &str| {
                container["resources"]["requests"][name]
                    .as_str()
                    .and_then(|text| text.parse::<Quantity>().ok())
            };
            millicores = millicores.saturating_add(quantity("cpu").map_or(0, |cpu| cpu.millis()).saturating_mul(count));
            let memory = quantity("memory").map_or(0, |memory| memory.bytes());
            bytes = bytes.saturating_add(memory.saturating_mul(count.unsigned_abs()));
        }
    }
    BTreeMap::from([
        ("cpu".to_owned(), Quantity::from_millis(millicores).to_string()),
        ("memory".to_owned(), Quantity::from_bytes(bytes).to_string()),
    ])
}
