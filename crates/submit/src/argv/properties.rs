//! Properties files as `spark-submit` reads them: the format of `java.util.Properties`, in UTF-8, with values trimmed.

/// Keys and values in the order of the file; a key that occurs twice is there twice, and the last one counts.
///
/// The format: `key=value`, `key: value` or `key value`; lines that begin with `#` or `!` are comments; a backslash at the end of a
/// line continues it; `\t \n \f \r \uXXXX` are escapes, and any other escaped character is itself. A `\u` that is not followed by four
/// hexadecimal digits is kept as it stands, where Java stops with an error.
#[must_use]
pub fn load(text: &str) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    let mut lines = text.split(['\n', '\r']);
    while let Some(line) = lines.next() {
        let line = line.trim_start_matches(is_blank);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = line.to_owned();
        while ends_in_continuation(&logical) {
            logical.pop();
            match lines.next() {
                Some(next) => logical.push_str(next.trim_start_matches(is_blank)),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        entries.push((unescape(key), unescape(value).trim().to_owned()));
    }
    entries
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{c}')
}

/// An odd number of backslashes at the end.
fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Key and value around the first unescaped `=`, `:` or blank.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|(_, character)| {
            let separates = !escaped && (matches!(character, '=' | ':') || is_blank(*character));
            escaped = !escaped && *character == '\\';
            separates
        })
        .map_or(line.len(), |(index, _)| index);
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let push = |units: &mut Vec<u16>, character: char| {
        units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
    };
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            push(&mut units, character);
            continue;
        }
        match characters.next() {
            Some('t') => push(&mut units, '\t'),
            Some('n') => push(&mut units, '\n'),
            Some('r') => push(&mut units, '\r'),
            Some('f') => push(&mut units, '\u{c}'),
            Some('u') => {
                let digits = characters
                    .as_str()
                    .get(..4)
                    .and_then(|digits| u16::from_str_radix(digits, 16).ok());
                match digits {
                    Some(unit) => {
                        units.push(unit);
                        characters = characters.as_str().get(4..).unwrap_or_default().chars();
                    }
                    None => {
                        push(&mut units, '\\');
                        push(&mut units, 'u');
                    }
                }
            }
            Some(other) => push(&mut units, other),
            None => {}
        }
    }
    String::from_utf16_lossy(&units)
}
