//! Licences: what a job may be made of, by what its dependencies say of themselves and what its owners know of them.
//!
//! ```yaml
//! allowed: [Apache-2.0, MIT, BSD-3-Clause]   # identifiers of SPDX; nothing else may be
//! denied: [AGPL-3.0-or-later]                # or: everything but these may be
//! packages:                                  # what is known of those that are not at hand, or do not say
//!   requests: Apache-2.0
//!   org.acme:lib: LicenseRef-Acme
//! ```
//! Jars say it in their `pom.xml` or manifest, wheels in their METADATA. Where someone wrote such a file, what is not known is told; where no one did, nothing
//! is said of licences. Expressions are those of SPDX 3, annex B: of `A OR B` one is enough, of `A AND B` both are needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use spdx::{Expression, Licensee, ParseMode};
use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::manifest::{self, Node, nearest};

use super::Dependency;
use crate::job::Job;

/// Name of the file in a job directory.
const FILE: &str = "stoke-licences.yaml";
const KEYS: [&str; 3] = ["allowed", "denied", "packages"];

/// Names people write for licences, in small letters and without what does not count, and their identifiers.
const NAMES: [(&str, &str); 34] = [
    ("apache 2", "Apache-2.0"),
    ("apache 2.0", "Apache-2.0"),
    ("apache license", "Apache-2.0"),
    ("apache license 2.0", "Apache-2.0"),
    ("apache license version 2.0", "Apache-2.0"),
    ("apache software license", "Apache-2.0"),
    ("apache software license 2.0", "Apache-2.0"),
    ("apache software license version 2.0", "Apache-2.0"),
    ("apache 2.0 license", "Apache-2.0"),
    ("apache license v2.0", "Apache-2.0"),
    ("asl 2.0", "Apache-2.0"),
    ("mit license", "MIT"),
    ("the mit license", "MIT"),
    // Which of the two is not said, so both must be allowed.
    ("bsd license", "BSD-2-Clause AND BSD-3-Clause"),
    ("bsd", "BSD-2-Clause AND BSD-3-Clause"),
    ("new bsd license", "BSD-3-Clause"),
    ("bsd 3-clause", "BSD-3-Clause"),
    ("bsd 3-clause license", "BSD-3-Clause"),
    ("3-clause bsd license", "BSD-3-Clause"),
    ("revised bsd", "BSD-3-Clause"),
    ("bsd 2-clause", "BSD-2-Clause"),
    ("bsd 2-clause license", "BSD-2-Clause"),
    ("isc license isclalternative", "ISC"),
    ("isc license", "ISC"),
    ("python software foundation license", "PSF-2.0"),
    ("mozilla public license 2.0 mpl 2.0", "MPL-2.0"),
    ("mozilla public license 2.0", "MPL-2.0"),
    ("eclipse public license 2.0", "EPL-2.0"),
    ("eclipse public license version 2.0", "EPL-2.0"),
    ("eclipse public license version 1.0", "EPL-1.0"),
    ("gnu general public license v3 gplv3", "GPL-3.0-only"),
    ("gnu general public license v2 gplv2", "GPL-2.0-only"),
    ("gnu affero general public license v3", "AGPL-3.0-only"),
    ("gnu lesser general public license v3 lgplv3", "LGPL-3.0-only"),
];

/// Which licences a job may have.
#[derive(Debug, Default)]
struct Policy {
    allowed: Vec<Licensee>,
    denied: Vec<Licensee>,
    packages: BTreeMap<String, String>,
}

/// Judges dependencies by the file that is given, or by the one in the job; without one nothing is said.
pub(super) fn judge(
    dependencies: &[Dependency],
    job: &Job,
    given: Option<&Arc<Source>>,
    findings: &mut Vec<Diagnostic>,
) {
    let own = || {
        let is = |name: &str| name.rsplit('/').next() == Some(FILE);
        job.files.iter().find(|file| is(&file.name)).map(|file| &file.source)
    };
    let Some(source) = given.or_else(own) else {
        return;
    };
    let policy = match read(source) {
        Ok(policy) => policy,
        Err(wrong) => return findings.extend(wrong),
    };
    // One artifact is named in several places and says its licence where it lies.
    let says: BTreeMap<&str, &str> = dependencies
        .iter()
        .filter_map(|dependency| Some((dependency.name.as_str(), dependency.licence.as_deref()?)))
        .collect();
    let mut told: Vec<&str> = Vec::new();
    for dependency in dependencies {
        let name = dependency.name.as_str();
        if told.contains(&name) {
            continue;
        }
        told.push(name);
        let known = policy.packages.get(name).map(String::as_str);
        let licence = known.or_else(|| says.get(name).copied());
        findings.extend(policy.finding(dependency, licence));
    }
}

