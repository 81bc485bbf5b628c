//! `stoke release shadow`: a release runs on the inputs of another one with its outputs kept apart, and what both write is compared.
//!
//! The room `release` says how the application runs and what the verdict is, the object store keeps the outputs apart; here both runs are made.

mod job;
mod outputs;
mod shown;
mod side;
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use stoke_insight::compare::{Comparison, compare};
use stoke_insight::cost::Prices;
use stoke_laptop::embedded::{Embedded, Size};
use stoke_laptop::interrupt::listen;
use stoke_laptop::session::{Place, Session};
use stoke_model::units::people;
use stoke_objectstore::shadow::{Change, Pins, Places as Spots, Shadow, Spot};
use stoke_quality::difference::Options;
use stoke_release::environment::Environment;
use stoke_release::ledger::{Event, Verdict};
use stoke_release::oci::Digest;
use stoke_release::shadow::{
    Compared, Conclusion, Facts, GATE, Inputs, KIND, Limits, Output, Record, Side, Written, judge,
};
use stoke_storage::{Address, Cloud};

use self::job::Job;
use self::world::World;
use super::{Kept, Places, Store, kept, show, steps};
use crate::cli::Context;
use crate::commands::cost::read_prices;
use crate::commands::quality::diff::How;
use crate::commands::run::timeout;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal};

/// Namespace of the cluster in which both run.
const NAMESPACE: &str = "default";
/// Bytes of an access log that are kept with the record.
const MOST_LOG: u64 = 64 << 20;

/// Arguments of `stoke release shadow`.
#[derive(clap::Args)]
#[command(after_help = "\
Both releases run once in an embedded cluster of their own. They read the places as they are, and see what they write there themselves; no one else does.
Exit codes: 0 the outputs are the same, or differ within the tolerance; 1 the new release is worse; 2 wrong input; 3 it cannot be told: an input changed, the
old release fails, an output cannot be read; 124 --timeout; 130 interrupted.")]
pub struct Arguments {
    /// The new release: its digest, the beginning of it, or its name
    release: String,
    /// The old release, with whose outputs those of the new one are compared
    #[arg(long, value_name = "RELEASE")]
    against: String,
    /// A place that they read: s3a://bucket/path; can be given again. Its objects are pinned
    #[arg(long, value_name = "PLACE")]
    reads: Vec<String>,
    /// A place that they write, each an output that is compared; can be given again
    #[arg(long, value_name = "PLACE", required = true)]
    writes: Vec<String>,
    /// Columns that say which rows belong together, of all outputs or of one [default: rows are compared as a whole]
    #[arg(long, value_name = "[PLACE=]COLUMN,…")]
    key: Vec<String>,
    #[command(flatten)]
    how: How,
    /// Let outputs without a row on both sides be equal
    #[arg(long)]
    allow_empty: bool,
    /// How much longer the new release may take, in percent [default: any]
    #[arg(long, value_name = "PERCENT")]
    max_slower: Option<f64>,
    /// How many more core-seconds it may reserve, in percent [default: any]
    #[arg(long, value_name = "PERCENT")]
    max_dearer: Option<f64>,
    /// A price table, by which both runs are priced
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Run them with the overlay of this environment
    #[arg(long = "in", value_name = "ENVIRONMENT")]
    environment: Option<String>,
    /// Do not record the verdict in the ledger
    #[arg(long)]
    no_record: bool,
    /// Keep what both wrote, in the bucket `stoke-shadow`, and the access logs
    #[arg(long)]
    keep: bool,
    /// Give a run up that has not ended after this time (30s, 10m, 2h)
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Duration>,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    kept: Kept,
}

/// What is to be done, all of it read and checked.
struct Plan {
    old: Job,
    new: Job,
    spots: Spots,
    /// How each output is compared.
    options: BTreeMap<Spot, Options>,
    limits: Limits,
    prices: Option<Prices>,
    timeout: Option<Duration>,
}

