//! Executors that the API server refuses to make, as the driver's log tells: no pod and no event does, for there is no pod.

use jiff::Timestamp;

use super::Waiting;

/// Lines of a driver's log, read in their order.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    standing: Option<Waiting>,
}

impl Refusals {
    /// Takes a line that was written at this time. What it tells is given where it was not standing already.
    pub fn line(&mut self, line: &str, at: Option<Timestamp>, namespace: &str) -> Option<&Waiting> {
        if line.contains("Registered executor ") {
            self.standing = None;
            return None;
        }
        let waiting = refusal(line, at, namespace)?;
        if let Some(standing) = self.standing.as_mut().filter(|known| known.fix == waiting.fix) {
            standing.message = waiting.message;
            return None;
        }
        self.standing = Some(waiting);
        self.standing.as_ref()
    }

    /// What was refused last, when no executor has come since.
    #[must_use]
    pub fn standing(&self) -> Option<&Waiting> {
        self.standing.as_ref()
    }

    /// What a whole log tells, each line as `kubectl logs --timestamps` gives it: the time, a space, the line.
    #[must_use]
    pub fn of_log(log: &str, namespace: &str) -> Refusals {
        let mut refusals = Refusals::default();
        for line in log.lines() {
            let (at, rest) = line.split_once(' ').unwrap_or((line, ""));
            let at: Option<Timestamp> = at.parse().ok();
            refusals.line(if at.is_some() { rest } else { line }, at, namespace);
        }
        refusals
    }
}

/// The refusal a line of a driver's log tells of.
fn refusal(line: &str, at: Option<Timestamp>, namespace: &str) -> Option<Waiting> {
    let (_, rest) = line.split_once("Failure executing: POST at: ")?;
    let (_, rest) = rest.split_once("/pods. Message: ")?;
    let said = rest.split(". Received status").next().unwrap_or(rest);
    let said = said.replace("\\\"", "\"");
    // The pod's name is another one at each try.
    let message = match said.split_once(" is forbidden: ") {
        Some((_, why)) if !why.starts_with("User ") => why,
        _ => &said,
    };
    let (reason, fix) = class(message, namespace);
    Some(Waiting {
        reason: reason.to_owned(),
        message: message.trim_end_matches('.').to_owned(),
        since: at,
        after: None,
        fix,
    })
}

fn class(message: &str, namespace: &str) -> (&'static str, String) {
    let has = |words: &str| message.contains(words);
    if let Some(quota) = quota(message) {
        return ("QuotaExceeded", quota_fix(quota, namespace));
    }
    let (reason, fix) = if has("violates PodSecurity") {
        (
            "PodSecurityDenied",
            "set the security context it names in the manifest (spec.executor.securityContext)",
        )
    } else if has("failed calling webhook") {
        (
            "WebhookFailed",
            "the admission webhook's service must be brought back (whoever administers it can)",
        )
    } else if has("denied the request") || has("denied request") {
        (
            "AdmissionDenied",
            "change the manifest as the message asks, or have the policy make an exception (whoever administers it can)",
        )
    } else if has("usage per ") {
        (
            "LimitRangeExceeded",
            "keep executors within the bounds it names, or have the LimitRange changed (whoever administers the namespace can)",
        )
    } else if has("cannot create resource") {
        (
            "Forbidden",
            "bind a role that may create pods to the driver's ServiceAccount (whoever administers the namespace can)",
        )
    } else {
        ("Refused", "correct the executor in the manifest as the message asks")
    };
    (reason, fix.to_owned())
}

/// The name of the quota a message tells of: `exceeded quota: NAME, requested: …`, `failed quota: NAME: must specify …`.
#[must_use]
pub fn quota(message: &str) -> Option<&str> {
    let marks = ["exceeded quota: ", "failed quota: "];
    let (_, rest) = marks.iter().find_map(|mark| message.split_once(mark))?;
    rest.split([',', ':']).next().map(str::trim)
}

/// What to do about a quota, and who can.
#[must_use]
pub fn quota_fix(quota: &str, namespace: &str) -> String {
    format!(
        "ask for less in the manifest (fewer or smaller executors), wait until others end, or have the quota raised (whoever administers the namespace can: kubectl -n {namespace} edit resourcequota {quota})"
    )
}
