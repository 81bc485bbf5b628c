//! The text of the file becomes types, or complaints at their places.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use stoke_diagnostics::{Diagnostic, Excerpt, Fix, Place, Severity, Source, has_errors};
use stoke_model::manifest::{self, Content, Node, Step, join, nearest, parse_path};
use stoke_model::redaction::is_secret;
use stoke_model::schema::lint;

use super::{Platform, schema};
use crate::check::{Issue, examine};
use crate::component::CATALOGUE;
use crate::encrypted::EncryptedFile;
use crate::environment::{Resolved, resolve};

/// Gives the text of a file beside the platform's.
pub type Beside<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// No file is beside it.
///
/// # Errors
/// Always: what cannot be read is not passed over.
pub fn alone(_: &str) -> Result<String, String> {
    Err("no file is read beside this one".to_owned())
}

/// A file that was read and found right.
#[derive(Clone, Debug)]
pub struct File {
    pub platform: Platform,
    /// The files with encrypted Secrets that it names, as it stands or in an environment.
    pub encrypted: Vec<EncryptedFile>,
    /// What is right and perhaps not meant.
    pub warnings: Vec<Diagnostic>,
}

impl File {
    /// The file in an environment; as it stands where none is named.
    ///
    /// # Errors
    /// When there is no such environment.
    pub fn in_environment(&self, environment: Option<&str>) -> Result<Resolved, Box<Diagnostic>> {
        let resolved = resolve(&self.platform, environment).map(|mut resolved| {
            resolved.encrypted = encrypted_of(&resolved.platform, &self.encrypted);
            resolved
        });
        resolved.map_err(|why| {
            let names: Vec<&str> = self.platform.environments.keys().map(String::as_str).collect();
            let fix = match environment.and_then(|name| nearest(name, names.iter().copied())) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "the file has no `environments`: name none".to_owned(),
                None => format!("there are {}", names.join(", ")),
            };
            Box::new(Diagnostic::new(Severity::Error, "platform-environment", why).with_fix(fix))
        })
    }
}

/// Those of some files that a platform names, in its order.
fn encrypted_of(platform: &Platform, all: &[EncryptedFile]) -> Vec<EncryptedFile> {
    let names = platform.secrets.files.iter().flatten();
    names
        .filter_map(|name| all.iter().find(|file| file.path == *name).cloned())
        .collect()
}

/// Reads a file and checks it, as it stands and in each of its environments.
///
/// # Errors
/// Everything that is wrong, each at its place with a fix, in the order of the file.
pub fn read(source: &Arc<Source>, beside: Beside<'_>) -> Result<File, Vec<Diagnostic>> {
    let (documents, mut complaints) = manifest::read(source);
    let [node] = &documents[..] else {
        if !has_errors(&complaints) {
            let message = format!("it has {} documents; one is wanted", documents.len());
            let found = Diagnostic::of_file(Severity::Error, "platform-file", source.name(), message);
            complaints.push(found.with_fix("write one document; `stoke platform init` makes one to begin with"));
        }
        return Err(complaints);
    };
    complaints.extend(shape(source, node));
    complaints.extend(plain_secrets(source, node));
    if has_errors(&complaints) {
        return Err(in_order(complaints));
    }
    let platform: Platform = match serde_json::from_value(node.to_value()) {
        Ok(platform) => platform,
        Err(error) => {
            let found = Diagnostic::of_file(Severity::Error, "platform-file", source.name(), error.to_string());
            complaints.push(found.with_fix("compare it with `stoke platform schema`"));
            return Err(complaints);
        }
    };
    let encrypted = match encrypted_files(source, node, beside) {
        Ok(encrypted) => encrypted,
        Err(found) => {
            complaints.extend(found);
            return Err(in_order(complaints));
        }
    };
    complaints.extend(meaning(source, node, &platform, &encrypted));
    let complaints = in_order(complaints);
    match has_errors(&complaints) {
        true => Err(complaints),
        false => Ok(File {
            platform,
            encrypted,
            warnings: complaints,
        }),
    }
}

