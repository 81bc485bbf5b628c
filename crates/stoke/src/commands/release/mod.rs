//! `stoke release`: releases and their way through environments. The room `release` decides; here places are opened, and what it decides is carried out.

mod ab;
mod create;
mod deliver;
mod drift;
mod events;
mod look;
mod publish;
mod shadow;
mod steps;

use std::collections::BTreeMap;
use std::path::PathBuf;

use stoke_diagnostics::render::{Style, text as rendered};
use stoke_diagnostics::{Diagnostic, Source};
use stoke_release::bundle::{Part, Release, ReleaseError, Releases, repository_of};
use stoke_release::environment::{self, Environments};
use stoke_release::ledger::keep::LedgerError;
use stoke_release::ledger::{Entry, Head, History, Ledger};
use stoke_release::oci::{Digest, Settings};
use stoke_storage::{Access, Address, StorageError};

use crate::cli::Context;
use crate::commands::evidence::oci_failure;
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

/// What can be done with releases.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a release of a job: its files, its images by digest, what the gates say
    Create(Box<create::CreateArguments>),
    /// List releases, and where each is
    List(Kept),
    /// Show a release
    Show(look::One),
    /// Show what differs between two releases: specification, images, files, findings, what they ask for
    Diff(look::Two),
    /// Show where each byte of a release comes from
    Explain(look::One),
    /// Record what a gate outside said about a release
    Record(steps::RecordArguments),
    /// Run a release in the shadow of another one, and compare what both write
    Shadow(Box<shadow::Arguments>),
    /// Run two releases several times in turn, and distinguish a slower or dearer one from noise
    Ab(Box<ab::Arguments>),
    /// Approve a release for an environment, by signature
    Approve(steps::ApproveArguments),
    /// Bring a release to an environment, if nothing speaks against it
    Promote(steps::PromoteArguments),
    /// Go back to the last release that was good in an environment, or to data that readers saw before
    Rollback(steps::RollbackArguments),
    /// Audit what the release of an environment wrote where no reader sees it, and publish it in one step
    Publish(publish::PublishArguments),
    /// Show what readers see of data, and where it is
    Published(publish::PublishedArguments),
    /// Show what is in each environment, and what may be promoted
    Status(steps::StatusArguments),
    /// Print the ledger
    History(Kept),
    /// Verify the ledger and every release in it
    Verify(Kept),
    /// Show how a repository or a cluster differs from what was released to it
    Drift(drift::Arguments),
    /// Print or send CDEvents of what happened
    Events(events::Arguments),
    /// Print the JSON Schema of `environments.yaml`
    Schema,
}

/// Where releases are kept.
#[derive(clap::Args, Clone)]
pub struct Kept {
    /// Directory, bucket (`s3://…`, `gs://…`, `abfss://…`) or repository of a registry (`oci://…`) of releases [default: `releases` in the home]
    #[arg(long, value_name = "PLACE", env = "STOKE_RELEASES")]
    store: Option<String>,
    /// Directory or bucket of their ledger; a registry cannot hold it [default: `ledger` in the store]
    #[arg(long, value_name = "PLACE", env = "STOKE_LEDGER")]
    ledger: Option<String>,
}

/// The file of environments.
#[derive(clap::Args, Clone)]
pub struct Places {
    /// File of environments
    #[arg(long, value_name = "FILE", default_value = "environments.yaml")]
    environments: PathBuf,
}

