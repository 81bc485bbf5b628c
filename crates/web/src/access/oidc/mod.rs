//! Sign-in with an OpenID Connect provider: the authorization code flow with PKCE (RFC 6749, 7636, OpenID Connect Core 1.0). What comes of it is an ID
//! token, which the API server is shown: its own settings say whom it takes and as whom. Its signature is the API server's to check; here are
//! checked issuer, audience, times and nonce, of a token that came from the provider itself over TLS.
//!
//! Nothing is kept of a sign-in that has begun: what it needs to end is sealed into a cookie of the browser that began it.

mod claims;
mod client;
mod sealed;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::http::{HeaderMap, Request, StatusCode, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::origin::cookie;
use super::session::{Key, digest, secret};
use crate::address::part;
use claims::Wanted;
use client::Http;
use sealed::Seal;

/// How long signing in may take.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// How long what a provider says of itself is kept.
const FRESH: Duration = Duration::from_secs(3600);
/// For how long those who waited for an answer are told that there was none, without asking each for themselves.
const AGAIN: Duration = Duration::from_secs(1);
/// Sign-ins that have ended and are remembered, so that none ends twice.
const REMEMBERED: usize = 10_000;
/// What lasts longer is as good as this.
const LONG: Duration = Duration::from_secs(365 * 86_400);
/// Bytes of a token.
const LONGEST: usize = 16 << 10;
/// Letters of what a provider says that are shown.
const SHOWN: usize = 200;

/// Which provider, and what we are to it.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Its name, an address; exactly as it stands in its tokens.
    pub issuer: String,
    pub client_id: String,
    /// A file with the secret of the client; none for a public one. It is read at each sign-in.
    pub client_secret: Option<PathBuf>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// Certificates of authorities that are trusted instead of this machine's, as PEM.
    pub authorities: Option<Vec<u8>>,
}

/// Why no one is signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The provider gives no answer.
    #[error("{0}")]
    Unanswered(String),
    /// The provider says no.
    #[error("{0}")]
    Refused(String),
    /// Its answer is not as it must be.
    #[error("{0}")]
    Wrong(String),
    /// It was not begun in this browser, or too long ago, or it has ended before.
    #[error("not begun here, or ended before")]
    Unknown,
}

/// What a provider says of itself.
#[derive(Debug, Clone, Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    /// OpenID Connect RP-Initiated Logout 1.0, 2.1.
    #[serde(default)]
    end_session_endpoint: Option<String>,
}

/// A sign-in that has begun.
#[derive(Serialize, Deserialize)]
struct Begun {
    state: String,
    nonce: String,
    verifier: String,
    redirect: String,
    next: String,
    /// In seconds since 1970.
    at: i64,
}

/// What a provider gives to who has signed in.
#[derive(Clone)]
pub struct Granted {
    /// What the API server is shown.
    pub token: String,
    /// Whom it names.
    pub subject: String,
    /// Their session at the provider, where it names one.
    pub session: Option<String>,
    /// When it ends.
    pub until: Instant,
    /// What gets the next one, where the provider gives it.
    pub refresh: Option<String>,
}

impl fmt::Debug for Granted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Granted")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

pub struct Provider {
    terms: Terms,
    http: Http,
    seal: Seal,
    known: tokio::sync::Mutex<Option<(Instant, Result<Discovered, Trouble>)>>,
    ended: Mutex<HashMap<Key, Instant>>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Provider")
            .field("issuer", &self.terms.issuer)
            .finish_non_exhaustive()
    }
}

/// Whether an address is HTTPS, or HTTP to this machine alone.
fn is_safe(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || bare.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => is_here,
        _ => false,
    }
}

