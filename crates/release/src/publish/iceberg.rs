//! Iceberg tables: a run writes to a branch (`spark.wap.branch`), and publishing sets `main` to its snapshot, if that follows what `main` is.

use std::fmt::Write;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use stoke_diagnostics::Diagnostic;
use stoke_quality::data::iceberg_files::{HINT, current_metadata, metadata_number};
use stoke_storage::{HttpClient, Place, StorageError, in_full};

use super::metadata::{MAIN, Metadata, Standing};
use super::pointer::failed;
use super::{Change, Destination, Seen, refusal, unknown};
use crate::ledger::Step;
use crate::oci::Digest;

/// Key of a snapshot's summary by which a run says of which release it is.
pub const RELEASE: &str = "stoke.release";
/// Most bytes of an answer of a catalogue.
const MOST: usize = 256 << 20;

/// Where a table's metadata are, and who changes them.
pub enum TableOperations {
    /// The table is its directory: its metadata files are numbered, and the next one is made only if it is not there.
    Path(Place),
    Catalog(Catalog),
}

/// A table with a branch that runs write to.
pub struct Table<'a> {
    operations: TableOperations,
    /// As people write it.
    shown: String,
    branch: String,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
    /// The metadata of the last look, and the file that has them.
    seen: Option<(Metadata, String)>,
}

impl<'a> Table<'a> {
    #[must_use]
    pub fn new(
        operations: TableOperations,
        shown: String,
        branch: String,
        clock: &'a (dyn Fn() -> Timestamp + Sync),
    ) -> Self {
        Self {
            operations,
            shown,
            branch,
            clock,
            seen: None,
        }
    }

    /// The metadata as they are now, and the file that has them: a path below a table's directory, or what its catalogue calls it.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn read(&mut self) -> Result<&(Metadata, String), Diagnostic> {
        let read = match &self.operations {
            TableOperations::Path(place) => from_path(place, &self.shown).await?,
            TableOperations::Catalog(catalog) => catalog.load(&self.shown).await?,
        };
        Ok(self.seen.insert(read))
    }

    fn reasons(&self, metadata: &Metadata, seen: &mut Seen) {
        let (shown, branch) = (&self.shown, &self.branch);
        if !metadata.writes_apart() {
            seen.reasons.push(refusal(
                "release-data-wap",
                format!("{shown}: write.wap.enabled is not true, so runs write to `main`, where readers see it before it was audited"),
                format!("ALTER TABLE {shown} SET TBLPROPERTIES ('write.wap.enabled'='true'), and run with spark.wap.branch={branch}"),
            ));
        }
        let Some(head) = metadata.reference(branch) else {
            seen.reasons.push(unknown(
                "release-data-branch",
                format!(
                    "{shown} has no branch `{branch}`; it has {}",
                    listed(&metadata.references())
                ),
                format!("run the release with spark.wap.branch={branch}, then publish what it wrote"),
            ));
            return;
        };
        let main = metadata.reference(MAIN);
        seen.candidate = Some(head.to_string());
        seen.written_by = metadata.summary(head, RELEASE).map(str::to_owned);
        let now = main.map_or_else(|| "empty".to_owned(), |main| format!("at {main}"));
        match metadata.standing(head, main) {
            Standing::Same => {}
            Standing::Ahead(between) => seen.brings = between.iter().map(i64::to_string).collect(),
            Standing::Behind => seen.reasons.push(refusal(
                "release-data-behind",
                format!("{shown}: `main` is {now}, which already has what `{branch}` has at {head}, and more"),
                "run the release again: it writes on what readers see; drop the branch first, so that it begins there",
            )),
            Standing::Apart => seen.reasons.push(refusal(
                "release-data-behind",
                format!("{shown}: `main` is {now} and `{branch}` at {head}, and neither follows the other: someone else published in between"),
                format!("drop the branch (ALTER TABLE … DROP BRANCH {branch}), and run the release again on what readers see"),
            )),
            Standing::NotKnown(missing) => seen.reasons.push(unknown(
                "release-data-unread",
                format!("{shown}: whether `{branch}` follows `main` is not known: the snapshot {missing} is not in the metadata"),
                "expire snapshots less early; drop the branch, and run the release again",
            )),
        }
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

impl Destination for Table<'_> {
    async fn look(&mut self) -> Result<Seen, Diagnostic> {
        let (metadata, _) = self.read().await?.clone();
        let mut seen = Seen {
            current: metadata.reference(MAIN).map(|id| id.to_string()),
            ..Seen::default()
        };
        self.reasons(&metadata, &mut seen);
        Ok(seen)
    }

    async fn is_whole(&mut self, version: &str, _: Option<&Digest>) -> Result<(), Diagnostic> {
        let shown = self.shown.clone();
        let (metadata, _) = self.read().await?;
        match version.parse().is_ok_and(|id| metadata.has(id)) {
            true => Ok(()),
            false => Err(refusal(
                "release-data-gone",
                format!("{shown} has no snapshot {version} any more: it expired"),
                "go back to another version with --version",
            )),
        }
    }

    async fn set(&mut self, change: &Change) -> Result<bool, Diagnostic> {
        // What was decided on, not what is there by now.
        let Some((metadata, file)) = self.seen.take() else {
            return Ok(false);
        };
        let number = |text: &str| {
            text.parse::<i64>().map_err(|_| {
                Box::new(refusal(
                    "release-data-gone",
                    format!("`{text}` is not a snapshot"),
                    "give the number of a snapshot",
                ))
            })
        };
        let from = change.from.as_deref().map(number).transpose().map_err(|why| *why)?;
        let to = number(&change.to).map_err(|why| *why)?;
        if metadata.reference(MAIN) != from || !metadata.has(to) {
            return Ok(false);
        }
        let back = change.step == Step::Rollback;
        if !back && !matches!(metadata.standing(to, from), Standing::Ahead(_)) {
            return Ok(false);
        }
        let update = metadata.change(&self.branch, from, to, back);
        match &self.operations {
            TableOperations::Path(place) => {
                let now = (self.clock)().as_millisecond();
                let text = metadata.after(
                    &update,
                    &format!("{}/{file}", metadata.location().trim_end_matches('/')),
                    now,
                );
                next_file(place, &file, text).await
            }
            TableOperations::Catalog(catalog) => {
                catalog
                    .commit(&json!({"requirements": update.requirements, "updates": update.updates}))
                    .await
            }
        }
    }
}

