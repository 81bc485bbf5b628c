//! The edge: what a decision asks for, done at the API server. Every function here may be cut off at any instruction and called again.
//!
//! - [`submission`]: the driver pod and what it owns, created or found created
//! - [`pods`]: a live look at a pod, and its deletion
//! - [`status`]: the status, written as a patch that only the version it was decided on accepts
//! - [`events`]: Kubernetes Events, each published once
//! - [`unserved`]: what to say of a kind that the cluster does not have

pub(crate) mod events;
pub(crate) mod pods;
pub(crate) mod status;
pub(crate) mod submission;
mod unserved;

use kube::core::Status;
use kube::{Client, Error};
use serde::de::DeserializeOwned;

/// An answer of the API server that trying again as it is will not change: the request was understood and refused.
pub(crate) fn refusal(error: &Error) -> Option<&Status> {
    match error {
        // Not 401 (credentials), 408, 409 (someone was faster) or 429: those pass.
        Error::Api(status) if (400..500).contains(&status.code) && ![401, 408, 409, 429].contains(&status.code) => {
            Some(status)
        }
        _ => None,
    }
}

/// Sends a request and reads of its answer what is asked for, `IgnoredAny` for nothing.
pub(crate) async fn send<T: DeserializeOwned>(
    client: &Client,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<T, Error> {
    client.request(request.map_err(Error::BuildRequest)?).await
}

pub(crate) fn is_code(error: &Error, code: u16) -> bool {
    matches!(error, Error::Api(status) if status.code == code)
}