/// What was seen.
struct Tried {
    facts: Facts,
    inputs: Inputs,
    comparison: Option<Comparison>,
    notes: Vec<String>,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let store = arguments.kept.open(context)?;
    let mut plan = plan(&arguments, &store, context).await?;
    let began = Timestamp::now();
    listen()?;
    let embedded = Embedded::start_without_keys(&context.home, &Size::default()).await?;
    let session = Session {
        client: embedded.client(),
        namespace: NAMESPACE.to_owned(),
        place: Place::Private(Box::new(embedded)),
    };
    let Place::Private(embedded) = &session.place else {
        return Err(Failure::environment(
            "stoke::cluster::start",
            "the cluster is not there",
        ));
    };
    let objects = embedded.objects();
    let tried = match World::begin(&context.home, objects.store(), &mut context.terminal).await {
        Ok(world) => {
            let tried = tried(&mut plan, &world, embedded, &session, &store, context).await;
            // No request of them comes any more.
            objects.shadows().clear();
            let ended = world.end(objects.store(), arguments.keep, &mut context.terminal).await;
            tried.and_then(|tried| ended.map(|()| tried))
        }
        Err(failure) => Err(failure),
    };
    if let Place::Private(embedded) = session.place {
        embedded.stop(false).await;
    }
    finish(&arguments, &plan, tried?, began, &store, context).await
}

/// Reads and checks everything before anything is started.
async fn plan(arguments: &Arguments, store: &Store, context: &mut Context) -> Outcome<Plan> {
    let spots = Spots {
        reads: arguments.reads.iter().map(|text| spot(text)).collect::<Outcome<_>>()?,
        writes: arguments.writes.iter().map(|text| spot(text)).collect::<Outcome<_>>()?,
    };
    for (at, one) in spots.writes.iter().enumerate() {
        let other = spots.writes[..at]
            .iter()
            .find(|other| other.holds(&one.bucket, &one.path) || one.holds(&other.bucket, &other.path));
        if let Some(other) = other {
            return Err(places(format!("{one} and {other} lie within each other"))
                .fix("name each output once, and none below another one"));
        }
    }
    let options = options(arguments, &spots.writes)?;
    for (name, limit) in [
        ("--max-slower", arguments.max_slower),
        ("--max-dearer", arguments.max_dearer),
    ] {
        if limit.is_some_and(|limit| !limit.is_finite() || limit < 0.0) {
            return Err(Failure::input(
                "stoke::cli::percent",
                format!("{name}: that is not a number of percent"),
            )
            .fix("write a number such as 20"));
        }
    }
    let environment = match &arguments.environment {
        Some(name) => {
            let all = arguments.places.read(&mut context.terminal)?;
            Some(steps::named(&all, name)?.clone())
        }
        None => None,
    };
    let environment: Option<&Environment> = environment.as_ref();
    let old = job::of(store, &arguments.against, environment, context).await?;
    let new = job::of(store, &arguments.release, environment, context).await?;
    Ok(Plan {
        old,
        new,
        spots,
        options,
        limits: Limits {
            slower: arguments.max_slower,
            dearer: arguments.max_dearer,
            empty: arguments.allow_empty,
        },
        prices: arguments.prices.as_deref().map(read_prices).transpose()?,
        timeout: arguments.timeout,
    })
}

fn places(message: impl std::fmt::Display) -> Failure {
    Failure::input("release-shadow-places", message)
}

/// A place of the object store.
fn spot(text: &str) -> Outcome<Spot> {
    let address = Address::parse(text).map_err(super::storage)?;
    match address.bucket() {
        Some((Cloud::Aws, bucket, path)) if bucket != stoke_objectstore::shadow::BUCKET => Ok(Spot::new(bucket, path)),
        Some((Cloud::Aws, ..)) => {
            Err(places(format!("{text} is where shadow runs write themselves"))
                .fix("name a place that the releases name"))
        }
        Some(_) => Err(places(format!(
            "{text} is in another cloud: the cluster's own store keeps outputs apart, and no other does"
        ))
        .fix("bring the inputs into the cluster's store, and let the releases take their places as arguments")),
        None => Err(places(format!(
            "{text} is a place of this machine: what is written there is not redirected"
        ))
        .fix("name a place of the object store, s3a://bucket/path; files of a pod that are in no volume go with it")),
    }
}

