//! JSON into messages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::decode::MOST_DEPTH;
use super::table::{Field, Kind, Message, Shape, Special, Table};
use super::wire::Writer;
use super::{ProtobufError, special};

/// Writes the fields of an object, in the order of their numbers. Fields the message does not have are left out.
pub(super) fn message(message: &Message, object: &Value, into: &mut Writer, depth: usize) -> Result<(), ProtobufError> {
    if depth > MOST_DEPTH {
        return Err(ProtobufError::at("", format!("exceeded max depth of {MOST_DEPTH}")));
    }
    if !object.is_object() {
        return Err(ProtobufError::at("", format!("expected an object, found {object}")));
    }
    for field in &message.fields {
        if field.inline {
            value(field, object, into, depth)?;
            continue;
        }
        let within = |error: ProtobufError| error.within(field.name);
        match (field.shape, &object[field.name]) {
            (_, Value::Null) => {}
            (Shape::One, one) => value(field, one, into, depth).map_err(within)?,
            (Shape::List, Value::Array(items)) => {
                items
                    .iter()
                    .try_for_each(|item| value(field, item, into, depth))
                    .map_err(within)?;
            }
            (Shape::Map, Value::Object(entries)) => {
                for (key, item) in entries {
                    let mut entry = Writer::default();
                    entry.bytes(1, key.as_bytes());
                    let second = Field {
                        number: 2,
                        inline: false,
                        ..*field
                    };
                    value(&second, item, &mut entry, depth)
                        .map_err(|error| error.within(key))
                        .map_err(within)?;
                    into.bytes(field.number, &entry.finish());
                }
            }
            (_, other) => return Err(ProtobufError::at(field.name, format!("unexpected {other}"))),
        }
    }
    Ok(())
}

fn value(field: &Field, value: &Value, into: &mut Writer, depth: usize) -> Result<(), ProtobufError> {
    let wrong = |expected: &str| ProtobufError::at("", format!("expected {expected}, found {value}"));
    match field.kind {
        Kind::Text => into.bytes(field.number, value.as_str().ok_or_else(|| wrong("text"))?.as_bytes()),
        Kind::Truth => into.varint(
            field.number,
            value.as_bool().ok_or_else(|| wrong("true or false"))?.into(),
        ),
        Kind::Whole | Kind::Long => into.varint(field.number, whole(value).ok_or_else(|| wrong("a whole number"))?),
        Kind::Real => into.double(field.number, value.as_f64().ok_or_else(|| wrong("a number"))?),
        Kind::Bytes => {
            let text = value.as_str().ok_or_else(|| wrong("base64"))?;
            into.bytes(field.number, &STANDARD.decode(text).map_err(|_| wrong("base64"))?);
        }
        Kind::Message(id) => {
            let inner = Table::get().message(id);
            let mut writer = Writer::default();
            match inner.special {
                Some(Special::Raw) => writer.bytes(1, value.to_string().as_bytes()),
                Some(special) => message(inner, &special::to_fields(special, value)?, &mut writer, depth + 1)?,
                None => message(inner, value, &mut writer, depth + 1)?,
            }
            into.bytes(field.number, &writer.finish());
        }
    }
    Ok(())
}

/// A whole number, however it is written.
fn whole(value: &Value) -> Option<i64> {
    let real = || value.as_f64().filter(|real| real.fract() == 0.0 && real.abs() < 9e15);
    value.as_i64().or_else(|| real().map(|real| real as i64))
}
