//! Signing in with an identity provider.

use axum::Router;
use stoke_history::rest::Query;
use stoke_web::access::oidc::{Provider, Terms as OidcTerms};

use super::issuer::{CLIENT, Issuer, Mischief, SECRET, front, now};
use super::*;

/// The cookies that an answer sets.
fn cookies_of(answer: &Answer) -> Vec<&str> {
    let all = answer.headers.get_all("set-cookie").iter();
    all.map(|one| one.to_str().unwrap()).collect()
}

struct Meeting {
    world: World,
    issuer: Arc<Issuer>,
    _secret: tempfile::NamedTempFile,
}

impl Meeting {
    async fn new() -> Meeting {
        let issuer = Issuer::start().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), format!("{SECRET}\n")).unwrap();
        let provider = Provider::new(OidcTerms {
            issuer: issuer.address.clone(),
            client_id: CLIENT.to_owned(),
            client_secret: Some(secret.path().to_owned()),
            scopes: vec!["email".to_owned(), "groups".to_owned()],
            authorities: None,
        });
        let provider = provider.unwrap();
        let of = issuer.clone();
        let world = World::new(|server| {
            let app = Router::new().fallback(front).with_state((of, server.client()));
            tokio::spawn(async move { axum::serve(listener, app).await });
            Access::by_token(&Config::new(address.parse().unwrap()), Terms::CLUSTER).with_provider(provider)
        })
        .await;
        world
            .make::<Role>(
                world.api(),
                json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "ann"}, "rules": reads(&[APPLICATIONS])}),
            )
            .await;
        world
            .make::<RoleBinding>(
                world.api(),
                json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "ann"},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "ann"},
                    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "oidc:ann"}]}),
            )
            .await;
        Meeting {
            world,
            issuer,
            _secret: secret,
        }
    }

    /// Goes to the provider: what it is asked, and the browser with its cookie.
    async fn go(&self, next: &str) -> (Query, Browser) {
        let answer = self
            .world
            .get(&Browser::default(), &format!("/sign-in/oidc?next={next}"))
            .await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        let to = answer.header("location");
        let (address, query) = to.split_once("?kc=1&").expect("its own query is kept");
        assert_eq!(address, format!("{}/auth", self.issuer.address));
        assert!(
            answer
                .header("set-cookie")
                .contains("; Path=/sign-in; HttpOnly; SameSite=Lax; Max-Age=600")
        );
        (Query::parse(query), Browser::of(&answer))
    }

    async fn back(&self, browser: &Browser, code: &str, state: &str, more: &str) -> Answer {
        let code = code.replace('&', "%26").replace('=', "%3D");
        self.world
            .get(browser, &format!("/sign-in/oidc/back?code={code}&state={state}{more}"))
            .await
    }

    async fn sign_in(&self) -> Browser {
        let (asked, browser) = self.go("/check/").await;
        let code = self.issuer.agrees(&asked);
        let answer = self.back(&browser, &code, asked.first("state").unwrap(), "").await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::SEE_OTHER, "/check/")
        );
        Browser::of(&answer)
    }

    /// What the page says to who was not let in.
    async fn reason(&self, answer: &Answer) -> String {
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::SEE_OTHER, "/sign-in"),
            "{}",
            answer.text()
        );
        let cookies = cookies_of(answer);
        assert!(cookies.iter().all(|one| one.starts_with("stoke-oidc=")), "{cookies:?}");
        let page = self.world.get(&Browser::of(answer), "/sign-in").await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
        page.text()
    }

    fn with(&self, change: impl FnOnce(&mut Mischief)) {
        change(&mut self.issuer.mischief.lock().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_signs_in_and_sees_what_they_may_see() {
    let meeting = Meeting::new().await;
    let world = &meeting.world;
    world
        .submit("pi", json!({"applicationState": {"state": "RUNNING"}}))
        .await;
    // The way there is on the page that lets in, and leads back to where they were going.
    let refused = world.get(&Browser::default(), "/applications/default/pi/?x=y").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(
        refused
            .text()
            .contains("href=\"/sign-in/oidc?next=%2Fapplications%2Fdefault%2Fpi%2F%3Fx%3Dy\""),
        "{}",
        refused.text()
    );
    let (asked, browser) = meeting.go("%2Fapplications%2Fdefault%2Fpi%2F").await;
    assert_eq!(
        asked.first("redirect_uri"),
        Some(format!("http://{HOST}/sign-in/oidc/back").as_str())
    );
    let code = meeting.issuer.agrees(&asked);
    let answer = meeting.back(&browser, &code, asked.first("state").unwrap(), "").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/applications/default/pi/")
    );
    let cookies = cookies_of(&answer);
    assert!(
        cookies[1].starts_with("stoke-oidc=; ") && cookies[1].ends_with("Max-Age=0"),
        "{cookies:?}"
    );
    let ann = Browser::of(&answer);
    let page = world.get(&ann, "/applications/default/pi/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("oidc:ann"));
    // Their rights, and no more.
    assert!(world.twin(&ann, "/applications/default/pi/").await["podsRefused"].is_string());
    assert_eq!(
        world.get(&ann, "/applications/other/pi/").await.status,
        StatusCode::FORBIDDEN
    );
    let everywhere = world.get(&ann, "/").await;
    assert!(everywhere.status == StatusCode::FORBIDDEN && everywhere.text().contains("name yours"));
    let form = format!("csrf={}&namespaces=default", csrf_of(&everywhere));
    let origin = format!("http://{HOST}");
    let foreign = world
        .post(&ann, "/namespaces", &[("origin", "http://evil.example.com")], &form)
        .await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    world.post(&ann, "/namespaces", &[("origin", &origin)], &form).await;
    let home = world.get(&ann, "/").await;
    assert!(home.status == StatusCode::OK && home.text().contains("/applications/default/pi/"));
    // Nothing secret is on a page.
    let given = meeting.issuer.given.lock().unwrap().clone();
    for page in [
        "/",
        "/applications/default/pi/",
        "/applications/default/pi/manifest/",
        "/check/",
        "/sign-in",
    ] {
        let answer = world.get(&ann, page).await;
        let all = format!("{:?} {}", answer.headers, answer.text());
        for secret in [given[0].as_str(), SECRET, &code, "access-secret"] {
            assert!(!all.contains(secret), "{page}: {secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_answers_let_no_one_in() {
    let meeting = Meeting::new().await;
    // Ways back that were not begun here, or not so.
    let (asked, browser) = meeting.go("/").await;
    let state = asked.first("state").unwrap().to_owned();
    let (other, stranger) = meeting.go("/").await;
    let code = meeting.issuer.agrees(&asked);
    let unknown = "was not begun in this browser";
    let forged = Browser {
        cookie: "stoke-oidc=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    };
    for (browser, state) in [
        (&browser, "wrong"),
        (&browser, ""),
        (&browser, other.first("state").unwrap()),
        (&stranger, state.as_str()),
        (&Browser::default(), &state),
        (&forged, &state),
    ] {
        let answer = meeting.back(browser, &code, state, "").await;
        assert!(meeting.reason(&answer).await.contains(unknown), "{state}");
    }
    // The right one, and the same again.
    assert_eq!(meeting.back(&browser, &code, &state, "").await.header("location"), "/");
    let again = meeting.back(&browser, &code, &state, "").await;
    assert!(meeting.reason(&again).await.contains(unknown));
    // A code that was used, in a sign-in of its own.
    let (asked, browser) = meeting.go("/").await;
    let answer = meeting.back(&browser, &code, asked.first("state").unwrap(), "").await;
    assert!(meeting.reason(&answer).await.contains("invalid_grant"));
    // What the provider says is shown as text.
    let (asked, browser) = meeting.go("/").await;
    let more = "&error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E";
    let answer = meeting.back(&browser, "", asked.first("state").unwrap(), more).await;
    let said = meeting.reason(&answer).await;
    assert!(said.contains("access_denied &lt;script&gt;"), "{said}");
    // Of another issuer, in the answer itself.
    let (asked, browser) = meeting.go("/").await;
    let code = meeting.issuer.agrees(&asked);
    let more = "&iss=https://evil.example.com";
    let answer = meeting.back(&browser, &code, asked.first("state").unwrap(), more).await;
    assert!(meeting.reason(&answer).await.contains("of another issuer"));
    // Tokens that say something else, or are signed by another.
    let token = |claims: Value| Mischief {
        claims,
        lasts: 300,
        ..Mischief::default()
    };
    let answers = |status, answer| Mischief {
        answers: Some((status, answer)),
        ..Mischief::default()
    };
    for (mischief, reason) in [
        (token(json!({"nonce": "x"})), "of another sign-in"),
        (token(json!({"nonce": null})), "of another sign-in"),
        (
            token(json!({"iss": "https://evil.example.com"})),
            "of another issuer, https://evil.example.com",
        ),
        (token(json!({"aud": "other"})), "for another client"),
        (token(json!({"exp": now() - 1})), "has expired"),
        (token(json!({"nbf": now() + 3600})), "not valid yet"),
        (token(json!({"sub": ""})), "names no one"),
        (
            Mischief {
                forges: true,
                ..token(json!({}))
            },
            "must know the same issuer",
        ),
        (answers(StatusCode::OK, json!({"access_token": "x"})), "no ID token"),
        (
            answers(StatusCode::OK, json!({"id_token": "eyJhbGciOiJub25lIn0.e30."})),
            "not signed",
        ),
        (
            answers(StatusCode::OK, json!({"id_token": "x".repeat(20 << 10)})),
            "no ID token",
        ),
        (
            answers(StatusCode::OK, json!({"id_token": "a", "x": "y".repeat(2 << 20)})),
            "does not answer",
        ),
        (answers(StatusCode::BAD_GATEWAY, json!({})), "does not answer"),
        (
            answers(StatusCode::UNAUTHORIZED, json!({"error": "invalid_client"})),
            "invalid_client",
        ),
        (answers(StatusCode::FOUND, json!({})), "refuses"),
    ] {
        let (asked, browser) = meeting.go("/").await;
        let code = meeting.issuer.agrees(&asked);
        meeting.with(|known| *known = mischief);
        let answer = meeting.back(&browser, &code, asked.first("state").unwrap(), "").await;
        let said = meeting.reason(&answer).await;
        assert!(said.contains(reason), "{reason}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ways_on_stay_here() {
    let meeting = Meeting::new().await;
    for (next, to) in [
        ("/cluster/", "/cluster/"),
        ("%2F%2Fevil.example.com", "/"),
        ("https%3A%2F%2Fevil.example.com", "/"),
        ("%2F%5Cevil.example.com", "/"),
        ("", "/"),
    ] {
        let (asked, browser) = meeting.go(next).await;
        let code = meeting.issuer.agrees(&asked);
        let more = "&next=https://evil.example.com/";
        let answer = meeting.back(&browser, &code, asked.first("state").unwrap(), more).await;
        assert_eq!(answer.header("location"), to, "{next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_or_another_is_said() {
    let meeting = Meeting::new().await;
    for (discovery, reason) in [
        (
            json!({"issuer": "https://evil.example.com"}),
            "of another issuer, https://evil.example.com",
        ),
        (
            json!({"token_endpoint": "http://login.example.com/token"}),
            "is not HTTPS",
        ),
        (json!({"authorization_endpoint": "javascript:alert(1)"}), "is not HTTPS"),
        (json!({"token_endpoint": null}), "is not taken"),
    ] {
        meeting.with(|known| known.discovery = discovery);
        let answer = meeting.world.get(&Browser::default(), "/sign-in/oidc").await;
        let said = meeting.reason(&answer).await;
        assert!(said.contains(reason), "{reason}: {said}");
        // It is not asked at once again.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    // It is well again.
    meeting.with(|known| known.discovery = Value::Null);
    meeting.go("/").await;
    // Nobody listens there.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let provider = Provider::new(OidcTerms {
        issuer: format!("http://{gone}"),
        client_id: CLIENT.to_owned(),
        ..OidcTerms::default()
    });
    let provider = provider.unwrap();
    let world = World::new(|server| Access::by_token(&config_of(server), Terms::CLUSTER).with_provider(provider)).await;
    let down = Meeting {
        issuer: meeting.issuer.clone(),
        world,
        _secret: tempfile::NamedTempFile::new().unwrap(),
    };
    let answer = down.world.get(&Browser::default(), "/sign-in/oidc").await;
    let said = down.reason(&answer).await;
    // All who ask wait for one answer.
    let begun = Instant::now();
    let nobody = Browser::default();
    let many = (0..50).map(|_| down.world.get(&nobody, "/sign-in/oidc"));
    for answer in futures::future::join_all(many).await {
        assert_eq!(answer.header("location"), "/sign-in");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(
        said.contains("The identity provider does not answer:") && said.contains(&gone.to_string()),
        "{said}"
    );
    // Who has a token is let in all the same.
    let token = down.world.robot("reader", reads(&[APPLICATIONS])).await;
    assert_eq!(
        down.world.sign_in(&token, "default").await.status,
        StatusCode::SEE_OTHER
    );
    // Without a provider there is no such way.
    let world = World::by_token(Terms::CLUSTER).await;
    for path in ["/sign-in/oidc", "/sign-in/oidc/back?code=x&state=y"] {
        assert_eq!(world.get(&Browser::default(), path).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_with_their_tokens_unless_those_are_renewed() {
    let meeting = Meeting::new().await;
    let world = &meeting.world;
    let lasts = |browser: &Browser| {
        let browser = browser.clone();
        async move { world.get(&browser, "/applications/default/none/").await.status }
    };
    // Nothing renews it.
    meeting.with(|known| known.lasts = 3);
    let ann = meeting.sign_in().await;
    assert_eq!(lasts(&ann).await, StatusCode::NOT_FOUND);
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(lasts(&ann).await, StatusCode::UNAUTHORIZED);
    // Renewed, also after it has ended: a page that no one looked at.
    meeting.with(|known| known.gives_refresh = true);
    let ann = meeting.sign_in().await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(3100)).await;
        let asked = (0..8).map(|_| lasts(&ann));
        for status in futures::future::join_all(asked).await {
            assert_eq!(status, StatusCode::NOT_FOUND);
        }
    }
    // Once each time, however many ask.
    assert_eq!(*meeting.issuer.refreshed.lock().unwrap(), 3);
    // It has become someone else's.
    meeting.with(|known| known.claims = json!({"sub": "bob"}));
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(lasts(&ann).await, StatusCode::UNAUTHORIZED);
    meeting.with(|known| known.claims = Value::Null);
    // The provider gives none any more.
    let ann = meeting.sign_in().await;
    meeting.with(|known| known.answers = Some((StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}))));
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(lasts(&ann).await, StatusCode::UNAUTHORIZED);
    meeting.with(|known| known.answers = None);
    assert_eq!(lasts(&ann).await, StatusCode::UNAUTHORIZED, "it has ended");
    // It gives no more ID tokens: the session lasts as long as the one it has.
    meeting.with(|known| known.lasts = 6);
    let ann = meeting.sign_in().await;
    meeting.with(|known| known.answers = Some((StatusCode::OK, json!({"access_token": "x"}))));
    tokio::time::sleep(Duration::from_millis(4400)).await;
    assert_eq!(lasts(&ann).await, StatusCode::NOT_FOUND);
    tokio::time::sleep(Duration::from_millis(1700)).await;
    assert_eq!(lasts(&ann).await, StatusCode::UNAUTHORIZED);
    meeting.with(|known| (known.answers, known.lasts) = (None, 3));
    // It is away for a while: said, and the session goes on when it is back.
    let ann = meeting.sign_in().await;
    meeting.with(|known| known.answers = Some((StatusCode::BAD_GATEWAY, json!({}))));
    tokio::time::sleep(Duration::from_millis(3100)).await;
    let answer = world.get(&ann, "/applications/default/none/").await;
    assert!(answer.status == StatusCode::UNAUTHORIZED && answer.text().contains("provider does not answer"));
    meeting.with(|known| known.answers = None);
    eventually("the session goes on", Duration::from_secs(10), async || {
        lasts(&ann).await == StatusCode::NOT_FOUND
    })
    .await;
}

/// The answer of the provider to a browser that is led there.
async fn at_the_provider(address: &str) -> String {
    let rest = address.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_at_the_provider_too() {
    let meeting = Meeting::new().await;
    let world = &meeting.world;
    let endpoint = format!("{}/logout?kc=1", meeting.issuer.address);
    meeting.with(|known| known.discovery = json!({ "end_session_endpoint": endpoint }));
    let status = async |browser: &Browser| world.get(browser, "/check/").await.status;
    let sign_in = async |session: &str| {
        meeting.with(|known| known.claims = json!({ "sid": session }));
        meeting.sign_in().await
    };
    let (ann, beside, other) = (sign_in("s1").await, sign_in("s1").await, sign_in("s2").await);
    let leave = async |browser: &Browser, more: &[(&str, &str)]| {
        let csrf = csrf_of(&world.get(browser, "/check/").await);
        let origin = format!("http://{HOST}");
        let headers = [&[("origin", origin.as_str())], more].concat();
        world
            .post(browser, "/sign-out", &headers, &format!("csrf={csrf}"))
            .await
    };
    // Another site's form ends nothing.
    let forged = world
        .post(&ann, "/sign-out", &[("origin", "https://evil.example.com")], "csrf=x")
        .await;
    assert_eq!(
        (forged.status, status(&ann).await),
        (StatusCode::FORBIDDEN, StatusCode::OK)
    );
    let mut events = world.follow(&beside, "/").await;
    let page = leave(&ann, &[]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(
        page.header("set-cookie").starts_with("stoke-session=; "),
        "{}",
        page.header("set-cookie")
    );
    // Here it has ended before the browser goes anywhere, in every browser of that session there, and their streams with it.
    assert_eq!(
        [status(&ann).await, status(&beside).await, status(&other).await],
        [StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED, StatusCode::OK]
    );
    events.until("end", super::streams::SECOND).await;
    assert!(meeting.issuer.left.lock().unwrap().is_empty());
    let text = page.text();
    let link = text.split("class=\"entrance\" href=\"").nth(1).expect("a way there");
    let link = link
        .split('"')
        .next()
        .unwrap()
        .replace("&amp;", "&")
        .replace("&#38;", "&");
    let answer = at_the_provider(&link).await;
    assert!(
        answer.starts_with("HTTP/1.1 303") && answer.contains(&format!("location: http://{HOST}/sign-in\r\n")),
        "{answer}"
    );
    assert_eq!(*meeting.issuer.left.lock().unwrap(), ["s1"]);
    // Behind a proxy with TLS and a prefix it comes back to where the browser was.
    let page = leave(
        &other,
        &[("x-forwarded-proto", "https"), ("x-forwarded-prefix", "/spark")],
    )
    .await;
    let back = "post_logout_redirect_uri=https%3A%2F%2F127.0.0.1%3A26080%2Fspark%2Fsign-in";
    assert!(page.text().contains(back), "{}", page.text());
    // Who has come with a token of their own has no session there.
    let page = world.get(&Browser::default(), "/sign-in").await;
    assert_eq!(page.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_signed_out_there_is_signed_out_here() {
    for (endpoint, said) in [
        (json!("http://login.example.com/logout"), Some("is not HTTPS")),
        (json!("javascript:alert(1)"), Some("is not HTTPS")),
        (Value::Null, None),
    ] {
        let meeting = Meeting::new().await;
        meeting.with(|known| known.discovery = json!({ "end_session_endpoint": endpoint }));
        let ann = meeting.sign_in().await;
        let csrf = csrf_of(&meeting.world.get(&ann, "/check/").await);
        let origin = format!("http://{HOST}");
        let answer = meeting
            .world
            .post(&ann, "/sign-out", &[("origin", &origin)], &format!("csrf={csrf}"))
            .await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{endpoint}");
        assert_eq!(
            meeting.world.get(&ann, "/check/").await.status,
            StatusCode::UNAUTHORIZED
        );
        let cookies = cookies_of(&answer);
        assert!(
            cookies.iter().any(|one| one.starts_with("stoke-session=; ")),
            "{cookies:?}"
        );
        match said {
            None => assert_eq!(answer.header("location"), "/"),
            Some(said) => {
                assert_eq!(answer.header("location"), "/sign-in");
                let page = meeting.world.get(&Browser::of(&answer), "/sign-in").await.text();
                assert!(
                    page.contains("but not at the identity provider") && page.contains(said),
                    "{page}"
                );
            }
        }
    }
}
