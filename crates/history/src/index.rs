//! The shelf of applications: which logs there are, what they are, and the applications that were asked for lately.
//!
//! A log is looked at once (its first lines and its end) and again only when it has changed; it is replayed when somebody asks for what is
//! in it. Applications stay in memory up to [`Settings::memory`], the ones asked for longest ago leave first.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use stoke_eventlog::layout::{Entry, IN_PROGRESS};
use stoke_eventlog::{Log, Options, Source, SourceError, glance};

use crate::cache::Cache;
use crate::listing::{Attempt, Found, Listed, found, listed};
use crate::model::{Application, Limits, View};
use crate::pieces::Pieces;
use crate::replay::{Position, Replayed, begin, resume};
use crate::rest::Library;

/// How applications are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How much of each application is kept.
    pub limits: Limits,
    /// Bytes of memory loaded applications may take. One is always kept.
    pub memory: usize,
    /// The Spark to answer as: its version and its fields. Else each application has the fields of the Spark that wrote its log, and the
    /// version is the newest of them.
    pub answer_as: Option<String>,
    /// How logs are read.
    pub options: Options,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            limits: Limits::default(),
            memory: 64 << 20,
            answer_as: None,
            options: Options::default(),
        }
    }
}

/// What decides whether a log has changed: its files, their sizes, times and tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp(Vec<(String, u64, i64, Option<String>)>);

impl Stamp {
    /// Bytes the log takes.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, size, ..)| size).sum()
    }

    /// The stamp of a log.
    pub fn of(log: &Log) -> Stamp {
        let of = |entry: &Entry| (entry.path.clone(), entry.size, entry.modified, entry.tag.clone());
        Stamp(
            log.parts
                .iter()
                .map(|part| of(&part.entry))
                .chain(log.status.iter().map(of))
                .collect(),
        )
    }
}

/// A log that was looked at.
#[derive(Debug, Clone)]
struct Known {
    log: Log,
    stamp: Stamp,
    found: Option<Found>,
}

#[derive(Debug)]
struct Loaded {
    view: Arc<View>,
    stamp: Stamp,
    position: Position,
    /// Bytes of the log the cache knows of.
    kept: u64,
    used: Instant,
}

/// A log that is still written is kept anew when it has grown by this part of its size.
const GROWTH: u64 = 8;

/// What a look at the place came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Logs there are.
    pub logs: usize,
    /// Logs that are new or have changed.
    pub changed: usize,
    /// Logs that could not be looked at, and why.
    pub unreadable: Vec<String>,
}

