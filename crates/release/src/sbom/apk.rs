//! Alpine's packages: `/lib/apk/db/installed`, one letter for each field.

use super::package::{Kind, Package};

/// The packages of a database.
pub(super) fn read(text: &str, place: &str) -> Result<Vec<Package>, String> {
    let mut packages = Vec::new();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let value = |key: &str| paragraph.lines().find_map(|line| Some(line.strip_prefix(key)?.trim()));
        let name = value("P:").ok_or("a paragraph has no `P:`")?;
        let version = value("V:").ok_or_else(|| format!("`{name}` has no `V:`"))?;
        let mut package = Package::new(Kind::Apk, name, version, place);
        if let Some(architecture) = value("A:") {
            package.qualifiers.push(("arch".to_owned(), architecture.to_owned()));
        }
        package.licence = value("L:").filter(|text| !text.is_empty()).map(str::to_owned);
        packages.push(package);
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_packages() {
        let text = "C:Q1=\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\nF:lib\nR:ld.so\n\nP:busybox\nV:1.36.1-r29\n\n";
        let packages = read(text, "p").unwrap();
        assert_eq!(packages[0].purl().unwrap(), "pkg:apk/musl@1.2.5-r0?arch=x86_64");
        assert_eq!(packages[0].licence.as_deref(), Some("MIT"));
        assert_eq!(packages.len(), 2);
        assert!(read("V:1\n", "p").is_err() && read("P:a\n", "p").is_err());
    }
}
