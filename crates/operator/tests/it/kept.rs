//! Logs that outlive their pods: what is kept and when, what it costs, and what becomes of it when store or operator fail.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use serde_json::{Value, json};
use stoke_operator::OperatorConfig;
use stoke_operator::logs::KeepLogs;
use stoke_operator::metrics::Metrics;
use stoke_storage::Place;
use tokio::task::JoinHandle;

use super::api::{Cut, FakeApi};
use super::life;
use super::world::{phase, until};

const WORKS: u8 = 0;
const FAILS: u8 = 1;
const HANGS: u8 = 2;

/// A store in memory that can be down.
#[derive(Clone, Default)]
struct Store(Arc<InMemory>, Arc<AtomicU8>);

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    fn is(&self, how: u8) {
        self.1.store(how, Ordering::SeqCst);
    }

    /// What is kept, by path, as it was logged.
    async fn texts(&self) -> BTreeMap<String, String> {
        let objects: Vec<_> = self.0.list(None).try_collect().await.unwrap();
        let mut texts = BTreeMap::new();
        for object in objects {
            let bytes = self.0.get(&object.location).await.unwrap().bytes().await.unwrap();
            let mut text = String::new();
            flate2::read::MultiGzDecoder::new(&bytes[..])
                .read_to_string(&mut text)
                .unwrap();
            texts.insert(object.location.to_string(), text);
        }
        texts
    }
}

