//! CustomResourceDefinitions: from the object to the resources it adds, and the conditions it is answered with.

use std::sync::Arc;

use serde_json::{Value, json};

use super::meta::now;
use super::resources::{Resource, Treatment, qualified};
use super::schema::{Kind, Schema};
use super::status::FieldError;

/// A printer column of a custom resource.
#[derive(Clone, Debug)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// What it shows.
    pub description: String,
    /// 0 is always shown, more only with `-o wide`.
    pub priority: i64,
    /// Path of the field, such as `.status.state`.
    pub path: String,
}

/// One version of a custom resource.
#[derive(Debug)]
pub struct CustomVersion {
    /// Kind of lists.
    pub list_kind: String,
    /// Structural schema of the whole object.
    pub schema: Schema,
    /// The schema as published, for OpenAPI.
    pub published: Value,
    /// Version objects are stored in.
    pub storage_version: String,
    /// Whether there is no other version, so that stored objects need no conversion.
    pub only_version: bool,
    /// Columns for kubectl.
    pub columns: Vec<Column>,
    /// Fields that field selectors may name.
    pub selectable: Vec<String>,
}

/// The resources a definition adds, one per served version, preferred first.
pub fn resources_of(definition: &Value) -> Vec<Resource> {
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
    schema
}

/// Kubernetes' order of versions: v2 > v1 > v1beta2 > v1beta1 > v1alpha1 > anything else.
fn version_rank(version: &str) -> (u8, u64, u64) {
    let Some(rest) = version.strip_prefix('v') else {
        return (0, 0, 0);
    };
    let digits = rest.len()
        - rest
            .trim_start_matches(|character: char| character.is_ascii_digit())
            .len();
    let (major, rest) = rest.split_at(digits);
    let Ok(major) = major.parse() else { return (0, 0, 0) };
    for (stability, word) in [(3, ""), (2, "beta"), (1, "alpha")] {
        match rest.strip_prefix(word) {
            Some("") if word.is_empty() => return (stability, major, 0),
            Some(minor) if !word.is_empty() => return (stability, major, minor.parse().unwrap_or(0)),
            _ => {}
        }
    }
    (0, 0, 0)
}

/// Fills what a definition may leave out, and its status: names accepted, established.
pub fn prepare(definition: &mut Value) {
    let kind = definition["spec"]["names"]["kind"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let names = &mut definition["spec"]["names"];
    if names.is_object() {
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
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now(), "reason": reason, "message": message});
    if definition["status"]["conditions"].is_null() {
        definition["status"]["conditions"] = json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition(
                "Established",
                "InitialNamesAccepted",
                "the initial names have been accepted"
            ),
        ]);
    }
    definition["status"]["acceptedNames"] = definition["spec"]["names"].clone();
    let storage = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|version| version["storage"] == true);
    let storage = storage.map(|version| version["name"].clone()).unwrap_or_default();
    let stored = definition["status"]["storedVersions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !stored.contains(&storage) {
        definition["status"]["storedVersions"] = stored.into_iter().chain([storage]).collect();
    }
}

/// What is wrong with a definition.
pub fn validate(definition: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let spec = &definition["spec"];
    for (path, value) in [
        ("spec.group", &spec["group"]),
        ("spec.scope", &spec["scope"]),
        ("spec.names.plural", &spec["names"]["plural"]),
        ("spec.names.kind", &spec["names"]["kind"]),
    ] {
        if value.as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(path, ""));
        }
    }
    if !matches!(spec["scope"].as_str(), None | Some("Namespaced" | "Cluster")) {
        errors.push(FieldError::not_supported(
            "spec.scope",
            &spec["scope"],
            &["Cluster".into(), "Namespaced".into()],
        ));
    }
    let (plural, group) = (
        spec["names"]["plural"].as_str().unwrap_or_default(),
        spec["group"].as_str().unwrap_or_default(),
    );
    let name = &definition["metadata"]["name"];
    if *name != format!("{plural}.{group}") {
        errors.push(FieldError::invalid(
            "metadata.name",
            name,
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    let versions = spec["versions"].as_array().cloned().unwrap_or_default();
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let versions = Value::from(
            versions
                .iter()
                .map(|version| version["name"].clone())
                .collect::<Vec<_>>(),
        );
        errors.push(FieldError::invalid(
            "spec.versions",
            &versions,
            "must have exactly one version marked as storage version",
        ));
    }
    for (index, version) in versions.iter().enumerate() {
        let schema = &version["schema"]["openAPIV3Schema"];
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        if schema.is_null() {
            errors.push(FieldError::required(&path, "schemas are required"));
        } else if schema["type"] != "object" {
            errors.push(FieldError::invalid(
                &format!("{path}.type"),
                &schema["type"],
                "must be object at the root",
            ));
        }
    }
    if spec["conversion"]["strategy"] == "Webhook" {
        let supported = [Value::from("None")];
        errors.push(FieldError::not_supported(
            "spec.conversion.strategy",
            &spec["conversion"]["strategy"],
            &supported,
        ));
    }
    errors
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_preferred_in_kubernetes_order() {
        let mut versions = ["foo", "v1alpha1", "v1beta2", "v2", "v1", "v1beta10"];
        versions.sort_by_key(|version| std::cmp::Reverse(super::version_rank(version)));
        assert_eq!(versions, ["v2", "v1", "v1beta10", "v1beta2", "v1alpha1", "foo"]);
    }
}
