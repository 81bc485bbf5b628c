//! A preset written into a manifest: its text stays as it is but for the keys that are added.
//!
//! What the manifest says itself stays, unless the preset locks it, which is an error. The changed text is read again and must be exactly what was meant;
//! otherwise nothing is changed.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use stoke_diagnostics::{Diagnostic, Severity, Source, has_errors};
use stoke_model::annotations::PRESET;
use stoke_model::manifest::{self, Content, Document, Node, join};

use super::{Resolved, effect, path_of, shown};

/// What became of a manifest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Applied {
    /// Name of the application.
    pub application: String,
    /// The whole text of the file.
    #[serde(skip)]
    pub text: String,
    /// Keys that were added.
    pub added: Vec<String>,
    /// Keys that the manifest has with other values.
    pub kept: Vec<Kept>,
}

/// A value of the manifest that stays.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kept {
    pub key: String,
    pub manifest: Value,
    pub preset: Value,
}

/// Writes a preset into a manifest. `which` names the application where the file has several.
///
/// # Errors
/// A file that cannot be read, no application or several, locked keys with other values, a form that cannot be added to.
pub fn apply(source: &Arc<Source>, resolved: &Resolved, which: Option<&str>) -> Result<Applied, Vec<Diagnostic>> {
    let (documents, complaints) = manifest::check(source.name(), source.text());
    // What an application lacks or has wrong is the check's business; that the text is YAML is ours.
    let unread = complaints
        .into_iter()
        .filter(|one| one.code.starts_with("yaml") || one.code == "duplicate-key");
    let unread: Vec<Diagnostic> = unread.collect();
    if has_errors(&unread) {
        return Err(unread);
    }
    let document = chosen(source, &documents, resolved, which)?;
    let path = document.spec_path();
    let (mut missing, mut added, mut kept, mut wrong) = (Value::Object(Map::new()), Vec::new(), Vec::new(), Vec::new());
    let mut wanted = document.value.clone();
    for key in &resolved.keys {
        let at = path_of(&key.key, path);
        match document.node.lookup(&at) {
            None => {
                effect::set(&mut missing, &at, key.value.clone());
                effect::set(&mut wanted, &at, key.value.clone());
                added.push(key.key.clone());
            }
            Some(node) if shown(&node.to_value()) == shown(&key.value) => {}
            Some(node) if key.locked => {
                let message = format!(
                    "`{}` is locked by {} to {}, and is {}",
                    key.key,
                    key.from,
                    shown(&key.value),
                    shown(&node.to_value())
                );
                wrong.push(
                    document
                        .complain(Severity::Error, "preset-locked", &at, message)
                        .with_fix(format!("write {}, or remove it: {}", shown(&key.value), key.why)),
                );
            }
            Some(node) => kept.push(Kept {
                key: key.key.clone(),
                manifest: node.to_value(),
                preset: key.value.clone(),
            }),
        }
    }
    let annotation = join("metadata.annotations", PRESET);
    let name = Value::String(resolved.preset.clone());
    let mut edits = Vec::new();
    match document.node.lookup(&annotation) {
        Some(node) if node.as_str() == Some(&resolved.preset) => {}
        Some(node) => edits.push((node.place.start, node.place.end, name.to_string())),
        None => effect::set(&mut missing, &annotation, name.clone()),
    }
    effect::set(&mut wanted, &annotation, name);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    insertions(source, &document.node, &missing, &mut edits).map_err(|path| {
        let message = format!("`{path}` has no value, and keys belong below it");
        vec![
            document
                .complain(Severity::Error, "preset-form", &path, message)
                .with_fix("write `{}` after it, or remove it"),
        ]
    })?;
    // From the end on, so that what is before stays where it is.
    edits.sort_by_key(|(start, ..)| std::cmp::Reverse(*start));
    let mut text = source.text().to_owned();
    for (start, end, new) in edits {
        text.replace_range(start..end, &new);
    }
    let (after, _) = manifest::check(source.name(), &text);
    let index = documents
        .iter()
        .position(|one| std::ptr::eq(one, document))
        .unwrap_or_default();
    let as_meant = after.len() == documents.len()
        && after
            .iter()
            .zip(&documents)
            .enumerate()
            .all(|(at, (new, old))| match at == index {
                true => new.value == wanted,
                false => new.value == old.value,
            });
    if !as_meant {
        let message = "keys cannot be added to this form of YAML without changing something else";
        return Err(vec![
            document
                .complain(Severity::Error, "preset-form", path, message)
                .with_fix("write `spec` as an indented block, without anchors"),
        ]);
    }
    Ok(Applied {
        application: document.name.clone(),
        text,
        added,
        kept,
    })
}

