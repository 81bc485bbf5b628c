//! How a release gets to an environment: applied to a cluster, or committed to a git repository. A second time changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_laptop::home::Home;
use stoke_laptop::{apply, session};
use stoke_release::bundle::render;
use stoke_release::environment::{Delivery, Environment};
use stoke_release::gitops;
use stoke_release::ledger::Plan;
use stoke_release::ledger::act::Deliver;
use stoke_release::oci::Digest;

use super::{Store, content};
use crate::cli::Context;
use crate::failure::{Failure, Outcome};

/// How often a push is tried again when others pushed meanwhile.
const PUSHES: usize = 5;

/// Brings releases to one environment.
pub struct Deliverer<'a> {
    environment: &'a Environment,
    store: &'a Store,
    home: Home,
}

impl<'a> Deliverer<'a> {
    pub fn new(environment: &'a Environment, store: &'a Store, context: &Context) -> Self {
        Self {
            environment,
            store,
            home: context.home.clone(),
        }
    }
}

impl Deliver for Deliverer<'_> {
    async fn deliver(&mut self, plan: &Plan) -> Result<(), Diagnostic> {
        let failed = |failure: Failure| *failure.diagnostic;
        let (name, objects) = objects(self.store, self.environment, &plan.release)
            .await
            .map_err(failed)?;
        match &self.environment.delivery {
            Delivery::Cluster { context } => to_cluster(&self.home, context, &self.environment.namespace, &objects)
                .await
                .map_err(failed),
            Delivery::Git {
                repository,
                branch,
                path,
            } => {
                let message = gitops::message(plan, &name);
                to_git(repository, branch, path, &objects, &message)
                    .await
                    .map_err(failed)
            }
        }
    }
}

/// The name of a release, and its objects as they are in an environment.
pub async fn objects(store: &Store, environment: &Environment, digest: &Digest) -> Outcome<(String, Vec<Value>)> {
    let release = store.releases.get(digest).await.map_err(super::kept)?;
    let parts = store.parts(&release).await?;
    let objects = render(&release, environment, &content(&parts)).map_err(|mut complaints| {
        let first = complaints.drain(..).next();
        let first = first
            .unwrap_or_else(|| Diagnostic::new(Severity::Error, "release-foreign", "its manifests cannot be read"));
        super::diagnostic(first, 2)
    })?;
    Ok((release.name, objects))
}

/// The cluster of a context; an empty one is the embedded cluster.
pub fn cluster(context: &str, namespace: &str) -> session::Target {
    session::Target {
        context: (!context.is_empty()).then(|| context.to_owned()),
        namespace: Some(namespace.to_owned()),
    }
}

async fn to_cluster(home: &Home, context: &str, namespace: &str, objects: &[Value]) -> Outcome<()> {
    let session = session::open(home, &cluster(context, namespace)).await?;
    for object in objects {
        apply::apply_whole(&session.client, object).await?;
    }
    Ok(())
}

/// A clone of a branch, in a directory of its own that goes with it.
pub struct Checkout {
    directory: tempfile::TempDir,
}

impl Checkout {
    /// Fetches the end of a branch; one that is not there yet begins empty.
    pub async fn of(repository: &str, branch: &str) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let clone = Self { directory };
        clone.git(&["init", "-q", "-b", branch]).await?;
        // A path of this machine is one from where the command was given, not from the clone.
        let local = Path::new(repository);
        let repository = match local.exists() {
            true => std::path::absolute(local)?.display().to_string(),
            false => repository.to_owned(),
        };
        clone.git(&["remote", "add", "origin", &repository]).await?;
        let there = clone
            .git(&["ls-remote", "--heads", "origin", &format!("refs/heads/{branch}")])
            .await?;
        if !there.trim().is_empty() {
            clone
                .git(&["fetch", "-q", "--depth", "1", "origin", &format!("refs/heads/{branch}")])
                .await?;
            clone.git(&["reset", "-q", "--hard", "FETCH_HEAD"]).await?;
        }
        Ok(clone)
    }

    /// A directory of the repository.
    pub fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// The files of a directory of the repository, by their names.
    pub fn files(&self, below: &str) -> Outcome<BTreeMap<String, String>> {
        let mut files = BTreeMap::new();
        let directory = self.path(below);
        if directory.is_dir() {
            for entry in std::fs::read_dir(directory)? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    let text = String::from_utf8_lossy(&std::fs::read(entry.path())?).into_owned();
                    files.insert(entry.file_name().to_string_lossy().into_owned(), text);
                }
            }
        }
        Ok(files)
    }

    async fn git(&self, arguments: &[&str]) -> Outcome<String> {
        let output = self.run(arguments).await?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(failed(arguments, &output)),
        }
    }

    async fn run(&self, arguments: &[&str]) -> Outcome<Output> {
        let output = tokio::process::Command::new("git")
            .current_dir(self.directory.path())
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(std::process::Stdio::null())
            .output()
            .await;
        output.map_err(|error| {
            Failure::environment("stoke::release::git", format!("git cannot be run: {error}")).fix("install git")
        })
    }
}

fn failed(arguments: &[&str], output: &Output) -> Failure {
    let verb = arguments.first().copied().unwrap_or_default();
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Failure::environment("stoke::release::git", format!("git {verb} failed: {why}"))
        .fix("check the repository's address, the branch and your rights; then give the command again, which goes on where it stopped")
}

/// Writes the tree, commits and pushes it. When the branch has it already, nothing is written.
async fn to_git(repository: &str, branch: &str, path: &str, objects: &[Value], message: &str) -> Outcome<()> {
    let tree = gitops::tree(objects)
        .map_err(|why| Failure::input("stoke::release::manifest", why).fix("check the manifests of the release"))?;
    for _ in 0..PUSHES {
        let clone = Checkout::of(repository, branch).await?;
        if clone.files(path)? == tree {
            return Ok(());
        }
        let directory = clone.path(path);
        if directory.is_dir() {
            for name in clone.files(path)?.keys() {
                std::fs::remove_file(directory.join(name))?;
            }
        }
        std::fs::create_dir_all(&directory)?;
        for (name, text) in &tree {
            std::fs::write(directory.join(name), text)?;
        }
        clone.git(&["add", "--all", "--", path]).await?;
        let has_author = clone.run(&["config", "user.email"]).await?.status.success();
        let author = ["-c", "user.name=stoke", "-c", "user.email=stoke@localhost"];
        let mut commit: Vec<&str> = if has_author { Vec::new() } else { author.to_vec() };
        commit.extend(["commit", "-q", "-m", message]);
        clone.git(&commit).await?;
        let push = ["push", "-q", "origin", &format!("HEAD:refs/heads/{branch}")];
        let output = clone.run(&push).await?;
        if output.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        // Another writer was faster: begin with what it wrote.
        if ![
            "fetch first",
            "non-fast-forward",
            "cannot lock ref",
            "incorrect old value",
        ]
        .iter()
        .any(|sign| why.contains(sign))
        {
            return Err(failed(&push, &output));
        }
    }
    Err(Failure::environment(
        "stoke::release::git",
        format!("others pushed to {branch} of {repository} each time"),
    )
    .fix("give the command again"))
}
