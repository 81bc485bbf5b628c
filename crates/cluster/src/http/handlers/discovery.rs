//! What the server has: versions, groups, resources, and their OpenAPI documents.

use axum::response::Response;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::bodies::json_response;
use crate::apimachinery::request::Query;
use crate::apimachinery::resources::{Resource, Resources, api_version};
use crate::apimachinery::status::Status;
use crate::http::call::Server;
use crate::http::openapi;
use crate::registry::identity::Identity;

/// The version we answer with: the Kubernetes whose API types these are.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": "34", "gitVersion": concat!("v1.34.0+stoke.", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc", "platform": "linux/amd64",
    })
}

/// Answers discovery paths; `None` for paths of objects.
pub fn discovery(
    server: &Server,
    identity: &Identity,
    path: &str,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Option<Response>, Status> {
    let resources = server.registry.resources();
    let document = |group: &str, version: &str| {
        let asked = openapi::DocumentRequest {
            hash: query.get("hash"),
            known: headers.get("if-none-match").and_then(|value| value.to_str().ok()),
        };
        let found = server.documents.respond(&resources, group, version, &asked);
        found.map(Some).ok_or_else(Status::no_such_path)
    };
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let aggregated = headers
        .get("accept")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("as=APIGroupDiscoveryList") && accept.contains("v=v2"));
    let ours = matches!(
        segments.as_slice(),
        [] | ["api" | "apis"] | ["apis", _] | ["api", _] | ["apis", _, _] | ["openapi", ..]
    );
    if !ours {
        return Ok(None);
    }
    server.registry.authorize_path(identity, "get", path)?;
    let answer = match segments.as_slice() {
        [] => {
            json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]})
        }
        ["api"] if aggregated => return Ok(Some(aggregate(&resources, true))),
        ["apis"] if aggregated => return Ok(Some(aggregate(&resources, false))),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ["apis"] => {
            let groups: Vec<Value> = resources
                .groups()
                .filter(|(name, _)| !name.is_empty())
                .map(|(name, versions)| group(name, versions))
                .collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["apis", name] => {
            let found = resources.groups().find(|(known, _)| known == name);
            let (name, versions) = found.ok_or_else(Status::no_such_path)?;
            let mut answer = group(name, versions);
            answer["kind"] = "APIGroup".into();
            answer["apiVersion"] = "v1".into();
            answer
        }
        ["api", version] => resource_list(&resources, "", version)?,
        ["apis", group, version] => resource_list(&resources, group, version)?,
        ["openapi", "v3"] => server.documents.index(&resources),
        ["openapi", "v3", "api", version] => return document("", version),
        ["openapi", "v3", "apis", group, version] => return document(group, version),
        ["openapi", "v2"] => return Ok(Some(openapi::version_2(headers))),
        ["openapi", ..] => return Err(Status::no_such_path()),
        _ => return Ok(None),
    };
    Ok(Some(json_response(&answer)))
}

fn group(name: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": api_version(name, version), "version": version}))
        .collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}

fn resource_list(resources: &Resources, group: &str, version: &str) -> Result<Value, Status> {
    let resources = resources.of(group, version);
    if resources.is_empty() {
        return Err(Status::no_such_path());
    }
    let mut list = Vec::new();
    for resource in &resources {
        list.push(entry(resource));
        for (name, kind_version, kind, verbs) in resource.subresources() {
            let mut entry = json!({"name": format!("{}/{name}", resource.plural), "singularName": "", "namespaced": resource.namespaced,
                "kind": if kind.is_empty() { &resource.kind } else { kind }, "verbs": verbs});
            if let Some((group, version)) = kind_version.split_once('/') {
                entry["group"] = group.into();
                entry["version"] = version.into();
            }
            list.push(entry);
        }
    }
    Ok(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(group, version), "resources": list}),
    )
}

fn entry(resource: &Resource) -> Value {
    let mut entry = json!({"name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": resource.verbs()});
    if !resource.short_names.is_empty() {
        entry["shortNames"] = resource.short_names.clone().into();
    }
    if !resource.categories.is_empty() {
        entry["categories"] = resource.categories.clone().into();
    }
    entry
}

/// All groups, versions and resources in one answer.
fn aggregate(resources: &Resources, core: bool) -> Response {
    let groups: Vec<Value> = resources
        .groups()
        .filter(|(name, _)| name.is_empty() == core)
        .map(|(name, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = resources
                        .of(name, version)
                        .iter()
                        .map(|resource| aggregated(resource))
                        .collect();
                    json!({"version": version, "freshness": "Current", "resources": resources})
                })
                .collect();
            json!({"metadata": {"name": name, "creationTimestamp": null}, "versions": versions})
        })
        .collect();
    let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": groups});
    let mut response = json_response(&list);
    response.headers_mut().insert(
        "content-type",
        HeaderValue::from_static("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
    );
    response
}

fn aggregated(resource: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let own = kind(&resource.group, &resource.version, &resource.kind);
    let subresources: Vec<Value> = resource
        .subresources()
        .into_iter()
        .map(|(name, kind_version, kind_name, verbs)| {
            let response = match (kind_version.split_once('/'), kind_name) {
                (Some((group, version)), name) => kind(group, version, name),
                (None, "") => own.clone(),
                (None, name) => kind(&resource.group, &resource.version, name),
            };
            json!({"subresource": name, "responseKind": response, "verbs": verbs})
        })
        .collect();
    let mut entry = json!({"resource": resource.plural, "responseKind": own,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": resource.verbs()});
    if !resource.short_names.is_empty() {
        entry["shortNames"] = resource.short_names.clone().into();
    }
    if !resource.categories.is_empty() {
        entry["categories"] = resource.categories.clone().into();
    }
    if !subresources.is_empty() {
        entry["subresources"] = subresources.into();
    }
    entry
}
