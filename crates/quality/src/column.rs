//! Columns as checks see them: a handful of classes instead of Arrow's many types.
//!
//! Whole numbers of any width, dates, times and timestamps are all 64-bit numbers with a meaning; decimals are 128-bit numbers with a scale. A text that
//! should be of another type (of CSV, JSON or a path) is converted, and rows whose text is none are [`Column::malformed`]: neither null nor a value.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float64Type, Int64Type, Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringViewArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};
use arrow_select::filter::filter;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::contract::moment;

/// The most characters of a text that are shown.
const SHOWN: usize = 120;

/// What values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Only nulls.
    Null,
    /// Truth values.
    Bool,
    /// Whole numbers of at most 64 bits, signed.
    Int,
    /// Decimals with so many digits after the point; also unsigned numbers of 64 bits.
    Decimal(i8),
    /// Floating-point numbers.
    Float,
    Text,
    Bytes,
    /// Days since 1970.
    Date,
    /// Nanoseconds since midnight.
    Time,
    /// Such units since 1970; in UTC when it has a zone.
    Timestamp(TimeUnit, bool),
    /// Lists, structures and maps, of which only nulls are looked at.
    Nested,
    /// A type that is not looked into.
    Other,
}

impl Class {
    /// The class of a type.
    pub fn of(of: &DataType) -> Self {
        match of {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool,
            DataType::UInt64 => Self::Decimal(0),
            of if of.is_integer() => Self::Int,
            of if of.is_floating() => Self::Float,
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => {
                Self::Decimal(*scale)
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytes
            }
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(unit, zone) => Self::Timestamp(*unit, zone.is_some()),
            DataType::Dictionary(_, value) => Self::of(value),
            of if of.is_nested() => Self::Nested,
            _ => Self::Other,
        }
    }

    /// For people, with an article.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "always null",
            Self::Bool => "a boolean",
            Self::Int => "a whole number",
            Self::Decimal(_) => "a decimal",
            Self::Float => "a floating-point number",
            Self::Text => "a text",
            Self::Bytes => "binary",
            Self::Date => "a date",
            Self::Time => "a time",
            Self::Timestamp(_, true) => "a timestamp with a zone",
            Self::Timestamp(_, false) => "a timestamp without a zone",
            Self::Nested => "nested",
            Self::Other => "of a type that is not looked into",
        }
    }
}

/// Values by class.
#[derive(Clone, Debug)]
pub enum Values {
    /// None are looked at.
    None,
    /// Truth values.
    Bool(BooleanArray),
    /// Whole numbers, dates, times, timestamps.
    Long(Int64Array),
    Decimal(Decimal128Array),
    /// Floating-point numbers.
    Float(Float64Array),
    Text(StringViewArray),
    Bytes(BinaryViewArray),
}

/// Some rows of a column.
#[derive(Clone, Debug)]
pub struct Column {
    /// What its values are.
    pub class: Class,
    /// The values. Where a row is null or malformed they mean nothing.
    pub values: Values,
    /// Rows without a value: null or malformed.
    pub nulls: Option<NullBuffer>,
    /// Rows whose text is not of the type, when there are any.
    pub malformed: Option<BooleanBuffer>,
    /// The texts that were converted, when some are malformed.
    source: Option<ArrayRef>,
    rows: usize,
}

