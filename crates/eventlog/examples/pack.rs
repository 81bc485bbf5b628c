//! A plain event log as Spark would have compressed it, to measure reading it: `pack zstd|lz4 FROM TO`.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};

use twox_hash::XxHash32;

/// `spark.io.compression.lz4.blockSize`
const BLOCK: u64 = 32 << 10;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [codec, from, to] = &arguments[..] else {
        return Err(io::Error::other("pack zstd|lz4 FROM TO"));
    };
    let from = BufReader::new(File::open(from)?);
    let to = BufWriter::new(File::create(to)?);
    match codec.as_str() {
        "zstd" => zstd::stream::copy_encode(from, to, 1),
        "lz4" => lz4(from, to),
        other => Err(io::Error::other(format!("{other} is not known"))),
    }
}

/// The blocks of lz4-java, and the empty one that ends them.
fn lz4(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut plain = Vec::new();
    loop {
        plain.clear();
        (&mut from).take(BLOCK).read_to_end(&mut plain)?;
        let packed = match plain.is_empty() {
            true => Vec::new(),
            false => lz4_flex::block::compress(&plain),
        };
        let (token, body) = match packed.len() < plain.len() {
            true => (0x25, &packed),
            false => (0x15, &plain),
        };
        let sum = match plain.is_empty() {
            true => 0,
            false => XxHash32::oneshot(0x9747_b28c, &plain) & 0x0fff_ffff,
        };
        to.write_all(b"LZ4Block")?;
        to.write_all(&[token])?;
        for number in [body.len() as u32, plain.len() as u32, sum] {
            to.write_all(&number.to_le_bytes())?;
        }
        to.write_all(body)?;
        if plain.is_empty() {
            return to.flush();
        }
    }
}
