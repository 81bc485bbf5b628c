//! Objects that pods name and that the files of the job show to be missing: ConfigMaps, Secrets, claims, service accounts, priority classes, their keys,
//! roles of bindings and services of ingresses.
//!
//! Most jobs name objects that others create, so that a name alone shows nothing. What shows that something is wrong:
//! - the object is among the files, and has no such key: an error;
//! - no object of the kind has the name, and one of the files is a slip of the finger away: an error;
//! - the files define objects of the kind for the namespace, and this one is not among them: a warning. Not of Secrets, which are often put there by hand.
//!
//! A name is left alone where anything else may make the object: an object of someone else's kind (an ExternalSecret, a HelmRelease) that mentions it, a
//! template, or a text beside the manifests (a script, a README) that has the name in it.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use stoke_diagnostics::{Diagnostic, Place, Severity};
use stoke_model::annotations::quality::FileOf;
use stoke_model::kubernetes::{self, Release, Standing};
use stoke_model::manifest::{Content, Document, Node, is_slip, join, join_index, nearest};

use crate::Settings;
use crate::gates::contracts;
use crate::gates::pods::template;
use crate::job::{Job, Kind, kustomize};

/// Objects that clusters have by themselves.
const BUILT_IN: [(&str, &str); 9] = [
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "openshift-service-ca.crt"),
    ("ServiceAccount", "default"),
    ("PriorityClass", "system-cluster-critical"),
    ("PriorityClass", "system-node-critical"),
    ("ClusterRole", "admin"),
    ("ClusterRole", "edit"),
    ("ClusterRole", "view"),
    ("ClusterRole", "cluster-admin"),
];

/// A name that stands in a document for an object.
#[derive(Clone, Debug, PartialEq)]
struct Use<'a> {
    kind: &'static str,
    name: &'a str,
    /// The namespace it is looked for in, where that is not the document's.
    namespace: Option<&'a str>,
    place: Place,
    path: String,
    keys: Vec<(&'a str, Place, String)>,
    /// Whether the pod starts without it.
    optional: bool,
}

/// An object of the job.
struct Defined<'a> {
    kind: &'a str,
    name: &'a str,
    namespace: Option<&'a str>,
    /// Its keys; none where they are not known.
    keys: Option<Vec<&'a str>>,
}

/// What is named and missing.
pub(super) fn look(job: &Job, settings: &Settings) -> Vec<Diagnostic> {
    let kustomizations = kustomize::all(&job.files);
    let known = Known::of(job, settings, &kustomizations);
    let mut found = Vec::new();
    for document in job.documents() {
        for used in uses(document, settings.kubernetes) {
            known.judge(document, &used, &mut found);
        }
    }
    found
}

/// What the files of a job say of objects.
struct Known<'a> {
    job: &'a Job,
    /// By kind and name.
    defined: BTreeMap<(&'a str, &'a str), Vec<Defined<'a>>>,
    /// Whether a kustomization sets namespaces, so that those that are written say little.
    moved: bool,
    /// Texts in which objects of others' kinds may name what they make.
    mentioned: BTreeSet<&'a str>,
    /// Names of objects of others' kinds; what they make is often called `<name>-…`.
    makers: Vec<&'a str>,
    /// Texts with blanks in objects: scripts, and manifests within manifests.
    scripts: Vec<&'a str>,
    /// The words of those, and of the texts beside the manifests, made when one is first asked for.
    words: OnceCell<HashSet<&'a str>>,
}

