//! Compression of event logs (`spark.eventLog.compression.codec`), decoded as a stream in constant memory.
//!
//! Spark names the codec by its short name at the end of the file name (`CompressionCodec.getShortName`). What a codec's bytes are is
//! told by the library Spark writes them with: zstd-jni writes standard frames, lz4-java its own "LZ4Block" framing, snappy-java its own
//! header and chunks, and compress-lzf the chunks of LibLZF.

mod framed;
mod lz4;
mod lzf;
mod snappy;

use std::io::{self, Read};

use framed::{Framed, Frames};

/// The largest block we take from a header, in bytes. Spark writes blocks of 32 KiB (`spark.io.compression.*.blockSize`) by default;
/// a length beyond this is a damaged header, not a block.
const MAX_BLOCK: usize = 32 << 20;

/// How the bytes of an event log are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    Plain,
    /// Standard zstd frames; one frame while the driver runs without pause.
    Zstd,
    /// `LZ4Block` frames of lz4-java.
    Lz4,
    /// Chunks of snappy-java's `SnappyOutputStream`.
    Snappy,
    /// `ZV` chunks of compress-lzf.
    Lzf,
}

impl Codec {
    /// The codec a file name ends with (`zstd` of `app-1.zstd`), without `.inprogress` and `.compact`. No known ending is plain.
    pub fn of_name(name: &str) -> Codec {
        match name.rsplit_once('.') {
            Some((_, "zstd")) => Codec::Zstd,
            Some((_, "lz4")) => Codec::Lz4,
            Some((_, "snappy")) => Codec::Snappy,
            Some((_, "lzf")) => Codec::Lzf,
            _ => Codec::Plain,
        }
    }

    /// Decodes `bytes`. A frame that ends too early is [`io::ErrorKind::UnexpectedEof`], a damaged one [`io::ErrorKind::InvalidData`]; what
    /// came before was given out already.
    ///
    /// # Errors
    /// Only when a decoder cannot be set up.
    pub fn decode<'a>(self, bytes: Box<dyn Read + Send + 'a>) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Codec::Plain => bytes,
            Codec::Zstd => Box::new(zstd::Decoder::new(bytes)?),
            Codec::Lz4 => framed(bytes, lz4::Lz4::default()),
            Codec::Snappy => framed(bytes, snappy::Snappy::default()),
            Codec::Lzf => framed(bytes, lzf::Lzf::default()),
        })
    }
}

fn framed<'a, F: Frames + Send + 'a>(bytes: Box<dyn Read + Send + 'a>, frames: F) -> Box<dyn Read + Send + 'a> {
    Box::new(Framed::new(io::BufReader::with_capacity(128 << 10, bytes), frames))
}

fn damaged(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_codec() {
        for (name, codec) in [
            ("application_1_0001", Codec::Plain),
            ("local-1.zstd", Codec::Zstd),
            ("events_1_local-1.lz4", Codec::Lz4),
            ("local-1_2.snappy", Codec::Snappy),
            ("x.lzf", Codec::Lzf),
            ("spark.app.1", Codec::Plain),
        ] {
            assert_eq!(Codec::of_name(name), codec, "{name}");
        }
    }

    #[test]
    fn damaged_bytes_are_errors() {
        let junk: Vec<u8> = (0..4096u32).map(|i| (i * 7919 % 251) as u8).collect();
        for codec in [Codec::Zstd, Codec::Lz4, Codec::Snappy, Codec::Lzf] {
            let mut out = Vec::new();
            let read = codec
                .decode(Box::new(&junk[..]))
                .and_then(|mut reader| reader.read_to_end(&mut out));
            assert!(read.is_err(), "{codec:?}");
        }
    }

    #[test]
    fn no_bytes_are_no_bytes() {
        // Of zstd they are the beginning of a frame that never came.
        for codec in [Codec::Plain, Codec::Lz4, Codec::Snappy, Codec::Lzf] {
            let mut out = Vec::new();
            codec.decode(Box::new(&[][..])).unwrap().read_to_end(&mut out).unwrap();
            assert!(out.is_empty(), "{codec:?}");
        }
    }
}
