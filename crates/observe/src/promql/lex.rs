//! A text becomes tokens with their places.

use super::{Span, Wrong};

/// Stands in names and values for what a variable of a dashboard holds.
pub const ANY: char = '\u{E000}';

/// Whether a text has variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variables {
    /// It is what Prometheus reads.
    None,
    /// It is Grafana's: `$name`, `${name:format}`, `[[name:format]]`.
    Grafana,
    /// It is a template, as Sloth reads it: `{{.window}}`.
    Templates,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or a word; [`ANY`] stands for variables in it.
    Word(String),
    Number(f64),
    /// A duration such as `1h30m`, in seconds.
    Duration(f64),
    Text(String),
    /// A variable by itself.
    Variable,
    Symbol(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) span: Span,
}

const SYMBOLS: [&str; 26] = [
    "=~", "!~", "!=", "==", "<=", ">=", "(", ")", "{", "}", "[", "]", ",", "=", "<", ">", "+", "-", "*", "/", "%", "^",
    "@", ":", "!", ";",
];

pub(super) fn wrong(span: Span, message: impl Into<String>) -> Wrong {
    Wrong {
        span,
        message: message.into(),
        fix: None,
        is_type: false,
    }
}

/// The tokens of a text.
pub(super) fn tokens(text: &str, variables: Variables) -> Result<Vec<Spanned>, Wrong> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        if first == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (token, length) = token(rest, first, variables, &found).map_err(|error| Wrong {
            span: Span::new(at + error.span.start, at + error.span.end),
            ..error
        })?;
        found.push(Spanned {
            token,
            span: Span::new(at, at + length),
        });
        at += length;
    }
    Ok(found)
}

fn token(rest: &str, first: char, variables: Variables, before: &[Spanned]) -> Result<(Token, usize), Wrong> {
    if matches!(first, '"' | '\'' | '`') {
        return quoted(rest, first, variables);
    }
    let variable = |text: &str| variable(text, variables);
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    // Within brackets `5m:1m` is a subquery; elsewhere a colon begins a name, or is one.
    let in_brackets = first == ':' && inside_brackets(before);
    if (begins(first) && !in_brackets) || variable(rest).is_some() {
        return Ok(word(rest, &variable));
    }
    if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
        return number(rest);
    }
    match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        Some(symbol) => Ok((Token::Symbol(symbol), symbol.len())),
        None => Err(wrong(
            Span::new(0, first.len_utf8()),
            format!("{first:?} is not expected here"),
        )),
    }
}

fn inside_brackets(before: &[Spanned]) -> bool {
    let last = before
        .iter()
        .rev()
        .find(|spanned| matches!(spanned.token, Token::Symbol("[" | "]")));
    last.is_some_and(|spanned| spanned.token == Token::Symbol("["))
}

/// The length of the variable that a text begins with.
fn variable(text: &str, variables: Variables) -> Option<usize> {
    match variables {
        Variables::None => return None,
        Variables::Templates => return text.strip_prefix("{{")?.find("}}").map(|end| end + 4),
        Variables::Grafana => {}
    }
    let name = |text: &str| {
        let end = text
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(text.len());
        (end > 0 && !text.starts_with(|c: char| c.is_ascii_digit())).then_some(end)
    };
    if let Some(inner) = text.strip_prefix("${") {
        let end = inner.find('}')?;
        return name(inner).filter(|length| *length <= end).map(|_| end + 3);
    }
    if let Some(inner) = text.strip_prefix("[[") {
        let end = inner.find("]]")?;
        return name(inner).filter(|length| *length <= end).map(|_| end + 4);
    }
    name(text.strip_prefix('$')?).map(|length| length + 1)
}

