//! The files whose content ends up inside objects: Spark's and Hadoop's configuration, pod templates, Kerberos, credentials.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::configuration::spark_conf_dir;
use super::error::ArgvError;
use super::files::Files;
use crate::{ConfFile, PodTemplate, SubmitFiles};

/// Reads everything that the configuration and the environment name.
///
/// # Errors
/// A file that is named in the configuration and cannot be read, or is not a pod template.
pub fn gather(conf: &BTreeMap<String, String>, files: &dyn Files) -> Result<SubmitFiles, ArgvError> {
    Ok(SubmitFiles {
        spark_conf_dir: spark_conf_dir(files).map_or_else(BTreeMap::new, |directory| texts_of(&directory, files)),
        hadoop_conf_dir: files
            .env("HADOOP_CONF_DIR")
            .map(|directory| texts_of(&directory, files)),
        krb5_conf: krb5_conf(conf, files)?,
        keytab: keytab(conf, files)?,
        delegation_tokens: None,
        driver_template: template(conf, "driver", files)?,
        executor_template: template(conf, "executor", files)?,
        pod_group_template: pod_group(conf, files)?,
        environment: ["PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "SPARK_LOCAL_DIRS"]
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), files.env(name)?)))
            .collect(),
        credentials: credentials(conf, files)?,
        globs: globs(conf, files),
    })
}

/// The text files directly in a directory, by name. What is not readable as text is left out, as Spark leaves it out.
fn texts_of(directory: &str, files: &dyn Files) -> BTreeMap<String, String> {
    files
        .list(directory)
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, is_directory)| !is_directory)
        .filter_map(|(name, _)| {
            let bytes = files
                .read(&format!("{}/{name}", directory.trim_end_matches('/')))
                .ok()?;
            Some((name, String::from_utf8(bytes).ok()?))
        })
        .collect()
}

/// The local path of a path or `file:` URI; none for every other scheme, and for nothing at all.
#[must_use]
pub fn local_path(uri: &str) -> Option<&str> {
    match uri.split_once(':') {
        Some(("file", path)) => Some(path.strip_prefix("//").unwrap_or(path)),
        Some((scheme, _)) if is_scheme(scheme) => None,
        None if uri.is_empty() => None,
        _ => Some(uri),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.'))
}

fn read_named(purpose: &'static str, path: &str, files: &dyn Files) -> Result<Vec<u8>, ArgvError> {
    let unreadable = |reason: String| ArgvError::File {
        purpose,
        path: path.to_owned(),
        reason,
    };
    let local = local_path(path)
        .ok_or_else(|| unreadable("is not a local file; copy it to this machine and name the copy".to_owned()))?;
    files.read(local).map_err(|error| unreadable(error.to_string()))
}

fn read_text(purpose: &'static str, path: &str, files: &dyn Files) -> Result<String, ArgvError> {
    String::from_utf8(read_named(purpose, path, files)?).map_err(|_| ArgvError::File {
        purpose,
        path: path.to_owned(),
        reason: "is not UTF-8 text".to_owned(),
    })
}

fn krb5_conf(conf: &BTreeMap<String, String>, files: &dyn Files) -> Result<Option<ConfFile>, ArgvError> {
    let Some(path) = conf.get("spark.kubernetes.kerberos.krb5.path") else {
        return Ok(None);
    };
    Ok(Some(ConfFile {
        name: path.rsplit('/').next().unwrap_or(path).to_owned(),
        text: read_text("Kerberos configuration", path, files)?,
    }))
}

/// The keytab, unless it lies in the image already (`local:`).
fn keytab(conf: &BTreeMap<String, String>, files: &dyn Files) -> Result<Option<Vec<u8>>, ArgvError> {
    match conf.get("spark.kerberos.keytab") {
        Some(path) if !path.starts_with("local:") => read_named("keytab", path, files).map(Some),
        _ => Ok(None),
    }
}

fn template(
    conf: &BTreeMap<String, String>,
    role: &'static str,
    files: &dyn Files,
) -> Result<Option<PodTemplate>, ArgvError> {
    let Some(path) = conf.get(&format!("spark.kubernetes.{role}.podTemplateFile")) else {
        return Ok(None);
    };
    let purpose = if role == "driver" {
        "driver pod template"
    } else {
        "executor pod template"
    };
    let text = read_text(purpose, path, files)?;
    let pod: Value = serde_saphyr::from_str(&text).map_err(|error| ArgvError::File {
        purpose,
        path: path.clone(),
        reason: format!("is not YAML: {error}"),
    })?;
    if !pod.is_object() {
        return Err(ArgvError::File {
            purpose,
            path: path.clone(),
            reason: "holds no pod; a template is a pod manifest with `metadata` and `spec`".to_owned(),
        });
    }
    Ok(Some(PodTemplate { text, pod }))
}

fn pod_group(conf: &BTreeMap<String, String>, files: &dyn Files) -> Result<Option<Value>, ArgvError> {
    let Some(path) = conf.get("spark.kubernetes.scheduler.volcano.podGroupTemplateFile") else {
        return Ok(None);
    };
    let purpose = "pod group template";
    let text = read_text(purpose, path, files)?;
    let group = serde_saphyr::from_str(&text).map_err(|error| ArgvError::File {
        purpose,
        path: path.clone(),
        reason: format!("is not YAML: {error}"),
    })?;
    Ok(Some(group))
}

fn credentials(conf: &BTreeMap<String, String>, files: &dyn Files) -> Result<BTreeMap<String, Vec<u8>>, ArgvError> {
    ["oauthTokenFile", "caCertFile", "clientKeyFile", "clientCertFile"]
        .iter()
        .filter_map(|name| conf.get(&format!("spark.kubernetes.authenticate.driver.{name}")))
        .map(|path| Ok((path.clone(), read_named("credentials file", path, files)?)))
        .collect()
}

/// Patterns in the lists of jars, files, Python files and archives, and what they match here.
fn globs(conf: &BTreeMap<String, String>, files: &dyn Files) -> BTreeMap<String, Vec<String>> {
    ["spark.jars", "spark.files", "spark.submit.pyFiles", "spark.archives"]
        .iter()
        .filter_map(|key| conf.get(*key))
        .flat_map(|list| list.split(','))
        .map(|item| item.trim().split('#').next().unwrap_or(item))
        .filter(|item| item.contains(['*', '?', '[']))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter_map(|pattern| Some((pattern.to_owned(), matches(local_path(pattern)?, files))))
        .collect()
}

/// Absolute paths that match `pattern`, in order; patterns may stand in any part of the path.
fn matches(pattern: &str, files: &dyn Files) -> Vec<String> {
    let absolute = if pattern.starts_with('/') {
        pattern.to_owned()
    } else {
        format!("{}/{pattern}", files.working_dir().trim_end_matches('/'))
    };
    let mut found = vec![String::new()];
    let parts: Vec<&str> = absolute
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let Some(part_pattern) = part
            .contains(['*', '?', '['])
            .then(|| glob::Pattern::new(part).ok())
            .flatten()
        else {
            found.iter_mut().for_each(|path| *path = format!("{path}/{part}"));
            continue;
        };
        found = found
            .iter()
            .flat_map(|directory| {
                let listed = if directory.is_empty() { "/" } else { directory };
                let entries = files.list(listed).unwrap_or_default();
                entries
                    .into_iter()
                    .filter_map(|(name, is_directory)| {
                        let wanted = part_pattern.matches(&name) && (last || is_directory);
                        wanted.then(|| format!("{directory}/{name}"))
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    found.sort();
    found
}
