//! OpenAPI v3 documents, one per group and version, from the schemas the server itself follows.
//!
//! They carry what clients read: component schemas with `x-kubernetes-group-version-kind` (for `kubectl explain`), and for each kind a
//! `patch` operation that declares `fieldValidation` and `dryRun` (so that kubectl leaves validation to the server).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::resources::{Registry, Resource, api_version};
use super::schema::builtin;

const PREFIX: &str = "#/components/schemas/";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The list of documents. The hash changes when the document may have.
pub fn index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for (group, versions) in registry.groups() {
        for version in versions {
            let path = if group.is_empty() {
                format!("api/{version}")
            } else {
                format!("apis/{group}/{version}")
            };
            let mut text = String::new();
            for resource in registry.of(group, version) {
                text.push_str(&resource.plural);
                if let Some(custom) = &resource.custom {
                    text.push_str(&custom.published.to_string());
                }
            }
            let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
            let hash: String = hash
                .as_ref()
                .iter()
                .take(16)
                .map(|byte| format!("{byte:02X}"))
                .collect();
            paths.insert(
                path.clone(),
                json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}),
            );
        }
    }
    json!({"paths": paths})
}

/// The document of one group and version.
pub fn document(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let resources = registry.of(group, version);
    if resources.is_empty() {
        return None;
    }
    let built_in = builtin::documents();
    let mut schemas = Map::new();
    let mut wanted = BTreeSet::from([
        OBJECT_META.to_owned(),
        "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions".to_owned(),
    ]);
    let mut paths = Map::new();
    for resource in &resources {
        let name = match &resource.custom {
            None => {
                wanted.insert(resource.type_name.clone());
                resource.type_name.clone()
            }
            Some(custom) => {
                let reversed: Vec<&str> = group.split('.').rev().collect();
                let name = format!("{}.{version}.{}", reversed.join("."), resource.kind);
                let mut schema = custom.published.clone();
                schema["properties"]["apiVersion"] = json!({"type": "string", "description": "APIVersion defines the versioned schema of this representation of an object."});
                schema["properties"]["kind"] = json!({"type": "string", "description": "Kind is a string value representing the REST resource this object represents."});
                schema["properties"]["metadata"] = json!({"description": "Standard object's metadata.", "allOf": [{"$ref": format!("{PREFIX}{OBJECT_META}")}]});
                schemas.insert(name.clone(), schema);
                name
            }
        };
        add_paths(&mut paths, resource, &name);
    }
    while let Some(name) = wanted.pop_first() {
        if schemas.contains_key(&name) {
            continue;
        }
        let Some(schema) = built_in.get(&name) else { continue };
        references(schema, &mut wanted);
        schemas.insert(name, schema.clone());
    }
    for resource in &resources {
        let reversed: Vec<&str> = group.split('.').rev().collect();
        let name = match resource.custom {
            None => resource.type_name.clone(),
            Some(_) => format!("{}.{version}.{}", reversed.join("."), resource.kind),
        };
        if let Some(schema) = schemas.get_mut(&name) {
            schema["x-kubernetes-group-version-kind"] =
                json!([{"group": group, "version": version, "kind": resource.kind}]);
        }
    }
    Some(
        json!({"openapi": "3.0.0", "info": {"title": "Stoke", "version": "v1.34.0"}, "paths": paths, "components": {"schemas": schemas}}),
    )
}

fn references(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(name) = fields
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|text| text.strip_prefix(PREFIX))
            {
                found.insert(name.to_owned());
            }
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn add_paths(paths: &mut Map<String, Value>, resource: &Resource, schema: &str) {
    let base = if resource.group.is_empty() {
        format!("/api/{}", resource.version)
    } else {
        format!("/apis/{}", api_version(&resource.group, &resource.version))
    };
    let base = if resource.namespaced {
        format!("{base}/namespaces/{{namespace}}")
    } else {
        base
    };
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let text = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let parameters = json!([
        text("dryRun"),
        text("fieldManager"),
        text("fieldValidation"),
        text("force")
    ]);
    let body = json!({"content": {"application/json": {"schema": {"$ref": format!("{PREFIX}{schema}")}}}});
    let answer = json!({"200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": format!("{PREFIX}{schema}")}}}}});
    let operation = |action: &str| {
        json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind, "parameters": parameters,
            "requestBody": body, "responses": answer})
    };
    let plain = |action: &str| json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind, "responses": answer});
    paths.insert(
        format!("{base}/{}", resource.plural),
        json!({"post": operation("post"), "get": plain("list")}),
    );
    if resource.treatment != super::resources::Treatment::Review {
        let object = json!({"get": plain("get"), "put": operation("put"), "patch": operation("patch"), "delete": plain("delete")});
        paths.insert(format!("{base}/{}/{{name}}", resource.plural), object);
    }
}
