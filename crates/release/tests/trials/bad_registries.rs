//! Registries that are down, slow, full or lie: clear errors, and nothing of what is wrong is kept.

use std::io::Read;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use stoke_release::oci::registry::{Content, Credentials};
use stoke_release::oci::{Cache, Descriptor, Digest, Kind, OciResult, Registry, Settings, media};
use stoke_testkit::{Tier, trial};

use crate::block;
use crate::server::{Question, Reply, Server, ok, status};

type Test = fn() -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let all: [(&str, Test); 10] = [
        ("a blob is what its digest says", lies),
        ("a blob that breaks off goes on", breaks_off),
        ("refusals have their kinds", refusals),
        ("a registry that fails for a moment is asked again", again),
        ("a registry that is down or silent", down),
        ("tokens are fetched for what is asked", tokens),
        ("credentials go to their registry only", redirects),
        ("manifests are what was asked for", manifests),
        ("uploads that fail are begun again", uploads),
        ("lists have pages", pages),
    ];
    all.into_iter()
        .map(|(name, test)| trial(&format!("bad registries: {name}"), Tier::Default, || Ok(()), test))
        .collect()
}

fn settings() -> Settings {
    Settings {
        tries: 4,
        wait: Duration::from_millis(5),
        idle: Duration::from_millis(400),
        ..Settings::default()
    }
}

fn with_credentials(directory: &std::path::Path, text: String) -> Settings {
    let file = directory.join("config.json");
    std::fs::write(&file, text).unwrap();
    Settings {
        credentials: Credentials::of(vec![file]),
        ..settings()
    }
}

const BODY: &[u8] = b"0123456789";

fn wanted() -> Descriptor {
    Descriptor::of(media::LAYER_GZIP, BODY)
}

/// Fetches the blob from a server, into a cache of its own.
fn fetch(server: &Server, settings: &Settings) -> (OciResult<Vec<u8>>, usize) {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path(), 1 << 20).unwrap();
    let registry = Registry::new(&server.address, settings).unwrap();
    let result = block(registry.blob("x", &wanted(), &cache, &|_| {})).map(|mut file| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    });
    (result, cache.list().unwrap().len())
}

fn kind<T>(result: OciResult<T>) -> Option<Kind> {
    result.err().map(|error| error.kind())
}

fn is_blob(asked: &Question) -> bool {
    asked.path.contains("/blobs/sha256:")
}

fn lies() -> Result<(), Failed> {
    let cases: [(&[u8], Kind); 3] = [
        (b"0123456780", Kind::Digest),
        (b"0123456789+", Kind::Size),
        (b"", Kind::Size),
    ];
    for (body, wanted) in cases {
        let server = Server::start(move |asked, _| if is_blob(asked) { ok(body) } else { ok("{}") });
        let (result, kept) = fetch(&server, &settings());
        assert_eq!((kind(result), kept), (Some(wanted), 0), "{body:?}");
    }
    Ok(())
}

fn breaks_off() -> Result<(), Failed> {
    let tail = |asked: &Question| {
        asked
            .header("range")
            .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse::<usize>().ok())
    };
    // Three bytes at a time, with ranges.
    let server = Server::start(move |asked, _| match (is_blob(asked), tail(asked)) {
        (false, _) => ok("{}"),
        (true, None) => Reply::Short(vec![], BODY[..3].to_vec(), 7),
        (true, Some(from)) => {
            let to = (from + 3).min(BODY.len());
            Reply::Answer(
                "206 Partial Content",
                vec![("Content-Range", format!("bytes {from}-9/10"))],
                BODY[from..to].to_vec(),
            )
        }
    });
    let (result, kept) = fetch(&server, &settings());
    assert_eq!((result.unwrap(), kept), (BODY.to_vec(), 1));
    // A registry without ranges begins from the start.
    let server = Server::start(move |asked, before| match (is_blob(asked), before) {
        (false, _) => ok("{}"),
        (true, 0) => Reply::Short(vec![], BODY[..3].to_vec(), 7),
        (true, _) => ok(BODY),
    });
    assert_eq!(fetch(&server, &settings()).0.unwrap(), BODY);
    // One that never comes further is given up.
    let server = Server::start(move |asked, _| {
        if is_blob(asked) {
            Reply::Short(vec![], vec![], 10)
        } else {
            ok("{}")
        }
    });
    assert_eq!(kind(fetch(&server, &settings()).0), Some(Kind::Unavailable));
    Ok(())
}

