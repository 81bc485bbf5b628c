//! `java.util.Properties` text as `store` writes it: what the driver reads as `spark.properties`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::java_order::{sort_as_concurrent_map, sort_as_scala_map};

/// The text of `properties`: a comment line, a date line, one line per key in the order of Java's hash table.
///
/// The date is in UTC: the only part of the text that depends on when it is written.
pub(crate) fn store(properties: &BTreeMap<String, String>, comment: &str, scala_2_12: bool, at: Timestamp) -> String {
    let mut text = format!(
        "#{comment}\n#{}\n",
        at.to_zoned(TimeZone::UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
    );
    let mut entries: Vec<(&String, &String)> = properties.iter().collect();
    // Spark puts the entries of a Scala map into the table.
    sort_as_scala_map(&mut entries, scala_2_12, |entry| entry.0);
    sort_as_concurrent_map(&mut entries, |entry| entry.0);
    for (key, value) in entries {
        escape(&mut text, key, true);
        text.push('=');
        escape(&mut text, value, false);
        text.push('\n');
    }
    text
}

/// Writes `part` so that `Properties.load` reads it back. In keys every blank is escaped, in values only a leading one.
fn escape(text: &mut String, part: &str, key: bool) {
    for (at, character) in part.char_indices() {
        match character {
            ' ' if key || at == 0 => text.push_str("\\ "),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\u{c}' => text.push_str("\\f"),
            '\\' | '=' | ':' | '#' | '!' => {
                text.push('\\');
                text.push(character);
            }
            _ => {
                let _ = write!(text, "{character}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_the_reader_takes_as_syntax_is_escaped() {
        let properties = BTreeMap::from([("a b:c".to_owned(), "  x=y # \\ \t\n\r!é".to_owned())]);
        let text = store(
            &properties,
            "of the test",
            false,
            Timestamp::from_second(1_795_227_825).unwrap(),
        );
        assert_eq!(
            text,
            "#of the test\n#Sat Nov 21 02:23:45 UTC 2026\na\\ b\\:c=\\  x\\=y \\# \\\\ \\t\\n\\r\\!é\n"
        );
    }
}
