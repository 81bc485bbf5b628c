//! Sessions: what a cookie stands for, and when it ends. The clock is passed in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

use crate::live::Live;

/// What is kept of a secret.
pub type Key = [u8; 32];

/// How long sessions last.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Without a request of a person.
    pub idle: Duration,
    /// In all.
    pub whole: Duration,
    /// How many there are at a time; one more ends the one that was idle longest.
    pub most: usize,
}

impl Terms {
    /// On a laptop the link can be opened again.
    pub const LAPTOP: Terms = Terms {
        idle: Duration::from_secs(24 * 3600),
        whole: Duration::from_secs(7 * 24 * 3600),
        most: 64,
    };
    /// On a cluster.
    pub const CLUSTER: Terms = Terms {
        idle: Duration::from_secs(3600),
        whole: Duration::from_secs(12 * 3600),
        most: 1000,
    };
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The cluster as this visitor may see it.
    pub live: Arc<Live>,
    /// Their name.
    pub who: String,
    /// What their forms carry.
    pub csrf: String,
    /// Their session; none for who shows a token with each request, which no other site can make a browser do.
    pub cookie: Option<Key>,
}

impl Visitor {
    /// A visitor who shows a token with each request.
    pub fn without_session(live: Arc<Live>, who: &str) -> Visitor {
        Visitor {
            live,
            who: who.to_owned(),
            csrf: String::new(),
            cookie: None,
        }
    }
}

#[derive(Debug)]
struct Session {
    made: Instant,
    used: Instant,
    visitor: Visitor,
}

/// All sessions. Cookies themselves are not kept.
#[derive(Debug)]
pub struct Sessions {
    terms: Terms,
    open: Mutex<HashMap<Key, Session>>,
}

/// 256 random bits as text.
pub fn secret() -> String {
    let mut bytes = [0_u8; 32];
    // It has no way to fail on the systems this is built for; zeroes would let anyone in.
    if SystemRandom::new().fill(&mut bytes).is_err() {
        tracing::error!("no random numbers are to be had");
        std::process::abort();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is kept of a secret; two of them are compared by it, in a time that says nothing of them.
pub fn digest(secret: &str) -> Key {
    Sha256::digest(secret).into()
}

impl Sessions {
    /// None yet.
    pub fn new(terms: Terms) -> Sessions {
        Sessions {
            terms,
            open: Mutex::default(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lasts(&self, session: &Session, now: Instant) -> bool {
        now.duration_since(session.used) < self.terms.idle && now.duration_since(session.made) < self.terms.whole
    }

    /// A new session; gives its cookie.
    pub fn open(&self, who: &str, live: Arc<Live>, now: Instant) -> String {
        let cookie = secret();
        self.keep(digest(&cookie), who, live, now);
        cookie
    }

    /// A new session under a key.
    pub fn keep(&self, key: Key, who: &str, live: Arc<Live>, now: Instant) {
        let mut open = self.lock();
        open.retain(|_, session| self.lasts(session, now));
        if open.len() >= self.terms.most {
            let idlest = open.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key);
            idlest.map(|key| open.remove(&key));
        }
        let visitor = Visitor {
            live,
            who: who.to_owned(),
            csrf: secret(),
            cookie: Some(key),
        };
        let session = Session {
            made: now,
            used: now,
            visitor,
        };
        open.insert(key, session);
    }

    /// The visitor of a session, while it lasts.
    pub fn find(&self, key: &Key, now: Instant, counts: bool) -> Option<Visitor> {
        let mut open = self.lock();
        let session = open.get_mut(key)?;
        if !self.lasts(session, now) {
            open.remove(key);
            return None;
        }
        if counts {
            session.used = now;
        }
        Some(session.visitor.clone())
    }

    /// Ends a session.
    pub fn close(&self, key: &Key) {
        self.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Arc<Live> {
        Arc::new(Live::of_nothing())
    }

    #[tokio::test]
    async fn sessions_end_when_they_are_idle_and_in_any_case() {
        let terms = Terms {
            idle: Duration::from_secs(10),
            whole: Duration::from_secs(25),
            most: 9,
        };
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        // When a request comes, whether it counts, whether there is still a session.
        for requests in [
            &[(9, true, true), (18, true, true), (24, true, true), (25, true, false)][..],
            &[(10, true, false), (11, true, false)],
            &[(5, false, true), (9, false, true), (10, false, false)],
        ] {
            let sessions = Sessions::new(terms);
            let key = digest(&sessions.open("ann", live(), begun));
            for (second, counts, lasts) in requests {
                let found = sessions.find(&key, after(*second), *counts);
                assert_eq!(found.is_some(), *lasts, "{requests:?} {second}");
            }
        }
    }

    #[tokio::test]
    async fn there_are_not_too_many_and_they_can_be_ended() {
        let terms = Terms {
            idle: Duration::from_secs(10),
            whole: Duration::from_secs(10),
            most: 2,
        };
        let (sessions, now) = (Sessions::new(terms), Instant::now());
        let open = |name: &str, second| digest(&sessions.open(name, live(), now + Duration::from_secs(second)));
        let (first, second) = (open("a", 0), open("b", 1));
        let third = open("c", 2);
        let is_open = |key| sessions.find(key, now + Duration::from_secs(3), true).is_some();
        assert_eq!(
            [is_open(&first), is_open(&second), is_open(&third)],
            [false, true, true]
        );
        sessions.close(&second);
        assert!(!is_open(&second) && !is_open(&digest("x")));
        let one = sessions.find(&third, now + Duration::from_secs(3), true).unwrap();
        assert!(one.csrf.len() == 64 && one.who == "c" && secret() != secret());
    }
}
