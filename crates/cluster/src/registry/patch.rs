//! patch and server-side apply.

use serde_json::Value;

use super::update::{MOST_TRIES, OnConflict};
use super::{Outcome, Registry, Request};
use crate::apimachinery::apply;
use crate::apimachinery::fields::{self, Manager};
use crate::apimachinery::objects::{check_kind, check_types, decode, schema_of};
use crate::apimachinery::patch::{json_patch, merge_patch, strategic_merge_patch, unknown_directive};
use crate::apimachinery::schema;
use crate::apimachinery::status::Status;
use crate::apimachinery::strict;
use crate::apimachinery::typed::not_patched;

/// How a patch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// Operations (RFC 6902).
    Json,
    /// The fields that change (RFC 7386).
    Merge,
    /// The same, with lists merged by their keys: built-in kinds only.
    Strategic,
}

/// A change as a client writes it.
#[derive(Clone, Copy, Debug)]
pub struct Patch<'p> {
    /// How it is written.
    pub kind: PatchKind,
    pub patch: &'p Value,
    /// As it was sent, in which fields may come twice; empty for a patch that was never text.
    pub text: &'p [u8],
    /// What is done about unknown fields: `Strict`, `Warn` or `Ignore`.
    pub validation: &'p str,
}

impl Registry {
    /// Changes an object by a patch.
    ///
    /// # Errors
    /// The patch does not fit the object or makes something else of it; or what [`Registry::change`] refuses.
    pub async fn patch(
        &self,
        request: &Request,
        patch: Patch<'_>,
        manager: &Manager,
        warnings: &mut Vec<String>,
    ) -> Result<Outcome, Status> {
        let resource = request.resource();
        let schema = schema_of(resource);
        let mut complaints = Vec::new();
        let change = |old: &Value, _: &Value| {
            let mut new = match patch.kind {
                PatchKind::Json => json_patch(old, patch.patch)?,
                PatchKind::Merge => {
                    let mut new = old.clone();
                    merge_patch(&mut new, patch.patch);
                    new
                }
                PatchKind::Strategic if resource.custom.is_none() => {
                    let mut new = old.clone();
                    if let Some(why) = unknown_directive(patch.patch) {
                        return Err(Status::new(500, "", why));
                    }
                    strategic_merge_patch(&mut new, patch.patch, schema);
                    new
                }
                PatchKind::Strategic => {
                    let types =
                        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
                    let message = format!(
                        "the body of the request was in an unknown format - accepted media types include: {types}"
                    );
                    return Err(Status::new(415, "UnsupportedMediaType", message));
                }
            };
            if resource.custom.is_some() {
                check_kind(resource, &mut new)?;
            }
            let decoded = check_kind(resource, &mut new).and_then(|()| check_types(resource, schema, &new));
            decoded.map_err(|why| not_patched(&new, &why.message))?;
            let given = new["metadata"]["name"].as_str().unwrap_or_default();
            if given != request.name() {
                return Err(other_name(given, request));
            }
            let unknown = schema::prune(schema, &mut new);
            let found = strict::complaints(patch.text, &unknown);
            if !found.is_empty() {
                if patch.validation == "Strict" {
                    let why = format!("strict decoding error: {}", found.join(", "));
                    return Err(not_patched(&new, &why));
                }
                complaints = found;
            }
            if resource.custom.is_none() {
                decode(resource, schema, &mut new)?;
            }
            Ok(new)
        };
        let done = self
            .change(request, Some(manager), OnConflict::Retry, change, warnings)
            .await?;
        if patch.validation != "Ignore" {
            complaints.append(warnings);
            *warnings = complaints;
        }
        Ok(done)
    }

    /// Server-side apply: the fields that are given become `manager`'s. The object is created if it is not there.
    ///
    /// # Errors
    /// Fields of other managers, unless `force`; or what [`Registry::create`] and [`Registry::change`] refuse.
    pub async fn apply(
        &self,
        request: &Request,
        applied: &Value,
        manager: &Manager,
        force: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Applied, Status> {
        let resource = request.resource();
        let of_part = request.target.subresource.is_some();
        let is_there = || self.store.get(&request.key()).is_some();
        for _ in 0..MOST_TRIES {
            if !is_there() {
                if of_part {
                    return Err(Status::not_found(&resource.qualified(), request.name()));
                }
                let own = apply::owned_set(resource, applied, manager);
                let managed = |resource: &_, new: &mut Value| fields::record_apply(resource, new, manager, &own);
                match self.create(request, applied.clone(), managed, warnings).await {
                    // Someone else created it meanwhile: apply to theirs.
                    Err(error) if error.reason == "AlreadyExists" => {}
                    created => return created.map(Applied::Created),
                }
            }
            let change = |old: &Value, stored: &Value| apply::apply(resource, old, stored, applied, manager, force);
            match self.change(request, None, OnConflict::Retry, change, warnings).await {
                // It went meanwhile, as what an ended driver owned does: create it.
                Err(error) if error.reason == "NotFound" && !of_part && !is_there() => {}
                changed => return changed.map(Applied::Changed),
            }
        }
        Err(Status::modified(&resource.qualified(), request.name()))
    }

    /// Gives what is applied the name of the request.
    ///
    /// # Errors
    /// It has another name, or none though the object is new.
    pub fn name_applied(&self, request: &Request, applied: &mut Value) -> Result<(), Status> {
        match applied["metadata"]["name"].as_str() {
            Some(given) if given != request.name() => return Err(other_name(given, request)),
            Some(_) => {}
            None if self.store.get(&request.key()).is_none() => {
                let message = format!(
                    "the name of the object ({} based on URL) was undeterminable: name must be provided",
                    request.name()
                );
                return Err(Status::bad_request(message));
            }
            None => applied["metadata"]["name"] = request.name().into(),
        }
        Ok(())
    }
}

/// What an apply came to.
pub enum Applied {
    /// The object is new.
    Created(Outcome),
    /// It was there.
    Changed(Outcome),
}

fn other_name(given: &str, request: &Request) -> Status {
    let message = format!(
        "the name of the object ({given}) does not match the name on the URL ({})",
        request.name()
    );
    Status::bad_request(message)
}
