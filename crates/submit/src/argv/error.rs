//! Why a command line is refused.

use super::parse::Action;

/// What is wrong with a `spark-submit` command line, where, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgvError {
    /// An option no version knows.
    #[error("unknown option `{option}`{}", did_you_mean(suggestion.as_deref()))]
    UnknownOption {
        /// As written.
        option: String,
        /// What may be meant.
        suggestion: Option<String>,
    },
    /// An option another version knows.
    #[error(
        "`{option}` exists since Spark {since}, and the rules of Spark {version} apply here; set STOKE_SPARK_VERSION, or leave it out"
    )]
    OptionOfLaterVersion {
        option: &'static str,
        /// The release line that brought it.
        since: String,
        /// The version whose rules apply.
        version: String,
    },
    /// An option at the end of the line, without its value.
    #[error("`{option}` needs a value after it")]
    MissingValue { option: String },
    /// `--option=` with nothing after the equals sign.
    #[error("`{option}=` has no value; spark-submit does not take an empty one in this form, write `{option} ''`")]
    EmptyValue { option: String },
    /// `--conf` without an equals sign.
    #[error("`--conf {text}` has no `=`: write `--conf key=value`, quoted as one word when the value has blanks")]
    ConfWithoutEquals {
        /// As written.
        text: String,
    },
    /// An argument of blanks where an option is expected.
    #[error(
        "argument {position} is only blanks; most often a backslash at the end of a line is followed by a space: remove that space"
    )]
    BlankArgument {
        /// Counted from 1.
        position: usize,
    },
    /// No application.
    #[error(
        "no application: after the options, name a jar, a Python file or an R file, for example local:///opt/spark/examples/src/main/python/pi.py"
    )]
    MissingResource,
    /// `--deploy-mode` is neither client nor cluster.
    #[error("`--deploy-mode {value}`: write `cluster` (spark-submit also knows `client`)")]
    InvalidDeployMode {
        /// As written.
        value: String,
    },
    /// The driver would run here.
    #[error("deploy mode client{}: the driver would run on this machine, not in the cluster; add `--deploy-mode cluster`", if *by_default { " (spark-submit's default)" } else { "" })]
    ClientMode {
        /// True when no deploy mode was given at all.
        by_default: bool,
    },
    /// No master, or one that is not Kubernetes.
    #[error("{}: Stoke submits to Kubernetes; write `--master k8s://https://host:port`", match master { Some(master) => format!("master `{master}`"), None => "no master".to_owned() })]
    Master {
        /// As written.
        master: Option<String>,
    },
    /// Options that exclude each other.
    #[error("{first} and {second} exclude each other: {fix}")]
    Conflict {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// A value that must be greater than zero.
    #[error("`{key}` = `{value}`: must be a positive number")]
    NotPositive {
        /// Configuration key.
        key: &'static str,
        /// As written.
        value: String,
    },
    /// Asked for something that submits nothing.
    #[error("{action} submits nothing{}", match action { Action::Kill(id) => format!("; delete the driver pod: `kubectl delete pod {}`", pod_of(id)), Action::Status(id) => format!("; ask for the driver pod: `kubectl get pod {}`", pod_of(id)), _ => String::new() })]
    NotASubmission {
        /// What was asked for.
        action: Action,
    },
    /// An interactive shell.
    #[error("`{resource}` is an interactive shell, and cluster mode has no terminal; give an application file")]
    Shell {
        /// As written.
        resource: String,
    },
    /// The main class is neither given nor to be found.
    #[error("no main class for `{jar}`: {reason}; give it with `--class`")]
    MainClass {
        jar: String,
        /// Why it was not found in the jar.
        reason: String,
    },
    /// A file that is named and cannot be read.
    #[error("{purpose} `{path}`: {reason}")]
    File {
        /// What it is for.
        purpose: &'static str,
        /// As written.
        path: String,
        /// What went wrong, and what to do.
        reason: String,
    },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(
        || "; `stoke submit --help` lists the options".to_owned(),
        |suggestion| format!("; did you mean `{suggestion}`?"),
    )
}

/// `namespace:pod`, as `--kill` takes it, in kubectl's words.
fn pod_of(id: &str) -> String {
    match id.split_once(':') {
        Some((namespace, pod)) => format!("{pod} -n {namespace}"),
        None => id.to_owned(),
    }
}

impl ArgvError {
    /// Stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownOption { .. } => "UnknownOption",
            Self::OptionOfLaterVersion { .. } => "OptionOfLaterVersion",
            Self::MissingValue { .. } => "MissingValue",
            Self::EmptyValue { .. } => "EmptyValue",
            Self::ConfWithoutEquals { .. } => "ConfWithoutEquals",
            Self::BlankArgument { .. } => "BlankArgument",
            Self::MissingResource => "MissingResource",
            Self::InvalidDeployMode { .. } => "InvalidDeployMode",
            Self::ClientMode { .. } => "ClientMode",
            Self::Master { .. } => "InvalidMaster",
            Self::Conflict { .. } => "Conflict",
            Self::NotPositive { .. } => "NotPositive",
            Self::NotASubmission { .. } => "NotASubmission",
            Self::Shell { .. } => "Shell",
            Self::MainClass { .. } => "MissingMainClass",
            Self::File { .. } => "UnreadableFile",
        }
    }
}
