//! What an application may ask for beyond the published fields, as annotations.

use jiff::SignedDuration;
use kube::ResourceExt;
use stoke_model::crd::SparkApplication;

use stoke_model::duration;
use stoke_model::names::ANNOTATION_ON_EDIT as ON_EDIT;

use crate::names::PENDING_TIMEOUT;

/// What an edit of the spec does to a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnEdit {
    /// The run is stopped and begun again with the new spec: the published behaviour, and the default for a run in progress.
    #[default]
    Restart,
    /// The run goes on; the next one reads the new spec.
    NextRun,
    /// As `NextRun`, and said to be unwanted.
    Reject,
}

/// The annotation `stoke.dev/on-edit`, if there is one.
pub fn on_edit(app: &SparkApplication) -> Result<Option<OnEdit>, String> {
    match app.annotations().get(ON_EDIT).map(String::as_str) {
        None => Ok(None),
        Some("Restart") => Ok(Some(OnEdit::Restart)),
        Some("NextRun") => Ok(Some(OnEdit::NextRun)),
        Some("Reject") => Ok(Some(OnEdit::Reject)),
        Some(other) => Err(format!(
            "annotation {ON_EDIT}: {other:?} is not allowed; write Restart, NextRun or Reject"
        )),
    }
}

/// The annotation `stoke.dev/pending-timeout`, if there is one: a positive duration.
pub fn pending_timeout(app: &SparkApplication) -> Result<Option<SignedDuration>, String> {
    let Some(text) = app.annotations().get(PENDING_TIMEOUT) else {
        return Ok(None);
    };
    match duration::parse_go(text) {
        Ok(limit) if limit.is_positive() => Ok(Some(limit)),
        _ => Err(format!(
            "annotation {PENDING_TIMEOUT}: {text:?} is not allowed; write a duration such as 90s, 10m or 1h30m"
        )),
    }
}

/// The first annotation that asks for something we do not know.
pub fn check(app: &SparkApplication) -> Result<(), String> {
    on_edit(app)?;
    pending_timeout(app)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_people_write_them() {
        let of = |text: &str| {
            let mut app = SparkApplication::new("pi", Default::default());
            app.annotations_mut().insert(PENDING_TIMEOUT.into(), text.into());
            pending_timeout(&app)
        };
        assert_eq!(of("90s"), Ok(Some(SignedDuration::from_secs(90))));
        assert_eq!(of("10m"), Ok(Some(SignedDuration::from_mins(10))));
        assert_eq!(of("1h30m"), Ok(Some(SignedDuration::from_mins(90))));
        for wrong in ["", "10", "-5m", "0s", "soon"] {
            assert!(of(wrong).unwrap_err().contains("is not allowed"), "{wrong}");
        }
    }
}
