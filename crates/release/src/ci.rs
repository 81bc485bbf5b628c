//! Pipelines: the files by which GitHub and GitLab check a job, make a release of it and promote it.
//!
//! In: which system. Out: one file, whose commands are the same for every system ([`steps`]); tests execute them, and hold the files against the schemas of both systems.

use serde_json::{Value, json};

/// A system that runs pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Github,
    Gitlab,
}

/// A step: its name, and the lines of its shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub name: &'static str,
    pub lines: &'static [&'static str],
    /// Only on the default branch.
    pub releases: bool,
}

/// What a pipeline does. `STOKE_RELEASES` says where releases are kept.
#[must_use]
pub fn steps() -> [Step; 3] {
    [
        Step {
            name: "check",
            lines: &["stoke check . --report junit=stoke-check.xml"],
            releases: false,
        },
        Step {
            name: "release",
            lines: &["stoke release create . --output json > stoke-release.json"],
            releases: true,
        },
        Step {
            name: "promote",
            lines: &["stoke release promote --auto", "stoke release status"],
            releases: true,
        },
    ]
}

impl System {
    /// Where the file belongs in a repository.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            System::Github => ".github/workflows/stoke.yaml",
            System::Gitlab => ".gitlab-ci.yml",
        }
    }

    /// The file.
    ///
    /// # Errors
    /// Never for what is made here.
    pub fn file(self) -> Result<String, String> {
        let value = match self {
            System::Github => github(),
            System::Gitlab => gitlab(),
        };
        let yaml = serde_saphyr::to_string(&value).map_err(|error| error.to_string())?;
        let head = "# Written by `stoke ci init`. It needs `stoke` on the runner, and STOKE_RELEASES: the place where releases are kept.\n";
        Ok(format!("{head}{yaml}"))
    }
}

fn github() -> Value {
    let only = "github.ref_name == github.event.repository.default_branch";
    let of = |step: &Step| {
        let mut value = json!({"name": step.name, "run": step.lines.join("\n")});
        if step.releases {
            value["if"] = json!(only);
        }
        value
    };
    let mut all = vec![json!({"uses": "actions/checkout@v4"})];
    all.extend(steps().iter().map(of));
    json!({
        "name": "stoke",
        "on": {"push": {}, "pull_request": {}},
        "permissions": {"contents": "read"},
        // One at a time: the ledger would hold the second one up anyway.
        "concurrency": {"group": "stoke-${{ github.ref }}"},
        "env": {"STOKE_RELEASES": "${{ vars.STOKE_RELEASES }}"},
        "jobs": {"stoke": {"runs-on": "self-hosted", "timeout-minutes": 60, "steps": all}},
    })
}

fn gitlab() -> Value {
    let mut file = json!({"stages": steps().map(|step| step.name)});
    for step in steps() {
        let mut job = json!({"stage": step.name, "script": step.lines});
        if step.releases {
            job["rules"] = json!([{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}]);
            job["resource_group"] = json!("stoke");
        } else {
            job["artifacts"] = json!({"when": "always", "reports": {"junit": "stoke-check.xml"}});
        }
        file[step.name] = job;
    }
    // `release` is a word of GitLab inside a job, and a name of a job outside; the name says what it makes.
    if let Some(map) = file.as_object_mut()
        && let Some(job) = map.remove("release")
    {
        map.insert("make-release".to_owned(), job);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_every_command() {
        for system in [System::Github, System::Gitlab] {
            let file = system.file().unwrap();
            for line in steps().iter().flat_map(|step| step.lines) {
                assert!(file.contains(line), "{line} is not in {file}");
            }
        }
    }
}
