//! Small things that many answers and requests share: times, ETags, checksums, headers, tags, names in URLs.

use std::time::{Duration, UNIX_EPOCH};

use s3s::dto::{ChecksumType, ETag, Owner, Tag, Timestamp, TimestampFormat};
use s3s::{S3Result, s3_error};

use super::errors::custom;
use crate::store::record::Headers;

/// Most bytes of user metadata: names and values together, as S3 has it.
const MOST_METADATA: usize = 2048;

/// A time in milliseconds since 1970 as the protocol layer has it.
pub fn timestamp(milliseconds: i64) -> Timestamp {
    let since = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    Timestamp::from(UNIX_EPOCH + since)
}

/// Seconds since 1970.
pub fn seconds(time: &Timestamp) -> Option<i64> {
    let mut text = Vec::new();
    time.format(TimestampFormat::EpochSeconds, &mut text).ok()?;
    let text = String::from_utf8(text).ok()?;
    text.split('.').next()?.parse().ok()
}

/// An ETag with its quotes.
pub fn etag(etag: &str) -> Option<ETag> {
    Some(ETag::Strong(etag.to_string()))
}

/// The one owner of everything.
pub fn owner() -> Option<Owner> {
    Some(Owner {
        display_name: Some("stoke".into()),
        id: Some("stoke".into()),
    })
}

/// How the checksums of an object were made.
pub fn checksum_type(composite: bool) -> ChecksumType {
    ChecksumType::from_static(if composite {
        ChecksumType::COMPOSITE
    } else {
        ChecksumType::FULL_OBJECT
    })
}

/// Copies checksums to the five fields that many answers have.
macro_rules! fill_checksums {
    ($answer:expr, $checksums:expr) => {{
        let of = |algorithm| $checksums.get(&algorithm).cloned();
        $answer.checksum_crc32 = of($crate::digest::Algorithm::Crc32);
        $answer.checksum_crc32c = of($crate::digest::Algorithm::Crc32c);
        $answer.checksum_crc64nvme = of($crate::digest::Algorithm::Crc64Nvme);
        $answer.checksum_sha1 = of($crate::digest::Algorithm::Sha1);
        $answer.checksum_sha256 = of($crate::digest::Algorithm::Sha256);
    }};
}
pub(crate) use fill_checksums;

/// The five fields that many requests have as checksums.
macro_rules! checksums_given {
    ($part:expr) => {{
        use $crate::digest::Algorithm::{Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
        [
            (Crc32, &$part.checksum_crc32),
            (Crc32c, &$part.checksum_crc32c),
            (Crc64Nvme, &$part.checksum_crc64nvme),
            (Sha1, &$part.checksum_sha1),
            (Sha256, &$part.checksum_sha256),
        ]
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value.clone()?)))
        .collect()
    }};
}
pub(crate) use checksums_given;

/// The headers of an object out of a request that has them, as several operations do.
macro_rules! headers_of {
    ($input:expr) => {{
        $crate::s3::answers::checked(
            $crate::store::record::Headers {
                content_type: $input.content_type.take(),
                cache_control: $input.cache_control.take(),
                content_disposition: $input.content_disposition.take(),
                content_encoding: $input.content_encoding.take(),
                content_language: $input.content_language.take(),
                expires: $input.expires.take().as_ref().and_then($crate::s3::answers::seconds),
                metadata: Default::default(),
            },
            $input.metadata.take(),
        )
    }};
}
pub(crate) use headers_of;

/// Headers as they are stored: `aws-chunked` describes the transfer and not the object, metadata has a limit.
pub fn checked(mut headers: Headers, metadata: Option<s3s::dto::Metadata>) -> S3Result<Headers> {
    headers.metadata = metadata.into_iter().flatten().collect();
    let size: usize = headers
        .metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if size > MOST_METADATA {
        return Err(s3_error!(
            MetadataTooLarge,
            "Your metadata headers exceed the maximum allowed metadata size"
        ));
    }
    headers.content_encoding = headers.content_encoding.and_then(|encodings| {
        let kept: Vec<&str> = encodings
            .split(',')
            .map(str::trim)
            .filter(|encoding| !encoding.is_empty() && *encoding != "aws-chunked")
            .collect();
        (!kept.is_empty()).then(|| kept.join(","))
    });
    Ok(headers)
}

