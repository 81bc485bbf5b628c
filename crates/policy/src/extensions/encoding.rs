//! JSON, YAML and URLs as Go writes and reads them.

use std::collections::BTreeMap;

use regorus::Value;
use serde_saphyr::{DuplicateKeyPolicy, options, ser_options};

use super::{builtin, items, text};

/// JSON with keys sorted as texts, and with `<`, `>` and `&` escaped.
pub(super) fn marshal(arguments: &[Value]) -> Option<Value> {
    let mut out = String::new();
    write(arguments.first()?, &mut out)?;
    Some(Value::from(out))
}

fn write(value: &Value, out: &mut String) -> Option<()> {
    let list = |values: &mut dyn Iterator<Item = &Value>, out: &mut String| {
        out.push('[');
        for (index, value) in values.enumerate() {
            if index > 0 {
                out.push(',');
            }
            write(value, out)?;
        }
        out.push(']');
        Some(())
    };
    match value {
        Value::Array(values) => list(&mut values.iter(), out),
        Value::Set(values) => list(&mut values.iter_sorted(), out),
        Value::Object(fields) => {
            let mut sorted = BTreeMap::new();
            for (key, value) in fields.iter() {
                let key = match key {
                    Value::String(key) => key.to_string(),
                    other => {
                        let mut text = String::new();
                        write(other, &mut text)?;
                        text
                    }
                };
                sorted.insert(key, value);
            }
            out.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(&key, out)?;
                out.push(':');
                write(value, out)?;
            }
            out.push('}');
            Some(())
        }
        Value::String(text) => quote(text, out),
        other => {
            out.push_str(&other.to_json_str().ok()?);
            Some(())
        }
    }
}

fn quote(text: &str, out: &mut String) -> Option<()> {
    for character in serde_json::to_string(text).ok()?.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            other => out.push(other),
        }
    }
    Some(())
}

pub(super) fn json_is_valid(arguments: &[Value]) -> Option<Value> {
    let valid = text(arguments, 0).is_some_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    Some(Value::from(valid))
}

/// The first document of a text, by YAML 1.2: `yes` and `on` are texts. Of keys given twice the last counts.
fn yaml(text: &str) -> Option<serde_json::Value> {
    if text.trim_start_matches([' ', '\n']).starts_with('\t') {
        return None;
    }
    let options = options! {
        strict_booleans: true,
        legacy_octal_numbers: true,
        duplicate_keys: DuplicateKeyPolicy::LastWins,
    };
    if text.trim().is_empty() {
        return Some(serde_json::Value::Null);
    }
    serde_saphyr::from_str_with_options(text, options).ok()
}

pub(super) fn yaml_unmarshal(arguments: &[Value]) -> Option<Value> {
    yaml(text(arguments, 0)?).map(Value::from)
}

pub(super) fn yaml_is_valid(arguments: &[Value]) -> Option<Value> {
    Some(Value::from(text(arguments, 0).is_some_and(|text| yaml(text).is_some())))
}

pub(super) fn yaml_marshal(arguments: &[Value]) -> Option<Value> {
    let value = serde_json::to_value(arguments.first()?).ok()?;
    let options = ser_options! { compact_list_indent: false };
    serde_saphyr::to_string_with_options(&value, options)
        .ok()
        .map(Value::from)
}

/// As Go does, with line breaks passed over.
pub(super) fn base64_decode(arguments: &[Value]) -> Option<Value> {
    let text = text(arguments, 0)?.replace(['\r', '\n'], "");
    builtin("base64.decode(input[0])", &[Value::from(text)])
}

pub(super) fn base64_is_valid(arguments: &[Value]) -> Option<Value> {
    let Some(text) = text(arguments, 0) else {
        return Some(Value::from(false));
    };
    let text = text.replace(['\r', '\n'], "");
    builtin("base64.is_valid(input[0])", &[Value::from(text)])
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            other => out.push(other),
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

pub(super) fn urlquery_encode(arguments: &[Value]) -> Option<Value> {
    Some(Value::from(escaped(text(arguments, 0)?)))
}

pub(super) fn urlquery_decode(arguments: &[Value]) -> Option<Value> {
    unescaped(text(arguments, 0)?).map(Value::from)
}

pub(super) fn urlquery_encode_object(arguments: &[Value]) -> Option<Value> {
    let Value::Object(fields) = arguments.first()? else {
        return None;
    };
    let mut parts = Vec::new();
    for (key, value) in fields.iter_sorted() {
        let key = escaped(key.as_string().ok()?);
        let values = match value {
            Value::String(_) => vec![value.clone()],
            other => items(other)?,
        };
        for value in values {
            parts.push(format!("{key}={}", escaped(value.as_string().ok()?)));
        }
    }
    Some(Value::from(parts.join("&")))
}

pub(super) fn urlquery_decode_object(arguments: &[Value]) -> Option<Value> {
    let mut fields: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
    for part in text(arguments, 0)?.split('&').filter(|part| !part.is_empty()) {
        if part.contains(';') {
            return None;
        }
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let values = fields.entry(Value::from(unescaped(key)?)).or_default();
        values.push(Value::from(unescaped(value)?));
    }
    let fields = fields.into_iter().map(|(key, values)| (key, Value::from(values)));
    Some(Value::from(fields.collect::<BTreeMap<_, _>>()))
}
