//! Wiring by need: what says `catalog: lakehouse` or `shuffle: celeborn` gets the configuration, packages, variables and labels it needs.
//!
//! In: a checked platform, a Spark, and what is wanted. Out: [`Wired`], or why the two do not go together. Pure.
//!
//! - `libraries`: which libraries fit which Spark and Scala
//! - [`application`]: a manifest that names components in its annotations, wired

pub mod application;
mod libraries;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::component::{self, Gives};
use crate::render::{Scope, store_variables, variable};
use crate::spec::components::{HiveMetastore, SparkConnect, Tables};
use crate::spec::{Component, Spark};

pub use libraries::{Library, connect_release, fitting};

/// What is wanted of a platform, by the names of its components.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    pub catalog: Option<String>,
    pub shuffle: Option<String>,
    pub store: Option<String>,
    pub history: Option<String>,
    pub kafka: Option<String>,
    /// Whether it is a server of Spark Connect.
    pub serves: bool,
}

impl Wants {
    /// What a Connect server wants; the catalog of its Spark where it names none.
    #[must_use]
    pub fn of(connect: &SparkConnect, spark: &Spark) -> Wants {
        Wants {
            catalog: connect.catalog.clone().or_else(|| spark.catalog.clone()),
            shuffle: connect.shuffle.clone(),
            store: connect.store.clone(),
            history: connect.history.clone(),
            kafka: connect.kafka.clone(),
            serves: true,
        }
    }

    /// Each key with its component, and what that must give.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str, Gives)> {
        [
            ("catalog", &self.catalog, Gives::Catalog),
            ("shuffle", &self.shuffle, Gives::Shuffle),
            ("store", &self.store, Gives::Files),
            ("history", &self.history, Gives::History),
            ("kafka", &self.kafka, Gives::Stream),
        ]
        .into_iter()
        .filter_map(|(key, name, gives)| Some((key, name.as_deref()?, gives)))
    }
}

/// What is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wired {
    pub conf: BTreeMap<String, String>,
    /// Maven coordinates.
    pub packages: Vec<String>,
    /// Variables of driver and executors.
    pub env: Vec<Value>,
    /// Components that are spoken to: pods carry a label for each, which lets them in.
    pub uses: BTreeSet<String>,
}

/// Why a want and a Spark do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    pub code: &'static str,
    /// The key of the want.
    pub key: &'static str,
    pub message: String,
    pub fix: String,
}

const EXTENSIONS: &str = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions";
const ICEBERG_CATALOG: &str = "org.apache.iceberg.spark.SparkCatalog";

struct Work<'a> {
    scope: Scope<'a>,
    spark: &'a Spark,
    wired: Wired,
    /// The store whose keys the variables hold.
    keys_of: Option<String>,
    clashes: Vec<Clash>,
}

/// Wires.
///
/// # Errors
/// Everything that does not go together.
pub fn wire(scope: &Scope<'_>, spark: &Spark, wants: &Wants) -> Result<Wired, Vec<Clash>> {
    let mut work = Work {
        scope: *scope,
        spark,
        wired: Wired::default(),
        keys_of: None,
        clashes: Vec::new(),
    };
    if wants.serves && spark.version.starts_with("3.") {
        work.take("spark", Library::Connect);
    }
    for (key, name, _) in wants.all() {
        work.wired.uses.insert(name.to_owned());
        match scope.component(name) {
            Some(Component::Nessie(nessie)) => work.nessie(name, &nessie.store),
            Some(Component::HiveMetastore(hive)) => work.hive(name, hive),
            Some(Component::Celeborn(_)) => work.celeborn(key, name),
            Some(Component::ObjectStore(_)) => work.files(key, name),
            Some(Component::HistoryServer(history)) => work.history(key, &history.store, &history.path),
            Some(Component::Kafka(_)) => work.kafka(name),
            _ => {}
        }
    }
    match work.clashes.is_empty() {
        true => Ok(work.wired),
        false => Err(work.clashes),
    }
}

