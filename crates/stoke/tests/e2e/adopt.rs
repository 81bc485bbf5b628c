//! Real drivers that another operator left running are taken over: same pod to its end, one driver per run, retries as the spec says.
//!
//! The cluster is embedded in this test without its operator. What the other operator would have left is made as it makes it: the objects of a
//! `spark-submit` under a submission id drawn at random, then its status, its service with the application as controller.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use stoke_cluster::node::RuntimeImages;
use stoke_cluster::{Cluster, ClusterConfig};
use stoke_model::crd::{ApplicationStateType as State, SparkApplication, SparkApplicationStatus};
use stoke_model::defaults;
use stoke_runtime::Runtimes;
use stoke_submit::application::{Settings, plan_application};

use crate::common::{Context, VERSIONS, expect_code, expect_parts, full, stoke, text};

const NAMESPACE: &str = "default";
const WITHIN: Duration = Duration::from_secs(240);

pub fn trials(context: &Context) -> Vec<Trial> {
    let needs = [full(), context.spark(VERSIONS[0])];
    vec![context.trial(
        "adopt: drivers left running go on under our operator",
        &needs,
        |context| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            let _ = rustls::crypto::ring::default_provider().install_default();
            runtime.block_on(adopt(context))
        },
    )]
}

/// The operator as a process; ended with the test.
struct Operator(Child);

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn adopt(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let cluster = Cluster::start(ClusterConfig {
        home: home.path().join("cluster"),
        in_memory: true,
        executable: Some(env!("CARGO_BIN_EXE_stoke").into()),
        millicores: None,
        memory: None,
        images: Arc::new(RuntimeImages::new(
            Runtimes::new(home.path())
                .with_program(env!("CARGO_BIN_EXE_stoke"))
                .with_packages(home.path().join("packages")),
        )),
    })
    .await?;
    cluster.ready().await?;
    let kubeconfig = home.path().join("config");
    std::fs::write(&kubeconfig, cluster.kubeconfig())?;
    let outcome = on(&cluster, home.path(), &kubeconfig).await;
    cluster.stop().await;
    outcome
}