/// How each output is compared.
fn options(arguments: &Arguments, writes: &[Spot]) -> Outcome<BTreeMap<Spot, Options>> {
    let base = arguments.how.options()?;
    let mut all: BTreeMap<Spot, Options> = writes.iter().map(|spot| (spot.clone(), base.clone())).collect();
    for text in &arguments.key {
        let (place, columns) = match text.rsplit_once('=') {
            Some((place, columns)) => (Some(spot(place)?), columns),
            None => (None, text.as_str()),
        };
        let columns: Vec<String> = columns.split(',').map(str::to_owned).collect();
        match place {
            None => all.values_mut().for_each(|options| options.keys.clone_from(&columns)),
            Some(place) => match all.get_mut(&place) {
                Some(options) => options.keys = columns,
                None => {
                    return Err(places(format!("--key {text}: {place} is not one of the outputs"))
                        .fix("name a place of --writes"));
                }
            },
        }
    }
    Ok(all)
}

/// Pins the inputs, runs both releases, and compares what they wrote.
async fn tried(
    plan: &mut Plan,
    world: &World,
    embedded: &Embedded,
    session: &Session,
    store: &Store,
    context: &mut Context,
) -> Outcome<Tried> {
    let objects = embedded.objects();
    let broken = |error| Failure::environment("stoke::object-store::read", error);
    let pins = Arc::new(Pins::take(objects.store(), &plan.spots).await.map_err(broken)?);
    let inputs = pinned(plan, &pins, store, &mut context.terminal).await?;
    let mut sides = Vec::new();
    let mut runs = Vec::new();
    let mut shadows = Vec::new();
    let mut notes = Vec::new();
    for (name, job) in [("old", &mut plan.old), ("new", &mut plan.new)] {
        if sides.iter().any(|side: &Side| side.failed.is_some()) {
            notes.push("the new release did not run, as the old one failed".to_owned());
            break;
        }
        notes.extend(job.notes.iter().map(|note| format!("{name}: {note}")));
        let shadow = Shadow::new(&world.name(name), plan.spots.clone(), pins.clone(), &world.log(name))?;
        let shadow = Arc::new(shadow);
        objects.shadows().add(shadow.clone());
        let made = side::Making {
            session,
            endpoint: objects.endpoint(),
            prices: plan.prices.as_ref(),
            timeout: plan.timeout,
        };
        context.terminal.note(format!(
            "{name} release {} {} runs in the shadow",
            job.digest.short(),
            job.name
        ));
        let (mut side, run) = side::run(&made, job, &shadow, context).await?;
        side.log = keep_log(store, &world.log(name)).await?;
        sides.push(side);
        runs.push(run);
        shadows.push(shadow);
    }
    let mut sides = sides.into_iter();
    let (old, new) = (sides.next().unwrap_or_default(), sides.next());
    let both_ended = old.failed.is_none() && new.as_ref().is_some_and(|new| new.failed.is_none());
    let mut outputs = Vec::new();
    let mut written: Vec<BTreeMap<Spot, stoke_objectstore::shadow::Written>> = Vec::new();
    for shadow in &shadows {
        written.push(shadow.written(objects.store()).await.map_err(broken)?);
    }
    for spot in &plan.spots.writes {
        let of = |side: usize| {
            let found = written
                .get(side)
                .and_then(|all| all.get(spot))
                .copied()
                .unwrap_or_default();
            Written {
                objects: found.objects,
                bytes: found.bytes,
                deleted: found.deleted,
            }
        };
        let (ours, theirs) = (of(0), of(1));
        let wrote = ours.objects > 0 && theirs.objects > 0;
        let compared = match plan.options.get(spot) {
            Some(options) if both_ended && wrote => {
                outputs::compare(spot, &shadows, &objects.endpoint(), options, &mut context.terminal).await?
            }
            _ if both_ended => Compared::Unread {
                why: "one of them holds no objects".to_owned(),
            },
            _ => Compared::NotCompared,
        };
        outputs.push(Output {
            place: spot.to_string(),
            old: ours,
            new: theirs,
            compared,
        });
    }
    let now = Pins::take(objects.store(), &plan.spots).await.map_err(broken)?;
    let changed = pins.changes(&now).into_iter().map(|changed| {
        let what = match changed.what {
            Change::Replaced => "replaced",
            Change::Deleted => "deleted",
            Change::Added => "added",
        };
        format!("{} ({what})", changed.object)
    });
    let facts = Facts {
        old,
        new: new.unwrap_or_default(),
        changed: changed.collect(),
        outputs,
        limits: plan.limits,
    };
    let comparison = match runs.as_slice() {
        [Some(old), Some(new)] => Some(compare(old, new)),
        _ => None,
    };
    Ok(Tried {
        facts,
        inputs,
        comparison,
        notes,
    })
}

