//! How long tasks took, as bars.

use serde_json::{Value, json};

/// Bars of a histogram.
const BARS: usize = 40;
/// Its size in units of the picture.
pub const WIDTH: i64 = 960;
const HEIGHT: i64 = 160;
const BASE: i64 = HEIGHT - 24;

/// A histogram of durations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    pub bars: Vec<Bar>,
    /// Where the axis has a mark, and of how many milliseconds.
    pub marks: Vec<(i64, i64)>,
    /// Where the median is.
    pub median: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// Milliseconds from.
    pub from: i64,
    /// Milliseconds to; exclusive.
    pub to: i64,
    /// Tasks that succeeded.
    pub good: i64,
    /// Tasks that did not.
    pub bad: i64,
    /// Left edge and width.
    pub x: i64,
    /// See there.
    pub width: i64,
    /// Upper edge and height of those that succeeded.
    pub y: i64,
    /// See there.
    pub height: i64,
    /// Upper edge and height of the others.
    pub bad_y: i64,
    /// See there.
    pub bad_height: i64,
}

/// Counts durations as they come: in bins that grow, so that neither their number nor their range must be known.
#[derive(Debug, Default)]
pub struct Counting {
    bins: Vec<[i64; 2]>,
    least: Option<i64>,
    greatest: i64,
    good: i64,
}

/// Bins of a doubling: a bin is an eighth of it wide.
const PER_DOUBLING: i64 = 8;

/// The bin of a duration: exact up to 16 ms, an eighth of a doubling from there.
fn bin(millis: i64) -> usize {
    let millis = millis.max(0);
    if millis < 16 {
        return usize::try_from(millis).unwrap_or(0);
    }
    let doubling = 63 - i64::from(millis.leading_zeros());
    let within = ((millis - (1 << doubling)) * PER_DOUBLING) >> doubling;
    usize::try_from(16 + (doubling - 4) * PER_DOUBLING + within).unwrap_or(0)
}

/// The least duration of a bin.
fn floor(bin: usize) -> i64 {
    let bin = i64::try_from(bin).unwrap_or(0);
    if bin < 16 {
        return bin;
    }
    let (doubling, within) = ((bin - 16) / PER_DOUBLING + 4, (bin - 16) % PER_DOUBLING);
    let start = 1i64 << doubling.min(61);
    start + start / PER_DOUBLING * within
}

impl Counting {
    /// Adds a task.
    pub fn add(&mut self, millis: i64, good: bool) {
        let millis = millis.max(0);
        let bin = bin(millis);
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, [0, 0]);
        }
        self.bins[bin][usize::from(!good)] += 1;
        self.least = Some(self.least.map_or(millis, |least| least.min(millis)));
        self.greatest = self.greatest.max(millis);
        self.good += i64::from(good);
    }

    /// Adds those that another one counted.
    pub fn merge(&mut self, other: &Counting) {
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), [0, 0]);
        }
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            bin[0] += more[0];
            bin[1] += more[1];
        }
        self.least = self.least.into_iter().chain(other.least).min();
        self.greatest = self.greatest.max(other.greatest);
        self.good += other.good;
    }

    /// The picture. Bins are put together evenly over the range; nothing when there were no tasks.
    pub fn picture(&self) -> Option<Histogram> {
        let least = self.least?;
        let range = (self.greatest - least + 1).max(1);
        let bars = i64::try_from(BARS).unwrap_or(1).min(range);
        let step = (range + bars - 1) / bars;
        let mut counts = vec![[0i64; 2]; BARS];
        for (place, count) in self.bins.iter().enumerate() {
            let at = (floor(place).max(least) - least) / step;
            let at = usize::try_from(at).unwrap_or(0).min(BARS - 1);
            counts[at][0] += count[0];
            counts[at][1] += count[1];
        }
        let used = usize::try_from((range + step - 1) / step).unwrap_or(1).clamp(1, BARS);
        counts.truncate(used);
        let most = counts.iter().map(|count| count[0] + count[1]).max().unwrap_or(1).max(1);
        let scale = |count: i64| {
            if count == 0 {
                0
            } else {
                (count * (BASE - 12) / most).max(2)
            }
        };
        let wide = WIDTH / i64::try_from(used).unwrap_or(1);
        let bar = |(place, count): (usize, &[i64; 2])| {
            let place = i64::try_from(place).unwrap_or(0);
            let (height, bad_height) = (scale(count[0]), scale(count[1]));
            Bar {
                from: least + place * step,
                to: least + (place + 1) * step,
                good: count[0],
                bad: count[1],
                x: place * wide,
                width: (wide - 2).max(1),
                y: BASE - height,
                height,
                bad_y: BASE - height - bad_height,
                bad_height,
            }
        };
        let place_of = |millis: i64| (millis - least) * wide / step;
        let marks = (0..=4).map(|part| least + part * (step * i64::try_from(used).unwrap_or(1)) / 4);
        Some(Histogram {
            bars: counts.iter().enumerate().map(bar).collect(),
            marks: marks.map(|millis| (place_of(millis).clamp(0, WIDTH), millis)).collect(),
            median: self.median().map(|millis| place_of(millis).clamp(0, WIDTH)),
        })
    }

    /// The median of those that succeeded, to an eighth of a doubling.
    fn median(&self) -> Option<i64> {
        let mut seen = 0;
        let found = self.bins.iter().position(|count| {
            seen += count[0];
            seen * 2 > self.good
        });
        found.filter(|_| self.good > 0).map(floor)
    }
}

impl Histogram {
    /// Its bars as JSON.
    pub fn value(&self) -> Value {
        let bar = |bar: &Bar| json!({"from": bar.from, "to": bar.to, "succeeded": bar.good, "others": bar.bad});
        self.bars.iter().map(bar).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_begin_where_they_say() {
        for millis in (0..5000).chain([1 << 20, (1 << 20) + 5, i64::MAX >> 3]) {
            let at = bin(millis);
            assert!(floor(at) <= millis && millis < floor(at + 1), "{millis}: {at}");
        }
    }

    #[test]
    fn counting_in_parts_counts_the_same() {
        let mut parts = [Counting::default(), Counting::default(), Counting::default()];
        let mut whole = Counting::default();
        for millis in (0..500).map(|place| place * 7919 % 3001) {
            whole.add(millis, millis % 3 > 0);
            parts[usize::from(millis > 40)].add(millis, millis % 3 > 0);
        }
        let [mut one, other, nothing] = parts;
        one.merge(&other);
        one.merge(&nothing);
        assert_eq!(one.picture(), whole.picture());
    }

    #[test]
    fn no_task_is_lost_and_bars_fit() {
        for durations in [
            vec![5],
            vec![0, 0, 0],
            (0..10_000).collect(),
            vec![1, 1_000_000_000],
            vec![100; 7],
        ] {
            let mut counting = Counting::default();
            for (place, millis) in durations.iter().enumerate() {
                counting.add(*millis, place % 3 > 0);
            }
            let picture = counting.picture().unwrap();
            let counted: i64 = picture.bars.iter().map(|bar| bar.good + bar.bad).sum();
            assert_eq!(counted, durations.len() as i64);
            assert!(picture.bars.len() <= BARS);
            for bar in &picture.bars {
                assert!(bar.bad_y >= 0 && bar.x + bar.width <= WIDTH, "{bar:?}");
            }
        }
        assert_eq!(Counting::default().picture(), None);
    }
}
