//! Who else works in the cluster: an operator that would act on the same applications while they are taken over.

use jiff::{SignedDuration, Timestamp};
use kube::core::DynamicObject;
use kube::{Client, ResourceExt};
use stoke_model::names as published;
use stoke_model::units::people::counted;

use super::look::list;
use super::text;
use crate::act::is_code;

/// An operator that may be at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// What was seen.
    pub what: String,
    /// How to end it.
    pub fix: String,
}

/// Operators at work: Deployments that run one, and leases that one holds. What may not be listed is a rival too: it cannot be ruled out.
///
/// # Errors
/// The API server not reached.
pub async fn rivals(client: &Client, now: Timestamp) -> Result<Vec<Rival>, kube::Error> {
    let mut found = Vec::new();
    match list(client, None, ("apps", "v1", "Deployment"), "").await {
        Ok(deployments) => found.extend(deployments.iter().filter_map(deployment)),
        Err(error) if is_code(&error, 403) => found.push(unknown("Deployments")),
        Err(error) if is_code(&error, 404) => {}
        Err(error) => return Err(error),
    }
    match list(client, None, ("coordination.k8s.io", "v1", "Lease"), "").await {
        Ok(leases) => found.extend(leases.iter().filter_map(|object| lease(object, now))),
        Err(error) if is_code(&error, 403) => found.push(unknown("leases")),
        Err(error) if is_code(&error, 404) => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

fn unknown(what: &str) -> Rival {
    Rival {
        what: format!("the {what} of the cluster may not be listed, so a running operator cannot be ruled out"),
        fix: "ask someone who may (`kubectl get deployments -A`), then give --force".to_owned(),
    }
}

/// A Deployment of the published operator's controller, or of ours, that has or wants replicas.
fn deployment(object: &DynamicObject) -> Option<Rival> {
    let label = |key: &str| object.labels().get(key).map(String::as_str);
    let containers = object.data["spec"]["template"]["spec"]["containers"].as_array();
    // Of whatever registry, and with whatever tag.
    let by_image = containers.into_iter().flatten().any(|container| {
        let mut parts = text(&container["image"]).split(['/', ':', '@']);
        parts.any(|part| part == "spark-operator")
    });
    let by_label = label("app.kubernetes.io/name") == Some("spark-operator");
    let webhook = label("app.kubernetes.io/component") == Some("webhook");
    let wanted = object.data["spec"]["replicas"].as_i64().unwrap_or(1);
    let there = object.data["status"]["replicas"].as_i64().unwrap_or_default();
    if !(by_label || by_image) || webhook || wanted.max(there) == 0 {
        return None;
    }
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let what = match wanted {
        0 => format!("Deployment {name} in {namespace} is scaled to 0 and {there} of its pods are still there"),
        _ => format!(
            "Deployment {name} in {namespace} runs an operator with {}",
            counted(wanted, "replica")
        ),
    };
    let fix = match wanted {
        0 => "wait until they are gone".to_owned(),
        _ => format!("kubectl scale deployment {name} -n {namespace} --replicas=0"),
    };
    Some(Rival { what, fix })
}

/// A lease of an operator that someone renewed within its time.
fn lease(object: &DynamicObject, now: Timestamp) -> Option<Rival> {
    let name = object.name_any();
    if !name.starts_with(published::LEADER_LEASE) {
        return None;
    }
    let spec = &object.data["spec"];
    let holder = text(&spec["holderIdentity"]);
    let renewed: Timestamp = text(&spec["renewTime"]).parse().ok()?;
    let duration = SignedDuration::from_secs(spec["leaseDurationSeconds"].as_i64().unwrap_or(15));
    if holder.is_empty() || now.duration_since(renewed) > duration {
        return None;
    }
    let namespace = object.namespace().unwrap_or_default();
    Some(Rival {
        what: format!("{holder} holds the lease {name} in {namespace}"),
        fix: "end that operator, wherever it runs, and try again after the lease's time".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn controllers_with_replicas_are_rivals() {
        let with = |labels: Value, image: &str, replicas: Value, there: i64| {
            object(json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "o", "namespace": "n", "labels": labels},
                "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"image": image}]}}}, "status": {"replicas": there},
            }))
        };
        let labels = json!({"app.kubernetes.io/name": "spark-operator", "app.kubernetes.io/component": "controller"});
        let webhook = json!({"app.kubernetes.io/name": "spark-operator", "app.kubernetes.io/component": "webhook"});
        let published = "ghcr.io/kubeflow/spark-operator/controller:2.5.2";
        assert_eq!(
            deployment(&with(labels.clone(), "x", json!(1), 1)).unwrap().fix,
            "kubectl scale deployment o -n n --replicas=0"
        );
        assert!(deployment(&with(json!({}), published, Value::Null, 0)).is_some());
        let mirrored = "registry:5000/kubeflow/spark-operator/controller@sha256:0";
        assert!(deployment(&with(json!({}), mirrored, json!(1), 1)).is_some());
        assert!(deployment(&with(json!({}), "docker.io/kubeflow/spark-operator:v1", json!(2), 0)).is_some());
        assert!(
            deployment(&with(labels.clone(), published, json!(0), 1))
                .unwrap()
                .what
                .contains("still there")
        );
        assert_eq!(deployment(&with(labels, published, json!(0), 0)), None);
        assert_eq!(deployment(&with(webhook, published, json!(1), 1)), None);
        assert_eq!(deployment(&with(json!({}), "team/etl", json!(1), 1)), None);
    }

    #[test]
    fn a_lease_in_time_is_a_rival() {
        let now: Timestamp = "2026-01-01T00:00:20Z".parse().unwrap();
        let with = |name: &str, holder: &str, renewed: &str| {
            object(json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": "n"},
                "spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15},
            }))
        };
        let name = published::LEADER_LEASE;
        assert!(lease(&with(name, "pod_1", "2026-01-01T00:00:10.000000Z"), now).is_some());
        assert!(lease(&with(&format!("{name}-0"), "pod_1", "2026-01-01T00:00:10Z"), now).is_some());
        for (name, holder, renewed) in [
            (name, "pod_1", "2026-01-01T00:00:00Z"),
            (name, "", "2026-01-01T00:00:10Z"),
            (name, "pod_1", "never"),
            ("other", "pod_1", "2026-01-01T00:00:10Z"),
        ] {
            assert_eq!(lease(&with(name, holder, renewed), now), None);
        }
    }
}
