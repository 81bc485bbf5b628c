//! Java memory strings as Spark reads them (`4g`, `512m`, `1024`).
//!
//! The rule is Spark's `JavaUtils.byteStringAs`: whole numbers only, suffixes b, k, kb, m, mb, g, gb, t, tb, p, pb in any case, all
//! powers of 1024; a number without suffix is in the unit of the configuration key (MiB for `spark.executor.memory`).

use std::fmt;

use crate::quantity::Quantity;

/// Units of memory strings; each is 1024 of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ByteUnit {
    Byte,
    /// KiB.
    Kib,
    /// MiB.
    Mib,
    /// GiB.
    Gib,
    /// TiB.
    Tib,
    /// PiB.
    Pib,
}

impl ByteUnit {
    /// Bytes in one of this unit.
    pub fn bytes(self) -> u64 {
        1 << (10 * self as u32)
    }

    /// The unit of one of Spark's suffixes, in lower case.
    pub(crate) fn of_suffix(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "b" => Self::Byte,
            "k" | "kb" => Self::Kib,
            "m" | "mb" => Self::Mib,
            "g" | "gb" => Self::Gib,
            "t" | "tb" => Self::Tib,
            "p" | "pb" => Self::Pib,
            _ => return None,
        })
    }
}

/// An amount of memory, in bytes.
///
/// ```
/// use stoke_model::memory::{ByteUnit, Memory};
/// assert_eq!(Memory::parse("4g", ByteUnit::Mib)?.mib(), 4096);
/// assert_eq!(Memory::parse("512", ByteUnit::Mib)?.to_string(), "512m");
/// assert!(Memory::parse("1.5g", ByteUnit::Mib).is_err());
/// # Ok::<(), stoke_model::memory::MemoryError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory(u64);

/// Why a text is not a memory string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// A fraction, which Spark refuses.
    #[error("`{text}` is not a memory string: Spark takes whole numbers only; write `{instead}`")]
    Fraction {
        /// What was written.
        text: String,
        /// The nearest whole number in a smaller unit.
        instead: String,
    },
    /// A suffix Spark does not know.
    #[error("`{text}` is not a memory string: unknown suffix `{suffix}`; {hint}")]
    Suffix {
        /// What was written.
        text: String,
        suffix: String,
        /// What is wrong with the suffix.
        hint: &'static str,
        /// The same amount as Spark writes it, when the suffix is one of Kubernetes'.
        instead: Option<String>,
    },
    /// Not a number and a suffix.
    #[error("`{0}` is not a memory string: write a whole number and one of k, m, g, t, for example `512m` or `4g`")]
    Form(String),
    /// More than 2^63-1 bytes.
    #[error("`{0}` is more memory than Spark can count (2^63-1 bytes)")]
    TooLarge(String),
}

impl MemoryError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        "bad-memory"
    }

    /// What is wrong, without what to write instead: for who tells that of its own.
    pub fn cause(&self) -> String {
        match self {
            Self::Fraction { text, .. } => {
                format!("`{text}` is not a memory string: Spark takes whole numbers only")
            }
            other => other.to_string(),
        }
    }

    /// What to write instead, when that can be told.
    pub fn instead(&self) -> Option<&str> {
        match self {
            Self::Fraction { instead, .. } => Some(instead),
            Self::Suffix { instead, .. } => instead.as_deref(),
            _ => None,
        }
    }
}

impl Memory {
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// MiB; saturates at what 64 bits hold.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }

    /// Reads a memory string; a number without suffix is in `unit`.
    ///
    /// # Errors
    /// Fractions, unknown suffixes, anything else that Spark refuses, and more than 2^63-1 bytes.
    pub fn parse(text: &str, unit: ByteUnit) -> Result<Self, MemoryError> {
        let lower = text.trim().to_lowercase();
        let digits = lower.bytes().take_while(u8::is_ascii_digit).count();
        let (number, suffix) = lower.split_at(digits);
        if number.is_empty() {
            return Err(MemoryError::Form(text.to_owned()));
        }
        if let Some(fraction) = suffix.strip_prefix('.') {
            return Err(fraction_error(text, number, fraction));
        }
        let unit = if suffix.is_empty() {
            unit
        } else if let Some(unit) = ByteUnit::of_suffix(suffix) {
            unit
        } else if suffix.bytes().all(|b| b.is_ascii_lowercase()) {
            let instead = kubernetes_suffix(suffix).map(|short| format!("{number}{short}"));
            return Err(MemoryError::Suffix {
                text: text.to_owned(),
                suffix: suffix.to_owned(),
                hint: if instead.is_some() {
                    "Spark's g, m and k are what Kubernetes writes Gi, Mi and Ki"
                } else {
                    "Spark knows b, k, m, g, t and p"
                },
                instead,
            });
        } else {
            return Err(MemoryError::Form(text.to_owned()));
        };
        let too_large = || MemoryError::TooLarge(text.to_owned());
        let number: u64 = number.parse().map_err(|_| too_large())?;
        let bytes = number
            .checked_mul(unit.bytes())
            .filter(|bytes| i64::try_from(*bytes).is_ok())
            .ok_or_else(too_large)?;
        Ok(Self(bytes))
    }

