//! Lines, bands, areas and bars over numbers: the places are found here, the labels are the page's.

/// Size of a picture in its units, and what the axes take of it.
pub const WIDTH: i64 = 1000;
/// See there.
pub const HEIGHT: i64 = 250;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 26.0;

/// From which number to which an axis goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Axis {
    /// The first number.
    pub from: f64,
    /// The last number; greater.
    pub until: f64,
    /// Whether equal factors are equally far: then both numbers are above nothing.
    pub factors: bool,
}

impl Axis {
    /// From nothing to the greatest of some numbers.
    pub fn up_to(numbers: impl Iterator<Item = f64>) -> Axis {
        let most = numbers.filter(|number| number.is_finite()).fold(0.0, f64::max);
        Axis {
            from: 0.0,
            until: if most > 0.0 { most } else { 1.0 },
            factors: false,
        }
    }

    /// Where a number is: from 0 to 1.
    fn place(&self, number: f64) -> f64 {
        let scale = |number: f64| {
            if self.factors {
                number.max(f64::MIN_POSITIVE).ln()
            } else {
                number
            }
        };
        let (from, until) = (scale(self.from), scale(self.until));
        match until > from {
            true => ((scale(number) - from) / (until - from)).clamp(0.0, 1.0),
            false => 0.5,
        }
    }

    /// A few round numbers of it: 1, 2 or 5 times a power of ten apart.
    pub fn marks(&self) -> Vec<f64> {
        let range = self.until - self.from;
        if !range.is_finite() || range <= 0.0 {
            return vec![self.from];
        }
        let power = 10f64.powf((range / 5.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|digit| digit * power)
            .find(|step| range / step <= 5.0)
            .unwrap_or(range);
        let first = (self.from / step).ceil();
        (0..=5)
            .map(|place| (first + f64::from(place)) * step)
            .filter(|mark| *mark <= self.until)
            .collect()
    }
}

/// A picture of lines.
#[derive(Debug, Default)]
pub struct Chart {
    /// Heading.
    pub title: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Marks below: place and label.
    pub below: Vec<(i64, String)>,
    /// Marks at the left: place and label.
    pub beside: Vec<(i64, String)>,
    /// What is drawn: class and outline.
    pub shapes: Vec<(&'static str, String)>,
    /// Points of their own.
    pub dots: Vec<Dot>,
    /// What the classes are.
    pub legend: Vec<(&'static str, String)>,
    across: Axis,
    up: Axis,
}

/// A point.
#[derive(Debug, Default)]
pub struct Dot {
    /// Where.
    pub x: i64,
    /// See there.
    pub y: i64,
    /// For the style.
    pub class: &'static str,
    /// What it is.
    pub title: String,
    /// Where it leads.
    pub to: Option<String>,
}

impl Chart {
    /// An empty one with these axes.
    pub fn new(title: &'static str, about: &'static str, across: Axis, up: Axis) -> Chart {
        Chart {
            title,
            about,
            across,
            up,
            ..Chart::default()
        }
    }

    /// Whether a point of it leads somewhere: then it is more than an image.
    pub fn has_links(&self) -> bool {
        self.dots.iter().any(|dot| dot.to.is_some())
    }

    fn at(&self, (x, y): (f64, f64)) -> (i64, i64) {
        let wide = WIDTH as f64 - LEFT - RIGHT;
        let high = HEIGHT as f64 - TOP - BOTTOM;
        let x = LEFT + self.across.place(x) * wide;
        let y = TOP + (1.0 - self.up.place(y)) * high;
        (x.round() as i64, y.round() as i64)
    }

    /// Marks below the picture.
    pub fn label_below(&mut self, marks: impl Iterator<Item = (f64, String)>) {
        let at = marks.map(|(number, label)| (self.at((number, 0.0)).0, label));
        self.below = at.collect();
    }

    /// Marks at its left.
    pub fn label_beside(&mut self, label: impl Fn(f64) -> String) {
        let marks = self.up.marks().into_iter();
        self.beside = marks
            .map(|number| (self.at((self.across.from, number)).1, label(number)))
            .collect();
    }

    /// A line through points. What is no number leaves a gap.
    pub fn line(&mut self, class: &'static str, points: impl Iterator<Item = (f64, f64)>) {
        let mut path = String::new();
        let mut pen = 'M';
        for point in points {
            if !point.1.is_finite() {
                pen = 'M';
                continue;
            }
            let (x, y) = self.at(point);
            path.push_str(&format!("{pen}{x} {y}"));
            pen = 'L';
        }
        if !path.is_empty() {
            self.shapes.push((class, path));
        }
    }

    /// What is between two lines.
    pub fn band(&mut self, class: &'static str, lower: &[(f64, f64)], upper: &[(f64, f64)]) {
        let mut path = String::new();
        for (place, point) in upper.iter().chain(lower.iter().rev()).enumerate() {
            let (x, y) = self.at(*point);
            path.push_str(&format!("{}{x} {y}", if place == 0 { 'M' } else { 'L' }));
        }
        if !path.is_empty() {
            path.push('Z');
            self.shapes.push((class, path));
        }
    }

    /// Bars from nothing up or down: from where to where, and how high. What is no number has none.
    pub fn bars(&mut self, class: &'static str, bars: impl Iterator<Item = (f64, f64, f64)>) {
        let mut path = String::new();
        for (from, until, height) in bars.filter(|(.., height)| height.is_finite()) {
            let ((left, base), (right, top)) = (self.at((from, 0.0)), self.at((until, height)));
            path.push_str(&format!("M{left} {base}V{top}H{right}V{base}Z"));
        }
        if !path.is_empty() {
            self.shapes.push((class, path));
        }
    }

    /// A point of its own.
    pub fn dot(&mut self, class: &'static str, point: (f64, f64), title: String, to: Option<String>) {
        let (x, y) = self.at(point);
        self.dots.push(Dot { x, y, class, title, to });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_a_few_round_marks_within_them() {
        for (from, until) in [(0.0, 1.0), (0.0, 7.3), (3.0, 1e9), (0.0, 0.002), (5.0, 5.0)] {
            let axis = Axis {
                from,
                until,
                factors: false,
            };
            let marks = axis.marks();
            assert!((1..=6).contains(&marks.len()), "{marks:?}");
            assert!(marks.iter().all(|mark| (from..=until).contains(mark)), "{marks:?}");
        }
    }

    #[test]
    fn lines_stay_within_the_picture_and_have_gaps() {
        let across = Axis {
            from: 1.0,
            until: 64.0,
            factors: true,
        };
        let mut chart = Chart::new("", "", across, Axis::up_to([10.0].into_iter()));
        let points = [(1.0, 0.0), (8.0, 5.0), (16.0, f64::NAN), (32.0, 99.0), (64.0, 10.0)];
        chart.line("a", points.into_iter());
        let (_, path) = &chart.shapes[0];
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(chart.at((8.0, 5.0)), (536, 118));
        assert_eq!(chart.at((1.0, 0.0)).1, HEIGHT - 26);
        chart.bars("c", [(1.0, 8.0, 5.0), (8.0, 16.0, f64::NAN)].into_iter());
        assert_eq!(chart.shapes[1], ("c", "M96 224V118H536V224Z".to_owned()));
        chart.band("b", &[(1.0, 0.0), (64.0, 1.0)], &[(1.0, 2.0), (64.0, 3.0)]);
        assert!(chart.shapes[2].1.ends_with('Z'));
    }
}
