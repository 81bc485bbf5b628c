//! The options of all runbooks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stoke_laptop::runbook::Secrets;

use crate::failure::{Failure, Outcome};

/// What runbooks are given. Which of them takes what: `stoke runbook show NAME`.
#[derive(clap::Args, Default)]
#[command(next_help_heading = "Parameters of runbooks")]
pub struct Parameters {
    /// The application
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// The ScheduledSparkApplication
    #[arg(long, value_name = "NAME")]
    schedule: Option<String>,
    /// The SparkConnect
    #[arg(long, value_name = "NAME")]
    connect: Option<String>,
    /// The node
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// A Deployment or StatefulSet: deployment/NAME or statefulset/NAME
    #[arg(long, value_name = "KIND/NAME")]
    workload: Option<String>,
    /// The port its pods listen at
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// What it is asked for over HTTP
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The Secret
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,
    /// A file with KEY=VALUE on each line, for the keys of a Secret
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// A number of executors
    #[arg(long, value_name = "N")]
    executors: Option<String>,
    /// An image
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// A version of Spark
    #[arg(long, value_name = "VERSION")]
    spark_version: Option<String>,
    /// A place in an object store
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// A file with a merge patch of the application, YAML or JSON
    #[arg(long, value_name = "FILE")]
    fix: Option<PathBuf>,
    /// An expression of a schedule
    #[arg(long, value_name = "CRON")]
    cron: Option<String>,
    /// Cores that a namespace may hold
    #[arg(long, value_name = "N")]
    cores: Option<String>,
    /// Percent of the nodes that shall be free
    #[arg(long, value_name = "PERCENT")]
    reserve: Option<String>,
    /// Days that a certificate must be valid
    #[arg(long, value_name = "DAYS")]
    days: Option<String>,
    /// Seconds after which a run is held for stuck
    #[arg(long, value_name = "SECONDS")]
    after: Option<String>,
    /// What people notice
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Seconds that an application must run to be believed
    #[arg(long, value_name = "SECONDS")]
    settle: Option<String>,
    /// Seconds that each step waits at most
    #[arg(long, value_name = "SECONDS")]
    within: Option<String>,
}

/// What was given.
pub struct Given {
    pub values: BTreeMap<String, String>,
    pub secrets: Secrets,
}

impl Parameters {
    /// By name; files are read.
    pub fn read(self) -> Outcome<Given> {
        let secrets = secrets(self.values.as_deref())?;
        let fix = self.fix.as_deref().map(patch).transpose()?;
        let values = self.values.map(|path| path.display().to_string());
        let all = [
            ("application", self.application),
            ("schedule", self.schedule),
            ("connect", self.connect),
            ("node", self.node),
            ("workload", self.workload),
            ("port", self.port),
            ("path", self.path),
            ("secret", self.secret),
            ("values", values),
            ("executors", self.executors),
            ("image", self.image),
            ("spark-version", self.spark_version),
            ("store", self.store),
            ("fix", fix),
            ("cron", self.cron),
            ("cores", self.cores),
            ("reserve", self.reserve),
            ("days", self.days),
            ("after", self.after),
            ("title", self.title),
            ("settle", self.settle),
            ("within", self.within),
        ];
        let given = all
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(Given {
            values: given.collect(),
            secrets,
        })
    }
}

fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|error| Failure::input("stoke::io", format!("{}: {error}", path.display())))
}

/// A merge patch as JSON.
fn patch(path: &Path) -> Outcome<String> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::input(
            "stoke::runbook::parameter",
            format!("--fix {}: {error}", path.display()),
        )
    };
    let value: serde_json::Value = serde_saphyr::from_str(&read(path)?).map_err(|error| wrong(&error))?;
    serde_json::to_string(&value).map_err(|error| wrong(&error))
}

/// Secret values of a file with `KEY=VALUE` on each line; `#` begins a comment.
pub fn secrets(path: Option<&Path>) -> Outcome<Secrets> {
    let Some(path) = path else {
        return Ok(Secrets::default());
    };
    let text = read(path)?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|(at, line)| {
        let pair = line.split_once('=').filter(|(key, _)| !key.trim().is_empty());
        let pair = pair.map(|(key, value)| (key.trim().to_owned(), value.to_owned()));
        // The line itself may be a secret.
        pair.ok_or_else(|| {
            Failure::input(
                "stoke::runbook::parameter",
                format!("--values {}: line {} is not KEY=VALUE", path.display(), at + 1),
            )
        })
    });
    Ok(Secrets(pairs.collect::<Outcome<_>>()?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Args;

    use super::*;

    #[test]
    fn every_parameter_of_a_runbook_is_an_option_and_no_option_is_of_none() {
        let command = Parameters::augment_args(clap::Command::new("x"));
        let options: BTreeSet<String> = command
            .get_arguments()
            .filter_map(|one| one.get_long().map(str::to_owned))
            .collect();
        let taken = stoke_observe::runbook::all().iter().flat_map(|book| book.parameters);
        let taken: BTreeSet<String> = taken.map(|parameter| parameter.name.to_owned()).collect();
        assert_eq!(options, taken);
        let named: BTreeSet<String> = Parameters {
            application: Some("a".into()),
            spark_version: Some("4".into()),
            ..Parameters::default()
        }
        .read()
        .unwrap()
        .values
        .into_keys()
        .collect();
        assert_eq!(
            named,
            BTreeSet::from(["application".to_owned(), "spark-version".to_owned()])
        );
    }

    #[test]
    fn secrets_are_read_and_a_bad_line_is_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("values");
        std::fs::write(&path, "# new\nkey=a=b \n\ntoken=t\n").unwrap();
        let secrets = secrets(Some(&path)).unwrap();
        assert_eq!(secrets.0["key"], "a=b ");
        assert!(!format!("{secrets:?}").contains('t') || format!("{secrets:?}") == "Secrets(2)");
        std::fs::write(&path, "swordfish\n").unwrap();
        let failure = super::secrets(Some(&path)).unwrap_err();
        assert!(!failure.diagnostic.message.contains("swordfish"), "{failure:?}");
    }
}
