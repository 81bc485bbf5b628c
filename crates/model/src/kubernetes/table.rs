//! The table of kinds and fields, `api.txt`, and the schema of a kind made from it.
//!
//! Reading the table takes about a millisecond, once in a process; a schema is made when it is first asked for, and kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::release::Release;
use crate::manifest::Step;

/// Deepest nesting of types; no published kind comes near.
const MOST_DEPTH: usize = 40;

/// Which releases have something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    first: Release,
    last: Release,
}

impl Span {
    const ALWAYS: Span = Span {
        first: Release::FIRST,
        last: Release::NEWEST,
    };

    fn has(self, release: Release) -> bool {
        (self.first..=self.last).contains(&release)
    }
}

struct Field {
    name: &'static str,
    required: bool,
    /// As it stands in the table.
    kind: &'static str,
    span: Span,
}

struct Table {
    /// By `apiVersion` and kind: the type, and the releases.
    kinds: BTreeMap<(&'static str, &'static str), (&'static str, Span)>,
    /// By the same: how the API serves objects of the kind; none for kinds that are created below another.
    resources: BTreeMap<(&'static str, &'static str), Resource>,
    types: HashMap<&'static str, Vec<Field>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("api.txt")));

/// How the API serves objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Plural, lower case, as in paths: `pods`.
    pub plural: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What is below an object: `status`, `scale`, `log`. Sorted.
    pub subresources: Vec<&'static str>,
}

/// How Kubernetes' API serves a kind of its own, in the newest release that has it.
#[must_use]
pub fn resource(api_version: &str, kind: &str) -> Option<&'static Resource> {
    let mut all = TABLE.resources.iter();
    let found = all.find(|((version, known), _)| *version == api_version && *known == kind)?;
    Some(found.1)
}

/// Whether a kind of this name belongs to the whole cluster, in any API version. Kubernetes has no kind of one of these names that lies in a namespace.
#[must_use]
pub fn is_of_cluster(kind: &str) -> bool {
    let mut of_kind = TABLE.resources.iter().filter(|((_, known), _)| *known == kind);
    of_kind.any(|(_, resource)| !resource.namespaced)
}

/// How a release stands to an API version and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has it.
    Served {
        /// As an alpha API, which is off unless it is turned on.
        alpha: bool,
    },
    /// It has it no more.
    Removed {
        /// The last that had it.
        last: Release,
        /// The API version that has the kind in this release.
        instead: Option<&'static str>,
    },
    /// It does not have it yet.
    Newer {
        /// The first that has it.
        first: Release,
        /// The API version that has the kind in this release.
        instead: Option<&'static str>,
    },
    /// No release has this kind in this API version, although the API version or its group is Kubernetes' own.
    NoSuchKind {
        /// Where Kubernetes has the kind in this release.
        elsewhere: Option<&'static str>,
        /// The kinds of the API version in this release.
        kinds: Vec<&'static str>,
    },
    /// It is not one of Kubernetes' own groups.
    Foreign,
}

/// How a release stands to an API version and kind.
#[must_use]
pub fn standing(api_version: &str, kind: &str, release: Release) -> Standing {
    let table = &*TABLE;
    if let Some((_, span)) = table.kinds.get(&(api_version, kind)) {
        return if span.has(release) {
            Standing::Served {
                alpha: stage(api_version) == 0,
            }
        } else if span.last < release {
            Standing::Removed {
                last: span.last,
                instead: table.served(kind, release),
            }
        } else {
            Standing::Newer {
                first: span.first,
                instead: table.served(kind, release),
            }
        };
    }
    if !groups().any(|known| known == group(api_version)) {
        return Standing::Foreign;
    }
    let all = table.kinds.iter();
    let kinds = all.filter(|((version, _), (_, span))| *version == api_version && span.has(release));
    Standing::NoSuchKind {
        elsewhere: table.served(kind, release),
        kinds: kinds.map(|((_, kind), _)| *kind).collect(),
    }
}

