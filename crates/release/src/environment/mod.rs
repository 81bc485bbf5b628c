//! Environments: clusters, overlays, gates, soak time, approvals and freezes, in one file.
//!
//! In: the text of `environments.yaml`. Out: [`Environments`], or complaints at their places; what is not known is an error. An environment may set sizes, names and
//! configuration; what runs (images, files, dependencies) comes from the release alone.

mod overlay;
mod read;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use stoke_model::cron::Schedule;

pub use overlay::{Overlay, Side};
pub use read::read;

use crate::canonical;
use crate::oci::Digest;

/// JSON Schema of the file, for editors.
pub const SCHEMA: &str = include_str!("schema.json");

/// Where releases go, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Environments {
    pub environments: Vec<Environment>,
}

/// One place where a release runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    pub name: String,
    /// Where a release must have been before. None: it comes from its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Namespace of its objects.
    pub namespace: String,
    pub delivery: Delivery,
    #[serde(skip_serializing_if = "Overlay::is_empty")]
    pub overlay: Overlay,
    /// Gates whose last verdict about the release must be `pass` or `waived`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    /// Whether it must have run in the shadow of what is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// How long the release must have been current where it comes from, in seconds.
    pub soak_seconds: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
    /// Whether a spent error budget stops a release.
    pub error_budget: bool,
    /// Whether `stoke release promote --auto` takes releases here.
    pub automatic: bool,
}

/// How a release gets there.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Delivery {
    /// Applied to the cluster of this context; an empty one is the embedded cluster.
    Cluster { context: String },
    /// Written to a git repository, which Argo CD or Flux follows.
    Git {
        /// What `git clone` takes.
        repository: String,
        branch: String,
        /// Directory in the repository.
        path: String,
    },
}

/// Proof by data: what a shadow run must be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shadow {
    /// How old it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<i64>,
    /// Whether it must be against the release that is there.
    pub against_current: bool,
}

/// Who must agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Approvals {
    /// How many of them.
    pub needed: usize,
    pub keys: Vec<Key>,
    /// Whether approvals that say so stand in for soak time and gates; never for where a release comes from.
    pub may_skip_verification: bool,
}

/// A key that approves.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    pub name: String,
    /// The public key, as PEM.
    pub public_key: String,
}

/// A time without releases.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Freeze {
    /// Once.
    Between {
        name: String,
        from: Timestamp,
        until: Timestamp,
    },
    /// Each time a schedule comes, for a while.
    Each {
        name: String,
        /// Cron: minute, hour, day, month, weekday.
        schedule: String,
        /// IANA name.
        zone: String,
        seconds: i64,
    },
}

impl Environments {
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.name == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.environments.iter().map(|environment| environment.name.as_str())
    }
}

impl Environment {
    /// What identifies its rules: an approval ends when they change.
    #[must_use]
    pub fn digest(&self) -> Digest {
        canonical::digest(self)
    }
}

impl Freeze {
    /// When it ends, if it is in force.
    #[must_use]
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Freeze::Between { from, until, .. } => (*from <= now && now < *until).then_some(*until),
            Freeze::Each {
                schedule,
                zone,
                seconds,
                ..
            } => {
                // The file was read: the schedule is one.
                let schedule = Schedule::parse(schedule, zone).ok()?;
                let lasts = SignedDuration::from_secs(*seconds);
                let mut moment = now.checked_sub(lasts).ok()?;
                let mut until = None;
                while let Some(next) = schedule.after(moment).filter(|next| *next <= now) {
                    until = next.checked_add(lasts).ok();
                    moment = next;
                }
                until
            }
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Freeze::Between { name, .. } | Freeze::Each { name, .. } => name,
        }
    }
}
