//! How fast monitoring is: as written in production, or so many times as fast, so that what takes an hour can be seen in seconds.
//!
//! Times in rules stand in angle brackets: `<15m>` is a window, `<#900>` a number of seconds.

/// By how much all times of the pack are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tempo(u32);

impl Default for Tempo {
    fn default() -> Self {
        Self(1)
    }
}

impl Tempo {
    /// So many times as fast; 0 is taken as 1.
    #[must_use]
    pub fn times(factor: u32) -> Self {
        Self(factor.max(1))
    }

    /// These seconds at this tempo, a second at least; none stays none.
    #[must_use]
    pub fn seconds(self, seconds: u64) -> u64 {
        match seconds {
            0 => 0,
            _ => (seconds / u64::from(self.0)).max(1),
        }
    }

    /// A duration as Prometheus writes it.
    #[must_use]
    pub fn duration(self, seconds: u64) -> String {
        written(self.seconds(seconds))
    }

    /// The text with its times at this tempo.
    #[must_use]
    pub fn text(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(begin) = rest.find('<') {
            let (before, after) = rest.split_at(begin);
            out.push_str(before);
            let end = after.find('>').unwrap_or(0);
            match after.get(1..end).and_then(|inner| self.time(inner)) {
                Some(time) => {
                    out.push_str(&time);
                    rest = &after[end + 1..];
                }
                None => {
                    out.push('<');
                    rest = &after[1..];
                }
            }
        }
        out + rest
    }

    fn time(self, inner: &str) -> Option<String> {
        if let Some(number) = inner.strip_prefix('#') {
            return Some(self.seconds(number.parse().ok()?).to_string());
        }
        Some(self.duration(seconds_of(inner)?))
    }
}

/// `15m` in seconds.
pub(super) fn seconds_of(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// Seconds in the largest unit that is whole.
pub(super) fn written(seconds: u64) -> String {
    for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60)] {
        if seconds > 0 && seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_a_text_are_made_faster_and_comparisons_stay() {
        let text = "rate(x[<15m>]) < 3 and time() - y > <#900> or z offset <1h> < 4";
        let plain = Tempo::default().text(text);
        assert_eq!(plain, "rate(x[15m]) < 3 and time() - y > 900 or z offset 1h < 4");
        let fast = Tempo::times(60).text(text);
        assert_eq!(fast, "rate(x[15s]) < 3 and time() - y > 15 or z offset 1m < 4");
        assert_eq!(Tempo::times(3600).seconds(60), 1, "never nothing");
        assert_eq!(Tempo::default().duration(0), "0s");
    }
}