/// Kubernetes' own API groups, the core group as an empty text.
pub fn groups() -> impl Iterator<Item = &'static str> {
    let mut last = None;
    let all = TABLE.kinds.keys().map(|(version, _)| group(version));
    all.filter(move |group| last.replace(*group) != Some(*group))
}

/// The schema of a kind in a release, as JSON Schema without descriptions; `None` when the release does not have it.
#[must_use]
pub fn schema(api_version: &str, kind: &str, release: Release) -> Option<Arc<Value>> {
    let (name, span) = TABLE.kinds.get(&(api_version, kind))?;
    span.has(release).then(|| made(name, release))
}

/// The same of a type that is a part of kinds, for example `core.v1.Toleration`.
#[must_use]
pub fn part(name: &str, release: Release) -> Option<Arc<Value>> {
    let (name, _) = TABLE.types.get_key_value(name)?;
    Some(made(name, release))
}

/// The schema of a type, made once for each release.
fn made(name: &'static str, release: Release) -> Arc<Value> {
    type Made = HashMap<(&'static str, Release), Arc<Value>>;
    static MADE: LazyLock<Mutex<Made>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let schema = made.entry((name, release));
    let schema = schema.or_insert_with(|| Arc::new(TABLE.object(name, release, 0)));
    Arc::clone(schema)
}

/// How a release stands to a field it does not have, when another release has it.
pub(super) fn field_standing(api_version: &str, kind: &str, steps: &[Step], release: Release) -> Option<Standing> {
    let table = &*TABLE;
    let mut here = table.kinds.get(&(api_version, kind)).map(|(name, _)| *name)?;
    let (last, before) = steps.split_last()?;
    let mut inside = "";
    for step in before {
        let rest = match step {
            Step::Index(_) => inside.strip_prefix("[]")?,
            Step::Key(_) if inside.starts_with("{}") => &inside[2..],
            Step::Key(key) => table.field(here, key)?.kind,
        };
        inside = rest;
        if let Some(name) = rest.strip_prefix('@') {
            here = table.types.get_key_value(name)?.0;
        }
    }
    let Step::Key(last) = last else { return None };
    let span = table.field(here, last)?.span;
    if span.first > release {
        Some(Standing::Newer {
            first: span.first,
            instead: None,
        })
    } else {
        (span.last < release).then_some(Standing::Removed {
            last: span.last,
            instead: None,
        })
    }
}

/// The group of an API version; empty for the core group.
fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// 2 for `v1`, 1 for `v1beta1`, 0 for `v1alpha1`.
fn stage(api_version: &str) -> u8 {
    match api_version {
        version if version.contains("alpha") => 0,
        version if version.contains("beta") => 1,
        _ => 2,
    }
}

impl Table {
    fn read(text: &'static str) -> Table {
        let mut table = Table {
            kinds: BTreeMap::new(),
            resources: BTreeMap::new(),
            types: HashMap::new(),
        };
        let mut fields: Option<&mut Vec<Field>> = None;
        for line in text.lines() {
            let (head, span) = spanned(line);
            if let Some(field) = head.strip_prefix(' ') {
                let (name, kind) = field.split_once(' ').unwrap_or((field, "any"));
                if let Some(fields) = &mut fields {
                    fields.push(Field {
                        name: name.trim_end_matches('!'),
                        required: name.ends_with('!'),
                        kind,
                        span,
                    });
                }
            } else if let Some(name) = head.strip_prefix("TYPE ") {
                fields = Some(table.types.entry(name).or_default());
            } else if let Some(kind) = head.strip_prefix("KIND ") {
                let mut words = kind.split(' ');
                if let (Some(version), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) {
                    table.kinds.insert((version, kind), (name, span));
                    if let Some(resource) = words.next().and_then(Resource::read) {
                        table.resources.insert((version, kind), resource);
                    }
                }
            }
        }
        table
    }

    fn field(&self, of: &str, name: &str) -> Option<&Field> {
        self.types.get(of)?.iter().find(|field| field.name == name)
    }

    /// The best API version that has a kind in a release: stable before beta before alpha.
    fn served(&self, kind: &str, release: Release) -> Option<&'static str> {
        let all = self.kinds.iter();
        let served = all.filter(|((_, known), (_, span))| *known == kind && span.has(release));
        // Of the same stage the newest, as of HorizontalPodAutoscalers; of two groups, as Events have them, the core group.
        let best = served.max_by_key(|((version, _), _)| (stage(version), !version.contains('/'), *version));
        best.map(|((version, _), _)| *version)
    }

    fn object(&self, name: &str, release: Release, depth: usize) -> Value {
        let Some(fields) = self.types.get(name).filter(|_| depth < MOST_DEPTH) else {
            return json!({ "x-kubernetes-preserve-unknown-fields": true });
        };
        let fields = fields.iter().filter(|field| field.span.has(release));
        let properties: Map<String, Value> = fields
            .clone()
            .map(|field| (field.name.to_owned(), self.value(field.kind, release, depth + 1)))
            .collect();
        let required: Vec<&str> = fields.filter(|field| field.required).map(|field| field.name).collect();
        if properties.is_empty() {
            // Types that are published without fields.
            return json!({ "type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true });
        }
        json!({ "type": "object", "nullable": true, "properties": properties, "required": required })
    }

    fn value(&self, kind: &str, release: Release, depth: usize) -> Value {
        if let Some(items) = kind.strip_prefix("[]") {
            return json!({ "type": "array", "nullable": true, "items": self.value(items, release, depth) });
        }
        if let Some(values) = kind.strip_prefix("{}") {
            return json!({ "type": "object", "nullable": true, "additionalProperties": self.value(values, release, depth) });
        }
        if let Some(name) = kind.strip_prefix('@') {
            return self.object(name, release, depth);
        }
        if let Some(values) = kind.strip_prefix("string=") {
            // An empty text stands for a field that is not there.
            let values: Vec<&str> = values.split('|').chain([""]).collect();
            return json!({ "type": "string", "nullable": true, "enum": values });
        }
        match kind {
            "string" => json!({ "type": "string", "nullable": true }),
            "int" => json!({ "type": "integer", "nullable": true }),
            "bool" => json!({ "type": "boolean", "nullable": true }),
            "number" => json!({ "type": "number", "nullable": true }),
            "intstr" => json!({ "x-kubernetes-int-or-string": true, "nullable": true }),
            "quantity" => json!({ "x-kubernetes-int-or-string": true, "format": "quantity", "nullable": true }),
            _ => json!({ "x-kubernetes-preserve-unknown-fields": true, "nullable": true }),
        }
    }
}

impl Resource {
    /// `pods/log/status`, `nodes*/status`; `.` is none.
    fn read(text: &'static str) -> Option<Self> {
        let mut parts = text.split('/');
        let plural = parts.next().filter(|plural| *plural != ".")?;
        Some(Self {
            plural: plural.trim_end_matches('*'),
            namespaced: !plural.ends_with('*'),
            subresources: parts.collect(),
        })
    }
}

/// A line without the releases at its end, and those.
fn spanned(line: &'static str) -> (&'static str, Span) {
    let Some((head, word)) = line.rsplit_once(' ') else {
        return (line, Span::ALWAYS);
    };
    let bound = |text: &str, none: Release| {
        if text.is_empty() {
            Some(none)
        } else {
            text.parse().ok().map(Release)
        }
    };
    let span = word.split_once('-').and_then(|(first, last)| {
        Some(Span {
            first: bound(first, Release::FIRST)?,
            last: bound(last, Release::NEWEST)?,
        })
    });
    match span {
        Some(span) => (head, span),
        None => (line, Span::ALWAYS),
    }
}
