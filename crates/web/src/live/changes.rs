//! That something a page is about has changed: told by watches and by a followed log, opened with the visitor's own rights for as long as someone
//! looks, and by what this server itself finds out ([`known`]). Nothing of what they bring is kept: the page itself is asked for again, so a
//! visitor learns no more than it shows.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{AsyncBufReadExt, StreamExt};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, LogParams, WatchEvent, WatchParams};
use serde::de::DeserializeOwned;
use stoke_history::index::Index;
use stoke_history::rest::Query;
use stoke_model::crd::SparkConnect;
use stoke_model::names;
use stoke_quality::ledger::Ledger;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::row::status;
use super::{Live, Refusal, applications, known, pods};
use crate::address;

/// Between the end of a watch and the next one.
const AGAIN: Duration = Duration::from_millis(500);
/// How often a page is looked at of which no changes are told.
const UNTOLD: Duration = Duration::from_secs(1);
/// After how many looks a watch that was refused is tried again.
const TRIED_AGAIN: u32 = 60;
/// Namespaces that are watched, each for itself; of more, changes are not told.
const NAMESPACES: usize = 8;
/// Between two parts of a log: one that is written fast is read slowly.
const PART: Duration = Duration::from_millis(200);
/// Bytes of a log after which it is followed from its end again.
const BEHIND: usize = 1 << 20;
/// Until a log that has ended, or has not begun, is tried again; pods that change come first.
const ENDED: Duration = Duration::from_secs(10);

/// What a page is about, as far as it changes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Applications of a cluster, runs of the history, or both.
    Applications,
    Application {
        namespace: String,
        name: String,
    },
    Log {
        namespace: String,
        name: String,
        /// The pod that was asked for; none: the driver.
        pod: Option<String>,
    },
    Cluster,
    ConnectServers,
    /// A run of the history, by its application's id.
    Run(String),
    /// Verdicts on data.
    Verdicts,
}

/// What changes are told of.
#[derive(Debug, Clone)]
pub struct Sources {
    /// A cluster as the visitor may see it; none where there are pages of the history alone.
    pub live: Option<Arc<Live>>,
    pub index: Arc<Index>,
    pub verdicts: Option<Arc<Ledger>>,
    /// Whether all runs of the history are the visitor's to see.
    pub sees_all_runs: bool,
}

impl Subject {
    /// Of the page at a path with these parameters; none where nothing on it changes by itself.
    pub fn of(path: &str, query: &Query) -> Option<Subject> {
        let parts = address::parts(path);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Some(match parts[..] {
            [] | ["history"] => Subject::Applications,
            ["history", id, ..] => Subject::Run(id.to_owned()),
            ["data"] | ["data", "contract"] => Subject::Verdicts,
            ["connect"] => Subject::ConnectServers,
            ["cluster"] | ["cluster", "node"] => Subject::Cluster,
            ["applications", namespace, name] | ["applications", namespace, name, "pods" | "events"] => {
                Subject::Application {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                }
            }
            ["applications", namespace, name, "log"] => Subject::Log {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                pod: query.first("pod").filter(|pod| !pod.is_empty()).map(str::to_owned),
            },
            _ => return None,
        })
    }

    /// The least time between two looks at its page.
    pub fn spacing(&self) -> Duration {
        Duration::from_millis(match self {
            Subject::Application { .. } => 300,
            Subject::Applications | Subject::Log { .. } | Subject::ConnectServers => 500,
            Subject::Run(_) | Subject::Verdicts => 1000,
            // All pods and nodes are asked for.
            Subject::Cluster => 2000,
        })
    }

    /// After what time its page is looked at in any case: durations grow, and what has waited too long needs attention.
    pub fn pace(&self) -> Duration {
        Duration::from_secs(match self {
            Subject::Applications | Subject::Application { .. } => 5,
            Subject::Log { .. } | Subject::Cluster | Subject::ConnectServers => 10,
            // Only what was found out changes them; freshness ends by the clock.
            Subject::Run(_) | Subject::Verdicts => 30,
        })
    }
}

#[derive(Debug, Default)]
struct Bell {
    /// Something on the page has changed.
    changed: Notify,
    /// Objects have, so that there may be another log.
    moved: Notify,
    /// There will be no more changes.
    is_over: AtomicBool,
}

impl Bell {
    fn of_objects(&self) {
        self.changed.notify_one();
        self.moved.notify_one();
    }
}

/// Changes of a subject, for as long as this is kept. However many there are between two questions, they are one.
#[derive(Debug)]
pub struct Changes {
    bell: Arc<Bell>,
    _tasks: JoinSet<()>,
}

