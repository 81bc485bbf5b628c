//! CustomResourceDefinitions: from the object to the resources it adds, and the conditions it is answered with.

mod validation;

use std::sync::Arc;

use serde_json::{Value, json};

use super::custom::{Column, CustomVersion, Scale, version_rank};
use super::meta::now;
use super::resources::{Resource, Treatment, qualified};
use super::schema::{Kind, Schema};

pub use validation::{validate, validate_update};

/// Holds a definition back until its objects are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
/// Where definitions are stored.
pub const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// `.spec.replicas` as a JSON pointer.
fn pointer(path: &str) -> String {
    path.replace('.', "/")
}

fn scale_of(version: &Value) -> Option<Scale> {
    let scale = version["subresources"]["scale"].as_object()?;
    let path = |name: &str| scale.get(name).and_then(Value::as_str).map(pointer);
    Some(Scale {
        replicas: path("specReplicasPath")?,
        current: path("statusReplicasPath")?,
        selector: path("labelSelectorPath"),
    })
}

/// Whether a definition's names are accepted, so that its resources are served.
pub fn is_established(definition: &Value) -> bool {
    condition(definition, "Established") == Some("True")
}

fn condition<'v>(definition: &'v Value, kind: &str) -> Option<&'v str> {
    let conditions = definition["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)?["status"].as_str()
}

/// Sets a condition; its time only if it changes.
pub fn set_condition(definition: &mut Value, kind: &str, status: &str, reason: &str, message: &str) {
    let new =
        json!({"type": kind, "status": status, "lastTransitionTime": now(), "reason": reason, "message": message});
    if !definition["status"]["conditions"].is_array() {
        definition["status"]["conditions"] = json!([]);
    }
    let Some(conditions) = definition["status"]["conditions"].as_array_mut() else {
        return;
    };
    match conditions.iter_mut().find(|condition| condition["type"] == kind) {
        Some(there) if there["status"] == status && there["reason"] == reason && there["message"] == message => {}
        Some(there) => *there = new,
        None => conditions.push(new),
    }
}

