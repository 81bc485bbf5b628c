//! Who may see and do what.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn bad_visitors_of_a_laptop() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    world.submit("pi", Value::Null).await;
    let nobody = Browser::default();
    let other = Browser {
        cookie: "stoke-26080=00".to_owned(),
    };
    for browser in [&nobody, &other] {
        for path in [
            "/",
            "/cluster/",
            "/check/",
            "/applications/default/pi/",
            "/history/x/",
            "/api/v1/applications",
            "/x",
            "/open?token=00",
            "/open",
        ] {
            let answer = world.get(browser, path).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(!answer.text().contains("default/pi"), "{path}");
            assert_eq!(answer.header("set-cookie"), "");
        }
        let twin = world.get(browser, "/?output=json").await;
        assert_eq!(
            (twin.status, twin.json()["page"].clone()),
            (StatusCode::UNAUTHORIZED, json!("sign-in"))
        );
    }
    // The secret is in no page.
    let secret = world.link.split('=').nth(1).unwrap();
    let cookie = owner.cookie.split('=').nth(1).unwrap();
    for path in ["/", "/check/", "/applications/default/pi/"] {
        let text = world.get(&owner, path).await.text();
        assert!(!text.contains(secret) && !text.contains(cookie), "{path}");
    }
    // Another name leads here: refused before anything is looked at.
    for host in ["evil.example.com", "127.0.0.1.evil.com"] {
        let request = Request::get("/").header("host", host).header("cookie", &owner.cookie);
        let answer = world.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    // Forms of other pages, of none, with the wrong token or without.
    let csrf = csrf_of(&world.get(&owner, "/check/").await);
    let (own, good) = (format!("http://{HOST}"), format!("csrf={csrf}&manifest=x"));
    for (headers, body, status) in [
        (&[("origin", own.as_str())][..], good.as_str(), StatusCode::OK),
        (&[("origin", "http://evil.example.com")], &good, StatusCode::FORBIDDEN),
        (&[("origin", "null")], &good, StatusCode::FORBIDDEN),
        (&[("origin", "http://127.0.0.1:26081")], &good, StatusCode::FORBIDDEN),
        (&[], &good, StatusCode::FORBIDDEN),
        (
            &[("origin", &own), ("sec-fetch-site", "cross-site")],
            &good,
            StatusCode::FORBIDDEN,
        ),
        (&[("origin", &own)], "manifest=x", StatusCode::FORBIDDEN),
        (&[("origin", &own)], "csrf=00&manifest=x", StatusCode::FORBIDDEN),
        (&[("origin", "https://console.example.com")], &good, StatusCode::OK),
    ] {
        let answer = world.post(&owner, "/check/", headers, body).await;
        assert_eq!(answer.status, status, "{headers:?} {body}");
    }
    assert_eq!(
        world.post(&nobody, "/check/", &[("origin", &own)], &good).await.status,
        StatusCode::UNAUTHORIZED
    );
    for path in ["/", "/applications/default/pi/", "/x"] {
        let answer = world.post(&owner, path, &[("origin", &own)], &good).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    // The secret as a bearer token, for scripts; another one is refused.
    for (token, status) in [
        (secret, StatusCode::OK),
        ("00", StatusCode::UNAUTHORIZED),
        ("", StatusCode::UNAUTHORIZED),
    ] {
        let request = Request::get("/?output=json").header("host", HOST);
        let request = request.header("authorization", format!("Bearer {token}"));
        assert_eq!(world.ask(request.body(Body::empty()).unwrap()).await.status, status);
    }
    // Signing out ends the session, and only by a form of ours.
    let answer = world
        .post(&owner, "/sign-out", &[("origin", "http://evil.example.com")], &good)
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = world.post(&owner, "/sign-out", &[("origin", &own)], &good).await;
    assert!(answer.status == StatusCode::SEE_OTHER && answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(world.get(&owner, "/").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_see_what_their_tokens_may_see() {
    let world = World::by_token(Terms::CLUSTER).await;
    world
        .submit("pi", json!({"applicationState": {"state": "RUNNING"}}))
        .await;
    let reader = world.robot("reader", reads(&[APPLICATIONS])).await;
    let stranger = world.robot("stranger", json!([])).await;
    // Not a token, one of someone else's making, and none.
    for wrong in ["x", "eyJhbGciOiJub25lIn0.e30.", ""] {
        let answer = world.sign_in(wrong, "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{wrong}");
        assert!(answer.header("set-cookie").is_empty() && answer.text().contains("does not take this token"));
    }
    // The form of another page.
    let body = format!("token={reader}");
    let foreign = world
        .post(
            &Browser::default(),
            "/sign-in",
            &[("origin", "http://evil.example.com")],
            &body,
        )
        .await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let answer = world.sign_in(&reader, "default").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/cluster/")
    );
    let browser = Browser::of(&answer);
    let page = world.get(&browser, "/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("system:serviceaccount:default:reader") && !page.text().contains(&reader));
    let twin = world.twin(&browser, "/").await;
    // Runs that are of no application it may see are not shown.
    assert_eq!(twin["applications"]["total"], 1);
    let runs = real();
    let index = Index::new(Source::directory(runs.path()), Settings::default(), None);
    index.scan().unwrap();
    let run = stoke_history::rest::Library::listed(&index)[0].id.clone();
    for path in [
        format!("/history/{run}/"),
        format!("/api/v1/applications/{run}"),
        "/api/v1/applications".to_owned(),
        "/compare".to_owned(),
        "/cost".to_owned(),
    ] {
        assert_eq!(world.get(&browser, &path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    // What it may not see is said, and the rest is shown.
    let twin = world.twin(&browser, "/applications/default/pi/").await;
    assert!(twin["podsRefused"].as_str().unwrap().contains("forbidden"), "{twin:#}");
    assert!(world.twin(&browser, "/cluster/").await["nodesRefused"].is_string());
    assert_eq!(
        world.get(&browser, "/applications/other/pi/").await.status,
        StatusCode::FORBIDDEN
    );
    // Of all namespaces it may see nothing.
    let everywhere = Browser::of(&world.sign_in(&reader, "").await);
    let answer = world.get(&everywhere, "/").await;
    assert!(
        answer.status == StatusCode::FORBIDDEN && answer.text().contains("name yours"),
        "{}",
        answer.text()
    );
    let nothing = Browser::of(&world.sign_in(&stranger, "default").await);
    assert_eq!(world.get(&nothing, "/").await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        world.get(&nothing, "/applications/default/pi/").await.status,
        StatusCode::FORBIDDEN
    );
    // A token with each request.
    let request = Request::get("/applications/default/pi/?output=json").header("host", HOST);
    let request = request.header("authorization", format!("Bearer {reader}"));
    let answer = world.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (answer.status, answer.json()["application"]["name"].clone()),
        (StatusCode::OK, json!("pi"))
    );
    // The account is gone, and so is what its token opens.
    let accounts: Api<ServiceAccount> = world.api();
    accounts
        .delete("reader", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    eventually("the session ends with the token", Duration::from_secs(10), async || {
        world.get(&browser, "/applications/default/pi/").await.status == StatusCode::UNAUTHORIZED
    })
    .await;
    assert_eq!(world.get(&browser, "/check/").await.status, StatusCode::UNAUTHORIZED);
    world.server.stop().await;
}

/// A run of the history, and the finding of it that proposes a change.
async fn proposed(world: &World, browser: &Browser) -> (String, Value) {
    let runs = world.twin(browser, "/?state=succeeded&per=100").await;
    for row in runs["applications"]["rows"].as_array().unwrap() {
        let id = row["run"].as_str().unwrap();
        let found = world.twin(browser, &format!("/history/{id}/findings/")).await;
        let found = found["findings"].as_array().into_iter().flatten();
        if let Some(one) = found.into_iter().find(|one| one["fix"]["patch"].is_object()) {
            return (id.to_owned(), one["fix"]["patch"].clone());
        }
    }
    panic!("no run has a finding with a change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_doctor_proposes_is_made_with_the_visitors_rights() {
    let world = World::by_token(Terms::CLUSTER).await;
    let administrator = world.robot("administrator", json!([])).await;
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "administrator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "administrator", "namespace": "default"}]});
    let bindings: Api<k8s_openapi::api::rbac::v1::ClusterRoleBinding> = Api::all(world.client.clone());
    world.make(bindings, binding).await;
    let reader = world.robot("reader", reads(&[APPLICATIONS])).await;
    let admin = Browser::of(&world.sign_in(&administrator, "").await);
    let (run, patch) = proposed(&world, &admin).await;
    world
        .submit(
            "etl",
            json!({"applicationState": {"state": "COMPLETED"}, "sparkApplicationId": run}),
        )
        .await;
    let page = world.get(&admin, "/applications/default/etl/").await.text();
    let link = page
        .split("href=\"")
        .find(|rest| rest.contains("change/?change="))
        .expect("a link to a change");
    let link = link.split('"').next().unwrap().to_owned();
    let shown = world.get(&admin, &link).await;
    assert_eq!(shown.status, StatusCode::OK);
    let difference = world.twin(&admin, &link).await["difference"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        difference.lines().any(|line| line.starts_with("+ ")),
        "{patch:#} {difference}"
    );
    let hidden = |page: &Answer, name: &str| {
        let text = page.text();
        let after = text
            .split(&format!("name=\"{name}\" value=\""))
            .last()
            .unwrap()
            .to_owned();
        after.split('"').next().unwrap().to_owned()
    };
    // Who may only read is shown why there is no button, and is refused when they send the form all the same.
    let guest = Browser::of(&world.sign_in(&reader, "default").await);
    let refused = world.get(&guest, &link).await;
    assert!(refused.text().contains("forbidden") && !refused.text().contains("name=\"change\""));
    let origin = format!("http://{HOST}");
    let (change, version) = (hidden(&shown, "change"), hidden(&shown, "version"));
    let form = |csrf: &str, version: &str| format!("csrf={csrf}&change={change}&version={version}");
    let own = [("origin", origin.as_str())];
    let path = "/applications/default/etl/change/";
    let csrf = csrf_of(&refused);
    assert_eq!(
        world.post(&guest, path, &own, &form(&csrf, &version)).await.status,
        StatusCode::FORBIDDEN
    );
    let csrf = csrf_of(&shown);
    // Another page's form, a change that was not proposed, an object that has changed meanwhile.
    let foreign = world
        .post(
            &admin,
            path,
            &[("origin", "http://evil.example.com")],
            &form(&csrf, &version),
        )
        .await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let unknown = world
        .post(&admin, path, &own, &format!("csrf={csrf}&change=00&version={version}"))
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(
        world.post(&admin, path, &own, &form(&csrf, "1")).await.status,
        StatusCode::CONFLICT
    );
    let api: Api<SparkApplication> = world.api();
    let before = api.get("etl").await.unwrap();
    let done = world.post(&admin, path, &own, &form(&csrf, &version)).await;
    assert_eq!(
        (done.status, done.header("location")),
        (StatusCode::SEE_OTHER, "/applications/default/etl/")
    );
    let after = api.get("etl").await.unwrap();
    assert!(after.metadata.generation > before.metadata.generation && after.spec != before.spec);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end() {
    let terms = Terms {
        idle: Duration::from_millis(400),
        ..Terms::CLUSTER
    };
    let world = World::by_token(terms).await;
    let token = world.robot("reader", reads(&[APPLICATIONS])).await;
    let browser = Browser::of(&world.sign_in(&token, "default").await);
    assert_eq!(world.get(&browser, "/").await.status, StatusCode::OK);
    // A page that looks again by itself does not keep it.
    let begun = Instant::now();
    let mut last = StatusCode::OK;
    while begun.elapsed() < Duration::from_secs(2) && last == StatusCode::OK {
        let request = Request::get("/check/")
            .header("host", HOST)
            .header("cookie", &browser.cookie);
        last = world
            .ask(request.header("x-stoke-live", "1").body(Body::empty()).unwrap())
            .await
            .status;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(last, StatusCode::UNAUTHORIZED);
}
