//! What is wrong with a run, ranked, the root cause first.
//!
//! A rule is a function of [`Facts`](crate::facts::Facts) that gives findings. Rules about failures look at what ended the run; rules about
//! speed look at how it ran. A healthy run gives none.

pub mod failures;
pub mod performance;

use std::cmp::Reverse;

use stoke_diagnostics::Diagnostic;

use crate::facts::Facts;

/// Everything that is found, the most severe first and the root cause at the top. Of what is as severe, failures come before advice about
/// speed, each in the order its own rules give.
///
/// Cost: linear in the tasks of the run and the lines of its logs, for each rule.
pub fn examine(facts: &Facts) -> Vec<Diagnostic> {
    let mut slow = performance::findings(facts);
    let mut findings = failures::findings(facts);
    if failures::explain_lost_work(&findings) {
        slow.retain(|finding| finding.code != performance::lost::LOST_WORK);
    }
    findings.append(&mut slow);
    findings.sort_by_key(|finding| Reverse(finding.severity));
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::{Cluster, Objects};

    /// Work was done again because an executor was killed for its memory: that is one finding, where the cluster tells why.
    #[test]
    fn work_that_was_lost_with_executors_is_explained_by_what_they_died_of() {
        let mut run = performance::fixture::run(1, 4, 150_000);
        performance::fixture::stage(&mut run, 1, &performance::fixture::even(24, 4, 10_000)).failure =
            Some("FetchFailed(...)".to_owned());
        let mut again = run.stages[&(1, 0)].clone();
        again.attempt = 1;
        run.stages.insert((1, 1), again);
        let killed = json!({
            "metadata": {"name": "pi-exec-1", "labels": {"spark-role": "executor", "spark-exec-id": "1"}},
            "status": {"phase": "Failed", "containerStatuses": [{"name": "spark-kubernetes-executor",
                "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]},
        });
        for (pods, expected) in [(vec![], "lost-work"), (vec![killed], "executor-oom-killed")] {
            let objects = Objects {
                application: json!({"status": {"applicationState": {"state": "COMPLETED"}}}),
                pods,
                ..Objects::default()
            };
            let facts = Facts {
                run: Some(run.clone()),
                cluster: Some(Cluster::of_objects(objects)),
                ..Facts::default()
            };
            // That the driver was alone for most of that time is another matter.
            let found = examine(&facts)
                .into_iter()
                .filter(|finding| finding.code != "driver-bound");
            assert_eq!(found.map(|finding| finding.code).collect::<Vec<_>>(), [expected]);
        }
    }
}
