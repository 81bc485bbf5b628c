//! Arguments to options, values, application and its arguments.

use std::collections::BTreeMap;
use std::fmt;

use super::error::ArgvError;
use super::options::{self, Effect};
use crate::SparkVersion;

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run an application.
    Submit,
    /// `--kill`: end the driver of this submission (`namespace:driver-pod`, globs allowed).
    Kill(String),
    /// `--status`: tell the state of this submission.
    Status(String),
    Help,
    Version,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submit => f.write_str("submit"),
            Self::Kill(id) => write!(f, "--kill {id}"),
            Self::Status(id) => write!(f, "--status {id}"),
            Self::Help => f.write_str("--help"),
            Self::Version => f.write_str("--version"),
        }
    }
}

/// A command line, split but not yet merged with files and environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// What is asked for.
    pub action: Action,
    /// Options with a value, by full name; the last one counts.
    pub values: BTreeMap<&'static str, String>,
    /// Switches given, by full name.
    pub switches: Vec<&'static str>,
    /// `--conf` by key; the last one counts.
    pub conf: BTreeMap<String, String>,
    /// Every `--extra-properties-file`, in order.
    pub extra_properties_files: Vec<String>,
    /// The application.
    pub resource: Option<String>,
    /// What follows the application: its own arguments.
    pub application_arguments: Vec<String>,
    /// What looks like a mistake, and what has no effect on Kubernetes.
    pub warnings: Vec<String>,
}

impl CommandLine {
    /// Value of the option `name`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether the switch `name` was given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.switches.contains(&name)
    }
}

/// Splits `args`. Options end at the first argument that is none: the application. `--option value` and `--option=value` are the same.
///
/// # Errors
/// Unknown options (with a suggestion), missing values, `--conf` without `=`.
pub fn parse(args: &[String], version: &SparkVersion) -> Result<CommandLine, ArgvError> {
    let mut line = CommandLine {
        action: Action::Submit,
        values: BTreeMap::new(),
        switches: Vec::new(),
        conf: BTreeMap::new(),
        extra_properties_files: Vec::new(),
        resource: None,
        application_arguments: Vec::new(),
        warnings: Vec::new(),
    };
    let skipped = usize::from(args.first().is_some_and(|first| is_program(first)));
    let mut rest = args.iter().enumerate().skip(skipped);
    while let Some((index, argument)) = rest.next() {
        if argument.trim().is_empty() {
            return Err(ArgvError::BlankArgument { position: index + 1 });
        }
        if !argument.starts_with('-') {
            line.resource = Some(argument.clone());
            line.application_arguments = rest.map(|(_, argument)| argument.clone()).collect();
            break;
        }
        let (name, joined) = split_option(argument);
        let option = options::find(name).ok_or_else(|| ArgvError::UnknownOption {
            option: argument.clone(),
            suggestion: options::suggestion(argument, version),
        })?;
        if !option.known_to(version) {
            return Err(ArgvError::OptionOfLaterVersion {
                option: option.name,
                since: format!("{}.{}", option.since.0, option.since.1),
                version: version.to_string(),
            });
        }
        if !option.takes_value() {
            line.switches.push(option.name);
            if option.name == "--version" {
                break;
            }
            continue;
        }
        let value = match joined {
            Some("") => {
                return Err(ArgvError::EmptyValue {
                    option: name.to_owned(),
                });
            }
            Some(value) => value.to_owned(),
            None => rest
                .next()
                .map(|(_, value)| value.clone())
                .ok_or_else(|| ArgvError::MissingValue {
                    option: name.to_owned(),
                })?,
        };
        line.accept(option, value)?;
    }
    line.action = line.requested_action();
    line.warn_about_misplaced_options(version);
    Ok(line)
}

/// `--option=value` in its two parts; an argument without `=` is only a name.
fn split_option(argument: &str) -> (&str, Option<&str>) {
    match argument.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (name, Some(value)),
        _ => (argument, None),
    }
}

/// Whether an argument is `spark-submit` itself, at whatever path.
#[must_use]
pub fn is_program(argument: &str) -> bool {
    let name = argument.rsplit(['/', '\\']).next().unwrap_or(argument);
    matches!(name, "spark-submit" | "spark-submit.cmd" | "spark-submit2.cmd")
}

impl CommandLine {
    fn accept(&mut self, option: &options::CommandOption, value: String) -> Result<(), ArgvError> {
        match option.name {
            "--conf" => {
                let (key, value) = value
                    .split_once('=')
                    .ok_or_else(|| ArgvError::ConfWithoutEquals { text: value.clone() })?;
                self.conf.insert(key.to_owned(), value.to_owned());
                return Ok(());
            }
            "--extra-properties-file" => {
                self.extra_properties_files.push(value);
                return Ok(());
            }
            "--deploy-mode" if value != "cluster" && value != "client" => {
                return Err(ArgvError::InvalidDeployMode { value });
            }
            _ => {}
        }
        if let Effect::Ignored(reason) = option.effect {
            self.warnings
                .push(format!("`{}` has no effect on Kubernetes: {reason}", option.name));
        }
        self.values.insert(option.name, value);
        Ok(())
    }

    fn requested_action(&self) -> Action {
        if self.has("--version") {
            return Action::Version;
        }
        if self.has("--help") {
            return Action::Help;
        }
        match (self.value("--kill"), self.value("--status")) {
            (Some(id), _) => Action::Kill(id.to_owned()),
            (None, Some(id)) => Action::Status(id.to_owned()),
            (None, None) => Action::Submit,
        }
    }

    /// Options after the application are the application's; more often than not that is a mistake.
    fn warn_about_misplaced_options(&mut self, version: &SparkVersion) {
        let Some(resource) = &self.resource else { return };
        for argument in &self.application_arguments {
            let (name, _) = split_option(argument);
            let known = options::find(name).filter(|option| option.known_to(version) && option.name != "--name");
            if let Some(option) = known.filter(|option| {
                option.key.is_some() || matches!(option.name, "--conf" | "--master" | "--deploy-mode" | "--class")
            }) {
                self.warnings.push(format!(
                    "`{}` comes after `{resource}`, so the application gets it as an argument of its own; spark-submit's options come before the application",
                    option.name
                ));
            }
        }
        if self.has("--supervise") {
            self.warnings
                .push("`--supervise` has no effect on Kubernetes: it belongs to Spark standalone".to_owned());
        }
    }
}
