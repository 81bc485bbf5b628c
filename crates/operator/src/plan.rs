//! The seam to the room `submit`: an application whose status records an attempt becomes the objects of that attempt.

use kube::ResourceExt;
use serde_json::{Value, json};
use stoke_model::crd::SparkApplication;
use stoke_model::names as published;
use stoke_submit::application::extras::ui_ingress_address;
use stoke_submit::application::{ApplicationError, ApplicationPlan, Settings, plan_application};

/// Plans submissions. Pure: the same application gives the same objects.
pub trait Planner: Send + Sync + 'static {
    /// The objects of the attempt recorded in the status (`submissionID`, `driverInfo.podName`, `lastSubmissionAttemptTime`).
    ///
    /// # Errors
    /// What no retry can change: the configuration is refused.
    fn plan(&self, app: &SparkApplication) -> Result<Plan, Refusal>;
}

/// The objects of one attempt, in the order in which they are created.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Spark's application id.
    pub application_id: String,
    /// Name of the driver pod.
    pub driver_pod_name: String,
    /// What must be there before the driver pod.
    pub before: Vec<Value>,
    /// The driver pod. Created by POST: `env` may name a variable twice.
    pub driver_pod: Value,
    /// What the driver pod owns, without the owner; created as soon as the pod's UID is known.
    pub owned: Vec<Value>,
    /// Service of the Spark UI among them, with its port.
    pub web_ui: Option<(String, i32)>,
    /// Ingress or route of the Spark UI among them, with the address it is reached at.
    pub web_ui_ingress: Option<(String, String)>,
}

impl Plan {
    /// What the driver pod owns, with the pod of this UID as owner.
    #[must_use]
    pub fn owned_by(&self, uid: &str) -> Vec<Value> {
        let owner =
            json!({"apiVersion": "v1", "kind": "Pod", "controller": true, "name": self.driver_pod_name, "uid": uid});
        let with_owner = |object: &Value| {
            let mut object = object.clone();
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("ownerReferences".to_owned(), json!([owner]));
            }
            object
        };
        self.owned.iter().map(with_owner).collect()
    }
}

/// Why an application cannot be submitted as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable code in UpperCamelCase.
    pub code: String,
    /// Place, cause and fix.
    pub message: String,
}

/// The planner of the room `submit`: what `spark-submit` of the application's Spark version would create, and what the published operator
/// adds to it.
#[derive(Debug, Clone)]
pub struct NativePlanner {
    settings: Settings,
}

impl NativePlanner {
    /// Plans by these settings; time and id of a submission are those in the application's status, whatever they say.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Planner for NativePlanner {
    fn plan(&self, app: &SparkApplication) -> Result<Plan, Refusal> {
        let status = app.status.clone().unwrap_or_default();
        let mut settings = self.settings.clone();
        settings.submission_id = status.submission_id;
        if let Some(begun) = status.last_submission_attempt_time {
            settings.submitted_at = begun.0;
        }
        let attempt = u32::try_from(status.execution_attempts)
            .unwrap_or_default()
            .saturating_add(1);
        let refusal = |error: ApplicationError| Refusal {
            code: error.code().to_owned(),
            message: error.to_string(),
        };
        let planned = plan_application(app, attempt, &settings).map_err(refusal)?;
        for warning in &planned.warnings {
            tracing::warn!(warning, "submission");
        }
        let mut plan = Plan::from_application(app, planned);
        let ingress = published::ui_ingress(&app.name_any());
        if plan
            .owned
            .iter()
            .any(|object| object["metadata"]["name"] == ingress.as_str())
        {
            let address = ui_ingress_address(app, &plan.application_id, &settings).map_err(refusal)?;
            plan.web_ui_ingress = address.map(|address| (ingress, address));
        }
        Ok(plan)
    }
}

