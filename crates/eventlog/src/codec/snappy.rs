//! snappy-java's `SnappyOutputStream`: an 8-byte magic and two versions (big-endian), then chunks of a big-endian length and a raw
//! Snappy block. A header may come again where streams were joined.

use std::io::{self, Read};

use super::framed::{Frames, fill, fill_block};
use super::{MAX_BLOCK, damaged};

const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";

#[derive(Default)]
pub(super) struct Snappy {
    begun: bool,
    packed: Vec<u8>,
    decoder: snap::raw::Decoder,
}

impl Frames for Snappy {
    fn next(&mut self, bytes: &mut dyn Read, out: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let mut length = [0; 4];
            if !fill(bytes, &mut length)? {
                return Ok(false);
            }
            if length == MAGIC[..4] {
                let mut rest = [0; 12];
                if !fill(bytes, &mut rest)? {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if rest[..4] != MAGIC[4..] {
                    return Err(damaged("a Snappy stream does not begin with its magic"));
                }
                self.begun = true;
                continue;
            }
            if !self.begun {
                return Err(damaged("a Snappy stream does not begin with its magic"));
            }
            let length = u32::from_be_bytes(length) as usize;
            if length > MAX_BLOCK {
                return Err(damaged("the length of a Snappy chunk is not one"));
            }
            fill_block(bytes, &mut self.packed, length)?;
            let plain = snap::raw::decompress_len(&self.packed).map_err(damaged)?;
            if plain > MAX_BLOCK {
                return Err(damaged("the length of a Snappy chunk is not one"));
            }
            out.resize(plain, 0);
            self.decoder.decompress(&self.packed, out).map_err(damaged)?;
            return Ok(true);
        }
    }
}
