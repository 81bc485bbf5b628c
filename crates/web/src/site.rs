//! Pages over HTTP: what a request asks for, made outside the threads that serve, a few at a time. Pages of a cluster are in [`console`], their forms in [`forms`], what tells pages of changes in
//! [`streams`] and [`looking`].

mod answers;
mod console;
mod forms;
mod looking;
mod provider;
mod streams;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode, Uri};
use stoke_history::index::Index;
use stoke_history::listing::{Attempt, Listed};
use stoke_history::rest::{Library, Query, decode_path};
use stoke_history::{connections, serve as history};
use stoke_insight::cost::Prices;
use stoke_quality::ledger::{Ledger, Summary};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::access::Access;
use crate::access::streams::Streams;
use crate::address::{self, Here, Place};
use crate::bills::Bills;
use crate::details::Details;
use crate::guard;
use crate::kept::Kept;
use crate::observed::Board;
use crate::page::{Cell, Frame, Page};
use crate::pages::{
    App, Missing, Visit, alerts, compare, connect, contract, cost, data, environment, executors, home, incidents, jobs,
    objectives, overview, runbooks, sql, stage, stages, storage, streaming, whatif,
};
use crate::verdict::{Verdicts, Whole};
use crate::words::Language;

use answers::{asset, plain, written};
use looking::Looking;

/// Pages that are made at a time.
const AT_ONCE: usize = 4;
/// How long a list of applications waits for costs that were not counted yet.
const PATIENCE: Duration = Duration::from_millis(300);

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
    /// Where verdicts on data are kept, and what was read there.
    pub quality: Option<Arc<Ledger>>,
    /// What is watched beside it: objectives, alerts, runbooks' records, incidents.
    pub watched: Arc<Board>,
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
    /// Of pages that are for everyone; those of visitors are counted with their sessions.
    streams: Streams,
    looking: Looking,
}

/// The pages, with the status API beside them.
pub fn router(index: Arc<Index>, settings: Settings) -> Router {
    router_and_looks(index, settings).0
}

/// The pages, and how soon they see what is written to logs.
fn router_and_looks(index: Arc<Index>, settings: Settings) -> (Router, Looking) {
    let looking = Looking::default();
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
        streams: Streams::default(),
        looking: looking.clone(),
    };
    (Router::new().fallback(answer).with_state(Arc::new(site)), looking)
}

/// Serves until an error, and looks at the place of logs every `interval`.
///
/// # Errors
/// When connections can no longer be taken.
pub async fn serve(index: Arc<Index>, settings: Settings, listener: TcpListener, interval: Duration) -> io::Result<()> {
    let quality = settings.quality.clone();
    let (router, looking) = router_and_looks(index.clone(), settings);
    tokio::select! {
        () = connections::serve(listener, router) => Ok(()),
        () = history::keep_looking(index.clone(), interval) => Ok(()),
        () = looking.keep_up(index) => Ok(()),
        () = keep_reading(quality, interval) => Ok(()),
    }
}

