//! CustomResourceDefinitions: what they check, what they publish, what happens to their objects.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::case::{Case, Client, Ground};

/// Behaviour and proof.
type Row = (&'static str, fn(&Ground) -> Result<(), String>);

const ROWS: &[Row] = &[
    (
        "objects are pruned, defaulted (also when read after the schema changed) and validated: enum, pattern, format, ranges, anyOf, oneOf, not, list sets and maps, int-or-string, nullable, embedded resources",
        values,
    ),
    (
        "CEL rules: message, messageExpression, reason, fieldPath, transition rules, optionalOldSelf; a rule that does not compile refuses the definition",
        rules,
    ),
    (
        "a rule that would cost too much is stopped and the object refused",
        costs,
    ),
    (
        "`kubectl scale` and the scale subresource follow specReplicasPath, statusReplicasPath and labelSelectorPath; the status subresource is a world of its own",
        subresources,
    ),
    (
        "printer columns (JSONPath, priority, date), short names, categories and selectable fields",
        comfort,
    ),
    (
        "several versions without conversion: every served version reads and writes the same objects, the one not served does not",
        versions,
    ),
    (
        "a definition that is not structural is refused by field and reason, names that are taken are not accepted",
        wrong_definitions,
    ),
    (
        "deleting a definition deletes its objects and waits for their finalizers; discovery follows at once",
        deletion,
    ),
];

pub fn cases() -> Vec<Case> {
    ROWS.iter()
        .map(|(behaviour, run)| Case {
            area: "Custom resources",
            behaviour,
            client: Client::Kubectl,
            run: *run,
        })
        .collect()
}

/// A definition with one version, in a group of its own, and its group.
fn definition(ground: &Ground, kind: &str, spec: Value, more: Value) -> (String, String, Value) {
    let namespace = ground.namespace();
    let group = format!("{namespace}.example.com");
    let plural = format!("{}s", kind.to_lowercase());
    let mut version = json!({"name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}});
    for (name, value) in more.as_object().into_iter().flatten() {
        version[name] = value.clone();
    }
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind}, "versions": [version]}});
    (namespace, group, definition)
}

fn install(ground: &Ground, namespace: &str, definition: &Value) -> Result<(), String> {
    ground
        .kubectl(namespace, &["apply", "-f", "-"], &definition.to_string())
        .ok()?;
    let name = format!("crd/{}", definition["metadata"]["name"].as_str().unwrap());
    let wait = ["wait", "--for=condition=Established", &name, "--timeout=10s"];
    ground.kubectl(namespace, &wait, "").ok().map(drop)
}

fn object(group: &str, kind: &str, name: &str, spec: Value) -> String {
    json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
}

fn apply(ground: &Ground, namespace: &str, object: &str) -> crate::case::Answer {
    ground.kubectl(namespace, &["apply", "--validate=ignore", "-f", "-"], object)
}

