//! How the values of SQL metrics are put together, by accumulator.

use std::collections::BTreeMap;
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stoke_eventlog::event::PlanMetric;

/// The kind of metrics of which only the sum is shown.
pub(super) const SUM: &str = "sum";

/// Kinds of Spark's own, by their number in a table.
const KNOWN: [&str; 5] = [SUM, "size", "timing", "nsTiming", "average"];
/// The number of an accumulator without a kind of Spark's own.
const NONE: u8 = u8::MAX;
/// Accumulators further from the first than this are kept one by one. Those of an execution are numbered one after another, mostly.
const FAR: usize = 1 << 14;

/// Kinds of metrics by accumulator. The stages of an execution share them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kinds(Arc<Table>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Table {
    /// The accumulator that `near` begins with.
    first: i64,
    /// Numbers of kinds.
    near: Vec<u8>,
    /// What is far away, or of a kind of user code.
    other: BTreeMap<i64, CompactString>,
}

impl Table {
    fn place(&self, accumulator: i64) -> Option<usize> {
        let place = usize::try_from(accumulator.checked_sub(self.first)?).ok()?;
        (place < self.near.len()).then_some(place)
    }

    fn get(&self, accumulator: i64) -> Option<&str> {
        let number = self.place(accumulator).map_or(NONE, |place| self.near[place]);
        match KNOWN.get(usize::from(number)) {
            Some(kind) => Some(kind),
            None if self.other.is_empty() => None,
            None => self.other.get(&accumulator).map(CompactString::as_str),
        }
    }

    fn set(&mut self, accumulator: i64, kind: &str) {
        let number = KNOWN.iter().position(|known| *known == kind);
        if let Some(number) = number
            && let Some(place) = self.room(accumulator)
        {
            self.near[place] = number as u8;
            if !self.other.is_empty() {
                self.other.remove(&accumulator);
            }
            return;
        }
        if let Some(place) = self.place(accumulator) {
            self.near[place] = NONE;
        }
        self.other.insert(accumulator, CompactString::new(kind));
    }

    /// The place of an accumulator that is not too far from the others, which is made where there is none.
    fn room(&mut self, accumulator: i64) -> Option<usize> {
        if self.near.is_empty() {
            self.first = accumulator;
        }
        let before = usize::try_from(self.first.checked_sub(accumulator)?).unwrap_or(0);
        let place = usize::try_from(accumulator.checked_sub(self.first)?).unwrap_or(0);
        if before + self.near.len() > FAR || place >= FAR {
            return None;
        }
        if before > 0 {
            self.near.splice(..0, std::iter::repeat_n(NONE, before));
            self.first = accumulator;
        } else if place >= self.near.len() {
            self.near.resize(place + 1, NONE);
        }
        Some(place)
    }

    fn each(&self) -> impl Iterator<Item = (i64, &str)> {
        let near = self.near.iter().enumerate();
        let near = near.filter_map(|(place, number)| {
            let kind = KNOWN.get(usize::from(*number))?;
            Some((self.first.wrapping_add(place as i64), *kind))
        });
        near.chain(self.other.iter().map(|(id, kind)| (*id, kind.as_str())))
    }
}

impl Kinds {
    pub(super) fn is_empty(&self) -> bool {
        self.0.near.is_empty() && self.0.other.is_empty()
    }

    pub(super) fn get(&self, accumulator: i64) -> Option<&str> {
        self.0.get(accumulator)
    }

    /// Takes further metrics over. Of an accumulator that is known already the later kind counts.
    pub(super) fn add<'a>(&mut self, metrics: impl Iterator<Item = &'a PlanMetric>) {
        self.add_all(metrics.map(|metric| (metric.accumulator, metric.kind.as_str())));
    }

    /// What is shared is copied only when something is new.
    fn add_all<'a>(&mut self, kinds: impl Iterator<Item = (i64, &'a str)>) {
        for (accumulator, kind) in kinds {
            if self.get(accumulator) != Some(kind) {
                Arc::make_mut(&mut self.0).set(accumulator, kind);
            }
        }
    }

    /// These, and what `other` has besides them.
    pub(super) fn and(&self, other: &Kinds) -> Kinds {
        let mut both = other.clone();
        both.add_all(self.0.each());
        both
    }

    /// Whether they are the same in memory.
    pub(super) fn is(&self, other: &Kinds) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Serialize for Kinds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.each().collect::<Vec<_>>().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let all = Vec::<(i64, CompactString)>::deserialize(from)?;
        let mut kinds = Kinds::default();
        kinds.add_all(all.iter().map(|(id, kind)| (*id, kind.as_str())));
        Ok(kinds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(all: &[(i64, &str)]) -> Vec<PlanMetric> {
        let metric = |(accumulator, kind): &(i64, &str)| PlanMetric {
            name: "rows".into(),
            accumulator: *accumulator,
            kind: (*kind).into(),
        };
        all.iter().map(metric).collect()
    }

    #[test]
    fn the_later_kind_counts_and_what_is_known_stays_shared() {
        let mut kinds = Kinds::default();
        kinds.add(metrics(&[(7, "sum"), (3, "size"), (7, "timing")]).iter());
        assert_eq!(
            (kinds.get(3), kinds.get(7), kinds.get(5)),
            (Some("size"), Some("timing"), None)
        );
        let stage = kinds.clone();
        kinds.add(metrics(&[(3, "size")]).iter());
        assert!(kinds.is(&stage), "nothing is new");
        kinds.add(metrics(&[(3, "sum"), (9, "average")]).iter());
        assert_eq!((kinds.get(3), stage.get(3)), (Some("sum"), Some("size")));
        let both = stage.and(&kinds);
        assert_eq!(
            (both.get(3), both.get(9)),
            (Some("size"), Some("average")),
            "what the stage knew stays"
        );
        assert!(both.and(&both.clone()).is(&both) && stage.and(&both).is(&both));
    }

    #[test]
    fn any_accumulator_of_any_kind_is_kept() {
        let ids = [50, 7, 50 + 2 * FAR as i64, i64::MAX, i64::MIN, -3, 51, 7 - FAR as i64];
        let own = ["sum", "size", "a kind of user code"];
        let mut all = Kinds::default();
        let mut expected = BTreeMap::new();
        // Each gets each kind once, so that a kind of Spark's own follows one of user code and the other way round.
        for round in 0..4 {
            for (place, id) in ids.into_iter().enumerate() {
                let kind = own[(place + round) % own.len()];
                all.add(metrics(&[(id, kind)]).iter());
                expected.insert(id, kind);
            }
            for (id, kind) in &expected {
                assert_eq!(all.get(*id), Some(*kind), "{id}");
            }
            assert_eq!(all.0.each().count(), expected.len());
            assert!(all.0.near.len() <= FAR + 1);
            let bytes = postcard::to_stdvec(&all).unwrap();
            let again: Kinds = postcard::from_bytes(&bytes).unwrap();
            assert!(expected.iter().all(|(id, kind)| again.get(*id) == Some(*kind)));
        }
        assert_eq!((all.get(8), all.get(52)), (None, None));
    }
}