impl Column {
    /// Takes rows of a column that is meant to be of a type. With `nan_is_null`, floating-point `NaN`s are nulls.
    ///
    /// # Errors
    /// When the values cannot be converted, in words.
    pub fn of(array: &ArrayRef, meant: &DataType, nan_is_null: bool) -> Result<Self, String> {
        let class = Class::of(meant);
        let rows = array.len();
        let mut column = Self {
            class,
            values: Values::None,
            nulls: array.logical_nulls(),
            malformed: None,
            source: None,
            rows,
        };
        let is_text = matches!(
            array.data_type(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        );
        let converted = is_text && class != Class::Text;
        let target = match class {
            Class::Null | Class::Nested | Class::Other => return Ok(column),
            Class::Bool => DataType::Boolean,
            Class::Int => DataType::Int64,
            Class::Decimal(scale) => DataType::Decimal128(38, scale),
            Class::Float => DataType::Float64,
            Class::Text => DataType::Utf8View,
            Class::Bytes => DataType::BinaryView,
            Class::Date => DataType::Date32,
            Class::Time => DataType::Time64(TimeUnit::Nanosecond),
            Class::Timestamp(unit, zoned) => DataType::Timestamp(unit, zoned.then(|| "UTC".into())),
        };
        // A text is read as the very type, so that what does not fit its width is malformed.
        let read = if converted { cast(array, meant)? } else { array.clone() };
        let source = array;
        let array = cast(&read, &target)?;
        if converted {
            let nulls = array.logical_nulls();
            let bad = |row: usize| column.is_valid(row) && nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            let malformed = BooleanBuffer::collect_bool(rows, bad);
            column.malformed = (malformed.count_set_bits() > 0).then_some(malformed);
            column.nulls = nulls;
        }
        column.values = match class {
            Class::Bool => Values::Bool(array.as_boolean().clone()),
            Class::Int => Values::Long(array.as_primitive::<Int64Type>().clone()),
            Class::Date => Values::Long(
                cast(&array, &DataType::Int32)
                    .and_then(|days| cast(&days, &DataType::Int64))?
                    .as_primitive::<Int64Type>()
                    .clone(),
            ),
            Class::Time => Values::Long(
                array
                    .as_primitive::<Time64NanosecondType>()
                    .reinterpret_cast::<Int64Type>(),
            ),
            Class::Timestamp(unit, _) => Values::Long(match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().reinterpret_cast(),
                TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().reinterpret_cast(),
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().reinterpret_cast(),
                TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().reinterpret_cast(),
            }),
            Class::Decimal(_) => Values::Decimal(array.as_primitive::<Decimal128Type>().clone()),
            Class::Float => Values::Float(array.as_primitive::<Float64Type>().clone()),
            Class::Text => Values::Text(array.as_string_view().clone()),
            Class::Bytes => Values::Bytes(array.as_binary_view().clone()),
            Class::Null | Class::Nested | Class::Other => Values::None,
        };
        if column.malformed.is_some() {
            column.source = Some(cast(source, &DataType::Utf8View)?);
        }
        if nan_is_null && let Values::Float(values) = &column.values {
            let number = BooleanBuffer::collect_bool(rows, |row| !values.values()[row].is_nan());
            if number.count_set_bits() < rows {
                column.nulls = NullBuffer::union(column.nulls.as_ref(), Some(&NullBuffer::new(number)));
            }
        }
        Ok(column)
    }

    /// The class of texts that are read as dates and times.
    pub const MOMENT: Class = Class::Timestamp(TimeUnit::Microsecond, false);

    /// Texts as dates and times, as [`moment`] reads them.
    ///
    /// # Errors
    /// When one is not read, in words.
    pub fn dated(&self) -> Result<Self, String> {
        let Values::Text(texts) = &self.values else {
            return Err(format!("the column is {}", self.class.name()));
        };
        let micros = (0..self.rows).map(|row| {
            if !self.is_valid(row) {
                return Ok(0);
            }
            let text = texts.value(row);
            let at = moment(text).and_then(|at| at.to_zoned(TimeZone::UTC).ok());
            at.map(|at| at.timestamp().as_microsecond())
                .ok_or_else(|| format!("{:?} is not read as a date here", shortened(text)))
        });
        Ok(Self {
            class: Self::MOMENT,
            values: Values::Long(micros.collect::<Result<Vec<i64>, String>>()?.into()),
            ..self.clone()
        })
    }

