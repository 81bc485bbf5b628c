//! Contradictions of products that are configured beside Spark: Iceberg, Delta Lake, S3 through Hadoop, RAPIDS, Celeborn.
//!
//! What they say when they refuse was read off real ones.

use stoke_model::conf::third_party;
use stoke_model::distribution;

use super::{Conf, DYNAMIC, ERROR, Mistake, Rule, TRACKING, WARNING, mistake};

const EXTENSIONS: &str = "spark.sql.extensions";
const SESSION_CATALOG: &str = "spark.sql.catalog.spark_catalog";
const DELTA_CATALOG: &str = "org.apache.spark.sql.delta.catalog.DeltaCatalog";
const DELTA_EXTENSION: &str = "io.delta.sql.DeltaSparkSessionExtension";
const CREDENTIALS: &str = "fs.s3a.aws.credentials.provider";
/// Providers of the first SDK that S3A of Hadoop 3.4 takes for those of the second.
const REMAPPED: [&str; 3] = [
    "com.amazonaws.auth.AnonymousAWSCredentials",
    "com.amazonaws.auth.EnvironmentVariableCredentialsProvider",
    "com.amazonaws.auth.EC2ContainerCredentialsProviderWrapper",
];

pub(super) const RULES: [Rule; 17] = [
    ("conf-iceberg-catalog", ERROR, iceberg_catalog),
    ("conf-iceberg-incomplete", WARNING, iceberg_incomplete),
    ("conf-catalog-class", WARNING, catalog_class),
    // DeltaErrors.configureSparkSessionWithExtensionAndCatalog
    ("conf-delta-catalog", WARNING, |conf| {
        if !names(conf, EXTENSIONS, DELTA_EXTENSION) || conf.get(SESSION_CATALOG).is_some() || !conf.is_whole() {
            return None;
        }
        mistake(
            EXTENSIONS,
            "Delta Lake wants its catalog as well as its extension, and refuses tables without",
            format!("set {SESSION_CATALOG}={DELTA_CATALOG}"),
        )
    }),
    ("conf-delta-extension", WARNING, |conf| {
        let catalog = conf.get(SESSION_CATALOG) == Some(DELTA_CATALOG);
        if !catalog || names(conf, EXTENSIONS, DELTA_EXTENSION) || !conf.is_whole() {
            return None;
        }
        mistake(
            SESSION_CATALOG,
            "Delta Lake wants its extension as well as its catalog; without, some of its operations are refused",
            format!("add {DELTA_EXTENSION} to {EXTENSIONS}"),
        )
    }),
    ("conf-default-catalog", WARNING, |conf| {
        let key = "spark.sql.defaultCatalog";
        let name = conf.get(key)?;
        let class = format!("spark.sql.catalog.{name}");
        if name == "spark_catalog" || name.contains('$') || conf.get(&class).is_some() || !conf.is_whole() {
            return None;
        }
        mistake(
            key,
            format!("there is no catalog `{name}`: every statement fails"),
            format!("set {class} to its class"),
        )
    }),
    ("conf-package-missing", WARNING, package_missing),
    // HiveMetaStoreClient, and the clients of Iceberg's catalogs.
    ("conf-catalog-address", ERROR, catalog_address),
    ("conf-class-gone", WARNING, class_gone),
    // V1ToV2AwsCredentialProviderAdapter needs the first SDK, which Hadoop no longer brings.
    ("conf-aws-sdk", ERROR, |conf| aws_sdk(conf).filter(|_| conf.official)),
    // What Hadoop another image has is known to its builder.
    ("conf-aws-sdk", WARNING, |conf| aws_sdk(conf).filter(|_| !conf.official)),
    ("conf-committer", WARNING, |conf| {
        let (key, value) = s3a(conf, "fs.s3a.committer.name").next()?;
        if value == "file" || conf.get("spark.sql.sources.commitProtocolClass").is_some() || !conf.is_whole() {
            return None;
        }
        mistake(
            key.to_owned(),
            "Spark's own commit protocol writes through the file committer of Parquet and ORC: they do not use it",
            "set spark.sql.sources.commitProtocolClass=org.apache.spark.internal.io.cloud.PathOutputCommitProtocol and \
             spark.sql.parquet.output.committer.class=org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
        )
    }),
    ("conf-rapids-plugin", WARNING, |conf| {
        let (key, _) = conf.iter().find(|(key, _)| key.starts_with("spark.rapids.sql."))?;
        if !conf.is_whole()
            || conf
                .get("spark.plugins")
                .is_some_and(|plugins| plugins.contains("SQLPlugin"))
        {
            return None;
        }
        mistake(
            key.to_owned(),
            "the plugin of RAPIDS is not asked for: it has no effect",
            "add com.nvidia.spark.SQLPlugin to spark.plugins",
        )
    }),
    // Its guide wants a GPU for each executor, asked for of Spark.
    ("conf-rapids-gpu", WARNING, |conf| {
        let plugins = "spark.plugins";
        let resource = conf.get("spark.rapids.gpu.resourceName").unwrap_or("gpu");
        let asked = conf
            .get(&format!("spark.executor.resource.{resource}.amount"))
            .is_some();
        let template = conf.get("spark.kubernetes.executor.podTemplateFile").is_some();
        if !names(conf, plugins, "com.nvidia.spark.SQLPlugin") || asked || template || conf.has_gpu || !conf.is_whole()
        {
            return None;
        }
        mistake(
            plugins,
            "the plugin of RAPIDS works on a GPU, and the executors ask for none",
            format!(
                "set spark.executor.resource.{resource}.amount=1, spark.executor.resource.{resource}.vendor=nvidia.com and a discoveryScript"
            ),
        )
    }),
    ("conf-celeborn-master", WARNING, |conf| {
        let manager = celeborn(conf)?;
        if !conf.is_whole() || conf.get("spark.celeborn.master.endpoints").is_some() {
            return None;
        }
        mistake(
            manager,
            "the address of Celeborn's master is not set: Celeborn looks for it in the driver's own pod",
            "set spark.celeborn.master.endpoints",
        )
    }),
    ("conf-celeborn-manager", WARNING, |conf| {
        let (key, _) = conf.iter().find(|(key, _)| key.starts_with("spark.celeborn.client."))?;
        if !conf.is_whole() || conf.get("spark.shuffle.manager").is_some() {
            return None;
        }
        mistake(
            key.to_owned(),
            "Celeborn does not shuffle here: it has no effect",
            "set spark.shuffle.manager=org.apache.spark.shuffle.celeborn.SparkShuffleManager",
        )
    }),
    // Spark waits for shuffle files of executors that have none.
    ("conf-celeborn-tracking", WARNING, |conf| {
        celeborn(conf)?;
        if !conf.is(DYNAMIC, "true") || conf.is(TRACKING, "false") || !conf.is_whole() {
            return None;
        }
        mistake(
            "spark.shuffle.manager",
            format!("Celeborn keeps the shuffle files, and {TRACKING} keeps executors for their sake"),
            format!(
                "set {TRACKING}=false and spark.shuffle.sort.io.plugin.class=org.apache.spark.shuffle.celeborn.CelebornShuffleDataIO"
            ),
        )
    }),
];