fn values(ground: &Ground) -> Result<(), String> {
    let spec = json!({"type": "object", "required": ["mode"], "properties": {
        "mode": {"type": "string", "enum": ["a", "b"]},
        "replicas": {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 1, "default": 3},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
        "at": {"type": "string", "format": "date-time"},
        "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "maybe": {"type": "string", "nullable": true},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set", "maxItems": 2},
        "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
            "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "size": {"type": "integer", "default": 1}}}},
        "one": {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "string"}},
            "oneOf": [{"required": ["x"]}, {"required": ["y"]}], "not": {"properties": {"x": {"enum": ["bad"]}}, "required": ["x"]}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "inner": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}}});
    let (namespace, group, mut definition) = definition(ground, "Value", spec, json!({}));
    install(ground, &namespace, &definition)?;
    let fine = object(
        &group,
        "Value",
        "fine",
        json!({"mode": "a", "unknown": 1, "free": {"any": [1]}, "maybe": null, "port": "http",
        "parts": [{"id": "x"}], "inner": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n"}, "data": {"k": "v"}}}),
    );
    ground
        .kubectl(&namespace, &["create", "--validate=ignore", "-f", "-"], &fine)
        .ok()?;
    let text = ground
        .kubectl(
            &namespace,
            &["get", &format!("values.{group}"), "fine", "-o", "json"],
            "",
        )
        .ok()?;
    let stored: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let spec = &stored["spec"];
    let as_said = spec["replicas"] == 3
        && spec["unknown"].is_null()
        && spec["free"]["any"][0] == 1
        && spec.get("maybe").is_some()
        && spec["parts"][0]["size"] == 1
        && spec["inner"]["data"]["k"] == "v";
    if !as_said {
        return Err(format!("stored as {spec}"));
    }
    for (spec, expected) in [
        (json!({}), "spec.mode: Required value"),
        (
            json!({"mode": "c"}),
            "spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\"",
        ),
        (
            json!({"mode": "a", "replicas": 10}),
            "spec.replicas in body should be less than or equal to 9",
        ),
        (
            json!({"mode": "a", "replicas": "x"}),
            "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"",
        ),
        (
            json!({"mode": "a", "name": "A1"}),
            "spec.name in body should match '^[a-z]+$'",
        ),
        (
            json!({"mode": "a", "name": "toolong"}),
            "spec.name: Too long: may not be more than 5 bytes",
        ),
        (
            json!({"mode": "a", "at": "yesterday"}),
            "spec.at in body must be of type date-time: \"yesterday\"",
        ),
        (
            json!({"mode": "a", "port": 1.5}),
            "spec.port in body must be of type integer,string",
        ),
        (
            json!({"mode": "a", "tags": ["x", "x"]}),
            "spec.tags[1]: Duplicate value: \"x\"",
        ),
        (
            json!({"mode": "a", "tags": ["x", "y", "z"]}),
            "spec.tags: Too many: 3: must have at most 2 items",
        ),
        (
            json!({"mode": "a", "parts": [{"id": "x"}, {"id": "x"}]}),
            "spec.parts[1]: Duplicate value",
        ),
        (
            json!({"mode": "a", "one": {}}),
            "must validate one and only one schema (oneOf). Found none valid",
        ),
        (
            json!({"mode": "a", "one": {"x": "bad"}}),
            "must not validate the schema (not)",
        ),
        (
            json!({"mode": "a", "inner": {"data": {}}}),
            "spec.inner.kind: Required value: must not be empty",
        ),
    ] {
        apply(ground, &namespace, &object(&group, "Value", "wrong", spec)).refused_with(expected)?;
    }
    // A default that comes later is seen on objects that were there before.
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["later"] =
        json!({"type": "string", "default": "here"});
    ground
        .kubectl(&namespace, &["apply", "-f", "-"], &definition.to_string())
        .ok()?;
    let path = "jsonpath={.spec.later}";
    ground
        .kubectl(&namespace, &["get", &format!("values.{group}"), "fine", "-o", path], "")
        .has("here")
}

fn rules(ground: &Ground) -> Result<(), String> {
    let spec = json!({"type": "object", "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}, "zone": {"type": "string"},
            "size": {"type": "string"}},
        "x-kubernetes-validations": [
            {"rule": "self.min <= self.max", "message": "min must not exceed max", "fieldPath": ".min", "reason": "FieldValueForbidden"},
            {"rule": "self.max < 100", "messageExpression": "'max is ' + string(self.max) + ', which is too much'"},
            {"rule": "!has(self.zone) || !has(oldSelf.zone) || self.zone == oldSelf.zone", "message": "zone cannot be moved"},
            {"rule": "!oldSelf.hasValue() || self.min >= oldSelf.value().min", "optionalOldSelf": true, "message": "min only grows"},
            {"rule": "!has(self.size) || quantity(self.size).isLessThan(quantity('1Gi'))", "message": "size must be below 1Gi"}]});
    let (namespace, group, mut definition) = definition(ground, "Rule", spec, json!({}));
    install(ground, &namespace, &definition)?;
    let rule = |spec: Value| object(&group, "Rule", "r", spec);
    apply(ground, &namespace, &rule(json!({"min": 5, "max": 3})))
        .refused_with("spec.min: Forbidden: min must not exceed max")?;
    apply(ground, &namespace, &rule(json!({"min": 5, "max": 300}))).refused_with("max is 300, which is too much")?;
    apply(ground, &namespace, &rule(json!({"min": 5, "max": 6, "size": "2Gi"})))
        .refused_with("size must be below 1Gi")?;
    apply(ground, &namespace, &rule(json!({"min": 5, "max": 6, "zone": "a"}))).ok()?;
    apply(ground, &namespace, &rule(json!({"min": 5, "max": 6, "zone": "b"}))).refused_with("zone cannot be moved")?;
    apply(ground, &namespace, &rule(json!({"min": 4, "max": 6, "zone": "a"}))).refused_with("min only grows")?;
    let rules = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"];
    *rules = json!([{"rule": "self.mim > 1"}]);
    let apply = ground.kubectl(&namespace, &["apply", "-f", "-"], &definition.to_string());
    apply.refused_with("undefined field 'mim'")
}

