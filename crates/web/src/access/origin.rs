//! What browsers say of where a request comes from.

use http::header::{self, HeaderMap, HeaderName};

use crate::guard;

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter();
    let pairs = all
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// Whether a form was sent by a page of this server: its `Origin` is the host it is for, or one of the names that are allowed, and the browser
/// says nothing else (`Sec-Fetch-Site`). Without either of the two it is not known, and not taken.
pub fn is_own(headers: &HeaderMap, host: &str, names: &[String]) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    let Some(origin) = text(header::ORIGIN) else {
        return site.is_some();
    };
    let Some((_, authority)) = origin
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
    else {
        return false;
    };
    let name = guard::without_port(authority).to_ascii_lowercase();
    authority.eq_ignore_ascii_case(host) || names.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name))
}

/// Where to go after signing in: a path of this server, or the first page.
pub fn next(wanted: &str) -> &str {
    let local = wanted.starts_with('/')
        && !wanted.starts_with("//")
        && wanted.len() <= 2048
        && wanted.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if local { wanted } else { "/" }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn origins() {
        let names = ["spark.example.com".to_owned()];
        for (origin, site, own) in [
            (Some("http://127.0.0.1:1"), None, true),
            (Some("http://127.0.0.1:1"), Some("same-origin"), true),
            (None, Some("same-origin"), true),
            (Some("https://spark.example.com"), Some("same-origin"), true),
            (None, None, false),
            (Some("null"), None, false),
            (Some("http://127.0.0.1:2"), None, false),
            (Some("http://evil.example.com"), None, false),
            (Some("http://127.0.0.1:1"), Some("cross-site"), false),
            (Some("http://127.0.0.1:1"), Some("same-site"), false),
            (Some("http://127.0.0.1:1"), Some("none"), false),
            (Some("file://127.0.0.1:1"), None, false),
            (Some("http://127.0.0.1:1.evil.com"), None, false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
                if let Some(value) = value {
                    headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
                }
            }
            assert_eq!(is_own(&headers, "127.0.0.1:1", &names), own, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn cookies() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; stoke-1=x=y;stoke-12=z"));
        headers.append(header::COOKIE, HeaderValue::from_static("b=2"));
        for (name, value) in [
            ("a", Some("1")),
            ("b", Some("2")),
            ("stoke-1", Some("x=y")),
            ("stoke-12", Some("z")),
            ("stoke", None),
        ] {
            assert_eq!(cookie(&headers, name), value, "{name}");
        }
    }

    #[test]
    fn ways_back_stay_here() {
        assert_eq!(next("/applications/a/b/?q=x"), "/applications/a/b/?q=x");
        for other in ["//evil.com", "https://evil.com", "/\\evil.com", "", "/a\r\nb", "/ä"] {
            assert_eq!(next(other), "/", "{other}");
        }
    }
}
