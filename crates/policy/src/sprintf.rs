//! `sprintf` as Go has it, and therefore OPA.
//!
//! The interpreter's own fails where Go says so in the text: `%d` of a text, a flag it does not know, an argument too many. A builtin that fails is
//! undefined, and a rule whose message is undefined never denies. So a format that does not fit its arguments must still give a text.
//!
//! Source: the documentation of Go's package `fmt`. Not taken: fractions in base 2 and 16.

use std::iter::Peekable;
use std::str::Chars;

use regorus::Value;
use stoke_model::go::quoted;

/// An argument, as OPA hands it to Go: everything but numbers is a text.
enum Argument {
    Int(String),
    Float(f64),
    Text(String),
}

/// What stands between `%` and the verb.
#[derive(Clone, Copy, Default)]
struct Form {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// The widest field; more is someone's mistake.
const MAX_WIDTH: usize = 1_000;

/// Formats values.
pub(crate) fn sprintf(format: &str, values: impl IntoIterator<Item = Value>) -> String {
    let arguments: Vec<Argument> = values.into_iter().map(argument).collect();
    let mut given = Given {
        arguments: &arguments,
        next: 0,
        reordered: false,
        is_bad: false,
    };
    let mut text = String::new();
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        given.is_bad = false;
        let form = Form::read(&mut characters, &mut given, &mut text);
        match characters.next() {
            None => text.push_str("%!(NOVERB)"),
            Some('%') => text.push('%'),
            Some(verb) if given.is_bad => text.push_str(&format!("%!{verb}(BADINDEX)")),
            Some(verb) => match given.take() {
                None => text.push_str(&format!("%!{verb}(MISSING)")),
                Some(argument) => text.push_str(&form.apply(verb, argument)),
            },
        }
    }
    let extra: Vec<String> = arguments.iter().skip(given.next).map(Argument::shown).collect();
    if !extra.is_empty() && !given.reordered {
        text.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    text
}

/// Arguments, and which of them is next.
struct Given<'a> {
    arguments: &'a [Argument],
    next: usize,
    /// True after `[n]`: which arguments are left over cannot be determined any more.
    reordered: bool,
    /// True when `[n]` leads nowhere.
    is_bad: bool,
}

impl<'a> Given<'a> {
    fn take(&mut self) -> Option<&'a Argument> {
        let argument = self.arguments.get(self.next)?;
        self.next += 1;
        Some(argument)
    }

    /// `[n]`: the number of the next argument, from 1.
    fn index(&mut self, characters: &mut Peekable<Chars<'_>>) {
        if characters.next_if_eq(&'[').is_none() {
            return;
        }
        self.reordered = true;
        let index = number(characters).and_then(|number| number.checked_sub(1));
        let closed = characters.find(|character| *character == ']').is_some();
        match index.filter(|index| closed && *index < self.arguments.len()) {
            Some(index) => self.next = index,
            None => self.is_bad = true,
        }
    }

    /// `*`: a width or precision that is an argument.
    fn star(&mut self, characters: &mut Peekable<Chars<'_>>) -> Option<Option<i64>> {
        characters.next_if_eq(&'*')?;
        let Some(Argument::Int(digits)) = self.take() else {
            return Some(None);
        };
        let limit = i64::try_from(MAX_WIDTH).unwrap_or(i64::MAX);
        Some(digits.parse().ok().map(|number: i64| number.clamp(-limit, limit)))
    }
}

fn argument(value: Value) -> Argument {
    match &value {
        Value::String(text) => Argument::Text(text.to_string()),
        Value::Number(_) => {
            let digits = value.to_json_str().unwrap_or_default();
            let whole = digits
                .strip_prefix('-')
                .unwrap_or(&digits)
                .bytes()
                .all(|byte| byte.is_ascii_digit());
            match value.as_f64() {
                Ok(float) if !whole => Argument::Float(float),
                _ => Argument::Int(digits),
            }
        }
        other => Argument::Text(term(other)),
    }
}

