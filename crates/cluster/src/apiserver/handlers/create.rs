//! create.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::objects::{
    check_fields, check_kind, default, in_order, object_response, parse_body, schema_of, to_storage, validate,
    value_response,
};
use super::{admission, respond};
use crate::apiserver::admission::{self as user_admission, Attempt, Operation};
use crate::apiserver::crd;
use crate::apiserver::fields;
use crate::apiserver::kinds;
use crate::apiserver::meta::{now, suffix, uid};
use crate::apiserver::resources::{Resource, Treatment};
use crate::apiserver::server::{Call, Server};
use crate::apiserver::status::ApiError;
use crate::store::{Key, Object, Write, WriteError, WriteKind};

/// Names tried for `generateName` before giving up.
const MOST_NAMES: usize = 8;

/// Handles a POST to a collection.
pub(super) async fn create(mut call: Call) -> Result<Response, ApiError> {
    match create_of(&mut call).await {
        // A refusal carries the warnings that were found before it.
        Err(error) => Ok(respond(&call, error.code, error.into_response())),
        created => created,
    }
}

async fn create_of(call: &mut Call) -> Result<Response, ApiError> {
    let mut value = parse_body(call)?;
    let resource = call.target.resource.clone();
    check_kind(&resource, &mut value)?;
    check_fields(call, &mut value)?;
    if call.target.namespace.is_none() && resource.namespaced {
        return Err(ApiError::method_not_allowed());
    }
    if value["metadata"]["resourceVersion"]
        .as_str()
        .is_some_and(|version| !version.is_empty() && !call.query.dry_run())
    {
        // The real server looks at it only when it stores an object.
        return Err(ApiError::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let manager = fields::manager_of(call, "Update");
    create_value(call, value, |_, new| {
        fields::record_update(&resource, None, new, &manager)
    })
    .await
}

/// Stores a new object and answers with it; `managed` writes its managed fields.
pub(super) async fn create_value(
    call: &mut Call,
    mut value: Value,
    managed: impl Fn(&Resource, &mut Value),
) -> Result<Response, ApiError> {
    let resource = call.target.resource.clone();
    if resource.treatment == Treatment::Refused {
        return Err(refused(&resource));
    }
    let namespace = call.namespace().to_owned();
    let given = value["metadata"]["namespace"].as_str().unwrap_or_default();
    if !given.is_empty() && given != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    let prefix = value["metadata"]["generateName"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let named = value["metadata"]["name"].as_str().is_some_and(|name| !name.is_empty());
    let mut tries = if named || prefix.is_empty() { 1 } else { MOST_NAMES };
    loop {
        tries -= 1;
        if !named && !prefix.is_empty() {
            let room = prefix.char_indices().nth(58).map_or(prefix.len(), |(index, _)| index);
            value["metadata"]["name"] = format!("{}{}", &prefix[..room], suffix()).into();
        }
        let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        // Only what may have to be named again is kept as it came.
        let mut new = if tries > 0 {
            value.clone()
        } else {
            std::mem::take(&mut value)
        };
        begin(&call.server, &resource, &namespace, &mut new, &managed)?;
        let configured = user_admission::is_configured(&call.server);
        let attempt = Attempt {
            server: &call.server,
            identity: &call.identity,
            operation: Operation::Create,
            resource: &resource,
            subresource: "",
            namespace: attempt_namespace(&resource, &namespace, &name),
            name: &name,
            old: None,
            dry_run: call.query.dry_run(),
        };
        let mut said = Vec::new();
        if configured {
            user_admission::mutate(&attempt, &mut new, |new| settle(&resource, new), &mut said).await?;
        }
        validate(&resource, None, &new)?;
        call.server.check_escalation(call, None, &new)?;
        call.warnings.extend(kinds::warnings(&resource, &new));
        if configured {
            user_admission::validate(&attempt, Some(&new), &mut said).await?;
        }
        call.warnings.append(&mut said);
        to_storage(&resource, &mut new);
        let mut new = in_order(new);
        call.warnings
            .extend(admission::keep_secure(&call.server, &resource, &new)?);
        let registry = call.server.registry();
        let ledger = &call.server.ledger;
        let reservation = ledger
            .reserve(&call.server.store, &registry, &resource, None, &new)
            .await?;
        if call.query.dry_run() {
            if call
                .server
                .store
                .get(&Key::new(&resource.key, &namespace, &name))
                .is_some()
            {
                return Err(ApiError::already_exists(&resource.qualified(), &name));
            }
            if &*resource.key == crd::DEFINITIONS {
                crd::before_acceptance(&mut new);
            }
            return Ok(respond(call, 201, value_response(call, &new)));
        }
        let key = Key::new(&resource.key, &namespace, &name);
        match call
            .server
            .store
            .write(Write::new(key, WriteKind::Create, &mut new))
            .await
        {
            Ok(object) => {
                if let Some(reservation) = reservation {
                    reservation.book();
                }
                admission::after_create(&call.server, &resource, &object).await;
                return Ok(respond(call, 201, object_response(call, &object)));
            }
            Err(WriteError::Exists) if tries > 0 => {}
            Err(error) => return Err(ApiError::from_write(error, &resource.qualified(), &name)),
        }
    }
}

/// The namespace that webhooks and policies are told: a namespace is in itself.
pub(super) fn attempt_namespace<'n>(resource: &Resource, namespace: &'n str, name: &'n str) -> &'n str {
    if &*resource.key == "namespaces" {
        name
    } else {
        namespace
    }
}

/// Brings what webhooks made into the form that is stored.
pub(super) fn settle(resource: &Resource, new: &mut Value) {
    let schema = schema_of(resource);
    crate::apiserver::schema::prune(schema, new);
    default(resource, new);
    // Validation complains about what is not a quantity.
    let _ = crate::apiserver::quantity::canonicalise(schema, new, &crate::apiserver::schema::Path::ROOT);
}

/// Makes a new object complete: identity, defaults, admission; and checks it.
fn complete(server: &Arc<Server>, resource: &Resource, namespace: &str, new: &mut Value) -> Result<(), ApiError> {
    begin(server, resource, namespace, new, |_, _| ())?;
    validate(resource, None, new)
}

/// Gives a new object its identity, its defaults and what admission adds. `managed` writes its managed fields: those of the request and
/// their defaults, not what the server adds of its own accord, which no one manages.
fn begin(
    server: &Arc<Server>,
    resource: &Resource,
    namespace: &str,
    new: &mut Value,
    managed: impl Fn(&Resource, &mut Value),
) -> Result<(), ApiError> {
    let metadata = &mut new["metadata"];
    if let Some(fields) = metadata.as_object_mut() {
        for field in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
            "resourceVersion",
            "managedFields",
            "generation",
        ] {
            fields.shift_remove(field);
        }
        if !resource.namespaced {
            fields.shift_remove("namespace");
        }
    }
    if resource.namespaced {
        metadata["namespace"] = namespace.into();
    }
    if &*resource.key == "limitranges" && metadata["name"].as_str().is_none_or(str::is_empty) {
        metadata["name"] = uid().into();
    }
    metadata["uid"] = uid().into();
    metadata["creationTimestamp"] = now().into();
    if resource.has_generation() {
        metadata["generation"] = 1.into();
    }
    let name = metadata["name"].as_str().unwrap_or_default().to_owned();
    if resource.custom.as_ref().is_some_and(|custom| custom.terminating) {
        let message = "create not allowed while custom resource definition is terminating";
        return Err(ApiError::new(405, "MethodNotAllowed", message));
    }
    admission::check_namespace(server, resource, namespace, &name)?;
    if &*resource.key == crd::DEFINITIONS {
        admission::begin_definition(server, new);
    }
    default(resource, new);
    kinds::drop_status(resource, new);
    managed(resource, new);
    kinds::prepare_create(resource, new);
    admission::admit_create(server, resource, new)
}

/// Why a kind cannot be created here.
pub(super) fn refused(resource: &Resource) -> ApiError {
    let message = format!(
        "{} have no effect on this cluster, so it does not accept them: nothing here would ever act on them",
        resource.qualified()
    );
    ApiError::new(405, "MethodNotAllowed", message)
}

/// Stores an object of our own making, complete as if a client had sent it. An object that exists already is left as it is.
pub async fn store_new(
    server: &Arc<Server>,
    resource: &Resource,
    namespace: &str,
    mut value: Value,
) -> Result<Arc<Object>, ApiError> {
    value["apiVersion"] = resource.api_version().into();
    value["kind"] = resource.kind.clone().into();
    complete(server, resource, namespace, &mut value)?;
    to_storage(resource, &mut value);
    let mut value = in_order(value);
    let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let key = Key::new(&resource.key, namespace, &name);
    match server
        .store
        .write(Write::new(key.clone(), WriteKind::Create, &mut value))
        .await
    {
        Ok(object) => Ok(object),
        Err(WriteError::Exists) => server
            .store
            .get(&key)
            .ok_or_else(|| ApiError::not_found(&resource.qualified(), &name)),
        Err(error) => Err(ApiError::from_write(error, &resource.qualified(), &name)),
    }
}
