//! The catalogue: what there is to know of each kind of component, and the objects that it becomes.
//!
//! [`About`] has the facts: versions, image, what is given and needed, how health is asked for, whether the embedded cluster runs it. One file for each kind makes its objects.

mod airflow;
mod celeborn;
mod connect;
mod history;
mod hive;
mod jupyter;
mod kafka;
mod mlflow;
mod nessie;
mod postgres;
mod store;

use serde_json::Value;

use crate::render::Scope;
use crate::spec::{Component, Run};

/// What a component gives to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gives {
    Files,
    Database,
    Catalog,
    History,
    Session,
    Tracking,
    Stream,
    Shuffle,
}

impl Gives {
    /// As it is said in messages.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Gives::Files => "files in an object store",
            Gives::Database => "databases",
            Gives::Catalog => "a catalog",
            Gives::History => "a history of runs",
            Gives::Session => "a Spark Connect server",
            Gives::Tracking => "tracking of experiments",
            Gives::Stream => "topics",
            Gives::Shuffle => "a place for shuffle data",
        }
    }
}

/// Whether the embedded cluster runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedded {
    /// It does, as the real program.
    Runs,
    /// Nothing runs: it is a server outside.
    Outside,
    /// It does not, for this reason.
    Not(&'static str),
}

/// What there is to know of a kind.
#[derive(Clone, Copy, Debug)]
pub struct About {
    pub kind: &'static str,
    pub title: &'static str,
    /// Versions that were tried, or whose settings were read; empty where the version is that of something else.
    pub versions: &'static [&'static str],
    pub gives: &'static [Gives],
    /// The user that its image runs as.
    pub user: i64,
    /// The port that others ask.
    pub port: u16,
    /// What a pod is given where nothing is said: CPU and memory.
    pub usual: (&'static str, &'static str),
    /// How its health is asked for: a request that it must do its work for.
    pub health: &'static str,
    /// Where its metrics are: the name of the port and the path. None: it has none that Prometheus reads.
    pub metrics: Option<(&'static str, &'static str)>,
    pub embedded: Embedded,
}

/// Every kind.
pub const CATALOGUE: [About; 11] = [
    store::ABOUT,
    postgres::ABOUT,
    hive::ABOUT,
    nessie::ABOUT,
    history::ABOUT,
    connect::ABOUT,
    jupyter::ABOUT,
    mlflow::ABOUT,
    kafka::ABOUT,
    airflow::ABOUT,
    celeborn::ABOUT,
];

/// A key of a component that names another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need<'a> {
    /// The key, below the component: `database.component`.
    pub key: &'static str,
    pub component: &'a str,
    pub wants: Gives,
}

