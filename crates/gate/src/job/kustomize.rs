//! Kustomizations among the files of a job: patches are parts of objects, generators make ConfigMaps and Secrets, and every file named is there.
//!
//! Nothing is built here: what a kustomization becomes, `kustomize build . | stoke check -` tells. A patch is known by being named as one.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use stoke_diagnostics::Place;
use stoke_model::manifest::{self, Node, join_index};

use super::{Absent, File, Kind};

/// Names that kustomize looks for.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// Lists of other files and directories.
const RESOURCES: [&str; 6] = [
    "resources",
    "bases",
    "components",
    "crds",
    "configurations",
    "transformers",
];

/// A ConfigMap or Secret that a generator makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// `ConfigMap` or `Secret`.
    pub kind: &'static str,
    /// Its name, before a suffix is put to it; references get the same suffix.
    pub name: String,
    /// Its keys; none where a file that is not read here decides them.
    pub keys: Option<BTreeSet<String>>,
}

/// What one kustomization does that matters to the objects beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kustomization {
    /// Whether it sets the namespace of all its objects.
    pub sets_namespace: bool,
    /// What its generators make.
    pub generated: Vec<Generated>,
}

/// A file that a kustomization names: the field, where it stands, and the path as it is written.
struct Named {
    path: String,
    place: Place,
    text: String,
    is_patch: bool,
}

/// The kustomizations of a job.
pub(crate) fn all(files: &[File]) -> Vec<Kustomization> {
    let roots = files.iter().filter_map(root);
    let read = |root: Node| Kustomization {
        sets_namespace: root.get("namespace").is_some(),
        generated: [("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")]
            .iter()
            .flat_map(|(field, kind)| {
                root.get(field)
                    .map_or(&[][..], Node::items)
                    .iter()
                    .map(|item| (*kind, item))
            })
            .filter_map(|(kind, item)| generated(kind, item))
            .collect(),
    };
    roots.map(read).collect()
}

/// Takes files that a kustomization names as patches for what they are: parts of objects.
pub(super) fn leave_patches(files: &mut [File]) {
    let mut patches: BTreeSet<PathBuf> = BTreeSet::new();
    for file in files.iter() {
        let directory = file.path.parent().unwrap_or(Path::new(""));
        let named = root(file).map(|root| named(&root)).unwrap_or_default();
        let own = named.iter().filter(|named| named.is_patch);
        patches.extend(own.map(|named| plain(&directory.join(&named.text))));
    }
    if patches.is_empty() {
        return;
    }
    for file in files.iter_mut().filter(|file| patches.contains(&plain(&file.path))) {
        if let Kind::Manifest { documents, complaints } = &mut file.kind {
            file.kind = Kind::Patch {
                documents: std::mem::take(documents),
                complaints: std::mem::take(complaints),
            };
        }
    }
}

/// Files that a kustomization names and that are not there.
pub(super) fn absent(file: &File) -> Vec<Absent> {
    let directory = file.path.parent().unwrap_or(Path::new(""));
    let named = root(file).map(|root| named(&root)).unwrap_or_default().into_iter();
    let lacking = named.filter_map(|named| {
        let place = directory.join(&named.text);
        (!place.exists()).then(|| Absent {
            manifest: file.name.clone(),
            place: named.place,
            path: named.path,
            file: place,
        })
    });
    lacking.collect()
}

/// The tree of a kustomization; none for any other file. It needs no `apiVersion` and no `kind`.
fn root(file: &File) -> Option<Node> {
    let base = file.name.rsplit('/').next().unwrap_or(&file.name);
    if !NAMES.contains(&base) {
        return None;
    }
    match &file.kind {
        Kind::Manifest { documents, .. } => documents.first().map(|document| document.node.clone()),
        Kind::Text => manifest::read(&file.source).0.into_iter().next(),
        _ => None,
    }
}

