//! Objects of any kind: decoded, completed, checked, and moved between the versions of requests and of storage.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::kinds::autoscaler;
use super::meta::{check_labels, check_name, check_qualified, name_rule};
use super::resources::Resource;
use super::schema::{self, Path, Schema};
use super::status::{FieldError, Status};
use super::{crd, json_words, kinds, protobuf, quantity};
use crate::store::Object;

/// The schema of a resource's objects.
pub fn schema_of(resource: &Resource) -> &Schema {
    match &resource.custom {
        Some(custom) => &custom.schema,
        None => schema::builtin::schema(&resource.type_name).unwrap_or_else(|| schema::builtin::object_meta()),
    }
}

/// Checks that a body is an object of this resource, and sets `apiVersion` and `kind` if it left them out.
pub fn check_kind(resource: &Resource, value: &mut Value) -> Result<(), Status> {
    if value.is_null() {
        *value = json!({});
    }
    if !value.is_object() {
        let why = format!(
            "json: cannot unmarshal {} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
            json_words::called(value)
        );
        return Err(Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {why} ({})",
            resource.kind,
            json_words::beginning(value.to_string().as_bytes())
        )));
    }
    let expected = resource.api_version();
    for field in ["apiVersion", "kind"] {
        if !matches!(value[field], Value::Null | Value::String(_)) {
            return Err(unrecognised(resource, field, value));
        }
    }
    let unregistered = |version: &str, kind: &str| {
        let short = version.rsplit('/').next().unwrap_or_default();
        Status::bad_request(format!(
            "{kind} in version {short:?} cannot be handled as a {}: no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:110\"",
            resource.kind
        ))
    };
    if resource.custom.is_some() && value["kind"].as_str().is_none_or(str::is_empty) {
        let text = value.to_string();
        return Err(Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{text}' ({})",
            resource.kind,
            json_words::beginning(text.as_bytes())
        )));
    }
    match value["apiVersion"].as_str() {
        None | Some("") if resource.custom.is_some() => {
            let message =
                format!("the API version in the data () does not match the expected API version ({expected})");
            return Err(Status::bad_request(message));
        }
        None | Some("") => value["apiVersion"] = expected.clone().into(),
        Some(found) if found != expected => {
            let kind = value["kind"].as_str().unwrap_or(&resource.kind);
            if resource.custom.is_none() && !protobuf::go::is_kind(found, kind) {
                return Err(unregistered(found, value["kind"].as_str().unwrap_or(&resource.kind)));
            }
            let message =
                format!("the API version in the data ({found}) does not match the expected API version ({expected})");
            return Err(Status::bad_request(message));
        }
        Some(_) => {}
    }
    match value["kind"].as_str() {
        None | Some("") => value["kind"] = resource.kind.clone().into(),
        Some(found) if found != resource.kind && resource.custom.is_some() => {
            let name = value["metadata"]["name"].as_str().unwrap_or_default();
            let detail = format!("must be {}", resource.kind);
            let error = FieldError::invalid("kind", &found.into(), &detail);
            return Err(Status::invalid(&resource.group, found, name, &[error]));
        }
        Some(found) if found != resource.kind => {
            if resource.custom.is_none() && !protobuf::go::is_kind(&expected, found) {
                return Err(unregistered(&expected, found));
            }
            let inner = match resource.group.split('.').next() {
                Some("") | None => "core",
                Some(group) => group,
            };
            let message = format!(
                "{found} in version {0:?} cannot be handled as a {1}: converting ({0}.{found}) to ({inner}.{1}): unknown conversion",
                resource.version, resource.kind
            );
            return Err(Status::bad_request(message));
        }
        Some(_) => {}
    }
    // All wrong types are in one complaint.
    if value["metadata"].is_null() {
        value["metadata"] = json!({});
    }
    Ok(())
}

/// A body whose version or kind is not a string.
fn unrecognised(resource: &Resource, field: &str, value: &Value) -> Status {
    let found = json_words::called(&value[field]);
    let text = value.to_string();
    let end = text.char_indices().nth(30).map_or(text.len(), |(end, _)| end);
    let why = format!("json: cannot unmarshal {found} into Go struct field .{field} of type string");
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {why} ({} ...)",
        resource.kind,
        &text[..end]
    ))
}