/// The beginning of what someone else says, on one line.
fn shown(text: &str) -> String {
    text.chars()
        .take(SHOWN)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

fn form(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", part(value)))
        .collect();
    pairs.join("&")
}

/// An endpoint with parameters, beside those that it has.
fn with_query(endpoint: &str, query: &str) -> String {
    let joint = if endpoint.contains('?') { '&' } else { '?' };
    format!("{endpoint}{joint}{query}")
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

impl Provider {
    /// A provider; it is not asked yet.
    ///
    /// # Errors
    /// When the issuer is no address that may be trusted, or the authorities are none.
    pub fn new(terms: Terms) -> Result<Provider, String> {
        if !is_safe(&terms.issuer) || terms.issuer.contains(['?', '#']) {
            return Err(format!(
                "{}: an issuer is https://HOST/PATH without a query (http:// for this machine alone)",
                terms.issuer
            ));
        }
        if terms.client_id.is_empty() {
            return Err("the client has no id".to_owned());
        }
        Ok(Provider {
            http: Http::new(terms.authorities.as_deref())?,
            seal: Seal::new()?,
            known: tokio::sync::Mutex::default(),
            ended: Mutex::default(),
            terms,
        })
    }

    /// Its name for people: the host of its address.
    pub fn name(&self) -> &str {
        let rest = self.terms.issuer.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }

    async fn discovered(&self) -> Result<Discovered, Trouble> {
        let mut known = self.known.lock().await;
        if let Some((at, told)) = known.as_ref()
            && at.elapsed() < if told.is_ok() { FRESH } else { AGAIN }
        {
            return told.clone();
        }
        let told = self.asked().await;
        *known = Some((Instant::now(), told.clone()));
        told
    }

    /// Asks the provider what it says of itself.
    async fn asked(&self) -> Result<Discovered, Trouble> {
        let address = format!(
            "{}/.well-known/openid-configuration",
            self.terms.issuer.trim_end_matches('/')
        );
        let request = Request::get(&address).header(header::ACCEPT, "application/json");
        let (status, answer) = self.http.json(request, String::new()).await?;
        if status != StatusCode::OK {
            return Err(Trouble::Unanswered(format!("{address}: {status}")));
        }
        let told: Discovered = serde_json::from_value(answer)
            .map_err(|error| Trouble::Wrong(format!("{address}: {}", shown(&error.to_string()))))?;
        if told.issuer != self.terms.issuer {
            let other = shown(&told.issuer);
            return Err(Trouble::Wrong(format!("{address} is of another issuer, {other}")));
        }
        for endpoint in [&told.authorization_endpoint, &told.token_endpoint] {
            if !is_safe(endpoint) {
                return Err(Trouble::Wrong(format!("{} is not HTTPS", shown(endpoint))));
            }
        }
        Ok(told)
    }

    /// Begins a sign-in that comes back to `redirect` and then goes on to `next`: where the browser goes now, and what its cookie keeps.
    ///
    /// # Errors
    /// When the provider does not say where to go.
    pub async fn begin(&self, redirect: &str, next: &str) -> Result<(String, String), Trouble> {
        let told = self.discovered().await?;
        let begun = Begun {
            state: secret(),
            nonce: secret(),
            verifier: secret(),
            redirect: redirect.to_owned(),
            next: if next.len() <= 1024 { next } else { "/" }.to_owned(),
            at: now(),
        };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&begun.verifier));
        let scopes = std::iter::once("openid").chain(self.terms.scopes.iter().map(String::as_str));
        let mut scopes: Vec<&str> = scopes.collect();
        scopes.dedup();
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &self.terms.client_id),
            ("redirect_uri", redirect),
            ("scope", &scopes.join(" ")),
            ("state", &begun.state),
            ("nonce", &begun.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let kept = serde_json::to_vec(&begun).unwrap_or_default();
        Ok((with_query(&told.authorization_endpoint, &query), self.seal.close(&kept)))
    }

    /// Ends a sign-in: `cookie` is what the browser has kept, the others are what the provider has it come back with. Gives also where to go on.
    ///
    /// # Errors
    /// When it is not one that has begun in this browser, or the provider or its token is not as it must be.
    pub async fn end(&self, cookie: &str, back: &Back<'_>) -> Result<(Granted, String), Trouble> {
        let begun = self.seal.open(cookie).ok_or(Trouble::Unknown)?;
        let begun: Begun = serde_json::from_slice(&begun).map_err(|_| Trouble::Unknown)?;
        let age = now() - begun.at;
        let is_ours = digest(&begun.state) == digest(back.state);
        if !is_ours || !(0..PATIENCE.as_secs() as i64).contains(&age) || !self.is_first(&begun.state) {
            return Err(Trouble::Unknown);
        }
        if let Some(error) = back.error {
            let about = back.about.unwrap_or_default();
            return Err(Trouble::Refused(shown(&format!("{error} {about}"))));
        }
        let told = self.discovered().await?;
        // Another provider's answer must not be taken for this one's (RFC 9207).
        let is_its = match back.issuer {
            Some(issuer) => issuer == told.issuer,
            None => !told.authorization_response_iss_parameter_supported,
        };
        if !is_its {
            return Err(Trouble::Wrong("the answer is of another issuer".to_owned()));
        }
        let code = back.code.filter(|code| !code.is_empty());
        let code = code.ok_or_else(|| Trouble::Wrong("the answer has no code".to_owned()))?;
        let asked = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", begun.redirect.as_str()),
            ("code_verifier", begun.verifier.as_str()),
        ];
        let granted = self.granted(&told, &asked, Some(&begun.nonce)).await?;
        let granted = granted.ok_or_else(|| Trouble::Wrong("the answer has no ID token".to_owned()))?;
        Ok((granted, begun.next))
    }

    /// The next token of someone who has signed in; none where the provider gives no more ID tokens.
    ///
    /// # Errors
    /// When the provider says no, or the token is someone else's.
    pub async fn renew(&self, refresh: &str, subject: &str) -> Result<Option<Granted>, Trouble> {
        let told = self.discovered().await?;
        let asked = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        let Some(granted) = self.granted(&told, &asked, None).await? else {
            return Ok(None);
        };
        match granted.subject == subject {
            // A provider that gives no new one lets the old one be used again.
            true => Ok(Some(Granted {
                refresh: granted.refresh.or_else(|| Some(refresh.to_owned())),
                ..granted
            })),
            false => Err(Trouble::Wrong("the token is someone else's".to_owned())),
        }
    }

    /// Where a browser ends its session at the provider, which then has it come back to `back` (OpenID Connect RP-Initiated Logout 1.0); none
    /// where the provider has no such place. The address shows the provider the token that it has given, and is for that browser alone.
    ///
    /// # Errors
    /// When the provider does not say whether there is one, or it is not HTTPS.
    pub async fn leave(&self, token: &str, back: &str) -> Result<Option<String>, Trouble> {
        let told = self.discovered().await?;
        let Some(endpoint) = told.end_session_endpoint else {
            return Ok(None);
        };
        if !is_safe(&endpoint) {
            return Err(Trouble::Wrong(format!("{} is not HTTPS", shown(&endpoint))));
        }
        let query = form(&[
            ("id_token_hint", token),
            ("client_id", &self.terms.client_id),
            ("post_logout_redirect_uri", back),
        ]);
        Ok(Some(with_query(&endpoint, &query)))
    }

    /// What the provider gives for a code or for a refresh token; nothing where there is no ID token in it.
    async fn granted(
        &self,
        told: &Discovered,
        asked: &[(&str, &str)],
        nonce: Option<&str>,
    ) -> Result<Option<Granted>, Trouble> {
        let mut asked = asked.to_vec();
        let mut request = Request::post(&told.token_endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        let id = &self.terms.client_id;
        let secret = match &self.terms.client_secret {
            None => None,
            Some(file) => {
                let text = tokio::fs::read_to_string(file).await;
                // Whose file it is, is not the visitor's to know.
                let text = text.map_err(|error| {
                    tracing::error!(%error, file = %file.display(), "the secret of the OIDC client cannot be read");
                    Trouble::Unanswered("the secret of the client cannot be read".to_owned())
                })?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        let methods = told.token_endpoint_auth_methods_supported.as_deref();
        // The default where a provider names none (OpenID Connect Discovery 1.0, 3).
        let takes_basic = methods.is_none_or(|all| all.iter().any(|one| one == "client_secret_basic"));
        match secret.as_deref() {
            Some(secret) if takes_basic => {
                let pair = STANDARD.encode(format!("{}:{}", part(id), part(secret)));
                request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
            }
            Some(secret) => asked.extend([("client_id", id.as_str()), ("client_secret", secret)]),
            None => asked.push(("client_id", id.as_str())),
        }
        let (status, answer) = self.http.json(request, form(&asked)).await?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if status.is_server_error() {
            return Err(Trouble::Unanswered(format!("{}: {status}", told.token_endpoint)));
        }
        if status != StatusCode::OK {
            let (error, about) = (text("error").unwrap_or(status.as_str()), text("error_description"));
            return Err(Trouble::Refused(shown(&format!(
                "{error} {}",
                about.unwrap_or_default()
            ))));
        }
        let Some(token) = text("id_token").filter(|token| token.len() <= LONGEST) else {
            return Ok(None);
        };
        let wanted = Wanted {
            issuer: &self.terms.issuer,
            client: id,
            nonce,
            now: now(),
        };
        let claims = claims::read(token, &wanted).map_err(Trouble::Wrong)?;
        let left = claims.until.saturating_mul(1000) - jiff::Timestamp::now().as_millisecond();
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        Ok(Some(Granted {
            token: token.to_owned(),
            subject: claims.subject,
            session: claims.session,
            until: Instant::now() + left.min(LONG),
            refresh: text("refresh_token").map(str::to_owned),
        }))
    }

    /// Why a sign-in has failed, as a browser keeps it until it is shown: not in an address, where anyone could write it.
    pub fn sealed_reason(&self, why: &str) -> String {
        self.seal
            .close(&serde_json::to_vec(&json!({ "why": why })).unwrap_or_default())
    }

    /// The reason that a browser has kept.
    pub fn reason(&self, headers: &HeaderMap) -> Option<String> {
        let kept = self.seal.open(cookie(headers, super::BEGUN)?)?;
        let kept: Value = serde_json::from_slice(&kept).ok()?;
        kept["why"].as_str().map(str::to_owned)
    }

    /// Whether a sign-in has not ended before.
    fn is_first(&self, state: &str) -> bool {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() >= REMEMBERED {
            ended.retain(|_, at| at.elapsed() < PATIENCE);
        }
        // Only who has begun one comes here; one more than these waits for the others to be forgotten.
        ended.len() < REMEMBERED && ended.insert(digest(state), Instant::now()).is_none()
    }
}

/// What a provider has a browser come back with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Back<'a> {
    pub state: &'a str,
    pub code: Option<&'a str>,
    pub issuer: Option<&'a str>,
    pub error: Option<&'a str>,
    /// What it says of the error.
    pub about: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_that_may_be_trusted() {
        for (issuer, is_one) in [
            ("https://login.example.com/realms/spark", true),
            ("https://login.example.com:8443", true),
            ("http://127.0.0.1:9400", true),
            ("http://[::1]:9400", true),
            ("http://localhost:9400", true),
            ("http://login.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("https://", false),
            ("https://a.example.com/?x=y", false),
            ("login.example.com", false),
            ("file:///etc/passwd", false),
            ("", false),
        ] {
            let terms = Terms {
                issuer: issuer.to_owned(),
                client_id: "spark".to_owned(),
                ..Terms::default()
            };
            assert_eq!(Provider::new(terms).is_ok(), is_one, "{issuer}");
        }
    }

    #[test]
    fn a_sign_in_ends_once() {
        let provider = Provider::new(Terms {
            issuer: "https://login.example.com/x".to_owned(),
            client_id: "spark".to_owned(),
            ..Terms::default()
        });
        let provider = provider.unwrap();
        assert!(provider.is_first("a") && !provider.is_first("a") && provider.is_first("b"));
        assert_eq!(provider.name(), "login.example.com");
    }
}
