//! `stoke release record`, `approve`, `promote`, `rollback`, `status`.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_release::environment::{Environment, Environments};
use stoke_release::evidence::PrivateKey;
use stoke_release::ledger::act::{Stopped, carry_out};
use stoke_release::ledger::keep::LedgerError;
use stoke_release::ledger::{
    Entry, Event, Facts, History, Plan, Standing, Verdict, approval, promote as may_promote, rollback as may_roll_back,
};
use stoke_release::oci::Digest;
use stoke_release::publish::Target;
use stoke_release::{ab, shadow};

use super::deliver::Deliverer;
use super::{Kept, Places, Store, publish, show};
use crate::cli::Context;
use crate::commands::slo;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal, table};

/// Arguments of `stoke release record`.
#[derive(clap::Args)]
pub struct RecordArguments {
    /// The release: its digest, the beginning of it, or its name
    release: String,
    /// Name of the gate, as environments name it
    #[arg(long, value_name = "NAME")]
    gate: String,
    /// What it said
    #[arg(long, value_enum)]
    verdict: Answer,
    /// File that shows it, for example a comparison of data; it is kept with the release
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    #[command(flatten)]
    kept: Kept,
}

/// A verdict.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Answer {
    Pass,
    Fail,
}

/// Arguments of `stoke release approve`.
#[derive(clap::Args)]
pub struct ApproveArguments {
    /// The release: its digest, the beginning of it, or its name
    release: String,
    /// The environment
    #[arg(long = "in", value_name = "ENVIRONMENT")]
    environment: String,
    /// Your private key; its password is in COSIGN_PASSWORD
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Let it stand in for soak time and gates as well, where the environment allows that; never for where a release comes from
    #[arg(long)]
    skip_verification: bool,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    kept: Kept,
}

/// Arguments of `stoke release promote`.
#[derive(clap::Args)]
pub struct PromoteArguments {
    /// The release: its digest, the beginning of it, or its name
    #[arg(required_unless_present = "auto", conflicts_with = "auto")]
    release: Option<String>,
    /// The environment
    #[arg(long = "to", value_name = "ENVIRONMENT", required_unless_present = "auto")]
    environment: Option<String>,
    /// Promote what is allowed to every environment that is `automatic`
    #[arg(long)]
    auto: bool,
    /// Only say what would be done
    #[arg(long)]
    plan: bool,
    /// Objectives whose error budgets are asked, where the environment wants that
    #[arg(long, value_name = "FILE")]
    objectives: Vec<PathBuf>,
    /// The release repairs what spent the budget
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    sources: slo::Sources,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    kept: Kept,
}

/// Arguments of `stoke release rollback`.
#[derive(clap::Args)]
pub struct RollbackArguments {
    /// The environment
    #[arg(long = "in", value_name = "ENVIRONMENT")]
    environment: String,
    /// Let readers of these data see what they saw before, and leave the release where it is; can be given again
    #[arg(long, value_name = "NAME")]
    data: Vec<String>,
    /// The version that they are to see: number of a snapshot, name of a version [default: the last one that was not taken back]
    #[arg(long, value_name = "VERSION", requires = "data")]
    version: Option<String>,
    /// First take back all data that the release published, then go back to the release before
    #[arg(long, conflicts_with = "data")]
    with_data: bool,
    /// Only say what would be done
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    kept: Kept,
}

/// Arguments of `stoke release status`.
#[derive(clap::Args)]
pub struct StatusArguments {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    kept: Kept,
}

/// Runs `stoke release record`.
pub async fn record(arguments: RecordArguments, context: &mut Context) -> Outcome<u8> {
    let store = arguments.kept.open(context)?;
    let (release, _) = store.find(&arguments.release).await?;
    let mut against = None;
    let evidence = match &arguments.evidence {
        Some(file) => {
            let bytes = std::fs::read(file).map_err(|error| {
                Failure::input("stoke::release::file", format!("{}: {error}", file.display()))
                    .fix("name a file that can be read")
            })?;
            if let Some(comparison) = comparison(&arguments.gate, &bytes, &release)? {
                if matches!(arguments.verdict, Answer::Pass) != comparison.passes {
                    return Err(
                        Failure::input(comparison.code, format!("the record says `{}`", comparison.words))
                            .fix("give the verdict that stands in the record"),
                    );
                }
                against = Some(comparison.against);
            }
            let digest = Digest::of(&bytes);
            store
                .releases
                .put_evidence(&digest, &bytes)
                .await
                .map_err(super::kept)?;
            Some(digest)
        }
        None => None,
    };
    let verdict = match arguments.verdict {
        Answer::Pass => Verdict::Pass,
        Answer::Fail => Verdict::Fail,
    };
    let event = Event::Verified {
        release: release.clone(),
        gate: arguments.gate.clone(),
        verdict,
        evidence,
        against,
    };
    add(&store, &event).await?;
    context.terminal.out(format!(
        "{} of {}: {}",
        arguments.gate,
        release.short(),
        super::look::word(&verdict)
    ));
    Ok(0)
}

