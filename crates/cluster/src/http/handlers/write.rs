//! Requests that write one object.

use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::bodies::{check_fields, json_response, outcome_response, parse_body, parse_yaml};
use super::delete;
use crate::apimachinery::fields::{self, Manager};
use crate::apimachinery::json_words;
use crate::apimachinery::objects::{check_kind, schema_of};
use crate::apimachinery::status::Status;
use crate::apimachinery::typed::check_applied;
use crate::http::call::Call;
use crate::http::call::respond;
use crate::registry::patch::{Applied, Patch, PatchKind};

/// The manager of a call: its `fieldManager`, or the program named by `User-Agent`.
pub(super) fn manager_of(call: &Call, operation: &'static str) -> Manager {
    let agent = call.user_agent.split(['/', ' ']).next().unwrap_or_default();
    let name = call
        .query
        .get("fieldManager")
        .unwrap_or(if agent.is_empty() { "unknown" } else { agent });
    Manager {
        name: name.chars().take(128).collect(),
        operation,
        api_version: call.resource().api_version(),
        subresource: call.request.target.subresource.clone().unwrap_or_default(),
    }
}

/// Handles a POST to a collection.
pub(super) async fn create(mut call: Call) -> Result<Response, Status> {
    match create_of(&mut call).await {
        // A refusal carries the warnings that were found before it.
        Err(error) => Ok(respond(&call, error.code, error.into_response())),
        created => created,
    }
}

async fn create_of(call: &mut Call) -> Result<Response, Status> {
    let mut value = parse_body(call)?;
    let resource = call.request.target.resource.clone();
    check_kind(&resource, &mut value)?;
    check_fields(call, &mut value)?;
    if call.request.target.namespace.is_none() && resource.namespaced {
        return Err(Status::method_not_allowed());
    }
    if value["metadata"]["resourceVersion"]
        .as_str()
        .is_some_and(|version| !version.is_empty() && !call.request.dry_run)
    {
        // The real server looks at it only when it stores an object.
        return Err(Status::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let manager = manager_of(call, "Update");
    let managed = |resource: &_, new: &mut Value| fields::record_update(resource, None, new, &manager);
    let registry = &call.server.registry;
    let created = registry
        .create(&call.request, value, managed, &mut call.warnings)
        .await?;
    Ok(respond(call, 201, outcome_response(call, &created)))
}

/// Handles a PUT.
pub(super) async fn update(mut call: Call) -> Result<Response, Status> {
    let mut value = parse_body(&call)?;
    let resource = call.request.target.resource.clone();
    // For a custom resource the wrong kind comes last, when everything else is right.
    let kind = match check_kind(&resource, &mut value) {
        Err(error) if error.code != 422 => return Err(error),
        kind => kind,
    };
    check_fields(&mut call, &mut value)?;
    let manager = manager_of(&call, "Update");
    let mut admitted = Vec::new();
    let changed = call
        .registry()
        .update(&call.request, &value, kind, &manager, &mut admitted)
        .await?;
    call.warnings.append(&mut admitted);
    Ok(respond(&call, 200, outcome_response(&call, &changed)))
}

/// Handles a PATCH of any type.
pub(super) async fn patch(mut call: Call) -> Result<Response, Status> {
    let kind = match call.content_type.as_str() {
        "application/apply-patch+yaml" | "application/apply-patch+cbor" => return server_side_apply(call).await,
        other => patch_kind(other),
    };
    let patch: Value = serde_json::from_slice(&call.body).map_err(|cause| {
        let why = json_words::why(&call.body, &cause);
        Status::bad_request(format!("error decoding patch: {why}"))
    })?;
    let manager = manager_of(&call, "Update");
    let patch = Patch {
        kind: kind.ok_or_else(|| Status::new(415, "UnsupportedMediaType", "415: Unsupported Media Type"))?,
        patch: &patch,
        text: &call.body,
        validation: call.query.get("fieldValidation").unwrap_or("Warn"),
    };
    let mut admitted = Vec::new();
    let changed = call
        .registry()
        .patch(&call.request, patch, &manager, &mut admitted)
        .await?;
    call.warnings.append(&mut admitted);
    Ok(respond(&call, 200, outcome_response(&call, &changed)))
}

/// The kind of patch that a content type names.
pub(super) fn patch_kind(content_type: &str) -> Option<PatchKind> {
    match content_type {
        "application/json-patch+json" => Some(PatchKind::Json),
        "application/merge-patch+json" => Some(PatchKind::Merge),
        "application/strategic-merge-patch+json" => Some(PatchKind::Strategic),
        _ => None,
    }
}

async fn server_side_apply(mut call: Call) -> Result<Response, Status> {
    let mut applied = parse_yaml(&call.body).map_err(|cause| {
        Status::bad_request(format!(
            "error decoding YAML: error converting YAML to JSON: yaml: {cause}"
        ))
    })?;
    let resource = call.request.target.resource.clone();
    let name = call.query.get("fieldManager").unwrap_or_default().to_owned();
    let word = |field: &str| applied[field].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (word("apiVersion"), word("kind"));
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    if version.is_empty() || kind != resource.kind && resource.custom.is_none() {
        let message = format!("invalid object type: {group}/{version}, Kind={kind}");
        return Err(Status::bad_request(message));
    }
    check_kind(&resource, &mut applied)?;
    if resource.custom.is_none() {
        check_applied(&resource, schema_of(&resource), &applied)?;
    }
    check_fields(&mut call, &mut applied)?;
    if applied["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|list| !list.is_empty())
    {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    call.registry().name_applied(&call.request, &mut applied)?;
    let force = call.query.flag("force");
    let manager = Manager {
        name,
        operation: "Apply",
        api_version: resource.api_version(),
        subresource: call.request.target.subresource.clone().unwrap_or_default(),
    };
    let mut admitted = Vec::new();
    let done = call
        .registry()
        .apply(&call.request, &applied, &manager, force, &mut admitted)
        .await?;
    call.warnings.append(&mut admitted);
    let (code, outcome) = match &done {
        Applied::Created(outcome) => (201, outcome),
        Applied::Changed(outcome) => (200, outcome),
    };
    Ok(respond(&call, code, outcome_response(&call, outcome)))
}

/// Handles PUT namespaces/<name>/finalize: only `spec.finalizers` changes.
pub(super) async fn finalize(mut call: Call) -> Result<Response, Status> {
    let value = parse_body(&call)?;
    let mut admitted = Vec::new();
    let finalizers = &value["spec"]["finalizers"];
    let changed = call
        .registry()
        .finalize(&call.request, finalizers, &mut admitted)
        .await?;
    call.warnings.append(&mut admitted);
    Ok(respond(&call, 200, outcome_response(&call, &changed)))
}

/// Handles POST pods/<name>/binding.
pub(super) async fn bind(call: Call) -> Result<Response, Status> {
    let binding = parse_body(&call)?;
    call.registry().bind(&call.request, &binding).await?;
    Ok(respond(&call, 201, success()))
}

/// Handles POST pods/<name>/eviction.
pub(super) async fn evict(call: Call) -> Result<Response, Status> {
    let eviction = parse_body(&call)?;
    let named = eviction["metadata"]["name"].as_str().unwrap_or_default();
    if !named.is_empty() && named != call.name() {
        return Err(Status::bad_request(
            "name in URL does not match name in Eviction object",
        ));
    }
    let options = delete::options(&call, &eviction["deleteOptions"])?;
    call.registry().evict(&call.request, &options, &mut Vec::new()).await?;
    Ok(respond(&call, 201, success()))
}

fn success() -> Response {
    json_response(&json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}))
}
