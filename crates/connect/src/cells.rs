//! Batches of Arrow as columns and JSON values.
//!
//! Numbers stay numbers; decimals, dates, times and intervals are texts, because JSON has no number for them that keeps all digits; binary is base64.
//! A timestamp is in UTC, one without a zone has none. A map whose keys are texts is an object, another one a list of pairs.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalYearMonthType, TimestampMicrosecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::{Span, Timestamp};
use serde_json::{Map, Number, Value};

use crate::error::ConnectError;

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name; several may have the same.
    pub name: String,
    /// Its type, as Spark's SQL writes it.
    pub kind: String,
}

impl Column {
    /// Its values are numbers that a picture can be drawn of.
    pub fn is_number(&self) -> bool {
        ["tinyint", "smallint", "int", "bigint", "float", "double"].contains(&self.kind.as_str())
            || self.kind.starts_with("decimal")
    }
}

/// A value as text for people: texts without quotes, the rest as JSON; nothing is `NULL`.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The batches of one message: a stream of Arrow with its schema.
#[derive(Debug)]
pub struct Batches {
    pub columns: Vec<Column>,
    batches: Vec<RecordBatch>,
}

impl Batches {
    /// Reads a stream of Arrow.
    pub fn read(data: Bytes) -> Result<Self, ConnectError> {
        let unreadable =
            |why: &dyn std::fmt::Display| ConnectError::NotConnect(format!("the rows cannot be read: {why}"));
        sound(&data).ok_or_else(|| unreadable(&"the batch is damaged"))?;
        let read = catch_unwind(AssertUnwindSafe(|| {
            let mut decoder = StreamDecoder::new();
            let mut buffer = data.into();
            let mut batches = Vec::new();
            while let Some(batch) = decoder.decode(&mut buffer)? {
                batches.push(batch);
            }
            Ok((decoder.schema(), batches))
        }));
        // What the checks of the library and ours let through.
        let read: Result<_, arrow_schema::ArrowError> = read.map_err(|_| unreadable(&"the batch is damaged"))?;
        let (schema, batches) = read.map_err(|error| unreadable(&error))?;
        let schema = schema.ok_or_else(|| unreadable(&"there is no schema"))?;
        let column = |field: &std::sync::Arc<Field>| Column {
            name: field.name().clone(),
            kind: kind_of(field.data_type()),
        };
        Ok(Batches {
            columns: schema.fields().iter().map(column).collect(),
            batches,
        })
    }

    /// The rows, at most `most` of them.
    pub fn rows(&self, most: usize) -> impl Iterator<Item = Vec<Value>> {
        let rows = self
            .batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
        rows.take(most)
            .map(|(batch, row)| batch.columns().iter().map(|column| value_of(column, row)).collect())
    }
}

/// Whether the messages lie within the data and their buffers within them: the library's reader takes both for granted.
fn sound(data: &[u8]) -> Option<()> {
    let mut rest = data;
    while !rest.is_empty() {
        let (mut size, mut after) = rest.split_first_chunk::<4>()?;
        if *size == [0xff; 4] {
            (size, after) = after.split_first_chunk::<4>()?;
        }
        let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
        if size == 0 {
            return after.is_empty().then_some(());
        }
        let (head, after) = after.split_at_checked(size)?;
        let message = arrow_ipc::root_as_message(head).ok()?;
        let (body, after) = after.split_at_checked(usize::try_from(message.bodyLength()).ok()?)?;
        if let Some(batch) = message.header_as_record_batch() {
            let within = |offset: i64, length: i64| {
                let end = usize::try_from(offset)
                    .ok()?
                    .checked_add(usize::try_from(length).ok()?)?;
                (end <= body.len()).then_some(())
            };
            for buffer in batch.buffers()? {
                within(buffer.offset(), buffer.length())?;
            }
            for node in batch.nodes()? {
                (0 <= node.null_count() && node.null_count() <= node.length()).then_some(())?;
            }
        } else {
            message.header_as_schema()?;
        }
        rest = after;
    }
    Some(())
}

/// The type in Spark's words.
fn kind_of(kind: &DataType) -> String {
    let fixed = match kind {
        DataType::Null => "void",
        DataType::Boolean => "boolean",
        DataType::Int8 => "tinyint",
        DataType::Int16 => "smallint",
        DataType::Int32 => "int",
        DataType::Int64 => "bigint",
        DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary",
        DataType::Date32 => "date",
        DataType::Timestamp(_, Some(_)) => "timestamp",
        DataType::Timestamp(_, None) => "timestamp_ntz",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Duration(_) => "interval day to second",
        DataType::Interval(IntervalUnit::YearMonth) => "interval year to month",
        DataType::Interval(_) => "interval",
        DataType::Decimal128(precision, scale) => return format!("decimal({precision},{scale})"),
        DataType::List(item) | DataType::LargeList(item) => return format!("array<{}>", kind_of(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|field| format!("{}:{}", field.name(), kind_of(field.data_type())))
                .collect();
            return format!("struct<{}>", fields.join(","));
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else {
                return "map".to_owned();
            };
            let kinds: Vec<_> = fields.iter().map(|field| kind_of(field.data_type())).collect();
            return format!("map<{}>", kinds.join(","));
        }
        other => return other.to_string(),
    };
    fixed.to_owned()
}

