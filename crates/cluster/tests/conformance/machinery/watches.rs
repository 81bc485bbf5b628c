//! Watches: selectors, initial events, watchers that are too slow.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use http::Request;
use serde_json::{Value, json};

use super::{ask, ask_text, create, get, has, map, maps, patch, same};
use crate::case::Ground;

/// Events of a watch that ends by itself: type, name and version.
fn watched(ground: &Ground, path: &str) -> Vec<(String, String, Value)> {
    let (_, text) = ask_text(ground, "GET", path, &[], Vec::new());
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                text(&event["type"]),
                text(&event["object"]["metadata"]["name"]),
                event["object"].clone(),
            )
        })
        .collect()
}

pub fn selected(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let path = maps(&namespace);
    let start = create(ground, &path, &map("a", json!({})))?["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for label in ["2", "3", "2"] {
        patch(
            ground,
            &format!("{path}/a"),
            "merge-patch+json",
            &json!({"metadata": {"labels": {"case": label}}}),
        );
    }
    patch(
        ground,
        &format!("{path}/a"),
        "merge-patch+json",
        &json!({"data": {"k": "v"}}),
    );
    ask(ground, "DELETE", &format!("{path}/a"), "", "");
    let events = watched(
        ground,
        &format!("{path}?watch=true&resourceVersion={start}&labelSelector=case%3D2&timeoutSeconds=1"),
    );
    let words: Vec<&str> = events.iter().map(|(word, ..)| word.as_str()).collect();
    same(
        "events",
        words,
        vec!["ADDED", "DELETED", "ADDED", "MODIFIED", "DELETED"],
    )?;
    let gone = watched(
        ground,
        &format!("{path}?watch=true&resourceVersion={start}&fieldSelector=metadata.name%3Db&timeoutSeconds=1"),
    );
    same("another name", gone.len(), 0)
}

pub fn initial_events(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let path = maps(&namespace);
    create(ground, &path, &map("a", json!({})))?;
    let watch = format!("{path}?watch=true&labelSelector=case&timeoutSeconds=1");
    let full = format!("{watch}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
    let started = Instant::now();
    let events = watched(ground, &full);
    if !(Duration::from_millis(800)..Duration::from_secs(8)).contains(&started.elapsed()) {
        return Err(format!("a watch of one second took {:?}", started.elapsed()));
    }
    same(
        "first event",
        (events[0].0.as_str(), events[0].1.as_str()),
        ("ADDED", "a"),
    )?;
    same(
        "then a bookmark",
        (
            events[1].0.as_str(),
            events[1].2["metadata"]["annotations"]["k8s.io/initial-events-end"].clone(),
        ),
        ("BOOKMARK", "true".into()),
    )?;
    let none = watched(
        ground,
        &format!("{watch}&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"),
    );
    if none.iter().any(|(word, ..)| word == "ADDED") {
        return Err(format!("initial events though none were wanted: {none:?}"));
    }
    let (code, refused) = get(ground, &format!("{watch}&sendInitialEvents=true"));
    same("without a match", code, 422)?;
    has(
        "without a match",
        &refused,
        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    )?;
    let (code, refused) = get(ground, &format!("{watch}&resourceVersionMatch=NotOlderThan"));
    same("a match without initial events", code, 422)?;
    has(
        "a match without initial events",
        &refused,
        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    )?;
    same(
        "initial events of a list",
        get(
            ground,
            &format!("{path}?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0"),
        )
        .0,
        422,
    )
}

pub fn slow_watcher(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let path = maps(&namespace);
    let large = "x".repeat(200_000);
    create(ground, &path, &map("a", json!({"k": "0"})))?;
    let request = Request::get(format!("{path}?watch=true")).body(Vec::new()).unwrap();
    let client = ground.bench.client.clone();
    let watch = ground
        .runtime
        .block_on(client.request_events::<Value>(request))
        .map_err(|error| error.to_string())?;
    let mut watch = Box::pin(watch);
    // It reads nothing while much more than the window holds goes by.
    for number in 0..200 {
        let data = json!({"data": {"k": format!("{number}{large}")}});
        let (code, answer) = patch(ground, &format!("{path}/a"), "merge-patch+json", &data);
        same("a write", code, 200).map_err(|why| format!("{why}: {answer}"))?;
    }
    let last = ground.runtime.block_on(async {
        let mut last = None;
        while let Ok(Some(event)) = watch.try_next().await {
            last = Some(event);
        }
        last
    });
    match last {
        Some(kube::core::WatchEvent::Error(status)) => {
            same("its end", (status.code, status.reason.as_str()), (410, "Expired"))
        }
        other => Err(format!("the watch ended with {other:?}")),
    }
}