async fn from_path(place: &Place, shown: &str) -> Result<(Metadata, String), Diagnostic> {
    let wrong = |why: String| {
        unknown(
            "release-data-unread",
            format!("{shown}: {why}"),
            "name the directory of an Iceberg table without a catalogue, or the catalogue that has it",
        )
    };
    let entries = place.list("metadata").await.map_err(failed)?;
    let paths: Vec<String> = entries.iter().map(|entry| format!("metadata/{}", entry.path)).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let hint = place.content(HINT).await.map_err(failed)?;
    let hint = hint.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    let file = current_metadata(&paths, hint.as_deref()).map_err(wrong)?.to_owned();
    if !metadata_number(&file).is_some_and(|(_, plain)| plain) {
        return Err(wrong(format!(
            "{file} is named as a catalogue names it, and only that one may change the table"
        )));
    }
    let bytes = place.content(&file).await.map_err(failed)?.unwrap_or_default();
    let metadata = Metadata::read(&bytes).map_err(|why| wrong(format!("{file}: {why}")))?;
    Ok((metadata, file))
}

/// Makes the metadata file of the next number. False: another writer made it.
async fn next_file(place: &Place, file: &str, mut text: Vec<u8>) -> Result<bool, Diagnostic> {
    let Some((number, _)) = metadata_number(file) else {
        return Ok(false);
    };
    let next = file.replacen(&format!("v{number}."), &format!("v{}.", number + 1), 1);
    if next.contains(".gz.") || next.ends_with(".gz") {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let packed = encoder.write_all(&text).and_then(|()| encoder.finish());
        text = packed.map_err(|error| unknown("release-data-place", error.to_string(), "give the command again"))?;
    }
    enum Unmade {
        Others,
        Failed(StorageError),
    }
    impl From<StorageError> for Unmade {
        fn from(error: StorageError) -> Self {
            Unmade::Failed(error)
        }
    }
    let made = place.update(&next, |before: Option<Bytes>| match before {
        None => Ok(text.clone()),
        Some(_) => Err(Unmade::Others),
    });
    match made.await {
        Ok(()) => {}
        // Or it was made by this, and the answer got lost: a look shows it.
        Err(Unmade::Others) => return Ok(false),
        Err(Unmade::Failed(error)) => return Err(failed(error)),
    }
    // Readers find later numbers without the hint; Hadoop keeps a checksum of it on a disk, which would not fit any more.
    let hint = async {
        place.delete("metadata/.version-hint.text.crc").await?;
        place.write(HINT, (number + 1).to_string().into_bytes()).await
    };
    if let Err(error) = hint.await {
        tracing::warn!(%error, "the hint of the table's version is behind; readers find the version by its number");
    }
    Ok(true)
}

/// A table in a catalogue that speaks Iceberg's REST.
pub struct Catalog {
    client: HttpClient,
    /// With `v1` and the prefix that the catalogue gives.
    url: String,
    namespace: Vec<String>,
    table: String,
    token: Option<String>,
}

