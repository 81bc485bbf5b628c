//! Reads what there is: applications, their driver pods, and what stands beside them. A handful of lists, whatever the number of applications.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::Value;
use stoke_model::names as published;

use super::judge::Facts;
use crate::act::is_code;

/// Kinds that may stand beside a run.
const COMPANIONS: [(&str, &str, &str); 3] = [
    ("", "v1", "Service"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("policy", "v1", "PodDisruptionBudget"),
];

/// Objects asked for at a time.
const PAGE: u32 = 500;

/// The applications of a namespace, or of all of them, with what belongs to them.
///
/// # Errors
/// The API server not reached, or a list refused.
pub async fn look(client: &Client, namespace: Option<&str>) -> Result<Vec<Facts>, kube::Error> {
    let applications = list(client, namespace, (published::GROUP, "v1beta2", "SparkApplication"), "").await?;
    let mut drivers: HashMap<(String, String), Vec<Pod>> = HashMap::new();
    // By Spark's own label: a driver whose submission was interrupted may miss the operator's.
    let role = format!("{}={}", published::LABEL_SPARK_ROLE, published::ROLE_DRIVER);
    for pod in list(client, namespace, ("", "v1", "Pod"), &role).await? {
        let Ok(pod) = pod.try_parse::<Pod>() else { continue };
        let key = (pod.namespace().unwrap_or_default(), pod.name_any());
        drivers.entry(key).or_default().push(pod);
    }
    let mut companions: HashMap<String, Vec<Value>> = HashMap::new();
    for (group, version, kind) in COMPANIONS {
        let found = match list(client, namespace, (group, version, kind), "").await {
            // A cluster without the kind, or an adopter without the right to it: nothing of it can be in the way.
            Err(error) if is_code(&error, 404) || is_code(&error, 403) => continue,
            found => found?,
        };
        for object in found {
            let owners: Vec<String> = object
                .owner_references()
                .iter()
                .map(|owner| owner.uid.clone())
                .collect();
            let mut value = serde_json::to_value(&object).map_err(kube::Error::SerdeError)?;
            // Items of a list do not say what they are.
            value["apiVersion"] = Value::String(if group.is_empty() {
                version.to_owned()
            } else {
                format!("{group}/{version}")
            });
            value["kind"] = Value::String(kind.to_owned());
            for owner in owners {
                companions.entry(owner).or_default().push(value.clone());
            }
        }
    }
    let of = |app: DynamicObject| {
        let namespace = app.namespace().unwrap_or_default();
        let spec = app
            .data
            .get("spec")
            .cloned()
            .and_then(|spec| serde_json::from_value(spec).ok())
            .unwrap_or_default();
        let recorded = app
            .data
            .get("status")
            .and_then(|status| status["driverInfo"]["podName"].as_str());
        let name = recorded.map_or_else(|| published::driver_pod(&app.name_any(), &spec), str::to_owned);
        Facts {
            drivers: drivers.get(&(namespace, name)).cloned().unwrap_or_default(),
            companions: companions
                .get(app.metadata.uid.as_deref().unwrap_or_default())
                .cloned()
                .unwrap_or_default(),
            app,
        }
    };
    Ok(applications.into_iter().map(of).collect())
}

/// All objects of a kind, page by page.
pub(super) async fn list(
    client: &Client,
    namespace: Option<&str>,
    (group, version, kind): (&str, &str, &str),
    labels: &str,
) -> Result<Vec<DynamicObject>, kube::Error> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let mut parameters = ListParams::default().limit(PAGE).labels(labels);
    let mut all = Vec::new();
    loop {
        let page = api.list(&parameters).await?;
        let next = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        all.extend(page.items);
        match next {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(all),
        }
    }
}
