//! What an answer means: passed on, asked again, or an error with what the registry says of it.

use std::time::Duration;

use http::Response;
use http::header::RETRY_AFTER;
use hyper::body::Incoming;
use serde::Deserialize;

use super::{Call, Registry, Tried};
use crate::oci::error::{Kind, OciError};

/// Most of an error's text that is read, in bytes.
const SAID: usize = 16 << 10;

impl Registry {
    /// An answer is passed on, tried again, or an error.
    pub(super) async fn judge(&self, call: &Call<'_>, answer: Response<Incoming>) -> Result<Response<Incoming>, Tried> {
        let status = answer.status();
        if status.is_success() || status.is_informational() {
            return Ok(answer);
        }
        let wait = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?, jiff::Timestamp::now()));
        let said = self.said(answer).await;
        let place = format!("{}/{}", self.inner.host, call.repository);
        let asked = match &wait {
            Some(wait) => format!("; it asks to wait {} s", wait.as_secs()),
            None => String::new(),
        };
        Err(match status.as_u16() {
            429 => {
                let message = format!("{place}: too many requests{asked}: {said}");
                let error = OciError::new(Kind::TooManyRequests, message);
                Tried::Again(error, wait)
            }
            408 | 500 | 502 | 503 | 504 => {
                let message = format!("{place}: the registry fails with {status}{asked}: {said}");
                Tried::Again(OciError::new(Kind::Unavailable, message), wait)
            }
            403 => Tried::Never(OciError::new(
                Kind::Denied,
                format!("{place}: refused with {status}: {said}"),
            )),
            404 => Tried::Never(OciError::new(Kind::NotFound, format!("{place}: not there: {said}"))),
            413 | 507 => Tried::Never(OciError::new(
                Kind::Limit,
                format!("{place}: the registry has no room for it ({status}): {said}"),
            )),
            _ => Tried::Never(OciError::new(
                Kind::Malformed,
                format!("{place}: {} was answered with {status}: {said}", call.method),
            )),
        })
    }

    /// What an error says (distribution specification, "Error codes"), on one line.
    pub(super) async fn said(&self, answer: Response<Incoming>) -> String {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<Error>,
        }
        #[derive(Deserialize)]
        struct Error {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        let status = answer.status();
        let body = self.collect_up_to(answer, SAID).await.unwrap_or_default();
        let text = match serde_json::from_slice::<Errors>(&body) {
            Ok(all) => {
                let all = all
                    .errors
                    .into_iter()
                    .map(|error| format!("{} ({})", error.message, error.code));
                all.collect::<Vec<_>>().join("; ")
            }
            Err(_) => String::from_utf8_lossy(&body)
                .lines()
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        };
        match text.is_empty() {
            true => status.canonical_reason().unwrap_or("no reason").to_owned(),
            false => stoke_diagnostics::printable(&text.chars().take(300).collect::<String>()),
        }
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(value.trim())
        .ok()?;
    Duration::try_from(date.duration_since(now))
        .ok()
        .or(Some(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn waits_are_read() {
        let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (text, wanted) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Thu, 01 Jan 2026 00:00:09 GMT", Some(9)),
            ("Wed, 31 Dec 2025 00:00:00 GMT", Some(0)),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, now).map(|wait| wait.as_secs()), wanted, "{text}");
        }
    }
}
