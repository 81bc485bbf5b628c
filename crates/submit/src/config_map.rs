//! The driver's ConfigMap: `spark.properties`, and the files of `SPARK_CONF_DIR`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::build::Build;
use crate::conf::{Conf, invalid};
use crate::error::PlanError;
use crate::object::Object;
use crate::properties;
use crate::submission::Role;

/// Where Spark's configuration lies in pods.
pub(crate) const CONF_DIRECTORY: &str = "/opt/spark/conf";
/// The driver's properties file.
pub(crate) const PROPERTIES_PATH: &str = "/opt/spark/conf/spark.properties";
const PROPERTIES_FILE: &str = "spark.properties";
const VOLUME: &str = "spark-conf-volume-driver";
const MAX_SIZE: &str = "spark.kubernetes.configMap.maxSize";
const MAX_SIZE_LIMIT: usize = 1_048_576;

/// Adds the ConfigMap, last of the resources, and mounts it.
pub(crate) fn config_map(build: &mut Build<'_>, properties: &BTreeMap<String, String>) -> Result<(), PlanError> {
    let name = format!("spark-drv-{}-conf-map", build.request.identity.config_map_uid);
    let (mut files, skipped) = conf_files(&build.conf, &build.request.files.spark_conf_dir)?;
    if !skipped.is_empty() {
        build.warnings.push(format!(
            "files left out of the ConfigMap because of `{MAX_SIZE}`: {}",
            skipped.join(", ")
        ));
    }
    let comment = format!("Java properties built from Kubernetes config map with name: {name}");
    let text = properties::store(
        properties,
        &comment,
        build.conf.scala_2_12(),
        build.request.submitted_at,
    );
    files.insert(PROPERTIES_FILE, &text);

    let draft = &mut build.draft;
    draft.add_env("SPARK_CONF_DIR", CONF_DIRECTORY);
    draft.add_mount(json!({"mountPath": CONF_DIRECTORY, "name": VOLUME}));
    draft.add_volume(json!({"configMap": {"items": items(&files), "name": name}, "name": VOLUME}));
    let mut data: Object = files
        .iter()
        .map(|(file, text)| ((*file).to_owned(), json!(text)))
        .collect();
    data.insert("spark.kubernetes.namespace".to_owned(), json!(build.namespace));
    build.add(
        Role::Properties,
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": build.namespace},
            "data": data,
            "immutable": true,
        }),
    );
    Ok(())
}

/// Keys of a ConfigMap as files of a volume, sorted, readable by all.
pub(crate) fn items<T>(files: &BTreeMap<&str, T>) -> Vec<Value> {
    files
        .keys()
        .map(|file| json!({"key": file, "mode": 0o644, "path": file}))
        .collect()
}

/// The files of a configuration directory that travel in a ConfigMap, smallest first until it is full; and the names of those that do not fit.
pub(crate) fn conf_files<'a>(
    conf: &Conf,
    directory: &'a BTreeMap<String, String>,
) -> Result<(BTreeMap<&'a str, &'a str>, Vec<&'a str>), PlanError> {
    let limit = max_size(conf)?;
    let mut candidates: Vec<(&str, &str)> = directory
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .filter(|(name, text)| name.len() + text.len() <= limit && travels(name))
        .collect();
    candidates.sort_by_key(|(name, text)| name.len() + text.len());
    let mut size = 0;
    let (mut taken, mut skipped) = (BTreeMap::new(), Vec::new());
    for (name, text) in candidates {
        // Spark compares before adding the file that crosses the limit.
        let with_file = size + name.len() + text.len();
        if with_file < limit {
            size = with_file;
            taken.insert(name, text);
        } else {
            skipped.push(name);
        }
    }
    Ok((taken, skipped))
}

fn max_size(conf: &Conf) -> Result<usize, PlanError> {
    let Some(value) = conf.get(MAX_SIZE) else {
        return Ok(MAX_SIZE_LIMIT);
    };
    match value.trim().parse::<i64>() {
        Ok(bytes) if bytes <= MAX_SIZE_LIMIT as i64 => Ok(usize::try_from(bytes).unwrap_or(0)),
        _ => Err(invalid(MAX_SIZE, &value, "write a number of bytes, at most 1048576")),
    }
}

/// Templates, archives and Spark's own properties files stay behind.
fn travels(name: &str) -> bool {
    let archive = ["gz", "zip", "jar", "tar"]
        .iter()
        .any(|extension| name.ends_with(&format!(".{extension}")));
    let spark_conf = name.starts_with("spark") && (name.ends_with("conf") || name.ends_with("properties"));
    !archive && !name.ends_with(".template") && !spark_conf
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(limit: &str, files: &[(&str, usize)]) -> (Vec<String>, Vec<String>) {
        let directory: BTreeMap<String, String> = files
            .iter()
            .map(|(name, size)| ((*name).to_owned(), "x".repeat(*size)))
            .collect();
        let conf = Conf {
            values: BTreeMap::from([(MAX_SIZE.to_owned(), limit.to_owned())]),
            version: crate::SparkVersion::new(4, 1, 4),
        };
        let (taken, skipped) = conf_files(&conf, &directory).unwrap();
        (
            taken.keys().map(|name| (*name).to_owned()).collect(),
            skipped.into_iter().map(str::to_owned).collect(),
        )
    }

    #[test]
    fn templates_archives_and_sparks_own_files_stay() {
        let files = [
            ("log4j2.properties", 1),
            ("spark-defaults.conf", 1),
            ("spark.properties", 1),
            ("metrics.properties.template", 1),
            ("x.jar", 1),
            ("x.tar", 1),
            ("core-site.xml", 1),
        ];
        assert_eq!(names("1000", &files).0, ["core-site.xml", "log4j2.properties"]);
    }

    #[test]
    fn small_files_come_first_until_the_map_is_full() {
        let (taken, skipped) = names("30", &[("c", 20), ("a", 5), ("b", 10)]);
        assert_eq!(
            (taken, skipped),
            (vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()])
        );
    }
}
