//! The watches: applications, schedules, and the pods that carry the operator's label. A malformed object is one application's trouble, not the watch's.

use std::collections::HashSet;

use futures::StreamExt;
use futures::stream::SelectAll;
use kube::runtime::watcher::{self, Event};
use stoke_model::names as published;
use tokio::sync::mpsc;

use super::cache::{app_key, pod_key};
use super::follow::{self, Followed, follow};
use super::gathering::Later;
use super::seen::{Seen, SeenPod};
use super::{Context, Key, applications, schedules};
use crate::health::Health;

/// Where touched keys go.
pub(crate) struct Touch {
    pub(crate) applications: mpsc::UnboundedSender<Key>,
    pub(crate) schedules: mpsc::UnboundedSender<Key>,
    pub(crate) health: Health,
}

/// Touches what may have become ours, whenever it may have: a lease was taken, a namespace selected. O(all objects) each time.
pub(crate) async fn touch_gained(
    context: Context,
    applications: mpsc::UnboundedSender<Key>,
    schedules: mpsc::UnboundedSender<Key>,
) {
    let mut gate = context.gate.clone();
    loop {
        gate.gained().await;
        let (of_applications, of_schedules) = context.cache.keys();
        let ours = |key: &Key| context.gate.is_ours(key);
        let touched = of_applications
            .into_iter()
            .filter(ours)
            .try_for_each(|key| applications.send(key));
        let touched = touched.and_then(|()| {
            of_schedules
                .into_iter()
                .filter(ours)
                .try_for_each(|key| schedules.send(key))
        });
        if touched.is_err() {
            return;
        }
    }
}

enum Change {
    Schedule(String, Event<Seen>),
    App(String, Event<Seen>),
    Pod(String, Box<Event<SeenPod>>),
}

