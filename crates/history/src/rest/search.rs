//! Which tasks have a text in what their row of Spark's table shows. Most of what rows show stands in many of them: whether a name, a
//! time or a size has the text is found out once, and what cannot have it by its letters is not written at all.

use std::io;

use memchr::memmem::Finder;
use stoke_model::units::spark::{short_duration, size};

use crate::model::View;
use crate::model::data::StageKey;
use crate::model::metrics::at;
use crate::model::task::Task;
use crate::numbers::{java_date, page_date};

/// What Spark takes for the text of what is not there.
const ABSENT: &str = "d";

/// A text that is searched, and what has been found out of it.
pub(super) struct Search<'a> {
    view: &'a View,
    text: Finder<'static>,
    /// By place.
    names: Vec<Option<bool>>,
    numbers: bool,
    durations: Known,
    sizes: Known,
    days: Known,
    fetched: Known,
}

/// Values that were looked at lately, and whether what is shown of them has the text.
struct Known {
    show: fn(i64) -> String,
    /// Empty where nothing that is shown so can have the text.
    seen: Vec<Option<(i64, bool)>>,
}

/// Values that are remembered, as a power of two.
const REMEMBERED: u32 = 12;
const DIGITS: &str = "-0123456789";

impl Known {
    /// `letters` are those that `show` writes besides digits.
    fn of(text: &str, letters: &str, show: fn(i64) -> String) -> Known {
        let seen = match text
            .chars()
            .all(|letter| DIGITS.contains(letter) || letters.contains(letter))
        {
            true => vec![None; 1 << REMEMBERED],
            false => Vec::new(),
        };
        Known { show, seen }
    }

    fn has(&mut self, text: &Finder<'_>, value: i64) -> bool {
        let place = (value.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - REMEMBERED)) as usize;
        match self.seen.get_mut(place) {
            None => false,
            Some(Some((known, has))) if *known == value => *has,
            Some(place) => {
                let has = has(text, &(self.show)(value));
                *place = Some((value, has));
                has
            }
        }
    }
}

fn has(text: &Finder<'_>, shown: &str) -> bool {
    text.find(shown.to_lowercase().as_bytes()).is_some()
}

impl<'a> Search<'a> {
    /// Searches a text, whose case does not matter.
    pub(super) fn of(view: &'a View, text: &str) -> Search<'a> {
        let text = text.to_lowercase();
        Search {
            view,
            names: Vec::new(),
            numbers: text.chars().all(|letter| DIGITS.contains(letter)),
            durations: Known::of(&text, ". mshin", short_duration),
            sizes: Known::of(&text, ". bikmgtpe", size),
            // Dates tell seconds.
            days: Known::of(&text, "/ :", |second| page_date(second.saturating_mul(1000))),
            fetched: Known::of(&text, " :abcdefghijklmnopqrstuvwxyz", |second| {
                java_date(second.saturating_mul(1000))
            }),
            text: Finder::new(text.as_bytes()).into_owned(),
        }
    }

    /// Whether the row of a task shows the text.
    pub(super) fn shows(&mut self, task: &Task) -> bool {
        let fetched = match task.result_fetch > 0 {
            true => self.fetched.has(&self.text, task.result_fetch.div_euclid(1000)),
            false => has(&self.text, ABSENT),
        };
        let speculative = if task.speculative { "true" } else { "false" };
        fetched
            || [task.executor, task.host, task.locality]
                .into_iter()
                .any(|place| self.names(place))
            || has(&self.text, task.status.name())
            || has(&self.text, speculative)
            || has(&self.text, task.error.as_deref().unwrap_or(ABSENT))
            || self.days.has(&self.text, task.launched.div_euclid(1000))
            || [task.id, i64::from(task.index), i64::from(task.attempt)]
                .into_iter()
                .any(|number| self.number(number))
            || self.measures(task)
            || self.durations.has(&self.text, task.scheduler_delay())
            || self.durations.has(&self.text, task.getting_result_time())
    }

    fn names(&mut self, place: u32) -> bool {
        let at = place as usize;
        if self.names.len() <= at {
            self.names.resize(at + 1, None);
        }
        *self.names[at].get_or_insert_with(|| has(&self.text, self.view.name(place)))
    }

    /// Numbers mostly differ.
    fn number(&self, number: i64) -> bool {
        if !self.numbers {
            return false;
        }
        let mut digits = [0; 20];
        let mut begin = digits.len();
        let mut rest = number.unsigned_abs();
        loop {
            begin -= 1;
            digits[begin] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            begin -= 1;
            digits[begin] = b'-';
        }
        self.text.find(&digits[begin..]).is_some()
    }

    fn measures(&mut self, task: &Task) -> bool {
        let Some(metrics) = &task.metrics else {
            return false;
        };
        let times = [
            metrics.get(at::DESERIALIZE_TIME),
            metrics.get(at::RUN_TIME),
            metrics.get(at::GC_TIME),
            metrics.get(at::RESULT_SERIALIZATION_TIME),
            metrics.get(at::FETCH_WAIT_TIME),
            metrics.get(at::WRITE_TIME) / 1_000_000,
        ];
        let sizes = [
            metrics.get(at::MEMORY_SPILLED),
            metrics.get(at::DISK_SPILLED),
            metrics.get(at::PEAK_EXECUTION_MEMORY),
            metrics.get(at::INPUT_BYTES),
            metrics.get(at::OUTPUT_BYTES),
            metrics.get(at::REMOTE_BYTES),
            metrics.get(at::WRITE_BYTES),
            metrics.sum(at::LOCAL_BYTES, at::REMOTE_BYTES),
        ];
        let counts = [
            metrics.get(at::INPUT_RECORDS),
            metrics.get(at::OUTPUT_RECORDS),
            metrics.get(at::READ_RECORDS),
            metrics.get(at::WRITE_RECORDS),
        ];
        times.into_iter().any(|time| self.durations.has(&self.text, time))
            || sizes.into_iter().any(|bytes| self.sizes.has(&self.text, bytes))
            || counts.into_iter().any(|count| self.number(count))
    }
}

/// The tasks that have a text in what their row shows.
#[derive(Debug)]
pub(super) struct Found(Vec<i64>);

impl Found {
    pub(super) fn has(&self, id: i64) -> bool {
        self.0.binary_search(&id).is_ok()
    }
}

/// Searches all tasks of a stage attempt.
pub(super) fn matching(view: &View, key: StageKey, text: &str) -> io::Result<Found> {
    let begin = || (Search::of(view, text), Vec::new());
    let found = view.look_at_tasks(key, begin, |(search, found), task| {
        if search.shows(task) {
            found.push(task.id);
        }
    })?;
    let mut found: Vec<i64> = found.into_iter().flat_map(|(_, found)| found).collect();
    found.sort_unstable();
    Ok(Found(found))
}

#[cfg(test)]
mod tests {
    use crate::model::metrics::Metrics;
    use crate::model::task::Outcome;
    use crate::model::{Application, Limits};

