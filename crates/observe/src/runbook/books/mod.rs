//! The runbooks, one file each, and what several of them share.

mod capacity;
mod certificates;
mod connect;
mod corruption;
mod cost;
mod crash_loop;
mod executors;
mod history;
mod incident;
mod memory;
mod metastore;
mod node;
mod operator;
mod pending;
mod performance;
mod quota;
mod scale;
mod schedule;
mod secrets;
mod shared;
mod shuffle;
mod spark_version;
mod store;
mod stuck;
mod tasks;

use super::book::Runbook;

pub use secrets::copy as secret_copy;
pub use spark_version::canary;

static ALL: [&Runbook; 25] = [
    &capacity::BOOK,
    &connect::BOOK,
    &cost::BOOK,
    &corruption::BOOK,
    &crash_loop::BOOK,
    &executors::BOOK,
    &history::BOOK,
    &incident::BOOK,
    &metastore::BOOK,
    &node::BOOK,
    &store::BOOK,
    &memory::BOOK,
    &pending::BOOK,
    &performance::BOOK,
    &quota::BOOK,
    &certificates::BOOK,
    &secrets::BOOK,
    &scale::DOWN,
    &scale::UP,
    &schedule::BOOK,
    &shuffle::BOOK,
    &stuck::BOOK,
    &tasks::BOOK,
    &operator::BOOK,
    &spark_version::BOOK,
];

/// All runbooks, by name.
#[must_use]
pub fn all() -> &'static [&'static Runbook] {
    &ALL
}

/// The runbook of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Runbook> {
    all().iter().copied().find(|book| book.name == name)
}

/// The runbook that a finding with this code leads to.
#[must_use]
pub fn for_code(code: &str) -> Option<&'static Runbook> {
    all().iter().copied().find(|book| book.codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::book::{Does, Read};
    use super::*;

    #[test]
    fn names_are_unique_and_in_order_and_a_code_leads_to_one_runbook() {
        let names: Vec<&str> = all().iter().map(|book| book.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        let mut codes = BTreeSet::new();
        for book in all() {
            for code in book.codes {
                assert!(codes.insert(code), "{code} leads to two");
            }
        }
    }

    #[test]
    fn every_runbook_checks_first_and_proves_what_it_changed() {
        for book in all() {
            assert!(matches!(book.steps[0].does, Does::Check(_)), "{}", book.name);
            let names: BTreeSet<&str> = book.steps.iter().map(|step| step.name).collect();
            assert_eq!(names.len(), book.steps.len(), "{}", book.name);
            let proves = |step: &super::super::book::Step| matches!(step.does, Does::Verify { .. });
            assert!(book.steps.iter().any(proves), "{} verifies nothing", book.name);
            for step in book.steps {
                assert!(
                    step.what.ends_with(['.', '?']) && step.what.len() > 15,
                    "{}: {}",
                    book.name,
                    step.name
                );
                if let Does::Act { rights, .. } = step.does {
                    let is_outside = step
                        .reads
                        .iter()
                        .any(|read| matches!(read, Read::Store | Read::Files | Read::Incident));
                    assert!(!rights.is_empty() || is_outside, "{}: {}", book.name, step.name);
                }
            }
            for parameter in book.parameters {
                assert!(
                    !parameter.what.is_empty() && !parameter.found.is_empty(),
                    "{}",
                    parameter.name
                );
            }
        }
    }
}
