//! Messages that stand for something else than an object of their fields: quantities, times, texts or numbers, unions.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::ProtobufError;
use super::table::Special;

/// The JSON of a special message whose fields were read.
pub(super) fn from_fields(special: Special, mut fields: Map<String, Value>) -> Result<Value, ProtobufError> {
    let number = |name: &str| fields.get(name).and_then(Value::as_i64).unwrap_or(0);
    Ok(match special {
        Special::Quantity => take(&mut fields, "string", || "0".into()),
        Special::IntOrString => match number("type") {
            0 => number("intVal").into(),
            _ => take(&mut fields, "strVal", || "".into()),
        },
        Special::Time | Special::MicroTime => time(special, number("seconds"), number("nanos"))?,
        Special::Texts => take(&mut fields, "items", || Value::Array(Vec::new())),
        Special::SchemaOrBool => {
            let allows = take(&mut fields, "allows", || false.into());
            take(&mut fields, "schema", || allows)
        }
        Special::SchemaOrArray => {
            let list = fields.shift_remove("jSONSchemas");
            list.unwrap_or_else(|| take(&mut fields, "schema", || Value::Null))
        }
        Special::SchemaOrTexts => {
            let list = fields.shift_remove("property");
            list.unwrap_or_else(|| take(&mut fields, "schema", || Value::Null))
        }
        Special::Raw => Value::Null,
    })
}

fn take(fields: &mut Map<String, Value>, name: &str, missing: impl FnOnce() -> Value) -> Value {
    fields.shift_remove(name).unwrap_or_else(missing)
}

fn time(special: Special, seconds: i64, nanos: i64) -> Result<Value, ProtobufError> {
    if seconds == 0 && nanos == 0 {
        return Ok(Value::Null);
    }
    let nanos = i32::try_from(nanos).map_err(|_| ProtobufError::at("", "nanoseconds out of range"))?;
    let time = Timestamp::new(seconds, nanos).map_err(|cause| ProtobufError::at("", cause.to_string()))?;
    Ok(match special {
        Special::MicroTime => format!("{time:.6}").into(),
        _ => format!("{time:.0}").into(),
    })
}

/// The fields that stand for a special value.
pub(super) fn to_fields(special: Special, value: &Value) -> Result<Value, ProtobufError> {
    let wrong = |expected: &str| ProtobufError::at("", format!("expected {expected}, found {value}"));
    Ok(match (special, value) {
        // Quantities may be written as bare numbers.
        (Special::Quantity, Value::Number(number)) => json!({"string": number.to_string()}),
        (Special::Quantity, Value::String(_)) => json!({"string": value}),
        (Special::Quantity, _) => return Err(wrong("a quantity")),
        (Special::IntOrString, Value::String(text)) => json!({"type": 1, "strVal": text}),
        (Special::IntOrString, Value::Number(_)) => json!({"type": 0, "intVal": value}),
        (Special::IntOrString, _) => return Err(wrong("a number or text")),
        (Special::Time | Special::MicroTime, Value::String(text)) => {
            let time: Timestamp = text.parse().map_err(|_| wrong("a time"))?;
            json!({"seconds": time.as_second(), "nanos": time.subsec_nanosecond()})
        }
        (Special::Time | Special::MicroTime, _) => return Err(wrong("a time")),
        (Special::Texts, Value::Array(_)) => json!({"items": value}),
        (Special::Texts, _) => return Err(wrong("a list")),
        (Special::SchemaOrBool, Value::Bool(_)) => json!({"allows": value}),
        (Special::SchemaOrBool, _) => json!({"allows": true, "schema": value}),
        (Special::SchemaOrArray, Value::Array(_)) => json!({"jSONSchemas": value}),
        (Special::SchemaOrTexts, Value::Array(_)) => json!({"property": value}),
        (Special::SchemaOrArray | Special::SchemaOrTexts, _) => json!({"schema": value}),
        (Special::Raw, _) => Value::Null,
    })
}
