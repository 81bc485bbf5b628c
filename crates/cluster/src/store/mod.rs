//! Where objects live: a cache of serialised JSON, a window of recent events, and SQLite beneath.
//!
//! In: conditional writes ([`Write`]). Out: stored objects ([`Object`]), lists, and a cursor over events ([`Store::events_after`]).
//! One writer at a time gives every change one revision; a change is visible and acknowledged only after it is on disk (in memory
//! mode: at once). Watchers hold a revision, not a queue, so a slow one costs no memory: it falls out of the window and is told so.
//! It knows nothing of HTTP, of schemas or of Kubernetes rules.

mod disk;
mod interest;
mod object;
mod window;

pub use disk::{DiskError, check};
pub use interest::Interest;
pub use object::{Fields, Key, Object, ResourceKey, Write, WriteError, WriteKind, fields_of};
pub use window::{Event, EventKind};

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::{oneshot, watch};

use interest::Listeners;
use window::Window;

/// Objects of one resource, ordered by namespace and name, and how many each namespace has, so that counting needs no walk.
#[derive(Default)]
struct Table {
    objects: BTreeMap<Place, Arc<Object>>,
    spaces: HashMap<Arc<str>, usize>,
}

impl Table {
    fn insert(&mut self, object: Arc<Object>) {
        let place = (object.key.namespace.clone(), object.key.name.clone());
        if self.objects.insert(place.clone(), object).is_none() {
            *self.spaces.entry(place.0).or_default() += 1;
        }
    }

    fn remove(&mut self, place: &Place) {
        if self.objects.remove(place).is_some()
            && let Some(count) = self.spaces.get_mut(&place.0)
        {
            *count -= 1;
            if *count == 0 {
                self.spaces.remove(&place.0);
            }
        }
    }

    /// Objects of a namespace, or all of them.
    fn count(&self, namespace: Option<&str>) -> usize {
        match namespace {
            None => self.objects.len(),
            Some(namespace) => self.spaces.get(namespace).copied().unwrap_or(0),
        }
    }

    /// The objects of a namespace, or all of them, after a place.
    fn range(&self, namespace: Option<&str>, after: Option<&Place>) -> impl Iterator<Item = (&Place, &Arc<Object>)> {
        use std::ops::Bound;
        let start = match (after, namespace) {
            (Some(place), _) => Bound::Excluded(place.clone()),
            (None, Some(namespace)) => Bound::Included((Arc::from(namespace), Arc::from(""))),
            (None, None) => Bound::Unbounded,
        };
        let namespace = namespace.map(str::to_owned);
        self.objects
            .range((start, Bound::Unbounded))
            .take_while(move |((space, _), _)| namespace.as_ref().is_none_or(|wanted| **wanted == **space))
    }
}

/// What readers see: everything committed so far.
#[derive(Default)]
struct State {
    tables: HashMap<ResourceKey, Table>,
    window: Window,
    revision: u64,
    /// By resource, the revision of its last change since the store was opened.
    latest: HashMap<ResourceKey, u64>,
}

/// Why events after a revision cannot be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Oldest revision from which a watch can still start.
    pub oldest: u64,
}

/// A page of a list and the revision it was read at.
pub struct Page {
    /// Objects in key order.
    pub items: Vec<Arc<Object>>,
    /// Revision of the whole store when it was read.
    pub revision: u64,
    /// Whether an object that passes follows the page.
    pub more: bool,
    /// How many objects the resource had then, in the namespace that was asked for; whether they pass or not.
    pub total: usize,
}

impl Page {
    /// Takes an object; false when the page was full.
    fn take(&mut self, object: &Arc<Object>, limit: usize) -> bool {
        self.more = self.items.len() == limit;
        if !self.more {
            self.items.push(object.clone());
        }
        !self.more
    }
}

/// Namespace and name: the place of an object among those of its resource.
pub type Place = (Arc<str>, Arc<str>);

struct Shared {
    state: RwLock<State>,
    listeners: Listeners,
}

/// A handle on the store; clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    writer: Arc<Writer>,
}

enum Writer {
    Memory(Mutex<()>),
    Disk(disk::Handle),
}

impl Store {
    /// A store without a disk: gone when the process ends.
    pub fn in_memory() -> Store {
        let shared = Arc::new(Shared::new(State {
            revision: 1,
            ..State::default()
        }));
        Store {
            shared,
            writer: Arc::new(Writer::Memory(Mutex::new(()))),
        }
    }

