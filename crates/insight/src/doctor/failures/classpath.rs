//! Classes, packages and versions that do not fit together.

use serde_json::json;
use stoke_model::distribution;

use super::class::{Class, END, THROWN, class, patch, words};
use super::context::Context;
use super::texts::{Match, TextRule, ends};
use crate::text::{after, between, short};
use stoke_diagnostics::Fix;

const SUBMITTING: &str =
    "https://spark.apache.org/docs/latest/submitting-applications.html#advanced-dependency-management";
const BUILDING: &str = "https://spark.apache.org/docs/latest/index.html#downloading";
const FOLLOWS: &[&[&str]] = &[END, THROWN, &["class-not-found"]];

static PACKAGE_MISSING: Class = class(
    "package-missing",
    840,
    "connectors are packages of their own, in the version of Spark, Scala or Hadoop they were built for",
    SUBMITTING,
    FOLLOWS,
);
static CLASS_NOT_FOUND: Class = class(
    "class-not-found",
    600,
    "a class that code needs must be in a jar of the class path",
    SUBMITTING,
    &[END, THROWN],
);
static SCALA_MISMATCH: Class = class(
    "scala-mismatch",
    838,
    "Scala libraries are built for one minor version of Scala: _2.12 for Spark 3, _2.13 for Spark 4",
    BUILDING,
    FOLLOWS,
);
static METHOD_MISSING: Class = class(
    "method-missing",
    830,
    "NoSuchMethodError, NoSuchFieldError and the like: code was compiled against another version of a library than is loaded",
    SUBMITTING,
    FOLLOWS,
);
static JAVA_MISMATCH: Class = class(
    "java-mismatch",
    839,
    "a class file says which Java it needs: 52 is Java 8, 55 is 11, 61 is 17, 65 is 21; an older one cannot load it",
    BUILDING,
    FOLLOWS,
);
static PYTHON_MISMATCH: Class = class(
    "python-mismatch",
    839,
    "driver and executors must run the same minor version of Python",
    "spark.pyspark.python",
    FOLLOWS,
);
static CLASS_INCOMPATIBLE: Class = class(
    "class-incompatible",
    835,
    "driver and executors must load the same version of every class they exchange (serialVersionUID)",
    SUBMITTING,
    FOLLOWS,
);
static PYTHON_MODULE_MISSING: Class = class(
    "python-module-missing",
    836,
    "a Python module must be in the image, or sent along, for the driver and for every executor",
    "https://spark.apache.org/docs/latest/api/python/tutorial/python_packaging.html",
    FOLLOWS,
);
static PACKAGE_UNRESOLVED: Class = class(
    "package-unresolved",
    842,
    "packages of spark.jars.packages are fetched from repositories when the driver starts",
    SUBMITTING,
    FOLLOWS,
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 9] = [
    &PACKAGE_MISSING,
    &CLASS_NOT_FOUND,
    &SCALA_MISMATCH,
    &METHOD_MISSING,
    &JAVA_MISMATCH,
    &PYTHON_MISMATCH,
    &CLASS_INCOMPATIBLE,
    &PYTHON_MODULE_MISSING,
    &PACKAGE_UNRESOLVED,
];

