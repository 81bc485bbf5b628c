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

#[cfg(test)]
mod tests {
    use super::super::metrics::Metrics;
    use super::super::{Application, Limits};
    use super::*;

    #[test]
    fn every_task_is_looked_at_once() {
        const COUNT: i64 = 20_000;
        let mut application = Application::new(Limits::default());
        let pieces = application.pieces().clone();
        let rows = application.rows.entry((3, 0)).or_default();
        for place in 0..COUNT {
            let id = place * 7919 % COUNT;
            let task = Task {
                id,
                launched: 1000 + id,
                metrics: Some(Metrics([i64::MAX - id; 35])),
                error: (id % 50 == 0).then(|| format!("error {id}")),
                ..Task::default()
            };
            rows.push(&task, &pieces);
        }
        assert!(rows.piece_count() > 2 * WORTH);
        let view = application.into_view(0);
        let in_order: Vec<Task> = view.tasks((3, 0)).collect::<io::Result<_>>().unwrap();
        let seen = view
            .look_at_tasks((3, 0), Vec::new, |seen: &mut Vec<Task>, task| seen.push(task.clone()))
            .unwrap();
        let mut all = seen.concat();
        all.sort_by_key(|task| task.id);
        assert!(all == in_order && all.len() == COUNT as usize);
        let other = view.look_at_tasks((4, 0), || 0, |count, _| *count += 1).unwrap();
        assert_eq!(other, [0], "a stage without tasks");
    }
}