    /// Opens or creates the database file and loads every object into the cache.
    pub fn open(path: &Path) -> Result<Store, DiskError> {
        let (connection, objects, revision) = disk::open(path)?;
        let mut state = State {
            revision: revision.max(1),
            ..State::default()
        };
        state.window.start_after(state.revision);
        for object in objects {
            let table = state.tables.entry(object.key.resource.clone()).or_default();
            table.insert(Arc::new(object));
        }
        let shared = Arc::new(Shared::new(state));
        let handle = disk::spawn(connection, shared.clone())?;
        Ok(Store {
            shared,
            writer: Arc::new(Writer::Disk(handle)),
        })
    }

    /// Does one conditional write; returns the object as stored (for a deletion: its last state with the deletion's revision).
    pub async fn write(&self, write: Write) -> Result<Arc<Object>, WriteError> {
        match &*self.writer {
            Writer::Memory(lock) => {
                let _one_writer = lock.lock().unwrap_or_else(PoisonError::into_inner);
                let mut batch = Batch::new(&self.shared);
                let done = batch.apply(write);
                self.shared.publish(batch);
                done
            }
            Writer::Disk(handle) => {
                let (reply, answer) = oneshot::channel();
                handle.send(write, reply)?;
                answer.await.map_err(|_| WriteError::Stopped)?
            }
        }
    }

    /// The object, if it exists.
    pub fn get(&self, key: &Key) -> Option<Arc<Object>> {
        let state = self.shared.read();
        state
            .tables
            .get(&key.resource)?
            .objects
            .get(&(key.namespace.clone(), key.name.clone()))
            .cloned()
    }

    /// Lists a resource in key order: of one namespace or of all, after a key, at most `limit` that pass `keep`. Looks at no object
    /// before the page and at none after the first that follows it.
    pub fn list(
        &self,
        resource: &ResourceKey,
        namespace: Option<&str>,
        after: Option<Place>,
        limit: usize,
        mut keep: impl FnMut(&Object) -> bool,
    ) -> Page {
        let state = self.shared.read();
        let mut page = Page {
            items: Vec::new(),
            revision: state.revision,
            more: false,
            total: 0,
        };
        let Some(table) = state.tables.get(resource) else {
            return page;
        };
        page.total = table.count(namespace);
        for (_, object) in table.range(namespace, after.as_ref()) {
            if keep(object) && !page.take(object, limit) {
                break;
            }
        }
        page
    }

    /// The same list as it was at an earlier revision, as long as the window reaches back that far. Costs a look at every event since.
    pub fn list_at(
        &self,
        revision: u64,
        resource: &ResourceKey,
        namespace: Option<&str>,
        after: Option<Place>,
        limit: usize,
        mut keep: impl FnMut(&Object) -> bool,
    ) -> Result<Page, Compacted> {
        let state = self.shared.read();
        if revision >= state.revision {
            drop(state);
            return Ok(self.list(resource, namespace, after, limit, keep));
        }
        let (events, _) = state
            .window
            .after(&Interest::one(resource), revision, usize::MAX, state.revision)?;
        // What each object was before its first change since.
        let mut before: BTreeMap<Place, Option<Arc<Object>>> = BTreeMap::new();
        for event in events {
            let key = &event.object.key;
            let place = (key.namespace.clone(), key.name.clone());
            before.entry(place).or_insert_with(|| event.previous.clone());
        }
        let empty = Table::default();
        let table = state.tables.get(resource).unwrap_or(&empty);
        before.retain(|(space, _), _| namespace.is_none_or(|wanted| *wanted == **space));
        let gone = before.values().filter(|object| object.is_some()).count();
        let now = before.keys().filter(|place| table.objects.contains_key(*place)).count();
        let unchanged = table
            .range(namespace, after.as_ref())
            .filter(|(place, _)| !before.contains_key(*place));
        let changed = before
            .iter()
            .filter(|(place, _)| after.as_ref().is_none_or(|after| *place > after))
            .filter_map(|(place, object)| Some((place, object.as_ref()?)));
        let mut page = Page {
            items: Vec::new(),
            revision,
            more: false,
            total: table.count(namespace) + gone - now,
        };
        let (mut unchanged, mut changed) = (unchanged.peekable(), changed.peekable());
        loop {
            let next = match (unchanged.peek(), changed.peek()) {
                (Some((left, _)), Some((right, _))) if left < right => unchanged.next(),
                (_, Some(_)) => changed.next(),
                (_, None) => unchanged.next(),
            };
            let Some((_, object)) = next else { return Ok(page) };
            if keep(object) && !page.take(object, limit) {
                return Ok(page);
            }
        }
    }

    /// Resources that have at least one object in this namespace.
    pub fn resources_in(&self, namespace: &str) -> Vec<ResourceKey> {
        let state = self.shared.read();
        let found = state
            .tables
            .iter()
            .filter(|(_, table)| table.count(Some(namespace)) > 0);
        found.map(|(resource, _)| resource.clone()).collect()
    }

