//! `stoke release publish`, `published`, and the way back of data. The room `release` decides; here it is called and its answer printed.
//! - [`place`]: the table or the versions that an environment names
//! - [`audit`]: data held against their contract

mod audit;
mod place;

use jiff::Timestamp;
use serde_json::{Value, json};
use stoke_diagnostics::Diagnostic;
use stoke_quality::Storage;
use stoke_release::environment::{Data, Environment, Published};
use stoke_release::ledger::{History, Step};
use stoke_release::oci::Digest;
use stoke_release::publish::act::{Command, planned};
use stoke_release::publish::pointer::is_version;
use stoke_release::publish::{Destination, Ended, Key, Seen, Stopped, Target, decide};
use stoke_release::publish::{publish as act_publish, roll_back as act_back};

use super::{Kept, Places, Store, steps};
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal, table};
use audit::{ContractAuditor, contract_of, storage};
use place::Place;

/// Arguments of `stoke release publish`.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 readers see it; 1 it is refused: the audit fails, someone else published in between, it was taken back before; 2 wrong input; 3 it cannot be told:
data or metadata cannot be read, the place does not answer. The command given again goes on where it stopped.")]
pub struct PublishArguments {
    /// The data, as the environment names them
    data: String,
    /// The environment
    #[arg(long = "in", value_name = "ENVIRONMENT")]
    environment: String,
    /// The version that the run wrote, a directory below the place of versions; not for Iceberg tables
    #[arg(long, value_name = "NAME")]
    version: Option<String>,
    /// Where earlier audits are, for what is usual; this one is added: a directory, `s3://…`, `gs://…`, `abfss://…`
    #[arg(long, value_name = "PLACE")]
    history: Option<String>,
    /// Only say what would be done; nothing is audited
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    kept: Kept,
}

/// Arguments of `stoke release published`.
#[derive(clap::Args)]
pub struct PublishedArguments {
    /// The data; then only their location is printed, or the snapshot of a table [default: all of the environment]
    data: Option<String>,
    /// The environment
    #[arg(long = "in", value_name = "ENVIRONMENT")]
    environment: String,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    kept: Kept,
}

fn of<'e>(environment: &'e Environment, name: &str) -> Outcome<&'e Data> {
    let found = environment.data.iter().find(|data| data.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = environment.data.iter().map(|data| data.name.as_str()).collect();
        let failure = Failure::input(
            "stoke::release::environments",
            format!("{} has no data `{name}`", environment.name),
        );
        match names.as_slice() {
            [] => failure.fix("add `data` to the environment; `stoke release schema` says what stands there"),
            names => failure.fix(format!("there are {}", names.join(", "))),
        }
    })
}

/// Runs `stoke release publish`.
pub async fn publish(arguments: PublishArguments, context: &mut Context) -> Outcome<u8> {
    let environments = arguments.places.read(&mut context.terminal)?;
    let environment = steps::named(&environments, &arguments.environment)?;
    let data = of(environment, &arguments.data)?;
    let usage = |message: String, fix: &str| Failure::input("release-data-place", message).fix(fix);
    match (&data.place, &arguments.version) {
        (Published::Versions { place }, None) => {
            let message = format!("which version below {place} is to be published is not said");
            return Err(usage(message, "name it with --version, as the run got it"));
        }
        (Published::Versions { .. }, Some(version)) if !is_version(version) => {
            let message = format!("`{version}` is not a name of a version");
            return Err(usage(
                message,
                "name a directory below the place, without `..` and a first `_` or `.`",
            ));
        }
        (Published::Iceberg { branch, .. }, Some(_)) => {
            let message = format!("what is published of a table is the end of its branch `{branch}`");
            return Err(usage(message, "leave out --version"));
        }
        _ => {}
    }
    let store = arguments.kept.open(context)?;
    let history = History::of(&store.entries().await?);
    let key = Key {
        environment: environment.name.clone(),
        data: data.name.clone(),
    };
    let current = history.place(&environment.name).and_then(|place| place.current());
    let Some(current) = current else {
        let reasons = decide::publish(
            &history,
            &key,
            None,
            None,
            &Digest::of(b""),
            &Seen::default(),
            Timestamp::now(),
        );
        let reasons = reasons.err().unwrap_or_default();
        return Ok(steps::refused(&reasons, &shown(&key), &mut context.terminal));
    };
    let (contract, digest) = contract_of(&store, current, data, &mut context.terminal).await?;
    let wanted = arguments.version.as_deref();
    let mut place = Place::open(data, wanted).await?;
    if arguments.plan {
        let seen = place.look().await.map_err(|why| super::diagnostic(why, 3))?;
        let next = decide::publish(&history, &key, None, wanted, &digest, &seen, Timestamp::now());
        return Ok(plan(next, Step::Promote, &seen, &key, &mut context.terminal));
    }
    let known = store.known.clone();
    let history_place = arguments.history.as_deref().map(storage).transpose()?;
    if let Some(directory) = history_place.as_ref().and_then(Storage::local_path) {
        std::fs::create_dir_all(directory)?;
    }
    let mut auditor = ContractAuditor {
        place: Place::open(data, wanted).await?,
        contract,
        digest,
        history: history_place,
        store: &store,
        home: context.home.clone(),
        terminal: &mut context.terminal,
        failure: None,
        report: Value::Null,
    };
    let command = Command {
        ledger: &store.ledger,
        known: known.as_ref(),
        clock: &Timestamp::now,
        key: key.clone(),
    };
    let ended = act_publish(&command, wanted, &mut place, &mut auditor).await;
    let (report, failure) = (auditor.report, auditor.failure);
    if let Some(failure) = failure {
        return Err(failure);
    }
    let audited = match report.is_null() {
        true => Value::Null,
        false => json!({"verdict": report["verdict"], "rows": report["data"]["rows"], "checks": report["checks"]}),
    };
    match ended {
        Ok(ended) => {
            let mut said = of_end(&ended, &key, &place, Step::Promote);
            said["audit"] = audited;
            store.remember(&ended.entries)?;
            print(&[said], context);
            Ok(0)
        }
        Err(Stopped::Refused(reasons)) => Ok(steps::refused(&reasons, &shown(&key), &mut context.terminal)),
        Err(Stopped::NotDone(why)) => Err(super::diagnostic(*why, 3)),
        Err(Stopped::Ledger(error)) => Err(super::ledger(error)),
    }
}

