//! Signing in with an identity provider: the way there and the way back.

use axum::response::Response;
use http::StatusCode;
use http::header::{self, HeaderValue};

use super::answers::plain;
use super::console::{Call, is_secure, sent_to};
use crate::access::oidc::{Back, Trouble};
use crate::access::origin::next;
use crate::access::{Access, Denied};
use crate::words::Words;

/// Where providers have browsers come back to.
pub(super) const BACK: &str = "/sign-in/oidc/back";

/// Sends the browser to the provider.
pub(super) async fn begin(access: &Access, asked: &Call) -> Response {
    let Some(provider) = access.provider().filter(|_| !asked.host.is_empty()) else {
        return plain(StatusCode::NOT_FOUND, "Not Found\n".to_owned());
    };
    let secure = is_secure(&asked.headers);
    let scheme = if secure { "https" } else { "http" };
    let redirect = format!("{scheme}://{}{}{BACK}", asked.host, asked.wish.base);
    let begun = provider
        .begin(&redirect, next(asked.query.first("next").unwrap_or_default()))
        .await;
    let begun = begun.and_then(|(to, kept)| match HeaderValue::from_str(&to) {
        Ok(to) => Ok((to, kept)),
        Err(_) => Err(Trouble::Wrong("its address is none".to_owned())),
    });
    match begun {
        Ok((to, kept)) => {
            let cookie = Access::begun_cookie(&kept, &asked.wish.base, secure);
            let mut response = sent_to(asked, "", Some(cookie));
            response.headers_mut().insert(header::LOCATION, to);
            response
        }
        Err(trouble) => failed(access, asked, &Denied::Provider(trouble)),
    }
}

/// Takes what the provider has the browser come back with. Wherever it goes on, the code is in the address no more.
pub(super) async fn end(access: &Access, asked: &Call) -> Response {
    if access.provider().is_none() {
        return plain(StatusCode::NOT_FOUND, "Not Found\n".to_owned());
    }
    let of = |name| asked.query.first(name);
    let back = Back {
        state: of("state").unwrap_or_default(),
        code: of("code"),
        issuer: of("iss"),
        error: of("error"),
        about: of("error_description"),
    };
    match access.sign_in_with_provider(&asked.headers, &back).await {
        Ok((cookie, to)) => {
            let secure = is_secure(&asked.headers);
            let cookie = access.set_cookie(&cookie, &asked.wish.base, secure);
            let mut response = sent_to(asked, next(&to), Some(cookie));
            let spent = Access::begun_cookie("", &asked.wish.base, secure);
            if let Ok(spent) = HeaderValue::from_str(&spent) {
                response.headers_mut().append(header::SET_COOKIE, spent);
            }
            response
        }
        Err(denied) => failed(access, asked, &denied),
    }
}

/// Why no one is signed in, in the visitor's words.
pub(super) fn reason(w: &Words, denied: &Denied) -> String {
    let p = w.platform();
    match denied {
        Denied::Wrong => p.oidc_not_taken.to_owned(),
        Denied::Unanswered(refusal) => format!("{} {refusal}", p.no_answer),
        Denied::Provider(Trouble::Unanswered(why)) => format!("{} {why}", p.oidc_no_answer),
        Denied::Provider(Trouble::Refused(why)) => format!("{} {why}", p.oidc_refused),
        Denied::Provider(Trouble::Wrong(why)) => format!("{} {why}", p.oidc_wrong),
        Denied::Provider(Trouble::Unknown) => p.oidc_unknown.to_owned(),
    }
}

/// Back to the page that lets visitors in, which says why.
fn failed(access: &Access, asked: &Call, denied: &Denied) -> Response {
    let why = reason(asked.wish.language.words(), denied);
    tracing::warn!(why, "a sign-in with the identity provider failed");
    let kept = access.provider().map(|provider| provider.sealed_reason(&why));
    let cookie = Access::begun_cookie(&kept.unwrap_or_default(), &asked.wish.base, is_secure(&asked.headers));
    sent_to(asked, "/sign-in", Some(cookie))
}
