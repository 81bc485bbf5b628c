//! Parquet: row groups, their statistics, and batches of some columns.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use super::{BATCH_ROWS, Batch, Blob, Unit};

/// An open Parquet file.
#[derive(Debug)]
pub struct ParquetFile {
    blob: Blob,
    /// As Parquet itself types the columns, with views for texts.
    own: ArrowReaderMetadata,
}

/// What a footer says of a column of a row group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    /// Nulls.
    pub nulls: Option<u64>,
    /// The least value; of whole numbers, dates, timestamps and decimals of at most 64 bits.
    pub min: Option<i64>,
    /// The greatest value.
    pub max: Option<i64>,
}

impl ParquetFile {
    pub(super) fn open(blob: Blob) -> Result<Self, String> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let plain = ArrowReaderMetadata::load(&blob, options).map_err(|error| error.to_string())?;
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
        Ok(Self { blob, own })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        self.own.schema().clone()
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.own.metadata()
    }

    /// The schema that an Arrow writer noted in the file, or else Parquet's own.
    ///
    /// # Errors
    /// When the note cannot be understood.
    pub fn written_schema(&self) -> Result<SchemaRef, String> {
        let written = ArrowReaderMetadata::try_new(self.own.metadata().clone(), ArrowReaderOptions::new());
        written
            .map(|written| written.schema().clone())
            .map_err(|error| error.to_string())
    }

    /// Rows, by the footer.
    pub fn rows(&self) -> u64 {
        let groups = self.metadata().row_groups().iter();
        groups.map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum()
    }

    pub(super) fn units(&self, file: usize) -> Vec<Unit> {
        let mut first_row = 0;
        let groups = self.metadata().row_groups().iter().enumerate();
        groups
            .map(|(group, of)| {
                let rows = u64::try_from(of.num_rows()).unwrap_or(0);
                let unit = Unit {
                    file,
                    group,
                    first_row,
                    rows: Some(rows),
                };
                first_row += rows;
                unit
            })
            .collect()
    }

    /// What the footer says of a column, given by its position.
    pub fn footer(&self, group: usize, column: usize) -> Footer {
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
    ) -> Result<impl Iterator<Item = Result<Batch, String>> + Send + use<>, String> {
        let parquet = self.metadata().file_metadata().schema_descr();
        let mask = ProjectionMask::roots(parquet, columns.iter().copied());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(self.blob.clone(), self.own.clone())
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(reader.map(|batch| batch.map(Batch::from).map_err(|error| error.to_string())))
    }
}

/// The leaf of a column that is not nested.
fn leaf(parquet: &parquet::schema::types::SchemaDescriptor, column: usize) -> Option<usize> {
    let mut of_root = (0..parquet.num_columns()).filter(|leaf| parquet.get_column_root_idx(*leaf) == column);
    let leaf = of_root.next()?;
    let alone = of_root.next().is_none() && parquet.column(leaf).max_rep_level() == 0;
    (alone && parquet.column(leaf).path().parts().len() == 1).then_some(leaf)
}
