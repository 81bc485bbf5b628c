//! Sends the cases to a server and writes down what of its answers is the same every time.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use http::Method;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::generate::{BASE, Case, Form, Kind, Request, hash};
use crate::mutate::{REMOVE, places, set};

/// Requests under way at once.
const AT_ONCE: usize = 8;

/// What a server answered to a case.
pub struct Answer {
    /// The case.
    pub name: String,
    /// Of what was sent: a case that is another one now needs another record.
    pub hash: u64,
    /// HTTP code.
    pub code: u16,
    /// The body: a Status, or an object without what is new every time.
    pub body: Value,
    /// Leaves of what was sent.
    pub sent: BTreeMap<String, Value>,
    /// Texts of the Warning headers.
    pub warnings: Vec<String>,
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

struct Raw {
    code: u16,
    body: Value,
    warnings: Vec<String>,
}

async fn send(client: &Client, method: &str, path: &str, kind: &str, body: Vec<u8>) -> Raw {
    let request = http::Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path)
        .header("content-type", kind)
        .header("accept", "application/json")
        .body(Body::from(body))
        .unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(60), client.send(request))
        .await
        .expect(path);
    let answer = match answer {
        Ok(answer) => answer,
        // A server that falls over such a request hangs up.
        Err(kube::Error::Service(_)) => {
            return Raw {
                code: 0,
                body: Value::Null,
                warnings: Vec::new(),
            };
        }
        Err(error) => panic!("{path}: {error}"),
    };
    let (parts, body) = answer.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let warnings = parts.headers.get_all("warning").iter().filter_map(|value| {
        let text = value.to_str().ok()?.strip_prefix("299 - \"")?.strip_suffix('"')?;
        Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
    });
    let warnings = warnings.collect();
    Raw {
        code: parts.status.as_u16(),
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        warnings,
    }
}

async fn send_json(client: &Client, method: &str, path: &str, body: &Value) -> Raw {
    send(client, method, path, "application/json", body.to_string().into_bytes()).await
}

fn within(path: &str, namespace: &str) -> String {
    path.replace("{ns}", namespace)
}

fn based(kind: &Kind) -> Value {
    let mut object = kind.object.clone();
    if !kind.own_name {
        set(&mut object, "metadata.name", &json!(BASE));
    }
    // Where controllers run, what nobody owns would be removed.
    set(&mut object, "metadata.ownerReferences", &json!(REMOVE));
    object
}

