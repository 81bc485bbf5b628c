//! JSON as Spark writes it: Jackson with its default pretty printer. Written piece by piece, so that an answer of any size takes no memory.

use std::io;

/// Takes finished pieces of an answer.
pub type Sink<'a> = dyn FnMut(Vec<u8>) -> io::Result<()> + 'a;

/// Pieces are handed on when they are this long, in bytes.
const PIECE: usize = 64 << 10;

/// A writer of one JSON value.
pub struct Json<'a> {
    out: Vec<u8>,
    depth: usize,
    sink: &'a mut Sink<'a>,
    broken: Option<io::Error>,
}

impl std::fmt::Debug for Json<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Json")
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

/// A value of a single token.
pub trait Scalar {
    fn write(&self, out: &mut Vec<u8>);
}

/// A moment in milliseconds since 1970, written as Spark's status API writes dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date(pub i64);

impl<'a> Json<'a> {
    /// A writer into `sink`.
    pub fn new(sink: &'a mut Sink<'a>) -> Self {
        Json {
            out: Vec::with_capacity(PIECE + 4096),
            depth: 0,
            sink,
            broken: None,
        }
    }

    /// Hands on what is left.
    ///
    /// # Errors
    /// When a piece could not be handed on: whoever asked is gone.
    pub fn finish(mut self) -> io::Result<()> {
        match self.broken.take() {
            Some(error) => Err(error),
            None => (self.sink)(std::mem::take(&mut self.out)),
        }
    }

    /// Whether no one listens any more.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Ends the answer where it is: what it is made of cannot be read.
    pub fn fail(&mut self, error: io::Error) {
        self.broken.get_or_insert(error);
    }

    fn hand_on(&mut self) {
        if self.out.len() < PIECE {
            return;
        }
        let piece = std::mem::replace(&mut self.out, Vec::with_capacity(PIECE + 4096));
        if self.broken.is_none()
            && let Err(error) = (self.sink)(piece)
        {
            self.broken = Some(error);
        }
    }

    fn line(&mut self) {
        self.out.push(b'\n');
        self.out.resize(self.out.len() + 2 * self.depth, b' ');
    }

    /// Writes a value of one token.
    pub fn scalar(&mut self, value: impl Scalar) {
        value.write(&mut self.out);
    }

    /// Writes an object.
    pub fn object(&mut self, fields: impl FnOnce(&mut Object<'_, 'a>)) {
        self.out.extend_from_slice(b"{");
        self.depth += 1;
        let mut object = Object {
            json: self,
            empty: true,
        };
        fields(&mut object);
        let empty = object.empty;
        self.depth -= 1;
        match empty {
            true => self.out.push(b' '),
            false => self.line(),
        }
        self.out.push(b'}');
        self.hand_on();
    }

    /// Writes a list.
    pub fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut Self, T)) {
        self.out.extend_from_slice(b"[");
        let mut first = true;
        for one in items {
            self.out.extend_from_slice(if first { b" " } else { b", " });
            first = false;
            item(self, one);
            self.hand_on();
            if self.broken.is_some() {
                return;
            }
        }
        self.out.extend_from_slice(b" ]");
    }
}

/// The fields of an object.
#[derive(Debug)]
pub struct Object<'j, 'a> {
    json: &'j mut Json<'a>,
    empty: bool,
}

impl<'a> Object<'_, 'a> {
    fn key(&mut self, key: &str) -> &mut Json<'a> {
        if !self.empty {
            self.json.out.push(b',');
        }
        self.empty = false;
        self.json.line();
        text(&mut self.json.out, key);
        self.json.out.extend_from_slice(b" : ");
        self.json
    }

    /// As [`Json::fail`].
    pub fn fail(&mut self, error: io::Error) {
        self.json.fail(error);
    }

    /// A field of one token.
    pub fn put(&mut self, key: &str, value: impl Scalar) {
        self.key(key).scalar(value);
    }

    /// A field that is left out when there is nothing.
    pub fn maybe(&mut self, key: &str, value: Option<impl Scalar>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// A field that is an object.
    pub fn object(&mut self, key: &str, fields: impl FnOnce(&mut Object<'_, 'a>)) {
        self.key(key).object(fields);
    }

    /// A field that is a list.
    pub fn list<T>(&mut self, key: &str, items: impl IntoIterator<Item = T>, item: impl FnMut(&mut Json<'a>, T)) {
        self.key(key).list(items, item);
    }

    /// A field that is written by `value`.
    pub fn nested(&mut self, key: &str, value: impl FnOnce(&mut Json<'a>)) {
        value(self.key(key));
    }

    /// A field that is a list of tokens.
    pub fn scalars<T: Scalar>(&mut self, key: &str, items: impl IntoIterator<Item = T>) {
        self.list(key, items, |json, item| json.scalar(item));
    }

    /// A field that is an object of tokens.
    pub fn map<'k, V: Scalar>(&mut self, key: &str, entries: impl IntoIterator<Item = (&'k str, V)>) {
        self.object(key, |object| {
            for (name, value) in entries {
                object.put(name, value);
            }
        });
    }
}

