//! A package, and its package URL (purl): the name by which tools know it.

use std::collections::BTreeSet;

use serde::Serialize;

/// Which tool installed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Deb,
    Apk,
    Rpm,
    Pypi,
    Maven,
}

impl Kind {
    /// The type in a package URL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Deb => "deb",
            Kind::Apk => "apk",
            Kind::Rpm => "rpm",
            Kind::Pypi => "pypi",
            Kind::Maven => "maven",
        }
    }
}

/// One package in one version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    pub kind: Kind,
    /// The group of a jar; the distribution of a package of an operating system. Empty where it is not known.
    pub group: String,
    pub name: String,
    /// Empty where it is not known.
    pub version: String,
    /// Architecture, epoch: what a package URL has besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub qualifiers: Vec<(String, String)>,
    /// As it is written there: an expression of SPDX, or any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Files it was found in; `!` stands before what is inside an archive.
    pub places: BTreeSet<String>,
}

impl Package {
    pub(super) fn new(kind: Kind, name: impl Into<String>, version: impl Into<String>, place: &str) -> Package {
        Package {
            kind,
            group: String::new(),
            name: name.into(),
            version: version.into(),
            qualifiers: Vec::new(),
            licence: None,
            places: BTreeSet::from([place.to_owned()]),
        }
    }

    /// The package URL; none for a jar whose group is not known, since it would name another one.
    #[must_use]
    pub fn purl(&self) -> Option<String> {
        if self.kind == Kind::Maven && self.group.is_empty() {
            return None;
        }
        let mut text = format!("pkg:{}/", self.kind.name());
        for part in self.group.split('/').filter(|part| !part.is_empty()) {
            text.push_str(&encoded(part));
            text.push('/');
        }
        match self.kind {
            Kind::Pypi => text.push_str(&encoded(&self.name.to_lowercase().replace('_', "-"))),
            _ => text.push_str(&encoded(&self.name)),
        }
        if !self.version.is_empty() {
            text.push('@');
            text.push_str(&encoded(&self.version));
        }
        let mut qualifiers = self.qualifiers.clone();
        qualifiers.sort();
        for (index, (key, value)) in qualifiers.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(key);
            text.push('=');
            text.push_str(&encoded(value));
        }
        Some(text)
    }

    /// The package URL, or for want of one where it lies.
    #[must_use]
    pub fn reference(&self) -> String {
        self.purl().unwrap_or_else(|| {
            let place = self.places.first().map_or("", String::as_str);
            format!(
                "jar:{}:{}@{}",
                encoded(place),
                encoded(&self.name),
                encoded(&self.version)
            )
        })
    }
}

/// Percent-encoded as the specification of package URLs asks: all but letters, digits and `.-_~:`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_as_the_specification_writes_them() {
        let mut jar = Package::new(Kind::Maven, "spark-core_2.13", "4.1.4", "a.jar");
        assert_eq!(jar.purl(), None);
        assert_eq!(jar.reference(), "jar:a.jar:spark-core_2.13@4.1.4");
        jar.group = "org.apache.spark".to_owned();
        assert_eq!(jar.purl().unwrap(), "pkg:maven/org.apache.spark/spark-core_2.13@4.1.4");
        let mut deb = Package::new(Kind::Deb, "libstdc++6", "1:12.2.0-14+deb12u1", "status");
        deb.group = "debian".to_owned();
        deb.qualifiers = vec![("distro".into(), "debian-12".into()), ("arch".into(), "amd64".into())];
        assert_eq!(
            deb.purl().unwrap(),
            "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"
        );
        let python = Package::new(Kind::Pypi, "Zope_Interface", "", "x");
        assert_eq!(python.purl().unwrap(), "pkg:pypi/zope-interface");
    }
}