/// What the record of a gate that compares releases says.
struct Comparison {
    /// The code of a record that is not what it should be.
    code: &'static str,
    passes: bool,
    words: &'static str,
    against: Digest,
}

/// Reads the record of a gate that compares releases; none of another gate.
fn comparison(gate: &str, bytes: &[u8], release: &Digest) -> Outcome<Option<Comparison>> {
    let wrong = |reason: Box<Diagnostic>| super::diagnostic(*reason, 2);
    Ok(match gate {
        shadow::GATE => {
            let record = shadow::Record::read(bytes, release).map_err(wrong)?;
            Some(Comparison {
                code: "release-shadow-record",
                passes: record.verdict.passes(),
                words: record.verdict.words(),
                against: record.against,
            })
        }
        ab::GATE => {
            let record = ab::Record::read(bytes, release).map_err(wrong)?;
            Some(Comparison {
                code: "release-ab-record",
                passes: record.verdict.passes(),
                words: record.verdict.words(),
                against: record.against,
            })
        }
        _ => None,
    })
}

/// Adds what a comparison of two releases came to, with the digest of its record.
pub async fn compared(
    store: &Store,
    gate: &str,
    (release, against): (&Digest, &Digest),
    verdict: Verdict,
    evidence: &Digest,
) -> Outcome<()> {
    let event = Event::Verified {
        release: release.clone(),
        gate: gate.to_owned(),
        verdict,
        evidence: Some(evidence.clone()),
        against: Some(against.clone()),
    };
    add(store, &event).await
}

pub async fn add(store: &Store, event: &Event) -> Outcome<()> {
    let known = store.known.as_ref();
    let entries = store
        .ledger
        .record::<LedgerError>(known, |_| Ok(Some((event.clone(), Timestamp::now()))))
        .await
        .map_err(super::ledger)?;
    store.remember(&entries)
}

/// Runs `stoke release approve`.
pub async fn approve(arguments: ApproveArguments, context: &mut Context) -> Outcome<u8> {
    let environments = arguments.places.read(&mut context.terminal)?;
    let environment = named(&environments, &arguments.environment)?;
    let Some(approvals) = &environment.approvals else {
        return Err(Failure::input(
            "stoke::release::approval",
            format!("{} asks for no approvals", environment.name),
        )
        .fix("promote; nothing waits for an approval there"));
    };
    let text = std::fs::read_to_string(&arguments.key).map_err(|error| {
        Failure::input("stoke::release::file", format!("{}: {error}", arguments.key.display()))
            .fix("name the file of your private key")
    })?;
    let password = std::env::var("COSIGN_PASSWORD").ok();
    let key = PrivateKey::from_pem(&text, password.as_deref().map(str::as_bytes))
        .map_err(|error| super::diagnostic(error.into(), 2))?;
    let pem = key.public().to_pem();
    let Some(person) = approvals.keys.iter().find(|one| one.public_key == pem) else {
        return Err(Failure::input(
            "stoke::release::approval",
            format!("{}: the key is not one of those that approve", environment.name),
        )
        .fix("approve with the key of a person that the environment names"));
    };
    if arguments.skip_verification && !approvals.may_skip_verification {
        return Err(Failure::input(
            "stoke::release::approval",
            format!("{} lets no approval stand in for soak time and gates", environment.name),
        )
        .fix("leave out --skip-verification"));
    }
    let store = arguments.kept.open(context)?;
    let (release, _) = store.find(&arguments.release).await?;
    let bundle = approval::sign(&release, environment, arguments.skip_verification, &key)
        .and_then(|bundle| bundle.to_json())
        .map_err(|error| super::diagnostic(error.into(), 3))?;
    add(
        &store,
        &Event::Approved {
            release: release.clone(),
            environment: environment.name.clone(),
            bundle,
        },
    )
    .await?;
    context.terminal.out(format!(
        "{} approves {} for {}",
        person.name,
        release.short(),
        environment.name
    ));
    Ok(0)
}

pub fn named<'a>(environments: &'a Environments, name: &str) -> Outcome<&'a Environment> {
    environments.get(name).ok_or_else(|| {
        let names: Vec<&str> = environments.names().collect();
        Failure::input(
            "stoke::release::environments",
            format!("there is no environment `{name}`"),
        )
        .fix(format!("there are {}", names.join(", ")))
    })
}