/// Refuses what S3 could do with an object and this store would not: encryption, locks, other storage classes, redirects, public access.
macro_rules! refuse_unsupported {
    ($input:expr) => {{
        use $crate::s3::errors::not_here;
        let plain = |acl: &str| matches!(acl, "private" | "bucket-owner-full-control" | "bucket-owner-read");
        if $input.acl.as_ref().is_some_and(|acl| !plain(acl.as_str()))
            || $input.grant_full_control.is_some()
            || $input.grant_read.is_some()
            || $input.grant_read_acp.is_some()
            || $input.grant_write_acp.is_some()
        {
            return Err(not_here("access for others (an ACL other than private)"));
        }
        if $input.server_side_encryption.is_some() || $input.ssekms_key_id.is_some() {
            return Err(not_here("server-side encryption"));
        }
        if $input.sse_customer_algorithm.is_some() || $input.sse_customer_key.is_some() {
            return Err(not_here("encryption with a customer's key"));
        }
        if $input.object_lock_mode.is_some()
            || $input.object_lock_legal_hold_status.is_some()
            || $input.object_lock_retain_until_date.is_some()
        {
            return Err(not_here("object lock"));
        }
        if $input.website_redirect_location.is_some() {
            return Err(not_here("a website redirect"));
        }
        if $input
            .storage_class
            .as_ref()
            .is_some_and(|class| class.as_str() != "STANDARD")
        {
            return Err(s3s::s3_error!(
                InvalidStorageClass,
                "The storage class you specified is not valid: this object store has STANDARD only"
            ));
        }
    }};
}
pub(crate) use refuse_unsupported;

/// Percent-encodes a key as `encoding-type=url` asks: everything but unreserved characters and `/`.
pub fn url_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn url_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &tail[2..];
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Tags of the `x-amz-tagging` header, a query string.
pub fn tags_of_header(header: Option<&str>) -> S3Result<Vec<(String, String)>> {
    let malformed = || {
        s3_error!(
            InvalidArgument,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."
        )
    };
    let mut tags = Vec::new();
    for pair in header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        tags.push((
            url_decoded(name).ok_or_else(malformed)?,
            url_decoded(value).ok_or_else(malformed)?,
        ));
    }
    checked_tags(tags, 10)
}

/// Tags of an XML body.
pub fn tags_of_body(tags: Vec<Tag>, most: usize) -> S3Result<Vec<(String, String)>> {
    let pairs = tags
        .into_iter()
        .map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()))
        .collect();
    checked_tags(pairs, most)
}

/// S3's limits: 10 tags on an object (50 on a bucket), keys up to 128 and values up to 256 characters, no key twice.
fn checked_tags(tags: Vec<(String, String)>, most: usize) -> S3Result<Vec<(String, String)>> {
    if tags.len() > most {
        let message = format!("Object tags cannot be greater than {most}");
        return Err(custom("BadRequest", http::StatusCode::BAD_REQUEST, message));
    }
    for (place, (name, value)) in tags.iter().enumerate() {
        if name.is_empty() || name.chars().count() > 128 {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
        if tags[..place].iter().any(|(earlier, _)| earlier == name) {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(tags)
}

/// Tags as an answer has them.
pub fn tag_set(tags: Vec<(String, String)>) -> Vec<Tag> {
    tags.into_iter()
        .map(|(name, value)| Tag {
            key: Some(name),
            value: Some(value),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_encoding() {
        for key in ["a b+c/ä%?&=\u{1}", "plain/key-_.~", ""] {
            assert_eq!(url_decoded(&url_encoded(key)).as_deref(), Some(key));
        }
        assert_eq!(url_encoded("a b/ä"), "a%20b/%C3%A4");
        assert_eq!(url_decoded("%zz"), None);
        assert_eq!(url_decoded("%f"), None);
    }

    #[test]
    fn tags_have_limits() {
        assert_eq!(
            tags_of_header(Some("a=1&b=x%20y")).unwrap(),
            [("a".to_string(), "1".to_string()), ("b".into(), "x y".into())]
        );
        assert!(tags_of_header(None).unwrap().is_empty());
        let many: Vec<String> = (0..11).map(|n| format!("k{n}=v")).collect();
        for refused in ["a=1&a=2", "=1", "%=1", many.join("&").as_str()] {
            assert!(tags_of_header(Some(refused)).is_err(), "{refused}");
        }
    }

    #[test]
    fn times_keep_their_seconds() {
        assert_eq!(seconds(&timestamp(1_700_000_000_123)), Some(1_700_000_000));
    }
}