fn shown(key: &Key) -> String {
    format!("{} of {}", key.data, key.environment)
}

fn of_end(ended: &Ended, key: &Key, place: &Place, step: Step) -> Value {
    json!({
        "environment": key.environment,
        "data": key.data,
        "step": step,
        "done": true,
        "changed": ended.changed,
        "version": ended.version,
        "location": ended.version.as_deref().map(|version| place.location(version)),
        "before": ended.before,
        "givenUp": ended.given_up,
    })
}

/// Says what would be done.
fn plan(
    next: Result<decide::Next, Vec<Diagnostic>>,
    step: Step,
    seen: &Seen,
    key: &Key,
    terminal: &mut Terminal,
) -> u8 {
    match next {
        Err(reasons) => steps::refused(&reasons, &shown(key), terminal),
        Ok(next) => {
            let said = of_plan(&next, step, seen, key);
            match terminal.format() {
                Format::Json => terminal.json(&said),
                Format::Text => terminal.out(words(&said)),
            }
            0
        }
    }
}

fn of_plan(next: &decide::Next, step: Step, seen: &Seen, key: &Key) -> Value {
    let plan = planned(next, step, seen);
    json!({
        "environment": key.environment,
        "data": key.data,
        "step": step,
        "done": false,
        "changed": plan.to.is_some() || plan.resumes,
        "version": plan.to.or_else(|| seen.current.clone()),
        "before": plan.from,
        "resumes": plan.resumes,
        "audits": plan.audits,
    })
}

/// One end, or what would be done, in a line.
fn words(said: &Value) -> String {
    let text = |key: &str| said[key].as_str().unwrap_or("nothing").to_owned();
    let of = format!("{} of {}", text("data"), text("environment"));
    if let Some(why) = said["givenUp"].as_str() {
        return format!(
            "{of}: readers see {} as before; the publication that was begun is given up: {why}",
            text("version")
        );
    }
    let (done, changed) = (said["done"] == true, said["changed"] == true);
    let place = match said["location"].as_str().filter(|at| **at != text("version")) {
        Some(at) => format!("{} ({at})", text("version")),
        None => text("version"),
    };
    match (done, changed) {
        (_, false) => format!("{of}: readers see {place} already"),
        (true, true) => format!("{of}: readers see {place}, and saw {} before", text("before")),
        (false, true) if said["resumes"] == true => {
            format!("{of}: what was begun would be brought to its end: {place}")
        }
        (false, true) if said["audits"] == true => {
            format!(
                "{of}: {place} would be audited, and published if it is as its contract says; readers see {}",
                text("before")
            )
        }
        (false, true) => format!("{of}: readers would see {place} instead of {}", text("before")),
    }
}

/// Prints ends: lines, or one JSON value.
pub fn print(ends: &[Value], context: &mut Context) {
    let terminal = &mut context.terminal;
    match (terminal.format(), ends) {
        (Format::Json, [one]) => terminal.json(one),
        (Format::Json, many) => terminal.json(&many),
        // Reasons were shown when they were known.
        (Format::Text, _) => ends
            .iter()
            .filter(|said| said["refused"].is_null())
            .for_each(|said| terminal.out(words(said))),
    }
}

/// The way back of data.
pub struct DataRollback<'a> {
    pub environment: &'a Environment,
    pub store: &'a Store,
    pub only_plan: bool,
}

