//! A set of field paths, and its text form FieldsV1.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A set of field paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// The path itself is in the set.
    pub member: bool,
    /// Paths below, by their FieldsV1 element.
    pub children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// A path itself.
    pub(super) fn leaf() -> FieldSet {
        FieldSet {
            member: true,
            children: BTreeMap::new(),
        }
    }

    /// Whether there is no path at all.
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Reads FieldsV1.
    pub fn parse(json: &Value) -> FieldSet {
        let Some(fields) = json.as_object() else {
            return FieldSet::default();
        };
        let children = fields.iter().filter(|(name, _)| *name != ".");
        FieldSet {
            member: fields.is_empty() || fields.contains_key("."),
            children: children
                .map(|(name, child)| (name.clone(), FieldSet::parse(child)))
                .collect(),
        }
    }

    /// Writes FieldsV1.
    pub fn into_json(self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.children.is_empty() {
            fields.insert(".".into(), json!({}));
        }
        let children = self.children.into_iter();
        fields.extend(children.map(|(name, child)| (name, child.into_json())));
        Value::Object(fields)
    }

    /// Whether a path of the set is also one of these FieldsV1.
    pub fn touches(&self, json: &Value) -> bool {
        let Some(fields) = json.as_object() else { return false };
        let member = || fields.is_empty() || fields.contains_key(".");
        self.member && member()
            || self
                .children
                .iter()
                .any(|(name, child)| fields.get(name).is_some_and(|json| child.touches(json)))
    }

    /// Whether every path of the set is one of these FieldsV1.
    pub fn is_within(&self, json: &Value) -> bool {
        let Some(fields) = json.as_object() else {
            return self.is_empty();
        };
        let member = || fields.is_empty() || fields.contains_key(".");
        (!self.member || member())
            && self
                .children
                .iter()
                .all(|(name, child)| fields.get(name).is_some_and(|json| child.is_within(json)))
    }

    /// Paths of either.
    pub fn union(&mut self, other: &FieldSet) {
        self.member |= other.member;
        for (name, child) in &other.children {
            self.children.entry(name.clone()).or_default().union(child);
        }
    }

    /// Paths that are not in the other.
    pub fn minus(&self, other: &FieldSet) -> FieldSet {
        let children = self.children.iter().filter_map(|(name, child)| {
            let rest = other
                .children
                .get(name)
                .map_or_else(|| child.clone(), |other| child.minus(other));
            (!rest.is_empty()).then(|| (name.clone(), rest))
        });
        FieldSet {
            member: self.member && !other.member,
            children: children.collect(),
        }
    }

    /// Paths that are in both. A leaf of one covers everything below it in the other.
    pub fn intersection(&self, other: &FieldSet) -> FieldSet {
        let children = self.children.iter().filter_map(|(name, child)| {
            let both = child.intersection(other.children.get(name)?);
            (!both.is_empty()).then(|| (name.clone(), both))
        });
        FieldSet {
            member: self.member && other.member,
            children: children.collect(),
        }
    }

    /// Every path of the set as kubectl shows it, `.spec.containers[name="a"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect(String::new(), &mut found);
        found
    }

    fn collect(&self, path: String, found: &mut Vec<String>) {
        if self.member && self.children.is_empty() {
            found.push(path.clone());
        }
        for (name, child) in &self.children {
            let place = match name.split_once(':') {
                Some(("f", field)) => format!("{path}.{field}"),
                Some(("k", keys)) => {
                    let keys: Value = serde_json::from_str(keys).unwrap_or_default();
                    let keys = keys
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(key, value)| format!("{key}={value}"));
                    format!("{path}[{}]", keys.collect::<Vec<_>>().join(","))
                }
                Some((_, rest)) => format!("{path}[={rest}]"),
                None => format!("{path}{name}"),
            };
            child.collect(place, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_sets_read_and_write_the_published_form() {
        let text = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:x": {}}});
        let set = FieldSet::parse(&text);
        assert_eq!(set.clone().into_json(), text);
        assert_eq!(
            set.minus(&FieldSet::parse(&json!({"f:spec": {"f:x": {}}}))).into_json(),
            json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}})
        );
        assert_eq!(set.paths(), [".metadata.labels.a", ".spec.x"]);
    }

    #[test]
    fn sets_are_compared_with_the_published_form_without_reading_it() {
        let fields = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:x": {}}});
        for (set, touches, is_within) in [
            (json!({"f:spec": {"f:x": {}}}), true, true),
            (json!({"f:spec": {"f:y": {}}}), false, false),
            (json!({"f:spec": {}}), false, false),
            (json!({"f:metadata": {"f:labels": {}}}), true, true),
            (json!({"f:metadata": {"f:labels": {"f:b": {}}}}), false, false),
            (json!({"f:metadata": {"f:labels": {".": {}, "f:b": {}}}}), true, false),
            (json!({"f:spec": {"f:x": {"f:deeper": {}}}}), false, false),
        ] {
            let read = FieldSet::parse(&fields);
            let set = FieldSet::parse(&set);
            assert_eq!(set.touches(&fields), touches, "{set:?}");
            assert_eq!(set.is_within(&fields), is_within, "{set:?}");
            // The same as the sets say of each other.
            assert_eq!(read.minus(&set) != read, touches, "{set:?}");
            let mut both = read.clone();
            both.union(&set);
            assert_eq!(both == read, is_within, "{set:?}");
        }
    }
}