fn refusals() -> Result<(), Failed> {
    for (answer, wanted) in [
        ("401 Unauthorized", Kind::Unauthorized),
        ("403 Forbidden", Kind::Denied),
        ("404 Not Found", Kind::NotFound),
        ("418 I'm a teapot", Kind::Malformed),
    ] {
        let server = Server::start(move |asked, _| if is_blob(asked) { status(answer) } else { ok("{}") });
        assert_eq!(kind(fetch(&server, &settings()).0), Some(wanted), "{answer}");
        // None of them is asked twice.
        assert_eq!(
            server.asked().iter().filter(|asked| is_blob(asked)).count(),
            1,
            "{answer}"
        );
    }
    // What the registry says is in the message, made harmless.
    let text = "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"pay\\u001b[31m first\"}]}";
    let server = Server::start(move |asked, _| {
        if is_blob(asked) {
            Reply::Answer("403 Forbidden", vec![], text.into())
        } else {
            ok("{}")
        }
    });
    let error = fetch(&server, &settings()).0.unwrap_err();
    assert!(
        error.message().contains("first (DENIED)") && !error.message().contains('\u{1b}'),
        "{error}"
    );
    Ok(())
}

fn again() -> Result<(), Failed> {
    for (answer, wait) in [
        ("503 Service Unavailable", None),
        ("429 Too Many Requests", Some("0")),
        ("500 Internal Server Error", None),
        ("502 Bad Gateway", None),
    ] {
        let server = Server::start(move |asked, before| match (is_blob(asked), before) {
            (false, _) => ok("{}"),
            (true, 0 | 1) => Reply::Answer(
                answer,
                wait.map(|wait| ("Retry-After", wait.to_owned())).into_iter().collect(),
                vec![],
            ),
            (true, _) => ok(BODY),
        });
        assert_eq!(fetch(&server, &settings()).0.unwrap(), BODY, "{answer}");
    }
    let server = Server::start(|asked, _| {
        if is_blob(asked) {
            status("503 Service Unavailable")
        } else {
            ok("{}")
        }
    });
    assert_eq!(kind(fetch(&server, &settings()).0), Some(Kind::Unavailable));
    assert_eq!(server.asked().iter().filter(|asked| is_blob(asked)).count(), 4);
    // An hour is not waited for.
    let server = Server::start(|asked, _| match is_blob(asked) {
        true => Reply::Answer("429 Too Many Requests", vec![("Retry-After", "3600".into())], vec![]),
        false => ok("{}"),
    });
    let error = fetch(&server, &settings()).0.unwrap_err();
    assert_eq!(error.kind(), Kind::TooManyRequests);
    assert!(error.message().contains("3600 s"), "{error}");
    Ok(())
}

fn down() -> Result<(), Failed> {
    let server = Server::start(|asked, _| {
        if is_blob(asked) {
            Reply::Nothing(Duration::from_secs(30))
        } else {
            ok("{}")
        }
    });
    let few = Settings { tries: 2, ..settings() };
    let error = fetch(&server, &few).0.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let server = Server::start(|asked, _| if is_blob(asked) { Reply::Close } else { ok("{}") });
    assert_eq!(kind(fetch(&server, &settings()).0), Some(Kind::Unavailable));
    // No one listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let registry = Registry::new(&free, &settings()).unwrap();
    let error = block(registry.manifest("x", "latest")).unwrap_err();
    assert!(
        error.kind() == Kind::Unavailable && error.message().contains(&free),
        "{error}"
    );
    Ok(())
}

fn tokens() -> Result<(), Failed> {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(|asked, _| match asked.path.as_str() {
        path if path.starts_with("/token") => match asked.header("authorization") {
            // me:very-secret
            Some("Basic bWU6dmVyeS1zZWNyZXQ=") => ok(r#"{"token":"abc","expires_in":300}"#),
            _ => status("401 Unauthorized"),
        },
        path if path.contains("/blobs/") => match asked.header("authorization") {
            Some("Bearer abc") => ok(BODY),
            _ => {
                let host = asked.header("host").unwrap();
                let realm = format!("Bearer realm=\"http://{host}/token\",service=\"reg\",scope=\"repository:x:pull\"");
                Reply::Answer("401 Unauthorized", vec![("WWW-Authenticate", realm)], vec![])
            }
        },
        _ => ok("{}"),
    });
    let auths = |secret: &str| {
        use base64::Engine;
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("me:{secret}"));
        format!("{{\"auths\":{{\"{}\":{{\"auth\":\"{auth}\"}}}}}}", server.address)
    };
    let right = with_credentials(directory.path(), auths("very-secret"));
    assert_eq!(fetch(&server, &right).0.unwrap(), BODY);
    let token = server
        .asked()
        .into_iter()
        .find(|asked| asked.path.starts_with("/token"))
        .unwrap();
    assert_eq!(token.path, "/token?service=reg&scope=repository%3Ax%3Apull");
    // One token for several requests.
    let before = server
        .asked()
        .iter()
        .filter(|asked| asked.path.starts_with("/token"))
        .count();
    let registry = Registry::new(&server.address, &right).unwrap();
    block(async {
        for _ in 0..3 {
            registry.has_blob("x", &wanted().digest).await.unwrap();
        }
    });
    assert_eq!(
        server
            .asked()
            .iter()
            .filter(|asked| asked.path.starts_with("/token"))
            .count(),
        before + 1
    );
    let wrong = with_credentials(directory.path(), auths("not-it-at-all"));
    let error = fetch(&server, &wrong).0.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized);
    assert!(
        !error.message().contains("not-it-at-all") && !error.fix().contains("not-it-at-all"),
        "{error}"
    );
    Ok(())
}

