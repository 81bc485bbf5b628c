//! A `SparkApplication` becomes a [`SubmitRequest`], and with [`plan`](crate::plan) the objects of one run.
//!
//! In: the application with its defaults applied, the number of the attempt, and [`Settings`]. Out: [`ApplicationPlan`], everything the
//! operator creates for the attempt, with deterministic names. Never: I/O, clock, randomness, a pod webhook. What other operators let a
//! webhook change on pods is here in the pods from the start: on the driver through its pod template, on executors through the pod
//! template that Spark itself reads.
//! - [`conf`]: fields to configuration, in the published order; refused keys
//! - [`template`]: fields to pod templates
//! - [`security`]: the restricted profile
//! - [`monitoring`]: metrics and the Prometheus exporter
//! - [`batch`]: batch schedulers
//! - [`complete`]: what only the finished driver pod can take
//! - [`extras`]: services, ingresses or routes, and the disruption budget beside the run

pub mod batch;
pub mod complete;
pub mod conf;
mod error;
pub mod extras;
pub mod monitoring;
mod object_store;
mod routes;
pub mod security;
mod settings;
pub mod template;
#[cfg(test)]
mod tests;

pub use error::ApplicationError;
pub use extras::Ui;
pub use object_store::ObjectStoreSettings;
pub use security::SecurityProfile;
pub use settings::{GatewayReference, IngressSettings, Settings};

use serde_json::{Value, json};
use stoke_model::crd::{ApplicationType, DeployMode, SparkApplication, SparkApplicationSpec};
use stoke_model::names;

use crate::argv::spark_version_of_image;
use crate::{Identity, MainResource, Resource, Role, SparkVersion, Submission, SubmitFiles, SubmitRequest};

/// Everything the operator creates for one attempt.
///
/// Order at the API: [`ApplicationPlan::before`], `submission.pre_resources`, the driver pod, then
/// [`ApplicationPlan::owned`] with the UID the API gave to the driver pod.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationPlan {
    /// What `spark-submit` would create; the driver pod is owned by the application.
    pub submission: Submission,
    /// Objects that must be there before the driver pod, owned by the application.
    pub before: Vec<Resource>,
    /// Objects beside the driver pod: UI service, ingresses, disruption budget. They go when the driver pod goes.
    pub beside: Vec<Resource>,
    /// The way to the Spark UI; none without its service.
    pub ui: Option<Ui>,
    /// What the author of the application should know.
    pub warnings: Vec<String>,
}

impl ApplicationPlan {
    /// Everything that belongs to the driver pod, with that pod (of this `uid`) as owner, in order of creation.
    #[must_use]
    pub fn owned(&self, uid: &str) -> Vec<Value> {
        let owner = json!({"apiVersion": "v1", "kind": "Pod", "controller": true, "name": self.submission.driver_pod_name, "uid": uid});
        let beside = self.beside.iter().map(|object| {
            let mut object = object.object.clone();
            object["metadata"]["ownerReferences"] = json!([owner]);
            object
        });
        self.submission.owned(uid).into_iter().chain(beside).collect()
    }
}

/// All objects of attempt `attempt` (1, 2, …) of `app`.
///
/// `app` has its defaults applied ([`stoke_model::defaults::application`]) and its name, namespace and UID set.
///
/// # Errors
/// What is wrong with the application, by field; what Spark refuses.
pub fn plan_application(
    app: &SparkApplication,
    attempt: u32,
    settings: &Settings,
) -> Result<ApplicationPlan, ApplicationError> {
    let request = request_from_application(app, attempt, settings)?;
    let mut submission = crate::plan(&request)?;
    complete::complete(app, &mut submission, settings.observe)?;
    let exporter = monitoring::config_map(app).map(|object| Resource::new(Role::ExporterFiles, object));
    let group = batch::pod_group(app, &request, &mut submission, settings)?;
    let group = group.map(|object| Resource::new(Role::PodGroup, object));
    let (beside, ui) = extras::beside(app, &request, settings)?;
    Ok(ApplicationPlan {
        before: exporter.into_iter().chain(group).collect(),
        beside,
        ui,
        warnings: submission.warnings.clone(),
        submission,
    })
}

/// The request of attempt `attempt` (1, 2, …) of `app`; see [`plan_application`] for all that belongs to a run.
///
/// # Errors
/// What is wrong with the application, by field.
pub fn request_from_application(
    app: &SparkApplication,
    attempt: u32,
    settings: &Settings,
) -> Result<SubmitRequest, ApplicationError> {
    let spec = &app.spec;
    check(app)?;
    let version = spark_version(spec, settings)?;
    let identity = identity(app, attempt, settings);
    let submission_id = settings.submission_id(&identity);
    let mut conf = conf::configuration(app, &version, settings, &submission_id)?;
    let store = settings
        .object_store
        .as_ref()
        .filter(|_| !object_store::has_its_own(app, &conf));
    if let Some(store) = store {
        object_store::add_configuration(store, &mut conf);
    }
    let templates = template::templates(app, &mut conf, settings, store)?;
    let proxy_user = spec.proxy_user.clone().filter(|user| !user.is_empty());
    Ok(SubmitRequest {
        master: settings.master.clone(),
        main_class: spec.main_class.clone().filter(|class| !class.is_empty()),
        resource: main_resource(spec)?,
        args: spec.arguments.clone().unwrap_or_default(),
        user: proxy_user.clone().unwrap_or_else(|| settings.user.clone()),
        proxy_user,
        conf,
        working_dir: "/".to_owned(),
        files: SubmitFiles {
            driver_template: templates.driver,
            executor_template: templates.executor,
            ..SubmitFiles::default()
        },
        identity,
        submitted_at: settings.submitted_at,
        spark_version: version,
    })
}

