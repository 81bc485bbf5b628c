//! One request to a registry, with its tries.

mod answer;
mod authorize;
mod settings;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, LOCATION, USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use stoke_storage::Connector;
use tokio::sync::Mutex;

use super::challenge::Challenge;
use crate::oci::error::{Kind, OciError, OciResult};

use self::authorize::scope;
pub use self::settings::Settings;
use self::settings::authorities;

/// What requests carry.
pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Most hops from one address to another.
const HOPS: usize = 5;
/// Largest answer of a token's server and of lists, in bytes.
const ANSWER: usize = 4 << 20;
/// Longest wait that a registry may ask for.
const LONGEST: Duration = Duration::from_secs(60);

/// A registry. Clones share connections and tokens.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    /// As images name it: `docker.io`, `localhost:5000`.
    host: String,
    settings: Settings,
    client: Client<Connector, Body>,
    /// Scheme and authority; found at the first request.
    base: Mutex<Option<String>>,
    /// `Authorization` by what it is for, and when it ends.
    given: Mutex<HashMap<String, Given>>,
}

/// An `Authorization`, and when it ends.
type Given = (HeaderValue, Option<Instant>);

/// By its host: the rest are secrets.
impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Registry").field(&self.inner.host).finish()
    }
}

/// One request: what it is, and how its body is made for each try.
pub(super) struct Call<'a> {
    pub method: Method,
    /// A path below the registry, or a whole URL.
    pub to: String,
    pub repository: &'a str,
    /// `pull` or `pull,push`, and other repositories that are read.
    pub actions: &'static str,
    pub also: Option<&'a str>,
    pub headers: HeaderMap,
    pub body: Option<&'a (dyn Fn() -> OciResult<(Body, u64)> + Sync)>,
    /// Whether a failure is tried again here; else its caller knows better.
    pub again: bool,
    /// Bytes of the body that were taken, so that a slow upload is distinguished from one that stands still.
    pub moved: Option<&'a AtomicU64>,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, to: impl Into<String>, repository: &'a str, actions: &'static str) -> Self {
        Self {
            method,
            to: to.into(),
            repository,
            actions,
            also: None,
            headers: HeaderMap::new(),
            body: None,
            again: true,
            moved: None,
        }
    }

    pub(super) fn header(mut self, name: http::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }
}

/// Why one try failed.
enum Tried {
    /// What may be otherwise next time, and how long the registry asks to wait.
    Again(OciError, Option<Duration>),
    Never(OciError),
}

impl Registry {
    /// A registry by the host that images name. Nothing is asked yet.
    ///
    /// # Errors
    /// A certificate that cannot be read.
    pub fn new(host: &str, settings: &Settings) -> OciResult<Self> {
        let authorities = authorities(host, settings)?;
        let connector = stoke_storage::connector(&authorities)
            .map_err(|error| OciError::new(Kind::Tls, format!("certificates for {host}: {error}")))?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        Ok(Self {
            inner: Arc::new(Inner {
                host: host.to_owned(),
                settings: settings.clone(),
                client,
                base: Mutex::new(None),
                given: Mutex::new(HashMap::new()),
            }),
        })
    }

    #[must_use]
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Scheme and authority. On this machine it is HTTP when the registry answers that, else HTTPS.
    async fn base(&self) -> String {
        let mut base = self.inner.base.lock().await;
        if let Some(known) = &*base {
            return known.clone();
        }
        let host = match self.inner.host.as_str() {
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        let found = match is_this_machine(host) && self.speaks_http(host).await {
            true => format!("http://{host}"),
            false => format!("https://{host}"),
        };
        *base = Some(found.clone());
        found
    }

    async fn speaks_http(&self, host: &str) -> bool {
        let request = Request::get(format!("http://{host}/v2/")).body(empty());
        let Ok(request) = request else { return true };
        let answer = tokio::time::timeout(self.inner.settings.idle, self.inner.client.request(request)).await;
        match answer {
            // A server of Go says so when it is spoken with in HTTP and wants HTTPS.
            Ok(Ok(answer)) => answer.status() != StatusCode::BAD_REQUEST,
            Ok(Err(error)) => error.is_connect(),
            Err(_) => true,
        }
    }

    /// Sends a request until it is answered with something that is not a failure for the moment. Answers of 4xx are errors.
    ///
    /// # Errors
    /// What the registry refuses, or that it was not reached.
    pub(super) async fn send(&self, call: &Call<'_>) -> OciResult<Response<Incoming>> {
        let settings = &self.inner.settings;
        let tries = if call.again { settings.tries.max(1) } else { 1 };
        let mut wait = settings.wait;
        for attempt in 1.. {
            let error = match self.attempt(call).await {
                Ok(answer) => return Ok(answer),
                Err(Tried::Never(error)) => return Err(error),
                Err(Tried::Again(error, asked)) => {
                    if asked.is_some_and(|asked| asked > LONGEST) {
                        return Err(error);
                    }
                    wait = asked.map_or(wait, |asked| asked.max(settings.wait));
                    error
                }
            };
            if attempt >= tries {
                return Err(error);
            }
            tracing::debug!(%error, attempt, ?wait, "asking the registry again");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST);
        }
        Err(self.unavailable("not asked"))
    }

