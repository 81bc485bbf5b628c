//! Which libraries fit which Spark and Scala.
//!
//! Iceberg, Celeborn, Kafka, Connect and RAPIDS: coordinates that Maven Central serves, each looked up. Others follow from the version of Spark's Hadoop.

use stoke_model::distribution;

use crate::spec::Spark;

/// A library that wiring adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    Iceberg,
    /// Amazon's client for Iceberg's own files.
    IcebergAws,
    /// Google's client for them.
    IcebergGcp,
    /// Azure's client for them.
    IcebergAzure,
    HadoopAws,
    HadoopAzure,
    Kafka,
    Celeborn,
    /// The server of Spark Connect, which Spark has built in from 4.0 on.
    Connect,
    /// NVIDIA's accelerator of SQL (RAPIDS).
    Rapids,
}

/// Scala, and patch releases of a minor version of Spark that Maven Central has of an artifact of Spark's own. Not every Spark was followed by all of them.
type Released = (&'static str, &'static str, &'static [u32]);

/// Those of which its part for tokens, without which Ivy resolves nothing, was found too.
const KAFKA: [Released; 5] = [
    ("3.5", "2.12", &[0, 1, 3, 4, 5, 7]),
    ("3.5", "2.13", &[0, 1, 4]),
    ("4.0", "2.13", &[0]),
    ("4.1", "2.13", &[1]),
    ("4.2", "2.13", &[0]),
];
const CONNECT: [Released; 1] = [("3.5", "2.12", &[0, 1, 4, 5, 7])];

/// The newest release of an artifact that is not newer than a Spark, of the same minor version; the Spark's own version where none is known.
fn released(all: &[Released], version: &str, scala: &str) -> Option<String> {
    let minor = distribution::minor(version);
    let (_, _, patches) = all.iter().find(|(of, with, _)| *of == minor && *with == scala)?;
    let patch: u32 = version.rsplit_once('.').and_then(|(_, patch)| patch.parse().ok())?;
    let newest = patches
        .iter()
        .rev()
        .find(|known| **known <= patch)
        .or(patches.first())?;
    Some(format!("{minor}.{newest}"))
}

/// The version of the server of Spark Connect for a Spark of Scala 2.12 that has none built in.
#[must_use]
pub fn connect_release(version: &str) -> String {
    released(&CONNECT, version, "2.12").unwrap_or_else(|| version.to_owned())
}

/// Minor version of Spark, Scala, version of Iceberg with a runtime for both.
const ICEBERG: [(&str, &str, &str); 4] = [
    ("3.5", "2.12", "1.12.0"),
    ("3.5", "2.13", "1.10.1"),
    ("4.0", "2.13", "1.10.1"),
    ("4.1", "2.13", "1.12.0"),
];

/// Scala, version of the accelerator, and minor versions of Spark with their patch releases.
type Accelerator = (&'static str, &'static str, &'static [(&'static str, &'static [u32])]);

/// The Sparks that are in each jar: it has a part for each release (`spark356/`), and refuses to start with another.
const RAPIDS: [Accelerator; 2] = [
    (
        "2.12",
        "25.04.0",
        &[
            ("3.3", &[0, 1, 2, 3, 4]),
            ("3.4", &[0, 1, 2, 3, 4]),
            ("3.5", &[0, 1, 2, 3, 4, 5]),
        ],
    ),
    (
        "2.13",
        "26.08.1",
        &[
            ("3.5", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            ("4.0", &[0, 1, 2, 3, 4]),
            ("4.1", &[1, 2, 3]),
            ("4.2", &[0]),
        ],
    ),
];

/// The accelerator for a Spark.
fn rapids(version: &str, minor: &str, scala: &str) -> Result<String, (String, String)> {
    let of_scala = RAPIDS.iter().find(|(with, ..)| *with == scala);
    let patch: Option<u32> = version.rsplit_once('.').and_then(|(_, patch)| patch.parse().ok());
    if let Some((_, release, sparks)) = of_scala
        && let Some(patch) = patch
        && sparks
            .iter()
            .any(|(of, patches)| *of == minor && patches.contains(&patch))
    {
        return Ok(format!("com.nvidia:rapids-4-spark_{scala}:{release}"));
    }
    let of = |(scala, _, sparks): &Accelerator| {
        let all: Vec<String> = sparks
            .iter()
            .filter_map(|(minor, patches)| match patches {
                [] => None,
                [only] => Some(format!("{minor}.{only}")),
                [first, .., last] => Some(format!("{minor}.{first} to {minor}.{last}")),
            })
            .collect();
        format!("{} with Scala {scala}", all.join(", "))
    };
    Err((
        format!(
            "NVIDIA's accelerator has a part for each release of Spark, and none for Spark {version} with Scala {scala}: executors would not start"
        ),
        format!(
            "use Spark {}; or write `rapids: false`",
            RAPIDS.iter().map(of).collect::<Vec<_>>().join(", or ")
        ),
    ))
}

/// The coordinates of a library for a Spark.
///
/// # Errors
/// Why there is none, and what to do.
pub fn fitting(library: Library, spark: &Spark) -> Result<String, (String, String)> {
    let (minor, scala) = (distribution::minor(&spark.version), spark.scala());
    let iceberg = || {
        let found = ICEBERG.iter().find(|(of, with, _)| *of == minor && *with == scala);
        found.map(|(_, _, version)| *version).ok_or_else(|| {
            let known: Vec<String> = ICEBERG
                .iter()
                .map(|(of, with, _)| format!("{of} with Scala {with}"))
                .collect();
            (
                format!("no runtime of Iceberg for Spark {minor} with Scala {scala} is known"),
                format!("use a Spark of {}", known.join(", ")),
            )
        })
    };
    match library {
        Library::Iceberg => Ok(format!(
            "org.apache.iceberg:iceberg-spark-runtime-{minor}_{scala}:{}",
            iceberg()?
        )),
        Library::IcebergAws => Ok(format!("org.apache.iceberg:iceberg-aws-bundle:{}", iceberg()?)),
        // The classes that use them are in the runtime; these bundles were not published with every release.
        Library::IcebergGcp => Ok(format!(
            "org.apache.iceberg:iceberg-gcp-bundle:{}",
            match iceberg()? {
                "1.12.0" => "1.11.0",
                _ => "1.10.0",
            }
        )),
        Library::IcebergAzure => {
            iceberg()?;
            Ok("org.apache.iceberg:iceberg-azure-bundle:1.10.0".into())
        }
        Library::HadoopAzure => Ok(format!(
            "org.apache.hadoop:hadoop-azure:{}",
            distribution::nearest(&spark.version).hadoop
        )),
        Library::HadoopAws => Ok(format!(
            "org.apache.hadoop:hadoop-aws:{}",
            distribution::nearest(&spark.version).hadoop
        )),
        Library::Kafka => Ok(format!(
            "org.apache.spark:spark-sql-kafka-0-10_{scala}:{}",
            released(&KAFKA, &spark.version, scala).unwrap_or_else(|| spark.version.clone())
        )),
        Library::Connect => Ok(format!(
            "org.apache.spark:spark-connect_{scala}:{}",
            released(&CONNECT, &spark.version, scala).unwrap_or_else(|| spark.version.clone())
        )),
        Library::Rapids => rapids(&spark.version, minor, scala),
        Library::Celeborn => match (minor, scala) {
            ("3.4" | "3.5", "2.12") => Ok("org.apache.celeborn:celeborn-client-spark-3-shaded_2.12:0.5.4".into()),
            _ => Err((
                format!("Celeborn 0.5.4 has no client for Spark {minor} with Scala {scala}"),
                "use a Spark of 3.4 or 3.5 with Scala 2.12, or do without `shuffle`".into(),
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_ones_that_were_released() {
        let of = |library, version: &str, scala: Option<&str>| {
            let spark = Spark {
                version: version.to_owned(),
                scala: scala.map(str::to_owned),
                image: None,
                catalog: None,
                conf: std::collections::BTreeMap::new(),
            };
            fitting(library, &spark).map_err(|(message, _)| message)
        };
        let kafka = |version| of(Library::Kafka, version, None).unwrap();
        assert!(kafka("3.5.4").ends_with("_2.12:3.5.4"));
        // Spark went on, and its connectors did not; of an older one there is nothing that is not newer.
        assert!(kafka("4.1.4").ends_with("_2.13:4.1.1"));
        assert!(kafka("4.1.0").ends_with("_2.13:4.1.1"));
        // Of a minor version that is not known it is the Spark's own.
        assert!(kafka("4.7.3").ends_with(":4.7.3"));
        let rapids = |version, scala| of(Library::Rapids, version, scala);
        assert_eq!(rapids("4.1.3", None).unwrap(), "com.nvidia:rapids-4-spark_2.13:26.08.1");
        assert_eq!(rapids("3.5.5", None).unwrap(), "com.nvidia:rapids-4-spark_2.12:25.04.0");
        assert_eq!(
            rapids("3.5.9", Some("2.13")).unwrap(),
            "com.nvidia:rapids-4-spark_2.13:26.08.1"
        );
        for (version, scala) in [
            ("3.5.6", None),
            ("4.1.0", None),
            ("4.1.4", None),
            ("4.0.5", None),
            ("3.4.4", Some("2.13")),
        ] {
            assert!(rapids(version, scala).unwrap_err().contains(version), "{version}");
        }
        let connect = |version, scala| of(Library::Connect, version, scala);
        assert_eq!(
            connect("3.5.9", None).unwrap(),
            "org.apache.spark:spark-connect_2.12:3.5.7"
        );
        assert!(connect("3.5.2", None).unwrap().ends_with(":3.5.1"));
        assert!(connect("3.5.9", Some("2.13")).unwrap().ends_with("_2.13:3.5.9"));
    }
}