macro_rules! number {
    ($($kind:ty),*) => {$(
        impl Scalar for $kind {
            fn write(&self, out: &mut Vec<u8>) {
                use io::Write;
                // Writing to memory does not fail.
                let _ = write!(out, "{self}");
            }
        }
    )*};
}

number!(i32, i64, u32, u64, usize, bool);

impl Scalar for f64 {
    /// As `Double.toString`: plain from 10^-3 to 10^7, with an exponent otherwise.
    fn write(&self, out: &mut Vec<u8>) {
        use io::Write;
        let size = self.abs();
        let _ = if !self.is_finite() {
            match self.is_nan() {
                true => write!(out, "\"NaN\""),
                false => write!(out, "\"{}Infinity\"", if *self < 0.0 { "-" } else { "" }),
            }
        } else if size == 0.0 || (1e-3..1e7).contains(&size) {
            write!(out, "{self:?}")
        } else {
            let shown = format!("{self:E}");
            match shown.split_once('E') {
                Some((digits, exponent)) if !digits.contains('.') => write!(out, "{digits}.0E{exponent}"),
                _ => write!(out, "{shown}"),
            }
        };
    }
}

impl Scalar for &str {
    fn write(&self, out: &mut Vec<u8>) {
        text(out, self);
    }
}

impl Scalar for String {
    fn write(&self, out: &mut Vec<u8>) {
        text(out, self);
    }
}

impl Scalar for &String {
    fn write(&self, out: &mut Vec<u8>) {
        text(out, self);
    }
}

impl Scalar for Date {
    fn write(&self, out: &mut Vec<u8>) {
        use io::Write;
        let ((year, month, day), [hour, minute, second]) = moment(self.0);
        let _ = write!(
            out,
            "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}GMT\"",
            self.0.rem_euclid(1000)
        );
    }
}

/// The hour of a day, minute and second of a moment in milliseconds since 1970, behind its year, month and day.
pub(crate) fn moment(millis: i64) -> ((i64, i64, i64), [i64; 3]) {
    let seconds = millis.rem_euclid(86_400_000) / 1000;
    let clock = [seconds / 3600, seconds / 60 % 60, seconds % 60];
    (civil(millis.div_euclid(86_400_000)), clock)
}

/// Year, month and day of a number of days since 1970 in the Gregorian calendar (400 years are 146,097 days; years begin in March).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn text(out: &mut Vec<u8>, text: &str) {
    use io::Write;
    out.push(b'"');
    let mut plain = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            8 => b"\\b",
            12 => b"\\f",
            0..=31 => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..at]);
        match escape.is_empty() {
            true => {
                let _ = write!(out, "\\u{byte:04X}");
            }
            false => out.extend_from_slice(escape),
        }
        plain = at + 1;
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Json<'_>)) -> String {
        let mut all = Vec::new();
        let mut sink = |piece: Vec<u8>| {
            all.extend(piece);
            Ok(())
        };
        let mut json = Json::new(&mut sink);
        write(&mut json);
        json.finish().unwrap();
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn the_printer_is_jacksons() {
        let text = written(|json| {
            json.list([1, 2], |json, id| {
                json.object(|object| {
                    object.put("id", id);
                    object.scalars("none", Vec::<i32>::new());
                    object.map("empty", Vec::<(&str, i32)>::new());
                    object.scalars("some", [1.0, 1e7, 0.05, 9.749_170_4e7]);
                    object.put("text", "a\"\n\u{1}ü");
                    object.maybe("absent", None::<i32>);
                });
            });
        });
        let one = |id: i32| {
            format!(
                "{{\n  \"id\" : {id},\n  \"none\" : [ ],\n  \"empty\" : {{ }},\n  \"some\" : [ 1.0, 1.0E7, 0.05, 9.7491704E7 ],\n  \"text\" : \"a\\\"\\n\\u0001ü\"\n}}"
            )
        };
        assert_eq!(text, format!("[ {}, {} ]", one(1), one(2)));
    }

    #[test]
    fn dates() {
        for (millis, text) in [
            (-1, "\"1969-12-31T23:59:59.999GMT\""),
            (1_795_304_699_487, "\"2026-11-21T23:44:59.487GMT\""),
            (951_782_400_000, "\"2000-02-29T00:00:00.000GMT\""),
        ] {
            assert_eq!(written(|json| json.scalar(Date(millis))), text);
        }
    }

    #[test]
    fn who_is_gone_stops_the_writing() {
        let mut sink = |_: Vec<u8>| Err(io::ErrorKind::BrokenPipe.into());
        let mut json = Json::new(&mut sink);
        let mut written = 0;
        json.list(0..1_000_000, |json, _| {
            json.scalar("some text that fills a piece sooner or later");
            written += 1;
        });
        assert!(json.is_broken() && written < 10_000);
        assert!(json.finish().is_err());
    }
}
