//! What differs between two servers' answers, and in which way.

use std::collections::BTreeMap;
use std::fmt;

use crate::record::{Outcome, outcome};
use crate::send::Answer;

/// In which way an answer differs, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// There is no record of this case, or of another request by this name.
    Unrecorded,
    /// The real server refuses it, the other one does not.
    Accepted,
    /// The real server accepts it, the other one does not.
    Refused,
    /// Both refuse it, with another code or reason.
    Code,
    /// Other fields are blamed.
    Fields,
    /// The same fields, in other words.
    Words,
    /// Other defaults.
    Returned,
    /// Other warnings.
    Warnings,
}

impl Class {
    /// As it is written in `differences.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            Class::Unrecorded => "unrecorded",
            Class::Accepted => "accepted",
            Class::Refused => "refused",
            Class::Code => "code",
            Class::Fields => "fields",
            Class::Words => "words",
            Class::Returned => "returned",
            Class::Warnings => "warnings",
        }
    }
}

/// A case that is answered otherwise.
pub struct Difference {
    pub class: Class,
    pub case: String,
    real: String,
    found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}: {}\n    real: {}\n    here: {}",
            self.class.name(),
            self.case,
            self.real,
            self.found
        )
    }
}

/// The differences, in the order of the cases; of each the gravest.
pub fn compare(recorded: &BTreeMap<String, Outcome>, answers: &[Answer]) -> Vec<Difference> {
    let differing = |answer: &Answer| {
        let found = outcome(answer);
        let real = recorded.get(&answer.name).filter(|real| real.hash == found.hash);
        let class = match real {
            None => Class::Unrecorded,
            Some(real) => class(real, &found)?,
        };
        let (real, found) = real.map_or_else(
            || ("nothing".to_owned(), told(class, &found, &found)),
            |real| (told(class, real, &found), told(class, &found, real)),
        );
        Some(Difference {
            class,
            case: answer.name.clone(),
            real,
            found,
        })
    };
    answers.iter().filter_map(differing).collect()
}

fn class(real: &Outcome, found: &Outcome) -> Option<Class> {
    let fields = |outcome: &Outcome| -> Vec<[String; 2]> {
        outcome
            .causes
            .iter()
            .map(|[reason, field, _]| [reason.clone(), field.clone()])
            .collect()
    };
    Some(
        match ((200..300).contains(&real.code), (200..300).contains(&found.code)) {
            (false, true) => Class::Accepted,
            (true, false) => Class::Refused,
            _ if real.code != found.code || real.reason != found.reason => Class::Code,
            _ if fields(real) != fields(found) => Class::Fields,
            _ if real.causes != found.causes || real.message != found.message => Class::Words,
            _ if real.added != found.added => Class::Returned,
            _ if real.warnings != found.warnings => Class::Warnings,
            _ => return None,
        },
    )
}

/// What one of them answered, as far as it matters.
fn told(class: Class, one: &Outcome, other: &Outcome) -> String {
    match class {
        Class::Returned => {
            let own = one
                .added
                .iter()
                .filter(|(path, value)| other.added.get(*path) != Some(value));
            own.map(|(path, value)| format!("{path}={value}"))
                .collect::<Vec<_>>()
                .join(", ")
        }
        Class::Warnings => format!("{:?}", one.warnings),
        Class::Fields | Class::Words => {
            let own = one.causes.iter().filter(|cause| !other.causes.contains(cause));
            let causes: Vec<String> = own.map(|[_, field, message]| format!("{field}: {message}")).collect();
            let message = if one.message == other.message { "" } else { &one.message };
            format!("{message} {}", causes.join("; "))
        }
        _ if (200..300).contains(&one.code) => format!("{}", one.code),
        _ => {
            let causes: Vec<String> = one
                .causes
                .iter()
                .map(|[_, field, message]| format!("{field}: {message}"))
                .collect();
            format!("{} {} {} {}", one.code, one.reason, one.message, causes.join("; "))
        }
    }
}

/// All of them, with a count of each class first.
pub fn report(found: &[Difference]) -> String {
    let mut counts = BTreeMap::new();
    for difference in found {
        *counts.entry(difference.class).or_insert(0) += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(class, count)| format!("{} {count}", class.name()))
        .collect();
    let mut lines = vec![format!("{} differ: {}", found.len(), counts.join(", "))];
    lines.extend(found.iter().map(ToString::to_string));
    lines.join("\n") + "\n"
}
