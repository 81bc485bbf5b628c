//! `stoke preset`: presets by workload, explained, compared and written into manifests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use stoke_diagnostics::{Diagnostic, Source};
use stoke_model::conf::Catalogue;
use stoke_model::manifest::{self, Document, Node};
use stoke_platform::preset::apply::Applied;
use stoke_platform::preset::diff::{self, Difference};
use stoke_platform::preset::effect::{Effect, effects, object};
use stoke_platform::preset::{FILE, Library, Parameters, Reference, Resolved, ResolvedKey, apply, resolve, shown};

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal, bold, dim, table};

/// What can be done with presets.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List presets: Stoke's own and those of a file
    List(List),
    /// Print what a preset sets, as the part of a manifest
    Show(Show),
    /// Say for each key of a preset why it is there, where it comes from and what it changes
    Explain(Explain),
    /// Compare two presets, two versions of Spark, or a preset with a manifest
    Diff(Diff),
    /// Write a preset into a manifest; what the manifest says itself stays
    Apply(Apply),
}

/// Which presets there are.
#[derive(clap::Args)]
pub struct Files {
    /// File of a team's presets [default: stoke-presets.yaml in the current directory, if it is there]
    #[arg(long, value_name = "FILE")]
    presets: Option<PathBuf>,
}

/// What is given to a preset.
#[derive(clap::Args)]
pub struct Given {
    #[command(flatten)]
    files: Files,
    /// Version of Spark [default: that of the manifest, else the newest that is known]
    #[arg(long, value_name = "VERSION")]
    spark: Option<String>,
    /// Value of a parameter of the preset, such as eventLog=s3a://logs/; may be given again
    #[arg(long = "with", value_name = "NAME=VALUE")]
    with: Vec<String>,
}

/// Arguments of `stoke preset list`.
#[derive(clap::Args)]
pub struct List {
    #[command(flatten)]
    files: Files,
}

/// Arguments of `stoke preset show`.
#[derive(clap::Args)]
pub struct Show {
    /// The preset: a name, or a name with its version such as etl@1
    preset: String,
    #[command(flatten)]
    given: Given,
}

/// Arguments of `stoke preset explain`.
#[derive(clap::Args)]
pub struct Explain {
    /// The preset: a name, or a name with its version such as etl@1
    preset: String,
    /// Only this key
    key: Option<String>,
    #[command(flatten)]
    given: Given,
}

/// Arguments of `stoke preset diff`.
#[derive(clap::Args)]
#[command(after_help = "\
  stoke preset diff etl ml
  stoke preset diff etl --spark 3.5 --to-spark 4.1
  stoke preset diff etl -f app.yaml")]
pub struct Diff {
    /// The preset on the left
    preset: String,
    /// The preset on the right [default: the same one]
    #[arg(conflicts_with = "file")]
    other: Option<String>,
    /// The manifest of an application on the right
    #[arg(long, short, value_name = "FILE", conflicts_with = "to_spark")]
    file: Option<PathBuf>,
    /// The application, where the manifest has several
    #[arg(long, value_name = "NAME", requires = "file")]
    application: Option<String>,
    /// Version of Spark on the right [default: the same one]
    #[arg(long, value_name = "VERSION")]
    to_spark: Option<String>,
    #[command(flatten)]
    given: Given,
}

/// Arguments of `stoke preset apply`.
#[derive(clap::Args)]
pub struct Apply {
    /// The preset: a name, or a name with its version such as etl@1
    preset: String,
    /// The manifest
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    /// The application, where the manifest has several
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// Change the file instead of printing what it would be
    #[arg(long, short)]
    write: bool,
    #[command(flatten)]
    given: Given,
}

