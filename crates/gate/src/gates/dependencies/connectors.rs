//! What a job's code, SQL and configuration use that the official image of Spark does not bring: file systems of clouds, Kafka, Avro, tables of Iceberg and
//! Delta Lake, drivers of JDBC. Another image may bring anything: only the official one is judged.

use std::sync::Arc;

use stoke_model::distribution::{self, Distribution, minor};
use stoke_model::manifest::{Content, Document, Node, Place, Severity, Source, join};

use super::Found;
use super::packages::without_scala;
use crate::finding::Finding;
use crate::job::{File, Job, Kind};
use crate::python;

/// Something that is a package of its own.
struct Connector {
    /// Its name in messages.
    name: &'static str,
    /// Beginnings of addresses.
    addresses: &'static [&'static str],
    /// Names of formats and of table providers.
    formats: &'static [&'static str],
    /// Beginnings of its classes.
    classes: &'static [&'static str],
    /// Artifacts that bring it, without the versions of Spark and Scala in their names.
    artifacts: &'static [&'static str],
    /// The coordinate that fits a Spark; none where nobody has published one.
    package: fn(&str, &Distribution) -> Option<String>,
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

static CONNECTORS: [Connector; 15] = [
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

/// A place where something is used.
struct Use {
    connector: &'static Connector,
    /// What is written there.
    written: String,
    source: Arc<Source>,
    place: Place,
    path: String,
    /// Whether the application certainly comes by here.
    certain: bool,
}

/// What applications on the official image use and do not bring.
pub(super) fn judge(job: &Job, found: &mut Found) {
    let applications: Vec<&Document> = job.documents().filter(|document| document.is_ours()).collect();
    let mut said: Vec<(String, usize, &'static str)> = Vec::new();
    for application in &applications {
        let spec = application.spec_path();
        let Some(spec_node) = application.node.lookup(spec) else {
            continue;
        };
        let text = |path: &str| spec_node.lookup(path).and_then(Node::as_str);
        let (Some(image), Some(spark)) = (text("driver.image").or_else(|| text("image")), text("sparkVersion")) else {
            continue;
        };
        let Some(with) = distribution::of(spark).filter(|_| distribution::is_official(image)) else {
            continue;
        };
        let brought = Brought::of(spec_node, job);
        let mut uses = in_manifest(application, spec, spec_node);
        for file in job
            .files
            .iter()
            .filter(|file| belongs(file, application, &applications))
        {
            let certain = is_main(file, application);
            uses.extend(in_file(file, certain));
        }
        for one in uses {
            let connector = one.connector;
            let key = (one.source.name().to_owned(), one.place.line, connector.name);
            if brought.has(connector) || said.contains(&key) {
                continue;
            }
            // Once for each application and connector is enough.
            let known = (
                application.source.name().to_owned(),
                application.node.place.start,
                connector.name,
            );
            if said.contains(&known) {
                continue;
            }
            said.push(key);
            said.push(known);
            let severity = match one.certain && !brought.may_have_more {
                true => Severity::Error,
                false => Severity::Warning,
            };
            let message = format!(
                "`{}` needs {}, which the official image of Spark {spark} does not have, and no package of {} `{}` brings",
                one.written, connector.name, application.kind, application.name
            );
            let fix = match (connector.package)(spark, with) {
                Some(package) => format!("add `{package}` to {spec}.deps.packages, or take an image that has it"),
                None => format!(
                    "add {} for Spark {} to {spec}.deps.packages, or take an image that has it",
                    connector.artifacts.join(" or "),
                    minor(spark)
                ),
            };
            let finding = Finding::at(
                severity,
                "connector-missing",
                &one.source,
                one.place,
                &one.path,
                message,
            );
            found.findings.push(finding.with_fix(fix));
        }
    }
}

/// What an application brings.
struct Brought {
    artifacts: Vec<String>,
    /// Jars whose names do not tell what is in them.
    may_have_more: bool,
}

impl Brought {
    fn of(spec: &Node, job: &Job) -> Brought {
        let conf = spec.get("sparkConf");
        let of_conf = |key: &str| {
            conf.and_then(|conf| conf.get(key))
                .and_then(Node::as_str)
                .unwrap_or_default()
        };
        let items = |field: &str| {
            spec.lookup(field)
                .map_or(&[][..], Node::items)
                .iter()
                .filter_map(Node::as_str)
        };
        let packages = items("deps.packages").chain(of_conf("spark.jars.packages").split(','));
        let mut artifacts: Vec<String> = packages
            .filter_map(|package| Some(plain(package.trim().split(':').nth(1)?)))
            .collect();
        let main = spec.get("mainApplicationFile").and_then(Node::as_str);
        let paths = ["spark.driver.extraClassPath", "spark.executor.extraClassPath"].map(of_conf);
        let jars = items("deps.jars")
            .chain(of_conf("spark.jars").split(','))
            .chain(main.filter(|main| main.ends_with(".jar")))
            .chain(paths.iter().flat_map(|path| path.split(':')));
        let mut may_have_more = false;
        for jar in jars.map(str::trim).filter(|jar| !jar.is_empty()) {
            let file = jar.rsplit('/').next().unwrap_or(jar);
            artifacts.push(plain(file));
            let known = CONNECTORS.iter().any(|connector| brings(connector, &plain(file)));
            may_have_more |= !known;
        }
        // Jars of the job are put into some image or named by an address.
        let own = job
            .files
            .iter()
            .filter(|file| matches!(file.kind, Kind::Archive) && file.name.ends_with(".jar"));
        artifacts.extend(own.map(|file| plain(file.name.rsplit('/').next().unwrap_or(&file.name))));
        // Volumes and Ivy settings may hold jars, but Spark looks for none there by itself.
        Brought {
            artifacts,
            may_have_more,
        }
    }

    fn has(&self, connector: &Connector) -> bool {
        self.artifacts.iter().any(|artifact| brings(connector, artifact))
    }
}

fn brings(connector: &Connector, artifact: &str) -> bool {
    let begins = |known: &&str| {
        artifact.strip_prefix(*known).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with(['-', '_', '.']) || rest.starts_with(|c: char| c.is_ascii_digit())
        })
    };
    connector.artifacts.iter().any(|known| begins(&known))
}