/// A provider of credentials that is of another AWS SDK than the one its Hadoop uses.
fn aws_sdk(conf: &Conf) -> Option<Mistake> {
    let spark = conf.version.as_deref()?;
    let packages = conf
        .get("spark.jars.packages")
        .into_iter()
        .flat_map(|list| list.split(','));
    let named = packages
        .chain(conf.artifacts.iter().map(String::as_str))
        .find_map(|package| package.trim().strip_prefix("org.apache.hadoop:hadoop-aws:"));
    let hadoop = named.or(distribution::of(spark).map(|known| known.hadoop))?;
    let second = numbers(hadoop) >= (3, 4);
    s3a(conf, CREDENTIALS).find_map(|(key, value)| {
        value.split(',').map(str::trim).find_map(|class| {
            let of_first = class.starts_with("com.amazonaws.");
            if second && of_first && !REMAPPED.contains(&class) && !class.contains("InstanceProfileCredentialsProvider")
            {
                return mistake(
                    key.to_owned(),
                    format!("`{class}` is of the AWS SDK 1; the Hadoop of Spark {spark}, {hadoop}, comes with SDK 2"),
                    "name its successor of `software.amazon.awssdk.auth.credentials` or `org.apache.hadoop.fs.s3a`",
                );
            }
            if !second && class.starts_with("software.amazon.awssdk.") {
                return mistake(
                    key.to_owned(),
                    format!("`{class}` is of the AWS SDK 2; the Hadoop of Spark {spark}, {hadoop}, comes with SDK 1"),
                    "name its predecessor of `com.amazonaws.auth`",
                );
            }
            None
        })
    })
}

