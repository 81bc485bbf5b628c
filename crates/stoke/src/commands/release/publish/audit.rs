//! What a run wrote, held against the contract of its release.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity, Source, has_errors};
use stoke_laptop::home::Home;
use stoke_quality::{Contract, Options, Storage, contract};
use stoke_release::bundle::Role;
use stoke_release::environment::Data;
use stoke_release::ledger::Verdict;
use stoke_release::oci::Digest;
use stoke_release::publish::{Audit, Auditor};
use stoke_storage::{Access, Address};

use super::super::Store;
use super::place::Place;
use crate::commands::quality::{files_at, held, sql};
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

/// How long rules in SQL of a contract may take together.
const SQL: Duration = Duration::from_secs(600);

/// Holds what a run wrote against the contract of the release.
pub struct ContractAuditor<'a> {
    /// Opened once more: an audit takes long, and what is there is looked at again after it.
    pub place: Place,
    pub contract: Contract,
    pub digest: Digest,
    pub history: Option<Storage>,
    pub store: &'a Store,
    pub home: Home,
    pub terminal: &'a mut Terminal,
    /// What ended the audit but the data: an interruption.
    pub failure: Option<Failure>,
    /// The report of the last audit.
    pub report: Value,
}

impl Auditor for ContractAuditor<'_> {
    fn contract(&self) -> Digest {
        self.digest.clone()
    }

    async fn audit(&mut self, version: &str) -> Result<Audit, Diagnostic> {
        let unread = |why: String| {
            Diagnostic::new(
                Severity::Error,
                "release-data-unread",
                format!("{version} cannot be audited: {why}"),
            )
            .with_fix("what is not read is never published; see what is wrong with `stoke quality run`")
            .unknown()
        };
        let mut options = Options::at(Timestamp::now());
        options.history.clone_from(&self.history);
        let place = match &mut self.place {
            Place::Versions(versions) => versions.location(version),
            Place::Table(table) => {
                let (metadata, file) = table.read().await?;
                options.version = Some(version.to_owned());
                options.metadata = Some(
                    below(metadata.location(), file)
                        .ok_or_else(|| unread(format!("{file} does not lie below {}", metadata.location())))?,
                );
                metadata.location().to_owned()
            }
        };
        let storage = storage(&place).map_err(|failure| unread(failure.diagnostic.message.clone()))?;
        let wanted = sql::Wanted {
            version: None,
            limit: SQL,
        };
        let report = held(&self.contract, &storage, &options, &wanted, &self.home, self.terminal);
        let report = match report {
            Ok(report) => report.map_err(|error| unread(error.to_string()))?,
            Err(failure) => {
                let why = failure.diagnostic.message.clone();
                self.failure = Some(failure);
                return Err(unread(why));
            }
        };
        self.report = serde_json::to_value(&report).unwrap_or_default();
        let bytes = self.report.to_string().into_bytes();
        let evidence = Digest::of(&bytes);
        let kept = self.store.releases.put_evidence(&evidence, &bytes).await;
        kept.map_err(|error| *super::super::kept(error).diagnostic)?;
        Ok(Audit {
            verdict: match report.passed() {
                true => Verdict::Pass,
                false => Verdict::Fail,
            },
            evidence,
            summary: report.summary(),
        })
    }
}

/// The path of a table's metadata file below its location.
fn below(location: &str, file: &str) -> Option<String> {
    if file.starts_with("metadata/") {
        return Some(file.to_owned());
    }
    let plain = |text: &str| Some(Address::parse(text).ok()?.plain().to_string());
    let (location, file) = (plain(location)?, plain(file)?);
    file.strip_prefix(&location)?.strip_prefix('/').map(str::to_owned)
}

/// Files at a place that is written as a URL or a path.
pub fn storage(place: &str) -> Outcome<Storage> {
    let address = Address::parse(place).map_err(super::super::storage)?;
    files_at(&address, &Access::environment()).map_err(super::super::storage)
}

/// The contract of data, a file of the release.
pub async fn contract_of(
    store: &Store,
    release: &Digest,
    data: &Data,
    terminal: &mut Terminal,
) -> Outcome<(Contract, Digest)> {
    let wrong = |message: String, fix: &str| {
        let reason = Diagnostic::new(Severity::Error, "release-data-contract", message);
        super::super::diagnostic(reason.with_fix(fix.to_owned()), 1)
    };
    let whole = store.releases.get(release).await.map_err(super::super::kept)?;
    let Some(part) = whole.parts.iter().find(|part| part.path == data.contract) else {
        let contracts: Vec<&str> = whole.of(Role::Contract).map(|part| part.path.as_str()).collect();
        let message = format!(
            "{release} has no file {}, so {} cannot be audited",
            data.contract, data.name
        );
        return Err(match contracts.as_slice() {
            [] => wrong(message, "add the contract to the job, and create a release of it"),
            some => wrong(message, &format!("it has {}", some.join(", "))),
        });
    };
    let bytes = store.releases.part(part).await.map_err(super::super::kept)?;
    let source = Source::new(&data.contract, &String::from_utf8_lossy(&bytes));
    let (contract, complaints) = contract::read(&source, data.object.as_deref());
    match contract.filter(|_| !has_errors(&complaints)) {
        Some(contract) if contract.checks.is_empty() => Err(wrong(
            format!("{} checks nothing", data.contract),
            "write what the data must be, and create a release of it",
        )),
        Some(contract) => Ok((contract, part.digest.clone())),
        None => {
            super::super::show(&complaints, terminal);
            Err(wrong(
                format!("{} has errors", data.contract),
                "fix what is shown above, and create a release of it",
            ))
        }
    }
}
