//! Mistakes in what a job depends on.

use stoke_gate::Gate;

use super::{APP, JVM, Mistake, REQUIREMENTS, Row, rows};

const AVRO: &str = "org.apache.spark:spark-avro_2.13:4.1.4";

const IN_REQUIREMENTS: &[Row] = &[
    ("requests==2.32.3", "requests", "dependency-unpinned", ""),
    ("requests==2.32.3", "requests>=2.32", "dependency-unpinned", ""),
    ("requests==2.32.3", "requests~=2.32", "dependency-unpinned", ""),
    ("requests==2.32.3", "requests==2.*", "dependency-unpinned", ""),
    ("requests==2.32.3", "requests=2.32.3", "dependency-syntax", ""),
    ("requests==2.32.3", "requests==2.32.3 pandas", "dependency-syntax", ""),
    ("pandas==2.2.3", "requests==2.31.0", "dependency-twice", ""),
    ("pandas==2.2.3", "Requests==2.32.3", "dependency-twice", ""),
    ("pandas==2.2.3", "pyspark==3.5.9", "dependency-other-spark", ""),
];

const IN_JVM: &[Row] = &[
    (
        AVRO,
        "org.apache.spark:spark-avro_2.12:4.1.4",
        "dependency-other-scala",
        "",
    ),
    (
        AVRO,
        "org.apache.spark:spark-avro_2.13:3.5.9",
        "dependency-other-spark",
        "",
    ),
    (AVRO, "org.apache.spark:spark-sql_2.13:4.1.4", "dependency-shipped", ""),
    (
        AVRO,
        "org.apache.iceberg:iceberg-spark-runtime-3.5_2.13:1.9.0",
        "dependency-other-spark",
        "",
    ),
    (
        AVRO,
        "org.apache.hadoop:hadoop-aws:3.3.4",
        "dependency-other-hadoop",
        "",
    ),
    (AVRO, "org.apache.hadoop:hadoop-aws", "dependency-syntax", ""),
    (
        AVRO,
        "io.delta:delta-spark_2.13:latest.release",
        "dependency-unpinned",
        "",
    ),
    (AVRO, "com.example:lib:1.0-SNAPSHOT", "dependency-unpinned", ""),
    (AVRO, "org.postgresql:postgresql:42.7.3", "dependency-twice", "42.7.4"),
];

/// All of them.
pub fn all() -> Vec<Mistake> {
    let mut all = rows(Gate::Dependencies, REQUIREMENTS, IN_REQUIREMENTS);
    for mistake in &mut all {
        mistake.beside = &[APP];
    }
    all.extend(rows(Gate::Dependencies, JVM, IN_JVM));
    all
}
