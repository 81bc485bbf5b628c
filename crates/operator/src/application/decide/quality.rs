//! The arrows through data quality: what must hold before a run is submitted, and after its driver has ended well.

use stoke_model::annotations::QUALITY;
use stoke_model::annotations::quality::{Phase, Steps};

use super::super::conditions::{self, Held};
use super::super::limits;
use super::{Action, HEARTBEAT, Next, Round, SOON};
use crate::quality::{self, CheckPod, Verdict};

/// What the data say to a phase.
pub(super) enum Gate {
    /// The run may go on.
    Open,
    /// It may not; why, and whether trying again without an edit cannot help.
    Shut(String, bool),
    /// It is not known yet.
    Unknown(Next),
}

impl Round<'_> {
    /// Whether the run on record may pass this phase. Asks for its check until there is one that has ended.
    pub(super) fn quality(&mut self, phase: Phase) -> Gate {
        let steps = match quality::steps(&self.facts.app) {
            Ok(Some(steps)) if !steps.of(phase).is_empty() => steps,
            Ok(_) => {
                conditions::forget_quality(&mut self.status, phase);
                return Gate::Open;
            }
            Err(message) => return Gate::Shut(message, true),
        };
        let name = quality::pod_name(&self.facts.app, self.status.submission_id.as_deref(), phase);
        let facts = self.facts;
        let of_phase = facts.checks.iter().filter(|pod| pod.phase == Some(phase));
        if let Some(old) = of_phase.clone().find(|pod| pod.name != name && !pod.deleting) {
            return Gate::Unknown(Next::Ask(Action::DeleteCheck(old.name.clone())));
        }
        if let Some(refused) = self.check_refused.take() {
            let message = format!("data quality {} the run: {}", phase.word(), refused.message);
            self.hold(phase, Held::No, "CannotTell", &message);
            return Gate::Shut(message, refused.permanent);
        }
        let Some(pod) = of_phase.clone().find(|pod| pod.name == name) else {
            self.hold(phase, Held::Unknown, "CheckPending", "its pod is made");
            return Gate::Unknown(Next::Ask(Action::Check(phase)));
        };
        if pod.deleting {
            return Gate::Unknown(Next::Wait(self.now + SOON));
        }
        let given_up = match (pod.done, self.given_up(pod, &steps)) {
            (true, _) => None,
            (false, Ok(why)) => Some(why),
            (false, Err(look_again)) => {
                let (reason, message) = match &pod.pending {
                    Some(pending) => ("CheckPending", format!("pod {name}: {pending}")),
                    None => ("CheckRunning", format!("pod {name}")),
                };
                self.hold(phase, Held::Unknown, reason, &message);
                return Gate::Unknown(Next::Wait(look_again));
            }
        };
        let verdict = quality::judge(steps.of(phase), pod, given_up.as_deref());
        self.conclude(phase, &name, &verdict)
    }

    fn conclude(&mut self, phase: Phase, pod: &str, verdict: &Verdict) -> Gate {
        let summary = format!("{} (pod {pod})", verdict.summary());
        match (verdict.blocked.is_empty(), verdict.warned.is_empty()) {
            (true, true) => self.hold(phase, Held::Yes, "Passed", &summary),
            (true, false) => self.hold(phase, Held::Yes, "Warned", &summary),
            (false, _) => {
                self.hold(phase, Held::No, "Failed", &summary);
                return Gate::Shut(format!("data quality {} the run: {summary}", phase.word()), false);
            }
        }
        Gate::Open
    }

    /// Why a check that has not ended is waited for no longer; or when to look again.
    fn given_up(&self, pod: &CheckPod, steps: &Steps) -> Result<String, jiff::Timestamp> {
        let made = pod.created.unwrap_or(self.now).min(self.now);
        let why = pod
            .pending
            .as_ref()
            .map(|pending| format!(": {pending}"))
            .unwrap_or_default();
        let start = match &pod.pending {
            Some(pending) if pending.on_node => self.limits.start,
            Some(_) => self.limits.pending,
            None => None,
        };
        let mut look_again = self.now + HEARTBEAT;
        for (limit, what) in [(Some(steps.timeout), "end"), (start, "start")] {
            let (Some(limit), Some(end)) = (limit, limits::end(made, limit)) else {
                continue;
            };
            if self.now >= end {
                return Ok(format!("it did not {what} within {limit:#} ({QUALITY}){why}"));
            }
            look_again = look_again.min(end);
        }
        Err(look_again)
    }

    fn hold(&mut self, phase: Phase, held: Held, reason: &'static str, message: &str) {
        let told = conditions::quality(&mut self.status, phase, held, reason, message, self.now);
        self.events.extend(told);
    }

    /// A check that still may run and that nothing waits for any more goes.
    pub(super) fn stray_check(&self) -> Option<Next> {
        let stray = self.facts.checks.iter().find(|pod| !pod.done && !pod.deleting)?;
        Some(Next::Ask(Action::DeleteCheck(stray.name.clone())))
    }
}
