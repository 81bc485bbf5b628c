//! Asking the same of many things on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The stack of a thread, as large as that of a program's first one: texts may be deep.
const STACK: usize = 8 << 20;

/// What a function says of each item, in their order, asked on all cores; so many of them are worth a thread.
pub fn in_order<T: Sync, R: Send>(items: &[T], worth: usize, ask: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(items.len() / worth);
    if threads < 2 {
        return items.iter().map(ask).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut answers = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else {
                return answers;
            };
            answers.push((number, ask(item)));
        }
    };
    let mut answers: Vec<(usize, R)> = std::thread::scope(|scope| {
        // A thread that cannot be had is done without.
        let another = |_| {
            let thread = std::thread::Builder::new().stack_size(STACK);
            thread.spawn_scoped(scope, work).ok()
        };
        let others: Vec<_> = (1..threads).filter_map(another).collect();
        let mut answers = work();
        for other in others {
            match other.join() {
                Ok(more) => answers.extend(more),
                Err(cause) => std::panic::resume_unwind(cause),
            }
        }
        answers
    });
    answers.sort_unstable_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order() {
        for count in [0, 3, 1000] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(in_order(&items, 2, |item| item * 2), doubled);
        }
    }
}
