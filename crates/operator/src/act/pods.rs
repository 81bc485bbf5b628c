//! A live look at the driver pod, and its deletion.

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DeleteParams, Preconditions};
use kube::core::response::StatusSummary;

use super::is_code;
use crate::application::{Driver, DriverPod};

/// What the API server itself says about the pod `name` of the application with this UID. A pod of someone else is not ours: gone.
pub(crate) async fn look(client: &Client, namespace: &str, name: &str, app_uid: &str) -> Result<Driver, kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    Ok(match pods.get_opt(name).await? {
        Some(pod) => read(&pod, app_uid),
        None => Driver::Gone,
    })
}

/// A pod just answered by the API server.
pub(crate) fn read(pod: &Pod, app_uid: &str) -> Driver {
    let read = DriverPod::read(pod);
    match read.owners.iter().any(|owner| owner == app_uid) {
        true => Driver::Present(DriverPod { live: true, ..read }),
        false => Driver::Gone,
    }
}

/// Deletes the pod `name`, if it still is the one with this UID; answers what is left of it.
pub(crate) async fn delete(
    client: &Client,
    namespace: &str,
    name: &str,
    pod_uid: Option<&str>,
    app_uid: &str,
) -> Result<Driver, kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let preconditions = pod_uid.map(|uid| Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: None,
    });
    let parameters = DeleteParams {
        preconditions,
        ..DeleteParams::default()
    };
    match pods.delete(name, &parameters).await {
        Ok(deleted) => Ok(deleted.either(
            |pod| read(&pod, app_uid),
            |status| match status.status {
                Some(StatusSummary::Failure) => Driver::NotCached,
                _ => Driver::Gone,
            },
        )),
        Err(error) if is_code(&error, 404) => Ok(Driver::Gone),
        // Another pod has the name by now; look which.
        Err(error) if is_code(&error, 409) => look(client, namespace, name, app_uid).await,
        Err(error) => Err(error),
    }
}
