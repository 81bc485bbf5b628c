//! A planner with two objects per attempt: what the operator does with a plan does not depend on what is in it.

use kube::ResourceExt;
use serde_json::json;
use stoke_model::crd::SparkApplication;
use stoke_operator::{Plan, Planner, Refusal};

pub struct TwoObjects;

impl Planner for TwoObjects {
    fn plan(&self, app: &SparkApplication) -> Result<Plan, Refusal> {
        let status = app.status.clone().unwrap_or_default();
        let id = status.submission_id.unwrap();
        let driver_pod_name = status.driver_info.pod_name.unwrap();
        if app
            .spec
            .spark_conf
            .as_ref()
            .is_some_and(|conf| conf.contains_key("spark.master"))
        {
            return Err(Refusal {
                code: "RefusedSparkConf".into(),
                message: "sparkConf key \"spark.master\" is not allowed: it is set".into(),
            });
        }
        let ui = format!("{}-ui-svc", app.name_any());
        Ok(Plan {
            application_id: format!("spark-{id}"),
            before: Vec::new(),
            driver_pod: json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": driver_pod_name, "labels": {"spark-role": "driver"}},
                "spec": {"containers": [{"name": "spark-kubernetes-driver", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]},
            }),
            driver_pod_name,
            owned: vec![
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("conf-{}", &id[..8])}, "data": {"id": id}}),
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": ui}}),
            ],
            companions: Vec::new(),
            web_ui: Some((ui, 4040)),
            web_ui_ingress: None,
        })
    }
}
