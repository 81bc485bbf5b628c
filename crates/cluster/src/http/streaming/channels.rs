//! Channels: several streams in the messages of one WebSocket. Pure.
//!
//! In the binary forms the first byte of a message is the number of its channel, in the `base64` forms the first character is its digit
//! and the rest is base64. From version 5 a message `255, channel` closes that channel. Source: the Kubernetes WebSocket
//! subprotocols, KEP-4006.

use axum::extract::ws::Message;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// The form of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Binary messages.
    Binary,
    /// Text messages with base64.
    Base64,
}

/// A subprotocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: &'static str,
    /// The form of its messages.
    pub form: Form,
    /// Whether the end of a command is a Status (from version 4) and not a sentence.
    pub status: bool,
    /// Whether a client can close a channel (from version 5).
    pub closes: bool,
}

const fn protocol(name: &'static str, form: Form, version: u8) -> Protocol {
    Protocol {
        name,
        form,
        status: version >= 4,
        closes: version >= 5,
    }
}

/// Every subprotocol there is, the best first.
pub const PROTOCOLS: [Protocol; 5] = [
    protocol("v5.channel.k8s.io", Form::Binary, 5),
    protocol("v4.channel.k8s.io", Form::Binary, 4),
    protocol("v4.base64.channel.k8s.io", Form::Base64, 4),
    protocol("channel.k8s.io", Form::Binary, 1),
    protocol("base64.channel.k8s.io", Form::Base64, 1),
];

/// What a client that names no subprotocol speaks.
pub const UNNAMED: Protocol = protocol("", Form::Binary, 1);

impl Protocol {
    /// The subprotocol of this name.
    pub fn named(name: &str) -> Protocol {
        PROTOCOLS
            .into_iter()
            .find(|known| known.name == name)
            .unwrap_or(UNNAMED)
    }

    /// What a message says; none when it says nothing.
    pub fn read(self, message: Message) -> Option<Incoming> {
        match message {
            Message::Binary(bytes) => match (self.closes, bytes.as_ref()) {
                (_, []) => None,
                (true, [255, channel, ..]) => Some(Incoming::Closed(*channel)),
                (_, [channel, ..]) => Some(Incoming::Bytes(*channel, bytes.slice(1..))),
            },
            // Some clients send text where bytes are expected; the first character is then the channel's number itself.
            Message::Text(text) => {
                let (first, rest) = (*text.as_bytes().first()?, text.get(1..)?);
                Some(match self.form {
                    Form::Binary => Incoming::Bytes(first, Bytes::copy_from_slice(rest.as_bytes())),
                    Form::Base64 => Incoming::Bytes(first.checked_sub(b'0')?, STANDARD.decode(rest).ok()?.into()),
                })
            }
            Message::Close(_) => Some(Incoming::End),
            Message::Ping(_) | Message::Pong(_) => None,
        }
    }

    /// The message that carries bytes on a channel.
    pub fn write(self, channel: u8, bytes: &[u8]) -> Message {
        match self.form {
            Form::Binary => {
                let mut message = Vec::with_capacity(1 + bytes.len());
                message.push(channel);
                message.extend_from_slice(bytes);
                Message::Binary(message.into())
            }
            Form::Base64 => {
                let mut text = String::with_capacity(1 + bytes.len() * 4 / 3 + 4);
                text.push(char::from(b'0'.saturating_add(channel)));
                STANDARD.encode_string(bytes, &mut text);
                Message::Text(text.into())
            }
        }
    }
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Bytes on a channel.
    Bytes(u8, Bytes),
    /// Nothing more follows on a channel.
    Closed(u8),
    /// Nothing more follows at all.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_form() {
        for name in ["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io", ""] {
            let protocol = Protocol::named(name);
            assert_eq!(protocol.name, name);
            assert_eq!(protocol.write(1, b"hi"), Message::Binary(Bytes::from_static(b"\x01hi")));
            assert_eq!(
                protocol.read(Message::Binary(Bytes::from_static(b"\x00in"))),
                Some(Incoming::Bytes(0, "in".into()))
            );
            assert_eq!(protocol.read(Message::Binary(Bytes::new())), None);
            assert_eq!(
                protocol.read(Message::Text("\0typed".into())),
                Some(Incoming::Bytes(0, "typed".into()))
            );
            assert_eq!(protocol.read(Message::Close(None)), Some(Incoming::End));
        }
        let base64 = Protocol::named("base64.channel.k8s.io");
        assert_eq!(base64.write(2, b"hi"), Message::Text("2aGk=".into()));
        assert_eq!(
            base64.read(Message::Text("0aGk=".into())),
            Some(Incoming::Bytes(0, "hi".into()))
        );
        assert_eq!(base64.read(Message::Text("0!".into())), None);
        assert_eq!(base64.read(Message::Text("".into())), None);
    }

    #[test]
    fn only_version_five_closes_channels() {
        let close = || Message::Binary(Bytes::from_static(&[255, 0]));
        assert_eq!(
            Protocol::named("v5.channel.k8s.io").read(close()),
            Some(Incoming::Closed(0))
        );
        let four = Protocol::named("v4.channel.k8s.io").read(close());
        assert_eq!(four, Some(Incoming::Bytes(255, Bytes::from_static(&[0]))));
    }
}
