//! Which libraries fit which Spark and Scala.
//!
//! Iceberg and Celeborn: coordinates that Maven Central serves, each looked up. Others follow from the versions of Spark and of its Hadoop.

use stoke_model::distribution;

use crate::spec::Spark;

/// A library that wiring adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    Iceberg,
    /// Amazon's client for Iceberg's own files.
    IcebergAws,
    HadoopAws,
    Kafka,
    Celeborn,
}

/// Minor version of Spark, Scala, version of Iceberg with a runtime for both.
const ICEBERG: [(&str, &str, &str); 4] = [
    ("3.5", "2.12", "1.12.0"),
    ("3.5", "2.13", "1.10.1"),
    ("4.0", "2.13", "1.10.1"),
    ("4.1", "2.13", "1.12.0"),
];

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
        Library::HadoopAws => Ok(format!(
            "org.apache.hadoop:hadoop-aws:{}",
            distribution::nearest(&spark.version).hadoop
        )),
        Library::Kafka => Ok(format!(
            "org.apache.spark:spark-sql-kafka-0-10_{scala}:{}",
            spark.version
        )),
        Library::Celeborn => match (minor, scala) {
            ("3.4" | "3.5", "2.12") => Ok("org.apache.celeborn:celeborn-client-spark-3-shaded_2.12:0.5.4".into()),
            _ => Err((
                format!("Celeborn 0.5.4 has no client for Spark {minor} with Scala {scala}"),
                "use a Spark of 3.4 or 3.5 with Scala 2.12, or do without `shuffle`".into(),
            )),
        },
    }
}
