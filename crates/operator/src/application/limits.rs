//! How long things may take: what the operator allows, and what an application's annotations say instead.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use stoke_model::annotations::{self, ACTIVE_DEADLINE, PENDING_TIMEOUT, START_TIMEOUT};
use stoke_model::crd::SparkApplication;

/// The limits of one application; none means that it may take for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How long the driver may be pending in all, counted from its submission.
    pub pending: Option<SignedDuration>,
    /// How long a node may be unable to start the driver (image, configuration, volumes), counted from its scheduling.
    pub start: Option<SignedDuration>,
    /// How long the application may be active in all, retries included, counted from its first submission.
    pub active: Option<SignedDuration>,
    /// How long after its end an application is deleted that does not say it in its spec.
    pub time_to_live: Option<SignedDuration>,
    /// Executors kept in the status; [`KEPT_EXECUTORS`](super::KEPT_EXECUTORS) when none. Live ones are always kept.
    pub executors: Option<usize>,
}

impl Limits {
    /// What holds for `app` when it says nothing else than its annotations.
    ///
    /// # Errors
    /// An annotation that is not a limit, with what to write instead.
    pub fn of(app: &SparkApplication, defaults: Self) -> Result<Self, String> {
        Ok(Self {
            pending: timeout(app, PENDING_TIMEOUT, defaults.pending)?,
            start: timeout(app, START_TIMEOUT, defaults.start)?,
            active: seconds(
                app.annotations().get(ACTIVE_DEADLINE).map(String::as_str),
                ACTIVE_DEADLINE,
            )?
            .or(defaults.active),
            ..defaults
        })
    }
}

fn timeout(
    app: &SparkApplication,
    annotation: &str,
    default: Option<SignedDuration>,
) -> Result<Option<SignedDuration>, String> {
    let Some(text) = app.annotations().get(annotation) else {
        return Ok(default);
    };
    annotations::timeout(text, 0).map_err(|wanted| annotations::refusal(annotation, text, &wanted))
}

/// A whole number of seconds, zero included.
pub(crate) fn seconds(text: Option<&str>, annotation: &str) -> Result<Option<SignedDuration>, String> {
    let Some(text) = text else { return Ok(None) };
    let seconds = annotations::seconds(text).map_err(|wanted| annotations::refusal(annotation, text, &wanted))?;
    Ok(Some(seconds))
}

/// When `limit` after `begun` is, if there is a limit.
pub(super) fn end(begun: Timestamp, limit: Option<SignedDuration>) -> Option<Timestamp> {
    begun.checked_add(limit?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(annotation: &str, text: &str) -> Result<Limits, String> {
        let mut app = SparkApplication::new("pi", Default::default());
        app.annotations_mut().insert(annotation.into(), text.into());
        let defaults = Limits {
            start: Some(SignedDuration::from_mins(1)),
            ..Limits::default()
        };
        Limits::of(&app, defaults)
    }

    #[test]
    fn limits_as_people_write_them() {
        for (text, limit) in [
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("1h30m", Some(5400)),
            ("none", None),
        ] {
            let limit = limit.map(SignedDuration::from_secs);
            assert_eq!(of(PENDING_TIMEOUT, text).unwrap().pending, limit);
            assert_eq!(of(START_TIMEOUT, text).unwrap().start, limit);
        }
        assert_eq!(
            of(ACTIVE_DEADLINE, "60").unwrap().active,
            Some(SignedDuration::from_secs(60))
        );
        assert_eq!(
            of("unrelated", "x").unwrap().start,
            Some(SignedDuration::from_mins(1)),
            "the operator's own"
        );
    }

    #[test]
    fn what_is_no_limit_is_not_allowed() {
        for wrong in ["", "10", "-5m", "0s", "soon"] {
            assert!(
                of(PENDING_TIMEOUT, wrong).unwrap_err().contains("is not allowed"),
                "{wrong}"
            );
        }
        for wrong in ["", "-1", "1m", "soon", "99999999999"] {
            assert!(
                of(ACTIVE_DEADLINE, wrong).unwrap_err().contains("is not allowed"),
                "{wrong}"
            );
        }
    }
}
