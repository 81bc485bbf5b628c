//! Changes of what this server knows itself: runs of the history and verdicts on data. Others look at their places; here is only compared what
//! they have found, which asks no one for anything.

use std::sync::Arc;
use std::time::Duration;

use stoke_history::index::{Index, Stamp};
use stoke_history::listing::Listed;
use stoke_history::rest::Library;
use stoke_quality::ledger::Ledger;

/// Between two comparisons.
const LOOK: Duration = Duration::from_millis(200);

/// The logs of a run as they are, and whether all its attempts have ended.
#[derive(Debug, PartialEq, Eq)]
struct Growth {
    logs: Vec<Option<Stamp>>,
    has_ended: bool,
}

impl Growth {
    /// Of a run; none when the history does not know it.
    fn of(index: &Index, id: &str) -> Option<Growth> {
        let all = index.listed();
        let run = all.iter().find(|one| one.id == id)?;
        let stamp = |attempt| index.log(attempt).as_ref().map(Stamp::of);
        Some(Growth {
            logs: run.attempts.iter().map(stamp).collect(),
            has_ended: has_ended(run),
        })
    }
}

fn has_ended(run: &Listed) -> bool {
    run.attempts.iter().all(|attempt| attempt.completed)
}

/// Whether a run is known and may still be written.
pub fn goes_on(index: &Index, id: &str) -> bool {
    index.listed().iter().any(|run| run.id == id && !has_ended(run))
}

/// Calls `changed` whenever more of a run is known, and returns when there will be no more of it.
pub async fn run(index: &Index, id: &str, changed: impl Fn()) {
    let mut known = Growth::of(index, id);
    changed();
    while known.as_ref().is_some_and(|known| !known.has_ended) {
        tokio::time::sleep(LOOK).await;
        let now = Growth::of(index, id);
        if now != known {
            changed();
            known = now;
        }
    }
}

/// Calls `changed` whenever the list of runs is another.
pub async fn runs(index: &Index, changed: impl Fn()) {
    each_other(|| index.listed(), changed).await;
}

/// Calls `changed` whenever there are other verdicts, or the place of verdicts can be read no more or again.
pub async fn verdicts(ledger: &Ledger, changed: impl Fn()) {
    each_other(|| ledger.shelf(), changed).await;
}

/// Calls `changed` at once, and whenever there is another one in its place.
async fn each_other<T>(now: impl Fn() -> Arc<T>, changed: impl Fn()) {
    let mut known = now();
    changed();
    loop {
        tokio::time::sleep(LOOK).await;
        let other = now();
        if !Arc::ptr_eq(&known, &other) {
            changed();
            known = other;
        }
    }
}
