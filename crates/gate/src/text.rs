//! Bytes to text: which encoding a file is in, and what its own reader makes of it.

use std::borrow::Cow;

/// The name of UTF-16 in messages.
pub const UTF_16: &str = "UTF-16";

/// A text and what is odd about its encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text; what is not UTF-8 is read as Latin-1, in which every byte is a character.
    pub text: Cow<'a, str>,
    /// The first byte that is not UTF-8; none for UTF-8.
    pub odd: Option<usize>,
    /// The encoding, for messages.
    pub encoding: &'static str,
}

/// The text of some bytes; `None` for what is not text.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Decoded<'_>> {
    if let Some(text) = utf16(bytes) {
        return Some(Decoded {
            text: Cow::Owned(text),
            odd: Some(0),
            encoding: UTF_16,
        });
    }
    if bytes.contains(&0) {
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(Decoded {
            text: Cow::Borrowed(text),
            odd: None,
            encoding: "UTF-8",
        }),
        Err(error) => {
            let controls = bytes
                .iter()
                .filter(|byte| **byte < 9 || (14..27).contains(*byte))
                .count();
            (controls * 20 <= bytes.len()).then(|| Decoded {
                text: Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
                odd: Some(error.valid_up_to()),
                encoding: "an encoding of single bytes, such as Latin-1",
            })
        }
    }
}

/// A text in UTF-16: with its mark, or with a zero in every other byte of its beginning.
fn utf16(bytes: &[u8]) -> Option<String> {
    let (big, rest) = match bytes {
        [0xfe, 0xff, rest @ ..] => (true, rest),
        [0xff, 0xfe, rest @ ..] => (false, rest),
        _ => {
            let head = bytes.get(..64.min(bytes.len() & !1)).filter(|head| head.len() >= 8)?;
            let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
            let (even, odd) = (zeros(0), zeros(1));
            let most = head.len() / 2;
            match (even * 4 > most * 3, odd * 4 > most * 3) {
                (true, false) => (true, bytes),
                (false, true) => (false, bytes),
                _ => return None,
            }
        }
    };
    let units = rest.chunks_exact(2).map(|pair| match (big, pair) {
        (true, &[high, low]) => u16::from_be_bytes([high, low]),
        (_, &[low, high]) => u16::from_le_bytes([low, high]),
        _ => 0,
    });
    char::decode_utf16(units).collect::<Result<String, _>>().ok()
}

/// The encoding that a Python program declares in one of its first two lines (PEP 263).
#[must_use]
pub fn declared(bytes: &[u8]) -> Option<String> {
    bytes.split(|byte| *byte == b'\n').take(2).find_map(|line| {
        let line = String::from_utf8_lossy(line);
        let comment = line.trim_start().strip_prefix('#')?;
        let after = comment.split_once("coding")?.1.strip_prefix([':', '='])?.trim_start();
        let name: String = after
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
            .collect();
        (!name.is_empty()).then(|| name.to_ascii_lowercase().replace('_', "-"))
    })
}

/// Whether an encoding has a character for each byte, those of ASCII among them, so that reading it as Latin-1 moves nothing.
#[must_use]
pub fn is_single_byte(encoding: &str) -> bool {
    ["latin", "iso-8859-", "iso8859", "l1", "cp125", "windows-125", "koi8-"]
        .iter()
        .any(|start| encoding.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_seen() {
        let utf16 = |text: &str, big: bool, mark: bool| -> Vec<u8> {
            let mark: &[u16] = if mark { &[0xfeff] } else { &[] };
            let units = mark.iter().copied().chain(text.encode_utf16());
            units
                .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
                .collect()
        };
        for (bytes, expected) in [
            (b"plain".to_vec(), Some(("plain", None))),
            ("é".as_bytes().to_vec(), Some(("é", None))),
            (b"caf\xe9 x".to_vec(), Some(("café x", Some(3)))),
            (utf16("key: value", true, true), Some(("key: value", Some(0)))),
            (utf16("key: value", false, true), Some(("key: value", Some(0)))),
            (utf16("key: value", false, false), Some(("key: value", Some(0)))),
            (utf16("key: value", true, false), Some(("key: value", Some(0)))),
            (b"a\0b".to_vec(), None),
            (b"PAR1\x15\x04\x15\x00\x00".to_vec(), None),
            (b"\x80\x04\x95\x01\x02\x03\x04\x05\x06".to_vec(), None),
        ] {
            let found = decode(&bytes);
            assert_eq!(
                found.as_ref().map(|found| (&*found.text, found.odd)),
                expected,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn declared_encodings() {
        for (text, expected) in [
            ("# -*- coding: latin-1 -*-\n", Some("latin-1")),
            (
                "#!/usr/bin/python\n# vim: set fileencoding=ISO_8859-15 :\n",
                Some("iso-8859-15"),
            ),
            ("x = 1\n\n# coding: latin-1\n", None),
            ("coding = 1", None),
        ] {
            assert_eq!(declared(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }
}
