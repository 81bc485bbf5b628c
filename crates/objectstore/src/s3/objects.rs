//! Objects: put, got, headed, deleted.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::answers::{checksum_type, etag, fill_checksums, headers_of, refuse_unsupported, tags_of_header, timestamp};
use super::body::{INLINE, receive, send};
use super::conditions::{ReadConditions, of_write};
use super::declared::Declared;
use super::errors::{custom, invalid_argument, not_here};
use crate::store::Store;
use crate::store::buckets;
use crate::store::contents::{self, Extent};
use crate::store::error::StoreError;
use crate::store::objects::{self, NewObject};
use crate::store::record::{Object, Record};

/// Most bytes of one PUT or one part: 5 GiB.
pub const MOST_BYTES: u64 = 5 << 30;
/// Times a read begins again when the object is replaced under it.
const TRIES: usize = 5;

/// The size a request announces is checked before its body is read, and so is its bucket when the body is worth it.
pub async fn before_body(store: &Store, bucket: &str, length: Option<i64>) -> Result<(), StoreError> {
    let length = length.and_then(|length| u64::try_from(length).ok()).unwrap_or(u64::MAX);
    if length != u64::MAX && length > MOST_BYTES {
        return Err(StoreError::TooLarge);
    }
    if length > INLINE as u64 {
        let bucket = bucket.to_string();
        store.read(move |index| buckets::find(index, &bucket)).await?;
    }
    Ok(())
}

/// `PutObject`.
pub async fn put(store: &Store, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
    let declared = Declared::of(&request.headers, request.trailing_headers)?;
    let condition = of_write(&request.headers)?;
    let mut input = request.input;
    refuse_unsupported!(input);
    if input.write_offset_bytes.is_some() {
        return Err(not_here("appending to an object"));
    }
    let headers = headers_of!(input)?;
    let tags = tags_of_header(input.tagging.as_deref())?;
    before_body(store, &input.bucket, input.content_length).await?;
    let received = receive(store, input.body.take(), MOST_BYTES, declared.or_default()).await?;
    declared.check(&received.digests)?;
    let new = NewObject {
        size: received.size,
        etag: received.digests.etag(),
        record: Record {
            headers,
            checksums: received.digests.checksums,
            tags,
            ..Record::default()
        },
    };
    let mut answer = PutObjectOutput {
        e_tag: etag(&new.etag),
        checksum_type: Some(checksum_type(false)),
        ..PutObjectOutput::default()
    };
    fill_checksums!(answer, new.record.checksums);
    let (bucket, key) = (input.bucket, input.key);
    store
        .change_with(received.piece, move |change, entry| {
            objects::put(change, &bucket, &key, &new, entry, &condition)
        })
        .await?;
    Ok(S3Response::new(answer))
}

/// A range of an object asked for, as the first byte and the one behind the last.
pub fn range_of(range: &Range, size: u64) -> Result<std::ops::Range<u64>, StoreError> {
    let found = range.check(size).map_err(|_| StoreError::InvalidRange)?;
    // The last bytes of nothing are not bytes.
    if found.is_empty() {
        Err(StoreError::InvalidRange)
    } else {
        Ok(found)
    }
}

/// The range that part `number` is.
fn range_of_part(object: &Object, number: i32) -> S3Result<std::ops::Range<u64>> {
    let parts = &object.record.parts;
    let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    match place {
        Some(0) if parts.is_empty() => Ok(0..object.size),
        Some(place) if place < parts.len() => {
            let start: u64 = parts[..place].iter().map(|part| part.size).sum();
            Ok(start..start + parts[place].size)
        }
        _ => Err(custom(
            "InvalidPartNumber",
            http::StatusCode::RANGE_NOT_SATISFIABLE,
            "The requested partnumber is not satisfiable",
        )),
    }
}

/// Refuses any version but the only one there is.
pub fn only_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(invalid_argument("Invalid version id specified")),
    }
}

/// Which bytes of an object are wanted, and what the answer says about it.
struct Wanted {
    range: std::ops::Range<u64>,
    partial: bool,
}

fn wanted(object: &Object, range: Option<&Range>, part: Option<i32>) -> S3Result<Wanted> {
    match (range, part) {
        (Some(_), Some(_)) => Err(s3_error!(
            InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter"
        )),
        (Some(range), None) => Ok(Wanted {
            range: range_of(range, object.size)?,
            partial: true,
        }),
        (None, Some(number)) => Ok(Wanted {
            range: range_of_part(object, number)?,
            partial: object.size > 0,
        }),
        (None, None) => Ok(Wanted {
            range: 0..object.size,
            partial: false,
        }),
    }
}

fn read_conditions(input: &GetObjectInput) -> ReadConditions {
    ReadConditions {
        matches: input.if_match.clone(),
        none_matches: input.if_none_match.clone(),
        modified_since: input.if_modified_since.clone(),
        unmodified_since: input.if_unmodified_since.clone(),
    }
}

