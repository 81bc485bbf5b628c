//! What each verb does.
//!
//! In: an authorised [`Call`]. Out: a response or a refusal. One file per verb; [`objects`] reads bodies and shapes answers,
//! [`admission`] is what the API server adds to or refuses of an object because of other objects.

pub mod admission;
mod create;
mod delete;
mod discovery;
mod eviction;
mod modify;
mod objects;
mod options;
mod pods;
mod read;
mod reviews;
mod scale;
mod typed;

pub use create::store_new;
pub use delete::finish_deletion;
pub use discovery::{discovery, version};
pub use objects::json_response;
pub use pods::container_of;

/// What a watch needs of the other verbs.
pub(crate) mod watching {
    pub(crate) use super::objects::{metadata_of, present};
    pub(crate) fn check_versions(
        query: &crate::apiserver::request::Query,
    ) -> Result<(), crate::apiserver::status::ApiError> {
        super::options::check_versions(query, true)
    }
    pub(crate) use super::read::{reached, revision as read_revision, selectors};
}

use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use http::Method;

use super::resources::Treatment;
use super::server::{Call, with_warnings};
use super::status::ApiError;
use super::watch;

/// The Kubernetes verb of a request.
pub fn verb(method: &Method, call: &Call) -> Result<&'static str, ApiError> {
    let named = call.target.name.is_some();
    Ok(match *method {
        Method::GET | Method::HEAD if call.target.subresource.is_some() => "get",
        Method::GET | Method::HEAD if call.query.flag("watch") => "watch",
        Method::GET | Method::HEAD if named => "get",
        Method::GET | Method::HEAD => "list",
        Method::POST if !named || call.target.subresource.is_some() => "create",
        Method::PUT if named => "update",
        Method::PATCH if named => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => return Err(ApiError::method_not_allowed()),
    })
}

/// Handles an authorised call.
pub async fn dispatch(verb: &str, call: Call, upgrade: Option<WebSocketUpgrade>) -> Result<Response, ApiError> {
    let subresource = call.target.subresource.clone();
    if let Some(name) = &subresource {
        let known = call.resource().subresources().iter().any(|(known, ..)| known == name);
        if !known {
            return Err(ApiError::no_such_path());
        }
    }
    match (verb, subresource.as_deref()) {
        ("get", Some("log")) => return pods::log(call).await,
        ("create", Some("binding")) => return pods::bind(call).await,
        ("create", Some("eviction")) => return eviction::evict(call).await,
        ("create", Some("token")) => return reviews::token_request(call),
        ("update", Some("finalize")) => return modify::finalize_namespace(call).await,
        (verb, Some("scale")) => return scale::handle(verb, call).await,
        (_, Some(name)) if name != "status" => return Err(ApiError::method_not_allowed()),
        ("create" | "delete" | "list" | "watch", Some(_)) => return Err(ApiError::method_not_allowed()),
        _ => {}
    }
    if call.resource().treatment == Treatment::Review {
        return if verb == "create" {
            reviews::review(call)
        } else {
            Err(ApiError::method_not_allowed())
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
        "create" => create::create(call).await,
        "update" => modify::update(call).await,
        "patch" => modify::patch(call).await,
        "delete" => delete::delete(call).await,
        "deletecollection" => delete::delete_collection(call).await,
        _ => Err(ApiError::method_not_allowed()),
    }?;
    // What is refused is not stored either.
    Ok(match notice.filter(|_| response.status().is_success()) {
        Some(notice) => with_warnings(response, &[notice]),
        None => response,
    })
}

fn respond(call: &Call, code: u16, response: Response) -> Response {
    let mut response = with_warnings(response, &call.warnings);
    let admitted = call.admitted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    response = with_warnings(response, &admitted);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::OK);
    response
}
