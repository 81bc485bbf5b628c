//! What a run reads of a cluster.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stoke_insight::doctor::examine;
use stoke_model::names;
use stoke_observe::runbook::{Answer, Input, Kind, Object, Read, books};
use x509_parser::pem::parse_x509_pem;

use super::outside::Edge;
use super::{api, files, probes};
use crate::gather;

/// Reads one thing.
pub async fn read(edge: &Edge<'_>, what: Read, input: &Input, record: &str) -> Answer {
    let client = &edge.session.client;
    let namespace = input.namespace.as_str();
    match what {
        Read::Application => one(edge, namespace, Kind::SparkApplication, input.get("application")).await,
        Read::ApplicationPods => match input.get("application") {
            Some(name) => {
                pods(
                    edge,
                    namespace,
                    "labelSelector",
                    &format!("{}={name}", names::LABEL_APP_NAME),
                )
                .await
            }
            None => Ok(Vec::new()),
        },
        Read::Findings => findings(edge, input).await,
        Read::Applications => all(edge, namespace, Kind::SparkApplication).await,
        Read::Schedule => match input.get("schedule") {
            Some(name) => one(edge, namespace, Kind::ScheduledSparkApplication, Some(name)).await,
            None => {
                let application = one(edge, namespace, Kind::SparkApplication, input.get("application")).await?;
                let label = |object: &Value| {
                    let label = object["metadata"]["labels"][names::LABEL_SCHEDULED_APP_NAME].as_str();
                    label.map(str::to_owned)
                };
                let name = application.first().and_then(label);
                one(edge, namespace, Kind::ScheduledSparkApplication, name.as_deref()).await
            }
        },
        Read::Schedules => all(edge, namespace, Kind::ScheduledSparkApplication).await,
        Read::Connect => one(edge, namespace, Kind::SparkConnect, input.get("connect")).await,
        Read::ConnectPod => {
            let server = input.get("connect").map(names::connect_server);
            one(edge, namespace, Kind::Pod, server.as_deref()).await
        }
        Read::Handshake => probes::handshake(edge, input).await,
        Read::Connects => all(edge, namespace, Kind::SparkConnect).await,
        Read::Pods => all(edge, namespace, Kind::Pod).await,
        Read::Events => all(edge, namespace, Kind::Event).await,
        Read::Nodes => api::list(client, &api::collection(Kind::Node, "")).await,
        Read::NodePods => {
            pods(
                edge,
                "",
                "fieldSelector",
                &format!("spec.nodeName={}", input.text("node")),
            )
            .await
        }
        Read::Placed => {
            let mut placed = pods(
                edge,
                "",
                "fieldSelector",
                "status.phase!=Succeeded,status.phase!=Failed",
            )
            .await?;
            placed.retain(|pod| pod["spec"]["nodeName"].is_string());
            Ok(placed)
        }
        Read::Quotas => all(edge, namespace, Kind::ResourceQuota).await,
        Read::Workload => match input.workload() {
            Some((kind, name)) => one(edge, namespace, kind, Some(name)).await,
            None => Ok(Vec::new()),
        },
        Read::WorkloadPods => workload_pods(edge, input).await,
        Read::Endpoint => probes::endpoint(edge, input, probes::Speech::Plain).await,
        Read::Thrift => probes::endpoint(edge, input, probes::Speech::Thrift).await,
        Read::Store => probes::store(edge, input.text("store")).await,
        Read::Files => files::damaged(edge, input.text("store")).await,
        Read::Secret => Ok(one(edge, namespace, Kind::Secret, input.get("secret"))
            .await?
            .iter()
            .map(without_values)
            .collect()),
        Read::SecretCopy => {
            let name = input.get("secret").map(|secret| books::secret_copy(secret, record));
            Ok(one(edge, namespace, Kind::Secret, name.as_deref())
                .await?
                .iter()
                .map(without_values)
                .collect())
        }
        Read::Webhooks => {
            let mut both = api::list(client, &api::collection(Kind::MutatingWebhookConfiguration, "")).await?;
            both.extend(api::list(client, &api::collection(Kind::ValidatingWebhookConfiguration, "")).await?);
            Ok(both)
        }
        Read::Leases => all(edge, namespace, Kind::Lease).await,
        Read::Canary => {
            let name = input
                .get("application")
                .map(|application| books::canary(application, record));
            one(edge, namespace, Kind::SparkApplication, name.as_deref()).await
        }
        Read::Incident => Ok(Vec::new()),
    }
}

