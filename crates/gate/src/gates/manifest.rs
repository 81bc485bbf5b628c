//! Manifests: whether the API server and the operator would take them as they are written.
//!
//! Our kinds are checked by the rules of `model`, the same as at admission; Kubernetes' own against the API of the release the job is for; objects that
//! the job names in one file and defines in another are compared ([`references`]). Kinds of others are not judged.

use std::collections::BTreeMap;

use stoke_model::annotations::quality::FileOf;
use stoke_model::kubernetes;
use stoke_model::manifest::{Document, Node, Place, Severity};

use super::Looked;
use crate::Settings;
use crate::finding::Finding;
use crate::job::{Job, Kind};

/// Codes of complaints that belong to the gate of configuration.
pub(super) fn is_conf(code: &str) -> bool {
    code.starts_with("conf-")
}

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let mut findings = Vec::new();
    let mut count = 0;
    for file in &job.files {
        match &file.kind {
            Kind::Manifest { documents, complaints } => {
                count += documents.len().max(1);
                let of_manifest = complaints.iter().filter(|complaint| !is_conf(complaint.code));
                findings.extend(of_manifest.cloned().map(Finding::from));
                for document in documents.iter().filter(|document| !document.is_ours()) {
                    let found = kubernetes::check(document, settings.kubernetes).unwrap_or_default();
                    findings.extend(found.into_iter().map(Finding::from));
                }
            }
            Kind::Template => {
                count += 1;
                let message = "this is a template; what it becomes is not known before it is rendered";
                let fix = "check what is rendered, for example `helm template . | stoke check -`";
                findings.push(Finding::cannot_tell("manifest-template", &file.name, message).with_fix(fix));
            }
            _ => {}
        }
    }
    findings.extend(absent(job));
    findings.extend(twice(job));
    findings.extend(references(job, settings));
    findings.extend(service_accounts(job, settings));
    findings.extend(job.documents().flat_map(environment));
    Looked::at(count, "document", findings)
}

/// Files of this machine that are named and not there.
fn absent(job: &Job) -> Vec<Finding> {
    let found = job.absent.iter().filter_map(|absent| {
        let file = job.files.iter().find(|file| file.name == absent.manifest)?;
        let Kind::Manifest { documents, .. } = &file.kind else { return None };
        let document = documents.get(absent.document)?;
        let place = document.node.lookup(&absent.path)?.place;
        let message = format!("there is no {}", absent.file.display());
        let fix = "paths without a scheme start from the manifest's directory; a file inside of the image is named `local:///path`";
        Some(Finding::at(Severity::Error, "missing-file", &document.source, place, &absent.path, message).with_fix(fix))
    });
    found.collect()
}

/// Objects of one kind, name and namespace that are defined more than once: the later apply wins, silently.
fn twice(job: &Job) -> Vec<Finding> {
    let mut seen: BTreeMap<(&str, &str, &str, &str), &Document> = BTreeMap::new();
    let mut found = Vec::new();
    for document in job.documents().filter(|document| !document.name.is_empty()) {
        let namespace = document.namespace.as_deref().unwrap_or_default();
        let group = document.api_version.split_once('/').map_or("", |(group, _)| group);
        let key = (group, document.kind.as_str(), namespace, document.name.as_str());
        let Some(first) = seen.insert(key, document) else {
            continue;
        };
        let place = document
            .node
            .lookup("metadata.name")
            .map_or(document.node.place, |node| node.place);
        let message = format!(
            "{} `{}` is defined twice, first in {}:{}; whichever is applied last wins",
            document.kind,
            document.name,
            first.source.name(),
            first.node.place_of("metadata.name").line,
        );
        // Variants of one object in directories of their own are overlays, one for each environment.
        let severity = if directory(first) == directory(document) {
            Severity::Error
        } else {
            Severity::Warning
        };
        let finding = Finding::at(
            severity,
            "defined-twice",
            &document.source,
            place,
            "metadata.name",
            message,
        );
        found.push(finding.with_fix("keep one of them, or give one another name"));
    }
    found
}

