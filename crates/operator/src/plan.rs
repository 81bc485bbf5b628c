//! The seam to the room `submit`: an application whose status records an attempt becomes the objects of that attempt.

use serde_json::{Value, json};
use stoke_model::crd::SparkApplication;

/// Plans submissions. Pure: the same application gives the same objects.
pub trait Planner: Send + Sync + 'static {
    /// The objects of the attempt recorded in the status (`submissionID`, `driverInfo.podName`, `lastSubmissionAttemptTime`).
    ///
    /// # Errors
    /// What no retry can change: the configuration is refused.
    fn plan(&self, app: &SparkApplication) -> Result<Plan, Refusal>;
}

/// The objects of one attempt, in the order in which they are created.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Spark's application id.
    pub application_id: String,
    /// Name of the driver pod.
    pub driver_pod_name: String,
    /// What must be there before the driver pod.
    pub before: Vec<Value>,
    /// The driver pod. Created by POST: `env` may name a variable twice.
    pub driver_pod: Value,
    /// What the driver pod owns, without the owner; created as soon as the pod's UID is known.
    pub owned: Vec<Value>,
    /// Service of the Spark UI among them, with its port.
    pub web_ui: Option<(String, i32)>,
}

impl Plan {
    /// What the driver pod owns, with the pod of this UID as owner.
    #[must_use]
    pub fn owned_by(&self, uid: &str) -> Vec<Value> {
        let owner =
            json!({"apiVersion": "v1", "kind": "Pod", "controller": true, "name": self.driver_pod_name, "uid": uid});
        let with_owner = |object: &Value| {
            let mut object = object.clone();
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("ownerReferences".to_owned(), json!([owner]));
            }
            object
        };
        self.owned.iter().map(with_owner).collect()
    }
}

/// Why an application cannot be submitted as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable code in UpperCamelCase.
    pub code: String,
    /// Place, cause and fix.
    pub message: String,
}
