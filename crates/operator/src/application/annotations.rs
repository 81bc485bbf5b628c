//! What an application may ask for beyond the published fields, as annotations.

use kube::ResourceExt;
use stoke_model::annotations::{self, ON_EDIT};
use stoke_model::crd::SparkApplication;

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
        Some(other) => {
            let wanted = annotations::find(ON_EDIT)
                .map(|known| known.form.wanted())
                .unwrap_or_default();
            Err(annotations::refusal(ON_EDIT, other, &wanted))
        }
    }
}
