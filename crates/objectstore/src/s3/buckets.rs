//! Buckets, and tags of buckets and objects.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::answers::{owner, tag_set, tags_of_body, timestamp};
use super::errors::not_here;
use super::objects::only_version;
use crate::store::Store;
use crate::store::{buckets, objects};

/// The region that clients are told; requests may be signed for any.
pub const REGION: &str = "us-east-1";

fn region_of(bucket: &buckets::Bucket) -> String {
    if bucket.region.is_empty() {
        REGION.into()
    } else {
        bucket.region.clone()
    }
}

async fn found(store: &Store, name: String) -> S3Result<buckets::Bucket> {
    Ok(store.read(move |index| buckets::find(index, &name)).await?)
}

/// `CreateBucket`.
pub async fn create(store: &Store, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
    let input = request.input;
    if input.acl.as_ref().is_some_and(|acl| acl.as_str() != "private")
        || input.grant_read.is_some()
        || input.grant_write.is_some()
        || input.grant_full_control.is_some()
        || input.grant_read_acp.is_some()
        || input.grant_write_acp.is_some()
    {
        return Err(not_here("access for others (an ACL other than private)"));
    }
    if input.object_lock_enabled_for_bucket == Some(true) {
        return Err(not_here("object lock"));
    }
    let constraint = input
        .create_bucket_configuration
        .and_then(|configuration| configuration.location_constraint);
    let region = constraint
        .map(|constraint| constraint.as_str().to_string())
        .unwrap_or_default();
    let name = input.bucket.clone();
    store
        .change(move |change| buckets::create(change, &name, &region))
        .await?;
    Ok(S3Response::new(CreateBucketOutput {
        location: Some(format!("/{}", input.bucket)),
    }))
}

/// `DeleteBucket`.
pub async fn delete(store: &Store, request: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
    let name = request.input.bucket;
    store.change(move |change| buckets::delete(change, &name)).await?;
    Ok(S3Response::new(DeleteBucketOutput::default()))
}

/// `HeadBucket`.
pub async fn head(store: &Store, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
    let bucket = found(store, request.input.bucket).await?;
    Ok(S3Response::new(HeadBucketOutput {
        bucket_region: Some(region_of(&bucket)),
        ..HeadBucketOutput::default()
    }))
}

/// `ListBuckets`.
pub async fn list(store: &Store, request: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
    let input = request.input;
    let prefix = input.prefix.clone().unwrap_or_default();
    let after = input.continuation_token.unwrap_or_default();
    let most = input
        .max_buckets
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(10_000);
    let region = input.bucket_region;
    let mut all = store.read(buckets::all).await?;
    all.retain(|bucket| {
        bucket.name.starts_with(&prefix)
            && bucket.name > after
            && region.as_ref().is_none_or(|region| *region == region_of(bucket))
    });
    let truncated = all.len() > most;
    all.truncate(most);
    Ok(S3Response::new(ListBucketsOutput {
        continuation_token: all.last().filter(|_| truncated).map(|bucket| bucket.name.clone()),
        buckets: Some(
            all.into_iter()
                .map(|bucket| Bucket {
                    bucket_region: Some(region_of(&bucket)),
                    creation_date: Some(timestamp(bucket.created)),
                    name: Some(bucket.name),
                })
                .collect(),
        ),
        owner: owner(),
        prefix: input.prefix,
    }))
}

/// `GetBucketLocation`.
pub async fn location(
    store: &Store,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    let bucket = found(store, request.input.bucket).await?;
    // The oldest region answers with an empty constraint.
    let constraint =
        (!bucket.region.is_empty() && bucket.region != REGION).then(|| BucketLocationConstraint::from(bucket.region));
    Ok(S3Response::new(GetBucketLocationOutput {
        location_constraint: constraint,
    }))
}

/// `GetBucketVersioning`: never enabled.
pub async fn versioning(
    store: &Store,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    found(store, request.input.bucket).await?;
    Ok(S3Response::new(GetBucketVersioningOutput::default()))
}

/// `GetBucketTagging`.
pub async fn tags(
    store: &Store,
    request: S3Request<GetBucketTaggingInput>,
) -> S3Result<S3Response<GetBucketTaggingOutput>> {
    let bucket = found(store, request.input.bucket).await?;
    if bucket.tags.is_empty() {
        return Err(s3_error!(NoSuchTagSet, "The TagSet does not exist"));
    }
    Ok(S3Response::new(GetBucketTaggingOutput {
        tag_set: tag_set(bucket.tags),
    }))
}

/// `PutBucketTagging`.
pub async fn put_tags(
    store: &Store,
    request: S3Request<PutBucketTaggingInput>,
) -> S3Result<S3Response<PutBucketTaggingOutput>> {
    let input = request.input;
    let tags = tags_of_body(input.tagging.tag_set, 50)?;
    store
        .change(move |change| buckets::set_tags(change, &input.bucket, &tags))
        .await?;
    Ok(S3Response::new(PutBucketTaggingOutput::default()))
}

/// `DeleteBucketTagging`.
pub async fn delete_tags(
    store: &Store,
    request: S3Request<DeleteBucketTaggingInput>,
) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
    let name = request.input.bucket;
    store
        .change(move |change| buckets::set_tags(change, &name, &[]))
        .await?;
    Ok(S3Response::new(DeleteBucketTaggingOutput::default()))
}

/// `GetObjectTagging`.
pub async fn object_tags(
    store: &Store,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = request.input;
    only_version(input.version_id.as_deref())?;
    let object = store
        .read(move |index| objects::get(index, &input.bucket, &input.key))
        .await?;
    Ok(S3Response::new(GetObjectTaggingOutput {
        tag_set: tag_set(object.record.tags),
        version_id: None,
    }))
}

/// `PutObjectTagging`.
pub async fn put_object_tags(
    store: &Store,
    request: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let input = request.input;
    only_version(input.version_id.as_deref())?;
    let tags = tags_of_body(input.tagging.tag_set, 10)?;
    store
        .change(move |change| objects::set_tags(change, &input.bucket, &input.key, tags))
        .await?;
    Ok(S3Response::new(PutObjectTaggingOutput::default()))
}

/// `DeleteObjectTagging`.
pub async fn delete_object_tags(
    store: &Store,
    request: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    let input = request.input;
    only_version(input.version_id.as_deref())?;
    store
        .change(move |change| objects::set_tags(change, &input.bucket, &input.key, Vec::new()))
        .await?;
    Ok(S3Response::new(DeleteObjectTaggingOutput::default()))
}
