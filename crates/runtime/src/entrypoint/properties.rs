//! Java properties files, as `java.util.Properties.load` reads them.

use std::collections::BTreeMap;

/// Parses the text of a properties file. Never fails: what Java would refuse (a broken `\u` escape) is kept as written.
///
/// Values are trimmed at the end, as Spark does with every property it reads from a file.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    for line in logical_lines(text) {
        let (key, value) = split(&line);
        if !key.is_empty() || !value.is_empty() {
            properties.insert(key, value.trim().to_owned());
        }
    }
    properties
}

/// Lines without comments and blank ones, continued lines joined, escapes kept.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pending: Option<String> = None;
    for line in text.split(['\n', '\r']) {
        let content = line.trim_start_matches([' ', '\t', '\u{c}']);
        if pending.is_none() && (content.is_empty() || content.starts_with(['#', '!'])) {
            continue;
        }
        let mut joined = pending.take().unwrap_or_default();
        joined.push_str(content);
        let backslashes = joined.bytes().rev().take_while(|&byte| byte == b'\\').count();
        if backslashes % 2 == 1 {
            joined.pop();
            pending = Some(joined);
        } else {
            lines.push(joined);
        }
    }
    lines.extend(pending);
    lines
}

/// Splits at the first unescaped `=`, `:` or white space and resolves escapes.
fn split(line: &str) -> (String, String) {
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\u{c}');
    let mut escaped = false;
    let end = line.char_indices().find(|&(_, c)| {
        let ends = !escaped && (matches!(c, '=' | ':') || is_blank(c));
        escaped = !escaped && c == '\\';
        ends
    });
    let Some((end, _)) = end else {
        return (unescape(line), String::new());
    };
    let rest = line[end..].trim_start_matches(is_blank);
    let rest = rest
        .strip_prefix(['=', ':'])
        .unwrap_or(rest)
        .trim_start_matches(is_blank);
    (unescape(&line[..end]), unescape(rest))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let unit = match c {
            '\\' => match chars.next() {
                Some('u') => {
                    let hex: String = chars.clone().take(4).collect();
                    match u16::from_str_radix(&hex, 16) {
                        Ok(unit) if hex.len() == 4 => {
                            chars.nth(3);
                            units.push(unit);
                            continue;
                        }
                        _ => 'u',
                    }
                }
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
                None => continue,
            },
            other => other,
        };
        flush(&mut units, &mut out);
        out.push(unit);
    }
    flush(&mut units, &mut out);
    out
}

/// `\u` escapes are UTF-16, so that two of them can make one character.
fn flush(units: &mut Vec<u16>, out: &mut String) {
    out.extend(char::decode_utf16(units.drain(..)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_java_reads_them() {
        let text = "#Java properties built from Kubernetes config map\n! more\n\n\
            spark.driver.memory=1g\n  spark.app.name = a b \n\
            spark.jars=local\\:///a.jar\\=b\nspark.blank\nspark.colon: c\nspark.space d e\n\
            spark.long=one,\\\n   two\\\\\nspark.unicode=\\u00e9\\ud83d\\ude00\\u12\nkey\\ with\\=odd=v\nempty=\ntabs=a\\tb\\nc\n=x\n\\";
        let properties = parse(text);
        let expected = [
            ("", "x"),
            ("empty", ""),
            ("key with=odd", "v"),
            ("spark.app.name", "a b"),
            ("spark.blank", ""),
            ("spark.colon", "c"),
            ("spark.driver.memory", "1g"),
            ("spark.jars", "local:///a.jar=b"),
            ("spark.long", "one,two\\"),
            ("spark.space", "d e"),
            ("spark.unicode", "é😀u12"),
            ("tabs", "a\tb\nc"),
        ];
        let expected: BTreeMap<String, String> = expected
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(properties, expected);
    }
}
