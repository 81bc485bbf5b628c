//! Pipelines: the files by which GitHub, GitLab, Jenkins, Tekton and Argo Workflows check a job, test it, build, scan and sign its image, make a release of it and promote it.
//!
//! In: which system, and whether the pipeline builds an image. Out: one file, whose commands are the same for every system ([`Pipeline::steps`]); tests execute them, and hold the
//! files against what the systems themselves take.

mod argo;
mod github;
mod gitlab;
mod jenkins;
mod tekton;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

/// A system that runs pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Github,
    Gitlab,
    Jenkins,
    Tekton,
    Argo,
}

/// A step: its name, and the lines of its shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub name: &'static str,
    pub lines: Vec<String>,
    /// Only on the default branch.
    pub releases: bool,
    /// The file of its verdicts, as JUnit has them.
    pub report: Option<&'static str>,
    /// It needs the private key: `STOKE_KEY` is its file, `COSIGN_PASSWORD` opens it.
    pub signs: bool,
}

/// What a pipeline is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pipeline {
    image: Option<String>,
}

impl Pipeline {
    /// With `image`, it is built, scanned and signed before a release is made.
    ///
    /// # Errors
    /// The name has characters that a shell or a template would read as something else.
    pub fn new(image: Option<&str>) -> Result<Self, String> {
        let plain = |text: &str| {
            text.starts_with(|first: char| first.is_ascii_alphanumeric())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-:/@".contains(c))
        };
        match image {
            Some(name) if !plain(name) => Err(format!(
                "`{name}` is not the name of an image: letters, digits and . _ - : / @ may stand in it"
            )),
            _ => Ok(Self {
                image: image.map(str::to_owned),
            }),
        }
    }

    /// What it does, in order. `STOKE_RELEASES` says where releases are kept.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let step = |name, lines: &[&str], releases| Step {
            name,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            releases,
            report: None,
            signs: false,
        };
        let mut steps = vec![
            Step {
                report: Some("stoke-check.xml"),
                ..step("check", &["stoke check . --report junit=stoke-check.xml"], false)
            },
            Step {
                report: Some("stoke-tests.xml"),
                ..step(
                    "test",
                    &["stoke check . --gate tests --report junit=stoke-tests.xml"],
                    false,
                )
            },
        ];
        if let Some(image) = &self.image {
            let local = ["oci:", "archive:", "local:"]
                .iter()
                .any(|kind| image.starts_with(kind));
            let to = if local { "--to" } else { "--push" };
            steps.push(step(
                "build",
                &[&format!("stoke image build . --locked {to} {image}")],
                true,
            ));
            // Where advisories come from when osv.dev cannot be reached.
            let update = "stoke advisories update ${STOKE_ADVISORIES:+--from \"$STOKE_ADVISORIES\"}";
            let scan = format!("stoke sbom {image} --scan --file stoke-sbom.json");
            steps.push(step("scan", &[update, &scan], true));
            let sign = format!("stoke sign {image} --key \"$STOKE_KEY\"");
            let attest = format!("stoke attest {image} --key \"$STOKE_KEY\" --sbom cyclonedx");
            steps.push(Step {
                signs: true,
                ..step("sign", &[&sign, &attest], true)
            });
        }
        let create = "stoke release create . --output json > stoke-release.json";
        steps.push(step("release", &[create], true));
        let promote = ["stoke release promote --auto", "stoke release status"];
        steps.push(step("promote", &promote, true));
        steps
    }
}

impl System {
    pub const ALL: [Self; 5] = [Self::Github, Self::Gitlab, Self::Jenkins, Self::Tekton, Self::Argo];

    /// Where the file belongs in a repository.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            System::Github => ".github/workflows/stoke.yaml",
            System::Gitlab => ".gitlab-ci.yml",
            System::Jenkins => "Jenkinsfile",
            System::Tekton => ".tekton/stoke.yaml",
            System::Argo => ".argo/stoke.yaml",
        }
    }

    /// The file.
    ///
    /// # Errors
    /// Never for what is made here.
    pub fn file(self, pipeline: &Pipeline) -> Result<String, String> {
        let steps = pipeline.steps();
        let documents = match self {
            System::Github => vec![github::workflow(&steps)],
            System::Gitlab => vec![gitlab::pipeline(&steps)],
            System::Jenkins => return Ok(jenkins::file(&steps)),
            System::Tekton => tekton::objects(&steps),
            System::Argo => vec![argo::template(&steps)],
        };
        let head = match self {
            System::Github => github::HEAD,
            System::Gitlab => gitlab::HEAD,
            System::Jenkins => "",
            System::Tekton => tekton::HEAD,
            System::Argo => argo::HEAD,
        };
        let mut text: String = head.lines().map(|line| format!("# {line}\n")).collect();
        for (index, document) in documents.iter().enumerate() {
            if index > 0 {
                text.push_str("---\n");
            }
            let yaml = serde_saphyr::to_string(document).map_err(|error| error.to_string())?;
            text.push_str(&yaml);
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
        Ok(text)
    }
}

/// The Secret that has credentials of registries, buckets and repositories, for pipelines that are pods.
const SECRET: &str = "stoke-ci";
/// The Secret with the private key: `stoke.key`, and `password`, which opens it.
const KEY: &str = "stoke-key";

/// The lines that get the job: `URL` and `REVISION` are variables, since they come from outside.
const CLONE: &str = "rm -rf job\ngit clone --quiet \"$URL\" job\ngit -C job checkout --quiet \"$REVISION\"\n";

/// Environment of a step that is a container. What is long stays in the volume, so that later steps find it.
fn environment(step: &Step, volume: &str, releases: &str) -> Vec<Value> {
    let mut all = vec![
        json!({"name": "STOKE_RELEASES", "value": releases}),
        json!({"name": "STOKE_HOME", "value": format!("{volume}/stoke")}),
    ];
    if step.signs {
        all.push(json!({"name": "STOKE_KEY", "value": "/stoke-key/stoke.key"}));
        let from = json!({"secretKeyRef": {"name": KEY, "key": "password", "optional": true}});
        all.push(json!({"name": "COSIGN_PASSWORD", "valueFrom": from}));
    }
    all
}

/// Credentials, for steps whose code is that of the default branch, and for the clone.
fn secrets() -> Value {
    json!([{"secretRef": {"name": SECRET, "optional": true}}])
}

/// No step needs more rights than a process has.
fn security() -> Value {
    json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
}
