//! Regular expressions as Python's `re` reads them, searched for anywhere in a value.
//!
//! Most texts of data are ASCII and most patterns have no need of Unicode to decide about those, so a pattern is compiled twice: into a table-driven
//! automaton for ASCII texts, where that is possible in a few MiB, and into the `regex` crate's engine for all others. What that crate has not
//! (look-around, back-references) goes to `fancy-regex`.
//!
//! Differences from Python's `re` that remain: `\w` also takes combining marks and connector punctuation, `\s` does not take U+001C to U+001F, and a
//! pattern that needs more than a million backtracking steps for one value is given up.

use regex_automata::dfa::{Automaton, dense};
use regex_automata::{Anchored, Input, nfa::thompson, util::syntax};

/// The table of an automaton may be this large.
const TABLE_LIMIT: usize = 4 << 20;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    written: String,
    ascii: Option<Box<dense::DFA<Vec<u32>>>>,
    full: Full,
}

#[derive(Clone, Debug)]
enum Full {
    Plain(regex::Regex),
    Fancy(Box<fancy_regex::Regex>),
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Why it cannot be compiled, in words.
    pub fn new(written: &str) -> Result<Self, String> {
        let translated = translate(written);
        let full = match regex::Regex::new(&translated) {
            Ok(plain) => Full::Plain(plain),
            Err(first) => match fancy_regex::Regex::new(&translated) {
                Ok(fancy) => Full::Fancy(Box::new(fancy)),
                Err(_) => return Err(reason(&first)),
            },
        };
        let ascii = match full {
            Full::Plain(_) => automaton(&translated),
            Full::Fancy(_) => None,
        };
        Ok(Self {
            written: written.to_owned(),
            ascii,
            full,
        })
    }

    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether it is found in a text; none when the search was given up.
    pub fn find(&self, text: &str) -> Option<bool> {
        if let Some(ascii) = &self.ascii
            && text.is_ascii()
        {
            let input = Input::new(text).anchored(Anchored::No).earliest(true);
            if let Ok(found) = ascii.try_search_fwd(&input) {
                return Some(found.is_some());
            }
        }
        match &self.full {
            Full::Plain(regex) => Some(regex.is_match(text)),
            Full::Fancy(regex) => regex.is_match(text).ok(),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

/// The last line of an error of the `regex` crate says what is wrong; the lines before draw it.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// An automaton over bytes that decides as the pattern does for ASCII texts: there, classes mean the same with and without Unicode. A pattern that
/// cannot be said without Unicode, or only by a large table, has none.
fn automaton(pattern: &str) -> Option<Box<dense::DFA<Vec<u32>>>> {
    let config = dense::Config::new()
        .dfa_size_limit(Some(TABLE_LIMIT))
        .determinize_size_limit(Some(2 * TABLE_LIMIT))
        .start_kind(regex_automata::dfa::StartKind::Unanchored);
    dense::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(TABLE_LIMIT)))
        .build(pattern)
        .ok()
        .map(Box::new)
}

/// The same pattern in the syntax of the `regex` crate.
///
/// `\Z` is the very end there too but is written `\z`; `$` is also before a line end that ends the text; `[`, `&&`, `--` and `~~` in a class are just
/// those characters; an escaped `<`, `>` or non-ASCII character is that character.
fn translate(pattern: &str) -> String {
    let multiline = pattern.match_indices("(?").any(|(at, _)| {
        pattern[at + 2..]
            .chars()
            .take_while(char::is_ascii_alphabetic)
            .any(|c| c == 'm')
    });
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut characters = pattern.chars().peekable();
    // In a class: how many members were seen, so that a first `]` is one.
    let mut class: Option<usize> = None;
    while let Some(character) = characters.next() {
        match (character, class) {
            ('\\', _) => {
                let Some(escaped) = characters.next() else {
                    out.push('\\');
                    break;
                };
                match escaped {
                    'Z' if class.is_none() => out.push_str("\\z"),
                    '<' | '>' => out.push(escaped),
                    other if !other.is_ascii() => out.push(other),
                    other => out.extend(['\\', other]),
                }
                class = class.map(|seen| seen + 1);
            }
            ('$', None) if !multiline => out.push_str("(?:\\n?\\z)"),
            ('[', None) => {
                out.push('[');
                if characters.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                class = Some(0);
            }
            (']', Some(0)) => {
                out.push_str("\\]");
                class = Some(1);
            }
            (']', Some(_)) => {
                out.push(']');
                class = None;
            }
            ('[', Some(seen)) => {
                out.push_str("\\[");
                class = Some(seen + 1);
            }
            ('&' | '~', Some(seen)) => {
                out.extend(['\\', character]);
                class = Some(seen + 1);
            }
            ('-', Some(seen)) if characters.peek() == Some(&'-') => {
                out.push_str("\\-");
                class = Some(seen + 1);
            }
            (other, seen) => {
                out.push(other);
                class = seen.map(|seen| seen + 1);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_are_found_as_python_finds_them() {
        let table = [
            ("^a$", "a\n", true),
            ("^a$", "a\n\n", false),
            ("^a\\Z", "a\n", false),
            ("b", "abc", true),
            ("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", "a@b.c", true),
            ("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", "a@b", false),
            ("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", "ä@bü.c", true),
            ("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", "a\u{a0}b@b.c", false),
            ("^[[a]+$", "[a[", true),
            ("^[]a]+$", "]a", true),
            ("^[a&&b]+$", "a&b", true),
            ("^[^]]+$", "a]", false),
            ("^\\w+$", "straße", true),
            ("^.{2}$", "éé", true),
            ("(?i)^abc$", "ABC", true),
            ("(?=.*[0-9])^[a-z0-9]+$", "abc", false),
            ("(?=.*[0-9])^[a-z0-9]+$", "abc1", true),
            ("^(a+)b\\1$", "aabaa", true),
            ("^(a+)b\\1$", "aaba", false),
            ("", "", true),
            ("(?s).*", "a\nb", true),
            ("\\<b\\>", "<b>", true),
        ];
        for (pattern, text, expected) in table {
            let found = Pattern::new(pattern).unwrap().find(text);
            assert_eq!(found, Some(expected), "{pattern} in {text:?}");
        }
    }

    #[test]
    fn what_cannot_be_compiled_says_why() {
        assert!(Pattern::new("a(").unwrap_err().contains("unclosed"));
        assert!(Pattern::new("[z-a]").is_err());
    }

    #[test]
    fn a_search_without_end_is_given_up() {
        let pattern = Pattern::new("^(?=(a+)+$)(a|aa)+\\1b$").unwrap();
        assert_eq!(pattern.find(&"a".repeat(60)), None);
    }

    proptest! {
        #[test]
        fn the_automaton_decides_as_the_engine(
            pattern in "[a-c.\\[\\]()|*+?^$\\\\wsdb-]{0,12}",
            text in "[a-d0 \n_]{0,12}",
        ) {
            if let Ok(pattern) = Pattern::new(&pattern) {
                let quick = pattern.find(&text);
                let slow = Pattern { ascii: None, ..pattern.clone() }.find(&text);
                prop_assert_eq!(quick, slow, "{:?} in {:?}", pattern.as_str(), text);
            }
        }

        #[test]
        fn any_pattern_is_answered(pattern in "\\PC{0,30}", text in "\\PC{0,30}") {
            if let Ok(pattern) = Pattern::new(&pattern) {
                let _ = pattern.find(&text);
            }
        }
    }
}
