//! Numbers as Spark writes them for people: SQL metrics and dates; sizes and durations are in [`stoke_model::units::spark`].

use stoke_model::units::spark::{duration, size};

use crate::json::moment;

/// The greatest value of a metric, and the task it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greatest {
    pub value: i64,
    /// Stage id.
    pub stage: i32,
    pub attempt: i32,
    /// Task id.
    pub task: i64,
}

/// What a SQL metric comes to (`SQLMetrics.stringValue`): `values` are those that were reported, `zeros` counts the tasks that reported
/// none, which Spark takes for zeros. Numbers below zero were never set.
pub fn metric_text(kind: &str, mut values: Vec<i64>, zeros: usize, greatest: Option<Greatest>) -> String {
    if kind == "sum" {
        return grouped(values.iter().fold(0i64, |sum, value| sum.wrapping_add(*value)));
    }
    let place = match greatest {
        Some(at) => format!("(stage {}.{}: task {})", at.stage, at.attempt, at.task),
        None => "(driver)".to_owned(),
    };
    let show: fn(i64) -> String = match kind {
        "average" => tenths,
        "size" => size,
        "timing" => duration,
        "nsTiming" => |nanos| duration(nanos / 1_000_000),
        // Metrics of a data source's own kinds are sums, as far as a log tells.
        _ => grouped,
    };
    // Averages of nothing say nothing.
    let (least, zeros) = if kind == "average" { (1, 0) } else { (0, zeros) };
    values.retain(|value| *value >= least);
    let count = values.len() + zeros;
    if count <= 1 {
        return show(values.first().copied().unwrap_or(0));
    }
    values.sort_unstable();
    let at = |place: usize| {
        place
            .checked_sub(zeros)
            .and_then(|place| values.get(place))
            .copied()
            .unwrap_or(0)
    };
    let range = format!(
        "({}, {}, {} {place})",
        show(at(0)),
        show(at(count / 2)),
        show(at(count - 1))
    );
    if kind == "average" {
        return format!("(min, med, max (stageId: taskId)):\n{range}");
    }
    let sum = values.iter().fold(0i64, |sum, value| sum.wrapping_add(*value));
    format!("total (min, med, max (stageId: taskId))\n{} {range}", show(sum))
}

/// `1,234,567`
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3 + 1);
    if number < 0 {
        out.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Averages are kept as tenths: `1,234.5`, without a zero behind the point.
fn tenths(number: i64) -> String {
    match number % 10 {
        0 => grouped(number / 10),
        tenth => format!("{}.{}", grouped(number / 10), tenth.abs()),
    }
}

/// A moment as the pages of Spark's UI write it (`UIUtils.formatDate`), in UTC.
pub fn page_date(millis: i64) -> String {
    let ((year, month, day), [hour, minute, second]) = moment(millis);
    format!("{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// A moment as Java's `Date.toString` writes it, in UTC.
pub fn java_date(millis: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let ((year, month, day), [hour, minute, second]) = moment(millis);
    let place = |number: i64| usize::try_from(number).unwrap_or(0);
    let name = DAYS[place(millis.div_euclid(86_400_000).rem_euclid(7))];
    let month = MONTHS[place(month - 1) % 12];
    format!("{name} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(page_date(1_795_304_699_487), "2026/11/21 23:44:59");
        assert_eq!(java_date(1_795_304_699_487), "Sat Nov 21 23:44:59 UTC 2026");
        assert_eq!(java_date(-1), "Wed Dec 31 23:59:59 UTC 1969");
    }

    #[test]
    fn metrics() {
        let at = Some(Greatest {
            value: 5,
            stage: 22,
            attempt: 0,
            task: 28,
        });
        assert_eq!(metric_text("sum", vec![20_000, 0], 3, None), "20,000");
        assert_eq!(metric_text("size", vec![245_555], 0, None), "239.8 KiB");
        assert_eq!(
            metric_text("timing", vec![135, 113], 0, at),
            "total (min, med, max (stageId: taskId))\n248 ms (113 ms, 135 ms, 135 ms (stage 22.0: task 28))"
        );
        assert_eq!(
            metric_text("size", vec![4096, 8192, -1], 2, at),
            "total (min, med, max (stageId: taskId))\n12.0 KiB (0.0 B, 4.0 KiB, 8.0 KiB (stage 22.0: task 28))"
        );
        assert_eq!(
            metric_text("average", vec![12, 10, 20, 0, -1], 4, at),
            "(min, med, max (stageId: taskId)):\n(1, 1.2, 2 (stage 22.0: task 28))"
        );
    }
}
