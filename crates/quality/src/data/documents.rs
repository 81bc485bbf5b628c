//! JSON documents as JSON lines: an array of objects, or objects over several lines, become one object a line while they are read.
//!
//! Nothing is held: the text is walked byte by byte. What is in a document is not judged here, what is between them is.

use std::io::{BufRead, Error, Read, Result};

use memchr::memchr2;

/// Bytes of a first line that are looked at.
const FIRST: u64 = 4 << 20;

/// Whether a text is documents rather than lines: its first line that is not empty is not a whole object.
///
/// # Errors
/// When it cannot be read.
pub(super) fn are_documents(text: impl BufRead) -> Result<bool> {
    let mut text = text.take(FIRST);
    let mut line = Vec::new();
    loop {
        line.clear();
        if text.read_until(b'\n', &mut line)? == 0 {
            return Ok(false);
        }
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line).trim_ascii();
        if line.first() == Some(&b'[') {
            return Ok(true);
        }
        if !line.is_empty() {
            let whole = serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
            return Ok(!whole && text.limit() > 0);
        }
    }
}

/// What comes next outside of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The first document, or the array that holds all.
    First,
    /// A document of an array, or its end where it holds none.
    Item { may_end: bool },
    /// A comma, or the end of the array.
    Comma,
    /// A document beside the others.
    Another,
    /// Nothing but blanks.
    End,
}

impl Next {
    fn wanted(self) -> &'static str {
        match self {
            Self::First | Self::Another => {
                "JSON is read as objects, or as one array of objects, and here stands something else"
            }
            Self::Item { .. } => "an item of the JSON array is not an object",
            Self::Comma => "a comma, or the end of the JSON array, is missing behind an object",
            Self::End => "something stands behind the end of the JSON array",
        }
    }
}

/// The lines of documents.
pub(super) struct Documents<R> {
    text: R,
    next: Next,
    /// Brackets that are open in the present document.
    depth: usize,
    quoted: bool,
    escaped: bool,
    /// Whether documents stand in an array.
    listed: bool,
    ended: bool,
}

impl<R: BufRead> Documents<R> {
    pub(super) fn new(text: R) -> Self {
        Self {
            text,
            next: Next::First,
            depth: 0,
            quoted: false,
            escaped: false,
            listed: false,
            ended: false,
        }
    }

    /// What a byte outside of all documents becomes.
    fn between(&mut self, byte: u8) -> Result<Option<u8>> {
        match (self.next, byte) {
            // Blanks, and a mark of byte order.
            (_, b' ' | b'\t' | b'\r' | b'\n') | (Next::First, 0xEF | 0xBB | 0xBF) => {}
            (Next::First, b'[') => (self.next, self.listed) = (Next::Item { may_end: true }, true),
            (Next::Comma, b',') => self.next = Next::Item { may_end: false },
            (Next::Comma | Next::Item { may_end: true }, b']') => self.next = Next::End,
            (Next::First | Next::Another | Next::Item { .. }, b'{') => {
                self.depth = 1;
                return Ok(Some(byte));
            }
            (next, _) => return Err(Error::other(next.wanted())),
        }
        Ok(None)
    }

    /// What a byte of a document becomes; and whether the document ends with it.
    fn within(&mut self, byte: u8) -> (u8, bool) {
        if self.quoted {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.quoted = false,
                _ => {}
            }
            return (byte, false);
        }
        match byte {
            b'"' => self.quoted = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            b'\n' | b'\r' => return (b' ', false),
            _ => {}
        }
        (byte, self.depth == 0)
    }
}

impl<R: BufRead> Read for Documents<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        if into.len() < 2 {
            // There is room for an end of line behind each byte.
            return match into.is_empty() {
                true => Ok(0),
                false => Err(Error::other("a buffer of one byte")),
            };
        }
        let mut written = 0;
        while written + 1 < into.len() && !self.ended {
            let bytes = self.text.fill_buf()?;
            if bytes.is_empty() {
                self.ended = true;
                if self.depth > 0 || (self.listed && self.next != Next::End) {
                    return Err(Error::other("the JSON ends within a document, or within its array"));
                }
                break;
            }
            // Most of a text stands in quotes.
            let plain = match self.quoted && !self.escaped {
                true => memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len()),
                false => 0,
            };
            if plain > 0 {
                let count = plain.min(into.len() - 1 - written);
                into[written..written + count].copy_from_slice(&bytes[..count]);
                written += count;
                self.text.consume(count);
                continue;
            }
            let byte = bytes[0];
            self.text.consume(1);
            if self.depth == 0 {
                if let Some(byte) = self.between(byte)? {
                    into[written] = byte;
                    written += 1;
                }
                continue;
            }
            let (byte, ends) = self.within(byte);
            into[written] = byte;
            written += 1;
            if ends {
                into[written] = b'\n';
                written += 1;
                self.next = match self.listed {
                    true => Next::Comma,
                    false => Next::Another,
                };
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(text: &str, room: usize) -> Option<String> {
        let mut found = Vec::new();
        let mut documents = Documents::new(BufReader::with_capacity(room, text.as_bytes()));
        let mut into = vec![0; room];
        loop {
            let count = documents.read(&mut into).ok()?;
            if count == 0 {
                return String::from_utf8(found).ok();
            }
            found.extend_from_slice(&into[..count]);
        }
    }

    #[test]
    fn documents_become_lines() {
        for (text, documents, expected) in [
            ("{\"a\": 1}\n{\"a\": 2}\n", false, Some("{\"a\": 1}\n{\"a\": 2}\n")),
            ("", false, Some("")),
            ("[]", true, Some("")),
            (" [ ]\n", true, Some("")),
            (
                "[{\"a\": 1}, {\"a\": [2, {}]}]",
                true,
                Some("{\"a\": 1}\n{\"a\": [2, {}]}\n"),
            ),
            ("[\n {\n  \"a\": 1\n },\n {}\n]\n", true, Some("{   \"a\": 1  }\n{}\n")),
            (
                "{\n \"a\": \"}]\\\"{\"\n}\n{\n}",
                true,
                Some("{  \"a\": \"}]\\\"{\" }\n{ }\n"),
            ),
            ("\u{feff}[{\"a\": \"\\\\\"}]", true, Some("{\"a\": \"\\\\\"}\n")),
            ("[{} {}]", true, None),
            ("[{}, ]", true, None),
            ("[, {}]", true, None),
            ("[{}", true, None),
            ("[{\"a\": 1", true, None),
            ("{\n\"a\": 1\n", true, None),
            ("[{}] x", true, None),
            ("[1, 2]", true, None),
        ] {
            assert_eq!(
                are_documents(BufReader::new(text.as_bytes())).unwrap(),
                documents,
                "{text}"
            );
            for room in [2, 3, 7, 1000] {
                assert_eq!(lines(text, room).as_deref(), expected, "{text}");
            }
        }
    }
}
