//! The last events of the store, for watches that are a little behind.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Compacted, Object, ResourceKey};

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
}

impl Window {
    pub(super) fn start_after(&mut self, revision: u64) {
        self.complete_after = revision;
    }

    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.object.json.len();
        self.events.push_back(event);
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.object.json.len();
            self.complete_after = oldest.object.revision;
        }
    }

    pub(super) fn after(
        &self,
        resource: Option<&ResourceKey>,
        revision: u64,
        most: usize,
        now: u64,
    ) -> Result<(Vec<Arc<Event>>, u64), Compacted> {
        if revision < self.complete_after {
            return Err(Compacted {
                oldest: self.complete_after,
            });
        }
        let start = self.events.partition_point(|event| event.object.revision <= revision);
        let mut found = Vec::new();
        for event in self.events.range(start..) {
            if resource.is_some_and(|wanted| *wanted != event.object.key.resource) {
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