impl Changes {
    /// Begins to watch. The first change is reported at once: what came before may have been missed. None where nothing can change.
    pub fn of(sources: &Sources, subject: Subject) -> Option<Changes> {
        let bell = Arc::<Bell>::default();
        let mut tasks = JoinSet::new();
        let index = sources.index.clone();
        match (subject, &sources.live) {
            (Subject::Applications, live) => {
                if let Some(live) = live {
                    watch_applications(&mut tasks, live, &bell);
                }
                if sources.sees_all_runs {
                    let bell = bell.clone();
                    tasks.spawn(async move { known::runs(&index, || bell.changed.notify_one()).await });
                }
            }
            (Subject::Run(id), _) => {
                if !known::goes_on(&index, &id) {
                    return None;
                }
                let bell = bell.clone();
                tasks.spawn(async move {
                    known::run(&index, &id, || bell.changed.notify_one()).await;
                    bell.is_over.store(true, Ordering::Release);
                    bell.changed.notify_one();
                });
            }
            (Subject::Verdicts, _) => {
                let (ledger, bell) = (sources.verdicts.clone()?, bell.clone());
                tasks.spawn(async move { known::verdicts(&ledger, || bell.changed.notify_one()).await });
            }
            (subject, Some(live)) => watch_objects(&mut tasks, live, &bell, subject),
            (_, None) => return None,
        }
        Some(Changes { bell, _tasks: tasks })
    }

    /// Whether there will be no more changes.
    pub fn is_over(&self) -> bool {
        self.bell.is_over.load(Ordering::Acquire)
    }

    /// Waits for the next change.
    pub async fn next(&self) {
        self.bell.changed.notified().await;
    }
}

/// Objects of no name of their own.
fn any() -> (String, String) {
    (String::new(), String::new())
}

/// The applications that a visitor may see.
fn watch_applications(tasks: &mut JoinSet<()>, live: &Arc<Live>, bell: &Arc<Bell>) {
    match &live.watched {
        Some(watched) => {
            let (mut told, bell) = (watched.told_again(), bell.clone());
            bell.of_objects();
            tasks.spawn(async move {
                while told.changed().await.is_ok() {
                    bell.of_objects();
                }
            });
        }
        None => watch_all(tasks, live, bell, live.dynamic(&applications()), &any()),
    }
}

fn watch_objects(tasks: &mut JoinSet<()>, live: &Arc<Live>, bell: &Arc<Bell>, subject: Subject) {
    match subject {
        Subject::Application { namespace, name } => watch_one(tasks, live, bell, &namespace, &name),
        Subject::Log { namespace, name, pod } => {
            watch_one(tasks, live, bell, &namespace, &name);
            tasks.spawn(follow(live.clone(), bell.clone(), namespace, name, pod));
        }
        Subject::Cluster => {
            watch_all(tasks, live, bell, live.apis::<Pod>(), &any());
            watch_all(tasks, live, bell, vec![Api::<Node>::all(live.client())], &any());
        }
        Subject::ConnectServers => {
            let kind = ApiResource::erase::<SparkConnect>(&());
            watch_all(tasks, live, bell, live.dynamic(&kind), &any());
        }
        // What is not of a cluster's objects.
        Subject::Applications | Subject::Run(_) | Subject::Verdicts => {}
    }
}

/// An application with its pods and the events about it.
fn watch_one(tasks: &mut JoinSet<()>, live: &Arc<Live>, bell: &Arc<Bell>, namespace: &str, name: &str) {
    let api = |kind| Api::<DynamicObject>::namespaced_with(live.client(), namespace, &kind);
    let named = (String::new(), format!("metadata.name={name}"));
    watch_all(tasks, live, bell, vec![api(applications())], &named);
    let its = (format!("{}={name}", names::LABEL_APP_NAME), String::new());
    let its_pods: Api<Pod> = Api::namespaced(live.client(), namespace);
    watch_all(tasks, live, bell, vec![its_pods], &its);
    let about = (String::new(), format!("involvedObject.name={name}"));
    let events: Api<Event> = Api::namespaced(live.client(), namespace);
    watch_all(tasks, live, bell, vec![events], &about);
}

/// Watches objects of these labels and fields.
fn watch_all<K>(
    tasks: &mut JoinSet<()>,
    live: &Arc<Live>,
    bell: &Arc<Bell>,
    apis: Vec<Api<K>>,
    (labels, fields): &(String, String),
) where
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    if apis.len() > NAMESPACES {
        let bell = bell.clone();
        tasks.spawn(async move {
            loop {
                bell.of_objects();
                tokio::time::sleep(UNTOLD).await;
            }
        });
        return;
    }
    for api in apis {
        let (live, bell, labels, fields) = (live.clone(), bell.clone(), labels.clone(), fields.clone());
        tasks.spawn(async move {
            loop {
                match watch(&live, &bell, &api, &labels, &fields).await {
                    Ok(()) => tokio::time::sleep(AGAIN).await,
                    // Who may read but not watch sees the page change all the same.
                    Err(refusal) => {
                        let looks = if refusal.status == 403 { TRIED_AGAIN } else { 2 };
                        for _ in 0..looks {
                            bell.of_objects();
                            tokio::time::sleep(UNTOLD).await;
                        }
                    }
                }
            }
        });
    }
}

