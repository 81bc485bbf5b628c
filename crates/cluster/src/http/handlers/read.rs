//! get and list.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::bodies::{bytes_response, json_response, object_response, table_of};
use super::options::{At, ListOptions, revision, write_continue};
use crate::apimachinery::objects::{metadata_of, present};
use crate::apimachinery::request::Form;
use crate::apimachinery::resources::Resource;
use crate::apimachinery::selectors::{FieldSelector, LabelSelector};
use crate::apimachinery::status::Status;
use crate::http::call::Call;
use crate::http::call::respond;
use crate::store::{Object, Page, Place};

/// The selectors of a call.
pub fn selectors(call: &Call) -> Result<(LabelSelector, FieldSelector), Status> {
    let resource = call.resource();
    let labels = LabelSelector::parse(call.query.get("labelSelector").unwrap_or_default())?;
    let custom = resource.custom.as_ref().map(|custom| custom.selectable.as_slice());
    let fields = call.query.get("fieldSelector").unwrap_or_default();
    let fields = FieldSelector::parse(fields, &resource.key, custom)?;
    Ok((labels, fields))
}

/// Answers with one object. A state that is asked for must have been reached.
pub(super) fn get(call: &Call) -> Result<Response, Status> {
    let asked = call.query.get("resourceVersion").map(revision).transpose()?;
    reached(call, asked.unwrap_or_default())?;
    let object = call.registry().store.get(&call.key());
    let object = object.ok_or_else(|| Status::not_found(&call.qualified(), call.name()))?;
    Ok(respond(call, 200, object_response(call, &object)))
}

/// Refuses a state that is still to come: every state there is, is here at once.
pub fn reached(call: &Call, asked: u64) -> Result<(), Status> {
    let current = call.registry().store.revision();
    if asked <= current {
        return Ok(());
    }
    let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
    let mut error = Status::new(504, "Timeout", message);
    let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
    error.details = json!({"causes": [cause], "retryAfterSeconds": 1});
    Err(error)
}

/// Reads the page that a call asks for.
pub(super) fn page(call: &Call, options: &ListOptions) -> Result<Page, Status> {
    let (labels, fields) = selectors(call)?;
    let keep = |object: &Object| {
        (labels.is_empty() || labels.matches(&object.fields)) && (fields.is_empty() || fields.matches(object))
    };
    let (store, key, namespace) = (
        &call.registry().store,
        &call.resource().key,
        call.request.target.namespace.as_deref(),
    );
    let (after, limit) = (options.after.clone(), options.limit);
    match options.at {
        At::Now => Ok(store.list(key, namespace, after, limit, keep)),
        At::NotOlderThan(asked) => {
            reached(call, asked)?;
            Ok(store.list(key, namespace, after, limit, keep))
        }
        At::Exactly(asked) => {
            reached(call, asked)?;
            store
                .list_at(asked, key, namespace, after, limit, keep)
                .map_err(|_| match &options.after {
                    Some(place) if options.continues => expired_continue(place),
                    _ => Status::expired("The resourceVersion for the provided list is too old."),
                })
        }
    }
}

/// A list that took too long: it may go on with what there is now, knowing that it is of two states.
fn expired_continue(place: &Place) -> Status {
    let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
    let mut error = Status::expired(message);
    error.details = json!({"continue": write_continue(-1, place, None)});
    error
}

/// Answers with all objects that the selectors let through, in pages if asked; every page shows the state of the first.
pub(super) fn list(call: &Call) -> Result<Response, Status> {
    let options = ListOptions::read(&call.query)?;
    let page = page(call, &options)?;
    let resource = call.resource();
    let selective = call.query.get("labelSelector").is_some() || call.query.get("fieldSelector").is_some();
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), page.revision.to_string().into());
    if let Some(last) = page.items.last().filter(|_| page.more) {
        let place = (last.key.namespace.clone(), last.key.name.clone());
        let here = if options.continues {
            options.left
        } else {
            Some(page.total)
        };
        // With a selector no one can tell without looking at every object.
        let left = here.filter(|_| !selective);
        let left = left.map(|here| here.saturating_sub(page.items.len()));
        metadata.insert(
            "continue".into(),
            write_continue(page.revision.cast_signed(), &place, left).into(),
        );
        if let Some(left) = left.filter(|left| *left > 0) {
            metadata.insert("remainingItemCount".into(), left.into());
        }
    }
    let values = || -> Vec<Value> {
        let each = page
            .items
            .iter()
            .map(|object| serde_json::from_slice(&present(resource, object)).unwrap_or_default());
        each.collect()
    };
    let response = match call.form {
        Form::Table => json_response(&table_of(call, &values(), metadata)),
        Form::Metadata => json_response(&json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "items": values().iter().map(metadata_of).collect::<Vec<_>>(),
        })),
        Form::Object => {
            let head =
                json!({"kind": resource.list_kind(), "apiVersion": resource.api_version(), "metadata": metadata});
            objects(call.request.target.resource.clone(), &head, page.items)
        }
    };
    Ok(respond(call, 200, response))
}

/// Bytes put together before they are sent: a long list is never in memory as a whole.
const CHUNK: usize = 64 << 10;

fn objects(resource: Arc<Resource>, head: &Value, items: Vec<Arc<Object>>) -> Response {
    let mut json = head.to_string().into_bytes();
    json.pop();
    json.extend_from_slice(b",\"items\":[");
    let mut items = items.into_iter().enumerate();
    let mut fill = move |json: &mut Vec<u8>| {
        for (index, object) in items.by_ref() {
            if index > 0 {
                json.push(b',');
            }
            json.extend_from_slice(&present(&resource, &object));
            if json.len() >= CHUNK {
                return true;
            }
        }
        json.extend_from_slice(b"]}");
        false
    };
    if !fill(&mut json) {
        return bytes_response(json.into());
    }
    let rest = futures::stream::unfold(Some((json, true, fill)), |state| async move {
        let (json, more, mut fill) = state?;
        let frame = Ok::<_, std::convert::Infallible>(Bytes::from(json));
        if !more {
            return Some((frame, None));
        }
        let mut json = Vec::with_capacity(CHUNK + (CHUNK >> 2));
        let more = fill(&mut json);
        Some((frame, Some((json, more, fill))))
    });
    let mut response = Response::new(Body::from_stream(rest));
    response
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}
