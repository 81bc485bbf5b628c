//! MD5 (the ETag) and the checksums S3 knows, computed in one pass; checksums of joined parts from those of the parts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use serde::{Deserialize, Serialize};

/// A checksum algorithm of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Algorithm {
    /// CRC-32 as in zip.
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 5] = [
        Algorithm::Crc32,
        Algorithm::Crc32c,
        Algorithm::Crc64Nvme,
        Algorithm::Sha1,
        Algorithm::Sha256,
    ];

    /// S3's name.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "CRC32",
            Algorithm::Crc32c => "CRC32C",
            Algorithm::Crc64Nvme => "CRC64NVME",
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
        }
    }

    /// The header that carries it.
    pub fn header(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "x-amz-checksum-crc32",
            Algorithm::Crc32c => "x-amz-checksum-crc32c",
            Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Algorithm::Sha1 => "x-amz-checksum-sha1",
            Algorithm::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// By S3's name, in any case.
    pub fn by_name(name: &str) -> Option<Algorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// By the header that carries it, in any case.
    pub fn by_header(header: &str) -> Option<Algorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.header().eq_ignore_ascii_case(header))
    }

    /// Whether the checksum of joined parts follows from theirs (CRCs) or only from all bytes (SHAs).
    pub fn combines(self) -> bool {
        self.crc().is_some()
    }

    fn crc(self) -> Option<crc_fast::CrcAlgorithm> {
        match self {
            Algorithm::Crc32 => Some(crc_fast::CrcAlgorithm::Crc32IsoHdlc),
            Algorithm::Crc32c => Some(crc_fast::CrcAlgorithm::Crc32Iscsi),
            Algorithm::Crc64Nvme => Some(crc_fast::CrcAlgorithm::Crc64Nvme),
            Algorithm::Sha1 | Algorithm::Sha256 => None,
        }
    }
}

enum Hasher {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Hasher::Crc32(Crc32::new()),
            Algorithm::Crc32c => Hasher::Crc32c(Crc32c::new()),
            Algorithm::Crc64Nvme => Hasher::Crc64Nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => Hasher::Sha1(Sha1::new()),
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Crc32(hasher) => hasher.update(bytes),
            Hasher::Crc32c(hasher) => hasher.update(bytes),
            Hasher::Crc64Nvme(hasher) => hasher.update(bytes),
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Hasher::Crc32(hasher) => hasher.finalize().to_vec(),
            Hasher::Crc32c(hasher) => hasher.finalize().to_vec(),
            Hasher::Crc64Nvme(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha1(hasher) => AsRef::<[u8]>::as_ref(&hasher.finalize()).to_vec(),
            Hasher::Sha256(hasher) => AsRef::<[u8]>::as_ref(&hasher.finalize()).to_vec(),
        }
    }
}

/// MD5 and some checksums of bytes as they come.
pub struct Digester {
    md5: Md5,
    hashers: Vec<(Algorithm, Hasher)>,
}

/// What a [`Digester`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    pub md5: Vec<u8>,
    /// Checksums, base64.
    pub checksums: std::collections::BTreeMap<Algorithm, String>,
}

impl Digests {
    /// The MD5 in hexadecimal: the ETag of an object that is one part.
    pub fn etag(&self) -> String {
        hex(&self.md5)
    }
}

impl Digester {
    /// Computes these.
    pub fn new(algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        let mut algorithms: Vec<Algorithm> = algorithms.into_iter().collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        Digester {
            md5: Md5::new(),
            hashers: algorithms
                .into_iter()
                .map(|algorithm| (algorithm, Hasher::new(algorithm)))
                .collect(),
        }
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        for (_, hasher) in &mut self.hashers {
            hasher.update(bytes);
        }
    }

    /// The results.
    pub fn finish(self) -> Digests {
        let md5 = self.md5.finalize();
        Digests {
            md5: AsRef::<[u8]>::as_ref(&md5).to_vec(),
            checksums: self
                .hashers
                .into_iter()
                .map(|(algorithm, hasher)| (algorithm, STANDARD.encode(hasher.finish())))
                .collect(),
        }
    }
}

