//! The kinds of components and their keys.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Credentials, Database, Login, Outside, Run, SecretKey, Storage};

/// A component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Component {
    ObjectStore(ObjectStore),
    Postgresql(Postgresql),
    HiveMetastore(HiveMetastore),
    Nessie(Nessie),
    HistoryServer(HistoryServer),
    SparkConnect(SparkConnect),
    Jupyterlab(Jupyterlab),
    Mlflow(Mlflow),
    Kafka(Kafka),
    Airflow(Airflow),
    Celeborn(Celeborn),
}

/// A bucket of an object store outside of the platform: Amazon S3, a server that speaks its protocol, Google's or Azure's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStore {
    /// Name of the bucket; of Azure the container.
    pub bucket: String,
    /// Region of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Address of the server, `https://minio.example.com`; without it Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Whether the bucket is named in the path, not in the host name: most servers other than Amazon's need it.
    #[serde(default)]
    pub path_style: bool,
    /// Secret with the keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// Role of Amazon's IAM that the service accounts take on, instead of keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Google Cloud Storage, instead of Amazon's protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google: Option<Google>,
    /// Azure Data Lake Storage, instead of Amazon's protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<Azure>,
}

/// Who asks Google Cloud Storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Google {
    /// Id of the project, where the bucket is not of the service account's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Service account of Google's that the pods act for: `NAME@PROJECT.iam.gserviceaccount.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Secret with the key file of a service account, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretKey>,
}

/// An account of Azure's storage, and who asks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Azure {
    /// Name of the storage account.
    pub account: String,
    /// The identity that the pods have (workload identity).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<AzureIdentity>,
    /// Secret with the key of the account, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretKey>,
}

/// An identity of Azure's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureIdentity {
    /// Its client id.
    pub client_id: String,
    /// The id of its tenant.
    pub tenant_id: String,
}

/// A PostgreSQL server with one volume, or one outside of the platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Postgresql {
    #[serde(flatten)]
    pub run: Run,
    /// Version of PostgreSQL.
    #[serde(default = "postgresql_version")]
    pub version: String,
    /// Secret with the user who may create databases.
    pub login: Login,
    /// The volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// A server that is there already; nothing runs here then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Outside>,
}

fn postgresql_version() -> String {
    "15".into()
}

/// The form of tables in a catalog of Hive's metastore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tables {
    /// Tables as Hive has them, in Spark's own catalog.
    #[default]
    Hive,
    /// Iceberg tables, in a catalog of the component's name.
    Iceberg,
}

/// Hive's metastore: a catalog over Thrift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HiveMetastore {
    #[serde(flatten)]
    pub run: Run,
    /// Version of Hive.
    #[serde(default = "hive_version")]
    pub version: String,
    /// Where it keeps what it knows.
    pub database: Database,
    /// The component of kind `object-store` that tables are in.
    pub store: String,
    /// Folder of the tables in the bucket.
    #[serde(default = "warehouse")]
    pub path: String,
    /// The form of tables.
    #[serde(default)]
    pub tables: Tables,
    /// How many pods answer.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub replicas: i32,
    /// Further properties of `metastore-site.xml`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

fn hive_version() -> String {
    "3.1.3".into()
}

fn warehouse() -> String {
    "warehouse".into()
}

fn one() -> i32 {
    1
}

/// Nessie: an Iceberg REST catalog with branches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Nessie {
    #[serde(flatten)]
    pub run: Run,
    /// Version of Nessie.
    #[serde(default = "nessie_version")]
    pub version: String,
    /// Where it keeps what it knows; without it in memory, which is lost when the pod ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// The component of kind `object-store` that tables are in.
    pub store: String,
    /// Folder of the tables in the bucket.
    #[serde(default = "warehouse")]
    pub path: String,
    /// How many pods answer.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub replicas: i32,
    /// Further properties of Nessie, `nessie.…` or `quarkus.…`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// Name under which it is reached from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

fn nessie_version() -> String {
    "0.99.0".into()
}

/// Stoke's History Server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryServer {
    #[serde(flatten)]
    pub run: Run,
    /// The component of kind `object-store` that event logs are in.
    pub store: String,
    /// Folder of the event logs in the bucket.
    #[serde(default = "spark_logs")]
    pub path: String,
    /// Memory that loaded applications may take, in MiB.
    #[serde(default = "cache")]
    #[schemars(range(min = 16, max = 65536))]
    pub cache: u32,
    /// Name under which it is reached from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

fn spark_logs() -> String {
    "spark-logs".into()
}

fn cache() -> u32 {
    64
}

/// A Spark Connect server, as a `SparkConnect` object of the operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SparkConnect {
    /// Which of `sparks` it is.
    pub spark: String,
    /// The component with its catalog; without it that of the Spark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    /// The component of kind `celeborn` that keeps shuffle data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shuffle: Option<String>,
    /// The component of kind `object-store` that it reads and writes files in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The component of kind `history-server` that shows its event log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// The component of kind `kafka` that it reads and writes streams in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<String>,
    /// The server pod.
    #[serde(default)]
    pub server: Server,
    /// The executors, which come and go with the work.
    #[serde(default)]
    pub executors: Executors,
    /// GPUs of the executors; the server has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,
    /// How long nothing may be computed before the server is stopped, `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<String>,
    /// Further configuration of Spark.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spark_conf: BTreeMap<String, String>,
    /// The nodes it is placed on, one of `nodes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<String>,
    /// Components that must be ready before it is applied, besides those it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

