//! Kubernetes objects about one application.

use http::Request;
use serde_json::Value;
use stoke_insight::facts::Objects;
use stoke_model::names;

use super::text;
use crate::error::{LaptopError, Outcome};
use crate::session::Session;

/// What was found, and what could not be seen.
pub struct Found {
    /// The objects.
    pub found: Objects,
    /// What was refused, for people.
    pub notes: Vec<String>,
}

/// Everything about an application; none when there is no such application.
pub async fn all(session: &Session, namespace: &str, name: &str) -> Outcome<Option<Found>> {
    let path = format!("/apis/sparkoperator.k8s.io/v1beta2/namespaces/{namespace}/sparkapplications/{name}");
    let application = match get(session, &path).await {
        Ok(application) => application,
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let in_namespace = |rest: &str| format!("/api/v1/namespaces/{namespace}/{rest}");
    let pods = in_namespace(&format!("pods?labelSelector={}%3D{name}", names::LABEL_APP_NAME));
    let (events, quotas, claims) = (
        in_namespace("events"),
        in_namespace("resourcequotas"),
        in_namespace("persistentvolumeclaims"),
    );
    let policies = format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies");
    // Events about nodes are kept in one namespace for all: a drain, a notice for a spot node.
    let of_nodes = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.kind%3DNode";
    let (pods, events, quotas, claims, policies, nodes, node_events) = tokio::join!(
        list(session, &pods),
        list(session, &events),
        list(session, &quotas),
        list(session, &claims),
        list(session, &policies),
        list(session, "/api/v1/nodes"),
        list(session, of_nodes),
    );
    let mut notes = Vec::new();
    let mut seen = |what: &str, listed: Result<Vec<Value>, kube::Error>| match listed {
        Ok(items) => Ok(items),
        // What one may not see is not known; the rest is.
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => {
            notes.push(format!("{what} cannot be seen: {}", status.message));
            Ok(Vec::new())
        }
        Err(error) => Err(LaptopError::from(error)),
    };
    let mut found = Objects {
        pods: seen("pods", pods)?,
        events: seen("events", events)?,
        quotas: seen("quotas", quotas)?,
        network_policies: seen("network policies", policies)?,
        claims: seen("claims", claims)?,
        nodes: seen("nodes", nodes)?,
        application,
    };
    // Who may not see them is told nothing: nodes are others' business.
    found.events.extend(node_events.unwrap_or_default());
    keep_own(&mut found, name);
    Ok(Some(Found { found, notes }))
}

async fn get(session: &Session, path: &str) -> Result<Value, kube::Error> {
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(kube::core::request::Error::BuildRequest)
        .map_err(kube::Error::BuildRequest)?;
    session.client.request(request).await
}

pub async fn list(session: &Session, path: &str) -> Result<Vec<Value>, kube::Error> {
    let mut list = get(session, path).await?;
    match list["items"].take() {
        Value::Array(items) => Ok(items),
        _ => Ok(Vec::new()),
    }
}

/// Leaves the pods of the last submission, the events about them and the claims they name.
fn keep_own(objects: &mut Objects, name: &str) {
    let status = &objects.application["status"];
    let submission = text(&status["submissionID"]);
    let label = |object: &Value, label: &str| text(&object["metadata"]["labels"][label]);
    if !submission.is_empty() {
        objects
            .pods
            .retain(|pod| label(pod, names::LABEL_SUBMISSION_ID) == submission);
    }
    let mut pods: Vec<String> = objects.pods.iter().map(|pod| text(&pod["metadata"]["name"])).collect();
    pods.push(text(&status["driverInfo"]["podName"]));
    pods.extend(
        status["executorState"]
            .as_object()
            .into_iter()
            .flat_map(|executors| executors.keys().cloned()),
    );
    let claims: Vec<String> = objects
        .pods
        .iter()
        .flat_map(|pod| pod["spec"]["volumes"].as_array().cloned().unwrap_or_default())
        .map(|volume| text(&volume["persistentVolumeClaim"]["claimName"]))
        .collect();
    let since = text(&status["lastSubmissionAttemptTime"]);
    objects.events.retain(|event| {
        let about = match event["involvedObject"].is_null() {
            true => &event["regarding"],
            false => &event["involvedObject"],
        };
        let of = text(&about["name"]);
        // A name is used again by the next submission; times tell them apart, as text of one form.
        let last = [&event["lastTimestamp"], &event["eventTime"], &event["firstTimestamp"]]
            .into_iter()
            .find_map(Value::as_str)
            .unwrap_or_default();
        let is_of_now = since.is_empty() || last.get(..19) >= since.get(..19);
        match about["kind"].as_str() {
            Some("SparkApplication") => of == name,
            Some("Pod") => (pods.contains(&of) || executor_of(&of, name)) && is_of_now,
            Some("Node") => is_of_now,
            Some("PersistentVolumeClaim") => claims.contains(&of),
            _ => false,
        }
    });
    objects
        .claims
        .retain(|claim| claims.contains(&text(&claim["metadata"]["name"])));
}

/// Whether a pod has the name Spark gives executors of this application: the name, 16 hexadecimal digits, `exec` and a number.
fn executor_of(pod: &str, application: &str) -> bool {
    let Some(rest) = pod.strip_prefix(application).and_then(|rest| rest.strip_prefix('-')) else {
        return false;
    };
    let Some((hash, number)) = rest.split_once("-exec-") else {
        return false;
    };
    hash.len() == 16
        && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
        && number.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn executors_are_known_by_their_names() {
        for (pod, application, expected) in [
            ("etl-0123456789abcdef-exec-12", "etl", true),
            ("etl-2-0123456789abcdef-exec-1", "etl", false),
            ("etl-2-0123456789abcdef-exec-1", "etl-2", true),
            ("etl-driver", "etl", false),
            ("etl-0123456789abcdef-exec-x", "etl", false),
        ] {
            assert_eq!(executor_of(pod, application), expected, "{pod} of {application}");
        }
    }

    #[test]
    fn what_belongs_to_others_and_to_earlier_submissions_is_left_out() {
        let pod = |name: &str, submission: &str| {
            json!({"metadata": {"name": name, "labels": {"sparkoperator.k8s.io/submission-id": submission}},
                   "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]}})
        };
        let event = |kind: &str, name: &str, time: &str| json!({"involvedObject": {"kind": kind, "name": name}, "lastTimestamp": time});
        let mut objects = Objects {
            application: json!({"status": {
                "submissionID": "s2", "driverInfo": {"podName": "etl-driver"}, "lastSubmissionAttemptTime": "2026-01-02T00:00:00Z",
            }}),
            pods: vec![pod("etl-driver", "s2"), pod("etl-driver", "s1")],
            events: vec![
                event("SparkApplication", "etl", "2026-01-01T00:00:00Z"),
                event("SparkApplication", "etl-2", "2026-01-02T00:00:00Z"),
                event("Pod", "etl-driver", "2026-01-01T23:59:59Z"),
                event("Pod", "etl-driver", "2026-01-02T00:00:00Z"),
                event("Pod", "etl-0123456789abcdef-exec-1", "2026-01-02T00:00:09Z"),
                event("Pod", "web", "2026-01-02T00:00:09Z"),
                event("Node", "n1", "2026-01-01T00:00:09Z"),
                event("Node", "n1", "2026-01-02T00:00:09Z"),
                event("PersistentVolumeClaim", "data", "2026-01-02T00:00:09Z"),
            ],
            claims: vec![
                json!({"metadata": {"name": "data"}}),
                json!({"metadata": {"name": "other"}}),
            ],
            ..Objects::default()
        };
        keep_own(&mut objects, "etl");
        assert_eq!((objects.pods.len(), objects.claims.len()), (1, 1));
        let names: Vec<String> = objects
            .events
            .iter()
            .map(|event| text(&event["involvedObject"]["name"]))
            .collect();
        assert_eq!(
            names,
            ["etl", "etl-driver", "etl-0123456789abcdef-exec-1", "n1", "data"]
        );
    }
}
