//! The steps of a pipeline as its system reads them: in which order, under which conditions, with which shell and variables.

use std::path::{Path, PathBuf};

use libtest_mimic::Failed;
use serde_json::Value;

/// What a system knows of a run.
pub struct Given {
    /// A directory that all steps share.
    pub volume: PathBuf,
    pub url: PathBuf,
    pub revision: String,
    pub branch: String,
    pub releases: PathBuf,
    /// The file of the private key; the password is `secret`.
    pub key: PathBuf,
}

impl Given {
    /// Where the job is.
    pub fn directory(&self) -> PathBuf {
        self.volume.join("job")
    }

    fn is_default(&self) -> bool {
        self.branch == "main"
    }

    /// A text of a file with what stands between marks put in.
    fn filled(&self, text: &str, (begin, end): (&str, &str)) -> String {
        let shown = |path: &Path| path.display().to_string();
        let values = [
            ("url", shown(&self.url)),
            ("revision", self.revision.clone()),
            ("branch", self.branch.clone()),
            ("default-branch", "main".to_owned()),
            ("releases", shown(&self.releases)),
        ];
        values.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{begin}{name}{end}"), value)
        })
    }
}

/// One step.
pub struct Job {
    pub name: String,
    pub script: String,
    pub shell: Vec<String>,
    pub directory: PathBuf,
    pub variables: Vec<(String, String)>,
    pub runs: bool,
}

pub fn read(system: &str, text: &str, given: &Given) -> Result<Vec<Job>, Failed> {
    match system {
        "github" => github(text, given),
        "gitlab" => gitlab(text, given),
        "jenkins" => jenkins(text, given),
        "tekton" => tekton(text, given),
        _ => argo(text, given),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn outside(given: &Given) -> Vec<(String, String)> {
    vec![("STOKE_RELEASES".to_owned(), given.releases.display().to_string())]
}

/// What runs commands of a checkout: `bash -e` of GitHub, on a self-hosted runner.
fn github(text: &str, given: &Given) -> Result<Vec<Job>, Failed> {
    let file: Value = serde_saphyr::from_str(text)?;
    let mut jobs = Vec::new();
    for step in items(&file["jobs"]["stoke"]["steps"]).filter(|step| step["run"].is_string()) {
        let runs = match step["if"].as_str() {
            None => true,
            Some("github.ref_name == github.event.repository.default_branch") => given.is_default(),
            Some(other) => return Err(format!("not a known condition: {other}").into()),
        };
        let mut variables = outside(given);
        variables.push(("RUNNER_TEMP".to_owned(), given.volume.display().to_string()));
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            let value = match value.as_str() {
                Some("${{ secrets.STOKE_KEY }}") => std::fs::read_to_string(&given.key)?.trim_end().to_owned(),
                Some("${{ secrets.COSIGN_PASSWORD }}") => "secret".to_owned(),
                other => return Err(format!("not a known value: {other:?}").into()),
            };
            variables.push((name.clone(), value));
        }
        jobs.push(Job {
            name: string(&step["name"]),
            script: string(&step["run"]),
            shell: words(&["bash", "-e"]),
            directory: given.directory(),
            variables,
            runs,
        });
    }
    Ok(jobs)
}

/// Jobs by stages; a runner's shell ends at the first line that fails.
fn gitlab(text: &str, given: &Given) -> Result<Vec<Job>, Failed> {
    let file: Value = serde_saphyr::from_str(text)?;
    let mut jobs = Vec::new();
    for stage in items(&file["stages"]) {
        for (_, job) in file
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, job)| job["stage"] == *stage)
        {
            let rules: Vec<String> = items(&job["rules"]).map(|rule| string(&rule["if"])).collect();
            let runs = match rules.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                [] => true,
                ["$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"] => given.is_default(),
                _ => return Err(format!("not known rules: {rules:?}").into()),
            };
            let lines: Vec<String> = items(&job["script"]).map(string).collect();
            let mut variables = outside(given);
            // Variables of the project, the key as a file.
            variables.push(("STOKE_KEY".to_owned(), given.key.display().to_string()));
            variables.push(("COSIGN_PASSWORD".to_owned(), "secret".to_owned()));
            jobs.push(Job {
                name: string(stage),
                script: format!("set -eo pipefail\n{}\n", lines.join("\n")),
                shell: words(&["bash"]),
                directory: given.directory(),
                variables,
                runs,
            });
        }
    }
    Ok(jobs)
}

