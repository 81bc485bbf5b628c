//! delete and deletecollection.

use axum::response::Response;
use serde_json::{Value, json};

use super::bodies::{json_response, object_response, parse_body};
use super::options::{ListOptions, check_deletion, number};
use super::read;
use crate::apimachinery::objects::from_storage;
use crate::apimachinery::status::Status;
use crate::http::call::Call;
use crate::http::call::respond;
use crate::registry::delete::{DeleteOptions, Deleted};

/// The options of a deletion: its body's, and those of the query.
pub(super) fn options(call: &Call, body: &Value) -> Result<DeleteOptions, Status> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let query = |name: &str| call.query.get(name).map(str::to_owned);
    let grace = query("gracePeriodSeconds").map(|text| number(&text)).transpose()?;
    let grace = grace.or(body["gracePeriodSeconds"].as_i64());
    if grace.is_some_and(|seconds| seconds < 0) {
        return Err(Status::bad_request(
            "gracePeriodSeconds: Invalid value: must be greater than or equal to 0",
        ));
    }
    let orphan = body["orphanDependents"]
        .as_bool()
        .or_else(|| query("orphanDependents").map(|text| text == "true"));
    let propagation = query("propagationPolicy").or_else(|| text(&body["propagationPolicy"]));
    check_deletion(propagation.as_deref(), orphan, &body["dryRun"])?;
    Ok(DeleteOptions {
        grace,
        propagation: propagation
            .or_else(|| orphan.map(|orphan| if orphan { "Orphan" } else { "Background" }.to_owned())),
        uid: text(&body["preconditions"]["uid"]),
        resource_version: text(&body["preconditions"]["resourceVersion"]),
        dry_run: call.request.dry_run || body["dryRun"].as_array().is_some_and(|list| !list.is_empty()),
    })
}

fn read_options(call: &Call) -> Result<DeleteOptions, Status> {
    let body = if call.body.is_empty() {
        Value::Null
    } else {
        parse_body(call)?
    };
    options(call, &body)
}

/// Handles DELETE of one object.
pub(super) async fn delete(mut call: Call) -> Result<Response, Status> {
    let options = read_options(&call)?;
    let mut admitted = Vec::new();
    let deleted = call.registry().delete(&call.request, &options, &mut admitted).await?;
    call.warnings.append(&mut admitted);
    match deleted {
        Deleted::Waiting(object) => Ok(respond(&call, 200, object_response(&call, &object))),
        Deleted::Gone(object) => {
            let resource = call.resource();
            let mut details = json!({"name": call.name(), "group": resource.group, "kind": resource.plural, "uid": &*object.fields.uid});
            if resource.group.is_empty() {
                details.as_object_mut().map(|fields| fields.shift_remove("group"));
            }
            let status =
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
            let whole = matches!(
                &*resource.key,
                "pods" | "services" | "serviceaccounts" | "persistentvolumeclaims" | "persistentvolumes"
            );
            let response = if whole {
                object_response(&call, &object)
            } else {
                json_response(&status)
            };
            Ok(respond(&call, 200, response))
        }
    }
}

/// Handles DELETE of a collection: everything the selectors let through.
pub(super) async fn delete_collection(call: Call) -> Result<Response, Status> {
    let options = read_options(&call)?;
    let page = read::page(&call, &ListOptions::read(&call.query)?)?;
    let mut items = Vec::new();
    for object in &page.items {
        let mut request = call.request.clone();
        request.target.namespace = Some(object.key.namespace.to_string()).filter(|name| !name.is_empty());
        request.target.name = Some(object.key.name.to_string());
        match call.registry().delete(&request, &options, &mut Vec::new()).await {
            Ok(Deleted::Waiting(object) | Deleted::Gone(object)) => {
                let mut value = object.value();
                from_storage(call.resource(), &mut value);
                items.push(value);
            }
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let resource = call.resource();
    Ok(respond(
        &call,
        200,
        json_response(&json!({
            "kind": resource.list_kind(), "apiVersion": resource.api_version(),
            "metadata": {"resourceVersion": call.registry().store.revision().to_string()}, "items": items,
        })),
    ))
}
