//! Values in one form, whatever file they come from.
//!
//! A value is a tag and its bytes, so that equal values have equal bytes: whole numbers and decimals by what they are worth, moments by their instant, zeros
//! without a sign, one `NaN`, structures by the names of their fields, maps by their keys. Rows are hashed, kept and compared in this form, and decoded only to
//! be ordered and shown. Floating-point numbers with a tolerance stand outside of the bytes: in these is only that there is one.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::column::{Class, show_decimal, show_float, show_long};

/// What the bytes of a value begin with.
pub(super) mod tag {
    pub const NULL: u8 = 0;
    pub const FALSE: u8 = 1;
    pub const TRUE: u8 = 2;
    /// A whole number of 64 bits.
    pub const INT: u8 = 3;
    /// A scale and an unscaled number of 128 bits.
    pub const DECIMAL: u8 = 4;
    /// A decimal beyond that, as text.
    pub const LARGE: u8 = 5;
    pub const FLOAT: u8 = 6;
    /// A finite number that stands outside.
    pub const OUTSIDE: u8 = 7;
    pub const NAN: u8 = 8;
    pub const INFINITE: u8 = 9;
    pub const MINUS_INFINITE: u8 = 10;
    pub const TEXT: u8 = 11;
    pub const BYTES: u8 = 12;
    /// Days since 1970.
    pub const DATE: u8 = 13;
    /// Nanoseconds since midnight.
    pub const TIME: u8 = 14;
    /// Seconds since 1970 in UTC, and nanoseconds of the second.
    pub const INSTANT: u8 = 15;
    /// The same on a clock without a zone.
    pub const LOCAL: u8 = 16;
    pub const LIST: u8 = 17;
    pub const STRUCT: u8 = 18;
    pub const MAP: u8 = 19;
    /// A text that is not of the column's type.
    pub const MALFORMED: u8 = 20;
}

/// What is in a column, as far as showing it needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Flat,
    List(Box<Kind>),
    /// Fields by name, in the order of names.
    Struct(Vec<(String, Kind)>),
    Map(Box<Kind>, Box<Kind>),
}

/// Writes whole numbers and decimals: `unscaled * 10^-scale`, without zeros at the end of a fraction.
pub(super) fn write_exact(mut unscaled: i128, mut scale: i8, out: &mut Vec<u8>) {
    while scale > 0 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    while scale < 0 {
        match unscaled.checked_mul(10) {
            Some(more) => {
                unscaled = more;
                scale += 1;
            }
            None => return write_bytes(tag::LARGE, show_decimal(unscaled, scale).as_bytes(), out),
        }
    }
    match i64::try_from(unscaled) {
        Ok(whole) if scale == 0 => write_int(whole, out),
        _ => {
            out.push(tag::DECIMAL);
            out.push(scale.cast_unsigned());
            out.extend_from_slice(&unscaled.to_le_bytes());
        }
    }
}

/// Writes a decimal that is given as text, with an optional sign and point.
pub(super) fn write_decimal_text(text: &str, out: &mut Vec<u8>) {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    match (digits.parse::<i128>(), i8::try_from(fraction.len())) {
        (Ok(unscaled), Ok(scale)) => write_exact(unscaled, scale, out),
        _ if fraction.is_empty() => write_bytes(tag::LARGE, whole.as_bytes(), out),
        _ => write_bytes(tag::LARGE, format!("{whole}.{fraction}").as_bytes(), out),
    }
}

pub(super) fn write_int(value: i64, out: &mut Vec<u8>) {
    write_long(tag::INT, value, out);
}

pub(super) fn write_long(tag: u8, value: i64, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Writes a moment, given in units of `nanos` nanoseconds.
pub(super) fn write_moment(tag: u8, value: i64, nanos: i64, out: &mut Vec<u8>) {
    let units = 1_000_000_000 / nanos;
    let of_second = value.rem_euclid(units) * nanos;
    out.push(tag);
    out.extend_from_slice(&value.div_euclid(units).to_le_bytes());
    out.extend_from_slice(&u32::try_from(of_second).unwrap_or(0).to_le_bytes());
}

/// Writes a number; into `outside` where it has a tolerance.
pub(super) fn write_float(value: f64, outside: Option<&mut Vec<f64>>, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.push(tag::NAN);
    } else if value.is_infinite() {
        out.push(if value > 0.0 {
            tag::INFINITE
        } else {
            tag::MINUS_INFINITE
        });
    } else if let Some(outside) = outside {
        out.push(tag::OUTSIDE);
        outside.push(value + 0.0);
    } else {
        out.push(tag::FLOAT);
        // -0 + 0 is 0.
        out.extend_from_slice(&(value + 0.0).to_bits().to_le_bytes());
    }
}

