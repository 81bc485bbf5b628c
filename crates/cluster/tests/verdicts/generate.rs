//! The cases: which requests are sent, and what each is called.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::mutate::{REMOVE, broken, other, places, set};

/// Name of the objects that updates change.
pub const BASE: &str = "base";

/// A file of `kinds/`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// The file's name.
    #[serde(skip)]
    pub name: String,
    /// The collection; `{ns}` is the namespace of the run.
    pub collection: String,
    /// A good object with most of its fields.
    #[serde(default)]
    pub object: Value,
    /// Places that are not broken field by field: they are templates, which another kind looks at.
    #[serde(default)]
    skip: Vec<String>,
    /// Only these cases, no generated ones.
    #[serde(default)]
    by_hand: bool,
    /// Values for one place each.
    #[serde(default)]
    each: BTreeMap<String, Vec<Value>>,
    /// Values for several places together.
    #[serde(default)]
    cases: Vec<Map<String, Value>>,
    /// Changes of the stored object.
    #[serde(default)]
    updates: Vec<Map<String, Value>>,
    /// Whether an object is stored that updates can change.
    #[serde(default = "yes")]
    stored: bool,
    /// The stored object keeps its own name: it is nobody's namespace's, or says what the object is.
    #[serde(default)]
    pub own_name: bool,
    /// A file of the repository with the definition of this kind.
    #[serde(default)]
    pub definition: Option<String>,
    /// Requests of any form.
    #[serde(default)]
    requests: Vec<Request>,
}

fn yes() -> bool {
    true
}

/// A request as it is sent.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub name: String,
    pub method: String,
    /// `{ns}` is the namespace of the run.
    pub path: String,
    #[serde(default, rename = "type")]
    pub content_type: Option<String>,
    #[serde(default)]
    pub body: Value,
    /// A body that is no JSON.
    #[serde(default)]
    pub text: Option<String>,
}

/// A request with the name it goes by in the record.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    pub form: Form,
}

/// What is sent.
#[derive(Clone)]
pub enum Form {
    /// This object is created, without being kept.
    Create(Value),
    /// The stored object with these values in these places is put, without being kept.
    Update(Vec<(String, Value)>),
    /// As it stands.
    Raw(Box<Request>),
}

/// Every file of `kinds/`.
pub fn kinds() -> Vec<Kind> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/verdicts/kinds");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let wanted = std::env::var("STOKE_VERDICTS_KINDS").ok();
    let read = files.into_iter().map(|file| {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut kind: Kind =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        kind.name = file.file_stem().unwrap().to_string_lossy().into_owned();
        kind
    });
    read.filter(|kind| {
        wanted
            .as_ref()
            .is_none_or(|wanted| wanted.split(',').any(|name| name == kind.name))
    })
    .collect()
}

impl Kind {
    /// Whether an object named [`BASE`] is stored.
    pub fn has_base(&self) -> bool {
        self.stored && self.object.is_object()
    }

    /// The cases of this kind, always the same.
    pub fn cases(&self) -> Vec<Case> {
        let mut cases = Cases {
            kind: self,
            known: BTreeSet::new(),
            list: Vec::new(),
        };
        if self.object.is_object() {
            cases.create("base", &[]);
            if !self.by_hand {
                self.broken_fields(&mut cases);
            }
        }
        for (path, values) in &self.each {
            for value in values {
                cases.create(&format!("{path}={}", short(value)), &[(path.clone(), value.clone())]);
            }
        }
        for changes in &self.cases {
            let (name, changes) = together(changes);
            cases.create(&name, &changes);
        }
        if self.has_base() {
            self.changed_fields(&mut cases);
        }
        for changes in &self.updates {
            let (name, changes) = together(changes);
            cases.add(format!("{} update {name}", self.name), Form::Update(changes));
        }
        for request in &self.requests {
            cases.add(
                format!("{} {}", self.name, request.name),
                Form::Raw(Box::new(request.clone())),
            );
        }
        cases.list
    }

    fn skips(&self, path: &str) -> bool {
        self.skip.iter().any(|skipped| path.starts_with(skipped.as_str()))
    }

    fn broken_fields(&self, cases: &mut Cases<'_>) {
        let mut found = Vec::new();
        places(&self.object, "", &mut found);
        for (path, value) in found.into_iter().filter(|(path, _)| !self.skips(path)) {
            for (name, broken) in broken(value, &path) {
                cases.create(&format!("{path}={name}"), &[(path.clone(), broken)]);
            }
        }
    }

    fn changed_fields(&self, cases: &mut Cases<'_>) {
        let mut found = Vec::new();
        places(&self.object, "", &mut found);
        for (path, value) in found
            .into_iter()
            .filter(|(path, _)| !self.skips(path) && !path.starts_with("metadata.name"))
        {
            let named = |word: &str| format!("{} update {path}={word}", self.name);
            if let Some(other) = other(value, &path) {
                cases.add(named("other"), Form::Update(vec![(path.clone(), other)]));
            }
            cases.add(named("removed"), Form::Update(vec![(path.clone(), json!(REMOVE))]));
        }
    }
}

fn together(changes: &Map<String, Value>) -> (String, Vec<(String, Value)>) {
    let names: Vec<String> = changes
        .iter()
        .map(|(path, value)| format!("{path}={}", short(value)))
        .collect();
    (
        names.join(" "),
        changes
            .iter()
            .map(|(path, value)| (path.clone(), value.clone()))
            .collect(),
    )
}

/// A value in a name: whole where it is short.
fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= 100 {
        return text;
    }
    let end = text.char_indices().nth(80).map_or(text.len(), |(end, _)| end);
    format!("{}…#{:06x}", &text[..end], hash(&text) & 0xff_ffff)
}

/// FNV-1a: short, and the same everywhere.
pub fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

struct Cases<'k> {
    kind: &'k Kind,
    known: BTreeSet<String>,
    list: Vec<Case>,
}

impl Cases<'_> {
    fn create(&mut self, name: &str, changes: &[(String, Value)]) {
        let mut object = self.kind.object.clone();
        changes.iter().for_each(|(path, value)| set(&mut object, path, value));
        self.add(format!("{} create {name}", self.kind.name), Form::Create(object));
    }

    /// A case that comes twice counts once.
    fn add(&mut self, name: String, form: Form) {
        if self.known.insert(name.clone()) {
            self.list.push(Case { name, form });
        }
    }
}
