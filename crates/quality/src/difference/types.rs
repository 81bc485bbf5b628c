//! Types of columns beside each other: what they are called, whether their values can be equal, and what guessed types are together.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};

use super::cells::{is_decimal, sorted};
use crate::column::Class;

/// Whether two types that JSON shows are the same, where nulls say nothing.
pub(super) fn alike(one: &DataType, other: &DataType) -> bool {
    let numbers = |of: &DataType| matches!(of, DataType::Int64 | DataType::Float64);
    match (one, other) {
        (DataType::Null, _) | (_, DataType::Null) => true,
        (DataType::List(one), DataType::List(other)) => alike(one.data_type(), other.data_type()),
        (DataType::Struct(one), DataType::Struct(other)) => {
            let shared = one
                .iter()
                .filter_map(|field| Some((field, other.find(field.name())?.1)));
            shared
                .into_iter()
                .all(|(one, other)| alike(one.data_type(), other.data_type()))
        }
        (one, other) => type_name(one) == type_name(other) || (numbers(one) && numbers(other)),
    }
}

/// The type that values of two guessed types have together; none for a list and a number, for example.
pub(super) fn unite(one: &DataType, other: &DataType) -> Option<DataType> {
    Some(match (one, other) {
        (DataType::Null, of) | (of, DataType::Null) => of.clone(),
        (one, other) if one == other => one.clone(),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        (DataType::List(one), DataType::List(other)) => {
            let of = unite(one.data_type(), other.data_type())?;
            DataType::List(Arc::new(Field::new(one.name(), of, true)))
        }
        (DataType::Struct(one), DataType::Struct(other)) => {
            let names: BTreeSet<&String> = one.iter().chain(other).map(|field| field.name()).collect();
            let fields = names.into_iter().map(|name| {
                let of = |fields: &Fields| {
                    fields
                        .find(name)
                        .map_or(DataType::Null, |(_, field)| field.data_type().clone())
                };
                Some(Field::new(name, unite(&of(one), &of(other))?, true))
            });
            DataType::Struct(fields.collect::<Option<Vec<Field>>>()?.into())
        }
        (one, other) if one.is_nested() || other.is_nested() => return None,
        _ => DataType::Utf8View,
    })
}

/// Whether values of two types can be equal at all.
pub(super) fn comparable(one: &DataType, other: &DataType) -> bool {
    let (first, second) = (Class::of(one), Class::of(other));
    match (one, other) {
        (DataType::Null, _) | (_, DataType::Null) => true,
        (
            DataType::List(one) | DataType::LargeList(one) | DataType::FixedSizeList(one, _),
            DataType::List(other) | DataType::LargeList(other) | DataType::FixedSizeList(other, _),
        ) => comparable(one.data_type(), other.data_type()),
        (DataType::Struct(one), DataType::Struct(other)) => {
            let pairs = sorted(one).into_iter().zip(sorted(other));
            one.len() == other.len()
                && pairs
                    .into_iter()
                    .all(|(one, other)| one.name() == other.name() && comparable(one.data_type(), other.data_type()))
        }
        (DataType::Map(one, _), DataType::Map(other, _)) => match (one.data_type(), other.data_type()) {
            (DataType::Struct(one), DataType::Struct(other)) => {
                let mut pairs = one.iter().zip(other);
                pairs.all(|(one, other)| comparable(one.data_type(), other.data_type()))
            }
            _ => false,
        },
        _ => {
            let exact = |class: Class, of: &DataType| matches!(class, Class::Int | Class::Decimal(_)) || is_decimal(of);
            let moment = |class: Class| match class {
                Class::Timestamp(_, zoned) => Some(zoned),
                _ => None,
            };
            (exact(first, one) && exact(second, other))
                || (moment(first).is_some() && moment(first) == moment(second))
                || (first == second && first != Class::Nested)
        }
    }
}

pub(super) fn has_floats(of: &DataType) -> bool {
    match of {
        DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) => has_floats(of.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        DataType::Map(entries, _) => has_floats(entries.data_type()),
        of => of.is_floating(),
    }
}

