//! The eviction subresource of pods: a deletion that keeps to PodDisruptionBudgets, as drains do it.

use axum::body::Bytes;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::delete;
use super::objects::{json_response, parse_body};
use crate::apiserver::meta::now;
use crate::apiserver::selectors::LabelSelector;
use crate::apiserver::server::Call;
use crate::apiserver::status::ApiError;
use crate::controllers::draw;
use crate::store::{Write, WriteError, WriteKind};

/// Times a budget is read again when someone else drew on it meanwhile.
const MOST_TRIES: usize = 20;
/// Pods that may be on their way out of one budget.
const MOST_DISRUPTED: usize = 2000;

/// Deletes a pod if the budget it falls under allows.
pub(super) async fn evict(call: Call) -> Result<Response, ApiError> {
    let eviction = parse_body(&call)?;
    let named = eviction["metadata"]["name"].as_str().unwrap_or_default();
    if !named.is_empty() && named != call.name() {
        return Err(ApiError::bad_request(
            "name in URL does not match name in Eviction object",
        ));
    }
    let options = &eviction["deleteOptions"];
    let dry_run = call.query.dry_run() || options["dryRun"].as_array().is_some_and(|list| !list.is_empty());
    let pod = call
        .server
        .store
        .get(&call.key())
        .ok_or_else(|| ApiError::not_found("pods", call.name()))?;
    let value = pod.value();
    let phase = value["status"]["phase"].as_str().unwrap_or_default();
    let free = pod.fields.deleting || matches!(phase, "Succeeded" | "Failed" | "Pending");
    if !free {
        draw_on_budget(&call, &value, dry_run).await?;
    }
    if !dry_run && !pod.fields.deleting {
        mark(&call, value).await;
    }
    let body = if options.is_object() {
        Bytes::from(options.to_string())
    } else {
        Bytes::new()
    };
    let mut target = call.target.clone();
    target.subresource = None;
    delete::delete(Call {
        body,
        target,
        content_type: "application/json".into(),
        ..call
    })
    .await?;
    let mut response =
        json_response(&json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}));
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Takes one disruption of the pod's budget, or says why there is none.
async fn draw_on_budget(call: &Call, pod: &Value, dry_run: bool) -> Result<(), ApiError> {
    let store = &call.server.store;
    let fields = crate::store::fields_of(pod);
    for _ in 0..MOST_TRIES {
        let budgets = store.list(
            &"poddisruptionbudgets.policy".into(),
            Some(call.namespace()),
            None,
            usize::MAX,
            |_| true,
        );
        let mut found = budgets.items.into_iter().filter(|budget| {
            let selector = budget.value()["spec"]["selector"].clone();
            selector.is_object() && LabelSelector::from_selector(&selector).matches(&fields)
        });
        let Some(object) = found.next() else { return Ok(()) };
        if found.next().is_some() {
            let message =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(ApiError::internal(message));
        }
        let mut budget = object.value();
        let status = &budget["status"];
        let number = |field: &str| status[field].as_i64().unwrap_or(0);
        if !ready(pod) {
            let always = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
            let well = number("currentHealthy") >= number("desiredHealthy") && number("desiredHealthy") > 0;
            if always || well {
                return Ok(());
            }
        }
        let name = &object.key.name;
        if number("observedGeneration") < budget["metadata"]["generation"].as_i64().unwrap_or(0) {
            return Err(too_many(format!(
                "The disruption budget {name} is still being processed by the server."
            )));
        }
        if status["disruptedPods"]
            .as_object()
            .is_some_and(|pods| pods.len() > MOST_DISRUPTED)
        {
            let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
            return Err(ApiError::forbidden("poddisruptionbudgets.policy", name, why));
        }
        if number("disruptionsAllowed") <= 0 {
            return Err(too_many(format!(
                "The disruption budget {name} needs {} healthy pods and has {} currently",
                number("desiredHealthy"),
                number("currentHealthy")
            )));
        }
        if dry_run {
            return Ok(());
        }
        draw(&mut budget, call.name(), crate::clock::now());
        let expected = object.revision;
        match store
            .write(Write::new(
                object.key.clone(),
                WriteKind::Update { expected },
                &mut budget,
            ))
            .await
        {
            Ok(_) => return Ok(()),
            Err(WriteError::Conflict | WriteError::NotFound) => {}
            Err(error) => return Err(ApiError::from_write(error, "poddisruptionbudgets.policy", name)),
        }
    }
    Err(too_many(
        "The disruption budget is being changed by others at this moment.".into(),
    ))
}

fn ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn too_many(cause: String) -> ApiError {
    let mut error = ApiError::new(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
    );
    error.details = json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]});
    error
}

/// Notes on the pod why it ends. A pod that changes meanwhile is evicted without the note.
async fn mark(call: &Call, mut pod: Value) {
    let target = json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting", "lastProbeTime": null, "lastTransitionTime": now()});
    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let others = conditions
        .into_iter()
        .filter(|condition| condition["type"] != "DisruptionTarget");
    pod["status"]["conditions"] = others.chain([target]).collect();
    let expected = pod["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let write = Write::new(call.key(), WriteKind::Update { expected }, &mut pod);
    if let Err(error) = call.server.store.write(write).await {
        tracing::debug!(pod = call.name(), %error, "an evicted pod could not be marked");
    }
}
