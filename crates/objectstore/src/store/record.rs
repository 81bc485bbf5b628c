//! What is kept about an object besides its bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Algorithm;

/// Checksums of an object or a part, base64 as S3 writes them; composite ones end in `-` and the number of parts.
pub type Checksums = BTreeMap<Algorithm, String>;

/// Headers a client gave with an object, returned as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Headers {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Content-Encoding`, without `aws-chunked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Expires`, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// `x-amz-meta-*`, names in lower case without the prefix.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// One part of an object that was uploaded in parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Bytes.
    pub size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checksums: Checksums,
}

/// Everything about an object that its row does not hold in columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Record {
    /// What the client said about it.
    #[serde(flatten)]
    pub headers: Headers,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub checksums: Checksums,
    /// The checksums are of the parts' checksums, not of all bytes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub composite: bool,
    /// Its parts, when it was uploaded in parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartRecord>,
    /// The upload it came from, so that a completion that is sent twice succeeds twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
}

/// An object as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Bytes.
    pub size: u64,
    /// Last written, milliseconds since 1970.
    pub modified: i64,
    /// ETag without quotes.
    pub etag: String,
    /// Number of its content.
    pub content: i64,
    /// The rest.
    pub record: Record,
}

/// What a multipart upload was begun with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UploadRecord {
    /// Headers of the object to be.
    #[serde(flatten)]
    pub headers: Headers,
    /// Tags of the object to be.
    pub tags: Vec<(String, String)>,
    /// Checksum algorithm asked for.
    pub algorithm: Option<Algorithm>,
    /// The object's checksum shall be one of the parts' checksums.
    pub composite: bool,
}

impl UploadRecord {
    /// The algorithm in effect: S3 chooses CRC-64/NVME when the client does not.
    pub fn effective_algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or(Algorithm::Crc64Nvme)
    }
}