/// Applications of one place.
#[derive(Debug)]
pub struct Index {
    source: Source,
    settings: Settings,
    cache: Option<Cache>,
    known: Mutex<HashMap<String, Known>>,
    listed: Mutex<Arc<Vec<Listed>>>,
    loaded: Mutex<HashMap<String, Loaded>>,
    /// One log is replayed at a time: replaying takes all cores already.
    replaying: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these is whole at every moment: a panic elsewhere harms nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Index {
    /// An index of a place, with a cache of what was found out where there is one.
    pub fn new(source: Source, settings: Settings, cache: Option<Cache>) -> Index {
        Index {
            source,
            settings,
            cache,
            known: Mutex::default(),
            listed: Mutex::default(),
            loaded: Mutex::default(),
            replaying: Mutex::default(),
        }
    }

    /// Where the logs are.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Looks what logs there are, and at those that are new or have changed.
    ///
    /// # Errors
    /// When the place cannot be listed.
    pub fn scan(&self) -> Result<Scan, SourceError> {
        let place = self.source.place();
        let logs = self.source.logs()?;
        let mut scan = Scan {
            logs: logs.len(),
            ..Scan::default()
        };
        let mut before = std::mem::take(&mut *lock(&self.known));
        let first = before.is_empty();
        if first && let Some(cache) = &self.cache {
            before = cache
                .listing()
                .into_iter()
                .map(|(path, stamp, found)| (path, known_before(stamp, found)))
                .collect();
        }
        let mut now = HashMap::with_capacity(logs.len());
        let mut looked_at = Vec::new();
        for log in logs {
            let stamp = Stamp::of(&log);
            match before.remove(&log.path) {
                Some(known) if known.stamp == stamp => {
                    now.insert(log.path.clone(), Known { log, ..known });
                }
                _ => looked_at.push((log, stamp)),
            }
        }
        scan.changed = looked_at.len();
        let gone = !before.is_empty();
        for (log, stamp, seen) in self.look(looked_at) {
            let found = match seen {
                Ok(seen) => found(&log, &seen, &place, self.now()),
                Err(error) => {
                    scan.unreadable.push(error.to_string());
                    None
                }
            };
            now.insert(log.path.clone(), Known { log, stamp, found });
        }
        let changed = scan.changed > 0 || gone || first;
        if changed {
            *lock(&self.listed) = Arc::new(listed(now.values().filter_map(|known| known.found.clone())));
            if let Some(cache) = &self.cache {
                cache.keep_listing(now.iter().map(|(path, known)| (path, &known.stamp, &known.found)));
            }
        }
        let names: HashSet<&str> = now.keys().map(|path| lasting(path)).collect();
        if gone && let Some(cache) = &self.cache {
            cache.keep_only(|name| names.contains(name));
        }
        lock(&self.loaded).retain(|name, _| names.contains(name.as_str()));
        *lock(&self.known) = now;
        Ok(scan)
    }

    /// Looks at logs on all cores.
    fn look(&self, logs: Vec<(Log, Stamp)>) -> Vec<(Log, Stamp, Result<stoke_eventlog::Glance, SourceError>)> {
        let threads = self.settings.options.threads.clamp(1, logs.len().max(1));
        let waiting = Mutex::new(logs.into_iter());
        let done = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let next = lock(&waiting).next();
                        let Some((log, stamp)) = next else {
                            return;
                        };
                        let seen = glance::glance(&self.source, &log);
                        lock(&done).push((log, stamp, seen));
                    }
                });
            }
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log of an attempt.
    pub fn log(&self, attempt: &Attempt) -> Option<Log> {
        lock(&self.known).get(&attempt.log).map(|known| known.log.clone())
    }

    /// Every log that is known, with its attempt where it has one.
    pub fn logs(&self) -> Vec<(Log, Option<Attempt>)> {
        let known = lock(&self.known);
        known
            .values()
            .map(|known| {
                (
                    known.log.clone(),
                    known.found.as_ref().map(|found| found.attempt.clone()),
                )
            })
            .collect()
    }

    fn in_memory(&self, path: &str, stamp: &Stamp) -> Option<Arc<View>> {
        let mut loaded = lock(&self.loaded);
        let one = loaded.get_mut(lasting(path)).filter(|one| one.stamp == *stamp)?;
        one.used = Instant::now();
        Some(one.view.clone())
    }

    fn load(&self, path: &str) -> Result<Option<Arc<View>>, SourceError> {
        let Some(known) = lock(&self.known).get(path).cloned() else {
            return Ok(None);
        };
        if let Some(view) = self.in_memory(path, &known.stamp) {
            return Ok(Some(view));
        }
        let _alone = lock(&self.replaying);
        // Somebody else may have replayed it meanwhile.
        if let Some(view) = self.in_memory(path, &known.stamp) {
            return Ok(Some(view));
        }
        let now = known
            .found
            .as_ref()
            .map_or_else(|| self.now(), |found| found.attempt.last_updated);
        let (replayed, kept) = self.replayed(path, &known)?;
        let one = Loaded {
            view: Arc::new(replayed.application.into_view(now)),
            stamp: known.stamp,
            position: replayed.position,
            kept,
            used: Instant::now(),
        };
        let view = one.view.clone();
        self.put(path, one);
        Ok(Some(view))
    }

    /// From memory where the log has only grown, from the cache, or from the log; and how many bytes of the log the cache knows of.
    fn replayed(&self, path: &str, known: &Known) -> Result<(Replayed, u64), SourceError> {
        let (log, options) = (&known.log, self.settings.options);
        let before = lock(&self.loaded).remove(lasting(path));
        let before = before.filter(|before| before.position.can_resume(&self.source, log));
        let (replayed, kept) =
            match before.and_then(|before| Some((Arc::into_inner(before.view)?, before.position, before.kept))) {
                Some((view, position, kept)) => {
                    let application = view.into_application();
                    (resume(&self.source, log, application, &position, options)?, kept)
                }
                None => {
                    let new = self.new_application();
                    match self
                        .cache
                        .as_ref()
                        .and_then(|cache| cache.application(lasting(path), &new))
                    {
                        Some((application, stamp, position)) if stamp == known.stamp => {
                            let replayed = Replayed {
                                application,
                                position,
                                ..Replayed::default()
                            };
                            return Ok((replayed, stamp.bytes()));
                        }
                        Some((application, stamp, position)) if position.can_resume(&self.source, log) => {
                            let replayed = resume(&self.source, log, application, &position, options)?;
                            (replayed, stamp.bytes())
                        }
                        _ => (begin(&self.source, log, new, options)?, 0),
                    }
                }
            };
        tell(log, &replayed);
        let size = known.stamp.bytes();
        match &self.cache {
            Some(cache) if !log.in_progress || size >= kept.saturating_add(kept / GROWTH) => {
                cache.keep_application(lasting(path), &known.stamp, &replayed.application, &replayed.position);
                Ok((replayed, size))
            }
            _ => Ok((replayed, kept)),
        }
    }

    /// An application nothing is known of yet.
    fn new_application(&self) -> Application {
        let pieces = match &self.cache {
            Some(cache) => Pieces::in_directory(cache.directory()),
            None => Pieces::default(),
        };
        Application::new(self.settings.limits)
            .answering_as(self.settings.answer_as.clone())
            .with_pieces(pieces)
    }

    /// Keeps an application in memory, and lets go of others for it.
    fn put(&self, path: &str, one: Loaded) {
        let mut loaded = lock(&self.loaded);
        let path = lasting(path);
        loaded.insert(path.to_owned(), one);
        while loaded.len() > 1 && loaded.values().map(|one| one.view.memory()).sum::<usize>() > self.settings.memory {
            let oldest = loaded
                .iter()
                .filter(|(known, _)| *known != path)
                .min_by_key(|(_, one)| one.used);
            match oldest.map(|(path, _)| path.clone()) {
                Some(oldest) => loaded.remove(&oldest),
                None => return,
            };
        }
    }
}