/// A value as OPA writes it.
fn term(value: &Value) -> String {
    let joined = |items: Vec<String>| items.join(", ");
    match value {
        Value::Array(items) => format!("[{}]", joined(items.iter().map(term).collect())),
        Value::Set(items) if items.is_empty() => "set()".to_owned(),
        Value::Set(items) => format!("{{{}}}", joined(items.iter_sorted().map(term).collect())),
        Value::Object(fields) => {
            let fields = fields
                .iter_sorted()
                .map(|(key, value)| format!("{}: {}", term(key), term(value)));
            format!("{{{}}}", joined(fields.collect()))
        }
        other => other.to_json_str().unwrap_or_default(),
    }
}

impl Argument {
    fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) => "int64",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
        }
    }

    /// `type=value`, as in complaints.
    fn shown(&self) -> String {
        match self {
            Self::Int(digits) => format!("int64={digits}"),
            Self::Float(float) => format!("float64={}", general(*float, None)),
            Self::Text(text) => format!("string={text}"),
        }
    }
}

impl Form {
    /// What stands between `%` and the verb; what is wrong with it goes into the text.
    fn read(characters: &mut Peekable<Chars<'_>>, given: &mut Given<'_>, text: &mut String) -> Self {
        let mut form = Self::default();
        while let Some(flag) = characters.next_if(|character| "-+# 0".contains(*character)) {
            match flag {
                '-' => form.minus = true,
                '+' => form.plus = true,
                '#' => form.sharp = true,
                ' ' => form.space = true,
                _ => form.zero = true,
            }
        }
        given.index(characters);
        match given.star(characters) {
            Some(Some(width)) => {
                form.minus |= width < 0;
                form.width = usize::try_from(width.unsigned_abs()).ok();
            }
            Some(None) => text.push_str("%!(BADWIDTH)"),
            None => form.width = number(characters),
        }
        if characters.next_if_eq(&'.').is_some() {
            given.index(characters);
            form.precision = match given.star(characters) {
                Some(Some(precision)) => usize::try_from(precision).ok(),
                Some(None) => {
                    text.push_str("%!(BADPREC)");
                    None
                }
                None => Some(number(characters).unwrap_or_default()),
            };
        }
        given.index(characters);
        form
    }

    fn apply(&self, verb: char, argument: &Argument) -> String {
        if verb == 'T' {
            return self.pad(argument.kind().to_owned(), true);
        }
        let plain = Self {
            // With `v` it asks for names of fields, and not for a sign.
            plus: self.plus && verb != 'v',
            ..*self
        };
        plain.verb(verb, argument).unwrap_or_else(|| {
            let shown = plain.verb('v', argument).unwrap_or_default();
            format!("%!{verb}({}={shown})", argument.kind())
        })
    }

    fn verb(&self, verb: char, argument: &Argument) -> Option<String> {
        match argument {
            Argument::Int(digits) => self.int(verb, digits),
            Argument::Float(float) => self.float(verb, *float),
            Argument::Text(text) => self.text(verb, text).map(|text| self.pad(text, true)),
        }
    }

