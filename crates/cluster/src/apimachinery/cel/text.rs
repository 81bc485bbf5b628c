//! The string library, regular expressions, and times.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;

use super::eval::{Budget, EvalError};
use super::value::Value;

type Evaluated<'a> = Result<Value<'a>, EvalError>;

/// Bytes a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;

fn pattern(text: &str) -> Result<regex::Regex, EvalError> {
    regex::RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES)
        .build()
        .map_err(|_| EvalError::new(format!("error parsing regexp: `{text}`")))
}

/// Whether a pattern is found anywhere in a text.
pub(super) fn matches(subject: &str, expression: &str, budget: &Budget) -> Result<bool, EvalError> {
    budget.spend((subject.len() as u64 / 10 + 1) * (expression.len() as u64 / 4 + 1) + 16)?;
    Ok(pattern(expression)?.is_match(subject))
}

/// `base64.encode` and `base64.decode`.
pub(super) fn base64<'a>(name: &str, value: &Value<'a>, budget: &Budget) -> Evaluated<'a> {
    match (name, value) {
        ("base64.encode", Value::Bytes(bytes)) => {
            budget.write(bytes.len() * 2)?;
            Ok(Value::text(STANDARD.encode(bytes)))
        }
        ("base64.decode", Value::Text(text)) => {
            budget.read(text.len())?;
            let decoded = STANDARD
                .decode(text.as_bytes())
                .or_else(|_| base64::engine::general_purpose::STANDARD_NO_PAD.decode(text.as_bytes()));
            decoded
                .map(|bytes| Value::Bytes(bytes.into()))
                .map_err(|_| EvalError::new("illegal base64 data"))
        }
        _ => Err(EvalError::overload()),
    }
}

