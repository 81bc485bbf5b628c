//! Quantities in the canonical form the API server stores: no fraction, the largest suffix that loses nothing.

use serde_json::Value;
use stoke_model::units::quantity::Quantity;

use super::schema::{Kind, Path, Schema};

/// Billionths of a unit; `None` if the text is not a quantity.
pub fn parse(text: &str) -> Option<i128> {
    text.parse().ok().map(|quantity: Quantity| quantity.nanos())
}

/// The canonical form; `None` if the text is not a quantity.
pub fn canonical(text: &str) -> Option<String> {
    text.parse().ok().map(|quantity: Quantity| quantity.to_string())
}

/// The canonical form, in thousandths or more.
fn rounded(text: &str) -> Option<String> {
    const THOUSANDTH: i128 = 1_000_000;
    let nanos = parse(text)?;
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
