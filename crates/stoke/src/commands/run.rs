//! `stoke run`: a manifest in, its application's result and exit code out.

use std::path::Path;
use std::time::Duration;

use kube::ResourceExt;
use kube::api::Api;
use serde_json::Value;
use stoke_laptop::apply;
use stoke_laptop::follow::follow;
use stoke_laptop::gather;
use stoke_laptop::home::Home;
use stoke_laptop::images::ensure;
use stoke_laptop::interrupt::listen;
use stoke_laptop::pod_images::is_local_spark;
use stoke_laptop::session::{self, Place, Session};
use stoke_model::crd::SparkApplication;
use stoke_runtime::Runtimes;

use crate::cli::{Context, Size, Target};
use crate::failure::{Failure, Outcome};
use crate::input::{self, Changes, Manifest};
use crate::shown::Shown;
use crate::summary;
use crate::terminal::{Format, Terminal};

/// Arguments of `stoke run`.
#[derive(clap::Args)]
#[command(after_help = "\
Without a cluster up (`stoke up`) one is started inside this process and nothing of it is left behind.
Exit code: 0 the application completed; the driver's own exit code (else 1) when it failed; 2 wrong input; 3 the machine or
cluster cannot; 124 --timeout; 130 interrupted.")]
pub struct Arguments {
    /// The manifest, or `-` for standard input
    file: String,
    /// Return once the application is created
    #[arg(long)]
    detach: bool,
    /// Keep the application when interrupted, and the private cluster's files (logs, volumes) when it ends
    #[arg(long)]
    keep: bool,
    /// Change a field, for example --set spec.executor.instances=2 (a dot inside a key is written `\.`)
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Set a Spark configuration key
    #[arg(long, value_name = "KEY=VALUE")]
    conf: Vec<String>,
    /// Run the application under another name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Hide the lines of Spark's logger; show what the application prints
    #[arg(long, short)]
    quiet: bool,
    /// Delete the application when it has not ended after this time (30s, 10m, 2h)
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Duration>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    size: Size,
}

/// A time with a unit.
pub fn timeout(text: &str) -> Result<Duration, String> {
    stoke_model::duration::parse_spark(text, stoke_model::duration::TimeUnit::Second)
        .map_err(|error| error.to_string())
        .and_then(|span| Duration::try_from(span).map_err(|error| error.to_string()))
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let terminal = &mut context.terminal;
    let changes = Changes {
        set: &arguments.set,
        conf: &arguments.conf,
        name: arguments.name.as_deref(),
    };
    let mut manifest = input::read(&arguments.file, &changes, terminal)?;
    match manifest.applications().count() {
        1 => {}
        0 => {
            let server = manifest
                .documents
                .iter()
                .find(|document| document.kind == "SparkConnect");
            if let Some(server) = server {
                return Err(Failure::input(
                    "stoke::run::no-application",
                    format!(
                        "{} holds a SparkConnect, which is a server and does not end",
                        arguments.file
                    ),
                )
                .fix(format!(
                    "`stoke up --detach`, `kubectl apply -f {}`, then `stoke sql --server {} \"SELECT 1\"`",
                    arguments.file, server.name
                )));
            }
            return Err(Failure::input(
                "stoke::run::no-application",
                format!("{} holds no SparkApplication", arguments.file),
            )
            .fix(
                "give a manifest with one, such as examples/pi.yaml; other objects are applied with `kubectl apply -f`",
            ));
        }
        n => {
            return Err(Failure::input(
                "stoke::run::many-applications",
                format!(
                    "{} holds {n} SparkApplications; `stoke run` follows one",
                    arguments.file
                ),
            )
            .fix("split the file, or apply it to `stoke up` with `kubectl apply -f`"));
        }
    }
    if arguments.target.context.is_none() {
        let runtimes = Runtimes::new(context.home.root());
        for image in manifest.images() {
            // The node says of one that is not to be fetched whether it is there.
            if !manifest.never_pulls() || is_local_spark(&runtimes, &image) {
                ensure(&context.home, &image, terminal).await?;
            }
        }
        manifest
            .applications()
            .try_for_each(|application| files_of_image(&application.value, &context.home))?;
    }
    // Ctrl-C while the cluster starts is heard by `follow`, which ends what was begun in order.
    listen()?;
    let mut session =
        session::open_or_start(&context.home, &arguments.target.cluster(), &arguments.size.node()?).await?;
    let result = with_session(&arguments, &mut manifest, &context.home, &session, terminal).await;
    if let Place::Private(embedded) = std::mem::replace(&mut session.place, Place::Up) {
        let directory = embedded.directory().to_path_buf();
        embedded.stop(arguments.keep).await;
        if arguments.keep {
            terminal.note(format!("kept {}", directory.display()));
        }
    }
    result
}

