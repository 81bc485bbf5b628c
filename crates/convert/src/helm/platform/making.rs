//! The file in the making: where each part of it comes from, and what was said of the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stoke_diagnostics::Place;
use stoke_model::manifest::{Node, join};
use stoke_model::quantity::Quantity;

use crate::helm::values::{Scalar, Values};
use crate::report::Report;

/// What becomes of values.
pub(super) struct Making<'a> {
    pub(super) values: &'a Values<'a>,
    pub(super) report: &'a mut Report,
    pub(super) out: Value,
    /// A part of the output, by its path, with the path of the value that it comes from.
    pub(super) origins: BTreeMap<String, String>,
    /// Values that decide about what is made, without standing in it, and those that something was said of; with all below them.
    accounted: BTreeSet<String>,
}

impl<'a> Making<'a> {
    pub(super) fn new(values: &'a Values<'a>, report: &'a mut Report) -> Self {
        Self {
            values,
            report,
            out: json!({}),
            origins: BTreeMap::new(),
            accounted: BTreeSet::new(),
        }
    }

    pub(super) fn text(&self, path: &str) -> Option<Scalar> {
        self.values.text(path)
    }

    /// The first of some keys that has a value; others beside it are named.
    pub(super) fn first(&mut self, root: &str, keys: &[&str]) -> Option<Scalar> {
        let mut all = keys
            .iter()
            .filter_map(|key| self.text(&format!("{root}.{key}")))
            .collect::<Vec<_>>();
        if all.is_empty() {
            return None;
        }
        let first = all.remove(0);
        for other in all {
            let message = format!(
                "`{}` says what `{}` says, and that one is taken",
                other.path, first.path
            );
            self.changed(&other, message, "");
        }
        Some(first)
    }

    /// Whether a switch is on; none where it is not there.
    pub(super) fn switch(&mut self, path: &str) -> Option<bool> {
        let scalar = self.text(path)?;
        self.accounted.insert(scalar.path);
        Some(scalar.text == "true")
    }

    /// Whether a part of the values is there and not switched off. One that is off is named as a whole.
    pub(super) fn is_on(&mut self, root: &str) -> bool {
        let Some(node) = self.values.look(root) else {
            return false;
        };
        if Report::is_empty(node) {
            return false;
        }
        match self.switch(&format!("{root}.enabled")) {
            Some(false) => {
                self.subtree(root, "it is off: nothing of it is carried");
                false
            }
            Some(true) => true,
            None => !node.entries().is_empty(),
        }
    }

    /// Puts a value that comes from another one.
    pub(super) fn put(&mut self, from: &Scalar, to: &[&str], value: impl Into<Value>) {
        self.set(to, value);
        let path = to.iter().fold(String::new(), |path, key| join(&path, key));
        self.origins.insert(path, from.path.clone());
        self.accounted.insert(from.path.clone());
    }

    /// Puts a value that follows from what is made.
    pub(super) fn set(&mut self, to: &[&str], value: impl Into<Value>) {
        let mut at = &mut self.out;
        for key in to {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[*key];
        }
        *at = value.into();
    }

    pub(super) fn has(&self, to: &[&str]) -> bool {
        to.iter()
            .try_fold(&self.out, |at, key| at.get(key))
            .is_some_and(|value| !value.is_null())
    }

    pub(super) fn changed(&mut self, scalar: &Scalar, message: impl Into<String>, fix: &str) {
        self.accounted.insert(scalar.path.clone());
        self.report.changed(scalar.place, &scalar.path, message, fix);
    }

    pub(super) fn idle(&mut self, scalar: &Scalar, message: impl Into<String>, fix: &str) {
        self.accounted.insert(scalar.path.clone());
        self.report.idle(scalar.place, &scalar.path, message, fix);
    }

    pub(super) fn lost(&mut self, scalar: &Scalar, message: impl Into<String>, fix: &str) {
        self.accounted.insert(scalar.path.clone());
        self.report.lost(scalar.place, &scalar.path, message, fix);
    }

    /// Something that the values lack, so that nothing of this part is made.
    pub(super) fn lacks(&mut self, root: &str, message: impl Into<String>, fix: &str) {
        self.accounted.insert(root.to_owned());
        self.report.lost(self.values.place(root), root, message, fix);
    }

    /// A part of the values, with all below it, that is carried by nothing.
    pub(super) fn subtree(&mut self, root: &str, message: &str) {
        if self.values.look(root).is_some() {
            self.accounted.insert(root.to_owned());
            self.report
                .idle(self.values.place(root), root, format!("`{root}`: {message}"), "");
        }
    }

    /// The same, where something else does it.
    pub(super) fn elsewhere(&mut self, root: &str, message: &str) {
        if let Some(node) = self.values.look(root).filter(|node| !Report::is_empty(node)) {
            let _: &Node = node;
            self.accounted.insert(root.to_owned());
            self.report
                .changed(self.values.place(root), root, format!("`{root}`: {message}"), "");
        }
    }