/// An address of a metastore or a catalog without the scheme that its client wants: `host:9083` has the scheme `host`.
fn catalog_address(conf: &Conf) -> Option<Mistake> {
    conf.iter().find_map(|(key, value)| {
        let kind = match key {
            "spark.hadoop.hive.metastore.uris" | "spark.hive.metastore.uris" => "hive".to_owned(),
            _ => {
                let name = key.strip_prefix("spark.sql.catalog.")?.strip_suffix(".uri")?;
                conf.get(&format!("spark.sql.catalog.{name}.type"))?
                    .to_ascii_lowercase()
            }
        };
        let schemes: &[&str] = match kind.as_str() {
            "hive" => &["thrift://"],
            "rest" | "nessie" => &["http://", "https://"],
            "jdbc" => &["jdbc:"],
            _ => return None,
        };
        let wrong = |one: &&str| {
            let known = schemes.iter().any(|scheme| one.starts_with(scheme));
            !one.is_empty() && !known && !one.contains('$') && !one.contains("{{")
        };
        let one = value.split(',').map(str::trim).find(wrong)?;
        let bare = one.split_once("://").map_or(one, |(_, rest)| rest);
        mistake(
            key.to_owned(),
            format!(
                "`{one}` does not begin with {}: nothing is reached by it",
                schemes.join(" or ")
            ),
            format!("write {}{bare}", schemes.last().unwrap_or(&"")),
        )
    })
}

/// Classes that their products removed, since when, and what replaces them (each product's migration guide).
const GONE: [(&str, &str, &str); 7] = [
    (
        "org.apache.spark.shuffle.celeborn.RssShuffleManager",
        "Celeborn does not support it since 0.4",
        "write org.apache.spark.shuffle.celeborn.SparkShuffleManager",
    ),
    (
        "org.apache.hadoop.fs.s3a.s3guard.",
        "S3 is consistent by itself, and Hadoop 3.4 has no S3Guard",
        "remove the key",
    ),
    (
        "org.apache.hadoop.fs.s3native.",
        "Hadoop 3 does not have it",
        "remove the key, and write addresses as s3a://",
    ),
    (
        "org.apache.hadoop.fs.s3.S3FileSystem",
        "Hadoop 3 does not have it",
        "remove the key, and write addresses as s3a://",
    ),
    (
        "com.databricks.spark.csv",
        "Spark reads CSV itself since 2.0",
        "write csv",
    ),
    (
        "com.databricks.spark.avro",
        "the package went into Spark with 2.4",
        "write avro, and name the package org.apache.spark:spark-avro",
    ),
    (
        "org.apache.spark.shuffle.hash.HashShuffleManager",
        "Spark does not have it since 2.0",
        "remove the key",
    ),
];

fn class_gone(conf: &Conf) -> Option<Mistake> {
    conf.iter().find_map(|(key, value)| {
        let of_value = |class: &str| value.split(',').any(|one| one.trim().starts_with(class));
        let (_, why, fix) = GONE.iter().find(|(class, ..)| of_value(class))?;
        mistake(key.to_owned(), format!("`{value}` is gone: {why}"), *fix)
    })
}

fn names(conf: &Conf, key: &str, class: &str) -> bool {
    conf.get(key)
        .is_some_and(|value| value.split(',').any(|one| one.trim() == class))
}

fn celeborn(conf: &Conf) -> Option<&'static str> {
    let key = "spark.shuffle.manager";
    conf.get(key)?
        .starts_with("org.apache.spark.shuffle.celeborn.")
        .then_some(key)
}

/// Settings of one key of S3A, for all buckets and for single ones.
fn s3a<'a>(conf: &'a Conf, plain: &'static str) -> impl Iterator<Item = (&'a str, &'a str)> {
    conf.iter().filter(move |(key, _)| {
        key.strip_prefix("spark.hadoop.")
            .is_some_and(|key| third_party::without_bucket(key) == plain)
    })
}

