//! The main class of a Java or Scala application: given, or named by the jar's manifest.

use std::io::{Cursor, Read};

use super::contents::local_path;
use super::error::ArgvError;
use super::files::Files;

/// Longest manifest that is read, in bytes.
const MANIFEST_LIMIT: u64 = 1 << 20;

/// `--class`, else `Main-Class` of the jar's manifest when the jar is on this machine.
pub(super) fn main_class(given: Option<&str>, jar: Option<&str>, files: &dyn Files) -> Result<String, ArgvError> {
    if let Some(class) = given {
        return Ok(class.to_owned());
    }
    let missing = |reason: &str| ArgvError::MainClass {
        jar: jar.unwrap_or("spark-internal").to_owned(),
        reason: reason.to_owned(),
    };
    let jar = jar.ok_or_else(|| missing("it names no jar"))?;
    let path =
        local_path(jar).ok_or_else(|| missing("the jar is not on this machine, so its manifest cannot be read"))?;
    let bytes = files.read(path).map_err(|error| missing(&error.to_string()))?;
    let manifest = manifest(&bytes).ok_or_else(|| missing("it is not a jar with a manifest"))?;
    class_in_manifest(&manifest).ok_or_else(|| missing("its manifest has no Main-Class"))
}

fn manifest(jar: &[u8]) -> Option<String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(jar)).ok()?;
    let mut text = String::new();
    let file = archive.by_name("META-INF/MANIFEST.MF").ok()?;
    file.take(MANIFEST_LIMIT).read_to_string(&mut text).ok()?;
    Some(text)
}

/// `Main-Class` of the main section. Lines of more than 72 bytes go on in the next line after one blank.
fn class_in_manifest(manifest: &str) -> Option<String> {
    let unfolded = manifest.replace("\r\n", "\n").replace("\n ", "");
    unfolded
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("Main-Class"))
        .map(|(_, class)| class.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::class_in_manifest;

    #[test]
    fn the_main_section_names_the_class_over_folded_lines() {
        let manifest =
            "Manifest-Version: 1.0\r\nMain-Class: com.example.a.very.long.pack\r\n age.Main\r\n\r\nName: x\r\n";
        assert_eq!(
            class_in_manifest(manifest).as_deref(),
            Some("com.example.a.very.long.package.Main")
        );
        assert_eq!(
            class_in_manifest("Manifest-Version: 1.0\n\nMain-Class: other.Section\n"),
            None
        );
    }
}