fn plain(artifact: &str) -> String {
    without_scala(artifact).0.to_ascii_lowercase()
}

/// Whether a file is the main file of an application.
fn is_main(file: &File, application: &Document) -> bool {
    let main = format!("{}.mainApplicationFile", application.spec_path());
    let base = |text: &str| text.rsplit('/').next().unwrap_or(text).to_owned();
    let main = application.node.lookup(&main).and_then(Node::as_str);
    main.is_some_and(|main| base(main) == base(&file.name))
}

/// Whether a file of code or SQL is of an application: its main file, and what is nobody's main file.
fn belongs(file: &File, application: &Document, all: &[&Document]) -> bool {
    matches!(file.kind, Kind::Python | Kind::Sql | Kind::Properties)
        && (is_main(file, application) || !all.iter().any(|other| is_main(file, other)))
        && !file
            .name
            .split('/')
            .any(|part| part == "tests" || part == "test" || part.starts_with("test_"))
}

/// Addresses, classes and formats in the fields of an application.
fn in_manifest(application: &Document, spec: &str, spec_node: &Node) -> Vec<Use> {
    let mut found = Vec::new();
    let mut look = |value: &str, place: Place, path: String| {
        if let Some(connector) = of_address(value).or_else(|| of_class(value)) {
            found.push(Use {
                connector,
                written: shown(value),
                source: Arc::clone(&application.source),
                place,
                path,
                certain: true,
            });
        }
    };
    // Spark's driver fetches these through Hadoop.
    let fetched = [
        "mainApplicationFile",
        "deps.jars",
        "deps.files",
        "deps.pyFiles",
        "deps.archives",
        "arguments",
    ];
    for field in fetched {
        let Some(node) = spec_node.lookup(field) else { continue };
        let texts = node.as_str().map(|text| (text, node.place)).into_iter();
        let items = node
            .items()
            .iter()
            .filter_map(|item| Some((item.as_str()?, item.place)));
        for (text, place) in texts.chain(items) {
            look(text, place, join(spec, field));
        }
    }
    for conf in ["sparkConf", "hadoopConf"] {
        for entry in spec_node.get(conf).map_or(&[][..], Node::entries) {
            // What is only said of a file system that nobody uses does nothing; that it is set for S3A is no use of it.
            let only_set =
                entry.key.contains("fs.s3a.") || entry.key.contains("fs.azure.") || entry.key.contains("fs.gs.");
            let options =
                entry.key.ends_with("Options") || entry.key == "spark.jars.packages" || entry.key == "spark.app.name";
            if let (Content::String(text), false) = (&entry.value.content, only_set || options) {
                for part in text.split(',') {
                    look(part.trim(), entry.key_place, join(&join(spec, conf), &entry.key));
                }
            }
        }
    }
    found
}

