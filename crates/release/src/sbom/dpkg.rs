//! Debian's packages: `/var/lib/dpkg/status`, and one file each in `status.d`, as images without a package manager have them.

use super::package::{Kind, Package};

/// The packages of paragraphs. `installed` asks for a `Status` that ends with `installed`; files of `status.d` have none.
pub(super) fn read(text: &str, place: &str, installed: bool) -> Result<Vec<Package>, String> {
    let mut packages = Vec::new();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let value = |key: &str| {
            let mut lines = paragraph.lines();
            lines.find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
        };
        let name = value("Package").ok_or("a paragraph has no `Package`")?;
        if installed {
            let status = value("Status").ok_or_else(|| format!("`{name}` has no `Status`"))?;
            // Unpacked and half-configured ones have their files there, too.
            let state = status.split_whitespace().last().unwrap_or_default();
            if matches!(state, "not-installed" | "config-files") {
                continue;
            }
        }
        let version = value("Version").ok_or_else(|| format!("`{name}` has no `Version`"))?;
        let mut package = Package::new(Kind::Deb, name, version, place);
        if let Some(architecture) = value("Architecture") {
            package.qualifiers.push(("arch".to_owned(), architecture.to_owned()));
        }
        packages.push(package);
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_counts() {
        let text = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2\nDescription: x\n Package: no\n\nPackage: b\nStatus: deinstall ok config-files\nVersion: 1\n\n\nPackage: c\nStatus: install ok half-configured\nVersion: 3\n";
        let names: Vec<String> = read(text, "p", true)
            .unwrap()
            .iter()
            .filter_map(Package::purl)
            .collect();
        assert_eq!(names, ["pkg:deb/a@1:2?arch=amd64", "pkg:deb/c@3"]);
        assert!(read("Package: a\nVersion: 1\n", "p", true).is_err());
        assert_eq!(read("Package: a\nVersion: 1\n", "p", false).unwrap().len(), 1);
        assert!(read("garbage", "p", false).is_err());
    }
}
