//! Waivers: what a team knows of and lets pass, with an owner, a reason and a date.
//!
//! ```yaml
//! waivers:
//! - code: conf-deprecated          # which findings; `*` stands for any text
//!   file: jobs/legacy/*.yaml       # only in these files
//!   path: spec.sparkConf.*         # only at these fields
//!   owner: data-platform@example.com
//!   reason: the cluster moves to 4.1 in March
//!   expires: 2027-03-31            # the last day it holds
//! ```
//! An expired one waives nothing and is an error itself; one that waives nothing is a warning. What is wrong in the file makes it wrong as a whole: a
//! waiver that is half understood would let something else pass.

use std::sync::Arc;

use jiff::civil::Date;
use serde::Serialize;
use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::manifest::{self, Content, Node, nearest};

/// Name of the file in a job directory.
pub const FILE: &str = "stoke-waivers.yaml";

const KEYS: [&str; 6] = ["code", "file", "path", "owner", "reason", "expires"];
const REQUIRED: [&str; 4] = ["code", "owner", "reason", "expires"];
/// Days before its end in which a waiver is spoken of.
const SOON: i64 = 14;

/// Who answers for letting a finding pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waived {
    /// Who.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day.
    pub expires: Date,
}

#[derive(Clone, Debug)]
struct Waiver {
    code: glob::Pattern,
    file: Option<glob::Pattern>,
    path: Option<glob::Pattern>,
    waived: Waived,
    place: Place,
}

/// The waivers of a job.
#[derive(Clone, Debug, Default)]
pub struct Waivers {
    source: Option<Arc<Source>>,
    all: Vec<Waiver>,
}

impl Waivers {
    /// Reads a file of waivers.
    ///
    /// # Errors
    /// Everything that is wrong with it, with places.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Waivers, Vec<Diagnostic>> {
        let text = std::str::from_utf8(bytes).map_err(|_| {
            vec![
                Diagnostic::of_file(Severity::Error, "bad-waiver", name, "the file is not UTF-8")
                    .with_fix("save it as UTF-8"),
            ]
        })?;
        let source = Source::new(name, text);
        let (documents, complaints) = manifest::read(&source);
        let mut wrong: Vec<Diagnostic> = complaints.into_iter().collect();
        let mut all = Vec::new();
        for document in &documents {
            read_document(&source, document, &mut all, &mut wrong);
        }
        if wrong.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(wrong);
        }
        let source = Some(source);
        Ok(Waivers { source, all })
    }

    /// One mark for each waiver, none of them set.
    pub(crate) fn unused(&self) -> Vec<bool> {
        vec![false; self.all.len()]
    }

    /// The waiver of a finding, when there is one that still holds. Marks every one that speaks of it as used, expired or not.
    pub(crate) fn waive(&self, finding: &Diagnostic, today: Date, used: &mut [bool]) -> Option<Waived> {
        let mut waived = None;
        for (waiver, used) in self.all.iter().zip(used) {
            if waiver.speaks_of(finding) {
                *used = true;
                if waived.is_none() && today <= waiver.waived.expires {
                    waived = Some(waiver.waived.clone());
                }
            }
        }
        waived
    }

    /// What is to be said of the waivers themselves. That one is of no use can be told only when all gates ran.
    pub(crate) fn findings(&self, today: Date, used: &[bool], all_gates: bool) -> Vec<Diagnostic> {
        let Some(source) = &self.source else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (waiver, used) in self.all.iter().zip(used) {
            let Waived { owner, expires, .. } = &waiver.waived;
            let code = waiver.code.as_str();
            let said = |severity, name: &'static str, message: String, fix: &str| {
                Diagnostic::at(severity, name, source, waiver.place, "", message).with_fix(fix)
            };
            let left = expires.since(today).map_or(0, |span| span.get_days().into());
            if today > *expires {
                let message = format!("the waiver of `{code}` expired on {expires}; its owner is {owner}");
                let fix = "fix what it waives and remove it, or agree on another date with its owner";
                found.push(said(Severity::Error, "waiver-expired", message, fix));
            } else if !used && all_gates {
                let message = format!("the waiver of `{code}` waives nothing");
                found.push(said(Severity::Warning, "waiver-unused", message, "remove it"));
            } else if left <= SOON {
                let message = format!("the waiver of `{code}` ends on {expires}; its owner is {owner}");
                found.push(said(
                    Severity::Warning,
                    "waiver-ends-soon",
                    message,
                    "fix what it waives before",
                ));
            }
        }
        found
    }
}