fn costs(ground: &Ground) -> Result<(), String> {
    let spec = json!({"type": "object", "properties": {"items": {"type": "array", "items": {"type": "integer"}}},
        "x-kubernetes-validations": [{"rule": "self.items.all(a, self.items.all(b, self.items.all(c, a + b + c >= 0)))"}]});
    let (namespace, group, definition) = definition(ground, "Cost", spec, json!({}));
    install(ground, &namespace, &definition)?;
    apply(
        ground,
        &namespace,
        &object(&group, "Cost", "small", json!({"items": [1, 2, 3]})),
    )
    .ok()?;
    let many: Vec<u32> = (0..1000).collect();
    let started = Instant::now();
    apply(
        ground,
        &namespace,
        &object(&group, "Cost", "large", json!({"items": many})),
    )
    .refused_with("cost")?;
    if started.elapsed() > Duration::from_secs(20) {
        return Err(format!("it took {:?} to refuse", started.elapsed()));
    }
    Ok(())
}

fn subresources(ground: &Ground) -> Result<(), String> {
    let spec = json!({"type": "object", "properties": {"count": {"type": "integer"}}});
    let scale = json!({"specReplicasPath": ".spec.count", "statusReplicasPath": ".status.count", "labelSelectorPath": ".status.selector"});
    let more = json!({"subresources": {"status": {}, "scale": scale}});
    let (namespace, group, definition) = definition(ground, "Crew", spec, more);
    install(ground, &namespace, &definition)?;
    apply(ground, &namespace, &object(&group, "Crew", "c", json!({"count": 1}))).ok()?;
    let resource = format!("crews.{group}");
    ground
        .kubectl(&namespace, &["scale", &resource, "c", "--replicas=4"], "")
        .ok()?;
    let shown = |path: &str| {
        ground.kubectl(
            &namespace,
            &["get", &resource, "c", "-o", &format!("jsonpath={path}")],
            "",
        )
    };
    shown("{.spec.count} {.metadata.generation}").has("4 2")?;
    let status = json!({"status": {"count": 4, "selector": "app=x"}, "spec": {"count": 9}}).to_string();
    ground
        .kubectl(
            &namespace,
            &[
                "patch",
                &resource,
                "c",
                "--type=merge",
                "--subresource=status",
                "-p",
                &status,
            ],
            "",
        )
        .ok()?;
    shown("{.spec.count} {.status.count} {.metadata.generation}").has("4 4 2")?;
    ground
        .kubectl(
            &namespace,
            &[
                "patch",
                &resource,
                "c",
                "--type=merge",
                "-p",
                "{\"status\":{\"count\":7}}",
            ],
            "",
        )
        .ok()?;
    shown("{.status.count}").has("4")?;
    let raw = format!("/apis/{group}/v1/namespaces/{namespace}/crews/c/scale");
    let text = ground.kubectl(&namespace, &["get", "--raw", &raw], "").ok()?;
    let found: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if found["kind"] != "Scale"
        || found["spec"]["replicas"] != 4
        || found["status"]["replicas"] != 4
        || found["status"]["selector"] != "app=x"
    {
        return Err(format!("scale is {found}"));
    }
    ground
        .kubectl(
            &namespace,
            &["patch", &resource, "c", "--type=strategic", "-p", "{}"],
            "",
        )
        .refused_with("application/strategic-merge-patch+json")
}

