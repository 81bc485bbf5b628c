//! What a submission consists of: the objects, in the order in which they are created.

use serde_json::{Value, json};

/// The result of [`plan`](crate::plan): objects to create, files to copy first, and what the user should know.
///
/// Order at the API: uploads, `pre_resources`, `driver_pod`, then [`Submission::owned`] with the UID the API gave to the driver pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// `spark.app.id`.
    pub application_id: String,
    /// Namespace of every object.
    pub namespace: String,
    pub driver_pod_name: String,
    /// Name of the headless service of the driver; none when the service step is excluded.
    pub service_name: Option<String>,
    /// The prefix shared by names of this submission's objects (`spark.kubernetes.driver.resourceNamePrefix` inside Spark).
    pub resource_name_prefix: String,
    /// Objects that must exist before the driver pod (a Volcano `PodGroup`); owned by it afterwards too.
    pub pre_resources: Vec<Resource>,
    /// The driver pod. Create it with POST, not with server-side apply: `env` may hold a name twice, as with `spark-submit`.
    pub driver_pod: Value,
    /// Everything else, in order; the ConfigMap with `spark.properties` is last.
    pub resources: Vec<Resource>,
    /// The final content of `spark.properties`: what the driver will read.
    pub properties: std::collections::BTreeMap<String, String>,
    /// Local files to copy before anything is created.
    pub uploads: Vec<Upload>,
    /// What Spark would log as a warning, or would do silently but matters.
    pub warnings: Vec<String>,
}

/// What an object of a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The headless service at which executors find the driver.
    DriverService,
    /// The ConfigMap with `spark.properties` and the other files of the configuration.
    Properties,
    /// The ConfigMap with the executors' pod template.
    ExecutorTemplate,
    /// The ConfigMap with the files of `HADOOP_CONF_DIR`.
    HadoopFiles,
    /// The ConfigMap with `krb5.conf`.
    KerberosFile,
    /// The Secret with a keytab.
    Keytab,
    /// The Secret with delegation tokens.
    DelegationTokens,
    /// The Secret with credentials of the API server.
    Credentials,
    /// A volume claim of the driver.
    Claim,
    /// The policy that lets only pods of the application reach executors.
    NetworkPolicy,
    /// What a batch scheduler takes together.
    PodGroup,
    /// The ConfigMap of the Prometheus exporter.
    ExporterFiles,
    /// The service of the Spark UI.
    UiService,
    /// The ingress or route of the Spark UI.
    UiWayIn,
    /// The service of a further port of the driver.
    PortService,
    /// The ingress or route of a further port of the driver.
    PortWayIn,
    /// The driver's disruption budget.
    DisruptionBudget,
}

/// An object of a run with what it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// What it is for.
    pub role: Role,
    pub object: Value,
}

impl Resource {
    /// An object for something.
    #[must_use]
    pub fn new(role: Role, object: Value) -> Self {
        Self { role, object }
    }

    /// Its `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }
}

impl std::ops::Deref for Resource {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.object
    }
}

/// A local file that driver and executors must find somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Absolute local path.
    pub from: String,
    /// Destination URI, below `spark.kubernetes.file.upload.path`.
    pub to: String,
}

impl Submission {
    /// The first object for something.
    #[must_use]
    pub fn resource(&self, role: Role) -> Option<&Value> {
        let mut all = self.pre_resources.iter().chain(&self.resources);
        all.find(|resource| resource.role == role)
            .map(|resource| &resource.object)
    }

    /// `pre_resources` and `resources` with the driver pod (of this `uid`) as owner.
    #[must_use]
    pub fn owned(&self, uid: &str) -> Vec<Value> {
        let owner = json!({
            "apiVersion": "v1", "kind": "Pod", "controller": true, "name": self.driver_pod_name, "uid": uid,
        });
        self.pre_resources
            .iter()
            .chain(&self.resources)
            .map(|resource| {
                let mut resource = resource.object.clone();
                if let Some(metadata) = resource.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.insert("ownerReferences".to_owned(), json!([owner]));
                }
                resource
            })
            .collect()
    }

    /// Every object in creation order as one `v1` `List`, without owners: what `stoke submit --dry-run` prints.
    #[must_use]
    pub fn to_list(&self) -> Value {
        let before = self.pre_resources.iter().map(|resource| &resource.object);
        let after = self.resources.iter().map(|resource| &resource.object);
        let items: Vec<&Value> = before.chain([&self.driver_pod]).chain(after).collect();
        json!({"apiVersion": "v1", "kind": "List", "items": items})
    }
}