    use super::*;

    /// What a row shows, each text written.
    fn shown(task: &Task) -> Vec<String> {
        let mut all = vec![
            String::new(),
            task.status.name().to_owned(),
            task.speculative.to_string(),
            task.error.clone().unwrap_or(ABSENT.to_owned()),
            if task.result_fetch > 0 {
                java_date(task.result_fetch)
            } else {
                ABSENT.to_owned()
            },
            page_date(task.launched),
            task.id.to_string(),
            task.index.to_string(),
            task.attempt.to_string(),
            short_duration(task.scheduler_delay()),
            short_duration(task.getting_result_time()),
        ];
        if let Some(metrics) = &task.metrics {
            let m = |place| metrics.get(place);
            all.extend([0, 2, 5, 6, 16].map(|place| short_duration(m(place))));
            all.push(short_duration(m(32) / 1_000_000));
            all.extend([7, 8, 9, 10, 12, 17, 31].map(|place| size(m(place))));
            all.push(size(metrics.sum(17, 19)));
            all.extend([11, 13, 20, 33].map(|place| m(place).to_string()));
        }
        all
    }

    #[test]
    fn what_is_found_is_what_rows_show() {
        let view = Application::new(Limits::default()).into_view(0);
        let tasks: Vec<Task> = (0..400i64)
            .map(|id| {
                let mut metrics = Metrics::default();
                for (place, number) in metrics.0.iter_mut().enumerate() {
                    *number = (id * 7919 + 31)
                        .wrapping_pow(1 + place as u32 % 3)
                        .rem_euclid(5_000_000_007)
                        - 40;
                }
                Task {
                    id: id * 1009 - 5,
                    index: id as i32,
                    attempt: (id % 3) as i32,
                    launched: 1_795_304_699_487 + id * 977 - if id % 50 == 0 { 1 << 41 } else { 0 },
                    duration: id * id * 91,
                    result_fetch: if id % 4 == 0 { 1_795_304_699_400 + id } else { -1 },
                    status: if id % 7 == 0 {
                        Outcome::Failed
                    } else {
                        Outcome::Succeeded
                    },
                    speculative: id % 5 == 0,
                    error: (id % 7 == 0).then(|| format!("Größe {id} MiB, at 12:30")),
                    metrics: (id % 9 != 0).then_some(metrics),
                    ..Task::default()
                }
            })
            .collect();
        let mut texts: Vec<String> = [
            "",
            "d",
            "-",
            " ",
            "succ",
            "FAIL",
            "true",
            "größe",
            "utc",
            "sat nov",
            "xyz",
            "9223372036854775807",
        ]
        .map(str::to_owned)
        .to_vec();
        for task in tasks.iter().step_by(37) {
            for text in shown(task) {
                let from = text.chars().count() / 3;
                texts.extend([text.to_uppercase(), text.chars().skip(from).take(4).collect()]);
            }
        }
        for text in texts {
            let mut search = Search::of(&view, &text);
            let lower = text.to_lowercase();
            for task in &tasks {
                let expected = shown(task).iter().any(|shown| shown.to_lowercase().contains(&lower));
                assert_eq!(search.shows(task), expected, "{text:?} in {:?}", shown(task));
            }
        }
    }
}
