//! Rows as a Parquet file.

use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::focus::{Column, Kind, Value};

/// Why rows could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the rows cannot be written as Parquet: {0}")]
pub struct ParquetFailed(#[from] ParquetError);

/// Writes rows as one row group.
pub(super) fn write(columns: &[Column], rows: &[Vec<Value>]) -> Result<Vec<u8>, ParquetFailed> {
    let schema = Arc::new(parse_message_type(&message(columns))?);
    let properties = WriterProperties::builder().set_encoding(Encoding::PLAIN).build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for (place, column) in columns.iter().enumerate() {
        let Some(mut out) = group.next_column()? else { break };
        let values = || rows.iter().filter_map(|row| row.get(place));
        let levels: Vec<i16> = values().map(|value| i16::from(*value != Value::Null)).collect();
        let levels = column.nullable.then_some(levels.as_slice());
        match column.kind {
            Kind::Text => {
                let texts = values().filter_map(|value| match value {
                    Value::Text(text) => Some(ByteArray::from(text.as_str())),
                    _ => None,
                });
                out.typed::<ByteArrayType>()
                    .write_batch(&texts.collect::<Vec<_>>(), levels, None)?;
            }
            Kind::Decimal => {
                let decimals = values().filter_map(|value| match value {
                    Value::Decimal(nanos) => Some(FixedLenByteArray::from(nanos.to_be_bytes().to_vec())),
                    _ => None,
                });
                out.typed::<FixedLenByteArrayType>()
                    .write_batch(&decimals.collect::<Vec<_>>(), levels, None)?;
            }
            Kind::Time => {
                let times = values().filter_map(|value| match value {
                    Value::Time(time) => Some(*time),
                    _ => None,
                });
                out.typed::<Int64Type>()
                    .write_batch(&times.collect::<Vec<_>>(), levels, None)?;
            }
        }
        out.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
}

/// The schema in Parquet's own words.
fn message(columns: &[Column]) -> String {
    let fields = columns.iter().map(|column| {
        let repetition = if column.nullable { "OPTIONAL" } else { "REQUIRED" };
        let name = column.name;
        match column.kind {
            Kind::Text => format!("{repetition} BYTE_ARRAY {name} (STRING);"),
            Kind::Decimal => format!("{repetition} FIXED_LEN_BYTE_ARRAY(16) {name} (DECIMAL(38,9));"),
            Kind::Time => format!("{repetition} INT64 {name} (TIMESTAMP(MILLIS,true));"),
        }
    });
    format!("message focus {{ {} }}", fields.collect::<Vec<_>>().join(" "))
}
