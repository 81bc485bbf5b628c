//! Arrow's arrays become values in the one form of [`value`](super::value).

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringViewArray};
use arrow_buffer::NullBuffer;
use arrow_cast::cast;
use arrow_schema::{DataType, FieldRef, TimeUnit};

use super::value::{
    self, Kind, tag, write_bytes, write_count, write_decimal_text, write_exact, write_float, write_long, write_moment,
};
use crate::column::{Class, Column, Values, nanos_of};

/// How the values of a column are written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Form {
    /// Floating-point numbers stand outside, since they have a tolerance.
    pub outside: bool,
    /// Other numbers, too.
    pub exact_outside: bool,
    /// Empty texts are nulls, since the other side cannot say which it has.
    pub empty_is_null: bool,
}

/// Some rows of a column.
#[derive(Debug)]
pub(super) enum Cells {
    Null,
    Flat {
        column: Column,
        form: Form,
    },
    /// Numbers as texts: of CSV and JSON where the other side has decimals, and decimals of more than 128 bits.
    Digits {
        texts: StringViewArray,
        form: Form,
    },
    List {
        nulls: Option<NullBuffer>,
        stretches: Vec<(usize, usize)>,
        items: Box<Cells>,
    },
    /// Fields in the order of their names.
    Struct {
        nulls: Option<NullBuffer>,
        fields: Vec<Cells>,
    },
    Map {
        nulls: Option<NullBuffer>,
        stretches: Vec<(usize, usize)>,
        keys: Box<Cells>,
        values: Box<Cells>,
    },
}