impl Plan {
    fn from_application(app: &SparkApplication, planned: ApplicationPlan) -> Self {
        let ApplicationPlan {
            submission,
            mut before,
            beside,
            ..
        } = planned;
        before.extend(submission.pre_resources.iter().cloned());
        let ui = published::ui_service(&app.name_any());
        let web_ui = beside
            .iter()
            .find(|object| object["kind"] == "Service" && object["metadata"]["name"] == ui.as_str());
        let port = web_ui
            .and_then(|service| service["spec"]["ports"][0]["port"].as_i64())
            .and_then(|port| i32::try_from(port).ok());
        Self {
            application_id: submission.application_id,
            driver_pod_name: submission.driver_pod_name,
            before,
            driver_pod: submission.driver_pod,
            owned: submission
                .pre_resources
                .into_iter()
                .chain(submission.resources)
                .chain(beside)
                .collect(),
            web_ui: port.map(|port| (ui, port)),
            web_ui_ingress: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use stoke_model::defaults;

    #[test]
    fn the_native_planner_gives_the_same_objects_for_the_same_status_and_others_for_another_attempt() {
        let spec = serde_json::from_value(json!({
            "type": "Python", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4",
            "mainApplicationFile": "local:///opt/spark/examples/src/main/python/pi.py",
        }))
        .unwrap();
        let mut app = SparkApplication::new("pi", defaults::application(spec));
        app.metadata.namespace = Some("default".into());
        app.metadata.uid = Some("6d5e".into());
        let status = app.status.get_or_insert_default();
        status.submission_id = Some("0f1e2d3c-0000-8000-8000-000000000001".into());
        status.driver_info.pod_name = Some("pi-driver".into());
        let planner = NativePlanner::new(Settings::new(
            "k8s://https://kubernetes.default.svc",
            Timestamp::UNIX_EPOCH,
        ));
        let first = planner.plan(&app).unwrap();
        assert_eq!(first, planner.plan(&app).unwrap());
        assert_eq!(first.driver_pod_name, "pi-driver");
        assert_eq!(first.web_ui, Some(("pi-ui-svc".into(), 4040)));
        let labels = &first.driver_pod["metadata"]["labels"];
        assert_eq!(
            labels["sparkoperator.k8s.io/submission-id"],
            "0f1e2d3c-0000-8000-8000-000000000001"
        );
        let kinds: Vec<&str> = first
            .owned
            .iter()
            .filter_map(|object| object["kind"].as_str())
            .collect();
        assert!(kinds.contains(&"ConfigMap") && kinds.contains(&"Service"), "{kinds:?}");
        app.status.as_mut().unwrap().submission_id = Some("another".into());
        assert_ne!(first.application_id, planner.plan(&app).unwrap().application_id);
    }

    #[test]
    fn the_way_to_the_ui_is_known_when_there_is_one() {
        let spec = serde_json::from_value(json!({
            "type": "Python", "image": "apache/spark:4.1.4", "mainApplicationFile": "local:///pi.py",
            "sparkUIOptions": {"ingressTLS": [{"secretName": "s"}]},
        }))
        .unwrap();
        let mut app = SparkApplication::new("pi", defaults::application(spec));
        app.metadata.namespace = Some("jobs".into());
        let ui_ingress = stoke_submit::application::IngressSettings {
            url_format: "ui.example.com/{{$appNamespace}}/{{$appName}}".into(),
            ..Default::default()
        };
        let settings = Settings {
            ui_ingress: Some(ui_ingress),
            ..Settings::new("k8s://https://kubernetes.default.svc", Timestamp::UNIX_EPOCH)
        };
        let plan = NativePlanner::new(settings).plan(&app).unwrap();
        assert_eq!(
            plan.web_ui_ingress,
            Some(("pi-ui-ingress".into(), "https://ui.example.com/jobs/pi".into()))
        );
    }

    #[test]
    fn a_refused_key_is_not_allowed() {
        let spec = serde_json::from_value(json!({
            "image": "apache/spark:4.1.4", "mainClass": "A", "mainApplicationFile": "local:///a.jar", "sparkConf": {"spark.master": "local"},
        }))
        .unwrap();
        let mut app = SparkApplication::new("pi", spec);
        app.metadata.namespace = Some("default".into());
        let planner = NativePlanner::new(Settings::new(
            "k8s://https://kubernetes.default.svc",
            Timestamp::UNIX_EPOCH,
        ));
        let refusal = planner.plan(&app).unwrap_err();
        assert!(refusal.message.contains("is not allowed"), "{refusal}");
    }
}
