//! A site on logs that are in the repository.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use stoke_eventlog::Source;
use stoke_history::index::{Index, Settings};
use tower::ServiceExt;

/// A page as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).expect("a text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The pages, and the logs they are of.
pub struct Site {
    router: Router,
    _logs: tempfile::TempDir,
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Logs of real runs: one that has every event, and some that differ in what went wrong.
pub fn real() -> tempfile::TempDir {
    let logs = tempfile::tempdir().unwrap();
    for log in [
        "history/tests/fixtures/every-event.zstd",
        "insight/tests/pairs/base.zstd",
        "insight/tests/pairs/fail.zstd",
        "insight/tests/pairs/skew.zstd",
        "insight/tests/logs/4.1.4/skewed-join.zstd",
        "insight/tests/logs/4.1.4/recomputed.zstd",
        "insight/tests/logs/4.1.4/stuck.zstd",
    ] {
        let from = crates().join(log);
        let name = from.file_name().unwrap().to_owned();
        std::fs::copy(&from, logs.path().join(name)).unwrap();
    }
    logs
}

/// The same, and logs of streaming queries, of a `StreamingContext` and of Spark Connect, all written by Spark 4.1.4.
pub fn all() -> tempfile::TempDir {
    let logs = real();
    for name in ["streaming.zstd", "connect.zstd", "dstreams.zstd"] {
        std::fs::copy(crates().join("web/tests/fixtures").join(name), logs.path().join(name)).unwrap();
    }
    logs
}

impl Site {
    pub fn on(logs: tempfile::TempDir, settings: stoke_web::Settings) -> Site {
        let index = Index::new(Source::directory(logs.path()), Settings::default(), None);
        index.scan().unwrap();
        Site {
            router: stoke_web::router(Arc::new(index), settings),
            _logs: logs,
        }
    }

    pub fn new() -> Site {
        Site::on(real(), stoke_web::Settings::default())
    }

    pub async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            bytes: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    pub async fn with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(path);
        if headers.iter().all(|(name, _)| *name != "host") {
            request = request.header("host", "127.0.0.1:18080");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.with(path, &[]).await
    }

    pub async fn twin(&self, path: &str) -> Value {
        let form = if path.contains('?') {
            "&output=json"
        } else {
            "?output=json"
        };
        let answer = self.get(&format!("{path}{form}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        answer.json()
    }

    /// The ids of the applications.
    pub async fn ids(&self) -> Vec<String> {
        let twin = self.twin("/").await;
        let rows = twin["applications"]["rows"].as_array().unwrap();
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }
}
