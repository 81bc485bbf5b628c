//! What a step may look at: what was given, what was read, what earlier steps found.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::book::{Kind, Read};
use super::record::Record;

/// What a run of a runbook is given. Secret values are not here: who acts has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    pub namespace: String,
    /// By name; what was not given and has a value of its own is here too.
    pub parameters: BTreeMap<String, String>,
    /// Names of the secret values that were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

impl Input {
    /// A parameter; none when it was not given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// A parameter that must be there; empty when it is not.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A whole number.
    #[must_use]
    pub fn count(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    /// Kind and name of `--workload`.
    #[must_use]
    pub fn workload(&self) -> Option<(Kind, &str)> {
        let (kind, name) = self.get("workload")?.split_once('/')?;
        let kind = match kind {
            "deployment" => Kind::Deployment,
            "statefulset" => Kind::StatefulSet,
            _ => return None,
        };
        (!name.is_empty()).then_some((kind, name))
    }
}

/// What a read gave, or why it gave nothing.
pub type Answer = Result<Vec<Value>, String>;

/// What was read, all at one time.
pub type Facts = BTreeMap<Read, Answer>;

/// What cannot be determined; the run does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

impl<T: Into<String>> From<T> for Unknown {
    fn from(text: T) -> Self {
        Unknown(text.into())
    }
}

/// What a check saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The runbook goes on.
    Go {
        says: String,
        branch: Option<&'static str>,
        /// What later steps need to know. No secrets.
        kept: BTreeMap<String, Value>,
    },
    /// There is nothing wrong that this runbook repairs.
    Nothing(String),
    /// Another runbook is the right one.
    Other { runbook: &'static str, says: String },
}

impl Seen {
    /// Goes on.
    pub fn go(says: impl Into<String>) -> Seen {
        Seen::Go {
            says: says.into(),
            branch: None,
            kept: BTreeMap::new(),
        }
    }

    /// Goes on with a branch.
    #[must_use]
    pub fn on(mut self, name: &'static str) -> Seen {
        if let Seen::Go { branch, .. } = &mut self {
            *branch = Some(name);
        }
        self
    }

    /// Goes on, and keeps something for later steps.
    #[must_use]
    pub fn keep(mut self, name: &str, value: impl Into<Value>) -> Seen {
        if let Seen::Go { kept, .. } = &mut self {
            kept.insert(name.to_owned(), value.into());
        }
        self
    }

    pub fn nothing(says: impl Into<String>) -> Seen {
        Seen::Nothing(says.into())
    }

    pub fn other(runbook: &'static str, says: impl Into<String>) -> Seen {
        Seen::Other {
            runbook,
            says: says.into(),
        }
    }
}

/// Whether what is waited for holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    Yes(String),
    NotYet(String),
    /// It will not come; waiting longer is of no use.
    Never(String),
}

impl Held {
    /// By a condition, with what to say in both cases.
    pub fn when(holds: bool, yes: impl Into<String>, no: impl Into<String>) -> Held {
        if holds {
            Held::Yes(yes.into())
        } else {
            Held::NotYet(no.into())
        }
    }
}

/// What a step looks at.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub input: &'a Input,
    pub facts: &'a Facts,
    /// What checks kept.
    pub kept: &'a BTreeMap<String, Value>,
    /// Id of the record: part of every name that is made.
    pub record: &'a str,
    /// When the run was opened.
    pub opened: Timestamp,
    /// When the last change of the run was decided; when it was opened before there was one.
    pub decided: Timestamp,
    /// What was done so far.
    pub lines: &'a Record,
    pub now: Timestamp,
}

impl<'a> Case<'a> {
    /// Everything that was read there.
    ///
    /// # Errors
    /// It could not be read.
    pub fn all(&self, read: Read) -> Result<&'a [Value], Unknown> {
        match self.facts.get(&read) {
            Some(Ok(list)) => Ok(list),
            Some(Err(why)) => Err(Unknown(why.clone())),
            None => Err(Unknown(format!("{read:?} was not read"))),
        }
    }

    /// The one object that was read there; none when it is not there.
    ///
    /// # Errors
    /// It could not be read.
    pub fn one(&self, read: Read) -> Result<Option<&'a Value>, Unknown> {
        Ok(self.all(read)?.first())
    }

    /// The one object that must be there.
    ///
    /// # Errors
    /// It could not be read, or it is not there.
    pub fn the(&self, read: Read) -> Result<&'a Value, Unknown> {
        let missing = || match read {
            Read::Application => format!(
                "there is no application {} in namespace {}",
                self.input.text("application"),
                self.input.namespace
            ),
            Read::Workload => format!(
                "there is no {} in namespace {}",
                self.input.text("workload"),
                self.input.namespace
            ),
            Read::Connect => format!(
                "there is no SparkConnect {} in namespace {}",
                self.input.text("connect"),
                self.input.namespace
            ),
            Read::Schedule => format!("there is no such schedule in namespace {}", self.input.namespace),
            Read::Secret => format!(
                "there is no Secret {} in namespace {}",
                self.input.text("secret"),
                self.input.namespace
            ),
            other => format!("{other:?} gave nothing"),
        };
        self.one(read)?.ok_or_else(|| Unknown(missing()))
    }

    /// The answer of a read that tries something: whether it went well, and what it says.
    ///
    /// # Errors
    /// It could not be tried.
    pub fn tried(&self, read: Read) -> Result<(bool, &'a str), Unknown> {
        let answer = self.the(read)?;
        Ok((answer["ok"] == true, answer["says"].as_str().unwrap_or_default()))
    }

    /// A text that a check kept; empty when none did.
    #[must_use]
    pub fn kept_text(&self, name: &str) -> &'a str {
        self.kept.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// How long ago a time was; nothing when it is to come.
    #[must_use]
    pub fn since(&self, time: Timestamp) -> SignedDuration {
        self.now.duration_since(time).max(SignedDuration::ZERO)
    }
}
