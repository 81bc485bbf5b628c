//! Formats of dates and times as Python's `strptime` reads them.
//!
//! Source: the documentation of Python's `datetime`, and Python 3.11 itself, which the test `great_expectations` compares with this. A format becomes a
//! pattern that must take all of a text; what it took must then be a day and a time that exist. Names of months and days are English, as in Python's
//! default locale.

use jiff::civil::Date;
use regex::Regex;

/// A format.
#[derive(Clone, Debug)]
pub struct Strptime {
    format: String,
    pattern: Regex,
}

impl PartialEq for Strptime {
    fn eq(&self, other: &Self) -> bool {
        self.format == other.format
    }
}

const DAYS: &str = "monday|tuesday|wednesday|thursday|friday|saturday|sunday";
/// Months by their English names.
pub(super) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl Strptime {
    /// Reads a format.
    ///
    /// # Errors
    /// When it has a directive that is not known, or one twice, in words.
    pub fn new(format: &str) -> Result<Self, String> {
        let mut pattern = String::from("(?i)^");
        let mut rest = format.chars();
        while let Some(character) = rest.next() {
            if character.is_whitespace() {
                let spaces = rest.as_str();
                rest = spaces.trim_start().chars();
                pattern.push_str(r"\s+");
            } else if character == '%' {
                let directive = rest.next().ok_or("it ends with `%`")?;
                directive_pattern(directive, &mut pattern)?;
            } else {
                pattern.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
            }
        }
        // A directive that stands there twice is two groups of one name, which a pattern cannot have.
        let pattern = Regex::new(&pattern).map_err(|_| "a directive stands there twice".to_owned())?;
        Ok(Self {
            format: format.to_owned(),
            pattern,
        })
    }

    /// The format as it is written.
    pub fn as_str(&self) -> &str {
        &self.format
    }

    /// Whether a text is of the format.
    pub fn takes(&self, text: &str) -> bool {
        let Some(found) = self.pattern.captures(text) else {
            return false;
        };
        // What is taken first must be all; Python does not look for another way.
        if found.get(0).is_none_or(|all| all.end() != text.len()) {
            return false;
        }
        let number = |name: &str| found.name(name)?.as_str().trim().parse::<i16>().ok();
        if number("S").is_some_and(|second| second > 59) {
            return false;
        }
        let year = match (number("Y"), number("y")) {
            (Some(year), _) => year,
            (None, Some(year)) if year <= 68 => 2000 + year,
            (None, Some(year)) => 1900 + year,
            (None, None) => 1900,
        };
        let named = |name: &str| {
            let found = found.name(name)?.as_str().to_ascii_lowercase();
            let at = MONTHS.iter().position(|month| month.starts_with(&found))?;
            i8::try_from(at + 1).ok()
        };
        let small = |name: &str| number(name).and_then(|number| i8::try_from(number).ok());
        let month = small("m").or(named("B")).or(named("b")).unwrap_or(1);
        // A day of the year, or a week, always becomes some day.
        Date::new(year, month, small("d").unwrap_or(1)).is_ok_and(|_| year > 0)
    }
}

fn directive_pattern(directive: char, pattern: &mut String) -> Result<(), String> {
    let months = || MONTHS.join("|");
    let short = |names: &str| names.split('|').map(|name| &name[..3]).collect::<Vec<_>>().join("|");
    let (name, inner) = match directive {
        'd' => ("d", r"3[0-1]|[1-2]\d|0[1-9]|[1-9]| [1-9]".to_owned()),
        'f' => ("f", "[0-9]{1,6}".to_owned()),
        'H' => ("H", r"2[0-3]|[0-1]\d|\d".to_owned()),
        'I' => ("I", "1[0-2]|0[1-9]|[1-9]".to_owned()),
        'j' => (
            "j",
            r"36[0-6]|3[0-5]\d|[1-2]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9]".to_owned(),
        ),
        'm' => ("m", "1[0-2]|0[1-9]|[1-9]".to_owned()),
        'M' => ("M", r"[0-5]\d|\d".to_owned()),
        'S' => ("S", r"6[0-1]|[0-5]\d|\d".to_owned()),
        'w' => ("w", "[0-6]".to_owned()),
        'y' => ("y", r"\d\d".to_owned()),
        'Y' => ("Y", r"\d\d\d\d".to_owned()),
        'z' => ("z", r"[+-]\d\d:?[0-5]\d(?::?[0-5]\d(?:\.\d{1,6})?)?|(?-i:Z)".to_owned()),
        'Z' => ("Z", "utc|gmt".to_owned()),
        'A' => ("A", DAYS.to_owned()),
        'a' => ("a", short(DAYS)),
        'B' => ("B", months()),
        'b' => ("b", short(&months())),
        'p' => ("p", "am|pm".to_owned()),
        '%' => {
            pattern.push('%');
            return Ok(());
        }
        'c' => return nested("%a %b %d %H:%M:%S %Y", pattern),
        'x' => return nested("%m/%d/%y", pattern),
        'X' => return nested("%H:%M:%S", pattern),
        other => return Err(format!("the directive `%{other}` is not known")),
    };
    pattern.push_str(&format!("(?P<{name}>{inner})"));
    Ok(())
}

fn nested(format: &str, pattern: &mut String) -> Result<(), String> {
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        match character {
            '%' => directive_pattern(rest.next().unwrap_or('%'), pattern)?,
            ' ' => pattern.push_str(r"\s+"),
            other => pattern.push(other),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_of_a_format_or_not() {
        let table = [
            ("%d.%m.%Y", "28.02.2026", true),
            ("%d.%m.%Y", "30.02.2026", false),
            ("%d.%m.%Y", "28.02.2026 ", false),
            ("%H:%M", "23:59", true),
            ("%m/%d/%Y", "1/2/26", false),
            ("%b %d, %Y", "JAN  2, 2026", true),
            ("%Y-%m-%dT%H:%M:%S%z", "2026-01-02T03:04:05Z", true),
            ("%H:%M:%S", "23:59:60", false),
            ("%d.%m.", "29.02.", false),
            ("(%Y)", "(2026)", true),
        ];
        for (format, text, expected) in table {
            assert_eq!(Strptime::new(format).unwrap().takes(text), expected, "{format} {text}");
        }
        for format in ["%Q", "%Y %Y", "100%"] {
            assert!(Strptime::new(format).is_err(), "{format}");
        }
    }
}
