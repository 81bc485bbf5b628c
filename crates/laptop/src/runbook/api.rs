//! Requests to the API server, with answers as JSON.

use http::Request;
use kube::Client;
use serde_json::{Value, json};
use stoke_observe::runbook::{Kind, Object, Right};

/// Who writes, in managed fields.
const MANAGER: &str = "stoke-runbook";

/// What became of a request that the API server may refuse for reasons that matter.
pub enum Refused {
    NotFound,
    /// The object is another, or was changed meanwhile.
    Conflict(String),
    /// Not now: a disruption budget.
    TooMany(String),
    Other(String),
}

impl Refused {
    pub fn says(self) -> String {
        match self {
            Refused::NotFound => "it is gone".to_owned(),
            Refused::Conflict(says) | Refused::TooMany(says) | Refused::Other(says) => says,
        }
    }
}

fn refused(error: kube::Error) -> Refused {
    match error {
        kube::Error::Api(status) => match status.code {
            404 => Refused::NotFound,
            409 => Refused::Conflict(status.message.clone()),
            429 => Refused::TooMany(status.message.clone()),
            code => Refused::Other(format!("the API server answers {code}: {}", status.message)),
        },
        other => Refused::Other(format!("the API server cannot be reached: {other}")),
    }
}

/// The collection of a kind; of all namespaces when none is named.
pub fn collection(kind: Kind, namespace: &str) -> String {
    let (group, version, plural) = kind.api();
    let base = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    match namespace {
        "" => format!("{base}/{plural}"),
        namespace => format!("{base}/namespaces/{namespace}/{plural}"),
    }
}

pub fn path(object: &Object) -> String {
    format!("{}/{}", collection(object.kind, &object.namespace), object.name)
}

/// A query with values as they may stand in one.
pub fn query(parameter: &str, value: &str) -> String {
    let encoded: String = value
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("?{parameter}={encoded}")
}

async fn send(client: &Client, method: &str, path: &str, kind: &str, body: Option<&Value>) -> Result<Value, Refused> {
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", kind)
        .body(body);
    let request = request.map_err(|error| Refused::Other(error.to_string()))?;
    client.request(request).await.map_err(refused)
}

/// An object; none when it is not there.
pub async fn get(client: &Client, path: &str) -> Result<Option<Value>, String> {
    match send(client, "GET", path, "application/json", None).await {
        Ok(object) => Ok(Some(object)),
        Err(Refused::NotFound) => Ok(None),
        Err(other) => Err(other.says()),
    }
}

/// The objects of a collection.
pub async fn list(client: &Client, path: &str) -> Result<Vec<Value>, String> {
    let mut found = send(client, "GET", path, "application/json", None)
        .await
        .map_err(Refused::says)?;
    match found["items"].take() {
        Value::Array(items) => Ok(items),
        _ => Ok(Vec::new()),
    }
}

fn terms(dry: bool) -> String {
    match dry {
        true => format!("?fieldManager={MANAGER}&dryRun=All"),
        false => format!("?fieldManager={MANAGER}"),
    }
}

pub async fn patch(client: &Client, object: &Object, patch: &Value, dry: bool) -> Result<Value, Refused> {
    let path = format!("{}{}", path(object), terms(dry));
    send(client, "PATCH", &path, "application/merge-patch+json", Some(patch)).await
}

pub async fn create(client: &Client, object: &Object, manifest: &Value, dry: bool) -> Result<Value, Refused> {
    let path = format!("{}{}", collection(object.kind, &object.namespace), terms(dry));
    send(client, "POST", &path, "application/json", Some(manifest)).await
}

/// Deletes the object with this uid, or whatever has its name.
pub async fn delete(client: &Client, object: &Object, uid: Option<&str>, dry: bool) -> Result<Value, Refused> {
    let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
    if let Some(uid) = uid {
        options["preconditions"] = json!({"uid": uid});
    }
    if dry {
        options["dryRun"] = json!(["All"]);
    }
    send(client, "DELETE", &path(object), "application/json", Some(&options)).await
}

pub async fn evict(client: &Client, object: &Object, uid: &str, dry: bool) -> Result<Value, Refused> {
    let mut options = json!({"preconditions": {"uid": uid}});
    if dry {
        options["dryRun"] = json!(["All"]);
    }
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": object.name, "namespace": object.namespace}, "deleteOptions": options,
    });
    send(
        client,
        "POST",
        &format!("{}/eviction", path(object)),
        "application/json",
        Some(&eviction),
    )
    .await
}

/// Whether who runs this has a right.
pub async fn may(client: &Client, right: &Right) -> Result<bool, String> {
    let (group, version, plural) = right.kind.api();
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "verb": right.verb, "group": group, "version": version, "resource": plural, "subresource": right.subresource,
            "namespace": right.namespace, "name": right.name,
        }},
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let answer = send(client, "POST", path, "application/json", Some(&review)).await;
    Ok(answer.map_err(Refused::says)?["status"]["allowed"] == true)
}
