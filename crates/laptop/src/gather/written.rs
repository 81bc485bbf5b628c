//! What the driver and the executors of an application wrote: from their pods, else as it was kept.

use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use serde_json::Value;
use stoke_insight::facts::Objects;
use stoke_insight::facts::cluster::{Cluster, Pod as PodFacts, Role, State};
use stoke_insight::facts::log::{Log, Writing};
use stoke_model::crd::SparkApplication;

use crate::error::{LaptopError, Outcome};
use crate::home::Home;
use crate::session::Session;

use super::kept::{self, Wanted};

/// Executors whose logs are read: what they say they mostly say together.
const EXECUTORS: usize = 5;

/// The driver's log, and those of executors that ended badly or, before any did, of some that run.
pub async fn logs(
    session: &Session,
    namespace: &str,
    objects: &Objects,
    home: &Home,
    notes: &mut Vec<String>,
) -> Outcome<Vec<Log>> {
    let api: Api<Pod> = Api::namespaced(session.client.clone(), namespace);
    let facts = Cluster::of_objects(objects.clone());
    let mut logs = Vec::new();
    let mut executors: Vec<&PodFacts> = facts.executors().collect();
    executors.sort_by_key(|pod| !ended_badly(pod));
    let driver = facts.driver().into_iter();
    for pod in driver.chain(executors.into_iter().take(EXECUTORS)) {
        if let Some(log) = live(&api, pod).await? {
            logs.push(log);
        }
    }
    if logs.iter().all(|log| log.role != Role::Driver) {
        match as_kept(session, &objects.application, home).await {
            Ok(kept) => logs.extend(kept),
            Err(failure) => notes.push(format!("kept logs cannot be read: {}", failure.diagnostic.message)),
        }
    }
    logs.sort_by(|a, b| a.role.cmp(&b.role));
    if logs.iter().all(|log| log.role != Role::Driver) {
        notes.push("the driver's log is gone with its pod, or was never written".to_owned());
    }
    Ok(logs)
}

fn ended_badly(pod: &PodFacts) -> bool {
    let state = pod.containers.first().map(|container| &container.state);
    pod.phase == "Failed" || matches!(state, Some(State::Terminated { exit_code, .. }) if *exit_code != 0)
}

async fn live(api: &Api<Pod>, pod: &PodFacts) -> Outcome<Option<Log>> {
    let parameters = LogParams {
        container: pod.containers.first().map(|container| container.name.clone()),
        ..LogParams::default()
    };
    let mut lines = match api.log_stream(&pod.name, &parameters).await {
        Ok(stream) => stream.lines(),
        // Gone, or its container has not begun.
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 404) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut writing = Writing::default();
    while let Some(line) = lines.try_next().await? {
        writing.line(&line);
    }
    Ok(Some(writing.finish(pod.role.clone(), pod.name.clone())))
}

async fn as_kept(session: &Session, application: &Value, home: &Home) -> Outcome<Vec<Log>> {
    let object: Option<SparkApplication> = serde_json::from_value(application.clone()).ok();
    let wanted = Wanted {
        application: application["metadata"]["name"].as_str().unwrap_or_default(),
        object: object.as_ref(),
        attempt: None,
        place: None,
    };
    let (Some(place), found) = kept::find(session, &wanted, home).await? else {
        return Ok(Vec::new());
    };
    let mut logs = Vec::new();
    for kept in found.iter().take(EXECUTORS + 1) {
        let role = match kept::executor(kept) {
            Some(id) => Role::Executor(id.to_string()),
            None => Role::Driver,
        };
        let mut writing = Writing::default();
        let read = stoke_operator::logs::read(&place, kept, &mut writing).await;
        read.map_err(|error| LaptopError::environment(error.code(), error))?;
        logs.push(writing.finish(role, kept.file.trim_end_matches(".log.gz")));
    }
    Ok(logs)
}