    /// One try: with the authorization that is known, then with the one that the registry asks for.
    async fn attempt(&self, call: &Call<'_>) -> Result<Response<Incoming>, Tried> {
        let base = self.base().await;
        let scope = scope(call);
        let known = self.known(&scope).await;
        let had = known.is_some();
        let answer = self.follow(call, &base, known).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return self.judge(call, answer).await;
        }
        let challenge = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenge = challenge
            .filter_map(|header| header.to_str().ok())
            .find_map(Challenge::parse);
        let said = self.said(answer).await;
        let Some(challenge) = challenge else {
            return Err(Tried::Never(self.unauthorized(call, &said, true)));
        };
        if had {
            // It may have ended.
            self.inner.given.lock().await.remove(&scope);
        }
        let (given, with_credential) = self.authorize(call, &challenge, &scope).await?;
        let answer = self.follow(call, &base, Some(given)).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.inner.given.lock().await.remove(&scope);
            let said = self.said(answer).await;
            return Err(Tried::Never(self.unauthorized(call, &said, with_credential)));
        }
        self.judge(call, answer).await
    }

    /// Sends a request, and again to where its answers lead. Another host is given no authorization.
    async fn follow(
        &self,
        call: &Call<'_>,
        base: &str,
        given: Option<HeaderValue>,
    ) -> Result<Response<Incoming>, Tried> {
        let mut url = absolute(base, &call.to);
        for _ in 0..HOPS {
            let uri: Uri = url
                .parse()
                .map_err(|_| Tried::Never(self.malformed(&format!("`{url}` is not an address"))))?;
            self.allowed(&uri).map_err(Tried::Never)?;
            let is_home = same_place(&url, base);
            let mut request = Request::builder().method(call.method.clone()).uri(uri);
            if let Some(headers) = request.headers_mut() {
                headers.extend(call.headers.clone());
                headers.insert(
                    USER_AGENT,
                    HeaderValue::from_static(concat!("stoke/", env!("CARGO_PKG_VERSION"))),
                );
                if let Some(given) = given.as_ref().filter(|_| is_home) {
                    headers.insert(AUTHORIZATION, given.clone());
                }
            }
            let body = match call.body {
                Some(make) => {
                    let (body, size) = make().map_err(Tried::Never)?;
                    if let Some(headers) = request.headers_mut() {
                        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
                    }
                    body
                }
                None => {
                    if let Some(headers) = request.headers_mut()
                        && matches!(call.method, Method::POST | Method::PUT | Method::PATCH)
                    {
                        headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
                    }
                    empty()
                }
            };
            let request = request
                .body(body)
                .map_err(|error| Tried::Never(self.malformed(&error.to_string())))?;
            let answer = self.exchange(request, call.moved).await?;
            let is_redirect = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let location = answer
                .headers()
                .get(LOCATION)
                .and_then(|location| location.to_str().ok());
            match location {
                Some(location) if is_redirect => url = absolute(&url, location),
                _ => return Ok(answer),
            }
        }
        Err(Tried::Never(
            self.malformed(&format!("more than {HOPS} redirects from {}", call.to)),
        ))
    }

    /// HTTPS, or this machine.
    fn allowed(&self, uri: &Uri) -> OciResult<()> {
        let host = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        match uri.scheme_str() {
            Some("https") => Ok(()),
            Some("http") if is_this_machine(host) => Ok(()),
            _ => {
                let message = format!(
                    "{} leads to {}://{host}, which is not HTTPS",
                    self.inner.host,
                    uri.scheme_str().unwrap_or_default()
                );
                Err(OciError::new(Kind::Tls, message)
                    .with_fix("only a registry on this machine is spoken with in plain HTTP; give yours a certificate"))
            }
        }
    }

    /// One exchange; what stands still for too long has failed.
    async fn exchange(&self, request: Request<Body>, moved: Option<&AtomicU64>) -> Result<Response<Incoming>, Tried> {
        let idle = self.inner.settings.idle;
        let mut answer = std::pin::pin!(self.inner.client.request(request));
        let mut before = 0;
        loop {
            match tokio::time::timeout(idle, &mut answer).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => return Err(self.broken(&error)),
                Err(_) => {
                    let now = moved.map_or(0, |moved| moved.load(Ordering::Relaxed));
                    if now == before {
                        let message = format!("{} did not answer within {} s", self.inner.host, idle.as_secs_f64());
                        return Err(Tried::Again(OciError::new(Kind::Unavailable, message), None));
                    }
                    before = now;
                }
            }
        }
    }

    fn broken(&self, error: &hyper_util::client::legacy::Error) -> Tried {
        let mut causes = Vec::new();
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(cause) = source {
            // What our own body says: a file that cannot be read.
            if let Some(own) = cause.downcast_ref::<OciError>() {
                return Tried::Never(own.clone());
            }
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                let is_trust = matches!(tls, rustls::Error::InvalidCertificate(_));
                let message = format!("{}: {tls}", self.inner.host);
                let error = match is_trust {
                    true => OciError::new(Kind::Tls, message),
                    false => OciError::new(Kind::Tls, message).with_fix("check that it speaks HTTPS at that port"),
                };
                return Tried::Never(error);
            }
            if let Some(io) = cause.downcast_ref::<std::io::Error>()
                && let Some(inner) = io.get_ref()
                && (inner.is::<OciError>() || inner.is::<rustls::Error>())
            {
                source = Some(inner);
                continue;
            }
            let text = cause.to_string();
            if causes.last() != Some(&text) {
                causes.push(text);
            }
            source = cause.source();
        }
        Tried::Again(self.unavailable(&causes.join(": ")), None)
    }

    /// A whole answer of a limited size.
    ///
    /// # Errors
    /// One that is larger, or broken off.
    pub(super) async fn collect(&self, answer: Response<Incoming>, limit: u64, what: &str) -> OciResult<Bytes> {
        let limit = usize::try_from(limit).unwrap_or(ANSWER);
        let collected = self.collect_up_to(answer, limit + 1).await?;
        if collected.len() > limit {
            return Err(OciError::new(
                Kind::Limit,
                format!("{}: {what} has more than {limit} bytes", self.inner.host),
            ));
        }
        Ok(collected)
    }

    async fn collect_up_to(&self, answer: Response<Incoming>, limit: usize) -> OciResult<Bytes> {
        let mut body = answer.into_body();
        let mut all = Vec::new();
        while all.len() < limit {
            let Some(frame) = self.frame(&mut body).await? else {
                break;
            };
            let left = limit - all.len();
            all.extend_from_slice(&frame[..frame.len().min(left)]);
        }
        Ok(all.into())
    }

    /// The next piece of an answer.
    ///
    /// # Errors
    /// Broken off, or nothing came for too long.
    pub(super) async fn frame(&self, body: &mut Incoming) -> OciResult<Option<Bytes>> {
        loop {
            match tokio::time::timeout(self.inner.settings.idle, body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(_) => continue,
                },
                Ok(Some(Err(error))) => return Err(self.unavailable(&format!("the answer was broken off: {error}"))),
                Err(_) => {
                    let seconds = self.inner.settings.idle.as_secs_f64();
                    return Err(self.unavailable(&format!("nothing came for {seconds} s")));
                }
            }
        }
    }

    pub(super) fn unavailable(&self, why: &str) -> OciError {
        OciError::new(
            Kind::Unavailable,
            format!("{} cannot be reached: {why}", self.inner.host),
        )
    }

    pub(super) fn malformed(&self, why: &str) -> OciError {
        OciError::new(Kind::Malformed, format!("{}: {why}", self.inner.host))
    }
}

