//! The seam to the room `submit`: an application whose status records an attempt becomes the objects of that attempt.

use serde_json::{Value, json};
use stoke_model::crd::SparkApplication;
use stoke_submit::Resource;
use stoke_submit::application::{ApplicationError, ApplicationPlan, Settings, plan_application};

use crate::logs::{DELETE_EXECUTORS, Which, kept_for_their_logs};
use crate::names;

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
    pub driver_pod_name: String,
    /// What must be there before the driver pod.
    pub before: Vec<Value>,
    /// The driver pod. Created by POST: `env` may name a variable twice.
    pub driver_pod: Value,
    /// What the driver pod owns, without the owner; created as soon as the pod's UID is known.
    pub owned: Vec<Value>,
    /// Those of them that serve a live driver only: services, ingresses or routes, the disruption budget.
    pub companions: Vec<Value>,
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
    /// Which logs are kept of applications that do not say so themselves; none when none are kept anywhere.
    kept: Option<Which>,
}

impl NativePlanner {
    /// Plans by these settings; time and id of a submission are those in the application's status, whatever they say.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, kept: None }
    }

    /// Plans so that these logs can be kept.
    #[must_use]
    pub fn keeping(self, kept: Option<Which>) -> Self {
        Self { kept, ..self }
    }

    /// What ties the pods of a run, its event log and the operator's log together, and what keeping logs needs.
    fn of_the_run(&self, app: &SparkApplication, submission_id: Option<&str>) -> Vec<(String, String)> {
        let mut conf = Vec::new();
        if let Some(submission_id) = submission_id {
            let trace_id = names::trace_id(submission_id);
            let parent = names::traceparent(&trace_id);
            conf.extend([
                (names::CONF_TRACE_ID.to_owned(), trace_id.clone()),
                (
                    format!("spark.kubernetes.driver.label.{}", names::TRACE_ID),
                    trace_id.clone(),
                ),
                (format!("spark.kubernetes.executor.label.{}", names::TRACE_ID), trace_id),
                (
                    format!("spark.kubernetes.driverEnv.{}", names::TRACEPARENT),
                    parent.clone(),
                ),
                (format!("spark.executorEnv.{}", names::TRACEPARENT), parent),
            ]);
        }
        if self.kept.is_some_and(|kept| kept_for_their_logs(app, kept)) {
            conf.push((DELETE_EXECUTORS.to_owned(), "false".to_owned()));
        }
        conf
    }
}

impl Planner for NativePlanner {
    fn plan(&self, app: &SparkApplication) -> Result<Plan, Refusal> {
        let status = app.status.clone().unwrap_or_default();
        let mut settings = self.settings.clone();
        Which::of(app).map_err(|message| Refusal {
            code: "InvalidAnnotation".to_owned(),
            message,
        })?;
        let of_the_run = self.of_the_run(app, status.submission_id.as_deref());
        settings.default_conf.extend(of_the_run);
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
        Ok(Plan::from(planned))
    }
}

impl From<ApplicationPlan> for Plan {
    fn from(planned: ApplicationPlan) -> Self {
        let ApplicationPlan {
            submission,
            before,
            beside,
            ui,
            ..
        } = planned;
        let objects = |resources: Vec<Resource>| resources.into_iter().map(|resource| resource.object);
        let mut before: Vec<Value> = objects(before).collect();
        before.extend(objects(submission.pre_resources.clone()));
        let companions: Vec<Value> = objects(beside).collect();
        let (web_ui, web_ui_ingress) = match ui {
            Some(ui) => (Some((ui.service, ui.port)), ui.way_in),
            None => (None, None),
        };
        Self {
            application_id: submission.application_id,
            driver_pod_name: submission.driver_pod_name,
            before,
            driver_pod: submission.driver_pod,
            owned: objects(submission.pre_resources)
                .chain(objects(submission.resources))
                .chain(companions.iter().cloned())
                .collect(),
            companions,
            web_ui,
            web_ui_ingress,
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
        // Spark's own service is not one of them.
        let companions = first
            .companions
            .iter()
            .map(|object| object["metadata"]["name"].as_str());
        assert_eq!(companions.collect::<Vec<_>>(), [Some("pi-ui-svc")]);
        app.status.as_mut().unwrap().submission_id = Some("another".into());
        assert_ne!(first.application_id, planner.plan(&app).unwrap().application_id);
    }

    #[test]
    fn a_run_has_one_trace_id_in_its_pods_and_its_configuration() {
        let spec = serde_json::from_value(json!({
            "type": "Python", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4", "mainApplicationFile": "local:///pi.py",
            "sparkConf": {"spark.executorEnv.TRACEPARENT": "mine"},
        }))
        .unwrap();
        let mut app = SparkApplication::new("pi", defaults::application(spec));
        app.metadata.namespace = Some("default".into());
        app.metadata.uid = Some("6d5e".into());
        let submission = "0f1e2d3c-0000-8000-8000-000000000001";
        app.status.get_or_insert_default().submission_id = Some(submission.into());
        let settings = Settings::new("k8s://https://kubernetes.default.svc", Timestamp::UNIX_EPOCH);
        let planner = NativePlanner::new(settings);
        let plan = planner.plan(&app).unwrap();
        let trace = "0f1e2d3c000080008000000000000001";
        assert_eq!(plan.driver_pod["metadata"]["labels"]["stoke.dev/trace-id"], trace);
        let env = plan.driver_pod["spec"]["containers"][0]["env"].as_array().unwrap();
        let parent = names::traceparent(trace);
        assert!(
            env.contains(&json!({"name": "TRACEPARENT", "value": parent})),
            "{env:?}"
        );
        let properties = |plan: &Plan| {
            let text = |map: &Value| map["data"]["spark.properties"].as_str().map(str::to_owned);
            plan.owned.iter().find_map(text).unwrap()
        };
        let conf = properties(&plan);
        for line in [
            format!("spark.stoke.traceId={trace}"),
            format!("spark.kubernetes.executor.label.stoke.dev/trace-id={trace}"),
            "spark.executorEnv.TRACEPARENT=mine".to_owned(),
        ] {
            assert!(conf.contains(&line), "{line}: {conf}");
        }
        // Executors stay for their logs only where these are kept.
        let stays = format!("{DELETE_EXECUTORS}=false");
        app.metadata.annotations = Some([("stoke.dev/keep-logs".to_owned(), "all".to_owned())].into());
        assert!(!properties(&planner.plan(&app).unwrap()).contains(&stays));
        let planner = planner.keeping(Some(Which::Driver));
        assert!(properties(&planner.plan(&app).unwrap()).contains(&stays));
        app.metadata.annotations = Some([("stoke.dev/keep-logs".to_owned(), "some".to_owned())].into());
        let refusal = planner.plan(&app).unwrap_err();
        assert!(refusal.message.contains("write driver, all or none"), "{refusal}");
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
