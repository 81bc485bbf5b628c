//! Waivers: failures that are accepted until a day, with a reason and a name.
//!
//! A waiver never changes what a check found; a waived failure is shown as one and does not fail the verdict. It ends by itself: the day named in
//! `until` is the last on which it works. They stand under `waivers` of a short contract, or in a file of their own beside a contract of any format.

use jiff::civil::Date;
use stoke_diagnostics::{Diagnostic, Source, has_errors};
use stoke_model::manifest::{self, Node};

use super::At;
use stoke_model::manifest::Fields;

/// A failure that is accepted for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiver {
    /// Id of the check.
    pub check: String,
    /// The last day on which it works, UTC.
    pub until: Date,
    /// Why.
    pub reason: String,
    /// Who decided it.
    pub by: String,
    /// Where it is written.
    pub at: At,
}

/// Reads a file with a list `waivers`.
pub fn read(source: &Source) -> (Vec<Waiver>, Vec<Diagnostic>) {
    let (documents, complaints) = manifest::read(source);
    if has_errors(&complaints) {
        return (Vec::new(), complaints);
    }
    let mut fields = Fields::new(source);
    let mut waivers = Vec::new();
    for document in &documents {
        if fields.keys(document, "", &["waivers"]) {
            waivers.extend(list(document, "", &mut fields));
        }
    }
    (waivers, fields.into_complaints())
}

/// The waivers under `waivers` of a node.
pub(super) fn list(node: &Node, path: &str, fields: &mut Fields<'_>) -> Vec<Waiver> {
    let items = fields.list(node, "waivers", path);
    items
        .iter()
        .filter_map(|(path, item)| one(item, path, fields))
        .collect()
}

fn one(node: &Node, path: &str, fields: &mut Fields<'_>) -> Option<Waiver> {
    if !fields.keys(node, path, &["check", "until", "reason", "by"]) {
        return None;
    }
    let check = fields.needed_text(node, "check", path).map(str::to_owned);
    let until = fields.needed_text(node, "until", path);
    let reason = fields.needed_text(node, "reason", path).map(str::to_owned);
    let by = fields.needed_text(node, "by", path).map(str::to_owned);
    let until = until.and_then(|text| {
        let day = text.parse::<Date>().ok();
        if day.is_none() {
            let place = node.get("until").map_or(node.place, |value| value.place);
            let message = format!("{text:?} is not a day");
            fields.complain("bad-date", place, path, message, "write it as 2026-12-31");
        }
        day
    });
    Some(Waiver {
        check: check?,
        until: until?,
        reason: reason?,
        by: by?,
        at: At::new(fields.source, node.place),
    })
}