/// Runs `stoke release promote`.
pub async fn promote(arguments: PromoteArguments, context: &mut Context) -> Outcome<u8> {
    let environments = arguments.places.read(&mut context.terminal)?;
    let store = arguments.kept.open(context)?;
    let budget = match arguments.objectives.is_empty() {
        true => None,
        false => Some(slo::against(arguments.objectives.clone(), &arguments.sources, false, context).await?),
    };
    let facts = Facts {
        budget,
        repair: arguments.repair,
    };
    if arguments.auto {
        return automatic(&arguments, &environments, &store, &facts, context).await;
    }
    let (Some(release), Some(target)) = (&arguments.release, &arguments.environment) else {
        return Err(
            Failure::input("stoke::release::unknown", "a release and an environment are wanted")
                .fix("name both, or write --auto"),
        );
    };
    let (release, _) = store.find(release).await?;
    let decide = |history: &History| may_promote(history, &environments, &release, target, Timestamp::now(), &facts);
    go(&store, &environments, target, arguments.plan, decide, context).await
}

/// The newest release that may go to each automatic environment, in the order of the file.
async fn automatic(
    arguments: &PromoteArguments,
    environments: &Environments,
    store: &Store,
    facts: &Facts,
    context: &mut Context,
) -> Outcome<u8> {
    let mut worst = 0;
    for environment in environments
        .environments
        .iter()
        .filter(|environment| environment.automatic)
    {
        let history = History::of(&store.entries().await?);
        let candidate = candidate(&history, environments, environment, facts);
        let Some(release) = candidate else {
            context
                .terminal
                .note(format!("{}: nothing to promote", environment.name));
            continue;
        };
        let decide = |history: &History| {
            may_promote(
                history,
                environments,
                &release,
                &environment.name,
                Timestamp::now(),
                facts,
            )
        };
        worst = worst.max(go(store, environments, &environment.name, arguments.plan, decide, context).await?);
    }
    Ok(worst)
}

/// The newest release that is newer than the current one and may be promoted.
fn candidate(
    history: &History,
    environments: &Environments,
    environment: &Environment,
    facts: &Facts,
) -> Option<Digest> {
    let current = history.place(&environment.name).and_then(|place| place.current());
    let mut newer = history
        .releases
        .iter()
        .rev()
        .map(|(release, _)| release)
        .take_while(|release| Some(*release) != current);
    newer
        .find(|release| {
            may_promote(
                history,
                environments,
                release,
                &environment.name,
                Timestamp::now(),
                facts,
            )
            .is_ok()
        })
        .cloned()
}

/// Runs `stoke release rollback`.
pub async fn rollback(arguments: RollbackArguments, context: &mut Context) -> Outcome<u8> {
    let environments = arguments.places.read(&mut context.terminal)?;
    let store = arguments.kept.open(context)?;
    let target = arguments.environment.as_str();
    let environment = named(&environments, target)?;
    if !arguments.data.is_empty() {
        let to = match arguments.version {
            Some(version) => Target::Version(version),
            None => Target::Before,
        };
        let back = publish::DataRollback {
            environment,
            store: &store,
            only_plan: arguments.plan,
        };
        let (code, ends) = back.all(&arguments.data, &to, context).await?;
        publish::print(&ends, context);
        return Ok(code);
    }
    let mut worst = 0;
    let mut ends = Vec::new();
    if arguments.with_data {
        let history = History::of(&store.entries().await?);
        if let Some(release) = history.place(target).and_then(|place| place.current()) {
            let back = publish::DataRollback {
                environment,
                store: &store,
                only_plan: arguments.plan,
            };
            let names: Vec<String> = environment.data.iter().map(|data| data.name.clone()).collect();
            (worst, ends) = back
                .all(&names, &Target::BeforeRelease(release.clone()), context)
                .await?;
        }
    }
    let decide = |history: &History| may_roll_back(history, &environments, target, Timestamp::now());
    let code = go_with(&store, &environments, target, arguments.plan, decide, &ends, context).await?;
    Ok(worst.max(code))
}

async fn go(
    store: &Store,
    environments: &Environments,
    target: &str,
    only_plan: bool,
    decide: impl FnMut(&History) -> Result<Plan, Vec<Diagnostic>>,
    context: &mut Context,
) -> Outcome<u8> {
    go_with(store, environments, target, only_plan, decide, &[], context).await
}

