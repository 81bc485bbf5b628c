//! Wiring by need: what says `catalog: lakehouse` or `shuffle: celeborn` gets the configuration, packages, variables and labels it needs.
//!
//! In: a checked platform, a Spark, and what is wanted. Out: [`Wired`], or why the two do not go together. Pure.
//!
//! - `libraries`: which libraries fit which Spark and Scala
//! - [`application`]: a manifest that names components in its annotations, wired

pub mod application;
mod libraries;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stoke_model::distribution;

use crate::component::{self, Gives};
use crate::render::{Scope, variable};
use crate::spec::components::{Gpu, HiveMetastore, ObjectStore, SparkConnect, Tables};
use crate::spec::{Component, Spark};
use crate::store::Cloud;

pub use libraries::{Library, connect_release, fitting};

/// What is wanted of a platform, by the names of its components.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    pub catalog: Option<String>,
    pub shuffle: Option<String>,
    pub store: Option<String>,
    pub history: Option<String>,
    pub kafka: Option<String>,
    /// GPUs of executors with so many cores.
    pub gpu: Option<(Gpu, i32)>,
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
            gpu: connect
                .gpu
                .clone()
                .filter(|gpu| gpu.amount > 0)
                .map(|gpu| (gpu, connect.executors.cores)),
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
    /// Addresses of jars: those that work with all they need in them only.
    pub jars: Vec<String>,
    /// Secrets that driver and executors mount, as an application names them.
    pub secrets: Vec<Value>,
    /// Labels of driver and executors.
    pub labels: BTreeMap<String, String>,
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

/// The connector of Google Cloud Storage with all that it needs in it, under names of its own: by its coordinates alone it would meet Spark's older Guava.
pub const GCS_CONNECTOR: &str = "https://repo1.maven.org/maven2/com/google/cloud/bigdataoss/gcs-connector/hadoop3-2.2.22/gcs-connector-hadoop3-2.2.22-shaded.jar";
/// The first Hadoop with a connector of Google's store of its own. Its defaults of keys that both have are sizes with a unit, which Google's connector refuses:
/// these are the same sizes.
const GOOGLE_IN_HADOOP: &str = "3.5.0";
const GOOGLE_SIZES: [(&str, u64); 4] = [
    ("fs.gs.block.size", 64 << 20),
    ("fs.gs.inputstream.inplace.seek.limit", 8 << 20),
    ("fs.gs.inputstream.min.range.request.size", 2 << 20),
    ("fs.gs.outputstream.buffer.size", 8 << 20),
];
/// The first Hadoop with HADOOP-18610.
const AZURE_IDENTITY: &str = "3.4.1";

/// Whether a version is before another.
fn is_before(version: &str, other: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap_or(0)).collect() };
    numbers(version) < numbers(other)
}

/// Spark's own script that says which GPUs an executor was given.
const DISCOVERY: &str = "/opt/spark/examples/src/main/scripts/getGpusResources.sh";

