//! The connectors by what tells that they are used, and the artifact that brings each.

use stoke_model::distribution::Distribution;

/// Something that is a package of its own.
pub(super) struct Connector {
    /// Its name in messages.
    pub name: &'static str,
    /// Beginnings of addresses.
    pub addresses: &'static [&'static str],
    /// Names of formats and of table providers.
    pub formats: &'static [&'static str],
    /// Beginnings of its classes.
    pub classes: &'static [&'static str],
    /// Artifacts that bring it, without the versions of Spark and Scala in their names.
    pub artifacts: &'static [&'static str],
    /// The coordinate that fits a Spark; none where none is published.
    pub package: fn(&str, &Distribution) -> Option<String>,
}

/// A part of Spark's own releases.
fn of_spark(artifact: &str, spark: &str, with: &Distribution) -> Option<String> {
    let scala = with.scalas.first()?;
    // `4.1` names no release.
    let release = spark.split('.').count() > 2;
    let version = if release {
        spark.to_owned()
    } else {
        format!("{spark}.x")
    };
    Some(format!("org.apache.spark:{artifact}_{scala}:{version}"))
}

/// The driver of a database, which is for every Spark.
const fn driver(
    name: &'static str,
    addresses: &'static [&'static str],
    classes: &'static [&'static str],
    artifacts: &'static [&'static str],
    package: fn(&str, &Distribution) -> Option<String>,
) -> Connector {
    Connector {
        name,
        addresses,
        formats: &[],
        classes,
        artifacts,
        package,
    }
}

/// What the official image does not have.
pub(super) static CONNECTORS: [Connector; 15] = [
    Connector {
        name: "S3A, the file system of S3",
        addresses: &["s3a://"],
        formats: &[],
        classes: &["org.apache.hadoop.fs.s3a."],
        artifacts: &["hadoop-aws", "spark-hadoop-cloud", "hadoop-cloud-storage"],
        package: |_, with| Some(format!("org.apache.hadoop:hadoop-aws:{}", with.hadoop)),
    },
    Connector {
        name: "the file system of Azure",
        addresses: &["abfs://", "abfss://", "wasb://", "wasbs://"],
        formats: &[],
        classes: &["org.apache.hadoop.fs.azure"],
        artifacts: &["hadoop-azure", "spark-hadoop-cloud", "hadoop-cloud-storage"],
        package: |_, with| Some(format!("org.apache.hadoop:hadoop-azure:{}", with.hadoop)),
    },
    Connector {
        name: "the file system of Google Cloud Storage",
        addresses: &["gs://"],
        formats: &[],
        classes: &["com.google.cloud.hadoop.fs.gcs."],
        artifacts: &["gcs-connector", "hadoop-gcp", "spark-hadoop-cloud"],
        package: |_, _| Some("com.google.cloud.bigdataoss:gcs-connector:hadoop3-2.2.22".to_owned()),
    },
    Connector {
        name: "the source of Kafka",
        addresses: &[],
        formats: &["kafka"],
        classes: &["org.apache.spark.sql.kafka010."],
        artifacts: &["spark-sql-kafka-0-10"],
        package: |spark, with| of_spark("spark-sql-kafka-0-10", spark, with),
    },
    Connector {
        name: "Avro",
        addresses: &[],
        formats: &["avro"],
        classes: &["org.apache.spark.sql.avro."],
        artifacts: &["spark-avro"],
        package: |spark, with| of_spark("spark-avro", spark, with),
    },
    Connector {
        name: "Protobuf",
        addresses: &[],
        formats: &[],
        classes: &["org.apache.spark.sql.protobuf."],
        artifacts: &["spark-protobuf"],
        package: |spark, with| of_spark("spark-protobuf", spark, with),
    },
    Connector {
        name: "Iceberg",
        addresses: &[],
        formats: &["iceberg"],
        classes: &["org.apache.iceberg.spark."],
        artifacts: &["iceberg-spark-runtime", "iceberg-spark"],
        package: |_, with| {
            let version = match with.minor {
                "3.5" | "4.0" => "1.10.0",
                "4.1" => "1.11.0",
                _ => return None,
            };
            let scala = with.scalas.first()?;
            Some(format!(
                "org.apache.iceberg:iceberg-spark-runtime-{}_{scala}:{version}",
                with.minor
            ))
        },
    },
    Connector {
        name: "Delta Lake",
        addresses: &[],
        formats: &["delta"],
        classes: &["io.delta.sql.", "org.apache.spark.sql.delta."],
        artifacts: &["delta-spark", "delta-core"],
        package: |_, with| {
            let package = match with.minor {
                "3.4" => "delta-core_2.12:2.4.0",
                "3.5" => "delta-spark_2.12:3.3.2",
                "4.0" => "delta-spark_2.13:4.0.0",
                "4.1" => "delta-spark_4.1_2.13:4.2.0",
                _ => return None,
            };
            Some(format!("io.delta:{package}"))
        },
    },
    Connector {
        name: "XML",
        addresses: &[],
        formats: &["com.databricks.spark.xml"],
        classes: &[],
        artifacts: &["spark-xml"],
        package: |_, with| {
            with.minor
                .starts_with('3')
                .then(|| "com.databricks:spark-xml_2.12:0.18.0".to_owned())
        },
    },
    driver(
        "PostgreSQL's driver",
        &["jdbc:postgresql:"],
        &["org.postgresql."],
        &["postgresql"],
        |_, _| Some("org.postgresql:postgresql:42.7.11".to_owned()),
    ),
    driver(
        "MySQL's driver",
        &["jdbc:mysql:"],
        &["com.mysql."],
        &["mysql-connector-j", "mysql-connector-java"],
        |_, _| Some("com.mysql:mysql-connector-j:8.4.0".to_owned()),
    ),
    driver(
        "MariaDB's driver",
        &["jdbc:mariadb:"],
        &["org.mariadb."],
        &["mariadb-java-client"],
        |_, _| Some("org.mariadb.jdbc:mariadb-java-client:3.4.1".to_owned()),
    ),
    driver(
        "SQL Server's driver",
        &["jdbc:sqlserver:"],
        &["com.microsoft.sqlserver."],
        &["mssql-jdbc"],
        |_, _| Some("com.microsoft.sqlserver:mssql-jdbc:12.8.1.jre11".to_owned()),
    ),
    driver(
        "Oracle's driver",
        &["jdbc:oracle:"],
        &["oracle.jdbc."],
        &["ojdbc"],
        |_, _| Some("com.oracle.database.jdbc:ojdbc11:23.5.0.24.07".to_owned()),
    ),
    driver(
        "a driver of JDBC",
        &[
            "jdbc:clickhouse:",
            "jdbc:ch:",
            "jdbc:db2:",
            "jdbc:duckdb:",
            "jdbc:h2:",
            "jdbc:redshift:",
            "jdbc:snowflake:",
            "jdbc:sqlite:",
            "jdbc:teradata:",
            "jdbc:trino:",
            "jdbc:vertica:",
        ],
        &[],
        &[
            "clickhouse-jdbc",
            "jcc",
            "duckdb_jdbc",
            "duckdb-jdbc",
            "h2",
            "redshift-jdbc",
            "snowflake-jdbc",
            "sqlite-jdbc",
            "terajdbc",
            "trino-jdbc",
            "vertica-jdbc",
        ],
        |_, _| None,
    ),
];
