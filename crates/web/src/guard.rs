//! Who may ask, and what browsers must do: the name a request is for, and headers that keep pages to themselves.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Nothing but our own style, script, pictures and forms; nothing inline; no frame around; nothing put into pages by scripts as markup.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Puts the headers on an answer with a page.
pub fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), interest-cohort=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Whether a request may be for this `Host`: an address by its numbers, this machine, or a name that was allowed. A page of someone else's
/// that has its name lead here (DNS rebinding) comes with that name.
pub fn is_allowed(host: &str, names: &[String]) -> bool {
    let name = without_port(host);
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    literal.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || names.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name))
}

/// A host without its port.
pub(crate) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

/// A prefix that a proxy names, where it is one: `/part/part`, of plain letters.
pub fn prefix(text: &str) -> Option<&str> {
    let text = text.trim_end_matches('/');
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    let whole = text.len() <= 200 && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain));
    (whole || text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let names = ["history.example.com".to_owned()];
        for (host, allowed) in [
            ("127.0.0.1:18080", true),
            ("[::1]:18080", true),
            ("[::1]", true),
            ("localhost", true),
            ("LOCALHOST.:80", true),
            ("stoke.localhost:1", true),
            ("10.1.2.3", true),
            ("History.example.com:443", true),
            ("history.example.com.", true),
            ("evil.example.com", false),
            ("localhost.evil.com", false),
            ("127.0.0.1.evil.com", false),
            ("notlocalhost", false),
            ("", false),
            ("localhost:80:80", false),
        ] {
            assert_eq!(is_allowed(host, &names), allowed, "{host}");
        }
    }

    #[test]
    fn prefixes() {
        for (text, found) in [
            ("/spark", Some("/spark")),
            ("/a/b-c/", Some("/a/b-c")),
            ("", Some("")),
            ("/", Some("")),
            ("spark", None),
            ("//evil.com", None),
            ("/a//b", None),
            ("/../x", None),
            ("/a\"onload=", None),
            ("/a?b", None),
        ] {
            assert_eq!(prefix(text), found, "{text}");
        }
        assert_eq!(prefix(&format!("/{}", "a".repeat(300))), None);
    }
}
