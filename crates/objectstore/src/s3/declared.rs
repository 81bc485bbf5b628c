//! What a request says its body is: `Content-MD5`, `x-amz-checksum-*` in front or as trailers. All of it is checked.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::{S3Result, TrailingHeaders, s3_error};

use crate::digest::{Algorithm, Digests};
use crate::store::error::StoreError;

/// What a request says its body is.
#[derive(Debug)]
pub struct Declared {
    /// To be computed: those given, those announced as trailers, those asked for by name.
    pub algorithms: BTreeSet<Algorithm>,
    given: BTreeMap<Algorithm, String>,
    md5: Option<Vec<u8>>,
    trailers: Option<TrailingHeaders>,
    announced: Vec<Algorithm>,
}

/// Reads the checksum headers of a request. At most one algorithm may be given, as S3 has it.
pub fn checksums(headers: &HeaderMap) -> S3Result<BTreeMap<Algorithm, String>> {
    let mut given = BTreeMap::new();
    for algorithm in Algorithm::ALL {
        let Some(value) = headers.get(algorithm.header()) else {
            continue;
        };
        let value = value.to_str().unwrap_or_default().trim().to_string();
        given.insert(algorithm, value);
    }
    if given.len() > 1 {
        return Err(s3_error!(
            InvalidRequest,
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        ));
    }
    Ok(given)
}

impl Declared {
    /// Reads the headers of a request.
    pub fn of(headers: &HeaderMap, trailers: Option<TrailingHeaders>) -> S3Result<Self> {
        let given = checksums(headers)?;
        for (algorithm, value) in &given {
            if STANDARD.decode(value).is_err() {
                return Err(s3_error!(
                    InvalidRequest,
                    "Value for {} header is invalid.",
                    algorithm.header()
                ));
            }
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let announced: Vec<Algorithm> = text("x-amz-trailer")
            .into_iter()
            .flat_map(|names| names.split(','))
            .filter_map(|name| Algorithm::by_header(name.trim()))
            .collect();
        let named = text("x-amz-sdk-checksum-algorithm")
            .map(|name| {
                Algorithm::by_name(name)
                    .ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported: {name}"))
            })
            .transpose()?;
        let md5 = text("content-md5")
            .map(|value| {
                let decoded = STANDARD.decode(value.trim()).ok().filter(|md5| md5.len() == 16);
                decoded.ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."))
            })
            .transpose()?;
        Ok(Declared {
            algorithms: given.keys().chain(&announced).copied().chain(named).collect(),
            given,
            md5,
            trailers,
            announced,
        })
    }

    /// The algorithms to compute; S3 chooses CRC-64/NVME where the client chose none.
    pub fn or_default(&self) -> BTreeSet<Algorithm> {
        if self.algorithms.is_empty() {
            return BTreeSet::from([Algorithm::Crc64Nvme]);
        }
        self.algorithms.clone()
    }

    /// Compares with what arrived. Trailers are there once the body was read to its end.
    pub fn check(&self, digests: &Digests) -> Result<(), StoreError> {
        if self.md5.as_ref().is_some_and(|md5| *md5 != digests.md5) {
            return Err(StoreError::BadDigest("Content-MD5"));
        }
        let trailer = |algorithm: Algorithm| {
            let trailers = self.trailers.as_ref()?;
            let value = trailers.read(|map| map.get(algorithm.header()).cloned())??;
            Some(value.to_str().unwrap_or_default().trim().to_string())
        };
        let mut expected = self.given.clone();
        for algorithm in &self.announced {
            let value = trailer(*algorithm).ok_or_else(|| {
                StoreError::Invalid(format!(
                    "the trailer {} was announced and did not come",
                    algorithm.header()
                ))
            })?;
            expected.insert(*algorithm, value);
        }
        for (algorithm, value) in expected {
            if digests.checksums.get(&algorithm) != Some(&value) {
                return Err(StoreError::BadDigest(algorithm.name()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digester;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    http::HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn what_is_declared_is_checked() {
        let digests = |declared: &Declared| {
            let mut digester = Digester::new(declared.or_default());
            digester.update(b"123456789");
            digester.finish()
        };
        let table = [
            (vec![], Ok(())),
            (vec![("content-md5", "JfnnlDI7RTiF9RgfG2JNCw==")], Ok(())),
            (
                vec![("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")],
                Err(StoreError::BadDigest("Content-MD5")),
            ),
            (vec![("x-amz-checksum-crc32", "y/Q5Jg==")], Ok(())),
            (
                vec![("x-amz-checksum-crc32", "AAAAAA==")],
                Err(StoreError::BadDigest("CRC32")),
            ),
            (vec![("x-amz-sdk-checksum-algorithm", "sha256")], Ok(())),
        ];
        for (pairs, expected) in table {
            let declared = Declared::of(&headers(&pairs), None).unwrap();
            assert_eq!(declared.check(&digests(&declared)), expected, "{pairs:?}");
        }
        for refused in [
            vec![("content-md5", "short")],
            vec![("x-amz-checksum-crc32", "%%")],
            vec![("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-sha1", "AAAA")],
            vec![("x-amz-sdk-checksum-algorithm", "md4")],
        ] {
            assert!(Declared::of(&headers(&refused), None).is_err(), "{refused:?}");
        }
    }
}
