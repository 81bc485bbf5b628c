//! `stoke runbook`: list, show and run runbooks; go on with a run, or undo it.

mod parameters;
mod person;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use stoke_laptop::object_store;
use stoke_laptop::runbook::{Edge, Ended, Journal, Secrets, go_on, journal, run as runs, start};
use stoke_laptop::session::{self, Place, Session};
use stoke_model::manifest::nearest;
use stoke_observe::runbook::{Ending, Entry, Record, Runbook, all, find, given, page};

use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal, bold, dim, table};
use parameters::{Given, Parameters};
use person::Prompt;

/// Between two looks at what is waited for.
const POLL: Duration = Duration::from_secs(1);
/// Exit code when a person has to do something before it goes on.
const PAUSED: u8 = 4;

/// What can be done with runbooks.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the runbooks
    List,
    /// Show a runbook: what it is for, what it takes, its steps and how they are undone
    Show {
        /// Its name
        name: String,
    },
    /// Run a runbook
    #[command(after_help = "\
Exit code: 0 what was wrong is gone, or nothing was; 1 it is not, or another runbook is the right one; 2 wrong input; 3 the cluster
or a right is missing; 4 it waits for you to do something, then `stoke runbook resume RECORD`.")]
    Run(Box<RunArguments>),
    /// Go on with a run that was killed, ended without success, or waits for you
    Resume(Box<ResumeArguments>),
    /// Undo what a run changed, the last first; what someone changed since stays
    Undo(UndoArguments),
    /// List records of runs, or show one
    Records {
        /// Its id
        record: Option<String>,
    },
}

#[derive(clap::Args)]
pub struct RunArguments {
    /// Its name
    name: String,
    /// Check, and have the API server try each change, without changing anything
    #[arg(long)]
    dry_run: bool,
    /// Agree to every change
    #[arg(long)]
    yes: bool,
    /// Begin another record, also when one of the same input was left unfinished
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    parameters: Parameters,
    #[command(flatten)]
    target: Target,
}

#[derive(clap::Args)]
pub struct ResumeArguments {
    /// Id of the record
    record: String,
    /// Agree to every change
    #[arg(long)]
    yes: bool,
    /// The file with secret values, where they are still to be written
    #[arg(long, value_name = "FILE")]
    values: Option<std::path::PathBuf>,
    #[command(flatten)]
    target: Target,
}

#[derive(clap::Args)]
pub struct UndoArguments {
    /// Id of the record
    record: String,
    /// Agree to it
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    match command {
        Command::List => list(&mut context.terminal),
        Command::Show { name } => show(named(&name)?, &mut context.terminal),
        Command::Run(arguments) => return begin(*arguments, context).await,
        Command::Resume(arguments) => return resume(*arguments, context).await,
        Command::Undo(arguments) => return undo(arguments, context).await,
        Command::Records { record } => records(record.as_deref(), context)?,
    }
    Ok(0)
}

fn named(name: &str) -> Outcome<&'static Runbook> {
    find(name).ok_or_else(|| {
        let near = all()
            .iter()
            .map(|book| book.name)
            .filter(|book| book.contains(name) || name.contains(book));
        let slip = nearest(name, all().iter().map(|book| book.name));
        let near: BTreeSet<&str> = near.chain(slip).collect();
        let near: Vec<&str> = near.into_iter().collect();
        let fix = match near.as_slice() {
            [] => "`stoke runbook list` lists them".to_owned(),
            near => format!("perhaps {}", near.join(" or ")),
        };
        Failure::input("stoke::runbook::unknown", format!("there is no runbook {name}")).fix(fix)
    })
}

