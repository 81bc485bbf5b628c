//! Every field of the published API, flipped on its own, changes something that can be shown, or is refused with a reason.
//!
//! - [`leaves`]: the leaves of a published schema, and two values for each
//! - [`cases`]: what a leaf needs beside it to mean anything
//! - [`observe`]: all that an application comes to: pods, properties, objects, and what the operator decides
//! - [`page`]: `docs/reference/fields.md`, made of what was seen; `scripts/generate` writes it again
//!
//! A leaf that changes nothing and is not refused fails the test. Nothing here talks to an API server: about 2,600 plans, a few seconds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are outside the functions that the lints let pass"
)]

mod cases;
mod leaves;
mod observe;
mod page;

use serde_json::Value;

use cases::Case;
use leaves::Leaf;
use observe::Kind;

/// What flipping a leaf came to.
struct Seen {
    leaf: Leaf,
    to: Value,
    /// Places that changed, the most telling first; or the text of the refusal.
    effect: Result<Vec<String>, String>,
}

fn flip(kind: Kind, leaf: Leaf) -> Result<Seen, String> {
    let case = Case::of(kind, &leaf);
    let (first, second) = case.values.clone();
    let observe = |value: &Value| {
        // What is refused may be refused with what stands around it, so it is compared with nothing at all.
        let spec = match value {
            Value::Null if case.may_be_refused => case.base.clone(),
            value => leaf.placed(&case.base, value),
        };
        kind.observe(&spec).map_err(|error| (error, spec))
    };
    let effect = match (observe(&first), observe(&second)) {
        (Ok(before), Ok(after)) => match observe::differences(&before, &after) {
            places if places.is_empty() => {
                return Err(format!("{}: {first} and {second} give the same", leaf.path));
            }
            places => Ok(places),
        },
        (Ok(_), Err((error, _))) if case.may_be_refused => Err(error),
        (before, after) => {
            let (error, spec) = before.err().or(after.err()).unwrap();
            return Err(format!("{}: {error}\n  of {spec}", leaf.path));
        }
    };
    Ok(Seen {
        leaf,
        to: second,
        effect,
    })
}

/// Flips every leaf, on all cores.
fn flip_all(kind: Kind) -> Vec<Seen> {
    let leaves = leaves::of(kind);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let flipped: Vec<_> = std::thread::scope(|scope| {
        let parts = leaves.chunks(leaves.len().div_ceil(cores));
        let workers: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().map(|leaf| flip(kind, leaf.clone())).collect::<Vec<_>>()))
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let failed: Vec<&String> = flipped.iter().filter_map(|flipped| flipped.as_ref().err()).collect();
    let text: Vec<&str> = failed.iter().map(|failed| failed.as_str()).collect();
    assert!(failed.is_empty(), "{} leaves:\n{}", failed.len(), text.join("\n"));
    flipped.into_iter().filter_map(Result::ok).collect()
}

#[test]
fn every_field_has_an_effect_or_is_refused_and_the_generated_page_says_which() {
    let applications = flip_all(Kind::Application);
    // A schema that lost its leaves would make this test pass on nothing.
    assert!(applications.len() > 1000, "{}", applications.len());
    let servers = flip_all(Kind::Connect);
    assert!(servers.len() > 500, "{}", servers.len());
    let page = page::render(&applications, &servers);
    assert_eq!(
        stoke_testkit::generated::file("docs/reference/fields.md", &page),
        Ok(())
    );
}

#[test]
fn what_is_refused_is_refused_with_a_reason() {
    for refusal in cases::REFUSALS {
        let said = refusal.said();
        assert!(said.contains(refusal.says), "{}: {said}", refusal.what);
    }
}
