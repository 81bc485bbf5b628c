//! A watch of one scope (a namespace, or an empty name for all) that begins again by itself, as every watch of the operator is made.
//!
//! How soon depends on what ended it: one that fell behind lists again at once, one whose server does not answer asks in turn with all others
//! ([`Reach`]), one that was refused asks every few seconds.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::api::Api;
use kube::core::ApiResource;
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::seen::{Seen, SeenPod};
use crate::reach::{Pauses, Reach, chance, is_answer};

/// What one of several watches told.
pub(crate) type Followed<T> = BoxStream<'static, T>;

/// Trouble after so much time without it is new.
const FORGET: Duration = Duration::from_secs(30);

/// What interrupts a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The server's memory of changes begins later than where the watch was. Seldom more than once, unless the server is in need.
    Behind,
    /// No answer, or one that the server cannot mean.
    Unanswered,
    /// A definition or a right is missing, or what came cannot be read. Asking again changes nothing; someone has to.
    Refused,
}

impl Trouble {
    fn of(error: &watcher::Error) -> Self {
        use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
        let code = match error {
            WatchError(status) => status.code,
            InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => match error {
                kube::Error::Api(status) => status.code,
                kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) | kube::Error::BuildRequest(_) => {
                    return Self::Refused;
                }
                _ => return Self::Unanswered,
            },
            NoResourceVersion => return Self::Refused,
        };
        match code {
            410 => Self::Behind,
            code if is_answer(code) => Self::Refused,
            _ => Self::Unanswered,
        }
    }

    fn pauses(self) -> Pauses {
        let (first, longest) = match self {
            Self::Behind => (100, 5000),
            Self::Unanswered => (100, 1000),
            Self::Refused => (500, 5000),
        };
        Pauses {
            first: Duration::from_millis(first),
            longest: Duration::from_millis(longest),
        }
    }
}

/// How often a watch was interrupted lately, and by what.
#[derive(Default)]
struct Troubles {
    /// By [`Trouble`]: when last, and how often in a row.
    lately: [Option<(Instant, u32)>; 3],
}

impl Troubles {
    /// How long to wait after this one. Each kind is counted by itself: what a starting server says must not wait for what its absence cost.
    fn pause(&mut self, trouble: Trouble, now: Instant, chance: f64) -> Duration {
        let lately = &mut self.lately[trouble as usize];
        let before = lately.map_or(0, |(last, times)| if now - last > FORGET { 0 } else { times });
        *lately = Some((now, before.saturating_add(1)));
        trouble.pauses().after(before, chance)
    }
}

/// Custom resources of a scope.
pub(crate) fn objects(client: &Client, scope: &str, resource: &ApiResource) -> Api<Seen> {
    match scope {
        "" => Api::all_with(client.clone(), resource),
        namespace => Api::namespaced_with(client.clone(), namespace, resource),
    }
}

/// Pods of a scope. One that cannot be read does not end their watch.
pub(crate) fn pods(client: &Client, scope: &str) -> Api<SeenPod> {
    match scope {
        "" => Api::all(client.clone()),
        namespace => Api::namespaced(client.clone(), namespace),
    }
}

/// Watches, waits as long as it takes after each interruption, and passes every event through `mark`. Never ends.
pub(crate) fn follow<K, T>(
    reach: &Reach,
    api: Api<K>,
    config: watcher::Config,
    mark: impl Fn(Event<K>) -> T + Send + 'static,
) -> Followed<T>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let (reach, url) = (reach.clone(), api.resource_url().to_owned());
    let told = watcher::watcher(api, config)
        .scan(Troubles::default(), move |troubles, told| {
            let pause = told.as_ref().err().map(|error| {
                let trouble = Trouble::of(error);
                // That the server does not answer is said once for all watches.
                if trouble != Trouble::Unanswered && reach.may_say(resource(&url)) {
                    tracing::warn!(%error, watch = url, "a watch was interrupted and begins again");
                }
                (trouble, troubles.pause(trouble, Instant::now(), chance()))
            });
            let reach = reach.clone();
            async move {
                if let Some((trouble, pause)) = pause {
                    tokio::time::sleep(pause).await;
                    if trouble == Trouble::Unanswered {
                        reach.turn().await;
                    }
                }
                Some(told.ok())
            }
        })
        .filter_map(std::future::ready);
    told.map(mark).boxed()
}

/// The resource of a list's URL.
fn resource(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn status(code: u16) -> Box<Status> {
        Status::failure("no", "No").with_code(code).boxed()
    }

    #[test]
    fn what_interrupts_a_watch() {
        use Trouble::{Behind, Refused, Unanswered};
        use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
        let api = |code| kube::Error::Api(status(code));
        let broken = || kube::Error::ReadEvents(std::io::ErrorKind::ConnectionReset.into());
        let refused = || kube::Error::Service("connection refused".into());
        let unreadable = || kube::Error::SerdeError(serde_json::from_str::<u8>("x").unwrap_err());
        let table = [
            (WatchError(status(410)), Behind),
            (WatchStartFailed(api(410)), Behind),
            (InitialListFailed(api(410)), Behind),
            (WatchError(status(500)), Unanswered),
            (InitialListFailed(api(503)), Unanswered),
            (InitialListFailed(api(429)), Unanswered),
            (InitialListFailed(refused()), Unanswered),
            (WatchStartFailed(refused()), Unanswered),
            (WatchFailed(broken()), Unanswered),
            (InitialListFailed(api(404)), Refused),
            (WatchStartFailed(api(403)), Refused),
            (InitialListFailed(api(401)), Refused),
            (InitialListFailed(unreadable()), Refused),
            (NoResourceVersion, Refused),
        ];
        for (error, trouble) in table {
            assert_eq!(Trouble::of(&error), trouble, "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_trouble_has_its_pauses() {
        use Trouble::{Behind, Refused, Unanswered};
        let mut troubles = Troubles::default();
        let begun = Instant::now();
        // (second, trouble, milliseconds to wait with an even chance)
        let table = [
            (0, Unanswered, 100),
            (1, Unanswered, 200),
            (2, Unanswered, 400),
            (3, Unanswered, 800),
            (4, Unanswered, 1000),
            (30, Unanswered, 1000),
            // However long it was away: what it says when it is back is new.
            (31, Behind, 100),
            (31, Behind, 200),
            (31, Refused, 500),
            (32, Refused, 1000),
            (33, Refused, 2000),
            (35, Refused, 4000),
            (40, Refused, 5000),
            (45, Refused, 5000),
            (45, Behind, 400),
            (45, Behind, 800),
            (45, Behind, 1600),
            (45, Behind, 3200),
            (45, Behind, 5000),
            (76, Behind, 100),
            (76, Unanswered, 100),
            (76, Refused, 500),
        ];
        for (second, trouble, wait) in table {
            let now = begun + Duration::from_secs(second);
            let pause = troubles.pause(trouble, now, 0.5);
            assert_eq!(pause, Duration::from_millis(wait), "{trouble:?} at {second}");
        }
    }
}
