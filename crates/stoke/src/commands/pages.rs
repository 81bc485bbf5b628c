//! What pages are made of beside a cluster and event logs: prices, verdicts on data, objectives and alerts. The same for every command that serves
//! pages.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stoke_eventlog::Source;
use stoke_insight::cost::Prices;
use stoke_laptop::gather::outcomes::Wanted;
use stoke_laptop::home::Home;
use stoke_laptop::object_store::reach_any;
use stoke_quality::Storage;
use stoke_quality::ledger::Ledger;
use stoke_storage::{Address, StorageError};

use super::cost::read_prices;
use super::quality;
use super::slo::{self, needs_details};
use super::watched::Watching;
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

/// Arguments of commands that serve pages.
#[derive(clap::Args)]
pub struct PageSources {
    /// The price table for the pages of cost, YAML or JSON; without it they tell the time of cores and memory
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Where `stoke quality run --history` keeps verdicts on data: a directory, `file:///directory`, `s3://…`, `gs://…` or `abfss://…`
    #[arg(long, value_name = "PLACE")]
    quality: Option<String>,
    /// Objectives to judge by the event logs, OpenSLO v1 or of Sloth; can be given again
    #[arg(long, value_name = "FILE")]
    objectives: Vec<PathBuf>,
    /// The Alertmanager whose alerts are shown, http://HOST:9093
    #[arg(long, value_name = "URL")]
    alertmanager: Option<String>,
}

impl PageSources {
    /// The price table, where one is named.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn prices(&self) -> Outcome<Option<Prices>> {
        self.prices.as_deref().map(read_prices).transpose()
    }

    /// The verdicts of the place that is named, else of `own`; looked at once.
    ///
    /// # Errors
    /// There is no such directory, or no such kind of place.
    pub async fn quality(&self, home: &Home, own: Option<&Path>) -> Outcome<Option<Arc<Ledger>>> {
        let storage = match (&self.quality, own) {
            (Some(place), _) => kept_at(place, home).await?,
            (None, Some(own)) => Storage::local(own),
            (None, None) => return Ok(None),
        };
        let ledger = Arc::new(Ledger::new(storage));
        let first = ledger.clone();
        tokio::task::spawn_blocking(move || first.look())
            .await
            .map_err(|error| Failure::environment("stoke::quality::history", error))?;
        Ok(Some(ledger))
    }

    /// What is watched: objectives by the event logs of `logs`, and the Alertmanager that is named.
    ///
    /// # Errors
    /// Files of objectives that cannot be read or have errors, no event logs to judge them by, an address that is none.
    pub fn watching(&self, logs: Option<Source>, terminal: &mut Terminal) -> Outcome<Watching> {
        let mut watching = Watching::default();
        if !self.objectives.is_empty() {
            let objectives = slo::Files::of(self.objectives.clone()).objectives(terminal)?;
            let logs = logs.ok_or_else(|| {
                Failure::input(
                    "stoke::slo::no-source",
                    "--objectives: there are no event logs to judge them by",
                )
                .fix("name their place with --history")
            })?;
            let wanted = Wanted {
                details: needs_details(&objectives),
                prices: self.prices()?,
                ended_is_success: false,
            };
            watching.objectives(objectives, logs, wanted);
        }
        if let Some(url) = &self.alertmanager {
            watching.alertmanager(url)?;
        }
        Ok(watching)
    }

    /// Whether an Alertmanager is named.
    pub fn names_alertmanager(&self) -> bool {
        self.alertmanager.is_some()
    }

    /// The same as arguments.
    pub fn again(&self) -> Vec<OsString> {
        let prices = self
            .prices
            .iter()
            .flat_map(|file| [OsString::from("--prices"), OsString::from(file)]);
        let quality = self
            .quality
            .iter()
            .flat_map(|place| [OsString::from("--quality"), OsString::from(place)]);
        let objectives = self
            .objectives
            .iter()
            .flat_map(|file| [OsString::from("--objectives"), OsString::from(file)]);
        let alertmanager = self
            .alertmanager
            .iter()
            .flat_map(|url| [OsString::from("--alertmanager"), OsString::from(url)]);
        prices.chain(quality).chain(objectives).chain(alertmanager).collect()
    }
}

/// A place with verdicts.
///
/// # Errors
/// There is no such directory, or no such kind of place.
pub async fn kept_at(place: &str, home: &Home) -> Outcome<Storage> {
    let unusable =
        |error: StorageError| Failure::input(error.code(), format!("{place}: {}", error.cause())).fix(error.fix());
    let address = Address::parse(place).map_err(unusable)?;
    let access = reach_any(home).await?;
    let files = quality::files_at(&address, &access).map_err(unusable)?;
    match files.local_path() {
        Some(directory) if !directory.is_dir() => Err(Failure::input(
            "stoke::quality::history",
            format!("{place}: there is no such directory"),
        )
        .fix("name the directory that `stoke quality run` was given with --history")),
        _ => Ok(files),
    }
}
