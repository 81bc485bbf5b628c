//! Where an image is, as people write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use stoke_runtime::reference::Reference;

use super::error::{Kind, OciError, OciResult};

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `[registry/]repository[:tag][@digest]`.
    Registry(Reference),
    /// `oci:DIRECTORY[:TAG|@DIGEST]`: an OCI image layout.
    Layout(PathBuf, Option<String>),
    /// `archive:FILE[:TAG|@DIGEST]`: a tar file with an OCI layout, or of `docker save`.
    Archive(PathBuf, Option<String>),
}

impl Location {
    /// The tag or digest that is meant in it; none where it has one image only.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Registry(reference) => {
                let tag = || reference.tag.clone().unwrap_or_else(|| "latest".to_owned());
                Some(reference.digest.clone().unwrap_or_else(tag))
            }
            Self::Layout(_, name) | Self::Archive(_, name) => name.clone(),
        }
    }

    /// The same place with another tag or digest.
    #[must_use]
    pub fn with_name(&self, name: &str) -> Self {
        match self {
            Self::Registry(reference) => {
                let (tag, digest) = match name.starts_with("sha256:") {
                    true => (None, Some(name.to_owned())),
                    false => (Some(name.to_owned()), None),
                };
                Self::Registry(Reference {
                    repository: reference.repository.clone(),
                    tag,
                    digest,
                })
            }
            Self::Layout(path, _) => Self::Layout(path.clone(), Some(name.to_owned())),
            Self::Archive(path, _) => Self::Archive(path.clone(), Some(name.to_owned())),
        }
    }
}

/// Path and name: `a/b:tag`, `a/b@sha256:…`, `a/b`.
fn divided(text: &str, whole: &str) -> OciResult<(PathBuf, Option<String>)> {
    let (path, name) = match text.split_once("@sha256:") {
        Some((path, hex)) => (path, Some(format!("sha256:{hex}"))),
        // As skopeo: a name may have colons (`acme/etl:v1`), a path may not.
        None => match text.split_once(':') {
            Some((path, name)) => (path, Some(name.to_owned())),
            None => (text, None),
        },
    };
    if path.is_empty() || name.as_ref().is_some_and(String::is_empty) {
        return Err(OciError::new(
            Kind::Reference,
            format!("`{whole}` names no path, or an empty tag"),
        ));
    }
    if let Some(digest) = name.as_deref().filter(|name| name.starts_with("sha256:")) {
        digest.parse::<super::Digest>()?;
    }
    Ok((PathBuf::from(path), name))
}

impl FromStr for Location {
    type Err = OciError;

    fn from_str(text: &str) -> OciResult<Self> {
        if let Some(rest) = text.strip_prefix("oci:") {
            let (path, name) = divided(rest, text)?;
            return Ok(Self::Layout(path, name));
        }
        if let Some(rest) = text.strip_prefix("archive:") {
            let (path, name) = divided(rest, text)?;
            return Ok(Self::Archive(path, name));
        }
        let reference = Reference::parse(text.strip_prefix("docker://").unwrap_or(text));
        reference
            .map(Self::Registry)
            .map_err(|error| OciError::new(Kind::Reference, error.to_string()))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, path, name) = match self {
            Self::Registry(reference) => return reference.fmt(f),
            Self::Layout(path, name) => ("oci", path, name),
            Self::Archive(path, name) => ("archive", path, name),
        };
        write!(f, "{scheme}:{}", path.display())?;
        match name {
            Some(digest) if digest.starts_with("sha256:") => write!(f, "@{digest}"),
            Some(tag) => write!(f, ":{tag}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_name_images() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        for (text, shown, name) in [
            ("apache/spark:4.1.4", "apache/spark:4.1.4", Some("4.1.4")),
            ("docker://localhost:5000/x", "localhost:5000/x", Some("latest")),
            ("oci:out", "oci:out", None),
            ("oci:/tmp/a.b/out:v1", "oci:/tmp/a.b/out:v1", Some("v1")),
            ("archive:x.tar:v1", "archive:x.tar:v1", Some("v1")),
            ("oci:a:b/c:v1", "oci:a:b/c:v1", Some("b/c:v1")),
        ] {
            let location: Location = text.parse().unwrap();
            assert_eq!(
                (location.to_string().as_str(), location.name().as_deref()),
                (shown, name),
                "{text}"
            );
        }
        let location: Location = format!("oci:out@{digest}").parse().unwrap();
        assert_eq!(location, Location::Layout("out".into(), Some(digest.clone())));
        assert_eq!(location.to_string(), format!("oci:out@{digest}"));
        for text in ["oci:", "archive::x", "oci:x:", "UPPER/x", "oci:x@sha256:12"] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
    }
}