async fn go_with(
    store: &Store,
    environments: &Environments,
    target: &str,
    only_plan: bool,
    decide: impl FnMut(&History) -> Result<Plan, Vec<Diagnostic>>,
    data: &[Value],
    context: &mut Context,
) -> Outcome<u8> {
    let mut decide = decide;
    if only_plan {
        let history = History::of(&store.entries().await?);
        return match decide(&history) {
            Ok(plan) => {
                print(&plan, true, data, context);
                Ok(0)
            }
            Err(reasons) => Ok(refused_after(data, &reasons, target, context)),
        };
    }
    let environment = named(environments, target)?;
    let known = store.known.clone();
    let mut deliverer = Deliverer::new(environment, store, context);
    let done = carry_out(&store.ledger, known.as_ref(), &Timestamp::now, decide, &mut deliverer).await;
    match done {
        Ok((plan, entries)) => {
            store.remember(&entries)?;
            print(&plan, false, data, context);
            Ok(0)
        }
        Err(Stopped::Refused(reasons)) => Ok(refused_after(data, &reasons, target, context)),
        Err(Stopped::NotDelivered(why)) => Err(super::diagnostic(*why, 3)),
        Err(Stopped::Ledger(error)) => Err(super::ledger(error)),
    }
}

/// A step that is refused, after data were taken back: that happened.
fn refused_after(data: &[Value], reasons: &[Diagnostic], target: &str, context: &mut Context) -> u8 {
    if data.is_empty() {
        return refused(reasons, target, &mut context.terminal);
    }
    if context.terminal.format() == Format::Json {
        context.terminal.json(&json!({"refused": reasons, "data": data}));
        return code(reasons);
    }
    publish::print(data, context);
    refused(reasons, target, &mut context.terminal)
}

fn print(plan: &Plan, only_plan: bool, data: &[Value], context: &mut Context) {
    if context.terminal.format() == Format::Json {
        let mut said = json!({"plan": plan, "done": !only_plan});
        if !data.is_empty() {
            said["data"] = json!(data);
        }
        return context.terminal.json(&said);
    }
    publish::print(data, context);
    let terminal = &mut context.terminal;
    let verb = match (only_plan, &plan.standing) {
        (_, Standing::Done) => "is there already",
        (true, Standing::New { .. }) => "may go there",
        (true, Standing::Resume { .. }) => "was begun, and would be brought to its end",
        (false, _) => "is there",
    };
    terminal.out(format!("{}: {} {verb}", plan.environment, plan.release.short()));
}

pub fn refused(reasons: &[Diagnostic], target: &str, terminal: &mut Terminal) -> u8 {
    match terminal.format() {
        Format::Json => terminal.json(&json!({"refused": reasons})),
        Format::Text => {
            show(reasons, terminal);
            terminal.note(format!("nothing was changed in {target}"));
        }
    }
    code(reasons)
}

/// The exit code of a step that is refused.
pub fn code(reasons: &[Diagnostic]) -> u8 {
    let unknown = reasons
        .iter()
        .all(|reason| reason.cannot_tell || reason.severity != Severity::Error);
    if unknown { 3 } else { 1 }
}

/// Runs `stoke release status`.
pub async fn status(arguments: &StatusArguments, context: &mut Context) -> Outcome<u8> {
    let environments = arguments.places.read(&mut context.terminal)?;
    let store = arguments.kept.open(context)?;
    let entries: Vec<Entry> = store.entries().await?;
    let history = History::of(&entries);
    let name = |digest: &Digest| {
        let of = history.releases.iter().find(|(known, _)| known == digest);
        format!("{} {}", digest.short(), of.map_or("", |(_, name)| name))
    };
    let mut rows = vec![
        ["ENVIRONMENT", "RELEASE", "SINCE", "UNDER WAY"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut all = Vec::new();
    for environment in &environments.environments {
        let place = history.place(&environment.name);
        let current = place
            .and_then(|place| place.intervals.last())
            .filter(|interval| interval.until.is_none());
        let open = place.and_then(|place| place.open.as_ref());
        all.push(json!({"environment": environment.name, "current": current, "open": open}));
        rows.push(vec![
            environment.name.clone(),
            current.map(|interval| name(&interval.release)).unwrap_or_default(),
            current.map(|interval| interval.from.to_string()).unwrap_or_default(),
            open.map(|open| {
                format!(
                    "{} {} by {}",
                    super::look::word(&open.step),
                    open.release.short(),
                    open.by
                )
            })
            .unwrap_or_default(),
        ]);
    }
    match context.terminal.format() {
        Format::Json => context.terminal.json(&all),
        Format::Text => {
            for line in table(&rows) {
                context.terminal.out(line);
            }
        }
    }
    Ok(0)
}
