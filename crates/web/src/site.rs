//! Pages over HTTP: what a request asks for, made outside the threads that serve, a few at a time. Pages of a cluster are in [`console`], their forms in [`forms`], what tells them of changes in
//! [`streams`].

mod console;
mod forms;
mod provider;
mod streams;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use flate2::Compression;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};
use sha2::{Digest, Sha256};
use stoke_history::index::Index;
use stoke_history::listing::{Attempt, Listed};
use stoke_history::rest::{Library, Query, decode_path};
use stoke_history::{connections, serve as history};
use stoke_insight::cost::Prices;
use stoke_insight::facts::Run;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::access::Access;
use crate::address::{self, Here, Place};
use crate::assets::{self, compressed};
use crate::bills::Bills;
use crate::details::Details;
use crate::guard;
use crate::html;
use crate::kept::Kept;
use crate::page::{Frame, Note, Page, Section};
use crate::pages::{
    App, Missing, Visit, compare, connect, cost, environment, executors, home, jobs, overview, sql, stage, stages,
    storage, streaming, whatif,
};
use crate::verdict::Verdicts;
use crate::words::Language;

/// Pages that are made at a time.
const AT_ONCE: usize = 4;
/// Bytes of a page above which it is compressed.
const WORTH_IT: usize = 1024;

/// How the pages are served.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Names besides this machine's that requests may be for.
    pub hosts: Vec<String>,
    /// What stands before every address behind a proxy, `/spark`; a proxy's `X-Forwarded-Prefix` comes first.
    pub base_path: String,
    /// Whether only this machine is listened to: then the status API is for its names alone, too.
    pub local: bool,
    /// What things cost; without them cost is shown in the time of cores.
    pub prices: Option<Prices>,
    /// Who may see a cluster's pages; none: there are only those of the history, for everybody who asks.
    pub access: Option<Arc<Access>>,
}

struct Site {
    index: Arc<Index>,
    settings: Settings,
    api: Router,
    /// Replaying a log takes all cores.
    replays: Semaphore,
    turns: Semaphore,
    verdicts: Verdicts,
    bills: Bills,
    details: Details,
    kept: Arc<Kept>,
}

/// The pages, with the status API beside them.
pub fn router(index: Arc<Index>, settings: Settings) -> Router {
    let site = Site {
        api: history::router(index.clone()),
        index,
        settings,
        replays: Semaphore::new(1),
        turns: Semaphore::new(AT_ONCE),
        verdicts: Verdicts::default(),
        bills: Bills::default(),
        details: Details::default(),
        kept: Arc::default(),
    };
    Router::new().fallback(answer).with_state(Arc::new(site))
}

/// Serves until an error, and looks at the place of logs every `interval`.
///
/// # Errors
/// When connections can no longer be taken.
pub async fn serve(index: Arc<Index>, settings: Settings, listener: TcpListener, interval: Duration) -> io::Result<()> {
    tokio::select! {
        () = connections::serve(listener, router(index.clone(), settings)) => Ok(()),
        () = history::keep_looking(index, interval) => Ok(()),
    }
}

/// What an answer is made with.
#[derive(Debug, Clone)]
struct Wish {
    base: String,
    language: Language,
    json: bool,
    gzip: bool,
    /// Tags of what the browser has.
    known: String,
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

async fn answer(State(site): State<Arc<Site>>, mut request: Request) -> Response {
    let host = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let host = host.unwrap_or_else(|| text_of(request.headers(), &header::HOST).to_owned());
    // Browsers always name the host.
    let allowed = host.is_empty() || guard::is_allowed(&host, &site.settings.hosts);
    strip(&mut request, &site.settings.base_path);
    let path = request.uri().path().to_owned();
    let of_api = path == "/api" || path.starts_with("/api/");
    let wish = Wish::of(&site, &request);
    if !allowed && (site.settings.local || !of_api) {
        let w = wish.language.words();
        return plain(StatusCode::MISDIRECTED_REQUEST, format!("{}\n", w.wrong_host));
    }
    if let Some(access) = site.settings.access.clone().filter(|_| !path.starts_with("/assets/")) {
        return console::answer(site, access, request, wish, host).await;
    }
    if of_api {
        return site.of_api(request).await;
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n".to_owned());
    }
    if let Some(name) = path.strip_prefix("/assets/") {
        return asset(name, wish.gzip);
    }
    let query = Query::parse(request.uri().query().unwrap_or_default());
    site.page(path, query, wish, None).await
}

/// Takes the prefix off an address, where a proxy left it there.
fn strip(request: &mut Request, base: &str) {
    let rest = request
        .uri()
        .path_and_query()
        .and_then(|all| all.as_str().strip_prefix(base));
    let Some(rest) = rest.filter(|rest| !base.is_empty() && (rest.is_empty() || rest.starts_with(['/', '?']))) else {
        return;
    };
    let rest = if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    };
    if let Ok(uri) = rest.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
}

