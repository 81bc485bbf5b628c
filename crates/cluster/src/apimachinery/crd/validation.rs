//! What is wrong with a definition, and what of one may not change.
//!
//! The real server keeps what all versions say alike (their schema, subresources, columns, selectable fields) once, above the versions, and
//! blames it there: `spec.validation.openAPIV3Schema`, not `spec.versions[0].schema.openAPIV3Schema`.

use serde_json::{Value, json};

use crate::apimachinery::schema::{Kind, Path, Schema, check_structural};
use crate::apimachinery::status::FieldError;
use crate::apimachinery::validation::{Complaints, is_empty, items, text, words};

/// Versions a definition may have at most: each is a schema in memory.
const MOST_VERSIONS: usize = 64;
const APPROVAL: &str = "api-approved.kubernetes.io";
/// Parts of a version that are kept above the versions where all have the same.
const SHARED: [&str; 4] = ["schema", "subresources", "additionalPrinterColumns", "selectableFields"];
const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] = [
    "byte",
    "date",
    "date-time",
    "double",
    "float",
    "int32",
    "int64",
    "password",
];

/// What is wrong with a definition.
pub fn validate(definition: &Value) -> Vec<FieldError> {
    let mut said = Complaints::default();
    let spec = &definition["spec"];
    let at = Path::Start("spec");
    check_group(definition, &at, &mut said);
    check_scope(spec, &at, &mut said);
    check_names(&spec["names"], &at.field("names"), &mut said);
    if spec["preserveUnknownFields"] == true {
        let at = at.field("preserveUnknownFields");
        let detail =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        said.invalid(&at, true, detail);
        if items(&spec["versions"]).any(|(_, version)| has_default(&version["schema"]["openAPIV3Schema"])) {
            said.invalid(&at, true, "must be false in order to use defaults in the schema");
        }
    }
    if items(&spec["versions"]).count() > MOST_VERSIONS {
        let count = items(&spec["versions"]).count();
        said.0
            .push(FieldError::too_many("spec.versions", count, MOST_VERSIONS as i64));
        return said.0;
    }
    check_versions(spec, &at, &mut said);
    if is_empty(&definition["status"]["storedVersions"]) {
        let detail = "must have at least one stored version";
        said.invalid(&Path::Start("status.storedVersions"), Value::Null, detail);
    }
    check_conversion(spec, &at.field("conversion"), &mut said);
    said.0
}

fn check_group(definition: &Value, at: &Path<'_>, said: &mut Complaints) {
    let (name, spec) = (text(&definition["metadata"]["name"]), &definition["spec"]);
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    if !name.is_empty() && name != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        said.invalid(&Path::Start("metadata.name"), name, detail);
    }
    let at = at.field("group");
    let broken = words::subdomain(group);
    if group.is_empty() {
        said.required(&at, "");
    } else if !broken.is_empty() {
        said.text(&at, group, broken);
    } else if !group.contains('.') {
        said.invalid(&at, group, "should be a domain with at least one dot");
    }
    let reserved = group.ends_with(".k8s.io") || group.ends_with(".kubernetes.io");
    if reserved && text(&definition["metadata"]["annotations"][APPROVAL]).is_empty() {
        let detail = "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111";
        said.required(&Path::Start("metadata.annotations").named(APPROVAL), detail);
    }
}

fn check_scope(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    match text(&spec["scope"]) {
        "" => said.required(&at.field("scope"), ""),
        scope => said.one_of(&at.field("scope"), &scope.into(), &["Cluster", "Namespaced"]),
    }
}

fn check_names(names: &Value, at: &Path<'_>, said: &mut Complaints) {
    for field in ["plural", "singular"] {
        match text(&names[field]) {
            "" => said.required(&at.field(field), ""),
            name => said.text(&at.field(field), name, words::label_1035(name)),
        }
    }
    for field in ["kind", "listKind"] {
        match text(&names[field]) {
            "" => said.required(&at.field(field), ""),
            name => {
                let broken = words::label_1035(&name.to_lowercase()).into_iter();
                let broken = broken.map(|rule| format!("may have mixed case, but should otherwise match: {rule}"));
                said.text(&at.field(field), name, broken.collect());
            }
        }
    }
    if !text(&names["kind"]).is_empty() && names["kind"] == names["listKind"] {
        let detail = "kind and listKind may not be the same";
        said.invalid(&at.field("listKind"), names["listKind"].clone(), detail);
    }
    for field in ["shortNames", "categories"] {
        let list = at.field(field);
        for (index, name) in items(&names[field]) {
            said.text(&list.item(index), text(name), words::label_1035(text(name)));
        }
    }
}