fn base_path(kind: &Kind, namespace: &str) -> String {
    let name = based(kind)["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    format!("{}/{name}", within(&kind.collection, namespace))
}

/// Sends every case in a namespace of its own, which is removed afterwards.
pub async fn all(client: &Client, kinds: &[Kind]) -> Vec<Answer> {
    let unique = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let namespace = &*format!("verdicts-{:08x}", hash(&unique.to_string()) as u32);
    let made = send_json(
        client,
        "POST",
        "/api/v1/namespaces",
        &json!({"metadata": {"name": namespace}}),
    )
    .await;
    assert_eq!(made.code, 201, "{}", made.body);
    // Where no controller gives a namespace its account, it is given by hand.
    let account = json!({"metadata": {"name": "default"}});
    let made = send_json(
        client,
        "POST",
        &format!("/api/v1/namespaces/{namespace}/serviceaccounts"),
        &account,
    )
    .await;
    assert!([201, 409].contains(&made.code), "{}", made.body);
    let mut defined = Vec::new();
    for file in kinds.iter().filter_map(|kind| kind.definition.as_ref()) {
        defined.extend(define(client, file).await);
    }
    let mut stored = BTreeMap::new();
    for kind in kinds.iter().filter(|kind| kind.has_base()) {
        let path = base_path(kind, namespace);
        if !kind.collection.contains("{ns}") {
            send_json(client, "DELETE", &path, &json!({})).await;
        }
        let made = send_json(client, "POST", &within(&kind.collection, namespace), &based(kind)).await;
        if made.code != 201 {
            eprintln!("{} has no base: {}", kind.name, made.body["message"]);
        }
        stored.insert(kind.name.clone(), made.body);
    }
    let mut answers = Vec::new();
    for kind in kinds {
        let base = stored.get(&kind.name);
        let sent =
            stream::iter(kind.cases()).map(|case| async move { answer(client, kind, base, case, namespace).await });
        answers.extend(sent.buffered(AT_ONCE).collect::<Vec<_>>().await);
    }
    for kind in kinds.iter().filter(|kind| kind.has_base()) {
        send_json(
            client,
            "DELETE",
            &base_path(kind, namespace),
            &json!({"gracePeriodSeconds": 0, "propagationPolicy": "Background"}),
        )
        .await;
    }
    send_json(client, "DELETE", &format!("/api/v1/namespaces/{namespace}"), &json!({})).await;
    for name in defined {
        send_json(client, "DELETE", &format!("{DEFINITIONS}/{name}"), &json!({})).await;
    }
    answers
}

/// Makes a custom resource known; answers its name if it was not known before.
async fn define(client: &Client, file: &str) -> Option<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(file);
    let definition: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
    let made = send_json(client, "POST", DEFINITIONS, &definition).await;
    assert!([201, 409].contains(&made.code), "{}", made.body);
    for _ in 0..600 {
        let found = send_json(client, "GET", &format!("{DEFINITIONS}/{name}"), &json!({}))
            .await
            .body;
        let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if conditions
            .iter()
            .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The server is told of what it serves a moment after it says so.
    tokio::time::sleep(Duration::from_secs(1)).await;
    (made.code == 201).then_some(name)
}

async fn answer(client: &Client, kind: &Kind, base: Option<&Value>, case: Case, namespace: &str) -> Answer {
    let collection = within(&kind.collection, namespace);
    let (raw, sent, shown) = match case.form {
        Form::Create(object) => {
            let raw = send_json(client, "POST", &format!("{collection}?dryRun=All"), &object).await;
            let shown = object.to_string();
            (raw, object, shown)
        }
        Form::Update(changes) => {
            let mut object = base.cloned().unwrap_or_default();
            object["metadata"]
                .as_object_mut()
                .map(|fields| fields.remove("resourceVersion"));
            object["metadata"]
                .as_object_mut()
                .map(|fields| fields.remove("managedFields"));
            object.as_object_mut().map(|fields| fields.remove("status"));
            changes.iter().for_each(|(path, value)| set(&mut object, path, value));
            let path = format!("{}?dryRun=All", base_path(kind, namespace));
            let mut raw = send_json(client, "PUT", &path, &object).await;
            // Controllers may have written it meanwhile.
            raw.body
                .as_object_mut()
                .filter(|body| body.get("kind") != Some(&json!("Status")))
                .map(|fields| fields.remove("status"));
            (raw, object, format!("{changes:?}"))
        }
        Form::Raw(request) => {
            let (raw, shown) = (
                raw(client, &request, namespace).await,
                format!(
                    "{} {} {:?} {} {:?}",
                    request.method, request.path, request.content_type, request.body, request.text
                ),
            );
            (raw, Value::Null, shown)
        }
    };
    let (body, sent) = (steady(raw.body, namespace), steady(sent, namespace));
    let mut warnings: Vec<String> = raw
        .warnings
        .into_iter()
        .map(|text| text.replace(namespace, "<ns>"))
        .collect();
    warnings.sort();
    Answer {
        name: case.name,
        hash: hash(&shown),
        code: raw.code,
        body,
        sent: leaves(&sent),
        warnings,
    }
}

async fn raw(client: &Client, request: &Request, namespace: &str) -> Raw {
    let body = match (&request.text, &request.body) {
        (Some(text), _) => text.clone(),
        (None, Value::Null) => String::new(),
        (None, body) => body.to_string(),
    };
    let kind = request.content_type.as_deref().unwrap_or("application/json");
    send(
        client,
        &request.method,
        &within(&request.path, namespace),
        kind,
        body.replace("{ns}", namespace).into_bytes(),
    )
    .await
}

/// Replaces what is new every time: the run's namespace, identities, times, versions, addresses, generated names.
fn steady(mut body: Value, namespace: &str) -> Value {
    let uid = body["metadata"]["uid"]
        .as_str()
        .or(body["details"]["uid"].as_str())
        .map(str::to_owned);
    let name = body["metadata"]["name"].as_str().map(str::to_owned);
    let prefix = body["metadata"]["generateName"].as_str().map(str::to_owned);
    if let Some(fields) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "resourceVersion", "uid", "creationTimestamp"] {
            fields.remove(field);
        }
        if let Some(annotations) = fields.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("deployment.kubernetes.io/revision");
        }
    }
    if body.is_null() {
        return body;
    }
    let mut text = body.to_string().replace(namespace, "<ns>");
    if let Some(uid) = uid {
        text = text.replace(&uid, "<uid>");
    }
    if let (Some(name), Some(prefix)) = (name, prefix)
        && let Some(end) = name.strip_prefix(&prefix)
        && end.len() == 5
    {
        text = text.replace(&name, &format!("{prefix}<random>"));
    }
    let text = patterns().iter().fold(text, |text, (pattern, instead)| {
        pattern.replace_all(&text, *instead).into_owned()
    });
    serde_json::from_str(&text).unwrap()
}

fn patterns() -> &'static [(regex::Regex, &'static str)] {
    static PATTERNS: std::sync::OnceLock<Vec<(regex::Regex, &'static str)>> = std::sync::OnceLock::new();
    PATTERNS.get_or_init(|| {
        [
            (r"kube-api-access-[a-z0-9]{5}", "kube-api-access-<random>"),
            (r"\b(10\.96|127\.[0-9]+)\.[0-9]+\.[0-9]+\b", "<address>"),
            (r#""(nodePort|healthCheckNodePort)":3[0-9]{4}"#, r#""$1":"<port>""#),
            (
                r#""(lastTransitionTime|lastProbeTime|lastPhaseTransitionTime)":"[^"]*""#,
                r#""$1":"<time>""#,
            ),
            (r"20(2[5-9]|[3-9][0-9])-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "<time>"),
            (r#"(resourceVersion\\*":\\*")[0-9]+"#, "$1<version>"),
            (r"in record \([0-9]+\)", "in record (<version>)"),
            (
                r"version: [0-9]+, current: [0-9]+",
                "version: <version>, current: <version>",
            ),
            (r"\bX_[a-z0-9]{5}\b", "X_<random>"),
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
        ]
        .into_iter()
        .map(|(pattern, instead)| (regex::Regex::new(pattern).unwrap(), instead))
        .collect()
    })
}

/// Every value of an object that has no values of its own.
pub fn leaves(value: &Value) -> BTreeMap<String, Value> {
    let mut found = Vec::new();
    places(value, "", &mut found);
    let empty = |value: &Value| {
        value.as_object().is_none_or(serde_json::Map::is_empty) && value.as_array().is_none_or(Vec::is_empty)
    };
    found
        .into_iter()
        .filter(|(_, value)| empty(value))
        .map(|(path, value)| (path, value.clone()))
        .collect()
}
