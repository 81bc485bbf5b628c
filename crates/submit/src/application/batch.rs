//! Batch schedulers: the whole of an application is admitted at once, or waits.
//!
//! Volcano and a kube-scheduler with the coscheduling plugin (named in the settings) get a `PodGroup` that the application owns; YuniKorn gets its
//! task groups as annotations. Any other name is a scheduler that needs nothing but its name on the pods. An option that a scheduler has no place
//! for is refused.

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
/// Label of pods that ties them to a PodGroup of the coscheduling plugin.
const POD_GROUP_LABEL: &str = "scheduling.x-k8s.io/pod-group";
const GROUP_NAME: &str = "scheduling.k8s.io/group-name";
const TASK_GROUP_NAME: &str = "yunikorn.apache.org/task-group-name";
const TASK_GROUPS: &str = "yunikorn.apache.org/task-groups";

/// Name of the batch scheduler of an application.
fn scheduler<'a>(app: &'a SparkApplication, settings: &'a Settings) -> Option<&'a str> {
    let named = app.spec.batch_scheduler.as_deref().filter(|name| !name.is_empty());
    named.or(settings.default_batch_scheduler.as_deref())
}

/// Who gives the pods their places.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Volcano,
    YuniKorn,
    /// A kube-scheduler with the coscheduling plugin.
    Coscheduling,
    /// Only its name is known.
    Other,
}

impl Kind {
    fn of(scheduler: &str, settings: &Settings) -> Self {
        match scheduler {
            VOLCANO => Self::Volcano,
            YUNIKORN => Self::YuniKorn,
            other if settings.kube_schedulers.iter().any(|name| name == other) => Self::Coscheduling,
            _ => Self::Other,
        }
    }

    /// Options this scheduler has a place for.
    fn takes(self) -> &'static [&'static str] {
        match self {
            Self::Volcano => &["queue", "priorityClassName", "resources"],
            Self::YuniKorn => &["queue", "priorityClassName"],
            Self::Coscheduling => &["priorityClassName", "resources"],
            Self::Other => &["priorityClassName"],
        }
    }
}

fn pod_group_name(app: &SparkApplication, kind: Kind) -> String {
    match kind {
        Kind::Coscheduling => format!("{}-pg", super::name(app)),
        _ => format!("spark-{}-pg", super::name(app)),
    }
}

/// Every option given has an effect with this scheduler.
fn check_options(app: &SparkApplication, scheduler: &str, kind: Kind) -> Result<(), ApplicationError> {
    let Some(options) = &app.spec.batch_scheduler_options else {
        return Ok(());
    };
    let given = [
        ("queue", options.queue.as_ref().is_some_and(|queue| !queue.is_empty())),
        (
            "priorityClassName",
            options
                .priority_class_name
                .as_ref()
                .is_some_and(|class| !class.is_empty()),
        ),
        (
            "resources",
            options
                .resources
                .as_ref()
                .is_some_and(|resources| !resources.is_empty()),
        ),
    ];
    match given
        .iter()
        .find(|(name, given)| *given && !kind.takes().contains(name))
    {
        None => Ok(()),
        Some((name, _)) => Err(ApplicationError::field(
            format!("spec.batchSchedulerOptions.{name}"),
            format!("has no effect with the scheduler `{scheduler}`; remove it"),
        )),
    }
}

/// The class that `batchSchedulerOptions` gives the pods themselves, for schedulers that order by pod and not by group.
pub(super) fn pod_priority_class(app: &SparkApplication, settings: &Settings) -> Option<String> {
    let scheduler = scheduler(app, settings)?;
    if Kind::of(scheduler, settings) == Kind::Volcano {
        return None;
    }
    let class = app.spec.batch_scheduler_options.as_ref()?.priority_class_name.clone();
    class.filter(|class| !class.is_empty())
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
    let kind = Kind::of(scheduler, settings);
    check_options(app, scheduler, kind)?;
    for role in ["driver", "executor"] {
        set(conf, &format!("spark.kubernetes.{role}.scheduler.name"), scheduler);
        match kind {
            Kind::Volcano => set(
                conf,
                &format!("spark.kubernetes.{role}.annotation.{GROUP_NAME}"),
                pod_group_name(app, kind),
            ),
            Kind::Coscheduling => set(
                conf,
                &format!("spark.kubernetes.{role}.label.{POD_GROUP_LABEL}"),
                pod_group_name(app, kind),
            ),
            Kind::YuniKorn => {
                set(
                    conf,
                    &format!("spark.kubernetes.{role}.annotation.{TASK_GROUP_NAME}"),
                    format!("spark-{role}"),
                );
                if let Some(queue) = queue(app) {
                    set(conf, &format!("spark.kubernetes.{role}.label.queue"), queue);
                }
            }
            Kind::Other => {}
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
    match scheduler(app, settings).map(|scheduler| Kind::of(scheduler, settings)) {
        Some(kind @ (Kind::Volcano | Kind::Coscheduling)) => group(app, kind, request, submission).map(Some),
        Some(Kind::YuniKorn) => {
            let groups = task_groups(request, submission)?;
            submission.driver_pod["metadata"]["annotations"][TASK_GROUPS] = json!(groups.to_string());
            Ok(None)
        }
        _ => Ok(None),
    }
}

fn group(
    app: &SparkApplication,
    kind: Kind,
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
    // The other kind of group has no such field: its pods have the class.
    let class = options.priority_class_name.filter(|class| !class.is_empty());
    if let Some(class) = class.filter(|_| kind == Kind::Volcano) {
        spec["priorityClassName"] = json!(class);
    }
    Ok(json!({
        "apiVersion": match kind {
            Kind::Volcano => "scheduling.volcano.sh/v1beta1",
            _ => "scheduling.x-k8s.io/v1alpha1",
        },
        "kind": "PodGroup",
        "metadata": {
            "name": pod_group_name(app, kind),
            "namespace": super::namespace(app),
            "labels": {names::LABEL_APP_NAME: super::name(app), names::LABEL_CREATED_BY: "true"},
            "ownerReferences": [super::owner_reference(app)],
        },
        "spec": spec,
    }))
}

fn task_groups(request: &SubmitRequest, submission: &Submission) -> Result<Value, ApplicationError> {
    let executor = first_executor(request, submission)?;
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
///
/// # Errors
/// What the driver would refuse when it starts.
pub fn first_executor(request: &SubmitRequest, submission: &Submission) -> Result<Value, ApplicationError> {
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
pub fn initial_executors(submission: &Submission) -> i64 {
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
    let executor = first_executor(request, submission)?;
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
