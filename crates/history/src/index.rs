//! The shelf of applications: which logs there are, what they are, and the applications that were asked for lately.
//!
//! A log is looked at once (its first lines and its end) and again only when it has changed; it is replayed when someone asks for what is
//! in it. Applications stay in memory up to [`Settings::memory`], the ones asked for longest ago leave first.

mod early;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use stoke_eventlog::layout::{Entry, IN_PROGRESS};
use stoke_eventlog::{Glance, Log, Options, Source, StorageError, glance};

use crate::cache::Cache;
use crate::listing::{Attempt, Found, Listed, found, listed};
use crate::metrics::{Looks, Traces};
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
    /// The Spark to answer as: its version, its fields and its orders. Else the newest Spark that wrote one of the logs.
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
    /// Why the last look at it failed: it is looked at again, and `found` is what was found before.
    trouble: Option<String>,
}

/// What there is, as of one scan. A scan makes another one beside it and puts it in its place when it is whole.
#[derive(Debug, Default)]
struct Shelf {
    known: HashMap<String, Known>,
    listed: Arc<Vec<Listed>>,
    /// The newest Spark that wrote one of them.
    newest: Option<String>,
}

impl Shelf {
    fn new(known: HashMap<String, Known>, listed: Arc<Vec<Listed>>) -> Shelf {
        let attempts = listed.iter().flat_map(|listed| &listed.attempts);
        let versions = attempts.map(|attempt| attempt.spark_version.as_str());
        let newest = newest(versions).map(str::to_owned);
        Shelf { known, listed, newest }
    }

    /// A log by its path, also when it has ended since the path was told.
    fn log(&self, path: &str) -> Option<&Known> {
        under_any_name(&self.known, path)
    }
}

/// A log by its path, or by the name it has after or before its application has ended.
fn under_any_name<'a>(known: &'a HashMap<String, Known>, path: &str) -> Option<&'a Known> {
    let ended = lasting(path);
    let found = known.get(path).or_else(|| known.get(ended));
    found.or_else(|| known.get(&format!("{ended}{IN_PROGRESS}")))
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

/// A log that is still written is kept again when it has grown by this part of its size.
const GROWTH: u64 = 8;

/// Bytes of memory an answer may take while it is made: lists of stages and tasks in order, and the numbers of a summary.
const MEMORY_OF_AN_ANSWER: usize = 16 << 20;

