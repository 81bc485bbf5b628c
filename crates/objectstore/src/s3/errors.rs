//! The store's refusals as S3's error codes.

use s3s::{S3Error, S3ErrorCode, s3_error};

use crate::store::error::StoreError;

impl From<StoreError> for S3Error {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::NoSuchBucket => S3ErrorCode::NoSuchBucket,
            StoreError::BucketExists => S3ErrorCode::BucketAlreadyOwnedByYou,
            StoreError::BucketNotEmpty => S3ErrorCode::BucketNotEmpty,
            StoreError::NoSuchKey => S3ErrorCode::NoSuchKey,
            StoreError::NoSuchUpload => S3ErrorCode::NoSuchUpload,
            StoreError::PreconditionFailed => S3ErrorCode::PreconditionFailed,
            StoreError::InvalidPart(_) => S3ErrorCode::InvalidPart,
            StoreError::InvalidPartOrder => S3ErrorCode::InvalidPartOrder,
            StoreError::PartTooSmall { .. } => S3ErrorCode::EntityTooSmall,
            StoreError::TooLarge => S3ErrorCode::EntityTooLarge,
            StoreError::InvalidRange => S3ErrorCode::InvalidRange,
            StoreError::CopyOntoItself | StoreError::Invalid(_) => S3ErrorCode::InvalidRequest,
            StoreError::BadDigest(_) => S3ErrorCode::BadDigest,
            StoreError::Signature => S3ErrorCode::SignatureDoesNotMatch,
            StoreError::ContentSha256 => S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()),
            StoreError::Incomplete(_) => S3ErrorCode::IncompleteBody,
            // S3 never fills up, so it has no code for it. 507 is what HTTP has, and no SDK retries it.
            StoreError::Full => S3ErrorCode::Custom("InsufficientStorage".into()),
            StoreError::Internal(_) => S3ErrorCode::InternalError,
        };
        let mut answer = S3Error::with_message(code, error.to_string());
        match error {
            StoreError::Full => answer.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE),
            StoreError::ContentSha256 => answer.set_status_code(http::StatusCode::BAD_REQUEST),
            _ => {}
        }
        answer
    }
}

/// An error for something S3 has and this store has not. Saying so beats storing and forgetting.
pub fn not_here(what: &str) -> S3Error {
    s3_error!(NotImplemented, "{what} is not something this object store does")
}

pub fn invalid_argument(message: impl Into<String>) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidArgument, message.into())
}

/// An error whose code the protocol layer has no word for.
pub fn custom(code: &'static str, status: http::StatusCode, message: impl Into<String>) -> S3Error {
    let mut answer = S3Error::with_message(S3ErrorCode::Custom(code.into()), message.into());
    answer.set_status_code(status);
    answer
}
