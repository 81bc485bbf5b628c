//! The API machinery: versions, lists, watches, patches, ownership, deletion, limits.

use std::time::{Duration, Instant};

use http::{Request, Response};
use serde_json::{Value, json};

use crate::case::{Case, Client, Ground};

mod applying;
mod deletion;
mod lists;
mod objects;
mod patches;
mod watches;

/// Area, behaviour and proof.
type Row = (&'static str, &'static str, fn(&Ground) -> Result<(), String>);

const KUBE: &[Row] = &[
    (
        "Lists",
        "`resourceVersion` and `resourceVersionMatch`: newest, not older than, exact; what may not stand together is refused (422), a version to come is 504 with a hint to retry, one that is gone 410 `Expired`",
        lists::versions,
    ),
    (
        "Lists",
        "pages (`limit`, `continue`) show the state of the first page whatever happens meanwhile, and tell how many follow; a token that is too old gives 410 with one to go on",
        lists::pages,
    ),
    (
        "Lists",
        "objects, metadata only, or tables, for lists, single objects and watches",
        lists::forms,
    ),
    (
        "Watch",
        "an object that starts or stops matching the selector is added or deleted for the watcher",
        watches::selected,
    ),
    (
        "Watch",
        "`sendInitialEvents` gives what exists, then a bookmark that says so; `timeoutSeconds` ends a watch; options that may not stand together are refused",
        watches::initial_events,
    ),
    (
        "Watch",
        "a watcher that is too slow is told 410 and ends: it costs no memory",
        watches::slow_watcher,
    ),
    (
        "Patches",
        "JSON patch (all operations, `test` of what is missing), merge patch, strategic merge with `$patch`, `$retainKeys`, `$setElementOrder` and `$deleteFromPrimitiveList`",
        patches::patches,
    ),
    (
        "Apply",
        "managed fields: conflicts name manager and field, `force` takes over, fields no longer applied go, equal values are shared, an update takes ownership, applying the same changes nothing",
        applying::apply,
    ),
    (
        "Apply",
        "lists merge by their keys, sets by value, atomic ones whole, in custom resources as `x-kubernetes-list-type` says",
        applying::apply_lists,
    ),
    (
        "Deletion",
        "preconditions, dry run, finalizers, `deletecollection` by selector and limit, wrong options refused",
        deletion::deletion,
    ),
    (
        "Deletion",
        "owners: background, foreground (`blockOwnerDeletion`), orphan; owners that are missing, in another namespace, or in a circle",
        deletion::owners,
    ),
    (
        "Objects",
        "`dryRun=All` answers every verb as if, and changes nothing",
        objects::dry_run,
    ),
    (
        "Objects",
        "`generateName` gives names of their own; names are checked for each kind; paths cannot leave their place; bodies end at 3 MiB",
        objects::names_and_limits,
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

fn apply_as(ground: &Ground, path: &str, manager: &str, force: bool, object: &Value) -> (u16, Value) {
    patch(
        ground,
        &format!("{path}?fieldManager={manager}&force={force}"),
        "apply-patch+yaml",
        object,
    )
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
