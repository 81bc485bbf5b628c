//! The operator as it is shipped, with the real planner, against the embedded cluster's API server; a node is played by patching statuses.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Service};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use stoke_cluster::{ApiConfig, ApiServer};
use stoke_model::crd::{ApplicationStateType as State, ScheduledSparkApplication, SparkApplication};
use stoke_operator::{Operator, OperatorConfig};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub struct World {
    pub client: Client,
    _server: ApiServer,
    _home: tempfile::TempDir,
}

pub async fn world() -> World {
    let home = tempfile::tempdir().unwrap();
    let config = ApiConfig {
        home: home.path().to_owned(),
        in_memory: true,
    };
    let server = ApiServer::start(&config).await.unwrap();
    World {
        client: server.client(),
        _server: server,
        _home: home,
    }
}

impl World {
    pub fn operator(&self) -> (JoinHandle<()>, watch::Sender<bool>) {
        let (stop, stopped) = watch::channel(false);
        let operator = Operator::new(self.client.clone(), OperatorConfig::default());
        (tokio::spawn(operator.run(stopped)), stop)
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    pub async fn submit(&self, spec: Value) {
        let mut whole = json!({
            "type": "Python", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4",
            "mainApplicationFile": "local:///opt/spark/examples/src/main/python/pi.py", "driver": {}, "executor": {},
        });
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let app: SparkApplication = serde_json::from_value(json!({
            "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "pi"}, "spec": whole,
        }))
        .unwrap();
        self.api().create(&PostParams::default(), &app).await.unwrap();
    }

    pub async fn app(&self) -> SparkApplication {
        self.api().get("pi").await.unwrap()
    }

    pub async fn until_state(&self, wanted: State) -> SparkApplication {
        let mut last = None;
        for _ in 0..2000 {
            let app = self.app().await;
            if app
                .status
                .as_ref()
                .is_some_and(|status| status.app_state.state == wanted)
            {
                return app;
            }
            last = app.status;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("waited in vain for {wanted:?}: {last:#?}");
    }

    pub async fn report(&self, status: Value) {
        let pods: Api<Pod> = self.api();
        let patch = Patch::Merge(json!({"status": status}));
        match pods.patch_status("pi-driver", &PatchParams::default(), &patch).await {
            Ok(_) => {}
            // A deletion that an ended operator had under way came first.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn driver_ends(&self, code: i32) {
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let reason = if code == 0 { "Completed" } else { "Error" };
        self.report(json!({"phase": phase, "containerStatuses": [{
            "name": "spark-kubernetes-driver", "ready": false, "restartCount": 0, "image": "", "imageID": "",
            "state": {"terminated": {"exitCode": code, "reason": reason}}}]}))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_runs_to_its_end() {
    let world = world().await;
    let (operator, stop) = world.operator();
    world.submit(json!({})).await;
    let app = world.until_state(State::Submitted).await;
    let status = app.status.clone().unwrap();
    let pod: Pod = world.api().get("pi-driver").await.unwrap();
    assert_eq!(
        pod.labels().get("sparkoperator.k8s.io/submission-id"),
        status.submission_id.as_ref()
    );
    assert_eq!(
        pod.labels().get("spark-app-selector"),
        status.spark_application_id.as_ref()
    );
    assert_eq!(pod.owner_references()[0].uid, app.uid().unwrap());
    let maps = world.api::<ConfigMap>().list(&ListParams::default()).await.unwrap();
    let properties = maps
        .iter()
        .find_map(|map| map.data.as_ref()?.get("spark.properties"))
        .expect("a ConfigMap for the driver");
    assert!(
        properties.contains("spark.kubernetes.driver.pod.name=pi-driver"),
        "{properties}"
    );
    let services = world.api::<Service>().list(&ListParams::default()).await.unwrap();
    let names: Vec<String> = services.iter().map(ResourceExt::name_any).collect();
    assert!(names.contains(&"pi-ui-svc".to_owned()), "{names:?}");
    assert!(
        services
            .iter()
            .filter(|service| names.contains(&service.name_any()) && service.name_any() != "kubernetes")
            .all(|service| service
                .owner_references()
                .iter()
                .any(|owner| Some(&owner.uid) == pod.metadata.uid.as_ref()))
    );

    world.report(json!({"phase": "Running"})).await;
    world.until_state(State::Running).await;
    world.driver_ends(0).await;
    let status = world.until_state(State::Completed).await.status.unwrap();
    assert!(status.termination_time.is_some());
    assert_eq!(
        status
            .conditions
            .iter()
            .filter(|c| c.type_ == "Completed" && c.status == "True")
            .count(),
        1
    );
    let mut reasons: Vec<String> = Vec::new();
    for _ in 0..200 {
        let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
        reasons = events
            .iter()
            .filter(|event| event.involved_object.kind.as_deref() == Some("SparkApplication"))
            .filter_map(|event| event.reason.clone())
            .collect();
        if reasons.contains(&"SparkApplicationCompleted".to_owned()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(reasons.contains(&"SparkApplicationCompleted".to_owned()), "{reasons:?}");
    stop.send(true).unwrap();
    operator.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_that_come_and_go_leave_one_driver_per_run() {
    let world = world().await;
    world
        .submit(json!({"restartPolicy": {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 1}}))
        .await;
    let mut drivers = std::collections::BTreeSet::new();
    let mut finished = None;
    // Lives of different length: most end in the middle of something.
    for life in 0..400_u64 {
        let (operator, _stop) = world.operator();
        tokio::time::sleep(Duration::from_millis(2 + life * 13 % 90)).await;
        operator.abort();
        let _ = operator.await;
        if let Some(pod) = world.api::<Pod>().get_opt("pi-driver").await.unwrap() {
            drivers.insert(pod.uid().unwrap());
            let maps = world.api::<ConfigMap>().list(&ListParams::default()).await.unwrap();
            let ready = maps.iter().any(|map| {
                map.owner_references()
                    .iter()
                    .any(|owner| Some(&owner.uid) == pod.metadata.uid.as_ref())
            });
            if ready && pod.metadata.deletion_timestamp.is_none() {
                world.driver_ends(if drivers.len() == 1 { 1 } else { 0 }).await;
            } else if pod.metadata.deletion_timestamp.is_some() {
                // As a kubelet: the pod is gone when its processes are.
                let now = DeleteParams {
                    grace_period_seconds: Some(0),
                    ..DeleteParams::default()
                };
                let _ = world.api::<Pod>().delete("pi-driver", &now).await;
            }
        }
        let status = world.app().await.status.unwrap_or_default();
        if status.app_state.state.is_terminal() {
            finished = Some(status);
            break;
        }
    }
    let status = finished.expect("an end");
    assert_eq!(status.app_state.state, State::Completed);
    assert_eq!((status.execution_attempts, drivers.len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_begins_a_run() {
    let world = world().await;
    let (_operator, _stop) = world.operator();
    let schedule: ScheduledSparkApplication = serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication",
        "metadata": {"name": "report", "annotations": {"stoke.dev/active-deadline-seconds": "60", "team": "a"}},
        "spec": {"schedule": "@every 1s", "template": {"type": "Python", "sparkVersion": "4.1.4", "driver": {}, "executor": {}, "suspend": true}},
    }))
    .unwrap();
    world.api().create(&PostParams::default(), &schedule).await.unwrap();
    for _ in 0..1000 {
        let runs = world
            .api::<SparkApplication>()
            .list(&ListParams::default())
            .await
            .unwrap();
        if let Some(run) = runs.iter().next() {
            assert!(run.name_any().starts_with("report-"));
            let passed_on: Vec<_> = run.annotations().iter().collect();
            let (name, text) = ("stoke.dev/active-deadline-seconds".to_owned(), "60".to_owned());
            assert_eq!(passed_on, [(&name, &text)]);
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let schedule = world.api::<ScheduledSparkApplication>().get("report").await.unwrap();
    panic!("no run was begun: {:?}", schedule.status);
}
