//! Several operators as services on one API server: leases, shards, selected namespaces, metrics and probes, and what is left after a stop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{Method, Request};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::{Client, ResourceExt};
use serde_json::json;
use stoke_cluster::{ApiConfig, ApiServer};
use stoke_model::crd::SparkApplication;
use stoke_operator::lease::{Election, Terms};
use stoke_operator::serve::{ServeConfig, serve};
use stoke_operator::{Health, OperatorConfig, metrics::Metrics};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const LOCK: &str = "spark-operator-controller-lock";
/// Everything waited for here comes within a second or two on a quiet machine.
const LIMIT: Duration = Duration::from_secs(40);

/// Who wrote to which application, in order.
type Writes = Arc<Mutex<Vec<(String, String)>>>;

struct World {
    server: ApiServer,
    _home: tempfile::TempDir,
    writes: Writes,
}

struct Service {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
    metrics: Metrics,
    health: Health,
}

impl World {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = ApiConfig {
            home: home.path().to_owned(),
            in_memory: true,
        };
        World {
            server: ApiServer::start(&config).await.unwrap(),
            _home: home,
            writes: Writes::default(),
        }
    }

    fn serve(&self, name: &str, shards: usize, selector: Option<&str>) -> Service {
        self.serve_in(name, shards, &[], selector)
    }

    fn serve_in(&self, name: &str, shards: usize, named: &[&str], selector: Option<&str>) -> Service {
        let (writes, writer) = (self.writes.clone(), name.to_owned());
        let inner = self.server.client();
        let service = tower::service_fn(move |request: Request<Body>| {
            let path = request.uri().path();
            if request.method() != Method::GET && path.contains("/sparkapplications/") {
                let path = path.trim_end_matches("/status").to_owned();
                writes.lock().unwrap().push((writer.clone(), path));
            }
            let inner = inner.clone();
            async move { inner.send(request).await }
        });
        let operator = OperatorConfig {
            identity: name.to_owned(),
            namespaces: named.iter().map(|name| (*name).to_owned()).collect(),
            ..OperatorConfig::default()
        };
        let (metrics, health) = (operator.metrics.clone(), operator.health.clone());
        let election = Election {
            name: LOCK.to_owned(),
            namespace: "default".to_owned(),
            identity: format!("{name}_{name}"),
            shards,
            owner: None,
            terms: Terms {
                duration: Duration::from_secs(3),
                renew_deadline: Duration::from_secs(2),
                retry: Duration::from_millis(100),
            },
        };
        let config = ServeConfig {
            operator,
            election: (shards > 0).then_some(election),
            namespace_selector: selector.map(str::to_owned),
            ..ServeConfig::default()
        };
        let (stop, stopped) = watch::channel(false);
        let client = Client::new(service, "default");
        let task = tokio::spawn(async move { serve(client, config, stopped).await.unwrap() });
        Service {
            task,
            stop,
            metrics,
            health,
        }
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.server.client(), namespace)
    }

    async fn create(&self, namespace: &str, name: &str) {
        let app: SparkApplication = serde_json::from_value(json!({
            "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": name},
            "spec": {"type": "Python", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4", "driver": {}, "executor": {},
                "mainApplicationFile": "local:///opt/spark/examples/src/main/python/pi.py"},
        }))
        .unwrap();
        self.api(namespace).create(&PostParams::default(), &app).await.unwrap();
    }

    /// Waits until so many applications of the namespace are submitted.
    async fn until_submitted(&self, namespace: &str, count: usize) {
        until("submissions", async || {
            let apps = self
                .api::<SparkApplication>(namespace)
                .list(&ListParams::default())
                .await
                .unwrap();
            let submitted =
                |app: &&SparkApplication| app.status.as_ref().is_some_and(|status| status.execution_attempts == 1);
            apps.iter().filter(submitted).count() == count
        })
        .await;
    }

    /// Holders of the leases by lease.
    async fn holders(&self) -> BTreeMap<String, String> {
        let leases = self.api::<Lease>("default").list(&ListParams::default()).await.unwrap();
        let of_shards = leases
            .into_iter()
            .filter(|lease| !lease.name_any().contains("-member-"));
        let holder = |lease: &Lease| {
            lease
                .spec
                .clone()
                .unwrap_or_default()
                .holder_identity
                .unwrap_or_default()
        };
        of_shards.map(|lease| (lease.name_any(), holder(&lease))).collect()
    }

    /// Fails when two operators took turns on one application more often than there were changes of hands.
    fn assert_no_two_at_once(&self, changes_of_hands: usize) {
        let mut writers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (writer, path) in self.writes.lock().unwrap().iter() {
            let of_path = writers.entry(path.clone()).or_default();
            if of_path.last() != Some(writer) {
                of_path.push(writer.clone());
            }
        }
        for (path, writers) in writers
            .into_iter()
            .filter(|(path, _)| path.contains("/sparkapplications/"))
        {
            assert!(
                writers.len() <= changes_of_hands + 1,
                "{path} was written by turns: {writers:?}"
            );
        }
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < LIMIT, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

impl Service {
    async fn stop(self) {
        self.stop.send(true).unwrap();
        tokio::time::timeout(LIMIT, self.task).await.unwrap().unwrap();
    }

    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_operators_works_and_the_other_takes_over_when_it_is_killed() {
    let world = World::start().await;
    let mut services = BTreeMap::from([("a", world.serve("a", 1, None)), ("b", world.serve("b", 1, None))]);
    world.create("default", "first").await;
    world.until_submitted("default", 1).await;
    let holder = world.holders().await[LOCK].clone();
    let leader = holder[..1].to_owned();
    services.remove(leader.as_str()).unwrap().kill().await;
    world.create("default", "second").await;
    let taken_after = until("a takeover", async || {
        let holder = world.holders().await[LOCK].clone();
        !holder.is_empty() && !holder.starts_with(&leader)
    })
    .await;
    assert!(
        taken_after > Duration::from_secs(1),
        "taken from a holder that might still work: {taken_after:?}"
    );
    world.until_submitted("default", 2).await;
    world.assert_no_two_at_once(1);
    for (_, service) in services {
        service.stop().await;
    }
    assert_eq!(world.holders().await[LOCK], "", "a clean stop releases the lease");
    let lease = world.api::<Lease>("default").get(LOCK).await.unwrap().spec.unwrap();
    assert_eq!(lease.lease_transitions, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_spread_over_operators_as_they_come_and_go() {
    let world = World::start().await;
    let shards = 4;
    let first = world.serve("a", shards, None);
    let held = async |who: &str| {
        world
            .holders()
            .await
            .values()
            .filter(|holder| holder.starts_with(who))
            .count()
    };
    until("all shards in one hand", async || held("a").await == shards).await;
    for number in 0..12 {
        world.create("default", &format!("early-{number}")).await;
    }
    world.until_submitted("default", 12).await;
    let second = world.serve("b", shards, None);
    until("half of the shards each", async || {
        held("a").await == 2 && held("b").await == 2
    })
    .await;
    for number in 0..12 {
        world.create("default", &format!("late-{number}")).await;
    }
    world.until_submitted("default", 24).await;
    let writes = world.writes.lock().unwrap().clone();
    for writer in ["a", "b"] {
        let wrote = writes
            .iter()
            .filter(|(by, path)| by == writer && path.contains("/late-"))
            .count();
        assert!(wrote > 0, "{writer} has half of the shards and did nothing");
    }
    // A clean stop hands over at once, without waiting for leases to run out.
    first.stop().await;
    until("all shards in the other hand", async || held("b").await == shards).await;
    world.assert_no_two_at_once(2);
    second.stop().await;
    let leases = world
        .api::<Lease>("default")
        .list(&ListParams::default())
        .await
        .unwrap();
    assert!(
        leases.iter().all(|lease| !lease.name_any().contains("-member-")),
        "members say goodbye"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_labelled_later_is_taken_up_with_the_applications_in_it() {
    let world = World::start().await;
    let namespaces: Api<Namespace> = Api::all(world.server.client());
    for (name, labels) in [
        ("yes", json!({"spark": "yes"})),
        ("later", json!({})),
        ("no", json!({})),
    ] {
        let namespace = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap();
        namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    }
    let service = world.serve("a", 0, Some("spark=yes"));
    for namespace in ["yes", "later", "no"] {
        world.create(namespace, "pi").await;
    }
    world.until_submitted("yes", 1).await;
    assert!(service.health.ready().is_ok() && service.health.alive().is_ok());
    let label = Patch::Merge(json!({"metadata": {"labels": {"spark": "yes"}}}));
    namespaces
        .patch("later", &PatchParams::default(), &label)
        .await
        .unwrap();
    world.until_submitted("later", 1).await;
    world.until_submitted("no", 0).await;
    // The last turns may still be under way.
    for line in [
        "spark_application_count 2",
        "spark_application_submit_count 2",
        "stoke_applications{state=\"SUBMITTED\"} 2",
        "workqueue_depth{name=\"SparkApplication\"} 0",
        "workqueue_unfinished_work_seconds{name=\"SparkApplication\"} 0",
    ] {
        until(line, async || service.metrics.text().lines().any(|known| known == line)).await;
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_labels_of_namespaces_together_mean_either() {
    let world = World::start().await;
    let namespaces: Api<Namespace> = Api::all(world.server.client());
    for (name, labels) in [
        ("named", json!({})),
        ("labelled", json!({"spark": "yes"})),
        ("both", json!({"spark": "yes"})),
        ("neither", json!({})),
    ] {
        let namespace = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap();
        namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        world.create(name, "pi").await;
    }
    let service = world.serve_in("a", 0, &["named", "both"], Some("spark=yes"));
    for namespace in ["named", "labelled", "both"] {
        world.until_submitted(namespace, 1).await;
    }
    // A name stays when its label goes.
    let label = Patch::Merge(json!({"metadata": {"labels": {"spark": null}}}));
    namespaces.patch("both", &PatchParams::default(), &label).await.unwrap();
    world.create("both", "again").await;
    world.until_submitted("both", 2).await;
    world.until_submitted("neither", 0).await;
    service.stop().await;
}
