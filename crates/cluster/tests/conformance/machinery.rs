//! The API machinery: versions, lists, watches, patches, ownership, deletion, limits.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use http::{Request, Response};
use serde_json::{Value, json};

use crate::case::{Case, Client, Ground};

/// Area, behaviour and proof.
type Row = (&'static str, &'static str, fn(&Ground) -> Result<(), String>);

const KUBE: &[Row] = &[
    (
        "Lists",
        "`resourceVersion` and `resourceVersionMatch`: newest, not older than, exact; what may not stand together is refused (422), a version to come is 504 with a hint to retry, one that is gone 410 `Expired`",
        versions,
    ),
    (
        "Lists",
        "pages (`limit`, `continue`) show the state of the first page whatever happens meanwhile, and tell how many follow; a token that is too old gives 410 with one to go on",
        pages,
    ),
    (
        "Lists",
        "objects, metadata only, or tables, for lists, single objects and watches",
        forms,
    ),
    (
        "Watch",
        "an object that starts or stops matching the selector is added or deleted for the watcher",
        selected,
    ),
    (
        "Watch",
        "`sendInitialEvents` gives what exists, then a bookmark that says so; `timeoutSeconds` ends a watch; options that may not stand together are refused",
        initial_events,
    ),
    (
        "Watch",
        "a watcher that is too slow is told 410 and ends: it costs no memory",
        slow_watcher,
    ),
    (
        "Patches",
        "JSON patch (all operations, `test` of what is missing), merge patch, strategic merge with `$patch`, `$retainKeys`, `$setElementOrder` and `$deleteFromPrimitiveList`",
        patches,
    ),
    (
        "Apply",
        "managed fields: conflicts name manager and field, `force` takes over, fields no longer applied go, equal values are shared, an update takes ownership, applying the same changes nothing",
        apply,
    ),
    (
        "Apply",
        "lists merge by their keys, sets by value, atomic ones whole, in custom resources as `x-kubernetes-list-type` says",
        apply_lists,
    ),
    (
        "Deletion",
        "preconditions, dry run, finalizers, `deletecollection` by selector and limit, wrong options refused",
        deletion,
    ),
    (
        "Deletion",
        "owners: background, foreground (`blockOwnerDeletion`), orphan; owners that are missing, in another namespace, or in a circle",
        owners,
    ),
    (
        "Objects",
        "`dryRun=All` answers every verb as if, and changes nothing",
        dry_run,
    ),
    (
        "Objects",
        "`generateName` gives names of their own; names are checked for each kind; paths cannot leave their place; bodies end at 3 MiB",
        names_and_limits,
    ),
];

pub fn cases() -> Vec<Case> {
    KUBE.iter()
        .map(|(area, behaviour, run)| Case {
            area,
            behaviour,
            client: Client::Kube,
            run: *run,
        })
        .collect()
}

/// One request as it is, with the code and the JSON of the answer.
fn ask(ground: &Ground, method: &str, path: &str, content_type: &str, body: &str) -> (u16, Value) {
    let (code, text) = ask_text(
        ground,
        method,
        path,
        &[("content-type", content_type)],
        body.as_bytes().to_vec(),
    );
    (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn ask_text(ground: &Ground, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, String) {
    use http_body_util::BodyExt;
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    let request = request.body(kube::client::Body::from(body)).unwrap();
    ground.runtime.block_on(async {
        let response: Response<kube::client::Body> = ground.bench.client.send(request).await.unwrap();
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8_lossy(&bytes).into_owned())
    })
}

fn get(ground: &Ground, path: &str) -> (u16, Value) {
    ask(ground, "GET", path, "", "")
}

fn create(ground: &Ground, path: &str, object: &Value) -> Result<Value, String> {
    let (code, answer) = ask(ground, "POST", path, "application/json", &object.to_string());
    if code == 201 {
        Ok(answer)
    } else {
        Err(format!("POST {path} gave {code}: {answer}"))
    }
}

fn patch(ground: &Ground, path: &str, kind: &str, body: &Value) -> (u16, Value) {
    ask(ground, "PATCH", path, &format!("application/{kind}"), &body.to_string())
}

fn maps(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps")
}

fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"case": "1"}}, "data": data})
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: found {found:?}, expected {expected:?}"))
    }
}

