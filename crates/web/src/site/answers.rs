//! Answers as bytes: pages in the form that is wished, compressed where it is worth it, never without the headers that protect.

use axum::body::Body;
use axum::response::Response;
use flate2::Compression;
use http::StatusCode;
use http::header::{self, HeaderValue};
use sha2::{Digest, Sha256};

use super::Wish;
use crate::assets::{self, compressed};
use crate::page::{Frame, Note, Page, Section};
use crate::pages::{Missing, Visit};
use crate::{guard, html};

/// Bytes of a page above which it is compressed.
const WORTH_IT: usize = 1024;

/// A page as bytes.
pub(super) fn written(made: Result<Page, Missing>, visit: &Visit, wish: &Wish, frame: Option<Frame>) -> Response {
    let w = visit.w;
    let (status, mut page) = match made {
        Ok(page) => (StatusCode::OK, page),
        Err(missing) => {
            let (status, title, why) = match missing {
                Missing::NotFound => (StatusCode::NOT_FOUND, w.not_found, w.not_found_about.to_owned()),
                Missing::Broken(why) => (StatusCode::INTERNAL_SERVER_ERROR, w.broken, why),
                Missing::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, w.broken, w.too_large.to_owned()),
            };
            let page = Page {
                kind: "error",
                title: title.to_owned(),
                crumbs: vec![(w.applications.to_owned(), format!("{}/", visit.base))],
                sections: vec![Section::Note(Note {
                    id: "why",
                    text: why,
                    bad: true,
                })],
                ..Page::default()
            };
            (status, page)
        }
    };
    page.frame = frame;
    rendered(status, &page, visit, wish)
}

/// A page as bytes, with this status.
pub(super) fn rendered(status: StatusCode, page: &Page, visit: &Visit, wish: &Wish) -> Response {
    let w = visit.w;
    let text = match wish.json {
        true => page
            .to_json()
            .map(|text| text + "\n")
            .map_err(|error| error.to_string()),
        false => html::write(page, visit).map_err(|error| error.to_string()),
    };
    let kind = match wish.json {
        true => "application/json",
        false => "text/html; charset=utf-8",
    };
    let bytes = match text {
        Ok(text) => text.into_bytes(),
        Err(error) => {
            tracing::error!(error, "a page could not be written");
            return plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{}\n", w.broken));
        }
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    guard::protect(headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // What a session shows stays in no cache; a page that is looked at again says what it has.
    let caching = match page.frame {
        Some(_) => "no-store",
        None => "private, no-cache",
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if page.frame.is_some() || page.live.is_some() {
        let tag = tag_of(&bytes);
        if wish.known == tag && status == StatusCode::OK {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, tag);
        }
    }
    headers.insert(
        header::VARY,
        HeaderValue::from_static("Accept, Accept-Encoding, Accept-Language, X-Forwarded-Prefix"),
    );
    let bytes = match wish.gzip && bytes.len() > WORTH_IT {
        true => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            compressed(&bytes, Compression::new(5))
        }
        false => bytes,
    };
    *response.body_mut() = Body::from(bytes);
    response
}

/// What tells one answer from another.
fn tag_of(bytes: &[u8]) -> String {
    let sum: String = Sha256::digest(bytes)
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("W/\"{sum}\"")
}

pub(super) fn asset(name: &str, gzip: bool) -> Response {
    let Some(asset) = assets::named(name) else {
        return plain(StatusCode::NOT_FOUND, "Not Found\n".to_owned());
    };
    let body = if gzip {
        Body::from(asset.gzip.as_slice())
    } else {
        Body::from(asset.plain)
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    guard::protect(headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

pub(super) fn plain(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    guard::protect(headers);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