pub(super) fn write_bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    write_count(tag, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Writes the head of a text, of a list, structure or map.
pub(super) fn write_count(tag: u8, count: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

/// The bytes of a value at the front of others, and how many numbers it has outside.
pub(super) fn extent(bytes: &[u8]) -> (usize, usize) {
    let mut outside = 0;
    let mut at = 0;
    // Values still to be passed.
    let mut left = 1_usize;
    while left > 0 && at < bytes.len() {
        left -= 1;
        let of = bytes[at];
        at += 1;
        match of {
            tag::INT | tag::FLOAT | tag::DATE | tag::TIME => at += 8,
            tag::DECIMAL => at += 17,
            tag::INSTANT | tag::LOCAL => at += 12,
            tag::OUTSIDE => outside += 1,
            tag::TEXT | tag::BYTES | tag::LARGE | tag::MALFORMED => at += 4 + count(bytes, at),
            tag::LIST | tag::STRUCT => {
                left += count(bytes, at);
                at += 4;
            }
            tag::MAP => {
                left += 2 * count(bytes, at);
                at += 4;
            }
            _ => {}
        }
    }
    (at, outside)
}

fn count(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(array(bytes, at)) as usize
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let found = bytes.get(at..at + N).and_then(|found| found.try_into().ok());
    found.unwrap_or([0; N])
}

/// A value, decoded.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Datum {
    Null,
    Bool(bool),
    /// Unscaled, and its scale.
    Exact(i128, u8),
    Large(String),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Date(i64),
    Time(i64),
    /// Seconds, nanoseconds, and whether in UTC.
    Moment(i64, u32, bool),
    List(Vec<Datum>),
    Struct(Vec<Datum>),
    Map(Vec<(Datum, Datum)>),
    Malformed(String),
}

/// Takes the value at the front of `bytes`, and what it has outside from `outside`.
pub(super) fn decode(bytes: &mut &[u8], outside: &mut &[f64]) -> Datum {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Some(of) = take(bytes, 1).first() else {
        return Datum::Null;
    };
    match *of {
        tag::FALSE => Datum::Bool(false),
        tag::TRUE => Datum::Bool(true),
        tag::INT => Datum::Exact(long(bytes).into(), 0),
        tag::DECIMAL => {
            let scale = take(bytes, 1).first().copied().unwrap_or(0);
            Datum::Exact(i128::from_le_bytes(array(take(bytes, 16), 0)), scale)
        }
        tag::LARGE => Datum::Large(lossy(counted(bytes))),
        tag::FLOAT => Datum::Float(f64::from_bits(long(bytes).cast_unsigned())),
        tag::OUTSIDE => {
            let (first, rest) = outside.split_first().unwrap_or((&f64::NAN, &[]));
            *outside = rest;
            Datum::Float(*first)
        }
        tag::NAN => Datum::Float(f64::NAN),
        tag::INFINITE => Datum::Float(f64::INFINITY),
        tag::MINUS_INFINITE => Datum::Float(f64::NEG_INFINITY),
        tag::TEXT => Datum::Text(lossy(counted(bytes))),
        tag::BYTES => Datum::Bytes(counted(bytes).to_vec()),
        tag::DATE => Datum::Date(long(bytes)),
        tag::TIME => Datum::Time(long(bytes)),
        tag::INSTANT | tag::LOCAL => {
            let seconds = long(bytes);
            Datum::Moment(
                seconds,
                u32::from_le_bytes(array(take(bytes, 4), 0)),
                *of == tag::INSTANT,
            )
        }
        tag::MALFORMED => Datum::Malformed(lossy(counted(bytes))),
        tag::LIST | tag::STRUCT | tag::MAP => {
            let number = count(take(bytes, 4), 0);
            let mut items = || decode(bytes, outside);
            match *of {
                tag::LIST => Datum::List((0..number).map(|_| items()).collect()),
                tag::STRUCT => Datum::Struct((0..number).map(|_| items()).collect()),
                _ => Datum::Map((0..number).map(|_| (items(), items())).collect()),
            }
        }
        _ => Datum::Null,
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
    *bytes = rest;
    taken
}

fn long(bytes: &mut &[u8]) -> i64 {
    i64::from_le_bytes(array(take(bytes, 8), 0))
}

/// Bytes with their number before them.
fn counted<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let length = count(take(bytes, 4), 0);
    take(bytes, length)
}

impl Datum {
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Exact(..) | Self::Large(_) | Self::Float(_) => 2,
            Self::Date(_) => 3,
            Self::Time(_) => 4,
            Self::Moment(..) => 5,
            Self::Text(_) => 6,
            Self::Bytes(_) => 7,
            Self::List(_) => 8,
            Self::Struct(_) => 9,
            Self::Map(_) => 10,
            Self::Malformed(_) => 11,
        }
    }

    /// As a floating-point number, where it is one.
    fn float(&self) -> f64 {
        match self {
            Self::Exact(unscaled, scale) => *unscaled as f64 / 10_f64.powi(i32::from(*scale)),
            Self::Large(text) => text.parse().unwrap_or(f64::NAN),
            Self::Float(value) => *value,
            _ => f64::NAN,
        }
    }

    /// The order in which differences are listed: nulls first, numbers by what they are worth, texts by their bytes.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let by_rank = self.rank().cmp(&other.rank());
        by_rank.then_with(|| match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            (Self::Exact(one, scale), Self::Exact(other, of)) if scale == of => one.cmp(other),
            (Self::Date(one), Self::Date(other)) | (Self::Time(one), Self::Time(other)) => one.cmp(other),
            (Self::Moment(one, part, zone), Self::Moment(other, of, utc)) => (one, part, zone).cmp(&(other, of, utc)),
            (Self::Text(one), Self::Text(other)) | (Self::Malformed(one), Self::Malformed(other)) => one.cmp(other),
            (Self::Bytes(one), Self::Bytes(other)) => one.cmp(other),
            (Self::List(one), Self::List(other)) | (Self::Struct(one), Self::Struct(other)) => lexical(one, other),
            (Self::Map(one), Self::Map(other)) => {
                let flat = |map: &[(Datum, Datum)]| -> Vec<Datum> {
                    map.iter()
                        .flat_map(|(key, value)| [key.clone(), value.clone()])
                        .collect()
                };
                lexical(&flat(one), &flat(other))
            }
            // What rounds to the same number is ordered by how it is written.
            (one, other) => one
                .float()
                .total_cmp(&other.float())
                .then_with(|| format!("{one:?}").cmp(&format!("{other:?}"))),
        })
    }

    /// For people and in JSON, whole.
    pub(super) fn show(&self, kind: &Kind) -> Value {
        match (self, kind) {
            (Self::Null, _) => Value::Null,
            (Self::Bool(value), _) => (*value).into(),
            (Self::Exact(unscaled, 0), _) => match i64::try_from(*unscaled) {
                Ok(whole) => whole.into(),
                Err(_) => unscaled.to_string().into(),
            },
            (Self::Exact(unscaled, scale), _) => show_decimal(*unscaled, scale.cast_signed()).into(),
            (Self::Large(text) | Self::Text(text), _) => text.as_str().into(),
            (Self::Malformed(text), _) => format!("{text} (not of the column's type)").into(),
            (Self::Float(value), _) => show_float(*value),
            (Self::Bytes(bytes), _) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("0x{hex}").into()
            }
            (Self::Date(days), _) => show_long(Class::Date, *days),
            (Self::Time(nanos), _) => show_long(Class::Time, *nanos),
            (Self::Moment(seconds, nanos, zoned), _) => show_moment(*seconds, *nanos, *zoned),
            (Self::List(items), Kind::List(of)) => items.iter().map(|item| item.show(of)).collect(),
            (Self::Struct(fields), Kind::Struct(of)) => {
                let named = fields.iter().zip(of);
                Value::Object(
                    named
                        .map(|(field, (name, of))| (name.clone(), field.show(of)))
                        .collect::<Map<_, _>>(),
                )
            }
            (Self::Map(pairs), Kind::Map(key, value)) => {
                let pairs = pairs
                    .iter()
                    .map(|(k, v)| Value::Array(vec![k.show(key), v.show(value)]));
                pairs.collect()
            }
            // Both come from one column.
            (Self::List(items) | Self::Struct(items), _) => items.iter().map(|item| item.show(&Kind::Flat)).collect(),
            (Self::Map(_), _) => Value::Null,
        }
    }
}

