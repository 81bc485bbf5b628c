//! A release as a job that runs here: its files, its application with the digests of the release, kept from writing elsewhere.

use std::path::{Component, Path};

use stoke_laptop::images::ensure;
use stoke_laptop::pod_images::is_local_spark;
use stoke_release::bundle::{Role, pin_those};
use stoke_release::environment::Environment;
use stoke_release::oci::Digest;
use stoke_release::shadow::shadowed;
use stoke_runtime::Runtimes;

use super::super::{Store, diagnostic, show};
use super::NAMESPACE;
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::input::{self, Changes, Manifest};

/// A job of a release.
pub struct Job {
    pub digest: Digest,
    /// The name of the release.
    pub name: String,
    pub manifest: Manifest,
    /// What was changed of its configuration.
    pub notes: Vec<String>,
    /// Its files, which go with it.
    _files: tempfile::TempDir,
}

fn refused(name: &str, message: impl std::fmt::Display, fix: &str) -> Failure {
    Failure::input("release-shadow-release", format!("{name}: {message}")).fix(fix)
}

/// The job of a release.
pub async fn of(store: &Store, text: &str, environment: Option<&Environment>, context: &mut Context) -> Outcome<Job> {
    let (digest, release) = store.find(text).await?;
    let name = &release.name;
    let parts = store.parts(&release).await?;
    let files = tempfile::tempdir()?;
    for part in &release.parts {
        let path = Path::new(&part.path);
        if path.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(refused(
                name,
                format!("{} does not lie below the job", part.path),
                "create the release again, from the job's directory",
            ));
        }
        let path = files.path().join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, parts.get(&part.digest).map_or(&[][..], Vec::as_slice))?;
    }
    let mut applications = release.of(Role::Application);
    let (Some(part), None) = (applications.next(), applications.next()) else {
        return Err(refused(
            name,
            "a shadow run is of one application, and the release has none, or several files with applications",
            "make a release of each application",
        ));
    };
    let file = files.path().join(&part.path);
    let none = Changes {
        set: &[],
        conf: &[],
        name: None,
    };
    let mut manifest = input::read(&file.to_string_lossy(), &none, &mut context.terminal)?;
    if manifest.applications().count() != 1 {
        return Err(refused(
            name,
            format!("{} has several applications, and a shadow run is of one", part.path),
            "make a release of each application",
        ));
    }
    let runtimes = Runtimes::new(context.home.root());
    let mut notes = Vec::new();
    for document in &mut manifest.documents {
        document.namespace = None;
        if let Some(metadata) = document.value["metadata"].as_object_mut() {
            metadata.remove("namespace");
        }
        if document.kind != "SparkApplication" {
            continue;
        }
        let mut object = document.value.take();
        if let Some(environment) = environment {
            object = environment.overlay.apply(object, NAMESPACE);
        }
        // The name of a Spark of this machine stands for it; any other image is the one of the release.
        pin_those(&mut object, &release, &|image| !is_local_spark(&runtimes, image))
            .map_err(|reason| diagnostic(*reason, 2))?;
        let (object, changed) = shadowed(object).map_err(|reasons| {
            show(&reasons, &mut context.terminal);
            refused(
                name,
                "its outputs could not all be kept apart; nothing was started",
                "fix what is shown above",
            )
        })?;
        document.value = object;
        notes.extend(changed);
    }
    for image in manifest.images() {
        if !manifest.never_pulls() || is_local_spark(&runtimes, &image) {
            ensure(&context.home, &image, &mut context.terminal).await?;
        }
    }
    Ok(Job {
        digest,
        name: name.clone(),
        manifest,
        notes,
        _files: files,
    })
}
