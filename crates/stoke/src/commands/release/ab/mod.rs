//! `stoke release ab`: two releases run several times in turn on the same inputs, and a slower or dearer one is distinguished from noise.
//!
//! The room `release` says which runs first, what pairs say and when it ends; the runs are those of `stoke release shadow`.

mod course;
mod recorded;
mod shown;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_release::ab::{self, Conclusion, Design, Finding, GATE, KIND, Metric, RULE, Record, Standing};
use stoke_release::ledger::Verdict;
use stoke_release::oci::Digest;

use self::course::{Course, End};
use super::shadow::{Choices, Stage, value};
use super::{Store, diagnostic, kept, show, steps};
use crate::cli::Context;
use crate::commands::run::timeout;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Arguments of `stoke release ab`.
#[derive(clap::Args)]
#[command(after_help = "\
Both releases run in turn in an embedded cluster of their own, as with `stoke release shadow`: on pinned inputs, with their outputs kept apart. A first pair warms up; its
outputs are compared, and it is not counted. Of each later pair a coin decides which runs first. After each pair it is asked whether there is a verdict.
Exit codes: 0 no difference that matters, or faster (cheaper); 1 slower or dearer, or the new release fails or writes other data; 2 wrong input; 3 it cannot be told:
the pairs or the time ran out, an input changed, the old release fails; 130 interrupted.")]
pub struct Arguments {
    /// The new release: its digest, the beginning of it, or its name
    #[arg(required_unless_present = "runs")]
    release: Option<String>,
    /// The old release, with which the new one is compared
    #[arg(long, value_name = "RELEASE", required_unless_present = "runs")]
    against: Option<String>,
    /// A place that they write; can be given again. What both write is compared once
    #[arg(long, value_name = "PLACE", required_unless_present = "runs")]
    writes: Vec<String>,
    /// Judge pairs that were measured elsewhere: a CSV file with columns `old` and `new`, seconds for --metric time. Nothing runs, and nothing is recorded
    #[arg(long, value_name = "FILE", conflicts_with_all = ["release", "against", "writes", "resume", "max_pairs", "max_time"])]
    runs: Option<PathBuf>,
    /// What is compared: time, core-seconds or cost; several with commas [default: time, and cost with --prices]
    #[arg(long, value_name = "METRIC,…", value_delimiter = ',', value_parser = metric)]
    metric: Vec<Metric>,
    /// The smallest difference that matters
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent, allow_hyphen_values = true)]
    effect: f64,
    /// The probability of a wrong verdict that is accepted, over all metrics and all looks together
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, allow_hyphen_values = true)]
    alpha: f64,
    /// In which share of cases the number of pairs that is foretold must suffice
    #[arg(long, value_name = "SHARE", default_value_t = 0.8, allow_hyphen_values = true)]
    power: f64,
    /// End without a verdict after this many pairs
    #[arg(long, value_name = "N", default_value_t = 30)]
    max_pairs: u32,
    /// Begin no pair after this time (30m, 2h)
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    max_time: Option<Duration>,
    /// Seed of the coin that orders the runs of each pair [default: another one each time; it is shown]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Go on with an A/B that was interrupted or ended without a verdict: the digest that it named, or a file of its record
    #[arg(long, value_name = "RECORD", conflicts_with_all = ["effect", "alpha", "power", "metric", "seed"])]
    resume: Option<String>,
    #[command(flatten)]
    asked: Choices,
}

fn metric(text: &str) -> Result<Metric, String> {
    let all = [Metric::Time, Metric::CoreSeconds, Metric::Cost];
    let found = all.into_iter().find(|metric| metric.name() == text);
    found.ok_or_else(|| "it is one of time, core-seconds, cost".to_owned())
}