impl Policy {
    fn finding(&self, dependency: &Dependency, licence: Option<&str>) -> Option<Diagnostic> {
        let name = &dependency.name;
        let unknown = |why: String| {
            let mut finding = dependency.say(Severity::Error, "dependency-licence-unknown", why);
            finding.cannot_tell = true;
            Some(finding.with_fix(format!("write it below `packages` in {FILE}: `{name}: MIT`")))
        };
        let Some(written) = licence else {
            return unknown(format!(
                "the licence of `{name}` is not known: it is not at hand, or does not say"
            ));
        };
        let Some(expression) = expression(written) else {
            return unknown(format!(
                "`{name}` says its licence is `{written}`, which is not an identifier of SPDX"
            ));
        };
        let among = |list: &[Licensee], asked: &spdx::LicenseReq| list.iter().any(|one| one.satisfies(asked));
        let may = |asked: &spdx::LicenseReq| {
            (self.allowed.is_empty() || among(&self.allowed, asked)) && !among(&self.denied, asked)
        };
        if expression.evaluate(may) {
            return None;
        }
        let message = format!("`{name}` is under `{written}`, which this job may not have");
        let finding = dependency.say(Severity::Error, "dependency-licence", message);
        Some(finding.with_fix("do without it, or have its licence allowed by who answers for that"))
    }
}

/// What a licence is that someone wrote: an expression of SPDX, or a name that everybody knows.
fn expression(written: &str) -> Option<Expression> {
    let lax = |text: &str| Expression::parse_mode(text, ParseMode::LAX).ok();
    let letters = written.to_lowercase().replace(['(', ')', ',', '"'], " ");
    let plain: Vec<&str> = letters.split_whitespace().filter(|word| *word != "the").collect();
    let plain = plain.join(" ");
    let named = NAMES.iter().find(|(name, _)| *name == plain);
    named.map_or_else(|| lax(written.trim()), |(_, identifier)| lax(identifier))
}

