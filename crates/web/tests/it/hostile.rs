//! Names of others, and many of them.

use std::time::Instant;

use http::StatusCode;
use serde_json::json;

use crate::site::Site;

fn log(id: &str, name: &str, user: &str, start: i64) -> String {
    let events = [
        json!({"Event": "SparkListenerLogStart", "Spark Version": "4.1.4"}),
        json!({"Event": "SparkListenerApplicationStart", "App Name": name, "App ID": id, "Timestamp": start, "User": user}),
        json!({"Event": "SparkListenerApplicationEnd", "Timestamp": start + 5000}),
    ];
    events.iter().map(|event| format!("{event}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_text() {
    let names = [
        "<img src=x onerror=alert(1)>",
        "\"><script>alert(1)</script>",
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "gpj.\u{202e}exe",
        "{{ w.applications }}",
        "a'b\"c&d",
    ];
    let logs = tempfile::tempdir().unwrap();
    for (place, name) in names.iter().enumerate() {
        let id = format!("app-{place}/../{name}");
        std::fs::write(
            logs.path().join(format!("log-{place}")),
            log(&id, name, name, 1_000_000),
        )
        .unwrap();
    }
    let site = Site::on(logs, stoke_web::Settings::default());
    let home = site.get("/").await.text();
    let mut paths = vec!["/".to_owned(), "/?q=%3Cscript%3E%1b".to_owned()];
    let links = home
        .split(" href=\"/history/")
        .skip(1)
        .map(|rest| format!("/history/{}", rest.split('"').next().unwrap()));
    paths.extend(links.collect::<std::collections::BTreeSet<_>>());
    assert_eq!(paths.len(), 2 + names.len(), "{paths:?}");
    for path in paths {
        let page = site.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        let text = page.text();
        assert!(!text.contains("<img src=x") && !text.contains("<script>"), "{path}");
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{path}");
    }
    assert!(
        home.contains("␛[2J␛]0;title␇") && home.contains("gpj.⟨U+202E⟩exe") && home.contains("{{ w.applications }}")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_applications_are_quick() {
    let logs = tempfile::tempdir().unwrap();
    for place in 0..10_000 {
        let (id, name) = (format!("spark-{place:05}"), format!("etl {}", place % 40));
        std::fs::write(
            logs.path().join(&id),
            log(&id, &name, "etl", 1_700_000_000_000 + place * 60_000),
        )
        .unwrap();
    }
    let site = Site::on(logs, stoke_web::Settings::default());
    for path in ["/", "/?sort=name&page=100", "/?q=etl+7&sort=duration&desc=1"] {
        let started = Instant::now();
        let page = site.with(path, &[("accept-encoding", "gzip")]).await;
        let took = started.elapsed();
        println!("{path}: {took:?}, {} bytes", page.bytes.len());
        assert!(page.bytes.len() < 30_000, "{}", page.bytes.len());
        // Not optimised, and beside other tests.
        assert!(took.as_millis() < 3000, "{took:?}");
    }
    let twin = site.twin("/?q=etl+7").await;
    assert_eq!(twin["applications"]["total"], 250);
    assert_eq!(twin["applications"]["rows"][0]["usual"], 1.0);
}