/// Runs the command.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    match command {
        Command::Create(arguments) => create::run(*arguments, context).await,
        Command::List(kept) => look::list(&kept, context).await,
        Command::Show(one) => look::show(&one, context).await,
        Command::Diff(two) => look::diff(&two, context).await,
        Command::Explain(one) => look::explain(&one, context).await,
        Command::Record(arguments) => steps::record(arguments, context).await,
        Command::Shadow(arguments) => shadow::run(*arguments, context).await,
        Command::Ab(arguments) => ab::run(*arguments, context).await,
        Command::Approve(arguments) => steps::approve(arguments, context).await,
        Command::Promote(arguments) => steps::promote(arguments, context).await,
        Command::Rollback(arguments) => steps::rollback(arguments, context).await,
        Command::Publish(arguments) => publish::publish(arguments, context).await,
        Command::Published(arguments) => publish::published(arguments, context).await,
        Command::Status(arguments) => steps::status(&arguments, context).await,
        Command::History(kept) => look::history(&kept, context).await,
        Command::Verify(kept) => look::verify(&kept, context).await,
        Command::Drift(arguments) => drift::run(&arguments, context).await,
        Command::Events(arguments) => events::run(&arguments, context).await,
        Command::Schema => {
            context.terminal.out(environment::SCHEMA.trim_end());
            Ok(0)
        }
    }
}

/// Releases and their ledger, open.
pub struct Store {
    pub releases: Releases,
    pub ledger: Ledger,
    /// Where the ledger ended when this machine saw it last.
    pub known: Option<Head>,
    heads: PathBuf,
}

impl Kept {
    /// Opens the place.
    pub fn open(&self, context: &Context) -> Outcome<Store> {
        // Pipelines hand an empty variable on.
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let open = |address: &Address| stoke_storage::open(address, &Access::environment()).map_err(storage);
        let store = given(&self.store);
        let repository = store
            .as_deref()
            .and_then(repository_of)
            .transpose()
            .map_err(oci_failure)?;
        let mut own = None;
        let releases = match (repository, &store) {
            (Some(repository), _) => Releases::in_registry(&repository, &Settings::of_this_machine()).map_err(kept)?,
            (None, text) => {
                let place = open(&match text {
                    Some(text) => Address::parse(text).map_err(storage)?,
                    None => Address::Local(context.home.root().join("releases")),
                })?;
                own = Some(place.other("ledger"));
                Releases::new(place)
            }
        };
        let place = match (given(&self.ledger), own) {
            (Some(text), _) if repository_of(&text).is_some() => {
                return Err(no_ledger(&format!("the ledger cannot be in {text}")));
            }
            (Some(text), _) => open(&Address::parse(&text).map_err(storage)?)?,
            (None, Some(own)) => own,
            (None, None) => {
                return Err(no_ledger(
                    "releases are in a registry, and nothing says where their ledger is",
                ));
            }
        };
        let ledger = Ledger::new(place, writer());
        let heads = context.home.root().join("ledger-heads.json");
        let known = all_heads(&heads).remove(ledger.url());
        Ok(Store {
            releases,
            ledger,
            known,
            heads,
        })
    }
}

impl Store {
    /// The entries, verified, and through where the ledger ended last time.
    pub async fn entries(&self) -> Outcome<Vec<Entry>> {
        let entries = self.ledger.read(self.known.as_ref()).await.map_err(ledger)?;
        self.remember(&entries)?;
        Ok(entries)
    }

    /// Keeps where the ledger ends.
    pub fn remember(&self, entries: &[Entry]) -> Outcome<()> {
        let head = stoke_release::ledger::entry::head(entries);
        if head.sequence > self.known.as_ref().map_or(0, |known| known.sequence) {
            let mut heads = all_heads(&self.heads);
            heads.insert(self.ledger.url().to_owned(), head);
            let text = serde_json::to_vec_pretty(&heads).map_err(std::io::Error::from)?;
            let beside = self.heads.with_extension(format!("{}.new", std::process::id()));
            std::fs::write(&beside, text)?;
            std::fs::rename(&beside, &self.heads)?;
        }
        Ok(())
    }

