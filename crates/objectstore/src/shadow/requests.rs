//! The operations of S3 as a shadow has them: a request for a key becomes one for the key it stands for, the answer has the names that were asked for.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::places::{Route, url};
use super::{BUCKET, Pin, Shadow};
use crate::s3::answers::url_encoded;
use crate::s3::conditions::precondition_failed;
use crate::s3::{buckets as bucket_answers, copy as copies, listing, multipart, objects as object_answers};
use crate::store::error::StoreError;
use crate::store::list::{Page, Query};
use crate::store::{Store, buckets, objects};

/// What a shadow may ask for; all else is refused before it is read.
pub const OPERATIONS: [&str; 20] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateMultipartUpload",
    "DeleteObject",
    "DeleteObjects",
    "GetBucketLocation",
    "GetObject",
    "GetObjectAttributes",
    "HeadBucket",
    "HeadObject",
    "ListMultipartUploads",
    "ListObjects",
    "ListObjectsV2",
    "ListObjectVersions",
    "ListParts",
    "PutObject",
    "UploadPart",
    "UploadPartCopy",
    "GetBucketVersioning",
];

/// What a read finds.
enum Source {
    /// The key in [`BUCKET`].
    Own(String),
    /// The pinned object, which is still there.
    Pinned(String),
}

fn refused(bucket: &str, key: &str) -> S3Error {
    s3_error!(
        AccessDenied,
        "Access Denied: {} is not among the places of this shadow run",
        url(bucket, key)
    )
}

/// Makes a read one of what it finds. A pinned object is read only while it is the one that was pinned.
macro_rules! stand_in {
    ($input:expr, $source:expr) => {
        match $source {
            Source::Own(key) => {
                $input.bucket = BUCKET.to_owned();
                $input.key = key;
            }
            Source::Pinned(etag) => {
                let wanted = $input.if_match.as_ref().and_then(ETagCondition::as_etag);
                if wanted.is_some_and(|wanted| wanted.value() != etag) {
                    return Err(precondition_failed());
                }
                $input.if_match = Some(ETagCondition::ETag(ETag::Strong(etag)));
            }
        }
    };
}

/// Makes a write one of the key that it stands for, and gives the bucket and the key that were asked for.
macro_rules! redirect {
    ($shadow:expr, $operation:literal, $input:expr) => {{
        let asked = ($input.bucket.clone(), $input.key.clone());
        $input.key = $shadow.target($operation, &asked.0, &asked.1)?;
        $input.bucket = BUCKET.to_owned();
        asked
    }};
}

impl Shadow {
    /// Notes and makes a refusal.
    fn refuse(&self, operation: &str, bucket: &str, key: &str) -> S3Error {
        self.log().refuse(operation, bucket, key);
        refused(bucket, key)
    }

    async fn own(&self, store: &Store, bucket: &str, key: &str) -> Result<Option<String>, StoreError> {
        let own = self.own_key(bucket, key);
        let wanted = own.clone();
        let found = store.read(move |index| objects::find(index, buckets::find(index, BUCKET)?.id, &wanted));
        Ok(found.await?.map(|_| own))
    }

    /// What a read of a key finds.
    async fn source(&self, store: &Store, operation: &str, bucket: &str, key: &str) -> S3Result<Source> {
        match self.places.read(bucket, key) {
            Route::Refused if operation == "HeadObject" && self.places.knows(bucket) => {
                // Clients look before they write: the write is what must be seen and refused.
                self.log().refuse(operation, bucket, key);
                return Err(StoreError::NoSuchKey.into());
            }
            Route::Refused => return Err(self.refuse(operation, bucket, key)),
            Route::Nothing => return Err(StoreError::NoSuchKey.into()),
            Route::Shadow => {
                if let Some(own) = self.own(store, bucket, key).await? {
                    self.log().read(operation, bucket, key);
                    return Ok(Source::Own(own));
                }
            }
            Route::Pinned => {}
        }
        let Some(pin) = self.beneath(bucket, key) else {
            return Err(StoreError::NoSuchKey.into());
        };
        self.unchanged(store, operation, bucket, key, pin).await?;
        self.log().read(operation, bucket, key);
        Ok(Source::Pinned(pin.etag.clone()))
    }

