//! A place of data that an environment names, open: a table or versions.

use jiff::Timestamp;
use stoke_diagnostics::Diagnostic;
use stoke_release::environment::{Data, Published};
use stoke_release::oci::Digest;
use stoke_release::publish::iceberg::{Catalog, Table, TableOperations};
use stoke_release::publish::pointer::Versions;
use stoke_release::publish::{Change, Destination, Seen};
use stoke_storage::{Access, Address, open};

use crate::failure::Outcome;

/// A place of data, open.
pub enum Place {
    Table(Box<Table<'static>>),
    Versions(Versions<'static>),
}

impl Place {
    pub async fn open(data: &Data, wanted: Option<&str>) -> Outcome<Self> {
        let opened = |text: &str| {
            let address = Address::parse(text).map_err(super::super::storage)?;
            open(&address, &Access::environment()).map_err(super::super::storage)
        };
        Ok(match &data.place {
            Published::Iceberg {
                table,
                branch,
                catalog,
                warehouse,
            } => {
                let operations = match catalog {
                    None => TableOperations::Path(opened(table)?),
                    Some(uri) => {
                        let token = std::env::var("STOKE_CATALOG_TOKEN").ok();
                        let catalog = Catalog::open(uri, warehouse.as_deref(), table, token).await;
                        TableOperations::Catalog(catalog.map_err(|why| super::super::diagnostic(why, 3))?)
                    }
                };
                Place::Table(Box::new(Table::new(
                    operations,
                    table.clone(),
                    branch.clone(),
                    &Timestamp::now,
                )))
            }
            Published::Versions { place } => {
                let versions = Versions::new(opened(place)?, place, wanted.map(str::to_owned), &Timestamp::now);
                Place::Versions(versions)
            }
        })
    }

    /// What a reader is given of a version.
    pub fn location(&self, version: &str) -> String {
        match self {
            Place::Table(_) => version.to_owned(),
            Place::Versions(versions) => versions.location(version),
        }
    }
}

impl Destination for Place {
    async fn look(&mut self) -> Result<Seen, Diagnostic> {
        match self {
            Place::Table(table) => table.look().await,
            Place::Versions(versions) => versions.look().await,
        }
    }

    async fn is_whole(&mut self, version: &str, seal: Option<&Digest>) -> Result<(), Diagnostic> {
        match self {
            Place::Table(table) => table.is_whole(version, seal).await,
            Place::Versions(versions) => versions.is_whole(version, seal).await,
        }
    }

    async fn set(&mut self, change: &Change) -> Result<bool, Diagnostic> {
        match self {
            Place::Table(table) => table.set(change).await,
            Place::Versions(versions) => versions.set(change).await,
        }
    }
}
