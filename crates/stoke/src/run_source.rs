//! Which run a command is about: an application of a cluster, an event log, or a bundle.

use std::path::{Path, PathBuf};

use stoke_insight::bundle::{self, Bundle};
use stoke_insight::facts::{Facts, Run};
use stoke_laptop::gather::{self, Gathered};

use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};

/// Which run.
#[derive(clap::Args, Clone, Default)]
#[group(id = "run", required = true, multiple = false, args = ["application", "event_log", "bundle"])]
pub struct RunSource {
    /// The application: its name, or Spark's id of it
    #[arg(value_name = "APPLICATION")]
    pub application: Option<String>,
    /// An event log instead: a file, a rolling directory, or its URL (s3://bucket/prefix/name, gs://…, abfss://…)
    #[arg(long, value_name = "PATH")]
    pub event_log: Option<String>,
    /// A bundle instead: the file `stoke bundle` wrote, or the directory it was unpacked to
    #[arg(long, value_name = "PATH")]
    pub bundle: Option<PathBuf>,
}

/// A run and what is known of it.
pub struct Known {
    /// Its name.
    pub name: String,
    /// What could not be had, for people.
    pub notes: Vec<String>,
    /// The facts.
    pub facts: Facts,
}

impl Known {
    /// What its event log tells.
    ///
    /// # Errors
    /// When there is none.
    pub fn run(&self) -> Outcome<&Run> {
        self.facts.run.as_ref().ok_or_else(|| {
            Failure::input(
                "stoke::event-log::needed",
                format!(
                    "`{}` has no event log that can be read, and nothing else has its stages and tasks",
                    self.name
                ),
            )
            .fix("set spark.eventLog.enabled and a spark.eventLog.dir that can be read from here, or name the log itself with --event-log")
        })
    }
}

impl RunSource {
    /// By one word: a path of an event log when it has a `/`, else an application's name or id.
    pub fn word(word: &str) -> RunSource {
        match word.contains('/') {
            true => RunSource {
                event_log: Some(word.to_owned()),
                ..RunSource::default()
            },
            false => RunSource {
                application: Some(word.to_owned()),
                ..RunSource::default()
            },
        }
    }

    /// What is known of the run; what cannot be known is told on standard error.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn known(&self, target: &Target, context: &mut Context) -> Outcome<Known> {
        let known = match &self.bundle {
            Some(path) => unpack(path)?,
            None => {
                let gathered = self.gather(target, context).await?;
                let facts = gathered.facts().await?;
                Known {
                    name: gathered.name,
                    notes: gathered.notes,
                    facts,
                }
            }
        };
        for note in &known.notes {
            context.terminal.note(format!("note: {note}"));
        }
        Ok(known)
    }

    /// Everything about the run as it was written; a bundle is that already.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn gather(&self, target: &Target, context: &Context) -> Outcome<Gathered> {
        match (&self.application, &self.event_log) {
            (Some(name), _) => Ok(gather::by_name(name, &target.cluster(), &context.home).await?),
            (None, Some(place)) => Ok(gather::of_event_log(place, &context.home).await?),
            (None, None) => Err(Failure::input(
                "stoke::cli::no-run",
                "name an application or an event log",
            )),
        }
    }
}

fn unpack(path: &Path) -> Outcome<Known> {
    let refused = |error: bundle::BundleError| {
        Failure::input(error.code(), format!("--bundle {}: {error}", path.display()))
            .fix("name the file that `stoke bundle` wrote, or the directory it was unpacked to")
    };
    let read = match path.is_dir() {
        true => bundle::read_directory(path),
        false => {
            let file = std::fs::File::open(path).map_err(|error| {
                Failure::input("stoke::bundle::io", format!("--bundle {}: {error}", path.display()))
            })?;
            bundle::read(std::io::BufReader::new(file))
        }
    };
    let Bundle { index, facts, .. } = read.map_err(refused)?;
    Ok(Known {
        name: index.application,
        notes: index.notes,
        facts,
    })
}
