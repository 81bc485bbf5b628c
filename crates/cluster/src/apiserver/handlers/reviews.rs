//! Questions about identity and permission, and service-account tokens.

use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::objects::{json_response, parse_body};
use super::respond;
use crate::apiserver::auth::{Attributes, Claims, ISSUER, Identity};
use crate::apiserver::meta::rfc3339;
use crate::apiserver::server::Call;
use crate::apiserver::status::ApiError;
use crate::store::Key;

/// Seconds a token may be asked for.
const TOKEN_SECONDS: std::ops::RangeInclusive<i64> = 600..=1 << 32;

/// Answers a review with its status.
pub(super) fn review(call: Call) -> Result<Response, ApiError> {
    let mut review = parse_body(&call)?;
    review["kind"] = call.resource().kind.clone().into();
    review["apiVersion"] = call.resource().api_version().into();
    review["status"] = match call.resource().kind.as_str() {
        "TokenReview" => token_status(&call, &review),
        "SelfSubjectRulesReview" => {
            let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
            let rules = call.server.rules_of(&call.identity, namespace);
            let (named, urls): (Vec<Value>, Vec<Value>) =
                rules.into_iter().partition(|rule| rule["nonResourceURLs"].is_null());
            json!({"resourceRules": named, "nonResourceRules": urls, "incomplete": false})
        }
        "SelfSubjectAccessReview" => access_status(&call, &call.identity, &review["spec"]),
        _ => {
            let spec = &review["spec"];
            let groups = spec["groups"].as_array().into_iter().flatten();
            let groups = groups.filter_map(|group| group.as_str().map(str::to_owned)).collect();
            let mut identity = Identity::certificate(spec["user"].as_str().unwrap_or_default(), groups);
            identity.groups.pop();
            access_status(&call, &identity, spec)
        }
    };
    Ok(respond(&call, 201, json_response(&review)))
}

fn token_status(call: &Call, review: &Value) -> Value {
    match call
        .server
        .token_identity(review["spec"]["token"].as_str().unwrap_or_default())
    {
        Some(identity) => json!({"authenticated": true, "user": identity.json(), "audiences": [ISSUER]}),
        None => {
            json!({"authenticated": false, "error": "the token is not one of this cluster, has expired, or its service account or pod is gone"})
        }
    }
}

fn access_status(call: &Call, identity: &Identity, spec: &Value) -> Value {
    let asked = &spec["resourceAttributes"];
    if asked.is_null() {
        let path = spec["nonResourceAttributes"]["path"].as_str().unwrap_or_default();
        let allowed = identity.groups.iter().any(|group| group == "system:masters")
            || matches!(
                path,
                "/healthz" | "/livez" | "/readyz" | "/version" | "/api" | "/apis" | "/openapi"
            );
        return json!({"allowed": allowed});
    }
    let text = |field: &str| asked[field].as_str().unwrap_or_default();
    let attributes = Attributes {
        verb: text("verb"),
        group: text("group"),
        resource: text("resource"),
        subresource: text("subresource"),
        namespace: text("namespace"),
        name: text("name"),
    };
    json!({"allowed": call.server.allows(identity, &attributes)})
}

/// Issues a token for a service account.
pub(super) fn token_request(call: Call) -> Result<Response, ApiError> {
    let mut request = if call.body.is_empty() {
        json!({})
    } else {
        parse_body(&call)?
    };
    let account = call
        .server
        .store
        .get(&call.key())
        .ok_or_else(|| ApiError::not_found("serviceaccounts", call.name()))?;
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
    if !TOKEN_SECONDS.contains(&seconds) {
        let detail = "may not specify a duration less than 10 minutes or more than 2^32 seconds";
        let value = Value::from(seconds);
        let error = crate::apiserver::status::FieldError::invalid("spec.expirationSeconds", &value, detail);
        return Err(ApiError::invalid(
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
            let pod = call.server.store.get(&Key::new(&"pods".into(), call.namespace(), name));
            let pod = pod.ok_or_else(|| ApiError::not_found("pods", name))?;
            if bound["uid"].as_str().is_some_and(|uid| *uid != *pod.fields.uid) {
                let why = format!(
                    "the UID in the bound object reference ({}) does not match the UID in record",
                    bound["uid"]
                );
                return Err(ApiError::conflict("pods", name, why));
            }
            Some((name.to_owned(), pod.fields.uid.to_string()))
        }
        (Some(kind), _) => {
            return Err(ApiError::bad_request(format!(
                "cannot bind token for object type {kind}: only Pod is supported"
            )));
        }
        _ => None,
    };
    let now = Timestamp::now();
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
        json!({"token": call.server.settings.tokens.issue(&claims, now), "expirationTimestamp": rfc3339(expires)});
    Ok(respond(&call, 201, json_response(&request)))
}