impl Component {
    /// What there is to know of its kind.
    #[must_use]
    pub fn about(&self) -> &'static About {
        let at = match self {
            Component::ObjectStore(_) => 0,
            Component::Postgresql(_) => 1,
            Component::HiveMetastore(_) => 2,
            Component::Nessie(_) => 3,
            Component::HistoryServer(_) => 4,
            Component::SparkConnect(_) => 5,
            Component::Jupyterlab(_) => 6,
            Component::Mlflow(_) => 7,
            Component::Kafka(_) => 8,
            Component::Airflow(_) => 9,
            Component::Celeborn(_) => 10,
        };
        &CATALOGUE[at]
    }

    /// The port that others ask.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Component::SparkConnect(it) => it.port(),
            other => other.about().port,
        }
    }

    /// The other components that it names.
    #[must_use]
    pub fn needs(&self) -> Vec<Need<'_>> {
        let need = |key, component, wants| Need { key, component, wants };
        let mut all = Vec::new();
        match self {
            Component::ObjectStore(_) | Component::Postgresql(_) | Component::Kafka(_) | Component::Celeborn(_) => {}
            Component::HiveMetastore(hive) => {
                all.push(need("database.component", &hive.database.component, Gives::Database));
                all.push(need("store", &hive.store, Gives::Files));
            }
            Component::Nessie(nessie) => {
                if let Some(database) = &nessie.database {
                    all.push(need("database.component", &database.component, Gives::Database));
                }
                all.push(need("store", &nessie.store, Gives::Files));
            }
            Component::HistoryServer(history) => all.push(need("store", &history.store, Gives::Files)),
            Component::SparkConnect(connect) => {
                for (key, name, wants) in [
                    ("catalog", &connect.catalog, Gives::Catalog),
                    ("shuffle", &connect.shuffle, Gives::Shuffle),
                    ("store", &connect.store, Gives::Files),
                    ("history", &connect.history, Gives::History),
                    ("kafka", &connect.kafka, Gives::Stream),
                ] {
                    if let Some(name) = name {
                        all.push(need(key, name, wants));
                    }
                }
            }
            Component::Jupyterlab(jupyter) => {
                all.push(need("connect", &jupyter.connect, Gives::Session));
                if let Some(name) = &jupyter.tracking {
                    all.push(need("tracking", name, Gives::Tracking));
                }
            }
            Component::Mlflow(mlflow) => {
                all.push(need("database.component", &mlflow.database.component, Gives::Database));
                all.push(need("store", &mlflow.store, Gives::Files));
            }
            Component::Airflow(airflow) => {
                all.push(need("database.component", &airflow.database.component, Gives::Database));
            }
        }
        all
    }

    /// What every component that runs may set; none for those that are outside or objects of the operator.
    #[must_use]
    pub fn run(&self) -> Option<&Run> {
        match self {
            Component::ObjectStore(_) | Component::SparkConnect(_) => None,
            Component::Postgresql(it) => Some(&it.run),
            Component::HiveMetastore(it) => Some(&it.run),
            Component::Nessie(it) => Some(&it.run),
            Component::HistoryServer(it) => Some(&it.run),
            Component::Jupyterlab(it) => Some(&it.run),
            Component::Mlflow(it) => Some(&it.run),
            Component::Kafka(it) => Some(&it.run),
            Component::Airflow(it) => Some(&it.run),
            Component::Celeborn(it) => Some(&it.run),
        }
    }

    /// Components that it waits for, besides those it needs.
    #[must_use]
    pub fn after(&self) -> &[String] {
        match self {
            Component::SparkConnect(connect) => &connect.after,
            other => other.run().map_or(&[], |run| &run.after),
        }
    }

    /// The nodes it is placed on.
    #[must_use]
    pub fn nodes(&self) -> Option<&str> {
        match self {
            Component::SparkConnect(connect) => connect.nodes.as_deref(),
            other => other.run().and_then(|run| run.nodes.as_deref()),
        }
    }

    /// Its version, where it has one of its own.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        match self {
            Component::ObjectStore(_)
            | Component::HistoryServer(_)
            | Component::SparkConnect(_)
            | Component::Jupyterlab(_) => None,
            Component::Postgresql(it) => Some(&it.version),
            Component::HiveMetastore(it) => Some(&it.version),
            Component::Nessie(it) => Some(&it.version),
            Component::Mlflow(it) => Some(&it.version),
            Component::Kafka(it) => Some(&it.version),
            Component::Airflow(it) => Some(&it.version),
            Component::Celeborn(it) => Some(&it.version),
        }
    }

    /// The name under which it is reached from outside.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Component::Nessie(it) => it.host.as_deref(),
            Component::HistoryServer(it) => it.host.as_deref(),
            Component::Jupyterlab(it) => it.host.as_deref(),
            Component::Mlflow(it) => it.host.as_deref(),
            Component::Airflow(it) => it.host.as_deref(),
            _ => None,
        }
    }

    /// Whether something of it runs in the cluster.
    #[must_use]
    pub fn runs(&self) -> bool {
        match self {
            Component::ObjectStore(_) => false,
            Component::Postgresql(it) => it.outside.is_none(),
            _ => true,
        }
    }

    /// Its objects, without labels that all have.
    pub(crate) fn objects(&self, name: &str, scope: &Scope<'_>) -> Vec<Value> {
        match self {
            Component::ObjectStore(_) => Vec::new(),
            Component::Postgresql(it) => postgres::objects(name, it, scope),
            Component::HiveMetastore(it) => hive::objects(name, it, scope),
            Component::Nessie(it) => nessie::objects(name, it, scope),
            Component::HistoryServer(it) => history::objects(name, it, scope),
            Component::SparkConnect(it) => connect::objects(name, it, scope),
            Component::Jupyterlab(it) => jupyter::objects(name, it, scope),
            Component::Mlflow(it) => mlflow::objects(name, it, scope),
            Component::Kafka(it) => kafka::objects(name, it, scope),
            Component::Airflow(it) => airflow::objects(name, it, scope),
            Component::Celeborn(it) => celeborn::objects(name, it, scope),
        }
    }
}

/// The port of Hive's metastore.
pub(crate) fn hive_port() -> u16 {
    hive::ABOUT.port
}

pub(crate) use celeborn::endpoints as celeborn_endpoints;