/// The lines of `sh` of each stage; that Groovy reads them so is shown in tier `full`.
fn jenkins(text: &str, given: &Given) -> Result<Vec<Job>, Failed> {
    let quoted = |line: &str| {
        let inside = line.split_once('\'')?.1.rsplit_once('\'')?.0;
        Some(inside.replace("\\'", "'").replace("\\\\", "\\"))
    };
    let mut jobs: Vec<Job> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("stage(") {
            jobs.push(Job {
                name: quoted(line).unwrap_or_default(),
                script: String::new(),
                shell: words(&["sh", "-xe"]),
                directory: given.directory(),
                variables: outside(given),
                runs: true,
            });
        }
        let Some(job) = jobs.last_mut() else { continue };
        if line == "when { environment name: 'BRANCH_IS_PRIMARY', value: 'true' }" {
            job.runs = given.is_default();
        } else if line.starts_with("when") {
            return Err(format!("not a known condition: {line}").into());
        } else if line.starts_with("sh ") {
            job.script.push_str(&quoted(line).unwrap_or_default());
            job.script.push('\n');
        } else if let Some((name, credential)) = line.split_once(" = credentials(") {
            let value = match credential {
                "'stoke-key')" => given.key.display().to_string(),
                "'stoke-key-password')" => "secret".to_owned(),
                _ => return Err(format!("not a known credential: {line}").into()),
            };
            job.variables.push((name.to_owned(), value));
        }
    }
    Ok(jobs)
}

/// A container's variables; the key is where its Secret is mounted.
fn variables(container: &Value, given: &Given, fill: impl Fn(&str) -> String) -> Vec<(String, String)> {
    items(&container["env"])
        .map(|one| {
            let value = match one["valueFrom"]["secretKeyRef"]["name"].as_str() {
                Some(_) => "secret".to_owned(),
                None => fill(one["value"].as_str().unwrap_or_default()),
            };
            let value = value.replace("/stoke-key/stoke.key", &given.key.display().to_string());
            (string(&one["name"]), value)
        })
        .collect()
}

fn tekton(text: &str, given: &Given) -> Result<Vec<Job>, Failed> {
    let objects: Vec<Value> = text
        .split("\n---\n")
        .map(serde_saphyr::from_str)
        .collect::<Result<_, _>>()?;
    let pipeline = objects
        .iter()
        .find(|object| object["kind"] == "Pipeline")
        .ok_or("no Pipeline")?;
    let volume = given.volume.display().to_string();
    let fill = |text: &str| {
        given
            .filled(text, ("$(params.", ")"))
            .replace("$(workspaces.source.path)", &volume)
    };
    let mut jobs = Vec::new();
    let mut before: Option<String> = None;
    for use_ in items(&pipeline["spec"]["tasks"]) {
        // One after the other: each waits for the one before.
        assert_eq!(use_["runAfter"][0].as_str(), before.as_deref(), "{use_}");
        before = use_["name"].as_str().map(str::to_owned);
        let task = objects
            .iter()
            .find(|object| object["kind"] == "Task" && object["metadata"]["name"] == use_["taskRef"]["name"])
            .ok_or_else(|| format!("no Task for {use_}"))?;
        let runs = items(&use_["when"]).all(|when| {
            let input = fill(&string(&when["input"]));
            assert_eq!(when["operator"], "in");
            items(&when["values"]).any(|value| fill(&string(value)) == input)
        });
        let step = &task["spec"]["steps"][0];
        let script = string(&step["script"]);
        assert!(script.starts_with("#!/bin/sh\n"), "{script}");
        jobs.push(Job {
            name: string(&use_["name"]),
            script,
            shell: words(&["/bin/sh"]),
            directory: PathBuf::from(fill(&string(&step["workingDir"]))),
            variables: variables(step, given, fill),
            runs,
        });
    }
    Ok(jobs)
}

fn argo(text: &str, given: &Given) -> Result<Vec<Job>, Failed> {
    let file: Value = serde_saphyr::from_str(text)?;
    let template = |name: &Value| items(&file["spec"]["templates"]).find(|template| template["name"] == *name);
    let volume = given.volume.display().to_string();
    let fill = |text: &str| given.filled(text, ("{{workflow.parameters.", "}}"));
    let inside = |text: &str| fill(text).replace("/work", &volume);
    let pipeline = template(&file["spec"]["entrypoint"]).ok_or("no entrypoint")?;
    let mut jobs = Vec::new();
    let mut before: Option<String> = None;
    for task in items(&pipeline["dag"]["tasks"]) {
        assert_eq!(task["dependencies"][0].as_str(), before.as_deref(), "{task}");
        before = task["name"].as_str().map(str::to_owned);
        let runs = match task["when"].as_str().map(fill) {
            None => true,
            Some(when) => {
                let sides = when
                    .split_once(" == ")
                    .ok_or_else(|| format!("not a known condition: {when}"))?;
                sides.0 == sides.1
            }
        };
        let script = &template(&task["template"]).ok_or_else(|| format!("no template for {task}"))?["script"];
        jobs.push(Job {
            name: string(&task["name"]),
            script: string(&script["source"]),
            shell: items(&script["command"]).map(string).collect(),
            directory: PathBuf::from(inside(&string(&script["workingDir"]))),
            variables: variables(script, given, |text| match text.starts_with("/work") {
                true => inside(text),
                false => fill(text),
            }),
            runs,
        });
    }
    Ok(jobs)
}