/// What the answers to a GET and a HEAD say alike.
macro_rules! describe {
    ($answer:expr, $object:expr, $wanted:expr, $input:expr) => {{
        let (object, headers) = ($object, &$object.record.headers);
        $answer.accept_ranges = Some("bytes".into());
        $answer.content_length = i64::try_from($wanted.range.end - $wanted.range.start).ok();
        if $wanted.partial {
            let range = &$wanted.range;
            $answer.content_range = Some(format!(
                "bytes {}-{}/{}",
                range.start,
                range.end.saturating_sub(1),
                object.size
            ));
        }
        $answer.content_type = Some(
            headers
                .content_type
                .clone()
                .unwrap_or_else(|| "binary/octet-stream".into()),
        );
        $answer.cache_control = headers.cache_control.clone();
        $answer.content_disposition = headers.content_disposition.clone();
        $answer.content_encoding = headers.content_encoding.clone();
        $answer.content_language = headers.content_language.clone();
        $answer.expires = headers.expires.map(|seconds| timestamp(seconds.saturating_mul(1000)));
        $answer.e_tag = etag(&object.etag);
        $answer.last_modified = Some(timestamp(object.modified));
        $answer.metadata = Some(headers.metadata.clone().into_iter().collect());
        if $input.part_number.is_some() && !object.record.parts.is_empty() {
            $answer.parts_count = i32::try_from(object.record.parts.len()).ok();
        }
        if $input.checksum_mode.is_some() && !$wanted.partial {
            fill_checksums!($answer, object.record.checksums);
            $answer.checksum_type = Some(checksum_type(object.record.composite));
        }
    }};
}

/// An object with the pieces of a range of it, the first one's file open.
type Found = (Object, Vec<contents::Bytes>, Option<std::fs::File>, Wanted);

/// `GetObject`.
pub async fn get(store: &Store, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
    let input = request.input;
    only_version(input.version_id.as_deref())?;
    let conditions = read_conditions(&input);
    let mut tries = 0;
    let (object, pieces, first, wanted) = loop {
        let (bucket, key, conditions) = (input.bucket.clone(), input.key.clone(), conditions.clone());
        let (range, part, opener) = (input.range, input.part_number, store.clone());
        let found: S3Result<Option<Found>> = store
            .read(move |index| {
                let object = objects::get(index, &bucket, &key)?;
                if let Err(refusal) = conditions.check(&object) {
                    return Ok(Err(refusal));
                }
                let wanted = match wanted(&object, range.as_ref(), part) {
                    Ok(wanted) => wanted,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                let extents = contents::cut(&contents::extents(index, object.content)?, wanted.range.clone());
                let pieces = contents::load(index, extents)?;
                let first = pieces
                    .first()
                    .filter(|piece| piece.data.is_none())
                    .map(|piece| opener.open_blob(piece.extent.blob))
                    .transpose();
                match first {
                    // Replaced and tidied between two lines: the next look finds the new one.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Ok(None)),
                    first => Ok(Ok(Some((object, pieces, first?, wanted)))),
                }
            })
            .await?;
        match found? {
            Some(found) => break found,
            None if tries < TRIES => tries += 1,
            None => return Err(StoreError::Internal("a file of this object is missing".into()).into()),
        }
    };
    let mut answer = GetObjectOutput::default();
    describe!(answer, &object, wanted, input);
    answer.tag_count = i32::try_from(object.record.tags.len()).ok().filter(|count| *count > 0);
    answer.body = Some(send(store.clone(), pieces, first));
    Ok(S3Response::new(answer))
}

/// `HeadObject`.
pub async fn head(store: &Store, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = request.input;
    only_version(input.version_id.as_deref())?;
    let conditions = ReadConditions {
        matches: input.if_match.clone(),
        none_matches: input.if_none_match.clone(),
        modified_since: input.if_modified_since.clone(),
        unmodified_since: input.if_unmodified_since.clone(),
    };
    let (bucket, key) = (input.bucket.clone(), input.key.clone());
    let object = store.read(move |index| objects::get(index, &bucket, &key)).await?;
    conditions.check(&object)?;
    let wanted = wanted(&object, input.range.as_ref(), input.part_number)?;
    let mut answer = HeadObjectOutput::default();
    describe!(answer, &object, wanted, input);
    let mut response = S3Response::new(answer);
    if wanted.partial {
        response.status = Some(http::StatusCode::PARTIAL_CONTENT);
    }
    Ok(response)
}

/// `DeleteObject`.
pub async fn delete(store: &Store, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
    let input = request.input;
    only_version(input.version_id.as_deref())?;
    let (matches, size, modified) = (input.if_match, input.if_match_size, input.if_match_last_modified_time);
    let must_exist = matches.is_some() || size.is_some() || modified.is_some();
    store
        .change(move |change| {
            let holds = |object: &Object| {
                let etag = matches.is_none_or(|wanted| wanted.as_etag().is_none_or(|etag| etag.value() == object.etag));
                let size = size.is_none_or(|size| u64::try_from(size) == Ok(object.size));
                let time = modified.is_none_or(|time| timestamp(object.modified / 1000 * 1000) == time);
                etag && size && time
            };
            objects::delete(change, &input.bucket, &input.key, holds, must_exist)
        })
        .await?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

/// `DeleteObjects`: up to 1,000 keys in one transaction, each with its own result.
pub async fn delete_many(
    store: &Store,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let input = request.input;
    let quiet = input.delete.quiet.unwrap_or(false);
    if input.delete.objects.is_empty() || input.delete.objects.len() > 1000 {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ));
    }
    let (deleted, errors) = store
        .change(move |change| {
            buckets::find(change.index, &input.bucket)?;
            let (mut deleted, mut errors) = (Vec::new(), Vec::new());
            for object in input.delete.objects {
                let wanted = object.e_tag.as_ref().map(ETag::value);
                let holds = |found: &Object| wanted.is_none_or(|etag| etag == "*" || etag == found.etag);
                let outcome = match only_version(object.version_id.as_deref()) {
                    Ok(()) if object.key.len() > 1024 => Err(s3_error!(KeyTooLongError)),
                    Ok(()) => objects::delete(change, &input.bucket, &object.key, holds, wanted.is_some())
                        .map_err(s3s::S3Error::from),
                    refused => refused,
                };
                match outcome {
                    Ok(()) if quiet => {}
                    Ok(()) => deleted.push(DeletedObject {
                        key: Some(object.key),
                        ..DeletedObject::default()
                    }),
                    // A failure of the store fails the whole request: nothing of it is done.
                    Err(error) if error.code() == &s3s::S3ErrorCode::InternalError => {
                        return Err(StoreError::Internal(error.to_string()));
                    }
                    Err(error) => errors.push(Error {
                        code: Some(error.code().as_str().to_string()),
                        message: error.message().map(Into::into),
                        key: Some(object.key),
                        version_id: object.version_id,
                    }),
                }
            }
            Ok((deleted, errors))
        })
        .await?;
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: Some(errors),
        ..DeleteObjectsOutput::default()
    }))
}

