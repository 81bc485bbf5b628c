//! The last events of the store, for watches that are a little behind.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::{Compacted, Interest, Object, ResourceKey};

/// Events kept at most.
const MOST_EVENTS: usize = 16_384;
/// Bytes of JSON kept at most for the sake of the window.
const MOST_BYTES: usize = 24 << 20;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It was removed.
    Deleted,
}

/// One committed change.
#[derive(Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The object after the change; for a deletion its last state, with the deletion's revision.
    pub object: Arc<Object>,
    /// The object before the change.
    pub previous: Option<Arc<Object>>,
}

/// A bounded queue of events in revision order.
#[derive(Default)]
pub(super) struct Window {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Every event after this revision is here.
    complete_after: u64,
    /// Revision at which the store was opened: what was before it is not known.
    started_after: u64,
    /// By resource, the revision of its last event that is no longer here: who knows that one has missed nothing.
    dropped: HashMap<ResourceKey, u64>,
}

impl Window {
    pub(super) fn start_after(&mut self, revision: u64) {
        self.complete_after = revision;
        self.started_after = revision;
    }

    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.object.json.len();
        self.events.push_back(event);
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.object.json.len();
            self.complete_after = oldest.object.revision;
            match self.dropped.get_mut(&oldest.object.key.resource) {
                Some(last) => *last = oldest.object.revision,
                None => {
                    let resource = oldest.object.key.resource.clone();
                    self.dropped.insert(resource, oldest.object.revision);
                }
            }
        }
    }

    /// Every event of interest after this revision is here.
    fn complete_for(&self, interest: &Interest) -> u64 {
        match interest {
            Interest::All => self.complete_after,
            Interest::Of(resources) => {
                let dropped = resources.iter().filter_map(|resource| self.dropped.get(resource));
                dropped.fold(self.started_after, |oldest, last| oldest.max(*last))
            }
        }
    }

    pub(super) fn after(
        &self,
        interest: &Interest,
        revision: u64,
        most: usize,
        now: u64,
    ) -> Result<(Vec<Arc<Event>>, u64), Compacted> {
        let oldest = self.complete_for(interest);
        if revision < oldest {
            return Err(Compacted { oldest });
        }
        let start = self.events.partition_point(|event| event.object.revision <= revision);
        let mut found = Vec::new();
        for event in self.events.range(start..) {
            if !interest.includes(&event.object.key.resource) {
                continue;
            }
            if found.len() == most {
                let complete = found.last().map_or(revision, |last: &Arc<Event>| last.object.revision);
                return Ok((found, complete));
            }
            found.push(event.clone());
        }
        Ok((found, now))
    }
}