impl Waiver {
    fn speaks_of(&self, finding: &Diagnostic) -> bool {
        let matches =
            |pattern: &Option<glob::Pattern>, text: &str| pattern.as_ref().is_none_or(|pattern| pattern.matches(text));
        self.code.matches(&finding.code) && matches(&self.file, &finding.file) && matches(&self.path, &finding.path)
    }
}

fn read_document(source: &Source, document: &Node, all: &mut Vec<Waiver>, wrong: &mut Vec<Diagnostic>) {
    let error = |place: Place, path: &str, message: String, fix: String| {
        Diagnostic::at(Severity::Error, "bad-waiver", source, place, path, message).with_fix(fix)
    };
    if document.content == Content::Null {
        return;
    }
    let Content::Map(entries) = &document.content else {
        let message = "a file of waivers is a mapping with the key `waivers`".to_owned();
        wrong.push(error(
            document.place,
            "",
            message,
            "write `waivers:` and a list".to_owned(),
        ));
        return;
    };
    for entry in entries.iter().filter(|entry| entry.key != "waivers") {
        let message = format!("there is no key `{}` here", entry.key);
        wrong.push(error(
            entry.key_place,
            &entry.key,
            message,
            "the one key is `waivers`".to_owned(),
        ));
    }
    let Some(list) = document.get("waivers") else { return };
    let Content::List(items) = &list.content else {
        if list.content != Content::Null {
            let message = "`waivers` is a list".to_owned();
            wrong.push(error(
                list.place,
                "waivers",
                message,
                "begin each waiver with a dash".to_owned(),
            ));
        }
        return;
    };
    for (index, item) in items.iter().enumerate() {
        match read_waiver(item) {
            Ok(waiver) => all.push(waiver),
            Err(faults) => wrong.extend(faults.into_iter().map(|(place, key, message, fix)| {
                let path = manifest::join(&manifest::join_index("waivers", index), key);
                error(place, path.trim_end_matches('.'), message, fix)
            })),
        }
    }
}

type Fault<'a> = (Place, &'a str, String, String);