/// Whether all versions say the same of a part.
fn is_shared(versions: &Value, part: &str) -> bool {
    let first = &versions[0][part];
    !is_empty(versions) && items(versions).all(|(_, version)| version[part] == *first)
}

fn check_versions(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    let versions = &spec["versions"];
    let list = at.field("versions");
    let mut seen = Vec::new();
    let mut again = false;
    for (index, version) in items(versions) {
        let (name, at) = (text(&version["name"]), list.item(index));
        again |= seen.contains(&name);
        seen.push(name);
        said.text(&at.field("name"), name, words::label_1035(name));
        if !version["schema"]["openAPIV3Schema"].is_object() {
            said.required(&at.field("schema").field("openAPIV3Schema"), "");
        }
        for part in SHARED.iter().filter(|part| !is_shared(versions, part)) {
            check_part(part, version, &at, said);
        }
    }
    if again {
        said.invalid(&list, told(versions), "must contain unique version names");
    }
    if items(versions)
        .filter(|(_, version)| version["storage"] == true)
        .count()
        != 1
    {
        let detail = "must have exactly one version marked as storage version";
        said.invalid(&list, told(versions), detail);
    }
    if let Some(first) = versions.get(0) {
        let name = text(&first["name"]);
        if !name.is_empty() {
            said.text(&at.field("version"), name, words::label_1035(name));
        }
        for part in SHARED.iter().filter(|part| is_shared(versions, part)) {
            check_part(part, first, at, said);
        }
    }
}

/// The versions as the real server tells them: by the names of its structures, without what is kept above them.
fn told(versions: &Value) -> Value {
    if !versions.is_array() {
        return Value::Null;
    }
    let part = |version: &Value, part: &str| {
        if is_shared(versions, part) {
            Value::Null
        } else {
            version[part].clone()
        }
    };
    let one = |version: &Value| {
        json!({"Name": text(&version["name"]), "Served": version["served"] == true, "Storage": version["storage"] == true,
            "Deprecated": version["deprecated"] == true, "DeprecationWarning": version["deprecationWarning"],
            "Schema": part(version, "schema"), "Subresources": part(version, "subresources"),
            "AdditionalPrinterColumns": part(version, "additionalPrinterColumns"),
            "SelectableFields": part(version, "selectableFields")})
    };
    items(versions).map(|(_, version)| one(version)).collect()
}

/// One part of a version, at its place or at the place it shares with those of the other versions.
fn check_part(part: &str, version: &Value, at: &Path<'_>, said: &mut Complaints) {
    match part {
        "schema" => check_schema(version, at, said),
        "subresources" => {
            let at = at.field("subresources");
            check_scale(&version["subresources"]["scale"], &at.field("scale"), said);
        }
        "additionalPrinterColumns" => {
            let list = at.field(part);
            for (index, column) in items(&version[part]) {
                check_column(column, &list.item(index), said);
            }
        }
        _ => check_selectable(version, &at.field("selectableFields"), said),
    }
}

fn check_schema(version: &Value, at: &Path<'_>, said: &mut Complaints) {
    let schema = &version["schema"]["openAPIV3Schema"];
    if !schema.is_object() {
        return;
    }
    let part = match at {
        Path::Start(_) => "validation",
        _ => "schema",
    };
    let at = at.field(part);
    let at = at.field("openAPIV3Schema");
    said.0.extend(check_structural(schema, &at.to_string()));
    let kind = text(&schema["type"]);
    if version["subresources"]["status"].is_object() && !matches!(kind, "" | "object") {
        let detail =
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        said.invalid(&at.field("type"), kind, detail);
    }
}

/// Whether a schema has a default anywhere.
fn has_default(schema: &Value) -> bool {
    schema.is_object() && Schema::parse(schema, &|_| None).has_defaults
}

fn is_simple(path: &str) -> bool {
    path.starts_with('.') && !path.contains('[')
}

fn check_scale(scale: &Value, at: &Path<'_>, said: &mut Complaints) {
    if !scale.is_object() {
        return;
    }
    let places: [(&str, &[&str], bool); 3] = [
        ("specReplicasPath", &[".spec"], true),
        ("statusReplicasPath", &[".status"], true),
        ("labelSelectorPath", &[".spec", ".status"], false),
    ];
    for (field, starts, required) in places {
        let (path, at) = (text(&scale[field]), at.field(field));
        let below = |start: &&str| path.strip_prefix(*start).is_some_and(|rest| rest.starts_with('.'));
        if path.is_empty() {
            if required {
                said.required(&at, "");
            }
        } else if !is_simple(path) {
            said.invalid(&at, path, "must be a simple json path starting with .");
        } else if !starts.iter().any(below) {
            let detail = format!("should be a json path under {}", starts.join(" or "));
            said.invalid(&at, path, &detail);
        }
    }
}

