//! Faults: what is broken, which alerts that fires in a real Prometheus and Alertmanager, how it is repaired.
//!
//! A [`Group`] is a test of its own, with one cluster. The faults of a round are there at the same time, those of the next come after their repair.
//! - `objects`, `failures`, `running`, `executors`, `busy`, `late`: what applications and their objects do
//! - `operator`, `servers`: the platform itself, with operator and History Server as programs beside the cluster
//! - `stage`, `manifests`, `drive`: where, with what and how they are injected
//! - `count`: every alert fired and was over, every panel had data

mod busy;
pub mod count;
mod drive;
mod executors;
mod failures;
mod late;
pub mod manifests;
mod objects;
mod operator;
mod running;
mod servers;
pub mod stage;

use libtest_mimic::Failed;

use crate::common::Context;
use stage::Stage;

pub use drive::drive;

/// An alert of the pack, about what has a label `name=value`; about anything where that is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alert {
    pub name: &'static str,
    pub label: &'static str,
}

impl std::fmt::Display for Alert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.label {
            "" => f.write_str(self.name),
            label => write!(f, "{} ({label})", self.name),
        }
    }
}

const fn alert(name: &'static str, label: &'static str) -> Alert {
    Alert { name, label }
}

/// What is done to the platform.
pub type Act = fn(&Stage) -> Result<(), Failed>;

/// What is broken, and how it is repaired.
pub struct Fault {
    /// As alerts name it.
    pub name: &'static str,
    /// What fires by it.
    pub alerts: &'static [Alert],
    /// What would fire by it, and is silent because what fires explains it.
    pub silences: &'static [Alert],
    /// Pages of the way there, which are another fault's.
    pub also: &'static [&'static str],
    pub inject: Act,
    pub meanwhile: Option<Act>,
    pub repair: Act,
}

impl Fault {
    /// One that fires these, and has nothing special.
    const fn new(name: &'static str, alerts: &'static [Alert], inject: Act, repair: Act) -> Self {
        Fault {
            name,
            alerts,
            silences: &[],
            also: &[],
            inject,
            meanwhile: None,
            repair,
        }
    }

    const fn silencing(mut self, silences: &'static [Alert]) -> Self {
        self.silences = silences;
        self
    }

    const fn beside(mut self, also: &'static [&'static str]) -> Self {
        self.also = also;
        self
    }

    const fn while_it_is_there(mut self, meanwhile: Act) -> Self {
        self.meanwhile = Some(meanwhile);
        self
    }
}

/// Faults that share a cluster.
pub struct Group {
    /// What the faults are about.
    pub name: &'static str,
    pub stage: fn(&Context) -> Result<Stage, Failed>,
    pub rounds: &'static [&'static [Fault]],
}

/// All faults.
pub const GROUPS: &[Group] = &[
    objects::GROUP,
    failures::GROUP,
    running::GROUP,
    executors::GROUP,
    busy::GROUP,
    late::GROUP,
    operator::GROUP,
    servers::GROUP,
];

/// Alerts that no fault fires here, and why.
pub const WITHOUT_A_FAULT: &[(&str, &str)] = &[];
