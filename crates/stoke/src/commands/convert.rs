//! `stoke convert`: Apache's applications, `spark-submit` command lines and Jobs become `SparkApplication`s, Helm values a `SparkConnect`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use serde_json::{Value, json};
use stoke_convert::{Converted, Options};
use stoke_diagnostics::{Diagnostic, Source};
use stoke_laptop::machine::Machine;
use stoke_submit::SparkVersion;

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Arguments of `stoke convert`.
#[derive(clap::Args)]
#[command(after_help = "\
What is not carried as it was is told on standard error, with its place: a warning when it is carried otherwise or means nothing any
more, an error when it is lost. With an error nothing is printed or written and the exit code is 2, unless --partial is given.

  stoke convert pi.yaml --write pi-converted.yaml
  stoke convert values.yaml --platform --write platform.yaml
  stoke convert nightly.sh --env DAY=2026-01-01
  stoke convert -- spark-submit --deploy-mode cluster --name pi local:///opt/app/main.py")]
pub struct Arguments {
    /// A manifest (SparkApplication of spark.apache.org, Job, CronJob), Helm values of a Spark kit, or a shell script with spark-submit; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "line")]
    file: Option<String>,
    /// A spark-submit command line
    #[arg(last = true, value_name = "COMMAND LINE", conflicts_with = "file")]
    line: Vec<String>,
    /// Where the manifests go, instead of standard output
    #[arg(long, short = 'w', value_name = "FILE")]
    write: Option<PathBuf>,
    /// Take what can be converted, even if something is lost
    #[arg(long)]
    partial: bool,
    /// Make a platform.yaml of Helm values: the server with all that is around it
    #[arg(long, conflicts_with = "line")]
    platform: bool,
    /// Name of the application
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Namespace of the application
    #[arg(long, short = 'n', value_name = "NAME")]
    namespace: Option<String>,
    /// Version of Spark, where the image's tag does not tell
    #[arg(long, value_name = "VERSION")]
    spark: Option<String>,
    /// Value of an environment variable that a script or Job uses; may be given again
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
}

/// Runs the command.
pub fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let options = options(arguments)?;
    if let (true, Some(file)) = (arguments.platform, &arguments.file) {
        return platform(file, arguments, &options, context);
    }
    let converted = match &arguments.file {
        None => stoke_convert::command_line(&arguments.line, &Machine, &options),
        Some(file) => {
            let (name, text) = read(file)?;
            if is_manifest(&name, &text) {
                stoke_convert::manifest(&name, &text, &options)
            } else {
                stoke_convert::script(&name, &text, &Machine, &options)
            }
        }
    };
    let refused = converted.documents.is_empty() || (converted.is_partial() && !arguments.partial);
    if refused && context.terminal.format() == Format::Json {
        context.terminal.json(&json!({ "complaints": converted.complaints }));
        return Ok(2);
    }
    for complaint in &converted.complaints {
        context.terminal.note(complaint.render());
    }
    if refused {
        return Err(failure(&converted));
    }
    let text = rendered(&converted.documents, context.terminal.format())?;
    match &arguments.write {
        Some(path) => std::fs::write(path, format!("{text}\n"))
            .map_err(|error| Failure::environment("stoke::convert::write", format!("{}: {error}", path.display())))?,
        None => context.terminal.out(text),
    }
    Ok(0)
}

/// Helm values as a `platform.yaml` that passes its check.
fn platform(file: &str, arguments: &Arguments, options: &Options, context: &mut Context) -> Outcome<u8> {
    let (name, text) = read(file)?;
    let made = stoke_convert::platform(&name, &text, options);
    let mut complaints = made.complaints.clone();
    let yaml = match &made.file {
        Some(file) => {
            let yaml = rendered(std::slice::from_ref(file), Format::Text)?;
            complaints.extend(of_check(&yaml, &name, &made));
            Some((file, yaml))
        }
        None => None,
    };
    let errors = complaints.iter().filter(|complaint| complaint.is_error()).count();
    let refused = yaml.is_none() || (errors > 0 && !arguments.partial);
    if refused && context.terminal.format() == Format::Json {
        context.terminal.json(&json!({ "complaints": complaints }));
        return Ok(2);
    }
    for complaint in &complaints {
        context.terminal.note(complaint.render());
    }
    let Some((file, yaml)) = yaml.filter(|_| !refused) else {
        return Err(failure(&Converted {
            documents: made.file.into_iter().collect(),
            complaints,
        }));
    };
    match (&arguments.write, context.terminal.format()) {
        (Some(path), _) => std::fs::write(path, format!("{yaml}\n"))
            .map_err(|error| Failure::environment("stoke::convert::write", format!("{}: {error}", path.display())))?,
        (None, Format::Json) => context.terminal.json(file),
        (None, Format::Text) => context.terminal.out(yaml),
    }
    Ok(0)
}

