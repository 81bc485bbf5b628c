//! What Go's structures do to an object on its way through them: zero values are left out, numbers have 32 bits.

use serde_json::Value;

use super::table::{Field, Kind, Message, Shape, Special, Table};
use crate::apimachinery::schema::Path;

/// Leaves out what the JSON of Go's structures leaves out. Unknown kinds stay as they are.
pub fn leave_out(api_version: &str, kind: &str, object: &mut Value) {
    let table = Table::get();
    if let Some(message) = table.of_kind(api_version, kind) {
        leave_out_of(table, message, object);
    }
}

fn leave_out_of(table: &Table, message: &Message, object: &mut Value) {
    for field in &message.fields {
        if let (true, Kind::Message(id)) = (field.inline, field.kind) {
            leave_out_of(table, table.message(id), object);
            continue;
        }
        let Some(fields) = object.as_object_mut() else { return };
        let Some(value) = fields.get_mut(field.name) else {
            continue;
        };
        if field.omit_zero && is_zero(field, value) {
            fields.shift_remove(field.name);
            continue;
        }
        let Kind::Message(id) = field.kind else { continue };
        let inner = table.message(id);
        if inner.special.is_some() {
            continue;
        }
        match (field.shape, value) {
            (Shape::One, value @ Value::Object(_)) => leave_out_of(table, inner, value),
            (Shape::List, Value::Array(list)) => list.iter_mut().for_each(|item| leave_out_of(table, inner, item)),
            (Shape::Map, Value::Object(map)) => map.values_mut().for_each(|item| leave_out_of(table, inner, item)),
            _ => {}
        }
    }
}

fn is_zero(field: &Field, value: &Value) -> bool {
    match (field.shape, value) {
        (_, Value::Null) => true,
        (Shape::List, Value::Array(list)) => list.is_empty(),
        (Shape::Map, Value::Object(map)) => map.is_empty(),
        (Shape::One, Value::String(text)) => text.is_empty() && !matches!(field.kind, Kind::Message(_)),
        (Shape::One, Value::Bool(flag)) => !flag && field.kind == Kind::Truth,
        (Shape::One, Value::Number(number)) => {
            number.as_f64() == Some(0.0) && matches!(field.kind, Kind::Whole | Kind::Long | Kind::Real)
        }
        _ => false,
    }
}

/// The first number that does not fit its field: where it is, and the number.
pub fn too_large(api_version: &str, kind: &str, object: &Value) -> Option<(String, String)> {
    let table = Table::get();
    let message = table.of_kind(api_version, kind)?;
    too_large_in(table, message, object, &Path::ROOT)
}

fn too_large_in(table: &Table, message: &Message, object: &Value, at: &Path<'_>) -> Option<(String, String)> {
    message.fields.iter().find_map(|field| {
        if let (true, Kind::Message(id)) = (field.inline, field.kind) {
            return too_large_in(table, table.message(id), object, at);
        }
        let value = object.get(field.name)?;
        let place = at.field(field.name);
        let one = |value: &Value, place: &Path<'_>| match field.kind {
            Kind::Whole => {
                let number = value.as_number()?;
                let fits = number.as_i64().is_some_and(|number| i32::try_from(number).is_ok());
                (!fits).then(|| (place.to_string(), number.to_string()))
            }
            Kind::Message(id) if table.message(id).special.is_none() => {
                too_large_in(table, table.message(id), value, place)
            }
            Kind::Message(id) if table.message(id).special == Some(Special::IntOrString) => {
                let number = value.as_number()?;
                let fits = number.as_i64().is_some_and(|number| i32::try_from(number).is_ok());
                (!fits).then(|| (place.to_string(), number.to_string()))
            }
            _ => None,
        };
        match (field.shape, value) {
            (Shape::List, Value::Array(list)) => list
                .iter()
                .enumerate()
                .find_map(|(index, item)| one(item, &place.item(index))),
            (Shape::One, value) => one(value, &place),
            _ => None,
        }
    })
}

/// The first text that should be a time and is none, as Go's parser of times tells it.
pub fn not_a_time(api_version: &str, kind: &str, object: &Value) -> Option<String> {
    let table = Table::get();
    not_a_time_in(table, table.of_kind(api_version, kind)?, object)
}