/// The files with encrypted Secrets that are named, each once.
fn encrypted_files(
    source: &Arc<Source>,
    node: &Node,
    beside: Beside<'_>,
) -> Result<Vec<EncryptedFile>, Vec<Diagnostic>> {
    let environments = node.get("environments").map(Node::entries).unwrap_or_default();
    let of_environments = environments
        .iter()
        .map(|entry| join(&join("environments", &entry.key), "secrets"));
    let paths: Vec<String> = std::iter::once("secrets".to_owned()).chain(of_environments).collect();
    let (mut all, mut complaints): (Vec<EncryptedFile>, Vec<Diagnostic>) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for path in paths {
        let path = join(&path, "files");
        for (index, item) in node
            .lookup(&path)
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            let Some(name) = item.as_str().filter(|name| seen.insert((*name).to_owned())) else {
                continue;
            };
            match beside(name) {
                Err(why) => {
                    let path = manifest::join_index(&path, index);
                    let message = format!("`{name}` cannot be read: {why}");
                    let found = Diagnostic::at(
                        Severity::Error,
                        "platform-secret-file",
                        source,
                        item.place,
                        &path,
                        message,
                    );
                    complaints.push(found.with_fix("write the path from the directory of this file"));
                }
                Ok(text) => match crate::encrypted::read(name, &text) {
                    Ok(file) => all.push(file),
                    Err(found) => complaints.extend(found),
                },
            }
        }
    }
    match has_errors(&complaints) {
        true => Err(complaints),
        false => Ok(all),
    }
}

fn in_order(mut complaints: Vec<Diagnostic>) -> Vec<Diagnostic> {
    complaints.sort_by_key(|complaint| (complaint.line, complaint.column));
    complaints
}

/// Texts that are a secret by their form, whatever key they have.
fn plain_secrets(source: &Arc<Source>, node: &Node) -> Vec<Diagnostic> {
    fn walk(path: &str, node: &Node, found: &mut Vec<(String, Place)>) {
        for entry in node.entries() {
            walk(&join(path, &entry.key), &entry.value, found);
        }
        for (index, item) in node.items().iter().enumerate() {
            walk(&manifest::join_index(path, index), item, found);
        }
        if node.as_str().is_some_and(looks_secret) {
            found.push((path.to_owned(), node.place));
        }
    }
    let mut found = Vec::new();
    walk("", node, &mut found);
    found
        .into_iter()
        .map(|(path, place)| {
            let message = "a secret stands here in plain".to_owned();
            let found = Diagnostic::at(Severity::Error, "platform-secret", source, place, &path, message);
            let key = match parse_path(&path).pop() {
                Some(Step::Key(key)) => key,
                _ => "it".to_owned(),
            };
            plain_secret(found, &key)
        })
        .collect()
}

/// Whether a text has a form that secrets have: a key of AWS, a token of Vault or GitHub, a private key, a password in an address, a key of Azure's storage.
fn looks_secret(text: &str) -> bool {
    let upper = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "._-+/=".contains(c)));
    let is_word = words.into_iter().any(|word| {
        let aws = word.len() == 20 && ["AKIA", "ASIA"].iter().any(|start| word.starts_with(start)) && upper(word);
        let token = ["hvs.", "hvb.", "ghp_", "github_pat_", "glpat-", "xoxb-"]
            .iter()
            .any(|start| word.strip_prefix(start).is_some_and(|rest| rest.len() >= 16));
        let jwt = word.starts_with("eyJ") && word.matches('.').count() == 2 && word.len() > 40;
        let azure = word.len() == 88 && word.ends_with("==");
        aws || token || jwt || azure
    });
    let in_address = text.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let login = authority.rsplit_once('@').and_then(|(login, _)| login.split_once(':'));
        login.is_some_and(|(_, password)| !password.is_empty() && !password.starts_with('$'))
    });
    is_word || in_address || text.contains("PRIVATE KEY-----")
}

