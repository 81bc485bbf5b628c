//! Where the characters of a value stand in the file: quotes, escapes, folded lines and indentation taken into account.

use std::ops::Range;
use std::sync::Arc;

use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::manifest::Node;

/// A text within a file, with the place of each of its bytes.
#[derive(Clone, Debug)]
pub struct Text {
    pub text: String,
    /// For each byte of the text, and for its end, the byte of the file.
    map: Vec<usize>,
    source: Arc<Source>,
}

impl Text {
    /// A whole file.
    #[must_use]
    pub fn of_file(source: &Arc<Source>) -> Text {
        Text {
            text: source.text().to_owned(),
            map: Vec::new(),
            source: Arc::clone(source),
        }
    }

    /// The text of a value of this text's document; empty where it is not a text.
    #[must_use]
    pub fn of_value(&self, node: &Node) -> Text {
        let text = node.as_str().unwrap_or_default();
        let written = self.text.get(node.place.start..node.place.end).unwrap_or_default();
        let map = align(written, text);
        Text {
            text: text.to_owned(),
            map: map.into_iter().map(|at| self.offset(node.place.start + at)).collect(),
            source: Arc::clone(&self.source),
        }
    }

    /// A stretch of this text as a text.
    #[must_use]
    pub fn part(&self, stretch: Range<usize>) -> Text {
        Text {
            text: self.text.get(stretch.clone()).unwrap_or_default().to_owned(),
            map: (stretch.start..=stretch.end).map(|at| self.offset(at)).collect(),
            source: Arc::clone(&self.source),
        }
    }

    fn offset(&self, at: usize) -> usize {
        match self.map.is_empty() {
            true => at,
            false => self.map.get(at).or(self.map.last()).copied().unwrap_or_default(),
        }
    }

    /// The place of a stretch of this text in the file.
    #[must_use]
    pub fn place(&self, stretch: Range<usize>) -> Place {
        let start = self.offset(stretch.start);
        let mut place = self.source.place_at(start);
        // The end is behind the last character, which may stand on another line than the next.
        let last = self
            .text
            .get(..stretch.end)
            .and_then(|text| text.char_indices().next_back())
            .map_or(0, |(at, _)| at);
        if stretch.end > stretch.start {
            let end = self.offset(last.max(stretch.start));
            let width = self
                .source
                .text()
                .get(end..)
                .and_then(|rest| rest.chars().next())
                .map_or(0, char::len_utf8);
            place.end = (end + width).max(start);
        }
        place
    }

    /// The place of a value of this text's document.
    #[must_use]
    pub fn place_of(&self, place: Place) -> Place {
        match self.map.is_empty() {
            true => place,
            false => self.place(place.start..place.end),
        }
    }

    /// A diagnostic about a stretch of this text.
    #[must_use]
    pub fn diagnostic(
        &self,
        severity: Severity,
        code: &'static str,
        stretch: Range<usize>,
        path: &str,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::at(severity, code, &self.source, self.place(stretch), path, message)
    }

    /// A diagnostic about a place of this text's document.
    #[must_use]
    pub fn diagnostic_at(
        &self,
        severity: Severity,
        code: &'static str,
        place: Place,
        path: &str,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::at(severity, code, &self.source, self.place_of(place), path, message)
    }

    /// A diagnostic about a place of the file.
    #[must_use]
    pub fn in_file(
        &self,
        severity: Severity,
        code: &'static str,
        place: Place,
        path: &str,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::at(severity, code, &self.source, place, path, message)
    }

    /// The name of the file.
    #[must_use]
    pub fn file(&self) -> &str {
        self.source.name()
    }
}

/// For each byte of a value, and for its end, where it stands in what is written: both have the same characters in the same order, but for blanks and escapes.
fn align(written: &str, value: &str) -> Vec<usize> {
    let bytes = written.as_bytes();
    let style = bytes.first().copied().unwrap_or_default();
    let escapes = style == b'"';
    let mut at = match style {
        b'"' | b'\'' => 1,
        b'|' | b'>' => written.find('\n').map_or(written.len(), |end| end + 1),
        _ => 0,
    };
    let mut map = Vec::with_capacity(value.len() + 1);
    for character in value.chars() {
        let mut width = character.len_utf8();
        let rest = written.get(at..).unwrap_or_default();
        if escapes && rest.starts_with('\\') && !rest.starts_with("\\\n") {
            width = escape_length(rest);
        } else if character.is_whitespace() {
            if !rest.starts_with(char::is_whitespace) {
                // A line was folded here, or it is a break that is not written.
                map.extend(std::iter::repeat_n(at, character.len_utf8()));
                continue;
            }
            width = rest.chars().next().map_or(1, char::len_utf8);
        } else {
            let skipped = rest.find(character).filter(|end| {
                rest[..*end]
                    .chars()
                    .all(|c| c.is_whitespace() || (escapes && c == '\\'))
            });
            at += skipped.unwrap_or(0);
            if style == b'\'' && character == '\'' {
                width = 2;
            }
        }
        map.extend(std::iter::repeat_n(at, character.len_utf8()));
        at = (at + width).min(written.len());
    }
    map.push(at);
    map
}

fn escape_length(rest: &str) -> usize {
    match rest.as_bytes().get(1) {
        Some(b'x') => 4,
        Some(b'u') => 6,
        Some(b'U') => 10,
        _ => rest.char_indices().nth(2).map_or(rest.len(), |(at, _)| at),
    }
    .min(rest.len())
}

#[cfg(test)]
mod tests {
    use stoke_model::manifest;

    use super::*;

    /// The lines and columns of words of a value.
    fn places(file: &str, words: &[&str]) -> Vec<(usize, usize)> {
        let source = Source::new("a.yaml", file);
        let (nodes, complaints) = manifest::read(&source);
        assert!(complaints.is_empty(), "{complaints:?}");
        let text = Text::of_file(&source).of_value(nodes[0].get("expr").unwrap());
        let place = |word: &&str| {
            let at = text
                .text
                .find(word)
                .unwrap_or_else(|| panic!("{word} in {:?}", text.text));
            let place = text.place(at..at + word.len());
            assert_eq!(
                source.text().get(place.start..place.end).unwrap().trim_matches('\\'),
                *word,
                "{file}"
            );
            (place.line, place.column)
        };
        words.iter().map(place).collect()
    }

    #[test]
    fn words_are_found_in_every_style() {
        assert_eq!(places("expr: sum(up) > 1\n", &["up", "1"]), [(1, 11), (1, 17)]);
        assert_eq!(places("expr: 'a{b=''c''} > 1'\n", &["b", "> 1"]), [(1, 10), (1, 19)]);
        assert_eq!(
            places("expr: \"a{b=\\\"c\\\"} > 1\"\n", &["c", "> 1"]),
            [(1, 14), (1, 19)]
        );
        assert_eq!(
            places("expr: |\n  sum(\n    up\n  )\n  > 1\n", &["sum", "up", "> 1"]),
            [(2, 3), (3, 5), (5, 3)]
        );
        assert_eq!(
            places("expr: >-\n  sum(a)\n  /\n  sum(é) > 7\n", &["sum(a)", "é", "> 7"]),
            [(2, 3), (4, 7), (4, 10)]
        );
        assert_eq!(places("expr: sum(a)\n  / sum(b)\n", &["sum(b)"]), [(2, 5)]);
        assert_eq!(
            places("{\"expr\": \"sum(\\n  up) > 3\\u0020 + a\"}\n", &["up", "> 3", "+ a"]),
            [(1, 19), (1, 23), (1, 33)]
        );
    }
}
