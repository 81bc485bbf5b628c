//! What every kind's turn has in common: how long it may take, how it ends, and what is done when it stood on old facts.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::Api;
use serde::de::DeserializeOwned;

use super::Clock;
use super::queue::Worked;
use crate::act::is_code;

/// An API server that does not answer for so long holds up this object only, and only until then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Timers count on while the clock is set and stand still while a machine sleeps: no one trusts one for longer than this.
const LONGEST: Duration = Duration::from_secs(300);

/// Why a turn ended early.
pub(super) enum Stop {
    /// The object changed since it was read.
    Outdated,
    Gone,
    /// The API server did not do what was asked.
    Api(kube::Error),
}

impl From<kube::Error> for Stop {
    fn from(error: kube::Error) -> Self {
        Self::Api(error)
    }
}

impl Stop {
    /// For a turn whose every conflict and absence is about the object itself.
    pub(super) fn of_own(error: kube::Error) -> Self {
        match error {
            error if is_code(&error, 404) => Self::Gone,
            error if is_code(&error, 409) => Self::Outdated,
            error => Self::Api(error),
        }
    }
}

/// Takes a turn to its end. One that stood on old facts has `learn` told what the API server itself holds.
pub(super) async fn take<K>(
    turn: impl Future<Output = Result<Option<Timestamp>, Stop>>,
    clock: &Clock,
    api: Api<K>,
    name: &str,
    learn: impl FnOnce(&K),
) -> Worked
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    match tokio::time::timeout(PATIENCE, turn).await {
        Ok(Ok(again)) => Worked::Done(again.map(|at| from(clock.now(), at))),
        Ok(Err(Stop::Gone)) => Worked::Done(None),
        Ok(Err(Stop::Outdated)) => match api.get_opt(name).await {
            Ok(Some(stored)) => {
                learn(&stored);
                Worked::Again
            }
            // The watch will say so too.
            Ok(None) => Worked::Done(None),
            Err(error) => {
                tracing::warn!(%error, "the object could not be read");
                Worked::Failed
            }
        },
        Ok(Err(Stop::Api(error))) => {
            tracing::warn!(%error, "the API server did not do what was asked; trying again");
            Worked::Failed
        }
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            tracing::warn!(seconds, "the API server did not answer; trying again");
            Worked::Failed
        }
    }
}

fn from(now: Timestamp, at: Timestamp) -> Duration {
    // Timers round down; a moment later is late enough for every "strictly after".
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default() + Duration::from_millis(1);
    wait.min(LONGEST)
}