fn value_of(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float32 => {
            // Its own digits, not those of the double beside it.
            let value = array.as_primitive::<Float32Type>().value(row);
            number(value.to_string().parse().unwrap_or(f64::from(value)))
        }
        DataType::Float64 => number(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Binary => STANDARD.encode(array.as_binary::<i32>().value(row)).into(),
        DataType::LargeBinary => STANDARD.encode(array.as_binary::<i64>().value(row)).into(),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row).into(),
        DataType::Date32 => date(array.as_primitive::<Date32Type>().value(row)).into(),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => timestamp(
            array.as_primitive::<TimestampMicrosecondType>().value(row),
            zone.is_some(),
        )
        .into(),
        DataType::Duration(TimeUnit::Microsecond) => {
            day_time(array.as_primitive::<DurationMicrosecondType>().value(row)).into()
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            let months = array.as_primitive::<IntervalYearMonthType>().value(row);
            let sign = if months < 0 { "-" } else { "" };
            let months = months.unsigned_abs();
            format!("INTERVAL '{sign}{}-{}' YEAR TO MONTH", months / 12, months % 12).into()
        }
        DataType::List(_) => list(&*array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&*array.as_list::<i64>().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let mut object = Map::new();
            for (field, column) in fields.iter().zip(columns) {
                object.insert(field.name().clone(), value_of(column, row));
            }
            if object.len() == columns.len() {
                return Value::Object(object);
            }
            // Fields of the same name: all values in their order.
            columns.iter().map(|column| value_of(column, row)).collect()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let [keys, values] = entries.columns() else {
                return Value::Null;
            };
            let pairs = (0..entries.len()).map(|entry| (value_of(keys, entry), value_of(values, entry)));
            if matches!(keys.data_type(), DataType::Utf8 | DataType::LargeUtf8) {
                return Value::Object(pairs.map(|(key, value)| (text_of(&key), value)).collect());
            }
            pairs.map(|(key, value)| Value::Array(vec![key, value])).collect()
        }
        _ => {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(array, &options);
            let text = formatter.and_then(|formatter| formatter.value(row).try_to_string());
            text.unwrap_or_else(|error| error.to_string()).into()
        }
    }
}

fn list(items: &dyn Array) -> Value {
    (0..items.len()).map(|item| value_of(items, item)).collect()
}

fn number(value: f64) -> Value {
    Number::from_f64(value).map_or_else(
        || {
            let name = if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            };
            name.into()
        },
        Value::Number,
    )
}

fn date(days: i32) -> String {
    let date = Span::new()
        .try_days(days)
        .and_then(|days| jiff::civil::date(1970, 1, 1).checked_add(days));
    date.map_or_else(|_| format!("{days} days"), |date| date.to_string())
}

fn timestamp(micros: i64, zoned: bool) -> String {
    let Ok(timestamp) = Timestamp::from_microsecond(micros) else {
        return format!("{micros} us");
    };
    let text = timestamp.to_string();
    if zoned {
        text
    } else {
        text.trim_end_matches('Z').to_owned()
    }
}

/// As Spark writes it: `INTERVAL '1 02:03:04.5' DAY TO SECOND`.
fn day_time(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let mut text = format!(
        "INTERVAL '{sign}{} {:02}:{:02}:{:02}",
        seconds / 86_400,
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60
    );
    if fraction > 0 {
        let _ = write!(text, ".{fraction:06}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text + "' DAY TO SECOND"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_json_has_no_number_for_are_texts() {
        for (days, text) in [
            (0, "1970-01-01"),
            (-719_162, "0001-01-01"),
            (20_782, "2026-11-25"),
            (i32::MAX, "2147483647 days"),
        ] {
            assert_eq!(date(days), text);
        }
        for (micros, zoned, text) in [
            (0, true, "1970-01-01T00:00:00Z"),
            (-1, false, "1969-12-31T23:59:59.999999"),
            (i64::MAX, true, "9223372036854775807 us"),
        ] {
            assert_eq!(timestamp(micros, zoned), text);
        }
        for (micros, text) in [
            (0, "INTERVAL '0 00:00:00' DAY TO SECOND"),
            (93_784_500_000, "INTERVAL '1 02:03:04.5' DAY TO SECOND"),
            (-1, "INTERVAL '-0 00:00:00.000001' DAY TO SECOND"),
            (i64::MIN, "INTERVAL '-106751991 04:00:54.775808' DAY TO SECOND"),
        ] {
            assert_eq!(day_time(micros), text);
        }
        assert_eq!(number(f64::NEG_INFINITY), "-Infinity");
        assert_eq!(text_of(&Value::Null), "NULL");
        assert_eq!(text_of(&serde_json::json!({"a": [1, null]})), r#"{"a":[1,null]}"#);
    }

    #[test]
    fn what_is_no_stream_of_arrow_is_an_error() {
        for bytes in [
            &b""[..],
            &[0; 4],
            &[0xff; 8],
            &[1, 0, 0, 0, 9],
            &[0xff, 0xff, 0xff, 0xff, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        ] {
            assert!(Batches::read(Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }
}