fn redirects() -> Result<(), Failed> {
    let directory = tempfile::tempdir().unwrap();
    let storage = Server::start(|asked, _| match asked.header("authorization") {
        None => ok(BODY),
        Some(_) => status("400 Bad Request"),
    });
    let to = format!("http://{}/bucket/blobs/sha256:x", storage.address);
    let server = Server::start(move |asked, _| match (is_blob(asked), asked.header("authorization")) {
        (true, None) => Reply::Answer(
            "401 Unauthorized",
            vec![("WWW-Authenticate", "Basic realm=\"x\"".into())],
            vec![],
        ),
        (true, Some(_)) => Reply::Answer("307 Temporary Redirect", vec![("Location", to.clone())], vec![]),
        _ => ok("{}"),
    });
    let text = format!(
        "{{\"auths\":{{\"{}\":{{\"username\":\"me\",\"password\":\"p\"}}}}}}",
        server.address
    );
    let right = with_credentials(directory.path(), text);
    assert_eq!(fetch(&server, &right).0.unwrap(), BODY);
    assert!(
        storage
            .asked()
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );
    // In circles, and to plain HTTP elsewhere.
    for (to, wanted) in [
        ("/v2/x/blobs/sha256:again", Kind::Malformed),
        ("http://192.0.2.1/x", Kind::Tls),
        ("ftp://127.0.0.1/x", Kind::Tls),
    ] {
        let server = Server::start(move |asked, _| match asked.path.contains("/blobs/") {
            true => Reply::Answer("302 Found", vec![("Location", to.into())], vec![]),
            false => ok("{}"),
        });
        assert_eq!(kind(fetch(&server, &settings()).0), Some(wanted), "{to}");
    }
    Ok(())
}

