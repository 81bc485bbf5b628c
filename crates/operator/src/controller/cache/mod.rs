//! What the watches have told us: applications, schedules, and of pods only the fields decisions read.
//!
//! In: objects and pods, as watches tell them and as the API server answers our own writes. Out: the facts of one application or schedule.
//! - `stored`: objects as bytes, and as what they say
//! - `table`: by application and name, newer over older
//!
//! What no one works on costs its bytes and nothing else; what is worked on is read from them, outside the lock. A cache never asks the API
//! server, and that a pod is not in it proves nothing.

mod stored;
mod table;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::core::DynamicObject;
use stoke_model::crd::{ExecutorState, SparkApplication};
use stoke_model::names as published;

use super::Key;
use crate::application::{Driver, DriverPod, ExecutorPod, Facts};
use crate::quality::{self, CheckPod};
use crate::schedule::Child;
pub(crate) use stored::Folded;
use table::Table;

/// Boxed: a row is as large as its pods, not as the largest of them.
#[derive(Clone, Debug, PartialEq)]
enum PodFact {
    Driver(Box<DriverPod>),
    Executor(Box<ExecutorPod>),
    Check(Box<CheckPod>),
}

/// Which application's pods have changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) key: Key,
    /// It was an executor: that can wait for more of its kind.
    pub(crate) of_executor: bool,
}

impl News {
    fn new(key: Key, fact: &PodFact) -> Self {
        let of_executor = matches!(fact, PodFact::Executor(_));
        Self { key, of_executor }
    }
}

#[derive(Default)]
struct Tables {
    apps: Table<Arc<Folded>>,
    /// Applications by the UID of the schedule that began them.
    runs: HashMap<String, BTreeSet<Key>>,
    schedules: Table<Arc<Folded>>,
    pods: Table<PodFact>,
}

impl Tables {
    fn put_app(&mut self, key: &Key, version: u64, certain: bool, app: Arc<Folded>) {
        let run = app.run.as_ref().map(|run| run.0.clone());
        if self.apps.put(key, &key.name, version, certain, app)
            && let Some(schedule) = run
        {
            self.runs.entry(schedule).or_default().insert(key.clone());
        }
    }

    fn remove_app(&mut self, key: &Key) {
        let run = self.apps.get(key, &key.name).and_then(|app| app.run.as_ref());
        if let Some(schedule) = run.map(|run| run.0.clone())
            && let Some(runs) = self.runs.get_mut(&schedule)
        {
            runs.remove(key);
            if runs.is_empty() {
                self.runs.remove(&schedule);
            }
        }
        self.apps.remove(key, &key.name);
    }
}

/// The cache. Cheap to clone; every clone is the same cache.
#[derive(Clone, Default)]
pub(crate) struct Cache {
    tables: Arc<Mutex<Tables>>,
}

