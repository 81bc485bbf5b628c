//! A log that is replayed while it is looked at. The end of a compressed log is found by decoding all of it, on one core; where nothing else is
//! to be looked at, the others read its events meanwhile, and whoever asks for it next has it at once.

use std::sync::Arc;
use std::time::Instant;

use stoke_eventlog::{Codec, Event, Glance, Log, Options, Source, StorageError};

use super::{Index, Loaded, Seen, Stamp, lasting, lock, tell};
use crate::model::Application;
use crate::replay::{Replayed, begin_with};

/// Stored bytes of a log from which it is worth it.
const WORTH: u64 = 4 << 20;

/// A log that was replayed while it was looked at.
#[derive(Debug)]
pub(super) struct Early {
    log: Log,
    stamp: Stamp,
    replayed: Replayed,
}

/// Takes the log that is to be replayed out of those that are to be looked at, where there is one: the only one of its kind.
fn take(logs: &mut Vec<(Log, Stamp)>, options: Options) -> Option<(Log, Stamp)> {
    if options.threads < 2 {
        return None;
    }
    let mut wanted = logs.iter().enumerate().filter(|(_, (log, _))| is_wanted(log));
    match (wanted.next(), wanted.next()) {
        (Some((place, _)), None) => Some(logs.swap_remove(place)),
        _ => None,
    }
}

/// Whether a log has ended and must be decoded as a whole.
fn is_wanted(log: &Log) -> bool {
    let compressed = log.parts.iter().all(|part| part.codec != Codec::Plain);
    compressed && log.parts.len() == 1 && !log.in_progress && log.size() >= WORTH
}

/// Replays it: what a glance would tell, and the application.
///
/// # Errors
/// When a file of it cannot be opened.
fn replay(source: &Source, log: &Log, new: Application, options: Options) -> Result<(Glance, Replayed), StorageError> {
    let mut seen = Glance::default();
    let replayed = begin_with(source, log, new, options, |event| match event {
        Event::LogStart(start) if seen.start.is_none() => seen.spark_version.clone_from(&start.spark_version),
        Event::ApplicationStart(start) if seen.start.is_none() => seen.start = Some(start.clone()),
        Event::ApplicationEnd(end) if seen.start.is_some() => seen.end = Some(end.clone()),
        _ => {}
    })?;
    Ok((seen, replayed))
}

impl Index {
    /// Looks at logs; one of them is replayed meanwhile, where that takes no longer.
    pub(super) fn look_at_all(&self, mut logs: Vec<(Log, Stamp)>) -> (Vec<Seen>, Option<Early>) {
        let options = self.settings.options;
        let Some((log, stamp)) = take(&mut logs, options) else {
            return (self.look(logs), None);
        };
        let mut seen = self.look(logs);
        let _alone = lock(&self.replaying);
        let replayed = replay(&self.source, &log, self.new_application(), options);
        let (glance, replayed) = match replayed {
            Ok((glance, replayed)) => (Ok(glance), Some(replayed)),
            Err(error) => (Err(error), None),
        };
        seen.push((log.clone(), stamp.clone(), glance));
        let early = replayed.map(|replayed| Early { log, stamp, replayed });
        (seen, early)
    }

    /// Keeps what was replayed while it was looked at, once it is known as which Spark it is seen.
    pub(super) fn put_early(&self, early: Early) {
        let Early { log, stamp, replayed } = early;
        let path = log.path.as_str();
        let shelf = self.shelf();
        let Some(found) = shelf.log(path).and_then(|known| known.found.as_ref()) else {
            return;
        };
        tell(&log, &replayed);
        let Some(application) = replayed.application.seen_as(self.answers_as()) else {
            return;
        };
        let replayed = Replayed {
            application,
            ..replayed
        };
        if let Some(cache) = &self.cache {
            cache.keep_application(lasting(path), &stamp, &replayed.application, &replayed.position);
        }
        let kept = self.cache.as_ref().map_or(0, |_| stamp.bytes());
        let one = Loaded {
            view: Arc::new(replayed.application.into_view(found.attempt.last_updated)),
            stamp,
            position: replayed.position,
            kept,
            used: Instant::now(),
        };
        self.put(path, one);
    }
}
