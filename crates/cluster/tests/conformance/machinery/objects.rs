//! What holds for every object: dry runs, names, limits.

use std::collections::BTreeSet;

use serde_json::json;

use super::{apply_as, ask, ask_text, create, get, has, map, maps, patch, same};
use crate::case::Ground;

pub fn dry_run(ground: &Ground) -> Result<(), String> {
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
        "dryRun: Unsupported value: [\\\"Some\\\"]: supported values: \\\"All\\\"",
    )?;
    same("nothing changed", get(ground, &format!("{path}/a")).1, before)?;
    same("nothing came", get(ground, &format!("{path}/b")).0, 404)
}

pub fn names_and_limits(ground: &Ground) -> Result<(), String> {
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