    /// Calls `each` with every object of every resource.
    pub fn for_each(&self, mut each: impl FnMut(&Arc<Object>)) {
        let state = self.shared.read();
        let tables = state.tables.values();
        tables.flat_map(|table| table.objects.values()).for_each(&mut each);
    }

    /// Revision of the last committed change.
    pub fn revision(&self) -> u64 {
        self.shared.read().revision
    }

    /// Revision of the last change of interest since the store was opened; 0 when there was none.
    pub fn latest(&self, interest: &Interest) -> u64 {
        let state = self.shared.read();
        match interest {
            Interest::All => state.revision,
            Interest::Of(resources) => {
                let latest = resources.iter().filter_map(|resource| state.latest.get(resource));
                latest.copied().max().unwrap_or(0)
            }
        }
    }

    /// A receiver that is woken with the revision of every commit that changes something of interest, and of no other.
    pub fn subscribe(&self, interest: Interest) -> watch::Receiver<u64> {
        self.shared.listeners.add(interest, self.revision())
    }

    /// Up to `most` events of interest after a revision, and the revision up to which they are complete.
    pub fn events_after(
        &self,
        interest: &Interest,
        revision: u64,
        most: usize,
    ) -> Result<(Vec<Arc<Event>>, u64), Compacted> {
        let state = self.shared.read();
        state.window.after(interest, revision, most, state.revision)
    }

    /// Writes everything still queued and closes the database.
    pub async fn close(&self) {
        if let Writer::Disk(handle) = &*self.writer {
            handle.close().await;
        }
    }
}

impl Shared {
    fn new(state: State) -> Shared {
        Shared {
            listeners: Listeners::default(),
            state: RwLock::new(state),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, batch: Batch<'_>) {
        if batch.events.is_empty() {
            return;
        }
        let revision = batch.revision;
        let Batch { overlay, events, .. } = batch;
        let changed: Vec<ResourceKey> = events.iter().map(|event| event.object.key.resource.clone()).collect();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for (key, object) in overlay {
            let table = state.tables.entry(key.resource).or_default();
            match object {
                Some(object) => table.insert(object),
                None => table.remove(&(key.namespace, key.name)),
            }
        }
        for event in events {
            match state.latest.get_mut(&event.object.key.resource) {
                Some(latest) => *latest = event.object.revision,
                None => {
                    let resource = event.object.key.resource.clone();
                    state.latest.insert(resource, event.object.revision);
                }
            }
            state.window.push(event);
        }
        state.revision = revision;
        drop(state);
        self.listeners.tell(changed, revision);
    }
}

/// Changes decided but not yet visible.
struct Batch<'a> {
    shared: &'a Shared,
    overlay: HashMap<Key, Option<Arc<Object>>>,
    events: Vec<Arc<Event>>,
    revision: u64,
}

impl<'a> Batch<'a> {
    fn new(shared: &'a Shared) -> Batch<'a> {
        Batch {
            shared,
            overlay: HashMap::new(),
            events: Vec::new(),
            revision: shared.read().revision,
        }
    }

    fn current(&self, key: &Key) -> Option<Arc<Object>> {
        if let Some(pending) = self.overlay.get(key) {
            return pending.clone();
        }
        let state = self.shared.read();
        state
            .tables
            .get(&key.resource)?
            .objects
            .get(&(key.namespace.clone(), key.name.clone()))
            .cloned()
    }

    fn apply(&mut self, write: Write) -> Result<Arc<Object>, WriteError> {
        let current = self.current(&write.key);
        let kind = match (write.kind, &current) {
            (WriteKind::Create, Some(_)) => return Err(WriteError::Exists),
            (WriteKind::Create, None) => EventKind::Added,
            (_, None) => return Err(WriteError::NotFound),
            (WriteKind::Update { expected } | WriteKind::Delete { expected }, Some(object))
                if object.revision != expected =>
            {
                return Err(WriteError::Conflict);
            }
            (WriteKind::Update { .. }, Some(_)) => EventKind::Modified,
            (WriteKind::Delete { .. }, Some(_)) => EventKind::Deleted,
        };
        self.revision += 1;
        let object = Arc::new(write.into_object(self.revision));
        let kept = (kind != EventKind::Deleted).then(|| object.clone());
        self.overlay.insert(object.key.clone(), kept);
        self.events.push(Arc::new(Event {
            kind,
            object: object.clone(),
            previous: current,
        }));
        Ok(object)
    }
}

#[cfg(test)]
mod tests;
