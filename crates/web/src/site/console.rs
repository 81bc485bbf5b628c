//! Pages of a cluster: who asks, what for, with which facts.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use stoke_diagnostics::Diagnostic;
use stoke_history::listing::Listed;
use stoke_history::rest::{Library, Query, decode_path};
use stoke_quality::ledger::Summary;

use super::answers::{plain, rendered, written};
use super::{Site, Wish, forms, path_again, provider, streams, text_of};
use crate::access::origin::next;
use crate::access::session::Visitor;
use crate::access::{Access, Denied};
use crate::address::{self, Here};
use crate::guard;
use crate::live::row::Row;
use crate::live::{Live, Refusal, logs, pods};
use crate::observed::Observed;
use crate::page::{Cell, Frame, Note, Page, Section, Tab};
use crate::pages::application::{self, Application, LINES, MOST_LINES, Seen};
use crate::pages::home::CostOf;
use crate::pages::{Missing, Visit, ask, change, cluster, desk, now, runbooks};
use crate::verdict::Verdict;

/// How long costs are counted beside a page.
const PATIENCE: Duration = Duration::from_secs(3);
/// Pods of an application whose events are asked for, beside its own.
const EVENTS_OF: usize = 6;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A request, without its body.
pub(super) struct Call {
    pub(super) path: String,
    pub(super) raw_query: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) post: bool,
    pub(super) host: String,
    pub(super) wish: Wish,
}

impl Call {
    pub(super) fn visit(&self) -> Visit {
        Visit {
            w: self.wish.language.words(),
            here: Here::new(format!("{}{}", self.wish.base, path_again(&self.path)), &self.query),
            query: self.query.clone(),
            base: self.wish.base.clone(),
            by_itself: self.wish.by_itself,
        }
    }

    /// The way back here after signing in.
    fn here(&self) -> String {
        match self.raw_query.as_str() {
            "" => self.path.clone(),
            query => format!("{}?{query}", self.path),
        }
    }
}

/// Answers a request to a server with pages of a cluster.
pub(super) async fn answer(
    site: Arc<Site>,
    access: Arc<Access>,
    request: Request,
    wish: Wish,
    host: String,
) -> Response {
    let (parts, body) = request.into_parts();
    let raw_query = parts.uri.query().unwrap_or_default().to_owned();
    let asked = Call {
        path: parts.uri.path().to_owned(),
        query: Query::parse(&raw_query),
        raw_query,
        headers: parts.headers.clone(),
        post: parts.method == Method::POST,
        host,
        wish,
    };
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    // For probes: that it serves, and nothing else.
    if asked.path == "/healthz" && reads {
        return plain(StatusCode::OK, "ok\n".to_owned());
    }
    if asked.path == "/open" && reads {
        return opened(&access, &asked);
    }
    if asked.path == "/sign-in" {
        if asked.post {
            return forms::sign_in(&site, &access, &asked, body).await;
        }
        let why = access.provider().and_then(|provider| provider.reason(&asked.headers));
        let status = if why.is_some() {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::OK
        };
        let next = next(asked.query.first("next").unwrap_or_default());
        return signing(&access, &asked, status, next, why);
    }
    if parts.method == Method::GET && asked.path == "/sign-in/oidc" {
        return provider::begin(&access, &asked).await;
    }
    if parts.method == Method::GET && asked.path == provider::BACK {
        return provider::end(&access, &asked).await;
    }
    let is_api = asked.path == "/api" || asked.path.starts_with("/api/");
    if (is_api || asked.path == "/metrics") && access.api_is_open() {
        return site.of_api(Request::from_parts(parts, body)).await;
    }
    let is_stream = asked.path == "/live" && reads;
    let counts = !is_stream && !asked.wish.by_itself;
    let visitor = match access.visitor(&asked.headers, counts).await {
        Ok(visitor) => visitor,
        Err(_) if is_stream => return plain(StatusCode::UNAUTHORIZED, "Unauthorized\n".to_owned()),
        Err(denied) if reads || asked.post => {
            let why = match denied {
                Denied::Wrong => None,
                denied => Some(provider::reason(asked.wish.language.words(), &denied)),
            };
            return signing(&access, &asked, StatusCode::UNAUTHORIZED, next(&asked.here()), why);
        }
        Err(_) => return plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n".to_owned()),
    };
    if is_stream {
        return streams::answer_visitor(&site, &access, &asked, &visitor).await;
    }
    if is_api {
        return match may_see_run(&access, &visitor, api_id(&asked.path).as_deref()).await {
            Ok(true) => site.of_api(Request::from_parts(parts, body)).await,
            Ok(false) => plain(StatusCode::FORBIDDEN, "Forbidden\n".to_owned()),
            Err(refusal) => refused(&access, &asked, &visitor, &refusal),
        };
    }
    match (reads, asked.post) {
        (true, _) => read(site, &access, asked, visitor).await,
        (_, true) => forms::posted(&access, asked, visitor, body, &site).await,
        _ => plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n".to_owned()),
    }
}