/// Names and ids of an attempt. The submission id takes part, so that an attempt that begins again under a new id never meets old objects.
fn identity(app: &SparkApplication, attempt: u32, settings: &Settings) -> Identity {
    let uid = app.metadata.uid.as_deref().unwrap_or_default();
    match &settings.submission_id {
        Some(id) => Identity::derive(&format!("{uid}/{id}"), attempt),
        None => Identity::derive(uid, attempt),
    }
}

/// Whose rules apply: the Spark in the driver's image, as far as its tag tells; else `sparkVersion`; else the newest known.
fn spark_version(spec: &SparkApplicationSpec, settings: &Settings) -> Result<SparkVersion, ApplicationError> {
    let driver_image = spec.driver.as_ref().and_then(|driver| driver.pod.image.as_deref());
    let image = driver_image
        .or(spec.image.as_deref())
        .or(settings.default_image.as_deref());
    if let Some(version) = image.and_then(spark_version_of_image) {
        return Ok(version);
    }
    match spec.spark_version.as_deref().filter(|version| !version.is_empty()) {
        Some(version) => version
            .parse()
            .map_err(|error| ApplicationError::field("spec.sparkVersion", format!("{error}"))),
        None => Ok(settings.default_spark_version.clone()),
    }
}

/// What runs. The file's name decides, as it does for `spark-submit`; `type` decides where the name says nothing.
fn main_resource(spec: &SparkApplicationSpec) -> Result<MainResource, ApplicationError> {
    let file = spec.main_application_file.as_deref().filter(|file| !file.is_empty());
    let has_class = spec.main_class.as_deref().is_some_and(|class| !class.is_empty());
    let Some(file) = file else {
        if has_class {
            return Ok(MainResource::Java(None));
        }
        return Err(ApplicationError::field(
            "spec.mainApplicationFile",
            "is missing: name the jar, Python or R file, for example local:///opt/spark/examples/src/main/python/pi.py"
                .to_owned(),
        ));
    };
    Ok(match spec.type_.unwrap_or_default() {
        _ if file == "spark-internal" => MainResource::Java(None),
        ApplicationType::Python => MainResource::Python(file.to_owned()),
        ApplicationType::R => MainResource::R(file.to_owned()),
        _ if file.ends_with(".py") => MainResource::Python(file.to_owned()),
        _ if file.ends_with(".R") || file.ends_with(".r") => MainResource::R(file.to_owned()),
        _ => MainResource::Java(Some(file.to_owned())),
    })
}

/// What an application must be before anything is made of it.
fn check(app: &SparkApplication) -> Result<(), ApplicationError> {
    let spec = &app.spec;
    if spec.python_version.as_deref() == Some("2") {
        return Err(ApplicationError::field(
            "spec.pythonVersion",
            "`2` is not possible: no Spark that runs here has Python 2; remove the field, the image decides".to_owned(),
        ));
    }
    let name = app.metadata.name.as_deref().unwrap_or_default();
    names::check_dns_1035(name).map_err(|error| {
        let instead = names::suggest_dns_1035(name, names::LABEL_LIMIT)
            .map_or_else(String::new, |name| format!("; for example `{name}`"));
        ApplicationError::field("metadata.name", format!("`{name}`: {error}{instead}"))
    })?;
    if spec.mode == Some(DeployMode::Client) {
        return Err(ApplicationError::field(
            "spec.mode",
            "`client` is not possible here: the driver would run inside the operator; write `cluster`".to_owned(),
        ));
    }
    let roles = [
        spec.driver.as_ref().map(|driver| &driver.pod),
        spec.executor.as_ref().map(|executor| &executor.pod),
    ];
    let selects = roles.iter().flatten().any(|pod| pod.node_selector.is_some());
    if spec.node_selector.is_some() && selects {
        return Err(ApplicationError::field(
            "spec.nodeSelector",
            "cannot be given beside nodeSelector of driver or executor; use one or the other".to_owned(),
        ));
    }
    let mut ports = std::collections::BTreeSet::new();
    for option in spec.driver_ingress_options.iter().flatten() {
        let port = option.service_port.ok_or_else(|| {
            ApplicationError::field("spec.driverIngressOptions", "an entry has no servicePort".to_owned())
        })?;
        if !ports.insert(port) {
            return Err(ApplicationError::field(
                "spec.driverIngressOptions",
                format!("servicePort {port} is there twice"),
            ));
        }
    }
    Ok(())
}

/// Name of the application; [`check`] has seen that it is there.
pub(crate) fn name(app: &SparkApplication) -> &str {
    app.metadata.name.as_deref().unwrap_or_default()
}

/// Namespace of the application, `default` when it has none yet.
pub(crate) fn namespace(app: &SparkApplication) -> &str {
    app.metadata.namespace.as_deref().unwrap_or("default")
}

/// The application as owner of another object.
#[must_use]
pub fn owner_reference(app: &SparkApplication) -> Value {
    json!({
        "apiVersion": format!("{}/v1beta2", names::GROUP),
        "kind": "SparkApplication",
        "name": name(app),
        "uid": app.metadata.uid.as_deref().unwrap_or_default(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}