impl Work<'_> {
    fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.wired.conf.insert(key.into(), value.into());
    }

    /// Takes a library that fits, or says that there is none.
    fn take(&mut self, key: &'static str, library: Library) {
        match fitting(library, self.spark) {
            Ok(coordinates) => {
                if !self.wired.packages.contains(&coordinates) {
                    self.wired.packages.push(coordinates);
                }
            }
            Err((message, fix)) => self.clashes.push(Clash {
                code: "platform-versions",
                key,
                message,
                fix,
            }),
        }
    }

    fn nessie(&mut self, name: &str, store: &str) {
        let catalog = format!("spark.sql.catalog.{name}");
        let uri = format!("http://{}:19120/iceberg", self.scope.host(name));
        self.set(&catalog, ICEBERG_CATALOG);
        self.set(format!("{catalog}.type"), "rest");
        self.set(format!("{catalog}.uri"), uri);
        self.set(format!("{catalog}.warehouse"), "warehouse");
        self.set("spark.sql.extensions", EXTENSIONS);
        self.set("spark.sql.defaultCatalog", name);
        self.take("catalog", Library::Iceberg);
        self.take("catalog", Library::IcebergAws);
        self.keys("catalog", store);
    }

    fn hive(&mut self, name: &str, hive: &HiveMetastore) {
        if hive.version.starts_with('4') {
            self.clashes.push(Clash {
                code: "platform-versions",
                key: "catalog",
                message: format!(
                    "`{name}` is Hive's metastore {}, and the client of Spark {} cannot create tables there: it calls `get_table`, which Hive 4.0 removed",
                    hive.version, self.spark.version
                ),
                fix: format!("write `version: 3.1.3` in `components.{name}`"),
            });
        }
        let uri = format!("thrift://{}:{}", self.scope.host(name), component::hive_port());
        let bucket = self
            .scope
            .store(&hive.store)
            .map(|store| store.bucket.clone())
            .unwrap_or_default();
        let warehouse = format!("s3a://{bucket}/{}", hive.path);
        match hive.tables {
            Tables::Hive => {
                self.set("spark.sql.catalogImplementation", "hive");
                self.set("spark.hadoop.hive.metastore.uris", uri);
                self.set("spark.sql.warehouse.dir", warehouse);
            }
            Tables::Iceberg => {
                let catalog = format!("spark.sql.catalog.{name}");
                self.set(&catalog, ICEBERG_CATALOG);
                self.set(format!("{catalog}.type"), "hive");
                self.set(format!("{catalog}.uri"), uri);
                self.set(format!("{catalog}.warehouse"), warehouse);
                self.set("spark.sql.extensions", EXTENSIONS);
                self.set("spark.sql.defaultCatalog", name);
                self.take("catalog", Library::Iceberg);
            }
        }
        self.files("catalog", &hive.store);
    }

    fn celeborn(&mut self, key: &'static str, name: &str) {
        let Some(Component::Celeborn(celeborn)) = self.scope.component(name) else {
            return;
        };
        match fitting(Library::Celeborn, self.spark) {
            Err((message, fix)) => self.clashes.push(Clash {
                code: "platform-versions",
                key,
                message,
                fix,
            }),
            // Spark 3 loads a shuffle manager before it has fetched any package.
            Ok(coordinates) if self.spark.image.is_none() => self.clashes.push(Clash {
                code: "platform-image",
                key,
                message: format!(
                    "the client of Celeborn must be in the image, and {} does not have it",
                    self.spark.image()
                ),
                fix: format!("build an image with the jar {coordinates} in /opt/spark/jars (`stoke image build`), and name it as `image` of the Spark"),
            }),
            Ok(_) => {}
        }
        let endpoints = component::celeborn_endpoints(name, celeborn, &self.scope);
        self.set(
            "spark.shuffle.manager",
            "org.apache.spark.shuffle.celeborn.SparkShuffleManager",
        );
        self.set("spark.celeborn.master.endpoints", endpoints);
        self.set("spark.shuffle.service.enabled", "false");
        // Shuffle data are not on executors, so that those may go at any time.
        self.set("spark.dynamicAllocation.shuffleTracking.enabled", "false");
        self.set(
            "spark.shuffle.sort.io.plugin.class",
            "org.apache.spark.shuffle.celeborn.CelebornShuffleDataIO",
        );
    }

    /// Files through S3A.
    fn files(&mut self, key: &'static str, name: &str) {
        let Some(store) = self.scope.store(name) else {
            return;
        };
        self.take(key, Library::HadoopAws);
        let of_bucket = |key: &str| format!("spark.hadoop.fs.s3a.bucket.{}.{key}", store.bucket);
        if let Some(endpoint) = &store.endpoint {
            self.set(of_bucket("endpoint"), endpoint);
        }
        if let Some(region) = &store.region {
            self.set(of_bucket("endpoint.region"), region);
        }
        self.set(of_bucket("path.style.access"), store.path_style.to_string());
        self.keys(key, name);
    }

    /// The keys of a store, as variables: there is one pair of them in a pod.
    fn keys(&mut self, key: &'static str, name: &str) {
        self.wired.uses.insert(name.to_owned());
        let Some(store) = self.scope.store(name) else {
            return;
        };
        match &self.keys_of {
            None => {
                self.wired.env = store_variables(store);
                self.keys_of = Some(name.to_owned());
            }
            Some(first) => {
                let same = self
                    .scope
                    .store(first)
                    .is_some_and(|first| first.credentials == store.credentials && first.role == store.role);
                if !same {
                    self.clashes.push(Clash {
                        code: "platform-two-keys",
                        key,
                        message: format!("files of `{first}` and of `{name}` are wanted with different credentials, and a pod has one pair of them"),
                        fix: format!("give both stores the same `credentials`, or use one of `{first}` and `{name}`"),
                    });
                }
            }
        }
    }

    fn history(&mut self, key: &'static str, store: &str, path: &str) {
        let Some(bucket) = self.scope.store(store).map(|store| &store.bucket) else {
            return;
        };
        self.set("spark.eventLog.enabled", "true");
        self.set("spark.eventLog.dir", format!("s3a://{bucket}/{path}"));
        self.set("spark.eventLog.rolling.enabled", "true");
        self.files(key, store);
    }

    fn kafka(&mut self, name: &str) {
        self.take("kafka", Library::Kafka);
        let servers = format!("{}:9092", self.scope.host(name));
        self.wired.env.push(variable("KAFKA_BOOTSTRAP_SERVERS", servers));
    }
}

/// Keys that wiring sets and that are written otherwise by hand: each with what is written and what is wired.
#[must_use]
pub fn contradicted<'a>(by_hand: &'a BTreeMap<String, String>, wired: &'a Wired) -> Vec<(&'a str, &'a str, &'a str)> {
    let differs = |(key, value): (&'a String, &'a String)| {
        let ours = wired.conf.get(key)?;
        (ours != value).then_some((key.as_str(), value.as_str(), ours.as_str()))
    };
    by_hand.iter().filter_map(differs).collect()
}
