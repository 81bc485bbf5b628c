//! Asks an API server about a job, as a server-side dry run.

use http::{HeaderMap, Request, Response};
use k8s_openapi::api::core::v1::{Node, ResourceQuota};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::discovery::Scope;
use kube::{Client, ResourceExt};
use serde_json::Value;
use stoke_gate::runs::cluster::{Answer, ClusterAnswers, requests};
use stoke_gate::{Job, Settings};
use stoke_laptop::apply::{FIELD_MANAGER, api_for, kind_of};
use stoke_laptop::home::Home;
use stoke_laptop::session::{self, Place};

use crate::cli::Target;
use crate::terminal::Terminal;

/// Asks about every object of a job and its pods, one after the other: at most two requests each. Nothing is stored.
pub async fn run(
    job: &Job,
    settings: &mut Settings,
    home: &Home,
    target: &Target,
    terminal: &mut Terminal,
) -> ClusterAnswers {
    let session = match session::open(home, &target.cluster()).await {
        Ok(session) => session,
        Err(failure) => {
            let cluster = target
                .context
                .as_ref()
                .map_or("the embedded cluster".to_owned(), |name| format!("context `{name}`"));
            return ClusterAnswers {
                cluster,
                answers: Err((
                    failure.diagnostic.message.clone(),
                    failure.diagnostic.fix_text().to_owned(),
                )),
                quotas: Vec::new(),
                nodes: Vec::new(),
            };
        }
    };
    let cluster = match &session.place {
        Place::Context(name) => format!("context `{name}`"),
        Place::Private(_) | Place::Up => "the embedded cluster".to_owned(),
    };
    settings.namespace.clone_from(&session.namespace);
    let requests = requests(job, settings);
    let count = requests.len();
    let mut answers = Vec::new();
    for (number, request) in requests.into_iter().enumerate() {
        terminal.status(format!("asking {cluster}: {} of {count}", number + 1));
        let answer = ask(&session.client, &request.namespace, &request.object).await;
        answers.push((request, answer));
    }
    let mut namespaces: Vec<&str> = answers.iter().map(|(request, _)| request.namespace.as_str()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let mut quotas = Vec::new();
    for namespace in namespaces {
        // Whoever may not see them is told by the server itself when a pod does not fit.
        let api: Api<ResourceQuota> = Api::namespaced(session.client.clone(), namespace);
        let listed = api
            .list(&ListParams::default())
            .await
            .map(|list| list.items)
            .unwrap_or_default();
        quotas.extend(listed.into_iter().map(|quota| (namespace.to_owned(), quota)));
    }
    let api: Api<Node> = Api::all(session.client.clone());
    let nodes = api
        .list(&ListParams::default())
        .await
        .map(|list| list.items)
        .unwrap_or_default();
    terminal.end_status();
    ClusterAnswers {
        cluster,
        answers: Ok(answers),
        quotas,
        nodes,
    }
}

/// What the server says of an object: as if it were created, and if it is there already, applied.
async fn ask(client: &Client, namespace: &str, object: &Value) -> Answer {
    let (resource, capabilities) = match kind_of(client, object).await {
        Ok(found) => found,
        Err(_) if client.apiserver_version().await.is_ok() => return Answer::NoKind,
        Err(failure) => return Answer::None(failure.diagnostic.message.clone()),
    };
    let typed: DynamicObject = match serde_json::from_value(object.clone()) {
        Ok(typed) => typed,
        Err(error) => return Answer::None(format!("it is not an object: {error}")),
    };
    let api: Api<DynamicObject> = api_for(client, namespace, &resource, &capabilities, &typed);
    let builder = kube::core::Request::new(api.resource_url());
    let parameters = PostParams {
        dry_run: true,
        field_manager: Some(FIELD_MANAGER.into()),
    };
    let mut object = object.clone();
    if capabilities.scope == Scope::Namespaced && object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = namespace.into();
    }
    let created = builder.create(&parameters, object.to_string().into_bytes());
    let answer = send(client, created).await;
    match answer {
        Answer::Refused {
            code: 409, ref reason, ..
        } if reason == "AlreadyExists" => {
            let parameters = PatchParams::apply(FIELD_MANAGER).force().dry_run();
            send(
                client,
                builder.patch(&typed.name_any(), &parameters, &Patch::Apply(&object)),
            )
            .await
        }
        answer => answer,
    }
}

async fn send(client: &Client, request: Result<Request<Vec<u8>>, kube::core::request::Error>) -> Answer {
    let sent = async {
        let request = request.map_err(|error| error.to_string())?;
        let (mut parts, body) = request.into_parts();
        // Fields that no one knows are refused rather than dropped.
        parts.uri = format!("{}&fieldValidation=Strict", parts.uri)
            .parse()
            .map_err(|error| format!("{error}"))?;
        let answer = client.send(Request::from_parts(parts, Body::from(body))).await;
        let (parts, body) = answer.map_err(|error| error.to_string())?.into_parts();
        let body = body.collect_bytes().await.map_err(|error| error.to_string())?;
        Ok::<_, String>(Response::from_parts(parts, body))
    };
    let answer = match sent.await {
        Ok(answer) => answer,
        Err(why) => return Answer::None(why),
    };
    if answer.status().is_success() {
        return Answer::Accepted {
            warnings: warnings(answer.headers()),
        };
    }
    let status: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if status["kind"] != "Status" {
        return Answer::None(format!("HTTP {}", answer.status()));
    }
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    Answer::Refused {
        code: answer.status().as_u16(),
        reason: text(&status["reason"]),
        message: text(&status["message"]),
        causes: causes
            .map(|cause| (text(&cause["field"]), text(&cause["message"])))
            .collect(),
    }
}

/// The texts of `Warning` headers: `299 - "text"` (RFC 7234, 5.5).
fn warnings(headers: &HeaderMap) -> Vec<String> {
    let all = headers
        .get_all("warning")
        .iter()
        .filter_map(|value| value.to_str().ok());
    all.filter_map(|text| {
        let quoted = text.splitn(3, ' ').nth(2)?;
        let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
        Some(inner.replace("\\\"", "\"").replace("\\\\", "\\"))
    })
    .collect()
}
