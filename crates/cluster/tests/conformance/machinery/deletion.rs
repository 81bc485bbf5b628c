//! Deletion and ownership.

use serde_json::{Value, json};

use super::{ask, create, eventually, get, has, map, maps, names, patch, same};
use crate::case::Ground;

pub fn deletion(ground: &Ground) -> Result<(), String> {
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
        "the UID in the precondition (nope) does not match the UID in record",
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
        "supported values: \\\"Foreground\\\", \\\"Background\\\", \\\"Orphan\\\"",
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

pub fn owners(ground: &Ground) -> Result<(), String> {
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
