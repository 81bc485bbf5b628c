//! The rules that a real API server has for the built-in kinds, as its published documentation and its answers show them.
//!
//! In: an object with its defaults. Out: complaints with the fields, reasons and words of the real server, which `tests/verdicts` holds them
//! against. Pure, and as costly as the object is large: paths are written out only where there is something to say.

pub mod access;
pub mod claim;
pub mod config;
mod container;
mod environment;
pub mod network;
pub mod pod;
mod pod_update;
mod probes;
pub mod resources;
pub mod scheduling;
mod security;
pub mod service;
mod sources;
pub mod storage;
mod volumes;
pub mod warnings;
pub mod words;

use serde_json::Value;

use super::schema::Path;
use super::status::FieldError;

/// Complaints as they are found.
#[derive(Debug, Default)]
pub struct Complaints(pub Vec<FieldError>);

impl Complaints {
    /// Something is missing.
    pub fn required(&mut self, at: &Path<'_>, detail: &str) {
        self.0.push(FieldError::required(&at.to_string(), detail));
    }

    /// A value is wrong.
    pub fn invalid(&mut self, at: &Path<'_>, value: impl Into<Value>, detail: &str) {
        self.0.push(FieldError::invalid(&at.to_string(), &value.into(), detail));
    }

    /// A text breaks these rules.
    pub fn text(&mut self, at: &Path<'_>, text: &str, broken: Vec<String>) {
        for rule in broken {
            self.invalid(at, text, &rule);
        }
    }

    /// A field must not be there.
    pub fn forbidden(&mut self, at: &Path<'_>, detail: &str) {
        self.0.push(FieldError::forbidden(&at.to_string(), detail));
    }

    /// A value comes twice.
    pub fn duplicate(&mut self, at: &Path<'_>, value: impl Into<Value>) {
        self.0.push(FieldError::duplicate(&at.to_string(), &value.into()));
    }

    /// A name that nothing has.
    pub fn not_found(&mut self, at: &Path<'_>, name: &str) {
        self.0.push(FieldError::not_found(&at.to_string(), &name.into()));
    }

    /// A value is none of those there are.
    pub fn unsupported(&mut self, at: &Path<'_>, value: impl Into<Value>, supported: &[&str]) {
        let supported: Vec<Value> = supported.iter().map(|word| Value::from(*word)).collect();
        self.0
            .push(FieldError::not_supported(&at.to_string(), &value.into(), &supported));
    }

    /// A word that may be left out, but is one of these otherwise.
    pub fn one_of(&mut self, at: &Path<'_>, value: &Value, words: &[&str]) {
        if let Some(word) = value.as_str().filter(|word| !words.contains(word)) {
            self.unsupported(at, word, words);
        }
    }

    /// A text that has to be there.
    pub fn text_required<'v>(&mut self, at: &Path<'_>, value: &'v Value) -> Option<&'v str> {
        let text = value.as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            self.required(at, "");
        }
        text
    }

    /// A number that is not below zero.
    pub fn at_least_zero(&mut self, at: &Path<'_>, value: &Value) {
        if value.as_i64().is_some_and(|number| number < 0) {
            self.invalid(at, value.clone(), "must be greater than or equal to 0");
        }
    }

    /// A number of a user or a group.
    pub fn identity(&mut self, at: &Path<'_>, value: &Value) {
        if value
            .as_i64()
            .is_some_and(|number| !(0..=i64::from(i32::MAX)).contains(&number))
        {
            self.invalid(at, value.clone(), "must be between 0 and 2147483647, inclusive");
        }
    }

    /// A number of a port.
    pub fn port(&mut self, at: &Path<'_>, number: i64) {
        if !(1..=65_535).contains(&number) {
            self.invalid(at, number, "must be between 1 and 65535, inclusive");
        }
    }
}

/// The items of a list; none where there is no list.
pub fn items(value: &Value) -> impl Iterator<Item = (usize, &Value)> {
    value.as_array().into_iter().flatten().enumerate()
}

/// The entries of a map; none where there is no map.
pub fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

/// A text, empty where there is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a list has nothing in it, or is not there.
pub fn is_empty(value: &Value) -> bool {
    value.as_array().is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests;
