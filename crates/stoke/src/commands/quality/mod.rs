//! `stoke quality`: data against a contract, and data against other data.

pub mod diff;
pub mod sql;
mod verdicts;

use std::path::{Path, PathBuf};
use std::time::Duration;

use stoke_diagnostics::{Diagnostic, Source, has_errors};
use stoke_laptop::home::Home;
use stoke_quality::contract::{self, waiver};
use stoke_quality::sql::Request;
use stoke_quality::{Contract, Options, QualityError, Report, Storage};
use stoke_release::publish::pointer::{self, Pointer};
use stoke_storage::{Access, Address, Files, StorageError, Verb, open_files};

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal};

/// What can be done with data and contracts.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Check data by a contract: ODCS, a suite of Great Expectations, or a short YAML
    Run(Arguments),
    /// Compare what two places hold: schema, rows, values; order, files and encodings do not matter
    Diff(Box<diff::Arguments>),
    /// Show how contracts stand by the verdicts that --history kept
    Verdicts(verdicts::Arguments),
}

/// Arguments of `stoke quality run`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The contract
    contract: PathBuf,
    /// The data: a file or directory, or `s3://…`, `gs://…`, `abfss://…` (with the variables of that cloud); `current.json` of published versions means what it names
    #[arg(long, value_name = "PLACE")]
    data: String,
    /// Which object of a contract that has several
    #[arg(long, value_name = "NAME")]
    object: Option<String>,
    /// Directory that rows are set aside in: those that pass and those that do not, with the reasons
    #[arg(long, value_name = "DIR")]
    quarantine: Option<PathBuf>,
    /// Where earlier runs are, for what is usual, and for `stoke quality verdicts`; this run is added: a directory, `s3://…`, `gs://…`, `abfss://…`
    #[arg(long, value_name = "PLACE")]
    history: Option<String>,
    /// File of waivers, besides those of the contract
    #[arg(long, value_name = "FILE")]
    waivers: Option<PathBuf>,
    /// File that the verdict is written to in one line, without values of the data; also why nothing was checked
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Threads [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The Spark that runs rules in SQL; it is installed when it is missing [default: the newest at hand]
    #[arg(long, value_name = "VERSION")]
    spark: Option<String>,
    /// Seconds that all rules in SQL may take together
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    sql_timeout: u64,
}

/// Runs the command.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    let arguments = match command {
        Command::Run(arguments) => arguments,
        Command::Diff(arguments) => return diff::run(*arguments, context).await,
        Command::Verdicts(arguments) => return verdicts::run(arguments, context).await,
    };
    let summary = arguments.summary.clone();
    let checked = check(arguments, context).await;
    let Some(file) = summary else {
        return checked.map(|report| u8::from(!report.passed()));
    };
    let line = match &checked {
        Ok(report) => report.summary(),
        Err(failure) => failure.diagnostic.message.clone(),
    };
    // What was found out counts more than that it could not be written down.
    if let Err(error) = std::fs::write(&file, format!("{line}\n")) {
        let told = format!("{}: the summary could not be written: {error}", file.display());
        context.terminal.note(told);
    }
    checked.map(|report| u8::from(!report.passed()))
}

async fn check(arguments: Arguments, context: &mut Context) -> Outcome<Report> {
    let terminal = &mut context.terminal;
    let (read, complaints) = contract::read(&*source(&arguments.contract)?, arguments.object.as_deref());
    tell(&complaints, terminal);
    let contract = read.ok_or_else(|| refused(&arguments.contract, &complaints))?;
    let mut options = Options::at(jiff::Timestamp::now());
    options.threads = arguments.threads;
    options.quarantine = arguments.quarantine;
    if let Some(place) = &arguments.history {
        let history = storage(place)?;
        if let Some(directory) = history.local_path() {
            std::fs::create_dir_all(directory)
                .map_err(|error| Failure::environment("stoke::quality::history", format!("{place}: {error}")))?;
        }
        options.history = Some(history);
    }
    if let Some(file) = &arguments.waivers {
        let (waivers, complaints) = waiver::read(&*source(file)?);
        tell(&complaints, terminal);
        if has_errors(&complaints) {
            return Err(refused(file, &complaints));
        }
        options.waivers = waivers;
    }
    let storage = storage(&arguments.data)?;
    let wanted = sql::Wanted {
        version: arguments.spark,
        limit: Duration::from_secs(arguments.sql_timeout),
    };
    let report = held(&contract, &storage, &options, &wanted, &context.home, terminal)?.map_err(failed)?;
    match terminal.format() {
        Format::Json => terminal.json(&serde_json::to_value(&report).unwrap_or_default()),
        Format::Text => terminal.out(report.to_string().trim_end()),
    }
    Ok(report)
}