/// A number of percent, as a share.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    let read = number.parse::<f64>().map(|percent| percent / 100.0);
    read.map_err(|_| "a number of percent, for example 5%".to_owned())
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let mut design = design(&arguments);
    design.check().map_err(|reason| diagnostic(*reason, 2))?;
    if let Some(file) = &arguments.runs {
        return recorded::run(file, &design, &mut context.terminal);
    }
    let (Some(release), Some(against)) = (&arguments.release, &arguments.against) else {
        return Err(Failure::input("release-ab-design", "two releases are wanted")
            .fix("`stoke release ab NEW --against OLD --writes PLACE`"));
    };
    let asked = &arguments.asked;
    let store = asked.kept.open(context)?;
    let digests = (store.find(release).await?.0, store.find(against).await?.0);
    if digests.0 == digests.1 {
        return Err(Failure::input(
            "release-ab-same",
            format!("{release} and {against} are one release, {}", digests.0),
        )
        .fix("name two releases: one is as fast as itself"));
    }
    let before = match &arguments.resume {
        Some(text) => Some(earlier(text, &digests, &arguments, &store).await?),
        None => None,
    };
    if let Some(before) = &before {
        design = Design {
            most_pairs: arguments.max_pairs,
            most_seconds: design.most_seconds,
            ..before.design.clone()
        };
        design.check().map_err(|reason| diagnostic(*reason, 2))?;
    }
    if design.metrics.contains(&Metric::Cost) && asked.prices.is_none() {
        return Err(
            Failure::input("release-ab-design", "--metric cost: what runs cost is not known")
                .fix("name a price table with --prices"),
        );
    }
    let plan = asked.plan(release, against, &arguments.writes, &store, context).await?;
    let began = before.as_ref().map_or_else(Timestamp::now, |before| before.began);
    let stage = Stage::begin(context).await?;
    let ran = Course::run(&plan, &design, asked.allow_empty, before, &stage, &store, context).await;
    let ended = stage.end(false, &mut context.terminal).await;
    let course = ran.and_then(|course| ended.map(|()| course))?;
    let record = record(course.0, design, digests, began, asked.environment.clone());
    finish(record, course.1, asked.no_record, &store, context).await
}

fn design(arguments: &Arguments) -> Design {
    let mut metrics = arguments.metric.clone();
    if metrics.is_empty() {
        metrics.push(Metric::Time);
        metrics.extend(arguments.asked.prices.iter().map(|_| Metric::Cost));
    }
    let now = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default();
    Design {
        rule: RULE.to_owned(),
        metrics,
        effect: arguments.effect,
        alpha: arguments.alpha,
        power: arguments.power,
        most_pairs: arguments.max_pairs,
        most_seconds: arguments.max_time.map(|time| time.as_secs()),
        // Six digits are typed easily.
        seed: match (arguments.seed, &arguments.runs) {
            (Some(seed), _) => seed,
            (None, Some(_)) => 0,
            (None, None) => (now / 1000) % 1_000_000,
        },
    }
}

/// The record of an A/B that is to go on.
async fn earlier(text: &str, digests: &(Digest, Digest), arguments: &Arguments, store: &Store) -> Outcome<Record> {
    let wrong = |message: String, fix: &str| Failure::input("release-ab-resume", message).fix(fix.to_owned());
    let bytes = match text.parse::<Digest>() {
        Ok(digest) => store.releases.evidence(&digest).await.map_err(kept)?,
        Err(_) => std::fs::read(text).map_err(|error| {
            wrong(
                format!("--resume {text}: {error}"),
                "name the digest that the A/B showed at its end, or a file of its record",
            )
        })?,
    };
    let record = Record::read(&bytes, &digests.0).map_err(|reason| diagnostic(*reason, 2))?;
    if record.against != digests.1 {
        return Err(wrong(
            format!("that A/B was against {}, not against {}", record.against, digests.1),
            "name the same releases, or begin a new A/B",
        ));
    }
    if record.environment != arguments.asked.environment {
        let name = |environment: &Option<String>| environment.clone().unwrap_or_else(|| "none".to_owned());
        return Err(wrong(
            format!(
                "that A/B ran with the overlay of {}, not of {}",
                name(&record.environment),
                name(&arguments.asked.environment)
            ),
            "name the same environment with --in, or begin a new A/B",
        ));
    }
    if record.verdict != Conclusion::CannotTell {
        return Err(wrong(
            format!("that A/B has its verdict: {}", record.verdict.words()),
            "begin a new A/B",
        ));
    }
    Ok(record)
}

