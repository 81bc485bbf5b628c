//! Rules for texts: each answers what is wrong with one, in the words of the real server.

use std::net::IpAddr;

use crate::apimachinery::meta::{NameRule, check_name, check_qualified};
use crate::apimachinery::status::FieldError;

fn details(errors: Vec<FieldError>, value: &str) -> Vec<String> {
    let head = format!("Invalid value: {}: ", serde_json::Value::from(value));
    let stripped = |error: FieldError| {
        error
            .message
            .strip_prefix(&head)
            .map_or(error.message.clone(), str::to_owned)
    };
    errors.into_iter().map(stripped).collect()
}

/// RFC 1123 label, as a name of something within an object: a dot has a message of its own.
pub fn label(text: &str) -> Vec<String> {
    let broken = details(check_name(NameRule::Label, "", text), text);
    let without = || text.replace('.', "");
    if text.contains('.') && !without().is_empty() && check_name(NameRule::Label, "", &without()).is_empty() {
        return vec!["must not contain dots".to_owned()];
    }
    broken
}

/// RFC 1123 subdomain.
pub fn subdomain(text: &str) -> Vec<String> {
    details(check_name(NameRule::Subdomain, "", text), text)
}

/// RFC 1035 label: it starts with a letter.
pub fn label_1035(text: &str) -> Vec<String> {
    details(check_name(NameRule::Label1035, "", text), text)
}

/// `prefix/name` of labels, taints and conditions.
pub fn qualified(text: &str) -> Vec<String> {
    details(check_qualified(text, ""), text)
}

pub fn label_value(text: &str) -> Vec<String> {
    let labels = serde_json::json!({"k": text});
    details(crate::apimachinery::meta::check_labels(&labels, ""), text)
}

/// Name of a port: IANA_SVC_NAME.
pub fn port_name(text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let mut say = |wrong: bool, rule: &str| {
        if wrong {
            broken.push(rule.to_owned());
        }
    };
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    say(text.len() > 15, "must be no more than 15 characters");
    say(
        text.is_empty() || !text.bytes().all(allowed),
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
    );
    say(
        !text.bytes().any(|byte| byte.is_ascii_lowercase()),
        "must contain at least one letter (a-z)",
    );
    say(text.contains("--"), "must not contain consecutive hyphens");
    say(
        text.starts_with('-') || text.ends_with('-'),
        "must not begin or end with a hyphen",
    );
    broken
}

/// Name of a variable of the environment.
pub fn variable(text: &str) -> Vec<String> {
    if !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=') {
        return Vec::new();
    }
    vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned()]
}

const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// Key of a ConfigMap or a Secret.
pub fn config_key(text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if text.len() > 253 {
        broken.push("must be no more than 253 characters".to_owned());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || !text.bytes().all(allowed) {
        broken.push(CONFIG_KEY.to_owned());
    }
    match text {
        "." => broken.push("must not be '.'".to_owned()),
        ".." => broken.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => broken.push("must not start with '..'".to_owned()),
        _ => {}
    }
    broken
}

/// Name of a header.
pub fn header(text: &str) -> Vec<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !text.is_empty() && text.bytes().all(allowed) {
        return Vec::new();
    }
    vec!["a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')".to_owned()]
}

/// An address; the old parser that real servers keep for these fields takes leading zeros too.
pub fn address(text: &str) -> Vec<String> {
    let plain: Vec<String> = text
        .split('.')
        .map(|part| match part.trim_start_matches('0') {
            "" if !part.is_empty() => "0".to_owned(),
            rest => rest.to_owned(),
        })
        .collect();
    if text.parse::<IpAddr>().is_ok() || plain.join(".").parse::<std::net::Ipv4Addr>().is_ok() {
        return Vec::new();
    }
    vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()]
}

const SEARCH: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";

/// Domain to search names in: underscores are in use.
pub fn search(text: &str) -> Vec<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let part = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let part = part.strip_prefix('_').unwrap_or(part);
        !part.is_empty() && part.bytes().all(inner) && !part.starts_with(['-', '_']) && !part.ends_with(['-', '_'])
    };
    let mut broken = Vec::new();
    if text.len() > 253 {
        broken.push("must be no more than 253 characters".to_owned());
    }
    if !text.split('.').all(part) {
        broken.push(SEARCH.to_owned());
    }
    broken
}

/// A path below something: it stays there.
pub fn inner_path(text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if text.starts_with('/') {
        broken.push("must be a relative path".to_owned());
    }
    if text.split('/').any(|part| part == "..") {
        broken.push("must not contain '..'".to_owned());
    }
    broken
}

/// As [`inner_path`]; names that begin with two dots are kept for the versions of a volume's content.
pub fn payload_path(text: &str) -> Vec<String> {
    let mut broken = inner_path(text);
    if text.starts_with("..") && !text.starts_with("../") && text != ".." {
        broken.push("must not start with '..'".to_owned());
    }
    broken
}

/// A network: an address and the length of its prefix.
pub fn cidr(text: &str) -> Vec<String> {
    let right = text.split_once('/').is_some_and(|(network, bits)| {
        let most = match network.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    });
    if right {
        return Vec::new();
    }
    vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".to_owned()]
}