/// The name of a log while it is written and afterwards.
fn lasting(path: &str) -> &str {
    path.strip_suffix(IN_PROGRESS).unwrap_or(path)
}

/// Says what of a log could not be read, and where.
fn tell(log: &Log, replayed: &Replayed) {
    let report = &replayed.report;
    for fault in &report.faults {
        tracing::warn!(
            file = fault.file,
            offset = fault.offset,
            what = fault.what,
            lines = report.bad_lines,
            "a line of an event log is no event"
        );
    }
    if let Some(cut) = report.truncated.as_ref().filter(|_| !log.in_progress) {
        tracing::warn!(
            file = cut.file,
            offset = cut.offset,
            what = cut.what,
            "an event log of an ended application is cut"
        );
    }
    if !log.missing.is_empty() {
        tracing::warn!(log = log.path, missing = ?log.missing, "files of a rolling event log are missing");
    }
    if !report.unknown.is_empty() {
        tracing::debug!(log = log.path, events = ?report.unknown, "events that say nothing to history");
    }
}

/// What the cache knows of a log: looked at before, to be found unchanged.
fn known_before(stamp: Stamp, found: Option<Found>) -> Known {
    let log = Log {
        path: String::new(),
        parts: Vec::new(),
        superseded: Vec::new(),
        status: None,
        rolling: false,
        in_progress: false,
        missing: Vec::new(),
    };
    Known { log, stamp, found }
}

impl Library for Index {
    fn listed(&self) -> Arc<Vec<Listed>> {
        lock(&self.listed).clone()
    }

    fn view(&self, attempt: &Attempt) -> Result<Arc<View>, String> {
        match self.load(&attempt.log) {
            Ok(Some(view)) => Ok(view),
            Ok(None) => Err(format!("the log {} is gone", attempt.log)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn answers_as(&self) -> Option<String> {
        self.settings.answer_as.clone()
    }

    fn version(&self) -> String {
        if let Some(version) = &self.settings.answer_as {
            return version.clone();
        }
        let listed = self.listed();
        let versions = listed
            .iter()
            .flat_map(|listed| &listed.attempts)
            .map(|attempt| attempt.spark_version.as_str());
        let numbers = |version: &&str| {
            version
                .split(['.', '-'])
                .map(|part| part.parse::<u32>().unwrap_or(0))
                .collect::<Vec<_>>()
        };
        versions.max_by_key(numbers).unwrap_or_default().to_owned()
    }

    fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.ok()
            .and_then(|now| i64::try_from(now.as_millis()).ok())
            .unwrap_or(0)
    }
}
