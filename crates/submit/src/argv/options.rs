//! Every option of `spark-submit`, 3.5 to 4.3.

use crate::SparkVersion;

/// What an option takes and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Takes a value; see [`CommandOption::key`] for those that set a key.
    Value,
    /// Takes a value that has no effect on Kubernetes; the reason.
    Ignored(&'static str),
    /// Takes no value.
    Switch,
}

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandOption {
    /// Its name, with dashes.
    pub name: &'static str,
    /// Its other name.
    pub alias: Option<&'static str>,
    /// The release line that brought it; (0, 0) for those older than 3.5.
    pub since: (u32, u32),
    /// The key its value is written to; none for options that are used otherwise (`--class`, `--conf`, …).
    pub key: Option<&'static str>,
    /// What it does in a submission to Kubernetes in cluster mode.
    pub effect: Effect,
}

const fn option(name: &'static str, effect: Effect) -> CommandOption {
    CommandOption {
        name,
        alias: None,
        since: (0, 0),
        key: None,
        effect,
    }
}

const fn sets(name: &'static str, key: &'static str) -> CommandOption {
    CommandOption {
        key: Some(key),
        ..option(name, Effect::Value)
    }
}

const fn aliased(name: &'static str, alias: &'static str, effect: Effect) -> CommandOption {
    CommandOption {
        alias: Some(alias),
        ..option(name, effect)
    }
}

const fn since(major: u32, minor: u32, option: CommandOption) -> CommandOption {
    CommandOption {
        since: (major, minor),
        ..option
    }
}

/// All options. Source: `SparkSubmitOptionParser`, `SparkSubmitArguments` and the table of assignments in `SparkSubmit`.
pub const OPTIONS: &[CommandOption] = &[
    sets("--archives", "spark.archives"),
    option("--class", Effect::Value),
    aliased("--conf", "-c", Effect::Value),
    option("--deploy-mode", Effect::Value),
    sets("--driver-class-path", "spark.driver.extraClassPath"),
    sets("--driver-cores", "spark.driver.cores"),
    since(
        4,
        0,
        sets("--driver-default-class-path", "spark.driver.defaultExtraClassPath"),
    ),
    sets("--driver-java-options", "spark.driver.extraJavaOptions"),
    sets("--driver-library-path", "spark.driver.extraLibraryPath"),
    sets("--driver-memory", "spark.driver.memory"),
    sets("--exclude-packages", "spark.jars.excludes"),
    sets("--executor-cores", "spark.executor.cores"),
    sets("--executor-memory", "spark.executor.memory"),
    since(4, 2, option("--extra-properties-file", Effect::Value)),
    sets("--files", "spark.files"),
    sets("--jars", "spark.jars"),
    sets("--keytab", "spark.kerberos.keytab"),
    option("--kill", Effect::Value),
    option("--master", Effect::Value),
    sets("--name", "spark.app.name"),
    sets("--num-executors", "spark.executor.instances"),
    sets("--packages", "spark.jars.packages"),
    sets("--principal", "spark.kerberos.principal"),
    option("--properties-file", Effect::Value),
    option("--proxy-user", Effect::Value),
    sets("--py-files", "spark.submit.pyFiles"),
    option(
        "--queue",
        Effect::Ignored("queues belong to YARN; see `spark.kubernetes.scheduler.name` for schedulers with queues"),
    ),
    option("--remote", Effect::Value),
    sets("--repositories", "spark.jars.repositories"),
    option("--status", Effect::Value),
    option(
        "--total-executor-cores",
        Effect::Ignored("it belongs to Spark standalone; use `--num-executors` and `--executor-cores`"),
    ),
    aliased("--help", "-h", Effect::Switch),
    since(4, 0, option("--load-spark-defaults", Effect::Switch)),
    option("--supervise", Effect::Switch),
    option("--usage-error", Effect::Switch),
    aliased("--verbose", "-v", Effect::Switch),
    option("--version", Effect::Switch),
];

/// The option called `name`, in whatever version.
#[must_use]
pub fn find(name: &str) -> Option<&'static CommandOption> {
    OPTIONS
        .iter()
        .find(|option| option.name == name || option.alias == Some(name))
}

impl CommandOption {
    /// Whether `version` knows it.
    #[must_use]
    pub fn known_to(&self, version: &SparkVersion) -> bool {
        version.line() >= self.since
    }

    /// Whether the next argument is its value.
    #[must_use]
    pub fn takes_value(&self) -> bool {
        self.effect != Effect::Switch
    }
}

/// What to use instead of an option that does not exist.
///
/// Options that people expect and that are properties in Spark come first, then options of a similar name.
#[must_use]
pub fn suggestion(unknown: &str, version: &SparkVersion) -> Option<String> {
    const PROPERTIES: &[(&str, &str)] = &[
        ("--namespace", "--conf spark.kubernetes.namespace=…"),
        ("-n", "--conf spark.kubernetes.namespace=…"),
        ("--image", "--conf spark.kubernetes.container.image=…"),
        (
            "--service-account",
            "--conf spark.kubernetes.authenticate.driver.serviceAccountName=…",
        ),
        ("--executors", "--num-executors"),
        ("--exclude-package", "--exclude-packages"),
        ("--driver-memory-overhead", "--conf spark.driver.memoryOverhead=…"),
        ("--executor-memory-overhead", "--conf spark.executor.memoryOverhead=…"),
        ("--executor-java-options", "--conf spark.executor.extraJavaOptions=…"),
        (
            "--env",
            "--conf spark.kubernetes.driverEnv.NAME=… and --conf spark.executorEnv.NAME=…",
        ),
    ];
    let name = unknown.split('=').next().unwrap_or(unknown);
    if let Some((_, property)) = PROPERTIES.iter().find(|(option, _)| *option == name) {
        return Some((*property).to_owned());
    }
    if let Some(key) = name.trim_start_matches('-').strip_prefix("spark.") {
        return Some(format!("--conf spark.{key}=…"));
    }
    let canonical = format!(
        "--{}",
        name.trim_start_matches('-').replace('_', "-").to_ascii_lowercase()
    );
    OPTIONS
        .iter()
        .filter(|option| option.known_to(version) && option.name != "--usage-error")
        .map(|option| (strsim::jaro_winkler(&canonical, option.name), option.name))
        .filter(|(likeness, _)| *likeness > 0.88)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}
