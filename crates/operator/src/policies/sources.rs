//! Files and ConfigMaps to one set of policies. Pure.
//!
//! Each key of a ConfigMap is a file. It is in no directory, so data is at the root, as `parameters:` wants it; two ConfigMaps that say different things of one
//! path contradict each other.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;
use stoke_diagnostics::{Place, Severity, Source};
use stoke_policy::{PolicyFile, PolicySet, Problem};

/// ConfigMaps with policies, by name.
pub(super) type ConfigMaps = BTreeMap<String, ConfigMap>;

/// Why they cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Broken {
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// ConfigMaps that it is wrong with; all, when that cannot be determined.
    pub(super) guilty: BTreeSet<String>,
}

impl Broken {
    /// What is wrong in one line, with the first place.
    pub(super) fn summary(&self) -> String {
        let first = self.problems.first().map(line).unwrap_or_default();
        match self.problems.len() {
            0 | 1 => first,
            count => format!("{first}; and {} more", count - 1),
        }
    }

    /// What is wrong with one ConfigMap, or with all together.
    pub(super) fn of(&self, namespace: &str, name: &str) -> String {
        let begin = shown(namespace, name, "");
        let own: Vec<Problem> = self
            .problems
            .iter()
            .filter(|problem| problem.file.starts_with(&begin))
            .cloned()
            .collect();
        match own.is_empty() {
            true => self.summary(),
            false => {
                let guilty = self.guilty.clone();
                Broken { problems: own, guilty }.summary()
            }
        }
    }
}

/// A problem in one line: place, cause, code, fix.
pub(super) fn line(problem: &Problem) -> String {
    let fix = problem.fix.as_ref();
    let fix = fix.map(|fix| format!("; {}", fix.text)).unwrap_or_default();
    format!(
        "{}:{}: {} [{}]{fix}",
        problem.file, problem.line, problem.message, problem.code
    )
}

/// What a key of a ConfigMap is called in messages.
fn shown(namespace: &str, name: &str, key: &str) -> String {
    format!("configmap/{namespace}/{name}/{key}")
}

/// Puts them together; none when there is no file at all.
///
/// # Errors
/// A part that cannot be used: a set with such a part is not a set.
pub(super) fn load(fixed: &[PolicyFile], namespace: &str, maps: &ConfigMaps) -> Result<Option<PolicySet>, Broken> {
    let mut files = fixed.to_vec();
    let mut problems = Vec::new();
    for (name, map) in maps {
        for (key, text) in map.data.iter().flatten() {
            let shown = shown(namespace, name, key);
            if is_read(key) {
                files.push(PolicyFile {
                    path: key.clone(),
                    shown,
                    text: text.clone(),
                });
            } else {
                problems.push(no_file(
                    &shown,
                    "its name ends in none of `.rego`, `.yaml`, `.yml` and `.json`",
                ));
            }
        }
        for key in map.binary_data.iter().flatten().map(|(key, _)| key) {
            problems.push(no_file(&shown(namespace, name, key), "it is not UTF-8 text"));
        }
    }
    let loaded = match files.is_empty() {
        true => Ok(None),
        false => PolicySet::load(&files).and_then(PolicySet::not_empty).map(Some),
    };
    let loaded = match loaded {
        Ok(loaded) if problems.is_empty() => return Ok(loaded),
        loaded => loaded,
    };
    problems.extend(loaded.err().into_iter().flatten());
    let is_of = |name: &&String| {
        let begin = shown(namespace, name, "");
        problems.iter().any(|problem| problem.file.starts_with(&begin))
    };
    let mut guilty: BTreeSet<String> = maps.keys().filter(is_of).cloned().collect();
    if guilty.is_empty() {
        guilty = maps.keys().cloned().collect();
    }
    Err(Broken { problems, guilty })
}

fn is_read(key: &str) -> bool {
    [".rego", ".yaml", ".yml", ".json"].iter().any(|end| key.ends_with(end))
}

