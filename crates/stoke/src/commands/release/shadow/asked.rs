//! What shadow runs and A/B are asked for alike: two releases, what they read and write, and how they run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use stoke_insight::cost::Prices;
use stoke_objectstore::shadow::{Places as Spots, Spot};
use stoke_quality::difference::Options;
use stoke_release::environment::Environment;
use stoke_storage::{Address, Cloud};

use super::super::{Kept, Places, Store, steps};
use super::job::{self, Job};
use crate::cli::Context;
use crate::commands::cost::read_prices;
use crate::commands::quality::diff::How;
use crate::commands::run::timeout;
use crate::failure::{Failure, Outcome};

/// Options of both commands.
#[derive(clap::Args)]
pub struct Choices {
    /// A place that they read: s3a://bucket/path; can be given again. Its objects are pinned
    #[arg(long, value_name = "PLACE")]
    pub reads: Vec<String>,
    /// Columns that say which rows belong together, of all outputs or of one [default: rows are compared as a whole]
    #[arg(long, value_name = "[PLACE=]COLUMN,…")]
    pub key: Vec<String>,
    #[command(flatten)]
    pub how: How,
    /// Let outputs without a row on both sides be equal
    #[arg(long)]
    pub allow_empty: bool,
    /// A price table, by which the runs are priced
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Run them with the overlay of this environment
    #[arg(long = "in", value_name = "ENVIRONMENT")]
    pub environment: Option<String>,
    /// Do not record the verdict in the ledger
    #[arg(long)]
    pub no_record: bool,
    /// Give a run up that has not ended after this time (30s, 10m, 2h)
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub places: Places,
    #[command(flatten)]
    pub kept: Kept,
}

/// What is to be done, all of it read and checked.
pub struct Plan {
    pub old: Job,
    pub new: Job,
    pub spots: Spots,
    /// How each output is compared.
    pub options: BTreeMap<Spot, Options>,
    pub prices: Option<Prices>,
    pub timeout: Option<Duration>,
}

impl Choices {
    /// Reads and checks everything before anything is started.
    pub async fn plan(
        &self,
        release: &str,
        against: &str,
        writes: &[String],
        store: &Store,
        context: &mut Context,
    ) -> Outcome<Plan> {
        let spots = Spots {
            reads: self.reads.iter().map(|text| spot(text)).collect::<Outcome<_>>()?,
            writes: writes.iter().map(|text| spot(text)).collect::<Outcome<_>>()?,
        };
        for (at, one) in spots.writes.iter().enumerate() {
            let other = spots.writes[..at]
                .iter()
                .find(|other| other.holds(&one.bucket, &one.path) || one.holds(&other.bucket, &other.path));
            if let Some(other) = other {
                return Err(places(format!("{one} and {other} lie within each other"))
                    .fix("name each output once, and none below another one"));
            }
        }
        let options = self.options(&spots.writes)?;
        let environment = match &self.environment {
            Some(name) => {
                let all = self.places.read(&mut context.terminal)?;
                Some(steps::named(&all, name)?.clone())
            }
            None => None,
        };
        let environment: Option<&Environment> = environment.as_ref();
        let old = job::of(store, against, environment, context).await?;
        let new = job::of(store, release, environment, context).await?;
        Ok(Plan {
            old,
            new,
            spots,
            options,
            prices: self.prices.as_deref().map(read_prices).transpose()?,
            timeout: self.timeout,
        })
    }

    /// How each output is compared.
    fn options(&self, writes: &[Spot]) -> Outcome<BTreeMap<Spot, Options>> {
        let base = self.how.options()?;
        let mut all: BTreeMap<Spot, Options> = writes.iter().map(|spot| (spot.clone(), base.clone())).collect();
        for text in &self.key {
            let (place, columns) = match text.rsplit_once('=') {
                Some((place, columns)) => (Some(spot(place)?), columns),
                None => (None, text.as_str()),
            };
            let columns: Vec<String> = columns.split(',').map(str::to_owned).collect();
            match place {
                None => all.values_mut().for_each(|options| options.keys.clone_from(&columns)),
                Some(place) => match all.get_mut(&place) {
                    Some(options) => options.keys = columns,
                    None => {
                        return Err(places(format!("--key {text}: {place} is not one of the outputs"))
                            .fix("name a place of --writes"));
                    }
                },
            }
        }
        Ok(all)
    }
}

pub fn places(message: impl std::fmt::Display) -> Failure {
    Failure::input("release-shadow-places", message)
}

/// A place of the object store.
fn spot(text: &str) -> Outcome<Spot> {
    let address = Address::parse(text).map_err(super::super::storage)?;
    match address.bucket() {
        Some((Cloud::Aws, bucket, path)) if bucket != stoke_objectstore::shadow::BUCKET => Ok(Spot::new(bucket, path)),
        Some((Cloud::Aws, ..)) => {
            Err(places(format!("{text} is where shadow runs write themselves"))
                .fix("name a place that the releases name"))
        }
        Some(_) => Err(places(format!(
            "{text} is in another cloud: the cluster's own store keeps outputs apart, and no other does"
        ))
        .fix("bring the inputs into the cluster's store, and let the releases take their places as arguments")),
        None => Err(places(format!(
            "{text} is a place of this machine: what is written there is not redirected"
        ))
        .fix("name a place of the object store, s3a://bucket/path; files of a pod that are in no volume go with it")),
    }
}
