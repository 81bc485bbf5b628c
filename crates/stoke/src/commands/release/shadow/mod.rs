//! `stoke release shadow`: a release runs on the inputs of another one with its outputs kept apart, and what both write is compared.
//!
//! The room `release` says how the application runs and what the verdict is, the object store keeps the outputs apart; here both runs are made.

mod asked;
mod job;
mod outputs;
mod shown;
mod side;
mod stage;
mod world;

use jiff::Timestamp;
use serde_json::Value;
use stoke_insight::compare::{Comparison, compare};
use stoke_release::ledger::Verdict;
use stoke_release::oci::Digest;
use stoke_release::shadow::{Conclusion, Facts, GATE, Inputs, KIND, Limits, Record, Side, judge};

pub use self::asked::{Choices, Plan};
pub use self::side::Ran;
pub use self::stage::Stage;
use super::{Store, kept, show, steps};
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Namespace of the cluster in which both run.
const NAMESPACE: &str = "default";

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
    /// A place that they write, each an output that is compared; can be given again
    #[arg(long, value_name = "PLACE", required = true)]
    writes: Vec<String>,
    /// How much longer the new release may take, in percent [default: any]
    #[arg(long, value_name = "PERCENT")]
    max_slower: Option<f64>,
    /// How many more core-seconds it may reserve, in percent [default: any]
    #[arg(long, value_name = "PERCENT")]
    max_dearer: Option<f64>,
    /// Keep what both wrote, in the bucket `stoke-shadow`, and the access logs
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    asked: Choices,
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
    let limits = limits(&arguments)?;
    let asked = &arguments.asked;
    let store = asked.kept.open(context)?;
    let plan = asked
        .plan(
            &arguments.release,
            &arguments.against,
            &arguments.writes,
            &store,
            context,
        )
        .await?;
    let began = Timestamp::now();
    let stage = Stage::begin(context).await?;
    let tried = tried(&plan, limits, &stage, &store, context).await;
    let ended = stage.end(arguments.keep, &mut context.terminal).await;
    let tried = tried.and_then(|tried| ended.map(|()| tried))?;
    finish(&arguments, &plan, tried, began, &store, context).await
}

fn limits(arguments: &Arguments) -> Outcome<Limits> {
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
    Ok(Limits {
        slower: arguments.max_slower,
        dearer: arguments.max_dearer,
        empty: arguments.asked.allow_empty,
    })
}

/// Pins the inputs, runs both releases, and compares what they wrote.
async fn tried(plan: &Plan, limits: Limits, stage: &Stage, store: &Store, context: &mut Context) -> Outcome<Tried> {
    let (pins, inputs) = stage.pin(plan, store, &mut context.terminal).await?;
    let mut sides = Vec::new();
    let mut runs = Vec::new();
    let mut shadows = Vec::new();
    let mut notes = Vec::new();
    for (name, job) in [("old", &plan.old), ("new", &plan.new)] {
        if sides.iter().any(|side: &Side| side.failed.is_some()) {
            notes.push("the new release did not run, as the old one failed".to_owned());
            break;
        }
        notes.extend(job.notes.iter().map(|note| format!("{name}: {note}")));
        context.terminal.note(format!(
            "{name} release {} {} runs in the shadow",
            job.digest.short(),
            job.name
        ));
        let (ran, shadow) = stage.run(name, job, plan, &pins, store, context).await?;
        sides.push(ran.side);
        runs.push(ran.run);
        shadows.push(shadow);
    }
    let mut sides = sides.into_iter();
    let (old, new) = (sides.next().unwrap_or_default(), sides.next());
    let both_ended = old.failed.is_none() && new.as_ref().is_some_and(|new| new.failed.is_none());
    let outputs = stage.compare(plan, &shadows, both_ended, &mut context.terminal).await?;
    let facts = Facts {
        old,
        new: new.unwrap_or_default(),
        changed: stage.changed(plan, &pins).await?,
        outputs,
        limits,
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
    if let Some(verdict) = verdict.filter(|_| !arguments.asked.no_record) {
        store.releases.put_evidence(&evidence, &bytes).await.map_err(kept)?;
        let of = (&record.release, &record.against);
        steps::compared(store, GATE, of, verdict, &evidence).await?;
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
                Some(_) if arguments.asked.no_record => {}
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
pub fn value(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
