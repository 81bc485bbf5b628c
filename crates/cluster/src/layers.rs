//! The floors of the room: what is below uses nothing above it.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A floor, and what it may not use: modules of this crate, and crates of others.
const FLOORS: &[(&str, &[&str], &[&str])] = &[
    (
        "store",
        &[
            "apimachinery",
            "registry",
            "http",
            "controllers",
            "scheduler",
            "node",
            "api",
            "cluster",
        ],
        &["http", "axum", "hyper", "hyper_util", "tower", "kube"],
    ),
    (
        "apimachinery",
        &[
            "registry",
            "http",
            "controllers",
            "scheduler",
            "node",
            "api",
            "cluster",
            "kubelet",
        ],
        &["http", "axum", "hyper", "hyper_util", "tower", "kube", "tokio"],
    ),
    (
        "registry",
        &["http", "controllers", "scheduler", "node", "api", "cluster", "kubelet"],
        &["http", "axum", "hyper", "hyper_util", "tower", "kube"],
    ),
    ("http", &["controllers", "scheduler", "node", "api", "cluster"], &[]),
    (
        "controllers",
        &["http", "node", "api", "cluster"],
        &["http", "axum", "hyper", "tower"],
    ),
    (
        "scheduler",
        &["http", "registry", "controllers", "api", "cluster"],
        &["axum", "hyper", "tower"],
    ),
    (
        "node",
        &["http", "registry", "controllers", "api", "cluster"],
        &["axum"],
    ),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    let found = entries.flat_map(of);
    found
        .filter(|path| path.extension().is_some_and(|kind| kind == "rs"))
        .collect()
}

#[test]
fn arrows_point_down() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (floor, modules, crates) in FLOORS {
        let inside = Regex::new(&format!(r"\bcrate::({})\b", modules.join("|"))).unwrap();
        let outside =
            (!crates.is_empty()).then(|| Regex::new(&format!(r"(^|[^:\w])({})::", crates.join("|"))).unwrap());
        let files = files(&source.join(floor));
        assert!(!files.is_empty(), "{floor} is gone");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if inside.is_match(code) || outside.as_ref().is_some_and(|outside| outside.is_match(code)) {
                    wrong.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these run up:\n{}", wrong.join("\n"));
}
