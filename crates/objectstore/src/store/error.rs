//! Why the store refuses or fails. Each has one S3 error code, see [`crate::s3::errors`].

/// A refusal or a failure of the store. Cloned to every writer of a batch that could not be committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No bucket of this name.
    #[error("The specified bucket does not exist")]
    NoSuchBucket,
    /// The bucket is there already, and all buckets have one owner.
    #[error("Your previous request to create the named bucket succeeded and you already own it.")]
    BucketExists,
    /// Only empty buckets can be deleted.
    #[error("The bucket you tried to delete is not empty")]
    BucketNotEmpty,
    /// No object of this key.
    #[error("The specified key does not exist.")]
    NoSuchKey,
    /// No such multipart upload for this key: never begun, completed, aborted or expired.
    #[error(
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )]
    NoSuchUpload,
    /// A condition of the request does not hold.
    #[error("At least one of the pre-conditions you specified did not hold")]
    PreconditionFailed,
    /// A part named by a completion is not there or is another one.
    #[error(
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag. Part {0}."
    )]
    InvalidPart(u32),
    /// Parts must be listed in ascending order.
    #[error("The list of parts was not in ascending order. Parts must be ordered by part number.")]
    InvalidPartOrder,
    /// A part that is not the last is below 5 MiB.
    #[error("Your proposed upload is smaller than the minimum allowed size: part {number} has {size} bytes")]
    PartTooSmall {
        /// Number of the part.
        number: u32,
        /// Its size in bytes.
        size: u64,
    },
    /// More bytes than allowed for one request or one object.
    #[error("Your proposed upload exceeds the maximum allowed size")]
    TooLarge,
    /// A range beyond the object.
    #[error("The requested range is not satisfiable")]
    InvalidRange,
    /// A copy of an object onto itself that changes nothing.
    #[error(
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
    )]
    CopyOntoItself,
    /// A checksum the client sent is not the checksum of what arrived.
    #[error("The {0} you specified did not match what we received.")]
    BadDigest(&'static str),
    /// The request contradicts itself.
    #[error("{0}")]
    Invalid(String),
    /// No space is left on the device; nothing was stored.
    #[error("The disk that holds the object store is full; nothing was stored.")]
    Full,
    /// A chunk of the body is not signed as it must be.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your key and signing method."
    )]
    Signature,
    /// The body is not the one that was signed.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    ContentSha256,
    /// The body ended early or broke.
    #[error("The request body ended before all of it arrived: {0}")]
    Incomplete(String),
    /// The disk or the index failed.
    #[error("The object store failed: {0}")]
    Internal(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => StoreError::Full,
            _ => StoreError::Internal(format!("index: {error}")),
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => StoreError::Full,
            _ => StoreError::Internal(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        StoreError::Internal(format!("a record of the index cannot be read: {error}"))
    }
}