fn show_moment(seconds: i64, nanos: u32, zoned: bool) -> Value {
    let at = i32::try_from(nanos)
        .ok()
        .and_then(|nanos| jiff::Timestamp::new(seconds, nanos).ok());
    match at {
        Some(at) if zoned => at.to_string().into(),
        Some(at) => at.to_string().trim_end_matches('Z').into(),
        // Beyond the years that a calendar is known for.
        None => format!("{seconds}.{nanos:09} s since 1970").into(),
    }
}

/// One list before the other, by the first item that is otherwise.
pub(super) fn lexical(one: &[Datum], other: &[Datum]) -> Ordering {
    let pairs = one.iter().zip(other);
    let first = pairs.map(|(one, other)| one.order(other)).find(|order| order.is_ne());
    first.unwrap_or_else(|| one.len().cmp(&other.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(unscaled: i128, scale: i8) -> Vec<u8> {
        let mut out = Vec::new();
        write_exact(unscaled, scale, &mut out);
        out
    }

    fn decoded(bytes: &[u8]) -> Datum {
        decode(&mut &bytes[..], &mut &[][..])
    }

    #[test]
    fn numbers_are_what_they_are_worth() {
        assert_eq!(exact(150, 2), exact(15, 1));
        assert_eq!(exact(100, 2), exact(1, 0));
        assert_eq!(exact(1, -2), exact(100, 0));
        assert_eq!(exact(0, 5), exact(0, 0));
        assert_ne!(exact(15, 1), exact(15, 2));
        let text = |text: &str| {
            let mut out = Vec::new();
            write_decimal_text(text, &mut out);
            out
        };
        assert_eq!(text("-1.50"), exact(-15, 1));
        assert_eq!(text("-0.05"), exact(-5, 2));
        assert_eq!(text("7"), exact(7, 0));
        let large = "9".repeat(60);
        assert_eq!(
            decoded(&text(&format!("{large}.500"))),
            Datum::Large(format!("{large}.5"))
        );
    }

    #[test]
    fn moments_are_instants_whatever_their_unit() {
        let at = |value, nanos| {
            let mut out = Vec::new();
            write_moment(tag::INSTANT, value, nanos, &mut out);
            out
        };
        assert_eq!(at(-1, 1_000_000_000), at(-1_000_000, 1_000));
        assert_eq!(at(1_500, 1_000_000), at(1_500_000_000, 1));
        assert_eq!(decoded(&at(-1, 1)), Datum::Moment(-1, 999_999_999, true));
        assert_eq!(
            decoded(&at(i64::MIN, 1_000_000_000))
                .show(&Kind::Flat)
                .as_str()
                .map(|text| text.ends_with("since 1970")),
            Some(true)
        );
    }

    #[test]
    fn zeros_have_no_sign_and_all_that_is_no_number_is_alike() {
        let of = |value: f64| {
            let mut out = Vec::new();
            write_float(value, None, &mut out);
            out
        };
        assert_eq!(of(-0.0), of(0.0));
        assert_eq!(of(f64::NAN), of(-f64::NAN));
        assert_eq!(of(f64::from_bits(0x7ff8_0000_0000_0001)), of(f64::NAN));
        assert_ne!(of(f64::INFINITY), of(f64::NEG_INFINITY));
        assert_ne!(of(0.1), of(f64::from(0.1_f32)));
    }

    #[test]
    fn extents_are_those_of_what_was_written() {
        let mut out = Vec::new();
        let mut outside = Vec::new();
        write_count(tag::STRUCT, 3, &mut out);
        write_bytes(tag::TEXT, b"abc", &mut out);
        write_count(tag::LIST, 2, &mut out);
        write_float(1.0, Some(&mut outside), &mut out);
        write_float(f64::NAN, Some(&mut outside), &mut out);
        write_count(tag::MAP, 1, &mut out);
        write_int(1, &mut out);
        write_moment(tag::LOCAL, 5, 1, &mut out);
        let whole = out.len();
        write_int(9, &mut out);
        assert_eq!(extent(&out), (whole, 1));
        let (mut bytes, mut floats) = (&out[..], &outside[..]);
        let Datum::Struct(fields) = decode(&mut bytes, &mut floats) else {
            panic!("a structure")
        };
        assert_eq!(fields.len(), 3);
        assert_eq!(fields[0], Datum::Text("abc".into()));
        assert_eq!(decoded(bytes), Datum::Exact(9, 0));
        assert!(floats.is_empty());
    }

    #[test]
    fn the_order_is_that_of_values() {
        let sorted = [
            Datum::Null,
            Datum::Bool(false),
            Datum::Exact(-3, 0),
            Datum::Exact(15, 1),
            Datum::Exact(2, 0),
            Datum::Float(2.5),
            Datum::Exact(10, 0),
            Datum::Large("9".repeat(50)),
            Datum::Text("10".into()),
            Datum::Text("2".into()),
        ];
        for pair in sorted.windows(2) {
            assert_eq!(pair[0].order(&pair[1]), Ordering::Less, "{pair:?}");
        }
    }
}
