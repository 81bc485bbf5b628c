//! When a server is in use, and when it has been unused for so long that it is stopped. Pure.
//!
//! In use: an operation runs. A session that is open and computes nothing does not keep a server: clients that vanished leave such ones, and
//! servers before Spark 4 keep them for an hour. Unused since: the first look at which nothing ran and nothing new had happened. What is not
//! known is not unused.
//!
//! The condition `ServerInUse` is the memory of it: it outlives an operator, and the published definition has room for it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use stoke_model::annotations::{self, IDLE_TIMEOUT, WAKE};
use stoke_model::crd::SparkConnect;

use super::decide::seconds;
use super::usage::{Counts, Usage};

/// The condition that says whether a server is in use.
pub const CONDITION: &str = "ServerInUse";
/// How often the page of a server is read.
const READ_EVERY: SignedDuration = SignedDuration::from_secs(30);
/// How often at most, however soon it is to be stopped.
const READ_EVERY_AT_MOST: SignedDuration = SignedDuration::from_secs(2);
/// The least that can be asked for, in seconds.
const SHORTEST: i64 = 5;

/// The annotation `stoke.dev/idle-timeout`: how long nothing may be computed; none when the server is never stopped.
///
/// # Errors
/// What is wrong with it and what to write.
pub fn timeout(connect: &SparkConnect) -> Result<Option<SignedDuration>, String> {
    let Some(text) = connect.annotations().get(IDLE_TIMEOUT) else {
        return Ok(None);
    };
    annotations::timeout(text, SHORTEST).map_err(|wanted| annotations::refusal(IDLE_TIMEOUT, text, &wanted))
}

/// The annotation `stoke.dev/wake`: when someone last asked for the server.
///
/// # Errors
/// What is wrong with it and what to write.
pub fn wake(connect: &SparkConnect) -> Result<Option<Timestamp>, String> {
    let Some(text) = connect.annotations().get(WAKE) else {
        return Ok(None);
    };
    let time = annotations::time(text).map_err(|wanted| annotations::refusal(WAKE, text, &wanted))?;
    Ok(Some(time))
}

/// How long after a look at the page the next one is due.
#[must_use]
pub fn interval(timeout: Option<SignedDuration>) -> SignedDuration {
    timeout.map_or(READ_EVERY, |timeout| {
        (timeout / 4).clamp(READ_EVERY_AT_MOST, READ_EVERY)
    })
}

/// When a server of this condition is stopped: so long after it was last in use and last asked for; none while it is in use or not known to be.
#[must_use]
pub fn due(condition: Option<&Condition>, timeout: SignedDuration, asked: Option<Timestamp>) -> Option<Timestamp> {
    let unused_since = condition
        .filter(|condition| condition.status == "False")?
        .last_transition_time
        .0;
    unused_since
        .max(asked.unwrap_or(unused_since))
        .checked_add(timeout)
        .ok()
}

/// The condition after a look, from the one before. `remark` is added to what it says.
#[must_use]
pub fn condition(
    usage: &Usage,
    before: Option<&Condition>,
    remark: Option<&str>,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let (status, reason, what, last) = match usage {
        Usage::Known(counts) if counts.operations > 0 => ("True", "OperationsRun", open(counts), String::new()),
        Usage::Known(counts) => {
            let reason = if counts.sessions == 0 {
                "NoSessions"
            } else {
                "SessionsIdle"
            };
            let last = match &counts.latest {
                Some(time) => format!("; the last of all was at {time} by the server's clock"),
                None => "; nothing was computed yet".to_owned(),
            };
            ("False", reason, open(counts), last)
        }
        Usage::Unknown { reason, message } => (
            "Unknown",
            *reason,
            format!("sessions are not counted: {message}"),
            String::new(),
        ),
    };
    // What happened between two looks and is over is in `last`: the server was in use meanwhile.
    let kept = before.filter(|before| before.status == status && before.message.contains(&last));
    let remark = remark.map(|remark| format!("; {remark}")).unwrap_or_default();
    Condition {
        type_: CONDITION.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: format!("{what}{last}{remark}"),
        last_transition_time: kept.map_or_else(|| seconds(now), |kept| kept.last_transition_time.clone()),
        observed_generation: generation,
    }
}