/// A name, or a variable by itself.
fn word(rest: &str, variable: &dyn Fn(&str) -> Option<usize>) -> (Token, usize) {
    let (mut text, mut at) = (String::new(), 0);
    while let Some(next) = rest[at..].chars().next() {
        if next.is_ascii_alphanumeric() || next == '_' || next == ':' {
            text.push(next);
            at += 1;
        } else if let Some(length) = variable(&rest[at..]) {
            // `x[[range]]` is a range, unless a name goes on after it.
            let ends = rest[at..].starts_with("[[")
                && !text.is_empty()
                && !rest[at + length..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            if ends {
                break;
            }
            text.push(ANY);
            at += length;
        } else {
            break;
        }
    }
    match text.chars().all(|c| c == ANY) {
        true => (Token::Variable, at),
        false => (Token::Word(text), at),
    }
}

fn number(rest: &str) -> Result<(Token, usize), Wrong> {
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_')
        .unwrap_or(rest.len());
    let mut end = end;
    // `1e-3`: the sign belongs to the number.
    let text = &rest[..end];
    let is_hex = text.starts_with("0x") || text.starts_with("0X");
    if !is_hex && text.ends_with(['e', 'E']) && text.len() > 1 && rest[end..].starts_with(['+', '-']) {
        let after = &rest[end + 1..];
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        if digits > 0 {
            end += 1 + digits;
        }
    }
    let text = &rest[..end];
    let span = Span::new(0, end);
    if is_hex {
        return u64::from_str_radix(&text[2..], 16)
            .map(|value| (Token::Number(value as f64), end))
            .map_err(|_| wrong(span, format!("`{text}` is not a number")));
    }
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if plain && let Ok(value) = text.parse() {
        return Ok((Token::Number(value), end));
    }
    match duration(text) {
        Some(seconds) => Ok((Token::Duration(seconds), end)),
        None => Err(wrong(span, format!("`{text}` is not a number or a duration"))),
    }
}

/// `1h30m` in seconds: each unit once, from the greatest to the least.
pub(super) fn duration(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 7] = [
        ("y", 31_536_000.0),
        ("w", 604_800.0),
        ("d", 86_400.0),
        ("h", 3_600.0),
        ("m", 60.0),
        ("s", 1.0),
        ("ms", 0.001),
    ];
    let (mut rest, mut from, mut seconds) = (text, 0, 0.0);
    if text.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
        let amount: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = UNITS.iter().position(|(name, _)| *name == &rest[..end])?;
        if unit < from {
            return None;
        }
        from = unit + 1;
        seconds += amount * UNITS[unit].1;
        rest = &rest[end..];
    }
    Some(seconds)
}

/// A text in quotes, with what its escapes mean.
fn quoted(rest: &str, quote: char, variables: Variables) -> Result<(Token, usize), Wrong> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    let begin = Span::new(0, 1);
    let mut skip_to = 0;
    while let Some((at, character)) = characters.next() {
        if at < skip_to {
            continue;
        }
        if let Some(length) = variable(&rest[at..], variables) {
            text.push(ANY);
            skip_to = at + length;
            continue;
        }
        match character {
            _ if character == quote => return Ok((Token::Text(text), at + 1)),
            '\n' if quote != '`' => return Err(wrong(begin, "a text in quotes ends on the line it begins on")),
            '\\' if quote != '`' => {
                let (_, escaped) = characters
                    .next()
                    .ok_or_else(|| wrong(begin, "the text in quotes does not end"))?;
                let digits = |text: &str, count: usize, base: u32| {
                    let digits = text.get(..count)?;
                    digits
                        .chars()
                        .all(|c| c.is_digit(base))
                        .then(|| u32::from_str_radix(digits, base).ok())?
                };
                let after = &rest[at + 1 + escaped.len_utf8()..];
                let (value, taken) = match escaped {
                    'a' => (Some('\u{7}'), 0),
                    'b' => (Some('\u{8}'), 0),
                    'f' => (Some('\u{c}'), 0),
                    'n' => (Some('\n'), 0),
                    'r' => (Some('\r'), 0),
                    't' => (Some('\t'), 0),
                    'v' => (Some('\u{b}'), 0),
                    '\\' => (Some('\\'), 0),
                    'x' => (digits(after, 2, 16).and_then(char::from_u32), 2),
                    'u' => (digits(after, 4, 16).and_then(char::from_u32), 4),
                    'U' => (digits(after, 8, 16).and_then(char::from_u32), 8),
                    '0'..='7' => {
                        let value = digits(&rest[at + 1..], 3, 8).filter(|value| *value < 256);
                        (value.and_then(char::from_u32), 2)
                    }
                    _ if escaped == quote => (Some(quote), 0),
                    _ => (None, 0),
                };
                let Some(value) = value else {
                    let mut error = wrong(
                        Span::new(at, at + 1 + escaped.len_utf8()),
                        format!("`\\{escaped}` is not an escape"),
                    );
                    error.fix = Some(format!(
                        "write `\\\\{escaped}`: within quotes a backslash is written twice"
                    ));
                    return Err(error);
                };
                text.push(value);
                skip_to = at + 1 + escaped.len_utf8() + taken;
            }
            _ => text.push(character),
        }
    }
    Err(wrong(begin, "the text in quotes does not end"))
}
