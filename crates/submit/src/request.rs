//! What is to be submitted: everything `plan` may look at.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::identity::Identity;
use crate::version::SparkVersion;

/// One submission in cluster mode. The edges fill it: the `spark-submit` argument parser and the `SparkApplication` reader.
///
/// `conf` holds every `spark.*` key after command line flags, `--conf`, properties file and defaults were merged; paths in it are as the
/// user wrote them (`plan` resolves relative ones against `working_dir`). `plan` itself adds what `spark-submit` adds:
/// `spark.master`, `spark.submit.deployMode`, `spark.app.name`, `spark.app.id`, `spark.app.submitTime`, …
#[derive(Debug, Clone, PartialEq)]
pub struct SubmitRequest {
    /// Whose rules apply.
    pub spark_version: SparkVersion,
    /// The master URL with its `k8s://` prefix: `k8s://https://127.0.0.1:6443`. A missing scheme after the prefix means https.
    pub master: String,
    /// `--class`. Ignored for Python and R.
    pub main_class: Option<String>,
    /// What runs.
    pub resource: MainResource,
    /// Arguments of the application, in order.
    pub args: Vec<String>,
    pub proxy_user: Option<String>,
    /// Every `spark.*` key. Namespace, names, images and all else are read from here.
    pub conf: BTreeMap<String, String>,
    /// Who submits: the value of `SPARK_USER` in driver and executors.
    pub user: String,
    /// Absolute directory against which relative local paths are resolved.
    pub working_dir: String,
    /// Contents of files that end up inside objects.
    pub files: SubmitFiles,
    /// The values Spark draws at random.
    pub identity: Identity,
    /// When the submission happens: `spark.app.submitTime` and the date line of `spark.properties`.
    pub submitted_at: Timestamp,
}

/// What the driver runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MainResource {
    /// Java or Scala: the jar, or none when the class is already on the image's class path (`spark-internal`).
    Java(Option<String>),
    /// A Python file (or, for `pyspark-shell`-like resources, its name).
    Python(String),
    /// An R file.
    R(String),
}

/// Contents read at the edge because they end up inside objects. Absent ones are simply not there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SubmitFiles {
    /// Text files of `SPARK_CONF_DIR`, by file name. `plan` applies Spark's filter and size limit to them.
    pub spark_conf_dir: BTreeMap<String, String>,
    /// Files of `HADOOP_CONF_DIR`, by file name; none when the variable is not set.
    pub hadoop_conf_dir: Option<BTreeMap<String, String>>,
    /// The file named by `spark.kubernetes.kerberos.krb5.path`.
    pub krb5_conf: Option<ConfFile>,
    /// The file named by `spark.kerberos.keytab`.
    pub keytab: Option<Vec<u8>>,
    /// Serialised Hadoop delegation tokens obtained for the submitting user.
    pub delegation_tokens: Option<Vec<u8>>,
    /// The pod of `spark.kubernetes.driver.podTemplateFile`.
    pub driver_template: Option<PodTemplate>,
    /// The pod of `spark.kubernetes.executor.podTemplateFile`.
    pub executor_template: Option<PodTemplate>,
    /// The pod group of `spark.kubernetes.scheduler.volcano.podGroupTemplateFile`.
    pub pod_group_template: Option<Value>,
    /// The submitter's environment; only `PYSPARK_PYTHON`, `PYSPARK_DRIVER_PYTHON` and `SPARK_LOCAL_DIRS` are looked at.
    pub environment: BTreeMap<String, String>,
    /// Text of files named by `spark.kubernetes.authenticate.driver.{caCertFile,clientKeyFile,clientCertFile}`, by path as written.
    pub credentials: BTreeMap<String, Vec<u8>>,
    /// Local glob patterns found in the request and the absolute paths they match, by pattern as written. A pattern that is not here is kept.
    pub globs: BTreeMap<String, Vec<String>>,
}

/// A text file with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfFile {
    /// File name without directory: the key in the ConfigMap.
    pub name: String,
    /// Content.
    pub text: String,
}

/// A pod template: the text as it was found, and the pod it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct PodTemplate {
    /// The file's text (YAML or JSON). The executor's goes into a ConfigMap as it is.
    pub text: String,
    /// The same, parsed.
    pub pod: Value,
}
