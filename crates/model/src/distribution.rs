//! What a release of Spark is built with: the Scala it runs on, the Hadoop it carries.
//!
//! Source: `scala.binary.version` and `hadoop.version` of each release's pom.xml, and the jars of `pyspark` in the Python package index.

/// What the releases of a minor version are built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// The minor version, `4.1`.
    pub minor: &'static str,
    /// Scala of its published builds, that of the default one first.
    pub scalas: &'static [&'static str],
    pub hadoop: &'static str,
}

/// All that are known, oldest first.
pub const ALL: [Distribution; 6] = [
    of_release("3.4", &["2.12", "2.13"], "3.3.4"),
    of_release("3.5", &["2.12", "2.13"], "3.3.4"),
    of_release("4.0", &["2.13"], "3.4.1"),
    of_release("4.1", &["2.13"], "3.4.2"),
    of_release("4.2", &["2.13"], "3.4.2"),
    of_release("4.3", &["2.13"], "3.5.0"),
];

const fn of_release(minor: &'static str, scalas: &'static [&'static str], hadoop: &'static str) -> Distribution {
    Distribution { minor, scalas, hadoop }
}

/// What a version is built with.
///
/// ```
/// use stoke_model::distribution;
/// assert_eq!(distribution::of("4.1.4").unwrap().hadoop, "3.4.2");
/// assert_eq!(distribution::of("2.4.8"), None);
/// ```
#[must_use]
pub fn of(version: &str) -> Option<&'static Distribution> {
    ALL.iter().find(|known| known.minor == minor(version))
}

/// What a version is built with, or the nearest that is known: of versions before the first the oldest, of others the newest.
#[must_use]
pub fn nearest(version: &str) -> &'static Distribution {
    let numbers = |text: &str| -> Vec<u32> { minor(text).split('.').map(|part| part.parse().unwrap_or(0)).collect() };
    let [oldest, .., newest] = &ALL;
    let before = numbers(version) < numbers(oldest.minor);
    of(version).unwrap_or(if before { oldest } else { newest })
}

/// Whether an image is one that Spark's project publishes, of which is known what is in it: `apache/spark` and Docker's own `spark`. What a mirror or
/// anybody else's image holds is not known.
///
/// ```
/// use stoke_model::distribution::is_official;
/// assert!(is_official("docker.io/apache/spark:4.1.4-python3") && is_official("spark:4.1.4"));
/// assert!(!is_official("registry.example.com/apache/spark:4.1.4") && !is_official("acme/spark:4.1.4"));
/// ```
#[must_use]
pub fn is_official(image: &str) -> bool {
    let image = image.trim().split('@').next().unwrap_or_default();
    let tagged = image.rfind(':').filter(|colon| !image[*colon..].contains('/'));
    let repository = tagged.map_or(image, |colon| &image[..colon]);
    let plain = ["docker.io/", "index.docker.io/", "registry-1.docker.io/"]
        .iter()
        .find_map(|host| repository.strip_prefix(host))
        .unwrap_or(repository);
    matches!(
        plain,
        "spark" | "library/spark" | "apache/spark" | "apache/spark-py" | "apache/spark-r"
    )
}

/// `4.1` of `4.1.4`.
#[must_use]
pub fn minor(version: &str) -> &str {
    let end = version.match_indices('.').nth(1).map_or(version.len(), |(end, _)| end);
    &version[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_versions() {
        for (text, expected) in [("4.1.4", "4.1"), ("4.1", "4.1"), ("4", "4"), ("", "")] {
            assert_eq!(minor(text), expected);
        }
        for (version, known) in [
            ("3.3.2", "3.4"),
            ("2.4.8", "3.4"),
            ("3.5.9", "3.5"),
            ("4.9.0", "4.3"),
            ("10.1", "4.3"),
        ] {
            assert_eq!(nearest(version).minor, known, "{version}");
        }
    }
}
