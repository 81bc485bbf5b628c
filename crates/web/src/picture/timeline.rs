//! Lanes over time: jobs or stages above, executors below.

use super::grid::{CELLS, Grid};

/// Left edge and width of the lanes, in units of the picture.
pub const LEFT: i64 = 150;
/// See there.
pub const WIDE: i64 = 840;
/// Height of a lane.
const LANE: i64 = 18;
/// Lanes of jobs, at most.
const ROWS: usize = 6;

/// The picture.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Heading.
    pub title: &'static str,
    /// What it shows.
    pub about: &'static str,
    pub height: i64,
    /// Marks of the axis: place, milliseconds since the start.
    pub marks: Vec<(i64, i64)>,
    /// Bars of jobs and stages.
    pub bars: Vec<Bar>,
    /// Lanes of executors.
    pub lanes: Vec<Lane>,
    /// What is not shown, in words.
    pub notes: Vec<String>,
}

/// A job or a stage.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// Left edge.
    pub x: i64,
    /// Upper edge.
    pub y: i64,
    pub width: i64,
    /// State, for the style.
    pub class: &'static str,
    /// What it is.
    pub title: String,
    /// Short name, where there is room.
    pub label: String,
    /// Where it leads.
    pub to: String,
}

/// An executor.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lane {
    /// Upper edge.
    pub y: i64,
    /// Its name.
    pub label: String,
    /// Left edge of its life.
    pub x: i64,
    /// Width of its life.
    pub width: i64,
    /// Whether it was removed before the end.
    pub lost: bool,
    /// What it is.
    pub title: String,
    /// Left edge, width, level.
    pub cells: Vec<(i64, i64, u8)>,
}

/// Something that lasted, to be drawn.
#[derive(Debug, Clone)]
pub struct Span {
    /// From when.
    pub from: i64,
    /// Until when.
    pub until: i64,
    /// State, for the style.
    pub class: &'static str,
    /// What it is.
    pub title: String,
    /// Short name.
    pub label: String,
    /// Where it leads.
    pub to: String,
}

/// An executor, to be drawn.
#[derive(Debug, Clone)]
pub struct Life {
    pub id: String,
    /// From when.
    pub from: i64,
    /// Until when, where it was removed.
    pub until: Option<i64>,
    /// Tasks at once.
    pub slots: i32,
    /// What it is.
    pub title: String,
}

impl Timeline {
    /// Lays it out between two moments. Gives the spans that found no place.
    pub fn of(
        (from, until): (i64, i64),
        mut spans: Vec<Span>,
        lives: &[Life],
        grid: Option<&Grid>,
    ) -> (Timeline, usize) {
        let range = (until - from).max(1);
        let x = |at: i64| LEFT + (at.clamp(from, until) - from) * WIDE / range;
        spans.sort_by_key(|span| (span.from, span.until));
        let mut ends: Vec<i64> = Vec::new();
        let mut bars = Vec::new();
        let mut left_out = 0;
        let total = spans.len();
        for span in spans {
            let begin = x(span.from);
            let width = (x(span.until) - begin).max(3);
            let row = match ends.iter().position(|end| *end <= begin) {
                Some(row) => row,
                None if ends.len() < ROWS => {
                    ends.push(0);
                    ends.len() - 1
                }
                None => {
                    left_out += 1;
                    continue;
                }
            };
            ends[row] = begin + width + 1;
            let room = usize::try_from(width / 7).unwrap_or(0);
            let fits = span.label.chars().count() <= room;
            bars.push(Bar {
                x: begin,
                y: 4 + i64::try_from(row).unwrap_or(0) * LANE,
                width,
                class: span.class,
                title: span.title,
                label: if fits { span.label } else { String::new() },
                to: span.to,
            });
        }
        let rows = i64::try_from(ends.len()).unwrap_or(0);
        let top = 4 + rows * LANE + if rows > 0 { 6 } else { 0 };
        let cells = i64::try_from(CELLS).unwrap_or(1);
        let lane = |(place, life): (usize, &Life)| {
            let begin = x(life.from);
            let runs = grid.map(|grid| grid.runs(&life.id, life.slots)).unwrap_or_default();
            let edge = |cell: usize| {
                let at = from + i64::try_from(cell).unwrap_or(cells) * grid.map_or(1, |grid| grid.step);
                x(at)
            };
            let end = begin + (x(life.until.unwrap_or(until)) - begin).max(2);
            // Tasks that were never told to have ended do not outlive their executor.
            let cell = |(first, length, level): (usize, usize, u8)| {
                let (left, right) = (edge(first).max(begin), edge(first + length).min(end));
                (left, (right - left).max(1), level)
            };
            Lane {
                y: top + i64::try_from(place).unwrap_or(0) * LANE,
                label: life.id.clone(),
                x: begin,
                width: end - begin,
                lost: life.until.is_some_and(|end| end < until),
                title: life.title.clone(),
                cells: runs
                    .into_iter()
                    .filter(|(first, ..)| edge(*first) < end)
                    .map(cell)
                    .collect(),
            }
        };
        let lanes: Vec<Lane> = lives.iter().enumerate().map(lane).collect();
        let height = top + i64::try_from(lanes.len()).unwrap_or(0) * LANE + 22;
        let picture = Timeline {
            height,
            marks: marks(range).map(|mark| (LEFT + mark * WIDE / range, mark)).collect(),
            bars,
            lanes,
            ..Timeline::default()
        };
        debug_assert!(picture.bars.len() + left_out == total);
        (picture, left_out)
    }
}