/// Its rules over texts.
pub(super) const RULES: &[TextRule] = &[
    ends(
        &PYTHON_MISMATCH,
        &[
            &["PYTHON_VERSION_MISMATCH"],
            &["Python in worker has different version"],
        ],
        |matched| {
            let worker = between(matched.line, "different version", " than")
                .or_else(|| between(matched.line, "different version: ", " "));
            let driver = between(matched.line, "driver ", ", ").or_else(|| after(matched.line, "driver: "));
            let versions = match (worker, driver) {
                (Some(worker), Some(driver)) => {
                    format!(" ({} in the executors, {} in the driver)", clean(worker), clean(driver))
                }
                _ => String::new(),
            };
            Some((
                format!("Driver and executors run different versions of Python{versions}"),
                words(
                    "use the same image for both (spec.image), or name the same interpreter in spark.pyspark.python and spark.pyspark.driver.python",
                ),
            ))
        },
    ),
    ends(&JAVA_MISMATCH, &[&["UnsupportedClassVersionError"]], |matched| {
        let number = |mark| after(matched.line, mark).and_then(crate::text::leading_number);
        let java = |version: i64| version - 44;
        let has = number("class file version ").map(java);
        let up_to = number("class file versions up to ").map(java);
        let cause = match (has, up_to) {
            (Some(has), Some(up_to)) => format!("A class was compiled for Java {has}, and Java {up_to} is to run it"),
            _ => format!(
                "A class was compiled for a newer Java than is to run it: {}",
                short(matched.line, 200)
            ),
        };
        Some((
            cause,
            words(
                "use an image with that Java (Spark 4 needs Java 17 or 21), or compile the application for the older one (--release)",
            ),
        ))
    }),
    ends(
        &PACKAGE_UNRESOLVED,
        &[&["unresolved dependency"], &["Server access error at url"]],
        |matched| {
            let what = after(matched.line, "unresolved dependency: ").unwrap_or(matched.line);
            let what = what.trim_end_matches(']');
            Some((
                format!("A package cannot be fetched: {}", short(what, 200)),
                words(
                    "correct its name (group:artifact:version), or let the driver reach the repository (spark.jars.repositories, network policy, proxy); best put it into the image",
                ),
            ))
        },
    ),
    ends(
        &SCALA_MISMATCH,
        &[
            &["NoSuchMethodError", "scala"],
            &["NoClassDefFoundError", "scala/"],
            &["ClassNotFoundException: scala."],
            &["NoSuchMethodError", "'scala."],
            &["IncompatibleClassChangeError", "scala"],
            &["AbstractMethodError", "scala"],
        ],
        |matched| {
            let version = matched.context.spark_version();
            let has = match version.split('.').next() {
                Some("3") => format!("Spark {version} has, which is 2.12 (unless the image says otherwise)"),
                Some("4") => format!("Spark {version} has, which is 2.13"),
                _ => "this Spark has".to_owned(),
            };
            Some((
                format!(
                    "A jar was built for another Scala than {has}: {}",
                    short(matched.line, 160)
                ),
                words(
                    "take the artefacts with the suffix of that Scala (_2.12 or _2.13), and build the application with it",
                ),
            ))
        },
    ),
    ends(
        &CLASS_INCOMPATIBLE,
        &[&["local class incompatible", "serialVersionUID"]],
        |matched| {
            let class = between(matched.line, "InvalidClassException: ", ";").unwrap_or("a class");
            Some((
                format!("Driver and executors have different versions of {class}"),
                words(
                    "use one image, and one set of jars, for driver and executors; with Spark Connect or client mode, the same Spark version on both sides",
                ),
            ))
        },
    ),
    ends(
        &METHOD_MISSING,
        &[
            &["NoSuchMethodError"],
            &["NoSuchFieldError"],
            &["AbstractMethodError"],
            &["IncompatibleClassChangeError"],
            &["IllegalAccessError: class"],
        ],
        |matched| {
            let missing = between(matched.line, "Error: '", "'").or_else(|| after(matched.line, "Error: "));
            if missing.is_some_and(|missing| missing.contains("org.apache.spark.")) {
                let version = matched.context.spark_version();
                return Some((
                    format!(
                        "A jar was compiled against another version of Spark than runs it{}: {}",
                        if version.is_empty() {
                            version
                        } else {
                            format!(" ({version})")
                        },
                        short(matched.line, 200)
                    ),
                    words(
                        "build the application for this Spark and its Scala (scope provided), take connectors in the version made for it, or run the Spark it was built for (spec.image, spec.sparkVersion)",
                    ),
                ));
            }
            Some((
                format!(
                    "Code was compiled against another version of a library than is loaded: {}",
                    short(matched.line, 200)
                ),
                words(
                    "find who brings the other version (spark-submit --verbose lists the jars): leave out of your jar what Spark brings (scope provided), shade what must differ, and take connectors in the version built for this Spark",
                ),
            ))
        },
    ),
    ends(
        &PACKAGE_MISSING,
        &[
            &["Failed to find data source"],
            &["DATA_SOURCE_NOT_FOUND"],
            &["ClassNotFoundException"],
            &["NoClassDefFoundError"],
            &["No FileSystem for scheme"],
            &["Cannot find catalog plugin class"],
            &["No suitable driver"],
            &["The specified schema does not describe", "kafka"],
            &["is not found", "plugin class"],
        ],
        package,
    ),
    ends(
        &CLASS_NOT_FOUND,
        &[
            &["ClassNotFoundException"],
            &["NoClassDefFoundError"],
            &["Failed to find data source"],
            &["DATA_SOURCE_NOT_FOUND"],
        ],
        |matched| {
            let class = after(matched.line, "ClassNotFoundException: ")
                .or_else(|| after(matched.line, "NoClassDefFoundError: "))
                .or_else(|| after(matched.line, "data source: "))
                .map(|rest| rest.split([' ', ';']).next().unwrap_or(rest).replace('/', "."));
            let class = class.filter(|class| !class.is_empty())?;
            Some((
                format!(
                    "The class {} is in no jar of the application",
                    class.trim_end_matches('.')
                ),
                words("add the jar that has it to spec.deps.jars or spec.deps.packages, or put it into the image"),
            ))
        },
    ),
    ends(
        &PYTHON_MODULE_MISSING,
        &[
            &["ModuleNotFoundError: No module named"],
            &["ImportError: No module named"],
        ],
        |matched| {
            let module = between(matched.line, "'", "'").unwrap_or("?");
            let where_ = match matched.block.text.contains("worker.py") {
                true => "the executors' Python",
                false => "the driver's Python",
            };
            Some((
                format!("The Python module {module} is not there for {where_}"),
                words(
                    "put it into the image (pip install), or send it along in spec.deps.pyFiles; then it is there for driver and executors",
                ),
            ))
        },
    ),
];

