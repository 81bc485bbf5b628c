//! Regular expressions and globs as OPA has them: those of Go's `regexp` and of `gobwas/glob`.
//!
//! The syntaxes of Go and of the `regex` crate are near, and not the same: `^{.*}$` and `\Qa.b\E` are of Go alone, `\d` and `\w` are ASCII there,
//! `[[]` is a bracket, `a**` is refused. A pattern that is read otherwise is a rule that does not fire, so each is translated.
//!
//! Source: <https://github.com/google/re2/wiki/Syntax>, the documentation of Go's package `regexp/syntax`.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use regorus::Value;

use super::{text, texts, whole};

/// Patterns that are kept compiled; more are compiled again.
const KEPT: usize = 512;
/// The most repetitions that Go takes.
const MOST_REPETITIONS: u32 = 1_000;

static COMPILED: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);

/// A pattern of Go, compiled; `None` of one that Go refuses.
fn compiled(pattern: &str) -> Option<Regex> {
    kept(pattern, || {
        translated(pattern).and_then(|pattern| Regex::new(&pattern).ok())
    })
}

fn kept(key: &str, make: impl FnOnce() -> Option<Regex>) -> Option<Regex> {
    let mut all = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(key) {
        return known.clone();
    }
    let made = make();
    if all.len() < KEPT {
        all.insert(key.to_owned(), made.clone());
    }
    made
}

/// A pattern of Go in the syntax of the `regex` crate.
fn translated(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    // What can be repeated: not the beginning of a group, and not another repetition.
    let mut repeated = false;
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        let was_repeated = std::mem::take(&mut repeated);
        rest = after;
        match character {
            '\\' => {
                if let Some(quoted) = after.strip_prefix('Q') {
                    let (literal, next) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                    out.push_str(&regex::escape(literal));
                    rest = next;
                    continue;
                }
                rest = escape(after, false, &mut out)?;
            }
            '[' => rest = class(after, &mut out)?,
            '*' | '+' | '?' => {
                if was_repeated {
                    return None;
                }
                rest = lazy(character.to_string(), after, &mut out);
                repeated = true;
            }
            '{' => match repetition(after) {
                Some(_) if was_repeated => return None,
                Some((most, length)) => {
                    if most > MOST_REPETITIONS {
                        return None;
                    }
                    rest = lazy(format!("{{{}", &after[..length]), &after[length..], &mut out);
                    repeated = true;
                }
                None => out.push_str("\\{"),
            },
            '}' => out.push_str("\\}"),
            other => out.push(other),
        }
    }
    Some(out)
}

/// A repetition with the `?` that makes it take as little as it can.
fn lazy<'a>(repetition: String, after: &'a str, out: &mut String) -> &'a str {
    out.push_str(&repetition);
    match after.strip_prefix('?') {
        Some(rest) => {
            out.push('?');
            rest
        }
        None => after,
    }
}

/// `n}`, `n,}`, `n,m}`: the highest number, and how long it is.
fn repetition(text: &str) -> Option<(u32, usize)> {
    let (inside, _) = text.split_once('}')?;
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u32::MAX))
    };
    let least = number(least)?;
    let most = if most.is_empty() { least } else { number(most)? };
    Some((least.max(most), inside.len() + 1))
}

/// What stands after a backslash; gives what is left.
fn escape<'a>(text: &'a str, in_class: bool, out: &mut String) -> Option<&'a str> {
    let character = text.chars().next()?;
    let rest = &text[character.len_utf8()..];
    let (members, negated) = match character {
        'd' => ("0-9", false),
        'D' => ("0-9", true),
        'w' => ("0-9A-Za-z_", false),
        'W' => ("0-9A-Za-z_", true),
        's' => ("\\t\\n\\f\\r ", false),
        'S' => ("\\t\\n\\f\\r ", true),
        _ => ("", false),
    };
    if !members.is_empty() {
        match (in_class, negated) {
            (true, false) => out.push_str(members),
            (_, negated) => out.push_str(&format!("[{}{members}]", if negated { "^" } else { "" })),
        }
        return Some(rest);
    }
    match character {
        'b' if !in_class => out.push_str("(?-u:\\b)"),
        '0'..='7' => {
            let digits: String = text.chars().take(3).take_while(|digit| digit.is_digit(8)).collect();
            if character != '0' && digits.len() < 2 {
                // A reference back, which Go does not have.
                return None;
            }
            let code = u32::from_str_radix(&digits, 8).ok()?;
            out.push_str(&format!("\\x{{{code:x}}}"));
            return Some(&text[digits.len()..]);
        }
        'A' | 'B' | 'C' | 'z' if in_class => return None,
        'A' | 'B' | 'z' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' => {
            out.push('\\');
            out.push(character);
            // `\p{Lu}` and `\x{41}`: a name, and no repetition.
            if let ('x' | 'p' | 'P', Some(end)) = (character, rest.find('}').filter(|_| rest.starts_with('{'))) {
                out.push_str(&rest[..=end]);
                return Some(&rest[end + 1..]);
            }
        }
        other if other.is_ascii_alphanumeric() || other == '_' || !other.is_ascii() => return None,
        other => out.push_str(&regex::escape(&other.to_string())),
    }
    Some(rest)
}

