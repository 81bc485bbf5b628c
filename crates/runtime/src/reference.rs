//! Container image names, and the Spark version that an official-looking one means.

use std::fmt;

use crate::version::Version;

/// A parsed image name: `[registry/]repository[:tag][@digest]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Everything before the tag, as written: `docker.io/apache/spark`.
    pub repository: String,
    /// The tag, when there is one.
    pub tag: Option<String>,
    /// The digest (`sha256:…`), when there is one.
    pub digest: Option<String>,
}

/// Text that is not an image name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a container image name: {1}")]
pub struct InvalidReference(pub String, pub &'static str);

impl Reference {
    /// Parses an image name by the rules of the distribution specification's grammar: a lower-case repository path (a first
    /// component with a dot, a colon or `localhost` is the registry), a tag of at most 128 word characters, dots and dashes.
    pub fn parse(text: &str) -> Result<Reference, InvalidReference> {
        let invalid = |why| InvalidReference(text.to_owned(), why);
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(invalid("a digest is written `sha256:` and 64 hexadecimal digits"));
        }
        let last_slash = name.rfind('/').map_or(0, |at| at + 1);
        let (repository, tag) = match name[last_slash..].split_once(':') {
            Some((last, tag)) => (&name[..last_slash + last.len()], Some(tag)),
            None => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid(
                "a tag has 1 to 128 letters, digits, `_`, `.` and `-`, and starts with none of the last two",
            ));
        }
        let (registry, path) = match repository.split_once('/') {
            Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (Some(first), rest),
            _ => (None, repository),
        };
        if registry.is_some_and(|registry| {
            !registry
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b))
        }) {
            return Err(invalid("the registry is not a host name"));
        }
        if !path.split('/').all(is_path_component) {
            return Err(invalid(
                "the repository has lower-case letters and digits, separated by `.`, `_`, `-` and `/`",
            ));
        }
        Ok(Reference {
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// The registry's host and port, and the path of the repository there: `apache/spark` is at `docker.io`, `spark` is `library/spark` there.
    pub fn address(&self) -> (&str, String) {
        let (registry, path) = match self.repository.split_once('/') {
            Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (first, rest),
            _ => ("docker.io", self.repository.as_str()),
        };
        match registry {
            "docker.io" | "index.docker.io" if !path.contains('/') => ("docker.io", format!("library/{path}")),
            "index.docker.io" => ("docker.io", path.to_owned()),
            _ => (registry, path.to_owned()),
        }
    }

    /// The last component of the repository: `spark` of `docker.io/apache/spark:4.1.4`.
    pub fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }

    /// What the image means when no mapping of the user's says otherwise.
    ///
    /// Only the names of Spark's own images are understood: a repository called `spark`, `spark-py`, `pyspark` or `spark-r`,
    /// with a tag that starts with a version (a leading `v` is allowed), or a floating tag of the official repository
    /// (`latest`, `python3`, `4.1`), which means the newest version of the table `known`.
    pub fn meaning(&self, known: &[Version]) -> Meaning {
        if !matches!(self.name(), "spark" | "spark-py" | "pyspark" | "spark-r") {
            return Meaning::Unknown;
        }
        let Some(tag) = &self.tag else {
            return match self.digest {
                Some(_) => Meaning::DigestOnly,
                None => newest(known, |_| true),
            };
        };
        let words: Vec<&str> = tag.split('-').collect();
        let first = words.first().map_or("", |word| word.strip_prefix('v').unwrap_or(word));
        if let Ok(version) = first.parse::<Version>() {
            let preview = words
                .get(1)
                .filter(|word| word.starts_with("preview") || word.starts_with("rc"));
            let full = preview.and_then(|word| format!("{version}-{word}").parse().ok());
            return Meaning::Version(full.unwrap_or(version));
        }
        if let Some((major, minor)) = first.split_once('.')
            && let (Ok(major), Ok(minor)) = (major.parse(), minor.parse())
        {
            return newest(known, |version| version.line() == (major, minor));
        }
        let floating = |word: &&str| {
            matches!(*word, "latest" | "scala" | "python3" | "r" | "ubuntu")
                || word.starts_with("java")
                || word.starts_with("scala2.")
        };
        if words.iter().all(floating) {
            return newest(known, |_| true);
        }
        Meaning::Unknown
    }

    /// The Java version an official tag asks for: 21 of `4.1.4-scala2.13-java21-ubuntu`.
    pub fn java(&self) -> Option<u32> {
        let tag = self.tag.as_deref()?;
        tag.split('-').find_map(|word| word.strip_prefix("java")?.parse().ok())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// What an image name says about Spark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Spark of this version.
    Version(Version),
    /// An official name that says only a digest, from which no version can be read.
    DigestOnly,
    /// Not an official name, or a tag that says no version.
    Unknown,
}

fn newest(known: &[Version], wanted: impl Fn(&Version) -> bool) -> Meaning {
    known
        .iter()
        .filter(|version| wanted(version))
        .max()
        .cloned()
        .map_or(Meaning::Unknown, Meaning::Version)
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_path_component(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = text.bytes().next().is_some_and(word) && text.bytes().last().is_some_and(word);
    ends && text.bytes().all(|b| word(b) || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Version> {
        ["3.5.9", "4.1.4", "4.3.0"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect()
    }

    fn meaning(image: &str) -> String {
        match Reference::parse(image).map(|reference| reference.meaning(&known())) {
            Ok(Meaning::Version(version)) => version.to_string(),
            Ok(Meaning::DigestOnly) => "digest only".into(),
            Ok(Meaning::Unknown) => "unknown".into(),
            Err(error) => format!("invalid: {}", error.1),
        }
    }

    #[test]
    fn names_mean_versions() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        let cases = [
            ("apache/spark:4.1.4", "4.1.4"),
            ("spark:3.5.9-python3", "3.5.9"),
            (
                "docker.io/apache/spark:4.1.4-scala2.13-java17-python3-r-ubuntu",
                "4.1.4",
            ),
            ("docker.io/library/spark:4.0.0", "4.0.0"),
            ("localhost/spark:4.1.4", "4.1.4"),
            ("localhost:5000/spark:4.1.4", "4.1.4"),
            ("registry.example.com:5000/x/spark-py:v3.5.1", "3.5.1"),
            ("registry/x/spark-r:3.5.1", "3.5.1"),
            ("apache/spark:4.2.0-preview1", "4.2.0-preview1"),
            ("apache/spark:4.2.0-preview2-python3", "4.2.0-preview2"),
            ("spark", "4.3.0"),
            ("spark:latest", "4.3.0"),
            ("spark:python3-java17", "4.3.0"),
            ("spark:4.1", "4.1.4"),
            ("spark:4.1-python3", "4.1.4"),
            ("spark:3.3", "unknown"),
            ("spark:nightly", "unknown"),
            ("spark:1234", "unknown"),
            ("python:3.11.2", "unknown"),
            ("acme/spark-etl:4.1.4", "unknown"),
            ("ghcr.io/acme/etl", "unknown"),
        ];
        for (image, expected) in cases {
            assert_eq!(meaning(image), expected, "{image}");
        }
        assert_eq!(meaning(&format!("apache/spark@{digest}")), "digest only");
        assert_eq!(meaning(&format!("apache/spark:4.1.4@{digest}")), "4.1.4");
    }

    #[test]
    fn what_is_not_an_image_name_is_refused() {
        for image in [
            "",
            "Spark:4.1.4",
            "spark:",
            "spark:-x",
            "spark@sha256:12",
            "a//spark",
            "spark:4.1.4 ",
            "-x/spark",
            "spark:é",
            "/",
            ":",
            "@",
        ] {
            assert!(Reference::parse(image).is_err(), "{image}");
        }
    }

    #[test]
    fn names_have_an_address() {
        let address = |image: &str| {
            let reference = Reference::parse(image).unwrap();
            let (registry, path) = reference.address();
            format!("{registry} {path}")
        };
        assert_eq!(address("spark:4.1.4"), "docker.io library/spark");
        assert_eq!(address("index.docker.io/apache/spark"), "docker.io apache/spark");
        assert_eq!(address("localhost/x"), "localhost x");
        assert_eq!(address("127.0.0.1:5000/a/b:1"), "127.0.0.1:5000 a/b");
    }

    #[test]
    fn the_tag_may_ask_for_a_java() {
        let java = |image: &str| Reference::parse(image).unwrap().java();
        assert_eq!(java("spark:4.1.4-scala2.13-java21-python3-ubuntu"), Some(21));
        assert_eq!(java("spark:4.1.4"), None);
        assert_eq!(java("spark:4.1.4-javax"), None);
    }
}
