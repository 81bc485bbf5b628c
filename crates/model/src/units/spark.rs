//! Sizes and durations as Spark shows them in its logs, its metrics and the pages of its UI.

/// Sizes as `Utils.bytesToString` writes them: a unit is used from twice its size on.
pub fn size(bytes: i64) -> String {
    const UNITS: [(&str, u32); 6] = [
        ("EiB", 60),
        ("PiB", 50),
        ("TiB", 40),
        ("GiB", 30),
        ("MiB", 20),
        ("KiB", 10),
    ];
    for (unit, bits) in UNITS {
        let one = 1i64 << bits;
        if one.checked_mul(2).is_some_and(|two| bytes >= two) {
            return format!("{} {unit}", rounded(bytes, one));
        }
    }
    format!("{}.0 B", bytes)
}

/// `bytes / one` with one digit, halves away from zero, as `%.1f` of the exact quotient.
fn rounded(bytes: i64, one: i64) -> String {
    let (bytes, one) = (i128::from(bytes), i128::from(one));
    let tenths = (bytes * 20 + one) / (one * 2);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Durations as `Utils.msDurationToString` writes them.
pub fn duration(millis: i64) -> String {
    const SECOND: i64 = 1000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    match millis {
        ..SECOND => format!("{millis} ms"),
        SECOND..MINUTE => format!("{} s", tenths_of(millis, SECOND)),
        MINUTE..HOUR => format!("{} m", tenths_of(millis, MINUTE)),
        _ => format!("{} h", hundredths_of(millis, HOUR)),
    }
}

/// Durations as the pages of Spark's UI write them (`UIUtils.formatDuration`).
pub fn short_duration(millis: i64) -> String {
    let seconds = millis as f64 / 1000.0;
    let minutes = seconds / 60.0;
    match millis {
        ..100 => format!("{millis} ms"),
        100..1000 => format!("{:.1} s", half_up(seconds, 10.0)),
        1000..60_000 => format!("{:.0} s", half_up(seconds, 1.0)),
        60_000..600_000 => format!("{:.1} min", half_up(minutes, 10.0)),
        600_000..3_600_000 => format!("{:.0} min", half_up(minutes, 1.0)),
        _ => format!("{:.1} h", half_up(minutes / 60.0, 10.0)),
    }
}

/// One digit of a single-precision quotient, as Spark computes it.
fn tenths_of(millis: i64, unit: i64) -> String {
    format!("{:.1}", half_up(f64::from(millis as f32 / unit as f32), 10.0))
}

fn hundredths_of(millis: i64, unit: i64) -> String {
    format!("{:.2}", half_up(f64::from(millis as f32 / unit as f32), 100.0))
}

/// Java rounds the decimal digits of a number half up; Rust rounds its exact value half to even.
fn half_up(number: f64, scale: f64) -> f64 {
    (number * scale + 0.5 + 1e-9).floor() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations() {
        for (bytes, text) in [
            (0, "0.0 B"),
            (2047, "2047.0 B"),
            (2048, "2.0 KiB"),
            (245_555, "239.8 KiB"),
            (4 << 20, "4.0 MiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        for (millis, text) in [
            (0, "0 ms"),
            (99, "99 ms"),
            (150, "0.2 s"),
            (1499, "1 s"),
            (1500, "2 s"),
            (90_000, "1.5 min"),
            (660_000, "11 min"),
            (5_400_000, "1.5 h"),
        ] {
            assert_eq!(short_duration(millis), text);
        }
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1.0 s"),
            (61_000, "1.0 m"),
            (7_200_000, "2.00 h"),
        ] {
            assert_eq!(duration(millis), text);
        }
    }
}
