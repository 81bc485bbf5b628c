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
    /// Name of the driver pod.
    pub driver_pod_name: String,
    /// Name of the headless service of the driver; none when the service step is excluded.
    pub service_name: Option<String>,
    /// The prefix shared by names of this submission's objects (`spark.kubernetes.driver.resourceNamePrefix` inside Spark).
    pub resource_name_prefix: String,
    /// Objects that must exist before the driver pod (a Volcano `PodGroup`); owned by it afterwards too.
    pub pre_resources: Vec<Value>,
    /// The driver pod. Create it with POST, not with server-side apply: `env` may hold a name twice, as with `spark-submit`.
    pub driver_pod: Value,
    /// Everything else, in order; the ConfigMap with `spark.properties` is last.
    pub resources: Vec<Value>,
    /// The final content of `spark.properties`: what the driver will read.
    pub properties: std::collections::BTreeMap<String, String>,
    /// Local files to copy before anything is created.
    pub uploads: Vec<Upload>,
    /// What Spark would log as a warning, or would do silently but matters.
    pub warnings: Vec<String>,
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
                let mut resource = resource.clone();
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
        let items: Vec<&Value> = self
            .pre_resources
            .iter()
            .chain([&self.driver_pod])
            .chain(&self.resources)
            .collect();
        json!({"apiVersion": "v1", "kind": "List", "items": items})
    }
}