struct Work<'a> {
    scope: Scope<'a>,
    spark: &'a Spark,
    wired: Wired,
    /// Stores that are asked, by their names.
    asked: Vec<String>,
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
        asked: Vec::new(),
        clashes: Vec::new(),
    };
    if wants.serves && spark.version.starts_with("3.") {
        work.take("spark", Library::Connect);
    }
    if let Some((gpu, cores)) = &wants.gpu {
        work.gpu(gpu, *cores);
    }
    for (key, name, _) in wants.all() {
        work.wired.uses.insert(name.to_owned());
        match scope.component(name) {
            Some(Component::Nessie(nessie)) => work.nessie(key, name, &nessie.store),
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

    fn nessie(&mut self, key: &'static str, name: &str, store: &str) {
        let catalog = format!("spark.sql.catalog.{name}");
        let uri = format!("http://{}:19120/iceberg", self.scope.host(name));
        self.set(&catalog, ICEBERG_CATALOG);
        self.set(format!("{catalog}.type"), "rest");
        self.set(format!("{catalog}.uri"), uri);
        self.set(format!("{catalog}.warehouse"), "warehouse");
        self.set("spark.sql.extensions", EXTENSIONS);
        self.set("spark.sql.defaultCatalog", name);
        self.take("catalog", Library::Iceberg);
        match self.scope.store(store).map(ObjectStore::cloud) {
            None | Some(Cloud::S3) => self.take("catalog", Library::IcebergAws),
            Some(Cloud::Google(_)) => self.take("catalog", Library::IcebergGcp),
            Some(Cloud::Azure(azure)) => {
                if azure.key.is_some() {
                    self.clashes.push(Clash {
                        code: "platform-store",
                        key,
                        message: format!(
                            "Iceberg's client of Azure takes the key of an account as plain configuration only, and `{store}` has it in a Secret"
                        ),
                        fix: format!("write `identity` instead of `key` in `components.{store}.azure`, or use a catalog of kind `hive-metastore`"),
                    });
                }
                self.take("catalog", Library::IcebergAzure);
            }
        }
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
        let store = self.scope.store(&hive.store);
        let warehouse = store.map(|store| store.hadoop_url(&hive.path)).unwrap_or_default();
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

    /// Files through Hadoop.
    fn files(&mut self, key: &'static str, name: &str) {
        let Some(store) = self.scope.store(name) else {
            return;
        };
        match store.cloud() {
            Cloud::S3 => self.take(key, Library::HadoopAws),
            Cloud::Google(_) => {
                if !self.wired.jars.iter().any(|jar| jar == GCS_CONNECTOR) {
                    self.wired.jars.push(GCS_CONNECTOR.to_owned());
                }
                if !is_before(distribution::nearest(&self.spark.version).hadoop, GOOGLE_IN_HADOOP) {
                    for (key, bytes) in GOOGLE_SIZES {
                        self.set(format!("spark.hadoop.{key}"), bytes.to_string());
                    }
                }
            }
            Cloud::Azure(azure) => {
                let hadoop = distribution::nearest(&self.spark.version).hadoop;
                if azure.identity.is_some() && is_before(hadoop, AZURE_IDENTITY) {
                    self.clashes.push(Clash {
                        code: "platform-versions",
                        key,
                        message: format!(
                            "`{name}` is asked with an identity of Azure, which Hadoop knows from {AZURE_IDENTITY} on, and Spark {} has Hadoop {hadoop}",
                            self.spark.version
                        ),
                        fix: format!("use a Spark of 4.0 or later, or write `key` instead of `identity` in `components.{name}.azure`"),
                    });
                }
                self.take(key, Library::HadoopAzure);
            }
        }
        for (key, value) in store.hadoop() {
            self.set(format!("spark.hadoop.{key}"), value);
        }
        self.keys(key, name);
    }

    /// The login of a store: of each cloud there is one in a pod.
    fn keys(&mut self, key: &'static str, name: &str) {
        self.wired.uses.insert(name.to_owned());
        let Some(store) = self.scope.store(name) else {
            return;
        };
        if self.asked.iter().any(|asked| asked == name) {
            return;
        }
        let other = self
            .asked
            .iter()
            .find(|other| self.scope.store(other).is_some_and(|other| !other.is_asked_like(store)));
        if let Some(first) = other {
            self.clashes.push(Clash {
                code: "platform-two-keys",
                key,
                message: format!("files of `{first}` and of `{name}` are wanted with different credentials, and a pod has one pair of them"),
                fix: format!("give both stores the same `credentials`, or use one of `{first}` and `{name}`"),
            });
            return;
        }
        for variable in store.variables() {
            if !self.wired.env.iter().any(|there| there["name"] == variable["name"]) {
                self.wired.env.push(variable);
            }
        }
        if let Some((file, path)) = store.mounted() {
            let secret = json!({"name": file.secret, "path": path, "secretType": "Generic"});
            if !self.wired.secrets.contains(&secret) {
                self.wired.secrets.push(secret);
            }
        }
        let label = store.pod_label();
        self.wired
            .labels
            .extend(label.map(|(key, value)| (key.to_owned(), value.to_owned())));
        self.asked.push(name.to_owned());
    }

    fn history(&mut self, key: &'static str, store: &str, path: &str) {
        let Some(directory) = self.scope.store(store).map(|store| store.hadoop_url(path)) else {
            return;
        };
        self.set("spark.eventLog.enabled", "true");
        self.set("spark.eventLog.dir", directory);
        self.set("spark.eventLog.rolling.enabled", "true");
        self.files(key, store);
    }

    /// GPUs: what an executor asks for, what a task takes of it, and who runs SQL on them.
    fn gpu(&mut self, gpu: &Gpu, cores: i32) {
        self.set("spark.executor.resource.gpu.amount", gpu.amount.to_string());
        self.set("spark.executor.resource.gpu.vendor", gpu.vendor.clone());
        self.set("spark.executor.resource.gpu.discoveryScript", DISCOVERY);
        self.set("spark.task.resource.gpu.amount", share(gpu.amount, cores));
        if gpu.rapids {
            self.take("gpu", Library::Rapids);
            self.set("spark.plugins", "com.nvidia.spark.SQLPlugin");
            self.set("spark.rapids.memory.pinnedPool.size", gpu.pinned.clone());
            self.set("spark.rapids.sql.concurrentGpuTasks", "2");
        }
    }

    fn kafka(&mut self, name: &str) {
        self.take("kafka", Library::Kafka);
        let servers = format!("{}:9092", self.scope.host(name));
        self.wired.env.push(variable("KAFKA_BOOTSTRAP_SERVERS", servers));
    }
}

/// What a task takes of a GPU, so that as many run as an executor has cores: Spark takes a whole number, or a part of a half at most.
fn share(gpus: i32, cores: i32) -> String {
    let tasks = (cores.max(1) + gpus.max(1) - 1) / gpus.max(1);
    match tasks {
        1 => "1".to_owned(),
        // Rounded down: `1 / share` is how many Spark counts.
        tasks => {
            let digits = format!("{:04}", 10_000 / tasks);
            format!("0.{}", digits.trim_end_matches('0'))
        }
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

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn as_many_tasks_as_cores() {
        for gpus in 1..=16 {
            for cores in 1..=256 {
                let share: f64 = share(gpus, cores).parse().unwrap();
                let of_one = if share <= 0.5 {
                    (1.0 / share).floor()
                } else {
                    1.0 / share
                };
                assert!(share <= 0.5 || share == 1.0, "{gpus} {cores} {share}");
                assert!(of_one * f64::from(gpus) >= f64::from(cores), "{gpus} {cores} {share}");
            }
        }
        assert_eq!(
            (share(1, 4), share(1, 3), share(2, 4)),
            ("0.25".into(), "0.3333".into(), "0.5".into())
        );
    }
}