/// Runs the command.
pub fn run(command: &Command, context: &mut Context) -> Outcome<u8> {
    let terminal = &mut context.terminal;
    match command {
        Command::List(arguments) => list(arguments, terminal),
        Command::Show(arguments) => show(arguments, terminal),
        Command::Explain(arguments) => explain(arguments, terminal),
        Command::Diff(arguments) => compare(arguments, terminal),
        Command::Apply(arguments) => write(arguments, terminal),
    }
}

/// Complaints as a failure of the command; all but the first error are printed before.
fn failed(mut found: Vec<Diagnostic>, terminal: &mut Terminal) -> Failure {
    let first = found.iter().position(Diagnostic::is_error).unwrap_or(0);
    let first = found.remove(first);
    for other in found {
        terminal.note(other.render());
    }
    Failure {
        diagnostic: Box::new(first),
        exit: 2,
    }
}

fn read(path: &Path) -> Outcome<Arc<Source>> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::input("stoke::preset::unreadable", format!("{shown}: {error}")).fix("name a file in UTF-8")
    })?;
    Ok(Source::new(&shown, &text))
}

impl Files {
    fn library(&self, terminal: &mut Terminal) -> Outcome<Library> {
        let beside = Path::new(FILE);
        let file = self.presets.as_deref().or_else(|| beside.is_file().then_some(beside));
        let source = file.map(read).transpose()?;
        let (library, warnings) = Library::with(source.as_ref()).map_err(|found| failed(found, terminal))?;
        for warning in warnings {
            terminal.note(warning.render());
        }
        Ok(library)
    }
}

fn reference(text: &str) -> Outcome<Reference> {
    Reference::parse(text).ok_or_else(|| {
        Failure::input("stoke::preset::name", format!("`{text}` does not name a preset"))
            .fix("write a name, or a name with its version such as etl@1; `stoke preset list` shows them")
    })
}

impl Given {
    fn parameters(&self) -> Outcome<Parameters> {
        let mut all = BTreeMap::new();
        for pair in &self.with {
            let (name, value) = pair
                .split_once('=')
                .filter(|(name, value)| !name.is_empty() && !value.is_empty())
                .ok_or_else(|| {
                    Failure::input("stoke::preset::parameter", format!("--with {pair}: not NAME=VALUE"))
                        .fix("write for example --with eventLog=s3a://logs/")
                })?;
            all.insert(name.to_owned(), value.to_owned());
        }
        Ok(Parameters(all))
    }

    fn resolved(
        &self,
        library: &Library,
        name: &str,
        spark: Option<&str>,
        terminal: &mut Terminal,
    ) -> Outcome<Resolved> {
        let newest = Catalogue::newest().minor();
        let spark = self.spark.as_deref().or(spark).unwrap_or(newest);
        self.in_version(library, name, spark, terminal)
    }

    fn in_version(&self, library: &Library, name: &str, spark: &str, terminal: &mut Terminal) -> Outcome<Resolved> {
        let resolved =
            resolve(library, &reference(name)?, spark, &self.parameters()?).map_err(|found| failed(found, terminal))?;
        if let Some(deprecated) = &resolved.deprecated {
            terminal.note(format!(
                "{} is deprecated: {}; use {}",
                resolved.preset, deprecated.because, deprecated.instead
            ));
        }
        Ok(resolved)
    }
}

fn list(arguments: &List, terminal: &mut Terminal) -> Outcome<u8> {
    let library = arguments.files.library(terminal)?;
    let presets: Vec<_> = library.presets.iter().filter(|preset| !preset.part).collect();
    if terminal.format() == Format::Json {
        let all: Vec<Value> = presets
            .iter()
            .map(|preset| {
                json!({
                    "preset": preset.reference().to_string(), "about": preset.about, "claim": preset.claim, "file": preset.source.name(),
                    "extends": preset.extends.as_ref().map(ToString::to_string), "deprecated": preset.deprecated,
                })
            })
            .collect();
        terminal.json(&all);
        return Ok(0);
    }
    let mut rows = vec![["PRESET", "FOR", "FROM"].map(str::to_owned).to_vec()];
    for preset in presets {
        let about = match &preset.deprecated {
            Some(deprecated) => format!("deprecated, use {}: {}", deprecated.instead, deprecated.because),
            None => preset.about.clone(),
        };
        rows.push(vec![
            preset.reference().to_string(),
            about,
            preset.source.name().to_owned(),
        ]);
    }
    for line in table(&rows) {
        terminal.out(line);
    }
    Ok(0)
}