    async fn unchanged(&self, store: &Store, operation: &str, bucket: &str, key: &str, pin: &Pin) -> S3Result<()> {
        let (name, wanted) = (bucket.to_owned(), key.to_owned());
        let found = store
            .read(move |index| objects::find(index, buckets::find(index, &name)?.id, &wanted))
            .await?;
        let same = |object: crate::store::record::Object| object.size == pin.size && object.etag == pin.etag;
        if found.is_some_and(same) {
            return Ok(());
        }
        self.log().changed(operation, bucket, key);
        Err(s3_error!(
            PreconditionFailed,
            "{} is not the object any more that was pinned for this shadow run",
            url(bucket, key)
        ))
    }

    /// The key in [`BUCKET`] that a write of a key changes.
    fn target(&self, operation: &str, bucket: &str, key: &str) -> S3Result<String> {
        match self.places.write(bucket, key) {
            Route::Shadow => {
                let own = self.own_key(bucket, key);
                self.log()
                    .write(operation, (bucket, key), (BUCKET, &own), &format!("{}/", self.name()));
                Ok(own)
            }
            _ => Err(self.refuse(operation, bucket, key)),
        }
    }

    /// The key in [`BUCKET`] of an upload that is looked at.
    fn looked_at(&self, operation: &str, bucket: &str, key: &str) -> S3Result<String> {
        match self.places.write(bucket, key) {
            Route::Shadow => {
                self.log().read(operation, bucket, key);
                Ok(self.own_key(bucket, key))
            }
            _ => Err(self.refuse(operation, bucket, key)),
        }
    }

    /// Conditions of a write ask for what the shadow sees: where it wrote nothing yet, that is the pinned object.
    async fn settle(&self, store: &Store, bucket: &str, key: &str, headers: &mut HeaderMap) -> S3Result<()> {
        if !headers.contains_key(IF_MATCH) && !headers.contains_key(IF_NONE_MATCH) {
            return Ok(());
        }
        let Some(pin) = self.beneath(bucket, key) else {
            return Ok(());
        };
        if self.own(store, bucket, key).await?.is_some() {
            return Ok(());
        }
        let wanted = headers.get(IF_MATCH).and_then(|value| value.to_str().ok());
        let holds = wanted
            .is_some_and(|wanted| matches!(wanted.trim().trim_matches('"'), tag if tag == "*" || tag == pin.etag));
        if headers.contains_key(IF_NONE_MATCH) || !holds {
            return Err(precondition_failed());
        }
        headers.remove(IF_MATCH);
        Ok(())
    }

    /// A page of what it sees.
    pub(crate) async fn page(self: &Arc<Self>, store: &Store, bucket: &str, query: Query) -> S3Result<Page> {
        if !self.places.knows(bucket) {
            return Err(self.refuse("ListObjects", bucket, &query.prefix));
        }
        if !self.places.lists(bucket, &query.prefix) {
            self.log().refuse("ListObjects", bucket, &query.prefix);
            return Ok(Page::default());
        }
        self.log().read("ListObjects", bucket, &query.prefix);
        let (shadow, bucket) = (self.clone(), bucket.to_owned());
        Ok(store
            .read(move |index| {
                buckets::find(index, &bucket)?;
                shadow.list(index, &bucket, &query)
            })
            .await?)
    }

    fn bucket(&self, operation: &str, bucket: &str) -> S3Result<()> {
        match self.places.knows(bucket) {
            true => Ok(()),
            false => Err(self.refuse(operation, bucket, "")),
        }
    }
}

pub async fn head_bucket(
    shadow: &Shadow,
    store: &Store,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    shadow.bucket("HeadBucket", &request.input.bucket)?;
    bucket_answers::head(store, request).await
}

