//! Who may ask: whoever signs with the installation's key or that of a shadow, by Signature Version 4, in the header or in the URL. No one else is answered.

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use crate::credentials::Credentials;
use crate::shadow::Shadows;
use crate::shadow::requests::OPERATIONS;

/// Knows the owner's key and those of shadows.
pub struct Keys {
    pub owner: Credentials,
    pub shadows: Shadows,
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.owner.access_key_id {
            return Ok(SecretKey::from(self.owner.secret_access_key.clone()));
        }
        if let Some(shadow) = self.shadows.by_key(access_key) {
            return Ok(SecretKey::from(shadow.credentials().secret_access_key.clone()));
        }
        Err(s3_error!(
            InvalidAccessKeyId,
            "The AWS Access Key Id you provided does not exist in our records."
        ))
    }
}

/// Lets in what is signed by Version 4, and of shadows what they may do. The protocol layer has checked the signature before this is asked.
pub struct SignedOnly(pub Shadows);

#[async_trait::async_trait]
impl S3Access for SignedOnly {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = context.credentials() else {
            return Err(s3_error!(AccessDenied, "Access Denied: the request is not signed"));
        };
        let operation = context.s3_op().name();
        if let Some(shadow) = self.0.by_key(&credentials.access_key)
            && !OPERATIONS.contains(&operation)
        {
            let path = context.s3_path();
            let bucket = path.get_bucket_name().unwrap_or_default();
            shadow
                .log()
                .refuse(operation, bucket, path.get_object_key().unwrap_or_default());
            return Err(s3_error!(
                AccessDenied,
                "Access Denied: a shadow run may not ask for {operation}"
            ));
        }
        let header = context.headers().get(http::header::AUTHORIZATION);
        let by_header = header.is_some_and(|value| value.as_bytes().starts_with(b"AWS4-HMAC-SHA256"));
        let query = context.uri().query().unwrap_or_default();
        let by_query = query.split('&').any(|pair| pair.starts_with("X-Amz-Signature="));
        if by_header || by_query {
            return Ok(());
        }
        Err(s3_error!(
            InvalidRequest,
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        ))
    }
}