fn read(source: &Arc<Source>) -> Result<Policy, Vec<Diagnostic>> {
    let (documents, complaints) = manifest::read(source);
    if stoke_diagnostics::has_errors(&complaints) {
        return Err(complaints.into_iter().collect());
    }
    let mut wrong = Vec::new();
    let mut say = |place: Place, path: &str, message: String, fix: String| {
        wrong.push(Diagnostic::at(Severity::Error, "bad-licences", source, place, path, message).with_fix(fix));
    };
    let mut policy = Policy::default();
    let entries = documents.first().map_or(&[][..], Node::entries);
    for entry in entries {
        let key = entry.key.as_str();
        match key {
            "allowed" | "denied" => {
                let list = match key {
                    "allowed" => &mut policy.allowed,
                    _ => &mut policy.denied,
                };
                for item in entry.value.items() {
                    let text = item.as_str().unwrap_or_default();
                    match Licensee::parse(text) {
                        Ok(licensee) => list.push(licensee),
                        Err(_) => say(
                            item.place,
                            key,
                            format!("`{text}` is not an identifier of SPDX"),
                            "write one of spdx.org/licenses, for example Apache-2.0 or BSD-3-Clause".to_owned(),
                        ),
                    }
                }
            }
            "packages" => {
                for package in entry.value.entries() {
                    match package.value.as_str().filter(|text| expression(text).is_some()) {
                        Some(text) => drop(policy.packages.insert(package.key.clone(), text.to_owned())),
                        None => say(
                            package.value.place,
                            "packages",
                            format!("the licence of `{}` is not an expression of SPDX", package.key),
                            "write one like `MIT OR Apache-2.0`".to_owned(),
                        ),
                    }
                }
            }
            _ => {
                let near = nearest(key, KEYS);
                let fix = near.map_or("there are allowed, denied and packages".to_owned(), |near| {
                    format!("did you mean `{near}`?")
                });
                say(entry.key_place, "", format!("there is no key `{key}` here"), fix);
            }
        }
    }
    if wrong.is_empty() && policy.allowed.is_empty() && policy.denied.is_empty() {
        let message = format!("{} allows nothing and denies nothing", source.name());
        wrong.push(
            Diagnostic::of_file(Severity::Error, "bad-licences", source.name(), message)
                .with_fix("write `allowed: [Apache-2.0, MIT]`, or `denied: […]`"),
        );
    }
    if wrong.is_empty() { Ok(policy) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use stoke_advisories::Ecosystem;

    use super::*;

    fn said(file: &str, licences: &[(&str, Option<&str>)]) -> Vec<(String, bool)> {
        let source = Source::new(FILE, file);
        let dependencies: Vec<Dependency> = licences
            .iter()
            .map(|(name, licence)| Dependency {
                ecosystem: Ecosystem::PyPI,
                name: (*name).to_owned(),
                version: None,
                sparks: Vec::new(),
                source: Source::new("requirements.txt", ""),
                place: Place::default(),
                path: String::new(),
                licence: licence.map(str::to_owned),
            })
            .collect();
        let mut findings = Vec::new();
        judge(&dependencies, &Job::default(), Some(&source), &mut findings);
        findings
            .iter()
            .map(|finding| (finding.code.to_string(), finding.cannot_tell))
            .collect()
    }

    #[test]
    fn licences_are_allowed_denied_or_not_known() {
        let rows = [
            ("allowed: [MIT]", Some("MIT"), ""),
            ("allowed: [MIT]", Some("MIT License"), ""),
            ("allowed: [Apache-2.0]", Some("The Apache License, Version 2.0"), ""),
            ("allowed: [Apache-2.0]", Some("Apache Software License"), ""),
            ("allowed: [MIT]", Some("MIT OR GPL-3.0-only"), ""),
            ("allowed: [MIT]", Some("MIT AND GPL-3.0-only"), "dependency-licence"),
            ("allowed: [MIT]", Some("GPL-3.0-or-later"), "dependency-licence"),
            ("denied: [AGPL-3.0-only]", Some("MIT"), ""),
            ("denied: [AGPL-3.0-only]", Some("AGPL-3.0-only"), "dependency-licence"),
            ("denied: [AGPL-3.0-only]", Some("MIT OR AGPL-3.0-only"), ""),
            ("allowed: [MIT]", Some("see the file"), "dependency-licence-unknown"),
            ("allowed: [MIT]", None, "dependency-licence-unknown"),
            ("allowed: [MIT]\npackages: {lib: MIT}", None, ""),
            (
                "allowed: [MIT]\npackages: {lib: GPL-2.0-only}",
                Some("MIT"),
                "dependency-licence",
            ),
        ];
        for (file, licence, code) in rows {
            let expected: Vec<_> = [code]
                .into_iter()
                .filter(|code| !code.is_empty())
                .map(|code| (code.to_owned(), code.ends_with("unknown")))
                .collect();
            assert_eq!(said(file, &[("lib", licence)]), expected, "{file}: {licence:?}");
        }
        // Said once, and known from where it lies.
        assert_eq!(said("allowed: [MIT]", &[("lib", None), ("lib", Some("MIT"))]), []);
        assert_eq!(said("allowed: [MIT]", &[("lib", None), ("lib", None)]).len(), 1);
    }

    #[test]
    fn a_file_that_is_wrong_says_where() {
        for file in [
            "alowed: [MIT]",
            "allowed: [MTI License]",
            "packages: {a: nothing like it}",
            "",
            "allowed: [",
        ] {
            let found = said(file, &[("lib", Some("MIT"))]);
            assert!(
                !found.is_empty() && found.iter().all(|(_, unknown)| !unknown),
                "{file}: {found:?}"
            );
        }
    }
}
