//! What the watches have told us: applications, schedules, and of pods only the fields decisions read.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicObject;
use serde_json::Value;
use stoke_model::crd::{ScheduledSparkApplication, SparkApplication};
use stoke_model::{defaults, names as published};

use super::Key;
use crate::application::{Driver, DriverPod, ExecutorPod, Facts};
use crate::names;

/// An object as stored, read.
#[derive(Clone, Debug)]
pub(crate) struct Stored<T> {
    /// The object with defaults applied, or why it cannot be read.
    pub(crate) object: Result<T, String>,
    /// UID of the object.
    pub(crate) uid: String,
    /// Version the next write must find.
    pub(crate) resource_version: String,
    /// Generation of the spec.
    pub(crate) generation: Option<i64>,
    /// The stored status, as it is.
    pub(crate) status: Value,
    /// See [`Facts::spec_digest`].
    pub(crate) spec_digest: String,
}

/// An application as stored, read.
pub(crate) type App = Stored<SparkApplication>;
/// A schedule as stored, read.
pub(crate) type Scheduled = Stored<ScheduledSparkApplication>;

/// What can be read from a stored spec and status.
pub(crate) trait Read: Sized {
    fn read(spec: Value, status: Option<Value>, metadata: ObjectMeta) -> Result<Self, String>;
}

fn part(what: &str) -> impl Fn(serde_json::Error) -> String {
    move |error| format!("{what} cannot be read: {error}")
}

impl Read for SparkApplication {
    fn read(spec: Value, status: Option<Value>, metadata: ObjectMeta) -> Result<Self, String> {
        let spec = defaults::application(serde_json::from_value(spec).map_err(part("spec"))?);
        let status = status.map(serde_json::from_value).transpose().map_err(part("status"))?;
        Ok(Self { metadata, spec, status })
    }
}

impl Read for ScheduledSparkApplication {
    fn read(spec: Value, status: Option<Value>, metadata: ObjectMeta) -> Result<Self, String> {
        let spec = defaults::scheduled(serde_json::from_value(spec).map_err(part("spec"))?);
        let status = status.map(serde_json::from_value).transpose().map_err(part("status"))?;
        Ok(Self { metadata, spec, status })
    }
}

impl<T: Read> Stored<T> {
    /// Reads a stored object. A malformed one is kept with the reason; it must not stop the watch.
    pub(crate) fn read(stored: &DynamicObject) -> Self {
        let spec = stored.data.get("spec").cloned().unwrap_or_default();
        let status = stored.data.get("status").cloned().unwrap_or_default();
        let metadata = ObjectMeta {
            managed_fields: None,
            ..stored.metadata.clone()
        };
        let spec_digest = names::spec_digest(&spec);
        Self {
            object: T::read(spec, (!status.is_null()).then(|| status.clone()), metadata),
            uid: stored.metadata.uid.clone().unwrap_or_default(),
            resource_version: stored.metadata.resource_version.clone().unwrap_or_default(),
            generation: stored.metadata.generation,
            status,
            spec_digest,
        }
    }
}

#[derive(Clone, Debug)]
enum PodFact {
    Driver(DriverPod),
    Executor(ExecutorPod),
}

/// One set of watched objects, by application and then by object name.
struct Table<T> {
    rows: HashMap<Key, HashMap<String, (u64, T)>>,
    /// Newest version the watch has told, per watched scope: what is older and not here is gone.
    told: HashMap<String, u64>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            told: HashMap::new(),
        }
    }
}

impl<T> Table<T> {
    /// Keeps the newer of what is known and what is told; a list (`certain`) is newer than anything.
    fn put(&mut self, key: &Key, name: &str, version: u64, certain: bool, value: T) {
        let row = self.rows.entry(key.clone()).or_default();
        match row.get(name) {
            Some((known, _)) if *known > version && !certain => {}
            _ => {
                row.insert(name.to_owned(), (version, value));
            }
        }
    }

    fn remove(&mut self, key: &Key, name: &str) {
        if let Some(row) = self.rows.get_mut(key) {
            row.remove(name);
            if row.is_empty() {
                self.rows.remove(key);
            }
        }
    }

    fn hear(&mut self, scope: &str, version: u64) {
        let told = self.told.entry(scope.to_owned()).or_default();
        *told = (*told).max(version);
    }

    fn outdated(&self, scope: &str, version: u64) -> bool {
        self.told.get(scope).is_some_and(|told| version <= *told)
    }

    /// Drops what a new list of `scope` did not name; returns the keys that lost something.
    fn keep_only(&mut self, scope: &str, listed: &HashSet<(Key, String)>) -> Vec<Key> {
        let mut lost = Vec::new();
        for (key, row) in &mut self.rows {
            if !scope.is_empty() && key.namespace != scope {
                continue;
            }
            let before = row.len();
            row.retain(|name, _| listed.contains(&(key.clone(), name.clone())));
            if row.len() < before {
                lost.push(key.clone());
            }
        }
        self.rows.retain(|_, row| !row.is_empty());
        lost
    }
}

#[derive(Default)]
struct Tables {
    apps: Table<Arc<App>>,
    schedules: Table<Arc<Scheduled>>,
    pods: Table<PodFact>,
}

/// The cache. Cheap to clone; every clone is the same cache.
#[derive(Clone, Default)]
pub(crate) struct Cache {
    tables: Arc<Mutex<Tables>>,
}