/// Checks the types of what a client sent, and removes the fields its kind does not have; gives these.
///
/// # Errors
/// A value of a wrong type, in Go's words.
pub fn prune(resource: &Resource, value: &mut Value) -> Result<Vec<String>, Status> {
    let schema = schema_of(resource);
    check_types(resource, schema, value)?;
    write_nothing(resource, value);
    let mut unknown = schema::prune(schema, value);
    if &*resource.key == crd::DEFINITIONS {
        unknown.extend(protobuf::schemas::prune(value));
    }
    Ok(unknown)
}

/// Brings what a client sent into the form its kind is stored in.
///
/// # Errors
/// A quantity, time or text in base64 that is none.
pub fn settle_form(resource: &Resource, value: &mut Value) -> Result<(), Status> {
    if resource.custom.is_none() {
        return decode(resource, schema_of(resource), value);
    }
    protobuf::zero::leave_out("v1", "ObjectMeta", &mut value["metadata"]);
    Ok(())
}

/// No value of a key of a ConfigMap or a Secret is an empty one.
fn write_nothing(resource: &Resource, value: &mut Value) {
    if !matches!(&*resource.key, "configmaps" | "secrets") {
        return;
    }
    for field in ["data", "binaryData", "stringData"] {
        let map = value.get_mut(field).and_then(Value::as_object_mut);
        let nothing = map
            .into_iter()
            .flat_map(|map| map.values_mut())
            .filter(|value| value.is_null());
        nothing.for_each(|value| *value = "".into());
    }
}

/// Complains of owners that are named more than once.
pub fn named_twice(metadata: &Value) -> Option<String> {
    let owners = metadata["ownerReferences"].as_array()?;
    let mut twice: Vec<&str> = Vec::new();
    for (index, owner) in owners.iter().enumerate() {
        let uid = owner["uid"].as_str().unwrap_or_default();
        if owners[..index].contains(owner) && !twice.contains(&uid) {
            twice.push(uid);
        }
    }
    (!twice.is_empty()).then(|| {
        format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            twice.join(", ")
        )
    })
}

/// What decoding into the structures of a built-in kind does: quantities get their form, zero values go.
pub fn decode(resource: &Resource, schema: &Schema, value: &mut Value) -> Result<(), Status> {
    quantity::canonicalise(schema, value, &Path::ROOT).map_err(|_| cannot_handle(resource, NO_QUANTITY))?;
    if let Some(why) = protobuf::zero::not_a_time(&resource.api_version(), &resource.kind, value) {
        return Err(cannot_handle(resource, &why));
    }
    if let Some(byte) = protobuf::zero::not_base64(&resource.api_version(), &resource.kind, value) {
        return Err(cannot_handle(
            resource,
            &format!("illegal base64 data at input byte {byte}"),
        ));
    }
    protobuf::zero::leave_out(&resource.api_version(), &resource.kind, value);
    one_of_each(&mut value["metadata"]);
    Ok(())
}

/// Owners that are named twice are named once.
fn one_of_each(metadata: &mut Value) {
    let owners = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut);
    if let Some(owners) = owners.filter(|owners| owners.len() > 1) {
        let all = std::mem::take(owners);
        for owner in all {
            if !owners.contains(&owner) {
                owners.push(owner);
            }
        }
    }
}

/// Refuses the first value of a wrong type in Go's words: they are what people search for.
pub fn check_types(resource: &Resource, schema: &Schema, value: &Value) -> Result<(), Status> {
    if resource.custom.is_some() {
        return check_metadata_types(resource, &value["metadata"]);
    }
    let mismatch = schema::mismatch(schema, value, &Path::ROOT).or_else(|| {
        let (path, number) = protobuf::zero::too_large(&resource.api_version(), &resource.kind, value)?;
        let found = format!("number {number}");
        Some(schema::Mismatch { path, found })
    });
    let Some(schema::Mismatch { path, found }) = mismatch else {
        let definition = &*resource.key == crd::DEFINITIONS;
        let wrong = definition
            .then(|| protobuf::schemas::wrong_in_definition(value))
            .flatten();
        return wrong.map_or(Ok(()), |why| Err(cannot_handle(resource, &why)));
    };
    let why = match protobuf::go::field_at(&resource.api_version(), &resource.kind, &path) {
        // An amount is read by a reader of its own.
        Some((.., wanted)) if wanted == "resource.Quantity" => NO_QUANTITY.to_owned(),
        Some((structure, fields, wanted)) => {
            format!("json: cannot unmarshal {found} into Go struct field {structure}.{fields} of type {wanted}")
        }
        None => format!("json: cannot unmarshal {found} into field {path}"),
    };
    Err(cannot_handle(resource, &why))
}

