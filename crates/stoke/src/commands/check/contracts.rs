//! The reader of data contracts that the room `gate` is given.

use stoke_diagnostics::{Diagnostic, Source};
use stoke_model::manifest::{self, Node};
use stoke_quality::contract;

/// What is wrong with a contract, whichever of its objects it is read for.
pub fn complaints(source: &Source) -> Vec<Diagnostic> {
    let (_, found) = contract::read(source, None);
    if !found.iter().any(|complaint| complaint.code == "which-object") {
        return found;
    }
    let (documents, _) = manifest::read(source);
    let objects = documents
        .first()
        .and_then(|node| node.get("schema"))
        .map_or(&[][..], Node::items);
    let mut all: Vec<Diagnostic> = Vec::new();
    for name in objects.iter().filter_map(|object| object.get("name")?.as_str()) {
        let (_, found) = contract::read(source, Some(name));
        let told = |complaint: &Diagnostic| {
            all.iter().any(|known| {
                (&known.code, known.line, known.column) == (&complaint.code, complaint.line, complaint.column)
            })
        };
        let new: Vec<Diagnostic> = found.into_iter().filter(|complaint| !told(complaint)).collect();
        all.extend(new);
    }
    all
}
