//! The scale subresource, every verb.

use axum::response::Response;
use serde_json::Value;

use super::bodies::{json_response, parse_body, parse_yaml};
use super::write::{manager_of, patch_kind};
use crate::apimachinery::patch::{json_patch, merge_patch};
use crate::apimachinery::scale::{Paths, paths};
use crate::apimachinery::status::Status;
use crate::http::call::Call;
use crate::http::call::respond;
use crate::registry::patch::PatchKind;
use crate::registry::update::OnConflict;

/// Handles every verb of `scale`.
pub(super) async fn handle(verb: &str, call: Call) -> Result<Response, Status> {
    let paths = paths(call.resource()).ok_or_else(Status::no_such_path)?;
    match verb {
        "get" => {
            let scale = call.registry().scale(&call.request, &paths)?;
            Ok(respond(&call, 200, json_response(&scale)))
        }
        "update" => {
            let wanted = parse_body(&call)?;
            change(call, &paths, OnConflict::Refuse, move |_| Ok(wanted.clone())).await
        }
        "patch" => {
            let patch = parse_yaml(&call.body)
                .map_err(|cause| Status::bad_request(format!("error decoding patch: {cause}")))?;
            let kind = match call.content_type.as_str() {
                // A Scale has no lists: both merges are the same, and what is applied is what is set.
                "application/apply-patch+yaml" => Some(PatchKind::Merge),
                other => patch_kind(other),
            };
            change(call, &paths, OnConflict::Retry, move |scale| match kind {
                Some(PatchKind::Json) => json_patch(scale, &patch),
                Some(PatchKind::Merge | PatchKind::Strategic) => {
                    let mut scale = scale.clone();
                    merge_patch(&mut scale, &patch);
                    Ok(scale)
                }
                None => {
                    let message = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml";
                    Err(Status::new(415, "UnsupportedMediaType", message))
                }
            })
            .await
        }
        _ => Err(Status::method_not_allowed()),
    }
}

async fn change(
    mut call: Call,
    paths: &Paths,
    on_conflict: OnConflict,
    edit: impl Fn(&Value) -> Result<Value, Status>,
) -> Result<Response, Status> {
    let operation = if call.content_type.starts_with("application/apply-patch") {
        "Apply"
    } else {
        "Update"
    };
    let manager = manager_of(&call, operation);
    let mut admitted = Vec::new();
    let registry = call.registry();
    let scale = registry
        .rescale(&call.request, paths, &manager, on_conflict, edit, &mut admitted)
        .await?;
    call.warnings.append(&mut admitted);
    Ok(respond(&call, 200, json_response(&scale)))
}