/// What stands after `[`; gives what is left after `]`. Within, `[` and `&&` and the like are what they look like.
fn class<'a>(text: &'a str, out: &mut String) -> Option<&'a str> {
    out.push('[');
    let mut rest = text;
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut first = true;
    loop {
        let character = rest.chars().next()?;
        let after = &rest[character.len_utf8()..];
        match character {
            ']' if !first => {
                out.push(']');
                return Some(after);
            }
            '[' if after.starts_with(':') && after.contains(":]") => {
                let end = after.find(":]")? + 2;
                out.push('[');
                out.push_str(&after[..end]);
                rest = &after[end..];
                first = false;
                continue;
            }
            '\\' => {
                rest = escape(after, true, out)?;
                first = false;
                continue;
            }
            '[' | ']' | '&' | '~' | '^' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
        first = false;
        rest = after;
    }
}

pub(super) fn is_match(arguments: &[Value]) -> Option<Value> {
    let [pattern, value] = texts(arguments)?;
    Some(Value::from(compiled(pattern)?.is_match(value)))
}

pub(super) fn is_valid(arguments: &[Value]) -> Option<Value> {
    let valid = text(arguments, 0).is_some_and(|pattern| compiled(pattern).is_some());
    Some(Value::from(valid))
}

/// As Go's `Split` with every part: empty matches cut between characters, and not at the ends.
pub(super) fn split(arguments: &[Value]) -> Option<Value> {
    let [pattern, value] = texts(arguments)?;
    let regex = compiled(pattern)?;
    if value.is_empty() {
        let parts = if pattern.is_empty() {
            vec![]
        } else {
            vec![Value::from("")]
        };
        return Some(Value::from(parts));
    }
    let (mut parts, mut from, mut ended) = (Vec::new(), 0, 0);
    for found in regex.find_iter(value) {
        if found.end() == 0 {
            continue;
        }
        ended = found.start();
        if found.start() == value.len() && found.is_empty() {
            break;
        }
        parts.push(Value::from(value.get(from..found.start())?));
        from = found.end();
    }
    if ended != value.len() || from < value.len() || parts.is_empty() {
        parts.push(Value::from(value.get(from..)?));
    }
    Some(Value::from(parts))
}

pub(super) fn replace(arguments: &[Value]) -> Option<Value> {
    let [value, pattern, with] = texts(arguments)?;
    Some(Value::from(compiled(pattern)?.replace_all(value, with).into_owned()))
}

/// How many are asked for; a negative number is all of them.
fn most(arguments: &[Value]) -> Option<usize> {
    let number = whole(arguments.get(2)?)?;
    Some(usize::try_from(number).unwrap_or(usize::MAX))
}

pub(super) fn find_n(arguments: &[Value]) -> Option<Value> {
    let [pattern, value] = texts(arguments.get(..2)?)?;
    let regex = compiled(pattern)?;
    let found = regex.find_iter(value).take(most(arguments)?);
    Some(Value::from(
        found.map(|found| Value::from(found.as_str())).collect::<Vec<_>>(),
    ))
}

pub(super) fn find_all_string_submatch_n(arguments: &[Value]) -> Option<Value> {
    let [pattern, value] = texts(arguments.get(..2)?)?;
    let regex = compiled(pattern)?;
    let groups = |found: regex::Captures<'_>| {
        let groups = found
            .iter()
            .map(|group| Value::from(group.map_or("", |group| group.as_str())));
        Value::from(groups.collect::<Vec<_>>())
    };
    let found = regex.captures_iter(value).take(most(arguments)?).map(groups);
    Some(Value::from(found.collect::<Vec<_>>()))
}

/// A text with regular expressions between two marks, which has to match as a whole.
pub(super) fn template_match(arguments: &[Value]) -> Option<Value> {
    let [template, value, begin, end] = texts(arguments)?;
    let mark = |text: &str| {
        let mut characters = text.chars();
        let first = characters.next()?;
        characters.next().is_none().then_some(first)
    };
    let (begin, end) = (mark(begin)?, mark(end)?);
    let mut pattern = String::from("^");
    let (mut depth, mut from) = (0_usize, 0);
    for (at, character) in template.char_indices() {
        if character == begin {
            if depth == 0 {
                pattern.push_str(&regex::escape(template.get(from..at)?));
                from = at + character.len_utf8();
            }
            depth += 1;
        } else if character == end {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                pattern.push_str(&format!("({})", template.get(from..at)?));
                from = at + character.len_utf8();
            }
        }
    }
    if depth > 0 {
        return None;
    }
    pattern.push_str(&regex::escape(template.get(from..)?));
    pattern.push('$');
    Some(Value::from(compiled(&pattern)?.is_match(value)))
}

