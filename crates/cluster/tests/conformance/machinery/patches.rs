//! Patches of every type.

use serde_json::{Value, json};

use super::{create, has, map, maps, patch, same};
use crate::case::Ground;

pub fn patches(ground: &Ground) -> Result<(), String> {
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
