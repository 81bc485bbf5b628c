//! Values that stand in paths: `…/day=2026-01-31/country=DE/part-0.parquet`, as Hive and Spark lay out partitions.

use arrow_schema::DataType;

/// Text of a null in a path, as Hive and Spark write it.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Columns and values of the directories of a path below the data.
pub fn of_path(path: &str) -> Vec<(String, Option<String>)> {
    let (directories, _) = path.rsplit_once('/').unwrap_or_default();
    directories
        .split('/')
        .filter_map(|directory| {
            let (name, value) = directory.split_once('=')?;
            let value = decoded(value);
            (!name.is_empty()).then(|| (decoded(name), (value != NULL).then_some(value)))
        })
        .collect()
}

/// `%3A` and the like, which Spark writes for characters that paths do not take.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex
            .filter(|_| *first == b'%')
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// The type all values of a partition column have: whole numbers, dates, else texts. Spark infers the same for those.
pub fn common_type<'a>(values: impl IntoIterator<Item = &'a str>) -> DataType {
    let mut whole = true;
    let mut dates = true;
    let mut any = false;
    for value in values {
        any = true;
        whole &= value.parse::<i64>().is_ok();
        dates &= value.len() == 10 && value.parse::<jiff::civil::Date>().is_ok();
    }
    match (any, whole, dates) {
        (true, true, _) => DataType::Int64,
        (true, false, true) => DataType::Date32,
        _ => DataType::Utf8View,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_hold_values() {
        let found = of_path("day=2026-01-31/at=10%3A00/c=__HIVE_DEFAULT_PARTITION__/plain/part-0.parquet");
        let expected = [
            ("day".to_owned(), Some("2026-01-31".to_owned())),
            ("at".to_owned(), Some("10:00".to_owned())),
            ("c".to_owned(), None),
        ];
        assert_eq!(found, expected);
        assert!(of_path("part-0.parquet").is_empty());
        assert!(of_path("day=1").is_empty());
        assert_eq!(of_path("a=100%/x"), [("a".to_owned(), Some("100%".to_owned()))]);
    }

    #[test]
    fn values_have_a_common_type() {
        assert_eq!(common_type(["1", "-2"]), DataType::Int64);
        assert_eq!(common_type(["2026-01-31", "2026-02-28"]), DataType::Date32);
        assert_eq!(common_type(["2026-01-31", "1"]), DataType::Utf8View);
        assert_eq!(common_type([]), DataType::Utf8View);
    }
}