impl<'a> Known<'a> {
    fn of(job: &'a Job, settings: &Settings, kustomizations: &'a [kustomize::Kustomization]) -> Known<'a> {
        let mut known = Known {
            job,
            defined: BTreeMap::new(),
            moved: kustomizations.iter().any(|one| one.sets_namespace),
            mentioned: BTreeSet::new(),
            makers: Vec::new(),
            scripts: Vec::new(),
            words: OnceCell::new(),
        };
        for document in job.documents() {
            let standing = kubernetes::standing(&document.api_version, &document.kind, settings.kubernetes);
            let foreign = matches!(standing, Standing::Foreign) && !document.is_ours();
            texts(&document.node, &mut |text| {
                if text.contains(char::is_whitespace) {
                    known.scripts.push(text);
                } else if foreign {
                    known.mentioned.insert(text);
                }
            });
            if foreign {
                known.makers.push(&document.name);
                continue;
            }
            let keys = || {
                let fields = ["data", "stringData", "binaryData"];
                let entries = fields
                    .iter()
                    .filter_map(|field| document.node.get(field))
                    .flat_map(Node::entries);
                entries.map(|entry| entry.key.as_str()).collect()
            };
            known.define(Defined {
                kind: &document.kind,
                name: &document.name,
                namespace: document.namespace.as_deref(),
                keys: Some(keys()),
            });
            // Of a stateful set's claims the names are made: `<template>-<set>-<number>`.
            if document.kind == "StatefulSet" {
                known.makers.extend(
                    document
                        .node
                        .lookup("spec.volumeClaimTemplates")
                        .map_or(&[][..], Node::items)
                        .iter()
                        .filter_map(|claim| claim.lookup("metadata.name")?.as_str()),
                );
            }
        }
        for one in kustomizations.iter().flat_map(|one| &one.generated) {
            known.define(Defined {
                kind: one.kind,
                name: &one.name,
                namespace: None,
                keys: one.keys.as_ref().map(|keys| keys.iter().map(String::as_str).collect()),
            });
        }
        known
    }

    fn define(&mut self, one: Defined<'a>) {
        self.defined.entry((one.kind, one.name)).or_default().push(one);
    }

    /// Whether an object can be the one that is meant from a namespace; an object without one goes where it is put.
    fn meets(&self, one: &Defined<'_>, namespace: Option<&str>) -> bool {
        let cluster = matches!(one.kind, "PriorityClass" | "ClusterRole");
        cluster || self.moved || one.namespace.is_none() || namespace.is_none() || one.namespace == namespace
    }

    /// Whether something else than an object of these files may make one of this name.
    fn may_be_made(&self, name: &str) -> bool {
        let made =
            |maker: &&str| !maker.is_empty() && name.strip_prefix(*maker).is_some_and(|rest| rest.starts_with('-'));
        self.mentioned.contains(name) || self.makers.iter().any(made) || self.words().contains(name)
    }

    fn words(&self) -> &HashSet<&'a str> {
        self.words.get_or_init(|| {
            let beside = self
                .job
                .files
                .iter()
                .filter(|file| !matches!(file.kind, Kind::Manifest { .. } | Kind::Contract));
            let texts = self
                .scripts
                .iter()
                .copied()
                .chain(beside.map(|file| file.source.text()));
            texts.flat_map(words).collect()
        })
    }

    fn judge(&self, document: &Document, used: &Use<'_>, found: &mut Vec<Diagnostic>) {
        let (kind, name) = (used.kind, used.name);
        let namespace = used.namespace.or(document.namespace.as_deref());
        let placed = |severity, code, place, path: &str, message: String| {
            Diagnostic::at(severity, code, &document.source, place, path, message)
        };
        let own: Vec<&Defined<'_>> = self
            .defined
            .get(&(kind, name))
            .into_iter()
            .flatten()
            .filter(|one| self.meets(one, namespace))
            .collect();
        if !own.is_empty() {
            let keys: Option<Vec<&str>> = own.iter().try_fold(Vec::new(), |mut all, one| {
                all.extend(one.keys.as_ref()?.iter().copied());
                Some(all)
            });
            // A Secret without any is filled by someone.
            let Some(keys) = keys.filter(|keys| !keys.is_empty()) else {
                return;
            };
            for (key, place, path) in used
                .keys
                .iter()
                .filter(|(key, ..)| !keys.contains(key) && !used.optional)
            {
                let message = format!("{kind} `{name}` of this job has no key `{key}`");
                let fix = match nearest(key, keys.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it has {}", keys.join(", ")),
                };
                found.push(placed(Severity::Error, "missing-key", *place, path, message).with_fix(fix));
            }
            return;
        }
        let unclear = name.is_empty() || name.contains(['$', '{', '<', '%']);
        if unclear || used.optional || BUILT_IN.contains(&(kind, name)) || name.starts_with("system:") {
            return;
        }
        let others = self.defined.range((kind, "")..).take_while(|((of, _), _)| *of == kind);
        let others: Vec<&str> = others
            .filter(|(_, all)| all.iter().any(|one| self.meets(one, namespace)))
            .map(|((_, name), _)| *name)
            .filter(|name| !name.is_empty())
            .collect();
        let account = kind == "ServiceAccount";
        let code = if account {
            "missing-service-account"
        } else {
            "missing-object"
        };
        if let Some(meant) = others.iter().find(|other| is_slip(name, other)) {
            if self.may_be_made(name) {
                return;
            }
            let message = format!("there is no {kind} `{name}` in these files, but one that is called `{meant}`");
            let finding = placed(Severity::Error, code, used.place, &used.path, message);
            found.push(finding.with_fix(format!("did you mean `{meant}`?")));
            return;
        }
        if others.is_empty() || kind == "Secret" || self.may_be_made(name) || self.has_template() {
            return;
        }
        let whose = match (kind, namespace) {
            ("PriorityClass" | "ClusterRole", _) | (_, None) => String::new(),
            (_, Some(namespace)) => format!(" of `{namespace}`"),
        };
        let message = format!(
            "these files define {}{whose}, and none of them is `{name}`: {}",
            plural(kind),
            without(kind)
        );
        let fix = format!(
            "define it, or write one of {}; leave it if it is created elsewhere",
            listed(&others)
        );
        found.push(placed(Severity::Warning, code, used.place, &used.path, message).with_fix(fix));
    }

    /// What a template becomes may be anything.
    fn has_template(&self) -> bool {
        self.job.files.iter().any(|file| matches!(file.kind, Kind::Template))
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "PriorityClass" => "priority classes".to_owned(),
        "ServiceAccount" => "service accounts".to_owned(),
        "PersistentVolumeClaim" => "claims of volumes".to_owned(),
        kind => format!("{kind}s"),
    }
}

