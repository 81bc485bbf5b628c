//! Data: files of columns, found at a place.
//!
//! A place is a file, a directory (with partitions in its paths), or a Delta or Iceberg table. Out come [`DataFile`]s, each with its columns and in [`Unit`]s that
//! can be read beside each other: row groups of Parquet, whole files of CSV and JSON lines.

mod blocks;
mod delta;
mod documents;
mod iceberg;
pub mod iceberg_files;
mod mapped;
mod parquet;
pub mod partition;
pub mod storage;
mod text;
mod vector;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::Serialize;

pub use self::parquet::ParquetFile;
pub use blocks::{Block, Blocks};
pub use mapped::{Deletes, EqualRows, Slot, Source};
pub use stoke_storage::Entry;
pub use storage::{Blob, Storage, Unwritten};
pub use text::{CsvOptions, TextFile};

use crate::contract::TypeName;
use crate::error::QualityError;

pub const BATCH_ROWS: usize = 8192;

/// How files are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values, RFC 4180.
    Csv,
    /// One JSON object a line, an array of objects, or objects one behind the other.
    Json,
}

/// Found data.
#[derive(Debug)]
pub struct Dataset {
    /// The place, for people.
    pub place: String,
    /// `delta` or `iceberg` for such a table, else the format of the files.
    pub layout: &'static str,
    /// Version of a Delta table, number of an Iceberg table's snapshot.
    pub version: Option<i64>,
    /// The files, sorted by path.
    pub files: Vec<DataFile>,
}

/// One file.
#[derive(Debug)]
pub struct DataFile {
    /// Path below the place; the place's own name when that is the file.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Its columns in order, with those of partitions at the end.
    pub schema: SchemaRef,
    /// Columns that are not in the file but the same for all of its rows.
    pub constants: Vec<(String, DataType, Option<String>)>,
    /// What is in it; or why it cannot be read.
    pub content: Result<Content, String>,
}

impl DataFile {
    /// A file with columns that are the same for all of its rows; one that is in the file, too, is read from there.
    fn of(
        path: String,
        size: u64,
        content: Result<Content, String>,
        mut constants: Vec<(String, DataType, Option<String>)>,
    ) -> Self {
        let own = match &content {
            Ok(Content::Parquet(file)) => file.schema(),
            Ok(Content::Text(file)) => file.schema(),
            Err(_) => Arc::new(Schema::empty()),
        };
        constants.retain(|(name, ..)| own.fields().iter().all(|field| field.name() != name));
        let added = constants
            .iter()
            .map(|(name, of, _)| Arc::new(Field::new(name, of.clone(), true)));
        let fields: Vec<Arc<Field>> = own.fields().iter().cloned().chain(added).collect();
        Self {
            path,
            size,
            schema: Arc::new(Schema::new(fields)),
            constants,
            content,
        }
    }
}

/// What is in a file.
#[derive(Debug)]
pub enum Content {
    Parquet(ParquetFile),
    /// CSV or JSON lines.
    Text(TextFile),
}

/// A part of a file that is read on its own, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Position of the file.
    pub file: usize,
    /// Row group of Parquet.
    pub group: usize,
    /// Rows of the file before it.
    pub first_row: u64,
    /// Rows, where that is known before reading.
    pub rows: Option<u64>,
}

/// How data are opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Of CSV files.
    pub csv: CsvOptions,
    /// Types of columns of text.
    pub types: BTreeMap<String, TypeName>,
    /// Columns that files of JSON may leave out: they are null there.
    pub optional: BTreeSet<String>,
    /// The format, when names of files do not tell.
    pub format: Option<FileFormat>,
    /// Version of a Delta table, or snapshot, branch or tag of an Iceberg table; the current one when none.
    pub version: Option<String>,
    /// Path below the place of the metadata file of an Iceberg table, as its catalogue names it; else the files say which is current.
    pub metadata: Option<String>,
}

