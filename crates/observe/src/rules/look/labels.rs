//! Which labels the series of an expression have.

use std::collections::{BTreeMap, BTreeSet};

/// Whether a label is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Always,
    Perhaps,
    Never,
}

/// What is known of one label.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) presence: Presence,
    /// All values it may have, where that is known.
    pub(super) values: Option<BTreeSet<String>>,
}

/// The labels of an expression's series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Labels {
    known: BTreeMap<String, Known>,
    /// What holds of a label that is not listed.
    others: Presence,
}

/// Labels that scraping, relabelling and federation add: any series may have them.
const OF_TARGETS: [&str; 46] = [
    "job",
    "instance",
    "namespace",
    "pod",
    "container",
    "service",
    "endpoint",
    "node",
    "nodename",
    "hostname",
    "host",
    "cluster",
    "cluster_id",
    "cluster_name",
    "clustername",
    "environment",
    "env",
    "stage",
    "tier",
    "region",
    "zone",
    "availability_zone",
    "datacenter",
    "dc",
    "team",
    "owner",
    "project",
    "tenant",
    "tenant_id",
    "account",
    "prometheus",
    "prometheus_replica",
    "replica",
    "receive",
    "monitor",
    "metrics_path",
    "app",
    "application",
    "component",
    "release",
    "chart",
    "heritage",
    "version",
    "role",
    "source",
    "ip",
];
const BEGINS_OF_TARGETS: [&str; 10] = [
    "__",
    "spark_",
    "k8s_",
    "kubernetes_",
    "app_kubernetes_io",
    "label_",
    "exported_",
    "sparkoperator_",
    "ec2_",
    "topology_",
];

/// Whether relabelling commonly adds a label.
pub(super) fn is_of_targets(label: &str) -> bool {
    OF_TARGETS.contains(&label) || BEGINS_OF_TARGETS.iter().any(|begin| label.starts_with(begin))
}

impl Labels {
    /// None at all.
    pub(super) fn none() -> Labels {
        Labels {
            known: BTreeMap::new(),
            others: Presence::Never,
        }
    }

    pub(super) fn any() -> Labels {
        Labels {
            known: BTreeMap::new(),
            others: Presence::Perhaps,
        }
    }

    pub(super) fn set(&mut self, label: &str, presence: Presence, values: Option<BTreeSet<String>>) {
        self.known.insert(label.to_owned(), Known { presence, values });
    }

    pub(super) fn presence(&self, label: &str) -> Presence {
        self.known.get(label).map_or(self.others, |known| known.presence)
    }

    pub(super) fn values(&self, label: &str) -> Option<&BTreeSet<String>> {
        self.known.get(label).and_then(|known| known.values.as_ref())
    }

    /// Labels that are there, or may be, as far as they are known by name.
    pub(super) fn named(&self) -> impl Iterator<Item = &str> {
        self.known
            .iter()
            .filter(|(_, known)| known.presence != Presence::Never)
            .map(|(label, _)| label.as_str())
    }

    /// Whether no labels but the named ones are there.
    pub(super) fn is_closed(&self) -> bool {
        self.others == Presence::Never
    }

    /// Only these labels.
    pub(super) fn only<'l>(&self, labels: impl Iterator<Item = &'l str>, open: bool) -> Labels {
        let mut only = if open { Labels::any() } else { Labels::none() };
        for label in labels {
            let known = self.known.get(label).cloned().unwrap_or(Known {
                presence: self.others,
                values: None,
            });
            only.known.insert(label.to_owned(), known);
        }
        only
    }

    /// All but these labels.
    pub(super) fn without<'l>(&self, labels: impl Iterator<Item = &'l str>) -> Labels {
        let mut rest = self.clone();
        for label in labels {
            rest.set(label, Presence::Never, None);
        }
        rest
    }

    /// Those of a series of either.
    pub(super) fn either(&self, other: &Labels) -> Labels {
        let names: BTreeSet<&String> = self.known.keys().chain(other.known.keys()).collect();
        let mut both = Labels {
            known: BTreeMap::new(),
            others: join(self.others, other.others),
        };
        for name in names {
            let values = match (self.values(name), other.values(name)) {
                (Some(one), Some(two)) => Some(one.union(two).cloned().collect()),
                _ => None,
            };
            both.set(name, join(self.presence(name), other.presence(name)), values);
        }
        both
    }
}

fn join(one: Presence, other: Presence) -> Presence {
    if one == other { one } else { Presence::Perhaps }
}
