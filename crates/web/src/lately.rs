//! What takes a whole log to find out, of a log that is still written: an open page that asks by itself is shown what was found a little while
//! ago, so that looking takes a tenth of the time at most, however many look.

use std::time::{Duration, Instant};

/// How many times as long as finding it out something is good enough.
const GOOD: u32 = 10;

/// When something was found out, and how long that took.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    at: Instant,
    took: Duration,
}

impl Effort {
    /// Begun then, and found now.
    pub fn since(begun: Instant) -> Effort {
        let at = Instant::now();
        Effort {
            at,
            took: at.saturating_duration_since(begun),
        }
    }

    /// Whether it is still good enough for who does not ask for the newest.
    pub fn is_good(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < self.took * GOOD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_is_good_for_longer() {
        let at = Instant::now();
        let found = |millis| Effort {
            at,
            took: Duration::from_millis(millis),
        };
        let later = at + Duration::from_secs(5);
        assert!(!found(400).is_good(later) && found(600).is_good(later));
    }
}