    /// The release that a digest, the beginning of one, or `NAME` (its last) means.
    pub async fn find(&self, text: &str) -> Outcome<(Digest, Release)> {
        let history = History::of(&self.entries().await?);
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let is_hex = hex.len() >= 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let by_digest = history
            .releases
            .iter()
            .filter(|(digest, _)| is_hex && digest.hex().starts_with(hex));
        let mut found: Vec<&Digest> = by_digest.map(|(digest, _)| digest).collect();
        if found.is_empty() {
            let by_name = history.releases.iter().rev().find(|(_, name)| name == text);
            found.extend(by_name.map(|(digest, _)| digest));
        }
        match found.as_slice() {
            [digest] => Ok(((*digest).clone(), self.releases.get(digest).await.map_err(kept)?)),
            [] => Err(
                Failure::input("stoke::release::unknown", format!("there is no release `{text}`"))
                    .fix("`stoke release list` lists them"),
            ),
            _ => Err(Failure::input(
                "stoke::release::unknown",
                format!("`{text}` begins the digests of several releases"),
            )
            .fix("give more of its digits")),
        }
    }

    /// The parts of a release, with their bytes.
    pub async fn parts(&self, release: &Release) -> Outcome<BTreeMap<Digest, Vec<u8>>> {
        let parts = self.releases.parts(release).await.map_err(kept)?;
        Ok(parts.into_iter().map(|(part, bytes)| (part.digest, bytes)).collect())
    }
}

/// The content of a part.
pub fn content(parts: &BTreeMap<Digest, Vec<u8>>) -> impl Fn(&Part) -> Vec<u8> {
    |part| parts.get(&part.digest).cloned().unwrap_or_default()
}

impl Places {
    /// The environments, none of which may be wrong.
    pub fn read(&self, terminal: &mut Terminal) -> Outcome<Environments> {
        let shown = self.environments.display().to_string();
        let text = std::fs::read_to_string(&self.environments).map_err(|error| {
            Failure::input("stoke::release::environments", format!("{shown}: {error}"))
                .fix("name the file with --environments; `stoke release schema` says what stands in it")
        })?;
        let beside = self.environments.parent().map(PathBuf::from).unwrap_or_default();
        let key = |file: &str| std::fs::read_to_string(beside.join(file)).map_err(|error| error.to_string());
        environment::read(&Source::new(&shown, &text), &key).map_err(|complaints| {
            show(&complaints, terminal);
            Failure::input(
                "stoke::release::environments",
                format!("{shown} has errors; nothing was done"),
            )
            .fix("fix what is shown above")
        })
    }
}

fn all_heads(file: &std::path::Path) -> BTreeMap<String, Head> {
    let text = std::fs::read(file).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Who writes: the user, the machine, the process, and the time it began, which tells processes of one number from each other.
fn writer() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!(
        "{user}@{host} {}.{}",
        std::process::id(),
        jiff::Timestamp::now().as_nanosecond() % 1_000_000_000
    )
}

pub fn show(complaints: &[Diagnostic], terminal: &mut Terminal) {
    for complaint in complaints {
        terminal.note(rendered(complaint, Style::Coloured));
    }
}

pub fn storage(error: StorageError) -> Failure {
    Failure::environment(error.code(), &error).fix(error.fix())
}

pub fn ledger(error: LedgerError) -> Failure {
    let fix = match &error {
        LedgerError::Storage(error) => error.fix(),
        LedgerError::Broken { .. } => {
            "do not promote; compare the ledger with a copy of it, and find who wrote to the place. When it was moved on purpose, remove its line from `ledger-heads.json` in the home"
        }
        LedgerError::Busy(_) | LedgerError::Taken(_) => "give the command again",
    };
    Failure::environment(error.code(), &error).fix(fix)
}

pub fn kept(error: ReleaseError) -> Failure {
    let fix = error.fix().to_owned();
    match error {
        ReleaseError::Registry(error) => oci_failure(error),
        error => Failure::environment(error.code(), &error).fix(fix),
    }
}

/// A ledger is written to by several at once, and none of them may lose an entry: registries replace a tag without asking what it meant.
fn no_ledger(what: &str) -> Failure {
    Failure::input(
        "release-ledger-place",
        format!("{what}: a registry cannot write an entry only where there is none yet"),
    )
    .fix("name a directory or a bucket that all share with `--ledger PLACE`, or STOKE_LEDGER")
}

pub fn diagnostic(diagnostic: Diagnostic, exit: u8) -> Failure {
    Failure {
        diagnostic: Box::new(diagnostic),
        exit,
    }
}
