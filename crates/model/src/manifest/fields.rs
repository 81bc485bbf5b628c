//! Typed fields of a document; what is wrong with one becomes a complaint at its place.

use std::borrow::Cow;

use super::{Content, Entry, Literal, Node, join, join_index, nearest};
use stoke_diagnostics::{Diagnostic, Place, Severity, Source};

/// Reads fields and gathers complaints.
pub struct Fields<'a> {
    pub source: &'a Source,
    complaints: Vec<Diagnostic>,
}

impl<'a> Fields<'a> {
    pub fn new(source: &'a Source) -> Self {
        Self {
            source,
            complaints: Vec::new(),
        }
    }

    pub fn into_complaints(mut self) -> Vec<Diagnostic> {
        self.complaints
            .sort_by_key(|complaint| (complaint.line, complaint.column));
        self.complaints
    }

    /// How many errors were told so far.
    pub fn errors(&self) -> usize {
        let errors = self.complaints.iter();
        errors.filter(|complaint| complaint.severity == Severity::Error).count()
    }

    /// Complains; the fix may be empty.
    pub fn complain(
        &mut self,
        code: impl Into<Cow<'static, str>>,
        place: Place,
        path: &str,
        message: String,
        fix: &str,
    ) {
        self.push(Severity::Error, code, place, path, message, fix);
    }

    pub fn warn(&mut self, code: impl Into<Cow<'static, str>>, place: Place, path: &str, message: String, fix: &str) {
        self.push(Severity::Warning, code, place, path, message, fix);
    }

    fn push(
        &mut self,
        severity: Severity,
        code: impl Into<Cow<'static, str>>,
        place: Place,
        path: &str,
        message: String,
        fix: &str,
    ) {
        let complaint = Diagnostic::at(severity, code, self.source, place, path, message);
        self.complaints.push(if fix.is_empty() {
            complaint
        } else {
            complaint.with_fix(fix)
        });
    }

    fn wrong_type(&mut self, node: &Node, path: &str, wanted: &str) {
        let message = format!("`{path}` is {}; {wanted} is wanted", node.type_name());
        self.complain("wrong-type", node.place, path, message, "");
    }

    /// True for a mapping; complains of anything else, and of keys that are not among these.
    pub fn keys(&mut self, node: &Node, path: &str, allowed: &[&str]) -> bool {
        if !self.mapping(node, path) {
            return false;
        }
        for entry in node.entries() {
            if allowed.contains(&entry.key.as_str()) {
                continue;
            }
            let path = join(path, &entry.key);
            let fix = match nearest(&entry.key, allowed.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("allowed here: {}", allowed.join(", ")),
            };
            let message = format!("there is no key `{}` here", entry.key);
            self.complain("unknown-field", entry.key_place, &path, message, &fix);
        }
        true
    }

    /// True for a mapping; complains of anything else.
    pub fn mapping(&mut self, node: &Node, path: &str) -> bool {
        let is = matches!(node.content, Content::Map(_));
        if !is {
            self.wrong_type(node, path, "a mapping");
        }
        is
    }