/// A version as it is written: `3.12`, or `(3, 12)`.
fn clean(text: &str) -> String {
    text.trim()
        .trim_matches([':', '.', ',', ' ', '(', ')'])
        .replace(", ", ".")
}

/// A connector by what fails without it: words of the error, artefact, how it is called.
struct Connector {
    words: &'static [&'static str],
    name: &'static str,
    coordinates: fn(&Versions) -> String,
}

/// What coordinates are made of.
struct Versions {
    spark: String,
    minor: String,
    scala: &'static str,
    hadoop: String,
}

const CONNECTORS: [Connector; 11] = [
    Connector {
        words: &["org.apache.hadoop.fs.s3a", "scheme \"s3a\"", "scheme \"s3\""],
        name: "S3A (hadoop-aws)",
        coordinates: |versions| format!("org.apache.hadoop:hadoop-aws:{}", versions.hadoop),
    },
    Connector {
        words: &["org.apache.hadoop.fs.azurebfs", "scheme \"abfs"],
        name: "Azure storage (hadoop-azure)",
        coordinates: |versions| format!("org.apache.hadoop:hadoop-azure:{}", versions.hadoop),
    },
    Connector {
        words: &["com.google.cloud.hadoop.fs.gcs", "scheme \"gs\""],
        name: "Google Cloud Storage",
        coordinates: |_| "com.google.cloud.bigdataoss:gcs-connector:hadoop3-2.2.26".into(),
    },
    Connector {
        words: &["data source: delta", "`delta`", "io.delta", "delta.DefaultSource"],
        name: "Delta Lake",
        coordinates: |versions| format!("io.delta:delta-spark_{}:VERSION", versions.scala),
    },
    Connector {
        words: &[
            "org.apache.iceberg",
            "data source: iceberg",
            "`iceberg`",
            "iceberg.DefaultSource",
        ],
        name: "Iceberg",
        coordinates: |versions| {
            format!(
                "org.apache.iceberg:iceberg-spark-runtime-{}_{}:VERSION",
                versions.minor, versions.scala
            )
        },
    },
    Connector {
        words: &["org.apache.hudi", "data source: hudi", "`hudi`"],
        name: "Hudi",
        coordinates: |versions| {
            format!(
                "org.apache.hudi:hudi-spark{}-bundle_{}:VERSION",
                versions.minor, versions.scala
            )
        },
    },
    Connector {
        words: &[
            "data source: kafka",
            "`kafka`",
            "kafka.DefaultSource",
            "org.apache.spark.sql.kafka010",
            "Structured Streaming + Kafka",
        ],
        name: "Kafka",
        coordinates: |versions| {
            format!(
                "org.apache.spark:spark-sql-kafka-0-10_{}:{}",
                versions.scala, versions.spark
            )
        },
    },
    Connector {
        words: &[
            "data source: avro",
            "`avro`",
            "avro.DefaultSource",
            "org.apache.spark.sql.avro",
            "Avro is built-in but external",
        ],
        name: "Avro",
        coordinates: |versions| format!("org.apache.spark:spark-avro_{}:{}", versions.scala, versions.spark),
    },
    Connector {
        words: &["org.postgresql.Driver"],
        name: "PostgreSQL's JDBC driver",
        coordinates: |_| "org.postgresql:postgresql:42.7.4".into(),
    },
    Connector {
        words: &["com.mysql.cj.jdbc.Driver", "com.mysql.jdbc.Driver"],
        name: "MySQL's JDBC driver",
        coordinates: |_| "com.mysql:mysql-connector-j:9.1.0".into(),
    },
    Connector {
        words: &["com.microsoft.sqlserver.jdbc"],
        name: "SQL Server's JDBC driver",
        coordinates: |_| "com.microsoft.sqlserver:mssql-jdbc:12.8.1.jre11".into(),
    },
];

