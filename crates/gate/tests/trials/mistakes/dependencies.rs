//! Mistakes in what a job depends on.

use std::sync::{Arc, LazyLock};

use stoke_advisories::{Database, Gathered, database};
use stoke_gate::Gate;
use stoke_gate::gates::Advisories;

use super::{APP, JVM, Mistake, REQUIREMENTS, Row, rows};

/// A correct lock file of Poetry.
const POETRY: (&str, &str) = ("poetry.lock", include_str!("bases/poetry.lock"));
/// A correct lock file of uv.
const UV: (&str, &str) = ("uv.lock", include_str!("bases/uv.lock"));
/// A correct lock file of Pipenv.
const PIPFILE: (&str, &str) = ("Pipfile.lock", include_str!("bases/Pipfile.lock"));
/// A correct project of Python.
const PYPROJECT: (&str, &str) = ("pyproject.toml", include_str!("bases/pyproject.toml"));
/// A correct environment of conda.
const CONDA: (&str, &str) = ("environment.yml", include_str!("bases/environment.yml"));
/// A correct project of Maven.
const POM: (&str, &str) = ("pom.xml", include_str!("bases/pom.xml"));
/// A correct project of sbt.
const SBT: (&str, &str) = ("build.sbt", include_str!("bases/build.sbt"));

/// The correct files of this gate alone.
pub const BASES: [(&str, &str); 7] = [POETRY, UV, PIPFILE, PYPROJECT, CONDA, POM, SBT];

/// Advisories of packages that exist and versions that had them, cut down to what is looked up: id, aliases, ecosystem, package, events, severity.
const ADVISORIES: [(&str, &str, &str, &str, &str, &str); 5] = [
    (
        "GHSA-9wx4-h78v-vm56",
        r#""CVE-2024-35195""#,
        "PyPI",
        "requests",
        r#"{"introduced": "0"}, {"fixed": "2.32.0"}"#,
        "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:H/I:H/A:N",
    ),
    (
        "PYSEC-2023-238",
        r#""CVE-2023-47248", "GHSA-5wvp-7f3h-6wmm""#,
        "PyPI",
        "pyarrow",
        r#"{"introduced": "0.14.0"}, {"fixed": "14.0.1"}"#,
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    ),
    (
        "GHSA-24rp-q3w6-vc56",
        r#""CVE-2024-1597""#,
        "Maven",
        "org.postgresql:postgresql",
        r#"{"introduced": "42.7.0"}, {"fixed": "42.7.2"}"#,
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    ),
    (
        "GHSA-jfh8-c2jp-5v3q",
        r#""CVE-2021-44228""#,
        "Maven",
        "org.apache.logging.log4j:log4j-core",
        r#"{"introduced": "2.13.0"}, {"fixed": "2.15.0"}"#,
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H",
    ),
    ("MAL-2024-1", "", "PyPI", "reqeusts", r#"{"introduced": "0"}"#, ""),
];

/// A database of these.
pub fn advisories() -> Advisories {
    static DATABASE: LazyLock<Arc<Database>> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        for (id, aliases, ecosystem, package, events, vector) in ADVISORIES {
            let severity = match vector {
                "" => String::new(),
                vector => format!(r#"{{"type": "CVSS_V3", "score": "{vector}"}}"#),
            };
            let json = format!(
                r#"{{"schema_version": "1.7.0", "id": "{id}", "modified": "2025-01-01T00:00:00Z", "aliases": [{aliases}], "summary": "It is vulnerable",
                    "severity": [{severity}], "affected": [{{"package": {{"ecosystem": "{ecosystem}", "name": "{package}"}}, "ranges": [{{"type": "ECOSYSTEM", "events": [{events}]}}]}}]}}"#
            );
            std::fs::write(directory.path().join(format!("{id}.json")), json).unwrap();
        }
        let mut gathered = Gathered::default();
        gathered.add("advisories", directory.path(), &mut |_| {}).unwrap();
        database::write(directory.path(), &gathered, jiff::Timestamp::UNIX_EPOCH).unwrap();
        Arc::new(Database::open(directory.path()).unwrap())
    });
    Advisories::Database(Arc::clone(&DATABASE))
}

