//! Manifests: whether the API server and the operator would take them as they are written.
//!
//! Our kinds are checked by the rules of `model`, the same as at admission; Kubernetes' own against the API of the release the job is for, and their pods by
//! what an API server refuses of them ([`pod_rules`]); objects that the job names in one file and defines in another are compared ([`references`],
//! [`services`]). Of patches only what is there is judged. Kinds of others are not judged.

mod pod_rules;
mod references;
mod services;

use std::collections::{BTreeMap, BTreeSet};

use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::annotations::PRESETS_FILE;
use stoke_model::kubernetes;
use stoke_model::manifest::{Document, Node};

use super::Looked;
use crate::Settings;
use crate::job::{Job, Kind};

/// The file that says where releases go.
const ENVIRONMENTS_FILE: &str = "environments.yaml";

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
                let of_manifest = complaints.iter().filter(|complaint| !is_conf(&complaint.code));
                findings.extend(of_manifest.cloned());
                for document in documents.iter().filter(|document| !document.is_ours()) {
                    let found = kubernetes::check(document, settings.kubernetes).unwrap_or_default();
                    findings.extend(found);
                }
            }
            Kind::Patch { documents, complaints } => {
                count += documents.len();
                findings.extend(patch(documents, complaints, settings));
            }
            Kind::Template => {
                count += 1;
                let message = "this is a template; what it becomes is not known before it is rendered";
                let fix = "check what is rendered, for example `helm template . | stoke check -`";
                findings.push(Diagnostic::cannot_tell("manifest-template", &file.name, message).with_fix(fix));
            }
            _ => {}
        }
    }
    findings.extend(absent(job));
    findings.extend(twice(job));
    let all = job.documents();
    findings.extend(all.flat_map(|document| pod_rules::look(document, settings.kubernetes)));
    findings.extend(references::look(job, settings));
    findings.extend(services::look(job, settings));
    findings.extend(job.documents().flat_map(environment));
    findings.extend(presets(job, settings));
    findings.extend(environments(job, settings));
    once(&mut findings);
    Looked::at(count, "document", findings)
}

/// What a part of an object says wrongly, whatever it becomes a part of: what it lacks is in the whole.
fn patch(documents: &[Document], complaints: &[Diagnostic], settings: &Settings) -> Vec<Diagnostic> {
    const OF_PARTS: [&str; 13] = [
        "bad-duration",
        "bad-key",
        "bad-memory",
        "bad-number",
        "bad-quantity",
        "bad-tag",
        "bad-value",
        "duplicate-key",
        "not-utf8",
        "out-of-range",
        "unknown-field",
        "wrong-type",
        "yaml-syntax",
    ];
    let foreign = documents
        .iter()
        .filter(|document| !document.is_ours() && !document.kind.is_empty());
    let of_kubernetes =
        foreign.flat_map(|document| kubernetes::check(document, settings.kubernetes).unwrap_or_default());
    let all = complaints.iter().cloned().chain(of_kubernetes);
    // `$patch: delete` and its like are kustomize's; `null` takes a field away.
    let of_part = |one: &Diagnostic| OF_PARTS.contains(&&*one.code) && !one.message.contains("`$");
    all.filter(of_part).collect()
}

/// Where releases of the job go, as `stoke release` will read it.
fn environments(job: &Job, settings: &Settings) -> Vec<Diagnostic> {
    let Some(read) = settings.environments else {
        return Vec::new();
    };
    let is_it = |name: &str| name.rsplit('/').next() == Some(ENVIRONMENTS_FILE);
    // Others have files of that name, too; ours begins so.
    let is_ours = |text: &str| text.lines().any(|line| line.starts_with("environments:"));
    let files = job
        .files
        .iter()
        .filter(|file| is_it(&file.name) && matches!(file.kind, Kind::Text) && is_ours(file.source.text()));
    files.flat_map(|file| read(&file.source, &file.path)).collect()
}

/// Leaves out what was told of the same place with the same code before.
fn once(findings: &mut Vec<Diagnostic>) {
    let mut seen = BTreeSet::new();
    findings.retain(|one| one.line == 0 || seen.insert((one.file.clone(), one.line, one.column, one.code.to_string())));
}

/// Files of this machine that are named and not there.
fn absent(job: &Job) -> Vec<Diagnostic> {
    let found = job.absent.iter().filter_map(|absent| {
        let file = job.files.iter().find(|file| file.name == absent.manifest)?;
        let message = format!("there is no {}", absent.file.display());
        let fix = match file.documents().iter().any(Document::is_ours) {
            true => "paths without a scheme start from the manifest's directory; a file inside of the image is named `local:///path`",
            false => "paths start from the directory of the kustomization",
        };
        Some(Diagnostic::at(Severity::Error, "missing-file", &file.source, absent.place, &absent.path, message).with_fix(fix))
    });
    found.collect()
}

/// Objects of one kind, name and namespace that are defined more than once: the later apply wins, silently.
fn twice(job: &Job) -> Vec<Diagnostic> {
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
        // Files of one name in directories of their own are variants, one for each environment.
        if is_variant(first.source.name(), document.source.name()) {
            continue;
        }
        let severity = if directory(first) == directory(document) {
            Severity::Error
        } else {
            Severity::Warning
        };
        let finding = Diagnostic::at(
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

/// Whether two files have one name and lie in different directories: `dev/app.yaml` and `prod/app.yaml`.
fn is_variant(one: &str, other: &str) -> bool {
    one != other && one.rsplit('/').next() == other.rsplit('/').next()
}

fn directory(document: &Document) -> &str {
    document
        .source
        .name()
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory)
}

/// What is wrong with applications by the presets they name; those of a team are in files of the job.
fn presets(job: &Job, settings: &Settings) -> Vec<Diagnostic> {
    let Some(look) = settings.presets else {
        return Vec::new();
    };
    let is_team = |name: &str| name.rsplit('/').next() == Some(PRESETS_FILE);
    let teams = job.files.iter().filter(|file| is_team(&file.name));
    let teams: Vec<_> = teams.map(|file| &file.source).collect();
    let ours = job.documents().filter(|document| document.is_ours());
    ours.flat_map(|document| look(document, &teams)).collect()
}

/// Environment variables that a container is given twice: the later one counts.
fn environment(document: &Document) -> Vec<Diagnostic> {
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
            let finding = Diagnostic::at(
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