/// One watch, from now to its end.
async fn watch<K>(live: &Live, bell: &Bell, api: &Api<K>, labels: &str, fields: &str) -> Result<(), Refusal>
where
    K: Clone + Debug + DeserializeOwned,
{
    let now = ListParams::default().labels(labels).fields(fields).limit(1);
    let now = live.asked(api.list_metadata(&now)).await?;
    bell.of_objects();
    let terms = WatchParams::default().labels(labels).fields(fields);
    let version = now.metadata.resource_version.unwrap_or_default();
    // What is only waited for takes no turn from those who ask.
    let events = api.watch_metadata(&terms, &version).await;
    let mut events = pin!(events.map_err(|error| Refusal::of(&error))?);
    while let Some(event) = events.next().await {
        match event {
            Ok(WatchEvent::Bookmark(_)) => {}
            Ok(WatchEvent::Error(_)) | Err(_) => break,
            Ok(_) => bell.of_objects(),
        }
    }
    Ok(())
}

/// Tells of what is added to a log, and goes on with the pod that comes after its own.
async fn follow(live: Arc<Live>, bell: Arc<Bell>, namespace: String, name: String, pod: Option<String>) {
    loop {
        let grew = follow_one(&live, &bell, &namespace, &name, pod.as_deref()).await;
        let wait = if matches!(grew, Ok(true)) { AGAIN } else { ENDED };
        let _ = tokio::time::timeout(wait, bell.moved.notified()).await;
        // Objects that change all the time must not have it tried all the time.
        tokio::time::sleep(PART).await;
    }
}

/// Follows a log from its end; whether anything was added.
async fn follow_one(
    live: &Live,
    bell: &Bell,
    namespace: &str,
    name: &str,
    wanted: Option<&str>,
) -> Result<bool, Refusal> {
    let all = live.pods_of(namespace, name).await?;
    let pod = match wanted {
        Some(_) => pods::of_log(&all, wanted, None),
        None => {
            let object = live.application(namespace, name).await?;
            let current = status(&object).driver_info.pod_name;
            pods::of_log(&all, None, current.as_deref())
        }
    };
    let Some(pod) = pod else { return Ok(false) };
    let terms = LogParams {
        container: Some(pods::main_container(pod)),
        follow: true,
        tail_lines: Some(0),
        ..LogParams::default()
    };
    let api: Api<Pod> = Api::namespaced(live.client(), namespace);
    let log = api.log_stream(&pod.name_any(), &terms).await;
    let mut log = pin!(log.map_err(|error| Refusal::of(&error))?);
    bell.changed.notify_one();
    let mut read = 0;
    while read < BEHIND {
        let count = match log.fill_buf().await {
            Ok(part) if !part.is_empty() => part.len(),
            _ => break,
        };
        log.consume_unpin(count);
        read += count;
        bell.changed.notify_one();
        tokio::time::sleep(PART).await;
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pages_are_about() {
        let application = |name: &str| Subject::Application {
            namespace: "n".to_owned(),
            name: name.to_owned(),
        };
        let log = |pod: Option<&str>| Subject::Log {
            namespace: "n".to_owned(),
            name: "a".to_owned(),
            pod: pod.map(str::to_owned),
        };
        for (path, query, subject) in [
            ("/", "", Some(Subject::Applications)),
            ("/history/", "q=x", Some(Subject::Applications)),
            ("/cluster/node/", "id=x", Some(Subject::Cluster)),
            ("/applications/n/a/", "", Some(application("a"))),
            ("/applications/n/a%2Fb/events/", "", Some(application("a/b"))),
            ("/applications/n/a/log/", "pod=", Some(log(None))),
            ("/applications/n/a/log/", "pod=p&level=error", Some(log(Some("p")))),
            ("/applications/n/a/manifest/", "", None),
            ("/applications/n/", "", None),
            ("/sql/", "", None),
            ("/history/app-1/", "", Some(Subject::Run("app-1".to_owned()))),
            (
                "/history/app-1/2/stages/stage/",
                "id=3",
                Some(Subject::Run("app-1".to_owned())),
            ),
            ("/data/", "q=x", Some(Subject::Verdicts)),
            ("/data/contract/", "id=a", Some(Subject::Verdicts)),
            ("/connect/", "", Some(Subject::ConnectServers)),
            ("/compare", "a=x&b=y", None),
            ("/cost", "", None),
        ] {
            assert_eq!(Subject::of(path, &Query::parse(query)), subject, "{path}?{query}");
        }
    }
}