pub async fn location(
    shadow: &Shadow,
    store: &Store,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    shadow.bucket("GetBucketLocation", &request.input.bucket)?;
    bucket_answers::location(store, request).await
}

pub async fn versioning(
    shadow: &Shadow,
    store: &Store,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    shadow.bucket("GetBucketVersioning", &request.input.bucket)?;
    bucket_answers::versioning(store, request).await
}

pub async fn get(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let input = &mut request.input;
    let source = shadow.source(store, "GetObject", &input.bucket, &input.key).await?;
    stand_in!(input, source);
    object_answers::get(store, request).await
}

pub async fn head(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = &mut request.input;
    let source = shadow.source(store, "HeadObject", &input.bucket, &input.key).await?;
    stand_in!(input, source);
    object_answers::head(store, request).await
}

pub async fn attributes(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = &mut request.input;
    let source = shadow
        .source(store, "GetObjectAttributes", &input.bucket, &input.key)
        .await?;
    if let Source::Own(key) = source {
        input.bucket = BUCKET.to_owned();
        input.key = key;
    }
    object_answers::attributes(store, request).await
}

pub async fn put(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let asked = redirect!(shadow, "PutObject", request.input);
    shadow.settle(store, &asked.0, &asked.1, &mut request.headers).await?;
    object_answers::put(store, request).await
}

pub async fn delete(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let asked = redirect!(shadow, "DeleteObject", request.input);
    let answer = object_answers::delete(store, request).await?;
    shadow.bury(&asked.0, &asked.1);
    Ok(answer)
}

pub async fn delete_many(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let bucket = std::mem::replace(&mut request.input.bucket, BUCKET.to_owned());
    let (mut own, mut kept_out) = (Vec::new(), Vec::new());
    for mut object in std::mem::take(&mut request.input.delete.objects) {
        match shadow.target("DeleteObjects", &bucket, &object.key) {
            Ok(key) => {
                object.key = key;
                own.push(object);
            }
            Err(error) => kept_out.push(Error {
                code: Some(error.code().as_str().to_owned()),
                message: error.message().map(Into::into),
                key: Some(object.key),
                version_id: object.version_id,
            }),
        }
    }
    if own.is_empty() && !kept_out.is_empty() {
        return Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(Vec::new()),
            errors: Some(kept_out),
            ..DeleteObjectsOutput::default()
        }));
    }
    let root = shadow.own_key(&bucket, "");
    let all: Vec<String> = own.iter().map(|object| object.key.clone()).collect();
    request.input.delete.objects = own;
    let mut answer = object_answers::delete_many(store, request).await?;
    let asked = |key: &mut Option<String>| {
        *key = key.take().map(|key| key.strip_prefix(&root).unwrap_or(&key).to_owned());
    };
    let output = &mut answer.output;
    output
        .deleted
        .iter_mut()
        .flatten()
        .for_each(|deleted| asked(&mut deleted.key));
    output
        .errors
        .iter_mut()
        .flatten()
        .for_each(|error| asked(&mut error.key));
    let failed: Vec<&String> = output
        .errors
        .iter()
        .flatten()
        .filter_map(|error| error.key.as_ref())
        .collect();
    for key in all.iter().filter_map(|key| key.strip_prefix(&root)) {
        if !failed.iter().any(|failed| *failed == key) {
            shadow.bury(&bucket, key);
        }
    }
    output.errors.get_or_insert_with(Vec::new).extend(kept_out);
    Ok(answer)
}

/// Makes the source of a copy what it stands for; a pinned one must be the one that was pinned.
async fn copy_source(
    shadow: &Shadow,
    store: &Store,
    source: &mut CopySource,
    condition: &mut Option<ETagCondition>,
) -> S3Result<()> {
    let (bucket, key) = copies::source_of(source)?;
    match shadow.source(store, "GetObject", &bucket, &key).await? {
        Source::Own(own) => {
            *source = CopySource::Bucket {
                bucket: BUCKET.into(),
                key: own.into(),
                version_id: None,
            };
        }
        Source::Pinned(etag) => {
            let wanted = condition.as_ref().and_then(ETagCondition::as_etag);
            if wanted.is_some_and(|wanted| wanted.value() != etag) {
                return Err(precondition_failed());
            }
            *condition = Some(ETagCondition::ETag(ETag::Strong(etag)));
        }
    }
    Ok(())
}

