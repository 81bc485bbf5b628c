//! get and list.

use std::sync::Arc;

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::objects::{bytes_response, json_response, metadata_of, object_response, present};
use super::respond;
use crate::apiserver::request::Form;
use crate::apiserver::selectors::{FieldSelector, LabelSelector};
use crate::apiserver::server::Call;
use crate::apiserver::status::ApiError;
use crate::apiserver::table;

/// The selectors of a call.
pub(crate) fn selectors(call: &Call) -> Result<(LabelSelector, FieldSelector), ApiError> {
    let resource = call.resource();
    let labels = LabelSelector::parse(call.query.get("labelSelector").unwrap_or_default())?;
    let custom = resource.custom.as_ref().map(|custom| custom.selectable.as_slice());
    let fields = call.query.get("fieldSelector").unwrap_or_default();
    let fields = FieldSelector::parse(fields, &resource.key, &resource.kind, custom)?;
    Ok((labels, fields))
}

/// Answers with one object.
pub(super) fn get(call: &Call) -> Result<Response, ApiError> {
    let object = call.server.store.get(&call.key());
    let object = object.ok_or_else(|| ApiError::not_found(&call.qualified(), call.name()))?;
    Ok(respond(call, 200, object_response(call, &object)))
}

/// Answers with all objects that the selectors let through, in pages if asked.
pub(super) fn list(call: &Call) -> Result<Response, ApiError> {
    let (labels, fields) = selectors(call)?;
    let asked = call.query.get("resourceVersion").map(revision).transpose()?;
    let current = call.server.store.revision();
    if asked.is_some_and(|asked| asked > current) {
        let message = format!(
            "Too large resource version: {}, current: {current}",
            asked.unwrap_or_default()
        );
        return Err(ApiError::new(504, "Timeout", message));
    }
    if call.query.get("resourceVersionMatch") == Some("Exact")
        && asked.is_some_and(|asked| asked != 0 && asked < current)
    {
        return Err(ApiError::expired(
            "The provided resource version is too old: only the current one can be listed exactly",
        ));
    }
    let limit = call
        .query
        .get("limit")
        .and_then(|limit| limit.parse().ok())
        .filter(|limit| *limit > 0);
    let after = call.query.get("continue").map(read_continue).transpose()?;
    let namespace = call.target.namespace.as_deref();
    let resource = call.resource();
    let keep = |object: &crate::store::Object| {
        (labels.is_empty() || labels.matches(&object.fields)) && (fields.is_empty() || fields.matches(object))
    };
    let page = call
        .server
        .store
        .list(&resource.key, namespace, after, limit.unwrap_or(usize::MAX), keep);
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), page.revision.to_string().into());
    if let Some(last) = page.items.last().filter(|_| page.remaining > 0) {
        metadata.insert(
            "continue".into(),
            write_continue(&last.key.namespace, &last.key.name).into(),
        );
        if labels.is_empty() && fields.is_empty() {
            metadata.insert("remainingItemCount".into(), page.remaining.into());
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
        Form::Table => json_response(&table::table(call, &values(), metadata)),
        Form::Metadata => json_response(&json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "items": values().iter().map(metadata_of).collect::<Vec<_>>(),
        })),
        Form::Object => {
            let head =
                json!({"kind": resource.list_kind(), "apiVersion": resource.api_version(), "metadata": metadata});
            let mut json = head.to_string().into_bytes();
            json.pop();
            json.extend_from_slice(b",\"items\":[");
            for (index, object) in page.items.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                json.extend_from_slice(&present(resource, object));
            }
            json.extend_from_slice(b"]}");
            bytes_response(json.into())
        }
    };
    Ok(respond(call, 200, response))
}

/// Reads a resource version.
pub(crate) fn revision(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

fn write_continue(namespace: &str, name: &str) -> String {
    URL_SAFE_NO_PAD.encode(json!({"v": 1, "namespace": namespace, "name": name}).to_string())
}

fn read_continue(text: &str) -> Result<(Arc<str>, Arc<str>), ApiError> {
    let decoded = URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let value = decoded.unwrap_or_default();
    match (value["namespace"].as_str(), value["name"].as_str()) {
        (Some(namespace), Some(name)) => Ok((namespace.into(), name.into())),
        _ => Err(ApiError::bad_request(
            "continue key is not valid: it was not given by this server",
        )),
    }
}
