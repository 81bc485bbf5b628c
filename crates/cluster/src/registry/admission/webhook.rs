//! Webhooks: who is asked, in which order, and what an answer means.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::configured::{MUTATING, VALIDATING, Webhook};
use super::rules::{in_version, shown};
use super::{Admission, Attempt, Facts, Operation};
use crate::apimachinery::cel::{Budget, EXPRESSION_BUDGET};
use crate::apimachinery::meta::uid;
use crate::apimachinery::patch::json_patch;
use crate::apimachinery::status::{Status, known_reason};
use crate::registry::ledger::Reservation;

/// Longest warning, in characters, and most of one answer together, as published.
const MOST_WARNING: usize = 256;

/// Mutating webhooks.
pub(super) struct Mutating;

impl Admission for Mutating {
    fn handles(&self, attempt: &Attempt<'_>) -> bool {
        attempt.asks_users()
    }

    fn admit<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
        object: &'a mut Value,
        warnings: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<(), Status>> {
        Box::pin(mutate(attempt, object, warnings))
    }
}

/// Validating webhooks.
pub(super) struct Validating;

impl Admission for Validating {
    fn handles(&self, attempt: &Attempt<'_>) -> bool {
        attempt.asks_users()
    }

    fn validate<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
        object: Option<&'a Value>,
        warnings: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<Option<Reservation>, Status>> {
        Box::pin(async move { validate(attempt, object, warnings).await.map(|()| None) })
    }
}

/// Lets the mutating webhooks change the object, in order; those that ask for it see what later ones changed.
async fn mutate(attempt: &Attempt<'_>, object: &mut Value, warnings: &mut Vec<String>) -> Result<(), Status> {
    let webhooks = attempt.registry.admission.webhooks(&attempt.registry.store, MUTATING);
    // For each webhook that was asked: how many changes there were when it had its say.
    let mut asked: Vec<Option<usize>> = vec![None; webhooks.len()];
    let mut changes = 0;
    for round in 0..2 {
        for (index, webhook) in webhooks.iter().enumerate() {
            let due = match (round, asked[index]) {
                (0, _) => true,
                (_, Some(seen)) => webhook.again && changes > seen,
                _ => false,
            };
            if !due {
                continue;
            }
            let shown = (attempt.operation != Operation::Delete).then_some(&*object);
            let Some(answer) = ask(attempt, webhook, shown).await? else {
                continue;
            };
            warn(&answer, warnings);
            if answer["allowed"] != true {
                return Err(denied(&webhook.name, &answer));
            }
            let before = object.clone();
            if !answer["patch"].is_null() && attempt.operation != Operation::Delete {
                let patched = patch(object, &answer);
                match patched {
                    Ok(patched) => *object = patched,
                    Err(_) if webhook.ignore_failure => continue,
                    Err(cause) => return Err(failed(webhook, &cause)),
                }
                (attempt.settle)(object);
            }
            changes += usize::from(before != *object);
            asked[index] = Some(changes);
        }
    }
    Ok(())
}

/// Asks the validating webhooks, all at once; the first refusal in their order counts.
async fn validate(attempt: &Attempt<'_>, object: Option<&Value>, warnings: &mut Vec<String>) -> Result<(), Status> {
    let webhooks = attempt.registry.admission.webhooks(&attempt.registry.store, VALIDATING);
    let answers = futures::future::join_all(webhooks.iter().map(|webhook| ask(attempt, webhook, object))).await;
    for (webhook, answer) in webhooks.iter().zip(answers) {
        let Some(answer) = answer? else { continue };
        warn(&answer, warnings);
        if answer["allowed"] != true {
            return Err(denied(&webhook.name, &answer));
        }
    }
    Ok(())
}

