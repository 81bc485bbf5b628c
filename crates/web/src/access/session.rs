//! Sessions: what a cookie stands for, and when it ends. The clock is passed in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::oidc::Granted;
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
    /// What an identity provider has given them.
    pub grant: Option<Arc<Grant>>,
}

/// What an identity provider has given a visitor: what their requests go out with until it ends.
#[derive(Debug)]
pub struct Grant {
    pub granted: Granted,
    /// When it was given.
    pub since: Instant,
    /// When the next one was asked for; held while it is.
    pub asked: tokio::sync::Mutex<Option<Instant>>,
}

impl Grant {
    pub fn new(granted: Granted, now: Instant) -> Arc<Grant> {
        Arc::new(Grant {
            granted,
            since: now,
            asked: tokio::sync::Mutex::default(),
        })
    }
}

impl Visitor {
    /// A visitor who shows a token with each request.
    pub fn without_session(live: Arc<Live>, who: &str) -> Visitor {
        Visitor {
            live,
            who: who.to_owned(),
            csrf: String::new(),
            cookie: None,
            grant: None,
        }
    }
}

#[derive(Debug)]
struct Session {
    made: Instant,
    used: Instant,
    visitor: Visitor,
    /// Ends with the session, and tells when its visitor sees something else from now on.
    told: watch::Sender<()>,
}

/// A session as those see it that last as long as it does.
#[derive(Debug)]
pub struct Held {
    /// Tells that its visitor sees something else; closed when it has ended.
    pub told: watch::Receiver<()>,
    /// When it ends unless a person asks before.
    pub until: Instant,
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
        now < self.until(session)
    }

    fn until(&self, session: &Session) -> Instant {
        let until = (session.used + self.terms.idle).min(session.made + self.terms.whole);
        match &session.visitor.grant {
            Some(grant) if grant.granted.refresh.is_none() => until.min(grant.granted.until),
            _ => until,
        }
    }

    /// A new session; gives its cookie.
    pub fn open(&self, who: &str, live: Arc<Live>, grant: Option<Arc<Grant>>, now: Instant) -> String {
        let cookie = secret();
        self.keep(digest(&cookie), who, live, grant, now);
        cookie
    }

    /// A new session under a key.
    pub fn keep(&self, key: Key, who: &str, live: Arc<Live>, grant: Option<Arc<Grant>>, now: Instant) {
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
            grant,
        };
        let session = Session {
            made: now,
            used: now,
            visitor,
            told: watch::Sender::default(),
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

    /// A session, while it lasts, for what lasts as long.
    pub fn hold(&self, key: &Key, now: Instant) -> Option<Held> {
        let mut open = self.lock();
        let session = open.get(key)?;
        let until = self.until(session);
        if now >= until {
            open.remove(key);
            return None;
        }
        Some(Held {
            told: session.told.subscribe(),
            until,
        })
    }

    /// Lets a visitor see something else from now on, with what a provider has given them for it.
    pub fn change(&self, key: &Key, live: Arc<Live>, grant: Option<Arc<Grant>>) {
        if let Some(session) = self.lock().get_mut(key) {
            session.visitor.live = live;
            session.visitor.grant = grant;
            session.told.send_replace(());
        }
    }

    /// Ends a session.
    pub fn close(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Ends all that come of the same session at a provider.
    pub fn close_all(&self, granted: &Granted) {
        let Some(session) = &granted.session else { return };
        self.lock().retain(|_, open| {
            let other = open.visitor.grant.as_ref().map(|grant| &grant.granted);
            !other.is_some_and(|other| other.session.as_ref() == Some(session) && other.subject == granted.subject)
        });
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
            let key = digest(&sessions.open("ann", live(), None, begun));
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
        let open = |name: &str, second| digest(&sessions.open(name, live(), None, now + Duration::from_secs(second)));
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

    #[tokio::test]
    async fn sessions_of_one_at_the_provider_end_together() {
        let (sessions, now) = (Sessions::new(Terms::CLUSTER), Instant::now());
        let granted = |subject: &str, session: Option<&str>| Granted {
            token: "t".to_owned(),
            subject: subject.to_owned(),
            session: session.map(str::to_owned),
            until: now + Duration::from_secs(300),
            refresh: None,
        };
        let open = |subject, session| {
            let grant = Grant::new(granted(subject, session), now);
            digest(&sessions.open(subject, live(), Some(grant), now))
        };
        let all = [
            open("ann", Some("s1")),
            open("ann", Some("s1")),
            open("ann", Some("s2")),
            open("ann", None),
            open("bob", Some("s1")),
            digest(&sessions.open("ann", live(), None, now)),
        ];
        let are_open = || all.map(|key| sessions.find(&key, now, false).is_some());
        sessions.close_all(&granted("ann", None));
        assert_eq!(are_open(), [true; 6]);
        sessions.close_all(&granted("ann", Some("s1")));
        assert_eq!(are_open(), [false, false, true, true, true, true]);
    }

    #[tokio::test]
    async fn what_lasts_as_long_as_a_session_is_told_of_its_end() {
        let (sessions, now) = (Sessions::new(Terms::CLUSTER), Instant::now());
        let granted = |seconds, refresh: Option<&str>| {
            let granted = Granted {
                token: "t".to_owned(),
                subject: "ann".to_owned(),
                session: None,
                until: now + Duration::from_secs(seconds),
                refresh: refresh.map(str::to_owned),
            };
            Some(Grant::new(granted, now))
        };
        let key = digest(&sessions.open("ann", live(), granted(300, None), now));
        let mut held = sessions.hold(&key, now).unwrap();
        // With the token, which nothing can be got for.
        assert_eq!(held.until, now + Duration::from_secs(300));
        assert!(sessions.find(&key, now + Duration::from_secs(300), true).is_none());
        assert!(held.told.changed().await.is_err() && sessions.hold(&key, now).is_none());
        let key = digest(&sessions.open("ann", live(), granted(300, Some("r")), now));
        let mut held = sessions.hold(&key, now).unwrap();
        assert_eq!(held.until, now + Terms::CLUSTER.idle);
        sessions.change(&key, live(), granted(600, None));
        assert!(held.told.changed().await.is_ok());
        assert_eq!(sessions.hold(&key, now).unwrap().until, now + Duration::from_secs(600));
        assert!(!format!("{sessions:?}").contains("token"), "{sessions:?}");
    }
}