impl Wish {
    fn of(site: &Site, request: &Request) -> Wish {
        let headers = request.headers();
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let forwarded = headers
            .get(FORWARDED_PREFIX)
            .and_then(|value| guard::prefix(value.to_str().ok()?));
        let language = match query.first("lang") {
            Some(language) => Language::of(language),
            None => Language::of(text_of(headers, &header::ACCEPT_LANGUAGE)),
        };
        let accepts = text_of(headers, &header::ACCEPT);
        Wish {
            base: forwarded.unwrap_or(&site.settings.base_path).to_owned(),
            language,
            json: match query.first("output") {
                Some(form) => form == "json",
                None => accepts
                    .split([',', ';'])
                    .next()
                    .is_some_and(|first| first.trim() == "application/json"),
            },
            gzip: accepts_gzip(text_of(headers, &header::ACCEPT_ENCODING)),
            known: text_of(headers, &header::IF_NONE_MATCH).to_owned(),
        }
    }
}

fn accepts_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        parts.next() == Some("gzip") && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// A page of an application.
struct OfApplication {
    attempt: Attempt,
    listed: Listed,
    place: Place,
    page: String,
}

/// What a path asks for.
enum Wanted {
    Home,
    Compare,
    Cost,
    Application(Box<OfApplication>),
    Nothing,
}

impl Site {
    /// Hands a request to the status API.
    async fn of_api(&self, request: Request) -> Response {
        match self.api.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn page(self: Arc<Self>, path: String, query: Query, wish: Wish, frame: Option<Frame>) -> Response {
        let wanted = self.wanted(&path, &wish);
        let visit = Visit {
            w: wish.language.words(),
            here: Here::new(format!("{}{}", wish.base, path_again(&path)), &query),
            query,
            base: wish.base.clone(),
        };
        let Ok(_turn) = self.turns.acquire().await else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the server ends\n".to_owned());
        };
        // A log that is to be replayed waits for its turn beside the pages, not in a thread.
        let _replay = match &wanted {
            Wanted::Application(of) if self.index.at_hand(&of.attempt).is_none() => self.replays.acquire().await.ok(),
            _ => None,
        };
        let site = self.clone();
        let made = tokio::task::spawn_blocking(move || {
            // Among visitors with rights of their own, one may not know of another's runs.
            let made = site.made(wanted, &visit, frame.is_none());
            written(made, &visit, &wish, frame)
        });
        made.await.unwrap_or_else(|error| {
            tracing::error!(%error, path, "a page could not be made");
            plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the page could not be made\n".to_owned(),
            )
        })
    }

    fn wanted(&self, path: &str, wish: &Wish) -> Wanted {
        let parts = address::parts(path);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (id, rest) = match parts[..] {
            [] | ["history"] => return Wanted::Home,
            ["compare"] => return Wanted::Compare,
            ["cost"] => return Wanted::Cost,
            ["history", id, ref rest @ ..] => (id, rest),
            _ => return Wanted::Nothing,
        };
        let all = self.index.listed();
        let Some(listed) = all.iter().find(|listed| listed.id == id) else {
            return Wanted::Nothing;
        };
        let named = rest.first().and_then(|name| {
            listed
                .attempts
                .iter()
                .find(|attempt| attempt.id.as_deref() == Some(*name))
        });
        let (attempt, rest) = match named {
            Some(attempt) => (Some(attempt), &rest[1..]),
            None => (listed.attempts.first(), rest),
        };
        let Some(attempt) = attempt else {
            return Wanted::Nothing;
        };
        Wanted::Application(Box::new(OfApplication {
            attempt: attempt.clone(),
            listed: listed.clone(),
            place: Place {
                base: wish.base.clone(),
                id: id.to_owned(),
                attempt: attempt.id.clone(),
            },
            page: rest.join("/"),
        }))
    }

    fn made(&self, wanted: Wanted, visit: &Visit, of_all: bool) -> Result<Page, Missing> {
        let now = self.index.now();
        let OfApplication {
            attempt,
            listed,
            place,
            page,
        } = match wanted {
            Wanted::Home => return Ok(home::page(visit, &self.index.listed(), now)),
            Wanted::Compare => return self.compare(visit),
            Wanted::Cost => return Ok(self.cost(visit)),
            Wanted::Nothing => return Err(Missing::NotFound),
            Wanted::Application(of) => *of,
        };
        let view = self
            .index
            .view(&attempt)
            .map_err(Missing::Broken)?
            .ok_or(Missing::NotFound)?;
        let began = |one: &Listed| one.attempts.first().map_or(0, |attempt| attempt.start);
        let all = self.index.listed();
        let earlier = all
            .iter()
            .filter(|one| one.name == listed.name && began(one) < began(&listed));
        let before = earlier.max_by_key(|one| began(one)).filter(|_| of_all);
        let before = before.map(|one| one.id.clone());
        let wanted = visit.query.first("graph") == Some("1")
            || ["StreamingQuery", "streaming", "connect"].contains(&page.split('/').next().unwrap_or_default());
        let detail = self.details.of(&self.index, &attempt, wanted)?;
        let app = App {
            before,
            listed,
            attempt,
            view,
            place,
            now,
            kept: self.kept.clone(),
            detail,
        };
        match page.as_str() {
            "" => {
                let verdict = self.verdicts.of(&self.index, &app.attempt, false);
                overview::page(&app, visit, &verdict)
            }
            "findings" => Ok(overview::findings(
                &app,
                visit,
                &self.verdicts.of(&self.index, &app.attempt, true),
            )),
            "jobs" => Ok(jobs::list(&app, visit)),
            "jobs/job" => jobs::one(&app, visit),
            "stages" => Ok(stages::list(&app, visit)),
            "stages/stage" => stage::page(&app, visit),
            "storage" => Ok(storage::list(&app, visit)),
            "storage/rdd" => storage::one(&app, visit),
            "environment" => Ok(environment::page(&app, visit)),
            "executors" => executors::page(&app, visit),
            "SQL" => sql::list(&app, visit),
            "SQL/execution" => {
                let execution = visit
                    .number("id")
                    .filter(|_| visit.query.first("plan") == Some("initial"));
                let plan = |id| self.details.first_plan(&self.index, &app.attempt, id);
                sql::one(&app, visit, execution.map(plan).transpose()?.as_ref())
            }
            "StreamingQuery" => Ok(streaming::list(&app, visit, app.told()?)),
            "StreamingQuery/statistics" => streaming::one(&app, visit, app.told()?),
            "streaming" => Ok(streaming::contexts(&app, visit, app.told()?)),
            "connect" => Ok(connect::list(&app, visit, app.told()?)),
            "connect/session" => connect::one(&app, visit, app.told()?),
            "what-if" => Ok(whatif::page(&app, visit, &*self.run(&app.attempt)?)),
            "cost" => Ok(cost::one(
                &app,
                visit,
                &*self.run(&app.attempt)?,
                self.settings.prices.as_ref(),
            )),
            _ => Err(Missing::NotFound),
        }
    }
}