pub async fn copy(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let input = &mut request.input;
    let condition = &mut input.copy_source_if_match;
    copy_source(shadow, store, &mut input.copy_source, condition).await?;
    let asked = redirect!(shadow, "CopyObject", request.input);
    shadow.settle(store, &asked.0, &asked.1, &mut request.headers).await?;
    copies::copy(store, request).await
}

pub async fn part_copy(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = &mut request.input;
    let condition = &mut input.copy_source_if_match;
    copy_source(shadow, store, &mut input.copy_source, condition).await?;
    redirect!(shadow, "UploadPartCopy", request.input);
    copies::part(store, request).await
}

pub async fn create_upload(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let (bucket, key) = redirect!(shadow, "CreateMultipartUpload", request.input);
    let mut answer = multipart::create(store, request).await?;
    answer.output.bucket = Some(bucket);
    answer.output.key = Some(key);
    Ok(answer)
}

pub async fn put_part(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    redirect!(shadow, "UploadPart", request.input);
    multipart::put_part(store, request).await
}

pub async fn complete(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let (bucket, key) = redirect!(shadow, "CompleteMultipartUpload", request.input);
    shadow.settle(store, &bucket, &key, &mut request.headers).await?;
    let mut answer = multipart::complete(store, request).await?;
    answer.output.location = Some(format!("/{bucket}/{}", url_encoded(&key)));
    answer.output.bucket = Some(bucket);
    answer.output.key = Some(key);
    Ok(answer)
}

pub async fn abort(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    redirect!(shadow, "AbortMultipartUpload", request.input);
    multipart::abort(store, request).await
}

pub async fn parts(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
    request.input.key = shadow.looked_at("ListParts", &bucket, &key)?;
    request.input.bucket = BUCKET.to_owned();
    let mut answer = multipart::list_parts(store, request).await?;
    answer.output.bucket = Some(bucket);
    answer.output.key = Some(key);
    Ok(answer)
}

pub async fn uploads(
    shadow: &Shadow,
    store: &Store,
    mut request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = &mut request.input;
    let bucket = std::mem::replace(&mut input.bucket, BUCKET.to_owned());
    let prefix = input.prefix.take().unwrap_or_default();
    if !shadow.places.lists(&bucket, &prefix) {
        return Err(shadow.refuse("ListMultipartUploads", &bucket, &prefix));
    }
    let root = shadow.own_key(&bucket, "");
    input.prefix = Some(format!("{root}{prefix}"));
    // The names are made those that were asked for before they are encoded.
    let encoding = input.encoding_type.take();
    let (_, encode) = listing::limits(None, encoding.as_ref())?;
    input.key_marker = input
        .key_marker
        .take()
        .filter(|marker| !marker.is_empty())
        .map(|marker| format!("{root}{marker}"));
    let mut answer = multipart::list_uploads(store, request).await?;
    let asked = |name: String| {
        let name = name.strip_prefix(&root).unwrap_or(&name).to_owned();
        if encode { url_encoded(&name) } else { name }
    };
    let output = &mut answer.output;
    output.bucket = Some(bucket);
    output.encoding_type = encoding;
    for name in [&mut output.prefix, &mut output.key_marker, &mut output.next_key_marker] {
        *name = name.take().map(asked);
    }
    for upload in output.uploads.iter_mut().flatten() {
        upload.key = upload.key.take().map(asked);
    }
    for prefix in output.common_prefixes.iter_mut().flatten() {
        prefix.prefix = prefix.prefix.take().map(asked);
    }
    Ok(answer)
}
