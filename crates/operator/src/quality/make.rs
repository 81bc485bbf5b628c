//! Makes the pod of a phase, or finds it made.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::Api;
use kube::{Client, ResourceExt};
use stoke_model::annotations::quality::{FileOf, Phase, Steps};
use stoke_model::crd::SparkApplication;

use super::{Refused, Runner, pod, pod_name, steps};
use crate::act::{is_code, refusal, submission};
use crate::plan::Planner;

/// The pod, or why it cannot be.
///
/// # Errors
/// Only what may pass: the API server not reached, overloaded, or changed under our hands. Then the same call is made again later.
pub(crate) async fn make(
    client: &Client,
    app: &SparkApplication,
    planner: &dyn Planner,
    runner: Option<&Runner>,
    phase: Phase,
) -> Result<Result<Pod, Refused>, kube::Error> {
    let refused = |message: String, permanent| Ok(Err(Refused { message, permanent }));
    let steps = match steps(app) {
        Ok(Some(steps)) => steps,
        Ok(None) => return refused("the annotation stoke.dev/quality is gone".to_owned(), false),
        Err(message) => return refused(message, true),
    };
    let Some(runner) = runner else {
        let message = "the operator does not know an image with stoke in it: start it with --quality-image";
        return refused(message.to_owned(), false);
    };
    let plan = match planner.plan(app) {
        Ok(plan) => plan,
        Err(error) => return refused(error.message, true),
    };
    let namespace = app.namespace().unwrap_or_default();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    for (name, key) in config_maps(&steps, phase) {
        let found = match maps.get_opt(name).await {
            Ok(found) => found,
            Err(error) if refusal(&error).is_some() => {
                return refused(format!("ConfigMap {name} cannot be read: {error}"), false);
            }
            Err(error) => return Err(error),
        };
        let Some(map) = found else {
            return refused(format!("there is no ConfigMap {name} in namespace {namespace}"), false);
        };
        let texts = map.data.iter().flatten().map(|(key, _)| key.as_str());
        let all: Vec<&str> = texts
            .chain(map.binary_data.iter().flatten().map(|(key, _)| key.as_str()))
            .collect();
        if !all.contains(&key) {
            let message = format!("ConfigMap {name} has no key {key}; it has {}", all.join(", "));
            return refused(message, false);
        }
    }
    let submission = app.status.as_ref().and_then(|status| status.submission_id.as_deref());
    let name = pod_name(app, submission, phase);
    let body = pod::pod(app, &plan, &steps, phase, runner, &name);
    match submission::create(client, &namespace, &body).await {
        Ok(pod) => Ok(Ok(pod)),
        Err(error) if is_code(&error, 409) => {
            let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
            match pods.get_opt(&name).await? {
                Some(pod)
                    if pod
                        .owner_references()
                        .iter()
                        .any(|owner| Some(&owner.uid) == app.metadata.uid.as_ref()) =>
                {
                    Ok(Ok(pod))
                }
                Some(_) => refused(
                    format!("pod {name} exists and does not belong to this application"),
                    false,
                ),
                // It went between the two requests.
                None => Err(error),
            }
        }
        Err(error) => match refusal(&error) {
            Some(status) => refused(format!("pod {name}: {}", status.message), false),
            None => Err(error),
        },
    }
}

/// Name and key of each ConfigMap that the steps of a phase need.
fn config_maps(steps: &Steps, phase: Phase) -> Vec<(&str, &str)> {
    let files = steps
        .of(phase)
        .iter()
        .flat_map(|step| [Some(&step.contract), step.waivers.as_ref()]);
    let maps = files.flatten().filter_map(|file| match file {
        FileOf::ConfigMap { name, key } => Some((name.as_str(), key.as_str())),
        FileOf::Path(_) => None,
    });
    maps.collect()
}
