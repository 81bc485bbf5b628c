//! What every code means: `stoke check --explain CODE`.
//!
//! The table is `codes.txt`; a test holds it against the codes that gates use.

use serde::Serialize;

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Code {
    /// Its name.
    pub code: &'static str,
    /// The gate that uses it, or `waivers`.
    pub gate: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// How it is fixed.
    pub fix: &'static str,
}

/// All codes, in the order of the gates.
pub fn all() -> impl Iterator<Item = Code> {
    let lines = include_str!("codes.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut columns = line.splitn(5, " | ");
        Some(Code {
            code: columns.next()?,
            gate: columns.next()?,
            what: columns.next()?,
            why: columns.next()?,
            fix: columns.next()?,
        })
    })
}

/// What a code means. Codes of which there are many stand once, with a star for what differs.
#[must_use]
pub fn find(code: &str) -> Option<Code> {
    let is = |known: &Code| match known.code.strip_suffix('*') {
        Some(family) => code.len() > family.len() && code.starts_with(family),
        None => known.code == code,
    };
    all().find(is)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Gate;

    #[test]
    fn every_line_is_whole_and_every_code_stands_once() {
        let lines = include_str!("codes.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count();
        assert_eq!(all().count(), lines);
        let codes: BTreeSet<&str> = all().map(|code| code.code).collect();
        assert_eq!(codes.len(), lines);
        for code in all() {
            assert!(code.gate == "waivers" || Gate::named(code.gate).is_some(), "{code:?}");
            assert!(
                [code.what, code.why, code.fix]
                    .iter()
                    .all(|text| text.len() > 5 && !text.ends_with('.')),
                "{code:?}"
            );
        }
        assert!(find("unknown-field").is_some() && find("nothing").is_none());
        assert!(
            find("pod-security/privileged").is_some()
                && find("policy/team.deny").is_some()
                && find("policy/").is_none()
        );
    }

    /// Codes are written as texts in the sources of the rooms that say them; each of these must be explained.
    #[test]
    fn every_code_that_is_said_is_explained() {
        let sources = [
            include_str!("gates/manifest.rs"),
            include_str!("gates/conf.rs"),
            include_str!("configuration/mod.rs"),
            include_str!("configuration/start.rs"),
            include_str!("configuration/effect.rs"),
            include_str!("configuration/products.rs"),
            include_str!("gates/dependencies/archives.rs"),
            include_str!("gates/dependencies/builds.rs"),
            include_str!("gates/dependencies/fits.rs"),
            include_str!("gates/dependencies/locks.rs"),
            include_str!("gates/dependencies/projects.rs"),
            include_str!("gates/dependencies/packages.rs"),
            include_str!("gates/dependencies/requirements.rs"),
            include_str!("gates/dependencies/shipped.rs"),
            include_str!("gates/dependencies/vulnerable.rs"),
            include_str!("gates/secrets.rs"),
            include_str!("gates/tests/mod.rs"),
            include_str!("gates/dependencies/licences.rs"),
            include_str!("gates/contracts.rs"),
            include_str!("gates/mod.rs"),
            include_str!("gates/dry_run.rs"),
            include_str!("gates/spark_dry_run.rs"),
            include_str!("gates/sql/mod.rs"),
            include_str!("gates/sql/habits.rs"),
            include_str!("sizing.rs"),
            include_str!("nodes.rs"),
            include_str!("derived.rs"),
            include_str!("waivers.rs"),
            include_str!("../../model/src/schema.rs"),
            include_str!("../../model/src/kubernetes/mod.rs"),
            include_str!("../../model/src/manifest/mod.rs"),
            include_str!("../../model/src/manifest/kinds.rs"),
            include_str!("../../model/src/manifest/read.rs"),
            include_str!("../../model/src/manifest/application.rs"),
            include_str!("../../model/src/manifest/pods.rs"),
            include_str!("../../model/src/conf/lint.rs"),
        ];
        let expression = regex::Regex::new(r#"(?:Severity::(?:Error|Warning)|WARNING|ERROR|severity|code:|cannot_tell\(|error\(|said\([^"]*),?\s*"([a-z0-9-]+)"|\("(conf-[a-z-]+)", |\("(secret-[a-z-]+)", "#).unwrap();
        let mut missing = BTreeSet::new();
        let mut seen = 0;
        for source in sources {
            let code = source.split("#[cfg(test)]").next().unwrap();
            for found in expression.captures_iter(code) {
                let name = found.iter().skip(1).flatten().next().unwrap().as_str();
                seen += 1;
                if find(name).is_none() {
                    missing.insert(name.to_owned());
                }
            }
        }
        assert!(missing.is_empty(), "not in codes.txt: {missing:?}");
        assert!(
            seen > 60,
            "only {seen} codes were seen: the expression no longer fits the sources"
        );
    }
}
