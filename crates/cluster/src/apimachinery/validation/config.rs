//! ConfigMaps and Secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Complaints, entries, items, text, words};
use crate::apimachinery::schema::Path;
use crate::apimachinery::status::FieldError;

/// The most that one of them holds, in bytes.
const MOST: usize = 1 << 20;

/// Finalizers of a namespace: they have to be someone's.
pub fn check_finalizers(namespace: &Value, said: &mut Complaints) {
    let at = Path::Start("spec.finalizers");
    for (_, finalizer) in items(&namespace["spec"]["finalizers"]) {
        let name = text(finalizer);
        said.text(&at, name, words::qualified(name));
        if !name.contains('/') && !matches!(name, "orphan" | "foregroundDeletion" | "kubernetes") {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            said.invalid(&at, name, detail);
        }
    }
}

/// A ConfigMap.
pub fn check_map(map: &Value, said: &mut Complaints) {
    let mut size = 0;
    for (key, value) in entries(&map["data"]) {
        check_key("data", key, said);
        size += text(value).len();
        if map["binaryData"].get(key).is_some() {
            let detail = "duplicate of key present in binaryData";
            said.invalid(&Path::Start("data").named(key), key, detail);
        }
    }
    for (key, value) in entries(&map["binaryData"]) {
        check_key("binaryData", key, said);
        size += decoded(text(value));
    }
    check_size("", size, said);
}

/// A Secret: types promise keys.
pub fn check_secret(secret: &Value, said: &mut Complaints) {
    let mut size = 0;
    for (key, value) in entries(&secret["data"]) {
        check_key("data", key, said);
        size += decoded(text(value));
    }
    check_size("data", size, said);
    let has = |key: &str| secret["data"].get(key).is_some();
    let data = Path::Start("data");
    match text(&secret["type"]) {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            if text(&secret["metadata"]["annotations"][key]).is_empty() {
                said.required(&Path::Start("metadata.annotations").named(key), "");
            }
        }
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            said.required(&data.named("username"), "");
            said.required(&data.named("password"), "");
        }
        "kubernetes.io/ssh-auth" if text(&secret["data"]["ssh-privatekey"]).is_empty() => {
            said.required(&data.named("ssh-privatekey"), "");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"].iter().filter(|key| !has(key)) {
                said.required(&data.named(key), "");
            }
        }
        "kubernetes.io/dockercfg" => check_json(secret, ".dockercfg", said),
        "kubernetes.io/dockerconfigjson" => check_json(secret, ".dockerconfigjson", said),
        _ => {}
    }
}

fn check_key(part: &str, key: &str, said: &mut Complaints) {
    let part = Path::Start(part);
    said.text(&part.named(key), key, words::config_key(key));
}

fn check_size(field: &str, size: usize, said: &mut Complaints) {
    if size > MOST {
        let detail = format!("may not be more than {MOST} bytes");
        said.0.push(FieldError::too_long(field, &detail));
    }
}

/// Length of what a text in base64 stands for.
fn decoded(text: &str) -> usize {
    text.len() / 4 * 3
        - text
            .bytes()
            .rev()
            .take(2)
            .filter(|byte| *byte == b'=')
            .count()
            .min(text.len() / 4 * 3)
}

fn check_json(secret: &Value, key: &str, said: &mut Complaints) {
    let data = Path::Start("data");
    let Some(value) = secret["data"].get(key) else {
        said.required(&data.named(key), "");
        return;
    };
    let bytes = STANDARD.decode(text(value)).unwrap_or_default();
    if serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes).is_err() {
        let detail = match bytes.first() {
            None => "unexpected end of JSON input".to_owned(),
            Some(byte) if byte.is_ascii_graphic() => {
                format!(
                    "invalid character '{}' looking for beginning of value",
                    char::from(*byte)
                )
            }
            Some(byte) => format!("invalid character '\\x{byte:02x}' looking for beginning of value"),
        };
        said.invalid(&data.named(key), "<secret contents redacted>", &detail);
    }
}
