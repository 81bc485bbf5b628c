//! The pods a job would really create: would they be admitted, would they fit.
//!
//! They come from the plan that the operator submits ([`crate::derived`]). What their namespace allows is read from the job's own LimitRange,
//! ResourceQuota and Namespace objects; the Pod Security level is the namespace's, or the one that is asked for.

use k8s_openapi::api::core::v1;
use serde_json::Value;
use stoke_model::manifest::{Document, Node, Severity};
use stoke_model::pod_security::{self, Level, Version};

use super::{Looked, unsound};
use crate::Settings;
use crate::configuration::sound;
use crate::derived::{self, Derived, Remark};
use crate::finding::Finding;
use crate::job::Job;
use crate::nodes;
use crate::sizing::{self, Allowed};

/// Beginning of the labels of a namespace that name levels.
const LABEL: &str = "pod-security.kubernetes.io/";

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let mut findings = unsound(job, settings);
    let mut count = findings.len();
    let own = job.documents().filter(|document| document.kind == "Node");
    let own = own.filter_map(|document| serde_json::from_value(document.value.clone()).ok());
    let known: Vec<v1::Node> = settings.nodes.iter().cloned().chain(own).collect();
    for document in job.files.iter().flat_map(sound) {
        let namespace = settings.namespace_of(document);
        let Some(derived) = derived::derive(document, namespace, &settings.submission) else {
            continue;
        };
        match derived {
            Err(refused) => findings.extend(refused.into_iter().map(|remark| placed(document, remark))),
            Ok(derived) => {
                count += 1 + usize::from(derived.executor.is_some());
                findings.extend(security(job, document, &derived, namespace, settings));
                let remarks = derived.remarks.iter().cloned();
                let sizes = sizing::misfits(&derived.pods(), &allowed(job, namespace, settings));
                let nodes = nodes::misfits(&derived.pods(), &known);
                findings.extend(remarks.chain(sizes).chain(nodes).map(|remark| placed(document, remark)));
            }
        }
    }
    Looked::at(count, "pod", findings)
}

pub(super) fn placed(document: &Document, remark: Remark) -> Finding {
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

/// What the Pod Security Standards forbid of the pods: by the labels of their namespace, where the job shows it, or by the level that is asked for.
fn security(job: &Job, document: &Document, derived: &Derived, namespace: &str, settings: &Settings) -> Vec<Finding> {
    let own = job
        .documents()
        .find(|document| document.kind == "Namespace" && document.name == namespace);
    let release = Version::minor(settings.kubernetes.minor().into());
    let label = |mode: &str| -> Option<(Level, Version)> {
        let labels = own?.node.lookup("metadata.labels")?;
        let text = |name: String| labels.get(&name).and_then(Node::as_str);
        let level = text(format!("{LABEL}{mode}"))?.parse().ok()?;
        let version = text(format!("{LABEL}{mode}-version"))
            .unwrap_or("latest")
            .parse()
            .ok()?;
        Some((level, version))
    };
    let enforced = label("enforce").or(settings.pod_security);
    let asked = [
        (Severity::Error, enforced),
        (Severity::Warning, label("warn")),
        (Severity::Warning, label("audit")),
    ];
    let mut found: Vec<Finding> = Vec::new();
    for (severity, level) in asked {
        let Some((level, version)) = level else { continue };
        let pods = [
            ("driver", &derived.driver_path, Some(&derived.driver)),
            ("executor", &derived.executor_path, derived.executor.as_ref()),
        ];
        for (role, path, pod) in pods {
            let Some(pod) = pod else { continue };
            for violation in pod_security::check(level, version.at_most(release), &pod["metadata"], &pod["spec"]) {
                let message = format!("the {role} pod would be against the Pod Security Standard {level}: {violation}");
                let known = found.iter().any(|known| known.message == message);
                if !known {
                    let place = document.node.place_of(path);
                    let code = format!("pod-security/{}", violation.control);
                    let finding = Finding::at(severity, code, &document.source, place, path, message);
                    found.push(finding.with_fix(violation.fix));
                }
            }
        }
    }
    found
}

/// What the job's own objects allow in a namespace.
fn allowed(job: &Job, namespace: &str, settings: &Settings) -> Allowed {
    let of = |kind: &'static str| {
        job.documents()
            .filter(move |document| document.kind == kind && settings.namespace_of(document) == namespace)
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
