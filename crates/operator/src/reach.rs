//! Whether the API server answers, as every request of an operator tells. While it does not, watches ask in turns: one question a second,
//! however many watches there are. Its first answer wakes all that wait for it.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::BoxError;

use crate::client::through;

/// Waits that double with every failure up to a longest one.
pub(crate) struct Pauses {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

/// Between two questions to a server that does not answer. Operators that wait for the same server must not ask at the same moment.
const QUESTIONS: Pauses = Pauses {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(1),
};
/// What waited for the server begins again within this.
const SPREAD: Duration = Duration::from_millis(300);
/// From when on an absence is worth a line, and how often again.
const SAY_AFTER: Duration = Duration::from_secs(1);
const SAY_EVERY: Duration = Duration::from_secs(60);
/// How often what else troubles the watches of a resource is worth a line.
const SAY_TROUBLE_EVERY: Duration = Duration::from_secs(30);

impl Pauses {
    /// How long to wait after so many failures before this one. `chance` is between 0 and 1: half as long, to half as long again.
    pub(crate) fn after(&self, failures: u32, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.min(16)).min(self.longest);
        doubled.mul_f64(0.5 + chance.clamp(0.0, 1.0))
    }
}

/// Between 0 and 1. Not a secret: it only spreads operators over time.
pub(crate) fn chance() -> f64 {
    let random = std::hash::RandomState::new().hash_one(0_u8);
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

/// Whether the API server answers. Every clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Reach(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    away: Mutex<Option<Away>>,
    /// How often it came back.
    returns: watch::Sender<u64>,
    /// By resource: when it was last said what troubles its watches.
    said: Mutex<HashMap<String, Instant>>,
}

/// A server that does not answer.
#[derive(Debug)]
struct Away {
    since: Instant,
    /// Questions since, and when the next one may be asked.
    asked: u32,
    next: Instant,
    said: Option<Instant>,
    cause: String,
}

impl Reach {
    fn away(&self) -> MutexGuard<'_, Option<Away>> {
        self.0.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client whose requests tell whether the server answers.
    pub(crate) fn over(&self, client: &Client) -> Client {
        let reach = self.clone();
        through(client, move |inner, request| {
            let reach = reach.clone();
            async move {
                let answer = inner.send(request).await;
                match &answer {
                    Ok(response) if is_answer(response.status().as_u16()) => reach.answered(),
                    Ok(response) => reach.unanswered(|| response.status().to_string()),
                    Err(error) => reach.unanswered(|| error.to_string()),
                }
                answer.map_err(BoxError::from)
            }
        })
    }

    /// Returns when a question may be asked: at once while the server answers; else in turn, or when it has answered someone.
    pub(crate) async fn turn(&self) {
        let mut returns = self.returns();
        loop {
            let next = match self.away().as_mut() {
                None => return,
                Some(away) => match away.ask(Instant::now(), chance()) {
                    true => return,
                    false => away.next,
                },
            };
            tokio::select! {
                _ = returns.changed() => return tokio::time::sleep(SPREAD.mul_f64(chance())).await,
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Changes whenever the server comes back.
    pub(crate) fn returns(&self) -> watch::Receiver<u64> {
        self.0.returns.subscribe()
    }

    /// Whether it is time for a line about the watches of this resource, of which there is one in every watched namespace.
    pub(crate) fn may_say(&self, resource: &str) -> bool {
        let now = Instant::now();
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        let due = said.get(resource).is_none_or(|said| now - *said >= SAY_TROUBLE_EVERY);
        if due {
            said.insert(resource.to_owned(), now);
        }
        due
    }

    fn answered(&self) {
        let Some(away) = self.away().take() else { return };
        if away.said.is_some() {
            let seconds = away.since.elapsed().as_secs();
            tracing::info!(seconds, "the API server answers again");
        }
        self.0.returns.send_modify(|returns| *returns += 1);
    }

    fn unanswered(&self, cause: impl FnOnce() -> String) {
        let mut away = self.away();
        match away.as_mut() {
            Some(away) => away.cause = cause(),
            None => {
                let now = Instant::now();
                *away = Some(Away {
                    since: now,
                    asked: 0,
                    next: now + QUESTIONS.after(0, chance()),
                    said: None,
                    cause: cause(),
                });
            }
        }
    }
}

impl Away {
    /// Takes the turn, when it is time.
    fn ask(&mut self, now: Instant, chance: f64) -> bool {
        if now < self.next {
            return false;
        }
        self.asked = self.asked.saturating_add(1);
        self.next = now + QUESTIONS.after(self.asked, chance);
        let quiet = self
            .said
            .map_or(now - self.since < SAY_AFTER, |said| now - said < SAY_EVERY);
        if !quiet {
            self.said = Some(now);
            let seconds = (now - self.since).as_secs();
            tracing::warn!(
                seconds,
                cause = self.cause,
                "the API server does not answer; asking once a second"
            );
        }
        true
    }
}

/// Whether a server that says this works: one that is starting, overloaded, or not behind its load balancer does not.
pub(crate) fn is_answer(code: u16) -> bool {
    code < 500 && code != 429
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread_by_half() {
        // (failures before, chance, wait)
        let table = [
            (0, 0.5, 100),
            (1, 0.5, 200),
            (3, 0.5, 800),
            (4, 0.5, 1000),
            (4000, 0.5, 1000),
            (4, 0.0, 500),
            (4, 1.0, 1500),
            (0, 0.0, 50),
            (0, 7.0, 150),
        ];
        for (failures, chance, wait) in table {
            assert_eq!(QUESTIONS.after(failures, chance), ms(wait), "{failures} {chance}");
        }
        assert!((0..1000).all(|_| (0.0..=1.0).contains(&chance())));
    }

    #[test]
    fn codes_of_a_server_that_works() {
        let works = [200, 201, 400, 401, 403, 404, 409, 410, 422];
        assert!(works.into_iter().all(is_answer));
        assert!(![429, 500, 502, 503, 504].into_iter().any(is_answer));
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_that_stays_is_said_every_half_minute() {
        let reach = Reach::default();
        let mut said = 0;
        for _ in 0..60 {
            said += (0..50).filter(|_| reach.may_say("sparkapplications")).count();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(said, 2);
        assert!(reach.may_say("pods"));
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_wait_ask_once_a_second_and_begin_again_together() {
        let reach = Reach::default();
        reach.turn().await;
        reach.unanswered(|| "refused".into());
        let asked = Arc::new(Mutex::new(0_u32));
        let watching: Vec<_> = (0..300)
            .map(|_| {
                let (reach, asked) = (reach.clone(), asked.clone());
                tokio::spawn(async move {
                    let mut returns = reach.returns();
                    while !returns.has_changed().unwrap() {
                        reach.turn().await;
                        *asked.lock().unwrap() += 1;
                        tokio::task::yield_now().await;
                    }
                    drop(returns.borrow_and_update());
                    Instant::now()
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let questions = *asked.lock().unwrap();
        assert!((40..=130).contains(&questions), "{questions} questions in a minute");
        let back = Instant::now();
        reach.answered();
        for watch in watching {
            assert!(watch.await.unwrap() - back <= SPREAD);
        }
        // The next absence is a new one.
        reach.turn().await;
        reach.unanswered(|| "refused".into());
        let again = Instant::now();
        reach.turn().await;
        assert!(again.elapsed() <= ms(160), "{:?}", again.elapsed());
    }
}
