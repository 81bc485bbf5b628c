//! The house is as its documents say: rooms and what they use, test programs and their tiers, the paths that ARCHITECTURE.md names.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// Each room with the rooms it depends on; those of tests are left out.
fn rooms() -> BTreeMap<String, Vec<String>> {
    let crates = std::fs::read_dir(repository().join("crates")).unwrap().flatten();
    let rooms = crates.filter(|entry| entry.path().join("Cargo.toml").exists());
    rooms
        .map(|entry| {
            let room = entry.file_name().into_string().unwrap();
            let manifest = read(&format!("crates/{room}/Cargo.toml"));
            let (_, after) = manifest.split_once("[dependencies]").unwrap_or_default();
            let lines = after.lines().take_while(|line| !line.starts_with('['));
            let names = lines.filter_map(|line| line.strip_prefix("stoke-")?.split(['.', ' ']).next());
            let mut used: Vec<String> = names.map(str::to_owned).collect();
            used.sort();
            (room, used)
        })
        .collect()
}

/// Rows of a table of Markdown that begin with a link or a code span: its text, and the other cells.
fn rows(text: &str) -> impl Iterator<Item = (String, Vec<&str>)> {
    text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.trim_end_matches('|').split('|').map(str::trim);
        let first = cells.next()?;
        let name = match first.strip_prefix('[') {
            Some(link) => link.split(']').next()?,
            None => first.strip_prefix('`')?.strip_suffix('`')?,
        };
        Some((name.to_owned(), cells.collect()))
    })
}

#[test]
fn every_room_is_in_the_list_with_what_it_uses() {
    let text = read("crates/README.md");
    let mut listed: BTreeMap<String, Vec<String>> = rows(&text)
        .map(|(room, cells)| {
            let used = cells[1].split(", ").filter(|name| !name.is_empty());
            (room, used.map(str::to_owned).collect())
        })
        .collect();
    let mut rooms = rooms();
    // It uses all of them, and says so.
    assert_eq!(listed.remove("stoke").unwrap(), ["all but testkit"]);
    let used = rooms.remove("stoke").unwrap();
    assert!(!used.contains(&"testkit".to_owned()), "{used:?}");
    assert_eq!(listed, rooms);
}

#[test]
fn arrows_point_down_in_the_map() {
    let text = read("ARCHITECTURE.md");
    let map = text.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let mut floor = 0;
    let mut floors: BTreeMap<&str, usize> = BTreeMap::new();
    let rooms = rooms();
    for line in map.lines() {
        floor += usize::from(line.is_empty());
        for word in line.split_whitespace() {
            if rooms.contains_key(word) {
                floors.entry(word).or_insert(floor);
            }
        }
    }
    // The floor of the tests is the lowest of the picture, and what it uses is above it.
    for (room, used) in rooms.iter().filter(|(room, _)| *room != "testkit") {
        let own = floors[room.as_str()];
        for other in used {
            assert!(
                floors[other.as_str()] >= own,
                "{room} uses {other}, which the map shows above it"
            );
        }
    }
    assert_eq!(floors.len(), rooms.len(), "rooms that the map does not show");
}

#[test]
fn every_test_program_has_its_tiers_written_down() {
    let text = read("CONTRIBUTING.md");
    let mut listed: Vec<String> = rows(&text).map(|(program, _)| program).collect();
    listed.retain(|program| program.contains('/'));
    let mut programs = Vec::new();
    for room in rooms().keys() {
        let tests = repository().join("crates").join(room).join("tests");
        for entry in std::fs::read_dir(tests).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if let Some(program) = name.strip_suffix(".rs") {
                programs.push(format!("{room}/{program}"));
            } else if path.join("main.rs").exists() {
                programs.push(format!("{room}/{name}"));
            }
        }
    }
    programs.sort();
    listed.sort();
    assert_eq!(listed, programs);
}

#[test]
fn paths_in_the_architecture_exist() {
    let text = read("ARCHITECTURE.md");
    let spans = text.split('`').skip(1).step_by(2);
    let paths: Vec<&str> = spans
        .filter(|span| span.starts_with("crates/") || span.starts_with("docs/"))
        .filter(|span| !span.contains(['<', ' ']))
        .collect();
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        assert!(repository().join(path).exists(), "{path} is not there");
    }
}