/// Holds data against a contract; rules in SQL are asked of a Spark.
pub fn held(
    contract: &Contract,
    storage: &Storage,
    options: &Options,
    wanted: &sql::Wanted,
    home: &Home,
    terminal: &mut Terminal,
) -> Outcome<Result<Report, QualityError>> {
    let mut interrupted = None;
    let mut answer = |request: &Request| {
        let answers = sql::answers(request, wanted, home, terminal);
        tokio::runtime::Handle::current()
            .block_on(answers)
            .unwrap_or_else(|failure| {
                let reason = failure.diagnostic.message.clone();
                interrupted = Some(failure);
                vec![Err(reason); request.queries.len()]
            })
    };
    let report = tokio::task::block_in_place(|| stoke_quality::run_with(contract, storage, options, Some(&mut answer)));
    match interrupted {
        Some(failure) => Err(failure),
        None => Ok(report),
    }
}

fn source(file: &Path) -> Outcome<std::sync::Arc<Source>> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::input("stoke::quality::unreadable", format!("{}: {error}", file.display())).fix("name a file in UTF-8")
    })?;
    Ok(Source::new(&file.display().to_string(), &text))
}

fn tell(complaints: &[Diagnostic], terminal: &mut Terminal) {
    for complaint in complaints {
        terminal.note(complaint.render());
    }
}

fn refused(file: &Path, complaints: &[Diagnostic]) -> Failure {
    let first = complaints.iter().find(|complaint| complaint.is_error());
    let why = first.map_or_else(
        || "it cannot be read".to_owned(),
        |complaint| format!("line {}: {}", complaint.line, complaint.message),
    );
    Failure::input(
        "stoke::quality::refused",
        format!("{}: {why}; nothing was checked", file.display()),
    )
    .fix("fix what is listed above")
}

/// Data that cannot be had are no reason to pass.
fn failed(error: QualityError) -> Failure {
    Failure::environment(error.code(), error)
}

fn storage(place: &str) -> Outcome<Storage> {
    let unusable = |error: StorageError| {
        Failure::input("stoke::quality::place", format!("{place}: {}", error.cause())).fix(error.fix())
    };
    let mut address = Address::parse(place).map_err(unusable)?;
    if let Some(location) = published(&address).map_err(unusable)? {
        address = Address::parse(&location).map_err(unusable)?;
    }
    files_at(&address, &Access::environment()).map_err(unusable)
}

/// Files at an address, for reading data.
pub fn files_at(address: &Address, access: &Access) -> Result<Storage, StorageError> {
    Ok(match open_files(address, access, tokio::runtime::Handle::current())? {
        Files::Local(path) => Storage::local(path),
        Files::Objects(objects) => Storage::objects(objects),
    })
}

/// Where the data are that `current.json` of a place of versions names, when the address is of such a file.
fn published(address: &Address) -> Result<Option<String>, StorageError> {
    let parent = match address {
        Address::Local(path) if path.file_name().is_some_and(|name| name == pointer::FILE) => {
            Address::Local(path.parent().map(Path::to_path_buf).unwrap_or_default())
        }
        Address::Bucket { path, .. } if path.ends_with(&format!("/{}", pointer::FILE)) => {
            let text = address.to_string();
            Address::parse(text.trim_end_matches(pointer::FILE))?
        }
        _ => return Ok(None),
    };
    let files = files_at(&parent, &Access::environment())?;
    let content = tokio::task::block_in_place(|| files.content(pointer::FILE));
    let content = content.map_err(|error| StorageError::new(Verb::Read, address.to_string(), error))?;
    // A file of that name with data in it is data.
    Ok(content
        .and_then(|bytes| Pointer::read(&bytes).ok())
        .map(|pointer| pointer.location))
}
