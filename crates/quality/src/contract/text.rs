//! Formats of texts that have names.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Strptime;

#[derive(Clone, Debug, PartialEq)]
pub enum TextFormat {
    /// An e-mail address, by the rule of HTML's input fields (WHATWG), with at least one dot in the host.
    Email,
    /// A UUID in its hyphenated form.
    Uuid,
    /// A URI with a scheme and something after it (RFC 3986), without spaces.
    Uri,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A host name (RFC 1123).
    Hostname,
    Json,
    /// A JSON object; it has no name in contracts.
    JsonObject,
    /// A JSON array; it has no name in contracts.
    JsonArray,
    /// A date as `2026-01-31`.
    Date,
    /// A timestamp in ISO 8601 with a zone or without.
    DateTime,
    /// What Python's `strptime` reads by this format.
    Strptime(Strptime),
}

/// Names of formats, as ODCS and the short YAML write them.
pub(super) const NAMES: &[&str] = &[
    "email",
    "uuid",
    "uri",
    "ipv4",
    "ipv6",
    "hostname",
    "json",
    "date",
    "date-time",
];

impl TextFormat {
    /// The format of a name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "email" => Self::Email,
            "uuid" => Self::Uuid,
            "uri" => Self::Uri,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "hostname" => Self::Hostname,
            "json" => Self::Json,
            "date" => Self::Date,
            "date-time" => Self::DateTime,
            _ => return None,
        })
    }

    /// Its name, or the format itself.
    pub fn name(&self) -> &str {
        match self {
            Self::Email => "email",
            Self::Uuid => "uuid",
            Self::Uri => "uri",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Hostname => "hostname",
            Self::Json => "json",
            Self::JsonObject => "a JSON object",
            Self::JsonArray => "a JSON array",
            Self::Date => "date",
            Self::DateTime => "date-time",
            Self::Strptime(format) => format.as_str(),
        }
    }

    /// Whether a text is of it.
    pub fn takes(&self, text: &str) -> bool {
        match self {
            Self::Email => is_email(text),
            Self::Uuid => is_uuid(text),
            Self::Uri => is_uri(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Hostname => is_hostname(text),
            Self::Json => is_json(text),
            Self::JsonObject => text.trim_start().starts_with('{') && is_json(text),
            Self::JsonArray => text.trim_start().starts_with('[') && is_json(text),
            Self::Date => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
            Self::DateTime => text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok(),
            Self::Strptime(format) => format.takes(text),
        }
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else {
        return false;
    };
    let in_local = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    !local.is_empty() && local.bytes().all(in_local) && host.contains('.') && is_hostname(host)
}

fn is_hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !rest.is_empty()
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_take_texts() {
        let table = [
            ("email", "a.b+c@example.com", true),
            ("email", "a@localhost", false),
            ("email", "a b@example.com", false),
            ("email", "@example.com", false),
            ("email", "a@b@example.com", false),
            ("email", "ä@example.com", false),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", true),
            ("uuid", "123e4567e89b12d3a456426614174000", false),
            ("uri", "https://example.com/a?b=c#d", true),
            ("uri", "example.com", false),
            ("uri", "mailto:a@example.com", true),
            ("uri", "http://a b", false),
            ("ipv4", "10.0.0.1", true),
            ("ipv4", "10.0.0.256", false),
            ("ipv6", "::1", true),
            ("ipv6", "10.0.0.1", false),
            ("hostname", "a-b.example", true),
            ("hostname", "-a.example", false),
            ("json", "{\"a\": [1, 2]}", true),
            ("json", "{a: 1}", false),
            ("json", "", false),
            ("date", "2026-02-28", true),
            ("date", "2026-02-29", false),
            ("date-time", "2026-02-28T10:00:00Z", true),
            ("date-time", "2026-02-28T10:00:00+01:00", true),
            ("date-time", "2026-02-28 10:00:00", true),
            ("date-time", "yesterday", false),
        ];
        for (name, text, expected) in table {
            assert_eq!(TextFormat::named(name).unwrap().takes(text), expected, "{name} {text}");
        }
        assert!(
            NAMES
                .iter()
                .all(|name| TextFormat::named(name).is_some_and(|format| format.name() == *name))
        );
    }
}