/// The package a missing class, data source or scheme belongs to.
fn package(matched: &Match<'_>) -> Option<(String, Fix)> {
    let line = matched.line;
    let fits = |connector: &&Connector| connector.words.iter().any(|word| line.contains(word));
    let connector = CONNECTORS.iter().find(fits)?;
    let versions = versions(matched.context);
    let coordinates = (connector.coordinates)(&versions);
    let cause = format!("{} is not on the class path: {}", connector.name, short(line, 160));
    if coordinates.ends_with(":VERSION") {
        let text = format!(
            "add {coordinates} (in a version made for Spark {}) to spec.deps.packages, or put its jar into the image",
            versions.spark
        );
        return Some((cause, words(text)));
    }
    let mut packages: Vec<serde_json::Value> = matched
        .context
        .spec("/deps/packages")
        .and_then(|list| list.as_array())
        .cloned()
        .unwrap_or_default();
    packages.push(json!(coordinates));
    Some((
        cause,
        patch(
            format!(
                "add {coordinates} to spec.deps.packages, or put its jar into the image (and then nothing is fetched at the start)"
            ),
            json!({"spec": {"deps": {"packages": packages}}}),
        ),
    ))
}

fn versions(context: &Context<'_>) -> Versions {
    let spark = context.spark_version();
    // The jar of Hadoop's client tells its version better than any table.
    let hadoop = context.run().and_then(|run| {
        let jar = run.classpath.iter().find(|path| path.contains("hadoop-client-api-"))?;
        between(jar, "hadoop-client-api-", ".jar").map(str::to_owned)
    });
    let built = distribution::nearest(&spark);
    Versions {
        scala: built.scalas[0],
        hadoop: hadoop.unwrap_or_else(|| built.hadoop.to_owned()),
        minor: distribution::minor(&spark).to_owned(),
        spark,
    }
}
