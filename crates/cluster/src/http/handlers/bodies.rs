//! Bodies into objects, objects into answers.

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::HeaderValue;
use serde_json::{Map, Value};

use crate::apimachinery::objects::{cannot_handle, metadata_of, named_twice, present, prune, settle_form};
use crate::apimachinery::request::Form;
use crate::apimachinery::status::Status;
use crate::apimachinery::{json_words, strict, table};
use crate::http::call::Call;
use crate::registry::Outcome;
use crate::store::Object;

/// A JSON answer, 200.
pub fn json_response(value: &Value) -> Response {
    bytes_response(value.to_string().into())
}

/// An answer of ready JSON, 200.
pub(super) fn bytes_response(json: Bytes) -> Response {
    let mut response = Response::new(Body::from(json));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/json"));
    response
}

/// Parses a body by its content type.
pub(super) fn parse_body(call: &Call) -> Result<Value, Status> {
    match call.content_type.as_str() {
        "" | "application/json" | "*/*" => {
            serde_json::from_slice(&call.body).map_err(|cause| unreadable(call, &json_words::why(&call.body, &cause)))
        }
        "application/yaml" | "application/x-yaml" | "text/yaml" => {
            parse_yaml(&call.body).map_err(|cause| unreadable(call, &cause))
        }
        _ => Err(Status::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

/// Parses YAML (or JSON, which is YAML).
pub(super) fn parse_yaml(body: &[u8]) -> Result<Value, String> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text = std::str::from_utf8(body).map_err(|cause| cause.to_string())?;
    strict::parse_yaml(text).map_err(|cause| cause.to_string())
}

/// A body that does not say what it is.
fn unreadable(call: &Call, cause: &str) -> Status {
    let beginning = json_words::beginning(&call.body);
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {cause} ({beginning})",
        call.resource().kind
    ))
}

/// Removes unknown fields and answers them, and fields that come twice, as the request's `fieldValidation` says; refuses values of wrong
/// types in built-in kinds.
pub(super) fn check_fields(call: &mut Call, value: &mut Value) -> Result<(), Status> {
    let resource = call.request.target.resource.clone();
    let unknown = prune(&resource, value)?;
    let validation = call.query.get("fieldValidation").unwrap_or("Warn");
    if validation != "Ignore" {
        let complaints = strict::complaints(&call.body, &unknown);
        if validation == "Strict" && !complaints.is_empty() {
            let text = complaints.join(", ");
            return Err(cannot_handle(&resource, &format!("strict decoding error: {text}")));
        }
        call.warnings.extend(complaints);
    }
    call.warnings.extend(named_twice(&value["metadata"]));
    settle_form(&resource, value)
}

/// A Table of objects, with as much of each as the client asks for.
pub fn table_of(call: &Call, objects: &[Value], metadata: Map<String, Value>) -> Value {
    let include = call.query.get("includeObject").unwrap_or("Metadata");
    table::table(call.resource(), include, objects, metadata)
}

/// The answer with one object, in the form asked for.
pub(super) fn object_response(call: &Call, object: &Object) -> Response {
    let json = present(call.resource(), object);
    match call.form {
        Form::Object => bytes_response(json),
        Form::Metadata => json_response(&metadata_of(&serde_json::from_slice(&json).unwrap_or_default())),
        Form::Table => {
            let value = serde_json::from_slice(&json).unwrap_or_default();
            json_response(&table_of(call, &[value], Map::new()))
        }
    }
}

/// The answer with an object that was not stored (dry run).
pub(super) fn value_response(call: &Call, value: &Value) -> Response {
    match call.form {
        Form::Object => json_response(value),
        Form::Metadata => json_response(&metadata_of(value)),
        Form::Table => json_response(&table_of(call, std::slice::from_ref(value), Map::new())),
    }
}

/// The answer with what a write came to.
pub(super) fn outcome_response(call: &Call, outcome: &Outcome) -> Response {
    match outcome {
        Outcome::Stored(object) => object_response(call, object),
        Outcome::DryRun(value) => value_response(call, value),
    }
}