/// The text as a literal of the language.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Methods of texts.
pub(super) fn method<'a>(subject: &str, name: &str, arguments: &[Value<'a>], budget: &Budget) -> Evaluated<'a> {
    budget.read(subject.len())?;
    let made = |text: String| {
        budget.write(text.len())?;
        Ok(Value::text(text))
    };
    let place = |number: &i64| {
        let count = subject.chars().count();
        usize::try_from(*number)
            .ok()
            .filter(|number| *number <= count)
            .ok_or_else(|| EvalError::new(format!("index out of range: {number}")))
    };
    let find = |wanted: &str, from: usize| -> i64 {
        let start: usize = subject.chars().take(from).map(char::len_utf8).sum();
        subject[start..]
            .find(wanted)
            .map_or(-1, |found| subject[..start + found].chars().count() as i64)
    };
    match (name, arguments) {
        ("contains", [Value::Text(part)]) => Ok(Value::Bool(subject.contains(&**part))),
        ("startsWith", [Value::Text(part)]) => Ok(Value::Bool(subject.starts_with(&**part))),
        ("endsWith", [Value::Text(part)]) => Ok(Value::Bool(subject.ends_with(&**part))),
        ("matches", [Value::Text(expression)]) => matches(subject, expression, budget).map(Value::Bool),
        ("find", [Value::Text(expression)]) => {
            matches(subject, expression, budget)?;
            let found = pattern(expression)?;
            Ok(Value::text(found.find(subject).map_or("", |found| found.as_str())))
        }
        ("findAll", [Value::Text(expression)]) | ("findAll", [Value::Text(expression), Value::Int(_)]) => {
            matches(subject, expression, budget)?;
            let most = match arguments {
                [_, Value::Int(most)] if *most >= 0 => usize::try_from(*most).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            let expression = pattern(expression)?;
            let found = expression
                .find_iter(subject)
                .take(most)
                .map(|found| Value::text(found.as_str()));
            Ok(Value::list(found.collect()))
        }
        ("charAt", [Value::Int(index)]) => {
            let index = place(index)?;
            Ok(Value::text(
                subject.chars().nth(index).map(String::from).unwrap_or_default(),
            ))
        }
        ("indexOf", [Value::Text(wanted)]) => Ok(Value::Int(find(wanted, 0))),
        ("indexOf", [Value::Text(wanted), Value::Int(from)]) => Ok(Value::Int(find(wanted, place(from)?))),
        ("lastIndexOf", [Value::Text(wanted)]) => Ok(Value::Int(
            subject
                .rfind(&**wanted)
                .map_or(-1, |found| subject[..found].chars().count() as i64),
        )),
        ("lastIndexOf", [Value::Text(wanted), Value::Int(to)]) => {
            let end: usize = subject.chars().take(place(to)?).map(char::len_utf8).sum();
            let end = (end + wanted.len()).min(subject.len());
            let found = subject.get(..end).and_then(|head| head.rfind(&**wanted));
            Ok(Value::Int(
                found.map_or(-1, |found| subject[..found].chars().count() as i64),
            ))
        }
        ("lowerAscii", []) => made(subject.to_ascii_lowercase()),
        ("upperAscii", []) => made(subject.to_ascii_uppercase()),
        ("trim", []) => made(subject.trim().to_owned()),
        ("reverse", []) => made(subject.chars().rev().collect()),
        ("replace", [Value::Text(from), Value::Text(to), rest @ ..]) => {
            let most = match rest {
                [] => usize::MAX,
                [Value::Int(most)] if *most < 0 => usize::MAX,
                [Value::Int(most)] => usize::try_from(*most).unwrap_or(usize::MAX),
                _ => return Err(EvalError::overload()),
            };
            // An empty text is found between all characters.
            let times = if from.is_empty() {
                subject.chars().count() + 1
            } else {
                subject.matches(&**from).count()
            };
            budget.write(subject.len().saturating_add(times.min(most).saturating_mul(to.len())))?;
            Ok(Value::text(subject.replacen(&**from, to, most)))
        }
        ("split", [Value::Text(separator), rest @ ..]) => {
            let most = match rest {
                [] => usize::MAX,
                [Value::Int(most)] if *most < 0 => usize::MAX,
                [Value::Int(most)] => usize::try_from(*most).unwrap_or(usize::MAX),
                _ => return Err(EvalError::overload()),
            };
            let parts: Vec<Value<'a>> = if most == 0 {
                Vec::new()
            } else if separator.is_empty() {
                let characters: Vec<String> = subject.chars().map(String::from).collect();
                let (single, rest) = characters.split_at(characters.len().min(most.saturating_sub(1)));
                let rest = (!rest.is_empty()).then(|| rest.concat());
                if most == usize::MAX {
                    characters.iter().map(Value::text).collect()
                } else {
                    single.iter().cloned().chain(rest).map(Value::text).collect()
                }
            } else {
                subject.splitn(most, &**separator).map(Value::text).collect()
            };
            budget.spend(parts.len() as u64)?;
            Ok(Value::list(parts))
        }
        ("substring", [Value::Int(from)]) => {
            let from = place(from)?;
            made(subject.chars().skip(from).collect())
        }
        ("substring", [Value::Int(from), Value::Int(to)]) => {
            let (from, to) = (place(from)?, place(to)?);
            if from > to {
                return Err(EvalError::new(format!(
                    "invalid substring range. start: {from}, end: {to}"
                )));
            }
            made(subject.chars().skip(from).take(to - from).collect())
        }
        ("format", [list]) => {
            let text = format(subject, &list.items().ok_or_else(EvalError::overload)?, budget)?;
            made(text)
        }
        _ => Err(EvalError::overload()),
    }
}