fn check_column(column: &Value, at: &Path<'_>, said: &mut Complaints) {
    said.text_required(&at.field("name"), &column["name"]);
    let kinds = format!("must be one of {}", COLUMN_TYPES.join(","));
    match text(&column["type"]) {
        "" => said.required(&at.field("type"), &kinds),
        kind if !COLUMN_TYPES.contains(&kind) => said.invalid(&at.field("type"), kind, &kinds),
        _ => {}
    }
    let format = text(&column["format"]);
    if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
        let detail = format!("must be one of {}", COLUMN_FORMATS.join(","));
        said.invalid(&at.field("format"), format, &detail);
    }
    match text(&column["jsonPath"]) {
        "" => said.required(&at.field("JSONPath"), ""),
        path if !path.starts_with('.') => {
            said.invalid(
                &at.field("JSONPath"),
                path,
                "must be a simple json path starting with .",
            );
        }
        _ => {}
    }
}

fn check_selectable(version: &Value, at: &Path<'_>, said: &mut Complaints) {
    let list = &version["selectableFields"];
    let count = items(list).count();
    if count > 8 {
        said.0.push(FieldError::too_many(&at.to_string(), count, 8));
    }
    if count > 0 && !version["schema"]["openAPIV3Schema"].is_object() {
        said.invalid(at, "", "may only be set when validations.schema is included");
        return;
    }
    let schema = Schema::parse(&version["schema"]["openAPIV3Schema"], &|_| None);
    let mut seen = Vec::new();
    for (index, field) in items(list) {
        let path = text(&field["jsonPath"]);
        let item = at.item(index);
        let at = item.field("jsonPath");
        if path.is_empty() {
            said.required(&at, "");
            continue;
        }
        if let Some(detail) = not_selectable(&schema, path) {
            said.invalid(&at, path, &detail);
        } else if seen.contains(&path) {
            said.duplicate(&at, path);
        }
        seen.push(path);
    }
}

/// Why a field cannot be selected by; `None` if it can.
fn not_selectable(schema: &Schema, path: &str) -> Option<String> {
    if !path.starts_with(['.', '[']) {
        let first = path.split(['.', '[']).next().unwrap_or_default();
        return Some(format!("is an invalid path: expected [ or . but got: {first}"));
    }
    if path.starts_with(".metadata") {
        return Some("must not point to fields in metadata".to_owned());
    }
    let steps = path.trim_start_matches('.').split('.');
    let found = steps
        .filter(|_| !path.contains('['))
        .try_fold(schema, |schema, name| schema.field(name));
    match found.filter(|_| !path.contains('[')) {
        None => Some("is an invalid path: does not refer to a valid field".to_owned()),
        Some(found) if matches!(found.kind, Kind::String | Kind::Boolean | Kind::Integer) => None,
        Some(_) => Some("must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.".to_owned()),
    }
}

fn check_conversion(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    let at = at.field("strategy");
    let served = items(&spec["versions"]).filter(|(_, version)| version["served"] == true);
    match text(&spec["conversion"]["strategy"]) {
        "" => said.required(&at, ""),
        // With one served version there is nothing to convert.
        "Webhook" if served.count() > 1 => {
            let detail = "conversion by webhook is not done by this cluster: serve one version only, or use the strategy None (versions that differ in nothing but their name)";
            said.invalid(&at, "Webhook", detail);
        }
        strategy => said.one_of(&at, &strategy.into(), &["None", "Webhook"]),
    }
}

/// What may not change about a definition.
pub fn validate_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut said = Complaints::default();
    for pointer in ["/spec/group", "/spec/names/plural", "/spec/scope", "/spec/names/kind"] {
        let (before, after) = (old.pointer(pointer), new.pointer(pointer));
        if before != after {
            let path = pointer[1..].replace('/', ".");
            let value = after.cloned().unwrap_or_default();
            said.invalid(&Path::Start(&path), value, "field is immutable");
        }
    }
    let named = |definition: &Value| -> Vec<Value> {
        items(&definition["spec"]["versions"])
            .map(|(_, version)| version["name"].clone())
            .collect()
    };
    let (before, kept) = (named(old), named(new));
    let list = Path::Start("status.storedVersions");
    for (index, stored) in items(&new["status"]["storedVersions"]) {
        if !kept.contains(stored) && before.contains(stored) {
            let name = text(stored);
            let detail = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            said.invalid(&list.item(index), stored.clone(), &detail);
        }
    }
    said.0
}