/// Versions of the API server count up; one that is not a number is newer than anything.
fn version(text: Option<&String>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        // The tables are whole between any two statements that could panic.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An application was told by the watch of `scope` (a namespace, or empty for all).
    ///
    /// Returns its key when that is news: what a write of ours was answered, its turn knows already.
    pub(crate) fn app_seen(&self, scope: &str, stored: &DynamicObject, certain: bool) -> Option<Key> {
        let key = app_key(stored)?;
        let version = version(stored.metadata.resource_version.as_ref());
        let mut tables = self.lock();
        tables.apps.hear(scope, version);
        let known = tables.apps.get(&key, &key.name);
        if !certain
            && known.is_some_and(|known| Some(&*known.resource_version) == stored.metadata.resource_version.as_deref())
        {
            return None;
        }
        let known = known.cloned();
        drop(tables);
        let folded = Arc::new(Folded::new(stored, known.as_deref()));
        self.lock().put_app(&key, version, certain, folded);
        Some(key)
    }

    /// An application was answered by the API server to a write of ours; kept unless the watch is already further.
    pub(crate) fn app_answered(&self, stored: &DynamicObject) -> Option<Arc<Folded>> {
        let key = app_key(stored)?;
        let version = version(stored.metadata.resource_version.as_ref());
        let known = self.lock().apps.get(&key, &key.name).cloned();
        let folded = Arc::new(Folded::new(stored, known.as_deref()));
        let mut tables = self.lock();
        if tables.apps.contains(&key) {
            tables.put_app(&key, version, false, folded.clone());
        }
        Some(folded)
    }

    /// An application is gone.
    pub(crate) fn app_gone(&self, scope: &str, stored: &DynamicObject) -> Option<Key> {
        let key = app_key(stored)?;
        let mut tables = self.lock();
        tables
            .apps
            .hear(scope, version(stored.metadata.resource_version.as_ref()));
        tables.remove_app(&key);
        Some(key)
    }

    /// A new list of applications is complete.
    pub(crate) fn apps_listed(&self, scope: &str, listed: &HashSet<(Key, String)>) -> Vec<Key> {
        let mut tables = self.lock();
        let lost = tables.apps.keep_only(scope, listed);
        let gone: HashSet<&Key> = lost.iter().collect();
        tables.runs.retain(|_, runs| {
            runs.retain(|key| !gone.contains(key));
            !runs.is_empty()
        });
        lost
    }

    /// A schedule was told by the watch, or answered to a write of ours (`certain` and `scope` as for applications).
    pub(crate) fn schedule_seen(&self, stored: &DynamicObject, certain: bool) -> Option<Key> {
        let key = app_key(stored)?;
        let version = version(stored.metadata.resource_version.as_ref());
        let known = self.schedule(&key);
        let schedule = Arc::new(Folded::new(stored, known.as_deref()));
        self.lock().schedules.put(&key, &key.name, version, certain, schedule);
        Some(key)
    }

    pub(crate) fn schedule_gone(&self, stored: &DynamicObject) {
        if let Some(key) = app_key(stored) {
            self.lock().schedules.remove(&key, &key.name);
        }
    }

    /// A new list of schedules is complete.
    pub(crate) fn schedules_listed(&self, scope: &str, listed: &HashSet<(Key, String)>) {
        self.lock().schedules.keep_only(scope, listed);
    }

    /// The schedule of this key.
    pub(crate) fn schedule(&self, key: &Key) -> Option<Arc<Folded>> {
        self.lock().schedules.get(key, &key.name).cloned()
    }

    /// A pod was told by the watch; returns the application it belongs to, when that is news: nothing is decided on anything but the facts.
    pub(crate) fn pod_seen(&self, scope: &str, pod: &Pod, certain: bool) -> Option<News> {
        let key = pod_key(pod)?;
        let version = version(pod.metadata.resource_version.as_ref());
        let (name, fact) = (pod.metadata.name.as_deref()?, pod_fact(pod));
        let mut tables = self.lock();
        tables.pods.hear(scope, version);
        let fact = fact?;
        let known = tables.pods.get(&key, name) == Some(&fact);
        let news = News::new(key, &fact);
        tables.pods.put(&news.key, name, version, certain, fact);
        (certain || !known).then_some(news)
    }

    /// A pod was answered by the API server to a creation of ours; kept unless the watch has already seen it come and go.
    pub(crate) fn pod_answered(&self, scopes: &[String], pod: &Pod) {
        let (Some(key), Some(fact), Some(name)) = (pod_key(pod), pod_fact(pod), pod.metadata.name.as_deref()) else {
            return;
        };
        let version = version(pod.metadata.resource_version.as_ref());
        let mut tables = self.lock();
        let scope = scopes
            .iter()
            .find(|scope| **scope == key.namespace)
            .map_or("", String::as_str);
        if !tables.pods.outdated(scope, version) {
            tables.pods.put(&key, name, version, false, fact);
        }
    }

    pub(crate) fn pod_gone(&self, scope: &str, pod: &Pod) -> Option<News> {
        let key = pod_key(pod)?;
        let name = pod.metadata.name.as_deref()?;
        let mut tables = self.lock();
        tables.pods.hear(scope, version(pod.metadata.resource_version.as_ref()));
        let of_executor = matches!(tables.pods.get(&key, name), Some(PodFact::Executor(_)));
        tables.pods.remove(&key, name);
        Some(News { key, of_executor })
    }

    /// A new list of pods is complete.
    pub(crate) fn pods_listed(&self, scope: &str, listed: &HashSet<(Key, String)>) -> Vec<Key> {
        self.lock().pods.keep_only(scope, listed)
    }

    /// The application of this key.
    pub(crate) fn app(&self, key: &Key) -> Option<Arc<Folded>> {
        self.lock().apps.get(key, &key.name).cloned()
    }

    /// Keys of all applications, and of all schedules.
    pub(crate) fn keys(&self) -> (Vec<Key>, Vec<Key>) {
        let tables = self.lock();
        (
            tables.apps.keys().cloned().collect(),
            tables.schedules.keys().cloned().collect(),
        )
    }

    /// All applications.
    pub(crate) fn apps(&self) -> Vec<(Key, Arc<Folded>)> {
        let tables = self.lock();
        let each = tables.apps.keys();
        each.filter_map(|key| Some((key.clone(), tables.apps.get(key, &key.name)?.clone())))
            .collect()
    }

    /// All schedules.
    pub(crate) fn schedules(&self) -> Vec<(Key, Arc<Folded>)> {
        let tables = self.lock();
        let each = tables.schedules.keys();
        each.filter_map(|key| Some((key.clone(), tables.schedules.get(key, &key.name)?.clone())))
            .collect()
    }

    /// What the pods of an application wait for now: its driver, and each of its executors that does not start.
    pub(crate) fn waits(&self, key: &Key, now: Timestamp) -> (Option<String>, Vec<String>) {
        let tables = self.lock();
        let (mut driver, mut executors) = (None, Vec::new());
        for (_, fact) in tables.pods.of(key) {
            match fact {
                PodFact::Driver(pod) => {
                    let waits = pod.waits.as_deref().filter(|waits| waits.counts(now));
                    driver = driver.or(waits.map(|waits| waits.reason.clone()));
                }
                PodFact::Executor(pod) if pod.state == ExecutorState::Pending && !pod.detail.is_empty() => {
                    executors.push(pod.detail.split(':').next().unwrap_or_default().to_owned());
                }
                _ => {}
            }
        }
        (driver, executors)
    }

    /// What the schedule of this UID began.
    pub(crate) fn runs(&self, schedule: &str) -> Vec<Child> {
        let tables = self.lock();
        let keys = tables.runs.get(schedule).into_iter().flatten();
        keys.filter_map(|key| tables.apps.get(key, &key.name)?.run.as_ref().map(|run| run.1.clone()))
            .collect()
    }

    /// The facts about an application that the cache has. A driver counts only if this very application owns it.
    pub(crate) fn facts(&self, key: &Key, folded: &Folded, object: SparkApplication) -> Facts {
        let recorded = object
            .status
            .as_ref()
            .and_then(|status| status.driver_info.pod_name.clone());
        let name = recorded.unwrap_or_else(|| published::driver_pod(&key.name, &object.spec));
        let mut facts = Facts {
            app: object,
            spec_digest: folded.spec_digest.to_string(),
            ..Facts::default()
        };
        let tables = self.lock();
        for (_, fact) in tables.pods.of(key) {
            match fact {
                PodFact::Driver(pod) if pod.name == name && pod.owners.iter().any(|owner| **owner == *folded.uid) => {
                    facts.driver = Driver::Present(DriverPod::clone(pod));
                }
                PodFact::Driver(_) => {}
                PodFact::Executor(pod) => facts.executors.push(ExecutorPod::clone(pod)),
                PodFact::Check(pod) if pod.owners.iter().any(|owner| **owner == *folded.uid) => {
                    facts.checks.push(CheckPod::clone(pod));
                }
                PodFact::Check(_) => {}
            }
        }
        facts
    }
}

pub(crate) fn app_key(stored: &DynamicObject) -> Option<Key> {
    Some(Key {
        namespace: stored.metadata.namespace.clone()?,
        name: stored.metadata.name.clone()?,
    })
}

/// The application a pod belongs to, by its label.
pub(crate) fn pod_key(pod: &Pod) -> Option<Key> {
    let name = pod.metadata.labels.as_ref()?.get(published::LABEL_APP_NAME)?.clone();
    Some(Key {
        namespace: pod.metadata.namespace.clone()?,
        name,
    })
}

fn pod_fact(pod: &Pod) -> Option<PodFact> {
    match pod.metadata.labels.as_ref()?.get(published::LABEL_SPARK_ROLE)?.as_str() {
        published::ROLE_DRIVER => Some(PodFact::Driver(Box::new(DriverPod::read(pod)))),
        published::ROLE_EXECUTOR => Some(PodFact::Executor(Box::new(ExecutorPod::read(pod)))),
        quality::ROLE => Some(PodFact::Check(Box::new(CheckPod::read(pod)))),
        _ => None,
    }
}
