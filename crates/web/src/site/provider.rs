//! Signing in with an identity provider: the way there and the way back. And the way out, there too.

use axum::response::Response;
use http::StatusCode;
use http::header::{self, HeaderValue};
use stoke_history::rest::Query;

use super::answers::{plain, rendered};
use super::console::{Call, is_secure, sent_to};
use crate::access::oidc::{Back, Trouble};
use crate::access::origin::next;
use crate::access::session::Visitor;
use crate::access::{Access, Denied};
use crate::address::Here;
use crate::pages::desk;
use crate::words::Words;

/// Where providers have browsers come back to.
pub(super) const BACK: &str = "/sign-in/oidc/back";

/// An address of this server, as the browser knows it.
fn own(asked: &Call, path: &str) -> String {
    let scheme = if is_secure(&asked.headers) { "https" } else { "http" };
    format!("{scheme}://{}{}{path}", asked.host, asked.wish.base)
}

/// Sends the browser to the provider.
pub(super) async fn begin(access: &Access, asked: &Call) -> Response {
    let Some(provider) = access.provider().filter(|_| !asked.host.is_empty()) else {
        return plain(StatusCode::NOT_FOUND, "Not Found\n".to_owned());
    };
    let secure = is_secure(&asked.headers);
    let begun = provider
        .begin(&own(asked, BACK), next(asked.query.first("next").unwrap_or_default()))
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

/// Ends the session of a visitor. Where their provider lets them end theirs there, it is a page that leads there: a redirection of a form to another
/// site is what browsers refuse by our policy.
pub(super) async fn leave(access: &Access, asked: &Call, visitor: &Visitor) -> Response {
    let secure = is_secure(&asked.headers);
    let gone = access.set_cookie("", &asked.wish.base, secure);
    let p = asked.wish.language.words().platform();
    let mut response = match access.leave(visitor, &own(asked, "/sign-in")).await {
        Ok(None) => return sent_to(asked, "/", Some(gone)),
        Ok(Some(to)) => {
            let mut visit = asked.visit();
            visit.here = Here::new(format!("{}/sign-in", asked.wish.base), &Query::default());
            let name = access.provider().map(|provider| provider.name()).unwrap_or_default();
            let page = desk::signed_out(&visit, name, to);
            let mut response = rendered(StatusCode::OK, &page, &visit, &asked.wish);
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(denied) => {
            let why = reason(asked.wish.language.words(), &denied);
            tracing::warn!(why, "a visitor could not be signed out at the identity provider");
            let why = format!("{} {why}", p.oidc_still_in);
            let kept = access.provider().map(|provider| provider.sealed_reason(&why));
            let kept = Access::begun_cookie(&kept.unwrap_or_default(), &asked.wish.base, secure);
            sent_to(asked, "/sign-in", Some(kept))
        }
    };
    if let Ok(gone) = HeaderValue::from_str(&gone) {
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    response
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