impl Dataset {
    /// Finds and opens the data at a place. Files that cannot be read are there, with the reason.
    ///
    /// # Errors
    /// When the place cannot be listed, holds no data, or is a table of a kind that is not read.
    pub fn open(storage: &Storage, options: &OpenOptions) -> Result<Self, QualityError> {
        let place = storage.place();
        let failed = |cause: String, fix: &str| QualityError::Data {
            place: place.clone(),
            cause,
            fix: fix.to_owned(),
        };
        let entries = storage
            .list()
            .map_err(|error| failed(error.to_string(), "check the path, and that it may be read"))?;
        if entries.iter().any(|entry| entry.path.starts_with("_delta_log/")) {
            return delta::open(storage, &entries, options.version.as_deref());
        }
        if entries
            .iter()
            .any(|entry| entry.path.starts_with("metadata/") && entry.path.contains(".metadata.json"))
        {
            return iceberg::open(
                storage,
                &entries,
                options.version.as_deref(),
                options.metadata.as_deref(),
            );
        }
        if let Some(version) = &options.version {
            let cause = format!("it is not a table, and has no version {version}");
            return Err(failed(cause, "leave the version out, or give a Delta or Iceberg table"));
        }
        // Names that begin so are of those who write the data: markers, checksums, files being written.
        let hidden = |part: &str| part.starts_with('.') || (part.starts_with('_') && !part.contains('='));
        let data: Vec<&Entry> = entries
            .iter()
            .filter(|entry| !entry.path.split('/').any(hidden))
            .collect();
        let mut formats: BTreeMap<&str, FileFormat> = BTreeMap::new();
        let mut strange: Vec<&str> = Vec::new();
        for entry in &data {
            let name = if entry.path.is_empty() {
                place.as_str()
            } else {
                entry.path.as_str()
            };
            match options.format.or_else(|| format_of(name)) {
                Some(format) => {
                    formats.insert(entry.path.as_str(), format);
                }
                None => strange.push(name),
            }
        }
        if let [first, ..] = strange.as_slice() {
            if first.to_ascii_lowercase().ends_with(".orc") {
                let cause = format!("{first} is ORC by its name, which is not read");
                return Err(failed(cause, "write the data as Parquet"));
            }
            let cause = format!("{first} is neither Parquet, CSV nor JSON lines by its name");
            return Err(failed(
                cause,
                "give files ending in .parquet, .csv, .tsv, .json, .jsonl or .ndjson",
            ));
        }
        let kinds: BTreeSet<&'static str> = formats.values().map(|format| layout(*format)).collect();
        let mut kinds = kinds.into_iter();
        let (Some(kind), None) = (kinds.next(), kinds.next()) else {
            let cause = if formats.is_empty() {
                "there are no files of data"
            } else {
                "files of several formats are mixed"
            };
            return Err(failed(cause.into(), "give a directory with files of one format"));
        };
        let constants = constants_of(&data);
        let files = data
            .iter()
            .zip(constants)
            .map(|(entry, constants)| {
                let format = formats.get(entry.path.as_str()).copied().unwrap_or(FileFormat::Parquet);
                open_file(storage, entry, format, constants, options)
            })
            .collect();
        Ok(Self {
            place,
            layout: kind,
            version: None,
            files,
        })
    }

    /// The units of all files that can be read, in order.
    pub fn units(&self) -> Vec<Unit> {
        let mut units = Vec::new();
        for (position, file) in self.files.iter().enumerate() {
            match &file.content {
                Ok(Content::Parquet(parquet)) => units.extend(parquet.units(position)),
                Ok(Content::Text(_)) => units.push(Unit {
                    file: position,
                    group: 0,
                    first_row: 0,
                    rows: None,
                }),
                Err(_) => {}
            }
        }
        units
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

impl DataFile {
    /// Reads a unit batch by batch. `columns` are positions in the schema, ascending; they come in that order. Columns of CSV, of JSON where they are not
    /// nested, and of partitions come as texts, whatever their type in the schema.
    ///
    /// # Errors
    /// Why it cannot be opened; each batch may fail, too.
    pub fn read(&self, unit: &Unit, columns: &[usize]) -> Result<Batches<'_>, String> {
        let (own, constants) = self.split(columns);
        let batches: Batches<'_> = match &self.content {
            Ok(Content::Parquet(parquet)) => parquet.read(unit.group, &own)?,
            Ok(Content::Text(text)) => text.read(&own)?,
            Err(reason) => return Err(reason.clone()),
        };
        Ok(self.with_constants(batches, constants))
    }

    /// Reads a block of a file of text batch by batch, as [`DataFile::read`] reads all of it.
    ///
    /// # Errors
    /// As there.
    pub fn read_block<'a>(&'a self, block: &'a Block, columns: &[usize]) -> Result<Batches<'a>, String> {
        let (own, constants) = self.split(columns);
        match &self.content {
            Ok(Content::Text(text)) => Ok(self.with_constants(text.read_block(block, &own)?, constants)),
            Ok(Content::Parquet(_)) => Err("Parquet has no blocks of text".into()),
            Err(reason) => Err(reason.clone()),
        }
    }

