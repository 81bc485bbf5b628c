//! Server-sent events: a page that is open is told when to look again, and when its session has ended. Nothing of the page is in a stream; the
//! browser asks for it as before. A stream makes its next event only when its client has taken the last one.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Uri};
use stoke_history::rest::Query;
use tokio::sync::watch;
use tokio::time::Instant;

use super::answers::plain;
use super::console::{Call, may_see_run, seen_runs};
use super::looking::Reader;
use super::{Site, text_of};
use crate::access::Access;
use crate::access::session::{Held, Key, Visitor};
use crate::access::streams::Place;
use crate::guard;
use crate::live::changes::{Changes, Sources, Subject};

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
    session: Option<Session>,
    sources: Sources,
    subject: Subject,
    changes: Changes,
    end: Instant,
    /// When the page was looked at last.
    looked: Instant,
    /// When it is to be looked at, because something has changed.
    due: Option<Instant>,
    sent: Instant,
    has_begun: bool,
    _place: Place,
    /// Of what others look at only as long as someone wants to know.
    _reader: Option<Reader>,
}

/// The session that a stream ends with.
struct Session {
    access: Arc<Access>,
    key: Key,
    told: watch::Receiver<()>,
    /// When it ends, unless its visitor does something.
    until: Instant,
}

impl Session {
    /// Waits until the session has ended, or its visitor sees something else from now on.
    async fn ends(&mut self) -> Next {
        loop {
            tokio::select! {
                biased;
                told = self.told.changed() => return if told.is_ok() { Next::Over } else { Next::End },
                () = tokio::time::sleep_until(self.until) => match self.access.hold(&self.key) {
                    // A person has asked for something meanwhile.
                    Some(held) => self.until = held.until.into(),
                    None => return Next::End,
                },
            }
        }
    }
}

enum Next {
    Look,
    Alive,
    /// The session has ended.
    End,
    /// The visitor sees something else, or it has been long enough: the browser opens another one.
    Over,
}

/// The page that a stream is asked for.
fn subject(query: &Query) -> Option<Subject> {
    let page: Uri = query.first("of")?.parse().ok()?;
    Subject::of(page.path(), &Query::parse(page.query().unwrap_or_default()))
}

/// Whether a request is none of another site's.
fn is_own(headers: &HeaderMap) -> bool {
    let site = text_of(headers, &HeaderName::from_static("sec-fetch-site"));
    matches!(site, "" | "same-origin")
}

fn not_here() -> Response {
    plain(StatusCode::NOT_FOUND, "Not Found\n".to_owned())
}

/// Answers `/live?of=PAGE` where pages are for everyone who asks.
pub(super) fn answer(site: &Site, headers: &HeaderMap, query: &Query) -> Response {
    if !is_own(headers) {
        return plain(StatusCode::FORBIDDEN, "Forbidden\n".to_owned());
    }
    let Some(subject) = subject(query) else {
        return not_here();
    };
    let sources = Sources {
        live: None,
        index: site.index.clone(),
        verdicts: site.settings.quality.clone(),
        sees_all_runs: true,
    };
    begun(site, sources, subject, site.streams.enter_unknown(), None)
}

/// Answers `/live?of=PAGE` to a visitor.
pub(super) async fn answer_visitor(site: &Site, access: &Arc<Access>, asked: &Call, visitor: &Visitor) -> Response {
    if !is_own(&asked.headers) {
        return plain(StatusCode::FORBIDDEN, "Forbidden\n".to_owned());
    }
    // Who shows a token with each request has no session that a stream could end with.
    let held = visitor.cookie.and_then(|key| Some((key, access.hold(&key)?)));
    let (Some(subject), Some((key, held))) = (subject(&asked.query), held) else {
        return not_here();
    };
    let sees_all_runs = !access.wants_token();
    let may_see = match &subject {
        Subject::Run(id) => may_see_run(access, visitor, Some(id)).await,
        Subject::Verdicts => seen_runs(access, visitor).await.map(|seen| seen.is_none()),
        _ => Ok(true),
    };
    if !may_see.unwrap_or(false) {
        return plain(StatusCode::FORBIDDEN, "Forbidden\n".to_owned());
    }
    let sources = Sources {
        live: Some(visitor.live.clone()),
        index: site.index.clone(),
        verdicts: site.settings.quality.clone(),
        sees_all_runs,
    };
    let Held { told, until } = held;
    let session = Session {
        access: access.clone(),
        key,
        told,
        until: until.into(),
    };
    let place = access.streams.enter(key, &visitor.who);
    begun(site, sources, subject, place, Some(session))
}

/// Begins a stream, where there is a place for it.
fn begun(site: &Site, sources: Sources, subject: Subject, place: Option<Place>, session: Option<Session>) -> Response {
    let Some(place) = place else {
        return plain(StatusCode::TOO_MANY_REQUESTS, "too many streams are open\n".to_owned());
    };
    let Some(changes) = Changes::of(&sources, subject.clone()) else {
        return not_here();
    };
    let now = Instant::now();
    let stream = Stream {
        session,
        changes,
        end: now + LONGEST,
        looked: now,
        due: None,
        sent: now,
        has_begun: false,
        _place: place,
        _reader: match subject {
            Subject::Run(_) => Some(site.looking.read()),
            Subject::Applications if sources.sees_all_runs => Some(site.looking.read()),
            _ => None,
        },
        sources,
        subject,
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
                if let (Subject::Applications, Some(live)) = (&self.subject, &self.sources.live) {
                    live.list_again();
                }
                self.looked = self.sent;
                // The page of what has ended opens no other one.
                (Bytes::from_static(b"event: look\ndata: 1\n\n"), self.changes.is_over())
            }
            Next::Alive => (Bytes::from_static(b"event: alive\ndata: 1\n\n"), false),
            Next::End => (Bytes::from_static(b"event: end\ndata: 1\n\n"), true),
            Next::Over => return None,
        })
    }

    async fn next(&mut self) -> Next {
        let Stream { session, .. } = self;
        let ended = async {
            match session {
                Some(session) => session.ends().await,
                None => std::future::pending().await,
            }
        };
        let mut ended = pin!(ended);
        loop {
            let by_clock = self.looked + self.subject.pace();
            let look = self.due.map_or(by_clock, |due| due.min(by_clock));
            tokio::select! {
                biased;
                next = &mut ended => return next,
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