/// Versions of the API server count up; one that is no number is newer than anything.
fn version(text: Option<&String>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        // The tables are whole between any two statements that could panic.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An application was told by the watch of `scope` (a namespace, or empty for all).
    pub(crate) fn app_told(&self, scope: &str, stored: &DynamicObject, certain: bool) -> Option<Key> {
        let key = app_key(stored)?;
        let version = version(stored.metadata.resource_version.as_ref());
        let mut tables = self.lock();
        tables.apps.hear(scope, version);
        tables
            .apps
            .put(&key, &key.name, version, certain, Arc::new(App::read(stored)));
        Some(key)
    }

    /// An application was answered by the API server to a write of ours; kept unless the watch is already further.
    pub(crate) fn app_answered(&self, stored: &DynamicObject) -> Option<Arc<App>> {
        let key = app_key(stored)?;
        let version = version(stored.metadata.resource_version.as_ref());
        let app = Arc::new(App::read(stored));
        let mut tables = self.lock();
        if tables.apps.rows.contains_key(&key) {
            tables.apps.put(&key, &key.name, version, false, app.clone());
        }
        Some(app)
    }

    /// An application is gone.
    pub(crate) fn app_gone(&self, scope: &str, stored: &DynamicObject) -> Option<Key> {
        let key = app_key(stored)?;
        let mut tables = self.lock();
        tables
            .apps
            .hear(scope, version(stored.metadata.resource_version.as_ref()));
        tables.apps.remove(&key, &key.name);
        Some(key)
    }

    /// A new list of applications is complete.
    pub(crate) fn apps_listed(&self, scope: &str, listed: &HashSet<(Key, String)>) -> Vec<Key> {
        self.lock().apps.keep_only(scope, listed)
    }

    /// A schedule was told by the watch, or answered to a write of ours (`certain` and `scope` as for applications).
    pub(crate) fn schedule_told(&self, stored: &DynamicObject, certain: bool) -> Option<Key> {
        let key = app_key(stored)?;
        let version = version(stored.metadata.resource_version.as_ref());
        let schedule = Arc::new(Scheduled::read(stored));
        self.lock().schedules.put(&key, &key.name, version, certain, schedule);
        Some(key)
    }

    /// A schedule is gone.
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
    pub(crate) fn schedule(&self, key: &Key) -> Option<Arc<Scheduled>> {
        let tables = self.lock();
        tables
            .schedules
            .rows
            .get(key)?
            .get(&key.name)
            .map(|(_, schedule)| schedule.clone())
    }

    /// A pod was told by the watch; returns the application it belongs to.
    pub(crate) fn pod_told(&self, scope: &str, pod: &Pod, certain: bool) -> Option<Key> {
        let key = pod_key(pod)?;
        let version = version(pod.metadata.resource_version.as_ref());
        let mut tables = self.lock();
        tables.pods.hear(scope, version);
        tables
            .pods
            .put(&key, pod.metadata.name.as_deref()?, version, certain, pod_fact(pod)?);
        Some(key)
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

    /// A pod is gone.
    pub(crate) fn pod_gone(&self, scope: &str, pod: &Pod) -> Option<Key> {
        let key = pod_key(pod)?;
        let mut tables = self.lock();
        tables.pods.hear(scope, version(pod.metadata.resource_version.as_ref()));
        tables.pods.remove(&key, pod.metadata.name.as_deref()?);
        Some(key)
    }

    /// A new list of pods is complete.
    pub(crate) fn pods_listed(&self, scope: &str, listed: &HashSet<(Key, String)>) -> Vec<Key> {
        self.lock().pods.keep_only(scope, listed)
    }

    /// The application of this key.
    pub(crate) fn app(&self, key: &Key) -> Option<Arc<App>> {
        self.lock()
            .apps
            .rows
            .get(key)?
            .get(&key.name)
            .map(|(_, app)| app.clone())
    }

    /// Keys of all applications, and of all schedules.
    pub(crate) fn keys(&self) -> (Vec<Key>, Vec<Key>) {
        let tables = self.lock();
        let schedules = tables.schedules.rows.keys().cloned().collect();
        (tables.apps.rows.keys().cloned().collect(), schedules)
    }

    /// Looks at every application.
    pub(crate) fn each_app(&self, mut look: impl FnMut(&Key, &App)) {
        for (key, row) in &self.lock().apps.rows {
            row.values().for_each(|(_, app)| look(key, app));
        }
    }

    /// All applications of a namespace that this predicate accepts.
    pub(crate) fn apps_where(&self, namespace: &str, accept: impl Fn(&SparkApplication) -> bool) -> Vec<Arc<App>> {
        let tables = self.lock();
        let apps = tables.apps.rows.iter().filter(|(key, _)| key.namespace == namespace);
        apps.filter_map(|(key, row)| row.get(&key.name))
            .map(|(_, app)| app)
            .filter(|app| app.object.as_ref().is_ok_and(&accept))
            .cloned()
            .collect()
    }

    /// The facts about an application that the cache has. A driver counts only if this very application owns it.
    pub(crate) fn facts(&self, key: &Key, app: &App, object: &SparkApplication) -> Facts {
        let mut facts = Facts {
            app: object.clone(),
            spec_digest: app.spec_digest.clone(),
            ..Facts::default()
        };
        let recorded = object
            .status
            .as_ref()
            .and_then(|status| status.driver_info.pod_name.clone());
        let name = recorded.unwrap_or_else(|| published::driver_pod(&key.name, &object.spec));
        let tables = self.lock();
        for (_, fact) in tables.pods.rows.get(key).into_iter().flat_map(HashMap::values) {
            match fact {
                PodFact::Driver(pod) if pod.name == name && pod.owners.contains(&app.uid) => {
                    facts.driver = Driver::Present(pod.clone());
                }
                PodFact::Driver(_) => {}
                PodFact::Executor(pod) => facts.executors.push(pod.clone()),
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
        published::ROLE_DRIVER => Some(PodFact::Driver(DriverPod::read(pod))),
        published::ROLE_EXECUTOR => Some(PodFact::Executor(ExecutorPod::read(pod))),
        _ => None,
    }
}
