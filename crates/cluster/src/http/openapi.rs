//! OpenAPI v3 documents, one per group and version, from the schemas the server itself follows.
//!
//! They carry what clients read: component schemas with `x-kubernetes-group-version-kind` (for `kubectl explain`), and for each kind a
//! `patch` operation that declares `fieldValidation` and `dryRun` (so that kubectl leaves validation to the server).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::apimachinery::protobuf;
use crate::apimachinery::resources::{Resource, Resources, api_version};
use crate::apimachinery::schema::builtin;

const PREFIX: &str = "#/components/schemas/";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// Types that every document has.
const COMMON: [&str; 3] = [
    OBJECT_META,
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
];
const API_VERSION: &str =
    "The version of the representation of this object, group/version. It decides which fields there are.";
const KIND: &str = "The kind of this object, in CamelCase. It cannot be changed.";
const METADATA: &str = "Name, namespace, labels, annotations, owners and what the server keeps of every object.";

fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

/// Of what a document is made of: this program's version and the resources.
fn hash(resources: &[Arc<Resource>]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(env!("CARGO_PKG_VERSION").as_bytes());
    for resource in resources {
        context.update(resource.plural.as_bytes());
        context.update(&[resource.treatment as u8]);
        if let Some(custom) = &resource.custom {
            context.update(custom.published.to_string().as_bytes());
        }
    }
    let digest = context.finish();
    digest
        .as_ref()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02X}"))
        .collect()
}

/// Hashes of documents by path.
type Hashes = Arc<BTreeMap<String, String>>;

/// Documents made so far: one per group and version that anybody asked for, 10 to 400 KB each; and the hashes of all.
#[derive(Default)]
pub struct Documents {
    made: Mutex<HashMap<String, (String, Bytes)>>,
    hashes: Mutex<Option<(Arc<Resources>, Hashes)>>,
}

impl Documents {
    /// The hash of every document by its path. Computed again when the resources have changed.
    fn hashes(&self, resources: &Arc<Resources>) -> Hashes {
        let mut known = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, hashes)) = &*known
            && Arc::ptr_eq(of, resources)
        {
            return hashes.clone();
        }
        let groups = resources.groups();
        let all = groups.flat_map(|(group, versions)| versions.iter().map(move |version| (group, version)));
        let hashes = all.map(|(group, version)| (path_of(group, version), hash(&resources.of(group, version))));
        let hashes = Arc::new(hashes.collect::<BTreeMap<_, _>>());
        *known = Some((resources.clone(), hashes.clone()));
        hashes
    }

    /// The list of documents. The hash changes when the document may have.
    pub fn index(&self, resources: &Arc<Resources>) -> Value {
        let paths: Map<String, Value> = self
            .hashes(resources)
            .iter()
            .map(|(path, hash)| {
                let url = format!("/openapi/v3/{path}?hash={hash}");
                (path.clone(), json!({"serverRelativeURL": url}))
            })
            .collect();
        json!({"paths": paths})
    }

    /// Answers a request for the document of a group and version.
    ///
    /// A request that names the current hash may be cached for good; one that names another is sent to the current one.
    pub fn respond(
        &self,
        resources: &Arc<Resources>,
        group: &str,
        version: &str,
        asked: &DocumentRequest<'_>,
    ) -> Option<Response> {
        let path = path_of(group, version);
        let hash = self.hashes(resources).get(&path)?.clone();
        let resources = resources.of(group, version);
        let mut response = Response::new(Body::empty());
        let mut header = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        };
        if asked.hash.is_some_and(|asked| asked != hash) {
            header(header::LOCATION, &format!("/openapi/v3/{path}?hash={hash}"));
            *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
            return Some(response);
        }
        let tag = format!("\"{hash}\"");
        header(header::ETAG, &tag);
        header(header::VARY, "Accept");
        header(
            header::CACHE_CONTROL,
            if asked.hash.is_some() {
                "public, immutable, max-age=31536000"
            } else {
                "no-cache, private"
            },
        );
        if asked
            .known
            .is_some_and(|known| known.split(',').any(|known| known.trim() == tag))
        {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Some(response);
        }
        header(header::CONTENT_TYPE, "application/json");
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match made.get(&path) {
            Some((known, text)) if *known == hash => text.clone(),
            _ => {
                let text = Bytes::from(document(&resources, group, version).to_string());
                made.insert(path, (hash, text.clone()));
                text
            }
        };
        *response.body_mut() = Body::from(text);
        Some(response)
    }
}

/// The OpenAPI v2 document: it describes nothing, and says where the descriptions are.
///
/// kubectl asks for it when it is given a `List`, to check each item itself. Kinds it does not find there it leaves to the server, which
/// checks them by the same schemas that the v3 documents show.
pub fn version_2(headers: &HeaderMap) -> Response {
    const TITLE: &str = "Kubernetes: the schemas are in /openapi/v3";
    const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let (body, media) = if accept.is_some_and(|accept| accept.contains("proto-openapi")) {
        (protobuf::empty_openapi_v2(TITLE, "v1.34.0").into(), PROTOBUF)
    } else {
        let document =
            json!({"swagger": "2.0", "info": {"title": TITLE, "version": "v1.34.0"}, "paths": {}, "definitions": {}});
        (Body::from(document.to_string()), "application/json")
    };
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// What a request for a document says.
#[derive(Clone, Copy, Debug, Default)]
pub struct DocumentRequest<'a> {
    /// `hash` of the query.
    pub hash: Option<&'a str>,
    /// `If-None-Match`.
    pub known: Option<&'a str>,
}

/// Name of a resource's schema in its document.
fn schema_name(resource: &Resource) -> String {
    match resource.custom {
        None => resource.type_name.clone(),
        Some(_) => {
            let reversed: Vec<&str> = resource.group.split('.').rev().collect();
            format!("{}.{}.{}", reversed.join("."), resource.version, resource.kind)
        }
    }
}

fn document(resources: &[Arc<Resource>], group: &str, version: &str) -> Value {
    let wanted = resources
        .iter()
        .filter(|resource| resource.custom.is_none())
        .map(|resource| resource.type_name.as_str());
    let mut schemas = builtin::documents(wanted.chain(COMMON.iter().copied()));
    let mut paths = Map::new();
    for resource in resources {
        let name = schema_name(resource);
        if let Some(custom) = &resource.custom {
            let mut schema = custom.published.clone();
            schema["properties"]["apiVersion"] = json!({"type": "string", "description": API_VERSION});
            schema["properties"]["kind"] = json!({"type": "string", "description": KIND});
            schema["properties"]["metadata"] =
                json!({"description": METADATA, "allOf": [{"$ref": format!("{PREFIX}{OBJECT_META}")}]});
            schemas.insert(name.clone(), schema);
        }
        if let Some(schema) = schemas.get_mut(&name) {
            schema["x-kubernetes-group-version-kind"] =
                json!([{"group": group, "version": version, "kind": resource.kind}]);
        }
        add_paths(&mut paths, resource, &name);
    }
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.34.0"}, "paths": paths, "components": {"schemas": schemas}})
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
    if resource.treatment != crate::apimachinery::resources::Treatment::Review {
        let object = json!({"get": plain("get"), "put": operation("put"), "patch": operation("patch"), "delete": plain("delete")});
        paths.insert(format!("{base}/{}/{{name}}", resource.plural), object);
    }
}
