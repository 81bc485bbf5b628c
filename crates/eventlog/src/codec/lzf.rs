//! compress-lzf chunks: `ZV`, a type (0 raw, 1 compressed), the length of what follows and, when compressed, the plain length (all
//! big-endian).

use std::io::{self, Read};

use super::damaged;
use super::framed::{Frames, fill, fill_block};

const RAW: u8 = 0;
const COMPRESSED: u8 = 1;

#[derive(Default)]
pub(super) struct Lzf {
    packed: Vec<u8>,
}

impl Frames for Lzf {
    fn next(&mut self, bytes: &mut dyn Read, out: &mut Vec<u8>) -> io::Result<bool> {
        let mut header = [0; 5];
        if !fill(bytes, &mut header)? {
            return Ok(false);
        }
        if &header[..2] != b"ZV" {
            return Err(damaged("an LZF chunk does not begin with ZV"));
        }
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        match header[2] {
            RAW => fill_block(bytes, out, length)?,
            COMPRESSED => {
                let mut plain = [0; 2];
                if !fill(bytes, &mut plain)? {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                fill_block(bytes, &mut self.packed, length)?;
                let plain = usize::from(u16::from_be_bytes(plain));
                let made = lzf::decompress(&self.packed, plain)
                    .map_err(|error| damaged(format!("an LZF chunk cannot be decoded: {error:?}")))?;
                if made.len() != plain {
                    return Err(damaged("an LZF chunk is shorter than its header says"));
                }
                out.extend_from_slice(&made);
            }
            _ => return Err(damaged("an LZF chunk of an unknown type")),
        }
        Ok(true)
    }
}
