//! Copies: of objects, and of ranges of objects into parts. No bytes move.

use std::collections::BTreeMap;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::answers::{checksum_type, etag, fill_checksums, headers_of, refuse_unsupported, tags_of_header, timestamp};
use super::body::digest;
use super::conditions::{ReadConditions, of_write};
use super::errors::{invalid_argument, not_here};
use super::multipart::part_key;
use super::objects::{MOST_BYTES, extents_of, only_version, range_of};
use crate::digest::Algorithm;
use crate::store::Store;
use crate::store::contents;
use crate::store::error::StoreError;
use crate::store::objects;
use crate::store::uploads::{self, NewPart, PartBytes};

/// Times a copy begins again when its source is replaced under it.
const TRIES: usize = 5;

/// Bucket and key of the source of a copy.
pub fn source_of(source: &CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket {
            bucket,
            key,
            version_id,
        } => {
            only_version(version_id.as_deref())?;
            Ok((bucket.to_string(), key.to_string()))
        }
        _ => Err(not_here("copying from an access point")),
    }
}

fn changed_too_often() -> StoreError {
    StoreError::Internal("the source of the copy is being replaced all the time".into())
}

/// `CopyObject`.
pub async fn copy(store: &Store, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
    let condition = of_write(&request.headers)?;
    let mut input = request.input;
    refuse_unsupported!(input);
    let source = source_of(&input.copy_source)?;
    let replace = |directive: Option<&str>| match directive {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(invalid_argument(format!("Unknown directive: {other}"))),
    };
    let new_headers = replace(input.metadata_directive.as_ref().map(MetadataDirective::as_str))?;
    let new_tags = replace(input.tagging_directive.as_ref().map(TaggingDirective::as_str))?;
    let headers = headers_of!(input)?;
    let tags = tags_of_header(input.tagging.as_deref())?;
    let conditions = ReadConditions {
        matches: input.copy_source_if_match.take(),
        none_matches: input.copy_source_if_none_match.take(),
        modified_since: input.copy_source_if_modified_since.take(),
        unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    let wanted = input
        .checksum_algorithm
        .as_ref()
        .map(|name| {
            Algorithm::by_name(name.as_str())
                .ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."))
        })
        .transpose()?;
    for _ in 0..TRIES {
        let (bucket, key) = source.clone();
        let (found, pieces) = store
            .read(move |index| {
                let object = objects::get(index, &bucket, &key)?;
                let missing = wanted.filter(|algorithm| !object.record.checksums.contains_key(algorithm));
                let pieces = match missing {
                    Some(_) => Some(contents::load(index, extents_of(index, &object, None)?)?),
                    None => None,
                };
                Ok((object, pieces))
            })
            .await?;
        conditions.check_source(&found)?;
        if found.size > MOST_BYTES {
            return Err(s3_error!(
                InvalidRequest,
                "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"
            ));
        }
        let checksums = match (pieces, wanted) {
            (Some(pieces), Some(algorithm)) => digest(store, pieces, vec![algorithm]).await?.checksums,
            _ => BTreeMap::new(),
        };
        let copy = objects::Copy {
            source: source.clone(),
            expected: found.content,
            target: (input.bucket.clone(), input.key.clone()),
            headers: new_headers.then(|| headers.clone()),
            tags: new_tags.then(|| tags.clone()),
            checksums,
            condition: condition.clone(),
        };
        if let Some(copied) = store.change(move |change| objects::copy(change, copy)).await? {
            let mut result = CopyObjectResult {
                e_tag: etag(&copied.etag),
                last_modified: Some(timestamp(copied.modified)),
                checksum_type: Some(checksum_type(copied.record.composite)),
                ..CopyObjectResult::default()
            };
            fill_checksums!(result, copied.record.checksums);
            return Ok(S3Response::new(CopyObjectOutput {
                copy_object_result: Some(result),
                ..CopyObjectOutput::default()
            }));
        }
    }
    Err(changed_too_often().into())
}

/// `UploadPartCopy`.
pub async fn part(
    store: &Store,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = request.input;
    let source = source_of(&input.copy_source)?;
    let at = part_key(input.bucket, input.key, input.upload_id, input.part_number)?;
    let conditions = ReadConditions {
        matches: input.copy_source_if_match,
        none_matches: input.copy_source_if_none_match,
        modified_since: input.copy_source_if_modified_since,
        unmodified_since: input.copy_source_if_unmodified_since,
    };
    let range = input
        .copy_source_range
        .map(|range| {
            let parsed = Range::parse(&range).ok();
            // Both ends must be said, and must lie in the source.
            parsed.filter(|range| matches!(range, Range::Int { last: Some(_), .. })).ok_or_else(|| {
                invalid_argument("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
            })
        })
        .transpose()?;
    for _ in 0..TRIES {
        let ((bucket, key), wanted, of_upload) = (source.clone(), range, at.clone());
        let (found, extents, pieces, algorithm) = store
            .read(move |index| {
                let upload = uploads::find(index, &of_upload.bucket, &of_upload.key, &of_upload.upload)?;
                let object = objects::get(index, &bucket, &key)?;
                let bytes = match wanted {
                    Some(Range::Int { last: Some(last), .. }) if last >= object.size => {
                        return Err(StoreError::InvalidRange);
                    }
                    Some(range) => Some(range_of(&range, object.size)?),
                    None => None,
                };
                let extents = extents_of(index, &object, bytes)?;
                let pieces = contents::load(index, extents.clone())?;
                Ok((object, extents, pieces, upload.record.effective_algorithm()))
            })
            .await?;
        conditions.check_source(&found)?;
        let size: u64 = extents.iter().map(|extent| extent.length).sum();
        if size > MOST_BYTES {
            return Err(StoreError::TooLarge.into());
        }
        // The part's own ETag and checksum are needed for those of the whole, so its bytes are read; they are not written again.
        let digests = digest(store, pieces, vec![algorithm]).await?;
        let new = NewPart {
            size,
            etag: digests.etag(),
            checksums: digests.checksums,
        };
        let mut result = CopyPartResult {
            e_tag: etag(&new.etag),
            last_modified: Some(timestamp(crate::store::now())),
            ..CopyPartResult::default()
        };
        fill_checksums!(result, new.checksums);
        let bytes = PartBytes::Shared {
            source: source.clone(),
            expected: found.content,
            extents,
        };
        let at = at.clone();
        if store
            .change(move |change| uploads::put_part(change, &at, &new, bytes))
            .await?
        {
            return Ok(S3Response::new(UploadPartCopyOutput {
                copy_part_result: Some(result),
                ..UploadPartCopyOutput::default()
            }));
        }
    }
    Err(changed_too_often().into())
}
