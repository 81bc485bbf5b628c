//! The table in `docs/reference/conformance.md`.

use std::path::Path;

use libtest_mimic::Failed;

use crate::case::Case;

const HEAD: &str = "# What clients may rely on

Every row is a test that runs a real client, with its default settings, against the embedded Kubernetes. The table is generated from
those tests (`STOKE_WRITE_DOCS=1 cargo test -p stoke-cluster --test conformance`) and a test fails when the two differ. What is not
listed is not promised; what is missing on purpose is in [embedded-cluster.md](embedded-cluster.md).
";

/// The whole page.
pub fn render(cases: &[Case]) -> String {
    let mut page = HEAD.to_owned();
    let mut areas: Vec<&str> = Vec::new();
    for case in cases {
        if !areas.contains(&case.area) {
            areas.push(case.area);
        }
    }
    for area in areas {
        page += &format!("\n## {area}\n\n| behaviour | proved by |\n|---|---|\n");
        for case in cases.iter().filter(|case| case.area == area) {
            page += &format!("| {} | {} |\n", case.behaviour, case.client.name());
        }
    }
    page
}

/// The page on disk is this one; with `STOKE_WRITE_DOCS=1` it is made so.
pub fn compare(page: &str) -> Result<(), Failed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/conformance.md");
    if std::env::var_os("STOKE_WRITE_DOCS").is_some() {
        std::fs::write(&path, page)?;
    }
    if std::fs::read_to_string(&path).unwrap_or_default() == page {
        Ok(())
    } else {
        Err("docs/reference/conformance.md is not the table of these cases: run again with STOKE_WRITE_DOCS=1".into())
    }
}