/// `%s %d %f %e %b %o %x %X %%`, with a precision for numbers.
fn format(form: &str, arguments: &[Value<'_>], budget: &Budget) -> Result<String, EvalError> {
    let mut made = String::new();
    let mut arguments = arguments.iter();
    let mut characters = form.chars().peekable();
    let wrong = |verb: char, value: &Value<'_>| {
        EvalError::new(format!(
            "error during formatting: %{verb} cannot be used with {}",
            value.type_name()
        ))
    };
    while let Some(character) = characters.next() {
        if character != '%' {
            made.push(character);
            continue;
        }
        let mut precision = None;
        if characters.peek() == Some(&'.') {
            characters.next();
            let mut digits = 0_usize;
            while let Some(digit) = characters.peek().and_then(|character| character.to_digit(10)) {
                digits = (digits * 10 + digit as usize).min(1000);
                characters.next();
            }
            precision = Some(digits);
        }
        let verb = characters
            .next()
            .ok_or_else(|| EvalError::new("could not parse formatting clause: unexpected end of string"))?;
        if verb == '%' {
            made.push('%');
            continue;
        }
        let value = arguments
            .next()
            .ok_or_else(|| EvalError::new("index out of range: too few arguments to format"))?;
        let number = match value {
            Value::Int(number) => Some(*number as f64),
            Value::Uint(number) => Some(*number as f64),
            Value::Double(number) => Some(*number),
            _ => None,
        };
        let written = match (verb, value) {
            ('s', value) => {
                made.push_str(&value.display());
                Ok(())
            }
            ('d', Value::Int(_) | Value::Uint(_) | Value::Double(_)) => {
                made.push_str(&value.display());
                Ok(())
            }
            ('f', _) => write!(
                made,
                "{:.*}",
                precision.unwrap_or(6),
                number.ok_or_else(|| wrong(verb, value))?
            ),
            ('e', _) => {
                let text = format!(
                    "{:.*e}",
                    precision.unwrap_or(6),
                    number.ok_or_else(|| wrong(verb, value))?
                );
                // The exponent has a sign and two digits.
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let exponent: i32 = exponent.parse().unwrap_or(0);
                let sign = if exponent < 0 { '-' } else { '+' };
                write!(made, "{mantissa}e{sign}{:02}", exponent.abs())
            }
            ('b', Value::Bool(truth)) => write!(made, "{}", u8::from(*truth)),
            ('b', Value::Int(number)) => write!(
                made,
                "{}{:b}",
                if *number < 0 { "-" } else { "" },
                number.unsigned_abs()
            ),
            ('b', Value::Uint(number)) => write!(made, "{number:b}"),
            ('o', Value::Int(number)) => write!(
                made,
                "{}{:o}",
                if *number < 0 { "-" } else { "" },
                number.unsigned_abs()
            ),
            ('o', Value::Uint(number)) => write!(made, "{number:o}"),
            ('x' | 'X', value) => {
                let text = match value {
                    Value::Int(number) => format!("{}{:x}", if *number < 0 { "-" } else { "" }, number.unsigned_abs()),
                    Value::Uint(number) => format!("{number:x}"),
                    Value::Text(text) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
                    Value::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
                    other => return Err(wrong(verb, other)),
                };
                made.push_str(&if verb == 'X' { text.to_uppercase() } else { text });
                Ok(())
            }
            (_, value) => return Err(wrong(verb, value)),
        };
        written.map_err(|_| EvalError::new("could not format"))?;
        budget.write(made.len() / 8)?;
    }
    Ok(made)
}

/// `1h30m`, `1.5s`, `-300ms`; nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let read = stoke_model::units::duration::parse_go(text).ok()?;
    i64::try_from(read.as_nanos()).ok()
}

/// As `string(duration)` gives it: seconds.
pub(super) fn duration_text(nanos: i64) -> String {
    let text = format!("{}", nanos as f64 / 1e9);
    format!("{text}s")
}

/// Parts of times and durations.
pub(super) fn time_method<'a>(target: &Value<'a>, name: &str, arguments: &[Value<'a>]) -> Evaluated<'a> {
    if let Value::Duration(nanos) = target {
        let unit = match (name, arguments) {
            ("getHours", []) => 3_600_000_000_000,
            ("getMinutes", []) => 60_000_000_000,
            ("getSeconds", []) => 1_000_000_000,
            ("getMilliseconds", []) => 1_000_000,
            _ => return Err(EvalError::overload()),
        };
        return Ok(Value::Int(nanos / unit));
    }
    let Value::Timestamp(time) = target else {
        return Err(EvalError::overload());
    };
    let zone = match arguments {
        [] => TimeZone::UTC,
        [Value::Text(name)] => zone(name).ok_or_else(|| EvalError::new(format!("unknown time zone {name}")))?,
        _ => return Err(EvalError::overload()),
    };
    let local = time.to_zoned(zone);
    let number = match name {
        "getFullYear" => i64::from(local.year()),
        "getMonth" => i64::from(local.month()) - 1,
        "getDate" => i64::from(local.day()),
        "getDayOfMonth" => i64::from(local.day()) - 1,
        "getDayOfWeek" => i64::from(local.weekday().to_sunday_zero_offset()),
        "getDayOfYear" => i64::from(local.day_of_year()) - 1,
        "getHours" => i64::from(local.hour()),
        "getMinutes" => i64::from(local.minute()),
        "getSeconds" => i64::from(local.second()),
        "getMilliseconds" => i64::from(local.millisecond()),
        _ => return Err(EvalError::overload()),
    };
    Ok(Value::Int(number))
}

/// `UTC`, `Europe/Berlin` or `+02:00`.
fn zone(name: &str) -> Option<TimeZone> {
    if matches!(name, "UTC" | "Z" | "") {
        return Some(TimeZone::UTC);
    }
    let (sign, rest) = match name.as_bytes().first()? {
        b'-' => (-1, &name[1..]),
        b'+' => (1, &name[1..]),
        byte if byte.is_ascii_digit() => (1, name),
        _ => return TimeZone::get(name).ok(),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    jiff::tz::Offset::from_seconds(sign * seconds).ok().map(TimeZone::fixed)
}
