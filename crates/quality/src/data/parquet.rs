//! Parquet: row groups, their statistics, and batches of some columns.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::basic::Type as PhysicalType;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::Length;
use parquet::file::statistics::Statistics;

use crate::column::Class;

use super::mapped::{Deletes, Mapping, Slot, filtered, id_of};
use super::{BATCH_ROWS, Batch, Blob, Unit};

/// An open Parquet file.
#[derive(Debug)]
pub struct ParquetFile {
    blob: Blob,
    /// As Parquet itself types the columns, with views for texts.
    own: ArrowReaderMetadata,
    /// The columns of the table that the file is of.
    mapping: Option<Mapping>,
    /// Rows that the table deleted.
    deletes: Deletes,
}

/// What a footer says of a column of a row group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    pub nulls: Option<u64>,
    /// The least value; of whole numbers, dates, timestamps and decimals of at most 64 bits.
    pub min: Option<i64>,
    /// The greatest value.
    pub max: Option<i64>,
}

impl ParquetFile {
    pub(super) fn open(blob: Blob) -> Result<Self, String> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let plain =
            ArrowReaderMetadata::try_new(Arc::new(footer(&blob)?), options).map_err(|error| error.to_string())?;
        let parquet = plain.metadata().file_metadata().schema_descr();
        let fields: Vec<Arc<Field>> = plain
            .schema()
            .fields()
            .iter()
            .enumerate()
            .map(|(position, field)| {
                let int96 = leaf(parquet, position)
                    .is_some_and(|leaf| parquet.column(leaf).physical_type() == PhysicalType::INT96);
                let of = match field.data_type() {
                    DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
                    DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
                    // In nanoseconds, 64 bits hold the years 1677 to 2262; Spark writes others.
                    DataType::Timestamp(TimeUnit::Nanosecond, zone) if int96 => {
                        DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
                    }
                    other => other.clone(),
                };
                Arc::new(field.as_ref().clone().with_data_type(of))
            })
            .collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, plain.schema().metadata().clone()));
        let options = ArrowReaderOptions::new().with_schema(schema);
        let own = ArrowReaderMetadata::try_new(plain.metadata().clone(), options).map_err(|error| error.to_string())?;
        Ok(Self {
            blob,
            own,
            mapping: None,
            deletes: Deletes::default(),
        })
    }

    /// The file as a part of a table: with its columns, and without what it deleted.
    ///
    /// # Errors
    /// When the columns of the table cannot be found in the file for certain.
    pub(super) fn of_table(mut self, slots: &[Slot], deletes: Deletes) -> Result<Self, String> {
        self.mapping = Some(Mapping::new(slots, self.own.schema())?);
        self.deletes = deletes;
        Ok(self)
    }

    pub(super) fn schema(&self) -> SchemaRef {
        match &self.mapping {
            Some(mapping) => mapping.schema.clone(),
            None => self.own.schema().clone(),
        }
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.own.metadata()
    }

    /// The schema that an Arrow writer noted in the file, or else Parquet's own.
    ///
    /// # Errors
    /// When the note cannot be understood.
    pub fn written_schema(&self) -> Result<SchemaRef, String> {
        if let Some(mapping) = &self.mapping {
            return Ok(mapping.schema.clone());
        }
        let written = ArrowReaderMetadata::try_new(self.own.metadata().clone(), ArrowReaderOptions::new());
        written
            .map(|written| written.schema().clone())
            .map_err(|error| error.to_string())
    }

    /// Whether a column that is not nested is kept as INT96, which Spark writes for instants and which has no zone. Columns of a table have the table's type.
    pub fn is_int96(&self, column: usize) -> bool {
        let parquet = self.metadata().file_metadata().schema_descr();
        let of = |leaf: usize| parquet.column(leaf).physical_type() == PhysicalType::INT96;
        self.mapping.is_none() && leaf(parquet, column).is_some_and(of)
    }

    /// Rows, by the footer.
    pub fn rows(&self) -> u64 {
        let groups = self.metadata().row_groups().iter();
        groups.map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum()
    }

    pub(super) fn units(&self, file: usize) -> Vec<Unit> {
        let mut first_row = 0;
        (0..self.metadata().num_row_groups())
            .map(|group| {
                let of = self.positions(group);
                let rows = of.end - of.start - self.deleted(group);
                let unit = Unit {
                    file,
                    group,
                    first_row,
                    // How many rows have values that are deleted is known after reading.
                    rows: self.deletes.equal.is_empty().then_some(rows),
                };
                first_row += rows;
                unit
            })
            .collect()
    }

    /// Positions in the file of the rows of a group.
    fn positions(&self, group: usize) -> std::ops::Range<u64> {
        let rows = |group: usize| u64::try_from(self.metadata().row_group(group).num_rows()).unwrap_or(0);
        let start = (0..group).map(rows).sum();
        start..start + rows(group)
    }

    /// Rows of a group that are deleted by their position.
    fn deleted(&self, group: usize) -> u64 {
        let of = self.positions(group);
        let deleted = &self.deletes.positions;
        if of.is_empty() || deleted.is_empty() {
            return 0;
        }
        let before = of.start.checked_sub(1).map_or(0, |last| deleted.rank(last));
        deleted.rank(of.end - 1) - before
    }

    /// Compressed bytes of a column of a row group.
    pub(super) fn bytes_of(&self, group: usize, column: usize) -> u64 {
        let at = match &self.mapping {
            Some(mapping) => mapping.position(column),
            None => Some(column),
        };
        let parquet = self.metadata().file_metadata().schema_descr();
        let group = self.metadata().row_group(group);
        let leaves = (0..parquet.num_columns()).filter(|leaf| Some(parquet.get_column_root_idx(*leaf)) == at);
        let bytes = leaves.map(|leaf| u64::try_from(group.column(leaf).compressed_size()).unwrap_or(0));
        bytes.sum()
    }

    /// What the footer says of a column, given by its position.
    pub fn footer(&self, group: usize, column: usize) -> Footer {
        let Some(mapping) = &self.mapping else {
            return self.own_footer(group, column);
        };
        let Some(at) = mapping.position(column) else {
            return Footer::default();
        };
        let own = Class::of(self.own.schema().field(at).data_type());
        if own != Class::of(mapping.schema.field(column).data_type()) {
            return Footer::default();
        }
        let footer = self.own_footer(group, at);
        if self.deleted(group) == 0 && self.deletes.equal.is_empty() {
            return footer;
        }
        // What is left lies between the ends; how much of it is null is not known.
        Footer { nulls: None, ..footer }
    }

    fn own_footer(&self, group: usize, column: usize) -> Footer {
        let parquet = self.metadata().file_metadata().schema_descr();
        let of = self.own.schema().field(column).data_type();
        let statistics =
            leaf(parquet, column).and_then(|leaf| self.metadata().row_group(group).column(leaf).statistics());
        let Some(statistics) = statistics else {
            return Footer::default();
        };
        let nulls = statistics.null_count_opt();
        let (min, max) = match statistics {
            Statistics::Int32(values) => (
                values.min_opt().map(|v| i64::from(*v)),
                values.max_opt().map(|v| i64::from(*v)),
            ),
            Statistics::Int64(values) => (values.min_opt().copied(), values.max_opt().copied()),
            _ => (None, None),
        };
        // Unsigned numbers are ordered otherwise than their bits; the old fields are right for signed ones only.
        let signed = !matches!(
            of,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64
        );
        let usable = signed && min.zip(max).is_some_and(|(min, max)| min <= max);
        Footer {
            nulls,
            min: min.filter(|_| usable),
            max: max.filter(|_| usable),
        }
    }

    /// Batches of some columns of a row group.
    pub(super) fn read(
        &self,
        group: usize,
        columns: &[usize],
    ) -> Result<Box<dyn Iterator<Item = Result<Batch, String>> + Send + '_>, String> {
        let Some(mapping) = &self.mapping else {
            return Ok(Box::new(self.read_own(group, columns)?));
        };
        let by_id = |id: i32| {
            let found = self
                .own
                .schema()
                .fields()
                .iter()
                .position(|field| id_of(field) == Some(id));
            found.ok_or_else(|| format!("a column that rows are deleted by, {id}, is not in the file"))
        };
        let mut own: Vec<usize> = columns.iter().filter_map(|column| mapping.position(*column)).collect();
        for id in self.deletes.equal.iter().flat_map(|equal| &equal.ids) {
            own.push(by_id(*id)?);
        }
        own.sort_unstable();
        own.dedup();
        let batches = self.read_own(group, &own)?;
        let columns = columns.to_vec();
        Ok(Box::new(batches.map(move |batch| {
            let mut batch = batch?;
            for equal in &self.deletes.equal {
                let keep = equal.keep(batch.rows, |id| {
                    let at = own
                        .binary_search(&by_id(id)?)
                        .map_err(|_| "a column was not read".to_owned())?;
                    Ok(batch.columns[at].clone())
                })?;
                batch = filtered(batch, &keep)?;
            }
            let mapped = columns.iter().map(|column| mapping.column(*column, &own, &batch));
            Ok(Batch {
                columns: mapped.collect::<Result<_, String>>()?,
                rows: batch.rows,
            })
        })))
    }

    fn read_own(
        &self,
        group: usize,
        columns: &[usize],
    ) -> Result<impl Iterator<Item = Result<Batch, String>> + Send + use<>, String> {
        let parquet = self.metadata().file_metadata().schema_descr();
        let mask = ProjectionMask::roots(parquet, columns.iter().copied());
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.blob.clone(), self.own.clone())
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS);
        if self.deleted(group) > 0 {
            builder = builder.with_row_selection(self.selection(group));
        }
        let reader = builder.build().map_err(|error| error.to_string())?;
        Ok(reader.map(|batch| batch.map(Batch::from).map_err(|error| error.to_string())))
    }
}

