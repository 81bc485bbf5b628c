//! What to do about the leases, from what was seen of them.

use std::time::Duration;

/// The times of an election. As published: 15 s, 10 s, 2 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long others leave a lease alone after they last saw it change.
    pub duration: Duration,
    /// How long a holder that cannot renew goes on working. Shorter than `duration`: the difference is the distance between two holders.
    pub renew_deadline: Duration,
    /// Time between two looks.
    pub retry: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

impl Terms {
    /// Why these times cannot work, if they cannot.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn check(&self) -> Result<(), String> {
        if self.retry.is_zero() || self.duration.as_secs() == 0 {
            return Err("lease duration and retry period must be at least 1s and more than nothing".to_owned());
        }
        if self.renew_deadline >= self.duration {
            return Err(format!(
                "the renew deadline ({:?}) must be shorter than the lease duration ({:?}): a holder must have stopped before another begins",
                self.renew_deadline, self.duration
            ));
        }
        if self.retry >= self.renew_deadline {
            return Err(format!(
                "the retry period ({:?}) must be shorter than the renew deadline ({:?})",
                self.retry, self.renew_deadline
            ));
        }
        Ok(())
    }
}

/// A lease as last seen. Times are the observer's own, monotonic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Who holds it; none when no one does, or the lease is not there.
    pub holder: Option<String>,
    /// When it was first seen as it is.
    pub unchanged_since: Duration,
    /// How long it is valid.
    pub duration: Duration,
}

impl Seen {
    /// True when someone may take it.
    #[must_use]
    pub fn is_free(&self, now: Duration) -> bool {
        self.holder.is_none() || now.saturating_sub(self.unchanged_since) > self.duration
    }
}

/// What to do about one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Make the lease ours.
    Take(usize),
    /// Say that we still hold it.
    Renew(usize),
    /// Stop working on it, then give it to whoever wants it.
    Release(usize),
    /// Stop working on it: it is someone else's, or could not be renewed in time.
    GiveUp(usize),
}

/// Decides about every shard. `shards[i]` is the lease of shard `i`; `held[i]` the time at which the last write began that made or kept it
/// ours; `others` how many other operators are alive. No one takes more than its share, and who holds more hands one over at a time.
#[must_use]
pub fn decide(
    me: &str,
    shards: &[Seen],
    held: &[Option<Duration>],
    others: usize,
    now: Duration,
    terms: &Terms,
) -> Vec<Move> {
    let share = shards.len().div_ceil(others + 1);
    let mut moves = Vec::new();
    let mut ours = 0;
    for (shard, (seen, held)) in shards.iter().zip(held).enumerate() {
        let Some(renewed) = held else { continue };
        let lost = seen.holder.as_deref() != Some(me);
        if lost || now.saturating_sub(*renewed) >= terms.renew_deadline {
            moves.push(Move::GiveUp(shard));
        } else {
            ours += 1;
            moves.push(Move::Renew(shard));
        }
    }
    if ours > share
        && let Some(last) = moves.iter_mut().rev().find(|one| matches!(one, Move::Renew(_)))
        && let Move::Renew(shard) = *last
    {
        *last = Move::Release(shard);
    }
    for (shard, (seen, held)) in shards.iter().zip(held).enumerate() {
        // A lease in our name that is not held here: the answer to the write that took it was lost.
        let takeable = seen.is_free(now) || seen.holder.as_deref() == Some(me);
        if held.is_none() && ours < share && takeable {
            ours += 1;
            moves.push(Move::Take(shard));
        }
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::Move::{GiveUp, Release, Renew, Take};
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn seen(holder: &str, since: u64) -> Seen {
        Seen {
            holder: (!holder.is_empty()).then(|| holder.to_owned()),
            unchanged_since: s(since),
            duration: s(15),
        }
    }

    #[test]
    fn one_lease() {
        // (lease, held since, now, move)
        let table: [(Seen, Option<u64>, u64, &[Move]); 9] = [
            (seen("", 0), None, 0, &[Take(0)]),
            (seen("b", 0), None, 15, &[]),
            (seen("b", 0), None, 16, &[Take(0)]),
            (seen("b", 10), None, 16, &[]),
            (seen("a", 0), Some(0), 2, &[Renew(0)]),
            (seen("a", 0), Some(0), 9, &[Renew(0)]),
            // Not renewed in time: stopped five seconds before another may begin.
            (seen("a", 0), Some(0), 10, &[GiveUp(0)]),
            (seen("b", 1), Some(0), 2, &[GiveUp(0)]),
            // Someone deleted the lease.
            (seen("", 1), Some(0), 2, &[GiveUp(0)]),
        ];
        for (lease, held, now, expected) in table {
            let moves = decide(
                "a",
                std::slice::from_ref(&lease),
                &[held.map(s)],
                0,
                s(now),
                &Terms::default(),
            );
            assert_eq!(moves, expected, "{lease:?} held {held:?} at {now}");
        }
    }

    #[test]
    fn shares() {
        let free = || seen("", 0);
        let (mine, yours) = (|| seen("a", 0), || seen("b", 0));
        let table: [(Vec<Seen>, usize, &[Move]); 6] = [
            (
                vec![free(), free(), free(), free()],
                0,
                &[Take(0), Take(1), Take(2), Take(3)],
            ),
            (vec![free(), free(), free(), free()], 1, &[Take(0), Take(1)]),
            (vec![yours(), yours(), mine(), free()], 1, &[Renew(2), Take(3)]),
            // A newcomer: one is handed over at a time.
            (
                vec![mine(), mine(), mine(), mine()],
                1,
                &[Renew(0), Renew(1), Renew(2), Release(3)],
            ),
            // With two operators three of four are more than a share, three operators share four as 2, 2 and 0 or 2, 1 and 1.
            (vec![mine(), yours(), free(), free()], 2, &[Renew(0), Take(2)]),
            (vec![mine(), mine(), yours(), yours()], 1, &[Renew(0), Renew(1)]),
        ];
        for (leases, others, expected) in table {
            let held: Vec<Option<Duration>> = leases
                .iter()
                .map(|lease| (lease.holder.as_deref() == Some("a")).then(|| s(0)))
                .collect();
            assert_eq!(
                decide("a", &leases, &held, others, s(2), &Terms::default()),
                expected,
                "{leases:?} {others}"
            );
        }
    }

    #[test]
    fn times_that_cannot_work_are_refused() {
        let with = |duration, renew_deadline, retry| Terms {
            duration: s(duration),
            renew_deadline: s(renew_deadline),
            retry: s(retry),
        };
        assert_eq!(Terms::default().check(), Ok(()));
        for terms in [with(10, 10, 2), with(15, 10, 10), with(15, 10, 0), with(0, 0, 0)] {
            assert!(terms.check().is_err(), "{terms:?}");
        }
    }
}
