//! The S3 operations: the protocol layer (`s3s`) reads requests and writes answers, these functions say what they do to the store.
//!
//! Whatever S3 has and this store has not is answered `NotImplemented`, never accepted and forgotten.

pub mod answers;
mod body;
pub(crate) mod buckets;
pub(crate) mod conditions;
pub(crate) mod copy;
mod declared;
mod errors;
pub(crate) mod listing;
pub(crate) mod multipart;
pub(crate) mod objects;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::shadow::{Shadows, requests as shadowed};
use crate::store::Store;

pub use buckets::REGION;

/// The operations over a store.
pub struct Operations {
    /// Where everything lives.
    pub store: Store,
    /// Identities that see what they write apart from all others.
    pub shadows: Shadows,
}

#[async_trait::async_trait]
impl S3 for Operations {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        buckets::create(&self.store, request).await
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        buckets::delete(&self.store, request).await
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::head_bucket(&shadow, &self.store, request).await,
            None => buckets::head(&self.store, request).await,
        }
    }

    async fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        buckets::list(&self.store, request).await
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::location(&shadow, &self.store, request).await,
            None => buckets::location(&self.store, request).await,
        }
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::versioning(&shadow, &self.store, request).await,
            None => buckets::versioning(&self.store, request).await,
        }
    }

    async fn get_bucket_tagging(
        &self,
        request: S3Request<GetBucketTaggingInput>,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        buckets::tags(&self.store, request).await
    }

    async fn put_bucket_tagging(
        &self,
        request: S3Request<PutBucketTaggingInput>,
    ) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        buckets::put_tags(&self.store, request).await
    }

    async fn delete_bucket_tagging(
        &self,
        request: S3Request<DeleteBucketTaggingInput>,
    ) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        buckets::delete_tags(&self.store, request).await
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        buckets::object_tags(&self.store, request).await
    }

    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        buckets::put_object_tags(&self.store, request).await
    }

    async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        buckets::delete_object_tags(&self.store, request).await
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::put(&shadow, &self.store, request).await,
            None => objects::put(&self.store, request).await,
        }
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::get(&shadow, &self.store, request).await,
            None => objects::get(&self.store, request).await,
        }
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::head(&shadow, &self.store, request).await,
            None => objects::head(&self.store, request).await,
        }
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::delete(&shadow, &self.store, request).await,
            None => objects::delete(&self.store, request).await,
        }
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::delete_many(&shadow, &self.store, request).await,
            None => objects::delete_many(&self.store, request).await,
        }
    }

    async fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::attributes(&shadow, &self.store, request).await,
            None => objects::attributes(&self.store, request).await,
        }
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::copy(&shadow, &self.store, request).await,
            None => copy::copy(&self.store, request).await,
        }
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::part_copy(&shadow, &self.store, request).await,
            None => copy::part(&self.store, request).await,
        }
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::create_upload(&shadow, &self.store, request).await,
            None => multipart::create(&self.store, request).await,
        }
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::put_part(&shadow, &self.store, request).await,
            None => multipart::put_part(&self.store, request).await,
        }
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::complete(&shadow, &self.store, request).await,
            None => multipart::complete(&self.store, request).await,
        }
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::abort(&shadow, &self.store, request).await,
            None => multipart::abort(&self.store, request).await,
        }
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::parts(&shadow, &self.store, request).await,
            None => multipart::list_parts(&self.store, request).await,
        }
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        match self.shadows.of(&request) {
            Some(shadow) => shadowed::uploads(&shadow, &self.store, request).await,
            None => multipart::list_uploads(&self.store, request).await,
        }
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        listing::list_v1(&self.store, self.shadows.of(&request), request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        listing::list_v2(&self.store, self.shadows.of(&request), request).await
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        listing::list_versions(&self.store, self.shadows.of(&request), request).await
    }

    async fn put_bucket_versioning(
        &self,
        _request: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        Err(errors::not_here("versioning"))
    }

    async fn put_bucket_policy(
        &self,
        _request: S3Request<PutBucketPolicyInput>,
    ) -> S3Result<S3Response<PutBucketPolicyOutput>> {
        Err(errors::not_here("bucket policies"))
    }

    async fn put_bucket_lifecycle_configuration(
        &self,
        _request: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
        Err(errors::not_here("lifecycle rules"))
    }

    async fn put_bucket_encryption(
        &self,
        _request: S3Request<PutBucketEncryptionInput>,
    ) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
        Err(errors::not_here("server-side encryption"))
    }

    async fn select_object_content(
        &self,
        _request: S3Request<SelectObjectContentInput>,
    ) -> S3Result<S3Response<SelectObjectContentOutput>> {
        Err(errors::not_here("S3 Select"))
    }

    async fn put_bucket_acl(&self, _request: S3Request<PutBucketAclInput>) -> S3Result<S3Response<PutBucketAclOutput>> {
        Err(errors::not_here("access for others (ACLs)"))
    }

    async fn put_object_acl(&self, _request: S3Request<PutObjectAclInput>) -> S3Result<S3Response<PutObjectAclOutput>> {
        Err(errors::not_here("access for others (ACLs)"))
    }

    async fn post_object(&self, _request: S3Request<PostObjectInput>) -> S3Result<S3Response<PostObjectOutput>> {
        Err(errors::not_here("uploading by an HTML form"))
    }
}