/// The application that is meant: the one of the preset's kind, or the one of a name among several.
///
/// # Errors
/// None of the kind, or several.
pub fn chosen<'a>(
    source: &Source,
    documents: &'a [Document],
    resolved: &Resolved,
    which: Option<&str>,
) -> Result<&'a Document, Vec<Diagnostic>> {
    let fits = |document: &&Document| {
        document.is_ours()
            && document.kind.strip_prefix("Scheduled").unwrap_or(&document.kind) == resolved.kind
            && which.is_none_or(|name| name == document.name)
    };
    let all: Vec<&Document> = documents.iter().filter(fits).collect();
    match all[..] {
        [only] => Ok(only),
        [] => {
            let named = which.map_or(String::new(), |name| format!(" called `{name}`"));
            let message = format!(
                "it holds no {}{named}, which `{}` is for",
                resolved.kind, resolved.preset
            );
            let fix = "name a manifest that has one, or another preset; `stoke preset list` shows what each is for";
            Err(vec![
                Diagnostic::of_file(Severity::Error, "preset-kind", source.name(), message).with_fix(fix),
            ])
        }
        _ => {
            let names: Vec<&str> = all.iter().map(|document| document.name.as_str()).collect();
            let message = format!("it holds {} of them: {}", all.len(), names.join(", "));
            let fix = "name one with --application";
            Err(vec![
                Diagnostic::of_file(Severity::Error, "preset-kind", source.name(), message).with_fix(fix),
            ])
        }
    }
}

/// Texts to insert, for what is missing below a mapping that is there: start, end and text each.
///
/// # Errors
/// The path of a key without a value.
fn insertions(
    source: &Source,
    node: &Node,
    missing: &Value,
    edits: &mut Vec<(usize, usize, String)>,
) -> Result<(), String> {
    let Value::Object(missing) = missing else { return Ok(()) };
    let mut new = Map::new();
    for (key, value) in missing {
        match node.entry(key) {
            None => {
                new.insert(key.clone(), value.clone());
            }
            Some(entry) => match entry.value.content {
                Content::Map(_) => {
                    insertions(source, &entry.value, value, edits).map_err(|path| match path.is_empty() {
                        true => key.clone(),
                        false => format!("{key}.{path}"),
                    })?
                }
                _ => return Err(key.clone()),
            },
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    let text = source.text();
    let start = node.place.start.min(text.len());
    if text[start..].starts_with('{') {
        let pairs: Vec<String> = new
            .iter()
            .map(|(key, value)| format!("{}: {value}", Value::String(key.clone())))
            .collect();
        let comma = if node.entries().is_empty() { "" } else { ", " };
        edits.push((start + 1, start + 1, format!("{}{comma}", pairs.join(", "))));
        return Ok(());
    }
    let Some(first) = node.entries().first() else {
        return Err(String::new());
    };
    let at = first.key_place.start.min(text.len());
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let indent = &text[line..at];
    let yaml = serde_saphyr::to_string(&Value::Object(new)).map_err(|_| String::new())?;
    let block: String = yaml
        .trim_end()
        .lines()
        .map(|line| format!("{indent}{line}\n"))
        .collect();
    edits.push((line, line, block));
    Ok(())
}