fn no_file(shown: &str, why: &str) -> Problem {
    let source = Source::new(shown, "");
    let place = Place {
        start: 0,
        end: 0,
        line: 1,
        column: 1,
    };
    let message = format!("this key is neither a policy nor data: {why}");
    Problem::at(Severity::Error, "policy-data", &source, place, "", message)
        .with_fix("rename it, or take it out of the ConfigMap")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    const RULE: &str = "package team\ndeny contains \"x\" if input.spec.image == data.parameters.team.image\n";

    /// ConfigMaps by name, with the texts of their keys.
    type Given<'a> = &'a [(&'a str, &'a [(&'a str, &'a str)])];

    fn maps(given: Given<'_>) -> ConfigMaps {
        let map = |files: &[(&str, &str)]| ConfigMap {
            data: Some(
                files
                    .iter()
                    .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
                    .collect(),
            ),
            ..ConfigMap::default()
        };
        given
            .iter()
            .map(|(name, files)| ((*name).to_owned(), map(files)))
            .collect()
    }

    #[test]
    fn keys_are_files_of_one_set_and_data_is_at_its_root() {
        let given = maps(&[
            ("team", &[("team.rego", RULE)]),
            ("values", &[("parameters.yaml", "parameters: {team: {image: bad}}")]),
        ]);
        let set = load(&[], "ops", &given).unwrap().unwrap();
        assert_eq!(set.rules()[0].file, "configmap/ops/team/team.rego");
        let object = serde_json::json!({"kind": "SparkApplication", "spec": {"image": "bad"}});
        let outcome = set.evaluate(&stoke_policy::Subject::Object(&object), &stoke_policy::Facts::default());
        assert_eq!(outcome.violations.len(), 1);
        // The same key in two ConfigMaps is two files; the files the operator has are with them.
        let given = maps(&[
            ("one", &[("a.rego", RULE)]),
            ("two", &[("a.rego", "package other\nwarn contains \"y\"\n")]),
        ]);
        let set = load(&stoke_policy::pack::policies(&["naming"]), "ops", &given)
            .unwrap()
            .unwrap();
        let policies: BTreeSet<String> = set.rules().into_iter().map(|rule| rule.policy).collect();
        assert_eq!(
            policies.into_iter().collect::<Vec<_>>(),
            ["other", "starter.naming", "team"]
        );
        assert!(load(&[], "ops", &ConfigMaps::new()).unwrap().is_none());
    }

    #[test]
    fn what_is_broken_names_the_configmap_the_key_and_the_line() {
        let cases: [(Given<'_>, &str, &[&str]); 5] = [
            (
                &[
                    ("good", &[("a.rego", RULE)]),
                    ("bad", &[("b.rego", "package b\ndeny contains {\n")]),
                ],
                "configmap/ops/bad/b.rego:",
                &["bad"],
            ),
            (
                &[("readme", &[("README", "hello"), ("a.rego", RULE)])],
                "configmap/ops/readme/README:1: this key is neither a policy nor data: its name ends in none of `.rego`, `.yaml`, `.yml` and `.json` [policy-data]; rename it",
                &["readme"],
            ),
            (
                &[
                    ("one", &[("x.yaml", "a: 1"), ("a.rego", RULE)]),
                    ("two", &[("y.yaml", "a: 2")]),
                ],
                "[policy-data]",
                &["two"],
            ),
            (
                &[("x", &[("x.yaml", "a: 1")]), ("y", &[("y.yaml", "b: 1")])],
                "[policy-empty]",
                &["x", "y"],
            ),
            (
                &[(
                    "web",
                    &[("a.rego", "package a\ndeny contains x if x := http.send({})\n")],
                )],
                "[rego-builtin]",
                &["web"],
            ),
        ];
        for (given, part, guilty) in cases {
            let broken = load(&[], "ops", &maps(given)).unwrap_err();
            assert!(broken.summary().contains(part), "{part}: {}", broken.summary());
            assert_eq!(broken.guilty.iter().collect::<Vec<_>>(), guilty, "{part}");
            let named = guilty[0];
            assert!(!broken.of("ops", named).is_empty());
        }
        let mut binary = maps(&[("bytes", &[("a.rego", RULE)])]);
        let bytes = ByteString(vec![0xff]);
        binary.get_mut("bytes").unwrap().binary_data = Some([("b.rego".to_owned(), bytes)].into());
        assert!(
            load(&[], "ops", &binary)
                .unwrap_err()
                .summary()
                .contains("it is not UTF-8 text")
        );
    }
}
