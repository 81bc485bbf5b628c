//! Parts of a difference, each beginning where the one before ended, so that the last ends at the whole.

/// Width of a picture in its units.
pub const WIDTH: i64 = 1000;
const LEFT: i64 = 20;
const RIGHT: i64 = 110;
const ROW: i64 = 22;
/// Parts that are drawn; the others are one.
const MOST: usize = 14;

/// The picture.
#[derive(Debug, Default)]
pub struct Waterfall {
    /// Heading.
    pub title: &'static str,
    /// What it shows.
    pub about: &'static str,
    pub height: i64,
    /// Where nothing is.
    pub zero: i64,
    /// Its parts, and the whole at last.
    pub steps: Vec<Step>,
}

/// A part.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Left edge.
    pub x: i64,
    /// Upper edge.
    pub y: i64,
    pub width: i64,
    /// `longer`, `shorter` or `whole`.
    pub class: &'static str,
    /// How much.
    pub millis: i64,
    /// What it is.
    pub title: String,
}

impl Waterfall {
    /// Lays out parts, and the word for those that are put together.
    pub fn of(parts: &[(i64, String)], others: &str, whole: &str) -> Waterfall {
        let mut shown: Vec<(i64, String)> = parts.iter().take(MOST).cloned().collect();
        if parts.len() > MOST {
            shown.push((parts[MOST..].iter().map(|(millis, _)| millis).sum(), others.to_owned()));
        }
        let (mut at, mut least, mut most) = (0i64, 0i64, 0i64);
        for (millis, _) in &shown {
            at += millis;
            least = least.min(at);
            most = most.max(at);
        }
        let range = (most - least).max(1);
        let x = |millis: i64| {
            LEFT + (i128::from(millis - least) * i128::from(WIDTH - LEFT - RIGHT) / i128::from(range)) as i64
        };
        let total = at;
        let mut from = 0;
        let mut steps = Vec::with_capacity(shown.len() + 1);
        let rows = shown
            .into_iter()
            .map(|part| (part, false))
            .chain([((total, whole.to_owned()), true)]);
        for (place, ((millis, title), last)) in rows.enumerate() {
            let begin = if last { 0 } else { from };
            let end = begin + millis;
            let (left, right) = (x(begin.min(end)), x(begin.max(end)));
            steps.push(Step {
                x: left,
                y: 4 + i64::try_from(place).unwrap_or(0) * ROW,
                width: (right - left).max(2),
                class: match (last, millis > 0) {
                    (true, _) => "whole",
                    (false, true) => "longer",
                    (false, false) => "shorter",
                },
                millis,
                title,
            });
            from = end;
        }
        Waterfall {
            height: 8 + i64::try_from(steps.len()).unwrap_or(0) * ROW,
            zero: x(0),
            steps,
            ..Waterfall::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_and_end_at_the_whole() {
        let parts: Vec<(i64, String)> = [500, 300, -900, 40]
            .iter()
            .map(|millis| (*millis, String::new()))
            .collect();
        let picture = Waterfall::of(&parts, "others", "in all");
        assert_eq!(
            picture.steps.iter().map(|step| step.millis).collect::<Vec<_>>(),
            [500, 300, -900, 40, -60]
        );
        let steps = &picture.steps;
        assert_eq!(steps[0].x, picture.zero);
        assert!((steps[0].x + steps[0].width - steps[1].x).abs() <= 2);
        assert_eq!(
            (steps[1].class, steps[2].class, steps[4].class),
            ("longer", "shorter", "whole")
        );
        assert!(
            steps
                .iter()
                .all(|step| step.x >= LEFT && step.x + step.width <= WIDTH - RIGHT + 2)
        );
        let many: Vec<(i64, String)> = (0..100).map(|millis| (millis, String::new())).collect();
        let picture = Waterfall::of(&many, "others", "in all");
        assert_eq!(picture.steps.len(), MOST + 2);
        assert_eq!(picture.steps.last().unwrap().millis, (0..100).sum::<i64>());
        assert_eq!(Waterfall::of(&[], "", "").steps.len(), 1);
    }
}