#[async_trait::async_trait]
impl ObjectStore for Store {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match self.1.load(Ordering::SeqCst) {
            FAILS => Err(object_store::Error::Generic {
                store: "S3",
                source: "connection refused".into(),
            }),
            HANGS => std::future::pending().await,
            _ => self.0.put_opts(location, payload, options).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

fn keeping(store: &Store) -> OperatorConfig {
    let place = Place::over(Arc::new(store.clone()), Path::from("logs"), "s3://spark/logs".into());
    OperatorConfig {
        logs: Some(KeepLogs::new(place)),
        ..OperatorConfig::default()
    }
}

fn start(api: &FakeApi, store: &Store) -> JoinHandle<()> {
    life::operator_with(api, keeping(store))
}

fn put(api: &FakeApi, name: &str, keep: Option<&str>, spec: Value) {
    let mut app = life::application(name);
    if let Some(keep) = keep {
        app["metadata"]["annotations"]["stoke.dev/keep-logs"] = json!(keep);
    }
    app["spec"]
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    api.put("sparkapplications", app);
}

/// From SUBMITTED to RUNNING.
async fn runs(api: &FakeApi, name: &str) {
    life::until_app(api, name, "SUBMITTED").await;
    phase(api, &format!("{name}-driver"), "Running", None);
    life::until_app(api, name, "RUNNING").await;
}

fn status(api: &FakeApi, name: &str) -> Value {
    api.get("sparkapplications", name).unwrap()["status"].clone()
}

/// The directory of the run that the status speaks of.
fn run_of(status: &Value) -> String {
    let submission = status["submissionID"].as_str().unwrap().replace('-', "");
    format!("{}-{submission}", status["executionAttempts"])
}

fn reasons(api: &FakeApi) -> Vec<String> {
    let events = api.all("events");
    events
        .iter()
        .map(|event| event["reason"].as_str().unwrap().to_owned())
        .collect()
}

fn of_logs(api: &FakeApi) -> Vec<String> {
    let log = api.log();
    log.into_iter().filter(|request| request.ends_with("/log")).collect()
}

#[tokio::test(start_paused = true)]
async fn the_driver_s_log_is_kept_before_the_end_is_said_and_costs_one_request() {
    let (api, store) = (FakeApi::default(), Store::default());
    let operator = start(&api, &store);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = api.asked();
    api.say("pi-driver", "Pi is roughly 3.14\n");
    life::run(&api, "pi", 5).await;
    let status = status(&api, "pi");
    let run = run_of(&status);
    assert_eq!(status["keptLogs"], format!("s3://spark/logs/default/pi/{run}"));
    let expected = [(
        format!("logs/default/pi/{run}/pi-driver.log.gz"),
        "Pi is roughly 3.14\n".to_owned(),
    )];
    assert_eq!(store.texts().await, expected.into());
    assert_eq!(of_logs(&api), ["GET pods/pi-driver/log"]);
    let events = api.all("events").len();
    // Thirteen without logs being kept: see `load`.
    assert_eq!((api.asked() - before, events), (14 + 7, 7));
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn executors_that_are_kept_stay_until_their_logs_are_and_go_then() {
    let (api, store) = (FakeApi::default(), Store::default());
    let operator = start(&api, &store);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = api.asked();
    put(&api, "pi", Some("all"), json!({}));
    runs(&api, "pi").await;
    let pod = api.get("pods", "pi-driver").unwrap();
    let mut labels = pod["metadata"]["labels"].clone();
    labels["spark-role"] = json!("executor");
    let put_executor = |number: usize, phase: &str, inactive: bool| {
        let mut labels = labels.clone();
        labels["spark-exec-id"] = json!(number.to_string());
        if inactive {
            labels["spark-exec-inactive"] = json!("true");
        }
        let name = format!("pi-exec-{number}");
        api.say(&name, &format!("executor {number}\n"));
        api.put(
            "pods",
            json!({"metadata": {"name": name, "labels": labels}, "status": {"phase": phase}}),
        );
    };
    (1..=3).for_each(|number| put_executor(number, "Running", false));
    tokio::time::sleep(Duration::from_secs(1)).await;
    // One ends early; Spark has not seen it yet, so its pod stays.
    put_executor(1, "Failed", false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(of_logs(&api), ["GET pods/pi-exec-1/log"]);
    assert!(api.get("pods", "pi-exec-1").is_some());
    put_executor(1, "Failed", true);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(api.get("pods", "pi-exec-1").is_none());
    // The driver ends before its other executors, which are waited for; one of them does not end at all.
    phase(&api, "pi-driver", "Succeeded", Some(0));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(status(&api, "pi")["applicationState"]["state"], "RUNNING");
    put_executor(2, "Succeeded", false);
    life::until_app(&api, "pi", "COMPLETED").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let run = run_of(&status(&api, "pi"));
    let texts = store.texts().await;
    for number in 1..=3 {
        let path = format!("logs/default/pi/{run}/pi-exec-{number}.log.gz");
        assert_eq!(texts.get(&path), Some(&format!("executor {number}\n")), "{texts:?}");
    }
    assert_eq!(texts.len(), 4);
    assert!(api.get("pods", "pi-exec-2").is_none(), "it was there for its log only");
    assert!(api.get("pods", "pi-exec-3").is_some(), "it has not ended");
    let requests = api.asked() - before - api.all("events").len();
    // As many status writes as without: a life of three executors, one of which fails alone; and a GET and a DELETE each.
    let of_executors = api
        .log()
        .iter()
        .filter(|request| request.contains("pods/pi-exec"))
        .count();
    assert_eq!(of_executors, 3 + 2, "{:#?}", api.log());
    assert!(requests <= 14 + of_executors + 2, "{requests}: {:#?}", api.log());
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_none_has_none_and_who_asks_for_nonsense_is_told() {
    let (api, store) = (FakeApi::default(), Store::default());
    let operator = start(&api, &store);
    put(&api, "pi", Some("none"), json!({}));
    runs(&api, "pi").await;
    phase(&api, "pi-driver", "Succeeded", Some(0));
    life::until_app(&api, "pi", "COMPLETED").await;
    assert!(of_logs(&api).is_empty() && store.texts().await.is_empty());
    assert!(status(&api, "pi")["keptLogs"].is_null());
    put(&api, "bad", Some("some"), json!({}));
    life::until_app(&api, "bad", "FAILED").await;
    let message = status(&api, "bad")["applicationState"]["errorMessage"].clone();
    assert!(
        message.as_str().unwrap().contains("write driver, all or none"),
        "{message}"
    );
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn each_attempt_s_log_is_kept_before_its_pod_is_replaced() {
    let (api, store) = (FakeApi::default(), Store::default());
    let operator = start(&api, &store);
    let again = json!({"restartPolicy": {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 0}});
    put(&api, "pi", None, again);
    let mut expected = BTreeMap::new();
    for attempt in 1..=2 {
        until(&api, "a run", || status(&api, "pi")["executionAttempts"] == attempt).await;
        runs(&api, "pi").await;
        let text = format!("attempt {attempt} fails\n");
        api.say("pi-driver", &text);
        expected.insert(
            format!("logs/default/pi/{}/pi-driver.log.gz", run_of(&status(&api, "pi"))),
            text,
        );
        phase(&api, "pi-driver", "Failed", Some(1));
    }
    life::until_app(&api, "pi", "FAILED").await;
    assert_eq!(store.texts().await, expected);
    assert_eq!(expected.len(), 2);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_delays_the_end_for_a_bounded_time_and_what_was_missed_is_kept_later() {
    for how in [FAILS, HANGS] {
        let (api, store) = (FakeApi::default(), Store::default());
        let metrics = Metrics::default();
        let config = OperatorConfig {
            metrics: metrics.clone(),
            ..keeping(&store)
        };
        let operator = life::operator_with(&api, config);
        // All of them wait at the same time, more than are copied at once.
        let names: Vec<String> = (0..12).map(|number| format!("pi-{number}")).collect();
        for name in &names {
            put(&api, name, None, json!({"timeToLiveSeconds": 600}));
            api.say(&format!("{name}-driver"), "the reason\n");
            runs(&api, name).await;
        }
        store.is(how);
        let ended = tokio::time::Instant::now();
        for name in &names {
            phase(&api, &format!("{name}-driver"), "Succeeded", Some(0));
        }
        for name in &names {
            life::until_app(&api, name, "COMPLETED").await;
        }
        let held = ended.elapsed().as_secs();
        assert!((20..23).contains(&held), "{held}");
        assert!(status(&api, "pi-0")["keptLogs"].is_null());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let told = reasons(&api)
            .iter()
            .filter(|reason| *reason == "SparkLogsNotKept")
            .count();
        assert_eq!(told, names.len());
        let waiting = metrics
            .text()
            .lines()
            .find(|line| line.starts_with("stoke_kept_logs_waiting "))
            .map(str::to_owned);
        assert_eq!(waiting.as_deref(), Some("stoke_kept_logs_waiting 12"));
        // The store comes back after everybody gave up: before the application goes, its log is asked for once more.
        tokio::time::sleep(Duration::from_secs(300)).await;
        store.is(WORKS);
        tokio::time::sleep(Duration::from_secs(250)).await;
        until(&api, "the applications to go", || {
            api.all("sparkapplications").is_empty()
        })
        .await;
        let texts = store.texts().await;
        assert_eq!(texts.len(), names.len());
        assert!(texts.values().all(|text| text == "the reason\n"));
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_soon_gets_the_log_after_all() {
    let (api, store) = (FakeApi::default(), Store::default());
    let operator = start(&api, &store);
    put(&api, "pi", None, json!({}));
    runs(&api, "pi").await;
    store.is(FAILS);
    phase(&api, "pi-driver", "Succeeded", Some(0));
    life::until_app(&api, "pi", "COMPLETED").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    store.is(WORKS);
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(store.texts().await.len(), 1);
    let reasons = reasons(&api);
    assert!(
        reasons.contains(&"SparkLogsNotKept".to_owned()) && reasons.contains(&"SparkLogsKept".to_owned()),
        "{reasons:?}"
    );
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_dies_at_any_request_loses_no_log_and_keeps_none_twice() {
    for cut in (1..=10).flat_map(|number| [Cut::Before(number), Cut::After(number)]) {
        let (api, store) = (FakeApi::default(), Store::default());
        api.say("pi-driver", "Pi is roughly 3.14\n");
        api.cut_at(cut);
        let mut operator = start(&api, &store);
        put(&api, "pi", None, json!({}));
        let mut died = false;
        let mut die = |operator: &mut JoinHandle<()>| {
            operator.abort();
            api.cut_nowhere();
            *operator = start(&api, &store);
            died = true;
        };
        let driver = || api.get("pods", "pi-driver").map(|pod| pod["status"]["phase"].clone());
        loop {
            let state = status(&api, "pi")["applicationState"]["state"].clone();
            match (state.as_str(), driver()) {
                (Some("COMPLETED"), _) => break,
                (Some("SUBMITTED"), Some(Value::Null)) => phase(&api, "pi-driver", "Running", None),
                (Some("RUNNING"), Some(phase_is)) if phase_is == "Running" => {
                    phase(&api, "pi-driver", "Succeeded", Some(0));
                }
                _ => {}
            }
            tokio::select! {
                () = api.cut.notified() => die(&mut operator),
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
        let texts = store.texts().await;
        let path = format!("logs/default/pi/{}/pi-driver.log.gz", run_of(&status(&api, "pi")));
        assert_eq!(texts, [(path, "Pi is roughly 3.14\n".to_owned())].into(), "{cut:?}");
        assert!(status(&api, "pi")["keptLogs"].is_string(), "{cut:?}");
        assert!(died || matches!(cut, Cut::Before(9..) | Cut::After(9..)), "{cut:?}");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_dies_while_it_stores_stores_again() {
    let (api, store) = (FakeApi::default(), Store::default());
    let operator = start(&api, &store);
    put(&api, "pi", None, json!({}));
    api.say("pi-driver", "said\n");
    runs(&api, "pi").await;
    store.is(HANGS);
    phase(&api, "pi-driver", "Succeeded", Some(0));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(status(&api, "pi")["applicationState"]["state"], "RUNNING");
    operator.abort();
    store.is(WORKS);
    let operator = start(&api, &store);
    life::until_app(&api, "pi", "COMPLETED").await;
    assert_eq!(store.texts().await.into_values().collect::<Vec<_>>(), ["said\n"]);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_an_edit_ends_is_kept_as_far_as_it_came_with_its_sidecars() {
    let (api, store) = (FakeApi::default(), Store::default());
    let operator = start(&api, &store);
    put(&api, "pi", None, json!({}));
    runs(&api, "pi").await;
    let running = |name: &str| json!({"name": name, "ready": true, "restartCount": 0, "image": "", "imageID": "", "state": {"running": {}}});
    api.change(
        "pods",
        "pi-driver",
        json!({"status": {"containerStatuses": [running("spark-kubernetes-driver"), running("proxy")]}}),
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let run = run_of(&status(&api, "pi"));
    api.say("pi-driver", "so far\n");
    api.change(
        "sparkapplications",
        "pi",
        json!({"metadata": {"generation": 2}, "spec": {"arguments": ["other"]}}),
    );
    until(&api, "another run", || {
        status(&api, "pi")["executionAttempts"] == 1 && run_of(&status(&api, "pi")) != run
    })
    .await;
    let paths: Vec<String> = store.texts().await.into_keys().collect();
    let file = |name: &str| format!("logs/default/pi/{run}/{name}.log.gz");
    assert_eq!(paths, [file("pi-driver"), file("pi-driver.proxy")]);
    operator.abort();
}
