//! The pods a job would really create: would they be admitted, would they fit.
//!
//! They come from the plan that the operator submits ([`crate::derived`]). What their namespace allows is read from the job's own LimitRange,
//! ResourceQuota and Namespace objects; the Pod Security level is the namespace's, or the one that is asked for. Pods that stand in the job as they are, and
//! those that its workloads make, are held against the same level.

use k8s_openapi::api::core::v1;
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::manifest::{Document, Node, join};
use stoke_model::pod_security::{self, Level, Version};

use super::{Looked, unsound};
use crate::Settings;
use crate::configuration::sound;
use crate::cores::in_order;
use crate::derived::{self, Derived};
use crate::job::Job;
use crate::nodes;
use crate::sizing::{self, Allowed};

/// Kinds of objects that say what a namespace allows.
const RULES: [&str; 3] = ["LimitRange", "Namespace", "ResourceQuota"];
/// So many applications are worth a thread.
const WORTH: usize = 32;
/// Beginning of the labels of a namespace that name levels.
const LABEL: &str = "pod-security.kubernetes.io/";

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let mut findings = unsound(job, settings);
    let mut count = findings.len();
    let own = job.documents().filter(|document| document.kind == "Node");
    let own = own.filter_map(|document| serde_json::from_value(document.value.clone()).ok());
    let known: Vec<v1::Node> = settings.nodes.iter().cloned().chain(own).collect();
    let rules: Vec<&Document> = job
        .documents()
        .filter(|document| RULES.contains(&document.kind.as_str()))
        .collect();
    let sound: Vec<&Document> = job.files.iter().flat_map(sound).collect();
    let judged = in_order(&sound, WORTH, |document| {
        application(document, &rules, &known, settings)
    });
    for (pods, found) in judged {
        count += pods;
        findings.extend(found);
    }
    for document in job.documents().filter(|document| !document.is_ours()) {
        let Some((path, who)) = template(document) else {
            continue;
        };
        let pod = path.split('.').filter(|field| !field.is_empty());
        let pod = pod.fold(&document.value, |value, field| &value[field]);
        let levels = levels(&rules, settings.namespace_of(document), settings);
        if !pod["spec"].is_object() || levels.iter().all(|(_, level)| level.is_none()) {
            continue;
        }
        count += 1;
        let field = if path.is_empty() {
            "spec".to_owned()
        } else {
            join(path, "spec")
        };
        against(document, &levels, &[(who, &field, pod)], &mut findings);
    }
    Looked::at(count, "pod", findings)
}

/// How many pods one of our objects would make, and what is wrong with them.
fn application(
    document: &Document,
    rules: &[&Document],
    known: &[v1::Node],
    settings: &Settings,
) -> (usize, Vec<Diagnostic>) {
    let namespace = settings.namespace_of(document);
    let derived = match derived::derive(document, namespace, &settings.submission) {
        None => return (0, Vec::new()),
        Some(Err(refused)) => {
            let found = refused.into_iter().map(|remark| placed(document, remark));
            return (0, found.collect());
        }
        Some(Ok(derived)) => derived,
    };
    let mut found = security(rules, document, &derived, namespace, settings);
    let remarks = derived.remarks.iter().cloned();
    let sizes = sizing::misfits(&derived.pods(), &allowed(rules, namespace, settings));
    let nodes = nodes::misfits(&derived.pods(), known);
    found.extend(remarks.chain(sizes).chain(nodes).map(|remark| placed(document, remark)));
    (1 + usize::from(derived.executor.is_some()), found)
}

/// Where one of Kubernetes' own kinds has the pod that it makes, and what that is called; none for kinds that make none.
pub(super) fn template(document: &Document) -> Option<(&'static str, &'static str)> {
    match document.kind.as_str() {
        "Pod" => Some(("", "pod")),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "ReplicationController" | "Job" => {
            Some(("spec.template", "pods"))
        }
        "CronJob" => Some(("spec.jobTemplate.spec.template", "pods")),
        "PodTemplate" => Some(("template", "pods")),
        _ => None,
    }
}

pub(super) fn placed(document: &Document, remark: Diagnostic) -> Diagnostic {
    let place = document.node.place_of(&remark.path);
    remark.placed(&document.source, place)
}

/// What the Pod Security Standards forbid of the pods: by the labels of their namespace, where the job shows it, or by the level that is asked for.
fn security(
    rules: &[&Document],
    document: &Document,
    derived: &Derived,
    namespace: &str,
    settings: &Settings,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut pods = vec![("driver pod", derived.driver_path.as_str(), &derived.driver)];
    let executor = derived.executor.as_ref();
    pods.extend(executor.map(|pod| ("executor pod", derived.executor_path.as_str(), pod)));
    against(document, &levels(rules, namespace, settings), &pods, &mut found);
    found
}