fn has(what: &str, text: &Value, part: &str) -> Result<(), String> {
    if text.to_string().contains(part) {
        Ok(())
    } else {
        Err(format!("{what}: {text} does not say {part}"))
    }
}

fn eventually(what: &str, holds: impl Fn() -> bool) -> Result<(), String> {
    let started = Instant::now();
    while !holds() {
        if started.elapsed() > Duration::from_secs(20) {
            return Err(format!("{what}: not within 20 s"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().into_iter().flatten();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn versions(ground: &Ground) -> Result<(), String> {
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

fn pages(ground: &Ground) -> Result<(), String> {
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

fn forms(ground: &Ground) -> Result<(), String> {
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

fn selected(ground: &Ground) -> Result<(), String> {
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

fn initial_events(ground: &Ground) -> Result<(), String> {
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

fn slow_watcher(ground: &Ground) -> Result<(), String> {
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

fn patches(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let path = maps(&namespace);
    create(ground, &path, &map("a", json!({"x": "1", "y": "2"})))?;
    let object = format!("{path}/a");
    let operations = json!([
        {"op": "test", "path": "/data/x", "value": "1"}, {"op": "test", "path": "/data/none", "value": null},
        {"op": "add", "path": "/data/z", "value": "3"}, {"op": "replace", "path": "/data/x", "value": "9"},
        {"op": "copy", "from": "/data/x", "path": "/data/c"}, {"op": "move", "from": "/data/y", "path": "/data/m"}, {"op": "remove", "path": "/data/z"}]);
    let (_, patched) = patch(ground, &object, "json-patch+json", &operations);
    same(
        "JSON patch",
        patched["data"].clone(),
        json!({"x": "9", "c": "9", "m": "2"}),
    )?;
    let (code, _) = patch(
        ground,
        &object,
        "json-patch+json",
        &json!([{"op": "test", "path": "/data/x", "value": "0"}, {"op": "remove", "path": "/data/x"}]),
    );
    same("a test that fails", code, 422)?;
    let (_, patched) = patch(
        ground,
        &object,
        "merge-patch+json",
        &json!({"data": {"c": null, "n": "1"}}),
    );
    same(
        "merge patch",
        patched["data"].clone(),
        json!({"x": "9", "m": "2", "n": "1"}),
    )?;
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "finalizers": ["a.b/c", "d.e/f"]}, "spec": {"schedulerName": "nobody",
        "containers": [{"name": "a", "image": "shell", "env": [{"name": "E", "value": "1"}]}], "tolerations": [{"key": "k"}]}});
    create(ground, &pods, &pod)?;
    let strategic = |body: Value| patch(ground, &format!("{pods}/p"), "strategic-merge-patch+json", &body);
    let (code, patched) = strategic(json!({"spec": {"containers": [{"name": "a", "image": "shell:2"}]}}));
    same(
        "one container of its name",
        (
            code,
            patched["spec"]["containers"][0]["image"].clone(),
            patched["spec"]["containers"][0]["env"][0]["value"].clone(),
        ),
        (200, "shell:2".into(), "1".into()),
    )?;
    let (_, patched) = strategic(
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/c"], "$setElementOrder/finalizers": ["d.e/f"]}}),
    );
    same(
        "a primitive list",
        patched["metadata"]["finalizers"].clone(),
        json!(["d.e/f"]),
    )?;
    let (_, patched) = strategic(json!({"metadata": {"labels": {"$patch": "replace", "new": "1"}}}));
    same(
        "a map replaced",
        patched["metadata"]["labels"].clone(),
        json!({"new": "1"}),
    )?;
    strategic(json!({"metadata": {"finalizers": null}}));
    let custom = format!("/apis/sparkoperator.k8s.io/v1beta2/namespaces/{namespace}/sparkapplications/none");
    let (code, refused) = patch(ground, &custom, "strategic-merge-patch+json", &json!({}));
    if code != 415 && code != 404 {
        return Err(format!("strategic merge of a custom resource gave {code}: {refused}"));
    }
    let (code, refused) = patch(ground, &format!("{object}?force=true"), "merge-patch+json", &json!({}));
    same("force without apply", code, 422)?;
    has(
        "force without apply",
        &refused,
        "may not be specified for non-apply patch",
    )
}

fn apply_as(ground: &Ground, path: &str, manager: &str, force: bool, object: &Value) -> (u16, Value) {
    patch(
        ground,
        &format!("{path}?fieldManager={manager}&force={force}"),
        "apply-patch+yaml",
        object,
    )
}

fn apply(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let path = format!("{}/a", maps(&namespace));
    let wanted =
        |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    let (code, first) = apply_as(ground, &path, "one", false, &wanted(json!({"x": "1", "y": "1"})));
    same("the first apply creates", code, 201)?;
    same(
        "its fields",
        first["metadata"]["managedFields"][0]["fieldsV1"].clone(),
        json!({"f:data": {"f:x": {}, "f:y": {}}}),
    )?;
    let (_, again) = apply_as(ground, &path, "one", false, &wanted(json!({"x": "1", "y": "1"})));
    same(
        "the same again",
        again["metadata"]["resourceVersion"].clone(),
        first["metadata"]["resourceVersion"].clone(),
    )?;
    same(
        "nor its times",
        again["metadata"]["managedFields"].clone(),
        first["metadata"]["managedFields"].clone(),
    )?;
    let (code, conflict) = apply_as(ground, &path, "two", false, &wanted(json!({"x": "2"})));
    same(
        "another value",
        (code, conflict["reason"].clone()),
        (409, "Conflict".into()),
    )?;
    has(
        "another value",
        &conflict["message"],
        "Apply failed with 1 conflict: conflict with \\\"one\\\": .data.x",
    )?;
    same(
        "its cause",
        conflict["details"]["causes"][0].clone(),
        json!({"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.x"}),
    )?;
    let (code, _) = apply_as(ground, &path, "two", false, &wanted(json!({"x": "1"})));
    same("the same value is shared", code, 200)?;
    let (_, forced) = apply_as(ground, &path, "two", true, &wanted(json!({"x": "2"})));
    let owners = |object: &Value, field: &str| -> BTreeSet<String> {
        let entries = object["metadata"]["managedFields"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let owned = entries
            .iter()
            .filter(|entry| !entry["fieldsV1"]["f:data"][format!("f:{field}")].is_null());
        owned
            .map(|entry| entry["manager"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    same(
        "force takes over",
        (forced["data"]["x"].clone(), owners(&forced, "x")),
        ("2".into(), BTreeSet::from(["two".to_owned()])),
    )?;
    let (_, less) = apply_as(ground, &path, "one", false, &wanted(json!({})));
    same(
        "what is no longer applied goes",
        less["data"].clone(),
        json!({"x": "2"}),
    )?;
    let (_, updated) = patch(
        ground,
        &format!("{path}?fieldManager=editor"),
        "merge-patch+json",
        &json!({"data": {"x": "3"}}),
    );
    same(
        "an update takes ownership",
        owners(&updated, "x"),
        BTreeSet::from(["editor".to_owned()]),
    )?;
    let (_, kept) = patch(
        ground,
        &path,
        "merge-patch+json",
        &json!({"metadata": {"managedFields": []}}),
    );
    if kept["metadata"]["managedFields"].as_array().is_none_or(Vec::is_empty) {
        return Err("an empty list of managed fields resets nothing, as published".into());
    }
    let (_, reset) = patch(
        ground,
        &path,
        "merge-patch+json",
        &json!({"metadata": {"managedFields": [{}]}}),
    );
    same(
        "a list with an empty entry resets them",
        reset["metadata"]["managedFields"].clone(),
        Value::Null,
    )?;
    let (code, refused) = patch(ground, &path, "apply-patch+yaml", &wanted(json!({})));
    same("without a manager", code, 422)?;
    has("without a manager", &refused, "is required for apply patch")
}

fn apply_lists(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let group = format!("{namespace}.example.com");
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("lists.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "lists", "kind": "List2"}, "versions": [{"name": "v1", "served": true, "storage": true,
            "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}, "spec": {"type": "object", "properties": {
                "keyed": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"], "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "v": {"type": "string"}}}},
                "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "atomic": {"type": "array", "items": {"type": "string"}},
                "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}}}}}}}}]}});
    create(
        ground,
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        &definition,
    )?;
    let path = format!("/apis/{group}/v1/namespaces/{namespace}/lists/l");
    let wanted = |spec: Value| json!({"apiVersion": format!("{group}/v1"), "kind": "List2", "metadata": {"name": "l"}, "spec": spec});
    let one = json!({"keyed": [{"id": "a", "v": "1"}], "set": ["x"], "atomic": ["1"], "whole": {"k": "1"}});
    same("one", apply_as(ground, &path, "one", false, &wanted(one)).0, 201)?;
    let (code, both) = apply_as(
        ground,
        &path,
        "two",
        false,
        &wanted(json!({"keyed": [{"id": "b", "v": "2"}], "set": ["y"]})),
    );
    same(
        "two",
        (code, both["spec"]["keyed"].clone(), both["spec"]["set"].clone()),
        (
            200,
            json!([{"id": "a", "v": "1"}, {"id": "b", "v": "2"}]),
            json!(["x", "y"]),
        ),
    )?;
    let (code, conflict) = apply_as(
        ground,
        &path,
        "two",
        false,
        &wanted(json!({"keyed": [{"id": "a", "v": "3"}], "atomic": ["2"], "whole": {"j": "1"}})),
    );
    same(
        "three conflicts",
        (code, conflict["details"]["causes"].as_array().map(Vec::len)),
        (409, Some(3)),
    )?;
    let fields: BTreeSet<String> = conflict["details"]["causes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|cause| cause["field"].as_str().unwrap_or_default().to_owned())
        .collect();
    same(
        "their fields",
        fields,
        BTreeSet::from([
            ".spec.keyed[id=\"a\"].v".to_owned(),
            ".spec.atomic".to_owned(),
            ".spec.whole".to_owned(),
        ]),
    )?;
    let (_, gone) = apply_as(ground, &path, "one", false, &wanted(json!({"set": ["x"]})));
    same(
        "items go with their owner",
        gone["spec"].clone(),
        json!({"keyed": [{"id": "b", "v": "2"}], "set": ["x", "y"]}),
    )?;
    let (_, status) = apply_as(
        ground,
        &format!("{path}/status"),
        "controller",
        false,
        &json!({"apiVersion": format!("{group}/v1"), "kind": "List2", "metadata": {"name": "l"}, "status": {"ok": true}}),
    );
    let entry = status["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry["manager"] == "controller");
    same(
        "a manager of the status",
        entry.map(|entry| entry["subresource"].clone()),
        Some("status".into()),
    )
}

fn deletion(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let path = maps(&namespace);
    let made = create(ground, &path, &map("a", json!({})))?;
    let delete = |name: &str, options: Value| {
        ask(
            ground,
            "DELETE",
            &format!("{path}/{name}"),
            "application/json",
            &options.to_string(),
        )
    };
    let (code, refused) = delete("a", json!({"preconditions": {"uid": "nope"}}));
    same("another UID", code, 409)?;
    has(
        "another UID",
        &refused,
        "Precondition failed: UID in precondition: nope",
    )?;
    same(
        "another version",
        delete("a", json!({"preconditions": {"resourceVersion": "1"}})).0,
        409,
    )?;
    let (code, refused) = delete("a", json!({"propagationPolicy": "Sideways"}));
    same("an unknown policy", code, 422)?;
    has(
        "an unknown policy",
        &refused,
        "supported values: \\\"Background\\\", \\\"Foreground\\\", \\\"Orphan\\\"",
    )?;
    same(
        "two policies",
        delete("a", json!({"propagationPolicy": "Orphan", "orphanDependents": true})).0,
        422,
    )?;
    same("a dry run", delete("a", json!({"dryRun": ["All"]})).0, 200)?;
    same("is there still", get(ground, &format!("{path}/a")).0, 200)?;
    let right = json!({"preconditions": {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]}});
    same("the right ones", delete("a", right).0, 200)?;
    let mut held = map("h", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    create(ground, &path, &held)?;
    let (_, waiting) = delete("h", json!({}));
    if waiting["metadata"]["deletionTimestamp"].is_null() {
        return Err(format!("a held object is marked: {waiting}"));
    }
    let (_, more) = patch(
        ground,
        &format!("{path}/h"),
        "merge-patch+json",
        &json!({"metadata": {"finalizers": ["example.com/hold", "example.com/new"]}}),
    );
    if more["metadata"]["finalizers"].as_array().map(Vec::len) == Some(2) {
        return Err("no finalizer may be added to what is being deleted".into());
    }
    patch(
        ground,
        &format!("{path}/h"),
        "merge-patch+json",
        &json!({"metadata": {"finalizers": []}}),
    );
    same("gone without its finalizer", get(ground, &format!("{path}/h")).0, 404)?;
    for name in ["x", "y", "z"] {
        create(ground, &path, &map(name, json!({})))?;
    }
    create(
        ground,
        &path,
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}),
    )?;
    let (code, list) = ask(ground, "DELETE", &format!("{path}?labelSelector=case&limit=2"), "", "");
    same("two of them", (code, names(&list)), (200, vec!["x".into(), "y".into()]))?;
    ask(ground, "DELETE", &format!("{path}?labelSelector=case"), "", "");
    let (_, left) = get(ground, &path);
    same(
        "what does not match stays",
        (
            names(&left).contains(&"other".to_owned()),
            names(&left).contains(&"z".to_owned()),
        ),
        (true, false),
    )
}

fn owners(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let path = maps(&namespace);
    let there = |name: &str| get(ground, &format!("{path}/{name}")).0 == 200;
    let owner = |name: &str| -> Result<Value, String> {
        let made = create(ground, &path, &map(name, json!({})))?;
        Ok(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": made["metadata"]["uid"], "blockOwnerDeletion": true}),
        )
    };
    let owned = |name: &str, owners: Value, finalizers: Value| {
        let mut object = map(name, json!({}));
        object["metadata"]["ownerReferences"] = owners;
        object["metadata"]["finalizers"] = finalizers;
        create(ground, &path, &object)
    };
    let delete = |name: &str, policy: &str| {
        ask(
            ground,
            "DELETE",
            &format!("{path}/{name}?propagationPolicy={policy}"),
            "",
            "",
        )
    };

    let reference = owner("background")?;
    owned("b1", json!([reference]), json!(null))?;
    delete("background", "Background");
    same("the owner goes at once", there("background"), false)?;
    eventually("the dependent follows", || !there("b1"))?;

    let reference = owner("orphaning")?;
    owned("o1", json!([reference]), json!(null))?;
    delete("orphaning", "Orphan");
    eventually("the owner goes", || !there("orphaning"))?;
    let (code, orphan) = get(ground, &format!("{path}/o1"));
    same(
        "the orphan stays without its owner",
        (code, orphan["metadata"]["ownerReferences"].clone()),
        (200, Value::Null),
    )?;

    let reference = owner("foreground")?;
    owned("f1", json!([reference]), json!(["example.com/hold"]))?;
    delete("foreground", "Foreground");
    eventually("the dependent is being deleted", || {
        !get(ground, &format!("{path}/f1")).1["metadata"]["deletionTimestamp"].is_null()
    })?;
    same("the owner waits", there("foreground"), true)?;
    patch(
        ground,
        &format!("{path}/f1"),
        "merge-patch+json",
        &json!({"metadata": {"finalizers": null}}),
    );
    eventually("then both are gone", || !there("foreground") && !there("f1"))?;

    let nobody = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "00000000-0000-0000-0000-000000000000"});
    owned("m1", json!([nobody]), json!(null))?;
    eventually("an object of a missing owner goes", || !there("m1"))?;
    let reference = owner("real")?;
    owned("m2", json!([nobody, reference]), json!(null))?;
    eventually("one of two owners is missing: only the reference goes", || {
        get(ground, &format!("{path}/m2")).1["metadata"]["ownerReferences"]
            .as_array()
            .map(Vec::len)
            == Some(1)
    })?;

    let elsewhere = ground.namespace();
    let foreign = create(ground, &maps(&elsewhere), &map("foreign", json!({})))?;
    owned(
        "x1",
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "foreign", "uid": foreign["metadata"]["uid"]}]),
        json!(null),
    )?;
    eventually("an owner of another namespace counts as missing", || !there("x1"))?;

    let left = owner("left")?;
    let right = owned("right", json!([left]), json!(null))?;
    let back = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "right", "uid": right["metadata"]["uid"], "blockOwnerDeletion": true});
    patch(
        ground,
        &format!("{path}/left"),
        "merge-patch+json",
        &json!({"metadata": {"ownerReferences": [back]}}),
    );
    delete("left", "Foreground");
    eventually("a circle goes as a whole", || !there("left") && !there("right"))
}

fn dry_run(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let path = maps(&namespace);
    create(ground, &path, &map("a", json!({"k": "1"})))?;
    let before = get(ground, &format!("{path}/a")).1;
    let (code, made) = ask(
        ground,
        "POST",
        &format!("{path}?dryRun=All"),
        "application/json",
        &map("b", json!({})).to_string(),
    );
    same("create", (code, made["metadata"]["uid"].is_string()), (201, true))?;
    same(
        "create of what is there",
        ask(
            ground,
            "POST",
            &format!("{path}?dryRun=All"),
            "application/json",
            &map("a", json!({})).to_string(),
        )
        .0,
        409,
    )?;
    let (_, changed) = patch(
        ground,
        &format!("{path}/a?dryRun=All"),
        "merge-patch+json",
        &json!({"data": {"k": "2"}}),
    );
    same("patch", changed["data"]["k"].clone(), "2".into())?;
    let (_, changed) = ask(
        ground,
        "PUT",
        &format!("{path}/a?dryRun=All"),
        "application/json",
        &map("a", json!({"k": "3"})).to_string(),
    );
    same("update", changed["data"]["k"].clone(), "3".into())?;
    let (_, changed) = apply_as(
        ground,
        &format!("{path}/a"),
        "m&dryRun=All",
        true,
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "4"}}),
    );
    same("apply", changed["data"]["k"].clone(), "4".into())?;
    same(
        "delete",
        ask(ground, "DELETE", &format!("{path}/a?dryRun=All"), "", "").0,
        200,
    )?;
    same(
        "deletecollection",
        ask(ground, "DELETE", &format!("{path}?dryRun=All"), "", "").0,
        200,
    )?;
    let (code, refused) = ask(ground, "DELETE", &format!("{path}/a?dryRun=Some"), "", "");
    same("another word", code, 422)?;
    has(
        "another word",
        &refused,
        "dryRun: Unsupported value: \\\"Some\\\": supported values: \\\"All\\\"",
    )?;
    same("nothing changed", get(ground, &format!("{path}/a")).1, before)?;
    same("nothing came", get(ground, &format!("{path}/b")).0, 404)
}