/// A type as Spark SQL writes it, where it has it. Ways to keep the same values have the same name.
pub(super) fn type_name(of: &DataType) -> String {
    let plain = match of {
        DataType::Null => "void",
        DataType::Boolean => "boolean",
        DataType::Int8 => "tinyint",
        DataType::Int16 => "smallint",
        DataType::Int32 => "int",
        DataType::Int64 => "bigint",
        DataType::UInt8 => "unsigned tinyint",
        DataType::UInt16 => "unsigned smallint",
        DataType::UInt32 => "unsigned int",
        DataType::UInt64 => "unsigned bigint",
        DataType::Float16 => "half",
        DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "binary",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, Some(_)) => "timestamp",
        DataType::Timestamp(_, None) => "timestamp_ntz",
        _ => "",
    };
    if !plain.is_empty() {
        return plain.to_owned();
    }
    match of {
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale) => format!("decimal({digits},{scale})"),
        DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) => {
            format!("array<{}>", type_name(of.data_type()))
        }
        DataType::Struct(fields) => {
            let fields: Vec<String> = sorted(fields)
                .into_iter()
                .map(|field| format!("{}:{}", field.name(), type_name(field.data_type())))
                .collect();
            format!("struct<{}>", fields.join(","))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!(
                    "map<{},{}>",
                    type_name(pair[0].data_type()),
                    type_name(pair[1].data_type())
                )
            }
            other => format!("map<{other}>"),
        },
        DataType::Dictionary(_, of) => type_name(of),
        other => other.to_string(),
    }
}

pub(super) fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "seconds",
        TimeUnit::Millisecond => "milliseconds",
        TimeUnit::Microsecond => "microseconds",
        TimeUnit::Nanosecond => "nanoseconds",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_the_same_however_they_are_kept() {
        let list = |of: DataType, name: &str| DataType::List(Arc::new(Field::new(name, of, true)));
        let table = [
            (DataType::Utf8, DataType::Utf8View, true, true),
            (DataType::Decimal64(10, 2), DataType::Decimal128(10, 2), true, true),
            (DataType::Decimal128(10, 2), DataType::Decimal128(12, 2), false, true),
            (DataType::Int32, DataType::Int64, false, true),
            (DataType::Int64, DataType::Decimal128(20, 0), false, true),
            (DataType::Int64, DataType::Float64, false, false),
            (DataType::Float32, DataType::Float64, false, true),
            (DataType::Utf8, DataType::Int64, false, false),
            (
                DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
                DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin".into())),
                true,
                true,
            ),
            (
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                DataType::Timestamp(TimeUnit::Microsecond, None),
                false,
                false,
            ),
            (
                list(DataType::Int32, "item"),
                list(DataType::Int32, "element"),
                true,
                true,
            ),
            (
                list(DataType::Int32, "item"),
                list(DataType::Utf8, "item"),
                false,
                false,
            ),
            (DataType::Null, DataType::Int64, false, true),
        ];
        for (one, other, same, both) in table {
            assert_eq!(type_name(&one) == type_name(&other), same, "{one} {other}");
            assert_eq!(comparable(&one, &other), both, "{one} {other}");
            assert_eq!(comparable(&other, &one), both, "{other} {one}");
        }
    }

    #[test]
    fn guessed_types_are_put_together() {
        assert_eq!(unite(&DataType::Null, &DataType::Int64), Some(DataType::Int64));
        assert_eq!(unite(&DataType::Int64, &DataType::Float64), Some(DataType::Float64));
        assert_eq!(unite(&DataType::Boolean, &DataType::Int64), Some(DataType::Utf8View));
        let of = |name: &str| DataType::Struct(vec![Field::new(name, DataType::Int64, true)].into());
        let DataType::Struct(both) = unite(&of("a"), &of("b")).unwrap() else {
            panic!("a structure")
        };
        assert_eq!(both.len(), 2);
        assert_eq!(unite(&of("a"), &DataType::Int64), None);
    }
}
