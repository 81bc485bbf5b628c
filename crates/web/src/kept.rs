//! What takes a look at every task to find out, found out once and kept as long as the application's view stays as it is.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use stoke_history::model::View;
use stoke_history::model::data::StageKey;
use stoke_history::rest::{TaskOrder, TaskSummary};

use crate::picture::grid::Grid;
use crate::picture::histogram::Histogram;
use crate::picture::load::Load;

/// What all tasks of a stage attempt say together.
#[derive(Debug)]
pub struct Digest {
    /// How long they took.
    pub histogram: Option<Histogram>,
    /// The quantiles that are shown.
    pub quantiles: Option<TaskSummary>,
    /// How busy executors were with them.
    pub grid: Grid,
}

/// An order of tasks: the log, the stage attempt, the heading, whether from the greatest on, and the text that was searched.
pub type Ordered = (String, StageKey, &'static str, bool, Option<String>);

/// Everything that is kept.
#[derive(Debug)]
pub struct Kept {
    /// By log and stage attempt.
    pub digests: Shelf<(String, StageKey), Digest>,
    /// Tasks in the orders that were asked for last: 4 bytes each.
    pub orders: Shelf<Ordered, TaskOrder>,
    /// How busy executors were with all stages, by log.
    pub grids: Shelf<String, Grid>,
    /// Garbage collection and memory over time, by log.
    pub loads: Shelf<String, Load>,
}

impl Default for Kept {
    fn default() -> Kept {
        Kept {
            digests: Shelf::new(64),
            orders: Shelf::new(6),
            grids: Shelf::new(64),
            loads: Shelf::new(64),
        }
    }
}

/// Something, the view it was found in, and what it was asked for by.
type Found<K, V> = (K, Weak<View>, Arc<V>);

/// A few things found out, the one asked for last at the end.
#[derive(Debug)]
pub struct Shelf<K, V> {
    most: usize,
    known: Mutex<Vec<Found<K, V>>>,
    /// One thing is found out at a time: who asks for the same waits for it.
    finding: Mutex<()>,
}

impl<K: PartialEq, V> Shelf<K, V> {
    fn new(most: usize) -> Shelf<K, V> {
        Shelf {
            most,
            known: Mutex::default(),
            finding: Mutex::default(),
        }
    }

    /// What is kept, or what `find` finds out now.
    ///
    /// # Errors
    /// What `find` says.
    pub fn of<E>(&self, key: K, view: &Arc<View>, find: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        if let Some(known) = self.known(&key, view) {
            return Ok(known);
        }
        let _alone = self.finding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.known(&key, view) {
            return Ok(known);
        }
        let found = Arc::new(find()?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(other, seen, _)| *other != key && seen.strong_count() > 0);
        if known.len() >= self.most {
            known.remove(0);
        }
        known.push((key, Arc::downgrade(view), found.clone()));
        Ok(found)
    }

    fn known(&self, key: &K, view: &Arc<View>) -> Option<Arc<V>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |(other, seen, _): &Found<K, V>| other == key && std::ptr::eq(seen.as_ptr(), Arc::as_ptr(view));
        let found = known.iter().position(same)?;
        let found = known.remove(found);
        let value = found.2.clone();
        known.push(found);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use stoke_history::model::{Application, Limits};

    use super::*;

    #[test]
    fn a_thing_is_found_once_for_each_view_and_the_oldest_goes() {
        let view = || Arc::new(Application::new(Limits::default()).into_view(0));
        let (one, other) = (view(), view());
        let shelf: Shelf<u8, u32> = Shelf::new(2);
        let ask = |key, view, finds: u32| *shelf.of::<()>(key, view, || Ok(finds)).unwrap();
        assert_eq!((ask(1, &one, 10), ask(1, &one, 11)), (10, 10));
        // A log that has grown is another view.
        assert_eq!((ask(1, &other, 12), ask(2, &other, 20)), (12, 20));
        // 1 was asked for last: 2 goes.
        assert_eq!((ask(1, &other, 13), ask(3, &other, 30)), (12, 30));
        assert_eq!((ask(1, &other, 14), ask(2, &other, 21)), (12, 21));
        assert_eq!(shelf.of(4, &one, || Err("no")), Err("no"));
    }
}
