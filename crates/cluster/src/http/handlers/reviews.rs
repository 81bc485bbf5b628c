//! Questions about identity and permission, and service-account tokens.

use axum::response::Response;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::bodies::{check_fields, json_response, parse_body};
use crate::apimachinery::meta::rfc3339;
use crate::apimachinery::objects::check_kind;
use crate::apimachinery::status::{FieldError, Status};
use crate::http::call::Call;
use crate::http::call::respond;
use crate::registry::identity::{Attributes, Identity};
use crate::registry::tokens::{Claims, ISSUER};
use crate::store::Key;

/// Seconds a token may be asked for.
const TOKEN_SECONDS: std::ops::RangeInclusive<i64> = 600..=1 << 32;

/// Answers a review with its status.
pub(super) fn review(mut call: Call) -> Result<Response, Status> {
    let mut review = parse_body(&call)?;
    let resource = call.request.target.resource.clone();
    check_kind(&resource, &mut review)?;
    check_fields(&mut call, &mut review)?;
    review["status"] = match resource.kind.as_str() {
        "TokenReview" => token_status(&call, &review["spec"])?,
        "SelfSubjectReview" => json!({"userInfo": call.request.identity.json()}),
        "SelfSubjectRulesReview" => {
            let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
            if namespace.is_empty() {
                return Err(Status::bad_request("no namespace on request"));
            }
            let rules = call.registry().rules_of(&call.request.identity, namespace);
            let (named, urls): (Vec<Value>, Vec<Value>) =
                rules.into_iter().partition(|rule| rule["nonResourceURLs"].is_null());
            json!({"resourceRules": named, "nonResourceRules": urls, "incomplete": false})
        }
        kind => {
            let spec = &review["spec"];
            let errors = access_errors(kind, spec);
            if !errors.is_empty() {
                return Err(Status::invalid(&resource.group, kind, "", &errors));
            }
            if kind == "LocalSubjectAccessReview" && spec["resourceAttributes"]["namespace"] != call.namespace() {
                let message = format!(
                    "spec.resourceAttributes.namespace must match namespace: {}",
                    call.namespace()
                );
                return Err(Status::bad_request(message));
            }
            if kind == "SelfSubjectAccessReview" {
                access_status(&call, &call.request.identity, spec)
            } else {
                access_status(&call, &subject(spec), spec)
            }
        }
    };
    Ok(respond(&call, 201, json_response(&review)))
}

/// What is wrong with a question about access.
fn access_errors(kind: &str, spec: &Value) -> Vec<FieldError> {
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let mut errors = Vec::new();
    match (resource.is_null(), path.is_null()) {
        (false, false) => {
            let detail = "cannot be specified in combination with resourceAttributes";
            errors.push(FieldError::invalid("spec.nonResourceAttributes", path, detail));
        }
        (true, true) => {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errors.push(FieldError::invalid("spec.resourceAttributes", &"null".into(), detail));
        }
        _ => {}
    }
    if kind == "LocalSubjectAccessReview" && !path.is_null() {
        let detail = "disallowed on this kind of request";
        errors.push(FieldError::invalid("spec.nonResourceAttributes", path, detail));
    }
    let nobody = spec["user"].as_str().is_none_or(str::is_empty) && spec["groups"].as_array().is_none_or(Vec::is_empty);
    if kind != "SelfSubjectAccessReview" && nobody {
        let detail = "at least one of user or group must be specified";
        errors.push(FieldError::invalid("spec.user", &"".into(), detail));
    }
    errors
}

/// Whom a review asks about: the user and groups it names, and nothing else.
fn subject(spec: &Value) -> Identity {
    let groups = spec["groups"].as_array().into_iter().flatten();
    Identity {
        user: spec["user"].as_str().unwrap_or_default().to_owned(),
        uid: spec["uid"].as_str().unwrap_or_default().to_owned(),
        groups: groups.filter_map(|group| group.as_str().map(str::to_owned)).collect(),
        extra: Default::default(),
    }
}

