//! `stoke ci`: pipelines that check, release and promote.

use std::path::PathBuf;

use stoke_release::ci::{Pipeline, System};

use crate::cli::Context;
use crate::failure::{Failure, Outcome};

/// What can be done with pipelines.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Write the file of a pipeline that checks and tests a job, makes releases of it and promotes them
    Init(Init),
}

/// Arguments of `stoke ci init`.
#[derive(clap::Args)]
pub struct Init {
    /// The system
    #[arg(value_enum)]
    system: Which,
    /// The image that the job's manifest names: the pipeline builds it, looks its packages up, and signs it before each release
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Root of the repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    to: PathBuf,
    /// Print the file instead of writing it
    #[arg(long, conflicts_with = "to")]
    print: bool,
}

/// A system.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Which {
    /// A workflow of GitHub Actions
    Github,
    /// A pipeline of GitLab
    Gitlab,
    /// A declarative Jenkinsfile
    Jenkins,
    /// A Pipeline and Tasks of Tekton
    Tekton,
    /// A WorkflowTemplate of Argo Workflows
    Argo,
}

impl Which {
    /// What it is called in the room.
    pub fn system(self) -> System {
        match self {
            Which::Github => System::Github,
            Which::Gitlab => System::Gitlab,
            Which::Jenkins => System::Jenkins,
            Which::Tekton => System::Tekton,
            Which::Argo => System::Argo,
        }
    }
}

/// Runs the command.
pub fn run(command: &Command, context: &mut Context) -> Outcome<u8> {
    let Command::Init(init) = command;
    let pipeline = Pipeline::new(init.image.as_deref()).map_err(|why| {
        Failure::input("stoke::ci::image", why).fix("write --image REGISTRY/REPOSITORY:TAG, as the manifest names it")
    })?;
    let system = init.system.system();
    let text = system
        .file(&pipeline)
        .map_err(|why| Failure::environment("stoke::ci::file", why).fix("report it"))?;
    if init.print {
        context.terminal.out(text.trim_end());
        return Ok(0);
    }
    let path = init.to.join(system.path());
    let failed = |error: std::io::Error| {
        Failure::input("stoke::ci::file", format!("{}: {error}", path.display()))
            .fix("print the file with --print, and put it where it belongs by hand")
    };
    std::fs::create_dir_all(path.parent().unwrap_or(&init.to)).map_err(failed)?;
    // Never over a pipeline that is there.
    let mut file = std::fs::File::create_new(&path).map_err(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)?;
    context.terminal.out(path.display());
    Ok(0)
}
