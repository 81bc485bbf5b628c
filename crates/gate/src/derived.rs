//! The pods an application would really create, and what its submission would say. Pure.
//!
//! In: one of our objects and how submissions are planned. Out: [`Derived`], from the same plan that the operator submits, or the reason why there would
//! be no submission. The operator's admission and the gate of pods both ask here.

use std::collections::BTreeMap;

use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::crd::{ScheduledSparkApplication, SparkApplication, SparkConnect};
use stoke_model::cron::Schedule;
use stoke_model::defaults;
use stoke_model::manifest::Document;
use stoke_submit::application::batch::{first_executor, initial_executors};
use stoke_submit::application::{ApplicationError, Settings, plan_application, request_from_application};
use stoke_submit::connect::plan_connect;

use crate::sizing::{self, Allowed, Pods};

/// What one of our objects becomes.
#[derive(Clone, Debug)]
pub struct Derived {
    /// The driver's pod, or the server's.
    pub driver: Value,
    /// The field it comes from: `spec.driver`.
    pub driver_path: String,
    /// One executor's pod; none for a server, whose executors come and go.
    pub executor: Option<Value>,
    /// The field it comes from.
    pub executor_path: String,
    /// How many executors it begins with.
    pub executors: i64,
    /// The Spark configuration the driver gets.
    pub conf: BTreeMap<String, String>,
    /// What its author should know.
    pub remarks: Vec<Diagnostic>,
}

impl Derived {
    /// Its pods, for what a namespace allows.
    #[must_use]
    pub fn pods(&self) -> Pods<'_> {
        Pods {
            driver: (&self.driver, &self.driver_path),
            executor: self.executor.as_ref().map(|pod| (pod, self.executor_path.as_str())),
            executors: self.executors,
        }
    }
}

/// What an object becomes in a namespace; `None` for an object that is not ours. An object without a name gets one, as the API server would give it.
///
/// # Errors
/// Why nothing would be submitted.
pub fn derive(document: &Document, namespace: &str, settings: &Settings) -> Option<Result<Derived, Vec<Diagnostic>>> {
    if !document.is_ours() {
        return None;
    }
    let mut object = document.value.clone();
    if document.name.is_empty() {
        let prefix = object["metadata"]["generateName"].as_str().unwrap_or_default();
        object["metadata"]["name"] = format!("{prefix}xxxxx").into();
    }
    let unreadable = |cause: serde_json::Error| vec![error("bad-value", "spec", format!("cannot be read: {cause}"))];
    let derived = match document.kind.as_str() {
        "SparkApplication" => serde_json::from_value::<SparkApplication>(object)
            .map_err(unreadable)
            .and_then(|mut app| {
                app.metadata.namespace.get_or_insert_with(|| namespace.to_owned());
                application(app, "spec", settings)
            }),
        "ScheduledSparkApplication" => serde_json::from_value::<ScheduledSparkApplication>(object)
            .map_err(unreadable)
            .and_then(|scheduled| schedule(scheduled, namespace, settings)),
        "SparkConnect" => serde_json::from_value::<SparkConnect>(object)
            .map_err(unreadable)
            .and_then(|connect| server(&connect, settings)),
        _ => return None,
    };
    Some(derived)
}

/// All that can be said of an object by its plan and by what its namespace allows.
#[must_use]
pub fn remarks(document: &Document, namespace: &str, settings: &Settings, allowed: &Allowed) -> Vec<Diagnostic> {
    match derive(document, namespace, settings) {
        None => Vec::new(),
        Some(Err(refused)) => refused,
        Some(Ok(derived)) => {
            let sizes = sizing::misfits(&derived.pods(), allowed);
            derived.remarks.iter().cloned().chain(sizes).collect()
        }
    }
}

fn application(mut app: SparkApplication, path: &str, settings: &Settings) -> Result<Derived, Vec<Diagnostic>> {
    app.spec = defaults::application(app.spec);
    let planned = plan_application(&app, 1, settings).and_then(|plan| {
        let request = request_from_application(&app, 1, settings)?;
        let executor = first_executor(&request, &plan.submission)?;
        Ok((plan, executor))
    });
    let (plan, executor) = planned.map_err(|cause| refused(&cause, path))?;
    Ok(Derived {
        executors: initial_executors(&plan.submission),
        driver: plan.submission.driver_pod,
        driver_path: format!("{path}.driver"),
        executor: Some(executor),
        executor_path: format!("{path}.executor"),
        conf: plan.submission.properties,
        remarks: plan.warnings.iter().map(|text| warning(text, path)).collect(),
    })
}

fn schedule(
    scheduled: ScheduledSparkApplication,
    namespace: &str,
    settings: &Settings,
) -> Result<Derived, Vec<Diagnostic>> {
    let name = scheduled.metadata.name.unwrap_or_default();
    let spec = defaults::scheduled(scheduled.spec);
    let times = Schedule::parse(&spec.schedule, spec.time_zone.as_deref().unwrap_or_default());
    let times = times.map_err(|cause| error("bad-schedule", "spec.schedule", cause.to_string()));
    let mut app = SparkApplication::new(&name, spec.template);
    app.metadata.namespace = Some(namespace.to_owned());
    let derived = application(app, "spec.template", settings);
    match times {
        Ok(_) => derived,
        // Nothing would ever be submitted; what else is wrong is told in the same breath.
        Err(times) => Err([times].into_iter().chain(derived.err().into_iter().flatten()).collect()),
    }
}

fn server(connect: &SparkConnect, settings: &Settings) -> Result<Derived, Vec<Diagnostic>> {
    let plan = plan_connect(connect, 1, settings).map_err(|cause| refused(&cause, "spec"))?;
    let warnings = plan.submission.warnings.iter();
    Ok(Derived {
        driver: plan.pod,
        driver_path: "spec.server".to_owned(),
        executor: None,
        executor_path: "spec.executor".to_owned(),
        executors: 0,
        remarks: warnings.map(|text| warning(text, "spec")).collect(),
        conf: plan.submission.properties,
    })
}

fn error(code: &'static str, path: &str, message: String) -> Diagnostic {
    Diagnostic::new(Severity::Error, code, message).with_path(path)
}

fn warning(message: &str, path: &str) -> Diagnostic {
    Diagnostic::new(Severity::Warning, "submission", message).with_path(path)
}

fn refused(cause: &ApplicationError, path: &str) -> Vec<Diagnostic> {
    let (field, message) = match cause {
        ApplicationError::Field { path: field, reason } => {
            let field = match field.strip_prefix("spec") {
                Some(rest) => format!("{path}{rest}"),
                None => field.clone(),
            };
            (field, reason.clone())
        }
        ApplicationError::RefusedKey(_) => (format!("{path}.sparkConf"), cause.to_string()),
        ApplicationError::Plan(_) => (path.to_owned(), cause.to_string()),
    };
    vec![error(cause.code(), &field, message)]
}
