//! Telling the API server about a pod, in order and without making the pod wait.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;
use tokio::sync::mpsc;

/// What to tell.
#[derive(Debug)]
pub(crate) enum Word {
    /// The pod's status is this.
    Status(Box<PodStatus>),
    /// Nothing of the pod is left: its object may go.
    Gone,
}

/// How often a word is tried again when the server does not answer.
const TRIES: u32 = 8;

/// Starts telling about one pod; ends when the sender is dropped and all is told.
pub(crate) fn publisher(api: Api<Pod>, name: String, uid: String) -> mpsc::UnboundedSender<Word> {
    let (sender, mut words) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(word) = words.recv().await {
            let mut delay = Duration::from_millis(50);
            for _ in 0..TRIES {
                match tell(&api, &name, &uid, &word).await {
                    Err(error) if retriable(&error) => {
                        tracing::debug!(%error, pod = name, "the API server did not take a pod's status; trying again");
                        tokio::time::sleep(delay).await;
                        delay *= 2;
                    }
                    Err(error) => {
                        tracing::debug!(%error, pod = name, "the API server refused a pod's status");
                        break;
                    }
                    Ok(()) => break,
                }
            }
        }
    });
    sender
}

async fn tell(api: &Api<Pod>, name: &str, uid: &str, word: &Word) -> kube::Result<()> {
    match word {
        Word::Status(status) => {
            let patch = json!({"metadata": {"uid": uid}, "status": status});
            api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .map(|_| ())
        }
        Word::Gone => {
            let preconditions = Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            };
            let parameters = DeleteParams {
                grace_period_seconds: Some(0),
                preconditions: Some(preconditions),
                ..DeleteParams::default()
            };
            api.delete(name, &parameters).await.map(|_| ())
        }
    }
}

/// A pod that is gone or replaced, or a status found invalid, will not be taken the next time either.
fn retriable(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => !matches!(status.code, 400 | 403 | 404 | 409 | 422),
        _ => true,
    }
}
