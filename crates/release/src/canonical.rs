//! JSON in one form: keys sorted by their bytes, no blanks. The same value has the same digest everywhere.

use serde::Serialize;
use serde_json::Value;

use crate::oci::Digest;

/// A value in canonical form. A type that is not JSON (a map with keys that are not texts) gives `null`.
#[must_use]
pub fn text(value: &impl Serialize) -> String {
    sorted(serde_json::to_value(value).unwrap_or_default()).to_string()
}

/// The digest of the canonical form.
#[must_use]
pub fn digest(value: &impl Serialize) -> Digest {
    Digest::of(text(value).as_bytes())
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|one, other| one.0.cmp(&other.0));
            let entries = entries.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(entries.collect())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn order_of_keys_does_not_matter() {
        let one = json!({"b": [1, {"z": null, "a": "x"}], "a": true});
        let other = json!({"a": true, "b": [1, {"a": "x", "z": null}]});
        assert_eq!(super::text(&one), r#"{"a":true,"b":[1,{"a":"x","z":null}]}"#);
        assert_eq!(super::digest(&one), super::digest(&other));
    }
}
