//! `stoke new`: a job directory that passes its checks and runs at once.

use std::path::{Path, PathBuf};

use serde_json::json;
use stoke_platform::path::{self, File, make};
use stoke_platform::preset::Library;
use stoke_release::ci::{self, System};

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Arguments of `stoke new`.
#[derive(clap::Args)]
#[command(after_help = "\
  stoke new orders --path etl
  stoke new clicks --path streaming --spark 3.5 --dir jobs/clicks --ci gitlab

The directory must not be there, or be empty: nothing is ever overwritten.")]
pub struct Arguments {
    /// Name of the application
    name: String,
    /// What kind of job: etl, data-engineering, ml, gpu, streaming, interactive, cost-optimized, sql
    #[arg(long, value_name = "PATH", value_parser = named)]
    path: path::Path,
    /// Version of Spark: a minor version, or a release
    #[arg(long, value_name = "VERSION", default_value = path::SPARK)]
    spark: String,
    /// The directory [default: one of the application's name, here]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Whose pipeline is written, as by `stoke ci init`
    #[arg(long, value_enum, default_value = "github")]
    ci: Pipeline,
}

/// A pipeline, or none.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Pipeline {
    Github,
    Gitlab,
    Jenkins,
    Tekton,
    Argo,
    None,
}

fn named(text: &str) -> Result<path::Path, String> {
    path::Path::named(text)
}

/// Runs the command.
pub fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let terminal = &mut context.terminal;
    let first = |mut found: Vec<stoke_diagnostics::Diagnostic>| Failure {
        diagnostic: Box::new(found.swap_remove(0)),
        exit: 2,
    };
    let (library, _) = Library::with(None).map_err(first)?;
    let mut files = make(arguments.path, &arguments.name, &arguments.spark, &library).map_err(first)?;
    let system = match arguments.ci {
        Pipeline::Github => Some(System::Github),
        Pipeline::Gitlab => Some(System::Gitlab),
        Pipeline::Jenkins => Some(System::Jenkins),
        Pipeline::Tekton => Some(System::Tekton),
        Pipeline::Argo => Some(System::Argo),
        Pipeline::None => None,
    };
    if let Some(system) = system {
        let text = system
            .file(&ci::Pipeline::default())
            .map_err(|why| Failure::environment("stoke::ci::file", why).fix("report it"))?;
        files.push(File {
            path: system.path().to_owned(),
            text,
        });
    }
    let directory = arguments.dir.clone().unwrap_or_else(|| PathBuf::from(&arguments.name));
    write(&directory, &files)?;
    let shown = directory.display();
    match terminal.format() {
        Format::Json => terminal.json(&json!({
            "directory": shown.to_string(), "path": arguments.path.name, "files": files.iter().map(|file| &file.path).collect::<Vec<_>>(),
            "lacks": arguments.path.lacks(),
        })),
        Format::Text => {
            for file in &files {
                terminal.out(directory.join(&file.path).display());
            }
            let then = match arguments.path.is_server() {
                true => "README.md says how the server is started",
                false => "stoke run app.yaml",
            };
            terminal.note(format!("cd {shown} && stoke check . --strict, then {then}"));
        }
    }
    if let Some(lacks) = arguments.path.lacks() {
        terminal.note(format!("{}: {lacks}", arguments.path.name));
    }
    Ok(0)
}

/// Writes all files or none: they are made beside the directory and moved in one step.
fn write(directory: &Path, files: &[File]) -> Outcome<()> {
    let failed = |error: std::io::Error| {
        Failure::environment("stoke::new::directory", format!("{}: {error}", directory.display()))
            .fix("name a directory with --dir that can be made here")
    };
    let there = || {
        Failure::input(
            "stoke::new::there",
            format!("{} is there already, and nothing is overwritten", directory.display()),
        )
        .fix("give another name, or another directory with --dir")
    };
    match std::fs::read_dir(directory) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(there());
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Err(there()),
        Err(error) => return Err(failed(error)),
    }
    let parent = directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(failed)?;
    let beside = tempfile::Builder::new()
        .prefix(".stoke-new-")
        .tempdir_in(parent)
        .map_err(failed)?;
    let made = beside.path().join("job");
    for file in files {
        let path = made.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap_or(&made)).map_err(failed)?;
        std::fs::write(path, &file.text).map_err(failed)?;
    }
    // An empty directory is replaced; one that was filled meanwhile is an error.
    std::fs::rename(&made, directory).map_err(|error| match error.kind() {
        std::io::ErrorKind::DirectoryNotEmpty | std::io::ErrorKind::NotADirectory => there(),
        _ => failed(error),
    })
}
