//! A pipeline of GitLab.

use serde_json::{Value, json};

use super::Step;

pub const HEAD: &str = "Written by `stoke ci init`. It needs `stoke` on the runner, and STOKE_RELEASES: the place where releases are kept.";

pub fn pipeline(steps: &[Step]) -> Value {
    let mut file = json!({"stages": steps.iter().map(|step| step.name).collect::<Vec<_>>()});
    for step in steps {
        let mut job = json!({"stage": step.name, "script": step.lines});
        if step.releases {
            job["rules"] = json!([{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}]);
            job["resource_group"] = json!("stoke");
        }
        if let Some(report) = step.report {
            job["artifacts"] = json!({"when": "always", "reports": {"junit": report}});
        }
        file[name(step)] = job;
    }
    file
}

/// `release` is a word of GitLab inside a job, and a name of a job outside; the name says what it makes.
fn name(step: &Step) -> &'static str {
    match step.name {
        "release" => "make-release",
        name => name,
    }
}