    /// The items of a list and their paths; complains of anything else.
    pub fn list<'n>(&mut self, node: &'n Node, key: &str, path: &str) -> Vec<(String, &'n Node)> {
        let Some(value) = node.get(key) else {
            return Vec::new();
        };
        let path = join(path, key);
        if !matches!(value.content, Content::List(_)) {
            self.wrong_type(value, &path, "a list");
            return Vec::new();
        }
        let items = value.items().iter().enumerate();
        items.map(|(index, item)| (join_index(&path, index), item)).collect()
    }

    pub fn text<'n>(&mut self, node: &'n Node, key: &str, path: &str) -> Option<&'n str> {
        let value = node.get(key)?;
        let text = value.as_str();
        if text.is_none() {
            self.wrong_type(value, &join(path, key), "a text");
        }
        text
    }

    /// A text that must be there.
    pub fn needed_text<'n>(&mut self, node: &'n Node, key: &str, path: &str) -> Option<&'n str> {
        if node.get(key).is_none() {
            self.missing(node, key, path);
        }
        self.text(node, key, path)
    }

    pub fn missing(&mut self, node: &Node, key: &str, path: &str) {
        let message = format!("`{key}` is missing");
        self.complain("missing-field", node.place, path, message, &format!("add `{key}`"));
    }

    pub fn flag(&mut self, node: &Node, key: &str, path: &str) -> Option<bool> {
        let value = node.get(key)?;
        match value.content {
            Content::Bool(flag) => Some(flag),
            _ => {
                self.wrong_type(value, &join(path, key), "true or false");
                None
            }
        }
    }

    pub fn number(&mut self, node: &Node, key: &str, path: &str) -> Option<f64> {
        let value = node.get(key)?;
        let number = Literal::of(value).and_then(|literal| literal.number());
        if number.is_none() {
            self.wrong_type(value, &join(path, key), "a number");
        }
        number
    }

    pub fn whole(&mut self, node: &Node, key: &str, path: &str) -> Option<i64> {
        let value = node.get(key)?;
        match Literal::of(value) {
            Some(Literal::Int(number)) if i64::try_from(number).is_ok() => i64::try_from(number).ok(),
            _ => {
                self.wrong_type(value, &join(path, key), "a whole number");
                None
            }
        }
    }

    /// A scalar; null counts as absent.
    pub fn literal(&mut self, node: &Node, key: &str, path: &str) -> Option<Literal> {
        let value = node.get(key)?;
        self.one_literal(value, &join(path, key))
    }

    fn one_literal(&mut self, value: &Node, path: &str) -> Option<Literal> {
        let literal = Literal::of(value);
        if literal.is_none() {
            self.wrong_type(value, path, "a single value");
        }
        let written = self.source.written(value.place).trim();
        if let Some(Literal::Bool(meant)) = literal
            && !written.eq_ignore_ascii_case(if meant { "true" } else { "false" })
        {
            // Norway's country code, and what people answer.
            let message = format!("`{written}` is the boolean {meant} in YAML");
            let fix = format!("write `\"{written}\"` for the text, `{meant}` for the boolean");
            self.complain("ambiguous-boolean", value.place, path, message, &fix);
        }
        literal
    }

    /// The key of an entry as it is written: `n`, `on` and `010` are names there, not booleans and numbers.
    pub fn key(&self, entry: &Entry) -> String {
        let written = self.source.written(entry.key_place).trim();
        let plain =
            !written.is_empty() && !written.starts_with(['"', '\'', '&', '*', '!', '?']) && !written.contains('\n');
        if plain { written.to_owned() } else { entry.key.clone() }
    }

    /// A list of scalars.
    pub fn literals(&mut self, node: &Node, key: &str, path: &str) -> Option<Vec<Literal>> {
        node.get(key)?;
        let items = self.list(node, key, path);
        let mut literals = Vec::with_capacity(items.len());
        for (path, item) in items {
            literals.extend(self.one_literal(item, &path));
        }
        Some(literals)
    }

    /// A list of texts.
    pub fn texts(&mut self, node: &Node, key: &str, path: &str) -> Option<Vec<String>> {
        node.get(key)?;
        let items = self.list(node, key, path);
        let mut texts = Vec::with_capacity(items.len());
        for (path, item) in items {
            match item.as_str() {
                Some(text) => texts.push(text.to_owned()),
                None => self.wrong_type(item, &path, "a text"),
            }
        }
        Some(texts)
    }

    /// A text or a list of texts.
    pub fn text_or_texts(&mut self, node: &Node, key: &str, path: &str) -> Option<Vec<String>> {
        match &node.get(key)?.content {
            Content::List(_) => self.texts(node, key, path),
            _ => self.text(node, key, path).map(|text| vec![text.to_owned()]),
        }
    }

    /// One of some words.
    pub fn word<T: Copy>(&mut self, node: &Node, key: &str, path: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, key, path)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let fix = match nearest(text, all.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it is one of {}", all.join(", ")),
            };
            let place = node.get(key).map_or(node.place, |value| value.place);
            let message = format!("`{text}` is not a {key}");
            self.complain("unknown-value", place, &join(path, key), message, &fix);
        }
        found.map(|(_, value)| *value)
    }
}