    /// Bytes of a column in a unit, compressed; 0 where that is not known.
    pub fn bytes_of(&self, unit: &Unit, column: usize) -> u64 {
        match &self.content {
            Ok(Content::Parquet(parquet)) => parquet.bytes_of(unit.group, column),
            _ => 0,
        }
    }

    /// Its blocks, when it is a file of text.
    pub fn blocks(&self) -> Option<Blocks> {
        match &self.content {
            Ok(Content::Text(text)) => Some(text.blocks()),
            _ => None,
        }
    }

    /// Columns of the file, and of its partitions.
    fn split(&self, columns: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let stored = self.schema.fields().len() - self.constants.len();
        let own = columns.iter().copied().filter(|column| *column < stored).collect();
        let constants = columns.iter().filter(|column| **column >= stored);
        (own, constants.map(|column| column - stored).collect())
    }

    fn with_constants<'a>(&'a self, batches: Batches<'a>, constants: Vec<usize>) -> Batches<'a> {
        if constants.is_empty() {
            return batches;
        }
        Box::new(batches.map(move |batch| {
            let mut batch = batch?;
            for position in &constants {
                let (_, _, value) = &self.constants[*position];
                batch.columns.push(text::constant(value.as_deref(), batch.rows));
            }
            Ok(batch)
        }))
    }
}

/// Batches of a unit.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<Batch, String>> + Send + 'a>;

/// Some rows of some columns.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The columns that were asked for.
    pub columns: Vec<ArrayRef>,
    /// How many rows.
    pub rows: usize,
}

impl From<RecordBatch> for Batch {
    fn from(batch: RecordBatch) -> Self {
        Self {
            rows: batch.num_rows(),
            columns: batch.columns().to_vec(),
        }
    }
}

fn layout(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Parquet => "parquet",
        FileFormat::Csv => "csv",
        FileFormat::Json => "json",
    }
}

fn format_of(name: &str) -> Option<FileFormat> {
    let lower = name.to_ascii_lowercase();
    let plain = lower.strip_suffix(".gz").unwrap_or(&lower);
    let ending = plain.rsplit_once('.').map(|(_, ending)| ending)?;
    match ending {
        "parquet" | "parq" | "pq" if plain.len() == lower.len() => Some(FileFormat::Parquet),
        "csv" | "tsv" => Some(FileFormat::Csv),
        "json" | "jsonl" | "ndjson" => Some(FileFormat::Json),
        _ => None,
    }
}

/// The partition values of each file, with the type the values of all files have.
fn constants_of(entries: &[&Entry]) -> Vec<Vec<(String, DataType, Option<String>)>> {
    let found: Vec<Vec<(String, Option<String>)>> =
        entries.iter().map(|entry| partition::of_path(&entry.path)).collect();
    let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in found.iter().flatten() {
        values.entry(name).or_default().extend(value.as_deref());
    }
    let types: BTreeMap<String, DataType> = values
        .into_iter()
        .map(|(name, values)| (name.to_owned(), partition::common_type(values)))
        .collect();
    let with_type = |(name, value): (String, Option<String>)| {
        let of = types.get(&name).cloned().unwrap_or(DataType::Utf8View);
        (name, of, value)
    };
    found
        .into_iter()
        .map(|values| values.into_iter().map(with_type).collect())
        .collect()
}

fn open_file(
    storage: &Storage,
    entry: &Entry,
    format: FileFormat,
    constants: Vec<(String, DataType, Option<String>)>,
    options: &OpenOptions,
) -> DataFile {
    let name = if entry.path.is_empty() {
        let place = storage.place();
        place.rsplit('/').next().unwrap_or(&place).to_owned()
    } else {
        entry.path.clone()
    };
    let opened = storage.open(entry).map_err(|error| error.to_string());
    let content = opened.and_then(|blob| match format {
        FileFormat::Parquet => ParquetFile::open(blob).map(Content::Parquet),
        FileFormat::Csv | FileFormat::Json => TextFile::open(blob, format, &name, options).map(Content::Text),
    });
    DataFile::of(name, entry.size, content, constants)
}