impl SparkConnect {
    /// The port at which it answers.
    #[must_use]
    pub fn port(&self) -> u16 {
        let said = self.spark_conf.get("spark.connect.grpc.binding.port");
        said.and_then(|port| port.trim().parse().ok())
            .unwrap_or(stoke_model::names::CONNECT_PORT)
    }
}

/// The server pod of Spark Connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Server {
    /// Cores.
    #[schemars(range(min = 1, max = 256))]
    pub cores: i32,
    /// Heap, as Spark writes it: `2g`.
    pub memory: String,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            cores: 1,
            memory: "2g".into(),
        }
    }
}

/// Executors of Spark Connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Executors {
    /// How many there are at least.
    #[schemars(range(min = 0, max = 10000))]
    pub min: i32,
    /// How many there are at most.
    #[schemars(range(min = 1, max = 10000))]
    pub max: i32,
    /// Cores of each.
    #[schemars(range(min = 1, max = 256))]
    pub cores: i32,
    /// Heap of each, as Spark writes it: `4g`.
    pub memory: String,
}

impl Default for Executors {
    fn default() -> Self {
        Executors {
            min: 0,
            max: 5,
            cores: 1,
            memory: "2g".into(),
        }
    }
}

/// GPUs of executors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Gpu {
    /// How many each executor has; 0: none, in an environment without.
    #[schemars(range(min = 0, max = 16))]
    pub amount: i32,
    /// Who makes them, as the device plugin has it: pods ask for `nvidia.com/gpu`.
    pub vendor: String,
    /// The nodes of the executors, one of `nodes`; without it those of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<String>,
    /// Whether SQL runs on them, by NVIDIA's accelerator (RAPIDS) in the build for this Spark.
    pub rapids: bool,
    /// Memory of each executor that is pinned for copies to and from them, as Spark writes it: `2g`. It is outside of the heap.
    pub pinned: String,
}

impl Default for Gpu {
    fn default() -> Self {
        Gpu {
            amount: 1,
            vendor: "nvidia.com".into(),
            nodes: None,
            rapids: true,
            pinned: "2g".into(),
        }
    }
}

/// JupyterLab for one person or team, with Spark Connect at hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Jupyterlab {
    #[serde(flatten)]
    pub run: Run,
    /// The component of kind `spark-connect` that notebooks use.
    pub connect: String,
    /// The component of kind `mlflow` that notebooks report to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<String>,
    /// Secret with the token that opens it.
    pub token: SecretKey,
    /// The volume of the notebooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Name under which it is reached from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// MLflow's tracking server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mlflow {
    #[serde(flatten)]
    pub run: Run,
    /// Version of MLflow.
    #[serde(default = "mlflow_version")]
    pub version: String,
    /// Where it keeps runs and their metrics.
    pub database: Database,
    /// The component of kind `object-store` that artifacts are in.
    pub store: String,
    /// Folder of the artifacts in the bucket.
    #[serde(default = "artifacts")]
    pub path: String,
    /// How many pods answer.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub replicas: i32,
    /// Name under which it is reached from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

fn mlflow_version() -> String {
    "3.17.2".into()
}

fn artifacts() -> String {
    "mlflow".into()
}

/// Kafka without ZooKeeper: each pod is broker and controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kafka {
    #[serde(flatten)]
    pub run: Run,
    /// Version of Kafka.
    #[serde(default = "kafka_version")]
    pub version: String,
    /// How many pods: an odd number, so that one side of a split has more.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 9))]
    pub replicas: i32,
    /// The volume of each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Further properties of a broker, `log.retention.hours`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

fn kafka_version() -> String {
    "4.1.2".into()
}

/// Airflow with its local executor: API server, scheduler and DAG processor in one pod. DAGs submit SparkApplications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Airflow {
    #[serde(flatten)]
    pub run: Run,
    /// Version of Airflow.
    #[serde(default = "airflow_version")]
    pub version: String,
    /// Where it keeps runs of DAGs.
    pub database: Database,
    /// Secret with the key that connections are encrypted by, 32 bytes in base64.
    pub fernet_key: SecretKey,
    /// Secret with the key that sessions are signed by.
    pub signing_key: SecretKey,
    /// Which of `sparks` the example DAG runs; without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// A PersistentVolumeClaim with DAGs, mounted read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dags_claim: Option<String>,
    /// Name under which it is reached from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

fn airflow_version() -> String {
    "3.3.2".into()
}

/// Celeborn: shuffle data outside of executors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Celeborn {
    #[serde(flatten)]
    pub run: Run,
    /// Version of Celeborn.
    #[serde(default = "celeborn_version")]
    pub version: String,
    /// How many masters: an odd number.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 5))]
    pub masters: i32,
    /// How many workers.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 500))]
    pub workers: i32,
    /// The volume of each worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Further keys of `celeborn-defaults.conf`, `celeborn.…`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

fn celeborn_version() -> String {
    "0.5.4".into()
}
