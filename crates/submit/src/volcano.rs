//! Volcano: the pod group a submission belongs to, when its feature step is configured.

use serde_json::{Value, json};

use crate::build::Build;
use crate::conf::{Conf, invalid};
use crate::error::PlanError;
use crate::object::{Draft, object};
use crate::submission::{Resource, Role};

/// The class of the feature step.
pub(crate) const STEP: &str = "org.apache.spark.deploy.k8s.features.VolcanoFeatureStep";
const TEMPLATE_FILE: &str = "spark.kubernetes.scheduler.volcano.podGroupTemplateFile";
const TEMPLATE_JSON: &str = "spark.kubernetes.scheduler.volcano.podGroupTemplateJson";

/// Adds the pod group, to be created before the driver pod, and the driver's annotation.
pub(crate) fn driver(build: &mut Build<'_>) -> Result<(), PlanError> {
    let name = format!("{}-podgroup", build.app_id());
    let mut group = template(build)?;
    let Some(fields) = group.as_object_mut() else {
        return Err(invalid(TEMPLATE_JSON, &group.to_string(), "a pod group is an object"));
    };
    fields.insert("apiVersion".to_owned(), json!("scheduling.volcano.sh/v1beta1"));
    fields.insert("kind".to_owned(), json!("PodGroup"));
    let metadata = object(fields, "metadata");
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("namespace".to_owned(), json!(build.namespace));
    object(fields, "spec");
    build.pre_resources.push(Resource::new(Role::PodGroup, group));
    annotate(&mut build.draft, build.request.identity.application_id.as_str());
    Ok(())
}

/// Adds the annotation to an executor.
pub(crate) fn annotate(draft: &mut Draft, app_id: &str) {
    object(draft.metadata(), "annotations").insert(
        "scheduling.k8s.io/group-name".to_owned(),
        json!(format!("{app_id}-podgroup")),
    );
}

fn template(build: &Build<'_>) -> Result<Value, PlanError> {
    if let Some(file) = build.conf.raw(TEMPLATE_FILE) {
        let found = build.request.files.pod_group_template.clone();
        return found.ok_or_else(|| invalid(TEMPLATE_FILE, file, "the file does not exist or is not YAML"));
    }
    match build.conf.raw(TEMPLATE_JSON) {
        Some(text) => {
            serde_json::from_str(text).map_err(|error| invalid(TEMPLATE_JSON, text, &format!("not JSON: {error}")))
        }
        None => Ok(json!({})),
    }
}

/// The configured feature steps of a role, which must all be ones we know.
pub(crate) fn configured(conf: &Conf, role: &str) -> Result<bool, PlanError> {
    let key = format!("spark.kubernetes.{role}.pod.featureSteps");
    let mut found = false;
    for step in conf.list(&key) {
        if step != STEP {
            return Err(PlanError::Unsupported {
                what: format!("the feature step `{step}` (`{key}`)"),
                reason: "it is Java code that runs inside spark-submit; put what it does into a pod template"
                    .to_owned(),
            });
        }
        found = true;
    }
    Ok(found)
}