/// Of a custom resource only its metadata is a structure; the rest is held against its schema.
fn check_metadata_types(resource: &Resource, metadata: &Value) -> Result<(), Status> {
    let Some(schema::Mismatch { path, found }) =
        schema::mismatch(schema::builtin::object_meta(), metadata, &Path::ROOT)
    else {
        return Ok(());
    };
    let why = match protobuf::go::field_at("v1", "ObjectMeta", &path) {
        Some((structure, fields, wanted)) => {
            format!("json: cannot unmarshal {found} into Go struct field {structure}.{fields} of type {wanted}")
        }
        None => format!("json: cannot unmarshal {found} into Go value of type v1.ObjectMeta"),
    };
    Err(cannot_handle(resource, &why))
}

const NO_QUANTITY: &str = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// 400: what a client sent is not an object of its kind.
pub fn cannot_handle(resource: &Resource, why: &str) -> Status {
    Status::bad_request(format!(
        "{0} in version {1:?} cannot be handled as a {0}: {why}",
        resource.kind, resource.version
    ))
}

/// Applies defaults, of the kind or of the custom schema.
pub fn default(resource: &Resource, value: &mut Value) {
    if let Some(custom) = &resource.custom {
        schema::apply_defaults(&custom.schema, value);
    }
    kinds::default(resource, value);
}

/// Every complaint about an object and, with its predecessor, about the change.
pub fn validate(resource: &Resource, old: Option<&Value>, new: &Value) -> Result<(), Status> {
    let mut errors = check_metadata(resource, new);
    if let Some(custom) = &resource.custom {
        let found = match old {
            Some(old) => schema::validate_update(&custom.schema, new, old, ""),
            None => schema::validate(&custom.schema, new, ""),
        };
        let found: Vec<FieldError> = found
            .into_iter()
            .filter(|error| !error.field.starts_with("metadata"))
            .collect();
        // Rules are written for values of the right types.
        let right = found.is_empty();
        errors.extend(found);
        if right {
            errors.extend(schema::check_rules(&custom.schema, new, old, ""));
        }
    }
    errors.extend(kinds::validate(resource, new));
    errors.extend(match old {
        Some(old) => kinds::validate_update(resource, old, new),
        None => kinds::validate_create(resource, new),
    });
    if errors.is_empty() {
        return Ok(());
    }
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    Err(Status::invalid(&resource.group, &resource.kind, name, &errors))
}

fn check_metadata(resource: &Resource, object: &Value) -> Vec<FieldError> {
    let metadata = &object["metadata"];
    let mut errors = match metadata["name"].as_str() {
        None | Some("") => vec![FieldError::required(
            "metadata.name",
            "name or generateName is required",
        )],
        Some(name) => check_name(name_rule(&resource.key), "metadata.name", name),
    };
    if let Some(prefix) = metadata["generateName"].as_str().filter(|prefix| !prefix.is_empty()) {
        let prefix = prefix
            .strip_suffix('-')
            .map_or(prefix.to_owned(), |prefix| format!("{prefix}a"));
        errors.extend(check_name(name_rule(&resource.key), "metadata.generateName", &prefix));
    }
    errors.extend(check_labels(&metadata["labels"], "metadata.labels"));
    let annotations = metadata["annotations"].as_object();
    for key in annotations.into_iter().flatten().map(|(key, _)| key) {
        // Keys may have capitals before the slash, too; complaints show them unchanged.
        let lower = key.to_lowercase();
        let told = |error: FieldError| FieldError {
            message: error.message.replacen(&lower, key, 1),
            ..error
        };
        errors.extend(check_qualified(&lower, "metadata.annotations").into_iter().map(told));
    }
    let size: usize = annotations
        .into_iter()
        .flatten()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > 256 << 10 {
        errors.push(FieldError::too_long(
            "metadata.annotations",
            "may not be more than 262144 bytes",
        ));
    }
    // Finalizers of Kubernetes' own kinds have to be someone's; those of definitions and of what they define need not.
    let strict = resource.custom.is_none() && &*resource.key != crd::DEFINITIONS;
    check_references(metadata, strict, &mut errors);
    errors
}

