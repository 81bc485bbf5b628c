//! Names of types as contracts write them, and which columns they are.
//!
//! One table for the names of ODCS's logical types, Spark SQL, ANSI SQL, Arrow, numpy and Python, since contracts and suites mix them.

use arrow_schema::{DataType, TimeUnit};
use stoke_model::manifest::nearest;

use super::TextFormat;

/// A type a contract asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    written: String,
    kind: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Text,
    Bool,
    /// Whole numbers of any width.
    Integer,
    /// Whole numbers of so many bits, signed or not.
    Bits(u8, bool),
    /// Any number.
    Number,
    Float(u8),
    AnyFloat,
    /// Decimals; with the precision and scale when they are given.
    Decimal(Option<(u8, i8)>),
    Date,
    Time,
    /// Timestamps; true with a zone, false without, none either.
    Timestamp(Option<bool>),
    Binary,
    Object,
    Array,
    /// JSON, as databases have a type for it: a text in files, or what is nested.
    Json,
    Null,
}

const NAMES: &[(&str, Wanted)] = &[
    ("string", Wanted::Text),
    ("str", Wanted::Text),
    ("text", Wanted::Text),
    ("varchar", Wanted::Text),
    ("char", Wanted::Text),
    ("nvarchar", Wanted::Text),
    ("utf8", Wanted::Text),
    ("large_utf8", Wanted::Text),
    ("stringtype", Wanted::Text),
    ("boolean", Wanted::Bool),
    ("bool", Wanted::Bool),
    ("bool_", Wanted::Bool),
    ("booleantype", Wanted::Bool),
    ("integer", Wanted::Integer),
    ("tinyint", Wanted::Bits(8, true)),
    ("byte", Wanted::Bits(8, true)),
    ("int8", Wanted::Bits(8, true)),
    ("bytetype", Wanted::Bits(8, true)),
    ("smallint", Wanted::Bits(16, true)),
    ("short", Wanted::Bits(16, true)),
    ("int16", Wanted::Bits(16, true)),
    ("shorttype", Wanted::Bits(16, true)),
    ("int", Wanted::Bits(32, true)),
    ("int32", Wanted::Bits(32, true)),
    ("integertype", Wanted::Bits(32, true)),
    ("bigint", Wanted::Bits(64, true)),
    ("long", Wanted::Bits(64, true)),
    ("int64", Wanted::Bits(64, true)),
    ("longtype", Wanted::Bits(64, true)),
    ("uint8", Wanted::Bits(8, false)),
    ("uint16", Wanted::Bits(16, false)),
    ("uint32", Wanted::Bits(32, false)),
    ("uint64", Wanted::Bits(64, false)),
    ("number", Wanted::Number),
    ("numeric", Wanted::Decimal(None)),
    ("decimal", Wanted::Decimal(None)),
    ("decimaltype", Wanted::Decimal(None)),
    ("float16", Wanted::Float(16)),
    ("real", Wanted::Float(32)),
    ("float32", Wanted::Float(32)),
    ("floattype", Wanted::Float(32)),
    ("float", Wanted::AnyFloat),
    ("double", Wanted::Float(64)),
    ("float64", Wanted::Float(64)),
    ("doubletype", Wanted::Float(64)),
    ("date", Wanted::Date),
    ("date32", Wanted::Date),
    ("datetype", Wanted::Date),
    ("time", Wanted::Time),
    ("timestamp", Wanted::Timestamp(None)),
    ("datetime", Wanted::Timestamp(None)),
    ("datetime64", Wanted::Timestamp(None)),
    ("timestamptype", Wanted::Timestamp(None)),
    ("timestamp_ltz", Wanted::Timestamp(Some(true))),
    ("timestamptz", Wanted::Timestamp(Some(true))),
    ("timestamp_ntz", Wanted::Timestamp(Some(false))),
    ("timestampntztype", Wanted::Timestamp(Some(false))),
    ("binary", Wanted::Binary),
    ("bytes", Wanted::Binary),
    ("blob", Wanted::Binary),
    ("binarytype", Wanted::Binary),
    ("object", Wanted::Object),
    ("struct", Wanted::Object),
    ("array", Wanted::Array),
    ("list", Wanted::Array),
    ("json", Wanted::Json),
    ("jsonb", Wanted::Json),
    ("variant", Wanted::Json),
    ("null", Wanted::Null),
];

