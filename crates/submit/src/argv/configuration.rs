//! One configuration out of options, `--conf`, properties files, defaults and environment.

use std::collections::BTreeMap;

use stoke_model::conf::properties;

use super::error::ArgvError;
use super::files::Files;
use super::options::OPTIONS;
use super::parse::CommandLine;

/// Master and configuration after every source was merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The master URL.
    pub master: String,
    /// Every `spark.*` key.
    pub conf: BTreeMap<String, String>,
}

/// Merges all sources by Spark's precedence and settles master and deploy mode.
///
/// # Errors
/// Unreadable properties files; a master that is not Kubernetes; client mode.
pub fn merge(line: &CommandLine, files: &dyn Files, warnings: &mut Vec<String>) -> Result<Configuration, ArgvError> {
    let mut conf = line.conf.clone();
    for path in line.extra_properties_files.iter().rev() {
        add_file(&mut conf, "properties file", path, files)?;
    }
    let properties_file = line.value("--properties-file");
    if let Some(path) = properties_file {
        add_file(&mut conf, "properties file", path, files)?;
    }
    if properties_file.is_none() || line.has("--load-spark-defaults") {
        add_defaults(&mut conf, files)?;
    }
    conf.retain(|key, _| {
        let kept = key.starts_with("spark.");
        if !kept {
            warnings.push(format!("`{key}` does not begin with `spark.`, so Spark ignores it"));
        }
        kept
    });
    let master = line
        .value("--master")
        .map(str::to_owned)
        .or_else(|| conf.get("spark.master").cloned())
        .or_else(|| files.env("MASTER"));
    settle_deploy_mode(line, &conf, master.as_deref(), files)?;
    let master = master
        .filter(|master| master.starts_with("k8s://"))
        .ok_or_else(|| ArgvError::Master {
            master: line
                .value("--master")
                .map(str::to_owned)
                .or_else(|| conf.get("spark.master").cloned()),
        })?;
    for option in OPTIONS {
        if let (Some(key), Some(value)) = (option.key, line.value(option.name)) {
            conf.insert(key.to_owned(), value.to_owned());
        }
    }
    add_environment(&mut conf, files);
    Ok(Configuration { master, conf })
}

/// Keys of a properties file, where they are not set yet.
fn add_file(
    conf: &mut BTreeMap<String, String>,
    purpose: &'static str,
    path: &str,
    files: &dyn Files,
) -> Result<(), ArgvError> {
    let unreadable = |reason: String| ArgvError::File {
        purpose,
        path: path.to_owned(),
        reason,
    };
    let bytes = files.read(path).map_err(|error| unreadable(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("is not UTF-8 text".to_owned()))?;
    let read = properties::read(&text).map_err(|error| unreadable(error.to_string()))?;
    for (key, value) in read {
        conf.entry(key).or_insert(value);
    }
    Ok(())
}

/// `spark-defaults.conf` of `SPARK_CONF_DIR`, or of `SPARK_HOME/conf`; it need not exist.
fn add_defaults(conf: &mut BTreeMap<String, String>, files: &dyn Files) -> Result<(), ArgvError> {
    let Some(directory) = spark_conf_dir(files) else {
        return Ok(());
    };
    let path = format!("{directory}/spark-defaults.conf");
    match files.read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        _ => add_file(conf, "defaults file", &path, files),
    }
}

/// The directory of Spark's configuration files: `SPARK_CONF_DIR`, or `conf` in `SPARK_HOME`.
#[must_use]
pub fn spark_conf_dir(files: &dyn Files) -> Option<String> {
    files
        .env("SPARK_CONF_DIR")
        .or_else(|| files.env("SPARK_HOME").map(|home| format!("{home}/conf")))
}

fn settle_deploy_mode(
    line: &CommandLine,
    conf: &BTreeMap<String, String>,
    master: Option<&str>,
    files: &dyn Files,
) -> Result<(), ArgvError> {
    let given = line
        .value("--deploy-mode")
        .map(str::to_owned)
        .or_else(|| conf.get("spark.submit.deployMode").cloned())
        .or_else(|| files.env("DEPLOY_MODE"));
    let remote = line.value("--remote").is_some() || conf.contains_key("spark.remote");
    if remote && (master.is_some() || given.is_some()) {
        return Err(ArgvError::Conflict {
            first: "`--remote`",
            second: "`--master` or `--deploy-mode`",
            fix: "`--remote` connects to a running Spark Connect server, a submission starts a driver of its own",
        });
    }
    match given.as_deref() {
        Some("cluster") => Ok(()),
        Some("client") => Err(ArgvError::ClientMode { by_default: false }),
        Some(other) => Err(ArgvError::InvalidDeployMode {
            value: other.to_owned(),
        }),
        None => Err(ArgvError::ClientMode { by_default: true }),
    }
}

/// Environment variables and old keys that stand in for keys no one set.
fn add_environment(conf: &mut BTreeMap<String, String>, files: &dyn Files) {
    const VARIABLES: &[(&str, &str)] = &[
        ("spark.driver.memory", "SPARK_DRIVER_MEMORY"),
        ("spark.executor.memory", "SPARK_EXECUTOR_MEMORY"),
        ("spark.executor.cores", "SPARK_EXECUTOR_CORES"),
    ];
    const OLD_KEYS: &[(&str, &str)] = &[
        ("spark.kerberos.keytab", "spark.yarn.keytab"),
        ("spark.kerberos.principal", "spark.yarn.principal"),
    ];
    for (key, variable) in VARIABLES {
        if let Some(value) = files.env(variable) {
            conf.entry((*key).to_owned()).or_insert(value);
        }
    }
    for (key, old) in OLD_KEYS {
        if let Some(value) = conf.get(*old).cloned() {
            conf.entry((*key).to_owned()).or_insert(value);
        }
    }
}

/// What `spark-submit` checks of its own options; [`plan`](crate::plan) checks the rest.
///
/// # Errors
/// `--total-executor-cores` or `spark.cores.max` that is not a positive number; `--proxy-user` with `--principal`.
pub fn validate(line: &CommandLine, configuration: &Configuration) -> Result<(), ArgvError> {
    let conf = &configuration.conf;
    let total = line
        .values
        .get("--total-executor-cores")
        .or_else(|| conf.get("spark.cores.max"));
    if let Some(value) = total.filter(|value| value.parse::<i32>().map_or(true, |cores| cores <= 0)) {
        return Err(ArgvError::NotPositive {
            key: "spark.cores.max",
            value: value.clone(),
        });
    }
    if line.value("--proxy-user").is_some() && conf.contains_key("spark.kerberos.principal") {
        return Err(ArgvError::Conflict {
            first: "`--proxy-user`",
            second: "`--principal`",
            fix: "either log in as a principal, or act for another user",
        });
    }
    Ok(())
}