/// What comes of it when there is none.
fn without(kind: &str) -> &'static str {
    match kind {
        "ServiceAccount" | "PriorityClass" => "the pod is refused until there is one",
        "Role" | "ClusterRole" => "the binding gives no rights until there is one",
        "Service" => "requests are answered with an error until there is one",
        _ => "the pod does not start until there is one",
    }
}

/// The first few names.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let mut text = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// What could be names in a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let of_name = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '.' | '_');
    let words = text.split(move |one| !of_name(one));
    words
        .map(|word| word.trim_matches(['.', '-', '_']))
        .filter(|word| !word.is_empty())
}

/// Calls for every text of a tree.
fn texts<'a>(node: &'a Node, each: &mut dyn FnMut(&'a str)) {
    if let Some(text) = node.as_str() {
        each(text);
    }
    node.entries().iter().for_each(|entry| texts(&entry.value, each));
    node.items().iter().for_each(|item| texts(item, each));
}

/// The objects that a document names.
fn uses(document: &Document, release: Release) -> Vec<Use<'_>> {
    let mut found = Vec::new();
    if document.kind == "CustomResourceDefinition" {
        return found;
    }
    let pods = document.is_ours() || template(document).is_some();
    let foreign = matches!(
        kubernetes::standing(&document.api_version, &document.kind, release),
        Standing::Foreign
    );
    if pods || document.kind == "ServiceAccount" {
        named(&document.node, "", document.is_ours(), &mut found);
    } else if foreign {
        // Of others' kinds only what is called so everywhere is understood.
        named(&document.node, "", false, &mut found);
        found.retain(|used| used.kind == "ServiceAccount");
    }
    if document.is_ours() {
        of_conf(document, &mut found);
        for (file, place) in contracts::files(document) {
            if let FileOf::ConfigMap { name, key } = file {
                let own = document.node.lookup("metadata.annotations").into_iter();
                let own = own.flat_map(Node::entries).filter_map(|entry| entry.value.as_str());
                // The names stand within a text.
                let part = |wanted: &str| {
                    own.clone()
                        .find_map(|text| text.find(wanted).map(|at| &text[at..at + wanted.len()]))
                };
                if let (Some(name), Some(key)) = (part(&name), part(&key)) {
                    let path = "metadata.annotations".to_owned();
                    let keys = vec![(key, place, path.clone())];
                    found.push(Use {
                        keys,
                        ..plain("ConfigMap", name, place, path)
                    });
                }
            }
        }
    }
    match document.kind.as_str() {
        "RoleBinding" | "ClusterRoleBinding" => of_binding(&document.node, &mut found),
        "Ingress" if !foreign => of_ingress(&document.node, "", &mut found),
        _ => {}
    }
    found
}

