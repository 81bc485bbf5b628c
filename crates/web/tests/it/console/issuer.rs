//! An identity provider, played to the letter and against it; and what an API server does that is configured for it: it checks the signature of a
//! token and its end, and takes its subject for the user.

use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use sha2::{Digest, Sha256};
use stoke_history::rest::Query;

use super::*;

pub const CLIENT: &str = "spark console";
pub const SECRET: &str = "s3cr:t/&";

/// What the provider does otherwise than it should.
#[derive(Clone, Default)]
pub struct Mischief {
    /// Over the claims of its tokens.
    pub claims: Value,
    /// Signs with another key.
    pub forges: bool,
    /// Answers questions for tokens so.
    pub answers: Option<(StatusCode, Value)>,
    /// What it says of itself.
    pub discovery: Value,
    /// How long its tokens last, in seconds.
    pub lasts: i64,
    pub gives_refresh: bool,
}

pub struct Issuer {
    pub address: String,
    key: EcdsaKeyPair,
    other: EcdsaKeyPair,
    pub mischief: Mutex<Mischief>,
    /// By code: the nonce, the challenge, the redirection.
    codes: Mutex<std::collections::HashMap<String, (String, String, String)>>,
    /// Tokens it gave.
    pub given: Mutex<Vec<String>>,
    pub refreshed: Mutex<usize>,
    /// Sessions that were ended here.
    pub left: Mutex<Vec<String>>,
}

fn key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap()
}

pub fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn over(mut value: Value, changes: &Value) -> Value {
    for (name, change) in changes.as_object().into_iter().flatten() {
        value[name] = change.clone();
    }
    value
}

impl Issuer {
    pub async fn start() -> Arc<Issuer> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Arc::new(Issuer {
            address: format!("http://{}/realms/spark", listener.local_addr().unwrap()),
            key: key(),
            other: key(),
            mischief: Mutex::new(Mischief {
                lasts: 300,
                ..Mischief::default()
            }),
            codes: Mutex::default(),
            given: Mutex::default(),
            refreshed: Mutex::default(),
            left: Mutex::default(),
        });
        let app = Router::new()
            .route("/realms/spark/.well-known/openid-configuration", get(discovery))
            .route("/realms/spark/token", post(token))
            .route("/realms/spark/logout", get(logout))
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        issuer
    }

    fn signed(&self, nonce: Option<&str>) -> String {
        let mischief = self.mischief.lock().unwrap().clone();
        let claims = json!({"iss": self.address, "aud": CLIENT, "sub": "ann", "iat": now(), "exp": now() + mischief.lasts, "nonce": nonce});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = json!({"alg": "ES256", "kid": "1"});
        let text = format!("{}.{}", part(&head), part(&over(claims, &mischief.claims)));
        let key = if mischief.forges { &self.other } else { &self.key };
        let signature = key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature));
        self.given.lock().unwrap().push(token.clone());
        token
    }

    /// Someone signs in there: the code their browser comes back with.
    pub fn agrees(&self, asked: &Query) -> String {
        let of = |name| asked.first(name).unwrap_or_default().to_owned();
        assert_eq!(
            (of("response_type"), of("client_id")),
            ("code".to_owned(), CLIENT.to_owned())
        );
        assert_eq!(of("code_challenge_method"), "S256");
        assert_eq!(of("scope"), "openid email groups");
        let mut codes = self.codes.lock().unwrap();
        let code = format!("code-{}&=", codes.len());
        codes.insert(code.clone(), (of("nonce"), of("code_challenge"), of("redirect_uri")));
        code
    }
}

async fn discovery(State(issuer): State<Arc<Issuer>>) -> Response {
    let at = &issuer.address;
    let told = json!({"issuer": at, "authorization_endpoint": format!("{at}/auth?kc=1"), "token_endpoint": format!("{at}/token"), "jwks_uri": format!("{at}/keys")});
    let told = over(told, &issuer.mischief.lock().unwrap().discovery);
    axum::Json(told).into_response()
}