async fn all(edge: &Edge<'_>, namespace: &str, kind: Kind) -> Answer {
    api::list(&edge.session.client, &api::collection(kind, namespace)).await
}

/// The object of this name; none without one.
async fn one(edge: &Edge<'_>, namespace: &str, kind: Kind, name: Option<&str>) -> Answer {
    match name {
        Some(name) => object(edge, &Object::new(kind, namespace, name)).await,
        None => Ok(Vec::new()),
    }
}

async fn object(edge: &Edge<'_>, object: &Object) -> Answer {
    Ok(api::get(&edge.session.client, &api::path(object))
        .await?
        .into_iter()
        .collect())
}

async fn pods(edge: &Edge<'_>, namespace: &str, parameter: &str, value: &str) -> Answer {
    let path = format!(
        "{}{}",
        api::collection(Kind::Pod, namespace),
        api::query(parameter, value)
    );
    api::list(&edge.session.client, &path).await
}

/// The pods that a Deployment or a StatefulSet selects.
pub async fn workload_pods(edge: &Edge<'_>, input: &Input) -> Answer {
    let Some((kind, name)) = input.workload() else {
        return Ok(Vec::new());
    };
    let found = object(edge, &Object::new(kind, &input.namespace, name)).await?;
    let labels = found
        .first()
        .and_then(|workload| workload["spec"]["selector"]["matchLabels"].as_object());
    let pairs = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let selector = pairs.collect::<Vec<_>>().join(",");
    match selector.is_empty() {
        true => Ok(Vec::new()),
        false => pods(edge, &input.namespace, "labelSelector", &selector).await,
    }
}

async fn findings(edge: &Edge<'_>, input: &Input) -> Answer {
    let Some(name) = input.get("application") else {
        return Ok(Vec::new());
    };
    let says = |error: crate::LaptopError| format!("the doctor cannot look at it: {}", error.diagnostic.message);
    let gathered = gather::of_namespace(edge.session, &input.namespace, name, edge.home)
        .await
        .map_err(says)?;
    let Some(gathered) = gathered else {
        return Ok(Vec::new());
    };
    let facts = gathered.facts().await.map_err(says)?;
    let findings = examine(&facts);
    findings
        .iter()
        .map(|finding| serde_json::to_value(finding).map_err(|error| error.to_string()))
        .collect()
}

/// A Secret without its values: names of its keys, public certificates, and when the one that is served ends.
fn without_values(secret: &Value) -> Value {
    let data = secret["data"].as_object();
    let keys: Vec<&String> = data.into_iter().flatten().map(|(key, _)| key).collect();
    let certificates = data.into_iter().flatten().filter(|(key, _)| key.ends_with(".crt"));
    let certificates: serde_json::Map<String, Value> =
        certificates.map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut metadata = secret["metadata"].clone();
    if let Some(annotations) = metadata["annotations"].as_object_mut() {
        annotations.retain(|name, _| !name.ends_with("last-applied-configuration"));
    }
    let served = certificates.get("tls.crt").and_then(Value::as_str).and_then(end_of);
    json!({
        "metadata": metadata, "type": secret["type"], "keys": keys, "certificates": certificates,
        "certificate": {"notAfter": served},
    })
}

/// When a certificate ends, as RFC 3339.
fn end_of(encoded: &str) -> Option<String> {
    let pem = STANDARD.decode(encoded).ok()?;
    let (_, pem) = parse_x509_pem(&pem).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let end = jiff::Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?;
    Some(end.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_secret_but_names_and_certificates_is_read() {
        let secret = json!({"metadata": {"name": "s", "uid": "1"}, "type": "Opaque", "data": {"key": "c2VjcmV0", "ca.crt": "cHVibGlj"}});
        let read = without_values(&secret);
        assert_eq!(read["keys"], json!(["key", "ca.crt"]));
        assert_eq!(read["certificates"], json!({"ca.crt": "cHVibGlj"}));
        assert!(!read.to_string().contains("c2VjcmV0"), "{read}");
    }

    #[test]
    fn the_last_apply_of_a_secret_may_hold_its_values_and_is_left_out() {
        let annotations =
            json!({"kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"key\":\"c2VjcmV0\"}}", "a": "b"});
        let read = without_values(
            &json!({"metadata": {"name": "s", "annotations": annotations}, "data": {"key": "c2VjcmV0"}}),
        );
        assert!(!read.to_string().contains("c2VjcmV0"), "{read}");
        assert_eq!(read["metadata"]["annotations"]["a"], "b");
    }
}
