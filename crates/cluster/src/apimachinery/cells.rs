//! What stands in a table's cell: the value at a path, the time since something happened.

use jiff::Timestamp;
use serde_json::Value;
use stoke_model::units::duration;

/// Follows a simple JSON path: `.a.b`, `.a[0]`, `.a['b.c']`, `.a[?(@.type=="x")].b`.
pub fn path_value<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut current = value;
    let mut rest = path.trim();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let end = if after.starts_with("?(") {
                after.find(")]")? + 1
            } else {
                after.find(']')?
            };
            let inner = &after[..end];
            rest = &after[end + 1..];
            current = if let Some(condition) = inner.strip_prefix("?(@.").and_then(|text| text.strip_suffix(')')) {
                let (field, wanted) = condition.split_once("==")?;
                let wanted = wanted.trim().trim_matches(['"', '\'']);
                current.as_array()?.iter().find(|item| item[field.trim()] == wanted)?
            } else if let Ok(index) = inner.parse::<usize>() {
                current.get(index)?
            } else {
                current.get(inner.trim_matches(['"', '\'']))?
            };
        } else {
            let after = rest.strip_prefix('.').unwrap_or(rest);
            let end = after.find(['.', '[']).unwrap_or(after.len());
            if end > 0 {
                current = current.get(&after[..end])?;
            }
            rest = &after[end..];
            if end == 0 && rest.starts_with('.') {
                return None;
            }
        }
    }
    Some(current)
}

/// How long ago, as kubectl writes it: `5s`, `3m20s`, `5h`, `3d2h`.
pub fn age(time: &Value, now: Timestamp) -> String {
    let Some(then) = time.as_str().and_then(|text| text.parse::<Timestamp>().ok()) else {
        return "<unknown>".into();
    };
    duration::kubectl(now.as_second() - then.as_second())
}

/// The time from one moment to another, as kubectl writes it.
pub fn between(start: Timestamp, end: Timestamp) -> String {
    duration::kubectl(end.as_second() - start.as_second())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_paths_reach_fields_items_and_conditions() {
        let object = json!({"a": {"b": [{"type": "x", "v": 1}], "c.d": 2}});
        assert_eq!(path_value(&object, ".a.b[0].v"), Some(&json!(1)));
        assert_eq!(path_value(&object, ".a.b[?(@.type==\"x\")].v"), Some(&json!(1)));
        assert_eq!(path_value(&object, ".a['c.d']"), Some(&json!(2)));
        assert_eq!(path_value(&object, ".nope.x"), None);
    }
}