fn not_a_time_in(table: &Table, message: &Message, object: &Value) -> Option<String> {
    message.fields.iter().find_map(|field| {
        let Kind::Message(id) = field.kind else { return None };
        let inner = table.message(id);
        let value = if field.inline { object } else { object.get(field.name)? };
        match (inner.special, field.shape, value) {
            (Some(Special::Time), Shape::One, Value::String(text)) => broken_time(text, "2006-01-02T15:04:05Z07:00"),
            (Some(Special::MicroTime), Shape::One, Value::String(text)) => {
                broken_time(text, "2006-01-02T15:04:05.000000Z07:00")
            }
            (Some(_), ..) => None,
            (None, Shape::List, Value::Array(list)) => list.iter().find_map(|item| not_a_time_in(table, inner, item)),
            (None, Shape::One, value) => not_a_time_in(table, inner, value),
            _ => None,
        }
    })
}

fn broken_time(text: &str, form: &str) -> Option<String> {
    if text.parse::<jiff::Timestamp>().is_ok() {
        return None;
    }
    let year = text.len() >= 4 && text.bytes().take(4).all(|byte| byte.is_ascii_digit());
    let whole = text
        .char_indices()
        .map(|(end, _)| end)
        .find(|end| text[..*end].parse::<jiff::Timestamp>().is_ok());
    Some(match whole {
        Some(end) => format!("parsing time {text:?}: extra text: {:?}", &text[end..]),
        None if !year => format!("parsing time {text:?} as {form:?}: cannot parse {text:?} as \"2006\""),
        None => format!(
            "parsing time {text:?} as {form:?}: cannot parse {:?} as \"-\"",
            &text[4..]
        ),
    })
}

/// Where the first text that should be base64 is not, as Go counts it.
pub fn not_base64(api_version: &str, kind: &str, object: &Value) -> Option<usize> {
    let table = Table::get();
    let message = table.of_kind(api_version, kind)?;
    let fields = message.fields.iter().filter(|field| field.kind == Kind::Bytes);
    fields
        .filter_map(|field| object.get(field.name))
        .find_map(|value| match value {
            Value::Object(map) => map.values().filter_map(Value::as_str).find_map(stops),
            Value::String(text) => stops(text),
            _ => None,
        })
}

/// The byte at which a decoder of base64 gives up.
fn stops(text: &str) -> Option<usize> {
    let bytes: Vec<(usize, u8)> = text
        .bytes()
        .enumerate()
        .filter(|(_, byte)| !b"\r\n".contains(byte))
        .collect();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let mut taken = 0;
    for (index, (at, byte)) in bytes.iter().enumerate() {
        if *byte == b'=' {
            return match (taken % 4, bytes.get(index + 1)) {
                (0 | 1, _) => Some(*at),
                (2, None) => Some(text.len()),
                (2, Some((_, b'='))) => bytes.get(index + 2).map(|(at, _)| *at),
                (2, Some(_)) => Some(*at),
                (_, next) => next.map(|(at, _)| *at),
            };
        }
        if !known(*byte) {
            return Some(*at);
        }
        taken += 1;
    }
    (taken % 4 != 0).then(|| text.len() - taken % 4)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn zero_values_are_left_out_where_go_leaves_them_out() {
        let mut pod = json!({"metadata": {"name": "a", "labels": {}}, "spec": {"hostNetwork": false, "shareProcessNamespace": false,
            "volumes": [], "containers": [{"name": "", "image": "", "stdin": false, "args": [""]}]}});
        leave_out("v1", "Pod", &mut pod);
        assert_eq!(
            pod,
            json!({"metadata": {"name": "a"}, "spec": {"shareProcessNamespace": false, "containers": [{"name": "", "args": [""]}]}})
        );
    }

    #[test]
    fn base64_is_read_as_go_reads_it() {
        let found = ["AAEC", "not base64!", "AAECx", "-x", "YQ==", "YQ=", "", "a b"].map(stops);
        let expected = [None, Some(3), Some(4), Some(0), None, Some(3), None, Some(1)];
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_of_32_bits_are_found_that_do_not_fit() {
        let service = json!({"spec": {"ports": [{"port": 80}, {"port": 2_147_483_648_u64}]}});
        let found = too_large("v1", "Service", &service);
        assert_eq!(found, Some(("spec.ports[1].port".into(), "2147483648".into())));
    }
}