/// Files that an application names and its pods would not have here are an error before anything starts. Volumes and pod templates may bring
/// them: then it is not known.
fn files_of_image(application: &Value, home: &Home) -> Outcome<()> {
    let spec = &application["spec"];
    main_file(spec, home)?;
    let named = text(&spec["driver"]["image"]).or_else(|| text(&spec["image"]));
    if named.is_some_and(|name| !is_local_spark(&Runtimes::new(home.root()), name)) {
        // Pods have the files of that image.
        return Ok(());
    }
    let monitoring = &spec["monitoring"];
    for (role, exposed) in [("driver", "exposeDriverMetrics"), ("executor", "exposeExecutorMetrics")] {
        if monitoring[exposed] == true {
            exporter(spec, role)?;
        }
    }
    Ok(())
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// Whether a volume or a pod template may bring files into the pods of a role.
fn may_be_brought(spec: &Value, role: &str) -> bool {
    let volumes = format!("spark.kubernetes.{role}.volumes.");
    let brings = |key: &String| key.starts_with(&volumes) || key.ends_with("podTemplateFile");
    let mounts = spec[role]["volumeMounts"].as_array();
    mounts.is_some_and(|mounts| !mounts.is_empty())
        || spec[role]["template"].is_object()
        || spec["sparkConf"]
            .as_object()
            .is_some_and(|conf| conf.keys().any(brings))
}

/// Outside of Spark's own directory a pod here has the files of this machine, not those of the image.
fn exporter(spec: &Value, role: &str) -> Outcome<()> {
    let Some(jar) = text(&spec["monitoring"]["prometheus"]["jmxExporterJar"]) else {
        return Ok(());
    };
    if Path::new(jar).exists() || may_be_brought(spec, role) {
        return Ok(());
    }
    Err(Failure::input(
        "stoke::run::exporter-missing",
        format!("monitoring.prometheus.jmxExporterJar {jar} is not on this machine, so the {role}'s JVM would not start"),
    )
    .fix(format!(
        "pods of the embedded cluster have a local Spark and the files of this machine, not those of the image: put the jar at {jar}, \
         mount it with a volume, or leave out monitoring.prometheus (Spark's own metrics are served without it)"
    )))
}

fn main_file(spec: &Value, home: &Home) -> Outcome<()> {
    let Some(file) = text(&spec["mainApplicationFile"]) else {
        return Ok(());
    };
    let Some(path) = file.strip_prefix("local://") else {
        return Ok(());
    };
    let Some(name) = text(&spec["driver"]["image"]).or_else(|| text(&spec["image"])) else {
        return Ok(());
    };
    let Ok(image) = Runtimes::new(home.root()).resolve(name) else {
        return Ok(());
    };
    let lacks = image.lacks(Path::new(path));
    let Some(beside) = lacks.filter(|_| !may_be_brought(spec, "driver")) else {
        return Ok(());
    };
    let directory = Path::new(path).parent().unwrap_or(Path::new("/")).display();
    let failure = Failure::input(
        "stoke::run::main-file-missing",
        format!("mainApplicationFile {file} is not in the image {name}"),
    );
    Err(match beside.is_empty() {
        true => failure.fix(format!(
            "the image has no directory {directory}; name a file that it has, or one of this machine by its path"
        )),
        false => failure.fix(format!("{directory} has {}", shortened(&beside))),
    })
}

/// The first names of a list.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        Some(more) => format!("{shown} and {more} more"),
        None => shown,
    }
}