fn comfort(ground: &Ground) -> Result<(), String> {
    let spec = json!({"type": "object", "properties": {"color": {"type": "string"}, "size": {"type": "integer"}, "born": {"type": "string", "format": "date-time"},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"kind": {"type": "string"}, "id": {"type": "string"}}}}}});
    let more = json!({"selectableFields": [{"jsonPath": ".spec.color"}], "additionalPrinterColumns": [
        {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
        {"name": "Main", "type": "string", "jsonPath": ".spec.parts[?(@.kind==\"main\")].id"},
        {"name": "Born", "type": "date", "jsonPath": ".spec.born"},
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1}]});
    let (namespace, group, mut definition) = definition(ground, "Gem", spec, more);
    let unique = namespace.replace('-', "");
    definition["spec"]["names"]["shortNames"] = json!([format!("g{unique}")]);
    definition["spec"]["names"]["categories"] = json!([format!("all{unique}")]);
    install(ground, &namespace, &definition)?;
    let born = "2001-01-01T00:00:00Z";
    apply(ground, &namespace, &object(&group, "Gem", "a", json!({"color": "red", "size": 7, "born": born, "parts": [{"kind": "side", "id": "s"}, {"kind": "main", "id": "m"}]}))).ok()?;
    apply(
        ground,
        &namespace,
        &object(&group, "Gem", "b", json!({"color": "blue", "size": 8})),
    )
    .ok()?;
    let text = ground.kubectl(&namespace, &["get", &format!("g{unique}")], "").ok()?;
    let line = text
        .lines()
        .nth(1)
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>();
    if line.first() != Some(&"a")
        || line.get(1) != Some(&"red")
        || line.get(2) != Some(&"m")
        || !line.get(3).is_some_and(|age| age.contains('y'))
        || text.contains("SIZE")
    {
        return Err(format!("the table is {text}"));
    }
    ground
        .kubectl(&namespace, &["get", &format!("g{unique}"), "-o", "wide"], "")
        .has("SIZE")?;
    let found = ground
        .kubectl(
            &namespace,
            &[
                "get",
                &format!("all{unique}"),
                "--field-selector=spec.color=blue",
                "-o",
                "name",
            ],
            "",
        )
        .ok()?;
    if found.trim() != format!("gem.{group}/b") {
        return Err(format!("selected {found}"));
    }
    ground
        .kubectl(
            &namespace,
            &["get", &format!("gems.{group}"), "--field-selector=spec.size=8"],
            "",
        )
        .refused_with("field label not supported: spec.size")
}

fn versions(ground: &Ground) -> Result<(), String> {
    let spec = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let (namespace, group, mut definition) = definition(ground, "Multi", spec, json!({}));
    let mut older = definition["spec"]["versions"][0].clone();
    older["name"] = "v1beta1".into();
    older["storage"] = false.into();
    let mut gone = older.clone();
    gone["name"] = "v1alpha1".into();
    gone["served"] = false.into();
    definition["spec"]["versions"]
        .as_array_mut()
        .unwrap()
        .extend([older, gone]);
    install(ground, &namespace, &definition)?;
    let old = object(&group, "Multi", "m", json!({"a": "1"})).replace("/v1\"", "/v1beta1\"");
    apply(ground, &namespace, &old).ok()?;
    for version in ["v1", "v1beta1"] {
        let resource = format!("multis.{version}.{group}");
        let shown = ground.kubectl(
            &namespace,
            &["get", &resource, "m", "-o", "jsonpath={.apiVersion} {.spec.a}"],
            "",
        );
        shown.has(&format!("{group}/{version} 1"))?;
    }
    let raw = |version: &str| format!("/apis/{group}/{version}/namespaces/{namespace}/multis");
    ground
        .kubectl(&namespace, &["get", "--raw", &raw("v1alpha1")], "")
        .refused_with("could not find the requested resource")?;
    let stored = "jsonpath={.status.storedVersions}";
    ground
        .kubectl(
            &namespace,
            &["get", "crd", &format!("multis.{group}"), "-o", stored],
            "",
        )
        .has("[\"v1\"]")?;
    let groups = ground
        .kubectl(&namespace, &["get", "--raw", &format!("/apis/{group}")], "")
        .ok()?;
    let groups: Value = serde_json::from_str(&groups).map_err(|error| error.to_string())?;
    if groups["preferredVersion"]["version"] != "v1" || groups["versions"].as_array().map(Vec::len) != Some(2) {
        return Err(format!("the group is {groups}"));
    }
    definition["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://x"}}});
    ground
        .kubectl(&namespace, &["apply", "-f", "-"], &definition.to_string())
        .refused_with("conversion by webhook is not done by this cluster")
}

