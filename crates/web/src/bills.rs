//! What runs cost, by day: counted once for each log, and kept as long as the log stays as it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stoke_eventlog::{Log, Options};
use stoke_history::index::{Index, Stamp};
use stoke_history::listing::{Attempt, Listed};
use stoke_insight::cost::{Bill, Prices, Window, showback};
use stoke_insight::facts::collect;

/// How long a page waits for logs that were not counted yet; what is left is counted by the next one.
const PATIENCE: Duration = Duration::from_secs(3);
/// Stored bytes of a log that is counted for a page.
const MOST: u64 = 512 << 20;
/// Of a log that is counted for a list of applications.
const MOST_OF_LIST: u64 = 16 << 20;

/// Bills of days, and the state of the log they were made of; or why there are none.
type Known = (Stamp, Result<Arc<Vec<Bill>>, String>);

/// Bills by log.
#[derive(Debug, Default)]
pub struct Bills {
    known: Mutex<HashMap<String, Known>>,
    /// One page counts at a time.
    counting: Mutex<()>,
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Counted {
    /// The bills of each run, one for each day, without the charges they are made of.
    pub runs: Vec<Arc<Vec<Bill>>>,
    /// Runs that are still to be counted.
    pub left: usize,
    /// Runs that cannot be, and why.
    pub failed: Vec<(String, String)>,
}

impl Bills {
    /// The bills of all attempts of an application that has ended, as far as they were counted, or can be until a moment; none when one is not.
    pub fn of_ended(
        &self,
        index: &Index,
        prices: Option<&Prices>,
        one: &Listed,
        until: Instant,
    ) -> Option<Vec<Arc<Vec<Bill>>>> {
        let of = |attempt: &Attempt| {
            let log = index.log(attempt).filter(|_| attempt.completed)?;
            let stamp = Stamp::of(&log);
            let kept = self.kept(attempt, &stamp);
            let bills = kept.or_else(|| {
                let may_count = stamp.bytes() <= MOST_OF_LIST && Instant::now() < until;
                // Another page counts: this one does not wait for it.
                let _alone = self.counting.try_lock().ok().filter(|_| may_count)?;
                Some(self.count(index, prices, attempt, &log, stamp))
            });
            bills?.ok()
        };
        one.attempts.iter().map(of).collect()
    }

    fn kept(&self, attempt: &Attempt, stamp: &Stamp) -> Option<Result<Arc<Vec<Bill>>, String>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&attempt.log).filter(|(of, _)| of == stamp);
        known.map(|(_, bills)| bills.clone())
    }

    fn count(
        &self,
        index: &Index,
        prices: Option<&Prices>,
        attempt: &Attempt,
        log: &Log,
        stamp: Stamp,
    ) -> Result<Arc<Vec<Bill>>, String> {
        let bills = bills(index, log, &stamp, prices);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(attempt.log.clone(), (stamp, bills.clone()));
        bills
    }

    /// The bills of some attempts, as far as they can be counted while a page is waited for.
    pub fn of<'a>(
        &self,
        index: &Index,
        prices: Option<&Prices>,
        attempts: impl Iterator<Item = &'a Attempt>,
    ) -> Counted {
        let until = Instant::now() + PATIENCE;
        let _alone = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counted = Counted::default();
        for attempt in attempts {
            let Some(log) = index.log(attempt) else {
                continue;
            };
            let stamp = Stamp::of(&log);
            let bills = match self.kept(attempt, &stamp) {
                Some(bills) => bills,
                None if Instant::now() > until => {
                    counted.left += 1;
                    continue;
                }
                None => self.count(index, prices, attempt, &log, stamp),
            };
            match bills {
                Ok(bills) => counted.runs.push(bills),
                Err(why) => counted.failed.push((attempt.log.clone(), why)),
            }
        }
        counted
    }
}

fn bills(index: &Index, log: &Log, stamp: &Stamp, prices: Option<&Prices>) -> Result<Arc<Vec<Bill>>, String> {
    if stamp.bytes() >= MOST {
        return Err("the log is too large to be read for a page: stoke cost --event-log".to_owned());
    }
    let run = collect::run(index.source(), log, Options::default()).map_err(|error| error.to_string())?;
    let mut daily = showback::daily(&run, None, prices, Window::ALL).map_err(|error| error.to_string())?;
    for bill in &mut daily {
        // What is not put together is not kept.
        bill.lines = Vec::new();
        bill.holders = Vec::new();
        bill.stages = Vec::new();
        bill.jobs = Vec::new();
        bill.queries = Vec::new();
        bill.notes = Vec::new();
    }
    Ok(Arc::new(daily))
}
