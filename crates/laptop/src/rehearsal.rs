//! Records one run of a Spark, of which the ahead-of-time caches of its drivers and executors are made.
//!
//! The run is a real one: an application of ours in an embedded cluster of its own, so that what is recorded is what drivers and executors
//! do there, down to their requests to the API server. It sees nothing of the user's and leaves nothing but the recordings.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams};
use kube::runtime::wait::await_condition;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use stoke_model::crd::{ApplicationStateType, SparkApplication};
use stoke_model::names;
use stoke_runtime::{REHEARSAL, Recording, Version};

use crate::apply;
use crate::embedded::Embedded;
use crate::error::{LaptopError, Outcome};
use crate::home::Home;

/// How long a rehearsal may take: under a minute on a free machine of two cores, minutes on one that builds beside it.
const LIMIT: Duration = Duration::from_secs(600);
const NAMESPACE: &str = "default";
const NAME: &str = "rehearsal";

/// Records a run of `image`. Errors say why in one line; when it is the run itself that failed or took too long, it is not tried again.
pub async fn record(home: &Home, image: &str, recording: &Recording) -> Result<(), String> {
    let told = |failure: LaptopError| failure.diagnostic.message;
    recording
        .begin()
        .map_err(|error| format!("{}: {error}", recording.directory().display()))?;
    let embedded = Embedded::start_recording(home).await.map_err(told)?;
    let manifest = manifest(image, &recording.version, recording.arguments());
    let run = tokio::time::timeout(LIMIT, run(&embedded.client(), &manifest)).await;
    embedded.stop(false).await;
    let why = match run {
        Err(_) => format!("the recorded run had not ended after {} s", LIMIT.as_secs()),
        Ok(Err(failure)) => return Err(failure.diagnostic.message),
        Ok(Ok(Some(why))) => why,
        Ok(Ok(None)) if recording.is_complete() => return Ok(()),
        Ok(Ok(None)) => "the recorded run ended well and left no recording".to_owned(),
    };
    let _ = recording.give_up(&why);
    Err(why)
}

/// Driver and executor as most jobs have them: small enough for the serial collector, as a container of less than 1792 MiB gets. The executor
/// stays when the driver ends, because it writes its recording then.
fn manifest(image: &str, version: &Version, arguments: Vec<String>) -> Value {
    json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": { "name": NAME },
        "spec": {
            "type": "Python",
            "mode": "cluster",
            "image": image,
            "sparkVersion": version.to_string(),
            "mainApplicationFile": format!("local://{REHEARSAL}"),
            "arguments": arguments,
            "restartPolicy": { "type": "Never" },
            "sparkConf": {
                "spark.kubernetes.executor.deleteOnTermination": "false",
                "spark.sql.shuffle.partitions": "8",
            },
            "driver": {
                "cores": 1, "coreRequest": "100m", "memory": "900m", "memoryOverhead": "800m", "serviceAccount": "spark-operator-spark",
            },
            "executor": { "instances": 1, "cores": 2, "coreRequest": "100m", "memory": "900m", "memoryOverhead": "800m" },
        },
    })
}

/// Runs the application until its last pod has ended; why it failed, if it did.
async fn run(client: &Client, manifest: &Value) -> Outcome<Option<String>> {
    let watched = |error: kube::runtime::wait::Error| LaptopError::environment("stoke::rehearsal::watch", error);
    apply::create_application(client, NAMESPACE, manifest).await?;
    let applications: Api<SparkApplication> = Api::namespaced(client.clone(), NAMESPACE);
    let state = |application: Option<&SparkApplication>| {
        application
            .and_then(|application| application.status.as_ref())
            .map(|status| (status.app_state.state, status.app_state.error_message.clone()))
    };
    let ended =
        |application: Option<&SparkApplication>| state(application).is_some_and(|(state, _)| state.is_terminal());
    let application = await_condition(applications, NAME, ended).await.map_err(watched)?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let Some(application) = application else {
        return Ok(Some("the recorded run was deleted".into()));
    };
    if let Some((state, message)) = state(Some(&application))
        && state != ApplicationStateType::Completed
    {
        let driver = names::driver_pod(NAME, &application.spec);
        let parameters = LogParams {
            tail_lines: Some(200),
            ..LogParams::default()
        };
        let log = pods.logs(&driver, &parameters).await.unwrap_or_default();
        return Ok(Some(why(&message, &log)));
    }
    let phase = |pod: Option<&Pod>| {
        let phase = pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref());
        matches!(phase, None | Some("Succeeded" | "Failed"))
    };
    for pod in pods.list(&ListParams::default()).await? {
        await_condition(pods.clone(), &pod.name_any(), phase)
            .await
            .map_err(watched)?;
    }
    Ok(None)
}

/// The reason of a failed run in one line: the last exception of its driver's log, else what the status says.
fn why(message: &str, log: &str) -> String {
    let exception = |line: &&str| {
        let first = line.split([':', ' ']).next().unwrap_or_default();
        first.ends_with("Exception") || first.ends_with("Error")
    };
    let told = log.lines().rev().find(exception).or_else(|| message.lines().next());
    format!("the recorded run failed: {}", told.unwrap_or("it does not say why"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_exception_else_the_status() {
        let log = "INFO a\njava.lang.UnsupportedOperationException: getSubject is not supported\n\tat a.b(C.java:1)\nINFO end\n";
        let cases = [
            (
                log,
                "the recorded run failed: java.lang.UnsupportedOperationException: getSubject is not supported",
            ),
            ("INFO a\n", "the recorded run failed: driver container failed"),
        ];
        for (log, expected) in cases {
            assert_eq!(why("driver container failed\nmore", log), expected);
        }
    }

    #[test]
    fn the_application_is_one_that_we_would_take() {
        let application: SparkApplication =
            serde_json::from_value(manifest("spark:4.1.4", &"4.1.4".parse().unwrap(), vec!["/x".into()])).unwrap();
        assert_eq!(
            (
                application.spec.main_application_file.as_deref(),
                application.spec.spark_version.as_deref()
            ),
            (Some("local:///opt/stoke/launch/rehearsal.py"), Some("4.1.4"))
        );
    }
}
