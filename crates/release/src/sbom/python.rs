//! Python's packages: the core metadata in `*.dist-info/METADATA` and `*.egg-info/PKG-INFO`.

use super::package::{Kind, Package};

/// The package of a metadata file. Fields stand before the first empty line; what follows is its description.
pub(super) fn read(text: &str, place: &str) -> Result<Package, String> {
    let head: Vec<&str> = text.lines().take_while(|line| !line.trim_end().is_empty()).collect();
    let values = |key: &'static str| {
        head.iter().filter_map(move |line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(key).then(|| value.trim())
        })
    };
    let value = |key| values(key).find(|value| !value.is_empty() && *value != "UNKNOWN");
    let name = value("Name").ok_or("it has no `Name`")?;
    let version = value("Version").ok_or("it has no `Version`")?;
    let mut package = Package::new(Kind::Pypi, name, version, place);
    let classified = values("Classifier").find_map(|value| value.strip_prefix("License :: ")?.rsplit(" :: ").next());
    // Before PEP 639 some put the whole text there.
    let short = value("License").filter(|text| text.len() < 200);
    package.licence = value("License-Expression").or(short).or(classified).map(str::to_owned);
    Ok(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_name_a_package_and_its_licence() {
        let rows = [
            (
                "License-Expression: MIT OR Apache-2.0\nLicense: x",
                Some("MIT OR Apache-2.0"),
            ),
            ("License: BSD", Some("BSD")),
            (
                "License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License",
                Some("MIT License"),
            ),
            ("Classifier: Topic :: X", None),
        ];
        for (fields, licence) in rows {
            let text = format!("Metadata-Version: 2.1\nName: six\nVersion: 1.17.0\n{fields}\n\nLicense: no\n");
            let package = read(&text, "p").unwrap();
            assert_eq!((package.name.as_str(), package.licence.as_deref()), ("six", licence));
        }
        assert!(read("Name: x\n\nVersion: 1", "p").is_err());
        assert!(read("\r\nName: x\r\nVersion: 1", "p").is_err());
        assert!(read("Name: x\r\nVersion: 1\r\n\r\n", "p").is_ok());
    }
}
