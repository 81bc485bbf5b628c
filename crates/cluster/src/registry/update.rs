//! update and every other change of what is stored: read, change, admit, check, and write if no one else has written meanwhile.

use serde_json::Value;

use super::admission::{self, Attempt, Operation};
use super::create::{attempt_namespace, settle};
use super::{Outcome, Registry, Request, refused_write};
use crate::apimachinery::fields::{self, Manager};
use crate::apimachinery::kinds;
use crate::apimachinery::objects::{converts, default, from_storage, in_order, to_storage, validate};
use crate::apimachinery::resources::Resource;
use crate::apimachinery::scale;
use crate::apimachinery::status::{FieldError, Status};
use crate::store::{Write, WriteError, WriteKind};

/// Times a change is computed again when someone else wrote meanwhile.
pub(super) const MOST_TRIES: usize = 20;

/// What happens when someone else wrote between reading and writing, though the change names the version it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// The change is computed again from what is there now.
    Retry,
    /// It is refused.
    Refuse,
}

impl Registry {
    /// Replaces an object, as PUT does.
    ///
    /// # Errors
    /// A name, namespace or version that is not the request's, or what [`Registry::change`] refuses. `kind` is what was wrong with the
    /// kind of a custom resource, which comes last.
    pub async fn update(
        &self,
        request: &Request,
        value: &Value,
        kind: Result<(), Status>,
        manager: &Manager,
        warnings: &mut Vec<String>,
    ) -> Result<Outcome, Status> {
        let resource = request.resource();
        let given = value["metadata"]["name"].as_str().unwrap_or_default();
        if given.is_empty() {
            let message = format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                request.name()
            );
            return Err(Status::bad_request(message));
        }
        if given != request.name() {
            let message = format!(
                "the name of the object ({given}) does not match the name on the URL ({})",
                request.name()
            );
            return Err(Status::bad_request(message));
        }
        let namespace = value["metadata"]["namespace"].as_str().unwrap_or_default();
        if !namespace.is_empty() && resource.namespaced && namespace != request.namespace() {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Status::bad_request(message));
        }
        let version = value["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let needed = resource.custom.is_some()
            || matches!(
                &*resource.key,
                "leases.coordination.k8s.io" | "poddisruptionbudgets.policy"
            );
        if needed && version.is_empty() && self.store.get(&request.key()).is_some() {
            let error = FieldError::invalid("metadata.resourceVersion", &0.into(), "must be specified for an update");
            return Err(Status::invalid(
                &resource.group,
                &resource.plural,
                request.name(),
                &[error],
            ));
        }
        kind?;
        self.change(
            request,
            Some(manager),
            OnConflict::Refuse,
            |_, _| Ok(value.clone()),
            warnings,
        )
        .await
    }

    /// Replaces `spec.finalizers` of a Namespace, and nothing else.
    ///
    /// # Errors
    /// As [`Registry::change`].
    pub async fn finalize(
        &self,
        request: &Request,
        finalizers: &Value,
        warnings: &mut Vec<String>,
    ) -> Result<Outcome, Status> {
        let change = |old: &Value, _: &Value| {
            let mut new = old.clone();
            new["spec"]["finalizers"] = if finalizers.is_array() {
                finalizers.clone()
            } else {
                Value::Array(Vec::new())
            };
            Ok(new)
        };
        self.change(request, None, OnConflict::Retry, change, warnings).await
    }

    /// Computes the changed object from the current one (in the version of the request, and as stored) and stores it; nothing is written
    /// if nothing changes. An object that waited for its end and has nothing left to wait for goes.
    ///
    /// With a `manager` the changed fields are recorded as its own; server-side apply records them itself.
    ///
    /// # Errors
    /// What the kind, admission or quota have against it; that it is not there, or no longer what the change was made for.
    pub async fn change(
        &self,
        request: &Request,
        manager: Option<&Manager>,
        on_conflict: OnConflict,
        mut change: impl FnMut(&Value, &Value) -> Result<Value, Status>,
        warnings: &mut Vec<String>,
    ) -> Result<Outcome, Status> {
        let resource = request.resource();
        let (key, qualified) = (request.key(), request.qualified());
        for _ in 0..MOST_TRIES {
            let current = self
                .store
                .get(&key)
                .ok_or_else(|| Status::not_found(&qualified, request.name()))?;
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
                return Err(Status::new(500, "", message));
            }
            let pinned = !required.is_empty() && required != old["metadata"]["resourceVersion"];
            if pinned {
                return Err(Status::modified(&qualified, request.name()));
            }
            let uid = new["metadata"]["uid"].as_str().unwrap_or_default();
            if !uid.is_empty() && uid != &*current.fields.uid {
                let why = format!(
                    "StorageError: invalid object, Code: 4, Key: /{}/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                    resource.plural,
                    request.namespace(),
                    request.name(),
                    current.fields.uid
                );
                return Err(Status::conflict(&qualified, request.name(), why));
            }
            keep_identity(old, &mut new);
            restrict(resource, request.target.subresource.as_deref(), old, &mut new);
            if &*resource.key == "pods" && new["spec"].is_object() && new["spec"]["preemptionPolicy"].is_null() {
                restore(&old["spec"], &mut new["spec"], "preemptionPolicy");
            }
            if &*resource.key == "services" {
                kinds::drop_of_other_type(old, &mut new);
            }
            default(resource, &mut new);
            kinds::prepare_update(resource, old, &mut new);
            if &*resource.key == "services" {
                self.service_addresses.keep(self, old, &mut new)?;
            }
            // Webhooks and policies see of a scaling the Scale, before and after, and may refuse it.
            let scale = scale::paths(resource).filter(|_| request.target.subresource.as_deref() == Some("scale"));
            let old_scale = scale.as_ref().map(|paths| scale::scale_of(old, paths));
            let settled = |new: &mut Value| {
                settle(resource, new);
                keep_identity(old, new);
                restrict(resource, request.target.subresource.as_deref(), old, new);
            };
            let attempt = Attempt {
                registry: self,
                identity: &request.identity,
                operation: Operation::Update,
                resource,
                subresource: request.target.subresource.as_deref().unwrap_or_default(),
                namespace: attempt_namespace(resource, request.namespace(), request.name()),
                name: request.name(),
                old: old_scale.as_ref().or(Some(old)),
                dry_run: request.dry_run,
                users: self.asks_users(),
                settle: &settled,
            };
            let mut admitted = Vec::new();
            if scale.is_none() {
                admission::admit(&attempt, &mut new, &mut admitted).await?;
            }
            // The labels of a slice say what it belongs to.
            let slice = &*resource.key == "endpointslices.discovery.k8s.io";
            let moved = slice && old["metadata"]["labels"] != new["metadata"]["labels"];
            if resource.has_generation() && (spec_changed(old, &new) || moved) {
                new["metadata"]["generation"] = (old["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
            }
            validate(resource, Some(old), &new)?;
            self.check_escalation(request, Some(old), &new)?;
            if let Some(manager) = manager {
                fields::record_update(resource, Some(old), &mut new, manager);
            }
            let new_scale = scale.as_ref().map(|paths| scale::scale_of(&new, paths));
            let reservation = match &new_scale {
                Some(new_scale) => admission::validate(&attempt, Some(new_scale), &mut admitted).await?,
                None => admission::validate(&attempt, Some(&new), &mut admitted).await?,
            };
            // An update warns only of what it brings.
            let mut brought = kinds::warnings(resource, &new);
            if !brought.is_empty() {
                let before = kinds::warnings(resource, old);
                brought.retain(|warning| !before.contains(warning));
            }
            admitted.extend(brought);
            *warnings = admitted;
            if same(old, &new) {
                return Ok(Outcome::Stored(current));
            }
            let ends = ends_now(&new);
            if request.dry_run {
                return Ok(Outcome::DryRun(Box::new(in_order(new))));
            }
            to_storage(resource, &mut new);
            let mut new = in_order(new);
            let expected = current.revision;
            let kind = if ends {
                WriteKind::Delete { expected }
            } else {
                WriteKind::Update { expected }
            };
            match self.store.write(Write::new(key.clone(), kind, &mut new)).await {
                Ok(object) => {
                    if let Some(reservation) = reservation {
                        reservation.book();
                    }
                    if &*resource.key == "customresourcedefinitions.apiextensions.k8s.io" {
                        self.reload_custom_resources();
                    }
                    return Ok(Outcome::Stored(object));
                }
                Err(WriteError::Conflict) if on_conflict == OnConflict::Retry || required.is_empty() => {}
                Err(error) => return Err(refused_write(error, &qualified, request.name())),
            }
        }
        Err(Status::modified(&qualified, request.name()))
    }
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