/// Asks one webhook; `None` if it has no say or may be passed over.
async fn ask(attempt: &Attempt<'_>, webhook: &Webhook, object: Option<&Value>) -> Result<Option<Value>, Status> {
    let namespace = attempt.namespace_object(object);
    let Some(version) = webhook.cover.covers(attempt, object, namespace.as_ref(), false) else {
        return Ok(None);
    };
    let id = uid();
    let mut request = attempt.request(&version, &id);
    let new = shown(attempt.operation, object).map(|object| in_version(attempt, object, &version));
    let old = attempt.old.map(|old| in_version(attempt, old, &version));
    if !conditions_hold(attempt, webhook, new.as_ref(), old.as_ref(), &request)? {
        return Ok(None);
    }
    if attempt.dry_run && !webhook.dry_run {
        let message = format!("admission webhook {:?} does not support dry run", webhook.name);
        return Err(Status::bad_request(message));
    }
    request["object"] = new.unwrap_or_default();
    request["oldObject"] = old.unwrap_or_default();
    let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request});
    let answer = match attempt.registry.admission.caller() {
        Some(caller) => {
            caller
                .call(attempt.registry, &webhook.target, &review, webhook.seconds)
                .await
        }
        None => Err("failed to call webhook: the API server has not started".to_owned()),
    };
    match answer.and_then(|answer| response_of(answer, &id)) {
        Ok(response) => Ok(Some(response)),
        Err(cause) if webhook.ignore_failure => {
            tracing::warn!(webhook = webhook.name, cause, "a webhook failed open");
            Ok(None)
        }
        Err(cause) => Err(failed(webhook, &cause)),
    }
}

/// The response of an answer; complains if it is not the answer to this question.
fn response_of(mut answer: Value, id: &str) -> Result<Value, String> {
    if answer["kind"] != "AdmissionReview" || answer["apiVersion"] != "admission.k8s.io/v1" {
        let found = format!(
            "{}, Kind={}",
            answer["apiVersion"].as_str().unwrap_or_default(),
            answer["kind"].as_str().unwrap_or_default()
        );
        return Err(format!(
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {found}"
        ));
    }
    let response = answer["response"].take();
    if response.is_null() {
        return Err("webhook response was absent".to_owned());
    }
    if response["uid"] != id {
        return Err(format!("expected response.uid={id:?}, got {}", response["uid"]));
    }
    if !response["patch"].is_null() && response["patchType"] != "JSONPatch" {
        return Err("webhook returned response.patch but not response.patchType".to_owned());
    }
    Ok(response)
}

fn patch(object: &Value, answer: &Value) -> Result<Value, String> {
    let text = answer["patch"].as_str().unwrap_or_default();
    let bytes = STANDARD
        .decode(text)
        .map_err(|cause| format!("illegal base64 data: {cause}"))?;
    let patch: Value = serde_json::from_slice(&bytes).map_err(|cause| format!("the patch is not JSON: {cause}"))?;
    json_patch(object, &patch).map_err(|error| error.message)
}

fn conditions_hold(
    attempt: &Attempt<'_>,
    webhook: &Webhook,
    object: Option<&Value>,
    old: Option<&Value>,
    request: &Value,
) -> Result<bool, Status> {
    let facts = Facts {
        attempt,
        object,
        old,
        request,
        params: None,
        namespace: None,
        policy: false,
        variables: &[],
        known: Default::default(),
    };
    let mut error = None;
    for (name, program) in &webhook.conditions {
        match program.holds(&facts, &Budget::new(EXPRESSION_BUDGET)) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(cause) => error = Some(format!("matchCondition {name:?}: {cause}")),
        }
    }
    match error {
        None => Ok(true),
        Some(_) if webhook.ignore_failure => Ok(false),
        Some(cause) => Err(failed(webhook, &cause)),
    }
}

fn warn(answer: &Value, warnings: &mut Vec<String>) {
    for warning in answer["warnings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        warnings.push(warning.chars().take(MOST_WARNING).collect());
    }
}

fn failed(webhook: &Webhook, cause: &str) -> Status {
    let name = &webhook.name;
    let mut error = Status::internal(format!(
        "Internal error occurred: failed calling webhook {name:?}: {cause}"
    ));
    error.details = json!({"causes": [{"message": format!("failed calling webhook {name:?}: {cause}")}]});
    error
}

/// The refusal a webhook asked for.
pub(super) fn denied(name: &str, answer: &Value) -> Status {
    let status = &answer["status"];
    let text = |field: &str| status[field].as_str().filter(|text| !text.is_empty());
    let by = format!("admission webhook {name:?} denied the request");
    let message = match (text("message"), text("reason")) {
        (Some(message), _) => format!("{by}: {message}"),
        (None, Some(reason)) => format!("{by}: {reason}"),
        _ => format!("{by} without explanation"),
    };
    let code = status["code"]
        .as_u64()
        .and_then(|code| u16::try_from(code).ok())
        .unwrap_or(0);
    let code = if (400..600).contains(&code) { code } else { 400 };
    let mut error = Status::new(code, known_reason(text("reason").unwrap_or_default()), message);
    error.details = status["details"].clone();
    error
}