/// Keys, types and words, against the schemas.
fn shape(source: &Arc<Source>, node: &Node) -> Vec<Diagnostic> {
    let mut found = taught(source, node, node, schema::root(), "");
    let components = node.get("components");
    for entry in components.map(Node::entries).unwrap_or_default() {
        let path = join("components", &entry.key);
        match (kind_of(&entry.value), &entry.value.content) {
            (Some(kind), Content::Map(_)) => match schema::of_kind(kind) {
                Some(of_kind) => found.extend(taught(source, node, &entry.value, of_kind, &path)),
                None => found.push(unknown_kind(source, &entry.value, kind, &path)),
            },
            (None, Content::Map(_)) if entry.value.get("kind").is_none() => {
                let names: Vec<&str> = CATALOGUE.iter().map(|about| about.kind).collect();
                let message = format!("`{}` has no `kind`, which is required", entry.key);
                let missing = Diagnostic::at(
                    Severity::Error,
                    "missing-field",
                    source,
                    entry.key_place,
                    &path,
                    message,
                );
                found.push(missing.with_fix(format!("add `kind`, one of {}", names.join(", "))));
            }
            (_, Content::Map(_)) => {
                let place = entry.value.get("kind").map_or(entry.key_place, |kind| kind.place);
                let wrong = Diagnostic::at(
                    Severity::Error,
                    "wrong-type",
                    source,
                    place,
                    &join(&path, "kind"),
                    "`kind` must be a string",
                );
                found.push(wrong.with_fix("write the kind of the component, for example `kind: postgresql`"));
            }
            _ => found.push(not_a_mapping(source, entry.key_place, &path, &entry.key)),
        }
    }
    for environment in node.get("environments").map(Node::entries).unwrap_or_default() {
        let path = join(&join("environments", &environment.key), "components");
        for overlay in environment
            .value
            .get("components")
            .map(Node::entries)
            .unwrap_or_default()
        {
            let path = join(&path, &overlay.key);
            let Some(component) = components.and_then(|components| components.get(&overlay.key)) else {
                let names = components
                    .map(Node::entries)
                    .unwrap_or_default()
                    .iter()
                    .map(|entry| entry.key.as_str());
                let fix = match nearest(&overlay.key, names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "an environment sets something of components that are there: add it below `components`"
                        .to_owned(),
                };
                let message = format!("there is no component `{}`", overlay.key);
                let wrong = Diagnostic::at(
                    Severity::Error,
                    "platform-reference",
                    source,
                    overlay.key_place,
                    &path,
                    message,
                );
                found.push(wrong.with_fix(fix));
                continue;
            };
            if !matches!(overlay.value.content, Content::Map(_)) {
                found.push(not_a_mapping(source, overlay.key_place, &path, &overlay.key));
                continue;
            }
            if let Some((kind, of_overlay)) = kind_of(component).and_then(|kind| Some((kind, schema::overlay(kind)?))) {
                let taught = taught(source, node, &overlay.value, &of_overlay, &path);
                found.extend(
                    taught
                        .into_iter()
                        .map(|complaint| fixed_everywhere(complaint, kind, &overlay.key, &of_overlay)),
                );
            }
        }
    }
    found
}

fn not_a_mapping(source: &Source, place: Place, path: &str, name: &str) -> Diagnostic {
    let message = format!("`{name}` must be a mapping");
    Diagnostic::at(Severity::Error, "wrong-type", source, place, path, message)
        .with_fix("put its keys on the following lines, indented further")
}

fn kind_of(component: &Node) -> Option<&str> {
    component.get("kind").and_then(Node::as_str)
}

fn unknown_kind(source: &Source, component: &Node, kind: &str, path: &str) -> Diagnostic {
    let names = CATALOGUE.iter().map(|about| about.kind);
    let place = component.get("kind").map_or(component.place, |kind| kind.place);
    let path = join(path, "kind");
    let found = Diagnostic::at(
        Severity::Error,
        "unknown-value",
        source,
        place,
        &path,
        format!("there is no kind of component `{kind}`"),
    );
    found.with_fix(match nearest(kind, names.clone()) {
        Some(near) => Fix {
            text: format!("did you mean `{near}`?"),
            patch: patch(&path, json!(near)),
        },
        None => Fix::from(format!("it is one of {}", names.collect::<Vec<_>>().join(", "))),
    })
}

