//! The formats of texts and numbers that the API server checks.

use std::sync::OnceLock;

use base64::Engine;
use regex::Regex;

/// A published format; formats that are not known say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// None, or one that is not checked.
    #[default]
    None,
    /// RFC 3339 date and time.
    DateTime,
    /// A length of time, `1h30m`.
    Duration,
    /// Base64.
    Byte,
    /// Any other that is checked, by its name.
    Named(&'static str),
}

const NAMED: &[&str] = &[
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "date",
    "password",
    "k8s-short-name",
    "k8s-long-name",
];

impl Format {
    /// The format of a name; dashes do not count.
    pub fn named(name: &str) -> Format {
        match name {
            "" => Format::None,
            "date-time" | "datetime" => Format::DateTime,
            "duration" => Format::Duration,
            "byte" => Format::Byte,
            name => NAMED
                .iter()
                .find(|known| **known == name)
                .map_or(Format::None, |known| Format::Named(known)),
        }
    }

    /// Name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Format::None => "",
            Format::DateTime => "date-time",
            Format::Duration => "duration",
            Format::Byte => "byte",
            Format::Named(name) => name,
        }
    }

    /// Whether a text is of this format.
    pub fn holds(self, text: &str) -> bool {
        match self {
            Format::None => true,
            Format::DateTime => is_date_time(text),
            Format::Duration => crate::apimachinery::cel::parse_duration(text).is_some(),
            Format::Byte => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
            Format::Named(name) => named_holds(name, text),
        }
    }
}

/// Whether a text is of the format with this name.
pub fn has_format(name: &str, text: &str) -> bool {
    Format::named(name).holds(text)
}

fn is_date_time(text: &str) -> bool {
    static SHAPE: OnceLock<Option<Regex>> = OnceLock::new();
    let shape = SHAPE
        .get_or_init(|| Regex::new(r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$").ok());
    shape.as_ref().is_some_and(|shape| shape.is_match(text))
        && text.replace(' ', "T").parse::<jiff::Timestamp>().is_ok()
}

fn matches(cell: &OnceLock<Option<Regex>>, pattern: &str, text: &str) -> bool {
    cell.get_or_init(|| Regex::new(pattern).ok())
        .as_ref()
        .is_some_and(|expression| expression.is_match(text))
}

fn named_holds(name: &str, text: &str) -> bool {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    macro_rules! shape {
        ($pattern:literal) => {{
            static CELL: OnceLock<Option<Regex>> = OnceLock::new();
            matches(&CELL, $pattern, text)
        }};
    }
    let digits = || {
        text.bytes()
            .filter(u8::is_ascii_digit)
            .map(|byte| u32::from(byte - b'0'))
    };
    match name {
        "uri" => {
            let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
            let absolute = scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && !rest.is_empty();
            (absolute || text.starts_with('/')) && !text.contains([' ', '\n', '\t'])
        }
        "email" => shape!(r"^[^@\s<>]+@[^@\s<>]+$"),
        "hostname" => {
            text.len() <= 255
                && shape!(
                    r"^[a-zA-Z0-9\p{L}]([a-zA-Z0-9\p{L}-]{0,62}[a-zA-Z0-9\p{L}])?(\.[a-zA-Z0-9\p{L}]([a-zA-Z0-9\p{L}-]{0,62}[a-zA-Z0-9\p{L}])?)*\.?$"
                )
        }
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => text.split_once('/').is_some_and(|(address, length)| {
            let most = match address.parse::<IpAddr>() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            length.parse::<u8>().is_ok_and(|length| length <= most)
        }),
        "mac" => shape!(r"^([0-9A-Fa-f]{2}[:-]){5}([0-9A-Fa-f]{2}[:-]?){1,3}$|^([0-9A-Fa-f]{4}\.){2,3}[0-9A-Fa-f]{4}$"),
        "uuid" => shape!(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$"),
        "uuid3" => shape!(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$"),
        "uuid4" => shape!(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$"),
        "uuid5" => shape!(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$"),
        "bsonobjectid" => shape!(r"^[0-9a-fA-F]{24}$"),
        "isbn" => named_holds("isbn10", text) || named_holds("isbn13", text),
        "isbn10" => {
            let plain: Vec<char> = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
            let values: Option<Vec<u32>> = plain
                .iter()
                .enumerate()
                .map(|(index, c)| {
                    if index == 9 && *c == 'X' {
                        Some(10)
                    } else {
                        c.to_digit(10)
                    }
                })
                .collect();
            values.is_some_and(|values| {
                values.len() == 10 && values.iter().zip(1..).map(|(value, place)| value * place).sum::<u32>() % 11 == 0
            })
        }
        "isbn13" => {
            let sum: u32 = digits()
                .enumerate()
                .map(|(index, digit)| if index % 2 == 0 { digit } else { 3 * digit })
                .sum();
            digits().count() == 13
                && sum.is_multiple_of(10)
                && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b' '))
        }
        "creditcard" => {
            let all: Vec<u32> = digits().collect();
            let sum: u32 = all
                .iter()
                .rev()
                .enumerate()
                .map(|(index, digit)| match index % 2 {
                    0 => *digit,
                    _ => (digit * 2) / 10 + (digit * 2) % 10,
                })
                .sum();
            (12..=19).contains(&all.len()) && sum.is_multiple_of(10)
        }
        "ssn" => shape!(r"^\d{3}[- ]?\d{2}[- ]?\d{4}$"),
        "hexcolor" => shape!(r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"),
        "rgbcolor" => shape!(r"^rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)$"),
        "date" => shape!(r"^\d{4}-\d{2}-\d{2}$") && text.parse::<jiff::civil::Date>().is_ok(),
        "k8s-short-name" => {
            use crate::apimachinery::meta::{NameRule, check_name};
            check_name(NameRule::Label, "", text).is_empty()
        }
        "k8s-long-name" => {
            use crate::apimachinery::meta::{NameRule, check_name};
            check_name(NameRule::Subdomain, "", text).is_empty()
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::has_format;

    #[test]
    fn formats_tell_right_from_wrong() {
        for (format, right, wrong) in [
            ("date-time", "2024-01-02T03:04:05.6Z", "2024-13-02T03:04:05Z"),
            ("date", "2024-02-29", "2023-02-29"),
            ("duration", "1h2m", "1 hour"),
            ("byte", "aGVsbG8=", "hello!"),
            ("uri", "https://a.b/c", "no uri"),
            ("email", "a@b.c", "a.b.c"),
            ("hostname", "a.example.com", "-a.b"),
            ("ipv4", "1.2.3.4", "1.2.3"),
            ("ipv6", "::1", "1.2.3.4"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "00:1a:2b:3c:4d:5e", "00:1a"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
            ("isbn10", "0-306-40615-2", "0-306-40615-3"),
            ("isbn13", "978-0-306-40615-7", "978-0-306-40615-8"),
            ("creditcard", "4111111111111111", "4111111111111112"),
            ("hexcolor", "#aabbcc", "#aabb"),
        ] {
            assert!(has_format(format, right), "{format} {right}");
            assert!(!has_format(format, wrong), "{format} {wrong}");
        }
        assert!(has_format("made-up", "anything"));
    }
}
