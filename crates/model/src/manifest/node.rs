//! A YAML or JSON document as a tree in which every key and value has its place.

use std::fmt::Write;

use serde_json::{Number, Value};

use stoke_diagnostics::Place;

/// A value and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it is written; for a value that came by an alias, where the anchor's value is written.
    pub place: Place,
    /// The value.
    pub content: Content,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Nothing: `null`, `~` or empty.
    Null,
    /// A truth value.
    Bool(bool),
    Number(Number),
    /// A text.
    String(String),
    List(Vec<Node>),
    /// A mapping, in the order written.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    /// Where the key is written.
    pub key_place: Place,
    pub value: Node,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key of a mapping.
    Key(String),
    /// A position in a list, from 0.
    Index(usize),
}

impl Node {
    /// The entries of a mapping; none when it is not one.
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none when it is not one.
    pub fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    /// The text, when it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::String(text) => Some(text),
            _ => None,
        }
    }

    /// The entry of a key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value of a key; a null counts as absent, as it does in Kubernetes.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key)
            .map(|entry| &entry.value)
            .filter(|node| node.content != Content::Null)
    }

    /// The value at a path such as `spec.driver.cores`, `spec.volumes[0].name` or `spec.sparkConf["spark.ui.port"]`.
    pub fn lookup(&self, path: &str) -> Option<&Node> {
        parse_path(path).iter().try_fold(self, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Index(index) => node.items().get(*index),
        })
    }

    /// The place of a path: of its key when it is a mapping's, else of its value; where the path leaves the document, of the last
    /// part that is in it.
    pub fn place_of(&self, path: &str) -> Place {
        let mut node = self;
        let mut place = self.place;
        for step in parse_path(path) {
            let next = match &step {
                Step::Key(key) => node.entry(key).map(|entry| (&entry.value, entry.key_place)),
                Step::Index(index) => node.items().get(*index).map(|item| (item, item.place)),
            };
            let Some((value, at)) = next else { break };
            node = value;
            place = at;
        }
        place
    }

    /// What it is called in a message.
    pub fn type_name(&self) -> &'static str {
        match &self.content {
            Content::Null => "null",
            Content::Bool(_) => "a boolean",
            Content::Number(number) if number.is_f64() => "a decimal number",
            Content::Number(_) => "a number",
            Content::String(_) => "a string",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// The same without places.
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Number(number) => Value::Number(number.clone()),
            Content::String(text) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Self::to_value).collect(),
            Content::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_value()))
                    .collect(),
            ),
        }
    }
}

/// Appends a key to a path; a key with dots or other than plain characters is quoted.
pub fn push_key(path: &mut String, key: &str) {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-$".contains(&b));
    if plain {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    } else {
        path.push_str("[\"");
        for character in key.chars() {
            if matches!(character, '"' | '\\') {
                path.push('\\');
            }
            path.push(character);
        }
        path.push_str("\"]");
    }
}

/// A path and one more key.
pub fn join(path: &str, key: &str) -> String {
    let mut joined = path.to_owned();
    push_key(&mut joined, key);
    joined
}

/// A path and a position.
pub fn join_index(path: &str, index: usize) -> String {
    let mut joined = path.to_owned();
    let _ = write!(joined, "[{index}]");
    joined
}

/// The steps of a path as [`push_key`] and [`join_index`] write it.
pub fn parse_path(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let mut key = String::new();
            let mut characters = quoted.char_indices();
            let mut end = quoted.len();
            while let Some((at, character)) = characters.next() {
                match character {
                    '\\' => key.extend(characters.next().map(|(_, escaped)| escaped)),
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    _ => key.push(character),
                }
            }
            rest = quoted[end..].strip_prefix(']').unwrap_or(&quoted[end..]);
            steps.push(Step::Key(key));
        } else if let Some((index, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            steps.push(index.parse().map_or_else(|_| Step::Key(index.to_owned()), Step::Index));
            rest = after;
        } else {
            let body = rest.strip_prefix('.').unwrap_or(rest);
            let end = body.find(['.', '[']).filter(|end| *end > 0).unwrap_or(body.len());
            if end == 0 {
                break;
            }
            steps.push(Step::Key(body[..end].to_owned()));
            rest = &body[end..];
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_read_back() {
        let key = |text: &str| Step::Key(text.to_owned());
        let table = [
            ("spec.driver.cores", vec![key("spec"), key("driver"), key("cores")]),
            (
                "spec.volumes[2].name",
                vec![key("spec"), key("volumes"), Step::Index(2), key("name")],
            ),
            (
                r#"spec.sparkConf["spark.ui.port"]"#,
                vec![key("spec"), key("sparkConf"), key("spark.ui.port")],
            ),
            ("", vec![]),
        ];
        for (path, steps) in table {
            assert_eq!(parse_path(path), steps, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_keys_read_back(keys in proptest::collection::vec("\\PC{0,8}", 0..5)) {
            let mut path = String::new();
            for key in &keys {
                push_key(&mut path, key);
            }
            prop_assert_eq!(parse_path(&path), keys.into_iter().map(Step::Key).collect::<Vec<_>>());
        }

        #[test]
        fn any_path_is_answered(path in "\\PC*") {
            let _ = parse_path(&path);
        }
    }
}