fn manifests() -> Result<(), Failed> {
    let text = br#"{"schemaVersion":2,"manifests":[]}"#;
    let server = |headers: Vec<(&'static str, String)>, body: Vec<u8>| {
        Server::start(move |asked, _| match asked.path.contains("/manifests/") {
            true => Reply::Answer("200 OK", headers.clone(), body.clone()),
            false => ok("{}"),
        })
    };
    let kind_header = || vec![("Content-Type", media::INDEX.to_owned())];
    let get = |server: &Server, name: &str| {
        let registry = Registry::new(&server.address, &settings()).unwrap();
        block(registry.manifest("x", name))
    };
    let digest = Digest::of(text);
    let good = server(kind_header(), text.to_vec());
    assert_eq!(get(&good, "v1").unwrap().descriptor.digest, digest);
    assert_eq!(get(&good, digest.as_str()).unwrap().descriptor.media_type, media::INDEX);
    assert_eq!(kind(get(&good, Digest::of(b"other").as_str())), Some(Kind::Digest));
    let mut headers = kind_header();
    headers.push(("Docker-Content-Digest", Digest::of(b"other").to_string()));
    assert_eq!(kind(get(&server(headers, text.to_vec()), "v1")), Some(Kind::Digest));
    assert_eq!(
        kind(get(&server(kind_header(), vec![b' '; 5 << 20]), "v1")),
        Some(Kind::Limit)
    );
    // A page of a proxy is not a manifest.
    let page = get(
        &server(vec![("Content-Type", "text/html".into())], b"<html>".to_vec()),
        "v1",
    )
    .unwrap();
    assert_eq!(kind(page.parse("x")), Some(Kind::Malformed));
    Ok(())
}

fn uploads() -> Result<(), Failed> {
    let descriptor = wanted();
    let put = |server: &Server| {
        let registry = Registry::new(&server.address, &settings()).unwrap();
        block(registry.put_blob("x", &descriptor, None, async || Ok(Content::Bytes(BODY.into()))))
    };
    // The first upload is lost with its connection, the second one is taken.
    let server = Server::start(|asked, before| match asked.method.as_str() {
        "HEAD" => status("404 Not Found"),
        "POST" => Reply::Answer(
            "202 Accepted",
            vec![("Location", format!("/v2/x/blobs/uploads/{before}?a=b"))],
            vec![],
        ),
        "PUT" if asked.path.contains("uploads/0") => Reply::Close,
        "PUT" => status("201 Created"),
        _ => ok("{}"),
    });
    put(&server).unwrap();
    let last = server.asked().pop().unwrap();
    assert!(
        last.path.starts_with("/v2/x/blobs/uploads/1?a=b&digest=sha256%3A"),
        "{}",
        last.path
    );
    for (answer, headers, wanted) in [
        ("507 Insufficient Storage", vec![], Kind::Limit),
        ("413 Payload Too Large", vec![], Kind::Limit),
        ("400 Bad Request", vec![], Kind::Malformed),
        (
            "201 Created",
            vec![("Docker-Content-Digest", Digest::of(b"other").to_string())],
            Kind::Digest,
        ),
    ] {
        let server = Server::start(move |asked, _| match asked.method.as_str() {
            "HEAD" => status("404 Not Found"),
            "POST" => Reply::Answer(
                "202 Accepted",
                vec![("Location", "/v2/x/blobs/uploads/1".into())],
                vec![],
            ),
            "PUT" => Reply::Answer(answer, headers.clone(), vec![]),
            _ => ok("{}"),
        });
        assert_eq!(kind(put(&server)), Some(wanted), "{answer}");
    }
    Ok(())
}

fn pages() -> Result<(), Failed> {
    let server = Server::start(|asked, _| match asked.path.as_str() {
        "/v2/x/tags/list?n=1000" => Reply::Answer(
            "200 OK",
            vec![("Link", "</v2/x/tags/list?last=b>; rel=\"next\"".into())],
            br#"{"tags":["a","b"]}"#.to_vec(),
        ),
        "/v2/x/tags/list?last=b" => ok(r#"{"tags":["c"]}"#),
        "/v2/y/tags/list?n=1000" => ok(r#"{"tags":null}"#),
        _ => ok("{}"),
    });
    let registry = Registry::new(&server.address, &settings()).unwrap();
    assert_eq!(block(registry.tags("x")).unwrap(), ["a", "b", "c"]);
    assert!(block(registry.tags("y")).unwrap().is_empty());
    Ok(())
}