/// The levels that pods of a namespace are held against, and how bad it is not to keep one.
fn levels(rules: &[&Document], namespace: &str, settings: &Settings) -> [(Severity, Option<(Level, Version)>); 3] {
    let own = rules
        .iter()
        .find(|document| document.kind == "Namespace" && document.name == namespace);
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
    let release = Version::minor(settings.kubernetes.minor().into());
    [
        (Severity::Error, enforced),
        (Severity::Warning, label("warn")),
        (Severity::Warning, label("audit")),
    ]
    .map(|(severity, level)| {
        (
            severity,
            level.map(|(level, version)| (level, version.at_most(release))),
        )
    })
}

/// What levels forbid of pods: what they are called, the field they come from, and they.
fn against(
    document: &Document,
    levels: &[(Severity, Option<(Level, Version)>)],
    pods: &[(&str, &str, &Value)],
    found: &mut Vec<Diagnostic>,
) {
    let before = found.len();
    for (severity, level) in levels {
        let Some((level, version)) = *level else { continue };
        for (role, path, pod) in pods {
            for violation in pod_security::check(level, version, &pod["metadata"], &pod["spec"]) {
                let message = format!("the {role} would be against the Pod Security Standard {level}: {violation}");
                let known = found[before..].iter().any(|known| known.message == message);
                if !known {
                    let place = document.node.place_of(path);
                    let code = format!("pod-security/{}", violation.control);
                    let finding = Diagnostic::at(*severity, code, &document.source, place, path, message);
                    found.push(finding.with_fix(violation.fix));
                }
            }
        }
    }
}

/// What the job's own objects allow in a namespace.
fn allowed(rules: &[&Document], namespace: &str, settings: &Settings) -> Allowed {
    let of = |kind: &'static str| {
        rules
            .iter()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::of_bytes;

    const SPEC: &str = "{hostNetwork: true, containers: [{name: c, image: x}]}";

    fn manifest(kind: &str) -> String {
        let meta = "metadata: {name: a, namespace: sales}";
        let (api_version, spec) = match kind {
            "Pod" => ("v1", SPEC.to_owned()),
            "ReplicationController" => ("v1", format!("{{template: {{spec: {SPEC}}}}}")),
            "Job" => ("batch/v1", format!("{{template: {{spec: {SPEC}}}}}")),
            "CronJob" => (
                "batch/v1",
                format!("{{schedule: '@daily', jobTemplate: {{spec: {{template: {{spec: {SPEC}}}}}}}}}"),
            ),
            "PodTemplate" => {
                return format!("apiVersion: v1\nkind: PodTemplate\n{meta}\ntemplate: {{spec: {SPEC}}}\n");
            }
            _ => ("apps/v1", format!("{{template: {{spec: {SPEC}}}}}")),
        };
        format!("apiVersion: {api_version}\nkind: {kind}\n{meta}\nspec: {spec}\n")
    }

    #[test]
    fn every_kind_that_makes_pods_is_held_against_the_level() {
        let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: sales, labels: {pod-security.kubernetes.io/enforce: baseline}}\n";
        for kind in [
            "Pod",
            "Deployment",
            "ReplicaSet",
            "StatefulSet",
            "DaemonSet",
            "ReplicationController",
            "Job",
            "CronJob",
            "PodTemplate",
        ] {
            let file = of_bytes("a.yaml", manifest(kind).as_bytes());
            let codes = |files: Vec<crate::job::File>, level: Option<(Level, Version)>| -> Vec<String> {
                let job = Job {
                    files,
                    ..Job::default()
                };
                let settings = Settings {
                    pod_security: level,
                    ..Settings::default()
                };
                let findings = look(&job, &settings).findings;
                findings.iter().map(|one| one.code.to_string()).collect()
            };
            let with_labels = vec![file.clone(), of_bytes("n.yaml", namespace.as_bytes())];
            let expected = vec!["pod-security/hostNamespaces".to_owned()];
            assert_eq!(codes(with_labels, None), expected, "{kind}");
            let level = Some(("baseline".parse().unwrap(), "latest".parse().unwrap()));
            assert_eq!(codes(vec![file.clone()], level), expected, "{kind}");
            assert_eq!(codes(vec![file], None), [""; 0], "{kind}");
        }
    }
}
