//! Sets of indexes as statuses and success policies write them: `0,2-4`.

use std::collections::BTreeSet;

/// Reads a set; what lies beyond `completions` or cannot be read is left out.
pub(super) fn parse(text: &str, completions: i64) -> BTreeSet<i64> {
    let mut found = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<i64>(), last.trim().parse::<i64>()) {
            found.extend(first.max(0)..=last.min(completions - 1));
        }
    }
    found
}

/// Writes a set; runs of three or more, and of two, are written as a range.
pub(super) fn format(indexes: &BTreeSet<i64>) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for index in indexes {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => runs.push((*index, *index)),
        }
    }
    let texts: Vec<String> = runs
        .iter()
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}-{last}"),
        })
        .collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_indexes_are_written_as_ranges() {
        for (text, numbers) in [
            ("", vec![]),
            ("0", vec![0]),
            ("0,1", vec![0, 1]),
            ("0-2", vec![0, 1, 2]),
            ("0,2-4,7,8", vec![0, 2, 3, 4, 7, 8]),
        ] {
            let set: BTreeSet<i64> = numbers.into_iter().collect();
            assert_eq!(format(&set), text);
            assert_eq!(parse(text, 100), set);
        }
        assert_eq!(parse("0-1000000000,x,3-", 3), BTreeSet::from([0, 1, 2]));
    }
}