impl DataRollback<'_> {
    /// Takes several back, one after the other; one that is refused does not hold up the others. The greatest exit code, and how each ended.
    pub async fn all(&self, names: &[String], target: &Target, context: &mut Context) -> Outcome<(u8, Vec<Value>)> {
        let (mut worst, mut ends) = (0, Vec::new());
        for name in names {
            let data = of(self.environment, name)?;
            match self.one(data, target).await? {
                Ok(said) => ends.push(said),
                Err(reasons) => {
                    worst = worst.max(steps::code(&reasons));
                    let key = self.key(data);
                    if context.terminal.format() == Format::Text {
                        steps::refused(&reasons, &shown(&key), &mut context.terminal);
                    }
                    ends.push(json!({
                        "environment": key.environment, "data": key.data, "step": Step::Rollback,
                        "done": false, "changed": false, "refused": reasons,
                    }));
                }
            }
        }
        Ok((worst, ends))
    }

    fn key(&self, data: &Data) -> Key {
        Key {
            environment: self.environment.name.clone(),
            data: data.name.clone(),
        }
    }

    /// How it ended, or what speaks against it.
    async fn one(&self, data: &Data, target: &Target) -> Outcome<Result<Value, Vec<Diagnostic>>> {
        let key = self.key(data);
        // What no release published is nothing to take back with it.
        if let Target::BeforeRelease(_) = target {
            let history = History::of(&self.store.entries().await?);
            if history.data(&key.environment, &key.data).is_none() {
                return Ok(Ok(
                    json!({"environment": key.environment, "data": key.data, "step": Step::Rollback, "done": !self.only_plan, "changed": false}),
                ));
            }
        }
        let mut place = Place::open(data, None).await?;
        if self.only_plan {
            let history = History::of(&self.store.entries().await?);
            let seen = place.look().await.map_err(|why| super::diagnostic(why, 3))?;
            let next = decide::roll_back(&history, &key, target, &seen, Timestamp::now());
            return Ok(next.map(|next| of_plan(&next, Step::Rollback, &seen, &key)));
        }
        let known = self.store.known.clone();
        let command = Command {
            ledger: &self.store.ledger,
            known: known.as_ref(),
            clock: &Timestamp::now,
            key: key.clone(),
        };
        match act_back(&command, target, &mut place).await {
            Ok(ended) => {
                self.store.remember(&ended.entries)?;
                Ok(Ok(of_end(&ended, &key, &place, Step::Rollback)))
            }
            Err(Stopped::Refused(reasons)) => Ok(Err(reasons)),
            Err(Stopped::NotDone(why)) => Err(super::diagnostic(*why, 3)),
            Err(Stopped::Ledger(error)) => Err(super::ledger(error)),
        }
    }
}

/// Runs `stoke release published`.
pub async fn published(arguments: PublishedArguments, context: &mut Context) -> Outcome<u8> {
    let environments = arguments.places.read(&mut context.terminal)?;
    let environment = steps::named(&environments, &arguments.environment)?;
    let store = arguments.kept.open(context)?;
    let history = History::of(&store.entries().await?);
    let wanted: Vec<&Data> = match &arguments.data {
        Some(name) => vec![of(environment, name)?],
        None => environment.data.iter().collect(),
    };
    let mut all = Vec::new();
    let mut rows = vec![
        ["DATA", "READERS SEE", "RELEASE", "SINCE", "LOCATION"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for data in wanted {
        let mut place = Place::open(data, None).await?;
        let seen = place.look().await.map_err(|why| super::diagnostic(why, 3))?;
        let known = history.data(&environment.name, &data.name);
        let open = known.and_then(|known| known.open.as_ref());
        let known = known.and_then(|known| known.current());
        let known = known.filter(|known| Some(&known.version) == seen.current.as_ref());
        if let (Some(version), Some(known)) = (&seen.current, known) {
            let whole = place.is_whole(version, known.seal.as_ref()).await;
            whole.map_err(|why| super::diagnostic(why, 1))?;
        }
        if seen.current.is_some() && known.is_none() {
            context.terminal.note(format!(
                "{}: this ledger did not publish what readers see: it was not audited here",
                data.name
            ));
        }
        let location = seen.current.as_deref().map(|version| place.location(version));
        rows.push(vec![
            data.name.clone(),
            seen.current.clone().unwrap_or_else(|| "nothing".to_owned()),
            known
                .and_then(|known| known.release.as_ref())
                .map(|release| release.short().to_owned())
                .unwrap_or_default(),
            known.map(|known| known.from.to_string()).unwrap_or_default(),
            location.clone().unwrap_or_default(),
        ]);
        all.push(
            json!({"data": data.name, "version": seen.current, "location": location, "known": known, "open": open}),
        );
    }
    let terminal = &mut context.terminal;
    match (terminal.format(), &arguments.data, all.as_slice()) {
        (Format::Json, Some(_), [one]) => terminal.json(one),
        (Format::Json, ..) => terminal.json(&all),
        (Format::Text, Some(name), [one]) => match one["location"].as_str() {
            Some(location) => terminal.out(location),
            None => {
                return Err(
                    Failure::new("release-data-no-good", format!("{name}: nothing was published yet"), 1)
                        .fix("`stoke release publish` publishes what a run wrote"),
                );
            }
        },
        (Format::Text, ..) => table(&rows).into_iter().for_each(|line| terminal.out(line)),
    }
    Ok(0)
}
