//! A look at every task of a stage attempt, where their order does not matter: on several threads, a piece of them at a time.

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::data::StageKey;
use super::rows::Unpacking;
use super::task::Task;
use super::view::View;

/// Pieces that are worth a thread: each has a thousand tasks or more.
const WORTH: usize = 16;
/// Threads that look, at most.
const MOST: usize = 8;

impl View {
    /// Looks at every task of a stage attempt, in no order. Each thread has a state of its own, which `begin` makes.
    ///
    /// # Errors
    /// When tasks were put away and cannot be read again.
    pub fn look_at_tasks<S: Send>(
        &self,
        key: StageKey,
        begin: impl Fn() -> S + Sync,
        look: impl Fn(&mut S, &Task) + Sync,
    ) -> io::Result<Vec<S>> {
        let mut first = begin();
        self.running(key).iter().for_each(|task| look(&mut first, task));
        let Some(rows) = self.rows(key) else {
            return Ok(vec![first]);
        };
        rows.look_at_buffer(|task| look(&mut first, task));
        let next = AtomicUsize::new(0);
        let work = |mut state: S| -> io::Result<S> {
            let mut unpacking = Unpacking::new()?;
            loop {
                let piece = next.fetch_add(1, Ordering::Relaxed);
                if piece >= rows.piece_count() {
                    return Ok(state);
                }
                rows.look_at(piece, self.pieces(), &mut unpacking, |task| look(&mut state, task))?;
            }
        };
        let cores = thread::available_parallelism().map_or(1, NonZero::get).min(MOST);
        let threads = (rows.piece_count() / WORTH).clamp(1, cores);
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| work(begin()))).collect();
            let mut states = vec![work(first)?];
            for other in others {
                match other.join() {
                    Ok(state) => states.push(state?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(states)
        })
    }
}