fn plain<'a>(kind: &'static str, name: &'a str, place: Place, path: String) -> Use<'a> {
    Use {
        kind,
        name,
        namespace: None,
        place,
        path,
        keys: Vec::new(),
        optional: false,
    }
}

/// Names in the fields of pods, and those of our own kinds.
fn named<'a>(node: &'a Node, path: &str, ours: bool, found: &mut Vec<Use<'a>>) {
    for entry in node.entries() {
        let (field, value) = (entry.key.as_str(), &entry.value);
        let here = join(path, field);
        // What a team writes there is no reference.
        if matches!(
            field,
            "labels" | "annotations" | "sparkConf" | "hadoopConf" | "data" | "stringData"
        ) {
            continue;
        }
        let text = |kind: &'static str| value.as_str().map(|name| plain(kind, name, value.place, here.clone()));
        match field {
            "configMapKeyRef" | "configMapRef" => found.extend(object("ConfigMap", value, "name", &here)),
            "secretKeyRef" | "secretRef" => found.extend(object("Secret", value, "name", &here)),
            "configMap" => found.extend(object("ConfigMap", value, "name", &here)),
            "secret" => {
                found.extend(
                    object("Secret", value, "secretName", &here).or_else(|| object("Secret", value, "name", &here)),
                );
            }
            "persistentVolumeClaim" => found.extend(object("PersistentVolumeClaim", value, "claimName", &here)),
            "priorityClassName" => found.extend(text("PriorityClass")),
            "serviceAccount" | "serviceAccountName" => found.extend(text("ServiceAccount")),
            "sparkConfigMap" | "hadoopConfigMap" if ours => found.extend(text("ConfigMap")),
            "imagePullSecrets" => {
                for (index, item) in value.items().iter().enumerate() {
                    let at = join_index(&here, index);
                    let name = item.get("name").unwrap_or(item);
                    found.extend(name.as_str().map(|text| plain("Secret", text, name.place, at)));
                }
            }
            "configMaps" | "secrets" if ours => {
                let kind = if field == "secrets" { "Secret" } else { "ConfigMap" };
                for (index, item) in value.items().iter().enumerate() {
                    found.extend(object(kind, item, "name", &join_index(&here, index)));
                }
            }
            "envSecretKeyRefs" if ours => {
                for one in value.entries() {
                    found.extend(object("Secret", &one.value, "name", &join(&here, &one.key)));
                }
            }
            _ => {}
        }
        named(value, &here, ours, found);
    }
    for (index, item) in node.items().iter().enumerate() {
        named(item, &join_index(path, index), ours, found);
    }
}