fn directory(document: &Document) -> &str {
    document
        .source
        .name()
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory)
}

/// Keys of ConfigMaps and Secrets that the job itself defines, where an application refers to one that is not in them.
fn references(job: &Job, settings: &Settings) -> Vec<Finding> {
    let defined = |kind: &str, name: &str, namespace: &str| {
        job.documents().find(|document| {
            document.kind == kind && document.name == name && settings.namespace_of(document) == namespace
        })
    };
    let mut found = Vec::new();
    for document in job.documents().filter(|document| document.is_ours()) {
        let namespace = settings.namespace_of(document);
        let mut refer = |kind: &str, name: &str, key: &str, place: Place| {
            let Some(object) = defined(kind, name, namespace) else {
                return;
            };
            let keys: Vec<&str> = ["data", "stringData", "binaryData"]
                .iter()
                .filter_map(|field| object.node.get(field))
                .flat_map(Node::entries)
                .map(|entry| entry.key.as_str())
                .collect();
            if keys.contains(&key) {
                return;
            }
            let message = format!("{kind} `{name}` of this job has no key `{key}`");
            let fix = match stoke_model::manifest::nearest(key, keys.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", keys.join(", ")),
            };
            found.push(Finding::at(Severity::Error, "missing-key", &document.source, place, "", message).with_fix(fix));
        };
        let named = |of: &Node| {
            let (name, key) = (of.get("name")?.as_str()?, of.get("key")?);
            let place = key.place;
            of.get("optional")
                .is_none()
                .then(|| Some((name.to_owned(), key.as_str()?.to_owned(), place)))?
        };
        walk(&document.node, &mut |field, node| {
            let kind = match field {
                "configMapKeyRef" => "ConfigMap",
                "secretKeyRef" => "Secret",
                _ => return,
            };
            if let Some((name, key, place)) = named(node) {
                refer(kind, &name, &key, place);
            }
        });
        for (file, place) in super::contracts::files(document) {
            if let FileOf::ConfigMap { name, key } = file {
                refer("ConfigMap", &name, &key, place);
            }
        }
    }
    found
}

/// Service accounts that are named and that the job does not define, in namespaces whose accounts it does define. Of other namespaces nothing is known.
fn service_accounts(job: &Job, settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    for document in job.documents() {
        let namespace = settings.namespace_of(document);
        let defined: Vec<&str> = job
            .documents()
            .filter(|other| other.kind == "ServiceAccount" && settings.namespace_of(other) == namespace)
            .map(|other| other.name.as_str())
            .collect();
        if defined.is_empty() || matches!(document.kind.as_str(), "ServiceAccount" | "CustomResourceDefinition") {
            continue;
        }
        walk(&document.node, &mut |field, node| {
            let Some(name) = node
                .as_str()
                .filter(|_| matches!(field, "serviceAccount" | "serviceAccountName"))
            else {
                return;
            };
            if name == "default" || name.is_empty() || name.contains('$') || defined.contains(&name) {
                return;
            }
            let message = format!(
                "the job defines service accounts of `{namespace}`, and none of them is `{name}`: the pod is refused until there is one"
            );
            let fix = match stoke_model::manifest::nearest(name, defined.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("define it, or write one of {}", defined.join(", ")),
            };
            let finding = Finding::at(
                Severity::Warning,
                "missing-service-account",
                &document.source,
                node.place,
                "",
                message,
            );
            found.push(finding.with_fix(fix));
        });
    }
    found
}

/// Environment variables that a container is given twice: the later one counts.
fn environment(document: &Document) -> Vec<Finding> {
    let mut found = Vec::new();
    walk(&document.node, &mut |field, node| {
        if field != "env" {
            return;
        }
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for name in node.items().iter().filter_map(|item| item.get("name")) {
            let Some(text) = name.as_str() else { continue };
            let Some(first) = seen.insert(text, name.place.line) else {
                continue;
            };
            let message = format!("the variable `{text}` is given twice, first in line {first}: this one counts");
            let finding = Finding::at(
                Severity::Warning,
                "duplicate-env",
                &document.source,
                name.place,
                "",
                message,
            );
            found.push(finding.with_fix("keep one of them"));
        }
    });
    found
}