/// A key of the component that an environment may not set.
fn fixed_everywhere(complaint: Diagnostic, kind: &str, name: &str, overlay: &Value) -> Diagnostic {
    let steps = parse_path(&complaint.path);
    let Some(Step::Key(key)) = steps
        .get(4)
        .filter(|_| steps.len() == 5 && complaint.code == "unknown-field")
    else {
        return complaint;
    };
    let is_of_kind = schema::of_kind(kind).is_some_and(|schema| !schema["properties"][key].is_null());
    if !is_of_kind {
        return complaint;
    }
    let mut complaint = complaint.with_code("platform-overlay");
    complaint.message =
        format!("`{key}` of `{name}` is the same in all environments: it says what runs, or what belongs together");
    let allowed: Vec<&str> = overlay["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    complaint.fix = Some(
        match allowed.is_empty() {
            true => format!("set it in `components.{name}`; nothing of a `{kind}` is set by an environment"),
            false => format!(
                "set it in `components.{name}`; an environment sets {}",
                allowed.join(", ")
            ),
        }
        .into(),
    );
    complaint
}

/// What the lint finds, with fixes that hold for this file: its keys are not Kubernetes'.
fn taught(source: &Source, root: &Node, node: &Node, schema: &Value, path: &str) -> Vec<Diagnostic> {
    let found = lint(source, node, schema);
    found
        .into_iter()
        .map(|complaint| teach(complaint, root, schema, path))
        .collect()
}

fn teach(mut complaint: Diagnostic, root: &Node, schema: &Value, path: &str) -> Diagnostic {
    let relative = parse_path(&complaint.path);
    complaint.path = relative.iter().fold(path.to_owned(), |path, step| match step {
        Step::Key(key) => join(&path, key),
        Step::Index(index) => manifest::join_index(&path, *index),
    });
    let value = root.lookup(&complaint.path).map(Node::to_value);
    if complaint.code == "unknown-field"
        && let Some(Step::Key(key)) = relative.last()
    {
        let keys = keys_at(schema, &relative[..relative.len() - 1]);
        let near = nearest(key, keys.iter().map(String::as_str));
        if near.is_none() && is_secret(key) && matches!(value, Some(Value::String(_))) {
            return plain_secret(complaint, key);
        }
        complaint.fix = Some(match near {
            Some(near) => Fix {
                text: format!("did you mean `{near}`?"),
                patch: renamed(&complaint.path, near, value.unwrap_or_default()),
            },
            None if keys.is_empty() => "remove it; there are no keys here".into(),
            None => format!("remove it, or write one of {}", keys.join(", ")).into(),
        });
        return complaint;
    }
    if complaint.code == "bad-quantity" {
        complaint = complaint.divided();
    }
    let text = complaint.fix_text().to_owned();
    let word = text
        .strip_prefix("write `")
        .and_then(|rest| rest.strip_suffix('`'))
        .map(|word| json!(word));
    let quoted = text
        .strip_prefix("quote it: \"")
        .and_then(|rest| rest.strip_suffix('"'))
        .map(|word| json!(word));
    let unquoted = text
        .strip_prefix("remove the quotes: ")
        .and_then(|rest| serde_json::from_str(rest).ok());
    // In quotes it may still be none of the words that are taken.
    let words = at(schema, &relative)["enum"].as_array();
    let is_taken = |value: &Value| words.is_none_or(|words| words.contains(value));
    let patch = word
        .or(quoted)
        .or(unquoted)
        .filter(is_taken)
        .and_then(|value| patch(&complaint.path, value));
    complaint.fix = Some(Fix {
        text: match text.is_empty() {
            true => "write another value; `stoke platform schema` has what is allowed".to_owned(),
            false => text,
        },
        patch,
    });
    complaint
}

/// The line is not shown: it has the secret in it.
fn plain_secret(complaint: Diagnostic, key: &str) -> Diagnostic {
    let mut complaint = complaint.with_code("platform-secret");
    complaint.excerpt = Excerpt::default();
    complaint.message = format!("`{key}` would hold a secret in the file");
    complaint.fix = Some(
        "put it into a Secret of the namespace, name that with `secret`, and change it: whoever could read this file knows it".into(),
    );
    complaint
}

