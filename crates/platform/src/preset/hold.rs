//! An application that names a preset, held against it: locked keys, versions that are over, defaults that were counted on.

use std::sync::Arc;

use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::annotations::PRESET;
use stoke_model::manifest::{Document, Node};

use super::read::unknown;
use super::{Library, Parameters, Reference, effect, known_spark, path_of, resolve, shown};

/// What is wrong with an application by the preset that its annotation `stoke.dev/preset` names; nothing when it names none. `teams` are files of presets.
#[must_use]
pub fn look(document: &Document, teams: &[&Arc<Source>]) -> Vec<Diagnostic> {
    let annotations = document.node.lookup("metadata.annotations");
    let Some(named) = annotations.and_then(|all| all.get(PRESET)) else {
        return Vec::new();
    };
    let mut library = match Library::with(None) {
        Ok((library, _)) => library,
        Err(found) => return found,
    };
    for team in teams {
        match super::read(team, &library) {
            Ok((with, _)) => library = with,
            Err(_) => {
                let message = format!("the presets of {} cannot be read", team.name());
                let found = Diagnostic::at(
                    Severity::Error,
                    "preset-unread",
                    &document.source,
                    named.place,
                    PRESET,
                    message,
                );
                return vec![found.unknown().with_fix(format!(
                    "`stoke preset list --presets {}` says what is wrong with it",
                    team.name()
                ))];
            }
        }
    }
    against(document, named, &library)
}

/// The same with presets that were read.
#[must_use]
pub fn against(document: &Document, named: &Node, library: &Library) -> Vec<Diagnostic> {
    let at = |severity, code, place: Place, path: &str, message: String, fix: String| {
        Diagnostic::at(severity, code, &document.source, place, path, message).with_fix(fix)
    };
    let wrong = |code, message, fix| vec![at(Severity::Error, code, named.place, PRESET, message, fix)];
    let text = named.as_str().unwrap_or_default();
    let Some(reference) = Reference::parse(text) else {
        let message = format!("`{text}` does not name a preset");
        return wrong(
            "preset-unknown",
            message,
            "write a name with its version, such as etl@1".to_owned(),
        );
    };
    let Some(preset) = library.find(&reference) else {
        let (message, fix) = unknown(library, &reference);
        return wrong("preset-unknown", message, fix);
    };
    let path = document.spec_path();
    let version = document
        .node
        .lookup(&format!("{path}.sparkVersion"))
        .and_then(Node::as_str)
        .unwrap_or_default();
    if known_spark(version).is_none() {
        let message = format!("which keys `{reference}` locks is not known for Spark `{version}`");
        let found = at(
            Severity::Error,
            "preset-spark",
            named.place,
            PRESET,
            message,
            "name a version such as 4.1.4 in sparkVersion".to_owned(),
        );
        return vec![found.unknown()];
    }
    let resolved = match resolve(library, &reference, version, &Parameters::default()) {
        Ok(resolved) => resolved,
        Err(found) => return found,
    };
    let mut all = Vec::new();
    let own_kind = document.kind.strip_prefix("Scheduled").unwrap_or(&document.kind);
    if resolved.kind != own_kind {
        let message = format!(
            "`{reference}` is for a {}, and this is a {}",
            resolved.kind, document.kind
        );
        all.push(at(
            Severity::Error,
            "preset-kind",
            named.place,
            PRESET,
            message,
            "name a preset for this kind; `stoke preset list` shows them".to_owned(),
        ));
        return all;
    }
    if let Some(deprecated) = &preset.deprecated {
        let message = format!("{} is deprecated: {}", preset.reference(), deprecated.because);
        let fix = format!(
            "`stoke preset diff {} {}` shows what changes; then name {}",
            preset.reference(),
            deprecated.instead,
            deprecated.instead
        );
        all.push(at(
            Severity::Warning,
            "preset-deprecated",
            named.place,
            PRESET,
            message,
            fix,
        ));
    }
    let mut whole = document.value.clone();
    // A name decides nothing here, and the API server may give it.
    whole["metadata"]["name"] = "preset".into();
    let in_force = effect::properties(&whole).unwrap_or_default();
    for key in resolved.keys.iter().filter(|key| key.locked) {
        let place_path = path_of(&key.key, path);
        let wanted = shown(&key.value);
        let message = match document.node.lookup(&place_path) {
            None => format!("`{}` is locked by {} to {wanted}, and is not there", key.key, key.from),
            Some(node) if shown(&node.to_value()) != wanted => {
                format!(
                    "`{}` is locked by {} to {wanted}, and is {}",
                    key.key,
                    key.from,
                    shown(&node.to_value())
                )
            }
            Some(_) => match in_force
                .get(&key.key)
                .filter(|value| key.key.starts_with("spark.") && **value != wanted)
            {
                Some(value) => format!(
                    "`{}` is locked by {} to {wanted}, and a field makes it {value}",
                    key.key, key.from
                ),
                None => continue,
            },
        };
        let place = match document.node.lookup(&place_path) {
            Some(_) => document.node.place_of(&place_path),
            None => named.place,
        };
        let fix = format!("write {wanted}, or ask the owner of the preset: {}", key.why);
        all.push(at(Severity::Error, "preset-locked", place, &place_path, message, fix));
    }
    for rely in &resolved.relies {
        let place_path = path_of(&rely.key, path);
        let Some(node) = document.node.lookup(&place_path) else {
            continue;
        };
        let value = shown(&node.to_value());
        if !value.eq_ignore_ascii_case(&rely.value) {
            let message = format!(
                "`{}` is {value}, and {} counts on {}: {}",
                rely.key, rely.from, rely.value, rely.why
            );
            let fix = "remove it, or name another preset".to_owned();
            all.push(at(
                Severity::Warning,
                "preset-relied",
                document.node.place_of(&place_path),
                &place_path,
                message,
                fix,
            ));
        }
    }
    all
}
