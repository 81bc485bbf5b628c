//! A place in a line of JSON that is written without blanks.

/// A place in a line.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    /// A line without control characters, which JSON allows in no text.
    pub(super) fn clean(text: &'a str) -> Option<Cursor<'a>> {
        let least = text.bytes().fold(u8::MAX, u8::min);
        (least >= b' ').then_some(Cursor { text, at: 0 })
    }

    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// What was passed over since `place`.
    pub(super) fn since(&self, place: usize) -> &'a str {
        self.text.get(place..self.at).unwrap_or_default()
    }

    /// What is left.
    pub(super) fn left(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().iter().all(u8::is_ascii_whitespace)
    }

    /// Passes over `what` when it comes next.
    #[inline]
    pub(super) fn found(&mut self, what: &str) -> bool {
        let found = self.rest().starts_with(what.as_bytes());
        if found {
            self.at += what.len();
        }
        found
    }

    #[inline]
    pub(super) fn expect(&mut self, what: &str) -> Option<()> {
        self.found(what).then_some(())
    }

    /// A whole number of at most 18 digits.
    #[inline]
    pub(super) fn long(&mut self) -> Option<i64> {
        let rest = self.rest();
        let negative = rest.first() == Some(&b'-');
        let begin = usize::from(negative);
        let mut end = begin;
        let mut number = 0i64;
        while let Some(digit) = rest
            .get(end)
            .map(|byte| byte.wrapping_sub(b'0'))
            .filter(|digit| *digit < 10)
        {
            if end - begin == 18 {
                return None;
            }
            number = number * 10 + i64::from(digit);
            end += 1;
        }
        if end == begin || (end - begin > 1 && rest[begin] == b'0') {
            return None;
        }
        self.at += end;
        Some(if negative { -number } else { number })
    }

    #[inline]
    pub(super) fn int(&mut self) -> Option<i32> {
        self.long().and_then(|number| i32::try_from(number).ok())
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        if self.found("false") {
            return Some(false);
        }
        self.expect("true").map(|()| true)
    }

    /// A text without escapes, up to and with the quote that ends it.
    #[inline]
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = memchr::memchr2(b'"', b'\\', self.rest())?;
        let text = self.text.get(self.at..self.at + length)?;
        self.at += length;
        self.expect("\"").map(|()| text)
    }

    /// What comes before the next `end`, which is passed over.
    #[inline]
    pub(super) fn until(&mut self, end: u8) -> Option<&'a str> {
        let length = memchr::memchr(end, self.rest())?;
        let text = self.text.get(self.at..self.at + length)?;
        self.at += length + 1;
        Some(text)
    }

    /// The number behind `name`.
    #[inline]
    pub(super) fn first(&mut self, name: &str) -> Option<i64> {
        self.expect(name)?;
        self.long()
    }

    /// The number behind `name` when it comes next, else 0: what Spark reads where a version does not write it.
    #[inline]
    pub(super) fn maybe(&mut self, name: &str) -> Option<i64> {
        match self.found(name) {
            true => self.long(),
            false => Some(0),
        }
    }

    /// Likewise, and the end of the object.
    #[inline]
    pub(super) fn last(&mut self, name: &str) -> Option<i64> {
        let number = self.maybe(name)?;
        self.expect("}")?;
        Some(number)
    }

    /// A text up to and with the quote that ends it, with escapes as they are written.
    fn raw(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let mut length = 0;
        loop {
            length += memchr::memchr(b'"', rest.get(length..)?)?;
            let escapes = rest[..length].iter().rev().take_while(|byte| **byte == b'\\').count();
            if escapes % 2 == 0 {
                break;
            }
            length += 1;
        }
        let text = self.text.get(self.at..self.at + length)?;
        self.at += length + 1;
        Some(text)
    }

    /// How far it is to the next `byte`.
    pub(super) fn length_to(&self, byte: u8) -> usize {
        memchr::memchr(byte, self.rest()).unwrap_or(0)
    }

    /// A text, its escapes read.
    pub(super) fn owned(&mut self) -> Option<String> {
        let raw = self.raw()?;
        match memchr::memchr(b'\\', raw.as_bytes()) {
            None => Some(raw.to_owned()),
            Some(first) => unescaped(raw, first),
        }
    }

    /// Passes over a text that is not needed.
    pub(super) fn skip_text(&mut self) -> Option<()> {
        let mut raw = self.raw()?.as_bytes();
        while let Some(place) = memchr::memchr(b'\\', raw) {
            if !SHORT.iter().any(|(escape, _)| raw.get(place + 1) == Some(escape)) {
                return None;
            }
            raw = raw.get(place + 2..)?;
        }
        Some(())
    }

    /// Passes over a text that is not needed and mostly the same as `last`, the one before it at this place.
    pub(super) fn skip_again(&mut self, last: &mut &'a str) -> Option<()> {
        if !last.is_empty() && self.found(last) {
            return Some(());
        }
        let begin = self.at;
        self.skip_text()?;
        *last = self.since(begin);
        Some(())
    }

    /// Whole numbers up to the end of their list.
    pub(super) fn ints(&mut self) -> Option<Vec<i32>> {
        let mut all = Vec::new();
        if self.found("]") {
            return Some(all);
        }
        loop {
            all.push(self.int()?);
            if !self.found(",") {
                self.expect("]")?;
                return Some(all);
            }
        }
    }
}

/// Escapes of one character, and what they mean. Those of four hexadecimal digits are left to the general reader.
const SHORT: [(u8, char); 8] = [
    (b'n', '\n'),
    (b'"', '"'),
    (b'\\', '\\'),
    (b't', '\t'),
    (b'/', '/'),
    (b'r', '\r'),
    (b'b', '\u{8}'),
    (b'f', '\u{c}'),
];

/// The text that `raw` writes; its first escape is at `first`.
fn unescaped(raw: &str, first: usize) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let (mut rest, mut place) = (raw, first);
    loop {
        text.push_str(rest.get(..place)?);
        let escape = *rest.as_bytes().get(place + 1)?;
        text.push(SHORT.iter().find(|(short, _)| *short == escape)?.1);
        rest = rest.get(place + 2..)?;
        match memchr::memchr(b'\\', rest.as_bytes()) {
            Some(next) => place = next,
            None => {
                text.push_str(rest);
                return Some(text);
            }
        }
    }
}
