//! What every code means: `stoke explain CODE`.
//!
//! The table is `codes.txt`.

use stoke_diagnostics::codes::{Code, Registry, Table, lines};

/// The codes of this room.
pub const TABLE: Table = Table { room: "gate", read };

fn read() -> Vec<Code> {
    lines(include_str!("codes.txt"))
}

/// The codes that a report of the gates may have.
#[must_use]
pub fn registry() -> Registry {
    Registry::of(&[stoke_model::codes::TABLE, stoke_policy::codes::TABLE, TABLE])
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
        assert_eq!(read().len(), lines);
        let registry = registry();
        let find = |code: &str| registry.find(code);
        let codes: BTreeSet<&str> = registry.all().map(|(_, code)| code.code).collect();
        assert_eq!(codes.len(), registry.all().count());
        for (_, code) in registry.all() {
            assert!(
                matches!(code.area, "waivers" | "files") || Gate::named(code.area).is_some(),
                "{code:?}"
            );
            assert!(
                [&code.what, &code.why, &code.fix]
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
        let registry = registry();
        let mut missing = BTreeSet::new();
        let mut seen = 0;
        for source in sources {
            let code = source.split("#[cfg(test)]").next().unwrap();
            for found in expression.captures_iter(code) {
                let name = found.iter().skip(1).flatten().next().unwrap().as_str();
                seen += 1;
                if registry.find(name).is_none() {
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
