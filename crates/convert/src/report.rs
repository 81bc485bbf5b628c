//! What is said about a conversion: one complaint for every part of the source that is not carried as it was.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::manifest::{self, Content, Node, Step, parse_path};

use crate::configuration::Setting;

/// Complaints about one source.
pub(crate) struct Report {
    source: Arc<Source>,
    complaints: Vec<Diagnostic>,
    /// Where everything is said to be while a text inside the source is read.
    pinned: Option<(Place, String)>,
}

impl Report {
    pub(crate) fn new(source: &Arc<Source>) -> Self {
        Self {
            source: Arc::clone(source),
            complaints: Vec::new(),
            pinned: None,
        }
    }

    /// Until [`Report::unpin`], complaints are about this place, whatever place they name.
    pub(crate) fn pin(&mut self, place: Place, path: &str) {
        self.pinned = Some((place, path.to_owned()));
    }

    pub(crate) fn unpin(&mut self) {
        self.pinned = None;
    }

    /// It is in the manifest in another form, or it is not and nothing is missed.
    pub(crate) fn changed(&mut self, place: Place, path: &str, message: impl Into<String>, fix: &str) {
        self.say(Severity::Warning, "carried-otherwise", place, path, message, fix);
    }

    /// It means nothing any more, because what it was for is done differently.
    pub(crate) fn idle(&mut self, place: Place, path: &str, message: impl Into<String>, fix: &str) {
        self.say(Severity::Warning, "without-effect", place, path, message, fix);
    }

    /// It is in no manifest, and the application would not be the same.
    pub(crate) fn lost(&mut self, place: Place, path: &str, message: impl Into<String>, fix: &str) {
        self.say(Severity::Error, "not-convertible", place, path, message, fix);
    }

    pub(crate) fn say(
        &mut self,
        severity: Severity,
        code: impl Into<Cow<'static, str>>,
        place: Place,
        path: &str,
        message: impl Into<String>,
        fix: &str,
    ) {
        let (place, path) = match &self.pinned {
            Some((place, path)) => (*place, path.as_str()),
            None => (place, path),
        };
        let complaint = Diagnostic::at(severity, code, &self.source, place, path, message);
        self.complaints.push(if fix.is_empty() {
            complaint
        } else {
            complaint.with_fix(fix)
        });
    }

    pub(crate) fn extend(&mut self, complaints: Vec<Diagnostic>) {
        self.complaints.extend(complaints);
    }

    /// An empty value of the source says nothing, so nothing is to be carried.
    pub(crate) fn is_empty(node: &Node) -> bool {
        match &node.content {
            Content::Null => true,
            Content::Map(entries) => entries.is_empty(),
            Content::List(items) => items.is_empty(),
            Content::String(text) => text.is_empty(),
            Content::Bool(_) | Content::Number(_) => false,
        }
    }

    /// What our own manifest reader says about a converted document, at the places of the source as far as they are known.
    pub(crate) fn read_back(&mut self, document: &Value, place: Place, settings: &BTreeMap<String, Setting>) {
        let (_, complaints) = manifest::check("<converted>", &document.to_string());
        for complaint in complaints {
            let setting = parse_path(&complaint.path).into_iter().find_map(|step| match step {
                Step::Key(key) => settings.get(&key),
                Step::Index(_) => None,
            });
            let (place, path) = setting.map_or((place, complaint.path.as_str()), |setting| {
                (setting.place, setting.path.as_str())
            });
            let fix = complaint.fix_text().to_owned();
            self.say(complaint.severity, complaint.code, place, path, complaint.message, &fix);
        }
    }

    pub(crate) fn into_complaints(self) -> Vec<Diagnostic> {
        self.complaints
    }
}