fn named(root: &Node) -> Vec<Named> {
    let mut found = Vec::new();
    let mut add = |path: String, node: &Node, is_patch: bool| {
        let Some(text) = node.as_str() else { return };
        // `key=path` of generators; inline patches and addresses of others' repositories are no files.
        let text = text.split_once('=').map_or(text, |(_, after)| after);
        let remote = text.contains("://") || text.contains('?') || text.contains('\n') || text.contains("git@");
        let hosted = text
            .split('/')
            .next()
            .is_some_and(|first| first.contains('.') && !first.starts_with('.'));
        if text.is_empty() || remote || (hosted && text.contains('/')) || text.contains('$') || text.contains('*') {
            return;
        }
        found.push(Named {
            path,
            place: node.place,
            text: text.to_owned(),
            is_patch,
        });
    };
    let items = |of: &Node, field: &str| of.get(field).map_or(Vec::new(), |list| list.items().to_vec());
    for field in RESOURCES {
        for (index, item) in items(root, field).iter().enumerate() {
            add(join_index(field, index), item, false);
        }
    }
    for (index, item) in items(root, "patchesStrategicMerge").iter().enumerate() {
        add(join_index("patchesStrategicMerge", index), item, true);
    }
    for field in ["patches", "patchesJson6902"] {
        for (index, item) in items(root, field).iter().enumerate() {
            if let Some(path) = item.get("path") {
                add(format!("{}.path", join_index(field, index)), path, true);
            }
        }
    }
    for field in ["configMapGenerator", "secretGenerator"] {
        for (index, item) in items(root, field).iter().enumerate() {
            for list in ["files", "envs"] {
                for (number, file) in items(item, list).iter().enumerate() {
                    // Credentials are often put there only where it is built.
                    if field == "configMapGenerator" {
                        add(
                            join_index(&format!("{}.{list}", join_index(field, index)), number),
                            file,
                            false,
                        );
                    }
                }
            }
        }
    }
    found
}

fn generated(kind: &'static str, item: &Node) -> Option<Generated> {
    let name = item.get("name")?.as_str()?.to_owned();
    let texts = |field: &str| -> Vec<String> {
        let list = item.get(field).map_or(&[][..], Node::items).iter();
        list.filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let open = ["envs", "env"].iter().any(|field| item.get(field).is_some())
        || item
            .get("behavior")
            .and_then(Node::as_str)
            .is_some_and(|how| how != "create");
    let key = |text: &String| match text.split_once('=') {
        Some((key, _)) => key.to_owned(),
        None => text.rsplit('/').next().unwrap_or(text).to_owned(),
    };
    let keys = texts("files").iter().chain(&texts("literals")).map(key).collect();
    Some(Generated {
        kind,
        name,
        keys: (!open).then_some(keys),
    })
}

/// A path without `.` and `..`, as far as that goes.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::{Job, of_bytes};
    use super::*;

    #[test]
    fn generators_name_what_they_make_and_its_keys() {
        let text = "configMapGenerator:\n- name: a\n  files: [conf/x.properties, y=z.txt]\n  literals: [K=v]\n- name: b\n  envs: [b.env]\nsecretGenerator:\n- name: c\n  literals: [p=q]\nnamespace: n\n";
        let found = all(&[of_bytes("k/kustomization.yaml", text.as_bytes())]);
        assert!(found[0].sets_namespace);
        let shown: Vec<String> = found[0]
            .generated
            .iter()
            .map(|one| format!("{} {} {:?}", one.kind, one.name, one.keys))
            .collect();
        assert_eq!(
            shown,
            [
                "ConfigMap a Some({\"K\", \"x.properties\", \"y\"})",
                "ConfigMap b None",
                "Secret c Some({\"p\"})"
            ]
        );
    }

    #[test]
    fn patches_are_parts_wherever_they_lie() {
        let app = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        for (kustomization, path, expected) in [
            ("patches: [{path: p.yaml}]", "o/p.yaml", true),
            ("patches:\n- path: ../p.yaml\n  target: {kind: X}\n", "p.yaml", true),
            ("patchesStrategicMerge: [./sub/p.yaml]", "o/sub/p.yaml", true),
            ("patchesJson6902: [{path: p.yaml}]", "o/p.yaml", true),
            (
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\npatches: [{path: p.yaml}]",
                "o/p.yaml",
                true,
            ),
            ("resources: [p.yaml]", "o/p.yaml", false),
            ("patches: [{path: other.yaml}]", "o/p.yaml", false),
        ] {
            let files = vec![
                of_bytes("o/kustomization.yml", kustomization.as_bytes()),
                of_bytes(path, app),
            ];
            let job = Job::of(files);
            let patch = job.files.iter().any(|file| matches!(file.kind, Kind::Patch { .. }));
            assert_eq!(patch, expected, "{kustomization}");
            assert_eq!(job.documents().any(|document| document.kind == "ConfigMap"), !expected);
        }
    }
}
