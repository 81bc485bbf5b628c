//! Data contracts: whether they can be read, so that they check something when the job runs.
//!
//! Files of the job, and keys of its ConfigMaps that an application's `stoke.dev/quality` names. What a contract may say is the business of the
//! room that checks data; its reader is passed in ([`Settings::contracts`]).

use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::annotations::QUALITY;
use stoke_model::annotations::quality::{self, FileOf, Step};
use stoke_model::manifest::{Document, Entry};

use super::Looked;
use crate::Settings;
use crate::job::{Job, Kind};

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let files = job.files.iter().filter(|file| matches!(file.kind, Kind::Contract));
    let mut findings = Vec::new();
    let mut count = 0;
    for file in files {
        count += 1;
        findings.extend(read(&file.source, settings));
    }
    for (map, entry) in in_config_maps(job, settings) {
        let Some(text) = entry.value.as_str() else { continue };
        count += 1;
        let inner = Source::new(map.source.name(), text);
        let found = read(&inner, settings).into_iter();
        findings.extend(found.map(|finding| placed(finding, &map.source, entry.value.place)));
    }
    Looked::at(count, "contract", findings)
}

fn read(source: &Source, settings: &Settings) -> Vec<Diagnostic> {
    let Some(read) = settings.contracts else {
        let message = "no reader of contracts is at hand";
        return vec![
            Diagnostic::cannot_tell("contract-unread", source.name(), message).with_fix("`stoke check` has one"),
        ];
    };
    let coded = read(source).into_iter().map(|complaint| {
        let code = match complaint.severity {
            Severity::Error => "bad-contract",
            _ => "doubtful-contract",
        };
        complaint.with_code(code)
    });
    coded.collect()
}

/// The steps that an application's annotation asks for, with where it stands; none when it cannot be read, which the gate of manifests tells.
fn steps(document: &Document) -> Vec<(Step, Place)> {
    let annotation = document
        .node
        .lookup("metadata.annotations")
        .and_then(|all| all.get(QUALITY));
    let read = annotation.and_then(|node| Some((node.place, quality::read(node.as_str()?).ok()?)));
    let Some((place, steps)) = read else {
        return Vec::new();
    };
    let all = steps.before.into_iter().chain(steps.after);
    all.map(|step| (step, place)).collect()
}

/// The contracts and waivers that an application's annotation names, with where it stands.
pub(super) fn files(document: &Document) -> Vec<(FileOf, Place)> {
    let all = steps(document).into_iter();
    let files = all.flat_map(|(step, place)| [Some((step.contract, place)), step.waivers.map(|file| (file, place))]);
    files.flatten().collect()
}

/// Keys of the job's ConfigMaps that its applications name as contracts, each once.
fn in_config_maps<'a>(job: &'a Job, settings: &Settings) -> Vec<(&'a Document, &'a Entry)> {
    let mut found: Vec<(&Document, &Entry)> = Vec::new();
    for document in job.documents().filter(|document| document.is_ours()) {
        for (step, _) in steps(document) {
            let FileOf::ConfigMap { name, key } = &step.contract else {
                continue;
            };
            let is_named = |map: &&Document| {
                map.kind == "ConfigMap"
                    && map.name == *name
                    && settings.namespace_of(map) == settings.namespace_of(document)
            };
            let map = job.documents().find(is_named);
            let entry = map.and_then(|map| Some((map, map.node.get("data")?.entry(key)?)));
            if let Some((map, entry)) = entry
                && !found.iter().any(|(_, known)| std::ptr::eq(*known, entry))
            {
                found.push((map, entry));
            }
        }
    }
    found
}

/// A finding in a text that is a value of a manifest, where it stands in the manifest: line by line in a literal block, else at the value.
fn placed(finding: Diagnostic, source: &Source, value: Place) -> Diagnostic {
    let text = source.text();
    let before = text[..value.start.min(text.len())].trim_end();
    // `|`, with `-`, `+` or an indentation after it.
    let is_block = before
        .trim_end_matches(|c: char| "-+".contains(c) || c.is_ascii_digit())
        .ends_with('|');
    let number = value.line + finding.line.saturating_sub(1);
    let lines = text.split_inclusive('\n');
    let line = lines.clone().nth(number.saturating_sub(1));
    let Some(line) = line.filter(|_| is_block && finding.line > 0) else {
        return at(finding, source, value);
    };
    let start: usize = lines.take(number - 1).map(str::len).sum();
    // Every line of a block has the indentation of its first one.
    let column = value.column + finding.column.saturating_sub(1);
    let offset = line
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(line.trim_end().len(), |(offset, _)| offset);
    at(finding, source, source.place_at(start + offset))
}

fn at(finding: Diagnostic, source: &Source, place: Place) -> Diagnostic {
    let file = finding.file.clone();
    Diagnostic {
        file,
        ..finding.placed(source, place)
    }
}

#[cfg(test)]
mod tests {
    use stoke_diagnostics::{Diagnostic, Place, Source};

    use super::*;
    use crate::job::of_bytes;

    #[test]
    fn what_the_reader_complains_of_is_found() {
        let job = Job {
            files: vec![of_bytes("contracts/orders.yaml", b"columns: {id: {}}\n")],
            ..Job::default()
        };
        let codes = |contracts: Option<fn(&Source) -> Vec<Diagnostic>>| -> Vec<String> {
            let settings = Settings {
                contracts,
                ..Settings::default()
            };
            look(&job, &settings)
                .findings
                .iter()
                .map(|finding| finding.code.to_string())
                .collect()
        };
        let wrong = |source: &Source| {
            let place = Place::default();
            vec![
                Diagnostic::at(
                    Severity::Error,
                    "no-checks",
                    source,
                    place,
                    "",
                    "nothing is checked".to_owned(),
                ),
                Diagnostic::at(Severity::Warning, "x", source, place, "", "y".to_owned()),
            ]
        };
        assert_eq!(codes(None), ["contract-unread"]);
        assert_eq!(codes(Some(|_| Vec::new())), [""; 0]);
        assert_eq!(codes(Some(wrong)), ["bad-contract", "doubtful-contract"]);
    }

    #[test]
    fn contracts_in_config_maps_are_read_where_an_application_names_them() {
        let app = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata:\n  name: a\n  annotations:\n    \
                   stoke.dev/quality: 'before: [{contract: c/one.yaml, data: /d}, {contract: c/two.yaml, data: /d}]'\n";
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  one.yaml: |\n    name: x\n    wrong: y\n  two.yaml: \"wrong: z\"\n  other.yaml: 'wrong: not named'\n";
        let wrong = |source: &Source| {
            let place = source.text().find("wrong").map(|offset| source.place_at(offset));
            let told = |place| Diagnostic::at(Severity::Error, "no", source, place, "", "no".to_owned());
            place.map(told).into_iter().collect::<Vec<_>>()
        };
        let settings = Settings {
            contracts: Some(wrong),
            ..Settings::default()
        };
        let job = Job {
            files: vec![
                of_bytes("app.yaml", app.as_bytes()),
                of_bytes("map.yaml", map.as_bytes()),
            ],
            ..Job::default()
        };
        let places: Vec<String> = look(&job, &settings).findings.iter().map(Diagnostic::place).collect();
        assert_eq!(places, ["map.yaml:7:5", "map.yaml:8:13"]);
    }
}
