//! Applications as a watch tells them: for a server with one owner, whose page is looked at every second.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::api::{Api, DynamicObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Config, Event};
use kube::{Client, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::row::Row;
use super::{Listed, Refusal, applications};

/// How long the first page waits for the first list.
const FIRST: Duration = Duration::from_secs(5);

type Name = (String, String);

/// What the watches have told so far.
#[derive(Default)]
struct Picture {
    /// By watch.
    known: HashMap<usize, BTreeMap<Name, Row>>,
    /// While a list is under way.
    coming: HashMap<usize, BTreeMap<Name, Row>>,
    refusal: Option<Refusal>,
    /// Made of what is known, until it changes.
    shown: Option<Arc<Vec<Row>>>,
}

/// Watches that end with this.
pub struct Watched {
    told: Arc<Mutex<Picture>>,
    changed: watch::Sender<()>,
    watches: usize,
    _tasks: JoinSet<()>,
}

fn lock(told: &Mutex<Picture>) -> MutexGuard<'_, Picture> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watched {
    /// Watches the applications of these namespaces; none: all.
    pub fn start(client: &Client, namespaces: &[String]) -> Watched {
        let mut apis: Vec<Api<DynamicObject>> = namespaces
            .iter()
            .map(|namespace| Api::namespaced_with(client.clone(), namespace, &applications()))
            .collect();
        if apis.is_empty() {
            apis.push(Api::all_with(client.clone(), &applications()));
        }
        let (told, changed) = (Arc::<Mutex<Picture>>::default(), watch::Sender::default());
        let watches = apis.len();
        let mut tasks = JoinSet::new();
        for (number, api) in apis.into_iter().enumerate() {
            tasks.spawn(follow(number, api, told.clone(), changed.clone()));
        }
        Watched {
            told,
            changed,
            watches,
            _tasks: tasks,
        }
    }

    /// Tells whenever something is told.
    pub fn told_again(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The applications as they are known now.
    ///
    /// # Errors
    /// What the API server says, as long as there was no list yet.
    pub async fn rows(&self) -> Listed {
        let deadline = tokio::time::Instant::now() + FIRST;
        loop {
            let mut changed = self.changed.subscribe();
            {
                let mut told = lock(&self.told);
                if told.known.len() == self.watches {
                    let Picture { known, shown, .. } = &mut *told;
                    let made = || Arc::new(known.values().flat_map(BTreeMap::values).cloned().collect());
                    return Ok(shown.get_or_insert_with(made).clone());
                }
                if let Some(refusal) = &told.refusal {
                    return Err(refusal.clone());
                }
            }
            if tokio::time::timeout_at(deadline, changed.changed()).await.is_err() {
                return Err(Refusal::late());
            }
        }
    }
}

async fn follow(number: usize, api: Api<DynamicObject>, told: Arc<Mutex<Picture>>, changed: watch::Sender<()>) {
    let mut events = watcher::watcher(api, Config::default()).default_backoff().boxed();
    while let Some(event) = events.next().await {
        {
            let mut told = lock(&told);
            told.take(number, event);
        }
        changed.send_replace(());
    }
}

impl Picture {
    fn take(&mut self, number: usize, event: watcher::Result<Event<DynamicObject>>) {
        let name = |object: &DynamicObject| (object.namespace().unwrap_or_default(), object.name_any());
        match event {
            Ok(Event::Init) => drop(self.coming.insert(number, BTreeMap::new())),
            Ok(Event::InitApply(object)) => {
                let coming = self.coming.entry(number).or_default();
                coming.insert(name(&object), Row::of(&object));
            }
            Ok(Event::InitDone) => {
                let coming = self.coming.remove(&number).unwrap_or_default();
                self.known.insert(number, coming);
                (self.shown, self.refusal) = (None, None);
            }
            Ok(Event::Apply(object)) => {
                let known = self.known.entry(number).or_default();
                known.insert(name(&object), Row::of(&object));
                self.shown = None;
            }
            Ok(Event::Delete(object)) => {
                self.known.entry(number).or_default().remove(&name(&object));
                self.shown = None;
            }
            Err(error) => {
                tracing::debug!(%error, "applications are not watched");
                self.refusal = Some(match &error {
                    watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => {
                        Refusal::of(error)
                    }
                    other => Refusal {
                        status: 0,
                        message: other.to_string(),
                    },
                });
            }
        }
    }
}
