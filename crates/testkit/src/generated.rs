//! Files that tests make out of the code: on disk is what the code says, or the test fails; with `STOKE_WRITE_GENERATED=1` it is written.

use std::path::{Path, PathBuf};

/// What writes every generated file again.
const COMMAND: &str = "scripts/generate";

/// A file of the repository.
#[must_use]
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The file of this repository is this text.
///
/// # Errors
/// When it is another, with the first line that differs.
pub fn file(path: &str, made: &str) -> Result<(), String> {
    let at = repository(path);
    if std::env::var_os("STOKE_WRITE_GENERATED").is_some() {
        let written = at.parent().map_or(Ok(()), std::fs::create_dir_all);
        return written
            .and_then(|()| std::fs::write(&at, made))
            .map_err(|error| format!("{path}: {error}"));
    }
    same(path, &std::fs::read_to_string(&at).unwrap_or_default(), made)
}

/// What stands between two marks of a file of this repository is this text.
///
/// # Errors
/// When it is another, or a mark is missing.
pub fn part(path: &str, begin: &str, end: &str, made: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(repository(path)).map_err(|error| format!("{path}: {error}"))?;
    let (before, rest) = text
        .split_once(begin)
        .ok_or_else(|| format!("{path} has no {begin:?}"))?;
    let (written, after) = rest.split_once(end).ok_or_else(|| format!("{path} has no {end:?}"))?;
    if std::env::var_os("STOKE_WRITE_GENERATED").is_some() {
        return file(path, &format!("{before}{begin}{made}{end}{after}"));
    }
    same(path, written, made)
}

fn same(path: &str, written: &str, made: &str) -> Result<(), String> {
    if written == made {
        return Ok(());
    }
    let mut made_lines = made.lines();
    let differs = written.lines().find(|line| made_lines.next() != Some(line));
    let shown = differs.unwrap_or("(lines are missing)");
    Err(format!(
        "{path} is not what the code says; `{COMMAND}` writes it again; the first line that differs: {shown}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_shown() {
        assert_eq!(same("a.md", "one\ntwo\n", "one\ntwo\n"), Ok(()));
        let error = same("a.md", "one\ntwo\n", "one\n2\n").unwrap_err();
        assert!(error.contains("a.md") && error.ends_with("differs: two"), "{error}");
        let error = same("a.md", "one\n", "one\n2\n").unwrap_err();
        assert!(error.ends_with("(lines are missing)"), "{error}");
    }
}
