//! What needs no cluster: the file, its objects, trees of files, applications wired.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;
use stoke_model::manifest;
use stoke_model::units::people::counted;
use stoke_platform::component::{CATALOGUE, Embedded};
use stoke_platform::environment::Resolved;
use stoke_platform::local;
use stoke_platform::render::chart::Chart;
use stoke_platform::render::tree::{self, Form, Repository};
use stoke_platform::render::{Scope, objects};
use stoke_platform::spec::{BEGIN, FILE, schema};
use stoke_platform::wire::application;

use super::{Given, InEnvironment, decryptable, in_environment, own_store, refused};
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, table};

/// Arguments of `stoke platform init`.
#[derive(clap::Args)]
pub struct Init {
    /// Directory the file is written into
    #[arg(default_value = ".")]
    directory: PathBuf,
}

/// Writes a file to begin with; never over one that is there.
pub fn init(arguments: &Init, context: &mut Context) -> Outcome<u8> {
    let path = arguments.directory.join(FILE);
    write_new(&path, BEGIN)?;
    match context.terminal.format() {
        Format::Json => context.terminal.json(&json!({"written": path.display().to_string()})),
        Format::Text => context.terminal.out(path.display()),
    }
    Ok(0)
}

fn write_new(path: &Path, text: &str) -> Outcome<()> {
    let written = || {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        std::io::Write::write_all(&mut std::fs::File::create_new(path)?, text.as_bytes())
    };
    written().map_err(|error: std::io::Error| {
        Failure::input("stoke::platform::write", format!("{}: {error}", path.display()))
            .fix("name another directory, or remove what is there")
    })
}

pub fn schema(context: &mut Context) -> Outcome<u8> {
    context.terminal.json(&schema::editors());
    Ok(0)
}

/// The catalogue.
pub fn list(context: &mut Context) -> Outcome<u8> {
    let embedded = |embedded: Embedded| match embedded {
        Embedded::Runs => "runs".to_owned(),
        Embedded::Outside => "outside of the cluster".to_owned(),
        Embedded::Not(why) => format!("does not run: {why}"),
    };
    let gives = |about: &stoke_platform::component::About| {
        let all: Vec<&str> = about.gives.iter().map(|gives| gives.text()).collect();
        all.join(", ")
    };
    match context.terminal.format() {
        Format::Json => {
            let all = CATALOGUE.iter().map(|about| {
                json!({"kind": about.kind, "title": about.title, "versions": about.versions, "gives": gives(about),
                    "port": about.port, "health": about.health, "embedded": embedded(about.embedded)})
            });
            context.terminal.json(&all.collect::<Vec<_>>());
        }
        Format::Text => {
            let mut rows = vec![
                ["KIND", "VERSIONS", "GIVES", "EMBEDDED CLUSTER"]
                    .map(str::to_owned)
                    .to_vec(),
            ];
            rows.extend(CATALOGUE.iter().map(|about| {
                vec![
                    about.kind.to_owned(),
                    about.versions.join(", "),
                    gives(about),
                    embedded(about.embedded),
                ]
            }));
            table(&rows).into_iter().for_each(|line| context.terminal.out(line));
        }
    }
    Ok(0)
}

/// Reads the file, and says what it is.
pub fn check(given: &Given, context: &mut Context) -> Outcome<u8> {
    let file = given.read(context)?;
    let platform = &file.platform;
    let environments: Vec<&String> = platform.environments.keys().collect();
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&json!({"name": platform.name, "components": platform.components.len(),
            "environments": environments, "warnings": file.warnings})),
        Format::Text => {
            for warning in &file.warnings {
                context.terminal.note(warning.render());
            }
            context.terminal.out(format!(
                "{}: {}, {}, {}",
                platform.name,
                counted(platform.components.len(), "component"),
                counted(environments.len(), "environment"),
                counted(file.warnings.len(), "warning")
            ));
        }
    }
    Ok(0)
}

/// Arguments of `stoke platform render`.
#[derive(clap::Args)]
pub struct Render {
    #[command(flatten)]
    wanted: InEnvironment,
    /// Directory to write a tree of files into, for every environment unless one is named
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Form of the tree
    #[arg(
        long = "as",
        value_enum,
        default_value = "plain",
        value_name = "FORM",
        requires = "to"
    )]
    form: Which,
    /// Address of the git repository that the tree is committed to, for Argo CD and Flux
    #[arg(long, value_name = "URL", required_if_eq_any = [("form", "argocd"), ("form", "flux")])]
    repository: Option<String>,
    /// Its branch
    #[arg(long, value_name = "NAME", default_value = "main")]
    branch: String,
    /// Directory of the tree in the repository
    #[arg(long, value_name = "PATH", default_value = "")]
    path: String,
    /// Version of the chart
    #[arg(long, value_name = "VERSION", default_value = "0.1.0", value_parser = chart_version)]
    chart_version: String,
}

/// A version as Helm takes it: three numbers, and perhaps what comes before a release and a build.
fn chart_version(text: &str) -> Result<String, String> {
    let (rest, build) = text
        .split_once('+')
        .map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (numbers, before) = rest
        .split_once('-')
        .map_or((rest, None), |(numbers, before)| (numbers, Some(before)));
    let is_number = |part: &str| part.parse::<u64>().is_ok_and(|number| number.to_string() == part);
    let are_words = |part: &str| {
        part.split('.')
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
    };
    let parts: Vec<&str> = numbers.split('.').collect();
    let is_version = parts.len() == 3
        && parts.into_iter().all(is_number)
        && before.is_none_or(are_words)
        && build.is_none_or(are_words);
    match is_version {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is not a version of a chart; write it like 1.2.3")),
    }
}

