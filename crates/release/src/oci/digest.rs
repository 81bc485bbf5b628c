//! Digests, and readers and sums that hold content against them.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::error::{Kind, OciError};
use super::model::Descriptor;

/// `sha256:` and 64 lower-case hexadecimal digits. Other algorithms are refused: none of the registries in use makes them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

const PREFIX: &str = "sha256:";

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = Hashing::new();
        sum.update(bytes);
        sum.end()
    }

    /// `sha256:…`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0[PREFIX.len()..]
    }

    /// Its first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

impl FromStr for Digest {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        let hex = text.strip_prefix(PREFIX);
        let right =
            |hex: &str| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match hex {
            Some(hex) if right(hex) => Ok(Self(text.to_owned())),
            None if text.contains(':') => Err(OciError::new(
                Kind::Unsupported,
                format!("`{text}` is not a digest of SHA-256, the only kind that is used here"),
            )),
            _ => Err(OciError::new(
                Kind::Malformed,
                format!("`{text}` is not a digest: `sha256:` and 64 lower-case hexadecimal digits"),
            )),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A digest in the making.
#[derive(Clone, Default)]
pub struct Hashing {
    sum: Sha256,
    count: u64,
}

impl Hashing {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.sum.update(bytes);
        self.count += bytes.len() as u64;
    }

    /// Bytes so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    #[must_use]
    pub fn end(self) -> Digest {
        let hex = self.sum.finalize().iter().fold(String::from(PREFIX), |mut text, byte| {
            use fmt::Write;
            let _ = write!(text, "{byte:02x}");
            text
        });
        Digest(hex)
    }

    /// Holds what was summed against what was said of it; `place` is where it came from.
    ///
    /// # Errors
    /// Another size, another digest.
    pub fn check(self, wanted: &Descriptor, place: &str) -> Result<(), OciError> {
        if self.count != wanted.size {
            return Err(OciError::new(
                Kind::Size,
                format!(
                    "{place}: {} has {} bytes, not {}",
                    wanted.digest, self.count, wanted.size
                ),
            ));
        }
        let found = self.end();
        if found != wanted.digest {
            return Err(OciError::new(
                Kind::Digest,
                format!("{place}: what was given as {} is {found}", wanted.digest),
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hashing")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// A reader that fails at its end, or beyond the size, when the content is not what the descriptor says.
pub struct Verified<R> {
    inner: R,
    wanted: Descriptor,
    place: String,
    sum: Option<Hashing>,
}

impl<R: Read> Verified<R> {
    pub fn new(inner: R, wanted: Descriptor, place: impl Into<String>) -> Self {
        Self {
            inner,
            wanted,
            place: place.into(),
            sum: Some(Hashing::new()),
        }
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        let Some(sum) = &mut self.sum else { return Ok(count) };
        sum.update(&buffer[..count]);
        let over = sum.count() > self.wanted.size;
        if count == 0 || over {
            let sum = self.sum.take().unwrap_or_default();
            sum.check(&self.wanted, &self.place)?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::oci::media;

    #[test]
    fn digests_are_sha256_in_lower_case() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), empty);
        assert_eq!(empty.parse::<Digest>().unwrap().short(), "e3b0c44298fc");
        for (text, kind) in [
            ("sha256:12", Kind::Malformed),
            (&empty.to_uppercase(), Kind::Unsupported),
            (&format!("sha512:{}", "a".repeat(128)), Kind::Unsupported),
            (&format!("sha256:{}/", "a".repeat(63)), Kind::Malformed),
            ("latest", Kind::Malformed),
        ] {
            assert_eq!(text.parse::<Digest>().unwrap_err().kind(), kind, "{text}");
        }
    }

    #[test]
    fn a_verified_reader_stops_at_what_is_wrong() {
        let wanted = Descriptor::of(media::LAYER_GZIP, b"hello");
        let read = |bytes: &'static [u8]| {
            let mut text = Vec::new();
            let result = Verified::new(bytes, wanted.clone(), "here").read_to_end(&mut text);
            result
                .map(|_| text)
                .map_err(|error| OciError::at(std::path::Path::new("x"))(error).kind())
        };
        assert_eq!(read(b"hello").unwrap(), b"hello");
        assert_eq!(read(b"hella").unwrap_err(), Kind::Digest);
        assert_eq!(read(b"hell").unwrap_err(), Kind::Size);
        assert_eq!(read(b"hello!").unwrap_err(), Kind::Size);
    }
}