const AVRO: &str = "org.apache.spark:spark-avro_2.13:4.1.4";

const IN_REQUIREMENTS: &[Row] = &[
    ("requests==2.32.3", "requests", "dependency-unpinned", ""),
    ("requests==2.32.3", "requests>=2.32", "dependency-unpinned", ""),
    ("requests==2.32.3", "requests~=2.32", "dependency-unpinned", ""),
    ("requests==2.32.3", "requests==2.*", "dependency-unpinned", ""),
    ("requests==2.32.3", "requests=2.32.3", "dependency-syntax", ""),
    ("requests==2.32.3", "requests==2.32.3 pandas", "dependency-syntax", ""),
    ("pandas==2.2.3", "requests==2.32.2", "dependency-twice", ""),
    ("pandas==2.2.3", "Requests==2.32.3", "dependency-twice", ""),
    ("pandas==2.2.3", "pyspark==3.5.9", "dependency-other-spark", ""),
    ("pandas==2.2.3", "pandas==1.5.3", "dependency-not-with-spark", ""),
    ("pyarrow==19.0.0", "pyarrow==14.0.2", "dependency-not-with-spark", ""),
    ("pyarrow==19.0.0", "numpy==1.21.6", "dependency-not-with-spark", ""),
    ("pyarrow==19.0.0", "py4j==0.10.9.5", "dependency-not-with-spark", ""),
    ("requests==2.32.3", "requests==2.31.0", "dependency-vulnerable", ""),
    (
        "requests==2.32.3",
        "Requests[socks] == 2.31 ; python_version >= '3.9'",
        "dependency-vulnerable",
        "",
    ),
    ("requests==2.32.3", "reqeusts==2.32.3", "dependency-vulnerable", ""),
    (
        "requests==2.32.3",
        "requests==2.32.3; python_version >> '3.9'",
        "dependency-syntax",
        "",
    ),
    (
        "requests==2.32.3",
        "requests==2.32.3; python_verson >= '3.9'",
        "dependency-syntax",
        "",
    ),
    ("requests==2.32.3", "-r base.txt", "dependency-absent", ""),
    ("requests==2.32.3", "--constraint=limits.txt", "dependency-absent", ""),
    (
        "requests==2.32.3",
        "-r https://example.com/r.txt",
        "dependency-unpinned",
        "",
    ),
];

const IN_POETRY: &[Row] = &[
    ("2.32.3", "2.31.0", "dependency-vulnerable", "requests"),
    ("2.2.3", "2.1.4", "dependency-not-with-spark", "name = \"pandas\""),
    (">=3.10,<3.14", ">=3.8,<3.10", "dependency-other-python", ""),
    (
        "[[package]]\nname = \"pandas",
        "[[package]\nname = \"pandas",
        "dependency-syntax",
        "",
    ),
];

const IN_UV: &[Row] = &[
    (
        "2.32.3",
        "2.31.0",
        "dependency-vulnerable",
        "name = \"requests\"\nversion",
    ),
    (
        "19.0.0",
        "14.0.2",
        "dependency-not-with-spark",
        "name = \"pyarrow\"\nversion",
    ),
    (">=3.11", "<3.9", "dependency-other-python", ""),
];

const IN_PIPFILE: &[Row] = &[
    ("==2.32.3", "==2.31.0", "dependency-vulnerable", "requests"),
    ("\"3.11\"", "\"3.9\"", "dependency-other-python", ""),
    ("\"default\": {", "\"default\": [", "dependency-syntax", "default"),
];