impl TypeName {
    /// Reads a name; letters of any case, with arguments such as `decimal(10,2)` or `varchar(20)`.
    ///
    /// # Errors
    /// A suggestion, when there is one.
    pub fn parse(written: &str) -> Result<Self, Option<&'static str>> {
        let lower = written.trim().to_lowercase();
        let (name, arguments) = match lower.split_once('(') {
            Some((name, rest)) => (name.trim(), rest.strip_suffix(')').map(str::trim)),
            None => (lower.as_str(), None),
        };
        let name = name.strip_suffix("[ns]").unwrap_or(name);
        let known = NAMES.iter().find(|(known, _)| *known == name);
        let Some((_, kind)) = known else {
            return Err(nearest(name, NAMES.iter().map(|(name, _)| *name)));
        };
        let kind = match (kind, arguments) {
            (Wanted::Decimal(None), Some(arguments)) => {
                let (precision, scale) = arguments.split_once(',').unwrap_or((arguments, "0"));
                match (precision.trim().parse(), scale.trim().parse()) {
                    (Ok(precision), Ok(scale)) => Wanted::Decimal(Some((precision, scale))),
                    _ => return Err(Some("decimal(10,2)")),
                }
            }
            (kind, _) => *kind,
        };
        Ok(Self {
            written: written.to_owned(),
            kind,
        })
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether a column of this type is of it.
    pub fn takes(&self, of: &DataType) -> bool {
        let of = match of {
            DataType::Dictionary(_, value) => value.as_ref(),
            other => other,
        };
        match self.kind {
            Wanted::Text => matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
            Wanted::Bool => matches!(of, DataType::Boolean),
            Wanted::Integer => of.is_integer() || matches!(scale(of), Some((_, 0))),
            Wanted::Bits(bits, signed) => {
                let found = match of {
                    DataType::Int8 => (8, true),
                    DataType::Int16 => (16, true),
                    DataType::Int32 => (32, true),
                    DataType::Int64 => (64, true),
                    DataType::UInt8 => (8, false),
                    DataType::UInt16 => (16, false),
                    DataType::UInt32 => (32, false),
                    DataType::UInt64 => (64, false),
                    _ => return false,
                };
                found == (bits, signed)
            }
            Wanted::Number => of.is_integer() || of.is_floating() || scale(of).is_some(),
            Wanted::AnyFloat => of.is_floating(),
            Wanted::Float(bits) => matches!(
                (bits, of),
                (16, DataType::Float16) | (32, DataType::Float32) | (64, DataType::Float64)
            ),
            Wanted::Decimal(None) => scale(of).is_some(),
            Wanted::Decimal(wanted) => scale(of) == wanted,
            Wanted::Date => matches!(of, DataType::Date32 | DataType::Date64),
            Wanted::Time => matches!(of, DataType::Time32(_) | DataType::Time64(_)),
            Wanted::Timestamp(zoned) => match of {
                DataType::Timestamp(_, zone) => zoned.is_none_or(|zoned| zoned == zone.is_some()),
                _ => false,
            },
            Wanted::Binary => matches!(
                of,
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
            ),
            Wanted::Object => matches!(of, DataType::Struct(_) | DataType::Map(..)),
            Wanted::Array => matches!(
                of,
                DataType::List(_) | DataType::LargeList(_) | DataType::ListView(_) | DataType::FixedSizeList(..)
            ),
            Wanted::Json => of.is_nested() || matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
            Wanted::Null => matches!(of, DataType::Null),
        }
    }

    /// Whether it is JSON as databases have a type for it.
    pub fn is_json(&self) -> bool {
        self.kind == Wanted::Json
    }

    /// What a text must be to hold a value of a nested type; none for types that are not.
    pub fn documents(&self) -> Option<TextFormat> {
        Some(match self.kind {
            Wanted::Object => TextFormat::JsonObject,
            Wanted::Array => TextFormat::JsonArray,
            Wanted::Json => TextFormat::Json,
            _ => return None,
        })
    }

    /// The type a column of text (CSV) is read as.
    pub fn read_as(&self) -> Option<DataType> {
        Some(match self.kind {
            // What is nested is written as JSON.
            Wanted::Text | Wanted::Object | Wanted::Array | Wanted::Json => DataType::Utf8View,
            Wanted::Bool => DataType::Boolean,
            Wanted::Bits(bits, signed) => match (bits, signed) {
                (8, true) => DataType::Int8,
                (16, true) => DataType::Int16,
                (32, true) => DataType::Int32,
                (8, false) => DataType::UInt8,
                (16, false) => DataType::UInt16,
                (32, false) => DataType::UInt32,
                (64, false) => DataType::UInt64,
                _ => DataType::Int64,
            },
            Wanted::Integer => DataType::Int64,
            Wanted::Number | Wanted::AnyFloat | Wanted::Float(64) => DataType::Float64,
            Wanted::Float(_) => DataType::Float32,
            Wanted::Decimal(arguments) => {
                let (precision, scale) = arguments.unwrap_or((38, 18));
                DataType::Decimal128(precision.clamp(1, 38), scale)
            }
            Wanted::Date => DataType::Date32,
            Wanted::Time => DataType::Time64(TimeUnit::Microsecond),
            Wanted::Timestamp(Some(true)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Wanted::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            Wanted::Binary | Wanted::Null => return None,
        })
    }
}

/// Precision and scale of a decimal.
fn scale(of: &DataType) -> Option<(u8, i8)> {
    match of {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_columns() {
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let table = [
            ("string", DataType::Utf8View, true),
            ("VARCHAR(20)", DataType::Utf8, true),
            ("integer", DataType::Int16, true),
            ("integer", DataType::Decimal128(20, 0), true),
            ("int", DataType::Int64, false),
            ("bigint", DataType::Int64, true),
            ("decimal(10, 2)", DataType::Decimal128(10, 2), true),
            ("decimal(10,2)", DataType::Decimal128(12, 2), false),
            ("decimal", DataType::Decimal64(12, 2), true),
            ("number", DataType::Float32, true),
            ("timestamp", zoned.clone(), true),
            ("timestamp_ntz", zoned, false),
            ("date", DataType::Date32, true),
            ("datetime64[ns]", DataType::Timestamp(TimeUnit::Nanosecond, None), true),
        ];
        for (name, of, expected) in table {
            assert_eq!(TypeName::parse(name).unwrap().takes(&of), expected, "{name} {of}");
        }
    }

    #[test]
    fn unknown_names_are_told_with_the_nearest() {
        assert_eq!(TypeName::parse("bigin").unwrap_err(), Some("bigint"));
        assert_eq!(TypeName::parse("quaternion").unwrap_err(), None);
        assert_eq!(TypeName::parse("decimal(x)").unwrap_err(), Some("decimal(10,2)"));
    }
}