async fn with_session(
    arguments: &Arguments,
    manifest: &mut Manifest,
    home: &Home,
    session: &Session,
    terminal: &mut Terminal,
) -> Outcome<u8> {
    if arguments.detach && matches!(session.place, Place::Private(_)) {
        return Err(Failure::input(
            "stoke::run::detach",
            "--detach needs a cluster that stays, and none is up",
        )
        .fix("`stoke up --detach` first, or name a cluster with --context"));
    }
    let uploads = session.uploads(home);
    manifest.upload(uploads.as_deref())?;
    let mut application = None;
    for document in &manifest.documents {
        let namespace = document
            .namespace
            .clone()
            .or_else(|| arguments.target.namespace.clone())
            .unwrap_or_else(|| session.namespace.clone());
        if document.kind == "SparkApplication" {
            application = Some(apply::create_application(&session.client, &namespace, &document.value).await?);
        } else {
            apply::apply(&session.client, &namespace, &document.value).await?;
        }
    }
    let Some(application) = application else {
        return Err(Failure::input("stoke::run::no-application", "no SparkApplication"));
    };
    if arguments.detach {
        return Ok(detached(&application, terminal));
    }
    let name = application.name_any();
    let mut shown = Shown::new(&name, arguments.quiet, terminal);
    let followed = follow(&session.client, &application, arguments.timeout, &mut shown).await;
    terminal.end_status();
    match followed {
        Ok(seen) => {
            let hint = hint(&application, session, arguments.keep);
            let findings = gather::findings(session, &application, home).await;
            match terminal.format() {
                Format::Text => summary::print(&seen, &findings, hint.as_deref(), terminal),
                Format::Json => terminal.json(&summary::to_json(&seen, &findings)),
            }
            Ok(seen.exit_code())
        }
        Err(failure) => {
            give_up(&application, session, arguments, terminal).await;
            Err(failure.into())
        }
    }
}

fn detached(application: &SparkApplication, terminal: &mut Terminal) -> u8 {
    let (name, namespace) = (application.name_any(), application.namespace().unwrap_or_default());
    match terminal.format() {
        Format::Text => terminal.out(format!(
            "sparkapplication/{name} created in {namespace}; follow it with `stoke logs -f {name}`"
        )),
        Format::Json => {
            terminal.json(&serde_json::json!({ "name": name, "namespace": namespace, "uid": application.uid() }))
        }
    }
    0
}

/// Where to look further; nothing when nothing is left to look at.
fn hint(application: &SparkApplication, session: &Session, keep: bool) -> Option<String> {
    let name = application.name_any();
    match &session.place {
        Place::Up => Some(format!("log: stoke logs {name}")),
        Place::Context(context) => Some(format!("log: stoke logs {name} --context {context}")),
        Place::Private(embedded) => keep.then(|| format!("logs: {}", embedded.directory().join("logs").display())),
    }
}

/// The application did not end by itself: remove it, unless it shall be kept.
async fn give_up(application: &SparkApplication, session: &Session, arguments: &Arguments, terminal: &mut Terminal) {
    let name = application.name_any();
    if matches!(session.place, Place::Private(_)) {
        return;
    }
    if arguments.keep {
        terminal.note(format!("kept application {name}; end it with `stoke delete {name}`"));
        return;
    }
    let api: Api<SparkApplication> =
        Api::namespaced(session.client.clone(), &application.namespace().unwrap_or_default());
    match apply::delete(&api, &name).await {
        Ok(_) => terminal.note(format!("deleted application {name}")),
        Err(failure) => terminal.failure(&failure.into()),
    }
}
