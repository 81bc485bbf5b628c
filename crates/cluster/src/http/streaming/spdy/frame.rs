//! Frames: bytes to values and back. Source: SPDY Protocol, draft 3.1, section 2.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest frame taken, in bytes. Clients send pieces of 32 KiB and headers of a few hundred bytes.
const LONGEST: usize = 4 << 20;
/// The version in control frames.
const VERSION: u16 = 3;
/// A half-closed stream: nothing follows from the sender.
const FIN: u8 = 1;

/// A frame. Stream numbers have 31 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream.
    SynStream {
        /// Number of the stream.
        stream: u32,
        /// Nothing more follows from the opener.
        fin: bool,
        /// Compressed headers.
        headers: Bytes,
    },
    /// Accepts a stream.
    SynReply {
        /// Number of the stream.
        stream: u32,
        /// Nothing follows from the acceptor.
        fin: bool,
        /// Compressed headers.
        headers: Bytes,
    },
    /// Ends a stream at once, in both directions.
    Reset {
        /// Number of the stream.
        stream: u32,
        /// Why: 1 protocol error, 3 refused, 5 cancelled.
        status: u32,
    },
    /// Asks for the same frame back.
    Ping(u32),
    /// No more streams will be taken.
    GoAway {
        /// The last stream taken.
        last: u32,
        /// Why: 0 for no error.
        status: u32,
    },
    /// Further headers of a stream.
    Headers {
        /// Number of the stream.
        stream: u32,
        /// Nothing more follows from the sender.
        fin: bool,
        /// Compressed headers.
        headers: Bytes,
    },
    /// Bytes of a stream.
    Data {
        /// Number of the stream.
        stream: u32,
        /// Nothing more follows from the sender.
        fin: bool,
        bytes: Bytes,
    },
    /// A frame that means nothing here (settings, windows, credentials).
    Other(u16),
}

/// Bytes that are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Longer than anybody sends.
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// A control frame of another version.
    #[error("version {0} of the protocol is not spoken here")]
    Version(u16),
    /// Shorter than its kind must be.
    #[error("a frame of kind {0} is too short")]
    TooShort(u16),
    /// Headers that cannot be read.
    #[error("the headers of a stream cannot be read: {0}")]
    Headers(String),
}

/// Takes the first frame off `buffer`; `None` when it is not complete.
///
/// # Errors
/// The bytes are not a frame; nothing after them can be understood either.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    let Some(head) = buffer.first_chunk::<8>() else {
        return Ok(None);
    };
    let [a, b, c, d, flags, x, y, z] = *head;
    let length = u32::from_be_bytes([0, x, y, z]) as usize;
    if length > LONGEST {
        return Err(Malformed::TooLong(length));
    }
    let control = a & 0x80 != 0;
    let (version, kind) = (u16::from_be_bytes([a & 0x7f, b]), u16::from_be_bytes([c, d]));
    if control && version != VERSION {
        return Err(Malformed::Version(version));
    }
    if buffer.len() < 8 + length {
        return Ok(None);
    }
    buffer.advance(8);
    let mut body = buffer.split_to(length).freeze();
    let fin = flags & FIN != 0;
    if !control {
        let stream = u32::from_be_bytes([a & 0x7f, b, c, d]);
        return Ok(Some(Frame::Data {
            stream,
            fin,
            bytes: body,
        }));
    }
    let least = match kind {
        1 => 10,
        2 | 6 | 8 => 4,
        3 | 7 => 8,
        _ => 0,
    };
    if length < least {
        return Err(Malformed::TooShort(kind));
    }
    let mut number = || body.get_u32();
    Ok(Some(match kind {
        1 => {
            let (stream, _associated) = (number() & 0x7fff_ffff, number());
            // Priority and slot.
            body.advance(2);
            Frame::SynStream {
                stream,
                fin,
                headers: body,
            }
        }
        2 => Frame::SynReply {
            stream: number() & 0x7fff_ffff,
            fin,
            headers: body,
        },
        3 => Frame::Reset {
            stream: number() & 0x7fff_ffff,
            status: number(),
        },
        6 => Frame::Ping(number()),
        7 => Frame::GoAway {
            last: number() & 0x7fff_ffff,
            status: number(),
        },
        8 => Frame::Headers {
            stream: number() & 0x7fff_ffff,
            fin,
            headers: body,
        },
        other => Frame::Other(other),
    }))
}

