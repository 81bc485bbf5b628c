//! Files of Maven Central that tests run or read: each brought once, by its sum.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file by its path in Maven Central (`com/zaxxer/HikariCP/2.6.1/HikariCP-2.6.1.jar`) and its SHA-256 in hexadecimal, kept in a directory under its own name.
///
/// # Errors
/// It cannot be had, it has another sum, or it cannot be written: then nothing is under its name.
pub fn bring(directory: &Path, path: &str, sha256: &str) -> Result<PathBuf, String> {
    let says = |error: std::io::Error| error.to_string();
    let name = path.rsplit('/').next().unwrap_or_default();
    let kept = directory.join(name);
    if kept.is_file() {
        return Ok(kept);
    }
    crate::program("curl", "apt-get install curl")?;
    std::fs::create_dir_all(directory).map_err(says)?;
    let partial = directory.join(format!("{name}.{}.partial", std::process::id()));
    let url = format!("https://repo1.maven.org/maven2/{path}");
    let brought = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--max-time", "300", "--output"])
        .arg(&partial)
        .arg(&url)
        .output()
        .map_err(says)?;
    let right = match brought.status.success() {
        false => Err(format!("{url}: {}", String::from_utf8_lossy(&brought.stderr).trim())),
        true => summed(&partial).and_then(|sum| match sum == sha256 {
            true => std::fs::rename(&partial, &kept).map_err(says),
            false => Err(format!("{url}: its sum is {sum}, not the known one")),
        }),
    };
    if right.is_err() {
        // What stays would only take room.
        let _ = std::fs::remove_file(&partial);
    }
    right.map(|()| kept)
}

fn summed(file: &Path) -> Result<String, String> {
    let output = Command::new("sha256sum")
        .arg(file)
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.split_whitespace().next() {
        Some(sum) if output.status.success() => Ok(sum.to_owned()),
        _ => Err(format!(
            "{}: no sum: {}",
            file.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_there_is_not_brought_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.jar");
        std::fs::write(&file, "content").unwrap();
        assert_eq!(bring(directory.path(), "no/such/a.jar", "sum"), Ok(file.clone()));
        assert_eq!(
            summed(&file).unwrap(),
            "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
        );
        assert!(summed(&directory.path().join("none")).is_err());
    }
}