impl Site {
    fn run(&self, attempt: &Attempt) -> Result<Arc<Run>, Missing> {
        self.verdicts.run(&self.index, attempt)
    }

    /// Two runs, where both are named: `id`, or `id/attempt`.
    fn compare(&self, visit: &Visit) -> Result<Page, Missing> {
        let listed = self.index.listed();
        let named = |name: &str| -> Option<Result<Arc<Run>, Missing>> {
            let name = visit.query.first(name).map(str::trim).filter(|name| !name.is_empty())?;
            let of = |(id, attempt): (&str, Option<&str>)| {
                let one = listed.iter().find(|one| one.id == id)?;
                let chosen = |known: &&Attempt| attempt.is_none() || known.id.as_deref() == attempt;
                one.attempts.iter().find(chosen)
            };
            let split = name.rsplit_once('/').map(|(id, attempt)| (id, Some(attempt)));
            let attempt = of((name, None)).or_else(|| of(split?));
            Some(attempt.ok_or(Missing::NotFound).and_then(|attempt| self.run(attempt)))
        };
        let runs = match (named("a"), named("b")) {
            (Some(a), Some(b)) => Some((a?, b?)),
            _ => None,
        };
        let runs = runs.as_ref().map(|(a, b)| (&**a, &**b));
        Ok(compare::page(visit, &listed, runs))
    }

    /// Runs that ran on one of the days that are asked for.
    fn cost(&self, visit: &Visit) -> Page {
        let (since, until) = (cost::day_of(visit, "since"), cost::day_of(visit, "until"));
        let listed = self.index.listed();
        let attempts = listed.iter().flat_map(|one| &one.attempts);
        let within = attempts.filter(|attempt| {
            let (began, ended) = (crate::words::iso(&attempt.start), crate::words::iso(&attempt.end));
            until.is_none_or(|until| began.as_str() < until)
                && (!attempt.completed || since.is_none_or(|since| ended.as_str() >= since))
        });
        let counted = self.bills.of(&self.index, self.settings.prices.as_ref(), within);
        cost::page(visit, &counted)
    }
}

/// A path as it may stand in an address: what was decoded is escaped again.
fn path_again(path: &str) -> String {
    let again = |part| address::part(&decode_path(part));
    path.split('/').map(again).collect::<Vec<String>>().join("/")
}

/// A page as bytes.
fn written(made: Result<Page, Missing>, visit: &Visit, wish: &Wish, frame: Option<Frame>) -> Response {
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
fn rendered(status: StatusCode, page: &Page, visit: &Visit, wish: &Wish) -> Response {
    let w = visit.w;
    let (kind, bytes) = match wish.json {
        true => ("application/json", format!("{:#}\n", page.to_json()).into_bytes()),
        false => match html::write(page, visit) {
            Ok(text) => ("text/html; charset=utf-8", text.into_bytes()),
            Err(error) => {
                tracing::error!(%error, "a page could not be written");
                return plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{}\n", w.broken));
            }
        },
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    guard::protect(headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // What a session shows stays in no cache; a page that is looked at again says what it has.
    let (caching, tag) = match page.frame {
        Some(_) => ("no-store", Some(tag_of(&bytes))),
        None => ("private, no-cache", None),
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Some(tag) = tag {
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

fn asset(name: &str, gzip: bool) -> Response {
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

fn plain(status: StatusCode, text: String) -> Response {
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
