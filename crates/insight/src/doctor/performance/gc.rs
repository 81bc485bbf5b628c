//! Time the JVM spent on its garbage.

use super::Finding;
use super::measure::{self, Ran};
use super::{heap, worth};
use crate::facts::Run;
use stoke_diagnostics::{Diagnostic, Evidence, Fix, Gain, Rule, Severity};
use stoke_model::units::people::{bytes, counted, duration, memory, percent, up_to_multiple};

/// Garbage collection over task time. Spark's executors page marks an executor from here on (`GCTimePercent` of `executorspage.js`).
const SHARE: f64 = 0.1;
/// The share that is no trouble any more: what the gain is computed down to. Ours.
const USUAL: f64 = 0.03;

const RULE: Rule = Rule {
    text: "Tasks spent > 10 % of their time on garbage collection (what Spark's executors page marks red), over stages in which that time is worth telling.",
    source: "https://spark.apache.org/docs/latest/tuning.html#garbage-collection-tuning",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    let mut stages: Vec<(u64, Ran<'_>)> = measure::ran(run)
        .filter(|ran| share(ran) > SHARE)
        .map(|ran| (saved(&ran), ran))
        .collect();
    stages.sort_by_key(|(saved, _)| std::cmp::Reverse(*saved));
    let gain: u64 = stages.iter().map(|(saved, _)| *saved).fold(0, u64::saturating_add);
    let (Some((_, worst)), true) = (stages.first(), worth::time(run, gain)) else {
        return Vec::new();
    };
    let evidence = stages.iter().take(3).map(|(_, ran)| {
        let totals = &ran.stage.totals;
        Evidence::new(
            ran.place(),
            format!(
                "{} of {} of its tasks' time was garbage collection",
                duration(totals.gc_time),
                duration(totals.run_time)
            ),
        )
    });
    let mut evidence: Vec<Evidence> = evidence.collect();
    evidence.push(Evidence::new(
        "heap",
        format!("{} for tasks on {}", bytes(heap(run)), counted(cores(run), "core")),
    ));
    let wanted = up_to_multiple(heap(run).saturating_mul(2), 1 << 30);
    vec![Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "gc-pressure",
            format!(
                "The JVM spent {} of the tasks' time on garbage collection in {}.",
                percent(share(worst)),
                worst.place()
            ),
        )
        .with_evidence(evidence)
        .with_rule(RULE)
        .with_fix(Fix {
            text: format!(
                "Give executors more memory for each core: {} instead of {}, or fewer cores each. \
                Objects made for each record (collect_list, Java or Python objects in RDDs, \
                groupByKey) are what fills the heap; DataFrame functions make none.",
                memory(wanted),
                memory(heap(run)),
            ),
            patch: Some(serde_json::json!({"spec": {"executor": {"memory": memory(wanted)}}})),
        })
        .with_gain(Gain {
            text: format!(
                "about {}: garbage collection beyond 3 % of the tasks' time, over the slots",
                duration(gain)
            ),
            milliseconds: Some(gain),
        }),
        weight: gain,
    }]
}

fn cores(run: &Run) -> u32 {
    run.workers().map(|(_, worker)| worker.cores).max().unwrap_or(1)
}

fn share(ran: &Ran<'_>) -> f64 {
    ran.stage.totals.gc_time as f64 / (ran.stage.totals.run_time as f64).max(1.0)
}

/// Every task of an executor is told the pauses of the whole JVM, so that their mean is the stage's own.
fn saved(ran: &Ran<'_>) -> u64 {
    let totals = &ran.stage.totals;
    let beyond = totals.gc_time as f64 - USUAL * totals.run_time as f64;
    (beyond.max(0.0) / ran.slots().min(ran.tasks.len() as f64).max(1.0)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;

    #[test]
    fn only_much_and_costly_collection_is_told() {
        for (gc, length, told) in [(4_000, 10_000, true), (800, 10_000, false), (400, 1_000, false)] {
            let mut run = fixture::run(1, 4, 100_000);
            let stage = fixture::stage(&mut run, 1, &fixture::even(16, 4, length));
            stage.tasks.iter_mut().for_each(|task| task.gc_time = gc);
            fixture::total(&mut run, 1);
            let findings = rule(&run);
            assert_eq!(findings.len(), usize::from(told), "{gc} of {length}");
            if told {
                assert_eq!(
                    findings[0].diagnostic.gain.as_ref().and_then(|gain| gain.milliseconds),
                    Some(14_800)
                );
                assert_eq!(
                    findings[0].diagnostic.patch().expect("a patch")["spec"]["executor"]["memory"],
                    "2g"
                );
            }
        }
    }
}
