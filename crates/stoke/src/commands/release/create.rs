//! `stoke release create`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use serde_json::json;
use stoke_gate::{Report, verdict};
use stoke_release::bundle::{self, Judged, Part, Release, Role, Source};
use stoke_release::ledger::keep::LedgerError;
use stoke_release::ledger::{Event, Verdict};
use stoke_release::oci::{Digest, Location, Repository, Settings};

use super::{Kept, show};
use crate::cli::Context;
use crate::commands::check;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Arguments of `stoke release create`: those of `stoke check`, and some of its own.
#[derive(clap::Args)]
pub struct CreateArguments {
    #[command(flatten)]
    check: check::Arguments,
    #[command(flatten)]
    kept: Kept,
    /// Name of the release [default: the name of its first application]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Digest of an image that is named by a tag: `lake/etl:1=sha256:…`; can be given again
    #[arg(long, value_name = "IMAGE=DIGEST", value_parser = pin)]
    pin: Vec<(String, Digest)>,
    /// Do not ask registries for the digests of tags: only --pin and digests in the manifests count
    #[arg(long)]
    no_resolve: bool,
    /// Make it although this gate fails; the verdict stands in the release. Can be given again
    #[arg(long, value_name = "GATE")]
    allow_failing: Vec<String>,
}

fn pin(text: &str) -> Result<(String, Digest), String> {
    let (image, digest) = text.split_once('=').ok_or("that is not IMAGE=sha256:…")?;
    Ok((
        image.to_owned(),
        digest
            .parse()
            .map_err(|error: stoke_release::oci::OciError| error.to_string())?,
    ))
}

/// Runs the command.
pub async fn run(arguments: CreateArguments, context: &mut Context) -> Outcome<u8> {
    let (job, report) = check::judge(&arguments.check, context).await?;
    let gates = judged(&report, &arguments.allow_failing, context)?;
    let store = arguments.kept.open(context)?;
    let mut parts: Vec<Part> = Vec::new();
    let mut contents: Vec<(Digest, Vec<u8>)> = Vec::new();
    let mut objects = Vec::new();
    let roots = arguments.check.paths();
    for file in &job.files {
        let bytes = std::fs::read(&file.path).map_err(|error| {
            Failure::input("stoke::release::file", format!("{}: {error}", file.path.display()))
                .fix("name files that can be read")
        })?;
        let path = inside(&file.path, roots);
        let role = bundle::role(&path, &bytes);
        if role == Role::Application {
            objects.extend(bundle::applications(&path, &bytes).map_err(|complaints| {
                show(&complaints, &mut context.terminal);
                Failure::input("stoke::release::manifest", format!("{path} has errors")).fix("fix what is shown above")
            })?);
        }
        let digest = Digest::of(&bytes);
        parts.push(Part {
            path,
            role,
            digest: digest.clone(),
            size: bytes.len() as u64,
        });
        contents.push((digest, bytes));
    }
    parts.sort_by(|one, other| one.path.cmp(&other.path));
    if let Some(twice) = parts.windows(2).find(|pair| pair[0].path == pair[1].path) {
        return Err(Failure::input(
            "stoke::release::file",
            format!("two files are `{}` in the release", twice[0].path),
        )
        .fix("name the directory that holds both"));
    }
    let Some(first) = objects.first() else {
        return Err(Failure::input(
            "stoke::release::nothing",
            "there is no SparkApplication and no ScheduledSparkApplication among the files",
        )
        .fix("name the manifest of the job"));
    };
    let name = arguments
        .name
        .clone()
        .unwrap_or_else(|| first["metadata"]["name"].as_str().unwrap_or("release").to_owned());
    let release = Release {
        format: 1,
        name: name.clone(),
        parts,
        images: images(&objects, &arguments).await?,
        gates: gates.clone(),
        source: source(roots),
    };
    let digest = store.releases.put(&release, &contents).await.map_err(super::kept)?;
    let entries = record(&store, &digest, &name, &gates).await?;
    store.remember(&entries)?;
    match context.terminal.format() {
        Format::Json => context.terminal.json(&json!({"digest": digest, "release": release})),
        Format::Text => context.terminal.out(format!("{digest}  {name}")),
    }
    Ok(0)
}

/// The creation and the verdicts, each once.
async fn record(
    store: &super::Store,
    digest: &Digest,
    name: &str,
    gates: &[Judged],
) -> Outcome<Vec<stoke_release::ledger::Entry>> {
    let known = store.known.as_ref();
    let event = Event::Created {
        release: digest.clone(),
        name: name.to_owned(),
    };
    let mut entries = store
        .ledger
        .record::<LedgerError>(known, |history| {
            Ok((!history.knows(digest)).then(|| (event.clone(), Timestamp::now())))
        })
        .await
        .map_err(super::ledger)?;
    for gate in gates {
        let key = (digest.clone(), gate.gate.clone());
        let event = Event::Verified {
            release: digest.clone(),
            gate: gate.gate.clone(),
            verdict: gate.verdict,
            evidence: Some(digest.clone()),
            against: None,
        };
        entries = store
            .ledger
            .record::<LedgerError>(known, |history| {
                let is_new = history.verdicts.get(&key) != Some(&gate.verdict);
                Ok(is_new.then(|| (event.clone(), Timestamp::now())))
            })
            .await
            .map_err(super::ledger)?;
    }
    Ok(entries)
}