/// A glob with the characters that `*` and `?` do not go across.
pub(super) fn glob_match(arguments: &[Value]) -> Option<Value> {
    let (pattern, value) = (text(arguments, 0)?, text(arguments, 2)?);
    let separators: Vec<char> = match arguments.get(1)? {
        Value::Null => Vec::new(),
        Value::Array(given) if given.is_empty() => vec!['.'],
        Value::Array(given) => {
            let one = |value: &Value| {
                let mut characters = value.as_string().ok()?.chars();
                characters.next().filter(|_| characters.next().is_none())
            };
            given.iter().map(one).collect::<Option<_>>()?
        }
        _ => return None,
    };
    let key = format!("\u{0}{}\u{0}{pattern}", separators.iter().collect::<String>());
    let regex = kept(&key, || Regex::new(&glob(pattern, &separators)?).ok())?;
    Some(Value::from(regex.is_match(value)))
}

/// A glob as a regular expression.
fn glob(pattern: &str, separators: &[char]) -> Option<String> {
    let outside: String = separators
        .iter()
        .map(|separator| regex::escape(&separator.to_string()))
        .collect();
    let one = if outside.is_empty() {
        ".".to_owned()
    } else {
        format!("[^{outside}]")
    };
    let mut out = String::from("(?s)^");
    let mut depth = 0_usize;
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' if characters.next_if_eq(&'*').is_some() => out.push_str(".*"),
            '*' => out.push_str(&format!("{one}*")),
            '?' => out.push_str(&one),
            '{' => {
                depth += 1;
                out.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                out.push(')');
            }
            ',' if depth > 0 => out.push('|'),
            '[' => {
                let negated = characters.next_if_eq(&'!').is_some();
                let mut members = String::new();
                loop {
                    match characters.next()? {
                        ']' => break,
                        '\\' => members.push_str(&regex::escape(&characters.next()?.to_string())),
                        '-' => members.push('-'),
                        other => members.push_str(&in_class(other)),
                    }
                }
                if members.is_empty() {
                    return None;
                }
                out.push_str(&format!("[{}{members}]", if negated { "^" } else { "" }));
            }
            '\\' => out.push_str(&regex::escape(&characters.next()?.to_string())),
            other => out.push_str(&regex::escape(&other.to_string())),
        }
    }
    out.push('$');
    (depth == 0).then_some(out)
}

fn in_class(character: char) -> String {
    match character {
        '^' | '[' | '&' | '~' | ']' => format!("\\{character}"),
        other => regex::escape(&other.to_string()),
    }
}

pub(super) fn quote_meta(arguments: &[Value]) -> Option<Value> {
    let mut quoted = String::new();
    for character in text(arguments, 0)?.chars() {
        if "*?\\[]{}".contains(character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    Some(Value::from(quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_go() {
        for (pattern, text, expected) in [
            ("^{.*}$", "{a}", Some(true)),
            ("\\${[A-Z]+}", "x ${HOME}", Some(true)),
            ("a{b", "a{b", Some(true)),
            ("a{2}", "aa", Some(true)),
            ("^a{,2}$", "a{,2}", Some(true)),
            ("[[]x", "[x", Some(true)),
            ("[]a]", "]", Some(true)),
            ("[^]a]", "]", Some(false)),
            ("[a&&b]", "&", Some(true)),
            ("^\\d$", "\u{663}", Some(false)),
            ("^[\\d\\s]+$", "1 2", Some(true)),
            ("^[^\\W]+$", "ab_1", Some(true)),
            ("\\bä", "xä", Some(true)),
            ("\\<a", "<a", Some(true)),
            ("\\Qa.b\\E+", "a.bb", Some(true)),
            ("\\101", "A", Some(true)),
            ("[[:alpha:]]\\x41", "bA", Some(true)),
            ("a**", "a", None),
            ("a+?", "aa", Some(true)),
            ("x{1001}", "x", None),
            ("\\1", "", None),
            ("a(?=b)", "ab", None),
            ("[a", "a", None),
            ("\\", "a", None),
        ] {
            assert_eq!(
                compiled(pattern).map(|regex| regex.is_match(text)),
                expected,
                "{pattern}"
            );
        }
    }
}
