//! Quantiles of many numbers of many tasks, exact, in memory that does not grow with the tasks: a first look counts numbers in bins, a
//! second one takes those of the few bins in which a quantile is.

use std::ops::Range;

/// Bins of a doubling, as a power of two; numbers below twice that have a bin each.
const PER_DOUBLING: u32 = 7;
const EXACT: u64 = 1 << (PER_DOUBLING + 1);

/// The bin of a number that is not negative.
fn bin(number: i64) -> usize {
    let number = number.cast_unsigned();
    if number < EXACT {
        return number as usize;
    }
    let doubling = number.ilog2();
    let within = (number >> (doubling - PER_DOUBLING)) - (1 << PER_DOUBLING);
    (EXACT + u64::from(doubling - PER_DOUBLING - 1) * (1 << PER_DOUBLING) + within) as usize
}

/// How often numbers came, by their bins. Negative ones are none.
#[derive(Debug, Clone)]
pub(super) struct Bins {
    counts: Vec<u32>,
    pub(super) count: usize,
    pub(super) least: i64,
    pub(super) greatest: i64,
}

impl Default for Bins {
    fn default() -> Bins {
        Bins {
            counts: Vec::new(),
            count: 0,
            least: i64::MAX,
            greatest: i64::MIN,
        }
    }
}

impl Bins {
    pub(super) fn add(&mut self, number: i64) {
        self.add_often(number, 1);
    }

    /// Adds a number that came so often.
    pub(super) fn add_often(&mut self, number: i64, often: u32) {
        if number < 0 || often == 0 {
            return;
        }
        let bin = bin(number);
        if self.counts.len() <= bin {
            self.counts.resize(bin + 1, 0);
        }
        self.counts[bin] = self.counts[bin].saturating_add(often);
        self.count += often as usize;
        self.least = self.least.min(number);
        self.greatest = self.greatest.max(number);
    }

    pub(super) fn merge(&mut self, other: &Bins) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.count += other.count;
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
    }

    /// The number at a place of all of them in rising order, where the bins tell; else the places of its bin.
    fn at(&self, place: usize) -> Result<i64, (usize, Range<usize>)> {
        match place {
            0 => return Ok(self.least),
            last if last + 1 == self.count => return Ok(self.greatest),
            _ => {}
        }
        let mut before = 0;
        for (bin, count) in self.counts.iter().enumerate() {
            let next = before + *count as usize;
            if place < next {
                return match (bin as u64) < EXACT {
                    true => Ok(bin as i64),
                    false => Err((bin, before..next)),
                };
            }
            before = next;
        }
        Ok(self.greatest)
    }
}

/// Numbers at some places of all, of which a second look takes some.
#[derive(Debug, Clone)]
pub(super) struct Picked {
    bins: Bins,
    /// Bins whose numbers are taken, and their places among all numbers, in rising order.
    wanted: Vec<(usize, Range<usize>)>,
    taken: Vec<i64>,
}

impl Picked {
    /// Those at these places.
    pub(super) fn at(bins: Bins, places: &[usize]) -> Picked {
        let mut wanted: Vec<_> = places.iter().filter_map(|place| bins.at(*place).err()).collect();
        wanted.sort_unstable_by_key(|(bin, _)| *bin);
        wanted.dedup_by_key(|(bin, _)| *bin);
        Picked {
            bins,
            wanted,
            taken: Vec::new(),
        }
    }

    /// How many numbers a second look would take.
    pub(super) fn to_take(&self) -> usize {
        self.wanted.iter().map(|(_, places)| places.len()).sum()
    }

    /// Looks at a number again.
    pub(super) fn take(&mut self, number: i64) {
        if number < 0 {
            return;
        }
        let bin = bin(number);
        if self.wanted.binary_search_by_key(&bin, |(wanted, _)| *wanted).is_ok() {
            self.taken.push(number);
        }
    }

    /// Takes over what another one took.
    pub(super) fn merge(&mut self, other: Picked) {
        self.taken.extend(other.taken);
    }

    /// No further numbers come.
    pub(super) fn finish(&mut self) {
        self.taken.sort_unstable();
    }

    /// How many numbers there were.
    pub(super) fn count(&self) -> usize {
        self.bins.count
    }

    /// The number at one of the places.
    pub(super) fn number(&self, place: usize) -> i64 {
        let (bin, of_bin) = match self.bins.at(place) {
            Ok(number) => return number,
            Err(within) => within,
        };
        let before = self.wanted.iter().take_while(|(wanted, _)| *wanted < bin);
        let before: usize = before.map(|(_, places)| places.len()).sum();
        let number = self.taken.get(before + place.saturating_sub(of_bin.start));
        number.copied().unwrap_or(self.bins.greatest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_rise_with_numbers() {
        let numbers = (0..70_000).chain((17..63).flat_map(|doubling| {
            let power = 1i64 << doubling;
            [power - 1, power, power + 1, power + power / 3]
        }));
        let mut before = 0;
        for number in numbers.chain([i64::MAX]) {
            let bin = bin(number);
            assert!(bin >= before && bin < 8192, "{number}");
            before = bin;
        }
        assert_eq!((bin(255), bin(256), bin(257), bin(258)), (255, 256, 256, 257));
    }

    #[test]
    fn every_place_has_the_number_that_sorting_gives() {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        for range in [1, 3, 200, 300, 5_000, 1 << 20, 1 << 30] {
            let mut numbers: Vec<i64> = (0..5_000)
                .map(|_| (next() % range) as i64 - if next() % 9 == 0 { 50 } else { 0 })
                .collect();
            numbers.push(i64::MAX);
            let mut parts = [Bins::default(), Bins::default()];
            for (place, number) in numbers.iter().enumerate() {
                parts[place % 2].add(*number);
            }
            let [mut bins, other] = parts;
            bins.merge(&other);
            bins.add_often(0, 100);
            numbers.extend([0; 100]);
            let mut sorted: Vec<i64> = numbers.iter().copied().filter(|number| *number >= 0).collect();
            sorted.sort_unstable();
            assert_eq!(bins.count, sorted.len());
            let places: Vec<usize> = (0..sorted.len()).step_by(37).chain([sorted.len() - 1]).collect();
            let mut picked = Picked::at(bins, &places);
            let mut beside = picked.clone();
            for (place, number) in numbers.iter().enumerate() {
                if place % 3 == 0 {
                    picked.take(*number);
                } else {
                    beside.take(*number);
                }
            }
            picked.merge(beside);
            assert_eq!(picked.taken.len(), picked.to_take(), "{range}");
            picked.finish();
            for place in places {
                assert_eq!(picked.number(place), sorted[place], "{place} of {range}");
            }
        }
    }
}
