//! CSV, JSON lines and JSON documents.
//!
//! Every value is read as its text; its type is the contract's, or else the one all values of the file have. So a value that is not a number is a row that
//! can be shown and set aside, not a file that cannot be read. Where the contract gives each column a type, a CSV file is read once, else twice.

use std::io::{BufReader, Read};
use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use flate2::read::MultiGzDecoder;

use super::blocks::{Block, Blocks};
use super::documents::{self, Documents};
use super::{BATCH_ROWS, Batch, Blob, FileFormat, OpenOptions};

/// How CSV is written.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// Between fields; a tab for files named `.tsv`, else this.
    pub delimiter: u8,
    /// Whether the first line names the columns; else they are `column_1`, `column_2` and so on.
    pub header: bool,
    /// Texts that stand for null. Nothing between two delimiters is read as the empty text, quoted or not.
    pub nulls: Vec<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: b',',
            header: true,
            nulls: vec![String::new()],
        }
    }
}

impl CsvOptions {
    /// With the texts that pandas reads as null.
    pub fn pandas() -> Self {
        let nulls = [
            "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
            "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
        ];
        Self {
            nulls: nulls.into_iter().map(str::to_owned).collect(),
            ..Self::default()
        }
    }
}

/// Values that a batch of CSV may have: its reader has room for all of them, whatever they are.
const BATCH_VALUES: usize = 1 << 20;

/// An open file of text.
#[derive(Debug)]
pub struct TextFile {
    blob: Blob,
    packed: bool,
    /// Whether it is JSON documents, which are read as lines.
    documents: bool,
    csv: Option<Csv>,
    /// As the columns are meant.
    schema: SchemaRef,
    /// As they are read.
    texts: SchemaRef,
    /// As its values look.
    inferred: SchemaRef,
}

/// How a CSV file is read.
#[derive(Debug)]
struct Csv {
    format: arrow_csv::reader::Format,
    /// Texts that are null besides the empty one; none when it is only that.
    nulls: Option<regex::Regex>,
    delimiter: u8,
}

/// Batches of a stretch of text.
type TextBatches<'a> = Box<dyn Iterator<Item = Result<Batch, String>> + Send + 'a>;

impl TextFile {
    pub(super) fn open(blob: Blob, format: FileFormat, name: &str, options: &OpenOptions) -> Result<Self, String> {
        let lower = name.to_ascii_lowercase();
        let packed = lower.ends_with(".gz");
        let csv = match format {
            FileFormat::Csv => Some(csv_format(&options.csv, lower.contains(".tsv"))?),
            _ => None,
        };
        let mut file = Self {
            blob,
            packed,
            documents: false,
            csv,
            schema: Arc::new(Schema::empty()),
            texts: Arc::new(Schema::empty()),
            inferred: Arc::new(Schema::empty()),
        };
        if file.csv.is_none() {
            let text = BufReader::new(file.bytes());
            file.documents = documents::are_documents(text).map_err(|error| error.to_string())?;
        }
        let found = match &file.csv {
            Some(Csv { format: csv, .. }) => {
                let declared = |schema: &Schema| {
                    schema
                        .fields()
                        .iter()
                        .all(|field| options.types.contains_key(field.name()))
                };
                let names = csv
                    .infer_schema(file.bytes(), Some(1))
                    .map_err(|error| error.to_string())?
                    .0;
                if declared(&names) {
                    names
                } else {
                    csv.infer_schema(file.bytes(), None)
                        .map_err(|error| error.to_string())?
                        .0
                }
            }
            None => {
                let lines = BufReader::new(file.bytes());
                arrow_json::reader::infer_json_schema(lines, None)
                    .map_err(|error| error.to_string())?
                    .0
            }
        };
        let mut all: Vec<Field> = found.fields().iter().map(|field| field.as_ref().clone()).collect();
        // What no object of a file has is null in all of them.
        if file.csv.is_none() {
            let absent = options
                .optional
                .iter()
                .filter(|name| found.field_with_name(name).is_err());
            all.extend(absent.map(|name| Field::new(name, DataType::Null, true)));
        }
        let fields = all.iter();
        let meant: Vec<Field> = fields
            .clone()
            .map(|field| {
                let declared = options.types.get(field.name()).and_then(|name| name.read_as());
                let of = match (declared, field.data_type()) {
                    (_, nested) if nested.is_nested() => nested.clone(),
                    (Some(declared), _) => declared,
                    (None, DataType::Null | DataType::Utf8) => DataType::Utf8View,
                    (None, other) => other.clone(),
                };
                Field::new(field.name(), of, true)
            })
            .collect();
        let texts: Vec<Field> = fields
            .map(|field| {
                let nested = field.data_type().is_nested();
                let of = if nested {
                    field.data_type().clone()
                } else {
                    DataType::Utf8
                };
                Field::new(field.name(), of, true)
            })
            .collect();
        file.inferred = Arc::new(found.clone());
        file.schema = Arc::new(Schema::new(meant));
        file.texts = Arc::new(Schema::new(texts));
        Ok(file)
    }

