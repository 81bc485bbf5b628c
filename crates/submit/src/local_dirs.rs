//! Spark's scratch directories: volumes named `spark-local-dir-…`, or one empty directory per configured path.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::conf::Conf;
use crate::error::PlanError;
use crate::object::Draft;

const VOLUME_PREFIX: &str = "spark-local-dir-";

/// Adds `SPARK_LOCAL_DIRS`, and the volumes when none are mounted yet. `environment` is that of the process that makes the pod.
pub(crate) fn local_dirs(
    draft: &mut Draft,
    conf: &Conf,
    environment: &BTreeMap<String, String>,
    random_directory: &str,
) -> Result<(), PlanError> {
    let mounted: Vec<String> = draft
        .container
        .get("volumeMounts")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|mount| {
            mount["name"]
                .as_str()
                .is_some_and(|name| name.starts_with(VOLUME_PREFIX))
        })
        .filter_map(|mount| mount["mountPath"].as_str().map(str::to_owned))
        .collect();
    if !mounted.is_empty() {
        draft.add_env("SPARK_LOCAL_DIRS", &mounted.join(","));
        return Ok(());
    }
    let configured = environment
        .get("SPARK_LOCAL_DIRS")
        .cloned()
        .or_else(|| conf.raw("spark.local.dir").map(str::to_owned))
        .unwrap_or_else(|| random_directory.to_owned());
    let source = if conf.bool("spark.kubernetes.local.dirs.tmpfs", false)? {
        json!({"medium": "Memory"})
    } else {
        json!({})
    };
    let directories: Vec<&str> = configured.trim_end_matches(',').split(',').collect();
    for index in 1..=directories.len() {
        draft.add_volume(json!({"emptyDir": source, "name": format!("{VOLUME_PREFIX}{index}")}));
    }
    draft.add_env("SPARK_LOCAL_DIRS", &directories.join(","));
    for (index, directory) in directories.iter().enumerate() {
        draft.add_mount(json!({"mountPath": directory, "name": format!("{VOLUME_PREFIX}{}", index + 1)}));
    }
    Ok(())
}
