//! Who may see a cluster's pages. On a laptop: who has the secret link; requests go out as the kubeconfig says. On a cluster: who has a token that
//! the API server takes, their own or one that an identity provider gives them ([`oidc`]); requests go out with that token and with nothing else.
//! All get a session: a random cookie that ends.

pub mod oidc;
pub mod origin;
pub mod session;
pub mod streams;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Api, PostParams};
use kube::{Client, Config};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::live::{Live, Refusal};
use oidc::{Back, Granted, Provider, Trouble};
use origin::cookie;
use session::{Grant, Held, Key, Sessions, Terms, Visitor, digest, secret};
use streams::Streams;

/// Tokens that are looked at, at a time: each is a question to the API server.
const SIGN_INS: usize = 4;
/// Bytes of a token; those of identity providers stay below.
const LONGEST: usize = 16 << 10;
/// Requests to the API server at a time, of all visitors together.
const AT_ONCE: usize = 32;
/// How long before a token ends the next one is asked for, at most.
const EARLY: Duration = Duration::from_secs(60);
/// Between two attempts to get the next one.
const AGAIN: Duration = Duration::from_secs(5);
/// The cookie of a sign-in with a provider that has begun.
const BEGUN: &str = "stoke-oidc";

/// How visitors are let in.
enum Way {
    /// By a secret in the link, as the owner of a client.
    Link {
        secret: String,
        owner: Arc<Live>,
        who: String,
    },
    /// By a token of the API server at this address, with this authority and without credentials.
    Token(Box<Config>),
}

/// Who may see pages of a cluster, and the sessions of those who do.
pub struct Access {
    way: Way,
    provider: Option<Provider>,
    sessions: Sessions,
    /// Name of the cookie: two servers of one machine share its cookies, whatever their ports.
    cookie: String,
    /// Whether the status API answers without a session, as it does without pages of a cluster.
    open_api: bool,
    asked: Arc<Semaphore>,
    sign_ins: Semaphore,
    pub(crate) streams: Streams,
}

impl fmt::Debug for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Access")
            .field("cookie", &self.cookie)
            .finish_non_exhaustive()
    }
}

/// Why someone is not let in.
#[derive(Debug)]
pub enum Denied {
    /// What was shown is not, or no longer, valid.
    Wrong,
    /// The API server did not answer the question.
    Unanswered(Refusal),
    /// The identity provider lets no one in.
    Provider(Trouble),
}

impl Access {
    /// For a laptop: whoever has the link sees what `client` sees, in these namespaces (none: all), which are watched.
    #[must_use]
    pub fn by_link(client: Client, namespaces: Vec<String>, who: &str, port: u16) -> Access {
        let asked = Arc::new(Semaphore::new(AT_ONCE));
        Access {
            way: Way::Link {
                secret: secret(),
                owner: Arc::new(Live::watching(client, namespaces, asked.clone())),
                who: who.to_owned(),
            },
            provider: None,
            sessions: Sessions::new(Terms::LAPTOP),
            cookie: format!("stoke-{port}"),
            open_api: false,
            asked,
            sign_ins: Semaphore::new(SIGN_INS),
            streams: Streams::default(),
        }
    }

    /// For a cluster: whoever has a token sees what that token may see. Credentials of `config` are not used.
    #[must_use]
    pub fn by_token(config: &Config, terms: Terms) -> Access {
        let mut bare = Config::new(config.cluster_url.clone());
        bare.root_cert.clone_from(&config.root_cert);
        bare.root_cert_file.clone_from(&config.root_cert_file);
        bare.accept_invalid_certs = config.accept_invalid_certs;
        bare.tls_server_name.clone_from(&config.tls_server_name);
        bare.proxy_url.clone_from(&config.proxy_url);
        Access {
            way: Way::Token(Box::new(bare)),
            provider: None,
            sessions: Sessions::new(terms),
            cookie: "stoke-session".to_owned(),
            open_api: false,
            asked: Arc::new(Semaphore::new(AT_ONCE)),
            sign_ins: Semaphore::new(SIGN_INS),
            streams: Streams::default(),
        }
    }

    /// Lets the status API answer without a session.
    #[must_use]
    pub fn with_open_api(mut self) -> Access {
        self.open_api = true;
        self
    }

    /// Lets visitors with an identity provider sign in there, too.
    #[must_use]
    pub fn with_provider(mut self, provider: Provider) -> Access {
        self.provider = Some(provider);
        self
    }

    /// The identity provider that visitors may sign in with.
    pub fn provider(&self) -> Option<&Provider> {
        self.provider.as_ref()
    }

    /// Whether the status API answers without a session.
    pub fn api_is_open(&self) -> bool {
        self.open_api
    }

    /// Whether visitors sign in with a token.
    pub fn wants_token(&self) -> bool {
        matches!(self.way, Way::Token(_))
    }

    /// The path that lets its owner in; none where visitors have tokens of their own.
    pub fn link(&self) -> Option<String> {
        match &self.way {
            Way::Link { secret, .. } => Some(format!("/open?token={secret}")),
            Way::Token(_) => None,
        }
    }