/// Major and minor of a version.
fn numbers(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Names of catalogs that are Iceberg's.
fn iceberg(conf: &Conf) -> impl Iterator<Item = (&str, &str)> {
    conf.iter().filter_map(|(key, value)| {
        let name = key.strip_prefix("spark.sql.catalog.")?;
        (third_party::is_iceberg(value) && !name.contains('.')).then_some((name, value))
    })
}

/// CatalogUtil.buildIcebergCatalog and the constructors of its catalogs.
fn iceberg_catalog(conf: &Conf) -> Option<Mistake> {
    iceberg(conf).find_map(|(name, class)| {
        let key = |rest: &str| format!("spark.sql.catalog.{name}.{rest}");
        let get = |rest: &str| conf.get(&key(rest));
        if class.ends_with(".SparkSessionCatalog") && name != "spark_catalog" {
            return mistake(
                format!("spark.sql.catalog.{name}"),
                "SparkSessionCatalog stands before Spark's own catalog; under another name there is none behind it, and it fails",
                "write org.apache.iceberg.spark.SparkCatalog",
            );
        }
        if get("type").is_some() && get("catalog-impl").is_some() {
            return mistake(
                key("catalog-impl"),
                "Iceberg takes `type` or `catalog-impl`, and refuses both",
                "remove one of them",
            );
        }
        let kind = get("type")?.to_ascii_lowercase();
        if !third_party::ICEBERG_TYPES.contains(&kind.as_str()) {
            if kind.contains('$') {
                return None;
            }
            return mistake(
                key("type"),
                format!("Iceberg knows no catalog of the type `{kind}`"),
                format!("write one of {}", third_party::ICEBERG_TYPES.join(", ")),
            );
        }
        None
    })
}

/// What a catalog needs, unless the program sets it.
fn iceberg_incomplete(conf: &Conf) -> Option<Mistake> {
    if !conf.is_whole() {
        return None;
    }
    iceberg(conf).find_map(|(name, class)| {
        let key = |rest: &str| format!("spark.sql.catalog.{name}.{rest}");
        let has = |rest: &str| conf.get(&key(rest)).is_some();
        if let Some(kind) = conf.get(&key("type")) {
            let lacking = match kind.to_ascii_lowercase().as_str() {
                "hadoop" if !has("warehouse") => "warehouse",
                "rest" | "jdbc" if !has("uri") => "uri",
                "jdbc" | "nessie" if !has("warehouse") => "warehouse",
                _ => return None,
            };
            return mistake(
                key("type"),
                format!("a catalog of the type {kind} needs `{lacking}`, or every statement on it fails"),
                format!("set {}", key(lacking)),
            );
        }
        if has("catalog-impl") || class.ends_with(".SparkSessionCatalog") {
            return None;
        }
        // With a metastore's address it is meant to be one of Hive.
        let hive = conf.iter().any(|(key, value)| {
            key == "spark.hadoop.hive.metastore.uris" || (key.ends_with(".uri") && value.starts_with("thrift:"))
        });
        if hive {
            return None;
        }
        mistake(
            format!("spark.sql.catalog.{name}"),
            "without `type` or `catalog-impl` Iceberg asks a metastore of Hive",
            format!("set spark.sql.catalog.{name}.type"),
        )
    })
}

/// Options of a catalog that is not there.
fn catalog_class(conf: &Conf) -> Option<Mistake> {
    conf.iter().find_map(|(key, _)| {
        let (name, option) = key.strip_prefix("spark.sql.catalog.")?.split_once('.')?;
        let class = format!("spark.sql.catalog.{name}");
        if name == "spark_catalog" || conf.get(&class).is_some() || !conf.is_whole() {
            return None;
        }
        mistake(
            key.to_owned(),
            format!("there is no catalog `{name}` that could have the option `{option}`"),
            format!("set {class} to its class, for example org.apache.iceberg.spark.SparkCatalog"),
        )
    })
}

/// Classes of a product that no package brings. An image may have them, so that this can be told only where other packages are named: who names some
/// names all, or says so.
fn package_missing(conf: &Conf) -> Option<Mistake> {
    // What the official image lacks the gate of dependencies tells, with the package that fits.
    if conf.official {
        return None;
    }
    let mut named: Vec<&str> = conf.artifacts.iter().map(String::as_str).collect();
    for key in ["spark.jars.packages", "spark.jars"] {
        named.extend(conf.get(key).into_iter().flat_map(|value| value.split(',')));
    }
    // Jars may be called anything; packages have names.
    if named.is_empty() || named.iter().any(|one| one.contains('/')) {
        return None;
    }
    let products = [
        (
            "org.apache.iceberg.spark.",
            "org.apache.iceberg:",
            "Iceberg",
            "org.apache.iceberg:iceberg-spark-runtime-…",
        ),
        ("io.delta.sql.", "io.delta:", "Delta Lake", "io.delta:delta-spark_…"),
    ];
    conf.iter().find_map(|(key, value)| {
        let of_class = key == EXTENSIONS || (key.starts_with("spark.sql.catalog.") && key.matches('.').count() == 3);
        let (_, group, product, package) = products.iter().find(|(class, ..)| of_class && value.contains(class))?;
        if named.iter().any(|one| one.trim().starts_with(group)) {
            return None;
        }
        mistake(
            key.to_owned(),
            format!("packages are named, and none of them is {product}'s"),
            format!("add {package}, unless the image has it"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{contradictions, of_document};
    use stoke_diagnostics::Severity;

    fn said(image: &str, conf: &[(&str, &str)]) -> Vec<(String, Severity)> {
        let pairs: String = conf
            .iter()
            .map(|(key, value)| format!("    {key}: \"{value}\"\n"))
            .collect();
        let text = format!(
            "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {{name: a}}\nspec:\n  sparkVersion: 4.1.4\n  image: {image}\n  sparkConf:\n{pairs}"
        );
        let (documents, _) = stoke_model::manifest::check("a.yaml", &text);
        let conf = of_document(&documents[0]).unwrap();
        let found = contradictions(&conf).into_iter();
        found.map(|one| (one.code.to_string(), one.severity)).collect()
    }

    #[test]
    fn only_the_official_image_is_known_to_have_its_hadoop() {
        let key = "spark.hadoop.fs.s3a.aws.credentials.provider";
        let first = [(key, "com.amazonaws.auth.profile.ProfileCredentialsProvider")];
        let code = "conf-aws-sdk".to_owned();
        assert_eq!(said("apache/spark:4.1.4", &first), [(code.clone(), Severity::Error)]);
        assert_eq!(said("acme/spark:4.1.4", &first), [(code, Severity::Warning)]);
        let old = ("spark.jars.packages", "org.apache.hadoop:hadoop-aws:3.3.4");
        assert_eq!(said("acme/spark:4.1.4", &[first[0], old]), []);
    }

    #[test]
    fn addresses_have_the_scheme_that_their_client_wants() {
        for (kind, address, wrong) in [
            ("hive", "metastore:9083", true),
            ("hive", "thrift://metastore:9083", false),
            ("hive", "thrift://a:9083,b:9083", true),
            ("rest", "catalog:8181", true),
            ("rest", "https://catalog:8181", false),
            ("jdbc", "postgresql://h/d", true),
            ("jdbc", "jdbc:postgresql://h/d", false),
            ("hive", "${spark.x}", false),
            ("glue", "anything", false),
        ] {
            let conf = [
                ("spark.sql.catalog.c", "org.apache.iceberg.spark.SparkCatalog"),
                ("spark.sql.catalog.c.type", kind),
                ("spark.sql.catalog.c.warehouse", "x"),
                ("spark.sql.catalog.c.uri", address),
            ];
            let found = said("acme/spark:1", &conf);
            let told = found.iter().any(|(code, _)| code == "conf-catalog-address");
            assert_eq!(told, wrong, "{kind} {address}: {found:?}");
        }
        let found = said(
            "acme/spark:1",
            &[("spark.hadoop.hive.metastore.uris", "metastore:9083")],
        );
        assert_eq!(found, [("conf-catalog-address".to_owned(), Severity::Error)]);
    }

    #[test]
    fn classes_that_are_gone_are_told() {
        for (class, _, _) in GONE {
            let found = said("acme/spark:1", &[("spark.some.key", class)]);
            assert!(found.iter().any(|(code, _)| code == "conf-class-gone"), "{class}");
        }
        let kept = [(
            "spark.some.key",
            "org.apache.spark.shuffle.celeborn.SparkShuffleManager",
        )];
        assert_eq!(said("acme/spark:1", &kept), []);
    }
}
