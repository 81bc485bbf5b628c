//! `stoke ci init`: the pipeline of every system is taken by that system, and its steps are executed as that system would: in its order, with its shell, its conditions, its variables.

mod jobs;
mod systems;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use self::jobs::{Given, Job};
use crate::common::{Context, expect_code, expect_parts, full, program, repository, stoke, text};

/// Systems, and where each has its file.
pub const SYSTEMS: [(&str, &str); 5] = [
    ("github", ".github/workflows/stoke.yaml"),
    ("gitlab", ".gitlab-ci.yml"),
    ("jenkins", "Jenkinsfile"),
    ("tekton", ".tekton/stoke.yaml"),
    ("argo", ".argo/stoke.yaml"),
];

pub fn trials(context: &Context) -> Vec<Trial> {
    let git = || program("git", "apt-get install git");
    let go = || program("go", "see https://go.dev/doc/install");
    let mut trials: Vec<Trial> = SYSTEMS
        .iter()
        .map(|(system, _)| {
            context.trial(&format!("ci: the steps of {system} run"), &[git()], move |context| {
                every_step(context, system)
            })
        })
        .collect();
    trials.push(context.trial("ci: what is not known, or is there, is refused", &[], refused));
    trials.push(context.trial(
        "ci: files are valid by the schemas of GitHub and GitLab",
        &[full()],
        |_| systems::schemas(),
    ));
    trials.push(context.trial("ci: Tekton takes its file", &[full(), go()], |_| systems::tekton()));
    trials.push(
        context.trial("ci: Argo Workflows takes its file", &[full(), go()], |_| {
            systems::argo()
        }),
    );
    trials.push(context.trial(
        "ci: Groovy runs the Jenkinsfile",
        &[
            full(),
            git(),
            program("java", "apt-get install openjdk-17-jre-headless"),
            program("mvn", "apt-get install maven"),
        ],
        systems::jenkins,
    ));
    trials
}

/// A repository with a job and the file of its pipeline, and what its steps need.
pub struct World {
    home: tempfile::TempDir,
    work: tempfile::TempDir,
}

const DIGEST: &str = "sha256:5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9";

impl World {
    pub fn new(context: &Context) -> Result<Self, Failed> {
        let world = World {
            home: context.private_home(),
            work: tempfile::tempdir()?,
        };
        let job = world.path("job");
        std::fs::create_dir(&job)?;
        let text = std::fs::read_to_string(repository().join("examples/pi.yaml"))?;
        let text = text.replace("image: apache/spark:4.1.4", &format!("image: apache/spark@{DIGEST}"));
        std::fs::write(job.join("app.yaml"), text)?;
        std::fs::write(job.join("main.py"), "print(1)\n")?;
        world.git(&["init", "-q", "--bare", "-b", "main", "deploy.git"])?;
        world.git(&["init", "-q", "--bare", "-b", "main", "job.git"])?;
        let environments = format!(
            "environments:\n- name: dev\n  namespace: dev\n  automatic: true\n  git: {{repository: {}, path: apps/dev}}\n",
            world.path("deploy.git").display()
        );
        std::fs::write(job.join("environments.yaml"), environments)?;
        // An image of one small layer to build on, an advisory to look packages up in, a key to sign with.
        let base = crate::images::base(world.work.path())?;
        let image = format!("base: {base}\nfiles: [{{from: main.py}}]\n");
        std::fs::write(job.join("stoke-image.yaml"), image)?;
        let advisory = r#"{"id": "OWN-1", "modified": "2026-11-01T00:00:00Z", "summary": "old", "affected": [{"package": {"ecosystem": "PyPI", "name": "simplejson"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.19.1"}]}]}]}"#;
        std::fs::write(world.path("advisory.json"), advisory)?;
        let made = world
            .stoke(&["keygen", "../stoke"])
            .env("COSIGN_PASSWORD", "secret")
            .output()?;
        expect_code(&made, 0)?;
        std::fs::create_dir(world.path("bin"))?;
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stoke"), world.path("bin/stoke"))?;
        Ok(world)
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.work.path().join(below)
    }

    pub fn stoke(&self, arguments: &[&str]) -> Command {
        let mut command = stoke(self.home.path(), arguments);
        command
            .current_dir(self.path("job"))
            .env("STOKE_RELEASES", self.path("releases"));
        command
    }

    pub fn git(&self, arguments: &[&str]) -> Result<Output, Failed> {
        let output = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(arguments)
            .current_dir(self.work.path())
            .output()?;
        expect_code(&output, 0)?;
        Ok(output)
    }

    /// The image that the pipeline builds.
    pub fn image(&self) -> String {
        format!("oci:{}:v1", self.path("images").display())
    }

    /// Writes the file of the pipeline into the job and commits both; gives the commit.
    pub fn commit(&self, system: &str) -> Result<String, Failed> {
        let image = self.image();
        let made = self.stoke(&["ci", "init", system, "--image", &image]).output()?;
        expect_code(&made, 0)?;
        for arguments in [
            ["-C", "job", "init", "-q", "-b", "main"].as_slice(),
            &["-C", "job", "add", "-A"],
            &["-C", "job", "commit", "-q", "-m", "a job"],
            &["-C", "job", "push", "-q", "../job.git", "main"],
        ] {
            self.git(arguments)?;
        }
        let head = self.git(&["-C", "job", "rev-parse", "HEAD"])?;
        Ok(String::from_utf8_lossy(&head.stdout).trim().to_owned())
    }

    /// What a run is given, in a new directory of its own.
    fn given(&self, revision: &str, branch: &str) -> Result<Given, Failed> {
        let volume = self.path(branch);
        std::fs::create_dir(&volume)?;
        Ok(Given {
            volume,
            url: self.path("job.git"),
            revision: revision.to_owned(),
            branch: branch.to_owned(),
            releases: self.path("releases"),
            key: self.path("stoke.key"),
        })
    }