#[test]
fn links_among_documents_lead_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for file in texts()
        .into_iter()
        .filter(|file| file.extension().is_some_and(|e| e == "md"))
    {
        let text = std::fs::read_to_string(&file).unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', ' ']).next())
        {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains(':') {
                continue;
            }
            count += 1;
            if !file.parent().unwrap().join(path).exists() {
                broken.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(count > 100 && broken.is_empty(), "{count} links\n{}", broken.join("\n"));
}

#[test]
fn no_room_takes_a_file_of_another_by_its_path() {
    for room in rooms().keys() {
        let root = repository().join("crates").join(room);
        let of_room = texts().into_iter().filter(|file| file.starts_with(&root));
        let root = root.canonicalize().unwrap();
        for file in of_room {
            let text = std::fs::read_to_string(&file).unwrap();
            for line in text.lines().filter_map(|line| line.trim().strip_prefix("#[path = \"")) {
                let target = file.parent().unwrap().join(line.split('"').next().unwrap());
                let target = target.canonicalize().unwrap();
                assert!(target.starts_with(&root), "{}: {line}", file.display());
            }
        }
    }
}

/// Words of `docs/explanation/style.md` that are not ours, and those of them that may be a name in a source.
const AVOIDED: [&str; 7] = ["mend", "mended", "mends", "anew", "nobody", "somebody", "beforehand"];
const NAMES: [&str; 2] = ["nobody", "somebody"];

#[test]
fn no_word_is_used_that_the_style_avoids() {
    let mut found = Vec::new();
    for file in texts() {
        let path = file.strip_prefix(repository()).unwrap().display().to_string();
        // The style lists them.
        if path.ends_with("docs/explanation/style.md") || path.ends_with("testkit/tests/house.rs") {
            continue;
        }
        let may_be_a_name = |word: &str| path.ends_with(".rs") && NAMES.contains(&word);
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let avoided = |word: &str| AVOIDED.contains(&word) && !may_be_a_name(word);
            if words.any(|word| avoided(&word.to_lowercase())) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(
        found.is_empty(),
        "docs/explanation/style.md has other words for these:\n{}",
        found.join("\n")
    );
}

/// Names that say nothing of the thing; a type is a noun (`docs/explanation/style.md`).
const NOT_A_TYPE: [&str; 4] = ["Said", "Told", "Asked", "Hands"];

#[test]
fn no_type_is_named_by_a_participle_alone() {
    let mut found = Vec::new();
    for file in texts() {
        let path = file.strip_prefix(repository()).unwrap().display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let defines = words.any(|word| ["struct", "enum", "trait", "type"].contains(&word));
            if defines && words.next().is_some_and(|name| NOT_A_TYPE.contains(&name)) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Words of a text or of a name, without what carries no meaning, in the singular.
fn meaning(text: &str) -> Vec<String> {
    const EMPTY: [&str; 16] = [
        "a", "an", "the", "of", "its", "this", "that", "is", "are", "in", "to", "for", "fn", "it", "their", "as",
    ];
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in text.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = letter.is_lowercase();
        if letter.is_alphanumeric() {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty() && !EMPTY.contains(&word.as_str()));
    let singular = |word: String| match word.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => word.trim_end_matches('s').to_owned(),
    };
    words.into_iter().map(singular).collect()
}

/// The name of the item that a line begins, of a field or of a variant.
fn named(line: &str) -> Option<&str> {
    const BEFORE: [&str; 16] = [
        "pub",
        "pub(crate)",
        "pub(super)",
        "const",
        "async",
        "unsafe",
        "static",
        "fn",
        "struct",
        "enum",
        "trait",
        "type",
        "mod",
        "macro_rules!",
        "extern",
        "default",
    ];
    let word = line.split_whitespace().find(|word| !BEFORE.contains(word))?;
    let end = word.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let name = &word[..end.unwrap_or(word.len())];
    (!name.is_empty()).then_some(name)
}

#[test]
fn no_comment_only_repeats_a_name() {
    let mut found = Vec::new();
    for file in texts() {
        let path = file.strip_prefix(repository()).unwrap().display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        // There, comments are texts for people: help, descriptions of schemas, pages.
        let is_text = ["clap", "JsonSchema", "gates!"].iter().any(|word| text.contains(word));
        if !path.contains("/src/") || !path.ends_with(".rs") || is_text {
            continue;
        }
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let is_doc = |line: Option<&&str>| line.is_some_and(|line| line.starts_with("///"));
            let alone = !is_doc(at.checked_sub(1).and_then(|at| lines.get(at))) && !is_doc(lines.get(at + 1));
            let Some(comment) = line.strip_prefix("/// ").filter(|_| alone) else {
                continue;
            };
            let item = lines[at + 1..].iter().find(|line| !line.starts_with('#'));
            let name = item.and_then(|item| named(item)).unwrap_or_default();
            let (comment, name) = (meaning(comment), meaning(name));
            if !comment.is_empty() && comment.iter().all(|word| name.contains(word)) {
                found.push(format!("{path}:{}: {line}", at + 1));
            }
        }
    }
    assert!(found.is_empty(), "{} comments:\n{}", found.len(), found.join("\n"));
}

/// Sources and documents.
fn texts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![repository().join("crates"), repository().join("docs")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "rs" || extension == "md")
                || path.ends_with("src/codes.txt")
            {
                found.push(path);
            }
        }
    }
    let named = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];
    found.extend(named.map(|name| repository().join(name)));
    found
}
