//! How the values of SQL metrics are put together, by accumulator.

use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stoke_eventlog::event::PlanMetric;

/// The kind of metrics of which only the sum is shown.
pub(super) const SUM: &str = "sum";

/// Kinds of metrics, sorted by accumulator. The stages of an execution share them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kinds(Arc<Vec<(i64, CompactString)>>);

impl Kinds {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, accumulator: i64) -> Option<&str> {
        let place = self.0.binary_search_by_key(&accumulator, |(id, _)| *id).ok()?;
        self.0.get(place).map(|(_, kind)| kind.as_str())
    }

    /// Takes further metrics over. Of an accumulator that is known already the later kind counts.
    pub(super) fn add<'a>(&mut self, metrics: impl Iterator<Item = &'a PlanMetric>) {
        let mut more: Vec<(i64, &str)> = metrics
            .map(|metric| (metric.accumulator, metric.kind.as_str()))
            .collect();
        more.sort_by_key(|(id, _)| *id);
        more.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                *earlier = *later;
            }
            same
        });
        *self = Kinds(Arc::new(merged(&self.0, &more)));
    }

    /// These, and what `other` has besides them, whose kinds count.
    pub(super) fn and(&self, other: &Kinds) -> Kinds {
        if other.have(self.each()) {
            return other.clone();
        }
        let more: Vec<(i64, &str)> = other.each().collect();
        Kinds(Arc::new(merged(&self.0, &more)))
    }

    fn each(&self) -> impl Iterator<Item = (i64, &str)> {
        self.0.iter().map(|(id, kind)| (*id, kind.as_str()))
    }

    /// Whether all of them are known; they are sorted by accumulator.
    fn have<'a>(&self, all: impl Iterator<Item = (i64, &'a str)>) -> bool {
        let mut rest = self.0.iter();
        let mut all = all;
        all.all(|(id, kind)| {
            let place = rest.find(|(known, _)| *known >= id);
            place.is_some_and(|(known, same)| *known == id && same == kind)
        })
    }

    /// Whether they are the same in memory.
    pub(super) fn is(&self, other: &Kinds) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Both lists as one; each is sorted, and of what both have the kind of `more` counts.
fn merged(known: &[(i64, CompactString)], more: &[(i64, &str)]) -> Vec<(i64, CompactString)> {
    let mut all = Vec::with_capacity(known.len() + more.len());
    let (mut known, mut more) = (known.iter().peekable(), more.iter().peekable());
    loop {
        match (known.peek(), more.peek()) {
            (Some((own, _)), Some((other, _))) if own > other => {}
            (Some(own), Some((other, _))) => {
                if own.0 < *other {
                    all.push((*own).clone());
                }
                known.next();
                continue;
            }
            (Some(_), None) => {
                all.extend(known.cloned());
                return all;
            }
            (None, None) => return all,
            (None, Some(_)) => {}
        }
        if let Some((id, kind)) = more.next() {
            all.push((*id, CompactString::new(kind)));
        }
    }
}

impl Serialize for Kinds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::deserialize(from).map(|all| Kinds(Arc::new(all)))
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
}