fn token_status(call: &Call, spec: &Value) -> Result<Value, Status> {
    let token = spec["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(Status::bad_request(
            "token is required for TokenReview in authentication",
        ));
    }
    let asked = spec["audiences"].as_array().into_iter().flatten();
    let mut asked: Vec<&str> = asked.filter_map(Value::as_str).collect();
    if asked.is_empty() {
        asked.push(ISSUER);
    }
    let known = |audience: &&str| call.registry().token_identity(token, &[audience]).is_some();
    let audiences: Vec<&str> = asked.iter().copied().filter(known).collect();
    Ok(match call.registry().token_identity(token, &asked) {
        Some(identity) => json!({"authenticated": true, "user": identity.json(), "audiences": audiences}),
        None => {
            json!({"authenticated": false, "error": "the token is not one of this cluster for these audiences, has expired, or its service account or pod is gone"})
        }
    })
}

fn access_status(call: &Call, identity: &Identity, spec: &Value) -> Value {
    let (asked, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let text = |value: &'static str| asked[value].as_str().unwrap_or_default();
    let reason = if asked.is_null() {
        let text = |field: &str| path[field].as_str().unwrap_or_default();
        call.registry().path_reason(identity, text("verb"), text("path"))
    } else {
        let attributes = Attributes {
            verb: text("verb"),
            group: text("group"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
        };
        call.registry().reason(identity, &attributes)
    };
    match reason {
        _ if identity.is_master() => json!({"allowed": true}),
        Some(reason) => json!({"allowed": true, "reason": reason}),
        None => json!({"allowed": false}),
    }
}

/// Issues a token for a service account.
pub(super) fn token_request(call: Call) -> Result<Response, Status> {
    let mut request = if call.body.is_empty() {
        json!({})
    } else {
        parse_body(&call)?
    };
    let account = call
        .registry()
        .store
        .get(&call.key())
        .ok_or_else(|| Status::not_found("serviceaccounts", call.name()))?;
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
    if !TOKEN_SECONDS.contains(&seconds) {
        let detail = "may not specify a duration less than 10 minutes or more than 2^32 seconds";
        let value = Value::from(seconds);
        let error = FieldError::invalid("spec.expirationSeconds", &value, detail);
        return Err(Status::invalid(
            "authentication.k8s.io",
            "TokenRequest",
            call.name(),
            &[error],
        ));
    }
    let audiences = request["spec"]["audiences"].as_array().cloned().unwrap_or_default();
    let mut audiences: Vec<String> = audiences
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    if audiences.is_empty() {
        audiences.push(ISSUER.to_owned());
    }
    let bound = &request["spec"]["boundObjectRef"];
    let pod = match (bound["kind"].as_str(), bound["name"].as_str()) {
        (Some("Pod"), Some(name)) => {
            let pod = call
                .registry()
                .store
                .get(&Key::new(&"pods".into(), call.namespace(), name));
            let pod = pod.ok_or_else(|| Status::not_found("pods", name))?;
            if bound["uid"].as_str().is_some_and(|uid| *uid != *pod.fields.uid) {
                let why = format!(
                    "the UID in the bound object reference ({}) does not match the UID in record",
                    bound["uid"]
                );
                return Err(Status::conflict("pods", name, why));
            }
            Some((name.to_owned(), pod.fields.uid.to_string()))
        }
        (Some(kind), _) => {
            return Err(Status::bad_request(format!(
                "cannot bind token for object type {kind}: only Pod is supported"
            )));
        }
        _ => None,
    };
    let now = crate::clock::now();
    let expires = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    let claims = Claims {
        namespace: call.namespace().to_owned(),
        account: (call.name().to_owned(), account.fields.uid.to_string()),
        pod,
        audiences: audiences.clone(),
        expires,
    };
    request["kind"] = "TokenRequest".into();
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    request["spec"]["audiences"] = audiences.into();
    request["spec"]["expirationSeconds"] = seconds.into();
    request["status"] =
        json!({"token": call.registry().settings.tokens.issue(&claims, now), "expirationTimestamp": rfc3339(expires)});
    Ok(respond(&call, 201, json_response(&request)))
}