    /// A secret in plain text: its place is a Secret now, and it is shown nowhere.
    pub(super) fn secret(&mut self, path: &str, secret: &str, key: &str) -> bool {
        let Some(scalar) = self.text(path) else {
            return false;
        };
        let message = format!(
            "`{path}` is a secret in plain text: the platform names the key `{key}` of the Secret `{secret}` instead"
        );
        let fix = format!(
            "kubectl create secret generic {secret} --from-file={key}=FILE with all of its keys, and change the secret: whoever could read this file knows it"
        );
        self.changed(&scalar, message, &fix);
        true
    }

    /// A quantity as Kubernetes has it.
    pub(super) fn amount(&mut self, from: &Scalar, to: &[&str]) {
        match from.text.parse::<Quantity>() {
            Ok(_) => self.put(from, to, from.text.as_str()),
            Err(error) => self.lost(
                from,
                format!("{}: {error}", from.text),
                "write a quantity such as 2, 500m or 4Gi",
            ),
        }
    }

    /// A count of pods.
    pub(super) fn count(&mut self, from: &Scalar, to: &[&str]) {
        match from.text.parse::<u32>() {
            Ok(count) if count > 0 => self.put(from, to, count),
            _ => self.lost(
                from,
                format!("{} is not a number of pods", from.text),
                "write a whole number, 1 or more",
            ),
        }
    }

    /// Requests and limits of a component's pods.
    pub(super) fn resources(&mut self, root: &str, to: &[&str]) {
        let of = |key: &str| format!("{root}.{key}");
        let at = |key: &'static str| -> Vec<&str> { to.iter().copied().chain(["resources", key]).collect() };
        if let Some(cpu) = self.text(&of("requests.cpu")) {
            self.amount(&cpu, &at("cpu"));
        }
        if let Some(cpu) = self.text(&of("limits.cpu")) {
            self.amount(&cpu, &at("cpuLimit"));
        }
        let (asked, most) = (self.text(&of("requests.memory")), self.text(&of("limits.memory")));
        match (asked, most) {
            (Some(asked), Some(most)) => {
                if asked.text != most.text {
                    let message = format!(
                        "memory is asked for and limited alike: {} is left out for {}",
                        asked.text, most.text
                    );
                    self.changed(&asked, message, "");
                } else {
                    self.accounted.insert(asked.path);
                }
                self.amount(&most, &at("memory"));
            }
            (Some(one), None) | (None, Some(one)) => self.amount(&one, &at("memory")),
            (None, None) => {}
        }
    }

    /// The volume of a component's pods.
    pub(super) fn storage(&mut self, roots: &[String], to: &[&str]) {
        let at = |key: &'static str| -> Vec<&str> { to.iter().copied().chain(["storage", key]).collect() };
        for root in roots {
            if self.switch(&format!("{root}.enabled")) == Some(false) {
                self.subtree(
                    root,
                    "it has a volume here in any case, so that what it keeps outlives its pod",
                );
                continue;
            }
            if let Some(size) = self.first(root, &["size"]) {
                self.amount(&size, &at("size"));
            }
            if let Some(class) = self.first(root, &["storageClass", "storageClassName", "class"]) {
                self.put(&class, &at("class"), class.text.as_str());
            }
        }
    }

    /// The image of a component, where it is not the project's own; a tag that is a version is left to `version`.
    pub(super) fn image(&mut self, root: &str, to: &[&str]) {
        let at: Vec<&str> = to.iter().copied().chain(["image"]).collect();
        if let Some(whole) = self.text(root) {
            self.put(&whole, &at, whole.text.as_str());
            return;
        }
        if let Some(policy) = self.text(&format!("{root}.pullPolicy")) {
            match policy.text.as_str() {
                "IfNotPresent" => drop(self.accounted.insert(policy.path)),
                _ => self.changed(
                    &policy,
                    "images are pulled where they are not there: their tags stay",
                    "",
                ),
            }
        }
        let parts = ["registry", "repository", "tag"].map(|key| self.text(&format!("{root}.{key}")));
        let [registry, Some(repository), Some(tag)] = &parts else {
            for part in parts.iter().flatten() {
                self.lost(part, "an image is wanted with `repository` and `tag`", "write both");
            }
            return;
        };
        let registry_text = registry
            .as_ref()
            .map_or_else(String::new, |registry| format!("{}/", registry.text));
        self.put(
            repository,
            &at,
            format!("{registry_text}{}:{}", repository.text, tag.text),
        );
        for part in [Some(tag), registry.as_ref()].into_iter().flatten() {
            self.accounted.insert(part.path.clone());
        }
    }

    pub(super) fn accounted(&mut self, path: &str) {
        self.accounted.insert(path.to_owned());
    }

    /// Everything that is neither in the output nor was spoken of.
    pub(super) fn rest(&self) -> Vec<(String, Place)> {
        let mut all = Vec::new();
        self.walk("", self.values.root(), &mut all);
        all
    }

    fn walk(&self, path: &str, node: &Node, into: &mut Vec<(String, Place)>) {
        if self.accounted.contains(path) || Report::is_empty(node) {
            return;
        }
        match node.entries() {
            [] => into.push((path.to_owned(), self.values.place(path))),
            entries => {
                for entry in entries {
                    self.walk(&join(path, &entry.key), &entry.value, into);
                }
            }
        }
    }
}
