//! The one name space of codes: those of all rooms, and those of commands that fail (`codes.txt`).

use stoke_diagnostics::codes::{Code, Registry, Table, lines};

/// The codes of commands.
const TABLE: Table = Table { room: "stoke", read };

fn read() -> Vec<Code> {
    lines(include_str!("codes.txt"))
}

/// All codes.
pub fn registry() -> Registry {
    Registry::of(&[
        stoke_model::codes::TABLE,
        stoke_policy::codes::TABLE,
        stoke_gate::codes::TABLE,
        stoke_quality::codes::TABLE,
        stoke_convert::codes::TABLE,
        stoke_operator::codes::TABLE,
        stoke_insight::codes::TABLE,
        stoke_observe::codes::TABLE,
        stoke_release::codes::TABLE,
        stoke_platform::codes::TABLE,
        TABLE,
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt::Write;
    use std::path::{Path, PathBuf};

    use super::*;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

    /// What is written in product code: texts of all sources, without their tests.
    fn sources() -> Vec<(PathBuf, String)> {
        fn walk(folder: &Path, into: &mut Vec<(PathBuf, String)>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                if path.is_dir() {
                    // The gate `tests` is not a test.
                    if name != "tests" || path.ends_with("gates/tests") {
                        walk(&path, into);
                    }
                } else if name.ends_with(".rs") && !name.contains("tests") && !path.ends_with("stoke/src/codes.rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                    into.push((path, text.to_owned()));
                }
            }
        }
        let mut all = Vec::new();
        for room in std::fs::read_dir(Path::new(ROOT).join("crates")).unwrap() {
            let source = room.unwrap().path().join("src");
            if source.is_dir() && !source.ends_with("testkit/src") {
                walk(&source, &mut all);
            }
        }
        all
    }

    /// Texts in quotes that have the form of a code.
    fn quoted(text: &str) -> impl Iterator<Item = &str> {
        let is_code = |text: &&str| {
            text.len() > 1
                && text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_:/.".contains(c))
        };
        text.split('"').filter(is_code)
    }

    #[test]
    fn every_code_stands_once_and_has_a_fix() {
        let registry = registry();
        let mut rooms: BTreeMap<&str, &str> = BTreeMap::new();
        for (room, code) in registry.all() {
            if let Some(other) = rooms.insert(code.code, room) {
                panic!("{} is a code of {other} and of {room}", code.code);
            }
            for text in [&code.what, &code.why, &code.fix] {
                assert!(text.len() > 5 && !text.ends_with('.'), "{code:?}");
            }
        }
    }

    #[test]
    fn no_failure_of_a_command_is_unknown() {
        let registry = registry();
        let mut unknown = BTreeSet::new();
        let sources = sources();
        let mut seen = 0;
        for (path, text) in &sources {
            for code in quoted(text).filter(|text| text.starts_with("stoke::")) {
                seen += 1;
                if registry.find(code).is_none() {
                    unknown.insert(format!("{code} in {}", path.display()));
                }
            }
        }
        assert!(unknown.is_empty(), "not in codes.txt: {unknown:#?}");
        assert!(seen > 200, "{seen}");
    }

    #[test]
    fn no_finding_of_the_doctor_is_unknown() {
        let registry = registry();
        for code in stoke_insight::doctor::failures::codes() {
            assert!(
                registry.find(code).is_some(),
                "{code} has no entry in docs/reference/doctor.md"
            );
        }
    }

    #[test]
    fn no_code_is_unused() {
        let sources = sources();
        let used: BTreeSet<&str> = sources.iter().flat_map(|(_, text)| quoted(text)).collect();
        let registry = registry();
        let unused: Vec<&str> = registry
            .all()
            .map(|(_, code)| code.code)
            .filter(|code| match code.strip_suffix('*') {
                Some(family) => !sources.iter().any(|(_, text)| text.contains(&format!("\"{family}"))),
                None => !used.contains(code),
            })
            .collect();
        assert!(unused.is_empty(), "no source has these: {unused:#?}");
    }

    fn page() -> String {
        let registry = registry();
        let mut areas: BTreeMap<&str, BTreeMap<&str, &Code>> = BTreeMap::new();
        for (_, code) in registry.all() {
            areas.entry(code.area).or_default().insert(code.code, code);
        }
        let mut text = "# Codes\n\nEverything that Stoke reports has a code. `stoke explain CODE` shows its entry. A code with a star stands for a family.\n\nThis page is written by a test: `scripts/generate`.\n".to_owned();
        for (area, codes) in &areas {
            let _ = writeln!(text, "\n## Area: {area}");
            for code in codes.values() {
                let name = code.code.trim_end_matches("/*").trim_end_matches('*');
                let _ = write!(
                    text,
                    "\n### {name}\n\n- What: {}.\n- Why: {}.\n- Fix: {}.\n",
                    code.what, code.why, code.fix
                );
                if let Some(more) = &code.more {
                    let _ = writeln!(text, "- More: [{more}]({})", more.trim_start_matches("docs/reference/"));
                }
            }
        }
        text
    }

    #[test]
    fn the_generated_page_is_that_of_the_registry() {
        let page = page();
        assert_eq!(stoke_testkit::generated::file("docs/reference/codes.md", &page), Ok(()));
        let headings: BTreeSet<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("### "))
            .map(str::to_owned)
            .collect();
        for (_, code) in registry().all() {
            let anchor = stoke_diagnostics::page_of(code.code);
            let is = |heading: &String| stoke_diagnostics::page_of(heading) == anchor;
            assert!(headings.iter().any(is), "{anchor}");
        }
    }
}