impl Catalog {
    /// Asks a catalogue for its configuration. `table` is `namespace.table`; `token` goes along as `Bearer`.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn open(
        uri: &str,
        warehouse: Option<&str>,
        table: &str,
        token: Option<String>,
    ) -> Result<Self, Diagnostic> {
        let client = stoke_storage::https().map_err(|error| asked(uri, &error.to_string()))?;
        let mut parts: Vec<String> = table.split('.').map(str::to_owned).collect();
        let name = parts.pop().unwrap_or_default();
        if parts.is_empty() || name.is_empty() || parts.iter().any(String::is_empty) {
            return Err(refusal(
                "release-data-place",
                format!("`{table}` is not a table of a catalogue"),
                "write its namespace and its name, such as shop.orders",
            ));
        }
        let base = uri.trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base);
        let mut catalog = Self {
            client,
            url: format!("{base}/v1"),
            namespace: parts,
            table: name,
            token,
        };
        let query = warehouse.map_or_else(String::new, |warehouse| format!("?warehouse={}", encoded(warehouse)));
        let (status, config) = catalog.ask(&format!("{}/config{query}", catalog.url), None).await?;
        if status != 200 {
            return Err(asked(
                uri,
                &format!(
                    "it answers {status} when asked for its configuration: {}",
                    said(&config)
                ),
            ));
        }
        let prefix = ["overrides", "defaults"]
            .iter()
            .find_map(|kind| config[kind]["prefix"].as_str());
        if let Some(prefix) = prefix {
            let prefix: Vec<String> = prefix.split('/').map(encoded).collect();
            write!(catalog.url, "/{}", prefix.join("/")).unwrap_or_default();
        }
        Ok(catalog)
    }

    fn address(&self) -> String {
        let namespace: Vec<String> = self.namespace.iter().map(|part| encoded(part)).collect();
        format!(
            "{}/namespaces/{}/tables/{}",
            self.url,
            namespace.join("%1F"),
            encoded(&self.table)
        )
    }

    async fn load(&self, shown: &str) -> Result<(Metadata, String), Diagnostic> {
        let address = self.address();
        let (status, mut answer) = self.ask(&address, None).await?;
        if status != 200 {
            return Err(asked(&address, &format!("it answers {status}: {}", said(&answer))));
        }
        let file = answer["metadata-location"].as_str().unwrap_or_default().to_owned();
        let metadata = Metadata::of(answer["metadata"].take());
        let metadata = metadata.map_err(|why| {
            unknown(
                "release-data-unread",
                format!("{shown}: {why}"),
                "ask the catalogue for the table, and see what it says",
            )
        })?;
        Ok((metadata, file))
    }

    /// False: what had to hold does not.
    async fn commit(&self, change: &Value) -> Result<bool, Diagnostic> {
        let address = self.address();
        let (status, answer) = self.ask(&address, Some(change)).await?;
        match status {
            200 | 204 => Ok(true),
            409 => Ok(false),
            // It may have happened: the place is looked at again by the next command.
            500.. | 429 => Err(asked(&address, &format!("it answers {status}: {}", said(&answer)))),
            _ => Err(refusal(
                "release-data-place",
                format!(
                    "{address}: the catalogue does not take the change, it answers {status}: {}",
                    said(&answer)
                ),
                "check rights, and that the catalogue keeps branches of tables: Nessie has branches of its own instead",
            )),
        }
    }

    async fn ask(&self, address: &str, body: Option<&Value>) -> Result<(u16, Value), Diagnostic> {
        let wrong = |why: String| asked(address, &why);
        let mut request = Request::builder().uri(address).header("accept", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = match body {
            Some(body) => request
                .method("POST")
                .header("content-type", "application/json")
                .body(body.to_string().into()),
            None => request.body(String::new().into()),
        };
        let request = request.map_err(|error| wrong(error.to_string()))?;
        let answer = self
            .client
            .execute(request)
            .await
            .map_err(|error| wrong(in_full(&error)))?;
        let status = answer.status().as_u16();
        let bytes = http_body_util::Limited::new(answer.into_body(), MOST).collect().await;
        let bytes = bytes.map_err(|error| wrong(in_full(error.as_ref())))?.to_bytes();
        let read = serde_json::from_slice(&bytes);
        match (status, read) {
            (_, Ok(value)) => Ok((status, value)),
            (200, Err(error)) if body.is_none() => Err(wrong(format!("its answer is not JSON: {error}"))),
            (_, Err(_)) => Ok((status, Value::Null)),
        }
    }
}

/// What an answer says is wrong.
fn said(answer: &Value) -> &str {
    answer["error"]["message"].as_str().unwrap_or("without a reason")
}

fn asked(address: &str, why: &str) -> Diagnostic {
    unknown(
        "release-data-place",
        format!("{address}: {why}"),
        "check the address of the catalogue, the warehouse and the token (STOKE_CATALOG_TOKEN), then give the command again",
    )
}

/// A part of a URL.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut text, byte| {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => text.push(char::from(byte)),
            false => write!(text, "%{byte:02X}").unwrap_or_default(),
        }
        text
    })
}
