//! Server-sent events: a page that is open is told when to look again, and when its session has ended. Nothing of the page is in a stream; the
//! browser asks for it as before. A stream makes its next event only when its client has taken the last one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::{self, HeaderName, HeaderValue};
use http::{StatusCode, Uri};
use stoke_history::rest::Query;
use tokio::sync::watch;
use tokio::time::Instant;

use super::answers::plain;
use super::console::Call;
use super::text_of;
use crate::access::Access;
use crate::access::session::{Held, Key, Visitor};
use crate::access::streams::Place;
use crate::guard;
use crate::live::Live;
use crate::live::changes::{Changes, Subject};

/// After what time without an event one is sent all the same: proxies end what is silent, and the script takes it for broken.
const ALIVE: Duration = Duration::from_secs(15);
/// After what time a stream ends and the browser opens the next one: rights may have changed.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Changes that come together are one.
const TOGETHER: Duration = Duration::from_millis(50);
/// The first event: browsers that lose a stream open the next one after so many milliseconds.
const FIRST: &[u8] = b"retry: 1000\nevent: alive\ndata: 1\n\n";

/// A stream, between two events.
struct Stream {
    access: Arc<Access>,
    session: Key,
    live: Arc<Live>,
    subject: Subject,
    changes: Changes,
    told: watch::Receiver<()>,
    /// When the session ends, unless its visitor does something.
    until: Instant,
    end: Instant,
    /// When the page was looked at last.
    looked: Instant,
    /// When it is to be looked at, because something has changed.
    due: Option<Instant>,
    sent: Instant,
    has_begun: bool,
    _place: Place,
}

enum Next {
    Look,
    Alive,
    /// The session has ended.
    End,
    /// The visitor sees something else, or it has been long enough: the browser opens another one.
    Over,
}

/// Answers `/live?of=PAGE`.
pub(super) fn answer(access: &Arc<Access>, asked: &Call, visitor: &Visitor) -> Response {
    let site = text_of(&asked.headers, &HeaderName::from_static("sec-fetch-site"));
    if !matches!(site, "" | "same-origin") {
        return plain(StatusCode::FORBIDDEN, "Forbidden\n".to_owned());
    }
    let page: Option<Uri> = asked.query.first("of").and_then(|of| of.parse().ok());
    let subject = page.and_then(|page| Subject::of(page.path(), &Query::parse(page.query().unwrap_or_default())));
    // Who shows a token with each request has no session that a stream could end with.
    let held = visitor.cookie.and_then(|key| Some((key, access.hold(&key)?)));
    let (Some(subject), Some((session, held))) = (subject, held) else {
        return plain(StatusCode::NOT_FOUND, "Not Found\n".to_owned());
    };
    let Some(place) = access.streams.enter(session, &visitor.who) else {
        return plain(StatusCode::TOO_MANY_REQUESTS, "too many streams are open\n".to_owned());
    };
    let Held { told, until } = held;
    let now = Instant::now();
    let stream = Stream {
        access: access.clone(),
        session,
        live: visitor.live.clone(),
        changes: Changes::of(&visitor.live, subject.clone()),
        told,
        until: until.into(),
        end: now + LONGEST,
        looked: now,
        due: None,
        sent: now,
        has_begun: false,
        subject,
        _place: place,
    };
    let events = futures::stream::unfold(Some(stream), async |stream| {
        let mut stream = stream?;
        let (bytes, is_last) = stream.event().await?;
        Some((Ok::<_, Infallible>(bytes), (!is_last).then_some(stream)))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    guard::protect(headers);
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        // Not kept, and not compressed by what is between: events would wait until there are enough of them.
        (header::CACHE_CONTROL, "no-store, no-transform"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Stream {
    /// The next event, and whether it is the last; none when the stream is over.
    async fn event(&mut self) -> Option<(Bytes, bool)> {
        if !self.has_begun {
            self.has_begun = true;
            return Some((Bytes::from_static(FIRST), false));
        }
        let next = self.next().await;
        self.sent = Instant::now();
        Some(match next {
            Next::Look => {
                if self.subject == Subject::Applications {
                    self.live.list_again();
                }
                self.looked = self.sent;
                (Bytes::from_static(b"event: look\ndata: 1\n\n"), false)
            }
            Next::Alive => (Bytes::from_static(b"event: alive\ndata: 1\n\n"), false),
            Next::End => (Bytes::from_static(b"event: end\ndata: 1\n\n"), true),
            Next::Over => return None,
        })
    }

    async fn next(&mut self) -> Next {
        loop {
            let by_clock = self.looked + self.subject.pace();
            let look = self.due.map_or(by_clock, |due| due.min(by_clock));
            tokio::select! {
                biased;
                told = self.told.changed() => return if told.is_ok() { Next::Over } else { Next::End },
                () = tokio::time::sleep_until(self.until) => match self.access.hold(&self.session) {
                    // A person has asked for something meanwhile.
                    Some(held) => self.until = held.until.into(),
                    None => return Next::End,
                },
                () = tokio::time::sleep_until(self.end) => return Next::Over,
                () = self.changes.next(), if self.due.is_none() => {
                    self.due = Some((Instant::now() + TOGETHER).max(self.looked + self.subject.spacing()));
                }
                () = tokio::time::sleep_until(look) => {
                    self.due = None;
                    return Next::Look;
                }
                () = tokio::time::sleep_until(self.sent + ALIVE) => return Next::Alive,
            }
        }
    }
}