/// Keeps the cache up to date and touches the keys that something happened to. Ends only with its receiver.
pub(crate) async fn run(context: Context, touch: Touch) {
    let mut told: SelectAll<Followed<Change>> = SelectAll::new();
    let launched = watcher::Config::default().labels(&format!("{}=true", published::LABEL_LAUNCHED_BY));
    for scope in context.scopes.iter() {
        let custom = |resource| follow::objects(&context.client, scope, &resource);
        let (of_apps, of_schedules, of_pods) = (scope.clone(), scope.clone(), scope.clone());
        told.push(follow(
            &context.reach,
            custom(schedules::resource()),
            watcher::Config::default(),
            move |event| Change::Schedule(of_schedules.clone(), event),
        ));
        told.push(follow(
            &context.reach,
            custom(applications()),
            watcher::Config::default(),
            move |event| Change::App(of_apps.clone(), event),
        ));
        told.push(follow(
            &context.reach,
            follow::pods(&context.client, scope),
            launched.clone(),
            move |event| Change::Pod(of_pods.clone(), Box::new(event)),
        ));
    }
    let mut listing = Listing::default();
    let mut later = Later::new(context.gathering.clone());
    loop {
        let told = tokio::select! {
            told = told.next() => told,
            key = later.next() => {
                if touch.applications.send(key).is_err() {
                    return;
                }
                continue;
            }
        };
        let Some(told) = told else { return };
        let sent = match told {
            Change::App(scope, event) => {
                let parent = parent_of(&event);
                let whole = matches!(event, Event::InitDone);
                let keys = listing.app(&context, &scope, event);
                let parent_sent = parent.into_iter().try_for_each(|key| touch.schedules.send(key));
                parent_sent.and_then(|()| listing.send(&touch, &scope, keys, whole))
            }
            Change::Pod(scope, event) => {
                let whole = matches!(*event, Event::InitDone);
                let (now, gathered) = listing.pod(&context, &scope, *event);
                let known = listing.is_known(&scope);
                let keys = match known {
                    true => now,
                    // Nothing is worked on yet anyway.
                    false => now.into_iter().chain(gathered.iter().cloned()).collect(),
                };
                gathered.into_iter().filter(|_| known).for_each(|key| later.put(key));
                listing.send(&touch, &scope, keys, whole)
            }
            Change::Schedule(scope, event) => {
                let key = listing.schedule(&context, &scope, event);
                key.into_iter().try_for_each(|key| touch.schedules.send(key))
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The schedule an application came from.
fn parent_of(event: &Event<Seen>) -> Option<Key> {
    let (Event::Apply(app) | Event::Delete(app) | Event::InitApply(app)) = event else {
        return None;
    };
    // By owner: labels are too short for long names.
    let owners = app.metadata.owner_references.as_ref()?;
    let owner = owners.iter().find(|owner| owner.kind == "ScheduledSparkApplication")?;
    let name = owner.name.clone();
    Some(Key {
        namespace: app.metadata.namespace.clone()?,
        name,
    })
}

/// Names told by a list that is not complete yet, per scope.
#[derive(Default)]
struct Listing {
    apps: std::collections::HashMap<String, HashSet<(Key, String)>>,
    pods: std::collections::HashMap<String, HashSet<(Key, String)>>,
    schedules: std::collections::HashMap<String, HashSet<(Key, String)>>,
    /// Keys touched before both applications and pods of their scope were listed once, and how many of the two were.
    early: std::collections::HashMap<String, (usize, HashSet<Key>)>,
}

impl Listing {
    /// Touches applications. Until both their list and that of the pods are there, a driver that is not in the cache would only be asked for.
    fn send(
        &mut self,
        touch: &Touch,
        scope: &str,
        keys: Vec<Key>,
        whole: bool,
    ) -> Result<(), mpsc::error::SendError<Key>> {
        let (lists, early) = self.early.entry(scope.to_owned()).or_default();
        *lists += usize::from(whole);
        if whole && *lists == 2 {
            touch.health.listed();
        }
        early.extend(keys);
        match *lists >= 2 {
            true => early.drain().try_for_each(|key| touch.applications.send(key)),
            false => Ok(()),
        }
    }

    /// Whether both applications and pods of a scope were listed once.
    fn is_known(&self, scope: &str) -> bool {
        self.early.get(scope).is_some_and(|(lists, _)| *lists >= 2)
    }

    fn schedule(&mut self, context: &Context, scope: &str, event: Event<Seen>) -> Option<Key> {
        let cache = &context.cache;
        match event {
            Event::Init => {
                self.schedules.insert(scope.to_owned(), HashSet::new());
                None
            }
            Event::InitApply(schedule) => {
                let key = app_key(&schedule)?;
                let name = key.name.clone();
                self.schedules.entry(scope.to_owned()).or_default().insert((key, name));
                cache.schedule_seen(&schedule, true)
            }
            Event::InitDone => {
                cache.schedules_listed(scope, &self.schedules.remove(scope).unwrap_or_default());
                None
            }
            Event::Apply(schedule) => cache.schedule_seen(&schedule, false),
            Event::Delete(schedule) => {
                cache.schedule_gone(&schedule);
                None
            }
        }
    }

    fn app(&mut self, context: &Context, scope: &str, event: Event<Seen>) -> Vec<Key> {
        let cache = &context.cache;
        match event {
            Event::Init => {
                self.apps.insert(scope.to_owned(), HashSet::new());
                Vec::new()
            }
            Event::InitApply(app) => {
                let Some(key) = app_key(&app) else { return Vec::new() };
                let name = key.name.clone();
                self.apps.entry(scope.to_owned()).or_default().insert((key, name));
                cache.app_seen(scope, &app, true).into_iter().collect()
            }
            Event::InitDone => cache.apps_listed(scope, &self.apps.remove(scope).unwrap_or_default()),
            Event::Apply(app) => cache.app_seen(scope, &app, false).into_iter().collect(),
            Event::Delete(app) => cache.app_gone(scope, &app).into_iter().collect(),
        }
    }

    /// Applications to look at now, and one to look at when there is more news of its executors.
    fn pod(&mut self, context: &Context, scope: &str, event: Event<SeenPod>) -> (Vec<Key>, Option<Key>) {
        let cache = &context.cache;
        let news = match event {
            Event::Init => {
                self.pods.insert(scope.to_owned(), HashSet::new());
                None
            }
            Event::InitApply(pod) => pod.well_formed().and_then(|pod| {
                if let (Some(key), Some(name)) = (pod_key(&pod), pod.metadata.name.clone()) {
                    self.pods.entry(scope.to_owned()).or_default().insert((key, name));
                }
                context.metrics.executor_told(&pod, false);
                cache.pod_seen(scope, &pod, true)
            }),
            Event::InitDone => {
                let listed = self.pods.remove(scope).unwrap_or_default();
                return (cache.pods_listed(scope, &listed), None);
            }
            Event::Apply(pod) => pod.well_formed().and_then(|pod| {
                context.metrics.executor_told(&pod, true);
                cache.pod_seen(scope, &pod, false)
            }),
            Event::Delete(pod) => pod.well_formed().and_then(|pod| {
                context.metrics.executor_gone(&pod);
                cache.pod_gone(scope, &pod)
            }),
        };
        match news {
            Some(news) if news.of_executor => (Vec::new(), Some(news.key)),
            news => (news.into_iter().map(|news| news.key).collect(), None),
        }
    }
}
