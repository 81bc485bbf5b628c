//! Who may ask and how: names, methods, prefixes, languages, assets, odd paths.

use axum::body::Body;
use http::{Request, StatusCode};

use crate::site::{Site, real};

#[tokio::test(flavor = "multi_thread")]
async fn other_names_are_refused() {
    let named = || stoke_web::Settings {
        hosts: vec!["history.example.com".to_owned()],
        local: true,
        ..Default::default()
    };
    let site = Site::on(real(), named());
    for (host, status) in [
        ("localhost:18080", StatusCode::OK),
        ("history.example.com", StatusCode::OK),
        ("evil.example.com", StatusCode::MISDIRECTED_REQUEST),
    ] {
        for path in ["/", "/api/v1/applications", "/assets/x"] {
            let answer = site.with(path, &[("host", host)]).await;
            let expected = if path == "/assets/x" && status == StatusCode::OK {
                StatusCode::NOT_FOUND
            } else {
                status
            };
            assert_eq!(answer.status, expected, "{host} {path}");
        }
    }
    // Behind all addresses the status API is for every name, as it was.
    let open = Site::on(
        real(),
        stoke_web::Settings {
            local: false,
            ..named()
        },
    );
    assert_eq!(
        open.with("/api/v1/applications", &[("host", "spark-history")])
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(
        open.with("/", &[("host", "spark-history")]).await.status,
        StatusCode::MISDIRECTED_REQUEST
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_reading_is_allowed() {
    let site = Site::new();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request = Request::builder()
            .method(method)
            .uri("/")
            .header("host", "localhost")
            .body(Body::empty());
        assert_eq!(
            site.ask(request.unwrap()).await.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixes_stand_before_every_address() {
    let site = Site::on(
        real(),
        stoke_web::Settings {
            base_path: "/spark".to_owned(),
            ..Default::default()
        },
    );
    for (path, headers, prefix) in [
        ("/", &[][..], "/spark/"),
        ("/spark/", &[], "/spark/"),
        ("/spark", &[], "/spark/"),
        ("/", &[("x-forwarded-prefix", "/other/place/")], "/other/place/"),
        ("/", &[("x-forwarded-prefix", "//evil.example.com")], "/spark/"),
        ("/", &[("x-forwarded-prefix", "/\"><script>")], "/spark/"),
    ] {
        let page = site.with(path, headers).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        let text = page.text();
        for attribute in [" href=\"/", " src=\"/", " action=\"/"] {
            for rest in text.split(attribute).skip(1) {
                assert!(
                    format!("/{rest}").starts_with(prefix),
                    "{path} {headers:?}: {}",
                    &rest[..40]
                );
            }
        }
    }
    assert_eq!(site.get("/spark/api/v1/applications").await.status, StatusCode::OK);
    assert_eq!(site.get("/sparkling").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn languages_and_forms_are_the_visitors() {
    let site = Site::new();
    let russian = site.with("/", &[("accept-language", "ru-RU,ru;q=0.9")]).await;
    assert!(russian.text().contains("<html lang=\"ru\">") && russian.text().contains("<h1>Приложения</h1>"));
    assert!(site.get("/?lang=ru").await.text().contains("<html lang=\"ru\">"));
    let json = site.with("/", &[("accept", "application/json")]).await;
    assert_eq!(json.header("content-type"), "application/json");
    assert_eq!(json.json()["page"], "home");
    assert_eq!(
        site.with("/nothing", &[("accept", "application/json")]).await.json()["page"],
        "error"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_kept_for_long_and_compressed() {
    let site = Site::new();
    let page = site.get("/").await.text();
    for attribute in ["stylesheet\" href=\"", "module\" src=\"", "icon\" href=\""] {
        let path = page.split(attribute).nth(1).unwrap().split('"').next().unwrap();
        let plain = site.get(path).await;
        assert_eq!(plain.status, StatusCode::OK);
        assert!(plain.header("cache-control").contains("immutable"), "{path}");
        let gzip = site.with(path, &[("accept-encoding", "br, gzip")]).await;
        assert_eq!(gzip.header("content-encoding"), "gzip");
        assert!(
            gzip.bytes.len() < plain.bytes.len() || plain.bytes.len() < 400,
            "{path}"
        );
    }
    let compressed = site.with("/", &[("accept-encoding", "gzip")]).await;
    assert_eq!(compressed.header("content-encoding"), "gzip");
    assert_eq!(
        site.with("/", &[("accept-encoding", "gzip;q=0")])
            .await
            .header("content-encoding"),
        ""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_paths_find_nothing() {
    let site = Site::new();
    let id = &site.ids().await[0];
    for path in [
        "/history/../../etc/passwd",
        "/history/%2e%2e/%2e%2e/etc/passwd",
        "/assets/../Cargo.toml",
        "/assets/%2e%2e%2fCargo.toml",
        "/history/%00/",
        "/history/%ff%fe/",
        "/history/%/",
        "/nothing",
        &format!("/history/{id}/jobs/job/?id=9999999999999999999"),
        &format!("/history/{id}/stages/stage/?id=-1&attempt=-1"),
    ] {
        assert_eq!(site.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for query in [
        "page=0",
        "page=99999999",
        "page=x",
        "per=0",
        "per=9999999",
        "sort=nothing",
        "desc=%00",
        "q=%3Cscript%3E",
        "state=x",
        "lang=xx",
    ] {
        assert_eq!(site.get(&format!("/?{query}")).await.status, StatusCode::OK, "{query}");
        assert_eq!(
            site.get(&format!("/history/{id}/stages/stage/?id=0&{query}"))
                .await
                .status,
            StatusCode::OK,
            "{query}"
        );
    }
}
