//! What an ID token says (OpenID Connect Core 1.0, 3.1.3.7), without its signature. Pure.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::super::session::digest;
use super::shown;

/// How far the clocks of two machines may be apart, in seconds.
const APART: i64 = 120;

/// What it must say. Times are seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub issuer: &'a str,
    pub client: &'a str,
    /// What was sent along; none for a token that follows another one.
    pub nonce: Option<&'a str>,
    pub now: i64,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub subject: String,
    /// The session at the provider, where it names one.
    pub session: Option<String>,
    /// When it ends, in seconds since 1970.
    pub until: i64,
}

/// Reads a token.
///
/// # Errors
/// What is wrong with it; nothing secret.
pub fn read(token: &str, wanted: &Wanted<'_>) -> Result<Claims, String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [head, body, signature] = parts[..] else {
        return Err("the ID token is no signed token".to_owned());
    };
    let object = |part: &str| -> Option<Value> {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice(&bytes).ok().filter(Value::is_object)
    };
    let (Some(head), Some(body)) = (object(head), object(body)) else {
        return Err("the ID token cannot be read".to_owned());
    };
    let is_signed = head["alg"]
        .as_str()
        .is_some_and(|alg| !alg.eq_ignore_ascii_case("none"));
    if !is_signed || signature.is_empty() {
        return Err("the ID token is not signed".to_owned());
    }
    let issuer = body["iss"].as_str().unwrap_or_default();
    if issuer != wanted.issuer {
        return Err(format!("the ID token is of another issuer, {}", shown(issuer)));
    }
    let audience: Vec<&str> = match &body["aud"] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let party = body["azp"].as_str();
    let is_for_us = audience.contains(&wanted.client)
        && party.is_none_or(|party| party == wanted.client)
        && (audience.len() == 1 || party.is_some());
    if !is_for_us {
        return Err("the ID token is for another client".to_owned());
    }
    let seconds = |name: &str| {
        body[name]
            .as_i64()
            .or_else(|| body[name].as_f64().map(|number| number as i64))
    };
    let until = seconds("exp").ok_or("the ID token has no end")?;
    if until <= wanted.now {
        return Err("the ID token has expired".to_owned());
    }
    if ["iat", "nbf"]
        .iter()
        .any(|name| seconds(name).is_some_and(|at| at > wanted.now + APART))
    {
        return Err("the ID token is not valid yet: the clocks differ".to_owned());
    }
    if let Some(nonce) = wanted.nonce
        && digest(body["nonce"].as_str().unwrap_or_default()) != digest(nonce)
    {
        return Err("the ID token is of another sign-in".to_owned());
    }
    match body["sub"].as_str() {
        Some(subject) if !subject.is_empty() => Ok(Claims {
            subject: subject.to_owned(),
            session: body["sid"].as_str().map(str::to_owned),
            until,
        }),
        _ => Err("the ID token names no one".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(head: &Value, body: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(head), part(body))
    }

    #[test]
    fn what_a_token_must_say() {
        let wanted = Wanted {
            issuer: "https://login.example.com",
            client: "spark",
            nonce: Some("n1"),
            now: 1_800_000_000,
        };
        let good = json!({"iss": "https://login.example.com", "aud": "spark", "exp": 1_800_000_060, "iat": 1_800_000_000, "nonce": "n1", "sub": "ann"});
        let head = json!({"alg": "RS256"});
        for (changed, problem) in [
            (json!({}), None),
            (json!({"aud": ["spark"]}), None),
            (json!({"aud": ["spark", "other"], "azp": "spark"}), None),
            (json!({"exp": 1_800_000_000.5}), Some("expired")),
            (json!({"exp": 1_800_000_000}), Some("expired")),
            (json!({"exp": null}), Some("no end")),
            (json!({"exp": "1800000060"}), Some("no end")),
            (json!({"iss": "https://login.example.com/"}), Some("another issuer")),
            (json!({"iss": null}), Some("another issuer")),
            (json!({"aud": "other"}), Some("another client")),
            (json!({"aud": []}), Some("another client")),
            (json!({"aud": ["spark", "other"]}), Some("another client")),
            (json!({"azp": "other"}), Some("another client")),
            (json!({"nonce": "n2"}), Some("another sign-in")),
            (json!({"nonce": null}), Some("another sign-in")),
            (json!({"iat": 1_800_000_121}), Some("not valid yet")),
            (json!({"nbf": 1_800_000_121}), Some("not valid yet")),
            (json!({"sub": ""}), Some("no one")),
        ] {
            let mut body = good.clone();
            let fields = body.as_object_mut().unwrap();
            fields.extend(changed.as_object().unwrap().clone());
            let read = read(&token(&head, &body), &wanted);
            match problem {
                None => assert_eq!(read.unwrap().subject, "ann", "{changed}"),
                Some(problem) => assert!(read.clone().unwrap_err().contains(problem), "{changed} {read:?}"),
            }
        }
        // The one that follows carries no nonce.
        let next = Wanted { nonce: None, ..wanted };
        assert!(read(&token(&head, &good), &next).is_ok());
        for text in [
            "",
            "a.b",
            "a.b.c",
            "e30.e30.",
            "e30.W10.c2ln",
            &token(&json!({"alg": "none"}), &good),
            &token(&json!({"alg": "NONE"}), &good),
            &token(&json!({}), &good),
            token(&head, &good).trim_end_matches("c2ln"),
        ] {
            assert!(read(text, &wanted).is_err(), "{text}");
        }
    }
}
