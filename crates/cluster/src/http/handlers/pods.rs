//! The log of a pod, and which container is meant.

use axum::body::Body;
use axum::response::Response;
use futures::StreamExt;
use http::HeaderValue;
use jiff::SignedDuration;
use serde_json::Value;

use crate::apimachinery::status::Status;
use crate::http::call::Call;
use crate::kubelet::{LogOptions, LogRequest};

/// Streams a container's log from the node.
pub(super) async fn log(call: Call) -> Result<Response, Status> {
    let pod = call
        .registry()
        .store
        .get(&call.key())
        .ok_or_else(|| Status::not_found("pods", call.name()))?;
    let value = pod.value();
    let container = container_of(&value, call.query.get("container"))?;
    if value["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
        let message = format!(
            "container {container:?} in pod {:?} is waiting to start: the pod is not scheduled yet",
            call.name()
        );
        return Err(Status::bad_request(message));
    }
    let kubelet = call
        .server
        .kubelet()
        .ok_or_else(|| Status::new(503, "ServiceUnavailable", "the node has not started yet"))?;
    let number = |name: &str| call.query.get(name).map(|text| text.parse::<u64>()).transpose();
    let wrong = |name: &str| Status::bad_request(format!("{name}: must be a number greater than or equal to 0"));
    let since = match (
        call.query.get("sinceTime"),
        number("sinceSeconds").map_err(|_| wrong("sinceSeconds"))?,
    ) {
        (Some(_), Some(_)) => {
            return Err(Status::bad_request(
                "at most one of `sinceTime` or `sinceSeconds` may be specified",
            ));
        }
        (Some(time), None) => Some(
            time.parse()
                .map_err(|_| Status::bad_request("sinceTime: must be an RFC 3339 time"))?,
        ),
        (None, Some(seconds)) => crate::clock::now()
            .checked_sub(SignedDuration::from_secs(seconds.min(1 << 32).cast_signed()))
            .ok(),
        (None, None) => None,
    };
    let asked_previous = call.query.flag("previous");
    let state = container_status(&value, &container);
    if asked_previous && state["lastState"]["terminated"].is_null() {
        return Err(Status::bad_request(format!(
            "previous terminated container {container:?} in pod {:?} not found",
            call.name()
        )));
    }
    let options = LogOptions {
        follow: call.query.flag("follow"),
        // While a container waits to be started again, the log written last is that of its previous instance.
        previous: asked_previous && !state["state"]["waiting"].is_object(),
        tail_lines: number("tailLines").map_err(|_| wrong("tailLines"))?,
        since,
        timestamps: call.query.flag("timestamps"),
        limit_bytes: number("limitBytes").map_err(|_| wrong("limitBytes"))?,
    };
    let request = LogRequest {
        namespace: call.namespace().to_owned(),
        pod: call.name().to_owned(),
        uid: pod.fields.uid.to_string(),
        container: container.clone(),
        options,
    };
    let stream = kubelet.logs(request).await.map_err(|error| {
        let message = no_log_yet(&value, &container).unwrap_or(error.message);
        Status::new(error.code, error.reason, message)
    })?;
    let stopping = call.registry().stopping.clone();
    let stream = stream
        .take_until(async move { stopping.cancelled().await })
        .map(Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(stream));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("text/plain"));
    Ok(response)
}

/// The status of a container of a pod; null when there is none yet.
fn container_status<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let lists = [
        "containerStatuses",
        "initContainerStatuses",
        "ephemeralContainerStatuses",
    ];
    let mut all = lists
        .iter()
        .flat_map(|list| pod["status"][*list].as_array().into_iter().flatten());
    all.find(|status| status["name"] == *name).unwrap_or(&Value::Null)
}

/// Why a container that waits has no log, in the kubelet's words.
fn no_log_yet(pod: &Value, container: &str) -> Option<String> {
    let reason = container_status(pod, container)["state"]["waiting"]["reason"].as_str()?;
    let why = match reason {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        other => other,
    };
    let pod = pod["metadata"]["name"].as_str().unwrap_or_default();
    Some(format!(
        "container {container:?} in pod {pod:?} is waiting to start: {why}"
    ))
}

/// The container asked for, or the only one there is.
pub fn container_of(pod: &Value, asked: Option<&str>) -> Result<String, Status> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let names = |list: &str| -> Vec<String> {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers
            .filter_map(|container| container["name"].as_str().map(str::to_owned))
            .collect()
    };
    let (containers, initial) = (names("containers"), names("initContainers"));
    let ephemeral = names("ephemeralContainers");
    let mut all = containers.iter().chain(&initial).chain(&ephemeral);
    match asked {
        Some(asked) if all.any(|known| known == asked) => Ok(asked.to_owned()),
        Some(asked) => Err(Status::bad_request(format!(
            "container {asked} is not valid for pod {name}"
        ))),
        None if containers.len() == 1 => Ok(containers.concat()),
        None => {
            let mut message = format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                containers.join(" ")
            );
            if !initial.is_empty() {
                message.push_str(&format!(" or one of the init containers: [{}]", initial.join(" ")));
            }
            Err(Status::bad_request(message))
        }
    }
}
