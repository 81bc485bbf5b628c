//! Whose pod this is: what the operator itself makes (its leases, the Secret of its certificates) goes with its service account, however that is removed.
//!
//! The token that Kubernetes mounts says it, so that no right is needed to find out.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::Value;

/// Where Kubernetes mounts a pod's token.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The service account of this pod; none outside of one.
#[must_use]
pub fn service_account() -> Option<OwnerReference> {
    owner(&std::fs::read_to_string(Path::new(TOKEN)).ok()?)
}

/// The account that a token is for, by its private claims. The signature is the API server's business.
fn owner(token: &str) -> Option<OwnerReference> {
    let payload = URL_SAFE_NO_PAD.decode(token.trim().split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let account = &claims["kubernetes.io"]["serviceaccount"];
    let text = |field: &str| {
        account[field]
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    Some(OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ServiceAccount".to_owned(),
        name: text("name")?,
        uid: text("uid")?,
        ..OwnerReference::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_names_its_account() {
        let whole = r#"{"kubernetes.io":{"namespace":"ops","serviceaccount":{"name":"spark-operator-controller","uid":"u-1"}}}"#;
        let found = owner(&token(whole)).unwrap();
        assert_eq!(
            (found.kind.as_str(), found.name.as_str(), found.uid.as_str()),
            ("ServiceAccount", "spark-operator-controller", "u-1")
        );
        for other in [
            "{}",
            r#"{"kubernetes.io":{"serviceaccount":{"name":"a"}}}"#,
            r#"{"kubernetes.io":{"serviceaccount":{"name":"a","uid":""}}}"#,
            "no json",
        ] {
            assert_eq!(owner(&token(other)), None, "{other}");
        }
        assert_eq!(owner("opaque"), None);
        assert_eq!(owner("a.%.c"), None);
    }
}
