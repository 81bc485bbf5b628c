//! Who may ask: whoever signs with the installation's key, by Signature Version 4, in the header or in the URL. No one else is answered.

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use crate::credentials::Credentials;

/// Knows the one key.
pub struct OneKey(pub Credentials);

#[async_trait::async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.0.access_key_id {
            return Ok(SecretKey::from(self.0.secret_access_key.clone()));
        }
        Err(s3_error!(
            InvalidAccessKeyId,
            "The AWS Access Key Id you provided does not exist in our records."
        ))
    }
}

/// Lets in what is signed by Version 4. The protocol layer has checked the signature before this is asked.
pub struct SignedOnly;

#[async_trait::async_trait]
impl S3Access for SignedOnly {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Access Denied: the request is not signed"));
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
