//! Data quality as a step of an application: `stoke.dev/quality`.
//!
//! In: an application with the annotation, and the driver pod planned for it. Out: one pod for each phase that runs `stoke quality run`, a
//! container for each step, with the driver's account, volumes and variables; and from how it ended whether the run may go on.
//! - [`facts`]: what is read of such a pod
//! - [`pod`]: the pod as it is made (pure)
//! - `make`: its creation
//!
//! Which moment asks for it, and what follows, is in [`crate::application`]. A pod's name derives from the submission and the annotation, so
//! that an interrupted turn finds it made, and an edited annotation asks again. Costs a phase one pod, a read for each ConfigMap, and one
//! write of the status when it begins and one when it ends; an application without the annotation nothing.

pub mod facts;
mod make;
pub mod pod;

use kube::ResourceExt;
use stoke_model::annotations::quality::{OnFail, Phase, Step, Steps};
use stoke_model::annotations::{self, QUALITY};
use stoke_model::crd::SparkApplication;
use stoke_model::names::short_name;
use stoke_model::units::people::counted;

use crate::names::hex;
pub use facts::CheckPod;
pub(crate) use make::make;

/// Value of `spark-role` on these pods.
pub const ROLE: &str = "quality";
/// Label of these pods: their phase.
pub const LABEL_PHASE: &str = "stoke.dev/quality";

/// Where `stoke` comes from in these pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// The image; none for the driver's own.
    pub image: Option<String>,
    pub program: String,
    /// A directory of these pods in which what steps found is kept, in one for each namespace, where they name none of their own.
    pub history: Option<String>,
}

/// What a check that was to be made came to, when it was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Cause and fix.
    pub message: String,
    /// True when trying again without an edit cannot help.
    pub permanent: bool,
}

/// The steps that an application asks for; none when it asks for none.
///
/// # Errors
/// What is wrong with the annotation.
pub fn steps(app: &SparkApplication) -> Result<Option<Steps>, String> {
    let Some(text) = app.annotations().get(QUALITY) else {
        return Ok(None);
    };
    let read = annotations::quality::read(text);
    read.map(Some)
        .map_err(|wanted| annotations::refusal(QUALITY, text, &wanted))
}

/// The name of the pod that checks a phase of this submission.
#[must_use]
pub fn pod_name(app: &SparkApplication, submission: Option<&str>, phase: Phase) -> String {
    let text = app.annotations().get(QUALITY).map(String::as_str);
    let digest = hex(format!("{}/{}", submission.unwrap_or_default(), text.unwrap_or_default()).as_bytes());
    short_name(&app.name_any(), &format!("{}-{}", phase.word(), &digest[..8]))
}

/// How the steps of a phase ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Steps that let the run not go on, a sentence each.
    pub blocked: Vec<String>,
    /// Steps that do not hold, which only warn.
    pub warned: Vec<String>,
    /// Steps that hold.
    pub passed: usize,
}

impl Verdict {
    /// In a sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let all = self.passed + self.blocked.len() + self.warned.len();
        let mut parts = vec![format!("{} of {} passed", self.passed, counted(all, "contract"))];
        parts.extend(self.blocked.iter().cloned());
        parts.extend(self.warned.iter().map(|warned| format!("(warns only) {warned}")));
        parts.join("; ")
    }
}

/// What a pod that is done, or is waited for no longer, says of its steps; `given_up` says why a step that has not ended is not waited for.
#[must_use]
pub fn judge(steps: &[Step], pod: &CheckPod, given_up: Option<&str>) -> Verdict {
    let mut verdict = Verdict::default();
    for (index, step) in steps.iter().enumerate() {
        let why = match pod.ended.get(&pod::container(index)) {
            Some(ended) if ended.code == 0 => {
                verdict.passed += 1;
                continue;
            }
            Some(ended) => ended.explain(),
            None => match given_up.or(pod.failed.as_deref()) {
                Some(why) => format!("cannot be determined: {why}"),
                None => "cannot be determined: its container is not among those of the pod".to_owned(),
            },
        };
        let told = format!("{} on {}: {why}", step.contract, step.data);
        match step.on_fail {
            OnFail::Block => verdict.blocked.push(told),
            OnFail::Warn => verdict.warned.push(told),
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::facts::Ended;
    use super::*;

    fn step(on_fail: &str, data: &str) -> Step {
        let text = format!("after: [{{contract: c/k, data: {data}, onFail: {on_fail}}}]");
        annotations::quality::read(&text).unwrap().after.remove(0)
    }

    fn ended(code: i32, message: &str) -> Ended {
        Ended {
            code,
            reason: String::new(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn every_step_counts_and_what_cannot_be_told_does_not_hold() {
        let steps = [step("block", "/a"), step("warn", "/b"), step("block", "/c")];
        let with = |codes: &[Option<i32>]| CheckPod {
            ended: codes
                .iter()
                .enumerate()
                .filter_map(|(index, code)| Some((pod::container(index), ended((*code)?, "m"))))
                .collect(),
            ..CheckPod::default()
        };
        for (codes, blocked, warned, passed) in [
            ([Some(0), Some(0), Some(0)], 0, 0, 3),
            ([Some(1), Some(0), Some(0)], 1, 0, 2),
            ([Some(0), Some(3), Some(0)], 0, 1, 2),
            ([Some(2), Some(1), Some(137)], 2, 1, 0),
            ([Some(0), None, None], 1, 1, 1),
        ] {
            let verdict = judge(&steps, &with(&codes), None);
            let counts = (verdict.blocked.len(), verdict.warned.len(), verdict.passed);
            assert_eq!(counts, (blocked, warned, passed), "{codes:?}");
        }
        let late = judge(&steps, &with(&[Some(0), Some(1), None]), Some("it took too long"));
        assert_eq!(late.blocked, ["c/k on /c: cannot be determined: it took too long"]);
        assert_eq!(
            late.summary(),
            "1 of 3 contracts passed; c/k on /c: cannot be determined: it took too long; (warns only) c/k on /b: m"
        );
    }

    #[test]
    fn names_tell_submissions_annotations_and_phases_apart_and_fit() {
        let mut app = SparkApplication::new(&"a".repeat(63), Default::default());
        let name = |app: &SparkApplication, submission| pod_name(app, Some(submission), Phase::Before);
        let first = name(&app, "s1");
        assert!(first.len() <= 63 && first.contains("-before-"), "{first}");
        assert_eq!(first, name(&app, "s1"));
        assert_ne!(first, pod_name(&app, Some("s1"), Phase::After));
        app.metadata.annotations = Some([(QUALITY.to_owned(), "x".to_owned())].into());
        let edited = name(&app, "s1");
        assert_ne!(first, edited);
        assert_ne!(edited, name(&app, "s2"));
    }
}