/// Calls for each field of a tree.
fn walk(node: &Node, each: &mut dyn FnMut(&str, &Node)) {
    for entry in node.entries() {
        each(&entry.key, &entry.value);
        walk(&entry.value, each);
    }
    for item in node.items() {
        walk(item, each);
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    fn codes(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let all = found(files, look).into_iter();
        all.map(|finding| (finding.code.to_string(), finding.place())).collect()
    }

    fn at(code: &str, place: &str) -> (String, String) {
        (code.to_owned(), place.to_owned())
    }

    #[test]
    fn kinds_of_kubernetes_are_checked_with_ours() {
        let old = "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: a}\n";
        assert_eq!(codes(&[("a.yaml", old)]), [at("kubernetes-removed-api", "a.yaml:1:1")]);
        let claim =
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a}\nspec: {accessMode: [ReadWriteOnce]}\n";
        assert_eq!(codes(&[("a.yaml", claim)]), [at("unknown-field", "a.yaml:4:8")]);
        let template = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .x }}\n";
        assert_eq!(codes(&[("t.yaml", template)]), [at("manifest-template", "t.yaml")]);
    }

    #[test]
    fn an_object_defined_twice_is_told_once() {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        assert_eq!(
            codes(&[("a.yaml", map), ("b.yaml", map)]),
            [at("defined-twice", "b.yaml:3:18")]
        );
        let elsewhere = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n";
        assert_eq!(codes(&[("a.yaml", map), ("b.yaml", elsewhere)]), []);
    }

    #[test]
    fn a_key_that_the_jobs_own_object_lacks_is_told() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: x}\n";
        let app = |key: &str| {
            format!(
                "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {{name: a, namespace: default}}\nspec:\n  type: Python\n  mode: cluster\n  sparkVersion: 4.1.4\n  image: spark:4.1.4\n  mainApplicationFile: local:///a.py\n  driver:\n    cores: 1\n    env:\n    - name: P\n      valueFrom: {{secretKeyRef: {{name: s, key: {key}}}}}\n  executor: {{cores: 1, instances: 1}}\n"
            )
        };
        assert_eq!(codes(&[("s.yaml", secret), ("a.yaml", &app("password"))]), []);
        assert_eq!(
            codes(&[("s.yaml", secret), ("a.yaml", &app("pasword"))]),
            [at("missing-key", "a.yaml:14:48")]
        );
        // Of a Secret that is elsewhere nothing is known.
        assert_eq!(codes(&[("a.yaml", &app("pasword"))]), []);
    }

    #[test]
    fn accounts_that_nobody_defines_and_variables_given_twice() {
        let workload = |account: &str| {
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d, namespace: sales}}\nspec:\n  selector: {{matchLabels: {{a: b}}}}\n  template:\n    metadata: {{labels: {{a: b}}}}\n    spec:\n      serviceAccountName: {account}\n      containers: [{{name: c, image: x, env: [{{name: A, value: b}}, {{name: B, value: b}}]}}]\n"
            )
        };
        let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: spark, namespace: sales}\n";
        let elsewhere = account.replace("sales", "other");
        for (accounts, named, expected) in [
            (account, "spark", vec![]),
            (account, "default", vec![]),
            (account, "sparc", vec![at("missing-service-account", "d.yaml:9:27")]),
            // Of a namespace of which the job defines no account nothing is known.
            (&elsewhere, "sparc", vec![]),
        ] {
            let found = codes(&[("a.yaml", accounts), ("d.yaml", &workload(named))]);
            assert_eq!(found, expected, "{named}");
        }
        let twice = workload("x").replace("name: B", "name: A");
        assert_eq!(codes(&[("d.yaml", &twice)]), [at("duplicate-env", "d.yaml:10:74")]);
    }
}
