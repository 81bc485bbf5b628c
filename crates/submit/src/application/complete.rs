//! What only the finished driver pod can take, because Spark sets it after the template: the owner, the memory limit, `SPARK_CONF_DIR`.

use serde_json::{Value, json};
use stoke_model::crd::SparkApplication;
use stoke_model::names;

use super::conf::memory_limit;
use super::error::ApplicationError;
use super::template::SPARK_CONF_DIR;
use crate::Submission;

/// Makes the application the owner of the driver pod, and sets what Spark would have overwritten.
///
/// # Errors
/// A memory limit that does not parse, or is less than what Spark requests.
pub fn complete(app: &SparkApplication, submission: &mut Submission, observe: bool) -> Result<(), ApplicationError> {
    let namespace = submission.namespace.clone();
    submission.driver_pod["metadata"]["ownerReferences"] = json!([super::owner_reference(app)]);
    submission.driver_pod["metadata"]["namespace"] = json!(namespace);
    let Some(container) = spark_container(&mut submission.driver_pod) else {
        return Ok(());
    };
    if observe && container["terminationMessagePolicy"].is_null() {
        // The end of a failed driver's log comes with its status, so that the kind of failure is known without the log.
        container["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    }
    if let Some(limit) = app
        .spec
        .driver
        .as_ref()
        .and_then(|driver| driver.pod.memory_limit.as_deref())
    {
        const PATH: &str = "spec.driver.memoryLimit";
        let limit = memory_limit(PATH, limit)?;
        let request = container["resources"]["requests"]["memory"]
            .as_str()
            .unwrap_or_default();
        let requested = request
            .parse::<stoke_model::quantity::Quantity>()
            .map_or(0, |quantity| quantity.bytes());
        if limit.bytes() < requested {
            return Err(ApplicationError::field(
                PATH,
                format!(
                    "{limit} is less than the {request} of heap and overhead; raise it, or lower memory or memoryOverhead"
                ),
            ));
        }
        container["resources"]["limits"]["memory"] = json!(limit.to_quantity().to_string());
    }
    if app.spec.spark_config_map.is_some()
        && let Some(env) = container["env"].as_array_mut()
    {
        env.retain(|variable| variable["name"] != "SPARK_CONF_DIR");
        env.push(json!({"name": "SPARK_CONF_DIR", "value": SPARK_CONF_DIR}));
    }
    Ok(())
}

fn spark_container(pod: &mut Value) -> Option<&mut Value> {
    let containers = pod["spec"]["containers"].as_array_mut()?;
    containers
        .iter_mut()
        .find(|container| container["name"] == names::DRIVER_CONTAINER)
}
