//! Messages into JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::special;
use super::table::{Field, Kind, Message, Shape, Special, Table};
use super::wire::{Reader, Wire};
use super::{Envelope, MAGIC, ProtobufError, message_of};

/// Messages may stand inside each other this deep; JSON is read back to 128.
pub(super) const MOST_DEPTH: usize = 100;
/// Values a body may hold: an empty message takes two bytes here and about a hundred in memory.
const MOST_VALUES: usize = 500_000;

/// Decodes one body.
pub(super) struct Decoder {
    values: usize,
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder { values: 0 }
    }

    /// Reads the envelope and the message in it.
    pub(super) fn envelope(&mut self, body: &[u8]) -> Result<Value, ProtobufError> {
        self.enveloped(body, 0)
    }

    fn enveloped(&mut self, body: &[u8], depth: usize) -> Result<Value, ProtobufError> {
        let envelope = Envelope::read(body)?;
        if envelope.content_type == "application/json" {
            return serde_json::from_slice(envelope.raw).map_err(|cause| ProtobufError::at("", cause.to_string()));
        }
        let message = message_of(envelope.api_version, envelope.kind)?;
        let mut object = envelope.identity();
        if let Value::Object(fields) = &mut object {
            self.message(message, envelope.raw, fields, depth)
                .map_err(|error| error.within(envelope.kind))?;
        }
        Ok(object)
    }

    fn message(
        &mut self,
        message: &Message,
        bytes: &[u8],
        into: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        if depth > MOST_DEPTH {
            return Err(ProtobufError::at("", format!("exceeded max depth of {MOST_DEPTH}")));
        }
        let mut reader = Reader::new(bytes);
        while let Some((number, wire)) = reader.key()? {
            let Ok(index) = message.fields.binary_search_by_key(&number, |field| field.number) else {
                reader.skip(wire)?;
                continue;
            };
            let field = &message.fields[index];
            self.field(field, &mut reader, wire, into, depth)
                .map_err(|error| if field.inline { error } else { error.within(field.name) })?;
        }
        for field in &message.fields {
            let zero = into.get(field.name).is_some_and(is_zero);
            if zero && field.omit_zero && field.shape == Shape::One {
                into.shift_remove(field.name);
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &Field,
        reader: &mut Reader<'_>,
        wire: Wire,
        into: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        if let (true, Kind::Message(id)) = (field.inline, field.kind) {
            return self.message(
                Table::get().message(id),
                reader.length_delimited(wire)?,
                into,
                depth + 1,
            );
        }
        match field.shape {
            Shape::One => {
                let earlier = into.get_mut(field.name).map(Value::take);
                match self.value(field.kind, reader, wire, earlier, depth)? {
                    // A time that was never set.
                    Value::Null => into.shift_remove(field.name).map_or((), drop),
                    value => drop(into.insert(field.name.to_owned(), value)),
                }
            }
            Shape::List => {
                let mut items = Vec::new();
                if matches!(field.kind, Kind::Whole | Kind::Long) && wire == Wire::Delimited {
                    let mut packed = Reader::new(reader.length_delimited(wire)?);
                    while !packed.is_empty() {
                        self.count()?;
                        items.push(packed.packed_varint()?.into());
                    }
                } else {
                    items.push(self.value(field.kind, reader, wire, None, depth)?);
                }
                let list = into.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    list.append(&mut items);
                }
            }
            Shape::Map => {
                let (mut key, mut value) = ("", None);
                let mut entry = Reader::new(reader.length_delimited(wire)?);
                while let Some((number, wire)) = entry.key()? {
                    match number {
                        1 => key = entry.text(wire)?,
                        2 => {
                            value = Some(
                                self.value(field.kind, &mut entry, wire, None, depth)
                                    .map_err(|error| error.within(key))?,
                            )
                        }
                        _ => entry.skip(wire)?,
                    }
                }
                let map = into.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(map) = map {
                    map.insert(key.to_owned(), value.unwrap_or_else(|| zero_of(field.kind)));
                }
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), ProtobufError> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(ProtobufError::at(
                "",
                format!("the object has more than {MOST_VALUES} values"),
            ));
        }
        Ok(())
    }

    fn value(
        &mut self,
        kind: Kind,
        reader: &mut Reader<'_>,
        wire: Wire,
        earlier: Option<Value>,
        depth: usize,
    ) -> Result<Value, ProtobufError> {
        self.count()?;
        Ok(match kind {
            Kind::Text => reader.text(wire)?.into(),
            Kind::Truth => (reader.varint(wire)? != 0).into(),
            Kind::Whole | Kind::Long => reader.varint(wire)?.into(),
            Kind::Real => reader.double(wire)?.into(),
            Kind::Bytes => STANDARD.encode(reader.length_delimited(wire)?).into(),
            Kind::Message(id) => {
                let message = Table::get().message(id);
                let bytes = reader.length_delimited(wire)?;
                match message.special {
                    Some(special) => self.special(special, message, bytes, depth)?,
                    None => {
                        // A message that comes twice is merged.
                        let mut fields = match earlier {
                            Some(Value::Object(fields)) => fields,
                            _ => Map::new(),
                        };
                        self.message(message, bytes, &mut fields, depth + 1)?;
                        fields.into()
                    }
                }
            }
        })
    }

    fn special(
        &mut self,
        special: Special,
        message: &Message,
        bytes: &[u8],
        depth: usize,
    ) -> Result<Value, ProtobufError> {
        if special == Special::Raw {
            let mut reader = Reader::new(bytes);
            let mut raw: &[u8] = &[];
            while let Some((number, wire)) = reader.key()? {
                match number {
                    1 => raw = reader.length_delimited(wire)?,
                    _ => reader.skip(wire)?,
                }
            }
            return if raw.is_empty() {
                Ok(Value::Null)
            } else if raw.starts_with(MAGIC) && depth < MOST_DEPTH {
                self.enveloped(raw, depth + 1)
            } else {
                serde_json::from_slice(raw).map_err(|cause| ProtobufError::at("", format!("embedded JSON: {cause}")))
            };
        }
        let mut fields = Map::new();
        self.message(message, bytes, &mut fields, depth + 1)?;
        special::from_fields(special, fields)
    }
}

/// What JSON leaves out.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// The value of a map entry that does not say it.
fn zero_of(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Bytes => "".into(),
        Kind::Truth => false.into(),
        Kind::Whole | Kind::Long | Kind::Real => 0.into(),
        Kind::Message(id) => match Table::get().message(id).special {
            Some(Special::Quantity) => "0".into(),
            Some(Special::Texts) => Value::Array(Vec::new()),
            _ => Value::Object(Map::new()),
        },
    }
}