/// What the gates said; one that stops the job refuses the release unless it is allowed to.
fn judged(report: &Report, allowed: &[String], context: &mut Context) -> Outcome<Vec<Judged>> {
    let mut all = Vec::new();
    let mut stops: BTreeSet<&str> = BTreeSet::new();
    for gate in &report.gates {
        let name = gate.gate.name();
        let verdict = match gate.verdict {
            verdict::Verdict::NotApplicable | verdict::Verdict::NotAsked => continue,
            verdict::Verdict::Pass => Verdict::Pass,
            verdict::Verdict::Waived => Verdict::Waived,
            verdict::Verdict::Fail | verdict::Verdict::CannotTell => Verdict::Fail,
        };
        let mut findings = BTreeMap::new();
        for finding in &gate.findings {
            *findings.entry(finding.diagnostic.code.to_string()).or_insert(0) += 1;
        }
        if verdict == Verdict::Fail && !allowed.iter().any(|allowed| allowed == name) {
            let errors: Vec<_> = gate
                .findings
                .iter()
                .filter(|finding| finding.fails())
                .map(|finding| finding.diagnostic.clone())
                .collect();
            show(&errors, &mut context.terminal);
            stops.insert(name);
        }
        all.push(Judged {
            gate: name.to_owned(),
            verdict,
            findings,
        });
    }
    show(&report.waivers, &mut context.terminal);
    if stops.is_empty() && !stoke_diagnostics::has_errors(&report.waivers) {
        return Ok(all);
    }
    let names: Vec<&str> = stops.into_iter().collect();
    Err(Failure::new(
        "stoke::release::gates",
        format!("no release was made: these gates do not pass: {}", names.join(", ")),
        1,
    )
    .fix("fix what is shown above, waive it in stoke-waivers.yaml with a reason, or add `--allow-failing GATE`"))
}

/// Digests of all images.
async fn images(objects: &[serde_json::Value], arguments: &CreateArguments) -> Outcome<BTreeMap<String, Digest>> {
    let mut all = BTreeMap::new();
    for image in objects.iter().flat_map(bundle::images) {
        let given = arguments
            .pin
            .iter()
            .find(|(name, _)| *name == image)
            .map(|(_, digest)| digest.clone());
        let digest = match bundle::own_digest(&image).or(given) {
            Some(digest) => digest,
            None if arguments.no_resolve => return Err(super::diagnostic(bundle::unpinned(&image), 2)),
            None => resolve(&image)
                .await
                .map_err(|why| super::diagnostic(bundle::unpinned(&image).with_cause(why), 2))?,
        };
        all.insert(image, digest);
    }
    Ok(all)
}

async fn resolve(image: &str) -> Result<Digest, String> {
    let location: Location = image
        .parse()
        .map_err(|error: stoke_release::oci::OciError| error.to_string())?;
    let repository = Repository::open(&location, &Settings::of_this_machine()).map_err(|error| error.to_string())?;
    let fetched = repository
        .fetch(location.name().as_deref())
        .await
        .map_err(|error| error.to_string())?;
    Ok(fetched.descriptor.digest)
}

/// A file's path in the release: below the directory it was found in, else its name.
fn inside(path: &Path, roots: &[String]) -> String {
    let current = [".".to_owned()];
    let roots = if roots.is_empty() { &current[..] } else { roots };
    let below = roots
        .iter()
        .map(PathBuf::from)
        .filter(|root| root.is_dir())
        .find_map(|root| {
            let below = path.strip_prefix(&root).ok().map(Path::to_path_buf);
            below.or_else(|| (root == Path::new(".") && path.is_relative()).then(|| path.to_path_buf()))
        });
    let shown = below.unwrap_or_else(|| path.file_name().map(PathBuf::from).unwrap_or_default());
    let parts: Vec<String> = shown
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}

/// What git says of the job's directory; none outside a repository.
fn source(roots: &[String]) -> Option<Source> {
    let directory = match roots.first().map(PathBuf::from) {
        Some(path) if path.is_dir() => path,
        Some(path) => path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .map_or_else(|| ".".into(), Path::to_path_buf),
        None => ".".into(),
    };
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(&directory)
            .args(arguments)
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    Some(Source {
        commit: git(&["rev-parse", "HEAD"])?,
        changed: !git(&["status", "--porcelain", "--", "."])?.is_empty(),
        repository: git(&["remote", "get-url", "origin"])
            .map(|url| without_credentials(&url))
            .unwrap_or_default(),
    })
}

fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit('@').next().unwrap_or(host);
            format!("{scheme}://{host}/{path}")
        }
        None => url.to_owned(),
    }
}
