//! Listings of objects, in S3's two versions, and of their only versions.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::answers::{etag, owner, timestamp, url_encoded};
use super::errors::invalid_argument;
use crate::shadow::Shadow;
use crate::store::Store;
use crate::store::buckets;
use crate::store::list::{self, After, Page, Query, Summary};

/// Most entries of a page.
const MOST: i32 = 1000;

/// Entries at most, and whether names shall be encoded.
pub fn limits(asked: Option<i32>, encoding: Option<&EncodingType>) -> S3Result<(usize, bool)> {
    let most = asked.unwrap_or(MOST);
    let most = usize::try_from(most)
        .map_err(|_| invalid_argument("Argument maxKeys must be an integer between 0 and 2147483647"))?;
    match encoding.map(EncodingType::as_str) {
        None => Ok((most.min(MOST as usize), false)),
        Some("url") => Ok((most.min(MOST as usize), true)),
        Some(_) => Err(invalid_argument("Invalid Encoding Method specified in Request")),
    }
}

/// Rolled-up prefixes as an answer has them.
pub fn common_prefixes(prefixes: Vec<String>, encode: bool) -> Vec<CommonPrefix> {
    let name = |text: String| if encode { url_encoded(&text) } else { text };
    prefixes
        .into_iter()
        .map(|prefix| CommonPrefix {
            prefix: Some(name(prefix)),
        })
        .collect()
}

/// What a shadow sees, or all there is.
async fn page(store: &Store, shadow: Option<Arc<Shadow>>, bucket: &str, query: Query) -> S3Result<Page> {
    if let Some(shadow) = shadow {
        return shadow.page(store, bucket, query).await;
    }
    let bucket = bucket.to_string();
    let page = store.read(move |index| list::list(index, buckets::find(index, &bucket)?.id, &query));
    Ok(page.await?)
}

fn object(summary: Summary, encode: bool, with_owner: bool) -> Object {
    Object {
        e_tag: etag(&summary.etag),
        key: Some(if encode { url_encoded(&summary.key) } else { summary.key }),
        last_modified: Some(timestamp(summary.modified)),
        owner: if with_owner { owner() } else { None },
        size: i64::try_from(summary.size).ok(),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Object::default()
    }
}

/// An empty delimiter is none.
fn delimiter_of(delimiter: Option<&String>) -> Option<String> {
    delimiter.filter(|delimiter| !delimiter.is_empty()).cloned()
}

/// `ListObjectsV2`.
pub async fn list_v2(
    store: &Store,
    shadow: Option<Arc<Shadow>>,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let (limit, encode) = limits(input.max_keys, input.encoding_type.as_ref())?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = delimiter_of(input.delimiter.as_ref());
    let after = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => {
            After::from_token(token).ok_or_else(|| invalid_argument("The continuation token provided is incorrect"))?
        }
        (None, Some(start)) => After::marker(start, &prefix, delimiter.as_deref()),
        (None, None) => After::Nothing,
    };
    let query = Query {
        prefix,
        delimiter,
        after,
        limit,
    };
    let page = page(store, shadow, &input.bucket, query).await?;
    let name = |text: String| if encode { url_encoded(&text) } else { text };
    let owners = input.fetch_owner.unwrap_or(false);
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(name(input.prefix.unwrap_or_default())),
        max_keys: i32::try_from(limit).ok(),
        key_count: i32::try_from(page.objects.len() + page.prefixes.len()).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_ref().and_then(After::token),
        contents: Some(
            page.objects
                .into_iter()
                .map(|summary| object(summary, encode, owners))
                .collect(),
        ),
        common_prefixes: Some(common_prefixes(page.prefixes, encode)),
        delimiter: input.delimiter.map(name),
        encoding_type: input.encoding_type,
        start_after: input.start_after.map(name),
        ..ListObjectsV2Output::default()
    }))
}

/// `ListObjects`.
pub async fn list_v1(
    store: &Store,
    shadow: Option<Arc<Shadow>>,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let (limit, encode) = limits(input.max_keys, input.encoding_type.as_ref())?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = delimiter_of(input.delimiter.as_ref());
    let marker = input.marker.clone().unwrap_or_default();
    let query = Query {
        after: After::marker(&marker, &prefix, delimiter.as_deref()),
        prefix,
        delimiter,
        limit,
    };
    let page = page(store, shadow, &input.bucket, query).await?;
    let name = |text: String| if encode { url_encoded(&text) } else { text };
    let next = page.next.as_ref().and_then(After::text).map(str::to_string);
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(name(input.prefix.unwrap_or_default())),
        marker: Some(name(marker)),
        max_keys: i32::try_from(limit).ok(),
        is_truncated: Some(page.next.is_some()),
        contents: Some(
            page.objects
                .into_iter()
                .map(|summary| object(summary, encode, true))
                .collect(),
        ),
        common_prefixes: Some(common_prefixes(page.prefixes, encode)),
        // Without a delimiter clients go on from the last key, as S3 has it.
        next_marker: next.filter(|_| input.delimiter.is_some()).map(name),
        delimiter: input.delimiter.map(name),
        encoding_type: input.encoding_type,
        ..ListObjectsOutput::default()
    }))
}

/// `ListObjectVersions`: buckets here have never had versioning, so every object has the one version `null`.
pub async fn list_versions(
    store: &Store,
    shadow: Option<Arc<Shadow>>,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let input = request.input;
    let (limit, encode) = limits(input.max_keys, input.encoding_type.as_ref())?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = delimiter_of(input.delimiter.as_ref());
    let marker = input.key_marker.clone().unwrap_or_default();
    let query = Query {
        after: After::marker(&marker, &prefix, delimiter.as_deref()),
        prefix,
        delimiter,
        limit,
    };
    let page = page(store, shadow, &input.bucket, query).await?;
    let name = |text: String| if encode { url_encoded(&text) } else { text };
    let versions = page.objects.into_iter().map(|summary| ObjectVersion {
        e_tag: etag(&summary.etag),
        is_latest: Some(true),
        key: Some(name(summary.key)),
        last_modified: Some(timestamp(summary.modified)),
        owner: owner(),
        size: i64::try_from(summary.size).ok(),
        storage_class: Some(ObjectVersionStorageClass::from_static(
            ObjectVersionStorageClass::STANDARD,
        )),
        version_id: Some("null".into()),
        ..ObjectVersion::default()
    });
    let next = page.next.as_ref().and_then(After::text).map(str::to_string);
    Ok(S3Response::new(ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(name(input.prefix.unwrap_or_default())),
        key_marker: Some(name(marker)),
        version_id_marker: Some(String::new()),
        max_keys: i32::try_from(limit).ok(),
        is_truncated: Some(page.next.is_some()),
        next_version_id_marker: next.is_some().then(|| "null".into()),
        next_key_marker: next.map(name),
        versions: Some(versions.collect()),
        common_prefixes: Some(common_prefixes(page.prefixes, encode)),
        delimiter: input.delimiter.map(name),
        encoding_type: input.encoding_type,
        ..ListObjectVersionsOutput::default()
    }))
}
