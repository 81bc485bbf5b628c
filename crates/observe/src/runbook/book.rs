//! What a runbook is made of.

use serde::{Deserialize, Serialize};

use super::action::Plan;
use super::case::{Case, Held, Seen, Unknown};

/// What to do when something is wrong.
#[derive(Debug)]
pub struct Runbook {
    /// Kebab-case; alerts and findings name it.
    pub name: &'static str,
    pub title: &'static str,
    /// When it is the right one, in a few sentences.
    pub when: &'static str,
    /// Codes of findings that lead here.
    pub codes: &'static [&'static str],
    pub parameters: &'static [Parameter],
    pub steps: &'static [Step],
    /// What it leaves to people, and what was not tried with the real thing.
    pub limits: &'static [&'static str],
}

impl Runbook {
    /// The step of this name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&'static Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// What steps may need the right to, each once.
    #[must_use]
    pub fn rights(&self) -> Vec<(&'static str, Kind)> {
        let mut all = Vec::new();
        for step in self.steps {
            if let Does::Act { rights, .. } = step.does {
                for right in rights {
                    if !all.contains(right) {
                        all.push(*right);
                    }
                }
            }
        }
        all
    }
}

/// What a runbook is given.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// The option's name, without `--`.
    pub name: &'static str,
    pub what: &'static str,
    /// Where it may be found.
    pub found: &'static str,
    pub form: Form,
    pub need: Need,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The name of an object.
    Name,
    /// `deployment/NAME` or `statefulset/NAME`.
    Workload,
    /// A whole number from 1.
    Count,
    /// A port, 1 to 65535.
    Port,
    /// The reference of an image.
    Image,
    /// `4.1.4`.
    Version,
    /// The URL of a place for files.
    Place,
    /// A time, 30.
    Seconds,
    /// A JSON or YAML file with a merge patch of an application.
    Patch,
    /// A file with `KEY=VALUE` on each line; its values stand in no record.
    Secrets,
    /// Any text of one line.
    Text,
}

/// Whether a parameter must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Always,
    /// What it is when it is not given.
    Else(&'static str),
    Maybe,
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// Kebab-case, one of its kind in a runbook.
    pub name: &'static str,
    pub what: &'static str,
    /// Branches it belongs to; empty for all.
    pub only: &'static [&'static str],
    /// What it looks at.
    pub reads: &'static [Read],
    pub does: Does,
}

