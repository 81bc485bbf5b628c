//! What `spark-submit` makes of the configuration before the Kubernetes client sees it.

use crate::conf::{Conf, invalid};
use crate::error::PlanError;
use crate::request::{MainResource, SubmitRequest};
use crate::uri::{INTERNAL, resolve, resolve_list, scheme};

/// Lists of paths that are resolved to URIs.
const PATH_LISTS: [&str; 4] = ["spark.jars", "spark.files", "spark.archives", "spark.submit.pyFiles"];

/// The configuration of the Kubernetes client, and the resource the driver runs.
pub(crate) struct Prepared {
    pub(crate) conf: Conf,
    /// The URI of the jar, Python or R file; `spark-internal` when there is none.
    pub(crate) resource: String,
    /// What follows `--class` in the driver's arguments.
    pub(crate) main_class: String,
}

/// Checks what `spark-submit` checks, resolves paths, and adds the keys it adds.
pub(crate) fn prepare(request: &SubmitRequest) -> Result<Prepared, PlanError> {
    let mut conf = Conf {
        values: request.conf.clone(),
        version: request.spark_version.clone(),
    };
    check_positive(&conf)?;
    let resource = match &request.resource {
        MainResource::Java(None) => INTERNAL.to_owned(),
        MainResource::Java(Some(uri)) if uri == INTERNAL => INTERNAL.to_owned(),
        MainResource::Java(Some(uri)) | MainResource::Python(uri) | MainResource::R(uri) => {
            resolve(uri, &request.working_dir)
        }
    };
    let main_class = match &request.resource {
        MainResource::Java(_) => request.main_class.clone().ok_or(PlanError::MissingMainClass)?,
        MainResource::Python(_) => "org.apache.spark.deploy.PythonRunner".to_owned(),
        MainResource::R(_) => "org.apache.spark.deploy.RRunner".to_owned(),
    };
    for key in PATH_LISTS {
        if let Some(paths) = conf.raw(key) {
            let resolved = resolve_list(paths, request)?;
            conf.set(key, resolved);
        }
    }
    if let MainResource::Java(_) = &request.resource {
        let mut jars = conf.list("spark.jars");
        if resource != INTERNAL {
            jars.push(resource.clone());
        }
        conf.set("spark.jars", jars.join(","));
    }
    if !conf.contains("spark.submit.pyFiles") {
        conf.set("spark.submit.pyFiles", "");
    }
    if !conf.contains("spark.app.name") {
        conf.set("spark.app.name", default_name(request));
    }
    conf.set("spark.master", master_url(&request.master)?);
    conf.set("spark.submit.deployMode", "cluster");
    conf.set(
        "spark.app.submitTime",
        request.submitted_at.as_millisecond().to_string(),
    );
    // In cluster mode the service names the driver's host; a configured one is dropped.
    conf.values.remove("spark.driver.host");
    Ok(Prepared {
        conf,
        resource,
        main_class,
    })
}

/// The application's name when none is given: its main class, or the file's name.
fn default_name(request: &SubmitRequest) -> String {
    let file_name = |uri: &str| uri.trim_end_matches('/').rsplit('/').next().unwrap_or(uri).to_owned();
    match (&request.main_class, &request.resource) {
        (Some(class), _) => class.clone(),
        (None, MainResource::Java(None)) => INTERNAL.to_owned(),
        (None, MainResource::Java(Some(uri)) | MainResource::Python(uri) | MainResource::R(uri)) => file_name(uri),
    }
}

/// Memory, cores and instances must be positive numbers, as `spark-submit` demands of its arguments.
fn check_positive(conf: &Conf) -> Result<(), PlanError> {
    for key in ["spark.driver.memory", "spark.executor.memory"] {
        if let Some(value) = conf.raw(key) {
            let plain = Conf {
                values: [(key.to_owned(), value.to_owned())].into(),
                version: conf.version.clone(),
            };
            if plain.mib(key)? == Some(0) && !value.trim().bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
                return Err(invalid(key, value, "memory must be more than 0"));
            }
        }
    }
    for key in ["spark.driver.cores", "spark.executor.cores"] {
        positive_int(conf, key)?;
    }
    if !conf.bool("spark.dynamicAllocation.enabled", false).unwrap_or(false) {
        positive_int(conf, "spark.executor.instances")?;
    }
    Ok(())
}

fn positive_int(conf: &Conf, key: &str) -> Result<(), PlanError> {
    match conf.raw(key) {
        Some(value) if !value.trim().parse::<i32>().is_ok_and(|number| number > 0) => {
            Err(invalid(key, value, "write a whole number above 0"))
        }
        _ => Ok(()),
    }
}

/// `k8s://host:port` means https.
fn master_url(master: &str) -> Result<String, PlanError> {
    let Some(rest) = master.strip_prefix("k8s://") else {
        return Err(invalid(
            "spark.master",
            master,
            "write `k8s://` and the address of the Kubernetes API, for example k8s://https://127.0.0.1:6443",
        ));
    };
    if !rest.contains("://") {
        return Ok(format!("k8s://https://{rest}"));
    }
    match scheme(rest) {
        Some("https" | "http") => Ok(master.to_owned()),
        _ => Err(invalid(
            "spark.master",
            master,
            "the address of the Kubernetes API must start with https:// or http://",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masters_without_scheme_mean_https() {
        assert_eq!(master_url("k8s://h:6443").unwrap(), "k8s://https://h:6443");
        assert_eq!(master_url("k8s://http://h").unwrap(), "k8s://http://h");
        assert_eq!(master_url("yarn").unwrap_err().code(), "InvalidValue");
        assert_eq!(master_url("k8s://ftp://h").unwrap_err().code(), "InvalidValue");
    }
}