/// The keys of a preset as the part of a manifest.
fn part(resolved: &Resolved) -> Value {
    let mut nothing = resolved.clone();
    nothing.keys.clear();
    let (with, without) = (object(resolved, None), object(&nothing, None));
    let mut part = less(&with, &without).unwrap_or_default();
    part["metadata"]["annotations"][stoke_model::annotations::PRESET] = json!(resolved.preset);
    part
}

/// What of a value is not in another one.
fn less(value: &Value, other: &Value) -> Option<Value> {
    match (value, other) {
        (Value::Object(map), Value::Object(others)) => {
            let kept = map.iter().filter_map(|(key, value)| match others.get(key) {
                Some(other) => Some((key.clone(), less(value, other)?)),
                None => Some((key.clone(), value.clone())),
            });
            let kept: serde_json::Map<String, Value> = kept.collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        _ => (value != other).then(|| value.clone()),
    }
}

fn yaml(value: &Value) -> Outcome<String> {
    serde_saphyr::to_string(value).map_err(|error| Failure::environment("stoke::preset::yaml", error).fix("report it"))
}

fn asked(resolved: &Resolved, terminal: &mut Terminal) {
    for parameter in &resolved.asks {
        terminal.note(format!(
            "left out without --with {}=…: {}",
            parameter.name, parameter.about
        ));
    }
}

fn show(arguments: &Show, terminal: &mut Terminal) -> Outcome<u8> {
    let library = arguments.given.files.library(terminal)?;
    let resolved = arguments.given.resolved(&library, &arguments.preset, None, terminal)?;
    if terminal.format() == Format::Json {
        terminal.json(&resolved);
        return Ok(0);
    }
    terminal.out(format!(
        "# {}, Spark {}: {}",
        resolved.preset, resolved.spark, resolved.about
    ));
    terminal.out(yaml(&part(&resolved))?.trim_end());
    asked(&resolved, terminal);
    Ok(0)
}

/// What a key changes, in one line.
fn changed(effects: &[Effect]) -> String {
    let told: Vec<&Effect> = effects.iter().filter(|effect| effect.idle.is_none()).collect();
    let one = |effect: &Effect| {
        let place = match (effect.object.as_str(), effect.path.as_str()) {
            ("spark.properties", key) => key.to_owned(),
            (object, "") => object.to_owned(),
            (object, path) => format!("{object} {path}"),
        };
        match (&effect.without, &effect.with) {
            (Some(without), Some(with)) => format!("{place}: {without} -> {with}"),
            (None, Some(with)) => format!("{place}: {with}"),
            (Some(without), None) => format!("{place}: without {without}"),
            (None, None) => place,
        }
    };
    let shown: Vec<String> = told.iter().take(2).map(|effect| one(effect)).collect();
    match told.len() {
        0 => "nothing".to_owned(),
        count if count > 2 => format!("{}; and {} more", shown.join("; "), count - 2),
        _ => shown.join("; "),
    }
}

fn explain(arguments: &Explain, terminal: &mut Terminal) -> Outcome<u8> {
    let library = arguments.given.files.library(terminal)?;
    let resolved = arguments.given.resolved(&library, &arguments.preset, None, terminal)?;
    let mut keys: Vec<&ResolvedKey> = resolved.keys.iter().collect();
    if let Some(key) = &arguments.key {
        keys.retain(|one| one.key == *key);
        if keys.is_empty() {
            if let Some(rely) = resolved.relies.iter().find(|rely| rely.key == *key) {
                terminal.out(format!(
                    "{} = {} is Spark {}'s default, and {} counts on it: {}",
                    rely.key, rely.value, resolved.spark, rely.from, rely.why
                ));
                return Ok(0);
            }
            let near = manifest::nearest(key, resolved.keys.iter().map(|one| one.key.as_str()));
            let failure = Failure::input(
                "stoke::preset::key",
                format!("`{}` does not set {key}", resolved.preset),
            );
            return Err(match near {
                Some(near) => failure.fix(format!("did you mean {near}?")),
                None => failure.fix(format!("`stoke preset show {}` prints what it sets", resolved.preset)),
            });
        }
    }
    let mut told = Vec::new();
    for key in keys {
        let effects = effects(&resolved, key).map_err(|why| {
            Failure::input("stoke::preset::refused", format!("{}: {why}", resolved.preset))
                .fix("change the preset's file")
        })?;
        told.push((key, effects));
    }
    if terminal.format() == Format::Json {
        let keys: Vec<Value> = told
            .iter()
            .map(|(key, effects)| {
                let mut value = serde_json::to_value(key).unwrap_or_default();
                value["effects"] = json!(effects);
                value
            })
            .collect();
        terminal.json(&json!({
            "preset": resolved.preset, "spark": resolved.spark, "about": resolved.about, "claim": resolved.claim, "lineage": resolved.lineage,
            "keys": keys, "relies": resolved.relies, "asks": resolved.asks,
        }));
        return Ok(0);
    }
    terminal.out(format!(
        "{}, Spark {}: {}",
        bold(&resolved.preset),
        resolved.spark,
        resolved.about
    ));
    if let Some(claim) = &resolved.claim {
        terminal.out(format!("{claim}."));
    }
    for (key, effects) in told {
        let locked = if key.locked { " (locked)" } else { "" };
        terminal.out("");
        terminal.out(format!("{} = {}{locked}", bold(&key.key), shown(&key.value)));
        terminal.out(format!("  why:     {}", key.why));
        let source = if key.source.is_empty() {
            "not given"
        } else {
            &key.source
        };
        terminal.out(format!("  source:  {source}"));
        let replaces = key.replaces.as_ref().map_or(String::new(), |(from, value)| {
            format!(", instead of {} of {from}", shown(value))
        });
        terminal.out(format!("  from:    {}{replaces}", key.from));
        terminal.out(format!("  changes: {}", changed(&effects)));
    }
    if arguments.key.is_none() && !resolved.relies.is_empty() {
        terminal.out("");
        terminal.out(bold("Counted on, because it is Spark's default"));
        for rely in &resolved.relies {
            terminal.out(format!("  {} = {}: {}", rely.key, rely.value, rely.why));
        }
    }
    asked(&resolved, terminal);
    Ok(0)
}

/// The version of Spark that an application names.
fn spark_of(document: &Document) -> Option<&str> {
    document
        .node
        .lookup(&format!("{}.sparkVersion", document.spec_path()))
        .and_then(Node::as_str)
}

/// The one application that is meant, where the version of Spark is still to be known.
fn version_in(documents: &[Document], which: Option<&str>) -> Option<String> {
    let ours = documents
        .iter()
        .filter(|document| document.is_ours() && which.is_none_or(|name| name == document.name));
    ours.filter_map(spark_of).next().map(str::to_owned)
}

fn compare(arguments: &Diff, terminal: &mut Terminal) -> Outcome<u8> {
    let library = arguments.given.files.library(terminal)?;
    let (left, right, found) = if let Some(file) = &arguments.file {
        let source = read(file)?;
        let (documents, _) = manifest::check(source.name(), source.text());
        let version = version_in(&documents, arguments.application.as_deref());
        let left = arguments
            .given
            .resolved(&library, &arguments.preset, version.as_deref(), terminal)?;
        let document = apply::chosen(&source, &documents, &left, arguments.application.as_deref())
            .map_err(|found| failed(found, terminal))?;
        let found = diff::manifest(&left, document);
        (title(&left), format!("{} in {}", document.name, source.name()), found)
    } else {
        let left = arguments.given.resolved(&library, &arguments.preset, None, terminal)?;
        let spark = arguments.to_spark.clone().unwrap_or_else(|| left.spark.clone());
        let right = arguments.other.as_deref().unwrap_or(&arguments.preset);
        let right = arguments.given.in_version(&library, right, &spark, terminal)?;
        let found = diff::presets(&left, &right);
        (title(&left), title(&right), found)
    };
    if terminal.format() == Format::Json {
        terminal.json(&json!({"left": left, "right": right, "differences": found}));
        return Ok(0);
    }
    if found.is_empty() {
        terminal.out(format!("{left} and {right} set the same"));
        return Ok(0);
    }
    let side = |value: &Option<Value>| {
        value
            .as_ref()
            .map_or_else(|| "-".to_owned(), |value| shortened(&shown(value)))
    };
    let mut rows = vec![vec!["KEY".to_owned(), left, right, "WHY".to_owned()]];
    rows.extend(found.iter().map(
        |Difference {
             key,
             left,
             right,
             why,
             locked,
         }| {
            let lock = if *locked { " (locked)" } else { "" };
            vec![format!("{key}{lock}"), side(left), side(right), why.clone()]
        },
    ));
    for line in table(&rows) {
        terminal.out(line);
    }
    Ok(0)
}

fn title(resolved: &Resolved) -> String {
    format!("{}, Spark {}", resolved.preset, resolved.spark)
}

/// A value that fits a cell.
fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn write(arguments: &Apply, terminal: &mut Terminal) -> Outcome<u8> {
    let library = arguments.given.files.library(terminal)?;
    let source = read(&arguments.file)?;
    let (documents, _) = manifest::check(source.name(), source.text());
    let version = version_in(&documents, arguments.application.as_deref());
    let resolved = arguments
        .given
        .resolved(&library, &arguments.preset, version.as_deref(), terminal)?;
    let applied =
        apply::apply(&source, &resolved, arguments.application.as_deref()).map_err(|found| failed(found, terminal))?;
    if arguments.write {
        replace(&arguments.file, &applied.text)?;
    }
    match (terminal.format(), arguments.write) {
        (Format::Json, written) => {
            let mut value = serde_json::to_value(&applied).unwrap_or_default();
            value["preset"] = json!(resolved.preset);
            value["written"] = json!(written);
            terminal.json(&value);
        }
        (Format::Text, true) => terminal.out(summary(&applied, &resolved)),
        (Format::Text, false) => {
            terminal.out(applied.text.trim_end());
            terminal.note(dim(summary(&applied, &resolved)));
        }
    }
    for kept in &applied.kept {
        terminal.note(format!(
            "kept {} = {}; the preset has {}",
            kept.key,
            shown(&kept.manifest),
            shown(&kept.preset)
        ));
    }
    asked(&resolved, terminal);
    Ok(0)
}

fn summary(applied: &Applied, resolved: &Resolved) -> String {
    let keys = match applied.added.len() {
        1 => "1 key".to_owned(),
        count => format!("{count} keys"),
    };
    format!(
        "{}: {keys} of {} added, {} kept as they were",
        applied.application,
        resolved.preset,
        applied.kept.len()
    )
}

/// Puts a text in the place of a file, or leaves the file as it is.
fn replace(path: &Path, text: &str) -> Outcome<()> {
    let failed = |error: std::io::Error| {
        Failure::environment("stoke::preset::write", format!("{}: {error}", path.display()))
            .fix("print it without --write, and save it by hand")
    };
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)?;
    let permissions = std::fs::metadata(path).map_err(failed)?.permissions();
    file.as_file().set_permissions(permissions).map_err(failed)?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}
