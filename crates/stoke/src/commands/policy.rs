//! `stoke policy`: policies by themselves.

use std::path::PathBuf;

use stoke_gate::{Settings, derived};
use stoke_model::manifest;
use stoke_model::units::people::counted;
use stoke_policy::test::{self, Derived, Options};
use stoke_policy::{files, pack};

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// What can be done with policies.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Run the tests and examples of policies, and prove that every rule can fire
    Test {
        /// Directory of policies
        #[arg(default_value = "policies")]
        directory: PathBuf,
    },
    /// List the policies Stoke brings
    List,
    /// Write the policies Stoke brings, with their examples, into a directory
    Init {
        /// The directory; what is there is left as it is
        #[arg(default_value = "policies")]
        directory: PathBuf,
    },
}

/// Runs the command.
pub fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    match command {
        Command::Test { directory } => run_tests(&directory, context),
        Command::List => {
            let names = pack::names();
            match context.terminal.format() {
                Format::Json => context.terminal.json(&names),
                Format::Text => names.into_iter().for_each(|name| context.terminal.out(name)),
            }
            Ok(0)
        }
        Command::Init { directory } => init(&directory, context),
    }
}

fn run_tests(directory: &std::path::Path, context: &mut Context) -> Outcome<u8> {
    let found = files::read(directory).map_err(|(path, error)| {
        Failure::input("stoke::policy::unreadable", format!("{}: {error}", path.display()))
            .fix("name a directory of policies; `stoke policy init` writes one to start with")
    })?;
    if found.is_empty() {
        return Err(Failure::input(
            "stoke::policy::nothing",
            format!("{}: there are no policies", directory.display()),
        )
        .fix("`stoke policy init` writes some to start with"));
    }
    let derive = |application: &serde_json::Value| derive(application);
    let options = Options {
        derive: Some(&derive),
        ..Options::default()
    };
    let report = test::run(&found, &options);
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&serde_json::to_value(&report).unwrap_or_default()),
        Format::Text => context.terminal.out(report.to_string().trim_end()),
    }
    Ok(u8::from(!report.passed()))
}

/// What an example that is an application becomes.
fn derive(application: &serde_json::Value) -> Result<Option<Derived>, String> {
    let (documents, complaints) = manifest::check("example", &application.to_string());
    if stoke_diagnostics::has_errors(&complaints) {
        return Ok(None);
    }
    let document = documents.first().ok_or("it is empty")?;
    let namespace = document.namespace.as_deref().unwrap_or("default");
    match derived::derive(document, namespace, &Settings::default().submission) {
        None => Err("it is not an application".to_owned()),
        Some(Err(refused)) => Err(refused
            .into_iter()
            .map(|remark| remark.message)
            .collect::<Vec<_>>()
            .join("; ")),
        Some(Ok(derived)) => Ok(Some(Derived {
            conf: derived.conf,
            driver: derived.driver,
            executor: derived.executor,
        })),
    }
}

fn init(directory: &std::path::Path, context: &mut Context) -> Outcome<u8> {
    let mut written = 0;
    for file in pack::files() {
        let path = directory.join(&file.path);
        if path.exists() {
            context
                .terminal
                .note(format!("{} is there already and stays as it is", path.display()));
            continue;
        }
        let failed = |error: std::io::Error| {
            Failure::environment("stoke::policy::unwritable", format!("{}: {error}", path.display()))
                .fix("name a directory that can be written")
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&path, &file.text).map_err(failed)?;
        written += 1;
    }
    context.terminal.out(format!(
        "wrote {} into {}",
        counted(written, "file"),
        directory.display()
    ));
    Ok(0)
}
