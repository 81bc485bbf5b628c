//! A `spark-submit` command line becomes a [`SubmitRequest`], by the rules of the `spark-submit` of that version.
//!
//! In: the arguments as the shell split them, and [`Files`], through which everything outside is read (properties files, `SPARK_CONF_DIR`,
//! pod templates, environment). Out: a request for [`plan`](crate::plan), and warnings about what Spark would ignore without a word.
//! Never: I/O of its own; the launching of anything. The one precedence is Spark's: options > `--conf` > `--extra-properties-file`
//! (last first) > `--properties-file` > `spark-defaults.conf` > `SPARK_*` environment variables.
//! - [`options`]: every option, since which version, and the key it sets
//! - [`parse`]: arguments to [`CommandLine`]
//! - [`configuration`]: one configuration out of all sources
//! - [`contents`]: the files whose content ends up inside objects
//! - [`image`]: which Spark an image holds

pub mod configuration;
pub mod contents;
mod error;
mod files;
pub mod image;
mod main_class;
pub mod options;
pub mod parse;
#[cfg(test)]
mod tests;

pub use error::ArgvError;
pub use files::{Files, MemoryFiles};
pub use image::spark_version_of_image;
pub use parse::{Action, CommandLine};

use crate::{Identity, MainResource, SparkVersion, SubmitRequest};

/// A request, and what its author should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments {
    /// What to plan.
    pub request: SubmitRequest,
    /// Options and properties that have no effect on Kubernetes, arguments that look like misplaced options.
    pub warnings: Vec<String>,
    /// Whether `--verbose` was given.
    pub verbose: bool,
}

/// The request of a `spark-submit` command line; see [`read_arguments`] for the warnings as well.
///
/// `args` may begin with the program itself (`spark-submit`, `$SPARK_HOME/bin/spark-submit`), so that a copied line works.
///
/// # Errors
/// What `spark-submit` refuses, with the fix; and what cannot be a submission in cluster mode.
pub fn request_from_arguments(
    args: &[String],
    files: &dyn Files,
    version: &SparkVersion,
    identity: Identity,
) -> Result<SubmitRequest, ArgvError> {
    read_arguments(args, files, version, identity).map(|arguments| arguments.request)
}

/// The request of a `spark-submit` command line, with warnings.
///
/// # Errors
/// As [`request_from_arguments`].
pub fn read_arguments(
    args: &[String],
    files: &dyn Files,
    version: &SparkVersion,
    identity: Identity,
) -> Result<Arguments, ArgvError> {
    read_line(&parse::parse(args, version)?, files, version, identity)
}

/// The request of a command line that was split by [`parse::parse`], with warnings.
///
/// # Errors
/// As [`request_from_arguments`].
pub fn read_line(
    line: &CommandLine,
    files: &dyn Files,
    version: &SparkVersion,
    identity: Identity,
) -> Result<Arguments, ArgvError> {
    if line.action != Action::Submit {
        return Err(ArgvError::NotASubmission {
            action: line.action.clone(),
        });
    }
    let mut warnings = line.warnings.clone();
    let configuration = configuration::merge(line, files, &mut warnings)?;
    configuration::validate(line, &configuration)?;
    let resource = line.resource.clone().ok_or(ArgvError::MissingResource)?;
    let (main_class, resource) = match main_resource(&resource)? {
        MainResource::Java(jar) => {
            let class = main_class::main_class(line.value("--class"), jar.as_deref(), files)?;
            (Some(class), MainResource::Java(jar))
        }
        other => (line.value("--class").map(str::to_owned), other),
    };
    let proxy_user = line.value("--proxy-user").map(str::to_owned);
    let request = SubmitRequest {
        spark_version: version.clone(),
        master: configuration.master,
        main_class,
        resource,
        args: line.application_arguments.clone(),
        proxy_user: proxy_user.clone(),
        files: contents::gather(&configuration.conf, files)?,
        conf: configuration.conf,
        user: files
            .env("SPARK_USER")
            .or(proxy_user)
            .or_else(|| files.env("HADOOP_USER_NAME"))
            .unwrap_or_else(|| files.user_name()),
        working_dir: files.working_dir(),
        identity,
        submitted_at: files.now(),
    };
    Ok(Arguments {
        request,
        warnings,
        verbose: line.has("--verbose"),
    })
}

/// What kind of application the main resource is, by its name alone, as `spark-submit` tells it.
fn main_resource(resource: &str) -> Result<MainResource, ArgvError> {
    match resource {
        "spark-shell" | "pyspark-shell" | "sparkr-shell" | "connect-shell" => Err(ArgvError::Shell {
            resource: resource.to_owned(),
        }),
        "spark-internal" => Ok(MainResource::Java(None)),
        _ if resource.ends_with(".py") => Ok(MainResource::Python(resource.to_owned())),
        _ if resource.ends_with(".R") || resource.ends_with(".r") => Ok(MainResource::R(resource.to_owned())),
        _ => Ok(MainResource::Java(Some(resource.to_owned()))),
    }
}