    fn int(&self, verb: char, digits: &str) -> Option<String> {
        let negative = digits.starts_with('-');
        let magnitude = digits.trim_start_matches('-');
        let number: Option<u128> = magnitude.parse().ok();
        let body = match verb {
            'v' | 'd' => magnitude.to_owned(),
            'b' => format!("{}{:b}", if self.sharp { "0b" } else { "" }, number?),
            'o' => format!("{}{:o}", if self.sharp { "0" } else { "" }, number?),
            'O' => format!("0o{:o}", number?),
            'x' => format!("{}{:x}", if self.sharp { "0x" } else { "" }, number?),
            'X' => format!("{}{:X}", if self.sharp { "0X" } else { "" }, number?),
            'c' | 'q' | 'U' => {
                let code = if negative {
                    u32::MAX
                } else {
                    u32::try_from(number?).unwrap_or(u32::MAX)
                };
                let character = char::from_u32(code).unwrap_or('\u{fffd}');
                let text = match verb {
                    'c' => character.to_string(),
                    'q' if character.is_control() => format!("'\\x{:02x}'", u32::from(character)),
                    'q' => format!("'{character}'"),
                    _ => format!("U+{:04X}", u32::from(character)),
                };
                return Some(self.pad(text, false));
            }
            _ => return None,
        };
        let body = match self.precision {
            Some(least) if body.len() < least.min(MAX_WIDTH) => {
                format!("{}{body}", "0".repeat(least.min(MAX_WIDTH) - body.len()))
            }
            _ => body,
        };
        Some(self.pad(self.signed(negative, &body), self.precision.is_none()))
    }

    fn float(&self, verb: char, float: f64) -> Option<String> {
        let precision = self.precision.map(|precision| precision.min(MAX_WIDTH));
        let magnitude = float.abs();
        let body = match verb {
            'v' | 'g' => general(magnitude, precision),
            'G' => general(magnitude, precision).to_uppercase(),
            'f' | 'F' => format!("{magnitude:.*}", precision.unwrap_or(6)),
            'e' => exponential(magnitude, Some(precision.unwrap_or(6))),
            'E' => exponential(magnitude, Some(precision.unwrap_or(6))).to_uppercase(),
            _ => return None,
        };
        Some(self.pad(self.signed(float.is_sign_negative() && float != 0.0, &body), true))
    }

