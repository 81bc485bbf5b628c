//! Headers of streams: names and values, compressed as one zlib stream per direction with a dictionary both sides know.
//! Source: SPDY Protocol, draft 3, sections 2.6.10 and 2.6.10.1.

use std::sync::OnceLock;

use bytes::{Buf, BufMut, Bytes};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frame::Malformed;

/// The longest headers of one stream, in bytes, once decompressed.
const LONGEST: usize = 64 << 10;

/// Names and values, in order.
pub type Headers = Vec<(String, String)>;

/// The words of the dictionary, each there with its length before it.
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age \
    allow authorization cache-control connection content-base content-encoding content-language content-length content-location \
    content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range \
    if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after \
    server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status 200_OK version \
    HTTP/1.1 url public set-cookie keep-alive origin";
/// What follows them.
const REST: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
    203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found\
    500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 \
    Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,\
    text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

fn dictionary() -> &'static [u8] {
    static DICTIONARY: OnceLock<Vec<u8>> = OnceLock::new();
    DICTIONARY.get_or_init(|| {
        let mut bytes = Vec::new();
        for word in WORDS.split_whitespace() {
            let word = word.replace('_', " ");
            bytes.put_u32(u32::try_from(word.len()).unwrap_or_default());
            bytes.extend_from_slice(word.as_bytes());
        }
        bytes.extend_from_slice(REST.as_bytes());
        bytes
    })
}

/// Compresses the headers of one direction of a connection.
pub struct Compressor(Compress);

impl Default for Compressor {
    fn default() -> Compressor {
        let mut compress = Compress::new(Compression::fast(), true);
        // Only fails on a stream already begun.
        let _ = compress.set_dictionary(dictionary());
        Compressor(compress)
    }
}

impl Compressor {
    /// The compressed form of `headers`, complete in itself.
    pub fn compress(&mut self, headers: &Headers) -> Bytes {
        let mut plain = Vec::new();
        let put = |plain: &mut Vec<u8>, text: &str| {
            plain.put_u32(u32::try_from(text.len()).unwrap_or_default());
            plain.extend_from_slice(text.as_bytes());
        };
        plain.put_u32(u32::try_from(headers.len()).unwrap_or_default());
        for (name, value) in headers {
            put(&mut plain, name);
            put(&mut plain, value);
        }
        let (mut out, begun) = (Vec::with_capacity(plain.len() + 64), self.0.total_in());
        loop {
            let done = usize::try_from(self.0.total_in() - begun).unwrap_or(plain.len());
            let result = self.0.compress_vec(&plain[done..], &mut out, FlushCompress::Sync);
            // Room left over means that nothing is held back.
            if result.is_err() || out.len() < out.capacity() {
                return out.into();
            }
            out.reserve(256);
        }
    }
}

/// Decompresses the headers of one direction of a connection.
pub struct Decompressor(Decompress);

impl Default for Decompressor {
    fn default() -> Decompressor {
        Decompressor(Decompress::new(true))
    }
}

impl Decompressor {
    /// The headers in the compressed form `block`.
    ///
    /// # Errors
    /// It is not a continuation of the stream, too long, or no list of headers.
    pub fn decompress(&mut self, block: &[u8]) -> Result<Headers, Malformed> {
        let failed = |cause: &str| Malformed::Headers(cause.to_owned());
        let (mut out, begun) = (Vec::with_capacity(1024), self.0.total_in());
        loop {
            let done = usize::try_from(self.0.total_in() - begun).unwrap_or(block.len());
            let had = out.len();
            match self.0.decompress_vec(&block[done..], &mut out, FlushDecompress::Sync) {
                Ok(Status::StreamEnd) => break,
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0
                        .set_dictionary(dictionary())
                        .map_err(|_| failed("another dictionary"))?;
                    continue;
                }
                Err(error) => return Err(failed(&error.to_string())),
            }
            if out.len() > LONGEST {
                return Err(failed("too long"));
            }
            let stuck = out.len() == had && self.0.total_in() - begun == done as u64;
            // Room left over means that nothing is held back.
            if out.len() < out.capacity() && (stuck || self.0.total_in() - begun == block.len() as u64) {
                break;
            }
            out.reserve(4096);
        }
        parse(&out)
    }
}

/// A count, then that many names and values, each after its length.
fn parse(mut bytes: &[u8]) -> Result<Headers, Malformed> {
    let short = || Malformed::Headers("they end early".to_owned());
    let count = bytes.try_get_u32().map_err(|_| short())?;
    let mut text = || {
        let length = bytes.try_get_u32().map_err(|_| short())? as usize;
        let part = bytes.get(..length).ok_or_else(short)?;
        let text = String::from_utf8_lossy(part).into_owned();
        bytes.advance(length);
        Ok::<_, Malformed>(text)
    };
    let mut headers = Vec::new();
    for _ in 0..count {
        headers.push((text()?.to_lowercase(), text()?));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn adler(bytes: &[u8]) -> u32 {
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in bytes {
            a = (a + u32::from(*byte)) % 65521;
            b = (b + a) % 65521;
        }
        b << 16 | a
    }

    #[test]
    fn the_dictionary_is_the_one_the_specification_gives() {
        assert_eq!((dictionary().len(), adler(dictionary())), (1423, 0xe3c6_a7c2));
    }

    #[test]
    fn headers_survive_and_later_ones_refer_to_earlier() {
        let (mut out, mut back) = (Compressor::default(), Decompressor::default());
        let headers = |kind: &str| -> Headers {
            [("streamtype", kind), ("port", "8080"), ("requestid", "0")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into()
        };
        let first = out.compress(&headers("error"));
        assert_eq!(first[0] & 0x0f, 8, "zlib");
        assert_ne!(first[1] & 0x20, 0, "with the dictionary");
        assert_eq!(back.decompress(&first), Ok(headers("error")));
        let second = out.compress(&headers("data"));
        assert!(second.len() < first.len(), "{} {}", second.len(), first.len());
        assert_eq!(back.decompress(&second), Ok(headers("data")));
        assert_eq!(back.decompress(&out.compress(&Vec::new())), Ok(Vec::new()));
        let long = vec![("x".to_owned(), "y".repeat(30_000))];
        assert_eq!(back.decompress(&out.compress(&long)), Ok(long));
    }

    #[test]
    fn headers_from_elsewhere() {
        // Written by zlib's own program library with the dictionary and a synchronising flush.
        let block = include_bytes!("headers.bin");
        let expected = [("streamtype", "stdin"), ("x", "hello hello hello")];
        assert_eq!(
            Decompressor::default().decompress(block),
            Ok(expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into())
        );
    }

    #[test]
    fn headers_that_are_none_are_refused() {
        let mut out = Compressor::default();
        let bomb = vec![("x".to_owned(), "y".repeat(10 << 20))];
        let error = Decompressor::default().decompress(&out.compress(&bomb)).unwrap_err();
        assert_eq!(error, Malformed::Headers("too long".into()));
        assert!(Decompressor::default().decompress(b"not zlib").is_err());
        assert!(parse(&[0, 0, 0, 9]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_headers_or_refused(input in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&input);
            let _ = Decompressor::default().decompress(&input);
        }
    }
}