/// What a step does.
#[derive(Clone, Copy)]
pub enum Does {
    /// Looks, and says whether and how the runbook goes on.
    Check(fn(&Case<'_>) -> Result<Seen, Unknown>),
    /// Changes something, after it was agreed to.
    Act {
        /// Verbs on kinds it may need.
        rights: &'static [(&'static str, Kind)],
        plan: fn(&Case<'_>) -> Result<Plan, Unknown>,
        /// How it is undone; empty when it cannot be.
        undo: &'static str,
    },
    /// Waits until something holds.
    Verify {
        holds: fn(&Case<'_>) -> Result<Held, Unknown>,
        /// Seconds it may take; the parameter `within` says otherwise.
        within: u32,
    },
    /// Stops until a person says that this was done, by going on.
    Pause,
}

impl std::fmt::Debug for Does {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Does {
    /// In one word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Does::Check(_) => "check",
            Does::Act { .. } => "act",
            Does::Verify { .. } => "verify",
            Does::Pause => "pause",
        }
    }
}

/// Kinds of objects that runbooks read and change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    SparkApplication,
    ScheduledSparkApplication,
    SparkConnect,
    Pod,
    Event,
    Node,
    Secret,
    ResourceQuota,
    Deployment,
    StatefulSet,
    Lease,
    MutatingWebhookConfiguration,
    ValidatingWebhookConfiguration,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 13] = [
        Kind::SparkApplication,
        Kind::ScheduledSparkApplication,
        Kind::SparkConnect,
        Kind::Pod,
        Kind::Event,
        Kind::Node,
        Kind::Secret,
        Kind::ResourceQuota,
        Kind::Deployment,
        Kind::StatefulSet,
        Kind::Lease,
        Kind::MutatingWebhookConfiguration,
        Kind::ValidatingWebhookConfiguration,
    ];

    /// API group, version and plural.
    #[must_use]
    pub fn api(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Kind::SparkApplication => ("sparkoperator.k8s.io", "v1beta2", "sparkapplications"),
            Kind::ScheduledSparkApplication => ("sparkoperator.k8s.io", "v1beta2", "scheduledsparkapplications"),
            Kind::SparkConnect => ("sparkoperator.k8s.io", "v1alpha1", "sparkconnects"),
            Kind::Pod => ("", "v1", "pods"),
            Kind::Event => ("", "v1", "events"),
            Kind::Node => ("", "v1", "nodes"),
            Kind::Secret => ("", "v1", "secrets"),
            Kind::ResourceQuota => ("", "v1", "resourcequotas"),
            Kind::Deployment => ("apps", "v1", "deployments"),
            Kind::StatefulSet => ("apps", "v1", "statefulsets"),
            Kind::Lease => ("coordination.k8s.io", "v1", "leases"),
            Kind::MutatingWebhookConfiguration => {
                ("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations")
            }
            Kind::ValidatingWebhookConfiguration => {
                ("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations")
            }
        }
    }

    /// Whether its objects stand in namespaces.
    #[must_use]
    pub fn is_namespaced(self) -> bool {
        !matches!(
            self,
            Kind::Node | Kind::MutatingWebhookConfiguration | Kind::ValidatingWebhookConfiguration
        )
    }

    /// As people write it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Kind::SparkApplication => "application",
            Kind::ScheduledSparkApplication => "schedule",
            Kind::SparkConnect => "Connect server",
            Kind::Pod => "pod",
            Kind::Event => "event",
            Kind::Node => "node",
            Kind::Secret => "Secret",
            Kind::ResourceQuota => "quota",
            Kind::Deployment => "Deployment",
            Kind::StatefulSet => "StatefulSet",
            Kind::Lease => "lease",
            Kind::MutatingWebhookConfiguration | Kind::ValidatingWebhookConfiguration => "webhook configuration",
        }
    }
}

/// What can be read. Each gives a list of objects, of findings, or of one answer with `ok` and `says`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Read {
    /// The application of `--application`; none when it is not there.
    Application,
    /// Its pods, of all attempts that are there.
    ApplicationPods,
    /// What the doctor finds about it.
    Findings,
    /// All applications of the namespace.
    Applications,
    /// The schedule of `--schedule`, or the one that began the application.
    Schedule,
    /// All schedules of the namespace.
    Schedules,
    /// The SparkConnect of `--connect`.
    Connect,
    /// Its server's pod.
    ConnectPod,
    /// Whether its server answers a client.
    Handshake,
    /// All SparkConnects of the namespace.
    Connects,
    /// All pods of the namespace.
    Pods,
    /// Events of the namespace.
    Events,
    Nodes,
    /// Pods of every namespace on the node of `--node`.
    NodePods,
    /// Pods of every namespace that have a node and have not ended.
    Placed,
    Quotas,
    /// The Deployment or StatefulSet of `--workload`.
    Workload,
    /// What it selects.
    WorkloadPods,
    /// Whether `--port` of one of its ready pods answers: HTTP at `--path`, else a connection.
    Endpoint,
    /// Whether `--port` of one of its ready pods answers a call of Thrift (`getStatus` of fb303), as every Hive Metastore does.
    Thrift,
    /// Whether `--store` can be listed with the access that this command has.
    Store,
    /// Files below `--store`: name, size, and `damaged` with the reason.
    Files,
    /// The Secret of `--secret`: names of its keys, the end of its certificate; never a value.
    Secret,
    /// The copy that was made of it before it was changed.
    SecretCopy,
    Webhooks,
    /// Leases of the namespace.
    Leases,
    /// The application that this run made to try something.
    Canary,
    /// The incident of this run, with what was collected.
    Incident,
}