const IN_PYPROJECT: &[Row] = &[
    ("requests==2.32.3", "requests>=2.32", "dependency-unpinned", ""),
    ("requests==2.32.3", "requests==2.31.0", "dependency-vulnerable", ""),
    ("requests==2.32.3", "requests=2.32.3", "dependency-syntax", ""),
    (">=3.10", "<3.10", "dependency-other-python", ""),
    ("requests==2.32.3", "pyspark==3.5.9", "dependency-other-spark", ""),
];

const IN_CONDA: &[Row] = &[
    ("python=3.11", "python=3.9", "dependency-other-python", ""),
    ("pandas=2.2.3", "pandas=2.1.0", "dependency-not-with-spark", ""),
    ("openssl=3.4.0", "openssl", "dependency-unpinned", ""),
    ("requests==2.32.3", "requests==2.31.0", "dependency-vulnerable", ""),
    ("requests==2.32.3", "requests", "dependency-unpinned", ""),
];

const IN_POM: &[Row] = &[
    ("42.7.4", "42.7.1", "dependency-vulnerable", "<artifactId>postgresql"),
    ("42.7.4", "[42,)", "dependency-unpinned", "<artifactId>postgresql"),
    ("4.1.4", "3.5.9", "dependency-other-spark", "<artifactId>spark-sql"),
    (
        "spark-sql_2.13",
        "spark-sql_2.12",
        "dependency-other-scala",
        "<dependency><groupId>org.apache.spark",
    ),
    ("<scope>provided</scope>", "", "dependency-shipped", ""),
    ("</dependencies>", "</dependencys>", "dependency-syntax", ""),
    (
        "<groupId>org.postgresql</groupId><artifactId>postgresql",
        "<groupId>commons-io</groupId><artifactId>commons-io",
        "dependency-shipped-by-spark",
        "",
    ),
];

const IN_SBT: &[Row] = &[
    ("42.7.4", "42.7.1", "dependency-vulnerable", ""),
    ("\"4.1.4\"", "\"3.5.9\"", "dependency-other-spark", "spark-sql"),
    ("2.13.17", "2.12.18", "dependency-other-scala", "spark-sql"),
    (" % \"provided\"", "", "dependency-shipped", ""),
    ("42.7.4", "latest.integration", "dependency-unpinned", ""),
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
    ("postgresql:42.7.4", "postgresql:42.7.1", "dependency-vulnerable", ""),
    (
        AVRO,
        "com.google.guava:guava:32.1.3-jre",
        "dependency-shipped-by-spark",
        "",
    ),
    (
        AVRO,
        "com.fasterxml.jackson.core:jackson-databind:2.15.2",
        "dependency-shipped-by-spark",
        "",
    ),
    (
        AVRO,
        "io.netty:netty-common:4.1.100.Final",
        "dependency-shipped-by-spark",
        "",
    ),
    (
        AVRO,
        "org.apache.hadoop:hadoop-client:3.4.2",
        "dependency-shipped-by-spark",
        "",
    ),
    (
        AVRO,
        "org.scala-lang:scala-library:2.13.17",
        "dependency-shipped-by-spark",
        "",
    ),
    (
        AVRO,
        "org.json4s:json4s-core_2.13:4.0.6",
        "dependency-shipped-by-spark",
        "",
    ),
];

/// All of them.
pub fn all() -> Vec<Mistake> {
    let files = [
        (REQUIREMENTS, IN_REQUIREMENTS),
        (POETRY, IN_POETRY),
        (UV, IN_UV),
        (PIPFILE, IN_PIPFILE),
        (PYPROJECT, IN_PYPROJECT),
        (CONDA, IN_CONDA),
        (POM, IN_POM),
        (SBT, IN_SBT),
    ];
    let mut all: Vec<Mistake> = files
        .into_iter()
        .flat_map(|(base, made)| rows(Gate::Dependencies, base, made))
        .collect();
    for mistake in &mut all {
        mistake.beside = &[APP];
    }
    all.extend(rows(Gate::Dependencies, JVM, IN_JVM));
    all
}
