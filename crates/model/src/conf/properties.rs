//! `java.util.Properties`: the form of `spark-defaults.conf`, of `--properties-file`, and of the `spark.properties` in a driver's ConfigMap.
//!
//! Reading follows `Properties.load` on text that Spark opens as UTF-8 (`Utils.getPropertiesFromFile`), which then trims every value
//! (but keeps line breaks that were written as escapes).
//! Writing follows `Properties.store(Writer)`: non-ASCII characters stay as they are. Spark's own files list the pairs in the order of a hash table, which
//! says nothing; ours are sorted. Compare files by their maps.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A text that is not in the form of properties.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    /// A `\u` without four hexadecimal digits.
    #[error(
        "properties-bad-escape: line {line}: \\u must be followed by four hexadecimal digits\n  fix: write \\u00e9, or the character itself"
    )]
    BadEscape {
        /// The line, from 1.
        line: usize,
    },
}

/// One pair and the line it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub key: String,
    /// The value, as `Properties.load` gives it (not trimmed at its end).
    pub value: String,
    /// The line it begins on, from 1.
    pub line: usize,
}

/// Reads properties as Spark does: values are trimmed, a later pair replaces an earlier one.
///
/// ```
/// let read = stoke_model::conf::properties::read("spark.app.name  pi\nspark.executor.memory=4g\n").unwrap();
/// assert_eq!(read["spark.app.name"], "pi");
/// assert_eq!(read["spark.executor.memory"], "4g");
/// ```
pub fn read(text: &str) -> Result<BTreeMap<String, String>, PropertiesError> {
    let pairs = read_pairs(text)?.into_iter();
    Ok(pairs.map(|pair| (pair.key, trim(&pair.value).to_owned())).collect())
}

/// Reads properties with their lines, every pair in its order, values as they stand.
pub fn read_pairs(text: &str) -> Result<Vec<Pair>, PropertiesError> {
    let mut pairs = Vec::new();
    let mut lines = natural_lines(text).enumerate();
    'logical: while let Some((index, first)) = lines.next() {
        let first = first.trim_start_matches(BLANKS);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while continues(&logical) {
            logical.pop();
            // To Java a lone backslash is an empty line: a comment may follow it.
            if logical.is_empty() {
                continue 'logical;
            }
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start_matches(BLANKS)),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        let line = index + 1;
        pairs.push(Pair {
            key: unescape(key, line)?,
            value: unescape(value, line)?,
            line,
        });
    }
    Ok(pairs)
}

/// Writes properties as `Properties.store` does, below the given comment lines (Spark writes a title and the date). A header line gets its `#` here.
///
/// ```
/// use std::collections::BTreeMap;
/// let conf = BTreeMap::from([("spark.master".to_owned(), "k8s://https://host:6443".to_owned())]);
/// let text = stoke_model::conf::properties::store(&conf, ["Java properties built from Kubernetes config map"]);
/// assert_eq!(text, "#Java properties built from Kubernetes config map\nspark.master=k8s\\://https\\://host\\:6443\n");
/// ```
pub fn store<'a>(conf: &BTreeMap<String, String>, header: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::with_capacity(conf.iter().map(|(key, value)| key.len() + value.len() + 8).sum());
    for line in header.into_iter().flat_map(natural_lines) {
        if !line.starts_with(['#', '!']) {
            out.push('#');
        }
        out.push_str(line);
        out.push('\n');
    }
    for (key, value) in conf {
        escape(&mut out, key, true);
        out.push('=');
        escape(&mut out, value, false);
        out.push('\n');
    }
    out
}

/// Spark's `trimExceptCRLF`.
fn trim(value: &str) -> &str {
    value.trim_matches(|c: char| c <= ' ' && c != '\r' && c != '\n')
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

/// Lines ended by `\n`, `\r` or `\r\n`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let here = rest?;
        let Some(end) = here.find(['\n', '\r']) else {
            rest = None;
            return Some(here);
        };
        let skip = if here[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = Some(&here[end + skip..]);
        Some(&here[..end])
    })
}

/// Whether a line ends in an odd number of backslashes.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// Splits at the first `=`, `:` or blank that is not escaped; blanks around one `=` or `:` belong to neither side.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let separates = !escaped && (BLANKS.contains(&c) || matches!(c, '=' | ':'));
        escaped = c == '\\' && !escaped;
        separates
    });
    let Some(end) = end else { return (line, "") };
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(BLANKS);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(BLANKS))
}

fn unescape(text: &str, line: usize) -> Result<String, PropertiesError> {
    // Java works in UTF-16: a character beyond the first plane is written as two escapes.
    let mut out: Vec<u16> = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    let mut buffer = [0; 2];
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf16(&mut buffer));
            continue;
        }
        match characters.next() {
            None => {}
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                let unit = (digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
                    .then(|| u16::from_str_radix(&digits, 16).ok())
                    .flatten();
                out.push(unit.ok_or(PropertiesError::BadEscape { line })?);
            }
            Some('t') => out.push(9),
            Some('n') => out.push(10),
            Some('f') => out.push(12),
            Some('r') => out.push(13),
            Some(other) => out.extend_from_slice(other.encode_utf16(&mut buffer)),
        }
    }
    Ok(String::from_utf16_lossy(&out))
}

fn escape(out: &mut String, text: &str, key: bool) {
    for (index, c) in text.char_indices() {
        match c {
            ' ' if key || index == 0 => out.push_str("\\ "),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{c}' => out.push_str("\\f"),
            '=' | ':' | '#' | '!' | '\\' => {
                let _ = write!(out, "\\{c}");
            }
            _ => out.push(c),
        }
    }
}