/// Hexadecimal, lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

/// ETag of an object of parts: the MD5 of their MD5s, and how many. `None` when a part's ETag is not an MD5.
pub fn etag_of_parts<'p>(etags: impl ExactSizeIterator<Item = &'p str>) -> Option<String> {
    let count = etags.len();
    let mut md5 = Md5::new();
    for etag in etags {
        md5.update(&unhex(etag)?);
    }
    Some(format!("{}-{count}", hex(AsRef::<[u8]>::as_ref(&md5.finalize()))))
}

/// Checksum of the parts' checksums. `None` when one is not base64.
pub fn composite<'p>(algorithm: Algorithm, parts: impl ExactSizeIterator<Item = &'p str>) -> Option<String> {
    let count = parts.len();
    let mut hasher = Hasher::new(algorithm);
    for part in parts {
        hasher.update(&STANDARD.decode(part).ok()?);
    }
    Some(format!("{}-{count}", STANDARD.encode(hasher.finish())))
}

/// Checksum of all bytes from those of the parts and their sizes. `None` for an algorithm that does not combine.
pub fn combined<'p>(algorithm: Algorithm, parts: impl Iterator<Item = (&'p str, u64)>) -> Option<String> {
    let crc = algorithm.crc()?;
    let width = if algorithm == Algorithm::Crc64Nvme { 8 } else { 4 };
    let mut sum: Option<u64> = None;
    for (part, size) in parts {
        let bytes = STANDARD.decode(part).ok()?;
        if bytes.len() != width {
            return None;
        }
        let value = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        sum = Some(match sum {
            None => value,
            Some(before) => crc_fast::checksum_combine(crc, before, value, size),
        });
    }
    Some(STANDARD.encode(&sum?.to_be_bytes()[8 - width..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(bytes: &[u8]) -> Digests {
        let mut digester = Digester::new(Algorithm::ALL);
        digester.update(bytes);
        digester.finish()
    }

    /// Check values of the algorithms' own specifications: the digits 1 to 9.
    #[test]
    fn known_values() {
        let found = digests(b"123456789");
        let of = |algorithm| STANDARD.decode(&found.checksums[&algorithm]).unwrap();
        assert_eq!(of(Algorithm::Crc32), 0xcbf4_3926_u32.to_be_bytes());
        assert_eq!(of(Algorithm::Crc32c), 0xe306_9283_u32.to_be_bytes());
        assert_eq!(of(Algorithm::Crc64Nvme), 0xae8b_1486_0a79_9888_u64.to_be_bytes());
        assert_eq!(hex(&of(Algorithm::Sha1)), "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
        assert_eq!(
            hex(&of(Algorithm::Sha256)),
            "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"
        );
        assert_eq!(found.etag(), "25f9e794323b453885f5181f1b624d0b");
    }

    #[test]
    fn checksums_of_joined_parts_follow_from_those_of_the_parts() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n * 7 % 251) as u8).collect();
        let whole = digests(&bytes);
        let parts = [&bytes[..5], &bytes[5..70_001], &bytes[70_001..]];
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let sums: Vec<(String, u64)> = parts
                .iter()
                .map(|part| (digests(part).checksums[&algorithm].clone(), part.len() as u64))
                .collect();
            let joined = combined(algorithm, sums.iter().map(|(sum, size)| (sum.as_str(), *size)));
            assert_eq!(joined.as_ref(), Some(&whole.checksums[&algorithm]), "{algorithm:?}");
        }
        assert_eq!(combined(Algorithm::Sha256, [("AAAA", 3)].into_iter()), None);
    }

    #[test]
    fn the_etag_of_parts_is_the_md5_of_their_md5s() {
        let part = "25f9e794323b453885f5181f1b624d0b";
        let expected = {
            let mut digester = Digester::new([]);
            digester.update(&unhex(part).unwrap());
            digester.update(&unhex(part).unwrap());
            format!("{}-2", digester.finish().etag())
        };
        assert_eq!(etag_of_parts([part, part].into_iter()), Some(expected));
        assert_eq!(etag_of_parts(["no md5"].into_iter()), None);
    }
}
