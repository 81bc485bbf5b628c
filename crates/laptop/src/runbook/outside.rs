//! What a run of a runbook asks of the outside, and of a person.

use std::collections::BTreeMap;
use std::fmt;

use futures::future::BoxFuture;
use stoke_observe::runbook::{Action, Answer, Entry, Input, Plan, Read, Right, Step};
use stoke_storage::Access;

use crate::error::Outcome;
use crate::home::Home;
use crate::session::Session;

/// Secret values by the name of their key. They are shown nowhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(pub BTreeMap<String, String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// How an action went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// It was done before.
    pub already: bool,
    pub says: String,
}

impl Deed {
    pub(super) fn done(says: impl Into<String>) -> Deed {
        Deed {
            already: false,
            says: says.into(),
        }
    }

    pub(super) fn already(says: impl Into<String>) -> Deed {
        Deed {
            already: true,
            says: says.into(),
        }
    }
}

/// A cluster, an object store, this machine.
pub trait Outside: Send + Sync {
    /// Reads; why not, when it cannot.
    fn read<'a>(&'a self, what: Read, input: &'a Input, record: &'a str) -> BoxFuture<'a, Answer>;
    /// Whether who runs this has a right.
    fn may<'a>(&'a self, right: &'a Right) -> BoxFuture<'a, Result<bool, String>>;
    /// Does an action, or finds it done; in a dry run the API server tries it and keeps nothing.
    fn act<'a>(&'a self, action: &'a Action, record: &'a str, dry: bool) -> BoxFuture<'a, Result<Deed, String>>;
}

/// Who runs a runbook.
pub trait Person: Send {
    /// Whether the plan of a step may be done: by what it was agreed to, or none.
    ///
    /// # Errors
    /// There is no one to ask.
    fn agrees(&mut self, step: &Step, plan: &Plan) -> Outcome<Option<String>>;
    /// A line was written.
    fn sees(&mut self, entry: &Entry);
    /// Something is waited for.
    fn waits(&mut self, step: &str, says: &str);
}

/// The real outside.
pub struct Edge<'a> {
    pub session: &'a Session,
    pub home: &'a Home,
    /// How object stores are reached.
    pub access: Access,
    pub secrets: Secrets,
}

impl Outside for Edge<'_> {
    fn read<'a>(&'a self, what: Read, input: &'a Input, record: &'a str) -> BoxFuture<'a, Answer> {
        Box::pin(super::reads::read(self, what, input, record))
    }

    fn may<'a>(&'a self, right: &'a Right) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(super::api::may(&self.session.client, right))
    }

    fn act<'a>(&'a self, action: &'a Action, record: &'a str, dry: bool) -> BoxFuture<'a, Result<Deed, String>> {
        Box::pin(super::acts::act(self, action, record, dry))
    }
}