    fn text(&self, verb: char, text: &str) -> Option<String> {
        let cut = |text: &str| match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text.to_owned(),
        };
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Some(match verb {
            'v' if self.sharp => quoted(text),
            'v' | 's' => cut(text),
            'q' if self.sharp && !text.contains('`') => format!("`{text}`"),
            'q' => quoted(&cut(text)),
            'x' => hex(text.as_bytes()),
            'X' => hex(text.as_bytes()).to_uppercase(),
            _ => return None,
        })
    }

    fn signed(&self, negative: bool, body: &str) -> String {
        let sign = match (negative, self.plus, self.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        format!("{sign}{body}")
    }

    /// Fills up to the width: with blanks, or with zeros after the sign.
    fn pad(&self, text: String, zeros: bool) -> String {
        let width = self.width.unwrap_or_default().min(MAX_WIDTH);
        let missing = width.saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        if self.minus {
            return format!("{text}{}", " ".repeat(missing));
        }
        if self.zero && zeros {
            let (sign, digits) = text.split_at(text.len() - text.trim_start_matches(['-', '+', ' ']).len());
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        format!("{}{text}", " ".repeat(missing))
    }
}

fn number(characters: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let mut number = None;
    while let Some(digit) = characters.peek().and_then(|character| character.to_digit(10)) {
        characters.next();
        let digit = usize::try_from(digit).unwrap_or_default();
        number = Some(number.unwrap_or(0_usize).saturating_mul(10).saturating_add(digit));
    }
    number
}

/// `1.5e+06`; without a precision as many digits as tell the number.
fn exponential(magnitude: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(precision) => format!("{magnitude:.precision$e}"),
        None => format!("{magnitude:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// Plain for numbers that are neither large nor small, else [`exponential`].
fn general(float: f64, precision: Option<usize>) -> String {
    let sign = if float.is_sign_negative() && float != 0.0 {
        "-"
    } else {
        ""
    };
    let magnitude = float.abs();
    if magnitude == 0.0 {
        return "0".to_owned();
    }
    let significant = precision.map(|precision| precision.max(1));
    let scientific = exponential(magnitude, significant.map(|digits| digits - 1));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // Go decides at six digits where the shortest text is asked for, and at the precision otherwise.
    let large = significant.map_or(6, |digits| i32::try_from(digits).unwrap_or(i32::MAX));
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= large {
        let (_, shown) = scientific.split_at(mantissa.len());
        return format!("{sign}{}{shown}", trimmed(mantissa));
    }
    let plain = match significant {
        None => format!("{magnitude}"),
        Some(digits) => {
            let decimals =
                usize::try_from(i32::try_from(digits).unwrap_or(i32::MAX) - 1 - exponent).unwrap_or_default();
            trimmed(&format!("{magnitude:.decimals$}"))
        }
    };
    format!("{sign}{plain}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    #[test]
    fn formats_are_those_of_go() {
        for (format, arguments, expected) in [
            ("plain 100%%", json!([]), "plain 100%"),
            (
                "%s|%5s|%-5s|%.2s|%q|%x",
                json!(["a", "b", "c", "def", "a\"\n", "hi"]),
                "a|    b|c    |de|\"a\\\"\\n\"|6869",
            ),
            (
                "%d|%5d|%-5d|%05d|%+d|% d",
                json!([1, 2, 3, -4, 5, 6]),
                "1|    2|3    |-0004|+5| 6",
            ),
            (
                "%b %o %O %x %X %#x %c %U",
                json!([5, 8, 8, 255, 255, 255, 65, 65]),
                "101 10 0o10 ff FF 0xff A U+0041",
            ),
            ("%v %v %v %v", json!([1, 1.5, "a", true]), "1 1.5 a true"),
            (
                "%f|%.2f|%8.2f|%-8.2f|%08.3f|%e",
                json!([1.5, 1.256, 1.5, 1.5, -1.5, 1234.5]),
                "1.500000|1.26|    1.50|1.50    |-001.500|1.234500e+03",
            ),
            (
                "%g %g %.3g %.3g",
                json!([0.1, 0.00001, 1234.5, 0.5]),
                "0.1 1e-05 1.23e+03 0.5",
            ),
            (
                "%v %v %v",
                json!([123_456.5, 1_234_567.5, -0.25]),
                "123456.5 1.2345675e+06 -0.25",
            ),
            (
                "%v %v",
                json!([["a", 1, null], {"b": [true], "a": "x"}]),
                "[\"a\", 1, null] {\"a\": \"x\", \"b\": [true]}",
            ),
            ("%s", json!([["a"]]), "[\"a\"]"),
            // What does not fit is said in the text.
            ("%d", json!(["a"]), "%!d(string=a)"),
            ("%d", json!([1.5]), "%!d(float64=1.5)"),
            ("%s", json!([5]), "%!s(int64=5)"),
            ("%f", json!([5]), "%!f(int64=5)"),
            ("%t", json!([true]), "%!t(string=true)"),
            ("%z", json!([1]), "%!z(int64=1)"),
            ("%d and %d", json!([1]), "1 and %!d(MISSING)"),
            ("a", json!([1, "b"]), "a%!(EXTRA int64=1, string=b)"),
            ("a %", json!([]), "a %!(NOVERB)"),
            (
                "%d",
                json!([123_456_789_012_345_678_901_234_567_890_i128 as f64]),
                "%!d(float64=1.2345678901234568e+29)",
            ),
        ] {
            let values: Vec<Value> = arguments
                .as_array()
                .into_iter()
                .flatten()
                .cloned()
                .map(|value: Json| Value::from(value))
                .collect();
            assert_eq!(sprintf(format, values), expected, "{format} {arguments}");
        }
        assert!(sprintf("%999999999d", [Value::from(1)]).len() <= MAX_WIDTH);
        assert_eq!(
            sprintf(
                "%v %v",
                [
                    Value::new_set(),
                    Value::from(std::collections::BTreeSet::from([Value::from("b"), Value::from("a")]))
                ]
            ),
            "set() {\"a\", \"b\"}"
        );
    }
}
