//! update, patch and server-side apply: read, change, check, write if no one else has written meanwhile.

use std::sync::{Arc, PoisonError};

use axum::response::Response;
use serde_json::Value;

use super::create::{attempt_namespace, create_value, settle};
use super::objects::{
    check_fields, check_kind, check_types, converts, decode, default, from_storage, in_order, object_response,
    parse_body, parse_yaml, schema_of, to_storage, validate, value_response,
};
use super::respond;
use super::typed::{check_applied, not_patched};
use crate::apiserver::admission::{self as user_admission, Attempt, Operation};
use crate::apiserver::apply;
use crate::apiserver::fields::{self, Manager};
use crate::apiserver::json_words;
use crate::apiserver::kinds;
use crate::apiserver::patch::{json_patch, merge_patch, strategic_merge_patch, unknown_directive};
use crate::apiserver::resources::Resource;
use crate::apiserver::server::Call;
use crate::apiserver::status::{ApiError, FieldError};
use crate::apiserver::strict;
use crate::store::{Object, Write, WriteError, WriteKind};

/// Times a patch is computed again when someone else wrote meanwhile.
const MOST_TRIES: usize = 20;

/// Handles a PUT.
pub(super) async fn update(mut call: Call) -> Result<Response, ApiError> {
    let mut value = parse_body(&call)?;
    let resource = call.target.resource.clone();
    // For a custom resource the wrong kind comes last, when everything else is right.
    let kind = match check_kind(&resource, &mut value) {
        Err(error) if error.code != 422 => return Err(error),
        kind => kind,
    };
    check_fields(&mut call, &mut value)?;
    let given = value["metadata"]["name"].as_str().unwrap_or_default();
    if given.is_empty() {
        let message = format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            call.name()
        );
        return Err(ApiError::bad_request(message));
    }
    if given != call.name() {
        let message = format!(
            "the name of the object ({given}) does not match the name on the URL ({})",
            call.name()
        );
        return Err(ApiError::bad_request(message));
    }
    let namespace = value["metadata"]["namespace"].as_str().unwrap_or_default();
    if !namespace.is_empty() && resource.namespaced && namespace != call.namespace() {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    let version = value["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let needed = resource.custom.is_some()
        || matches!(
            &*resource.key,
            "leases.coordination.k8s.io" | "poddisruptionbudgets.policy"
        );
    if needed && version.is_empty() && call.server.store.get(&call.key()).is_some() {
        let error = FieldError::invalid("metadata.resourceVersion", &0.into(), "must be specified for an update");
        return Err(ApiError::invalid(
            &resource.group,
            &resource.plural,
            call.name(),
            &[error],
        ));
    }
    kind?;
    let manager = fields::manager_of(&call, "Update");
    let changed = modify(&call, Some(&manager), |_, _| Ok(value.clone())).await?;
    Ok(changed.into_response(&call))
}

/// Handles a PATCH of any type.
pub(super) async fn patch(mut call: Call) -> Result<Response, ApiError> {
    let resource = call.target.resource.clone();
    let content_type = call.content_type.clone();
    if content_type == "application/apply-patch+yaml" || content_type == "application/apply-patch+cbor" {
        return server_side_apply(call).await;
    }
    let patch: Value = serde_json::from_slice(&call.body).map_err(|cause| {
        let why = json_words::why(&call.body, &cause);
        ApiError::bad_request(format!("error decoding patch: {why}"))
    })?;
    let manager = fields::manager_of(&call, "Update");
    let validation = call.query.get("fieldValidation").unwrap_or("Warn").to_owned();
    let schema = schema_of(&resource);
    let mut warnings = Vec::new();
    let changed = modify(&call, Some(&manager), |old, _| {
        let mut new = match content_type.as_str() {
            "application/json-patch+json" => json_patch(old, &patch)?,
            "application/merge-patch+json" => {
                let mut new = old.clone();
                merge_patch(&mut new, &patch);
                new
            }
            "application/strategic-merge-patch+json" if resource.custom.is_none() => {
                let mut new = old.clone();
                if let Some(why) = unknown_directive(&patch) {
                    return Err(ApiError::new(500, "", why));
                }
                strategic_merge_patch(&mut new, &patch, schema);
                new
            }
            "application/strategic-merge-patch+json" => {
                let types = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
                let message =
                    format!("the body of the request was in an unknown format - accepted media types include: {types}");
                return Err(ApiError::new(415, "UnsupportedMediaType", message));
            }
            _ => {
                let message = "415: Unsupported Media Type";
                return Err(ApiError::new(415, "UnsupportedMediaType", message));
            }
        };
        if resource.custom.is_some() {
            check_kind(&resource, &mut new)?;
        }
        let decoded = check_kind(&resource, &mut new).and_then(|()| check_types(&resource, schema, &new));
        decoded.map_err(|why| not_patched(&new, &why.message))?;
        let given = new["metadata"]["name"].as_str().unwrap_or_default();
        if given != call.name() {
            let message = format!(
                "the name of the object ({given}) does not match the name on the URL ({})",
                call.name()
            );
            return Err(ApiError::bad_request(message));
        }
        let unknown = crate::apiserver::schema::prune(schema, &mut new);
        let complaints = strict::complaints(&call.body, &unknown);
        if !complaints.is_empty() {
            if validation == "Strict" {
                let why = format!("strict decoding error: {}", complaints.join(", "));
                return Err(not_patched(&new, &why));
            }
            warnings = complaints;
        }
        if resource.custom.is_none() {
            decode(&resource, schema, &mut new)?;
        }
        Ok(new)
    })
    .await?;
    if validation != "Ignore" {
        call.warnings.append(&mut warnings);
    }
    Ok(changed.into_response(&call))
}

async fn server_side_apply(mut call: Call) -> Result<Response, ApiError> {
    let mut applied = parse_yaml(&call.body).map_err(|cause| {
        ApiError::bad_request(format!(
            "error decoding YAML: error converting YAML to JSON: yaml: {cause}"
        ))
    })?;
    let resource = call.target.resource.clone();
    let name = call.query.get("fieldManager").unwrap_or_default().to_owned();
    let word = |field: &str| applied[field].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (word("apiVersion"), word("kind"));
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    if version.is_empty() || kind != resource.kind && resource.custom.is_none() {
        let message = format!("invalid object type: {group}/{version}, Kind={kind}");
        return Err(ApiError::bad_request(message));
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
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    match applied["metadata"]["name"].as_str() {
        Some(given) if given != call.name() => {
            let message = format!(
                "the name of the object ({given}) does not match the name on the URL ({})",
                call.name()
            );
            return Err(ApiError::bad_request(message));
        }
        Some(_) => {}
        None if call.server.store.get(&call.key()).is_none() => {
            let message = format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                call.name()
            );
            return Err(ApiError::bad_request(message));
        }
        None => applied["metadata"]["name"] = call.name().into(),
    }
    let force = call.query.flag("force");
    let manager = Manager {
        name,
        operation: "Apply",
        api_version: resource.api_version(),
        subresource: call.target.subresource.clone().unwrap_or_default(),
    };
    if call.server.store.get(&call.key()).is_none() {
        if call.target.subresource.is_some() {
            return Err(ApiError::not_found(&resource.qualified(), call.name()));
        }
        let own = apply::owned_set(&resource, &applied, &manager);
        let value = applied.clone();
        let created = create_value(&mut call, value, |resource, new| {
            fields::record_apply(resource, new, &manager, &own)
        })
        .await;
        match created {
            // Someone else created it meanwhile: apply to theirs.
            Err(error) if error.reason == "AlreadyExists" => {}
            other => return other,
        }
    }
    let changed = modify(&call, None, |old, stored| {
        apply::apply(&resource, old, stored, &applied, &manager, force)
    })
    .await?;
    Ok(changed.into_response(&call))
}

/// Handles PUT namespaces/<name>/finalize: only `spec.finalizers` changes.
pub(super) async fn finalize_namespace(call: Call) -> Result<Response, ApiError> {
    let value = parse_body(&call)?;
    let finalizers = value["spec"]["finalizers"].clone();
    let changed = modify(&call, None, |old, _| {
        let mut new = old.clone();
        new["spec"]["finalizers"] = if finalizers.is_array() {
            finalizers.clone()
        } else {
            Value::Array(Vec::new())
        };
        Ok(new)
    })
    .await?;
    Ok(changed.into_response(&call))
}

/// What a change came to.
pub(super) enum Changed {
    Stored(Arc<Object>),
    DryRun(Box<Value>),
}

impl Changed {
    fn into_response(self, call: &Call) -> Response {
        let response = match &self {
            Changed::Stored(object) => object_response(call, object),
            Changed::DryRun(value) => value_response(call, value),
        };
        respond(call, 200, response)
    }
}

/// Computes the changed object from the current one (in the version of the request) and stores it; nothing is written if nothing changes.
///
/// With a `manager` the changed fields are recorded as its own; server-side apply records them itself.
pub(super) async fn modify(
    call: &Call,
    manager: Option<&Manager>,
    mut change: impl FnMut(&Value, &Value) -> Result<Value, ApiError>,
) -> Result<Changed, ApiError> {
    let resource = call.resource();
    let (key, qualified) = (call.key(), call.qualified());
    for _ in 0..MOST_TRIES {
        let current = call
            .server
            .store
            .get(&key)
            .ok_or_else(|| ApiError::not_found(&qualified, call.name()))?;
        let stored = current.value();
        let converted = converts(resource, &current).then(|| {
            let mut old = stored.clone();
            from_storage(resource, &mut old);
            old
        });
        let old = converted.as_ref().unwrap_or(&stored);
        let mut new = change(old, &stored)?;
        let required = new["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if !required.is_empty() && required.parse::<u64>().is_err() {
            let message = format!("strconv.ParseUint: parsing {required:?}: invalid syntax");
            return Err(ApiError::new(500, "", message));
        }
        let pinned = !required.is_empty() && required != old["metadata"]["resourceVersion"];
        if pinned {
            return Err(ApiError::modified(&qualified, call.name()));
        }
        let uid = new["metadata"]["uid"].as_str().unwrap_or_default();
        if !uid.is_empty() && uid != &*current.fields.uid {
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: /{}/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                resource.plural,
                call.namespace(),
                call.name(),
                current.fields.uid
            );
            return Err(ApiError::conflict(&qualified, call.name(), why));
        }
        keep_identity(old, &mut new);
        restrict(resource, call.target.subresource.as_deref(), old, &mut new);
        if &*resource.key == "pods" && new["spec"].is_object() && new["spec"]["preemptionPolicy"].is_null() {
            restore(&old["spec"], &mut new["spec"], "preemptionPolicy");
        }
        if &*resource.key == "services" {
            kinds::drop_of_other_type(old, &mut new);
        }
        default(resource, &mut new);
        kinds::prepare_update(resource, old, &mut new);
        if &*resource.key == "services" {
            call.server.service_addresses.keep(&call.server, old, &mut new)?;
        }
        let configured = user_admission::is_configured(&call.server);
        // Webhooks and policies see of a scaling the Scale, before and after, and may refuse it.
        let scale = super::scale::paths(resource).filter(|_| call.target.subresource.as_deref() == Some("scale"));
        let old_scale = scale.as_ref().map(|paths| super::scale::scale_of(old, paths));
        let attempt = Attempt {
            server: &call.server,
            identity: &call.identity,
            operation: Operation::Update,
            resource,
            subresource: call.target.subresource.as_deref().unwrap_or_default(),
            namespace: attempt_namespace(resource, call.namespace(), call.name()),
            name: call.name(),
            old: old_scale.as_ref().or(Some(old)),
            dry_run: call.query.dry_run(),
        };
        let mut said = Vec::new();
        if configured && scale.is_none() {
            let settled = |new: &mut Value| {
                settle(resource, new);
                keep_identity(old, new);
                restrict(resource, call.target.subresource.as_deref(), old, new);
            };
            user_admission::mutate(&attempt, &mut new, settled, &mut said).await?;
        }
        // The labels of a slice say what it belongs to.
        let slice = &*resource.key == "endpointslices.discovery.k8s.io";
        let moved = slice && old["metadata"]["labels"] != new["metadata"]["labels"];
        if resource.has_generation() && (spec_changed(old, &new) || moved) {
            new["metadata"]["generation"] = (old["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
        }
        validate(resource, Some(old), &new)?;
        call.server.check_escalation(call, Some(old), &new)?;
        if let Some(manager) = manager {
            fields::record_update(resource, Some(old), &mut new, manager);
        }
        if configured {
            let new_scale = scale.as_ref().map(|paths| super::scale::scale_of(&new, paths));
            user_admission::validate(&attempt, new_scale.as_ref().or(Some(&new)), &mut said).await?;
        }
        // An update warns only of what it brings.
        let mut brought = kinds::warnings(resource, &new);
        if !brought.is_empty() {
            let before = kinds::warnings(resource, old);
            brought.retain(|warning| !before.contains(warning));
        }
        said.extend(brought);
        *call.admitted.lock().unwrap_or_else(PoisonError::into_inner) = said;
        if same(old, &new) {
            return Ok(Changed::Stored(current));
        }
        let ends = ends_now(&new);
        let (registry, store) = (call.server.registry(), &call.server.store);
        let ledger = &call.server.ledger;
        let reservation = ledger.reserve(store, &registry, resource, Some(old), &new).await?;
        if call.query.dry_run() {
            return Ok(Changed::DryRun(Box::new(in_order(new))));
        }
        to_storage(resource, &mut new);
        let mut new = in_order(new);
        let expected = current.revision;
        let kind = if ends {
            WriteKind::Delete { expected }
        } else {
            WriteKind::Update { expected }
        };
        match call.server.store.write(Write::new(key.clone(), kind, &mut new)).await {
            Ok(object) => {
                if let Some(reservation) = reservation {
                    reservation.book();
                }
                if &*resource.key == "customresourcedefinitions.apiextensions.k8s.io" {
                    call.server.reload_custom_resources();
                }
                return Ok(Changed::Stored(object));
            }
            Err(WriteError::Conflict)
                if manager.is_none() || required.is_empty() || call.content_type.contains("patch") => {}
            Err(error) => return Err(ApiError::from_write(error, &qualified, call.name())),
        }
    }
    Err(ApiError::modified(&qualified, call.name()))
}

/// Makes a field of an object what it was.
fn restore(old: &Value, new: &mut Value, field: &str) {
    let Some(value) = old.get(field) else {
        new.as_object_mut().map(|fields| fields.shift_remove(field));
        return;
    };
    // It mostly is: comparing costs less than a copy.
    if new.get(field) != Some(value) {
        new[field] = value.clone();
    }
}

/// What no client may change.
fn keep_identity(old: &Value, new: &mut Value) {
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "generateName",
    ] {
        restore(&old["metadata"], &mut new["metadata"], field);
    }
    new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
    // Finalizers of an object that is being deleted may only be taken away.
    if !old["metadata"]["deletionTimestamp"].is_null() {
        let before = old["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        if let Some(list) = new["metadata"]["finalizers"].as_array().cloned() {
            let kept: Vec<Value> = list
                .into_iter()
                .filter(|finalizer| before.contains(finalizer))
                .collect();
            new["metadata"]["finalizers"] = kept.into();
        }
    }
    // A list without items is not a list, as the API's types write it.
    if let Some(metadata) = new["metadata"].as_object_mut() {
        for field in ["finalizers", "ownerReferences"] {
            if metadata.get(field).and_then(Value::as_array).is_some_and(Vec::is_empty) {
                metadata.shift_remove(field);
            }
        }
    }
}

/// The status subresource changes the status; everything else changes the rest.
fn restrict(resource: &Resource, subresource: Option<&str>, old: &Value, new: &mut Value) {
    if !resource.status {
        return;
    }
    if subresource != Some("status") {
        restore(old, new, "status");
        return;
    }
    let others: Vec<String> = new
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    for field in others
        .iter()
        .filter(|name| !matches!(name.as_str(), "status" | "metadata" | "kind" | "apiVersion"))
    {
        restore(old, new, field);
    }
    restore(old, new, "spec");
    if resource.custom.is_some() {
        if new["metadata"] != old["metadata"] {
            let managed = new["metadata"]["managedFields"].take();
            restore(old, new, "metadata");
            if !managed.is_null() {
                new["metadata"]["managedFields"] = managed;
            }
        }
    } else {
        for field in ["finalizers", "ownerReferences"] {
            restore(&old["metadata"], &mut new["metadata"], field);
        }
    }
}

fn rest(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let fields = value.as_object().into_iter().flatten();
    fields.filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status" | "kind" | "apiVersion"))
}

fn spec_changed(old: &Value, new: &Value) -> bool {
    rest(old).count() != rest(new).count() || rest(new).any(|(name, field)| old.get(name) != Some(field))
}

/// Whether two objects differ in nothing but bookkeeping. Timestamps of managed fields do not count as a change, nor do empty fields of
/// the metadata.
fn same(old: &Value, new: &Value) -> bool {
    fn fields(value: &Value, counts: impl Fn(&str, &Value) -> bool) -> Vec<(&String, &Value)> {
        let fields = value.as_object().into_iter().flatten();
        fields.filter(|(name, field)| counts(name, field)).collect()
    }
    fn equal(
        [old, new]: [&Value; 2],
        counts: impl Fn(&str, &Value) -> bool,
        equal: impl Fn(&str, &Value, &Value) -> bool,
    ) -> bool {
        let (was, is) = (fields(old, &counts), fields(new, &counts));
        was.len() == is.len()
            && is
                .iter()
                .all(|(name, field)| old.get(name.as_str()).is_some_and(|old| equal(name, old, field)))
    }
    let present = |_: &str, field: &Value| !field.is_null() && field.as_array().is_none_or(|list| !list.is_empty());
    let entries = |name: &str, old: &Value, new: &Value| match (old.as_array(), new.as_array()) {
        (Some(old), Some(new)) if name == "managedFields" => {
            old.len() == new.len()
                && old
                    .iter()
                    .zip(new)
                    .all(|(old, new)| equal([old, new], |name, _| name != "time", |_, old, new| old == new))
        }
        _ => old == new,
    };
    equal(
        [old, new],
        |_, _| true,
        |name, old, new| match name {
            "metadata" => equal([old, new], present, entries),
            _ => old == new,
        },
    )
}

/// Whether an object that waits for its end has nothing left to wait for.
fn ends_now(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let no_finalizers = metadata["finalizers"].as_array().is_none_or(Vec::is_empty);
    let graceful = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
    let emptying = object["kind"] == "Namespace"
        && object["spec"]["finalizers"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
    !metadata["deletionTimestamp"].is_null() && no_finalizers && !graceful && !emptying
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::same;

    #[test]
    fn bookkeeping_is_no_change() {
        let old = json!({"kind": "Pod", "metadata": {"name": "a", "labels": {"x": "1"}, "managedFields": [{"manager": "m", "time": "1"}]}, "spec": {}});
        let with = |pointer: &str, value| {
            let mut new = old.clone();
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            new.pointer_mut(parent).unwrap()[field] = value;
            new
        };
        for same_as_old in [
            old.clone(),
            with("/metadata/managedFields", json!([{"time": "2", "manager": "m"}])),
            with("/metadata/managedFields", json!([{"manager": "m"}])),
            with("/metadata/finalizers", json!([])),
            with("/metadata/annotations", json!(null)),
        ] {
            assert!(same(&old, &same_as_old) && same(&same_as_old, &old), "{same_as_old}");
        }
        for changed in [
            with("/spec", json!({"a": 1})),
            with("/status", json!({})),
            with("/status", json!(null)),
            with("/metadata/labels", json!({})),
            with("/metadata/finalizers", json!(["f"])),
            with("/metadata/managedFields", json!([{"manager": "n", "time": "1"}])),
            with(
                "/metadata/managedFields",
                json!([{"manager": "m", "time": "1", "x": null}]),
            ),
            with("/metadata/managedFields", json!([])),
            json!({"metadata": old["metadata"], "spec": {}}),
        ] {
            assert!(!same(&old, &changed) && !same(&changed, &old), "{changed}");
        }
    }
}
