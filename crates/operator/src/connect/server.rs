//! The edge: the objects of a server, created or found created; its pod looked at and deleted.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Preconditions};
use kube::{Client, ResourceExt};
use serde_json::json;
use stoke_model::crd::SparkConnect;
use stoke_model::names;
use stoke_submit::application::Settings;
use stoke_submit::connect::plan_connect;

use super::facts::{ATTEMPT, Outcome, SPEC_DIGEST, Server, ServerPod};
use crate::act::submission::{apply, create as post};
use crate::act::{is_code, refusal};

/// What the API server itself says about the server pod.
pub(super) async fn look(client: &Client, connect: &SparkConnect) -> Result<Server, kube::Error> {
    let pods = pods(client, connect);
    let pod = pods.get_opt(&names::connect_server(&connect.name_any())).await?;
    Ok(pod.map_or(Server::Gone, |pod| Server::Present(ServerPod::read(&pod))))
}

/// Creates the service, the pod and what the pod owns, in this order, or finds them created. May be cut off anywhere and called again.
///
/// # Errors
/// Only what may pass; what is refused is an [`Outcome`].
pub(super) async fn create(
    client: &Client,
    connect: &SparkConnect,
    digest: &str,
    attempt: u32,
    settings: &Settings,
) -> Result<(Outcome, Option<Server>), kube::Error> {
    let settings = Settings {
        submission_id: Some(digest.to_owned()),
        ..settings.clone()
    };
    let plan = match plan_connect(connect, attempt, &settings) {
        Ok(plan) => plan,
        Err(error) => {
            let message = error.to_string();
            return Ok((
                Outcome::Refused {
                    message,
                    permanent: true,
                },
                None,
            ));
        }
    };
    let namespace = connect.namespace().unwrap_or_default();
    let refused = |what: &str, error: kube::Error| match refusal(&error) {
        Some(status) => {
            let message = format!("{what} {}: {}", plan.name, status.message);
            Ok((
                Outcome::Refused {
                    message,
                    permanent: false,
                },
                None,
            ))
        }
        None => Err(error),
    };
    if let Err(error) = apply(client, &namespace, &plan.service).await {
        return refused("Service", error);
    }
    let mut body = plan.pod.clone();
    body["metadata"]["annotations"][SPEC_DIGEST] = json!(digest);
    body["metadata"]["annotations"][ATTEMPT] = json!(attempt.to_string());
    let pod = match post(client, &namespace, &body).await {
        Ok(pod) => pod,
        Err(error) if is_code(&error, 409) => {
            let found = look(client, connect).await?;
            let Server::Present(known) = &found else {
                // It went between the two requests.
                return Err(error);
            };
            let ours = connect
                .metadata
                .uid
                .as_ref()
                .is_some_and(|uid| known.owners.contains(uid));
            if !ours || known.deleting || known.spec_digest != digest || known.attempt != attempt {
                // Another one has the name; what it is decides what follows.
                let message = "another pod has the name".to_owned();
                return Ok((Outcome::Silent { message }, Some(found)));
            }
            match pods(client, connect).get_opt(&plan.name).await? {
                Some(pod) => pod,
                None => return Err(error),
            }
        }
        Err(error) => return refused("Pod", error),
    };
    let uid = pod.uid().unwrap_or_default();
    let owned = plan.owned(&uid);
    let applied = owned.iter().map(|object| apply(client, &namespace, object));
    if let Err(error) = futures::future::try_join_all(applied).await {
        return refused("an object of pod", error);
    }
    let url = plan.url();
    Ok((Outcome::Created { url }, Some(Server::Present(ServerPod::read(&pod)))))
}

/// Deletes the pod of this UID; gives what is left of it.
pub(super) async fn delete(client: &Client, connect: &SparkConnect, uid: &str) -> Result<Server, kube::Error> {
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let name = names::connect_server(&connect.name_any());
    match pods(client, connect).delete(&name, &parameters).await {
        Ok(deleted) => Ok(deleted.left().map_or(Server::Gone, |pod| {
            Server::Present(ServerPod {
                deleting: true,
                ..ServerPod::read(&pod)
            })
        })),
        Err(error) if is_code(&error, 404) => Ok(Server::Gone),
        Err(error) if is_code(&error, 409) => look(client, connect).await,
        Err(error) => Err(error),
    }
}

fn pods(client: &Client, connect: &SparkConnect) -> Api<Pod> {
    Api::namespaced(client.clone(), &connect.namespace().unwrap_or_default())
}
