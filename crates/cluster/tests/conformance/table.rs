//! The table in `docs/reference/conformance.md`.

use libtest_mimic::Failed;

use crate::case::Case;

const HEAD: &str = "# What clients may rely on

Every row is a test that runs a real client, with its default settings, against the embedded Kubernetes. The table is generated from
those tests (`scripts/generate`) and a test fails when the two differ. What is not
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

/// The page on disk is this one.
pub fn compare(page: &str) -> Result<(), Failed> {
    Ok(stoke_testkit::generated::file("docs/reference/conformance.md", page)?)
}