/// A log, its state, and what a look at it told.
type Seen = (Log, Stamp, Result<Glance, StorageError>);

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
    shelf: Mutex<Arc<Shelf>>,
    /// One scan at a time: each begins with what the one before found.
    scanning: Mutex<bool>,
    loaded: Mutex<HashMap<String, Loaded>>,
    /// One log is replayed at a time: replaying takes all cores already.
    replaying: Mutex<()>,
    looks: Mutex<Looks>,
    traces: Traces,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
            shelf: Mutex::default(),
            scanning: Mutex::default(),
            loaded: Mutex::default(),
            replaying: Mutex::default(),
            looks: Mutex::default(),
            traces: Traces::default(),
        }
    }

    /// Where the logs are.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What became of traces of runs, where someone sends them.
    pub fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Where temporary files go, when not where the system keeps them.
    pub(crate) fn temporary(&self) -> Option<PathBuf> {
        self.cache.as_ref().map(|cache| cache.directory().to_owned())
    }

    /// How many answers are made at a time: an answer takes memory besides the application it is about.
    pub(crate) fn answers_at_once(&self) -> usize {
        let cores = self.settings.options.threads;
        (self.settings.memory / MEMORY_OF_AN_ANSWER).clamp(2, 2 * cores.max(2))
    }

    fn shelf(&self) -> Arc<Shelf> {
        lock(&self.shelf).clone()
    }

    /// Looks what logs there are, and at those that are new or have changed. What is known stays as it is until the scan has ended.
    ///
    /// # Errors
    /// When the place cannot be listed.
    pub fn scan(&self) -> Result<Scan, StorageError> {
        let result = self.scan_place();
        let mut looks = lock(&self.looks);
        match &result {
            Ok(_) => {
                looks.last = Some(self.now());
                looks.unreadable = self
                    .shelf()
                    .known
                    .values()
                    .filter(|known| known.trouble.is_some())
                    .count();
            }
            Err(_) => looks.failed += 1,
        }
        drop(looks);
        result
    }

    /// What came of looking so far.
    pub fn looks(&self) -> Looks {
        *lock(&self.looks)
    }

    fn scan_place(&self) -> Result<Scan, StorageError> {
        let mut scanned = lock(&self.scanning);
        let place = self.source.place();
        let mut logs = self.source.logs()?;
        let mut scan = Scan {
            logs: logs.len(),
            ..Scan::default()
        };
        let shelf = self.shelf();
        let first = !std::mem::replace(&mut *scanned, true);
        let kept = self.cache.as_ref().filter(|_| first).map(Cache::listing);
        let kept: HashMap<String, Known> = kept
            .into_iter()
            .flatten()
            .map(|(path, stamp, found)| (path, known_before(stamp, found)))
            .collect();
        let before = if first { &kept } else { &shelf.known };
        // A log that is renamed while the place is listed may be missing under both names: what is gone is gone in two listings.
        let there: HashSet<&str> = logs.iter().map(|log| lasting(&log.path)).collect();
        if before.keys().any(|path| !there.contains(lasting(path))) {
            drop(there);
            logs = self.source.logs()?;
            scan.logs = logs.len();
        }
        let mut now = HashMap::with_capacity(logs.len());
        let mut looked_at = Vec::new();
        for log in logs {
            let stamp = Stamp::of(&log);
            match before.get(&log.path) {
                Some(known) if known.stamp == stamp && known.trouble.is_none() => {
                    let (found, trouble) = (known.found.clone(), None);
                    now.insert(
                        log.path.clone(),
                        Known {
                            log,
                            stamp,
                            found,
                            trouble,
                        },
                    );
                }
                _ => looked_at.push((log, stamp)),
            }
        }
        let mut changed = first;
        let (looked_at, early) = self.look_at_all(looked_at);
        for (log, stamp, seen) in looked_at {
            let known = before.get(&log.path);
            let (found, trouble) = match seen {
                Ok(seen) => (found(&log, &seen, &place, self.now()), None),
                Err(error) => {
                    let known = under_any_name(before, &log.path);
                    (known.and_then(|known| known.found.clone()), Some(error.to_string()))
                }
            };
            let new = known.is_none_or(|known| known.stamp != stamp || known.trouble != trouble);
            changed |= new;
            scan.changed += usize::from(new);
            scan.unreadable.extend(trouble.clone().filter(|_| new));
            now.insert(
                log.path.clone(),
                Known {
                    log,
                    stamp,
                    found,
                    trouble,
                },
            );
        }
        let gone = before.keys().any(|path| !now.contains_key(path));
        let listed = match changed || gone {
            true => Arc::new(listed(now.values().filter_map(|known| known.found.clone()))),
            false => shelf.listed.clone(),
        };
        if (changed || gone)
            && let Some(cache) = &self.cache
        {
            // What could not be looked at is looked at again by the next run.
            let readable = now.iter().filter(|(_, known)| known.trouble.is_none());
            cache.keep_listing(readable.map(|(path, known)| (path, &known.stamp, &known.found)));
        }
        let names: HashSet<&str> = now.keys().map(|path| lasting(path)).collect();
        if gone && let Some(cache) = &self.cache {
            cache.keep_only(|name| names.contains(name));
        }
        lock(&self.loaded).retain(|name, _| names.contains(name.as_str()));
        drop(names);
        *lock(&self.shelf) = Arc::new(Shelf::new(now, listed));
        if let Some(early) = early {
            self.put_early(early);
        }
        Ok(scan)
    }

    /// Looks at logs on all cores.
    fn look(&self, logs: Vec<(Log, Stamp)>) -> Vec<Seen> {
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
        self.shelf().log(&attempt.log).map(|known| known.log.clone())
    }

    /// Every log that is known, with its attempt where it has one.
    pub fn logs(&self) -> Vec<(Log, Option<Attempt>)> {
        self.shelf()
            .known
            .values()
            .map(|known| {
                (
                    known.log.clone(),
                    known.found.as_ref().map(|found| found.attempt.clone()),
                )
            })
            .collect()
    }

    /// The Spark whose fields answers have.
    fn answers_as(&self) -> Option<String> {
        let asked = self.settings.answer_as.clone();
        asked.or_else(|| self.shelf().newest.clone())
    }

    fn in_memory(&self, path: &str, stamp: &Stamp) -> Option<Arc<View>> {
        let version = self.answers_as();
        let mut loaded = lock(&self.loaded);
        let one = loaded.get_mut(lasting(path)).filter(|one| one.stamp == *stamp)?;
        if one.view.answers_as() != version.as_deref() {
            return None;
        }
        one.used = Instant::now();
        Some(one.view.clone())
    }

    /// An attempt that is in memory as its log is now, so that nothing is to be replayed for it.
    pub fn at_hand(&self, attempt: &Attempt) -> Option<Arc<View>> {
        let shelf = self.shelf();
        let known = shelf.log(&attempt.log)?;
        self.in_memory(&known.log.path, &known.stamp)
    }

    fn load(&self, path: &str) -> Result<Option<Arc<View>>, StorageError> {
        let Some(known) = self.shelf().log(path).cloned() else {
            return Ok(None);
        };
        let path = known.log.path.as_str();
        if let Some(view) = self.in_memory(path, &known.stamp) {
            return Ok(Some(view));
        }
        let _alone = lock(&self.replaying);
        // Someone else may have replayed it meanwhile.
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
            stamp: known.stamp.clone(),
            position: replayed.position,
            kept,
            used: Instant::now(),
        };
        let view = one.view.clone();
        self.put(path, one);
        Ok(Some(view))
    }

    /// From memory where the log has only grown, from the cache, or from the log; and how many bytes of the log the cache knows of.
    fn replayed(&self, path: &str, known: &Known) -> Result<(Replayed, u64), StorageError> {
        let (log, options) = (&known.log, self.settings.options);
        let before = lock(&self.loaded).remove(lasting(path));
        // What is in memory may be seen as another Spark than the one that is asked for.
        let same = before.as_ref().is_some_and(|before| before.stamp == known.stamp);
        let before = before.filter(|before| before.position.can_resume(&self.source, log));
        let before = before.and_then(
            |Loaded {
                 view, position, kept, ..
             }| {
                // Who is still being answered keeps the view as it was.
                let application = Arc::try_unwrap(view).map_or_else(|view| view.application(), View::into_application);
                Some((application.seen_as(self.answers_as())?, position, kept))
            },
        );
        let (replayed, kept) = match before {
            Some((application, position, kept)) if same => {
                let replayed = Replayed {
                    application,
                    position,
                    ..Replayed::default()
                };
                return Ok((replayed, kept));
            }
            Some((application, position, kept)) => (resume(&self.source, log, application, &position, options)?, kept),
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
            .answering_as(self.answers_as())
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

/// The newest of some versions. What names none does not count.
fn newest<'a>(versions: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let numbers = |version: &&str| {
        let parts = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
        parts.collect::<Vec<_>>()
    };
    versions.filter(|version| !version.is_empty()).max_by_key(numbers)
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
            "a line of an event log is not an event"
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
    Known {
        log,
        stamp,
        found,
        trouble: None,
    }
}

impl Library for Index {
    fn listed(&self) -> Arc<Vec<Listed>> {
        self.shelf().listed.clone()
    }

    fn view(&self, attempt: &Attempt) -> Result<Option<Arc<View>>, String> {
        let again = match self.load(&attempt.log) {
            Ok(view) => return Ok(view),
            // Since the last scan it may have been renamed, compacted or deleted.
            Err(error) => self.scan().map_err(|_| error).and_then(|_| self.load(&attempt.log)),
        };
        again.map_err(|error| error.to_string())
    }

    fn version(&self) -> String {
        self.answers_as().unwrap_or_default()
    }

    fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.ok()
            .and_then(|now| i64::try_from(now.as_millis()).ok())
            .unwrap_or(0)
    }
}