fn read_waiver(item: &Node) -> Result<Waiver, Vec<Fault<'_>>> {
    let mut faults: Vec<Fault<'_>> = Vec::new();
    for entry in item
        .entries()
        .iter()
        .filter(|entry| !KEYS.contains(&entry.key.as_str()))
    {
        let fix = match nearest(&entry.key, KEYS) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("a waiver has {}", KEYS.join(", ")),
        };
        let message = format!("a waiver has no `{}`", entry.key);
        faults.push((entry.key_place, &entry.key, message, fix));
    }
    let mut text = |key: &'static str| -> String {
        let required = REQUIRED.contains(&key);
        match item.get(key).map(|node| (node, node.as_str())) {
            Some((_, Some(text))) if !text.trim().is_empty() => return text.trim().to_owned(),
            Some((node, _)) => {
                faults.push((
                    node.place,
                    key,
                    format!("`{key}` must be a text"),
                    "write a text, in quotes where YAML would read something else".to_owned(),
                ));
            }
            None if required => {
                let message = format!("the waiver has no `{key}`");
                faults.push((
                    item.place,
                    key,
                    message,
                    format!("add `{key}`: a reader must see why this passes, and until when"),
                ));
            }
            None => {}
        }
        String::new()
    };
    let (code, file, path) = (text("code"), text("file"), text("path"));
    let (owner, reason, expires) = (text("owner"), text("reason"), text("expires"));
    let place_of = |key: &str| item.get(key).map_or(item.place, |node| node.place);
    let mut pattern = |key: &'static str, text: &str| match glob::Pattern::new(text) {
        Ok(pattern) => (!text.is_empty()).then_some(pattern),
        Err(cause) => {
            let message = format!("`{text}` is not a pattern: {cause}");
            faults.push((
                place_of(key),
                key,
                message,
                "`*` stands for any text, `?` for one character".to_owned(),
            ));
            None
        }
    };
    let (code, file, path) = (pattern("code", &code), pattern("file", &file), pattern("path", &path));
    if code
        .as_ref()
        .is_some_and(|code| code.as_str().chars().all(|c| c == '*'))
        && file.is_none()
    {
        let message = "a waiver of everything is none".to_owned();
        faults.push((
            place_of("code"),
            "code",
            message,
            "name the code, or the files".to_owned(),
        ));
    }
    let date = expires.parse::<Date>();
    if let (Err(_), false) = (&date, expires.is_empty()) {
        let message = format!("`{expires}` is not a date");
        faults.push((
            place_of("expires"),
            "expires",
            message,
            "write it as 2027-03-31".to_owned(),
        ));
    }
    match (code, date) {
        (Some(code), Ok(expires)) if faults.is_empty() => Ok(Waiver {
            code,
            file,
            path,
            waived: Waived { owner, reason, expires },
            place: item.place,
        }),
        _ => Err(faults),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(code: &'static str, file: &str, path: &str) -> Diagnostic {
        let mut finding = Diagnostic::of_file(Severity::Error, code, file, "x");
        finding.path = path.to_owned();
        finding
    }

    fn read(text: &str) -> Waivers {
        Waivers::read("w.yaml", text.as_bytes()).unwrap()
    }

    const ONE: &str =
        "waivers:\n- code: conf-*\n  file: jobs/*.yaml\n  owner: a@b.c\n  reason: because\n  expires: 2027-03-31\n";

    #[test]
    fn a_waiver_holds_to_its_last_day() {
        let waivers = read(ONE);
        let finding = finding("conf-deprecated", "jobs/a.yaml", "spec.sparkConf.x");
        for (today, waived, said) in [
            ("2026-11-01", true, vec![]),
            ("2027-03-17", true, vec!["waiver-ends-soon"]),
            ("2027-03-31", true, vec!["waiver-ends-soon"]),
            ("2027-04-01", false, vec!["waiver-expired"]),
        ] {
            let today = today.parse().unwrap();
            let mut used = waivers.unused();
            assert_eq!(waivers.waive(&finding, today, &mut used).is_some(), waived, "{today}");
            let codes: Vec<_> = waivers
                .findings(today, &used, true)
                .into_iter()
                .map(|finding| finding.code)
                .collect();
            assert_eq!(codes, said, "{today}");
        }
    }

    #[test]
    fn it_speaks_of_what_it_names_and_of_nothing_else() {
        let waivers = read(ONE);
        let today = "2026-11-01".parse().unwrap();
        for (code, file, waived) in [
            ("conf-removed", "jobs/a.yaml", true),
            ("conf-removed", "other/a.yaml", false),
            ("unknown-field", "jobs/a.yaml", false),
        ] {
            let mut used = waivers.unused();
            let found = waivers.waive(&finding(code, file, ""), today, &mut used);
            assert_eq!(found.is_some(), waived, "{code} {file}");
            assert_eq!(used, [waived]);
        }
        assert_eq!(waivers.findings(today, &[false], true)[0].code, "waiver-unused");
        assert!(waivers.findings(today, &[false], false).is_empty(), "not all gates ran");
    }

    #[test]
    fn what_is_wrong_in_it_is_told_with_its_place() {
        let cases = [
            (
                "waivers:\n- code: a\n  owner: b\n  expires: 2027-01-01\n",
                2,
                "no `reason`",
            ),
            (
                "waivers:\n- code: a\n  ownr: b\n  owner: b\n  reason: c\n  expires: 2027-01-01\n",
                3,
                "no `ownr`",
            ),
            (
                "waivers:\n- code: a\n  owner: b\n  reason: c\n  expires: soon\n",
                5,
                "not a date",
            ),
            (
                "waivers:\n- code: '*'\n  owner: b\n  reason: c\n  expires: 2027-01-01\n",
                2,
                "of everything",
            ),
            (
                "waivers:\n- code: '[a'\n  owner: b\n  reason: c\n  expires: 2027-01-01\n",
                2,
                "not a pattern",
            ),
            (
                "waivers:\n- code: a\n  owner: 7\n  reason: c\n  expires: 2027-01-01\n",
                3,
                "must be a text",
            ),
            ("waivers: {a: b}\n", 1, "is a list"),
            ("waiver: []\n", 1, "no key `waiver`"),
            ("- a\n", 1, "is a mapping"),
            ("waivers: [\n", 1, ""),
        ];
        for (text, line, message) in cases {
            let wrong = Waivers::read("w.yaml", text.as_bytes()).unwrap_err();
            assert!(
                wrong.iter().any(|finding| finding.message.contains(message)),
                "{text}: {wrong:?}"
            );
            assert!(message.is_empty() || wrong[0].line == line, "{text}: {wrong:?}");
        }
        assert!(Waivers::read("w.yaml", b"\xff").is_err());
        assert!(read("").all.is_empty() && read("waivers:\n").all.is_empty());
    }
}
