//! A file of values, and which of its keys were looked at.

use std::cell::RefCell;
use std::collections::BTreeSet;

use stoke_diagnostics::Place;
use stoke_model::manifest::{Content, Node, join};

/// The values. What is taken is remembered, so that nothing is passed over in silence.
pub(super) struct Values<'a> {
    root: &'a Node,
    taken: RefCell<BTreeSet<String>>,
}

/// A scalar of the file.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) path: String,
    pub(super) place: Place,
}

impl<'a> Values<'a> {
    pub(super) fn new(root: &'a Node) -> Self {
        Self {
            root,
            taken: RefCell::default(),
        }
    }

    /// All of it.
    pub(super) fn root(&self) -> &'a Node {
        self.root
    }

    /// A value, without taking it.
    pub(super) fn look(&self, path: &str) -> Option<&'a Node> {
        self.root.lookup(path)
    }

    /// Where a key is written.
    pub(super) fn place(&self, path: &str) -> Place {
        self.root.place_of(path)
    }

    /// Takes a value with everything below it.
    pub(super) fn take(&self, path: &str) -> Option<&'a Node> {
        let node = self.look(path)?;
        self.taken.borrow_mut().insert(path.to_owned());
        Some(node)
    }

    /// Takes a scalar as a text.
    pub(super) fn text(&self, path: &str) -> Option<Scalar> {
        let node = self.look(path)?;
        let text = match &node.content {
            Content::String(text) => text.clone(),
            Content::Bool(value) => value.to_string(),
            Content::Number(number) => number.to_string(),
            Content::Null | Content::List(_) | Content::Map(_) => return None,
        };
        self.take(path);
        Some(Scalar {
            text,
            path: path.to_owned(),
            place: self.place(path),
        })
        .filter(|scalar| !scalar.text.is_empty())
    }

    /// Takes a flag; anything else than true is false.
    pub(super) fn flag(&self, path: &str) -> bool {
        self.text(path).is_some_and(|scalar| scalar.text == "true")
    }

    /// Paths of everything that was not taken: scalars, lists and empty mappings.
    pub(super) fn rest(&self) -> Vec<(String, &'a Node)> {
        let mut all = Vec::new();
        self.walk("", self.root, &mut all);
        all
    }

    fn walk(&self, path: &str, node: &'a Node, into: &mut Vec<(String, &'a Node)>) {
        if self.taken.borrow().contains(path) {
            return;
        }
        match node.entries() {
            [] if path.is_empty() => {}
            [] => into.push((path.to_owned(), node)),
            entries => {
                for entry in entries {
                    self.walk(&join(path, &entry.key), &entry.value, into);
                }
            }
        }
    }
}
