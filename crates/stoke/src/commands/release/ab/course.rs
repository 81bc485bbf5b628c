//! The runs of an A/B: a pair that warms up, then pairs in the order of the coin until there is a verdict or a reason to stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_insight::compare::compare;
use stoke_model::units::people;
use stoke_objectstore::shadow::{Pins, Shadow};
use stoke_release::ab::{self, Conclusion, Design, Fate, LEFT_OUT, Metric, Pair, Record, Standing, Values, Which};
use stoke_release::shadow::{Conclusion as OfShadow, Facts, Inputs, Limits, Output, judge};

use super::super::Store;
use super::super::shadow::{Plan, Ran, Stage, value};
use super::shown;
use crate::cli::Context;
use crate::failure::{Failure, Outcome};

/// What was seen so far.
pub struct Course {
    pub inputs: Inputs,
    pub warm_up: Option<Pair>,
    pub outputs: Vec<Output>,
    pub pairs: Vec<Pair>,
    /// Why one run of the last pair took longer than the other.
    pub comparison: Value,
    pub notes: Vec<String>,
}

/// Why it ended.
pub enum End {
    /// Each metric has its verdict, or one is worse and none waits.
    Verdict,
    /// What became of a pair decides.
    Judged(Conclusion, Vec<Diagnostic>),
    /// Pairs or time ran out.
    Open(Box<Diagnostic>),
    Interrupted,
}

/// Both runs of a pair.
struct Both {
    pair: Pair,
    /// Without outputs.
    facts: Facts,
    /// Of the old run, then of the new one.
    shadows: Vec<Arc<Shadow>>,
    comparison: Value,
}

/// What pairs are run with.
struct Ground<'a> {
    plan: &'a Plan,
    design: &'a Design,
    stage: &'a Stage,
    store: &'a Store,
    pins: Arc<Pins>,
}

impl Course {
    /// Runs pairs until it ends.
    pub async fn run(
        plan: &Plan,
        design: &Design,
        empty: bool,
        before: Option<Record>,
        stage: &Stage,
        store: &Store,
        context: &mut Context,
    ) -> Outcome<(Self, End)> {
        let (pins, inputs) = stage.pin(plan, store, &mut context.terminal).await?;
        if let Some(before) = before.as_ref().filter(|before| before.inputs.list != inputs.list) {
            return Err(Failure::input(
                "release-ab-resume",
                format!(
                    "the inputs are not those of that A/B: list {} instead of {}",
                    inputs.list, before.inputs.list
                ),
            )
            .fix("begin a new A/B: pairs on other data are other pairs"));
        }
        let mut course = Course {
            inputs,
            warm_up: None,
            outputs: Vec::new(),
            pairs: Vec::new(),
            comparison: Value::Null,
            notes: Vec::new(),
        };
        for (name, job) in [("old", &plan.old), ("new", &plan.new)] {
            course
                .notes
                .extend(job.notes.iter().map(|note| format!("{name}: {note}")));
        }
        if let Some(before) = before {
            let pairs = people::counted(before.pairs.len(), "pair");
            course.notes.push(format!("it goes on after {pairs} of an A/B before"));
            course.pairs = before.pairs;
        }
        let ground = Ground {
            plan,
            design,
            stage,
            store,
            pins,
        };
        context.terminal.note(format!(
            "new release {} {} against {}; seed {}, at most {} pairs, no verdict before pair {}",
            plan.new.digest.short(),
            plan.new.name,
            plan.old.digest.short(),
            design.seed,
            design.most_pairs,
            design.fewest()
        ));
        let end = match course.go(&ground, empty, context).await {
            Ok(end) => end,
            Err(failure) if failure.exit == 130 => End::Interrupted,
            Err(failure) => return Err(failure),
        };
        Ok((course, end))
    }