    /// Reads a pod's memory limit, which the published API takes both as a Java memory string and as a quantity.
    ///
    /// With a Java suffix (`2g`, `512m`) it is a memory string, so that `512m` is 512 MiB; otherwise a quantity (`2Gi`, plain bytes).
    ///
    /// # Errors
    /// When it is neither; the error is the memory string's.
    pub fn parse_limit(text: &str) -> Result<Self, MemoryError> {
        let trimmed = text.trim();
        let has_suffix = trimmed.ends_with(|c: char| c.is_ascii_alphabetic());
        match Self::parse(trimmed, ByteUnit::Byte) {
            Ok(memory) if has_suffix => Ok(memory),
            other => match trimmed.parse::<Quantity>() {
                Ok(quantity) if quantity.nanos() >= 0 => Ok(Self(quantity.bytes())),
                _ => other,
            },
        }
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Whole MiB, the rest cut off, as Spark converts.
    pub const fn mib(self) -> u64 {
        self.0 >> 20
    }

    /// As a Kubernetes quantity with a binary suffix.
    pub fn to_quantity(self) -> Quantity {
        Quantity::from_bytes(self.0)
    }
}

fn fraction_error(text: &str, whole: &str, fraction: &str) -> MemoryError {
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, suffix) = fraction.split_at(digits);
    let smaller = match suffix {
        "k" | "kb" => Some(""),
        "m" | "mb" => Some("k"),
        "g" | "gb" => Some("m"),
        "t" | "tb" => Some("g"),
        "p" | "pb" => Some("t"),
        _ => None,
    };
    let value = format!("{whole}.{fraction}")
        .parse::<f64>()
        .ok()
        .filter(|value| *value < 1e9 && !fraction.is_empty());
    match (smaller, value) {
        (Some(smaller), Some(value)) => {
            let smaller = if smaller.is_empty() { "b" } else { smaller };
            MemoryError::Fraction {
                text: text.to_owned(),
                instead: format!("{}{smaller}", (value * 1024.0).ceil() as u64),
            }
        }
        _ => MemoryError::Form(text.to_owned()),
    }
}

/// The suffix of Spark's that means the same as one of Kubernetes'.
fn kubernetes_suffix(suffix: &str) -> Option<&'static str> {
    Some(match suffix {
        "ki" | "kib" => "k",
        "mi" | "mib" => "m",
        "gi" | "gib" => "g",
        "ti" | "tib" => "t",
        "pi" | "pib" => "p",
        _ => return None,
    })
}

impl fmt::Display for Memory {
    /// The shortest memory string: the largest unit that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut amount = self.0;
        let mut unit = 0;
        while amount != 0 && amount.is_multiple_of(1024) && unit < 5 {
            amount /= 1024;
            unit += 1;
        }
        write!(f, "{amount}{}", ["b", "k", "m", "g", "t", "p"][unit])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_spark_reads() {
        const MIB: u64 = 1 << 20;
        let table = [
            ("4g", 4096 * MIB),
            ("512m", 512 * MIB),
            ("512", 512 * MIB),
            ("1t", MIB * MIB),
            ("10b", 10),
            ("3k", 3072),
            ("3kb", 3072),
            ("2MB", 2 * MIB),
            (" 1G ", 1024 * MIB),
            ("0", 0),
            ("1pb", MIB << 30),
            ("1500k", 1500 * 1024),
        ];
        for (text, bytes) in table {
            assert_eq!(
                Memory::parse(text, ByteUnit::Mib).map(Memory::bytes),
                Ok(bytes),
                "{text}"
            );
        }
        assert_eq!(Memory::parse("1500k", ByteUnit::Mib).unwrap().mib(), 1);
    }

    #[test]
    fn refusals_say_what_to_write() {
        let table = [
            ("1.5g", "write `1536m`"),
            ("0.5t", "write `512g`"),
            ("2Gi", "what Kubernetes writes Gi"),
            ("2x", "Spark knows b, k, m"),
            ("", "for example `512m`"),
            ("g", "for example `512m`"),
            ("-1g", "for example `512m`"),
            ("1 g", "for example `512m`"),
            ("9999999999g", "more memory than"),
            ("99999999999999999999", "more memory than"),
            ("1.5", "for example"),
            ("1.g", "for example"),
            ("1.5x", "for example"),
            ("१g", "for example"),
        ];
        for (text, hint) in table {
            let message = Memory::parse(text, ByteUnit::Mib).unwrap_err().to_string();
            assert!(message.contains(hint), "{text}: {message}");
        }
    }

    #[test]
    fn limits_are_memory_strings_or_quantities() {
        let table = [
            ("512m", 512 << 20),
            ("2g", 2 << 30),
            ("2Gi", 2 << 30),
            ("1000", 1000),
            ("1.5Gi", 3 << 29),
            ("2G", 2 << 30),
            ("1e3", 1000),
        ];
        for (text, bytes) in table {
            assert_eq!(Memory::parse_limit(text).map(Memory::bytes), Ok(bytes), "{text}");
        }
        assert!(Memory::parse_limit("lots").is_err());
        assert!(Memory::parse_limit("-1").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC*") {
            let _ = Memory::parse(&text, ByteUnit::Mib);
            let _ = Memory::parse_limit(&text);
        }

        #[test]
        fn near_misses_are_answered(text in "[0-9.]{0,30}[a-zA-Z]{0,3}") {
            if let Ok(memory) = Memory::parse(&text, ByteUnit::Mib) {
                prop_assert!(i64::try_from(memory.bytes()).is_ok());
            }
        }

        #[test]
        fn printed_memory_reads_back(bytes in 0_u64..(i64::MAX as u64)) {
            let memory = Memory::from_bytes(bytes);
            prop_assert_eq!(Memory::parse(&memory.to_string(), ByteUnit::Mib), Ok(memory));
        }
    }
}