    /// A command that finds `stoke`, a home and advisories.
    pub fn ready<'a>(&self, command: &'a mut Command) -> Result<&'a mut Command, Failed> {
        let mut path = vec![self.path("bin")];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        Ok(command
            .env("PATH", std::env::join_paths(path)?)
            .env("STOKE_HOME", self.home.path())
            .env("STOKE_ADVISORIES", self.path("advisory.json"))
            .env_remove("SPARK_HOME"))
    }

    /// Runs one step as its system does.
    fn run(&self, job: &Job, given: &Given) -> Result<(), Failed> {
        let file = given.volume.join("script");
        std::fs::write(&file, &job.script)?;
        let output = self
            .ready(&mut Command::new(&job.shell[0]))?
            .args(&job.shell[1..])
            .arg(&file)
            .current_dir(&job.directory)
            .envs(job.variables.iter().map(|(name, value)| (name, value)))
            .output()?;
        expect_code(&output, 0)
            .map_err(|failed| format!("{}: {}", job.name, failed.message().unwrap_or_default()).into())
    }

    /// What stands in the ledger.
    pub fn released(&self) -> Result<Vec<Value>, Failed> {
        let output = self.stoke(&["release", "history", "--output", "json"]).output()?;
        expect_code(&output, 0)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// That everything was done: reports, an image with signature and bill of materials, a release in its environment.
    pub fn done(&self, directory: &Path) -> Result<(), Failed> {
        for report in [
            "stoke-check.xml",
            "stoke-tests.xml",
            "stoke-sbom.json",
            "stoke-release.json",
        ] {
            if !directory.join(report).exists() {
                return Err(format!("there is no {report}").into());
            }
        }
        let events: Vec<String> = self
            .released()?
            .iter()
            .filter_map(|entry| entry["event"].as_str().map(str::to_owned))
            .collect();
        for event in ["created", "deployed"] {
            if !events.iter().any(|found| found == event) {
                return Err(format!("nothing was {event}: {events:?}").into());
            }
        }
        let (image, key) = (self.image(), self.path("stoke.pub").display().to_string());
        for more in [[].as_slice(), &["--type", "cyclonedx"]] {
            let output = self.stoke(&["verify", &image, "--key", &key]).args(more).output()?;
            expect_code(&output, 0)?;
        }
        let shown = self.git(&["--git-dir", "deploy.git", "ls-tree", "-r", "--name-only", "main"])?;
        expect_parts(&text(&shown), &["apps/dev"])
    }
}

/// On a branch the job is checked and tested, and nothing else is done; on the default branch all of it.
fn every_step(context: &Context, system: &str) -> Result<(), Failed> {
    let world = World::new(context)?;
    let revision = world.commit(system)?;
    let file = SYSTEMS.iter().find(|(name, _)| *name == system).map(|(_, file)| *file);
    let written = std::fs::read_to_string(world.path("job").join(file.unwrap_or_default()))?;
    let checked: &[&str] = &["check", "test"];
    let all: &[&str] = &["check", "test", "build", "scan", "sign", "release", "promote"];
    for (branch, expected) in [("feature", checked), ("main", all)] {
        let given = world.given(&revision, branch)?;
        let jobs = jobs::read(system, &written, &given)?;
        // Those that are pods get the job by themselves; the others stand in it.
        if !jobs.iter().any(|job| job.name == "clone") {
            let (url, directory) = (given.url.display().to_string(), given.directory().display().to_string());
            world.git(&["clone", "-q", &url, &directory])?;
        }
        let names: Vec<&str> = jobs
            .iter()
            .filter(|job| job.runs)
            .map(|job| job.name.as_str())
            .collect();
        let names: Vec<&str> = names.into_iter().filter(|name| *name != "clone").collect();
        if names != expected {
            return Err(format!("{branch}: {names:?} instead of {expected:?}").into());
        }
        for job in jobs.iter().filter(|job| job.runs) {
            world.run(job, &given)?;
        }
        match branch {
            "main" => world.done(&given.directory())?,
            _ if world.released()?.is_empty() => {}
            _ => return Err(format!("{branch}: something was released").into()),
        }
    }
    Ok(())
}

fn refused(_: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let run = |arguments: &[&str]| {
        stoke(directory.path(), ["ci", "init"].iter().chain(arguments))
            .current_dir(directory.path())
            .output()
    };
    for (written, meant) in [
        ("jenkns", "jenkins"),
        ("tecton", "tekton"),
        ("argo-workflows", "argo"),
        ("git-lab", "gitlab"),
    ] {
        let output = run(&[written])?;
        expect_code(&output, 2)?;
        expect_parts(&text(&output), &[written, meant])?;
    }
    let output = run(&["argo", "--image", "a b; rm"])?;
    expect_code(&output, 2)?;
    expect_parts(
        &text(&output),
        &["stoke::ci::image", "`a b; rm`", "--image REGISTRY/REPOSITORY:TAG"],
    )?;
    for (system, file) in SYSTEMS {
        expect_code(&run(&[system])?, 0)?;
        let first = std::fs::read_to_string(directory.path().join(file))?;
        // Not over what is there.
        let again = run(&[system, "--image", "r.example.com/a:1"])?;
        expect_code(&again, 2)?;
        expect_parts(&text(&again), &["stoke::ci::file", file])?;
        assert_eq!(first, std::fs::read_to_string(directory.path().join(file))?);
        let printed = run(&[system, "--print"])?;
        assert_eq!(String::from_utf8_lossy(&printed.stdout), first);
    }
    Ok(())
}
