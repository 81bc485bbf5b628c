//! A whole as boxes whose areas are its parts: squarified, so that none is a thin line where it need not be.

/// Size of a picture in its units.
pub const WIDTH: i64 = 1000;
/// See there.
pub const HEIGHT: i64 = 420;

/// The picture.
#[derive(Debug, Default)]
pub struct Treemap {
    /// Heading.
    pub title: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Its boxes, those around others before them.
    pub boxes: Vec<Block>,
    /// What the classes are.
    pub legend: Vec<(&'static str, String)>,
}

/// A box.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// Left edge.
    pub x: i64,
    /// Upper edge.
    pub y: i64,
    pub width: i64,
    pub height: i64,
    /// For the style.
    pub class: &'static str,
    /// What stands in it, where there is room.
    pub label: String,
    /// What it is.
    pub title: String,
}

/// A rectangle: left, upper, width, height.
pub type Area = (f64, f64, f64, f64);

/// The picture's whole area.
pub const WHOLE: Area = (0.0, 0.0, WIDTH as f64, HEIGHT as f64);

/// Divides an area into parts as large as the weights are beside each other (Bruls, Huizing, van Wijk). They come in the order of the
/// weights, which should begin with the greatest.
pub fn divide(weights: &[f64], area: Area) -> Vec<Area> {
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return weights.iter().map(|_| (area.0, area.1, 0.0, 0.0)).collect();
    }
    let scale = area.2 * area.3 / total;
    let sizes: Vec<f64> = weights.iter().map(|weight| weight.max(0.0) * scale).collect();
    let mut placed = Vec::with_capacity(sizes.len());
    let (mut left, mut begin) = (area, 0);
    while begin < sizes.len() {
        let side = left.2.min(left.3);
        let mut end = begin + 1;
        while end < sizes.len() && worst(&sizes[begin..=end], side) <= worst(&sizes[begin..end], side) {
            end += 1;
        }
        let row = &sizes[begin..end];
        let thick = if side > 0.0 {
            row.iter().sum::<f64>() / side
        } else {
            0.0
        };
        let mut at = 0.0;
        for size in row {
            let long = if thick > 0.0 { size / thick } else { 0.0 };
            placed.push(match left.2 >= left.3 {
                true => (left.0, left.1 + at, thick, long),
                false => (left.0 + at, left.1, long, thick),
            });
            at += long;
        }
        left = match left.2 >= left.3 {
            true => (left.0 + thick, left.1, (left.2 - thick).max(0.0), left.3),
            false => (left.0, left.1 + thick, left.2, (left.3 - thick).max(0.0)),
        };
        begin = end;
    }
    placed
}

/// How far the longest box of a row is from a square.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let greatest = row.iter().copied().fold(0.0, f64::max);
    let least = row.iter().copied().fold(f64::INFINITY, f64::min);
    match least > 0.0 && sum > 0.0 {
        true => (side * side * greatest / (sum * sum)).max(sum * sum / (side * side * least)),
        false => f64::INFINITY,
    }
}

/// A box of an area, of whole units, with the first of some labels that there is room for; nothing when it would not be seen.
pub fn block(area: Area, class: &'static str, labels: &[&str], title: String) -> Option<Block> {
    let (x, y) = (area.0.round() as i64, area.1.round() as i64);
    let width = (area.0 + area.2).round() as i64 - x;
    let height = (area.1 + area.3).round() as i64 - y;
    let room = usize::try_from((width - 8) / 7).unwrap_or(0);
    let fits = |label: &&&str| height >= 16 && label.chars().count() <= room;
    let label = labels
        .iter()
        .find(fits)
        .map_or(String::new(), |label| (*label).to_owned());
    (width > 0 && height > 0).then_some(Block {
        x,
        y,
        width,
        height,
        class,
        label,
        title,
    })
}

/// What is left within an area when its name stands above.
pub fn below_a_name(area: Area) -> Area {
    let (edge, name) = (3.0, 18.0);
    match area.2 > 4.0 * edge && area.3 > 2.0 * name {
        true => (area.0 + edge, area.1 + name, area.2 - 2.0 * edge, area.3 - name - edge),
        false => area,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_their_areas_and_stay_within_the_whole() {
        for weights in [
            vec![6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0],
            vec![1.0],
            vec![1000.0, 1.0, 1.0],
            vec![5.0, 0.0],
            vec![],
            (1..200).rev().map(f64::from).collect(),
        ] {
            let placed = divide(&weights, WHOLE);
            assert_eq!(placed.len(), weights.len());
            let total: f64 = weights.iter().sum();
            for ((x, y, width, height), weight) in placed.iter().zip(&weights) {
                let share = width * height / (WHOLE.2 * WHOLE.3);
                assert!((share - weight / total).abs() < 1e-6, "{weight}: {share}");
                assert!(*x >= -1e-6 && *y >= -1e-6 && x + width <= WHOLE.2 + 1e-6 && y + height <= WHOLE.3 + 1e-6);
            }
        }
        assert!(divide(&[0.0, 0.0], WHOLE).iter().all(|area| area.2 == 0.0));
    }

    #[test]
    fn boxes_are_nearly_squares() {
        let placed = divide(&[1.0; 12], WHOLE);
        assert!(
            placed
                .iter()
                .all(|(_, _, width, height)| width / height < 3.0 && height / width < 3.0)
        );
    }
}
