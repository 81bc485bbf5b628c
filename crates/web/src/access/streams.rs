//! How many streams there are at a time: of a session, of a visitor and in all. Each holds a connection, and some watches of the API server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::session::Key;

/// Of a session: a browser has six connections to a server, and needs some for pages.
pub const OF_SESSION: usize = 4;
/// Of a visitor, in all their sessions.
pub const OF_VISITOR: usize = 16;
pub const IN_ALL: usize = 512;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Holder {
    Session(Key),
    Visitor(String),
    Everybody,
}

/// The streams that are open.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    open: Arc<Mutex<HashMap<Holder, usize>>>,
}

/// A stream's place among them, given back when this ends.
#[derive(Debug)]
pub struct Place {
    streams: Streams,
    holders: Vec<Holder>,
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, HashMap<Holder, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more stream of a session of a visitor; none where there are too many.
    pub fn enter(&self, session: Key, who: &str) -> Option<Place> {
        self.take(vec![
            (Holder::Session(session), OF_SESSION),
            (Holder::Visitor(who.to_owned()), OF_VISITOR),
            (Holder::Everybody, IN_ALL),
        ])
    }

    /// A place for one more stream where there are no sessions; none where there are too many.
    pub fn enter_unknown(&self) -> Option<Place> {
        self.take(vec![(Holder::Everybody, IN_ALL)])
    }

    /// A place among those of each holder, if all of them have fewer than they may.
    fn take(&self, holders: Vec<(Holder, usize)>) -> Option<Place> {
        let mut open = self.lock();
        let has_room = |(holder, most): &(Holder, usize)| open.get(holder).is_none_or(|count| count < most);
        if !holders.iter().all(has_room) {
            return None;
        }
        let holders: Vec<Holder> = holders.into_iter().map(|(holder, _)| holder).collect();
        for holder in &holders {
            *open.entry(holder.clone()).or_default() += 1;
        }
        drop(open);
        Some(Place {
            streams: self.clone(),
            holders,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        for holder in &self.holders {
            match open.get_mut(holder) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(open.remove(holder)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let streams = Streams::default();
        let session = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            key
        };
        let count = |from: usize, sessions: usize, who: &str| -> Vec<Place> {
            let each = (from..from + sessions).flat_map(|number| std::iter::repeat_n(session(number), 100));
            each.filter_map(|key| streams.enter(key, who)).collect()
        };
        let one = count(0, 1, "ann");
        assert_eq!(one.len(), OF_SESSION);
        let rest = count(1, 9, "ann");
        assert_eq!(one.len() + rest.len(), OF_VISITOR);
        let all: Vec<Place> = (0..100)
            .flat_map(|number| count(1000 + 10 * number, 4, &format!("visitor-{number}")))
            .collect();
        assert_eq!(one.len() + rest.len() + all.len(), IN_ALL);
        drop(one);
        assert!(streams.enter(session(0), "ann").is_some());
        let unknown: Vec<Place> = std::iter::from_fn(|| streams.enter_unknown()).collect();
        assert_eq!(unknown.len() + rest.len() + all.len(), IN_ALL);
        drop((rest, all, unknown));
        assert!(streams.lock().is_empty());
    }
}