fn wrong_definitions(ground: &Ground) -> Result<(), String> {
    for (spec, expected) in [
        (
            json!({"type": "object", "properties": {"a": {}}}),
            "properties[a].type: Required value: must not be empty for specified object fields",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "default": 1}}}),
            "must be of type string",
        ),
        (
            json!({"type": "object", "additionalProperties": false}),
            "additionalProperties cannot be set to false",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ),
        (
            json!({"type": "string", "pattern": "("}),
            "must be a valid regular expression",
        ),
        (
            json!({"type": "string", "x-kubernetes-validations": [{"rule": "self + 1 > 2"}]}),
            "found no matching overload for '_+_' applied to '(string, int)'",
        ),
    ] {
        let (namespace, _, definition) = definition(ground, "Wrong", spec, json!({}));
        ground
            .kubectl(
                &namespace,
                &["create", "--validate=ignore", "-f", "-"],
                &definition.to_string(),
            )
            .refused_with(expected)?;
    }
    let (namespace, group, first) = definition(ground, "Taken", json!({"type": "object"}), json!({}));
    install(ground, &namespace, &first)?;
    let mut second = first.clone();
    second["metadata"]["name"] = format!("others.{group}").into();
    second["spec"]["names"]["plural"] = "others".into();
    second["spec"]["names"]["singular"] = "other".into();
    ground
        .kubectl(&namespace, &["create", "-f", "-"], &second.to_string())
        .ok()?;
    let conditions = "jsonpath={.status.conditions[*].reason}";
    ground
        .kubectl(
            &namespace,
            &["get", "crd", &format!("others.{group}"), "-o", conditions],
            "",
        )
        .has("KindConflict NotAccepted")?;
    ground
        .kubectl(&namespace, &["get", &format!("others.{group}")], "")
        .refused()
        .map(drop)
}

fn deletion(ground: &Ground) -> Result<(), String> {
    let (namespace, group, definition) = definition(ground, "Brief", json!({"type": "object"}), json!({}));
    install(ground, &namespace, &definition)?;
    let mut held: Value = serde_json::from_str(&object(&group, "Brief", "held", json!({}))).unwrap();
    held["metadata"]["finalizers"] = json!(["example.com/wait"]);
    apply(ground, &namespace, &held.to_string()).ok()?;
    apply(ground, &namespace, &object(&group, "Brief", "free", json!({}))).ok()?;
    let name = format!("briefs.{group}");
    ground
        .kubectl(&namespace, &["delete", "crd", &name, "--wait=false"], "")
        .ok()?;
    let condition = [
        "wait",
        "--for=condition=Terminating",
        &format!("crd/{name}"),
        "--timeout=10s",
    ];
    ground.kubectl(&namespace, &condition, "").ok()?;
    ground
        .kubectl(
            &namespace,
            &["wait", "--for=delete", &format!("{name}/free"), "--timeout=10s"],
            "",
        )
        .ok()?;
    apply(ground, &namespace, &object(&group, "Brief", "new", json!({})))
        .refused_with("create not allowed while custom resource definition is terminating")?;
    let patch = "{\"metadata\":{\"finalizers\":null}}";
    ground
        .kubectl(&namespace, &["patch", &name, "held", "--type=merge", "-p", patch], "")
        .ok()?;
    ground
        .kubectl(
            &namespace,
            &["wait", "--for=delete", &format!("crd/{name}"), "--timeout=10s"],
            "",
        )
        .ok()?;
    ground
        .kubectl(&namespace, &["get", "--raw", &format!("/apis/{group}/v1")], "")
        .refused_with("could not find the requested resource")
}