fn names_and_limits(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let path = maps(&namespace);
    let generated = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "gen-"}});
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let made = create(ground, &path, &generated)?;
        seen.insert(made["metadata"]["name"].as_str().unwrap_or_default().to_owned());
    }
    if seen.len() != 20 || !seen.iter().all(|name| name.starts_with("gen-") && name.len() == 9) {
        return Err(format!("generated names: {seen:?}"));
    }
    for (kind, plural, name, expected) in [
        ("ConfigMap", "configmaps", "Upper", "a lowercase RFC 1123 subdomain"),
        ("ConfigMap", "configmaps", "../../etc", "a lowercase RFC 1123 subdomain"),
        ("Service", "services", "1abc", "a DNS-1035 label"),
    ] {
        let object =
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": {"ports": [{"port": 1}]}})
                .to_string();
        let (code, refused) = ask(
            ground,
            "POST",
            &format!("/api/v1/namespaces/{namespace}/{plural}?fieldValidation=Ignore"),
            "application/json",
            &object,
        );
        same(name, code, 422)?;
        has(name, &refused, expected)?;
    }
    let (code, refused) = ask(
        ground,
        "POST",
        &path,
        "application/json",
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}).to_string(),
    );
    same("no name", code, 422)?;
    has("no name", &refused, "name or generateName is required")?;
    for place in ["..%2f..%2fsecrets", "%2e%2e", ".."] {
        let (code, _) = get(ground, &format!("{path}/{place}"));
        if code != 404 && code != 400 {
            return Err(format!("{place} gave {code}"));
        }
    }
    let large = vec![b' '; (3 << 20) + 1];
    let (code, text) = ask_text(ground, "POST", &path, &[("content-type", "application/json")], large);
    same("a large body", code, 413)?;
    if !text.contains("Request entity too large: limit is 3145728") {
        return Err(text);
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    same(
        "a deep body",
        ask(ground, "POST", &path, "application/json", &deep).0,
        400,
    )
}