impl Cells {
    /// Takes an array that is meant to be of a type.
    ///
    /// # Errors
    /// When it cannot become that, in words.
    pub(super) fn of(array: &ArrayRef, meant: &DataType, form: Form) -> Result<Self, String> {
        if let DataType::Dictionary(_, of) = array.data_type()
            && of.is_nested()
        {
            let plain = cast(array, of).map_err(|error| error.to_string())?;
            return Self::of(&plain, meant, form);
        }
        if matches!(array.data_type(), DataType::Null) {
            return Ok(Self::Null);
        }
        let unlike = || format!("it is {}, and not {}", array.data_type(), meant);
        match meant {
            DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) => {
                let (stretches, items) = stretches(array).ok_or_else(unlike)?;
                let items = Box::new(Self::of(&items, of.data_type(), form)?);
                let nulls = array.logical_nulls();
                Ok(Self::List {
                    nulls,
                    stretches,
                    items,
                })
            }
            DataType::Struct(fields) => {
                let own = array.as_struct_opt().ok_or_else(unlike)?;
                let fields = sorted(fields)
                    .into_iter()
                    .map(|field| match own.column_by_name(field.name()) {
                        Some(child) => Self::of(child, field.data_type(), form),
                        None => Ok(Self::Null),
                    });
                Ok(Self::Struct {
                    nulls: array.logical_nulls(),
                    fields: fields.collect::<Result<_, _>>()?,
                })
            }
            DataType::Map(entries, _) => {
                let own = array.as_map_opt().ok_or_else(unlike)?;
                let DataType::Struct(pair) = entries.data_type() else {
                    return Err(unlike());
                };
                let [key, value] = &pair[..] else {
                    return Err(unlike());
                };
                let ends = own.value_offsets();
                Ok(Self::Map {
                    nulls: array.logical_nulls(),
                    stretches: ends
                        .windows(2)
                        .map(|pair| (pair[0] as usize, pair[1] as usize))
                        .collect(),
                    keys: Box::new(Self::of(own.keys(), key.data_type(), form)?),
                    values: Box::new(Self::of(own.values(), value.data_type(), form)?),
                })
            }
            _ if array.data_type().is_nested() => Err(unlike()),
            _ => Self::flat(array, meant, form),
        }
    }

    fn flat(array: &ArrayRef, meant: &DataType, form: Form) -> Result<Self, String> {
        let text = is_text(array.data_type());
        let wide = matches!(array.data_type(), DataType::Decimal256(..));
        if wide || (text && is_decimal(meant)) {
            let texts = cast(array, &DataType::Utf8)
                .and_then(|texts| cast(&texts, &DataType::Utf8View))
                .map_err(|error| error.to_string())?;
            return Ok(Self::Digits {
                texts: texts.as_string_view().clone(),
                form,
            });
        }
        let meant = match meant {
            // A text may have a finer fraction than the other side; cutting it would hide that.
            DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, zone) if text => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            other => other.clone(),
        };
        let column = Column::of(array, &meant, false)?;
        if matches!(column.class, Class::Other) {
            return Err(format!("values of type {meant} are not compared"));
        }
        if !text && column.null_count() > array.logical_null_count() {
            return Err(format!("a value of type {} does not become {meant}", array.data_type()));
        }
        Ok(Self::Flat { column, form })
    }

    /// Writes the value of a row.
    pub(super) fn write(&self, row: usize, outside: &mut Vec<f64>, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(tag::NULL),
            Self::Flat { column, form } => write_flat(column, *form, row, outside, out),
            Self::Digits { texts, form } => {
                if texts.is_null(row) {
                    return out.push(tag::NULL);
                }
                let text = texts.value(row);
                match decimal(text) {
                    Some(number) if form.exact_outside => {
                        write_float(number.parse().unwrap_or(f64::NAN), Some(outside), out);
                    }
                    Some(number) => write_decimal_text(&number, out),
                    None => write_bytes(tag::MALFORMED, text.as_bytes(), out),
                }
            }
            Self::List {
                nulls,
                stretches,
                items,
            } => {
                let Some((start, end)) = present(nulls, stretches, row) else {
                    return out.push(tag::NULL);
                };
                write_count(tag::LIST, end - start, out);
                for item in start..end {
                    items.write(item, outside, out);
                }
            }
            Self::Struct { nulls, fields } => {
                if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                    return out.push(tag::NULL);
                }
                write_count(tag::STRUCT, fields.len(), out);
                for field in fields {
                    field.write(row, outside, out);
                }
            }
            Self::Map {
                nulls,
                stretches,
                keys,
                values,
            } => {
                let Some((start, end)) = present(nulls, stretches, row) else {
                    return out.push(tag::NULL);
                };
                let mut pairs: Vec<(Vec<u8>, Vec<f64>)> = (start..end)
                    .map(|entry| {
                        let (mut bytes, mut floats) = (Vec::new(), Vec::new());
                        keys.write(entry, &mut floats, &mut bytes);
                        values.write(entry, &mut floats, &mut bytes);
                        (bytes, floats)
                    })
                    .collect();
                pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
                write_count(tag::MAP, pairs.len(), out);
                for (bytes, floats) in pairs {
                    out.extend(bytes);
                    outside.extend(floats);
                }
            }
        }
    }

    /// The value of a row as a number, for distributions: of a text and of bytes how long it is, of a list how many it has. None for nulls, structures and what
    /// is not a number.
    pub(super) fn number(&self, row: usize) -> Option<f64> {
        match self {
            Self::Null | Self::Struct { .. } => None,
            Self::Digits { texts, .. } => texts.is_valid(row).then(|| texts.value(row).parse().ok()).flatten(),
            Self::List { nulls, stretches, .. } | Self::Map { nulls, stretches, .. } => {
                present(nulls, stretches, row).map(|(start, end)| (end - start) as f64)
            }
            Self::Flat { column, .. } if !column.is_valid(row) => None,
            Self::Flat { column, .. } => match &column.values {
                Values::None => None,
                Values::Bool(values) => Some(f64::from(u8::from(values.value(row)))),
                Values::Long(values) => Some(values.values()[row] as f64),
                Values::Float(values) => Some(values.values()[row]).filter(|value| value.is_finite()),
                Values::Decimal(values) => {
                    let Class::Decimal(scale) = column.class else {
                        return None;
                    };
                    Some(values.value(row) as f64 / 10_f64.powi(scale.into()))
                }
                Values::Text(values) => Some(values.value(row).chars().count() as f64),
                Values::Bytes(values) => Some(values.value(row).len() as f64),
            },
        }
    }
}

