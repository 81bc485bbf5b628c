//! Data contracts: whether they can be read, so that they check something when the job runs.
//!
//! What a contract may say is the business of the room that checks data; its reader is passed in ([`Settings::contracts`]).

use stoke_model::manifest::Severity;

use super::Looked;
use crate::Settings;
use crate::finding::Finding;
use crate::job::{Job, Kind};

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let contracts: Vec<_> = job
        .files
        .iter()
        .filter(|file| matches!(file.kind, Kind::Contract))
        .collect();
    let mut findings = Vec::new();
    for file in &contracts {
        let Some(read) = settings.contracts else {
            let message = "no reader of contracts is at hand";
            findings
                .push(Finding::cannot_tell("contract-unread", &file.name, message).with_fix("`stoke check` has one"));
            continue;
        };
        for complaint in read(&file.source) {
            let code = match complaint.severity {
                Severity::Error => "bad-contract",
                Severity::Warning => "doubtful-contract",
            };
            let mut finding = Finding::from(complaint);
            finding.code = code.into();
            findings.push(finding);
        }
    }
    Looked::at(contracts.len(), "contract", findings)
}

#[cfg(test)]
mod tests {
    use stoke_model::manifest::{Complaint, Place, Source};

    use super::*;
    use crate::job::of_bytes;

    #[test]
    fn what_the_reader_complains_of_is_found() {
        let job = Job {
            files: vec![of_bytes("contracts/orders.yaml", b"columns: {id: {}}\n")],
            ..Job::default()
        };
        let codes = |contracts: Option<fn(&Source) -> Vec<Complaint>>| -> Vec<String> {
            let settings = Settings {
                contracts,
                ..Settings::default()
            };
            look(&job, &settings)
                .findings
                .iter()
                .map(|finding| finding.code.to_string())
                .collect()
        };
        let wrong = |source: &Source| {
            let place = Place::default();
            vec![
                Complaint::new(
                    Severity::Error,
                    "no-checks",
                    source,
                    place,
                    "",
                    "nothing is checked".to_owned(),
                ),
                Complaint::new(Severity::Warning, "x", source, place, "", "y".to_owned()),
            ]
        };
        assert_eq!(codes(None), ["contract-unread"]);
        assert_eq!(codes(Some(|_| Vec::new())), [""; 0]);
        assert_eq!(codes(Some(wrong)), ["bad-contract", "doubtful-contract"]);
    }
}
