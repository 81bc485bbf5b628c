//! Lists: versions, pages, forms.

use serde_json::{Value, json};

use super::{ask, ask_text, create, get, has, map, maps, names, patch, same};
use crate::case::Ground;

pub fn versions(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let path = maps(&namespace);
    let selected = format!("{path}?labelSelector=case");
    let first = create(ground, &path, &map("a", json!({"k": "1"})))?;
    let then = first["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    create(ground, &path, &map("b", json!({})))?;
    patch(
        ground,
        &format!("{path}/a"),
        "merge-patch+json",
        &json!({"data": {"k": "2"}}),
    );
    for query in [
        "",
        "&resourceVersion=0",
        &format!("&resourceVersion={then}"),
        &format!("&resourceVersion={then}&resourceVersionMatch=NotOlderThan"),
    ] {
        let (_, list) = get(ground, &format!("{selected}{query}"));
        same(query, names(&list), vec!["a".into(), "b".into()])?;
    }
    let (_, exact) = get(
        ground,
        &format!("{selected}&resourceVersion={then}&resourceVersionMatch=Exact"),
    );
    same(
        "exact",
        (
            names(&exact),
            exact["metadata"]["resourceVersion"].clone(),
            exact["items"][0]["data"]["k"].clone(),
        ),
        (vec!["a".into()], then.clone().into(), "1".into()),
    )?;
    let (code, refused) = get(ground, &format!("{path}?resourceVersion=0&resourceVersionMatch=Exact"));
    same("exact of 0", code, 422)?;
    has(
        "exact of 0",
        &refused,
        "resourceVersionMatch \\\"exact\\\" is forbidden for resourceVersion \\\"0\\\"",
    )?;
    let (code, refused) = get(ground, &format!("{path}?resourceVersionMatch=Exact"));
    same("a match alone", code, 422)?;
    has(
        "a match alone",
        &refused,
        "forbidden unless resourceVersion is provided",
    )?;
    let (code, refused) = get(ground, &format!("{path}?resourceVersion=999999999"));
    same(
        "a version to come",
        (
            code,
            refused["reason"].clone(),
            refused["details"]["retryAfterSeconds"].clone(),
        ),
        (504, "Timeout".into(), 1.into()),
    )?;
    has("a version to come", &refused, "Too large resource version")?;
    let (code, _) = get(ground, &format!("{path}/a?resourceVersion=999999999"));
    same("one object of a version to come", code, 504)?;
    let (code, gone) = get(ground, &format!("{path}?resourceVersion=1&resourceVersionMatch=Exact"));
    if code != 410 && code != 200 {
        return Err(format!("the oldest version gave {code}: {gone}"));
    }
    same("no number", get(ground, &format!("{path}?resourceVersion=x")).0, 400)
}

pub fn pages(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let path = maps(&namespace);
    for name in ["a", "b", "c", "d", "e"] {
        create(ground, &path, &map(name, json!({"k": "1"})))?;
    }
    let (_, first) = get(ground, &format!("{path}?limit=2"));
    // The namespace's own `kube-root-ca.crt` comes last.
    same(
        "first page",
        (names(&first), first["metadata"]["remainingItemCount"].clone()),
        (vec!["a".into(), "b".into()], 4.into()),
    )?;
    let version = first["metadata"]["resourceVersion"].clone();
    ask(ground, "DELETE", &format!("{path}/c"), "", "");
    patch(
        ground,
        &format!("{path}/d"),
        "merge-patch+json",
        &json!({"data": {"k": "2"}}),
    );
    create(ground, &path, &map("bb", json!({})))?;
    let token = first["metadata"]["continue"].as_str().unwrap_or_default();
    let (_, second) = get(ground, &format!("{path}?limit=2&continue={token}"));
    same(
        "second page",
        (names(&second), second["metadata"]["resourceVersion"].clone()),
        (vec!["c".into(), "d".into()], version.clone()),
    )?;
    same("d as it was", second["items"][1]["data"]["k"].clone(), "1".into())?;
    let token = second["metadata"]["continue"].as_str().unwrap_or_default();
    let (_, third) = get(ground, &format!("{path}?limit=2&continue={token}"));
    same("third page", names(&third), vec!["e".into(), "kube-root-ca.crt".into()])?;
    let (code, refused) = get(ground, &format!("{path}?limit=2&continue={token}&resourceVersion=5"));
    same("a version with continue", code, 400)?;
    has(
        "a version with continue",
        &refused,
        "specifying resource version is not allowed when using continue",
    )?;
    same("a wrong token", get(ground, &format!("{path}?continue=abc")).0, 400)?;
    let selected = get(ground, &format!("{path}?limit=1&labelSelector=case")).1;
    same(
        "no count with a selector",
        selected["metadata"]["remainingItemCount"].clone(),
        Value::Null,
    )
}

pub fn forms(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let path = maps(&namespace);
    create(ground, &path, &map("a", json!({"k": "1"})))?;
    let accept = |form: &str| format!("application/json;as={form};v=v1;g=meta.k8s.io,application/json");
    let shown = |path: &str, form: &str| -> Value {
        let (_, text) = ask_text(ground, "GET", path, &[("accept", &accept(form))], Vec::new());
        serde_json::from_str(text.lines().next().unwrap_or_default()).unwrap_or_default()
    };
    let selected = format!("{path}?labelSelector=case");
    let list = shown(&selected, "PartialObjectMetadataList");
    same(
        "kind of a metadata list",
        list["kind"].clone(),
        "PartialObjectMetadataList".into(),
    )?;
    same(
        "no data in it",
        (
            list["items"][0]["metadata"]["name"].clone(),
            list["items"][0]["data"].clone(),
        ),
        ("a".into(), Value::Null),
    )?;
    same(
        "one object's metadata",
        shown(&format!("{path}/a"), "PartialObjectMetadata")["kind"].clone(),
        "PartialObjectMetadata".into(),
    )?;
    let table = shown(&selected, "Table");
    same(
        "a table",
        (
            table["kind"].clone(),
            table["rows"][0]["cells"][0].clone(),
            table["columnDefinitions"][0]["name"].clone(),
        ),
        ("Table".into(), "a".into(), "Name".into()),
    )?;
    let watch = format!("{selected}&watch=true&timeoutSeconds=1");
    let event = shown(&watch, "PartialObjectMetadata");
    same(
        "a watch of metadata",
        (event["type"].clone(), event["object"]["kind"].clone()),
        ("ADDED".into(), "PartialObjectMetadata".into()),
    )?;
    let event = shown(&watch, "Table");
    same(
        "a watch of tables",
        (event["type"].clone(), event["object"]["rows"][0]["cells"][0].clone()),
        ("ADDED".into(), "a".into()),
    )
}
