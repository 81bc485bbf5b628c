//! What a server answers over HTTP, as JSON.

use http_body_util::BodyExt;
use serde_json::Value;
use stoke_storage::HttpClient;

/// The largest answer that is read.
const MOST: usize = 64 << 20;

/// Asks for an address. HTTPS trusts what this machine trusts.
///
/// # Errors
/// Why there is no answer, or none that succeeded and is JSON.
pub async fn json(client: &HttpClient, url: &str) -> Result<Value, String> {
    let request = http::Request::get(url)
        .body(Vec::new().into())
        .map_err(|error| error.to_string())?;
    let answer = client.execute(request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = http_body_util::Limited::new(answer.into_body(), MOST);
    let bytes = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    if !status.is_success() {
        return Err(format!("the answer is {status}"));
    }
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}