    /// The visitor of a request: by its session, or by a bearer token of its own.
    ///
    /// `counts` says whether the request shows that someone is there: what a page asks by itself does not.
    ///
    /// # Errors
    /// When there is no session, or it has ended, or the token is not taken.
    pub async fn visitor(&self, headers: &HeaderMap, counts: bool) -> Result<Visitor, Denied> {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.strip_prefix("Bearer "));
        if let Some(token) = bearer {
            return self.bearer(token.trim()).await;
        }
        let now = Instant::now();
        let visitor = cookie(headers, &self.cookie)
            .and_then(|value| self.sessions.find(&digest(value), now, counts))
            .ok_or(Denied::Wrong)?;
        self.renewed(visitor).await
    }

    /// A visitor whose token is about to end, or has ended, with the next one, where their provider gives it.
    async fn renewed(&self, visitor: Visitor) -> Result<Visitor, Denied> {
        let (Some(grant), Some(key), Some(provider), Way::Token(config)) =
            (visitor.grant.clone(), visitor.cookie, &self.provider, &self.way)
        else {
            return Ok(visitor);
        };
        let Granted {
            until,
            refresh,
            subject,
            ..
        } = &grant.granted;
        let left = || until.saturating_duration_since(Instant::now());
        let early = EARLY.min(until.saturating_duration_since(grant.since) / 4);
        let Some(refresh) = refresh.as_deref().filter(|_| left() <= early) else {
            return Ok(visitor);
        };
        // While there is some time left, one request asks and the others go on.
        let mut asked = match (left().is_zero(), grant.asked.try_lock()) {
            (_, Ok(asked)) => asked,
            (true, Err(_)) => grant.asked.lock().await,
            (false, Err(_)) => return Ok(visitor),
        };
        let current = self.sessions.find(&key, Instant::now(), false).ok_or(Denied::Wrong)?;
        if !current
            .grant
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, &grant))
        {
            return Ok(current);
        }
        let next = match *asked {
            Some(at) if at.elapsed() < AGAIN => Err(Trouble::Unanswered(provider.name().to_owned())),
            _ => {
                let next = provider.renew(refresh, subject).await;
                *asked = Some(Instant::now());
                next
            }
        };
        let end = |denied| {
            self.sessions.close(&key);
            Err(denied)
        };
        let next = match next {
            Ok(Some(next)) => next,
            // With the token it has the session goes on until that ends.
            Ok(None) if !left().is_zero() => {
                let last = Granted {
                    refresh: None,
                    ..grant.granted.clone()
                };
                self.sessions
                    .change(&key, visitor.live.clone(), Some(Grant::new(last, grant.since)));
                return self.sessions.find(&key, Instant::now(), false).ok_or(Denied::Wrong);
            }
            Ok(None) => return end(Denied::Wrong),
            Err(Trouble::Unanswered(_)) if !left().is_zero() => return Ok(visitor),
            Err(trouble @ Trouble::Unanswered(_)) => return Err(Denied::Provider(trouble)),
            Err(trouble) => return end(Denied::Provider(trouble)),
        };
        let namespaces = visitor.live.namespaces().to_vec();
        let live = self.live(config, &next.token, namespaces)?;
        match self.whose(&live).await {
            Ok(who) if who != visitor.who => return end(Denied::Wrong),
            Err(Denied::Wrong) => return end(Denied::Wrong),
            // Where it does not answer now, each request asks it anyway.
            Ok(_) | Err(_) => {}
        }
        self.sessions.change(&key, live, Some(Grant::new(next, Instant::now())));
        self.sessions.find(&key, Instant::now(), false).ok_or(Denied::Wrong)
    }

    async fn bearer(&self, token: &str) -> Result<Visitor, Denied> {
        match &self.way {
            Way::Link { secret, owner, who } => match digest(secret) == digest(token) {
                true => Ok(Visitor::without_session(owner.clone(), who)),
                false => Err(Denied::Wrong),
            },
            Way::Token(config) => {
                let key = digest(&format!("bearer {token}"));
                let now = Instant::now();
                if let Some(known) = self.sessions.find(&key, now, true) {
                    return Ok(Visitor { cookie: None, ..known });
                }
                let (live, who) = self.checked(config, token, Vec::new()).await?;
                self.sessions.keep(key, &who, live.clone(), None, now);
                Ok(Visitor::without_session(live, &who))
            }
        }
    }

    /// Lets the owner of the link in; gives the cookie.
    pub fn by_secret(&self, shown: &str) -> Option<String> {
        match &self.way {
            Way::Link { secret, owner, who } if digest(secret) == digest(shown) => {
                Some(self.sessions.open(who, owner.clone(), None, Instant::now()))
            }
            _ => None,
        }
    }

    /// Lets the owner of a token in, for these namespaces (none: all); gives the cookie.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn sign_in(&self, token: &str, namespaces: Vec<String>) -> Result<String, Denied> {
        let Way::Token(config) = &self.way else {
            return Err(Denied::Wrong);
        };
        let (live, who) = self.checked(config, token, namespaces).await?;
        Ok(self.sessions.open(&who, live, None, Instant::now()))
    }

    /// Ends a sign-in with the provider, whose cookie these headers have; gives the cookie of the session, and where to go on.
    ///
    /// # Errors
    /// When the provider or the API server does not let the visitor in.
    pub async fn sign_in_with_provider(
        &self,
        headers: &HeaderMap,
        back: &Back<'_>,
    ) -> Result<(String, String), Denied> {
        let (Some(provider), Way::Token(config)) = (&self.provider, &self.way) else {
            return Err(Denied::Wrong);
        };
        let begun = cookie(headers, BEGUN).unwrap_or_default();
        let (granted, next) = provider.end(begun, back).await.map_err(Denied::Provider)?;
        let (live, who) = self.checked(config, &granted.token, Vec::new()).await?;
        let now = Instant::now();
        Ok((
            self.sessions.open(&who, live, Some(Grant::new(granted, now)), now),
            next,
        ))
    }

    /// Shows a visitor these namespaces from now on; none: all.
    pub fn choose(&self, visitor: &Visitor, namespaces: Vec<String>) {
        if let Some(key) = visitor.cookie.filter(|_| self.wants_token()) {
            let live = Live::new(visitor.live.client(), namespaces, self.asked.clone());
            self.sessions.change(&key, Arc::new(live), visitor.grant.clone());
        }
    }

    /// A session, while it lasts, for what lasts as long.
    pub fn hold(&self, key: &Key) -> Option<Held> {
        self.sessions.hold(key, Instant::now())
    }

    /// Ends the session of a visitor.
    pub fn sign_out(&self, visitor: &Visitor) {
        if let Some(key) = &visitor.cookie {
            self.sessions.close(key);
        }
    }

    /// Ends the session of a visitor who wants to leave, with all that come of the same session at their provider; gives where the browser ends
    /// that one, before it comes back to `back`. None where there is no such place.
    ///
    /// # Errors
    /// When the provider does not say where; here it has ended all the same.
    pub async fn leave(&self, visitor: &Visitor, back: &str) -> Result<Option<String>, Denied> {
        self.sign_out(visitor);
        let (Some(grant), Some(provider)) = (&visitor.grant, &self.provider) else {
            return Ok(None);
        };
        self.sessions.close_all(&grant.granted);
        let left = provider.leave(&grant.granted.token, back).await;
        left.map_err(Denied::Provider)
    }

    /// The header that gives a browser its session; with an empty value, that takes it back.
    pub fn set_cookie(&self, value: &str, base: &str, secure: bool) -> String {
        let path = if base.is_empty() { "/" } else { base };
        let age = if value.is_empty() { "; Max-Age=0" } else { "" };
        let secure = if secure { "; Secure" } else { "" };
        format!(
            "{}={value}; Path={path}; HttpOnly; SameSite=Lax{secure}{age}",
            self.cookie
        )
    }

    /// The header that has a browser keep a sign-in that has begun; with an empty value, that takes it back.
    pub fn begun_cookie(value: &str, base: &str, secure: bool) -> String {
        let age = if value.is_empty() { 0 } else { oidc::PATIENCE.as_secs() };
        let secure = if secure { "; Secure" } else { "" };
        // The way back is a link of another site.
        format!("{BEGUN}={value}; Path={base}/sign-in; HttpOnly; SameSite=Lax{secure}; Max-Age={age}")
    }

    /// The cluster as the owner of a token may see it, and who that is.
    async fn checked(
        &self,
        config: &Config,
        token: &str,
        namespaces: Vec<String>,
    ) -> Result<(Arc<Live>, String), Denied> {
        let live = self.live(config, token, namespaces)?;
        let who = self.whose(&live).await?;
        Ok((live, who))
    }

    fn live(&self, config: &Config, token: &str, namespaces: Vec<String>) -> Result<Arc<Live>, Denied> {
        let plain = token.len() <= LONGEST && token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.is_empty() || !plain {
            return Err(Denied::Wrong);
        }
        let mut config = config.clone();
        config.auth_info = serde_json::from_value(json!({ "token": token })).map_err(|_| Denied::Wrong)?;
        let client = Client::try_from(config).map_err(|error| Denied::Unanswered(Refusal::of(&error)))?;
        Ok(Arc::new(Live::new(client, namespaces, self.asked.clone())))
    }

    /// Asks the API server, with the token itself, whose it is.
    async fn whose(&self, live: &Live) -> Result<String, Denied> {
        let _turn = self.sign_ins.acquire().await.map_err(|_| Denied::Wrong)?;
        let api: Api<SelfSubjectReview> = Api::all(live.client());
        let (terms, question) = (PostParams::default(), SelfSubjectReview::default());
        let review = live.asked(api.create(&terms, &question)).await;
        let review = review.map_err(|refusal| match refusal.status {
            401 => Denied::Wrong,
            _ => Denied::Unanswered(refusal),
        })?;
        let user = review
            .status
            .and_then(|status| status.user_info)
            .and_then(|user| user.username);
        match user {
            Some(name) if !name.is_empty() && name != "system:anonymous" => Ok(name),
            _ => Err(Denied::Wrong),
        }
    }
}
