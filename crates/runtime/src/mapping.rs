//! The user's image mapping, `<home>/images.yaml`: which Spark runs images whose names say nothing to us.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::ImageError;
use crate::version::Version;

/// The mapping file as written. The first rule whose pattern matches wins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Mapping {
    /// The rules, in order.
    #[serde(default)]
    pub images: Vec<Rule>,
}

/// One rule: images whose name matches `image` run on that Spark.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// A pattern over the whole image name as written in the manifest: `*` stands for any run of characters, `?` for one.
    pub image: String,
    /// The Spark version to run, provisioned when needed. Exactly one of this and `home` is given.
    pub spark: Option<Version>,
    /// A directory with a Spark installation (`jars/`, `bin/`), absolute.
    pub home: Option<PathBuf>,
    /// The feature release of the Java to run it on, where this machine has it. Absent means what the image's tag says, else the choice is ours.
    pub java: Option<u32>,
    /// Environment the image is to have, besides its standard one.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Further host files or directories the image is to contain.
    #[serde(default)]
    pub mounts: Vec<RuleMount>,
}

/// A host file or directory put into an image by the user's mapping.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RuleMount {
    /// Absolute path on this machine.
    pub host: PathBuf,
    /// Absolute path in the container.
    pub path: PathBuf,
    /// Whether containers may write to it. Absent means they may not.
    #[serde(default)]
    pub writable: bool,
}

impl Mapping {
    /// Reads the file; a missing file is an empty mapping.
    ///
    /// Errors: [`ImageError::MappingInvalid`] with the place, for what is not YAML, unknown keys, rules with none or both of
    /// `spark` and `home`, and relative paths; [`ImageError::MappingUnreadable`] when the file is there and cannot be read.
    pub fn load(file: &Path) -> Result<Mapping, ImageError> {
        match std::fs::read_to_string(file) {
            Ok(text) => Mapping::parse(&text, file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Mapping::default()),
            Err(source) => Err(ImageError::MappingUnreadable {
                file: file.to_owned(),
                source,
            }),
        }
    }

    /// Parses the text of a mapping file; `file` is used in messages only.
    pub fn parse(text: &str, file: &Path) -> Result<Mapping, ImageError> {
        if text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        {
            return Ok(Mapping::default());
        }
        let invalid = |reason: String| ImageError::MappingInvalid {
            file: file.to_owned(),
            reason,
        };
        let mapping: Mapping = serde_saphyr::from_str(text).map_err(|error| invalid(error.to_string()))?;
        for (index, rule) in mapping.images.iter().enumerate() {
            rule.check()
                .map_err(|reason| invalid(format!("images[{index}] ({}): {reason}", rule.image)))?;
        }
        Ok(mapping)
    }

    /// The first rule that matches an image name.
    pub fn find(&self, image: &str) -> Option<&Rule> {
        self.images
            .iter()
            .find(|rule| matches(rule.image.as_bytes(), image.as_bytes()))
    }
}

impl Rule {
    fn check(&self) -> Result<(), String> {
        match (&self.spark, &self.home) {
            (None, None) => return Err("say which Spark: `spark: \"4.1.4\"` or `home: /path/to/spark`".into()),
            (Some(_), Some(_)) => return Err("`spark` and `home` exclude each other; remove one".into()),
            _ => {}
        }
        let paths = self.home.iter().map(|path| ("home", path));
        let mounts = self
            .mounts
            .iter()
            .flat_map(|mount| [("mounts.host", &mount.host), ("mounts.path", &mount.path)]);
        match paths.chain(mounts).find(|(_, path)| !path.is_absolute()) {
            Some((key, path)) => Err(format!("`{key}` must be an absolute path, not `{}`", path.display())),
            None => Ok(()),
        }
    }
}

/// Whether a pattern with `*` and `?` matches the whole text. Linear in practice, never exponential: only the last `*` is retried.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    retry = Some((after_star, from + 1));
                    p = after_star;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Mapping, String> {
        Mapping::parse(text, Path::new("images.yaml")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_matching_rule_wins() {
        let mapping = parse(
            r#"
images:
  - image: "registry.example.com/team/etl:*"
    spark: "4.1.4"
    java: 17
    env: { TEAM: data }
    mounts:
      - { host: /srv/models, path: /models }
      - { host: /srv/out, path: /out, writable: true }
  - image: "*/etl:*"
    home: /srv/spark
"#,
        )
        .unwrap();
        let rule = mapping.find("registry.example.com/team/etl:7").unwrap();
        assert_eq!(rule.spark, Some("4.1.4".parse().unwrap()));
        assert_eq!((rule.env["TEAM"].as_str(), rule.java), ("data", Some(17)));
        assert_eq!(
            rule.mounts.iter().map(|mount| mount.writable).collect::<Vec<_>>(),
            [false, true]
        );
        assert_eq!(mapping.find("other/etl:1").unwrap().home, Some("/srv/spark".into()));
        assert_eq!(mapping.find("other/etl"), None);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let cases = [
            ("images:\n  - image: a\n    sprak: \"4.1.4\"\n", "sprak"),
            ("images:\n  - image: a\n    sprak: \"4.1.4\"\n", "line 3"),
            ("imagez: []\n", "imagez"),
            ("images:\n  - image: a\n", "images[0] (a): say which Spark"),
            (
                "images:\n  - image: a\n    spark: \"4.1.4\"\n    home: /x\n",
                "exclude each other",
            ),
            ("images:\n  - image: a\n    home: x/y\n", "absolute"),
            ("images:\n  - image: a\n    spark: \"4.1\"\n", "major.minor.patch"),
            ("images: [\n", "images.yaml"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert_eq!(parse("# nothing yet\n"), Ok(Mapping::default()));
    }

    #[test]
    fn patterns_match_whole_names() {
        let cases = [
            ("spark", "spark", true),
            ("spark", "sparky", false),
            ("*", "", true),
            ("a*b*c", "a--b--b--c", true),
            ("a*b*c", "a--b--b--", false),
            ("v?", "v1", true),
            ("v?", "v", false),
            ("*:*-dev", "x/y:1-dev", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
        assert!(!matches("a*".repeat(200).as_bytes(), &b"a".repeat(150)));
    }
}
