//! Protobuf as Kubernetes speaks it: bodies in, JSON out; and JSON answers back into protobuf for clients that accept nothing else.
//!
//! In: the `k8s\0` envelope around one message of a built-in type. Out: the same object as the JSON a JSON client would have sent, which is
//! all that the rest of the server knows. Which fields a message has stands in a table ([`table`]) extracted from the published definitions;
//! nothing here knows a kind. Custom resources have no protobuf form.
//! Bytes that are no such message are refused with the place where they stop making sense; nothing here recurses or grows beyond limits.

mod decode;
mod encode;
pub mod go;
mod named;
pub mod schemas;
mod special;
mod table;
mod wire;
pub mod zero;

use serde_json::{Value, json};

use table::{Message, Table};
use wire::{Reader, Writer};

/// What every body starts with.
const MAGIC: &[u8] = b"k8s\0";
/// The media type.
pub const MEDIA: &str = "application/vnd.kubernetes.protobuf";

/// Why bytes are not a message, or an object has no protobuf form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The body does not start as Kubernetes' envelope does.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    NotAnEnvelope,
    /// There is no such message.
    #[error("no protobuf message is known for kind {kind:?} in version {api_version:?}")]
    UnknownKind {
        /// Kind of the envelope or object.
        kind: String,
        /// Version of the envelope or object.
        api_version: String,
    },
    /// Bytes or values that do not fit.
    #[error("{place}: {what}")]
    Malformed {
        /// Path of the field, as JSON names it, after the name of the message.
        place: String,
        /// What is wrong there.
        what: String,
    },
}

impl ProtobufError {
    fn at(place: &str, what: impl Into<String>) -> ProtobufError {
        ProtobufError::Malformed {
            place: place.to_owned(),
            what: what.into(),
        }
    }

    /// The same complaint, one level further out.
    fn within(self, outer: &str) -> ProtobufError {
        match self {
            ProtobufError::Malformed { place, what } if place.is_empty() => ProtobufError::at(outer, what),
            ProtobufError::Malformed { place, what } => ProtobufError::at(&format!("{outer}.{place}"), what),
            other => other,
        }
    }
}

/// Whether objects of this kind can be written as protobuf.
pub fn knows(api_version: &str, kind: &str) -> bool {
    Table::get().of_kind(api_version, kind).is_some()
}

/// Reads an enveloped message as the JSON object it stands for.
pub fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    decode::Decoder::new().envelope(body)
}

/// Writes an object as an enveloped message.
pub fn encode(object: &Value) -> Result<Vec<u8>, ProtobufError> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let message = message_of(api_version, kind)?;
    let mut raw = Writer::default();
    encode::message(message, object, &mut raw, 0).map_err(|error| error.within(kind))?;
    Ok(envelope(api_version, kind, &raw.finish()))
}

/// Writes one line of a watch, `{"type": …, "object": …}`, as a frame: four bytes of length, then the event.
pub fn encode_watch_event(event: &Value) -> Result<Vec<u8>, ProtobufError> {
    let object = encode(&event["object"])?;
    let mut extension = Writer::default();
    extension.bytes(1, &object);
    let mut writer = Writer::default();
    writer.bytes(1, event["type"].as_str().unwrap_or_default().as_bytes());
    writer.bytes(2, &extension.finish());
    let event = writer.finish();
    let length = u32::try_from(event.len()).map_err(|_| ProtobufError::at("", "the event is larger than 4 GiB"))?;
    let mut frame = Vec::with_capacity(event.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&event);
    Ok(frame)
}

/// An OpenAPI v2 document that describes nothing, as kubectl reads it (gnostic's `Document`): title and version.
pub fn empty_openapi_v2(title: &str, version: &str) -> Vec<u8> {
    let mut info = Writer::default();
    info.bytes(1, title.as_bytes());
    info.bytes(2, version.as_bytes());
    let mut document = Writer::default();
    document.bytes(1, b"2.0");
    document.bytes(2, &info.finish());
    document.bytes(8, b"");
    document.bytes(9, b"");
    document.finish()
}

fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut type_meta = Writer::default();
    type_meta.bytes(1, api_version.as_bytes());
    type_meta.bytes(2, kind.as_bytes());
    let mut unknown = Writer::default();
    unknown.bytes(1, &type_meta.finish());
    unknown.bytes(2, raw);
    unknown.bytes(3, b"");
    unknown.bytes(4, b"");
    let unknown = unknown.finish();
    let mut body = Vec::with_capacity(MAGIC.len() + unknown.len());
    body.extend_from_slice(MAGIC);
    body.extend_from_slice(&unknown);
    body
}

/// What an envelope says: version, kind, content type, and the message in it.
struct Envelope<'a> {
    api_version: &'a str,
    kind: &'a str,
    content_type: &'a str,
    raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(body: &'a [u8]) -> Result<Envelope<'a>, ProtobufError> {
        let unknown = body.strip_prefix(MAGIC).ok_or(ProtobufError::NotAnEnvelope)?;
        let mut envelope = Envelope {
            api_version: "",
            kind: "",
            content_type: "",
            raw: &[],
        };
        let mut reader = Reader::new(unknown);
        while let Some((number, wire)) = reader.key()? {
            match number {
                1 => {
                    let mut inner = Reader::new(reader.length_delimited(wire)?);
                    while let Some((number, wire)) = inner.key()? {
                        match number {
                            1 => envelope.api_version = inner.text(wire)?,
                            2 => envelope.kind = inner.text(wire)?,
                            _ => inner.skip(wire)?,
                        }
                    }
                }
                2 => envelope.raw = reader.length_delimited(wire)?,
                4 => envelope.content_type = reader.text(wire)?,
                _ => reader.skip(wire)?,
            }
        }
        Ok(envelope)
    }

    fn identity(&self) -> Value {
        let mut object = json!({});
        for (field, text) in [("kind", self.kind), ("apiVersion", self.api_version)] {
            if !text.is_empty() {
                object[field] = text.into();
            }
        }
        object
    }
}

fn message_of(api_version: &str, kind: &str) -> Result<&'static Message, ProtobufError> {
    Table::get()
        .of_kind(api_version, kind)
        .ok_or_else(|| ProtobufError::UnknownKind {
            kind: kind.to_owned(),
            api_version: api_version.to_owned(),
        })
}

#[cfg(test)]
mod tests;
