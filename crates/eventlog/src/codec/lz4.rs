//! `LZ4Block`, the framing of lz4-java's `LZ4BlockOutputStream`: magic, a token (method and block size), the compressed and the plain
//! length and an xxHash32 of the plain bytes, all little-endian; a block of length 0 ends a stream, and streams may follow one another.

use std::io::{self, Read};

use twox_hash::XxHash32;

use super::framed::{Frames, fill, fill_block};
use super::{MAX_BLOCK, damaged};

const MAGIC: &[u8; 8] = b"LZ4Block";
const HEADER: usize = 8 + 1 + 4 + 4 + 4;
const RAW: u8 = 0x10;
const COMPRESSED: u8 = 0x20;
/// The seed of lz4-java's checksum; it keeps 28 bits.
const SEED: u32 = 0x9747_b28c;
const KEPT: u32 = 0x0fff_ffff;

#[derive(Default)]
pub(super) struct Lz4 {
    packed: Vec<u8>,
}

impl Frames for Lz4 {
    fn next(&mut self, bytes: &mut dyn Read, out: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let mut header = [0; HEADER];
            if !fill(bytes, &mut header)? {
                return Ok(false);
            }
            if &header[..8] != MAGIC {
                return Err(damaged("an LZ4Block does not begin with its magic"));
            }
            let [packed, plain, sum] =
                [9, 13, 17].map(|at| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
            let (packed, plain) = (packed as usize, plain as usize);
            if plain == 0 && packed == 0 {
                continue; // the end of one stream; another may follow
            }
            if packed > MAX_BLOCK || plain > MAX_BLOCK {
                return Err(damaged("the length of an LZ4Block is not one"));
            }
            match header[8] & 0xf0 {
                RAW if packed == plain => fill_block(bytes, out, plain)?,
                COMPRESSED => {
                    fill_block(bytes, &mut self.packed, packed)?;
                    out.resize(plain, 0);
                    let made = lz4_flex::block::decompress_into(&self.packed, out).map_err(damaged)?;
                    if made != plain {
                        return Err(damaged("an LZ4Block is shorter than its header says"));
                    }
                }
                _ => return Err(damaged("an LZ4Block of an unknown method")),
            }
            if XxHash32::oneshot(SEED, out) & KEPT != sum {
                return Err(damaged("the checksum of an LZ4Block is wrong"));
            }
            return Ok(true);
        }
    }
}
