//! Documents are executed: every `sh` block of README and docs, in order, one shell per document, in the repository's root.
//!
//! `stoke` is the binary under test. Two lines stand for what is already happening and are not run again inside a test:
//! `cargo run --release -- …` runs that binary with the same arguments, `cargo test --workspace` is this very run.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use libtest_mimic::{Failed, Trial};

use crate::common::{Context, VERSIONS, expect_code, full, program, repository, stoke};

/// Those whose commands take seconds, and the README; the others are executed in tier `full`.
const BY_DEFAULT: [&str; 12] = [
    "README.md",
    "advisories.md",
    "check-metrics.md",
    "check.md",
    "compare-data.md",
    "migrate-from-helm.md",
    "objectives.md",
    "platform.md",
    "policy.md",
    "presets.md",
    "publish.md",
    "release.md",
];

pub fn trials(context: &Context) -> Vec<Trial> {
    let mut documents = vec![repository().join("README.md")];
    let mut folders = vec![repository().join("docs")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match path.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|extension| extension == "md") => documents.push(path),
                _ => {}
            }
        }
    }
    documents.sort();
    let needs = [
        context.spark(VERSIONS[0]),
        program("kubectl", "see the Kubernetes documentation, `Install kubectl`"),
    ];
    let with_blocks = documents.into_iter().filter(|path| !blocks(path).is_empty());
    with_blocks
        .map(|path| {
            let mut needs = needs.to_vec();
            if path
                .file_name()
                .is_none_or(|name| !BY_DEFAULT.iter().any(|default| name == *default))
            {
                needs.insert(0, full());
            }
            if blocks(&path).iter().any(|block| block.contains("curl ")) {
                needs.push(program("curl", "apt-get install curl"));
            }
            if blocks(&path).iter().any(|block| block.contains("etl-s3.yaml")) {
                needs.push(context.package("org.apache.hadoop:hadoop-aws:3.4.2"));
            }
            let name = path.strip_prefix(repository()).unwrap_or(&path).display().to_string();
            context.trial(&format!("document: {name}"), &needs, move |context| {
                execute(context, &path)
            })
        })
        .collect()
}

fn blocks(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match (&mut open, line.trim()) {
            (None, "```sh") => open = Some(String::new()),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), _) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

fn execute(context: &Context, document: &Path) -> Result<(), Failed> {
    let home = context.private_home();
    let bin = tempfile::tempdir()?;
    let binary = env!("CARGO_BIN_EXE_stoke");
    std::os::unix::fs::symlink(binary, bin.path().join("stoke"))?;
    let cargo = bin.path().join("cargo");
    let shim = format!(
        "#!/bin/sh\ncase \"$*\" in\n  'run --release -- '*) shift 3; exec {binary} \"$@\";;\n  'test --workspace') exit 0;;\n  *) echo \"unknown: cargo $*\" >&2; exit 9;;\nesac\n"
    );
    std::fs::write(&cargo, shim)?;
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755))?;
    let path = std::env::join_paths(
        std::iter::once(bin.path().to_path_buf())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )?;
    let script = format!("set -eux\n{}", blocks(document).join("\n"));
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(repository())
        .env("STOKE_HOME", home.path())
        .env("PATH", path)
        .env_remove("KUBECONFIG")
        .output()?;
    // A block that failed half-way may have left its cluster up.
    let _ = stoke(home.path(), ["down"]).output();
    expect_code(&output, 0)
}