/// Ends the session that a token names, if it gave that token to this client and the way back is registered.
async fn logout(State(issuer): State<Arc<Issuer>>, request: axum::extract::Request) -> Response {
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let of = |name: &str| query.first(name).unwrap_or_default().to_owned();
    let token = of("id_token_hint");
    let is_its = issuer.given.lock().unwrap().contains(&token);
    let registered = [
        "http://127.0.0.1:26080/sign-in",
        "https://127.0.0.1:26080/spark/sign-in",
    ];
    let back = of("post_logout_redirect_uri");
    if !is_its || of("client_id") != CLIENT || of("kc") != "1" || !registered.contains(&back.as_str()) {
        return (StatusCode::BAD_REQUEST, "this does not end anything").into_response();
    }
    let body = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&body).unwrap();
    issuer
        .left
        .lock()
        .unwrap()
        .push(claims["sid"].as_str().unwrap_or_default().to_owned());
    (StatusCode::SEE_OTHER, [("location", back)]).into_response()
}

async fn token(State(issuer): State<Arc<Issuer>>, headers: http::HeaderMap, body: String) -> Response {
    let form = Query::parse(&body);
    if let Some((status, answer)) = issuer.mischief.lock().unwrap().answers.clone() {
        return (status, axum::Json(answer)).into_response();
    }
    let wrong = |error: &str| (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": error }))).into_response();
    // The parts are escaped before they are joined (RFC 6749, 2.3.1).
    let basic = STANDARD.encode("spark%20console:s3cr%3At%2F%26");
    if headers.get("authorization").map(|value| value.as_bytes()) != Some(format!("Basic {basic}").as_bytes()) {
        return wrong("invalid_client");
    }
    let of = |name: &str| form.first(name).unwrap_or_default().to_owned();
    let nonce = match of("grant_type").as_str() {
        "authorization_code" => {
            // A code is good once.
            let Some((nonce, challenge, redirect)) = issuer.codes.lock().unwrap().remove(&of("code")) else {
                return wrong("invalid_grant");
            };
            let verified = URL_SAFE_NO_PAD.encode(Sha256::digest(of("code_verifier"))) == challenge;
            if !verified || redirect != of("redirect_uri") {
                return wrong("invalid_grant");
            }
            Some(nonce)
        }
        "refresh_token" if of("refresh_token").starts_with("refresh-secret-") => {
            *issuer.refreshed.lock().unwrap() += 1;
            None
        }
        _ => return wrong("unsupported_grant_type"),
    };
    let gives = issuer.mischief.lock().unwrap().gives_refresh;
    let refresh = gives.then(|| format!("refresh-secret-{}", issuer.given.lock().unwrap().len()));
    axum::Json(json!({"id_token": issuer.signed(nonce.as_deref()), "access_token": "access-secret", "token_type": "Bearer", "refresh_token": refresh}))
        .into_response()
}

/// What an API server does with tokens of the issuer; the rest is the embedded one's.
pub async fn front(State((issuer, client)): State<(Arc<Issuer>, Client)>, request: axum::extract::Request) -> Response {
    let refused = || {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "code": 401, "message": "Unauthorized"});
        (StatusCode::UNAUTHORIZED, axum::Json(status)).into_response()
    };
    let (mut parts, body) = request.into_parts();
    let header = parts.headers.remove("authorization");
    let token = header.as_ref().and_then(|value| value.to_str().ok());
    let token = token
        .and_then(|text| text.strip_prefix("Bearer "))
        .unwrap_or_default()
        .to_owned();
    let Some((text, signature)) = token.rsplit_once('.') else {
        return refused();
    };
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, issuer.key.public_key());
    let claims: Value = text
        .split_once('.')
        .and_then(|(_, body)| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok())
        .unwrap_or_default();
    if public.verify(text.as_bytes(), &signature).is_err() || claims["exp"].as_i64() <= Some(now()) {
        return refused();
    }
    let user = format!("oidc:{}", claims["sub"].as_str().unwrap());
    parts.headers.insert("impersonate-user", user.parse().unwrap());
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    let uri = parts.uri.path_and_query().unwrap().as_str().parse().unwrap();
    parts.uri = uri;
    let answer = client
        .send(Request::from_parts(parts, kube::client::Body::from(body)))
        .await
        .unwrap();
    answer.map(Body::new).into_response()
}
