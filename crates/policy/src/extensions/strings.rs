//! Texts, where the interpreter takes other turns than Go.

use regorus::Value;

use super::{text, texts};

/// Go maps each character to one character: `ß` stays, `İ` becomes `i`.
pub(super) fn lower(arguments: &[Value]) -> Option<Value> {
    let one = |character: char| character.to_lowercase().next().unwrap_or(character);
    Some(Value::from(text(arguments, 0)?.chars().map(one).collect::<String>()))
}

pub(super) fn upper(arguments: &[Value]) -> Option<Value> {
    let one = |character: char| {
        let mut upper = character.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(single), None) => single,
            _ => character,
        }
    };
    Some(Value::from(text(arguments, 0)?.chars().map(one).collect::<String>()))
}

/// Where a text begins in another, counted in characters; the empty text begins nowhere.
fn positions(arguments: &[Value]) -> Option<Vec<Value>> {
    let [value, part] = texts(arguments)?;
    if part.is_empty() {
        return None;
    }
    let starts = value.char_indices().enumerate();
    let found = starts.filter(|(_, (at, _))| value[*at..].starts_with(part));
    Some(
        found
            .map(|(index, _)| Value::from(u64::try_from(index).unwrap_or_default()))
            .collect(),
    )
}

pub(super) fn indexof(arguments: &[Value]) -> Option<Value> {
    Some(
        positions(arguments)?
            .into_iter()
            .next()
            .unwrap_or_else(|| Value::from(-1_i64)),
    )
}

pub(super) fn indexof_n(arguments: &[Value]) -> Option<Value> {
    positions(arguments).map(Value::from)
}

pub(super) fn count(arguments: &[Value]) -> Option<Value> {
    let [value, part] = texts(arguments)?;
    let count = if part.is_empty() {
        value.chars().count() + 1
    } else {
        value.matches(part).count()
    };
    Some(Value::from(u64::try_from(count).ok()?))
}