    /// The rows that are set in a mask.
    ///
    /// # Errors
    /// When the mask is of another length.
    pub fn filter(&self, mask: &BooleanBuffer) -> Result<Self, String> {
        let mask = BooleanArray::new(mask.clone(), None);
        let kept = |array: &dyn Array| filter(array, &mask).map_err(|error| error.to_string());
        let bits = |bits: &BooleanBuffer| {
            let kept = kept(&BooleanArray::new(bits.clone(), None))?;
            Ok::<_, String>(kept.as_boolean().values().clone())
        };
        Ok(Self {
            class: self.class,
            values: match &self.values {
                Values::None => Values::None,
                Values::Bool(values) => Values::Bool(kept(values)?.as_boolean().clone()),
                Values::Long(values) => Values::Long(kept(values)?.as_primitive().clone()),
                Values::Decimal(values) => Values::Decimal(kept(values)?.as_primitive().clone()),
                Values::Float(values) => Values::Float(kept(values)?.as_primitive().clone()),
                Values::Text(values) => Values::Text(kept(values)?.as_string_view().clone()),
                Values::Bytes(values) => Values::Bytes(kept(values)?.as_binary_view().clone()),
            },
            nulls: match &self.nulls {
                None => None,
                Some(nulls) => Some(NullBuffer::new(bits(nulls.inner())?)),
            },
            malformed: self.malformed.as_ref().map(bits).transpose()?,
            source: self.source.as_ref().map(|source| kept(source.as_ref())).transpose()?,
            rows: mask.true_count(),
        })
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether a row has a value.
    pub fn is_valid(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }

    /// Whether a row is malformed.
    pub fn is_malformed(&self, row: usize) -> bool {
        self.malformed.as_ref().is_some_and(|malformed| malformed.value(row))
    }

    /// Whether a row is null; a malformed one is not.
    pub fn is_null(&self, row: usize) -> bool {
        !self.is_valid(row) && !self.is_malformed(row)
    }

    /// How many rows are null.
    pub fn null_count(&self) -> usize {
        let without = self.nulls.as_ref().map_or(0, NullBuffer::null_count);
        without - self.malformed_count()
    }

    /// How many rows are malformed.
    pub fn malformed_count(&self) -> usize {
        self.malformed.as_ref().map_or(0, BooleanBuffer::count_set_bits)
    }

    /// A row's value for people.
    pub fn show(&self, row: usize) -> Value {
        if self.is_malformed(row) {
            let source = self.source.as_ref().and_then(|source| source.as_string_view_opt());
            return source.map_or(Value::Null, |source| shortened(source.value(row)).into());
        }
        if !self.is_valid(row) {
            return Value::Null;
        }
        match &self.values {
            Values::None => Value::String("(nested)".into()),
            Values::Bool(values) => values.value(row).into(),
            Values::Float(values) => show_float(values.value(row)),
            Values::Long(values) => show_long(self.class, values.value(row)),
            Values::Decimal(values) => match self.class {
                Class::Decimal(scale) => show_decimal(values.value(row), scale).into(),
                _ => Value::Null,
            },
            Values::Text(values) => shortened(values.value(row)).into(),
            Values::Bytes(values) => {
                let hex = values
                    .value(row)
                    .iter()
                    .take(SHOWN / 2)
                    .map(|byte| format!("{byte:02x}"));
                format!("0x{}", hex.collect::<String>()).into()
            }
        }
    }
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    cast_with_options(array, to, &options).map_err(|error| error.to_string())
}

/// A whole number, date, time or timestamp for people.
pub fn show_long(class: Class, value: i64) -> Value {
    let shown = match class {
        Class::Date => i32::try_from(value).ok().and_then(|days| {
            let day = jiff::Span::new().try_days(days).ok()?;
            Some(jiff::civil::date(1970, 1, 1).checked_add(day).ok()?.to_string())
        }),
        Class::Time => {
            let since = jiff::Span::new().try_nanoseconds(value).ok();
            since
                .and_then(|since| jiff::civil::Time::midnight().checked_add(since).ok())
                .map(|time| time.to_string())
        }
        Class::Timestamp(unit, zoned) => {
            let nanos = i128::from(value) * i128::from(nanos_of(unit));
            jiff::Timestamp::from_nanosecond(nanos).ok().map(|at| {
                let text = at.to_string();
                if zoned {
                    text
                } else {
                    text.trim_end_matches('Z').to_owned()
                }
            })
        }
        _ => return value.into(),
    };
    // Beyond the years that a calendar is known for.
    shown.map_or_else(|| value.into(), Value::String)
}

/// Nanoseconds of a unit.
pub fn nanos_of(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// A floating-point number for people; JSON has no text for some.
pub fn show_float(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

/// A decimal with its point.
pub fn show_decimal(unscaled: i128, scale: i8) -> String {
    if scale <= 0 {
        return format!("{unscaled}{}", "0".repeat(usize::from(scale.unsigned_abs())));
    }
    let places = usize::from(scale.unsigned_abs());
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let sign = if unscaled < 0 { "-" } else { "" };
    format!("{sign}{whole}.{fraction}")
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int8Type;
    use arrow_array::{
        Date32Array, DictionaryArray, Float32Array, StringArray, TimestampMicrosecondArray, UInt64Array,
    };
    use serde_json::json;

    use super::*;

    fn shown(array: ArrayRef, meant: &DataType) -> Vec<Value> {
        let column = Column::of(&array, meant, false).unwrap();
        (0..column.len()).map(|row| column.show(row)).collect()
    }

    #[test]
    fn values_are_shown_as_people_write_them() {
        let date: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), None, Some(-1)]));
        assert_eq!(
            shown(date, &DataType::Date32),
            [json!("1970-01-01"), json!(null), json!("1969-12-31")]
        );
        let at = TimestampMicrosecondArray::from(vec![1_500_000]);
        let plain: ArrayRef = Arc::new(at.clone());
        assert_eq!(
            shown(plain.clone(), plain.data_type()),
            [json!("1970-01-01T00:00:01.5")]
        );
        let zoned: ArrayRef = Arc::new(at.with_timezone("Europe/Berlin"));
        assert_eq!(
            shown(zoned.clone(), zoned.data_type()),
            [json!("1970-01-01T00:00:01.5Z")]
        );
        let decimal: ArrayRef = Arc::new(
            Decimal128Array::from(vec![-5, 12345])
                .with_precision_and_scale(10, 2)
                .unwrap(),
        );
        assert_eq!(
            shown(decimal.clone(), decimal.data_type()),
            [json!("-0.05"), json!("123.45")]
        );
        let large: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
        assert_eq!(shown(large.clone(), large.data_type()), [json!("18446744073709551615")]);
        let float: ArrayRef = Arc::new(Float32Array::from(vec![0.5, f32::NAN]));
        assert_eq!(shown(float.clone(), float.data_type()), [json!(0.5), json!("NaN")]);
        let words: DictionaryArray<Int8Type> = vec![Some("a"), None, Some("b")].into_iter().collect();
        let words: ArrayRef = Arc::new(words);
        assert_eq!(
            shown(words.clone(), words.data_type()),
            [json!("a"), json!(null), json!("b")]
        );
    }

    #[test]
    fn texts_of_another_type_are_converted_or_malformed() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("1"), Some("x"), None, Some("300")]));
        let column = Column::of(&texts, &DataType::Int8, false).unwrap();
        let states: Vec<(bool, bool, bool)> = (0..4)
            .map(|row| (column.is_valid(row), column.is_null(row), column.is_malformed(row)))
            .collect();
        assert_eq!(
            states,
            [
                (true, false, false),
                (false, false, true),
                (false, true, false),
                (false, false, true)
            ]
        );
        assert_eq!((column.null_count(), column.malformed_count()), (1, 2));
    }

    #[test]
    fn not_a_number_may_be_null() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(f64::NAN), None]));
        assert_eq!(Column::of(&floats, &DataType::Float64, true).unwrap().null_count(), 2);
        assert_eq!(Column::of(&floats, &DataType::Float64, false).unwrap().null_count(), 1);
    }
}