fn open(counts: &Counts) -> String {
    let sessions = match counts.sessions {
        0 => "no session is open".to_owned(),
        1 => "1 session is open".to_owned(),
        many => format!("{many} sessions are open"),
    };
    let operations = match counts.operations {
        0 => "no operation runs".to_owned(),
        1 => "1 operation runs".to_owned(),
        many => format!("{many} operations run"),
    };
    format!("{sessions}, {operations}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(name: &str, value: &str) -> SparkConnect {
        let mut connect = SparkConnect::new("lab", Default::default());
        connect.annotations_mut().insert(name.into(), value.into());
        connect
    }

    #[test]
    fn timeouts_and_times_as_people_write_them() {
        for (text, seconds) in [
            ("5s", Some(5)),
            ("30m", Some(1800)),
            ("1h30m", Some(5400)),
            ("none", None),
        ] {
            let timeout = timeout(&annotated(IDLE_TIMEOUT, text));
            assert_eq!(timeout, Ok(seconds.map(SignedDuration::from_secs)), "{text}");
        }
        for wrong in ["", "30", "4s", "0s", "-5m", "soon"] {
            let said = timeout(&annotated(IDLE_TIMEOUT, wrong)).unwrap_err();
            assert!(
                said.contains("stoke.dev/idle-timeout") && said.contains("such as 30m"),
                "{said}"
            );
        }
        assert_eq!(timeout(&annotated("unrelated", "x")), Ok(None));
        let time = wake(&annotated(WAKE, "1970-01-01T00:00:07Z")).unwrap();
        assert_eq!(time, Some(Timestamp::from_second(7).unwrap()));
        assert!(wake(&annotated(WAKE, "now")).unwrap_err().contains("such as 2026"));
    }

    #[test]
    fn a_page_is_read_seldom() {
        for (timeout, every) in [(None, 30), (Some(5), 2), (Some(60), 15), (Some(3600), 30)] {
            let timeout = timeout.map(SignedDuration::from_secs);
            assert_eq!(interval(timeout), SignedDuration::from_secs(every));
        }
    }

    fn known(sessions: u32, operations: u32, latest: &str) -> Usage {
        Usage::Known(Counts {
            sessions,
            operations,
            latest: (!latest.is_empty()).then(|| latest.to_owned()),
        })
    }

    #[test]
    fn unused_begins_when_the_last_thing_was_done() {
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        let at = |step: i64| start + SignedDuration::from_secs(30 * step);
        let (one, two) = ("2026/11/21 20:37:07", "2026/11/21 20:38:07");
        let looks = [
            (known(0, 0, ""), "False", "NoSessions", Some(0)),
            (known(0, 0, ""), "False", "NoSessions", Some(0)),
            // Someone opened a session.
            (known(1, 0, one), "False", "SessionsIdle", Some(2)),
            (known(1, 1, one), "True", "OperationsRun", None),
            (known(2, 2, two), "True", "OperationsRun", None),
            (known(2, 0, two), "False", "SessionsIdle", Some(5)),
            // A session that closes is no use.
            (known(1, 0, two), "False", "SessionsIdle", Some(5)),
            (Usage::off("spark.ui.enabled is false".into()), "Unknown", "UIOff", None),
            (known(1, 0, two), "False", "SessionsIdle", Some(8)),
            // Something ran between two looks.
            (known(1, 0, "2026/11/21 20:39:07"), "False", "SessionsIdle", Some(9)),
            (Usage::unreadable("no"), "Unknown", "UINotReadable", None),
        ];
        let timeout = SignedDuration::from_mins(30);
        let mut before: Option<Condition> = None;
        for (step, (usage, status, reason, since)) in looks.into_iter().enumerate() {
            let now = at(i64::try_from(step).unwrap());
            let after = condition(&usage, before.as_ref(), None, Some(1), now);
            assert_eq!(
                (after.status.as_str(), after.reason.as_str()),
                (status, reason),
                "{step}"
            );
            let due = due(Some(&after), timeout, None);
            assert_eq!(due, since.map(|step| at(step) + timeout), "{step}: {after:?}");
            before = Some(after);
        }
    }

    #[test]
    fn who_asks_for_a_server_has_all_the_time_again() {
        let (timeout, now) = (
            SignedDuration::from_mins(30),
            Timestamp::from_second(1_800_000_000).unwrap(),
        );
        let unused = condition(&known(0, 0, ""), None, None, None, now);
        for (asked, counted) in [(-60, 0), (60, 60), (86400, 86400)] {
            let asked = now + SignedDuration::from_secs(asked);
            let counted = now + SignedDuration::from_secs(counted) + timeout;
            assert_eq!(due(Some(&unused), timeout, Some(asked)), Some(counted));
        }
        assert_eq!(due(None, timeout, Some(now)), None);
    }

    #[test]
    fn a_remark_is_said_and_changes_nothing_else() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let plain = condition(&known(1, 0, "2026/11/21 20:37:07"), None, None, None, now);
        let later = now + SignedDuration::from_mins(1);
        let remarked = condition(
            &known(1, 0, "2026/11/21 20:37:07"),
            Some(&plain),
            Some("mind this"),
            None,
            later,
        );
        assert_eq!(remarked.last_transition_time, plain.last_transition_time);
        assert!(remarked.message.ends_with("; mind this"), "{}", remarked.message);
    }
}