/// What a schema says of a path.
fn at<'a>(schema: &'a Value, path: &[Step]) -> &'a Value {
    path.iter().fold(schema, |schema, step| match step {
        Step::Key(key) if !schema["properties"][key].is_null() => &schema["properties"][key],
        Step::Key(_) => &schema["additionalProperties"],
        Step::Index(_) => &schema["items"],
    })
}

/// Keys that a schema has at a path.
fn keys_at(schema: &Value, path: &[Step]) -> Vec<String> {
    let properties = at(schema, path)["properties"].as_object();
    properties.into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

/// A merge patch of the file that sets one value; none where the path leads into a list, which such a patch cannot change in part.
pub(crate) fn patch(path: &str, value: Value) -> Option<Value> {
    let steps = parse_path(path);
    steps.into_iter().rev().try_fold(value, |value, step| match step {
        Step::Key(key) => Some(json!({(key): value})),
        Step::Index(_) => None,
    })
}

fn renamed(path: &str, to: &str, value: Value) -> Option<Value> {
    let mut steps = parse_path(path);
    let Some(Step::Key(from)) = steps.pop() else {
        return None;
    };
    let inner = json!({(from): null, (to.to_owned()): value});
    steps.into_iter().rev().try_fold(inner, |value, step| match step {
        Step::Key(key) => Some(json!({(key): value})),
        Step::Index(_) => None,
    })
}

/// What the values mean together, as the file stands and in each environment.
fn meaning(source: &Arc<Source>, node: &Node, platform: &Platform, encrypted: &[EncryptedFile]) -> Vec<Diagnostic> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    let names = std::iter::once(None).chain(platform.environments.keys().map(|name| Some(name.as_str())));
    for environment in names {
        let resolved = match resolve(platform, environment) {
            Ok(mut resolved) => {
                resolved.encrypted = encrypted_of(&resolved.platform, encrypted);
                resolved
            }
            Err(why) => {
                let path = environment.map_or_else(String::new, |name| join("environments", name));
                let found = Diagnostic::at(
                    Severity::Error,
                    "platform-overlay",
                    source,
                    node.place_of(&path),
                    &path,
                    why,
                );
                all.push(found.with_fix("write what the component's own key may hold"));
                continue;
            }
        };
        for issue in examine(&resolved, platform, environment) {
            let (place, path) = placed(node, environment, &issue.path);
            // What holds of the file as it stands is told once.
            if seen.insert((issue.code, place.start, issue.message.clone())) {
                all.push(told(
                    source,
                    place,
                    &path,
                    issue,
                    environment.filter(|_| environment.is_some()),
                ));
            }
        }
    }
    all
}

/// Where a value is written: in the environment if it sets it, else in the file.
fn placed(node: &Node, environment: Option<&str>, path: &str) -> (Place, String) {
    if let Some(environment) = environment {
        let above = join("environments", environment);
        let there = match path.starts_with("environments") {
            true => path.to_owned(),
            false => format!("{above}.{path}"),
        };
        if let Some(value) = node.lookup(&there) {
            return (value.place, there);
        }
    }
    let place = match node.lookup(path) {
        Some(value) if !matches!(value.content, Content::Map(_) | Content::List(_)) => value.place,
        _ => node.place_of(path),
    };
    (place, path.to_owned())
}

fn told(source: &Source, place: Place, path: &str, issue: Issue, environment: Option<&str>) -> Diagnostic {
    let message = match environment {
        Some(name) => format!("{} (environment `{name}`)", issue.message),
        None => issue.message,
    };
    let mut found = Diagnostic::at(issue.severity, issue.code, source, place, path, message).with_fix(Fix {
        text: issue.fix,
        patch: issue.instead.and_then(|value| patch(path, value)),
    });
    if issue.code == "platform-secret" {
        found.excerpt = Excerpt::default();
    }
    found
}