fn write_flat(column: &Column, form: Form, row: usize, outside: &mut Vec<f64>, out: &mut Vec<u8>) {
    if !column.is_valid(row) {
        if column.is_malformed(row) {
            let text = column.show(row);
            write_bytes(tag::MALFORMED, text.as_str().unwrap_or_default().as_bytes(), out);
        } else {
            out.push(tag::NULL);
        }
        return;
    }
    match (&column.values, column.class) {
        (Values::Bool(values), _) => out.push(if values.value(row) { tag::TRUE } else { tag::FALSE }),
        (Values::Long(values), class) => {
            let value = values.values()[row];
            match class {
                Class::Date => write_long(tag::DATE, value, out),
                Class::Time => write_long(tag::TIME, value, out),
                Class::Timestamp(unit, true) => write_moment(tag::INSTANT, value, nanos_of(unit), out),
                Class::Timestamp(unit, false) => write_moment(tag::LOCAL, value, nanos_of(unit), out),
                _ if form.exact_outside => write_float(value as f64, Some(outside), out),
                _ => value::write_int(value, out),
            }
        }
        (Values::Decimal(values), Class::Decimal(scale)) => {
            let unscaled = values.value(row);
            if form.exact_outside {
                write_float(unscaled as f64 / 10_f64.powi(scale.into()), Some(outside), out);
            } else {
                write_exact(unscaled, scale, out);
            }
        }
        (Values::Float(values), _) => {
            let value = values.values()[row];
            write_float(value, form.outside.then_some(outside), out);
        }
        (Values::Text(values), _) => match values.value(row) {
            "" if form.empty_is_null => out.push(tag::NULL),
            text => write_bytes(tag::TEXT, text.as_bytes(), out),
        },
        (Values::Bytes(values), _) => write_bytes(tag::BYTES, values.value(row), out),
        (Values::None | Values::Decimal(_), _) => out.push(tag::NULL),
    }
}

fn present(nulls: &Option<NullBuffer>, stretches: &[(usize, usize)], row: usize) -> Option<(usize, usize)> {
    let valid = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    valid.then(|| stretches.get(row).copied().unwrap_or((0, 0)))
}

/// Where the items of each list are among all items.
fn stretches(array: &ArrayRef) -> Option<(Vec<(usize, usize)>, ArrayRef)> {
    if let Some(list) = array.as_list_opt::<i32>() {
        let ends = list.value_offsets().windows(2);
        let stretches = ends.map(|pair| (pair[0] as usize, pair[1] as usize)).collect();
        return Some((stretches, list.values().clone()));
    }
    if let Some(list) = array.as_list_opt::<i64>() {
        let ends = list.value_offsets().windows(2);
        let stretches = ends.map(|pair| (pair[0] as usize, pair[1] as usize)).collect();
        return Some((stretches, list.values().clone()));
    }
    let list = array.as_fixed_size_list_opt()?;
    let size = usize::try_from(list.value_length()).ok()?;
    let stretches = (0..list.len()).map(|row| (row * size, (row + 1) * size)).collect();
    Some((stretches, list.values().clone()))
}

/// A decimal of plain digits, of a number as people and JSON write it; none when it is not a number.
fn decimal(text: &str) -> Option<String> {
    let text = text.trim();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !plain(whole) || !plain(fraction) || exponent.abs() > 400 {
        return None;
    }
    let all = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let (whole, fraction) = match usize::try_from(point) {
        Ok(point) if point <= all.len() => (all[..point].to_owned(), all[point..].to_owned()),
        Ok(point) => (format!("{all}{}", "0".repeat(point - all.len())), String::new()),
        Err(_) => (
            String::new(),
            format!("{}{all}", "0".repeat(point.unsigned_abs() as usize)),
        ),
    };
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(format!("{sign}{whole}.{fraction}"))
}

