//! What each verb is as a request: a body read, the registry asked, an answer shaped.
//!
//! In: an authorised [`Call`]. Out: a response or a refusal. [`bodies`] reads bodies and shapes answers, [`options`] reads queries.

pub mod bodies;
mod delete;
mod discovery;
pub mod options;
pub mod pods;
pub mod read;
mod reviews;
mod scale;
mod write;

pub use discovery::{discovery, version};

use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use http::Method;

use super::call::{Call, with_warnings};
use super::watch;
use crate::apimachinery::resources::Treatment;
use crate::apimachinery::status::Status;

/// The Kubernetes verb of a request.
pub fn verb(method: &Method, call: &Call) -> Result<&'static str, Status> {
    let named = call.request.target.name.is_some();
    Ok(match *method {
        Method::GET | Method::HEAD if call.request.target.subresource.is_some() => "get",
        Method::GET | Method::HEAD if call.query.flag("watch") => "watch",
        Method::GET | Method::HEAD if named => "get",
        Method::GET | Method::HEAD => "list",
        Method::POST if !named || call.request.target.subresource.is_some() => "create",
        Method::PUT if named => "update",
        Method::PATCH if named => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => return Err(Status::method_not_allowed()),
    })
}

/// Handles an authorised call.
pub async fn dispatch(verb: &str, call: Call, upgrade: Option<WebSocketUpgrade>) -> Result<Response, Status> {
    let subresource = call.request.target.subresource.clone();
    if let Some(name) = &subresource {
        let known = call.resource().subresources().iter().any(|(known, ..)| known == name);
        if !known {
            return Err(Status::no_such_path());
        }
    }
    match (verb, subresource.as_deref()) {
        ("get", Some("log")) => return pods::log(call).await,
        ("create", Some("binding")) => return write::bind(call).await,
        ("create", Some("eviction")) => return write::evict(call).await,
        ("create", Some("token")) => return reviews::token_request(call),
        ("update", Some("finalize")) => return write::finalize(call).await,
        (verb, Some("scale")) => return scale::handle(verb, call).await,
        (_, Some(name)) if name != "status" => return Err(Status::method_not_allowed()),
        ("create" | "delete" | "list" | "watch", Some(_)) => return Err(Status::method_not_allowed()),
        _ => {}
    }
    if call.resource().treatment == Treatment::Review {
        return if verb == "create" {
            reviews::review(call)
        } else {
            Err(Status::method_not_allowed())
        };
    }
    let writes = !matches!(verb, "get" | "list" | "watch");
    let stored_only = writes && call.resource().treatment == Treatment::StoredOnly;
    let notice = stored_only.then(|| {
        format!(
            "{} objects are stored, not enforced here: this cluster does nothing with them",
            call.qualified()
        )
    });
    options::check_write(verb, &call)?;
    let response = match verb {
        "get" => read::get(&call),
        "list" => read::list(&call),
        "watch" => watch::serve(call, upgrade).await,
        "create" => write::create(call).await,
        "update" => write::update(call).await,
        "patch" => write::patch(call).await,
        "delete" => delete::delete(call).await,
        "deletecollection" => delete::delete_collection(call).await,
        _ => Err(Status::method_not_allowed()),
    }?;
    // What is refused is not stored either.
    Ok(match notice.filter(|_| response.status().is_success()) {
        Some(notice) => with_warnings(response, &[notice]),
        None => response,
    })
}
