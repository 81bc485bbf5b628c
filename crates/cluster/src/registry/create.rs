//! create: an object becomes complete, is admitted, checked and stored.

use serde_json::Value;

use super::admission::{self, Attempt, Operation};
use super::{Outcome, Registry, Request, refused_write};
use crate::apimachinery::crd;
use crate::apimachinery::kinds;
use crate::apimachinery::meta::{now, suffix, uid};
use crate::apimachinery::objects::{default, in_order, schema_of, to_storage, validate};
use crate::apimachinery::quantity;
use crate::apimachinery::resources::{Resource, Treatment};
use crate::apimachinery::schema;
use crate::apimachinery::status::Status;
use crate::store::{Key, Write, WriteError, WriteKind};

/// Names tried for `generateName` before giving up.
const MOST_NAMES: usize = 8;

impl Registry {
    /// Stores a new object. `managed` writes its managed fields.
    ///
    /// # Errors
    /// What the kind, admission or quota have against it, or that it exists. Warnings found before a refusal stay in `warnings`.
    pub async fn create(
        &self,
        request: &Request,
        mut value: Value,
        managed: impl Fn(&Resource, &mut Value),
        warnings: &mut Vec<String>,
    ) -> Result<Outcome, Status> {
        let resource = request.resource();
        if resource.treatment == Treatment::Refused {
            return Err(refused(resource));
        }
        let namespace = request.namespace();
        let given = value["metadata"]["namespace"].as_str().unwrap_or_default();
        if !given.is_empty() && given != namespace {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Status::bad_request(message));
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
            self.begin(resource, namespace, &mut new, &managed)?;
            let attempt = Attempt {
                registry: self,
                identity: &request.identity,
                operation: Operation::Create,
                resource,
                subresource: "",
                namespace: attempt_namespace(resource, namespace, &name),
                name: &name,
                old: None,
                dry_run: request.dry_run,
                users: self.asks_users(),
                settle: &|new| settle(resource, new),
            };
            let mut admitted = Vec::new();
            admission::admit(&attempt, &mut new, &mut admitted).await?;
            if &*resource.key == "services" {
                self.service_addresses.give(self, &mut new)?;
            }
            validate(resource, None, &new)?;
            self.check_escalation(request, None, &new)?;
            warnings.extend(kinds::warnings(resource, &new));
            let reservation = admission::validate(&attempt, Some(&new), &mut admitted).await?;
            warnings.append(&mut admitted);
            to_storage(resource, &mut new);
            let mut new = in_order(new);
            let key = Key::new(&resource.key, namespace, &name);
            if request.dry_run {
                if self.store.get(&key).is_some() {
                    return Err(Status::already_exists(&resource.qualified(), &name));
                }
                if &*resource.key == crd::DEFINITIONS {
                    crd::before_acceptance(&mut new);
                }
                return Ok(Outcome::DryRun(Box::new(new)));
            }
            match self.store.write(Write::new(key, WriteKind::Create, &mut new)).await {
                Ok(object) => {
                    if let Some(reservation) = reservation {
                        reservation.book();
                    }
                    self.after_create(resource, &object).await;
                    return Ok(Outcome::Stored(object));
                }
                Err(WriteError::Exists) if tries > 0 => {}
                Err(error) => return Err(refused_write(error, &resource.qualified(), &name)),
            }
        }
    }

    /// Gives a new object its identity and its defaults. `managed` writes its managed fields: those of the request and their defaults,
    /// not what the server adds of its own accord, which no one manages.
    fn begin(
        &self,
        resource: &Resource,
        namespace: &str,
        new: &mut Value,
        managed: impl Fn(&Resource, &mut Value),
    ) -> Result<(), Status> {
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
        if resource.custom.as_ref().is_some_and(|custom| custom.terminating) {
            let message = "create not allowed while custom resource definition is terminating";
            return Err(Status::new(405, "MethodNotAllowed", message));
        }
        if &*resource.key == crd::DEFINITIONS {
            self.begin_definition(new);
        }
        default(resource, new);
        kinds::drop_status(resource, new);
        managed(resource, new);
        kinds::prepare_create(resource, new);
        Ok(())
    }
}

/// The namespace that webhooks and policies see: a namespace is in itself.
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
    schema::prune(schema, new);
    default(resource, new);
    // Validation complains about what is not a quantity.
    let _ = quantity::canonicalise(schema, new, &schema::Path::ROOT);
}

/// Why a kind cannot be created here.
fn refused(resource: &Resource) -> Status {
    let message = format!(
        "{} have no effect on this cluster, so it does not accept them: nothing here would ever act on them",
        resource.qualified()
    );
    Status::new(405, "MethodNotAllowed", message)
}