/// A redirection, with a cookie where there is one.
pub(super) fn sent_to(asked: &Call, to: &str, cookie: Option<String>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    guard::protect(headers);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(to) = HeaderValue::from_str(&format!("{}{to}", asked.wish.base)) {
        headers.insert(header::LOCATION, to);
    }
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

pub(super) fn is_secure(headers: &HeaderMap) -> bool {
    text_of(headers, &FORWARDED_PROTO).eq_ignore_ascii_case("https")
}

/// The secret link: its secret becomes a cookie, and is in no address from then on; `next` is a page to go to.
fn opened(access: &Access, asked: &Call) -> Response {
    match access.by_secret(asked.query.first("token").unwrap_or_default()) {
        Some(cookie) => {
            let cookie = access.set_cookie(&cookie, &asked.wish.base, is_secure(&asked.headers));
            sent_to(asked, next(asked.query.first("next").unwrap_or_default()), Some(cookie))
        }
        None => signing(access, asked, StatusCode::UNAUTHORIZED, "/", None),
    }
}

/// The page that lets visitors in.
pub(super) fn signing(access: &Access, asked: &Call, status: StatusCode, next: &str, why: Option<String>) -> Response {
    let mut visit = asked.visit();
    visit.here = Here::new(format!("{}/sign-in", asked.wish.base), &Query::default());
    let next = if next.starts_with("/sign-in") { "/" } else { next };
    let way = match (access.wants_token(), access.provider()) {
        (false, _) => desk::Way::Link,
        (true, None) => desk::Way::Token,
        (true, Some(provider)) => desk::Way::Provider(provider.name()),
    };
    let page = desk::sign_in(&visit, &way, next, why);
    rendered(status, &page, &visit, &asked.wish)
}

pub(super) fn frame(asked: &Call, visitor: &Visitor) -> Frame {
    let w = asked.wish.language.words();
    let p = w.platform();
    let places = [
        (p.now, "/"),
        (p.cluster, "/cluster/"),
        (p.connect, "/connect/"),
        (p.sql, "/sql/"),
        (p.check, "/check/"),
        (w.data().data, "/data/"),
        (w.observe().objectives, "/objectives/"),
        (w.observe().alerts, "/alerts/"),
        (w.observe().runbooks, "/runbooks/"),
        (w.observe().incidents, "/incidents/"),
        (w.compare, "/compare"),
        (w.cost, "/cost"),
    ];
    let is_here = |to: &str| match to {
        "/" => asked.path == "/" || asked.path.starts_with("/applications/"),
        to => asked.path.starts_with(to.trim_end_matches('/')),
    };
    Frame {
        places: places
            .into_iter()
            .map(|(label, to)| Tab {
                label,
                to: format!("{}{to}", asked.wish.base),
                current: is_here(to),
            })
            .collect(),
        who: visitor.who.clone(),
        csrf: visitor.csrf.clone(),
    }
}

/// A page about what the API server says instead of an answer.
pub(super) fn refused(access: &Access, asked: &Call, visitor: &Visitor, refusal: &Refusal) -> Response {
    let w = asked.wish.language.words();
    let p = w.platform();
    let (status, title, text) = match refusal.status {
        // The token has expired, or was taken back: so has the session.
        401 => {
            access.sign_out(visitor);
            let why = Some(p.wrong_token.to_owned());
            return signing(access, asked, StatusCode::UNAUTHORIZED, next(&asked.here()), why);
        }
        403 if asked.path == "/" && visitor.live.namespaces().is_empty() => (
            StatusCode::FORBIDDEN,
            p.refused,
            format!("{} {refusal}", p.choose_namespaces),
        ),
        403 => (StatusCode::FORBIDDEN, p.refused, refusal.to_string()),
        409 | 422 => (StatusCode::CONFLICT, p.change_refused, refusal.to_string()),
        404 if asked.path == "/" => (StatusCode::BAD_GATEWAY, w.broken, p.no_definitions.to_owned()),
        404 => (StatusCode::NOT_FOUND, w.not_found, refusal.to_string()),
        _ => (StatusCode::BAD_GATEWAY, w.broken, format!("{} {refusal}", p.no_answer)),
    };
    let visit = asked.visit();
    let mut sections = vec![Section::Note(Note {
        id: "why",
        text,
        bad: true,
    })];
    if access.wants_token() && status == StatusCode::FORBIDDEN && asked.path == "/" {
        sections.extend(desk::namespaces(&visit, &visitor.csrf, visitor.live.namespaces()));
    }
    let page = Page {
        kind: "error",
        title: title.to_owned(),
        sections,
        frame: Some(frame(asked, visitor)),
        ..Page::default()
    };
    rendered(status, &page, &visit, &asked.wish)
}

/// The application a path of the status API is about.
fn api_id(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/api/v1/applications/")?;
    rest.split('/').next().filter(|id| !id.is_empty()).map(decode_path)
}

/// Which runs a visitor may see; none: all. Who has a token sees the runs of applications that it may list, and all when it may list all of them.
pub(super) async fn seen_runs(access: &Access, visitor: &Visitor) -> Result<Option<HashSet<String>>, Refusal> {
    if !access.wants_token() {
        return Ok(None);
    }
    match visitor.live.applications().await {
        Ok(_) if visitor.live.namespaces().is_empty() => Ok(None),
        Ok(rows) => Ok(Some(rows.iter().filter_map(|row| row.spark.clone()).collect())),
        Err(refusal) if refusal.status == 403 => Ok(Some(HashSet::new())),
        Err(refusal) => Err(refusal),
    }
}

pub(super) async fn may_see_run(access: &Access, visitor: &Visitor, id: Option<&str>) -> Result<bool, Refusal> {
    let seen = seen_runs(access, visitor).await?;
    Ok(seen.is_none_or(|seen| id.is_some_and(|id| seen.contains(id))))
}

async fn read(site: Arc<Site>, access: &Access, asked: Call, visitor: Visitor) -> Response {
    let parts = address::parts(&asked.path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let visit = asked.visit();
    let made = match parts[..] {
        // What is made of all runs is for who may see all of them.
        ["history", ..]
        | [
            "compare" | "cost" | "data" | "objectives" | "alerts" | "runbooks" | "incidents",
            ..,
        ] if parts != ["history"] => {
            let id = parts.get(1).filter(|_| parts[0] == "history").copied();
            let why = match may_see_run(access, &visitor, id).await {
                Ok(true) => {
                    let frame = frame(&asked, &visitor);
                    return site.page(asked.path, asked.query, asked.wish, Some(frame)).await;
                }
                // Runbooks are the same for everyone; records of them are not.
                Ok(false) if matches!(parts[..], ["runbooks"] | ["runbooks", "runbook"]) => None,
                Ok(false) => Some(Refusal {
                    status: 403,
                    message: visit.w.platform().runs_refused.to_owned(),
                }),
                Err(refusal) => Some(refusal),
            };
            match why {
                Some(why) => return refused(access, &asked, &visitor, &why),
                None if parts.len() == 1 => Ok(Ok(runbooks::page(&visit, None))),
                None => Ok(runbooks::one(&visit, None)),
            }
        }
        _ => made(&site, access, &visitor, &visit, &parts).await,
    };
    match made {
        Ok(Ok(mut page)) => {
            page.frame = Some(frame(&asked, &visitor));
            rendered(StatusCode::OK, &page, &visit, &asked.wish)
        }
        Ok(Err(missing)) => {
            let frame = frame(&asked, &visitor);
            written(Err(missing), &visit, &asked.wish, Some(frame))
        }
        Err(refusal) => refused(access, &asked, &visitor, &refusal),
    }
}

type Made = Result<Result<Page, Missing>, Refusal>;

async fn made(site: &Arc<Site>, access: &Access, visitor: &Visitor, visit: &Visit, parts: &[&str]) -> Made {
    let (live, at) = (&visitor.live, site.index.now());
    match *parts {
        [] | ["history"] => {
            let rows = live.applications().await?;
            let seen = seen_runs(access, visitor).await?;
            // Verdicts are of all data: for who may see all applications.
            let (data, watched) = match seen {
                None => (site.in_need(), Some(site.settings.watched.seen())),
                Some(_) => (Vec::new(), None),
            };
            let listed = of_seen(site, seen, None);
            Ok(Ok(home(site, visit, &rows, &listed, &data, watched.as_deref(), at)))
        }
        ["applications", namespace, name, ref rest @ ..] => {
            let app = Application::new(live.application(namespace, name).await?, at);
            of_application(site, access, visitor, visit, &app, rest).await
        }
        ["cluster"] => Ok(Ok(cluster::page(visit, &facts(live, at).await))),
        ["cluster", "node"] => Ok(cluster::node(visit, &facts(live, at).await)),
        ["connect"] => Ok(Ok(desk::connect(visit, &live.connect_servers().await))),
        ["sql"] => {
            let server = visit.query.first("server").unwrap_or_default();
            let servers = live.connect_servers().await;
            let tariffs = site.tariffs();
            Ok(Ok(ask::page(
                visit,
                &visitor.csrf,
                &servers,
                tariffs,
                (server, ""),
                None,
            )))
        }
        ["check"] => Ok(Ok(desk::check(visit, &visitor.csrf, None))),
        _ => Ok(Err(Missing::NotFound)),
    }
}

impl Site {
    pub(super) fn tariffs(&self) -> ask::Tariffs<'_> {
        ask::Tariffs {
            prices: self.settings.prices.as_ref(),
            now: self.index.now(),
        }
    }
}

/// The first page. What is not counted yet of the costs it shows is counted beside it, for the next look.
fn home(
    site: &Arc<Site>,
    visit: &Visit,
    rows: &[Row],
    listed: &[Listed],
    data: &[Summary],
    watched: Option<&Observed>,
    at: i64,
) -> Page {
    let uncounted = RefCell::new(Vec::new());
    let cost = |one: &Listed| {
        let cost = site.cost_of(one, Instant::now());
        if cost == Cell::Nothing && one.attempts.iter().all(|attempt| attempt.completed) {
            uncounted.borrow_mut().push(one.clone());
        }
        cost
    };
    let cost = site.settings.prices.is_some().then_some(&cost as &CostOf<'_>);
    let page = now::page(visit, rows, listed, data, watched, cost, at);
    let uncounted = uncounted.into_inner();
    if !uncounted.is_empty() {
        let site = site.clone();
        tokio::task::spawn_blocking(move || {
            let until = Instant::now() + PATIENCE;
            uncounted.iter().for_each(|one| drop(site.cost_of(one, until)));
        });
    }
    page
}

/// The runs of the history that the visitor may see, with that of an application it was shown.
async fn listed(
    site: &Site,
    access: &Access,
    visitor: &Visitor,
    own: Option<&str>,
) -> Result<Arc<Vec<Listed>>, Refusal> {
    Ok(of_seen(site, seen_runs(access, visitor).await?, own))
}

fn of_seen(site: &Site, seen: Option<HashSet<String>>, own: Option<&str>) -> Arc<Vec<Listed>> {
    let all = site.index.listed();
    match seen {
        None => all,
        Some(seen) => {
            let is_seen = |one: &&Listed| seen.contains(&one.id) || own == Some(one.id.as_str());
            Arc::new(all.iter().filter(is_seen).cloned().collect())
        }
    }
}

async fn of_application(
    site: &Arc<Site>,
    access: &Access,
    visitor: &Visitor,
    visit: &Visit,
    app: &Application,
    rest: &[&str],
) -> Made {
    let (live, row) = (&visitor.live, &app.row);
    let pods = || live.pods_of(&row.namespace, &row.name);
    Ok(match *rest {
        [] => {
            let pods = pods().await;
            let events = events(live, app, &pods).await;
            let listed = listed(site, access, visitor, row.spark.as_deref()).await?;
            // Of a log that still grows it would be found out again and again.
            let findings = match row.phase.is_terminal() {
                true => findings(site, app, false).await,
                false => Vec::new(),
            };
            Ok(application::overview(app, visit, &pods, &events, &listed, &findings))
        }
        ["pods"] => Ok(application::pods_page(app, visit, &pods().await)),
        ["events"] => {
            let events = events(live, app, &pods().await).await;
            Ok(application::events_page(app, visit, &events))
        }
        ["manifest"] => Ok(application::manifest(app, visit)),
        ["change"] => {
            let found = findings(site, app, true).await;
            let Some(finding) = change::named(&found, visit.query.first("change").unwrap_or_default()) else {
                return Ok(Err(Missing::NotFound));
            };
            let patch = finding.patch().cloned().unwrap_or_default();
            let tried = live.change(&row.namespace, &row.name, &patch, None, true).await;
            let tried = tried.map(|object| serde_json::to_value(object).unwrap_or_default());
            Ok(change::page(app, visit, &visitor.csrf, finding, &tried))
        }
        ["log"] => return log(live, app, visit, pods().await).await,
        _ => Err(Missing::NotFound),
    })
}

/// What the doctor finds in the log of its run; a large log is read only where that is wanted.
pub(super) async fn findings(site: &Arc<Site>, app: &Application, wanted: bool) -> Vec<Diagnostic> {
    let all = site.index.listed();
    let run = app
        .row
        .spark
        .as_deref()
        .and_then(|id| all.iter().find(|one| one.id == id));
    let Some(attempt) = run.and_then(|run| run.attempts.first().cloned()) else {
        return Vec::new();
    };
    let Ok(_turn) = site.turns.acquire().await else {
        return Vec::new();
    };
    let site = site.clone();
    match tokio::task::spawn_blocking(move || site.verdicts.of(&site.index, &attempt, wanted, false)).await {
        Ok(Verdict::Found(all)) => all.to_vec(),
        _ => Vec::new(),
    }
}

/// Events about an application, its driver and some of the pods that do not run.
async fn events(live: &Live, app: &Application, pods: &Seen<Pod>) -> Seen<Event> {
    let row = &app.row;
    let mut about = vec![("SparkApplication", row.name.clone())];
    let known = pods.as_deref().unwrap_or_default();
    let mut wanted: Vec<&Pod> = known
        .iter()
        .filter(|pod| pods::is_driver(pod) || pods::phase(pod) != "Running")
        .collect();
    wanted.sort_by_key(|pod| !pods::is_driver(pod));
    about.extend(wanted.iter().take(EVENTS_OF).map(|pod| ("Pod", pod.name_any())));
    let asked = about
        .iter()
        .map(|(kind, name)| live.events_of(&row.namespace, kind, name));
    let mut all = Vec::new();
    for found in futures::future::join_all(asked).await {
        all.extend(found?);
    }
    Ok(all)
}

async fn log(live: &Live, app: &Application, visit: &Visit, pods: Seen<Pod>) -> Made {
    let pods = match pods {
        Ok(pods) => pods,
        Err(refusal) => return Ok(Ok(application::log(app, visit, "", &Err(refusal)))),
    };
    let wanted = visit.query.first("pod").filter(|name| !name.is_empty());
    // Only pods of this application: an address must not lead to another's.
    let pod = pods::of_log(&pods, wanted, app.status.driver_info.pod_name.as_deref());
    let Some(pod) = pod else {
        return Ok(match wanted {
            Some(_) => Err(Missing::NotFound),
            None => Ok(application::log(app, visit, "", &Ok(logs::Read::default()))),
        });
    };
    let (name, container) = (pod.name_any(), pods::main_container(pod));
    let lines = visit.number("lines").unwrap_or(LINES).clamp(1, MOST_LINES);
    let read = logs::read(live, &app.row.namespace, &name, &container, lines).await;
    Ok(Ok(application::log(app, visit, &name, &read)))
}

async fn facts(live: &Live, now: i64) -> cluster::Cluster {
    let (nodes, pods, quotas) = futures::join!(live.nodes(), live.pods(), live.quotas());
    let mut events = Vec::new();
    let known = pods.as_deref().unwrap_or_default();
    let asked = cluster::to_ask(known).into_iter().map(async |pod| {
        live.events_of(&pod.namespace().unwrap_or_default(), "Pod", &pod.name_any())
            .await
    });
    for found in futures::future::join_all(asked).await {
        events.extend(found.unwrap_or_default());
    }
    cluster::Cluster {
        nodes,
        pods,
        quotas,
        events,
        now,
    }
}