/// `GetObjectAttributes`.
pub async fn attributes(
    store: &Store,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = request.input;
    only_version(input.version_id.as_deref())?;
    let (bucket, key) = (input.bucket, input.key);
    let object = store.read(move |index| objects::get(index, &bucket, &key)).await?;
    // Clients send one header with commas as well as several headers.
    let names: Vec<&str> = input
        .object_attributes
        .iter()
        .flat_map(|names| names.as_str().split(','))
        .map(str::trim)
        .collect();
    let asked = |name: &str| names.contains(&name);
    let mut answer = GetObjectAttributesOutput {
        last_modified: Some(timestamp(object.modified)),
        ..GetObjectAttributesOutput::default()
    };
    if asked("ETag") {
        answer.e_tag = etag(&object.etag);
    }
    if asked("ObjectSize") {
        answer.object_size = i64::try_from(object.size).ok();
    }
    if asked("StorageClass") {
        answer.storage_class = Some(StorageClass::from_static(StorageClass::STANDARD));
    }
    if asked("Checksum") {
        let mut checksum = Checksum::default();
        fill_checksums!(checksum, object.record.checksums);
        checksum.checksum_type = Some(checksum_type(object.record.composite));
        answer.checksum = Some(checksum);
    }
    let parts = &object.record.parts;
    if asked("ObjectParts") && !parts.is_empty() {
        let after = usize::try_from(input.part_number_marker.unwrap_or(0)).unwrap_or(0);
        let most = usize::try_from(input.max_parts.unwrap_or(1000)).unwrap_or(0).min(1000);
        let page: Vec<ObjectPart> = (1..)
            .zip(parts)
            .skip(after)
            .take(most)
            .map(|(number, part)| {
                let mut answer = ObjectPart {
                    part_number: Some(number),
                    size: i64::try_from(part.size).ok(),
                    ..ObjectPart::default()
                };
                fill_checksums!(answer, part.checksums);
                answer
            })
            .collect();
        answer.object_parts = Some(GetObjectAttributesParts {
            is_truncated: Some(after + page.len() < parts.len()),
            max_parts: i32::try_from(most).ok(),
            next_part_number_marker: page.last().and_then(|part| part.part_number),
            part_number_marker: input.part_number_marker,
            total_parts_count: i32::try_from(parts.len()).ok(),
            parts: Some(page),
        });
    }
    Ok(S3Response::new(answer))
}

/// All extents of an object and, for a range, those of the range.
pub fn extents_of(
    index: &rusqlite::Connection,
    object: &Object,
    range: Option<std::ops::Range<u64>>,
) -> Result<Vec<Extent>, StoreError> {
    let extents = contents::extents(index, object.content)?;
    Ok(match range {
        Some(range) => contents::cut(&extents, range),
        None => extents,
    })
}
