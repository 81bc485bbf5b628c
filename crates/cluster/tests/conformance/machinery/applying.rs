//! Server-side apply: managed fields and the merging of lists.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{apply_as, create, has, maps, patch, same};
use crate::case::Ground;

pub fn apply(ground: &Ground) -> Result<(), String> {
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

pub fn apply_lists(ground: &Ground) -> Result<(), String> {
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