pub(super) fn empty() -> Body {
    full(Bytes::new())
}

pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An address that another one leads to (RFC 3986, section 5.2, for what registries send: whole ones, and paths from the root).
fn absolute(base: &str, to: &str) -> String {
    if to.contains("://") {
        return to.to_owned();
    }
    let (scheme, rest) = base.split_once("://").unwrap_or(("https", base));
    if let Some(other) = to.strip_prefix("//") {
        return format!("{scheme}://{other}");
    }
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    format!("{scheme}://{authority}/{}", to.trim_start_matches('/'))
}

fn same_place(url: &str, base: &str) -> bool {
    url.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// `localhost`, `127.0.0.0/8`, `[::1]`, with or without a port.
fn is_this_machine(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn this_machine_and_others() {
        for (host, here) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.8.9.1", true),
            ("[::1]:5000", true),
            ("localhost.example.com", false),
            ("10.0.0.1:5000", false),
            ("registry.example.com", false),
        ] {
            assert_eq!(is_this_machine(host), here, "{host}");
        }
    }

    #[test]
    fn addresses_lead_on() {
        for (base, to, wanted) in [
            ("https://r.io", "/v2/x", "https://r.io/v2/x"),
            ("https://r.io/v2/a?b", "/v2/x", "https://r.io/v2/x"),
            ("https://r.io", "https://s.io/x", "https://s.io/x"),
            ("http://r.io:5", "//s.io/x", "http://s.io/x"),
        ] {
            assert_eq!(absolute(base, to), wanted);
        }
        assert!(
            same_place("https://r.io/v2/", "https://r.io") && !same_place("https://r.io.evil.com/v2/", "https://r.io")
        );
        assert!(!same_place("https://r.io:444/", "https://r.io") && !same_place("http://r.io/", "https://r.io"));
    }
}