fn in_file(file: &File, certain: bool) -> Vec<Use> {
    let used = |connector, written: &str, at: usize| Use {
        connector,
        written: shown(written),
        source: Arc::clone(&file.source),
        place: file.source.place_at(at),
        path: String::new(),
        certain,
    };
    let text = file.source.text();
    match file.kind {
        Kind::Python => in_python(text)
            .into_iter()
            .map(|(connector, written, at)| used(connector, &written, at))
            .collect(),
        Kind::Sql => in_sql(text)
            .into_iter()
            .map(|(connector, written, at)| used(connector, &written, at))
            .collect(),
        _ => Vec::new(),
    }
}

/// Methods whose first argument is a format.
const FORMATS: [&str; 3] = ["format", "provider", "source"];

/// What a program uses: connector, what is written, and where.
fn in_python(text: &str) -> Vec<(&'static Connector, String, usize)> {
    // What is no Python the gate of SQL tells.
    let Ok(literals) = python::literals(text) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for literal in literals {
        let format = FORMATS.contains(&literal.given_to);
        let connector = match format {
            true => of_format(literal.text),
            // Packages that the session itself is told to fetch are another matter, and so is what is set for them.
            false if literal.after.contains("spark.jars") => None,
            false => of_address(literal.text).or_else(|| of_class(literal.text).filter(|_| literal.after == "driver")),
        };
        let sql = || in_sql(literal.text).into_iter().next();
        match connector {
            Some(connector) => found.push((connector, literal.text.to_owned(), literal.at)),
            None if literal.given_to == "sql" => {
                found.extend(sql().map(|(connector, written, at)| (connector, written, literal.at + at)));
            }
            None => {}
        }
    }
    for (module, class) in [
        ("pyspark.sql.avro", "org.apache.spark.sql.avro."),
        ("pyspark.sql.protobuf", "org.apache.spark.sql.protobuf."),
    ] {
        let import = text
            .find(&format!("from {module}"))
            .or_else(|| text.find(&format!("import {module}")));
        found.extend(import.and_then(|at| Some((of_class(class)?, module.to_owned(), at))));
    }
    // A session that is told to fetch packages brings them itself.
    let fetched = text.contains("spark.jars.packages") || text.contains("configure_spark_with_delta_pip");
    if fetched { Vec::new() } else { found }
}

/// What SQL uses: addresses in quotes, and providers of tables.
fn in_sql(text: &str) -> Vec<(&'static Connector, String, usize)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let begin = text[..at]
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |quote| quote + 1);
        let end = text[at..]
            .find(['\'', '"', '`', ' ', '\n'])
            .map_or(text.len(), |end| at + end);
        found.extend(of_address(&text[begin..end]).map(|connector| (connector, text[begin..end].to_owned(), begin)));
    }
    for (at, _) in text.match_indices("jdbc:") {
        let end = text[at..]
            .find(['\'', '"', '`', ' ', '\n'])
            .map_or(text.len(), |end| at + end);
        found.extend(of_address(&text[at..end]).map(|connector| (connector, text[at..end].to_owned(), at)));
    }
    let lower = text.to_ascii_lowercase();
    for (at, _) in lower.match_indices("using ") {
        let whole = !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let rest = lower[at + "using ".len()..].trim_start();
        let word: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "._".contains(*c))
            .collect();
        // `JOIN b USING (a)` has a bracket there.
        if let Some(connector) = of_format(&word).filter(|_| whole) {
            found.push((connector, format!("USING {word}"), at));
        }
    }
    found.sort_by_key(|(.., at)| *at);
    found
}

fn of_address(text: &str) -> Option<&'static Connector> {
    CONNECTORS
        .iter()
        .find(|connector| connector.addresses.iter().any(|address| text.starts_with(address)))
}

fn of_format(text: &str) -> Option<&'static Connector> {
    let format = text.to_ascii_lowercase();
    CONNECTORS.iter().find(|connector| {
        connector.formats.contains(&format.as_str()) || connector.classes.iter().any(|class| text.starts_with(class))
    })
}

fn of_class(text: &str) -> Option<&'static Connector> {
    CONNECTORS
        .iter()
        .find(|connector| connector.classes.iter().any(|class| text.starts_with(class)))
}

/// The beginning of what is written, without what may be secret: a password in the options of an address.
fn shown(text: &str) -> String {
    let plain = text.split(['?', ';', '@']).next().unwrap_or(text);
    let mut shown: String = plain.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
