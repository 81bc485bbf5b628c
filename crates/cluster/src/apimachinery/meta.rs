//! Small facts every object needs: times, UIDs, generated names, and whether a name is allowed.

use jiff::{Timestamp, Unit};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;

use super::status::FieldError;

/// Now, as `metadata.creationTimestamp` is written: UTC, whole seconds.
pub fn now() -> String {
    rfc3339(crate::clock::now())
}

/// A time in UTC and whole seconds.
pub fn rfc3339(time: Timestamp) -> String {
    let second = Timestamp::from_second(time.as_second()).unwrap_or(time);
    second.round(Unit::Second).unwrap_or(second).to_string()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // The kernel has no entropy source; a clock keeps names distinct, which is all they need.
        let nanos = crate::clock::now().as_nanosecond().to_le_bytes();
        bytes.iter_mut().zip(nanos).for_each(|(byte, nano)| *byte = nano);
    }
    bytes
}

/// A random UUID, version 4.
pub fn uid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Five characters for generated names, from Kubernetes' alphabet without vowels.
pub fn suffix() -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    random::<5>()
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

/// Writes that there is nothing in a list: some are never left out.
pub fn write_empty(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut()
        && fields.get(field).and_then(Value::as_array).is_none_or(Vec::is_empty)
    {
        fields.insert(field.to_owned(), Value::Null);
    }
}

/// Decodes `%41` in a path segment; what is not a code stays as it is.
pub fn percent_decoded(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let code = segment
            .get(index + 1..index + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[index], code) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                index += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Which names a resource allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// RFC 1123 subdomain, 253 characters.
    Subdomain,
    /// RFC 1123 label, 63 characters.
    Label,
    /// RFC 1035 label, 63 characters, starting with a letter.
    Label1035,
    /// One path segment: anything but `.`, `..`, `/` and `%`.
    PathSegment,
}

/// The rule of a resource.
pub fn name_rule(resource: &str) -> NameRule {
    match resource {
        "namespaces" | "statefulsets.apps" => NameRule::Label,
        "services" => NameRule::Label1035,
        "roles.rbac.authorization.k8s.io"
        | "rolebindings.rbac.authorization.k8s.io"
        | "clusterroles.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io"
        | "poddisruptionbudgets.policy" => NameRule::PathSegment,
        _ => NameRule::Subdomain,
    }
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// What is wrong with a name; empty if nothing.
pub fn check_name(rule: NameRule, field: &str, name: &str) -> Vec<FieldError> {
    let value = Value::from(name);
    let complain = |message: &str| FieldError::invalid(field, &value, message);
    let mut errors = Vec::new();
    match rule {
        NameRule::PathSegment => {
            if name == "." || name == ".." {
                errors.push(complain(&format!("may not be '{name}'")));
            }
            for character in ['/', '%'].into_iter().filter(|character| name.contains(*character)) {
                errors.push(complain(&format!("may not contain '{character}'")));
            }
        }
        NameRule::Subdomain => {
            if name.len() > 253 {
                errors.push(complain("must be no more than 253 characters"));
            }
            if !name.split('.').all(is_label) {
                errors.push(complain(SUBDOMAIN));
            }
        }
        NameRule::Label | NameRule::Label1035 => {
            if name.len() > 63 {
                errors.push(complain("must be no more than 63 characters"));
            }
            let starts_well = rule == NameRule::Label || name.starts_with(|first: char| first.is_ascii_lowercase());
            if !is_label(name) || !starts_well {
                errors.push(complain(if rule == NameRule::Label { LABEL } else { LABEL_1035 }));
            }
        }
    }
    errors
}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

const WORD: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn is_word(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty()
        && text.bytes().all(inner)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.ends_with(|last: char| last.is_ascii_alphanumeric())
}

/// Complaints about the keys and values of a label map.
pub fn check_labels(labels: &Value, field: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (key, value) in labels.as_object().into_iter().flatten() {
        errors.extend(check_qualified(key, field));
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            errors.push(FieldError::invalid(field, value, "must be no more than 63 characters"));
        }
        if !text.is_empty() && !is_word(text) {
            errors.push(FieldError::invalid(field, value, LABEL_VALUE));
        }
    }
    errors
}

/// Complaints about one qualified name, `prefix/name`.
pub fn check_qualified(key: &str, field: &str) -> Vec<FieldError> {
    let value = Value::from(key);
    let mut errors = Vec::new();
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if name.contains('/') {
        let detail = format!(
            "a qualified name {WORD} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        );
        return vec![FieldError::invalid(field, &value, &detail)];
    }
    match prefix {
        Some("") => errors.push(FieldError::invalid(field, &value, "prefix part must be non-empty")),
        Some(prefix) if !prefix.split('.').all(is_label) => {
            errors.push(FieldError::invalid(field, &value, &format!("prefix part {SUBDOMAIN}")));
        }
        _ => {}
    }
    if name.is_empty() {
        errors.push(FieldError::invalid(field, &value, "name part must be non-empty"));
    }
    if name.len() > 63 {
        errors.push(FieldError::invalid(
            field,
            &value,
            "name part must be no more than 63 characters",
        ));
    }
    if !is_word(name) {
        errors.push(FieldError::invalid(field, &value, &format!("name part {WORD}")));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_with_the_words_of_the_api_server() {
        assert!(check_name(NameRule::Subdomain, "metadata.name", "spark-pi.1").is_empty());
        let error = check_name(NameRule::Subdomain, "metadata.name", "Spark_Pi").remove(0);
        assert!(
            error
                .to_string()
                .starts_with("metadata.name: Invalid value: \"Spark_Pi\": a lowercase RFC 1123 subdomain")
        );
        assert!(!check_name(NameRule::Label1035, "metadata.name", "1abc").is_empty());
        assert!(check_name(NameRule::Label, "metadata.name", "1abc").is_empty());
        assert!(check_name(NameRule::PathSegment, "metadata.name", "system:node").is_empty());
        assert!(check_labels(&serde_json::json!({"a/b": "x y"}), "metadata.labels").len() == 1);
    }

    #[test]
    fn uids_are_version_4_and_times_whole_seconds() {
        let uid = uid();
        assert_eq!((uid.len(), &uid[14..15]), (36, "4"));
        assert!(now().len() == 20 && now().ends_with('Z'), "{}", now());
    }
}
