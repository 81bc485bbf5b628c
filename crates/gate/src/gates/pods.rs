//! The pods a job would really create: would they be admitted, would they fit.
//!
//! They come from the plan that the operator submits ([`crate::derived`]). What their namespace allows is read from the job's own LimitRange,
//! ResourceQuota and Namespace objects; the Pod Security level is the namespace's, or the one that is asked for.

use serde_json::Value;
use stoke_model::manifest::Document;

use super::{Looked, conf};
use crate::Settings;
use crate::derived::{self, Remark};
use crate::finding::Finding;
use crate::job::{File, Job, Kind};
use crate::sizing::{self, Allowed};

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let mut findings = Vec::new();
    let mut count = 0;
    for document in job.files.iter().flat_map(sound) {
        let namespace = document.namespace.as_deref().unwrap_or("default");
        let Some(derived) = derived::derive(document, namespace, &settings.submission) else {
            continue;
        };
        match derived {
            Err(refused) => findings.extend(refused.into_iter().map(|remark| placed(document, remark))),
            Ok(derived) => {
                count += 1 + usize::from(derived.executor.is_some());
                let remarks = derived.remarks.iter().cloned();
                let sizes = sizing::misfits(&derived.pods(), &allowed(job, namespace));
                findings.extend(remarks.chain(sizes).map(|remark| placed(document, remark)));
            }
        }
    }
    Looked::at(count, "pod", findings)
}

/// Our objects in a file that the gates of manifests and configuration have nothing against; of the others no pods would come, and why is told there.
fn sound(file: &File) -> impl Iterator<Item = &Document> {
    let (documents, complaints) = match &file.kind {
        Kind::Manifest { documents, complaints } => (documents.as_slice(), complaints.as_slice()),
        _ => (&[][..], &[][..]),
    };
    let wrong = stoke_model::manifest::has_errors(complaints);
    documents
        .iter()
        .filter(move |document| !wrong && document.is_ours() && conf::is_sound(document))
}

fn placed(document: &Document, remark: Remark) -> Finding {
    let place = document.node.place_of(&remark.path);
    let mut finding = Finding::at(
        remark.severity,
        remark.code,
        &document.source,
        place,
        &remark.path,
        remark.message,
    );
    finding.fix = remark.fix;
    finding
}

/// What the job's own objects allow in a namespace.
fn allowed(job: &Job, namespace: &str) -> Allowed {
    let of = |kind: &'static str| {
        job.documents().filter(move |document| {
            document.kind == kind && document.namespace.as_deref().unwrap_or("default") == namespace
        })
    };
    fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
        serde_json::from_value(value.clone()).ok()
    }
    Allowed {
        ranges: of("LimitRange").filter_map(|document| read(&document.value)).collect(),
        quotas: of("ResourceQuota")
            .filter_map(|document| read(&document.value))
            .collect(),
    }
}
