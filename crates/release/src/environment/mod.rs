//! Environments: clusters, overlays, gates, soak time, approvals and freezes, in one file.
//!
//! In: the text of `environments.yaml`. Out: [`Environments`], or complaints at their places; what is not known is an error. An environment may set sizes, names and
//! configuration; what runs (images, files, dependencies) comes from the release alone.

mod data;
mod overlay;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

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
    pub shadow: Option<Comparison>,
    /// Whether an A/B must have shown that it is neither slower nor dearer than what is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ab: Option<Comparison>,
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
    /// What its releases write, and readers see once it was audited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<Data>,
}

/// Data that a release writes where no reader sees them, to be audited and published.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    pub name: String,
    /// The contract, a file of the release.
    pub contract: String,
    /// Which object of a contract that has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    pub place: Published,
}

/// How readers find data.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Published {
    /// An Iceberg table: runs write to a branch, readers read `main`.
    Iceberg {
        /// The directory of a table without a catalogue, or `namespace.table` in one.
        table: String,
        branch: String,
        /// A catalogue that speaks Iceberg's REST.
        #[serde(skip_serializing_if = "Option::is_none")]
        catalog: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        warehouse: Option<String>,
    },
    /// Directories below a place, and an object that names the one that readers see.
    Versions { place: String },
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

/// What a comparison with another release must be: a shadow run, an A/B.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
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
    /// The configuration that lets runs of a release write where no reader sees it, beside what the overlay sets.
    #[must_use]
    pub fn writes_apart(&self, release: &Digest) -> BTreeMap<String, String> {
        let branch = self.data.iter().find_map(|data| match &data.place {
            Published::Iceberg { branch, .. } => Some(branch),
            Published::Versions { .. } => None,
        });
        let keys = |branch: &String| {
            let of = format!(
                "spark.sql.iceberg.snapshot-property.{}",
                crate::publish::iceberg::RELEASE
            );
            BTreeMap::from([
                ("spark.wap.branch".to_owned(), branch.clone()),
                (of, release.to_string()),
            ])
        };
        branch.map(keys).unwrap_or_default()
    }

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
