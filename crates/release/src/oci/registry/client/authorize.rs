//! What answers a registry that asks who is there: a password, or a token for what is wanted.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, Uri};

use super::answer::retry_after;
use super::{ANSWER, Call, Registry, Tried, empty, full};
use crate::oci::error::{Kind, OciError};
use crate::oci::registry::challenge::{Challenge, Token, escape};
use crate::oci::registry::credentials::Credential;

impl Registry {
    /// What is known to answer this scope.
    pub(super) async fn known(&self, scope: &str) -> Option<HeaderValue> {
        let given = self.inner.given.lock().await;
        let (header, until) = given.get(scope).or_else(|| given.get(""))?;
        until.is_none_or(|until| Instant::now() < until).then(|| header.clone())
    }

    /// Answers a challenge: a header, and whether it is by a credential.
    pub(super) async fn authorize(
        &self,
        call: &Call<'_>,
        challenge: &Challenge,
        scope: &str,
    ) -> Result<(HeaderValue, bool), Tried> {
        let found = {
            let (credentials, host, repository) = (
                self.inner.settings.credentials.clone(),
                self.inner.host.clone(),
                call.repository.to_owned(),
            );
            // A helper is a process, and may ask its user.
            let looked = tokio::task::spawn_blocking(move || credentials.find(&host, &repository)).await;
            looked
                .map_err(|error| Tried::Never(self.unavailable(&error.to_string())))?
                .map_err(Tried::Never)?
        };
        let with = found.is_some();
        let (key, header, until) = match challenge {
            Challenge::Basic => match &found {
                Some(Credential::Password { user, password }) => (String::new(), basic(user, password), None),
                _ => {
                    return Err(Tried::Never(self.unauthorized(
                        call,
                        "it wants a user and a password",
                        false,
                    )));
                }
            },
            Challenge::Bearer {
                realm,
                service,
                scope: asked,
            } => {
                let token = self
                    .token(
                        realm,
                        service.as_deref(),
                        asked.as_deref().unwrap_or(scope),
                        scope,
                        found.as_ref(),
                    )
                    .await?;
                let lives = Duration::from_secs(token.expires_in.unwrap_or(60).clamp(60, 3600));
                // Not up to its last second.
                let until = Instant::now() + lives.mul_f32(0.8);
                let Some(text) = token.text() else {
                    return Err(Tried::Never(
                        self.malformed(&format!("{realm} answers without a token")),
                    ));
                };
                (
                    scope.to_owned(),
                    HeaderValue::from_str(&format!("Bearer {text}")).ok(),
                    Some(until),
                )
            }
        };
        let Some(mut header) = header else {
            return Err(Tried::Never(self.malformed("a token that is not text")));
        };
        header.set_sensitive(true);
        self.inner.given.lock().await.insert(key, (header.clone(), until));
        Ok((header, with))
    }

    /// Asks a token's server: the Docker token specification, and OAuth 2 with a refresh token.
    pub(super) async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        asked: &str,
        scope: &str,
        credential: Option<&Credential>,
    ) -> Result<Token, Tried> {
        // What is asked for first may be less than what is needed in all: a push asks for its own scopes.
        let mut scopes: Vec<&str> = scope.split(' ').filter(|scope| !scope.is_empty()).collect();
        for scope in asked.split(' ') {
            if !scope.is_empty() && !scopes.iter().any(|known| covers(known, scope)) {
                scopes.push(scope);
            }
        }
        let mut pairs: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
        pairs.extend(scopes.iter().map(|scope| ("scope", *scope)));
        let uri: Uri = realm
            .parse()
            .map_err(|_| Tried::Never(self.malformed(&format!("`{realm}` is not an address"))))?;
        self.allowed(&uri).map_err(Tried::Never)?;
        let request = match credential {
            Some(Credential::Identity(token)) => {
                let joined = scopes.join(" ");
                let mut form = vec![
                    ("grant_type", "refresh_token"),
                    ("client_id", "stoke"),
                    ("refresh_token", token),
                    ("scope", &joined),
                ];
                form.extend(service.map(|service| ("service", service)));
                Request::post(uri)
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(full(encoded(&form)))
            }
            other => {
                let separator = if realm.contains('?') { '&' } else { '?' };
                let mut request = Request::get(format!("{realm}{separator}{}", encoded(&pairs)));
                if let Some(Credential::Password { user, password }) = other
                    && let Some(header) = basic(user, password)
                {
                    request = request.header(AUTHORIZATION, header);
                }
                request.body(empty())
            }
        };
        let request = request.map_err(|error| Tried::Never(self.malformed(&error.to_string())))?;
        let answer = self.exchange(request, None).await?;
        let status = answer.status();
        if status.is_success() {
            let body = self
                .collect(answer, ANSWER as u64, "a token")
                .await
                .map_err(|error| Tried::Again(error, None))?;
            return serde_json::from_slice(&body).map_err(|_| {
                Tried::Never(self.malformed(&format!("{realm} answers with something else than a token")))
            });
        }
        let wait = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?, jiff::Timestamp::now()));
        let said = self.said(answer).await;
        let message = format!("{realm} gives no token for {}: {status}: {said}", self.inner.host);
        Err(match status.as_u16() {
            429 => Tried::Again(OciError::new(Kind::TooManyRequests, message), wait),
            500..=599 => Tried::Again(OciError::new(Kind::Unavailable, message), wait),
            _ => Tried::Never(OciError::new(Kind::Unauthorized, message)),
        })
    }

    pub(super) fn unauthorized(&self, call: &Call<'_>, said: &str, had: bool) -> OciError {
        let why = match had {
            true => "does not take these credentials",
            false => "wants credentials, and none are kept for it",
        };
        OciError::new(
            Kind::Unauthorized,
            format!("{}/{}: the registry {why}: {said}", self.inner.host, call.repository),
        )
    }
}

/// What a token is needed for.
pub(super) fn scope(call: &Call<'_>) -> String {
    let own = format!("repository:{}:{}", call.repository, call.actions);
    match call.also {
        Some(also) if also != call.repository => format!("{own} repository:{also}:pull"),
        _ => own,
    }
}

/// Whether a scope allows what another asks for.
fn covers(scope: &str, asked: &str) -> bool {
    match (scope.rsplit_once(':'), asked.rsplit_once(':')) {
        (Some((name, actions)), Some((wanted, needed))) => {
            name == wanted
                && needed
                    .split(',')
                    .all(|need| actions.split(',').any(|action| action == need))
        }
        _ => scope == asked,
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_cover_others() {
        assert!(covers("repository:a:pull,push", "repository:a:pull"));
        assert!(
            !covers("repository:a:pull", "repository:a:pull,push") && !covers("repository:a:pull", "repository:b:pull")
        );
    }
}
