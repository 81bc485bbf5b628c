//! Metadata files of an Iceberg table without a catalogue: how they are numbered, and which one is current.

/// The file of a table that names its current metadata, where it has one.
pub const HINT: &str = "metadata/version-hint.text";

/// The number of a metadata file, and whether a table without a catalogue names it so: `v3.metadata.json`.
pub fn metadata_number(path: &str) -> Option<(u64, bool)> {
    let name = path.strip_prefix("metadata/")?;
    let stem = name
        .strip_suffix(".metadata.json")
        .or_else(|| name.strip_suffix(".gz.metadata.json"))
        .or_else(|| name.strip_suffix(".metadata.json.gz"))?;
    let without = stem.strip_prefix('v');
    let digits = without.unwrap_or(stem);
    Some((digits.split(['-', '.']).next()?.parse().ok()?, without.is_some()))
}

/// The current metadata file among the paths of a table, by what its hint says. The hint is written after the metadata and may be behind: as Iceberg does, later
/// numbers that follow without a gap win.
///
/// # Errors
/// There is none, the hint names one that is not there, or two have the same number.
pub fn current_metadata<'p>(paths: &[&'p str], hint: Option<&str>) -> Result<&'p str, String> {
    let mut numbered: Vec<(u64, bool, &str)> = paths
        .iter()
        .filter_map(|path| metadata_number(path).map(|(number, plain)| (number, plain, *path)))
        .collect();
    numbered.sort_unstable();
    let Some(wanted) = hint else {
        return match numbered.as_slice() {
            [] => Err("no file of metadata has a number in its name".into()),
            [.., (before, _, one), (last, _, other)] if before == last => Err(format!(
                "{one} and {other} have the same number, and nothing says which is current"
            )),
            [.., (_, _, path)] => Ok(path),
        };
    };
    let number = wanted.parse::<u64>().ok();
    let found = numbered
        .iter()
        .find(|(known, _, path)| Some(*known) == number || path.contains(&format!("/{wanted}.metadata.json")));
    let Some((mut at, plain, mut path)) = found.copied() else {
        return Err(format!("{HINT} names version {wanted}, and it is not there"));
    };
    while let Some((next, _, later)) = numbered.iter().find(|(next, of, _)| plain && *of && *next == at + 1) {
        (at, path) = (*next, *later);
    }
    Ok(path)
}