    pub(super) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The columns as they are read: texts, but for what is nested.
    pub fn written_schema(&self) -> SchemaRef {
        self.texts.clone()
    }

    /// The columns with the types that all values of the file look like, `Null` where there are none; of CSV whose types are all declared, texts.
    pub fn inferred(&self) -> SchemaRef {
        self.inferred.clone()
    }

    fn bytes(&self) -> Box<dyn Read + Send> {
        let raw = self.blob.reader(0);
        let text: Box<dyn Read + Send> = if self.packed {
            Box::new(MultiGzDecoder::new(BufReader::new(raw)))
        } else {
            Box::new(raw)
        };
        match self.documents {
            true => Box::new(Documents::new(BufReader::with_capacity(64 << 10, text))),
            false => text,
        }
    }

    /// Whether it is JSON documents and not lines.
    pub fn is_documents(&self) -> bool {
        self.documents
    }

    /// Its blocks, for threads to take.
    pub(super) fn blocks(&self) -> Blocks {
        Blocks::new(self.bytes(), self.csv.as_ref().map(|csv| csv.delimiter))
    }

    /// Batches of some columns. Rows are counted even when none is asked for.
    pub(super) fn read(&self, columns: &[usize]) -> Result<TextBatches<'static>, String> {
        self.parse(self.bytes(), true, columns)
    }

    /// Batches of some columns of a block.
    pub(super) fn read_block<'a>(&self, block: &'a Block, columns: &[usize]) -> Result<TextBatches<'a>, String> {
        self.parse(block.bytes.as_slice(), block.number == 0, columns)
    }

    /// Batches of some columns of a stretch of whole records; the first stretch has the header.
    fn parse<'a>(
        &self,
        bytes: impl Read + Send + 'a,
        first: bool,
        columns: &[usize],
    ) -> Result<TextBatches<'a>, String> {
        match &self.csv {
            Some(csv) => {
                let projection = if columns.is_empty() { vec![0] } else { columns.to_vec() };
                let keep = columns.len();
                let mut builder = arrow_csv::ReaderBuilder::new(self.texts.clone()).with_format(csv.format.clone());
                if !first {
                    builder = builder.with_header(false);
                }
                if let Some(nulls) = &csv.nulls {
                    builder = builder.with_null_regex(nulls.clone());
                }
                let rows = BATCH_VALUES / self.texts.fields().len().max(1);
                let reader = builder
                    .with_batch_size(rows.clamp(1, BATCH_ROWS))
                    .with_projection(projection)
                    .build(bytes)
                    .map_err(|error| error.to_string())?;
                Ok(Box::new(reader.map(move |batch| {
                    let mut batch = Batch::from(batch.map_err(|error| error.to_string())?);
                    batch.columns.truncate(keep);
                    Ok(batch)
                })))
            }
            None => {
                let schema = self.texts.project(columns).map_err(|error| error.to_string())?;
                let reader = arrow_json::ReaderBuilder::new(Arc::new(schema))
                    .with_coerce_primitive(true)
                    .with_batch_size(BATCH_ROWS)
                    .build(BufReader::new(bytes))
                    .map_err(|error| error.to_string())?;
                Ok(Box::new(reader.map(|batch| {
                    batch.map(Batch::from).map_err(|error| error.to_string())
                })))
            }
        }
    }
}

fn csv_format(options: &CsvOptions, tabs: bool) -> Result<Csv, String> {
    let all: Vec<String> = options.nulls.iter().map(|text| regex::escape(text)).collect();
    let nulls = regex::Regex::new(&format!("^(?:{})$", all.join("|"))).map_err(|error| error.to_string())?;
    let delimiter = if tabs { b'\t' } else { options.delimiter };
    let mut format = arrow_csv::reader::Format::default()
        .with_header(options.header)
        .with_delimiter(delimiter);
    // The reader takes the empty text for null by itself, and faster.
    let nulls = (options.nulls != [""]).then_some(nulls);
    if let Some(nulls) = &nulls {
        format = format.with_null_regex(nulls.clone());
    }
    Ok(Csv {
        format,
        nulls,
        delimiter,
    })
}

/// A column of one value.
pub(super) fn constant(value: Option<&str>, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter(std::iter::repeat_n(value, rows)))
}