/// Looks at the place of verdicts every `interval`.
async fn keep_reading(quality: Option<Arc<Ledger>>, interval: Duration) {
    let Some(quality) = quality else {
        return std::future::pending().await;
    };
    loop {
        let looked = quality.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || looked.look()).await {
            tracing::error!(%error, "the place of verdicts could not be looked at");
        }
        tokio::time::sleep(interval).await;
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
    /// Whether an open page asks by itself, and no person.
    by_itself: bool,
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// What an open page asks with.
const BY_ITSELF: HeaderName = HeaderName::from_static("x-stoke-live");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

async fn answer(State(site): State<Arc<Site>>, mut request: Request) -> Response {
    let host = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let host = host.unwrap_or_else(|| text_of(request.headers(), &header::HOST).to_owned());
    // Browsers always name the host.
    let allowed = host.is_empty() || guard::is_allowed(&host, &site.settings.hosts);
    strip(&mut request, &site.settings.base_path);
    let path = request.uri().path().to_owned();
    let of_api = path == "/api" || path.starts_with("/api/") || path == "/metrics";
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
    if path == "/live" {
        return streams::answer(&site, request.headers(), &query);
    }
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
            by_itself: headers.contains_key(BY_ITSELF),
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

/// Pages of what is watched.
#[derive(Clone, Copy)]
enum Watched {
    Objectives,
    Objective,
    Alerts,
    Runbooks,
    Runbook,
    Record,
    Incidents,
    Incident,
}

impl Watched {
    fn of(parts: &[&str]) -> Option<Watched> {
        Some(match *parts {
            ["objectives"] => Watched::Objectives,
            ["objectives", "objective"] => Watched::Objective,
            ["alerts"] => Watched::Alerts,
            ["runbooks"] => Watched::Runbooks,
            ["runbooks", "runbook"] => Watched::Runbook,
            ["runbooks", "record"] => Watched::Record,
            ["incidents"] => Watched::Incidents,
            ["incidents", "incident"] => Watched::Incident,
            _ => return None,
        })
    }
}

/// What a path asks for.
enum Wanted {
    Home,
    Compare,
    Cost,
    Data,
    Contract,
    Watched(Watched),
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
            by_itself: wish.by_itself,
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
            ["data"] => return Wanted::Data,
            ["data", "contract"] => return Wanted::Contract,
            ["history", id, ref rest @ ..] => (id, rest),
            ref parts => return Watched::of(parts).map_or(Wanted::Nothing, Wanted::Watched),
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
            Wanted::Home => {
                let until = Instant::now() + PATIENCE;
                let cost = |one: &Listed| self.cost_of(one, until);
                let cost = self.settings.prices.is_some().then_some(&cost as &home::CostOf<'_>);
                let watched = self.settings.watched.seen();
                return Ok(home::page(
                    visit,
                    &self.index.listed(),
                    &self.in_need(),
                    &watched,
                    cost,
                    now,
                ));
            }
            Wanted::Compare => return self.compare(visit),
            Wanted::Cost => return Ok(self.cost(visit)),
            Wanted::Data => {
                let overview = self
                    .settings
                    .quality
                    .as_ref()
                    .map(|quality| quality.overview(self.moment()));
                return Ok(data::page(visit, overview.as_ref()));
            }
            Wanted::Contract => return self.contract(visit).ok_or(Missing::NotFound),
            Wanted::Watched(page) => return self.watched(page, visit),
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
        let detail = self.details.of(&self.index, &attempt, wanted, visit.by_itself)?;
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
                let verdict = self.verdicts.of(&self.index, &app.attempt, false, visit.by_itself);
                overview::page(&app, visit, &verdict)
            }
            "findings" => Ok(overview::findings(
                &app,
                visit,
                &self.verdicts.of(&self.index, &app.attempt, true, visit.by_itself),
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
            "what-if" => {
                let whole = self.run(&app.attempt, visit.by_itself)?;
                let run = whole.run().ok_or(Missing::NotFound)?;
                Ok(whatif::page(&app, visit, run, &|plan| whole.predict(run, plan)))
            }
            "cost" => Ok(cost::one(
                &app,
                visit,
                self.run(&app.attempt, visit.by_itself)?
                    .run()
                    .ok_or(Missing::NotFound)?,
                self.settings.prices.as_ref(),
            )),
            _ => Err(Missing::NotFound),
        }
    }
}

impl Site {
    fn run(&self, attempt: &Attempt, by_itself: bool) -> Result<Arc<Whole>, Missing> {
        self.verdicts.run(&self.index, attempt, by_itself)
    }

    fn watched(&self, page: Watched, visit: &Visit) -> Result<Page, Missing> {
        let seen = self.settings.watched.seen();
        match page {
            Watched::Objectives => Ok(objectives::page(visit, seen.objectives.as_ref())),
            Watched::Objective => objectives::one(visit, seen.objectives.as_ref()),
            Watched::Alerts => Ok(alerts::page(visit, seen.alerts.as_ref())),
            Watched::Runbooks => Ok(runbooks::page(visit, seen.records.as_ref())),
            Watched::Runbook => runbooks::one(visit, seen.records.as_ref()),
            Watched::Record => runbooks::record(visit, seen.records.as_ref()),
            Watched::Incidents => Ok(incidents::page(visit, seen.incidents.as_ref())),
            Watched::Incident => incidents::one(visit, seen.incidents.as_ref()),
        }
    }

    fn moment(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.index.now()).unwrap_or_default()
    }

    /// The contracts that do not hold.
    fn in_need(&self) -> Vec<Summary> {
        let quality = self.settings.quality.as_ref();
        quality.map_or_else(Vec::new, |quality| quality.in_need(self.moment()))
    }

    /// The contract that the address names.
    fn contract(&self, visit: &Visit) -> Option<Page> {
        let shelf = self.settings.quality.as_ref()?.shelf();
        let series = shelf.contracts.get(visit.query.first("id")?)?;
        let summary = series.summary(self.moment());
        Some(contract::page(visit, series, &summary, self.index.now()))
    }

    /// What an application cost, where that was counted, or can be until a moment.
    fn cost_of(&self, one: &Listed, until: Instant) -> Cell {
        let prices = self.settings.prices.as_ref();
        let bills = self.bills.of_ended(&self.index, prices, one, until);
        bills.map_or(Cell::Nothing, |bills| cost::of_bills(&bills))
    }

    /// Two runs, where both are named: `id`, or `id/attempt`.
    fn compare(&self, visit: &Visit) -> Result<Page, Missing> {
        let listed = self.index.listed();
        let named = |name: &str| -> Option<Result<Arc<Whole>, Missing>> {
            let name = visit.query.first(name).map(str::trim).filter(|name| !name.is_empty())?;
            let of = |(id, attempt): (&str, Option<&str>)| {
                let one = listed.iter().find(|one| one.id == id)?;
                let chosen = |known: &&Attempt| attempt.is_none() || known.id.as_deref() == attempt;
                one.attempts.iter().find(chosen)
            };
            let split = name.rsplit_once('/').map(|(id, attempt)| (id, Some(attempt)));
            let attempt = of((name, None)).or_else(|| of(split?));
            Some(
                attempt
                    .ok_or(Missing::NotFound)
                    .and_then(|attempt| self.run(attempt, false)),
            )
        };
        let runs = match (named("a"), named("b")) {
            (Some(a), Some(b)) => Some((a?, b?)),
            _ => None,
        };
        let runs = runs.as_ref().and_then(|(a, b)| a.run().zip(b.run()));
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
