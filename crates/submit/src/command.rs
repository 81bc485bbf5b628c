//! The driver container's arguments.

use serde_json::{Value, json};

use crate::build::Build;
use crate::conf::{Conf, invalid};
use crate::config_map::PROPERTIES_PATH;
use crate::error::PlanError;
use crate::object::array;
use crate::request::MainResource;
use crate::uri::{self, INTERNAL};

/// Adds `driver … --class CLASS RESOURCE ARGUMENTS`, and what Python applications need.
pub(crate) fn command(build: &mut Build<'_>) -> Result<(), PlanError> {
    let (kind, resource) = match &build.request.resource {
        // The jar travels in `spark.jars`.
        MainResource::Java(_) if uri::is_local_file(&build.resource) => ("java", INTERNAL.to_owned()),
        MainResource::Java(_) => ("java", build.resource.clone()),
        MainResource::Python(_) => {
            refuse_python_2(&build.conf)?;
            ("python", python(build)?)
        }
        MainResource::R(_) => ("r", r(build)),
    };
    let mut args: Vec<String> = vec!["driver".to_owned()];
    if let Some(user) = &build.request.proxy_user {
        args.extend(["--proxy-user".to_owned(), user.clone()]);
    }
    args.extend(
        [
            "--properties-file",
            PROPERTIES_PATH,
            "--class",
            &build.main_class,
            &resource,
        ]
        .map(str::to_owned),
    );
    args.extend(build.request.args.iter().cloned());
    array(&mut build.draft.container, "args").extend(args.into_iter().map(Value::String));
    if matches!(build.request.resource, MainResource::Python(_)) {
        python_environment(build);
    }
    build.add_property("spark.kubernetes.resource.type", kind);
    Ok(())
}

/// Until 4.0 a key named Python's major version; only 3 was left of it.
fn refuse_python_2(conf: &Conf) -> Result<(), PlanError> {
    let key = "spark.kubernetes.pyspark.pythonVersion";
    match conf.get(key) {
        Some(version) if version != "3" && !conf.version.since(4, 1) => Err(invalid(
            key,
            &version,
            "Spark runs Python 3 only; remove the key and set `spark.pyspark.python` if need be",
        )),
        _ => Ok(()),
    }
}

fn python(build: &mut Build<'_>) -> Result<String, PlanError> {
    let resource = build.resource.clone();
    if uri::is_local_file(&resource) {
        build.upload(&resource)
    } else {
        Ok(resource)
    }
}

/// Spark passes a local R file on as it is, and the driver then looks for it inside its image.
fn r(build: &mut Build<'_>) -> String {
    if uri::is_local_file(&build.resource) {
        build.warnings.push(format!(
            "`{}` is not uploaded (Spark uploads Python and Java files, not R files): the driver looks for it inside its image; write local://{} if it is there",
            build.resource,
            uri::file_path(&build.resource)
        ));
    }
    build.resource.clone()
}

/// `PYSPARK_PYTHON` and `PYSPARK_DRIVER_PYTHON`, from configuration or from the submitter's environment.
fn python_environment(build: &mut Build<'_>) {
    let from_environment = |name: &str| build.request.files.environment.get(name).cloned();
    let python_conf = build.conf.get("spark.pyspark.python");
    let python = python_conf.clone().or_else(|| from_environment("PYSPARK_PYTHON"));
    let driver_python = build
        .conf
        .get("spark.pyspark.driver.python")
        .or(python_conf)
        .or_else(|| from_environment("PYSPARK_DRIVER_PYTHON"))
        .or_else(|| from_environment("PYSPARK_PYTHON"));
    let env = array(&mut build.draft.container, "env");
    for (name, value) in [("PYSPARK_PYTHON", python), ("PYSPARK_DRIVER_PYTHON", driver_python)] {
        if let Some(value) = value {
            env.push(json!({"name": name, "value": value}));
        }
    }
}