impl ParquetFile {
    /// The rows of a group that are not deleted.
    fn selection(&self, group: usize) -> RowSelection {
        let of = self.positions(group);
        let mut selectors = Vec::new();
        let mut next = of.start;
        let mut push = |rows: u64, skip: bool| {
            if rows > 0 {
                let rows = usize::try_from(rows).unwrap_or(usize::MAX);
                selectors.push(if skip {
                    RowSelector::skip(rows)
                } else {
                    RowSelector::select(rows)
                });
            }
        };
        let mut deleted = self.deletes.positions.iter();
        deleted.advance_to(of.start);
        for position in deleted.take_while(|position| *position < of.end) {
            push(position - next, false);
            push(1, true);
            next = position + 1;
        }
        push(of.end - next, false);
        RowSelection::from(selectors)
    }
}

/// Footers up to this size are read in one request.
const TAIL: u64 = 32 << 10;

/// What the footer says, once the file is as long as the footer says.
fn footer(blob: &Blob) -> Result<ParquetMetaData, String> {
    let size = blob.len();
    let tail = blob.range(
        size - size.min(TAIL),
        usize::try_from(size.min(TAIL)).unwrap_or_default(),
    );
    let tail = tail.map_err(|error| error.to_string())?;
    let Some((before, end)) = tail.split_last_chunk::<FOOTER_SIZE>() else {
        return Err(format!("{size} bytes are too few for a Parquet file"));
    };
    let end = FooterTail::try_new(end).map_err(|error| error.to_string())?;
    if end.is_encrypted_footer() {
        return Err("its footer is encrypted".into());
    }
    let length = end.metadata_length();
    let start = size.checked_sub((length + FOOTER_SIZE) as u64);
    let start = start.ok_or_else(|| format!("the footer has {length} bytes, the file {size}"))?;
    let metadata = match before.len().checked_sub(length) {
        Some(from) => ParquetMetaDataReader::decode_metadata(&before[from..]),
        None => ParquetMetaDataReader::decode_metadata(&blob.range(start, length).map_err(|error| error.to_string())?),
    };
    let metadata = metadata.map_err(|error| error.to_string())?;
    whole(&metadata, start)?;
    Ok(metadata)
}