/// What was seen, as evidence.
fn record(
    course: Course,
    design: Design,
    (release, against): (Digest, Digest),
    began: Timestamp,
    environment: Option<String>,
) -> Record {
    let metrics = course.standings(&design);
    Record {
        kind: KIND.to_owned(),
        release,
        against,
        verdict: ab::conclude(&metrics),
        began,
        ended: Timestamp::now(),
        design,
        environment,
        inputs: course.inputs,
        metrics,
        warm_up: course.warm_up,
        outputs: course.outputs,
        pairs: course.pairs,
        comparison: course.comparison,
        reasons: Vec::new(),
        notes: course.notes,
    }
}

/// A metric that is worse, as a reason.
fn slower(standing: &Standing) -> Option<Diagnostic> {
    (standing.found == Some(Finding::More)).then(|| {
        let message = format!(
            "the new release is {}: {} {}, after {} pairs",
            standing.words(),
            standing.metric.name(),
            standing.change(),
            standing.pairs
        );
        Diagnostic::new(Severity::Error, "release-ab-slower", message)
            .with_fix("see what took longer in the record's comparison, or in `stoke compare` of two runs")
    })
}

/// Judges, records and shows.
async fn finish(mut record: Record, end: End, no_record: bool, store: &Store, context: &mut Context) -> Outcome<u8> {
    let mut reasons: Vec<Diagnostic> = record.metrics.iter().filter_map(slower).collect();
    let interrupted = matches!(end, End::Interrupted);
    match end {
        End::Verdict => {}
        End::Judged(said, others) => {
            // That a metric is worse is known, whatever happens later.
            if (said, record.verdict) != (Conclusion::CannotTell, Conclusion::Worse) {
                record.verdict = said;
            }
            reasons.extend(others);
        }
        // What a metric says stands, whatever became of the others.
        End::Open(reason) => reasons.push(*reason),
        End::Interrupted => {
            record.verdict = Conclusion::CannotTell;
            let message = format!("interrupted after {} pairs", record.pairs.len());
            reasons.push(
                Diagnostic::new(Severity::Error, "release-ab-interrupted", message)
                    .with_fix("go on with --resume and the record")
                    .unknown(),
            );
        }
    }
    record.reasons = reasons.iter().map(value).collect();
    let bytes = serde_json::to_vec_pretty(&record).map_err(std::io::Error::from)?;
    let evidence = Digest::of(&bytes);
    let verdict = match record.verdict {
        said if said.passes() => Some(Verdict::Pass),
        Conclusion::Worse => Some(Verdict::Fail),
        _ => None,
    };
    // Pairs cost hours: they are kept, also without a verdict.
    store.releases.put_evidence(&evidence, &bytes).await.map_err(kept)?;
    if let Some(verdict) = verdict.filter(|_| !no_record) {
        let of = (&record.release, &record.against);
        steps::compared(store, GATE, of, verdict, &evidence).await?;
    }
    let terminal = &mut context.terminal;
    match terminal.format() {
        Format::Json => terminal.json(&record),
        Format::Text => {
            shown::record(&record, terminal);
            // What differs is shown with its output already.
            let reasons = reasons.into_iter().map(|reason| reason.with_evidence(Vec::new()));
            show(&reasons.collect::<Vec<_>>(), terminal);
            match verdict {
                None => terminal.note(format!(
                    "nothing was recorded in the ledger: a verdict that cannot be told is none. Go on with --resume {evidence}"
                )),
                Some(_) if no_record => {}
                Some(_) => terminal.out(format!("recorded  {evidence}")),
            }
        }
    }
    Ok(match record.verdict {
        _ if interrupted => 130,
        said if said.passes() => 0,
        Conclusion::Worse => 1,
        _ => 3,
    })
}
