//! Logs that outlived their pods, found in the place they are kept at.

use stoke_model::crd::SparkApplication;
use stoke_operator::logs::{self, Kept};
use stoke_operator::names::trace_id;
use stoke_storage::{Address, Cloud, Place};

use crate::error::{LaptopError, Outcome};
use crate::home::Home;
use crate::object_store;
use crate::session::{self, Session};

/// What is looked for.
pub struct Wanted<'a> {
    /// Name of the application.
    pub application: &'a str,
    /// The application, while it is there.
    pub object: Option<&'a SparkApplication>,
    /// Which attempt; the last when none is named.
    pub attempt: Option<u32>,
    /// URL of the place; what the application or the cluster says when none is named.
    pub place: Option<&'a str>,
}

/// All logs kept of one run, the driver's first. Empty when there are none.
///
/// # Errors
/// When the place cannot be opened or does not answer.
pub async fn find(session: &Session, wanted: &Wanted<'_>, home: &Home) -> Outcome<(Option<Place>, Vec<Kept>)> {
    let Some(place) = place(session, wanted, home).await? else {
        return Ok((None, Vec::new()));
    };
    let all = logs::list(&place, &session.namespace, wanted.application).await;
    let mut all = all.map_err(|error| LaptopError::environment(error.code(), error))?;
    if let Some(attempt) = wanted.attempt {
        all.retain(|kept| kept.attempt() == Some(attempt));
    }
    // Its last run, while the application says which that is; else the run that was stored last.
    let status = wanted.object.and_then(|object| object.status.as_ref());
    let last = status.and_then(|status| status.submission_id.as_deref()).map(trace_id);
    let of_last = |kept: &&Kept| last.as_ref().is_some_and(|id| kept.run.ends_with(id.as_str()));
    let run = all.iter().rfind(of_last).or(all.last()).map(|kept| kept.run.clone());
    all.retain(|kept| Some(&kept.run) == run.as_ref());
    // The shortest name is that of Spark's own container.
    all.sort_by_key(|kept| (executor(kept), kept.file.len(), kept.file.clone()));
    Ok((Some(place), all))
}

/// The id of the executor whose log it is; none for the driver's.
pub fn executor(kept: &Kept) -> Option<u32> {
    let (_, id) = kept.file.rsplit_once("-exec-")?;
    id.split('.').next()?.parse().ok()
}

/// Where logs of this cluster's applications are kept.
async fn place(session: &Session, wanted: &Wanted<'_>, home: &Home) -> Outcome<Option<Place>> {
    let told = wanted
        .object
        .and_then(|object| object.status.as_ref()?.kept_logs.as_deref());
    // Namespace, application and run are below it.
    let told = told.and_then(|url| url.rsplitn(4, '/').nth(3));
    let embedded = matches!(session.place, session::Place::Up | session::Place::Private(_));
    let url = match (wanted.place, told) {
        (Some(url), _) | (None, Some(url)) => url,
        (None, None) if embedded => object_store::LOGS,
        (None, None) => return Ok(None),
    };
    let address = Address::of_url(url).map_err(LaptopError::storage)?;
    let of_aws = matches!(address.bucket(), Some((Cloud::Aws, ..)));
    let access = object_store::reach(home, embedded && of_aws).await?;
    stoke_storage::open(&address, &access)
        .map(Some)
        .map_err(LaptopError::storage)
}
