//! How soon a log that grows is seen: as often as the place of logs is looked at anyway, and more often while someone reads a page of a run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stoke_history::index::Index;
use tokio::sync::watch;

/// Between two looks while someone reads.
const SOON: Duration = Duration::from_millis(500);
/// How much longer than a look itself it is until the next one: a place that is slow, or large, is not kept busy.
const REST: u32 = 10;

/// How many read pages of what may still be written.
#[derive(Debug, Clone, Default)]
pub struct Looking(Arc<watch::Sender<usize>>);

/// Someone who reads, until this ends.
#[derive(Debug)]
pub struct Reader(Looking);

impl Looking {
    /// One more.
    pub fn read(&self) -> Reader {
        self.0.send_modify(|readers| *readers += 1);
        Reader(self.clone())
    }

    /// Looks at the place of logs while someone reads, for as long as the future is kept.
    pub async fn keep_up(&self, index: Arc<Index>) {
        let mut readers = self.0.subscribe();
        loop {
            if readers.wait_for(|readers| *readers > 0).await.is_err() {
                return;
            }
            let begun = Instant::now();
            let looked = index.clone();
            // What cannot be listed is said by those who look in any case.
            let _ = tokio::task::spawn_blocking(move || looked.scan().map(drop)).await;
            tokio::time::sleep(pause(begun.elapsed())).await;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.0.send_modify(|readers| *readers -= 1);
    }
}

/// Until the next look, after one that took so long.
fn pause(took: Duration) -> Duration {
    SOON.max(took * REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_place_is_looked_at_less_often() {
        let millis = Duration::from_millis;
        assert_eq!(pause(millis(3)), millis(500));
        assert_eq!(pause(millis(800)), millis(8000));
    }

    #[test]
    fn readers_come_and_go() {
        let looking = Looking::default();
        let (one, other) = (looking.read(), looking.read());
        assert_eq!(*looking.0.borrow(), 2);
        drop(one);
        drop(other);
        assert_eq!(*looking.0.borrow(), 0);
    }
}