/// Where bytes were lost, parts of the file end behind the place where its footer begins, though each of them may still be readable.
fn whole(metadata: &ParquetMetaData, footer: u64) -> Result<(), String> {
    for (number, group) in metadata.row_groups().iter().enumerate() {
        for column in group.columns() {
            let pages = column
                .dictionary_page_offset()
                .unwrap_or(i64::MAX)
                .min(column.data_page_offset());
            let parts = [
                Some((pages, Some(column.compressed_size()))),
                column
                    .column_index_offset()
                    .map(|at| (at, column.column_index_length().map(i64::from))),
                column
                    .offset_index_offset()
                    .map(|at| (at, column.offset_index_length().map(i64::from))),
                column
                    .bloom_filter_offset()
                    .map(|at| (at, column.bloom_filter_length().map(i64::from))),
            ];
            for (at, length) in parts.into_iter().flatten() {
                let end = at
                    .checked_add(length.unwrap_or_default())
                    .and_then(|end| u64::try_from(end).ok());
                if end.is_none_or(|end| end > footer) {
                    return Err(format!(
                        "the file is damaged: column {} of row group {number} does not end before the footer at byte {footer}",
                        column.column_path().string()
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The leaf of a column that is not nested.
fn leaf(parquet: &parquet::schema::types::SchemaDescriptor, column: usize) -> Option<usize> {
    let mut of_root = (0..parquet.num_columns()).filter(|leaf| parquet.get_column_root_idx(*leaf) == column);
    let leaf = of_root.next()?;
    let alone = of_root.next().is_none() && parquet.column(leaf).max_rep_level() == 0;
    (alone && parquet.column(leaf).path().parts().len() == 1).then_some(leaf)
}