/// What of a definition's names another one of its group has already; `None` if nothing.
pub fn name_conflict(definition: &Value, others: impl Iterator<Item = Value>) -> Option<(&'static str, String)> {
    let names = &definition["spec"]["names"];
    for other in others {
        let same = other["metadata"]["name"] == definition["metadata"]["name"];
        if same || other["spec"]["group"] != definition["spec"]["group"] || !is_established(&other) {
            continue;
        }
        let taken = &other["status"]["acceptedNames"];
        let plurals: Vec<&Value> = [&taken["plural"], &taken["singular"]]
            .into_iter()
            .chain(taken["shortNames"].as_array().into_iter().flatten())
            .collect();
        let clash = |name: &Value, what: &'static str| {
            (name.is_string() && plurals.contains(&name)).then(|| (what, format!("{name} is already in use")))
        };
        let kinds = [&taken["kind"], &taken["listKind"]];
        let kind_clash = |name: &Value, what: &'static str| {
            (name.is_string() && kinds.contains(&name)).then(|| (what, format!("{name} is already in use")))
        };
        let found = clash(&names["plural"], "PluralConflict")
            .or_else(|| clash(&names["singular"], "SingularConflict"))
            .or_else(|| {
                let short = names["shortNames"].as_array().into_iter().flatten();
                short.into_iter().find_map(|name| clash(name, "ShortNamesConflict"))
            })
            .or_else(|| kind_clash(&names["kind"], "KindConflict"))
            .or_else(|| kind_clash(&names["listKind"], "ListKindConflict"));
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The resources a definition adds, one per served version, preferred first; none before its names are accepted.
pub fn resources_of(definition: &Value) -> Vec<Resource> {
    if !is_established(definition) {
        return Vec::new();
    }
    let terminating = !definition["metadata"]["deletionTimestamp"].is_null();
    let revision = definition["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|text| text.parse().ok());
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    let versions: Vec<&Value> = spec["versions"].as_array().into_iter().flatten().collect();
    let storage = versions
        .iter()
        .find(|version| version["storage"] == true)
        .map(|version| text(&version["name"]));
    let only_version = versions.len() == 1;
    let mut served: Vec<&Value> = versions
        .into_iter()
        .filter(|version| version["served"] == true)
        .collect();
    served.sort_by_key(|version| std::cmp::Reverse(version_rank(version["name"].as_str().unwrap_or_default())));
    let build = |version: &Value| {
        let published = version["schema"]["openAPIV3Schema"].clone();
        let columns = version["additionalPrinterColumns"].as_array().into_iter().flatten();
        let selectable = version["selectableFields"].as_array().into_iter().flatten();
        let custom = CustomVersion {
            list_kind: spec["names"]["listKind"]
                .as_str()
                .map_or_else(|| format!("{}List", text(&spec["names"]["kind"])), str::to_owned),
            schema: object_schema(&published),
            published,
            storage_version: storage.clone().unwrap_or_default(),
            only_version,
            columns: columns
                .map(|column| Column {
                    name: text(&column["name"]),
                    kind: text(&column["type"]),
                    description: text(&column["description"]),
                    priority: column["priority"].as_i64().unwrap_or(0),
                    path: text(&column["jsonPath"]),
                })
                .collect(),
            selectable: selectable
                .map(|field| text(&field["jsonPath"]).trim_start_matches('.').to_owned())
                .collect(),
            scale: scale_of(version),
            terminating,
            revision: revision.unwrap_or_default(),
        };
        Resource {
            group: group.clone(),
            version: text(&version["name"]),
            kind: text(&spec["names"]["kind"]),
            plural: plural.clone(),
            singular: spec["names"]["singular"]
                .as_str()
                .map_or_else(|| text(&spec["names"]["kind"]).to_lowercase(), str::to_owned),
            short_names: texts(&spec["names"]["shortNames"]),
            categories: texts(&spec["names"]["categories"]),
            namespaced: spec["scope"] == "Namespaced",
            status: !version["subresources"]["status"].is_null(),
            treatment: Treatment::Honoured,
            key: qualified(&plural, &group).into(),
            type_name: String::new(),
            custom: Some(Arc::new(custom)),
        }
    };
    served.into_iter().map(build).collect()
}

/// The schema of an object: what the definition says, with `apiVersion`, `kind` and `metadata` known.
fn object_schema(published: &Value) -> Schema {
    let mut schema = Schema::parse(published, &|_| None);
    if let Kind::Object(object) = &mut schema.kind {
        let text = || Schema {
            kind: Kind::String,
            ..Schema::any()
        };
        object.properties.insert("apiVersion".into(), text());
        object.properties.insert("kind".into(), text());
        object
            .properties
            .insert("metadata".into(), super::schema::builtin::object_meta().clone());
    }
    // Rules see the whole object: apiVersion, kind and metadata are there.
    schema.embedded = true;
    schema.note_below();
    schema
}

/// Fills what a definition may leave out, and its status: names accepted, established.
pub fn prepare(definition: &mut Value) {
    let kind = definition["spec"]["names"]["kind"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let names = &mut definition["spec"]["names"];
    if names.is_object() && !kind.is_empty() {
        if names["singular"].is_null() {
            names["singular"] = kind.to_lowercase().into();
        }
        if names["listKind"].is_null() {
            names["listKind"] = format!("{kind}List").into();
        }
    }
    if definition["spec"]["conversion"].is_null() {
        definition["spec"]["conversion"] = json!({"strategy": "None"});
    }
    if definition["status"]["conditions"].is_null() {
        set_condition(definition, "NamesAccepted", "True", "NoConflicts", "no conflicts found");
        let message = "the initial names have been accepted";
        set_condition(definition, "Established", "True", "InitialNamesAccepted", message);
    }
    if condition(definition, "NamesAccepted") == Some("True") {
        definition["status"]["acceptedNames"] = definition["spec"]["names"].clone();
    }
    let storage = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|version| version["storage"] == true);
    let storage = storage.map(|version| Value::from(version["name"].as_str().unwrap_or_default()));
    let stored = definition["status"]["storedVersions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if let Some(storage) = storage.filter(|storage| !stored.contains(storage)) {
        definition["status"]["storedVersions"] = stored.into_iter().chain([storage]).collect();
    }
}

/// The definition as a client is answered before anybody has acted on it: its names are not accepted yet, nothing holds it back.
pub fn before_acceptance(definition: &mut Value) {
    definition["status"]["conditions"] = Value::Null;
    definition["status"]["acceptedNames"] = json!({"plural": "", "kind": ""});
    let metadata = &mut definition["metadata"];
    if let Some(finalizers) = metadata["finalizers"].as_array_mut() {
        finalizers.retain(|name| name != CLEANUP);
    }
    if metadata["finalizers"].as_array().is_some_and(Vec::is_empty) {
        metadata.as_object_mut().map(|fields| fields.shift_remove("finalizers"));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_preferred_in_kubernetes_order() {
        let mut versions = ["foo", "v1alpha1", "v1beta2", "v2", "v1", "v1beta10"];
        versions.sort_by_key(|version| std::cmp::Reverse(crate::apimachinery::custom::version_rank(version)));
        assert_eq!(versions, ["v2", "v1", "v1beta10", "v1beta2", "v1alpha1", "foo"]);
    }
}
