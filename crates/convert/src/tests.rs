//! Tests of the room: what comes out of every kind of source, and that nothing goes missing without a word.

mod apache;
mod equality;
mod helm;
mod jobs;
mod scripts;

use serde_json::Value;

use super::*;

/// Codes of the complaints that are errors.
fn errors(converted: &Converted) -> Vec<(&'static str, usize, String)> {
    let errors = converted.complaints.iter().filter(|complaint| complaint.is_error());
    errors
        .map(|complaint| {
            (
                &*complaint.code.to_string().leak(),
                complaint.line,
                complaint.path.clone(),
            )
        })
        .collect()
}

fn rendered(converted: &Converted) -> String {
    converted
        .complaints
        .iter()
        .map(Diagnostic::render)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The one manifest of a conversion without errors; our reader has nothing to say about it.
fn clean(converted: &Converted) -> Value {
    assert_eq!(errors(converted), [], "{}", rendered(converted));
    let document = converted.documents.last().expect("a manifest").clone();
    let (_, complaints) = manifest::check("again", &document.to_string());
    assert_eq!(complaints, [], "{document:#}");
    document
}
