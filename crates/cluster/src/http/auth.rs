//! Who sends a request: client certificates, bearer tokens, and the in-process client; and whether it is allowed.

use http::request::Parts;

use super::call::{Call, Server};
use crate::apimachinery::status::Status;
use crate::registry::identity::{Attributes, Identity, denial};
use crate::registry::tokens::ISSUER;

impl Server {
    /// Who sends this request; 401 if no one can tell.
    pub fn identify(&self, parts: &mut Parts) -> Result<Identity, Status> {
        if let Some(header) = parts.headers.get("authorization") {
            let token = header.to_str().ok().and_then(|text| text.split_once(' '));
            let token = token
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, token)| token.trim());
            return token
                .and_then(|token| self.registry.token_identity(token, &[ISSUER]))
                .ok_or_else(Status::unauthorized);
        }
        parts.extensions.remove::<Identity>().ok_or_else(Status::unauthorized)
    }

    /// Whether this call is allowed.
    pub fn authorize(&self, call: &Call, verb: &str) -> Result<(), Status> {
        let attributes = Attributes {
            verb,
            group: &call.request.target.resource.group,
            resource: &call.request.target.resource.plural,
            subresource: call.request.target.subresource.as_deref().unwrap_or_default(),
            namespace: place_of(call),
            name: selected_name(call, verb),
        };
        if self.registry.allows(&call.request.identity, &attributes) {
            return Ok(());
        }
        Err(Status::forbidden(
            &call.qualified(),
            call.name(),
            denial(&call.request.identity, &attributes),
        ))
    }
}

/// The namespace whose roles count. A Namespace by name is in itself, as in Kubernetes: a Role there may let it be read.
fn place_of(call: &Call) -> &str {
    match &*call.request.target.resource.key {
        "namespaces" => call.request.target.name.as_deref().unwrap_or_default(),
        _ => call.namespace(),
    }
}

/// The object a call is about: that of its path, or the one name a field selector lets through.
fn selected_name<'a>(call: &'a Call, verb: &str) -> &'a str {
    if call.name().is_empty() && matches!(verb, "list" | "watch" | "deletecollection") {
        let selector = call.query.get("fieldSelector").unwrap_or_default();
        let name = selector
            .strip_prefix("metadata.name=")
            .map(|name| name.trim_start_matches('='));
        return name.filter(|name| !name.contains(',')).unwrap_or_default();
    }
    call.name()
}