/// What `stoke platform check` says of a file that was made, with the line of the values that each is about.
fn of_check(yaml: &str, name: &str, made: &stoke_convert::Platform) -> Vec<Diagnostic> {
    let read = stoke_platform::spec::read(&Source::new("platform.yaml", yaml), &stoke_platform::spec::alone);
    let found = read.map_or_else(|found| found, |file| file.warnings);
    let from = |mut complaint: Diagnostic| {
        complaint.message = match made.origin(&complaint.path) {
            Some((path, line)) => format!("{} (`{path}`, {name}:{line})", complaint.message),
            None => format!("{} (in the platform.yaml that is made)", complaint.message),
        };
        complaint
    };
    found.into_iter().map(from).collect()
}

fn options(arguments: &Arguments) -> Outcome<Options> {
    let mut environment = BTreeMap::new();
    for assignment in &arguments.env {
        let (name, value) = assignment
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| {
                Failure::input("stoke::convert::env", format!("--env {assignment}: no `=`"))
                    .fix("write --env NAME=VALUE")
            })?;
        environment.insert(name.to_owned(), value.to_owned());
    }
    let spark_version: Option<SparkVersion> = arguments
        .spark
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error| Failure::input("stoke::convert::spark", format!("--spark: {error}")))?;
    Ok(Options {
        name: arguments.name.clone(),
        namespace: arguments.namespace.clone(),
        spark_version,
        environment,
    })
}

fn read(file: &str) -> Outcome<(String, String)> {
    let (name, bytes) = if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        ("<stdin>".to_owned(), bytes)
    } else {
        let bytes = std::fs::read(file).map_err(|error| {
            Failure::input("stoke::convert::unreadable", format!("{file}: {error}"))
                .fix("give the path of a manifest or script, or `-` for standard input")
        })?;
        (file.to_owned(), bytes)
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok((name, text)),
        Err(_) => Err(
            Failure::input("stoke::convert::not-utf8", format!("{name}: the text is not UTF-8"))
                .fix("save the file as UTF-8"),
        ),
    }
}

/// A manifest is told by its name, and without one by being YAML with a `kind`.
fn is_manifest(name: &str, text: &str) -> bool {
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".yaml", ".yml", ".json"]) {
        return true;
    }
    if ends(&[".sh", ".bash"]) || text.starts_with("#!") {
        return false;
    }
    let (documents, _) = stoke_model::manifest::read(&Source::new(name, text));
    documents.iter().any(|document| document.get("kind").is_some())
}

fn failure(converted: &Converted) -> Failure {
    let errors = converted
        .complaints
        .iter()
        .filter(|complaint| complaint.is_error())
        .count();
    let things = if errors == 1 {
        "1 thing is"
    } else {
        &format!("{errors} things are")
    };
    let failure = Failure::input(
        "stoke::convert::incomplete",
        format!("{things} not convertible; nothing was written"),
    );
    if converted.documents.is_empty() {
        failure.fix("fix what the errors name")
    } else {
        failure.fix("fix what the errors name, or take the rest with --partial")
    }
}

/// A YAML stream; in JSON the one object, or a List of them.
fn rendered(documents: &[Value], format: Format) -> Outcome<String> {
    match (format, documents) {
        (Format::Json, [only]) => Ok(format!("{only:#}")),
        (Format::Json, several) => {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": several});
            Ok(format!("{list:#}"))
        }
        (Format::Text, documents) => {
            let yaml = documents
                .iter()
                .map(serde_saphyr::to_string)
                .collect::<Result<Vec<_>, _>>();
            let yaml = yaml.map_err(|error| Failure::environment("stoke::convert::yaml", error))?;
            let yaml: Vec<&str> = yaml.iter().map(|document| document.trim_end()).collect();
            Ok(yaml.join("\n---\n"))
        }
    }
}
