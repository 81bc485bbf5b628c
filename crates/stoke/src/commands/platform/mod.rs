//! `stoke platform`: the components around Spark, of one file.
//!
//! - `files`: what needs no cluster
//! - `cluster`: what is there of a platform, and how it is asked for
//! - `apply`, `down`: changes, whole or not at all; `wait`: until objects do their work, or why not
//! - `up`: all of it on this machine, by one command

mod apply;
mod cluster;
mod down;
mod files;
mod look;
mod up;
mod wait;

use std::path::PathBuf;

use stoke_diagnostics::{Diagnostic, Source};
use stoke_laptop::home::Home;
use stoke_laptop::object_store;
use stoke_laptop::session::{self, Place};
use stoke_model::units::people::counted;
use stoke_platform::environment::Resolved;
use stoke_platform::local::{self, OwnStore};
use stoke_platform::render::tree;
use stoke_platform::spec::{self, FILE, File};

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// What can be done with a platform.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Write a platform.yaml to begin with
    Init(files::Init),
    /// Print the JSON Schema of platform.yaml, for editors
    Schema,
    /// List the kinds of components: versions, what they give, how health is asked for, whether they run on the embedded cluster
    List,
    /// Find what is wrong with a file, in each of its environments
    Check(Given),
    /// Print the objects of an environment, or write a tree for kustomize, Argo CD or Flux
    Render(files::Render),
    /// Print an application with what it needs of the components that its annotations name
    Wire(files::WireArguments),
    /// Bring a whole platform up on this machine: cluster, Secrets, components, each with its address once it answers
    Up(Box<up::Arguments>),
    /// Show what `apply` would change in the cluster
    Diff(Placed),
    /// Bring the cluster to what the file says, wait until it works, or undo
    Apply(apply::Arguments),
    /// Show whether components work, and what was changed by others
    Status(Placed),
    /// Remove everything of the platform from the cluster
    Down(down::Arguments),
}

impl Command {
    /// Whether it speaks to a cluster; the others keep nothing.
    pub fn asks_a_cluster(&self) -> bool {
        matches!(
            self,
            Command::Up(_) | Command::Diff(_) | Command::Apply(_) | Command::Status(_) | Command::Down(_)
        )
    }
}

/// The file.
#[derive(clap::Args, Clone)]
pub struct Given {
    /// The file of the platform
    #[arg(long, short = 'f', value_name = "FILE", default_value = FILE)]
    file: PathBuf,
}

/// The file in one of its environments.
#[derive(clap::Args, Clone)]
pub struct InEnvironment {
    #[command(flatten)]
    given: Given,
    /// The environment, one of the file's [default: the file as it stands]
    #[arg(long, short = 'e', value_name = "NAME")]
    environment: Option<String>,
}

/// The file in one of its environments, and a cluster.
#[derive(clap::Args, Clone)]
pub struct Placed {
    #[command(flatten)]
    wanted: InEnvironment,
    /// Context of your kubeconfig, for a cluster other than the embedded one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// Runs the command.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    match command {
        Command::Init(arguments) => files::init(&arguments, context),
        Command::Schema => files::schema(context),
        Command::List => files::list(context),
        Command::Check(given) => files::check(&given, context),
        Command::Render(arguments) => files::render(&arguments, context),
        Command::Wire(arguments) => files::wire(&arguments, context).await,
        Command::Up(arguments) => up::run(*arguments, context).await,
        Command::Diff(placed) => look::diff(&placed, context).await,
        Command::Apply(arguments) => apply::run(&arguments, context).await,
        Command::Status(placed) => look::status(&placed, context).await,
        Command::Down(arguments) => down::run(&arguments, context).await,
    }
}

impl Given {
    /// Reads the file; what is wrong with it is printed.
    fn read(&self, context: &mut Context) -> Outcome<File> {
        let name = self.file.display().to_string();
        let text = std::fs::read_to_string(&self.file).map_err(|error| {
            Failure::input("stoke::platform::unreadable", format!("{name}: {error}"))
                .fix("name the file with --file; `stoke platform init` writes one to begin with")
        })?;
        let directory = self.file.parent().unwrap_or(std::path::Path::new("")).to_owned();
        let beside = |name: &str| std::fs::read_to_string(directory.join(name)).map_err(|error| error.to_string());
        spec::read(&Source::new(&name, &text), &beside).map_err(|found| refused(&name, &found, context))
    }
}

/// Prints what is wrong and says how much it is.
fn refused(name: &str, found: &[Diagnostic], context: &mut Context) -> Failure {
    match context.terminal.format() {
        Format::Json => context.terminal.json(&serde_json::json!({ "complaints": found })),
        Format::Text => found.iter().for_each(|found| context.terminal.note(found.render())),
    }
    let errors = found.iter().filter(|found| found.is_error()).count();
    Failure::input(
        "stoke::platform::refused",
        format!("{name} has {}; nothing was done", counted(errors, "error")),
    )
    .fix("each is told above with its fix; `stoke explain CODE` says more of one")
}

impl InEnvironment {
    /// The file as it is in the environment; warnings are printed beside the result.
    fn resolve(&self, context: &mut Context) -> Outcome<Resolved> {
        let file = self.given.read(context)?;
        for warning in &file.warnings {
            context.terminal.note(warning.render());
        }
        in_environment(&file, self.environment.as_deref())
    }
}

fn in_environment(file: &File, environment: Option<&str>) -> Outcome<Resolved> {
    file.in_environment(environment)
        .map_err(|diagnostic| Failure { diagnostic, exit: 2 })
}

/// Refuses files that only Flux decrypts.
fn decryptable(resolved: &Resolved) -> Outcome<()> {
    tree::decryptable(&resolved.scope()).map_err(|why| {
        Failure::input("stoke::platform::sops", why)
            .fix("`stoke platform render --as flux` writes a tree with it; for others make the Secret out of a SealedSecret or a store of `secrets`")
    })
}

/// The embedded cluster's object store.
async fn own_store(home: &Home) -> Outcome<OwnStore> {
    let endpoint = object_store::endpoint(&home.default_cluster()).await.ok_or_else(|| {
        Failure::environment(
            "stoke::object-store::start",
            "the object store of the embedded cluster does not answer",
        )
        .fix("`stoke down`, then `stoke up`")
    })?;
    Ok(OwnStore {
        ports: stoke_objectstore::PORTS,
        endpoint,
    })
}

impl Placed {
    /// The file as it is in the environment, and a client of the cluster.
    async fn open(&self, context: &mut Context) -> Outcome<(Resolved, kube::Client)> {
        let mut resolved = self.wanted.resolve(context)?;
        decryptable(&resolved)?;
        let target = session::Target {
            context: self.context.clone(),
            namespace: None,
        };
        let session = session::open(&context.home, &target).await?;
        if matches!(session.place, Place::Up) {
            local::place(&mut resolved, &own_store(&context.home).await?);
        }
        Ok((resolved, session.client))
    }
}
