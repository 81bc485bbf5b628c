//! Bearer tokens: the administrator's, and those of service accounts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use serde_json::{Value, json};

use super::Registry;
use super::identity::Identity;
use crate::apimachinery::meta;
use crate::store::Key;

/// Issuer and audience of tokens.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// What is signed to make the administrator's token. It has no dot, so no token of a service account has this signature.
const ADMINISTRATOR: &[u8] = b"stoke administrator";

/// Issues and checks service-account tokens: JSON Web Tokens, HMAC-SHA-256 with the cluster's own key.
pub struct Tokens {
    key: hmac::Key,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Namespace of the service account.
    pub namespace: String,
    /// Name and UID of the service account.
    pub account: (String, String),
    /// Name and UID of the pod the token is bound to.
    pub pod: Option<(String, String)>,
    pub audiences: Vec<String>,
    /// End of validity.
    pub expires: Timestamp,
}

impl Tokens {
    /// An issuer with a secret key of at least 32 bytes.
    pub fn new(secret: &[u8]) -> Tokens {
        Tokens {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }

    /// The administrator's token: not a JSON Web Token, the same as long as the cluster's key is.
    pub fn administrator(&self) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, ADMINISTRATOR))
    }

    /// Whether this is the administrator's token; takes the same time for any other.
    fn is_administrator(&self, token: &str) -> bool {
        URL_SAFE_NO_PAD
            .decode(token)
            .is_ok_and(|signature| hmac::verify(&self.key, ADMINISTRATOR, &signature).is_ok())
    }

    /// A signed token.
    pub fn issue(&self, claims: &Claims, now: Timestamp) -> String {
        let mut bound = json!({
            "namespace": claims.namespace,
            "serviceaccount": {"name": claims.account.0, "uid": claims.account.1},
        });
        if let Some((name, uid)) = &claims.pod {
            bound["pod"] = json!({"name": name, "uid": uid});
        }
        let body = json!({
            "aud": claims.audiences, "exp": claims.expires.as_second(), "iat": now.as_second(), "nbf": now.as_second(),
            "iss": ISSUER, "jti": meta::uid(), "kubernetes.io": bound,
            "sub": format!("system:serviceaccount:{}:{}", claims.namespace, claims.account.0),
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&json!({"alg": "HS256", "typ": "JWT"})), encode(&body));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The claims of a token that we signed and that is still valid.
    pub fn check(&self, token: &str, now: Timestamp) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        hmac::verify(&self.key, signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let (_, body) = signed.split_once('.')?;
        let body: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        let bound = &body["kubernetes.io"];
        let pair = |value: &Value| Some((value["name"].as_str()?.to_owned(), value["uid"].as_str()?.to_owned()));
        let claims = Claims {
            namespace: bound["namespace"].as_str()?.to_owned(),
            account: pair(&bound["serviceaccount"])?,
            pod: pair(&bound["pod"]),
            audiences: body["aud"]
                .as_array()?
                .iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            expires: Timestamp::from_second(body["exp"].as_i64()?).ok()?,
        };
        // What we signed was signed before now, whatever a clock that was set back says: its beginning is not looked at.
        (claims.expires > now).then_some(claims)
    }
}

impl Registry {
    /// The administrator, or the service account of a token for one of these audiences whose account, and pod if it is bound to one, still
    /// exist.
    pub fn token_identity(&self, token: &str, audiences: &[&str]) -> Option<Identity> {
        if self.settings.tokens.is_administrator(token) {
            return Some(Identity::admin());
        }
        let claims = self.settings.tokens.check(token, crate::clock::now())?;
        if !claims
            .audiences
            .iter()
            .any(|audience| audiences.contains(&audience.as_str()))
        {
            return None;
        }
        let lives = |resource: &str, (name, uid): &(String, String)| {
            let object = self.store.get(&Key::new(&resource.into(), &claims.namespace, name));
            object.is_some_and(|object| *object.fields.uid == **uid)
        };
        if !lives("serviceaccounts", &claims.account) || claims.pod.as_ref().is_some_and(|pod| !lives("pods", pod)) {
            return None;
        }
        let mut identity = Identity::service_account(&claims.namespace, &claims.account.0, &claims.account.1);
        if let Some((name, uid)) = claims.pod {
            identity
                .extra
                .insert("authentication.kubernetes.io/pod-name".into(), vec![name]);
            identity
                .extra
                .insert("authentication.kubernetes.io/pod-uid".into(), vec![uid]);
        }
        Some(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_ours_and_expire() {
        let tokens = Tokens::new(&[7; 32]);
        let now = Timestamp::from_second(1_000_000).unwrap();
        let claims = Claims {
            namespace: "default".into(),
            account: ("spark".into(), "u1".into()),
            pod: Some(("driver".into(), "u2".into())),
            audiences: vec![ISSUER.into()],
            expires: Timestamp::from_second(1_000_600).unwrap(),
        };
        let token = tokens.issue(&claims, now);
        assert_eq!(tokens.check(&token, now), Some(claims.clone()));
        assert_eq!(tokens.check(&token, claims.expires), None);
        assert_eq!(Tokens::new(&[8; 32]).check(&token, now), None);
        let (head, rest) = token.split_once('.').unwrap();
        assert_eq!(tokens.check(&format!("{head}.x{rest}"), now), None);
        assert!(!token.ends_with('\n'));
    }
}
