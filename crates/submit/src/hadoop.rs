//! Hadoop configuration: the files of `HADOOP_CONF_DIR` in a ConfigMap of ours, or a ConfigMap that exists.

use serde_json::{Value, json};

use crate::build::Build;
use crate::conf::{Conf, invalid};
use crate::error::PlanError;
use crate::object::{Draft, Object};
use crate::submission::Role;

const DIRECTORY: &str = "/opt/hadoop/conf";
const VOLUME: &str = "hadoop-properties";
const EXISTING: &str = "spark.kubernetes.hadoop.configMapName";
/// Tells the executors which ConfigMap it is.
const FOR_EXECUTORS: &str = "spark.kubernetes.executor.hadoopConfigMapName";

/// Mounts Hadoop configuration into the driver.
pub(crate) fn driver(build: &mut Build<'_>) -> Result<(), PlanError> {
    let existing = build.conf.get(EXISTING);
    let files = build.request.files.hadoop_conf_dir.as_ref();
    let name = match (files, existing) {
        (Some(_), Some(existing)) => {
            return Err(invalid(
                EXISTING,
                &existing,
                "HADOOP_CONF_DIR is set in the environment too; unset it or remove this key, one configuration is enough",
            ));
        }
        (None, None) => return Ok(()),
        (None, Some(existing)) => {
            mount(&mut build.draft, json!({"name": existing}));
            existing
        }
        (Some(files), None) => {
            let name = format!("{}-hadoop-config", build.prefix);
            let items: Vec<Value> = files.keys().map(|file| json!({"key": file, "path": file})).collect();
            let mut source = Object::new();
            if !items.is_empty() {
                source.insert("items".to_owned(), Value::Array(items));
            }
            source.insert("name".to_owned(), json!(name));
            mount(&mut build.draft, Value::Object(source));
            build.add(Role::HadoopFiles, json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": files, "immutable": true,
            }));
            name
        }
    };
    build.add_property(FOR_EXECUTORS, name);
    Ok(())
}

/// Mounts the driver's Hadoop configuration into an executor.
pub(crate) fn executor(draft: &mut Draft, conf: &Conf) {
    if let Some(name) = conf.raw(FOR_EXECUTORS) {
        let source = json!({"name": name});
        mount(draft, source);
    }
}

fn mount(draft: &mut Draft, config_map: Value) {
    draft.add_volume(json!({"configMap": config_map, "name": VOLUME}));
    draft.add_mount(json!({"mountPath": DIRECTORY, "name": VOLUME}));
    draft.add_env("HADOOP_CONF_DIR", DIRECTORY);
}