fn summary(book: &Runbook) -> Value {
    let parameter = |parameter: &stoke_observe::runbook::Parameter| {
        json!({"name": parameter.name, "what": parameter.what, "found": parameter.found,
               "required": parameter.need == stoke_observe::runbook::Need::Always})
    };
    let step = |step: &stoke_observe::runbook::Step| json!({"name": step.name, "does": step.does.name(), "what": step.what, "only": step.only});
    json!({
        "name": book.name, "title": book.title, "when": book.when, "codes": book.codes,
        "page": format!("docs/runbooks/{}.md", book.name),
        "parameters": book.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "steps": book.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn list(terminal: &mut Terminal) {
    if terminal.format() == Format::Json {
        let all: Vec<Value> = all().iter().map(|book| summary(book)).collect();
        return terminal.json(&json!({ "runbooks": all }));
    }
    let mut rows = vec![vec!["RUNBOOK".to_owned(), "FOR".to_owned()]];
    rows.extend(
        all()
            .iter()
            .map(|book| vec![book.name.to_owned(), book.title.to_owned()]),
    );
    for line in table(&rows) {
        terminal.out(line);
    }
}

fn show(book: &Runbook, terminal: &mut Terminal) {
    match terminal.format() {
        Format::Json => terminal.json(&summary(book)),
        Format::Text => terminal.out(page::page(book, &page::drills(book)).trim_end()),
    }
}

/// A session on the cluster that is meant, and its name for the record.
async fn open(target: &Target, context: &Context) -> Outcome<(Session, String)> {
    let session = session::open(&context.home, &target.cluster()).await?;
    let cluster = match &session.place {
        Place::Context(name) => name.clone(),
        Place::Up | Place::Private(_) => "the embedded cluster".to_owned(),
    };
    Ok((session, cluster))
}

fn who() -> String {
    std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned())
}

async fn begin(arguments: RunArguments, context: &mut Context) -> Outcome<u8> {
    let book = named(&arguments.name)?;
    let Given { values, secrets } = arguments.parameters.read()?;
    let keys: Vec<String> = secrets.0.keys().cloned().collect();
    let wrong = |wrong: Vec<String>| {
        Failure::input("stoke::runbook::parameter", wrong.join("\n"))
            .fix(format!("`stoke runbook show {}` says what it takes", book.name))
    };
    // What is wrong with the input is said before a cluster is asked for.
    given::input(book, "", values.clone(), keys.clone()).map_err(wrong)?;
    let (session, cluster) = open(&arguments.target, context).await?;
    let input = given::input(book, &session.namespace, values, keys).map_err(wrong)?;
    let left = journal::all(&context.home)?.into_iter().find(|record| {
        let same = record
            .opening()
            .is_some_and(|(_, name, before)| name == book.name && *before == input);
        same && record.ending().is_none()
    });
    let mut person = Prompt::new(arguments.yes, &mut context.terminal);
    let mut journal = match left.filter(|_| !arguments.new && !arguments.dry_run) {
        Some(record) => {
            let id = record.opening().map(|(id, ..)| id.to_owned()).unwrap_or_default();
            if let Some(step) = record.paused_at() {
                person.note(format!("record {id} waits for you at {step}"));
                return Ok(finish(
                    book,
                    &record,
                    &Ended::Paused(static_step(book, step)),
                    &mut context.terminal,
                ));
            }
            person.note(format!(
                "record {id} was left unfinished: it goes on; --new begins another"
            ));
            let mut journal = Journal::open(&context.home, &id)?;
            runs::resume(&mut journal, &mut person, &who())?;
            journal
        }
        None => {
            let around = runs::Circumstances {
                cluster,
                who: who(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                dry_run: arguments.dry_run,
            };
            start(book, &context.home, input, around)?
        }
    };
    follow(book, &mut journal, &session, secrets, context, arguments.yes).await
}

/// The step's name as the runbook has it.
fn static_step(book: &'static Runbook, step: &str) -> &'static str {
    book.step(step).map_or("", |step| step.name)
}

async fn follow(
    book: &'static Runbook,
    journal: &mut Journal,
    session: &Session,
    secrets: Secrets,
    context: &mut Context,
    yes: bool,
) -> Outcome<u8> {
    let edge = Edge {
        session,
        home: &context.home,
        access: object_store::reach_any(&context.home).await?,
        secrets,
    };
    let mut person = Prompt::new(yes, &mut context.terminal);
    let ended = go_on(book, journal, &edge, &mut person, POLL).await?;
    Ok(finish(book, journal.record(), &ended, &mut context.terminal))
}

async fn resume(arguments: ResumeArguments, context: &mut Context) -> Outcome<u8> {
    let secrets = parameters::secrets(arguments.values.as_deref())?;
    let mut journal = Journal::open(&context.home, &arguments.record)?;
    let book = book_of(journal.record())?;
    if let Some((ending, says)) = journal.record().ending()
        && ending.is_final()
    {
        return Err(Failure::input(
            "stoke::runbook::ended",
            format!("record {} has ended: {}, {says}", arguments.record, ending.words()),
        )
        .fix("run the runbook again, or undo the record"));
    }
    let (session, _) = open(&target_of(journal.record(), arguments.target), context).await?;
    let mut person = Prompt::new(arguments.yes, &mut context.terminal);
    runs::resume(&mut journal, &mut person, &who())?;
    follow(book, &mut journal, &session, secrets, context, arguments.yes).await
}

fn book_of(record: &Record) -> Outcome<&'static Runbook> {
    named(record.opening().map(|(_, book, _)| book).unwrap_or_default())
}

/// The cluster of a record, unless the command line names one.
fn target_of(record: &Record, mut target: Target) -> Target {
    if let (None, Some(Entry::Opened { cluster, .. })) = (&target.context, record.entries.first())
        && cluster != "the embedded cluster"
    {
        target.context = Some(cluster.clone());
    }
    target
}

async fn undo(arguments: UndoArguments, context: &mut Context) -> Outcome<u8> {
    let mut journal = Journal::open(&context.home, &arguments.record)?;
    let book = book_of(journal.record())?;
    let (session, _) = open(&target_of(journal.record(), arguments.target), context).await?;
    let Some((step, _, way_back)) = stoke_observe::runbook::undo(book, journal.record()) else {
        context
            .terminal
            .note("nothing of it can be undone, or all of it is undone already");
        return Ok(0);
    };
    let mut person = Prompt::new(arguments.yes, &mut context.terminal);
    if !person.consents(&format!(
        "undo record {}, beginning with {step}: {}",
        arguments.record,
        way_back.words()
    ))? {
        person.note("nothing was changed".to_owned());
        return Ok(1);
    }
    let edge = Edge {
        session: &session,
        home: &context.home,
        access: object_store::reach_any(&context.home).await?,
        secrets: Secrets::default(),
    };
    let count = runs::undo(book, &mut journal, &edge, &mut person).await?;
    match context.terminal.format() {
        Format::Json => context.terminal.json(&answer(journal.record(), None)),
        Format::Text => context.terminal.out(format!("{count} undone")),
    }
    Ok(0)
}

/// A record as JSON.
fn answer(record: &Record, paused: Option<&str>) -> Value {
    let (id, book, input) = match record.opening() {
        Some((id, book, input)) => (id, book, json!(input)),
        None => ("", "", Value::Null),
    };
    let (ending, says) = match record.ending() {
        Some((ending, says)) => (json!(ending), says),
        None => (Value::Null, ""),
    };
    json!({
        "record": id, "runbook": book, "input": input, "ending": ending, "says": says, "paused": paused,
        "opened": record.opened(), "changed": record.changed(), "entries": record.entries,
    })
}

fn finish(book: &Runbook, record: &Record, ended: &Ended, terminal: &mut Terminal) -> u8 {
    let paused = match ended {
        Ended::Paused(step) => Some(*step),
        Ended::Done(_) => None,
    };
    let id = record.opening().map(|(id, ..)| id).unwrap_or_default();
    match (terminal.format(), paused) {
        (Format::Json, _) => terminal.json(&answer(record, paused)),
        (Format::Text, Some(step)) => {
            let what = book.step(step).map_or("", |step| step.what);
            terminal.out(format!("{}: {what}", bold("now you")));
            terminal.out(format!("then: stoke runbook resume {id}"));
        }
        (Format::Text, None) => {
            let (ending, says) = record.ending().unwrap_or((Ending::Failed, ""));
            terminal.out(format!("{}: {says}", bold(ending.words())));
            if !record.is_dry() {
                terminal.note(dim(format!("record {id}")));
            }
        }
    }
    match ended {
        Ended::Paused(_) => PAUSED,
        Ended::Done(ending) => u8::from(!ending.is_good()),
    }
}

fn records(id: Option<&str>, context: &mut Context) -> Outcome<()> {
    let records = journal::all(&context.home)?;
    if let Some(id) = id {
        let found = records
            .iter()
            .find(|record| record.opening().is_some_and(|(known, ..)| known == id));
        let found = found.ok_or_else(|| {
            Failure::input("stoke::runbook::no-record", format!("there is no record {id}"))
                .fix("`stoke runbook records` lists those there are")
        })?;
        match context.terminal.format() {
            Format::Json => context.terminal.json(&answer(found, found.paused_at())),
            Format::Text => {
                for line in found.entries.iter().filter_map(person::line) {
                    context.terminal.out(line);
                }
            }
        }
        return Ok(());
    }
    if context.terminal.format() == Format::Json {
        let all: Vec<Value> = records
            .iter()
            .map(|record| answer(record, record.paused_at()))
            .collect();
        context.terminal.json(&json!({ "records": all }));
        return Ok(());
    }
    let mut rows = vec![["RECORD", "OPENED", "STATE"].map(str::to_owned).to_vec()];
    for record in &records {
        let state = match (record.ending(), record.paused_at()) {
            (Some((ending, _)), _) => ending.words().to_owned(),
            (None, Some(step)) => format!("waits for you at {step}"),
            (None, None) => "unfinished".to_owned(),
        };
        let id = record.opening().map(|(id, ..)| id.to_owned()).unwrap_or_default();
        let opened = record
            .opened()
            .map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
            .unwrap_or_default();
        rows.push(vec![id, opened, state]);
    }
    if records.is_empty() {
        context
            .terminal
            .note("no runbook was run from here yet; begin with `stoke runbook list`");
        return Ok(());
    }
    for line in table(&rows) {
        context.terminal.out(line);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_lead_to_a_runbook_exist() {
        let registry = crate::codes::registry();
        for book in all() {
            for code in book.codes {
                assert!(registry.find(code).is_some(), "{}: {code}", book.name);
            }
        }
    }

    #[test]
    fn the_command_of_a_page_is_understood() {
        use clap::Parser;
        for book in all() {
            let command = page::command(book);
            assert!(crate::cli::Cli::try_parse_from(command.split(' ')).is_ok(), "{command}");
        }
    }
}
