//! Quantities in the canonical form the API server stores: no fraction, the largest suffix that loses nothing.

use serde_json::Value;

use super::schema::{Kind, Path, Schema};

/// A quantity as billionths and the family of its suffix.
struct Parsed {
    nanos: i128,
    family: Family,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Binary,
    Decimal,
    Exponent,
}

const BINARY: [(&str, u32); 7] = [
    ("Ei", 60),
    ("Pi", 50),
    ("Ti", 40),
    ("Gi", 30),
    ("Mi", 20),
    ("Ki", 10),
    ("", 0),
];
const DECIMAL: [(&str, i32); 10] = [
    ("E", 18),
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("", 0),
    ("m", -3),
    ("u", -6),
    ("n", -9),
];

fn read(text: &str) -> Option<Parsed> {
    let digits = text.len()
        - text
            .trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))
            .len();
    let (number, suffix) = text.split_at(digits);
    let (negative, number) = match number.as_bytes().first()? {
        b'-' => (true, &number[1..]),
        b'+' => (false, &number[1..]),
        _ => (false, number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0
        || fraction.len() > 9
        || !(whole.to_owned() + fraction).bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole.checked_mul(1_000_000_000)?;
    if !fraction.is_empty() {
        nanos = nanos.checked_add(format!("{fraction:0<9}").parse().ok()?)?;
    }
    let (family, nanos) = if let Some((_, power)) = BINARY.iter().find(|(name, _)| !name.is_empty() && *name == suffix)
    {
        (Family::Binary, nanos.checked_mul(1_i128 << power)?)
    } else if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        (Family::Decimal, scale(nanos, *power)?)
    } else {
        let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
        (Family::Exponent, scale(nanos, power)?)
    };
    Some(Parsed {
        nanos: if negative { -nanos } else { nanos },
        family,
    })
}

fn scale(nanos: i128, power: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(power.unsigned_abs())?;
    // What is smaller than a billionth is rounded up.
    if power >= 0 {
        nanos.checked_mul(factor)
    } else {
        Some((nanos + factor - 1) / factor)
    }
}

/// Billionths of a unit; `None` if the text is not a quantity.
pub fn parse(text: &str) -> Option<i128> {
    read(text).map(|parsed| parsed.nanos)
}

/// The canonical form; `None` if the text is not a quantity.
pub fn canonical(text: &str) -> Option<String> {
    let Parsed { nanos, family } = read(text)?;
    if nanos == 0 {
        return Some("0".into());
    }
    const UNIT: i128 = 1_000_000_000;
    if family == Family::Binary && nanos % UNIT == 0 && (nanos / UNIT).abs() >= 1024 {
        let value = nanos / UNIT;
        let fits = BINARY.iter().find(|(_, power)| value % (1_i128 << power) == 0);
        return fits.map(|(name, power)| format!("{}{name}", value / (1_i128 << power)));
    }
    for (name, power) in DECIMAL {
        let size = if power >= 0 {
            UNIT.checked_mul(10_i128.pow(power.unsigned_abs()))?
        } else {
            UNIT / 10_i128.pow(power.unsigned_abs())
        };
        if nanos % size == 0 {
            let name = if family == Family::Exponent && power != 0 {
                format!("e{power}")
            } else {
                name.to_owned()
            };
            return Some(format!("{}{name}", nanos / size));
        }
    }
    None
}

/// The canonical form, in thousandths or more.
fn rounded(text: &str) -> Option<String> {
    const THOUSANDTH: i128 = 1_000_000;
    let nanos = read(text)?.nanos;
    if nanos % THOUSANDTH == 0 {
        return canonical(text);
    }
    // Away from zero, whichever side it is on.
    let count = nanos / THOUSANDTH + nanos.signum();
    canonical(&format!("{count}m"))
}

/// Writes every quantity of an object canonically; returns the path of the first that is none.
pub fn canonicalise(schema: &Schema, value: &mut Value, path: &Path<'_>) -> Result<(), String> {
    match (&schema.resolve().kind, value) {
        (Kind::Quantity, value) => {
            let text = match &*value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            *value = canonical(&text).ok_or_else(|| path.to_string())?.into();
            Ok(())
        }
        // Of resources nothing less than a thousandth is kept: what is over is a whole one.
        (Kind::Object(object), Value::Object(fields)) if matches!(&object.additional, Some(known) if matches!(known.resolve().kind, Kind::Quantity)) =>
        {
            for (name, field) in fields.iter_mut() {
                let text = field.as_str().map_or_else(|| field.to_string(), str::to_owned);
                let rounded = rounded(&text).ok_or_else(|| Path::Field(path, name).to_string())?;
                *field = rounded.into();
            }
            Ok(())
        }
        (Kind::Object(object), Value::Object(fields)) => {
            for (name, field) in fields.iter_mut() {
                if let Some(known) = object.properties.get(name).or(object.additional.as_ref()) {
                    canonicalise(known, field, &Path::Field(path, name))?;
                }
            }
            Ok(())
        }
        (Kind::Array { items, .. }, Value::Array(list)) => list
            .iter_mut()
            .enumerate()
            .try_for_each(|(index, item)| canonicalise(items, item, &Path::Item(path, index))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn quantities_are_stored_as_the_api_server_stores_them() {
        for (text, expected) in [
            ("1000m", "1"),
            ("1", "1"),
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1408Mi", "1408Mi"),
            ("1.5Gi", "1536Mi"),
            ("896Mi", "896Mi"),
            ("1000Ki", "1000Ki"),
            ("2000", "2k"),
            ("0", "0"),
            ("100m", "100m"),
            ("1e3", "1e3"),
            ("123456789", "123456789"),
            ("-1", "-1"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for wrong in ["", "x", "1x", "1 Gi", "--1", "1..2", "Gi"] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
    }
}