fn check_references(metadata: &Value, strict: bool, errors: &mut Vec<FieldError>) {
    let finalizers = metadata["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, finalizer) in finalizers.iter().enumerate() {
        let text = finalizer.as_str().unwrap_or_default();
        errors.extend(check_qualified(text, "metadata.finalizers"));
        if strict && !text.contains('/') && !matches!(text, "orphan" | "foregroundDeletion" | "kubernetes") {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid(
                &format!("metadata.finalizers[{index}]"),
                finalizer,
                detail,
            ));
        }
    }
    let both = ["orphan", "foregroundDeletion"]
        .iter()
        .all(|name| finalizers.iter().any(|finalizer| finalizer == name));
    if both {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(
            "metadata.finalizers",
            &metadata["finalizers"],
            detail,
        ));
    }
    let mut controller: Option<&Value> = None;
    for owner in metadata["ownerReferences"].as_array().into_iter().flatten() {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        for (field, detail) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(field).is_empty() || field == "apiVersion" && text(field).matches('/').count() > 1 {
                errors.push(FieldError::invalid(
                    &format!("metadata.ownerReferences.{field}"),
                    &text(field).into(),
                    detail,
                ));
            }
        }
        if text("apiVersion") == "v1" && text("kind") == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid("metadata.ownerReferences", owner, detail));
        }
        if owner["controller"] != true {
            continue;
        }
        if let Some(first) = controller {
            let name = |owner: &Value| {
                format!(
                    "{}/{}",
                    owner["kind"].as_str().unwrap_or_default(),
                    owner["name"].as_str().unwrap_or_default()
                )
            };
            let detail = format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                name(first),
                name(owner)
            );
            errors.push(FieldError::invalid(
                "metadata.ownerReferences",
                &metadata["ownerReferences"],
                &detail,
            ));
        }
        controller = Some(owner);
    }
}

/// Puts `kind`, `apiVersion` and `metadata` first, as clients expect to read them.
pub fn in_order(value: Value) -> Value {
    let Value::Object(mut fields) = value else { return value };
    let mut ordered = Map::new();
    for name in ["kind", "apiVersion", "metadata", "spec"] {
        if let Some((name, field)) = fields.shift_remove_entry(name) {
            ordered.insert(name, field);
        }
    }
    ordered.extend(fields);
    Value::Object(ordered)
}

/// From the version of the request to the one objects are stored in.
pub fn to_storage(resource: &Resource, value: &mut Value) {
    if let Some(custom) = &resource.custom {
        value["apiVersion"] = format!("{}/{}", resource.group, custom.storage_version).into();
    } else if resource.group == "events.k8s.io" {
        rename_event(value, false);
        value["apiVersion"] = "v1".into();
    } else if first_autoscaler(resource) {
        autoscaler::to_v2(value);
    }
}

/// From the stored version to the one of the request.
pub fn from_storage(resource: &Resource, value: &mut Value) {
    if let Some(custom) = &resource.custom {
        value["apiVersion"] = resource.api_version().into();
        // What was stored under another schema is shown as this one says: without unknown fields, with defaults.
        if !custom.only_version || custom.schema.has_defaults {
            schema::prune(&custom.schema, value);
            schema::apply_defaults(&custom.schema, value);
        }
    } else if resource.group == "events.k8s.io" {
        rename_event(value, true);
        value["apiVersion"] = "events.k8s.io/v1".into();
    } else if first_autoscaler(resource) {
        autoscaler::to_v1(value);
    }
}

fn first_autoscaler(resource: &Resource) -> bool {
    resource.version == "v1" && &*resource.key == kinds::AUTOSCALERS
}

/// Fields that the two event APIs name differently: core, events.k8s.io.
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

fn rename_event(event: &mut Value, to_new: bool) {
    let Some(fields) = event.as_object_mut() else { return };
    for (core, new) in EVENT_FIELDS {
        let (from, to) = if to_new { (core, new) } else { (new, core) };
        if let Some(field) = fields.shift_remove(*from) {
            fields.insert((*to).to_owned(), field);
        }
    }
}

/// Whether [`from_storage`] changes an object.
pub fn converts(resource: &Resource, object: &Object) -> bool {
    match &resource.custom {
        Some(custom) => custom.converts(object.revision),
        None => resource.group == "events.k8s.io" || first_autoscaler(resource),
    }
}

/// The object in the version of the request.
pub fn present(resource: &Resource, object: &Object) -> Bytes {
    if !converts(resource, object) {
        return object.json.clone();
    }
    let mut value = object.value();
    from_storage(resource, &mut value);
    value.to_string().into()
}

/// `PartialObjectMetadata` of an object.
pub fn metadata_of(value: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]})
}