pub(super) fn is_text(of: &DataType) -> bool {
    matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

pub(super) fn is_decimal(of: &DataType) -> bool {
    matches!(
        of,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
    )
}

/// Fields in the order of their names.
pub(super) fn sorted(fields: &arrow_schema::Fields) -> Vec<&FieldRef> {
    let mut sorted: Vec<&FieldRef> = fields.iter().collect();
    sorted.sort_by(|one, other| one.name().cmp(other.name()));
    sorted
}

/// What showing values of a type needs.
pub(super) fn kind(of: &DataType) -> Kind {
    match of {
        DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) => {
            Kind::List(Box::new(kind(of.data_type())))
        }
        DataType::Struct(fields) => {
            let named = sorted(fields)
                .into_iter()
                .map(|field| (field.name().clone(), kind(field.data_type())));
            Kind::Struct(named.collect())
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                Kind::Map(Box::new(kind(pair[0].data_type())), Box::new(kind(pair[1].data_type())))
            }
            _ => Kind::Flat,
        },
        DataType::Dictionary(_, of) => kind(of),
        _ => Kind::Flat,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
    use arrow_array::types::Int8Type;
    use arrow_array::{
        Decimal128Array, DictionaryArray, Int32Array, Int64Array, StringArray, StructArray, TimestampMicrosecondArray,
        TimestampMillisecondArray,
    };

    use super::*;

    fn bytes(array: ArrayRef) -> Vec<Vec<u8>> {
        let meant = array.data_type().clone();
        as_type(array, &meant)
    }

    fn as_type(array: ArrayRef, meant: &DataType) -> Vec<Vec<u8>> {
        let cells = Cells::of(&array, meant, Form::default()).unwrap();
        let rows = 0..array.len();
        rows.map(|row| {
            let mut out = Vec::new();
            cells.write(row, &mut Vec::new(), &mut out);
            out
        })
        .collect()
    }

    #[test]
    fn values_do_not_depend_on_how_they_are_kept() {
        let words: DictionaryArray<Int8Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
        assert_eq!(
            bytes(Arc::new(words)),
            bytes(Arc::new(StringArray::from(vec![Some("a"), None, Some("a")])))
        );
        assert_eq!(
            bytes(Arc::new(Int32Array::from(vec![7]))),
            bytes(Arc::new(Int64Array::from(vec![7])))
        );
        let cents = |values: Vec<i128>, scale| -> ArrayRef {
            Arc::new(
                Decimal128Array::from(values)
                    .with_precision_and_scale(20, scale)
                    .unwrap(),
            )
        };
        assert_eq!(bytes(cents(vec![150, 100], 2)), bytes(cents(vec![15, 10], 1)));
        let milli: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1_500]).with_timezone("+00:00"));
        let micro: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("Europe/Berlin"));
        assert_eq!(bytes(milli), bytes(micro));
    }

    #[test]
    fn structures_go_by_name_and_maps_by_key() {
        let field = |name: &str| Arc::new(arrow_schema::Field::new(name, DataType::Int32, true));
        let number = |value: i32| -> ArrayRef { Arc::new(Int32Array::from(vec![value])) };
        let one = StructArray::from(vec![(field("a"), number(1)), (field("b"), number(2))]);
        let other = StructArray::from(vec![(field("b"), number(2)), (field("a"), number(1))]);
        assert_eq!(bytes(Arc::new(one)), bytes(Arc::new(other)));
        let map = |pairs: &[(&str, i32)]| -> ArrayRef {
            let mut builder = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
            for (key, value) in pairs {
                builder.keys().append_value(key);
                builder.values().append_value(*value);
            }
            builder.append(true).unwrap();
            Arc::new(builder.finish())
        };
        assert_eq!(bytes(map(&[("x", 1), ("y", 2)])), bytes(map(&[("y", 2), ("x", 1)])));
        assert_ne!(bytes(map(&[("x", 1), ("y", 2)])), bytes(map(&[("x", 2), ("y", 1)])));
    }

    #[test]
    fn lists_that_are_null_empty_or_of_null_differ_also_in_a_slice() {
        let mut builder = ListBuilder::new(Int32Builder::new());
        builder.append_value([Some(9)]);
        builder.append_null();
        builder.append(true);
        builder.append_value([None]);
        builder.append_value([Some(1), Some(2)]);
        let list: ArrayRef = Arc::new(builder.finish());
        let all = bytes(list.clone());
        let mut distinct = all.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 5);
        assert_eq!(bytes(list.slice(2, 3)), all[2..]);
    }

    #[test]
    fn texts_become_numbers_without_being_rounded() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["1.50", "1.505", "15e-1", "x", "1e3"]));
        let found = as_type(texts, &DataType::Decimal128(10, 2));
        let cents: ArrayRef = Arc::new(
            Decimal128Array::from(vec![150, 100_000])
                .with_precision_and_scale(10, 2)
                .unwrap(),
        );
        let cents = bytes(cents);
        assert_eq!((&found[0], &found[2], &found[4]), (&cents[0], &cents[0], &cents[1]));
        assert_ne!(found[1], cents[0]);
        assert_eq!(found[3][0], tag::MALFORMED);
    }

    #[test]
    fn decimals_of_any_writing_are_read() {
        let table = [
            ("1", Some("1.")),
            ("-0012.50", Some("-12.50")),
            ("1.5e2", Some("150.")),
            ("15E-3", Some("0.015")),
            ("+.5", Some("0.5")),
            ("", None),
            (".", None),
            ("1.2.3", None),
            ("1e", None),
            ("NaN", None),
        ];
        for (text, expected) in table {
            assert_eq!(decimal(text).as_deref(), expected, "{text}");
        }
    }
}