/// Form of a tree.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    /// A file for each component
    Plain,
    /// The same with a kustomization.yaml
    Kustomize,
    /// The same with an Application of Argo CD
    Argocd,
    /// The same with a GitRepository and a Kustomization of Flux
    Flux,
    /// A Helm chart, whose values choose the environment and set sizes
    Chart,
}

pub fn render(arguments: &Render, context: &mut Context) -> Outcome<u8> {
    let Some(to) = &arguments.to else {
        let resolved = arguments.wanted.resolve(context)?;
        decryptable(&resolved)?;
        let all = objects(&resolved.scope());
        match context.terminal.format() {
            Format::Json => context
                .terminal
                .json(&json!({"apiVersion": "v1", "kind": "List", "items": all})),
            Format::Text => {
                let text = tree::stream(&all).map_err(|error| Failure::environment("stoke::platform::yaml", error))?;
                context.terminal.out(text.trim_end());
            }
        }
        return Ok(0);
    };
    let file = arguments.wanted.given.read(context)?;
    for warning in &file.warnings {
        context.terminal.note(warning.render());
    }
    let names: Vec<Option<&str>> = match &arguments.wanted.environment {
        Some(name) => vec![Some(name.as_str())],
        None if file.platform.environments.is_empty() => vec![None],
        None => file
            .platform
            .environments
            .keys()
            .map(|name| Some(name.as_str()))
            .collect(),
    };
    let resolved: Vec<Resolved> = names
        .into_iter()
        .map(|name| in_environment(&file, name))
        .collect::<Outcome<_>>()?;
    if arguments.form != Which::Flux {
        resolved.iter().try_for_each(decryptable)?;
    }
    let files = match arguments.form {
        Which::Plain => tree_of(Form::Plain, arguments, &resolved),
        Which::Kustomize => tree_of(Form::Kustomize, arguments, &resolved),
        Which::Argocd => tree_of(Form::ArgoCd, arguments, &resolved),
        Which::Flux => tree_of(Form::Flux, arguments, &resolved),
        Which::Chart => Chart::of(&resolved).and_then(|chart| chart.files(&arguments.chart_version)),
    };
    let files = files.map_err(|error| Failure::input("stoke::platform::yaml", error))?;
    for (path, text) in &files {
        let path = to.join(path);
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        written.and_then(|()| std::fs::write(&path, text)).map_err(|error| {
            Failure::input("stoke::platform::write", format!("{}: {error}", path.display()))
                .fix("name another directory")
        })?;
        if context.terminal.format() == Format::Text {
            context.terminal.out(path.display());
        }
    }
    stale(to, &files, context);
    if context.terminal.format() == Format::Json {
        context
            .terminal
            .json(&json!({"written": files.keys().collect::<Vec<_>>()}));
    }
    Ok(0)
}

/// The files of a tree.
fn tree_of(form: Form, arguments: &Render, resolved: &[Resolved]) -> Result<BTreeMap<String, String>, String> {
    let scopes: Vec<Scope<'_>> = resolved.iter().map(Resolved::scope).collect();
    let repository = arguments.repository.as_ref().map(|url| Repository {
        url: url.clone(),
        branch: arguments.branch.clone(),
        path: arguments.path.clone(),
    });
    tree::files(form, &scopes, repository.as_ref())
}

/// Files of components that are no longer named: they would be applied on.
fn stale(to: &Path, files: &BTreeMap<String, String>, context: &mut Context) {
    let folders: BTreeSet<&str> = files
        .keys()
        .filter_map(|path| path.rsplit_once('/'))
        .map(|(folder, _)| folder)
        .collect();
    for folder in folders {
        for entry in std::fs::read_dir(to.join(folder)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{folder}/{name}");
            if name.starts_with("component-") && !files.contains_key(&path) {
                context
                    .terminal
                    .note(format!("{path} is of a component that is no longer named: remove it"));
            }
        }
    }
}

/// Arguments of `stoke platform wire`.
#[derive(clap::Args)]
#[command(after_help = "\
Annotations that are read: platform.stoke.dev/catalog, shuffle, store, history and kafka, each with the name of a component. Secrets are named, not read.")]
pub struct WireArguments {
    #[command(flatten)]
    wanted: InEnvironment,
    /// Manifest with a SparkApplication, a ScheduledSparkApplication or a SparkConnect
    manifest: PathBuf,
}

pub async fn wire(arguments: &WireArguments, context: &mut Context) -> Outcome<u8> {
    let mut resolved = arguments.wanted.resolve(context)?;
    // Where the embedded cluster is up, its store is where it listens now.
    if let Ok(own) = own_store(&context.home).await {
        local::place(&mut resolved, &own);
    }
    let name = arguments.manifest.display().to_string();
    let bytes = std::fs::read(&arguments.manifest).map_err(|error| {
        Failure::input("stoke::manifest::unreadable", format!("{name}: {error}")).fix("give the path of a manifest")
    })?;
    let (documents, found) = manifest::check_bytes(&name, &bytes);
    if stoke_diagnostics::has_errors(&found) {
        return Err(refused(&name, &found, context));
    }
    let mut all = Vec::new();
    for document in &documents {
        let is_of_spark = stoke_model::crd::KINDS.contains(&document.kind.as_str());
        all.push(match is_of_spark {
            true => application::wired(&resolved.scope(), document).map_err(|found| refused(&name, &found, context))?,
            false => document.value.clone(),
        });
    }
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&json!({"apiVersion": "v1", "kind": "List", "items": all})),
        Format::Text => {
            let text = tree::stream(&all).map_err(|error| Failure::environment("stoke::platform::yaml", error))?;
            context.terminal.out(text.trim_end());
        }
    }
    Ok(0)
}
