//! What Go calls a field: clients show, and people search for, the words of Go's JSON decoder.

use super::named::text_type;
use super::table::{Field, Kind, Message, Shape, Special, Table};

/// The field at a path (`spec.containers[0].image`) of a kind: its Go structure, its path without indexes and keys of maps, and its Go
/// type. `None` where the path leaves what the table knows.
pub fn field_at(api_version: &str, kind: &str, path: &str) -> Option<(&'static str, String, String)> {
    let table = Table::get();
    let mut message = table.of_kind(api_version, kind)?;
    let mut names: Vec<&str> = Vec::new();
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        let (name, item) = part.split_once('[').map_or((part, false), |(name, _)| (name, true));
        let field = named(table, message, name)?;
        names.push(name);
        let (mut last, mut inner) = (parts.peek().is_none(), item);
        if field.shape == Shape::Map && !last {
            // The rest up to the next structure is a key, which may hold dots; a key whose value is a structure holds none here.
            inner = true;
            if let Kind::Message(id) = field.kind {
                if table.message(id).special.is_none() {
                    parts.next();
                    last = parts.peek().is_none();
                } else {
                    last = true;
                }
            } else {
                last = true;
            }
        }
        if last {
            return Some((message.name, names.join("."), go_type(table, message, field, inner)));
        }
        match field.kind {
            Kind::Message(id) => message = table.message(id),
            _ => return None,
        }
    }
    None
}

/// A field by its JSON name, of the message or of those embedded in it.
fn named<'a>(table: &'a Table, message: &'a Message, name: &str) -> Option<&'a Field> {
    message.fields.iter().find_map(|field| match field.kind {
        Kind::Message(id) if field.inline => named(table, table.message(id), name),
        _ => (field.name == name).then_some(field),
    })
}

/// The Go type of a field, or of one value of it.
pub(super) fn go_type(table: &Table, structure: &Message, field: &Field, inner: bool) -> String {
    let one = match field.kind {
        Kind::Text => text_type(structure.name, field.name).to_owned(),
        Kind::Truth => "bool".to_owned(),
        Kind::Whole => "int32".to_owned(),
        Kind::Long => "int64".to_owned(),
        Kind::Real => "float64".to_owned(),
        Kind::Bytes => "[]uint8".to_owned(),
        Kind::Message(id) => {
            let message = table.message(id);
            match message.special {
                Some(Special::Quantity) if field.shape == Shape::Map && !inner => return "v1.ResourceList".to_owned(),
                Some(Special::Quantity) => "resource.Quantity".to_owned(),
                // Anything but a string is read as a number, and a time is read as a string.
                Some(Special::IntOrString) => "int32".to_owned(),
                Some(Special::Time | Special::MicroTime) => "string".to_owned(),
                // A type of its own for the list.
                None if message.name == "ValidationRule" && field.shape == Shape::List && !inner => {
                    return "v1.ValidationRules".to_owned();
                }
                _ => format!(
                    "{}.{}",
                    message.package.rsplit('/').next().unwrap_or_default(),
                    message.name
                ),
            }
        }
    };
    match field.shape {
        Shape::List if !inner => format!("[]{one}"),
        Shape::Map if !inner => format!("map[string]{one}"),
        _ => one,
    }
}

/// Whether clients may leave a field out: what JSON leaves out when it is zero is not required, whatever a schema says.
pub fn may_be_absent(package: &str, message: &str, field: &str) -> bool {
    let table = Table::get();
    let message = table.named(package, message);
    message
        .and_then(|message| named(table, message, field))
        .is_some_and(|field| field.omit_zero)
}

/// Whether there is a built-in kind of this name in this version.
pub fn is_kind(api_version: &str, kind: &str) -> bool {
    Table::get().of_kind(api_version, kind).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_names_and_types_of_the_go_structures() {
        for (kind, path, expected) in [
            ("Pod", "spec", ("Pod", "spec", "v1.PodSpec")),
            (
                "Pod",
                "spec.containers[0].image",
                ("Container", "spec.containers.image", "string"),
            ),
            (
                "Pod",
                "spec.containers",
                ("PodSpec", "spec.containers", "[]v1.Container"),
            ),
            (
                "Pod",
                "spec.containers[2]",
                ("PodSpec", "spec.containers", "v1.Container"),
            ),
            (
                "Pod",
                "metadata.labels.a.b/c",
                ("ObjectMeta", "metadata.labels", "string"),
            ),
            (
                "Pod",
                "metadata.labels",
                ("ObjectMeta", "metadata.labels", "map[string]string"),
            ),
            (
                "Pod",
                "spec.terminationGracePeriodSeconds",
                ("PodSpec", "spec.terminationGracePeriodSeconds", "int64"),
            ),
            (
                "Pod",
                "spec.volumes[0].emptyDir",
                ("Volume", "spec.volumes.emptyDir", "v1.EmptyDirVolumeSource"),
            ),
        ] {
            let (structure, path_found, type_found) = field_at("v1", kind, path).unwrap();
            assert_eq!(
                (structure, path_found.as_str(), type_found.as_str()),
                expected,
                "{path}"
            );
        }
        assert_eq!(field_at("v1", "Pod", "spec.nope"), None);
        assert!(may_be_absent("core/v1", "Pod", "metadata"));
        assert!(!may_be_absent("core/v1", "HTTPHeader", "name"));
    }
}