/// Records the objects that both will read, before either runs.
async fn pinned(plan: &Plan, pins: &Pins, store: &Store, terminal: &mut Terminal) -> Outcome<Inputs> {
    for spot in &plan.spots.reads {
        if !pins.iter().any(|(bucket, key, _)| spot.holds(bucket, key)) {
            return Err(places(format!("{spot} holds no objects, so there is nothing to pin"))
                .fix("name a place with the inputs; `aws s3 ls` with `stoke env` lists what is there"));
        }
    }
    let list = serde_json::to_vec(pins).map_err(std::io::Error::from)?;
    let digest = Digest::of(&list);
    store.releases.put_evidence(&digest, &list).await.map_err(kept)?;
    let (mut objects, mut bytes) = (0, 0);
    for (_, _, pin) in pins.iter() {
        objects += 1;
        bytes += pin.size;
    }
    terminal.note(format!(
        "pinned {} with {}, list {}",
        people::counted(objects, "object"),
        people::bytes(bytes),
        digest.short()
    ));
    Ok(Inputs {
        places: plan.spots.reads.iter().map(Spot::to_string).collect(),
        objects,
        bytes,
        list: digest,
    })
}

/// Keeps an access log with the releases; gives its digest.
async fn keep_log(store: &Store, path: &std::path::Path) -> Outcome<String> {
    if std::fs::metadata(path)?.len() > MOST_LOG {
        return Ok(String::new());
    }
    let bytes = std::fs::read(path)?;
    let digest = Digest::of(&bytes);
    store.releases.put_evidence(&digest, &bytes).await.map_err(kept)?;
    Ok(digest.to_string())
}

/// Judges, records and shows.
async fn finish(
    arguments: &Arguments,
    plan: &Plan,
    tried: Tried,
    began: Timestamp,
    store: &Store,
    context: &mut Context,
) -> Outcome<u8> {
    let judgement = judge(&tried.facts);
    let record = Record {
        kind: KIND.to_owned(),
        release: plan.new.digest.clone(),
        against: plan.old.digest.clone(),
        verdict: judgement.said,
        began,
        ended: Timestamp::now(),
        inputs: tried.inputs,
        old: tried.facts.old,
        new: tried.facts.new,
        outputs: tried.facts.outputs,
        comparison: tried.comparison.as_ref().map(value).unwrap_or_default(),
        reasons: judgement.reasons.iter().map(value).collect(),
        notes: tried.notes,
    };
    let bytes = serde_json::to_vec_pretty(&record).map_err(std::io::Error::from)?;
    let evidence = Digest::of(&bytes);
    let verdict = match (judgement.said.passes(), judgement.said) {
        (true, _) => Some(Verdict::Pass),
        (false, Conclusion::Worse) => Some(Verdict::Fail),
        _ => None,
    };
    if let Some(verdict) = verdict.filter(|_| !arguments.no_record) {
        store.releases.put_evidence(&evidence, &bytes).await.map_err(kept)?;
        let event = Event::Verified {
            release: record.release.clone(),
            gate: GATE.to_owned(),
            verdict,
            evidence: Some(evidence.clone()),
            against: Some(record.against.clone()),
        };
        steps::add(store, &event).await?;
    }
    let terminal = &mut context.terminal;
    match terminal.format() {
        Format::Json => terminal.json(&record),
        Format::Text => {
            shown::record(&record, tried.comparison.as_ref(), terminal);
            // What differs is shown with its output already.
            let reasons = judgement
                .reasons
                .into_iter()
                .map(|reason| reason.with_evidence(Vec::new()));
            show(&reasons.collect::<Vec<_>>(), terminal);
            match verdict {
                None => terminal.note("nothing was recorded: a verdict that cannot be told is none"),
                Some(_) if arguments.no_record => {}
                Some(_) => terminal.out(format!("recorded  {evidence}")),
            }
        }
    }
    Ok(match judgement.said {
        said if said.passes() => 0,
        Conclusion::Worse => 1,
        _ => 3,
    })
}

/// A value as JSON; one with a number beyond 64 bits becomes none.
fn value(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