/// An object named in a field of a mapping, with the keys that the mapping takes of it.
fn object<'a>(kind: &'static str, node: &'a Node, field: &str, path: &str) -> Option<Use<'a>> {
    let name = node.get(field)?;
    let mut used = plain(kind, name.as_str()?, name.place, join(path, field));
    used.optional = matches!(
        node.get("optional").map(|node| &node.content),
        Some(Content::Bool(true))
    );
    let key = node.get("key").map(|key| (key, join(path, "key")));
    let items = node.get("items").map_or(&[][..], Node::items).iter().enumerate();
    let items = items
        .filter_map(|(index, item)| Some((item.get("key")?, join(&join_index(&join(path, "items"), index), "key"))));
    let keys = key.into_iter().chain(items);
    used.keys = keys
        .filter_map(|(key, path)| Some((key.as_str()?, key.place, path)))
        .collect();
    Some(used)
}

/// Names in keys and values of the Spark configuration.
fn of_conf<'a>(document: &'a Document, found: &mut Vec<Use<'a>>) {
    let path = join(document.spec_path(), "sparkConf");
    let entries = document.node.lookup(&path).map_or(&[][..], Node::entries);
    for entry in entries {
        let Some(value) = entry.value.as_str() else { continue };
        let (key, place) = (entry.key.as_str(), entry.value.place);
        let here = join(&path, key);
        let Some(rest) = key.strip_prefix("spark.kubernetes.") else {
            continue;
        };
        let of_role = rest.strip_prefix("driver.").or_else(|| rest.strip_prefix("executor."));
        match (rest, of_role.unwrap_or_default()) {
            ("hadoop.configMapName" | "kerberos.krb5.configMapName", _) => {
                found.push(plain("ConfigMap", value, place, here));
            }
            (_, role) if role.starts_with("secretKeyRef.") => {
                let Some((name, key)) = value.split_once(':') else {
                    continue;
                };
                let keys = vec![(key, place, here.clone())];
                found.push(Use {
                    keys,
                    ..plain("Secret", name, place, here)
                });
            }
            (_, role) if role.starts_with("secrets.") => {
                let name = role.strip_prefix("secrets.").unwrap_or_default();
                found.push(plain("Secret", name, entry.key_place, here));
            }
            (_, role)
                if role.starts_with("volumes.persistentVolumeClaim.")
                    && role.ends_with(".options.claimName")
                    && value != "OnDemand"
                    && !value.contains("SPARK_EXECUTOR_ID") =>
            {
                found.push(plain("PersistentVolumeClaim", value, place, here));
            }
            _ => {}
        }
    }
}

/// Who a binding gives what: accounts and the role.
fn of_binding<'a>(node: &'a Node, found: &mut Vec<Use<'a>>) {
    for (index, subject) in node.get("subjects").map_or(&[][..], Node::items).iter().enumerate() {
        if subject.get("kind").and_then(Node::as_str) != Some("ServiceAccount") {
            continue;
        }
        let path = join_index("subjects", index);
        found.extend(object("ServiceAccount", subject, "name", &path).map(|used| Use {
            namespace: subject.get("namespace").and_then(Node::as_str),
            ..used
        }));
    }
    let Some(role) = node.get("roleRef") else { return };
    let kind = match role.get("kind").and_then(Node::as_str) {
        Some("Role") => "Role",
        Some("ClusterRole") => "ClusterRole",
        _ => return,
    };
    found.extend(object(kind, role, "name", "roleRef"));
}

/// The services behind an ingress.
fn of_ingress<'a>(node: &'a Node, path: &str, found: &mut Vec<Use<'a>>) {
    for entry in node.entries() {
        let here = join(path, &entry.key);
        if entry.key == "service" {
            found.extend(object("Service", &entry.value, "name", &here));
        }
        of_ingress(&entry.value, &here, found);
    }
    for (index, item) in node.items().iter().enumerate() {
        of_ingress(item, &join_index(path, index), found);
    }
}

#[cfg(test)]
mod tests;