    async fn go(&mut self, ground: &Ground<'_>, empty: bool, context: &mut Context) -> Outcome<End> {
        if let Some(end) = self.warm_up(ground, empty, context).await? {
            return Ok(end);
        }
        let begun = Instant::now();
        loop {
            if let Some(end) = self.stop(ground.design, begun.elapsed()) {
                return Ok(end);
            }
            let number = self.pairs.len();
            let first = ab::first(ground.design.seed, number as u64);
            let Both {
                mut pair,
                facts,
                shadows,
                comparison,
            } = ground.pair(&number.to_string(), first, context).await?;
            ground.stage.forget(&shadows).await?;
            let end = match ab::fate(&facts) {
                Fate::Counts => {
                    pair.left_out = missing(&pair, ground.design);
                    None
                }
                Fate::LeftOut(why) => {
                    pair.left_out = Some(why);
                    None
                }
                Fate::Ends(said, reasons) => {
                    let first = reasons.first().map(|reason| reason.message.clone());
                    pair.left_out = Some(first.unwrap_or_default());
                    Some(End::Judged(said, reasons))
                }
            };
            if pair.left_out.is_none() {
                self.comparison = comparison;
            }
            self.pairs.push(pair);
            shown::pair(self, ground.design, &mut context.terminal);
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    /// The first pair: as a shadow run, old and new, with their outputs compared.
    async fn warm_up(&mut self, ground: &Ground<'_>, empty: bool, context: &mut Context) -> Outcome<Option<End>> {
        let Both {
            pair,
            mut facts,
            shadows,
            ..
        } = ground.pair("warm-up", Which::Old, context).await?;
        let both_ended = shadows.len() == 2 && facts.old.failed.is_none() && facts.new.failed.is_none();
        facts.outputs = ground
            .stage
            .compare(ground.plan, &shadows, both_ended, &mut context.terminal)
            .await?;
        facts.limits = Limits {
            empty,
            ..Limits::default()
        };
        ground.stage.forget(&shadows).await?;
        let judged = judge(&facts);
        self.outputs = facts.outputs;
        self.warm_up = Some(pair);
        Ok(match judged.said {
            OfShadow::Same | OfShadow::WithinTolerance => None,
            OfShadow::Worse => Some(End::Judged(Conclusion::Worse, judged.reasons)),
            OfShadow::CannotTell => Some(End::Judged(Conclusion::CannotTell, judged.reasons)),
        })
    }

    /// Whether no further pair is needed or allowed.
    fn stop(&self, design: &Design, elapsed: Duration) -> Option<End> {
        let standings = self.standings(design);
        if standings.iter().all(|standing| standing.found.is_some()) {
            return Some(End::Verdict);
        }
        let left_out: Vec<&str> = self.pairs.iter().filter_map(|pair| pair.left_out.as_deref()).collect();
        if left_out.len() > LEFT_OUT {
            let message = format!(
                "{} pairs do not count; the last one: {}",
                left_out.len(),
                left_out.last()?
            );
            let reason = Diagnostic::new(Severity::Error, "release-ab-left-out", message)
                .with_fix("look for why in the logs of the runs; an A/B needs runs that complete");
            return Some(End::Open(Box::new(reason.unknown())));
        }
        let counting = self.pairs.len() - left_out.len();
        let is_late = design.most_seconds.is_some_and(|most| elapsed.as_secs() >= most);
        if counting < design.most_pairs as usize && !is_late {
            return None;
        }
        let open = standings.iter().filter(|standing| standing.found.is_none());
        let open: Vec<String> = open
            .map(|standing| {
                let more = match standing.more_pairs {
                    Some(more) => format!(
                        "some {} more would decide, as noisy as these",
                        people::counted(more, "pair")
                    ),
                    None if standing.pairs < 3 => "how many more would decide is not known yet".to_owned(),
                    None => "not even 1,000 more would decide, as noisy as these".to_owned(),
                };
                format!("{} {}; {more}", standing.metric.name(), standing.change())
            })
            .collect();
        let message = format!(
            "no verdict after {}{}: {}",
            people::counted(counting, "pair"),
            if is_late { " and the time that is allowed" } else { "" },
            open.join("; ")
        );
        let reason = Diagnostic::new(Severity::Error, "release-ab-open", message).with_fix(
            "go on with --resume and more pairs, ask for a larger --effect, or run where there is less noise",
        );
        Some(End::Open(Box::new(reason.unknown())))
    }

    /// What the pairs say of each metric.
    pub fn standings(&self, design: &Design) -> Vec<Standing> {
        let of = |metric: &Metric| ab::standing(*metric, &ab::ratios(&self.pairs, *metric), design);
        design.metrics.iter().map(of).collect()
    }
}

impl Ground<'_> {
    /// Runs both releases, one after the other. Where the first fails, the other does not run.
    async fn pair(&self, label: &str, first: Which, context: &mut Context) -> Outcome<Both> {
        let began = Timestamp::now();
        let order = match first {
            Which::Old => [Which::Old, Which::New],
            Which::New => [Which::New, Which::Old],
        };
        let mut ran: BTreeMap<&str, (Ran, Arc<Shadow>)> = BTreeMap::new();
        for which in order {
            if ran.values().any(|(ran, _)| ran.side.failed.is_some()) {
                break;
            }
            let job = match which {
                Which::Old => &self.plan.old,
                Which::New => &self.plan.new,
            };
            let shown = match label.parse::<usize>() {
                Ok(number) => format!("pair {}", number + 1),
                Err(_) => label.to_owned(),
            };
            context
                .terminal
                .note(format!("{shown}: the {} release runs", which.word()));
            let name = format!("{label}-{}", which.word());
            let one = self
                .stage
                .run(&name, job, self.plan, &self.pins, self.store, context)
                .await?;
            ran.insert(which.word(), one);
        }
        let changed = self.stage.changed(self.plan, &self.pins).await?;
        let (old, new) = (ran.remove("old"), ran.remove("new"));
        let comparison = match (&old, &new) {
            (Some((old, _)), Some((new, _))) => match (&old.run, &new.run) {
                (Some(old), Some(new)) => value(&compare(old, new)),
                _ => Value::Null,
            },
            _ => Value::Null,
        };
        let mut values = BTreeMap::new();
        for metric in [Metric::Time, Metric::CoreSeconds, Metric::Cost] {
            let of = |side: &Option<(Ran, Arc<Shadow>)>| side.as_ref().and_then(|(ran, _)| measured(metric, ran));
            if let (Some(old), Some(new)) = (of(&old), of(&new)) {
                values.insert(metric, Values { old, new });
            }
        }
        let mut shadows = Vec::new();
        let mut side = |one: Option<(Ran, Arc<Shadow>)>| match one {
            Some((ran, shadow)) => {
                shadows.push(shadow);
                ran.side
            }
            None => Default::default(),
        };
        let (old, new) = (side(old), side(new));
        Ok(Both {
            facts: Facts {
                old: old.clone(),
                new: new.clone(),
                changed,
                ..Facts::default()
            },
            pair: Pair {
                first,
                began,
                old,
                new,
                values,
                left_out: None,
            },
            shadows,
            comparison,
        })
    }
}

/// What a run took.
fn measured(metric: Metric, ran: &Ran) -> Option<f64> {
    let amounts = ran.amounts.as_ref();
    match metric {
        Metric::Time => ran.side.milliseconds.map(|time| time as f64 / 1000.0),
        Metric::CoreSeconds => amounts.map(|amounts| amounts.millicore_milliseconds as f64 / 1e6),
        Metric::Cost => amounts
            .filter(|_| ran.side.cost.is_some())
            .map(|amounts| amounts.cost.nanos() as f64 / 1e9),
    }
}

/// What of a pair could not be measured.
fn missing(pair: &Pair, design: &Design) -> Option<String> {
    let known = |metric: &Metric| pair.values.get(metric).and_then(Values::log_ratio).is_some();
    let unknown = design.metrics.iter().find(|metric| !known(metric))?;
    Some(format!("the {} of both runs is not known", unknown.name()))
}