async fn on(cluster: &Cluster, home: &Path, kubeconfig: &Path) -> Result<(), Failed> {
    let client = cluster.client();
    // Long enough to be adopted while it runs, and one that ends at once with an exit code.
    leave(&client, "runs", &["200"], true).await?;
    leave(&client, "unowned", &["200"], false).await?;
    leave(&client, "fails", &["x"], true).await?;
    until(&client, "runs", "Running").await?;
    until(&client, "unowned", "Running").await?;
    until(&client, "fails", "Failed").await?;
    executor_runs(&client, "runs").await?;
    let before = (
        driver(&client, "runs").await?,
        driver(&client, "unowned").await?,
        driver(&client, "fails").await?,
    );

    // The other operator is still there: refused, with the command that ends it.
    rival(&client, 1).await?;
    let refused = adopt_command(home, kubeconfig, &["--yes"]);
    expect_code(&refused, 2)?;
    expect_parts(
        &text(&refused),
        &[
            "kubectl scale deployment other -n default --replicas=0",
            "nothing was written",
        ],
    )?;
    rival(&client, 0).await?;

    let dry = adopt_command(home, kubeconfig, &[]);
    expect_code(&dry, 0)?;
    expect_parts(
        &text(&dry),
        &[
            "runs-driver (running)",
            "fails-driver (failed)",
            "3 to adopt; nothing was written",
        ],
    )?;
    if status(&client, "runs").await?.spec_digest.is_some() {
        return Err("a dry run wrote".into());
    }
    expect_code(&adopt_command(home, kubeconfig, &["--yes"]), 0)?;
    let again = adopt_command(home, kubeconfig, &["--yes"]);
    expect_code(&again, 0)?;
    expect_parts(&text(&again), &["nothing is to be adopted"])?;
    if driver(&client, "runs")
        .await?
        .status
        .and_then(|status| status.phase)
        .as_deref()
        != Some("Running")
    {
        return Err("the driver ended before it was adopted; give it more to do".into());
    }

    let operator = stoke(home, ["operator", "run", "--leader-election=false", "--kubeconfig"])
        .arg(kubeconfig)
        .args([
            "--metrics-bind-address",
            "127.0.0.1:0",
            "--health-probe-bind-address",
            "127.0.0.1:0",
        ])
        .stderr(Stdio::inherit())
        .spawn()?;
    let _operator = Operator(operator);
    let mut drivers: BTreeSet<(String, String)> = BTreeSet::new();
    let deadline = Instant::now() + WITHIN;
    loop {
        for pod in pods(&client).await? {
            if pod.labels().get("spark-role").is_some_and(|role| role == "driver") {
                drivers.insert((pod.name_any(), pod.uid().unwrap_or_default()));
            }
        }
        let states = [
            state(&client, "runs").await?,
            state(&client, "unowned").await?,
            state(&client, "fails").await?,
        ];
        if states.iter().all(|state| state.is_terminal()) {
            if states != [State::Completed, State::Completed, State::Failed] {
                return Err(format!("ended as {states:?}").into());
            }
            break;
        }
        if Instant::now() > deadline {
            return Err(format!("not ended within {WITHIN:?}: {states:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (name, before) in [("runs", before.0), ("unowned", before.1)] {
        if driver(&client, name).await?.uid() != before.uid() {
            return Err(format!("{name}: another driver").into());
        }
        let status = status(&client, name).await?;
        if (status.execution_attempts, status.submission_attempts) != (1, 1) {
            return Err(format!("{name}: {status:?}").into());
        }
    }
    // One retry is two tries, each with a driver of its own; one driver for each of the others.
    let fails = status(&client, "fails").await?;
    if drivers.len() != 4 || fails.execution_attempts != 2 || driver(&client, "fails").await?.uid() == before.2.uid() {
        return Err(format!("{drivers:?} {fails:?}").into());
    }
    Ok(())
}

fn adopt_command(home: &Path, kubeconfig: &Path, arguments: &[&str]) -> std::process::Output {
    stoke(home, ["operator", "adopt", "--kubeconfig"])
        .arg(kubeconfig)
        .args(arguments)
        .output()
        .unwrap()
}

/// A Deployment of the published operator, without pods of its own.
async fn rival(client: &Client, replicas: i32) -> Result<(), Failed> {
    let labels = json!({"app.kubernetes.io/name": "spark-operator", "app.kubernetes.io/component": "controller"});
    let body = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "other", "labels": labels},
        "spec": {
            "replicas": replicas, "paused": true, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "apache/spark:4.1.4", "command": ["sleep", "1000"]}]}},
        },
    });
    let api = api(client, "apps", "v1", "Deployment");
    api.patch("other", &PatchParams::apply("test").force(), &Patch::Apply(&body))
        .await?;
    // Its pods, if the controller made any, go first.
    let deadline = Instant::now() + WITHIN;
    while replicas == 0
        && api.get("other").await?.data["status"]["replicas"]
            .as_i64()
            .unwrap_or_default()
            > 0
    {
        if Instant::now() > deadline {
            return Err("the other operator's pods stay".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn api(client: &Client, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
    Api::namespaced_with(
        client.clone(),
        NAMESPACE,
        &ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)),
    )
}

/// An application with its driver, as the published operator's spark-submit and status writes leave them.
async fn leave(client: &Client, name: &str, arguments: &[&str], owned: bool) -> Result<(), Failed> {
    let apps: Api<SparkApplication> = Api::namespaced(client.clone(), NAMESPACE);
    let app: SparkApplication = serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": name},
        "spec": {
            "type": "Python", "mode": "cluster", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4",
            "mainApplicationFile": "local:///opt/spark/examples/src/main/python/pi.py", "arguments": arguments,
            "restartPolicy": {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 1},
            "driver": {"coreRequest": "100m", "memory": "512m"},
            "executor": {"instances": 1, "cores": 1, "coreRequest": "100m", "memory": "512m"},
        },
    }))?;
    let mut app = apps.create(&PostParams::default(), &app).await?;
    let id = format!(
        "0b8f3b8e-6f5e-4a27-9f5a-{:012x}",
        Timestamp::now().as_microsecond() & 0xffff_ffff_ffff
    );
    let mut settings = Settings::new("k8s://https://kubernetes.default.svc", Timestamp::now());
    settings.submission_id = Some(id.clone());
    let uid = app.uid().unwrap_or_default();
    app.spec = defaults::application(app.spec);
    let plan = plan_application(&app, 1, &settings)?;
    let mut pod = plan.submission.driver_pod.clone();
    if !owned {
        pod["metadata"]
            .as_object_mut()
            .ok_or("no metadata")?
            .shift_remove("ownerReferences");
    }
    let pod: DynamicObject = serde_json::from_value(pod)?;
    let created = api(client, "", "v1", "Pod")
        .create(&PostParams::default(), &pod)
        .await?;
    for mut object in plan.owned(&created.uid().unwrap_or_default()) {
        if object["metadata"]["name"] == format!("{name}-ui-svc") {
            object["metadata"]["ownerReferences"] = json!([{
                "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "name": name, "uid": uid, "controller": true, "blockOwnerDeletion": true,
            }]);
        }
        let version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let object: DynamicObject = serde_json::from_value(object)?;
        api(client, group, version, &kind)
            .create(&PostParams::default(), &object)
            .await?;
    }
    let status: Value = json!({"status": {
        "applicationState": {"state": "RUNNING"}, "submissionID": id, "sparkApplicationId": plan.submission.application_id,
        "driverInfo": {"podName": plan.submission.driver_pod_name, "webUIServiceName": format!("{name}-ui-svc")},
        "executionAttempts": 1, "submissionAttempts": 1, "lastSubmissionAttemptTime": Timestamp::now(),
    }});
    apps.patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await?;
    Ok(())
}

async fn driver(client: &Client, app: &str) -> Result<Pod, Failed> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    Ok(pods.get(&format!("{app}-driver")).await?)
}

async fn pods(client: &Client) -> Result<Vec<Pod>, Failed> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    Ok(pods.list(&ListParams::default()).await?.items)
}

async fn status(client: &Client, app: &str) -> Result<SparkApplicationStatus, Failed> {
    let apps: Api<SparkApplication> = Api::namespaced(client.clone(), NAMESPACE);
    Ok(apps.get(app).await?.status.unwrap_or_default())
}

async fn state(client: &Client, app: &str) -> Result<State, Failed> {
    Ok(status(client, app).await?.app_state.state)
}

async fn until(client: &Client, app: &str, phase: &str) -> Result<(), Failed> {
    let deadline = Instant::now() + WITHIN;
    loop {
        let now = driver(client, app)
            .await?
            .status
            .and_then(|status| status.phase)
            .unwrap_or_default();
        if now == phase {
            return Ok(());
        }
        if Instant::now() > deadline || (phase == "Running" && now == "Failed") {
            return Err(format!("{app}-driver is {now}, not {phase}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn executor_runs(client: &Client, app: &str) -> Result<(), Failed> {
    let deadline = Instant::now() + WITHIN;
    loop {
        let runs = pods(client).await?.iter().any(|pod| {
            let label = |key: &str| pod.labels().get(key).map(String::as_str);
            label("spark-role") == Some("executor")
                && label("sparkoperator.k8s.io/app-name") == Some(app)
                && pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
        });
        if runs {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("no executor of {app} runs").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