/// Appends the bytes of a frame. Data longer than 16 MiB less one byte does not fit into one; callers send far less.
pub fn encode(frame: &Frame, out: &mut BytesMut) {
    match frame {
        Frame::SynStream { stream, fin, headers } => {
            control(out, 1, *fin, 10 + headers.len());
            out.put_u32(*stream);
            out.put_u32(0);
            out.put_u16(0);
            out.extend_from_slice(headers);
        }
        Frame::SynReply { stream, fin, headers } => {
            control(out, 2, *fin, 4 + headers.len());
            out.put_u32(*stream);
            out.extend_from_slice(headers);
        }
        Frame::Reset { stream, status } => pair(out, 3, *stream, *status),
        Frame::Ping(number) => {
            control(out, 6, false, 4);
            out.put_u32(*number);
        }
        Frame::GoAway { last, status } => pair(out, 7, *last, *status),
        Frame::Headers { stream, fin, headers } => {
            control(out, 8, *fin, 4 + headers.len());
            out.put_u32(*stream);
            out.extend_from_slice(headers);
        }
        Frame::Data { stream, fin, bytes } => {
            out.put_u32(*stream);
            length(out, *fin, bytes.len());
            out.extend_from_slice(bytes);
        }
        Frame::Other(kind) => control(out, *kind, false, 0),
    }
}

fn pair(out: &mut BytesMut, kind: u16, first: u32, second: u32) {
    control(out, kind, false, 8);
    out.put_u32(first);
    out.put_u32(second);
}

fn control(out: &mut BytesMut, kind: u16, fin: bool, bytes: usize) {
    out.put_u16(0x8000 | VERSION);
    out.put_u16(kind);
    length(out, fin, bytes);
}

fn length(out: &mut BytesMut, fin: bool, bytes: usize) {
    out.put_u8(if fin { FIN } else { 0 });
    out.put_uint(u64::try_from(bytes).unwrap_or(u64::MAX), 3);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(hex: &str) -> BytesMut {
        let digits: String = hex.split_whitespace().collect();
        let byte = |index: usize| u8::from_str_radix(&digits[index..index + 2], 16).unwrap();
        (0..digits.len())
            .step_by(2)
            .map(byte)
            .collect::<Vec<u8>>()
            .as_slice()
            .into()
    }

    #[test]
    fn frames_are_what_the_specification_shows() {
        let table = [
            (
                "8003 0001 01 00000d 00000005 00000000 0000 616263",
                Frame::SynStream {
                    stream: 5,
                    fin: true,
                    headers: "abc".into(),
                },
            ),
            (
                "8003 0002 00 000005 00000005 78",
                Frame::SynReply {
                    stream: 5,
                    fin: false,
                    headers: "x".into(),
                },
            ),
            (
                "8003 0003 00 000008 00000007 00000005",
                Frame::Reset { stream: 7, status: 5 },
            ),
            ("8003 0006 00 000004 00000001", Frame::Ping(1)),
            (
                "8003 0007 00 000008 00000009 00000000",
                Frame::GoAway { last: 9, status: 0 },
            ),
            (
                "8003 0008 01 000004 00000003",
                Frame::Headers {
                    stream: 3,
                    fin: true,
                    headers: Bytes::new(),
                },
            ),
            (
                "00000003 01 000002 6869",
                Frame::Data {
                    stream: 3,
                    fin: true,
                    bytes: "hi".into(),
                },
            ),
            ("8003 0004 00 000000", Frame::Other(4)),
        ];
        for (hex, frame) in table {
            let mut written = BytesMut::new();
            encode(&frame, &mut written);
            assert_eq!(written, bytes(hex), "{frame:?}");
            for cut in 0..written.len() {
                assert_eq!(decode(&mut written[..cut].into()), Ok(None), "{frame:?} cut at {cut}");
            }
            assert_eq!(decode(&mut written), Ok(Some(frame)));
            assert!(written.is_empty());
        }
    }

    #[test]
    fn what_is_no_frame_is_said() {
        for (hex, error) in [
            ("8002 0001 00 000000", Malformed::Version(2)),
            ("8003 0001 00 000004 00000001", Malformed::TooShort(1)),
            ("00000001 00 ffffff", Malformed::TooLong(0xff_ffff)),
        ] {
            assert_eq!(decode(&mut bytes(hex)), Err(error));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_refused(input in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut buffer = BytesMut::from(input.as_slice());
            while let Ok(Some(_)) = decode(&mut buffer) {}
        }
    }
}
