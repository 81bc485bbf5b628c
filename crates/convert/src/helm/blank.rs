//! Secrets out of a text, before it is read: places stay where they are.

use std::sync::Arc;

use stoke_diagnostics::{Place, Source};
use stoke_model::manifest::{self, Content, Node};
use stoke_model::redaction;

/// The text with every secret replaced by as many `x`.
pub(super) fn secrets(name: &str, text: &str) -> Arc<Source> {
    let source = Source::new(name, text);
    let (documents, _) = manifest::read(&source);
    let mut places = Vec::new();
    for document in &documents {
        find(document, false, &mut places);
    }
    let mut bytes = text.as_bytes().to_vec();
    for place in places {
        for byte in bytes.iter_mut().take(place.end).skip(place.start) {
            if !matches!(*byte, b'\n' | b'\r' | b' ' | b'"' | b'\'') {
                *byte = b'x';
            }
        }
    }
    match String::from_utf8(bytes) {
        Ok(blanked) => Source::new(name, &blanked),
        // Cannot be: whole values are replaced by ASCII. Nothing is shown rather than a secret.
        Err(_) => Source::new(name, ""),
    }
}

/// Whether a key's value is a secret itself, and not the name of one.
pub(super) fn is_secret(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let name_of = [
        "existingsecret",
        "secretname",
        "secretref",
        "externalsecrets",
        "imagepullsecrets",
        "secrets",
        "secretstore",
        "secretstoreref",
        "secretkeys",
        "userpasswordkey",
        "accesskeykey",
        "secretkeykey",
        "fernetkeysecretname",
        "webserversecretkeysecretname",
    ];
    let named = [
        "accesskey",
        "secretkey",
        "password",
        "passwd",
        "token",
        "credential",
        "privatekey",
        "apikey",
    ];
    let plain: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    !name_of.contains(&plain.as_str()) && (named.iter().any(|part| plain.contains(part)) || redaction::is_secret(key))
}

fn find(node: &Node, secret: bool, places: &mut Vec<Place>) {
    match &node.content {
        Content::Map(entries) => {
            for entry in entries {
                find(&entry.value, secret || is_secret(&entry.key), places);
            }
        }
        Content::List(items) => {
            for item in items {
                find(item, secret, places);
            }
        }
        Content::String(text) => {
            if secret || has_password(text) {
                places.push(node.place);
            }
        }
        Content::Number(_) if secret => places.push(node.place),
        Content::Null | Content::Bool(_) | Content::Number(_) => {}
    }
}

/// A URL with a password, or options that set one.
fn has_password(text: &str) -> bool {
    let in_url = text.split("://").nth(1).is_some_and(|rest| {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        authority.split_once('@').is_some_and(|(user, _)| user.contains(':'))
    });
    let lower = text.to_ascii_lowercase();
    in_url
        || ["password=", "secret.key=", "access.key=", "token="]
            .iter()
            .any(|part| lower.contains(part))
}