/// Round steps of time, in milliseconds.
const STEPS: [i64; 24] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    1_200_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000,
];

/// Marks of an axis of this many milliseconds: five to ten round ones.
fn marks(range: i64) -> impl Iterator<Item = i64> {
    let step = STEPS.into_iter().find(|step| range / step <= 8);
    let days = 86_400_000;
    let step = step.unwrap_or(((range / 8 / days) + 1) * days);
    (0..=range / step).map(move |place| place * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64, until: i64) -> Span {
        Span {
            from,
            until,
            class: "succeeded",
            title: String::new(),
            label: "Job 1".to_owned(),
            to: String::new(),
        }
    }

    #[test]
    fn bars_do_not_cover_each_other_and_are_bounded() {
        let spans: Vec<Span> = (0..10_000).map(|place| span(place * 3, place * 3 + 500)).collect();
        let (picture, left_out) = Timeline::of((0, 30_000), spans, &[], None);
        assert!(picture.bars.len() + left_out == 10_000 && picture.bars.len() < 2_000);
        for (place, one) in picture.bars.iter().enumerate() {
            for other in &picture.bars[..place] {
                let apart = one.y != other.y || other.x + other.width <= one.x || one.x + one.width <= other.x;
                assert!(apart, "{one:?} {other:?}");
            }
            assert!(one.x >= LEFT);
        }
    }

    #[test]
    fn lanes_follow_the_bars() {
        let lives = [
            Life {
                id: "driver".to_owned(),
                from: -5,
                until: None,
                slots: 1,
                title: String::new(),
            },
            Life {
                id: "1".to_owned(),
                from: 500,
                until: Some(750),
                slots: 1,
                title: String::new(),
            },
        ];
        let (picture, _) = Timeline::of((0, 1000), vec![span(0, 1000)], &lives, None);
        assert_eq!(picture.lanes[0].x, LEFT);
        assert_eq!(picture.lanes[0].width, WIDE);
        assert!(picture.lanes[1].lost && picture.lanes[1].x == LEFT + WIDE / 2 && picture.lanes[1].width == WIDE / 4);
        assert!(picture.lanes[0].y > picture.bars[0].y);
        assert_eq!(picture.bars[0].label, "Job 1");
    }

    #[test]
    fn axes_have_a_few_round_marks() {
        for range in [1, 7, 999, 60_000, 86_400_000, 10_000_000_000] {
            let count = marks(range).count();
            assert!((1..=10).contains(&count), "{range}: {count}");
        }
        assert_eq!(marks(60_000).last(), Some(60_000));
    }
}
